//! OVER: rows put into partitions and order, then each call computed partition by partition.

mod frames;
mod functions;

use std::sync::Arc;

use super::pick;
use crate::error::Result;
use crate::exec::column::{Column, ColumnBuilder};
use crate::exec::context::{Flow, Run, Sink, WINDOWS};
use crate::exec::frame::{Env, Frame};
use crate::exec::keys::{Buckets, Grouper};
use crate::exec::node::Node;
use crate::exec::order::SortRows;
use crate::plan::{WindowCall, WindowGroup};

/// For each row of a partition the first of its peers and the one behind the last.
type Peers = Vec<(u32, u32)>;

/// One partition's rows in order, and what its calls share.
pub(super) struct Partition<'w> {
    /// Positions in the whole batch, in the window's order.
    pub rows: &'w [u32],
    /// For each row the first of its peers and the one behind the last, as positions in `rows`.
    pub peers: &'w [(u32, u32)],
    pub ordered: bool,
}

impl<'p> Run<'p> {
    pub(super) fn window(
        &self,
        input: &Node<'p>,
        keep: &[usize],
        groups: &[(&'p WindowGroup, Vec<&'p WindowCall>)],
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let (batch, mut held) = self.collect_one(WINDOWS, input, env)?;
        if batch.len == 0 {
            return Ok(Flow::More);
        }
        let mut out = pick(&batch, keep);
        for (group, calls) in groups {
            let columns = self.window_group(&Frame::batch(&input.layout, &batch, env), group, calls)?;
            for column in &columns {
                held.grow(column.memory())?;
            }
            out.columns.extend(columns.into_iter().map(Arc::new));
        }
        sink(out)
    }

    fn window_group(&self, frame: &Frame<'_>, group: &'p WindowGroup, calls: &[&'p WindowCall]) -> Result<Vec<Column>> {
        let len = frame.len;
        self.step(len)?;
        let keys = self.eval_all(&group.partition_by, frame)?;
        let mut grouper = Grouper::new(group.partition_by.iter().map(|key| &key.ty));
        let ids = grouper.group(&keys, len, &mut Vec::new());
        let mut order = Vec::with_capacity(group.order_by.len());
        for key in &group.order_by {
            order.push(self.eval(&key.expr, frame)?);
        }
        let sort = SortRows::new(&group.order_by, &order);
        let buckets = Buckets::new(&ids, grouper.groups());
        let _held = self.hold_for(WINDOWS, grouper.memory() + buckets.memory() + sort.memory() + len * 16)?;
        let mut partitions: Vec<(Vec<u32>, Peers)> = Vec::with_capacity(grouper.groups());
        let mut sequence = Vec::with_capacity(len);
        for id in 0..grouper.groups() {
            let mut rows = buckets.rows(id as u32).to_vec();
            sort.sort(&mut rows);
            let peers = peers(&rows, &sort);
            sequence.extend_from_slice(&rows);
            partitions.push((rows, peers));
        }
        self.step(0)?;

        // Results come partition by partition; this puts them back to where their rows are.
        let mut home = vec![0u32; len];
        for (at, row) in sequence.iter().enumerate() {
            if let Some(slot) = home.get_mut(*row as usize) {
                *slot = at as u32;
            }
        }
        let in_place = sequence.iter().enumerate().all(|(at, row)| at as u32 == *row);
        let mut columns = Vec::with_capacity(calls.len());
        for call in calls {
            let prepared = self.prepare_call(call, group, &order, frame)?;
            let mut builder = ColumnBuilder::with_capacity(&call.ty, len);
            for (rows, peers) in &partitions {
                let partition = Partition { rows, peers, ordered: !group.order_by.is_empty() };
                self.window_call(&prepared, &partition, &mut builder)?;
                self.step(0)?;
            }
            let column = builder.finish();
            columns.push(if in_place { column } else { column.gather(&home) });
        }
        Ok(columns)
    }
}

/// Without ORDER BY all rows are peers.
fn peers(rows: &[u32], sort: &SortRows) -> Peers {
    let mut out = Vec::with_capacity(rows.len());
    let mut from = 0;
    while from < rows.len() {
        let first = rows.get(from).copied().unwrap_or_default();
        let count = rows.iter().skip(from).take_while(|row| sort.compare(first, **row).is_eq()).count().max(1);
        out.extend(std::iter::repeat_n((from as u32, (from + count) as u32), count));
        from += count;
    }
    out
}
