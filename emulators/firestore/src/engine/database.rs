//! One database: its documents, transactions, locks and listeners, and how requests meet them.

mod keeping;

pub use keeping::policy_record;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use scrimmage_core::Timestamp;

use super::index::{self, catalogue::Catalogue};
use super::listen::{ListenEvent, Listeners, StreamId, TargetId, TargetSpec};
use super::locks::{Locks, Range};
use super::query::aggregate::aggregate;
use super::query::run;
use super::record::Record;
use super::store::{Change, Store};
use super::token::{Age, TransactionId};
use super::transactions::{Mode, Transactions};
use super::ttl::Expiries;
use super::waits::{Action, Blocker, Pending, Place, Waits, find_circle};
use super::write::{Evaluated, Operation, Write, evaluate};
use super::{Command, Committed, Consistency, Outcome, Read, Reply, Resolved, TransactionOptions, Waiter};
use crate::error::Error;
use crate::limits;
use crate::path::{DatabaseName, DocumentName};
use crate::texts;

#[derive(Debug)]
pub struct Database {
    name: DatabaseName,
    number: u32,
    epoch: u32,
    store: Store,
    catalogue: Arc<Catalogue>,
    locks: Locks,
    waits: Waits,
    transactions: Transactions,
    listeners: Listeners,
    expiries: Expiries,
    /// What happened and was not taken yet; `None` where nobody wants it.
    records: Option<Vec<Record>>,
    /// The commits that may have to be taken back, oldest first; none where nobody wants records.
    unsettled: Vec<(Timestamp, Vec<Change>)>,
    /// Every version after this time is kept; of earlier ones perhaps the last only.
    complete_from: Timestamp,
    /// The latest time given out, to a commit or to a reader; the next commit comes after it.
    last_time: Timestamp,
    /// Ages and waiters are numbered from here.
    sequence: u64,
    pub resolved: Vec<Resolved>,
}

/// How a read is to be done once its transaction has been looked at.
enum ReadMode {
    /// Without locks: the newest versions, or those at a time.
    Free(Option<Timestamp>),
    Locking(Age),
    Optimistic(Age, Timestamp),
}

impl Database {
    pub fn new(name: DatabaseName, number: u32, epoch: u32) -> Database {
        Database {
            name,
            number,
            epoch,
            store: Store::default(),
            catalogue: Arc::default(),
            locks: Locks::default(),
            waits: Waits::default(),
            transactions: Transactions::default(),
            listeners: Listeners::new(number, epoch),
            expiries: Expiries::default(),
            records: None,
            unsettled: Vec::new(),
            complete_from: Timestamp::from_micros(i64::MIN),
            last_time: Timestamp::EPOCH,
            sequence: 0,
            resolved: Vec::new(),
        }
    }

    pub fn apply(&mut self, now: Timestamp, command: Command) -> Result<Reply, Error> {
        self.tick(now);
        match command {
            Command::Begin(options) => Ok(Reply::Now(Outcome::Begun(self.begin(now, options)?))),
            Command::Get { names, consistency } => self.read(now, Action::Get(names), consistency),
            Command::Query { query, consistency } => self.read(now, Action::Query(query), consistency),
            Command::Aggregate { query, aggregations, consistency } => {
                self.read(now, Action::Aggregate(query, aggregations), consistency)
            }
            Command::Commit { transaction, writes } => self.commit(now, transaction, writes),
            Command::Rollback(id) => {
                self.check_origin(id)?;
                // Rolling back what has ended already is fine: clients do it after an abort.
                self.end(id.age);
                self.settle(now);
                Ok(Reply::Now(Outcome::RolledBack))
            }
            Command::CollectionIds { parent, read_time } => {
                let time = self.check_read_time(now, read_time)?;
                Ok(Reply::Now(Outcome::CollectionIds(self.store.collection_ids(&parent, time))))
            }
            Command::MissingDocuments { parent, collection_id, read_time } => {
                let time = self.check_read_time(now, read_time)?;
                Ok(Reply::Now(Outcome::Names(self.store.missing_documents(&parent, collection_id.as_deref(), time))))
            }
        }
    }

