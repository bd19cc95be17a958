//! What a JavaScript function is compiled to, once, at its first call.

use std::sync::OnceLock;

use scrimmage_javascript::{JsError, Limits, Program, Script};

use crate::catalog::{Routine, RoutineKind};

/// The code of a routine of kind JavaScript, beside its body.
#[derive(Debug, Default)]
pub struct JavaScript {
    /// Source text of `OPTIONS(library=[…])`, in order.
    pub libraries: Vec<String>,
    program: OnceLock<Result<Program, JsError>>,
}

/// The function that calls the body.
pub(super) const ENTRY: &str = "$udf";

/// Feeds an aggregate function one group: its rows as objects, and the arguments that are the same for all.
const AGGREGATE: &str = "function $udf(group) {
  const state = initialState(...Object.values(group.fixed ?? {}));
  for (const row of group.items ?? []) aggregate(state, ...Object.values(row), ...Object.values(group.fixed ?? {}));
  return finalize(state, ...Object.values(group.fixed ?? {}));
}";

impl JavaScript {
    pub fn with_libraries(libraries: Vec<String>) -> JavaScript {
        JavaScript { libraries, program: OnceLock::new() }
    }

    /// The compiled program.
    ///
    /// # Errors
    /// Why it does not compile, the same at each call.
    pub(super) fn program(&self, routine: &Routine) -> Result<Program, JsError> {
        self.program.get_or_init(|| compile(&self.libraries, routine)).clone()
    }
}

fn compile(libraries: &[String], routine: &Routine) -> Result<Program, JsError> {
    let mut scripts: Vec<Script> = libraries.iter().map(|library| Script::new(library.as_str())).collect();
    if routine.kind == RoutineKind::JavaScriptAggregate {
        scripts.push(Script::new(without_exports(&routine.body)));
        scripts.push(Script::new(AGGREGATE));
    } else {
        let names: Vec<&str> = routine.arguments.iter().map(|argument| argument.name.as_str()).collect();
        scripts.push(Script::function(ENTRY, &names, &routine.body));
    }
    Program::compile(scripts, Limits::default())
}

/// A module's text as a script's: declarations lose their `export`, lists of exports go. Lines stay where they are.
fn without_exports(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let indent = line.len() - line.trim_start().len();
        let (before, rest) = line.split_at(indent);
        match rest.strip_prefix("export ") {
            Some(list) if list.trim_start().starts_with('{') => String::new(),
            Some(declaration) => format!("{before}{declaration}"),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
