//! From words to a filter: recursive descent, limited in depth.

use thiserror::Error;

use super::Filter;
use super::lexer::{Token, tokens};
use crate::limits;

/// Why a text is no filter.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{what} at position {at}")]
pub struct SyntaxError {
    /// Byte in the text.
    pub at: usize,
    pub what: String,
}

impl SyntaxError {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Self {
        SyntaxError { at, what: what.into() }
    }
}

pub fn parse(text: &str) -> Result<Filter, SyntaxError> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.len() };
    let filter = parser.expression(0)?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.error("unexpected text after the expression")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn error(&self, what: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.tokens.get(self.next).map_or(self.end, |(at, _)| *at), what)
    }

    fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: Token, what: &str) -> Result<(), SyntaxError> {
        if self.eat(&token) { Ok(()) } else { Err(self.error(format!("expected {what}"))) }
    }

    /// One term, or several joined by the same word.
    fn expression(&mut self, depth: usize) -> Result<Filter, SyntaxError> {
        let first = self.term(depth)?;
        for (word, other) in [("AND", "OR"), ("OR", "AND")] {
            if !matches!(self.peek(), Some(Token::Word(found)) if found == word) {
                continue;
            }
            let mut parts = vec![first];
            while self.eat_word(word) {
                parts.push(self.term(depth)?);
            }
            if matches!(self.peek(), Some(Token::Word(found)) if found == other) {
                return Err(self.error("AND and OR need parentheses to be combined"));
            }
            return Ok(if word == "AND" { Filter::All(parts) } else { Filter::Any(parts) });
        }
        Ok(first)
    }

    fn term(&mut self, depth: usize) -> Result<Filter, SyntaxError> {
        if depth >= limits::FILTER_DEPTH {
            return Err(self.error("expression is nested too deeply"));
        }
        if self.eat_word("NOT") || self.eat(&Token::Minus) {
            return Ok(Filter::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.eat(&Token::Open) {
            let inner = self.expression(depth + 1)?;
            self.expect(Token::Close, "')'")?;
            return Ok(inner);
        }
        if self.eat_word("hasPrefix") {
            self.expect(Token::Open, "'('")?;
            if !self.eat_word("attributes") {
                return Err(self.error("expected 'attributes'"));
            }
            self.expect(Token::Dot, "'.'")?;
            let key = self.key()?;
            self.expect(Token::Comma, "','")?;
            let prefix = self.text()?;
            self.expect(Token::Close, "')'")?;
            return Ok(Filter::HasPrefix(key, prefix));
        }
        if self.eat_word("attributes") {
            if self.eat(&Token::Colon) {
                return Ok(Filter::Has(self.key()?));
            }
            self.expect(Token::Dot, "':' or '.'")?;
            let key = self.key()?;
            return if self.eat(&Token::Equal) {
                Ok(Filter::Equal(key, self.text()?))
            } else if self.eat(&Token::NotEqual) {
                Ok(Filter::NotEqual(key, self.text()?))
            } else {
                Err(self.error("expected '=' or '!='"))
            };
        }
        Err(self.error("expected 'attributes', 'hasPrefix', 'NOT' or '('"))
    }

    fn key(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(Token::Word(key) | Token::Text(key)) => {
                let key = key.clone();
                self.next += 1;
                Ok(key)
            }
            _ => Err(self.error("expected an attribute's key")),
        }
    }

    fn text(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.error("expected a string literal")),
        }
    }
}
