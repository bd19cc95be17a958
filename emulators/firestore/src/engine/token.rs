//! Transaction ids as clients see them, and the age that they carry.

use std::fmt;

/// The place of a transaction in line. Smaller is older, and the older wins every conflict.
///
/// `born` is inherited by a retry, so that it keeps its predecessor's place; `attempt` is unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age {
    pub born: u64,
    pub attempt: u64,
}

impl fmt::Debug for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.born, self.attempt)
    }
}

/// A transaction id. The age is in it, so nothing needs to be remembered of a transaction that
/// ended for its retry to keep the place in line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct TransactionId {
    /// Which database gave it out.
    pub database: u32,
    /// How often that database had been reset.
    pub epoch: u32,
    pub age: Age,
}

const MAGIC: u8 = 0x5c;
const LENGTH: usize = 26;

impl TransactionId {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(MAGIC);
        bytes.extend(self.database.to_be_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.age.born.to_be_bytes());
        bytes.extend(self.age.attempt.to_be_bytes());
        bytes.push(checksum(&bytes));
        bytes
    }

    /// `None` for bytes that no engine gave out.
    pub fn from_bytes(bytes: &[u8]) -> Option<TransactionId> {
        let (sum, body) = bytes.split_last()?;
        if bytes.len() != LENGTH || body.first() != Some(&MAGIC) || checksum(body) != *sum {
            return None;
        }
        Some(TransactionId {
            database: u32::from_be_bytes(body.get(1..5)?.try_into().ok()?),
            epoch: u32::from_be_bytes(body.get(5..9)?.try_into().ok()?),
            age: Age {
                born: u64::from_be_bytes(body.get(9..17)?.try_into().ok()?),
                attempt: u64::from_be_bytes(body.get(17..25)?.try_into().ok()?),
            },
        })
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0x2d, |sum: u8, byte| sum.rotate_left(3) ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_both_ways_and_others_do_not() {
        let id = TransactionId { database: 3, epoch: 1, age: Age { born: 7, attempt: 9 } };
        let mut bytes = id.to_bytes();
        assert_eq!(TransactionId::from_bytes(&bytes), Some(id));
        bytes[10] ^= 1;
        assert_eq!(TransactionId::from_bytes(&bytes), None);
        assert_eq!(TransactionId::from_bytes(&[]), None);
        assert_eq!(TransactionId::from_bytes(b"\0\0\0"), None);
    }

    #[test]
    fn a_retry_is_older_than_whoever_came_after_its_first_attempt() {
        let first = Age { born: 5, attempt: 5 };
        let retry = Age { born: 5, attempt: 9 };
        assert!(first < retry && retry < Age { born: 6, attempt: 6 });
    }
}
