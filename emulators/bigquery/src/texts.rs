//! Production's error texts.
//!
//! Origin: the REST reference and error-message pages of BigQuery's documentation, and answers recorded
//! from the live service.

use scrimmage_googlesql::catalog::TablePath;

/// The only location of this suite; part of several texts.
pub const LOCATION: &str = "US";

fn colon(path: &TablePath) -> String {
    format!("{}:{}.{}", path.project, path.dataset, path.table)
}

pub fn table_not_found(path: &TablePath) -> String {
    format!("Not found: Table {} was not found in location {LOCATION}", colon(path))
}

pub fn table_gone(path: &TablePath) -> String {
    format!("Not found: Table {}", colon(path))
}

pub fn dataset_not_found(project: &str, dataset: &str) -> String {
    format!("Not found: Dataset {project}:{dataset} was not found in location {LOCATION}")
}

/// What `datasets.get` says; only jobs name the location.
pub fn dataset_gone(project: &str, dataset: &str) -> String {
    format!("Not found: Dataset {project}:{dataset}")
}

pub fn table_exists(path: &TablePath) -> String {
    format!("Already Exists: Table {}", colon(path))
}

pub fn dataset_exists(project: &str, dataset: &str) -> String {
    format!("Already Exists: Dataset {project}:{dataset}")
}

pub fn dataset_in_use(project: &str, dataset: &str) -> String {
    format!("Dataset {project}:{dataset} is still in use")
}

pub fn job_exists(project: &str, location: &str, job: &str) -> String {
    format!("Already Exists: Job {project}:{location}.{job}")
}

pub fn job_not_found(project: &str, job: &str) -> String {
    format!("Not found: Job {project}:{job}")
}

pub fn routine_not_found(project: &str, dataset: &str, routine: &str) -> String {
    format!("Not found: Routine {project}:{dataset}.{routine}")
}

pub fn policy_not_found(table: &TablePath, policy: &str) -> String {
    format!("Not found: Row access policy {}.{policy}", colon(table))
}

pub fn policy_exists(table: &TablePath, policy: &str) -> String {
    format!("Already Exists: Row access policy {}.{policy}", colon(table))
}

/// What a multi-statement transaction says where a single statement says [`serialize_conflict`].
pub fn transaction_conflict(path: &TablePath) -> String {
    format!("Transaction is aborted due to concurrent update against table {}", colon(path))
}

pub fn serialize_conflict(path: &TablePath) -> String {
    format!("Could not serialize access to table {} due to concurrent update", colon(path))
}

pub fn too_many_dml(path: &TablePath) -> String {
    format!(
        "Resources exceeded during query execution: Too many DML statements outstanding against table {}, limit is 20.",
        colon(path)
    )
}

pub fn streaming_buffer(path: &TablePath) -> String {
    format!(
        "UPDATE or DELETE statement over table {}.{}.{} would affect rows in the streaming buffer, which is not supported",
        path.project, path.dataset, path.table
    )
}

pub fn truncate_streaming_buffer(path: &TablePath) -> String {
    format!(
        "TRUNCATE TABLE statement over table {}.{}.{} would affect rows in the streaming buffer, which is not supported",
        path.project, path.dataset, path.table
    )
}

pub fn partition_filter(path: &TablePath, column: &str) -> String {
    format!(
        "Cannot query over table '{}.{}.{}' without a filter over column(s) '{column}' that can be used for partition elimination",
        path.project, path.dataset, path.table
    )
}

/// Reason `bytesBilledLimitExceeded`.
pub fn bytes_billed_exceeded(limit: u64, needed: u64) -> String {
    format!("{BYTES_BILLED}: {limit}. {needed} or higher required.")
}

/// How the text above begins.
pub const BYTES_BILLED: &str = "Query exceeded limit for bytes billed";

