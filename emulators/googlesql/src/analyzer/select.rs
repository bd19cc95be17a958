//! SELECT: its list, and the order in which its clauses are resolved and run.

use std::rc::Rc;

use crate::ast::{self, ExprKind as A, SelectAs, SelectItem};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{ColumnId, Expr, ExprKind, OutputColumn, Query, Rel, SortKey};
use crate::types::Type;

use super::aggregate::{groupable, kind_name};
use super::group::Regroup;
use super::path::struct_field;
use super::query::{alias_names, ordinal, ordinal_item};
use super::scope::{NameList, NamedColumn, RangeVariable, Scope, Target};
use super::visit::same;
use super::window::with_windows;
use super::{Analyzer, Calls, Cx, Inside, column};

/// What stands behind the body of a query.
#[derive(Clone, Copy)]
pub(super) struct Tail<'q> {
    pub order_by: &'q [ast::OrderItem],
    pub limit: Option<&'q ast::Expr>,
    pub offset: Option<&'q ast::Expr>,
}

impl Tail<'_> {
    pub fn none() -> Tail<'static> {
        Tail { order_by: &[], limit: None, offset: None }
    }
}

/// One column of the select list, stars opened.
#[derive(Clone)]
pub(super) struct Item {
    pub name: Option<String>,
    pub expr: Expr,
    /// As messages about grouping call the place.
    pub clause: &'static str,
    /// Where it is computed to; a plain column keeps its own id.
    pub out: Option<ColumnId>,
}

/// What stands before a SELECT list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    NoFrom,
    From,
    /// A pipe: aggregates have an operator of their own there.
    Pipe,
}

/// What a SELECT without FROM cannot have.
fn without_from(select: &ast::Select, tail: &Tail) -> Result<()> {
    let text = if select.distinct {
        return Err(SqlError::analysis("Query without FROM clause cannot use SELECT DISTINCT").at(select.pos));
    } else if select.filter.is_some() {
        "a WHERE"
    } else if select.group_by.is_some() {
        "a GROUP BY"
    } else if select.having.is_some() {
        "a HAVING"
    } else if !tail.order_by.is_empty() {
        "an ORDER BY"
    } else {
        return Ok(());
    };
    let text = format!("Query without FROM clause cannot have {text} clause");
    Err(SqlError::analysis(text).at(select.behind_from))
}

