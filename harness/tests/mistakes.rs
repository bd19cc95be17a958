//! Mistakes in a scenario or a pipeline file: each is one clear line with file, line, what is wrong and what
//! would be right, and exit code 2.

#![allow(clippy::expect_used, reason = "a test may")]

mod bench;

use bench::Bench;
use rstest::rstest;

/// The good pipeline of these tests, to take apart.
const PIPELINE: &str = r#"name = "bench"

[environment]
BATCHES = "{collection}"

[defects]
known = ["lost-update"]

[[process]]
name = "server"
command = ["/bin/sh", "-c", "exit 3"]
ready = "/health"
push = { topic = "work", path = "/work" }

[[process]]
name = "worker"
command = ["/bin/sh", "-c", "exit 3"]
ready = "/health"

[batch]
start = { process = "server", path = "/start" }
collection = "batches"
announcement = "done"
"#;

/// A fault to put into the scenario, before `[expect]`, which is its line 10.
fn with_fault(fault: &str) -> impl Fn(&str) -> String {
    let fault = fault.to_owned();
    move |text| text.replace("[expect]", &format!("[[fault]]\n{fault}\n\n[expect]"))
}

#[track_caller]
fn refused(bench: &Bench, arguments: &[&str], expected: &[&str]) {
    let (code, said) = bench.run(arguments);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "one line, please: {said}");
    for part in expected {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[rstest]
#[case::a_key_misspelt("arrival = {", "arival = {", &["scenarios/one.toml:7: ", "unknown field `arival` (did you mean `arrival`?)"])]
#[case::a_table_misspelt("[expect]", "[expects]", &["scenarios/one.toml:10: ", "unknown field `expects` (did you mean `expect`?)"])]
#[case::a_wrong_type("players = 2", "players = true", &["scenarios/one.toml:6: ", "a fixture's name, a list of names, or how many to make up"])]
#[case::a_number_in_words("burst = 2", "burst = \"two\"", &["scenarios/one.toml:7: ", "invalid type: string \"two\", expected usize"])]
#[case::a_misspelt_duration("within = \"5s\"", "within = \"5 sec\"", &["scenarios/one.toml:11: ", "`5 sec` is not a duration"])]
#[case::an_unclosed_table("[batch]", "[batch", &["scenarios/one.toml:5: "])]
#[case::a_string_without_an_end("title = \"One\"", "title = \"One", &["scenarios/one.toml:1: "])]
#[case::a_date_that_is_none("2026-01-01\"\n\n[expect]", "1 January\"\n\n[expect]", &["scenarios/one.toml:8: ", "`1 January` is not a date such as 2026-01-01"])]
#[case::an_unknown_invariant("[\"keys-unique\"]", "[\"keys-uniqe\"]", &["scenarios/one.toml:12: ", "no invariant `keys-uniqe` (did you mean `keys-unique`?)"])]
#[case::a_pattern_that_is_none(
    "[expect]",
    "[[check]]\nname = \"a\"\nlog = \"(\"\nlines = 0\n\n[expect]",
    &["scenarios/one.toml:1", "check `a`: ", "unclosed group"]
)]
#[case::an_arrival_of_nothing("burst = 2", "burst = 0", &["scenarios/one.toml:7: ", "an arrival of nothing never ends"])]
fn in_a_scenario(#[case] right: &str, #[case] wrong: &str, #[case] expected: &[&str]) {
    let bench = Bench::new();
    bench.write("pipeline.toml", PIPELINE);
    bench.scenario(|text| {
        assert!(text.contains(right), "the mistake is made somewhere");
        text.replace(right, wrong)
    });
    refused(&bench, &["run", "one"], expected);
}

#[rstest]
#[case::an_unknown_action("kil = \"server\"", &["scenarios/one.toml:11: ", "unknown field `kil` (did you mean `kill`?)"])]
#[case::no_action("when = \"start\"", &["scenarios/one.toml:10: ", "fault 1: give it exactly one of gate, kill"])]
#[case::an_unknown_moment("when = \"stat\"\nkill = \"server\"", &["scenarios/one.toml:11: ", "unknown variant `stat` (did you mean `start`?)"])]
#[case::a_moment_that_never_comes("when = { completions = 3 }\nkill = \"server\"", &["scenarios/one.toml:11: ", "the fault never acts: there are 2 players"])]
#[case::an_unknown_process("kill = \"servr\"", &["scenarios/one.toml:11: ", "pipeline `bench` has no process `servr` (did you mean `server`?)"])]
#[case::a_process_without_pushes("duplicate_delivery = \"worker\"", &["scenarios/one.toml:11: ", "the fault strikes nothing: nothing is pushed to process `worker`"])]
#[case::an_unknown_service("gate = { on = { service = \"firestor\" }, delay = \"1s\" }", &["scenarios/one.toml:11: ", "no service `firestor` (did you mean `firestore`?)"])]
#[case::an_unknown_method("gate = { on = { service = \"firestore\", method = \"Comit\" }, delay = \"1s\" }", &["scenarios/one.toml:11: ", "firestore has no method `Comit` (did you mean `Commit`?)"])]
#[case::an_unknown_client("gate = { on = { client = \"wroker\" }, delay = \"1s\" }", &["scenarios/one.toml:11: ", "no process is `wroker` (did you mean `worker`?)"])]
#[case::a_gate_that_does_nothing("gate = { on = { service = \"firestore\" } }", &["scenarios/one.toml:10: ", "does nothing: give it one of barrier, delay, quota, error, drop_before, drop_after"])]
#[case::an_unknown_status("gate = { error = \"ABORT\" }", &["scenarios/one.toml:11: ", "`ABORT` is not a status to fail with"])]
#[case::two_ends("gate = { error = \"ABORTED\", drop_after = true }", &["scenarios/one.toml:10: ", "more than one of quota, error, drop_before, drop_after"])]
fn in_a_fault(#[case] fault: &str, #[case] expected: &[&str]) {
    let bench = Bench::new();
    bench.write("pipeline.toml", PIPELINE);
    bench.scenario(with_fault(fault));
    refused(&bench, &["run", "one"], expected);
}

