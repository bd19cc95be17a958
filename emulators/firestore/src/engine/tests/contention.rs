//! Contention as it was recorded against the service, case by case, and what follows from it.

use super::*;

/// T and W, the first of them older; T has read `c/a`, W has read `c/b`.
fn two(t_first: bool) -> (World, TransactionId, TransactionId) {
    let mut world = World::new();
    let first = world.begin();
    let second = world.begin();
    let (t, w) = if t_first { (first, second) } else { (second, first) };
    assert_eq!(world.read(t, "c/a"), None);
    assert_eq!(world.read(w, "c/b"), None);
    (world, t, w)
}

#[test]
fn the_younger_waits_and_is_aborted_when_the_older_wants_what_it_read() {
    let (mut world, t, w) = two(true);
    let waiting = world.waits(commit(Some(w), vec![set("c/a", 1)]));
    committed(world.at_once(commit(Some(t), vec![set("c/b", 2)]))).unwrap();
    assert_eq!(world.resolved(waiting).unwrap_err(), Error::Contention);
    assert_eq!((world.number("c/a"), world.number("c/b")), (None, Some(2)));
}

#[test]
fn the_younger_waits_and_succeeds_when_the_older_only_read() {
    for ending in [Command::Rollback as fn(TransactionId) -> Command, |id| commit(Some(id), vec![])] {
        let (mut world, t, w) = two(true);
        let waiting = world.waits(commit(Some(w), vec![set("c/a", 1)]));
        world.nothing_resolved();
        world.at_once(ending(t)).unwrap();
        committed(world.resolved(waiting)).unwrap();
        assert_eq!(world.number("c/a"), Some(1));
    }
}

#[test]
fn the_older_waits_and_the_younger_is_aborted_at_once() {
    let (mut world, t, w) = two(false);
    let waiting = world.waits(commit(Some(w), vec![set("c/a", 1)]));
    let answer = world.apply(commit(Some(t), vec![set("c/b", 2)]));
    assert_eq!(answer.unwrap_err(), Error::Contention);
    committed(world.resolved(waiting)).unwrap();
    assert_eq!((world.number("c/a"), world.number("c/b")), (Some(1), None));
}

#[test]
fn without_a_common_document_nobody_waits() {
    let (mut world, t, w) = two(true);
    committed(world.at_once(commit(Some(w), vec![set("c/b", 1)]))).unwrap();
    committed(world.at_once(commit(Some(t), vec![set("c/a", 2)]))).unwrap();
}

#[test]
fn a_retry_keeps_its_age_without_a_rollback_and_wins_in_the_end() {
    let (mut world, t, w) = two(true);
    let waiting = world.waits(commit(Some(w), vec![set("c/a", 1)]));
    committed(world.at_once(commit(Some(t), vec![set("c/b", 2)]))).unwrap();
    assert_eq!(world.resolved(waiting).unwrap_err(), Error::Contention);
    // Younger than T, but older than X, which has begun in between.
    let x = world.begin();
    let again = world.retry(w);
    assert_eq!(world.engine.attempt(again), 2);
    world.read(x, "c/a");
    world.read(again, "c/a");
    let waiting = world.waits(commit(Some(again), vec![set("c/a", 1)]));
    assert_eq!(world.apply(commit(Some(x), vec![set("c/a", 3)])).unwrap_err(), Error::Contention);
    committed(world.resolved(waiting)).unwrap();
    assert_eq!(world.number("c/a"), Some(1));
}

#[test]
fn a_plain_commit_waits_behind_a_reader() {
    let (mut world, t, _) = two(true);
    let waiting = world.waits(commit(None, vec![set("c/a", 5)]));
    world.pass(Duration::from_secs(19));
    world.nothing_resolved();
    world.at_once(Command::Rollback(t)).unwrap();
    committed(world.resolved(waiting)).unwrap();
}

