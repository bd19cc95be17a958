//! A workshop for tests of the program: a layout of its own with one scenario and one pipeline.

#![allow(dead_code, reason = "each test file uses what it needs")]

use rustix::process::{Signal, kill_process, test_kill_process_group};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SCENARIO: &str = r#"title = "One"
incident = "2026-01-01"
catches = ["bug"]

[batch]
players = 2
arrival = { burst = 2 }
game_date = "2026-01-01"

[expect]
within = "5s"
breaks = { bug = ["keys-unique"] }
"#;

pub struct Bench {
    folder: TempDir,
}

/// A process, or the group that it leads.
#[derive(Clone, Copy, Debug)]
pub struct Pid(rustix::process::Pid);

impl Pid {
    pub fn of(child: &Child) -> Pid {
        Pid(rustix::process::Pid::from_child(child))
    }

    pub fn send(self, signal: Signal) {
        kill_process(self.0, signal).expect("the process is there");
    }

    /// Whether no process of the group runs any more. One that has ended and waits for somebody to
    /// ask how does not count: whoever starts last in a container may never ask.
    fn is_gone(self) -> bool {
        let Ok(processes) = std::fs::read_dir("/proc") else { return test_kill_process_group(self.0).is_err() };
        let group = self.0.as_raw_nonzero().to_string();
        let stats =
            processes.filter_map(Result::ok).filter_map(|one| std::fs::read_to_string(one.path().join("stat")).ok());
        !stats.into_iter().any(|stat| {
            // pid (name, which may hold anything) state parent group …
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            fields.next() != Some("Z") && fields.nth(1) == Some(&group)
        })
    }

    pub fn wait_until_gone(self) {
        wait_for("the process group to end", || self.is_gone().then_some(()));
    }
}

/// Looks until there is something, for a minute at most.
pub fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited too long for {what}");
}

impl Bench {
    /// One good scenario; the pipeline is yet to be written.
    pub fn new() -> Bench {
        let bench = Bench { folder: TempDir::new().expect("a temporary folder") };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        std::fs::create_dir_all(bench.path("scenarios")).expect("a folder");
        std::fs::create_dir_all(bench.path("fixtures/players")).expect("a folder");
        std::fs::create_dir_all(bench.path("fixtures/schemas")).expect("a folder");
        for entry in std::fs::read_dir(fixtures.join("schemas")).expect("the schemas") {
            let entry = entry.expect("a file");
            let copy = bench.path("fixtures/schemas").join(entry.file_name());
            std::fs::copy(entry.path(), copy).expect("a copy");
        }
        bench.scenario(str::to_owned);
        bench
    }

    /// Writes a file, and the folders above it where they are missing.
    pub fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let file = self.path(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, bytes).expect("written");
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).expect("it is there")
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    /// Rewrites the scenario.
    pub fn scenario(&self, change: impl Fn(&str) -> String) {
        std::fs::write(self.path("scenarios/one.toml"), change(SCENARIO)).expect("written");
    }

    /// A pipeline of one server, which is this shell script.
    pub fn pipeline(&self, script: &str, ready_within: &str) {
        self.pipeline_with_command(&format!("[\"/bin/sh\", \"-c\", {script:?}]"), ready_within);
    }

    /// A pipeline of one server with this command, as TOML.
    pub fn pipeline_with_command(&self, command: &str, ready_within: &str) {
        let text = format!(
            "name = \"bench\"\n\n[defects]\nknown = [\"bug\"]\n\n[[process]]\nname = \"server\"\ncommand = {command}\n\
             ready = \"/health\"\nready_within = \"{ready_within}\"\n\n[batch]\nstart = {{ process = \"server\", path = \
             \"/start\" }}\ncollection = \"batches\"\nannouncement = \"done\"\n"
        );
        std::fs::write(self.path("pipeline.toml"), text).expect("written");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scrimmage"));
        command.args(arguments).current_dir(self.folder.path());
        if self.path("pipeline.toml").is_file() {
            command.args(["--pipeline", "pipeline.toml"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs the program to its end: exit code and stderr.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).stderr(Stdio::piped()).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// The server's process group, once it has written it down.
    pub fn wait_for_pid(&self) -> Pid {
        wait_for("the server to start", || {
            let text = std::fs::read_to_string(self.path("pid")).ok()?;
            rustix::process::Pid::from_raw(text.trim().parse().ok()?).map(Pid)
        })
    }
}
