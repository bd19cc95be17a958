//! Days of virtual time and minutes of full-speed load, with memory and every delivery watched:
//! `cargo run --release -p scrimmage-pubsub --example pubsub_soak -- 600 120`.
//!
//! The numbers are seconds of real time for the two parts; without them both are short. It ends with
//! an error where a message was lost, came again after its acknowledgement, or memory grew.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use scrimmage_core::{Clock, Context, Timestamp};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::publisher_client::PublisherClient;
use scrimmage_protos::google::pubsub::v1::seek_request::Target;
use scrimmage_protos::google::pubsub::v1::subscriber_client::SubscriberClient;
use scrimmage_pubsub::PubSub;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const TOPIC: &str = "projects/soak/topics/events";
const READER: &str = "projects/soak/subscriptions/reader";
const IDLE: &str = "projects/soak/subscriptions/idle";
const SHORT: &str = "projects/soak/subscriptions/short-lived";
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);
/// Messages of one virtual hour.
const HOURLY: usize = 50;
/// How many messages may be published and not yet acknowledged under load.
const AHEAD: u64 = 20_000;

struct Clients {
    publisher: PublisherClient<Channel>,
    subscriber: SubscriberClient<Channel>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut seconds = std::env::args().skip(1).map(|text| text.parse().map(Duration::from_secs));
    let days = seconds.next().transpose()?.unwrap_or(Duration::from_secs(5));
    let load = seconds.next().transpose()?.unwrap_or(Duration::from_secs(5));
    virtual_days(days).await?;
    full_speed(load).await
}

/// A Pub/Sub on this clock, and its clients.
async fn start(clock: Clock) -> Outcome<Clients> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let pubsub = PubSub::new(Context::new(clock));
    let routes = tonic::service::Routes::new(pubsub.publisher()).add_service(pubsub.subscriber());
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
    let publisher = PublisherClient::new(Channel::from_shared(address.clone())?.connect().await?);
    let subscriber = SubscriberClient::new(Channel::from_shared(address)?.connect().await?);
    let mut clients = Clients { publisher, subscriber: subscriber.max_decoding_message_size(64 << 20) };
    clients.publisher.create_topic(pb::Topic { name: TOPIC.to_owned(), ..Default::default() }).await?;
    Ok(clients)
}

/// Memory of this process in kB, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Compares memory with what it was once warm.
#[derive(Default)]
struct Watch {
    warm: Option<u64>,
    most: u64,
}

impl Watch {
    fn sample(&mut self, is_warm: bool) {
        let Some(now) = memory().filter(|_| is_warm) else { return };
        self.warm.get_or_insert(now);
        self.most = self.most.max(now);
    }

    /// A quarter more and 16 MB are not growth.
    fn verdict(&self) -> Outcome<String> {
        let Some(warm) = self.warm else { return Ok("memory not looked at".to_owned()) };
        if self.most > warm + warm / 4 + 16_384 {
            return Err(format!("memory grew from {warm} kB to {} kB", self.most).into());
        }
        Ok(format!("memory {} MB warm, {} MB at most", warm / 1_024, self.most / 1_024))
    }
}

fn message(text: String) -> pb::PubsubMessage {
    pb::PubsubMessage { data: Bytes::from(text), ..Default::default() }
}

impl Clients {
    async fn subscribe(&mut self, name: &str, change: impl FnOnce(&mut pb::Subscription)) -> Outcome<()> {
        let mut config = pb::Subscription { name: name.to_owned(), topic: TOPIC.to_owned(), ..Default::default() };
        change(&mut config);
        self.subscriber.create_subscription(config).await?;
        Ok(())
    }

    /// Takes and acknowledges all there is; how many messages that were.
    async fn drain(&mut self) -> Outcome<usize> {
        let mut count = 0;
        loop {
            #[allow(deprecated, reason = "an empty answer is to come at once")]
            let pull =
                pb::PullRequest { subscription: READER.to_owned(), return_immediately: true, max_messages: 1_000 };
            let found = self.subscriber.pull(pull).await?.into_inner().received_messages;
            if found.is_empty() {
                return Ok(count);
            }
            count += found.len();
            let ack_ids = found.into_iter().map(|message| message.ack_id).collect();
            let ack = pb::AcknowledgeRequest { subscription: READER.to_owned(), ack_ids };
            self.subscriber.acknowledge(ack).await?;
        }
    }
}

/// Retention, expiry and a seek over seven days, day after day.
async fn virtual_days(budget: Duration) -> Outcome<()> {
    let clock = Clock::virtual_at(Timestamp::from_micros(1_767_225_600_000_000));
    let mut clients = start(clock.clone()).await?;
    clients.subscribe(READER, |config| config.retain_acked_messages = true).await?;
    clients
        .subscribe(IDLE, |config| {
            config.message_retention_duration = Some(prost_types::Duration { seconds: 86_400, nanos: 0 });
            config.expiration_policy = Some(pb::ExpirationPolicy::default());
        })
        .await?;
    let (started, mut watch) = (Instant::now(), Watch::default());
    let (mut days, mut delivered, mut expired) = (0_usize, 0, 0);
    while started.elapsed() < budget {
        let short = clients.subscribe(SHORT, |config| {
            let ttl = Some(prost_types::Duration { seconds: 86_400, nanos: 0 });
            config.expiration_policy = Some(pb::ExpirationPolicy { ttl });
        });
        // It lives for a day without use: one that is still there has not expired in time.
        short.await.map_err(|error| format!("day {days}: {error}"))?;
        for hour in 0..24 {
            let messages = (0..HOURLY).map(|n| message(format!("{days}/{hour}/{n}"))).collect();
            clients.publisher.publish(pb::PublishRequest { topic: TOPIC.to_owned(), messages }).await?;
            let found = clients.drain().await?;
            if found != HOURLY {
                return Err(format!("day {days}, hour {hour}: {found} messages").into());
            }
            delivered += found;
            clock.advance(HOUR);
        }
        expired += 1;
        days += 1;
        // Exactly the last seven days come again: what was published at their first moment is gone by now.
        let (seconds, nanos) = (clock.now() - DAY * 7).to_parts();
        let target = Some(Target::Time(prost_types::Timestamp { seconds, nanos }));
        clients.subscriber.seek(pb::SeekRequest { subscription: READER.to_owned(), target }).await?;
        let again = clients.drain().await?;
        let expected = if days <= 6 { days * 24 * HOURLY } else { (7 * 24 - 1) * HOURLY };
        if again != expected {
            return Err(format!("day {days}: a seek over seven days brought {again} messages, not {expected}").into());
        }
        delivered += again;
        watch.sample(days >= 10);
    }
    println!("{days} virtual days: {delivered} deliveries, {expired} subscriptions expired, {}", watch.verdict()?);
    Ok(())
}

