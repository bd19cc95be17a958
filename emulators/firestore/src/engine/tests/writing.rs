//! Commits: times, masks, preconditions, several writes to one document.

use super::*;
use crate::engine::transform::{Kind, Transform};

fn merge(path: &str, mask: &[&str], entries: &[(&str, Value)]) -> Write {
    let mask = mask.iter().map(|path| field(path)).collect();
    write(path, Operation::Merge { mask, fields: fields(entries) })
}

fn stored(world: &mut World, path: &str) -> Option<Arc<Document>> {
    match world.at_once(get(Consistency::Strong, path)).unwrap() {
        Outcome::Documents(read) => read.what.into_iter().next().unwrap().1,
        other => panic!("{other:?}"),
    }
}

fn all(world: &mut World, writes: Vec<Write>) -> Result<Committed, Error> {
    committed(world.at_once(commit(None, writes)))
}

#[test]
fn commit_times_increase_even_while_the_clock_stands() {
    let mut world = World::new();
    let times: Vec<_> = (0..3).map(|number| world.put("c/a", number).commit_time.as_micros()).collect();
    let start = START.as_micros();
    assert_eq!(times, [start, start + 1, start + 2]);
}

#[test]
fn one_commit_has_one_time_everywhere() {
    let mut world = World::new();
    let stamped = |path: &str| Write {
        transforms: vec![Transform { path: field("at"), kind: Kind::ServerTime }],
        ..merge(path, &[], &[])
    };
    let done = all(&mut world, vec![stamped("c/a"), stamped("c/b")]).unwrap();
    for (path, result) in ["c/a", "c/b"].into_iter().zip(&done.results) {
        let document = stored(&mut world, path).unwrap();
        assert_eq!(document.update_time, done.commit_time);
        assert_eq!(document.create_time, done.commit_time);
        assert_eq!(document.fields.get("at"), Some(&Value::Timestamp(done.commit_time)));
        assert_eq!(result.transform_results, [Value::Timestamp(done.commit_time)]);
        assert_eq!(result.update_time, Some(done.commit_time));
    }
}

#[test]
fn a_write_that_changes_nothing_keeps_the_update_time() {
    let mut world = World::new();
    let first = world.put("c/a", 1);
    let second = world.put("c/a", 1);
    assert!(second.commit_time > first.commit_time);
    assert_eq!(second.results[0].update_time, Some(first.commit_time));
    assert_eq!(stored(&mut world, "c/a").unwrap().update_time, first.commit_time);
}

#[test]
fn masks_touch_only_what_they_name() {
    let mut world = World::new();
    let inner = |entries: &[(&str, Value)]| Value::map(fields(entries));
    let whole = fields(&[("a", inner(&[("x", Value::Int(1)), ("y", Value::Int(2))])), ("b", Value::Int(3))]);
    all(&mut world, vec![write("c/d", Operation::Set(whole))]).unwrap();
    let given = [("a", inner(&[("x", Value::Int(9)), ("y", Value::Int(9))])), ("b", Value::Int(9))];
    all(&mut world, vec![merge("c/d", &["a.x", "c", "a.z"], &given)]).unwrap();
    let expected = fields(&[("a", inner(&[("x", Value::Int(9)), ("y", Value::Int(2))])), ("b", Value::Int(3))]);
    assert_eq!(stored(&mut world, "c/d").unwrap().fields, expected);
    all(&mut world, vec![merge("c/d", &["a.x", "b"], &[])]).unwrap();
    assert_eq!(stored(&mut world, "c/d").unwrap().fields, fields(&[("a", inner(&[("y", Value::Int(2))]))]));
}

#[test]
fn one_document_may_be_written_twice_in_a_commit() {
    let mut world = World::new();
    let count = |by| Write {
        transforms: vec![Transform { path: field("n"), kind: Kind::Increment(Value::Int(by)) }],
        ..merge("c/a", &[], &[])
    };
    let done = all(&mut world, vec![set("c/a", 1), count(2), count(3)]).unwrap();
    assert_eq!(done.results[2].transform_results, [Value::Int(6)]);
    assert_eq!(world.number("c/a"), Some(6));
    let recreated = vec![delete("c/a"), when(Precondition::Exists(false), set("c/a", 1))];
    let done = all(&mut world, recreated).unwrap();
    assert_eq!(stored(&mut world, "c/a").unwrap().create_time, done.commit_time);
}

