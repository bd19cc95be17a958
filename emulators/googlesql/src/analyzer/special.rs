//! Calls that are no functions of the registry: they decide which of their arguments is evaluated, bind
//! lambdas, or read the grouping.

use crate::ast::{self, ExprKind as A};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind, HigherFunction};
use crate::types::Type;
use crate::value::Value;

use super::scope::{NameList, Scope, Target};
use super::{Analyzer, Cx, Inside, column, literal, string};

impl Analyzer<'_> {
    /// The call, if its name is one of these.
    pub(super) fn special(&self, name: &str, call: &ast::Call, safe: bool, cx: &Cx) -> Result<Option<Expr>> {
        let pos = call.pos;
        let expr = match name {
            "if" => self.if_call(call, cx)?,
            "ifnull" => self.coalesce("IFNULL", Some(2), call, cx)?,
            "coalesce" => self.coalesce("COALESCE", None, call, cx)?,
            "nullif" => self.nullif(call, cx)?,
            "iferror" => {
                let [attempt, fallback] = self.pair("IFERROR", call, cx)?;
                let ty = attempt.ty.clone();
                let kind = ExprKind::IfError { attempt: Box::new(attempt), fallback: Box::new(fallback) };
                Expr { kind, ty, pos }
            }
            "nulliferror" => {
                let [attempt] = self.exactly("NULLIFERROR", call, cx)?;
                let ty = attempt.ty.clone();
                let fallback = literal(Value::Null, ty.clone(), pos);
                let kind = ExprKind::IfError { attempt: Box::new(attempt), fallback: Box::new(fallback) };
                Expr { kind, ty, pos }
            }
            "iserror" => {
                let [attempt] = self.exactly("ISERROR", call, cx)?;
                Expr { kind: ExprKind::IsError(Box::new(attempt)), ty: Type::Bool, pos }
            }
            "grouping" => self.grouping(call, cx)?,
            "array_transform" | "array_filter" if call.args.len() == 2 => self.higher(name, call, cx)?,
            "array_includes" | "array_find" | "array_find_all"
                if matches!(call.args.as_slice(), [_, ast::Expr { kind: A::Lambda { .. }, .. }, ..]) =>
            {
                self.searched(name, call, cx)?
            }
            _ => return Ok(None),
        };
        self.no_aggregate_modifiers(call)?;
        if safe {
            // What is lazy inside stays lazy: the whole becomes NULL where it fails.
            let fallback = literal(Value::Null, expr.ty.clone(), pos);
            let ty = expr.ty.clone();
            let kind = ExprKind::IfError { attempt: Box::new(expr), fallback: Box::new(fallback) };
            return Ok(Some(Expr { kind, ty, pos }));
        }
        Ok(Some(expr))
    }

    fn exactly<const N: usize>(&self, name: &str, call: &ast::Call, cx: &Cx) -> Result<[Expr; N]> {
        let args = self.args(&call.args, cx)?;
        let found: Vec<String> = args.iter().map(|arg| self.type_name_of(arg)).collect();
        <[Expr; N]>::try_from(args).map_err(|_| self.no_signature(name, &found, signature(name), call.pos, None))
    }

    /// Two arguments of one type.
    fn pair(&self, name: &str, call: &ast::Call, cx: &Cx) -> Result<[Expr; 2]> {
        let mut args = self.args(&call.args, cx)?;
        let found: Vec<String> = args.iter().map(|arg| self.type_name_of(arg)).collect();
        if args.len() != 2 {
            return Err(self.no_signature(name, &found, signature(name), call.pos, None));
        }
        if self.unify(&mut args)?.is_err() {
            return Err(self.no_signature(name, &found, signature(name), call.pos, Some(&found)));
        }
        <[Expr; 2]>::try_from(args).map_err(|_| SqlError::internal("two arguments"))
    }

    fn no_signature(
        &self,
        name: &str,
        found: &[String],
        signature: &str,
        pos: Pos,
        types: Option<&[String]>,
    ) -> SqlError {
        let mut text = format!("No matching signature for function {name}");
        if found.is_empty() {
            text.push_str(" with no arguments");
        } else {
            text.push_str(&format!("\n  Argument types: {}", found.join(", ")));
        }
        text.push_str(&format!("\n  Signature: {signature}"));
        match types {
            Some(types) => {
                let mut types: Vec<String> = types.to_vec();
                types.sort();
                types.dedup();
                text.push_str(&format!(
                    "\n    Unable to find common supertype for templated argument <T1>\n      Input types for <T1>: \
                     {{{}}}",
                    types.join(", ")
                ));
            }
            None => {
                let wanted = signature.matches(',').count() + 1;
                let (least, word) = (wanted, if wanted == 1 { "argument" } else { "arguments" });
                let at = if found.len() < least { "at least" } else { "at most" };
                let found_word = if found.len() == 1 { "argument" } else { "arguments" };
                text.push_str(&format!(
                    "\n    Signature requires {at} {least} {word}, found {} {found_word}",
                    found.len()
                ));
            }
        }
        SqlError::analysis(text).at(pos)
    }

    fn if_call(&self, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let mut args = self.args(&call.args, cx)?;
        let found: Vec<String> = args.iter().map(|arg| self.type_name_of(arg)).collect();
        if args.len() != 3 {
            return Err(self.no_signature("IF", &found, signature("IF"), call.pos, None));
        }
        let condition = args.remove(0);
        let condition = match self.implicit(condition, &Type::Bool)? {
            Ok(condition) => condition,
            Err(_) => {
                let text = format!(
                    "No matching signature for function IF\n  Argument types: {}\n  Signature: IF(BOOL, T1, T1)\n    \
                     Argument 1: Unable to coerce type {} to expected type BOOL",
                    found.join(", "),
                    found[0]
                );
                return Err(SqlError::analysis(text).at(call.pos));
            }
        };
        let ty = match self.unify(&mut args)? {
            Ok(ty) => ty,
            Err(()) => return Err(self.no_signature("IF", &found, signature("IF"), call.pos, Some(&found[1..]))),
        };
        let otherwise = args.pop().map(Box::new);
        let branches = args.into_iter().map(|result| (condition.clone(), result)).collect();
        Ok(Expr { kind: ExprKind::Case { branches, otherwise }, ty, pos: call.pos })
    }

    fn coalesce(&self, name: &str, count: Option<usize>, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let mut args = self.args(&call.args, cx)?;
        let found: Vec<String> = args.iter().map(|arg| self.type_name_of(arg)).collect();
        if args.is_empty() || count.is_some_and(|count| count != args.len()) {
            return Err(self.no_signature(name, &found, signature(name), call.pos, None));
        }
        match self.unify(&mut args)? {
            Ok(ty) => Ok(Expr { kind: ExprKind::Coalesce(args), ty, pos: call.pos }),
            Err(()) => Err(self.no_signature(name, &found, signature(name), call.pos, Some(&found))),
        }
    }

    fn nullif(&self, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let [value, other] = self.pair("NULLIF", call, cx)?;
        let pos = call.pos;
        self.bind(value, |value| {
            let equal = self.call_scalar("$equal", vec![value.clone(), other], pos)?;
            let null = literal(Value::Null, value.ty.clone(), pos);
            let kind = ExprKind::Case { branches: vec![(equal, null)], otherwise: Some(Box::new(value.clone())) };
            Ok(Expr { kind, ty: value.ty.clone(), pos })
        })
    }

    fn grouping(&self, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let Some(calls) = cx.calls.filter(|_| cx.aggregates) else {
            let text = format!("GROUPING not allowed in {}", cx.clause);
            return Err(SqlError::analysis(text).at(call.pos));
        };
        let [arg] = call.args.as_slice() else {
            return Err(SqlError::analysis("GROUPING takes exactly one argument").at(call.pos));
        };
        let inner = Cx { scope: cx.input, inside: Inside::Aggregate, windows: false, ..*cx };
        // The argument may be a select alias that the GROUP BY names.
        let arg = match self.expr(arg, &inner) {
            Ok(arg) => arg,
            Err(error) => {
                self.expr(arg, &Cx { inside: Inside::Aggregate, windows: false, ..*cx }).map_err(|_| error)?
            }
        };
        let id = self.new_column();
        calls.grouping.borrow_mut().push((id, arg));
        Ok(column(id, Type::Int64, call.pos))
    }

    fn higher(&self, name: &str, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let array = self.expr(&call.args[0], cx)?;
        let Type::Array(element) = array.ty.clone() else {
            return Err(self.lambda_mismatch(name, &array, call.pos));
        };
        let A::Lambda { parameters, body } = &call.args[1].kind else {
            return Err(self.lambda_mismatch(name, &array, call.pos));
        };
        let function = if name == "array_filter" { HigherFunction::Filter } else { HigherFunction::Transform };
        self.with_lambda(function, array, &element, parameters, body, cx, call.pos)
    }

    fn lambda_mismatch(&self, name: &str, array: &Expr, pos: Pos) -> SqlError {
        let upper = name.to_uppercase();
        let text = format!(
            "No matching signature for function {upper}\n  Argument types: {}, LAMBDA\n  Signature: {upper}(ARRAY<T1>, \
             FUNCTION<T1->T2>)",
            self.type_name_of(array)
        );
        SqlError::analysis(text).at(pos)
    }

    #[allow(clippy::too_many_arguments)]
    fn with_lambda(
        &self,
        function: HigherFunction,
        array: Expr,
        element: &Type,
        parameters: &[ast::Ident],
        body: &ast::Expr,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        if parameters.is_empty() || parameters.len() > 2 {
            return Err(SqlError::analysis("Lambda must have one or two arguments").at(pos));
        }
        let ids: Vec<_> = parameters.iter().map(|_| self.new_column()).collect();
        let targets = parameters
            .iter()
            .zip(&ids)
            .enumerate()
            .map(|(index, (name, id))| {
                let ty = if index == 0 { element.clone() } else { Type::Int64 };
                (name.name.as_str().into(), Target::Column { id: *id, ty })
            })
            .collect();
        let names = NameList::of_targets(targets);
        let scope = Scope::new(&names, Some(cx.scope));
        let body = match function {
            HigherFunction::Filter => self.condition(body, &cx.with_scope(&scope), "Lambda of ARRAY_FILTER")?,
            HigherFunction::Transform => self.expr(body, &cx.with_scope(&scope))?,
        };
        let ty = match function {
            HigherFunction::Filter => array.ty.clone(),
            HigherFunction::Transform if matches!(body.ty, Type::Array(_)) => {
                let text = format!(
                    "Cannot construct array with element type {} because nested arrays are not supported",
                    body.ty
                );
                return Err(SqlError::analysis(text).at(body.pos));
            }
            HigherFunction::Transform => Type::array(body.ty.clone()),
        };
        let kind = ExprKind::Higher { function, args: vec![array], parameters: ids, body: Box::new(body) };
        Ok(Expr { kind, ty, pos })
    }

    /// ARRAY_INCLUDES(a, lambda) and its kin, over ARRAY_FILTER.
    fn searched(&self, name: &str, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        let array = self.expr(&call.args[0], cx)?;
        let Type::Array(element) = array.ty.clone() else {
            return Err(self.lambda_mismatch(name, &array, call.pos));
        };
        let A::Lambda { parameters, body } = &call.args[1].kind else {
            return Err(self.lambda_mismatch(name, &array, call.pos));
        };
        let pos = call.pos;
        let found = self.with_lambda(HigherFunction::Filter, array, &element, parameters, body, cx, pos)?;
        match name {
            "array_find_all" => Ok(found),
            "array_find" => Ok(Expr {
                kind: ExprKind::ArrayElement {
                    array: Box::new(found),
                    index: Box::new(literal(Value::Int64(0), Type::Int64, pos)),
                    from: crate::plan::IndexBase::Offset,
                    safe: true,
                },
                ty: (*element).clone(),
                pos,
            }),
            _ => {
                let length = self.call_scalar("array_length", vec![found], pos)?;
                self.call_scalar("$greater", vec![length, literal(Value::Int64(0), Type::Int64, pos)], pos)
            }
        }
    }

    /// `INTERVAL value part [TO part]`.
    pub(super) fn interval(
        &self,
        value: &ast::Expr,
        from: &ast::Ident,
        to: Option<&ast::Ident>,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let value = self.expr(value, cx)?;
        let from_part = from.name.to_uppercase();
        match to {
            Some(to) => {
                let to_part = to.name.to_uppercase();
                let args = vec![value, string(from_part, from.pos), string(to_part, to.pos)];
                self.call_scalar("$interval_range", args, pos)
            }
            None => {
                if !matches!(value.ty, Type::Int64) {
                    if let (Type::String, ExprKind::Literal(_)) = (&value.ty, &value.kind) {
                        let args = vec![value, string(from_part, from.pos)];
                        return self.call_scalar("$interval_text", args, pos);
                    }
                    let text = "Interval value must be coercible to INT64 type";
                    return Err(SqlError::analysis(text).at(value.pos));
                }
                self.call_scalar("$interval", vec![value, string(from_part, from.pos)], pos)
            }
        }
    }

    /// `EXTRACT(part FROM value [AT TIME ZONE zone])`.
    pub(super) fn extract(
        &self,
        part: &ast::Expr,
        from: &ast::Expr,
        time_zone: Option<&ast::Expr>,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let value = self.expr(from, cx)?;
        let Some(name) = super::call::date_part(part) else {
            let spelled = match &part.kind {
                A::Name(name) => name.name.clone(),
                _ => "an expression".to_owned(),
            };
            let text = format!("A valid date part name is required but found {spelled}");
            return Err(SqlError::analysis(text).at(part.pos));
        };
        let function = match name.as_str() {
            "DATE" => "$extract_date",
            "TIME" => "$extract_time",
            "DATETIME" => "$extract_datetime",
            _ => "$extract",
        };
        // A value has no part that it is itself.
        let whole = matches!(
            (function, &value.ty),
            ("$extract_date" | "$extract_time" | "$extract_datetime", Type::Date | Type::Time)
                | ("$extract_datetime", Type::Datetime)
        );
        if whole {
            let text = format!("EXTRACT from {} does not support the {name} date part", value.ty);
            return Err(SqlError::analysis(text).at(pos));
        }
        let mut args = if function == "$extract" { vec![value, string(&name, part.pos)] } else { vec![value] };
        if let Some(zone) = time_zone {
            if args[0].ty != Type::Timestamp {
                let text = format!("EXTRACT from {} does not support AT TIME ZONE", args[0].ty);
                return Err(SqlError::analysis(text).at(zone.pos));
            }
            args.push(self.expr(zone, cx)?);
        }
        if crate::functions::scalar(function).is_none() {
            return self.call_scalar("extract", args, pos);
        }
        self.call_scalar(function, args, pos)
    }
}

fn signature(name: &str) -> &'static str {
    match name {
        "IF" => "IF(BOOL, T1, T1)",
        "IFNULL" => "IFNULL(T1, T1)",
        "NULLIF" => "NULLIF(T1, T1)",
        "COALESCE" => "COALESCE([T1, ...])",
        "IFERROR" => "IFERROR(T1, T1)",
        "ISERROR" => "ISERROR(T1)",
        "NULLIFERROR" => "NULLIFERROR(T1)",
        _ => "",
    }
}
