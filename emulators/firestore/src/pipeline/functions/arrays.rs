//! Arrays. A negative index counts from the end; an index beyond gives nothing.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{Call, Evaluated, Failure, MANY, Plain, Run, Scope, check_size};
use crate::pipeline::Expression;
use crate::pipeline::eval::evaluate;
use crate::value::Value;

pub(super) fn plain(name: &str) -> Option<(Plain, RangeInclusive<usize>)> {
    Some(match name {
        "array_length" => (length, 1..=1),
        "array_reverse" => (reverse, 1..=1),
        "array_concat" => (concat, 1..=MANY),
        "array_get" => (get, 2..=2),
        "array_first" => (first, 1..=1),
        "array_last" => (last, 1..=1),
        "array_first_n" => (first_n, 2..=2),
        "array_last_n" => (last_n, 2..=2),
        "array_slice" => (slice, 2..=3),
        "array_index_of" => (index_of, 2..=3),
        "array_index_of_all" => (index_of_all, 2..=2),
        "maximum_n" => (largest, 2..=2),
        "minimum_n" => (smallest, 2..=2),
        "join" => (join, 2..=2),
        _ => return None,
    })
}

pub(super) fn special(run: &mut Run<'_>, scope: Scope<'_>, name: &str, arguments: &[Expression]) -> Evaluated {
    match name {
        "array" => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(evaluate(run, scope, argument)?.unwrap_or(Value::Null));
            }
            Ok(Some(Value::array(values)))
        }
        // Like array_get, but what is no array has no elements.
        "offset" => {
            let (Some(array), Some(index)) = (arguments.first(), arguments.get(1)) else { return Ok(None) };
            let (array, index) = (evaluate(run, scope, array)?, evaluate(run, scope, index)?);
            match (array, index) {
                (Some(Value::Array(values)), Some(Value::Int(index))) => Ok(element(&values, index).cloned()),
                (_, Some(Value::Int(_))) => Ok(None),
                _ => Err(Failure::invalid("Function \"offset\" takes int64 as its second argument.")),
            }
        }
        _ => each(run, scope, name, arguments),
    }
}

/// `array_filter` and `array_transform`: an expression for each element, which is a variable in it.
fn each(run: &mut Run<'_>, scope: Scope<'_>, name: &str, arguments: &[Expression]) -> Evaluated {
    let (Some(array), Some((body, aliases))) =
        (arguments.first(), arguments.get(1..).and_then(<[Expression]>::split_last))
    else {
        return Ok(None);
    };
    let mut names: Vec<Arc<str>> = Vec::new();
    for alias in aliases {
        match evaluate(run, scope, alias)? {
            Some(Value::String(alias)) => names.push(alias),
            _ => {
                return Err(Failure::invalid(format!("Function \"{name}\" takes the name of a variable as a string.")));
            }
        }
    }
    let values = match evaluate(run, scope, array)? {
        Some(Value::Array(values)) => values,
        None | Some(Value::Null) => return Ok(Some(Value::Null)),
        Some(_) => return Err(Failure::invalid(format!("Function \"{name}\" takes array as its first argument."))),
    };
    run.step(values.len())?;
    let mut variables = scope.variables.clone();
    let mut kept = Vec::new();
    for (index, value) in (0_i64..).zip(values.iter()) {
        let mut names = names.iter();
        if let Some(element) = names.next() {
            variables.insert(Arc::clone(element), Some(value.clone()));
        }
        if let Some(place) = names.next() {
            variables.insert(Arc::clone(place), Some(Value::Int(index)));
        }
        let result = evaluate(run, Scope { row: scope.row, variables: &variables }, body)?;
        if name == "array_transform" {
            kept.push(result.unwrap_or(Value::Null));
        } else if result == Some(Value::Bool(true)) {
            kept.push(value.clone());
        }
    }
    Ok(Some(Value::array(kept)))
}

fn count(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

/// The place of an index that may count from the end; `None` before the first.
fn place(length: usize, index: i64) -> Option<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    usize::try_from(if index < 0 { length.checked_add(index)? } else { index }).ok()
}