#[test]
fn several_writes_to_one_document_share_their_update_time_and_must_make_sense() {
    let mut world = World::new();
    let first = world.put("c/a", 1);
    let done = all(&mut world, vec![set("c/a", 1), set("c/a", 2), set("c/b", 1), delete("c/b")]).unwrap();
    let time = Some(done.commit_time);
    assert_eq!(done.results.iter().map(|result| result.update_time).collect::<Vec<_>>(), [time, time, None, None]);
    assert!(done.commit_time > first.commit_time);
    let there_and_back = all(&mut world, vec![set("c/a", 9), set("c/a", 2)]).unwrap();
    assert_eq!(there_and_back.results[0].update_time, time);
    let insert = when(Precondition::Exists(false), set("c/x", 1));
    let update = when(Precondition::Exists(true), set("c/x", 1));
    for (writes, text) in [
        (vec![set("c/x", 1), insert.clone()], "upsert then insert"),
        (vec![delete("c/x"), update.clone()], "delete then update"),
        (vec![update, when(Precondition::Exists(false), delete("c/x"))], "update then delete"),
        (vec![insert.clone(), insert], "insert then insert"),
    ] {
        let expected = format!("Cannot {text} an entity in the same request.");
        assert_eq!(all(&mut world, writes).unwrap_err().to_string(), expected);
    }
}

#[test]
fn preconditions_speak_as_production_does() {
    let mut world = World::new();
    let done = world.put("c/a", 1);
    let base = "projects/p/databases/(default)/documents/";
    let says = |answer: Result<Committed, Error>| answer.unwrap_err().to_string();
    let exists = |exists| Precondition::Exists(exists);
    assert_eq!(
        says(all(&mut world, vec![when(exists(false), set("c/a", 2))])),
        format!("Document already exists: {base}c/a")
    );
    for write in [set("c/b", 2), delete("c/b")] {
        assert_eq!(says(all(&mut world, vec![when(exists(true), write)])), format!("No document to update: {base}c/b"));
    }
    let stale = Precondition::UpdateTime(Timestamp::from_micros(5));
    assert_eq!(
        says(all(&mut world, vec![when(stale, set("c/a", 2))])),
        format!("the stored version ({}) does not match the required base version (5)", done.commit_time.as_micros())
    );
    assert_eq!(
        says(all(&mut world, vec![when(stale, set("c/b", 2))])),
        "the stored version (0) does not match the required base version (5)"
    );
    all(&mut world, vec![when(Precondition::UpdateTime(done.commit_time), set("c/a", 2))]).unwrap();
}

#[test]
fn a_failed_commit_changes_nothing() {
    let mut world = World::new();
    let writes = vec![set("c/a", 1), when(Precondition::Exists(true), set("c/b", 1))];
    assert!(all(&mut world, writes).is_err());
    assert_eq!(world.number("c/a"), None);
}

#[test]
fn documents_have_a_size_limit() {
    let mut world = World::new();
    let big = |bytes: usize| {
        let text = "x".repeat(bytes);
        write("c/a", Operation::Set(fields(&[("f", Value::string(&text)), ("g", Value::string(&text))])))
    };
    // The name counts 20 bytes, the names of the fields 4, the ends of the strings 2, the document 32.
    let half = (1_048_576 - 58) / 2;
    all(&mut world, vec![big(half)]).unwrap();
    assert_eq!(
        all(&mut world, vec![big(half + 1)]).unwrap_err().to_string(),
        "Document 'projects/p/databases/(default)/documents/c/a' cannot be written because its size \
         (1,048,578 bytes) exceeds the maximum allowed size of 1,048,576 bytes."
    );
}

#[test]
fn index_entries_of_arrays_multiply_with_composite_indexes_in_small_documents_too() {
    use crate::engine::index::catalogue::{Catalogue, Composite, Kind, QueryScope};
    let mut world = World::new();
    let long = Value::array((0..6_000).map(|_| Value::Bool(true)).collect::<Vec<_>>());
    let document = |path: &str| write(path, Operation::Set(fields(&[("l", long.clone()), ("f", Value::Int(1))])));
    committed(world.at_once(commit(None, vec![document("c/a")]))).unwrap();
    let mut catalogue = Catalogue::default();
    for other in ["f", "f2", "f3", "f4", "f5", "f6"] {
        let fields = vec![(field("l"), Kind::Contains), (field(other), Kind::Ascending), (field("f"), Kind::Ascending)];
        catalogue.add(Composite::new("c", QueryScope::Collection, fields));
    }
    // Only indexes whose fields the document has count: the first, by 6,000 entries.
    let database = world.database.clone();
    world.engine.set_catalogue(Some(&database), Arc::new(catalogue.clone()), false);
    committed(world.at_once(commit(None, vec![document("c/b")]))).unwrap();
    for direction in [Kind::Ascending, Kind::Descending] {
        for scope in [QueryScope::Collection, QueryScope::Group] {
            let fields = vec![(field("f"), direction), (field("l"), Kind::Contains)];
            catalogue.add(Composite::new("c", scope, fields));
        }
    }
    world.engine.set_catalogue(Some(&database), Arc::new(catalogue), false);
    let refused = world.at_once(commit(None, vec![document("c/c")])).unwrap_err();
    assert_eq!(refused, Error::TooManyIndexEntries("c/c".to_owned()));
    committed(world.at_once(commit(None, vec![document("d/a")]))).unwrap();
}
