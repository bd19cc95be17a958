//! What a topic or subscription is told to be: checked once, filled with defaults, kept in two forms,
//! as the API shows it and as the engine reads it.

use std::collections::HashMap;
use std::time::Duration;

use scrimmage_protos::google::pubsub::v1 as pb;

use super::filter::Filter;
use super::names::{self, Kind};
use super::transforms::Transforms;
use crate::limits;
use crate::texts::{self, Error};

/// A subscription's settings as the engine reads them.
#[derive(Clone, Debug)]
pub struct Settings {
    pub ack_deadline: Duration,
    pub retention: Duration,
    pub retain_acked: bool,
    pub ordered: bool,
    pub exactly_once: bool,
    pub filter: Option<Filter>,
    pub dead_letter: Option<DeadLetter>,
    pub retry: Option<Retry>,
    pub push: Option<pb::PushConfig>,
    /// The table that it writes to.
    pub sink: Option<pb::BigQueryConfig>,
    /// Unused for so long, the subscription is deleted.
    pub time_to_live: Option<Duration>,
}

impl Settings {
    /// Whether consumers come and take.
    pub fn is_pull(&self) -> bool {
        self.push.is_none() && self.sink.is_none()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    pub topic: String,
    pub attempts: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    pub least: Duration,
    pub most: Duration,
}

impl Retry {
    /// How long a message rests after its `deliveries`th delivery failed: the minimum, doubled each
    /// time, up to the maximum. Production adds jitter; a rehearsal is repeatable without.
    pub fn delay(&self, deliveries: u32) -> Duration {
        let doublings = deliveries.saturating_sub(1).min(30);
        self.least.saturating_mul(1 << doublings).min(self.most)
    }
}

/// Fills a subscription's defaults in place and reads its settings.
pub fn subscription(config: &mut pb::Subscription) -> Result<Settings, Error> {
    names::check(Kind::Subscription, &config.name)?;
    unsupported(config)?;
    labels(&config.labels)?;
    if config.ack_deadline_seconds == 0 {
        config.ack_deadline_seconds = limits::DEFAULT_ACK_DEADLINE_SECONDS;
    }
    let ack_deadline = lease_deadline(config.ack_deadline_seconds)?;
    let retention = match &config.message_retention_duration {
        None => limits::DEFAULT_RETENTION,
        Some(given) => retention(given)?,
    };
    config.message_retention_duration = Some(proto(retention));
    let policy = config
        .expiration_policy
        .get_or_insert_with(|| pb::ExpirationPolicy { ttl: Some(proto(limits::DEFAULT_EXPIRATION)) });
    let time_to_live = policy.ttl.as_ref().map(expiration).transpose()?;
    let filter = filter(&config.filter)?;
    let dead_letter = match &mut config.dead_letter_policy {
        // An empty policy is how an update takes one away.
        Some(policy) if policy.dead_letter_topic.is_empty() && policy.max_delivery_attempts == 0 => None,
        Some(policy) => Some(dead_letter(policy)?),
        None => None,
    };
    if dead_letter.is_none() {
        config.dead_letter_policy = None;
    }
    let retry = config.retry_policy.as_mut().map(retry).transpose()?;
    let push = config.push_config.get_or_insert_default();
    if !push.push_endpoint.is_empty() {
        // As documented: always shown, and that of the API in use where none is given.
        push.attributes.entry("x-goog-version".to_owned()).or_insert_with(|| "v1".to_owned());
    }
    let push = push.clone();
    let push = if push.push_endpoint.is_empty() { None } else { Some(endpoint(push)?) };
    let sink = config.bigquery_config.as_mut().filter(|sink| !sink.table.is_empty()).map(sink).transpose()?;
    if sink.is_none() {
        config.bigquery_config = None;
    }
    let exactly_once = config.enable_exactly_once_delivery;
    match (&push, &sink) {
        (Some(_), Some(_)) => return Err(Error::SeveralMouths),
        (Some(_), None) if exactly_once => return Err(Error::PushExactlyOnce),
        (None, Some(_)) if exactly_once => return Err(Error::SinkExactlyOnce),
        _ => {}
    }
    config.state = pb::subscription::State::Active.into();
    Ok(Settings {
        ack_deadline,
        retention,
        retain_acked: config.retain_acked_messages,
        ordered: config.enable_message_ordering,
        exactly_once: config.enable_exactly_once_delivery,
        filter,
        dead_letter,
        retry,
        push,
        sink,
        time_to_live,
    })
}

/// Refuses what the suite has not, rather than accept it and do nothing.
fn unsupported(config: &pb::Subscription) -> Result<(), Error> {
    if config.cloud_storage_config.as_ref().is_some_and(|sink| !sink.bucket.is_empty()) {
        return Err(Error::NoCloudStorage);
    }
    if config.bigtable_config.as_ref().is_some_and(|sink| !sink.table.is_empty()) {
        return Err(Error::Unimplemented("A Bigtable subscription (bigtable_config)"));
    }
    Transforms::check(&config.message_transforms)
}

/// Labels have up to 64 keys, which start with a letter; keys and values have up to 63 characters, all of
/// them lower-case letters, digits, `_` or `-`
/// (<https://cloud.google.com/pubsub/docs/create-topic-labels>).
pub fn labels(labels: &HashMap<String, String>) -> Result<(), Error> {
    let is_letter = |c: char| c.is_alphabetic() && !c.is_uppercase();
    let is_good = |c: char| is_letter(c) || c.is_numeric() || c == '_' || c == '-';
    let fits = |text: &str| text.chars().count() <= limits::LABEL_CHARS && text.chars().all(is_good);
    let bad = labels.iter().find(|(key, value)| !(key.starts_with(is_letter) && fits(key) && fits(value)));
    match bad {
        Some((key, value)) => Err(Error::BadLabel { key: key.clone(), value: value.clone() }),
        None if labels.len() > limits::LABELS => Err(Error::TooLarge {
            what: "label_count",
            given: labels.len().to_string(),
            most: limits::LABELS.to_string(),
        }),
        None => Ok(()),
    }
}

/// Checks a topic and answers its retention.
pub fn topic(config: &mut pb::Topic) -> Result<Option<Duration>, Error> {
    names::check(Kind::Topic, &config.name)?;
    labels(&config.labels)?;
    Transforms::check(&config.message_transforms)?;
    if config.schema_settings.as_ref().is_some_and(|settings| settings.schema.is_empty()) {
        config.schema_settings = None;
    }
    if config.ingestion_data_source_settings.as_ref().is_some_and(|settings| settings.source.is_some()) {
        return Err(Error::Unimplemented("Ingestion (ingestion_data_source_settings)"));
    }
    config.state = pb::topic::State::Active.into();
    config.message_retention_duration.as_ref().map(retention).transpose()
}

/// A deadline for subscriptions and streams: 10 to 600 seconds.
pub fn lease_deadline(seconds: i32) -> Result<Duration, Error> {
    match u64::try_from(seconds) {
        Ok(good) if (limits::MIN_ACK_DEADLINE_SECONDS..=limits::MAX_ACK_DEADLINE_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs(good))
        }
        Ok(_) if seconds < limits::MIN_ACK_DEADLINE_SECONDS => Err(Error::BadLeaseDeadline(seconds)),
        _ => Err(Error::BadAckDeadline(seconds)),
    }
}

