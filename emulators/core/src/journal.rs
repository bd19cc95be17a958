//! The journal: every call and every event of one suite, in order, kept in memory.
//!
//! Writing is a push under a short lock; JSON is made only when somebody asks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use crate::call::Notes;
use crate::{CallInfo, Clock, Code, Timestamp};

/// How many entries are kept; older ones are dropped.
pub const CAPACITY: usize = 100_000;

/// How many bytes of names and texts the kept entries have together, roughly: a commit may name 500
/// documents, and a hundred thousand of such would be gigabytes.
pub const CAPACITY_BYTES: usize = 64 << 20;

/// How many entries a subscriber may fall behind before it loses the oldest.
const SUBSCRIBER_BUFFER: usize = 4_096;

/// One line of the journal. Ids count up from 1 in the order of writing and are never reused.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    pub id: u64,
    pub body: Body,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    Call(Call),
    Event(Event),
}

/// A finished call. A stream is finished when it closes.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    pub start: Timestamp,
    pub end: Timestamp,
    pub info: CallInfo,
    pub status: Code,
    /// The status's text; empty where the call succeeded.
    pub message: String,
    pub notes: Notes,
    /// Names of the faults that applied.
    pub faults: Vec<Arc<str>>,
}

/// Something that happened outside a call: a push delivery, a lease that ran out, a restart.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub at: Timestamp,
    pub service: Arc<str>,
    pub kind: Arc<str>,
    pub resource: String,
    pub text: String,
}

/// Which entries to read; the default is all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// Only entries with a larger id.
    pub since: u64,
    /// Only this service's.
    pub service: Option<String>,
    /// Only this method's (an event's kind counts as its method).
    pub method: Option<String>,
    /// At most this many, the oldest first.
    pub limit: Option<usize>,
}

/// A suite's journal; see the module.
#[derive(Debug)]
pub struct Journal {
    clock: Clock,
    log: Mutex<Log>,
    subscribers: broadcast::Sender<Arc<Entry>>,
}

#[derive(Debug)]
struct Log {
    entries: VecDeque<Arc<Entry>>,
    /// [`Entry::bytes`] of them all.
    bytes: usize,
    next_id: u64,
}

impl Journal {
    /// An empty journal that dates events by `clock`.
    pub fn new(clock: Clock) -> Self {
        Journal {
            clock,
            log: Mutex::new(Log { entries: VecDeque::new(), bytes: 0, next_id: 1 }),
            subscribers: broadcast::Sender::new(SUBSCRIBER_BUFFER),
        }
    }

    /// Writes a finished call.
    pub fn call(&self, call: Call) {
        self.write(Body::Call(call));
    }

    /// Writes an event, dated now.
    pub fn event(&self, service: &str, kind: &str, resource: impl Into<String>, text: impl Into<String>) {
        self.write(Body::Event(Event {
            at: self.clock.now(),
            service: service.into(),
            kind: kind.into(),
            resource: resource.into(),
            text: text.into(),
        }));
    }

    fn write(&self, body: Body) {
        let mut log = self.log();
        let entry = Arc::new(Entry { id: log.next_id, body });
        log.next_id += 1;
        log.bytes += entry.bytes();
        while log.entries.len() >= CAPACITY || (log.bytes > CAPACITY_BYTES && !log.entries.is_empty()) {
            let Some(oldest) = log.entries.pop_front() else { break };
            log.bytes = log.bytes.saturating_sub(oldest.bytes());
        }
        if self.subscribers.receiver_count() > 0 {
            // Sent under the lock, so that subscribers see the order of the ids.
            let _ = self.subscribers.send(entry.clone());
        }
        log.entries.push_back(entry);
    }

    /// Entries from now on, as they are written. A receiver that lags by more than some thousands
    /// loses the oldest and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.subscribers.subscribe()
    }

    /// The entries that a query asks for, oldest first.
    pub fn read(&self, query: &Query) -> Vec<Arc<Entry>> {
        let log = self.log();
        let start = log.entries.partition_point(|entry| entry.id <= query.since);
        log.entries
            .range(start..)
            .filter(|entry| query.wants(entry))
            .take(query.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    /// The id of the newest entry; 0 where nothing has been written.
    pub fn last_id(&self) -> u64 {
        self.log().next_id - 1
    }

    /// Forgets all entries; ids go on.
    pub fn clear(&self) {
        let mut log = self.log();
        log.entries.clear();
        log.bytes = 0;
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Every write leaves the log whole, also where a panic cut another one short.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What its names and texts take.
    fn bytes(&self) -> usize {
        let each = |texts: &[String]| texts.iter().map(|text| text.capacity() + size_of::<String>()).sum::<usize>();
        match &self.body {
            Body::Call(call) => {
                let noted = each(&call.notes.resources) + each(&call.notes.warnings);
                each(&call.info.resources) + call.message.capacity() + noted
            }
            Body::Event(event) => event.resource.capacity() + event.text.capacity(),
        }
    }
}

impl Query {
    fn wants(&self, entry: &Entry) -> bool {
        let (service, method) = match &entry.body {
            Body::Call(call) => (&call.info.service, &call.info.method),
            Body::Event(event) => (&event.service, &event.kind),
        };
        self.service.as_deref().is_none_or(|wanted| wanted == &**service)
            && self.method.as_deref().is_none_or(|wanted| wanted == &**method)
    }
}

/// As `GET /admin/journal` shows it: times in RFC 3339, durations in milliseconds, empty fields left out.
impl Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shape = Map::new();
        shape.insert("id".to_owned(), json!(self.id));
        match &self.body {
            Body::Call(call) => call.show(&mut shape),
            Body::Event(event) => {
                shape.insert("at".to_owned(), json!(event.at.to_string()));
                shape.insert("service".to_owned(), json!(&*event.service));
                shape.insert("event".to_owned(), json!(&*event.kind));
                shape.insert("resource".to_owned(), json!(event.resource));
                shape.insert("text".to_owned(), json!(event.text));
            }
        }
        shape.serialize(serializer)
    }
}

