//! Values as bytes whose plain order is the order of values, so that index entries compare quickly.
//!
//! No encoding is the beginning of another, so several may follow each other in one key. Equal
//! values (`3` and `3.0`) have equal bytes. A descending field has all its bits flipped.

use std::cmp::Ordering;

use super::Mode;
use crate::path::numeric_id;
use crate::value::order::Bracket;
use crate::value::{Fields, Value};

const END: u8 = 0x00;
const MORE: u8 = 0x01;
const NUMERIC_ID: u8 = 0x01;
const PLAIN_ID: u8 = 0x02;
const NAN: u8 = 0x30;

/// The first byte of a bracket's values; NaN, which no range has, comes right before the numbers.
pub fn tag(bracket: Bracket) -> u8 {
    match bracket {
        Bracket::Null => 0x10,
        Bracket::Bool => 0x20,
        Bracket::Number => 0x31,
        Bracket::Timestamp => 0x40,
        Bracket::String => 0x50,
        Bracket::Bytes => 0x60,
        Bracket::Reference => 0x70,
        Bracket::Geo => 0x80,
        Bracket::Array => 0x90,
        Bracket::Vector => 0xA0,
        Bracket::Map => 0xB0,
    }
}

/// Appends a value as it stands in a field of this mode.
pub fn push(key: &mut Vec<u8>, value: &Value, mode: Mode) {
    let from = key.len();
    encode(key, value);
    flip(key, from, mode);
}

/// Turns what stands from `from` on around, where the mode is descending.
pub fn flip(key: &mut [u8], from: usize, mode: Mode) {
    if mode == Mode::Descending {
        for byte in key.iter_mut().skip(from) {
            *byte = !*byte;
        }
    }
}

/// The first key after all that begin with `key`; `None` where nothing comes after them.
pub fn after(mut key: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            return Some(key);
        }
    }
    None
}

/// Nesting is limited where values enter, so this recursion is.
fn encode(key: &mut Vec<u8>, value: &Value) {
    if value.is_nan() {
        key.push(NAN);
        return;
    }
    let bracket = value.bracket();
    key.push(tag(bracket));
    match value {
        Value::Null => {}
        Value::Bool(flag) => key.push(u8::from(*flag)),
        Value::Int(number) => int(key, *number),
        Value::Double(number) => {
            double(key, *number);
            key.extend([0, 0]);
        }
        Value::Timestamp(time) => key.extend(sortable(time.as_micros())),
        Value::String(text) => bytes(key, text.as_bytes()),
        Value::Bytes(content) => bytes(key, content),
        Value::Reference(name) => path(key, name),
        Value::Geo { latitude, longitude } => {
            double(key, *latitude);
            double(key, *longitude);
        }
        Value::Array(values) => elements(key, values),
        Value::Map(fields) => match value.as_vector() {
            Some(numbers) => {
                key.extend(u32::try_from(numbers.len()).unwrap_or(u32::MAX).to_be_bytes());
                elements(key, numbers);
            }
            None => map(key, fields),
        },
    }
}

fn elements(key: &mut Vec<u8>, values: &[Value]) {
    for value in values {
        encode(key, value);
    }
    key.push(END);
}

fn map(key: &mut Vec<u8>, fields: &Fields) {
    for (name, value) in fields.iter() {
        key.push(MORE);
        bytes(key, name.as_bytes());
        encode(key, value);
    }
    key.push(END);
}

/// Zero bytes are marked, so that the end of a text comes before whatever may follow in a longer one.
fn bytes(key: &mut Vec<u8>, content: &[u8]) {
    for byte in content {
        key.push(*byte);
        if *byte == 0 {
            key.push(u8::MAX);
        }
    }
    key.extend([0, 1]);
}

fn path(key: &mut Vec<u8>, name: &str) {
    for segment in name.split('/') {
        match numeric_id(segment) {
            Some(number) => {
                key.push(NUMERIC_ID);
                key.extend(sortable(number));
            }
            None => {
                key.push(PLAIN_ID);
                bytes(key, segment.as_bytes());
            }
        }
    }
    key.push(END);
}

fn sortable(number: i64) -> [u8; 8] {
    (number ^ i64::MIN).to_be_bytes()
}

/// The double at or below the integer, then how far below: exact for all integers.
fn int(key: &mut Vec<u8>, number: i64) {
    let mut floor = number as f64;
    if compare(floor, number) == Ordering::Greater {
        floor = floor.next_down();
    }
    double(key, floor);
    let rest = i128::from(number) - floor as i128;
    key.extend(u16::try_from(rest).unwrap_or(u16::MAX).to_be_bytes());
}

fn compare(double: f64, int: i64) -> Ordering {
    // Doubles of this size are whole, and 128 bits hold them.
    (double as i128).cmp(&i128::from(int))
}

/// NaN first, the zeros equal.
fn double(key: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        key.extend([0; 8]);
        return;
    }
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    key.extend(ordered.to_be_bytes());
}
