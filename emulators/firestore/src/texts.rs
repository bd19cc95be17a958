//! Production's error texts, each with where it is known from.
//!
//! "Service": seen in answers of the live service, as quoted in public issue reports. "Emulator":
//! seen on Google's emulator and not contradicted by anything known of the service.

use crate::limits;

/// Service. A transaction lost against an older one.
pub const CONTENTION: &str = "Aborted due to cross-transaction contention. This occurs when multiple transactions \
    attempt to access the same data, requiring Firestore to abort at least one in order to enforce serializability.";
/// Service. A plain commit waited too long.
pub const TOO_MUCH_CONTENTION: &str = "Too much contention on these documents. Please try again.";
/// Service and emulator. A transaction id that the service never gave out.
pub const INVALID_TRANSACTION: &str = "Invalid transaction.";
/// Service. Client libraries look for "transaction has expired" in it and begin anew.
pub const TRANSACTION_EXPIRED: &str = "The referenced transaction has expired or is no longer valid.";
/// Emulator.
pub const READ_ONLY_TRANSACTION: &str = "Cannot modify entities in a read-only transaction.";
/// Service. The writes of one commit exceed 10 MiB.
pub const TRANSACTION_TOO_BIG: &str = "Transaction too big. Decrease transaction size.";
/// Service. The front end's own limit lies a little above the documented 10 MiB.
pub const PAYLOAD_TOO_LARGE: &str = "Request payload size exceeds the limit: 11534336 bytes.";
/// Emulator.
pub const READ_TIME_TOO_OLD: &str = "The requested 'read_time' is too old.";
/// Emulator.
pub const READ_TIME_IN_FUTURE: &str = "The requested 'read_time' cannot be in the future.";
/// Emulator.
pub const TIME_TOO_PRECISE: &str = "timestamp cannot have more than microseconds precision";
/// Emulator. `operation` is "transform" or "delete", `part` "document mask" or "update transform".
pub fn must_not_specify(operation: &str, part: &str) -> String {
    format!("a {operation} must not specify a {part}.")
}

/// Emulator.
pub const EMPTY_WRITE: &str = "empty write operation";
/// Emulator.
pub const EMPTY_TRANSFORM: &str = "Operation type must be specified for field transformation.";
/// Emulator.
pub const NO_TRANSFORMS: &str = "The list of FieldTransform must not be empty.";
/// Emulator.
pub const NOT_A_NUMBER: &str = "Input must be int64 or double.";
/// Emulator.
pub const EMPTY_FIELD_NAME: &str = "The property.name is the empty string.";
/// Emulator.
pub const LONG_FIELD_NAME: &str = "The property.name is longer than 1500 bytes.";
/// Emulator.
pub const EMPTY_FIELD_PATH: &str = "Invalid empty property path string.";
/// Emulator.
pub const LONG_FIELD_PATH: &str = "property path is longer than 1500 bytes.";
/// Emulator.
pub const ARRAY_IN_ARRAY: &str = "Cannot convert an array value in an array value.";
/// Emulator.
pub const VECTOR_IN_ARRAY: &str = "Cannot convert a vector value in an array value.";
/// Emulator.
pub const VALUE_UNSET: &str = "Cannot convert firestore.v1.Value with type unset.";
/// Emulator.
pub const LONG_ID: &str = "The key path element name is longer than 1500 bytes.";
/// Emulator.
pub const SAME_DOCUMENT_TWICE: &str = "the same document cannot be written more than once in a single request";
/// Emulator.
pub const NAME_MUST_NOT_BE_SET: &str = "document.name must not be set";
/// Emulator.
pub const NEGATIVE_PAGE_SIZE: &str = "Page size must be nonnegative.";
/// Emulator.
pub const NEGATIVE_PAGE_SIZE_OF_IDS: &str = "page_size must be greater than or equal to zero.";
/// Emulator.
pub const BAD_PAGE_TOKEN: &str = "invalid page token";

/// Emulator.
pub const NEGATIVE_LIMIT: &str = "limit is negative";
/// Emulator.
pub const NEGATIVE_OFFSET: &str = "offset is negative";
/// Emulator.
pub const ONE_NEGATION: &str =
    "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed per query.";
