//! Views and routines that somebody created: their SQL is resolved in place.

use std::rc::Rc;
use std::sync::Arc;

use crate::ast::{self, ExprKind as A};
use crate::catalog::{Routine, RoutineKind};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Cte, CteKind, Expr, ExprKind, Query, Rel};

use super::from::Source;
use super::scope::{NameList, Scope, Target};
use super::visit::walk_expr_mut;
use super::with::CteEntry;
use super::{Analyzer, Cx};

/// How deep views may be nested within each other, as in production.
///
/// Source: <https://cloud.google.com/bigquery/quotas#view_limits>
const MAX_VIEWS: usize = 16;

/// How many bodies of views and functions one statement may have put into it: functions that call each other twice
/// grow without bound otherwise.
const MAX_INLINED: usize = 20_000;

/// And how many bytes of text they may have together.
const MAX_INLINED_TEXT: usize = 16 << 20;

/// A view or routine whose text is being resolved within a statement.
pub(super) struct Inlined {
    pub key: String,
    pub view: bool,
    /// How long its text is.
    pub text: usize,
}

impl Inlined {
    fn function(name: &str, body: &str) -> Inlined {
        Inlined { key: name.to_owned(), view: false, text: body.len() }
    }
}

/// What an aggregate function in JavaScript is called with once a group: its rows, and the arguments that are the
/// same for all of them.
fn collected(routine: &Routine) -> String {
    let named = |aggregated: bool| {
        let names = routine.arguments.iter().filter(|argument| argument.is_aggregate == aggregated);
        names.map(|argument| format!("`{}`", argument.name)).collect::<Vec<_>>().join(", ")
    };
    let fixed = named(false);
    let fixed = if fixed.is_empty() { String::new() } else { format!(", ANY_VALUE(STRUCT({fixed})) AS fixed") };
    format!("STRUCT(ARRAY_AGG(STRUCT({})) AS items{fixed})", named(true))
}

