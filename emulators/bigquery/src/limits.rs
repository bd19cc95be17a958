//! BigQuery's limits that this service enforces, from its "Quotas and limits" page.

use std::time::Duration;

/// Mutating DML statements that run at once on one table; further ones wait.
pub const DML_RUNNING: usize = 2;
/// Mutating DML statements that may wait for one table; one more fails.
pub const DML_QUEUED: usize = 20;
/// How often the service itself runs a DML statement again that met a concurrent change.
pub const DML_ATTEMPTS: usize = 3;
/// How far back `FOR SYSTEM_TIME AS OF` reaches.
pub const TIME_TRAVEL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Versions of one table kept for time travel; ours, to bound memory: the oldest go first.
pub const VERSIONS_KEPT: usize = 4_000;
/// Dropped tables of one dataset that can be brought back within that time, and datasets; ours, to bound memory.
pub const DROPPED_KEPT: usize = 1_000;
/// Memory that past versions and dropped tables may take together, and deleted datasets, in bytes; ours: the
/// oldest go first, except those of the next two.
pub const PAST_BYTES: usize = 16 << 20;
/// A table's newest versions stay whatever they take: the current one, and those just before it.
pub const VERSIONS_ANYWAY: usize = 4;
/// A dataset's newest dropped tables stay whatever they take, and the newest deleted datasets.
pub const DROPPED_ANYWAY: usize = 8;
/// How long rows of `tabledata.insertAll` cannot be changed by DML.
pub const STREAMING_BUFFER: Duration = Duration::from_secs(90 * 60);
/// How long an `insertId` is remembered, best effort in production too.
pub const INSERT_ID_MEMORY: Duration = Duration::from_secs(60);
/// How long the anonymous table with a query's result lives.
pub const RESULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Jobs remembered; ours, to bound memory (production: six months).
pub const JOBS_KEPT: usize = 10_000;
/// Memory that remembered query results may take, in bytes; ours, the oldest go first.
pub const RESULT_BYTES_KEPT: usize = 256 << 20;
/// Rows one page of results holds at most.
pub const PAGE_ROWS: usize = 100_000;
/// Bytes that one page of results holds, roughly.
pub const PAGE_BYTES: usize = 10 << 20;
/// Rows of one `tabledata.insertAll` request.
pub const INSERT_ALL_ROWS: usize = 50_000;
/// A query's text, resolved: 1 MiB unresolved standard SQL.
pub const QUERY_BYTES: usize = 1 << 20;
/// What a media upload may hold here.
pub const UPLOAD_BYTES: usize = 1 << 30;
/// Memory one statement may take for intermediate results before it fails with "Resources exceeded".
pub const STATEMENT_BYTES: usize = 768 << 20;
/// Bytes are billed in whole megabytes, as the pricing page says.
pub const BILLING_UNIT: u64 = 1 << 20;
/// A query is billed at least so many bytes for each table that it refers to.
pub const BILLED_AT_LEAST: u64 = 10 << 20;
/// How long a `requestId` of jobs.query stands for the job that it began.
pub const REQUEST_ID_MEMORY: Duration = Duration::from_secs(15 * 60);
/// Load jobs and query appends that one table takes a day.
pub const IMPORTS_A_DAY: u32 = 1_500;
/// The longest `row_restriction` of a read session.
pub const ROW_RESTRICTION_BYTES: usize = 1 << 20;
/// How long a read session lives.
pub const READ_SESSION: Duration = Duration::from_secs(6 * 3600);
/// Memory that the rows of open read sessions may take together; ours.
pub const READ_SESSION_BYTES: usize = 2 << 30;
/// How long a write stream lives that nobody uses; ours.
pub const WRITE_STREAM: Duration = Duration::from_secs(7 * 24 * 3600);
/// Memory that rows of pending and buffered streams may take before they are visible; ours.
pub const HIDDEN_ROWS_BYTES: usize = 1 << 30;
/// How long a resumable upload may take: a week.
pub const UPLOAD_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes that unfinished uploads may have sent together; ours.
pub const UPLOADS_BYTES: usize = 4 << 30;
/// Streams of one read session at most.
pub const READ_STREAMS: usize = 1_000;
/// A session gets one stream for so many rows; ours.
pub const ROWS_PER_STREAM: usize = 100_000;
/// One ReadRows answer holds about so many bytes, and at most so many rows; ours.
pub const READ_RESPONSE_BYTES: usize = 1 << 20;
pub const READ_RESPONSE_ROWS: usize = 16_384;
/// What a gRPC message may hold before anybody looks at it; the services' own limits are lower.
pub const STORAGE_MESSAGE_BYTES: usize = 64 << 20;
/// The largest AppendRows request, in bytes.
pub const APPEND_BYTES: usize = 10 << 20;
/// Bad rows that one AppendRows answer lists.
pub const ROW_ERRORS_LISTED: usize = 100;
/// Extracts begin another file when one holds about so many bytes of memory.
pub const EXTRACT_FILE_BYTES: usize = 512 << 20;
