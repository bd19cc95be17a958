//! Pub/Sub's engine alone: publish to delivery and acknowledgement, ordering keys, filters.

#![allow(clippy::expect_used, reason = "a bench may")]

use std::collections::HashMap;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as proto;
use scrimmage_pubsub::engine::Engine;
use scrimmage_pubsub::engine::acks::StreamAcks;
use scrimmage_pubsub::engine::consumers::FlowControl;
use scrimmage_pubsub::engine::delivery::{OpenStream, TakeForStream};
use scrimmage_pubsub::engine::filter::Filter;
use scrimmage_pubsub::engine::publish::Publish;
use scrimmage_pubsub::engine::subscriptions::CreateSubscription;
use scrimmage_pubsub::engine::topics::CreateTopic;

const TOPIC: &str = "projects/p/topics/events";
const SUBSCRIPTION: &str = "projects/p/subscriptions/events";
const MESSAGES: usize = 500;

/// An engine with one subscription and one stream on it, and the time it is.
struct Bench {
    engine: Engine,
    stream: u64,
    now: Timestamp,
}

impl Bench {
    fn new(ordered: bool, filter: &str) -> Bench {
        let now = Timestamp::from_micros(1);
        let mut engine = Engine::new(1);
        let topic = proto::Topic { name: TOPIC.to_owned(), ..Default::default() };
        engine.apply(now, CreateTopic(topic)).expect("a topic");
        let subscription = proto::Subscription {
            name: SUBSCRIPTION.to_owned(),
            topic: TOPIC.to_owned(),
            enable_message_ordering: ordered,
            filter: filter.to_owned(),
            ..Default::default()
        };
        engine.apply(now, CreateSubscription(subscription)).expect("a subscription");
        let open = OpenStream {
            subscription: SUBSCRIPTION.to_owned(),
            deadline: 60,
            flow: FlowControl::default(),
            client: String::new(),
        };
        let stream = engine.apply(now, open).expect("a stream");
        Bench { engine, stream, now }
    }

    /// Publishes, takes what comes and acknowledges it; how many came.
    fn round(&mut self, messages: Vec<proto::PubsubMessage>) -> usize {
        self.now = Timestamp::from_micros(self.now.as_micros() + 1_000);
        self.engine.tick(self.now);
        let request = proto::PublishRequest { topic: TOPIC.to_owned(), messages };
        self.engine.apply(self.now, Publish(request)).expect("published");
        let mut delivered = 0;
        loop {
            let taken = self.engine.apply(self.now, TakeForStream(self.stream)).expect("taken").messages;
            if taken.is_empty() {
                self.engine.take_wakes();
                self.engine.take_events();
                return delivered;
            }
            delivered += taken.len();
            let acks = taken.into_iter().map(|delivery| delivery.into_received().ack_id).collect();
            let acks = StreamAcks { subscription: SUBSCRIPTION.to_owned(), acks, deadlines: Vec::new() };
            self.engine.apply(self.now, acks).expect("acknowledged");
        }
    }
}

fn messages(count: usize, keys: usize) -> Vec<proto::PubsubMessage> {
    let message = |number: usize| proto::PubsubMessage {
        data: Bytes::from_static(&[b'x'; 100]),
        attributes: HashMap::from([("kind".to_owned(), format!("k{}", number % 2))]),
        ordering_key: if keys > 0 { format!("key-{}", number % keys) } else { String::new() },
        ..Default::default()
    };
    (0..count).map(message).collect()
}

fn delivery(c: &mut Criterion) {
    let mut bench = Bench::new(false, "");
    c.bench_function("publish to delivery and ack: one message", |b| {
        b.iter(|| assert_eq!(bench.round(messages(1, 0)), 1));
    });
    let mut group = c.benchmark_group("publish to delivery and ack");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("a batch of 500", |b| b.iter(|| assert_eq!(bench.round(messages(MESSAGES, 0)), MESSAGES)));
    let mut ordered = Bench::new(true, "");
    group.bench_function("a batch of 500 on 100 keys", |b| {
        b.iter(|| assert_eq!(ordered.round(messages(MESSAGES, 100)), MESSAGES));
    });
    let mut filtered = Bench::new(false, "attributes.kind = \"k0\"");
    group.bench_function("a batch of 500, half of it filtered out", |b| {
        b.iter(|| assert_eq!(filtered.round(messages(MESSAGES, 0)), MESSAGES / 2));
    });
    group.finish();
}

fn filters(c: &mut Criterion) {
    const TEXT: &str = "attributes:player AND (attributes.kind = \"prediction\" OR hasPrefix(attributes.team, \"b\")) \
                        AND NOT attributes.system != \"s1\"";
    let attributes = [("player", "p"), ("kind", "completion"), ("team", "blue"), ("system", "s1")];
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    c.bench_function("filter: parse", |b| b.iter(|| Filter::parse(TEXT).expect("a filter")));
    let filter = Filter::parse(TEXT).expect("a filter");
    c.bench_function("filter: match", |b| b.iter(|| assert!(filter.matches(&attributes))));
}

criterion_group!(benches, delivery, filters);
criterion_main!(benches);
