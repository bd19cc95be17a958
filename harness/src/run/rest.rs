//! When a run is over: the batch has come to an end, or nothing moves any more, or time is up.

use serde_json::{Map, Value};
use std::time::{Duration, Instant};

use super::Run;
use crate::SetupError;
use crate::faults::Director;
use crate::observe::batch_document;
use crate::scenario::Scenario;

/// After the end of a batch: long enough for what should not come, such as a second announcement.
const AFTERMATH: Duration = Duration::from_millis(250);
/// The pause after a look at the batch, in times of how long the look took.
const LOOKS_APART: u32 = 4;
/// How long to wait for a sign of life before the clock is looked at again.
const PATIENCE: Duration = Duration::from_millis(50);

/// How a run came to rest.
pub(super) struct Rest {
    pub(super) batch: Option<Map<String, Value>>,
    pub(super) in_time: bool,
}

impl Run {
    pub(super) async fn come_to_rest(
        &self,
        scenario: &Scenario,
        batch_id: &str,
        started: Instant,
        director: &mut Director,
    ) -> Result<Rest, SetupError> {
        let deadline = started + scenario.expect.within.0;
        let mut batch = None;
        let mut looked_after = None;
        loop {
            if let Some(failure) = director.failure() {
                return Err(failure);
            }
            // Looked at only after something has happened since the last look; asked before it, so
            // that what happens meanwhile counts as new.
            let last = self.activity.last();
            if looked_after != Some(last) {
                let looking = Instant::now();
                batch = batch_document(&self.clients, &self.props.collection, batch_id).await?;
                looked_after = Some(last);
                // A large batch's document is long: reading it must not be what the run is about.
                tokio::time::sleep(looking.elapsed() * LOOKS_APART).await;
            }
            self.phase.is(format!("{} of {} completions", self.completions.acknowledged(), self.players.len()));
            let quiet = self.activity.quiet_for();
            let in_time = Instant::now() < deadline;
            // A completion may be on record and its answer lost: it comes once more, and belongs to the batch.
            let patience = if self.completions.is_idle() { AFTERMATH } else { scenario.expect.quiet.0.max(AFTERMATH) };
            let own = self.done.as_ref().map(|done| batch.as_ref().is_some_and(|batch| done.is_over(batch)));
            let ended = match status(&batch) {
                _ if director.is_acting() => false,
                _ if own.is_some_and(|is_over| is_over) => quiet >= AFTERMATH,
                _ if own.is_some() => self.is_dead(scenario),
                "failed" => quiet >= patience,
                "complete" => {
                    quiet >= patience && !self.inbox.received().is_empty() || quiet >= scenario.expect.quiet.0
                }
                // One long statement may run, and gives no sign of life until it ends.
                "consolidating" => scenario.expect.quiet_consolidation.is_some_and(|patience| quiet >= patience.0),
                _ => self.is_dead(scenario),
            };
            if ended || !in_time {
                let last = batch_document(&self.clients, &self.props.collection, batch_id).await?;
                // A machine that is short of breath shows no sign of life for a while, and goes on.
                if in_time && status(&last) != status(&batch) {
                    batch = last;
                    self.activity.note();
                    continue;
                }
                if ended && in_time && director.act_at_rest().await? {
                    continue;
                }
                if in_time && !self.schedule_is_done() {
                    self.activity.next(PATIENCE).await;
                    continue;
                }
                let batch = last;
                return Ok(Rest { batch, in_time });
            }
            self.activity.next(PATIENCE).await;
        }
    }

    /// Whether everything that was pushed is acknowledged, nothing is on its way and nothing has
    /// happened for as long as the scenario waits: what has not come by now does not come.
    fn is_dead(&self, scenario: &Scenario) -> bool {
        let asked = self.requests.iter().map(|door| door.acknowledged()).sum::<usize>();
        self.completions.acknowledged().max(asked) >= self.players.len()
            && self.completions.is_idle()
            && self.requests.iter().all(|door| door.is_idle())
            && self.activity.quiet_for() >= scenario.expect.quiet.0
    }
}

fn status(batch: &Option<Map<String, Value>>) -> &str {
    batch.as_ref().and_then(|batch| batch.get("status")).and_then(Value::as_str).unwrap_or_default()
}
