//! IAM policies: kept, shown, and guarded by their etags.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{SUB, Stage, TOPIC};
use scrimmage_protos::google::iam::v1 as iam;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::r#type::Expr;
use tonic::Code;

fn binding(role: &str, members: &[&str]) -> iam::Binding {
    iam::Binding { role: role.into(), members: members.iter().map(|m| m.to_string()).collect(), condition: None }
}

async fn set(stage: &mut Stage, resource: &str, policy: iam::Policy) -> Result<iam::Policy, tonic::Status> {
    let request = iam::SetIamPolicyRequest { resource: resource.into(), policy: Some(policy), ..Default::default() };
    stage.iam.set_iam_policy(request).await.map(tonic::Response::into_inner)
}

async fn get(stage: &mut Stage, resource: &str, version: i32) -> Result<iam::Policy, tonic::Status> {
    let options = Some(iam::GetPolicyOptions { requested_policy_version: version });
    let request = iam::GetIamPolicyRequest { resource: resource.into(), options };
    stage.iam.get_iam_policy(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_policy_changes_only_by_who_has_seen_it() {
    let mut stage = Stage::start().await;
    let empty = get(&mut stage, TOPIC, 0).await.expect("a policy");
    assert_eq!((empty.bindings.len(), empty.etag.as_ref()), (0, &[0x00, 0x20, 0x01][..]));
    let mut policy = empty.clone();
    policy.bindings = vec![
        binding("roles/pubsub.publisher", &["user:a@example.com", "user:b@example.com"]),
        binding("roles/pubsub.publisher", &["user:a@example.com", "allUsers"]),
        binding("roles/pubsub.viewer", &[]),
    ];
    let first = set(&mut stage, TOPIC, policy.clone()).await.expect("set");
    assert_eq!(
        first.bindings,
        [binding("roles/pubsub.publisher", &["user:a@example.com", "user:b@example.com", "allUsers"])]
    );
    assert_eq!((first.version, first.etag.len(), first.etag[0]), (1, 8, 7));
    assert_eq!(get(&mut stage, TOPIC, 1).await.expect("a policy"), first);
    let late = set(&mut stage, TOPIC, policy.clone()).await.expect_err("changed since");
    assert_eq!(late.code(), Code::Aborted);
    assert_eq!(
        late.message(),
        "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
    );
    // Without an etag the policy is overwritten.
    policy.etag = Default::default();
    let second = set(&mut stage, TOPIC, policy).await.expect("set");
    assert_ne!(first.etag, second.etag);
    stage.publisher.delete_topic(pb::DeleteTopicRequest { topic: TOPIC.into() }).await.expect("deleted");
    assert_eq!(get(&mut stage, TOPIC, 0).await.expect_err("gone").code(), Code::NotFound);
    stage.publisher.create_topic(pb::Topic { name: TOPIC.into(), ..Default::default() }).await.expect("a topic");
    assert_eq!(get(&mut stage, TOPIC, 0).await.expect("a policy"), empty);
}

#[tokio::test]
async fn conditions_need_version_three() {
    let mut stage = Stage::start().await;
    stage.subscribe(|_| ()).await;
    let condition =
        Some(Expr { expression: "request.time < timestamp('2030-01-01T00:00:00Z')".into(), ..Default::default() });
    let bound = iam::Binding { condition, ..binding("roles/pubsub.subscriber", &["group:g@example.com"]) };
    let policy = |version| iam::Policy { version, bindings: vec![bound.clone()], ..Default::default() };
    assert_eq!(set(&mut stage, SUB, policy(1)).await.expect_err("version 1").code(), Code::InvalidArgument);
    assert_eq!(set(&mut stage, SUB, policy(2)).await.expect_err("version 2").code(), Code::InvalidArgument);
    let kept = set(&mut stage, SUB, policy(3)).await.expect("set");
    assert_eq!((kept.version, &kept.bindings[0]), (3, &bound));
    assert_eq!(get(&mut stage, SUB, 3).await.expect("a policy"), kept);
    let old = get(&mut stage, SUB, 1).await.expect("a policy");
    assert_eq!(old.version, 1);
    assert!(old.bindings[0].role.starts_with("roles/pubsub.subscriber_withcond_"));
    assert_eq!(old.bindings[0].condition, None);
    assert_eq!(get(&mut stage, SUB, 2).await.expect_err("version 2").code(), Code::InvalidArgument);
    for bad in [binding("publisher", &["allUsers"]), binding("roles/pubsub.viewer", &["a@example.com"])] {
        let policy = iam::Policy { bindings: vec![bad], ..Default::default() };
        assert_eq!(set(&mut stage, SUB, policy).await.expect_err("malformed").code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn the_caller_may_do_everything_there_is() {
    let mut stage = Stage::start().await;
    let test = |resource: &str, permissions: &[&str]| iam::TestIamPermissionsRequest {
        resource: resource.into(),
        permissions: permissions.iter().map(|permission| permission.to_string()).collect(),
    };
    let asked = ["pubsub.topics.publish", "pubsub.topics.get"];
    let answer = stage.iam.test_iam_permissions(test(TOPIC, &asked)).await.expect("an answer").into_inner();
    assert_eq!(answer.permissions, asked);
    let nobody = stage.iam.test_iam_permissions(test("projects/demo/topics/none", &asked)).await.expect("an answer");
    assert!(nobody.into_inner().permissions.is_empty());
    for bad in ["pubsub.topics.*", "pubsub.subscriptions.consume", "publish", "", "pubsub.topics.fly"] {
        let refused = stage.iam.test_iam_permissions(test(TOPIC, &[bad])).await.expect_err("malformed");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(refused.message(), format!("Permission {bad} is not valid for this resource."));
    }
    let refused = stage.iam.test_iam_permissions(test("projects/demo", &asked)).await.expect_err("not Pub/Sub's");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
