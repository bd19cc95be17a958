//! The gRPC service SchemaService.

use std::sync::Arc;

use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::schema_service_server::SchemaService;
use tonic::{Request, Response, Status};

use super::Shell;
use crate::engine::schemas;

#[derive(Clone, Debug)]
pub struct Schemas {
    pub(super) shell: Arc<Shell>,
}

#[tonic::async_trait]
impl SchemaService for Schemas {
    async fn create_schema(&self, request: Request<pb::CreateSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.shell.apply(schemas::CreateSchema(request.into_inner()))?))
    }

    async fn get_schema(&self, request: Request<pb::GetSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.shell.apply(schemas::GetSchema(request.into_inner()))?))
    }

    async fn list_schemas(
        &self,
        request: Request<pb::ListSchemasRequest>,
    ) -> Result<Response<pb::ListSchemasResponse>, Status> {
        Ok(Response::new(self.shell.apply(schemas::ListSchemas(request.into_inner()))?))
    }

    async fn list_schema_revisions(
        &self,
        request: Request<pb::ListSchemaRevisionsRequest>,
    ) -> Result<Response<pb::ListSchemaRevisionsResponse>, Status> {
        Ok(Response::new(self.shell.apply(schemas::ListSchemaRevisions(request.into_inner()))?))
    }

    async fn commit_schema(&self, request: Request<pb::CommitSchemaRequest>) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.shell.apply(schemas::CommitSchema(request.into_inner()))?))
    }

    async fn rollback_schema(
        &self,
        request: Request<pb::RollbackSchemaRequest>,
    ) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.shell.apply(schemas::RollbackSchema(request.into_inner()))?))
    }

    async fn delete_schema_revision(
        &self,
        request: Request<pb::DeleteSchemaRevisionRequest>,
    ) -> Result<Response<pb::Schema>, Status> {
        Ok(Response::new(self.shell.apply(schemas::DeleteSchemaRevision(request.into_inner()))?))
    }

    async fn delete_schema(&self, request: Request<pb::DeleteSchemaRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.shell.apply(schemas::DeleteSchema(request.into_inner().name))?))
    }

    async fn validate_schema(
        &self,
        request: Request<pb::ValidateSchemaRequest>,
    ) -> Result<Response<pb::ValidateSchemaResponse>, Status> {
        self.shell.apply(schemas::ValidateSchema(request.into_inner()))?;
        Ok(Response::new(pb::ValidateSchemaResponse {}))
    }

    async fn validate_message(
        &self,
        request: Request<pb::ValidateMessageRequest>,
    ) -> Result<Response<pb::ValidateMessageResponse>, Status> {
        self.shell.apply(schemas::ValidateMessage(request.into_inner()))?;
        Ok(Response::new(pb::ValidateMessageResponse {}))
    }
}
