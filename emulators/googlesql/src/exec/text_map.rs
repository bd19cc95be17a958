//! Numbers for distinct strings: a hash table over one run of text, so that a million strings are two allocations.

use std::hash::Hasher as _;

use super::keys::FastHasher;

/// No string yet.
const FREE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    entry: u32,
}

#[derive(Debug, Default)]
pub(super) struct TextMap {
    /// A power of two many, at most three quarters taken.
    slots: Vec<Slot>,
    text: String,
    /// Where each entry's text ends; it begins where the one before ends.
    ends: Vec<usize>,
    numbers: Vec<u32>,
}

fn hash(text: &str) -> u64 {
    let mut hasher = FastHasher::default();
    hasher.write(text.as_bytes());
    hasher.write_usize(text.len());
    hasher.finish()
}

impl TextMap {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.text.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + self.numbers.capacity() * 4
    }

    pub fn get(&self, text: &str) -> Option<u32> {
        let hash = hash(text);
        let entry = self.slots.get(self.find(hash, text)).map(|slot| slot.entry)?;
        self.numbers.get(entry as usize).copied()
    }

    /// The string's number; `next` if it has none yet, which it then has. True for a new one.
    pub fn number(&mut self, text: &str, next: u32) -> (u32, bool) {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash(text);
        let at = self.find(hash, text);
        let entry = self.len() as u32;
        match self.slots.get_mut(at) {
            Some(slot) if slot.entry != FREE => {
                (self.numbers.get(slot.entry as usize).copied().unwrap_or_default(), false)
            }
            free => {
                if let Some(slot) = free {
                    *slot = Slot { hash: hash as u32, entry };
                }
                self.text.push_str(text);
                self.ends.push(self.text.len());
                self.numbers.push(next);
                (next, true)
            }
        }
    }

    /// The slot with the string, or the free one where it belongs.
    #[inline]
    fn find(&self, hash: u64, text: &str) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = (hash >> 32) as usize & mask;
        while let Some(slot) = self.slots.get(at) {
            if slot.entry == FREE || slot.hash == hash as u32 && self.entry(slot.entry) == Some(text) {
                return at;
            }
            at = (at + 1) & mask;
        }
        at
    }

    #[inline]
    fn entry(&self, entry: u32) -> Option<&str> {
        let entry = entry as usize;
        let from = match entry.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(from..*self.ends.get(entry)?)
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots.clear();
        self.slots.resize(size, Slot { hash: 0, entry: FREE });
        let mask = size - 1;
        for entry in 0..self.ends.len() as u32 {
            let Some(hash) = self.entry(entry).map(hash) else { continue };
            let mut at = (hash >> 32) as usize & mask;
            while self.slots.get(at).is_some_and(|slot| slot.entry != FREE) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = Slot { hash: hash as u32, entry };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_keep_their_numbers() {
        let mut map = TextMap::default();
        assert_eq!(map.get("a"), None);
        for round in 0..2 {
            for at in 0..5000u32 {
                let text = if at == 7 { String::new() } else { format!("key {at}") };
                assert_eq!(map.number(&text, at + 1), (at + 1, round == 0));
            }
        }
        assert_eq!((map.len(), map.get(""), map.get("key 4999"), map.get("key 7")), (5000, Some(8), Some(5000), None));
    }
}
