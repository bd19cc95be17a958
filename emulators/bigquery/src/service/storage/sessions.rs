//! Read sessions: rows as of one moment, cut into streams.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_ipc::CompressionType;
use arrow_schema::SchemaRef;
use scrimmage_core::Timestamp;
use scrimmage_googlesql::Type;
use scrimmage_googlesql::exec::column::Batch;

use crate::formats::avro_encode::Encoder;
use crate::limits;

/// How a session's rows travel.
pub enum Wire {
    Arrow { schema: SchemaRef, message: Vec<u8>, types: Vec<Type>, compression: Option<CompressionType> },
    Avro { schema: String, encoder: Encoder },
}

/// The rows of a session; they stay as they are whatever becomes of the table.
pub struct Rows {
    pub batches: Vec<Batch>,
    pub total: usize,
    pub wire: Wire,
    /// Bytes that one row takes, roughly.
    pub row_bytes: usize,
}

#[derive(Clone)]
pub struct Session {
    pub rows: Arc<Rows>,
    pub expires: Timestamp,
    /// Rows of each stream, by the stream's id.
    streams: HashMap<String, Range<usize>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("rows", &self.rows.total).field("streams", &self.streams.len()).finish()
    }
}

#[derive(Debug, Default)]
pub struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_name: HashMap<String, Session>,
    next: u64,
}

/// One stream of a session, found by its name.
pub struct Found {
    pub session: Session,
    pub rows: Range<usize>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counted_from(first: u64) -> Sessions {
        Sessions { inner: Mutex::new(Inner { by_name: HashMap::new(), next: first }) }
    }

    pub fn expire(&self, now: Timestamp) {
        self.lock().by_name.retain(|_, session| session.expires > now);
    }

    pub fn clear(&self) {
        self.lock().by_name.clear();
    }

    /// Opens a session of `count` streams under the project; returns its name and theirs. Expired ones go. `None`
    /// where the rows of all open sessions take too much memory.
    pub fn open(
        &self,
        now: Timestamp,
        project: &str,
        rows: Rows,
        count: usize,
        expires: Timestamp,
    ) -> Option<(String, Vec<String>)> {
        let mut inner = self.lock();
        inner.by_name.retain(|_, session| session.expires > now);
        let size = |rows: &Rows| rows.row_bytes.saturating_mul(rows.total);
        let open: usize = inner.by_name.values().map(|session| size(&session.rows)).sum();
        if open > 0 && open.saturating_add(size(&rows)) > limits::READ_SESSION_BYTES {
            return None;
        }
        inner.next += 1;
        let number = inner.next;
        let name = format!("projects/{project}/locations/us/sessions/{}", id("CAIS", number));
        let total = rows.total;
        let mut session = Session { rows: Arc::new(rows), expires, streams: HashMap::new() };
        let mut names = Vec::with_capacity(count);
        for index in 0..count {
            // Evenly, the remainder spread over the first.
            let (from, to) = (total * index / count, total * (index + 1) / count);
            let stream = id("GgJ", number << 20 | index as u64);
            names.push(format!("{name}/streams/{stream}"));
            session.streams.insert(stream, from..to);
        }
        inner.by_name.insert(name.clone(), session);
        Some((name, names))
    }

    /// The stream of this full name.
    pub fn find(&self, name: &str) -> Option<Found> {
        let (session, stream) = name.split_once("/streams/")?;
        let inner = self.lock();
        let session = inner.by_name.get(session)?;
        let rows = session.streams.get(stream)?.clone();
        Some(Found { session: session.clone(), rows })
    }

    /// Two new streams for the rows before and behind `at` of a stream; the old one stays readable.
    pub fn split(&self, name: &str, at: usize) -> Option<(String, String)> {
        let (session_name, stream) = name.split_once("/streams/")?;
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        let session = inner.by_name.get_mut(session_name)?;
        let rows = session.streams.get(stream)?.clone();
        let mut add = |suffix: u64, rows: Range<usize>| {
            let stream = id("GgJ", number << 20 | 1 << 19 | suffix);
            let name = format!("{session_name}/streams/{stream}");
            session.streams.insert(stream, rows);
            name
        };
        Some((add(0, rows.start..at), add(1, at..rows.end)))
    }
}

/// Something that looks like production's ids and never repeats.
fn id(prefix: &str, number: u64) -> String {
    format!("{prefix}{:016x}{number:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