#[rstest]
#[case::a_key_misspelt("command = [\"/bin/sh\", \"-c\", \"exit 3\"]\nready = \"/health\"\npush", "comand = []\nready = \"/health\"\npush", &["pipeline.toml:11: ", "unknown field `comand` (did you mean `command`?)"])]
#[case::two_of_one_name("name = \"worker\"", "name = \"server\"", &["pipeline.toml:16: ", "there are two processes `server`"])]
#[case::no_instances("push = {", "instances = 0\npush = {", &["pipeline.toml:13: ", "process `server` has no instances"])]
#[case::nothing_to_start("command = [\"/bin/sh\", \"-c\", \"exit 3\"]\nready = \"/health\"\npush", "ready = \"/health\"\npush", &["pipeline.toml:10: ", "process `server` is nothing to start: give it a command or an image"])]
#[case::a_port_for_two("push = {", "port = 8080\ninstances = 2\npush = {", &["pipeline.toml:13: ", "process `server` has 2 instances, which cannot all listen at 8080"])]
#[case::a_ready_that_is_no_path("ready = \"/health\"\npush", "ready = \"health\"\npush", &["pipeline.toml:12: ", "ready is a path such as \"/health\", not `health`"])]
#[case::an_unknown_process("process = \"server\", path", "process = \"sever\", path", &["pipeline.toml:21: ", "process `sever` (did you mean `server`?)"])]
#[case::a_placeholder_misspelt("{collection}", "{colection}", &["pipeline.toml:4: ", "`{colection}` stands for nothing (did you mean `collection`?)"])]
#[case::two_builds("[defects]", "[build]\ncargo = { package = \"p\", programs = [] }\npython = { lock = \"l\" }\n\n[defects]", &["pipeline.toml:6: ", "give [build] one of cargo and python"])]
#[case::a_body_that_is_no_json(
    "path = \"/start\" }",
    "path = \"/start\", body = \"{day}\" }",
    &["pipeline.toml:21: ", "batch.start: its body is no JSON"]
)]
#[case::a_file_that_is_not_there(
    "[batch]",
    "[tables]\nsql = \"tables.sql\"\n\n[batch]",
    &["pipeline.toml:21: ", "there is no file", "tables.sql"]
)]
#[case::no_end(
    "announcement = \"done\"\n",
    "",
    &["pipeline.toml:20: ", "give [batch] an announcement as the reference pipeline has it, or a done of its own"]
)]
#[case::a_value_without_quotes("collection = \"batches\"", "collection = batches", &["pipeline.toml:22: "])]
fn in_a_pipeline(#[case] right: &str, #[case] wrong: &str, #[case] expected: &[&str]) {
    let bench = Bench::new();
    assert!(PIPELINE.contains(right), "the mistake is made somewhere");
    bench.write("pipeline.toml", &PIPELINE.replace(right, wrong));
    refused(&bench, &["run", "one"], expected);
}

#[rstest]
#[case::a_scenario(&["run", "onne"], &["there is no scenario `onne` (did you mean `one`?)"])]
#[case::a_defect(&["run", "one", "--defect", "lost-updat"], &["has no defect `lost-updat` (did you mean `lost-update`?)"])]
fn on_the_command_line(#[case] arguments: &[&str], #[case] expected: &[&str]) {
    let bench = Bench::new();
    bench.write("pipeline.toml", PIPELINE);
    refused(&bench, arguments, expected);
}

#[test]
fn a_pipeline_that_is_not_there() {
    let bench = Bench::new();
    bench.write("fixtures/pipelines/rust/pipeline.toml", PIPELINE);
    refused(&bench, &["run", "one", "--pipeline", "rsut"], &["there is no pipeline `rsut` (did you mean `rust`?)"]);
}

#[test]
fn a_fixture_that_is_not_there() {
    let bench = Bench::new();
    bench.write("pipeline.toml", PIPELINE);
    bench.write("fixtures/players/hyphenated.toml", "players = []");
    bench.scenario(|text| text.replace("players = 2", "players = \"hyphnated\""));
    refused(&bench, &["run", "one"], &["no players fixture `hyphnated` (did you mean `hyphenated`?)"]);
}

#[test]
fn a_file_that_is_no_text() {
    let bench = Bench::new();
    bench.write("pipeline.toml", PIPELINE);
    bench.write_bytes("scenarios/one.toml", b"title = \"\xff\xfe\"");
    refused(&bench, &["run", "one"], &["scenarios/one.toml: ", "UTF-8"]);
}
