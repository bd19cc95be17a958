//! The finished plan made lean: filters where they belong, only columns that somebody reads, and each subquery's list
//! of the outer columns it needs. Tables that demand a partition filter are checked here, when all filters are in place.

use std::collections::{HashMap, HashSet};

use crate::error::{Result, SqlError};
use crate::plan::{
    Assignment, ColumnId, CteKind, Expr, ExprKind, InsertValue, MergeAction, Plan, Rel, SetKind, SubqueryKind,
};

use super::from::RequiredFilter;
use super::visit::{any, children, children_mut, inputs_mut, rel_exprs_mut};

pub(super) fn plan(plan: &mut Plan, filters: &[RequiredFilter]) -> Result<()> {
    let mut needed = Needed::default();
    match plan {
        Plan::Query(query) => {
            query.columns.iter().for_each(|out| needed.add(out.id));
            finish(&mut query.rel, needed, filters)?;
        }
        Plan::Insert(insert) => {
            for value in &mut insert.values {
                match value {
                    InsertValue::Column(id) => needed.add(*id),
                    InsertValue::Expr(expr) => {
                        needed.expr(expr);
                        self::expr(expr);
                    }
                }
            }
            finish(&mut insert.query, needed, filters)?;
        }
        Plan::Update(update) => {
            needed.add(update.row_id);
            update.columns.iter().for_each(|id| needed.add(*id));
            assignments(&mut update.assignments, &mut needed);
            finish(&mut update.input, needed, filters)?;
        }
        Plan::Delete(delete) => {
            needed.add(delete.row_id);
            finish(&mut delete.input, needed, filters)?;
        }
        Plan::Merge(merge) => {
            needed.add(merge.row_id);
            merge.columns.iter().for_each(|id| needed.add(*id));
            needed.expr(&mut merge.on);
            self::expr(&mut merge.on);
            for clause in &mut merge.clauses {
                if let Some(condition) = &mut clause.condition {
                    needed.expr(condition);
                    self::expr(condition);
                }
                match &mut clause.action {
                    MergeAction::Insert(values) => {
                        for value in values {
                            needed.expr(value);
                            self::expr(value);
                        }
                    }
                    MergeAction::Update(items) => assignments(items, &mut needed),
                    MergeAction::Delete => {}
                }
            }
            super::push::filters(&mut merge.source);
            let mut conjuncts = vec![merge.on.clone()];
            collect_filters(&mut merge.source, &mut conjuncts);
            check_filters(&conjuncts, filters)?;
            let target = Needed { ids: needed.ids.clone(), ..Needed::default() };
            finish(&mut merge.target, target, &[])?;
            finish(&mut merge.source, needed, &[])?;
        }
        Plan::Truncate { .. } => {}
        Plan::Ddl(ddl) => {
            if let Some(query) = &mut ddl.query {
                query.columns.iter().for_each(|out| needed.add(out.id));
                finish(&mut query.rel, needed, filters)?;
            }
            ddl.options.iter_mut().for_each(|(_, option)| expr(option));
        }
    }
    Ok(())
}

fn assignments(items: &mut [Assignment], needed: &mut Needed) {
    for item in items {
        needed.expr(&mut item.value);
        expr(&mut item.value);
    }
}

/// Prunes subqueries of an expression that stands alone, and lists what they need from outside.
pub(super) fn expr(expr: &mut Expr) {
    let mut needed = Needed::default();
    needed.expr(expr);
    correlate_expr(expr, None);
}

fn finish(rel: &mut Rel, mut needed: Needed, filters: &[RequiredFilter]) -> Result<()> {
    super::push::filters(rel);
    if !filters.is_empty() {
        let mut conjuncts = Vec::new();
        collect_filters(rel, &mut conjuncts);
        check_filters(&conjuncts, filters)?;
    }
    needed.prune(rel);
    shrink_ctes(rel, &needed.cte);
    correlate(rel, None);
    Ok(())
}

/// Which columns somebody reads. Ids are unique in a statement, so one set serves all nodes, if parents are asked first.
#[derive(Default)]
struct Needed {
    ids: Vec<bool>,
    /// By CTE: which of its columns are read.
    cte: HashMap<usize, Vec<bool>>,
}

impl Needed {
    fn add(&mut self, id: ColumnId) {
        let at = id.0 as usize;
        if at >= self.ids.len() {
            self.ids.resize(at + at / 2 + 64, false);
        }
        self.ids[at] = true;
    }