    // Time.

    /// A time that everything committed so far is visible at, and nothing to come.
    fn read_stamp(&mut self, now: Timestamp) -> Timestamp {
        self.last_time = self.last_time.max(now);
        self.last_time
    }

    fn commit_stamp(&mut self, now: Timestamp) -> Timestamp {
        self.last_time = now.max(self.last_time + Duration::from_micros(1));
        self.last_time
    }

    fn check_read_time(&self, now: Timestamp, time: Option<Timestamp>) -> Result<Option<Timestamp>, Error> {
        match time {
            Some(time) if time > now.max(self.last_time) => Err(Error::invalid(texts::READ_TIME_IN_FUTURE)),
            Some(time) if time < now - limits::VERSION_RETENTION || time < self.complete_from => {
                Err(Error::ReadTimeTooOld)
            }
            other => Ok(other),
        }
    }

    pub fn due(&self) -> Option<Timestamp> {
        [self.transactions.due(), self.waits.due(), self.expiries.due()].into_iter().flatten().min()
    }

    pub fn tick(&mut self, now: Timestamp) {
        let mut changed = false;
        while let Some(age) = self.transactions.overdue(now) {
            self.fail_all(age, &Error::TransactionExpired);
            self.end(age);
            changed = true;
        }
        while let Some(place) = self.waits.overdue(now) {
            if let Some(pending) = self.waits.remove(&place) {
                self.resolved.push((pending.waiter, Err(Error::TooMuchContention)));
                // An optimistic transaction's commit waits like a plain one, and ends with it.
                if let Action::Commit { transaction: Some(age), .. } = pending.action {
                    self.end(age);
                }
            }
            changed = true;
        }
        changed |= self.expire(now);
        if changed {
            self.settle(now);
        }
        let mut horizon = now - limits::VERSION_RETENTION;
        if let Some(crowded) = self.store.crowded(limits::VERSIONS_BYTES)
            && self.transactions.oldest_snapshot().is_none_or(|snapshot| snapshot >= crowded)
        {
            horizon = horizon.max(crowded);
            // The listeners' log holds the same versions.
            self.listeners.prune(crowded);
        }
        self.complete_from = self.complete_from.max(horizon);
        self.store.prune(horizon);
        self.listeners.prune(now - limits::RESUME_RETENTION);
    }

    /// Deletes the documents whose time has come, each for itself; says whether there were any.
    fn expire(&mut self, now: Timestamp) -> bool {
        let mut any = false;
        while let Some(name) = self.expiries.overdue(now) {
            let expiry = self.store.get(&name, None).and_then(|document| self.expiries.expiry(document));
            match expiry {
                None => continue,
                // It was changed, or put off, since that time was noted.
                Some(expiry) if expiry > now => {
                    self.expiries.postpone(expiry, name);
                    continue;
                }
                Some(_) => {}
            }
            let number = self.next();
            let delete =
                Write { name: name.clone(), operation: Operation::Delete, transforms: Vec::new(), precondition: None };
            let action = Action::Commit { transaction: None, writes: vec![delete] };
            if self.is_blocked(now, Age { born: number, attempt: number }, &action) {
                // Not worth a place in line: nobody waits for it.
                self.expiries.postpone(now + limits::EXPIRY_RETRY, name);
            } else {
                any |= self.run_commit_alone(now, action).is_ok();
            }
        }
        any
    }

    // Transactions.

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn begin(&mut self, now: Timestamp, options: TransactionOptions) -> Result<TransactionId, Error> {
        let attempt = self.next();
        let (mode, retry) = match options {
            TransactionOptions::Pessimistic { retry } => (Mode::Pessimistic, retry),
            TransactionOptions::Optimistic { retry } => {
                (Mode::Optimistic { snapshot: None, documents: Vec::new(), ranges: Vec::new() }, retry)
            }
            TransactionOptions::ReadOnly { read_time } => {
                let at = self.check_read_time(now, read_time)?;
                (Mode::ReadOnly { at: at.unwrap_or_else(|| self.read_stamp(now)) }, None)
            }
        };
        // An id from elsewhere gives no place in line, but is no error either.
        let retry = retry.filter(|id| id.database == self.number && id.epoch == self.epoch);
        let born = retry.map_or(attempt, |id| id.age.born.min(attempt));
        if retry.is_some() {
            self.transactions.note_retry(born);
        }
        let age = Age { born, attempt };
        self.transactions.insert(now, age, mode);
        Ok(TransactionId { database: self.number, epoch: self.epoch, age })
    }

