//! The engine: a state machine from commands and times to outcomes.
//!
//! [`Engine::apply`] takes the time and a command and answers, or says that the request has to wait
//! and hands out a [`Waiter`]. Waiters are resolved by later commands or by [`Engine::tick`]; the
//! shell collects what was resolved with [`Engine::take_resolved`] and, for listeners, what happened
//! with [`Engine::take_events`]. [`Engine::due`] says when `tick` is next worth a call.
//!
//! Nothing here reads a clock, waits, or does I/O.

mod database;
pub mod edition;
pub mod index;
pub mod listen;
pub mod locks;
pub mod query;
pub mod record;
pub mod store;
#[cfg(test)]
mod tests;
pub mod token;
mod transactions;
pub mod transform;
pub mod ttl;
pub mod waits;
pub mod window;
pub mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use scrimmage_core::Timestamp;

use crate::error::Error;
use crate::path::{DatabaseName, DocumentName};
use database::{Database, policy_record};
use edition::Edition;
use index::catalogue::Catalogue;
use listen::{ListenEvent, StreamId, TargetId, TargetSpec};
use query::Query;
use query::aggregate::{Aggregated, Aggregation};
use query::run::Found;
use record::Record;
use store::Document;
use token::TransactionId;
use ttl::Policy;
use write::{Write, WriteResult};

/// A request that waits, to be resolved later. Unique in an engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiter {
    epoch: u32,
    database: u32,
    number: u64,
}

/// A request that waited, and what it came to.
pub type Resolved = (Waiter, Result<Outcome, Error>);

/// How a transaction is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionOptions {
    /// Reads take shared locks; `retry` gives the place in line of an earlier attempt.
    Pessimistic { retry: Option<TransactionId> },
    /// Reads take no locks; the commit is refused if what was read has changed.
    Optimistic { retry: Option<TransactionId> },
    /// Reads one snapshot: as of `read_time`, or as of the beginning.
    ReadOnly { read_time: Option<Timestamp> },
}

/// At which time, or in which transaction, to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    Strong,
    At(Timestamp),
    In(TransactionId),
    /// Begins a transaction and reads in it.
    New(TransactionOptions),
}

/// What a client asks of one database.
#[derive(Clone, Debug)]
pub enum Command {
    Begin(TransactionOptions),
    Get {
        names: Vec<DocumentName>,
        consistency: Consistency,
    },
    Query {
        query: Arc<Query>,
        consistency: Consistency,
    },
    Aggregate {
        query: Arc<Query>,
        aggregations: Vec<Aggregation>,
        consistency: Consistency,
    },
    /// Ids of the collections directly below `parent` (the root, or a document), in order.
    CollectionIds {
        parent: String,
        read_time: Option<Timestamp>,
    },
    /// Names directly below `parent` that have no document but descendants, in order.
    MissingDocuments {
        parent: String,
        collection_id: Option<String>,
        read_time: Option<Timestamp>,
    },
    Commit {
        transaction: Option<TransactionId>,
        writes: Vec<Write>,
    },
    Rollback(TransactionId),
}

impl Command {
    /// The transaction that the command is part of, or ends.
    pub fn transaction(&self) -> Option<TransactionId> {
        match self {
            Command::Get { consistency: Consistency::In(id), .. }
            | Command::Query { consistency: Consistency::In(id), .. }
            | Command::Aggregate { consistency: Consistency::In(id), .. }
            | Command::Rollback(id) => Some(*id),
            Command::Commit { transaction, .. } => *transaction,
            _ => None,
        }
    }
}

impl Outcome {
    /// The transaction that the command began.
    pub fn begun(&self) -> Option<TransactionId> {
        match self {
            Outcome::Begun(id) => Some(*id),
            Outcome::Documents(read) => read.begun,
            Outcome::Found(read) => read.begun,
            Outcome::Aggregated(read) => read.begun,
            _ => None,
        }
    }
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub enum Outcome {
    Begun(TransactionId),
    Documents(Read<Vec<(DocumentName, Option<Arc<Document>>)>>),
    Found(Read<Found>),
    Aggregated(Read<Aggregated>),
    CollectionIds(Vec<String>),
    Names(Vec<DocumentName>),
    Committed(Committed),
    RolledBack,
}

/// Something read, with the time that it is consistent at.
#[derive(Clone, Debug)]
pub struct Read<T> {
    pub what: T,
    pub read_time: Timestamp,
    /// The transaction that this very request began.
    pub begun: Option<TransactionId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    pub commit_time: Timestamp,
    pub results: Vec<WriteResult>,
}

/// An answer now, or a promise of one.
#[derive(Clone, Debug)]
pub enum Reply {
    Now(Outcome),
    Later(Waiter),
}

/// All databases of a Firestore. They come into being when they are first named.
#[derive(Debug, Default)]
pub struct Engine {
    databases: Vec<Database>,
    numbers: HashMap<DatabaseName, usize>,
    epoch: u32,
    life: u32,
    /// Whether records are wanted.
    recording: bool,
    /// The declared indexes, by database; those of `None` are for all others.
    catalogues: BTreeMap<Option<DatabaseName>, Declared>,
    /// What databases were created as, to be found again after a restart.
    editions: BTreeMap<DatabaseName, Edition>,
}

/// Indexes, and whether they are to be found again after a restart: those of a file come from it.
#[derive(Clone, Debug)]
struct Declared {
    catalogue: Arc<Catalogue>,
    kept: bool,
}

/// Data of before a reset: dropping it takes time, which need not be the caller's.
#[derive(Debug)]
pub struct Forgotten {
    _databases: Vec<Database>,
}

impl Engine {
    pub fn new() -> Engine {
        Engine::default()
    }