    fn has(&self, id: ColumnId) -> bool {
        self.ids.get(id.0 as usize).copied().unwrap_or(false)
    }

    fn expr(&mut self, expr: &mut Expr) {
        match &mut expr.kind {
            ExprKind::Column(id) => {
                let id = *id;
                self.add(id);
                return;
            }
            ExprKind::Literal(_) => return,
            ExprKind::Subquery { kind, rel, column, .. } => {
                if !matches!(kind, SubqueryKind::Exists) {
                    self.add(*column);
                }
                super::push::filters(rel);
                self.prune(rel);
            }
            _ => {}
        }
        children_mut(expr, &mut |child| self.expr(child));
    }

    fn prune(&mut self, rel: &mut Rel) {
        match rel {
            Rel::Scan { columns, .. } => columns.retain(|(id, _)| self.has(*id)),
            Rel::SingleRow => {}
            Rel::Compute { columns, input } => {
                columns.retain(|(id, _)| self.has(*id));
                if columns.is_empty() {
                    let mut inner = std::mem::replace(&mut **input, Rel::SingleRow);
                    self.prune(&mut inner);
                    *rel = inner;
                    return;
                }
                columns.iter_mut().for_each(|(_, expr)| self.expr(expr));
                self.prune(input);
            }
            Rel::Project { input, columns } => {
                columns.retain(|id| self.has(*id));
                self.prune(input);
            }
            Rel::Join { left, right, on, .. } => {
                if let Some(on) = on {
                    self.expr(on);
                }
                // The right side may read the left one's columns.
                self.prune(right);
                self.prune(left);
            }
            Rel::Aggregate { input, keys, grouping, calls, .. } => {
                keys.iter_mut().for_each(|(_, expr)| self.expr(expr));
                grouping.retain(|(id, _)| self.has(*id));
                calls.retain(|(id, _)| self.has(*id));
                for (_, call) in calls {
                    super::visit::aggregate_exprs_mut(call, &mut |expr| self.expr(expr));
                }
                self.prune(input);
            }
            Rel::Window { groups, input } => {
                for group in groups.iter_mut() {
                    group.calls.retain(|(id, _)| self.has(*id));
                }
                groups.retain(|group| !group.calls.is_empty());
                if groups.is_empty() {
                    let mut inner = std::mem::replace(&mut **input, Rel::SingleRow);
                    self.prune(&mut inner);
                    *rel = inner;
                    return;
                }
                rel_exprs_mut(rel, &mut |expr| self.expr(expr));
                inputs_mut(rel, &mut |input| self.prune(input));
            }
            Rel::Distinct { input, columns } => {
                columns.iter().for_each(|id| self.add(*id));
                self.prune(input);
            }
            Rel::SetOperation { kind, all, inputs, columns, types } => {
                if *kind == SetKind::Union && *all {
                    let keep: Vec<bool> = columns.iter().map(|id| self.has(*id)).collect();
                    if keep.iter().any(|keep| !keep) {
                        retain(columns, &keep);
                        retain(types, &keep);
                        inputs.iter_mut().for_each(|(_, ids)| retain(ids, &keep));
                    }
                }
                for (input, ids) in inputs {
                    ids.iter().for_each(|id| self.add(*id));
                    self.prune(input);
                }
            }
            Rel::CteRef { cte, columns, .. } => {
                let keep: Vec<bool> = columns.iter().map(|id| self.has(*id)).collect();
                let all = self.cte.entry(*cte).or_insert_with(|| vec![false; keep.len()]);
                all.iter_mut().zip(&keep).for_each(|(all, keep)| *all |= keep);
            }
            Rel::With { ctes, body } => {
                self.prune(body);
                for cte in ctes.iter_mut().rev() {
                    match &mut cte.kind {
                        CteKind::Plain(rel) => {
                            let Some(keep) = self.cte.get(&cte.id).cloned() else { continue };
                            cte.columns.iter().zip(&keep).filter(|(_, keep)| **keep).for_each(|(id, _)| self.add(*id));
                            retain(&mut cte.columns, &keep);
                            retain(&mut cte.types, &keep);
                            self.prune(rel);
                        }
                        CteKind::Recursive { anchor, step, step_columns, .. } => {
                            // What a round reads decides what the next must bring: all of it stays.
                            let all = vec![true; cte.columns.len()];
                            cte.columns.iter().chain(&*step_columns).for_each(|id| self.add(*id));
                            self.prune(step);
                            self.prune(anchor);
                            self.cte.insert(cte.id, all);
                        }
                    }
                }
                ctes.retain(|cte| self.cte.contains_key(&cte.id));
                if ctes.is_empty() {
                    *rel = std::mem::replace(&mut **body, Rel::SingleRow);
                }
            }
            Rel::Values { .. }
            | Rel::Filter { .. }
            | Rel::Unnest { .. }
            | Rel::Sort { .. }
            | Rel::Limit { .. }
            | Rel::Sample { .. } => {
                rel_exprs_mut(rel, &mut |expr| self.expr(expr));
                inputs_mut(rel, &mut |input| self.prune(input));
            }
        }
    }
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| keep.next().copied().unwrap_or(true));
}

