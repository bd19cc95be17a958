//! Aggregate calls over numbered groups: typed loops for the usual ones, accumulators for the rest, and
//! rows kept back where DISTINCT, ORDER BY, LIMIT or HAVING MAX/MIN ask for it.

use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::exec::column::{Batch, Column, ColumnBuilder, Primitive};
use crate::exec::context::Run;
use crate::exec::frame::{Env, Frame};
use crate::exec::keys::{Buckets, Grouper};
use crate::exec::order::SortRows;
use crate::exec::totals::Totals;
use crate::functions::{Accumulator, Call};
use crate::plan::{AggregateCall, Extreme};
use crate::types::Type;
use crate::value::Value;
use crate::value::compare::{group_equal, sql_cmp};

/// What a call reads of one batch.
pub(super) struct CallRows {
    /// Which of the batch's rows; `None` for all.
    rows: Option<Vec<u32>>,
    len: usize,
    args: Vec<Arc<Column>>,
    order: Vec<Arc<Column>>,
    having: Option<Arc<Column>>,
}

/// The groups of one call so far.
pub(super) enum State<'p> {
    /// COUNT(*) and COUNT(x).
    Count(Vec<i64>),
    CountIf(Vec<i64>),
    SumInt {
        call: &'p AggregateCall,
        sums: Vec<i128>,
        seen: Vec<bool>,
    },
    /// MIN and MAX of what is an integer underneath.
    Extreme {
        ty: &'p Type,
        best: Vec<i64>,
        seen: Vec<bool>,
        max: bool,
    },
    Totals(Totals),
    Stream(Stream<'p>),
    /// DISTINCT alone: a row goes on if its group has not seen its arguments yet.
    Distinct {
        seen: Grouper,
        inner: Box<State<'p>>,
    },
    Buffer(Buffer<'p>),
}

/// Rows go straight into accumulators.
pub(super) struct Stream<'p> {
    call: &'p AggregateCall,
    arg_types: Vec<Type>,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// With SAFE: groups whose result is NULL because of an error.
    failed: Vec<bool>,
    kept: usize,
    keeps: bool,
}

/// Rows are kept until all are there.
pub(super) struct Buffer<'p> {
    call: &'p AggregateCall,
    limit: Option<usize>,
    ids: Vec<u32>,
    /// Arguments, then sort keys, then the HAVING expression.
    batches: Vec<Batch>,
    memory: usize,
}

impl<'p> Run<'p> {
    /// Evaluates what a call reads, for the rows that its filter and its treatment of NULL leave.
    pub(super) fn call_rows(&self, call: &'p AggregateCall, frame: &Frame<'_>) -> Result<CallRows> {
        let mut rows = match &call.filter {
            None => None,
            Some(filter) => Some(self.rows_where(filter, frame)?).filter(|rows| rows.len() < frame.len),
        };
        let selected = rows.as_ref().map(|rows| frame.select(rows));
        let frame = selected.as_ref().unwrap_or(frame);
        let mut args = self.eval_all(&call.args, frame)?;
        let mut order = Vec::with_capacity(call.order_by.len());
        for key in &call.order_by {
            order.push(self.eval(&key.expr, frame)?);
        }
        let mut having = match &call.having {
            Some((_, expr)) => Some(self.eval(expr, frame)?),
            None => None,
        };
        let mut len = frame.len;
        if let (true, Some(first)) = (drops_nulls(call), args.first())
            && !first.has_no_nulls()
        {
            let kept: Vec<u32> = (0..len as u32).filter(|row| !first.is_null(*row as usize)).collect();
            if kept.len() < len {
                let gather = |column: &Arc<Column>| Arc::new(column.gather(&kept));
                args = args.iter().map(gather).collect();
                order = order.iter().map(gather).collect();
                having = having.as_ref().map(gather);
                len = kept.len();
                rows = Some(match rows {
                    None => kept,
                    Some(rows) => kept.iter().filter_map(|at| rows.get(*at as usize).copied()).collect(),
                });
            }
        }
        Ok(CallRows { rows, len, args, order, having })
    }
}

pub(super) fn drops_nulls(call: &AggregateCall) -> bool {
    call.ignore_nulls.unwrap_or(call.function.ignores_nulls)
}

fn is_integer_underneath(ty: &Type) -> bool {
    matches!(ty, Type::Int64 | Type::Bool | Type::Date | Type::Time | Type::Datetime | Type::Timestamp)
}

/// The value of type `ty` whose integer is `value`.
pub(super) fn from_integer(ty: &Type, value: i64) -> Value {
    match ty {
        Type::Bool => Value::Bool(value != 0),
        Type::Date => Value::Date(value as i32),
        Type::Time => Value::Time(value),
        Type::Datetime => Value::Datetime(value),
        Type::Timestamp => Value::Timestamp(value),
        _ => Value::Int64(value),
    }
}

