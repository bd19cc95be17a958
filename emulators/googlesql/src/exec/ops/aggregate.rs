//! GROUP BY: rows numbered by their keys, then each call accumulates by number.

use std::sync::Arc;

use super::super::accumulate::{CallRows, State};
use crate::error::Result;
use crate::exec::column::{Batch, Column, ColumnBuilder, Primitive};
use crate::exec::context::{AGGREGATES, Flow, Run, Sink};
use crate::exec::frame::{Env, Frame};
use crate::exec::keys::Grouper;
use crate::exec::node::Node;
use crate::plan::{AggregateCall, ColumnId, Expr};

/// One grouping set.
struct Pass<'p> {
    /// Which keys it groups by.
    set: Vec<usize>,
    grouper: Grouper,
    /// The keys of each group.
    keys: Vec<ColumnBuilder>,
    states: Vec<State<'p>>,
}

impl<'p> Run<'p> {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn aggregate(
        &self,
        input: &Node<'p>,
        keys: &'p [(ColumnId, Expr)],
        sets: Option<&'p [Vec<usize>]>,
        grouping: &'p [(ColumnId, usize)],
        calls: &[&'p AggregateCall],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let sets = match sets {
            Some(sets) => sets.to_vec(),
            None => vec![(0..keys.len()).collect()],
        };
        let types =
            |set: &[usize]| -> Vec<_> { set.iter().filter_map(|at| keys.get(*at)).map(|(_, key)| &key.ty).collect() };
        let mut passes: Vec<Pass<'p>> = sets
            .into_iter()
            .map(|set| {
                let types = types(&set);
                Ok(Pass {
                    grouper: Grouper::new(types.iter().copied()),
                    keys: types.iter().map(|ty| ColumnBuilder::new(ty)).collect(),
                    states: calls.iter().map(|call| State::new(self, call, env)).collect::<Result<_>>()?,
                    set,
                })
            })
            .collect::<Result<_>>()?;
        let mut held = self.hold_for(AGGREGATES, 0)?;
        let mut fresh = Vec::new();
        self.run(input, env, &mut |batch: Batch| {
            self.step(batch.len)?;
            if batch.len == 0 {
                return Ok(Flow::More);
            }
            let frame = Frame::batch(&input.layout, &batch, env);
            let columns: Vec<Arc<Column>> =
                keys.iter().map(|(_, key)| self.eval(key, &frame)).collect::<Result<_>>()?;
            let rows: Vec<CallRows> = calls.iter().map(|call| self.call_rows(call, &frame)).collect::<Result<_>>()?;
            let mut memory = 0;
            for pass in &mut passes {
                let picked: Vec<Arc<Column>> = pass.set.iter().filter_map(|at| columns.get(*at).cloned()).collect();
                fresh.clear();
                let ids = pass.grouper.group(&picked, batch.len, &mut fresh);
                for (builder, column) in pass.keys.iter_mut().zip(&picked) {
                    fresh.iter().for_each(|row| builder.push_from(column, *row as usize));
                }
                for (state, rows) in pass.states.iter_mut().zip(&rows) {
                    state.add(self, &ids, pass.grouper.groups(), rows)?;
                    memory += state.memory();
                }
                memory += pass.grouper.memory();
            }
            held.at_least(memory)?;
            Ok(Flow::More)
        })?;
        for mut pass in passes {
            // Without keys there is one group even of no rows.
            let groups = if pass.set.is_empty() { 1 } else { pass.grouper.groups() };
            if groups == 0 {
                continue;
            }
            self.step(groups)?;
            let mut built: Vec<Option<Arc<Column>>> = vec![None; keys.len()];
            for (at, builder) in pass.set.iter().zip(std::mem::take(&mut pass.keys)) {
                if let Some(slot) = built.get_mut(*at) {
                    *slot = Some(Arc::new(builder.finish()));
                }
            }
            let mut columns: Vec<Arc<Column>> =
                built.into_iter().map(|key| key.unwrap_or_else(|| Arc::new(Column::nulls(groups)))).collect();
            for (_, key) in grouping {
                let rolled_up = i64::from(!pass.set.contains(key));
                columns.push(Arc::new(Column::Int64(Primitive::new(vec![rolled_up; groups]))));
            }
            for state in pass.states {
                columns.push(Arc::new(state.finish(self, groups)?));
            }
            if sink(Batch::new(columns, groups))? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::More)
    }
}
