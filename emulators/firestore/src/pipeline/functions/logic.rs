//! Three-valued logic, branches, and functions that ask whether a value is there or failed.

use super::{Evaluated, Failure, Run, Scope, type_name};
use crate::pipeline::Expression;
use crate::pipeline::eval::evaluate;
use crate::value::Value;

pub(super) fn special(run: &mut Run<'_>, scope: Scope<'_>, name: &str, arguments: &[Expression]) -> Evaluated {
    let Some((first, rest)) = arguments.split_first() else { return Ok(None) };
    match name {
        "and" => connective(run, scope, arguments, false),
        "or" => connective(run, scope, arguments, true),
        "nor" => Ok(negated(connective(run, scope, arguments, true)?)),
        "not" => {
            let value = evaluate(run, scope, first)?;
            Ok(negated(truth(value.as_ref(), name)?.map(Value::Bool).or(Some(Value::Null))))
        }
        "xor" => {
            let mut odd = false;
            for argument in arguments {
                let value = evaluate(run, scope, argument)?;
                match truth(value.as_ref(), name)? {
                    Some(flag) => odd ^= flag,
                    None => return Ok(Some(Value::Null)),
                }
            }
            Ok(Some(Value::Bool(odd)))
        }
        "conditional" => {
            let value = evaluate(run, scope, first)?;
            let chosen = if truth(value.as_ref(), name)? == Some(true) { rest.first() } else { rest.get(1) };
            chosen.map_or(Ok(None), |chosen| evaluate(run, scope, chosen))
        }
        "switch_on" => {
            for pair in arguments.chunks(2) {
                match pair {
                    [condition, result] => {
                        let value = evaluate(run, scope, condition)?;
                        if truth(value.as_ref(), name)? == Some(true) {
                            return evaluate(run, scope, result);
                        }
                    }
                    [otherwise] => return evaluate(run, scope, otherwise),
                    _ => {}
                }
            }
            Err(Failure::invalid("Function \"switch_on\": no condition is true and there is no default."))
        }
        "exists" => Ok(Some(Value::Bool(evaluate(run, scope, first)?.is_some()))),
        "is_absent" => Ok(Some(Value::Bool(evaluate(run, scope, first)?.is_none()))),
        "if_absent" => match evaluate(run, scope, first)? {
            None => rest.first().map_or(Ok(None), |other| evaluate(run, scope, other)),
            there => Ok(there),
        },
        "is_error" => match evaluate(run, scope, first) {
            Err(Failure::Invalid(_)) => Ok(Some(Value::Bool(true))),
            other => other.map(|_| Some(Value::Bool(false))),
        },
        "if_error" => match evaluate(run, scope, first) {
            Err(Failure::Invalid(_)) => rest.first().map_or(Ok(None), |other| evaluate(run, scope, other)),
            other => other,
        },
        // if_null and coalesce: the first that is there and not null.
        _ => {
            for argument in arguments {
                let value = evaluate(run, scope, argument)?;
                if !matches!(value, None | Some(Value::Null)) {
                    return Ok(value);
                }
            }
            Ok(Some(Value::Null))
        }
    }
}

/// `None` for null and what is absent.
fn truth(value: Option<&Value>, name: &str) -> Result<Option<bool>, Failure> {
    match value {
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        None | Some(Value::Null) => Ok(None),
        Some(other) => Err(Failure::invalid(format!("Function \"{name}\" takes boolean, not {}.", type_name(other)))),
    }
}

fn negated(value: Option<Value>) -> Option<Value> {
    match value {
        Some(Value::Bool(flag)) => Some(Value::Bool(!flag)),
        other => other,
    }
}

/// AND and OR: the first argument that decides does, even beside errors and nulls.
fn connective(run: &mut Run<'_>, scope: Scope<'_>, arguments: &[Expression], decides: bool) -> Evaluated {
    let name = if decides { "or" } else { "and" };
    let mut failure = None;
    let mut unknown = false;
    for argument in arguments {
        let value = match evaluate(run, scope, argument) {
            Ok(value) => truth(value.as_ref(), name),
            Err(failure) => Err(failure),
        };
        match value {
            Ok(Some(flag)) if flag == decides => return Ok(Some(Value::Bool(decides))),
            Ok(Some(_)) => {}
            Ok(None) => unknown = true,
            Err(Failure::Unimplemented(text)) => return Err(Failure::Unimplemented(text)),
            Err(other) => failure = Some(other),
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if unknown => Ok(Some(Value::Null)),
        None => Ok(Some(Value::Bool(!decides))),
    }
}
