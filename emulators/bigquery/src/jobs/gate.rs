//! Where DML statements on blocking threads wait for their turn on a table.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use scrimmage_googlesql::SqlError;
use scrimmage_googlesql::catalog::TablePath;

use super::statement::{CANCEL_CHECK, cancelled};
use crate::catalog::SharedStore;
use crate::engine::dml_queue::{Place, Ticket};

/// Tickets whose turn has come and whose owners have not noticed yet.
#[derive(Debug, Default)]
pub struct DmlGate {
    granted: Mutex<HashSet<Ticket>>,
    changed: Condvar,
}

/// A statement's place in the queue; leaving lets the next one in.
#[derive(Debug)]
pub struct Turn {
    gate: Arc<DmlGate>,
    store: SharedStore,
    table: TablePath,
    ticket: Ticket,
}

impl DmlGate {
    /// Returns once the statement may run, and whether it had to wait.
    pub fn enter(
        self: &Arc<Self>,
        store: &SharedStore,
        table: &TablePath,
        cancel: &AtomicBool,
    ) -> Result<(bool, Turn), SqlError> {
        let place = store.lock().dml.enter(table)?;
        let turn = |ticket| Turn { gate: self.clone(), store: store.clone(), table: table.clone(), ticket };
        let ticket = match place {
            Place::Runs(ticket) => return Ok((false, turn(ticket))),
            Place::Waits(ticket) => ticket,
        };
        let turn = turn(ticket);
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        while !granted.remove(&ticket) {
            if cancel.load(Ordering::Relaxed) {
                return Err(cancelled());
            }
            granted = self.changed.wait_timeout(granted, CANCEL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok((true, turn))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.store.lock().dml.leave(&self.table, self.ticket);
        if let Some(next) = next {
            self.gate.granted.lock().unwrap_or_else(PoisonError::into_inner).insert(next);
            self.gate.changed.notify_all();
        }
    }
}
