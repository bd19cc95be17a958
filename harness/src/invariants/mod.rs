//! Named predicates over an observed end state.
//!
//! Each looks at one thing only and says nothing where its subject does not exist: a batch whose
//! completions were lost cannot complete, and that is one finding, not two. So with a defect exactly
//! those break that name its harm.

mod announcement;
mod counting;
mod logging;
mod rows;
mod staging;

use crate::observe::EndState;

/// What an invariant found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    Holds,
    /// With the evidence.
    Broken(String),
    /// Its subject does not exist here; why.
    Moot(String),
}

impl Finding {
    pub fn is_broken(&self) -> bool {
        matches!(self, Finding::Broken(_))
    }

    fn broken(evidence: impl Into<String>) -> Finding {
        Finding::Broken(evidence.into())
    }

    fn moot(reason: impl Into<String>) -> Finding {
        Finding::Moot(reason.into())
    }
}

/// One of the catalogue.
#[derive(Debug)]
pub struct Invariant {
    pub name: &'static str,
    pub holds_when: &'static str,
    pub judge: fn(&EndState) -> Finding,
}

/// All of them, in the order of a batch's life.
pub const CATALOGUE: &[Invariant] = &[
    Invariant {
        name: "one-batch-per-date",
        holds_when: "there is at most one batch for the game date",
        judge: counting::one_batch_per_date,
    },
    Invariant {
        name: "no-acked-loss",
        holds_when: "no completion was acknowledged with a 2xx and then not recorded",
        judge: counting::no_acked_loss,
    },
    Invariant {
        name: "completions-counted-once",
        holds_when: "completed_players is exactly the expected set and total_predictions is the sum over players",
        judge: counting::completions_counted_once,
    },
    Invariant {
        name: "map-keys-are-players",
        holds_when: "predictions_by_player, where kept, has exactly one flat key a recorded player",
        judge: counting::map_keys_are_players,
    },
    Invariant {
        name: "batch-completes",
        holds_when: "is_complete within the deadline, all completions being in",
        judge: counting::batch_completes,
    },
    Invariant {
        name: "bounded-wait",
        holds_when: "no claim on a consolidation outlives its owner and its stated budget",
        judge: staging::bounded_wait,
    },
    Invariant {
        name: "batch-consolidates",
        holds_when: "the consolidation of a complete batch ends as the scenario lets it",
        judge: staging::batch_consolidates,
    },
    Invariant {
        name: "no-row-lost",
        holds_when: "every staged key is in the main table once it is consolidated; no key is in neither",
        judge: rows::no_row_lost,
    },
    Invariant {
        name: "keys-unique",
        holds_when: "no business key twice among active rows, NULL lines included",
        judge: rows::keys_unique,
    },
    Invariant {
        name: "every-system-active",
        holds_when: "each player and system that has rows has an active one",
        judge: rows::every_system_active,
    },
    Invariant {
        name: "identity-kept",
        holds_when: "prediction_id and created_at are unchanged by an update, updated_at has moved",
        judge: rows::identity_kept,
    },
    Invariant {
        name: "staging-kept-on-failure",
        holds_when: "a consolidation that failed or touched no row leaves every staging table, and the batch says failed",
        judge: staging::staging_kept_on_failure,
    },
    Invariant {
        name: "staging-cleaned-on-success",
        holds_when: "a consolidation that succeeded leaves no staging table",
        judge: staging::staging_cleaned_on_success,
    },
    Invariant {
        name: "no-old-staging",
        holds_when: "no staging table of any batch is older than a day",
        judge: staging::no_old_staging,
    },
    Invariant {
        name: "phase5-exactly-once",
        holds_when: "one message a consolidated batch, after the rows are readable, with status and count that match",
        judge: announcement::exactly_once,
    },
    Invariant {
        name: "phase5-never-on-failure",
        holds_when: "no message for a batch that was not consolidated",
        judge: announcement::never_on_failure,
    },
    Invariant {
        name: "one-export-a-batch",
        holds_when: "the announcement reaches the next phase by one subscription",
        judge: announcement::one_export_a_batch,
    },
    Invariant {
        name: "milestones-logged",
        holds_when: "every step that was taken is visible in the captured log",
        judge: logging::milestones_logged,
    },
];

/// Some names for people: the first few, and how many more there are.
fn some_of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<T> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
pub(crate) mod examples {
    //! An end state to take apart in tests.

    use serde_json::json;

    use crate::observe::{Announcement, EndState, MainRow, Plan};
    use crate::pipeline::{LogLine, Stream};

    /// Two players, two predictions each, everything as it should be.
    pub(crate) fn healthy() -> EndState {
        let players = ["o'neale", "p.j.-tucker"];
        let row = |player: &str, line: Option<&str>| MainRow {
            key: vec![Some("g".into()), Some(player.into()), Some("s".into()), line.map(Into::into)],
            identity: vec![Some(format!("{player}-{line:?}")), Some("then".into())],
            touched: None,
            is_active: true,
        };
        let log = |milestone: &str, player: Option<&str>| {
            let fields = json!({ "milestone": milestone, "player_lookup": player });
            LogLine {
                at: std::time::Duration::ZERO,
                process: "coordinator".into(),
                stream: Stream::Stdout,
                text: fields.to_string(),
                fields: Some(fields),
            }
        };
        let mut lines: Vec<LogLine> = players.iter().map(|player| log("completion_recorded", Some(player))).collect();
        let steps = [
            "batch_started",
            "requests_published",
            "batch_complete",
            "consolidation_started",
            "merge_done",
            "staging_dropped",
            "phase5_published",
        ];
        lines.extend(steps.iter().map(|step| log(step, None)));
        EndState {
            plan: Plan {
                players: players.map(str::to_owned).to_vec(),
                predictions_per_player: 2,
                within: "20s".into(),
                ..Plan::default()
            },
            batch_id: "b".into(),
            batch: json!({
                "status": "complete", "is_complete": true, "completed_players": players, "failed_players": [],
                "total_predictions": 4, "predictions_by_player": { "o'neale": 2, "p.j.-tucker": 2 }, "rows_affected": 4,
            })
            .as_object()
            .cloned(),
            batches_of_date: 1,
            acknowledged: players.map(str::to_owned).into(),
            reported: players.map(|player| (player.to_owned(), 2)).into(),
            staged_tables: 2,
            main: players.iter().flat_map(|player| [row(player, None), row(player, Some("13.5"))]).collect(),
            announcements: vec![Announcement {
                message_id: "1".into(),
                content: json!({ "status": "success", "batch_id": "b", "count": 4 }),
                rows_readable: 4,
                subscriptions: ["s".to_owned()].into(),
            }],
            log: lines,
            in_time: true,
            ..EndState::default()
        }
    }

    #[test]
    fn a_healthy_end_state_breaks_nothing() {
        let state = healthy();
        for one in super::CATALOGUE {
            assert!(!(one.judge)(&state).is_broken(), "{}: {:?}", one.name, (one.judge)(&state));
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = super::CATALOGUE.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), super::CATALOGUE.len());
    }
}
