//! Text to syntax trees: hand-written recursive descent over all of GoogleSQL that BigQuery accepts.
//!
//! This room is the cursor: where the parser stands, what it may take, how it says that something else
//! stood there, and how deep it may go. The grammar is next door: [`expr`] and [`primary`] expressions,
//! [`types`], [`query`] and [`from`] queries, [`pipe`] the `|>` operators, [`dml`], [`ddl`] and [`alter`],
//! [`script`] the statements of the procedural language.
//!
//! Error texts follow GoogleSQL's parser as far as they are known: `Expected X but got Y` where one or two
//! things could follow, `Unexpected Y` else.

mod alter;
mod create;
mod ddl;
mod dml;
mod expr;
mod from;
mod pipe;
mod primary;
mod query;
mod script;
mod types;

#[cfg(test)]
mod tests;

use crate::ast::{Expr, Ident, Path, Query, Statement, TypeName};
use crate::error::{Pos, Result, SqlError};
use crate::lexer::literal::identifier_value;
use crate::lexer::{Kind, Kw, Sym, Token, tokenize};
use crate::stack::{SHALLOW, with_room};

/// How deep parentheses, subqueries, blocks and types may nest.
const MAX_DEPTH: u32 = 250;

/// How high a tree may be: nesting plus chains (`1 + 1 + 1 …`, `a.b.c`, joins), which are built in a loop
/// but are walked by recursion later.
const MAX_HEIGHT: u32 = 1000;

/// A script with how high its highest tree is, so that its user can provide for the stack to walk it.
#[derive(Debug)]
pub struct Script {
    pub statements: Vec<Statement>,
    pub height: u32,
}

/// Parses statements separated by semicolons. Errors carry their position, not yet located.
pub fn parse_script(text: &str) -> Result<Vec<Statement>> {
    parse(text).map(|script| script.statements)
}

/// [`parse_script`] that also tells the height of the trees.
pub fn parse(text: &str) -> Result<Script> {
    with_parser(text, |parser| {
        let statements = parser.script()?;
        Ok(Script { statements, height: parser.height })
    })
}

/// Parses exactly one statement, with or without a semicolon behind it.
pub fn parse_statement(text: &str) -> Result<Statement> {
    with_parser(text, |parser| {
        let statement = parser.statement()?;
        parser.eat(Sym::Semicolon);
        parser.expect_end()?;
        Ok(statement)
    })
}

/// Parses one query (a view's, a table function's), perhaps with a semicolon behind it.
pub fn parse_query(text: &str) -> Result<Query> {
    with_parser(text, |parser| {
        let query = parser.query()?;
        parser.eat(Sym::Semicolon);
        parser.expect_end()?;
        Ok(query)
    })
}

/// Parses one expression: a default value, a function's body, a row restriction.
pub fn parse_expression(text: &str) -> Result<Expr> {
    with_parser(text, |parser| {
        let expr = parser.expr()?;
        parser.expect_end()?;
        Ok(expr)
    })
}

/// Parses a type as a column or parameter may have it.
pub fn parse_type(text: &str) -> Result<TypeName> {
    with_parser(text, |parser| {
        let ty = parser.column_type()?;
        parser.expect_end()?;
        Ok(ty)
    })
}

