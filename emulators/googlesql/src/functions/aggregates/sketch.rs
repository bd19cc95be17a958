//! HLL_COUNT: HyperLogLog++ sketches in production's own form.
//!
//! The form is that of the ZetaSketch library: a protocol message around either a sorted list of positions
//! (exact for small counts) or one register a byte.

use std::collections::BTreeSet;

use crate::error::{Result, SqlError};
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::{any, fail};
use crate::functions::hash::fingerprint64;
use crate::functions::{Accumulator, AggregateFunction, ScalarFunction, entry};
use crate::value::Value;

const NO_DISTINCT: Allows = Allows { distinct: false, ..PLAIN };

pub(crate) static TABLE: &[AggregateFunction] = &[
    aggregate!(
        "hll_functions",
        "hll_count.init",
        "HLL_COUNT.INIT",
        NO_DISTINCT,
        [
            "(INT64, [INT64]) -> BYTES",
            "(NUMERIC, [INT64]) -> BYTES",
            "(BIGNUMERIC, [INT64]) -> BYTES",
            "(STRING, [INT64]) -> BYTES",
            "(BYTES, [INT64]) -> BYTES",
        ],
        |_| Box::new(Init { sketch: None })
    ),
    aggregate!("hll_functions", "hll_count.merge", "HLL_COUNT.MERGE", NO_DISTINCT, ["(BYTES) -> INT64"], |_| Box::new(
        Merge { name: "HLL_COUNT.MERGE", sketch: None, count: true }
    )),
    aggregate!(
        "hll_functions",
        "hll_count.merge_partial",
        "HLL_COUNT.MERGE_PARTIAL",
        NO_DISTINCT,
        ["(BYTES) -> BYTES"],
        |_| Box::new(Merge { name: "HLL_COUNT.MERGE_PARTIAL", sketch: None, count: false })
    ),
];

pub(crate) static SCALARS: &[ScalarFunction] = &[
    // No sketch counts as an empty one.
    entry!("hll_functions", "hll_count.extract", "HLL_COUNT.EXTRACT", Handled, ["(BYTES) -> INT64"], |_, args| {
        match any(args, 0) {
            Value::Bytes(bytes) => match Sketch::decode(bytes) {
                Some(sketch) => Ok(Value::Int64(sketch.estimate())),
                None => fail("Invalid or incompatible sketch in HLL_COUNT.EXTRACT"),
            },
            _ => Ok(Value::Int64(0)),
        }
    }),
];

/// A sketch taken apart: the message of HyperLogLog++ that production stores.
struct Sketch {
    /// How many values went in.
    added: u64,
    /// What they were: [`INTEGERS`], [`TEXTS`]; 0 where the sketch does not say.
    kind: u64,
    precision: u32,
    sparse_precision: u32,
    /// Encoded positions, while they are few.
    sparse: BTreeSet<u32>,
    /// One rank a register; empty while sparse.
    registers: Vec<u8>,
}

const INTEGERS: u64 = 8;
const TEXTS: u64 = 11;

impl Sketch {
    fn new(kind: u64, precision: u32) -> Sketch {
        Sketch {
            added: 0,
            kind,
            precision,
            sparse_precision: precision + 5,
            sparse: BTreeSet::new(),
            registers: Vec::new(),
        }
    }

    /// Marks an encoded position that carries its rank.
    fn flag(&self) -> u32 {
        1 << self.sparse_precision.max(self.precision + 6)
    }

    fn spare_bits(&self) -> u32 {
        self.sparse_precision - self.precision
    }

    fn add_hash(&mut self, hash: u64) {
        self.added = self.added.saturating_add(1);
        if !self.registers.is_empty() {
            let rank = (hash << self.precision).leading_zeros().min(64 - self.precision) + 1;
            self.raise((hash >> (64 - self.precision)) as usize, rank as u8);
            return;
        }
        let position = (hash >> (64 - self.sparse_precision)) as u32;
        let encoded = if position & ((1 << self.spare_bits()) - 1) == 0 {
            let rank = (hash << self.sparse_precision).leading_zeros().min(64 - self.sparse_precision) + 1;
            self.flag() | (position >> self.spare_bits() << 6) | rank
        } else {
            position
        };
        self.insert(encoded);
    }

