//! GROUP BY: its keys and sets, and the rule that what stands above reads only keys and aggregates.

use std::collections::HashMap;
use std::ops::Range;

use crate::ast::{self, ExprKind as A, GroupBy, GroupItem};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{ColumnId, Expr, ExprKind};

use super::aggregate::{groupable, kind_name};
use super::query::{ordinal, ordinal_item};
use super::scope::{NameList, Scope, Target};
use super::select::Item;
use super::visit::{any, children_mut, is_constant, same, walk_rel_exprs_mut};
use super::{Analyzer, Calls, Cx, column};

/// More grouping sets than this are refused, as BigQuery does.
const MAX_SETS: usize = 4096;

#[derive(Default)]
pub(super) struct Grouping {
    pub keys: Vec<(ColumnId, Expr)>,
    pub sets: Option<Vec<Vec<usize>>>,
    /// Select items that are keys themselves, by ordinal, alias or GROUP BY ALL: `(item, key)`.
    pub items: Vec<(usize, usize)>,
}

impl Analyzer<'_> {
    pub(super) fn group_by(
        &self,
        group_by: &GroupBy,
        items: &[Item],
        aliases: &NameList,
        scope: &Scope,
        calls: &Calls,
    ) -> Result<Grouping> {
        let mut keys = Keys { analyzer: self, items, aliases, scope, calls, keys: Vec::new(), chosen: Vec::new() };
        match group_by {
            GroupBy::All(pos) => {
                for (index, item) in items.iter().enumerate() {
                    if keys.is_computed(&item.expr) || is_constant(&item.expr) {
                        continue;
                    }
                    if !any(&item.expr, &mut |expr| {
                        matches!(expr.kind, ExprKind::Column(_) | ExprKind::Subquery { .. })
                    }) {
                        continue;
                    }
                    let key = keys.add(item.expr.clone(), *pos)?;
                    keys.chosen.push((index, key));
                }
                Ok(Grouping { keys: keys.keys, sets: None, items: keys.chosen })
            }
            GroupBy::Items(group_items) => {
                let plain = group_items.iter().all(|item| matches!(item, GroupItem::Expr { .. }));
                if plain {
                    for item in group_items {
                        if let GroupItem::Expr { expr, alias, .. } = item {
                            if let Some(alias) = alias {
                                let text = "GROUP BY items may only have aliases in pipe AGGREGATE";
                                return Err(SqlError::analysis(text).at(alias.pos));
                            }
                            keys.item(expr)?;
                        }
                    }
                    return Ok(Grouping { keys: keys.keys, sets: None, items: keys.chosen });
                }
                if let [GroupItem::Empty(_)] = group_items.as_slice() {
                    return Ok(Grouping::default());
                }
                // The product of what the items stand for.
                let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
                for item in group_items {
                    let choices = keys.sets(item, 0)?;
                    let mut product = Vec::with_capacity(sets.len() * choices.len());
                    for set in &sets {
                        for choice in &choices {
                            let mut merged = set.clone();
                            for key in choice {
                                if !merged.contains(key) {
                                    merged.push(*key);
                                }
                            }
                            product.push(merged);
                        }
                    }
                    if product.len() > MAX_SETS {
                        let text = format!(
                            "At most {MAX_SETS} grouping sets are allowed, but {} were provided",
                            product.len()
                        );
                        return Err(SqlError::analysis(text).at(item_pos(item)));
                    }
                    sets = product;
                }
                Ok(Grouping { keys: keys.keys, sets: Some(sets), items: keys.chosen })
            }
        }
    }
}

fn item_pos(item: &GroupItem) -> Pos {
    match item {
        GroupItem::Expr { expr, .. } => expr.pos,
        GroupItem::Empty(pos)
        | GroupItem::Rollup(_, pos)
        | GroupItem::Cube(_, pos)
        | GroupItem::GroupingSets(_, pos)
        | GroupItem::Set(_, pos) => *pos,
    }
}

struct Keys<'k, 'a> {
    analyzer: &'k Analyzer<'a>,
    items: &'k [Item],
    aliases: &'k NameList,
    scope: &'k Scope<'k>,
    calls: &'k Calls<'k>,
    keys: Vec<(ColumnId, Expr)>,
    chosen: Vec<(usize, usize)>,
}