#[test]
fn a_plain_commit_gives_up_after_twenty_seconds() {
    let (mut world, t, _) = two(true);
    let waiting = world.waits(commit(None, vec![set("c/a", 5)]));
    assert_eq!(world.engine.due(), Some(START + Duration::from_secs(20)));
    world.pass(Duration::from_secs(20));
    assert_eq!(world.resolved(waiting).unwrap_err(), Error::TooMuchContention);
    committed(world.at_once(commit(Some(t), vec![set("c/a", 1)]))).unwrap();
}

#[test]
fn plain_commits_never_abort_each_other_and_keep_their_order() {
    let (mut world, t, _) = two(true);
    let first = world.waits(commit(None, vec![set("c/a", 1), set("c/x", 1)]));
    let second = world.waits(commit(None, vec![set("c/x", 2), set("c/a", 2)]));
    world.at_once(Command::Rollback(t)).unwrap();
    let resolved = world.engine.take_resolved();
    assert_eq!(resolved.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), [first, second]);
    assert!(resolved.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!((world.number("c/a"), world.number("c/x")), (Some(2), Some(2)));
}

#[test]
fn a_younger_reader_waits_for_an_older_writer_and_an_older_reader_does_not() {
    let mut world = World::new();
    world.put("c/a", 1);
    let holder = world.begin();
    let old = world.begin();
    world.read(holder, "c/a");
    let writer = world.waits(commit(None, vec![set("c/a", 2)]));
    let young = world.begin();
    let reader = world.waits(get(Consistency::In(young), "c/a"));
    // A reader without a transaction waits for nobody.
    assert_eq!(world.number("c/a"), Some(1));
    assert_eq!(world.read(old, "c/a"), Some(1));
    world.at_once(Command::Rollback(holder)).unwrap();
    world.nothing_resolved();
    world.at_once(Command::Rollback(old)).unwrap();
    let resolved = world.engine.take_resolved();
    assert_eq!(resolved.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), [writer, reader]);
    assert_eq!(number(resolved.into_iter().nth(1).unwrap().1.unwrap()), Some(2));
}

#[test]
fn a_read_can_close_a_circle_too() {
    let mut world = World::new();
    let old = world.begin();
    let young = world.begin();
    world.read(young, "c/a");
    let waiting = world.waits(commit(Some(old), vec![set("c/a", 1), set("c/b", 1)]));
    let answer = world.apply(get(Consistency::In(young), "c/b"));
    assert_eq!(answer.unwrap_err(), Error::Contention);
    committed(world.resolved(waiting)).unwrap();
}

#[test]
fn a_circle_of_three_loses_its_youngest_only() {
    let mut world = World::new();
    let [a, b, c] = [world.begin(), world.begin(), world.begin()];
    world.read(a, "c/a");
    world.read(b, "c/b");
    world.read(c, "c/c");
    let second = world.waits(commit(Some(b), vec![set("c/c", 2)]));
    let third = world.waits(commit(Some(c), vec![set("c/a", 3)]));
    committed(world.at_once(commit(Some(a), vec![set("c/b", 1)]))).map(|_| ()).unwrap_or_else(|error| {
        panic!("the oldest lost: {error}");
    });
    let mut resolved = world.engine.take_resolved();
    resolved.sort_by_key(|(waiter, _)| waiter.number);
    assert_eq!(resolved.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), [second, third]);
    // C goes, then A need not wait for B, which A's own write then has to outlive.
    assert_eq!(resolved[1].1.as_ref().unwrap_err(), &Error::Contention);
    assert!(resolved[0].1.is_ok());
}

#[test]
fn phantoms_wait_for_whoever_queried_the_range() {
    let mut world = World::new();
    world.put("c/in", 10);
    world.put("c/out", 1);
    let t = world.begin();
    assert_eq!(names(&world.run(Consistency::In(t), at_least("c", 5)).unwrap().what), ["c/in"]);
    // Outside of the range before and after: no conflict, and neither in other collections.
    world.put("c/out", 2);
    world.put("d/new", 10);
    let inserts = world.waits(commit(None, vec![set("c/new", 7)]));
    let moves_in = world.waits(commit(None, vec![set("c/out", 8)]));
    let removes = world.waits(commit(None, vec![delete("c/in")]));
    committed(world.at_once(commit(Some(t), vec![set("c/in", 11)]))).unwrap();
    let resolved = world.engine.take_resolved();
    assert_eq!(resolved.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>(), [inserts, moves_in, removes]);
}

