//! What can be wrong in a `pipeline.toml` beyond the types of its keys.

use std::collections::BTreeMap;

use super::Pipeline;
use crate::mistakes::did_you_mean;

/// What stands in braces for something of the run.
const PLACEHOLDERS: [&str; 7] = ["project", "dataset", "table", "collection", "bin", "defect", "predictions"];

/// Behind a text to look for: where it stands for the second time.
pub(super) const AGAIN: char = '\u{0}';

/// An error is the text to look for in the file, and what is wrong.
pub(super) fn check(pipeline: &Pipeline) -> Result<(), (String, String)> {
    let wrong = |text: &str, problem: String| Err((text.to_owned(), problem));
    if pipeline.build.as_ref().is_some_and(|build| build.cargo.is_some() == build.python.is_some()) {
        return wrong("[build", "give [build] one of cargo and python".to_owned());
    }
    if pipeline.processes.is_empty() {
        return wrong("process", "there is no process: give it a [[process]]".to_owned());
    }
    let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
    for process in &pipeline.processes {
        let name = format!("\"{}\"", process.name);
        if seen.insert(&process.name, ()).is_some() {
            // The second is the one that is too many.
            let problem = format!("there are two processes `{}`: a name is for one", process.name);
            return Err((format!("name = {name}{AGAIN}"), problem));
        }
        if process.command.is_empty() && process.image.is_none() {
            let problem = format!("process `{}` is nothing to start: give it a command or an image", process.name);
            return wrong(&name, problem);
        }
        if process.instances == 0 {
            return wrong("instances", format!("process `{}` has no instances", process.name));
        }
        if let Err(problem) = process.run.model(process.instances) {
            return wrong("run", format!("process `{}`: run.{problem}", process.name));
        }
        if !process.ready.starts_with('/') {
            let problem = format!("ready is a path such as \"/health\", not `{}`", process.ready);
            return wrong(&format!("\"{}\"", process.ready), problem);
        }
        if let Some(push) = process.push.as_ref().filter(|push| !push.path.starts_with('/')) {
            let problem = format!("push.path is a path such as \"/push\", not `{}`", push.path);
            return wrong(&format!("\"{}\"", push.path), problem);
        }
        let most = process.run.model(process.instances).map_or(1, |model| model.max_instances);
        if let Some(port) = process.port.filter(|_| most > 1) {
            let problem = format!("process `{}` has {most} instances, which cannot all listen at {port}", process.name);
            return wrong(&format!("port = {port}"), problem);
        }
        for part in &process.command {
            placeholders(part)?;
        }
    }
    for value in pipeline.environment.values().chain(pipeline.defects.environment.values()) {
        placeholders(value)?;
    }
    let start = &pipeline.batch.start.process;
    if !pipeline.processes.iter().any(|process| process.name == *start) {
        let known: Vec<&str> = pipeline.processes.iter().map(|process| process.name.as_str()).collect();
        let guess = did_you_mean(start, known.iter().copied());
        let problem =
            format!("batch.start names process `{start}`{guess}, which there is not; there are {}", known.join(", "));
        return wrong("start", problem);
    }
    if let Err(problem) = pipeline.batch.start.body("2026-01-01", &[], "") {
        return wrong("body", format!("batch.start: {problem}"));
    }
    if let Some(tables) = &pipeline.tables {
        let file = pipeline.folder.join(&tables.sql);
        if !file.is_file() {
            return wrong("sql", format!("there is no file {}", file.display()));
        }
        if !pipeline.is_own() {
            let problem =
                "[tables] is for a pipeline with a `batch.done` of its own; this one has the reference tables";
            return wrong("[tables]", problem.to_owned());
        }
    }
    if pipeline.batch.announcement.is_empty() && !pipeline.is_own() {
        let problem = "give [batch] an announcement as the reference pipeline has it, or a done of its own";
        return wrong("[batch]", problem.to_owned());
    }
    Ok(())
}

/// Words in braces that are nearly a placeholder; others may be the pipeline's own affair.
fn placeholders(value: &str) -> Result<(), (String, String)> {
    for word in value.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word) {
        let name = word.split_once(':').map_or(word, |(name, _)| name);
        let of_topic = word.contains(':');
        let known: &[&str] = if of_topic { &["topic"] } else { &PLACEHOLDERS };
        if known.contains(&name) {
            continue;
        }
        let guess = did_you_mean(name, known.iter().copied());
        if !guess.is_empty() {
            return Err((format!("{{{word}}}"), format!("`{{{word}}}` stands for nothing{guess}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_nearly_a_placeholder_is_taken_for_a_slip() {
        for fine in ["{project}", "{topic:votes}", "plain", "{\"json\": 1}", "{", "{}", "{my_own_thing}"] {
            assert_eq!(placeholders(fine), Ok(()), "{fine}");
        }
        let (text, problem) = placeholders("x-{colection}").expect_err("a slip");
        assert_eq!(
            (text.as_str(), problem.as_str()),
            ("{colection}", "`{colection}` stands for nothing (did you mean `collection`?)")
        );
        assert!(placeholders("{topics:votes}").is_err());
    }
}
