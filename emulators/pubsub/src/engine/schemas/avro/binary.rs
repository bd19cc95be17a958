//! Messages in Avro's binary encoding: zigzag integers, lengths before text and bytes, arrays and maps in blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Avro, DEPTH, Node};

/// Items of all arrays and maps of a message together: an item may have no bytes at all.
const ITEMS: u64 = 1_000_000;

impl Avro {
    /// Checks a message; its value as [`Avro::read_json`] gives it, or what does not fit.
    pub fn read_binary(&self, data: &[u8]) -> Result<Value, String> {
        let mut reader = Reader { rest: data, items: 0 };
        let value = self.binary(self.root, &mut reader, 0)?;
        // Production's words.
        if reader.rest.is_empty() { Ok(value) } else { Err("Too much data to parse for schema.".to_owned()) }
    }

    fn binary(&self, at: usize, reader: &mut Reader<'_>, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err("The message is nested too deeply".to_owned());
        }
        Ok(match self.node(at) {
            Node::Null => Value::Null,
            Node::Boolean => match reader.take(1)? {
                [0] => false.into(),
                [1] => true.into(),
                _ => return Err("A boolean is neither 0 nor 1".to_owned()),
            },
            Node::Int => match i32::try_from(reader.long()?) {
                Ok(int) => int.into(),
                Err(_) => return Err("Integer value is out of range for type int".to_owned()),
            },
            Node::Long => reader.long()?.into(),
            Node::Float => {
                let bytes = reader.take(4)?.try_into().unwrap_or_default();
                f64::from(f32::from_le_bytes(bytes)).into()
            }
            Node::Double => {
                let bytes = reader.take(8)?.try_into().unwrap_or_default();
                f64::from_le_bytes(bytes).into()
            }
            Node::Bytes => STANDARD.encode(reader.bytes()?).into(),
            Node::String => reader.text()?.into(),
            Node::Fixed { size, .. } => STANDARD.encode(reader.take(*size)?).into(),
            Node::Enum { symbols, name, .. } => {
                let symbol = usize::try_from(reader.long()?).ok().and_then(|index| symbols.get(index));
                symbol.ok_or_else(|| format!("A value is not a symbol of {name}"))?.as_str().into()
            }
            Node::Union(branches) => {
                let branch = usize::try_from(reader.long()?).ok().and_then(|index| branches.get(index));
                self.binary(*branch.ok_or("A value is not a branch of the union")?, reader, depth + 1)?
            }
            Node::Array(items) => {
                let mut values = Vec::new();
                loop {
                    let count = reader.block()?;
                    if count == 0 {
                        break Value::Array(values);
                    }
                    for _ in 0..count {
                        values.push(self.binary(*items, reader, depth + 1)?);
                    }
                }
            }
            Node::Map(inner) => {
                let mut values = Map::new();
                loop {
                    let count = reader.block()?;
                    if count == 0 {
                        break Value::Object(values);
                    }
                    for _ in 0..count {
                        let key = reader.text()?;
                        values.insert(key, self.binary(*inner, reader, depth + 1)?);
                    }
                }
            }
            Node::Record { fields, .. } => {
                let mut values = Map::new();
                for field in fields {
                    values.insert(field.name.clone(), self.binary(field.node, reader, depth + 1)?);
                }
                values.into()
            }
            Node::Open => return Err("The schema has an open type".to_owned()),
        })
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    items: u64,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("Not enough data to parse for schema.")?;
        self.rest = rest;
        Ok(taken)
    }

    fn long(&mut self) -> Result<i64, String> {
        let mut raw = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        Err("An integer has too many bytes".to_owned())
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.long()?).map_err(|_| "A length is negative")?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, String> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| "A string is not UTF-8".to_owned())
    }

    /// How many items the next block has; 0 ends the array or map. A negative count is followed by the block's size.
    fn block(&mut self) -> Result<u64, String> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        self.items = self.items.saturating_add(count.unsigned_abs());
        if self.items > ITEMS { Err("The message has too many items".to_owned()) } else { Ok(count.unsigned_abs()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &str = r#"{"type": "record", "name": "R", "fields": [
        {"name": "n", "type": "null"}, {"name": "b", "type": "boolean"}, {"name": "i", "type": "int"},
        {"name": "l", "type": "long"}, {"name": "f", "type": "float"}, {"name": "d", "type": "double"},
        {"name": "y", "type": "bytes"}, {"name": "s", "type": "string"},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
        {"name": "x", "type": {"type": "fixed", "name": "F", "size": 2}},
        {"name": "u", "type": ["null", "string"]},
        {"name": "a", "type": {"type": "array", "items": "int"}},
        {"name": "m", "type": {"type": "map", "values": "long"}}]}"#;

    #[test]
    fn reads_every_type() {
        let avro = Avro::parse(ALL).expect("a definition");
        let mut data = vec![1, 3, 128, 1];
        data.extend(1.5f32.to_le_bytes());
        data.extend((-2.5f64).to_le_bytes());
        data.extend([2, 0xff, 4, b'h', b'i', 2, 1, 2, 2, 2, b'z', 3, 4, 2, 4, 0, 2, 2, b'k', 8, 0]);
        let value = avro.read_binary(&data).expect("a message");
        let expected = serde_json::json!({"n": null, "b": true, "i": -2, "l": 64, "f": 1.5, "d": -2.5, "y": "/w==", "s": "hi",
            "e": "B", "x": "AQI=", "u": "z", "a": [1, 2], "m": {"k": 4}});
        assert_eq!(value, expected);
        assert!(avro.read_binary(&data[..data.len() - 1]).is_err());
        data.push(0);
        assert_eq!(avro.read_binary(&data), Err("Too much data to parse for schema.".to_owned()));
    }

    #[test]
    fn items_without_bytes_do_not_run_away() {
        let avro = Avro::parse(r#"{"type": "array", "items": "null"}"#).expect("a definition");
        let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
        assert!(avro.read_binary(&huge).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let avro = Avro::parse(ALL).expect("a definition");
            let _ = avro.read_binary(&data);
            let _ = avro.read_json(&data);
        }
    }
}
