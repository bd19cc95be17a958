//! GAP_FILL: a table function of the language itself, written as a query over its input.
//!
//! <https://cloud.google.com/bigquery/docs/reference/standard-sql/time-series-functions#gap_fill>

use std::rc::Rc;

use crate::ast::{self, ExprKind as A};
use crate::error::{Pos, Result, SqlError};
use crate::plan::Query;
use crate::types::Type;

use super::from::Source;
use super::scope::{NameList, Scope, Target};
use super::sessionize::backticked;
use super::{Analyzer, Cx};

#[derive(Default)]
struct Given<'a> {
    table: Option<&'a ast::Expr>,
    time: Option<&'a str>,
    width: Option<&'a ast::Expr>,
    keys: Vec<&'a str>,
    /// A column and how it is filled.
    values: Vec<(&'a str, &'a str)>,
    origin: Option<&'a ast::Expr>,
    keep_nulls: bool,
}

fn mistake<T>(text: impl Into<String>, pos: Pos) -> Result<T> {
    Err(SqlError::analysis(text).at(pos))
}

fn name_of<'a>(expr: &'a ast::Expr, what: &str) -> Result<&'a str> {
    match &expr.kind {
        A::String(name) => Ok(name),
        _ => mistake(format!("{what} of GAP_FILL must be named by a string literal"), expr.pos),
    }
}

fn items<'a>(expr: &'a ast::Expr, what: &str) -> Result<&'a [ast::Expr]> {
    match &expr.kind {
        A::Array { items, .. } => Ok(items),
        _ => mistake(format!("{what} of GAP_FILL must be an array of literals"), expr.pos),
    }
}

fn given(call: &ast::Call) -> Result<Given<'_>> {
    let order = ["table", "ts_column", "bucket_width", "partitioning_columns", "value_columns", "origin"];
    let mut out = Given::default();
    for (index, arg) in call.args.iter().enumerate() {
        let (name, value) = match &arg.kind {
            A::NamedArgument { name, value } => (name.name.to_lowercase(), &**value),
            _ => ((*order.get(index).unwrap_or(&"")).to_owned(), arg),
        };
        match name.as_str() {
            "table" => out.table = Some(value),
            "ts_column" => out.time = Some(name_of(value, "The time column")?),
            "bucket_width" => out.width = Some(value),
            "partitioning_columns" => {
                for item in items(value, "Partitioning columns")? {
                    out.keys.push(name_of(item, "A partitioning column")?);
                }
            }
            "value_columns" => {
                for item in items(value, "Value columns")? {
                    let parts = match &item.kind {
                        A::Tuple(parts) => parts.as_slice(),
                        _ => &[],
                    };
                    let [column, method] = parts else {
                        return mistake("Value columns of GAP_FILL must be pairs of a column and a method", item.pos);
                    };
                    let method_name = name_of(method, "A gap filling method")?;
                    if !["locf", "linear", "null"].contains(&method_name.to_ascii_lowercase().as_str()) {
                        let text = format!(
                            "Invalid gap filling method in GAP_FILL: {method_name}; it must be one of 'null', 'linear', 'locf'"
                        );
                        return mistake(text, method.pos);
                    }
                    out.values.push((name_of(column, "A value column")?, method_name));
                }
            }
            "origin" => out.origin = Some(value),
            "ignore_null_values" => out.keep_nulls = matches!(value.kind, A::Bool(false)),
            _ => return mistake(format!("GAP_FILL has no argument {name}"), arg.pos),
        }
    }
    Ok(out)
}

impl Analyzer<'_> {
    /// One row for each bucket of time between a partition's first and last row, its values filled in.
    pub(super) fn gap_fill(&self, call: &ast::Call, outer: Option<&Scope>) -> Result<Source> {
        let given = given(call)?;
        let (Some(table), Some(time), Some(width)) = (given.table, given.time, given.width) else {
            return mistake("GAP_FILL requires a table, ts_column and bucket_width", call.pos);
        };
        let input = self.table_argument(table, outer)?;
        let time_ty = column_type(&input, time, call.pos)?;
        if !matches!(time_ty, Type::Date | Type::Datetime | Type::Timestamp) {
            let text =
                format!("Column {time} of GAP_FILL must be a DATE, DATETIME or TIMESTAMP but has type {time_ty}");
            return mistake(text, call.pos);
        }
        for key in &given.keys {
            column_type(&input, key, call.pos)?;
        }
        let mut values = Vec::with_capacity(given.values.len());
        for (column, method) in &given.values {
            let ty = column_type(&input, column, call.pos)?;
            if method.eq_ignore_ascii_case("linear") && !ty.is_numeric() {
                let text = format!("Column {column} of GAP_FILL cannot be filled linearly: it has type {ty}");
                return mistake(text, call.pos);
            }
            values.push((*column, *method, ty));
        }
        let scope_names = NameList::default();
        let scope = Scope::new(&scope_names, outer);
        let cx = Cx::plain(&scope, "table function arguments");
        let width = self.expr(width, &cx)?;
        if width.ty != Type::Interval {
            return mistake(
                format!("bucket_width of GAP_FILL must be an INTERVAL but has type {}", width.ty),
                width.pos,
            );
        }
        let mut targets: Vec<(Rc<str>, Target)> = vec![(Rc::from("$width"), Target::Expr(Rc::new(width)))];
        if let Some(origin) = given.origin {
            let origin = self.expr(origin, &cx)?;
            let origin_pos = origin.pos;
            let found = origin.ty.clone();
            let origin = self.implicit(origin, &time_ty)?.map_err(|_| {
                SqlError::analysis(format!("origin of GAP_FILL must be a {time_ty} but has type {found}"))
                    .at(origin_pos)
            })?;
            targets.push((Rc::from("$origin"), Target::Expr(Rc::new(origin))));
        }
        let sql = filled_query(time, &time_ty, &given, &values);
        let query = self.over_tables("GAP_FILL", &sql, vec![("$input".to_owned(), input)], targets, call.pos)?;
        let names = super::query::names_of(&query.columns, false);
        Ok((query.rel, names))
    }
}

