//! The registry: every scalar and aggregate function is one entry in one table.
//!
//! A table's entry has the function's name, its signatures in a small notation, how it treats NULL, a
//! documentation link and the code. Nothing else needs touching to add one.
//!
//! The notation of a signature: `(STRING, INT64, [INT64]) -> STRING`. Types by name; `T` and `U` stand
//! for any type (the same everywhere in the signature); `ARRAY<T>`, `RANGE<T>`; `[X]` may be left out;
//! `X...` may repeat any number of times (also none); `name => X` is a named argument; `LAMBDA(T) -> U`;
//! `STRUCT` any struct; `ORDERABLE<T>`/`GROUPABLE<T>` demand that of T. A result of `?` is computed by
//! the entry's `result` function.

//!
//! Operators are entries too: `$add $subtract $multiply $divide $unary_minus $equal $not_equal $less
//! $less_or_equal $greater $greater_or_equal $concat_op $not $like $in $in_array $is_null $is_true $is_false
//! $is_distinct_from $is_not_distinct_from $bitwise_and $bitwise_or $bitwise_xor $bitwise_not
//! $bitwise_left_shift $bitwise_right_shift $json_subscript $interval`. A date part is a STRING literal with its
//! upper-case name (`DAY`, `WEEK(MONDAY)`), `DATEPART` in the notation; `DATE_ADD(d, INTERVAL n DAY)` arrives as
//! `date_add(d, n, "DAY")`, `EXTRACT(part FROM x AT TIME ZONE z)` as `extract("PART", x, z)`, `INTERVAL n part` as
//! `$interval(n, "PART")` and `INTERVAL 's' a TO b` as `$interval("s", "A", "B")`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::error::Result;
use crate::types::Type;
use crate::value::Value;

pub mod resolve;
pub mod signature;

mod args;
mod dates;
pub(crate) mod encoding;
mod operators;

pub use resolve::{ArgInfo, NoMatch, Resolved, resolve_aggregate, resolve_scalar};

/// The rooms' scalar tables.
const SCALARS: &[&[ScalarFunction]] = &[operators::TABLE, encoding::TABLE];

/// The rooms' aggregate tables.
const AGGREGATES: &[&[AggregateFunction]] = &[];

/// The scalar function or operator of that name, in lower case (`substr`, `net.host`, `$add`).
pub fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    static INDEX: OnceLock<HashMap<&'static str, &'static ScalarFunction>> = OnceLock::new();
    INDEX
        .get_or_init(|| SCALARS.iter().flat_map(|table| table.iter()).map(|entry| (entry.name, entry)).collect())
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

/// Every scalar function's name, operators included: for suggestions and for documentation.
pub fn scalar_names() -> impl Iterator<Item = &'static str> {
    SCALARS.iter().flat_map(|table| table.iter()).map(|entry| entry.name)
}

/// Every aggregate function's name.
pub fn aggregate_names() -> impl Iterator<Item = &'static str> {
    AGGREGATES.iter().flat_map(|table| table.iter()).map(|entry| entry.name)
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

/// What a function may ask of the statement it runs in.
#[derive(Clone, Debug)]
pub struct EvalContext {
    /// The statement's start, microseconds since the epoch: `CURRENT_TIMESTAMP()` and its kin.
    pub now: i64,
    /// `@@time_zone`; "UTC" by default.
    pub time_zone: String,
    /// Seeds `RAND` and `GENERATE_UUID` where a run must be reproducible.
    pub seed: u64,
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
