//! Keys of grouping, joins, DISTINCT, set operations and partitions: rows to dense numbers.
//!
//! Each key column is coded by itself through a map of its own type, then the codes are combined pair by
//! pair. So no row is ever encoded or compared as a whole, and equal means GROUP BY's equality: NULL equals
//! NULL, NaN equals NaN, -0 equals 0.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::exec::column::{Column, NO_ROW};
use crate::exec::text_map::TextMap;
use crate::types::Type;
use crate::value::Value;
use crate::value::compare::{GroupKey, group_key};

/// A multiplicative hasher: the keys are the engine's own numbers and users' data of their own process.
#[derive(Default, Clone, Copy)]
pub struct FastHasher(u64);

const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for FastHasher {
    #[inline]
    fn finish(&self) -> u64 {
        // The map takes its bucket from the low bits and its tag from the high ones: mix both ways.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(MIX);
        mixed ^ (mixed >> 29)
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(word) ^ (rest.len() as u64) << 56);
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(MIX);
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_i64(&mut self, value: i64) {
        self.write_u64(value as u64);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// The code of NULL in every column; others count from 1.
const NULL_CODE: u32 = 0;

/// Codes of one column's values.
#[derive(Debug)]
struct Coder {
    map: CodeMap,
    /// Values that are not of the type that `map` is for: all of them where it is `None`.
    others: FastMap<GroupKey, u32>,
    next: u32,
    /// The last dictionary seen and what its codes became; `NO_ROW` where not yet asked.
    dictionary: Option<KnownDictionary>,
}

/// A dictionary's values and what their codes became.
type KnownDictionary = (Arc<Vec<Arc<str>>>, Vec<u32>);

#[derive(Debug)]
enum CodeMap {
    Int(FastMap<i64, u32>),
    Numeric(FastMap<i128, u32>),
    Text(TextMap),
    None,
}

/// One number for all NaNs and one for both zeros.
#[inline]
fn float_key(value: f64) -> i64 {
    if value.is_nan() {
        f64::NAN.to_bits() as i64
    } else if value == 0.0 {
        0
    } else {
        value.to_bits() as i64
    }
}

impl Coder {
    fn new(ty: &Type) -> Coder {
        let map = match ty {
            Type::Bool | Type::Int64 | Type::Float64 | Type::Date | Type::Time | Type::Datetime | Type::Timestamp => {
                CodeMap::Int(FastMap::default())
            }
            Type::Numeric => CodeMap::Numeric(FastMap::default()),
            Type::String => CodeMap::Text(TextMap::default()),
            _ => CodeMap::None,
        };
        Coder { map, others: FastMap::default(), next: NULL_CODE + 1, dictionary: None }
    }

    #[inline]
    fn int(&mut self, key: i64, insert: bool) -> u32 {
        let CodeMap::Int(map) = &mut self.map else { return NO_ROW };
        if insert {
            let next = &mut self.next;
            *map.entry(key).or_insert_with(|| {
                *next += 1;
                *next - 1
            })
        } else {
            map.get(&key).copied().unwrap_or(NO_ROW)
        }
    }

    #[inline]
    fn text(&mut self, text: &str, insert: bool) -> u32 {
        let CodeMap::Text(map) = &mut self.map else { return NO_ROW };
        if !insert {
            return map.get(text).unwrap_or(NO_ROW);
        }
        let (code, new) = map.number(text, self.next);
        self.next += u32::from(new);
        code
    }

    fn value(&mut self, value: &Value, insert: bool) -> u32 {
        match (&self.map, value) {
            (_, Value::Null) => NULL_CODE,
            (CodeMap::Int(_), Value::Float64(v)) => self.int(float_key(*v), insert),
            (CodeMap::Int(_), Value::Bool(v)) => self.int(i64::from(*v), insert),
            (CodeMap::Int(_), Value::Date(v)) => self.int(i64::from(*v), insert),
            (CodeMap::Int(_), Value::Int64(v) | Value::Time(v) | Value::Datetime(v) | Value::Timestamp(v)) => {
                self.int(*v, insert)
            }
            (CodeMap::Text(_), Value::String(text)) => self.text(text, insert),
            (CodeMap::Numeric(_), Value::Numeric(v)) => self.numeric(v.0, insert),
            _ => {
                let key = group_key([value.clone()]);
                match self.others.get(&key) {
                    Some(code) => *code,
                    None if insert => {
                        self.others.insert(key, self.next);
                        self.next += 1;
                        self.next - 1
                    }
                    None => NO_ROW,
                }
            }
        }
    }

    fn numeric(&mut self, key: i128, insert: bool) -> u32 {
        let CodeMap::Numeric(map) = &mut self.map else { return NO_ROW };
        match map.get(&key) {
            Some(code) => *code,
            None if insert => {
                map.insert(key, self.next);
                self.next += 1;
                self.next - 1
            }
            None => NO_ROW,
        }
    }

    /// The code of each row; [`NO_ROW`] for values never seen where `insert` is false.
    fn codes(&mut self, column: &Column, len: usize, insert: bool) -> Vec<u32> {
        macro_rules! ints {
            ($p:expr, $key:expr) => {{
                let key = $key;
                match &$p.valid {
                    None => $p.values.iter().take(len).map(|v| self.int(key(*v), insert)).collect(),
                    Some(_) => (0..len).map(|i| $p.get(i).map_or(NULL_CODE, |v| self.int(key(v), insert))).collect(),
                }
            }};
        }
        match (&self.map, column) {
            (_, Column::Constant(value, _)) => vec![self.value(value, insert); len],
            (CodeMap::Int(_), Column::Int64(p) | Column::Time(p) | Column::Datetime(p) | Column::Timestamp(p)) => {
                ints!(p, |v: i64| v)
            }
            (CodeMap::Int(_), Column::Date(p)) => ints!(p, |v: i32| i64::from(v)),
            (CodeMap::Int(_), Column::Bool(p)) => ints!(p, |v: bool| i64::from(v)),
            (CodeMap::Int(_), Column::Float64(p)) => ints!(p, float_key),
            (CodeMap::Text(_), Column::String(s)) => {
                (0..len).map(|i| s.get(i).map_or(NULL_CODE, |text| self.text(text, insert))).collect()
            }
            (CodeMap::Text(_), Column::Dictionary(d)) => {
                let mut known = match self.dictionary.take() {
                    Some((values, known)) if insert && Arc::ptr_eq(&values, &d.values) => known,
                    _ => vec![NO_ROW; d.values.len()],
                };
                let codes = d
                    .codes
                    .iter()
                    .take(len)
                    .map(|code| match (known.get_mut(*code as usize), d.values.get(*code as usize)) {
                        (Some(known), _) if *known != NO_ROW => *known,
                        (Some(known), Some(text)) => {
                            *known = self.text(text, insert);
                            *known
                        }
                        _ => NULL_CODE,
                    })
                    .collect();
                if insert {
                    self.dictionary = Some((d.values.clone(), known));
                }
                codes
            }
            (CodeMap::Numeric(_), Column::Numeric(p)) => {
                (0..len).map(|i| p.get(i).map_or(NULL_CODE, |v| self.numeric(v.0, insert))).collect()
            }
            _ => (0..len).map(|i| self.value(&column.get(i), insert)).collect(),
        }
    }

    fn memory(&self) -> usize {
        let others = self.others.capacity() * 21 + self.others.len() * 64;
        others
            + match &self.map {
                CodeMap::Int(map) => map.capacity() * 17,
                CodeMap::Numeric(map) => map.capacity() * 33,
                CodeMap::Text(map) => map.memory(),
                CodeMap::None => 0,
            }
    }
}

/// Numbers the distinct keys that it is shown, from 0 in order of appearance.
#[derive(Debug)]
pub(crate) struct Grouper {
    coders: Vec<Coder>,
    /// `combined[i]` joins the number so far with the code of column `i + 1`.
    combined: Vec<FastMap<u64, u32>>,
    /// With a single column: its codes in order of appearance.
    single: Vec<u32>,
    groups: u32,
}

impl Grouper {
    pub fn new<'t>(types: impl IntoIterator<Item = &'t Type>) -> Grouper {
        let coders: Vec<Coder> = types.into_iter().map(Coder::new).collect();
        let combined = (1..coders.len()).map(|_| FastMap::default()).collect();
        Grouper { coders, combined, single: Vec::new(), groups: 0 }
    }

    /// For columns whose types show in how they are stored; others are told apart value by value.
    pub fn for_columns(columns: &[Arc<Column>]) -> Grouper {
        let types: Vec<Type> = columns.iter().map(|column| column.primitive_type().unwrap_or(Type::Json)).collect();
        Grouper::new(&types)
    }

    pub fn groups(&self) -> usize {
        self.groups as usize
    }

    /// Numbers the rows; a key not seen before gets the next number, and its row is added to `fresh`.
    pub fn group(&mut self, columns: &[Arc<Column>], len: usize, fresh: &mut Vec<u32>) -> Vec<u32> {
        let Some((first, rest)) = self.coders.split_first_mut() else {
            if len > 0 && self.groups == 0 {
                self.groups = 1;
                fresh.push(0);
            }
            return vec![0; len];
        };
        let nothing = Column::nulls(len);
        let column = |index: usize| columns.get(index).map_or(&nothing, |column| &**column);
        let mut ids = first.codes(column(0), len, true);
        if rest.is_empty() {
            for (row, id) in ids.iter_mut().enumerate() {
                let code = *id as usize;
                if self.single.len() <= code {
                    self.single.resize(code + 1, NO_ROW);
                }
                if let Some(known) = self.single.get_mut(code) {
                    if *known == NO_ROW {
                        *known = self.groups;
                        self.groups += 1;
                        fresh.push(row as u32);
                    }
                    *id = *known;
                }
            }
            return ids;
        }
        let last = rest.len() - 1;
        for (index, (coder, map)) in rest.iter_mut().zip(&mut self.combined).enumerate() {
            let codes = coder.codes(column(index + 1), len, true);
            for (row, (id, code)) in ids.iter_mut().zip(codes).enumerate() {
                let next = map.len() as u32;
                let number = *map.entry(u64::from(*id) << 32 | u64::from(code)).or_insert(next);
                if index == last && number == next {
                    self.groups += 1;
                    fresh.push(row as u32);
                }
                *id = number;
            }
        }
        ids
    }

    /// The numbers of rows whose keys were seen before; [`NO_ROW`] for the others. Never learns a key.
    pub fn find(&mut self, columns: &[Arc<Column>], len: usize) -> Vec<u32> {
        let Some((first, rest)) = self.coders.split_first_mut() else {
            return vec![if self.groups > 0 { 0 } else { NO_ROW }; len];
        };
        let nothing = Column::nulls(len);
        let column = |index: usize| columns.get(index).map_or(&nothing, |column| &**column);
        let mut ids = first.codes(column(0), len, false);
        if rest.is_empty() {
            for id in &mut ids {
                *id = self.single.get(*id as usize).copied().unwrap_or(NO_ROW);
            }
            return ids;
        }
        for (index, (coder, map)) in rest.iter_mut().zip(&mut self.combined).enumerate() {
            let codes = coder.codes(column(index + 1), len, false);
            for (id, code) in ids.iter_mut().zip(codes) {
                if *id != NO_ROW {
                    *id = match code {
                        NO_ROW => NO_ROW,
                        code => map.get(&(u64::from(*id) << 32 | u64::from(code))).copied().unwrap_or(NO_ROW),
                    };
                }
            }
        }
        ids
    }

    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        self.coders.iter().map(Coder::memory).sum::<usize>()
            + self.combined.iter().map(|map| map.capacity() * 13).sum::<usize>()
            + self.single.capacity() * 4
    }
}

