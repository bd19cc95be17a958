//! Update masks: which fields may change, and what happens to a path.
//!
//! A path names a whole field (`push_config`) or one step into a message field
//! (`push_config.push_endpoint`). Fields that are not in the mask stay; a field that is in the mask and
//! not in the request falls back to its default.

use scrimmage_protos::google::pubsub::v1 as pb;

use crate::texts::Error;

fn paths<'a>(mask: Option<&'a prost_types::FieldMask>, kind: &'static str) -> Result<&'a [String], Error> {
    match mask {
        Some(mask) if !mask.paths.is_empty() => Ok(&mask.paths),
        _ => Err(Error::EmptyMask(kind)),
    }
}

/// Copies the masked fields of `given` into `config`.
pub fn topic(config: &mut pb::Topic, given: &pb::Topic, mask: Option<&prost_types::FieldMask>) -> Result<(), Error> {
    const KIND: &str = "Topic";
    for path in paths(mask, KIND)? {
        match path.split('.').next().unwrap_or_default() {
            "labels" => config.labels.clone_from(&given.labels),
            "message_storage_policy" => config.message_storage_policy.clone_from(&given.message_storage_policy),
            "message_retention_duration" => config.message_retention_duration = given.message_retention_duration,
            "schema_settings" => config.schema_settings.clone_from(&given.schema_settings),
            "ingestion_data_source_settings" => {
                config.ingestion_data_source_settings.clone_from(&given.ingestion_data_source_settings);
            }
            "message_transforms" => config.message_transforms.clone_from(&given.message_transforms),
            "kms_key_name" => config.kms_key_name.clone_from(&given.kms_key_name),
            field @ ("name" | "satisfies_pzs" | "state" | "tags") => {
                return Err(Error::Immutable { kind: KIND, field: field.to_owned() });
            }
            _ => return Err(Error::UnknownField { kind: KIND, field: path.clone() }),
        }
    }
    Ok(())
}

/// The same for a subscription.
pub fn subscription(
    config: &mut pb::Subscription,
    given: &pb::Subscription,
    mask: Option<&prost_types::FieldMask>,
) -> Result<(), Error> {
    const KIND: &str = "Subscription";
    for path in paths(mask, KIND)? {
        let (field, inner) = path.split_once('.').map_or((path.as_str(), None), |(field, inner)| (field, Some(inner)));
        let unknown = || Error::UnknownField { kind: KIND, field: path.clone() };
        match (field, inner) {
            ("ack_deadline_seconds", None) => config.ack_deadline_seconds = given.ack_deadline_seconds,
            ("retain_acked_messages", None) => config.retain_acked_messages = given.retain_acked_messages,
            ("message_retention_duration", None) => {
                config.message_retention_duration = given.message_retention_duration;
            }
            ("labels", _) => config.labels.clone_from(&given.labels),
            ("enable_exactly_once_delivery", None) => {
                config.enable_exactly_once_delivery = given.enable_exactly_once_delivery;
            }
            ("message_transforms", None) => config.message_transforms.clone_from(&given.message_transforms),
            ("bigquery_config", _) => config.bigquery_config.clone_from(&given.bigquery_config),
            ("cloud_storage_config", _) => config.cloud_storage_config.clone_from(&given.cloud_storage_config),
            ("bigtable_config", _) => config.bigtable_config.clone_from(&given.bigtable_config),
            ("push_config", None) => config.push_config.clone_from(&given.push_config),
            ("push_config", Some(inner)) => {
                let from = given.push_config.clone().unwrap_or_default();
                let to = config.push_config.get_or_insert_default();
                match inner.split('.').next().unwrap_or_default() {
                    "push_endpoint" => to.push_endpoint = from.push_endpoint,
                    "attributes" => to.attributes = from.attributes,
                    "oidc_token" => to.authentication_method = from.authentication_method,
                    "pubsub_wrapper" | "no_wrapper" => to.wrapper = from.wrapper,
                    _ => return Err(unknown()),
                }
            }
            ("expiration_policy", None | Some("ttl")) => config.expiration_policy = given.expiration_policy,
            ("dead_letter_policy", None) => config.dead_letter_policy.clone_from(&given.dead_letter_policy),
            ("dead_letter_policy", Some(inner)) => {
                let from = given.dead_letter_policy.clone().unwrap_or_default();
                let to = config.dead_letter_policy.get_or_insert_default();
                match inner {
                    "dead_letter_topic" => to.dead_letter_topic = from.dead_letter_topic,
                    "max_delivery_attempts" => to.max_delivery_attempts = from.max_delivery_attempts,
                    _ => return Err(unknown()),
                }
            }
            ("retry_policy", None) => config.retry_policy = given.retry_policy,
            ("retry_policy", Some(inner)) => {
                let from = given.retry_policy.unwrap_or_default();
                let to = config.retry_policy.get_or_insert_default();
                match inner {
                    "minimum_backoff" => to.minimum_backoff = from.minimum_backoff,
                    "maximum_backoff" => to.maximum_backoff = from.maximum_backoff,
                    _ => return Err(unknown()),
                }
            }
            (
                "name"
                | "topic"
                | "filter"
                | "enable_message_ordering"
                | "detached"
                | "state"
                | "tags"
                | "topic_message_retention_duration"
                | "analytics_hub_subscription_info",
                _,
            ) => return Err(Error::Immutable { kind: KIND, field: field.to_owned() }),
            _ => return Err(unknown()),
        }
    }
    Ok(())
}

/// The same for a snapshot.
pub fn snapshot(
    config: &mut pb::Snapshot,
    given: &pb::Snapshot,
    mask: Option<&prost_types::FieldMask>,
) -> Result<(), Error> {
    const KIND: &str = "Snapshot";
    for path in paths(mask, KIND)? {
        match path.split('.').next().unwrap_or_default() {
            "labels" => config.labels.clone_from(&given.labels),
            "expire_time" => config.expire_time = given.expire_time,
            field @ ("name" | "topic") => return Err(Error::Immutable { kind: KIND, field: field.to_owned() }),
            _ => return Err(Error::UnknownField { kind: KIND, field: path.clone() }),
        }
    }
    Ok(())
}
