//! Pub/Sub through the crate `google-cloud-pubsub`.

use std::time::Duration;

use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{Publisher, SchemaService, Subscriber};
use google_cloud_pubsub::model::schema::Type;
use google_cloud_pubsub::model::{Encoding, Message, Schema, SchemaSettings, Subscription};
use google_cloud_pubsub::subscriber::MessageStream;
use google_cloud_pubsub::subscriber::handler::Handler;
use scrimmage::clients::Clients;
use scrimmage_suite::Suite;

use super::served;

const PATIENCE: Duration = Duration::from_secs(20);

/// Names, and the crate's clients for one suite.
struct Bench {
    suite: Suite,
    clients: Clients,
}

impl Bench {
    async fn new() -> Bench {
        let (suite, clients) = served().await;
        Bench { suite, clients }
    }

    fn name(&self, kind: &str, id: &str) -> String {
        format!("projects/{}/{kind}/{id}", self.suite.project())
    }

    async fn topic(&self, id: &str) -> String {
        let name = self.name("topics", id);
        self.clients.topics.create_topic().set_name(&name).send().await.expect("a topic");
        name
    }

    async fn subscription(&self, id: &str, topic: &str, change: impl FnOnce(Subscription) -> Subscription) -> String {
        let name = self.name("subscriptions", id);
        let subscription = Subscription::new().set_name(&name).set_topic(topic).set_ack_deadline_seconds(60);
        let subscription = change(subscription);
        let create = self.clients.subscriptions.create_subscription();
        create.with_request(subscription).send().await.expect("a subscription");
        name
    }

    async fn publisher(&self, topic: &str) -> Publisher {
        let builder = Publisher::builder(topic).with_endpoint(self.suite.url());
        builder.with_credentials(anonymous::Builder::new().build()).build().await.expect("a publisher")
    }

    async fn stream(&self, subscription: &str) -> MessageStream {
        let builder = Subscriber::builder().with_endpoint(self.suite.url());
        let client = builder.with_credentials(anonymous::Builder::new().build()).build().await.expect("a subscriber");
        client.subscribe(subscription).build()
    }

    async fn schemas(&self) -> SchemaService {
        let builder = SchemaService::builder().with_endpoint(self.suite.url());
        builder.with_credentials(anonymous::Builder::new().build()).build().await.expect("a schema client")
    }
}

fn message(text: &str) -> Message {
    Message::new().set_data(text.to_owned())
}

