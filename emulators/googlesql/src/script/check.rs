//! What a script is refused for before its first statement runs: misplaced declarations, jumps and labels.
//!
//! Source: GoogleSQL's procedural language reference; texts as its parser of scripts words them.

use crate::ast::{Ident, Statement, StatementKind};
use crate::error::{Result, SqlError};

#[derive(Default)]
struct Checker<'a> {
    /// Declared in this block or one around it; lower case.
    names: Vec<String>,
    /// Around this statement, the innermost last; `true` for loops.
    labels: Vec<(Option<&'a Ident>, bool)>,
    handlers: usize,
}

/// Checks a whole script or a procedure's body.
pub(super) fn script(statements: &[Statement]) -> Result<()> {
    Checker::default().list(statements, true)
}

impl<'a> Checker<'a> {
    fn list(&mut self, statements: &'a [Statement], may_declare: bool) -> Result<()> {
        let outside = self.names.len();
        let mut declaring = may_declare;
        for statement in statements {
            match &statement.kind {
                StatementKind::Declare { names, .. } if declaring => {
                    for name in names {
                        self.declare(name)?;
                    }
                }
                StatementKind::Declare { .. } => {
                    let text = "Variable declarations are allowed only at the start of a block or script";
                    return Err(SqlError::analysis(text).at(statement.pos));
                }
                _ => {
                    declaring = false;
                    self.statement(statement)?;
                }
            }
        }
        self.names.truncate(outside);
        Ok(())
    }

    fn declare(&mut self, name: &Ident) -> Result<()> {
        let lower = name.name.to_lowercase();
        if self.names.contains(&lower) {
            return Err(SqlError::analysis(format!("Variable '{}' redeclaration", name.name)).at(name.pos));
        }
        self.names.push(lower);
        Ok(())
    }

    fn statement(&mut self, statement: &'a Statement) -> Result<()> {
        use StatementKind::*;
        match &statement.kind {
            Block(block) => self.within(&block.label, false, |checker| {
                checker.list(&block.body, true)?;
                if let Some(handler) = &block.exception {
                    checker.handlers += 1;
                    checker.list(handler, false)?;
                    checker.handlers -= 1;
                }
                Ok(())
            }),
            If { branches, otherwise } => {
                for (_, body) in branches {
                    self.list(body, false)?;
                }
                otherwise.as_ref().map_or(Ok(()), |body| self.list(body, false))
            }
            CaseStatement { branches, otherwise, .. } => {
                for (_, body) in branches {
                    self.list(body, false)?;
                }
                otherwise.as_ref().map_or(Ok(()), |body| self.list(body, false))
            }
            Loop { label, body } | While { label, body, .. } | Repeat { label, body, .. } => {
                self.within(label, true, |checker| checker.list(body, false))
            }
            For { label, variable, body, .. } => {
                let outside = self.names.len();
                self.declare(variable)?;
                self.within(label, true, |checker| checker.list(body, false))?;
                self.names.truncate(outside);
                Ok(())
            }
            Break(label) => self.jump("BREAK", label, statement, false),
            Continue(label) => self.jump("CONTINUE", label, statement, true),
            Raise { message: None } if self.handlers == 0 => {
                let text = "Cannot re-raise an existing exception outside of an exception handler";
                Err(SqlError::analysis(text).at(statement.pos))
            }
            _ => Ok(()),
        }
    }

    fn within(
        &mut self,
        label: &'a Option<Ident>,
        is_loop: bool,
        check: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if let Some(label) = label
            && self.find(label).is_some()
        {
            return Err(SqlError::analysis(format!("Duplicate label {}", label.name)).at(label.pos));
        }
        self.labels.push((label.as_ref(), is_loop));
        check(self)?;
        self.labels.pop();
        Ok(())
    }

    fn find(&self, label: &Ident) -> Option<bool> {
        let same =
            |(known, _): &&(Option<&Ident>, bool)| known.is_some_and(|it| it.name.eq_ignore_ascii_case(&label.name));
        self.labels.iter().rev().find(same).map(|(_, is_loop)| *is_loop)
    }

    fn jump(&self, keyword: &str, label: &Option<Ident>, statement: &Statement, loops_only: bool) -> Result<()> {
        let text = match label {
            None if self.labels.iter().any(|(_, is_loop)| *is_loop) => return Ok(()),
            None => format!("{keyword} is only allowed inside of a loop body"),
            Some(label) => match self.find(label) {
                Some(is_loop) if is_loop || !loops_only => return Ok(()),
                Some(_) => format!("{keyword} requires label {} to be a loop", label.name),
                None => format!("Label {} is not defined or out of scope", label.name),
            },
        };
        Err(SqlError::analysis(text).at(statement.pos))
    }
}

#[cfg(test)]
mod tests {
    use crate::parser::parse_script;

    fn check(text: &str) -> Result<(), String> {
        super::script(&parse_script(text).expect(text)).map_err(|error| error.locate(text).to_string())
    }

    #[test]
    fn declarations_come_first_and_once() {
        assert_eq!(check("DECLARE a INT64; BEGIN DECLARE b INT64; END; BEGIN DECLARE b INT64; END"), Ok(()));
        assert!(
            check("SELECT 1; DECLARE a INT64")
                .expect_err("late")
                .contains("only at the start of a block or script at [1:11]")
        );
        assert!(check("DECLARE a INT64; BEGIN DECLARE A INT64; END").expect_err("twice").contains("'A' redeclaration"));
    }

    #[test]
    fn jumps_need_something_to_leave() {
        assert_eq!(check("x: LOOP BEGIN LEAVE x; END; CONTINUE; END LOOP"), Ok(()));
        assert!(check("BREAK").expect_err("outside").contains("only allowed inside of a loop body"));
        assert!(check("LOOP LEAVE y; END LOOP").expect_err("unknown").contains("Label y"));
        assert!(check("RAISE").expect_err("outside").contains("outside of an exception handler"));
        assert_eq!(check("BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN RAISE; END"), Ok(()));
    }
}
