//! Aggregate calls: checked, and taken out of the expression they stand in.

use crate::ast;
use crate::error::{Result, SqlError};
use crate::functions::AggregateFunction;
use crate::plan::{AggregateCall, Expr, ExprKind, Extreme, SortKey};
use crate::types::Type;

use super::visit::same;
use super::{Analyzer, Cx, Inside, column};

impl Analyzer<'_> {
    /// A call of an aggregate function without OVER.
    pub(super) fn aggregate(
        &self,
        function: &'static AggregateFunction,
        call: &ast::Call,
        safe: bool,
        cx: &Cx,
    ) -> Result<Expr> {
        match cx.inside {
            Inside::Aggregate => {
                return Err(SqlError::analysis("Aggregations of aggregations are not allowed").at(call.pos));
            }
            Inside::Nothing | Inside::Window => {}
        }
        let Some(calls) = cx.calls.filter(|_| cx.aggregates) else {
            let name = if function.name == "$count_star" { "COUNT(*)" } else { function.sql_name };
            let text = format!("Aggregate function {name} not allowed in {}", cx.clause);
            return Err(SqlError::analysis(text).at(call.pos));
        };
        let inner = Cx { scope: cx.input, inside: Inside::Aggregate, windows: false, ..*cx };
        let resolved = self.aggregate_call(function, call, safe, &inner)?;
        let ty = resolved.ty.clone();
        // The same call twice is computed once.
        if let Some((id, _)) = calls.aggregates.borrow().iter().find(|(_, known)| same_call(known, &resolved)) {
            return Ok(column(*id, ty, call.pos));
        }
        let id = self.new_column();
        calls.aggregates.borrow_mut().push((id, resolved));
        Ok(column(id, ty, call.pos))
    }

    /// The call's parts, resolved in `cx` (which refuses nested aggregates itself).
    pub(super) fn aggregate_call(
        &self,
        function: &'static AggregateFunction,
        call: &ast::Call,
        safe: bool,
        cx: &Cx,
    ) -> Result<AggregateCall> {
        let name = function.sql_name;
        let refuse = |what: &str, pos| -> Result<()> {
            Err(SqlError::analysis(format!("{what} in arguments is not supported on aggregate function {name}"))
                .at(pos))
        };
        if call.distinct && !function.allows_distinct {
            return Err(SqlError::analysis(format!("Aggregate function {name} does not support DISTINCT")).at(call.pos));
        }
        if call.nulls.is_some() && !function.allows_null_modifier {
            let text = format!("IGNORE NULLS and RESPECT NULLS are not supported on aggregate function {name}");
            return Err(SqlError::analysis(text).at(call.pos));
        }
        if let Some(first) = call.order_by.first()
            && !function.allows_order_by
        {
            refuse("ORDER BY", first.pos)?;
        }
        if let Some(limit) = &call.limit
            && !function.allows_limit
        {
            refuse("LIMIT", limit.pos)?;
        }
        let star = matches!(call.args.as_slice(), [ast::Expr { kind: ast::ExprKind::Star, .. }]);
        let function = match crate::functions::aggregate("$count_star") {
            Some(count) if star && function.name == "count" => count,
            _ => function,
        };
        let (args, ty) = self.aggregate_args(function, call, cx)?;
        if call.distinct {
            for arg in args.iter().take(1) {
                if !groupable(&arg.ty) {
                    let text = format!(
                        "Aggregate functions with DISTINCT cannot be used with arguments of type {}",
                        kind_name(&arg.ty)
                    );
                    return Err(SqlError::analysis(text).at(arg.pos));
                }
            }
        }
        let order_by = self.sort_keys(&call.order_by, cx)?;
        if call.distinct {
            for key in &order_by {
                if !args.iter().any(|arg| same(arg, &key.expr)) {
                    let text = "An aggregate function that has both DISTINCT and ORDER BY arguments can only ORDER BY \
                         expressions that are arguments to the function"
                        .to_string();
                    return Err(SqlError::analysis(text).at(key.expr.pos));
                }
            }
        }
        let limit = match &call.limit {
            Some(limit) => Some(self.constant_int(limit, "LIMIT")?),
            None => None,
        };
        let having = match &call.having {
            Some(having) => {
                let extreme = if having.max { Extreme::Max } else { Extreme::Min };
                Some((extreme, Box::new(self.expr(&having.expr, cx)?)))
            }
            None => None,
        };
        let filter = match &call.filter {
            Some(filter) => Some(Box::new(self.condition(filter, cx, "WHERE clause")?)),
            None => None,
        };
        Ok(AggregateCall {
            function,
            args,
            ty,
            distinct: call.distinct,
            ignore_nulls: call.nulls.map(|nulls| nulls == ast::NullsModifier::Ignore),
            order_by,
            limit,
            having,
            filter,
            safe,
            pos: call.pos,
        })
    }

    fn aggregate_args(
        &self,
        function: &'static AggregateFunction,
        call: &ast::Call,
        cx: &Cx,
    ) -> Result<(Vec<Expr>, Type)> {
        if let [ast::Expr { kind: ast::ExprKind::Star, .. }] = call.args.as_slice() {
            if !matches!(function.name, "count" | "$count_star") {
                let text = "Argument * can only be used in COUNT(*)";
                return Err(SqlError::analysis(text).at(call.pos));
            }
            if call.distinct {
                return Err(SqlError::analysis("COUNT(*) cannot be used with DISTINCT").at(call.pos));
            }
            return Ok((Vec::new(), Type::Int64));
        }
        let mut names = Vec::with_capacity(call.args.len());
        let mut plain = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            match &arg.kind {
                ast::ExprKind::NamedArgument { name, value } => {
                    names.push(Some(name.name.to_lowercase()));
                    plain.push((**value).clone());
                }
                _ => {
                    names.push(None);
                    plain.push(arg.clone());
                }
            }
        }
        let args = self.args(&plain, cx)?;
        let at = match function.name {
            "string_agg" | "approx_quantiles" | "approx_top_count" | "hll_count.init" => 1,
            "approx_top_sum" => 2,
            name if name.starts_with("kll_quantiles.") => 1,
            _ => usize::MAX,
        };
        if let Some(arg) = args.get(at) {
            constant_argument(function, at, arg)?;
        }
        self.resolve_aggregate(function, args, &names, call.pos)
    }

    pub(super) fn sort_keys(&self, items: &[ast::OrderItem], cx: &Cx) -> Result<Vec<SortKey>> {
        items.iter().map(|item| self.sort_key(item, cx)).collect()
    }

    pub(super) fn sort_key(&self, item: &ast::OrderItem, cx: &Cx) -> Result<SortKey> {
        let expr = self.expr(&item.expr, cx)?;
        self.ordering(item, expr)
    }

    /// The key for an expression that is resolved already.
    pub(super) fn ordering(&self, item: &ast::OrderItem, expr: Expr) -> Result<SortKey> {
        let expr = self.sorted_by(item, expr)?;
        if !orderable(&expr.ty) {
            let text = format!("ORDER BY does not support expressions of type {}", kind_name(&expr.ty));
            return Err(SqlError::analysis(text).at(expr.pos));
        }
        Ok(SortKey { expr, descending: item.descending, nulls_first: item.nulls_first.unwrap_or(!item.descending) })
    }
}

