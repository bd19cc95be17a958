//! The service: sockets' side of the engine. A lock around it, one timer, and whom to wake.

pub mod declare;
mod envelope;
mod iam;
mod keeper;
mod publisher;
mod push;
mod schemas;
pub mod sink;
mod streaming;
mod subscriber;
mod tls;
mod transforming;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use scrimmage_core::{Clock, Context, DataError, Keeper, Timestamp};
use scrimmage_protos::google::iam::v1::iam_policy_server::IamPolicyServer;
use scrimmage_protos::google::pubsub::v1::publisher_server::PublisherServer;
use scrimmage_protos::google::pubsub::v1::schema_service_server::SchemaServiceServer;
use scrimmage_protos::google::pubsub::v1::subscriber_server::SubscriberServer;
use tokio::sync::{Notify, watch};

use crate::engine::delivery::Leave;
use crate::engine::push::{PushJob, TakeForPush};
use crate::engine::sink::{SinkJob, TakeForSink};
use crate::engine::{Command, Engine, Token, Wake};
use crate::limits;
use crate::texts::Error;
use sink::TableSink;

pub use iam::IamPolicies;
pub use publisher::PublisherService;
pub use schemas::Schemas;
pub use subscriber::SubscriberService;

/// How long timers rest where the folder cannot be written.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// One suite's Pub/Sub. Clones share it; when the last is gone, its tasks end.
#[derive(Clone, Debug)]
pub struct PubSub {
    shell: Arc<Shell>,
}

impl PubSub {
    /// A service with the state that the context's folder keeps, or an empty one. To be called within
    /// a tokio runtime: leases run on a task of their own.
    pub fn open(ctx: Context) -> Result<PubSub, DataError> {
        let first_message = first_message(&ctx);
        let Some(data) = &ctx.data else { return Ok(PubSub::new(ctx)) };
        let (engine, keeper) = keeper::open(data, first_message, &ctx.journal)?;
        Ok(PubSub::with(ctx, engine, Some(keeper)))
    }

    /// An empty service that is in memory alone, also where the context has a folder.
    pub fn new(ctx: Context) -> PubSub {
        let engine = Engine::new(first_message(&ctx));
        PubSub::with(ctx, engine, None)
    }

    fn with(ctx: Context, engine: Engine, keeper: Option<Keeper>) -> PubSub {
        let shell = Arc::new(Shell {
            state: Mutex::new(State {
                engine,
                keeper,
                waiters: HashMap::new(),
                due: None,
                duplicates: Vec::new(),
                stream_lifetime: limits::STREAM_LIFETIME,
            }),
            timer: Arc::new(Notify::new()),
            resets: watch::Sender::new(()),
            pushes: Arc::new(push::Client::new()),
            sink: OnceLock::new(),
            ctx,
        });
        tokio::spawn(run_timer(Arc::downgrade(&shell), shell.timer.clone(), shell.ctx.clock.clone()));
        PubSub { shell }
    }

    /// The gRPC service `google.pubsub.v1.Publisher`.
    pub fn publisher(&self) -> PublisherServer<PublisherService> {
        PublisherServer::new(PublisherService { shell: self.shell.clone() })
            .max_decoding_message_size(limits::DECODE_BYTES)
            .max_encoding_message_size(usize::MAX)
    }

    /// The gRPC service `google.pubsub.v1.Subscriber`.
    pub fn subscriber(&self) -> SubscriberServer<SubscriberService> {
        SubscriberServer::new(SubscriberService { shell: self.shell.clone() })
            .max_decoding_message_size(limits::DECODE_BYTES)
            .max_encoding_message_size(usize::MAX)
    }

    /// The gRPC service `google.pubsub.v1.SchemaService`.
    pub fn schemas(&self) -> SchemaServiceServer<Schemas> {
        SchemaServiceServer::new(Schemas { shell: self.shell.clone() })
            .max_decoding_message_size(limits::DECODE_BYTES)
            .max_encoding_message_size(usize::MAX)
    }

    /// The gRPC service `google.iam.v1.IAMPolicy`, for the resources of Pub/Sub.
    pub fn iam(&self) -> IamPolicyServer<IamPolicies> {
        IamPolicyServer::new(IamPolicies { shell: self.shell.clone() })
    }

