//! The gRPC service Subscriber.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::subscriber_server::Subscriber;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::transforming::Begun;
use super::{Consumer, Shell, sink, streaming, transforming};
use crate::engine::delivery::{Pull, Pulled, Resume};
use crate::engine::message::Delivery;
use crate::engine::{acks, snapshots, subscriptions};
use crate::limits;
use crate::texts::Error;

#[derive(Clone, Debug)]
pub struct SubscriberService {
    pub(super) shell: Arc<Shell>,
}

impl SubscriberService {
    /// Looks at the table that a subscription is to write to.
    fn check_table(&self, subscription: &pb::Subscription) -> Result<(), Error> {
        let Some(config) = subscription.bigquery_config.as_ref().filter(|config| !config.table.is_empty()) else {
            return Ok(());
        };
        sink::check(&self.shell, &subscription.topic, config)
    }
}

#[tonic::async_trait]
impl Subscriber for SubscriberService {
    async fn create_subscription(
        &self,
        request: Request<pb::Subscription>,
    ) -> Result<Response<pb::Subscription>, Status> {
        let subscription = request.into_inner();
        self.check_table(&subscription)?;
        let given = subscription.message_transforms.clone();
        let command = subscriptions::CreateSubscription(subscription);
        Ok(Response::new(transforming::apply_with(&self.shell, &given, command).await?))
    }

    async fn get_subscription(
        &self,
        request: Request<pb::GetSubscriptionRequest>,
    ) -> Result<Response<pb::Subscription>, Status> {
        Ok(Response::new(self.shell.apply(subscriptions::GetSubscription(request.into_inner().subscription))?))
    }

    async fn update_subscription(
        &self,
        request: Request<pb::UpdateSubscriptionRequest>,
    ) -> Result<Response<pb::Subscription>, Status> {
        let request = request.into_inner();
        if let Some(subscription) = &request.subscription
            && request.update_mask.iter().flat_map(|mask| &mask.paths).any(|path| path.starts_with("bigquery_config"))
        {
            let topic = self.shell.apply(subscriptions::GetSubscription(subscription.name.clone()))?.topic;
            self.check_table(&pb::Subscription { topic, ..subscription.clone() })?;
        }
        let given = request.subscription.as_ref().map(|given| &given.message_transforms);
        let given = transforming::masked(request.update_mask.as_ref(), given).to_vec();
        let command = subscriptions::UpdateSubscription(request);
        Ok(Response::new(transforming::apply_with(&self.shell, &given, command).await?))
    }

    async fn list_subscriptions(
        &self,
        request: Request<pb::ListSubscriptionsRequest>,
    ) -> Result<Response<pb::ListSubscriptionsResponse>, Status> {
        Ok(Response::new(self.shell.apply(subscriptions::ListSubscriptions(request.into_inner()))?))
    }

    async fn delete_subscription(
        &self,
        request: Request<pb::DeleteSubscriptionRequest>,
    ) -> Result<Response<()>, Status> {
        Ok(Response::new(self.shell.apply(subscriptions::DeleteSubscription(request.into_inner().subscription))?))
    }

    async fn modify_ack_deadline(
        &self,
        request: Request<pb::ModifyAckDeadlineRequest>,
    ) -> Result<Response<()>, Status> {
        let request = request.into_inner();
        check_size(&request)?;
        let command = acks::ModifyAckDeadline {
            subscription: request.subscription,
            ack_ids: request.ack_ids,
            seconds: request.ack_deadline_seconds,
        };
        Ok(Response::new(self.shell.apply(command)?))
    }

    async fn acknowledge(&self, request: Request<pb::AcknowledgeRequest>) -> Result<Response<()>, Status> {
        let request = request.into_inner();
        check_size(&request)?;
        let command = acks::Acknowledge { subscription: request.subscription, ack_ids: request.ack_ids };
        Ok(Response::new(self.shell.apply(command)?))
    }

    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<pb::PullResponse>, Status> {
        let patience = client_timeout(request.metadata()).map(with_margin);
        let request = request.into_inner();
        #[expect(deprecated, reason = "clients still send return_immediately")]
        let wait = !request.return_immediately;
        let give_up = async {
            match patience {
                // The client's own deadline runs by the real clock, whatever the suite's shows.
                Some(patience) => tokio::time::sleep(patience).await,
                None => self.shell.ctx.clock.sleep(limits::PULL_WAIT).await,
            }
        };
        tokio::pin!(give_up);
        let (subscription, max_messages) = (&request.subscription, request.max_messages);
        // Again where all that there was has been filtered.
        loop {
            let command = Pull { subscription: subscription.clone(), max_messages, wait };
            let messages = match self.shell.apply(command)? {
                Pulled::Messages(messages) if messages.is_empty() => return Ok(answer(messages)),
                Pulled::Messages(messages) => messages,
                Pulled::Waiting(token) => {
                    let consumer = Consumer::new(&self.shell, token);
                    loop {
                        tokio::select! {
                            () = consumer.bell.notified() => {
                                let messages = self.shell.apply(Resume { token, max_messages })?;
                                if !messages.is_empty() {
                                    break messages;
                                }
                            }
                            () = &mut give_up => return Ok(answer(Vec::new())),
                        }
                    }
                }
            };
            let messages = match transforming::begin(&self.shell, subscription, messages) {
                Begun::Done(messages) => messages,
                Begun::UnderWay(mut work) => tokio::select! {
                    messages = work.done() => messages,
                    () = &mut give_up => return Ok(answer(Vec::new())),
                },
            };
            if !messages.is_empty() {
                return Ok(answer(messages));
            }
        }
    }