/// A new deadline for messages: 0 (give back) to 600 seconds.
pub fn modified_deadline(seconds: i32) -> Result<Duration, Error> {
    match u64::try_from(seconds) {
        Ok(good) if seconds <= limits::MAX_ACK_DEADLINE_SECONDS => Ok(Duration::from_secs(good)),
        _ => Err(Error::BadAckDeadline(seconds)),
    }
}

fn retention(given: &prost_types::Duration) -> Result<Duration, Error> {
    let bounds = |shown: String| Error::OutOfBounds {
        what: "message retention duration",
        given: shown,
        least: texts::duration(limits::MIN_RETENTION),
        most: texts::duration(limits::MAX_RETENTION),
    };
    let retention = plain(given).ok_or_else(|| bounds(format!("{}s", given.seconds)))?;
    if (limits::MIN_RETENTION..=limits::MAX_RETENTION).contains(&retention) {
        Ok(retention)
    } else {
        Err(bounds(texts::duration(retention)))
    }
}

fn expiration(given: &prost_types::Duration) -> Result<Duration, Error> {
    match plain(given) {
        Some(ttl) if ttl >= limits::MIN_EXPIRATION => Ok(ttl),
        ttl => Err(Error::TooSmall {
            what: "expiration duration",
            given: ttl.map_or_else(|| format!("{}s", given.seconds), texts::duration),
            least: texts::duration(limits::MIN_EXPIRATION),
        }),
    }
}

