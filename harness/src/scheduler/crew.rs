//! Makes the calls that the [`engine`](super::engine) decides on, by the stage's clock.

use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use scrimmage_core::Clock;

use super::engine::{Attempt, Engine};
use super::{Call, ScheduleEntry};
use crate::clients::local_http;
use crate::run::Activity;

/// Where an entry's calls go, and what they say.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) body: Value,
}

/// The scheduler of one run. Dropping it ends it, and the calls that it waits for.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    working: JoinHandle<()>,
}

struct Shared {
    engine: Mutex<Engine>,
    targets: Vec<Target>,
    clock: Clock,
    http: reqwest::Client,
    activity: Activity,
    /// The bodies of the successful answers, with the entry that they are for.
    answers: watch::Sender<Vec<(usize, Value)>>,
    changes: watch::Sender<u64>,
}

impl Crew {
    /// Begins now; each entry has its target.
    pub(crate) fn begin(jobs: Vec<(ScheduleEntry, Target)>, clock: Clock, activity: Activity) -> Crew {
        let (entries, targets) = jobs.into_iter().unzip();
        let shared = Arc::new(Shared {
            engine: Mutex::new(Engine::new(entries, clock.now())),
            targets,
            clock,
            http: local_http(),
            activity,
            answers: watch::Sender::default(),
            changes: watch::Sender::new(0),
        });
        let working = tokio::spawn(work(Arc::clone(&shared)));
        Crew { shared, working }
    }

    /// Whether every call is made and answered.
    pub(crate) fn is_done(&self) -> bool {
        self.shared.engine().is_done()
    }

    /// Every attempt so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.engine().calls().to_vec()
    }

    /// The first successful answer to one of these entries; `None` once none can come any more.
    pub(crate) async fn first_answer(&self, of: impl Fn(usize) -> bool) -> Option<Value> {
        let (mut answers, mut changes) = (self.shared.answers.subscribe(), self.shared.changes.subscribe());
        loop {
            let found = answers.borrow_and_update().iter().find(|(entry, _)| of(*entry)).map(|(_, body)| body.clone());
            if found.is_some() || self.is_done() {
                return found;
            }
            // The senders live in `shared`: waiting cannot fail.
            tokio::select! {
                _ = answers.changed() => {}
                _ = changes.changed() => {}
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.working.abort();
    }
}

impl Shared {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
        self.activity.note();
    }
}

async fn work(shared: Arc<Shared>) {
    // Ends with the crew: what it calls goes on at the other end, as with the real one.
    let mut calls = tokio::task::JoinSet::new();
    let mut changes = shared.changes.subscribe();
    loop {
        let attempts = shared.engine().tick(shared.clock.now());
        if !attempts.is_empty() {
            shared.changed();
        }
        for attempt in attempts {
            calls.spawn(call(Arc::clone(&shared), attempt));
        }
        let due = shared.engine().due();
        let come = async {
            match due {
                Some(due) => shared.clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = come => {}
            _ = changes.changed() => {}
            Some(_) = calls.join_next() => {}
        }
    }
}

async fn call(shared: Arc<Shared>, attempt: Attempt) {
    let Some(target) = shared.targets.get(attempt.entry) else { return };
    let sent = shared.http.post(&target.url).header("user-agent", "Google-Cloud-Scheduler").json(&target.body).send();
    let answer = sent.await.ok();
    let status = answer.as_ref().map(|answer| answer.status());
    if let Some(answer) = answer.filter(|answer| answer.status().is_success()) {
        let text = answer.text().await.unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        shared.answers.send_modify(|answers| answers.push((attempt.entry, body)));
    }
    shared.engine().answered(shared.clock.now(), attempt.id, status.map(|status| status.as_u16()));
    shared.changed();
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use scrimmage_core::Timestamp;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn a_refused_call_is_made_again_when_its_pause_is_over() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let answer = move || {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                if number == 0 {
                    (StatusCode::SERVICE_UNAVAILABLE, "no".to_owned())
                } else {
                    (StatusCode::OK, json!({ "batch_id": "b" }).to_string())
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/start", listener.local_addr().expect("bound"));
        let router = Router::new().route("/start", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Clock::virtual_at(Timestamp::from_micros(0));
        let target = Target { url, body: json!({}) };
        let entry = ScheduleEntry { retries: 1, ..ScheduleEntry::default() };
        let crew = Crew::begin(vec![(entry, target)], clock.clone(), Activity::default());
        let until = async |what: &str, holds: &dyn Fn() -> bool| {
            let patience = async {
                while !holds() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), patience).await.unwrap_or_else(|_| panic!("never: {what}"));
        };
        let statuses = || crew.calls().iter().map(|call| call.status).collect::<Vec<_>>();
        until("the first answer", &|| statuses() == [Some(503)]).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1, "time stands still");
        clock.advance(Duration::from_secs(5));
        let answer = crew.first_answer(|entry| entry == 0).await.expect("an answer");
        assert_eq!(answer["batch_id"], "b");
        until("the end", &|| crew.is_done()).await;
        assert_eq!(statuses(), [Some(503), Some(200)]);
    }
}
