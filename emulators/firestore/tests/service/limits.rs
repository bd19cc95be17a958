//! The documented limits, each a step below and a step above, over the wire.

use prost::Message as _;
use scrimmage_core::Clock;
use tonic::Code;

use super::support::*;
use pb::document_transform::{FieldTransform, field_transform::TransformType};
use pb::value::ValueType;

fn nested(levels: usize) -> pb::Value {
    (0..levels)
        .fold(int(1), |inner, _| value(ValueType::MapValue(pb::MapValue { fields: [("m".to_owned(), inner)].into() })))
}

fn with(field: &str, value: pb::Value) -> Vec<pb::Write> {
    vec![update(document("c/a", &[(field, value)]))]
}

fn at(path: &str) -> Vec<pb::Write> {
    vec![set(path, 1)]
}

/// Increments of as many fields of one document, in as many writes.
fn transforms(path: &str, writes: usize, each: usize) -> Vec<pb::Write> {
    let transform = |number: usize| FieldTransform {
        field_path: format!("f{number}"),
        transform_type: Some(TransformType::Increment(int(1))),
    };
    let write = |number: usize| pb::Write {
        update_mask: Some(pb::DocumentMask::default()),
        update_transforms: (number * each..(number + 1) * each).map(transform).collect(),
        ..update(document(path, &[]))
    };
    (0..writes).map(write).collect()
}

/// An update of one path.
fn masked(path: &str) -> Vec<pb::Write> {
    let update_mask = Some(pb::DocumentMask { field_paths: vec![path.to_owned()] });
    vec![pb::Write { update_mask, ..update(document("c/a", &[])) }]
}

fn vector(numbers: &[f64], with_more: bool) -> pb::Value {
    let values = numbers.iter().map(|number| value(ValueType::DoubleValue(*number))).collect();
    let array = value(ValueType::ArrayValue(pb::ArrayValue { values }));
    let mut fields = vec![("__type__".to_owned(), text("__vector__")), ("value".to_owned(), array)];
    fields.extend(with_more.then(|| ("more".to_owned(), int(1))));
    value(ValueType::MapValue(pb::MapValue { fields: fields.into_iter().collect() }))
}

/// A delete that says what only an update may say.
fn deleting(with_mask: bool) -> pb::Write {
    let operation = Some(pb::write::Operation::Delete(full("c/a")));
    let mask = Some(pb::DocumentMask::default()).filter(|_| with_mask);
    let update_transforms = transforms("c/a", 1, 1).remove(0).update_transforms;
    let update_transforms = if with_mask { Vec::new() } else { update_transforms };
    pb::Write { operation, update_mask: mask, update_transforms, ..pb::Write::default() }
}

fn filling(bytes: usize, documents: usize) -> Vec<pb::Write> {
    let write = |number| update(document(&format!("c/{number}"), &[("s", text(&"x".repeat(bytes)))]));
    (0..documents).map(write).collect()
}

/// A commit of exactly this size on the wire.
fn of_size(bytes: usize) -> Vec<pb::Write> {
    let mut writes = filling(1_000_000, 10);
    let size = |writes: &[pb::Write]| {
        pb::CommitRequest { database: DATABASE.to_owned(), writes: writes.to_vec(), ..Default::default() }.encoded_len()
    };
    writes.extend(filling(300_000, 1));
    let pad = bytes - size(&writes);
    let last = writes.pop().unwrap();
    writes.extend(filling(300_000 + pad, 1));
    assert_eq!(size(&writes), bytes, "{}", last.encoded_len());
    writes
}

