//! Pipe syntax: `FROM t |> WHERE … |> AGGREGATE …`. Each operator takes rows and names and gives rows and names.

use std::rc::Rc;

use crate::ast::{self, GroupBy, PipeKind, QueryBody, SelectItem};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{ColumnId, Expr, ExprKind, Query, Rel, SortKey};

use super::from::{Source, aliased};
use super::group::{Grouping, Regroup};
use super::query::names_of;
use super::scope::{NameList, NamedColumn, Scope, Target};
use super::select::{Item, Origin, Tail};
use super::window::with_windows;
use super::{Analyzer, Calls, Cx, Inside};

/// What flows through the pipe.
struct Flow {
    rel: Rel,
    names: NameList,
}

impl Analyzer<'_> {
    pub(super) fn pipes(&self, query: &ast::Query, tail: Tail, start: u32, outer: Option<&Scope>) -> Result<Query> {
        let (rel, names) = match &query.body {
            QueryBody::From(table) if tail.order_by.is_empty() && tail.limit.is_none() => self.from(table, outer)?,
            body => {
                let query = self.body(body, tail, outer)?;
                let names = names_of(&query.columns, query.value_table);
                (query.rel, names)
            }
        };
        let mut flow = Flow { rel, names };
        let mut ctes = Vec::new();
        for pipe in &query.pipes {
            let _deeper = self.deeper(pipe.pos)?;
            if let PipeKind::With(tables) = &pipe.kind {
                ctes.extend(self.common_tables(tables, false, outer, pipe.pos)?);
                continue;
            }
            flow = self.pipe(flow, &pipe.kind, pipe.pos, start, outer)?;
        }
        let mut query = self.query_of(flow.rel, &flow.names);
        if !ctes.is_empty() {
            query.rel = Rel::With { ctes, body: Box::new(query.rel) };
        }
        Ok(query)
    }

    fn pipe(&self, flow: Flow, kind: &PipeKind, pos: Pos, start: u32, outer: Option<&Scope>) -> Result<Flow> {
        let Flow { rel, names } = flow;
        let scope = Scope::new(&names, outer);
        match kind {
            PipeKind::Select(select) => {
                let query = self.select_over(select, Tail::none(), rel, &names, start, outer, Origin::Pipe)?;
                Ok(Flow { names: names_of(&query.columns, query.value_table), rel: query.rel })
            }
            PipeKind::Extend { items, windows } => self.extend(rel, &names, items, windows, outer),
            PipeKind::Window { items } => self.extend(rel, &names, items, &[], outer),
            PipeKind::Set(items) => self.set_columns(rel, &names, items, outer),
            PipeKind::Drop(dropped) => {
                let mut columns = names.columns.clone();
                for name in dropped {
                    let before = columns.len();
                    columns.retain(|named| !named.name.eq_ignore_ascii_case(&name.name));
                    if columns.len() == before {
                        let text = format!("Column {} in pipe DROP does not exist", name.name);
                        return Err(SqlError::analysis(text).at(name.pos));
                    }
                }
                if columns.is_empty() {
                    return Err(SqlError::analysis("Pipe DROP would remove all columns").at(pos));
                }
                Ok(Flow { names: regrouped(columns, &names), rel })
            }
            PipeKind::Rename(items) => {
                let mut columns = names.columns.clone();
                for (from, to) in items {
                    let mut found = 0;
                    for named in columns.iter_mut().filter(|named| named.name.eq_ignore_ascii_case(&from.name)) {
                        named.name = Rc::from(to.name.as_str());
                        found += 1;
                    }
                    if found != 1 {
                        let why = if found == 0 { "does not exist" } else { "is ambiguous" };
                        let text = format!("Column {} in pipe RENAME {why}", from.name);
                        return Err(SqlError::analysis(text).at(from.pos));
                    }
                }
                Ok(Flow { names: regrouped(columns, &names), rel })
            }
            PipeKind::As(alias) => {
                let mut columns = names.columns;
                if columns.len() > 1 {
                    // Beside others a value is a column like them.
                    columns.iter_mut().filter(|named| named.value && !named.name.is_empty()).for_each(|named| {
                        named.value = false;
                        named.hidden_from_names = false;
                    });
                }
                let columns = NameList::of_columns(columns);
                Ok(Flow { names: aliased(columns, Some(alias)), rel })
            }
            PipeKind::Where(condition) => {
                let predicate = self.condition(condition, &Cx::plain(&scope, "pipe WHERE"), "WHERE clause")?;
                Ok(Flow { rel: Rel::Filter { input: Box::new(rel), predicate }, names })
            }
            PipeKind::Qualify(condition) => {
                let calls = Calls::new(&[]);
                let cx = Cx { calls: Some(&calls), windows: true, ..Cx::plain(&scope, "QUALIFY clause") };
                let predicate = self.condition(condition, &cx, "QUALIFY clause")?;
                let rel = with_windows(rel, calls.windows.take());
                Ok(Flow { rel: Rel::Filter { input: Box::new(rel), predicate }, names })
            }
            PipeKind::Limit { limit, offset } => {
                let tail = Tail { order_by: &[], limit: Some(limit), offset: offset.as_ref() };
                Ok(Flow { rel: self.limited(rel, tail)?, names })
            }
            PipeKind::Aggregate { items, group_by, and_order } => {
                self.pipe_aggregate(rel, &names, items, group_by.as_ref(), *and_order, start, outer)
            }
            PipeKind::Distinct => {
                for named in &names.columns {
                    if !super::aggregate::groupable(&named.ty) {
                        let text = format!("Column {} of type {} cannot be used in DISTINCT", named.name, named.ty);
                        return Err(SqlError::analysis(text).at(pos));
                    }
                }
                let columns: Vec<ColumnId> = names.columns.iter().map(|named| named.id).collect();
                let names = names.only(&columns);
                Ok(Flow { rel: Rel::Distinct { input: Box::new(rel), columns }, names })
            }
            PipeKind::OrderBy(items) => {
                let calls = Calls::new(&[]);
                let cx = Cx { calls: Some(&calls), windows: true, ..Cx::plain(&scope, "pipe ORDER BY") };
                let mut keys: Vec<SortKey> = Vec::with_capacity(items.len());
                for item in items {
                    let expr = match super::query::ordinal(&item.expr) {
                        Some(number) => {
                            let named = super::query::ordinal_item(number, &names.columns, "ORDER BY", item.expr.pos)?;
                            super::column(named.id, named.ty.clone(), item.expr.pos)
                        }
                        None => {
                            super::query::no_literal(&item.expr)?;
                            self.expr(&item.expr, &cx)?
                        }
                    };
                    keys.push(self.ordering(item, expr)?);
                }
                let rel = with_windows(rel, calls.windows.take());
                Ok(Flow { rel: Rel::Sort { input: Box::new(rel), keys }, names })
            }
            PipeKind::Join(join) => {
                let middle = self.column_mark();
                let right = self.table_expr(&join.right, &names, outer)?;
                let named = super::from::alias_pos(&join.right);
                let (rel, names) =
                    self.joined(join.kind, (rel, names), right, &join.condition, start..middle, outer, pos, named)?;
                Ok(Flow { rel, names })
            }
            PipeKind::SetOperation { operator, queries } => {
                let mut all = vec![self.query_of(rel, &names)];
                for query in queries {
                    all.push(self.query(query, outer)?);
                }
                let query = self.set_node(operator, all)?;
                Ok(Flow { names: names_of(&query.columns, query.value_table), rel: query.rel })
            }
            PipeKind::Call { call, alias } => {
                let (rel, names) = self.pipe_call(rel, &names, call, outer)?;
                Ok(Flow { rel, names: aliased(names, alias.as_ref()) })
            }
            PipeKind::Pivot(pivot) => {
                let (rel, names) = self.pivot(rel, names, pivot, outer)?;
                Ok(Flow { rel, names })
            }
            PipeKind::Unpivot(unpivot) => {
                let (rel, names) = self.unpivot(rel, names, unpivot)?;
                Ok(Flow { rel, names })
            }
            PipeKind::TableSample { method, size, percent } => {
                Ok(Flow { rel: self.sample(rel, method, size, *percent, pos)?, names })
            }
            PipeKind::Assert { condition, message } => self.pipe_assert(rel, names, condition, message, outer, pos),
            PipeKind::With(_) => Ok(Flow { rel, names }),
        }
    }

    /// EXTEND: computed columns behind those that are there.
    fn extend(
        &self,
        rel: Rel,
        names: &NameList,
        items: &[SelectItem],
        windows: &[(ast::Ident, ast::WindowSpec)],
        outer: Option<&Scope>,
    ) -> Result<Flow> {
        let scope = Scope::new(names, outer);
        let calls = Calls::new(windows);
        let cx = Cx { calls: Some(&calls), windows: true, ..Cx::plain(&scope, "pipe EXTEND") };
        let items = self.select_list(items, names, &cx, true)?;
        let rel = with_windows(rel, calls.windows.take());
        let mut columns = names.columns.clone();
        let (rel, added) = self.placed(rel, items);
        columns.extend(added);
        let mut extended = NameList::of_columns(columns);
        extended.ranges = names.ranges.clone();
        extended.extra = names.extra.clone();
        Ok(Flow { rel, names: extended })
    }

    /// Computes items; plain columns keep their ids.
    fn placed(&self, rel: Rel, items: Vec<Item>) -> (Rel, Vec<NamedColumn>) {
        let mut computed: Vec<(ColumnId, Expr)> = Vec::new();
        let mut columns = Vec::with_capacity(items.len());
        for item in items {
            let ty = item.expr.ty.clone();
            let id = match item.expr.kind {
                ExprKind::Column(id) => id,
                _ => {
                    let id = self.new_column();
                    computed.push((id, item.expr));
                    id
                }
            };
            columns.push(NamedColumn::new(item.name.as_deref().unwrap_or(""), id, ty));
        }
        if computed.is_empty() {
            return (rel, columns);
        }
        (Rel::Compute { input: Box::new(rel), columns: computed }, columns)
    }

    fn set_columns(
        &self,
        rel: Rel,
        names: &NameList,
        items: &[(ast::Ident, ast::Expr)],
        outer: Option<&Scope>,
    ) -> Result<Flow> {
        let scope = Scope::new(names, outer);
        let calls = Calls::new(&[]);
        let cx = Cx { calls: Some(&calls), windows: true, ..Cx::plain(&scope, "pipe SET") };
        let mut computed = Vec::with_capacity(items.len());
        let mut columns = names.columns.clone();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in items {
            let matching = columns.iter().filter(|named| named.name.eq_ignore_ascii_case(&name.name)).count();
            if matching != 1 {
                let why = if matching == 0 { "does not exist" } else { "is ambiguous" };
                let text = format!("Column {} in pipe SET {why}", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            let lower = name.name.to_lowercase();
            if seen.contains(&lower) {
                let text = format!("Column {} is set more than once in pipe SET", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            seen.push(lower);
            let value = self.expr(value, &cx)?;
            let id = self.new_column();
            if let Some(named) = columns.iter_mut().find(|named| named.name.eq_ignore_ascii_case(&name.name)) {
                named.id = id;
                named.ty = value.ty.clone();
            }
            computed.push((id, value));
        }
        let rel = with_windows(rel, calls.windows.take());
        let rel = Rel::Compute { input: Box::new(rel), columns: computed };
        Ok(Flow { rel, names: regrouped(columns, names) })
    }

    #[allow(clippy::too_many_arguments)]
    fn pipe_aggregate(
        &self,
        rel: Rel,
        names: &NameList,
        items: &[(SelectItem, Option<ast::OrderItem>)],
        group_by: Option<&GroupBy>,
        and_order: bool,
        start: u32,
        outer: Option<&Scope>,
    ) -> Result<Flow> {
        let below = start..self.column_mark();
        let scope = Scope::new(names, outer);
        let calls = Calls::new(&[]);
        let cx = Cx {
            calls: Some(&calls),
            aggregates: true,
            inside: Inside::Nothing,
            ..Cx::plain(&scope, "pipe AGGREGATE")
        };
        let list: Vec<SelectItem> = items.iter().map(|(item, _)| item.clone()).collect();
        let mut resolved = self.select_list(&list, names, &cx, true)?;
        // Keys may carry aliases of their own; they come first in the result.
        let mut key_names: Vec<(String, Option<ast::OrderItem>, Pos)> = Vec::new();
        let mut grouping = Grouping::default();
        let mut key_of_item: Vec<usize> = Vec::new();
        if let Some(group_by) = group_by {
            let stripped = match group_by {
                GroupBy::All(pos) => {
                    return Err(SqlError::analysis("GROUP BY ALL is not allowed in pipe AGGREGATE").at(*pos));
                }
                GroupBy::Items(items) => {
                    for item in items {
                        if let ast::GroupItem::Expr { expr, alias, order } = item {
                            let name = match alias {
                                Some(alias) => alias.name.clone(),
                                None => super::path::implied_name(expr).unwrap_or_default(),
                            };
                            key_names.push((name, order.clone(), expr.pos));
                        }
                    }
                    let items = items
                        .iter()
                        .map(|item| match item {
                            ast::GroupItem::Expr { expr, order, .. } => {
                                ast::GroupItem::Expr { expr: expr.clone(), alias: None, order: order.clone() }
                            }
                            other => other.clone(),
                        })
                        .collect();
                    GroupBy::Items(items)
                }
            };
            let aliases = NameList::default();
            grouping = self.group_by(&stripped, &[], &aliases, &scope, &calls)?;
            if key_names.len() == grouping.keys.len() {
                key_of_item = (0..grouping.keys.len()).collect();
            } else {
                key_names = grouping
                    .keys
                    .iter()
                    .map(|(_, key)| {
                        let name = names
                            .columns
                            .iter()
                            .find(|named| matches!(key.kind, ExprKind::Column(id) if id == named.id))
                            .map(|named| named.name.to_string())
                            .unwrap_or_default();
                        (name, None, key.pos)
                    })
                    .collect();
                key_of_item = (0..grouping.keys.len()).collect();
            }
        }
        let regroup = Regroup::new(self, &grouping.keys, below, names);
        for item in &mut resolved {
            regroup.rewrite(&mut item.expr, "Pipe AGGREGATE")?;
        }
        let mut marks = Vec::new();
        for (id, expr) in calls.grouping.borrow().iter() {
            match grouping.keys.iter().position(|(_, key)| super::visit::same(key, expr)) {
                Some(index) => marks.push((*id, index)),
                None => {
                    let text = "GROUPING must have an argument that exists within the group-by expression list";
                    return Err(SqlError::analysis(text).at(expr.pos));
                }
            }
        }
        let keys: Vec<NamedColumn> = key_of_item
            .iter()
            .zip(&key_names)
            .map(|(index, (name, _, _))| {
                let (id, key) = &grouping.keys[*index];
                NamedColumn::new(name, *id, key.ty.clone())
            })
            .collect();
        let rel = Rel::Aggregate {
            input: Box::new(rel),
            keys: grouping.keys,
            sets: grouping.sets,
            grouping: marks,
            calls: calls.aggregates.take(),
        };
        let (mut rel, added) = self.placed(rel, resolved);
        // ORDER BY: written on items, or by the keys for GROUP AND ORDER BY.
        let mut order: Vec<SortKey> = Vec::new();
        for (named, (_, item, pos)) in keys.iter().zip(&key_names) {
            let expr = super::column(named.id, named.ty.clone(), *pos);
            match item {
                Some(item) => order.push(self.ordering(item, expr)?),
                None if and_order => order.push(SortKey { expr, descending: false, nulls_first: true }),
                None => {}
            }
        }
        if added.len() == items.len() {
            for (named, (_, item)) in added.iter().zip(items) {
                if let Some(item) = item {
                    order.push(self.ordering(item, super::column(named.id, named.ty.clone(), item.pos))?);
                }
            }
        }
        if !order.is_empty() {
            rel = Rel::Sort { input: Box::new(rel), keys: order };
        }
        let columns = keys.into_iter().chain(added).collect();
        Ok(Flow { rel, names: NameList::of_columns(columns) })
    }

    /// CALL: the pipe's rows are the function's first table argument.
    fn pipe_call(&self, rel: Rel, names: &NameList, call: &ast::Call, outer: Option<&Scope>) -> Result<Source> {
        let name = call.name.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".");
        let Some(routine) = self.routine(&call.name, false) else {
            if let Some(error) = super::unsupported::function(&name) {
                return Err(error.at(call.pos));
            }
            return Err(SqlError::analysis(format!("Table-valued function not found: {name}")).at(call.pos));
        };
        let mut tables = Vec::new();
        let mut targets = Vec::new();
        let mut input = Some(self.query_of(rel, names));
        let mut args = call.args.iter();
        let scope = Scope::new(names, outer);
        for declared in &routine.arguments {
            match (declared.is_table, input.take()) {
                (true, Some(query)) => tables.push((declared.name.clone(), query)),
                (_, rest) => {
                    input = rest;
                    let Some(arg) = args.next() else {
                        return Err(SqlError::analysis(format!("Too few arguments for {name}")).at(call.pos));
                    };
                    let value = self.expr(arg, &Cx::plain(&scope, "table function arguments"))?;
                    let value = match &declared.ty {
                        Some(ty) => self.implicit(value, ty)?.map_err(|found| {
                            let text = format!(
                                "Argument {} has type {}, which does not coerce to {ty}",
                                declared.name, found.ty
                            );
                            SqlError::analysis(text).at(arg.pos)
                        })?,
                        None => value,
                    };
                    targets.push((Rc::from(declared.name.as_str()), Target::Expr(Rc::new(value))));
                }
            }
        }
        let query = self.table_body(&routine, &name, tables, targets, call.pos)?;
        Ok((query.rel, names_of(&query.columns, query.value_table)))
    }

    fn pipe_assert(
        &self,
        rel: Rel,
        names: NameList,
        condition: &ast::Expr,
        message: &[ast::Expr],
        outer: Option<&Scope>,
        pos: Pos,
    ) -> Result<Flow> {
        let scope = Scope::new(&names, outer);
        let cx = Cx::plain(&scope, "pipe ASSERT");
        let condition = self.condition(condition, &cx, "ASSERT")?;
        // What was given is put behind each other, values of whatever type.
        let mut parts = vec![super::string(if message.is_empty() { "Assert failed" } else { "Assert failed:" }, pos)];
        for part in message {
            let value = self.expr(part, &cx)?;
            let value = self.call_scalar("format", vec![super::string("%t", pos), value], pos)?;
            parts.push(super::string(" ", pos));
            parts.push(value);
        }
        let text = self.call_scalar("concat", parts, pos)?;
        let error = self.call_scalar("error", vec![text], pos)?;
        let error = self.convert(error, &crate::types::Type::Bool)?;
        let yes = super::literal(crate::value::Value::Bool(true), crate::types::Type::Bool, pos);
        let kind = ExprKind::Case { branches: vec![(condition, yes)], otherwise: Some(Box::new(error)) };
        let predicate = Expr { kind, ty: crate::types::Type::Bool, pos };
        Ok(Flow { rel: Rel::Filter { input: Box::new(rel), predicate }, names })
    }
}

/// New columns under the range variables that were there.
fn regrouped(columns: Vec<NamedColumn>, names: &NameList) -> NameList {
    let mut out = NameList::of_columns(columns);
    out.ranges = names.ranges.clone();
    out
}
