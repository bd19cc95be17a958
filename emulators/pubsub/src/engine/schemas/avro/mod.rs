//! Avro definitions: read once into a table of types, which messages are then checked against.
//!
//! Rules: <https://avro.apache.org/docs/1.11.1/specification/>. Logical types and documentation are read over, as
//! the specification wants of those who do not know them.

mod binary;
mod json;
mod resolution;

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Nesting of a definition or of a message. Ours: production's limit is not documented.
const DEPTH: usize = 100;

/// A definition. Types refer to each other by their place in the table, so that a type may hold itself.
#[derive(Debug)]
pub struct Avro {
    nodes: Vec<Node>,
    root: usize,
}

#[derive(Debug)]
enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Record {
        name: String,
        fields: Vec<Field>,
    },
    Enum {
        name: String,
        symbols: Vec<String>,
        has_default: bool,
    },
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Fixed {
        name: String,
        size: usize,
    },
    /// A named type while its own fields are read.
    Open,
}

#[derive(Debug)]
struct Field {
    name: String,
    aliases: Vec<String>,
    node: usize,
    has_default: bool,
}

impl Avro {
    /// Reads a definition; the text of an error says what is wrong with it.
    pub fn parse(definition: &str) -> Result<Avro, String> {
        let value: Value = serde_json::from_str(definition).map_err(|error| error.to_string())?;
        if value.is_array() {
            return Err("a union cannot be the top-level type".to_owned());
        }
        let mut parser = Parser { nodes: Vec::new(), names: HashMap::new() };
        let root = parser.schema(&value, "", 0)?;
        Ok(Avro { nodes: parser.nodes, root })
    }

