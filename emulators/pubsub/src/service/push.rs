//! Push deliveries: one task each, from the engine's job to the endpoint's answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use scrimmage_core::faults::End;
use scrimmage_core::{CallInfo, Timestamp};
use scrimmage_protos::google::pubsub::v1::push_config::AuthenticationMethod;

use super::{Shell, envelope, tls, transforming};
use crate::engine::push::{PushDone, PushJob};
use crate::limits;

/// What pushes go out with.
#[derive(Debug)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    /// Made when the first `https` endpoint is pushed to.
    https: OnceLock<Result<tls::Client, String>>,
    /// By service account and audience, with when they were signed.
    tokens: Mutex<HashMap<(String, String), (Timestamp, HeaderValue)>>,
}

impl Client {
    pub fn new() -> Client {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(10)));
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Client { http, https: OnceLock::new(), tokens: Mutex::default() }
    }

    /// The status of the answer, or why there was none.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<u16, String> {
        let response = if request.uri().scheme_str() == Some("https") {
            let client = self.https.get_or_init(tls::client).as_ref().map_err(Clone::clone)?;
            client.request(request).await
        } else {
            self.http.request(request).await
        };
        match response {
            Ok(response) => {
                let status = response.status().as_u16();
                // Read to the end, so that the connection can be used again; what it says is not looked at. One
                // that says too much loses its connection.
                let mut body = response.into_body();
                let mut left = limits::PUSH_ANSWER_BYTES;
                while let Some(Ok(frame)) = body.frame().await {
                    match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                        Some(rest) => left = rest,
                        None => break,
                    }
                }
                Ok(status)
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                Err(format!("{error}{cause}"))
            }
        }
    }

    /// `Bearer` and a token for a push; one is used for some minutes, as in production, where it may be
    /// up to an hour old.
    fn authorization(&self, email: &str, audience: &str, now: Timestamp) -> HeaderValue {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (email.to_owned(), audience.to_owned());
        if let Some((signed, token)) = tokens.get(&key)
            && *signed <= now
            && now.since(*signed) < limits::PUSH_TOKEN_AGE
        {
            return token.clone();
        }
        let token = format!("Bearer {}", scrimmage_identity::token(email, audience, now));
        // A token is letters, digits and dots.
        let token = HeaderValue::try_from(token).unwrap_or(HeaderValue::from_static("Bearer"));
        tokens.insert(key, (now, token.clone()));
        token
    }
}

/// What an endpoint made of a push.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Status(u16),
    /// No answer: refused, closed early, lost.
    Lost(String),
}

impl Answer {
    /// The documented statuses that acknowledge.
    fn acknowledges(&self) -> bool {
        matches!(self, Answer::Status(102 | 200 | 201 | 202 | 204))
    }
}

/// Makes a delivery in a task of its own. The deadline is the engine's: where it passes first, the
/// message goes out again while the endpoint's handler still runs, and the late answer is ignored.
pub fn start(shell: &Arc<Shell>, job: PushJob) {
    let mut resets = shell.resets.subscribe();
    let hang = job.until + limits::PUSH_HANG;
    let clock = shell.ctx.clock.clone();
    let shell = Arc::downgrade(shell);
    tokio::spawn(async move {
        tokio::select! {
            () = deliver(shell, job) => {}
            // Reset, or the service is gone.
            _ = resets.changed() => {}
            () = clock.sleep_until(hang) => {}
        }
    });
}

async fn deliver(shell: Weak<Shell>, mut job: PushJob) {
    {
        let Some(shell) = shell.upgrade() else { return };
        let transformed = transforming::deliver(&shell, &job.subscription, vec![job.delivery]).await;
        let Some(delivery) = transformed.into_iter().next() else { return };
        job.delivery = delivery;
    }
    let Some((client, ctx)) = shell.upgrade().map(|shell| (shell.pushes.clone(), shell.ctx.clone())) else { return };
    let started = ctx.clock.now();
    let call = CallInfo::new("pubsub", "Push", &job.subscription, &job.config.push_endpoint);
    let decision = ctx.faults.decide(&call, started);
    let mut end = End::Pass;
    let mut faults = String::new();
    if let Some(decision) = decision {
        for barrier in decision.barriers {
            barrier.opened(&ctx.clock).await;
        }
        if !decision.delay.is_zero() {
            ctx.clock.sleep(decision.delay).await;
        }
        end = decision.end;
        faults = format!(" [{}]", decision.faults.join(", "));
    }
    let answer = match end {
        End::Error(error) => Answer::Status(error.status.code.http_status()),
        End::DropBefore => Answer::Lost("connection lost before the request".to_owned()),
        End::DropAfter => {
            post(&client, &job, ctx.clock.now()).await;
            Answer::Lost("connection lost before the answer".to_owned())
        }
        End::Pass => post(&client, &job, ctx.clock.now()).await,
    };
    let Some(shell) = shell.upgrade() else { return };
    let took = ctx.clock.now().since(started);
    let accepted = answer.acknowledges();
    let counted = shell.apply(PushDone { ack: job.delivery.ack, accepted, took });
    let shown = match &answer {
        Answer::Status(status) => status.to_string(),
        Answer::Lost(why) => why.clone(),
    };
    let late = if counted == Ok(true) { "" } else { ", too late" };
    let message = &job.delivery.message.content.message_id;
    let text = format!("message {message} to {}: {shown}{late}{faults}", job.config.push_endpoint);
    ctx.journal.event("pubsub", "push", job.subscription.clone(), text);
    if accepted && shell.takes_duplicate(&job.subscription) {
        drop(shell);
        let again = match post(&client, &job, ctx.clock.now()).await {
            Answer::Status(status) => status.to_string(),
            Answer::Lost(why) => why,
        };
        let text = format!("message {message} to {}: {again} [duplicate_delivery]", job.config.push_endpoint);
        ctx.journal.event("pubsub", "push_duplicate", job.subscription, text);
    }
}

async fn post(client: &Client, job: &PushJob, now: Timestamp) -> Answer {
    let Ok(uri) = job.config.push_endpoint.parse::<Uri>() else {
        // Checked when the subscription was made.
        return Answer::Lost("the endpoint is no URL".to_owned());
    };
    let envelope::Envelope { mut headers, body } = envelope::of(job);
    if let Some(AuthenticationMethod::OidcToken(oidc)) = &job.config.authentication_method {
        let audience = if oidc.audience.is_empty() { &job.config.push_endpoint } else { &oidc.audience };
        let token = client.authorization(&oidc.service_account_email, audience, now);
        headers.insert(header::AUTHORIZATION, token);
    }
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    *request.uri_mut() = uri;
    match client.send(request).await {
        Ok(status) => Answer::Status(status),
        Err(why) => Answer::Lost(why),
    }
}