/// Rows put into buckets: `rows(id)` are the rows of group `id`, in their order.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Buckets {
    /// Rows numbered [`NO_ROW`] are in no bucket.
    pub fn new(ids: &[u32], groups: usize) -> Buckets {
        let mut starts = vec![0u32; groups + 1];
        for id in ids {
            if let Some(count) = starts.get_mut((*id as usize).wrapping_add(1)).filter(|_| *id != NO_ROW) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; sum as usize];
        for (row, id) in ids.iter().enumerate() {
            if let Some(at) = next.get_mut(*id as usize).filter(|_| *id != NO_ROW) {
                if let Some(slot) = rows.get_mut(*at as usize) {
                    *slot = row as u32;
                }
                *at += 1;
            }
        }
        Buckets { starts, rows }
    }

    #[inline]
    pub fn rows(&self, id: u32) -> &[u32] {
        match (self.starts.get(id as usize), self.starts.get((id as usize).wrapping_add(1))) {
            (Some(from), Some(to)) => self.rows.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    pub fn memory(&self) -> usize {
        (self.starts.capacity() + self.rows.capacity()) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: Type, values: Vec<Value>) -> Arc<Column> {
        Arc::new(Column::from_values(&ty, values))
    }

    #[test]
    fn grouping_follows_sql() {
        let floats = [1.0, f64::NAN, 0.0, -0.0, -f64::NAN].map(Value::Float64);
        let values = floats.into_iter().chain([Value::Null, Value::Null]).collect();
        let mut grouper = Grouper::new([&Type::Float64]);
        let mut fresh = Vec::new();
        assert_eq!(grouper.group(&[column(Type::Float64, values)], 7, &mut fresh), [0, 1, 2, 2, 1, 3, 3]);
        assert_eq!(fresh, [0, 1, 2, 5]);
        assert_eq!(grouper.groups(), 4);
        assert_eq!(grouper.find(&[column(Type::Float64, vec![Value::Float64(2.0), Value::Null])], 2), [NO_ROW, 3]);
    }

    #[test]
    fn several_columns_make_one_key() {
        let types = [Type::String, Type::Int64, Type::array(Type::Int64)];
        let array = |n| Value::array(vec![Value::Int64(n)]);
        let a = |texts: [&str; 4]| column(Type::String, texts.iter().map(Value::string).collect());
        let b = |ints: [i64; 4]| column(Type::Int64, ints.iter().map(|n| Value::Int64(*n)).collect());
        let c = |ints: [i64; 4]| column(Type::array(Type::Int64), ints.iter().map(|n| array(*n)).collect());
        let mut grouper = Grouper::new(&types);
        let mut fresh = Vec::new();
        let ids = grouper.group(&[a(["x", "x", "y", "x"]), b([1, 2, 1, 1]), c([5, 5, 5, 5])], 4, &mut fresh);
        assert_eq!((ids, fresh), (vec![0, 1, 2, 0], vec![0, 1, 2]));
        let found = grouper.find(&[a(["y", "y", "x", "z"]), b([1, 2, 2, 1]), c([5, 5, 5, 5])], 4);
        assert_eq!(found, [2, NO_ROW, 1, NO_ROW]);
    }

    #[test]
    fn dictionaries_and_plain_strings_meet() {
        let few: Vec<Value> = (0..100).map(|n| Value::string(["a", "b"][n % 2])).collect();
        let mut grouper = Grouper::new([&Type::String]);
        let mut fresh = Vec::new();
        let ids = grouper.group(&[column(Type::String, few)], 100, &mut fresh);
        assert_eq!(ids[..3], [0, 1, 0]);
        let plain = column(Type::String, vec![Value::string("b"), Value::string("c"), Value::Null]);
        assert_eq!(grouper.group(&[plain], 3, &mut fresh), [1, 2, 3]);
    }

    #[test]
    fn buckets_keep_the_order_of_rows() {
        let buckets = Buckets::new(&[1, 0, NO_ROW, 1, 2], 3);
        assert_eq!(
            [buckets.rows(0), buckets.rows(1), buckets.rows(2), buckets.rows(3)],
            [&[1][..], &[0, 3], &[4], &[]]
        );
    }
}
