//! Small documents for a soak: writing, counting, reading and asking for them.

use std::collections::HashMap;

use scrimmage_protos::google::firestore::v1 as proto;
use tonic::Status;

use proto::batch_get_documents_response::Result as Found;
use proto::run_query_request::QueryType;
use proto::structured_query::field_filter::Operator;
use proto::structured_query::filter::FilterType;
use proto::structured_query::{CollectionSelector, FieldFilter, FieldReference, Filter};
use proto::write::Operation;

use super::client::{Connections, DATABASE, increment, integer, touch};
use super::text;

impl Connections {
    /// The full name of a soak's document.
    pub(crate) fn soaked(&self, path: &str) -> String {
        format!("{DATABASE}/documents/load_{path}")
    }

    /// A document of four fields, some 150 bytes.
    pub(crate) async fn set_small(&self, who: usize, name: String, round: usize) -> Result<(), Status> {
        let fields = [
            ("n", integer(i64::try_from(round).unwrap_or(i64::MAX))),
            ("team", integer(i64::try_from(round % 30).unwrap_or(0))),
            ("player", text(&format!("player-{who}"))),
            ("note", text("a short text of some forty characters, ok")),
        ];
        let fields: HashMap<String, proto::Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let document = proto::Document { name, fields, ..Default::default() };
        let write = proto::Write { operation: Some(Operation::Update(document)), ..Default::default() };
        self.commit(who, vec![write], None).await
    }

    /// Adds to a counter, whatever else there is.
    pub(crate) async fn count_up(&self, who: usize, name: String) -> Result<(), Status> {
        self.commit(who, vec![touch(name, vec![increment()])], None).await
    }

    /// One document.
    pub(crate) async fn get_small(&self, who: usize, name: String) -> Result<Option<proto::Document>, Status> {
        let request = proto::BatchGetDocumentsRequest {
            database: DATABASE.to_owned(),
            documents: vec![name],
            ..Default::default()
        };
        let mut answers = self.of(who)?.batch_get_documents(request).await?.into_inner();
        let mut document = None;
        while let Some(answer) = answers.message().await? {
            if let Some(Found::Found(found)) = answer.result {
                document = Some(found);
            }
        }
        Ok(document)
    }

    /// Some documents of a team: how many.
    pub(crate) async fn query_small(&self, who: usize, team: usize, limit: i32) -> Result<usize, Status> {
        let filter = FieldFilter {
            field: Some(FieldReference { field_path: "team".to_owned() }),
            op: Operator::Equal as i32,
            value: Some(integer(i64::try_from(team).unwrap_or(0))),
        };
        let query = proto::StructuredQuery {
            from: vec![CollectionSelector { collection_id: "load_own".to_owned(), all_descendants: false }],
            r#where: Some(Filter { filter_type: Some(FilterType::FieldFilter(filter)) }),
            limit: Some(limit),
            ..Default::default()
        };
        let request = proto::RunQueryRequest {
            parent: format!("{DATABASE}/documents"),
            query_type: Some(QueryType::StructuredQuery(query)),
            ..Default::default()
        };
        let mut answers = self.of(who)?.run_query(request).await?.into_inner();
        let mut count = 0;
        while let Some(answer) = answers.message().await? {
            count += usize::from(answer.document.is_some());
        }
        Ok(count)
    }
}
