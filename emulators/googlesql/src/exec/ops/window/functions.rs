//! What stands before OVER: numbering, navigation, percentiles, aggregates over frames.

use std::sync::Arc;

use super::Partition;
use super::frames::Frames;
use crate::error::{ErrorKind, Result, SqlError};
use crate::exec::accumulate::from_integer;
use crate::exec::column::{Column, ColumnBuilder};
use crate::exec::context::Run;
use crate::exec::frame::Frame;
use crate::exec::keys::Grouper;
use crate::functions::{Accumulator, AggregateFunction, Call};
use crate::plan::{WindowCall, WindowFunction, WindowGroup};
use crate::types::Type;
use crate::value::compare::sql_cmp;
use crate::value::{Numeric, Value};

/// A call with its arguments computed for all rows.
pub(super) struct Prepared<'p> {
    call: &'p WindowCall,
    args: Vec<Arc<Column>>,
    arg_types: Vec<Type>,
    frames: Frames,
}

/// An argument's values for the partition's rows; none where it was left out.
fn column_of(prepared: &Prepared<'_>, partition: &Partition<'_>, index: usize) -> Vec<Value> {
    match prepared.args.get(index) {
        Some(column) => partition.rows.iter().map(|row| column.get(*row as usize)).collect(),
        None => Vec::new(),
    }
}

