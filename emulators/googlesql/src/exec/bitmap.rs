//! A growable set of bits: which rows of a column are valid, which rows a filter keeps.

/// Bits packed into 64-bit words; bits past `len` are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    pub fn new() -> Bitmap {
        Bitmap::default()
    }

    pub fn with_capacity(bits: usize) -> Bitmap {
        Bitmap { words: Vec::with_capacity(bits.div_ceil(64)), len: 0 }
    }

    /// `len` bits, all `value`.
    pub fn filled(value: bool, len: usize) -> Bitmap {
        let mut words = vec![if value { u64::MAX } else { 0 }; len.div_ceil(64)];
        if let (true, Some(last)) = (value && !len.is_multiple_of(64), words.last_mut()) {
            *last = (1u64 << (len % 64)) - 1;
        }
        Bitmap { words, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bit at `index`; false past the end.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Does nothing past the end.
    #[inline]
    pub fn set(&mut self, index: usize, value: bool) {
        if index < self.len
            && let Some(word) = self.words.get_mut(index / 64)
        {
            let bit = 1u64 << (index % 64);
            *word = if value { *word | bit } else { *word & !bit };
        }
    }

    #[inline]
    pub fn push(&mut self, value: bool) {
        let shift = self.len % 64;
        if shift == 0 {
            self.words.push(u64::from(value));
        } else if let Some(last) = self.words.last_mut() {
            *last |= u64::from(value) << shift;
        }
        self.len += 1;
    }

    /// Appends `count` equal bits.
    pub fn push_many(&mut self, value: bool, count: usize) {
        let mut left = count;
        while left > 0 {
            if self.len.is_multiple_of(64) && left >= 64 {
                self.words.push(if value { u64::MAX } else { 0 });
                self.len += 64;
                left -= 64;
            } else {
                self.push(value);
                left -= 1;
            }
        }
    }

    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn all(&self) -> bool {
        self.count_ones() == self.len
    }

    /// The positions of the ones, ascending.
    pub fn ones(&self) -> Vec<u32> {
        let mut out = Vec::with_capacity(self.count_ones());
        for (index, word) in self.words.iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                out.push((index * 64) as u32 + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        out
    }

    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.get(index))
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.words.capacity() * 8
    }
}

impl FromIterator<bool> for Bitmap {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Bitmap {
        let mut out = Bitmap::new();
        for bit in bits {
            out.push(bit);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_kept_across_word_borders() {
        let bits: Vec<bool> = (0..200).map(|index| index % 3 == 0).collect();
        let map: Bitmap = bits.iter().copied().collect();
        assert_eq!(map.iter().collect::<Vec<_>>(), bits);
        assert_eq!(map.count_ones(), 67);
        assert_eq!(map.ones()[..3], [0, 3, 6]);
        let mut full = Bitmap::filled(true, 70);
        assert!(full.all());
        full.push_many(true, 130);
        assert_eq!(full, Bitmap::filled(true, 200));
        full.set(199, false);
        assert!(!full.get(199) && full.get(198) && !full.get(200));
    }
}
