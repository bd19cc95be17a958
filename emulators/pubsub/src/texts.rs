//! Every error text the service answers with, and where it comes from.
//!
//! *observed*: seen in production's answers. *documented*: named on production's pages. *ours*: production
//! refuses the same request, its wording is not known.

use std::collections::BTreeMap;
use std::time::Duration;

use scrimmage_core::{Code, Detail, Status};
use thiserror::Error;

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// Observed. The last segment of the name.
    #[error("Resource not found (resource={0}).")]
    NotFound(String),
    /// Observed. The last segment of the name.
    #[error("Resource already exists in the project (resource={0}).")]
    AlreadyExists(String),
    /// Observed. The whole name.
    #[error(
        "Invalid resource name given (name={0}). Refer to \
         https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
    )]
    BadName(String),
    /// Observed for `max_messages`.
    #[error("You have passed an invalid argument to the service (argument={0}).")]
    BadArgument(&'static str),
    /// Observed. Seconds.
    #[error("Invalid ack deadline given (ack_deadline={0}). The ack deadline must be between 0 and 600 seconds.")]
    BadAckDeadline(i32),
    /// Ours, in the same shape: creation and streams ask for 10 seconds at least, as documented.
    #[error("Invalid ack deadline given (ack_deadline={0}). The ack deadline must be between 10 and 600 seconds.")]
    BadLeaseDeadline(i32),
    /// Observed.
    #[error("You have not specified an ack ID in the request.")]
    NoAckId,
    /// Observed.
    #[error("You have passed an invalid ack ID to the service (ack_id={0}).")]
    BadAckId(String),
    /// Observed.
    #[error("The value for {what} is too small. You passed {given} in the request, but the minimum value is {least}.")]
    TooSmall { what: &'static str, given: String, least: String },
    /// Observed.
    #[error("The value for {what} is too large. You passed {given} in the request, but the maximum value is {most}.")]
    TooLarge { what: &'static str, given: String, most: String },
    /// Observed.
    #[error("Request payload size exceeds the limit: {0} bytes.")]
    Payload(usize),
    /// Observed for retention; for backoffs in Google's emulator.
    #[error(
        "The value for {what} is out of bounds. You passed {given} in the request, but the value must be \
         between {least} and {most}."
    )]
    OutOfBounds { what: &'static str, given: String, least: String, most: String },
    /// Observed.
    #[error(
        "Invalid update_mask provided in the Update{kind}Request: the '{field}' field in the {kind} is not mutable."
    )]
    Immutable { kind: &'static str, field: String },
    /// Observed in Google's emulator, which writes the field without quotes.
    #[error(
        "Invalid update_mask provided in the Update{kind}Request: '{field}' is not a known {kind} field. Note that \
         field paths must be of the form 'push_config' rather than 'pushConfig'."
    )]
    UnknownField { kind: &'static str, field: String },
    /// Observed for subscriptions.
    #[error("The update_mask in the Update{0}Request must be set, and must contain a non-empty paths list.")]
    EmptyMask(&'static str),
    /// Observed: a pull on a push subscription.
    #[error("This method is not supported for this subscription type.")]
    WrongType,
    /// Observed, also in the official clients' sources.
    #[error(
        "One or more messages in the publish request is empty. Each message must contain either non-empty data, or \
         at least one attribute."
    )]
    EmptyMessage,
    /// Observed in reports on exactly-once delivery; the detail's metadata names each id.
    #[error(
        "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have \
         expired or the acknowledgement ids were malformed."
    )]
    InvalidAckIds(BTreeMap<String, &'static str>),
    /// Ours.
    #[error("The filter is invalid: {0}.")]
    BadFilter(String),
    /// Ours; documented limit.
    #[error("The filter is too long. It has {0} bytes, but the maximum is 256.")]
    LongFilter(usize),
    /// Ours; documented behaviour (FAILED_PRECONDITION).
    #[error("The subscription is detached from its topic (resource={0}).")]
    Detached(String),
    /// Ours: flow control and deadline may only come with the first request of a stream.
    #[error("The field {0} may only be set on the initial request of a streaming pull.")]
    OnlyFirst(&'static str),
    /// Ours.
    #[error("The number of modify_deadline_seconds must be that of modify_deadline_ack_ids.")]
    DeadlineCount,
    /// Observed.
    #[error(
        "Invalid push endpoint given (endpoint={0}). Refer to \
         https://cloud.google.com/pubsub/docs/subscriber#create for more information."
    )]
    BadEndpoint(String),
    /// Observed in reports; production shows no name where the key is the matter, and calls bytes characters.
    #[error(
        "The attribute \"{name}\" in the request has a {part} that is too long. The length is {given} characters, but \
         the maximum allowed is {most}. Refer to https://cloud.google.com/pubsub/quotas for more information."
    )]
    LongAttribute { name: String, part: &'static str, given: usize, most: usize },
    /// Ours; documented behaviour (FAILED_PRECONDITION).
    #[error("The snapshot would expire in less than an hour (resource={0}).")]
    ShortSnapshot(String),
    /// Ours; documented behaviour.
    #[error("The snapshot belongs to another topic than the subscription (resource={0}).")]
    ForeignSnapshot(String),
    /// Observed for Protocol Buffers with the first sentence alone; what is wrong with the definition is ours.
    #[error("Invalid schema definition: Could not parse schema. {0}")]
    BadDefinition(String),
    /// Observed, with its details. The reasons are observed for Avro, ours for Protocol Buffers.
    #[error("Invalid data in message: Message failed schema validation.")]
    SchemaViolation { reason: &'static str, revision_info: String },
    /// Ours; documented behaviour.
    #[error("The schema of the topic was deleted. Messages cannot be published until the topic has another or none.")]
    DeletedSchema,
    /// Ours; documented behaviour.
    #[error("Invalid schema definition: it is not compatible with the schema's revision {0}.")]
    Incompatible(String),
    /// Ours.
    #[error("Invalid schema definition: all revisions of a schema must have the same type.")]
    OtherType,
    /// Ours; documented limit.
    #[error("The schema has 20 revisions, the most there may be. Delete one first (resource={0}).")]
    TooManyRevisions(String),
    /// Ours; documented behaviour.
    #[error("The last revision of a schema cannot be deleted. Delete the schema instead (resource={0}).")]
    LastRevision(String),
    /// Observed, with Google's IAM in general.
    #[error("There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.")]
    ConcurrentPolicy,
    /// Observed, with Google's IAM in general.
    #[error("Permission {0} is not valid for this resource.")]
    BadPermission(String),
    /// Observed, with Google's IAM in general.
    #[error("Role {0} is not supported for this resource.")]
    BadRole(String),
    /// Observed, with Google's IAM in general.
    #[error("Invalid argument: The member {0} is of an unknown type. Please set a valid type prefix for the member.")]
    BadMember(String),
    /// Ours; documented behaviour.
    #[error("A policy with conditions must have version 3.")]
    ConditionVersion,
    /// Ours; documented behaviour.
    #[error("Invalid message transform: {0}.")]
    BadTransform(String),
    /// Ours; documented behaviour: the whole request fails.
    #[error("Failed to apply a message transform: {0}.")]
    TransformFailed(String),
    /// Ours; documented rules.
    #[error(
        "Invalid label given (key={key}, value={value}). Refer to \
         https://cloud.google.com/pubsub/docs/create-topic-labels for more information."
    )]
    BadLabel { key: String, value: String },
    /// Ours.
    #[error("The page token is invalid.")]
    BadPageToken,
    /// Observed in many reports: how production ends a stream of some age.
    #[error("The service was unable to fulfill your request. Please try again. [code=8a75]")]
    StreamOver,
    /// Ours: streams and waiting pulls when the suite is reset.
    #[error("The service was reset. Please retry.")]
    Reset,
    /// Ours, as the eleven below: production refuses the same, its wording is not known.
    #[error("A subscription has one of push_config, bigquery_config and cloud_storage_config, not several.")]
    SeveralMouths,
    /// Documented: exactly-once delivery is for pull subscriptions.
    #[error("Exactly once delivery is not supported for push subscriptions.")]
    PushExactlyOnce,
    #[error("Exactly once delivery is not supported for BigQuery subscriptions.")]
    SinkExactlyOnce,
    #[error("Invalid BigQuery table given (table={0}). It must have the form project.dataset.table.")]
    BadTable(String),
    #[error("use_topic_schema and use_table_schema cannot both be enabled.")]
    TwoSchemas,
    #[error("use_topic_schema needs a topic that has a schema.")]
    NoTopicSchema,
    #[error("The BigQuery table does not exist (table={0}).")]
    NoTable(String),
    #[error("{0}")]
    UnwritableTable(String),
    #[error("The BigQuery table has no column {column} (table={table}).")]
    NoColumn { column: String, table: String },
    #[error("The BigQuery column {column} has the type {kind}, but it must be {right}.")]
    WrongColumn { column: String, kind: String, right: String },
    #[error("The BigQuery column {0} is REQUIRED, but the subscription does not write it.")]
    RequiredColumn(String),
    /// UNIMPLEMENTED.
    #[error(
        "A Cloud Storage subscription (cloud_storage_config) is not supported: there is no Cloud Storage service yet."
    )]
    NoCloudStorage,
    /// Ours: the folder of `--data-dir` cannot be written.
    #[error("The change is not on disk: {0}.")]
    NotKept(String),
    /// What the suite has not, with what is missing.
    #[error("{0} is not supported yet.")]
    Unimplemented(&'static str),
}

