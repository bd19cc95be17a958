//! `scrimmage up` in a process of its own, to be measured from outside.

use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::SetupError;

/// A suite in a child process; dropping it ends the process.
pub(super) struct Served {
    child: Child,
    /// HOST:PORT of all services.
    pub(super) address: String,
    /// Kept open: a child that writes to nobody would end.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Served {
    /// Starts one on a free port.
    pub(super) async fn start() -> Result<Served, SetupError> {
        let failed = |problem: String| SetupError::Stage(format!("`scrimmage up`: {problem}"));
        let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(program);
        command.args(["up", "--port", "0"]).stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
        let mut lines = BufReader::new(stdout).lines();
        let mut address = None;
        while let Some(line) = lines.next_line().await.map_err(|error| failed(error.to_string()))? {
            if let Some(host) = line.strip_prefix("export FIRESTORE_EMULATOR_HOST=") {
                address = Some(host.to_owned());
            }
            if line == "# ready" {
                let address = address.ok_or_else(|| failed("it names no address".to_owned()))?;
                return Ok(Served { child, address, _stdout: lines });
            }
        }
        Err(failed("it ended before it was ready".to_owned()))
    }

    /// The process's number, as long as it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}