    /// Of two ranks of one position the greater stays.
    fn insert(&mut self, encoded: u32) {
        if encoded & self.flag() != 0 {
            let same = encoded & !63..=encoded | 63;
            if let Some(known) = self.sparse.range(same).next().copied() {
                if known >= encoded {
                    return;
                }
                self.sparse.remove(&known);
            }
        }
        self.sparse.insert(encoded);
        // Each takes two bytes or so; production goes over at three quarters of the registers' size.
        if self.sparse.len() * 2 > (1 << self.precision) * 3 / 4 {
            self.spread();
        }
    }

    fn raise(&mut self, index: usize, rank: u8) {
        if let Some(register) = self.registers.get_mut(index) {
            *register = (*register).max(rank);
        }
    }

    fn spread(&mut self) {
        self.registers = vec![0; 1 << self.precision];
        for encoded in std::mem::take(&mut self.sparse) {
            self.raise_encoded(encoded);
        }
    }

    fn raise_encoded(&mut self, encoded: u32) {
        let spare = self.spare_bits();
        if encoded & self.flag() != 0 {
            let index = ((encoded & !self.flag()) >> 6) as usize;
            self.raise(index, ((encoded & 63) + spare) as u8);
        } else {
            let low = encoded & ((1 << spare) - 1);
            let rank = spare - (u32::BITS - low.leading_zeros()) + 1;
            self.raise((encoded >> spare) as usize, rank as u8);
        }
    }

    fn merge(&mut self, other: Sketch) -> Option<()> {
        let same = other.precision == self.precision && other.sparse_precision == self.sparse_precision;
        if !same || self.kind != other.kind && self.kind != 0 && other.kind != 0 {
            return None;
        }
        self.kind = self.kind.max(other.kind);
        self.added = self.added.saturating_add(other.added);
        if !other.registers.is_empty() && self.registers.is_empty() {
            self.spread();
        }
        for encoded in other.sparse {
            if self.registers.is_empty() { self.insert(encoded) } else { self.raise_encoded(encoded) }
        }
        for (index, rank) in other.registers.into_iter().enumerate() {
            self.raise(index, rank);
        }
        Some(())
    }

