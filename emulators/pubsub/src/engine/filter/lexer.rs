//! The words of a filter.

use super::parser::SyntaxError;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// Letters, digits, `_`, and `-` after the first character.
    Word(String),
    Text(String),
    Dot,
    Colon,
    Comma,
    Equal,
    NotEqual,
    Minus,
    Open,
    Close,
}

/// The tokens of `text` with the byte each starts at.
pub fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let token = match c {
            c if c.is_ascii_whitespace() => continue,
            '.' => Token::Dot,
            ':' => Token::Colon,
            ',' => Token::Comma,
            '=' => Token::Equal,
            '-' => Token::Minus,
            '(' => Token::Open,
            ')' => Token::Close,
            '!' => match rest.next() {
                Some((_, '=')) => Token::NotEqual,
                _ => return Err(SyntaxError::new(at, "expected '!='")),
            },
            '"' | '\'' => Token::Text(literal(at, c, &mut rest)?),
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some((_, c)) = rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || "_-".contains(*c)) {
                    word.push(c);
                }
                Token::Word(word)
            }
            c => return Err(SyntaxError::new(at, format!("unexpected character '{c}'"))),
        };
        found.push((at, token));
    }
    Ok(found)
}

type Chars<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

/// The rest of a string literal after its opening quote.
fn literal(start: usize, quote: char, rest: &mut Chars<'_>) -> Result<String, SyntaxError> {
    let mut value = String::new();
    loop {
        let Some((at, c)) = rest.next() else {
            return Err(SyntaxError::new(start, "string literal is not closed"));
        };
        if c == quote {
            return Ok(value);
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        let bad = || SyntaxError::new(at, "invalid escape sequence");
        value.push(match rest.next().ok_or_else(bad)?.1 {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            c @ ('\\' | '\'' | '"' | '`' | '?') => c,
            'x' | 'X' => number(rest, 2, 16).ok_or_else(bad)?,
            'u' => number(rest, 4, 16).ok_or_else(bad)?,
            'U' => number(rest, 8, 16).ok_or_else(bad)?,
            c @ '0'..='3' => {
                let high = c.to_digit(8).ok_or_else(bad)?;
                let low = number(rest, 2, 8).ok_or_else(bad)?;
                char::from_u32(high * 64 + low as u32).ok_or_else(bad)?
            }
            _ => return Err(bad()),
        });
    }
}

fn number(rest: &mut Chars<'_>, digits: usize, radix: u32) -> Option<char> {
    let mut value = 0u32;
    for _ in 0..digits {
        value = value.checked_mul(radix)?.checked_add(rest.next()?.1.to_digit(radix)?)?;
    }
    char::from_u32(value)
}