impl<'p> Run<'p> {
    pub(super) fn prepare_call(
        &self,
        call: &'p WindowCall,
        group: &'p WindowGroup,
        order: &[Arc<Column>],
        rows: &Frame<'_>,
    ) -> Result<Prepared<'p>> {
        Ok(Prepared {
            call,
            args: self.eval_all(&call.args, rows)?,
            arg_types: call.args.iter().map(|arg| arg.ty.clone()).collect(),
            frames: self.frames(call, group, order, rows)?,
        })
    }

    /// Appends the call's value for each row of the partition, in the partition's order.
    pub(super) fn window_call(
        &self,
        prepared: &Prepared<'p>,
        partition: &Partition<'_>,
        out: &mut ColumnBuilder,
    ) -> Result<()> {
        let len = partition.rows.len();
        let peers = |at: usize| partition.peers.get(at).copied().unwrap_or((0, len as u32));
        match prepared.call.function {
            WindowFunction::RowNumber => (1..=len as i64).for_each(|number| out.push(Value::Int64(number))),
            WindowFunction::Rank => (0..len).for_each(|at| out.push(Value::Int64(i64::from(peers(at).0) + 1))),
            WindowFunction::DenseRank => {
                let mut rank = 0;
                for at in 0..len {
                    rank += i64::from(peers(at).0 as usize == at);
                    out.push(Value::Int64(rank));
                }
            }
            WindowFunction::PercentRank => {
                let others = len.saturating_sub(1).max(1) as f64;
                (0..len).for_each(|at| out.push(Value::Float64(f64::from(peers(at).0) / others)));
            }
            WindowFunction::CumeDist => {
                (0..len).for_each(|at| out.push(Value::Float64(f64::from(peers(at).1) / len as f64)));
            }
            WindowFunction::Ntile => self.ntile(prepared, partition, out)?,
            WindowFunction::Lag => self.shift(prepared, partition, -1, out)?,
            WindowFunction::Lead => self.shift(prepared, partition, 1, out)?,
            WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
                self.nth(prepared, partition, out)?;
            }
            WindowFunction::PercentileCont => percentile(prepared, partition, true, out)?,
            WindowFunction::PercentileDisc => percentile(prepared, partition, false, out)?,
            WindowFunction::TfIdf => {
                let documents = column_of(prepared, partition, 0);
                let first = |index: usize, default: i64| match column_of(prepared, partition, index).first() {
                    Some(Value::Int64(number)) => *number,
                    _ => default,
                };
                // What a dictionary holds, and how often a term must occur, where the call does not say.
                let (most, threshold) = (first(1, 32_000).max(0) as usize, first(2, 5));
                crate::functions::strings::terms::tf_idf(&documents, most, threshold)
                    .into_iter()
                    .for_each(|value| out.push(value));
            }
            WindowFunction::ClusterDbscan => {
                let [shapes, far, least] = [0, 1, 2].map(|index| column_of(prepared, partition, index));
                crate::functions::geography::cluster::dbscan(&shapes, far.first(), least.first())?
                    .into_iter()
                    .for_each(|value| out.push(value));
            }
            WindowFunction::Aggregate(function) => self.over_frames(prepared, function, partition, out)?,
        }
        Ok(())
    }

    fn ntile(&self, prepared: &Prepared<'p>, partition: &Partition<'_>, out: &mut ColumnBuilder) -> Result<()> {
        let first = partition.rows.first().copied().unwrap_or_default() as usize;
        let buckets = match prepared.args.first().and_then(|column| column.int_at(first)) {
            Some(buckets) if buckets > 0 => buckets as usize,
            Some(_) => {
                return Err(SqlError::evaluation(
                    "The N value (number of buckets) for the NTILE function must be positive",
                ));
            }
            None => {
                return Err(SqlError::evaluation(
                    "The N value (number of buckets) for the NTILE function must not be NULL",
                ));
            }
        };
        let len = partition.rows.len();
        let (size, longer) = (len / buckets, len % buckets);
        for at in 0..len {
            // The first `longer` buckets have one row more.
            let bucket = if at < longer * (size + 1) {
                at / (size + 1)
            } else {
                longer + (at - longer * (size + 1)) / size.max(1)
            };
            out.push(Value::Int64(bucket as i64 + 1));
        }
        Ok(())
    }

    fn shift(
        &self,
        prepared: &Prepared<'p>,
        partition: &Partition<'_>,
        direction: i64,
        out: &mut ColumnBuilder,
    ) -> Result<()> {
        let name = if direction < 0 { "LAG" } else { "LEAD" };
        let Some(values) = prepared.args.first() else { return Ok(()) };
        for (at, row) in partition.rows.iter().enumerate() {
            let row = *row as usize;
            let offset = match prepared.args.get(1) {
                None => 1,
                Some(offsets) => match offsets.int_at(row) {
                    Some(offset) if offset >= 0 => offset,
                    Some(_) => {
                        return Err(SqlError::evaluation(format!(
                            "The offset to the function {name} must not be negative"
                        )));
                    }
                    None => {
                        return Err(SqlError::evaluation(format!(
                            "The offset to the function {name} must not be null"
                        )));
                    }
                },
            };
            let source = if prepared.call.ignore_nulls == Some(true) && offset > 0 {
                nth_valid(values, partition.rows, at, direction, offset)
            } else {
                let target = (at as i64).saturating_add(direction.saturating_mul(offset));
                usize::try_from(target).ok().and_then(|target| partition.rows.get(target))
            };
            match (source, prepared.args.get(2)) {
                (Some(source), _) => out.push_from(values, *source as usize),
                (None, Some(default)) => out.push_from(default, row),
                (None, None) => out.push_null(),
            }
        }
        Ok(())
    }

    /// FIRST_VALUE, LAST_VALUE and NTH_VALUE.
    fn nth(&self, prepared: &Prepared<'p>, partition: &Partition<'_>, out: &mut ColumnBuilder) -> Result<()> {
        let Some(values) = prepared.args.first() else { return Ok(()) };
        let skip_nulls = prepared.call.ignore_nulls == Some(true);
        let valid = |row: &&u32| !skip_nulls || !values.is_null(**row as usize);
        for (at, (from, to)) in prepared.frames.of(partition).into_iter().enumerate() {
            self.tick(at)?;
            let framed = partition.rows.get(from..to.min(partition.rows.len())).unwrap_or_default();
            let picked = match prepared.call.function {
                WindowFunction::FirstValue => framed.iter().find(valid),
                WindowFunction::LastValue => framed.iter().rev().find(valid),
                _ => {
                    let row = partition.rows.get(at).copied().unwrap_or_default() as usize;
                    let n = match prepared.args.get(1).and_then(|column| column.int_at(row)) {
                        Some(n) if n > 0 => n as usize,
                        Some(_) => {
                            return Err(SqlError::evaluation("The N value for the NthValue function must be positive"));
                        }
                        None => {
                            return Err(SqlError::evaluation("The N value for the NthValue function must not be null"));
                        }
                    };
                    if skip_nulls { framed.iter().filter(valid).nth(n - 1) } else { framed.get(n - 1) }
                }
            };
            match picked {
                Some(row) => out.push_from(values, *row as usize),
                None => out.push_null(),
            }
        }
        Ok(())
    }

    fn over_frames(
        &self,
        prepared: &Prepared<'p>,
        function: &'static AggregateFunction,
        partition: &Partition<'_>,
        out: &mut ColumnBuilder,
    ) -> Result<()> {
        let len = partition.rows.len();
        let frames = if prepared.frames.is_whole() || !partition.ordered && prepared.call.frame.is_none() {
            vec![(0, len); len]
        } else {
            prepared.frames.of(partition)
        };
        if !prepared.call.distinct && !prepared.call.safe && sums(prepared, function, partition, &frames, out) {
            return Ok(());
        }
        let mut accumulator = self.accumulator(prepared, function);
        let mut fed = (0, 0);
        let mut last: Option<((usize, usize), Value)> = None;
        for (at, frame) in frames.into_iter().enumerate() {
            self.tick(at)?;
            if let Some((known, value)) = &last
                && *known == frame
            {
                out.push(value.clone());
                continue;
            }
            // A frame that only grows at its end goes on with the same accumulator.
            let grows = frame.0 == fed.0 && frame.1 >= fed.1 && !prepared.call.distinct && keeps_totals(function.name);
            if !grows || last.is_none() {
                accumulator = self.accumulator(prepared, function);
                fed = (frame.0, frame.0);
            }
            let rows = partition.rows.get(fed.1..frame.1.min(len)).unwrap_or_default();
            let value = self
                .feed(prepared, function, accumulator.as_mut(), rows)
                .and_then(|()| accumulator.finish())
                .or_else(|error| match error.kind {
                ErrorKind::Evaluation if prepared.call.safe => Ok(Value::Null),
                _ => Err(error),
            })?;
            fed.1 = frame.1;
            out.push(value.clone());
            last = Some((frame, value));
        }
        Ok(())
    }

    fn accumulator(&self, prepared: &Prepared<'p>, function: &'static AggregateFunction) -> Box<dyn Accumulator> {
        let call = Call { ctx: &self.ctx.eval, arg_types: &prepared.arg_types, result_type: &prepared.call.ty };
        (function.make)(&call)
    }

    fn feed(
        &self,
        prepared: &Prepared<'p>,
        function: &'static AggregateFunction,
        accumulator: &mut dyn Accumulator,
        rows: &[u32],
    ) -> Result<()> {
        let drops_nulls = prepared.call.ignore_nulls.unwrap_or(function.ignores_nulls);
        let mut rows: Vec<u32> = match prepared.args.first() {
            Some(first) if drops_nulls => rows.iter().copied().filter(|row| !first.is_null(*row as usize)).collect(),
            _ => rows.to_vec(),
        };
        if prepared.call.distinct {
            let args: Vec<Arc<Column>> = prepared.args.iter().map(|column| Arc::new(column.gather(&rows))).collect();
            let mut fresh = Vec::new();
            Grouper::new(&prepared.arg_types).group(&args, rows.len(), &mut fresh);
            rows = fresh.iter().filter_map(|at| rows.get(*at as usize).copied()).collect();
        }
        let mut values: Vec<Value> = vec![Value::Null; prepared.args.len()];
        for (at, row) in rows.into_iter().enumerate() {
            for (value, column) in values.iter_mut().zip(&prepared.args) {
                *value = column.get(row as usize);
            }
            accumulator.add(&values)?;
            self.tick(at)?;
        }
        Ok(())
    }
}

