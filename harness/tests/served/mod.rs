//! The program as a process of its own: `scrimmage up`, and how it ends.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running `scrimmage up`; dropping it kills it.
pub struct Served {
    child: Child,
    /// `http://127.0.0.1:N`.
    pub url: String,
    environment: Vec<(String, String)>,
}

impl Served {
    /// Starts the program on a free port, with its state in `folder`, and waits until it serves.
    pub fn start(folder: &Path) -> Served {
        Served::with(&["--data-dir", &folder.to_string_lossy()])
    }

    /// Starts the program on a free port and waits until it serves.
    pub fn in_memory() -> Served {
        Served::with(&[])
    }

    /// Starts the program on a free port with these further arguments and waits until it serves.
    pub fn with(arguments: &[&str]) -> Served {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scrimmage"))
            .args(["up", "--port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut environment = Vec::new();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        for line in stdout.lines() {
            let line = line.expect("text");
            if line == "# ready" {
                break;
            }
            if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
                environment.push((name.to_owned(), value.to_owned()));
            }
        }
        let url = environment.iter().find(|(name, _)| name == "SCRIMMAGE_URL");
        let url = url.expect("it says where it listens").1.clone();
        Served { child, url, environment }
    }

    /// The variables that it prints.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
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
