//! Rows that the main table holds before the batch is consolidated.

use serde::Deserialize;

/// Rows with the keys of this batch, written by another run. They are put in when every worker has
/// staged its rows and before the last completion gets through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Whose rows: `"all"`, or those of so many players.
    pub players: SeedPlayers,
    pub written: Written,
}

/// Whose rows are seeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged, expecting = "players is `\"all\"` or a number")]
pub enum SeedPlayers {
    Some(usize),
    All(All),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    All,
}

/// When the other run wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// The day before: the batch updates them.
    Earlier,
    /// Since: the batch has nothing newer to say.
    Later,
}
