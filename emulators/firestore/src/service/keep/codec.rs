//! Records as bytes: compact, and read back with every check.
//!
//! A record is a version byte, a kind byte, and its parts: numbers as LEB128 (signed ones in
//! zigzag), texts and lists with their length before them.

use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;

use super::catalogue;
use crate::engine::edition::{Concurrency, Edition};
use crate::engine::record::Record;
use crate::engine::store::Document;
use crate::path::{DatabaseName, DocumentName, FieldPath};
use crate::value::{Fields, Value};

/// The layout's version: the first byte of every record.
const VERSION: u8 = 1;
/// Deeper values than any that can be stored.
const DEPTH: usize = 64;

mod kind {
    pub const BEGAN: u8 = 0;
    pub const COMMITTED: u8 = 1;
    pub const CLEARED: u8 = 2;
    pub const COMPLETE: u8 = 3;
    pub const TIME_TO_LIVE: u8 = 4;
    pub const RESET: u8 = 5;
    pub const INDEXES: u8 = 6;
    pub const CREATED: u8 = 7;
}

mod tag {
    pub const NULL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INT: u8 = 3;
    pub const DOUBLE: u8 = 4;
    pub const TIMESTAMP: u8 = 5;
    pub const STRING: u8 = 6;
    pub const BYTES: u8 = 7;
    pub const REFERENCE: u8 = 8;
    pub const GEO: u8 = 9;
    pub const ARRAY: u8 = 10;
    pub const MAP: u8 = 11;
}

/// Writes a record.
pub fn encode(record: &Record) -> Vec<u8> {
    let mut out = Writer(vec![VERSION]);
    match record {
        Record::Began { epoch, life } => {
            out.byte(kind::BEGAN);
            out.number(u64::from(*epoch));
            out.number(u64::from(*life));
        }
        Record::Reset { epoch, life } => {
            out.byte(kind::RESET);
            out.number(u64::from(*epoch));
            out.number(u64::from(*life));
        }
        Record::Indexes { database, catalogue } => {
            out.byte(kind::INDEXES);
            out.text(database.as_ref().map_or("", DatabaseName::as_str));
            catalogue::write(&mut out, catalogue);
        }
        Record::Created { database, edition } => {
            out.byte(kind::CREATED);
            out.text(database.as_str());
            out.byte(u8::from(edition.enterprise));
            out.byte(u8::from(edition.concurrency == Concurrency::Optimistic));
        }
        Record::Committed { database, time, changes } => {
            out.byte(kind::COMMITTED);
            out.text(database.as_str());
            out.time(*time);
            out.number(changes.len() as u64);
            for (name, document) in changes {
                out.text(name.path());
                match document {
                    None => out.byte(0),
                    Some(document) => {
                        out.byte(1);
                        out.time(document.create_time);
                        out.time(document.update_time);
                        out.fields(&document.fields);
                    }
                }
            }
        }
        Record::Cleared { database, time } => {
            out.byte(kind::CLEARED);
            out.text(database.as_str());
            out.time(*time);
        }
        Record::Complete { database, from } => {
            out.byte(kind::COMPLETE);
            out.text(database.as_str());
            out.time(*from);
        }
        Record::TimeToLive { database, group, field, delay } => {
            out.byte(kind::TIME_TO_LIVE);
            out.text(database.as_str());
            out.text(group);
            out.text(&field.to_string());
            match delay {
                None => out.byte(0),
                Some(delay) => {
                    out.byte(1);
                    out.number(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX));
                }
            }
        }
    }
    out.0
}