pub fn invalid_dataset_id(id: &str) -> String {
    format!(
        "Invalid dataset ID \"{id}\". Dataset IDs must be alphanumeric (plus underscores and dashes) and must be at most 1024 characters long."
    )
}

pub fn invalid_table_id(id: &str) -> String {
    format!(
        "Invalid table ID \"{id}\". Table IDs must be alphanumeric (plus underscores) and must be at most 1024 characters long. Also, Table decorators cannot be used."
    )
}

/// Origin: refusals that the trackers of tools that set labels show. `part` is `key` or `value`.
pub fn bad_label(part: &str, text: &str) -> String {
    format!("Label {part} \"{text}\" has invalid characters.")
}

/// Origin: answers of the live service that client libraries' issue trackers show. `kind` is `DDL` or `DML`.
pub fn no_destination(kind: &str) -> String {
    format!("Cannot set destination table in jobs with {kind} statements")
}
pub const SCRIPT_DESTINATION: &str = "configuration.query.destinationTable cannot be set for scripts";

pub const CLUSTER_FIELD: &str = "The field specified for clustering cannot be found in the schema. Invalid field: ";
/// Origin: our wording; the documentation says that only exact boundaries can be used, not how it is refused.
pub const INGESTION_TIME: &str =
    "_PARTITIONTIME must be the beginning of a partition; it cannot be any other time within one";
pub const PARTITION_FIELD: &str = "The field specified for partitioning cannot be found in the schema.";
pub const SCHEMA_UPDATE_DISPOSITION: &str = "Schema update options should only be specified with WRITE_APPEND disposition, or with WRITE_TRUNCATE disposition on a table partition.";

/// What a job says that `jobTimeoutMs` ended.
pub const JOB_TIMED_OUT: &str = "Job execution was cancelled: Job timed out";

/// Origin: our wording; the documentation tells that it is refused.
pub const LAST_POLICY: &str = "The last row access policy of a table cannot be dropped by itself, which would make all \
     rows visible: use DROP ALL ROW ACCESS POLICIES, or force over REST";

pub const INTERNAL: &str = "An internal error occurred and the request could not be completed.";

/// Origin: ours, for limits of this process alone.
pub const READ_SESSIONS_FULL: &str = "The rows of all open read sessions take too much memory; wait until some expire";
pub const HIDDEN_ROWS_FULL: &str = "Rows of write streams that are not committed or flushed take too much memory";
pub const UPLOADS_FULL: &str = "Unfinished uploads take too much memory; finish some";

/// Origin: ours, for what this emulator does not do.
pub const LEGACY_SQL: &str = "Legacy SQL is not implemented in this emulator: write GoogleSQL and set useLegacySql to \
     false (bq: --use_legacy_sql=false, or the line #standardSQL)";

pub fn format_not_implemented(format: &str) -> String {
    format!(
        "Loading {format} is not implemented in this emulator: use AVRO, PARQUET, CSV or NEWLINE_DELIMITED_JSON files"
    )
}

/// How every refusal for want of rights begins.
pub const ACCESS_DENIED: &str = "Access Denied: ";

/// Origin: our wording after `Access Denied`; the documentation asks for access to all rows for what is no query.
pub fn rows_denied(path: &TablePath) -> String {
    format!(
        "{ACCESS_DENIED}Table {}:{}.{}: User does not have access to all rows of this table, which has row access \
         policies",
        path.project, path.dataset, path.table
    )
}

pub const IMPORT_QUOTA: &str = "Quota exceeded: Your table exceeded quota for imports or query appends per table";

/// The summary of a load job that gave up on a bad NDJSON row.
pub fn json_load_failed(rows: u64, errors: u64) -> String {
    format!(
        "Error while reading data, error message: JSON table encountered too many errors, giving up. Rows: {rows}; errors: {errors}. Please look into the errors[] collection for more details."
    )
}

