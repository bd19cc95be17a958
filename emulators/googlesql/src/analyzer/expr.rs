//! Expressions: literals, operators, constructors. Conditions are in `condition`, names in `path`, calls in `call`.

use crate::ast::{self, BinaryOp, ExprKind as A, UnaryOp};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind};
use crate::types::{Type, TypeParams};
use crate::value::Value;

use super::scope::{NameList, Scope, Target};
use super::{Analyzer, Cx, column, literal};

/// How long a chain of binary operators may be.
const MAX_CHAIN: usize = 2_000;

impl Analyzer<'_> {
    pub(super) fn expr(&self, expr: &ast::Expr, cx: &Cx) -> Result<Expr> {
        let _deeper = self.deeper(expr.pos)?;
        let pos = expr.pos;
        match &expr.kind {
            A::Null => Ok(literal(Value::Null, Type::Int64, pos)),
            A::Bool(value) => Ok(literal(Value::Bool(*value), Type::Bool, pos)),
            A::Int(text) => int_literal(text, false, pos),
            A::Float(text) => self.float(text, pos),
            A::String(text) => Ok(literal(Value::string(text), Type::String, pos)),
            A::Bytes(bytes) => Ok(literal(Value::bytes(bytes), Type::Bytes, pos)),
            A::TypedLiteral { ty, text } => self.typed_literal(ty, text, pos),
            A::Interval { value, from, to } => self.interval(value, from, to.as_ref(), cx, pos),
            A::Name(_) | A::Field { .. } => self.path_expr(expr, cx),
            A::Subscript { expr: base, index } => self.subscript(base, index, cx, pos),
            A::NamedParameter(name) => self.named_parameter(name, pos),
            A::PositionalParameter(index) => self.positional_parameter(*index, pos),
            A::SystemVariable(path) => self.system_variable(path, pos),
            A::Unary { op, expr: operand } => self.unary(*op, operand, cx, pos),
            A::Binary { .. } => self.binary_chain(expr, cx),
            A::And(items) => self.logical(items, "AND", cx, pos),
            A::Or(items) => self.logical(items, "OR", cx, pos),
            A::Is { expr: operand, what, negated } => self.is_test(operand, *what, *negated, cx, pos),
            A::IsDistinctFrom { left, right, negated } => {
                let name = if *negated { "$is_not_distinct_from" } else { "$is_distinct_from" };
                let args = vec![self.expr(left, cx)?, self.expr(right, cx)?];
                self.call_scalar(name, args, pos)
            }
            A::Between { expr: operand, low, high, negated } => self.between(operand, low, high, *negated, cx, pos),
            A::In { expr: operand, list, negated } => self.in_list(operand, list, *negated, cx, pos),
            A::Like { expr: operand, pattern, negated } => {
                no_null_operand(operand, if *negated { "NOT LIKE" } else { "LIKE" })?;
                no_null_operand(pattern, if *negated { "NOT LIKE" } else { "LIKE" })?;
                let args = vec![self.expr(operand, cx)?, self.expr(pattern, cx)?];
                let like = self.call_scalar("$like", args, pos)?;
                self.negate_if(like, *negated)
            }
            A::LikeQuantified { expr: operand, quantifier, list, negated } => {
                self.like_quantified(operand, *quantifier, list, *negated, cx, pos)
            }
            A::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), cx, pos)
            }
            A::Cast { expr: operand, ty, safe, format, time_zone } => {
                self.cast_expr(operand, ty, *safe, format.as_deref(), time_zone.as_deref(), cx, pos)
            }
            A::Extract { part, from, time_zone } => self.extract(part, from, time_zone.as_deref(), cx, pos),
            A::Call(call) => self.call(call, cx),
            A::Array { element, items } => self.array(element.as_ref(), items, cx, pos),
            A::Tuple(items) => {
                let fields = items.iter().map(|item| self.expr(item, cx)).collect::<Result<Vec<_>>>()?;
                Ok(make_struct(fields.into_iter().map(|field| (String::new(), field)).collect(), pos))
            }
            A::Struct { ty, fields } => self.structure(ty.as_ref(), fields, cx, pos),
            A::ScalarSubquery(query) => self.scalar_subquery(query, cx, pos),
            A::ArraySubquery(query) => self.array_subquery(query, cx, pos),
            A::Exists(query) => self.exists(query, cx, pos),
            A::With { bindings, body } => self.with_expr(bindings, body, cx, pos),
            A::Parenthesized(inner) => self.expr(inner, cx),
            A::Lambda { .. } => Err(SqlError::analysis("Lambda is not supported in this context").at(pos)),
            A::NamedArgument { .. } => {
                Err(SqlError::analysis("Named arguments are not supported in this context").at(pos))
            }
            A::TableArgument(_) => Err(SqlError::analysis("Table arguments are not supported in this context").at(pos)),
            A::Default => Err(SqlError::analysis("Unexpected DEFAULT").at(pos)),
            A::Star => Err(SqlError::analysis("Argument * can only be used in COUNT(*)").at(pos)),
        }
    }

    /// The expression, converted to BOOL; `clause` names it in the error.
    pub(super) fn condition(&self, expr: &ast::Expr, cx: &Cx, clause: &str) -> Result<Expr> {
        let resolved = self.expr(expr, cx)?;
        let pos = resolved.pos;
        let found = self.type_name_of(&resolved);
        self.assign(resolved, &Type::Bool)?
            .ok_or_else(|| SqlError::analysis(format!("{clause} should return type BOOL, but returns {found}")).at(pos))
    }

    fn typed_literal(&self, ty: &ast::TypeName, text: &str, pos: Pos) -> Result<Expr> {
        let (ty, _) = super::resolve_type(ty)?;
        let too_long = match ty {
            Type::Numeric => fraction_digits(text) > 9,
            Type::BigNumeric => fraction_digits(text) > 38,
            _ => false,
        };
        if ty == Type::Json {
            return match crate::value::json::parse(text, crate::value::json::WideNumbers::Exact) {
                Ok(value) => Ok(literal(Value::Json(std::sync::Arc::new(value)), ty, pos)),
                Err(why) => Err(SqlError::analysis(format!("Invalid JSON literal: {why}")).at(pos)),
            };
        }
        let value = if too_long { None } else { self.cast_value(&Value::string(text), &Type::String, &ty).ok() };
        match value {
            Some(value) => Ok(literal(value, ty, pos)),
            None => Err(SqlError::analysis(format!("Invalid {ty} literal: {}", quote(text))).at(pos)),
        }
    }

    fn float(&self, text: &str, pos: Pos) -> Result<Expr> {
        self.digits.borrow_mut().insert(pos, text.to_owned());
        float_literal(text, pos)
    }

    fn named_parameter(&self, name: &str, pos: Pos) -> Result<Expr> {
        let parameters = &self.ctx.parameters.named;
        let found = parameters
            .get(name)
            .or_else(|| parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value));
        match found {
            Some((ty, value)) => Ok(parameter(ty, value, pos)),
            None => Err(SqlError::analysis(format!("Query parameter '{name}' not found")).at(pos)),
        }
    }

    fn positional_parameter(&self, index: usize, pos: Pos) -> Result<Expr> {
        match self.ctx.parameters.positional.get(index) {
            Some((ty, value)) => Ok(parameter(ty, value, pos)),
            None => {
                let given = self.ctx.parameters.positional.len();
                let text = format!("Query parameter number {} is not defined ({given} provided)", index + 1);
                Err(SqlError::analysis(text).at(pos))
            }
        }
    }

    fn system_variable(&self, path: &ast::Path, pos: Pos) -> Result<Expr> {
        let name = path.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".");
        let key = name.to_lowercase();
        for spelling in [format!("@@{key}"), key.clone()] {
            if spelling.starts_with("@@")
                && let Some((ty, value)) = self.ctx.variables.get(&spelling)
            {
                return Ok(fixed(ty, value, pos));
            }
        }
        let text = |value: &str| Ok(fixed(&Type::String, &Value::string(value), pos));
        match key.as_str() {
            "time_zone" => text(&self.ctx.eval.time_zone),
            "project_id" | "dataset_project_id" => text(&self.ctx.eval.project),
            _ => Err(SqlError::analysis(format!("Unrecognized system variable: @@{name}")).at(pos)),
        }
    }

    fn unary(&self, op: UnaryOp, operand: &ast::Expr, cx: &Cx, pos: Pos) -> Result<Expr> {
        let spelled = match op {
            UnaryOp::Plus => "+",
            UnaryOp::Minus => "-",
            UnaryOp::BitNot => "~",
            UnaryOp::Not => "NOT",
        };
        no_null_operand(operand, spelled)?;
        match (op, &operand.kind) {
            (UnaryOp::Minus, A::Int(text)) => return int_literal(text, true, pos),
            (UnaryOp::Minus, A::Float(text)) => return self.float(&format!("-{text}"), pos),
            _ => {}
        }
        let resolved = self.expr(operand, cx)?;
        match op {
            UnaryOp::Plus => {
                if !resolved.ty.is_numeric() && resolved.ty != Type::Interval {
                    let text = format!(
                        "No matching signature for operator + for argument types: {}",
                        self.type_name_of(&resolved)
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
                Ok(Expr { pos, ..resolved })
            }
            UnaryOp::Minus => self.call_scalar("$unary_minus", vec![resolved], pos),
            UnaryOp::BitNot => self.call_scalar("$bitwise_not", vec![resolved], pos),
            UnaryOp::Not => self.call_scalar("$not", vec![resolved], pos),
        }
    }

    /// Left-deep chains (`a || b || c …`) are walked without recursion.
    fn binary_chain(&self, expr: &ast::Expr, cx: &Cx) -> Result<Expr> {
        let mut spine: Vec<(BinaryOp, &ast::Expr, &ast::Expr, Pos)> = Vec::new();
        let mut first = expr;
        while let A::Binary { op, left, right, .. } = &first.kind {
            spine.push((*op, left, right, first.pos));
            if spine.len() > MAX_CHAIN {
                return Err(super::too_complex(expr.pos));
            }
            first = left;
        }
        let mut left = self.expr(first, cx)?;
        for (op, left_ast, right_ast, pos) in spine.into_iter().rev() {
            let (name, spelled) = operator(op);
            // Shifts are no operators of two numbers to GoogleSQL's parser: they take a bare NULL.
            if !matches!(spelled, "<<" | ">>") {
                no_null_operand(left_ast, spelled)?;
                no_null_operand(right_ast, spelled)?;
            }
            let right = self.expr(right_ast, cx)?;
            left = self.call_scalar(name, vec![left, right], pos)?;
        }
        Ok(left)
    }

    pub(super) fn negate_if(&self, expr: Expr, negated: bool) -> Result<Expr> {
        if !negated {
            return Ok(expr);
        }
        let pos = expr.pos;
        self.call_scalar("$not", vec![expr], pos)
    }

    /// Binds `value` for several uses; columns and literals need no binding.
    pub(super) fn bind(&self, value: Expr, body: impl FnOnce(&Expr) -> Result<Expr>) -> Result<Expr> {
        if matches!(value.kind, ExprKind::Column(_) | ExprKind::Literal(_)) {
            return body(&value);
        }
        let id = self.new_column();
        let (ty, pos) = (value.ty.clone(), value.pos);
        let body = body(&column(id, ty, pos))?;
        let ty = body.ty.clone();
        Ok(Expr { kind: ExprKind::Let { bindings: vec![(id, value)], body: Box::new(body) }, ty, pos })
    }

    #[allow(clippy::too_many_arguments)]
    fn cast_expr(
        &self,
        operand: &ast::Expr,
        ty: &ast::TypeName,
        safe: bool,
        format: Option<&ast::Expr>,
        time_zone: Option<&ast::Expr>,
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let (ty, params) = super::resolve_type(ty)?;
        // A literal's digits are cast as written, without a detour over FLOAT64.
        let digits = match (&operand.kind, &ty) {
            (A::Float(text), Type::Numeric | Type::BigNumeric) => Some(text.clone()),
            (A::Unary { op: UnaryOp::Minus, expr: inner }, Type::Numeric | Type::BigNumeric) => match &inner.kind {
                A::Float(text) => Some(format!("-{text}")),
                _ => None,
            },
            _ => None,
        };
        let exact = digits.and_then(|text| self.cast_value(&Value::string(text), &Type::String, &ty).ok());
        let operand = match exact {
            Some(value) => literal(value, ty.clone(), operand.pos),
            None => self.expr(operand, cx)?,
        };
        let text_arg = |expr: Option<&ast::Expr>, what: &str| -> Result<Option<Box<Expr>>> {
            let Some(expr) = expr else { return Ok(None) };
            let resolved = self.expr(expr, cx)?;
            match self.implicit(resolved, &Type::String)? {
                Ok(resolved) => Ok(Some(Box::new(resolved))),
                Err(found) => {
                    let text = format!("{what} should return type STRING, but returns {}", found.ty);
                    Err(SqlError::analysis(text).at(expr.pos))
                }
            }
        };
        let format = text_arg(format, "FORMAT expression")?;
        let time_zone = text_arg(time_zone, "AT TIME ZONE expression")?;
        if !self.castable(&operand, &ty) {
            let text = format!("Invalid cast from {} to {ty}", self.type_name_of(&operand));
            return Err(SqlError::analysis(text).at(operand.pos));
        }
        if self.is_untyped(&operand) && params.is_empty() && format.is_none() {
            // A NULL or [] without a type gets one: that of the cast. Kept as a node, so that it is typed from here on.
            return Ok(Expr {
                kind: ExprKind::Cast {
                    expr: Box::new(self.retype(operand, &ty)),
                    params: TypeParams::default(),
                    safe,
                    format: None,
                    time_zone: None,
                },
                ty,
                pos,
            });
        }
        Ok(Expr { kind: ExprKind::Cast { expr: Box::new(operand), params, safe, format, time_zone }, ty, pos })
    }

    fn array(&self, element: Option<&ast::TypeName>, items: &[ast::Expr], cx: &Cx, pos: Pos) -> Result<Expr> {
        let mut resolved = items.iter().map(|item| self.expr(item, cx)).collect::<Result<Vec<_>>>()?;
        let ty = match element {
            Some(element) => {
                let element_pos = element.pos;
                let (element, _) = super::resolve_type(element)?;
                if matches!(element, Type::Array(_)) {
                    return Err(SqlError::analysis("Arrays of arrays are not supported").at(element_pos));
                }
                resolved = resolved
                    .into_iter()
                    .map(|item| {
                        let (item_pos, found) = (item.pos, self.type_name_of(&item));
                        self.assign(item, &element)?.ok_or_else(|| {
                            let text = format!("Array element type {found} does not coerce to {element}");
                            SqlError::analysis(text).at(item_pos)
                        })
                    })
                    .collect::<Result<Vec<_>>>()?;
                element
            }
            None if resolved.is_empty() => Type::Int64,
            None => {
                let found: Vec<String> = resolved.iter().map(|item| self.type_name_of(item)).collect();
                match self.unify(&mut resolved)? {
                    Ok(ty) => ty,
                    Err(_) => {
                        let mut types = found;
                        types.sort();
                        types.dedup();
                        let text =
                            format!("Array elements of types {{{}}} do not have a common supertype", types.join(", "));
                        return Err(SqlError::analysis(text).at(pos));
                    }
                }
            }
        };
        if matches!(ty, Type::Array(_)) {
            let text = format!("Cannot construct array with element type {ty} because nested arrays are not supported");
            return Err(SqlError::analysis(text).at(resolved.first().map_or(pos, |item| item.pos)));
        }
        Ok(Expr { kind: ExprKind::MakeArray(resolved), ty: Type::array(ty), pos })
    }

    fn structure(
        &self,
        ty: Option<&ast::TypeName>,
        fields: &[(ast::Expr, Option<ast::Ident>)],
        cx: &Cx,
        pos: Pos,
    ) -> Result<Expr> {
        let Some(ty) = ty else {
            let mut resolved = Vec::with_capacity(fields.len());
            for (field, alias) in fields {
                let value = self.expr(field, cx)?;
                let name = match alias {
                    Some(alias) => alias.name.clone(),
                    None => super::path::implied_name(field).unwrap_or_default(),
                };
                resolved.push((name, value));
            }
            return Ok(make_struct(resolved, pos));
        };
        let (ty, _) = super::resolve_type(ty)?;
        let Type::Struct(wanted) = &ty else {
            return Err(SqlError::analysis(format!("Expected a STRUCT type but found {ty}")).at(pos));
        };
        if wanted.fields.len() != fields.len() {
            let text = format!(
                "STRUCT type has {} fields but constructor call has {} fields",
                wanted.fields.len(),
                fields.len()
            );
            return Err(SqlError::analysis(text).at(pos));
        }
        let mut resolved = Vec::with_capacity(fields.len());
        for (index, ((field, alias), wanted)) in fields.iter().zip(&wanted.fields).enumerate() {
            if let Some(alias) = alias {
                let text = "STRUCT constructors cannot specify both an explicit type and field names with AS";
                return Err(SqlError::analysis(text).at(alias.pos));
            }
            let value = self.expr(field, cx)?;
            let found = self.type_name_of(&value);
            let value = self.assign(value, &wanted.ty)?.ok_or_else(|| {
                let text =
                    format!("Struct field {} has type {found} which does not coerce to {}", index + 1, wanted.ty);
                SqlError::analysis(text).at(field.pos)
            })?;
            resolved.push(value);
        }
        // Typed from here on, even where its fields are literals.
        let made = Expr { kind: ExprKind::MakeStruct(resolved), ty: ty.clone(), pos };
        Ok(made)
    }

    fn with_expr(&self, bindings: &[(ast::Ident, ast::Expr)], body: &ast::Expr, cx: &Cx, pos: Pos) -> Result<Expr> {
        fn nest(
            analyzer: &Analyzer,
            done: &mut Vec<(crate::plan::ColumnId, Expr)>,
            rest: &[(ast::Ident, ast::Expr)],
            body: &ast::Expr,
            cx: &Cx,
        ) -> Result<Expr> {
            let Some(((name, value), rest)) = rest.split_first() else { return analyzer.expr(body, cx) };
            let _deeper = analyzer.deeper(name.pos)?;
            let value = analyzer.expr(value, cx)?;
            let id = analyzer.new_column();
            let target = Target::Column { id, ty: value.ty.clone() };
            done.push((id, value));
            let names = NameList::of_targets(vec![(name.name.as_str().into(), target)]);
            let scope = Scope::new(&names, Some(cx.scope));
            nest(analyzer, done, rest, body, &cx.with_scope(&scope))
        }
        let mut resolved = Vec::with_capacity(bindings.len());
        let body = nest(self, &mut resolved, bindings, body, cx)?;
        let ty = body.ty.clone();
        Ok(Expr { kind: ExprKind::Let { bindings: resolved, body: Box::new(body) }, ty, pos })
    }
}

pub(super) fn make_struct(fields: Vec<(String, Expr)>, pos: Pos) -> Expr {
    let ty = Type::struct_of(fields.iter().map(|(name, field)| (name.clone(), field.ty.clone())));
    let fields = fields.into_iter().map(|(_, field)| field).collect();
    Expr { kind: ExprKind::MakeStruct(fields), ty, pos }
}

/// A value that is known but is no literal: its type is settled.
pub(super) fn fixed(ty: &Type, value: &Value, pos: Pos) -> Expr {
    let inner = literal(value.clone(), ty.clone(), pos);
    Expr {
        kind: ExprKind::Cast {
            expr: Box::new(inner),
            params: TypeParams::default(),
            safe: false,
            format: None,
            time_zone: None,
        },
        ty: ty.clone(),
        pos,
    }
}

/// Parameters convert as literals do, but a NULL keeps its type.
fn parameter(ty: &Type, value: &Value, pos: Pos) -> Expr {
    if value.is_null() { fixed(ty, value, pos) } else { literal(value.clone(), ty.clone(), pos) }
}

/// GoogleSQL (as BigQuery runs it) refuses a bare NULL beside an operator.
fn no_null_operand(operand: &ast::Expr, operator: &str) -> Result<()> {
    match operand.kind {
        A::Null => Err(SqlError::analysis(format!("Operands of {operator} cannot be literal NULL")).at(operand.pos)),
        _ => Ok(()),
    }
}

fn operator(op: BinaryOp) -> (&'static str, &'static str) {
    match op {
        BinaryOp::Add => ("$add", "+"),
        BinaryOp::Subtract => ("$subtract", "-"),
        BinaryOp::Multiply => ("$multiply", "*"),
        BinaryOp::Divide => ("$divide", "/"),
        BinaryOp::Concat => ("$concat_op", "||"),
        BinaryOp::Equal => ("$equal", "="),
        BinaryOp::NotEqual => ("$not_equal", "!="),
        BinaryOp::Less => ("$less", "<"),
        BinaryOp::LessOrEqual => ("$less_or_equal", "<="),
        BinaryOp::Greater => ("$greater", ">"),
        BinaryOp::GreaterOrEqual => ("$greater_or_equal", ">="),
        BinaryOp::BitAnd => ("$bitwise_and", "&"),
        BinaryOp::BitOr => ("$bitwise_or", "|"),
        BinaryOp::BitXor => ("$bitwise_xor", "^"),
        BinaryOp::ShiftLeft => ("$bitwise_left_shift", "<<"),
        BinaryOp::ShiftRight => ("$bitwise_right_shift", ">>"),
    }
}

fn int_literal(text: &str, negative: bool, pos: Pos) -> Result<Expr> {
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], 16),
        _ => (text, 10),
    };
    let sign = if negative { "-" } else { "" };
    match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        Ok(value) => Ok(literal(Value::Int64(value), Type::Int64, pos)),
        Err(_) => Err(SqlError::analysis(format!("Invalid integer literal: {sign}{text}")).at(pos)),
    }
}

fn float_literal(text: &str, pos: Pos) -> Result<Expr> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(literal(Value::Float64(value), Type::Float64, pos)),
        _ => Err(SqlError::analysis(format!("Invalid floating point literal: {text}")).at(pos)),
    }
}

/// Digits behind the point, the exponent counted in.
fn fraction_digits(text: &str) -> i64 {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().unwrap_or(0)),
        None => (text, 0),
    };
    let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len() as i64);
    digits.saturating_sub(exponent)
}

/// As a literal stands in a message.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
