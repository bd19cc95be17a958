//! Live transactions: how they read, and when they end by themselves.

use std::collections::{BTreeSet, HashMap, VecDeque};

use scrimmage_core::Timestamp;

use crate::engine::locks::Range;
use crate::engine::token::Age;
use crate::limits;
use crate::path::DocumentName;

/// How many retried transactions' attempts are remembered, for the journal only.
const REMEMBERED_ATTEMPTS: usize = 4_096;

/// How a transaction reads.
#[derive(Debug)]
pub enum Mode {
    /// The newest versions, under shared locks.
    Pessimistic,
    /// One snapshot, taken at the first read; what was read is checked at the commit.
    Optimistic { snapshot: Option<Timestamp>, documents: Vec<DocumentName>, ranges: Vec<Range> },
    /// One snapshot, and no writes.
    ReadOnly { at: Timestamp },
}

#[derive(Debug)]
struct Transaction {
    mode: Mode,
    started: Timestamp,
    deadline: Timestamp,
}

/// All live transactions, and when each expires.
#[derive(Debug, Default)]
pub struct Transactions {
    live: HashMap<Age, Transaction>,
    deadlines: BTreeSet<(Timestamp, Age)>,
    attempts: Attempts,
}

impl Transactions {
    pub fn insert(&mut self, now: Timestamp, age: Age, mode: Mode) {
        let deadline = now + limits::TRANSACTION_IDLE;
        self.deadlines.insert((deadline, age));
        self.live.insert(age, Transaction { mode, started: now, deadline });
    }

    pub fn get(&self, age: Age) -> Option<&Mode> {
        self.live.get(&age).map(|transaction| &transaction.mode)
    }

    pub fn mode(&mut self, age: Age) -> Option<&mut Mode> {
        self.live.get_mut(&age).map(|transaction| &mut transaction.mode)
    }

    /// Forgets a transaction; says whether it was alive.
    pub fn remove(&mut self, age: Age) -> bool {
        let Some(transaction) = self.live.remove(&age) else { return false };
        self.deadlines.remove(&(transaction.deadline, age))
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.live.clear();
        self.deadlines.clear();
    }

    /// Moves the deadline of a transaction that is used now, or that waits.
    pub fn refresh(&mut self, now: Timestamp, age: Age, waiting: bool) {
        let Some(transaction) = self.live.get_mut(&age) else { return };
        let total = transaction.started + limits::TRANSACTION_TOTAL;
        let deadline = if waiting { total } else { total.min(now + limits::TRANSACTION_IDLE) };
        if deadline != transaction.deadline {
            self.deadlines.remove(&(transaction.deadline, age));
            self.deadlines.insert((deadline, age));
            transaction.deadline = deadline;
        }
    }

    /// The oldest snapshot that a live transaction reads from.
    pub fn oldest_snapshot(&self) -> Option<Timestamp> {
        let snapshot = |transaction: &Transaction| match transaction.mode {
            Mode::Pessimistic => None,
            Mode::Optimistic { snapshot, .. } => snapshot,
            Mode::ReadOnly { at } => Some(at),
        };
        self.live.values().filter_map(snapshot).min()
    }

    /// When the next transaction expires.
    pub fn due(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A transaction that has expired.
    pub fn overdue(&self, now: Timestamp) -> Option<Age> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, age)| *age)
    }

    /// Counts one more attempt of those that inherited this place in line.
    pub fn note_retry(&mut self, born: u64) {
        self.attempts.add(born);
    }

    /// Which attempt a transaction is, from 1, as far as it is remembered.
    pub fn attempt(&self, age: Age) -> u32 {
        self.attempts.counts.get(&age.born).copied().unwrap_or(1)
    }
}

/// How often each line of transactions was tried.
#[derive(Debug, Default)]
struct Attempts {
    counts: HashMap<u64, u32>,
    order: VecDeque<u64>,
}

impl Attempts {
    fn add(&mut self, born: u64) {
        let count = self.counts.entry(born).or_insert_with(|| {
            self.order.push_back(born);
            1
        });
        *count = count.saturating_add(1);
        if self.order.len() > REMEMBERED_ATTEMPTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
    }
}