    /// The record of a reset that is to come.
    pub fn resetting(&self) -> Record {
        Record::Reset { epoch: self.epoch.wrapping_add(1), life: self.life.wrapping_add(1) }
    }

    /// Forgets everything but what is declared: indexes, times to live and editions. Waiting requests are
    /// aborted; transaction ids, streams and waiters of before stay invalid.
    pub fn reset(&mut self) -> (Vec<Resolved>, Forgotten) {
        let mut resolved = Vec::new();
        for database in &mut self.databases {
            database.abort_all();
            resolved.append(&mut database.resolved);
        }
        let forgotten = self.forget(self.epoch.wrapping_add(1), self.life.wrapping_add(1));
        (resolved, forgotten)
    }

    fn forget(&mut self, epoch: u32, life: u32) -> Forgotten {
        let new = Engine {
            epoch,
            life,
            recording: self.recording,
            catalogues: std::mem::take(&mut self.catalogues),
            editions: std::mem::take(&mut self.editions),
            ..Engine::default()
        };
        let old = std::mem::replace(self, new).databases;
        for database in &old {
            let policies = database.ttl_policies();
            let name = database.name().clone();
            if policies.is_empty() && !self.catalogue_of(&name).is_some_and(Catalogue::has_ttl) {
                continue;
            }
            let database = self.database(&name);
            // What a file declares may have been ended since.
            for (group, _) in database.ttl_policies() {
                database.set_policy(&group, None);
            }
            for (group, policy) in policies {
                database.set_policy(&group, Some(policy));
            }
        }
        Forgotten { _databases: old }
    }

    // Keeping.

    /// From now on, what happens is recorded.
    pub fn record(&mut self) {
        self.recording = true;
        for database in &mut self.databases {
            database.record();
        }
    }

    /// What happened since the last call, in order.
    pub fn take_records(&mut self) -> Vec<Record> {
        let mut all = Vec::new();
        for database in &mut self.databases {
            all.append(&mut database.take_records());
        }
        all
    }

    /// The records taken so far are kept: nothing of them has to be taken back.
    pub fn settle_records(&mut self) {
        for database in &mut self.databases {
            database.settle_records();
        }
    }

    /// Undoes the commits whose records were not [settled](Engine::settle_records), as if they had
    /// been refused. Returns the streams of listeners that end by that: they saw what is gone.
    /// Transactions that committed have ended all the same.
    pub fn take_back(&mut self, now: Timestamp) -> Vec<StreamId> {
        self.databases.iter_mut().flat_map(|database| database.take_back(now)).collect()
    }

    /// Does again what a record says. For an engine that has not done anything else yet.
    pub fn restore(&mut self, record: Record) {
        match record {
            Record::Began { epoch, life } => {
                self.epoch = epoch;
                self.life = life;
            }
            Record::Reset { epoch, life } => drop(self.forget(epoch, life)),
            Record::Indexes { database, catalogue } => self.set_catalogue(database.as_ref(), catalogue, true),
            Record::Created { database, edition } => {
                self.name(&database);
                self.editions.insert(database, edition);
            }
            Record::Committed { ref database, .. }
            | Record::Cleared { ref database, .. }
            | Record::Complete { ref database, .. }
            | Record::TimeToLive { ref database, .. } => {
                let database = database.clone();
                self.database(&database).restore(record);
            }
        }
    }

    /// Begins the next life of restored data: transactions of the last one have expired.
    pub fn begin_life(&mut self) -> Record {
        self.epoch = self.epoch.wrapping_add(1);
        for database in &mut self.databases {
            database.set_epoch(self.epoch);
        }
        self.began()
    }

