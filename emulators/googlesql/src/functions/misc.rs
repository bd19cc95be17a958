//! Functions about the statement and the session, and those that fail on purpose.

use crate::error::{ErrorKind, SqlError};
use crate::functions::args::{any, string};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    // The analyzer gives the call whatever type its surroundings want; NULL is a message like any other.
    entry!(
        "debugging_functions",
        "error",
        "ERROR",
        Propagate,
        ["(STRING) -> INT64"],
        |_, args| { Err(SqlError::evaluation(string(args, 0)?)) },
        volatile
    ),
    entry!("security_functions", "session_user", "SESSION_USER", Propagate, ["() -> STRING"], |call, _| {
        Ok(Value::string(&call.ctx.session_user))
    }),
    entry!(
        "utility-functions",
        "generate_uuid",
        "GENERATE_UUID",
        Propagate,
        ["() -> STRING"],
        |call, _| {
            let (high, low) = (call.ctx.draws.next_u64(), call.ctx.draws.next_u64());
            Ok(Value::string(format!(
                "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                high >> 32,
                (high >> 16) & 0xffff,
                high & 0xfff,
                0x8000 | ((low >> 48) & 0x3fff),
                low & 0xffff_ffff_ffff
            )))
        },
        volatile
    ),
    // Comparisons and ORDER BY take it apart before it is evaluated.
    entry!("string_functions", "collate", "COLLATE", Propagate, ["(STRING, STRING) -> STRING"], |_, args| {
        match string(args, 1)? {
            "" | "binary" => Ok(any(args, 0).clone()),
            _ => Err(SqlError::new(
                ErrorKind::Unsupported,
                "Collation is only supported where texts are compared or sorted: COLLATE",
            )),
        }
    }),
];
