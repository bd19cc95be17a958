//! What a plan reads: tables, the columns of each, and the limits that are known before it runs.

use std::sync::Arc;

use crate::analyzer::visit::{children, inputs, is_constant};
use crate::catalog::{HintOp, ScanHint, Table};
use crate::exec::eval_constant;
use crate::functions::EvalContext;
use crate::plan::{Bound, ColumnId, Expr, ExprKind, InsertValue, MergeAction, Plan, Rel};

/// One scan of a plan.
#[derive(Debug)]
pub struct Read<'p> {
    pub table: &'p Arc<dyn Table>,
    /// Positions, as in [`ScanRequest`](crate::catalog::ScanRequest).
    pub columns: Vec<usize>,
    /// Only for tables with a partitioning column.
    pub hints: Vec<ScanHint>,
}

/// What is still to be looked at: a list instead of recursion, since plans may be deep.
enum Work<'p> {
    Rel(&'p Rel, Vec<&'p Expr>),
    Expr(&'p Expr),
}

/// Every scan of `plan`, those within expressions' subqueries included. A table may come several times.
pub fn reads<'p>(plan: &'p Plan, eval: &EvalContext) -> Vec<Read<'p>> {
    let mut work = Vec::new();
    let rel = |rel: &'p Rel| Work::Rel(rel, Vec::new());
    match plan {
        Plan::Query(query) => work.push(rel(&query.rel)),
        Plan::Insert(insert) => {
            work.push(rel(&insert.query));
            work.extend(insert.values.iter().filter_map(|value| match value {
                InsertValue::Expr(expr) => Some(Work::Expr(expr)),
                InsertValue::Column(_) => None,
            }));
        }
        Plan::Update(update) => {
            work.push(rel(&update.input));
            work.extend(update.assignments.iter().map(|assignment| Work::Expr(&assignment.value)));
        }
        Plan::Delete(delete) => work.push(rel(&delete.input)),
        Plan::Merge(merge) => {
            let mut on = Vec::new();
            conjuncts(&merge.on, &mut on);
            work.push(Work::Rel(&merge.target, on));
            work.push(rel(&merge.source));
            work.push(Work::Expr(&merge.on));
            for clause in &merge.clauses {
                work.extend(clause.condition.iter().map(Work::Expr));
                match &clause.action {
                    MergeAction::Insert(values) => work.extend(values.iter().map(Work::Expr)),
                    MergeAction::Update(set) => work.extend(set.iter().map(|assignment| Work::Expr(&assignment.value))),
                    MergeAction::Delete => {}
                }
            }
        }
        Plan::Truncate { .. } => {}
        Plan::Ddl(ddl) => work.extend(ddl.query.iter().map(|query| rel(&query.rel))),
    }
    let mut found = Vec::new();
    while let Some(next) = work.pop() {
        match next {
            Work::Expr(expr) => {
                if let ExprKind::Subquery { rel, .. } = &expr.kind {
                    work.push(Work::Rel(rel, Vec::new()));
                }
                children(expr, &mut |child| work.push(Work::Expr(child)));
            }
            Work::Rel(Rel::Scan { table, columns, .. }, predicates) => {
                let hints = match table.partition_column() {
                    Some(_) => predicates.iter().filter_map(|predicate| hint(predicate, columns, eval)).collect(),
                    None => Vec::new(),
                };
                let columns = columns.iter().map(|(_, position)| *position).collect();
                found.push(Read { table, columns, hints });
            }
            Work::Rel(rel, mut predicates) => {
                exprs(rel, &mut |expr| work.push(Work::Expr(expr)));
                match rel {
                    Rel::Filter { predicate, .. } => conjuncts(predicate, &mut predicates),
                    // What holds above these holds below them too, as far as it is about columns from there.
                    Rel::Compute { .. } | Rel::Project { .. } => {}
                    _ => predicates.clear(),
                }
                inputs(rel, &mut |input| work.push(Work::Rel(input, predicates.clone())));
            }
        }
    }
    found
}

fn conjuncts<'p>(expr: &'p Expr, into: &mut Vec<&'p Expr>) {
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match &expr.kind {
            ExprKind::And(parts) => left.extend(parts),
            _ => into.push(expr),
        }
    }
}

/// `column op constant`, either way round, with the constant's value.
fn hint(predicate: &Expr, columns: &[(ColumnId, usize)], eval: &EvalContext) -> Option<ScanHint> {
    let ExprKind::Call { function, args, .. } = &predicate.kind else { return None };
    let [a, b] = args.as_slice() else { return None };
    let (op, mirrored) = match function.name {
        "$equal" => (HintOp::Equal, HintOp::Equal),
        "$less" => (HintOp::Less, HintOp::Greater),
        "$less_or_equal" => (HintOp::LessOrEqual, HintOp::GreaterOrEqual),
        "$greater" => (HintOp::Greater, HintOp::Less),
        "$greater_or_equal" => (HintOp::GreaterOrEqual, HintOp::LessOrEqual),
        _ => return None,
    };
    let position = |id: &ColumnId| columns.iter().find(|(known, _)| known == id).map(|(_, position)| *position);
    let (column, op, constant) = match (&a.kind, &b.kind) {
        (ExprKind::Column(id), _) if is_constant(b) => (position(id)?, op, b),
        (_, ExprKind::Column(id)) if is_constant(a) => (position(id)?, mirrored, a),
        _ => return None,
    };
    // A constant that fails will say so when the statement runs.
    let value = eval_constant(constant, eval).ok()?;
    Some(ScanHint { column, op, value })
}

/// The expressions that stand directly in `rel`.
fn exprs<'p>(rel: &'p Rel, visit: &mut dyn FnMut(&'p Expr)) {
    match rel {
        Rel::Values { rows, .. } => rows.iter().flatten().for_each(visit),
        Rel::Filter { predicate, .. } => visit(predicate),
        Rel::Compute { columns, .. } => columns.iter().for_each(|(_, expr)| visit(expr)),
        Rel::Join { on, .. } => on.iter().for_each(visit),
        Rel::Unnest { arrays, .. } => arrays.iter().for_each(|(_, expr)| visit(expr)),
        Rel::Aggregate { keys, calls, .. } => {
            keys.iter().for_each(|(_, expr)| visit(expr));
            for (_, call) in calls {
                call.args.iter().for_each(&mut *visit);
                call.order_by.iter().for_each(|key| visit(&key.expr));
                call.having.iter().for_each(|(_, expr)| visit(expr));
                call.filter.iter().for_each(|expr| visit(expr));
            }
        }
        Rel::Window { groups, .. } => {
            for group in groups {
                group.partition_by.iter().for_each(&mut *visit);
                group.order_by.iter().for_each(|key| visit(&key.expr));
                for (_, call) in &group.calls {
                    call.args.iter().for_each(&mut *visit);
                    for bound in call.frame.iter().flat_map(|frame| [&frame.start, &frame.end]) {
                        if let Bound::Preceding(expr) | Bound::Following(expr) = bound {
                            visit(expr);
                        }
                    }
                }
            }
        }
        Rel::Sort { keys, .. } => keys.iter().for_each(|key| visit(&key.expr)),
        Rel::Limit { limit, offset, .. } => limit.iter().chain(offset).for_each(visit),
        Rel::Sample { percent, .. } => visit(percent),
        Rel::Scan { .. }
        | Rel::SingleRow
        | Rel::Project { .. }
        | Rel::Distinct { .. }
        | Rel::SetOperation { .. }
        | Rel::With { .. }
        | Rel::CteRef { .. } => {}
    }
}