    pub fn attempt(&self, age: Age) -> u32 {
        self.transactions.attempt(age)
    }

    fn check_origin(&self, id: TransactionId) -> Result<(), Error> {
        // Of another epoch's databases and numbers, nothing is known.
        if id.epoch == self.epoch && (id.database != self.number || id.age.attempt > self.sequence) {
            return Err(Error::InvalidTransaction);
        }
        Ok(())
    }

    /// Finds a live transaction and counts this as a use of it.
    fn touch(&mut self, now: Timestamp, id: TransactionId) -> Result<&mut Mode, Error> {
        self.check_origin(id)?;
        if id.epoch != self.epoch {
            return Err(Error::TransactionExpired);
        }
        self.refresh(now, id.age);
        self.transactions.mode(id.age).ok_or(Error::TransactionExpired)
    }

    /// Idle time counts from now, and not at all while the transaction waits.
    fn refresh(&mut self, now: Timestamp, age: Age) {
        let waiting = self.waits.of(age).next().is_some();
        self.transactions.refresh(now, age, waiting);
    }

    /// Ends a transaction and gives up its locks. What waits for them is looked at by `settle`.
    fn end(&mut self, age: Age) {
        if self.transactions.remove(age) {
            self.locks.release(age);
            self.waits.wake(age);
        }
    }

    /// Answers all waiting requests of a transaction with an error.
    fn fail_all(&mut self, age: Age, error: &Error) {
        let places: Vec<Place> = self.waits.of(age).map(|(place, _)| *place).collect();
        for place in places {
            if let Some(pending) = self.waits.remove(&place) {
                self.resolved.push((pending.waiter, Err(error.clone())));
            }
        }
    }

    pub fn abort_all(&mut self) {
        for place in self.waits.places() {
            if let Some(pending) = self.waits.remove(&place) {
                self.resolved.push((pending.waiter, Err(Error::Contention)));
            }
        }
    }

    pub fn cancel(&mut self, now: Timestamp, waiter: Waiter) {
        if let Some(place) = self.waits.place_of(waiter) {
            self.waits.remove(&place);
            self.refresh(now, place.0);
            // A commit that is gone may have been what a reader waited for.
            self.settle(now);
        }
        self.resolved.retain(|(other, _)| *other != waiter);
    }

    // Requests.

    fn read(&mut self, now: Timestamp, action: Action, consistency: Consistency) -> Result<Reply, Error> {
        let (mode, begun) = self.read_mode(now, consistency)?;
        match mode {
            ReadMode::Free(time) => Ok(Reply::Now(self.run_read(now, &action, time, begun))),
            ReadMode::Optimistic(age, snapshot) => {
                let outcome = self.run_read(now, &action, Some(snapshot), begun);
                self.note_optimistic_read(age, action, &outcome);
                Ok(Reply::Now(outcome))
            }
            ReadMode::Locking(age) => {
                let place = (age, self.next());
                if !self.is_blocked(now, age, &action) {
                    return Ok(Reply::Now(self.run_locking(now, age, action, begun)));
                }
                self.wait(now, place, action, begun, None)
            }
        }
    }

