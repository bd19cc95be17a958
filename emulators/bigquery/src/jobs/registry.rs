//! All jobs by id, oldest first, and the means to wait for one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Job, JobState};
use crate::limits;
use crate::service::error::{ApiError, ApiResult};
use crate::texts;

/// The newest jobs, which clients ask for, are kept as they are; older ones in a small form.
const JOBS_OPEN: u64 = 64;

/// A job that several calls look at.
#[derive(Debug)]
pub struct JobCell {
    job: Mutex<Job>,
    done: watch::Sender<bool>,
}

impl JobCell {
    fn new(job: Job) -> JobCell {
        let done = watch::Sender::new(job.state == JobState::Done);
        JobCell { job: Mutex::new(job), done }
    }

    /// The job, perhaps in its small form: see [`Job::opened`].
    pub fn lock(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the job; who waits is told when it is done.
    pub fn update(&self, change: impl FnOnce(&mut Job)) {
        let done = {
            let mut job = self.lock();
            job.unpack();
            change(&mut job);
            job.state == JobState::Done
        };
        if done {
            self.done.send_replace(true);
        }
    }

    /// Returns when the job is done. Cancel-safe.
    pub async fn wait(&self) {
        let mut done = self.done.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = done.wait_for(|done| *done).await;
    }
}

#[derive(Debug, Default)]
pub struct Jobs {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<(String, String), u64>,
    by_age: BTreeMap<u64, Arc<JobCell>>,
    next: u64,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a job; its id must be new in the project.
    pub fn add(&self, job: Job) -> ApiResult<Arc<JobCell>> {
        let mut inner = self.lock();
        let key = (job.project.clone(), job.id.clone());
        if inner.by_id.contains_key(&key) {
            return Err(ApiError::duplicate(texts::job_exists(&job.project, &job.location, &job.id)));
        }
        inner.next += 1;
        let number = inner.next;
        let cell = Arc::new(JobCell::new(job));
        inner.by_id.insert(key, number);
        inner.by_age.insert(number, cell.clone());
        if let Some(older) = number.checked_sub(JOBS_OPEN).and_then(|number| inner.by_age.get(&number)) {
            older.lock().pack();
        }
        while inner.by_age.len() > limits::JOBS_KEPT {
            // Whoever asks for a job that still runs finds it.
            let done = inner.by_age.iter().find_map(|(at, cell)| {
                let job = cell.lock();
                (job.state == JobState::Done).then(|| (*at, (job.project.clone(), job.id.clone())))
            });
            let Some((at, key)) = done else { break };
            inner.by_age.remove(&at);
            inner.by_id.remove(&key);
        }
        Ok(cell)
    }

    pub fn get(&self, project: &str, id: &str) -> ApiResult<Arc<JobCell>> {
        let inner = self.lock();
        let found = inner.by_id.get(&(project.to_owned(), id.to_owned())).and_then(|number| inner.by_age.get(number));
        found.cloned().ok_or_else(|| ApiError::not_found(texts::job_not_found(project, id)))
    }

    pub fn remove(&self, project: &str, id: &str) {
        let mut inner = self.lock();
        if let Some(number) = inner.by_id.remove(&(project.to_owned(), id.to_owned())) {
            inner.by_age.remove(&number);
        }
    }

    /// Takes out a script's child jobs.
    pub fn remove_children(&self, project: &str, parent: &str) {
        let mut inner = self.lock();
        let of_parent = |cell: &Arc<JobCell>| {
            let job = cell.lock();
            job.project == project && job.parent.as_deref() == Some(parent)
        };
        let children: Vec<u64> = inner.by_age.iter().filter(|(_, cell)| of_parent(cell)).map(|(at, _)| *at).collect();
        for number in children {
            if let Some(cell) = inner.by_age.remove(&number) {
                let id = cell.lock().id.clone();
                inner.by_id.remove(&(project.to_owned(), id));
            }
        }
    }

    /// Newest first, with the number that a page token continues from; only those before `before`.
    pub fn list(&self, before: Option<u64>) -> Vec<(u64, Arc<JobCell>)> {
        let inner = self.lock();
        let end = before.unwrap_or(u64::MAX);
        inner.by_age.range(..end).rev().map(|(number, cell)| (*number, cell.clone())).collect()
    }

    pub fn clear(&self) {
        let mut inner = self.lock();
        for cell in inner.by_age.values() {
            cell.lock().cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        *inner = Inner::default();
    }
}
