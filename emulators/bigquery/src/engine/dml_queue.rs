//! Of mutating DML statements on one table two run, twenty wait their turn, more are refused.

use std::collections::{HashMap, VecDeque};

use scrimmage_googlesql::catalog::TablePath;

use super::error::{EngineError, Result};
use crate::limits;

/// Names a statement in the queue.
pub type Ticket = u64;

#[derive(Debug, Default)]
pub struct DmlQueue {
    tables: HashMap<TablePath, Line>,
    next: Ticket,
}

#[derive(Debug, Default)]
struct Line {
    running: Vec<Ticket>,
    waiting: VecDeque<Ticket>,
}

/// Whether a statement may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Runs(Ticket),
    /// Wait until [`DmlQueue::leave`] names the ticket.
    Waits(Ticket),
}

impl DmlQueue {
    /// Puts a statement in line.
    pub fn enter(&mut self, table: &TablePath) -> Result<Place> {
        let line = self.tables.entry(table.clone()).or_default();
        if line.running.len() >= limits::DML_RUNNING && line.waiting.len() >= limits::DML_QUEUED {
            return Err(EngineError::TooManyDml(table.clone()));
        }
        self.next += 1;
        let ticket = self.next;
        if line.running.len() < limits::DML_RUNNING {
            line.running.push(ticket);
            Ok(Place::Runs(ticket))
        } else {
            line.waiting.push_back(ticket);
            Ok(Place::Waits(ticket))
        }
    }

    /// Empties all lines; what was in them may still leave.
    pub fn clear(&mut self) {
        self.tables.clear();
    }

    /// Takes a statement out, running or waiting; returns the one whose turn has come.
    pub fn leave(&mut self, table: &TablePath, ticket: Ticket) -> Option<Ticket> {
        let line = self.tables.get_mut(table)?;
        line.waiting.retain(|waiting| *waiting != ticket);
        let before = line.running.len();
        line.running.retain(|running| *running != ticket);
        let next = if line.running.len() < before { line.waiting.pop_front() } else { None };
        line.running.extend(next);
        if line.running.is_empty() && line.waiting.is_empty() {
            self.tables.remove(table);
        }
        next
    }

    /// Statements that run and wait for the table.
    pub fn outstanding(&self, table: &TablePath) -> (usize, usize) {
        self.tables.get(table).map_or((0, 0), |line| (line.running.len(), line.waiting.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_run_twenty_wait_one_more_fails() {
        let mut queue = DmlQueue::default();
        let table = TablePath { project: "p".into(), dataset: "d".into(), table: "t".into() };
        let places: Vec<Place> = (0..22).map(|_| queue.enter(&table).expect("there is room")).collect();
        assert!(matches!(places[1], Place::Runs(_)) && matches!(places[2], Place::Waits(_)));
        assert_eq!(queue.outstanding(&table), (2, 20));
        assert_eq!(queue.enter(&table), Err(EngineError::TooManyDml(table.clone())));
        let other = TablePath { table: "u".into(), ..table.clone() };
        assert!(matches!(queue.enter(&other), Ok(Place::Runs(_))));

        let ticket = |place: Place| match place {
            Place::Runs(ticket) | Place::Waits(ticket) => ticket,
        };
        assert_eq!(queue.leave(&table, ticket(places[0])), Some(ticket(places[2])));
        // One that waits and gives up lets nobody in.
        assert_eq!(queue.leave(&table, ticket(places[3])), None);
        assert_eq!(queue.outstanding(&table), (2, 18));
    }
}
