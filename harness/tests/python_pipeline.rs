//! The scenarios of the first rehearsal on the pipeline in Python, healthy and with the defects that
//! they catch. The others are for `scrimmage matrix --pipeline python`: its processes start slowly.
//!
//! Runs where Python and the package index are reachable, and says why where it does not.

#![allow(clippy::expect_used, reason = "a test may")]

use scrimmage::SetupError;
use scrimmage::layout::Layout;
use scrimmage::report::{Widths, line};
use scrimmage::run::{Setting, Verdict, rehearse};
use scrimmage::scenario::find;

const FIRST: [&str; 5] =
    ["forty-concurrent-completions", "hyphenated-names", "restart-mid-batch", "schema-drift", "zero-row-merge"];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rust_pipeline_shows_the_python_pipeline_shows_too() {
    let layout = Layout::find().expect("scenarios and fixtures");
    let setting = match Setting::prepare(layout.clone(), "python", &|text| println!("{text}")).await {
        Ok(setting) => setting,
        Err(SetupError::Build { command, output }) => {
            assert!(!output.contains("DO NOT MATCH THE HASHES"), "{output}");
            let reason = output.lines().last().unwrap_or_default();
            println!("SKIPPED: {command}: {reason}");
            eprintln!("SKIPPED: {command}: {reason}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    for name in FIRST {
        let scenario = find(&layout, name).expect("a good scenario");
        let known = scenario.catches.iter().filter(|defect| setting.pipeline.defects.known.contains(defect));
        for defect in [None].into_iter().chain(known.map(|defect| Some(defect.as_str()))) {
            let outcome = rehearse(&setting, &scenario, defect).await.expect("the run takes place");
            let wanted = if defect.is_some() { Verdict::Caught } else { Verdict::Holds };
            assert_eq!(outcome.verdict, wanted, "{}", line(&outcome, Widths::default()));
        }
    }
}