/// Emulator.
pub const NOT_IN_ALONE: &str = "'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'.";
/// Emulator.
pub const ONE_ARRAY_CONTAINS: &str = "A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.";
/// Emulator.
pub const ORDER_AFTER_NAME: &str = "order by clause cannot contain more fields after the key";
/// Emulator.
pub const CURSOR_TOO_LONG: &str = "Cursor has too many values.";
/// Emulator.
pub const EQUALITY_ON_NAME: &str =
    "Equality on key is not allowed if there are other inequality fields and key does not appear in inequalities.";
/// Service and emulator.
pub const NAME_MUST_BE_REFERENCE: &str = "__key__ filter value must be a Key";
/// Emulator.
pub const EMPTY_COMPOSITE: &str = "Composite filter must have at least one sub-filter.";
/// Emulator.
pub const RESERVED_NAME: &str = "the name __key__ is reserved";
/// Ours.
pub const DATASTORE_CONCURRENCY: &str = "OPTIMISTIC_WITH_ENTITY_GROUPS is for databases in Datastore mode.";
/// Emulator.
pub const BAD_COMPOSITE_OPERATOR: &str = "Unsupported CompositeFilter operator.";
/// Emulator.
pub const BAD_FIELD_OPERATOR: &str = "Unknown FieldFilter operator.";
/// In the manner of the one for field filters.
pub const BAD_UNARY_OPERATOR: &str = "Unknown UnaryFilter operator.";
/// Emulator.
pub const EMPTY_FILTER: &str = "Unknown Filter type.";
/// Emulator.
pub const GROUP_BELOW_DOCUMENT: &str = "collection group queries are only allowed at the root parent";
/// Emulator.
pub const KIND_REQUIRED_FOR_ORDER: &str = "kind is required for all orders except __key__ ascending";
/// Ours: guards recursion; production's limit on filters is met before.
pub const FILTER_TOO_DEEP: &str = "Filters are nested too deeply.";
/// Emulator.
pub const ONE_COLLECTION: &str = "StructuredQuery.from cannot have more than one collection selector.";
/// Emulator.
pub const SECONDS_OUT_OF_RANGE: &str = "Timestamp seconds exceeds limit for field.";
/// Emulator.
pub const NANOS_OUT_OF_RANGE: &str = "Timestamp nanos exceeds limit for field.";
/// Emulator.
pub const KEY_TOO_LONG: &str = "Key path is too long. Cannot exceed 100 elements.";
/// Emulator.
pub const LONG_PATH: &str = "paths must have at most 20 elements";
/// Emulator.
pub const EMPTY_VECTOR: &str = "Cannot have a zero length vector.";
/// Emulator.
pub const VECTOR_WITH_MORE: &str = "Vector Value map has extraneous entries.";
/// Emulator.
pub const NO_SERVER_VALUE: &str = "ServerValue type must be specified for set_to_server_value transformation.";
/// Ours: production's text for pipeline expressions in stored values is not known.
pub const PIPELINE_VALUE: &str = "Value type is only allowed in pipeline expressions.";
/// Emulator.
pub const NO_DISTANCE_MEASURE: &str = "Unknown Distance Measure.";
/// Emulator.
pub const NOT_A_VECTOR: &str = "Query Value must be of type vector.";
/// Emulator.
pub const VECTOR_TOO_LONG: &str = "Vectors must be at most 2048 dimensions.";
/// Emulator.
pub const VECTOR_OF_DOUBLES: &str = "Vector must only contain values of type 'double'";
/// Emulator.
pub const VECTOR_WITHOUT_VALUE: &str = "Vector map is missing key 'value'.";
/// Emulator.
pub const NEAREST_LIMIT: &str = "FindNearest.limit must be a positive integer of no more than 1000";
/// Service: the part that client test suites quote.
pub const PIPELINE_ON_STANDARD: &str = "Pipeline queries are only allowed on ENTERPRISE mode databases.";
/// Ours.
pub const NO_PIPELINE: &str = "A structured pipeline is required.";

/// Ours: the explain mode that is missing.
pub fn explain_mode(mode: &str) -> String {
    format!("Scrimmage does not have explain mode \"{mode}\" for pipelines, only \"analyze\".")
}

/// Ours.
pub fn pipeline_option(name: &str) -> String {
    format!("Unknown pipeline option \"{name}\".")
}

