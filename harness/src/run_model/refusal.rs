//! What the platform answers where the service does not, and what it writes into the log about it.
//!
//! Statuses and log texts: Cloud Run's documentation, "Troubleshoot Cloud Run issues"; bodies: as its
//! front end sends them.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A request that the platform answers itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// No instance could take it in time, and no further one may be started.
    NoCapacity,
    /// There is no instance, and none comes up.
    NoInstance,
    /// The instance went away, or what it answered is no answer.
    BrokenConnection,
    /// The instance did not answer in time.
    TimedOut,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Refusal::NoCapacity => StatusCode::TOO_MANY_REQUESTS,
            Refusal::NoInstance | Refusal::BrokenConnection => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What the caller reads.
    pub(crate) fn body(self) -> &'static str {
        match self {
            Refusal::NoCapacity => "Rate exceeded.",
            Refusal::NoInstance | Refusal::BrokenConnection => "Service Unavailable",
            Refusal::TimedOut => "upstream request timeout",
        }
    }

    /// What the platform's request log says.
    pub(crate) fn log_text(self) -> &'static str {
        match self {
            Refusal::NoCapacity | Refusal::NoInstance => {
                "The request was aborted because there was no available instance."
            }
            Refusal::BrokenConnection => {
                "The request failed because either the HTTP response was malformed or connection to the instance had \
                 an error."
            }
            Refusal::TimedOut => "The request has been terminated because it has reached the maximum request timeout.",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, "text/plain")];
        (self.status(), kind, self.body()).into_response()
    }
}

/// The log line of an instance that never listened.
pub(crate) const FAILED_TO_START: &str = "The user-provided container failed to start and listen on the port defined \
                                          provided by the PORT environment variable within the allocated timeout.";
