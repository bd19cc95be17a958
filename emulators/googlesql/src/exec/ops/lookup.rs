//! A correlated subquery's filter: the first runs look at all rows, later ones find theirs by key.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{join::drop_null_keys, pick};
use crate::error::Result;
use crate::exec::column::{Batch, Column, NO_ROW};
use crate::exec::context::{Flow, JOINS, Run, Sink};
use crate::exec::frame::{Env, Frame, Part};
use crate::exec::keys::{Buckets, Grouper};
use crate::exec::node::{Lookup, LookupIndex};

/// Runs before it is worth sorting the rows by key.
const PLAIN_RUNS: u32 = 4;

impl<'p> Run<'p> {
    pub(super) fn lookup(&self, lookup: &Lookup<'p>, env: &Env<'_>, sink: &mut Sink<'_>) -> Result<Flow> {
        let runs = lookup.runs.get();
        lookup.runs.set(runs.saturating_add(1));
        if runs < PLAIN_RUNS {
            return self.filter(&lookup.input, &lookup.predicates, &lookup.keep, env, sink);
        }
        let known = lookup.index.borrow().clone();
        let index = match known {
            Some(index) => index,
            None => {
                let index = Rc::new(self.build_index(lookup, env)?);
                *lookup.index.borrow_mut() = Some(index.clone());
                index
            }
        };
        let outer = Frame::bare(1, env);
        let keys: Vec<Arc<Column>> =
            lookup.keys.iter().map(|(_, key)| self.eval(key, &outer)).collect::<Result<_>>()?;
        let mut ids = index.grouper.borrow_mut().find(&keys, 1);
        drop_null_keys(&keys, &mut ids);
        let rows = match ids.first() {
            Some(id) if *id != NO_ROW => index.buckets.rows(*id),
            _ => return Ok(Flow::More),
        };
        self.step(rows.len())?;
        let part = [Part { layout: &lookup.input.layout, columns: &index.rows.columns, rows: Some(rows) }];
        let passing = self.passing(&lookup.residual, &Frame::parts(&part, rows.len(), env))?;
        if passing.is_empty() {
            return Ok(Flow::More);
        }
        let rows: Vec<u32> = passing.iter().filter_map(|at| rows.get(*at as usize).copied()).collect();
        sink(pick(&index.rows, &lookup.keep).gather(&rows))
    }

    fn build_index(&self, lookup: &Lookup<'p>, env: &Env<'_>) -> Result<LookupIndex> {
        let (rows, mut held): (Batch, _) = self.collect_one(JOINS, &lookup.input, env)?;
        let frame = Frame::batch(&lookup.input.layout, &rows, env);
        let keys: Vec<Arc<Column>> =
            lookup.keys.iter().map(|(key, _)| self.eval(key, &frame)).collect::<Result<_>>()?;
        let mut grouper = Grouper::new(lookup.keys.iter().map(|(key, _)| &key.ty));
        let mut ids = grouper.group(&keys, rows.len, &mut Vec::new());
        drop_null_keys(&keys, &mut ids);
        let buckets = Buckets::new(&ids, grouper.groups());
        held.grow(grouper.memory() + buckets.memory())?;
        held.keep();
        Ok(LookupIndex { rows, grouper: RefCell::new(grouper), buckets })
    }
}
