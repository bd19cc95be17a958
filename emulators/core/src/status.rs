//! The outcome of a failed call, in Google's own terms, before any protocol has shaped it.

use std::collections::BTreeMap;

use thiserror::Error;

/// The canonical codes of `google.rpc.Code`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

const CODES: [(Code, &str, u16); 17] = [
    (Code::Ok, "OK", 200),
    (Code::Cancelled, "CANCELLED", 499),
    (Code::Unknown, "UNKNOWN", 500),
    (Code::InvalidArgument, "INVALID_ARGUMENT", 400),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
    (Code::NotFound, "NOT_FOUND", 404),
    (Code::AlreadyExists, "ALREADY_EXISTS", 409),
    (Code::PermissionDenied, "PERMISSION_DENIED", 403),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED", 429),
    (Code::FailedPrecondition, "FAILED_PRECONDITION", 400),
    (Code::Aborted, "ABORTED", 409),
    (Code::OutOfRange, "OUT_OF_RANGE", 400),
    (Code::Unimplemented, "UNIMPLEMENTED", 501),
    (Code::Internal, "INTERNAL", 500),
    (Code::Unavailable, "UNAVAILABLE", 503),
    (Code::DataLoss, "DATA_LOSS", 500),
    (Code::Unauthenticated, "UNAUTHENTICATED", 401),
];

impl Code {
    /// The code's number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code of a number on the wire; an unknown number is `UNKNOWN`, as the gRPC specification asks.
    pub fn from_number(number: i32) -> Code {
        usize::try_from(number).ok().and_then(|index| CODES.get(index)).map_or(Code::Unknown, |row| row.0)
    }

    /// `INVALID_ARGUMENT` and the like, as REST bodies have it.
    pub fn name(self) -> &'static str {
        CODES[self as usize].1
    }

    /// The code of such a name, upper case.
    pub fn from_name(name: &str) -> Option<Code> {
        CODES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The HTTP status that `google.rpc.Code` documents for it.
    pub fn http_status(self) -> u16 {
        CODES[self as usize].2
    }
}

/// The typed details of `google.rpc.Status` that the services in this suite send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Detail {
    /// `google.rpc.ErrorInfo`.
    ErrorInfo { reason: String, domain: String, metadata: BTreeMap<String, String> },
    /// `google.rpc.BadRequest`: pairs of field and description.
    BadRequest { field_violations: Vec<(String, String)> },
}

/// A failed call: code, text for people, and details for programs.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{}: {message}", code.name())]
pub struct Status {
    pub code: Code,
    pub message: String,
    pub details: Vec<Detail>,
}

macro_rules! constructors {
    ($($name:ident => $code:ident),* $(,)?) => {$(
        #[doc = concat!("A status with the code `", stringify!($code), "`.")]
        pub fn $name(message: impl Into<String>) -> Status {
            Status::new(Code::$code, message)
        }
    )*};
}

impl Status {
    pub fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into(), details: Vec::new() }
    }

    /// The same with one more detail.
    pub fn with_detail(mut self, detail: Detail) -> Status {
        self.details.push(detail);
        self
    }

    constructors! {
        invalid_argument => InvalidArgument,
        not_found => NotFound,
        already_exists => AlreadyExists,
        permission_denied => PermissionDenied,
        resource_exhausted => ResourceExhausted,
        failed_precondition => FailedPrecondition,
        aborted => Aborted,
        out_of_range => OutOfRange,
        unimplemented => Unimplemented,
        internal => Internal,
        unavailable => Unavailable,
        deadline_exceeded => DeadlineExceeded,
        unauthenticated => Unauthenticated,
        cancelled => Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_http_statuses_agree() {
        for (index, (code, name, _)) in CODES.iter().enumerate() {
            assert_eq!(code.number() as usize, index);
            assert_eq!(Code::from_number(index as i32), *code);
            assert_eq!(Code::from_name(name), Some(*code));
            assert_eq!(code.name(), *name);
        }
        assert_eq!(Code::from_number(77), Code::Unknown);
        assert_eq!(Code::Aborted.http_status(), 409);
    }
}
