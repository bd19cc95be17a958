//! The gRPC service Publisher.

use std::sync::Arc;

use prost::Message as _;
use scrimmage_core::CallNotes;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::publisher_server::Publisher;
use tonic::{Request, Response, Status};

use super::{Shell, transforming};
use crate::engine::{snapshots, subscriptions, topics};
use crate::limits;
use crate::texts::Error;

#[derive(Clone, Debug)]
pub struct PublisherService {
    pub(super) shell: Arc<Shell>,
}

#[tonic::async_trait]
impl Publisher for PublisherService {
    async fn create_topic(&self, request: Request<pb::Topic>) -> Result<Response<pb::Topic>, Status> {
        let notes = request.extensions().get::<CallNotes>().cloned();
        let topic = request.into_inner();
        if let Some(notes) = notes
            && !topic.kms_key_name.is_empty()
        {
            notes.warn("kms_key_name is kept and shown, messages are not encrypted");
        }
        let given = topic.message_transforms.clone();
        Ok(Response::new(transforming::apply_with(&self.shell, &given, topics::CreateTopic(topic)).await?))
    }

    async fn update_topic(&self, request: Request<pb::UpdateTopicRequest>) -> Result<Response<pb::Topic>, Status> {
        let request = request.into_inner();
        let given = request.topic.as_ref().map(|topic| &topic.message_transforms);
        let given = transforming::masked(request.update_mask.as_ref(), given).to_vec();
        Ok(Response::new(transforming::apply_with(&self.shell, &given, topics::UpdateTopic(request)).await?))
    }

    async fn publish(&self, request: Request<pb::PublishRequest>) -> Result<Response<pb::PublishResponse>, Status> {
        let request = request.into_inner();
        if request.encoded_len() > limits::REQUEST_BYTES {
            return Err(Error::Payload(limits::REQUEST_BYTES).into());
        }
        let message_ids = transforming::publish(&self.shell, request).await?;
        Ok(Response::new(pb::PublishResponse { message_ids }))
    }

    async fn get_topic(&self, request: Request<pb::GetTopicRequest>) -> Result<Response<pb::Topic>, Status> {
        Ok(Response::new(self.shell.apply(topics::GetTopic(request.into_inner().topic))?))
    }

    async fn list_topics(
        &self,
        request: Request<pb::ListTopicsRequest>,
    ) -> Result<Response<pb::ListTopicsResponse>, Status> {
        Ok(Response::new(self.shell.apply(topics::ListTopics(request.into_inner()))?))
    }

    async fn list_topic_subscriptions(
        &self,
        request: Request<pb::ListTopicSubscriptionsRequest>,
    ) -> Result<Response<pb::ListTopicSubscriptionsResponse>, Status> {
        Ok(Response::new(self.shell.apply(topics::ListTopicSubscriptions(request.into_inner()))?))
    }

    async fn list_topic_snapshots(
        &self,
        request: Request<pb::ListTopicSnapshotsRequest>,
    ) -> Result<Response<pb::ListTopicSnapshotsResponse>, Status> {
        Ok(Response::new(self.shell.apply(snapshots::ListTopicSnapshots(request.into_inner()))?))
    }

    async fn delete_topic(&self, request: Request<pb::DeleteTopicRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.shell.apply(topics::DeleteTopic(request.into_inner().topic))?))
    }

    async fn detach_subscription(
        &self,
        request: Request<pb::DetachSubscriptionRequest>,
    ) -> Result<Response<pb::DetachSubscriptionResponse>, Status> {
        self.shell.apply(subscriptions::DetachSubscription(request.into_inner().subscription))?;
        Ok(Response::new(pb::DetachSubscriptionResponse {}))
    }
}
