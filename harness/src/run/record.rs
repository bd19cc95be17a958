//! What happened in a run, call by call, for whoever looks into it afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scrimmage_core::journal::{Body, Call, Entry};
use scrimmage_core::{Code, Timestamp};

use super::Run;
use crate::front_door::Exchange;
use crate::pipeline::{LogLine, Stream};

/// Log lines that are kept: enough to find those that belong to a piece of evidence.
const LINES_KEPT: usize = 5_000;
/// Longer texts are cut.
const LONGEST_TEXT: usize = 600;

/// The course of one run. Times count from its beginning.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub length: Duration,
    /// The pipeline's calls in the order of their beginning; of very many the telling ones.
    pub calls: Vec<CallRecord>,
    /// Over all of the pipeline's calls, also those that are not kept.
    pub tally: Vec<Tally>,
    /// What was pushed to the pipeline's processes.
    pub pushes: Vec<PushRecord>,
    pub moments: Vec<Moment>,
    pub lines: Vec<LineRecord>,
    pub players: Vec<String>,
}

/// One call.
#[derive(Clone, PartialEq, Debug)]
pub struct CallRecord {
    pub start: Duration,
    pub end: Duration,
    pub client: Arc<str>,
    pub service: Arc<str>,
    pub method: Arc<str>,
    pub resource: String,
    pub status: Code,
    pub message: String,
    pub lock_wait: Duration,
    /// From 1; 0 where the service does not know.
    pub attempt: u32,
    pub faults: Vec<Arc<str>>,
}

/// All calls of one client to one method.
#[derive(Clone, PartialEq, Debug)]
pub struct Tally {
    pub client: Arc<str>,
    pub service: Arc<str>,
    pub method: Arc<str>,
    pub calls: usize,
    pub not_ok: usize,
    pub waited: usize,
    pub faulted: usize,
    pub longest: Duration,
    pub longest_wait: Duration,
}

/// One request that went through a front door.
#[derive(Clone, PartialEq, Debug)]
pub struct PushRecord {
    /// When it was answered.
    pub at: Duration,
    pub to: String,
    pub path: String,
    /// Empty for a request that is no push.
    pub message_id: String,
    /// What the message is about, where it names a player.
    pub player: Option<String>,
    pub status: u16,
}

/// A mark of the harness.
#[derive(Clone, PartialEq, Debug)]
pub struct Moment {
    pub at: Duration,
    pub text: String,
    pub is_fault: bool,
}

/// One line of the captured log.
#[derive(Clone, PartialEq, Debug)]
pub struct LineRecord {
    pub at: Duration,
    pub process: Arc<str>,
    /// As Cloud Logging has it; `DEFAULT` for a line without.
    pub severity: String,
    pub text: String,
    pub is_stderr: bool,
}

/// When a run began, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) instant: Instant,
    pub(super) timestamp: Timestamp,
}

impl CallRecord {
    /// What makes a call worth keeping among thousands: the smaller, the more so.
    fn dullness(&self) -> (u8, std::cmp::Reverse<Duration>) {
        let class = if self.status != Code::Ok {
            0
        } else if !self.faults.is_empty() || !self.lock_wait.is_zero() {
            1
        } else {
            2
        };
        (class, std::cmp::Reverse(self.end.saturating_sub(self.start)))
    }

    fn of(call: &Call, origin: Timestamp) -> CallRecord {
        CallRecord {
            start: since(call.start, origin),
            end: since(call.end, origin),
            client: call.info.client.clone(),
            service: call.info.service.clone(),
            method: call.info.method.clone(),
            resource: cut(call.info.resource()),
            status: call.status,
            message: cut(&call.message),
            lock_wait: call.notes.lock_wait,
            attempt: call.notes.attempt,
            faults: call.faults.clone(),
        }
    }
}

fn since(at: Timestamp, origin: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(at.as_micros().saturating_sub(origin.as_micros())).unwrap_or(0))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl Record {
    /// Takes the pipeline's calls out of journal entries: counts all, keeps at most `most`.
    fn take_calls(&mut self, entries: &[Arc<Entry>], origin: Timestamp, most: usize, is_own: impl Fn(&Call) -> bool) {
        let calls = entries.iter().filter_map(|entry| match &entry.body {
            Body::Call(call) if is_own(call) => Some(CallRecord::of(call, origin)),
            _ => None,
        });
        let mut calls: Vec<CallRecord> = calls.collect();
        self.tally = tally(&calls);
        if calls.len() > most {
            calls.sort_by_key(CallRecord::dullness);
            calls.truncate(most);
        }
        calls.sort_by_key(|call| call.start);
        self.calls = calls;
    }

    /// How many calls there were, those that are not kept included.
    pub fn total_calls(&self) -> usize {
        self.tally.iter().map(|tally| tally.calls).sum()
    }
}

