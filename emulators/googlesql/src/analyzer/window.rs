//! Calls with OVER: checked, and taken out of the expression they stand in.

use crate::ast;
use crate::error::{Pos, Result, SqlError};
use crate::plan::{
    Bound, ColumnId, Expr, ExprKind, Frame, FrameUnit, Rel, SortKey, WindowCall, WindowFunction, WindowGroup,
};
use crate::types::Type;
use crate::value::Value;

use super::aggregate::{groupable, kind_name, orderable};
use super::visit::{any, is_constant, same};
use super::{Analyzer, Cx, Inside, column};

/// A window call waiting for its place in the plan.
pub(super) struct Pending {
    pub id: ColumnId,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    pub call: WindowCall,
}

/// The window functions that are no aggregates.
pub(super) fn window_function(name: &str) -> Option<WindowFunction> {
    Some(match name {
        "row_number" => WindowFunction::RowNumber,
        "rank" => WindowFunction::Rank,
        "dense_rank" => WindowFunction::DenseRank,
        "percent_rank" => WindowFunction::PercentRank,
        "cume_dist" => WindowFunction::CumeDist,
        "ntile" => WindowFunction::Ntile,
        "lag" => WindowFunction::Lag,
        "lead" => WindowFunction::Lead,
        "first_value" => WindowFunction::FirstValue,
        "last_value" => WindowFunction::LastValue,
        "nth_value" => WindowFunction::NthValue,
        "percentile_cont" => WindowFunction::PercentileCont,
        "percentile_disc" => WindowFunction::PercentileDisc,
        "tf_idf" => WindowFunction::TfIdf,
        "st_clusterdbscan" => WindowFunction::ClusterDbscan,
        _ => return None,
    })
}

/// What a window specification says once its named base is merged in.
#[derive(Default)]
struct Spec<'s> {
    partition_by: Vec<&'s ast::Expr>,
    order_by: Vec<&'s ast::OrderItem>,
    frame: Option<&'s ast::Frame>,
}

