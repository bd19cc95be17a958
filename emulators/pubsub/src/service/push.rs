//! Push deliveries: one task each, from the engine's job to the endpoint's answer.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use scrimmage_core::CallInfo;
use scrimmage_core::faults::End;

use super::{Shell, envelope};
use crate::engine::push::{PushDone, PushJob};
use crate::limits;

pub type Client = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

pub fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(10)));
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
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

async fn deliver(shell: Weak<Shell>, job: PushJob) {
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
            post(&client, &job).await;
            Answer::Lost("connection lost before the answer".to_owned())
        }
        End::Pass => post(&client, &job).await,
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
        let again = match post(&client, &job).await {
            Answer::Status(status) => status.to_string(),
            Answer::Lost(why) => why,
        };
        let text = format!("message {message} to {}: {again} [duplicate_delivery]", job.config.push_endpoint);
        ctx.journal.event("pubsub", "push_duplicate", job.subscription, text);
    }
}

async fn post(client: &Client, job: &PushJob) -> Answer {
    let envelope::Envelope { headers, body } = envelope::of(job);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    match job.config.push_endpoint.parse() {
        Ok(uri) => *request.uri_mut() = uri,
        // Checked when the subscription was made.
        Err(_) => return Answer::Lost("the endpoint is no URL".to_owned()),
    }
    match client.request(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            // Read to the end, so that the connection can be used again; what it says is not looked at.
            let _ = response.into_body().collect().await;
            Answer::Status(status)
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Answer::Lost(format!("{error}{cause}"))
        }
    }
}
