//! Window frames: for each row of a partition where its frame begins and ends.

use std::sync::Arc;

use super::Partition;
use crate::error::{Result, SqlError};
use crate::exec::column::Column;
use crate::exec::context::Run;
use crate::exec::frame::Frame as Rows;
use crate::plan::{Bound, Frame, FrameUnit, WindowCall, WindowGroup};
use crate::value::{BigNumeric, Interval, Value, civil};

/// Where a frame begins or ends, relative to its row.
pub(super) enum Edge {
    Unbounded,
    Current,
    /// ROWS: so many rows on, negative for PRECEDING.
    Rows(i64),
    /// RANGE: so far on in the order's direction, negative for PRECEDING.
    Range(Distance),
}

/// An offset of RANGE.
#[derive(Clone, Copy)]
pub(super) enum Distance {
    Int(i128),
    Big(BigNumeric),
    Float(f64),
    /// Of an interval: months, then microseconds.
    Months(i64, i128),
}

impl Distance {
    fn is_negative(&self) -> bool {
        match self {
            Distance::Int(distance) => *distance < 0,
            Distance::Big(distance) => distance.is_negative(),
            // NaN is no distance either.
            Distance::Float(distance) => *distance < 0.0 || distance.is_nan(),
            Distance::Months(months, micros) => *months < 0 || *micros < 0,
        }
    }

    fn reversed(self) -> Distance {
        match self {
            Distance::Int(distance) => Distance::Int(-distance),
            Distance::Big(distance) => Distance::Big(distance.wrapping_neg()),
            Distance::Float(distance) => Distance::Float(-distance),
            Distance::Months(months, micros) => Distance::Months(-months, -micros),
        }
    }
}

/// A frame made ready: bounds evaluated, keys at hand.
pub(super) struct Frames {
    unit: FrameUnit,
    start: Edge,
    end: Edge,
    keys: Option<Keys>,
}

/// The one ORDER BY key of a RANGE frame with offsets, by row of the whole batch.
struct Keys {
    values: Vec<Option<Key>>,
    descending: bool,
}

#[derive(Clone, Copy)]
enum Key {
    Int(i128),
    Big(BigNumeric),
    Float(f64),
    /// Below or above every finite number of the kind; infinities lie further out.
    Beyond {
        above: bool,
    },
}

impl Key {
    /// This plus a distance of the same kind.
    fn plus(self, distance: &Distance) -> Key {
        match (self, distance) {
            (Key::Int(key), Distance::Int(distance)) => {
                key.checked_add(*distance).map_or(Key::Beyond { above: *distance > 0 }, Key::Int)
            }
            (Key::Big(key), Distance::Big(distance)) => {
                key.checked_add(*distance).map_or(Key::Beyond { above: !distance.is_negative() }, Key::Big)
            }
            (Key::Float(key), Distance::Float(distance)) => match key + distance {
                sum if sum.is_infinite() && key.is_finite() && distance.is_finite() => Key::Beyond { above: sum > 0.0 },
                sum => Key::Float(sum),
            },
            (Key::Int(key), Distance::Months(months, micros)) => {
                let (day, time) = (key.div_euclid(DAY), key.rem_euclid(DAY));
                let moved = i32::try_from(day).ok().and_then(|day| civil::add_months(day.into(), *months));
                let day = moved.map_or(day, i128::from);
                Key::Int((day * DAY + time).saturating_add(*micros))
            }
            (key, _) => key,
        }
    }

    fn less(self, other: Key) -> bool {
        match (self, other) {
            (Key::Int(a), Key::Int(b)) => a < b,
            (Key::Big(a), Key::Big(b)) => a < b,
            (Key::Float(a), Key::Float(b)) if a.is_finite() && b.is_finite() => a < b,
            (a, b) => a.place() < b.place(),
        }
    }

