//! The shell around the engine: one lock, one timer, and the clients that wait.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use scrimmage_core::{CallNotes, Clock, Context, DataError, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};

use super::keep::{Keeper, Lost};
use crate::engine::edition::Edition;
use crate::engine::index::catalogue::Catalogue;
use crate::engine::listen::{ListenEvent, StreamId, TargetId, TargetSpec};
use crate::engine::record::Record;
use crate::engine::store::Document;
use crate::engine::ttl::Policy;
use crate::engine::write::Write;
use crate::engine::{Command, Engine, Outcome, Reply, Waiter};
use crate::error::Error;
use crate::limits;
use crate::path::DatabaseName;

type Answer = Result<Outcome, Error>;

/// The engine with what it needs to live among tasks.
#[derive(Debug)]
pub struct Shell {
    /// For the timer's task, which must not keep the shell alive.
    me: Weak<Shell>,
    clock: Clock,
    state: Mutex<State>,
    /// Tells the timer that something is due earlier than it knows.
    sooner: Arc<Notify>,
    timer: OnceLock<()>,
}

#[derive(Debug, Default)]
struct State {
    engine: Engine,
    waiters: HashMap<Waiter, oneshot::Sender<Answer>>,
    streams: HashMap<StreamId, Outlet>,
    /// Where there is a data folder.
    keeper: Option<Keeper>,
    /// When the timer wakes up next.
    armed: Option<Timestamp>,
}

/// The shell's end of a stream of listeners.
#[derive(Debug)]
struct Outlet {
    sender: mpsc::UnboundedSender<ListenEvent>,
    queue: Arc<Queue>,
    /// As many events may be in the queue: the first states of its targets, and what a slow client
    /// is allowed.
    most: usize,
}

/// What both ends of a stream know of the events on their way.
#[derive(Debug, Default)]
struct Queue {
    length: AtomicUsize,
    /// Why the stream has ended; unset where everything was reset.
    ended: OnceLock<Error>,
}

impl State {
    /// Keeps what the engine did, then hands out what it has resolved and what it has to tell. After
    /// an error, what was done since the last call is taken back: nobody may hear of it.
    fn deliver(&mut self, now: Timestamp) -> Result<(), Error> {
        let kept = match &mut self.keeper {
            Some(keeper) => keeper.keep(now, &mut self.engine),
            None => Ok(()),
        };
        let kept = kept.map_err(|Lost { error, streams }| {
            for stream in streams {
                self.end(stream, &error);
            }
            error
        });
        for (waiter, answer) in self.engine.take_resolved() {
            self.answer(waiter, unless_lost(answer, &kept));
        }
        if !self.streams.is_empty() {
            for (stream, event) in self.engine.take_events() {
                self.tell(stream, event);
            }
        }
        kept
    }

    fn tell(&mut self, stream: StreamId, event: ListenEvent) {
        let Some(outlet) = self.streams.get(&stream) else { return };
        if outlet.queue.length.load(Ordering::Relaxed) >= outlet.most {
            self.end(stream, &Error::SlowListener);
            return;
        }
        outlet.queue.length.fetch_add(1, Ordering::Relaxed);
        // A receiver that is gone closes its stream by itself.
        let _ = outlet.sender.send(event);
    }

    /// Ends a stream with this error, after what is on its way.
    fn end(&mut self, stream: StreamId, cause: &Error) {
        if let Some(outlet) = self.streams.remove(&stream) {
            let _ = outlet.queue.ended.set(cause.clone());
        }
        self.engine.close_stream(stream);
    }

    /// Writes down what is to be done, then does it.
    fn declare(&mut self, now: Timestamp, record: Record) -> Result<(), Error> {
        if let Some(keeper) = &mut self.keeper {
            keeper.declare(&record)?;
        }
        self.engine.carry_out(now, record);
        // It is done; what has expired by it may be kept now or later.
        let _ = self.deliver(now);
        if let Some(keeper) = &mut self.keeper {
            keeper.tidy(&self.engine);
        }
        Ok(())
    }

