//! Avro schemas as other programs write them, and the binary encoding of their values.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

/// Schemas nest at most this deep, types that are named and used again counted where they are used.
const MAX_DEPTH: usize = 32;
/// Leaves of a schema counted likewise: BigQuery's limit of columns.
const MAX_LEAVES: usize = 10_000;

/// A schema, names resolved. Types that hold themselves are refused.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub logical: Option<String>,
    /// BigQuery's own annotation.
    pub sql_type: Option<String>,
    pub precision: u32,
    pub scale: u32,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Arc<Vec<String>>),
    Array(Arc<Node>),
    Map(Arc<Node>),
    Union(Arc<Vec<Node>>),
    Record(Arc<Vec<(String, Node)>>),
}

/// Reads a schema's JSON.
pub fn parse(schema: &Json) -> Result<Node, String> {
    Ok(Names::default().node(schema, "", 0)?.0)
}

/// How large a type is with all that it is made of: a name stands for much in few letters.
#[derive(Clone, Copy)]
struct Extent {
    height: usize,
    leaves: usize,
}

const LEAF: Extent = Extent { height: 0, leaves: 1 };
const TOO_DEEP: &str = "Avro schema is nested too deeply";

impl Extent {
    fn around(parts: impl IntoIterator<Item = Extent>) -> Result<Extent, String> {
        let mut whole = Extent { height: 0, leaves: 0 };
        for part in parts {
            whole.height = whole.height.max(part.height + 1);
            whole.leaves += part.leaves;
        }
        if whole.height > MAX_DEPTH {
            return Err(TOO_DEEP.into());
        }
        if whole.leaves > MAX_LEAVES {
            return Err(format!("Avro schema has more than {MAX_LEAVES} fields"));
        }
        Ok(whole)
    }
}

#[derive(Default)]
struct Names {
    defined: HashMap<String, (Node, Extent)>,
}

impl Names {
    fn node(&mut self, schema: &Json, namespace: &str, depth: usize) -> Result<(Node, Extent), String> {
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP.into());
        }
        match schema {
            Json::String(name) => self.named(name, namespace),
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace, depth + 1));
                let (nodes, extents): (Vec<_>, Vec<_>) = branches.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
                Ok((plain(Kind::Union(Arc::new(nodes))), Extent::around(extents)?))
            }
            Json::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Json::as_str);
                let number = |key: &str| object.get(key).and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
                let ty = object.get("type").ok_or("Avro type is missing")?;
                let namespace = text("namespace").unwrap_or(namespace);
                let (mut node, extent) = match ty.as_str() {
                    Some("record" | "error") => self.record(object, namespace, depth)?,
                    Some("enum") => {
                        let symbols =
                            object.get("symbols").and_then(Json::as_array).ok_or("Avro enum without symbols")?;
                        let symbols = symbols.iter().map(|symbol| symbol.as_str().unwrap_or_default().to_owned());
                        (plain(Kind::Enum(Arc::new(symbols.collect()))), LEAF)
                    }
                    Some("array") => {
                        let items = object.get("items").ok_or("Avro array without items")?;
                        let (items, extent) = self.node(items, namespace, depth + 1)?;
                        (plain(Kind::Array(Arc::new(items))), Extent::around([extent])?)
                    }
                    Some("map") => {
                        let values = object.get("values").ok_or("Avro map without values")?;
                        let (values, extent) = self.node(values, namespace, depth + 1)?;
                        (plain(Kind::Map(Arc::new(values))), Extent::around([extent])?)
                    }
                    Some("fixed") => {
                        (plain(Kind::Fixed(number("size").ok_or("Avro fixed without size")? as usize)), LEAF)
                    }
                    _ => self.node(ty, namespace, depth + 1)?,
                };
                if let Some(logical) = text("logicalType") {
                    node.logical = Some(logical.to_owned());
                    node.precision = number("precision").unwrap_or(0);
                    node.scale = number("scale").unwrap_or(0);
                }
                if let Some(sql_type) = text("sqlType") {
                    node.sql_type = Some(sql_type.to_owned());
                }
                if let (Some("record" | "error" | "enum" | "fixed"), Some(name)) = (ty.as_str(), text("name")) {
                    self.defined.insert(full_name(name, namespace), (node.clone(), extent));
                }
                Ok((node, extent))
            }
            other => Err(format!("{other} is not an Avro type")),
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<(Node, Extent), String> {
        let kind = match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            _ => {
                let found = self.defined.get(&full_name(name, namespace)).or_else(|| self.defined.get(name));
                return found.cloned().ok_or_else(|| format!("Avro type {name} is not defined before it is used"));
            }
        };
        Ok((plain(kind), LEAF))
    }

    fn record(
        &mut self,
        object: &serde_json::Map<String, Json>,
        namespace: &str,
        depth: usize,
    ) -> Result<(Node, Extent), String> {
        let fields = object.get("fields").and_then(Json::as_array).ok_or("Avro record without fields")?;
        let (mut read, mut extents) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for field in fields {
            let name = field.get("name").and_then(Json::as_str).ok_or("Avro field without a name")?;
            let ty = field.get("type").ok_or("Avro field without a type")?;
            let (node, extent) = self.node(ty, namespace, depth + 1)?;
            read.push((name.to_owned(), node));
            extents.push(extent);
        }
        Ok((plain(Kind::Record(Arc::new(read))), Extent::around(extents)?))
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn plain(kind: Kind) -> Node {
    Node { kind, logical: None, sql_type: None, precision: 0, scale: 0 }
}

/// A value as it was written, before anybody gave it a SQL type.
#[derive(Clone, Debug)]
pub enum Datum {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    Bytes(Vec<u8>),
    String(String),
    Array(Vec<Datum>),
    Map(Vec<(String, Datum)>),
    Record(Vec<Datum>),
}

/// Takes bytes from the front.
pub struct Input<'a>(pub &'a [u8]);

