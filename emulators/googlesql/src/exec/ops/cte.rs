//! WITH: each CTE computed on first use; recursive ones round by round.

use std::rc::Rc;

use super::pick;
use crate::error::{Result, SqlError};
use crate::exec::column::Batch;
use crate::exec::context::{CteState, Flow, Run, Sink};
use crate::exec::frame::Env;
use crate::exec::keys::Grouper;
use crate::exec::node::Node;
use crate::plan::{ColumnId, Cte, CteKind, Rel};

/// BigQuery's own.
const MAX_ROUNDS: usize = 500;

impl<'p> Run<'p> {
    pub(super) fn with(&self, ctes: &'p [Cte], body: &Node<'p>, env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        for cte in ctes {
            let state = CteState { cte, rows: None, fixed: env.is_root() };
            self.ctes.borrow_mut().insert(cte.id, state);
        }
        self.run(body, env, sink)
    }

    pub(super) fn cte_ref(&self, id: usize, columns: &[usize], env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        for batch in self.cte_rows(id, env)?.iter() {
            self.step(batch.len)?;
            if sink(pick(batch, columns))? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::More)
    }

    /// The CTE's rows, its columns in its own order.
    fn cte_rows(&self, id: usize, env: &Env<'_>) -> Result<Rc<Vec<Batch>>> {
        let state = self.ctes.borrow().get(&id).cloned();
        let Some(state) = state else {
            return Err(SqlError::internal(format!("CTE {id} is used outside of its WITH")));
        };
        if let Some(rows) = state.rows {
            return Ok(rows);
        }
        let rows = Rc::new(match &state.cte.kind {
            CteKind::Plain(rel) => self.materialise(rel, &state.cte.columns, env)?,
            CteKind::Recursive { anchor, step, step_columns, distinct } => {
                self.recurse(state.cte, anchor, step, step_columns, *distinct, env)?
            }
        });
        self.set_cte_rows(id, Some(rows.clone()), state.fixed);
        Ok(rows)
    }

    fn set_cte_rows(&self, id: usize, rows: Option<Rc<Vec<Batch>>>, fixed: bool) {
        if let Some(state) = self.ctes.borrow_mut().get_mut(&id) {
            state.rows = rows;
            state.fixed = fixed;
        }
    }

    fn materialise(&self, rel: &'p Rel, columns: &[ColumnId], env: &Env<'_>) -> Result<Vec<Batch>> {
        let node = Node::compile(rel, columns)?;
        self.rows_of(&node, columns, env)
    }

    fn rows_of(&self, node: &Node<'p>, columns: &[ColumnId], env: &Env<'_>) -> Result<Vec<Batch>> {
        let positions: Vec<usize> = columns.iter().map(|id| node.layout.require(*id)).collect::<Result<_>>()?;
        let (batches, held) = self.collect(node, env)?;
        // A CTE's rows live as long as the statement.
        held.keep();
        Ok(batches.iter().map(|batch| pick(batch, &positions)).collect())
    }

    fn recurse(
        &self,
        cte: &'p Cte,
        anchor: &'p Rel,
        step: &'p Rel,
        step_columns: &'p [ColumnId],
        distinct: bool,
        env: &Env<'_>,
    ) -> Result<Vec<Batch>> {
        let fixed = self.ctes.borrow().get(&cte.id).is_some_and(|state| state.fixed);
        let mut grouper = distinct.then(|| Grouper::new(&cte.types));
        let mut fresh_rows = |batches: Vec<Batch>| -> Vec<Batch> {
            let Some(grouper) = &mut grouper else { return batches };
            let fresh = batches.into_iter().map(|batch| {
                let mut fresh = Vec::new();
                grouper.group(&batch.columns, batch.len, &mut fresh);
                batch.gather(&fresh)
            });
            fresh.filter(|batch| batch.len > 0).collect()
        };
        let node = Node::compile(step, step_columns)?;
        let mut last = fresh_rows(self.materialise(anchor, &cte.columns, env)?);
        let mut all = last.clone();
        let mut rounds = 0;
        while last.iter().any(|batch| batch.len > 0) {
            if rounds == MAX_ROUNDS {
                return Err(SqlError::evaluation(format!(
                    "A recursive CTE has reached the maximum number of iterations: {MAX_ROUNDS}"
                )));
            }
            rounds += 1;
            self.set_cte_rows(cte.id, Some(Rc::new(last)), false);
            last = fresh_rows(self.rows_of(&node, step_columns, env)?);
            all.extend(last.iter().cloned());
        }
        self.set_cte_rows(cte.id, None, fixed);
        Ok(all)
    }
}
