//! Queries: orders, cursors, groups, the past, aggregations.

use super::*;
use crate::engine::query::aggregate::Aggregator;
use crate::engine::query::{Cursor, Direction, Key, Order, Target, UnaryOperator};
use crate::limits;

fn by(path: &str, direction: Direction) -> Order {
    Order { target: if path == "__name__" { Target::Name } else { Target::Field(field(path)) }, direction }
}

fn put(world: &mut World, path: &str, entries: &[(&str, Value)]) {
    let write = write(path, Operation::Set(fields(entries)));
    committed(world.at_once(commit(None, vec![write]))).unwrap();
}

fn found(world: &mut World, draft: Draft) -> Vec<String> {
    let query = draft.normalize().unwrap();
    let read = world.run(Consistency::Strong, query).unwrap();
    names(&read.what).into_iter().map(str::to_owned).collect()
}

fn sample() -> World {
    let mut world = World::new();
    put(&mut world, "c/a", &[("n", Value::Int(3)), ("m", Value::Int(1))]);
    put(&mut world, "c/b", &[("n", Value::Double(1.5)), ("m", Value::Int(1))]);
    put(&mut world, "c/c", &[("n", Value::string("x")), ("m", Value::Int(2))]);
    put(&mut world, "c/d", &[("m", Value::Int(2))]);
    put(&mut world, "c/e", &[("n", Value::Null)]);
    put(&mut world, "c/a/c/z", &[("n", Value::Int(2))]);
    world
}

#[test]
fn an_order_drops_documents_without_the_field_and_appends_the_name() {
    let mut world = sample();
    let mut draft = collection("c");
    draft.order = vec![by("n", Direction::Ascending)];
    assert_eq!(found(&mut world, draft.clone()), ["c/e", "c/b", "c/a", "c/c"]);
    draft.order = vec![by("m", Direction::Descending)];
    assert_eq!(found(&mut world, draft.clone()), ["c/d", "c/c", "c/b", "c/a"]);
    draft.order = vec![by("m", Direction::Descending), by("__name__", Direction::Ascending)];
    assert_eq!(found(&mut world, draft), ["c/c", "c/d", "c/a", "c/b"]);
}

#[test]
fn inequalities_on_several_fields_imply_their_orders_by_name_of_the_field() {
    let mut draft = collection("c");
    draft.filter = Some(Filter::And(vec![
        Filter::Field(field("z"), Operator::Greater, Value::Int(0)),
        Filter::Field(field("a"), Operator::NotEqual, Value::Int(0)),
        Filter::Field(field("e"), Operator::Equal, Value::Int(0)),
    ]));
    draft.order = vec![by("m", Direction::Descending)];
    let order = draft.normalize().unwrap().order;
    assert_eq!(order, ["m", "a", "z", "__name__"].map(|path| by(path, Direction::Descending)));
}

#[test]
fn aggregations_imply_the_orders_of_their_fields_by_name_whatever_their_own_order() {
    let mut draft = collection("c");
    draft.filter = Some(Filter::Field(field("z"), Operator::Greater, Value::Int(0)));
    draft.aggregated = vec![field("n"), field("b"), field("m")];
    let order = draft.normalize().unwrap().order;
    assert_eq!(order, ["z", "b", "m", "n", "__name__"].map(|path| by(path, Direction::Ascending)));
}

