//! Sessions: temporary objects, variables and an open transaction that outlive the query that made them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use scrimmage_core::{Rng, Timestamp};
use scrimmage_googlesql::script::Variables;

use crate::catalog::{SharedTransaction, TempObjects};
use crate::engine::store::DatasetPath;
use crate::service::App;
use crate::service::error::{ApiError, ApiResult};

/// How long an ended session is listed; ours, to bound memory.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
/// A session ends after a day without a query…
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// …and after a week in any case.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a query looks whether the one before it is done.
const TURN: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub struct Session {
    pub id: String,
    pub project: String,
    pub user: String,
    pub created: Timestamp,
    pub temp: Arc<TempObjects>,
    times: Mutex<Times>,
    state: Mutex<SessionState>,
}

#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub last_used: Timestamp,
    pub ended: Option<Timestamp>,
}

/// What one query of a session leaves to the next. Held while a query runs: they run one after the other.
#[derive(Debug)]
pub struct SessionState {
    /// The hidden dataset of temporary tables is there.
    pub has_dataset: bool,
    pub variables: Variables,
    pub transaction: Option<SharedTransaction>,
    /// `@@dataset_id`, where a query set it.
    pub dataset: Option<DatasetPath>,
    pub time_zone: String,
}

impl Session {
    /// Once no other query of the session runs; `None` where `cancel` is set before that.
    pub fn state(&self, cancel: &AtomicBool) -> Option<MutexGuard<'_, SessionState>> {
        loop {
            match self.state.try_lock() {
                Ok(state) => return Some(state),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if cancel.load(Ordering::Relaxed) => return None,
                // On a blocking thread of its own.
                Err(TryLockError::WouldBlock) => std::thread::sleep(TURN),
            }
        }
    }

    pub fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.times().last_used) > IDLE || now.since(self.created) > LIFETIME
    }
}

#[derive(Debug, Default)]
pub struct Sessions {
    by_id: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of a project that were not forgotten, the oldest first.
    pub fn of_project(&self, project: &str) -> Vec<Arc<Session>> {
        let mut own: Vec<_> = self.lock().values().filter(|session| session.project == project).cloned().collect();
        own.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        own
    }

    pub fn clear(&self) {
        self.lock().clear();
    }
}

/// Begins a session.
pub fn create(app: &App, project: &str, user: &str) -> Arc<Session> {
    let now = app.ctx.clock.now();
    let mut sessions = app.sessions.lock();
    // Neither another run on the same folder nor one that was forgotten had the same number.
    let number = app.session_count.fetch_add(1, Ordering::Relaxed);
    let seed = app.ctx.seed ^ (now.as_micros() as u64).rotate_left(17) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = Rng::seeded(seed).text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 40);
    let temp =
        TempObjects { dataset: DatasetPath::new(project, &format!("_session_{id}")), routines: Mutex::default() };
    let session = Arc::new(Session {
        id: id.clone(),
        project: project.to_owned(),
        user: user.to_owned(),
        created: now,
        temp: Arc::new(temp),
        times: Mutex::new(Times { last_used: now, ended: None }),
        state: Mutex::new(SessionState {
            has_dataset: false,
            variables: Variables::new(),
            transaction: None,
            dataset: None,
            time_zone: "UTC".to_owned(),
        }),
    });
    sessions.insert(id, session.clone());
    session
}

/// Ends those that nobody went on with, and forgets those that ended long ago.
pub fn expire(app: &App) {
    let now = app.ctx.clock.now();
    let all: Vec<Arc<Session>> = app.sessions.lock().values().cloned().collect();
    for session in &all {
        let ended = session.times().ended;
        if ended.is_none() && session.has_expired(now) {
            end(app, session);
        }
    }
    app.sessions.lock().retain(|_, session| session.times().ended.is_none_or(|ended| now.since(ended) <= REMEMBERED));
}

/// The session that a query names.
pub fn find(app: &App, project: &str, id: &str) -> ApiResult<Arc<Session>> {
    let now = app.ctx.clock.now();
    let missing = || ApiError::not_found(format!("Not found: Session {id}"));
    let found = app.sessions.lock().get(id).filter(|session| session.project == project).cloned();
    let session = found.ok_or_else(missing)?;
    if session.times().ended.is_none() && session.has_expired(now) {
        end(app, &session);
    }
    if session.times().ended.is_some() {
        return Err(ApiError::invalid(format!("Session {id} has been terminated and is no longer valid")));
    }
    session.times().last_used = now;
    Ok(session)
}

/// Ends a session: its temporary tables go, an open transaction is rolled back.
pub fn end(app: &App, session: &Session) {
    let now = app.ctx.clock.now();
    session.times().ended.get_or_insert(now);
    // It may not be there: nothing temporary was made.
    let _ = app.store.lock().delete_dataset(now, &session.temp.dataset, true);
    // A query that runs now puts back what it has; nobody can read it any more.
    if let Ok(mut state) = session.state.try_lock() {
        (state.transaction, state.has_dataset) = (None, false);
        state.variables.clear();
    }
}
