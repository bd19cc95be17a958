//! HLL_COUNT: HyperLogLog++ sketches in a form of their own (production's bytes differ, their counts agree).
//!
//! A sketch is `HLL`, a type tag, the precision, a mode, and then either up to [`SPARSE`] distinct hashes, which
//! count exactly, or one register a byte.

use std::collections::BTreeSet;

use crate::error::{Result, SqlError};
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::{any, fail};
use crate::functions::hash::fingerprint64;
use crate::functions::{Accumulator, AggregateFunction, ScalarFunction, entry};
use crate::value::{Value, float};

const SPARSE: usize = 4096;
const MAGIC: &[u8; 3] = b"HLL";

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

struct Sketch {
    tag: u8,
    precision: u8,
    hashes: BTreeSet<u64>,
    /// Empty while the hashes are few.
    registers: Vec<u8>,
}

impl Sketch {
    fn new(tag: u8, precision: u8) -> Sketch {
        Sketch { tag, precision, hashes: BTreeSet::new(), registers: Vec::new() }
    }

    fn add_hash(&mut self, hash: u64) {
        if self.registers.is_empty() {
            self.hashes.insert(hash);
            if self.hashes.len() > SPARSE {
                self.spread();
            }
        } else {
            let precision = u32::from(self.precision);
            let index = (hash >> (64 - precision)) as usize;
            let rank = ((hash << precision) | (1 << (precision - 1))).leading_zeros() as u8 + 1;
            if let Some(register) = self.registers.get_mut(index) {
                *register = (*register).max(rank);
            }
        }
    }

    fn spread(&mut self) {
        self.registers = vec![0; 1 << self.precision];
        for hash in std::mem::take(&mut self.hashes) {
            self.add_hash(hash);
        }
    }

    fn merge(&mut self, other: Sketch) -> Option<()> {
        if other.tag != self.tag || other.precision != self.precision {
            return None;
        }
        if !other.registers.is_empty() && self.registers.is_empty() {
            self.spread();
        }
        for hash in other.hashes {
            self.add_hash(hash);
        }
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers) {
            *mine = (*mine).max(theirs);
        }
        Some(())
    }

    fn estimate(&self) -> i64 {
        if self.registers.is_empty() {
            return self.hashes.len() as i64;
        }
        let m = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|rank| 0.5f64.powi(i32::from(*rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let zeros = self.registers.iter().filter(|rank| **rank == 0).count();
        let estimate = if raw <= 2.5 * m && zeros > 0 { m * (m / zeros as f64).ln() } else { raw };
        estimate.round() as i64
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([self.tag, self.precision, u8::from(!self.registers.is_empty())]);
        for hash in &self.hashes {
            out.extend(hash.to_le_bytes());
        }
        out.extend(&self.registers);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Sketch> {
        let rest = bytes.strip_prefix(MAGIC.as_slice())?;
        let [tag, precision, dense, data @ ..] = rest else { return None };
        if !(10..=24).contains(precision) {
            return None;
        }
        let mut sketch = Sketch::new(*tag, *precision);
        if *dense == 1 {
            if data.len() != 1 << precision {
                return None;
            }
            sketch.registers = data.to_vec();
        } else {
            if data.len() % 8 != 0 || data.len() / 8 > SPARSE {
                return None;
            }
            for chunk in data.chunks_exact(8) {
                sketch.hashes.insert(u64::from_le_bytes(chunk.try_into().ok()?));
            }
        }
        Some(sketch)
    }
}

struct Init {
    sketch: Option<Sketch>,
}

impl Accumulator for Init {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let (tag, hash) = match any(args, 0) {
            Value::Int64(value) => (b'i', fingerprint64(&value.to_le_bytes())),
            Value::Float64(value) => (b'f', fingerprint64(float::to_text(*value).as_bytes())),
            Value::Numeric(value) => (b'n', fingerprint64(&value.raw().to_le_bytes())),
            Value::BigNumeric(value) => (b'b', fingerprint64(&value.to_le_bytes())),
            Value::String(text) => (b's', fingerprint64(text.as_bytes())),
            Value::Bytes(bytes) => (b's', fingerprint64(bytes)),
            _ => return Ok(()),
        };
        if self.sketch.is_none() {
            let precision = match args.get(1) {
                None => 15,
                Some(Value::Int64(precision)) if (10..=24).contains(precision) => *precision as u8,
                Some(Value::Null) => return fail("The second argument to HLL_COUNT.INIT must not be NULL"),
                Some(_) => return fail("HLL_COUNT.INIT precision must be between 10 and 24"),
            };
            self.sketch = Some(Sketch::new(tag, precision));
        }
        if let Some(sketch) = &mut self.sketch {
            // One more mixing, since close inputs must not give close hashes.
            sketch.add_hash(hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (hash >> 29));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.sketch.take().map_or(Value::Null, |sketch| Value::bytes(sketch.encode())))
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
        Ok(match (self.sketch.take(), self.count) {
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
