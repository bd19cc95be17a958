//! Every scenario, healthy and with each defect that it catches, on the embedded stage.

#![allow(clippy::expect_used, reason = "a test may")]

use rstest::rstest;
use scrimmage::layout::Layout;
use scrimmage::report::{Widths, line};
use scrimmage::run::{Setting, Verdict, rehearse};
use scrimmage::scenario::{Scenario, find};
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

/// The pipeline is built once, and at most two runs share the machine.
static SETTING: OnceCell<Setting> = OnceCell::const_new();
static MACHINE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

async fn setting() -> &'static Setting {
    let prepare = || async {
        let layout = Layout::find().expect("scenarios and fixtures");
        Setting::prepare(layout, "rust", &|text| eprintln!("{text}")).await.expect("the pipeline is built")
    };
    SETTING.get_or_init(prepare).await
}

fn read(file: &Path) -> Scenario {
    find(&Layout::find().expect("scenarios and fixtures"), &file.to_string_lossy()).expect("a good scenario")
}

async fn outcome(scenario: &Scenario, defect: Option<&str>) -> (Verdict, String) {
    let setting = setting().await;
    let _turn = MACHINE.acquire().await.expect("never closed");
    let outcome = rehearse(setting, scenario, defect).await.expect("the run takes place");
    let shown = line(&outcome, Widths::default());
    (outcome.verdict, shown)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn healthy_breaks_nothing(#[files("../scenarios/*.toml")] file: PathBuf) {
    let scenario = read(&file);
    if scenario.heavy {
        println!("SKIPPED: {} is left to `scrimmage matrix`", scenario.name);
        return;
    }
    let (verdict, shown) = outcome(&scenario, None).await;
    assert_eq!(verdict, Verdict::Holds, "{shown}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn its_defects_break_exactly_what_it_says(#[files("../scenarios/*.toml")] file: PathBuf) {
    let scenario = read(&file);
    for defect in &scenario.catches {
        let (verdict, shown) = outcome(&scenario, Some(defect)).await;
        assert_eq!(verdict, Verdict::Caught, "{shown}");
    }
}

/// The first example of docs/scenarios.md is a whole scenario, the others are parts of one: each can be read, and the
/// whole one does what it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_documentation_are_scenarios() {
    let document = include_str!("../../docs/scenarios.md");
    let examples: Vec<&str> =
        document.split("```toml\n").skip(1).map(|rest| rest.split_once("```").expect("an example ends").0).collect();
    let (whole, parts) = examples.split_first().expect("a whole one");
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let written = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("it can be written");
        read(&file)
    };
    for part in parts {
        written("part.toml", &format!("{whole}\n{part}"));
    }
    let scenario = written("lost-answers.toml", whole);
    let (verdict, shown) = outcome(&scenario, None).await;
    assert_eq!(verdict, Verdict::Holds, "{shown}");
    let (verdict, shown) = outcome(&scenario, Some(&scenario.catches[0])).await;
    assert_eq!(verdict, Verdict::Caught, "{shown}");
}
