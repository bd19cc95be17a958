//! Operators: precedence climbing, with GoogleSQL's levels and its non-associative comparisons.
//!
//! From loose to tight: OR; AND; NOT; comparisons, IS, IN, LIKE, BETWEEN (none of which chain); `|`; `^`; `&`;
//! `<<` `>>`; `+` `-`; `*` `/` `||`; unary `+` `-` `~`; fields and subscripts.
//! Source: GoogleSQL's operator reference, "Operator precedence".

use super::Parser;
use crate::ast::{BinaryOp, Expr, ExprKind, InList, IsTest, Quantifier, UnaryOp};
use crate::error::{Pos, Result};
use crate::lexer::{Kind, Kw, Sym};

/// The tightest binary level; comparisons are below 1.
const MULTIPLICATIVE: u8 = 6;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.nested(Self::or_expr)
    }

    pub(super) fn boxed_expr(&mut self) -> Result<Box<Expr>> {
        self.expr().map(Box::new)
    }

    pub(super) fn node(&self, kind: ExprKind, pos: Pos) -> Expr {
        Expr { kind, pos, end: self.end() }
    }

    fn or_expr(&mut self) -> Result<Expr> {
        let first = self.and_expr()?;
        if !self.is_kw(Kw::Or) {
            return Ok(first);
        }
        let pos = first.pos;
        let mut items = vec![first];
        while self.eat_kw(Kw::Or) {
            items.push(self.and_expr()?);
        }
        Ok(self.node(ExprKind::Or(items), pos))
    }

    fn and_expr(&mut self) -> Result<Expr> {
        let first = self.not_expr()?;
        if !self.is_kw(Kw::And) {
            return Ok(first);
        }
        let pos = first.pos;
        let mut items = vec![first];
        while self.eat_kw(Kw::And) {
            items.push(self.not_expr()?);
        }
        Ok(self.node(ExprKind::And(items), pos))
    }

    fn not_expr(&mut self) -> Result<Expr> {
        if !self.is_kw(Kw::Not) {
            return self.comparison();
        }
        let pos = self.pos();
        self.advance();
        let expr = self.nested(Self::not_expr)?;
        Ok(self.node(ExprKind::Unary { op: UnaryOp::Not, expr: Box::new(expr) }, pos))
    }

    fn comparison(&mut self) -> Result<Expr> {
        let left = self.binary(1)?;
        let pos = left.pos;
        let op = match self.kind() {
            Kind::Sym(Sym::Equal) => BinaryOp::Equal,
            Kind::Sym(Sym::NotEqual | Sym::LessGreater) => BinaryOp::NotEqual,
            Kind::Sym(Sym::Less) => BinaryOp::Less,
            Kind::Sym(Sym::LessOrEqual) => BinaryOp::LessOrEqual,
            Kind::Sym(Sym::Greater) => BinaryOp::Greater,
            Kind::Sym(Sym::GreaterOrEqual) => BinaryOp::GreaterOrEqual,
            Kind::Word(Kw::Is) => return self.is_test(left),
            Kind::Word(Kw::In) => return self.in_list(left, false),
            Kind::Word(Kw::Like) => return self.like(left, false),
            Kind::Word(Kw::Between) => return self.between(left, false),
            Kind::Word(Kw::Not) => {
                let follow: fn(&mut Self, Expr, bool) -> Result<Expr> = match self.kind_ahead(1) {
                    Kind::Word(Kw::In) => Self::in_list,
                    Kind::Word(Kw::Like) => Self::like,
                    Kind::Word(Kw::Between) => Self::between,
                    _ => return Ok(left),
                };
                self.advance();
                return follow(self, left, true);
            }
            _ => return Ok(left),
        };
        let op_pos = self.pos();
        self.advance();
        let right = self.operand()?;
        self.grow()?;
        let kind = ExprKind::Binary { op, left: Box::new(left), right: Box::new(right), op_pos };
        Ok(self.node(kind, pos))
    }

    /// The right side of a comparison: `a = NOT b` is legal, though it looks odd.
    fn operand(&mut self) -> Result<Expr> {
        if self.is_kw(Kw::Not) { self.not_expr() } else { self.binary(1) }
    }

    fn is_test(&mut self, left: Expr) -> Result<Expr> {
        let pos = left.pos;
        self.advance();
        let negated = self.eat_kw(Kw::Not);
        if self.eat_kws(Kw::Distinct, Kw::From) {
            let right = self.binary(1)?;
            self.grow()?;
            let kind = ExprKind::IsDistinctFrom { left: Box::new(left), right: Box::new(right), negated };
            return Ok(self.node(kind, pos));
        }
        let what = match self.kind() {
            Kind::Word(Kw::Null) => IsTest::Null,
            Kind::Word(Kw::True) => IsTest::True,
            Kind::Word(Kw::False) => IsTest::False,
            Kind::Word(Kw::Unknown) => IsTest::Unknown,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        self.grow()?;
        Ok(self.node(ExprKind::Is { expr: Box::new(left), what, negated }, pos))
    }

    fn between(&mut self, left: Expr, negated: bool) -> Result<Expr> {
        let pos = left.pos;
        self.advance();
        let low = self.binary(1)?;
        self.expect_kw(Kw::And)?;
        let high = self.binary(1)?;
        self.grow()?;
        let kind = ExprKind::Between { expr: Box::new(left), low: Box::new(low), high: Box::new(high), negated };
        Ok(self.node(kind, pos))
    }

    fn in_list(&mut self, left: Expr, negated: bool) -> Result<Expr> {
        let pos = left.pos;
        self.advance();
        let list = self.value_list()?;
        self.grow()?;
        Ok(self.node(ExprKind::In { expr: Box::new(left), list, negated }, pos))
    }

    fn like(&mut self, left: Expr, negated: bool) -> Result<Expr> {
        let pos = left.pos;
        self.advance();
        let quantifier = match self.kind() {
            Kind::Word(Kw::Any) => Quantifier::Any,
            Kind::Word(Kw::Some) => Quantifier::Some,
            Kind::Word(Kw::All) => Quantifier::All,
            _ => {
                let pattern = self.operand()?;
                self.grow()?;
                let kind = ExprKind::Like { expr: Box::new(left), pattern: Box::new(pattern), negated };
                return Ok(self.node(kind, pos));
            }
        };
        self.advance();
        let list = self.value_list()?;
        self.grow()?;
        Ok(self.node(ExprKind::LikeQuantified { expr: Box::new(left), quantifier, list, negated }, pos))
    }

    /// `(a, b)`, `(query)` or `UNNEST(array)` behind IN and LIKE ANY.
    fn value_list(&mut self) -> Result<InList> {
        if self.eat_kw(Kw::Unnest) {
            self.expect(Sym::Open)?;
            let array = self.boxed_expr()?;
            self.expect(Sym::Close)?;
            return Ok(InList::Unnest(array));
        }
        if !self.is(Sym::Open) {
            return Err(self.expected("\"(\" or keyword UNNEST"));
        }
        if self.query_in_parens() {
            self.advance();
            let query = self.query()?;
            self.expect(Sym::Close)?;
            return Ok(InList::Query(Box::new(query)));
        }
        self.paren_list(Self::expr).map(InList::Exprs)
    }

    /// Left-associative operators whose level is at least `min`.
    pub(super) fn binary(&mut self, min: u8) -> Result<Expr> {
        let outside = std::mem::take(&mut self.height);
        let mut left = self.unary()?;
        while let Some((op, level, tokens)) = self.binary_op() {
            if level < min {
                break;
            }
            let op_pos = self.pos();
            for _ in 0..tokens {
                self.advance();
            }
            let right = if level == MULTIPLICATIVE { self.unary()? } else { self.binary(level + 1)? };
            self.grow()?;
            let pos = left.pos;
            left = self.node(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right), op_pos }, pos);
        }
        self.height = self.height.max(outside);
        Ok(left)
    }

    /// The operator here, its level, and how many tokens it takes.
    fn binary_op(&self) -> Option<(BinaryOp, u8, usize)> {
        let Kind::Sym(symbol) = self.kind() else {
            return None;
        };
        Some(match symbol {
            Sym::Bar => (BinaryOp::BitOr, 1, 1),
            Sym::Caret => (BinaryOp::BitXor, 2, 1),
            Sym::Ampersand => (BinaryOp::BitAnd, 3, 1),
            Sym::ShiftLeft => (BinaryOp::ShiftLeft, 4, 1),
            Sym::Greater if self.is_ahead(1, Sym::Greater) && self.token_at(self.at + 1).start == self.token().end => {
                (BinaryOp::ShiftRight, 4, 2)
            }
            Sym::Plus => (BinaryOp::Add, 5, 1),
            Sym::Minus => (BinaryOp::Subtract, 5, 1),
            Sym::Star => (BinaryOp::Multiply, MULTIPLICATIVE, 1),
            Sym::Slash => (BinaryOp::Divide, MULTIPLICATIVE, 1),
            Sym::Concat => (BinaryOp::Concat, MULTIPLICATIVE, 1),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Expr> {
        let op = match self.kind() {
            Kind::Sym(Sym::Minus) => UnaryOp::Minus,
            Kind::Sym(Sym::Plus) => UnaryOp::Plus,
            Kind::Sym(Sym::Tilde) => UnaryOp::BitNot,
            _ => return self.postfix(),
        };
        let pos = self.pos();
        self.advance();
        let expr = self.nested(Self::unary)?;
        Ok(self.node(ExprKind::Unary { op, expr: Box::new(expr) }, pos))
    }

    /// Fields, subscripts and chained calls behind a primary expression.
    fn postfix(&mut self) -> Result<Expr> {
        let outside = std::mem::take(&mut self.height);
        let mut expr = self.primary()?;
        loop {
            match self.kind() {
                // `t.*` belongs to the select list.
                Kind::Sym(Sym::Dot) if !self.is_ahead(1, Sym::Star) => {
                    self.advance();
                    let field = self.any_word()?;
                    self.grow()?;
                    let pos = expr.pos;
                    expr = if self.is(Sym::Open) {
                        self.chained_call(expr, field)?
                    } else {
                        self.node(ExprKind::Field { expr: Box::new(expr), field }, pos)
                    };
                }
                Kind::Sym(Sym::OpenBracket) => {
                    self.advance();
                    let index = self.boxed_expr()?;
                    self.expect(Sym::CloseBracket)?;
                    self.grow()?;
                    let pos = expr.pos;
                    expr = self.node(ExprKind::Subscript { expr: Box::new(expr), index }, pos);
                }
                _ => break,
            }
        }
        self.height = self.height.max(outside);
        Ok(expr)
    }
}