    /// Where the key lies among finite numbers, what is beyond them, and infinities.
    fn place(self) -> i8 {
        match self {
            Key::Float(f64::NEG_INFINITY) => -2,
            Key::Beyond { above: false } => -1,
            Key::Beyond { above: true } => 1,
            Key::Float(f64::INFINITY) => 2,
            _ => 0,
        }
    }

    fn is_nan(self) -> bool {
        matches!(self, Key::Float(key) if key.is_nan())
    }
}

const DAY: i128 = 86_400_000_000;

/// Dates count in microseconds, as an interval does.
fn key_of(value: &Value) -> Option<Key> {
    Some(match value {
        Value::Int64(value) => Key::Int(i128::from(*value)),
        Value::Float64(value) => Key::Float(*value),
        Value::Numeric(value) => Key::Int(value.0),
        Value::BigNumeric(value) => Key::Big(**value),
        Value::Date(value) => Key::Int(i128::from(*value) * DAY),
        Value::Time(value) | Value::Datetime(value) | Value::Timestamp(value) => Key::Int(i128::from(*value)),
        _ => return None,
    })
}

fn distance_of(value: &Value) -> Result<Distance> {
    Ok(match value {
        Value::Int64(value) => Distance::Int(i128::from(*value)),
        Value::Float64(value) => Distance::Float(*value),
        Value::Numeric(value) => Distance::Int(value.0),
        Value::BigNumeric(value) => Distance::Big(**value),
        Value::Interval(interval) => {
            let Interval { months, days, micros } = **interval;
            let micros = i128::from(days) * DAY + i128::from(micros);
            if months == 0 { Distance::Int(micros) } else { Distance::Months(months, micros) }
        }
        Value::Null => return Err(SqlError::evaluation("Window frame offset must not be NULL")),
        _ => return Err(SqlError::internal("a window frame's offset is no number")),
    })
}

impl<'p> Run<'p> {
    /// The frames of `call`; the default one where it has none.
    pub(super) fn frames(
        &self,
        call: &'p WindowCall,
        group: &'p WindowGroup,
        order: &[Arc<Column>],
        rows: &Rows<'_>,
    ) -> Result<Frames> {
        let Some(Frame { unit, start, end }) = &call.frame else {
            let end = if group.order_by.is_empty() { Edge::Unbounded } else { Edge::Current };
            return Ok(Frames { unit: FrameUnit::Range, start: Edge::Unbounded, end, keys: None });
        };
        let start = self.edge(*unit, start, rows)?;
        let end = self.edge(*unit, end, rows)?;
        let keyed = matches!(start, Edge::Range(_)) || matches!(end, Edge::Range(_));
        let keys = match (keyed, order.first(), group.order_by.first()) {
            (true, Some(column), Some(key)) => Some(Keys {
                values: (0..rows.len).map(|row| key_of(&column.get(row))).collect(),
                descending: key.descending,
            }),
            _ => None,
        };
        Ok(Frames { unit: *unit, start, end, keys })
    }

    fn edge(&self, unit: FrameUnit, bound: &'p Bound, rows: &Rows<'_>) -> Result<Edge> {
        let (expr, sign) = match bound {
            Bound::UnboundedPreceding | Bound::UnboundedFollowing => return Ok(Edge::Unbounded),
            Bound::CurrentRow => return Ok(Edge::Current),
            Bound::Preceding(expr) => (expr, -1),
            Bound::Following(expr) => (expr, 1),
        };
        let value = self.eval_once(expr, rows.env)?;
        let negative = || SqlError::evaluation("Window frame offset must be non-negative");
        match unit {
            FrameUnit::Rows => match value {
                Value::Int64(offset) if offset >= 0 => Ok(Edge::Rows(sign * offset)),
                Value::Int64(_) => Err(negative()),
                _ => Err(SqlError::evaluation("Window frame offset must not be NULL")),
            },
            FrameUnit::Range => {
                let distance = distance_of(&value)?;
                if distance.is_negative() {
                    return Err(negative());
                }
                Ok(Edge::Range(if sign < 0 { distance.reversed() } else { distance }))
            }
        }
    }
}

