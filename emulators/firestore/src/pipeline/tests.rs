//! Functions by the examples of their documentation, and what may not bring the evaluator down.

use std::sync::Arc;

use proptest::prelude::*;
use scrimmage_core::{Rng, Timestamp};

use super::eval::{Evaluated, Run, Scope, Variables, evaluate};
use super::sources::Snapshot;
use super::stages::Row;
use super::{Expression, functions};
use crate::path::{DatabaseName, FieldPath};
use crate::value::Value;

fn constant(value: Value) -> Expression {
    Expression::Constant(value)
}

fn absent() -> Expression {
    Expression::Field(FieldPath::single("absent"))
}

fn call(name: &str, arguments: Vec<Expression>) -> Evaluated {
    let database = DatabaseName::parse("projects/p/databases/d").unwrap();
    let snapshot = Snapshot::default();
    let mut run =
        Run { database: &database, now: Timestamp::EPOCH, snapshot: &snapshot, rng: Rng::seeded(1), steps: 0 };
    let (row, variables) = (Row::default(), Variables::new());
    let expression = Expression::Function { name: Arc::from(name), arguments };
    evaluate(&mut run, Scope { row: &row, variables: &variables }, &expression)
}

fn of(name: &str, values: &[Value]) -> Evaluated {
    call(name, values.iter().cloned().map(constant).collect())
}

fn text(text: &str) -> Value {
    Value::string(text)
}

#[test]
fn equality_knows_null_and_absence_and_an_order_is_within_a_type() {
    let yes = Ok(Some(Value::Bool(true)));
    let no = Ok(Some(Value::Bool(false)));
    let nan = Value::Double(f64::NAN);
    assert_eq!(of("equal", &[Value::Double(1.0), Value::Int(1)]), yes);
    assert_eq!(of("equal", &[nan.clone(), nan.clone()]), yes);
    assert_eq!(of("equal", &[Value::Null, Value::Null]), yes);
    assert_eq!(call("equal", vec![constant(Value::Null), absent()]), no);
    assert_eq!(of("greater_than", &[text("a"), Value::Int(1)]), no);
    assert_eq!(of("less_than", &[nan, Value::Int(1)]), no);
    assert_eq!(of("less_than_or_equal", &[Value::Int(1), Value::Double(1.0)]), yes);
}

#[test]
fn connectives_have_three_values_and_decide_as_soon_as_they_can() {
    let (yes, no) = (constant(Value::Bool(true)), constant(Value::Bool(false)));
    let null = constant(Value::Null);
    let failing = || Expression::Function {
        name: Arc::from("divide"),
        arguments: vec![constant(Value::Int(1)), constant(Value::Int(0))],
    };
    assert_eq!(call("and", vec![null.clone(), yes.clone()]), Ok(Some(Value::Null)));
    assert_eq!(call("and", vec![absent(), no.clone()]), Ok(Some(Value::Bool(false))));
    assert_eq!(call("or", vec![null.clone(), yes.clone()]), Ok(Some(Value::Bool(true))));
    assert_eq!(call("or", vec![null.clone(), no.clone()]), Ok(Some(Value::Null)));
    assert_eq!(call("xor", vec![yes.clone(), null]), Ok(Some(Value::Null)));
    assert_eq!(call("and", vec![failing(), no.clone()]), Ok(Some(Value::Bool(false))));
    assert!(call("and", vec![failing(), yes]).is_err());
    assert_eq!(call("is_error", vec![failing()]), Ok(Some(Value::Bool(true))));
    assert_eq!(call("if_error", vec![failing(), no]), Ok(Some(Value::Bool(false))));
}

#[test]
fn integers_overflow_loudly() {
    for (name, values) in [
        ("add", [i64::MAX, 1]),
        ("subtract", [i64::MIN, 1]),
        ("multiply", [i64::MAX, 2]),
        ("divide", [i64::MIN, -1]),
        ("divide", [1, 0]),
        ("mod", [1, 0]),
    ] {
        assert!(of(name, &values.map(Value::Int)).is_err(), "{name} {values:?}");
    }
    assert!(of("abs", &[Value::Int(i64::MIN)]).is_err());
    assert_eq!(of("divide", &[Value::Int(-7), Value::Int(2)]), Ok(Some(Value::Int(-3))));
    assert_eq!(of("round", &[Value::Int(1250), Value::Int(-2)]), Ok(Some(Value::Int(1300))));
    assert_eq!(of("round", &[Value::Double(15.5)]), Ok(Some(Value::Double(16.0))));
}

