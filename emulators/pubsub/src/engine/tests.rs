//! The engine told step by step, without a service around it.

use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::acks::{Acknowledge, ModifyAckDeadline};
use super::delivery::{OpenStream, Pull, Pulled, TakeForStream};
use super::message::Delivery;
use super::publish::Publish;
use super::push::{PushDone, PushJob, TakeForPush};
use super::records::Batch;
use super::restore::Restorer;
use super::snapshots::{CreateSnapshot, GetSnapshot, Seek};
use super::subscriptions::{CreateSubscription, DeleteSubscription, GetSubscription, UpdateSubscription};
use super::topics::{CreateTopic, DeleteTopic, UpdateTopic};
use super::{Engine, Wake};
use crate::texts::{Error, INVALID_ACK_ID};

pub const TOPIC: &str = "projects/p/topics/requests";
pub const DEAD: &str = "projects/p/topics/dead";
pub const SUB: &str = "projects/p/subscriptions/workers";
pub const DEAD_SUB: &str = "projects/p/subscriptions/undertaker";

/// An engine with a clock beside it.
pub struct Bench {
    pub engine: Engine,
    pub now: Timestamp,
    /// What a log would hold.
    pub kept: Vec<Vec<u8>>,
}

impl Bench {
    pub fn new() -> Bench {
        let engine = Restorer::new(1_000).finish();
        let kept = engine.export();
        let mut bench = Bench { engine, now: Timestamp::from_micros(1_767_225_600_000_000), kept };
        for topic in [TOPIC, DEAD] {
            bench.run(CreateTopic(pb::Topic { name: topic.to_owned(), ..Default::default() })).expect("a topic");
        }
        bench
    }

    pub fn with(change: impl FnOnce(&mut pb::Subscription)) -> Bench {
        let mut bench = Bench::new();
        bench.subscribe(SUB, TOPIC, change);
        bench
    }

    pub fn subscribe(&mut self, name: &str, topic: &str, change: impl FnOnce(&mut pb::Subscription)) {
        let mut config = pb::Subscription { name: name.to_owned(), topic: topic.to_owned(), ..Default::default() };
        change(&mut config);
        self.run(CreateSubscription(config)).expect("a subscription");
    }

    pub fn run<C: super::Command>(&mut self, command: C) -> Result<C::Outcome, Error> {
        let outcome = self.engine.apply(self.now, command);
        self.keep();
        outcome
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.engine.tick(self.now);
        self.keep();
    }

    fn keep(&mut self) {
        let changes = self.engine.take_changes();
        if !changes.is_empty() {
            self.kept.push(Batch::of(changes));
        }
    }

    /// Ends the engine as kill -9 would, and starts another from what is kept.
    pub fn restart(&mut self, compacted: bool) {
        if compacted {
            self.kept = self.engine.export();
        }
        let mut restorer = Restorer::new(1);
        for batch in &self.kept {
            restorer.replay(batch).expect("a good record");
        }
        self.engine = restorer.finish();
        self.pass(Duration::ZERO);
        self.engine.check();
    }

    pub fn publish(&mut self, data: &str, key: &str) -> String {
        let message =
            pb::PubsubMessage { data: data.to_owned().into(), ordering_key: key.to_owned(), ..Default::default() };
        let request = pb::PublishRequest { topic: TOPIC.to_owned(), messages: vec![message] };
        self.run(Publish(request)).expect("an id").remove(0)
    }

    pub fn pull_from(&mut self, subscription: &str, most: i32) -> Vec<Delivery> {
        let pull = Pull { subscription: subscription.to_owned(), max_messages: most, wait: false };
        match self.run(pull).expect("a pull") {
            Pulled::Messages(messages) => messages,
            Pulled::Waiting(_) => panic!("told not to wait"),
        }
    }

    pub fn pull(&mut self, most: i32) -> Vec<Delivery> {
        self.pull_from(SUB, most)
    }

    pub fn ack(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.run(Acknowledge { subscription: SUB.to_owned(), ack_ids: vec![delivery.ack.to_string()] })
    }

    pub fn modify(&mut self, delivery: &Delivery, seconds: i32) -> Result<(), Error> {
        let ack_ids = vec![delivery.ack.to_string()];
        self.run(ModifyAckDeadline { subscription: SUB.to_owned(), ack_ids, seconds })
    }

