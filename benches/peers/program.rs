//! A measured program as a child process, which never outlives this one's interest in it, and what
//! the kernel says that it uses.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Result;

/// A running program, the leader of a process group; dropping it kills the whole group.
#[derive(Debug)]
pub struct Program {
    child: Child,
    group: Pid,
    log: PathBuf,
    /// When it was started.
    pub begun: Instant,
}

impl Program {
    /// Starts it; what it says goes to the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Program> {
        let failed = |error: std::io::Error| format!("{}: {error}", command_name(&log.to_string_lossy()));
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let said = File::create(log).map_err(failed)?;
        let said_too = said.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(said).stderr(said_too).process_group(0);
        let begun = Instant::now();
        let child = command.spawn().map_err(failed)?;
        let group = Pid::from_child(&child);
        Ok(Program { child, group, log: log.to_owned(), begun })
    }

    /// Fails once it has ended, with the last that it said.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(2).collect();
                Err(format!("it ended ({status}): {}", last.join(" / ")))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// What its processes have in memory, in MB.
    pub fn resident_megabytes(&self) -> f64 {
        let kilobytes = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        self.processes().iter().filter_map(kilobytes).sum::<f64>() / 1_024.0
    }

    /// The processor time that its processes have used, to the hundredth of a second.
    pub fn processor_time(&self) -> Duration {
        let ticks = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // pid (name, which may hold anything) state …; user and system time are the 12th and 13th after it.
            let mut times = stat.rsplit(')').next()?.split_whitespace().skip(11);
            let mut next = || times.next()?.parse::<u64>().ok();
            Some(next()? + next()?)
        };
        let ticks: u64 = self.processes().iter().filter_map(ticks).sum();
        // Linux shows programs a hundred ticks a second, whatever it counts in itself.
        Duration::from_millis(ticks * 10)
    }

    /// Its process group.
    fn processes(&self) -> Vec<u32> {
        let group = self.group.as_raw_nonzero().to_string();
        let Ok(all) = fs::read_dir("/proc") else { return vec![self.child.id()] };
        let is_of_group = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.split_whitespace().nth(2) == Some(group.as_str()))
        };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(is_of_group).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn command_name(log: &str) -> &str {
    log.rsplit('/').next().unwrap_or(log).trim_end_matches(".log")
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// Folder of this run's logs and environments, beside the build's outputs.
pub fn work_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2).ok_or("this program has no folder")?;
    Ok(target.join("peers"))
}
