//! [`Status`] on the gRPC wire.

use prost::Message;
use prost_types::Any;
use scrimmage_protos::google::rpc;

use crate::{Code, Detail, Status};

impl From<Status> for tonic::Status {
    /// Details travel as an encoded `google.rpc.Status` in `grpc-status-details-bin`.
    fn from(status: Status) -> Self {
        let code = tonic::Code::from_i32(status.code.number());
        if status.details.is_empty() {
            return tonic::Status::new(code, status.message);
        }
        let encoded = rpc::Status {
            code: status.code.number(),
            message: status.message.clone(),
            details: status.details.into_iter().map(any).collect(),
        };
        tonic::Status::with_details(code, status.message, encoded.encode_to_vec().into())
    }
}

fn any(detail: Detail) -> Any {
    let pack = |name: &str, value: Vec<u8>| Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value };
    match detail {
        Detail::ErrorInfo { reason, domain, metadata } => {
            let info = rpc::ErrorInfo { reason, domain, metadata: metadata.into_iter().collect() };
            pack("ErrorInfo", info.encode_to_vec())
        }
        Detail::BadRequest { field_violations } => {
            let field_violations = field_violations
                .into_iter()
                .map(|(field, description)| rpc::bad_request::FieldViolation {
                    field,
                    description,
                    ..Default::default()
                })
                .collect();
            pack("BadRequest", rpc::BadRequest { field_violations }.encode_to_vec())
        }
    }
}

impl From<tonic::Code> for Code {
    fn from(code: tonic::Code) -> Self {
        Code::from_number(code as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_a_google_rpc_status() {
        let status = Status::invalid_argument("bad").with_detail(Detail::BadRequest {
            field_violations: vec![("a.b".to_owned(), "Cannot find field.".to_owned())],
        });
        let tonic = tonic::Status::from(status);
        assert_eq!(tonic.code(), tonic::Code::InvalidArgument);
        let decoded = rpc::Status::decode(tonic.details()).expect("a google.rpc.Status");
        assert_eq!((decoded.code, decoded.message.as_str()), (3, "bad"));
        assert_eq!(decoded.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
        let bad = rpc::BadRequest::decode(decoded.details[0].value.as_slice()).expect("a BadRequest");
        assert_eq!(bad.field_violations[0].field, "a.b");
    }

    #[test]
    fn a_status_without_details_sends_none() {
        assert!(tonic::Status::from(Status::aborted("x")).details().is_empty());
    }
}
