//! String, bytes and identifier literals: what stands between the quotes, unescaped.
//!
//! Source: GoogleSQL's lexical reference, "String and bytes literals" and "Escape sequences".

use crate::error::{Pos, Result, SqlError};

/// How a string or bytes literal begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiteralForm {
    pub raw: bool,
    pub bytes: bool,
    pub triple: bool,
    /// Bytes before the content: prefix and quotes.
    pub head: usize,
}

impl LiteralForm {
    /// The form of the literal that `text` begins with, if it begins with one.
    pub fn of(text: &str) -> Option<(LiteralForm, char)> {
        let (mut raw, mut bytes) = (false, false);
        for (at, letter) in text.char_indices().take(3) {
            match letter {
                'r' | 'R' if !raw => raw = true,
                'b' | 'B' if !bytes => bytes = true,
                '\'' | '"' => {
                    let rest = text.get(at..).unwrap_or_default();
                    let triple = rest.starts_with("'''") || rest.starts_with("\"\"\"");
                    let head = at + if triple { 3 } else { 1 };
                    return Some((LiteralForm { raw, bytes, triple, head }, letter));
                }
                _ => return None,
            }
        }
        None
    }

    /// `triple-quoted raw bytes literal` and the like, for error texts.
    pub fn name(&self) -> String {
        let triple = if self.triple { "triple-quoted " } else { "" };
        let raw = if self.raw { "raw " } else { "" };
        let kind = if self.bytes { "bytes" } else { "string" };
        format!("{triple}{raw}{kind} literal")
    }

    fn content<'a>(&self, text: &'a str) -> &'a str {
        let tail = if self.triple { 3 } else { 1 };
        text.get(self.head..text.len().saturating_sub(tail)).unwrap_or_default()
    }
}

/// The value of a string literal whose source text is `text` and which stands at `pos`.
pub fn string_value(text: &str, pos: Pos) -> Result<String> {
    let Some((form, _)) = LiteralForm::of(text) else {
        return Err(SqlError::internal("not a string literal").at(pos));
    };
    let content = form.content(text);
    if !content.contains(['\\', '\r']) {
        return Ok(content.to_owned());
    }
    let mut out = String::with_capacity(content.len());
    walk(content, form, pos + form.head as Pos, &mut out)?;
    Ok(out)
}

/// The same for a bytes literal.
pub fn bytes_value(text: &str, pos: Pos) -> Result<Vec<u8>> {
    let Some((form, _)) = LiteralForm::of(text) else {
        return Err(SqlError::internal("not a bytes literal").at(pos));
    };
    let mut out = Vec::with_capacity(text.len());
    walk(form.content(text), form, pos + form.head as Pos, &mut out)?;
    Ok(out)
}

/// The name in backticks, unescaped.
pub fn identifier_value(text: &str, pos: Pos) -> Result<String> {
    let content = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if content.is_empty() {
        return Err(SqlError::syntax("Syntax error: Invalid empty identifier").at(pos));
    }
    if !content.contains('\\') {
        return Ok(content.to_owned());
    }
    let form = LiteralForm { raw: false, bytes: false, triple: false, head: 1 };
    let mut out = String::with_capacity(content.len());
    walk(content, form, pos + 1, &mut out)?;
    Ok(out)
}

/// Where unescaped characters go: a string takes code points, bytes take their encoding or a single byte.
trait Sink {
    fn char(&mut self, value: char);
    /// `\xhh` and `\ooo`: a code point in a string, a byte in bytes.
    fn small(&mut self, value: u8);
}

impl Sink for String {
    fn char(&mut self, value: char) {
        self.push(value);
    }
    fn small(&mut self, value: u8) {
        self.push(char::from(value));
    }
}

impl Sink for Vec<u8> {
    fn char(&mut self, value: char) {
        self.extend_from_slice(value.encode_utf8(&mut [0; 4]).as_bytes());
    }
    fn small(&mut self, value: u8) {
        self.push(value);
    }
}

fn walk(content: &str, form: LiteralForm, base: Pos, out: &mut impl Sink) -> Result<()> {
    let mut rest = content;
    while let Some(letter) = rest.chars().next() {
        let at = base + (content.len() - rest.len()) as Pos;
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        match letter {
            // Line ends of every kind are one \n in triple-quoted literals.
            '\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                out.char('\n');
            }
            '\\' if !form.raw => rest = escape(rest, form, at, out)?,
            _ => out.char(letter),
        }
    }
    Ok(())
}

