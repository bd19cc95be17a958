//! `ExecutePipeline`: reads what the pipeline needs, as of one time, and runs its stages over it.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use prost_types::Any;
use scrimmage_core::{CallNotes, Rng, Timestamp};
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::firestore::v1::value::ValueType;
use serde_json::json;

use super::decode::pipeline::Decoder;
use super::rpc::{Answers, answers};
use super::{Firestore, encode};
use crate::engine::Consistency;
use crate::engine::query::normalize::Draft;
use crate::engine::token::TransactionId;
use crate::error::Error;
use crate::path::DatabaseName;
use crate::pipeline::eval::{Run, Variables};
use crate::pipeline::sources::{self, Snapshot};
use crate::pipeline::stages::{self, Row};
use crate::pipeline::{Failure, Pipeline};
use crate::texts;

type Notes<'a> = Option<&'a CallNotes>;

/// Results that go out in one message.
const RESULTS_A_MESSAGE: usize = 100;

/// What was read for a pipeline.
struct Reading {
    snapshot: Snapshot,
    time: Timestamp,
    begun: Option<TransactionId>,
    documents: usize,
}

/// How a report about the execution was asked for.
#[derive(Clone, Copy, PartialEq)]
enum Report {
    Text,
    Json,
}

impl Firestore {
    pub(super) async fn do_execute_pipeline(
        &self,
        request: pb::ExecutePipelineRequest,
        notes: Notes<'_>,
    ) -> Result<Answers<pb::ExecutePipelineResponse>, Error> {
        use pb::execute_pipeline_request::PipelineType;
        let database = DatabaseName::parse(&request.database)?;
        if !self.editions.of(&database).enterprise {
            return Err(Error::Precondition(texts::PIPELINE_ON_STANDARD.to_owned()));
        }
        let Some(PipelineType::StructuredPipeline(structured)) = request.pipeline_type else {
            return Err(Error::invalid(texts::NO_PIPELINE));
        };
        let report = report(structured.options)?;
        let pipeline = structured.pipeline.ok_or_else(|| Error::invalid(texts::NO_PIPELINE))?;
        let pipeline = Decoder::new(&database).pipeline(pipeline)?;
        let consistency = self.consistency(&database, request.consistency_selector)?;
        let asked = self.clock.now();
        let reading = self.read_for(&database, &pipeline, consistency, notes).await?;
        let (time, begun, documents) = (reading.time, reading.begun, reading.documents);
        let rng = Rng::seeded(self.draw());
        let named = database.clone();
        // Not on a thread that serves calls: a pipeline may look at many rows.
        let run = tokio::task::spawn_blocking(move || run(&named, &pipeline, &reading.snapshot, asked, rng));
        let rows = run.await.map_err(|error| Error::Internal(error.to_string()))??;
        let stats = report.map(|report| explain(report, rows.len(), documents, self.clock.now().since(asked)));
        let execution_time = Some(encode::time(time));
        let mut messages: Vec<pb::ExecutePipelineResponse> = rows
            .chunks(RESULTS_A_MESSAGE)
            .map(|rows| pb::ExecutePipelineResponse {
                results: rows.iter().map(|row| encoded(&database, row)).collect(),
                execution_time,
                ..pb::ExecutePipelineResponse::default()
            })
            .collect();
        if messages.is_empty() {
            messages.push(pb::ExecutePipelineResponse { execution_time, ..pb::ExecutePipelineResponse::default() });
        }
        if let (Some(id), Some(first)) = (begun, messages.first_mut()) {
            first.transaction = Bytes::from(id.to_bytes());
        }
        if let Some(last) = messages.last_mut() {
            last.explain_stats = stats;
        }
        Ok(answers(messages.into_iter()))
    }

    /// Reads all that a pipeline may look at, all of it as of the time of the first read.
    async fn read_for(
        &self,
        database: &DatabaseName,
        pipeline: &Pipeline,
        consistency: Consistency,
        notes: Notes<'_>,
    ) -> Result<Reading, Error> {
        let mut consistency = consistency;
        let mut reading: Option<Reading> = None;
        let mut scopes = sources::scopes(pipeline);
        if scopes.is_empty() {
            // Only literals: a read of a collection that cannot be gives the time, and the transaction.
            scopes.push(sources::nothing());
        }
        for scope in scopes {
            let query = Arc::new(Draft::new(scope).normalize()?);
            let read = self.find(database, query, consistency, notes).await?;
            consistency = match (consistency, read.begun) {
                (_, Some(id)) => Consistency::In(id),
                (Consistency::Strong, None) => Consistency::At(read.read_time),
                (other, None) => other,
            };
            let reading = reading.get_or_insert_with(|| Reading {
                snapshot: Snapshot::default(),
                time: read.read_time,
                begun: None,
                documents: 0,
            });
            reading.begun = reading.begun.or(read.begun);
            reading.documents += read.what.documents.len();
            reading.snapshot.add(read.what.documents);
        }
        reading.ok_or_else(|| Error::Internal("a pipeline read nothing".to_owned()))
    }

    /// A seed for one execution: of `sample` and `rand`.
    fn draw(&self) -> u64 {
        self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next_u64()
    }
}

fn run(
    database: &DatabaseName,
    pipeline: &Pipeline,
    snapshot: &Snapshot,
    now: Timestamp,
    rng: Rng,
) -> Result<Vec<Row>, Failure> {
    let mut run = Run { database, now, snapshot, rng, steps: 0 };
    stages::run(&mut run, pipeline, &Variables::new(), None)
}

fn encoded(database: &DatabaseName, row: &Row) -> pb::Document {
    let (name, created, updated) = match &row.document {
        Some(document) => (
            database.resource(document.name.path()),
            Some(encode::time(document.create_time)),
            Some(encode::time(document.update_time)),
        ),
        None => (String::new(), None, None),
    };
    pb::Document { name, fields: encode::fields(&row.fields), create_time: created, update_time: updated }
}

/// What was asked for about the execution. Other options are hints that change no result.
fn report(options: std::collections::HashMap<String, pb::Value>) -> Result<Option<Report>, Error> {
    let mut report = None;
    for (name, value) in options {
        match (name.as_str(), value.value_type) {
            ("explain_options", Some(ValueType::MapValue(map))) => {
                let word = |key: &str| match map.fields.get(key).and_then(|value| value.value_type.as_ref()) {
                    Some(ValueType::StringValue(word)) => Some(word.as_str()),
                    _ => None,
                };
                match word("mode") {
                    None | Some("analyze") => {}
                    Some("execute") => continue,
                    Some(mode) => return Err(Error::Unimplemented(texts::explain_mode(mode))),
                }
                report = Some(if word("output_format") == Some("json") { Report::Json } else { Report::Text });
            }
            ("index_mode", _) => {}
            (other, _) => return Err(Error::invalid(texts::pipeline_option(other))),
        }
    }
    Ok(report)
}

/// Figures of the execution. Production describes its plan as well, in a form that is not documented.
fn explain(report: Report, results: usize, documents: usize, took: Duration) -> pb::ExplainStats {
    let millis = took.as_secs_f64() * 1e3;
    let text = match report {
        Report::Json => json!({
            "executionStats": { "resultsReturned": results, "documentsRead": documents, "executionMillis": millis }
        })
        .to_string(),
        Report::Text => format!(
            "Execution:\n results returned: {results}\n documents read: {documents}\n execution time: {millis:.3} ms\n"
        ),
    };
    let data =
        Any { type_url: "type.googleapis.com/google.protobuf.StringValue".to_owned(), value: text.encode_to_vec() };
    pb::ExplainStats { data: Some(data) }
}
