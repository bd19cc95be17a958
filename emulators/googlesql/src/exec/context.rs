//! What a statement may use while it runs, and what it keeps: limits, cancellation, memoised parts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Result, SqlError};
use crate::exec::column::Batch;
use crate::exec::keys::FastMap;
use crate::exec::subquery::Subquery;
use crate::functions::EvalContext;
use crate::plan::Cte;

/// Bytes that a statement may hold at once unless told otherwise.
pub const DEFAULT_MEMORY_LIMIT: usize = 1 << 30;

/// The surroundings of one statement.
#[derive(Clone, Debug)]
pub struct ExecContext {
    pub eval: EvalContext,
    /// Set by somebody else to stop the statement; looked at once a batch.
    pub cancel: Arc<AtomicBool>,
    /// Bytes that sorts, hash tables, materialised results and the like may hold together.
    pub memory_limit: usize,
    /// Rows that all operators together may look at; `None` for any number.
    pub step_limit: Option<u64>,
}

impl ExecContext {
    /// No cancellation from outside, [`DEFAULT_MEMORY_LIMIT`], no step limit.
    pub fn new(eval: EvalContext) -> ExecContext {
        ExecContext {
            eval,
            cancel: Arc::new(AtomicBool::new(false)),
            memory_limit: DEFAULT_MEMORY_LIMIT,
            step_limit: None,
        }
    }
}

/// Whether whoever consumes rows wants more of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    More,
    Stop,
}

/// Takes the batches that an operator produces.
pub(crate) type Sink<'s> = dyn FnMut(Batch) -> Result<Flow> + 's;

/// One statement being run. Everything in here lives as long as the plan `'p`.
pub(crate) struct Run<'p> {
    pub ctx: &'p ExecContext,
    memory: Cell<usize>,
    steps: Cell<u64>,
    pub(super) ctes: RefCell<FastMap<usize, CteState<'p>>>,
    /// By the address of the subquery's plan, which stays put for `'p`.
    pub(super) subqueries: RefCell<FastMap<usize, Rc<Subquery<'p>>>>,
}

/// A CTE in scope.
#[derive(Clone)]
pub(super) struct CteState<'p> {
    pub cte: &'p Cte,
    /// Its rows once computed; for a recursive one in its step, the last round's.
    pub rows: Option<Rc<Vec<Batch>>>,
    /// False where the rows may differ from one use to the next: within a correlated subquery, and a
    /// recursive step's own reference.
    pub fixed: bool,
}

impl<'p> Run<'p> {
    pub fn new(ctx: &'p ExecContext) -> Run<'p> {
        Run { ctx, memory: Cell::new(0), steps: Cell::new(0), ctes: RefCell::default(), subqueries: RefCell::default() }
    }

    /// Counts `rows` and looks whether the statement may go on.
    pub fn step(&self, rows: usize) -> Result<()> {
        let steps = self.steps.get().saturating_add(rows as u64);
        self.steps.set(steps);
        if self.ctx.step_limit.is_some_and(|limit| steps > limit) {
            return Err(SqlError::resources(
                "Resources exceeded during query execution: The query ran for too many steps. This engine's limit was reached.",
            ));
        }
        if self.ctx.cancel.load(Ordering::Relaxed) {
            return Err(cancelled());
        }
        Ok(())
    }

    /// Takes `bytes` for as long as the result lives, for what no message names.
    pub fn hold(&self, bytes: usize) -> Result<Held<'_>> {
        self.hold_for(OTHER, bytes)
    }

    /// As [`Run::hold`]; `consumer` is what production calls those operations in its message.
    pub fn hold_for(&self, consumer: &'static str, bytes: usize) -> Result<Held<'_>> {
        let mut held = Held { memory: &self.memory, limit: self.ctx.memory_limit, bytes: 0, consumer };
        held.grow(bytes)?;
        Ok(held)
    }

    /// Whether a row-by-row loop that has come to `row` should stop.
    #[inline]
    pub fn tick(&self, row: usize) -> Result<()> {
        if row % 1024 == 1023 { self.step(0) } else { Ok(()) }
    }
}

/// Memory that an operator holds; given back when dropped.
pub(crate) struct Held<'m> {
    memory: &'m Cell<usize>,
    limit: usize,
    bytes: usize,
    consumer: &'static str,
}

impl Held<'_> {
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let total = self.memory.get().saturating_add(bytes);
        if total > self.limit {
            return Err(out_of_memory(total, self.limit, self.consumer, self.bytes.saturating_add(bytes)));
        }
        self.memory.set(total);
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what is above `bytes`.
    pub fn at_most(&mut self, bytes: usize) {
        if let Some(back) = self.bytes.checked_sub(bytes) {
            self.memory.set(self.memory.get().saturating_sub(back));
            self.bytes = bytes;
        }
    }

    /// Holds the memory until the statement ends.
    pub fn keep(mut self) {
        self.bytes = 0;
    }

    /// Raises the amount to `bytes` if it is less.
    pub fn at_least(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes { self.grow(bytes - self.bytes) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.memory.set(self.memory.get().saturating_sub(self.bytes));
    }
}

pub(crate) fn cancelled() -> SqlError {
    SqlError::cancelled("Job execution was cancelled: User requested cancellation")
}

/// Names of consumers, as production's message has them.
pub(crate) const AGGREGATES: &str = "aggregate functions and GROUP BY clauses";
pub(crate) const JOINS: &str = "JOIN operations";
pub(crate) const SORTS: &str = "ORDER BY operations";
pub(crate) const WINDOWS: &str = "sort operations used for analytic OVER() clauses";
pub(crate) const OTHER: &str = "other/unattributed";

/// Production's text: how much of the limit was asked for, and who asked for most of it.
pub(crate) fn out_of_memory(asked: usize, limit: usize, consumer: &str, consumed: usize) -> SqlError {
    let percent = |part: usize, whole: usize| (part as f64 / whole.max(1) as f64 * 100.0).ceil().min(1e9) as u64;
    let share = percent(consumed, asked).min(100);
    let mut text = format!(
        "Resources exceeded during query execution: The query could not be executed in the allotted memory. Peak usage: \
         {}% of limit.\nTop memory consumer(s):\n",
        percent(asked, limit)
    );
    if consumer != OTHER {
        text.push_str(&format!("  {consumer}: {share}%\n"));
    }
    match if consumer == OTHER { 100 } else { 100 - share } {
        0 => {}
        rest => text.push_str(&format!("  {OTHER}: {rest}%\n")),
    }
    SqlError::resources(text)
}