fn element(values: &[Value], index: i64) -> Option<&Value> {
    values.get(place(values.len(), index)?)
}

fn length(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(count(call.array(0)?.len()))
}

fn reverse(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::array(call.array(0)?.iter().rev().cloned().collect()))
}

pub(super) fn concat(call: &Call<'_>) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for at in 0..call.arguments.len() {
        all.extend(call.array(at)?.iter().cloned());
        check_size(call, all.len().saturating_mul(size_of::<Value>()))?;
    }
    Ok(Value::array(all))
}

fn get(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(element(call.array(0)?, call.int(1)?).cloned().unwrap_or(Value::Null))
}

fn first(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(call.array(0)?.first().cloned().unwrap_or(Value::Null))
}

fn last(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(call.array(0)?.last().cloned().unwrap_or(Value::Null))
}

/// A count that is not negative.
fn number(call: &Call<'_>, at: usize) -> Result<usize, Failure> {
    usize::try_from(call.int(at)?).map_err(|_| call.failed("the count is negative"))
}

fn first_n(call: &Call<'_>) -> Result<Value, Failure> {
    let count = number(call, 1)?;
    Ok(Value::array(call.array(0)?.iter().take(count).cloned().collect()))
}

fn last_n(call: &Call<'_>) -> Result<Value, Failure> {
    let (values, count) = (call.array(0)?, number(call, 1)?);
    Ok(Value::array(values.iter().skip(values.len().saturating_sub(count)).cloned().collect()))
}

fn slice(call: &Call<'_>) -> Result<Value, Failure> {
    let (values, offset) = (call.array(0)?, call.int(1)?);
    let count = if call.arguments.len() > 2 { number(call, 2)? } else { usize::MAX };
    let from = place(values.len(), offset).unwrap_or(0);
    Ok(Value::array(values.iter().skip(from).take(count).cloned().collect()))
}

/// The first place, or with `"last"` the last; -1 where there is none.
fn index_of(call: &Call<'_>) -> Result<Value, Failure> {
    let (values, wanted) = (call.array(0)?, call.get(1)?);
    let mut places = values.iter().enumerate().filter(|(_, value)| value.equivalent(wanted)).map(|(at, _)| at);
    let found = match call.arguments.len() {
        3 => match call.text(2)? {
            "first" => places.next(),
            "last" => places.next_back(),
            _ => return Err(call.wrong(2, "\"first\" or \"last\"")),
        },
        _ => places.next(),
    };
    Ok(found.map_or(Value::Int(-1), count))
}

fn index_of_all(call: &Call<'_>) -> Result<Value, Failure> {
    let (values, wanted) = (call.array(0)?, call.get(1)?);
    let places = values.iter().enumerate().filter(|(_, value)| value.equivalent(wanted)).map(|(at, _)| count(at));
    Ok(Value::array(places.collect()))
}

fn sorted(call: &Call<'_>, largest: bool) -> Result<Value, Failure> {
    let mut values: Vec<Value> = call.array(0)?.iter().filter(|value| **value != Value::Null).cloned().collect();
    values.sort_by(|a, b| if largest { b.compare(a) } else { a.compare(b) });
    values.truncate(number(call, 1)?);
    Ok(Value::array(values))
}

fn largest(call: &Call<'_>) -> Result<Value, Failure> {
    sorted(call, true)
}

fn smallest(call: &Call<'_>) -> Result<Value, Failure> {
    sorted(call, false)
}

/// The strings of an array with something between; nulls are left out.
fn join(call: &Call<'_>) -> Result<Value, Failure> {
    let between = call.text(1)?;
    let mut joined = String::new();
    let mut any = false;
    for value in call.array(0)?.iter() {
        match value {
            Value::String(text) => {
                if any {
                    joined.push_str(between);
                }
                joined.push_str(text);
                any = true;
                check_size(call, joined.len())?;
            }
            Value::Null => {}
            _ => return Err(call.failed("an element is no string")),
        }
    }
    Ok(Value::string(&joined))
}