impl Call {
    fn show(&self, shape: &mut Map<String, Value>) {
        let mut put = |key: &str, value: Value| {
            shape.insert(key.to_owned(), value);
        };
        put("start", json!(self.start.to_string()));
        put("end", json!(self.end.to_string()));
        put("milliseconds", json!(millis(self.end.since(self.start))));
        put("service", json!(&*self.info.service));
        put("method", json!(&*self.info.method));
        put("resource", json!(self.info.resource()));
        let more: Vec<_> = self.info.resources.iter().skip(1).chain(&self.notes.resources).collect();
        if !more.is_empty() {
            put("more_resources", json!(more));
        }
        put("client", json!(&*self.info.client));
        put("status", json!(self.status.name()));
        if !self.message.is_empty() {
            put("message", json!(self.message));
        }
        if !self.notes.lock_wait.is_zero() {
            put("lock_wait_milliseconds", json!(millis(self.notes.lock_wait)));
        }
        if self.notes.attempt > 0 {
            put("attempt", json!(self.notes.attempt));
        }
        if !self.notes.warnings.is_empty() {
            put("warnings", json!(self.notes.warnings));
        }
        if !self.faults.is_empty() {
            put("faults", json!(self.faults.iter().map(|name| &**name).collect::<Vec<_>>()));
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str) -> Call {
        Call {
            start: Timestamp::from_micros(1_000),
            end: Timestamp::from_micros(3_500),
            info: CallInfo::new("firestore", method, "projects/p", "coordinator"),
            status: Code::Aborted,
            message: "contention".to_owned(),
            notes: Notes { lock_wait: Duration::from_micros(1_500), attempt: 2, ..Notes::default() },
            faults: vec!["slow".into()],
        }
    }

    #[test]
    fn reads_by_id_service_and_method() {
        let journal = Journal::new(Clock::virtual_at(Timestamp::EPOCH));
        journal.call(call("Commit"));
        journal.event("pubsub", "push", "projects/p/subscriptions/s", "204");
        journal.call(call("RunQuery"));
        let ids = |query: Query| journal.read(&query).iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids(Query::default()), [1, 2, 3]);
        assert_eq!(ids(Query { since: 1, ..Query::default() }), [2, 3]);
        assert_eq!(ids(Query { since: 99, ..Query::default() }), [0_u64; 0]);
        assert_eq!(ids(Query { service: Some("pubsub".into()), ..Query::default() }), [2]);
        assert_eq!(ids(Query { method: Some("RunQuery".into()), ..Query::default() }), [3]);
        assert_eq!(ids(Query { limit: Some(1), ..Query::default() }), [1]);
        journal.clear();
        journal.event("pubsub", "push", "", "");
        assert_eq!(ids(Query::default()), [4]);
        assert_eq!(journal.last_id(), 4);
    }

    #[test]
    fn what_names_very_much_leaves_early() {
        let journal = Journal::new(Clock::virtual_at(Timestamp::EPOCH));
        let ids = || journal.read(&Query::default()).iter().map(|entry| entry.id).collect::<Vec<_>>();
        // Reserved, not written to: it costs the test nothing.
        let large = || String::with_capacity(CAPACITY_BYTES * 2 / 5);
        for _ in 0..3 {
            journal.event("pubsub", "push", large(), "");
        }
        assert_eq!(ids(), [2, 3]);
        journal.event("pubsub", "push", "", "");
        assert_eq!(ids(), [2, 3, 4]);
        journal.event("pubsub", "push", String::with_capacity(CAPACITY_BYTES * 2), "");
        assert_eq!(ids(), [5], "the newest one stays, whatever it takes");
        journal.clear();
        journal.event("pubsub", "push", large(), "");
        assert_eq!(ids(), [6]);
    }

    #[test]
    fn shows_a_call_without_its_empty_fields() {
        let journal = Journal::new(Clock::virtual_at(Timestamp::EPOCH));
        journal.call(call("Commit"));
        let shown = serde_json::to_value(&*journal.read(&Query::default())[0]).expect("JSON");
        assert_eq!(
            shown,
            json!({
                "id": 1, "start": "1970-01-01T00:00:00.001Z", "end": "1970-01-01T00:00:00.0035Z",
                "milliseconds": 2.5, "service": "firestore", "method": "Commit", "resource": "projects/p",
                "client": "coordinator", "status": "ABORTED", "message": "contention",
                "lock_wait_milliseconds": 1.5, "attempt": 2, "faults": ["slow"],
            })
        );
    }

    #[tokio::test]
    async fn subscribers_see_what_is_written_later() {
        let journal = Journal::new(Clock::virtual_at(Timestamp::EPOCH));
        journal.event("suite", "start", "", "");
        let mut subscription = journal.subscribe();
        journal.event("suite", "reset", "", "");
        assert_eq!(subscription.recv().await.expect("an entry").id, 2);
    }
}
