//! The stock Node clients against `scrimmage up`, unchanged but for environment variables.
//!
//! Runs where Node and the package index are reachable, and says why where it does not.

#![allow(clippy::expect_used, reason = "a test may")]

mod served;

use rstest::rstest;
use served::Served;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const FILES: [(&str, &str); 5] = [
    ("package.json", include_str!("node/package.json")),
    ("check.mjs", include_str!("node/check.mjs")),
    ("firestore.mjs", include_str!("node/firestore.mjs")),
    ("pubsub.mjs", include_str!("node/pubsub.mjs")),
    ("bigquery.mjs", include_str!("node/bigquery.mjs")),
];

/// A folder below cargo's target folder with the scripts and what they need, installed once for each
/// version of `package.json`. An error is the reason to skip.
fn installed() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-clients");
    std::fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    for (name, text) in FILES {
        std::fs::write(place.join(name), text).map_err(|error| error.to_string())?;
    }
    let stamp = place.join("installed.json");
    let wanted = FILES[0].1;
    if !std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        let quiet = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
        run(Command::new("npm").args(quiet).current_dir(&place)).map_err(|why| format!("npm install: {why}"))?;
        std::fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
    }
    Ok(place)
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no reason given").to_owned())
}

#[rstest]
fn the_stock_clients_do_what_the_readme_claims(
    #[values("firestore.mjs", "pubsub.mjs", "bigquery.mjs")] script: &'static str,
) {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let place = match INSTALLED.get_or_init(installed) {
        Ok(place) => place,
        Err(reason) => {
            println!("SKIPPED: {reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
    };
    let up = Served::in_memory();
    let output = Command::new("node")
        .arg(script)
        .current_dir(place)
        .envs(up.environment())
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .stdin(Stdio::null())
        .output()
        .expect("node runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {stdout}\n{stderr}");
    println!("{stdout}");
}