    /// Begins a command: its answer, or where it will come.
    fn begin(&mut self, now: Timestamp, database: &DatabaseName, command: Command) -> Begun {
        match self.engine.apply(now, database, command) {
            Ok(Reply::Now(outcome)) => Begun::Answered(Ok(outcome)),
            Err(error) => Begun::Answered(Err(error)),
            Ok(Reply::Later(waiter)) => {
                let (sender, receiver) = oneshot::channel();
                self.waiters.insert(waiter, sender);
                Begun::Waiting(waiter, receiver)
            }
        }
    }

    fn answer(&mut self, waiter: Waiter, answer: Answer) {
        if let Some(sender) = self.waiters.remove(&waiter) {
            let _ = sender.send(answer);
        }
    }
}

/// The locked state. When it is let go, the timer knows what is due.
struct Locked<'a> {
    shell: &'a Shell,
    state: MutexGuard<'a, State>,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(due) = self.state.engine.due() else { return };
        if self.state.armed.is_none_or(|armed| due < armed) {
            self.state.armed = Some(due);
            self.shell.timer.get_or_init(|| self.shell.start_timer());
            self.shell.sooner.notify_one();
        }
    }
}

/// A command that the engine has taken.
enum Begun {
    Answered(Answer),
    Waiting(Waiter, oneshot::Receiver<Answer>),
}

/// What may be said of an answer, given whether what was done is kept. Reads may have seen it.
fn unless_lost(answer: Answer, kept: &Result<(), Error>) -> Answer {
    match (answer, kept) {
        (Ok(Outcome::Begun(id)), _) => Ok(Outcome::Begun(id)),
        (Ok(Outcome::RolledBack), _) => Ok(Outcome::RolledBack),
        (Ok(_), Err(error)) => Err(error.clone()),
        (answer, _) => answer,
    }
}

impl Shell {
    /// A shell whose engine has nothing, and forgets everything in the end.
    pub fn in_memory(clock: Clock) -> Arc<Shell> {
        Shell::around(clock, State::default())
    }

    /// A shell whose engine has what the context's data folder has, if it has one.
    pub fn open(context: &Context) -> Result<Arc<Shell>, DataError> {
        let mut state = State::default();
        if let Some(data) = &context.data {
            state.keeper = Some(Keeper::open(data, context, &mut state.engine)?);
        }
        Ok(Shell::around(context.clock.clone(), state))
    }

    fn around(clock: Clock, state: State) -> Arc<Shell> {
        let shell = Arc::new_cyclic(|me| Shell {
            me: Weak::clone(me),
            clock,
            state: Mutex::new(state),
            sooner: Arc::default(),
            timer: OnceLock::new(),
        });
        // What was restored may have something due.
        drop(shell.state());
        shell
    }

    /// How often this engine's state was begun, restarts and resets together.
    pub fn epoch(&self) -> u32 {
        self.state().engine.epoch()
    }

