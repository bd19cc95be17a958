//! One instance of a process: started in a process group of its own, captured, ended for certain.

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::log::{CapturedLog, Stream};
use super::watchdog;
use crate::SetupError;
use crate::engine;
use crate::run_model::{Launcher, Running};

/// Becomes the program at a word, which is given when the watchdog knows of it. Without it, because
/// the harness has been killed in between, it ends: no moment is left in which a process could be missed.
const ON_A_WORD: &str = r#"read -r word && exec "$@" </dev/null"#;

/// Everything needed to start an instance, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: Arc<str>,
    pub(crate) command: Vec<String>,
    /// The container image that it is; then the command is what the image's program is given.
    pub(crate) image: Option<String>,
    /// Where it listens; `None`: at a port that is free, which it is told.
    pub(crate) port: Option<u16>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) folder: std::path::PathBuf,
    /// A path that answers with a 2xx once the process can work.
    pub(crate) ready: String,
    pub(crate) ready_within: Duration,
}

/// A running instance; dropping it kills its whole process group.
#[derive(Debug)]
pub(crate) struct Instance {
    group: Option<Pid>,
    port: u16,
    /// How it ended, once it has and its last words are captured.
    ended: watch::Receiver<Option<String>>,
}

impl Recipe {
    /// Starts an instance on a free port and waits until it is ready.
    pub(crate) async fn start(&self, log: &CapturedLog, http: &reqwest::Client) -> Result<Instance, SetupError> {
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
        let port = self.port.map_or_else(free_port, Ok).map_err(|error| failed(error.to_string()))?;
        let container = self.image.as_ref().map(|_| engine::new_name());
        let command = self.command_line(container.as_deref());
        let with_port = |text: &String| text.replace("{port}", &port.to_string());
        let (program, arguments) = command.split_first().ok_or_else(|| failed("its command is empty".to_owned()))?;
        self.find(program).map_err(|error| failed(format!("{program}: {error}")))?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", ON_A_WORD, "sh", program]);
        shell.args(arguments.iter().map(with_port)).envs(&self.environment).env("PORT", port.to_string());
        shell.current_dir(&self.folder);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.process_group(0).kill_on_drop(true);
        if let Some(container) = &container {
            // Before it is there: whenever this process ends, the container does.
            watchdog::watch_container(container);
        }
        let mut child = shell.spawn().map_err(|error| failed(format!("{program}: {error}")))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            watchdog::watch(group.as_raw_nonzero().get());
        }
        let word = child.stdin.take();
        let mut capture = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            capture.push(log.follow(&self.name, Stream::Stdout, pipe));
        }
        if let Some(pipe) = child.stderr.take() {
            capture.push(log.follow(&self.name, Stream::Stderr, pipe));
        }
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            if let Some(mut word) = word {
                // A shell that has gone already is seen out like any other.
                let _ = word.write_all(b"go\n").await;
            }
            let how = see_out(child, group, container, capture).await;
            // Nobody may want to know any more.
            end.send_replace(Some(how));
        });
        Ok(Instance { group, port, ended })
    }

    /// The command, or the one that runs it in a container of this name.
    fn command_line(&self, container: Option<&str>) -> Vec<String> {
        match (&self.image, container) {
            (Some(image), Some(name)) => {
                let variables = self.environment.keys().map(String::as_str).chain(["PORT"]);
                engine::run_command(name, image, variables, &self.command)
            }
            _ => self.command.clone(),
        }
    }

    /// Looks for the program as the shell will, so that one that is not there is told in its own words.
    fn find(&self, program: &str) -> std::io::Result<()> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_found = if program.contains('/') {
            self.folder.join(program).exists()
        } else {
            std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        };
        if is_found { Ok(()) } else { Err(std::io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error())) }
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
                status = instance.gone() => {
                    return Err(SetupError::ExitedEarly {
                        process: self.name.to_string(),
                        status,
                        said: log.last_words_of(&self.name),
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
            said: log.last_words_of(&self.name),
        })
    }
}

/// Waits for the end of a process, ends what it leaves behind, and waits for the capture of its last
/// words.
async fn see_out(
    mut child: Child,
    group: Option<Pid>,
    container: Option<String>,
    capture: Vec<JoinHandle<()>>,
) -> String {
    const PATIENCE: Duration = Duration::from_secs(2);
    let status = child.wait().await;
    signal(group, Signal::KILL);
    if let Some(container) = &container {
        // What has ended is the program that waits for it: killed, it leaves the container running.
        engine::remove(container).await;
        watchdog::forget_container(container);
    }
    for follower in capture {
        // A grandchild that has left the group and holds the pipe open must not hold the run.
        let _ = tokio::time::timeout(PATIENCE, follower).await;
    }
    if let Some(group) = group {
        watchdog::forget(group.as_raw_nonzero().get());
    }
    status.map_or_else(|error| error.to_string(), describe)
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // A group that is gone already is what was wanted.
        let _ = kill_process_group(group, signal);
    }
}

/// "exit status: 2" without the words, or the signal.
fn describe(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[async_trait]
impl Running for Instance {
    fn port(&self) -> u16 {
        self.port
    }

    fn terminate(&self) {
        if self.ended.borrow().is_none() {
            signal(self.group, Signal::TERM);
        }
    }

    fn kill(&self) {
        if self.ended.borrow().is_none() {
            signal(self.group, Signal::KILL);
        }
    }

    async fn gone(&self) -> String {
        let mut ended = self.ended.clone();
        let how = ended.wait_for(Option::is_some).await.ok().and_then(|how| how.clone());
        match how {
            Some(how) => how,
            // The task that waits for it ends only with the runtime.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the instances of one service.
pub(super) struct Instances {
    pub(super) recipe: Recipe,
    /// Whether there may be more than one at a time: then they have numbers.
    pub(super) are_numbered: bool,
    pub(super) log: CapturedLog,
    pub(super) http: reqwest::Client,
}

#[async_trait]
impl Launcher for Instances {
    async fn launch(&self, number: u64) -> Result<Arc<dyn Running>, SetupError> {
        let mut recipe = self.recipe.clone();
        if self.are_numbered {
            recipe.name = format!("{}-{number}", recipe.name).into();
        }
        Ok(Arc::new(recipe.start(&self.log, &self.http).await?))
    }
}
