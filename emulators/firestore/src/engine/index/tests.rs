//! Through an index as by plain scan: random documents, random queries, now and in the past.

use std::sync::Arc;

use proptest::prelude::*;
use scrimmage_core::Timestamp;

use super::{Mode, key};
use crate::engine::query::normalize::Draft;
use crate::engine::query::{Cursor, Direction, Filter, Key, Operator, Order, Scope, Target, UnaryOperator, run};
use crate::engine::store::{Change, Document, Store};
use crate::path::{DocumentName, FieldPath};
use crate::value::{Fields, Value};

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2_i64..4).prop_map(Value::Int),
        prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(9_007_199_254_740_993)].prop_map(Value::Int),
        prop_oneof![
            Just(f64::NAN),
            Just(0.5),
            Just(-0.0),
            Just(1.0),
            Just(9.3e18),
            Just(f64::INFINITY),
            Just(9_223_372_036_854_775_808.0),
            Just(9_007_199_254_740_992.0),
        ]
        .prop_map(Value::Double),
        (-1_i64..2).prop_map(|at| Value::Timestamp(Timestamp::from_micros(at))),
        "[a\\x00b]{0,2}".prop_map(|text| Value::string(&text)),
        prop::collection::vec(0_u8..2, 0..3).prop_map(|bytes| Value::Bytes(Arc::from(bytes))),
        prop_oneof![Just("a/b"), Just("a/__id7__"), Just("a/__id10__"), Just("a/b/c/d"), Just("a-/b")]
            .prop_map(|path| Value::Reference(Arc::from(format!("projects/p/databases/d/documents/{path}")))),
        (-1_i8..2, -1_i8..2).prop_map(|(a, b)| Value::Geo { latitude: f64::from(a), longitude: f64::from(b) }),
    ];
    plain.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::array),
            prop::collection::vec((prop_oneof![Just("x"), Just("y\0"), Just("xy")], inner), 0..3).prop_map(|entries| {
                Value::map(entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
            }),
            prop::collection::vec((0_i8..3).prop_map(|n| Value::Double(f64::from(n))), 0..3).prop_map(|numbers| {
                let entries = [("__type__", Value::string("__vector__")), ("value", Value::array(numbers))];
                Value::map(entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
            }),
        ]
    })
}

/// Values that often meet.
fn common() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0_i64..3).prop_map(Value::Int),
        2 => prop::collection::vec((0_i64..3).prop_map(Value::Int), 0..3).prop_map(Value::array),
        1 => value(),
    ]
}

fn path(name: &str) -> FieldPath {
    FieldPath::parse(name).unwrap()
}

fn leaf() -> impl Strategy<Value = Filter> {
    let field = prop_oneof![Just("a"), Just("b"), Just("c")];
    let operator = prop_oneof![
        5 => Just(Operator::Equal),
        1 => Just(Operator::NotEqual),
        1 => Just(Operator::Less),
        1 => Just(Operator::LessOrEqual),
        1 => Just(Operator::Greater),
        1 => Just(Operator::GreaterOrEqual),
        2 => Just(Operator::ArrayContains),
    ];
    let lists = prop_oneof![Just(Operator::In), Just(Operator::ArrayContainsAny), Just(Operator::NotIn)];
    let unary = prop_oneof![
        Just(UnaryOperator::IsNull),
        Just(UnaryOperator::IsNan),
        Just(UnaryOperator::IsNotNull),
        Just(UnaryOperator::IsNotNan)
    ];
    let names = prop::collection::vec(0_u8..20, 1..3);
    let on_name =
        prop_oneof![Just(Operator::Equal), Just(Operator::Less), Just(Operator::GreaterOrEqual), Just(Operator::In)];
    prop_oneof![
        8 => (field.clone(), operator, common()).prop_map(|(field, operator, value)| {
            Filter::Field(path(field), operator, value)
        }),
        3 => (field.clone(), lists, prop::collection::vec(common(), 1..3)).prop_map(|(field, operator, values)| {
            Filter::Field(path(field), operator, Value::array(values))
        }),
        1 => (field, unary).prop_map(|(field, operator)| Filter::Unary(path(field), operator)),
        1 => (on_name, names).prop_map(|(operator, ids)| {
            Filter::Name(operator, ids.into_iter().map(|id| name(&format!("c/{id}"))).collect())
        }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            1 => prop::collection::vec(inner, 2..4).prop_map(Filter::Or),
        ]
    })
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)]
}

fn cursor() -> impl Strategy<Value = Option<(usize, Vec<Value>, u8, bool)>> {
    prop::option::of((0_usize..4, prop::collection::vec(common(), 3), 0_u8..20, any::<bool>()))
}

