//! Text to tokens: words, literals, symbols; comments and white space fall away.
//!
//! The whole text is cut up at once. What cannot be a token ends the stream with [`Kind::Invalid`], so that
//! an earlier mistake in the grammar is reported before it.

use crate::error::{Pos, SqlError};

mod keywords;
pub mod literal;

pub use keywords::Kw;
use literal::LiteralForm;

/// What a token is; its text is a slice of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An identifier without backticks, with the keyword that it is.
    Word(Kw),
    /// An identifier in backticks.
    Quoted,
    Int,
    Float,
    String,
    Bytes,
    Sym(Sym),
    /// Behind the last token.
    End,
    /// Not a token; [`Tokens::error`] says why. Always the last but one.
    Invalid,
}

macro_rules! symbols {
    ($($name:ident $text:literal),* $(,)?) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Sym { $($name),* }

        /// Longer ones first.
        const SYMBOLS: &[(&str, Sym)] = &[$(($text, Sym::$name)),*];

        impl Sym {
            pub fn text(self) -> &'static str {
                match self { $(Sym::$name => $text),* }
            }
        }
    };
}

// `>>` is left out on purpose: `ARRAY<STRUCT<INT64>>` closes twice. The parser joins two that touch.
symbols! {
    Pipe "|>", Concat "||", ShiftLeft "<<", LessOrEqual "<=", GreaterOrEqual ">=", NotEqual "!=", LessGreater "<>",
    FatArrow "=>", Arrow "->", AtAt "@@",
    Open "(", Close ")", OpenBracket "[", CloseBracket "]", OpenBrace "{", CloseBrace "}",
    Comma ",", Dot ".", Semicolon ";", Colon ":", Star "*", Slash "/", Plus "+", Minus "-", Tilde "~",
    Caret "^", Ampersand "&", Bar "|", Equal "=", Less "<", Greater ">", At "@", Question "?",
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    pub kind: Kind,
    pub start: Pos,
    pub end: Pos,
    /// For `(` the index of its `)`; else, and where it is never closed, 0.
    pub pair: u32,
}

/// A text, cut up.
#[derive(Debug)]
pub struct Tokens {
    /// Ends with one of [`Kind::End`].
    pub list: Vec<Token>,
    /// Why there is a [`Kind::Invalid`].
    pub error: Option<SqlError>,
}

