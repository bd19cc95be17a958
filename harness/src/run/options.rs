//! What the user may ask of a run beyond what its scenario says, and how far it is.

use std::sync::{Arc, Mutex, PoisonError};

use scrimmage_core::Rng;
use scrimmage_core::faults::Nth;

use super::Setting;
use crate::faults::FaultEntry;
use crate::scenario::{Scenario, When};
use crate::stage::StageKind;

/// Of all runs of a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Fixes what is left to chance: the order of the players and so of all deliveries, moments that
    /// the scenario leaves open, which calls a fault with a probability hits, ids that the services
    /// give. 0 is the order that the scenario has.
    pub seed: u64,
    /// How many calls an [`Outcome`](super::Outcome) keeps for a report; `None`: no record is kept.
    pub record_calls: Option<usize>,
}

/// How far a run is, in a few words. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Phase(Arc<Mutex<String>>);

impl Phase {
    pub(super) fn is(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The players in the order of a seed; 0 leaves them as they are.
pub(super) fn in_order_of(seed: u64, mut players: Vec<String>) -> Vec<String> {
    if seed != 0 {
        Rng::stream(seed, "players").shuffle(&mut players);
    }
    players
}

/// The faults with what a scenario leaves open decided: moments, and which calls a probability hits.
pub(super) fn decided(seed: u64, faults: &[FaultEntry], players: usize) -> Vec<FaultEntry> {
    let mut moments = Rng::stream(seed, "moments");
    let mut faults = faults.to_vec();
    for fault in &mut faults {
        if fault.when == When::AnyCompletion {
            let before_the_last = players.saturating_sub(1).max(1);
            fault.when = When::Completions(1 + usize::try_from(moments.below(before_the_last as u64)).unwrap_or(0));
        }
        if let Some(Nth::Chance { seed: own, .. }) = fault.gate.as_mut().and_then(|gate| gate.on.nth.as_mut()) {
            *own ^= seed;
        }
    }
    faults
}

impl Setting {
    /// The one command that makes a run again.
    pub(super) fn repeat(&self, scenario: &Scenario, defect: Option<&str>) -> String {
        let in_catalogue = scenario.file.parent().is_some_and(|folder| folder == self.layout.scenarios());
        let file = scenario.file.display().to_string();
        let named = if in_catalogue { &scenario.name } else { &file };
        let defect = defect.map_or_else(|| "--healthy".to_owned(), |defect| format!("--defect {}", quoted(defect)));
        let pipeline = quoted(&self.pipeline_argument);
        let stage = match self.stage {
            StageKind::Embedded => String::new(),
            other => format!(" --stage {}", other.name()),
        };
        format!("scrimmage run {} {defect} --pipeline {pipeline} --seed {}{stage}", quoted(named), self.options.seed)
    }
}

/// As a shell takes it for one word.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_orders_the_players_always_alike() {
        let players = || (0..40).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(in_order_of(0, players()), players());
        assert_eq!(in_order_of(7, players()), in_order_of(7, players()));
        assert_ne!(in_order_of(7, players()), in_order_of(8, players()));
        let mut sorted = in_order_of(7, players());
        sorted.sort_by_key(|one| one.parse::<u32>().ok());
        assert_eq!(sorted, players());
    }

    #[test]
    fn a_seed_decides_what_a_scenario_leaves_open() {
        let open = FaultEntry { when: When::AnyCompletion, kill: Some("worker".into()), ..FaultEntry::default() };
        let faults = vec![open; 8];
        let moments = |seed| decided(seed, &faults, 40).into_iter().map(|fault| fault.when).collect::<Vec<_>>();
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
        assert!(moments(7).iter().all(|when| matches!(when, When::Completions(1..40))));
        assert!(decided(7, &faults, 1).iter().all(|fault| fault.when == When::Completions(1)));
    }

    #[test]
    fn a_command_survives_the_shell() {
        assert_eq!(quoted("scenarios/one.toml"), "scenarios/one.toml");
        assert_eq!(quoted("my file's"), "'my file'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