    /// Where BigQuery subscriptions write; they are refused without. Counts once, the first time.
    pub fn write_to(&self, sink: Arc<dyn TableSink>) {
        let _ = self.shell.sink.set(sink);
        // Batches from before a restart may have failed for want of it.
        self.shell.timer.notify_one();
    }

    /// Forgets every schema, topic, subscription, snapshot and message. Waiting pulls and streams end with
    /// UNAVAILABLE; pushes under way are broken off. Where the context's folder cannot be written, nothing
    /// happens.
    pub fn reset(&self) -> Result<(), DataError> {
        let mut state = self.shell.state();
        let fresh = state.engine.fresh();
        if let Some(keeper) = &mut state.keeper {
            keeper.replace(fresh.export())?;
        }
        state.engine = fresh;
        state.duplicates.clear();
        for waiter in state.waiters.values() {
            waiter.notify_one();
        }
        drop(state);
        self.shell.resets.send_replace(());
        self.shell.timer.notify_one();
        Ok(())
    }

    /// Pushes the next `count` messages of the subscriptions that match `pattern` twice: once more,
    /// with the same message id, right after the endpoint has acknowledged them. `pattern` is a
    /// [`Glob`](scrimmage_core::glob::Glob) over full names, such as `**/subscriptions/completions`.
    pub fn duplicate_next(&self, pattern: scrimmage_core::glob::Glob, count: u64) {
        self.shell.state().duplicates.push((pattern, count));
    }

    /// How long streaming pulls that are opened from now on live, by the suite's clock; the default is
    /// [`limits::STREAM_LIFETIME`]. Then they end with UNAVAILABLE, and clients open others.
    pub fn set_stream_lifetime(&self, lifetime: Duration) {
        self.shell.state().stream_lifetime = lifetime;
    }

    /// How many pushes at a time subscriptions that are created from now on start with; the default
    /// is [`limits::PUSH_WINDOW_START`]. For rehearsals that need many deliveries to overlap at once.
    pub fn set_push_window(&self, window: u32) {
        self.shell.state().engine.set_push_window(window);
    }
}

#[derive(Debug)]
pub(crate) struct Shell {
    pub ctx: Context,
    state: Mutex<State>,
    /// Told when something is due earlier than before.
    timer: Arc<Notify>,
    /// Changed at a reset, closed at the end.
    resets: watch::Sender<()>,
    pushes: Arc<push::Client>,
    sink: OnceLock<Arc<dyn TableSink>>,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    /// None: in memory alone.
    keeper: Option<Keeper>,
    waiters: HashMap<Token, Arc<Notify>>,
    /// What the timer task waits for.
    due: Option<Timestamp>,
    duplicates: Vec<(scrimmage_core::glob::Glob, u64)>,
    stream_lifetime: Duration,
}

impl State {
    /// Keeps what the engine has done, where it is kept.
    fn keep(&mut self) -> Result<(), DataError> {
        self.keeper.as_mut().map_or(Ok(()), |keeper| keeper::keep(keeper, &mut self.engine))
    }

    /// Whether all that was done so far is kept; tries once more where it is not. Until it is, nothing else may be
    /// done: a single change is in doubt after a disk has failed, and nobody sees it before it is kept.
    fn caught_up(&mut self) -> Result<(), DataError> {
        self.keeper.as_mut().map_or(Ok(()), Keeper::catch_up)
    }
}

fn first_message(ctx: &Context) -> u64 {
    u64::try_from(ctx.clock.now().as_micros()).unwrap_or(0).max(1)
}

impl Shell {
    fn state(&self) -> MutexGuard<'_, State> {
        // The engine is plain data; a panic in one call must not end the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command and everything that follows from it: wakes, pushes, events, the timer.
    ///
    /// A change that cannot be kept is an error, as are all others until it is; see [`State::caught_up`].
    pub fn apply<C: Command>(self: &Arc<Self>, command: C) -> Result<C::Outcome, Error> {
        let mut state = self.state();
        let now = self.ctx.clock.now();
        if let Err(error) = state.caught_up() {
            if C::CHANGES {
                return Err(Error::NotKept(error.to_string()));
            }
            return state.engine.alone(now, command);
        }
        let outcome = state.engine.apply(now, command);
        let kept = self.follow_up(state);
        if kept.is_err()
            && let Some(token) = outcome.as_ref().ok().and_then(C::token)
        {
            // The answer is lost, and with it whoever would have left.
            self.leave(token);
        }
        kept.and(outcome)
    }