    fn estimate(&self) -> i64 {
        if self.registers.is_empty() {
            let m = f64::from(1u32 << self.sparse_precision);
            return (m * (m / (m - self.sparse.len() as f64)).ln()).round() as i64;
        }
        let m = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|rank| 0.5f64.powi(i32::from(*rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let zeros = self.registers.iter().filter(|rank| **rank == 0).count();
        let estimate = if raw <= 2.5 * m && zeros > 0 { m * (m / zeros as f64).ln() } else { raw };
        estimate.round() as i64
    }

    fn encode(&self) -> Vec<u8> {
        let mut state = Vec::new();
        if self.registers.is_empty() {
            field(2, self.sparse.len() as u64, &mut state);
        }
        field(3, u64::from(self.precision), &mut state);
        field(4, u64::from(self.sparse_precision), &mut state);
        if self.registers.is_empty() {
            let mut data = Vec::new();
            let mut last = 0;
            for encoded in &self.sparse {
                varint(u64::from(encoded - last), &mut data);
                last = *encoded;
            }
            bytes_field(6, &data, &mut state);
        } else {
            bytes_field(5, &self.registers, &mut state);
        }
        let mut out = Vec::new();
        field(1, TYPE, &mut out);
        field(2, self.added, &mut out);
        field(3, 2, &mut out);
        field(4, if self.kind == 0 { INTEGERS } else { self.kind }, &mut out);
        bytes_field(TYPE, &state, &mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Sketch> {
        let (mut kind, mut added, mut is_sketch) = (0, 0, false);
        let mut state: &[u8] = &[];
        for item in Fields(bytes) {
            match item? {
                (1, Content::Number(value)) => is_sketch = value == TYPE,
                (2, Content::Number(value)) => added = value,
                (4, Content::Number(value)) => kind = value,
                (TYPE, Content::Bytes(value)) => state = value,
                _ => {}
            }
        }
        let (mut precision, mut sparse_precision) = (0, 0);
        let (mut sparse, mut registers): (&[u8], &[u8]) = (&[], &[]);
        for item in Fields(state) {
            match item? {
                (3, Content::Number(value)) => precision = u32::try_from(value).ok()?,
                (4, Content::Number(value)) => sparse_precision = u32::try_from(value).ok()?,
                (5, Content::Bytes(value)) => registers = value,
                (6, Content::Bytes(value)) => sparse = value,
                _ => {}
            }
        }
        let known = (10..=24).contains(&precision) && (precision..=25).contains(&sparse_precision);
        if !is_sketch || !known || !registers.is_empty() && registers.len() != 1 << precision {
            return None;
        }
        let mut sketch = Sketch::new(kind, precision);
        sketch.sparse_precision = sparse_precision;
        sketch.added = added;
        sketch.registers = registers.to_vec();
        let mut last: u32 = 0;
        while !sparse.is_empty() {
            last = last.checked_add(u32::try_from(read_varint(&mut sparse)?).ok()?)?;
            if last >= sketch.flag() * 2 {
                return None;
            }
            if sketch.registers.is_empty() { sketch.insert(last) } else { sketch.raise_encoded(last) }
        }
        Some(sketch)
    }
}

/// The aggregation's number, and the number of the field that holds its state.
const TYPE: u64 = 112;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u64, value: u64, out: &mut Vec<u8>) {
    varint(number << 3, out);
    varint(value, out);
}

fn bytes_field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 127) << shift;
        if *byte < 128 {
            return Some(value);
        }
    }
    None
}

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message's fields in turn; `None` once where it is broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Content<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut read = || {
            let key = read_varint(&mut self.0)?;
            let value = read_varint(&mut self.0)?;
            match key & 7 {
                0 => Some((key >> 3, Content::Number(value))),
                2 => {
                    let (bytes, tail) = self.0.split_at_checked(usize::try_from(value).ok()?)?;
                    self.0 = tail;
                    Some((key >> 3, Content::Bytes(bytes)))
                }
                _ => None,
            }
        };
        let item = read();
        if item.is_none() {
            self.0 = &[];
        }
        Some(item)
    }
}

/// The 64-bit fingerprint that the sketches hash with (Guava's `Fingerprint2011`), for up to 32 bytes as
/// it is; longer values are hashed by FarmHash first, which only their own sketches notice.
fn hash(bytes: &[u8]) -> u64 {
    const K0: u64 = 0xa5b8_5c5e_198e_d849;
    const K1: u64 = 0x8d58_ac26_afe1_2e47;
    const K2: u64 = 0xc47b_6e9e_3a97_0ed3;
    const K3: u64 = 0xc6a4_a793_5bd1_e995;
    let mix = |value: u64| value ^ (value >> 47);
    let load = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let long;
    let bytes = if bytes.len() > 32 {
        long = fingerprint64(bytes).to_le_bytes();
        &long
    } else {
        bytes
    };
    let mut state = K0 ^ K1 ^ K2 ^ (bytes.len() as u64).wrapping_mul(K3);
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        state = (state ^ mix(load(word).wrapping_mul(K3)).wrapping_mul(K3)).wrapping_mul(K3);
    }
    if !rest.is_empty() {
        state = (state ^ load(rest)).wrapping_mul(K3);
    }
    let murmur = mix(mix(state).wrapping_mul(K3));
    let low = bytes.get(..8).map_or(K0, load);
    let high = if bytes.len() > 8 { load(&bytes[bytes.len() - 8..]) } else { K0 };
    let high = murmur.wrapping_add(high);
    let a = mix((low ^ high).wrapping_mul(K3));
    let result = mix((high ^ a).wrapping_mul(K3)).wrapping_mul(K3);
    if result <= 1 { result.wrapping_add(!1) } else { result }
}

