//! The gRPC service IAMPolicy.

use std::sync::Arc;

use scrimmage_protos::google::iam::v1 as iam;
use scrimmage_protos::google::iam::v1::iam_policy_server::IamPolicy;
use tonic::{Request, Response, Status};

use super::Shell;
use crate::engine::policies;

#[derive(Clone, Debug)]
pub struct IamPolicies {
    pub(super) shell: Arc<Shell>,
}

#[tonic::async_trait]
impl IamPolicy for IamPolicies {
    async fn set_iam_policy(
        &self,
        request: Request<iam::SetIamPolicyRequest>,
    ) -> Result<Response<iam::Policy>, Status> {
        Ok(Response::new(self.shell.apply(policies::SetIamPolicy(request.into_inner()))?))
    }

    async fn get_iam_policy(
        &self,
        request: Request<iam::GetIamPolicyRequest>,
    ) -> Result<Response<iam::Policy>, Status> {
        Ok(Response::new(self.shell.apply(policies::GetIamPolicy(request.into_inner()))?))
    }

    async fn test_iam_permissions(
        &self,
        request: Request<iam::TestIamPermissionsRequest>,
    ) -> Result<Response<iam::TestIamPermissionsResponse>, Status> {
        let permissions = self.shell.apply(policies::TestIamPermissions(request.into_inner()))?;
        Ok(Response::new(iam::TestIamPermissionsResponse { permissions }))
    }
}
