//! From syntax tree to plan: names, types, coercions, and every rule GoogleSQL checks before it runs anything.
//!
//! Rooms: `scope` (what names mean), `expr`, `condition`, `path`, `call` (functions), `special` (lazy forms), `aggregate`, `window`
//! (calls that leave the expression), `query`, `select`, `group`, `from`, `setop`, `with`, `pivot`, `pipe` (relations),
//! `dml`, `ddl`, `types`, `coerce`; `visit`, `tidy` and `push` work on the finished plan.

mod aggregate;
mod call;
mod coerce;
mod collation;
mod condition;
mod date_parts;
mod ddl;
mod dml;
mod expr;
mod from;
mod gap_fill;
mod group;
mod mention;
mod path;
mod pipe;
mod pivot;
mod push;
mod query;
mod recursion;
mod routine;
mod scope;
mod select;
mod sessionize;
mod setop;
mod special;
mod subquery;
mod suggest;
#[cfg(test)]
mod tests;
mod tidy;
mod types;
mod unsupported;
pub(crate) mod visit;
mod window;
mod with;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::ast;
use crate::error::{Pos, Result, SqlError};
use crate::plan::{AggregateCall, AnalyzerContext, ColumnId, Expr, ExprKind, Plan};
use crate::stack::{SHALLOW, with_room};
use crate::types::Type;
use crate::value::Value;

pub use ddl::column_def;
pub use types::resolve_type;

use scope::{NameList, Scope};

/// How deep expressions and queries may nest within each other.
const MAX_DEPTH: u32 = 250;

/// Resolves a statement. Control statements of scripts are not for here.
pub fn analyze(statement: &ast::Statement, context: &AnalyzerContext) -> Result<Plan> {
    with_depth(context, |analyzer| {
        let mut plan = analyzer.statement(statement)?;
        tidy::plan(&mut plan, &analyzer.filters.borrow())?;
        Ok(plan)
    })
}

/// Resolves on the caller's stack, and once more on a larger one if the statement nests deeper than that allows.
fn with_depth<T: Send>(context: &AnalyzerContext, work: impl Fn(&Analyzer) -> Result<T> + Sync) -> Result<T> {
    let shallow = Analyzer::new(context);
    shallow.max_depth.set(2 * SHALLOW);
    let result = work(&shallow);
    if !shallow.out_of_depth.get() {
        return result;
    }
    with_room(MAX_DEPTH, || work(&Analyzer::new(context)))?
}

/// Resolves an expression that reads no table column: a script's condition, a default, an option.
pub fn analyze_expression(expr: &ast::Expr, context: &AnalyzerContext) -> Result<Expr> {
    with_depth(context, |analyzer| {
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let mut resolved = analyzer.expr(expr, &Cx::plain(&scope, "statement"))?;
        tidy::expr(&mut resolved);
        Ok(resolved)
    })
}

/// As [`analyze_expression`], converted to `ty` as an assignment would convert it.
pub fn analyze_assignment(expr: &ast::Expr, ty: &Type, context: &AnalyzerContext) -> Result<Expr> {
    let resolved = analyze_expression(expr, context)?;
    let found = resolved.ty.clone();
    let pos = resolved.pos;
    let analyzer = Analyzer::new(context);
    analyzer
        .assign(resolved, ty)?
        .ok_or_else(|| SqlError::analysis(format!("Expected type {ty} but got type {found}")).at(pos))
}

struct Analyzer<'a> {
    pub ctx: &'a AnalyzerContext<'a>,
    next_column: Cell<u32>,
    next_cte: Cell<usize>,
    depth: Cell<u32>,
    max_depth: Cell<u32>,
    /// The statement nests deeper than `max_depth`.
    out_of_depth: Cell<bool>,
    /// CTEs in scope, the innermost last.
    ctes: RefCell<Vec<Rc<with::CteEntry>>>,
    /// Views and SQL routines being inlined, to notice a circle.
    inlining: RefCell<Vec<routine::Inlined>>,
    /// How many bodies were inlined so far, and how much text they had.
    bodies: Cell<(usize, usize)>,
    /// How qualified column references were written, by position: for messages about grouping.
    spelled: RefCell<HashMap<Pos, String>>,
    /// Floating point literals as they are written, by position: NUMERIC and BIGNUMERIC take all their digits.
    digits: RefCell<HashMap<Pos, String>>,
    /// Tables that demand a filter on their partitioning column, with the column's id in their scan.
    filters: RefCell<Vec<from::RequiredFilter>>,
}

/// What an expression is resolved in.
#[derive(Clone, Copy)]
struct Cx<'s> {
    pub scope: &'s Scope<'s>,
    /// What aggregate calls' arguments see: the FROM clause, not the select list's aliases.
    pub input: &'s Scope<'s>,
    /// As error messages call it: `WHERE clause`, `SELECT list`.
    pub clause: &'static str,
    /// Where aggregate and window calls are collected; `None` where neither may stand.
    pub calls: Option<&'s Calls<'s>>,
    pub aggregates: bool,
    pub windows: bool,
    pub inside: Inside,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    Nothing,
    Aggregate,
    Window,
}