    fn push_jobs(&mut self) -> Vec<PushJob> {
        let mut jobs = Vec::new();
        for wake in self.engine.take_wakes() {
            if let Wake::Push(sub) = wake {
                jobs.extend(self.run(TakeForPush(sub)).expect("jobs"));
            }
        }
        jobs
    }

    fn pushed(&mut self, job: &PushJob, accepted: bool) -> bool {
        self.run(PushDone { ack: job.delivery.ack, accepted, took: Duration::from_millis(1) }).expect("an outcome")
    }
}

#[test]
fn a_dead_letter_topic_that_is_gone_stands_in_the_way_of_itself_alone() {
    let policy = || Some(pb::DeadLetterPolicy { dead_letter_topic: DEAD.to_owned(), max_delivery_attempts: 5 });
    let mut bench = Bench::with(|config| config.dead_letter_policy = policy());
    bench.run(DeleteTopic(DEAD.to_owned())).expect("it is there");
    let mut update = |path: &str, given: pb::Subscription| {
        let subscription = Some(pb::Subscription { name: SUB.to_owned(), ..given });
        let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
        bench.run(UpdateSubscription(pb::UpdateSubscriptionRequest { subscription, update_mask }))
    };
    let other = pb::Subscription { ack_deadline_seconds: 20, ..Default::default() };
    assert_eq!(update("ack_deadline_seconds", other).expect("updated").ack_deadline_seconds, 20);
    update("dead_letter_policy", pb::Subscription::default()).expect("taken away");
    let again = pb::Subscription { dead_letter_policy: policy(), ..Default::default() };
    assert!(matches!(update("dead_letter_policy", again), Err(Error::NotFound(_))));
}

#[test]
fn what_is_given_back_untouched_was_never_taken() {
    use super::transforms::{Fate, Settle};
    let dead = |config: &mut pb::Subscription| {
        config.enable_message_ordering = true;
        let policy = pb::DeadLetterPolicy { dead_letter_topic: TOPIC.to_owned(), max_delivery_attempts: 5 };
        config.dead_letter_policy = Some(policy);
    };
    let mut bench = Bench::with(dead);
    for (text, key) in [("a", "k"), ("b", "k"), ("c", "k"), ("d", "")] {
        bench.publish(text, key);
    }
    for round in 0..10 {
        let taken = bench.pull(10);
        assert_eq!(data(&taken), ["a", "b", "c", "d"]);
        assert!(taken.iter().all(|delivery| delivery.attempt == Some(1)), "round {round}: {taken:?}");
        let fates = taken.iter().map(|delivery| (delivery.ack, Fate::Untouched)).collect();
        bench.run(Settle(fates)).expect("settled");
        bench.restart(round % 2 == 0);
    }
    let taken = bench.pull(10);
    let settle = Settle(vec![(taken[1].ack, Fate::Untouched), (taken[3].ack, Fate::Filtered)]);
    bench.run(settle).expect("settled");
    assert!(bench.engine.holds(taken[0].ack), "what comes before it is out");
    assert!(!bench.engine.holds(taken[2].ack), "what comes behind it went back with it");
    bench.ack(&taken[0]).expect("it counts");
    assert_eq!(data(&bench.pull(10)), ["b", "c"]);
}

pub fn data(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| text(&delivery.message.content)).collect()
}

