//! The streaming buffer's bookkeeping: which insert ids were seen a moment ago.

use std::collections::{HashSet, VecDeque};

use scrimmage_core::Timestamp;

use crate::limits;

/// Best-effort de-duplication of `insertAll` rows by `insertId`.
#[derive(Debug, Default)]
pub struct StreamingBuffer {
    seen: HashSet<String>,
    order: VecDeque<(Timestamp, String)>,
}

impl StreamingBuffer {
    /// True the first time within [`limits::INSERT_ID_MEMORY`]; rows without an id are always new.
    pub fn is_new(&mut self, now: Timestamp, insert_id: Option<&str>) -> bool {
        while let Some((at, _)) = self.order.front() {
            if now.since(*at) < limits::INSERT_ID_MEMORY {
                break;
            }
            if let Some((_, id)) = self.order.pop_front() {
                self.seen.remove(&id);
            }
        }
        let Some(id) = insert_id.filter(|id| !id.is_empty()) else { return true };
        if !self.seen.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back((now, id.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_id_counts_once_within_a_minute() {
        let mut buffer = StreamingBuffer::default();
        let start = Timestamp::from_micros(0);
        assert!(buffer.is_new(start, Some("a")));
        assert!(!buffer.is_new(start + Duration::from_secs(59), Some("a")));
        assert!(buffer.is_new(start + Duration::from_secs(59), Some("b")));
        assert!(buffer.is_new(start, None) && buffer.is_new(start, None));
        assert!(buffer.is_new(start + Duration::from_secs(61), Some("a")));
    }
}