impl Analyzer<'_> {
    /// A view's query in the place of its name.
    pub(super) fn view(&self, key: &str, sql: &str, pos: Pos) -> Result<Source> {
        let within = self.inlining.borrow().iter().filter(|known| known.view).count();
        if within >= MAX_VIEWS {
            return Err(SqlError::analysis("Views are nested too deeply").at(pos));
        }
        let query = self.inlined(Inlined { key: key.to_owned(), view: true, text: sql.len() }, pos, || {
            let parsed = crate::parser::parse_query(sql)?;
            self.behind_wall(|| self.query(&parsed, None))
        })?;
        let names = super::query::names_of(&query.columns, query.value_table);
        Ok((query.rel, names))
    }

    /// Guards against a view or function that contains itself; places inside are places in another text, so an
    /// error is moved to the use.
    fn inlined<T>(&self, what: Inlined, pos: Pos, inner: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.inlining.borrow().iter().any(|known| known.key == what.key) {
            return Err(SqlError::analysis(format!("{} refers to itself", what.key)).at(pos));
        }
        let _deeper = self.deeper(pos)?;
        let (count, bytes) = self.bodies.get();
        let bodies = (count + 1, bytes.saturating_add(what.text));
        if bodies.0 > MAX_INLINED || bodies.1 > MAX_INLINED_TEXT {
            return Err(super::too_complex(pos));
        }
        self.bodies.set(bodies);
        self.inlining.borrow_mut().push(what);
        // Positions of two texts must not meet in one map.
        let spelled = std::mem::take(&mut *self.spelled.borrow_mut());
        let digits = std::mem::take(&mut *self.digits.borrow_mut());
        let result = inner();
        *self.spelled.borrow_mut() = spelled;
        *self.digits.borrow_mut() = digits;
        self.inlining.borrow_mut().pop();
        result.map_err(|error| SqlError { pos: Some(pos), location: None, ..error })
    }

    pub(super) fn routine(&self, path: &ast::Path, safe: bool) -> Option<Arc<Routine>> {
        let parts: Vec<String> = path.parts.iter().skip(usize::from(safe)).map(|part| part.name.clone()).collect();
        self.ctx.catalog.routine(&parts)
    }

    pub(super) fn routine_call(&self, routine: &Arc<Routine>, call: &ast::Call, safe: bool, cx: &Cx) -> Result<Expr> {
        let name = routine.name.join(".");
        let pos = call.pos;
        match routine.kind {
            RoutineKind::TableFunction => {
                let text = format!("Table-valued function {name} is not allowed here; it belongs into FROM");
                return Err(SqlError::analysis(text).at(pos));
            }
            RoutineKind::Procedure => {
                return Err(SqlError::analysis(format!("{name} is a procedure and not a function")).at(pos));
            }
            RoutineKind::Aggregate | RoutineKind::JavaScriptAggregate => {
                return self.aggregate_routine(routine, &name, call, cx);
            }
            RoutineKind::Scalar | RoutineKind::JavaScript => {}
        }
        self.no_aggregate_modifiers(call)?;
        let args = self.routine_args(routine, &name, self.args(&call.args, cx)?, pos)?;
        let expr = if routine.kind == RoutineKind::JavaScript {
            let Some(ty) = routine.returns.clone() else {
                return Err(SqlError::analysis(format!("{name} has no result type")).at(pos));
            };
            Expr { kind: ExprKind::JavaScript { routine: routine.clone(), args }, ty, pos }
        } else {
            let mut bindings = Vec::with_capacity(args.len());
            let mut targets = Vec::with_capacity(args.len());
            for (declared, arg) in routine.arguments.iter().zip(args) {
                let id = self.new_column();
                targets.push((Rc::from(declared.name.as_str()), Target::Column { id, ty: arg.ty.clone() }));
                bindings.push((id, arg));
            }
            let mut body = self.inlined(Inlined::function(&name, &routine.body), pos, || {
                let parsed = crate::parser::parse_expression(&routine.body)?;
                let names = NameList::of_targets(targets);
                let scope = Scope::new(&names, None);
                let body = self.behind_wall(|| self.expr(&parsed, &Cx::plain(&scope, "a function's body")))?;
                self.returned(routine, &name, body)
            })?;
            walk_expr_mut(&mut body, &mut |part| {
                part.pos = pos;
                true
            });
            let ty = body.ty.clone();
            Expr { kind: ExprKind::Let { bindings, body: Box::new(body) }, ty, pos }
        };
        if !safe {
            return Ok(expr);
        }
        let ty = expr.ty.clone();
        let fallback = super::literal(crate::value::Value::Null, ty.clone(), pos);
        Ok(Expr { kind: ExprKind::IfError { attempt: Box::new(expr), fallback: Box::new(fallback) }, ty, pos })
    }

    /// What is wrong with a function's SQL is said when it is created, unless its types come with each call.
    pub(super) fn check_function_body(&self, create: &ast::CreateFunction) -> Result<()> {
        let mut targets = Vec::with_capacity(create.parameters.len());
        for parameter in &create.parameters {
            if matches!(
                parameter.ty.kind,
                ast::TypeNameKind::Any | ast::TypeNameKind::Table(_) | ast::TypeNameKind::AnyTable
            ) {
                return Ok(());
            }
            let (ty, _) = super::resolve_type(&parameter.ty)?;
            targets.push((Rc::from(parameter.name.name.as_str()), Target::Column { id: self.new_column(), ty }));
        }
        let names = NameList::of_targets(targets);
        let scope = Scope::new(&names, None);
        match &create.body {
            ast::FunctionBody::Expr(body, _) if !create.aggregate => {
                let value = self.behind_wall(|| self.expr(body, &Cx::plain(&scope, "a function's body")))?;
                let Some(returns) = &create.returns else { return Ok(()) };
                let (ty, _) = super::resolve_type(returns)?;
                let found = self.type_name_of(&value);
                self.implicit(value, &ty)?.map(drop).map_err(|_| {
                    let text = format!(
                        "Function declared to return {ty} but the function body produces incompatible type {found}"
                    );
                    SqlError::analysis(text).at(body.pos)
                })
            }
            ast::FunctionBody::Query(query, _) => self.behind_wall(|| self.query(query, Some(&scope))).map(drop),
            _ => Ok(()),
        }
    }

    fn returned(&self, routine: &Routine, name: &str, body: Expr) -> Result<Expr> {
        let Some(ty) = &routine.returns else { return Ok(body) };
        let found = body.ty.clone();
        self.assign(body, ty)?.ok_or_else(|| {
            SqlError::analysis(format!("Function {name} is declared to return {ty} but its body has type {found}"))
        })
    }

    fn routine_args(&self, routine: &Routine, name: &str, args: Vec<Expr>, pos: Pos) -> Result<Vec<Expr>> {
        let declared: Vec<String> = routine
            .arguments
            .iter()
            .map(|argument| argument.ty.as_ref().map_or("ANY TYPE".to_owned(), ToString::to_string))
            .collect();
        let found: Vec<String> = args.iter().map(|arg| self.type_name_of(arg)).collect();
        let mismatch = |why: String| {
            let given = if found.is_empty() {
                " with no arguments".to_owned()
            } else {
                format!("\n  Argument types: {}", found.join(", "))
            };
            let text = format!(
                "No matching signature for function {name}{given}\n  Signature: {name}({})\n    {why}",
                declared.join(", ")
            );
            SqlError::analysis(text).at(pos)
        };
        if args.len() != routine.arguments.len() {
            let wanted = routine.arguments.len();
            let (what, word) =
                if args.len() < wanted { ("requires at least", wanted) } else { ("accepts at most", wanted) };
            let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
            return Err(mismatch(format!(
                "Signature {what} {word} {}, found {} {}",
                plural(word),
                args.len(),
                plural(args.len())
            )));
        }
        let mut out = Vec::with_capacity(args.len());
        for (index, (arg, declared)) in args.into_iter().zip(&routine.arguments).enumerate() {
            out.push(match &declared.ty {
                None => arg,
                Some(ty) => {
                    let found = self.type_name_of(&arg);
                    self.implicit(arg, ty)?.map_err(|_| {
                        mismatch(format!("Argument {}: Unable to coerce type {found} to expected type {ty}", index + 1))
                    })?
                }
            });
        }
        Ok(out)
    }

    /// An aggregate function in SQL: its body's aggregates become aggregates of the query it is called in.
    fn aggregate_routine(&self, routine: &Arc<Routine>, name: &str, call: &ast::Call, cx: &Cx) -> Result<Expr> {
        if cx.calls.is_none() || !cx.aggregates || cx.inside == super::Inside::Aggregate {
            let text = format!("Aggregate function {name} not allowed in {}", cx.clause);
            return Err(SqlError::analysis(text).at(call.pos));
        }
        let inner = Cx { scope: cx.input, inside: super::Inside::Aggregate, windows: false, ..*cx };
        let args = self.routine_args(routine, name, self.args(&call.args, &inner)?, call.pos)?;
        let targets = routine
            .arguments
            .iter()
            .zip(args)
            .map(|(declared, arg)| (Rc::from(declared.name.as_str()), Target::Expr(Rc::new(arg))))
            .collect();
        let names = NameList::of_targets(targets);
        let scope = Scope::new(&names, None);
        let javascript = routine.kind == RoutineKind::JavaScriptAggregate;
        self.inlined(Inlined::function(name, &routine.body), call.pos, || {
            let text = if javascript { collected(routine) } else { routine.body.clone() };
            let parsed = crate::parser::parse_expression(&text)?;
            let cx = Cx { scope: &scope, input: &scope, windows: false, ..*cx };
            let body = self.behind_wall(|| self.expr(&parsed, &cx))?;
            if !javascript {
                return self.returned(routine, name, body);
            }
            let Some(ty) = routine.returns.clone() else {
                return Err(SqlError::analysis(format!("{name} has no result type")));
            };
            let kind = ExprKind::JavaScript { routine: routine.clone(), args: vec![body] };
            Ok(Expr { kind, ty, pos: call.pos })
        })
    }

    /// A table function in FROM.
    pub(super) fn table_function(&self, call: &ast::Call, left: &NameList, outer: Option<&Scope>) -> Result<Source> {
        let name = call.name.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".");
        let pos = call.pos;
        if name.eq_ignore_ascii_case("RANGE_SESSIONIZE") {
            return self.range_sessionize(call, outer);
        }
        if name.eq_ignore_ascii_case("GAP_FILL") {
            return self.gap_fill(call, outer);
        }
        let found = self.routine(&call.name, false).filter(|routine| routine.kind == RoutineKind::TableFunction);
        let Some(routine) = found else {
            if let Some(error) = super::unsupported::function(&name) {
                return Err(error.at(pos));
            }
            return Err(SqlError::analysis(format!("Table-valued function not found: {name}")).at(pos));
        };
        if call.args.len() != routine.arguments.len() {
            let text = format!(
                "Number of arguments does not match for table-valued function {name}; expected {}, found {}",
                routine.arguments.len(),
                call.args.len()
            );
            return Err(SqlError::analysis(text).at(pos));
        }
        let scope = Scope::new(left, outer);
        let cx = Cx::plain(&scope, "table function arguments");
        let mut tables: Vec<(String, Query)> = Vec::new();
        let mut targets = Vec::new();
        for (declared, arg) in routine.arguments.iter().zip(&call.args) {
            if declared.is_table {
                tables.push((declared.name.clone(), self.table_argument(arg, outer)?));
                continue;
            }
            let value = self.expr(arg, &cx)?;
            let value = match &declared.ty {
                Some(ty) => {
                    let found = self.type_name_of(&value);
                    self.implicit(value, ty)?.map_err(|_| {
                        let text = format!(
                            "Argument {} of {name} has type {found}, which does not coerce to {ty}",
                            declared.name
                        );
                        SqlError::analysis(text).at(arg.pos)
                    })?
                }
                None => value,
            };
            targets.push((Rc::from(declared.name.as_str()), Target::Expr(Rc::new(value))));
        }
        let query = self.table_body(&routine, &name, tables, targets, pos)?;
        let names = super::query::names_of(&query.columns, query.value_table);
        Ok((query.rel, names))
    }

    /// The function's query, with tables as common tables and values as names around it.
    pub(super) fn table_body(
        &self,
        routine: &Arc<Routine>,
        name: &str,
        tables: Vec<(String, Query)>,
        targets: Vec<(Rc<str>, Target)>,
        pos: Pos,
    ) -> Result<Query> {
        self.over_tables(name, &routine.body, tables, targets, pos)
    }

    /// A query's text with tables and values put under the names that it uses.
    pub(super) fn over_tables(
        &self,
        name: &str,
        sql: &str,
        tables: Vec<(String, Query)>,
        targets: Vec<(Rc<str>, Target)>,
        pos: Pos,
    ) -> Result<Query> {
        self.inlined(Inlined::function(name, sql), pos, || {
            let parsed = crate::parser::parse_query(sql)?;
            let names = NameList::of_targets(targets);
            let scope = Scope::new(&names, None);
            self.behind_wall(|| {
                let mut ctes = Vec::with_capacity(tables.len());
                for (name, table) in tables {
                    let id = self.new_cte();
                    let columns = table.columns.iter().map(|out| (out.name.clone(), out.ty.clone())).collect();
                    let entry = CteEntry::new(Some(name.clone()), id, columns, table.value_table);
                    self.ctes.borrow_mut().push(Rc::new(entry));
                    ctes.push(Cte {
                        id,
                        name,
                        columns: table.columns.iter().map(|out| out.id).collect(),
                        types: table.columns.iter().map(|out| out.ty.clone()).collect(),
                        kind: CteKind::Plain(table.rel),
                    });
                }
                let mut query = self.query(&parsed, Some(&scope))?;
                if !ctes.is_empty() {
                    query.rel = Rel::With { ctes, body: Box::new(query.rel) };
                }
                Ok(query)
            })
        })
    }

    pub(super) fn table_argument(&self, arg: &ast::Expr, outer: Option<&Scope>) -> Result<Query> {
        match &arg.kind {
            A::TableArgument(path) => {
                let (rel, names) = self.table_path(path, None)?;
                Ok(self.query_of(rel, &names))
            }
            A::ScalarSubquery(query) => self.query(query, outer),
            A::Parenthesized(inner) => self.table_argument(inner, outer),
            _ => Err(SqlError::analysis("Argument must be TABLE name or a query in parentheses").at(arg.pos)),
        }
    }
}
