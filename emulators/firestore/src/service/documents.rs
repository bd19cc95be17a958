//! Documents by name, commits and transactions.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use prost::Message;
use prost::bytes::Bytes;
use scrimmage_core::CallNotes;
use scrimmage_protos::google::firestore::v1 as pb;

use super::decode::{self, Selector};
use super::rpc::{Answers, answers};
use super::{Firestore, encode};
use crate::engine::store::Document;
use crate::engine::write::{Operation, Precondition, Write};
use crate::engine::{Command, Committed, Consistency, Outcome, Read};
use crate::error::Error;
use crate::limits;
use crate::path::{DatabaseName, DocumentName, FieldPath};
use crate::texts;

type Notes<'a> = Option<&'a CallNotes>;

/// Documents that were asked for by name; `None` where there is none.
pub type Documents = Read<Vec<(DocumentName, Option<Arc<Document>>)>>;

impl Firestore {
    /// How a read of this database is to be done.
    pub(super) fn consistency(
        &self,
        database: &DatabaseName,
        selector: Option<impl Into<Selector>>,
    ) -> Result<Consistency, Error> {
        decode::consistency(selector.map(Into::into), self.editions.of(database).concurrency)
    }

    pub(super) async fn do_get(
        &self,
        request: pb::GetDocumentRequest,
        notes: Notes<'_>,
    ) -> Result<pb::Document, Error> {
        let (database, name) = DocumentName::parse(&request.name)?;
        let mask = decode::mask(request.mask)?;
        let consistency = self.consistency(&database, request.consistency_selector)?;
        self.get_one(&database, name, consistency, mask.as_deref(), notes).await
    }

    async fn get_one(
        &self,
        database: &DatabaseName,
        name: DocumentName,
        consistency: Consistency,
        mask: Option<&[FieldPath]>,
        notes: Notes<'_>,
    ) -> Result<pb::Document, Error> {
        let read = self.get(database, vec![name.clone()], consistency, notes).await?;
        match read.what.into_iter().next() {
            Some((_, Some(document))) => Ok(encode::document(database, &document, mask)),
            _ => Err(Error::NotFound(database.resource(name.path()))),
        }
    }

