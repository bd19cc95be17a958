//! The character encodings that text files may come in.

use std::borrow::Cow;

use axum::body::Bytes;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    #[default]
    Utf8,
    Latin1,
    /// Bytes of a unit (2 or 4), and whether the highest comes first.
    Wide(usize, bool),
}

impl Encoding {
    /// By the name that a configuration has for it.
    pub fn from_name(name: &str) -> Option<Encoding> {
        Some(match name.to_ascii_uppercase().as_str() {
            "" | "UTF-8" | "UTF8" => Encoding::Utf8,
            "ISO-8859-1" | "ISO_8859_1" => Encoding::Latin1,
            "UTF-16BE" => Encoding::Wide(2, true),
            "UTF-16LE" => Encoding::Wide(2, false),
            "UTF-32BE" => Encoding::Wide(4, true),
            "UTF-32LE" => Encoding::Wide(4, false),
            _ => return None,
        })
    }

    /// The same text as UTF-8. What is no character becomes the replacement character.
    pub fn decoded(self, file: Bytes) -> Bytes {
        match self {
            // Readers replace what is no UTF-8 themselves.
            Encoding::Utf8 => file,
            Encoding::Latin1 => file.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            Encoding::Wide(2, big) => {
                let units = file.chunks_exact(2).filter_map(|pair| Some([*pair.first()?, *pair.last()?]));
                let units = units.map(|pair| if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
                let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
                without_mark(text.collect())
            }
            Encoding::Wide(_, big) => {
                let units = file.chunks_exact(4).filter_map(|four| <[u8; 4]>::try_from(four).ok());
                let units = units.map(|four| if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) });
                without_mark(units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
            }
        }
    }
}

fn without_mark(text: String) -> Bytes {
    let text: Cow<str> = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned().into(),
        None => text.into(),
    };
    text.into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_a_text_is_read() {
        let text = "a,é\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wider: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for (name, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("ISO-8859-1", b"a,\xe9\n".to_vec()),
            ("UTF-16LE", wide),
            ("UTF-32BE", wider),
        ] {
            let encoding = Encoding::from_name(name).expect("a known name");
            assert_eq!(encoding.decoded(bytes.into()), text.as_bytes(), "{name}");
        }
        assert_eq!(Encoding::from_name("EBCDIC"), None);
    }
}
