//! Queries, aggregations, lists and partitions.

use std::sync::Arc;

use prost::bytes::Bytes;
use scrimmage_core::CallNotes;
use scrimmage_protos::google::firestore::v1 as pb;

use super::decode;
use super::documents::unexpected;
use super::rpc::{Answers, answers};
use super::{Firestore, encode, explain};
use crate::engine::query::normalize::Draft;
use crate::engine::query::run::Found;
use crate::engine::query::{Cursor, Direction, Key, Query, Scope, Target};
use crate::engine::{Command, Consistency, Outcome, Read};
use crate::error::Error;
use crate::path::{DatabaseName, DocumentName};
use crate::texts;

type Notes<'a> = Option<&'a CallNotes>;

/// Documents of a page of ListDocuments where the client names no size (seen on Google's emulator).
const DEFAULT_PAGE: usize = 30;
/// The most documents of a page.
const LARGEST_PAGE: usize = 150;
/// The most collection ids of a page.
const LARGEST_PAGE_OF_IDS: usize = 300;

impl Firestore {
    pub(super) async fn find(
        &self,
        database: &DatabaseName,
        query: Arc<Query>,
        consistency: Consistency,
        notes: Notes<'_>,
    ) -> Result<Read<Found>, Error> {
        match self.shell.call(database, Command::Query { query, consistency }, notes).await? {
            Outcome::Found(read) => Ok(read),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn do_run_query(
        &self,
        request: pb::RunQueryRequest,
        notes: Notes<'_>,
    ) -> Result<Answers<pb::RunQueryResponse>, Error> {
        use pb::run_query_request::QueryType;
        let (database, parent) = decode::parent(&request.parent)?;
        let Some(QueryType::StructuredQuery(query)) = request.query_type else {
            return Err(Error::invalid(texts::NO_QUERY));
        };
        let query = Arc::new(decode::query::query(&database, parent, query)?);
        let verdict = self.indexes.check(&database, &query, notes)?;
        let explain = request.explain_options;
        if explain.as_ref().is_some_and(|options| !options.analyze) {
            let planned = pb::RunQueryResponse {
                explain_metrics: Some(explain::metrics(&query, &verdict, None)),
                continuation_selector: Some(pb::run_query_response::ContinuationSelector::Done(true)),
                ..pb::RunQueryResponse::default()
            };
            return Ok(answers(std::iter::once(planned)));
        }
        let asked = self.clock.now();
        let consistency = self.consistency(&database, request.consistency_selector)?;
        let read = self.find(&database, Arc::clone(&query), consistency, notes).await?;
        let read_time = Some(encode::time(read.read_time));
        let begun = read.begun.map(|id| pb::RunQueryResponse {
            transaction: Bytes::from(id.to_bytes()),
            ..pb::RunQueryResponse::default()
        });
        let skipped = i32::try_from(read.what.skipped).unwrap_or(i32::MAX);
        let done = Some(pb::run_query_response::ContinuationSelector::Done(true));
        let explained = explain.map(|_| {
            let run = explain::Run {
                results: read.what.documents.len(),
                documents: read.what.documents.len() + read.what.skipped,
                entries: read.what.scanned,
                duration: self.clock.now().since(asked),
                bill_entries: explain::has_several_ranges(&query),
            };
            pb::RunQueryResponse {
                read_time,
                explain_metrics: Some(explain::metrics(&query, &verdict, Some(run))),
                continuation_selector: done,
                ..pb::RunQueryResponse::default()
            }
        });
        // Where there are metrics, they come last.
        let done = if explained.is_some() { None } else { done };
        // The last answer says that it is the last; where nothing was found it stands alone.
        let empty = read.what.documents.is_empty().then(|| pb::RunQueryResponse {
            read_time,
            skipped_results: skipped,
            continuation_selector: done,
            ..pb::RunQueryResponse::default()
        });
        let last = read.what.documents.len().saturating_sub(1);
        let distances = read.what.distances;
        let found = read.what.documents.into_iter().enumerate().map(move |(index, document)| {
            let mut encoded = encode::document(&database, &document, query.select.as_deref());
            if let Some(nearest) = &query.nearest
                && let (Some(path), Some(distance)) = (&nearest.result_field, distances.get(index))
            {
                encode::put_double(&mut encoded, path, *distance);
            }
            pb::RunQueryResponse {
                document: Some(encoded),
                read_time,
                skipped_results: if index == 0 { skipped } else { 0 },
                continuation_selector: if index == last { done } else { None },
                ..pb::RunQueryResponse::default()
            }
        });
        Ok(answers(begun.into_iter().chain(empty).chain(found).chain(explained)))
    }

    pub(super) async fn do_aggregate(
        &self,
        request: pb::RunAggregationQueryRequest,
        notes: Notes<'_>,
    ) -> Result<Answers<pb::RunAggregationQueryResponse>, Error> {
        use pb::run_aggregation_query_request::QueryType;
        use pb::structured_aggregation_query::QueryType as Inner;
        let (database, parent) = decode::parent(&request.parent)?;
        let Some(QueryType::StructuredAggregationQuery(aggregation)) = request.query_type else {
            return Err(Error::invalid(texts::NO_AGGREGATION_QUERY));
        };
        let query = match aggregation.query_type {
            Some(Inner::StructuredQuery(query)) => query,
            None => return Err(Error::invalid(texts::NO_QUERY)),
        };
        let aggregations = decode::query::aggregations(aggregation.aggregations)?;
        let query = Arc::new(decode::query::aggregated_query(&database, parent, query, &aggregations)?);
        let verdict = self.indexes.check(&database, &query, notes)?;
        let explain = request.explain_options;
        if explain.as_ref().is_some_and(|options| !options.analyze) {
            let planned = pb::RunAggregationQueryResponse {
                explain_metrics: Some(explain::metrics(&query, &verdict, None)),
                ..pb::RunAggregationQueryResponse::default()
            };
            return Ok(answers(std::iter::once(planned)));
        }
        let asked = self.clock.now();
        let consistency = self.consistency(&database, request.consistency_selector)?;
        let command = Command::Aggregate { query: Arc::clone(&query), aggregations, consistency };
        let read = match self.shell.call(&database, command, notes).await? {
            Outcome::Aggregated(read) => read,
            other => return Err(unexpected(&other)),
        };
        let fields = read.what.values.iter().map(|(alias, value)| (alias.clone(), encode::value(value))).collect();
        let explained = explain.map(|_| {
            let run = explain::Run {
                results: 1,
                documents: 0,
                entries: read.what.scanned,
                duration: self.clock.now().since(asked),
                bill_entries: true,
            };
            explain::metrics(&query, &verdict, Some(run))
        });
        let response = pb::RunAggregationQueryResponse {
            explain_metrics: explained,
            result: Some(pb::AggregationResult { aggregate_fields: fields }),
            read_time: Some(encode::time(read.read_time)),
            ..pb::RunAggregationQueryResponse::default()
        };
        let begun = read.begun.map(|id| pb::RunAggregationQueryResponse {
            transaction: Bytes::from(id.to_bytes()),
            ..pb::RunAggregationQueryResponse::default()
        });
        Ok(answers(begun.into_iter().chain(std::iter::once(response))))
    }

    pub(super) async fn do_list(
        &self,
        request: pb::ListDocumentsRequest,
        notes: Notes<'_>,
    ) -> Result<pb::ListDocumentsResponse, Error> {
        let (database, parent) = decode::parent(&request.parent)?;
        let size = page_size(request.page_size)?;
        let mask = decode::mask(request.mask)?;
        let collection_id = match request.collection_id.as_str() {
            "" => None,
            id => {
                decode::collection_id(id)?;
                Some(Arc::from(id))
            }
        };
        if request.show_missing && collection_id.is_none() {
            return Err(Error::invalid(texts::SHOW_MISSING_WITHOUT_COLLECTION));
        }
        if request.show_missing && !request.order_by.is_empty() {
            return Err(Error::invalid(texts::SHOW_MISSING_WITH_ORDER));
        }
        let consistency = self.consistency(&database, request.consistency_selector)?;
        let token = PageToken::parse(&request.page_token)?;
        let scope = Scope { parent: Arc::from(parent), collection_id: collection_id.clone(), all_descendants: false };
        let mut draft = Draft::new(scope);
        draft.order = decode::query::order_text(&request.order_by)?;
        let mut query = draft.normalize()?;
        self.indexes.check(&database, &query, notes)?;
        query.limit = Some(size + 1);
        if let Some(after) = &token {
            query.start = self.cursor_after(&database, &query, after).await?;
        }
        let read = self.find(&database, Arc::new(query), consistency, notes).await?;
        let mut documents: Vec<(DocumentName, pb::Document)> = read
            .what
            .documents
            .iter()
            .map(|document| (document.name.clone(), encode::document(&database, document, mask.as_deref())))
            .collect();
        if request.show_missing {
            let command = Command::MissingDocuments {
                parent: parent.to_owned(),
                collection_id: collection_id.map(|id| id.to_string()),
                read_time: Some(read.read_time),
            };
            let missing = match self.shell.call(&database, command, None).await? {
                Outcome::Names(names) => names,
                other => return Err(unexpected(&other)),
            };
            let after = token.map(|token| token.0);
            documents.extend(missing.into_iter().filter(|name| after.as_ref().is_none_or(|after| name > after)).map(
                |name| {
                    let document = pb::Document { name: database.resource(name.path()), ..pb::Document::default() };
                    (name, document)
                },
            ));
            documents.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        let more = documents.len() > size;
        documents.truncate(size);
        let next_page_token = match documents.last() {
            Some((name, _)) if more => PageToken(name.clone()).text(),
            _ => String::new(),
        };
        let documents = documents.into_iter().map(|(_, document)| document).collect();
        Ok(pb::ListDocumentsResponse { documents, next_page_token })
    }

    /// Where the next page begins: after a document, by its own values in the order of the list.
    async fn cursor_after(
        &self,
        database: &DatabaseName,
        query: &Query,
        after: &PageToken,
    ) -> Result<Option<Cursor>, Error> {
        let name = &after.0;
        if let [only] = query.order.as_slice()
            && only.target == Target::Name
        {
            return Ok(Some(Cursor { keys: vec![Key::Name(name.clone())], before: false }));
        }
        let command = Command::Get { names: vec![name.clone()], consistency: Consistency::Strong };
        let document = match self.shell.call(database, command, None).await? {
            Outcome::Documents(read) => read.what.into_iter().next().and_then(|(_, document)| document),
            other => return Err(unexpected(&other)),
        };
        let document = document.ok_or_else(|| Error::invalid(texts::BAD_PAGE_TOKEN))?;
        let keys: Option<Vec<Key>> = query
            .order
            .iter()
            .map(|order| match &order.target {
                Target::Name => Some(Key::Name(name.clone())),
                Target::Field(path) => path.get(&document.fields).cloned().map(Key::Value),
            })
            .collect();
        match keys {
            Some(keys) => Ok(Some(Cursor { keys, before: false })),
            None => Err(Error::invalid(texts::BAD_PAGE_TOKEN)),
        }
    }

    pub(super) async fn do_list_collection_ids(
        &self,
        request: pb::ListCollectionIdsRequest,
        notes: Notes<'_>,
    ) -> Result<pb::ListCollectionIdsResponse, Error> {
        use pb::list_collection_ids_request::ConsistencySelector as C;
        let (database, parent) = decode::parent(&request.parent)?;
        let read_time = match request.consistency_selector {
            Some(C::ReadTime(time)) => Some(decode::precise_time(time)?),
            None => None,
        };
        let size = match usize::try_from(request.page_size) {
            Ok(0) => LARGEST_PAGE_OF_IDS,
            Ok(size) => size.min(LARGEST_PAGE_OF_IDS),
            Err(_) => return Err(Error::invalid(texts::NEGATIVE_PAGE_SIZE_OF_IDS)),
        };
        let after = match request.page_token.as_str() {
            "" => String::new(),
            token => from_hex(token).ok_or_else(|| Error::invalid(texts::BAD_PAGE_TOKEN))?,
        };
        let command = Command::CollectionIds { parent: parent.to_owned(), read_time };
        let ids = match self.shell.call(&database, command, notes).await? {
            Outcome::CollectionIds(ids) => ids,
            other => return Err(unexpected(&other)),
        };
        let mut ids: Vec<String> = ids.into_iter().filter(|id| *id > after).collect();
        let more = ids.len() > size;
        ids.truncate(size);
        let next_page_token = if more { ids.last().map(|id| to_hex(id)).unwrap_or_default() } else { String::new() };
        Ok(pb::ListCollectionIdsResponse { collection_ids: ids, next_page_token })
    }

    /// Evenly spaced split points of a collection group, by document name.
    pub(super) async fn do_partition(
        &self,
        request: pb::PartitionQueryRequest,
        notes: Notes<'_>,
    ) -> Result<pb::PartitionQueryResponse, Error> {
        use pb::partition_query_request::{ConsistencySelector as C, QueryType};
        let (database, parent) = decode::parent(&request.parent)?;
        if !parent.is_empty() {
            return Err(Error::invalid(texts::PARTITION_PARENT));
        }
        let Some(QueryType::StructuredQuery(query)) = request.query_type else {
            return Err(Error::invalid(texts::NO_QUERY));
        };
        let query = decode::query::query(&database, parent, query)?;
        let by_name = matches!(query.order.as_slice(), [only] if only.target == Target::Name && only.direction == Direction::Ascending);
        let bare = query.filter.is_none() && query.start.is_none() && query.end.is_none();
        if !(by_name && bare && query.limit.is_none() && query.offset == 0 && query.scope.all_descendants) {
            return Err(Error::invalid(texts::PARTITION_QUERY));
        }
        let count = usize::try_from(request.partition_count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| Error::invalid(texts::PARTITION_COUNT))?;
        let after = PageToken::parse(&request.page_token)?;
        let consistency = match request.consistency_selector {
            Some(C::ReadTime(time)) => Consistency::At(decode::precise_time(time)?),
            None => Consistency::Strong,
        };
        let found = self.find(&database, Arc::new(query), consistency, notes).await?.what.documents;
        let parts = (count + 1).min(found.len().max(1));
        let mut points: Vec<&DocumentName> =
            (1..parts).filter_map(|part| found.get(part * found.len() / parts)).map(|found| &found.name).collect();
        points.retain(|name| after.as_ref().is_none_or(|after| **name > after.0));
        let size = match page_size(request.page_size)? {
            _ if request.page_size == 0 => usize::MAX,
            size => size,
        };
        let more = points.len() > size;
        points.truncate(size);
        let next_page_token = match points.last() {
            Some(name) if more => PageToken((*name).clone()).text(),
            _ => String::new(),
        };
        let partitions = points
            .into_iter()
            .map(|name| pb::Cursor {
                values: vec![pb::Value {
                    value_type: Some(pb::value::ValueType::ReferenceValue(database.resource(name.path()))),
                }],
                before: true,
            })
            .collect();
        Ok(pb::PartitionQueryResponse { partitions, next_page_token })
    }
}

fn page_size(size: i32) -> Result<usize, Error> {
    match usize::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LARGEST_PAGE)),
        Err(_) => Err(Error::invalid(texts::NEGATIVE_PAGE_SIZE)),
    }
}

fn to_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(hex.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?).ok()
}

/// The last document of a page, as text for the client: opaque, and checked when it comes back.
struct PageToken(DocumentName);

impl PageToken {
    fn text(&self) -> String {
        to_hex(self.0.path())
    }

    /// `None` for an empty token, which means the first page.
    fn parse(text: &str) -> Result<Option<PageToken>, Error> {
        if text.is_empty() {
            return Ok(None);
        }
        from_hex(text)
            .and_then(|path| DocumentName::parse_relative(&path).ok())
            .map(|name| Some(PageToken(name)))
            .ok_or_else(|| Error::invalid(texts::BAD_PAGE_TOKEN))
    }
}
