//! Listeners: snapshots, windows, resuming.

use super::*;
use crate::engine::listen::{Resume, TargetKind};

/// Events as short lines: `+ c/a [1] -[2]` for a change, `- c/a` removed, `x c/a` deleted.
fn lines(world: &mut World) -> Vec<String> {
    world
        .engine
        .take_events()
        .into_iter()
        .map(|(_, event)| match event {
            ListenEvent::Added(target) => format!("added {target}"),
            ListenEvent::Reset(target) => format!("reset {target}"),
            ListenEvent::Changed { document, targets, removed } => {
                format!("+ {} {targets:?} -{removed:?}", document.name.path())
            }
            ListenEvent::Deleted { name, removed, .. } => format!("x {} -{removed:?}", name.path()),
            ListenEvent::Removed { name, removed, .. } => format!("- {} -{removed:?}", name.path()),
            ListenEvent::Filter { target, names } => format!("filter {target} {names:?}"),
            ListenEvent::Current { target, .. } => format!("current {target}"),
            ListenEvent::Snapshot { .. } => "snapshot".to_owned(),
            ListenEvent::TargetRemoved { target, cause } => format!("gone {target} {cause:?}"),
        })
        .collect()
}

fn on(kind: TargetKind) -> TargetSpec {
    TargetSpec { kind, resume: None, once: false, expected_count: None }
}

fn on_query(query: Query) -> TargetSpec {
    on(TargetKind::Query(Arc::new(query)))
}

fn listening(targets: Vec<TargetSpec>) -> (World, StreamId) {
    let mut world = World::new();
    world.put("c/a", 1);
    world.put("c/b", 7);
    let database = world.database.clone();
    let stream = world.engine.open_stream(&database);
    for (number, spec) in targets.into_iter().enumerate() {
        world.engine.add_target(world.now, stream, number as i32 + 1, spec);
    }
    (world, stream)
}

#[test]
fn a_query_target_begins_with_its_state_and_follows_it() {
    let (mut world, stream) = listening(vec![on_query(at_least("c", 5))]);
    assert_eq!(lines(&mut world), ["added 1", "+ c/b [1] -[]", "current 1", "snapshot"]);
    world.put("c/a", 6);
    assert_eq!(lines(&mut world), ["+ c/a [1] -[]", "snapshot"]);
    world.put("c/a", 2);
    assert_eq!(lines(&mut world), ["- c/a -[1]", "snapshot"]);
    world.put("c/a", 3);
    world.put("d/a", 9);
    assert_eq!(lines(&mut world), [""; 0]);
    let writes = vec![delete("c/b"), set("c/c", 8), set("c/d", 9)];
    committed(world.at_once(commit(None, writes))).unwrap();
    assert_eq!(lines(&mut world), ["x c/b -[1]", "+ c/c [1] -[]", "+ c/d [1] -[]", "snapshot"]);
    world.engine.remove_target(stream, 1);
    world.put("c/c", 9);
    assert_eq!(lines(&mut world), ["gone 1 None"]);
}

#[test]
fn several_targets_share_one_change() {
    let documents = on(TargetKind::Documents(vec![name("c/a"), name("c/x")]));
    let (mut world, _) = listening(vec![documents, on_query(at_least("c", 5))]);
    assert_eq!(lines(&mut world)[..4], ["added 1", "+ c/a [1] -[]", "x c/x -[1]", "current 1"]);
    world.put("c/a", 5);
    assert_eq!(lines(&mut world), ["+ c/a [1, 2] -[]", "snapshot"]);
    world.put("c/a", 4);
    assert_eq!(lines(&mut world), ["+ c/a [1] -[2]", "snapshot"]);
    world.put("c/x", 1);
    assert_eq!(lines(&mut world), ["+ c/x [1] -[]", "snapshot"]);
    committed(world.at_once(commit(None, vec![delete("c/a")]))).unwrap();
    assert_eq!(lines(&mut world), ["x c/a -[1]", "snapshot"]);
}

#[test]
fn a_window_slides() {
    let (mut world, _) = listening(vec![on_query(Query { limit: Some(1), ..at_least("c", 0) })]);
    assert_eq!(lines(&mut world)[1], "+ c/a [1] -[]");
    world.put("c/c", 0);
    assert_eq!(lines(&mut world), ["- c/a -[1]", "+ c/c [1] -[]", "snapshot"]);
    world.put("c/b", 9);
    assert_eq!(lines(&mut world), [""; 0]);
    committed(world.at_once(commit(None, vec![delete("c/c")]))).unwrap();
    assert_eq!(lines(&mut world), ["+ c/a [1] -[]", "x c/c -[1]", "snapshot"]);
}

