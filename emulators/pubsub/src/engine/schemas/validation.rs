//! Publishing to a topic with a schema.

use std::sync::Arc;

use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::Encoding;

use super::super::{Engine, TopicId};
use super::definition::Definition;
use super::{DELETED_SCHEMA, Revision, Schema};
use crate::texts::Error;

/// What production says on each message of the schema that it was held against: `JSON` or `BINARY`, the schema's
/// full name, and the revision's id.
pub const ENCODING_ATTRIBUTE: &str = "googclient_schemaencoding";
pub const NAME_ATTRIBUTE: &str = "googclient_schemaname";
pub const REVISION_ATTRIBUTE: &str = "googclient_schemarevisionid";

impl Schema {
    /// The revisions that a topic's settings allow, newest first.
    fn allowed(&self, settings: &pb::SchemaSettings) -> impl Iterator<Item = &Revision> {
        let bound = |id: &str| self.order.get(id).copied();
        let (first, last) = (bound(&settings.first_revision_id), bound(&settings.last_revision_id));
        self.revisions.iter().rev().filter(move |revision| {
            first.is_none_or(|first| first <= revision.order) && last.is_none_or(|last| revision.order <= last)
        })
    }
}

/// What production says of the last revision that a message was held against.
pub fn revision_info(schema: &str, revision: &str, why: &str) -> String {
    format!(
        "Could not validate message with any schema revision for schema: {schema}, last checked revision: \
         revision_id={revision} failed with status: {why}"
    )
}

impl Engine {
    /// Checks the schema settings of a topic that is made or changed.
    pub(in super::super) fn check_schema_settings(&self, topic: &pb::Topic) -> Result<(), Error> {
        let Some(settings) = &topic.schema_settings else { return Ok(()) };
        if settings.schema == DELETED_SCHEMA {
            return Ok(());
        }
        let schema = self.schema(&settings.schema)?;
        if settings.encoding() == Encoding::Unspecified {
            return Err(Error::BadArgument("schema_settings.encoding"));
        }
        let order = |id: &str| match id {
            "" => Ok(None),
            id => match schema.order.get(id) {
                Some(order) => Ok(Some(*order)),
                None => Err(super::revision_not_found(&settings.schema, id)),
            },
        };
        match (order(&settings.first_revision_id)?, order(&settings.last_revision_id)?) {
            (Some(first), Some(last)) if first > last => Err(Error::BadArgument("schema_settings.first_revision_id")),
            _ => Ok(()),
        }
    }

    /// The newest definition that a topic's settings allow.
    pub fn topic_definition(&self, settings: &pb::SchemaSettings) -> Option<Arc<Definition>> {
        let schema = self.schemas.get(&settings.schema)?;
        schema.allowed(settings).next().map(|revision| revision.definition.clone())
    }

    /// The schema settings of a topic.
    pub fn topic_schema(&self, topic: &str) -> Option<&pb::SchemaSettings> {
        self.topics.get(self.topic_names.get(topic)?)?.config.schema_settings.as_ref()
    }

    /// Holds messages against the schema of their topic and says on each which revision it fits. One that
    /// fits none fails them all.
    pub(in super::super) fn apply_schema(
        &self,
        topic: TopicId,
        messages: &mut [pb::PubsubMessage],
    ) -> Result<(), Error> {
        let Some(settings) = self.topics.get(&topic).and_then(|topic| topic.config.schema_settings.as_ref()) else {
            return Ok(());
        };
        let schema = self.schemas.get(&settings.schema).ok_or(Error::DeletedSchema)?;
        let encoding = settings.encoding();
        for message in messages {
            let mut refused = Error::DeletedSchema;
            let mut fits = None;
            for revision in schema.allowed(settings) {
                match revision.definition.read(encoding, &message.data) {
                    Ok(_) => {
                        fits = Some(revision);
                        break;
                    }
                    Err(why) => {
                        refused = Error::SchemaViolation {
                            reason: revision.definition.violation(encoding),
                            revision_info: revision_info(&settings.schema, &revision.config.revision_id, &why),
                        };
                    }
                }
            }
            let revision = fits.ok_or(refused)?;
            for (key, value) in [
                (ENCODING_ATTRIBUTE, encoding.as_str_name()),
                (NAME_ATTRIBUTE, &settings.schema),
                (REVISION_ATTRIBUTE, &revision.config.revision_id),
            ] {
                message.attributes.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}
