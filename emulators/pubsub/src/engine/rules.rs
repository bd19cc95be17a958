//! Rules of delivery that production documents, one test each.

use std::time::Duration;

use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::big_query_config::State;
use scrimmage_protos::google::pubsub::v1::seek_request::Target;

use super::Wake;
use super::consumers::FlowControl;
use super::delivery::{Leave, OpenStream, TakeForStream};
use super::sink::{SinkDone, SinkJob, TakeForSink};
use super::snapshots::Seek;
use super::subscriptions::{CreateSubscription, GetSubscription};
use super::tests::{Bench, DEAD, DEAD_SUB, SUB, TOPIC, data};
use super::topics::UpdateTopic;
use crate::texts::Error;

fn open(bench: &mut Bench, client: &str) -> u64 {
    let flow = FlowControl { messages: 3, bytes: 0 };
    let open = OpenStream { subscription: SUB.to_owned(), deadline: 60, flow, client: client.to_owned() };
    bench.run(open).expect("a token")
}

fn taken(bench: &mut Bench, token: u64) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let some = bench.run(TakeForStream(token)).expect("messages").messages;
        if some.is_empty() {
            return all;
        }
        all.extend(data(&some));
    }
}

#[test]
fn a_client_that_comes_back_goes_on_where_its_stream_ended() {
    let mut bench = Bench::with(|config| config.enable_message_ordering = true);
    for n in 0..5 {
        bench.publish(&n.to_string(), "key");
    }
    let first = open(&mut bench, "me");
    assert_eq!(taken(&mut bench, first), ["0", "1", "2"]);
    bench.run(Leave(first)).expect("ok");
    // Another client gets nothing of the key, the same one may not have more than three out.
    let other = open(&mut bench, "you");
    assert_eq!(taken(&mut bench, other), [""; 0]);
    let again = open(&mut bench, "me");
    assert_eq!(taken(&mut bench, again), [""; 0]);
    bench.engine.check();
    bench.run(Leave(again)).expect("ok");
    bench.restart(false);
    bench.engine.check();
}

#[test]
fn only_its_own_failures_count_as_a_messages_attempts() {
    let mut bench = Bench::with(|config| {
        config.enable_message_ordering = true;
        let policy = pb::DeadLetterPolicy { dead_letter_topic: DEAD.to_owned(), max_delivery_attempts: 5 };
        config.dead_letter_policy = Some(policy);
    });
    bench.publish("a", "key");
    bench.publish("b", "key");
    for attempt in 1..=5 {
        let found = bench.pull(10);
        assert_eq!(data(&found), ["a", "b"]);
        assert_eq!(found.iter().map(|one| one.attempt).collect::<Vec<_>>(), [Some(attempt), Some(1)]);
        bench.modify(&found[0], 0).expect("ok");
    }
    bench.subscribe(DEAD_SUB, DEAD, |_| ());
    // The key goes on once the poison message is gone, and that was not delivered a sixth time.
    bench.pass(Duration::from_secs(10));
    assert_eq!(data(&bench.pull(10)), ["b"]);
}

#[test]
fn what_a_topic_retains_is_there_for_all_of_that_time() {
    let hour = prost_types::Duration { seconds: 3_600, nanos: 0 };
    let mut bench = Bench::new();
    let topic = pb::Topic { name: TOPIC.to_owned(), message_retention_duration: Some(hour), ..Default::default() };
    let mask = prost_types::FieldMask { paths: vec!["message_retention_duration".to_owned()] };
    bench.run(UpdateTopic(pb::UpdateTopicRequest { topic: Some(topic), update_mask: Some(mask) })).expect("ok");
    bench.subscribe(SUB, TOPIC, |config| {
        config.message_retention_duration = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    });
    let (seconds, nanos) = bench.now.to_parts();
    bench.publish("a", "");
    bench.pass(Duration::from_secs(1_800));
    let found = bench.pull(1);
    assert_eq!(data(&found), ["a"]);
    bench.ack(&found[0]).expect("ok");
    let target = Some(Target::Time(prost_types::Timestamp { seconds, nanos }));
    bench.run(Seek(pb::SeekRequest { subscription: SUB.to_owned(), target })).expect("ok");
    bench.restart(true);
    assert_eq!(data(&bench.pull(1)), ["a"]);
    bench.pass(Duration::from_secs(1_800));
    assert_eq!(bench.pull(1).len(), 0);
}