const ENDS: &str = "The Avro data ends early";

impl<'a> Input<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ENDS)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn long(&mut self) -> Result<i64, String> {
        let mut bits = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?.first().copied().ok_or(ENDS)?;
            bits |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err("An Avro number is longer than 64 bits".into())
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.long()?).map_err(|_| "An Avro length is negative")?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "An Avro string is not valid UTF-8".into())
    }

    /// One value; the union's branch it was written with is gone into it, see [`branch`].
    pub fn datum(&mut self, node: &Node) -> Result<Datum, String> {
        Ok(match &node.kind {
            Kind::Null => Datum::Null,
            Kind::Boolean => Datum::Boolean(self.take(1)?.first() == Some(&1)),
            Kind::Int | Kind::Long => Datum::Long(self.long()?),
            Kind::Float => Datum::Double(f64::from(f32::from_le_bytes(array(self.take(4)?)?))),
            Kind::Double => Datum::Double(f64::from_le_bytes(array(self.take(8)?)?)),
            Kind::Bytes => Datum::Bytes(self.bytes()?.to_vec()),
            Kind::Fixed(size) => Datum::Bytes(self.take(*size)?.to_vec()),
            Kind::String => Datum::String(self.text()?),
            Kind::Enum(symbols) => {
                let index = usize::try_from(self.long()?).ok();
                let symbol = index.and_then(|index| symbols.get(index)).ok_or("An Avro enum has no such symbol")?;
                Datum::String(symbol.clone())
            }
            Kind::Array(items) => {
                let mut all = Vec::new();
                self.blocks(|input| {
                    all.push(input.datum(items)?);
                    Ok(())
                })?;
                Datum::Array(all)
            }
            Kind::Map(values) => {
                let mut all = Vec::new();
                self.blocks(|input| {
                    all.push((input.text()?, input.datum(values)?));
                    Ok(())
                })?;
                Datum::Map(all)
            }
            Kind::Union(branches) => {
                let index = usize::try_from(self.long()?).ok();
                let branch = index.and_then(|index| branches.get(index)).ok_or("An Avro union has no such branch")?;
                self.datum(branch)?
            }
            Kind::Record(fields) => {
                Datum::Record(fields.iter().map(|(_, field)| self.datum(field)).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Arrays and maps come in blocks; an empty one ends them.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The block's size in bytes follows, for readers that skip it.
                self.long()?;
                count = count.checked_neg().ok_or("An Avro block is too long")?;
            }
            // Items of no bytes could be counted in billions.
            if usize::try_from(count).map_or(true, |count| count > self.0.len()) {
                return Err(ENDS.into());
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| ENDS.into())
}