#[test]
fn cursors_limits_and_offsets() {
    let mut world = sample();
    let mut draft = collection("c");
    draft.order = vec![by("m", Direction::Ascending), by("__name__", Direction::Ascending)];
    let at = |m: i64, path: Option<&str>, before| {
        let mut keys = vec![Key::Value(Value::Int(m))];
        keys.extend(path.map(|path| Key::Name(name(path))));
        Some(Cursor { keys, before })
    };
    let run = |world: &mut World, start, end, offset, limit| {
        found(world, Draft { start, end, offset, limit, ..draft.clone() })
    };
    assert_eq!(run(&mut world, at(1, None, true), None, 0, None), ["c/a", "c/b", "c/c", "c/d"]);
    assert_eq!(run(&mut world, at(1, None, false), None, 0, None), ["c/c", "c/d"]);
    assert_eq!(run(&mut world, at(1, Some("c/a"), false), at(2, Some("c/d"), true), 0, None), ["c/b", "c/c"]);
    assert_eq!(run(&mut world, None, at(1, None, false), 0, None), ["c/a", "c/b"]);
    assert_eq!(run(&mut world, None, None, 1, Some(2)), ["c/b", "c/c"]);
    assert_eq!(run(&mut world, None, None, 0, Some(0)), [""; 0]);
    let mut by_name = collection("c");
    by_name.order = vec![by("__name__", Direction::Descending)];
    by_name.start = Some(Cursor { keys: vec![Key::Name(name("c/d"))], before: false });
    by_name.end = Some(Cursor { keys: vec![Key::Name(name("c/b"))], before: false });
    assert_eq!(found(&mut world, by_name), ["c/c", "c/b"]);
}

#[test]
fn filters_on_names_and_their_ranges() {
    let mut world = sample();
    let mut run = |filter| {
        let mut draft = collection("c");
        draft.filter = Some(filter);
        found(&mut world, draft)
    };
    assert_eq!(run(Filter::Name(Operator::Equal, vec![name("c/b")])), ["c/b"]);
    assert_eq!(run(Filter::Name(Operator::In, vec![name("c/d"), name("c/b"), name("x/y")])), ["c/b", "c/d"]);
    let range = Filter::And(vec![
        Filter::Name(Operator::Greater, vec![name("c/a")]),
        Filter::Name(Operator::LessOrEqual, vec![name("c/c")]),
        Filter::Name(Operator::GreaterOrEqual, vec![name("c/a")]),
    ]);
    assert_eq!(run(range), ["c/b", "c/c"]);
    let nothing = Filter::And(vec![
        Filter::Name(Operator::Greater, vec![name("c/b")]),
        Filter::Name(Operator::Less, vec![name("c/b")]),
    ]);
    assert_eq!(run(nothing), [""; 0]);
}

#[test]
fn disjunctions_and_nulls() {
    let mut world = sample();
    let mut run = |filter| {
        let mut draft = collection("c");
        draft.filter = Some(filter);
        found(&mut world, draft)
    };
    let either = Filter::Or(vec![
        Filter::Field(field("n"), Operator::Equal, Value::string("x")),
        Filter::Field(field("m"), Operator::Equal, Value::Double(1.0)),
    ]);
    assert_eq!(run(either), ["c/a", "c/b", "c/c"]);
    assert_eq!(run(Filter::Unary(field("n"), UnaryOperator::IsNull)), ["c/e"]);
    assert_eq!(run(Filter::Unary(field("n"), UnaryOperator::IsNotNull)), ["c/b", "c/a", "c/c"]);
    // The order by `n` that the inequality implies holds for the whole disjunction.
    let implied = Filter::Or(vec![
        Filter::Field(field("n"), Operator::Greater, Value::Int(2)),
        Filter::Field(field("m"), Operator::Equal, Value::Int(2)),
    ]);
    assert_eq!(run(implied), ["c/a", "c/c"]);
}

