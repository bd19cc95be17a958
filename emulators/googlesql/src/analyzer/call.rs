//! Function calls: which function is meant, its overload, its arguments' conversions.

use crate::ast::{self, ExprKind as A};
use crate::error::{Pos, Result, SqlError};
use crate::functions::resolve::{ArgInfo, NoMatch, Resolved, resolve_aggregate, resolve_scalar};
use crate::functions::signature::{Pattern, parsed};
use crate::functions::{AggregateFunction, ScalarFunction};
use crate::plan::{Expr, ExprKind};
use crate::types::Type;
use crate::value::Value;

use super::coerce::arg_info;
use super::{Analyzer, Cx, literal, string};

/// An argument with the name it was passed by.
pub(super) struct Arg {
    pub name: Option<String>,
    pub expr: Expr,
    pub is_date_part: bool,
}

impl Arg {
    fn plain(expr: Expr) -> Arg {
        Arg { name: None, expr, is_date_part: false }
    }

    fn date_part(part: String, pos: Pos) -> Arg {
        Arg { name: None, expr: string(part, pos), is_date_part: true }
    }
}

impl Analyzer<'_> {
    pub(super) fn call(&self, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let (name, safe) = function_name(&call.name);
        if let Some(over) = &call.over {
            return self.window(&name, call, over, safe, cx);
        }
        if let Some(special) = self.special(&name, call, safe, cx)? {
            return Ok(special);
        }
        if let Some(function) = crate::functions::aggregate(&name) {
            return self.aggregate(function, call, safe, cx);
        }
        if let Some(function) = crate::functions::scalar(&name) {
            self.no_aggregate_modifiers(call)?;
            let spelled_modes;
            let given = match name.as_str() {
                "normalize" | "normalize_and_casefold" => {
                    spelled_modes = with_mode(&call.args);
                    &spelled_modes
                }
                _ => &call.args,
            };
            let args = self.function_args(function.signatures, given, cx)?;
            return self.resolved_scalar(function, args, safe, call.pos);
        }
        if super::window::window_function(&name).is_some() {
            let text = format!("Analytic function {} cannot be called without an OVER clause", name.to_lowercase());
            return Err(SqlError::analysis(text).at(call.pos));
        }
        if let Some(routine) = self.routine(&call.name, safe) {
            return self.routine_call(&routine, call, safe, cx);
        }
        Err(self.function_not_found(call))
    }

    fn function_not_found(&self, call: &ast::Call) -> SqlError {
        if let Some(error) = super::unsupported::function(&function_name(&call.name).0) {
            return error.at(call.pos);
        }
        // Names that were written in one pair of backticks stay in it.
        let mut groups: Vec<(String, bool, Pos)> = Vec::new();
        for part in &call.name.parts {
            let end = part.pos + part.name.len() as Pos;
            match groups.last_mut() {
                Some((name, true, last)) if part.quoted && part.pos == *last + 1 => {
                    name.push('.');
                    name.push_str(&part.name);
                    *last = end;
                }
                _ => groups.push((part.name.clone(), part.quoted, end)),
            }
        }
        let spelled = groups
            .iter()
            .map(|(name, _, _)| {
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    && !name.starts_with(|c: char| c.is_ascii_digit());
                if plain { name.clone() } else { format!("`{name}`") }
            })
            .collect::<Vec<_>>()
            .join(".");
        let hint = match call.name.parts.as_slice() {
            [only] => super::suggest::closest(&only.name, crate::functions::names())
                .map(|near| format!("; Did you mean {near}?"))
                .unwrap_or_default(),
            _ => String::new(),
        };
        SqlError::analysis(format!("Function not found: {spelled}{hint}")).at(call.pos)
    }

    pub(super) fn no_aggregate_modifiers(&self, call: &ast::Call) -> Result<()> {
        let name = call.name.parts.last().map_or("", |part| &part.name).to_uppercase();
        let refuse = |what: &str| {
            Err(SqlError::analysis(format!("{what} is not allowed for non-aggregate function {name}")).at(call.pos))
        };
        if call.distinct {
            let text = format!("Non-aggregate function {name} cannot be called with DISTINCT");
            return Err(SqlError::analysis(text).at(call.pos));
        }
        if call.nulls.is_some() {
            return refuse("IGNORE NULLS or RESPECT NULLS");
        }
        if call.having.is_some() {
            return refuse("HAVING MAX/MIN");
        }
        if !call.order_by.is_empty() {
            return refuse("ORDER BY");
        }
        if call.limit.is_some() {
            return refuse("LIMIT");
        }
        Ok(())
    }

    /// Plain arguments.
    pub(super) fn args(&self, args: &[ast::Expr], cx: &Cx) -> Result<Vec<Expr>> {
        args.iter().map(|arg| self.expr(arg, cx)).collect()
    }

    /// Arguments of a function of the registry: date parts and intervals take the form its signatures want.
    fn function_args(&self, signatures: &'static [&'static str], args: &[ast::Expr], cx: &Cx) -> Result<Vec<Arg>> {
        let signatures = parsed(signatures);
        let wants_part = |index: usize| {
            signatures.iter().any(|signature| {
                signature.args.get(index).is_some_and(|argument| argument.pattern == Pattern::DatePart)
            })
        };
        // Where an INTERVAL becomes a number and its part.
        let wants_interval = |index: usize| {
            let is_number =
                |argument: &crate::functions::signature::Argument| argument.pattern == Pattern::Exact(Type::Int64);
            wants_part(index + 1) && signatures.iter().any(|signature| signature.args.get(index).is_some_and(is_number))
        };
        let mut out: Vec<Arg> = Vec::with_capacity(args.len() + 1);
        for arg in args {
            let index = out.len();
            match &arg.kind {
                A::Interval { value, from, to: None } if wants_part(index + 1) => {
                    let value = self.expr(value, cx)?;
                    let value_pos = value.pos;
                    let value = match self.implicit(value, &Type::Int64)? {
                        Ok(value) => value,
                        // INTERVAL '5' DAY: a literal in quotes counts as its number.
                        Err(Expr { kind: ExprKind::Literal(Value::String(text)), .. }) => {
                            match text.trim().parse::<i64>() {
                                Ok(number) => literal(Value::Int64(number), Type::Int64, value_pos),
                                Err(_) => {
                                    let text = "Interval value must be coercible to INT64 type";
                                    return Err(SqlError::analysis(text).at(value_pos));
                                }
                            }
                        }
                        Err(_) => {
                            let text = "Interval value must be coercible to INT64 type";
                            return Err(SqlError::analysis(text).at(value_pos));
                        }
                    };
                    out.push(Arg::plain(value));
                    let part = date_part_name(&from.name).ok_or_else(|| {
                        SqlError::analysis(format!("A valid date part name is required but found {}", from.name))
                            .at(from.pos)
                    })?;
                    out.push(Arg::date_part(part, from.pos));
                }
                kind if wants_interval(index) && !matches!(kind, A::Interval { .. } | A::NamedArgument { .. }) => {
                    return Err(SqlError::analysis("Expected INTERVAL expression").at(arg.pos));
                }
                _ if wants_part(index) => {
                    if let Some(part) = date_part(arg) {
                        out.push(Arg::date_part(part, arg.pos));
                    } else if let A::Name(name) = &arg.kind {
                        // Perhaps a column, where another overload has no date part here.
                        if cx.scope.find(&name.name).is_some() {
                            out.push(Arg::plain(self.expr(arg, cx)?));
                        } else {
                            let text = format!("A valid date part name is required but found {}", name.name);
                            return Err(SqlError::analysis(text).at(name.pos));
                        }
                    } else {
                        out.push(Arg::plain(self.expr(arg, cx)?));
                    }
                }
                A::NamedArgument { name, value } => {
                    let expr = self.expr(value, cx)?;
                    let lower = name.name.to_lowercase();
                    if out.iter().any(|arg| arg.name.as_ref() == Some(&lower)) {
                        let text = format!("Duplicate named argument {} found in call to function", name.name);
                        return Err(SqlError::analysis(text).at(name.pos));
                    }
                    out.push(Arg { name: Some(lower), expr, is_date_part: false });
                }
                _ => {
                    if out.iter().any(|arg| arg.name.is_some()) {
                        let text = "Call to function must not specify positional arguments after named arguments; \
                                    named arguments must be specified last in the argument list";
                        return Err(SqlError::analysis(text).at(arg.pos));
                    }
                    out.push(Arg::plain(self.expr(arg, cx)?));
                }
            }
        }
        Ok(out)
    }

    /// A call of the scalar function `name`, which the analyzer itself wants: an operator mostly.
    pub(super) fn call_scalar(&self, name: &str, args: Vec<Expr>, pos: Pos) -> Result<Expr> {
        let Some(function) = crate::functions::scalar(name) else {
            let text = format!("Function {name} is not supported");
            return Err(SqlError::unsupported(text).at(pos));
        };
        let mut args = args;
        let compares =
            matches!(name, "$equal" | "$not_equal" | "$less" | "$less_or_equal" | "$greater" | "$greater_or_equal");
        if compares && args.iter().any(|arg| matches!(arg.kind, ExprKind::MakeStruct(_))) {
            // NULL fields of constructors take their peers' types; where that fails, the overloads say why.
            if let Some(ty) = self.common_type(&args) {
                args = args.into_iter().map(|arg| self.convert(arg, &ty)).collect::<Result<Vec<_>>>()?;
            }
        }
        let args = args.into_iter().map(Arg::plain).collect();
        self.resolved_scalar(function, args, false, pos)
    }

    fn resolved_scalar(
        &self,
        function: &'static ScalarFunction,
        mut args: Vec<Arg>,
        safe: bool,
        pos: Pos,
    ) -> Result<Expr> {
        let collated = args.iter().any(|arg| super::collation::collated(&arg.expr).is_some());
        if collated && super::collation::compares(function.name) {
            let plain = self.without_collation(args.iter().map(|arg| arg.expr.clone()).collect())?;
            for (arg, expr) in args.iter_mut().zip(plain) {
                arg.expr = expr;
            }
        }
        let infos: Vec<_> = args
            .iter()
            .map(|arg| ArgInfo { is_date_part: arg.is_date_part, ..arg_info(&arg.expr, arg.name.clone()) })
            .collect();
        let places: Vec<Pos> = args.iter().map(|arg| arg.expr.pos).collect();
        let resolved = resolve_scalar(function, &infos).map_err(|error| no_match(error, &places, pos))?;
        let ty = resolved.result_type.clone();
        // A part that is left out is none; one that is NULL makes the interval NULL.
        let left_out = if function.name == "make_interval" { Value::Int64(0) } else { Value::Null };
        let args = self.arranged(args, resolved, left_out, pos)?;
        super::date_parts::check(function, &args, pos)?;
        Ok(Expr { kind: ExprKind::Call { function, args, safe }, ty, pos })
    }

    pub(super) fn resolve_aggregate(
        &self,
        function: &'static AggregateFunction,
        args: Vec<Expr>,
        names: &[Option<String>],
        pos: Pos,
    ) -> Result<(Vec<Expr>, Type)> {
        let name_of = |index: usize| names.get(index).cloned().flatten();
        let infos: Vec<_> = args.iter().enumerate().map(|(index, arg)| arg_info(arg, name_of(index))).collect();
        let places: Vec<Pos> = args.iter().map(|arg| arg.pos).collect();
        let resolved = resolve_aggregate(function, &infos).map_err(|error| no_match(error, &places, pos))?;
        let ty = resolved.result_type.clone();
        let args = args.into_iter().map(Arg::plain).collect();
        Ok((self.arranged(args, resolved, Value::Null, pos)?, ty))
    }

    /// The arguments in the order and of the types that the overload takes.
    fn arranged(&self, args: Vec<Arg>, resolved: Resolved, left_out: Value, pos: Pos) -> Result<Vec<Expr>> {
        let mut given: Vec<Option<Expr>> = args.into_iter().map(|arg| Some(arg.expr)).collect();
        let mut out = Vec::with_capacity(resolved.arg_types.len());
        for (ty, from) in resolved.arg_types.iter().zip(&resolved.order) {
            let expr = match from.and_then(|from| given.get_mut(from)).and_then(Option::take) {
                Some(expr) => self.convert(expr, ty)?,
                None => literal(left_out.clone(), ty.clone(), pos),
            };
            out.push(expr);
        }
        Ok(out)
    }
}