    /// How this life is recorded.
    pub fn began(&self) -> Record {
        Record::Began { epoch: self.epoch, life: self.life }
    }

    /// The shortest records that restore this very state, the past that is still readable included.
    pub fn snapshot(&self) -> Vec<Record> {
        let mut records = vec![self.began()];
        for (database, Declared { catalogue, .. }) in self.catalogues.iter().filter(|(_, declared)| declared.kept) {
            records.push(Record::Indexes { database: database.clone(), catalogue: Arc::clone(catalogue) });
        }
        let created = self.editions.iter();
        records.extend(created.map(|(name, edition)| Record::Created { database: name.clone(), edition: *edition }));
        for database in &self.databases {
            database.snapshot(&mut records);
        }
        records
    }

    /// How often the engine began, restarts and resets together.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How often everything was forgotten: older resume tokens are of no use.
    pub fn life(&self) -> u32 {
        self.life
    }

    /// The names of all databases that were ever named, in that order.
    pub fn database_names(&self) -> impl Iterator<Item = &DatabaseName> {
        self.databases.iter().map(Database::name)
    }

    /// What databases were created as.
    pub fn editions(&self) -> &BTreeMap<DatabaseName, Edition> {
        &self.editions
    }

    // Declaring: first the record is kept, then it is carried out.

    /// The record of forgetting the documents of one database and their past.
    pub fn clearing(&mut self, now: Timestamp, database: &DatabaseName) -> Record {
        self.database(database).clearing(now)
    }

    /// The record of setting the time-to-live policy of a collection group, or of ending it; `None`
    /// where there is none to end. As in production, a group has one policy at most: a new one takes
    /// the place of the old.
    pub fn policing(&self, database: &DatabaseName, group: &str, policy: Option<&Policy>) -> Option<Record> {
        let old = self.known(database).and_then(|database| database.ttl_policy(group));
        let field = &policy.or(old)?.field;
        Some(policy_record(database, &Arc::from(group), field, policy))
    }

    /// Carries out what a record of [`clearing`](Engine::clearing), [`policing`](Engine::policing) or
    /// of [`Record::Indexes`] or [`Record::Created`] says. A cleared database's transactions end, its listeners are told to
    /// begin anew, its policies stay.
    pub fn carry_out(&mut self, now: Timestamp, record: Record) {
        match record {
            Record::Cleared { database, time } => self.database(&database).clear(time),
            Record::TimeToLive { database, group, field, delay } => {
                let database = self.database(&database);
                database.set_policy(&group, delay.map(|delay| Policy { field, delay }));
                database.tick(now);
            }
            other => self.restore(other),
        }
    }

    /// Lets a database come into being, as any command to it does.
    pub fn name(&mut self, database: &DatabaseName) {
        self.database(database);
    }

    fn known(&self, database: &DatabaseName) -> Option<&Database> {
        self.numbers.get(database).and_then(|number| self.databases.get(*number))
    }

    /// All documents of a database as they are now, by collection.
    pub fn documents(&self, database: &DatabaseName) -> Vec<Arc<Document>> {
        self.known(database).map_or_else(Vec::new, Database::documents)
    }

    /// The time-to-live policies of a database by collection group.
    pub fn ttl_policies(&self, database: &DatabaseName) -> Vec<(Arc<str>, Policy)> {
        self.known(database).map_or_else(Vec::new, Database::ttl_policies)
    }

    /// Carries out a command at time `now`.
    pub fn apply(&mut self, now: Timestamp, database: &DatabaseName, command: Command) -> Result<Reply, Error> {
        self.database(database).apply(now, command)
    }

    /// Carries out a commit for each of these databases, or none of them: the error is the first
    /// one's that would fail, or would have to wait.
    pub fn commit_all(
        &mut self,
        now: Timestamp,
        commits: Vec<(DatabaseName, Vec<Write>)>,
    ) -> Result<(), (DatabaseName, Error)> {
        for (name, writes) in &commits {
            self.database(name).foretell(now, writes).map_err(|error| (name.clone(), error))?;
        }
        for (name, writes) in commits {
            let applied = self.apply(now, &name, Command::Commit { transaction: None, writes });
            applied.map_err(|error| (name, error))?;
        }
        Ok(())
    }

    /// Lets go whoever has waited long enough, and ends transactions that are too old.
    pub fn tick(&mut self, now: Timestamp) {
        for database in &mut self.databases {
            database.tick(now);
        }
    }

    /// When [`Engine::tick`] is next needed.
    pub fn due(&self) -> Option<Timestamp> {
        self.databases.iter().filter_map(Database::due).min()
    }