    fn read_mode(
        &mut self,
        now: Timestamp,
        consistency: Consistency,
    ) -> Result<(ReadMode, Option<TransactionId>), Error> {
        let (id, begun) = match consistency {
            Consistency::Strong => return Ok((ReadMode::Free(None), None)),
            Consistency::At(time) => return Ok((ReadMode::Free(self.check_read_time(now, Some(time))?), None)),
            Consistency::In(id) => (id, None),
            Consistency::New(options) => {
                let id = self.begin(now, options)?;
                (id, Some(id))
            }
        };
        let stamp = self.read_stamp(now);
        let mode = match self.touch(now, id)? {
            Mode::ReadOnly { at } => {
                let at = *at;
                // It was not too old when the transaction began; versions may have gone since.
                ReadMode::Free(self.check_read_time(now, Some(at))?)
            }
            Mode::Pessimistic => ReadMode::Locking(id.age),
            Mode::Optimistic { snapshot, .. } => ReadMode::Optimistic(id.age, *snapshot.get_or_insert(stamp)),
        };
        Ok((mode, begun))
    }

    fn commit(&mut self, now: Timestamp, id: Option<TransactionId>, writes: Vec<Write>) -> Result<Reply, Error> {
        let mut locking = None;
        if let Some(id) = id {
            match self.touch(now, id)? {
                Mode::ReadOnly { .. } if writes.is_empty() => {}
                Mode::ReadOnly { .. } => return Err(Error::ReadOnlyTransaction),
                Mode::Pessimistic => locking = Some(id.age),
                Mode::Optimistic { .. } => {}
            }
        }
        let number = self.next();
        // A commit without locks of its own takes its place in line now.
        let age = locking.unwrap_or(Age { born: number, attempt: number });
        let action = Action::Commit { transaction: id.map(|id| id.age), writes };
        if !self.is_blocked(now, age, &action) {
            return self.run_commit(now, action).map(Reply::Now);
        }
        let deadline = if locking.is_some() { None } else { Some(now + limits::PLAIN_COMMIT_WAIT) };
        self.wait(now, (age, number), action, None, deadline)
    }

    /// Whether a plain commit would succeed at once; if not, why.
    pub fn foretell(&mut self, now: Timestamp, writes: &[Write]) -> Result<(), Error> {
        self.tick(now);
        let number = self.next();
        let action = Action::Commit { transaction: None, writes: writes.to_vec() };
        if self.is_blocked(now, Age { born: number, attempt: number }, &action) {
            return Err(Error::TooMuchContention);
        }
        let evaluated = evaluate(&self.store, &self.name, writes, now.max(self.last_time))?;
        self.check_indexes(evaluated).map(drop)
    }

    /// Puts a request in line, breaks the deadlock that this may make, and says how it stands.
    fn wait(
        &mut self,
        now: Timestamp,
        place: Place,
        action: Action,
        begun: Option<TransactionId>,
        deadline: Option<Timestamp>,
    ) -> Result<Reply, Error> {
        let waiter = Waiter { epoch: self.epoch, database: self.number, number: place.1 };
        self.waits.insert(place, Pending { waiter, action, begun, deadline });
        self.refresh(now, place.0);
        if self.break_deadlocks(now, place.0) {
            self.settle(now);
        }
        match self.resolved.iter().position(|(other, _)| *other == waiter) {
            Some(at) => self.resolved.remove(at).1.map(Reply::Now),
            None => Ok(Reply::Later(waiter)),
        }
    }

    // Locking.

    /// Whether a request of this age has to wait for anyone: [`Database::blockers`] is not empty.
    fn is_blocked(&self, now: Timestamp, age: Age, action: &Action) -> bool {
        self.first_blocker(now, age, action).is_some()
    }

    /// One of those that a request of this age has to wait for: one that stays in its way until it
    /// ends, wherever there is such a one.
    fn first_blocker(&self, now: Timestamp, age: Age, action: &Action) -> Option<Blocker> {
        match action {
            Action::Commit { writes, .. } => {
                let readers = |write: &Write| self.locks.readers(&write.name).find(|reader| *reader != age);
                if let Some(reader) = writes.iter().find_map(readers) {
                    return Some(Blocker::Of(reader));
                }
                let touched =
                    self.locks.has_ranges() && self.locks.is_range_read_by_others(&self.foreseen(now, writes), age);
                touched.then_some(Blocker::Shifting)
            }
            Action::Get(names) => {
                let unread = names.iter().filter(|name| !self.locks.holds_document(age, name));
                unread.flat_map(|name| self.waits.older_writers(name, age)).next().map(Blocker::Of)
            }
            Action::Query(_) | Action::Aggregate(..) => {
                let blocked = !self.waits.is_empty() && !self.blockers(now, age, action).is_empty();
                blocked.then_some(Blocker::Shifting)
            }
        }
    }

