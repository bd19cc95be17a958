//! Random interleavings of several clients against a model.
//!
//! Every committed history must be serializable: a read-write transaction's reads must still hold
//! at its commit, a read-only one's at its snapshot. And nobody may wait for nobody (which `apply`
//! in [`World`] checks after each step), plain commits are never aborted against each other, and in
//! the end everyone is answered.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::query::aggregate::Aggregator;

/// What the documents of `c` hold after each commit.
#[derive(Default)]
struct History {
    states: BTreeMap<Timestamp, BTreeMap<String, i64>>,
}

impl History {
    fn before(&self, time: Timestamp) -> BTreeMap<String, i64> {
        self.states.range(..time).next_back().map(|(_, state)| state.clone()).unwrap_or_default()
    }

    fn at(&self, time: Timestamp) -> BTreeMap<String, i64> {
        self.states.range(..=time).next_back().map(|(_, state)| state.clone()).unwrap_or_default()
    }

    fn commit(&mut self, time: Timestamp, writes: &[(String, Option<i64>)]) {
        let mut state = self.before(time);
        assert!(self.states.range(time..).next().is_none(), "commit times must increase");
        for (path, number) in writes {
            match number {
                Some(number) => state.insert(path.clone(), *number),
                None => state.remove(path),
            };
        }
        self.states.insert(time, state);
    }
}

#[derive(Clone, Debug)]
enum Seen {
    Document(String, Option<i64>),
    /// The least number, the limit, and what was found.
    AtLeast(i64, usize, Vec<String>),
    /// The least number, and how many have it.
    Count(i64, usize),
}

impl Seen {
    fn holds_in(&self, state: &BTreeMap<String, i64>) -> bool {
        match self {
            Seen::Document(path, number) => state.get(path) == number.as_ref(),
            Seen::AtLeast(least, limit, found) => {
                let mut matching: Vec<(&i64, &String)> =
                    state.iter().filter(|(_, number)| *number >= least).map(|(path, number)| (number, path)).collect();
                matching.sort();
                matching.into_iter().map(|(_, path)| path.clone()).take(*limit).collect::<Vec<_>>() == *found
            }
            Seen::Count(least, count) => state.values().filter(|number| *number >= least).count() == *count,
        }
    }

    /// What such a read gives in a state, and so whether a commit matters to it.
    fn again_in(&self, state: &BTreeMap<String, i64>) -> Vec<(String, i64)> {
        let least = match self {
            Seen::Document(path, _) => {
                return state.get(path).map(|number| (path.clone(), *number)).into_iter().collect();
            }
            Seen::AtLeast(least, ..) | Seen::Count(least, _) => *least,
        };
        let mut matching: Vec<(i64, String)> = state
            .iter()
            .filter(|(_, number)| **number >= least)
            .map(|(path, number)| (*number, path.clone()))
            .collect();
        matching.sort();
        if let Seen::AtLeast(_, limit, _) = self {
            matching.truncate(*limit);
        }
        matching.into_iter().map(|(number, path)| (path, number)).collect()
    }
}

/// A transaction that has committed: what it saw and when, and when it wrote, if it did.
#[derive(Debug)]
struct Done {
    seen: Vec<(Timestamp, Seen)>,
    wrote: Option<Timestamp>,
}