/// Functions whose accumulators hold totals and can say their result again and again; those that collect
/// values give them away with their result.
fn keeps_totals(name: &str) -> bool {
    matches!(
        name,
        "sum"
            | "avg"
            | "min"
            | "max"
            | "any_value"
            | "countif"
            | "logical_and"
            | "logical_or"
            | "bit_and"
            | "bit_or"
            | "bit_xor"
    ) || ["var", "stddev", "covar", "corr"].iter().any(|family| name.starts_with(family))
}

/// COUNT, and SUM, MIN and MAX of integers, without an accumulator a frame. False where it is none of these.
fn sums(
    prepared: &Prepared<'_>,
    function: &'static AggregateFunction,
    partition: &Partition<'_>,
    frames: &[(usize, usize)],
    out: &mut ColumnBuilder,
) -> bool {
    let len = partition.rows.len();
    let ty = prepared.arg_types.first();
    let whole_or_running = || frames.windows(2).all(|pair| matches!(pair, [a, b] if a.0 == b.0 && a.1 <= b.1));
    match (function.name, prepared.args.first()) {
        ("$count_star", _) | ("count", None) => {
            frames.iter().for_each(|(from, to)| out.push(Value::Int64((to.min(&len) - from.min(to)) as i64)));
            true
        }
        ("count" | "sum", Some(column)) if function.name == "count" || ty == Some(&Type::Int64) => {
            let sum = function.name == "sum";
            // Sums and counts of everything before each position.
            let mut before: Vec<(i128, i64)> = Vec::with_capacity(len + 1);
            let mut total = (0, 0);
            before.push(total);
            for row in partition.rows {
                let row = *row as usize;
                if sum {
                    if let Some(value) = column.int_at(row) {
                        total = (total.0 + i128::from(value), total.1 + 1);
                    }
                } else if !column.is_null(row) {
                    total.1 += 1;
                }
                before.push(total);
            }
            let between = |from: usize, to: usize| match (before.get(from.min(len)), before.get(to.min(len))) {
                (Some(from), Some(to)) => (to.0 - from.0, to.1 - from.1),
                _ => (0, 0),
            };
            if sum && frames.iter().any(|(from, to)| i64::try_from(between(*from, *to).0).is_err()) {
                return false;
            }
            for (from, to) in frames {
                let (sum_between, count) = between(*from, *to);
                match (sum, count) {
                    (false, count) => out.push(Value::Int64(count)),
                    (true, 0) => out.push_null(),
                    (true, _) => out.push(Value::Int64(sum_between as i64)),
                }
            }
            true
        }
        ("min" | "max", Some(column))
            if ty.is_some_and(|ty| {
                matches!(ty, Type::Int64 | Type::Date | Type::Time | Type::Datetime | Type::Timestamp)
            }) && whole_or_running() =>
        {
            let Some(ty) = ty else { return false };
            let mut best: Option<i64> = None;
            let mut seen = frames.first().map_or(0, |frame| frame.0);
            for (_, to) in frames {
                for row in partition.rows.get(seen..(*to).min(len)).unwrap_or_default() {
                    if let Some(value) = column.int_at(*row as usize) {
                        best = Some(match best {
                            None => value,
                            Some(best) if function.name == "min" => best.min(value),
                            Some(best) => best.max(value),
                        });
                    }
                }
                seen = seen.max(*to);
                out.push(best.map_or(Value::Null, |best| from_integer(ty, best)));
            }
            true
        }
        _ => false,
    }
}