impl<'p> State<'p> {
    pub fn new(run: &Run<'p>, call: &'p AggregateCall, env: &Env<'_>) -> Result<State<'p>> {
        if !call.order_by.is_empty() || call.limit.is_some() || call.having.is_some() {
            let limit = run.limit_of(call, env)?;
            return Ok(State::Buffer(Buffer { call, limit, ids: Vec::new(), batches: Vec::new(), memory: 0 }));
        }
        let plain = State::plain(call);
        if call.distinct {
            let types = std::iter::once(&Type::Int64).chain(call.args.iter().map(|arg| &arg.ty));
            return Ok(State::Distinct { seen: Grouper::new(types), inner: Box::new(plain) });
        }
        Ok(plain)
    }

    fn plain(call: &'p AggregateCall) -> State<'p> {
        let ty = call.args.first().map(|arg| &arg.ty);
        match (call.function.name, ty) {
            _ if call.safe => State::Stream(Stream::new(call)),
            ("$count_star", _) | ("count", _) => State::Count(Vec::new()),
            ("countif", _) => State::CountIf(Vec::new()),
            ("sum", Some(Type::Int64)) => State::SumInt { call, sums: Vec::new(), seen: Vec::new() },
            ("min" | "max", Some(ty)) if is_integer_underneath(ty) => {
                let max = call.function.name == "max";
                State::Extreme { ty, best: Vec::new(), seen: Vec::new(), max }
            }
            _ => Totals::new(call).map_or_else(|| State::Stream(Stream::new(call)), State::Totals),
        }
    }

    /// `ids` are the groups of the batch's rows.
    pub fn add(&mut self, run: &Run<'p>, ids: &[u32], groups: usize, rows: &CallRows) -> Result<()> {
        let picked: Vec<u32>;
        let ids = match &rows.rows {
            None => ids,
            Some(rows) => {
                picked = rows.iter().filter_map(|row| ids.get(*row as usize).copied()).collect();
                &picked
            }
        };
        self.add_rows(run, ids, groups, rows)
    }

    fn add_rows(&mut self, run: &Run<'p>, ids: &[u32], groups: usize, rows: &CallRows) -> Result<()> {
        match self {
            State::Count(counts) => {
                counts.resize(groups, 0);
                // NULLs are gone already.
                for id in ids {
                    if let Some(count) = counts.get_mut(*id as usize) {
                        *count += 1;
                    }
                }
            }
            State::CountIf(counts) => {
                counts.resize(groups, 0);
                let Some(column) = rows.args.first() else { return Ok(()) };
                for (row, id) in ids.iter().enumerate() {
                    if let (Some(count), Some(true)) = (counts.get_mut(*id as usize), column.bool_at(row)) {
                        *count += 1;
                    }
                }
            }
            State::SumInt { sums, seen, .. } => {
                sums.resize(groups, 0);
                seen.resize(groups, false);
                each_int(rows.args.first(), ids, |id, value| {
                    if let (Some(sum), Some(seen)) = (sums.get_mut(id), seen.get_mut(id)) {
                        *sum += i128::from(value);
                        *seen = true;
                    }
                });
            }
            State::Extreme { best, seen, max, .. } => {
                best.resize(groups, if *max { i64::MIN } else { i64::MAX });
                seen.resize(groups, false);
                each_int(rows.args.first(), ids, |id, value| {
                    if let (Some(best), Some(seen)) = (best.get_mut(id), seen.get_mut(id)) {
                        *best = if *max { (*best).max(value) } else { (*best).min(value) };
                        *seen = true;
                    }
                });
            }
            State::Totals(totals) => {
                if let Some(column) = rows.args.first() {
                    totals.add(ids, groups, column);
                }
            }
            State::Stream(stream) => stream.add(run, ids, groups, &rows.args)?,
            State::Distinct { seen, inner } => {
                let mut columns =
                    vec![Arc::new(Column::Int64(Primitive::new(ids.iter().map(|id| i64::from(*id)).collect())))];
                columns.extend(rows.args.iter().cloned());
                let mut fresh = Vec::new();
                seen.group(&columns, rows.len, &mut fresh);
                let args = rows.args.iter().map(|column| Arc::new(column.gather(&fresh))).collect();
                let ids: Vec<u32> = fresh.iter().filter_map(|row| ids.get(*row as usize).copied()).collect();
                let rows = CallRows { rows: None, len: ids.len(), args, order: Vec::new(), having: None };
                inner.add_rows(run, &ids, groups, &rows)?;
            }
            State::Buffer(buffer) => {
                let columns = rows.args.iter().chain(&rows.order).chain(&rows.having).cloned().collect();
                let batch = Batch::new(columns, rows.len);
                buffer.memory += batch.memory() + ids.len() * 4;
                buffer.ids.extend_from_slice(ids);
                buffer.batches.push(batch);
            }
        }
        Ok(())
    }

    pub fn memory(&self) -> usize {
        match self {
            State::Count(counts) | State::CountIf(counts) => counts.capacity() * 8,
            State::SumInt { sums, .. } => sums.capacity() * 17,
            State::Extreme { best, .. } => best.capacity() * 9,
            State::Totals(totals) => totals.memory(),
            State::Stream(stream) => stream.accumulators.capacity() * 96 + stream.kept,
            State::Distinct { seen, inner } => seen.memory() + inner.memory(),
            State::Buffer(buffer) => buffer.memory,
        }
    }

    /// The results of `groups` groups.
    pub fn finish(self, run: &Run<'p>, groups: usize) -> Result<Column> {
        let padded = |mut values: Vec<i64>| {
            values.resize(groups, 0);
            Column::Int64(Primitive::new(values))
        };
        match self {
            State::Count(counts) | State::CountIf(counts) => Ok(padded(counts)),
            State::SumInt { call, sums, seen } => {
                let mut out = Primitive::default();
                for group in 0..groups {
                    let sum = sums.get(group).copied().unwrap_or_default();
                    match (seen.get(group), i64::try_from(sum)) {
                        (Some(true), Ok(sum)) => out.push(Some(sum)),
                        (Some(true), Err(_)) => return Err(sum_overflow(run, call)),
                        _ => out.push(None),
                    }
                }
                Ok(Column::Int64(out))
            }
            State::Extreme { ty, best, seen, .. } => {
                let mut out = ColumnBuilder::with_capacity(ty, groups);
                for group in 0..groups {
                    match (best.get(group), seen.get(group)) {
                        (Some(best), Some(true)) => out.push(from_integer(ty, *best)),
                        _ => out.push_null(),
                    }
                }
                Ok(out.finish())
            }
            State::Totals(totals) => totals.finish(groups),
            State::Stream(stream) => stream.finish(run, groups),
            State::Distinct { inner, .. } => inner.finish(run, groups),
            State::Buffer(buffer) => buffer.finish(run, groups),
        }
    }
}

/// Calls `f` with the group and the integer of every row that is not NULL.
fn each_int(column: Option<&Arc<Column>>, ids: &[u32], mut f: impl FnMut(usize, i64)) {
    let Some(column) = column else { return };
    match &**column {
        Column::Int64(Primitive { values, valid: None })
        | Column::Timestamp(Primitive { values, valid: None })
        | Column::Datetime(Primitive { values, valid: None }) => {
            ids.iter().zip(values).for_each(|(id, value)| f(*id as usize, *value));
        }
        column => {
            for (row, id) in ids.iter().enumerate() {
                if let Some(value) = column.int_at(row) {
                    f(*id as usize, value);
                }
            }
        }
    }
}

/// The function's own error for a sum that leaves INT64.
fn sum_overflow(run: &Run<'_>, call: &AggregateCall) -> crate::error::SqlError {
    let types = [Type::Int64];
    let resolved = Call { ctx: &run.ctx.eval, arg_types: &types, result_type: &call.ty };
    let mut accumulator = (call.function.make)(&resolved);
    let fed = [i64::MAX, i64::MAX].into_iter().try_for_each(|value| accumulator.add(&[Value::Int64(value)]));
    match fed.and_then(|()| accumulator.finish()) {
        Err(error) => error,
        Ok(_) => crate::error::SqlError::evaluation("int64 overflow in SUM"),
    }
}

impl<'p> Stream<'p> {
    fn new(call: &'p AggregateCall) -> Stream<'p> {
        let keeps = matches!(
            call.function.name,
            "array_agg"
                | "string_agg"
                | "array_concat_agg"
                | "approx_quantiles"
                | "approx_top_count"
                | "approx_top_sum"
        );
        Stream {
            call,
            arg_types: call.args.iter().map(|arg| arg.ty.clone()).collect(),
            accumulators: Vec::new(),
            failed: Vec::new(),
            kept: 0,
            keeps,
        }
    }

    fn make(&self, run: &Run<'p>) -> Box<dyn Accumulator> {
        let call = Call { ctx: &run.ctx.eval, arg_types: &self.arg_types, result_type: &self.call.ty };
        (self.call.function.make)(&call)
    }

    fn add(&mut self, run: &Run<'p>, ids: &[u32], groups: usize, args: &[Arc<Column>]) -> Result<()> {
        while self.accumulators.len() < groups {
            let accumulator = self.make(run);
            self.accumulators.push(accumulator);
        }
        self.failed.resize(groups, false);
        let mut values: Vec<Value> = vec![Value::Null; args.len()];
        for (row, id) in ids.iter().enumerate() {
            for (value, column) in values.iter_mut().zip(args) {
                *value = column.get(row);
            }
            if self.keeps {
                self.kept += values.iter().map(crate::exec::column::value_memory).sum::<usize>();
            }
            self.feed(*id as usize, &values)?;
            run.tick(row)?;
        }
        Ok(())
    }

    fn feed(&mut self, group: usize, values: &[Value]) -> Result<()> {
        let Some(accumulator) = self.accumulators.get_mut(group) else { return Ok(()) };
        match accumulator.add(values) {
            Err(error) if self.call.safe && error.kind == ErrorKind::Evaluation => {
                if let Some(failed) = self.failed.get_mut(group) {
                    *failed = true;
                }
                Ok(())
            }
            result => result,
        }
    }

    fn finish(mut self, run: &Run<'p>, groups: usize) -> Result<Column> {
        while self.accumulators.len() < groups {
            let accumulator = self.make(run);
            self.accumulators.push(accumulator);
        }
        let mut out = ColumnBuilder::with_capacity(&self.call.ty, groups);
        for (group, accumulator) in self.accumulators.iter_mut().enumerate() {
            if self.failed.get(group) == Some(&true) {
                out.push_null();
                continue;
            }
            match accumulator.finish() {
                Err(error) if self.call.safe && error.kind == ErrorKind::Evaluation => out.push_null(),
                result => out.push(result?),
            }
        }
        Ok(out.finish())
    }
}

impl<'p> Buffer<'p> {
    fn finish(self, run: &Run<'p>, groups: usize) -> Result<Column> {
        let all = Batch::concat(&self.batches);
        let call = self.call;
        let (args, rest) = all.columns.split_at(call.args.len().min(all.columns.len()));
        let (order, having) = rest.split_at(call.order_by.len().min(rest.len()));
        let sort = SortRows::new(&call.order_by, order);
        let buckets = Buckets::new(&self.ids, groups);
        // One DISTINCT over all groups, as each row of `args` has its group beside it.
        let mut stream = Stream::new(call);
        for group in 0..groups {
            let mut rows = buckets.rows(group as u32).to_vec();
            if let (Some((extreme, _)), Some(column)) = (&call.having, having.first()) {
                keep_extreme(&mut rows, *extreme, column);
            }
            if call.distinct {
                let picked: Vec<Arc<Column>> = args.iter().map(|column| Arc::new(column.gather(&rows))).collect();
                let mut fresh = Vec::new();
                Grouper::new(call.args.iter().map(|arg| &arg.ty)).group(&picked, rows.len(), &mut fresh);
                rows = fresh.iter().filter_map(|at| rows.get(*at as usize).copied()).collect();
            }
            sort.sort(&mut rows);
            if let Some(limit) = self.limit {
                rows.truncate(limit);
            }
            let picked: Vec<Arc<Column>> = args.iter().map(|column| Arc::new(column.gather(&rows))).collect();
            stream.add(run, &vec![group as u32; rows.len()], group + 1, &picked)?;
        }
        stream.finish(run, groups)
    }
}

/// Keeps the rows whose value is the greatest or the least. NULLs do not count; where there is nothing else, or a
/// NaN (which equals nothing), no row is left.
fn keep_extreme(rows: &mut Vec<u32>, extreme: Extreme, column: &Column) {
    let values: Vec<Value> = rows.iter().map(|row| column.get(*row as usize)).collect();
    let candidates = values.iter().filter(|value| !value.is_null());
    let best = match extreme {
        Extreme::Max => candidates.max_by(|a, b| sql_cmp(a, b)),
        Extreme::Min => candidates.min_by(|a, b| sql_cmp(a, b)),
    };
    let unequal = |value: &Value| matches!(value, Value::Float64(number) if number.is_nan());
    let Some(best) = best.filter(|_| !values.iter().any(unequal)) else { return rows.clear() };
    let mut keep = values.iter().map(|value| group_equal(value, best));
    rows.retain(|_| keep.next().unwrap_or(false));
}

impl<'p> Run<'p> {
    fn limit_of(&self, call: &'p AggregateCall, env: &Env<'_>) -> Result<Option<usize>> {
        match &call.limit {
            None => Ok(None),
            Some(limit) => match self.eval_once(limit, env)? {
                Value::Int64(count) => Ok(usize::try_from(count).ok()),
                _ => Ok(None),
            },
        }
    }
}
