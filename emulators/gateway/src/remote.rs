//! A service that runs elsewhere, behind this gateway: its calls pass the same gate and are written
//! down like any others, then go on over HTTP/2.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use tonic::server::NamedService;
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

/// What a remote service wants to see of every call: the value of `authorization`, or why there is none.
pub type Token = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<HeaderValue, String>> + Send>> + Send + Sync>;

/// Where remote services are reached. Clones share the connection.
#[derive(Clone)]
pub struct Remote {
    channel: Channel,
    token: Option<Token>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("has_token", &self.token.is_some()).finish_non_exhaustive()
    }
}

impl Remote {
    /// Over this channel, with the caller's own credentials.
    pub fn new(channel: Channel) -> Self {
        Remote { channel, token: None }
    }

    /// With these credentials instead of the caller's.
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// In the place of a tonic server of the same service.
    pub fn in_place_of<S: NamedService>(&self, _server: &S) -> RemoteGrpc<S> {
        RemoteGrpc { remote: self.clone(), name: PhantomData }
    }

    /// Everything over HTTP, in the place of a service's own router.
    pub fn router(&self) -> axum::Router {
        let remote = self.clone();
        axum::Router::new().fallback(move |request: Request<Body>| {
            let remote = remote.clone();
            async move {
                match remote.forward(request).await {
                    Ok(response) => response.map(Body::new),
                    Err(problem) => {
                        let mut response = Response::new(Body::from(problem));
                        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                        response
                    }
                }
            }
        })
    }

    async fn forward(self, request: Request<Body>) -> Result<Response<tonic::body::Body>, String> {
        let (mut parts, body) = request.into_parts();
        // The channel names the other end's authority.
        parts.headers.remove(HOST);
        // Of the hop before: HTTP/2 has none of them.
        for name in ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"] {
            parts.headers.remove(name);
        }
        parts.extensions.clear();
        parts.version = http::Version::HTTP_2;
        if let Some(token) = &self.token {
            parts.headers.insert(AUTHORIZATION, token().await?);
        }
        let request = Request::from_parts(parts, tonic::body::Body::new(WithoutEmpty(body)));
        let answer = self.channel.oneshot(request).await.map_err(|error| described(&error))?;
        Ok(answer.map(|body| tonic::body::Body::new(WithoutEmpty(body))))
    }
}

/// A body without its empty frames. Many clients end a call with one; passed on it would not be the end any more,
/// and the other end takes a hundred such frames on a connection for an attack and closes it.
struct WithoutEmpty<B>(B);

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for WithoutEmpty<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                frame => return Poll::Ready(frame),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

/// An error with what caused it: a transport's own text says nothing.
fn described(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The remote end of one gRPC service.
pub struct RemoteGrpc<S> {
    remote: Remote,
    name: PhantomData<fn() -> S>,
}

impl<S> Clone for RemoteGrpc<S> {
    fn clone(&self) -> Self {
        RemoteGrpc { remote: self.remote.clone(), name: PhantomData }
    }
}

impl<S: NamedService> NamedService for RemoteGrpc<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for RemoteGrpc<S> {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Poller<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let remote = self.remote.clone();
        Box::pin(async move {
            let answer = remote.forward(request).await;
            Ok(answer.unwrap_or_else(|problem| tonic::Status::unavailable(problem).into_http()))
        })
    }
}
