//! `gcloud pubsub` against `scrimmage up`, told by environment variables alone.
//!
//! Runs where gcloud is, and says why where it is not.

#![allow(clippy::expect_used, reason = "a test may")]

mod served;

use std::process::{Command, Stdio};

use served::Served;

/// gcloud with a configuration of its own: it remembers what it was told of other servers.
struct Gcloud<'a> {
    up: &'a Served,
    configuration: tempfile::TempDir,
}

impl Gcloud<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("gcloud");
        command
            .arg("--quiet")
            .args(arguments)
            .envs(self.up.environment())
            .env("CLOUDSDK_CONFIG", self.configuration.path())
            .env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
            .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
            .stdin(Stdio::null());
        command
    }

    /// What it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("gcloud runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gcloud {}: {said}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What it complains of.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("gcloud runs");
        assert!(!output.status.success(), "gcloud {} should fail", arguments.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

#[test]
fn gcloud_publishes_pulls_and_deletes() {
    let found = Command::new("gcloud").arg("--version").stdin(Stdio::null()).output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: there is no gcloud");
        return;
    }
    let up = Served::in_memory();
    let gcloud = Gcloud { up: &up, configuration: tempfile::tempdir().expect("a folder") };
    gcloud.run(&["pubsub", "topics", "create", "requests"]);
    let again = gcloud.refused(&["pubsub", "topics", "create", "requests"]);
    assert!(again.contains("Resource already exists in the project (resource=requests)."), "{again}");
    gcloud.run(&["pubsub", "subscriptions", "create", "workers", "--topic=requests", "--ack-deadline=60"]);
    let shown = gcloud.run(&["pubsub", "subscriptions", "describe", "workers", "--format=value(ackDeadlineSeconds)"]);
    assert_eq!(shown, "60");
    gcloud.run(&["pubsub", "topics", "publish", "requests", "--message=hello", "--attribute=kind=greeting"]);
    let format = "--format=value(message.data.decode(\"base64\"),message.attributes.kind)";
    let pulled = gcloud.run(&["pubsub", "subscriptions", "pull", "workers", "--auto-ack", format]);
    assert_eq!(pulled.split_whitespace().collect::<Vec<_>>(), ["hello", "greeting"]);
    gcloud.run(&["pubsub", "topics", "delete", "requests"]);
    let shown = gcloud.run(&["pubsub", "subscriptions", "describe", "workers", "--format=value(topic)"]);
    assert_eq!(shown, "_deleted-topic_");
}
