//! Calls the pipeline's start, as a scheduler does.

use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use crate::SetupError;
use crate::clients::local_http;
use crate::front_door::FrontDoor;
use crate::pipeline::Pipeline;
use crate::scenario::Scenario;

/// A scheduler calls again where it is answered with an error.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// The call, ready to be made.
#[derive(Clone, Debug)]
pub(crate) struct StartCall {
    url: String,
    what: String,
    body: Value,
    /// The answer's field with the batch's id.
    id: String,
    timeout: Duration,
}

impl StartCall {
    pub(super) fn new(
        door: &Arc<FrontDoor>,
        pipeline: &Pipeline,
        scenario: &Scenario,
        players: &[String],
    ) -> StartCall {
        let call = &pipeline.batch.start;
        StartCall {
            url: door.url(&call.path),
            what: format!("POST {} of {}", call.path, call.process),
            // It was seen to be JSON when the description was read.
            body: call
                .body(&scenario.batch.game_date, players, &format!("scrimmage-{}", scenario.name))
                .unwrap_or_default(),
            id: call.id.clone(),
            timeout: scenario.expect.within.0.max(Duration::from_secs(1)),
        }
    }

    /// What is sent.
    pub(super) fn body(&self) -> &Value {
        &self.body
    }

    /// Starts the batch from so many schedulers at once and returns its id: the first one's.
    pub(super) async fn start(&self, schedulers: usize) -> Result<String, SetupError> {
        let ids = futures::future::try_join_all((0..schedulers).map(|_| self.persistently())).await?;
        ids.into_iter().next().ok_or_else(|| self.failed("nobody called"))
    }

    async fn persistently(&self) -> Result<String, SetupError> {
        for _ in 1..ATTEMPTS {
            match self.once().await {
                Err(_) => tokio::time::sleep(PAUSE).await,
                started => return started,
            }
        }
        self.once().await
    }

    /// One call: the batch's id.
    pub(crate) async fn once(&self) -> Result<String, SetupError> {
        let request = local_http().post(&self.url).json(&self.body);
        let answer = request.timeout(self.timeout).send().await;
        let answer = answer.map_err(|error| self.failed(error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| self.failed(error))?;
        if !status.is_success() {
            return Err(self.failed(format!("{status}: {text}")));
        }
        let answer: Value = serde_json::from_str(&text).map_err(|error| self.failed(error))?;
        let id = answer[self.id.as_str()].as_str().map(str::to_owned);
        id.ok_or_else(|| self.failed(format!("the answer has no {}", self.id)))
    }

    fn failed(&self, problem: impl std::fmt::Display) -> SetupError {
        SetupError::NotStarted { call: self.what.clone(), problem: problem.to_string() }
    }
}
