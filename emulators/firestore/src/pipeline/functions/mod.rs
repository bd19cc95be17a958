//! Functions by name.
//!
//! Those that look at their arguments one by one (logic, absence, errors, elements of arrays) are
//! called with expressions; all others get values and are never called with a null or an absent one.

pub mod arithmetic;
mod arrays;
mod comparison;
mod logic;
mod maps;
mod strings;
mod times;
mod vectors;

use std::sync::Arc;

use super::eval::{Evaluated, Run, Scope, evaluate, whole};
use super::{Expression, Failure};
use crate::path::DocumentName;
use crate::value::Value;

/// A function of values, none of them null.
type Plain = fn(&Call<'_>) -> Result<Value, Failure>;

/// A call with its arguments evaluated.
pub(super) struct Call<'a> {
    pub name: &'a str,
    pub arguments: Vec<Value>,
}

impl Call<'_> {
    pub fn get(&self, at: usize) -> Result<&Value, Failure> {
        self.arguments
            .get(at)
            .ok_or_else(|| Failure::invalid(format!("Function \"{}\" has too few arguments.", self.name)))
    }

    pub fn wrong(&self, at: usize, wanted: &str) -> Failure {
        let given = self.arguments.get(at).map_or("nothing", |value| type_name(value));
        Failure::invalid(format!(
            "Function \"{}\" takes {wanted} as its {} argument, not {given}.",
            self.name,
            ordinal(at)
        ))
    }

    pub fn text(&self, at: usize) -> Result<&str, Failure> {
        match self.get(at)? {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(at, "string")),
        }
    }

    pub fn int(&self, at: usize) -> Result<i64, Failure> {
        match self.get(at)? {
            Value::Int(number) => Ok(*number),
            Value::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(*number as i64),
            _ => Err(self.wrong(at, "int64")),
        }
    }

    pub fn double(&self, at: usize) -> Result<f64, Failure> {
        arithmetic::number(self.get(at)?).ok_or_else(|| self.wrong(at, "a number"))
    }

    pub fn array(&self, at: usize) -> Result<&Arc<Vec<Value>>, Failure> {
        match self.get(at)? {
            Value::Array(values) => Ok(values),
            _ => Err(self.wrong(at, "array")),
        }
    }

    pub fn failed(&self, why: &str) -> Failure {
        Failure::invalid(format!("Function \"{}\": {why}.", self.name))
    }
}

fn ordinal(at: usize) -> String {
    match at {
        0 => "first".to_owned(),
        1 => "second".to_owned(),
        2 => "third".to_owned(),
        other => format!("{}th", other + 1),
    }
}

/// A type's name, as the function `type` gives it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "int64",
        Value::Double(_) => "float64",
        Value::Timestamp(_) => "timestamp",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Reference(_) => "reference",
        Value::Geo { .. } => "geo_point",
        Value::Array(_) => "array",
        Value::Map(_) if value.as_vector().is_some() => "vector",
        Value::Map(_) => "map",
    }
}

fn plain(name: &str) -> Option<(Plain, std::ops::RangeInclusive<usize>)> {
    arithmetic::plain(name)
        .or_else(|| strings::plain(name))
        .or_else(|| arrays::plain(name))
        .or_else(|| maps::plain(name))
        .or_else(|| times::plain(name))
        .or_else(|| vectors::plain(name))
        .or_else(|| {
            Some(match name {
                "concat" => (concat, 2..=MANY),
                "length" => (length, 1..=1),
                "reverse" => (reverse, 1..=1),
                "document_id" => (document_id, 1..=1),
                "collection_id" => (collection_id, 1..=1),
                "parent" => (parent, 1..=1),
                _ => return None,
            })
        })
}

/// As many arguments as are given.
const MANY: usize = usize::MAX;

/// Functions that see their arguments as expressions, and how many they take.
fn special(name: &str) -> Option<std::ops::RangeInclusive<usize>> {
    Some(match name {
        "and" | "or" | "xor" | "nor" => 1..=MANY,
        "not" | "exists" | "is_absent" | "is_error" | "type" | "storage_size" => 1..=1,
        "conditional" | "between" => 3..=3,
        "switch_on" => 2..=MANY,
        "if_absent" | "if_error" | "is_type" | "cmp" => 2..=2,
        "if_null" | "coalesce" => 1..=MANY,
        "equal" | "not_equal" | "less_than" | "less_than_or_equal" | "greater_than" | "greater_than_or_equal" => 2..=2,
        "equal_any" | "not_equal_any" | "array_contains" | "array_contains_all" | "array_contains_any" => 2..=2,
        "maximum" | "minimum" => 1..=MANY,
        "array" | "map" => 0..=MANY,
        "array_filter" => 3..=3,
        "array_transform" => 3..=4,
        "offset" | "get_field" | "map_get" => 2..=2,
        "map_set" => 3..=MANY,
        "current_timestamp" | "current_document" | "rand" => 0..=0,
        _ => return None,
    })
}

