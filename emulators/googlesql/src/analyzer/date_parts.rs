//! Which date parts a date function takes for which type: said when the statement is analyzed, at the call.
//!
//! Origin of the text: production's own, `DATE_ADD does not support the WEEK date part when the argument is TIMESTAMP
//! type`.

use crate::error::{Pos, Result, SqlError};
use crate::functions::ScalarFunction;
use crate::functions::signature::{Pattern, parsed};
use crate::plan::{Expr, ExprKind};
use crate::types::Type;
use crate::value::Value;

const OF_TIME: &[&str] = &["MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"];
const OF_DATE: &[&str] = &["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];
const ISO: &[&str] = &["ISOWEEK", "ISOYEAR"];
const FIELDS: &[&str] = &["DAYOFWEEK", "DAYOFYEAR"];

/// Refuses a call whose date part its argument's type does not have.
pub(super) fn check(function: &ScalarFunction, args: &[Expr], pos: Pos) -> Result<()> {
    let Some(index) = parsed(function.signatures)
        .iter()
        .find_map(|signature| signature.args.iter().position(|argument| argument.pattern == Pattern::DatePart))
        .or((function.name == "$extract").then_some(1))
    else {
        return Ok(());
    };
    let (Some(first), Some(ExprKind::Literal(Value::String(part)))) =
        (args.first(), args.get(index).map(|arg| &arg.kind))
    else {
        return Ok(());
    };
    let part: &str = part;
    let plain = part.split('(').next().unwrap_or(part);
    let adds = function.name.ends_with("_add") || function.name.ends_with("_sub");
    let (time, date, iso, fields) = match (&first.ty, function.name) {
        (Type::Date, "$extract") => (false, true, true, true),
        (Type::Datetime | Type::Timestamp, "$extract") => (true, true, true, true),
        (Type::Time, _) => (true, false, false, false),
        (_, "$extract") => return Ok(()),
        (Type::Date, _) => (false, true, !adds, false),
        (Type::Datetime, _) => (true, true, !adds, false),
        (Type::Timestamp, name) if name.ends_with("_trunc") || name == "last_day" => (true, true, true, false),
        (Type::Timestamp, _) if plain == "DAY" => return Ok(()),
        (Type::Timestamp, _) => (true, false, false, false),
        _ => return Ok(()),
    };
    let known = |wanted: bool, parts: &[&str]| wanted && parts.contains(&plain);
    // A weekday begins weeks that are counted or cut, not those that are added.
    let known = (known(time, OF_TIME) || known(date, OF_DATE) || known(iso, ISO) || known(fields, FIELDS))
        && !(adds && part.contains('('))
        && !(function.name == "last_day" && plain == "DAY");
    if known {
        return Ok(());
    }
    let ty = &first.ty;
    let text = match function.name {
        "$extract" => format!("EXTRACT from {ty} does not support the {part} date part"),
        _ => format!("{} does not support the {part} date part when the argument is {ty} type", function.sql_name),
    };
    Err(SqlError::analysis(text).at(pos))
}
