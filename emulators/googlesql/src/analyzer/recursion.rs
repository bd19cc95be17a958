//! Where a recursive table may be read: what GoogleSQL checks of a recursive term, and of cycles among common tables.
//!
//! Texts: GoogleSQL's own, as its analyzer words them.

use crate::ast;
use crate::error::{Pos, Result, SqlError};
use crate::plan::{CteKind, Expr, ExprKind, JoinKind, Rel};

use super::mention;
use super::visit::{inputs_mut, rel_exprs_mut, walk_expr_mut};
use super::with::CteEntry;

/// What stands around the node that is looked at; the first that is set names the error.
#[derive(Clone, Copy, Default)]
struct Within {
    inner_with: bool,
    subquery: bool,
    aggregate: bool,
    distinct: bool,
    window: bool,
    sample: bool,
    sort: bool,
    limit: bool,
    right_of_left: bool,
    left_of_right: bool,
    full: bool,
}

/// Checks the recursive term of `entry`: one reference, and none where rows of all rounds would be needed at once.
pub(super) fn check(step: &mut Rel, entry: &CteEntry) -> Result<()> {
    let mut seen = false;
    check_rel(step, entry, Within::default(), &mut seen)
}

fn check_rel(rel: &mut Rel, entry: &CteEntry, within: Within, seen: &mut bool) -> Result<()> {
    if let Rel::CteRef { cte, columns, .. } = rel {
        if *cte != entry.id {
            return Ok(());
        }
        let places = entry.places.borrow();
        let place = columns.first().and_then(|first| places.iter().find(|(id, _)| id == first));
        let place = place.or(places.last()).map_or(0, |(_, pos)| *pos);
        let name = entry.name.as_deref().unwrap_or_default();
        if std::mem::replace(seen, true) {
            let text = format!("Multiple recursive references to table '{name}' are not allowed");
            return Err(SqlError::analysis(text).at(place));
        }
        return refused(name, within, place);
    }
    let mut failed = Ok(());
    // Subqueries within expressions.
    rel_exprs_mut(rel, &mut |expr| {
        walk_expr_mut(expr, &mut |part: &mut Expr| {
            if let ExprKind::Subquery { rel, .. } = &mut part.kind
                && failed.is_ok()
            {
                failed = check_rel(rel, entry, Within { subquery: true, ..within }, seen);
                return false;
            }
            failed.is_ok()
        });
    });
    failed?;
    let mut each = |inner: &mut Rel, within: Within| check_rel(inner, entry, within, seen);
    match rel {
        Rel::Join { kind, left, right, .. } => {
            let (mut on_left, mut on_right) = (within, within);
            match kind {
                JoinKind::Left => on_right.right_of_left = true,
                JoinKind::Right => on_left.left_of_right = true,
                JoinKind::Full => (on_left.full, on_right.full) = (true, true),
                JoinKind::Inner | JoinKind::Cross => {}
            }
            each(left, on_left)?;
            each(right, on_right)
        }
        Rel::With { ctes, body } => {
            for cte in ctes {
                match &mut cte.kind {
                    CteKind::Plain(rel) => each(rel, Within { inner_with: true, ..within })?,
                    CteKind::Recursive { anchor, step, .. } => {
                        each(anchor, Within { inner_with: true, ..within })?;
                        each(step, Within { inner_with: true, ..within })?;
                    }
                }
            }
            each(body, within)
        }
        other => {
            let mut inner = within;
            match other {
                Rel::Aggregate { .. } | Rel::Distinct { .. } => inner.aggregate = true,
                Rel::SetOperation { all: false, .. } => inner.distinct = true,
                Rel::Window { .. } => inner.window = true,
                Rel::Sample { .. } => inner.sample = true,
                Rel::Sort { .. } => inner.sort = true,
                Rel::Limit { .. } => inner.limit = true,
                _ => {}
            }
            let mut result = Ok(());
            inputs_mut(other, &mut |input| {
                if result.is_ok() {
                    result = each(input, inner);
                }
            });
            result
        }
    }
}

fn refused(name: &str, within: Within, pos: Pos) -> Result<()> {
    let text = if within.inner_with {
        format!("table '{name}' may not be recursively referenced from inside an inner WITH entry")
    } else if within.subquery {
        "A recursive reference from inside an expression subquery is not allowed".to_owned()
    } else {
        let (what, reason) = match within {
            Within { aggregate: true, .. } => {
                ("A subquery", "may not use DISTINCT, GROUP BY, or any aggregate function")
            }
            Within { distinct: true, .. } => {
                ("A subquery", "may not use INTERSECT, UNION, or EXCEPT with the DISTINCT modifier")
            }
            Within { window: true, .. } => ("A subquery", "may not use an analytic function"),
            Within { sample: true, .. } => ("A subquery", "may not use the TABLESAMPLE operator"),
            Within { sort: true, .. } => ("A subquery", "may not contain an ORDER BY clause"),
            Within { limit: true, .. } => ("A query", "may not use a LIMIT clause"),
            Within { right_of_left: true, .. } => ("A query", "may not be used as the right operand of a LEFT JOIN"),
            Within { left_of_right: true, .. } => ("A query", "may not be used as the left operand of a RIGHT JOIN"),
            Within { full: true, .. } => ("A query", "may not be used as an operand of a FULL OUTER JOIN"),
            _ => return Ok(()),
        };
        format!("{what} containing a recursive reference {reason}")
    };
    Err(SqlError::analysis(text).at(pos))
}

/// Under RECURSIVE a table may read those that are written after it: what is read first is defined first.
///
/// # Errors
/// Two tables that read each other.
pub(super) fn definition_order(with: &[ast::CommonTable], names: &[String], pos: Pos) -> Result<Vec<usize>> {
    if with.len() > 200 {
        return Ok((0..with.len()).collect());
    }
    let edges: Vec<Vec<usize>> = with
        .iter()
        .enumerate()
        .map(|(at, table)| {
            (0..names.len()).filter(|other| *other != at && mention::query(&table.query, &names[*other])).collect()
        })
        .collect();
    let mut state = vec![State::New; with.len()];
    let mut order = Vec::with_capacity(with.len());
    let mut chain = Vec::new();
    for at in 0..with.len() {
        if let Some(first) = visit(at, &edges, &mut state, &mut order, &mut chain) {
            let circle = chain.iter().chain([&first]).map(|at| with[*at].name.name.as_str());
            let text = format!("Unsupported WITH entry dependency cycle: {}", circle.collect::<Vec<_>>().join(" => "));
            return Err(SqlError::analysis(text).at(pos));
        }
    }
    Ok(order)
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// `Some` is the entry that the chain comes back to.
fn visit(
    at: usize,
    edges: &[Vec<usize>],
    state: &mut [State],
    order: &mut Vec<usize>,
    chain: &mut Vec<usize>,
) -> Option<usize> {
    match state[at] {
        State::Done => return None,
        State::Open => return Some(at),
        State::New => {}
    }
    state[at] = State::Open;
    chain.push(at);
    for next in &edges[at] {
        if let Some(first) = visit(*next, edges, state, order, chain) {
            return Some(first);
        }
    }
    chain.pop();
    state[at] = State::Done;
    order.push(at);
    None
}
