//! COLLATE where two texts are compared or sorted: `und:ci` there means without regard to case.
//!
//! Nothing carries a collation further: any other use of COLLATE with a collation is refused when it is evaluated.

use crate::ast;
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Expr, ExprKind};
use crate::types::Type;
use crate::value::Value;

use super::Analyzer;

/// Scalar functions that compare their arguments as operators do.
pub(super) fn compares(name: &str) -> bool {
    matches!(
        name,
        "$equal"
            | "$not_equal"
            | "$less"
            | "$less_or_equal"
            | "$greater"
            | "$greater_or_equal"
            | "$in"
            | "starts_with"
            | "ends_with"
            | "strpos"
            | "instr"
    )
}

/// What COLLATE is called on, and the collation, where that is a literal.
pub(super) fn collated(expr: &Expr) -> Option<(&Expr, &str)> {
    let ExprKind::Call { function, args, .. } = &expr.kind else { return None };
    match args.as_slice() {
        [value, Expr { kind: ExprKind::Literal(Value::String(name)), .. }] if function.name == "collate" => {
            Some((value, name))
        }
        _ => None,
    }
}

impl Analyzer<'_> {
    /// The operands as they are compared: where one has a collation, all texts by their folded form.
    pub(super) fn without_collation(&self, operands: Vec<Expr>) -> Result<Vec<Expr>> {
        let named: Vec<&str> = operands.iter().filter_map(collated).map(|(_, name)| name).collect();
        if named.is_empty() {
            return Ok(operands);
        }
        let folds = named.iter().any(|name| !is_binary(name));
        let plain = |operand: Expr| {
            let (pos, value) = match collated(&operand) {
                Some((value, name)) => {
                    known(name, operand.pos)?;
                    (operand.pos, value.clone())
                }
                None => (operand.pos, operand),
            };
            if folds && value.ty == Type::String { self.folded(value, pos) } else { Ok(value) }
        };
        operands.into_iter().map(plain).collect()
    }

    /// What ORDER BY sorts by.
    pub(super) fn sorted_by(&self, item: &ast::OrderItem, expr: Expr) -> Result<Expr> {
        if let Some((value, name)) = collated(&expr) {
            known(name, expr.pos)?;
            return if is_binary(name) { Ok(value.clone()) } else { self.folded(value.clone(), expr.pos) };
        }
        let Some(name) = &item.collate else { return Ok(expr) };
        if expr.ty != Type::String {
            let text = format!("COLLATE can only be applied to expressions of type STRING, but was {}", expr.ty);
            return Err(SqlError::analysis(text).at(item.pos));
        }
        known(name, item.pos)?;
        if is_binary(name) { Ok(expr) } else { self.folded(expr, item.pos) }
    }

    fn folded(&self, value: Expr, pos: Pos) -> Result<Expr> {
        self.call_scalar("normalize_and_casefold", vec![value], pos)
    }
}

fn is_binary(name: &str) -> bool {
    name.is_empty() || name == "binary"
}

fn known(name: &str, pos: Pos) -> Result<()> {
    if is_binary(name) || name == "und:ci" {
        return Ok(());
    }
    Err(SqlError::analysis(format!("Invalid collation name: {name}")).at(pos))
}