    /// Whom a request of this age has to wait for.
    fn blockers(&self, now: Timestamp, age: Age, action: &Action) -> BTreeSet<Age> {
        let mut found = BTreeSet::new();
        match action {
            Action::Commit { writes, .. } => {
                self.locks.readers_of(writes.iter().map(|write| &write.name), age, &mut found);
                if self.locks.has_ranges() {
                    self.locks.readers_of_ranges(&self.foreseen(now, writes), age, &mut found);
                }
            }
            Action::Get(names) => {
                let unread = names.iter().filter(|name| !self.locks.holds_document(age, name));
                found.extend(unread.flat_map(|name| self.waits.older_writers(name, age)));
            }
            Action::Query(query) | Action::Aggregate(query, _) => {
                for (writer, writes) in self.waits.older_commits(age) {
                    let range = Range { query: Arc::clone(query), last: None };
                    if self.foreseen(now, writes).iter().any(|change| range.is_touched_by(change)) {
                        found.insert(writer);
                    }
                }
            }
        }
        found
    }

    /// What writes would change as things stand. Those that would be refused touch what is there.
    fn foreseen(&self, now: Timestamp, writes: &[Write]) -> Vec<Change> {
        match evaluate(&self.store, &self.name, writes, now.max(self.last_time)) {
            Ok(evaluated) => evaluated.changes,
            Err(_) => writes
                .iter()
                .map(|write| {
                    let before = self.store.get(&write.name, None).cloned();
                    Change { name: write.name.clone(), before, after: None }
                })
                .collect(),
        }
    }

    /// A circle of waiting requests through one of `start`.
    fn circle(&self, now: Timestamp, start: Age) -> Option<Vec<Age>> {
        // A document's readers are all found when the first writer of it comes by: with many who
        // want the same few documents, that is what keeps the search short.
        let mut done: HashSet<&DocumentName> = HashSet::new();
        find_circle(start, |age, found| {
            for (_, pending) in self.waits.of(age) {
                match &pending.action {
                    Action::Commit { writes, .. } if !self.locks.has_ranges() => {
                        for write in writes {
                            if age != start && self.locks.holds_document(start, &write.name) {
                                found.push(start);
                                return;
                            }
                            if done.insert(&write.name) {
                                found.extend(self.locks.readers(&write.name).filter(|reader| *reader != age));
                            }
                        }
                    }
                    action => found.extend(self.blockers(now, age, action)),
                }
            }
        })
    }

    /// Aborts the youngest of each circle that goes through `start`; says whether there was one.
    fn break_deadlocks(&mut self, now: Timestamp, start: Age) -> bool {
        let mut broken = false;
        while let Some(circle) = self.circle(now, start) {
            // A plain commit is in no circle as its youngest: see `waits`.
            let Some(victim) = circle.into_iter().max() else { break };
            self.fail_all(victim, &Error::Contention);
            self.end(victim);
            broken = true;
            if victim == start {
                break;
            }
        }
        broken
    }

    /// Serves every waiting request that nobody is in the way of any more, oldest first.
    fn settle(&mut self, now: Timestamp) {
        let mut changed = true;
        while changed && !self.waits.is_empty() {
            changed = false;
            let mut suspects = Vec::new();
            self.waits.wake_shifting();
            while let Some(place) = self.waits.next_awake() {
                let age = place.0;
                let Some(pending) = self.waits.get(&place) else { continue };
                if let Some(blocker) = self.first_blocker(now, age, &pending.action) {
                    self.waits.sleep(place, blocker);
                    continue;
                }
                let Some(pending) = self.waits.remove(&place) else { continue };
                changed = true;
                let result = if matches!(pending.action, Action::Commit { .. }) {
                    self.run_commit_alone(now, pending.action)
                } else {
                    Ok(self.run_locking(now, age, pending.action, pending.begun))
                };
                self.resolved.push((pending.waiter, result));
                self.refresh(now, age);
                // With new locks, a transaction that waits for something else too can close a circle.
                suspects.push(age);
            }
            if self.locks.has_ranges() || self.waits.has_shifting() {
                // New versions can move what waiting commits would write into ranges that are locked, or
                // that a waiting query asks for.
                suspects = self.waits.places().into_iter().map(|(age, _)| age).collect();
            }
            for age in suspects {
                changed |= self.break_deadlocks(now, age);
            }
        }
    }