fn draft() -> impl Strategy<Value = Draft> {
    let orders = prop::collection::vec((prop_oneof![Just("a"), Just("b"), Just("__name__")], direction()), 0..3);
    let scope = prop_oneof![3 => Just(("", false)), 1 => Just(("", true)), 1 => Just(("c/1", true))];
    (prop::option::weighted(0.8, filter()), orders, cursor(), cursor(), 0_i32..3, prop::option::of(1_i32..6), scope)
        .prop_map(|(filter, orders, start, end, offset, limit, (parent, all_descendants))| {
            let scope = Scope { parent: Arc::from(parent), collection_id: Some(Arc::from("c")), all_descendants };
            let mut draft = Draft::new(scope);
            draft.filter = filter;
            draft.order = orders
                .into_iter()
                .map(|(field, direction)| Order {
                    target: if field == "__name__" { Target::Name } else { Target::Field(path(field)) },
                    direction,
                })
                .collect();
            let cursor = |draft: &Draft, (keys, values, id, before): (usize, Vec<Value>, u8, bool)| Cursor {
                keys: draft
                    .order
                    .iter()
                    .zip(values)
                    .take(keys)
                    .map(|(order, value)| match order.target {
                        Target::Name => Key::Name(name(&format!("c/{id}"))),
                        Target::Field(_) => Key::Value(value),
                    })
                    .collect(),
                before,
            };
            draft.start = start.map(|start| cursor(&draft, start));
            draft.end = end.map(|end| cursor(&draft, end));
            draft.offset = offset;
            draft.limit = limit;
            draft
        })
}

fn name(path: &str) -> DocumentName {
    DocumentName::parse_relative(path).unwrap()
}

/// A document's number, and its fields or its end.
type Step = (u8, Option<Vec<(&'static str, Value)>>);

fn step() -> impl Strategy<Value = Step> {
    let field = (prop_oneof![Just("a"), Just("b"), Just("c")], common());
    (0_u8..24, prop::option::weighted(0.85, prop::collection::vec(field, 0..4)))
}

fn apply(stores: &mut [&mut Store], at: i64, (id, entries): &Step) {
    // Some are in a collection further below, for groups.
    let path = if *id >= 20 { format!("c/{}/c/{id}", id % 4) } else { format!("c/{id}") };
    let time = Timestamp::from_micros(at);
    let after = entries.as_ref().map(|entries| {
        let fields: Fields = entries.iter().map(|(key, value)| (Arc::from(*key), value.clone())).collect();
        Arc::new(Document { name: name(&path), fields, create_time: time, update_time: time })
    });
    for store in stores {
        let before = store.get(&name(&path), None).cloned();
        if before.is_some() || after.is_some() {
            store.install(time, &[Change { name: name(&path), before, after: after.clone() }]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_index_answers_as_a_scan_does(
        first in prop::collection::vec(step(), 10..60),
        drafts in prop::collection::vec(draft(), 1..12),
        second in prop::collection::vec(step(), 0..30),
        ago in 0_i64..40,
        kept in 20_i64..60,
    ) {
        let (mut scanning, mut indexing) = (Store::indexing_from(usize::MAX), Store::indexing_from(0));
        let queries: Vec<_> = drafts.into_iter().filter_map(|draft| draft.normalize().ok()).collect();
        let mut now = 1_000;
        let check = |scanning: &Store, indexing: &Store, time: Option<Timestamp>| {
            for query in &queries {
                let plain = run::run(scanning, query, time);
                let quick = run::run(indexing, query, time);
                let names = |found: &run::Found| found.documents.iter().map(|found| found.name.clone()).collect::<Vec<_>>();
                prop_assert_eq!(names(&plain), names(&quick), "{:?} at {:?}", query, time);
                prop_assert_eq!(&plain.documents, &quick.documents);
                prop_assert_eq!(plain.skipped, quick.skipped);
                prop_assert_eq!(plain.last, quick.last);
                let (mut a, mut b) = (0, 0);
                run::each(scanning, query, time, &mut |_| a += 1);
                run::each(indexing, query, time, &mut |_| b += 1);
                prop_assert_eq!(a, b);
            }
            Ok(())
        };
        for step in &first {
            now += 1;
            apply(&mut [&mut scanning, &mut indexing], now, step);
        }
        check(&scanning, &indexing, None)?;
        let horizon = now - kept;
        for step in &second {
            now += 1;
            apply(&mut [&mut scanning, &mut indexing], now, step);
        }
        check(&scanning, &indexing, None)?;
        check(&scanning, &indexing, Some(Timestamp::from_micros(now - ago)))?;
        for store in [&mut scanning, &mut indexing] {
            store.prune(Timestamp::from_micros(horizon));
        }
        check(&scanning, &indexing, Some(Timestamp::from_micros((now - ago).max(horizon))))?;
    }

    #[test]
    fn bytes_order_as_values_do(a in value(), b in value()) {
        let encoded = |value: &Value, mode| {
            let mut bytes = Vec::new();
            key::push(&mut bytes, value, mode);
            bytes
        };
        let order = a.compare(&b);
        prop_assert_eq!(encoded(&a, Mode::Ascending).cmp(&encoded(&b, Mode::Ascending)), order);
        prop_assert_eq!(encoded(&a, Mode::Descending).cmp(&encoded(&b, Mode::Descending)), order.reverse());
    }
}

#[test]
fn integers_and_doubles_meet_where_they_are_equal() {
    let encoded = |value: Value| {
        let mut bytes = Vec::new();
        key::push(&mut bytes, &value, Mode::Ascending);
        bytes
    };
    for number in [0, 1, -1, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN, i64::MIN + 1, -(1 << 53) - 1] {
        for double in [number as f64, (number as f64).next_up(), (number as f64).next_down()] {
            let order = Value::Int(number).compare(&Value::Double(double));
            assert_eq!(encoded(Value::Int(number)).cmp(&encoded(Value::Double(double))), order, "{number} {double}");
        }
    }
}
