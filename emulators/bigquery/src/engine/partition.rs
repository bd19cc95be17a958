//! How a table is partitioned, and which partition a row belongs to.

use scrimmage_googlesql::catalog::Schema;
use scrimmage_googlesql::value::civil::{days_from_ymd, ymd_from_days};
use scrimmage_googlesql::{Type, Value};

/// What rows are kept apart by.
#[derive(Clone, PartialEq, Debug)]
pub enum Partitioning {
    /// A DATE, DATETIME or TIMESTAMP column (its name), or the time of ingestion (`None`).
    Time { column: Option<String>, unit: TimeUnit, expiration_ms: Option<i64> },
    /// `RANGE_BUCKET(column, GENERATE_ARRAY(start, end, interval))`.
    Range { column: String, start: i64, end: i64, interval: i64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeUnit {
    Hour,
    Day,
    Month,
    Year,
}

impl TimeUnit {
    /// `DAY` and so on, as REST has it.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Hour => "HOUR",
            TimeUnit::Day => "DAY",
            TimeUnit::Month => "MONTH",
            TimeUnit::Year => "YEAR",
        }
    }

    pub fn from_name(name: &str) -> Option<TimeUnit> {
        [TimeUnit::Hour, TimeUnit::Day, TimeUnit::Month, TimeUnit::Year]
            .into_iter()
            .find(|unit| unit.name().eq_ignore_ascii_case(name))
    }
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A partition's id as `T$ID` and INFORMATION_SCHEMA.PARTITIONS show it, in a form that costs nothing to compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PartitionId {
    /// The table has no partitions.
    Whole,
    /// `__NULL__`
    Null,
    /// `__UNPARTITIONED__`: outside of an integer range.
    Outside,
    /// Hours, days, months or years since 1970, by the table's unit; or the start of an integer range.
    At(i64),
}

impl Partitioning {
    /// The column's name; `None` for ingestion time.
    pub fn column(&self) -> Option<&str> {
        match self {
            Partitioning::Time { column, .. } => column.as_deref(),
            Partitioning::Range { column, .. } => Some(column),
        }
    }

    /// How long a partition lives after its start.
    pub fn lifetime(&self) -> Option<std::time::Duration> {
        match self {
            Partitioning::Time { expiration_ms: Some(ms), .. } => {
                u64::try_from(*ms).ok().map(std::time::Duration::from_millis)
            }
            _ => None,
        }
    }

    /// Position of the partitioning column in `schema`.
    pub fn position(&self, schema: &Schema) -> Option<usize> {
        self.column().and_then(|name| schema.position(name))
    }

    /// The partition of a row whose partitioning column is `value` (for ingestion time: a TIMESTAMP of the load).
    pub fn of(&self, value: &Value) -> PartitionId {
        match (self, value) {
            (_, Value::Null) => PartitionId::Null,
            (Partitioning::Time { unit, .. }, Value::Date(days)) => {
                PartitionId::At(bucket(i64::from(*days) * MICROS_PER_DAY, *unit))
            }
            (Partitioning::Time { unit, .. }, Value::Timestamp(micros) | Value::Datetime(micros)) => {
                PartitionId::At(bucket(*micros, *unit))
            }
            (Partitioning::Range { start, end, interval, .. }, Value::Int64(number)) => {
                if number < start || number >= end || *interval <= 0 {
                    PartitionId::Outside
                } else {
                    // The distance may be larger than an i64; the partition's start is not.
                    let distance = i128::from(*number) - i128::from(*start);
                    let into = distance % i128::from(*interval);
                    PartitionId::At(number - into as i64)
                }
            }
            _ => PartitionId::Outside,
        }
    }

    /// `20260101`, `2026010112`, `202601`, `2026`, `__NULL__`.
    pub fn show(&self, id: PartitionId) -> String {
        match (self, id) {
            (_, PartitionId::Null) => "__NULL__".into(),
            (_, PartitionId::Outside | PartitionId::Whole) => "__UNPARTITIONED__".into(),
            (Partitioning::Range { .. }, PartitionId::At(start)) => start.to_string(),
            (Partitioning::Time { unit, .. }, PartitionId::At(count)) => match unit {
                TimeUnit::Year => format!("{:04}", 1970 + count),
                TimeUnit::Month => format!("{:04}{:02}", 1970 + count.div_euclid(12), count.rem_euclid(12) + 1),
                TimeUnit::Day => day(count),
                TimeUnit::Hour => format!("{}{:02}", day(count.div_euclid(24)), count.rem_euclid(24)),
            },
        }
    }

