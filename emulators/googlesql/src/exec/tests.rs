//! Plans built by hand: operators whose edges SQL text does not reach easily.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::catalog::{Outcome, Table};
use crate::error::ErrorKind;
use crate::functions;
use crate::plan::*;
use crate::testing::{MemoryTable, eval_context};
use crate::types::Type;

fn id(n: u32) -> ColumnId {
    ColumnId(n)
}

fn col(n: u32, ty: Type) -> Expr {
    Expr { kind: ExprKind::Column(id(n)), ty, pos: 0 }
}

fn int(n: u32) -> Expr {
    col(n, Type::Int64)
}

fn lit(value: i64) -> Expr {
    Expr { kind: ExprKind::Literal(Value::Int64(value)), ty: Type::Int64, pos: 0 }
}

fn call(name: &str, args: Vec<Expr>, ty: Type) -> Expr {
    let function = functions::scalar(name).unwrap_or_else(|| panic!("no function {name}"));
    Expr { kind: ExprKind::Call { function, args, safe: false }, ty, pos: 0 }
}

fn test(name: &str, a: Expr, b: Expr) -> Expr {
    call(name, vec![a, b], Type::Bool)
}

fn ints(values: &[Option<i64>]) -> Vec<Vec<Value>> {
    values.iter().map(|value| vec![value.map_or(Value::Null, Value::Int64)]).collect()
}

/// A relation of literal rows; columns are numbered from `first`.
fn values(first: u32, types: &[Type], rows: &[Vec<Value>]) -> Rel {
    let literal =
        |(value, ty): (&Value, &Type)| Expr { kind: ExprKind::Literal(value.clone()), ty: ty.clone(), pos: 0 };
    Rel::Values {
        columns: (0..types.len() as u32).map(|at| id(first + at)).collect(),
        types: types.to_vec(),
        rows: rows.iter().map(|row| row.iter().zip(types).map(literal).collect()).collect(),
    }
}

fn query(rel: Rel, columns: &[(u32, Type)]) -> Plan {
    let columns = columns.iter().map(|(n, ty)| OutputColumn { name: None, id: id(*n), ty: ty.clone() }).collect();
    Plan::Query(Query { rel, columns, value_table: false })
}

fn rows_with(plan: &Plan, ctx: &ExecContext) -> Result<Vec<String>> {
    match execute(plan, ctx)? {
        Outcome::Query(result) => Ok(result.batches.iter().flat_map(Batch::rows).map(|row| shown(&row)).collect()),
        _ => panic!("no query"),
    }
}

fn shown(row: &[Value]) -> String {
    let one = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Int64(value) => value.to_string(),
        Value::String(text) => text.to_string(),
        other => format!("{other:?}"),
    };
    row.iter().map(one).collect::<Vec<_>>().join(",")
}

fn rows(plan: &Plan) -> Vec<String> {
    rows_with(plan, &ExecContext::new(eval_context())).expect("runs")
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Option<Expr>) -> Rel {
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral: false }
}

#[test]
fn anonymous_columns_are_numbered_by_themselves() {
    let columns = ["", "a", ""].map(|name| OutputColumn {
        name: (!name.is_empty()).then(|| name.to_owned()),
        id: id(0),
        ty: Type::Int64,
    });
    let rel = values(0, &[Type::Int64], &ints(&[Some(1)]));
    let plan = Plan::Query(Query { rel, columns: columns.to_vec(), value_table: false });
    let Ok(Outcome::Query(result)) = execute(&plan, &ExecContext::new(eval_context())) else { panic!("no result") };
    let names: Vec<&str> = result.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["f0_", "a", "f1_"]);
}

#[test]
fn branches_not_taken_are_not_evaluated() {
    // IF(x = 0, -1, 10 / x) over 0, 5, NULL.
    let divide = call("$divide", vec![lit(10), int(0)], Type::Float64);
    let divide = Expr {
        kind: ExprKind::Case {
            branches: vec![(test("$equal", int(0), lit(0)), lit(-1))],
            otherwise: Some(Box::new(divide)),
        },
        ty: Type::Float64,
        pos: 0,
    };
    let input = values(0, &[Type::Int64], &ints(&[Some(0), None]));
    let rel = Rel::Compute { input: Box::new(input), columns: vec![(id(1), divide)] };
    assert_eq!(rows(&query(rel, &[(1, Type::Float64)])), ["-1", "NULL"]);
}

