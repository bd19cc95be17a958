//! `firestore.indexes.json`, in the form that the Firebase CLI reads and writes.

use serde::Deserialize;
use serde_json::{Value as Json, json};
use thiserror::Error;

use super::catalogue::{ALL_FIELDS, Catalogue, Composite, FieldSettings, Kind, QueryScope};
use super::required::Missing;
use crate::path::FieldPath;

/// What is wrong with an index file, and where.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {line}: {problem}")]
pub struct FileError {
    /// From 1.
    pub line: usize,
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    indexes: Vec<IndexEntry>,
    #[serde(default)]
    field_overrides: Vec<OverrideEntry>,
}

#[derive(Deserialize)]
#[serde(try_from = "RawIndex")]
struct IndexEntry(Composite);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawIndex {
    #[serde(alias = "collectionId")]
    collection_group: String,
    query_scope: Option<ScopeWord>,
    fields: Vec<RawField>,
    /// Said of other kinds of databases; here they change nothing.
    #[serde(default, rename = "apiScope")]
    _api_scope: Option<Json>,
    #[serde(default, rename = "density")]
    _density: Option<Json>,
    #[serde(default, rename = "multikey")]
    _multikey: Option<Json>,
    #[serde(default, rename = "unique")]
    _unique: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawField {
    field_path: String,
    #[serde(alias = "mode")]
    order: Option<OrderWord>,
    array_config: Option<ArrayWord>,
    vector_config: Option<VectorConfig>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ScopeWord {
    Collection,
    CollectionGroup,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OrderWord {
    Ascending,
    Descending,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ArrayWord {
    Contains,
}

#[derive(Deserialize)]
struct VectorConfig {
    dimension: u32,
}

#[derive(Deserialize)]
#[serde(try_from = "RawOverride")]
struct OverrideEntry {
    group: String,
    path: String,
    settings: FieldSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawOverride {
    #[serde(alias = "collectionId")]
    collection_group: String,
    field_path: String,
    #[serde(default)]
    ttl: bool,
    indexes: Option<Vec<RawSingle>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSingle {
    query_scope: Option<ScopeWord>,
    #[serde(alias = "mode")]
    order: Option<OrderWord>,
    array_config: Option<ArrayWord>,
    #[serde(default, rename = "apiScope")]
    _api_scope: Option<Json>,
    #[serde(default, rename = "density")]
    _density: Option<Json>,
    #[serde(default, rename = "multikey")]
    _multikey: Option<Json>,
}

fn scope(word: Option<ScopeWord>) -> QueryScope {
    match word {
        Some(ScopeWord::CollectionGroup) => QueryScope::Group,
        Some(ScopeWord::Collection) | None => QueryScope::Collection,
    }
}

fn kind(
    order: Option<OrderWord>,
    array: Option<ArrayWord>,
    vector: Option<VectorConfig>,
    of: &str,
) -> Result<Kind, String> {
    match (order, array, vector) {
        (Some(OrderWord::Ascending), None, None) => Ok(Kind::Ascending),
        (Some(OrderWord::Descending), None, None) => Ok(Kind::Descending),
        (None, Some(ArrayWord::Contains), None) => Ok(Kind::Contains),
        (None, None, Some(config)) => Ok(Kind::Vector(config.dimension)),
        _ => Err(format!("{of} must have exactly one of order, arrayConfig and vectorConfig")),
    }
}

impl TryFrom<RawIndex> for IndexEntry {
    type Error = String;

    fn try_from(raw: RawIndex) -> Result<IndexEntry, String> {
        if raw.collection_group.is_empty() || raw.collection_group.contains('/') {
            return Err(format!("`{}` is not the id of a collection", raw.collection_group));
        }
        let mut fields = Vec::with_capacity(raw.fields.len());
        for field in raw.fields {
            let path = FieldPath::parse(&field.field_path).map_err(|error| error.to_string())?;
            let of = format!("the field `{}`", field.field_path);
            fields.push((path, kind(field.order, field.array_config, field.vector_config, &of)?));
        }
        if fields.is_empty() {
            return Err("an index must have fields".to_owned());
        }
        Ok(IndexEntry(Composite::new(&raw.collection_group, scope(raw.query_scope), fields)))
    }
}

impl TryFrom<RawOverride> for OverrideEntry {
    type Error = String;

    fn try_from(raw: RawOverride) -> Result<OverrideEntry, String> {
        let path = match raw.field_path.as_str() {
            ALL_FIELDS => ALL_FIELDS.to_owned(),
            path => FieldPath::parse(path).map_err(|error| error.to_string())?.to_string(),
        };
        let of = format!("each index of the field `{path}`");
        let single =
            |index: RawSingle| Ok((scope(index.query_scope), kind(index.order, index.array_config, None, &of)?));
        let indexes = raw.indexes.map(|all| all.into_iter().map(single).collect::<Result<_, String>>()).transpose()?;
        Ok(OverrideEntry { group: raw.collection_group, path, settings: FieldSettings { indexes, ttl: raw.ttl } })
    }
}

/// Reads an index file. Comments are allowed, as the Firebase CLI allows them.
pub fn read(text: &str) -> Result<Catalogue, FileError> {
    let file: File = serde_json::from_str(&without_comments(text)).map_err(|error| {
        // The place stands in front already.
        let place = format!(" at line {} column {}", error.line(), error.column());
        FileError { line: error.line().max(1), problem: error.to_string().replace(&place, "") }
    })?;
    let mut catalogue = Catalogue::default();
    for IndexEntry(index) in file.indexes {
        // The CLI takes the same index twice for once.
        catalogue.add(index);
    }
    for entry in file.field_overrides {
        catalogue.set_field(&entry.group, &entry.path, entry.settings);
    }
    Ok(catalogue)
}

/// Blanks comments out, so that lines and columns stay what they are.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(_)) if in_string => {
                plain.push(c);
                plain.extend(chars.next());
            }
            ('"', _) => {
                in_string = !in_string;
                plain.push(c);
            }
            ('/', Some('/')) if !in_string => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
            }
            ('/', Some('*')) if !in_string => {
                chars.next();
                let mut before = ' ';
                for c in chars.by_ref() {
                    if c == '\n' {
                        plain.push(c);
                    }
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            _ => plain.push(c),
        }
    }
    plain
}

/// A catalogue as an index file.
pub fn write(catalogue: &Catalogue) -> Json {
    let indexes: Vec<Json> = catalogue.composites().map(|(_, index)| composite(index)).collect();
    let overrides: Vec<Json> = catalogue
        .fields()
        .map(|(group, path, settings)| {
            let mut entry = json!({ "collectionGroup": group, "fieldPath": path });
            if settings.ttl {
                entry["ttl"] = json!(true);
            }
            let inherited = super::catalogue::automatic();
            let indexes = settings.indexes.as_ref().unwrap_or(&inherited);
            entry["indexes"] = indexes.iter().map(single).collect();
            entry
        })
        .collect();
    json!({ "indexes": indexes, "fieldOverrides": overrides })
}

fn composite(index: &Composite) -> Json {
    // A name in the direction that it has anyway is left out, as the CLI does.
    let implied = |fields: &[(FieldPath, Kind)]| Composite::new(&index.group, index.scope, fields.to_vec()) == *index;
    let without: Vec<_> = index.fields.iter().filter(|(path, _)| !path.is_name()).cloned().collect();
    let fields = if !without.is_empty() && implied(&without) { &without } else { &index.fields };
    let fields: Vec<Json> = fields
        .iter()
        .map(|(path, kind)| {
            let mut field = json!({ "fieldPath": path.to_string() });
            match kind {
                Kind::Ascending => field["order"] = json!("ASCENDING"),
                Kind::Descending => field["order"] = json!("DESCENDING"),
                Kind::Contains => field["arrayConfig"] = json!("CONTAINS"),
                Kind::Vector(dimension) => field["vectorConfig"] = json!({ "dimension": dimension, "flat": {} }),
            }
            field
        })
        .collect();
    json!({ "collectionGroup": &*index.group, "queryScope": scope_text(index.scope), "fields": fields })
}

fn single((scope, kind): &(QueryScope, Kind)) -> Json {
    match kind {
        Kind::Contains => json!({ "arrayConfig": "CONTAINS", "queryScope": scope_text(*scope) }),
        Kind::Descending => json!({ "order": "DESCENDING", "queryScope": scope_text(*scope) }),
        _ => json!({ "order": "ASCENDING", "queryScope": scope_text(*scope) }),
    }
}

/// `COLLECTION` or `COLLECTION_GROUP`.
pub fn scope_text(scope: QueryScope) -> &'static str {
    match scope {
        QueryScope::Collection => "COLLECTION",
        QueryScope::Group => "COLLECTION_GROUP",
    }
}

/// Adds a missing index to a catalogue.
pub fn supply(catalogue: &mut Catalogue, missing: &Missing) {
    match missing {
        Missing::Composite(index) => {
            catalogue.add(index.clone());
        }
        Missing::Single { group, scope, path, kind } => {
            let mut settings = catalogue.field(group, &path.to_string()).cloned().unwrap_or_default();
            // Saying anything about a field replaces what it has by itself, so that is said too.
            let indexes = settings.indexes.get_or_insert_with(super::catalogue::automatic);
            if !indexes.contains(&(*scope, *kind)) {
                indexes.push((*scope, *kind));
            }
            catalogue.set_field(group, &path.to_string(), settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
  // Written by hand.
  "indexes": [
    { "collectionGroup": "c", "queryScope": "COLLECTION", /* several
      lines */ "fields": [
        { "fieldPath": "a", "order": "ASCENDING" },
        { "fieldPath": "`x // y`", "arrayConfig": "CONTAINS" },
        { "fieldPath": "n", "order": "DESCENDING" } ] },
    { "collectionGroup": "v", "queryScope": "COLLECTION_GROUP", "fields": [
        { "fieldPath": "e", "vectorConfig": { "dimension": 3, "flat": {} } } ] }
  ],
  "fieldOverrides": [
    { "collectionGroup": "c", "fieldPath": "expires", "ttl": true, "indexes": [] },
    { "collectionGroup": "c", "fieldPath": "g", "indexes": [
        { "order": "ASCENDING", "queryScope": "COLLECTION_GROUP" } ] }
  ]
}"#;

    #[test]
    fn a_file_comes_out_as_it_went_in() {
        let catalogue = read(FILE).unwrap();
        assert_eq!(catalogue.composites().count(), 2);
        let (_, first) = catalogue.composites().next().unwrap();
        assert_eq!(first.fields.last().map(|(path, kind)| (path.is_name(), *kind)), Some((true, Kind::Descending)));
        assert!(catalogue.field("c", "expires").unwrap().ttl);
        let written = write(&catalogue);
        assert_eq!(read(&written.to_string()).unwrap(), catalogue);
        assert_eq!(written["indexes"][0]["fields"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, wanted) in [
            ("{\n\"indexes\": [\n}", "line 3: expected value"),
            (
                "{\n\"indexes\": [{\"collectionGroup\": \"c\", \"fields\": [\n{\"fieldPath\": \"a\"}]}]}",
                "line 3: the field `a` must have exactly one of order, arrayConfig and vectorConfig",
            ),
            (
                "{\"indexes\": [\n{\"collectionGroup\": \"c\",\n\"fields\": [{\"fieldPath\": \"a\", \"order\": \"UP\"}]}]}",
                "line 3: unknown variant `UP`, expected `ASCENDING` or `DESCENDING`",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), wanted);
        }
    }
}