/// The `n`th row before or behind `at` whose value is not NULL.
fn nth_valid<'r>(values: &Column, rows: &'r [u32], at: usize, direction: i64, n: i64) -> Option<&'r u32> {
    let valid = |row: &&u32| !values.is_null(**row as usize);
    let n = usize::try_from(n).ok()?.checked_sub(1)?;
    if direction < 0 {
        rows.get(..at)?.iter().rev().filter(valid).nth(n)
    } else {
        rows.get(at + 1..)?.iter().filter(valid).nth(n)
    }
}

/// PERCENTILE_CONT and PERCENTILE_DISC over the whole partition.
fn percentile(
    prepared: &Prepared<'_>,
    partition: &Partition<'_>,
    continuous: bool,
    out: &mut ColumnBuilder,
) -> Result<()> {
    let Some(column) = prepared.args.first() else { return Ok(()) };
    let respect_nulls = prepared.call.ignore_nulls == Some(false);
    let mut values: Vec<Value> = partition.rows.iter().map(|row| column.get(*row as usize)).collect();
    values.retain(|value| respect_nulls || !value.is_null());
    values.sort_by(sql_cmp);
    let first = partition.rows.first().copied().unwrap_or_default() as usize;
    let share = prepared.args.get(1).map_or(Value::Null, |column| column.get(first));
    let name = if continuous { "PERCENTILE_CONT" } else { "PERCENTILE_DISC" };
    let inside = match &share {
        Value::Float64(share) => (0.0..=1.0).contains(share),
        Value::Numeric(share) => (0..=1_000_000_000).contains(&{ share.0 }),
        Value::Null => {
            return Err(SqlError::evaluation(format!("The second argument to the function {name} must not be null")));
        }
        _ => return Err(SqlError::unsupported(format!("{name} of this type is not supported"))),
    };
    if !inside {
        return Err(SqlError::evaluation(format!(
            "The second argument to the function {name} must be in the range [0, 1]"
        )));
    }
    let value = if values.is_empty() {
        Value::Null
    } else if continuous {
        interpolate(&values, &share)?
    } else {
        // The first value whose share of values up to it reaches the one asked for.
        let len = values.len();
        let at = match &share {
            Value::Numeric(share) => (share.0 * len as i128 + 999_999_999) / 1_000_000_000 - 1,
            Value::Float64(share) => (share * len as f64).ceil() as i128 - 1,
            _ => 0,
        };
        values.get(usize::try_from(at).unwrap_or(0).min(len - 1)).cloned().unwrap_or_default()
    };
    partition.rows.iter().for_each(|_| out.push(value.clone()));
    Ok(())
}

