//! Query Explain: the plan of a query, and what running it took.
//!
//! Shapes and rules are those of the "Query Explain report reference".

use std::collections::BTreeSet;
use std::time::Duration;

use prost_types::value::Kind as JsonKind;
use prost_types::{Struct, Value as Json};
use scrimmage_protos::google::firestore::v1 as pb;

use crate::engine::index::catalogue::{Composite, Kind, QueryScope};
use crate::engine::index::required::{Missing, Verdict};
use crate::engine::query::{Filter, Query};

/// Index entries that are billed as one read operation.
const ENTRIES_A_READ: i64 = 1_000;

/// What running a query took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub results: usize,
    pub documents: usize,
    pub entries: usize,
    pub duration: Duration,
    /// Index entries are billed: for aggregations, and for ranges over several fields.
    pub bill_entries: bool,
}

/// The metrics of a query: its plan, and what it took where it was run.
pub fn metrics(query: &Query, verdict: &Verdict, run: Option<Run>) -> pb::ExplainMetrics {
    pb::ExplainMetrics { plan_summary: Some(plan(query, verdict)), execution_stats: run.map(stats) }
}

fn plan(query: &Query, verdict: &Verdict) -> pb::PlanSummary {
    let used = verdict.used.iter().map(|used| &used.index);
    let mut lacking = Vec::new();
    for missing in &verdict.missing {
        // Where it is not enforced, the query is served as if the index were there.
        lacking.push(match missing {
            Missing::Composite(index) => index.clone(),
            Missing::Single { group, scope, path, kind } => Composite::new(group, *scope, vec![(path.clone(), *kind)]),
        });
    }
    let indexes_used = used
        .chain(&lacking)
        .map(|index| {
            let scope = match index.scope {
                QueryScope::Collection => "Collection",
                QueryScope::Group if query.scope.parent.is_empty() => "Collection Group",
                QueryScope::Group => "Includes Ancestors",
            };
            object([("query_scope", text(scope)), ("properties", text(&properties(index)))])
        })
        .collect();
    pb::PlanSummary { indexes_used }
}

fn properties(index: &Composite) -> String {
    let fields: Vec<String> = index
        .fields
        .iter()
        .map(|(path, kind)| match kind {
            Kind::Ascending => format!("{path} ASC"),
            Kind::Descending => format!("{path} DESC"),
            Kind::Contains => format!("{path} CONTAINS"),
            Kind::Vector(dimensions) => format!("{path} VECTOR<{dimensions}>"),
        })
        .collect();
    format!("({})", fields.join(", "))
}

fn stats(run: Run) -> pb::ExecutionStats {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (documents, entries) = (number(run.documents), number(run.entries));
    let billed = if run.bill_entries { entries } else { 0 };
    let reads = documents + billed.div_euclid(ENTRIES_A_READ) + i64::from(billed.rem_euclid(ENTRIES_A_READ) > 0);
    let billing = object([
        ("documents_billable", text(&documents.to_string())),
        ("index_entries_billable", text(&billed.to_string())),
        ("small_ops", text("0")),
        ("min_query_cost", text(if reads == 0 { "1" } else { "0" })),
    ]);
    let debug = object([
        ("documents_scanned", text(&documents.to_string())),
        ("index_entries_scanned", text(&entries.to_string())),
        ("billing_details", Json { kind: Some(JsonKind::StructValue(billing)) }),
    ]);
    pb::ExecutionStats {
        results_returned: number(run.results),
        execution_duration: prost_types::Duration::try_from(run.duration).ok(),
        read_operations: reads.max(1),
        debug_stats: Some(debug),
    }
}

/// Whether a query has ranges over more than one field, so that production bills index entries.
pub fn has_several_ranges(query: &Query) -> bool {
    let mut fields = BTreeSet::new();
    if let Some(filter) = &query.filter {
        filter.for_each_leaf(&mut |leaf| match leaf {
            Filter::Field(path, operator, _) if operator.is_inequality() => {
                fields.insert(path);
            }
            Filter::Unary(path, operator) if operator.is_inequality() => {
                fields.insert(path);
            }
            _ => {}
        });
    }
    fields.len() > 1
}

fn object<const N: usize>(entries: [(&str, Json); N]) -> Struct {
    Struct { fields: entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
}

fn text(text: &str) -> Json {
    Json { kind: Some(JsonKind::StringValue(text.to_owned())) }
}
