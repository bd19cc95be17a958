//! Finds strings at known places of an encoded message, without decoding the rest.

/// How many names one call may have in the journal: a commit holds at most 500 writes.
const MAX_FOUND: usize = 512;

/// Appends every string at this path of field numbers. Input that is cut short or malformed ends
/// the scan; what was found so far stays.
pub fn strings<'a>(message: &'a [u8], path: &[u32], found: &mut Vec<&'a str>) {
    let Some((number, rest)) = path.split_first() else { return };
    let mut input = message;
    while !input.is_empty() && found.len() < MAX_FOUND {
        let Some(tag) = varint(&mut input) else { return };
        match tag & 7 {
            0 => {
                if varint(&mut input).is_none() {
                    return;
                }
            }
            1 => input = input.get(8..).unwrap_or(&[]),
            5 => input = input.get(4..).unwrap_or(&[]),
            2 => {
                let Some(length) = varint(&mut input).and_then(|length| usize::try_from(length).ok()) else { return };
                let (value, after) = match input.split_at_checked(length) {
                    Some((value, after)) => (value, after),
                    // Cut short: an inner message may still hold whole fields at its front.
                    None if rest.is_empty() => return,
                    None => (input, &[][..]),
                };
                if tag >> 3 == u64::from(*number) {
                    if !rest.is_empty() {
                        strings(value, rest, found);
                    } else if let Ok(text) = std::str::from_utf8(value) {
                        found.push(text);
                    }
                }
                input = after;
            }
            _ => return,
        }
    }
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use scrimmage_protos::google::firestore::v1::write::Operation;
    use scrimmage_protos::google::firestore::v1::{CommitRequest, Document, Write};

    use super::*;

    fn commit() -> Vec<u8> {
        let write = |operation| Write { operation: Some(operation), ..Write::default() };
        let document = |name: &str| Document { name: name.to_owned(), ..Document::default() };
        CommitRequest {
            database: "db".to_owned(),
            writes: vec![
                write(Operation::Update(document("db/documents/a/1"))),
                write(Operation::Delete("db/documents/a/2".to_owned())),
                write(Operation::Update(document("db/documents/a/3"))),
            ],
            transaction: vec![0xff; 20].into(),
        }
        .encode_to_vec()
    }

    fn found<'a>(message: &'a [u8], path: &[u32]) -> Vec<&'a str> {
        let mut found = Vec::new();
        strings(message, path, &mut found);
        found
    }

    #[test]
    fn finds_nested_and_repeated_strings() {
        let message = commit();
        assert_eq!(found(&message, &[1]), ["db"]);
        assert_eq!(found(&message, &[2, 1, 1]), ["db/documents/a/1", "db/documents/a/3"]);
        assert_eq!(found(&message, &[2, 2]), ["db/documents/a/2"]);
        assert_eq!(found(&message, &[9]), [""; 0]);
    }

    #[test]
    fn a_message_cut_short_gives_what_is_there() {
        let message = commit();
        assert_eq!(found(&message[..30], &[2, 1, 1]), ["db/documents/a/1"]);
    }

    proptest! {
        #[test]
        fn never_panics(message in proptest::collection::vec(any::<u8>(), 0..200), path in proptest::collection::vec(0_u32..5, 0..4)) {
            found(&message, &path);
        }
    }
}
