//! Write streams of the Storage Write API: where each stands, and which of its rows are not visible yet.

use std::collections::{HashMap, VecDeque};

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{Schema, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use thiserror::Error;

use crate::texts;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamKind {
    /// Rows are visible when they are acknowledged.
    Committed,
    /// Rows are visible when the stream is committed.
    Pending,
    /// Rows are visible up to the offset that was flushed.
    Buffered,
}

/// Why a stream refuses something; `StorageError` codes go with these.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StreamError {
    #[error("{}", texts::offset_exists(*.expected, *.received))]
    OffsetExists { expected: i64, received: i64 },
    #[error("{}", texts::offset_beyond(*.expected, *.received))]
    OffsetBeyond { expected: i64, received: i64 },
    #[error("{}", texts::STREAM_FINALIZED)]
    Finalized,
    #[error("{}", texts::STREAM_COMMITTED)]
    AlreadyCommitted,
    #[error("{}", texts::STREAM_NOT_FINALIZED)]
    NotFinalized,
    #[error("{}", texts::STREAM_NOT_PENDING)]
    NotPending,
    #[error("{}", texts::STREAM_NOT_BUFFERED)]
    NotBuffered,
    #[error("{}", texts::flush_beyond(*.0))]
    FlushBeyond(i64),
    #[error("{}", texts::flush_again(*.0))]
    FlushAgain(i64),
}

/// Rows with the schema that the table had when they came.
pub type StoredRows = (Schema, Batch);

#[derive(Debug)]
pub struct WriteStream {
    pub table: TablePath,
    /// The commit that made the table: a later table of that name is another.
    pub made: u64,
    pub kind: StreamKind,
    pub created: Timestamp,
    /// When rows came last.
    pub used: Timestamp,
    pub committed: Option<Timestamp>,
    pub finalized: bool,
    /// Rows appended so far: the offset of the next.
    pub end: i64,
    /// Rows of a buffered stream that are visible.
    flushed: i64,
    hidden: VecDeque<StoredRows>,
    hidden_bytes: usize,
}

impl WriteStream {
    pub fn new(table: TablePath, made: u64, kind: StreamKind, created: Timestamp) -> WriteStream {
        WriteStream {
            table,
            made,
            kind,
            created,
            used: created,
            committed: None,
            finalized: false,
            end: 0,
            flushed: 0,
            hidden: VecDeque::new(),
            hidden_bytes: 0,
        }
    }

    /// Whether rows may be appended at `offset` (anywhere: at the end).
    pub fn check_append(&self, offset: Option<i64>) -> Result<(), StreamError> {
        if self.finalized {
            return Err(StreamError::Finalized);
        }
        match offset {
            Some(received) if received < self.end => Err(StreamError::OffsetExists { expected: self.end, received }),
            Some(received) if received > self.end => Err(StreamError::OffsetBeyond { expected: self.end, received }),
            _ => Ok(()),
        }
    }

    /// Takes rows that were checked, and that are written already where the stream is a committed one; returns the
    /// offset of the first.
    pub fn append(&mut self, schema: Schema, rows: Batch) -> i64 {
        let offset = self.end;
        self.end += rows.len as i64;
        if self.kind != StreamKind::Committed {
            self.hidden_bytes += rows.memory();
            self.hidden.push_back((schema, rows));
        }
        offset
    }

    /// No more rows; returns how many there are. Again is no error.
    pub fn finalize(&mut self) -> i64 {
        self.finalized = true;
        self.end
    }

    /// Whether the stream may be committed.
    pub fn check_commit(&self) -> Result<(), StreamError> {
        match (self.kind, self.committed, self.finalized) {
            (StreamKind::Pending, Some(_), _) => Err(StreamError::AlreadyCommitted),
            (StreamKind::Pending, None, true) => Ok(()),
            (StreamKind::Pending, None, false) => Err(StreamError::NotFinalized),
            _ => Err(StreamError::NotPending),
        }
    }

    /// The rows that nobody sees yet, to be written before [`WriteStream::commit`].
    pub fn pending(&self) -> impl Iterator<Item = StoredRows> + '_ {
        self.hidden.iter().cloned()
    }

    /// The rows of a pending stream have been written.
    pub fn commit(&mut self, now: Timestamp) {
        self.committed = Some(now);
        self.hidden.clear();
        self.hidden_bytes = 0;
    }

    /// The rows of a buffered stream up to `offset` inclusive (all of them: none given) that were not flushed
    /// before, and the offset to flush to: to be written before [`WriteStream::flushed`].
    pub fn unflushed(&self, offset: Option<i64>) -> Result<(i64, Vec<StoredRows>), StreamError> {
        if self.kind != StreamKind::Buffered {
            return Err(StreamError::NotBuffered);
        }
        let offset = offset.unwrap_or(self.end - 1);
        if offset >= self.end {
            return Err(StreamError::FlushBeyond(offset));
        }
        if offset < self.flushed {
            return Err(StreamError::FlushAgain(offset));
        }
        let mut wanted = (offset + 1 - self.flushed) as usize;
        let mut taken = Vec::new();
        for (schema, rows) in &self.hidden {
            let count = rows.len.min(wanted);
            if count == 0 {
                break;
            }
            let part = if count == rows.len { rows.clone() } else { rows.slice(0, count) };
            taken.push((schema.clone(), part));
            wanted -= count;
        }
        Ok((offset, taken))
    }

    /// The rows up to `offset` inclusive have been written.
    pub fn flushed(&mut self, offset: i64) {
        let mut wanted = (offset + 1 - self.flushed).max(0) as usize;
        self.flushed = self.flushed.max(offset + 1);
        while wanted > 0
            && let Some((schema, rows)) = self.hidden.pop_front()
        {
            if rows.len > wanted {
                let rest = rows.slice(wanted, rows.len - wanted);
                self.hidden.push_front((schema, rest));
                return;
            }
            wanted -= rows.len;
            self.hidden_bytes = self.hidden_bytes.saturating_sub(rows.memory());
        }
    }
}

