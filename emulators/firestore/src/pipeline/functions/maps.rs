//! Maps.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Call, Evaluated, Failure, MANY, Plain, Run, Scope, type_name};
use crate::pipeline::Expression;
use crate::pipeline::eval::evaluate;
use crate::value::{Fields, Value};

pub(super) fn plain(name: &str) -> Option<(Plain, RangeInclusive<usize>)> {
    Some(match name {
        "map_remove" => (remove, 2..=MANY),
        "map_merge" => (merge, 2..=MANY),
        "map_keys" => (keys, 1..=1),
        "map_values" => (values, 1..=1),
        "map_entries" => (entries, 1..=1),
        _ => return None,
    })
}

fn key(value: Option<Value>, name: &str) -> Result<Arc<str>, Failure> {
    match value {
        Some(Value::String(key)) => Ok(key),
        _ => Err(Failure::invalid(format!("Function \"{name}\" takes keys as strings."))),
    }
}

pub(super) fn special(run: &mut Run<'_>, scope: Scope<'_>, name: &str, arguments: &[Expression]) -> Evaluated {
    let (mut fields, pairs) = match name {
        "map" => (Fields::new(), arguments),
        _ => {
            let Some((map, rest)) = arguments.split_first() else { return Ok(None) };
            match evaluate(run, scope, map)? {
                Some(Value::Map(fields)) => {
                    if name != "map_set" {
                        let wanted = rest.first().map_or(Ok(None), |wanted| evaluate(run, scope, wanted))?;
                        return Ok(fields.get(&key(wanted, name)?).cloned());
                    }
                    ((*fields).clone(), rest)
                }
                // A field of what is no map is not there; of what is null or absent neither.
                None | Some(Value::Null) if name != "map_set" => return Ok(None),
                None | Some(Value::Null) => return Ok(Some(Value::Null)),
                Some(_) if name == "get_field" => return Ok(None),
                Some(other) => {
                    return Err(Failure::invalid(format!("Function \"{name}\" takes map, not {}.", type_name(&other))));
                }
            }
        }
    };
    for pair in pairs.chunks(2) {
        let [name_of, value] = pair else {
            return Err(Failure::invalid(format!("Function \"{name}\" takes a value for each key.")));
        };
        let key = key(evaluate(run, scope, name_of)?, name)?;
        match evaluate(run, scope, value)? {
            Some(value) => fields.insert(key, value),
            None if name == "map_set" => {
                fields.remove(&key);
            }
            None => {}
        }
    }
    Ok(Some(Value::map(fields)))
}

fn map<'a>(call: &'a Call<'_>, at: usize) -> Result<&'a Arc<Fields>, Failure> {
    match call.get(at)? {
        Value::Map(fields) => Ok(fields),
        _ => Err(call.wrong(at, "map")),
    }
}

fn remove(call: &Call<'_>) -> Result<Value, Failure> {
    let mut fields = (**map(call, 0)?).clone();
    for at in 1..call.arguments.len() {
        fields.remove(call.text(at)?);
    }
    Ok(Value::map(fields))
}

/// Later maps win.
fn merge(call: &Call<'_>) -> Result<Value, Failure> {
    let mut fields = (**map(call, 0)?).clone();
    for at in 1..call.arguments.len() {
        for (key, value) in map(call, at)?.iter() {
            fields.insert(Arc::clone(key), value.clone());
        }
    }
    Ok(Value::map(fields))
}

fn keys(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::array(map(call, 0)?.iter().map(|(key, _)| Value::String(Arc::clone(key))).collect()))
}

fn values(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::array(map(call, 0)?.iter().map(|(_, value)| value.clone()).collect()))
}

/// Each entry as a map of `k` and `v`.
fn entries(call: &Call<'_>) -> Result<Value, Failure> {
    let entry = |(key, value): (&Arc<str>, &Value)| {
        let pair = [(Arc::from("k"), Value::String(Arc::clone(key))), (Arc::from("v"), value.clone())];
        Value::map(pair.into_iter().collect())
    };
    Ok(Value::array(map(call, 0)?.iter().map(entry).collect()))
}