impl Error {
    pub fn not_found(name: &str) -> Error {
        Error::NotFound(crate::engine::names::id(name).to_owned())
    }

    pub fn already_exists(name: &str) -> Error {
        Error::AlreadyExists(crate::engine::names::id(name).to_owned())
    }

    pub fn code(&self) -> Code {
        match self {
            Error::NotFound(_) | Error::NoTable(_) => Code::NotFound,
            Error::AlreadyExists(_) => Code::AlreadyExists,
            Error::WrongType
            | Error::Detached(_)
            | Error::ShortSnapshot(_)
            | Error::ForeignSnapshot(_)
            | Error::TooManyRevisions(_)
            | Error::LastRevision(_) => Code::FailedPrecondition,
            Error::ConcurrentPolicy => Code::Aborted,
            Error::Unimplemented(_) | Error::NoCloudStorage => Code::Unimplemented,
            Error::Reset | Error::StreamOver => Code::Unavailable,
            Error::NotKept(_) => Code::Internal,
            _ => Code::InvalidArgument,
        }
    }
}

/// The reason of the detail that an exactly-once subscription sends for ids it refuses.
pub const EXACTLY_ONCE_REASON: &str = "EXACTLY_ONCE_ACKID_FAILURE";
/// What its metadata says of an id that will never be good again.
pub const INVALID_ACK_ID: &str = "PERMANENT_FAILURE_INVALID_ACK_ID";
/// What it says of an acknowledgement before an earlier one of its key: it may be tried again.
pub const UNORDERED_ACK_ID: &str = "TRANSIENT_FAILURE_UNORDERED_ACK_ID";

