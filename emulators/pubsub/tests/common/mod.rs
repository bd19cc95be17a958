//! A Pub/Sub of a test's own on a loopback port, its clients, and an endpoint to push to.

#![allow(dead_code, clippy::expect_used, reason = "test support: every test file uses another part")]

pub mod tls;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use scrimmage_core::journal::{Body, Event};
use scrimmage_core::{Clock, Context, Timestamp};
use scrimmage_protos::google::iam::v1::iam_policy_client::IamPolicyClient;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::publisher_client::PublisherClient;
use scrimmage_protos::google::pubsub::v1::schema_service_client::SchemaServiceClient;
use scrimmage_protos::google::pubsub::v1::subscriber_client::SubscriberClient;
use scrimmage_pubsub::PubSub;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tonic::transport::Channel;

pub const TOPIC: &str = "projects/demo/topics/requests";
pub const SUB: &str = "projects/demo/subscriptions/workers";

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stage {
    pub ctx: Context,
    pub pubsub: PubSub,
    pub publisher: PublisherClient<Channel>,
    pub subscriber: SubscriberClient<Channel>,
    pub schemas: SchemaServiceClient<Channel>,
    pub iam: IamPolicyClient<Channel>,
}

impl Stage {
    /// On a virtual clock, with the topic [`TOPIC`].
    pub async fn start() -> Stage {
        let mut stage = Stage::open(Stage::context()).await;
        stage.publisher.create_topic(pb::Topic { name: TOPIC.into(), ..Default::default() }).await.expect("a topic");
        stage
    }

    pub fn context() -> Context {
        Context::new(Clock::virtual_at(Timestamp::from_micros(1_767_225_600_000_000)))
    }

    /// With what the context's folder keeps, if it has one.
    pub async fn open(ctx: Context) -> Stage {
        let pubsub = PubSub::open(ctx.clone()).expect("the folder is good");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = tonic::service::Routes::new(pubsub.publisher())
            .add_service(pubsub.subscriber())
            .add_service(pubsub.schemas())
            .add_service(pubsub.iam());
        let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
        let channel =
            Channel::from_shared(format!("http://{address}")).expect("a URL").connect().await.expect("a connection");
        let limit = 64 << 20;
        Stage {
            ctx,
            pubsub,
            publisher: PublisherClient::new(channel.clone()).max_encoding_message_size(limit),
            schemas: SchemaServiceClient::new(channel.clone()),
            iam: IamPolicyClient::new(channel.clone()),
            subscriber: SubscriberClient::new(channel).max_decoding_message_size(limit),
        }
    }

    pub async fn subscribe(&mut self, change: impl FnOnce(&mut pb::Subscription)) -> pb::Subscription {
        let mut config = pb::Subscription { name: SUB.into(), topic: TOPIC.into(), ..Default::default() };
        change(&mut config);
        self.subscriber.create_subscription(config).await.expect("a subscription").into_inner()
    }

    pub async fn publish(&mut self, data: &str) -> String {
        self.publish_message(pb::PubsubMessage { data: data.to_owned().into(), ..Default::default() }).await
    }

    pub async fn publish_message(&mut self, message: pb::PubsubMessage) -> String {
        let request = pb::PublishRequest { topic: TOPIC.into(), messages: vec![message] };
        self.publisher.publish(request).await.expect("an id").into_inner().message_ids.remove(0)
    }

    pub async fn pull_now(&mut self, most: i32) -> Vec<pb::ReceivedMessage> {
        #[allow(deprecated, reason = "what clients send")]
        let request = pb::PullRequest { subscription: SUB.into(), return_immediately: true, max_messages: most };
        self.subscriber.pull(request).await.expect("an answer").into_inner().received_messages
    }

    pub async fn ack(&mut self, message: &pb::ReceivedMessage) -> Result<(), tonic::Status> {
        let request = pb::AcknowledgeRequest { subscription: SUB.into(), ack_ids: vec![message.ack_id.clone()] };
        self.subscriber.acknowledge(request).await.map(|_| ())
    }

    pub fn advance(&self, by: Duration) {
        self.ctx.clock.advance(by);
    }

    /// The events of the journal from now on.
    pub fn events(&self) -> Events {
        Events(self.ctx.journal.subscribe())
    }
}

pub struct Events(broadcast::Receiver<Arc<scrimmage_core::journal::Entry>>);

impl Events {
    /// The next event of that kind.
    pub async fn next(&mut self, kind: &str) -> Event {
        let search = async {
            loop {
                let entry = self.0.recv().await.expect("the journal goes on");
                if let Body::Event(event) = &entry.body
                    && &*event.kind == kind
                {
                    return event.clone();
                }
            }
        };
        within(search).await
    }
}

/// The result, or a failed test after [`PATIENCE`].
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("this should not take so long")
}

/// How an endpoint treats one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    Status(u16),
    /// Answers only when told to, by the request's `release`.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

/// A request that an endpoint has got.
pub struct Pushed {
    pub headers: http::HeaderMap,
    pub body: Bytes,
    /// For [`Manner::Hang`].
    pub release: Option<oneshot::Sender<u16>>,
}

impl Pushed {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn message_id(&self) -> String {
        self.json()["message"]["messageId"].as_str().expect("an id").to_owned()
    }
}

/// A small HTTP server to push to.
pub struct Endpoint {
    pub address: SocketAddr,
    pub requests: mpsc::UnboundedReceiver<Pushed>,
}

impl Endpoint {
    /// Treats its requests as listed, and answers 204 from then on.
    pub async fn start(manners: &[Manner]) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (got, requests) = mpsc::unbounded_channel();
        let manners = Arc::new(Mutex::new(manners.iter().copied().collect::<VecDeque<_>>()));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (got, manners) = (got.clone(), manners.clone());
                let service = service_fn(move |request| handle(request, got.clone(), manners.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        Endpoint { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}/complete", self.address)
    }

    pub async fn next(&mut self) -> Pushed {
        within(self.requests.recv()).await.expect("the endpoint is up")
    }
}

async fn handle(
    request: http::Request<Incoming>,
    got: mpsc::UnboundedSender<Pushed>,
    manners: Arc<Mutex<VecDeque<Manner>>>,
) -> Result<http::Response<Full<Bytes>>, std::io::Error> {
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.uri().path(), "/complete");
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let manner = manners.lock().expect("no panic").pop_front().unwrap_or(Manner::Status(204));
    let (release, released) = oneshot::channel();
    let release = (manner == Manner::Hang).then_some(release);
    let _ = got.send(Pushed { headers: head.headers, body, release });
    let status = match manner {
        Manner::Status(status) => status,
        Manner::Hang => released.await.map_err(std::io::Error::other)?,
        Manner::Close => return Err(std::io::Error::other("closed early")),
    };
    Ok(http::Response::builder().status(status).body(Full::default()).expect("a response"))
}
