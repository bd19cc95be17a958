//! A batch whose completions come as a load: the workers' own completion events are caught at the door,
//! and once all are there published again, each at its intended moment. What is measured is the pipeline's
//! own endpoint behind push, whatever its events look like.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use scrimmage_load::arrival::Arrival;
use scrimmage_load::live::publish::{Published, publish};
use scrimmage_load::pushed::Event;
use tokio::task::JoinHandle;

use super::{Outcome, Phase, Run, Setting};
use crate::SetupError;
use crate::scenario::Scenario;

/// A run, and what became of its events.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    /// From the first intended moment to the last thing that happened.
    pub batch: Duration,
}

/// Dropping it ends the publishing.
struct Publishing(JoinHandle<Result<Vec<Published>, SetupError>>);

impl Drop for Publishing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a healthy batch with its completions as a load.
pub async fn rehearse_loaded(
    setting: &Setting,
    scenario: &Scenario,
    arrival: &Arrival,
    phase: &Phase,
) -> Result<Loaded, SetupError> {
    let begun = Instant::now();
    let start = setting.pipeline.process(&setting.pipeline.batch.start.process)?;
    let Some(push) = &start.push else {
        let problem = format!("nothing is pushed to `{}`: its completions do not come by push", start.name);
        return Err(SetupError::prepare(format!("pipeline `{}`", setting.pipeline.name), problem));
    };
    let mut run = Run::set_up(setting, scenario, None).await?;
    run.phase = phase.clone();
    run.completions.catch();
    let topic = format!("projects/{}/topics/{}", run.clients.project, run.props.topic_id(&push.topic));
    let url = run.stage.observer_url().await?;
    let mut publishing = run.publish_again(url, topic, arrival);
    let judged = match run.play(setting, scenario).await {
        Ok(judged) => judged,
        Err(error) => {
            // The first error is the one to tell.
            let _ = run.end().await;
            return Err(error);
        }
    };
    // A batch that ended without them has none.
    let published = if publishing.0.is_finished() {
        (&mut publishing.0).await.map_err(|error| SetupError::prepare("the completions", error))??
    } else {
        Vec::new()
    };
    let (events, batch) = run.became_of(&published);
    run.end().await?;
    Ok(Loaded { outcome: run.outcome(setting, scenario, None, judged, begun.elapsed()), events, batch })
}

impl Run {
    fn publish_again(&self, url: String, topic: String, arrival: &Arrival) -> Publishing {
        let (door, activity) = (self.completions.clone(), self.activity.clone());
        let starts = arrival.starts(self.players.len());
        Publishing(tokio::spawn(async move {
            let payloads = door.caught(starts.len()).await;
            activity.mark("all completions are caught and published again");
            let endpoint = url.strip_prefix("http://").unwrap_or(&url);
            publish(endpoint, &topic, starts.into_iter().zip(payloads).collect()).await.map_err(SetupError::Load)
        }))
    }

    /// Of each event, when it was acknowledged and how often it was delivered; and how long the batch took.
    fn became_of(&self, published: &[Published]) -> (Vec<Event>, Duration) {
        let mut delivered: HashMap<String, (u64, Option<Instant>)> = HashMap::new();
        for exchange in self.completions.exchanges() {
            let Some(message) = &exchange.message else { continue };
            let (deliveries, acknowledged) = delivered.entry(message.id.clone()).or_default();
            *deliveries += 1;
            if exchange.is_acknowledged() {
                acknowledged.get_or_insert(exchange.at);
            }
        }
        let event = |one: &Published| {
            let (deliveries, acknowledged) = delivered.get(&one.message_id).copied().unwrap_or_default();
            Event { latency: acknowledged.map(|at| at.saturating_duration_since(one.intended)), deliveries }
        };
        let first = published.iter().map(|one| one.intended).min();
        let batch = first.zip(self.course.get()).map(|(first, course)| course.end.saturating_duration_since(first));
        (published.iter().map(event).collect(), batch.unwrap_or_default())
    }
}
