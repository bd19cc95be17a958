//! KLL_QUANTILES: sketches of a distribution, in a form of their own.
//!
//! A sketch is `KLL`, a type tag, and weighted values in order. Beyond [`KEPT`] of them every other one is
//! dropped and the weights doubled, which keeps ranks within a small error.

use crate::error::{Result, SqlError};
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::{any, fail};
use crate::functions::{Accumulator, AggregateFunction, ScalarFunction, entry};
use crate::types::Type;
use crate::value::{Value, sql_cmp};

const KEPT: usize = 16_384;
const MAGIC: &[u8; 3] = b"KLL";

const NO_DISTINCT: Allows = Allows { distinct: false, ..PLAIN };

macro_rules! init {
    ($name:literal, $sql_name:literal, [$($signature:literal),*]) => {
        aggregate!("kll_functions", $name, $sql_name, NO_DISTINCT, [$($signature),*], |_| {
            Box::new(Builder { sketch: None, finish: Finish::Sketch, name: $sql_name })
        })
    };
}

macro_rules! merge {
    ($name:literal, $sql_name:literal, $signature:literal, $finish:ident) => {
        aggregate!("kll_functions", $name, $sql_name, NO_DISTINCT, [$signature], |_| {
            Box::new(Builder { sketch: None, finish: Finish::$finish(Value::Null), name: $sql_name })
        })
    };
}

macro_rules! extract {
    ($name:literal, $sql_name:literal, $signature:literal, $point:literal) => {
        entry!("kll_functions", $name, $sql_name, Propagate, [$signature], |call, args| {
            let Value::Bytes(bytes) = any(args, 0) else { return Ok(Value::Null) };
            let sketch = Sketch::decode(bytes).filter(|sketch| sketch.fits(call.result_type));
            let sketch = sketch.ok_or_else(|| invalid($sql_name))?;
            if $point { sketch.point($sql_name, any(args, 1)) } else { sketch.quantiles($sql_name, any(args, 1)) }
        })
    };
}

pub(crate) static TABLE: &[AggregateFunction] = &[
    init!("kll_quantiles.init_int64", "KLL_QUANTILES.INIT_INT64", ["(INT64, [INT64], [weight => INT64]) -> BYTES"]),
    init!(
        "kll_quantiles.init_float64",
        "KLL_QUANTILES.INIT_FLOAT64",
        ["(FLOAT64, [INT64], [weight => INT64]) -> BYTES"]
    ),
    init!("kll_quantiles.init_double", "KLL_QUANTILES.INIT_DOUBLE", ["(FLOAT64, [INT64], [weight => INT64]) -> BYTES"]),
    aggregate!(
        "kll_functions",
        "kll_quantiles.merge_partial",
        "KLL_QUANTILES.MERGE_PARTIAL",
        NO_DISTINCT,
        ["(BYTES) -> BYTES"],
        |_| Box::new(Builder { sketch: None, finish: Finish::Sketch, name: "KLL_QUANTILES.MERGE_PARTIAL" })
    ),
    merge!("kll_quantiles.merge_int64", "KLL_QUANTILES.MERGE_INT64", "(BYTES, INT64) -> ARRAY<INT64>", Quantiles),
    merge!("kll_quantiles.merge_float64", "KLL_QUANTILES.MERGE_FLOAT64", "(BYTES, INT64) -> ARRAY<FLOAT64>", Quantiles),
    merge!("kll_quantiles.merge_double", "KLL_QUANTILES.MERGE_DOUBLE", "(BYTES, INT64) -> ARRAY<FLOAT64>", Quantiles),
    merge!("kll_quantiles.merge_point_int64", "KLL_QUANTILES.MERGE_POINT_INT64", "(BYTES, FLOAT64) -> INT64", Point),
    merge!(
        "kll_quantiles.merge_point_float64",
        "KLL_QUANTILES.MERGE_POINT_FLOAT64",
        "(BYTES, FLOAT64) -> FLOAT64",
        Point
    ),
    merge!(
        "kll_quantiles.merge_point_double",
        "KLL_QUANTILES.MERGE_POINT_DOUBLE",
        "(BYTES, FLOAT64) -> FLOAT64",
        Point
    ),
];

pub(crate) static SCALARS: &[ScalarFunction] = &[
    extract!("kll_quantiles.extract_int64", "KLL_QUANTILES.EXTRACT_INT64", "(BYTES, INT64) -> ARRAY<INT64>", false),
    extract!(
        "kll_quantiles.extract_float64",
        "KLL_QUANTILES.EXTRACT_FLOAT64",
        "(BYTES, INT64) -> ARRAY<FLOAT64>",
        false
    ),
    extract!("kll_quantiles.extract_double", "KLL_QUANTILES.EXTRACT_DOUBLE", "(BYTES, INT64) -> ARRAY<FLOAT64>", false),
    extract!(
        "kll_quantiles.extract_point_int64",
        "KLL_QUANTILES.EXTRACT_POINT_INT64",
        "(BYTES, FLOAT64) -> INT64",
        true
    ),
    extract!(
        "kll_quantiles.extract_point_float64",
        "KLL_QUANTILES.EXTRACT_POINT_FLOAT64",
        "(BYTES, FLOAT64) -> FLOAT64",
        true
    ),
    extract!(
        "kll_quantiles.extract_point_double",
        "KLL_QUANTILES.EXTRACT_POINT_DOUBLE",
        "(BYTES, FLOAT64) -> FLOAT64",
        true
    ),
];

fn invalid(name: &str) -> SqlError {
    SqlError::evaluation(format!("Invalid or incompatible sketch in {name}"))
}

