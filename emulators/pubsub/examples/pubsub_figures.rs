//! How fast it is, over loopback gRPC and HTTP: `cargo run --release -p scrimmage-pubsub --example pubsub_figures`.
//!
//! With an address (`-- 127.0.0.1:8085`) it measures what answers there instead.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use scrimmage_core::{Clock, Context};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::publisher_client::PublisherClient;
use scrimmage_protos::google::pubsub::v1::subscriber_client::SubscriberClient;
use scrimmage_pubsub::PubSub;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Clients {
    publisher: PublisherClient<Channel>,
    subscriber: SubscriberClient<Channel>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let empty = memory();
    let address = match std::env::args().nth(1) {
        Some(address) => address,
        None => {
            let address = start().await?;
            if let (Some(empty), Some(idle)) = (empty, memory()) {
                println!("{:28} {} kB above the empty process", "memory idle", idle.saturating_sub(empty));
            }
            address
        }
    };
    let publishing = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let subscribing = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let mut clients = Clients {
        publisher: PublisherClient::new(publishing),
        subscriber: SubscriberClient::new(subscribing).max_decoding_message_size(64 << 20),
    };
    let alone = clients.topic("alone").await?;
    let times = clients.publish_times(&alone, 2_000).await?;
    report("publish", times);
    let times = clients.stream_times(2_000).await?;
    report("publish to streaming pull", times);
    let times = clients.push_times(2_000).await?;
    report("publish to push", times);
    clients.throughput("bulk", 10_000, 0).await?;
    clients.throughput("ordered", 5_000, 100).await?;
    clients.idle(60, Duration::from_secs(20)).await?;
    Ok(())
}

/// A Pub/Sub of this process.
async fn start() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let pubsub = PubSub::new(Context::new(Clock::real()));
    let routes = tonic::service::Routes::new(pubsub.publisher()).add_service(pubsub.subscriber());
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(async move {
        let _served_with = pubsub;
        tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming).await
    });
    Ok(address)
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!("{what:28} p50 {:?}  p90 {:?}  p99 {:?}", at(0.5), at(0.9), at(0.99));
}

/// Memory of this process in kB, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Time that this process's threads have been on a processor, where the system tells.
fn processor_time() -> Option<Duration> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let nanos = threads.filter_map(Result::ok).filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(nanos.sum()))
}

impl Clients {
    /// Processor time with so many open streams that nothing happens on, this client's own included.
    async fn idle(&mut self, streams: usize, time: Duration) -> Outcome<()> {
        let topic = self.topic("idle").await?;
        let mut open = Vec::new();
        for n in 0..streams {
            let name = format!("projects/figures/subscriptions/idle-{n}");
            let config = pb::Subscription { name: name.clone(), topic: topic.clone(), ..Default::default() };
            self.subscriber.create_subscription(config).await?;
            let (requests, mut answers) = self.stream(&name).await?;
            answers.message().await?;
            open.push((requests, answers));
        }
        let before = processor_time();
        tokio::time::sleep(time).await;
        if let (Some(before), Some(after)) = (before, processor_time()) {
            let share = (after.saturating_sub(before)).as_secs_f64() / time.as_secs_f64() * 100.0;
            println!("{:28} {share:.3} % of a processor", format!("idle, {} streams", open.len()));
        }
        Ok(())
    }

    async fn topic(&mut self, name: &str) -> Outcome<String> {
        let name = format!("projects/figures/topics/{name}");
        self.publisher.create_topic(pb::Topic { name: name.clone(), ..Default::default() }).await?;
        Ok(name)
    }

    async fn publish(&mut self, topic: &str) -> Outcome<()> {
        let message = pb::PubsubMessage { data: Bytes::from_static(&[b'x'; 100]), ..Default::default() };
        self.publisher.publish(pb::PublishRequest { topic: topic.to_owned(), messages: vec![message] }).await?;
        Ok(())
    }