#[test]
fn exactly_once_is_for_pulls() {
    let mut bench = Bench::new();
    let config = |change: fn(&mut pb::Subscription)| {
        let mut config = pb::Subscription {
            name: SUB.to_owned(),
            topic: TOPIC.to_owned(),
            enable_exactly_once_delivery: true,
            ..Default::default()
        };
        change(&mut config);
        CreateSubscription(config)
    };
    let push = config(|config| {
        config.push_config = Some(pb::PushConfig { push_endpoint: "http://a/".to_owned(), ..Default::default() });
    });
    assert_eq!(bench.run(push), Err(Error::PushExactlyOnce));
    let table = config(|config| {
        config.bigquery_config = Some(pb::BigQueryConfig { table: "p.d.t".to_owned(), ..Default::default() });
    });
    assert_eq!(bench.run(table), Err(Error::SinkExactlyOnce));
    let bucket = config(|config| {
        config.cloud_storage_config = Some(pb::CloudStorageConfig { bucket: "b".to_owned(), ..Default::default() });
    });
    assert_eq!(bench.run(bucket), Err(Error::NoCloudStorage));
}

fn batch(bench: &mut Bench) -> Option<SinkJob> {
    let wakes = bench.engine.take_wakes();
    let sub = wakes.into_iter().find_map(|wake| if let Wake::Sink(sub) = wake { Some(sub) } else { None })?;
    bench.run(TakeForSink(sub)).expect("an answer")
}

fn written(bench: &mut Bench, job: &SinkJob, state: State, bad: &[&str]) {
    let fate = |delivery: &super::message::Delivery| {
        let text = data(std::slice::from_ref(delivery))[0].clone();
        (delivery.ack, bad.contains(&text.as_str()).then(|| "no such field: x.".to_owned()))
    };
    let rows = job.deliveries.iter().map(fate).collect();
    bench.run(SinkDone { sub: job.sub, rows, state }).expect("ok");
}

fn to_table(config: &mut pb::Subscription) {
    config.bigquery_config = Some(pb::BigQueryConfig { table: "p.d.t".to_owned(), ..Default::default() });
}

#[test]
fn rows_that_do_not_fit_go_to_the_dead_letter_topic_with_the_reason() {
    let mut bench = Bench::with(|config| {
        to_table(config);
        let policy = pb::DeadLetterPolicy { dead_letter_topic: DEAD.to_owned(), max_delivery_attempts: 5 };
        config.dead_letter_policy = Some(policy);
    });
    bench.subscribe(DEAD_SUB, DEAD, |_| ());
    bench.publish("good", "");
    bench.publish("bad", "");
    let first = batch(&mut bench).expect("a batch");
    assert_eq!(data(&first.deliveries), ["good", "bad"]);
    // One batch at a time.
    bench.publish("later", "");
    assert!(batch(&mut bench).is_none());
    written(&mut bench, &first, State::Active, &["bad"]);
    let second = batch(&mut bench).expect("a batch");
    assert_eq!(data(&second.deliveries), ["bad", "later"]);
    written(&mut bench, &second, State::Active, &["bad"]);
    for _ in 0..3 {
        let job = batch(&mut bench).expect("a batch");
        assert_eq!(data(&job.deliveries), ["bad"]);
        written(&mut bench, &job, State::Active, &["bad"]);
    }
    assert!(batch(&mut bench).is_none());
    let dead = bench.pull_from(DEAD_SUB, 10);
    let attributes = &dead[0].message.content.attributes;
    let reason = attributes.get("CloudPubSubDeadLetterSourceDeliveryErrorMessage");
    assert_eq!(reason.map(String::as_str), Some("no such field: x."));
}

#[test]
fn a_table_that_is_not_there_shows_and_is_tried_again_after_a_backoff() {
    let mut bench = Bench::with(to_table);
    bench.publish("a", "");
    let state = |bench: &mut Bench| {
        let shown = bench.run(GetSubscription(SUB.to_owned())).expect("it is there");
        (shown.state(), shown.bigquery_config.expect("a table").state())
    };
    let job = batch(&mut bench).expect("a batch");
    written(&mut bench, &job, State::NotFound, &["a"]);
    assert_eq!(state(&mut bench), (pb::subscription::State::ResourceError, State::NotFound));
    assert!(batch(&mut bench).is_none());
    bench.restart(false);
    bench.pass(Duration::from_secs(60));
    let job = batch(&mut bench).expect("a batch");
    written(&mut bench, &job, State::Active, &[]);
    assert_eq!(state(&mut bench), (pb::subscription::State::Active, State::Active));
    bench.pass(Duration::from_secs(3_600));
    assert!(batch(&mut bench).is_none());
    bench.engine.check();
}