/// The precedence graph of a history: who must come before whom in any serial order.
///
/// A read must come after the commits that it saw and before those that it did not see, as far as
/// they change what it reads: documents by name, and whatever a query would find (phantoms). Commits
/// come one after the other. Production's promise is that this graph has no circle.
fn check_precedence(history: &History, done: &[Done]) {
    let mut before: Vec<std::collections::BTreeSet<usize>> = vec![Default::default(); done.len()];
    let commits: BTreeMap<Timestamp, usize> =
        done.iter().enumerate().filter_map(|(number, done)| done.wrote.map(|time| (time, number))).collect();
    for (earlier, later) in commits.values().zip(commits.values().skip(1)) {
        before[*later].insert(*earlier);
    }
    for (reader, transaction) in done.iter().enumerate() {
        for (at, seen) in &transaction.seen {
            assert!(seen.holds_in(&history.at(*at)), "{seen:?} is not what there was at {at}");
            for (time, writer) in commits.iter().filter(|(_, writer)| **writer != reader) {
                if seen.again_in(&history.before(*time)) == seen.again_in(&history.at(*time)) {
                    continue;
                }
                if time <= at {
                    before[reader].insert(*writer)
                } else {
                    before[*writer].insert(reader)
                };
            }
        }
    }
    // Who has nobody left before it goes first; if nobody can, there is a circle.
    let mut left: std::collections::BTreeSet<usize> = (0..done.len()).collect();
    while !left.is_empty() {
        let free = left.iter().copied().find(|number| before[*number].is_disjoint(&left));
        let free = free.unwrap_or_else(|| panic!("no serial order: {done:?} with {before:?}"));
        left.remove(&free);
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pessimistic,
    Optimistic,
    ReadOnly,
}

#[derive(Clone, Debug)]
enum Step {
    Begin(Kind),
    Read(u8),
    AtLeast(i64, usize),
    Count(i64),
    Write(u8, i64),
    Delete(u8),
    Commit,
    Rollback,
    Plain(Vec<(u8, i64)>),
    Pass(u8),
}

#[derive(Clone, Debug)]
enum Asked {
    Read(String),
    AtLeast(i64, usize),
    Count(i64),
    Commit,
    Plain(Vec<(String, Option<i64>)>),
}

#[derive(Default)]
struct Client {
    id: Option<TransactionId>,
    earlier: Option<TransactionId>,
    read_only: bool,
    optimistic: bool,
    seen: Vec<(Timestamp, Seen)>,
    snapshot: Option<Timestamp>,
    writes: Vec<(String, Option<i64>)>,
    waiting: Option<(Waiter, Asked)>,
}

struct Play {
    world: World,
    clients: Vec<Client>,
    history: History,
    done: Vec<Done>,
}

fn path(number: u8) -> String {
    format!("c/{number}")
}

fn writes(list: &[(String, Option<i64>)]) -> Vec<Write> {
    list.iter().map(|(path, number)| number.map_or_else(|| delete(path), |number| set(path, number))).collect()
}

impl Play {
    fn step(&mut self, who: usize, step: Step) {
        if let Step::Pass(seconds) = step {
            self.world.pass(Duration::from_secs(u64::from(seconds)));
            self.collect();
            return;
        }
        let client = &mut self.clients[who];
        if client.waiting.is_some() {
            return;
        }
        let (command, asked) = match (step, client.id) {
            (Step::Begin(kind), None) => {
                let retry = client.earlier.take();
                let options = match kind {
                    Kind::Pessimistic => TransactionOptions::Pessimistic { retry },
                    Kind::Optimistic => TransactionOptions::Optimistic { retry },
                    Kind::ReadOnly => TransactionOptions::ReadOnly { read_time: None },
                };
                let read_only = matches!(kind, Kind::ReadOnly);
                let optimistic = matches!(kind, Kind::Optimistic);
                let id = self.world.begin_as(options).unwrap();
                *client = Client { id: Some(id), read_only, optimistic, ..Client::default() };
                return;
            }
            (Step::Read(number), Some(id)) => (get(Consistency::In(id), &path(number)), Asked::Read(path(number))),
            (Step::AtLeast(least, limit), Some(id)) => {
                let query = Arc::new(Query { limit: Some(limit), ..at_least("c", least) });
                (Command::Query { query, consistency: Consistency::In(id) }, Asked::AtLeast(least, limit))
            }
            (Step::Count(least), Some(id)) => {
                let count = Aggregation { alias: "n".to_owned(), operator: Aggregator::Count { up_to: None } };
                let (query, consistency) = (Arc::new(at_least("c", least)), Consistency::In(id));
                (Command::Aggregate { query, aggregations: vec![count], consistency }, Asked::Count(least))
            }
            (Step::Write(number, value), Some(_)) if !client.read_only => {
                client.writes.push((path(number), Some(value)));
                return;
            }
            (Step::Delete(number), Some(_)) if !client.read_only => {
                client.writes.push((path(number), None));
                return;
            }
            (Step::Commit, Some(id)) => (commit(Some(id), writes(&client.writes)), Asked::Commit),
            (Step::Rollback, Some(id)) => {
                self.world.at_once(Command::Rollback(id)).unwrap();
                *client = Client::default();
                self.collect();
                return;
            }
            (Step::Plain(list), None) => {
                let list: Vec<_> = list.into_iter().map(|(number, value)| (path(number), Some(value))).collect();
                (commit(None, writes(&list)), Asked::Plain(list))
            }
            _ => return,
        };
        let own = match self.world.apply(command) {
            Ok(Reply::Later(waiter)) => {
                self.clients[who].waiting = Some((waiter, asked));
                None
            }
            Ok(Reply::Now(outcome)) => Some((who, asked, Ok(outcome))),
            Err(error) => Some((who, asked, Err(error))),
        };
        self.collect_with(own);
    }

    fn collect(&mut self) {
        self.collect_with(None);
    }

    /// Hands out all answers there are, commits in the order of their times.
    fn collect_with(&mut self, own: Option<(usize, Asked, Answer)>) {
        let mut answers: Vec<(usize, Asked, Answer)> = own.into_iter().collect();
        for (waiter, answer) in self.world.engine.take_resolved() {
            let who = self
                .clients
                .iter()
                .position(|client| client.waiting.as_ref().is_some_and(|(other, _)| *other == waiter))
                .expect("someone waits for it");
            let (_, asked) = self.clients[who].waiting.take().unwrap();
            answers.push((who, asked, answer));
        }
        answers.sort_by_key(|(_, _, answer)| match answer {
            Ok(Outcome::Committed(done)) => done.commit_time,
            _ => Timestamp::EPOCH,
        });
        for (who, asked, answer) in answers {
            self.answer(who, asked, answer);
        }
        if let Some(database) = self.world.engine.databases.first() {
            database.check_waits(self.world.now);
        }
    }

    fn answer(&mut self, who: usize, asked: Asked, answer: Answer) {
        let client = &mut self.clients[who];
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(error) => {
                match (&asked, &error) {
                    (Asked::Plain(_), Error::TooMuchContention) => return,
                    (Asked::Plain(_), other) => panic!("a plain commit failed: {other}"),
                    (_, Error::Contention | Error::TransactionExpired) => {}
                    (Asked::Commit, Error::TooMuchContention) if client.optimistic => {}
                    (_, other) => panic!("{asked:?}: {other}"),
                }
                assert!(!(client.read_only && error == Error::Contention), "a read-only transaction was aborted");
                let earlier = client.id;
                *client = Client { earlier, ..Client::default() };
                return;
            }
        };
        match (asked, outcome) {
            (Asked::Read(path), outcome) => {
                let Outcome::Documents(read) = &outcome else { panic!("{outcome:?}") };
                let at = read.read_time;
                client.snapshot = Some(at);
                client.seen.push((at, Seen::Document(path, number(outcome))));
            }
            (Asked::AtLeast(least, limit), Outcome::Found(read)) => {
                client.snapshot = Some(read.read_time);
                let found = names(&read.what).into_iter().map(str::to_owned).collect();
                client.seen.push((read.read_time, Seen::AtLeast(least, limit, found)));
            }
            (Asked::Count(least), Outcome::Aggregated(read)) => {
                client.snapshot = Some(read.read_time);
                let Some((_, Value::Int(count))) = read.what.values.first() else { panic!("{read:?}") };
                client.seen.push((read.read_time, Seen::Count(least, *count as usize)));
            }
            (Asked::Commit, Outcome::Committed(done)) => {
                let state = match client.snapshot {
                    Some(snapshot) if client.read_only => self.history.at(snapshot),
                    _ => self.history.before(done.commit_time),
                };
                for (_, seen) in &client.seen {
                    assert!(seen.holds_in(&state), "not serializable: {seen:?} in {state:?}");
                }
                if client.optimistic {
                    // Its reads are checked again at the commit, which is where it stands in the order: what
                    // came and went between the two has not touched it.
                    if let Some((last, _)) = self.history.states.range(..done.commit_time).next_back() {
                        client.seen.iter_mut().for_each(|(at, _)| *at = (*at).max(*last));
                    }
                }
                if !client.read_only {
                    self.history.commit(done.commit_time, &client.writes);
                }
                let wrote = (!client.read_only).then_some(done.commit_time);
                self.done.push(Done { seen: std::mem::take(&mut client.seen), wrote });
                *client = Client::default();
            }
            (Asked::Plain(list), Outcome::Committed(done)) => {
                self.history.commit(done.commit_time, &list);
                self.done.push(Done { seen: Vec::new(), wrote: Some(done.commit_time) });
            }
            (asked, outcome) => panic!("{asked:?}: {outcome:?}"),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Begin(Kind::Pessimistic)),
        1 => Just(Step::Begin(Kind::Optimistic)),
        1 => Just(Step::Begin(Kind::ReadOnly)),
        6 => (0..4_u8).prop_map(Step::Read),
        2 => (0..10_i64, 1..5_usize).prop_map(|(least, limit)| Step::AtLeast(least, limit)),
        1 => (0..10_i64).prop_map(Step::Count),
        5 => (0..4_u8, 0..10_i64).prop_map(|(number, value)| Step::Write(number, value)),
        1 => (0..4_u8).prop_map(Step::Delete),
        4 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        2 => prop::collection::vec((0..4_u8, 0..10_i64), 1..3).prop_map(Step::Plain),
        1 => (0..30_u8).prop_map(Step::Pass),
    ]
}