    async fn publish_times(&mut self, topic: &str, count: usize) -> Outcome<Vec<Duration>> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            self.publish(topic).await?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    async fn stream(
        &mut self,
        subscription: &str,
    ) -> Outcome<(mpsc::UnboundedSender<pb::StreamingPullRequest>, tonic::Streaming<pb::StreamingPullResponse>)> {
        let (requests, inbound) = mpsc::unbounded_channel();
        requests.send(pb::StreamingPullRequest {
            subscription: subscription.to_owned(),
            stream_ack_deadline_seconds: 60,
            ..Default::default()
        })?;
        let answers = self.subscriber.streaming_pull(UnboundedReceiverStream::new(inbound)).await?;
        Ok((requests, answers.into_inner()))
    }

    async fn stream_times(&mut self, count: usize) -> Outcome<Vec<Duration>> {
        let topic = self.topic("streamed").await?;
        let name = "projects/figures/subscriptions/streamed".to_owned();
        let config = pb::Subscription { name: name.clone(), topic: topic.clone(), ..Default::default() };
        self.subscriber.create_subscription(config).await?;
        let (requests, mut answers) = self.stream(&name).await?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            self.publish(&topic).await?;
            let mut ack_ids = Vec::new();
            while ack_ids.is_empty() {
                let answer = answers.message().await?.ok_or("the stream ended")?;
                ack_ids.extend(answer.received_messages.into_iter().map(|message| message.ack_id));
            }
            times.push(start.elapsed());
            requests.send(pb::StreamingPullRequest { ack_ids, ..Default::default() })?;
        }
        Ok(times)
    }

    async fn push_times(&mut self, count: usize) -> Outcome<Vec<Duration>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (got, mut arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let got = got.clone();
                let _ = socket.set_nodelay(true);
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let got = got.clone();
                    async move {
                        request.into_body().collect().await?;
                        let _ = got.send(Instant::now());
                        let mut response = http::Response::new(Full::<Bytes>::default());
                        *response.status_mut() = http::StatusCode::NO_CONTENT;
                        Ok::<_, hyper::Error>(response)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        let topic = self.topic("pushed").await?;
        let config = pb::Subscription {
            name: "projects/figures/subscriptions/pushed".to_owned(),
            topic: topic.clone(),
            push_config: Some(pb::PushConfig { push_endpoint: format!("http://{address}/"), ..Default::default() }),
            ..Default::default()
        };
        self.subscriber.create_subscription(config).await?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            self.publish(&topic).await?;
            times.push(arrivals.recv().await.ok_or("the endpoint ended")? - start);
        }
        Ok(times)
    }

    async fn throughput(&mut self, name: &str, count: usize, keys: usize) -> Outcome<()> {
        let topic = self.topic(name).await?;
        let subscription = format!("projects/figures/subscriptions/{name}");
        let config = pb::Subscription {
            name: subscription.clone(),
            topic: topic.clone(),
            enable_message_ordering: keys > 0,
            ..Default::default()
        };
        self.subscriber.create_subscription(config).await?;
        let message = |n: usize| pb::PubsubMessage {
            data: Bytes::from_static(&[b'x'; 100]),
            ordering_key: if keys > 0 { format!("key-{}", n % keys) } else { String::new() },
            ..Default::default()
        };
        let start = Instant::now();
        for batch in 0..count / 1_000 {
            let messages = (0..1_000).map(|n| message(batch * 1_000 + n)).collect();
            self.publisher.publish(pb::PublishRequest { topic: topic.clone(), messages }).await?;
        }
        let published = start.elapsed();
        let start = Instant::now();
        let (requests, mut answers) = self.stream(&subscription).await?;
        let mut received = 0;
        while received < count {
            let answer = answers.message().await?.ok_or("the stream ended")?;
            let ack_ids: Vec<String> = answer.received_messages.into_iter().map(|message| message.ack_id).collect();
            received += ack_ids.len();
            if !ack_ids.is_empty() {
                requests.send(pb::StreamingPullRequest { ack_ids, ..Default::default() })?;
            }
        }
        let streamed = start.elapsed();
        let rate = |time: Duration| count as f64 / time.as_secs_f64();
        println!("{name:28} {:.0}/s published  {:.0}/s streamed and acked", rate(published), rate(streamed));
        Ok(())
    }
}
