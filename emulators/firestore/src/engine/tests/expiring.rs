//! Time-to-live policies: who goes when, and who is told.

use super::*;
use crate::engine::listen::TargetKind;
use crate::engine::ttl::Policy;
use crate::limits;

fn expiring(path: &str, after: u64) -> Write {
    let time = Value::Timestamp(START + Duration::from_secs(after));
    write(path, Operation::Set(fields(&[("n", Value::Int(1)), ("at", time)])))
}

fn policy(delay: u64) -> Option<Policy> {
    Some(Policy { field: field("at"), delay: Duration::from_secs(delay) })
}

fn with_policy(delay: u64) -> World {
    let mut world = World::new();
    committed(world.at_once(commit(None, vec![expiring("g/early", 10)]))).unwrap();
    world.set_ttl("g", policy(delay));
    let writes = vec![expiring("g/a", 10), expiring("x/1/g/b", 20), expiring("other/c", 10), set("g/none", 1)];
    committed(world.at_once(commit(None, writes))).unwrap();
    world
}

#[test]
fn documents_go_when_the_clock_passes_their_time_in_every_collection_of_the_group() {
    let mut world = with_policy(0);
    let database = world.database.clone();
    let stream = world.engine.open_stream(&database);
    let kind = TargetKind::Documents(vec![name("g/a")]);
    world.engine.add_target(world.now, stream, 1, TargetSpec { kind, resume: None, once: false, expected_count: None });
    world.engine.take_events();
    assert_eq!(world.engine.due(), Some(START + Duration::from_secs(10)));
    world.pass(Duration::from_secs(9));
    assert_eq!(world.number("g/a"), Some(1));
    world.pass(Duration::from_secs(1));
    assert_eq!((world.number("g/a"), world.number("g/early")), (None, None));
    assert!(world.engine.take_events().iter().any(|(_, event)| matches!(event, ListenEvent::Deleted { .. })));
    assert_eq!((world.number("x/1/g/b"), world.number("other/c"), world.number("g/none")), (Some(1), Some(1), Some(1)));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.number("x/1/g/b"), None);
    assert_eq!(world.engine.due(), None);
}

#[test]
fn a_delay_a_change_and_the_end_of_a_policy_are_heeded() {
    let mut world = with_policy(5);
    world.pass(Duration::from_secs(12));
    assert_eq!(world.number("g/a"), Some(1));
    committed(world.at_once(commit(None, vec![expiring("g/a", 100)]))).unwrap();
    world.pass(Duration::from_secs(4));
    assert_eq!((world.number("g/a"), world.number("g/early")), (Some(1), None));
    world.set_ttl("g", None);
    world.pass(Duration::from_secs(1_000));
    assert_eq!((world.number("g/a"), world.number("x/1/g/b")), (Some(1), Some(1)));
}

#[test]
fn an_expiry_that_cannot_be_kept_is_tried_again_later() {
    let mut world = World::new();
    world.engine.record();
    committed(world.at_once(commit(None, vec![expiring("g/a", 10)]))).unwrap();
    world.set_ttl("g", policy(0));
    world.engine.take_records();
    world.engine.settle_records();
    for _ in 0..3 {
        world.pass(Duration::from_secs(10));
        assert_eq!(world.engine.take_records().len(), 1);
        assert!(world.engine.take_back(world.now).is_empty());
        // Not at once: the timer would run in circles.
        assert_eq!(world.engine.due(), Some(world.now + limits::EXPIRY_RETRY));
        assert_eq!(world.number("g/a"), Some(1));
    }
    world.pass(limits::EXPIRY_RETRY);
    assert_eq!(world.number("g/a"), None);
}

#[test]
fn what_a_transaction_has_read_stays_until_it_ends() {
    let mut world = with_policy(0);
    let t = world.begin();
    assert_eq!(world.read(t, "g/a"), Some(1));
    world.pass(Duration::from_secs(11));
    assert_eq!((world.read(t, "g/a"), world.number("g/early")), (Some(1), None));
    committed(world.at_once(commit(Some(t), vec![set("g/x", 1)]))).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.number("g/a"), None);
}
