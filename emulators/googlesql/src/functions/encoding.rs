//! Bytes as text: hexadecimal, base 2, 8, 16, 32 and 64, code points; and back.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::{Result, SqlError};
use crate::functions::args::{any, array, bytes, fail, string};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("string_functions", "to_hex", "TO_HEX", Propagate, ["(BYTES) -> STRING"], |_, args| {
        Ok(Value::string(to_base_bits(bytes(args, 0)?, 4)))
    }),
    entry!("string_functions", "from_hex", "FROM_HEX", Propagate, ["(STRING) -> BYTES"], |_, args| {
        let text = string(args, 0)?;
        if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
            return fail(format!(
                "Failed to decode invalid hexadecimal string due to character at offset {at}: {text}"
            ));
        }
        from_base_bits(text, 4, "hexadecimal").map(Value::bytes)
    }),
    entry!("string_functions", "to_base64", "TO_BASE64", Propagate, ["(BYTES) -> STRING"], |_, args| {
        Ok(Value::string(to_base64(bytes(args, 0)?)))
    }),
    entry!("string_functions", "from_base64", "FROM_BASE64", Propagate, ["(STRING) -> BYTES"], |_, args| {
        match from_base64(string(args, 0)?) {
            Some(bytes) => Ok(Value::bytes(bytes)),
            None => fail("Failed to decode invalid base64 string"),
        }
    }),
    entry!("string_functions", "to_base32", "TO_BASE32", Propagate, ["(BYTES) -> STRING"], |_, args| {
        Ok(Value::string(to_base32(bytes(args, 0)?)))
    }),
    entry!("string_functions", "from_base32", "FROM_BASE32", Propagate, ["(STRING) -> BYTES"], |_, args| {
        match from_base32(string(args, 0)?) {
            Some(bytes) => Ok(Value::bytes(bytes)),
            None => fail("Failed to decode invalid base32 string"),
        }
    }),
    entry!(
        "string_functions",
        "to_code_points",
        "TO_CODE_POINTS",
        Propagate,
        ["(STRING) -> ARRAY<INT64>", "(BYTES) -> ARRAY<INT64>"],
        |_, args| {
            Ok(Value::array(match any(args, 0) {
                Value::Bytes(bytes) => bytes.iter().map(|byte| Value::Int64(i64::from(*byte))).collect(),
                _ => string(args, 0)?.chars().map(|c| Value::Int64(i64::from(u32::from(c)))).collect(),
            }))
        }
    ),
    entry!(
        "string_functions",
        "code_points_to_string",
        "CODE_POINTS_TO_STRING",
        Propagate,
        ["(ARRAY<INT64>) -> STRING"],
        |_, args| {
            let mut text = String::new();
            if array(args, 0)?.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            for item in array(args, 0)? {
                let Value::Int64(code) = item else { return Ok(Value::Null) };
                match u32::try_from(*code).ok().and_then(char::from_u32) {
                    Some(c) => text.push(c),
                    None => return fail(format!("Invalid codepoint {code}")),
                }
            }
            Ok(Value::string(text))
        }
    ),
    entry!(
        "string_functions",
        "code_points_to_bytes",
        "CODE_POINTS_TO_BYTES",
        Propagate,
        ["(ARRAY<INT64>) -> BYTES"],
        |_, args| {
            let mut bytes = Vec::new();
            if array(args, 0)?.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            for item in array(args, 0)? {
                let Value::Int64(code) = item else { return Ok(Value::Null) };
                match u8::try_from(*code) {
                    Ok(byte) => bytes.push(byte),
                    Err(_) => return fail(format!("Invalid extended ASCII code point {code}")),
                }
            }
            Ok(Value::bytes(bytes))
        }
    ),
    entry!(
        "string_functions",
        "safe_convert_bytes_to_string",
        "SAFE_CONVERT_BYTES_TO_STRING",
        Propagate,
        ["(BYTES) -> STRING"],
        |_, args| {
            let mut text = String::new();
            // One replacement for each byte that is not part of a character.
            for chunk in bytes(args, 0)?.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(std::iter::repeat_n(char::REPLACEMENT_CHARACTER, chunk.invalid().len()));
            }
            Ok(Value::string(text))
        }
    ),
];

/// Digits of `bits` bits each (1, 3 or 4), lower case; for base 8 the front is padded to a whole number of digits.
pub(crate) fn to_base_bits(bytes: &[u8], bits: usize) -> String {
    let total = bytes.len() * 8;
    let digits = total.div_ceil(bits);
    let pad = digits * bits - total;
    let bit = |at: usize| -> u8 { at.checked_sub(pad).map_or(0, |at| (bytes[at / 8] >> (7 - at % 8)) & 1) };
    (0..digits)
        .map(|digit| {
            let value = (0..bits).fold(0, |value, offset| value * 2 + u32::from(bit(digit * bits + offset)));
            char::from_digit(value, 16).unwrap_or('0')
        })
        .collect()
}

/// The reverse of [`to_base_bits`]; `name` is the encoding's in the error.
pub(crate) fn from_base_bits(text: &str, bits: usize, name: &str) -> Result<Vec<u8>> {
    let mut all = Vec::with_capacity(text.len() * bits);
    for (at, c) in text.chars().enumerate() {
        let digit = c.to_digit(16).filter(|digit| *digit < 1 << bits).ok_or_else(|| {
            SqlError::evaluation(format!(
                "Failed to decode invalid {name} string due to character '{c}' at offset {at}"
            ))
        })?;
        all.extend((0..bits).rev().map(|bit| ((digit >> bit) & 1) as u8));
    }
    // What does not fill a byte stands in front: an odd hexadecimal digit, or base 8's padding.
    let extra = all.len() % 8;
    let padded = if bits == 3 {
        all.split_off(extra)
    } else {
        let mut padded = vec![0; (8 - extra) % 8];
        padded.append(&mut all);
        padded
    };
    Ok(padded.chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value * 2 + bit)).collect())
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Blanks are skipped, padding may be missing.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    LENIENT.decode(text).ok()
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(crate) fn to_base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut group = [0u8; 5];
        group[..chunk.len()].copy_from_slice(chunk);
        let value = group.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            if index < digits {
                out.push(char::from(BASE32[((value >> (35 - index * 5)) & 31) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

pub(crate) fn from_base32(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::new();
    let (mut value, mut bits) = (0u32, 0);
    for byte in text.bytes() {
        let digit = BASE32.iter().position(|known| *known == byte.to_ascii_uppercase())?;
        value = (value << 5) | digit as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((value >> bits) as u8);
            value &= (1 << bits) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_encodings() {
        assert_eq!(to_base_bits(b"abc", 4), "616263");
        assert_eq!(to_base_bits(b"abc", 3), "30261143");
        assert_eq!(to_base32(b"abcde\xFF"), "MFRGGZDF74======");
        assert_eq!(from_base_bits("f", 4, "hex").expect("decodes"), [0x0f]);
        assert_eq!(
            from_base_bits("123", 1, "base2").unwrap_err().message,
            "Failed to decode invalid base2 string due to character '2' at offset 1"
        );
    }

    proptest! {
        #[test]
        fn every_encoding_comes_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..24)) {
            for bits in [1, 3, 4] {
                prop_assert_eq!(from_base_bits(&to_base_bits(&bytes, bits), bits, "x").expect("decodes"), bytes.clone());
            }
            prop_assert_eq!(from_base32(&to_base32(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(from_base64(&to_base64(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,16}") {
            let _ = (from_base32(&text), from_base64(&text), from_base_bits(&text, 4, "hex"));
        }
    }
}
