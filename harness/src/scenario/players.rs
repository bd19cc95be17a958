//! Who plays: a fixture, a list, or made-up names.

use serde::Deserialize;

use super::read_toml;
use crate::SetupError;
use crate::layout::Layout;

/// The `players` of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged, expecting = "players is a fixture's name, a list of names, or how many to make up")]
pub enum Players {
    Count(usize),
    List(Vec<String>),
    Fixture(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    players: Vec<String>,
}

impl Players {
    /// The names themselves.
    pub fn names(&self, layout: &Layout) -> Result<Vec<String>, SetupError> {
        match self {
            Players::Count(count) => Ok((1..=*count).map(made_up).collect()),
            Players::List(names) => Ok(names.clone()),
            Players::Fixture(name) => {
                let file = layout.players(name);
                if !file.is_file() {
                    let guess = crate::layout::guess_beside(&file, name);
                    return Err(SetupError::NoFixture { what: "players fixture", name: name.clone(), guess, file });
                }
                Ok(read_toml::<Fixture>(&file)?.players)
            }
        }
    }
}

/// A name for every number, of the shapes that real lookups have: each number its own.
fn made_up(number: usize) -> String {
    const FIRST: [&str; 10] = ["al", "bo", "cy", "d'andre", "eli", "franz", "gus", "j.r.", "karl-anton", "nikola"];
    const LAST: [&str; 10] =
        ["adams", "brown", "carter-jr", "dončić", "ewing", "fox", "green", "hill-ii", "irving", "jokić"];
    let first = FIRST[number % FIRST.len()];
    let last = LAST[number / FIRST.len() % LAST.len()];
    let era = number / (FIRST.len() * LAST.len());
    if era == 0 { format!("{first}-{last}") } else { format!("{first}-{last}-{era}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn two_thousand_made_up_players_are_two_thousand() {
        let names: HashSet<String> = (1..=2_000).map(made_up).collect();
        assert_eq!(names.len(), 2_000);
    }
}