fn column_type(input: &Query, name: &str, pos: Pos) -> Result<Type> {
    let found =
        input.columns.iter().find(|out| out.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)));
    match found {
        Some(out) => Ok(out.ty.clone()),
        None => mistake(format!("Column {name} not found in the input table of GAP_FILL"), pos),
    }
}

fn filled_query(time: &str, time_ty: &Type, given: &Given, values: &[(&str, &str, Type)]) -> String {
    let time = backticked(time);
    let keys: Vec<String> = given.keys.iter().map(|key| backticked(key)).collect();
    let list: String = keys.iter().map(|key| format!("{key}, ")).collect();
    let group = if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) };
    let same: String = keys.iter().map(|key| format!(" AND r.{key} IS NOT DISTINCT FROM s.{key}")).collect();
    let origin = if given.origin.is_some() { ", `$origin`" } else { "" };
    let start = format!("{time_ty}_BUCKET(`$low`, `$width`{origin})");
    let part = |part: &str| format!("EXTRACT({part} FROM `$width`)");
    // A month is taken for its least length: steps beyond the end are dropped.
    let least = format!(
        "(({} * 12 + {}) * 28 + {}) * 86400000000 + ({} * 3600 + {} * 60 + {}) * 1000000 + {}",
        part("YEAR"),
        part("MONTH"),
        part("DAY"),
        part("HOUR"),
        part("MINUTE"),
        part("SECOND"),
        part("MICROSECOND")
    );
    let apart = |to: &str, from: &str| match time_ty {
        Type::Timestamp => format!("TIMESTAMP_DIFF({to}, {from}, MICROSECOND)"),
        _ => format!("DATETIME_DIFF(DATETIME({to}), DATETIME({from}), MICROSECOND)"),
    };
    let at = match time_ty {
        Type::Date => format!("CAST(DATETIME({start}) + `$n` * `$width` AS DATE)"),
        _ => format!("{start} + `$n` * `$width`"),
    };
    let steps = format!("DIV({}, GREATEST({least}, 1))", apart("`$high`", &start));
    let mut columns = format!("s.`$at` AS {time}");
    keys.iter().for_each(|key| columns.push_str(&format!(", s.{key}")));
    for (column, method, ty) in values {
        let name = backticked(column);
        let known = if given.keep_nulls { String::new() } else { format!(" AND r.{name} IS NOT NULL") };
        let pick = |what: &str, test: &str, order: &str| {
            format!(
                "(SELECT {what} FROM `$rows` AS r WHERE r.{time} {test} s.`$at`{same}{known} ORDER BY r.{time} {order} LIMIT 1)"
            )
        };
        let value = format!("r.{name}");
        let filled = match method.to_ascii_lowercase().as_str() {
            "locf" => pick(&value, "<=", "DESC"),
            "linear" => {
                let pair = format!("STRUCT(r.{time} AS t, r.{name} AS v)");
                format!(
                    "WITH(a AS {}, b AS {}, IF(a.t = b.t, a.v, CAST(a.v + (b.v - a.v) * ({} / {}) AS {ty})))",
                    pick(&pair, "<=", "DESC"),
                    pick(&pair, ">=", "ASC"),
                    apart("s.`$at`", "a.t"),
                    apart("b.t", "a.t"),
                )
            }
            _ => pick(&value, "=", "ASC"),
        };
        columns.push_str(&format!(", {filled} AS {name}"));
    }
    format!(
        "WITH `$rows` AS (SELECT * FROM `$input` WHERE {time} IS NOT NULL), \
         `$spans` AS (SELECT {list}MIN({time}) AS `$low`, MAX({time}) AS `$high` FROM `$rows`{group}), \
         `$steps` AS (SELECT {list}`$at` FROM (SELECT {list}`$low`, `$high`, {at} AS `$at` \
           FROM `$spans`, UNNEST(GENERATE_ARRAY(0, {steps})) AS `$n`) WHERE `$at` BETWEEN `$low` AND `$high`) \
         SELECT {columns} FROM `$steps` AS s"
    )
}