/// How much such a detail may say. Production names every id, in up to 4 MB of metadata, and stock clients are set
/// up for that, but not where an environment variable sends them to an emulator: there gRPC's default of 8 KiB
/// holds, on the wire, in base 64, and a client that gets more takes it for RESOURCE_EXHAUSTED and tries again for
/// ever. What is not named has the call's status.
const ACK_DETAIL_BYTES: usize = 5 << 10;

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let status = Status::new(error.code(), error.to_string());
        match error {
            Error::InvalidAckIds(ids) => {
                let mut room = ACK_DETAIL_BYTES;
                let fits = ids.into_iter().take_while(|(id, why)| {
                    // Each entry has its own length, and its key's and value's, with their tags.
                    let bytes = id.len() + why.len() + 8;
                    room.checked_sub(bytes).inspect(|left| room = *left).is_some()
                });
                status.with_detail(Detail::ErrorInfo {
                    reason: EXACTLY_ONCE_REASON.to_owned(),
                    domain: "pubsub.googleapis.com".to_owned(),
                    metadata: fits.map(|(id, why)| (id, why.to_owned())).collect(),
                })
            }
            Error::SchemaViolation { reason, revision_info } => status.with_detail(Detail::ErrorInfo {
                reason: reason.to_owned(),
                domain: "pubsub.googleapis.com".to_owned(),
                metadata: [
                    ("message".to_owned(), "Message failed schema validation".to_owned()),
                    ("revisionInfo".to_owned(), revision_info),
                ]
                .into(),
            }),
            _ => status,
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> tonic::Status {
        Status::from(error).into()
    }
}

/// A duration as production writes it in texts: `9m59s`, `744h`, `1.5s`, `0s`; zero parts are left out.
pub fn duration(of: Duration) -> String {
    let (hours, minutes, seconds) = (of.as_secs() / 3_600, of.as_secs() / 60 % 60, of.as_secs() % 60);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    let fraction = of.subsec_nanos();
    if fraction > 0 {
        let digits = format!("{fraction:09}");
        text.push_str(&format!("{seconds}.{}s", digits.trim_end_matches('0')));
    } else if seconds > 0 || text.is_empty() {
        text.push_str(&format!("{seconds}s"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_production() {
        for (millis, text) in [
            (599_000, "9m59s"),
            (600_000, "10m"),
            (2_678_400_000, "744h"),
            (3_600_000, "1h"),
            (0, "0s"),
            (1_500, "1.5s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn invalid_ack_ids_carry_their_detail() {
        let status = Status::from(Error::InvalidAckIds([("x".to_owned(), INVALID_ACK_ID)].into()));
        assert_eq!(status.code, Code::InvalidArgument);
        let [Detail::ErrorInfo { reason, metadata, .. }] = status.details.as_slice() else {
            panic!("{status:?}");
        };
        assert_eq!(reason, EXACTLY_ONCE_REASON);
        assert_eq!(metadata.get("x").map(String::as_str), Some(INVALID_ACK_ID));
        let many = (0..1_000).map(|number| (format!("{number:038}"), INVALID_ACK_ID)).collect();
        let status = Status::from(Error::InvalidAckIds(many));
        let [Detail::ErrorInfo { metadata, .. }] = status.details.as_slice() else {
            panic!("{status:?}");
        };
        assert_eq!(metadata.len(), ACK_DETAIL_BYTES / (38 + INVALID_ACK_ID.len() + 8));
    }
}
