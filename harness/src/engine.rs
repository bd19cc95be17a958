//! The container engine, through the `docker` program: whatever it talks to is the engine.
//!
//! Not through a library: it would bring an HTTP client and the engine's whole API for the few
//! commands that are needed. Containers use the machine's own network, so that what listens on the
//! loopback address only is reached, in both directions.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::process::Command;

use crate::SetupError;

pub(crate) const DOCKER: &str = "docker";

/// That there is an engine that answers.
pub async fn engine() -> Result<(), SetupError> {
    let answer = docker(&["version", "--format", "{{.Server.Version}}"]).await;
    answer.map_err(SetupError::NoEngine)
}

/// That an image is on this machine; the problem where it is not.
pub(crate) async fn present(image: &str) -> Result<(), String> {
    docker(&["image", "inspect", "--format", "{{.Id}}", image]).await
}

/// Fetches an image that is not on this machine yet; `tell` hears about it.
pub(crate) async fn fetch(image: &str, tell: &dyn Fn(&str)) -> Result<(), SetupError> {
    if present(image).await.is_ok() {
        return Ok(());
    }
    tell(&format!("pulling the image {image}"));
    docker(&["pull", "--quiet", image]).await.map_err(|problem| {
        SetupError::prepare(
            format!("the image `{image}`"),
            format!("it is not there, and does not come ({problem}); build it with `docker build -t {image} .`"),
        )
    })
}

/// A name for a container that no other has.
pub(crate) fn new_name() -> String {
    static CONTAINERS: AtomicU64 = AtomicU64::new(0);
    let number = CONTAINERS.fetch_add(1, Ordering::Relaxed) + 1;
    format!("scrimmage-{}-{number}", std::process::id())
}

/// The command that runs an image in a container of this name and stays until that ends. The variables
/// are taken from the command's own environment: their values are nobody else's business.
pub(crate) fn run_command<'a>(
    name: &str,
    image: &str,
    variables: impl Iterator<Item = &'a str>,
    arguments: &[String],
) -> Vec<String> {
    let options = [DOCKER, "run", "--rm", "--network", "host", "--label", "scrimmage", "--name", name];
    let mut command: Vec<String> = options.map(str::to_owned).to_vec();
    for variable in variables {
        command.extend(["--env".to_owned(), variable.to_owned()]);
    }
    command.push(image.to_owned());
    command.extend(arguments.iter().cloned());
    command
}

/// Ends a container at once and removes it; one that is not there is what was wanted.
pub(crate) async fn remove(name: &str) {
    let _ = docker(&["rm", "--force", name]).await;
}

async fn docker(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(DOCKER).args(arguments).output().await.map_err(|error| format!("{DOCKER}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_out_of_the_command() {
        let command = run_command("one", "mine:1", ["PORT", "TOPIC"].into_iter(), &["serve".to_owned()]);
        let text = command.join(" ");
        assert!(text.starts_with("docker run --rm --network host"), "{text}");
        assert!(text.ends_with("--name one --env PORT --env TOPIC mine:1 serve"), "{text}");
        assert_ne!(new_name(), new_name());
    }
}
