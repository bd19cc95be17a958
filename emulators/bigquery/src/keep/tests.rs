//! What is kept comes back, also where the disk was full in between.

use serde_json::Map;

use scrimmage_googlesql::Value;
use scrimmage_googlesql::catalog::Schema;

use super::*;
use crate::engine::dataset::TableKind;
use crate::engine::store::{NewTable, WriteMode};
use crate::engine::table::plain_column;

const NOW: Timestamp = Timestamp::EPOCH;

fn journal() -> Arc<Journal> {
    Arc::new(Journal::new(scrimmage_core::Clock::real()))
}

fn path(table: &str) -> TablePath {
    TablePath { project: "p".into(), dataset: "d".into(), table: table.into() }
}

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    Batch::from_rows(&[Type::Int64], numbers.map(|number| vec![Value::Int64(number)]))
}

fn create(store: &mut Store, table: &str) {
    let schema = Schema { columns: vec![plain_column("n", Type::Int64)] };
    let shape = Shape::new(schema, None, Vec::new(), false);
    let new = NewTable { shape, kind: TableKind::Table, expires: None, metadata: Map::new() };
    store.create_table(NOW, &path(table), new, Vec::new(), false).expect("a table");
}

fn append(store: &mut Store, table: &str, rows: Batch) {
    store.write(NOW, &path(table), None, vec![rows], WriteMode::Append, None).expect("written");
}

fn files(data: &DataDir) -> usize {
    std::fs::read_dir(data.path().join("bigquery-segments")).expect("a folder").count()
}

#[test]
fn what_was_compacted_away_is_written_again_when_it_comes_back() {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(temporary.path()).expect("it can be made");
    let (mut store, mut keeper) = open(&data, &journal(), NOW).expect("empty");
    let dataset = DatasetPath::new("p", "d");
    store.create_dataset(NOW, &dataset, Map::new()).expect("a dataset");
    create(&mut store, "small");
    append(&mut store, "small", batch(0..10));
    create(&mut store, "large");
    append(&mut store, "large", batch(0..100_000));
    keeper.keep(&mut store).expect("kept");
    assert_eq!(files(&data), 1, "large rows have a file");
    let before = keeper.log.bytes();
    append(&mut store, "small", batch(10..11));
    keeper.keep(&mut store).expect("kept");
    assert!(keeper.log.bytes() - before < 100, "only what is new is written");

    store.delete_dataset(NOW, &dataset, true).expect("deleted");
    keeper.keep(&mut store).expect("kept");
    keeper.compact(&store).expect("compacted");
    assert_eq!(files(&data), 0);
    store.undelete_dataset(NOW, &dataset, None).expect("back");
    keeper.keep(&mut store).expect("kept");
    for round in 0..2 {
        let rows = |store: &Store, table| store.table(&path(table)).expect("there").current().rows;
        drop(keeper);
        (store, keeper) = open(&data, &journal(), NOW).expect("it opens");
        assert_eq!((rows(&store, "small"), rows(&store, "large"), files(&data)), (11, 100_000, 1), "round {round}");
        keeper.compact(&store).expect("compacted");
    }
    store.clear();
    keeper.keep(&mut store).expect("kept");
    drop(keeper);
    assert!(open(&data, &journal(), NOW).expect("it opens").0.datasets.is_empty());
    assert_eq!(files(&data), 0);
}

#[test]
fn hidden_datasets_are_not_kept() {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(temporary.path()).expect("it can be made");
    let (mut store, mut keeper) = open(&data, &journal(), NOW).expect("empty");
    let empty = keeper.log.bytes();
    let dataset = DatasetPath::new("p", "d");
    store.create_dataset(NOW, &dataset, Map::new()).expect("a dataset");
    store.dataset_mut(&dataset).expect("there").hidden = true;
    create(&mut store, "t");
    keeper.keep(&mut store).expect("kept");
    assert_eq!(keeper.log.bytes(), empty);
}

