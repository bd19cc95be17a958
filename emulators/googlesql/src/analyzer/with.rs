//! WITH: common tables, plain and recursive.

use std::cell::Cell;
use std::rc::Rc;

use crate::ast::{self, QueryBody, SetOperatorKind};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{ColumnId, Cte, CteKind, OutputColumn, Query, Rel};
use crate::types::Type;

use super::from::Source;
use super::scope::{NameList, NamedColumn, Scope};
use super::select::Tail;
use super::{Analyzer, column};

/// A common table in scope.
pub(super) struct CteEntry {
    /// `None` is a wall: a view's or routine's body does not see the tables of the query around it.
    pub name: Option<String>,
    pub id: usize,
    pub columns: Vec<(Option<String>, Type)>,
    pub value_table: bool,
    pub used: Cell<bool>,
}

impl Analyzer<'_> {
    /// A reference to a common table, if the name is one.
    pub(super) fn cte_ref(&self, name: &str, as_of: Option<&ast::Expr>) -> Option<Result<Source>> {
        let ctes = self.ctes.borrow();
        let entry = ctes
            .iter()
            .rev()
            .take_while(|entry| entry.name.is_some())
            .find(|entry| entry.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))?;
        if let Some(as_of) = as_of {
            let text = "FOR SYSTEM_TIME AS OF clause can only be used with tables";
            return Some(Err(SqlError::analysis(text).at(as_of.pos)));
        }
        entry.used.set(true);
        let first = self.new_columns(entry.columns.len());
        let ids: Vec<ColumnId> = (0..entry.columns.len()).map(|index| ColumnId(first + index as u32)).collect();
        let named = entry
            .columns
            .iter()
            .zip(&ids)
            .map(|((name, ty), id)| {
                let mut named = NamedColumn::new(name.as_deref().unwrap_or(""), *id, ty.clone());
                named.value = entry.value_table;
                named
            })
            .collect();
        let types = entry.columns.iter().map(|(_, ty)| ty.clone()).collect();
        Some(Ok((Rel::CteRef { cte: entry.id, columns: ids, types }, NameList::of_columns(named))))
    }

    /// Resolves the query's WITH clause; its tables stay in scope until the caller takes them off again.
    pub(super) fn with_clause(&self, query: &ast::Query, outer: Option<&Scope>) -> Result<Vec<Cte>> {
        self.common_tables(&query.with, query.recursive, outer)
    }

    pub(super) fn common_tables(
        &self,
        with: &[ast::CommonTable],
        recursive: bool,
        outer: Option<&Scope>,
    ) -> Result<Vec<Cte>> {
        let mut out = Vec::with_capacity(with.len());
        let mut names: Vec<String> = Vec::with_capacity(with.len());
        for table in with {
            let lower = table.name.name.to_lowercase();
            if names.contains(&lower) {
                let text = format!("Duplicate alias {} for WITH subquery", table.name.name);
                return Err(SqlError::analysis(text).at(table.name.pos));
            }
            names.push(lower);
        }
        let order = if recursive { definition_order(with, &names) } else { (0..with.len()).collect() };
        for index in order {
            let table = &with[index];
            let cte = match self.recursive_table(table, recursive, outer)? {
                Some(cte) => cte,
                None => {
                    let resolved = self.query(&table.query, outer)?;
                    self.define(table, resolved, None)?
                }
            };
            out.push(cte);
        }
        Ok(out)
    }

    /// Puts a resolved common table into scope.
    fn define(&self, table: &ast::CommonTable, query: Query, id: Option<usize>) -> Result<Cte> {
        let id = id.unwrap_or_else(|| self.new_cte());
        let columns = self.renamed(table, &query.columns)?;
        let cte = Cte {
            id,
            name: table.name.name.clone(),
            columns: query.columns.iter().map(|out| out.id).collect(),
            types: query.columns.iter().map(|out| out.ty.clone()).collect(),
            kind: CteKind::Plain(query.rel),
        };
        self.ctes.borrow_mut().push(Rc::new(CteEntry {
            name: Some(table.name.name.clone()),
            id,
            columns,
            value_table: query.value_table,
            used: Cell::new(false),
        }));
        Ok(cte)
    }

    fn renamed(&self, table: &ast::CommonTable, columns: &[OutputColumn]) -> Result<Vec<(Option<String>, Type)>> {
        if table.columns.is_empty() {
            return Ok(columns.iter().map(|out| (out.name.clone(), out.ty.clone())).collect());
        }
        if table.columns.len() != columns.len() {
            let text = format!(
                "The number of columns in the column list of {} is {}, but its query has {}",
                table.name.name,
                table.columns.len(),
                columns.len()
            );
            return Err(SqlError::analysis(text).at(table.name.pos));
        }
        Ok(table.columns.iter().zip(columns).map(|(name, out)| (Some(name.name.clone()), out.ty.clone())).collect())
    }

    /// The table as a recursion, if its query is a UNION whose last part reads the table itself.
    fn recursive_table(&self, table: &ast::CommonTable, recursive: bool, outer: Option<&Scope>) -> Result<Option<Cte>> {
        if !recursive || !mentions(&table.query, &table.name.name) {
            return Ok(None);
        }
        let query = &table.query;
        let mut body = &query.body;
        while let QueryBody::Parenthesized(inner) = body {
            if !inner.with.is_empty() || !inner.order_by.is_empty() || inner.limit.is_some() || !inner.pipes.is_empty()
            {
                break;
            }
            body = &inner.body;
        }
        let not_a_union = |pos: Pos| {
            let text = format!(
                "Recursive query {} must be a UNION of a non-recursive term and a recursive term",
                table.name.name
            );
            Err(SqlError::analysis(text).at(pos))
        };
        // `anchor |> UNION ALL (step)` is the same as `anchor UNION ALL step`.
        let piped;
        let operation = match (body, query.pipes.as_slice()) {
            (QueryBody::SetOperation(operation), []) => operation,
            (anchor, [ast::PipeOperator { kind: ast::PipeKind::SetOperation { operator, queries }, pos }]) => {
                let rest = queries
                    .iter()
                    .map(|query| (operator.clone(), QueryBody::Parenthesized(Box::new(query.clone()))))
                    .collect();
                piped = Box::new(ast::SetOperation { first: anchor.clone(), rest, pos: *pos });
                &piped
            }
            _ => return not_a_union(table.name.pos),
        };
        let Some((last, before)) = operation.rest.split_last() else { return not_a_union(table.name.pos) };
        let (operator, step) = last;
        if operator.kind != SetOperatorKind::Union || !query.order_by.is_empty() || query.limit.is_some() {
            return not_a_union(table.name.pos);
        }
        let mark = self.ctes.borrow().len();
        let inner_ctes = self.common_tables(&query.with, query.recursive, outer)?;
        let anchor = if before.is_empty() {
            self.body(&operation.first, Tail::none(), outer)?
        } else {
            let rest = before.to_vec();
            let first = ast::SetOperation { first: operation.first.clone(), rest, pos: operation.pos };
            self.set_operation(&first, outer)?
        };
        let id = self.new_cte();
        let columns = self.renamed(table, &anchor.columns)?;
        let entry = Rc::new(CteEntry {
            name: Some(table.name.name.clone()),
            id,
            columns: columns.clone(),
            value_table: anchor.value_table,
            used: Cell::new(false),
        });
        self.ctes.borrow_mut().push(entry.clone());
        let step = self.body(step, Tail::none(), outer)?;
        self.ctes.borrow_mut().truncate(mark);
        let mut step = step;
        if operator.by_name {
            let mut ordered = Vec::with_capacity(anchor.columns.len());
            for wanted in &anchor.columns {
                let found = step.columns.iter().find(|out| match (&out.name, &wanted.name) {
                    (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                    _ => false,
                });
                match found {
                    Some(out) => ordered.push(out.clone()),
                    None => {
                        let text = format!(
                            "The recursive term of {} has no column {}",
                            table.name.name,
                            wanted.name.as_deref().unwrap_or("")
                        );
                        return Err(SqlError::analysis(text).at(operator.pos));
                    }
                }
            }
            step.columns = ordered;
        }
        if step.columns.len() != anchor.columns.len() {
            let text = format!(
                "Queries in UNION {} have mismatched column count; query 1 has {} columns, query 2 has {} columns",
                if operator.all { "ALL" } else { "DISTINCT" },
                anchor.columns.len(),
                step.columns.len()
            );
            return Err(SqlError::analysis(text).at(operator.pos));
        }
        let mut step_columns = Vec::with_capacity(step.columns.len());
        let mut converted = Vec::new();
        for (index, (out, wanted)) in step.columns.iter().zip(&anchor.columns).enumerate() {
            if out.ty == wanted.ty {
                step_columns.push(out.id);
                continue;
            }
            let value = super::setop::literal_behind(&step.rel, out.id)
                .unwrap_or_else(|| column(out.id, out.ty.clone(), operator.pos));
            let value = self.implicit(value, &wanted.ty)?.map_err(|_| {
                let text = format!(
                    "Cannot coerce column {} of the recursive term of {} from type {} to {}",
                    index + 1,
                    table.name.name,
                    out.ty,
                    wanted.ty
                );
                SqlError::analysis(text).at(operator.pos)
            })?;
            let id = self.new_column();
            converted.push((id, value));
            step_columns.push(id);
        }
        let mut step_rel = step.rel;
        if !converted.is_empty() {
            step_rel = Rel::Compute { input: Box::new(step_rel), columns: converted };
        }
        let mut anchor_rel = anchor.rel;
        if !inner_ctes.is_empty() {
            // Both terms may read the inner tables: they become part of the anchor, and of the step by reference.
            anchor_rel = Rel::With { ctes: inner_ctes, body: Box::new(anchor_rel) };
        }
        let kind = if entry.used.get() {
            CteKind::Recursive { anchor: anchor_rel, step: step_rel, step_columns, distinct: !operator.all }
        } else {
            return Ok(None);
        };
        self.ctes.borrow_mut().push(Rc::new(CteEntry {
            name: Some(table.name.name.clone()),
            id,
            columns,
            value_table: anchor.value_table,
            used: Cell::new(false),
        }));
        Ok(Some(Cte {
            id,
            name: table.name.name.clone(),
            columns: anchor.columns.iter().map(|out| out.id).collect(),
            types: anchor.columns.iter().map(|out| out.ty.clone()).collect(),
            kind,
        }))
    }

    /// Resolves something that does not see the common tables around it.
    pub(super) fn behind_wall<T>(&self, inner: impl FnOnce() -> Result<T>) -> Result<T> {
        let mark = self.ctes.borrow().len();
        self.ctes.borrow_mut().push(Rc::new(CteEntry {
            name: None,
            id: usize::MAX,
            columns: Vec::new(),
            value_table: false,
            used: Cell::new(false),
        }));
        let result = inner();
        self.ctes.borrow_mut().truncate(mark);
        result
    }
}

/// Under RECURSIVE a table may read those that are written after it: define what is read first.
fn definition_order(with: &[ast::CommonTable], names: &[String]) -> Vec<usize> {
    fn visit(at: usize, edges: &[Vec<usize>], state: &mut [u8], order: &mut Vec<usize>) {
        if state[at] != 0 {
            return;
        }
        state[at] = 1;
        for next in &edges[at] {
            visit(*next, edges, state, order);
        }
        order.push(at);
    }
    if with.len() > 200 {
        return (0..with.len()).collect();
    }
    let edges: Vec<Vec<usize>> = with
        .iter()
        .map(|table| (0..names.len()).filter(|other| mentions(&table.query, &names[*other])).collect())
        .collect();
    let mut state = vec![0; with.len()];
    let mut order = Vec::with_capacity(with.len());
    for at in 0..with.len() {
        visit(at, &edges, &mut state, &mut order);
    }
    order
}

/// Whether the query reads a table of this one-part name anywhere.
fn mentions(query: &ast::Query, name: &str) -> bool {
    super::mention::query(query, name)
}
