//! What can go wrong with a program.

use thiserror::Error;

/// What sort of failure it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The source does not compile.
    Syntax,
    /// The code threw, or the engine did so for it.
    Thrown,
    /// It ran longer than it may.
    Timeout,
    /// It needed more memory than it may have.
    Memory,
    /// Whoever called wants it no more.
    Cancelled,
    /// The program has no such function.
    NoFunction,
    /// The sandbox itself failed.
    Internal,
}

/// A program that does not compile, or a call that failed. Displayed as JavaScript does: `TypeError: …`.
#[derive(Clone, PartialEq, Debug, Error)]
#[error("{message}")]
pub struct JsError {
    pub kind: ErrorKind,
    /// With the error's name in front (`TypeError: …`), in V8's words where they are known to differ.
    pub message: String,
    /// Line and column, from 1, in the script as it was given (for [`crate::Script::function`]: in the body).
    pub place: Option<(u32, u32)>,
}

impl JsError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> JsError {
        JsError { kind, message: message.into(), place: None }
    }
}

/// QuickJS's words for what production's V8 says otherwise: the error's name and message.
pub(crate) fn as_v8_says(name: &str, message: &str) -> (String, String) {
    for (verb, doing) in [("read", "reading"), ("set", "setting")] {
        let rest = message.strip_prefix("cannot ").and_then(|rest| rest.strip_prefix(verb));
        let rest = rest.and_then(|rest| rest.strip_prefix(" property '"));
        if let Some((property, what)) = rest.and_then(|rest| rest.rsplit_once("' of ")) {
            return (name.to_owned(), format!("Cannot {verb} properties of {what} ({doing} '{property}')"));
        }
    }
    if message == "Maximum call stack size exceeded" || message == "stack overflow" {
        return ("RangeError".to_owned(), "Maximum call stack size exceeded".to_owned());
    }
    (name.to_owned(), message.to_owned())
}
