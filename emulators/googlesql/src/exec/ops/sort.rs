//! ORDER BY, with only the first rows kept where LIMIT says so.

use super::pick;
use crate::error::Result;
use crate::exec::context::{Flow, Run, SORTS, Sink};
use crate::exec::frame::{Env, Frame};
use crate::exec::node::Node;
use crate::exec::order::SortRows;
use crate::plan::{Expr, SortKey};

impl<'p> Run<'p> {
    pub(super) fn sort(
        &self,
        input: &Node<'p>,
        keys: &'p [SortKey],
        keep: &[usize],
        limit: Option<(&'p Expr, Option<&'p Expr>)>,
        env: &Env<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Flow> {
        let wanted = match limit {
            None => usize::MAX,
            Some((limit, offset)) => {
                let (limit, offset) = (self.row_count(Some(limit), env)?, self.row_count(offset, env)?);
                limit.unwrap_or(usize::MAX).saturating_add(offset.unwrap_or(0))
            }
        };
        if wanted == 0 {
            return Ok(Flow::More);
        }
        let (batch, mut held) = self.collect_one(SORTS, input, env)?;
        if batch.len == 0 {
            return Ok(Flow::More);
        }
        let mut columns = Vec::with_capacity(keys.len());
        for key in keys {
            columns.push(self.eval(&key.expr, &Frame::batch(&input.layout, &batch, env))?);
        }
        let order = SortRows::new(keys, &columns);
        held.grow(order.memory() + batch.len * 4)?;
        self.step(batch.len)?;
        let rows = order.first(batch.len, wanted.min(batch.len));
        sink(pick(&batch, keep).gather(&rows))
    }
}
