//! How columns hold their values: fixed-size ones, strings end to end, strings by number.

use std::sync::Arc;

use crate::exec::bitmap::Bitmap;

/// Fixed-size values with an optional validity; a NULL's slot holds the type's default.
#[derive(Clone, Debug, Default)]
pub struct Primitive<T> {
    pub values: Vec<T>,
    /// `None`: no NULL.
    pub valid: Option<Bitmap>,
}

/// Strings end to end: row `i` is `data[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug)]
pub struct Strings {
    pub(super) offsets: Vec<u32>,
    pub(super) data: String,
    pub(super) valid: Option<Bitmap>,
}

/// Byte strings, as [`Strings`].
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(super) offsets: Vec<u32>,
    pub(super) data: Vec<u8>,
    pub(super) valid: Option<Bitmap>,
}

/// Strings of which few are distinct: `codes` point into `values`; [`NO_ROW`] is NULL.
#[derive(Clone, Debug)]
pub struct Dictionary {
    pub codes: Vec<u32>,
    pub values: Arc<Vec<Arc<str>>>,
}

impl<T: Copy + Default> Primitive<T> {
    pub fn new(values: Vec<T>) -> Primitive<T> {
        Primitive { values, valid: None }
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        match &self.valid {
            Some(valid) if !valid.get(index) => None,
            _ => self.values.get(index).copied(),
        }
    }

    #[inline]
    pub fn is_valid(&self, index: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid.get(index))
    }

    pub(super) fn gather(&self, rows: &[u32]) -> Primitive<T> {
        Primitive {
            values: rows.iter().map(|row| self.values.get(*row as usize).copied().unwrap_or_default()).collect(),
            valid: gather_valid(self.valid.as_ref(), self.values.len(), rows),
        }
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> Primitive<T> {
        Primitive {
            values: self.values.get(from..to).unwrap_or_default().to_vec(),
            valid: self.valid.as_ref().map(|valid| (from..to).map(|index| valid.get(index)).collect()),
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.valid.as_ref().map_or(0, Bitmap::memory)
    }
}

/// A row outside of the column (also [`NO_ROW`]) is NULL.
fn gather_valid(valid: Option<&Bitmap>, len: usize, rows: &[u32]) -> Option<Bitmap> {
    match valid {
        Some(valid) => Some(rows.iter().map(|row| valid.get(*row as usize)).collect()),
        None if rows.iter().any(|row| *row as usize >= len) => {
            Some(rows.iter().map(|row| (*row as usize) < len).collect())
        }
        None => None,
    }
}

impl Strings {
    #[inline]
    pub fn get(&self, index: usize) -> Option<&str> {
        if self.valid.as_ref().is_some_and(|valid| !valid.get(index)) {
            return None;
        }
        let (from, to) = (*self.offsets.get(index)?, *self.offsets.get(index + 1)?);
        self.data.get(from as usize..to as usize)
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Blobs {
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if self.valid.as_ref().is_some_and(|valid| !valid.get(index)) {
            return None;
        }
        let (from, to) = (*self.offsets.get(index)?, *self.offsets.get(index + 1)?);
        self.data.get(from as usize..to as usize)
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Dictionary {
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Arc<str>> {
        self.values.get(*self.codes.get(index)? as usize)
    }
}

#[derive(Debug, Default)]
pub(super) struct StringsBuilder {
    pub(super) offsets: Vec<u32>,
    pub(super) data: String,
    valid: Option<Bitmap>,
}

impl StringsBuilder {
    pub(super) fn with_capacity(rows: usize) -> StringsBuilder {
        StringsBuilder { offsets: Vec::with_capacity(rows + 1), ..StringsBuilder::default() }
    }

    #[inline]
    pub(super) fn push(&mut self, text: Option<&str>) {
        let row = self.offsets.len();
        self.offsets.push(self.data.len() as u32);
        mark(&mut self.valid, row, text.is_some());
        self.data.push_str(text.unwrap_or_default());
    }

    /// Whether offsets of 32 bits reach so much further.
    #[inline]
    pub(super) fn fits(&self, more: usize) -> bool {
        self.data.len() + more <= u32::MAX as usize
    }

    /// `None` where offsets of 32 bits do not reach.
    pub(super) fn finish(mut self) -> Option<Strings> {
        let end = u32::try_from(self.data.len()).ok()?;
        self.offsets.push(end);
        Some(Strings { offsets: self.offsets, data: self.data, valid: self.valid })
    }
}

#[derive(Debug, Default)]
pub(super) struct BlobsBuilder {
    pub(super) offsets: Vec<u32>,
    pub(super) data: Vec<u8>,
    valid: Option<Bitmap>,
}

impl BlobsBuilder {
    #[inline]
    pub(super) fn fits(&self, more: usize) -> bool {
        self.data.len() + more <= u32::MAX as usize
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: Option<&[u8]>) {
        let row = self.offsets.len();
        self.offsets.push(self.data.len() as u32);
        mark(&mut self.valid, row, bytes.is_some());
        self.data.extend_from_slice(bytes.unwrap_or_default());
    }

    pub(super) fn finish(mut self) -> Option<Blobs> {
        let end = u32::try_from(self.data.len()).ok()?;
        self.offsets.push(end);
        Some(Blobs { offsets: self.offsets, data: self.data, valid: self.valid })
    }
}

/// Records row `row`'s validity; the bitmap appears with the first NULL.
#[inline]
fn mark(valid: &mut Option<Bitmap>, row: usize, is_valid: bool) {
    match valid {
        Some(valid) => valid.push(is_valid),
        None if is_valid => {}
        None => {
            let mut bits = Bitmap::filled(true, row);
            bits.push(false);
            *valid = Some(bits);
        }
    }
}

impl<T: Copy + Default> Primitive<T> {
    #[inline]
    pub fn push(&mut self, value: Option<T>) {
        mark(&mut self.valid, self.values.len(), value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    pub(super) fn extend(&mut self, other: &Primitive<T>) {
        match (&mut self.valid, &other.valid) {
            (None, None) => {}
            (valid, theirs) => {
                let valid = valid.get_or_insert_with(|| Bitmap::filled(true, self.values.len()));
                match theirs {
                    Some(theirs) => theirs.iter().for_each(|bit| valid.push(bit)),
                    None => valid.push_many(true, other.values.len()),
                }
            }
        }
        self.values.extend_from_slice(&other.values);
    }
}

impl<T: Copy + Default> FromIterator<Option<T>> for Primitive<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(values: I) -> Primitive<T> {
        let values = values.into_iter();
        let mut out = Primitive { values: Vec::with_capacity(values.size_hint().0), valid: None };
        for value in values {
            out.push(value);
        }
        out
    }
}