/// Reads a record; the error says what is wrong with it.
pub fn decode(bytes: &[u8]) -> Result<Record, String> {
    let mut input = Reader(bytes);
    match input.byte()? {
        VERSION => {}
        other => return Err(format!("it has layout {other}, which this version of the program does not know")),
    }
    let record = match input.byte()? {
        kind::BEGAN => Record::Began { epoch: input.small()?, life: input.small()? },
        kind::RESET => Record::Reset { epoch: input.small()?, life: input.small()? },
        kind::INDEXES => {
            let database = match input.text()? {
                "" => None,
                name => Some(DatabaseName::parse(name).map_err(|error| error.to_string())?),
            };
            Record::Indexes { database, catalogue: Arc::new(catalogue::read(&mut input)?) }
        }
        kind::CREATED => {
            let database = input.database()?;
            let enterprise = input.flag()?;
            let concurrency = if input.flag()? { Concurrency::Optimistic } else { Concurrency::Pessimistic };
            Record::Created { database, edition: Edition { enterprise, concurrency } }
        }
        kind::COMMITTED => {
            let database = input.database()?;
            let time = input.time()?;
            let count = input.number()?;
            let mut changes = Vec::new();
            for _ in 0..count {
                let name = input.name()?;
                let document = if input.flag()? {
                    let (create_time, update_time) = (input.time()?, input.time()?);
                    let fields = input.fields(0)?;
                    Some(Arc::new(Document { name: name.clone(), fields, create_time, update_time }))
                } else {
                    None
                };
                changes.push((name, document));
            }
            Record::Committed { database, time, changes }
        }
        kind::CLEARED => Record::Cleared { database: input.database()?, time: input.time()? },
        kind::COMPLETE => Record::Complete { database: input.database()?, from: input.time()? },
        kind::TIME_TO_LIVE => {
            let database = input.database()?;
            let group = Arc::from(input.text()?);
            let field = FieldPath::parse(input.text()?).map_err(|error| error.to_string())?;
            let delay = if input.flag()? { Some(Duration::from_micros(input.number()?)) } else { None };
            Record::TimeToLive { database, group, field, delay }
        }
        other => return Err(format!("it is of kind {other}, which this version of the program does not know")),
    };
    if input.0.is_empty() { Ok(record) } else { Err("it is longer than it should be".to_owned()) }
}

pub struct Writer(Vec<u8>);

impl Writer {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn time(&mut self, time: Timestamp) {
        self.signed(time.as_micros());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn double(&mut self, number: f64) {
        self.0.extend_from_slice(&number.to_bits().to_le_bytes());
    }

