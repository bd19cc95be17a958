//! Reading TOML files, with errors that name file, line and key.

use serde::de::DeserializeOwned;
use std::path::Path;

use super::{Arrival, Consolidation, InvariantChoice, Scenario, When};
use crate::SetupError;
use crate::invariants;
use crate::mistakes::{did_you_mean, with_a_guess};

/// Reads any TOML file of ours.
pub(crate) fn read_toml<T: DeserializeOwned>(file: &Path) -> Result<T, SetupError> {
    let text = std::fs::read_to_string(file).map_err(|error| SetupError::File {
        file: file.to_owned(),
        line: None,
        problem: error.to_string(),
    })?;
    toml::from_str(&text).map_err(|error| SetupError::File {
        file: file.to_owned(),
        line: error.span().map(|span| line_of(&text, span.start)),
        problem: with_a_guess(&error.message().replace('\n', " ")),
    })
}

/// Reads and checks a scenario.
pub(crate) fn read(file: &Path) -> Result<Scenario, SetupError> {
    let mut scenario: Scenario = read_toml(file)?;
    scenario.name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    scenario.file = file.to_owned();
    check(&scenario).map_err(|(key, problem)| SetupError::File {
        file: file.to_owned(),
        line: place(&key, file),
        problem,
    })?;
    Ok(scenario)
}

/// What the types cannot say; an error is the text to look for in the file, and what is wrong.
fn check(scenario: &Scenario) -> Result<(), (String, String)> {
    let own = || scenario.checks.iter().map(|check| check.name.as_str());
    let known = || invariants::CATALOGUE.iter().map(|one| one.name).chain(own()).collect::<Vec<_>>().join(", ");
    let is_known =
        |name: &String| invariants::CATALOGUE.iter().any(|one| one.name == name) || own().any(|own| own == name);
    let mut named: Vec<&String> = scenario.expect.breaks.values().flatten().collect();
    if let InvariantChoice::Listed(names) = &scenario.expect.invariants {
        named.extend(names);
    }
    if let Some(unknown) = named.into_iter().find(|name| !is_known(name)) {
        let guess = did_you_mean(unknown, invariants::CATALOGUE.iter().map(|one| one.name).chain(own()));
        return Err((unknown.clone(), format!("there is no invariant `{unknown}`{guess}; there are {}", known())));
    }
    for defect in &scenario.catches {
        if scenario.expect.breaks.get(defect).is_none_or(Vec::is_empty) {
            let problem = format!("`expect.breaks` does not say what `{defect}` breaks");
            return Err((defect.clone(), problem));
        }
    }
    if let Some(defect) = scenario.expect.breaks.keys().find(|defect| !scenario.catches.contains(defect)) {
        return Err((defect.clone(), format!("`expect.breaks` names `{defect}`, which `catches` does not")));
    }
    for (number, fault) in scenario.faults.iter().enumerate() {
        fault.check().map_err(|problem| (format!("{FAULT}{number}"), format!("fault {}: {problem}", number + 1)))?;
        fault.strikes_nothing()?;
        if fault.when == When::Completions(0) {
            return Err(("completions".to_owned(), "completions are counted from 1".to_owned()));
        }
    }
    check_names(scenario)?;
    for (number, schedule) in scenario.schedules.iter().enumerate() {
        schedule
            .check()
            .map_err(|problem| ("[[schedule]]".to_owned(), format!("schedule {}: {problem}", number + 1)))?;
    }
    let date = &scenario.batch.game_date;
    let is_date = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if !is_date {
        return Err(("game_date".to_owned(), format!("`{date}` is not a date such as 2026-01-01")));
    }
    let arrival = scenario.batch.arrival;
    if matches!(arrival, Arrival::Burst(0))
        || matches!(arrival, Arrival::PerSecond(rate) if rate.is_nan() || rate <= 0.0)
    {
        return Err(("arrival".to_owned(), "an arrival of nothing never ends".to_owned()));
    }
    if scenario.expect.consolidation == Consolidation::Fails && scenario.seed.is_none() && scenario.faults.is_empty() {
        let problem = "`consolidation = \"fails\"` needs a seed or a fault that makes it fail";
        return Err(("consolidation".to_owned(), problem.to_owned()));
    }
    Ok(())
}

/// Names that refer to one another.
fn check_names(scenario: &Scenario) -> Result<(), (String, String)> {
    let gates: Vec<&str> = scenario.faults.iter().filter_map(|fault| fault.gate.as_ref()?.name.as_deref()).collect();
    let follows = |pair: &[crate::faults::FaultEntry]| matches!(pair[0].when, When::Rest | When::Next);
    if scenario.faults.first().is_some_and(|fault| fault.when == When::Next)
        || scenario.faults.windows(2).any(|pair| pair[1].when == When::Next && !follows(pair))
    {
        let problem = "`when = \"next\"` goes right after an entry with `when = \"rest\"` or another \"next\"";
        return Err(("\"next\"".to_owned(), problem.to_owned()));
    }
    for fault in &scenario.faults {
        let awaited = match &fault.when {
            When::Held(name) => Some(name),
            _ => None,
        };
        if let Some(unknown) = awaited.into_iter().chain(&fault.lift).find(|name| !gates.contains(&name.as_str())) {
            let problem = format!("no fault at the gate is named `{unknown}`; there are {}", gates.join(", "));
            return Err((format!("\"{unknown}\""), problem));
        }
    }
    let mut names: Vec<&str> = invariants::CATALOGUE.iter().map(|one| one.name).collect();
    for check in &scenario.checks {
        if names.contains(&check.name.as_str()) {
            return Err((check.name.clone(), format!("there are two invariants `{}`", check.name)));
        }
        names.push(&check.name);
    }
    if scenario.catches.is_empty() && scenario.checks.is_empty() {
        let problem =
            "a scenario that catches nothing and checks nothing proves nothing: give it catches or a [[check]]";
        return Err(("catches".to_owned(), problem.to_owned()));
    }
    if scenario.batch.starts == 0 {
        return Err(("starts".to_owned(), "a batch that is never started never ends".to_owned()));
    }
    Ok(())
}

/// The lines that a text stands in, in what is no comment.
pub(crate) fn lines_where(file: &Path, text: &str) -> Vec<usize> {
    let content = std::fs::read_to_string(file).unwrap_or_default();
    let found = |line: &str| !line.trim_start().starts_with('#') && line.contains(text);
    content.lines().enumerate().filter(|(_, line)| found(line)).map(|(index, _)| index + 1).collect()
}

/// A text to look for in a scenario's file: of the fault with this number, counted from 0, where it is one.
fn place(key: &str, file: &Path) -> Option<usize> {
    match key.strip_prefix(FAULT).and_then(|number| number.parse::<usize>().ok()) {
        Some(number) => lines_where(file, FAULT).get(number).copied(),
        None => lines_where(file, key).first().copied(),
    }
}

const FAULT: &str = "[[fault]]";

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