/// `rest` begins behind the backslash; answers what follows the escape.
fn escape<'a>(rest: &'a str, form: LiteralForm, at: Pos, out: &mut impl Sink) -> Result<&'a str> {
    let error = |text: String| SqlError::syntax(format!("Syntax error: {text}")).at(at);
    let Some(letter) = rest.chars().next() else {
        return Err(error("String must end with quote".into()));
    };
    let after = rest.get(letter.len_utf8()..).unwrap_or_default();
    let shown = |digits: usize| rest.chars().take(digits + 1).collect::<String>();
    match letter {
        'a' => out.char('\u{7}'),
        'b' => out.char('\u{8}'),
        'f' => out.char('\u{c}'),
        'n' => out.char('\n'),
        'r' => out.char('\r'),
        't' => out.char('\t'),
        'v' => out.char('\u{b}'),
        '\\' | '?' | '"' | '\'' | '`' => out.char(letter),
        '0'..='7' => {
            let value = rest
                .get(..3)
                .filter(|digits| digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit)))
                .and_then(|digits| u32::from_str_radix(digits, 8).ok());
            let Some(value) = value else {
                let seen: String = rest.chars().take(3).collect();
                return Err(error(format!(
                    "Illegal escape sequence: Octal escape must be followed by 3 octal digits but saw: \\{seen}"
                )));
            };
            let Ok(value) = u8::try_from(value) else {
                return Err(error(format!("Illegal escape sequence: Value of \\{} exceeds 8 bits", shown(2))));
            };
            out.small(value);
            return Ok(rest.get(3..).unwrap_or_default());
        }
        'x' | 'X' => {
            let Some(value) = hex(after, 2).and_then(|value| u8::try_from(value).ok()) else {
                return Err(error(format!(
                    "Illegal escape sequence: Hex escape must be followed by 2 hex digits but saw: \\{}",
                    shown(2)
                )));
            };
            out.small(value);
            return Ok(after.get(2..).unwrap_or_default());
        }
        'u' | 'U' if !form.bytes => {
            let digits = if letter == 'u' { 4 } else { 8 };
            let Some(value) = hex(after, digits) else {
                return Err(error(format!(
                    "Illegal escape sequence: \\{letter} must be followed by {digits} hex digits but saw: \\{}",
                    shown(digits)
                )));
            };
            let Some(value) = char::from_u32(value) else {
                let text = if value > 0x10_FFFF {
                    format!("Illegal escape sequence: Value of \\{} exceeds Unicode limit (0x0010FFFF)", shown(digits))
                } else {
                    format!("Illegal escape sequence: Unicode value \\{} is invalid", shown(digits))
                };
                return Err(error(text));
            };
            out.char(value);
            return Ok(after.get(digits..).unwrap_or_default());
        }
        'u' | 'U' => {
            return Err(error(format!(
                "Illegal escape sequence: Unicode escape sequence \\{letter} cannot be used in bytes literals"
            )));
        }
        '\n' | '\r' => return Err(error("Illegal escaped newline".into())),
        _ => return Err(error(format!("Illegal escape sequence: \\{letter}"))),
    }
    Ok(after)
}

fn hex(text: &str, digits: usize) -> Option<u32> {
    let digits = text.get(..digits)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        string_value(source, 0).expect(source)
    }

    #[test]
    fn every_form_of_string() {
        assert_eq!(text(r"'a\tb'"), "a\tb");
        assert_eq!(text(r#""it's""#), "it's");
        assert_eq!(text(r"r'a\tb'"), r"a\tb");
        assert_eq!(text(r#"'''a'b''c'''"#), "a'b''c");
        assert_eq!(text("R\"\"\"a\r\nb\rc\"\"\""), "a\nb\nc");
        assert_eq!(text(r"'\x41\101\u00e9\U0001F600\?\`'"), "AAé😀?`");
        assert_eq!(text("''"), "");
    }

    #[test]
    fn bytes_take_single_bytes() {
        assert_eq!(bytes_value(r"b'\xff\000é'", 0).expect("bytes"), [0xff, 0, 0xc3, 0xa9]);
        assert_eq!(bytes_value(r"rb'\xff'", 0).expect("bytes"), b"\\xff");
        assert_eq!(bytes_value("Br\"a\"", 0).expect("bytes"), b"a");
    }

    #[test]
    fn bad_escapes_say_what_and_where() {
        let fail = |source: &str| {
            let error = string_value(source, 10).expect_err(source);
            (error.message, error.pos)
        };
        assert_eq!(fail(r"'ab\d'"), ("Syntax error: Illegal escape sequence: \\d".into(), Some(13)));
        assert!(fail(r"'\x4'").0.contains("2 hex digits"));
        assert!(fail(r"'\u12'").0.contains("4 hex digits"));
        assert!(fail(r"'\ud800'").0.contains("\\ud800 is invalid"));
        assert!(fail(r"'\U00110000'").0.contains("exceeds Unicode limit"));
        assert!(fail(r"'\08'").0.contains("octal"));
        assert!(bytes_value(r"b'\u0041'", 0).expect_err("unicode in bytes").message.contains("bytes literals"));
    }
}