/// Takes unread columns out of references to CTEs, in step with the CTEs themselves.
fn shrink_ctes(rel: &mut Rel, used: &HashMap<usize, Vec<bool>>) {
    if used.is_empty() {
        return;
    }
    fn shrink(rel: &mut Rel, used: &HashMap<usize, Vec<bool>>) {
        if let Rel::CteRef { cte, columns, types } = rel
            && let Some(keep) = used.get(cte)
        {
            retain(columns, keep);
            retain(types, keep);
        }
        rel_exprs_mut(rel, &mut |expr| in_expr(expr, used));
        inputs_mut(rel, &mut |input| shrink(input, used));
    }
    fn in_expr(expr: &mut Expr, used: &HashMap<usize, Vec<bool>>) {
        if let ExprKind::Subquery { rel, .. } = &mut expr.kind {
            shrink(rel, used);
        }
        children_mut(expr, &mut |child| in_expr(child, used));
    }
    shrink(rel, used);
}

/// What a subquery reads and what it makes itself.
#[derive(Default)]
struct Frame {
    used: HashSet<ColumnId>,
    made: HashSet<ColumnId>,
}

/// Fills in every subquery's list of outer columns. Outside of subqueries nothing is recorded.
fn correlate(rel: &mut Rel, mut frame: Option<&mut Frame>) {
    if let Some(frame) = frame.as_deref_mut() {
        made_by(rel, &mut |id| {
            frame.made.insert(id);
        });
        // Columns that nodes read by id and not in an expression.
        match rel {
            Rel::Project { columns, .. } | Rel::Distinct { columns, .. } => frame.used.extend(columns.iter().copied()),
            Rel::SetOperation { inputs, .. } => {
                inputs.iter().for_each(|(_, ids)| frame.used.extend(ids.iter().copied()));
            }
            _ => {}
        }
    }
    rel_exprs_mut(rel, &mut |expr| correlate_expr(expr, frame.as_deref_mut()));
    inputs_mut(rel, &mut |input| correlate(input, frame.as_deref_mut()));
}

fn correlate_expr(expr: &mut Expr, mut frame: Option<&mut Frame>) {
    match &mut expr.kind {
        ExprKind::Column(id) => {
            if let Some(frame) = frame {
                frame.used.insert(*id);
            }
            return;
        }
        ExprKind::Literal(_) => return,
        ExprKind::Let { bindings, .. } => {
            if let Some(frame) = frame.as_deref_mut() {
                frame.made.extend(bindings.iter().map(|(id, _)| *id));
            }
        }
        ExprKind::Higher { parameters, .. } => {
            if let Some(frame) = frame.as_deref_mut() {
                frame.made.extend(parameters.iter().copied());
            }
        }
        ExprKind::Subquery { kind, rel, column, correlated } => {
            let mut inner = Frame::default();
            correlate(rel, Some(&mut inner));
            if !matches!(kind, SubqueryKind::Exists) {
                inner.used.insert(*column);
            }
            let mut outer: Vec<ColumnId> = inner.used.difference(&inner.made).copied().collect();
            outer.sort();
            if let Some(frame) = frame.as_deref_mut() {
                frame.used.extend(outer.iter().copied());
            }
            *correlated = outer;
        }
        _ => {}
    }
    children_mut(expr, &mut |child| correlate_expr(child, frame.as_deref_mut()));
}