#[test]
fn null_keys_never_match() {
    let left = || values(0, &[Type::Int64], &ints(&[Some(1), None, Some(2)]));
    let right = || values(1, &[Type::Int64], &ints(&[None, Some(2), Some(2), Some(3)]));
    let columns = [(0, Type::Int64), (1, Type::Int64)];
    let on = || Some(test("$equal", int(0), int(1)));
    let run = |kind| rows(&query(join(kind, left(), right(), on()), &columns));
    assert_eq!(run(JoinKind::Inner), ["2,2", "2,2"]);
    assert_eq!(run(JoinKind::Left), ["1,NULL", "NULL,NULL", "2,2", "2,2"]);
    assert_eq!(run(JoinKind::Right), ["2,2", "2,2", "NULL,NULL", "NULL,3"]);
    assert_eq!(run(JoinKind::Full), ["1,NULL", "NULL,NULL", "2,2", "2,2", "NULL,NULL", "NULL,3"]);
}

#[test]
fn memory_and_cancellation_end_a_statement() {
    let many = || values(0, &[Type::Int64], &ints(&(0..300).map(Some).collect::<Vec<_>>()));
    let shifted = |by: u32| {
        let Rel::Values { types, rows, .. } = many() else { unreachable!() };
        Rel::Values { columns: vec![id(by)], types, rows }
    };
    let cross = join(JoinKind::Cross, many(), join(JoinKind::Cross, shifted(1), shifted(2), None), None);
    let plan = query(cross, &[(0, Type::Int64), (1, Type::Int64), (2, Type::Int64)]);
    let mut ctx = ExecContext::new(eval_context());
    ctx.memory_limit = 10 << 20;
    let error = rows_with(&plan, &ctx).expect_err("too much");
    assert_eq!(error.kind, ErrorKind::ResourcesExceeded);
    assert!(error.message.starts_with("Resources exceeded during query execution: "), "{error}");

    ctx.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rows_with(&plan, &ctx).expect_err("cancelled").kind, ErrorKind::Cancelled);

    let mut ctx = ExecContext::new(eval_context());
    ctx.step_limit = Some(1000);
    assert_eq!(rows_with(&plan, &ctx).expect_err("too long").kind, ErrorKind::ResourcesExceeded);
}

#[test]
fn deep_plans_do_not_overflow_the_stack() {
    let mut rel = values(0, &[Type::Int64], &ints(&[Some(0)]));
    for level in 0..2000 {
        let add = call("$add", vec![int(level), lit(1)], Type::Int64);
        let keep = test("$greater", int(level + 1), lit(-1));
        let compute = Rel::Compute { input: Box::new(rel), columns: vec![(id(level + 1), add)] };
        // A sort keeps the levels apart, so that each is an operator of its own.
        let keys = vec![SortKey { expr: int(level + 1), descending: false, nulls_first: true }];
        rel = Rel::Filter { input: Box::new(Rel::Sort { input: Box::new(compute), keys }), predicate: keep };
    }
    assert_eq!(rows(&query(rel, &[(2000, Type::Int64)])), ["2000"]);
}

#[test]
fn unions_of_many_inputs_stay_flat() {
    let input = |n: u32| (values(n, &[Type::Int64], &ints(&[Some(i64::from(n))])), vec![id(n)]);
    let rel = Rel::SetOperation {
        kind: SetKind::Union,
        all: true,
        inputs: (0..800).map(input).collect(),
        columns: vec![id(1000)],
        types: vec![Type::Int64],
    };
    let rows = rows(&query(rel, &[(1000, Type::Int64)]));
    assert_eq!((rows.len(), rows[799].as_str()), (800, "799"));
}

#[test]
fn set_operations_count_rows() {
    let run = |kind, all| {
        let a = values(0, &[Type::Int64], &ints(&[Some(1), Some(1), Some(1), None, None, Some(2)]));
        let b = values(1, &[Type::Int64], &ints(&[Some(1), None, Some(3), Some(1)]));
        let inputs = vec![(a, vec![id(0)]), (b, vec![id(1)])];
        let rel = Rel::SetOperation { kind, all, inputs, columns: vec![id(2)], types: vec![Type::Int64] };
        rows(&query(rel, &[(2, Type::Int64)]))
    };
    assert_eq!(run(SetKind::Intersect, true), ["1", "1", "NULL"]);
    assert_eq!(run(SetKind::Intersect, false), ["1", "NULL"]);
    assert_eq!(run(SetKind::Except, true), ["1", "NULL", "2"]);
    assert_eq!(run(SetKind::Except, false), ["2"]);
    assert_eq!(run(SetKind::Union, false), ["1", "NULL", "2", "3"]);
}