    /// The requests that have been resolved since the last call.
    pub fn take_resolved(&mut self) -> Vec<Resolved> {
        let mut all = Vec::new();
        for database in &mut self.databases {
            if !database.resolved.is_empty() {
                all.append(&mut database.resolved);
            }
        }
        all
    }

    /// Withdraws a waiting request whose client is gone.
    pub fn cancel(&mut self, now: Timestamp, waiter: Waiter) {
        if waiter.epoch == self.epoch
            && let Some(database) = self.databases.get_mut(waiter.database as usize)
        {
            database.cancel(now, waiter);
        }
    }

    /// Which attempt at the same work a transaction is, from 1, as far as it is remembered.
    pub fn attempt(&self, id: TransactionId) -> u32 {
        self.databases.get(id.database as usize).map_or(1, |database| database.attempt(id.age))
    }

    /// Opens a stream of listeners.
    pub fn open_stream(&mut self, database: &DatabaseName) -> StreamId {
        self.database(database).open_stream()
    }

    /// Adds a target to a stream. Its events come with [`Engine::take_events`].
    pub fn add_target(&mut self, now: Timestamp, stream: StreamId, target: TargetId, spec: TargetSpec) {
        if let Some(database) = self.database_of(stream) {
            database.add_target(now, stream, target, spec);
        }
    }

    /// Whether a stream has a target of this number.
    pub fn has_target(&self, stream: StreamId, target: TargetId) -> bool {
        // A stream of before a reset has a number that no stream has now.
        self.databases.get(stream.database as usize).is_some_and(|database| database.has_target(stream, target))
    }

    pub fn remove_target(&mut self, stream: StreamId, target: TargetId) {
        if let Some(database) = self.database_of(stream) {
            database.remove_target(stream, target);
        }
    }

    pub fn close_stream(&mut self, stream: StreamId) {
        if let Some(database) = self.database_of(stream) {
            database.close_stream(stream);
        }
    }

    /// How many events of a stream wait to be taken.
    pub fn pending_events(&self, stream: StreamId) -> usize {
        self.databases.get(stream.database as usize).map_or(0, |database| database.pending_events(stream))
    }

    /// What listeners are to be told, in order, since the last call.
    pub fn take_events(&mut self) -> Vec<(StreamId, ListenEvent)> {
        let mut all = Vec::new();
        for database in &mut self.databases {
            all.append(&mut database.take_events());
        }
        all
    }

    /// Declares indexes for a database, or for all in place of what was declared for any; `kept` ones
    /// are among the records of a [snapshot](Engine::snapshot).
    pub fn set_catalogue(&mut self, name: Option<&DatabaseName>, catalogue: Arc<Catalogue>, kept: bool) {
        if name.is_none() {
            self.catalogues.clear();
        }
        self.catalogues.insert(name.cloned(), Declared { catalogue: Arc::clone(&catalogue), kept });
        for (other, number) in &self.numbers {
            if name.is_none_or(|name| name == other)
                && let Some(database) = self.databases.get_mut(*number)
            {
                database.set_catalogue(Arc::clone(&catalogue));
            }
        }
    }

    /// The declared indexes that a restart finds again, by database; those of `None` are for all others.
    pub fn kept_catalogues(&self) -> impl Iterator<Item = (Option<&DatabaseName>, &Arc<Catalogue>)> {
        let kept = self.catalogues.iter().filter(|(_, declared)| declared.kept);
        kept.map(|(name, declared)| (name.as_ref(), &declared.catalogue))
    }

    fn catalogue_of(&self, name: &DatabaseName) -> Option<&Catalogue> {
        let declared = self.catalogues.get(&Some(name.clone())).or_else(|| self.catalogues.get(&None));
        declared.map(|declared| &*declared.catalogue)
    }

    /// The database of a stream, unless the stream is of before a reset.
    fn database_of(&mut self, stream: StreamId) -> Option<&mut Database> {
        self.databases.get_mut(stream.database as usize).filter(|_| stream.epoch == self.epoch)
    }

    fn database(&mut self, name: &DatabaseName) -> &mut Database {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = self.databases.len();
                let mut database = Database::new(name.clone(), u32::try_from(number).unwrap_or(u32::MAX), self.epoch);
                if self.recording {
                    database.record();
                }
                let declared = self.catalogues.get(&Some(name.clone())).or_else(|| self.catalogues.get(&None));
                if let Some(Declared { catalogue, .. }) = declared {
                    database.set_catalogue(Arc::clone(catalogue));
                    for (group, policy) in catalogue.policies() {
                        database.set_policy(&group, Some(policy));
                    }
                }
                self.databases.push(database);
                self.numbers.insert(name.clone(), number);
                number
            }
        };
        &mut self.databases[number]
    }
}