fn interpolate(values: &[Value], share: &Value) -> Result<Value> {
    let last = values.len() - 1;
    let at = |index: usize| values.get(index.min(last)).cloned().unwrap_or_default();
    const ONE: i128 = 1_000_000_000;
    let (below, weight): (usize, Value) = match share {
        Value::Float64(share) => {
            let position = share * last as f64;
            (position.floor() as usize, Value::Float64(position - position.floor()))
        }
        Value::Numeric(share) => {
            let position = share.0 * last as i128;
            ((position / ONE) as usize, Value::Numeric(Numeric(position % ONE)))
        }
        _ => return Err(SqlError::internal("a percentile's share is no number")),
    };
    let (low, high) = (at(below), at(below + 1));
    Ok(match (low, high, weight) {
        (low, _, Value::Float64(0.0) | Value::Numeric(Numeric(0))) => low,
        (Value::Null, other, _) | (other, Value::Null, _) => other,
        (Value::Float64(low), Value::Float64(high), Value::Float64(weight)) => {
            Value::Float64(low * (1.0 - weight) + high * weight)
        }
        (Value::Numeric(low), Value::Numeric(high), Value::Numeric(weight)) => {
            let weight = weight.0;
            // Both products stay far inside: 38 digits and 9 more need 156 bits, so part the difference first.
            let difference = high.0 - low.0;
            let part = difference / ONE * weight + (difference % ONE * weight + ONE / 2) / ONE;
            Value::Numeric(Numeric(low.0 + part))
        }
        _ => return Err(SqlError::unsupported("PERCENTILE_CONT of this type is not supported")),
    })
}