#[test]
fn resuming_tells_only_what_changed_since() {
    let (mut world, stream) = listening(vec![on_query(at_least("c", 5))]);
    let token = world.now + Duration::from_micros(1);
    lines(&mut world);
    world.engine.close_stream(stream);
    world.put("c/b", 8);
    world.put("c/b", 2);
    world.put("c/c", 5);
    world.put("c/d", 1);
    let database = world.database.clone();
    for limit in [None, Some(10)] {
        let stream = world.engine.open_stream(&database);
        let query = Query { limit, ..at_least("c", 5) };
        let spec = TargetSpec { resume: Some(Resume::Since(token)), expected_count: Some(5), ..on_query(query) };
        world.engine.add_target(world.now, stream, 1, spec);
        let expected = ["added 1", "- c/b -[1]", "+ c/c [1] -[]", "filter 1 [c/c]", "current 1", "snapshot"];
        assert_eq!(lines(&mut world), expected);
    }
}

#[test]
fn a_token_that_is_too_old_resets() {
    let (mut world, stream) = listening(vec![on_query(at_least("c", 5))]);
    let token = world.now;
    lines(&mut world);
    world.put("c/b", 8);
    lines(&mut world);
    world.pass(Duration::from_secs(3_000));
    let spec = TargetSpec { resume: Some(Resume::Since(token)), ..on_query(at_least("c", 5)) };
    world.engine.add_target(world.now, stream, 2, spec);
    assert_eq!(lines(&mut world), ["added 2", "reset 2", "+ c/b [2] -[]", "current 2", "snapshot"]);
}

#[test]
fn a_target_for_once_goes_when_it_is_current() {
    let once = TargetSpec { once: true, ..on_query(at_least("c", 5)) };
    let (mut world, _) = listening(vec![once]);
    assert_eq!(lines(&mut world), ["added 1", "+ c/b [1] -[]", "current 1", "snapshot", "gone 1 None"]);
    world.put("c/b", 9);
    assert_eq!(lines(&mut world), [""; 0]);
}

#[test]
fn a_filter_comes_only_where_the_client_had_something_else() {
    for (expected, filter) in [(1, false), (0, true), (2, true)] {
        let (mut world, stream) = listening(vec![on_query(at_least("c", 5))]);
        lines(&mut world);
        let token = Resume::Since(world.now + Duration::from_micros(1));
        world.engine.close_stream(stream);
        world.put("c/c", 6);
        world.put("c/d", 7);
        let database = world.database.clone();
        let stream = world.engine.open_stream(&database);
        let spec = TargetSpec { resume: Some(token), expected_count: Some(expected), ..on_query(at_least("c", 5)) };
        world.engine.add_target(world.now, stream, 1, spec);
        let told = lines(&mut world);
        assert_eq!(told.contains(&"filter 1 [c/c, c/b, c/d]".to_owned()), filter, "{expected}: {told:?}");
    }
}

#[test]
fn tokens_of_data_that_is_gone_begin_anew() {
    let (mut world, stream) = listening(vec![]);
    let ahead = world.now + Duration::from_secs(5);
    for (target, resume) in [(1, Resume::Void), (2, Resume::Since(ahead))] {
        let spec = TargetSpec { resume: Some(resume), ..on_query(at_least("c", 5)) };
        world.engine.add_target(world.now, stream, target, spec);
        assert_eq!(lines(&mut world)[1], format!("reset {target}"));
    }
}

#[test]
fn clearing_a_database_begins_every_target_anew() {
    let documents = on(TargetKind::Documents(vec![name("c/a")]));
    let (mut world, _) = listening(vec![documents, on_query(Query { limit: Some(3), ..at_least("c", 0) })]);
    lines(&mut world);
    let t = world.begin();
    world.read(t, "c/a");
    let database = world.database.clone();
    let record = world.engine.clearing(world.now, &database);
    world.engine.carry_out(world.now, record);
    let expected = ["reset 1", "x c/a -[1]", "current 1", "reset 2", "current 2", "snapshot"];
    assert_eq!(lines(&mut world), expected);
    assert_eq!(world.number("c/a"), None);
    assert_eq!(world.at_once(get(Consistency::In(t), "c/a")).unwrap_err(), Error::TransactionExpired);
    world.put("c/b", 9);
    assert_eq!(lines(&mut world), ["+ c/b [2] -[]", "snapshot"]);
}

#[test]
fn streams_and_waiters_of_before_a_reset_are_nobodys() {
    let (mut world, old) = listening(vec![]);
    let t = world.begin();
    world.read(t, "c/a");
    let waiter = world.waits(commit(None, vec![set("c/a", 1)]));
    world.engine.reset();
    let database = world.database.clone();
    let new = world.engine.open_stream(&database);
    world.engine.add_target(world.now, new, 1, on_query(at_least("c", 0)));
    world.engine.close_stream(old);
    world.engine.remove_target(old, 1);
    assert!(world.engine.has_target(new, 1) && !world.engine.has_target(old, 1));
    let t = world.begin();
    world.read(t, "c/a");
    let other = world.waits(commit(None, vec![set("c/a", 1)]));
    assert_ne!(waiter, other);
    world.engine.cancel(world.now, waiter);
    committed(world.at_once(commit(Some(t), vec![]))).unwrap();
    committed(world.resolved(other)).unwrap();
}
