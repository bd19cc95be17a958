//! Puts rows of another run into the main table at the one moment when their keys are known and
//! the batch cannot be whole yet.

use std::sync::Arc;
use tokio::task::JoinHandle;

use super::Run;
use crate::SetupError;
use crate::observe::{MainRow, main_rows};
use crate::scenario::Scenario;

/// A seeding that waits for its moment. Dropping it gives it up.
pub(super) struct Seeding(JoinHandle<Result<Vec<MainRow>, SetupError>>);

impl Seeding {
    /// The rows that were there after it; none where its moment never came.
    pub(super) async fn rows(mut self) -> Result<Vec<MainRow>, SetupError> {
        if !self.0.is_finished() {
            return Ok(Vec::new());
        }
        (&mut self.0).await.map_err(|error| SetupError::prepare("rows of another run", error))?
    }
}

impl Drop for Seeding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Run {
    /// Holds the last completion back until every worker has staged its rows and the seed is in.
    pub(super) fn begin_seeding(&self, scenario: &Scenario) -> Option<Seeding> {
        let seed = scenario.seed?;
        let hold = self.players.len().saturating_sub(1);
        self.completions.hold_at(hold);
        let (clients, props, activity) = (self.clients.clone(), self.props.clone(), self.activity.clone());
        let (completions, requests) = (Arc::clone(&self.completions), self.requests.clone());
        let (players, game_date) = (self.players.len(), scenario.batch.game_date.clone());
        Some(Seeding(tokio::spawn(async move {
            for door in &requests {
                door.reached(players).await;
            }
            let seeded = match props.seed(&clients, seed).await {
                Ok(()) => main_rows(&clients, &props, &game_date).await,
                Err(error) => Err(error),
            };
            completions.release(hold);
            activity.mark("rows of another run are in the main table");
            seeded
        })))
    }
}
