//! Moves filters towards the tables they are about, so that joins see their conditions and scans their limits.

use std::collections::HashSet;

use crate::plan::{ColumnId, Expr, ExprKind, JoinKind, Rel};
use crate::types::Type;

use super::tidy::made_by;
use super::visit::{any, children, inputs_mut, walk_rel_exprs_mut};

/// In the whole relation; subqueries of its expressions are done when those are visited.
pub(super) fn filters(rel: &mut Rel) {
    if let Rel::Filter { .. } | Rel::Join { .. } = rel {
        let taken = std::mem::replace(rel, Rel::SingleRow);
        *rel = settle(taken, Vec::new());
    }
    inputs_mut(rel, &mut filters);
}

/// The relation with these conjuncts applied as far down as they go. Everything at and above the point where a
/// conjunct stops is in its final form; what lies below is visited later.
fn settle(rel: Rel, mut conjuncts: Vec<Expr>) -> Rel {
    match rel {
        Rel::Filter { input, predicate } => {
            split(predicate, &mut conjuncts);
            settle(*input, conjuncts)
        }
        Rel::Join { kind, left, right, on, lateral } => join(kind, *left, *right, on, lateral, conjuncts),
        Rel::Compute { input, columns } if !conjuncts.is_empty() => {
            let made: HashSet<ColumnId> = columns.iter().map(|(id, _)| *id).collect();
            let (below, here): (Vec<Expr>, Vec<Expr>) =
                conjuncts.into_iter().partition(|conjunct| movable(conjunct) && !reads(conjunct, &made));
            let rel = Rel::Compute { input: Box::new(settle(*input, below)), columns };
            filtered(rel, here)
        }
        Rel::Sort { input, keys } if !conjuncts.is_empty() => {
            Rel::Sort { input: Box::new(settle(*input, conjuncts)), keys }
        }
        other => filtered(other, conjuncts),
    }
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>, lateral: bool, conjuncts: Vec<Expr>) -> Rel {
    let mut on_conjuncts = Vec::new();
    if let Some(on) = on {
        split(on, &mut on_conjuncts);
    }
    let left_ids = made_in(&left);
    let right_ids = made_in(&right);
    let mut to_left = Vec::new();
    let mut to_right = Vec::new();
    let mut at_join = Vec::new();
    let mut above = Vec::new();
    let inner = matches!(kind, JoinKind::Inner | JoinKind::Cross);
    if inner {
        conjuncts.into_iter().chain(on_conjuncts).for_each(|conjunct| {
            let (in_left, in_right) = (reads(&conjunct, &left_ids), reads(&conjunct, &right_ids));
            match (movable(&conjunct), in_left, in_right) {
                (false, _, _) => above.push(conjunct),
                (true, true, false) => to_left.push(conjunct),
                (true, false, true) => to_right.push(conjunct),
                // Of constants only, or of both sides.
                (true, false, false) => above.push(conjunct),
                (true, true, true) => at_join.push(conjunct),
            }
        });
    } else {
        for conjunct in conjuncts {
            let (in_left, in_right) = (reads(&conjunct, &left_ids), reads(&conjunct, &right_ids));
            let moves = movable(&conjunct);
            if moves && kind == JoinKind::Left && in_left && !in_right {
                to_left.push(conjunct);
            } else if moves && kind == JoinKind::Right && in_right && !in_left {
                to_right.push(conjunct);
            } else {
                above.push(conjunct);
            }
        }
        for conjunct in on_conjuncts {
            let (in_left, in_right) = (reads(&conjunct, &left_ids), reads(&conjunct, &right_ids));
            let moves = movable(&conjunct);
            if moves && kind == JoinKind::Left && in_right && !in_left {
                to_right.push(conjunct);
            } else if moves && kind == JoinKind::Right && in_left && !in_right {
                to_left.push(conjunct);
            } else {
                at_join.push(conjunct);
            }
        }
    }
    let kind = match kind {
        JoinKind::Cross if !at_join.is_empty() => JoinKind::Inner,
        // Without a condition of its own an inner join pairs all rows.
        JoinKind::Inner if at_join.is_empty() => JoinKind::Cross,
        kind => kind,
    };
    let left = settle(left, to_left);
    let right = settle(right, to_right);
    let on = all_of(at_join);
    let on = match (kind, on) {
        (JoinKind::Inner | JoinKind::Cross, on) => on,
        (_, Some(on)) => Some(on),
        (_, None) if lateral => None,
        (_, None) => Some(Expr { kind: ExprKind::Literal(crate::value::Value::Bool(true)), ty: Type::Bool, pos: 0 }),
    };
    let rel = Rel::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral };
    filtered(rel, above)
}

fn split(predicate: Expr, out: &mut Vec<Expr>) {
    match predicate.kind {
        ExprKind::And(items) => items.into_iter().for_each(|item| split(item, out)),
        kind => out.push(Expr { kind, ..predicate }),
    }
}

fn all_of(mut conjuncts: Vec<Expr>) -> Option<Expr> {
    if conjuncts.len() > 1 {
        let pos = conjuncts[0].pos;
        return Some(Expr { kind: ExprKind::And(conjuncts), ty: Type::Bool, pos });
    }
    conjuncts.pop()
}

fn filtered(rel: Rel, conjuncts: Vec<Expr>) -> Rel {
    match all_of(conjuncts) {
        Some(predicate) => Rel::Filter { input: Box::new(rel), predicate },
        None => rel,
    }
}

/// Whether a conjunct may be evaluated at another place: not if it is volatile or raises errors on purpose.
fn movable(expr: &Expr) -> bool {
    !any(expr, &mut |part| match &part.kind {
        ExprKind::Call { function, .. } => function.volatile || function.name == "error",
        ExprKind::JavaScript { .. } => true,
        _ => false,
    })
}

/// Whether the expression, subqueries included, reads any of the columns.
fn reads(expr: &Expr, ids: &HashSet<ColumnId>) -> bool {
    match &expr.kind {
        ExprKind::Column(id) => return ids.contains(id),
        ExprKind::Subquery { rel, .. } => {
            let mut copy = (**rel).clone();
            let mut found = false;
            walk_rel_exprs_mut(&mut copy, &mut |part| {
                if let ExprKind::Column(id) = &part.kind {
                    found |= ids.contains(id);
                }
                !found
            });
            if found {
                return true;
            }
        }
        _ => {}
    }
    let mut found = false;
    children(expr, &mut |child| found = found || reads(child, ids));
    found
}

/// All ids that the relation's nodes make.
fn made_in(rel: &Rel) -> HashSet<ColumnId> {
    fn collect(rel: &Rel, out: &mut HashSet<ColumnId>) {
        made_by(rel, &mut |id| {
            out.insert(id);
        });
        super::visit::inputs(rel, &mut |input| collect(input, out));
    }
    let mut out = HashSet::new();
    collect(rel, &mut out);
    out
}
