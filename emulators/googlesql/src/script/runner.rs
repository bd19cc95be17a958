//! Control flow: which statement runs next, with which variables, and what happens when one fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::host::{Frame, Host, Stack, StatementContext};
use super::variables::{Scope, settable};
use super::{Environment, Finished, cancelled, failure};
use crate::analyzer::{self, visit};
use crate::ast::{self, Block, Expr, ExprKind, Ident, SetTarget, Statement, StatementKind};
use crate::cast;
use crate::catalog::{Parameters, QueryResult};
use crate::coercion::{self, Origin};
use crate::error::{ErrorKind, Pos, SqlError};
use crate::exec::{self, ExecContext};
use crate::functions::EvalContext;
use crate::plan::{self, AnalyzerContext};
use crate::types::{Type, TypeParams};
use crate::value::Value;

/// A failed statement with what `@@error` tells of it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// In its final words, located.
    pub error: SqlError,
    pub statement: String,
    pub frames: Vec<Frame>,
}

pub(super) type Outcome<T> = Result<T, Box<Failure>>;

/// What comes after a statement.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Flow {
    Next,
    /// Out of the loop or block of that label, or of the innermost loop.
    Break(Option<String>),
    Continue(Option<String>),
    Return,
}

/// The script itself, a procedure's call, or dynamic SQL.
#[derive(Debug)]
pub(super) struct Call {
    pub text: Arc<str>,
    pub procedure: Option<String>,
    pub scope: Scope,
    pub parameters: Arc<Parameters>,
    /// The statement or expression that runs now.
    pub start: Pos,
    pub end: Pos,
}

#[derive(Debug)]
pub(super) struct Calls(pub Vec<Call>);

impl Stack for Calls {
    fn frames(&self) -> Vec<Frame> {
        let frame = |call: &Call| failure::frame(call.procedure.as_deref(), &call.text, call.start, call.end);
        self.0.iter().rev().map(frame).collect()
    }
}

pub(super) struct Runner<'a, H: Host> {
    pub host: &'a mut H,
    pub environment: &'a Environment,
    pub time_zone: String,
    /// A script and not one plain statement.
    pub child: bool,
    pub calls: Calls,
    pub last: Option<H::Done>,
    pub children: u64,
    in_transaction: bool,
    /// What the exception handlers that run now handle, the innermost last.
    handling: Vec<Failure>,
    steps: u64,
}

