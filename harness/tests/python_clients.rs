//! The stock Python clients against `scrimmage up`, unchanged but for environment variables.
//!
//! Runs where Python and the package index are reachable, and says why where it does not.

#![allow(clippy::expect_used, reason = "a test may")]

mod served;

use rstest::rstest;
use served::Served;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// With this a script says that something is not there, after it has said what.
const SKIPPED: i32 = 77;
const REQUIREMENTS: &str = include_str!("python/requirements.txt");

/// A virtual environment with the pinned requirements, below cargo's target folder; made once for
/// each version of the requirements. An error is the reason to skip.
fn virtual_environment() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-clients");
    let python = place.join("bin/python");
    let stamp = place.join("requirements.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))
        .map_err(|why| format!("no python3 with venv: {why}"))?;
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/requirements.txt");
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"];
    run(Command::new(&python).args(install).arg("--requirement").arg(requirements))
        .map_err(|why| format!("the package index is not reachable: {why}"))?;
    std::fs::write(&stamp, REQUIREMENTS).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(said.lines().last().unwrap_or("no reason given").to_owned())
}

#[rstest]
fn the_stock_clients_do_what_the_readme_claims(
    #[values(
        "clients.py",
        "firestore_clients.py",
        "firestore_pipelines.py",
        "pubsub_clients.py",
        "pubsub_texts.py",
        "pubsub_push.py",
        "bigquery_clients.py",
        "storage_write.py",
        "firestore_differential.py",
        "pubsub_differential.py"
    )]
    script: &str,
) {
    static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let python = match ENVIRONMENT.get_or_init(virtual_environment) {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIPPED: {reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
    };
    let up = Served::in_memory();
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script))
        .envs(up.environment())
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the script runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(SKIPPED) {
        eprintln!("{script}: {stdout}");
        return;
    }
    assert!(output.status.success(), "{script}: {stdout}\n{stderr}");
    println!("{stdout}");
}