async fn next(stream: &mut MessageStream) -> (String, Message, Handler) {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("a message in time");
    let (message, handler) = next.expect("the stream goes on").expect("a message");
    (String::from_utf8_lossy(&message.data).into_owned(), message, handler)
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_subscriptions_are_made_changed_listed_and_deleted() {
    let bench = Bench::new().await;
    let topics = &bench.clients.topics;
    let topic = bench.topic("things").await;
    let again = topics.create_topic().set_name(&topic).send().await.expect_err("it is there");
    assert!(again.status().is_some_and(|status| status.message.contains("already exists")), "{again:?}");
    let subscription = bench.subscription("things-1", &topic, |s| s.set_filter("attributes.kind = \"a\"")).await;
    bench.subscription("things-2", &topic, |s| s).await;
    let got = bench.clients.subscriptions.get_subscription().set_subscription(&subscription).send().await.unwrap();
    assert_eq!(
        (got.topic.as_str(), got.ack_deadline_seconds, got.filter.as_str()),
        (topic.as_str(), 60, "attributes.kind = \"a\"")
    );
    let listed = topics.list_topic_subscriptions().set_topic(&topic).send().await.unwrap();
    assert_eq!(listed.subscriptions.len(), 2);
    let project = format!("projects/{}", bench.suite.project());
    assert_eq!(topics.list_topics().set_project(&project).send().await.unwrap().topics.len(), 1);
    let listed = bench.clients.subscriptions.list_subscriptions().set_project(&project).set_page_size(1);
    let listed = listed.send().await.unwrap();
    assert_eq!((listed.subscriptions.len(), listed.next_page_token.is_empty()), (1, false));
    topics.detach_subscription().set_subscription(&subscription).send().await.unwrap();
    let got = bench.clients.subscriptions.get_subscription().set_subscription(&subscription).send().await.unwrap();
    assert!(got.detached);
    topics.delete_topic().set_topic(&topic).send().await.unwrap();
    let orphan = bench.name("subscriptions", "things-2");
    let orphan = bench.clients.subscriptions.get_subscription().set_subscription(orphan).send().await.unwrap();
    assert_eq!(orphan.topic, "_deleted-topic_");
    bench.clients.subscriptions.delete_subscription().set_subscription(&subscription).send().await.unwrap();
    let gone = bench.clients.subscriptions.get_subscription().set_subscription(&subscription).send().await;
    assert!(gone.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_with_their_attributes_and_again_after_a_nack() {
    let bench = Bench::new().await;
    let topic = bench.topic("events").await;
    let subscription = bench.subscription("events", &topic, |s| s).await;
    let publisher = bench.publisher(&topic).await;
    let id = publisher.publish(message("one").set_attributes([("kind", "a")])).await.expect("published");
    let mut stream = bench.stream(&subscription).await;
    let (text, first, handler) = next(&mut stream).await;
    assert_eq!((text.as_str(), &first.message_id), ("one", &id));
    assert_eq!(first.attributes.get("kind").map(String::as_str), Some("a"));
    assert!(first.publish_time.is_some());
    handler.nack();
    let (text, again, handler) = next(&mut stream).await;
    assert_eq!((text.as_str(), &again.message_id), ("one", &id));
    handler.ack();
    publisher.publish(message("two")).await.expect("published");
    let (text, _, handler) = next(&mut stream).await;
    assert_eq!(text, "two");
    handler.ack();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_order() {
    let bench = Bench::new().await;
    let topic = bench.topic("ordered").await;
    let subscription = bench.subscription("ordered", &topic, |s| s.set_enable_message_ordering(true)).await;
    let publisher = bench.publisher(&topic).await;
    let sent = (0..40).map(|number| {
        let key = format!("key-{}", number % 2);
        publisher.publish(message(&number.to_string()).set_ordering_key(key))
    });
    for sent in sent.collect::<Vec<_>>() {
        sent.await.expect("published");
    }
    let mut stream = bench.stream(&subscription).await;
    let mut seen = [Vec::new(), Vec::new()];
    for _ in 0..40 {
        let (text, _, handler) = next(&mut stream).await;
        let number: usize = text.parse().unwrap();
        seen[number % 2].push(number);
        handler.ack();
    }
    assert_eq!(seen[0], (0..40).step_by(2).collect::<Vec<_>>());
    assert_eq!(seen[1], (1..40).step_by(2).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exactly_once_ack_is_confirmed() {
    let bench = Bench::new().await;
    let topic = bench.topic("once").await;
    let subscription = bench.subscription("once", &topic, |s| s.set_enable_exactly_once_delivery(true)).await;
    let publisher = bench.publisher(&topic).await;
    let mut stream = bench.stream(&subscription).await;
    for number in 0..5 {
        publisher.publish(message(&number.to_string())).await.expect("published");
        let (text, _, handler) = next(&mut stream).await;
        assert_eq!(text, number.to_string());
        let Handler::ExactlyOnce(handler) = handler else { panic!("{handler:?}") };
        handler.confirmed_ack().await.expect("confirmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_validated_at_publish() {
    const AVRO: &str = r#"{"type": "record", "name": "Event", "fields": [{"name": "n", "type": "int"}]}"#;
    let bench = Bench::new().await;
    let schemas = bench.schemas().await;
    let project = format!("projects/{}", bench.suite.project());
    let create = schemas.create_schema().set_parent(&project).set_schema_id("event");
    let schema = create.set_schema(Schema::new().set_type(Type::Avro).set_definition(AVRO)).send().await.unwrap();
    assert_eq!(schema.name, format!("{project}/schemas/event"));
    let wrong = schemas.validate_schema().set_parent(&project);
    let wrong = wrong.set_schema(Schema::new().set_type(Type::Avro).set_definition("{")).send().await;
    assert!(wrong.is_err());
    let settings = SchemaSettings::new().set_schema(&schema.name).set_encoding(Encoding::Json);
    let topic = bench.name("topics", "typed");
    bench.clients.topics.create_topic().set_name(&topic).set_schema_settings(settings).send().await.unwrap();
    let publisher = bench.publisher(&topic).await;
    publisher.publish(message(r#"{"n": 1}"#)).await.expect("it fits");
    publisher.publish(message(r#"{"n": "x"}"#)).await.expect_err("it does not fit");
    let revisions = schemas.list_schema_revisions().set_name(&schema.name).send().await.unwrap();
    assert_eq!(revisions.schemas.len(), 1);
    assert_eq!(schemas.list_schemas().set_parent(&project).send().await.unwrap().schemas.len(), 1);
    schemas.delete_schema().set_name(&schema.name).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn seeking_brings_messages_back() {
    let bench = Bench::new().await;
    let topic = bench.topic("seek").await;
    let subscription = bench.subscription("seek", &topic, |s| s.set_retain_acked_messages(true)).await;
    let subscriptions = &bench.clients.subscriptions;
    let snapshot = bench.name("snapshots", "before");
    let made = subscriptions.create_snapshot().set_name(&snapshot).set_subscription(&subscription).send().await;
    assert_eq!(made.unwrap().topic, topic);
    let publisher = bench.publisher(&topic).await;
    publisher.publish(message("again")).await.expect("published");
    let published = {
        let mut stream = bench.stream(&subscription).await;
        let (text, received, handler) = next(&mut stream).await;
        assert_eq!(text, "again");
        handler.ack();
        let shutdown = stream.shutdown_token();
        drop(stream);
        shutdown.shutdown().await;
        received.publish_time.expect("a time")
    };
    subscriptions.seek().set_subscription(&subscription).set_snapshot(&snapshot).send().await.unwrap();
    let mut stream = bench.stream(&subscription).await;
    let (text, _, handler) = next(&mut stream).await;
    assert_eq!(text, "again");
    handler.ack();
    let shutdown = stream.shutdown_token();
    drop(stream);
    shutdown.shutdown().await;
    subscriptions.seek().set_subscription(&subscription).set_time(published).send().await.unwrap();
    let mut stream = bench.stream(&subscription).await;
    let (text, _, handler) = next(&mut stream).await;
    assert_eq!(text, "again");
    handler.ack();
    let project = format!("projects/{}", bench.suite.project());
    assert_eq!(subscriptions.list_snapshots().set_project(&project).send().await.unwrap().snapshots.len(), 1);
    subscriptions.delete_snapshot().set_snapshot(&snapshot).send().await.unwrap();
}
