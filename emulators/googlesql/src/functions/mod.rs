//! The registry: every scalar and aggregate function is one entry in one table.
//!
//! A table's entry has the function's name, its signatures in a small notation, how it treats NULL, a
//! documentation link and the code. Nothing else needs touching to add one.
//!
//! The notation of a signature: `(STRING, INT64, [INT64]) -> STRING`. Types by name; `T` and `U` stand
//! for any type (the same everywhere in the signature); `ARRAY<T>`, `RANGE<T>`; `[X]` may be left out;
//! `X...` may repeat any number of times (also none); `name => X` is a named argument, `!name => X` one that cannot be given by its place;
//! `STRUCT` any struct;
//! `ORDERABLE<T>`, `GROUPABLE<T>` and `COMPARABLE<T>` demand that of T. `ANY` is a type of its own each time. A result
//! of `?` is computed by the entry's `result` function. With `~` in front a signature matches without being listed.
//!
//! Operators are entries too: `$add $subtract $multiply $divide $unary_minus $equal $not_equal $less
//! $less_or_equal $greater $greater_or_equal $concat_op $not $like $in $in_array $is_null $is_true $is_false
//! $is_distinct_from $is_not_distinct_from $bitwise_and $bitwise_or $bitwise_xor $bitwise_not
//! $bitwise_left_shift $bitwise_right_shift $json_subscript`. A date part is a STRING literal with its upper-case
//! name (`DAY`, `WEEK(MONDAY)`), `DATEPART` in the notation: `DATE_ADD(d, INTERVAL n DAY)` arrives as
//! `date_add(d, n, "DAY")`, `EXTRACT(part FROM x AT TIME ZONE z)` as `$extract(x, "PART", z)` (DATE, TIME and DATETIME
//! as `$extract_date(x, z)` and so on), `INTERVAL n part` as `$interval(n, "PART")`, `INTERVAL 's' part` as
//! `$interval_text("s", "PART")`, `INTERVAL 's' a TO b` as `$interval_range("s", "A", "B")`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::types::Type;
use crate::value::Value;

pub mod resolve;
pub mod signature;

pub(crate) mod aggregates;
mod args;
mod arrays;
mod dates;
mod decimals;
pub(crate) mod encoding;
pub(crate) mod geography;
mod hash;
mod json;
mod math;
mod misc;
mod net;
mod operators;
mod ranges;
pub(crate) mod strings;

pub use geography::geography_from_text;
pub use resolve::{ArgInfo, NoMatch, Resolved, resolve_aggregate, resolve_scalar};

/// The rooms' scalar tables.
static SCALARS: &[&[&[ScalarFunction]]] = &[
    &[
        operators::TABLE,
        arrays::TABLE,
        encoding::TABLE,
        hash::TABLE,
        math::TABLE,
        misc::TABLE,
        net::TABLE,
        ranges::TABLE,
    ],
    &aggregates::SCALARS,
    &dates::TABLES,
    &geography::TABLES,
    &json::TABLES,
    &strings::TABLES,
];

/// The rooms' aggregate tables.
static AGGREGATES: &[&[AggregateFunction]] = &aggregates::TABLES;

/// The scalar function or operator of that name, in lower case (`substr`, `net.host`, `$add`).
pub fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    static INDEX: OnceLock<HashMap<&'static str, &'static ScalarFunction>> = OnceLock::new();
    INDEX
        .get_or_init(|| {
            SCALARS
                .iter()
                .flat_map(|tables| tables.iter())
                .flat_map(|table| table.iter())
                .map(|entry| (entry.name, entry))
                .collect()
        })
        .get(name)
        .copied()
}

/// The aggregate function of that name, in lower case. `count(*)` is `$count_star`.
pub fn aggregate(name: &str) -> Option<&'static AggregateFunction> {
    static INDEX: OnceLock<HashMap<&'static str, &'static AggregateFunction>> = OnceLock::new();
    INDEX
        .get_or_init(|| AGGREGATES.iter().flat_map(|table| table.iter()).map(|entry| (entry.name, entry)).collect())
        .get(name)
        .copied()
}

/// Every function's name, scalar and aggregate, without the operators: for suggestions and for documentation.
pub fn names() -> impl Iterator<Item = &'static str> {
    let scalars =
        SCALARS.iter().flat_map(|tables| tables.iter()).flat_map(|table| table.iter()).map(|entry| entry.name);
    let aggregates = AGGREGATES.iter().flat_map(|table| table.iter()).map(|entry| entry.name);
    scalars.chain(aggregates).filter(|name| !name.starts_with('$'))
}

