//! From the API's messages to the engine's types, with production's checks.

pub mod pipeline;
pub mod query;
pub mod values;
pub mod write;

use prost_types::Timestamp as ProtoTimestamp;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::firestore::v1 as pb;

use crate::engine::edition::Concurrency;
use crate::engine::token::TransactionId;
use crate::engine::{Consistency, TransactionOptions};
use crate::error::Error;
use crate::path::{DatabaseName, FieldPath, check_parent};
use crate::texts;

/// A time that a client gave: within years 1 to 9999, and of whole microseconds.
pub fn precise_time(time: ProtoTimestamp) -> Result<Timestamp, Error> {
    if time.nanos % 1_000 != 0 {
        return Err(Error::invalid(texts::TIME_TOO_PRECISE));
    }
    values::timestamp(time)
}

pub fn transaction_id(bytes: &[u8]) -> Result<TransactionId, Error> {
    TransactionId::from_bytes(bytes).ok_or(Error::InvalidTransaction)
}

/// Options of a transaction. `new_in_read` says where they stand: a transaction begun by a read is
/// read-only unless it says otherwise, one begun by itself is read-write. `default` is what the
/// database does where no mode is asked for.
pub fn transaction_options(
    options: Option<pb::TransactionOptions>,
    new_in_read: bool,
    default: Concurrency,
) -> Result<TransactionOptions, Error> {
    use pb::transaction_options::{ConcurrencyMode, Mode, read_only::ConsistencySelector};
    let read_write = |concurrency, retry| match concurrency {
        Concurrency::Pessimistic => TransactionOptions::Pessimistic { retry },
        Concurrency::Optimistic => TransactionOptions::Optimistic { retry },
    };
    let Some(mode) = options.and_then(|options| options.mode) else {
        return Ok(if new_in_read {
            TransactionOptions::ReadOnly { read_time: None }
        } else {
            read_write(default, None)
        });
    };
    match mode {
        Mode::ReadOnly(options) => {
            let read_time = match options.consistency_selector {
                Some(ConsistencySelector::ReadTime(time)) => Some(precise_time(time)?),
                None => None,
            };
            Ok(TransactionOptions::ReadOnly { read_time })
        }
        Mode::ReadWrite(options) => {
            let retry = if options.retry_transaction.is_empty() {
                None
            } else {
                Some(transaction_id(&options.retry_transaction)?)
            };
            let concurrency = match options.concurrency_mode() {
                ConcurrencyMode::Unspecified => default,
                ConcurrencyMode::Optimistic => Concurrency::Optimistic,
                ConcurrencyMode::Pessimistic => Concurrency::Pessimistic,
            };
            Ok(read_write(concurrency, retry))
        }
    }
}

/// The reads' `consistency_selector`, which each request has as a type of its own.
pub enum Selector {
    Transaction(prost::bytes::Bytes),
    New(pb::TransactionOptions),
    ReadTime(ProtoTimestamp),
}

macro_rules! selectors {
    ($($request:ident: $($also_begins:ident)?),+ $(,)?) => {$(
        impl From<pb::$request::ConsistencySelector> for Selector {
            fn from(selector: pb::$request::ConsistencySelector) -> Selector {
                use pb::$request::ConsistencySelector as C;
                match selector {
                    C::Transaction(id) => Selector::Transaction(id),
                    $(C::$also_begins(options) => Selector::New(options),)?
                    C::ReadTime(time) => Selector::ReadTime(time),
                }
            }
        }
    )+};
}

selectors! {
    get_document_request: ,
    list_documents_request: ,
    batch_get_documents_request: NewTransaction,
    run_query_request: NewTransaction,
    run_aggregation_query_request: NewTransaction,
    execute_pipeline_request: NewTransaction,
}

pub fn consistency(selector: Option<Selector>, default: Concurrency) -> Result<Consistency, Error> {
    match selector {
        None => Ok(Consistency::Strong),
        // An empty id is what a client sends that has none.
        Some(Selector::Transaction(id)) if id.is_empty() => Ok(Consistency::Strong),
        Some(Selector::Transaction(id)) => Ok(Consistency::In(transaction_id(&id)?)),
        Some(Selector::New(options)) => Ok(Consistency::New(transaction_options(Some(options), true, default)?)),
        Some(Selector::ReadTime(time)) => Ok(Consistency::At(precise_time(time)?)),
    }
}

/// A mask of fields to return: `None` is all of them.
pub fn mask(mask: Option<pb::DocumentMask>) -> Result<Option<Vec<FieldPath>>, Error> {
    let path = |path: &String| {
        let path = FieldPath::parse(path)?;
        if !path.is_name() {
            write::check_not_reserved(&path)?;
        }
        Ok(path)
    };
    mask.map(|mask| mask.field_paths.iter().map(path).collect()).transpose()
}

/// A parent, `…/documents[/document]`: its database and the document's path, empty for the root.
pub fn parent(resource: &str) -> Result<(DatabaseName, &str), Error> {
    let (database, path) = DatabaseName::split(resource).map_err(|error| error.about("Document parent name"))?;
    check_parent(path, resource).map_err(|error| error.about("Document parent name"))?;
    Ok((database, path))
}

/// A collection's id as a client gave it.
pub fn collection_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::invalid(texts::EMPTY_COLLECTION));
    }
    if id.contains('/') {
        return Err(Error::invalid(texts::slash_in_collection(id)));
    }
    if id == "." || id == ".." || crate::path::field::is_reserved(id) {
        return Err(Error::invalid(texts::reserved_collection(id)));
    }
    crate::path::check_id(id)
}