/// Service: client tools look for this text.
pub const INDEX_EXISTS: &str = "index already exists";
/// Service.
pub const INDEX_NOT_NECESSARY: &str = "this index is not necessary, configure using single field index controls";
/// Ours: the limit is documented, the text is not known.
pub const TOO_MANY_INDEXES: &str = "The database has the maximum number of composite indexes: 1000.";
/// Ours: the limit is documented, the text is not known.
pub const INDEX_TOO_WIDE: &str = "A composite index can have at most 100 fields.";
/// Ours: the limit is documented, the text is not known.
pub const INDEX_WITH_TWO_ARRAYS: &str = "A composite index can have at most one array field.";
/// Ours.
pub const INDEX_FIELD_WITHOUT_MODE: &str = "Each field of an index must have an order, an array or a vector config.";
/// Ours.
pub const ONE_FIELD_AN_INDEX: &str = "Each index of a field must have exactly one field.";
/// Ours.
pub const DATASTORE_SCOPE: &str = "The query scope COLLECTION_RECURSIVE is for databases in Datastore mode.";
/// Ours.
pub const NO_TEXT_INDEXES: &str = "Search indexes are not supported by this emulator.";
/// Emulator.
pub const NO_QUERY: &str = "only structured queries are supported";
/// Emulator.
pub const NO_AGGREGATION_QUERY: &str = "Only structured aggregation queries are supported.";
/// Emulator.
pub const SHOW_MISSING_WITHOUT_COLLECTION: &str = "collection id must be set when show_missing is true";
/// Emulator.
pub const CURSOR_NAME: &str = "Cursor __key__ value is not a document reference.";
/// Emulator.
pub const CURSOR_OF_OTHER_DATABASE: &str = "The cursor key is in a different database than the query";
/// Emulator.
pub const EMPTY_COLLECTION: &str = "collectionId is the empty string.";
/// Emulator.
pub const SHOW_MISSING_WITH_ORDER: &str = "cannot specify an order when show_missing is true";
/// Ours: the rule is documented, the text is not known.
pub const PARTITION_PARENT: &str = "PartitionQuery supports only the database root as its parent.";
/// Ours: the rule is documented, the text is not known.
pub const PARTITION_QUERY: &str = "PartitionQuery supports only collection group queries ordered by __name__ ascending, \
    without other filters, orders, limits, offsets or cursors.";
/// Ours: the rule is documented, the text is not known.
pub const PARTITION_COUNT: &str = "partition_count must be positive.";
/// Emulator.
pub const WRITES_IN_HANDSHAKE: &str = "'writes' must not be set on an initial write request.";
/// Ours.
pub const RESET: &str = "All data was reset.";
/// Ours: how far a listener may fall behind is not documented.
pub const SLOW_LISTENER: &str = "The listener does not read its events as fast as they come.";
/// Ours: the rule is documented, the text is not known.
pub const BAD_EXPIRATION_OFFSET: &str = "expiration_offset.seconds must be between 0 and 2,147,483,647, without nanos.";
/// Ours.
pub const NO_TARGET_CHANGE: &str = "A listen request must add or remove a target.";
/// Ours.
pub const NO_TARGET: &str = "A target must have documents or a query.";
/// Ours.
pub const BAD_RESUME_TOKEN: &str = "Invalid resume token.";
/// Ours: the rule is documented, the text is not known.
pub const TARGET_IDS_MIXED: &str = "Target ids must either all be assigned by the client or all by the server.";
/// Emulator.
pub const NO_AGGREGATIONS: &str = "Aggregations can not be empty.";
/// After the documented limit; the emulator answers without a text.
pub const TOO_MANY_AGGREGATIONS: &str = "The maximum number of aggregations allowed in an aggregation query is 5.";
/// Emulator.
pub const EMPTY_AGGREGATION: &str = "Operator field in Aggregation is not set.";
/// After the proto's documentation: "must be greater than zero when present".
pub const COUNT_UP_TO: &str = "Count aggregation up_to must be greater than zero.";
/// Emulator.
pub const AGGREGATION_ON_NAME: &str = "Aggregations are not supported for the property: __key__";

/// Ours.
pub const NO_SECURITY_RULES: &str = "Security rules are not evaluated here: every request has the full access that \
    server client libraries have.";
/// Ours.
pub const NO_EMULATOR_EXPORT: &str = "The export format of Google's emulator is not supported: use \
    GET /admin/firestore/export and POST /admin/firestore/import, or `scrimmage export firestore FILE` and \
    `scrimmage import firestore FILE`.";
