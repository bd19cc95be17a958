//! The scenario's scheduler: what it calls, and how a run with one gets its batch.

use serde_json::json;

use super::{Run, Setting};
use crate::SetupError;
use crate::scenario::Scenario;
use crate::scheduler::{Crew, ScheduleEntry, Target};

impl Run {
    /// Lets the scheduler begin; returns the batch's id as soon as it is started, `None` where the
    /// scheduler does not start it.
    pub(super) async fn begin_schedule(
        &self,
        setting: &Setting,
        scenario: &Scenario,
    ) -> Result<Option<String>, SetupError> {
        if scenario.schedules.is_empty() {
            return Ok(None);
        }
        let start = &setting.pipeline.batch.start;
        let mut jobs: Vec<(ScheduleEntry, Target)> = Vec::new();
        let mut starts = Vec::new();
        for entry in &scenario.schedules {
            let (process, path) =
                (entry.process.as_ref().unwrap_or(&start.process), entry.path.as_ref().unwrap_or(&start.path));
            let starts_it = *process == start.process && *path == start.path;
            let door = self
                .doors
                .get(process)
                .ok_or_else(|| SetupError::prepare("the schedule", format!("there is no process `{process}`")))?;
            let body = match &entry.body {
                Some(body) => body.clone(),
                None if starts_it => self.start.body().clone(),
                None => json!({}),
            };
            jobs.push((entry.clone(), Target { url: door.url(path), body }));
            starts.push(starts_it);
        }
        let crew = Crew::begin(jobs, self.stage.clock(), self.activity.clone());
        let crew = self.schedule.get_or_init(|| crew);
        if !starts.contains(&true) {
            return Ok(None);
        }
        let answer = crew.first_answer(|entry| starts.get(entry) == Some(&true)).await;
        let id = answer.as_ref().and_then(|answer| answer[start.id.as_str()].as_str()).map(str::to_owned);
        id.map(Some).ok_or_else(|| {
            let said = match answer {
                Some(answer) => format!("the answer {answer} has no {}", start.id),
                None => format!("no call was answered with a 2xx: {}", statuses(crew)),
            };
            let call = format!("POST {} of {}, by the scheduler", start.path, start.process);
            SetupError::NotStarted { call, problem: said }
        })
    }

    /// Whether the scheduler has nothing more to do.
    pub(super) fn schedule_is_done(&self) -> bool {
        self.schedule.get().is_none_or(Crew::is_done)
    }
}

fn statuses(crew: &Crew) -> String {
    let texts: Vec<String> = crew
        .calls()
        .iter()
        .map(|call| call.status.map_or("no answer".to_owned(), |status| status.to_string()))
        .collect();
    texts.join(", ")
}
