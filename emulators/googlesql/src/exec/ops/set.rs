//! UNION, INTERSECT and EXCEPT over bags of rows.

use std::sync::Arc;

use crate::error::Result;
use crate::exec::column::Batch;
use crate::exec::context::{Flow, Run, Sink};
use crate::exec::frame::Env;
use crate::exec::keys::Grouper;
use crate::exec::node::Node;
use crate::plan::SetKind;
use crate::types::Type;

impl<'p> Run<'p> {
    pub(super) fn set_operation(
        &self,
        kind: SetKind,
        all: bool,
        inputs: &[(Node<'p>, Vec<usize>)],
        types: &[&'p Type],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        match kind {
            SetKind::Union => self.union(all, inputs, types, env, sink),
            SetKind::Intersect | SetKind::Except => self.bag(kind, all, inputs, types, env, sink),
        }
    }

    fn union(
        &self,
        all: bool,
        inputs: &[(Node<'p>, Vec<usize>)],
        types: &[&'p Type],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let mut distinct = (!all).then(|| (Grouper::new(types.iter().copied()), Vec::new()));
        let mut held = self.hold(0)?;
        for (input, columns) in inputs {
            let flow = self.run(input, env, &mut |batch: Batch| {
                self.step(batch.len)?;
                let batch = super::pick(&batch, columns);
                match &mut distinct {
                    None => sink(batch),
                    Some((grouper, fresh)) => {
                        fresh.clear();
                        grouper.group(&batch.columns, batch.len, fresh);
                        held.at_least(grouper.memory())?;
                        if fresh.is_empty() { Ok(Flow::More) } else { sink(batch.gather(fresh)) }
                    }
                }
            })?;
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::More)
    }

    /// Counts each distinct row in each input. INTERSECT keeps the least count, EXCEPT the first input's
    /// less the others'; DISTINCT looks only at whether a row is there.
    fn bag(
        &self,
        kind: SetKind,
        all: bool,
        inputs: &[(Node<'p>, Vec<usize>)],
        types: &[&'p Type],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let mut grouper = Grouper::new(types.iter().copied());
        let mut held = self.hold(0)?;
        let mut rows: Vec<Batch> = Vec::new();
        let mut left: Vec<u64> = Vec::new();
        for (index, (input, columns)) in inputs.iter().enumerate() {
            let mut counts: Vec<u64> = vec![0; left.len()];
            self.run(input, env, &mut |batch: Batch| {
                self.step(batch.len)?;
                let batch = super::pick(&batch, columns);
                let ids = if index == 0 {
                    let mut fresh = Vec::new();
                    let ids = grouper.group(&batch.columns, batch.len, &mut fresh);
                    let fresh = batch.gather(&fresh);
                    held.grow(fresh.memory())?;
                    rows.push(fresh);
                    counts.resize(grouper.groups(), 0);
                    ids
                } else {
                    grouper.find(&batch.columns, batch.len)
                };
                for id in ids {
                    if let Some(count) = counts.get_mut(id as usize) {
                        *count += 1;
                    }
                }
                Ok(Flow::More)
            })?;
            if index == 0 {
                left = counts;
                if !all {
                    left.iter_mut().for_each(|count| *count = 1);
                }
                continue;
            }
            for (left, count) in left.iter_mut().zip(counts) {
                *left = match (kind, all) {
                    (SetKind::Except, true) => left.saturating_sub(count),
                    (SetKind::Except, false) => *left * u64::from(count == 0),
                    (_, true) => (*left).min(count),
                    (_, false) => *left * u64::from(count > 0),
                };
            }
        }
        if rows.is_empty() {
            return Ok(Flow::More);
        }
        let distinct = Batch::concat(&rows);
        let picks: Vec<u32> =
            left.iter().enumerate().flat_map(|(row, count)| std::iter::repeat_n(row as u32, *count as usize)).collect();
        if picks.is_empty() {
            return Ok(Flow::More);
        }
        let columns = distinct.columns.iter().map(|column| Arc::new(column.gather(&picks))).collect();
        sink(Batch::new(columns, picks.len()))
    }
}