#[tokio::test]
async fn every_limit_is_where_it_is_documented() {
    const OK: Option<&str> = None;
    let ten = |id: usize| format!("c/{}", "x".repeat(id));
    let deep = |pairs: usize| vec!["c/d"; pairs].join("/");
    let cases: Vec<(&str, Vec<pb::Write>, Option<&str>)> = vec![
        ("id of 1,500 bytes", at(&ten(1_500)), OK),
        ("id of 1,501 bytes", at(&ten(1_501)), Some("The key path element name is longer than 1500 bytes.")),
        ("id `.`", at("c/."), Some("contains a resource id \".\"")),
        ("id `..`", at("c/.."), Some("contains a resource id \"..\"")),
        ("reserved id", at("c/__x__"), Some("is invalid because it is reserved")),
        ("100 collections deep", at(&deep(100)), OK),
        ("101 collections deep", at(&deep(101)), Some("Key path is too long. Cannot exceed 100 elements.")),
        ("reserved collection", at("__c__/x"), Some("Collection id \"__c__\" is invalid because it is reserved.")),
        ("field name of 1,500 bytes", with(&"f".repeat(1_500), int(1)), OK),
        ("field name of 1,501 bytes", with(&"f".repeat(1_501), int(1)), Some("longer than 1500 bytes")),
        ("empty field name", with("", int(1)), Some("The property.name is the empty string.")),
        ("reserved field name", with("__f__", int(1)), Some("field name __f__ is reserved")),
        ("20 levels", with("f", nested(20)), OK),
        ("mask of 20 names", masked(&vec!["a"; 20].join(".")), OK),
        ("mask of 21 names", masked(&vec!["a"; 21].join(".")), Some("paths must have at most 20 elements")),
        ("mask of 1,501 bytes", masked(&format!("{}.b", "a".repeat(1_499))), Some("longer than 1500 bytes")),
        ("empty vector", with("v", vector(&[], false)), Some("Cannot have a zero length vector.")),
        ("vector with more", with("v", vector(&[1.0], true)), Some("Vector Value map has extraneous entries.")),
        ("delete with a mask", vec![deleting(true)], Some("a delete must not specify a document mask.")),
        ("delete with transforms", vec![deleting(false)], Some("a delete must not specify a update transform.")),
        ("21 levels", with("f", nested(21)), Some("Property f contains an invalid nested entity.")),
        (
            "document of 1 MiB and more",
            vec![update(document("c/a", &[("s", text(&"x".repeat(1_048_000))), ("t", text(&"x".repeat(600)))]))],
            Some("exceeds the maximum allowed size of 1,048,576 bytes"),
        ),
        ("value too long", filling(1_048_488, 1), Some("The value of property \"s\" is longer than 1048487 bytes.")),
        ("more than 500 writes", (0..600).map(|n| set(&format!("c/{n}"), 1)).collect(), OK),
        ("500 transforms in one write", transforms("c/t", 1, 500), OK),
        ("501 transforms in one write", transforms("c/t", 1, 501), Some("501 field transformations")),
        ("500 transforms of one document", transforms("c/t", 5, 100), OK),
        ("501 transforms of one document", transforms("c/t", 3, 167), Some("501 field transformations")),
        ("commit of 10 MiB", of_size(10 * 1024 * 1024), OK),
        ("commit over 10 MiB", of_size(10 * 1024 * 1024 + 1), Some("Transaction too big. Decrease transaction size.")),
        ("payload over the front end's limit", filling(1_000_000, 12), Some("Request payload size exceeds the limit")),
    ];
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    for (what, writes, expected) in cases {
        let answer = client.commit(&[], writes).await;
        match (answer, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(text)) => {
                assert_eq!(error.code(), Code::InvalidArgument, "{what}: {error}");
                assert!(error.message().contains(text), "{what}: {}", error.message());
            }
            (answer, _) => panic!("{what}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_batch_takes_every_write_for_itself_but_no_document_twice() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let must_exist = Some(pb::Precondition { condition_type: Some(pb::precondition::ConditionType::Exists(true)) });
    let missing = pb::Write { current_document: must_exist, ..set("c/missing", 1) };
    let mut batch = async |writes| {
        let request = pb::BatchWriteRequest { database: DATABASE.to_owned(), writes, ..Default::default() };
        client.0.batch_write(request).await.map(tonic::Response::into_inner)
    };
    let answer = batch(vec![set("c/a", 1), missing, increment("c/b", 2)]).await.unwrap();
    assert_eq!(answer.status.iter().map(|status| status.code).collect::<Vec<_>>(), [0, 5, 0]);
    assert_eq!(answer.status[1].message, format!("No document to update: {}", full("c/missing")));
    assert_eq!(answer.write_results[2].transform_results, [int(2)]);
    assert!(answer.write_results[0].update_time.is_some() && answer.write_results[1].update_time.is_none());
    let twice = batch(vec![set("c/a", 2), set("c/a", 3)]).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument);
    let many = batch((0..600).map(|n| set(&format!("c/{n}"), 1)).collect()).await.unwrap();
    assert!(many.status.iter().all(|status| status.code == 0) && many.status.len() == 600);
}