struct Init {
    sketch: Option<Sketch>,
}

impl Accumulator for Init {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let (kind, hash) = match any(args, 0) {
            Value::Int64(value) => (INTEGERS, hash(&value.to_le_bytes())),
            Value::Numeric(value) => (TEXTS, hash(&value.raw().to_le_bytes())),
            Value::BigNumeric(value) => (TEXTS, hash(&value.to_le_bytes())),
            Value::String(text) => (TEXTS, hash(text.as_bytes())),
            Value::Bytes(bytes) => (TEXTS, hash(bytes)),
            _ => return Ok(()),
        };
        if self.sketch.is_none() {
            let precision = match args.get(1) {
                None => 15,
                Some(Value::Int64(precision)) if (10..=24).contains(precision) => *precision as u32,
                Some(Value::Null) => return fail("The second argument to HLL_COUNT.INIT must not be NULL"),
                Some(_) => return fail("HLL_COUNT.INIT precision must be between 10 and 24"),
            };
            self.sketch = Some(Sketch::new(kind, precision));
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.add_hash(hash);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.sketch.as_ref().map_or(Value::Null, |sketch| Value::bytes(sketch.encode())))
    }
}

struct Merge {
    name: &'static str,
    sketch: Option<Sketch>,
    count: bool,
}

impl Accumulator for Merge {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let Value::Bytes(bytes) = any(args, 0) else { return Ok(()) };
        let invalid = || SqlError::evaluation(format!("Invalid or incompatible sketch in {}", self.name));
        let sketch = Sketch::decode(bytes).ok_or_else(invalid)?;
        match &mut self.sketch {
            None => self.sketch = Some(sketch),
            Some(known) => known.merge(sketch).ok_or_else(invalid)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(match (&self.sketch, self.count) {
            (None, true) => Value::Int64(0),
            (None, false) => Value::Null,
            (Some(sketch), true) => Value::Int64(sketch.estimate()),
            (Some(sketch), false) => Value::bytes(sketch.encode()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::aggregate as find;
    use crate::functions::aggregates::testing::{ints, run};
    use crate::types::Type;

    fn sketch(values: std::ops::Range<i64>) -> Vec<Value> {
        let rows = ints(&values.collect::<Vec<_>>());
        vec![run(find("hll_count.init").expect("there"), &[Type::Int64], &rows).expect("a sketch")]
    }

    #[test]
    fn sketches_are_productions() {
        let merge = find("hll_count.merge_partial").expect("there");
        let Ok(Value::Bytes(merged)) = run(merge, &[Type::Bytes], &[sketch(1..4), sketch(4..7)]) else {
            panic!("no sketch");
        };
        let hex = crate::functions::encoding::to_base_bits(&merged, 4);
        assert_eq!(hex, "087010061802200882071a1006180f20143212a3a605c1d102c88419e2af0c8877ebfea101");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let _ = Sketch::decode(&bytes);
            let mut framed = vec![0x08, 0x70, 0x82, 0x07, bytes.len() as u8 + 4, 0x18, 0x0f, 0x20, 0x14];
            framed.extend(&bytes);
            let _ = Sketch::decode(&framed).map(|sketch| sketch.estimate());
        }
    }

    #[test]
    fn sketches_merge_and_count() {
        let merge = find("hll_count.merge").expect("there");
        let few = run(merge, &[Type::Bytes], &[sketch(0..5), sketch(3..10)]);
        assert!(matches!(few, Ok(Value::Int64(10))));
        let Ok(Value::Int64(many)) = run(merge, &[Type::Bytes], &[sketch(0..50_000), sketch(40_000..100_000)]) else {
            panic!("no count");
        };
        assert!((97_000..103_000).contains(&many), "{many}");
        assert_eq!(
            run(merge, &[Type::Bytes], &[vec![Value::bytes(b"")]]).unwrap_err().message,
            "Invalid or incompatible sketch in HLL_COUNT.MERGE"
        );
    }
}