    async fn get(
        &self,
        database: &DatabaseName,
        names: Vec<DocumentName>,
        consistency: Consistency,
        notes: Notes<'_>,
    ) -> Result<Documents, Error> {
        match self.shell.call(database, Command::Get { names, consistency }, notes).await? {
            Outcome::Documents(read) => Ok(read),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn do_batch_get(
        &self,
        request: pb::BatchGetDocumentsRequest,
        notes: Notes<'_>,
    ) -> Result<Answers<pb::BatchGetDocumentsResponse>, Error> {
        use pb::batch_get_documents_response::Result as Found;
        let database = DatabaseName::parse(&request.database)?;
        let mask = decode::mask(request.mask)?;
        let consistency = self.consistency(&database, request.consistency_selector)?;
        let mut seen = HashSet::new();
        let mut names = Vec::with_capacity(request.documents.len());
        for name in &request.documents {
            let name = decode::write::name_in(&database, name)?;
            // Documented: duplicates are elided.
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        let read = self.get(&database, names, consistency, notes).await?;
        let read_time = encode::time(read.read_time);
        let first = read.begun.map(|id| pb::BatchGetDocumentsResponse {
            transaction: Bytes::from(id.to_bytes()),
            read_time: None,
            result: None,
        });
        let found = read.what.into_iter().map(move |(name, document)| pb::BatchGetDocumentsResponse {
            transaction: Bytes::new(),
            read_time: Some(read_time),
            result: Some(match document {
                Some(document) => Found::Found(encode::document(&database, &document, mask.as_deref())),
                None => Found::Missing(database.resource(name.path())),
            }),
        });
        Ok(answers(first.into_iter().chain(found)))
    }

    pub(super) async fn do_begin(
        &self,
        request: pb::BeginTransactionRequest,
        notes: Notes<'_>,
    ) -> Result<pb::BeginTransactionResponse, Error> {
        let database = DatabaseName::parse(&request.database)?;
        let options = decode::transaction_options(request.options, false, self.editions.of(&database).concurrency)?;
        match self.shell.call(&database, Command::Begin(options), notes).await? {
            Outcome::Begun(id) => Ok(pb::BeginTransactionResponse { transaction: Bytes::from(id.to_bytes()) }),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn do_commit(
        &self,
        request: pb::CommitRequest,
        notes: Notes<'_>,
    ) -> Result<pb::CommitResponse, Error> {
        let database = DatabaseName::parse(&request.database)?;
        if request.encoded_len() > limits::COMMIT_BYTES {
            return Err(Error::TransactionTooBig);
        }
        let transaction =
            if request.transaction.is_empty() { None } else { Some(decode::transaction_id(&request.transaction)?) };
        let writes: Result<Vec<Write>, Error> =
            request.writes.into_iter().map(|write| decode::write::write(&database, write)).collect();
        let command = Command::Commit { transaction, writes: writes? };
        match self.shell.call(&database, command, notes).await? {
            Outcome::Committed(done) => Ok(encode::committed(&done)),
            other => Err(unexpected(&other)),
        }
    }

    /// Commits without a transaction.
    pub(super) async fn commit_plain(
        &self,
        database: &DatabaseName,
        writes: Vec<Write>,
        notes: Notes<'_>,
    ) -> Result<Committed, Error> {
        match self.shell.call(database, Command::Commit { transaction: None, writes }, notes).await? {
            Outcome::Committed(done) => Ok(done),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn do_rollback(&self, request: pb::RollbackRequest, notes: Notes<'_>) -> Result<(), Error> {
        let database = DatabaseName::parse(&request.database)?;
        let id = decode::transaction_id(&request.transaction)?;
        self.shell.call(&database, Command::Rollback(id), notes).await.map(|_| ())
    }

    pub(super) async fn do_create(
        &self,
        request: pb::CreateDocumentRequest,
        notes: Notes<'_>,
    ) -> Result<pb::Document, Error> {
        let (database, parent) = decode::parent(&request.parent)?;
        decode::collection_id(&request.collection_id)?;
        let document = request.document.unwrap_or_default();
        if !document.name.is_empty() {
            return Err(Error::invalid(texts::NAME_MUST_NOT_BE_SET));
        }
        let id = match request.document_id.as_str() {
            "" => self.auto_id(),
            id => {
                crate::path::check_id(id)?;
                id.to_owned()
            }
        };
        let slash = if parent.is_empty() { "" } else { "/" };
        let name = DocumentName::parse_relative(&format!("{parent}{slash}{}/{id}", request.collection_id))?;
        if let Some(notes) = notes {
            notes.resource(database.resource(name.path()));
        }
        let operation = decode::write::operation(document, None)?;
        let precondition = Some(Precondition::Exists(false));
        let mask = decode::mask(request.mask)?;
        self.write_one(&database, Write { name, operation, transforms: Vec::new(), precondition }, mask, notes).await
    }

    pub(super) async fn do_update(
        &self,
        request: pb::UpdateDocumentRequest,
        notes: Notes<'_>,
    ) -> Result<pb::Document, Error> {
        let document = request.document.unwrap_or_default();
        let (database, name) = DocumentName::parse(&document.name)?;
        let operation = decode::write::operation(document, request.update_mask)?;
        let precondition = decode::write::precondition(request.current_document)?;
        let mask = decode::mask(request.mask)?;
        self.write_one(&database, Write { name, operation, transforms: Vec::new(), precondition }, mask, notes).await
    }

    /// Writes one document and returns it as it was right after that write.
    async fn write_one(
        &self,
        database: &DatabaseName,
        write: Write,
        mask: Option<Vec<FieldPath>>,
        notes: Notes<'_>,
    ) -> Result<pb::Document, Error> {
        let name = write.name.clone();
        let done = self.commit_plain(database, vec![write], notes).await?;
        self.get_one(database, name, Consistency::At(done.commit_time), mask.as_deref(), None).await
    }

    pub(super) async fn do_delete(&self, request: pb::DeleteDocumentRequest, notes: Notes<'_>) -> Result<(), Error> {
        let (database, name) = DocumentName::parse(&request.name)?;
        let precondition = decode::write::precondition(request.current_document)?;
        let write = Write { name, operation: Operation::Delete, transforms: Vec::new(), precondition };
        self.commit_plain(&database, vec![write], notes).await.map(|_| ())
    }

    /// Twenty letters and digits, as the service and its clients choose them.
    pub(super) fn auto_id(&self) -> String {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        (0..20).map(|_| char::from(LETTERS[(ids.next_u64() % 62) as usize])).collect()
    }
}

/// The engine answered with something else than was asked for.
pub fn unexpected(outcome: &Outcome) -> Error {
    Error::Internal(format!("unexpected outcome: {:?}", std::mem::discriminant(outcome)))
}