fn rows(store: &Store, table: &str) -> u64 {
    store.table(&path(table)).map_or(0, |entry| entry.current().rows)
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(temporary.path()).expect("it can be made");
    let (mut store, mut keeper) = open(&data, &journal(), NOW).expect("empty");
    store.create_dataset(NOW, &DatasetPath::new("p", "d"), Map::new()).expect("a dataset");
    create(&mut store, "t");
    create(&mut store, "gone");
    keeper.keep(&mut store).expect("kept");
    data.faults().fail_append(true);
    append(&mut store, "t", batch(0..10));
    keeper.keep(&mut store).expect_err("the disk is full");
    append(&mut store, "t", batch(10..100_010));
    store.drop_table(NOW, &path("gone")).expect("dropped");
    create(&mut store, "new");
    keeper.keep(&mut store).expect_err("still");
    data.faults().fail_append(false);
    keeper.keep(&mut store).expect("there is room");
    drop(keeper);
    let (store, _) = open(&data, &journal(), NOW).expect("it opens");
    assert_eq!(rows(&store, "t"), 100_010);
    assert!(store.table(&path("gone")).is_err() && store.table(&path("new")).is_ok());
}

#[test]
fn a_long_log_is_rewritten_now_or_later_and_rows_outlive_it() {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(temporary.path()).expect("it can be made");
    let (mut store, mut keeper) = open(&data, &journal(), NOW).expect("empty");
    store.create_dataset(NOW, &DatasetPath::new("p", "d"), Map::new()).expect("a dataset");
    create(&mut store, "t");
    append(&mut store, "t", batch(0..7));
    // A column that goes and comes again, with rows from before, between and after.
    let two = Schema { columns: vec![plain_column("n", Type::Int64), plain_column("gone", Type::Int64)] };
    let one = Schema { columns: vec![plain_column("n", Type::Int64)] };
    let wide = |number: i64| Batch::from_rows(&[Type::Int64, Type::Int64], [vec![Value::Int64(number); 2]]);
    let reshape = |store: &mut Store, schema: &Schema| {
        let shape = store.table(&path("t")).expect("there").current().shape.with_schema(schema.clone());
        store.alter(NOW, &path("t"), shape).expect("altered");
    };
    reshape(&mut store, &two);
    append(&mut store, "t", wide(7));
    reshape(&mut store, &one);
    reshape(&mut store, &two);
    append(&mut store, "t", wide(8));
    data.faults().fail_replace(true);
    create(&mut store, "filler");
    let text = Batch::from_rows(&[Type::Int64], (0..13_000).map(|at| vec![Value::Int64(at << 40)]));
    while keeper.log.bytes() <= COMPACT_AT {
        store.write(NOW, &path("filler"), None, vec![text.clone()], WriteMode::Truncate, None).expect("written");
        keeper.keep(&mut store).expect("a log that is not rewritten goes on");
    }
    drop(keeper);
    data.faults().fail_replace(false);
    for round in 0..2 {
        let (store, mut keeper) = open(&data, &journal(), NOW).expect("it opens");
        assert!(keeper.log.bytes() < COMPACT_AT / 8, "what was dead is gone");
        assert_eq!((rows(&store, "filler"), rows(&store, "t")), (13_000, 9), "round {round}");
        let table = store.table(&path("t")).expect("there").current().batches();
        let seen: Vec<(Value, Value)> = table
            .iter()
            .flat_map(|batch| (0..batch.len).map(|row| (batch.columns[0].get(row), batch.columns[1].get(row))))
            .collect();
        let null = |number| (Value::Int64(number), Value::Null);
        let wanted: Vec<_> = (0..8).map(null).chain([(Value::Int64(8), Value::Int64(8))]).collect();
        assert_eq!(format!("{seen:?}"), format!("{wanted:?}"), "round {round}");
        assert_eq!(keeper.boot(), round + 2);
        keeper.compact(&store).expect("rewritten");
    }
}

#[test]
fn a_clock_that_was_set_back_sees_what_is_there() {
    let temporary = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(temporary.path()).expect("it can be made");
    let (mut store, mut keeper) = open(&data, &journal(), NOW).expect("empty");
    let later = NOW + std::time::Duration::from_secs(3600);
    store.create_dataset(later, &DatasetPath::new("p", "d"), Map::new()).expect("a dataset");
    create(&mut store, "t");
    store.write(later, &path("t"), None, vec![batch(0..3)], WriteMode::Append, None).expect("written");
    keeper.keep(&mut store).expect("kept");
    drop(keeper);
    let (store, _) = open(&data, &journal(), NOW).expect("it opens");
    assert_eq!(store.version_as_of(NOW, &path("t"), NOW).expect("a version").rows, 3);
}