/// A separator, a count, a precision: the same for all rows.
fn constant_argument(function: &AggregateFunction, at: usize, arg: &Expr) -> Result<()> {
    let value = match &arg.kind {
        ExprKind::Cast { expr, .. } => &expr.kind,
        other => other,
    };
    let text = match value {
        ExprKind::Literal(value) if value.is_null() => "must be non-NULL",
        ExprKind::Literal(_) => return Ok(()),
        _ => "must be a literal or query parameter",
    };
    Err(SqlError::analysis(format!("Argument {} to {} {text}", at + 1, function.sql_name)).at(arg.pos))
}

fn same_call(a: &AggregateCall, b: &AggregateCall) -> bool {
    std::ptr::eq(a.function, b.function)
        && a.distinct == b.distinct
        && a.safe == b.safe
        && a.ignore_nulls == b.ignore_nulls
        && a.order_by.is_empty()
        && b.order_by.is_empty()
        && a.limit.is_none()
        && b.limit.is_none()
        && a.having.is_none()
        && b.having.is_none()
        && a.filter.is_none()
        && b.filter.is_none()
        && a.args.len() == b.args.len()
        && a.args.iter().zip(&b.args).all(|(a, b)| same(a, b))
}

/// Whether values of the type can be grouped, compared for DISTINCT, and partitioned by (but FLOAT64 there).
pub(super) fn groupable(ty: &Type) -> bool {
    match ty {
        Type::Json | Type::Geography => false,
        Type::Array(element) => groupable(element),
        Type::Struct(fields) => fields.fields.iter().all(|field| groupable(&field.ty)),
        _ => true,
    }
}

pub(super) fn orderable(ty: &Type) -> bool {
    !matches!(ty, Type::Json | Type::Geography | Type::Struct(_) | Type::Array(_))
}

/// The type as messages about kinds of types call it.
pub(super) fn kind_name(ty: &Type) -> String {
    match ty {
        Type::Array(_) => "ARRAY".to_owned(),
        Type::Struct(_) => "STRUCT".to_owned(),
        other => other.to_string(),
    }
}