#[test]
fn a_limit_locks_only_what_was_looked_at() {
    let mut world = World::new();
    for (path, number) in [("c/a", 1), ("c/b", 2), ("c/c", 3)] {
        world.put(path, number);
    }
    let t = world.begin();
    let query = Query { limit: Some(2), ..at_least("c", 0) };
    assert_eq!(names(&world.run(Consistency::In(t), query).unwrap().what), ["c/a", "c/b"]);
    world.put("c/c", 4);
    world.put("c/d", 9);
    world.waits(commit(None, vec![set("c/e", 1)]));
}

#[test]
fn forty_overlapping_read_modify_writes_commit_one_a_round_oldest_first() {
    const CLIENTS: usize = 40;
    let mut world = World::new();
    world.put("c/n", 0);
    let mut first: Vec<Option<TransactionId>> = vec![None; CLIENTS];
    let mut left: Vec<usize> = (0..CLIENTS).collect();
    let mut rounds = 0;
    while !left.is_empty() {
        rounds += 1;
        let mut open = Vec::new();
        for client in left.clone() {
            let id = match first[client] {
                None => world.begin(),
                Some(earlier) => world.retry(earlier),
            };
            first[client].get_or_insert(id);
            open.push((client, id, world.read(id, "c/n").unwrap()));
        }
        // The youngest commits first, which is the worst order for it.
        let mut waiting = HashMap::new();
        let mut won = Vec::new();
        for (client, id, seen) in open.into_iter().rev() {
            match world.apply(commit(Some(id), vec![set("c/n", seen + 1)])) {
                Ok(Reply::Now(_)) => won.push(client),
                Ok(Reply::Later(waiter)) => {
                    waiting.insert(waiter, client);
                }
                Err(error) => assert_eq!(error, Error::Contention),
            }
        }
        for (waiter, answer) in world.engine.take_resolved() {
            let client = waiting.remove(&waiter).unwrap();
            match answer {
                Ok(_) => won.push(client),
                Err(error) => assert_eq!(error, Error::Contention),
            }
        }
        assert!(waiting.is_empty());
        assert_eq!(won, [left[0]], "the oldest wins, alone");
        left.remove(0);
        assert_eq!(world.number("c/n"), Some(rounds));
    }
    assert_eq!(rounds, CLIENTS as i64);
}

#[test]
fn idle_transactions_expire_and_give_up_their_locks() {
    let (mut world, t, _) = two(true);
    let waiting = {
        world.pass(Duration::from_secs(50));
        world.waits(commit(None, vec![set("c/a", 1)]))
    };
    world.pass(Duration::from_secs(10));
    committed(world.resolved(waiting)).unwrap();
    assert_eq!(world.at_once(get(Consistency::In(t), "c/a")).unwrap_err(), Error::TransactionExpired);
    assert_eq!(world.at_once(commit(Some(t), vec![])).unwrap_err(), Error::TransactionExpired);
    world.at_once(Command::Rollback(t)).unwrap();
}

#[test]
fn a_busy_transaction_expires_in_the_end() {
    let mut world = World::new();
    let t = world.begin();
    for _ in 0..5 {
        world.pass(Duration::from_secs(50));
        world.read(t, "c/a");
    }
    world.pass(Duration::from_secs(20));
    assert_eq!(world.at_once(get(Consistency::In(t), "c/a")).unwrap_err(), Error::TransactionExpired);
}

