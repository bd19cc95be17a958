//! The shell around the engine: one lock, one timer, and the clients that wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use scrimmage_core::{CallNotes, Clock, Context, DataError, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};

use super::keep::Keeper;
use crate::engine::index::catalogue::Catalogue;
use crate::engine::listen::{ListenEvent, StreamId, TargetId, TargetSpec};
use crate::engine::store::Document;
use crate::engine::ttl::Policy;
use crate::engine::write::Write;
use crate::engine::{Command, Engine, Outcome, Reply, Waiter};
use crate::error::Error;
use crate::path::DatabaseName;

type Answer = Result<Outcome, Error>;

/// The engine with what it needs to live among tasks.
#[derive(Debug)]
pub struct Shell {
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
    streams: HashMap<StreamId, mpsc::UnboundedSender<ListenEvent>>,
    /// Where there is a data folder.
    keeper: Option<Keeper>,
    /// When the timer wakes up next.
    armed: Option<Timestamp>,
}

impl State {
    /// Keeps what the engine did, then hands out what it has resolved and what it has to tell.
    /// After an error, no commit since the last call may be acknowledged.
    fn deliver(&mut self) -> Result<(), Error> {
        let kept = match &mut self.keeper {
            Some(keeper) => keeper.keep(&mut self.engine),
            None => Ok(()),
        };
        for (waiter, answer) in self.engine.take_resolved() {
            self.answer(waiter, unless_lost(answer, &kept));
        }
        if self.streams.is_empty() {
            return kept;
        }
        for (stream, event) in self.engine.take_events() {
            if let Some(sender) = self.streams.get(&stream) {
                // A receiver that is gone closes its stream by itself.
                let _ = sender.send(event);
            }
        }
        kept
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

/// A command that the engine has taken.
enum Begun {
    Answered(Answer),
    Waiting(Waiter, oneshot::Receiver<Answer>),
}

/// What may be said of an answer, given whether what was done is kept.
fn unless_lost(answer: Answer, kept: &Result<(), Error>) -> Answer {
    match (answer, kept) {
        (Ok(Outcome::Committed(_)), Err(error)) => Err(error.clone()),
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
            state.keeper = Some(Keeper::open(data, &mut state.engine)?);
        }
        Ok(Shell::around(context.clock.clone(), state))
    }

    fn around(clock: Clock, state: State) -> Arc<Shell> {
        Arc::new(Shell { clock, state: Mutex::new(state), sooner: Arc::new(Notify::new()), timer: OnceLock::new() })
    }

    /// How often this engine's state was begun, restarts and resets together.
    pub fn epoch(&self) -> u32 {
        self.state().engine.epoch()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The engine does not panic; if it ever did, its data would still be the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            let kept = state.deliver();
            self.arm(&mut state);
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
            let kept = state.deliver();
            self.arm(&mut state);
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
    pub fn open_stream(self: &Arc<Self>, database: &DatabaseName) -> (Stream, mpsc::UnboundedReceiver<ListenEvent>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.state();
        let id = state.engine.open_stream(database);
        state.streams.insert(id, sender);
        (Stream { shell: Arc::clone(self), id }, receiver)
    }

    /// Forgets all data; streams end, and whoever waits is aborted. Takes no longer with much data
    /// than with little.
    pub fn reset(&self) -> Result<(), DataError> {
        let mut state = self.state();
        let (resolved, forgotten) = state.engine.reset();
        for (waiter, answer) in resolved {
            state.answer(waiter, answer);
        }
        state.waiters.clear();
        state.streams.clear();
        // Giving the memory back is what takes long.
        std::thread::spawn(move || drop(forgotten));
        let State { keeper, engine, .. } = &mut *state;
        keeper.as_mut().map_or(Ok(()), |keeper| keeper.rewrite(engine))
    }

    /// Forgets the documents of one database.
    pub fn clear(self: &Arc<Self>, database: &DatabaseName) -> Result<(), Error> {
        let mut state = self.state();
        state.engine.clear(self.clock.now(), database);
        state.deliver()
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

    /// Declares indexes, for one database or for all.
    pub fn set_catalogue(&self, database: Option<&DatabaseName>, catalogue: Catalogue) {
        self.state().engine.set_catalogue(database, catalogue);
    }

    pub fn set_ttl(
        self: &Arc<Self>,
        database: &DatabaseName,
        group: &str,
        policy: Option<Policy>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        state.engine.set_ttl(self.clock.now(), database, group, policy);
        let kept = state.deliver();
        self.arm(&mut state);
        kept
    }

    pub fn ttl_policies(&self, database: &DatabaseName) -> Vec<(Arc<str>, Policy)> {
        self.state().engine.ttl_policies(database)
    }

    /// Wakes the timer if something is due earlier than it knows.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(due) = state.engine.due() else { return };
        if state.armed.is_none_or(|armed| due < armed) {
            state.armed = Some(due);
            self.timer.get_or_init(|| self.start_timer());
            self.sooner.notify_one();
        }
    }

    /// The task holds the shell only for a moment at a time, so that it ends with it.
    fn start_timer(self: &Arc<Self>) {
        let shell = Arc::downgrade(self);
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
        state.engine.tick(self.clock.now());
        // What is lost here was promised to nobody; whoever waited has the error.
        let _ = state.deliver();
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
            state.engine.cancel(self.shell.clock.now(), self.waiter);
            let _ = state.deliver();
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
        state.engine.add_target(self.shell.clock.now(), self.id, target, spec);
        let _ = state.deliver();
    }

    /// Whether the stream has a target of this number.
    pub fn has_target(&self, target: TargetId) -> bool {
        self.shell.state().engine.has_target(self.id, target)
    }

    pub fn remove_target(&self, target: TargetId) {
        let mut state = self.shell.state();
        state.engine.remove_target(self.id, target);
        let _ = state.deliver();
    }

    /// Passes a refused target's error through the same channel, so that order is kept.
    pub fn refuse_target(&self, target: TargetId, cause: Error) {
        if let Some(sender) = self.shell.state().streams.get(&self.id) {
            let _ = sender.send(ListenEvent::TargetRemoved { target, cause: Some(cause) });
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.shell.state();
        state.streams.remove(&self.id);
        state.engine.close_stream(self.id);
    }
}