fn filter(text: &str) -> Result<Option<Filter>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > limits::FILTER_BYTES {
        return Err(Error::LongFilter(text.len()));
    }
    Filter::parse(text).map(Some).map_err(|error| Error::BadFilter(error.to_string()))
}

fn dead_letter(policy: &mut pb::DeadLetterPolicy) -> Result<DeadLetter, Error> {
    names::check(Kind::Topic, &policy.dead_letter_topic)?;
    if policy.max_delivery_attempts == 0 {
        policy.max_delivery_attempts = limits::DEFAULT_DELIVERY_ATTEMPTS;
    }
    let attempts = policy.max_delivery_attempts;
    let (least, most) = limits::DELIVERY_ATTEMPTS.into_inner();
    let (what, given) = ("max_delivery_attempts", attempts.to_string());
    if attempts < least {
        return Err(Error::TooSmall { what, given, least: least.to_string() });
    }
    if attempts > most {
        return Err(Error::TooLarge { what, given, most: most.to_string() });
    }
    Ok(DeadLetter { topic: policy.dead_letter_topic.clone(), attempts: attempts.unsigned_abs() })
}

/// Checks what can be said of a table without looking at it.
fn sink(config: &mut pb::BigQueryConfig) -> Result<pb::BigQueryConfig, Error> {
    if super::sink::table_name(&config.table).is_none() {
        return Err(Error::BadTable(config.table.clone()));
    }
    if config.use_topic_schema && config.use_table_schema {
        return Err(Error::TwoSchemas);
    }
    config.set_state(pb::big_query_config::State::Active);
    Ok(config.clone())
}

fn retry(policy: &mut pb::RetryPolicy) -> Result<Retry, Error> {
    let read = |given: &Option<prost_types::Duration>, default: Duration, what: &'static str| match given {
        None => Ok(default),
        Some(given) => match plain(given) {
            Some(backoff) if backoff <= limits::MAX_BACKOFF => Ok(backoff),
            backoff => Err(Error::OutOfBounds {
                what,
                given: backoff.map_or_else(|| format!("{}s", given.seconds), in_seconds),
                least: in_seconds(Duration::ZERO),
                most: in_seconds(limits::MAX_BACKOFF),
            }),
        },
    };
    let least = read(&policy.minimum_backoff, limits::DEFAULT_MIN_BACKOFF, "minimum_backoff")?;
    let most = read(&policy.maximum_backoff, limits::DEFAULT_MAX_BACKOFF, "maximum_backoff")?;
    if least > most {
        return Err(Error::TooSmall { what: "maximum_backoff", given: in_seconds(most), least: in_seconds(least) });
    }
    policy.minimum_backoff = Some(proto(least));
    policy.maximum_backoff = Some(proto(most));
    Ok(Retry { least, most })
}

/// As texts about backoffs write durations: `600s`, `1.5s`.
fn in_seconds(of: Duration) -> String {
    format!("{}s", of.as_secs_f64())
}

/// Checks where a push goes. Production takes https only; here http is what most endpoints have.
fn endpoint(push: pb::PushConfig) -> Result<pb::PushConfig, Error> {
    let unsigned = match &push.authentication_method {
        Some(pb::push_config::AuthenticationMethod::OidcToken(oidc)) => !oidc.service_account_email.contains('@'),
        None => false,
    };
    if unsigned {
        return Err(Error::BadArgument("push_config.oidc_token.service_account_email"));
    }
    if !matches!(push.attributes.get("x-goog-version").map(String::as_str), None | Some("v1" | "v1beta1" | "v1beta2")) {
        return Err(Error::BadArgument("push_config.attributes"));
    }
    let uri: Option<http::Uri> = push.push_endpoint.parse().ok();
    let good = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if good { Ok(push) } else { Err(Error::BadEndpoint(push.push_endpoint)) }
}

/// A protobuf duration that is not negative.
fn plain(given: &prost_types::Duration) -> Option<Duration> {
    Some(Duration::new(u64::try_from(given.seconds).ok()?, u32::try_from(given.nanos).ok()?))
}

pub fn proto(of: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(of.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(of.subsec_nanos()).unwrap_or(0),
    }
}