    type StreamingPullStream = ReceiverStream<Result<pb::StreamingPullResponse, Status>>;

    async fn streaming_pull(
        &self,
        request: Request<Streaming<pb::StreamingPullRequest>>,
    ) -> Result<Response<Self::StreamingPullStream>, Status> {
        Ok(Response::new(streaming::open(&self.shell, request.into_inner())))
    }

    async fn modify_push_config(&self, request: Request<pb::ModifyPushConfigRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.shell.apply(subscriptions::ModifyPushConfig(request.into_inner()))?))
    }

    async fn get_snapshot(&self, request: Request<pb::GetSnapshotRequest>) -> Result<Response<pb::Snapshot>, Status> {
        Ok(Response::new(self.shell.apply(snapshots::GetSnapshot(request.into_inner().snapshot))?))
    }

    async fn list_snapshots(
        &self,
        request: Request<pb::ListSnapshotsRequest>,
    ) -> Result<Response<pb::ListSnapshotsResponse>, Status> {
        Ok(Response::new(self.shell.apply(snapshots::ListSnapshots(request.into_inner()))?))
    }

    async fn create_snapshot(
        &self,
        request: Request<pb::CreateSnapshotRequest>,
    ) -> Result<Response<pb::Snapshot>, Status> {
        Ok(Response::new(self.shell.apply(snapshots::CreateSnapshot(request.into_inner()))?))
    }

    async fn update_snapshot(
        &self,
        request: Request<pb::UpdateSnapshotRequest>,
    ) -> Result<Response<pb::Snapshot>, Status> {
        Ok(Response::new(self.shell.apply(snapshots::UpdateSnapshot(request.into_inner()))?))
    }

    async fn delete_snapshot(&self, request: Request<pb::DeleteSnapshotRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.shell.apply(snapshots::DeleteSnapshot(request.into_inner().snapshot))?))
    }

    async fn seek(&self, request: Request<pb::SeekRequest>) -> Result<Response<pb::SeekResponse>, Status> {
        self.shell.apply(snapshots::Seek(request.into_inner()))?;
        Ok(Response::new(pb::SeekResponse {}))
    }
}

/// Refuses a request with more ids than production reads.
pub(super) fn check_size(request: &impl prost::Message) -> Result<(), Error> {
    if request.encoded_len() > limits::ACK_BYTES { Err(Error::Payload(limits::ACK_BYTES)) } else { Ok(()) }
}

fn answer(messages: Vec<Delivery>) -> Response<pb::PullResponse> {
    #[expect(clippy::needless_update, reason = "the generated message may grow")]
    Response::new(pb::PullResponse {
        received_messages: messages.into_iter().map(Delivery::into_received).collect(),
        ..Default::default()
    })
}

/// The deadline that a gRPC client has set itself: digits and a unit, as in `500m`.
fn client_timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.checked_mul(3_600)?)),
        "M" => Some(Duration::from_secs(count.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// A little less, so that an empty answer is there before the client gives up.
fn with_margin(timeout: Duration) -> Duration {
    timeout.saturating_sub((timeout / 5).min(Duration::from_millis(500)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_clients_deadline() {
        let timeout = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().expect("a value"));
            client_timeout(&metadata)
        };
        assert_eq!(timeout("500m"), Some(Duration::from_millis(500)));
        assert_eq!(timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(359_999_996_400)));
        assert_eq!(timeout("5x"), None);
        assert_eq!(timeout(""), None);
        assert_eq!(client_timeout(&MetadataMap::new()), None);
        assert_eq!(with_margin(Duration::from_secs(10)), Duration::from_millis(9_500));
    }
}