fn tally(calls: &[CallRecord]) -> Vec<Tally> {
    type Called = (Arc<str>, Arc<str>, Arc<str>);
    let mut tallies: BTreeMap<Called, Tally> = BTreeMap::new();
    for call in calls {
        let key = (call.client.clone(), call.service.clone(), call.method.clone());
        let tally = tallies.entry(key).or_insert_with(|| Tally {
            client: call.client.clone(),
            service: call.service.clone(),
            method: call.method.clone(),
            calls: 0,
            not_ok: 0,
            waited: 0,
            faulted: 0,
            longest: Duration::ZERO,
            longest_wait: Duration::ZERO,
        });
        tally.calls += 1;
        tally.not_ok += usize::from(call.status != Code::Ok);
        tally.waited += usize::from(!call.lock_wait.is_zero());
        tally.faulted += usize::from(!call.faults.is_empty());
        tally.longest = tally.longest.max(call.end.saturating_sub(call.start));
        tally.longest_wait = tally.longest_wait.max(call.lock_wait);
    }
    tallies.into_values().collect()
}

impl LineRecord {
    fn of(line: &LogLine, offset: Duration) -> LineRecord {
        let field = |name: &str| line.fields.as_ref().and_then(|fields| fields[name].as_str());
        LineRecord {
            at: line.at + offset,
            process: line.process.clone(),
            severity: field("severity").unwrap_or("DEFAULT").to_owned(),
            text: cut(&line.text),
            is_stderr: line.stream == Stream::Stderr,
        }
    }

    /// Whether somebody who reads the log would stop here.
    pub fn is_complaint(&self) -> bool {
        match self.severity.as_str() {
            "WARNING" | "ERROR" | "CRITICAL" | "ALERT" | "EMERGENCY" => true,
            "DEFAULT" => self.is_stderr,
            _ => false,
        }
    }
}

impl Run {
    /// The course of the run so far, with at most `most` calls.
    pub(super) fn record(&self, most: usize) -> Record {
        let Origin { instant, timestamp } = self.origin;
        let mut record = Record { length: instant.elapsed(), players: self.players.clone(), ..Record::default() };
        record.take_calls(&self.stage.journal_entries(), timestamp, most, |call| !self.stage.is_own_call(call));
        let doors = std::iter::once(&self.completions).chain(&self.requests);
        record.pushes = doors.flat_map(|door| door.exchanges()).map(|exchange| push(&exchange, instant)).collect();
        record.pushes.sort_by_key(|push| push.at);
        let moments = self.activity.marks().into_iter().map(|mark| Moment {
            at: mark.at.saturating_duration_since(instant),
            text: mark.text,
            is_fault: mark.is_fault,
        });
        record.moments = moments.collect();
        let opened = self.log.opened().saturating_duration_since(instant);
        record.lines = self.log.lines().iter().take(LINES_KEPT).map(|line| LineRecord::of(line, opened)).collect();
        record
    }
}

fn push(exchange: &Exchange, origin: Instant) -> PushRecord {
    let content = exchange.message.as_ref().map(|message| &message.content);
    let player = content.and_then(|content| content["player_lookup"].as_str()).map(str::to_owned);
    PushRecord {
        at: exchange.at.saturating_duration_since(origin),
        to: exchange.role.clone(),
        path: exchange.path.clone(),
        message_id: exchange.message.as_ref().map(|message| message.id.clone()).unwrap_or_default(),
        player,
        status: exchange.status.as_u16(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrimmage_core::CallInfo;
    use scrimmage_core::call::Notes;

    fn entry(id: u64, status: Code, millis: i64) -> Arc<Entry> {
        let call = Call {
            start: Timestamp::from_micros(1_000_000 + id as i64 * 1_000),
            end: Timestamp::from_micros(1_000_000 + id as i64 * 1_000 + millis * 1_000),
            info: CallInfo::new("firestore", "Commit", "projects/p", "coordinator"),
            status,
            message: String::new(),
            notes: Notes::default(),
            faults: Vec::new(),
        };
        Arc::new(Entry { id, body: Body::Call(call) })
    }

    #[test]
    fn of_many_calls_the_failed_and_the_long_ones_are_kept_and_all_are_counted() {
        let mut entries: Vec<_> = (1..=10).map(|id| entry(id, Code::Ok, id as i64)).collect();
        entries.push(entry(11, Code::Aborted, 1));
        let mut record = Record::default();
        record.take_calls(&entries, Timestamp::from_micros(1_000_000), 3, |_| true);
        let starts: Vec<u128> = record.calls.iter().map(|call| call.start.as_millis()).collect();
        assert_eq!(starts, [9, 10, 11]);
        assert_eq!((record.total_calls(), record.tally[0].not_ok), (11, 1));
        assert_eq!(record.tally[0].longest, Duration::from_millis(10));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("kurz"), "kurz");
        let long = cut(&"č".repeat(LONGEST_TEXT + 1));
        assert_eq!(long.chars().count(), LONGEST_TEXT + 1);
        assert!(long.ends_with('…'));
    }
}