    pub fn fields(&self) -> Vec<String> {
        match self.node(self.root) {
            Node::Record { fields, .. } => fields.iter().map(|field| field.name.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn node(&self, at: usize) -> &Node {
        // Places come from the parser; a place that is none cannot match anything.
        self.nodes.get(at).unwrap_or(&Node::Open)
    }

    /// What a type is called as a branch of a union in JSON.
    fn branch_name(&self, at: usize) -> &str {
        match self.node(at) {
            Node::Null => "null",
            Node::Boolean => "boolean",
            Node::Int => "int",
            Node::Long => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Bytes => "bytes",
            Node::String => "string",
            Node::Array(_) => "array",
            Node::Map(_) => "map",
            Node::Union(_) => "union",
            Node::Record { name, .. } | Node::Enum { name, .. } | Node::Fixed { name, .. } => name,
            Node::Open => "",
        }
    }
}

struct Parser {
    nodes: Vec<Node>,
    /// Full names of records, enums and fixed types.
    names: HashMap<String, usize>,
}

impl Parser {
    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn set(&mut self, at: usize, node: Node) {
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
    }

    fn schema(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<usize, String> {
        if depth > DEPTH {
            return Err("the definition is nested too deeply".to_owned());
        }
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => self.union(branches, namespace, depth),
            Value::Object(object) => self.object(object, namespace, depth),
            _ => Err(format!("{value} is not a type")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        let primitive = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" => Node::Int,
            "long" => Node::Long,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" => Node::Bytes,
            "string" => Node::String,
            _ => {
                let full = full_name(name, namespace);
                let known = self.names.get(&full).or_else(|| self.names.get(name)).copied();
                return known.ok_or_else(|| format!("unknown type: {name}"));
            }
        };
        Ok(self.push(primitive))
    }

    fn union(&mut self, branches: &[Value], namespace: &str, depth: usize) -> Result<usize, String> {
        let mut places = Vec::new();
        let mut seen = Vec::new();
        for branch in branches {
            if branch.is_array() {
                return Err("a union cannot hold a union".to_owned());
            }
            let place = self.schema(branch, namespace, depth + 1)?;
            let key = match self.nodes.get(place) {
                Some(Node::Record { name, .. } | Node::Enum { name, .. } | Node::Fixed { name, .. }) => name.clone(),
                // The record that this union is inside of.
                Some(Node::Open) => format!("open {place}"),
                Some(node) => format!("{:?}", std::mem::discriminant(node)),
                None => String::new(),
            };
            if seen.contains(&key) {
                return Err("a union cannot hold a type twice".to_owned());
            }
            seen.push(key);
            places.push(place);
        }
        Ok(self.push(Node::Union(places)))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<usize, String> {
        let kind = object.get("type").ok_or("a type is missing")?;
        let Value::String(kind) = kind else { return self.schema(kind, namespace, depth + 1) };
        let inner = |key: &str| object.get(key).ok_or_else(|| format!("{kind} without {key}"));
        match kind.as_str() {
            "record" | "error" => self.record(object, namespace, depth),
            "enum" => {
                let (name, _) = self.declare(object, namespace)?;
                let symbols = inner("symbols")?.as_array().ok_or("symbols is not an array")?;
                let symbols: Vec<String> = symbols
                    .iter()
                    .map(|symbol| symbol.as_str().filter(|symbol| is_name(symbol)).map(str::to_owned))
                    .collect::<Option<_>>()
                    .ok_or("a symbol is not a name")?;
                let mut sorted: Vec<&String> = symbols.iter().collect();
                sorted.sort();
                sorted.dedup();
                if sorted.len() != symbols.len() {
                    return Err("a symbol is there twice".to_owned());
                }
                let has_default = object.get("default").is_some_and(Value::is_string);
                let place = self.push(Node::Enum { name: name.clone(), symbols, has_default });
                self.names.insert(name, place);
                Ok(place)
            }
            "fixed" => {
                let (name, _) = self.declare(object, namespace)?;
                let size = inner("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("size is not a number of bytes")?;
                let place = self.push(Node::Fixed { name: name.clone(), size });
                self.names.insert(name, place);
                Ok(place)
            }
            "array" => {
                let items = self.schema(inner("items")?, namespace, depth + 1)?;
                Ok(self.push(Node::Array(items)))
            }
            "map" => {
                let values = self.schema(inner("values")?, namespace, depth + 1)?;
                Ok(self.push(Node::Map(values)))
            }
            name => self.named(name, namespace),
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<usize, String> {
        let (name, namespace) = self.declare(object, namespace)?;
        let place = self.push(Node::Open);
        self.names.insert(name.clone(), place);
        let given = object.get("fields").and_then(Value::as_array).ok_or("record without fields")?;
        let mut fields: Vec<Field> = Vec::with_capacity(given.len());
        for field in given {
            let field_name = field.get("name").and_then(Value::as_str).unwrap_or_default();
            if !is_name(field_name) {
                return Err(format!("a field of {name} has no name"));
            }
            if fields.iter().any(|field| field.name == field_name) {
                return Err(format!("the field {field_name} is there twice"));
            }
            let kind = field.get("type").ok_or_else(|| format!("the field {field_name} has no type"))?;
            let aliases = field.get("aliases").and_then(Value::as_array).into_iter().flatten();
            fields.push(Field {
                name: field_name.to_owned(),
                aliases: aliases.filter_map(Value::as_str).map(str::to_owned).collect(),
                node: self.schema(kind, &namespace, depth + 1)?,
                has_default: field.get("default").is_some(),
            });
        }
        self.set(place, Node::Record { name, fields });
        Ok(place)
    }

    /// The full name of a type that is defined here, and its namespace.
    fn declare(&self, object: &Map<String, Value>, namespace: &str) -> Result<(String, String), String> {
        let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = full_name(name, namespace);
        if name.is_empty() || !full.split('.').all(is_name) {
            return Err(format!("{name:?} is not a name"));
        }
        if self.names.contains_key(&full) {
            return Err(format!("the type {full} is defined twice"));
        }
        let namespace = full.rsplit_once('.').map(|(namespace, _)| namespace.to_owned()).unwrap_or_default();
        Ok((full, namespace))
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_that_are_none_are_refused() {
        for bad in [
            "",
            "{",
            "[]",
            r#"["null", "int"]"#,
            r#"{"type": "record", "name": "A"}"#,
            r#"{"type": "record", "fields": []}"#,
            r#"{"type": "record", "name": "A", "fields": [{"name": "a"}]}"#,
            r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": "B"}]}"#,
            r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}"#,
            r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": ["int", "int"]}]}"#,
            r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": ["int", ["null"]]}]}"#,
            r#"{"type": "enum", "name": "E", "symbols": ["a", "a"]}"#,
            r#"{"type": "fixed", "name": "F"}"#,
            r#"{"type": "array"}"#,
            r#"{"type": 7}"#,
        ] {
            assert!(Avro::parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{}\"int\"{}", r#"{"type": "array", "items": "#.repeat(120), "}".repeat(120));
        assert!(Avro::parse(&deep).is_err());
    }

    #[test]
    fn a_type_may_hold_itself() {
        let list = r#"{"type": "record", "name": "List", "namespace": "my.ns", "fields": [
            {"name": "head", "type": "int"}, {"name": "tail", "type": ["null", "List"], "default": null}]}"#;
        let avro = Avro::parse(list).expect("a definition");
        assert!(avro.read_json(br#"{"head": 1, "tail": {"my.ns.List": {"head": 2, "tail": null}}}"#).is_ok());
    }
}