    // Serving.

    fn run_commit(&mut self, now: Timestamp, action: Action) -> Result<Outcome, Error> {
        let result = self.run_commit_alone(now, action);
        self.settle(now);
        result
    }

    /// Commits, ends the transaction whatever comes of it, and does not look at who waits.
    fn run_commit_alone(&mut self, now: Timestamp, action: Action) -> Result<Outcome, Error> {
        let Action::Commit { transaction, writes } = action else {
            return Err(Error::Internal("a read was taken for a commit".to_owned()));
        };
        let result = self.commit_now(now, transaction, &writes);
        if let Some(age) = transaction {
            self.end(age);
        }
        result.map(Outcome::Committed)
    }

    fn commit_now(&mut self, now: Timestamp, transaction: Option<Age>, writes: &[Write]) -> Result<Committed, Error> {
        if let Some(age) = transaction {
            self.validate_optimistic(age)?;
        }
        let before = self.last_time;
        let commit_time = self.commit_stamp(now);
        let evaluated = evaluate(&self.store, &self.name, writes, commit_time);
        let evaluated = match evaluated.and_then(|evaluated| self.check_indexes(evaluated)) {
            Ok(evaluated) => evaluated,
            Err(error) => {
                self.last_time = before;
                return Err(error);
            }
        };
        if let Some(records) = &mut self.records
            && !evaluated.changes.is_empty()
        {
            let changes = evaluated.changes.iter().map(|change| (change.name.clone(), change.after.clone())).collect();
            records.push(Record::Committed { database: self.name.clone(), time: commit_time, changes });
            self.unsettled.push((commit_time, evaluated.changes.clone()));
        }
        self.install(commit_time, evaluated.changes, true);
        Ok(Committed { commit_time, results: evaluated.results })
    }

    /// Refuses documents that would have more index entries, or larger ones, than production allows.
    fn check_indexes(&self, evaluated: Evaluated) -> Result<Evaluated, Error> {
        if evaluated.largest >= index::limits::WORTH_A_LOOK || self.catalogue.has_arrays() {
            for document in evaluated.changes.iter().filter_map(|change| change.after.as_ref()) {
                index::limits::check(&self.catalogue, document)?;
            }
        }
        Ok(evaluated)
    }

    /// Makes changes the newest versions; listeners are told, or can only be told later.
    fn install(&mut self, time: Timestamp, changes: Vec<Change>, tell: bool) {
        self.store.install(time, &changes);
        self.expiries.note(&changes);
        if tell {
            self.listeners.publish(&self.store, time, changes);
        } else {
            self.listeners.remember(time, changes);
        }
    }

    /// Refuses an optimistic transaction if anything that it read has changed since its snapshot.
    fn validate_optimistic(&self, age: Age) -> Result<(), Error> {
        let Some(Mode::Optimistic { snapshot: Some(snapshot), documents, ranges }) = self.transactions.get(age) else {
            return Ok(());
        };
        let changed = documents.iter().any(|name| self.store.changed_at(name).is_some_and(|time| time > *snapshot))
            || ranges.iter().any(|range| {
                let versions = |time| {
                    let mut versions = BTreeSet::new();
                    run::each(&self.store, &range.query, time, &mut |document| {
                        if range.contains(document) {
                            versions.insert(Arc::as_ptr(document));
                        }
                    });
                    versions
                };
                versions(Some(*snapshot)) != versions(None)
            });
        if changed { Err(Error::Contention) } else { Ok(()) }
    }

