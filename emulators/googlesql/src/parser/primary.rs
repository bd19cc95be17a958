//! Expressions without operators: literals, names, parameters, constructors, calls, CASE, CAST, subqueries.

use super::Parser;
use crate::ast::{
    Bound, Call, Expr, ExprKind, Frame, HavingModifier, Ident, NullsModifier, OrderItem, Path, TypeName, TypeNameKind,
    WindowSpec,
};
use crate::error::{Pos, Result, SqlError};
use crate::lexer::literal::{bytes_value, string_value};
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let token = self.token();
        let pos = token.start;
        match token.kind {
            Kind::Int => {
                self.advance();
                Ok(self.node(ExprKind::Int(self.token_text(token).to_owned()), pos))
            }
            Kind::Float => {
                self.advance();
                Ok(self.node(ExprKind::Float(self.token_text(token).to_owned()), pos))
            }
            Kind::String => {
                let text = self.string_literal()?;
                Ok(self.node(ExprKind::String(text), pos))
            }
            Kind::Bytes => self.bytes_literal(),
            Kind::Sym(Sym::Open) => self.parenthesized(),
            Kind::Sym(Sym::OpenBracket) => self.array_items(None, pos),
            Kind::Sym(Sym::Question) => {
                self.advance();
                let index = self.positional;
                self.positional += 1;
                Ok(self.node(ExprKind::PositionalParameter(index), pos))
            }
            Kind::Sym(Sym::At) => {
                self.advance();
                let name = self.any_word()?.name;
                Ok(self.node(ExprKind::NamedParameter(name), pos))
            }
            Kind::Sym(Sym::AtAt) => {
                let path = self.system_variable()?;
                Ok(self.node(ExprKind::SystemVariable(path), pos))
            }
            Kind::Word(keyword) if keyword != Kw::None => self.keyword_primary(keyword, pos),
            Kind::Word(_) | Kind::Quoted => self.name_or_call(),
            _ => Err(self.unexpected()),
        }
    }

    /// `@@a.b`.
    pub(super) fn system_variable(&mut self) -> Result<Path> {
        let pos = self.pos();
        self.expect(Sym::AtAt)?;
        let mut parts = vec![self.any_word()?];
        while self.eat(Sym::Dot) {
            parts.push(self.any_word()?);
        }
        Ok(Path { parts, pos })
    }

    fn keyword_primary(&mut self, keyword: Kw, pos: Pos) -> Result<Expr> {
        let literal = self.kind_ahead(1) == Kind::String;
        let open = self.is_ahead(1, Sym::Open);
        match keyword {
            Kw::Null => {
                self.advance();
                Ok(self.node(ExprKind::Null, pos))
            }
            Kw::True | Kw::False => {
                self.advance();
                Ok(self.node(ExprKind::Bool(keyword == Kw::True), pos))
            }
            Kw::Date
            | Kw::Datetime
            | Kw::Time
            | Kw::Timestamp
            | Kw::Numeric
            | Kw::Decimal
            | Kw::BigNumeric
            | Kw::BigDecimal
            | Kw::Json
                if literal =>
            {
                let ty = self.simple_type(keyword.text());
                self.advance();
                self.typed_literal(ty, pos)
            }
            Kw::Range if self.is_ahead(1, Sym::Less) => {
                let ty = self.type_name()?;
                if self.kind() != Kind::String {
                    return Err(self.unexpected());
                }
                self.typed_literal(ty, pos)
            }
            Kw::Interval => self.interval(pos),
            Kw::Case => self.case(pos),
            Kw::Cast => self.cast(false, pos),
            Kw::SafeCast if open => self.cast(true, pos),
            Kw::Extract => self.extract(pos),
            Kw::Array => self.array(pos),
            Kw::Struct => self.structure(pos),
            Kw::Exists if open => {
                self.advance();
                self.advance();
                let query = self.query()?;
                self.expect(Sym::Close)?;
                Ok(self.node(ExprKind::Exists(Box::new(query)), pos))
            }
            Kw::With if open => self.with_expr(pos),
            // Reserved, but functions of that name exist.
            Kw::If | Kw::Left | Kw::Right | Kw::Range | Kw::Grouping | Kw::Collate if open => {
                let name = self.any_word()?;
                self.call(Path { parts: vec![name], pos })
            }
            _ if keyword.reserved() => Err(self.unexpected()),
            _ => self.name_or_call(),
        }
    }

    fn name_or_call(&mut self) -> Result<Expr> {
        let pos = self.pos();
        let name = self.identifier()?;
        // `a.b.c(` is a function's path; anything else is a name with fields behind it.
        let mut ahead = 0;
        while self.is_ahead(ahead, Sym::Dot) && matches!(self.kind_ahead(ahead + 1), Kind::Word(_) | Kind::Quoted) {
            ahead += 2;
        }
        if !self.is_ahead(ahead, Sym::Open) {
            return Ok(self.node(ExprKind::Name(name), pos));
        }
        let mut parts = split_quoted(name);
        while self.eat(Sym::Dot) {
            parts.extend(split_quoted(self.any_word()?));
        }
        self.call(Path { parts, pos })
    }

    // ------------------------------------------------------------ literals

    /// One string literal or several in a row, which are one.
    pub(super) fn string_literal(&mut self) -> Result<String> {
        let token = self.token();
        if token.kind != Kind::String {
            return Err(self.expected("string literal"));
        }
        let mut value = string_value(self.token_text(token), token.start)?;
        self.advance();
        while self.literal_continues(Kind::String)? {
            let token = self.advance();
            value.push_str(&string_value(self.token_text(token), token.start)?);
        }
        Ok(value)
    }

    fn bytes_literal(&mut self) -> Result<Expr> {
        let token = self.advance();
        let mut value = bytes_value(self.token_text(token), token.start)?;
        while self.literal_continues(Kind::Bytes)? {
            let token = self.advance();
            value.extend(bytes_value(self.token_text(token), token.start)?);
        }
        Ok(self.node(ExprKind::Bytes(value), token.start))
    }

    fn literal_continues(&self, kind: Kind) -> Result<bool> {
        if !matches!(self.kind(), Kind::String | Kind::Bytes) {
            return Ok(false);
        }
        if self.kind() != kind {
            return Err(self.refuse("string and bytes literals cannot be concatenated.".to_owned()));
        }
        if self.pos() == self.end() {
            let text = "concatenated string literals must be separated by whitespace or comments";
            return Err(self.refuse(text.to_owned()));
        }
        Ok(true)
    }

    fn typed_literal(&mut self, ty: TypeName, pos: Pos) -> Result<Expr> {
        let text = self.string_literal()?;
        Ok(self.node(ExprKind::TypedLiteral { ty, text }, pos))
    }

    fn simple_type(&self, name: &str) -> TypeName {
        TypeName {
            kind: TypeNameKind::Simple(name.to_owned()),
            parameters: Vec::new(),
            collate: None,
            not_null: false,
            options: Vec::new(),
            pos: self.pos(),
        }
    }

    fn interval(&mut self, pos: Pos) -> Result<Expr> {
        self.advance();
        let value = self.boxed_expr()?;
        let from = self.identifier()?;
        let to = if self.eat_kw(Kw::To) { Some(self.identifier()?) } else { None };
        Ok(self.node(ExprKind::Interval { value, from, to }, pos))
    }

    // ------------------------------------------------------------ constructors

    fn array_items(&mut self, element: Option<TypeName>, pos: Pos) -> Result<Expr> {
        self.expect(Sym::OpenBracket)?;
        let mut items = Vec::new();
        while !self.is(Sym::CloseBracket) {
            items.push(self.expr()?);
            if !self.is(Sym::CloseBracket) && !self.eat(Sym::Comma) {
                return Err(self.expected("\"]\" or \",\""));
            }
            if self.is(Sym::CloseBracket) && self.token_at(self.at - 1).kind == Kind::Sym(Sym::Comma) {
                return Err(self.unexpected());
            }
        }
        self.advance();
        Ok(self.node(ExprKind::Array { element, items }, pos))
    }

    /// `ARRAY[…]`, `ARRAY<T>[…]`, `ARRAY(query)`.
    fn array(&mut self, pos: Pos) -> Result<Expr> {
        if self.is_ahead(1, Sym::Open) {
            self.advance();
            self.advance();
            let query = self.query()?;
            self.expect(Sym::Close)?;
            return Ok(self.node(ExprKind::ArraySubquery(Box::new(query)), pos));
        }
        if self.is_ahead(1, Sym::OpenBracket) {
            self.advance();
            return self.array_items(None, pos);
        }
        let ty = self.type_name()?;
        match ty.kind {
            TypeNameKind::Array(element) => self.array_items(Some(*element), pos),
            _ => Err(self.unexpected()),
        }
    }

    /// `STRUCT(a AS b, …)`, `STRUCT<T>(…)`.
    fn structure(&mut self, pos: Pos) -> Result<Expr> {
        let ty = if self.is_ahead(1, Sym::Open) {
            self.advance();
            None
        } else {
            Some(self.type_name()?)
        };
        self.expect(Sym::Open)?;
        let mut fields = Vec::new();
        if !self.is(Sym::Close) {
            fields = self.comma_list(|parser| {
                let value = parser.expr()?;
                let alias = parser.alias(false)?;
                Ok((value, alias))
            })?;
        }
        self.expect_list_end()?;
        Ok(self.node(ExprKind::Struct { ty, fields }, pos))
    }

    /// A subquery, a struct without names, or just parentheses.
    fn parenthesized(&mut self) -> Result<Expr> {
        let pos = self.pos();
        if self.query_in_parens() {
            self.advance();
            let query = self.query()?;
            self.expect(Sym::Close)?;
            return Ok(self.node(ExprKind::ScalarSubquery(Box::new(query)), pos));
        }
        self.advance();
        let first = self.expr()?;
        if self.eat(Sym::Comma) {
            let mut items = vec![first];
            items.extend(self.comma_list(Self::expr)?);
            self.expect_list_end()?;
            return Ok(self.node(ExprKind::Tuple(items), pos));
        }
        if !self.is(Sym::Close) {
            let what = if matches!(self.kind(), Kind::Word(Kw::As)) { "\",\"" } else { "\")\"" };
            return Err(self.expected(what));
        }
        self.advance();
        Ok(self.node(ExprKind::Parenthesized(Box::new(first)), pos))
    }

    /// `WITH(a AS 1, b AS a + 1, a + b)`.
    fn with_expr(&mut self, pos: Pos) -> Result<Expr> {
        self.advance();
        self.expect(Sym::Open)?;
        let mut bindings = Vec::new();
        while self.at_identifier() && self.is_kw_ahead(1, Kw::As) {
            let name = self.identifier()?;
            self.expect_kw(Kw::As)?;
            bindings.push((name, self.expr()?));
            self.expect(Sym::Comma)?;
        }
        let body = self.boxed_expr()?;
        self.expect(Sym::Close)?;
        Ok(self.node(ExprKind::With { bindings, body }, pos))
    }

    // ------------------------------------------------------------ special forms

    fn case(&mut self, pos: Pos) -> Result<Expr> {
        self.advance();
        let operand = if self.is_kw(Kw::When) { None } else { Some(self.boxed_expr()?) };
        let mut branches = Vec::new();
        while self.is_kw(Kw::When) || branches.is_empty() {
            self.expect_kw(Kw::When)?;
            let condition = self.expr()?;
            self.expect_kw(Kw::Then)?;
            branches.push((condition, self.expr()?));
        }
        let otherwise = if self.eat_kw(Kw::Else) { Some(self.boxed_expr()?) } else { None };
        self.expect_kw(Kw::End)?;
        Ok(self.node(ExprKind::Case { operand, branches, otherwise }, pos))
    }

    fn cast(&mut self, safe: bool, pos: Pos) -> Result<Expr> {
        self.advance();
        self.expect(Sym::Open)?;
        let expr = self.boxed_expr()?;
        self.expect_kw(Kw::As)?;
        let ty = self.type_name()?;
        let mut format = None;
        let mut time_zone = None;
        if self.eat_kw(Kw::Format) {
            format = Some(self.boxed_expr()?);
            time_zone = self.at_time_zone()?;
        }
        self.expect(Sym::Close)?;
        Ok(self.node(ExprKind::Cast { expr, ty, safe, format, time_zone }, pos))
    }

    fn at_time_zone(&mut self) -> Result<Option<Box<Expr>>> {
        if !self.eat_kw(Kw::At) {
            return Ok(None);
        }
        self.expect_kw(Kw::Time)?;
        self.expect_kw(Kw::Zone)?;
        self.boxed_expr().map(Some)
    }

    fn extract(&mut self, pos: Pos) -> Result<Expr> {
        self.advance();
        self.expect(Sym::Open)?;
        let part = self.boxed_expr()?;
        self.expect_kw(Kw::From)?;
        let from = self.boxed_expr()?;
        let time_zone = self.at_time_zone()?;
        self.expect(Sym::Close)?;
        Ok(self.node(ExprKind::Extract { part, from, time_zone }, pos))
    }

    // ------------------------------------------------------------ calls

    /// `base.name(…)`.
    pub(super) fn chained_call(&mut self, base: Expr, name: Ident) -> Result<Expr> {
        let path = Path { pos: name.pos, parts: vec![name] };
        let pos = base.pos;
        let mut call = self.bare_call(path)?;
        call.chained = true;
        call.args.insert(0, base);
        self.finish_call(call, pos)
    }

    fn call(&mut self, name: Path) -> Result<Expr> {
        let pos = name.pos;
        let call = self.bare_call(name)?;
        self.finish_call(call, pos)
    }

    fn finish_call(&mut self, mut call: Call, pos: Pos) -> Result<Expr> {
        if self.eat_kw(Kw::Over) {
            call.over = Some(self.window_spec()?);
        }
        Ok(self.node(ExprKind::Call(Box::new(call)), pos))
    }

    /// The parentheses of a call with all that may stand in them.
    pub(super) fn bare_call(&mut self, name: Path) -> Result<Call> {
        let pos = name.pos;
        self.expect(Sym::Open)?;
        let mut call = Call {
            name,
            chained: false,
            args: Vec::new(),
            distinct: self.eat_kw(Kw::Distinct),
            nulls: None,
            filter: None,
            group_by: Vec::new(),
            having: None,
            order_by: Vec::new(),
            limit: None,
            over: None,
            pos,
        };
        if self.is(Sym::Star) {
            let star = self.advance();
            call.args.push(Expr { kind: ExprKind::Star, pos: star.start, end: star.end });
        } else if !self.is(Sym::Close) {
            call.args = self.comma_list(Self::argument)?;
        }
        if self.is_kw(Kw::Ignore) || self.is_kw(Kw::Respect) {
            let ignore = self.advance().kind == Kind::Word(Kw::Ignore);
            self.expect_kw(Kw::Nulls)?;
            call.nulls = Some(if ignore { NullsModifier::Ignore } else { NullsModifier::Respect });
        }
        if self.eat_kw(Kw::Where) {
            call.filter = Some(self.expr()?);
        }
        if self.eat_kws(Kw::Group, Kw::By) {
            call.group_by = self.comma_list(Self::expr)?;
        }
        if self.eat_kw(Kw::Having) {
            let max = match self.kind() {
                Kind::Word(Kw::Max) => true,
                Kind::Word(Kw::Min) => false,
                _ => return Err(self.expected("keyword MAX or keyword MIN")),
            };
            self.advance();
            call.having = Some(HavingModifier { max, expr: self.expr()? });
        }
        if self.eat_kws(Kw::Order, Kw::By) {
            call.order_by = self.comma_list(Self::order_item)?;
        }
        if self.eat_kw(Kw::Limit) {
            call.limit = Some(self.expr()?);
        }
        self.expect_list_end()?;
        Ok(call)
    }

    fn argument(&mut self) -> Result<Expr> {
        let pos = self.pos();
        if self.at_identifier() && self.is_ahead(1, Sym::FatArrow) {
            let name = self.identifier()?;
            self.advance();
            let value = Box::new(self.argument_value()?);
            return Ok(self.node(ExprKind::NamedArgument { name, value }, pos));
        }
        self.argument_value()
    }

    fn argument_value(&mut self) -> Result<Expr> {
        let pos = self.pos();
        if self.at_identifier() && self.is_ahead(1, Sym::Arrow) {
            let parameters = vec![self.identifier()?];
            return self.lambda(parameters, pos);
        }
        if self.is(Sym::Open) {
            let close = self.token().pair as usize;
            if close > 0 && self.token_at(close + 1).kind == Kind::Sym(Sym::Arrow) {
                self.advance();
                let parameters = if self.is(Sym::Close) { Vec::new() } else { self.comma_list(Self::identifier)? };
                self.expect_list_end()?;
                return self.lambda(parameters, pos);
            }
        }
        if (self.is_kw(Kw::Table) || self.is_kw(Kw::Model)) && self.identifier_ahead(1) {
            self.advance();
            let path = self.table_path()?;
            return Ok(self.node(ExprKind::TableArgument(path), pos));
        }
        // A query may stand as a table argument without parentheses of its own.
        if self.is_kw(Kw::Select) || (self.is_kw(Kw::With) && !self.is_ahead(1, Sym::Open)) {
            let text = "Each function argument is an expression, not a query; to use a query as an expression, \
                        the query must be wrapped with additional parentheses to make it a scalar subquery expression";
            return Err(SqlError::syntax(format!("Syntax error: {text}")).at(pos));
        }
        self.expr()
    }

    fn lambda(&mut self, parameters: Vec<Ident>, pos: Pos) -> Result<Expr> {
        self.expect(Sym::Arrow)?;
        let body = self.boxed_expr()?;
        Ok(self.node(ExprKind::Lambda { parameters, body }, pos))
    }

    // ------------------------------------------------------------ order and windows

    pub(super) fn order_item(&mut self) -> Result<OrderItem> {
        let expr = self.expr()?;
        self.order_suffix(expr)
    }

    /// COLLATE, ASC or DESC, NULLS FIRST or LAST behind an expression.
    pub(super) fn order_suffix(&mut self, expr: Expr) -> Result<OrderItem> {
        let collate = if self.eat_kw(Kw::Collate) { Some(self.string_literal()?) } else { None };
        let descending = self.eat_kw(Kw::Desc);
        if !descending {
            self.eat_kw(Kw::Asc);
        }
        let mut nulls_first = None;
        if self.eat_kw(Kw::Nulls) {
            nulls_first = match self.kind() {
                Kind::Word(Kw::First) => Some(true),
                Kind::Word(Kw::Last) => Some(false),
                _ => return Err(self.expected("keyword FIRST or keyword LAST")),
            };
            self.advance();
        }
        let pos = expr.pos;
        Ok(OrderItem { expr, descending, nulls_first, collate, pos })
    }

    /// What stands behind OVER or in a WINDOW clause.
    pub(super) fn window_spec(&mut self) -> Result<WindowSpec> {
        let pos = self.pos();
        let mut spec = WindowSpec { base: None, partition_by: Vec::new(), order_by: Vec::new(), frame: None, pos };
        if !self.is(Sym::Open) {
            spec.base = Some(self.identifier()?);
            return Ok(spec);
        }
        self.advance();
        if self.at_identifier() {
            spec.base = Some(self.identifier()?);
        }
        if self.eat_kw(Kw::Partition) {
            self.expect_kw(Kw::By)?;
            spec.partition_by = self.comma_list(Self::expr)?;
        }
        if self.eat_kw(Kw::Order) {
            self.expect_kw(Kw::By)?;
            spec.order_by = self.comma_list(Self::order_item)?;
        }
        if self.is_kw(Kw::Rows) || self.is_kw(Kw::Range) {
            spec.frame = Some(self.frame()?);
        }
        self.expect(Sym::Close)?;
        Ok(spec)
    }

    fn frame(&mut self) -> Result<Frame> {
        let pos = self.pos();
        let rows = self.advance().kind == Kind::Word(Kw::Rows);
        if self.eat_kw(Kw::Between) {
            let start = self.bound()?;
            self.expect_kw(Kw::And)?;
            let end = Some(self.bound()?);
            return Ok(Frame { rows, start, end, pos });
        }
        Ok(Frame { rows, start: self.bound()?, end: None, pos })
    }

    fn bound(&mut self) -> Result<Bound> {
        if self.eat_kw(Kw::Current) {
            self.expect_kw(Kw::Row)?;
            return Ok(Bound::CurrentRow);
        }
        if self.eat_kw(Kw::Unbounded) {
            let preceding = self.is_kw(Kw::Preceding);
            if !preceding && !self.is_kw(Kw::Following) {
                return Err(self.expected("keyword FOLLOWING or keyword PRECEDING"));
            }
            self.advance();
            return Ok(if preceding { Bound::UnboundedPreceding } else { Bound::UnboundedFollowing });
        }
        let expr = self.boxed_expr()?;
        let preceding = self.is_kw(Kw::Preceding);
        if !preceding && !self.is_kw(Kw::Following) {
            return Err(self.expected("keyword FOLLOWING or keyword PRECEDING"));
        }
        self.advance();
        Ok(if preceding { Bound::Preceding(expr) } else { Bound::Following(expr) })
    }
}

/// Backticks around a whole path make several names: `` `project.dataset.f` ``. A project with a domain
/// (`example.com:project`) keeps its dots.
pub(super) fn split_quoted(ident: Ident) -> Vec<Ident> {
    if !ident.quoted || !ident.name.contains('.') {
        return vec![ident];
    }
    let domain = ident.name.find(':').unwrap_or(0);
    let (head, tail) = ident.name.split_at(domain);
    let mut offset = ident.pos + 1;
    let mut parts = Vec::new();
    for (index, piece) in tail.split('.').enumerate() {
        let name = if index == 0 { format!("{head}{piece}") } else { piece.to_owned() };
        let len = name.len() as Pos;
        parts.push(Ident { name, quoted: true, pos: offset });
        offset += len + 1;
    }
    parts
}
