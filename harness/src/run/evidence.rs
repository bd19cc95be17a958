//! Gathers the end state.

use super::Run;
use super::rest::Rest;
use crate::SetupError;
use crate::front_door::Message;
use crate::observe::{
    EndState, MainRow, Plan, batches_of_date, main_rows, old_staging_tables, staged_keys, staging_tables,
};
use crate::scenario::Scenario;

impl Run {
    pub(super) async fn gather(
        &self,
        scenario: &Scenario,
        batch_id: String,
        rest: Rest,
        seeded: Vec<MainRow>,
    ) -> Result<EndState, SetupError> {
        let (clients, props) = (&self.clients, &self.props);
        let game_date = &scenario.batch.game_date;
        // A fault of the scenario must not hinder the observers.
        self.stage.clear_faults();
        if self.done.is_some() {
            // What else there is only the scenario's own checks know.
            let (log, in_time) = (self.log.lines(), rest.in_time);
            return Ok(EndState { batch_id, batch: rest.batch, log, in_time, ..EndState::default() });
        }
        let (main, mut staging_tables, old_staging, batches_of_date) = futures::try_join!(
            main_rows(clients, props, game_date),
            staging_tables(clients, &props.dataset, &props.tables.staging_prefix),
            old_staging_tables(clients, props),
            batches_of_date(clients, &props.collection, game_date),
        )?;
        // What was there before is not of this batch.
        let orphans: Vec<String> = props.orphans(scenario.batch.orphans).collect();
        staging_tables.retain(|table| !orphans.contains(table));
        let staged_keys = staged_keys(clients, props, &staging_tables).await?;
        let player = |message: &Message| message.content["player_lookup"].as_str().map(str::to_owned);
        let exchanges = self.completions.exchanges();
        let acknowledged = exchanges.iter().filter(|exchange| exchange.is_acknowledged());
        let reported = exchanges.iter().filter_map(|exchange| exchange.message.as_ref());
        Ok(EndState {
            plan: Plan {
                players: self.players.clone(),
                predictions_per_player: scenario.batch.predictions_per_player,
                consolidation: scenario.expect.consolidation,
                within: format!("{:?}", scenario.expect.within.0),
            },
            batch_id,
            batch: rest.batch,
            batches_of_date,
            acknowledged: acknowledged.filter_map(|exchange| player(exchange.message.as_ref()?)).collect(),
            reported: reported
                .filter_map(|message| Some((player(message)?, message.content["predictions"].as_i64()?)))
                .collect(),
            staged_tables: self.requests.iter().map(|door| door.acknowledged()).sum::<usize>() - self.silent_heard(),
            seeded,
            main,
            staging_tables,
            old_staging,
            staged_keys,
            announcements: self.inbox.received(),
            log: self.log.lines(),
            in_time: rest.in_time,
        })
    }
}

impl Run {
    /// How many requests were acknowledged for players who never report: these staged nothing.
    fn silent_heard(&self) -> usize {
        let of_silent = |message: &Message| {
            message.content["player_lookup"].as_str().is_some_and(|player| self.silent.iter().any(|one| one == player))
        };
        let ids: std::collections::BTreeSet<String> = self
            .requests
            .iter()
            .flat_map(|door| door.exchanges())
            .filter(|exchange| exchange.is_acknowledged())
            .filter_map(|exchange| exchange.message.filter(of_silent).map(|message| message.id))
            .collect();
        ids.len()
    }
}
