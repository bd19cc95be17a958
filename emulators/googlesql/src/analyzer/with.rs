//! WITH: common tables, plain and recursive.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::ast::{self, QueryBody, SetOperatorKind};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{ColumnId, Cte, CteKind, OutputColumn, Query, Rel};
use crate::types::Type;

use super::from::Source;
use super::recursion::definition_order;
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
    /// Its own non-recursive term is being resolved: it may not be read there.
    pub refused: bool,
    /// Where it is read, by the first column of each reference.
    pub places: RefCell<Vec<(ColumnId, Pos)>>,
}

impl CteEntry {
    pub fn new(name: Option<String>, id: usize, columns: Vec<(Option<String>, Type)>, value_table: bool) -> CteEntry {
        let (used, places) = (Cell::new(false), RefCell::default());
        CteEntry { name, id, columns, value_table, used, refused: false, places }
    }
}

impl Analyzer<'_> {
    /// A reference to a common table, if the name is one.
    pub(super) fn cte_ref(&self, name: &str, as_of: Option<&ast::Expr>, pos: Pos) -> Option<Result<Source>> {
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
        if entry.refused {
            let text = format!("Recursive reference to {name} is not allowed in this context");
            return Some(Err(SqlError::analysis(text).at(pos)));
        }
        entry.used.set(true);
        let first = self.new_columns(entry.columns.len());
        entry.places.borrow_mut().push((ColumnId(first), pos));
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
        self.common_tables(&query.with, query.recursive, outer, query.pos)
    }

    pub(super) fn common_tables(
        &self,
        with: &[ast::CommonTable],
        recursive: bool,
        outer: Option<&Scope>,
        pos: Pos,
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
        let order = if recursive { definition_order(with, &names, pos)? } else { (0..with.len()).collect() };
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
        let name = Some(table.name.name.clone());
        self.ctes.borrow_mut().push(Rc::new(CteEntry::new(name, id, columns, query.value_table)));
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
        if let Some(first) = query.order_by.first() {
            return Err(SqlError::analysis("A recursive query may not use ORDER BY").at(first.expr.pos));
        }
        if let Some(limit) = &query.limit {
            return Err(SqlError::analysis("A recursive query may not use LIMIT").at(limit.pos));
        }
        let not_a_union = || {
            let text = "Recursive query does not have the form <non-recursive-term> UNION [ALL|DISTINCT] \
                        <recursive-term>";
            Err(SqlError::analysis(text).at(query.pos))
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
            _ => return not_a_union(),
        };
        let Some((last, before)) = operation.rest.split_last() else { return not_a_union() };
        let (operator, step) = last;
        if operator.kind != SetOperatorKind::Union {
            return not_a_union();
        }
        let mark = self.ctes.borrow().len();
        let inner_ctes = self.common_tables(&query.with, query.recursive, outer, query.pos)?;
        let id = self.new_cte();
        let name = Some(table.name.name.clone());
        let own = CteEntry { refused: true, ..CteEntry::new(name.clone(), id, Vec::new(), false) };
        self.ctes.borrow_mut().push(Rc::new(own));
        let anchor = if before.is_empty() {
            self.body(&operation.first, Tail::none(), outer)?
        } else {
            let rest = before.to_vec();
            let first = ast::SetOperation { first: operation.first.clone(), rest, pos: operation.pos };
            self.set_operation(&first, outer)?
        };
        self.ctes.borrow_mut().pop();
        let columns = self.renamed(table, &anchor.columns)?;
        let entry = Rc::new(CteEntry::new(name.clone(), id, columns.clone(), anchor.value_table));
        self.ctes.borrow_mut().push(entry.clone());
        let step = self.body(step, Tail::none(), outer)?;
        self.ctes.borrow_mut().truncate(mark);
        let mut step = step;
        super::recursion::check(&mut step.rel, &entry)?;
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
        self.ctes.borrow_mut().push(Rc::new(CteEntry::new(name, id, columns, anchor.value_table)));
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
        self.ctes.borrow_mut().push(Rc::new(CteEntry::new(None, usize::MAX, Vec::new(), false)));
        let result = inner();
        self.ctes.borrow_mut().truncate(mark);
        result
    }
}

/// Whether the query reads a table of this one-part name anywhere.
fn mentions(query: &ast::Query, name: &str) -> bool {
    super::mention::query(query, name)
}
