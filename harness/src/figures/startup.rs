//! From process start to all services answering, and what an idle process holds.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{Figure, median};
use crate::SetupError;
use crate::clients::local_http;

const STARTS: usize = 5;

struct Started {
    child: Child,
    address: String,
    /// When `# ready` was read.
    ready: Duration,
}

pub(super) async fn figures() -> Result<Vec<Figure>, SetupError> {
    // Made beforehand: reading the machine's certificates is no part of the start.
    let http = local_http();
    let (mut answering, mut ready, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begun = Instant::now();
        let mut started = start(begun).await?;
        all_answer(&http, &started.address).await?;
        answering.push(begun.elapsed().as_secs_f64() * 1_000.0);
        ready.push(started.ready.as_secs_f64() * 1_000.0);
        memory.push(resident_megabytes(&started.child).unwrap_or(f64::NAN));
        let _ = started.child.kill().await;
    }
    Ok(vec![
        Figure::new("process start to `# ready`", median(&ready), "ms", None),
        Figure::new("process start to all services answering", median(&answering), "ms", Some(50.0)),
        Figure::new("idle memory", median(&memory), "MB", Some(60.0)),
    ])
}

fn failed(problem: impl std::fmt::Display) -> SetupError {
    SetupError::Stage(format!("`scrimmage up`: {problem}"))
}

async fn start(begun: Instant) -> Result<Started, SetupError> {
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["up", "--port", "0"]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take().ok_or_else(|| failed("it has no output"))?;
    let mut lines = BufReader::new(stdout).lines();
    let mut address = None;
    while let Some(line) = lines.next_line().await.map_err(failed)? {
        if let Some(host) = line.strip_prefix("export FIRESTORE_EMULATOR_HOST=") {
            address = Some(host.to_owned());
        }
        if line == "# ready" {
            let address = address.ok_or_else(|| failed("it names no address"))?;
            return Ok(Started { child, address, ready: begun.elapsed() });
        }
    }
    Err(failed("it ended before it was ready"))
}

/// One real request to each service; an error answer is an answer.
async fn all_answer(http: &reqwest::Client, address: &str) -> Result<(), SetupError> {
    let address: SocketAddr = address.parse().map_err(failed)?;
    let urls = [
        format!("http://{address}/admin/health"),
        format!("http://{address}/v1/projects/scrimmage/databases/(default)/documents/a/b"),
        format!("http://{address}/v1/projects/scrimmage/topics"),
        format!("http://{address}/bigquery/v2/projects/scrimmage/datasets"),
    ];
    futures::future::try_join_all(urls.iter().map(|url| http.get(url).send())).await.map_err(failed)?;
    Ok(())
}

/// What the kernel says the process has in memory.
fn resident_megabytes(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1_024.0)
}
