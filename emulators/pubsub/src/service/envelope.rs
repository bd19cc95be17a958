//! What a push request holds: the documented JSON envelope, or the raw message.
//!
//! Shapes: <https://cloud.google.com/pubsub/docs/push#receive_push> and
//! <https://cloud.google.com/pubsub/docs/payload-unwrapping>; `deliveryAttempt` beside `message`, only with a
//! dead-letter policy: <https://cloud.google.com/pubsub/docs/handling-failures#track-delivery-attempts>.
//! Production writes keys in alphabetical order and leaves out what is empty.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1::push_config::Wrapper;
use serde_json::{Map, Value, json};

use crate::engine::message::Message;
use crate::engine::push::PushJob;

/// Headers and body of a push.
pub struct Envelope {
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub fn of(job: &PushJob) -> Envelope {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br"));
    headers.insert(http::header::FROM, HeaderValue::from_static("noreply@google.com"));
    headers.insert(http::header::USER_AGENT, HeaderValue::from_static("CloudPubSub-Google"));
    let message = &job.delivery.message;
    if let Some(Wrapper::NoWrapper(unwrapped)) = &job.config.wrapper {
        if unwrapped.write_metadata {
            add_metadata(&mut headers, &job.subscription, message);
        }
        return Envelope { headers, body: message.content.data.clone() };
    }
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Envelope { headers, body: wrapped(job, message).to_string().into() }
}

fn wrapped(job: &PushJob, message: &Message) -> Value {
    let content = &message.content;
    let mut inner = Map::new();
    if !content.attributes.is_empty() {
        let sorted: BTreeMap<_, _> = content.attributes.iter().collect();
        inner.insert("attributes".to_owned(), json!(sorted));
    }
    if !content.data.is_empty() {
        inner.insert("data".to_owned(), STANDARD.encode(&content.data).into());
    }
    inner.insert("messageId".to_owned(), content.message_id.as_str().into());
    inner.insert("message_id".to_owned(), content.message_id.as_str().into());
    if !content.ordering_key.is_empty() {
        inner.insert("orderingKey".to_owned(), content.ordering_key.as_str().into());
    }
    let published = publish_time(message.published);
    inner.insert("publishTime".to_owned(), published.as_str().into());
    inner.insert("publish_time".to_owned(), published.into());
    let mut outer = Map::new();
    if let Some(attempt) = job.delivery.attempt {
        outer.insert("deliveryAttempt".to_owned(), attempt.into());
    }
    outer.insert("message".to_owned(), inner.into());
    outer.insert("subscription".to_owned(), job.subscription.as_str().into());
    outer.into()
}

/// The metadata of an unwrapped push. An attribute that cannot be a header is left out, as documented.
fn add_metadata(headers: &mut HeaderMap, subscription: &str, message: &Message) {
    let content = &message.content;
    for (key, value) in &content.attributes {
        if let (Ok(key), Ok(value)) = (HeaderName::try_from(key.as_str()), HeaderValue::from_str(value)) {
            headers.insert(key, value);
        }
    }
    let published = publish_time(message.published);
    for (key, value) in [
        ("x-goog-pubsub-subscription-name", subscription),
        ("x-goog-pubsub-message-id", &content.message_id),
        ("x-goog-pubsub-publish-time", &published),
        ("x-goog-pubsub-ordering-key", &content.ordering_key),
    ] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
            headers.insert(HeaderName::from_static(key), value);
        }
    }
}

/// Milliseconds, or no fraction where there are none: a protobuf time in JSON has 0, 3, 6 or 9 digits.
fn publish_time(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix('Z').and_then(|text| text.split_once('.')) {
        Some((seconds, fraction)) => format!("{seconds}.{fraction:0<3}Z"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scrimmage_protos::google::pubsub::v1 as pb;

    use super::*;
    use crate::engine::message::{AckId, Delivery};

    fn job(content: pb::PubsubMessage, attempt: Option<u32>, wrapper: Option<Wrapper>) -> PushJob {
        let published = Timestamp::from_micros(1_614_370_435_740_000);
        PushJob {
            subscription: "projects/myproject/subscriptions/mysubscription".to_owned(),
            config: pb::PushConfig { wrapper, ..Default::default() },
            delivery: Delivery {
                ack: AckId { sub: 1, seq: 1, lease: 1 },
                message: Arc::new(Message::new(1, 2_070_443_601_311_540, published, content)),
                attempt,
            },
            until: published,
        }
    }

    #[test]
    fn the_envelope_is_the_documented_one() {
        let content = pb::PubsubMessage {
            data: "Hello Cloud Pub/Sub! Here is my message!".into(),
            attributes: [("key".to_owned(), "value".to_owned()), ("a".to_owned(), "b".to_owned())].into(),
            ordering_key: "k".to_owned(),
            ..Default::default()
        };
        let envelope = of(&job(content, Some(5), None));
        assert_eq!(
            envelope.body,
            r#"{"deliveryAttempt":5,"message":{"attributes":{"a":"b","key":"value"},"data":"SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ==","messageId":"2070443601311540","message_id":"2070443601311540","orderingKey":"k","publishTime":"2021-02-26T20:13:55.740Z","publish_time":"2021-02-26T20:13:55.740Z"},"subscription":"projects/myproject/subscriptions/mysubscription"}"#
        );
        assert_eq!(envelope.headers["content-type"], "application/json");
    }

    #[test]
    fn an_unwrapped_push_is_the_data_and_headers() {
        let content = pb::PubsubMessage {
            data: "raw".into(),
            attributes: [("x-a".to_owned(), "b".to_owned()), ("not a header".to_owned(), "c".to_owned())].into(),
            ..Default::default()
        };
        let bare = of(&job(content.clone(), None, Some(Wrapper::NoWrapper(pb::push_config::NoWrapper::default()))));
        assert_eq!(bare.body, "raw");
        assert!(!bare.headers.contains_key("x-a"));
        let wrapper = Wrapper::NoWrapper(pb::push_config::NoWrapper { write_metadata: true });
        let full = of(&job(content, None, Some(wrapper)));
        assert_eq!(full.headers["x-a"], "b");
        assert_eq!(full.headers["x-goog-pubsub-message-id"], "2070443601311540");
        assert!(!full.headers.contains_key("x-goog-pubsub-ordering-key"));
    }
}
