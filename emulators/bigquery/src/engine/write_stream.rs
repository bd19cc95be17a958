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
    pub committed: Option<Timestamp>,
    pub finalized: bool,
    /// Rows appended so far: the offset of the next.
    pub end: i64,
    /// Rows of a buffered stream that are visible.
    flushed: i64,
    hidden: VecDeque<StoredRows>,
}

impl WriteStream {
    pub fn new(table: TablePath, made: u64, kind: StreamKind, created: Timestamp) -> WriteStream {
        WriteStream {
            table,
            made,
            kind,
            created,
            committed: None,
            finalized: false,
            end: 0,
            flushed: 0,
            hidden: VecDeque::new(),
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

    /// Appends rows that were checked; returns the offset of the first and what is to be written at once.
    pub fn append(&mut self, schema: Schema, rows: Batch) -> (i64, Option<StoredRows>) {
        let offset = self.end;
        self.end += rows.len as i64;
        if self.kind == StreamKind::Committed {
            return (offset, Some((schema, rows)));
        }
        self.hidden.push_back((schema, rows));
        (offset, None)
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

    /// The rows of a pending stream, to be written.
    pub fn commit(&mut self, now: Timestamp) -> impl Iterator<Item = StoredRows> + '_ {
        self.committed = Some(now);
        self.hidden.drain(..)
    }

    /// The rows of a buffered stream up to `offset` inclusive (all of them: none given) that were not flushed
    /// before, and the offset flushed to.
    pub fn flush(&mut self, offset: Option<i64>) -> Result<(i64, Vec<StoredRows>), StreamError> {
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
        self.flushed = offset + 1;
        let mut taken = Vec::new();
        while wanted > 0
            && let Some((schema, rows)) = self.hidden.pop_front()
        {
            if rows.len <= wanted {
                wanted -= rows.len;
                taken.push((schema, rows));
            } else {
                taken.push((schema.clone(), rows.slice(0, wanted)));
                let rest = rows.slice(wanted, rows.len - wanted);
                wanted = 0;
                self.hidden.push_front((schema, rest));
            }
        }
        Ok((offset, taken))
    }
}

/// All streams that somebody created, by name.
#[derive(Debug, Default)]
pub struct WriteStreams {
    by_name: HashMap<String, WriteStream>,
    next: u64,
}

impl WriteStreams {
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
        let (offset, written) = stream.append(Schema::default(), rows(3));
        assert_eq!((offset, written.map(|(_, rows)| rows.len)), (0, Some(3)));
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
        let (offset, taken) = stream.flush(Some(3)).expect("rows 0 to 3");
        assert_eq!((offset, taken.iter().map(|(_, rows)| rows.len).collect::<Vec<_>>()), (3, vec![3, 1]));
        assert_eq!(stream.flush(Some(3)).err(), Some(StreamError::FlushAgain(3)));
        assert_eq!(stream.flush(Some(6)).err(), Some(StreamError::FlushBeyond(6)));
        assert_eq!(stream.flush(None).expect("the rest").1.iter().map(|(_, rows)| rows.len).sum::<usize>(), 2);
    }

    #[test]
    fn a_pending_stream_is_committed_once() {
        let mut stream = stream(StreamKind::Pending);
        stream.append(Schema::default(), rows(2));
        assert_eq!(stream.check_commit(), Err(StreamError::NotFinalized));
        stream.finalize();
        stream.check_commit().expect("finalized");
        assert_eq!(stream.commit(Timestamp::EPOCH).count(), 1);
        assert_eq!(stream.check_commit(), Err(StreamError::AlreadyCommitted));
    }
}
