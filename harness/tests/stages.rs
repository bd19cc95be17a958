//! Stages whose services are not in the harness: each test skips, with its reason, where what it needs
//! is not installed.

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
use scrimmage::stage::containers::{Images, engine};
use scrimmage::stage::{Installation, StageKind, StageOptions};
use std::path::Path;
use std::process::Command;

/// One after the other: each has Java machines or containers of its own.
static MACHINE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

async fn play(stage: StageKind, images: &Images, scenario: &str) {
    let layout = Layout::find().expect("scenarios and fixtures");
    let scenario = find(&layout, scenario).expect("a good scenario");
    let setting = Setting::prepare(layout, "rust", &|text| eprintln!("{text}")).await.expect("the pipeline is built");
    let options = StageOptions { images: images.clone(), ..StageOptions::default() };
    let setting = setting.on(stage, &options).await.expect("the stage starts");
    for defect in std::iter::once(None).chain(scenario.catches.iter().map(|defect| Some(defect.as_str()))) {
        let outcome = rehearse(&setting, &scenario, defect).await.expect("the run takes place");
        let expected = if defect.is_some() { Verdict::Caught } else { Verdict::Holds };
        assert_eq!(outcome.verdict, expected, "{}", line(&outcome, Widths::default()));
        assert_eq!(outcome.stage, stage.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_emulators_play_a_scenario() {
    if let Err(reason) = Installation::find() {
        return eprintln!("skipped: {reason}");
    }
    if !Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: there is no Java machine");
    }
    let _turn = MACHINE.acquire().await.expect("never closed");
    play(StageKind::Google, &Images::default(), "restart-mid-batch").await;
}

/// The services as an image.
fn services() -> Option<Image> {
    Image::of(Path::new(env!("CARGO_BIN_EXE_scrimmage")), &["up"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_ours_plays_a_scenario() {
    if let Err(reason) = engine().await {
        return eprintln!("skipped: {reason}");
    }
    let _turn = MACHINE.acquire().await.expect("never closed");
    let Some(image) = services() else { return };
    play(StageKind::Containers, &Images::named(&image.name), "restart-mid-batch").await;
}

#[rstest]
#[case::killed(true)]
#[case::interrupted(false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_harness_that_ends_leaves_no_container_behind(#[case] at_once: bool) {
    if let Err(reason) = engine().await {
        return eprintln!("skipped: {reason}");
    }
    let _turn = MACHINE.acquire().await.expect("never closed");
    let Some(image) = services() else { return };
    let bench = Bench::new();
    bench.pipeline("echo $$ > pid; sleep 600 & sleep 600", "60s");
    let mut harness = bench.start(&["run", "one", "--healthy", "--stage", "containers", "--image", &image.name]);
    let of_harness = format!("scrimmage-{}-", harness.id());
    let server = bench.wait_for_pid();
    assert_ne!(containers(&of_harness), "", "it plays the services");
    if at_once {
        harness.kill().expect("SIGKILL");
    } else {
        bench::Pid::of(&harness).send(rustix::process::Signal::TERM);
    }
    harness.wait().expect("it ends");
    server.wait_until_gone();
    wait_for("the container to go", || containers(&of_harness).is_empty().then_some(()));
}
