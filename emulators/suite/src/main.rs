//! The services alone, without the harness: what the container image runs.
//!
//! Takes `--port N` (default 8080; 0 picks one), `--project ID` and `--data-dir FOLDER`, prints
//! the variables that point programs at it and `# ready`, and serves until SIGINT or SIGTERM.

use std::io::Write as _;
use std::process::ExitCode;

use scrimmage_suite::Builder;
use scrimmage_suite::Suite;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: scrimmage-suite [--port N] [--project ID] [--data-dir FOLDER]";

fn main() -> ExitCode {
    let served = read(std::env::args().skip(1)).and_then(|builder| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        runtime.block_on(serve(builder))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("scrimmage-suite: {problem}");
            ExitCode::from(2)
        }
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Builder, String> {
    let mut builder = Suite::builder().port(8080);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} wants a value; {USAGE}"))?;
        builder = match name.as_str() {
            "--port" => builder.port(value.parse().map_err(|_| format!("`{value}` is not a port; {USAGE}"))?),
            "--project" => builder.project(value),
            "--data-dir" => builder.data_dir(value),
            _ => return Err(format!("unknown argument {name}; {USAGE}")),
        };
    }
    Ok(builder)
}

async fn serve(builder: Builder) -> Result<(), String> {
    // Before it is ready: as the first process of a container it gets no default action of a signal.
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let suite = builder.start().await.map_err(|error| error.to_string())?;
    let mut text: String = suite.env().iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    text.push_str("# ready\n");
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    drop(stdout);
    written.map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    suite.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = String> {
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn what_it_does_not_know_it_says() {
        assert!(read(words("--port 0 --project demo")).is_ok());
        for wrong in ["--port", "--port x", "--prot 1", "up"] {
            let problem = read(words(wrong)).expect_err("a mistake");
            assert!(problem.ends_with(USAGE), "{problem}");
        }
    }
}
