//! Pub/Sub alone on a loopback port, gRPC only: `cargo run -p scrimmage-pubsub --example serve_pubsub -- 8085`.

use scrimmage_core::{Clock, Context};
use scrimmage_pubsub::PubSub;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |text| text.parse::<u16>())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("export PUBSUB_EMULATOR_HOST={}", listener.local_addr()?);
    let pubsub = PubSub::new(Context::new(Clock::real()));
    let routes = tonic::service::Routes::new(pubsub.publisher()).add_service(pubsub.subscriber());
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}
