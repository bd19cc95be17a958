//! JavaScript in a sandbox: programs that SQL functions and message transforms call.
//!
//! A [`Program`] is source text that was found to compile. It can be called from any thread: each call takes an
//! idle [QuickJS](https://bellard.org/quickjs/) instance of the program or starts one, so global variables are
//! neither shared safely nor reset between calls, as little as production promises. Code sees the language and
//! nothing else: no files, no network, no modules, no timers.
//!
//! ```
//! use scrimmage_javascript::{Limits, Program, Script};
//! use serde_json::json;
//!
//! let program = Program::compile(vec![Script::new("function twice(x) { return 2 * x; }")], Limits::default())?;
//! assert_eq!(program.call_json("twice", &[json!(21)])?, Some(json!(42)));
//! # Ok::<(), scrimmage_javascript::JsError>(())
//! ```

mod convert;
mod error;
mod program;
#[cfg(test)]
mod tests;
mod value;

pub use error::{ErrorKind, JsError};
pub use program::{Limits, Program, Script};
pub use value::Js;
