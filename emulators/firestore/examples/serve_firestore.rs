//! A Firestore alone on a loopback port: `cargo run -p scrimmage-firestore --example serve_firestore -- 8080`.

use std::net::{Ipv4Addr, SocketAddr};

use scrimmage_core::{Clock, Context};
use scrimmage_firestore::Firestore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(8080), |port| port.parse())?;
    let firestore = Firestore::new(Context::new(Clock::real()));
    println!("export FIRESTORE_EMULATOR_HOST=127.0.0.1:{port}");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (admin, operations) = (firestore.admin(), firestore.operations());
    let server = tonic::transport::Server::builder().add_service(firestore.grpc());
    server.add_service(admin).add_service(operations).serve(address).await?;
    Ok(())
}
