//! The fault `error`: an answer in the service's stead.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Code, Status};

/// `error = "UNAVAILABLE"` or `error = { status = "ABORTED", text = "…", reason = "…" }`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Injected {
    pub status: Code,
    /// Default: what the services commonly say with this status.
    pub text: Option<String>,
    /// BigQuery's `errors[].reason`; default: the one that goes with the status.
    pub reason: Option<String>,
}

/// The error that a call is answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InjectedError {
    pub status: Status,
    /// For services whose error body has a reason (BigQuery).
    pub reason: Option<String>,
}

impl Injected {
    /// An error with the default text.
    pub fn new(status: Code) -> Self {
        Injected { status, text: None, reason: None }
    }

    pub(super) fn error(&self) -> InjectedError {
        let text = self.text.clone().unwrap_or_else(|| default_text(self.status).to_owned());
        InjectedError { status: Status::new(self.status, text), reason: self.reason.clone() }
    }
}

/// Generic texts of Google's front ends; a scenario that needs a service's own gives it.
fn default_text(code: Code) -> &'static str {
    match code {
        Code::Unavailable => "The service is currently unavailable.",
        Code::Internal => "Internal error encountered.",
        Code::DeadlineExceeded => "Deadline expired before operation could complete.",
        Code::PermissionDenied => "The caller does not have permission",
        Code::ResourceExhausted => "Quota exceeded.",
        Code::Unauthenticated => "Request had invalid authentication credentials.",
        Code::Aborted => "The operation was aborted.",
        Code::Cancelled => "The operation was cancelled.",
        other => other.name(),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Serialize for Injected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let table =
            Table { status: self.status.name().to_owned(), text: self.text.clone(), reason: self.reason.clone() };
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Injected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InjectedVisitor)
    }
}

struct InjectedVisitor;

impl<'de> Visitor<'de> for InjectedVisitor {
    type Value = Injected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as \"ABORTED\" or { status, text, reason }")
    }

    fn visit_str<E: de::Error>(self, status: &str) -> Result<Injected, E> {
        code(status).map(Injected::new)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Injected, A::Error> {
        let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Injected { status: code(&table.status)?, text: table.text, reason: table.reason })
    }
}

pub(super) fn code<E: de::Error>(name: &str) -> Result<Code, E> {
    match Code::from_name(name) {
        Some(Code::Ok) | None => {
            Err(E::custom(format!("`{name}` is not a status to fail with: write ABORTED, UNAVAILABLE or the like")))
        }
        Some(code) => Ok(code),
    }
}
