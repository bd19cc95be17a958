//! `google.longrunning.Operations` for what the admin service did. Operations are done when they are
//! first heard of, so that waiting for one ends at once and cancelling one changes nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use scrimmage_protos::google::longrunning as pb;
use scrimmage_protos::google::longrunning::operations_server::Operations;
use tonic::{Request, Response, Status};

use super::admin::{Admin, answer, page};
use crate::error::Error;
use crate::path::DatabaseName;
use crate::texts;

type Answer<T> = Result<Response<T>, Status>;

/// Operations that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 1_000;

/// The operations of all databases, oldest first.
#[derive(Debug, Default)]
pub struct Done(Mutex<VecDeque<pb::Operation>>);

impl Done {
    fn all(&self) -> MutexGuard<'_, VecDeque<pb::Operation>> {
        // Every change leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, operation: pb::Operation) {
        let mut all = self.all();
        if all.len() >= REMEMBERED {
            all.pop_front();
        }
        all.push_back(operation);
    }

    pub fn clear(&self) {
        self.all().clear();
    }

    fn get(&self, name: &str) -> Result<pb::Operation, Error> {
        let known = self.all().iter().find(|operation| operation.name == name).cloned();
        known.ok_or_else(|| Error::Missing(texts::operation_not_found(name)))
    }

    fn list(&self, request: &pb::ListOperationsRequest) -> Result<pb::ListOperationsResponse, Error> {
        // Clients write the database's name with and without the collection behind it.
        let database = DatabaseName::parse(request.name.strip_suffix("/operations").unwrap_or(&request.name))?;
        let wanted = match request.filter.replace([' ', '"'], "").to_lowercase().as_str() {
            "" | "done=true" | "done:true" => true,
            "done=false" | "done:false" => false,
            _ => return Err(Error::Unimplemented(texts::NO_OPERATION_FILTER.to_owned())),
        };
        let prefix = format!("{database}/operations/");
        let of_database = |operation: &&pb::Operation| wanted && operation.name.starts_with(&prefix);
        let all = self.all().iter().filter(of_database).cloned().collect();
        let (operations, next_page_token) = page(all, request.page_size, &request.page_token)?;
        Ok(pb::ListOperationsResponse { operations, next_page_token, ..Default::default() })
    }

    fn delete(&self, name: &str) -> Result<(), Error> {
        self.get(name)?;
        self.all().retain(|operation| operation.name != name);
        Ok(())
    }
}

#[tonic::async_trait]
impl Operations for Admin {
    async fn list_operations(&self, request: Request<pb::ListOperationsRequest>) -> Answer<pb::ListOperationsResponse> {
        answer(self.0.operations.list(request.get_ref()))
    }

    async fn get_operation(&self, request: Request<pb::GetOperationRequest>) -> Answer<pb::Operation> {
        answer(self.0.operations.get(&request.get_ref().name))
    }

    async fn delete_operation(&self, request: Request<pb::DeleteOperationRequest>) -> Answer<()> {
        answer(self.0.operations.delete(&request.get_ref().name))
    }

    async fn cancel_operation(&self, request: Request<pb::CancelOperationRequest>) -> Answer<()> {
        answer(self.0.operations.get(&request.get_ref().name).map(drop))
    }

    async fn wait_operation(&self, request: Request<pb::WaitOperationRequest>) -> Answer<pb::Operation> {
        answer(self.0.operations.get(&request.get_ref().name))
    }
}
