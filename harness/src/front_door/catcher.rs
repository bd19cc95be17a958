//! Messages that are caught at the door: acknowledged, kept, and handed to nobody behind it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scrimmage_load::live::publish::Payload;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Catcher {
    /// By message id; `None` while nothing is caught.
    caught: Mutex<Option<BTreeMap<String, Payload>>>,
    /// Counts what is caught, for those who wait for it.
    count: watch::Sender<usize>,
}

impl Default for Catcher {
    fn default() -> Self {
        Catcher { caught: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Catcher {
    fn caught(&self) -> MutexGuard<'_, Option<BTreeMap<String, Payload>>> {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) {
        self.caught().get_or_insert_default();
    }

    /// Whether the message is caught: then it is acknowledged, and that is all.
    pub(super) fn takes(&self, id: &str, body: &[u8]) -> bool {
        let mut caught = self.caught();
        let Some(messages) = caught.as_mut() else { return false };
        let Some(payload) = payload(body) else { return false };
        messages.insert(id.to_owned(), payload);
        self.count.send_replace(messages.len());
        true
    }

    /// Waits for so many messages, then lets the next ones through, and returns those.
    pub(super) async fn end_with(&self, count: usize) -> Vec<Payload> {
        let mut counts = self.count.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let _ = counts.wait_for(|caught| *caught >= count).await;
        self.caught().take().unwrap_or_default().into_values().collect()
    }
}

/// What was published, out of a wrapped push request.
fn payload(body: &[u8]) -> Option<Payload> {
    let envelope: Value = serde_json::from_slice(body).ok()?;
    let message = envelope.get("message")?;
    let data = STANDARD.decode(message.get("data").and_then(Value::as_str).unwrap_or_default()).ok()?;
    let attributes: HashMap<String, String> = message
        .get("attributes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let ordering_key = message.get("orderingKey").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Payload { data, attributes, ordering_key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_caught_comes_out_as_it_was_published() {
        let catcher = Catcher::default();
        let body = br#"{"message":{"data":"aGk=","messageId":"7","attributes":{"a":"b"},"orderingKey":"k"}}"#;
        assert!(!catcher.takes("7", body), "nothing is caught yet");
        catcher.begin();
        assert!(catcher.takes("7", body) && catcher.takes("7", body));
        let ended = catcher.end_with(2);
        tokio::pin!(ended);
        assert!(futures::poll!(&mut ended).is_pending(), "the same message twice is one");
        assert!(catcher.takes("8", body));
        let all = ended.await;
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].data.as_slice(), all[0].attributes["a"].as_str()), (b"hi".as_slice(), "b"));
        assert_eq!(all[0].ordering_key, "k");
        assert!(!catcher.takes("9", body), "it is over");
    }
}