/// All streams that somebody created, by name.
#[derive(Debug, Default)]
pub struct WriteStreams {
    by_name: HashMap<String, WriteStream>,
    next: u64,
}

impl WriteStreams {
    /// Names are made of numbers from this one on.
    pub fn counted_from(first: u64) -> WriteStreams {
        WriteStreams { by_name: HashMap::new(), next: first }
    }

    pub fn retain(&mut self, stays: impl Fn(&WriteStream) -> bool) {
        self.by_name.retain(|_, stream| stays(stream));
    }

    /// Memory that rows take which nobody sees yet.
    pub fn hidden_bytes(&self) -> usize {
        self.by_name.values().map(|stream| stream.hidden_bytes).sum()
    }

    pub fn clear(&mut self) {
        self.by_name.clear();
    }

    /// Adds a stream; returns its name.
    pub fn create(&mut self, stream: WriteStream) -> String {
        self.next += 1;
        let table = &stream.table;
        let id = format!("Cic{:016x}{:x}", self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15), self.next);
        let name = format!("projects/{}/datasets/{}/tables/{}/streams/{id}", table.project, table.dataset, table.table);
        self.by_name.insert(name.clone(), stream);
        name
    }

    pub fn get(&mut self, name: &str) -> Option<&mut WriteStream> {
        self.by_name.get_mut(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(kind: StreamKind) -> WriteStream {
        let path = TablePath { project: "p".into(), dataset: "d".into(), table: "t".into() };
        WriteStream::new(path, 1, kind, Timestamp::EPOCH)
    }

    fn rows(len: usize) -> Batch {
        Batch::new(Vec::new(), len)
    }

    #[test]
    fn offsets_are_checked_against_the_end() {
        let mut stream = stream(StreamKind::Committed);
        stream.check_append(Some(0)).expect("the beginning");
        assert_eq!(stream.append(Schema::default(), rows(3)), 0);
        assert_eq!(stream.pending().count(), 0);
        assert_eq!(stream.check_append(Some(2)), Err(StreamError::OffsetExists { expected: 3, received: 2 }));
        assert_eq!(stream.check_append(Some(4)), Err(StreamError::OffsetBeyond { expected: 3, received: 4 }));
        assert_eq!(stream.check_append(None), Ok(()));
        assert_eq!(stream.finalize(), 3);
        assert_eq!(stream.check_append(None), Err(StreamError::Finalized));
        assert_eq!(stream.check_commit(), Err(StreamError::NotPending));
    }

    #[test]
    fn a_flush_moves_a_cursor() {
        let mut stream = stream(StreamKind::Buffered);
        for _ in 0..2 {
            stream.append(Schema::default(), rows(3));
        }
        for _ in 0..2 {
            // Whoever could not write them asks again.
            let (offset, taken) = stream.unflushed(Some(3)).expect("rows 0 to 3");
            assert_eq!((offset, taken.iter().map(|(_, rows)| rows.len).collect::<Vec<_>>()), (3, vec![3, 1]));
        }
        stream.flushed(3);
        assert_eq!(stream.unflushed(Some(3)).err(), Some(StreamError::FlushAgain(3)));
        assert_eq!(stream.unflushed(Some(6)).err(), Some(StreamError::FlushBeyond(6)));
        assert_eq!(stream.unflushed(None).expect("the rest").1.iter().map(|(_, rows)| rows.len).sum::<usize>(), 2);
        stream.flushed(5);
        assert_eq!(stream.pending().count(), 0);
    }

    #[test]
    fn a_pending_stream_is_committed_once() {
        let mut stream = stream(StreamKind::Pending);
        stream.append(Schema::default(), rows(2));
        assert_eq!(stream.check_commit(), Err(StreamError::NotFinalized));
        stream.finalize();
        stream.check_commit().expect("finalized");
        assert_eq!(stream.pending().count(), 1);
        stream.commit(Timestamp::EPOCH);
        assert_eq!(stream.pending().count(), 0);
        assert_eq!(stream.check_commit(), Err(StreamError::AlreadyCommitted));
    }
}