    fn state(&self) -> Locked<'_> {
        // The engine does not panic; if it ever did, its data would still be the best there is.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { shell: self, state }
    }

    /// Carries out a command and waits for its answer. Dropping the future withdraws the request.
    pub async fn call(
        self: &Arc<Self>,
        database: &DatabaseName,
        command: Command,
        notes: Option<&CallNotes>,
    ) -> Result<Outcome, Error> {
        let (begun, asked) = {
            let mut state = self.state();
            let now = self.clock.now();
            let transaction = command.transaction();
            let begun = state.begin(now, database, command);
            if let Some(notes) = notes {
                let new = match &begun {
                    Begun::Answered(Ok(outcome)) => outcome.begun(),
                    _ => None,
                };
                if let Some(id) = transaction.or(new) {
                    notes.attempt(state.engine.attempt(id));
                }
            }
            let kept = state.deliver(now);
            match begun {
                Begun::Answered(answer) => return unless_lost(answer, &kept),
                waiting @ Begun::Waiting(..) => (waiting, now),
            }
        };
        self.wait(begun, asked, notes).await
    }

    /// Carries out commits without transactions, each for itself but in one step; those that wait
    /// do not hold up the others. The answers come in the order of the commits.
    pub async fn commit_each(
        self: &Arc<Self>,
        database: &DatabaseName,
        commits: impl IntoIterator<Item = Vec<Write>>,
        notes: Option<&CallNotes>,
    ) -> Vec<Answer> {
        let (begun, kept, asked) = {
            let mut state = self.state();
            let now = self.clock.now();
            let command = |writes| Command::Commit { transaction: None, writes };
            let begun: Vec<Begun> =
                commits.into_iter().map(|writes| state.begin(now, database, command(writes))).collect();
            let kept = state.deliver(now);
            (begun, kept, now)
        };
        let mut answers = Vec::with_capacity(begun.len());
        let mut waiting = Vec::new();
        for begun in begun {
            match begun {
                Begun::Answered(answer) => answers.push(unless_lost(answer, &kept)),
                Begun::Waiting(..) => {
                    waiting.push((answers.len(), begun));
                    answers.push(Err(Error::Contention));
                }
            }
        }
        let waits = waiting.into_iter().map(async |(place, begun)| (place, self.wait(begun, asked, notes).await));
        for (place, answer) in futures::future::join_all(waits).await {
            if let Some(slot) = answers.get_mut(place) {
                *slot = answer;
            }
        }
        answers
    }

    /// Commits to several databases, one commit each, or refuses all of it for the one that it names.
    /// Does not wait for locks.
    pub fn commit_all(&self, commits: Vec<(DatabaseName, Vec<Write>)>) -> Result<(), (DatabaseName, Error)> {
        let mut state = self.state();
        let now = self.clock.now();
        let first = commits.first().map(|(database, _)| database.clone());
        state.engine.commit_all(now, commits)?;
        match (state.deliver(now), first) {
            (Err(error), Some(database)) => Err((database, error)),
            _ => Ok(()),
        }
    }

    async fn wait(self: &Arc<Self>, begun: Begun, asked: Timestamp, notes: Option<&CallNotes>) -> Answer {
        let (waiter, receiver) = match begun {
            Begun::Answered(answer) => return answer,
            Begun::Waiting(waiter, receiver) => (waiter, receiver),
        };
        let _withdraw = Withdraw { shell: self, waiter };
        let answer = receiver.await.unwrap_or(Err(Error::Contention));
        if let Some(notes) = notes {
            notes.lock_wait(self.clock.now().since(asked));
        }
        answer
    }

    /// How often everything was forgotten.
    pub fn life(&self) -> u32 {
        self.state().engine.life()
    }

    /// Opens a stream of listeners and the channel that its events come by.
    pub fn open_stream(self: &Arc<Self>, database: &DatabaseName) -> (Stream, Events) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::default());
        let mut state = self.state();
        let id = state.engine.open_stream(database);
        let outlet = Outlet { sender, queue: Arc::clone(&queue), most: limits::LISTENER_BACKLOG };
        state.streams.insert(id, outlet);
        (Stream { shell: Arc::clone(self), id }, Events { receiver, queue })
    }

    /// Forgets all data but what is declared; streams end, and whoever waits is aborted. Takes no
    /// longer with much data than with little. After an error, nothing is forgotten.
    pub fn reset(&self) -> Result<(), Error> {
        let mut state = self.state();
        let record = state.engine.resetting();
        if let Some(keeper) = &mut state.keeper {
            keeper.declare(&record)?;
        }
        let (resolved, forgotten) = state.engine.reset();
        for (waiter, answer) in resolved {
            state.answer(waiter, answer);
        }
        state.waiters.clear();
        state.streams.clear();
        // Giving the memory back is what takes long.
        std::thread::spawn(move || drop(forgotten));
        let State { keeper, engine, .. } = &mut *state.state;
        if let Some(keeper) = keeper {
            keeper.tidy(engine);
        }
        Ok(())
    }

    /// Forgets the documents of one database.
    pub fn clear(&self, database: &DatabaseName) -> Result<(), Error> {
        let mut state = self.state();
        let now = self.clock.now();
        let record = state.engine.clearing(now, database);
        state.declare(now, record)
    }

    /// The documents of one database, or of every one that was ever named, as they are now.
    pub fn documents(&self, database: Option<&DatabaseName>) -> Vec<(DatabaseName, Vec<Arc<Document>>)> {
        let engine = &self.state().engine;
        let names = match database {
            Some(name) => vec![name.clone()],
            None => engine.database_names().cloned().collect(),
        };
        names.into_iter().map(|name| (name.clone(), engine.documents(&name))).collect()
    }

    /// The databases that were ever named.
    pub fn databases(&self) -> Vec<DatabaseName> {
        self.state().engine.database_names().cloned().collect()
    }

    /// Declares indexes for one database, or for all, to be found again after a restart.
    pub fn declare_indexes(&self, database: Option<&DatabaseName>, catalogue: Catalogue) -> Result<(), Error> {
        let record = Record::Indexes { database: database.cloned(), catalogue: Arc::new(catalogue) };
        self.state().declare(self.clock.now(), record)
    }

    /// Declares the indexes of a file that is read again after a restart: for all databases, and for
    /// those that have their own.
    pub fn set_catalogues(&self, all: Catalogue, own: Vec<(DatabaseName, Catalogue)>) {
        let mut state = self.state();
        state.engine.set_catalogue(None, Arc::new(all), false);
        for (database, catalogue) in own {
            state.engine.set_catalogue(Some(&database), Arc::new(catalogue), true);
        }
    }

    /// The declared indexes that the data folder has, by database; those of `None` are for all others.
    pub fn kept_catalogues(&self) -> Vec<(Option<DatabaseName>, Catalogue)> {
        let state = self.state();
        let kept = state.engine.kept_catalogues();
        kept.map(|(name, catalogue)| (name.cloned(), Catalogue::clone(catalogue))).collect()
    }

    /// Creates a database as one of this edition, to be found again after a restart.
    pub fn create(&self, database: &DatabaseName, edition: Edition) -> Result<(), Error> {
        self.state().declare(self.clock.now(), Record::Created { database: database.clone(), edition })
    }

    /// What databases were created as.
    pub fn kept_editions(&self) -> BTreeMap<DatabaseName, Edition> {
        self.state().engine.editions().clone()
    }

    /// Sets the time-to-live policy of a collection group, or ends it.
    pub fn set_ttl(&self, database: &DatabaseName, group: &str, policy: Option<Policy>) -> Result<(), Error> {
        let mut state = self.state();
        match state.engine.policing(database, group, policy.as_ref()) {
            Some(record) => state.declare(self.clock.now(), record),
            None => Ok(()),
        }
    }

    pub fn ttl_policies(&self, database: &DatabaseName) -> Vec<(Arc<str>, Policy)> {
        self.state().engine.ttl_policies(database)
    }

    /// The task holds the shell only for a moment at a time, so that it ends with it.
    fn start_timer(&self) {
        let shell = Weak::clone(&self.me);
        let sooner = Arc::clone(&self.sooner);
        let clock = self.clock.clone();
        tokio::spawn(async move {
            loop {
                let due = match shell.upgrade() {
                    Some(shell) => shell.tick(),
                    None => return,
                };
                let sleep = async {
                    match due {
                        Some(due) => clock.sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = sleep => {}
                    () = sooner.notified() => {}
                }
            }
        });
    }

    fn tick(&self) -> Option<Timestamp> {
        let mut state = self.state();
        let now = self.clock.now();
        state.engine.tick(now);
        // What is lost here was promised to nobody; whoever waited has the error.
        let _ = state.deliver(now);
        state.armed = state.engine.due();
        state.armed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

/// Withdraws a request when its client stops waiting for it.
struct Withdraw<'a> {
    shell: &'a Arc<Shell>,
    waiter: Waiter,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        let mut state = self.shell.state();
        if state.waiters.remove(&self.waiter).is_some() {
            let now = self.shell.clock.now();
            state.engine.cancel(now, self.waiter);
            let _ = state.deliver(now);
        }
    }
}

