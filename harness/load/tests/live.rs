//! Workers over sockets against a suite of our own: few of them, and nothing is timed.

#![allow(clippy::expect_used, reason = "a test may")]

use std::collections::HashMap;
use std::time::Duration;

use scrimmage_load::arrival::Arrival;
use scrimmage_load::live::publish::{Payload, publish};
use scrimmage_load::live::{Connections, Target, measure, sweep};
use scrimmage_load::report;
use scrimmage_load::soak::{Plan, soak};
use scrimmage_load::strategy::{ALL, Strategy};
use scrimmage_suite::Suite;

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn safe_strategies_count_every_completion_once() {
    let suite = Suite::builder().start().await.expect("a suite");
    let connections = Connections::open(&suite.addr().to_string(), 4).await.expect("connections");
    for strategy in ALL {
        let figures = measure(&connections, strategy, 12, &Arrival::Loop(2), 1, WITHIN).await.expect("figures");
        assert_eq!((figures.lost, figures.doubled, figures.late), (0, 0, 0), "{figures:?}");
        assert!(figures.errors.is_empty(), "{figures:?}");
        assert_eq!(figures.acknowledged + figures.failed, 24);
        if strategy.is_safe() {
            assert_eq!(figures.failed, 0, "{figures:?}");
        }
        assert_eq!(figures.percentiles.last().map(|last| last.ms), Some(figures.max_ms));
    }
    suite.shutdown().await;
}

#[tokio::test]
async fn who_has_not_completed_in_time_has_failed() {
    let suite = Suite::builder().start().await.expect("a suite");
    let connections = Connections::open(&suite.addr().to_string(), 1).await.expect("connections");
    // The second one's turn is long after the end.
    let arrival = Arrival::Trace(vec![0.0, 3_600_000.0]);
    let figures = measure(&connections, Strategy::AtomicUpdate, 2, &arrival, 1, Duration::from_secs(20));
    // It is not waited for either: its start is cut off with the rest.
    let figures = figures.await.expect("figures");
    assert_eq!((figures.acknowledged, figures.failed, figures.late), (1, 1, 1), "{figures:?}");
    suite.shutdown().await;
}

#[tokio::test]
async fn a_sweep_says_where_it_was_measured() {
    let suite = Suite::builder().start().await.expect("a suite");
    let target = Target { endpoint: suite.addr().to_string(), connections: 2, within: WITHIN };
    let strategies = [Strategy::AtomicUpdate, Strategy::ShardedCounter];
    let mut heard = 0;
    let swept = sweep(&target, &strategies, &[1, 3], &Arrival::Burst, 1, |_| heard += 1).await.expect("figures");
    assert_eq!(heard, 4);
    assert!(swept.holds());
    let page = report::page(&swept);
    assert!(page.contains(&target.endpoint) && page.contains("Latency by percentile"), "it says what it is of");
    assert!(!page.contains("time is virtual"));
    suite.shutdown().await;
}

#[tokio::test]
async fn nobody_at_the_address_is_one_line() {
    let error = Connections::open("127.0.0.1:1", 2).await.err().expect("an error").to_string();
    assert!(error.starts_with("127.0.0.1:1: ") && error.lines().count() == 1, "{error}");
    let error = Connections::open("no host", 1).await.err().expect("an error").to_string();
    assert_eq!(error, "no host: expected HOST:PORT");
}

#[tokio::test]
async fn a_soak_calls_every_service_and_sees_no_error() {
    let suite = Suite::builder().start().await.expect("a suite");
    let plan = Plan {
        endpoint: suite.addr().to_string(),
        connections: 10,
        // Every client goes on until it is over: the least there is, is one round of each.
        time: Duration::from_millis(1),
        pid: Some(std::process::id()),
    };
    let soaked = soak(&plan, |_, _| ()).await.expect("figures");
    assert_eq!((soaked.connections, soaked.errors()), (10, 0), "{}", soaked.table().join("\n"));
    for service in ["firestore", "pubsub", "bigquery"] {
        assert!(soaked.calls.iter().any(|calls| calls.service == service && calls.count > 0), "{service}: {soaked:?}");
    }
    assert_eq!(soaked.resident.len(), 1);
    suite.shutdown().await;
}

#[tokio::test]
async fn what_is_published_is_told_by_its_id_and_its_intended_moment() {
    let suite = Suite::builder().start().await.expect("a suite");
    let error = publish(&suite.addr().to_string(), "projects/load/topics/none", vec![payload(0)]).await;
    let error = error.expect_err("no such topic").to_string();
    assert!(error.contains("NotFound: ") && error.lines().count() == 1, "{error}");
    let topic = "projects/load/topics/some";
    let http = reqwest::Client::new();
    let made = http.put(format!("http://{}/v1/{topic}", suite.addr())).body("{}").send().await.expect("an answer");
    assert!(made.status().is_success(), "{made:?}");
    let published = publish(&suite.addr().to_string(), topic, vec![payload(0), payload(3), payload(1)]).await;
    let published = published.expect("ids");
    let ids: std::collections::BTreeSet<&str> = published.iter().map(|one| one.message_id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(published[1].intended - published[0].intended, Duration::from_millis(3));
    suite.shutdown().await;
}

fn payload(millis: u64) -> (Duration, Payload) {
    let payload = Payload { data: b"x".to_vec(), attributes: HashMap::new(), ordering_key: String::new() };
    (Duration::from_millis(millis), payload)
}
