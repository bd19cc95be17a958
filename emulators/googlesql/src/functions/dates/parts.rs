//! Date parts: `DAY`, `WEEK(MONDAY)`, `ISOYEAR`, as arguments of date functions.

use std::fmt;

use crate::error::{Result, SqlError};
use crate::functions::args::string;
use crate::value::Value;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    DayOfWeek,
    DayOfYear,
    /// The weekday that begins it: 1 Sunday … 7 Saturday.
    Week(i64),
    IsoWeek,
    Month,
    Quarter,
    Year,
    IsoYear,
    Date,
    Time,
    Datetime,
}

pub(crate) const WEEKDAYS: [&str; 7] = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

impl Part {
    /// From its upper-case name.
    pub(crate) fn parse(name: &str) -> Option<Part> {
        Some(match name {
            "MICROSECOND" => Part::Microsecond,
            "MILLISECOND" => Part::Millisecond,
            "SECOND" => Part::Second,
            "MINUTE" => Part::Minute,
            "HOUR" => Part::Hour,
            "DAY" => Part::Day,
            "DAYOFWEEK" => Part::DayOfWeek,
            "DAYOFYEAR" => Part::DayOfYear,
            "WEEK" => Part::Week(1),
            "ISOWEEK" => Part::IsoWeek,
            "MONTH" => Part::Month,
            "QUARTER" => Part::Quarter,
            "YEAR" => Part::Year,
            "ISOYEAR" => Part::IsoYear,
            "DATE" => Part::Date,
            "TIME" => Part::Time,
            "DATETIME" => Part::Datetime,
            _ => {
                let day = name.strip_prefix("WEEK(")?.strip_suffix(')')?;
                Part::Week(WEEKDAYS.iter().position(|known| *known == day)? as i64 + 1)
            }
        })
    }

    /// The date part argument at `index`.
    pub(crate) fn argument(args: &[Value], index: usize) -> Result<Part> {
        let name = string(args, index)?;
        Part::parse(name)
            .ok_or_else(|| SqlError::analysis(format!("A valid date part name is required but found {name}")))
    }

    /// Microseconds of the parts that have a fixed length up to a day.
    pub(crate) fn micros(self) -> Option<i64> {
        Some(match self {
            Part::Microsecond => 1,
            Part::Millisecond => 1_000,
            Part::Second => 1_000_000,
            Part::Minute => 60_000_000,
            Part::Hour => 3_600_000_000,
            Part::Day => 86_400_000_000,
            _ => return None,
        })
    }

    /// `TIMESTAMP_ADD does not support the MONTH date part`.
    pub(crate) fn unsupported(self, function: &str) -> SqlError {
        SqlError::evaluation(format!("{function} does not support the {self} date part"))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Microsecond => "MICROSECOND",
            Part::Millisecond => "MILLISECOND",
            Part::Second => "SECOND",
            Part::Minute => "MINUTE",
            Part::Hour => "HOUR",
            Part::Day => "DAY",
            Part::DayOfWeek => "DAYOFWEEK",
            Part::DayOfYear => "DAYOFYEAR",
            Part::Week(1) => "WEEK",
            Part::Week(day) => {
                return write!(f, "WEEK({})", WEEKDAYS.get((day - 1) as usize).copied().unwrap_or_default());
            }
            Part::IsoWeek => "ISOWEEK",
            Part::Month => "MONTH",
            Part::Quarter => "QUARTER",
            Part::Year => "YEAR",
            Part::IsoYear => "ISOYEAR",
            Part::Date => "DATE",
            Part::Time => "TIME",
            Part::Datetime => "DATETIME",
        })
    }
}