/// The client's end of a stream of listeners.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::UnboundedReceiver<ListenEvent>,
    queue: Arc<Queue>,
}

impl Events {
    /// What is to be told next; an error where the stream has ended, `None` in it where everything was
    /// reset.
    pub async fn next(&mut self) -> Result<ListenEvent, Option<Error>> {
        match self.receiver.recv().await {
            Some(event) => {
                self.queue.length.fetch_sub(1, Ordering::Relaxed);
                Ok(event)
            }
            None => Err(self.queue.ended.get().cloned()),
        }
    }
}

/// An open stream of listeners; dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    shell: Arc<Shell>,
    id: StreamId,
}

impl Stream {
    pub fn add_target(&self, target: TargetId, spec: TargetSpec) {
        let mut state = self.shell.state();
        let now = self.shell.clock.now();
        // What others are owed does not count as the target's first state.
        let _ = state.deliver(now);
        state.engine.add_target(now, self.id, target, spec);
        let events = state.engine.pending_events(self.id);
        if let Some(outlet) = state.streams.get_mut(&self.id) {
            outlet.most = outlet.queue.length.load(Ordering::Relaxed) + events + limits::LISTENER_BACKLOG;
        }
        let _ = state.deliver(now);
    }

    /// Whether the stream has a target of this number.
    pub fn has_target(&self, target: TargetId) -> bool {
        self.shell.state().engine.has_target(self.id, target)
    }