#[test]
fn what_nothing_can_pass_is_left_out_with_the_order_that_it_would_imply() {
    let mut world = sample();
    let nan = || Value::Double(f64::NAN);
    let nowhere = [
        Filter::Field(field("n"), Operator::Greater, Value::Null),
        Filter::Field(field("n"), Operator::LessOrEqual, nan()),
        Filter::Field(field("n"), Operator::NotEqual, Value::Null),
        Filter::And(vec![
            Filter::Field(field("n"), Operator::GreaterOrEqual, Value::Null),
            Filter::Field(field("m"), Operator::Equal, Value::Int(1)),
        ]),
    ];
    for nowhere in nowhere {
        let mut draft = collection("c");
        draft.filter = Some(Filter::Or(vec![Filter::Field(field("m"), Operator::Equal, Value::Int(2)), nowhere]));
        assert_eq!(found(&mut world, draft.clone()), ["c/c", "c/d"]);
        draft.order = vec![by("__name__", Direction::Descending)];
        assert_eq!(found(&mut world, draft), ["c/d", "c/c"]);
    }
    let mut draft = collection("c");
    draft.filter = Some(Filter::Field(field("n"), Operator::NotIn, Value::array(vec![Value::Null])));
    assert_eq!(draft.clone().normalize().unwrap().order.len(), 1);
    assert_eq!(found(&mut world, draft.clone()), [""; 0]);
    // What no value is above, as the documents are, still implies its order.
    draft.filter = Some(Filter::Or(vec![
        Filter::Field(field("m"), Operator::Equal, Value::Int(2)),
        Filter::Field(field("n"), Operator::Greater, Value::Double(f64::INFINITY)),
        Filter::Field(field("n"), Operator::NotEqual, nan()),
    ]));
    assert_eq!(found(&mut world, draft), ["c/b", "c/a", "c/c"]);
}

#[test]
fn what_is_said_twice_counts_once_towards_the_limits() {
    let mut world = sample();
    let within = |most| {
        let values: Vec<Value> = (0..most).map(Value::Int).collect();
        Filter::Field(field("m"), Operator::In, Value::array(values))
    };
    let mut draft = collection("c");
    draft.filter = Some(Filter::And(vec![within(20), within(20)]));
    assert_eq!(found(&mut world, draft.clone()), ["c/a", "c/b", "c/c", "c/d"]);
    let has = Filter::Field(field("m"), Operator::ArrayContains, Value::Int(1));
    let has_any = Filter::Field(field("m"), Operator::ArrayContainsAny, Value::array(vec![Value::Int(1)]));
    draft.filter = Some(Filter::And(vec![has.clone(), has.clone()]));
    assert_eq!(found(&mut world, draft.clone()), [""; 0]);
    draft.filter = Some(Filter::And(vec![has_any.clone(), has_any.clone()]));
    assert_eq!(found(&mut world, draft.clone()), [""; 0]);
    draft.filter = Some(Filter::And(vec![has, has_any]));
    assert_eq!(draft.normalize().unwrap_err().to_string(), crate::texts::ONE_ARRAY_CONTAINS);
}

#[test]
fn a_query_has_a_hundred_parts_at_most() {
    let equal = |number: usize| Filter::Field(field(&format!("f{number}")), Operator::Equal, Value::Int(1));
    let draft = |filters: usize, orders: usize, parent: &str| {
        let scope = Scope { parent: Arc::from(parent), collection_id: Some(Arc::from("c")), all_descendants: false };
        let mut draft = Draft::new(scope);
        draft.filter = Some(Filter::And((0..filters).map(|number| equal(number % 150)).collect()));
        draft.order = (0..orders).map(|number| by(&format!("o{number}"), Direction::Ascending)).collect();
        draft.normalize().map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(draft(100, 0, ""), Ok(()));
    assert_eq!(draft(60, 40, ""), Ok(()));
    let text = "The query may not have more than 100 filters + sort orders + ancestor total. Currently there are 100 \
                filters, 0 sort orders, and one ancestor filter.";
    assert_eq!(draft(100, 0, "c/a"), Err(text.to_owned()));
    let text = "The query may not have more than 100 filters + sort orders + ancestor total. Currently there are 60 \
                filters, 41 sort orders, and no ancestor filter.";
    assert_eq!(draft(60, 41, ""), Err(text.to_owned()));
    assert!(draft(300, 0, "").unwrap_err().contains("there are 150 filters"));
}

#[test]
fn groups_reach_everywhere_below_their_parent() {
    let mut world = sample();
    let group = |parent: &str| {
        Draft::new(Scope { parent: Arc::from(parent), collection_id: Some(Arc::from("c")), all_descendants: true })
    };
    assert_eq!(found(&mut world, group("")), ["c/a", "c/a/c/z", "c/b", "c/c", "c/d", "c/e"]);
    assert_eq!(found(&mut world, group("c/a")), ["c/a/c/z"]);
    let mut last = group("");
    last.order = vec![by("__name__", Direction::Descending)];
    last.limit = Some(2);
    assert_eq!(found(&mut world, last), ["c/e", "c/d"]);
}

#[test]
fn the_past_can_be_queried() {
    let mut world = sample();
    let then = world.put("c/f", 1).commit_time;
    world.pass(Duration::from_secs(60));
    committed(world.at_once(commit(None, vec![delete("c/f"), delete("c/a")]))).unwrap();
    let query = collection("c").normalize().unwrap();
    let past = world.run(Consistency::At(then), query.clone()).unwrap();
    assert_eq!(names(&past.what), ["c/a", "c/b", "c/c", "c/d", "c/e", "c/f"]);
    assert_eq!(past.read_time, then);
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.run(Consistency::At(then), query).unwrap_err(), Error::ReadTimeTooOld);
}