impl Keys<'_, '_> {
    /// The key for one expression: an ordinal, an alias, or anything over the FROM clause.
    fn item(&mut self, expr: &ast::Expr) -> Result<usize> {
        let pos = expr.pos;
        if let Some(number) = ordinal(expr) {
            let item = ordinal_item(number, self.items, "GROUP BY", pos)?;
            self.no_calls(&item.expr, &number.to_string(), pos)?;
            let key = self.add(item.expr.clone(), pos)?;
            self.chosen.push((number as usize - 1, key));
            return Ok(key);
        }
        if matches!(expr.kind, A::String(_) | A::Float(_) | A::Bool(_) | A::Null | A::Bytes(_)) {
            return Err(SqlError::analysis("Cannot GROUP BY literal values").at(pos));
        }
        let (base, fields) = super::path::flatten(expr);
        if let A::Name(name) = &base.kind {
            match self.aliases.find(&name.name) {
                Some(Target::Expr(found)) => {
                    let mut value = (**found).clone();
                    // A path that begins with a range variable of that name means the range variable.
                    let is_range = !fields.is_empty() && matches!(self.scope.find(&name.name), Some(Target::Range(_)));
                    if !is_range {
                        self.no_calls(&value, &name.name, pos)?;
                        if fields.is_empty() {
                            let named = |item: &Item| {
                                item.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(&name.name))
                            };
                            let index = self.items.iter().position(named);
                            let key = self.add(value, pos)?;
                            self.chosen.extend(index.map(|index| (index, key)));
                            return Ok(key);
                        }
                        for field in fields {
                            value = self.analyzer.field(value, field)?;
                        }
                        return self.add(value, pos);
                    }
                }
                Some(Target::Ambiguous) if fields.is_empty() => {
                    let text = format!(
                        "Name {} in GROUP BY clause is ambiguous; it may refer to multiple columns in the SELECT-list",
                        name.name
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
                _ => {}
            }
        }
        let cx = Cx::plain(self.scope, "GROUP BY clause");
        let resolved = self.analyzer.expr(expr, &cx)?;
        self.add(resolved, pos)
    }

    fn is_computed(&self, expr: &Expr) -> bool {
        let aggregates = self.calls.aggregates.borrow();
        let windows = self.calls.windows.borrow();
        let grouping = self.calls.grouping.borrow();
        any(expr, &mut |expr| match expr.kind {
            ExprKind::Column(id) => {
                aggregates.iter().any(|(known, _)| *known == id)
                    || windows.iter().any(|pending| pending.id == id)
                    || grouping.iter().any(|(known, _)| *known == id)
            }
            _ => false,
        })
    }

    fn no_calls(&self, expr: &Expr, name: &str, pos: Pos) -> Result<()> {
        let of = |what: &str| {
            let text = format!("Column {name} contains {what}, which is not allowed in GROUP BY");
            Err(SqlError::analysis(text).at(pos))
        };
        let aggregates = self.calls.aggregates.borrow();
        if any(
            expr,
            &mut |expr| matches!(expr.kind, ExprKind::Column(id) if aggregates.iter().any(|(known, _)| *known == id)),
        ) {
            return of("an aggregation function");
        }
        let windows = self.calls.windows.borrow();
        if any(
            expr,
            &mut |expr| matches!(expr.kind, ExprKind::Column(id) if windows.iter().any(|pending| pending.id == id)),
        ) {
            return of("an analytic function");
        }
        Ok(())
    }

    fn add(&mut self, expr: Expr, pos: Pos) -> Result<usize> {
        if !groupable(&expr.ty) {
            let text = format!("Grouping by expressions of type {} is not allowed", kind_name(&expr.ty));
            return Err(SqlError::analysis(text).at(pos));
        }
        if let Some(index) = self.keys.iter().position(|(_, key)| same(key, &expr)) {
            return Ok(index);
        }
        let id = self.analyzer.new_column();
        self.keys.push((id, expr));
        Ok(self.keys.len() - 1)
    }

    fn group(&mut self, exprs: &[ast::Expr]) -> Result<Vec<usize>> {
        exprs.iter().map(|expr| self.item(expr)).collect()
    }

    /// The sets of keys that an item of GROUP BY stands for.
    fn sets(&mut self, item: &GroupItem, depth: usize) -> Result<Vec<Vec<usize>>> {
        if depth > 8 {
            return Err(SqlError::analysis("GROUPING SETS are nested too deeply").at(item_pos(item)));
        }
        Ok(match item {
            GroupItem::Expr { expr, .. } => vec![vec![self.item(expr)?]],
            GroupItem::Empty(_) => vec![Vec::new()],
            GroupItem::Set(exprs, _) => vec![self.group(exprs)?],
            GroupItem::Rollup(groups, _) => {
                let groups = groups.iter().map(|group| self.group(group)).collect::<Result<Vec<_>>>()?;
                (0..=groups.len()).rev().map(|count| groups[..count].concat()).collect()
            }
            GroupItem::Cube(groups, pos) => {
                let groups = groups.iter().map(|group| self.group(group)).collect::<Result<Vec<_>>>()?;
                if groups.len() > 12 {
                    let text = "CUBE can not have more than 12 elements";
                    return Err(SqlError::analysis(text).at(*pos));
                }
                (0..1usize << groups.len())
                    .rev()
                    .map(|mask| {
                        groups
                            .iter()
                            .enumerate()
                            .filter(|(index, _)| mask >> (groups.len() - 1 - index) & 1 == 1)
                            .flat_map(|(_, group)| group.iter().copied())
                            .collect()
                    })
                    .collect()
            }
            GroupItem::GroupingSets(items, _) => {
                let mut all = Vec::new();
                for item in items {
                    all.extend(self.sets(item, depth + 1)?);
                }
                all
            }
        })
    }
}

fn reads_column(expr: &Expr) -> bool {
    any(expr, &mut |part| matches!(part.kind, ExprKind::Column(_)))
}

/// Rewrites what stands above the grouping: keys become the key columns, other columns of the FROM clause are errors.
pub(super) struct Regroup<'g, 'a> {
    analyzer: &'g Analyzer<'a>,
    plain: HashMap<ColumnId, ColumnId>,
    complex: Vec<(Expr, ColumnId)>,
    below: Range<u32>,
    names: &'g NameList,
}

impl<'g, 'a> Regroup<'g, 'a> {
    /// `below` are the ids that the grouping's input may have made.
    pub fn new(
        analyzer: &'g Analyzer<'a>,
        keys: &[(ColumnId, Expr)],
        below: Range<u32>,
        names: &'g NameList,
    ) -> Regroup<'g, 'a> {
        let mut plain = HashMap::new();
        let mut complex = Vec::new();
        for (id, key) in keys {
            match key.kind {
                ExprKind::Column(column) => {
                    plain.insert(column, *id);
                }
                _ => complex.push((key.clone(), *id)),
            }
        }
        Regroup { analyzer, plain, complex, below, names }
    }

