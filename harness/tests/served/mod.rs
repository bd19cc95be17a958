//! The program as a process of its own: `scrimmage up`, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running `scrimmage up`; dropping it kills it.
pub struct Served {
    child: Child,
    /// `http://127.0.0.1:N`.
    pub url: String,
}

impl Served {
    /// Starts the program on a free port, with its state in `folder`, and waits until it serves.
    pub fn start(folder: &Path) -> Served {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scrimmage"))
            .args(["up", "--port", "0", "--data-dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut url = None;
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        for line in stdout.lines() {
            let line = line.expect("text");
            if let Some(host) = line.strip_prefix("export FIRESTORE_EMULATOR_HOST=") {
                url = Some(format!("http://{host}"));
            }
            if line == "# ready" {
                break;
            }
        }
        Served { child, url: url.expect("it says where it listens") }
    }

    /// SIGKILL, and what is left of the process is gone when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