/// Plays the steps to their end, where nobody may be left waiting, and checks the history.
fn play(steps: impl IntoIterator<Item = (usize, Step)>) -> Play {
    let clients = (0..5).map(|_| Client::default()).collect();
    let mut play = Play { world: World::new(), clients, history: History::default(), done: Vec::new() };
    for (who, step) in steps {
        play.step(who, step);
    }
    // Whoever is free to goes; then nobody may be left waiting.
    while let Some(who) = play.clients.iter().position(|client| client.id.is_some() && client.waiting.is_none()) {
        play.step(who, Step::Rollback);
    }
    assert!(play.clients.iter().all(|client| client.waiting.is_none()));
    assert!(!play.world.engine.databases.first().is_some_and(Database::is_waiting));
    check_precedence(&play.history, &play.done);
    let state = play.history.at(Timestamp::MAX);
    for number in 0..4 {
        assert_eq!(play.world.number(&path(number)), state.get(&path(number)).copied());
    }
    play
}

#[test]
fn what_came_and_went_does_not_end_an_optimistic_query() {
    let done = play([
        (0, Step::Begin(Kind::Optimistic)),
        (0, Step::AtLeast(8, 4)),
        (1, Step::Plain(vec![(1, 9)])),
        (1, Step::Plain(vec![(1, 0)])),
        (0, Step::Write(2, 3)),
        (0, Step::Commit),
        (2, Step::Plain(vec![(1, 9)])),
    ])
    .done;
    assert_eq!(done.iter().filter(|done| !done.seen.is_empty()).count(), 1, "{done:?}");
}

#[test]
fn a_commit_that_comes_between_a_waiting_query_and_an_older_commit_ends_one_of_them() {
    // The query (3) waits for the commit of 1. Once that is done, the older delete (0) matters to the
    // query as well, and waits for what the query's transaction has read: a circle.
    play([
        (0, Step::Begin(Kind::Pessimistic)),
        (1, Step::Begin(Kind::Pessimistic)),
        (2, Step::Begin(Kind::Pessimistic)),
        (3, Step::Begin(Kind::Pessimistic)),
        (2, Step::Read(1)),
        (3, Step::Read(2)),
        (1, Step::Write(1, 4)),
        (1, Step::Commit),
        (3, Step::AtLeast(0, 1)),
        (0, Step::Delete(1)),
        (0, Step::Delete(2)),
        (0, Step::Commit),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_committed_history_is_serializable(steps in prop::collection::vec((0..5_usize, step()), 1..120)) {
        play(steps);
    }
}
