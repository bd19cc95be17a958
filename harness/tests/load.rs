//! `scrimmage load` beyond the simulation: mistakes are one line, small loads end as they should. Nothing
//! here is timed.

#![allow(clippy::expect_used, reason = "a test may")]

mod bench;

use std::time::Duration;

use bench::Bench;
use rstest::rstest;
use scrimmage::layout::Layout;
use scrimmage::run::{Phase, Setting, rehearse_loaded};
use scrimmage::scenario::find;
use scrimmage_load::arrival::Arrival;

#[rstest]
#[case::an_endpoint_in_virtual_time(
    &["--endpoint", "127.0.0.1:1"],
    "--endpoint: time is virtual under a latency profile; add --latency none"
)]
#[case::a_limit_in_virtual_time(&["--within", "5s"], "--within: time is virtual under a latency profile")]
#[case::strategies_of_a_pipeline(
    &["--pipeline", "rust", "--strategy", "transaction"],
    "--strategy: --pipeline measures that pipeline's own endpoint"
)]
#[case::a_loop_of_a_pipeline(&["--pipeline", "rust", "--each", "3"], "--each: --pipeline measures")]
#[case::a_page_of_a_soak(&["--soak", "1s", "--html", "x.html"], "--html: --soak loads all services as it does")]
#[case::workers_and_players(&["--players", "40", "--workers", "3"], "--workers: --players runs whole batches")]
#[case::a_sweep_of_players(&["--players", "40", "--sweep"], "--sweep: --players runs whole batches")]
#[case::the_way_in_real_time(&["--latency", "none", "--whole-way"], "--whole-way: --latency none is measured in real")]
#[case::no_players(&["--players", "many"], "--players many: expected numbers of players, such as 40,400,4000")]
#[case::no_pipeline(&["--pipeline", "rus"], "there is no pipeline `rus`")]
#[case::nobody_there(&["--latency", "none", "--endpoint", "127.0.0.1:1"], "127.0.0.1:1: ")]
#[case::no_address(&["--latency", "none", "--endpoint", "here and there"], "here and there: expected HOST:PORT")]
#[case::no_workers(&["--latency", "none", "--workers", "0"], "--workers 0: expected a number, a list")]
fn mistakes_are_one_line(#[case] arguments: &[&str], #[case] expected: &str) {
    let arguments: Vec<&str> = ["load"].into_iter().chain(arguments.iter().copied()).collect();
    let (code, said) = Bench::new().run(&arguments);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "one line, please: {said}");
    assert!(said.contains(expected), "`{expected}` is not in: {said}");
}

#[rstest]
#[case::a_duration(&["--soak", "long"], "`long` is not a duration")]
#[case::nothing(&["--soak", "0s"], "more than 0")]
#[case::no_connections(&["--soak", "1s", "--connections", "0"], "0 is not in 1..=10000")]
#[case::two_kinds_of_workers(&["--sweep", "--workers", "3"], "cannot be used with '--workers")]
fn values_are_refused_by_name(#[case] arguments: &[&str], #[case] expected: &str) {
    let arguments: Vec<&str> = ["load"].into_iter().chain(arguments.iter().copied()).collect();
    let (code, said) = Bench::new().run(&arguments);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(expected), "`{expected}` is not in: {said}");
}

#[test]
fn real_time_counts_every_completion_of_a_child_process_of_its_own() {
    let arguments =
        ["load", "--latency", "none", "--workers", "2,5", "--strategy", "atomic-update", "--json", "load.json"];
    let bench = Bench::new();
    let (code, said) = bench.run(&arguments);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_short_soak_holds() {
    let (code, said) = Bench::new().run(&["load", "--soak", "10ms", "--connections", "10"]);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_come_through_push_and_are_counted_once() {
    let layout = Layout::find().expect("the repository");
    let mut scenario = find(&layout, "ordinary-day").expect("a scenario");
    scenario.batch.players = scrimmage::scenario::Players::Count(6);
    // It is not over before the completions, which come when all workers are done, have come.
    scenario.expect.quiet.0 = Duration::from_secs(120);
    scenario.checks.clear();
    let setting = Setting::prepare(layout, "rust", &|text| eprintln!("{text}")).await.expect("the pipeline");
    let arrival = Arrival::Rate(1_000.0);
    let loaded = rehearse_loaded(&setting, &scenario, &arrival, &Phase::default()).await.expect("a run");
    assert!(loaded.outcome.verdict.is_good(), "{:?}", loaded.outcome.broken().collect::<Vec<_>>());
    assert_eq!(loaded.events.len(), 6);
    assert!(loaded.events.iter().all(|event| event.latency.is_some() && event.deliveries >= 1), "{:?}", loaded.events);
    assert!(loaded.outcome.batch_seconds.is_some());
}
