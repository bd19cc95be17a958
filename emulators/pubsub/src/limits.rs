//! Production's limits and defaults, as documented on the quotas page and in the API reference.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Messages in one publish request.
pub const PUBLISH_MESSAGES: usize = 1_000;
/// Bytes of one publish request, counted on the encoded request.
pub const PUBLISH_BYTES: usize = 10_000_000;
/// Bytes of any request; larger ones are refused before they are looked at.
pub const REQUEST_BYTES: usize = 10_485_760;
/// What a connection accepts at all, so that a request over [`REQUEST_BYTES`] gets its own text.
pub const DECODE_BYTES: usize = 64 << 20;
/// Attributes of one message.
pub const ATTRIBUTES: usize = 100;
/// Bytes of an attribute's key.
pub const ATTRIBUTE_KEY_BYTES: usize = 256;
/// Bytes of an attribute's value.
pub const ATTRIBUTE_VALUE_BYTES: usize = 1_024;
/// Bytes of an ordering key.
pub const ORDERING_KEY_BYTES: usize = 1_024;
/// Bytes of a subscription's filter.
pub const FILTER_BYTES: usize = 256;
/// Bytes of a schema's definition.
pub const SCHEMA_BYTES: usize = 300_000;
/// Revisions of a schema at a time.
pub const SCHEMA_REVISIONS: usize = 20;
/// Transforms of a topic or subscription.
pub const TRANSFORMS: usize = 5;
/// Bytes of a transform's code.
pub const TRANSFORM_CODE_BYTES: usize = 20_000;
/// How long a transform may take for one message.
pub const TRANSFORM_TIME: Duration = Duration::from_millis(500);
/// How long deliveries are held back for transforms before what is done goes out. Ours: well below any deadline.
pub const TRANSFORM_SLICE: Duration = Duration::from_secs(1);
/// Labels of a resource.
pub const LABELS: usize = 64;
/// Characters of a label's key or value.
pub const LABEL_CHARS: usize = 63;
/// Nesting of a filter. Ours: 256 bytes cannot need more, and the parser recurses.
pub const FILTER_DEPTH: usize = 64;
/// Shortest and longest resource id.
pub const ID_CHARS: std::ops::RangeInclusive<usize> = 3..=255;

/// Deadline of a subscription that names none, seconds.
pub const DEFAULT_ACK_DEADLINE_SECONDS: i32 = 10;
/// Least deadline of a subscription or stream, seconds.
pub const MIN_ACK_DEADLINE_SECONDS: i32 = 10;
/// Greatest deadline, seconds.
pub const MAX_ACK_DEADLINE_SECONDS: i32 = 600;

/// Retention of a subscription that names none: 7 days.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * DAY);
pub const MIN_RETENTION: Duration = Duration::from_secs(10 * MINUTE);
/// 31 days, for topics and subscriptions alike.
pub const MAX_RETENTION: Duration = Duration::from_secs(31 * DAY);

/// Lifetime of an unused subscription that names none: 31 days.
pub const DEFAULT_EXPIRATION: Duration = Duration::from_secs(31 * DAY);
pub const MIN_EXPIRATION: Duration = Duration::from_secs(DAY);

pub const DEFAULT_DELIVERY_ATTEMPTS: i32 = 5;
pub const DELIVERY_ATTEMPTS: std::ops::RangeInclusive<i32> = 5..=100;

pub const DEFAULT_MIN_BACKOFF: Duration = Duration::from_secs(10);
pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(600);
pub const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// A snapshot lives 7 days less the age of its oldest unacknowledged message, and must have an hour left.
pub const SNAPSHOT_LIFETIME: Duration = Duration::from_secs(7 * DAY);
pub const SNAPSHOT_MIN_LIFETIME: Duration = Duration::from_secs(HOUR);

/// Bytes of one request that acknowledges or moves deadlines, unary or on a stream.
pub const ACK_BYTES: usize = 524_288;
/// How long a streaming pull lives before it is closed with a retryable status.
pub const STREAM_LIFETIME: Duration = Duration::from_secs(30 * MINUTE);

/// Messages in one pull answer or one stream response, whatever was asked for.
pub const PULL_MESSAGES: usize = 1_000;
/// Bytes after which a pull answer or a stream response is closed. Ours: production's is not documented.
pub const RESPONSE_BYTES: usize = 2 << 20;
/// Length of a page when the request names none, and its upper bound. Ours: production's is not documented.
pub const PAGE: usize = 100;
pub const MAX_PAGE: usize = 1_000;

/// How long an empty unary pull waits when the client sets no deadline of its own. Ours.
pub const PULL_WAIT: Duration = Duration::from_secs(90);

/// Concurrent pushes a subscription starts with; production says "a small single-digit" window.
pub const PUSH_WINDOW_START: u32 = 8;
/// The window doubles a round trip up to here, and grows by one a window of successes after.
pub const PUSH_WINDOW_KNEE: u32 = 3_000;
/// A slower answer than this counts as one that does not widen the window exponentially.
pub const PUSH_FAST: Duration = Duration::from_secs(1);
/// Backoff of the whole subscription after failed pushes: 100 ms, doubling, to 60 s.
pub const PUSH_BACKOFF_MIN: Duration = Duration::from_millis(100);
pub const PUSH_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Bytes of an endpoint's answer that are read, to use its connection again. Ours.
pub const PUSH_ANSWER_BYTES: usize = 1 << 20;
/// How old a push's token may be. Ours: production says up to an hour.
pub const PUSH_TOKEN_AGE: Duration = Duration::from_secs(5 * MINUTE);
/// Messages and bytes of one write to a BigQuery subscription's table. Ours.
pub const SINK_MESSAGES: usize = 500;
pub const SINK_BYTES: usize = 4 << 20;
/// How long such a write may take before its messages count as failed. Ours.
pub const SINK_LEASE: Duration = Duration::from_secs(600);
/// How long the suite keeps listening to an endpoint whose delivery has timed out already, so that
/// its handler is not cut off (Cloud Run does not cut it off either).
pub const PUSH_HANG: Duration = Duration::from_secs(HOUR);
