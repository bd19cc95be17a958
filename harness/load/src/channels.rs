//! Connections to a service, opened a few at a time.

use futures::TryStreamExt as _;
use tonic::transport::{Channel, Endpoint};

use crate::LoadError;

/// Opened at once: a service that listens with a short queue refuses more.
const OPENED_AT_ONCE: usize = 32;

/// So many connections to HOST:PORT.
pub(crate) async fn open(endpoint: &str, count: usize) -> Result<Vec<Channel>, LoadError> {
    let failed = |problem: String| LoadError::Service { endpoint: endpoint.to_owned(), problem };
    let address = Endpoint::from_shared(format!("http://{endpoint}"))
        .map_err(|_| failed("expected HOST:PORT".to_owned()))?
        .tcp_nodelay(true);
    let opening = (0..count).map(|_| {
        let address = address.clone();
        async move { address.connect().await }
    });
    futures::stream::iter(opening.map(Ok))
        .try_buffer_unordered(OPENED_AT_ONCE)
        .try_collect()
        .await
        .map_err(|error: tonic::transport::Error| failed(innermost(&error)))
}

/// The cause that says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