struct Sketch {
    /// `i` for INT64, `f` for FLOAT64.
    tag: u8,
    entries: Vec<(Value, u64)>,
}

impl Sketch {
    fn fits(&self, ty: &Type) -> bool {
        let scalar = ty.element().unwrap_or(ty);
        matches!((self.tag, scalar), (b'i', Type::Int64) | (b'f', Type::Float64) | (_, Type::Bytes))
    }

    fn push(&mut self, value: Value, weight: u64) {
        self.entries.push((value, weight));
        if self.entries.len() >= KEPT * 2 {
            self.compact();
        }
    }

    /// Halves the entries: neighbours become one with both weights.
    fn compact(&mut self) {
        self.sort();
        let merged = self.entries.chunks(2).filter_map(|pair| {
            let weight = pair.iter().map(|(_, weight)| weight).sum();
            pair.first().map(|(value, _)| (value.clone(), weight))
        });
        self.entries = merged.collect();
    }

    fn sort(&mut self) {
        self.entries.sort_by(|a, b| sql_cmp(&a.0, &b.0));
    }

    fn at(&self, share: f64) -> Value {
        let total: u64 = self.entries.iter().map(|(_, weight)| weight).sum();
        let rank = (share * total.saturating_sub(1) as f64).round() as u64;
        let mut seen = 0;
        for (value, weight) in &self.entries {
            seen += weight;
            if seen > rank {
                return value.clone();
            }
        }
        self.entries.last().map(|(value, _)| value.clone()).unwrap_or_default()
    }

    fn quantiles(mut self, name: &str, count: &Value) -> Result<Value> {
        let count = match count {
            Value::Int64(count) if (1..=100_000).contains(count) => *count,
            Value::Null => return fail(format!("The second argument to {name} must not be NULL")),
            _ => return fail(format!("The second argument to {name} must be between 1 and 100000")),
        };
        self.sort();
        Ok(Value::array((0..=count).map(|index| self.at(index as f64 / count as f64)).collect()))
    }

    fn point(mut self, name: &str, share: &Value) -> Result<Value> {
        match share {
            Value::Float64(share) if (0.0..=1.0).contains(share) => {
                self.sort();
                Ok(self.at(*share))
            }
            _ => fail(format!("The second argument to {name} must be between 0 and 1")),
        }
    }

    fn encode(&mut self) -> Vec<u8> {
        self.sort();
        let mut out = MAGIC.to_vec();
        out.push(self.tag);
        for (value, weight) in &self.entries {
            out.extend(match value {
                Value::Int64(value) => value.to_le_bytes(),
                Value::Float64(value) => value.to_le_bytes(),
                _ => [0; 8],
            });
            out.extend(weight.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Sketch> {
        let rest = bytes.strip_prefix(MAGIC.as_slice())?;
        let (tag, data) = rest.split_first()?;
        if !matches!(tag, b'i' | b'f') || data.len() % 16 != 0 {
            return None;
        }
        let mut entries = Vec::with_capacity(data.len() / 16);
        for chunk in data.chunks_exact(16) {
            let raw: [u8; 8] = chunk.get(..8)?.try_into().ok()?;
            let weight = u64::from_le_bytes(chunk.get(8..)?.try_into().ok()?);
            let value = if *tag == b'i' {
                Value::Int64(i64::from_le_bytes(raw))
            } else {
                Value::Float64(f64::from_le_bytes(raw))
            };
            entries.push((value, weight.min(1 << 40)));
        }
        Some(Sketch { tag: *tag, entries })
    }
}

/// What the aggregate answers; the second argument comes with the rows.
enum Finish {
    Sketch,
    Quantiles(Value),
    Point(Value),
}

struct Builder {
    sketch: Option<Sketch>,
    finish: Finish,
    name: &'static str,
}

impl Accumulator for Builder {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        if let Finish::Quantiles(argument) | Finish::Point(argument) = &mut self.finish {
            *argument = any(args, 1).clone();
        }
        let new = |tag| Sketch { tag, entries: Vec::new() };
        // INIT_*'s third argument: how often the value counts.
        let weight = match args.get(2) {
            Some(Value::Int64(weight)) if *weight < 0 => {
                return fail(format!("The weight in {} must not be negative", self.name));
            }
            Some(Value::Int64(weight)) => (*weight as u64).min(1 << 40),
            _ => 1,
        };
        if weight == 0 {
            return Ok(());
        }
        match any(args, 0) {
            Value::Bytes(bytes) => {
                let other = Sketch::decode(bytes).ok_or_else(|| invalid(self.name))?;
                let sketch = self.sketch.get_or_insert_with(|| new(other.tag));
                if sketch.tag != other.tag {
                    return Err(invalid(self.name));
                }
                for (value, weight) in other.entries {
                    sketch.push(value, weight);
                }
            }
            value @ Value::Int64(_) => self.sketch.get_or_insert_with(|| new(b'i')).push(value.clone(), weight),
            value @ Value::Float64(_) => self.sketch.get_or_insert_with(|| new(b'f')).push(value.clone(), weight),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        let Some(known) = &self.sketch else { return Ok(Value::Null) };
        let mut sketch = Sketch { tag: known.tag, entries: known.entries.clone() };
        let fits = self.name.ends_with("PARTIAL") || self.name.ends_with("INT64") == (sketch.tag == b'i');
        if !fits {
            return Err(invalid(self.name));
        }
        match &self.finish {
            Finish::Sketch => Ok(Value::bytes(sketch.encode())),
            Finish::Quantiles(count) => sketch.quantiles(self.name, count),
            Finish::Point(share) => sketch.point(self.name, share),
        }
    }
}