/// Cuts `text` up.
pub fn tokenize(text: &str) -> Tokens {
    let mut lexer = Lexer { text, at: 0, list: Vec::with_capacity(text.len() / 5 + 2), open: Vec::new() };
    let error = lexer.run().err();
    let end = text.len() as Pos;
    if error.is_some() {
        lexer.list.push(Token { kind: Kind::Invalid, start: lexer.at as Pos, end, pair: 0 });
    }
    lexer.list.push(Token { kind: Kind::End, start: end, end, pair: 0 });
    Tokens { list: lexer.list, error }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    list: Vec<Token>,
    /// Indexes of `(` not closed yet.
    open: Vec<usize>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), SqlError> {
        loop {
            self.skip_space()?;
            let Some(byte) = self.byte(0) else {
                return Ok(());
            };
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'\'' | b'"' => self.word_or_literal()?,
                b'0'..=b'9' => self.number()?,
                b'.' if self.byte(1).is_some_and(|next| next.is_ascii_digit()) && !self.behind_name() => {
                    self.number()?
                }
                b'`' => self.quoted()?,
                _ => self.symbol(byte)?,
            }
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let start = self.at;
        self.at += len;
        self.list.push(Token { kind, start: start as Pos, end: self.at as Pos, pair: 0 });
    }

    fn skip_space(&mut self) -> Result<(), SqlError> {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b'#') => self.skip_line(),
                Some(b'-') if self.byte(1) == Some(b'-') => self.skip_line(),
                Some(b'/') if self.byte(1) == Some(b'*') => {
                    let body = self.text.get(self.at + 2..).unwrap_or_default();
                    let Some(len) = body.find("*/") else {
                        return Err(self.error(self.at, "Unclosed comment"));
                    };
                    self.at += len + 4;
                }
                Some(0x80..) => match self.rest().chars().next() {
                    Some(letter) if letter.is_whitespace() || letter == '\u{feff}' => self.at += letter.len_utf8(),
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        let len = self.rest().find(['\n', '\r']).unwrap_or(self.text.len() - self.at);
        self.at += len;
    }

    fn error(&self, at: usize, text: impl std::fmt::Display) -> SqlError {
        SqlError::syntax(format!("Syntax error: {text}")).at(at as Pos)
    }

    /// A `.` here continues a path: what follows it is a name even if it begins with a digit.
    fn behind_name(&self) -> bool {
        matches!(
            self.list.last().map(|token| token.kind),
            Some(Kind::Word(Kw::None) | Kind::Quoted | Kind::Sym(Sym::Close | Sym::CloseBracket))
        )
    }

    fn word_len(&self) -> usize {
        let bytes = self.rest().bytes();
        bytes.take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
    }

    fn word_or_literal(&mut self) -> Result<(), SqlError> {
        let quote = |ahead: usize| matches!(self.byte(ahead), Some(b'\'' | b'"'));
        if (quote(0) || quote(1) || quote(2))
            && let Some((form, quote)) = LiteralForm::of(self.rest())
        {
            return self.string(form, quote);
        }
        let len = self.word_len();
        let keyword = Kw::find(self.rest().get(..len).unwrap_or_default());
        self.push(Kind::Word(keyword), len);
        Ok(())
    }

    fn string(&mut self, form: LiteralForm, quote: char) -> Result<(), SqlError> {
        let bytes = self.rest().as_bytes();
        let quote = quote as u8;
        let mut at = form.head;
        loop {
            match bytes.get(at) {
                None => return Err(self.error(self.at, format!("Unclosed {}", form.name()))),
                // An escaped quote does not end a raw literal either.
                Some(b'\\') => at += 2,
                Some(b'\n' | b'\r') if !form.triple => {
                    return Err(self.error(self.at, format!("Unclosed {}", form.name())));
                }
                Some(byte) if *byte == quote => {
                    if !form.triple {
                        at += 1;
                        break;
                    }
                    if bytes.get(at..at + 3).is_some_and(|three| three.iter().all(|byte| *byte == quote)) {
                        at += 3;
                        break;
                    }
                    at += 1;
                }
                Some(_) => at += 1,
            }
        }
        self.push(if form.bytes { Kind::Bytes } else { Kind::String }, at);
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), SqlError> {
        let bytes = self.rest().as_bytes();
        let mut at = 1;
        loop {
            match bytes.get(at) {
                None | Some(b'\n' | b'\r') => return Err(self.error(self.at, "Unclosed identifier literal")),
                Some(b'\\') => at += 2,
                Some(b'`') => break,
                Some(_) => at += 1,
            }
        }
        self.push(Kind::Quoted, at + 1);
        Ok(())
    }

    fn number(&mut self) -> Result<(), SqlError> {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
        let at = |index: usize| bytes.get(index).copied().unwrap_or(0);

        // Behind a dot a name may begin with digits: `dataset.2024_01`.
        let dot = self.list.len().checked_sub(1).and_then(|last| self.list.get(last));
        if dot.is_some_and(|token| token.kind == Kind::Sym(Sym::Dot)) {
            let len = self.word_len();
            self.push(Kind::Word(Kw::None), len);
            return Ok(());
        }
        if at(0) == b'0' && matches!(at(1), b'x' | b'X') {
            let len = bytes.iter().skip(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
            if len > 0 {
                return self.finish_number(Kind::Int, len + 2);
            }
        }
        let mut len = digits(0);
        let mut kind = Kind::Int;
        if at(len) == b'.' {
            kind = Kind::Float;
            len += 1;
            len += digits(len);
        }
        if matches!(at(len), b'e' | b'E') {
            let sign = usize::from(matches!(at(len + 1), b'+' | b'-'));
            let exponent = digits(len + 1 + sign);
            if exponent > 0 {
                kind = Kind::Float;
                len += 1 + sign + exponent;
            }
        }
        self.finish_number(kind, len)
    }

    fn finish_number(&mut self, kind: Kind, len: usize) -> Result<(), SqlError> {
        let next = self.byte(len);
        self.push(kind, len);
        // `1.` before a word is the middle of a dashed path (`project-1.dataset`); the parser of paths knows.
        let dotted = self.text.as_bytes().get(self.at - 1) == Some(&b'.');
        let dashed = self.list.len().checked_sub(2).and_then(|at| self.list.get(at));
        let dashed = dashed.is_some_and(|token| token.kind == Kind::Sym(Sym::Minus));
        if next.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') && !(dashed || dotted) {
            return Err(self.error(self.at, "Missing whitespace between literal and alias"));
        }
        Ok(())
    }

    fn symbol(&mut self, byte: u8) -> Result<(), SqlError> {
        // Most are one byte; the others are looked for first.
        let next = self.byte(1).unwrap_or(0);
        let long = SYMBOLS.iter().take_while(|(text, _)| text.len() == 2);
        let found = match next {
            b'>' | b'|' | b'<' | b'=' | b'@' => long.into_iter().find(|(text, _)| text.as_bytes() == [byte, next]),
            _ => None,
        };
        let found = found.or_else(|| SYMBOLS.iter().find(|(text, _)| text.as_bytes() == [byte]));
        let Some((text, symbol)) = found else {
            let shown = match byte {
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\{byte:03o}"),
            };
            return Err(self.error(self.at, format!("Illegal input character \"{shown}\"")));
        };
        let index = self.list.len();
        self.push(Kind::Sym(*symbol), text.len());
        match symbol {
            Sym::Open => self.open.push(index),
            Sym::Close => {
                if let Some(open) = self.open.pop().and_then(|open| self.list.get_mut(open)) {
                    open.pair = index as u32;
                }
            }
            // A statement's end ends its parentheses too.
            Sym::Semicolon => self.open.clear(),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let tokens = tokenize(text);
        assert_eq!(tokens.error, None, "{text}");
        tokens.list.iter().map(|token| token.kind).filter(|kind| *kind != Kind::End).collect()
    }

    fn fail(text: &str) -> String {
        tokenize(text).error.expect("an error").locate(text).to_string()
    }

    #[test]
    fn words_numbers_and_symbols() {
        use Kind::*;
        assert_eq!(
            kinds("SELECT a.1b, `x y`"),
            [Word(Kw::Select), Word(Kw::None), Sym(super::Sym::Dot), Word(Kw::None), Sym(super::Sym::Comma), Quoted]
        );
        assert_eq!(kinds("1 0xFF 1.5 .5 1. 1e3 1.5E-3"), [Int, Int, Float, Float, Float, Float, Float]);
        assert_eq!(kinds("r'x' B\"y\" rb'''z'''"), [String, Bytes, Bytes]);
        assert_eq!(kinds("-- a\n# b\n/* c */ 1"), [Int]);
        assert_eq!(kinds("r+b"), [Word(Kw::None), Sym(super::Sym::Plus), Word(Kw::None)]);
        assert_eq!(
            kinds("|> || => -> @@x"),
            [
                Sym(super::Sym::Pipe),
                Sym(super::Sym::Concat),
                Sym(super::Sym::FatArrow),
                Sym(super::Sym::Arrow),
                Sym(super::Sym::AtAt),
                Word(Kw::None)
            ]
        );
        assert_eq!(kinds("1\u{a0}\u{3000}2"), [Int, Int]);
    }

    #[test]
    fn parentheses_know_their_ends() {
        let tokens = tokenize("((a) b");
        assert_eq!(tokens.list.iter().map(|token| token.pair).collect::<Vec<_>>(), [0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_token() {
        assert_eq!(fail("SELECT 'abc"), "Syntax error: Unclosed string literal at [1:8]");
        assert_eq!(fail("SELECT 'ab\nc'"), "Syntax error: Unclosed string literal at [1:8]");
        assert_eq!(fail("SELECT rb'''abc"), "Syntax error: Unclosed triple-quoted raw bytes literal at [1:8]");
        assert_eq!(fail("SELECT `abc"), "Syntax error: Unclosed identifier literal at [1:8]");
        assert_eq!(fail("SELECT /* abc"), "Syntax error: Unclosed comment at [1:8]");
        assert_eq!(fail("SELECT $1"), "Syntax error: Illegal input character \"$\" at [1:8]");
        assert_eq!(fail("SELECT ‘a’"), "Syntax error: Illegal input character \"\\342\" at [1:8]");
        assert_eq!(fail("SELECT 12abc"), "Syntax error: Missing whitespace between literal and alias at [1:10]");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_up_in_order(text in "\\PC*|[-'\"`\\\\rRbB.0-9eE/*#(); \n]*") {
            let tokens = tokenize(&text);
            prop_assert!(tokens.list.windows(2).all(|pair| pair[0].end <= pair[1].start || pair[0].kind == Kind::Invalid));
            prop_assert!(tokens.list.iter().all(|token| text.get(token.start as usize..token.end as usize).is_some()));
            prop_assert_eq!(tokens.list.last().map(|token| token.kind), Some(Kind::End));
        }
    }
}