/// The summary of a load job that gave up on a bad CSV row.
pub fn csv_load_failed(rows: u64, errors: u64, max_bad: usize) -> String {
    format!(
        "Error while reading data, error message: CSV processing encountered too many errors, giving up. Rows: {rows}; errors: {errors}; max bad: {max_bad}; error percent: 0"
    )
}

pub const CSV_NUL: &str = "Bad character (ASCII 0) encountered.";
pub const CSV_OPEN_QUOTE: &str = "Missing close quote character (\").";
pub const CSV_AFTER_QUOTE: &str = "Data between close quote character (\") and field separator.";

/// What CSV has no place for: `kind` is `a nested schema` or `a repeated field`.
pub fn csv_nested(kind: &str, field: &str) -> String {
    format!("Cannot load CSV data with {kind}. Field: {field}")
}

/// A bad CSV row; `at` names its column, or is empty.
pub fn csv_row(what: &str, line: usize, offset: usize, at: &str) -> String {
    format!(
        "Error while reading data, error message: {what}; line_number: {line} byte_offset_to_start_of_line: {offset}{at}"
    )
}

// ---------------------------------------------------------------- Storage Read API
// Origin: answers of the live service that client libraries' issue trackers show; the rest is worded alike.

pub const DATA_FORMAT: &str = "request failed: data format unspecified";
pub const NEGATIVE_STREAMS: &str = "request failed: the number of requested streams must not be negative";
pub const MIN_OVER_MAX_STREAMS: &str =
    "request failed: preferred_min_stream_count must be less than or equal to max_stream_count";
pub const NEGATIVE_OFFSET: &str = "request failed: offset must not be negative";
pub const SPLIT_FRACTION: &str = "request failed: fraction must be between 0 and 1, exclusive";
pub const SAMPLE_PERCENTAGE: &str = "request failed: sample_percentage must be between 0 and 100";

pub fn bad_resource(field: &str, value: &str) -> String {
    format!("Invalid resource field value in the request: {field} \"{value}\"")
}

pub fn row_restriction_too_long(limit: usize) -> String {
    format!("read_session.read_options.row_restriction exceeded maximum allowed length. Maximum bytes allowed: {limit}")
}

pub fn read_query_error(message: &str) -> String {
    format!("request failed: Query error: {message}")
}

pub fn unknown_selected_fields(fields: &[&str]) -> String {
    format!("request failed: The following selected fields do not exist in the table schema: {}", fields.join(", "))
}

pub fn read_of_view(path: &TablePath) -> String {
    format!("request failed: {} is a view; only tables can be read", colon(path))
}

pub fn read_offset_unallocated(offset: usize) -> String {
    format!("offset {offset} has not been allocated yet")
}

pub fn read_stream_not_found(name: &str) -> String {
    format!("Not found: Stream {name}")
}

pub fn read_session_expired(name: &str, at: scrimmage_core::Timestamp) -> String {
    format!("there was an error operating on '{name}': session expired at {at}")
}

// ---------------------------------------------------------------- Storage Write API
// Origin: answers of the live service that client libraries' issue trackers show; the rest is worded alike.

pub const STREAM_FINALIZED: &str = "Stream has been finalized and cannot be appended.";
pub const STREAM_COMMITTED: &str = "Stream has already been committed.";
pub const STREAM_NOT_FINALIZED: &str = "Stream must be finalized before it can be committed.";
pub const STREAM_NOT_PENDING: &str = "Only a stream of type PENDING can be committed.";
pub const STREAM_NOT_BUFFERED: &str = "Only a stream of type BUFFERED can be flushed.";
pub const STREAM_TYPE: &str = "The stream type must be COMMITTED, PENDING or BUFFERED.";
pub const NO_WRITE_STREAM: &str = "The first request of a connection must name the write stream.";
pub const NO_WRITER_SCHEMA: &str = "The first request of a connection must have a writer schema.";
pub const STREAM_SWITCH: &str = "A connection to a stream that is not the default one cannot switch to another.";
pub const DEFAULT_OFFSET: &str = "The default stream takes no offsets.";
pub const DEFAULT_FINALIZE: &str = "The default stream cannot be finalized, committed or flushed.";
pub const NO_ROWS: &str = "The request has no rows.";
pub const REQUESTED_ENTITY: &str = "Requested entity was not found.";
pub const ROW_ERRORS: &str = "Errors found while processing rows. Please refer to the row_errors field for details. The list may not be complete because of the size limitations.";
pub const CHANGE_COLUMNS: &str = "Change data capture (_CHANGE_TYPE) is not implemented in this emulator";

