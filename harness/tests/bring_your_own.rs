//! The walk-through of docs/bring-your-own.md, as it stands: its files are written, its commands run.

#![allow(clippy::expect_used, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What a reader does, in order.
#[derive(Debug)]
enum Step {
    Write {
        file: String,
        text: String,
    },
    Run {
        command: String,
        fails: bool,
    },
    /// The output of the last command has these words in this order.
    Read(String),
}

/// Code blocks of the document: a file where the line before names one, commands where the block is `sh`,
/// output where it is `text`.
fn steps(document: &str) -> Vec<Step> {
    let (mut steps, mut before) = (Vec::new(), "");
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            before = line;
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let text = block.join("\n");
        let named = before.strip_prefix('`').and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
        match (kind, named) {
            ("sh", _) => steps.push(Step::Run { command: text, fails: false }),
            ("sh fails", _) => steps.push(Step::Run { command: text, fails: true }),
            ("text", _) => steps.push(Step::Read(text)),
            (_, Some(file)) => steps.push(Step::Write { file: file.to_owned(), text: text + "\n" }),
            _ => {}
        }
        before = "";
    }
    steps
}

fn has_node() -> bool {
    let version = Command::new("node").arg("--version").stderr(Stdio::null()).output();
    let text = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok()) >= Some(18)
}

/// Words that a machine's speed changes are left out of the comparison.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().filter(|word| word.parse::<f64>().is_err()).collect()
}

fn run(folder: &Path, command: &str) -> (bool, String) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_scrimmage"));
    let mut path = vec![program.parent().expect("a folder").to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let output = Command::new("sh")
        .args(["-e", "-c", command])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).expect("a path"))
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_walk_through_catches_the_race_and_then_does_not() {
    if !has_node() {
        println!("skipped: there is no Node 18 or newer");
        return;
    }
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bring-your-own.md"));
    let steps = steps(&document.expect("the document"));
    let folder = TempDir::new().expect("a temporary folder");
    let (mut said, mut ran, mut compared) = (String::new(), 0, 0);
    for step in steps {
        match step {
            Step::Write { file, text } => std::fs::write(folder.path().join(file), text).expect("written"),
            Step::Run { command, fails } => {
                let (succeeded, text) = run(folder.path(), &command);
                assert_eq!(succeeded, !fails, "{command}\n{text}");
                (said, ran) = (text, ran + 1);
            }
            Step::Read(expected) => {
                for line in expected.lines() {
                    let (wanted, said_words) = (words(line), words(&said));
                    let found = said_words.windows(wanted.len()).any(|window| window == wanted);
                    assert!(found, "`{line}` is not in what it says:\n{said}");
                }
                compared += 1;
            }
        }
    }
    assert_eq!((ran, compared), (2, 2), "the document has a race that is caught, and a fix that holds");
    let page = std::fs::read_to_string(folder.path().join("race.html")).expect("the report");
    assert!(page.contains("votes of tallies/2026-01-01 is 1, not 12"), "the evidence is in the report");
}