impl Analyzer<'_> {
    /// `name(args) OVER spec`.
    pub(super) fn window(
        &self,
        name: &str,
        call: &ast::Call,
        over: &ast::WindowSpec,
        safe: bool,
        cx: &Cx,
    ) -> Result<Expr> {
        match cx.inside {
            Inside::Aggregate => {
                let text = "Analytic functions cannot be arguments to aggregate functions";
                return Err(SqlError::analysis(text).at(call.pos));
            }
            Inside::Window => {
                let text = "Analytic function cannot be an argument of another analytic function";
                return Err(SqlError::analysis(text).at(call.pos));
            }
            Inside::Nothing => {}
        }
        let Some(calls) = cx.calls.filter(|_| cx.windows) else {
            return Err(SqlError::analysis(format!("Analytic function not allowed in {}", cx.clause)).at(call.pos));
        };
        let inner = Cx { inside: Inside::Window, ..*cx };
        let upper = name.to_uppercase();
        let spec = self.window_spec(over, calls.named, 0)?;

        let mut partition_by = Vec::with_capacity(spec.partition_by.len());
        for key in &spec.partition_by {
            let key = self.expr(key, &inner)?;
            let denied = matches!(key.ty, Type::Float64 | Type::Struct(_) | Type::Array(_)) || !groupable(&key.ty);
            if denied {
                let text = format!("Partitioning by expressions of type {} is not allowed", kind_name(&key.ty));
                return Err(SqlError::analysis(text).at(key.pos));
            }
            partition_by.push(key);
        }
        let mut order_by = Vec::with_capacity(spec.order_by.len());
        for item in &spec.order_by {
            let expr = self.expr(&item.expr, &inner)?;
            if !orderable(&expr.ty) {
                let text = format!("Ordering by expressions of type {} is not allowed", kind_name(&expr.ty));
                return Err(SqlError::analysis(text).at(expr.pos));
            }
            order_by.push(self.ordering(item, expr)?);
        }
        if let (true, Some(first)) = (call.distinct, spec.order_by.first()) {
            let text = "Window ORDER BY is not allowed if DISTINCT is specified";
            return Err(SqlError::analysis(text).at(first.pos));
        }

        let (function, args, ty) = match window_function(name) {
            Some(function) => {
                if call.distinct {
                    let text = format!("Analytic function {upper} does not support DISTINCT");
                    return Err(SqlError::analysis(text).at(call.pos));
                }
                let (args, ty) = self.window_args(function, &upper, call, &inner)?;
                (function, args, ty)
            }
            None => {
                let Some(aggregate) = crate::functions::aggregate(name) else {
                    let text = if crate::functions::scalar(name).is_some() {
                        format!("Function {upper} cannot be called with an OVER clause")
                    } else {
                        format!("Function not found: {upper}")
                    };
                    return Err(SqlError::analysis(text).at(call.pos));
                };
                if !aggregate.allows_window {
                    let text = format!("Aggregate function {upper} does not support an OVER clause");
                    return Err(SqlError::analysis(text).at(call.pos));
                }
                if let Some(first) = call.order_by.first() {
                    let text = "ORDER BY in arguments is not supported on analytic functions";
                    return Err(SqlError::analysis(text).at(first.pos));
                }
                if let Some(limit) = &call.limit {
                    let text = "LIMIT in arguments is not supported on analytic functions";
                    return Err(SqlError::analysis(text).at(limit.pos));
                }
                // Aggregates may be arguments here, so the call's own arguments are resolved in the window's context.
                let resolved = self.aggregate_call(aggregate, call, safe, &inner)?;
                (WindowFunction::Aggregate(aggregate), resolved.args, resolved.ty)
            }
        };
        self.check_window(function, name, &spec, call.pos)?;
        let frame = match spec.frame {
            Some(frame) => Some(self.frame(frame, &order_by, &inner)?),
            None => None,
        };
        let id = self.new_column();
        let call = WindowCall {
            function,
            args,
            ty: ty.clone(),
            distinct: call.distinct,
            ignore_nulls: call.nulls.map(|nulls| nulls == ast::NullsModifier::Ignore),
            frame,
            safe,
            pos: call.pos,
        };
        let pos = call.pos;
        calls.windows.borrow_mut().push(Pending { id, partition_by, order_by, call });
        Ok(column(id, ty, pos))
    }

    fn window_spec<'s>(
        &self,
        over: &'s ast::WindowSpec,
        named: &'s [(ast::Ident, ast::WindowSpec)],
        depth: usize,
    ) -> Result<Spec<'s>> {
        let mut spec = Spec::default();
        if let Some(base) = &over.base {
            let found = named.iter().position(|(name, _)| name.name.eq_ignore_ascii_case(&base.name));
            let Some(at) = found.filter(|_| depth < 100) else {
                return Err(SqlError::analysis(format!("Unrecognized window alias {}", base.name)).at(base.pos));
            };
            // A window may build on those before it.
            spec = self.window_spec(&named[at].1, &named[..at], depth + 1)?;
            if let (Some(first), false) = (over.partition_by.first(), over.partition_by.is_empty()) {
                let text =
                    format!("If a window has a PARTITION BY, it cannot extend another window (here {})", base.name);
                return Err(SqlError::analysis(text).at(first.pos));
            }
            if let (false, Some(second)) = (spec.order_by.is_empty(), over.order_by.first()) {
                let text =
                    "If a window has an ORDER BY and extends another window, that window cannot have an ORDER BY";
                return Err(SqlError::analysis(text).at(second.pos));
            }
            if spec.frame.is_some() && (over.frame.is_some() || !over.order_by.is_empty()) {
                let text = "A window with a frame cannot be extended by a window with an ORDER BY or frame of its own";
                return Err(SqlError::analysis(text).at(over.pos));
            }
        }
        if !over.partition_by.is_empty() {
            spec.partition_by = over.partition_by.iter().collect();
        }
        if !over.order_by.is_empty() {
            spec.order_by = over.order_by.iter().collect();
        }
        if over.frame.is_some() {
            spec.frame = over.frame.as_ref();
        }
        Ok(spec)
    }

    fn check_window(&self, function: WindowFunction, name: &str, spec: &Spec, pos: Pos) -> Result<()> {
        use WindowFunction as W;
        let (needs_order, allows_order, allows_frame) = match function {
            W::RowNumber => (false, true, false),
            W::Rank | W::DenseRank | W::PercentRank | W::CumeDist | W::Ntile | W::Lag | W::Lead => (true, true, false),
            W::PercentileCont | W::PercentileDisc | W::TfIdf | W::ClusterDbscan => (false, false, false),
            W::FirstValue | W::LastValue | W::NthValue => (true, true, true),
            W::Aggregate(_) => (false, true, true),
        };
        let name = name.to_lowercase();
        if needs_order && spec.order_by.is_empty() {
            return Err(SqlError::analysis(format!("Window ORDER BY is required for analytic function {name}")).at(pos));
        }
        if let (false, Some(first)) = (allows_order, spec.order_by.first()) {
            let text = format!("Window ORDER BY is not allowed for analytic function {name}");
            return Err(SqlError::analysis(text).at(first.pos));
        }
        if let (false, Some(frame)) = (allows_frame, spec.frame) {
            let text = format!("Window framing clause is not allowed for analytic function {name}");
            return Err(SqlError::analysis(text).at(frame.pos));
        }
        Ok(())
    }

    fn window_args(
        &self,
        function: WindowFunction,
        name: &str,
        call: &ast::Call,
        cx: &Cx,
    ) -> Result<(Vec<Expr>, Type)> {
        use WindowFunction as W;
        let mut args = self.args(&call.args, cx)?;
        let found: Vec<String> = args.iter().map(|arg| self.type_name_of(arg)).collect();
        let mismatch = |signature: &str| {
            let given = if found.is_empty() {
                format!("No matching signature for analytic function {name} with no arguments")
            } else {
                format!("No matching signature for analytic function {name} for argument types: {}", found.join(", "))
            };
            SqlError::analysis(format!("{given}. Supported signature: {signature}")).at(call.pos)
        };
        if call.nulls.is_some()
            && !matches!(
                function,
                W::FirstValue | W::LastValue | W::NthValue | W::PercentileCont | W::PercentileDisc | W::Lag | W::Lead
            )
        {
            let text = format!("IGNORE NULLS and RESPECT NULLS are not allowed for analytic function {name}");
            return Err(SqlError::analysis(text).at(call.pos));
        }
        let to = |arg: Expr, ty: &Type, signature: &str| -> Result<Expr> {
            self.implicit(arg, ty)?.map_err(|_| mismatch(signature))
        };
        match function {
            W::RowNumber | W::Rank | W::DenseRank => {
                if !args.is_empty() {
                    return Err(mismatch(&format!("{name}()")));
                }
                Ok((args, Type::Int64))
            }
            W::PercentRank | W::CumeDist => {
                if !args.is_empty() {
                    return Err(mismatch(&format!("{name}()")));
                }
                Ok((args, Type::Float64))
            }
            W::Ntile => {
                let signature = "NTILE(INT64)";
                let arg = args.pop().filter(|_| args.is_empty()).ok_or_else(|| mismatch(signature))?;
                let arg = to(arg, &Type::Int64, signature)?;
                self.must_be_constant(
                    &arg,
                    "The N value (number of buckets) for the NTILE function must be a literal or query parameter",
                )?;
                Ok((vec![arg], Type::Int64))
            }
            W::Lag | W::Lead => {
                let signature = format!("{name}(ANY, [INT64], [ANY])");
                if args.is_empty() || args.len() > 3 {
                    return Err(mismatch(&signature));
                }
                let mut rest = args.split_off(1).into_iter();
                let mut out = args;
                if let Some(offset) = rest.next() {
                    let offset = to(offset, &Type::Int64, &signature)?;
                    self.must_be_constant(
                        &offset,
                        &format!("The second argument (the offset) to {name} must be constant"),
                    )?;
                    out.push(offset);
                }
                if let Some(default) = rest.next() {
                    if !is_constant(&default) {
                        let text = format!("The third argument (the default expression) to {name} must be constant");
                        return Err(SqlError::analysis(text).at(default.pos));
                    }
                    let mut pair = vec![out.swap_remove(0), default];
                    let offset = out.pop();
                    if self.unify(&mut pair)?.is_err() {
                        return Err(mismatch(&signature));
                    }
                    let default = pair.pop();
                    out = pair;
                    out.extend(offset);
                    out.extend(default);
                }
                let ty = out[0].ty.clone();
                Ok((out, ty))
            }
            W::FirstValue | W::LastValue => {
                if args.len() != 1 {
                    return Err(mismatch(&format!("{name}(ANY)")));
                }
                let ty = args[0].ty.clone();
                Ok((args, ty))
            }
            W::NthValue => {
                let signature = "NTH_VALUE(ANY, INT64)";
                let [value, n] = <[Expr; 2]>::try_from(args).map_err(|_| mismatch(signature))?;
                let n = to(n, &Type::Int64, signature)?;
                self.must_be_constant(
                    &n,
                    "The N value for the NthValue function must be a literal or query parameter",
                )?;
                let ty = value.ty.clone();
                Ok((vec![value, n], ty))
            }
            W::PercentileCont => {
                let signature = "PERCENTILE_CONT(FLOAT64, FLOAT64)";
                let [value, n] = <[Expr; 2]>::try_from(args).map_err(|_| mismatch(signature))?;
                let ty = match value.ty {
                    Type::Numeric => Type::Numeric,
                    Type::BigNumeric => Type::BigNumeric,
                    _ => Type::Float64,
                };
                let n = to(n, &ty, signature)?;
                let value = to(value, &ty, signature)?;
                self.must_be_constant(
                    &n,
                    "The second argument to PERCENTILE_CONT must be a literal or query parameter",
                )?;
                Ok((vec![value, n], ty))
            }
            W::PercentileDisc => {
                let signature = "PERCENTILE_DISC(T1, FLOAT64)";
                let [value, n] = <[Expr; 2]>::try_from(args).map_err(|_| mismatch(signature))?;
                let n_ty = match n.ty {
                    Type::Numeric | Type::BigNumeric => n.ty.clone(),
                    _ => Type::Float64,
                };
                let n = to(n, &n_ty, signature)?;
                self.must_be_constant(
                    &n,
                    "The second argument to PERCENTILE_DISC must be a literal or query parameter",
                )?;
                let ty = value.ty.clone();
                Ok((vec![value, n], ty))
            }
            W::TfIdf => {
                let signature = "TF_IDF(ARRAY<STRING>, [INT64], [INT64])";
                if args.is_empty() || args.len() > 3 {
                    return Err(mismatch(signature));
                }
                let mut out = Vec::with_capacity(args.len());
                for (index, arg) in args.into_iter().enumerate() {
                    let ty = if index == 0 { Type::array(Type::String) } else { Type::Int64 };
                    out.push(to(arg, &ty, signature)?);
                }
                Ok((out, Type::array(Type::struct_of([("term", Type::String), ("tf_idf", Type::Float64)]))))
            }
            W::ClusterDbscan => {
                let signature = "ST_CLUSTERDBSCAN(GEOGRAPHY, FLOAT64, INT64)";
                let [shape, far, least] = <[Expr; 3]>::try_from(args).map_err(|_| mismatch(signature))?;
                let out = vec![
                    to(shape, &Type::Geography, signature)?,
                    to(far, &Type::Float64, signature)?,
                    to(least, &Type::Int64, signature)?,
                ];
                Ok((out, Type::Int64))
            }
            W::Aggregate(_) => Err(SqlError::internal("aggregates resolve their own arguments")),
        }
    }

    fn must_be_constant(&self, expr: &Expr, text: &str) -> Result<()> {
        if is_constant(expr) { Ok(()) } else { Err(SqlError::analysis(text).at(expr.pos)) }
    }

    fn frame(&self, frame: &ast::Frame, order_by: &[SortKey], cx: &Cx) -> Result<Frame> {
        let unit = if frame.rows { FrameUnit::Rows } else { FrameUnit::Range };
        let start = self.bound(&frame.start, unit, order_by, frame.pos, cx)?;
        let end = match &frame.end {
            Some(end) => self.bound(end, unit, order_by, frame.pos, cx)?,
            None => Bound::CurrentRow,
        };
        let rank = |bound: &Bound| match bound {
            Bound::UnboundedPreceding => 0,
            Bound::Preceding(_) => 1,
            Bound::CurrentRow => 2,
            Bound::Following(_) => 3,
            Bound::UnboundedFollowing => 4,
        };
        if matches!(start, Bound::UnboundedFollowing) {
            return Err(
                SqlError::analysis("Starting window framing expression cannot be UNBOUNDED FOLLOWING").at(frame.pos)
            );
        }
        if matches!(end, Bound::UnboundedPreceding) {
            return Err(
                SqlError::analysis("Ending window framing expression cannot be UNBOUNDED PRECEDING").at(frame.pos)
            );
        }
        if rank(&start) > rank(&end) {
            let text = "Starting window framing expression must not be behind the ending one";
            return Err(SqlError::analysis(text).at(frame.pos));
        }
        Ok(Frame { unit, start, end })
    }

    fn bound(&self, bound: &ast::Bound, unit: FrameUnit, order_by: &[SortKey], pos: Pos, cx: &Cx) -> Result<Bound> {
        let offset = |expr: &ast::Expr| -> Result<Box<Expr>> {
            let resolved = self.expr(expr, cx)?;
            if !is_constant(&resolved) {
                let text = "Window framing expression must be a literal or parameter";
                return Err(SqlError::analysis(text).at(expr.pos));
            }
            let ty = match unit {
                FrameUnit::Rows => Type::Int64,
                FrameUnit::Range => match order_by {
                    [key] if key.expr.ty.is_numeric() => key.expr.ty.clone(),
                    [key] => {
                        let text = format!(
                            "ORDER BY key must be numeric in a RANGE-based window with OFFSET PRECEDING or OFFSET \
                             FOLLOWING boundaries, but has type {}",
                            key.expr.ty
                        );
                        return Err(SqlError::analysis(text).at(key.expr.pos));
                    }
                    _ => {
                        let text = "Window must have exactly one ORDER BY key for a RANGE-based window with OFFSET \
                                    PRECEDING or OFFSET FOLLOWING boundaries";
                        return Err(SqlError::analysis(text).at(pos));
                    }
                },
            };
            if let ExprKind::Literal(Value::Int64(number)) = resolved.kind
                && number < 0
            {
                let text = "Window framing expression cannot evaluate to a negative value";
                return Err(SqlError::analysis(text).at(expr.pos));
            }
            let found = self.type_name_of(&resolved);
            match self.implicit(resolved, &ty)? {
                Ok(resolved) => Ok(Box::new(resolved)),
                Err(_) => {
                    let text = format!(
                        "Window framing expression has type {found} that cannot coerce to the type of the corresponding ORDER BY expression, which is {ty}"
                    );
                    Err(SqlError::analysis(text).at(expr.pos))
                }
            }
        };
        Ok(match bound {
            ast::Bound::UnboundedPreceding => Bound::UnboundedPreceding,
            ast::Bound::CurrentRow => Bound::CurrentRow,
            ast::Bound::UnboundedFollowing => Bound::UnboundedFollowing,
            ast::Bound::Preceding(expr) => Bound::Preceding(offset(expr)?),
            ast::Bound::Following(expr) => Bound::Following(offset(expr)?),
        })
    }
}