/// Whether there is a function of this name.
pub fn is_known(name: &str) -> bool {
    special(name).is_some() || plain(name).is_some()
}

pub(super) fn call(run: &mut Run<'_>, scope: Scope<'_>, name: &str, arguments: &[Expression]) -> Evaluated {
    run.step(1)?;
    if let Some(count) = special(name) {
        check_count(name, arguments.len(), &count)?;
        return match name {
            "current_timestamp" => Ok(Some(Value::Timestamp(run.now))),
            "current_document" => Ok(Some(whole(run, scope.row))),
            "rand" => Ok(Some(Value::Double(run.rng.unit()))),
            "array" | "array_filter" | "array_transform" | "offset" => arrays::special(run, scope, name, arguments),
            "map" | "map_set" | "map_get" | "get_field" => maps::special(run, scope, name, arguments),
            "and" | "or" | "xor" | "nor" | "not" | "conditional" | "switch_on" | "exists" | "is_absent"
            | "if_absent" | "is_error" | "if_error" | "if_null" | "coalesce" => {
                logic::special(run, scope, name, arguments)
            }
            _ => {
                let values =
                    arguments.iter().map(|argument| evaluate(run, scope, argument)).collect::<Result<Vec<_>, _>>()?;
                comparison::special(name, &values)
            }
        };
    }
    let Some((function, count)) = plain(name) else {
        return Err(Failure::invalid(format!(
            "\"{name}\" is an accumulator and has its place in the stage aggregate."
        )));
    };
    check_count(name, arguments.len(), &count)?;
    let mut values = Vec::with_capacity(arguments.len());
    let mut null = false;
    for argument in arguments {
        match evaluate(run, scope, argument)? {
            None | Some(Value::Null) => null = true,
            Some(value) => values.push(value),
        }
    }
    if null {
        return Ok(Some(Value::Null));
    }
    function(&Call { name, arguments: values }).map(Some)
}

fn check_count(name: &str, given: usize, wanted: &std::ops::RangeInclusive<usize>) -> Result<(), Failure> {
    if wanted.contains(&given) {
        return Ok(());
    }
    let (least, most) = (*wanted.start(), *wanted.end());
    let wanted = match (least, most) {
        (least, MANY) => format!("at least {least}"),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} to {most}"),
    };
    Err(Failure::invalid(format!("Function \"{name}\" takes {wanted} arguments, not {given}.")))
}

/// Bytes that one value may come to: what a document may hold, many times over.
pub(super) const MOST_BYTES: usize = 16 << 20;

pub(super) fn check_size(call: &Call<'_>, bytes: usize) -> Result<(), Failure> {
    if bytes > MOST_BYTES { Err(call.failed(&format!("the result is larger than {MOST_BYTES} bytes"))) } else { Ok(()) }
}

fn concat(call: &Call<'_>) -> Result<Value, Failure> {
    match call.get(0)? {
        Value::String(_) => strings::concat(call),
        Value::Array(_) => arrays::concat(call),
        Value::Bytes(_) => {
            let mut all = Vec::new();
            for (at, value) in call.arguments.iter().enumerate() {
                let Value::Bytes(bytes) = value else { return Err(call.wrong(at, "bytes")) };
                all.extend_from_slice(bytes);
                check_size(call, all.len())?;
            }
            Ok(Value::Bytes(Arc::from(all)))
        }
        _ => Err(call.wrong(0, "string, bytes or array")),
    }
}

fn length(call: &Call<'_>) -> Result<Value, Failure> {
    let value = call.get(0)?;
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(values) => values.len(),
        Value::Map(fields) => value.as_vector().map_or(fields.len(), <[Value]>::len),
        _ => return Err(call.wrong(0, "string, bytes, array, vector or map")),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn reverse(call: &Call<'_>) -> Result<Value, Failure> {
    match call.get(0)? {
        Value::String(text) => Ok(Value::string(&text.chars().rev().collect::<String>())),
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes.iter().rev().copied().collect())),
        Value::Array(values) => Ok(Value::array(values.iter().rev().cloned().collect())),
        _ => Err(call.wrong(0, "string, bytes or array")),
    }
}

fn named<'a>(call: &'a Call<'_>) -> Result<(&'a str, DocumentName), Failure> {
    let Value::Reference(name) = call.get(0)? else { return Err(call.wrong(0, "reference")) };
    let (_, document) = DocumentName::parse(name)?;
    Ok((name, document))
}

fn document_id(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::string(named(call)?.1.id()))
}

fn collection_id(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::string(named(call)?.1.collection_id()))
}

/// The document that a document's collection is in; null at the root.
fn parent(call: &Call<'_>) -> Result<Value, Failure> {
    let (name, document) = named(call)?;
    let Some((parent, _)) = document.collection().rsplit_once('/') else { return Ok(Value::Null) };
    let root = name.len() - document.path().len();
    Ok(Value::Reference(Arc::from(format!("{}{parent}", name.get(..root).unwrap_or_default()))))
}
