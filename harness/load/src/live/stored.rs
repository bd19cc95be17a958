//! What is stored after a run: who is on record, and the total of predictions.

use scrimmage_protos::google::firestore::v1 as proto;
use tonic::{Code, Status};

use super::client::{Connections, Documents, completed, total};
use crate::strategy::{SHARDS, Strategy};

/// How many are asked for at once; a service may give fewer.
const PAGE: i32 = 300;

/// One look at a run's documents.
pub(super) async fn look(
    connections: &Connections,
    documents: &Documents,
    strategy: Strategy,
) -> Result<(Vec<String>, i64), Status> {
    let batch = get(connections, documents.batch()).await?;
    let mut sum = batch.as_ref().map_or(0, total);
    match strategy {
        Strategy::Transaction | Strategy::TransactionWithBackoff | Strategy::AtomicUpdate => {
            Ok((batch.as_ref().map(completed).unwrap_or_default(), sum))
        }
        Strategy::Subcollection | Strategy::ShardedCounter => {
            for number in 0..SHARDS {
                sum += get(connections, documents.shard(number)).await?.as_ref().map_or(0, total);
            }
            Ok((list(connections, documents).await?, sum))
        }
    }
}

async fn get(connections: &Connections, name: String) -> Result<Option<proto::Document>, Status> {
    match connections.of(0)?.get_document(proto::GetDocumentRequest { name, ..Default::default() }).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

/// The ids of all completions.
async fn list(connections: &Connections, documents: &Documents) -> Result<Vec<String>, Status> {
    let mut ids = Vec::new();
    let mut request = proto::ListDocumentsRequest {
        parent: documents.batch(),
        collection_id: "completions".to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    loop {
        let page = connections.of(0)?.list_documents(request.clone()).await?.into_inner();
        ids.extend(page.documents.iter().filter_map(|document| Some(document.name.rsplit_once('/')?.1.to_owned())));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}