    /// Ends a consumer.
    fn leave(self: &Arc<Self>, token: Token) {
        // Leaving cannot fail.
        let _ = self.apply(Leave(token));
        self.state().waiters.remove(&token);
    }

    fn tick(self: &Arc<Self>) -> Option<Timestamp> {
        let mut state = self.state();
        let now = self.ctx.clock.now();
        if state.caught_up().is_err() {
            state.due = Some(now + DISK_PAUSE);
            return state.due;
        }
        state.engine.tick(now);
        state.due = state.engine.due();
        let due = state.due;
        // The journal has it; nobody waits for an answer.
        let _ = self.follow_up(state);
        due
    }

    fn follow_up(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Result<(), Error> {
        let mut jobs: Vec<PushJob> = Vec::new();
        let mut batches: Vec<SinkJob> = Vec::new();
        loop {
            let wakes = state.engine.take_wakes();
            if wakes.is_empty() {
                break;
            }
            for wake in wakes {
                match wake {
                    // A waiter may be woken before its task has asked for its bell.
                    Wake::Consumer(token) => state.waiters.entry(token).or_default().notify_one(),
                    Wake::Push(sub) => {
                        let now = self.ctx.clock.now();
                        if let Ok(taken) = state.engine.apply(now, TakeForPush(sub)) {
                            jobs.extend(taken);
                        }
                    }
                    Wake::Sink(sub) => {
                        let now = self.ctx.clock.now();
                        if let Ok(taken) = state.engine.apply(now, TakeForSink(sub)) {
                            batches.extend(taken);
                        }
                    }
                }
            }
        }
        let kept = state.keep();
        let events = state.engine.take_events();
        let due = state.engine.due();
        let earlier = match (due, state.due) {
            (Some(due), Some(waiting)) => due < waiting,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier {
            state.due = due;
        }
        drop(state);
        if earlier {
            self.timer.notify_one();
        }
        if let Err(error) = kept {
            // What was taken to be sent comes again after its lease.
            self.ctx.journal.event("pubsub", "not_kept", "", error.to_string());
            return Err(Error::NotKept(error.to_string()));
        }
        for event in events {
            self.ctx.journal.event("pubsub", event.kind, event.resource, event.text);
        }
        for job in jobs {
            push::start(self, job);
        }
        for batch in batches {
            sink::start(self, batch);
        }
        Ok(())
    }

    pub(super) fn stream_lifetime(&self) -> Duration {
        self.state().stream_lifetime
    }

    pub(super) fn sink(&self) -> Option<Arc<dyn TableSink>> {
        self.sink.get().cloned()
    }

    /// The bell of a waiting consumer.
    fn bell(&self, token: Token) -> Arc<Notify> {
        self.state().waiters.entry(token).or_default().clone()
    }

    /// Whether a push of this subscription is to be sent once more.
    fn takes_duplicate(&self, subscription: &str) -> bool {
        let mut state = self.state();
        let Some((_, left)) = state.duplicates.iter_mut().find(|(pattern, _)| pattern.matches(subscription)) else {
            return false;
        };
        *left = left.saturating_sub(1);
        state.duplicates.retain(|(_, left)| *left > 0);
        true
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.timer.notify_one();
    }
}

/// A waiting pull or an open stream; dropping it tells the engine.
pub(crate) struct Consumer {
    shell: Arc<Shell>,
    token: Token,
    bell: Arc<Notify>,
}

impl Consumer {
    fn new(shell: &Arc<Shell>, token: Token) -> Consumer {
        Consumer { bell: shell.bell(token), shell: shell.clone(), token }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shell.leave(self.token);
    }
}

/// Waits for whatever is due next, on the suite's clock, until the service is gone.
async fn run_timer(shell: Weak<Shell>, changed: Arc<Notify>, clock: Clock) {
    while let Some(due) = shell.upgrade().map(|shell| shell.tick()) {
        match due {
            Some(due) => {
                tokio::select! {
                    () = clock.sleep_until(due) => {}
                    () = changed.notified() => {}
                }
            }
            None => changed.notified().await,
        }
    }
}