#[test]
fn refused_queries_say_why() {
    let say = |change: &dyn Fn(&mut Draft)| {
        let mut draft = collection("c");
        change(&mut draft);
        draft.normalize().unwrap_err().to_string()
    };
    let list = |count: i64| Value::array((0..count).map(Value::Int).collect());
    let filter = |operator, operand: Value| Filter::Field(field("n"), operator, operand);
    assert_eq!(say(&|draft| draft.limit = Some(-1)), "limit is negative");
    assert_eq!(
        say(&|draft| draft.filter = Some(filter(Operator::In, list(31)))),
        "'IN' supports up to 30 comparison values."
    );
    assert_eq!(
        say(&|draft| {
            let other = Filter::Field(field("m"), Operator::In, list(6));
            draft.filter = Some(Filter::And(vec![filter(Operator::In, list(6)), other]));
        }),
        "Too many disjunctions after normalization. Result had 36 disjunctions which is more than the maximum of 30"
    );
    assert_eq!(
        say(&|draft| {
            let other = Filter::Field(field("m"), Operator::NotIn, list(1));
            draft.filter = Some(Filter::And(vec![filter(Operator::In, list(1)), other]));
        }),
        "'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'."
    );
    assert_eq!(
        say(&|draft| {
            let name = Filter::Name(Operator::Equal, vec![name("c/a")]);
            draft.filter = Some(Filter::And(vec![filter(Operator::Less, Value::Int(1)), name]));
        }),
        "Equality on key is not allowed if there are other inequality fields and key does not appear in inequalities."
    );
    assert_eq!(
        say(&|draft| {
            draft.filter = Some(filter(Operator::Less, Value::Int(1)));
            draft.order = vec![by("__name__", Direction::Ascending)];
        }),
        "order by clause cannot contain more fields after the key"
    );
    assert_eq!(
        say(&|draft| {
            draft.order = vec![by("__name__", Direction::Ascending)];
            draft.aggregated = vec![field("n")];
        }),
        "This query requires an index that has fields [n] after __name__ and Firestore does not currently support \
         such an index. Please try the query again with additional ordering on those fields."
    );
    assert_eq!(
        say(&|draft| draft.order = vec![by("n", Direction::Ascending), by("n", Direction::Descending)]),
        "order by clause cannot contain duplicate fields n"
    );
}