/// The resource that an error is about, behind its text.
pub fn with_entity(text: &str, entity: &str) -> String {
    format!("{text} Entity: {entity}")
}

pub fn offset_exists(expected: i64, received: i64) -> String {
    format!("The offset is within stream, expected offset {expected}, received {received}")
}

pub fn offset_beyond(expected: i64, received: i64) -> String {
    format!("The offset is beyond stream, expected offset {expected}, received {received}")
}

pub fn flush_beyond(offset: i64) -> String {
    format!("Offset {offset} is beyond the end of the stream")
}

pub fn flush_again(offset: i64) -> String {
    format!("Offset {offset} has already been flushed")
}

pub fn append_too_large(size: usize, limit: usize) -> String {
    format!("AppendRows request too large: {size} limit {limit}")
}

pub fn extra_fields(fields: &[String]) -> String {
    format!("Input schema has more fields than BigQuery schema, extra fields: '{}'", fields.join(","))
}

pub fn proto_mismatch(at: &str, proto: &str, column: &str) -> String {
    format!(
        "The proto field mismatched with BigQuery field at {at}, the proto field type {proto}, BigQuery field type {column}"
    )
}

pub fn invalid_proto_schema(why: &str) -> String {
    format!("Invalid proto schema: {why}")
}

pub const STREAM_TWICE: &str = "The stream is named twice.";

pub fn write_to_view(path: &TablePath) -> String {
    format!("{} is not a table that can be written to", colon(path))
}

// ---------------------------------------------------------------- Loads and extracts

pub fn uri_not_found(uri: &str) -> String {
    format!("Not found: URI {uri}")
}

/// The service's own: production has Cloud Storage behind it.
pub fn no_gcs_folder(uri: &str) -> String {
    format!("Not found: URI {uri} (no folder stands for Cloud Storage: start with --gcs-folder FOLDER)")
}

pub fn not_a_gs_uri(uri: &str) -> String {
    format!("Source URI must be a Google Cloud Storage location: {uri}")
}

pub fn bad_uri(uri: &str) -> String {
    format!("Invalid Google Cloud Storage URI: {uri}")
}

/// Files that a query cannot read; `why` is how a load would put it.
pub fn external_failed(path: &TablePath, why: &str) -> String {
    let why = why.strip_prefix("Error while reading data, error message: ").unwrap_or(why);
    format!("Error while reading table: {}.{}.{}, error message: {why}", path.project, path.dataset, path.table)
}

pub const ORC: &str = "Loading ORC";
pub const NESTED_CSV: &str = "Operation cannot be performed on a nested schema. Field: ";
pub const EXTRACT_TOO_LARGE: &str =
    "Operation cannot be performed on a single file that large: use a URI with a wildcard (*)";

pub fn file_load_failed(why: &str) -> String {
    format!("Error while reading data, error message: {why}")
}

pub fn bad_compression(compression: &str, format: &str) -> String {
    format!("Compression type {compression} is not supported for format {format}")
}

pub fn extract_view(path: &TablePath) -> String {
    format!("{} is not allowed for this operation because it is currently a VIEW.", colon(path))
}

pub fn export_taken(uri: &str) -> String {
    format!("Invalid EXPORT DATA: files exist at {uri}; set overwrite=true to replace them")
}
