//! Scrimmage as a dev-dependency: stages, faults and invariants in tests.

#![allow(clippy::expect_used, reason = "a test may")]

use scrimmage::invariants::Finding;
use scrimmage::testing::{Invariants, Stage, fault};
use scrimmage_core::Code;
use serde_json::json;

/// As a program in a test's language would: REST, at the address in its environment.
async fn write_votes(stage: &Stage, votes: u32) -> reqwest::Response {
    let document =
        format!("{}/v1/projects/{}/databases/(default)/documents/tallies/today", stage.url(), stage.project());
    let body = json!({ "fields": { "votes": { "integerValue": votes.to_string() } } });
    reqwest::Client::new().patch(document).json(&body).send().await.expect("an answer")
}

#[scrimmage::test]
async fn a_test_has_services_of_its_own(stage: Stage) {
    assert!(write_votes(&stage, 12).await.status().is_success());
    Invariants::new()
        .field("every vote counts", "tallies/today", "votes", 12)
        .rows("it counts", "SELECT 1 + 1, NULL", [["2", "NULL"]])
        .calls("one write", "firestore", "UpdateDocument", 1..=1)
        .hold(&stage)
        .await;
}

#[scrimmage::test(project = "elsewhere", fault = fault().method("UpdateDocument").nth(1).error(Code::Unavailable))]
async fn faults_are_there_from_the_start(stage: Stage) {
    assert_eq!(stage.project(), "elsewhere");
    assert_eq!(write_votes(&stage, 12).await.status(), 503);
    let judged = Invariants::new().field("every vote counts", "tallies/today", "votes", 12).judge(&stage).await;
    let finding = &judged.expect("it can be read")[0].finding;
    assert_eq!(*finding, Finding::Broken("there is no document tallies/today".into()));
    assert!(write_votes(&stage, 12).await.status().is_success(), "only the first is struck");
}

#[scrimmage::test]
#[should_panic(expected = "every vote counts: votes of tallies/today is 11, not 12")]
async fn a_broken_invariant_fails_the_test_with_its_evidence(stage: Stage) {
    write_votes(&stage, 11).await;
    Invariants::new().field("every vote counts", "tallies/today", "votes", 12).hold(&stage).await;
}

#[scrimmage::test]
async fn a_test_may_return_an_error(stage: Stage) -> Result<(), scrimmage::SetupError> {
    let clients = stage.clients().await?;
    assert_eq!(clients.project, stage.project());
    assert!(stage.rows("SELECT").await.is_err());
    assert!(stage.calls().is_empty(), "the harness's own calls are no program's");
    Ok(())
}
