//! Aggregate functions. What they have in common (DISTINCT, ORDER BY, LIMIT, HAVING, dropping NULLs) is the executor's.

mod approx;
mod basic;
mod collect;
mod kll;
mod sketch;
mod stats;

pub(crate) use basic::FloatTotal;

use crate::functions::{AggregateFunction, ScalarFunction};

/// The rooms' aggregate tables.
pub(crate) static TABLES: [&[AggregateFunction]; 7] = [
    approx::TABLE,
    basic::TABLE,
    collect::TABLE,
    crate::functions::geography::gather::TABLE,
    kll::TABLE,
    sketch::TABLE,
    stats::TABLE,
];

/// The scalar functions over sketches.
pub(crate) static SCALARS: [&[ScalarFunction]; 2] = [kll::SCALARS, sketch::SCALARS];

/// What an aggregate's modifiers may be.
#[derive(Clone, Copy)]
pub(crate) struct Allows {
    pub ignores_nulls: bool,
    pub distinct: bool,
    pub order_by: bool,
    pub limit: bool,
    pub null_modifier: bool,
    pub window: bool,
}

/// SUM, MIN, AVG and their like: NULLs are left out, DISTINCT and OVER are fine.
pub(crate) const PLAIN: Allows =
    Allows { ignores_nulls: true, distinct: true, order_by: false, limit: false, null_modifier: false, window: true };

/// An aggregate table's entry: page, name, spelling in messages, modifiers, signatures, accumulator.
macro_rules! aggregate {
    ($page:literal, $name:literal, $sql_name:literal, $allows:expr, [$($signature:literal),* $(,)?], $make:expr) => {
        $crate::functions::AggregateFunction {
            name: $name,
            sql_name: $sql_name,
            signatures: &[$($signature),*],
            ignores_nulls: $allows.ignores_nulls,
            allows_distinct: $allows.distinct,
            allows_order_by: $allows.order_by,
            allows_limit: $allows.limit,
            allows_null_modifier: $allows.null_modifier,
            allows_window: $allows.window,
            doc: concat!("https://cloud.google.com/bigquery/docs/reference/standard-sql/", $page, "#", $name),
            result: None,
            make: $make,
        }
    };
    ($page:literal, $name:literal, $sql_name:literal, $allows:expr, [$($signature:literal),* $(,)?], $make:expr, $result:expr) => {
        $crate::functions::AggregateFunction {
            result: Some($result),
            ..$crate::functions::aggregates::aggregate!($page, $name, $sql_name, $allows, [$($signature),*], $make)
        }
    };
}
pub(crate) use aggregate;

#[cfg(test)]
pub(crate) mod testing {
    use crate::error::Result;
    use crate::functions::{AggregateFunction, ArgInfo, Call, EvalContext, resolve_aggregate};
    use crate::types::Type;
    use crate::value::Value;

    /// Runs an aggregate over rows of arguments.
    pub(crate) fn run(function: &AggregateFunction, types: &[Type], rows: &[Vec<Value>]) -> Result<Value> {
        let args: Vec<ArgInfo> = types.iter().cloned().map(ArgInfo::expression).collect();
        let resolved = resolve_aggregate(function, &args).expect("resolves");
        let ctx = EvalContext {
            now: 0,
            time_zone: "UTC".into(),
            draws: crate::functions::Draws::default(),
            session_user: String::new(),
            project: String::new(),
        };
        let call = Call { ctx: &ctx, arg_types: types, result_type: &resolved.result_type };
        let mut accumulator = (function.make)(&call);
        for row in rows {
            if function.ignores_nulls && row.first().is_some_and(Value::is_null) {
                continue;
            }
            accumulator.add(row)?;
        }
        accumulator.finish()
    }

    pub(crate) fn ints(values: &[i64]) -> Vec<Vec<Value>> {
        values.iter().map(|value| vec![Value::Int64(*value)]).collect()
    }
}