impl Analyzer<'_> {
    pub(super) fn select(&self, select: &ast::Select, tail: Tail, outer: Option<&Scope>) -> Result<Query> {
        if let Some(option) = &select.with_option {
            let text = format!("SELECT WITH {} is not supported", option.name.to_uppercase());
            return Err(SqlError::unsupported(text).at(option.pos));
        }
        let start = self.column_mark();
        let (rel, names) = match &select.from {
            Some(from) => self.from(from, outer)?,
            None => (Rel::SingleRow, NameList::default()),
        };
        if select.from.is_none() {
            without_from(select, &tail)?;
        }
        let origin = if select.from.is_some() { Origin::From } else { Origin::NoFrom };
        self.select_over(select, tail, rel, &names, start, outer, origin)
    }

    /// The select over a relation that is resolved already; `start` is the first id that the relation may have made.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn select_over(
        &self,
        select: &ast::Select,
        tail: Tail,
        mut rel: Rel,
        names: &NameList,
        start: u32,
        outer: Option<&Scope>,
        origin: Origin,
    ) -> Result<Query> {
        let has_from = origin != Origin::NoFrom;
        let scope = Scope::new(names, outer);
        let from_end = self.column_mark();
        if let Some(filter) = &select.filter {
            let predicate = self.condition(filter, &Cx::plain(&scope, "WHERE clause"), "WHERE clause")?;
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }

        // Everything is resolved against the FROM clause first, aggregate and window calls taken out.
        let calls = Calls::new(&select.windows);
        let cx = Cx {
            scope: &scope,
            input: &scope,
            clause: match origin {
                Origin::Pipe => "pipe SELECT",
                Origin::From => "SELECT list",
                Origin::NoFrom => "SELECT without FROM clause",
            },
            calls: Some(&calls),
            aggregates: origin == Origin::From,
            windows: origin != Origin::NoFrom,
            inside: Inside::Nothing,
        };
        let mut items = self.select_list(&select.items, names, &cx, has_from)?;
        for item in &mut items {
            // A column of an enclosing query is not one of this relation.
            let own = matches!(item.expr.kind, ExprKind::Column(id) if id.0 >= start);
            if !own {
                item.out = Some(self.new_column());
            }
        }

        let aliases = |used: bool, computed: bool| -> NameList {
            if !used {
                return NameList::default();
            }
            alias_names(items.iter().filter_map(|item| {
                let name = item.name.as_deref()?;
                let target = match item.out {
                    Some(id) if computed => Target::Column { id, ty: item.expr.ty.clone() },
                    _ => Target::Expr(Rc::new(item.expr.clone())),
                };
                Some((name, target))
            }))
        };

        let by_expr = aliases(select.having.is_some() || select.group_by.is_some(), false);
        let mut grouping = match &select.group_by {
            Some(group_by) => Some(self.group_by(group_by, &items, &by_expr, &scope, &calls)?),
            None => None,
        };
        let having = match &select.having {
            Some(having) => {
                let scope_with_aliases = Scope::new(&by_expr, Some(&scope));
                let cx = Cx { scope: &scope_with_aliases, clause: "HAVING clause", windows: false, ..cx };
                Some(self.condition(having, &cx, "HAVING clause")?)
            }
            None => None,
        };
        let first_windows = std::mem::take(&mut *calls.windows.borrow_mut());

        let by_id = aliases(select.qualify.is_some() || !tail.order_by.is_empty(), true);
        let scope_with_aliases = Scope::new(&by_id, Some(&scope));
        let qualify = match &select.qualify {
            Some(qualify) => {
                let cx = Cx { scope: &scope_with_aliases, clause: "QUALIFY clause", ..cx };
                let resolved = self.condition(qualify, &cx, "QUALIFY clause")?;
                if first_windows.is_empty() && calls.windows.borrow().is_empty() {
                    let text = "The QUALIFY clause requires analytic function to be present";
                    return Err(SqlError::analysis(text).at(qualify.pos));
                }
                Some(resolved)
            }
            None => None,
        };

        let mut order_by: Vec<SortKey> = Vec::with_capacity(tail.order_by.len());
        for item in tail.order_by {
            let expr = match ordinal(&item.expr) {
                Some(number) => {
                    let found = ordinal_item(number, &items, "ORDER BY", item.expr.pos)?;
                    match found.out {
                        Some(id) => column(id, found.expr.ty.clone(), item.expr.pos),
                        None => Expr { pos: item.expr.pos, ..found.expr.clone() },
                    }
                }
                None => {
                    super::query::no_literal(&item.expr)?;
                    let cx = Cx { scope: &scope_with_aliases, clause: "ORDER BY clause", ..cx };
                    self.expr(&item.expr, &cx)?
                }
            };
            order_by.push(self.ordering(item, expr)?);
        }
        let mut later_windows = std::mem::take(&mut *calls.windows.borrow_mut());
        let mut first_windows = first_windows;
        let aggregates = std::mem::take(&mut *calls.aggregates.borrow_mut());

        // GROUP BY: what stands above it may only read keys and aggregates.
        let grouped = grouping.is_some() || !aggregates.is_empty() || !calls.grouping.borrow().is_empty();
        if !grouped && let Some(having) = &select.having {
            let text = "The HAVING clause requires GROUP BY or aggregation to be present";
            return Err(SqlError::analysis(text).at(having.pos));
        }
        let mut having = having;
        let mut qualify = qualify;
        if grouped {
            let grouping = grouping.take().unwrap_or_default();
            let mut marks = Vec::new();
            for (id, expr) in calls.grouping.borrow().iter() {
                // In ORDER BY the argument may be a select alias.
                let aliased =
                    items.iter().find(|item| matches!(expr.kind, ExprKind::Column(known) if item.out == Some(known)));
                let expr = aliased.map_or(expr, |item| &item.expr);
                match grouping.keys.iter().position(|(_, key)| same(key, expr)) {
                    Some(index) => marks.push((*id, index)),
                    None => {
                        let text = "GROUPING must have an argument that exists within the group-by expression list";
                        return Err(SqlError::analysis(text).at(expr.pos));
                    }
                }
            }
            for (item, key) in &grouping.items {
                if let (Some(item), Some((id, key))) = (items.get_mut(*item), grouping.keys.get(*key)) {
                    item.expr = column(*id, key.ty.clone(), item.expr.pos);
                }
            }
            let regroup = Regroup::new(self, &grouping.keys, start..from_end, names);
            for item in &mut items {
                regroup.rewrite(&mut item.expr, item.clause)?;
            }
            if let Some(having) = &mut having {
                regroup.rewrite(having, "HAVING clause")?;
            }
            if let Some(qualify) = &mut qualify {
                regroup.rewrite(qualify, "QUALIFY clause")?;
            }
            for key in &mut order_by {
                regroup.rewrite(&mut key.expr, "ORDER BY clause")?;
            }
            for pending in first_windows.iter_mut().chain(&mut later_windows) {
                for expr in &mut pending.partition_by {
                    regroup.rewrite(expr, "PARTITION BY")?;
                }
                for key in &mut pending.order_by {
                    regroup.rewrite(&mut key.expr, "Analytic ORDER BY")?;
                }
                let mut result = Ok(());
                super::visit::window_exprs_mut(&mut pending.call, &mut |expr| {
                    if result.is_ok() {
                        result = regroup.rewrite(expr, "SELECT list");
                    }
                });
                result?;
            }
            rel = Rel::Aggregate {
                input: Box::new(rel),
                keys: grouping.keys,
                sets: grouping.sets,
                grouping: marks,
                calls: aggregates,
            };
        }
        if let Some(predicate) = having {
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }
        rel = with_windows(rel, first_windows);

        // The list itself.
        let mut outs: Vec<ColumnId> = Vec::with_capacity(items.len());
        let mut computed: Vec<(ColumnId, Expr)> = Vec::new();
        for item in &items {
            match (item.out, &item.expr.kind) {
                (Some(id), _) => {
                    computed.push((id, item.expr.clone()));
                    outs.push(id);
                }
                (None, ExprKind::Column(id)) => outs.push(*id),
                (None, _) => return Err(SqlError::internal("an uncomputed select item")),
            }
        }
        if !computed.is_empty() {
            rel = Rel::Compute { input: Box::new(rel), columns: computed };
        }
        rel = with_windows(rel, later_windows);
        if let Some(predicate) = qualify {
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }

        // SELECT AS STRUCT and AS VALUE make one column of it; DISTINCT and ORDER BY come after.
        let mut columns: Vec<OutputColumn> = items
            .iter()
            .zip(&outs)
            .map(|(item, id)| OutputColumn { name: item.name.clone(), id: *id, ty: item.expr.ty.clone() })
            .collect();
        let mut value_table = false;
        match select.as_value {
            Some(SelectAs::Struct) => {
                let fields = columns
                    .iter()
                    .map(|out| (out.name.clone().unwrap_or_default(), column(out.id, out.ty.clone(), select.pos)))
                    .collect();
                let whole = super::expr::make_struct(fields, select.pos);
                let id = self.new_column();
                columns = vec![OutputColumn { name: None, id, ty: whole.ty.clone() }];
                rel = Rel::Compute { input: Box::new(rel), columns: vec![(id, whole)] };
                value_table = true;
            }
            Some(SelectAs::Value) => {
                if columns.len() != 1 {
                    let text = "SELECT AS VALUE query must have exactly one column";
                    return Err(SqlError::analysis(text).at(select.pos));
                }
                columns[0].name = None;
                value_table = true;
            }
            None => {}
        }
        if select.distinct {
            for (out, item) in columns.iter().zip(&items) {
                if !groupable(&out.ty) {
                    let text = format!(
                        "Column {} of type {} cannot be used in SELECT DISTINCT",
                        out.name.as_deref().unwrap_or("f0_"),
                        kind_name(&out.ty)
                    );
                    return Err(SqlError::analysis(text).at(item.expr.pos));
                }
            }
            for key in &mut order_by {
                let found = items.iter().zip(&outs).find(|(item, id)| {
                    matches!(key.expr.kind, ExprKind::Column(known) if known == **id) || same(&item.expr, &key.expr)
                });
                match found {
                    Some((item, id)) => key.expr = column(*id, item.expr.ty.clone(), key.expr.pos),
                    None => {
                        let visible = |id: &ColumnId| columns.iter().any(|out| out.id == *id);
                        let hidden = super::visit::any(
                            &key.expr,
                            &mut |expr| matches!(&expr.kind, ExprKind::Column(id) if !visible(id)),
                        );
                        if hidden {
                            let spelled = self.spelling(key.expr.pos, names, &key.expr);
                            let text = format!(
                                "ORDER BY clause expression references {spelled} which is not visible after SELECT DISTINCT"
                            );
                            return Err(SqlError::analysis(text).at(key.expr.pos));
                        }
                    }
                }
            }
            let mut distinct: Vec<ColumnId> = columns.iter().map(|out| out.id).collect();
            if value_table {
                // The keys are computed from the struct's fields, which are its columns still.
                distinct.extend(order_by.iter().filter_map(|key| match key.expr.kind {
                    ExprKind::Column(id) => Some(id),
                    _ => None,
                }));
            }
            distinct.sort();
            distinct.dedup();
            rel = Rel::Distinct { input: Box::new(rel), columns: distinct };
        }
        if !order_by.is_empty() {
            rel = Rel::Sort { input: Box::new(rel), keys: order_by };
        }
        rel = self.limited(rel, tail)?;
        Ok(Query { rel, columns, value_table })
    }

    /// How a column reference was written, for messages.
    pub(super) fn spelling(&self, pos: Pos, names: &NameList, expr: &Expr) -> String {
        if let Some(spelled) = self.spelled.borrow().get(&pos) {
            return spelled.clone();
        }
        let mut found = None;
        super::visit::any(expr, &mut |expr| {
            if let ExprKind::Column(id) = expr.kind {
                found = names
                    .columns
                    .iter()
                    .find(|named| named.id == id && !named.name.is_empty())
                    .map(|named| named.name.to_string())
                    .or_else(|| {
                        let pseudo = names
                            .extra
                            .iter()
                            .find(|(_, target)| matches!(target, Target::Column { id: known, .. } if *known == id));
                        pseudo.map(|(name, _)| name.to_string())
                    });
            }
            found.is_some()
        });
        format!("column {}", found.unwrap_or_default())
    }

    pub(super) fn select_list(
        &self,
        list: &[SelectItem],
        names: &NameList,
        cx: &Cx,
        has_from: bool,
    ) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::with_capacity(list.len());
        for item in list {
            match item {
                SelectItem::Expr { expr, alias } => {
                    let resolved = self.expr(expr, cx)?;
                    let name = match alias {
                        Some(alias) => Some(alias.name.clone()),
                        // CURRENT_DATE without parentheses is a call, which gives no name.
                        None if matches!(&resolved.kind, ExprKind::Call { function, .. } if function.name.starts_with("current_")) => {
                            None
                        }
                        None => super::path::implied_name(expr),
                    };
                    items.push(Item { name, expr: resolved, clause: "SELECT list", out: None });
                }
                SelectItem::Star { modifiers, pos } => {
                    if !has_from {
                        return Err(SqlError::analysis("SELECT * must have a FROM clause").at(*pos));
                    }
                    let fields = star_columns(&names.columns, *pos);
                    if fields.is_empty() && modifiers.except.is_empty() {
                        return Err(SqlError::analysis("SELECT * would expand to zero columns").at(*pos));
                    }
                    self.starred(fields, modifiers, "SELECT *", *pos, cx, &mut items)?;
                }
                SelectItem::DotStar { expr, modifiers, pos } => {
                    let fields = self.dot_star(expr, cx, *pos)?;
                    self.starred(fields, modifiers, "dot-star", *pos, cx, &mut items)?;
                }
            }
        }
        Ok(items)
    }

    fn dot_star(&self, expr: &ast::Expr, cx: &Cx, pos: Pos) -> Result<Vec<(String, Expr)>> {
        if let A::Name(name) = &expr.kind
            && let Some(Target::Range(range)) = cx.scope.find(&name.name)
            && let RangeVariable::Row(row) = &**range
        {
            return Ok(star_columns(&row.columns, expr.pos));
        }
        let value = self.expr(expr, cx)?;
        match &value.ty {
            Type::Struct(fields) => {
                if fields.fields.is_empty() {
                    let text = "Dot-star is not supported for a STRUCT without fields";
                    return Err(SqlError::analysis(text).at(pos));
                }
                Ok(fields
                    .fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| (field.name.clone(), struct_field(value.clone(), index)))
                    .collect())
            }
            ty => Err(SqlError::analysis(format!("Dot-star is not supported for type {ty}")).at(pos)),
        }
    }

    fn starred(
        &self,
        fields: Vec<(String, Expr)>,
        modifiers: &ast::StarModifiers,
        what: &str,
        pos: Pos,
        cx: &Cx,
        items: &mut Vec<Item>,
    ) -> Result<()> {
        let mut seen: Vec<String> = Vec::new();
        for name in &modifiers.except {
            let lower = name.name.to_lowercase();
            if seen.contains(&lower) {
                let text = format!("Duplicate column name {} in SELECT * EXCEPT list", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            if !fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name.name)) {
                let text = format!("Column {} in SELECT * EXCEPT list does not exist", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            seen.push(lower);
        }
        let mut replaced: Vec<(&ast::Ident, Expr)> = Vec::with_capacity(modifiers.replace.len());
        for (expr, name) in &modifiers.replace {
            if !fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name.name)) {
                let text = format!("Column {} in SELECT * REPLACE list does not exist", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            if seen.contains(&name.name.to_lowercase()) {
                let text = format!("Column {} cannot occur in both SELECT * EXCEPT and REPLACE", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            if replaced.iter().any(|(known, _)| known.name.eq_ignore_ascii_case(&name.name)) {
                let text = format!("Duplicate column name {} in SELECT * REPLACE list", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            replaced.push((name, self.expr(expr, cx)?));
        }
        let before = items.len();
        for (name, expr) in fields {
            if seen.contains(&name.to_lowercase()) && !name.is_empty() {
                continue;
            }
            let replacement = replaced.iter().find(|(wanted, _)| wanted.name.eq_ignore_ascii_case(&name));
            let (expr, clause) = match replacement {
                Some((_, expr)) => (expr.clone(), "SELECT list"),
                None => (Expr { pos, ..expr }, "Star expansion"),
            };
            items.push(Item { name: (!name.is_empty()).then_some(name), expr, clause, out: None });
        }
        if items.len() == before {
            let text = format!("{what} expands to zero columns after applying EXCEPT");
            return Err(SqlError::analysis(text.replace("dot-star", "SELECT *")).at(pos));
        }
        Ok(())
    }
}

/// What `*` makes of columns: a value table's struct is opened.
pub(super) fn star_columns(columns: &[NamedColumn], pos: Pos) -> Vec<(String, Expr)> {
    let mut out = Vec::with_capacity(columns.len());
    for named in columns {
        let whole = column(named.id, named.ty.clone(), pos);
        match &named.ty {
            Type::Struct(fields) if named.value => {
                for (index, field) in fields.fields.iter().enumerate() {
                    out.push((field.name.clone(), struct_field(whole.clone(), index)));
                }
            }
            _ => out.push((named.name.to_string(), whole)),
        }
    }
    out
}