/// Exactly-once delivery as fast as it goes.
async fn full_speed(budget: Duration) -> Outcome<()> {
    let mut clients = start(Clock::real()).await?;
    clients.subscribe(READER, |config| config.enable_exactly_once_delivery = true).await?;
    let published = Arc::new(AtomicU64::new(0));
    let acked = Arc::new(AtomicU64::new(0));
    let deadline = Instant::now() + budget;
    let mut publishers = Vec::new();
    for _ in 0..2 {
        let (mut publisher, published, acked) = (clients.publisher.clone(), published.clone(), acked.clone());
        publishers.push(tokio::spawn(async move {
            while Instant::now() < deadline {
                if published.load(Ordering::Relaxed).saturating_sub(acked.load(Ordering::Relaxed)) > AHEAD {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
                let messages = (0..500).map(|_| message("x".repeat(100))).collect();
                let request = pb::PublishRequest { topic: TOPIC.to_owned(), messages };
                let ids = publisher.publish(request).await?.into_inner().message_ids;
                published.fetch_add(ids.len() as u64, Ordering::Relaxed);
            }
            Ok::<_, tonic::Status>(())
        }));
    }
    let (requests, inbound) = mpsc::unbounded_channel();
    requests.send(pb::StreamingPullRequest {
        subscription: READER.to_owned(),
        stream_ack_deadline_seconds: 600,
        max_outstanding_messages: 10_000,
        ..Default::default()
    })?;
    let mut answers = clients.subscriber.streaming_pull(UnboundedReceiverStream::new(inbound)).await?.into_inner();
    let (mut seen, mut watch) = (Seen::default(), Watch::default());
    let started = Instant::now();
    let mut sampled = started;
    let ended = loop {
        let answer = tokio::time::timeout(Duration::from_secs(5), answers.message()).await;
        let all_out = Instant::now() >= deadline && acked.load(Ordering::Relaxed) >= published.load(Ordering::Relaxed);
        let Ok(answer) = answer else { break all_out };
        let answer = answer?.ok_or("the stream ended")?;
        let mut ack_ids = Vec::with_capacity(answer.received_messages.len());
        for received in answer.received_messages {
            let id = received.message.map(|message| message.message_id).unwrap_or_default();
            if !seen.is_new(id.parse()?) {
                return Err(format!("message {id} came again").into());
            }
            ack_ids.push(received.ack_id);
        }
        if !ack_ids.is_empty() {
            requests.send(pb::StreamingPullRequest { ack_ids, ..Default::default() })?;
        }
        if let Some(confirmed) = answer.acknowledge_confirmation {
            let refused = confirmed.invalid_ack_ids.len() + confirmed.temporary_failed_ack_ids.len();
            if refused > 0 {
                return Err(format!("{refused} acknowledgements were refused").into());
            }
            acked.fetch_add(confirmed.ack_ids.len() as u64, Ordering::Relaxed);
        }
        if sampled.elapsed() > Duration::from_secs(1) {
            sampled = Instant::now();
            watch.sample(started.elapsed() > budget / 10);
        }
        if Instant::now() >= deadline && publishers.iter().all(|one| one.is_finished()) {
            let (acked, published) = (acked.load(Ordering::Relaxed), published.load(Ordering::Relaxed));
            if acked >= published {
                break acked == published;
            }
        }
    };
    for publisher in publishers {
        publisher.await??;
    }
    let (published, acked) = (published.load(Ordering::Relaxed), acked.load(Ordering::Relaxed));
    if !ended || published != acked || seen.count != published {
        return Err(format!("{published} published, {} delivered, {acked} confirmed", seen.count).into());
    }
    let rate = acked as f64 / started.elapsed().as_secs_f64();
    println!("{acked} messages exactly once in {:?}, {rate:.0}/s, {}", started.elapsed(), watch.verdict()?);
    Ok(())
}

/// Which message ids were delivered; they count up.
#[derive(Default)]
struct Seen {
    first: u64,
    bits: Vec<u64>,
    count: u64,
}

impl Seen {
    fn is_new(&mut self, id: u64) -> bool {
        if self.bits.is_empty() {
            // Another publisher's first messages may be a little older.
            self.first = id.saturating_sub(100_000);
        }
        let place = id.saturating_sub(self.first);
        let word = usize::try_from(place / 64).unwrap_or(usize::MAX);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let Some(bits) = self.bits.get_mut(word) else { return false };
        let is_new = *bits & (1 << (place % 64)) == 0;
        *bits |= 1 << (place % 64);
        self.count += u64::from(is_new);
        is_new
    }
}