#[test]
fn waiting_is_not_idling() {
    let mut world = World::new();
    let old = world.begin();
    let young = world.begin();
    world.read(old, "c/a");
    let waiting = world.waits(commit(Some(young), vec![set("c/a", 1)]));
    for _ in 0..3 {
        world.pass(Duration::from_secs(40));
        world.read(old, "c/b");
        world.nothing_resolved();
    }
    world.at_once(Command::Rollback(old)).unwrap();
    committed(world.resolved(waiting)).unwrap();
}

#[test]
fn a_withdrawn_commit_lets_its_readers_go() {
    let mut world = World::new();
    let holder = world.begin();
    world.read(holder, "c/a");
    let writer = world.waits(commit(None, vec![set("c/a", 1)]));
    let young = world.begin();
    let reader = world.waits(get(Consistency::In(young), "c/a"));
    world.engine.cancel(world.now, writer);
    assert_eq!(number(world.resolved(reader).unwrap()), None);
}

#[test]
fn ended_and_foreign_transactions_are_told_apart() {
    let mut world = World::new();
    let t = world.begin();
    committed(world.at_once(commit(Some(t), vec![]))).unwrap();
    assert_eq!(world.at_once(commit(Some(t), vec![])).unwrap_err(), Error::TransactionExpired);
    let unknown = TransactionId { database: 7, ..t };
    assert_eq!(world.at_once(commit(Some(unknown), vec![])).unwrap_err(), Error::InvalidTransaction);
    world.engine.reset();
    assert_eq!(world.at_once(get(Consistency::In(t), "c/a")).unwrap_err(), Error::TransactionExpired);
}

#[test]
fn a_refused_commit_ends_its_transaction() {
    let mut world = World::new();
    let t = world.begin();
    world.read(t, "c/a");
    let update = when(Precondition::Exists(true), set("c/a", 1));
    assert!(matches!(world.at_once(commit(Some(t), vec![update])).unwrap_err(), Error::NoDocumentToUpdate(_)));
    world.put("c/a", 2);
    assert_eq!(world.at_once(commit(Some(t), vec![])).unwrap_err(), Error::TransactionExpired);
}

#[test]
fn optimistic_transactions_block_nobody_and_fail_on_change() {
    let mut world = World::new();
    world.put("c/a", 1);
    let options = TransactionOptions::Optimistic { retry: None };
    let [changed, unchanged, ranged] = [(); 3].map(|()| world.begin_as(options).unwrap());
    assert_eq!(world.read(changed, "c/a"), Some(1));
    assert_eq!(world.read(unchanged, "c/b"), None);
    world.run(Consistency::In(ranged), at_least("c", 5)).unwrap();
    world.put("c/a", 6);
    // Reads stay at the snapshot.
    assert_eq!(world.read(changed, "c/a"), Some(1));
    assert_eq!(world.at_once(commit(Some(changed), vec![set("c/x", 1)])).unwrap_err(), Error::Contention);
    assert_eq!(world.at_once(commit(Some(ranged), vec![set("c/x", 1)])).unwrap_err(), Error::Contention);
    committed(world.at_once(commit(Some(unchanged), vec![set("c/b", 1)]))).unwrap();
}

#[test]
fn read_only_transactions_see_one_snapshot_and_write_nothing() {
    let mut world = World::new();
    world.put("c/a", 1);
    let t = world.begin_as(TransactionOptions::ReadOnly { read_time: None }).unwrap();
    let then = world.now;
    world.pass(Duration::from_secs(1));
    world.put("c/a", 2);
    assert_eq!(world.read(t, "c/a"), Some(1));
    assert_eq!(world.at_once(commit(Some(t), vec![set("c/a", 3)])).unwrap_err(), Error::ReadOnlyTransaction);
    committed(world.at_once(commit(Some(t), vec![]))).unwrap();
    let options = TransactionOptions::ReadOnly { read_time: Some(then) };
    let past = world.begin_as(options).unwrap();
    assert_eq!(world.read(past, "c/a"), Some(1));
    let future = TransactionOptions::ReadOnly { read_time: Some(world.now + Duration::from_secs(9)) };
    assert!(world.begin_as(future).is_err());
}