/// Aggregate and window calls of one SELECT, taken out of its expressions.
struct Calls<'s> {
    pub aggregates: RefCell<Vec<(ColumnId, AggregateCall)>>,
    pub windows: RefCell<Vec<window::Pending>>,
    /// GROUPING(expr): resolved to a column once the keys are known.
    pub grouping: RefCell<Vec<(ColumnId, Expr)>>,
    pub named: &'s [(ast::Ident, ast::WindowSpec)],
}

impl<'s> Calls<'s> {
    pub fn new(named: &'s [(ast::Ident, ast::WindowSpec)]) -> Calls<'s> {
        Calls { aggregates: RefCell::default(), windows: RefCell::default(), grouping: RefCell::default(), named }
    }
}

impl<'s> Cx<'s> {
    /// Neither aggregates nor window functions may stand here.
    pub fn plain(scope: &'s Scope<'s>, clause: &'static str) -> Cx<'s> {
        Cx { scope, input: scope, clause, calls: None, aggregates: false, windows: false, inside: Inside::Nothing }
    }

    pub fn with_scope<'t>(&self, scope: &'t Scope<'t>) -> Cx<'t>
    where
        's: 't,
    {
        Cx { scope, ..*self }
    }
}

impl<'a> Analyzer<'a> {
    fn new(ctx: &'a AnalyzerContext<'a>) -> Analyzer<'a> {
        Analyzer {
            ctx,
            next_column: Cell::new(0),
            next_cte: Cell::new(0),
            depth: Cell::new(0),
            max_depth: Cell::new(MAX_DEPTH),
            out_of_depth: Cell::default(),
            ctes: RefCell::default(),
            inlining: RefCell::default(),
            bodies: Cell::default(),
            spelled: RefCell::default(),
            digits: RefCell::default(),
            filters: RefCell::default(),
        }
    }

    pub fn new_column(&self) -> ColumnId {
        let id = self.next_column.get();
        self.next_column.set(id + 1);
        ColumnId(id)
    }

    /// `count` ids in a row.
    pub fn new_columns(&self, count: usize) -> u32 {
        let first = self.next_column.get();
        self.next_column.set(first + count as u32);
        first
    }

    /// The next id to be given out.
    pub fn column_mark(&self) -> u32 {
        self.next_column.get()
    }

    pub fn new_cte(&self) -> usize {
        let id = self.next_cte.get();
        self.next_cte.set(id + 1);
        id
    }

    /// One level deeper into the statement, until the guard goes.
    pub fn deeper(&self, pos: Pos) -> Result<Deeper<'_>> {
        let depth = self.depth.get() + 1;
        if depth > self.max_depth.get() {
            self.out_of_depth.set(true);
            return Err(too_complex(pos));
        }
        if depth > 1
            && depth.is_multiple_of(8)
            && self.ctx.cancel.is_some_and(|cancel| cancel.load(std::sync::atomic::Ordering::Relaxed))
        {
            return Err(SqlError::cancelled("Job execution was cancelled: User requested cancellation"));
        }
        self.depth.set(depth);
        Ok(Deeper { depth: &self.depth })
    }

    fn statement(&self, statement: &ast::Statement) -> Result<Plan> {
        use ast::StatementKind as S;
        match &statement.kind {
            S::Query(query) => Ok(Plan::Query(self.top_query(query)?)),
            S::Insert(insert) => self.insert(insert),
            S::Update(update) => self.update(update),
            S::Delete(delete) => self.delete(delete),
            S::Merge(merge) => self.merge(merge),
            S::Truncate { table, filter } => self.truncate(table, filter.as_ref()),
            S::Explain(_) => Err(SqlError::unsupported("Statement not supported: ExplainStatement").at(statement.pos)),
            _ => self.ddl(statement),
        }
    }
}

struct Deeper<'d> {
    depth: &'d Cell<u32>,
}

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.depth.set(self.depth.get() - 1);
    }
}

/// Production's refusal of what is too large to plan.
fn too_complex(pos: Pos) -> SqlError {
    SqlError::resources(
        "Resources exceeded during query execution: Not enough resources for query planning - too many subqueries or \
         query is too complex.",
    )
    .at(pos)
}

/// Shorthands for plan expressions.
fn column(id: ColumnId, ty: Type, pos: Pos) -> Expr {
    Expr { kind: ExprKind::Column(id), ty, pos }
}

fn literal(value: Value, ty: Type, pos: Pos) -> Expr {
    Expr { kind: ExprKind::Literal(value), ty, pos }
}

fn string(text: impl AsRef<str>, pos: Pos) -> Expr {
    literal(Value::string(text), Type::String, pos)
}
