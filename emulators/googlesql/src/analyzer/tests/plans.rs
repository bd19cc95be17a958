//! What plans look like inside: only what is read is scanned, filters stand at their tables, subqueries know their
//! outer columns.

use std::collections::HashMap;

use crate::analyzer::analyze;
use crate::catalog::Parameters;
use crate::plan::{AnalyzerContext, ExprKind, Plan, Rel};
use crate::testing::{MemoryCatalog, MemoryTable, eval_context};
use crate::types::Type;

fn rel_of(sql: &str) -> Rel {
    let columns = [("a", Type::Int64), ("b", Type::String), ("c", Type::Float64)];
    let catalog = MemoryCatalog::default().with(MemoryTable::new("t", &columns, Vec::new())).with(MemoryTable::new(
        "u",
        &columns,
        Vec::new(),
    ));
    let (parameters, variables, eval) = (Parameters::default(), HashMap::new(), eval_context());
    let context = AnalyzerContext {
        catalog: &catalog,
        parameters: &parameters,
        variables: &variables,
        eval: &eval,
        cancel: None,
    };
    let statement = crate::parser::parse_statement(sql).expect("parses");
    match analyze(&statement, &context).expect("resolves") {
        Plan::Query(query) => query.rel,
        _ => panic!("no query"),
    }
}

fn scans(rel: &Rel, out: &mut Vec<(String, Vec<usize>)>) {
    if let Rel::Scan { table, columns, .. } = rel {
        out.push((table.path().table.clone(), columns.iter().map(|(_, at)| *at).collect()));
    }
    crate::analyzer::visit::inputs(rel, &mut |input| scans(input, out));
}

fn scanned(sql: &str) -> Vec<(String, Vec<usize>)> {
    let mut out = Vec::new();
    scans(&rel_of(sql), &mut out);
    out
}

#[test]
fn only_what_is_read_is_scanned() {
    assert_eq!(scanned("SELECT b FROM t"), [("t".to_owned(), vec![1])]);
    assert_eq!(scanned("SELECT b FROM t WHERE c > 1"), [("t".to_owned(), vec![1, 2])]);
    assert_eq!(scanned("SELECT x FROM (SELECT a + 1 AS x, c FROM t)"), [("t".to_owned(), vec![0])]);
    assert_eq!(
        scanned("SELECT a FROM (SELECT * FROM t UNION ALL SELECT * FROM u)"),
        [("t".to_owned(), vec![0]), ("u".to_owned(), vec![0])]
    );
    assert_eq!(scanned("WITH w AS (SELECT * FROM t) SELECT w.c FROM w"), [("t".to_owned(), vec![2])]);
    assert_eq!(scanned("SELECT 1 FROM t"), [("t".to_owned(), vec![])]);
}

#[test]
fn joins_see_their_conditions() {
    let rel = rel_of("SELECT t.b FROM t, u WHERE t.a = u.a AND t.c > 1 AND u.b = 'x'");
    let mut join = &rel;
    while let Rel::Compute { input, .. } | Rel::Filter { input, .. } | Rel::Project { input, .. } = join {
        join = input;
    }
    let Rel::Join { kind, left, right, on, .. } = join else { panic!("no join in {rel:?}") };
    assert_eq!(*kind, crate::plan::JoinKind::Inner);
    assert!(on.is_some());
    assert!(matches!(**left, Rel::Filter { .. }), "{left:?}");
    assert!(matches!(**right, Rel::Filter { .. }), "{right:?}");
}

#[test]
fn an_outer_join_keeps_its_rows() {
    // The condition on the right side decides what matches, not what stays.
    let rel = rel_of("SELECT t.b FROM t LEFT JOIN u ON t.a = u.a AND u.b = 'x' AND t.c > 1");
    let Rel::Join { left, right, on: Some(on), .. } = &rel else { panic!("no join in {rel:?}") };
    assert!(matches!(**left, Rel::Scan { .. }), "{left:?}");
    assert!(matches!(**right, Rel::Filter { .. }), "{right:?}");
    assert!(matches!(&on.kind, ExprKind::And(items) if items.len() == 2), "{on:?}");
}

#[test]
fn subqueries_list_their_outer_columns() {
    let rel = rel_of("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND u.b = t.b)");
    let Rel::Filter { predicate, .. } = &rel else { panic!("no filter in {rel:?}") };
    let ExprKind::Subquery { correlated, .. } = &predicate.kind else { panic!("no subquery in {predicate:?}") };
    assert_eq!(correlated.len(), 2);
    let rel = rel_of("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = 1)");
    let Rel::Filter { predicate, .. } = &rel else { panic!("no filter in {rel:?}") };
    let ExprKind::Subquery { correlated, .. } = &predicate.kind else { panic!("no subquery in {predicate:?}") };
    assert!(correlated.is_empty());
}

#[test]
fn eight_hundred_tables_resolve() {
    let union = (0..800).map(|_| "SELECT a, b, c FROM t").collect::<Vec<_>>().join(" UNION ALL ");
    let rel = rel_of(&format!("SELECT b FROM ({union})"));
    let mut out = Vec::new();
    scans(&rel, &mut out);
    assert_eq!(out.len(), 800);
    assert!(out.iter().all(|(_, columns)| columns == &[1]));
}
