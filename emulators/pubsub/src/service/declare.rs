//! Resources that are to be there from the start: made where they are missing, left alone where not.

use scrimmage_core::Status;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::{PubSub, sink};
use crate::engine::transforms::{Transforms, With};
use crate::engine::{schemas, settings, subscriptions, topics};
use crate::texts::Error;

#[derive(Clone, PartialEq, Debug)]
pub enum Resource {
    Schema(pb::Schema),
    Topic(pb::Topic),
    Subscription(pb::Subscription),
}

impl Resource {
    /// The full name.
    pub fn name(&self) -> &str {
        match self {
            Resource::Schema(schema) => &schema.name,
            Resource::Topic(topic) => &topic.name,
            Resource::Subscription(subscription) => &subscription.name,
        }
    }
}

/// What became of a declaration.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// With what is to be said of it, if anything.
    Created(Option<String>),
    /// There is one of that name, which stays as it is; both with all defaults filled in.
    Exists { declared: Box<Resource>, found: Box<Resource> },
}

impl PubSub {
    /// Makes a resource that is missing. Errors are those of the call that creates it.
    pub fn declare(&self, resource: Resource) -> Result<Outcome, Status> {
        let mut note = None;
        let created = match resource.clone() {
            Resource::Schema(schema) => {
                let (parent, id) = schema.name.split_once("/schemas/").unwrap_or_default();
                let (parent, schema_id) = (parent.to_owned(), id.to_owned());
                let request = pb::CreateSchemaRequest { parent, schema_id, schema: Some(schema) };
                self.shell.apply(schemas::CreateSchema(request)).map(|_| ())
            }
            Resource::Topic(topic) => {
                let transforms = Transforms::compiled(&topic.message_transforms)?;
                self.shell.apply(With { command: topics::CreateTopic(topic), transforms }).map(|_| ())
            }
            Resource::Subscription(subscription) => {
                let transforms = Transforms::compiled(&subscription.message_transforms)?;
                note = self.missing_table(&subscription)?;
                let command = subscriptions::CreateSubscription(subscription);
                self.shell.apply(With { command, transforms }).map(|_| ())
            }
        };
        match created {
            Ok(()) => return Ok(Outcome::Created(note)),
            Err(Error::AlreadyExists(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let (declared, found) = match resource {
            Resource::Schema(mut declared) => {
                let mut request = pb::GetSchemaRequest { name: declared.name.clone(), ..Default::default() };
                request.set_view(pb::SchemaView::Full);
                let found = self.shell.apply(schemas::GetSchema(request))?;
                // What is only shown is no difference.
                declared.revision_id.clone_from(&found.revision_id);
                declared.revision_create_time = found.revision_create_time;
                (Resource::Schema(declared), Resource::Schema(found))
            }
            Resource::Topic(mut declared) => {
                settings::topic(&mut declared)?;
                let found = self.shell.apply(topics::GetTopic(declared.name.clone()))?;
                (Resource::Topic(declared), Resource::Topic(found))
            }
            Resource::Subscription(mut declared) => {
                settings::subscription(&mut declared)?;
                let found = self.shell.apply(subscriptions::GetSubscription(declared.name.clone()))?;
                // What is only shown is no difference.
                declared.topic_message_retention_duration = found.topic_message_retention_duration;
                declared.detached = found.detached;
                declared.state = found.state;
                if let (Some(declared), Some(found)) = (&mut declared.bigquery_config, &found.bigquery_config) {
                    declared.state = found.state;
                }
                (Resource::Subscription(declared), Resource::Subscription(found))
            }
        };
        Ok(Outcome::Exists { declared: Box::new(declared), found: Box::new(found) })
    }

    /// Checks the table that a subscription is to write to, as the call that creates one does, but for one that is
    /// not there: it may be made before the first message comes.
    fn missing_table(&self, subscription: &pb::Subscription) -> Result<Option<String>, Error> {
        let Some(config) = subscription.bigquery_config.as_ref().filter(|config| !config.table.is_empty()) else {
            return Ok(None);
        };
        match sink::check(&self.shell, &subscription.topic, config) {
            Ok(()) => Ok(None),
            Err(error @ Error::NoTable(_)) => Ok(Some(format!("{}: {error}", subscription.name))),
            Err(error) => Err(error),
        }
    }
}