impl<'a, H: Host> Runner<'a, H> {
    pub fn new(
        text: &str,
        parameters: &Parameters,
        environment: &'a Environment,
        host: &'a mut H,
        child: bool,
    ) -> Runner<'a, H> {
        let mut scope = Scope::default();
        scope.start(host, &environment.project, &environment.time_zone);
        if environment.session {
            scope.all.extend(host.session_variables());
        }
        let call = Call {
            text: Arc::from(text),
            procedure: None,
            scope,
            parameters: Arc::new(parameters.clone()),
            start: 0,
            end: 0,
        };
        Runner {
            in_transaction: host.in_transaction(),
            host,
            environment,
            time_zone: environment.time_zone.clone(),
            child,
            calls: Calls(vec![call]),
            last: None,
            children: 0,
            handling: Vec::new(),
            steps: 0,
        }
    }

    pub fn run(mut self, statements: &[Statement]) -> Result<Finished<H::Done>, SqlError> {
        let result = self.list(statements);
        if self.in_transaction && !self.environment.session {
            self.host.rollback_transaction()?;
        }
        if self.environment.session
            && let Some(script) = self.calls.0.first_mut()
        {
            let mut variables = std::mem::take(&mut script.scope.all);
            variables.retain(|name, _| !name.starts_with("@@"));
            self.host.keep_variables(variables);
        }
        match result {
            Ok(_) => Ok(Finished { last: self.last, children: self.children }),
            Err(failure) => Err(failure.error),
        }
    }

    // ------------------------------------------------------------ frames and failures

    /// There is always one: the script's own.
    pub fn call(&mut self) -> Outcome<&mut Call> {
        self.calls.0.last_mut().ok_or_else(|| {
            let error = SqlError::internal("A script without a frame");
            Box::new(Failure { error, statement: String::new(), frames: Vec::new() })
        })
    }

    pub fn scope(&mut self) -> Outcome<&mut Scope> {
        self.call().map(|call| &mut call.scope)
    }

    /// The error of the statement that runs now, in its final words.
    pub fn failed(&self, error: SqlError) -> Box<Failure> {
        let frames = self.calls.frames();
        let statement = frames.first().map(|frame| frame.text.clone()).unwrap_or_default();
        let error = match self.calls.0.last() {
            Some(call) if self.child => failure::in_script(error, &call.text, call.start, call.procedure.as_deref()),
            Some(call) => error.locate(&call.text),
            None => error,
        };
        Box::new(Failure { error, statement, frames })
    }

    pub fn list(&mut self, statements: &[Statement]) -> Outcome<Flow> {
        for statement in statements {
            let flow = self.statement(statement)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// One step further, unless somebody says stop.
    fn step(&mut self, start: Pos, end: Pos) -> Outcome<()> {
        let call = self.call()?;
        (call.start, call.end) = (start, end);
        self.steps += 1;
        if self.environment.cancel.load(Ordering::Relaxed) {
            return Err(self.failed(cancelled()));
        }
        if self.environment.step_limit.is_some_and(|limit| self.steps > limit) {
            let text = "Resources exceeded during query execution: The script ran too many statements.";
            return Err(self.failed(SqlError::resources(text)));
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Outcome<Flow> {
        self.step(statement.pos, statement.end)?;
        use StatementKind::*;
        match &statement.kind {
            Declare { names, ty, default } => self.declare(names, ty.as_ref(), default.as_ref())?,
            Set { targets, value } => self.set(targets, value)?,
            Block(block) => return self.block(block),
            If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.condition(condition)? {
                        return self.list(body);
                    }
                }
                return otherwise.as_ref().map_or(Ok(Flow::Next), |body| self.list(body));
            }
            CaseStatement { operand, branches, otherwise } => {
                return self.case(operand.as_ref(), branches, otherwise.as_deref());
            }
            Loop { label, body } => return self.rounds(label, statement, |_, _| Ok(true), body, |_| Ok(false)),
            While { label, condition, body } => {
                return self.rounds(label, statement, |runner, _| runner.condition(condition), body, |_| Ok(false));
            }
            Repeat { label, body, until } => {
                return self.rounds(label, statement, |_, _| Ok(true), body, |runner| runner.condition(until));
            }
            For { label, variable, query, body } => return self.for_loop(label, statement, variable, query, body),
            Break(label) => return Ok(Flow::Break(label.as_ref().map(|label| label.name.to_lowercase()))),
            Continue(label) => return Ok(Flow::Continue(label.as_ref().map(|label| label.name.to_lowercase()))),
            Return => return Ok(Flow::Return),
            Raise { message } => return Err(self.raise(message.as_ref())?),
            Assert { condition, message } => self.assert(condition, message.as_ref())?,
            ExecuteImmediate(immediate) => self.execute_immediate(immediate)?,
            ast::StatementKind::Call { name, args } => self.call_procedure(name, args)?,
            BeginTransaction | CommitTransaction | RollbackTransaction => self.transaction(statement)?,
            _ => {
                let done = self.hand_over(statement)?;
                self.last = Some(done);
            }
        }
        Ok(Flow::Next)
    }

    /// Gives a statement to the host.
    pub fn hand_over(&mut self, statement: &Statement) -> Outcome<H::Done> {
        let Some(call) = self.calls.0.last() else {
            return Err(self.failed(SqlError::internal("A script without a frame")));
        };
        let text = call.text.get(statement.pos as usize..statement.end as usize).unwrap_or_default();
        let context = StatementContext {
            variables: &call.scope.all,
            parameters: &call.parameters,
            time_zone: &self.time_zone,
            text,
            child: self.child,
            stack: &self.calls,
        };
        let result = self.host.run_statement(statement, context);
        self.children += u64::from(self.child);
        let done = result.map_err(|error| self.failed(error))?;
        let affected = self.host.affected_rows(&done).and_then(|rows| i64::try_from(rows).ok());
        if let Some(call) = self.calls.0.last_mut() {
            call.scope.refresh(self.host);
            if let Some(affected) = affected {
                call.scope.set("@@row_count", Type::Int64, Value::Int64(affected));
            }
        }
        Ok(done)
    }

    // ------------------------------------------------------------ expressions

    /// The value of an expression, converted to `ty` if one is given.
    pub fn value(&mut self, expr: &Expr, ty: Option<&Type>) -> Outcome<(Type, Value)> {
        let catalog = self.host.catalog();
        let eval = EvalContext {
            now: self.host.now(),
            time_zone: self.time_zone.clone(),
            draws: self.environment.draws.clone(),
            session_user: self.environment.session_user.clone(),
            project: self.environment.project.clone(),
        };
        let Some(call) = self.calls.0.last_mut() else {
            return Err(self.failed(SqlError::internal("A script without a frame")));
        };
        (call.start, call.end) = (expr.pos, expr.end);
        let Some(call) = self.calls.0.last() else {
            return Err(self.failed(SqlError::internal("A script without a frame")));
        };
        let context = AnalyzerContext {
            catalog: &*catalog,
            parameters: &call.parameters,
            variables: &call.scope.all,
            eval: &eval,
            cancel: None,
        };
        let resolved = match ty {
            Some(ty) => analyzer::analyze_assignment(expr, ty, &context),
            None => analyzer::analyze_expression(expr, &context),
        };
        let mut reads = false;
        let result = resolved.and_then(|resolved| {
            reads = visit::any(&resolved, &mut |expr| matches!(expr.kind, plan::ExprKind::Subquery { .. }));
            let context = ExecContext {
                cancel: self.environment.cancel.clone(),
                memory_limit: self.environment.memory_limit,
                ..ExecContext::new(eval.clone())
            };
            let mut values = exec::eval_row(std::slice::from_ref(&resolved), &context)?;
            Ok((resolved.ty, values.pop().unwrap_or_default()))
        });
        if reads && self.child {
            self.children += 1;
            let context = StatementContext {
                variables: &call.scope.all,
                parameters: &call.parameters,
                time_zone: &self.time_zone,
                text: call.text.get(expr.pos as usize..expr.end as usize).unwrap_or_default(),
                child: true,
                stack: &self.calls,
            };
            self.host.evaluated(context, result.as_ref().map(|(_, value)| value));
        }
        result.map_err(|error| self.failed(error))
    }

    /// NULL is false.
    fn condition(&mut self, expr: &Expr) -> Outcome<bool> {
        let (_, value) = self.value(expr, Some(&Type::Bool))?;
        Ok(matches!(value, Value::Bool(true)))
    }

    /// A value that is there already, converted to a variable's type as an assignment would.
    pub fn convert(&mut self, value: Value, from: &Type, to: &Type) -> Outcome<Value> {
        if from == to {
            return Ok(value);
        }
        if !coercion::assigns(from, to, Origin::Expression) {
            let text = format!("Cannot coerce expression of type {from} to type {to}");
            return Err(self.failed(SqlError::analysis(text)));
        }
        let eval = EvalContext {
            now: self.host.now(),
            time_zone: self.time_zone.clone(),
            draws: self.environment.draws.clone(),
            session_user: String::new(),
            project: String::new(),
        };
        cast::cast(&value, from, to, &eval).map_err(|error| self.failed(error))
    }

    /// Assigns to a declared variable.
    pub fn assign(&mut self, target: &Ident, from: &Type, value: Value) -> Outcome<()> {
        let Some((to, _)) = self.scope()?.get(&target.name).cloned() else {
            return Err(self.failed(undeclared(target)));
        };
        let value = self.convert(value, from, &to)?;
        let result = self.scope()?.assign(&target.name, value);
        result.map_err(|error| self.failed(error))
    }

    // ------------------------------------------------------------ variables

    fn declare(&mut self, names: &[Ident], ty: Option<&ast::TypeName>, default: Option<&Expr>) -> Outcome<()> {
        let declared = match ty.map(analyzer::resolve_type).transpose() {
            Ok(declared) => declared,
            Err(error) => return Err(self.failed(error)),
        };
        let (ty, params, value) = match (declared, default) {
            (Some((ty, params)), Some(default)) => {
                let (_, value) = self.value(default, Some(&ty))?;
                let value = cast::enforce(value, &ty, &params).map_err(|error| self.failed(error))?;
                (ty, params, value)
            }
            // NULL arrays do not exist as variables.
            (Some((ty, params)), None) => (ty, params, Value::Null),
            (None, Some(default)) => {
                let (ty, value) = self.value(default, None)?;
                (ty, TypeParams::default(), value)
            }
            (None, None) => return Err(self.failed(SqlError::internal("DECLARE without type and value"))),
        };
        for name in names {
            self.scope()?.declare(&name.name, ty.clone(), params.clone(), value.clone());
        }
        Ok(())
    }

    fn set(&mut self, targets: &[SetTarget], expr: &Expr) -> Outcome<()> {
        let [target] = targets else {
            return self.set_several(targets, expr);
        };
        match target {
            SetTarget::Variable(name) => {
                let Some((ty, _)) = self.scope()?.get(&name.name).cloned() else {
                    return Err(self.failed(undeclared(name)));
                };
                let (_, value) = self.value(expr, Some(&ty))?;
                let result = self.scope()?.assign(&name.name, value);
                result.map_err(|error| self.failed(error))
            }
            SetTarget::System(path) => {
                let name = path.parts.iter().map(|part| part.name.to_lowercase()).collect::<Vec<_>>().join(".");
                let Some(ty) = settable(&name) else {
                    let known = self.scope()?.get(&format!("@@{name}")).is_some();
                    let text = if known {
                        format!("Cannot assign to read-only system variable @@{name}")
                    } else {
                        format!("Unrecognized system variable: @@{name}")
                    };
                    return Err(self.failed(SqlError::analysis(text).at(path.pos)));
                };
                let (_, value) = self.value(expr, Some(&ty))?;
                self.set_system(&name, ty, value)
            }
        }
    }

    fn set_system(&mut self, name: &str, ty: Type, value: Value) -> Outcome<()> {
        if name == "time_zone" {
            let Value::String(zone) = &value else {
                return Err(self.failed(SqlError::analysis("System variable @@time_zone cannot be NULL")));
            };
            cast::named_zone(zone).map_err(|error| self.failed(error))?;
            self.time_zone = zone.to_string();
        }
        let told = self.host.set_system_variable(name, &value);
        told.map_err(|error| self.failed(error))?;
        for call in &mut self.calls.0 {
            call.scope.set(&format!("@@{name}"), ty.clone(), value.clone());
        }
        Ok(())
    }

    /// `SET (a, b) = struct`: all values are computed before the first is assigned.
    fn set_several(&mut self, targets: &[SetTarget], expr: &Expr) -> Outcome<()> {
        let mut names = Vec::new();
        for target in targets {
            match target {
                SetTarget::Variable(name) => names.push(name),
                SetTarget::System(path) => {
                    let text = "System variables cannot be assigned together with others";
                    return Err(self.failed(SqlError::analysis(text).at(path.pos)));
                }
            }
        }
        let mut values = Vec::new();
        if let ExprKind::Tuple(items) = &expr.kind
            && items.len() == names.len()
        {
            for (name, item) in names.iter().zip(items) {
                let Some((ty, _)) = self.scope()?.get(&name.name).cloned() else {
                    return Err(self.failed(undeclared(name)));
                };
                values.push(self.value(item, Some(&ty))?);
            }
        } else {
            let (ty, value) = self.value(expr, None)?;
            let Type::Struct(fields) = &ty else {
                let text = format!("Cannot coerce expression of type {ty} to a struct with {} fields", names.len());
                return Err(self.failed(SqlError::analysis(text).at(expr.pos)));
            };
            if fields.fields.len() != names.len() {
                let text = format!(
                    "Number of fields in struct ({}) does not match number of variables ({})",
                    fields.fields.len(),
                    names.len()
                );
                return Err(self.failed(SqlError::analysis(text).at(expr.pos)));
            }
            for (at, field) in fields.fields.iter().enumerate() {
                let item = match &value {
                    Value::Struct(items) => items.get(at).cloned().unwrap_or_default(),
                    _ => {
                        return Err(
                            self.failed(SqlError::evaluation("Cannot assign a NULL struct to multiple variables"))
                        );
                    }
                };
                values.push((field.ty.clone(), item));
            }
        }
        for (name, (ty, value)) in names.into_iter().zip(values) {
            self.assign(name, &ty, value)?;
        }
        Ok(())
    }

    // ------------------------------------------------------------ blocks and loops

    fn block(&mut self, block: &Block) -> Outcome<Flow> {
        let result = self.list(&block.body);
        for statement in &block.body {
            match &statement.kind {
                StatementKind::Declare { names, .. } => {
                    for name in names {
                        self.scope()?.remove(&name.name);
                    }
                }
                _ => break,
            }
        }
        let flow = match (result, &block.exception) {
            (Err(failure), Some(handler)) if failure.error.kind != ErrorKind::Cancelled => {
                self.handle(*failure, handler)?
            }
            (result, _) => result?,
        };
        Ok(match (flow, &block.label) {
            (Flow::Break(Some(name)), Some(label)) if label.name.eq_ignore_ascii_case(&name) => Flow::Next,
            (flow, _) => flow,
        })
    }

    fn handle(&mut self, failure: Failure, handler: &[Statement]) -> Outcome<Flow> {
        let before = self.scope()?.error_values();
        let message = failure.error.to_string();
        self.scope()?.error(&message, &failure.statement, &failure.frames);
        self.handling.push(failure);
        let result = self.list(handler);
        self.handling.pop();
        self.scope()?.all.extend(before);
        result
    }

    fn raise(&mut self, message: Option<&Expr>) -> Outcome<Box<Failure>> {
        let Some(message) = message else {
            let error = SqlError::analysis("Cannot re-raise an existing exception outside of an exception handler");
            return Ok(self.handling.last().cloned().map_or_else(|| self.failed(error), Box::new));
        };
        let call = self.call()?;
        let (start, end) = (call.start, call.end);
        let (_, value) = self.value(message, Some(&Type::String))?;
        let call = self.call()?;
        (call.start, call.end) = (start, end);
        Ok(match value {
            Value::String(text) => self.failed(SqlError::raised(text.to_string())),
            _ => self.failed(SqlError::analysis("Exception message in RAISE cannot be NULL")),
        })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Vec<Statement>)],
        otherwise: Option<&[Statement]>,
    ) -> Outcome<Flow> {
        const OPERAND: &str = "$case";
        let operand = match operand {
            Some(operand) => Some(self.value(operand, None)?),
            None => None,
        };
        for (condition, body) in branches {
            let met = match &operand {
                None => self.condition(condition)?,
                Some((ty, value)) => {
                    self.scope()?.set(OPERAND, ty.clone(), value.clone());
                    let (pos, end) = (condition.pos, condition.end);
                    let name = Ident { name: OPERAND.to_owned(), quoted: true, pos };
                    let kind = ExprKind::Binary {
                        op: ast::BinaryOp::Equal,
                        left: Box::new(Expr { kind: ExprKind::Name(name), pos, end }),
                        right: Box::new(condition.clone()),
                        op_pos: pos,
                    };
                    let met = self.condition(&Expr { kind, pos, end });
                    self.scope()?.remove(OPERAND);
                    met?
                }
            };
            if met {
                return self.list(body);
            }
        }
        otherwise.map_or(Ok(Flow::Next), |body| self.list(body))
    }

    /// Any loop: `go_on` before each round (with its number), `stop` behind it.
    fn rounds(
        &mut self,
        label: &Option<Ident>,
        statement: &Statement,
        mut go_on: impl FnMut(&mut Self, usize) -> Outcome<bool>,
        body: &[Statement],
        mut stop: impl FnMut(&mut Self) -> Outcome<bool>,
    ) -> Outcome<Flow> {
        let mine = |name: &Option<String>| match (name, label) {
            (None, _) => true,
            (Some(name), Some(label)) => label.name.eq_ignore_ascii_case(name),
            (Some(_), None) => false,
        };
        let mut round = 0;
        loop {
            self.step(statement.pos, statement.end)?;
            if !go_on(self, round)? {
                return Ok(Flow::Next);
            }
            match self.list(body)? {
                Flow::Next => {}
                Flow::Continue(name) if mine(&name) => {}
                Flow::Break(name) if mine(&name) => return Ok(Flow::Next),
                other => return Ok(other),
            }
            if stop(self)? {
                return Ok(Flow::Next);
            }
            round += 1;
        }
    }

    fn for_loop(
        &mut self,
        label: &Option<Ident>,
        statement: &Statement,
        variable: &Ident,
        query: &ast::Query,
        body: &[Statement],
    ) -> Outcome<Flow> {
        let kind = StatementKind::Query(Box::new(query.clone()));
        let source = Statement { kind, pos: query.pos, end: query.end };
        let done = self.hand_over(&source)?;
        let Some(result) = self.host.rows(&done) else {
            return Err(self.failed(SqlError::internal("A query without rows")));
        };
        let ty = row_type(result);
        let rows: Vec<Value> = rows_of(result).map(Value::structure).collect();
        let mut rows = rows.into_iter();
        let flow = self.rounds(
            label,
            statement,
            |runner, _| match rows.next() {
                Some(row) => {
                    runner.scope()?.set(&variable.name, ty.clone(), row);
                    Ok(true)
                }
                None => Ok(false),
            },
            body,
            |_| Ok(false),
        );
        self.scope()?.remove(&variable.name);
        flow
    }

    // ------------------------------------------------------------ the rest

    fn assert(&mut self, condition: &Expr, message: Option<&Expr>) -> Outcome<()> {
        if self.condition(condition)? {
            return Ok(());
        }
        let text = match message.map(|message| &message.kind) {
            Some(ExprKind::String(text)) => format!("Assertion failed: {text}"),
            _ => "Assertion failed".to_owned(),
        };
        Err(self.failed(SqlError::evaluation(text)))
    }

    fn transaction(&mut self, statement: &Statement) -> Outcome<()> {
        let (wrong, result) = match &statement.kind {
            StatementKind::BeginTransaction if self.in_transaction => {
                (Some("BEGIN TRANSACTION is not allowed: there is already an active transaction"), Ok(()))
            }
            StatementKind::BeginTransaction => (None, self.host.begin_transaction()),
            _ if !self.in_transaction => {
                (Some("COMMIT and ROLLBACK TRANSACTION are not allowed: there is no active transaction"), Ok(()))
            }
            StatementKind::CommitTransaction => (None, self.host.commit_transaction()),
            _ => (None, self.host.rollback_transaction()),
        };
        if let Some(text) = wrong {
            return Err(self.failed(SqlError::analysis(text).at(statement.pos)));
        }
        self.children += u64::from(self.child);
        // A failed commit has rolled back.
        let begun = matches!(statement.kind, StatementKind::BeginTransaction);
        if !begun || result.is_ok() {
            self.in_transaction = begun;
        }
        result.map_err(|error| self.failed(error))
    }
}

fn undeclared(name: &Ident) -> SqlError {
    SqlError::analysis(format!("Undeclared variable: {}", name.name)).at(name.pos)
}

/// A row as a struct.
pub(super) fn row_type(result: &QueryResult) -> Type {
    Type::struct_of(result.columns.iter().map(|(name, ty)| (name.clone(), ty.clone())))
}

pub(super) fn rows_of(result: &QueryResult) -> impl Iterator<Item = Vec<Value>> + '_ {
    result.batches.iter().flat_map(|batch| (0..batch.len).map(|row| batch.row(row)))
}
