//! RANGE_SESSIONIZE: a table function of the language itself, written as a query over its input.
//!
//! <https://cloud.google.com/bigquery/docs/reference/standard-sql/range-functions#range_sessionize>

use crate::ast::{self, ExprKind as A};
use crate::error::{Result, SqlError};
use crate::plan::Query;
use crate::types::Type;

use super::Analyzer;
use super::from::Source;
use super::scope::Scope;

impl Analyzer<'_> {
    /// Input rows with one more column, `session_range`: the union of the ranges that meet or overlap within the
    /// same partition.
    pub(super) fn range_sessionize(&self, call: &ast::Call, outer: Option<&Scope>) -> Result<Source> {
        let [table, range, keys, rest @ ..] = call.args.as_slice() else {
            return Err(SqlError::analysis(
                "No matching signature for RANGE_SESSIONIZE\n  Signature: RANGE_SESSIONIZE(TABLE, STRING, ARRAY<STRING>, \
                 [STRING])",
            )
            .at(call.pos));
        };
        let A::String(range) = &range.kind else {
            let text = "The range column of RANGE_SESSIONIZE must be named by a string literal";
            return Err(SqlError::analysis(text).at(range.pos));
        };
        let mut partition: Vec<&str> = Vec::new();
        match &keys.kind {
            A::Array { items, .. } => {
                for item in items {
                    let A::String(name) = &item.kind else {
                        let text = "Partitioning columns of RANGE_SESSIONIZE must be named by string literals";
                        return Err(SqlError::analysis(text).at(item.pos));
                    };
                    partition.push(name);
                }
            }
            _ => {
                let text = "Partitioning columns of RANGE_SESSIONIZE must be an array of string literals";
                return Err(SqlError::analysis(text).at(keys.pos));
            }
        }
        let touching = match rest {
            [] => true,
            [mode] => match &mode.kind {
                A::String(mode) if mode.eq_ignore_ascii_case("MEETS") => true,
                A::String(mode) if mode.eq_ignore_ascii_case("OVERLAPS") => false,
                A::String(text) => {
                    let text = super::expr::quote(text);
                    let text = format!("Could not cast literal {text} to type RANGE_SESSIONIZE_MODE");
                    return Err(SqlError::analysis(text).at(mode.pos));
                }
                _ => {
                    let text = "The mode of RANGE_SESSIONIZE must be a string literal";
                    return Err(SqlError::analysis(text).at(mode.pos));
                }
            },
            [.., last] => {
                return Err(SqlError::analysis("RANGE_SESSIONIZE takes at most 4 arguments").at(last.pos));
            }
        };
        let input = self.table_argument(table, outer)?;
        self.check_columns(&input, range, &partition, call)?;
        let sql = session_query(range, &partition, touching);
        let query =
            self.over_tables("RANGE_SESSIONIZE", &sql, vec![("$input".to_owned(), input)], Vec::new(), call.pos)?;
        let names = super::query::names_of(&query.columns, false);
        Ok((query.rel, names))
    }

    fn check_columns(&self, input: &Query, range: &str, partition: &[&str], call: &ast::Call) -> Result<()> {
        let column = |name: &str| {
            input.columns.iter().find(|out| out.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))
        };
        match column(range).map(|out| &out.ty) {
            Some(Type::Range(_)) => {}
            Some(ty) => {
                let text = format!("Column {range} of RANGE_SESSIONIZE must be a RANGE but has type {ty}");
                return Err(SqlError::analysis(text).at(call.pos));
            }
            None => {
                let text = format!("Column {range} not found in the input table of RANGE_SESSIONIZE");
                return Err(SqlError::analysis(text).at(call.pos));
            }
        }
        match partition.iter().find(|name| column(name).is_none()) {
            Some(missing) => {
                let text = format!("Column {missing} not found in the input table of RANGE_SESSIONIZE");
                Err(SqlError::analysis(text).at(call.pos))
            }
            None => Ok(()),
        }
    }
}

pub(super) fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A range without an end before a row (a NULL range counts as one) takes the row into its session.
fn session_query(range: &str, partition: &[&str], touching: bool) -> String {
    let range = backticked(range);
    let keys: Vec<String> = partition.iter().map(|name| backticked(name)).collect();
    let by = if keys.is_empty() { String::new() } else { format!("PARTITION BY {} ", keys.join(", ")) };
    let session_by = if keys.is_empty() {
        "PARTITION BY `$session`".to_owned()
    } else {
        format!("PARTITION BY {}, `$session`", keys.join(", "))
    };
    let apart = if touching { ">" } else { ">=" };
    let order = format!("ORDER BY RANGE_START({range}), RANGE_END({range})");
    let before = "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING";
    format!(
        "SELECT * EXCEPT (`$open`, `$last`, `$session`), \
         IF({range} IS NULL, NULL, RANGE( \
           IF(COUNTIF({range} IS NOT NULL AND RANGE_START({range}) IS NULL) OVER ({session_by}) > 0, NULL, \
              MIN(RANGE_START({range})) OVER ({session_by})), \
           IF(COUNTIF({range} IS NOT NULL AND RANGE_END({range}) IS NULL) OVER ({session_by}) > 0, NULL, \
              MAX(RANGE_END({range})) OVER ({session_by})))) AS session_range \
         FROM (SELECT *, COUNTIF(`$open` = 0 AND RANGE_START({range}) {apart} `$last`) \
                 OVER ({by}{order} ROWS UNBOUNDED PRECEDING) AS `$session` \
               FROM (SELECT *, COUNTIF(RANGE_END({range}) IS NULL) OVER ({by}{order} {before}) AS `$open`, \
                       MAX(RANGE_END({range})) OVER ({by}{order} {before}) AS `$last` \
                     FROM `$input`))"
    )
}