    /// Reads in a pessimistic transaction: takes the locks, then the newest versions.
    fn run_locking(&mut self, now: Timestamp, age: Age, action: Action, begun: Option<TransactionId>) -> Outcome {
        let outcome = self.run_read(now, &action, None, begun);
        // What it has read already, it need not wait for a second time.
        self.waits.wake_own(age);
        match (&action, &outcome) {
            (Action::Get(names), _) => {
                for name in names {
                    self.locks.lock_document(age, name);
                }
            }
            (Action::Query(query), Outcome::Found(found)) => {
                self.locks.lock_range(age, Range { query: Arc::clone(query), last: found.what.last.clone() });
            }
            (Action::Query(query) | Action::Aggregate(query, _), _) => {
                self.locks.lock_range(age, Range { query: Arc::clone(query), last: None });
            }
            (Action::Commit { .. }, _) => {}
        }
        outcome
    }

    fn note_optimistic_read(&mut self, age: Age, action: Action, outcome: &Outcome) {
        let Some(Mode::Optimistic { documents, ranges, .. }) = self.transactions.mode(age) else {
            return;
        };
        match (action, outcome) {
            (Action::Get(names), _) => documents.extend(names),
            (Action::Query(query), Outcome::Found(found)) => {
                ranges.push(Range { query, last: found.what.last.clone() });
            }
            (Action::Query(query) | Action::Aggregate(query, _), _) => ranges.push(Range { query, last: None }),
            (Action::Commit { .. }, _) => {}
        }
    }

    fn run_read(
        &mut self,
        now: Timestamp,
        action: &Action,
        time: Option<Timestamp>,
        begun: Option<TransactionId>,
    ) -> Outcome {
        let read_time = time.unwrap_or_else(|| self.read_stamp(now));
        match action {
            Action::Query(query) => Outcome::Found(Read { what: run::run(&self.store, query, time), read_time, begun }),
            Action::Aggregate(query, aggregations) => {
                let what = aggregate(&self.store, query, aggregations, time);
                Outcome::Aggregated(Read { what, read_time, begun })
            }
            Action::Get(names) => {
                let what = names.iter().map(|name| (name.clone(), self.store.get(name, time).cloned())).collect();
                Outcome::Documents(Read { what, read_time, begun })
            }
            Action::Commit { .. } => Outcome::RolledBack,
        }
    }

    // Listening.

    pub fn open_stream(&mut self) -> StreamId {
        self.listeners.open()
    }

    pub fn close_stream(&mut self, stream: StreamId) {
        self.listeners.close(stream);
    }

    pub fn add_target(&mut self, now: Timestamp, stream: StreamId, target: TargetId, spec: TargetSpec) {
        self.tick(now);
        let read_time = self.read_stamp(now);
        self.listeners.add(&self.store, read_time, stream, target, spec);
    }

    pub fn has_target(&self, stream: StreamId, target: TargetId) -> bool {
        self.listeners.has(stream, target)
    }

    pub fn remove_target(&mut self, stream: StreamId, target: TargetId) {
        self.listeners.remove(stream, target);
    }

    pub fn pending_events(&self, stream: StreamId) -> usize {
        self.listeners.pending_events(stream)
    }

    pub fn take_events(&mut self) -> Vec<(StreamId, ListenEvent)> {
        self.listeners.take_events()
    }

    /// Checks what must always hold between commands: every waiter waits for someone who is alive.
    #[cfg(test)]
    pub fn check_waits(&self, now: Timestamp) {
        for place in self.waits.places() {
            let pending = self.waits.get(&place).unwrap();
            let blockers = self.blockers(now, place.0, &pending.action);
            assert!(!blockers.is_empty(), "{place:?} waits for nobody");
            for blocker in blockers {
                let alive = self.transactions.get(blocker).is_some() || self.waits.of(blocker).next().is_some();
                assert!(alive, "{place:?} waits for {blocker:?}, who is gone");
            }
            let circle = self.circle(now, place.0);
            assert!(circle.is_none(), "{place:?} waits in a circle: {circle:?}");
        }
    }

    #[cfg(test)]
    pub fn is_waiting(&self) -> bool {
        !self.waits.is_empty()
    }
}