/// Read-modify-writes of one number by many clients, each at its own pace and in the manner of the
/// Python client: nobody needs a timeout, all apply, none twice.
#[test]
fn with_attempts_enough_all_of_forty_apply_in_whatever_order_they_come() {
    const CLIENTS: usize = 40;
    for seed in 0..10 {
        let mut rng = scrimmage_core::Rng::seeded(seed);
        let mut world = World::new();
        world.put("c/n", 0);
        let mut first: Vec<Option<TransactionId>> = vec![None; CLIENTS];
        let mut open: Vec<Option<(TransactionId, i64)>> = vec![None; CLIENTS];
        let mut waiting: HashMap<Waiter, usize> = HashMap::new();
        let mut free: Vec<usize> = (0..CLIENTS).collect();
        let mut applied = 0;
        let database = world.database.clone();
        while !free.is_empty() {
            let at = rng.below(free.len() as u64) as usize;
            let client = free[at];
            let command = match open[client].take() {
                None => {
                    let retry = first[client];
                    let id = world.begin_as(TransactionOptions::Pessimistic { retry }).unwrap();
                    first[client].get_or_insert(id);
                    open[client] = Some((id, 0));
                    get(Consistency::In(id), "c/n")
                }
                Some((id, seen)) => commit(Some(id), vec![set("c/n", seen + 1)]),
            };
            let mut answers = match world.engine.apply(world.now, &database, command) {
                Ok(Reply::Now(outcome)) => vec![(client, Ok(outcome))],
                Ok(Reply::Later(waiter)) => {
                    waiting.insert(waiter, client);
                    free.swap_remove(at);
                    Vec::new()
                }
                Err(error) => vec![(client, Err(error))],
            };
            for (waiter, answer) in world.engine.take_resolved() {
                let client = waiting.remove(&waiter).unwrap();
                free.push(client);
                answers.push((client, answer));
            }
            for (client, answer) in answers {
                match answer {
                    Ok(Outcome::Committed(_)) => {
                        applied += 1;
                        free.retain(|other| *other != client);
                    }
                    Ok(outcome) => {
                        let id = open[client].map(|(id, _)| id).unwrap();
                        open[client] = Some((id, number(outcome).unwrap()));
                    }
                    Err(error) => {
                        assert_eq!(error, Error::Contention);
                        open[client] = None;
                    }
                }
            }
        }
        assert!(waiting.is_empty(), "seed {seed}: someone waits for nobody");
        assert_eq!((applied, world.number("c/n")), (CLIENTS, Some(CLIENTS as i64)), "seed {seed}");
    }
}

#[test]
fn commits_that_are_taken_back_leave_nothing_but_their_errors() {
    let mut world = World::new();
    world.engine.record();
    world.put("c/a", 1);
    world.engine.take_records();
    world.engine.settle_records();
    let (t, other) = (world.begin(), world.begin());
    assert_eq!((world.read(t, "c/a"), world.read(other, "c/z")), (Some(1), None));
    let waiting = world.waits(commit(None, vec![set("c/a", 5), delete("c/b")]));
    // The transaction's end lets the other commit go: both are in one step.
    committed(world.at_once(commit(Some(t), vec![set("c/b", 2)]))).unwrap();
    committed(world.resolved(waiting)).unwrap();
    assert_eq!(world.engine.take_records().len(), 2);
    world.engine.take_back(world.now);
    assert_eq!((world.number("c/a"), world.number("c/b")), (Some(1), None));
    // Who did not commit goes on with what it holds.
    let blocked = world.waits(commit(None, vec![set("c/z", 1)]));
    committed(world.at_once(commit(Some(other), vec![set("c/y", 1)]))).unwrap();
    committed(world.resolved(blocked)).unwrap();
    assert_eq!((world.number("c/z"), world.number("c/y")), (Some(1), Some(1)));
}