    /// Whether all columns that it reads are keys themselves: such an expression is computed from them, which
    /// differs from a key of its own where a grouping set leaves one out.
    fn readable(&self, expr: &Expr) -> bool {
        !any(
            expr,
            &mut |part| matches!(part.kind, ExprKind::Column(id) if self.below.contains(&id.0) && !self.plain.contains_key(&id)),
        )
    }

    /// `clause` names the place in the error.
    pub fn rewrite(&self, expr: &mut Expr, clause: &str) -> Result<()> {
        if let ExprKind::Column(id) = &expr.kind {
            if let Some(key) = self.plain.get(id) {
                expr.kind = ExprKind::Column(*key);
                return Ok(());
            }
            if self.below.contains(&id.0) {
                let spelled = self.analyzer.spelling(expr.pos, self.names, expr);
                let text = format!("{clause} expression references {spelled} which is neither grouped nor aggregated");
                return Err(SqlError::analysis(text).at(expr.pos));
            }
            return Ok(());
        }
        let matched =
            self.complex.iter().find(|(key, _)| same(key, expr) && !(reads_column(expr) && self.readable(expr)));
        if let Some((key, id)) = matched {
            *expr = column(*id, key.ty.clone(), expr.pos);
            return Ok(());
        }
        let mut result = Ok(());
        children_mut(expr, &mut |child| {
            if result.is_ok() {
                result = self.rewrite(child, clause);
            }
        });
        if let ExprKind::Subquery { rel, .. } = &mut expr.kind {
            walk_rel_exprs_mut(rel, &mut |inner| {
                if result.is_err() {
                    return false;
                }
                // Inside a subquery only references to the outer query matter.
                match &inner.kind {
                    ExprKind::Column(_) => {
                        result = self.rewrite(inner, clause);
                        false
                    }
                    _ => {
                        if let Some((key, id)) = self.complex.iter().find(|(key, _)| same(key, inner)) {
                            *inner = column(*id, key.ty.clone(), inner.pos);
                            return false;
                        }
                        true
                    }
                }
            });
        }
        result
    }
}
