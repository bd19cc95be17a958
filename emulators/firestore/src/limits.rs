//! Production's documented limits ("Usage and limits") and the times that govern contention.

use std::time::Duration;

/// Bytes of a document, by the documented size formula.
pub const DOCUMENT_BYTES: usize = 1_048_576;
/// Bytes of a field name, and of a field path.
pub const FIELD_NAME_BYTES: usize = 1_500;
/// Bytes of a string or bytes value.
pub const VALUE_BYTES: usize = 1_048_487;
/// Levels of maps and arrays within a document.
pub const NESTING: usize = 20;
/// Segments of a field path.
pub const FIELD_PATH_SEGMENTS: usize = 20;
/// Bytes of a document or collection id.
pub const ID_BYTES: usize = 1_500;
/// Bytes of a document's whole path.
pub const NAME_BYTES: usize = 6_144;
/// Segments of a document's path: 100 levels of collections.
pub const PATH_SEGMENTS: usize = 200;
/// Field transformations on one document in one write.
pub const TRANSFORMS: usize = 500;
/// Bytes of the writes in one commit: the documented 10 MiB.
pub const COMMIT_BYTES: usize = 10 * 1024 * 1024;
/// Bytes of a request: what production's front end lets through.
pub const REQUEST_BYTES: usize = 11_534_336;
/// What our transport lets through: more than [`REQUEST_BYTES`], so that our own check answers.
pub const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// Disjunctions of a query after normalisation.
pub const DISJUNCTIONS: usize = 30;
/// Disjunctions that a product of disjunctions may come to before they are counted (seen on the emulator).
pub const DISJUNCTIONS_BUILT: usize = 2 * DISJUNCTIONS;
/// Filters, orders and the ancestor of a query together ("Query limitations").
pub const QUERY_PARTS: usize = 100;
/// Values of a `not-in`.
pub const NOT_IN_VALUES: usize = 10;
/// Aggregations of a query.
pub const AGGREGATIONS: usize = 5;
/// Numbers of a vector.
pub const VECTOR_DIMENSIONS: usize = 2_048;
/// Results of a nearest-neighbour search.
pub const NEAREST_RESULTS: i32 = 1_000;
/// Index entries of a document.
pub const INDEX_ENTRIES: usize = 40_000;
/// Bytes of an entry of a composite index: 7.5 KiB.
pub const INDEX_ENTRY_BYTES: usize = 7_680;
/// Bytes of a value that an index entry has; more is cut off.
pub const INDEXED_VALUE_BYTES: usize = 1_500;
/// Fields with ranges or other inequalities in a query.
pub const INEQUALITY_FIELDS: usize = 10;
/// Composite indexes of a database with billing.
pub const COMPOSITE_INDEXES: usize = 1_000;
/// Fields of a composite index.
pub const INDEX_FIELDS: usize = 100;
/// Nested filters of a query; deeper input is refused before it is walked.
pub const FILTER_DEPTH: usize = 100;

/// A transaction ends when nothing has used it for this long.
pub const TRANSACTION_IDLE: Duration = Duration::from_secs(60);
/// A transaction ends this long after its beginning in any case.
pub const TRANSACTION_TOTAL: Duration = Duration::from_secs(270);
/// How long a commit without a transaction waits behind read locks.
pub const PLAIN_COMMIT_WAIT: Duration = Duration::from_secs(20);
/// How far back reads may look, and how long old versions are kept.
pub const VERSION_RETENTION: Duration = Duration::from_secs(3_600);
/// Memory that old versions may take together, in bytes, roughly; ours: the oldest go before their time. A
/// large document that is written thousands of times would take gigabytes, and a load test never stop growing.
pub const VERSIONS_BYTES: usize = 32 << 20;
/// How far back a resume token may point.
pub const RESUME_RETENTION: Duration = Duration::from_secs(1_800);
/// How long an expired document that a transaction holds is left alone before the next try.
pub const EXPIRY_RETRY: Duration = Duration::from_secs(1);
/// Events that wait for a listener's client, besides the first states of its targets. Ours: each may
/// hold a version of a document that is needed for nothing else.
pub const LISTENER_BACKLOG: usize = 50_000;
/// How long after the time in its field a document may be meant to expire, by the admin API's protos.
pub const EXPIRATION_OFFSET: Duration = Duration::from_secs(2_147_483_647);