#[test]
fn aggregations_count_sum_and_average() {
    let mut world = World::new();
    for (path, value) in [("c/a", Value::Int(1)), ("c/b", Value::Double(2.5)), ("c/c", Value::string("x"))] {
        put(&mut world, path, &[("n", value)]);
    }
    put(&mut world, "c/d", &[("big", Value::Int(i64::MAX))]);
    put(&mut world, "c/e", &[("big", Value::Int(1))]);
    let mut run = |operators: &[Aggregator]| {
        let aggregations =
            operators.iter().map(|operator| Aggregation { alias: String::new(), operator: operator.clone() }).collect();
        let mut draft = collection("c");
        draft.aggregated = operators.iter().filter_map(|operator| operator.field().cloned()).collect();
        let query = Arc::new(draft.normalize().unwrap());
        let command = Command::Aggregate { query, aggregations, consistency: Consistency::Strong };
        match world.at_once(command).unwrap() {
            Outcome::Aggregated(read) => read.what.values.into_iter().map(|(_, value)| value).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let n = || field("n");
    assert_eq!(run(&[Aggregator::Count { up_to: None }]), [Value::Int(5)]);
    assert_eq!(run(&[Aggregator::Count { up_to: Some(2) }]), [Value::Int(2)]);
    assert_eq!(
        run(&[Aggregator::Sum(n()), Aggregator::Average(n()), Aggregator::Count { up_to: None }]),
        [Value::Double(3.5), Value::Double(1.75), Value::Int(3)]
    );
    assert_eq!(run(&[Aggregator::Sum(field("big"))]), [Value::Double(9_223_372_036_854_775_808.0)]);
    assert_eq!(run(&[Aggregator::Sum(field("no")), Aggregator::Average(field("no"))]), [Value::Int(0), Value::Null]);
}

#[test]
fn collection_ids_and_missing_documents() {
    let mut world = World::new();
    world.put("a/1/b/2/c/3", 1);
    world.put("z/1", 1);
    let mut ids =
        |parent: &str| match world.at_once(Command::CollectionIds { parent: parent.to_owned(), read_time: None }) {
            Ok(Outcome::CollectionIds(ids)) => ids,
            other => panic!("{other:?}"),
        };
    assert_eq!(ids(""), ["a", "z"]);
    assert_eq!(ids("a/1"), ["b"]);
    assert_eq!(ids("a/2"), [""; 0]);
    let missing = Command::MissingDocuments { parent: String::new(), collection_id: None, read_time: None };
    match world.at_once(missing).unwrap() {
        Outcome::Names(found) => assert_eq!(found, [name("a/1")]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_read_only_transaction_ends_where_its_past_does() {
    let mut world = World::new();
    world.put("c/a", 1);
    let then = world.now;
    world.pass(Duration::from_secs(10));
    world.put("c/a", 2);
    world.pass(limits::VERSION_RETENTION - Duration::from_secs(20));
    let t = world.begin_as(TransactionOptions::ReadOnly { read_time: Some(then) }).unwrap();
    assert_eq!(world.read(t, "c/a"), Some(1));
    world.pass(Duration::from_secs(30));
    assert_eq!(world.at_once(get(Consistency::In(t), "c/a")).unwrap_err(), Error::ReadTimeTooOld);
}

#[test]
fn too_many_bytes_of_the_past_go_before_their_time_unless_somebody_reads_them() {
    let mut world = World::new();
    let large = Value::string(&"x".repeat(1_000_000));
    let versions = limits::VERSIONS_BYTES / 1_000_000 + 10;
    put(&mut world, "c/a", &[("text", large.clone())]);
    world.pass(Duration::from_secs(1));
    let then = world.now;
    let t = world.begin_as(TransactionOptions::ReadOnly { read_time: Some(then) }).unwrap();
    // A write that changes nothing would make no version.
    let rewrite = |world: &mut World| {
        for number in 0..versions as i64 {
            world.pass(Duration::from_millis(10));
            put(world, "c/a", &[("text", large.clone()), ("number", Value::Int(number))]);
        }
    };
    rewrite(&mut world);
    world.at_once(get(Consistency::In(t), "c/a")).unwrap();
    world.at_once(Command::Rollback(t)).unwrap();
    rewrite(&mut world);
    assert_eq!(world.at_once(get(Consistency::At(then), "c/a")).unwrap_err(), Error::ReadTimeTooOld);
    let lately = world.now - Duration::from_millis(100);
    world.at_once(get(Consistency::At(lately), "c/a")).unwrap();
}
