//! The stock Python clients against `scrimmage up`, unchanged but for environment variables.
//!
//! Runs where Python and the package index are reachable, and says why where it does not.

#![allow(clippy::expect_used, reason = "a test may")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

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

/// `scrimmage up`, ended when dropped.
struct Up {
    child: Child,
    environment: Vec<(String, String)>,
}

impl Up {
    fn start() -> Up {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scrimmage"))
            .args(["up", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("piped");
        let mut environment = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("a line");
            if line == "# ready" {
                break;
            }
            let exported = line.strip_prefix("export ").expect("an export");
            let (name, value) = exported.split_once('=').expect("name and value");
            environment.push((name.to_owned(), value.to_owned()));
        }
        Up { child, environment }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_stock_clients_do_what_the_pipeline_does() {
    let python = match virtual_environment() {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIPPED: {reason}");
            eprintln!("SKIPPED: {reason}");
            return;
        }
    };
    let up = Up::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/clients.py");
    let output = Command::new(python)
        .arg(script)
        .envs(up.environment.iter().map(|(name, value)| (name, value)))
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the script runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    println!("{stdout}");
}