/// Ours: the rule is documented, the text is not known.
pub const TARGET_ID_IN_USE: &str = "The target id is in use on this stream already.";
/// Ours: the rule is documented, the text is not known.
pub const UNKNOWN_WRITE_STREAM: &str = "The write stream cannot be resumed: its id or token is not known.";
/// Ours: the rule is documented, the text is not known.
pub const BAD_STREAM_TOKEN: &str = "Invalid stream token.";

/// Ours.
pub fn not_kept(problem: &str) -> String {
    format!("The commit could not be kept: {problem}")
}

/// Service.
pub fn already_exists(name: &str) -> String {
    format!("Document already exists: {name}")
}

/// Service.
pub fn no_document_to_update(name: &str) -> String {
    format!("No document to update: {name}")
}

/// Service.
pub fn not_found(name: &str) -> String {
    format!("Document \"{name}\" not found.")
}

/// Emulator.
pub fn stale_version(stored: i64, required: i64) -> String {
    format!("the stored version ({stored}) does not match the required base version ({required})")
}

/// Service.
pub fn document_too_large(name: &str, bytes: usize) -> String {
    format!(
        "Document '{name}' cannot be written because its size ({} bytes) exceeds the maximum allowed size of {} bytes.",
        thousands(bytes),
        thousands(limits::DOCUMENT_BYTES)
    )
}

/// Service and emulator.
pub fn invalid_field_path(path: &str) -> String {
    format!(
        "Invalid property path \"{path}\". Unquoted property paths must match regex ([a-zA-Z_][a-zA-Z_0-9]*), \
         and quoted property paths must match regex (`(?:[^`\\\\]|(?:\\\\.))+`)"
    )
}

/// Emulator.
pub fn reserved_in_path(segment: &str) -> String {
    format!("Invalid reserved name in field path {segment}")
}

/// Emulator.
pub fn reserved_field(name: &str) -> String {
    format!("field name {name} is reserved")
}

/// Emulator.
pub fn reserved_id(id: &str) -> String {
    format!("Resource id \"{id}\" is invalid because it is reserved.")
}

/// Emulator. Names with dotted ids are caught with a position before this; bare ids are not.
pub fn slash_in_id(id: &str) -> String {
    format!("Resource id \"{id}\" is invalid because it contains \"/\".")
}

/// In the manner of the one for slashes.
pub fn empty_id(what: &str) -> String {
    format!("{what} id \"\" is invalid because it is empty.")
}

/// Emulator.
pub fn reserved_nested_field(name: &str) -> String {
    format!("field name '{name}' is reserved.")
}

/// Emulator.
pub fn invalid_order(text: &str) -> String {
    format!("Invalid order by clause \"{text}\".")
}

/// Emulator.
pub fn nested_too_deep(field: &str) -> String {
    format!("Property {field} contains an invalid nested entity.")
}

/// Emulator.
pub fn long_value(field: &str) -> String {
    format!("The value of property \"{field}\" is longer than {} bytes.", limits::VALUE_BYTES)
}

/// Emulator. `axis` is "latitude" or "longitude", `bound` its greatest value.
pub fn geo_out_of_range(axis: &str, number: f64, bound: f64) -> String {
    format!("Geo point {axis} '{number:?}' outside permitted range -{bound:?} to {bound:?}.")
}

/// Emulator.
pub fn list_is_empty(operator: &str) -> String {
    format!("'{operator}' requires an non-empty ArrayValue.")
}

/// Emulator.
pub fn list_is_long(operator: &str, most: usize) -> String {
    format!("'{operator}' supports up to {most} comparison values.")
}

/// Emulator.
pub const AGGREGATION_WITH_MASK: &str = "Cannot apply property masks when aggregation fields are present.";

/// Emulator.
pub fn aggregation_outside_mask(path: &str) -> String {
    format!("The aggregation property {path} is not present in the base query's property mask.")
}

/// Emulator.
pub fn list_wanted(operator: &str) -> String {
    format!("'{operator}' requires an ArrayValue.")
}

/// Emulator.
pub fn nested_transforms(path: &str) -> String {
    format!("Cannot transform property {path} and its nested property at the same time.")
}

/// Emulator. The operations are "insert", "update", "upsert" and "delete".
pub fn impossible_sequence(first: &str, second: &str) -> String {
    format!("Cannot {first} then {second} an entity in the same request.")
}

/// Ours: the limit is documented, the text is not known.
pub fn too_many_transforms(count: usize) -> String {
    format!(
        "A commit has {count} field transformations on one document, which is more than the maximum of {}.",
        limits::TRANSFORMS
    )
}

