//! What went through a door, and what waits in front of it.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// A pushed message.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    /// Its data, where that is JSON.
    pub content: Value,
    /// The subscription that it was delivered by.
    pub subscription: String,
}

impl Message {
    /// The message in a wrapped push request, if the body is one.
    pub fn in_body(body: &[u8]) -> Option<Message> {
        let envelope: Value = serde_json::from_slice(body).ok()?;
        let message = envelope.get("message")?;
        let id = message.get("messageId").or_else(|| message.get("message_id"))?.as_str()?.to_owned();
        let data = message.get("data").and_then(Value::as_str).unwrap_or_default();
        let content = STANDARD.decode(data).ok().and_then(|data| serde_json::from_slice(&data).ok());
        let subscription = envelope.get("subscription").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Message { id, content: content.unwrap_or(Value::Null), subscription })
    }
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub at: Instant,
    pub role: String,
    pub path: String,
    /// `None` for a request that is no push.
    pub message: Option<Message>,
    pub status: StatusCode,
}

impl Exchange {
    /// Whether Pub/Sub takes the answer for an acknowledgement.
    pub fn is_acknowledged(&self) -> bool {
        self.message.is_some() && matches!(self.status.as_u16(), 102 | 200 | 201 | 202 | 204)
    }
}

#[derive(Debug, Default)]
struct State {
    in_flight: HashSet<String>,
    seen: HashSet<String>,
    acknowledged: HashSet<String>,
    holds: BTreeSet<usize>,
    exchanges: Vec<Exchange>,
}

/// The door's memory.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
    /// Counts changes, for those who wait for one.
    changes: watch::Sender<u64>,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { state: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.state().exchanges.clone()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.state().acknowledged.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.in_flight.is_empty() && state.seen.len() == state.acknowledged.len()
    }

    pub(super) fn is_new(&self, id: &str) -> bool {
        !self.state().seen.contains(id)
    }

    pub(super) fn hold_at(&self, count: usize) {
        self.state().holds.insert(count);
    }

    pub(super) fn release(&self, count: usize) {
        self.state().holds.remove(&count);
        self.changed();
    }

    pub(super) async fn reached(&self, count: usize) {
        let mut changes = self.changes.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        while self.acknowledged() < count && changes.changed().await.is_ok() {}
    }

    /// Waits until a message may pass: with those in flight there would not be more than a hold allows.
    pub(super) async fn admit(&self, id: &str) {
        let mut changes = self.changes.subscribe();
        loop {
            {
                let mut state = self.state();
                state.seen.insert(id.to_owned());
                // Counted only where there is a hold: of thousands of messages each would count all.
                let under_way = || state.in_flight.union(&state.acknowledged).count();
                let admitted =
                    state.holds.first().is_none_or(|hold| under_way() < *hold) || state.acknowledged.contains(id);
                if admitted {
                    state.in_flight.insert(id.to_owned());
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn write(&self, role: &str, path: &str, message: Option<&Message>, status: StatusCode) {
        let exchange = Exchange {
            at: Instant::now(),
            role: role.to_owned(),
            path: path.to_owned(),
            message: message.cloned(),
            status,
        };
        {
            let mut state = self.state();
            if let Some(message) = message {
                state.in_flight.remove(&message.id);
                if exchange.is_acknowledged() {
                    state.acknowledged.insert(message.id.clone());
                }
            }
            state.exchanges.push(exchange);
        }
        self.changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> Message {
        Message { id: id.to_owned(), content: Value::Null, subscription: String::new() }
    }

    #[tokio::test]
    async fn a_hold_lets_exactly_so_many_through() {
        let ledger = Ledger::default();
        ledger.hold_at(2);
        ledger.admit("1").await;
        ledger.admit("2").await;
        ledger.write("r", "/", Some(&message("1")), StatusCode::NO_CONTENT);
        let third = ledger.admit("3");
        tokio::pin!(third);
        assert!(futures::poll!(&mut third).is_pending(), "two are under way");
        ledger.write("r", "/", Some(&message("2")), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(futures::poll!(&mut third).is_ready(), "one was refused, its place is free");
        let fourth = ledger.admit("4");
        tokio::pin!(fourth);
        assert!(futures::poll!(&mut fourth).is_pending());
        ledger.release(2);
        assert!(futures::poll!(&mut fourth).is_ready());
    }

    #[tokio::test]
    async fn what_was_refused_is_not_idle_until_it_is_acknowledged() {
        let ledger = Ledger::default();
        ledger.admit("1").await;
        ledger.write("r", "/", Some(&message("1")), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!ledger.is_idle());
        ledger.admit("1").await;
        ledger.write("r", "/", Some(&message("1")), StatusCode::OK);
        assert!(ledger.is_idle());
        assert_eq!(ledger.acknowledged(), 1);
    }

    #[test]
    fn only_push_envelopes_are_messages() {
        let body = br#"{"message":{"data":"eyJhIjoxfQ==","messageId":"7"},"subscription":"s"}"#;
        let message = Message::in_body(body).expect("a message");
        assert_eq!((message.id.as_str(), &message.content["a"]), ("7", &Value::from(1)));
        assert!(Message::in_body(br#"{"game_date":"2026-01-01"}"#).is_none());
        assert!(Message::in_body(b"\xff").is_none());
    }
}