    fn fields(&mut self, fields: &Fields) {
        self.number(fields.len() as u64);
        for (key, value) in fields.iter() {
            self.text(key);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(tag::NULL),
            Value::Bool(false) => self.byte(tag::FALSE),
            Value::Bool(true) => self.byte(tag::TRUE),
            Value::Int(number) => {
                self.byte(tag::INT);
                self.signed(*number);
            }
            Value::Double(number) => {
                self.byte(tag::DOUBLE);
                self.double(*number);
            }
            Value::Timestamp(time) => {
                self.byte(tag::TIMESTAMP);
                self.time(*time);
            }
            Value::String(text) => {
                self.byte(tag::STRING);
                self.text(text);
            }
            Value::Bytes(bytes) => {
                self.byte(tag::BYTES);
                self.bytes(bytes);
            }
            Value::Reference(name) => {
                self.byte(tag::REFERENCE);
                self.text(name);
            }
            Value::Geo { latitude, longitude } => {
                self.byte(tag::GEO);
                self.double(*latitude);
                self.double(*longitude);
            }
            Value::Array(values) => {
                self.byte(tag::ARRAY);
                self.number(values.len() as u64);
                for value in values.iter() {
                    self.value(value);
                }
            }
            Value::Map(fields) => {
                self.byte(tag::MAP);
                self.fields(fields);
            }
        }
    }
}

pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| "it is cut short".to_owned())?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, String> {
        self.take(1)?.first().copied().ok_or_else(|| "it is cut short".to_owned())
    }

    pub fn flag(&mut self) -> Result<bool, String> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other} is neither yes nor no")),
        }
    }

    pub fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long".to_owned())
    }

    pub fn small(&mut self) -> Result<u32, String> {
        u32::try_from(self.number()?).map_err(|_| "a number is too large".to_owned())
    }

    fn signed(&mut self) -> Result<i64, String> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn time(&mut self) -> Result<Timestamp, String> {
        self.signed().map(Timestamp::from_micros)
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.number()?).map_err(|_| "it is cut short".to_owned())?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    fn double(&mut self) -> Result<f64, String> {
        let bytes = self.take(8)?.try_into().map_err(|_| "it is cut short".to_owned())?;
        Ok(f64::from_bits(u64::from_le_bytes(bytes)))
    }

    fn database(&mut self) -> Result<DatabaseName, String> {
        DatabaseName::parse(self.text()?).map_err(|error| error.to_string())
    }

    fn name(&mut self) -> Result<DocumentName, String> {
        DocumentName::parse_relative(self.text()?).map_err(|error| error.to_string())
    }

    fn fields(&mut self, depth: usize) -> Result<Fields, String> {
        let count = self.number()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((Arc::from(self.text()?), self.value(depth + 1)?));
        }
        Ok(entries.into_iter().collect())
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err("a value is nested too deeply".to_owned());
        }
        Ok(match self.byte()? {
            tag::NULL => Value::Null,
            tag::FALSE => Value::Bool(false),
            tag::TRUE => Value::Bool(true),
            tag::INT => Value::Int(self.signed()?),
            tag::DOUBLE => Value::Double(self.double()?),
            tag::TIMESTAMP => Value::Timestamp(self.time()?),
            tag::STRING => Value::string(self.text()?),
            tag::BYTES => Value::Bytes(Arc::from(self.bytes()?)),
            tag::REFERENCE => Value::Reference(Arc::from(self.text()?)),
            tag::GEO => Value::Geo { latitude: self.double()?, longitude: self.double()? },
            tag::ARRAY => {
                let count = self.number()?;
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::array(values)
            }
            tag::MAP => Value::map(self.fields(depth)?),
            other => return Err(format!("a value has the unknown tag {other}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
            any::<i64>().prop_map(|micros| Value::Timestamp(Timestamp::from_micros(micros))),
            ".*".prop_map(|text| Value::string(&text)),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(Arc::from(bytes))),
            "[a-z/]*".prop_map(|text| Value::Reference(Arc::from(text))),
            any::<(f64, f64)>().prop_map(|(latitude, longitude)| Value::Geo { latitude, longitude }),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::array),
                prop::collection::vec((".*", inner), 0..5).prop_map(|entries| Value::map(fields(entries))),
            ]
        })
    }

    fn fields(entries: Vec<(String, Value)>) -> Fields {
        entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect()
    }

    fn record() -> impl Strategy<Value = Record> {
        let database = || DatabaseName::parse("projects/p/databases/d").unwrap();
        let time = || any::<i64>().prop_map(Timestamp::from_micros);
        let document = prop::option::of((time(), time(), prop::collection::vec((".*", value()), 0..5)));
        let change = ("[a-z]{1,3}", document).prop_map(|(id, document)| {
            let name = DocumentName::parse_relative(&format!("c/{id}")).unwrap();
            let document = document.map(|(create_time, update_time, entries)| {
                Arc::new(Document { name: name.clone(), fields: fields(entries), create_time, update_time })
            });
            (name, document)
        });
        prop_oneof![
            any::<(u32, u32)>().prop_map(|(epoch, life)| Record::Began { epoch, life }),
            (time(), prop::collection::vec(change, 0..4)).prop_map(move |(time, changes)| Record::Committed {
                database: database(),
                time,
                changes
            }),
            time().prop_map(move |time| Record::Cleared { database: database(), time }),
            time().prop_map(move |from| Record::Complete { database: database(), from }),
            any::<(u32, u32)>().prop_map(|(epoch, life)| Record::Reset { epoch, life }),
            (any::<bool>(), catalogue::tests::some()).prop_map(move |(one, catalogue)| Record::Indexes {
                database: one.then(database),
                catalogue: Arc::new(catalogue)
            }),
            any::<(bool, bool)>().prop_map(move |(enterprise, optimistic)| {
                let concurrency = if optimistic { Concurrency::Optimistic } else { Concurrency::Pessimistic };
                Record::Created { database: database(), edition: Edition { enterprise, concurrency } }
            }),
            prop::option::of(0..u64::MAX / 2).prop_map(move |delay| Record::TimeToLive {
                database: database(),
                group: Arc::from("g"),
                field: FieldPath::parse("a.`b c`").unwrap(),
                delay: delay.map(Duration::from_micros)
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn records_go_both_ways(record in record()) {
            let bytes = encode(&record);
            prop_assert_eq!(decode(&bytes).unwrap(), record);
            // Whatever is missing at the end is missed.
            for cut in 0..bytes.len().min(40) {
                prop_assert!(decode(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn other_bytes_are_refused_or_read_but_never_trip(mut bytes in any::<Vec<u8>>()) {
            bytes.insert(0, VERSION);
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn deep_values_are_refused() {
        let mut bytes = vec![VERSION, kind::COMMITTED];
        let mut out = Writer(Vec::new());
        out.text("projects/p/databases/d");
        out.time(Timestamp::EPOCH);
        out.number(1);
        out.text("c/a");
        out.byte(1);
        out.time(Timestamp::EPOCH);
        out.time(Timestamp::EPOCH);
        out.number(1);
        out.text("f");
        for _ in 0..100_000 {
            out.byte(tag::ARRAY);
            out.number(1);
        }
        bytes.append(&mut out.0);
        assert_eq!(decode(&bytes).unwrap_err(), "a value is nested too deeply");
    }
}