/// 1, 2, 3 … while below `limit`.
fn counting(limit: i64) -> Plan {
    let step = Rel::Compute {
        input: Box::new(Rel::Filter {
            input: Box::new(Rel::CteRef { cte: 7, columns: vec![id(2)], types: vec![Type::Int64] }),
            predicate: test("$less", int(2), lit(limit)),
        }),
        columns: vec![(id(3), call("$add", vec![int(2), lit(1)], Type::Int64))],
    };
    let kind = CteKind::Recursive {
        anchor: values(1, &[Type::Int64], &ints(&[Some(1)])),
        step,
        step_columns: vec![id(3)],
        distinct: false,
    };
    let cte = Cte { id: 7, name: "n".into(), kind, columns: vec![id(1)], types: vec![Type::Int64] };
    let body = Rel::CteRef { cte: 7, columns: vec![id(4)], types: vec![Type::Int64] };
    query(Rel::With { ctes: vec![cte], body: Box::new(body) }, &[(4, Type::Int64)])
}

#[test]
fn recursion_ends_or_is_ended() {
    assert_eq!(rows(&counting(4)), ["1", "2", "3", "4"]);
    let error = rows_with(&counting(i64::MAX), &ExecContext::new(eval_context())).expect_err("endless");
    assert_eq!(error.message, "A recursive CTE has reached the maximum number of iterations: 500");
}

#[test]
fn a_scalar_subquery_gives_one_row() {
    let run = |inner: &[Option<i64>]| {
        let kind = ExprKind::Subquery {
            kind: SubqueryKind::Scalar,
            rel: Box::new(values(5, &[Type::Int64], &ints(inner))),
            column: id(5),
            correlated: Vec::new(),
        };
        let expr = Expr { kind, ty: Type::Int64, pos: 0 };
        eval_constant(&expr, &eval_context()).map(|value| shown(&[value]))
    };
    assert_eq!(run(&[Some(3)]).expect("one"), "3");
    assert_eq!(run(&[]).expect("none"), "NULL");
    assert_eq!(
        run(&[Some(1), Some(1)]).expect_err("two").to_string(),
        "Scalar subquery produced more than one element"
    );
}

#[test]
fn a_correlated_subquery_sees_each_row() {
    // x IN (values greater than x), over 1, 9, NULL: never, but NULL where nothing can be said.
    let inner = Rel::Filter {
        input: Box::new(values(5, &[Type::Int64], &ints(&[Some(1), Some(9)]))),
        predicate: test("$greater_or_equal", int(5), int(0)),
    };
    let kind = ExprKind::Subquery {
        kind: SubqueryKind::In { expr: Box::new(int(0)), negated: false },
        rel: Box::new(inner),
        column: id(5),
        correlated: vec![id(0)],
    };
    let member = Expr { kind, ty: Type::Bool, pos: 0 };
    let input = values(0, &[Type::Int64], &ints(&[Some(1), Some(4), None]));
    let rel = Rel::Compute { input: Box::new(input), columns: vec![(id(1), member)] };
    assert_eq!(rows(&query(rel, &[(1, Type::Bool)])), ["Bool(true)", "Bool(false)", "Bool(false)"]);
}

fn target() -> MemoryTable {
    let rows = (1..=3).map(|n| vec![Value::Int64(n), Value::string(format!("old {n}"))]).collect();
    MemoryTable::new("t", &[("k", Type::Int64), ("v", Type::String)], rows)
}

/// MERGE of keys and values into `target`, joined by key unless `on` says otherwise.
fn merge(
    table: &MemoryTable,
    source: &[(i64, &str)],
    on: Option<Expr>,
    clauses: Vec<MergeClause>,
) -> Result<Vec<String>> {
    let shared: Arc<dyn Table> = Arc::new(table.clone());
    let rows: Vec<Vec<Value>> = source.iter().map(|(k, v)| vec![Value::Int64(*k), Value::string(v)]).collect();
    let plan = Plan::Merge(Merge {
        table: shared.clone(),
        target: Rel::Scan { table: shared, columns: vec![(id(0), 0), (id(1), 1)], row_id: Some(id(2)) },
        row_id: id(2),
        columns: vec![id(0), id(1)],
        source: values(10, &[Type::Int64, Type::String], &rows),
        on: on.unwrap_or_else(|| test("$equal", int(0), int(10))),
        clauses,
    });
    let Outcome::Dml(change) = execute(&plan, &ExecContext::new(eval_context()))? else { panic!("no change") };
    let mut out: Vec<String> =
        table.apply(&change).batches.iter().flat_map(Batch::rows).map(|row| shown(&row)).collect();
    out.sort();
    out.push(format!("{}/{}/{}", change.stats.inserted, change.stats.updated, change.stats.deleted));
    Ok(out)
}

fn clause(when: MergeWhen, condition: Option<Expr>, action: MergeAction) -> MergeClause {
    MergeClause { when, condition, action }
}

fn set_value() -> MergeAction {
    MergeAction::Update(vec![Assignment { column: 1, value: col(11, Type::String) }])
}

fn insert_row() -> MergeAction {
    MergeAction::Insert(vec![int(10), col(11, Type::String)])
}

