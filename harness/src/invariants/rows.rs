//! Rows of the main and the staging tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Finding, some_of};
use crate::observe::{EndState, Key, MainRow};

fn shown(key: &Key) -> String {
    let parts: Vec<&str> = key.iter().map(|part| part.as_deref().unwrap_or("NULL")).collect();
    parts.join("|")
}

/// How many keys name each of the players. In one pass: a batch of thousands has a hundred thousand keys.
fn rows_of<'a>(players: impl Iterator<Item = &'a str>, keys: &BTreeSet<&Key>) -> HashMap<&'a str, usize> {
    let mut rows: HashMap<&str, usize> = players.map(|player| (player, 0)).collect();
    for key in keys {
        for (at, part) in key.iter().enumerate() {
            // A key that names a player twice is one row.
            let Some(count) = part.as_deref().filter(|_| !key[..at].contains(part)).and_then(|part| rows.get_mut(part))
            else {
                continue;
            };
            *count += 1;
        }
    }
    rows
}

pub(super) fn no_row_lost(state: &EndState) -> Finding {
    let main: BTreeSet<&Key> = state.main.iter().map(|row| &row.key).collect();
    let somewhere: BTreeSet<&Key> = main.iter().copied().chain(&state.staged_keys).collect();
    // After a success the staging tables are no excuse any more.
    let where_to_look = if state.consolidated() { &main } else { &somewhere };
    let rows = rows_of(state.reported.keys().map(String::as_str), where_to_look);
    let mut lost = Vec::new();
    for (player, reported) in &state.reported {
        let found = rows.get(player.as_str()).copied().unwrap_or(0);
        let wanted = usize::try_from(*reported).unwrap_or(0);
        if found < wanted {
            lost.push(format!("{player} has {found} of {wanted} rows"));
        }
    }
    if lost.is_empty() { Finding::Holds } else { Finding::broken(some_of(lost)) }
}

pub(super) fn keys_unique(state: &EndState) -> Finding {
    let mut seen: BTreeMap<&Key, usize> = BTreeMap::new();
    for row in state.main.iter().filter(|row| row.is_active) {
        *seen.entry(&row.key).or_default() += 1;
    }
    let doubled: Vec<String> = seen
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(key, count)| format!("{} {count} times", shown(key)))
        .collect();
    if doubled.is_empty() { Finding::Holds } else { Finding::broken(some_of(doubled)) }
}

pub(super) fn every_system_active(state: &EndState) -> Finding {
    if !state.consolidated() {
        return Finding::moot("the consolidation has not succeeded");
    }
    // What the line is, is the last part of the key; what is before it must have a row that counts.
    let group = |row: &'_ MainRow| row.key.split_last().map(|(_, group)| group.to_vec()).unwrap_or_default();
    let active: BTreeSet<Key> = state.main.iter().filter(|row| row.is_active).map(group).collect();
    let all: BTreeSet<Key> = state.main.iter().map(group).collect();
    let dark: Vec<String> = all.difference(&active).map(shown).collect();
    if dark.is_empty() {
        return Finding::Holds;
    }
    Finding::broken(format!("{} of {} have no active row: {}", dark.len(), all.len(), some_of(dark)))
}

pub(super) fn identity_kept(state: &EndState) -> Finding {
    if state.seeded.is_empty() {
        return Finding::moot("the main table held no row of the batch's keys before");
    }
    let mut now: BTreeMap<&Key, Vec<&MainRow>> = BTreeMap::new();
    for row in &state.main {
        now.entry(&row.key).or_default().push(row);
    }
    let mut harmed = Vec::new();
    for before in &state.seeded {
        match now.get(&before.key).map(Vec::as_slice) {
            // Which of several rows is the old one is the business of keys-unique.
            Some([_, _, ..]) => {}
            None | Some([]) => harmed.push(format!("{} is gone", shown(&before.key))),
            Some([after]) if after.identity != before.identity => {
                harmed.push(format!("{} has another identity", shown(&before.key)));
            }
            Some([after]) if state.consolidated() && after.touched == before.touched => {
                harmed.push(format!("{} was not touched", shown(&before.key)));
            }
            Some([_]) => {}
        }
    }
    if harmed.is_empty() { Finding::Holds } else { Finding::broken(some_of(harmed)) }
}

#[cfg(test)]
mod tests {
    use super::super::examples::healthy;
    use super::*;

    #[test]
    fn a_row_in_neither_table_is_lost_and_a_staged_one_is_not() {
        let mut state = healthy();
        let row = state.main.pop().expect("a row");
        assert!(no_row_lost(&state).is_broken());
        state.staged_keys.insert(row.key);
        assert!(no_row_lost(&state).is_broken(), "a success leaves nothing in staging");
        state.batch = None;
        assert_eq!(no_row_lost(&state), Finding::Holds);
    }

    #[test]
    fn a_null_line_twice_is_a_duplicate() {
        let mut state = healthy();
        let row = state.main[0].clone();
        assert_eq!(row.key[3], None);
        state.main.push(MainRow { is_active: false, ..row.clone() });
        assert_eq!(keys_unique(&state), Finding::Holds);
        state.main.push(row);
        assert!(keys_unique(&state).is_broken());
    }

    #[test]
    fn a_system_without_an_active_row_is_noticed() {
        let mut state = healthy();
        assert_eq!(every_system_active(&state), Finding::Holds);
        for row in state.main.iter_mut().filter(|row| row.key[1].as_deref() == Some("o'neale")) {
            row.is_active = false;
        }
        assert!(every_system_active(&state).is_broken());
    }

    #[test]
    fn an_update_moves_updated_at_and_nothing_of_the_identity() {
        let mut state = healthy();
        state.seeded = vec![state.main[0].clone()];
        assert!(identity_kept(&state).is_broken(), "not touched");
        state.main[0].touched = Some("now".into());
        assert_eq!(identity_kept(&state), Finding::Holds);
        state.main[0].identity[0] = Some("another".into());
        assert!(identity_kept(&state).is_broken());
    }
}