/// Ours: the rule is documented, the text is not known.
pub fn other_database(name: &str, database: &str) -> String {
    format!("Document name \"{name}\" is not in the database \"{database}\" of the request.")
}

/// Emulator.
pub fn too_many_disjunctions(count: usize) -> String {
    format!(
        "Too many disjunctions after normalization. Result had {count} disjunctions which is more than the maximum of {}",
        limits::DISJUNCTIONS
    )
}

/// Emulator.
pub fn kind_required(field: &str) -> String {
    format!("kind is required for filter: {field}")
}

/// Emulator.
pub fn far_too_many_disjunctions() -> String {
    format!("Too many disjunctions after normalization, the maximum is {}", limits::DISJUNCTIONS)
}

/// Emulator; the limit is documented.
pub fn query_too_large(filters: usize, orders: usize, has_ancestor: bool) -> String {
    format!(
        "The query may not have more than {} filters + sort orders + ancestor total. Currently there are {filters} \
         filters, {orders} sort orders, and {} ancestor filter.",
        limits::QUERY_PARTS,
        if has_ancestor { "one" } else { "no" }
    )
}

/// Emulator.
pub fn aggregation_after_name(path: &str) -> String {
    format!(
        "This query requires an index that has fields [{path}] after __name__ and Firestore does not currently \
         support such an index. Please try the query again with additional ordering on those fields."
    )
}

/// Emulator.
pub fn duplicate_order(path: &str) -> String {
    format!("order by clause cannot contain duplicate fields {path}")
}

/// Emulator.
pub fn duplicate_alias(alias: &str) -> String {
    format!("Aggregation aliases contain duplicate alias: {alias}.")
}

/// Emulator.
pub fn reserved_alias(alias: &str) -> String {
    format!("The property.name \"{alias}\" is reserved.")
}

/// Emulator.
pub fn reserved_collection(id: &str) -> String {
    format!("Collection id \"{id}\" is invalid because it is reserved.")
}

/// Emulator.
pub fn slash_in_collection(id: &str) -> String {
    format!("Collection id \"{id}\" is invalid because it contains \"/\".")
}

/// Service. The link has the index as a message of the admin API.
pub fn index_needed(link: &str) -> String {
    format!("The query requires an index. You can create it here: {link}")
}

/// Service. `scope` is "COLLECTION" or "COLLECTION_GROUP", `kind` "ASC", "DESC" or "CONTAINS".
pub fn field_index_needed(scope: &str, kind: &str, collection: &str, field: &str, link: &str) -> String {
    format!(
        "The query requires a {scope}_{kind} index for collection {collection} and field {field}. \
         You can create it here: {link}"
    )
}

/// Service.
pub fn vector_index_needed(command: &str) -> String {
    format!(
        "Missing vector index configuration. Please create the required index with the following gcloud command: \
         {command}"
    )
}

/// Service.
pub fn too_many_index_entries(path: &str) -> String {
    format!("too many index entries for entity /{path}")
}

/// Ours: the limit is documented, the text is not known.
pub fn index_entry_too_large(path: &str) -> String {
    format!(
        "An index entry for entity /{path} is larger than the maximum of {} bytes.",
        thousands(limits::INDEX_ENTRY_BYTES)
    )
}

/// Emulator.
pub fn too_many_inequalities(fields: &[String]) -> String {
    format!(
        "The query contains {} distinct inequality fields: [{}]. A query may not have more than {} distinct inequality \
         fields.",
        fields.len(),
        fields.join(", "),
        limits::INEQUALITY_FIELDS
    )
}

/// Ours.
pub fn bad_admin_name(name: &str) -> String {
    format!("\"{name}\" is not the name of what is asked for.")
}

/// Ours.
pub fn index_not_found(name: &str) -> String {
    format!("Index \"{name}\" not found.")
}

/// Ours.
pub fn admin_missing(method: &str) -> String {
    format!("FirestoreAdmin's {method} is not supported by this emulator.")
}

/// 1048576 as "1,048,576".
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Ours: the text is not known.
pub fn operation_not_found(name: &str) -> String {
    format!("Operation not found: {name}")
}

/// Ours.
pub const NO_OPERATION_FILTER: &str = "Of filters of operations, only `done=true` and `done=false` are supported here.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_commas() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(123_456), "123,456");
        assert_eq!(thousands(1_048_576), "1,048,576");
    }
}
