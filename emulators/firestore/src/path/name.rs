//! Resource names of databases and documents, and the order of document names.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::limits;
use crate::path::field::is_reserved;
use crate::texts;

/// `projects/{project}/databases/{database}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DatabaseName(Arc<str>);

impl DatabaseName {
    /// Parses the resource name; anything but its four segments is an error.
    pub fn parse(text: &str) -> Result<DatabaseName, Error> {
        let end = database_end(text).map_err(|error| error.about("Database name"))?;
        if end < text.len() {
            let extra = match &text[end..] {
                "/" => "has invalid trailing \"/\"".to_owned(),
                _ => format!("has extra characters at index {end}"),
            };
            return Err(problem(text, extra).about("Database name"));
        }
        Ok(DatabaseName(Arc::from(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn project(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    pub fn database(&self) -> &str {
        self.0.split('/').nth(3).unwrap_or_default()
    }

    /// The full resource name of a document or collection path in this database.
    pub fn resource(&self, path: &str) -> String {
        let mut name = String::with_capacity(self.0.len() + 11 + path.len());
        name.push_str(&self.0);
        name.push_str("/documents");
        if !path.is_empty() {
            name.push('/');
            name.push_str(path);
        }
        name
    }

    /// Splits `…/documents[/path]` into database and path, which is empty for the root.
    pub fn split(resource: &str) -> Result<(DatabaseName, &str), Error> {
        let end = database_end(resource)?;
        let (database, rest) = resource.split_at(end);
        let rest = rest.strip_prefix('/').ok_or_else(|| lacks(resource, "\"/\"", end))?;
        let rest = rest.strip_prefix("documents").ok_or_else(|| lacks(resource, "\"documents\"", end + 1))?;
        let path = match rest.strip_prefix('/') {
            Some(path) => path,
            None if rest.is_empty() => "",
            None => return Err(lacks(resource, "\"/\"", end + 10)),
        };
        Ok((DatabaseName(Arc::from(database)), path))
    }

    /// The path of `resource` in this very database, if it is in it.
    pub fn strip<'a>(&self, resource: &'a str) -> Option<&'a str> {
        resource.strip_prefix(&*self.0)?.strip_prefix("/documents/")
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const OMIT_SLASH: &str = "is invalid: Omit trailing \"/\"";
const OMIT_DOCUMENTS: &str =
    "is invalid: Omit \"/documents\" when referencing a database (except as the parent of a document)";

fn problem(name: &str, problem: String) -> Error {
    Error::Name { label: "Document name", name: name.to_owned(), problem }
}

fn lacks(name: &str, what: &str, index: usize) -> Error {
    problem(name, format!("lacks {what} at index {index}"))
}

/// Where the database's part of a resource name ends.
fn database_end(text: &str) -> Result<usize, Error> {
    let mut at = 0;
    for (index, (wanted, id)) in
        [("projects", ""), ("", "a project id"), ("databases", ""), ("", "a database id")].into_iter().enumerate()
    {
        if index > 0 {
            if !text[at..].starts_with('/') {
                return Err(lacks(text, "\"/\"", at));
            }
            at += 1;
        }
        let segment = text[at..].split('/').next().unwrap_or_default();
        if wanted.is_empty() {
            if segment.is_empty() {
                return Err(lacks(text, id, at));
            }
        } else if segment != wanted {
            return Err(lacks(text, &format!("\"{wanted}\""), at));
        }
        at += segment.len();
    }
    Ok(at)
}

/// A document's path within its database: an even number of segments, `rooms/a/messages/b`.
///
/// Ordered as production orders `__name__`: segment by segment, by UTF-8 bytes, numeric ids first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DocumentName {
    path: Arc<str>,
    /// Where the last segment begins.
    id_at: u32,
}

impl DocumentName {
    /// Parses a full resource name of a document.
    pub fn parse(resource: &str) -> Result<(DatabaseName, DocumentName), Error> {
        let (database, path) = DatabaseName::split(resource)?;
        Ok((database, DocumentName::parse_path(path, resource)?))
    }

    /// Parses a path within a database, and checks its ids.
    pub fn parse_relative(path: &str) -> Result<DocumentName, Error> {
        DocumentName::parse_path(path, path)
    }

    fn parse_path(path: &str, whole: &str) -> Result<DocumentName, Error> {
        if check_path(path, whole)? % 2 == 1 {
            return Err(lacks(whole, "\"/\"", whole.len()));
        }
        let id_at = path.rfind('/').map_or(0, |at| at + 1);
        Ok(DocumentName { path: Arc::from(path), id_at: u32::try_from(id_at).unwrap_or(0) })
    }

    /// The path, without the database.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The collection's path, `rooms/a/messages`.
    pub fn collection(&self) -> &str {
        self.path.get(..(self.id_at as usize).saturating_sub(1)).unwrap_or_default()
    }

    /// The collection's own id, `messages`.
    pub fn collection_id(&self) -> &str {
        let collection = self.collection();
        collection.rsplit('/').next().unwrap_or(collection)
    }

    pub fn id(&self) -> &str {
        self.path.get(self.id_at as usize..).unwrap_or_default()
    }
}

/// Checks the segments of a path and counts them; `whole` is the name that errors quote, ending in `path`.
fn check_path(path: &str, whole: &str) -> Result<usize, Error> {
    let mut at = whole.len().saturating_sub(path.len());
    if path.is_empty() {
        let advice = if whole.ends_with('/') { OMIT_SLASH } else { OMIT_DOCUMENTS };
        return Err(problem(whole, advice.to_owned()));
    }
    let mut count = 0;
    for segment in path.split('/') {
        // The outermost collection has a word of its own.
        let kind = if count == 0 { "collection" } else { "resource" };
        if segment.is_empty() {
            return Err(if at == whole.len() {
                problem(whole, "has invalid trailing \"/\"".to_owned())
            } else {
                lacks(whole, &format!("a {kind} id"), at)
            });
        }
        if segment == "." || segment == ".." {
            return Err(problem(whole, format!("contains a {kind} id \"{segment}\" at index {at}")));
        }
        if count == 0 && is_reserved(segment) && numeric_id(segment).is_none() {
            return Err(Error::invalid(texts::reserved_collection(segment)));
        }
        check_id(segment)?;
        at += segment.len() + 1;
        count += 1;
    }
    if count > limits::PATH_SEGMENTS {
        return Err(Error::invalid(texts::KEY_TOO_LONG));
    }
    if path.len() > limits::NAME_BYTES {
        return Err(problem(whole, format!("is longer than {} bytes", limits::NAME_BYTES)));
    }
    Ok(count)
}

/// The path of a parent: the root (empty) or a document.
pub fn check_parent(path: &str, whole: &str) -> Result<(), Error> {
    if path.is_empty() && whole.ends_with('/') {
        return Err(problem(whole, OMIT_SLASH.to_owned()).about("Document parent name"));
    }
    if !path.is_empty() && check_path(path, whole)? % 2 == 1 {
        return Err(lacks(whole, "\"/\"", whole.len()).about("Document parent name"));
    }
    Ok(())
}

/// Checks one id of a document or collection.
pub fn check_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        Err(Error::invalid(texts::empty_id("Resource")))
    } else if id.contains('/') {
        Err(Error::invalid(texts::slash_in_id(id)))
    } else if id == "." || id == ".." || (is_reserved(id) && numeric_id(id).is_none()) {
        Err(Error::invalid(texts::reserved_id(id)))
    } else if id.len() > limits::ID_BYTES {
        Err(Error::invalid(texts::LONG_ID))
    } else {
        Ok(())
    }
}

impl fmt::Debug for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl PartialOrd for DocumentName {
    fn partial_cmp(&self, other: &DocumentName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DocumentName {
    fn cmp(&self, other: &DocumentName) -> Ordering {
        compare_paths(&self.path, &other.path)
    }
}

/// The number in `__id123__`, the form in which ids given by Datastore appear.
pub fn numeric_id(id: &str) -> Option<i64> {
    id.strip_prefix("__id")?.strip_suffix("__")?.parse().ok()
}

/// Compares paths segment by segment.
pub fn compare_paths(a: &str, b: &str) -> Ordering {
    /// Names in one collection begin alike: compared by the word, not by the byte.
    const WORD: usize = 8;
    let (first, second) = (a, b);
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD)).take_while(|(a, b)| a == b).count() * WORD;
    let bytes = a.iter().zip(b).skip(words).take_while(|(a, b)| a == b).count();
    let same = words + bytes;
    // Only the segments that differ tell: those before them are the same, byte by byte.
    let start = a.iter().take(same).rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let is_numeric = |bytes: &[u8]| bytes.get(start..).is_some_and(|segment| segment.starts_with(b"__id"));
    if is_numeric(a) || is_numeric(b) {
        return compare_with_numeric_ids(first, second);
    }
    // At the first difference, the end or a slash means that the segment ends there: it is the lesser.
    let rank = |bytes: &[u8]| match bytes.get(same) {
        None => 0_u16,
        Some(b'/') => 1,
        Some(byte) => u16::from(*byte) + 2,
    };
    rank(a).cmp(&rank(b))
}

fn compare_with_numeric_ids(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (numeric_id(a), numeric_id(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The order of reference values: database first, then the path.
pub fn compare_resource_names(a: &str, b: &str) -> Ordering {
    compare_paths(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(path: &str) -> DocumentName {
        DocumentName::parse_relative(path).unwrap()
    }

    #[test]
    fn takes_names_apart() {
        let (database, name) = DocumentName::parse("projects/p/databases/(default)/documents/a/b/c/d").unwrap();
        assert_eq!(database.as_str(), "projects/p/databases/(default)");
        assert_eq!((database.project(), database.database()), ("p", "(default)"));
        assert_eq!((name.collection(), name.collection_id(), name.id()), ("a/b/c", "c", "d"));
        assert_eq!(database.resource(name.path()), "projects/p/databases/(default)/documents/a/b/c/d");
    }

    #[test]
    fn refuses_what_is_no_document() {
        for path in ["", "a", "a/b/c", "a//b/c", "a/.", "a/..", "a/__x__", "/a/b"] {
            assert!(DocumentName::parse_relative(path).is_err(), "{path}");
        }
        assert!(DocumentName::parse_relative(&format!("a/{}", "x".repeat(1501))).is_err());
        assert!(DocumentName::parse_relative("a/__id7__").is_ok());
        assert!(DocumentName::parse("projects/p/databases/d/docs/a/b").is_err());
    }

    #[test]
    fn says_where_a_name_is_wrong() {
        for (name, problem) in [
            ("foo", "lacks \"projects\" at index 0."),
            ("projects//databases/d/documents/c/d", "lacks a project id at index 9."),
            ("projects/p/databases//documents/c/d", "lacks a database id at index 21."),
            ("projects/p/databases/d/documents/", "is invalid: Omit trailing \"/\"."),
            ("projects/p/databases/d/documents//c/d", "lacks a collection id at index 33."),
            ("projects/p/databases/d/documents/c", "lacks \"/\" at index 34."),
            ("projects/p/databases/d/documents/c/", "has invalid trailing \"/\"."),
            ("projects/p/databases/d/documents/c/..", "contains a resource id \"..\" at index 35."),
            ("projects/p/databases/d/documents/c//d/e", "lacks a resource id at index 35."),
        ] {
            let error = DocumentName::parse(name).unwrap_err();
            assert_eq!(error.to_string(), format!("Document name \"{name}\" {problem}"));
        }
        for (name, problem) in [
            ("", "lacks \"projects\" at index 0."),
            ("projects/p", "lacks \"/\" at index 10."),
            ("projects/p/databases/d/", "has invalid trailing \"/\"."),
            ("projects/p/databases/d/documents", "has extra characters at index 22."),
        ] {
            let error = DatabaseName::parse(name).unwrap_err();
            assert_eq!(error.to_string(), format!("Database name \"{name}\" {problem}"));
        }
        let long = format!("projects/p/databases/d/documents{}", "/x".repeat(202));
        assert_eq!(DocumentName::parse(&long).unwrap_err().to_string(), texts::KEY_TOO_LONG);
    }

    #[test]
    fn orders_segment_by_segment() {
        let ordered = ["a/__id2__", "a/__id10__", "a/b", "a/b/c/d", "a/b-c", "a/bc", "a-x/b", "b/a", "b/ä"];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(name(a).cmp(&name(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_quick_comparison_is_the_one_by_segments(
            same in "[ab/]{0,20}",
            a in "(a|b|/|-|__|__id|__id1__|__id01__|__id2__){0,5}",
            b in "(a|b|/|-|__|__id|__id1__|__id01__|__id2__){0,5}",
        ) {
            let (a, b) = (format!("{same}{a}"), format!("{same}{b}"));
            prop_assert_eq!(compare_paths(&a, &b), compare_with_numeric_ids(&a, &b), "{} {}", a, b);
        }

        #[test]
        fn the_quick_comparison_is_the_plain_one(a in "[a-c/\\-]{1,8}", b in "[a-c/\\-]{1,8}") {
            let plain = a.split('/').cmp(b.split('/'));
            prop_assert_eq!(compare_paths(&a, &b), plain);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(projects|databases|documents|/|a|\\.|__){0,14}") {
            let _ = DocumentName::parse(&text);
            let _ = DatabaseName::parse(&text);
        }
    }
}