    /// The partition that a decorator (`T$20260101`) names.
    pub fn parse(&self, text: &str) -> Option<PartitionId> {
        match text {
            "__NULL__" => return Some(PartitionId::Null),
            "__UNPARTITIONED__" => return Some(PartitionId::Outside),
            _ => {}
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return None;
        }
        let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<i64>().ok());
        match self {
            Partitioning::Range { .. } => text.parse().ok().map(PartitionId::At),
            Partitioning::Time { unit, .. } => {
                let wanted = match unit {
                    TimeUnit::Year => 4,
                    TimeUnit::Month => 6,
                    TimeUnit::Day => 8,
                    TimeUnit::Hour => 10,
                };
                if text.len() != wanted {
                    return None;
                }
                let year = number(0..4)?;
                if *unit == TimeUnit::Year {
                    return Some(PartitionId::At(year - 1970));
                }
                let month = number(4..6).filter(|month| (1..=12).contains(month))?;
                if *unit == TimeUnit::Month {
                    return Some(PartitionId::At((year - 1970) * 12 + month - 1));
                }
                let of_month = number(6..8).filter(|day| (1..=31).contains(day))?;
                let days = days_from_ymd(year, month, of_month);
                if day(days) != text.get(0..8)? {
                    return None;
                }
                if *unit == TimeUnit::Day {
                    return Some(PartitionId::At(days));
                }
                number(8..10).filter(|hour| (0..24).contains(hour)).map(|hour| PartitionId::At(days * 24 + hour))
            }
        }
    }

    /// The instant at which a time partition begins, microseconds since the epoch.
    pub fn start_micros(&self, id: PartitionId) -> Option<i64> {
        let (Partitioning::Time { unit, .. }, PartitionId::At(count)) = (self, id) else { return None };
        let days = match unit {
            TimeUnit::Hour => return Some(count * 3_600_000_000),
            TimeUnit::Day => count,
            TimeUnit::Month => days_from_ymd(1970 + count.div_euclid(12), count.rem_euclid(12) + 1, 1),
            TimeUnit::Year => days_from_ymd(1970 + count, 1, 1),
        };
        Some(days * MICROS_PER_DAY)
    }

    /// Whether the value is the first of its partition.
    pub fn begins_with(&self, value: &Value) -> bool {
        match (self, value, self.of(value)) {
            (Partitioning::Range { .. }, Value::Int64(number), PartitionId::At(start)) => *number == start,
            (_, Value::Date(days), id) => self.start_micros(id) == Some(i64::from(*days) * MICROS_PER_DAY),
            (_, Value::Timestamp(micros) | Value::Datetime(micros), id) => self.start_micros(id) == Some(*micros),
            _ => false,
        }
    }

    /// Whether the value's partition has room for no other value.
    pub fn holds_only(&self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Partitioning::Time { unit: TimeUnit::Day, .. }, Value::Date(_))
                | (Partitioning::Range { interval: 1, .. }, Value::Int64(_))
        )
    }

    /// Whether a column of this type may partition a table so.
    pub fn accepts(&self, ty: &Type) -> bool {
        match self {
            Partitioning::Time { unit, .. } => match ty {
                Type::Date => *unit != TimeUnit::Hour,
                Type::Timestamp | Type::Datetime => true,
                _ => false,
            },
            Partitioning::Range { .. } => *ty == Type::Int64,
        }
    }
}

fn bucket(micros: i64, unit: TimeUnit) -> i64 {
    let days = micros.div_euclid(MICROS_PER_DAY);
    match unit {
        TimeUnit::Hour => micros.div_euclid(3_600_000_000),
        TimeUnit::Day => days,
        TimeUnit::Month => {
            let (year, month, _) = ymd_from_days(days);
            (year - 1970) * 12 + month - 1
        }
        TimeUnit::Year => ymd_from_days(days).0 - 1970,
    }
}

fn day(days: i64) -> String {
    let (year, month, day) = ymd_from_days(days);
    format!("{year:04}{month:02}{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(unit: TimeUnit) -> Partitioning {
        Partitioning::Time { column: Some("d".into()), unit, expiration_ms: None }
    }

    #[test]
    fn ids_are_shown_and_read() {
        let noon = Value::Timestamp(1_767_268_800_000_000); // 2026-01-01T12:00:00Z
        for (unit, id) in [
            (TimeUnit::Hour, "2026010112"),
            (TimeUnit::Day, "20260101"),
            (TimeUnit::Month, "202601"),
            (TimeUnit::Year, "2026"),
        ] {
            let partitioning = by(unit);
            let of = partitioning.of(&noon);
            assert_eq!(partitioning.show(of), id);
            assert_eq!(partitioning.parse(id), Some(of));
        }
        assert_eq!(by(TimeUnit::Day).parse("20260230"), None);
        assert_eq!(by(TimeUnit::Day).parse("2026"), None);
        assert_eq!(by(TimeUnit::Day).of(&Value::Null), PartitionId::Null);
    }

    #[test]
    fn the_first_and_the_only_value_of_a_partition_are_known() {
        let new_year = Value::Date(20_454);
        assert!(by(TimeUnit::Day).begins_with(&new_year) && by(TimeUnit::Year).begins_with(&new_year));
        assert!(by(TimeUnit::Day).holds_only(&new_year) && !by(TimeUnit::Month).holds_only(&new_year));
        assert!(!by(TimeUnit::Month).begins_with(&Value::Date(20_455)));
        assert!(!by(TimeUnit::Hour).begins_with(&Value::Timestamp(1)));
    }

    #[test]
    fn the_widest_range_has_partitions_too() {
        let range = Partitioning::Range { column: "n".into(), start: i64::MIN, end: i64::MAX, interval: 10 };
        for number in [i64::MIN, -1, 0, i64::MAX - 1] {
            let PartitionId::At(start) = range.of(&Value::Int64(number)) else { panic!("{number} is inside") };
            assert!(start <= number && i128::from(number) - i128::from(start) < 10);
        }
    }

    #[test]
    fn integer_ranges_have_an_outside() {
        let range = Partitioning::Range { column: "n".into(), start: 0, end: 100, interval: 10 };
        assert_eq!(range.of(&Value::Int64(37)), PartitionId::At(30));
        assert_eq!(range.of(&Value::Int64(100)), PartitionId::Outside);
        assert_eq!(range.of(&Value::Int64(-1)), PartitionId::Outside);
    }
}
