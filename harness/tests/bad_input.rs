//! Wrong setups: one clear line, exit code 2, no process left behind.

#![allow(clippy::expect_used, reason = "a test may")]

mod bench;

use bench::{Bench, Pid};
use rstest::rstest;
use rustix::process::Signal;
use std::net::TcpListener;

/// Runs and expects one line about the problem and exit code 2.
#[track_caller]
fn refused(bench: &Bench, arguments: &[&str]) -> String {
    let (code, stderr) = bench.run(arguments);
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line, please: {stderr}");
    stderr
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let said = refused(&Bench::new(), &["up", "--port", &port]);
    assert!(said.contains(&format!("port {port} is already in use")), "{said}");
}

#[rstest]
#[case::unknown_key(
    "arrival = { burst = 2 }",
    "arival = { burst = 2 }",
    "scenarios/one.toml:7: unknown field `arival`"
)]
#[case::unknown_fault_key(
    "[expect]",
    "[[fault]]\nkil = \"server\"\n\n[expect]",
    "scenarios/one.toml:11: unknown field `kil`"
)]
#[case::no_action(
    "[expect]",
    "[[fault]]\nwhen = \"start\"\n\n[expect]",
    "scenarios/one.toml:10: fault 1: give it exactly one of gate, kill"
)]
#[case::bad_moment(
    "[expect]",
    "[[fault]]\nwhen = \"later\"\nkill = \"server\"\n\n[expect]",
    "scenarios/one.toml:11: unknown variant `later`"
)]
#[case::unknown_invariant(
    "[\"keys-unique\"]",
    "[\"keys-uniqe\"]",
    "there is no invariant `keys-uniqe` (did you mean `keys-unique`?); there are one-batch-per-date"
)]
#[case::no_duration("within = \"5s\"", "within = \"5 seconds\"", "`5 seconds` is not a duration")]
#[case::no_breaks(
    "breaks = { bug = [\"keys-unique\"] }",
    "breaks = {}",
    "`expect.breaks` does not say what `bug` breaks"
)]
#[case::no_toml("[expect]", "[expect", "scenarios/one.toml:10: ")]
fn a_scenario_with_a_mistake(#[case] right: &str, #[case] wrong: &str, #[case] expected: &str) {
    let bench = Bench::new();
    bench.scenario(|text| text.replace(right, wrong));
    let said = refused(&bench, &["run", "one"]);
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_missing_fixture() {
    let bench = Bench::new();
    bench.scenario(|text| text.replace("players = 2", "players = \"nobody\""));
    let said = refused(&bench, &["run", "one"]);
    assert!(said.contains("there is no players fixture `nobody`") && said.contains("nobody.toml"), "{said}");
}

#[test]
fn a_scenario_that_is_not_there() {
    let said = refused(&Bench::new(), &["run", "two"]);
    assert!(said.contains("there is no scenario `two`; there are one"), "{said}");
}

#[test]
fn a_defect_that_the_pipeline_does_not_have() {
    let bench = Bench::new();
    bench.pipeline("exec sleep 600", "10s");
    let said = refused(&bench, &["run", "one", "--defect", "typo"]);
    assert!(said.contains("pipeline `bench` has no defect `typo`; it has bug"), "{said}");
}

#[test]
fn a_program_that_is_not_there() {
    let bench = Bench::new();
    bench.pipeline_with_command(r#"["./no-such-program"]"#, "10s");
    let said = refused(&bench, &["run", "one", "--healthy"]);
    assert!(said.contains("server does not start: ./no-such-program"), "{said}");
}

#[test]
fn a_program_that_exits_at_its_start() {
    let bench = Bench::new();
    bench.pipeline("echo 'no module named flask' >&2; exit 3", "10s");
    let said = refused(&bench, &["run", "one", "--healthy"]);
    let expected = "server ended with exit code 3 before it was ready; the last it said was: no module named flask";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_program_that_never_becomes_ready() {
    let bench = Bench::new();
    bench.pipeline("echo $$ > pid; echo starting; sleep 600 & sleep 600", "4s");
    let said = refused(&bench, &["run", "one", "--healthy"]);
    assert!(said.contains("server was not ready within 4s: nothing listens on port"), "{said}");
    assert!(said.contains("the last it said was: starting"), "{said}");
    bench.wait_for_pid().wait_until_gone();
}

#[rstest]
#[case::interrupt(Signal::INT)]
#[case::terminate(Signal::TERM)]
fn an_interrupt_leaves_no_process_behind(#[case] signal: Signal) {
    let bench = Bench::new();
    bench.pipeline("echo $$ > pid; sleep 600 & sleep 600", "60s");
    let mut harness = bench.start(&["run", "one", "--healthy"]);
    let pid = bench.wait_for_pid();
    Pid::of(&harness).send(signal);
    let status = harness.wait().expect("it ends");
    assert_eq!(status.code(), Some(2));
    pid.wait_until_gone();
}

#[test]
fn a_harness_that_is_killed_leaves_no_process_behind() {
    let bench = Bench::new();
    bench.pipeline("echo $$ > pid; sleep 600 & sleep 600", "60s");
    let mut harness = bench.start(&["run", "one", "--healthy"]);
    let pid = bench.wait_for_pid();
    harness.kill().expect("SIGKILL");
    harness.wait().expect("it ends");
    pid.wait_until_gone();
}
