//! Who is measured: Scrimmage and its peers, how each is started and what version it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::program::{Program, free_port, work_folder};

const START_LIMIT: Duration = Duration::from_secs(90);

/// One program that can be started on a port of the loopback address.
#[derive(Clone)]
pub struct Subject {
    pub name: &'static str,
    pub version: String,
    command: Arc<dyn Fn(u16) -> Result<Command> + Send + Sync>,
}

/// A subject at work.
#[derive(Debug)]
pub struct Running {
    pub program: Program,
    /// `127.0.0.1:N`.
    pub address: String,
}

impl Subject {
    pub fn new(
        name: &'static str,
        version: String,
        command: impl Fn(u16) -> Result<Command> + Send + Sync + 'static,
    ) -> Subject {
        Subject { name, version, command: Arc::new(command) }
    }

    /// Starts it and returns as soon as its port takes connections.
    pub async fn start(&self) -> Result<Running> {
        let port = free_port()?;
        let log = work_folder()?.join(format!("{}.log", self.name.to_lowercase()));
        let mut program = Program::start((self.command)(port)?, &log)?;
        let address = format!("127.0.0.1:{port}");
        let deadline = Instant::now() + START_LIMIT;
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            program.still_runs()?;
            if Instant::now() > deadline {
                return Err(format!("nothing listens on its port after {} s", START_LIMIT.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Running { program, address })
    }
}

impl Running {
    /// Asks again until it is answered: a port may take connections before there is a service behind it.
    pub async fn first_answer<T>(&mut self, ask: impl AsyncFn(&str) -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let problem = match ask(&self.address).await {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            self.program.still_runs()?;
            if Instant::now() > deadline {
                return Err(format!("no answer after {} s: {problem}", START_LIMIT.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// `scrimmage up` of the given program, or of the one beside this.
pub fn ours(given: Option<PathBuf>) -> Result<Subject> {
    let program = match given {
        Some(program) => program,
        None => std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("scrimmage"),
    };
    if !program.is_file() {
        return Err(format!(
            "there is no {}: build it (`cargo build --release`) or name one with --scrimmage",
            program.display()
        ));
    }
    let version = said(Command::new(&program).arg("--version")).unwrap_or_else(|_| "unknown version".to_owned());
    let version = version.trim_start_matches("scrimmage ").to_owned();
    Ok(Subject::new("Scrimmage", version, move |port| {
        let mut command = Command::new(&program);
        command.args(["up", "--port", &port.to_string()]);
        Ok(command)
    }))
}

/// Google's Firestore emulator, out of the Google Cloud SDK.
pub fn google_firestore() -> Result<Subject> {
    let jar = sdk()?.join("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar");
    if !jar.is_file() {
        return Err("the SDK has no cloud-firestore-emulator (`gcloud components install` it)".to_owned());
    }
    let version = component("cloud-firestore-emulator");
    java(jar, version, "com.google.cloud.datastore.emulator.firestore.CloudFirestore")
}

/// Google's Pub/Sub emulator, out of the Google Cloud SDK.
pub fn google_pubsub() -> Result<Subject> {
    let folder = sdk()?.join("platform/pubsub-emulator/lib");
    let jars = std::fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_emulator = |jar: &PathBuf| {
        let name = jar.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("cloud-pubsub-emulator-") && name.ends_with("-all.jar")
    };
    let jar = jars.filter(is_emulator).max();
    let jar = jar.ok_or("the SDK has no pubsub-emulator (`gcloud components install` it)")?;
    java(jar, component("pubsub-emulator"), "com.google.cloud.pubsub.testing.v1.Main")
}

fn java(jar: PathBuf, version: String, main: &'static str) -> Result<Subject> {
    let java = said(Command::new("java").arg("-version")).map_err(|why| format!("there is no Java: {why}"))?;
    let java = java.lines().next().unwrap_or_default().to_owned();
    Ok(Subject::new("Google", format!("{version} on {java}"), move |port| {
        let mut command = Command::new("java");
        command.arg("-Duser.language=en").arg("-cp").arg(&jar).arg(main);
        command.args(["--host=127.0.0.1", &format!("--port={port}")]);
        Ok(command)
    }))
}

fn sdk() -> Result<PathBuf> {
    let root = said(Command::new("gcloud").args(["info", "--format=value(installation.sdk_root)"]));
    let root = root.map_err(|why| format!("there is no gcloud, which would say where it is: {why}"))?;
    Ok(Path::new(root.trim()).to_owned())
}

/// The installed version of a component of the SDK.
fn component(name: &str) -> String {
    let listed = said(Command::new("gcloud").args(["version", "--format=json"]));
    let listed = listed.ok().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let version = listed.and_then(|listed| Some(listed.get(name)?.as_str()?.to_owned()));
    version.unwrap_or_else(|| "unknown version".to_owned())
}

/// What a command prints, on either output.
pub fn said(command: &mut Command) -> Result<String> {
    let output = command.stdin(std::process::Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    let text = String::from_utf8_lossy(text).trim().to_owned();
    if output.status.success() { Ok(text) } else { Err(last_line(&output.stderr)) }
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().last().unwrap_or("it gave no reason").to_owned()
}