impl Frames {
    /// Every row's frame is the whole partition.
    pub fn is_whole(&self) -> bool {
        matches!((&self.start, &self.end), (Edge::Unbounded, Edge::Unbounded))
    }

    /// Begin and end (exclusive) of each row's frame, as positions in the partition; empty where end ≤ begin.
    pub fn of(&self, partition: &Partition<'_>) -> Vec<(usize, usize)> {
        let len = partition.rows.len();
        let valued = self.keys.as_ref().map(|keys| Valued::new(keys, partition.rows));
        (0..len)
            .map(|at| {
                let (first_peer, behind_peers) =
                    partition.peers.get(at).map_or((at, at + 1), |(from, to)| (*from as usize, *to as usize));
                let start = match (&self.start, self.unit) {
                    (Edge::Unbounded, _) => 0,
                    (Edge::Current, FrameUnit::Rows) => at,
                    (Edge::Current, FrameUnit::Range) => first_peer,
                    (Edge::Rows(offset), _) => shifted(at, *offset, len),
                    (Edge::Range(distance), _) => {
                        valued.as_ref().and_then(|valued| valued.first_from(at, distance)).unwrap_or(first_peer)
                    }
                };
                let end = match (&self.end, self.unit) {
                    (Edge::Unbounded, _) => len,
                    (Edge::Current, FrameUnit::Rows) => at + 1,
                    (Edge::Current, FrameUnit::Range) => behind_peers,
                    (Edge::Rows(offset), _) => {
                        let end = (at as i64).saturating_add(*offset).saturating_add(1);
                        usize::try_from(end).unwrap_or(0).min(len)
                    }
                    (Edge::Range(distance), _) => {
                        valued.as_ref().and_then(|valued| valued.behind(at, distance)).unwrap_or(behind_peers)
                    }
                };
                (start, end.max(start))
            })
            .collect()
    }
}

fn shifted(at: usize, offset: i64, len: usize) -> usize {
    usize::try_from((at as i64).saturating_add(offset)).unwrap_or(0).min(len)
}

/// The keys of one partition: NULLs and NaNs (whose frames are their peers) lie around the ordinary ones.
struct Valued {
    keys: Vec<Option<Key>>,
    from: usize,
    to: usize,
    descending: bool,
}

impl Valued {
    fn new(keys: &Keys, rows: &[u32]) -> Valued {
        let of = |row: &u32| keys.values.get(*row as usize).copied().flatten().filter(|key| !key.is_nan());
        let keys_in_order: Vec<Option<Key>> = rows.iter().map(of).collect();
        let from = keys_in_order.iter().position(Option::is_some).unwrap_or(0);
        let to = keys_in_order.iter().rposition(Option::is_some).map_or(from, |at| at + 1);
        Valued { keys: keys_in_order, from, to, descending: keys.descending }
    }

    fn target(&self, at: usize, distance: &Distance) -> Option<Key> {
        let key = self.keys.get(at).copied().flatten()?;
        Some(if self.descending { key.plus(&distance.reversed()) } else { key.plus(distance) })
    }

    /// Whether `a` comes before `b`.
    fn before(&self, a: Key, b: Key) -> bool {
        if self.descending { b.less(a) } else { a.less(b) }
    }

    fn ordinary(&self) -> &[Option<Key>] {
        self.keys.get(self.from..self.to).unwrap_or_default()
    }

    fn first_from(&self, at: usize, distance: &Distance) -> Option<usize> {
        let target = self.target(at, distance)?;
        let before = |key: &Option<Key>| key.is_some_and(|key| self.before(key, target));
        Some(self.from + self.ordinary().partition_point(before))
    }

    fn behind(&self, at: usize, distance: &Distance) -> Option<usize> {
        let target = self.target(at, distance)?;
        let up_to = |key: &Option<Key>| key.is_some_and(|key| !self.before(target, key));
        Some(self.from + self.ordinary().partition_point(up_to))
    }
}