/// The ids that a node itself brings into being.
pub(super) fn made_by(rel: &Rel, note: &mut dyn FnMut(ColumnId)) {
    match rel {
        Rel::Scan { columns, row_id, .. } => {
            columns.iter().for_each(|(id, _)| note(*id));
            row_id.iter().for_each(|id| note(*id));
        }
        Rel::Values { columns, .. } | Rel::CteRef { columns, .. } | Rel::SetOperation { columns, .. } => {
            columns.iter().for_each(|id| note(*id));
        }
        Rel::Compute { columns, .. } => columns.iter().for_each(|(id, _)| note(*id)),
        Rel::Unnest { arrays, offset, .. } => {
            arrays.iter().for_each(|(id, _)| note(*id));
            offset.iter().for_each(|id| note(*id));
        }
        Rel::Aggregate { keys, calls, grouping, .. } => {
            keys.iter().for_each(|(id, _)| note(*id));
            calls.iter().for_each(|(id, _)| note(*id));
            grouping.iter().for_each(|(id, _)| note(*id));
        }
        Rel::Window { groups, .. } => {
            groups.iter().flat_map(|group| &group.calls).for_each(|(id, _)| note(*id));
        }
        Rel::SingleRow
        | Rel::Filter { .. }
        | Rel::Project { .. }
        | Rel::Join { .. }
        | Rel::Distinct { .. }
        | Rel::Sort { .. }
        | Rel::Limit { .. }
        | Rel::With { .. }
        | Rel::Sample { .. } => {}
    }
}

/// Every table that demands a partition filter must have one: a conjunct over its partitioning column and constants.
fn check_filters(conjuncts: &[Expr], filters: &[RequiredFilter]) -> Result<()> {
    for required in filters {
        let filtered = conjuncts.iter().any(|conjunct| restricts(conjunct, &required.ids));
        if !filtered {
            let path = required.table.path();
            let mut columns = vec![required.column.clone()];
            let has =
                |name: &str| required.table.pseudo_columns().iter().any(|def| def.name.eq_ignore_ascii_case(name));
            if required.column.eq_ignore_ascii_case("_PARTITIONTIME") && has("_PARTITIONDATE") {
                columns.push("_PARTITIONDATE".to_owned());
            }
            let columns = columns.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            return Err(SqlError::partition_filter(format!(
                "Cannot query over table '{}.{}.{}' without a filter over column(s) {columns} that can be used for \
                 partition elimination",
                path.project, path.dataset, path.table
            )));
        }
    }
    Ok(())
}

fn collect_filters(rel: &mut Rel, out: &mut Vec<Expr>) {
    match rel {
        Rel::Filter { predicate, .. } => out.push(predicate.clone()),
        Rel::Join { on: Some(on), .. } => out.push(on.clone()),
        _ => {}
    }
    inputs_mut(rel, &mut |input| collect_filters(input, out));
    let mut inner: Vec<Expr> = Vec::new();
    rel_exprs_mut(rel, &mut |expr| {
        let mut stack = vec![expr];
        while let Some(expr) = stack.pop() {
            if let ExprKind::Subquery { rel, .. } = &mut expr.kind {
                collect_filters(rel, &mut inner);
            }
            children_mut(expr, &mut |child| stack.push(child));
        }
    });
    out.append(&mut inner);
}

/// Whether the condition limits one of the columns by itself, that is against constants.
fn restricts(condition: &Expr, ids: &[ColumnId]) -> bool {
    match &condition.kind {
        ExprKind::And(items) => items.iter().any(|item| restricts(item, ids)),
        ExprKind::Or(items) => items.iter().all(|item| restricts(item, ids)),
        ExprKind::Let { bindings, body } => {
            // BETWEEN and IN over an expression of the column.
            let mut bound: Vec<ColumnId> = ids.to_vec();
            bound.extend(bindings.iter().filter(|(_, value)| restricts_value(value, ids)).map(|(id, _)| *id));
            restricts(body, &bound)
        }
        ExprKind::Subquery { kind: SubqueryKind::In { expr, negated: false }, .. } => restricts_value(expr, ids),
        ExprKind::Call { args, .. } => {
            args.iter().any(|arg| restricts_value(arg, ids))
                && args.iter().all(|arg| restricts_value(arg, ids) || !reads_columns(arg))
        }
        _ => false,
    }
}

/// An expression of the columns and constants only.
fn restricts_value(expr: &Expr, ids: &[ColumnId]) -> bool {
    let mut found = false;
    let mut only = true;
    any(expr, &mut |part| {
        if let ExprKind::Column(id) = &part.kind {
            if ids.contains(id) {
                found = true;
            } else {
                only = false;
            }
        }
        false
    });
    found && only
}

fn reads_columns(expr: &Expr) -> bool {
    if let ExprKind::Column(_) = expr.kind {
        return true;
    }
    let mut found = false;
    children(expr, &mut |child| found = found || reads_columns(child));
    found
}