/// The relation with the pending calls computed; calls that share a window share a group, and a call that reads
/// another's result comes after it.
pub(super) fn with_windows(rel: Rel, pending: Vec<Pending>) -> Rel {
    if pending.is_empty() {
        return rel;
    }
    let mut levels: Vec<(Vec<ColumnId>, Vec<WindowGroup>)> = Vec::new();
    for pending in pending {
        let reads = |ids: &[ColumnId]| {
            let mut test = |expr: &Expr| matches!(expr.kind, ExprKind::Column(id) if ids.contains(&id));
            pending.partition_by.iter().any(|expr| any(expr, &mut test))
                || pending.order_by.iter().any(|key| any(&key.expr, &mut test))
                || pending.call.args.iter().any(|expr| any(expr, &mut test))
        };
        let level = levels.iter().rposition(|(ids, _)| reads(ids)).map_or(0, |at| at + 1);
        if level == levels.len() {
            levels.push((Vec::new(), Vec::new()));
        }
        let (ids, groups) = &mut levels[level];
        ids.push(pending.id);
        let same_all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
        let same_keys = |a: &[SortKey], b: &[SortKey]| {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    a.descending == b.descending && a.nulls_first == b.nulls_first && same(&a.expr, &b.expr)
                })
        };
        let group = groups.iter_mut().find(|group| {
            same_all(&group.partition_by, &pending.partition_by) && same_keys(&group.order_by, &pending.order_by)
        });
        match group {
            Some(group) => group.calls.push((pending.id, pending.call)),
            None => groups.push(WindowGroup {
                partition_by: pending.partition_by,
                order_by: pending.order_by,
                calls: vec![(pending.id, pending.call)],
            }),
        }
    }
    levels.into_iter().fold(rel, |input, (_, groups)| Rel::Window { input: Box::new(input), groups })
}
