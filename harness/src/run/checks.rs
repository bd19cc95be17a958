//! The invariants that a scenario brings along, held against what is there.

use serde_json::Value;
use std::collections::BTreeSet;

use super::{Judged, Run};
use crate::SetupError;
use crate::invariants::Finding;
use crate::observe::{EndState, document, run_statement};
use crate::scenario::{Looks, Scenario};

/// The topics whose messages are to be counted.
pub(super) fn counted_topics(scenario: &Scenario) -> BTreeSet<&str> {
    let looks = scenario.checks.iter().map(|check| &check.looks);
    let topics = looks.filter_map(|looks| if let Looks::Messages { topic, .. } = looks { Some(topic) } else { None });
    topics.map(String::as_str).collect()
}

impl Run {
    pub(super) async fn examine(&self, scenario: &Scenario, state: &EndState) -> Result<Vec<Judged>, SetupError> {
        let mut judged = Vec::new();
        for check in &scenario.checks {
            let finding = self.look(&check.looks, &scenario.batch.game_date, state).await?;
            judged.push(Judged { name: check.name.clone().into(), finding });
        }
        Ok(judged)
    }

    async fn look(&self, looks: &Looks, game_date: &str, state: &EndState) -> Result<Finding, SetupError> {
        Ok(match looks {
            Looks::Rows { sql, rows } => {
                let statement = self.props.spelled_out(sql, &self.clients.project, game_date);
                match run_statement(&self.clients, &statement).await {
                    Ok(found) => {
                        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                        let found: Vec<Vec<String>> =
                            found.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
                        held(found == *rows, || format!("the query gives {found:?}, not {rows:?}"))
                    }
                    Err(problem) => Finding::Broken(problem),
                }
            }
            Looks::Field { document: path, field, is } => {
                let path = self.props.spelled_out(path, &self.clients.project, game_date);
                let path = path.replace("{batch}", &state.batch_id);
                let found = document(&self.clients, &path).await?;
                let value = found.as_ref().map_or(&Value::Null, |fields| fields.get(field).unwrap_or(&Value::Null));
                held(value == is, || match &found {
                    Some(_) => format!("{field} of {path} is {value}, not {is}"),
                    None => format!("there is no document {path}"),
                })
            }
            Looks::Messages { topic, count } => {
                let found = self.inbox.counted(topic);
                held(count.admits(found), || format!("{found} messages on topic {topic}, not {count}"))
            }
            Looks::Lines { pattern, process, count } => {
                let of = |name: &str| process.as_ref().is_none_or(|process| name.starts_with(process.as_str()));
                let matching = state.log.iter().filter(|line| of(&line.process) && pattern.is_match(&line.text));
                let found: Vec<&str> = matching.map(|line| line.text.as_str()).collect();
                let first = found.first().map(|line| format!("; the first: {line}")).unwrap_or_default();
                held(count.admits(found.len()), || format!("{} lines match, not {count}{first}", found.len()))
            }
        })
    }
}

fn held(holds: bool, evidence: impl FnOnce() -> String) -> Finding {
    if holds { Finding::Holds } else { Finding::Broken(evidence()) }
}