/// A scalar table's entry: page of the language reference, name, spelling in messages, NULL behaviour, signatures, code.
macro_rules! entry {
    ($page:literal, $name:literal, $sql_name:literal, $nulls:ident, [$($signature:literal),* $(,)?], $code:expr) => {
        $crate::functions::ScalarFunction {
            name: $name,
            sql_name: $sql_name,
            signatures: &[$($signature),*],
            nulls: $crate::functions::Nulls::$nulls,
            volatile: false,
            doc: concat!("https://cloud.google.com/bigquery/docs/reference/standard-sql/", $page, "#", $name),
            result: None,
            code: $code,
        }
    };
    ($page:literal, $name:literal, $sql_name:literal, $nulls:ident, [$($signature:literal),* $(,)?], $code:expr, result = $result:expr) => {
        $crate::functions::ScalarFunction {
            result: Some($result),
            ..$crate::functions::entry!($page, $name, $sql_name, $nulls, [$($signature),*], $code)
        }
    };
    ($page:literal, $name:literal, $sql_name:literal, $nulls:ident, [$($signature:literal),* $(,)?], $code:expr, volatile) => {
        $crate::functions::ScalarFunction {
            volatile: true,
            ..$crate::functions::entry!($page, $name, $sql_name, $nulls, [$($signature),*], $code)
        }
    };
}
pub(crate) use entry;

/// A stream of random numbers that a seed starts; clones draw from the same one.
#[derive(Clone, Debug, Default)]
pub struct Draws {
    seed: u64,
    count: Arc<AtomicU64>,
}

impl Draws {
    pub fn seeded(seed: u64) -> Draws {
        Draws { seed, count: Arc::default() }
    }

    /// The next number.
    pub fn next_u64(&self) -> u64 {
        let step = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut z = self.seed.wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// What a function may ask of the statement it runs in.
#[derive(Clone, Debug)]
pub struct EvalContext {
    /// The statement's start, microseconds since the epoch: `CURRENT_TIMESTAMP()` and its kin.
    pub now: i64,
    /// `@@time_zone`; "UTC" by default.
    pub time_zone: String,
    /// Where `RAND` and `GENERATE_UUID` draw from.
    pub draws: Draws,
    pub session_user: String,
    pub project: String,
}

/// One call as the analyzer resolved it.
#[derive(Debug)]
pub struct Call<'a> {
    pub ctx: &'a EvalContext,
    /// The arguments' types after coercion; their names matter to `TO_JSON` and the like.
    pub arg_types: &'a [Type],
    pub result_type: &'a Type,
}

/// What a scalar function does with NULL arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nulls {
    /// Any NULL argument gives NULL and the code is not called.
    Propagate,
    /// The code sees them.
    Handled,
}

pub type ScalarCode = fn(&Call, &[Value]) -> Result<Value>;
/// The result type from the argument types, where the notation cannot say it.
pub type ResultType = fn(&[Type]) -> Result<Type>;

/// An entry of the scalar table. Names are lower case; operators begin with `$` (`$add`, `$equal`).
#[derive(Debug)]
pub struct ScalarFunction {
    pub name: &'static str,
    /// As error messages spell it: `SUBSTR`, or the operator itself (`+`).
    pub sql_name: &'static str,
    pub signatures: &'static [&'static str],
    pub nulls: Nulls,
    /// Whether two calls with the same arguments may differ within a statement (`RAND`).
    pub volatile: bool,
    /// The page and anchor that documents it.
    pub doc: &'static str,
    pub result: Option<ResultType>,
    pub code: ScalarCode,
}

/// Accumulates one group of one aggregate call.
///
/// The executor has already applied FILTER-like modifiers: DISTINCT, ORDER BY, LIMIT, HAVING MAX/MIN and,
/// where [`AggregateFunction::ignores_nulls`] or `IGNORE NULLS` says so, dropped rows whose first argument is NULL.
pub trait Accumulator: Send {
    fn add(&mut self, args: &[Value]) -> Result<()>;
    /// The result so far. A window whose frames only grow calls it, adds more rows, and calls it again.
    fn finish(&mut self) -> Result<Value>;
}

pub type MakeAccumulator = fn(&Call) -> Box<dyn Accumulator>;

/// An entry of the aggregate table.
pub struct AggregateFunction {
    pub name: &'static str,
    pub sql_name: &'static str,
    pub signatures: &'static [&'static str],
    /// Rows whose first argument is NULL are left out before `add` (SUM, COUNT(x), MIN, STRING_AGG; not ARRAY_AGG).
    pub ignores_nulls: bool,
    pub allows_distinct: bool,
    pub allows_order_by: bool,
    pub allows_limit: bool,
    pub allows_null_modifier: bool,
    /// May stand before OVER.
    pub allows_window: bool,
    pub doc: &'static str,
    pub result: Option<ResultType>,
    pub make: MakeAccumulator,
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_well_formed() {
        for entry in SCALARS.iter().flat_map(|tables| tables.iter()).flat_map(|table| table.iter()) {
            let parsed = signature::parsed(entry.signatures);
            assert_eq!(parsed.len(), entry.signatures.len(), "{}", entry.name);
            assert_eq!(entry.name, entry.name.to_lowercase());
            assert!(std::ptr::eq(scalar(entry.name).expect("listed"), entry), "{} stands twice", entry.name);
        }
        for entry in AGGREGATES.iter().flat_map(|table| table.iter()) {
            assert_eq!(signature::parsed(entry.signatures).len(), entry.signatures.len(), "{}", entry.name);
        }
    }
}