#[test]
fn what_is_null_or_absent_gives_null() {
    assert_eq!(of("to_upper", &[Value::Null]), Ok(Some(Value::Null)));
    assert_eq!(call("add", vec![absent(), constant(Value::Int(1))]), Ok(Some(Value::Null)));
    assert_eq!(call("array_length", vec![absent()]), Ok(Some(Value::Null)));
}

#[test]
fn results_are_bounded() {
    assert!(of("string_repeat", &[text("x"), Value::Int(i64::MAX)]).is_err());
    assert!(of("string_replace_all", &[text(&"a".repeat(10_000)), text("a"), text(&"b".repeat(10_000))]).is_err());
    assert!(of("regex_match", &[text("a"), text("(((a{100}){100}){100}")]).is_err());
}

const NAMES: [&str; 116] = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "mod",
    "abs",
    "ceil",
    "floor",
    "round",
    "trunc",
    "pow",
    "sqrt",
    "exp",
    "ln",
    "log",
    "log10",
    "sum",
    "equal",
    "not_equal",
    "less_than",
    "less_than_or_equal",
    "greater_than",
    "greater_than_or_equal",
    "between",
    "cmp",
    "equal_any",
    "not_equal_any",
    "array_contains",
    "array_contains_all",
    "array_contains_any",
    "maximum",
    "minimum",
    "type",
    "is_type",
    "storage_size",
    "and",
    "or",
    "xor",
    "nor",
    "not",
    "conditional",
    "switch_on",
    "exists",
    "is_absent",
    "if_absent",
    "is_error",
    "if_error",
    "if_null",
    "coalesce",
    "array",
    "array_filter",
    "array_transform",
    "offset",
    "array_length",
    "array_reverse",
    "array_concat",
    "array_get",
    "array_first",
    "array_last",
    "array_first_n",
    "array_last_n",
    "array_slice",
    "array_index_of",
    "array_index_of_all",
    "maximum_n",
    "minimum_n",
    "join",
    "map",
    "map_set",
    "map_get",
    "get_field",
    "map_remove",
    "map_merge",
    "map_keys",
    "map_values",
    "map_entries",
    "char_length",
    "byte_length",
    "like",
    "regex_contains",
    "regex_match",
    "regex_find",
    "regex_find_all",
    "string_contains",
    "starts_with",
    "ends_with",
    "string_concat",
    "to_lower",
    "to_upper",
    "trim",
    "ltrim",
    "rtrim",
    "string_reverse",
    "substring",
    "split",
    "string_repeat",
    "string_replace_all",
    "string_replace_one",
    "string_index_of",
    "timestamp_to_unix_micros",
    "unix_micros_to_timestamp",
    "unix_seconds_to_timestamp",
    "timestamp_add",
    "timestamp_subtract",
    "timestamp_diff",
    "timestamp_trunc",
    "timestamp_extract",
    "euclidean_distance",
    "cosine_distance",
    "dot_product",
    "vector_length",
    "concat",
    "length",
    "reverse",
    "document_id",
    "parent",
];

#[test]
fn the_names_are_known() {
    for name in NAMES {
        assert!(functions::is_known(name), "{name}");
    }
    assert!(!functions::is_known("no_such_function"));
}

fn value() -> impl Strategy<Value = Value> {
    let words = [
        "",
        "a",
        "Straße",
        "%_\\",
        "(a+)+$",
        "day",
        "week(monday)",
        "isoyear",
        "America/New_York",
        "+05:30",
        "first",
        "number",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![Just(i64::MIN), Just(i64::MAX), -3..30_i64, any::<i64>()].prop_map(Value::Int),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), any::<f64>(), -3.0..3.0_f64].prop_map(Value::Double),
        any::<i64>().prop_map(|micros| Value::Timestamp(Timestamp::from_micros(micros))),
        prop::sample::select(words.to_vec()).prop_map(Value::string),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| Value::Bytes(Arc::from(bytes))),
        Just(Value::Reference(Arc::from("projects/p/databases/d/documents/a/b/c/d"))),
        Just(Value::Geo { latitude: 1.0, longitude: 2.0 }),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::array),
            prop::collection::vec((prop::sample::select(vec!["a", "b", "k"]), inner), 0..3).prop_map(|entries| {
                Value::map(entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any function with any arguments gives a value or an error.
    #[test]
    fn no_arguments_bring_a_function_down(name in prop::sample::select(NAMES.to_vec()), values in prop::collection::vec(value(), 0..5)) {
        let _ = of(name, &values);
    }
}
