//! The shell around the engine: one lock, one timer, and the clients that wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use scrimmage_core::{CallNotes, Clock, Context, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::engine::listen::{ListenEvent, StreamId, TargetId, TargetSpec};
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
    /// When the timer wakes up next.
    armed: Option<Timestamp>,
}

impl State {
    /// Hands out what the engine has resolved and what it has to tell.
    fn deliver(&mut self) {
        for (waiter, answer) in self.engine.take_resolved() {
            self.answer(waiter, answer);
        }
        if self.streams.is_empty() {
            return;
        }
        for (stream, event) in self.engine.take_events() {
            if let Some(sender) = self.streams.get(&stream) {
                // A receiver that is gone closes its stream by itself.
                let _ = sender.send(event);
            }
        }
    }

    fn answer(&mut self, waiter: Waiter, answer: Answer) {
        if let Some(sender) = self.waiters.remove(&waiter) {
            let _ = sender.send(answer);
        }
    }
}

impl Shell {
    pub fn new(context: &Context) -> Arc<Shell> {
        Arc::new(Shell {
            clock: context.clock.clone(),
            state: Mutex::default(),
            sooner: Arc::new(Notify::new()),
            timer: OnceLock::new(),
        })
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
        let (waiter, receiver, asked) = {
            let mut state = self.state();
            let now = self.clock.now();
            let transaction = command.transaction();
            let reply = state.engine.apply(now, database, command);
            if let Some(notes) = notes {
                let begun = match &reply {
                    Ok(Reply::Now(outcome)) => outcome.begun(),
                    _ => None,
                };
                if let Some(id) = transaction.or(begun) {
                    notes.attempt(state.engine.attempt(id));
                }
            }
            let waiting = match &reply {
                Ok(Reply::Later(waiter)) => {
                    let (sender, receiver) = oneshot::channel();
                    state.waiters.insert(*waiter, sender);
                    Some((*waiter, receiver))
                }
                _ => None,
            };
            state.deliver();
            self.arm(&mut state);
            match (reply?, waiting) {
                (Reply::Now(outcome), _) => return Ok(outcome),
                (Reply::Later(_), Some((waiter, receiver))) => (waiter, receiver, now),
                (Reply::Later(_), None) => return Err(Error::Internal("a waiter was lost".to_owned())),
            }
        };
        let _withdraw = Withdraw { shell: self, waiter };
        let answer = receiver.await.unwrap_or(Err(Error::Contention));
        if let Some(notes) = notes {
            notes.lock_wait(self.clock.now().since(asked));
        }
        answer
    }

    /// Opens a stream of listeners and the channel that its events come by.
    pub fn open_stream(self: &Arc<Self>, database: &DatabaseName) -> (Stream, mpsc::UnboundedReceiver<ListenEvent>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.state();
        let id = state.engine.open_stream(database);
        state.streams.insert(id, sender);
        (Stream { shell: Arc::clone(self), id }, receiver)
    }

    /// Forgets all data; streams end, and whoever waits is aborted.
    pub fn reset(&self) {
        let mut state = self.state();
        for (waiter, answer) in state.engine.reset() {
            state.answer(waiter, answer);
        }
        state.waiters.clear();
        state.streams.clear();
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
        state.deliver();
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
            state.deliver();
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
        state.deliver();
    }

    pub fn remove_target(&self, target: TargetId) {
        let mut state = self.shell.state();
        state.engine.remove_target(self.id, target);
        state.deliver();
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
