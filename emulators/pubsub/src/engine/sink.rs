//! BigQuery subscriptions, the engine's side: one batch at a time, and what its rows' fates do.
//!
//! Rules (<https://cloud.google.com/pubsub/docs/bigquery>): a message whose row cannot be written is
//! nacked; with a dead-letter topic it goes there after its attempts, with the reason in
//! `CloudPubSubDeadLetterSourceDeliveryErrorMessage`. Failures make the subscription back off as failed
//! pushes do, except those of single rows where there is a dead-letter topic. While the table cannot be
//! written to, the state of `bigquery_config` says why, and that of the subscription is RESOURCE_ERROR.

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::big_query_config::State;

use super::backlog::AckRules;
use super::message::{AckId, Delivery};
use super::push::PUSH;
use super::timers::Timer;
use super::{Command, Engine, SubId};
use crate::limits;
use crate::texts::Error;

/// What is to be written now; nothing while a batch is under way.
#[derive(Debug)]
pub struct TakeForSink(pub SubId);

/// One batch to write.
#[derive(Clone, Debug)]
pub struct SinkJob {
    pub sub: SubId,
    pub subscription: String,
    pub config: pb::BigQueryConfig,
    /// The topic's settings, for its schema.
    pub schema: Option<pb::SchemaSettings>,
    pub deliveries: Vec<Delivery>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct SinkDone {
    pub sub: SubId,
    /// Why a row was not written, where it was not.
    pub rows: Vec<(AckId, Option<String>)>,
    pub state: State,
}

impl Command for TakeForSink {
    type Outcome = Option<SinkJob>;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<Option<SinkJob>, Error> {
        let Some(subscription) = engine.subs.get_mut(&self.0) else { return Ok(None) };
        subscription.push.taken();
        let Some(config) = subscription.settings.sink.clone() else { return Ok(None) };
        if !subscription.push.is_idle() {
            return Ok(None);
        }
        let topic = subscription.topic.and_then(|topic| engine.topics.get(&topic));
        let schema = topic.and_then(|topic| topic.config.schema_settings.clone());
        let mut deliveries = Vec::new();
        let mut bytes = 0;
        while deliveries.len() < limits::SINK_MESSAGES
            && bytes < limits::SINK_BYTES
            && let Some((mut delivery, count)) =
                subscription.backlog.take(now, &mut engine.timers, PUSH, limits::SINK_LEASE)
        {
            engine.records.took(self.0, now, now + limits::SINK_LEASE, &delivery);
            subscription.push.sent();
            bytes += delivery.message.size;
            delivery.attempt = Some(count);
            deliveries.push(delivery);
        }
        let subscription = subscription.config.name.clone();
        Ok((!deliveries.is_empty()).then_some(SinkJob { sub: self.0, subscription, config, schema, deliveries }))
    }
}

impl Command for SinkDone {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        engine.show_state(self.sub, self.state);
        let mut failed = Vec::new();
        for (ack, why) in self.rows {
            let Some(subscription) = engine.subs.get_mut(&self.sub) else { return Ok(()) };
            if !subscription.backlog.holds(ack) {
                continue;
            }
            match why {
                None => {
                    subscription.active = now;
                    subscription.push.recovered();
                    subscription.backlog.ack(&mut engine.timers, ack, AckRules { exactly_once: false });
                    engine.records.acked(self.sub, now, ack.seq);
                }
                Some(why) => failed.push((ack.seq, why)),
            }
        }
        if !failed.is_empty()
            && let Some(subscription) = engine.subs.get_mut(&self.sub)
            && (self.state != State::Active || subscription.settings.dead_letter.is_none())
            && let Some(until) = subscription.push.failed(now)
        {
            engine.timers.set(until, Timer::PushBackoff(self.sub));
        }
        for (seq, why) in failed {
            engine.fail_with(now, self.sub, seq, Some(&why));
        }
        engine.touch(self.sub);
        Ok(())
    }
}

impl Engine {
    /// Shows what is the matter with a subscription's table.
    fn show_state(&mut self, sub: SubId, state: State) {
        let Some(subscription) = self.subs.get_mut(&sub) else { return };
        if let Some(config) = &mut subscription.config.bigquery_config {
            config.set_state(state);
        }
        subscription.config.set_state(match state {
            State::Active => pb::subscription::State::Active,
            _ => pb::subscription::State::ResourceError,
        });
    }
}

/// Project, dataset and table of `project.dataset.table` or `project:dataset.table`.
pub fn table_name(text: &str) -> Option<[&str; 3]> {
    let (project, rest) = match text.split_once(':') {
        // A domain-scoped project has a colon of its own: example.com:project:dataset.table.
        Some((domain, rest)) if domain.contains('.') => {
            let end = rest.find([':', '.'])?;
            (text.get(..domain.len() + 1 + end)?, rest.get(end + 1..)?)
        }
        Some(parts) => parts,
        None => text.split_once('.')?,
    };
    let (dataset, table) = rest.split_once('.')?;
    let good = |part: &str| !part.is_empty();
    (good(project) && good(dataset) && good(table) && !table.contains('.')).then_some([project, dataset, table])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_come_in_both_forms() {
        assert_eq!(table_name("p.d.t"), Some(["p", "d", "t"]));
        assert_eq!(table_name("p:d.t"), Some(["p", "d", "t"]));
        assert_eq!(table_name("example.com:p.d.t"), Some(["example.com:p", "d", "t"]));
        assert_eq!(table_name("example.com:p:d.t"), Some(["example.com:p", "d", "t"]));
        for bad in ["", "p", "p.d", "p.d.", ".d.t", "p.d.t.x", "p:d", "a.b:"] {
            assert_eq!(table_name(bad), None, "{bad}");
        }
    }
}
