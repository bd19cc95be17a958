//! Pipelines whose processes are containers. Each test skips, with its reason, where there is no engine.

#![allow(clippy::expect_used, reason = "a test may")]

mod bench;
mod images;

use bench::{Bench, wait_for};
use images::{Image, containers};
use rstest::rstest;
use scrimmage::layout::Layout;
use scrimmage::report::{Widths, line};
use scrimmage::run::{Setting, Verdict, rehearse};
use scrimmage::scenario::find;
use scrimmage::stage::containers::engine;
use std::path::Path;
use tempfile::TempDir;

/// One after the other: they count containers.
static MACHINE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// Where cargo has put the programs.
fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_scrimmage")).parent().expect("a folder")
}

fn of_this_test() -> String {
    format!("scrimmage-{}-", std::process::id())
}

/// The reference pipeline, with its programs in containers.
fn in_containers(text: &str, coordinator: &str, worker: &str) -> String {
    let (before, build) = text.split_once("[build.cargo]").expect("it is built");
    let rest = &build[build.find("[environment]").expect("it has an environment")..];
    let without_build = format!("{before}{rest}");
    [("coordinator", coordinator), ("worker", worker)].iter().fold(without_build, |text, (program, image)| {
        let command = format!("command = [\"{{bin}}/{program}\"]");
        assert!(text.contains(&command), "the {program} is started from its file");
        text.replace(&command, &format!("image = {image:?}"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_containers_is_killed_and_comes_back() {
    if let Err(reason) = engine().await {
        return eprintln!("skipped: {reason}");
    }
    let _turn = MACHINE.acquire().await.expect("never closed");
    let layout = Layout::find().expect("scenarios and fixtures");
    // Builds the programs.
    Setting::prepare(layout.clone(), "rust", &|text| eprintln!("{text}")).await.expect("the pipeline is built");
    let images = ["coordinator", "worker"].map(|program| Image::of(&programs().join(program), &[]));
    let [Some(coordinator), Some(worker)] = &images else { return };
    let text = std::fs::read_to_string(layout.pipeline("rust")).expect("the reference pipeline");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("pipeline.toml");
    std::fs::write(&file, in_containers(&text, &coordinator.name, &worker.name)).expect("written");
    let setting = Setting::prepare(layout.clone(), &file.to_string_lossy(), &|text| eprintln!("{text}")).await;
    let setting = setting.expect("a good description, and the images are there");
    let scenario = find(&layout, "restart-mid-batch").expect("a good scenario");
    for (defect, expected) in [(None, Verdict::Holds), (Some("state-in-memory"), Verdict::Caught)] {
        let outcome = rehearse(&setting, &scenario, defect).await.expect("the run takes place");
        assert_eq!(outcome.verdict, expected, "{}", line(&outcome, Widths::default()));
    }
    assert_eq!(containers(&of_this_test()), "", "none is left when a run is over");
}

#[rstest]
#[case::killed(true)]
#[case::interrupted(false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_harness_that_ends_leaves_no_process_in_a_container_behind(#[case] at_once: bool) {
    if let Err(reason) = engine().await {
        return eprintln!("skipped: {reason}");
    }
    let _turn = MACHINE.acquire().await.expect("never closed");
    // It listens, and is never ready.
    let Some(image) = Image::of(&programs().join("scrimmage"), &["up", "--port"]) else { return };
    let bench = Bench::new();
    bench.pipeline("true", "60s");
    let text = bench.read("pipeline.toml");
    let command = text.lines().find(|line| line.starts_with("command = ")).expect("it has a command").to_owned();
    bench.write(
        "pipeline.toml",
        &text.replace(&command, &format!("command = [\"{{port}}\"]\nimage = {:?}", image.name)),
    );
    let mut harness = bench.start(&["run", "one", "--healthy"]);
    let of_harness = format!("scrimmage-{}-", harness.id());
    wait_for("the container", || images::running(&of_harness).then_some(()));
    if at_once {
        harness.kill().expect("SIGKILL");
    } else {
        bench::Pid::of(&harness).send(rustix::process::Signal::TERM);
    }
    harness.wait().expect("it ends");
    wait_for("the container to go", || containers(&of_harness).is_empty().then_some(()));
}