    pub fn remove_target(&self, target: TargetId) {
        let mut state = self.shell.state();
        state.engine.remove_target(self.id, target);
        let _ = state.deliver(self.shell.clock.now());
    }

    /// Passes a refused target's error through the same channel, so that order is kept.
    pub fn refuse_target(&self, target: TargetId, cause: Error) {
        self.shell.state().tell(self.id, ListenEvent::TargetRemoved { target, cause: Some(cause) });
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.shell.state();
        state.streams.remove(&self.id);
        state.engine.close_stream(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::listen::TargetKind;
    use crate::engine::query::Scope;
    use crate::engine::query::normalize::Draft;
    use crate::engine::write::Operation;
    use crate::path::DocumentName;

    #[tokio::test]
    async fn a_listener_that_does_not_read_is_ended() {
        let shell = Shell::in_memory(Clock::virtual_at(Timestamp::EPOCH));
        let database = DatabaseName::parse("projects/p/databases/d").unwrap();
        let commit = async |round: usize| {
            let write = |id: usize| {
                let name = DocumentName::parse_relative(&format!("c/{}", round * 1_000 + id)).unwrap();
                Write {
                    name,
                    operation: Operation::Set(Default::default()),
                    transforms: Vec::new(),
                    precondition: None,
                }
            };
            let command = Command::Commit { transaction: None, writes: (0..1_000).map(write).collect() };
            shell.call(&database, command, None).await.unwrap();
        };
        for round in 0..2 {
            commit(round).await;
        }
        let (stream, mut events) = shell.open_stream(&database);
        let scope = Scope { parent: Arc::from(""), collection_id: Some(Arc::from("c")), all_descendants: false };
        let query = Arc::new(Draft::new(scope).normalize().unwrap());
        let kind = TargetKind::Query(query);
        stream.add_target(1, TargetSpec { kind, resume: None, once: false, expected_count: None });
        // The first state does not count, however large: 2,003 events.
        for round in 2..54 {
            commit(round).await;
        }
        let mut told = 0;
        let ended = loop {
            match events.next().await {
                Ok(_) => told += 1,
                Err(ended) => break ended,
            }
        };
        assert_eq!((ended, told), (Some(Error::SlowListener), 2_003 + limits::LISTENER_BACKLOG));
    }
}