#[test]
fn merge_takes_the_first_clause_that_applies() {
    let clauses = || {
        vec![
            clause(MergeWhen::Matched, Some(test("$equal", int(0), lit(2))), MergeAction::Delete),
            clause(MergeWhen::Matched, None, set_value()),
            clause(MergeWhen::NotMatchedByTarget, None, insert_row()),
        ]
    };
    assert_eq!(
        merge(&target(), &[(2, "two"), (3, "three"), (4, "four")], None, clauses()).expect("runs"),
        ["1,old 1", "3,three", "4,four", "1/1/1"]
    );
    let error = merge(&target(), &[(3, "a"), (3, "b")], None, clauses()).expect_err("twice");
    assert_eq!(error.message, "UPDATE/MERGE must match at most one source row for each target row");
}

#[test]
fn merge_reaches_rows_that_the_source_lacks() {
    let by_source = |action| vec![clause(MergeWhen::NotMatchedBySource, None, action)];
    assert_eq!(
        merge(&target(), &[(2, "x")], None, by_source(MergeAction::Delete)).expect("runs"),
        ["2,old 2", "0/0/2"]
    );
    let never = Expr { kind: ExprKind::Literal(Value::Bool(false)), ty: Type::Bool, pos: 0 };
    let mut clauses = by_source(MergeAction::Delete);
    clauses.push(clause(MergeWhen::NotMatchedByTarget, None, insert_row()));
    assert_eq!(merge(&target(), &[(2, "x")], Some(never), clauses).expect("runs"), ["2,x", "1/0/3"]);
}

#[test]
fn required_fields_and_type_parameters_hold_on_store() {
    let mut table = target();
    table.schema.columns[1].params.max_length = Some(2);
    let inserting = || vec![clause(MergeWhen::NotMatchedByTarget, None, insert_row())];
    let error = merge(&table, &[(9, "abc")], None, inserting()).expect_err("too long");
    assert_eq!(error.message, "Field v: STRING(2) has maximum length 2 but got a value with length 3");
    table.schema.columns[0].mode = crate::catalog::Mode::Required;
    let null = Expr { kind: ExprKind::Literal(Value::Null), ty: Type::Int64, pos: 0 };
    let action = MergeAction::Insert(vec![null, col(11, Type::String)]);
    let error = merge(&table, &[(9, "ab")], None, vec![clause(MergeWhen::NotMatchedByTarget, None, action)]);
    assert_eq!(error.expect_err("missing").message, "Required field k cannot be null");
}

fn maybe_int() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 6 => (-3i64..4).prop_map(Some)]
}

proptest! {
    /// A hash join is the nested loop over the same condition.
    #[test]
    fn hash_joins_agree_with_nested_loops(
        left in prop::collection::vec(maybe_int(), 0..8),
        right in prop::collection::vec(maybe_int(), 0..8),
        kind in prop::sample::select(vec![JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full]),
    ) {
        let sides = || (values(0, &[Type::Int64], &ints(&left)), values(1, &[Type::Int64], &ints(&right)));
        let equal = || test("$equal", int(0), int(1));
        // NOT(NOT(a = b)) is the same condition, but no pair of keys.
        let hidden = call("$not", vec![call("$not", vec![equal()], Type::Bool)], Type::Bool);
        let run = |on| {
            let (left, right) = sides();
            let mut out = rows(&query(join(kind, left, right, Some(on)), &[(0, Type::Int64), (1, Type::Int64)]));
            out.sort();
            out
        };
        prop_assert_eq!(run(equal()), run(hidden));
    }

    /// The first rows of a sort are the sort's first rows.
    #[test]
    fn limited_sorts_agree_with_full_ones(input in prop::collection::vec((maybe_int(), maybe_int()), 0..40), limit in 0i64..10) {
        let pairs: Vec<Vec<Value>> = input
            .iter()
            .enumerate()
            .map(|(n, (a, b))| {
                let value = |v: &Option<i64>| v.map_or(Value::Null, Value::Int64);
                vec![value(a), value(b), Value::Int64(n as i64)]
            })
            .collect();
        let types = [Type::Int64, Type::Int64, Type::Int64];
        let columns: Vec<(u32, Type)> = (0..3).map(|n| (n, Type::Int64)).collect();
        let sorted = || Rel::Sort {
            input: Box::new(values(0, &types, &pairs)),
            keys: vec![
                SortKey { expr: int(0), descending: true, nulls_first: false },
                SortKey { expr: int(1), descending: false, nulls_first: false },
            ],
        };
        let all = rows(&query(sorted(), &columns));
        let limited = Rel::Limit { input: Box::new(sorted()), limit: Some(lit(limit)), offset: Some(lit(1)) };
        let expected: Vec<String> = all.into_iter().skip(1).take(limit as usize).collect();
        prop_assert_eq!(rows(&query(limited, &columns)), expected);
    }
}
