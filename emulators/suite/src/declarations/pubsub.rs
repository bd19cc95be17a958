//! The section `[pubsub]`: schemas, topics and subscriptions, by the API's own field names.
//!
//! ```toml
//! [[pubsub.topic]]
//! name = "requests"
//!
//! [[pubsub.subscription]]
//! name = "workers"
//! topic = "requests"
//! ack_deadline_seconds = 600
//! dead_letter_policy = { dead_letter_topic = "dead", max_delivery_attempts = 5 }
//! retry_policy = { minimum_backoff = "10s", maximum_backoff = "10m" }
//! push_config = { push_endpoint = "http://127.0.0.1:9000/" }
//! ```
//! A name without a project gets the suite's; a duration is a text such as `10m`.

use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::prost_reflect::DynamicMessage;
use scrimmage_pubsub::PubSub;
use scrimmage_pubsub::service::declare::{Outcome, Resource};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::read::{Problem, Scope, tables};
use super::{DeclarationError, Declarations, Declared};

#[derive(Clone, Default, Debug)]
pub(crate) struct Section {
    pub schemas: Vec<Declared<pb::Schema>>,
    pub topics: Vec<Declared<pb::Topic>>,
    pub subscriptions: Vec<Declared<pb::Subscription>>,
}

pub(crate) fn section(scope: &Scope<'_>, value: &Spanned<DeValue<'_>>) -> Result<Section, Problem> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err(Problem::new(value.span().start, "`pubsub` is to be a table, as in [[pubsub.topic]]"));
    };
    let mut section = Section::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            name @ "schema" => {
                for (at, table) in tables("pubsub", name, value)? {
                    section.schemas.push(Declared { line: scope.line(at), value: schema(scope, at, table)? });
                }
            }
            name @ "topic" => {
                for (at, table) in tables("pubsub", name, value)? {
                    section.topics.push(Declared { line: scope.line(at), value: topic(scope, at, table)? });
                }
            }
            name @ "subscription" => {
                for (at, table) in tables("pubsub", name, value)? {
                    let value = subscription(scope, at, table)?;
                    section.subscriptions.push(Declared { line: scope.line(at), value });
                }
            }
            other => {
                return Err(Problem::unknown(key, "a list of pubsub", other, &["schema", "topic", "subscription"]));
            }
        }
    }
    Ok(section)
}

fn schema(scope: &Scope<'_>, at: usize, table: &DeTable<'_>) -> Result<pb::Schema, Problem> {
    let mut schema: pb::Schema = filled(scope, "google.pubsub.v1.Schema", at, table)?;
    needs(at, "a schema", "name", &schema.name)?;
    needs(at, "a schema", "definition", &schema.definition)?;
    schema.name = scope.full_name("schemas", &schema.name);
    Ok(schema)
}

fn topic(scope: &Scope<'_>, at: usize, table: &DeTable<'_>) -> Result<pb::Topic, Problem> {
    let mut topic: pb::Topic = filled(scope, "google.pubsub.v1.Topic", at, table)?;
    needs(at, "a topic", "name", &topic.name)?;
    topic.name = scope.full_name("topics", &topic.name);
    if let Some(settings) = &mut topic.schema_settings {
        settings.schema = scope.full_name("schemas", &settings.schema);
    }
    Ok(topic)
}

fn subscription(scope: &Scope<'_>, at: usize, table: &DeTable<'_>) -> Result<pb::Subscription, Problem> {
    let mut subscription: pb::Subscription = filled(scope, "google.pubsub.v1.Subscription", at, table)?;
    needs(at, "a subscription", "name", &subscription.name)?;
    needs(at, "a subscription", "topic", &subscription.topic)?;
    subscription.name = scope.full_name("subscriptions", &subscription.name);
    subscription.topic = scope.full_name("topics", &subscription.topic);
    if let Some(policy) = &mut subscription.dead_letter_policy {
        policy.dead_letter_topic = scope.full_name("topics", &policy.dead_letter_topic);
    }
    Ok(subscription)
}

fn needs(at: usize, what: &str, field: &str, value: &str) -> Result<(), Problem> {
    if value.is_empty() { Err(Problem::new(at, format!("{what} needs a `{field}`"))) } else { Ok(()) }
}

fn filled<M>(scope: &Scope<'_>, kind: &str, at: usize, table: &DeTable<'_>) -> Result<M, Problem>
where
    M: Default + scrimmage_protos::prost::Message,
{
    let descriptor = scrimmage_protos::pool().get_message_by_name(kind);
    let descriptor = descriptor.ok_or_else(|| Problem::new(at, format!("{kind} is not known")))?;
    let message = scope.message(&descriptor, table)?;
    message.transcode_to().map_err(|error| Problem::new(at, error.to_string()))
}

/// Makes what is declared and not there yet; notes on what is there and differs.
pub(crate) fn apply(declarations: &Declarations, pubsub: &PubSub) -> Result<Vec<String>, DeclarationError> {
    let schemas = declarations.pubsub.schemas.iter().map(|one| (one.line, Resource::Schema(one.value.clone())));
    let topics = declarations.pubsub.topics.iter().map(|one| (one.line, Resource::Topic(one.value.clone())));
    let subscriptions = &declarations.pubsub.subscriptions;
    let subscriptions = subscriptions.iter().map(|one| (one.line, Resource::Subscription(one.value.clone())));
    let mut notes = Vec::new();
    for (line, resource) in schemas.chain(topics).chain(subscriptions) {
        match pubsub.declare(resource) {
            Ok(Outcome::Created(None)) => {}
            Ok(Outcome::Created(Some(note))) => notes.push(declarations.note(line, note)),
            Ok(Outcome::Exists { declared, found }) => {
                if let Some(differences) = differences(&declared, &found) {
                    notes.push(declarations.note(line, format!("{} differs and stays: {differences}", found.name())));
                }
            }
            Err(status) => return Err(declarations.refused(line, status.message)),
        }
    }
    Ok(notes)
}

/// The fields that differ, as `field is …, declared …`.
fn differences(declared: &Resource, found: &Resource) -> Option<String> {
    let reflected = |resource: &Resource| match resource {
        Resource::Schema(schema) => reflect("google.pubsub.v1.Schema", schema),
        Resource::Topic(topic) => reflect("google.pubsub.v1.Topic", topic),
        Resource::Subscription(subscription) => reflect("google.pubsub.v1.Subscription", subscription),
    };
    let (declared, found) = (reflected(declared)?, reflected(found)?);
    let names: Vec<String> = declared
        .descriptor_fields()
        .into_iter()
        .filter(|field| declared.message.get_field(field) != found.message.get_field(field))
        .map(|field| {
            let (is, wanted) = (found.message.get_field(&field), declared.message.get_field(&field));
            format!("{} is {is}, declared {wanted}", field.name())
        })
        .collect();
    if names.is_empty() { None } else { Some(names.join("; ")) }
}

struct Reflected {
    message: DynamicMessage,
}

impl Reflected {
    fn descriptor_fields(&self) -> Vec<scrimmage_protos::prost_reflect::FieldDescriptor> {
        use scrimmage_protos::prost_reflect::ReflectMessage as _;
        self.message.descriptor().fields().collect()
    }
}

fn reflect(kind: &str, message: &impl scrimmage_protos::prost::Message) -> Option<Reflected> {
    let mut reflected = DynamicMessage::new(scrimmage_protos::pool().get_message_by_name(kind)?);
    reflected.transcode_from(message).ok()?;
    Some(Reflected { message: reflected })
}