/// Parses on the caller's stack, and once more on a larger one if the text nests deeper than that allows.
fn with_parser<T: Send>(text: &str, parse: fn(&mut Parser) -> Result<T>) -> Result<T> {
    let mut parser = Parser::new(text, SHALLOW);
    let result = parse(&mut parser);
    if !parser.out_of_depth {
        return result;
    }
    with_room(MAX_DEPTH, || parse(&mut Parser::new(text, MAX_DEPTH)))?
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// Why the token stream broke off.
    lexical: Option<SqlError>,
    at: usize,
    depth: u32,
    max_depth: u32,
    /// The text nests deeper than `max_depth`.
    out_of_depth: bool,
    /// Height of the highest tree finished within the current node.
    height: u32,
    /// How many `?` there were.
    positional: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, max_depth: u32) -> Parser<'a> {
        let tokens = tokenize(text);
        Parser {
            text,
            tokens: tokens.list,
            lexical: tokens.error,
            at: 0,
            depth: 0,
            max_depth,
            out_of_depth: false,
            height: 0,
            positional: 0,
        }
    }

    // ------------------------------------------------------------ looking

    fn token_at(&self, index: usize) -> Token {
        match self.tokens.get(index).or(self.tokens.last()) {
            Some(token) => *token,
            None => Token { kind: Kind::End, start: 0, end: 0, pair: 0 },
        }
    }

    fn token(&self) -> Token {
        self.token_at(self.at)
    }

    fn kind(&self) -> Kind {
        self.token().kind
    }

    fn kind_ahead(&self, ahead: usize) -> Kind {
        self.token_at(self.at + ahead).kind
    }

    /// Where the current token begins.
    fn pos(&self) -> Pos {
        self.token().start
    }

    /// Where the last taken token ends.
    fn end(&self) -> Pos {
        match self.at.checked_sub(1) {
            Some(last) => self.token_at(last).end,
            None => 0,
        }
    }

    fn slice(&self, start: Pos, end: Pos) -> &'a str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    fn token_text(&self, token: Token) -> &'a str {
        self.slice(token.start, token.end)
    }

    fn is(&self, symbol: Sym) -> bool {
        self.kind() == Kind::Sym(symbol)
    }

    fn is_ahead(&self, ahead: usize, symbol: Sym) -> bool {
        self.kind_ahead(ahead) == Kind::Sym(symbol)
    }

    fn is_kw(&self, keyword: Kw) -> bool {
        self.kind() == Kind::Word(keyword)
    }

    fn is_kw_ahead(&self, ahead: usize, keyword: Kw) -> bool {
        self.kind_ahead(ahead) == Kind::Word(keyword)
    }

    /// A word without backticks that reads `word`, for words that are no keywords.
    fn is_word(&self, word: &str) -> bool {
        self.is_word_ahead(0, word)
    }

    fn is_word_ahead(&self, ahead: usize, word: &str) -> bool {
        let token = self.token_at(self.at + ahead);
        matches!(token.kind, Kind::Word(_)) && self.token_text(token).eq_ignore_ascii_case(word)
    }

    fn at_identifier(&self) -> bool {
        self.identifier_ahead(0)
    }

    fn identifier_ahead(&self, ahead: usize) -> bool {
        match self.kind_ahead(ahead) {
            Kind::Word(keyword) => !keyword.reserved(),
            Kind::Quoted => true,
            _ => false,
        }
    }

    // ------------------------------------------------------------ taking

    fn advance(&mut self) -> Token {
        let token = self.token();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, symbol: Sym) -> bool {
        let found = self.is(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn eat_kw(&mut self, keyword: Kw) -> bool {
        let found = self.is_kw(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Takes both or neither.
    fn eat_kws(&mut self, first: Kw, second: Kw) -> bool {
        let found = self.is_kw(first) && self.is_kw_ahead(1, second);
        if found {
            self.advance();
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: Sym) -> Result<Token> {
        if self.is(symbol) {
            return Ok(self.advance());
        }
        Err(self.expected(&format!("\"{}\"", symbol.text())))
    }

    fn expect_kw(&mut self, keyword: Kw) -> Result<Token> {
        if self.is_kw(keyword) {
            return Ok(self.advance());
        }
        Err(self.expected(&format!("keyword {}", keyword.text())))
    }

    fn expect_word(&mut self, word: &str) -> Result<Token> {
        if self.is_word(word) {
            return Ok(self.advance());
        }
        Err(self.expected(&format!("keyword {word}")))
    }

    fn expect_end(&mut self) -> Result<()> {
        match self.kind() {
            Kind::End => Ok(()),
            _ => Err(self.expected("end of input")),
        }
    }

    /// The `)` of a list whose items are separated by commas.
    fn expect_list_end(&mut self) -> Result<Token> {
        if self.is(Sym::Close) {
            return Ok(self.advance());
        }
        Err(self.expected("\")\" or \",\""))
    }

    /// A name that is not a reserved word, or one in backticks.
    fn identifier(&mut self) -> Result<Ident> {
        match self.kind() {
            Kind::Word(keyword) if !keyword.reserved() => self.any_word(),
            Kind::Quoted => self.any_word(),
            _ => Err(self.unexpected()),
        }
    }

    /// Any word; behind a dot reserved ones too are names.
    fn any_word(&mut self) -> Result<Ident> {
        let token = self.token();
        let text = self.token_text(token);
        let ident = match token.kind {
            Kind::Word(_) => Ident { name: text.to_owned(), quoted: false, pos: token.start },
            Kind::Quoted => Ident { name: identifier_value(text, token.start)?, quoted: true, pos: token.start },
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(ident)
    }

    /// `a.b.c`, where nothing but the dots joins the names.
    fn plain_path(&mut self) -> Result<Path> {
        let pos = self.pos();
        let mut parts = vec![self.identifier()?];
        while self.is(Sym::Dot) {
            self.advance();
            parts.push(self.any_word()?);
        }
        Ok(Path { parts, pos })
    }

    /// `item, item, …` with at least one.
    fn comma_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(Sym::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(item, item, …)` with at least one.
    fn paren_list<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect(Sym::Open)?;
        let items = self.comma_list(item)?;
        self.expect_list_end()?;
        Ok(items)
    }

    /// `AS name`, or where `bare` allows it just `name`.
    fn alias(&mut self, bare: bool) -> Result<Option<Ident>> {
        if self.eat_kw(Kw::As) {
            return self.identifier().map(Some);
        }
        if bare && self.at_identifier() {
            return self.identifier().map(Some);
        }
        Ok(None)
    }

    // ------------------------------------------------------------ refusing

    /// The current token as error texts name it.
    fn found(&self) -> String {
        let token = self.token();
        let text = self.token_text(token);
        match token.kind {
            Kind::End | Kind::Invalid => "end of script".to_owned(),
            Kind::Word(Kw::None) => format!("identifier \"{text}\""),
            Kind::Word(keyword) => format!("keyword {}", keyword.text()),
            Kind::Quoted => format!("identifier {text}"),
            Kind::Int => format!("integer literal \"{text}\""),
            Kind::Float => format!("floating point literal \"{text}\""),
            Kind::String => format!("string literal {text}"),
            Kind::Bytes => format!("bytes literal {text}"),
            Kind::Sym(symbol) => format!("\"{}\"", symbol.text()),
        }
    }

    /// A broken token explains itself; only else the grammar has a say.
    fn refuse(&self, text: String) -> SqlError {
        match (&self.lexical, self.kind()) {
            (Some(error), Kind::Invalid) => error.clone(),
            _ => SqlError::syntax(format!("Syntax error: {text}")).at(self.pos()),
        }
    }

    fn unexpected(&self) -> SqlError {
        self.refuse(format!("Unexpected {}", self.found()))
    }

    fn expected(&self, what: &str) -> SqlError {
        self.refuse(format!("Expected {what} but got {}", self.found()))
    }

    // ------------------------------------------------------------ depth

    /// Parses a node that may contain others of its kind.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= self.max_depth {
            self.out_of_depth = true;
            return Err(self.too_deep());
        }
        self.depth += 1;
        let outside = std::mem::take(&mut self.height);
        let result = parse(self);
        self.depth -= 1;
        self.height = outside.max(self.height + 1);
        if self.height > MAX_HEIGHT && result.is_ok() {
            return Err(self.too_deep());
        }
        result
    }

    /// One more level around what was parsed last.
    fn grow(&mut self) -> Result<()> {
        self.height += 1;
        if self.height > MAX_HEIGHT {
            return Err(self.too_deep());
        }
        Ok(())
    }

    fn too_deep(&self) -> SqlError {
        SqlError::resources("Out of stack space due to deeply nested query expression during query parsing")
            .at(self.pos())
    }
}