fn text(message: &pb::PubsubMessage) -> String {
    String::from_utf8_lossy(&message.data).into_owned()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_message_comes_back_at_its_deadline_until_acknowledged() {
    let mut bench = Bench::with(|_| ());
    let id = bench.publish("a", "");
    let first = bench.pull(10);
    assert_eq!(first[0].message.content.message_id, id);
    assert_eq!(first[0].attempt, None, "attempts are for dead-letter policies");
    assert_eq!(bench.pull(10).len(), 0);
    bench.pass(SECOND * 9);
    assert_eq!(bench.pull(10).len(), 0);
    bench.pass(SECOND);
    let second = bench.pull(10);
    assert_eq!(second[0].message.content.message_id, id);
    // The first delivery is over: its acknowledgement is accepted and changes nothing.
    bench.ack(&first[0]).expect("ok");
    bench.modify(&second[0], 60).expect("ok");
    bench.pass(SECOND * 59);
    assert_eq!(bench.pull(10).len(), 0);
    bench.ack(&second[0]).expect("ok");
    bench.pass(SECOND * 1000);
    assert_eq!(bench.pull(10).len(), 0);
}

#[test]
fn a_late_acknowledgement_counts_until_the_message_goes_out_again() {
    let mut bench = Bench::with(|_| ());
    bench.publish("a", "");
    let delivery = bench.pull(1).remove(0);
    bench.pass(SECOND * 11);
    bench.ack(&delivery).expect("ok");
    assert_eq!(bench.pull(1).len(), 0);
}

#[test]
fn a_nack_redelivers_at_once_and_with_a_retry_policy_later() {
    let mut bench = Bench::with(|_| ());
    bench.publish("a", "");
    let delivery = bench.pull(1).remove(0);
    bench.modify(&delivery, 0).expect("ok");
    assert_eq!(bench.pull(1).len(), 1);

    let mut bench = Bench::with(|config| {
        config.retry_policy = Some(pb::RetryPolicy {
            minimum_backoff: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            maximum_backoff: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
        });
    });
    bench.publish("a", "");
    for backoff in [1, 2, 3, 3] {
        let delivery = bench.pull(1).remove(0);
        bench.modify(&delivery, 0).expect("ok");
        bench.pass(SECOND * backoff - Duration::from_millis(1));
        assert_eq!(bench.pull(1).len(), 0, "still backing off");
        bench.pass(Duration::from_millis(1));
    }
    assert_eq!(bench.pull(1).len(), 1);
}

#[test]
fn after_exactly_so_many_attempts_a_message_goes_to_the_dead_letter_topic() {
    let mut bench = Bench::with(|config| {
        config.dead_letter_policy =
            Some(pb::DeadLetterPolicy { dead_letter_topic: DEAD.to_owned(), max_delivery_attempts: 5 });
    });
    bench.subscribe(DEAD_SUB, DEAD, |_| ());
    let id = bench.publish("poison", "");
    for attempt in 1..=5 {
        let delivery = bench.pull(1).remove(0);
        assert_eq!(delivery.attempt, Some(attempt));
        assert_eq!(bench.pull_from(DEAD_SUB, 1).len(), 0);
        if attempt % 2 == 0 { bench.modify(&delivery, 0).expect("ok") } else { bench.pass(SECOND * 10) }
    }
    assert_eq!(bench.pull(1).len(), 0);
    let dead = bench.pull_from(DEAD_SUB, 10);
    assert_eq!(dead.len(), 1);
    let content = &dead[0].message.content;
    assert_ne!(content.message_id, id);
    assert_eq!(text(content), "poison");
    let expected = [
        ("CloudPubSubDeadLetterSourceDeliveryCount", "5"),
        ("CloudPubSubDeadLetterSourceSubscription", "workers"),
        ("CloudPubSubDeadLetterSourceSubscriptionProject", "p"),
        ("CloudPubSubDeadLetterSourceTopicPublishTime", "2026-01-01T00:00:00Z"),
    ];
    for (key, value) in expected {
        assert_eq!(content.attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[test]
fn without_its_dead_letter_topic_a_message_stays() {
    let mut bench = Bench::with(|config| {
        config.dead_letter_policy =
            Some(pb::DeadLetterPolicy { dead_letter_topic: DEAD.to_owned(), max_delivery_attempts: 5 });
    });
    bench.publish("poison", "");
    bench.run(DeleteTopic(DEAD.to_owned())).expect("ok");
    for attempt in 1..=7 {
        let delivery = bench.pull(1).remove(0);
        assert_eq!(delivery.attempt, Some(attempt));
        bench.modify(&delivery, 0).expect("ok");
    }
}

#[test]
fn keys_keep_their_order_and_a_nack_takes_the_later_ones_back() {
    let mut bench = Bench::with(|config| config.enable_message_ordering = true);
    for (message, key) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("x", "")] {
        bench.publish(message, key);
    }
    let out = bench.pull(4);
    assert_eq!(data(&out), ["a1", "b1", "a2", "a3"]);
    bench.publish("a4", "a");
    assert_eq!(data(&bench.pull(10)), ["x"], "a key that is out is for nobody else");
    bench.ack(&out[3]).expect("ok");
    bench.ack(&out[0]).expect("ok");
    bench.modify(&out[2], 0).expect("ok");
    let again = bench.pull(10);
    assert_eq!(data(&again), ["a2", "a3", "a4"], "the acknowledged one comes again too");
    for delivery in &again {
        bench.ack(delivery).expect("ok");
    }
    bench.ack(&out[1]).expect("ok");
    bench.pass(SECOND * 9);
    assert_eq!(bench.pull(10).len(), 0);
}

#[test]
fn exactly_once_refuses_what_is_over_and_what_is_out_of_order() {
    let mut bench = Bench::with(|config| {
        config.enable_exactly_once_delivery = true;
        config.enable_message_ordering = true;
    });
    bench.publish("1", "k");
    bench.publish("2", "k");
    let out = bench.pull(2);
    let Err(Error::InvalidAckIds(refused)) = bench.ack(&out[1]) else { panic!("out of order") };
    assert!(refused.values().all(|why| why.starts_with("TRANSIENT_FAILURE_")));
    bench.ack(&out[0]).expect("ok");
    let Err(Error::InvalidAckIds(refused)) = bench.ack(&out[0]) else { panic!("twice") };
    assert_eq!(refused.get(&out[0].ack.to_string()), Some(&INVALID_ACK_ID));
    bench.pass(SECOND * 10);
    assert!(bench.ack(&out[1]).is_err(), "late");
    assert!(bench.modify(&out[1], 10).is_err(), "late");
    assert_eq!(data(&bench.pull(10)), ["2"]);
}

#[test]
fn a_filter_passes_only_what_matches() {
    let mut bench = Bench::with(|config| config.filter = r#"attributes.kind = "a""#.to_owned());
    for kind in ["a", "b"] {
        let message = pb::PubsubMessage {
            attributes: [("kind".to_owned(), kind.to_owned())].into(),
            data: kind.to_owned().into(),
            ..Default::default()
        };
        let request = pb::PublishRequest { topic: TOPIC.to_owned(), messages: vec![message] };
        bench.run(Publish(request)).expect("ids");
    }
    assert_eq!(data(&bench.pull(10)), ["a"]);
}

#[test]
fn publish_wakes_as_many_as_it_can_serve() {
    let mut bench = Bench::with(|_| ());
    let open = |bench: &mut Bench| {
        let open =
            OpenStream { subscription: SUB.to_owned(), deadline: 10, flow: Default::default(), client: String::new() };
        bench.run(open).expect("a token")
    };
    let streams: Vec<_> = (0..3).map(|_| open(&mut bench)).collect();
    bench.publish("1", "");
    assert_eq!(bench.engine.take_wakes(), [Wake::Consumer(streams[0])]);
    bench.publish("2", "");
    assert_eq!(bench.engine.take_wakes(), [Wake::Consumer(streams[1])]);
    let taken = bench.run(TakeForStream(streams[0])).expect("messages");
    assert_eq!(data(&taken.messages), ["1"]);
    assert_eq!(bench.run(TakeForStream(streams[0])).expect("messages").messages.len(), 1);
    assert_eq!(bench.run(TakeForStream(streams[0])).expect("none").messages.len(), 0);
    assert_eq!(bench.run(TakeForStream(streams[1])).expect("none").messages.len(), 0);
    assert_eq!(bench.engine.take_wakes(), []);
    bench.run(DeleteSubscription(SUB.to_owned())).expect("ok");
    assert_eq!(bench.engine.take_wakes().len(), 3);
    assert!(matches!(bench.run(TakeForStream(streams[2])), Err(Error::NotFound(_))));
}

#[test]
fn flow_control_holds_until_something_is_settled() {
    let mut bench = Bench::with(|_| ());
    let flow = super::consumers::FlowControl { messages: 2, bytes: 0 };
    let stream = bench
        .run(OpenStream { subscription: SUB.to_owned(), deadline: 60, flow, client: String::new() })
        .expect("a token");
    for n in 0..5 {
        bench.publish(&n.to_string(), "");
    }
    bench.engine.take_wakes();
    let taken = bench.run(TakeForStream(stream)).expect("messages").messages;
    assert_eq!(data(&taken), ["0", "1"]);
    assert_eq!(bench.run(TakeForStream(stream)).expect("none").messages.len(), 0);
    assert_eq!(bench.engine.take_wakes(), []);
    bench.ack(&taken[0]).expect("ok");
    assert_eq!(bench.engine.take_wakes(), [Wake::Consumer(stream)]);
    assert_eq!(data(&bench.run(TakeForStream(stream)).expect("one").messages), ["2"]);
}

fn push(config: &mut pb::Subscription) {
    config.push_config = Some(pb::PushConfig { push_endpoint: "http://127.0.0.1:1/x".into(), ..Default::default() });
}

#[test]
fn pushes_start_slowly_and_widen_with_success() {
    let mut bench = Bench::with(push);
    for n in 0..40 {
        bench.publish(&n.to_string(), "");
    }
    let first = bench.push_jobs();
    assert_eq!(first.len(), 8);
    for job in &first {
        assert!(bench.pushed(job, true));
    }
    let second = bench.push_jobs();
    assert_eq!(second.len(), 16);
    assert!(matches!(bench.run(Pull { subscription: SUB.into(), max_messages: 1, wait: true }), Err(Error::WrongType)));
}

#[test]
fn a_failing_endpoint_is_tried_after_a_growing_backoff() {
    let mut bench = Bench::with(push);
    bench.publish("a", "");
    for backoff in [100, 200, 400, 800] {
        let jobs = bench.push_jobs();
        assert_eq!(jobs.len(), 1);
        assert!(bench.pushed(&jobs[0], false));
        bench.pass(Duration::from_millis(backoff - 1));
        assert_eq!(bench.push_jobs().len(), 0);
        bench.pass(Duration::from_millis(1));
    }
    let jobs = bench.push_jobs();
    assert!(bench.pushed(&jobs[0], true));
    bench.pass(SECOND * 700);
    assert_eq!(bench.push_jobs().len(), 0);
}

#[test]
fn a_push_past_its_deadline_goes_out_again_and_its_answer_is_ignored() {
    let mut bench = Bench::with(push);
    bench.publish("a", "");
    let first = bench.push_jobs().remove(0);
    bench.pass(SECOND * 10);
    bench.pass(Duration::from_millis(100));
    let second = bench.push_jobs().remove(0);
    assert_eq!(first.delivery.message.seq, second.delivery.message.seq);
    assert!(!bench.pushed(&first, true), "too late");
    assert!(bench.pushed(&second, true));
}

#[test]
fn a_key_has_one_push_at_a_time() {
    let mut bench = Bench::with(|config| {
        push(config);
        config.enable_message_ordering = true;
    });
    for n in 0..3 {
        bench.publish(&n.to_string(), "k");
    }
    for n in 0..3 {
        let jobs = bench.push_jobs();
        assert_eq!(jobs.len(), 1);
        assert_eq!(text(&jobs[0].delivery.message.content), n.to_string());
        bench.pushed(&jobs[0], true);
    }
}

#[test]
fn retention_and_expiry_run_by_the_clock() {
    let mut bench = Bench::with(|config| {
        config.message_retention_duration = Some(prost_types::Duration { seconds: 600, nanos: 0 });
        let ttl = Some(prost_types::Duration { seconds: 86_400, nanos: 0 });
        config.expiration_policy = Some(pb::ExpirationPolicy { ttl });
    });
    bench.publish("a", "");
    bench.pass(SECOND * 599);
    bench.publish("b", "");
    bench.pass(SECOND);
    assert_eq!(data(&bench.pull(10)), ["b"]);
    bench.pass(SECOND * 86_399);
    assert!(bench.run(GetSubscription(SUB.to_owned())).is_ok());
    bench.pass(SECOND);
    assert!(matches!(bench.run(GetSubscription(SUB.to_owned())), Err(Error::NotFound(_))));
    assert_eq!(bench.engine.sizes(), (2, 0, 0), "nothing is left behind");
}

#[test]
fn a_deleted_topic_leaves_its_subscriptions_and_their_messages() {
    let mut bench = Bench::with(|_| ());
    bench.publish("a", "");
    bench.run(DeleteTopic(TOPIC.to_owned())).expect("ok");
    assert_eq!(bench.run(GetSubscription(SUB.to_owned())).expect("it").topic, "_deleted-topic_");
    assert_eq!(data(&bench.pull(1)), ["a"]);
}

#[test]
fn updates_keep_to_their_mask() {
    let mut bench = Bench::with(|config| config.labels = [("a".to_owned(), "b".to_owned())].into());
    let update = |bench: &mut Bench, paths: &[&str]| {
        let subscription = pb::Subscription { name: SUB.to_owned(), ack_deadline_seconds: 77, ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: paths.iter().map(|path| path.to_string()).collect() });
        bench.run(UpdateSubscription(pb::UpdateSubscriptionRequest { subscription: Some(subscription), update_mask }))
    };
    let changed = update(&mut bench, &["ack_deadline_seconds"]).expect("ok");
    assert_eq!((changed.ack_deadline_seconds, changed.labels.len()), (77, 1));
    for field in ["filter", "enable_message_ordering"] {
        assert_eq!(
            update(&mut bench, &[field]).expect_err("immutable").to_string(),
            format!(
                "Invalid update_mask provided in the UpdateSubscriptionRequest: the '{field}' field in the \
                 Subscription is not mutable."
            )
        );
    }
    assert_eq!(
        update(&mut bench, &[]).expect_err("empty").to_string(),
        "The update_mask in the UpdateSubscriptionRequest must be set, and must contain a non-empty paths list."
    );
}

fn seek(bench: &mut Bench, subscription: &str, target: pb::seek_request::Target) -> Result<(), Error> {
    bench.run(Seek(pb::SeekRequest { subscription: subscription.to_owned(), target: Some(target) }))
}

#[test]
fn a_topics_retention_feeds_a_seek_of_a_later_subscription() {
    let mut bench = Bench::new();
    let topic = pb::Topic {
        name: TOPIC.to_owned(),
        message_retention_duration: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..Default::default()
    };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["message_retention_duration".to_owned()] });
    bench.run(UpdateTopic(pb::UpdateTopicRequest { topic: Some(topic), update_mask })).expect("ok");
    bench.publish("old", "");
    bench.pass(SECOND * 300);
    bench.publish("new", "");
    bench.subscribe(SUB, TOPIC, |_| ());
    assert_eq!(bench.pull(10).len(), 0);
    let start = pb::seek_request::Target::Time(prost_types::Timestamp { seconds: 0, nanos: 0 });
    seek(&mut bench, SUB, start.clone()).expect("ok");
    assert_eq!(data(&bench.pull(10)), ["old", "new"]);
    bench.pass(SECOND * 300);
    seek(&mut bench, SUB, start.clone()).expect("ok");
    assert_eq!(data(&bench.pull(10)), ["old", "new"], "the subscription keeps for a week what it has not acknowledged");
    bench.subscribe(DEAD_SUB, TOPIC, |_| ());
    seek(&mut bench, DEAD_SUB, start).expect("ok");
    assert_eq!(data(&bench.pull_from(DEAD_SUB, 10)), ["new"]);
}

#[test]
fn a_snapshot_lives_a_week_less_the_age_of_what_it_holds() {
    let mut bench = Bench::with(|_| ());
    let name = |id: &str| format!("projects/p/snapshots/{id}");
    let create = |bench: &mut Bench, id: &str| {
        let request = pb::CreateSnapshotRequest { name: name(id), subscription: SUB.to_owned(), ..Default::default() };
        bench.run(CreateSnapshot(request))
    };
    bench.publish("a", "");
    bench.pass(SECOND * 86_400 * 6);
    create(&mut bench, "day").expect("a snapshot");
    bench.pass(SECOND * (86_400 - 3_599));
    assert!(matches!(create(&mut bench, "short"), Err(Error::ShortSnapshot(_))));
    assert!(bench.run(GetSnapshot(name("day"))).is_ok());
    bench.pass(SECOND * 3_599);
    assert!(matches!(bench.run(GetSnapshot(name("day"))), Err(Error::NotFound(_))));
    let target = pb::seek_request::Target::Snapshot(name("day"));
    assert!(matches!(seek(&mut bench, SUB, target), Err(Error::NotFound(_))));
}
