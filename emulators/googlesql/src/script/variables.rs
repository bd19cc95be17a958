//! What names stand for in a script: declared variables, and system variables under `@@name`.

use std::collections::HashMap;
use std::sync::Arc;

use super::host::{Frame, Host, Variables};
use crate::cast;
use crate::error::Result;
use crate::types::{Type, TypeParams};
use crate::value::Value;

/// System variables that are text and that the host knows; NULL where it does not.
const HOST_TEXTS: [&str; 9] = [
    "dataset_id",
    "dataset_project_id",
    "query_label",
    "session_id",
    "current_job_id",
    "last_job_id",
    "location",
    "script.job_id",
    "reservation",
];

/// Those that are numbers.
const HOST_NUMBERS: [&str; 5] =
    ["script.bytes_processed", "script.bytes_billed", "script.slot_ms", "script.num_child_jobs", "slot_ms"];

/// A frame's variables and how to look names up in it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub all: Variables,
    /// Of variables declared with parameters: `STRING(10)`.
    params: HashMap<String, TypeParams>,
}

impl Scope {
    pub fn get(&self, name: &str) -> Option<&(Type, Value)> {
        self.all.get(&name.to_lowercase())
    }

    pub fn set(&mut self, name: &str, ty: Type, value: Value) {
        self.all.insert(name.to_lowercase(), (ty, value));
    }

    pub fn remove(&mut self, name: &str) {
        self.all.remove(&name.to_lowercase());
        self.params.remove(&name.to_lowercase());
    }

    pub fn declare(&mut self, name: &str, ty: Type, params: TypeParams, value: Value) {
        if !params.is_empty() {
            self.params.insert(name.to_lowercase(), params);
        }
        self.set(name, ty, value);
    }

    /// A new value of the variable's own type, which its parameters may refuse.
    pub fn assign(&mut self, name: &str, value: Value) -> Result<()> {
        let name = name.to_lowercase();
        if let Some(slot) = self.all.get_mut(&name) {
            slot.1 = match self.params.get(&name) {
                Some(params) => cast::enforce(value, &slot.0, params)?,
                None => value,
            };
        }
        Ok(())
    }

    /// Another frame's system variables: they are everybody's.
    pub fn adopt_system(&mut self, other: &Scope) {
        let system = other.all.iter().filter(|(name, _)| name.starts_with("@@"));
        self.all.extend(system.map(|(name, value)| (name.clone(), value.clone())));
    }

    /// All that can be known at the start.
    pub fn start<H: Host>(&mut self, host: &H, project: &str, time_zone: &str) {
        self.set("@@time_zone", Type::String, Value::string(time_zone));
        self.set("@@project_id", Type::String, Value::string(project));
        self.set("@@row_count", Type::Int64, Value::Null);
        for name in HOST_TEXTS {
            let value = host.system_variable(name).unwrap_or_else(|| match name {
                "dataset_project_id" => Value::string(project),
                _ => Value::Null,
            });
            self.set(&format!("@@{name}"), Type::String, value);
        }
        for name in HOST_NUMBERS {
            self.set(&format!("@@{name}"), Type::Int64, host.system_variable(name).unwrap_or_default());
        }
        let created = host.system_variable("script.creation_time").unwrap_or(Value::Timestamp(host.now()));
        self.set("@@script.creation_time", Type::Timestamp, created);
        self.no_error();
    }

    /// Job ids change from statement to statement.
    pub fn refresh<H: Host>(&mut self, host: &H) {
        if let Some(value) = host.system_variable("last_job_id") {
            self.set("@@last_job_id", Type::String, value);
        }
    }

    /// Outside of exception handlers `@@error` is all NULL.
    pub fn no_error(&mut self) {
        for name in ["message", "statement_text", "formatted_stack_trace"] {
            self.set(&format!("@@error.{name}"), Type::String, Value::Null);
        }
        self.set("@@error.stack_trace", stack_trace_type(), Value::Null);
    }

    pub fn error(&mut self, message: &str, statement: &str, frames: &[Frame]) {
        self.set("@@error.message", Type::String, Value::string(message));
        self.set("@@error.statement_text", Type::String, Value::string(statement));
        let lines: Vec<String> = frames
            .iter()
            .map(|frame| match &frame.procedure {
                Some(name) => format!("At {name}[{}:{}]", frame.line, frame.column),
                None => format!("At [{}:{}]", frame.line, frame.column),
            })
            .collect();
        self.set("@@error.formatted_stack_trace", Type::String, Value::string(lines.join("\n")));
        let trace = frames
            .iter()
            .map(|frame| {
                let procedure = frame.procedure.as_ref().map_or(Value::Null, Value::string);
                Value::structure(vec![
                    Value::Int64(i64::from(frame.line)),
                    Value::Int64(i64::from(frame.column)),
                    Value::Null,
                    procedure,
                ])
            })
            .collect();
        self.set("@@error.stack_trace", stack_trace_type(), Value::Array(Arc::new(trace)));
    }

    /// What an exception handler puts back when it ends.
    pub fn error_values(&self) -> Variables {
        self.all.iter().filter(|(name, _)| name.starts_with("@@error.")).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// Whether a system variable can be SET, and its type.
pub(super) fn settable(name: &str) -> Option<Type> {
    match name {
        "time_zone" | "dataset_id" | "dataset_project_id" | "query_label" | "reservation" => Some(Type::String),
        _ => None,
    }
}

fn stack_trace_type() -> Type {
    Type::array(Type::struct_of([
        ("line", Type::Int64),
        ("column", Type::Int64),
        ("filename", Type::String),
        ("location", Type::String),
    ]))
}
