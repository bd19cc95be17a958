//! One instance of a process: started in a process group of its own, captured, ended for certain.

use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::log::{CapturedLog, Stream};
use super::watchdog;
use crate::SetupError;

/// Everything needed to start an instance, again and again.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) name: Arc<str>,
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) folder: std::path::PathBuf,
    pub(super) ready: String,
    pub(super) ready_within: Duration,
}

/// A running instance; dropping it kills its whole process group.
#[derive(Debug)]
pub(super) struct Instance {
    child: Child,
    group: Option<Pid>,
    pub(super) port: u16,
    capture: Vec<JoinHandle<()>>,
}

impl Recipe {
    /// Starts an instance on a free port and waits until it is ready.
    pub(super) async fn start(&self, log: &CapturedLog, http: &reqwest::Client) -> Result<Instance, SetupError> {
        const TRIES: usize = 3;
        for attempt in 1.. {
            let mut instance = self.spawn(log)?;
            match self.wait_until_ready(&mut instance, log, http).await {
                Ok(()) => return Ok(instance),
                // Between choosing a port and binding it somebody else may have taken it.
                Err(SetupError::ExitedEarly { said, .. }) if attempt < TRIES && said.contains("in use") => {}
                Err(error) => return Err(error),
            }
        }
        Err(SetupError::Spawn { process: self.name.to_string(), problem: "no port stays free".to_owned() })
    }

    fn spawn(&self, log: &CapturedLog) -> Result<Instance, SetupError> {
        watchdog::be_ready();
        let failed = |problem: String| SetupError::Spawn { process: self.name.to_string(), problem };
        let port = free_port().map_err(|error| failed(error.to_string()))?;
        let (program, arguments) =
            self.command.split_first().ok_or_else(|| failed("its command is empty".to_owned()))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(&self.environment).env("PORT", port.to_string());
        command.current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child =
            command.spawn().map_err(|error| failed(format!("{}: {error}", Path::new(program).display())))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            watchdog::watch(group.as_raw_nonzero().get());
        }
        let mut capture = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            capture.push(log.follow(&self.name, Stream::Stdout, pipe));
        }
        if let Some(pipe) = child.stderr.take() {
            capture.push(log.follow(&self.name, Stream::Stderr, pipe));
        }
        Ok(Instance { child, group, port, capture })
    }

    async fn wait_until_ready(
        &self,
        instance: &mut Instance,
        log: &CapturedLog,
        http: &reqwest::Client,
    ) -> Result<(), SetupError> {
        let url = format!("http://127.0.0.1:{}{}", instance.port, self.ready);
        let deadline = Instant::now() + self.ready_within;
        let mut pause = Duration::from_millis(2);
        let mut problem = String::new();
        while Instant::now() < deadline {
            tokio::select! {
                status = instance.child.wait() => {
                    instance.drain().await;
                    return Err(SetupError::ExitedEarly {
                        process: self.name.to_string(),
                        status: status.map_or_else(|error| error.to_string(), describe),
                        said: log.last_of(&self.name),
                    });
                }
                answer = http.get(&url).timeout(self.ready_within).send() => match answer {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => problem = format!("{} answers {}", self.ready, answer.status()),
                    Err(error) if error.is_connect() => problem = format!("nothing listens on port {}", instance.port),
                    Err(error) => problem = error.to_string(),
                },
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        Err(SetupError::NotReady {
            process: self.name.to_string(),
            within: self.ready_within,
            problem,
            said: log.last_of(&self.name),
        })
    }
}

/// "exit status: 2" without the words, or the signal.
fn describe(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Instance {
    /// SIGKILL to the group; returns when the process is gone and its last words are captured.
    pub(super) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
        self.drain().await;
        self.forget();
    }

    /// SIGTERM, ten seconds, SIGKILL.
    pub(super) async fn terminate(&mut self) {
        const GRACE: Duration = Duration::from_secs(10);
        self.signal(Signal::TERM);
        let _ = tokio::time::timeout(GRACE, self.child.wait()).await;
        self.kill().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that is gone already is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn forget(&mut self) {
        if let Some(group) = self.group.take() {
            watchdog::forget(group.as_raw_nonzero().get());
        }
    }

    /// Waits for the capture of what the process has written.
    async fn drain(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        for follower in self.capture.drain(..) {
            // A grandchild that holds the pipe open must not hold the run.
            let _ = tokio::time::timeout(PATIENCE, follower).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.forget();
    }
}