fn no_match(error: NoMatch, places: &[Pos], pos: Pos) -> SqlError {
    let at = error.argument.and_then(|index| places.get(index)).copied().unwrap_or(pos);
    SqlError::analysis(error.message).at(at)
}

/// NORMALIZE's mode is a bare word; the registry takes it as a string.
fn with_mode(args: &[ast::Expr]) -> Vec<ast::Expr> {
    let mut args = args.to_vec();
    if let Some(mode) = args.get_mut(1)
        && let A::Name(name) = &mode.kind
    {
        let upper = name.name.to_ascii_uppercase();
        if matches!(upper.as_str(), "NFC" | "NFKC" | "NFD" | "NFKD") {
            mode.kind = A::String(upper);
        }
    }
    args
}

/// The registry's name of what was written, and whether SAFE stood before it.
pub(super) fn function_name(path: &ast::Path) -> (String, bool) {
    let mut parts = path.parts.as_slice();
    let mut safe = false;
    if let [first, rest @ ..] = parts
        && !rest.is_empty()
        && first.name.eq_ignore_ascii_case("SAFE")
    {
        safe = true;
        parts = rest;
    }
    let name = parts.iter().map(|part| part.name.to_lowercase()).collect::<Vec<_>>().join(".");
    (name, safe)
}

/// `DAY`, `WEEK(MONDAY)` as the literal that date functions take.
pub(super) fn date_part(expr: &ast::Expr) -> Option<String> {
    match &expr.kind {
        A::Name(name) => date_part_name(&name.name),
        A::Call(call) if call.name.parts.len() == 1 && call.args.len() == 1 => {
            let name = call.name.parts[0].name.to_ascii_uppercase();
            let A::Name(day) = &call.args[0].kind else { return None };
            let day = day.name.to_ascii_uppercase();
            let weekdays = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
            (name == "WEEK" && weekdays.contains(&day.as_str())).then(|| format!("WEEK({day})"))
        }
        _ => None,
    }
}

fn date_part_name(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let known = [
        "YEAR",
        "ISOYEAR",
        "QUARTER",
        "MONTH",
        "WEEK",
        "ISOWEEK",
        "DAY",
        "DAYOFWEEK",
        "DAYOFYEAR",
        "HOUR",
        "MINUTE",
        "SECOND",
        "MILLISECOND",
        "MICROSECOND",
        "NANOSECOND",
        "DATE",
        "TIME",
        "DATETIME",
    ];
    known.contains(&upper.as_str()).then_some(upper)
}
