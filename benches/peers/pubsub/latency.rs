//! One message at a time: published, pulled, pushed.

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::client::{Client, message, text};
use crate::sheet::{Step, median, milliseconds};
use crate::{Result, Scale};

pub const PUBLISH: Step = Step::time("publish, p50");
pub const PULL: Step = Step::time("publish to streaming pull, p50");
pub const PUSH: Step = Step::time("publish to push, p50");

const PATIENCE: Duration = Duration::from_secs(20);

pub async fn publish(client: &Client, scale: Scale) -> Result<f64> {
    let topic = client.topic("publish").await?;
    client.subscription("publish", &topic, false, None).await?;
    let (warm_up, count) = (scale.of(500, 50), scale.of(2_000, 100));
    let mut times = Vec::with_capacity(count);
    for number in 0..warm_up + count {
        let begun = Instant::now();
        client.publish(&topic, vec![message("")]).await?;
        if number >= warm_up {
            times.push(milliseconds(begun));
        }
    }
    median(&times)
}

pub async fn to_pull(client: &Client, scale: Scale) -> Result<f64> {
    let topic = client.topic("pull").await?;
    let subscription = client.subscription("pull", &topic, false, None).await?;
    // Google's emulator opens a stream with the first message, so there is one.
    client.publish(&topic, vec![message("")]).await?;
    let mut stream = client.open(&subscription).await?;
    stream.next().await?;
    let (warm_up, count) = (scale.of(200, 20), scale.of(1_000, 50));
    let mut times = Vec::with_capacity(count);
    for number in 0..warm_up + count {
        let begun = Instant::now();
        let (published, received) = tokio::join!(client.publish(&topic, vec![message("")]), async {
            let messages = stream.next().await?;
            Ok::<_, String>((messages.len(), milliseconds(begun)))
        });
        published?;
        let (messages, time) = received?;
        if messages != 1 {
            return Err(format!("{messages} messages instead of one"));
        }
        if number >= warm_up {
            times.push(time);
        }
    }
    median(&times)
}

pub async fn to_push(client: &Client, scale: Scale) -> Result<f64> {
    let (address, mut pushed, _endpoint) = endpoint().await?;
    let topic = client.topic("push").await?;
    client.subscription("push", &topic, false, Some(format!("http://{address}/complete"))).await?;
    let (warm_up, count) = (scale.of(100, 10), scale.of(500, 30));
    let mut times = Vec::with_capacity(count);
    for number in 0..warm_up + count {
        let begun = Instant::now();
        client.publish(&topic, vec![message("")]).await?;
        let received = tokio::time::timeout(PATIENCE, pushed.recv()).await.map_err(|_| "nothing was pushed")?;
        let at: Instant = received.ok_or("the endpoint has ended")?;
        if number >= warm_up {
            times.push(at.duration_since(begun).as_secs_f64() * 1_000.0);
        }
    }
    median(&times)
}

/// Ends its task when it is dropped.
struct Endpoint(JoinHandle<()>);

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A push endpoint that answers 204 and tells when it was called.
async fn endpoint() -> Result<(std::net::SocketAddr, mpsc::UnboundedReceiver<Instant>, Endpoint)> {
    let (told, pushed) = mpsc::unbounded_channel();
    let handler = move || {
        let told = told.clone();
        async move {
            let _ = told.send(Instant::now());
            StatusCode::NO_CONTENT
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    let router = Router::new().route("/complete", post(handler));
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok((address, pushed, Endpoint(serving)))
}
