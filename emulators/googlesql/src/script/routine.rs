//! CALL and EXECUTE IMMEDIATE: statements that come from another text.

use std::sync::Arc;

use super::host::Host;
use super::runner::{Call, Flow, Outcome, Runner, rows_of};
use super::variables::Scope;
use super::{check, is_procedural};
use crate::ast::{ExecuteImmediate, Expr, ExprKind, Ident, Path, StatementKind};
use crate::catalog::{ArgumentDirection, Parameters, Routine, RoutineArgument, RoutineKind};
use crate::error::SqlError;
use crate::parser;
use crate::stack::{SHALLOW, with_room};
use crate::types::{Type, TypeParams};
use crate::value::Value;

/// Procedures that call each other; production's limit.
const MAX_CALLS: usize = 50;

impl<H: Host> Runner<'_, H> {
    pub(super) fn call_procedure(&mut self, name: &Path, args: &[Expr]) -> Outcome<()> {
        let parts: Vec<String> = name.parts.iter().map(|part| part.name.clone()).collect();
        let routine = self.host.catalog().routine(&parts);
        match routine {
            Some(routine) if routine.kind == RoutineKind::Procedure => self.call_routine(&routine, name, args),
            _ => self.call_system(&parts.join("."), name, args),
        }
    }

    fn call_system(&mut self, joined: &str, name: &Path, args: &[Expr]) -> Outcome<()> {
        let mut values = Vec::new();
        if joined.len() > 3 && joined.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("BQ.")) {
            for arg in args {
                values.push(self.value(arg, None)?.1);
            }
            if let Some(result) = self.host.system_procedure(joined, &values) {
                return result.map_err(|error| self.failed(error));
            }
        }
        Err(self.failed(SqlError::not_found(format!("Procedure not found: {joined}")).at(name.pos)))
    }

    fn call_routine(&mut self, routine: &Arc<Routine>, name: &Path, args: &[Expr]) -> Outcome<()> {
        let id = routine.name.join(".");
        if args.len() != routine.arguments.len() {
            let text =
                format!("Procedure {id} expects {} arguments, but {} were given", routine.arguments.len(), args.len());
            return Err(self.failed(SqlError::analysis(text).at(name.pos)));
        }
        if self.calls.0.len() >= MAX_CALLS {
            let text = format!("Out of stack space: procedure calls nest deeper than {MAX_CALLS}");
            return Err(self.failed(SqlError::resources(text)));
        }
        let (start, end) = self.call().map(|call| (call.start, call.end))?;
        let mut scope = Scope::default();
        for (argument, arg) in routine.arguments.iter().zip(args) {
            let (ty, value) = self.argument(argument, arg)?;
            scope.declare(&argument.name, ty, TypeParams::default(), value);
        }
        let caller = self.call()?;
        (caller.start, caller.end) = (start, end);
        scope.adopt_system(&caller.scope);

        let body: Arc<str> = Arc::from(routine.body.as_str());
        let parsed = parser::parse(&body).and_then(|script| check::script(&script.statements).map(|()| script));
        let script = parsed.map_err(|error| {
            let error = error.locate(&body);
            self.failed(SqlError::analysis(format!("Procedure {id} is invalid: {error}")).at(name.pos))
        })?;
        self.calls.0.push(Call {
            text: body,
            procedure: Some(id),
            scope,
            parameters: Arc::default(),
            start: 0,
            end: 0,
        });
        // Every call on a stack of its own: their number is bounded, not what each needs.
        let result = with_room(script.height.max(SHALLOW + 1), || self.list(&script.statements));
        let finished = self.calls.0.pop();
        match result {
            Ok(flow) => {
                flow?;
            }
            Err(error) => return Err(self.failed(error)),
        }
        let Some(finished) = finished else {
            return Ok(());
        };
        self.scope()?.adopt_system(&finished.scope);
        for (argument, arg) in routine.arguments.iter().zip(args) {
            if argument.direction != ArgumentDirection::In
                && let ExprKind::Name(target) = &arg.kind
                && let Some((ty, value)) = finished.scope.get(&argument.name)
            {
                self.assign(target, ty, value.clone())?;
            }
        }
        Ok(())
    }

    /// The type and first value of a parameter.
    fn argument(&mut self, argument: &RoutineArgument, arg: &Expr) -> Outcome<(Type, Value)> {
        if argument.direction == ArgumentDirection::In {
            let (ty, value) = self.value(arg, argument.ty.as_ref())?;
            return Ok((argument.ty.clone().unwrap_or(ty), value));
        }
        let variable = match &arg.kind {
            ExprKind::Name(Ident { name, .. }) => self.scope()?.get(name).cloned(),
            _ => None,
        };
        let Some((ty, value)) = variable else {
            let direction = if argument.direction == ArgumentDirection::Out { "OUT" } else { "INOUT" };
            let text = format!("{direction} argument {} must be a variable", argument.name);
            return Err(self.failed(SqlError::analysis(text).at(arg.pos)));
        };
        let to = argument.ty.clone().unwrap_or_else(|| ty.clone());
        if argument.direction == ArgumentDirection::Out {
            return Ok((to, Value::Null));
        }
        let value = self.convert(value, &ty, &to)?;
        Ok((to, value))
    }

    pub(super) fn execute_immediate(&mut self, immediate: &ExecuteImmediate) -> Outcome<()> {
        let (start, end) = self.call().map(|call| (call.start, call.end))?;
        let (_, sql) = self.value(&immediate.sql, Some(&Type::String))?;
        let Value::String(sql) = sql else {
            return Err(self.failed(SqlError::analysis("EXECUTE IMMEDIATE sql string cannot be NULL")));
        };
        let mut parameters = Parameters::default();
        for (expr, name) in &immediate.using {
            let value = self.value(expr, None)?;
            match name {
                Some(name) => drop(parameters.named.insert(name.name.to_lowercase(), value)),
                None => parameters.positional.push(value),
            }
        }
        if !parameters.named.is_empty() && !parameters.positional.is_empty() {
            let text = "EXECUTE IMMEDIATE USING clause cannot mix named and positional parameters";
            return Err(self.failed(SqlError::analysis(text)));
        }
        let caller = self.call()?;
        (caller.start, caller.end) = (start, end);
        let invalid = |error: SqlError| {
            let error = error.locate(&sql);
            SqlError::analysis(format!("Invalid EXECUTE IMMEDIATE sql string `{sql}`, {error}")).at(immediate.sql.pos)
        };
        let statement = match parser::parse_statement(&sql) {
            Ok(statement) => statement,
            Err(error) => return Err(self.failed(invalid(error))),
        };
        if is_procedural(&statement)
            && !matches!(statement.kind, StatementKind::Call { .. } | StatementKind::Assert { .. })
        {
            let text = "SQL created by EXECUTE IMMEDIATE contains unsupported statement type";
            return Err(self.failed(SqlError::analysis(text).at(immediate.sql.pos)));
        }
        // Dynamic SQL sees no variables but the system's.
        let mut scope = Scope::default();
        scope.adopt_system(&self.call()?.scope);
        self.calls.0.push(Call {
            text: Arc::from(&*sql),
            procedure: None,
            scope,
            parameters: Arc::new(parameters),
            start: statement.pos,
            end: statement.end,
        });
        let result = self.dynamic(&statement, !immediate.into.is_empty());
        let finished = self.calls.0.pop();
        let row = result?;
        if let Some(finished) = finished {
            self.scope()?.adopt_system(&finished.scope);
        }
        if !immediate.into.is_empty() {
            self.store_row(&immediate.into, row)?;
        }
        Ok(())
    }

    /// Runs the one statement; with `wanted` its only row comes back.
    fn dynamic(&mut self, statement: &crate::ast::Statement, wanted: bool) -> Outcome<Option<Vec<(Type, Value)>>> {
        if is_procedural(statement) {
            let flow = self.list(std::slice::from_ref(statement))?;
            debug_assert_eq!(flow, Flow::Next);
            return Ok(None);
        }
        let done = self.hand_over(statement)?;
        if !wanted {
            self.last = Some(done);
            return Ok(None);
        }
        let Some(result) = self.host.rows(&done) else {
            let text = "EXECUTE IMMEDIATE with an INTO clause requires a query";
            return Err(self.failed(SqlError::analysis(text)));
        };
        let mut rows = rows_of(result);
        let first = rows.next();
        if rows.next().is_some() {
            drop(rows);
            let text = "The dynamic SQL query returned more than one row, which is not allowed with INTO";
            return Err(self.failed(SqlError::evaluation(text)));
        }
        drop(rows);
        let types = result.columns.iter().map(|(_, ty)| ty.clone());
        let row = first.unwrap_or_else(|| vec![Value::Null; result.columns.len()]);
        Ok(Some(types.zip(row).collect()))
    }

    fn store_row(&mut self, into: &[Ident], row: Option<Vec<(Type, Value)>>) -> Outcome<()> {
        let row = row.unwrap_or_default();
        if row.len() != into.len() {
            let text =
                format!("The INTO clause has {} variables, but the query returns {} columns", into.len(), row.len());
            return Err(self.failed(SqlError::analysis(text)));
        }
        for (target, (ty, value)) in into.iter().zip(row) {
            self.assign(target, &ty, value)?;
        }
        Ok(())
    }
}
