//! Reading declarations: values with their place in the file, and messages of the API from tables.

use std::collections::HashMap;

use scrimmage_core::duration;
use scrimmage_protos::prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What is wrong, and where: the place is counted in bytes.
#[derive(Debug)]
pub struct Problem {
    pub at: usize,
    pub text: String,
}

impl Problem {
    pub fn new(at: usize, text: impl Into<String>) -> Problem {
        Problem { at, text: text.into() }
    }

    /// A key that is none of `known`.
    pub fn unknown(key: &Spanned<DeString<'_>>, what: &str, name: &str, known: &[&str]) -> Problem {
        let right = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        Problem::new(key.span().start, format!("`{name}` is not {what}; {right}"))
    }
}

/// The known name that was probably meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let close = |other: &&&str| {
        distance(name, other) <= 2 || (name.len() > 3 && (other.starts_with(name) || name.starts_with(**other)))
    };
    known.iter().filter(close).min_by_key(|other| distance(name, other)).copied()
}

/// Letters to change, add or take away.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut before = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (up, candidate) in row.iter().skip(1).zip(&other) {
            left = (before + usize::from(letter != *candidate)).min(left + 1).min(up + 1);
            before = *up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// What all sections are read with.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub text: &'a str,
    pub project: &'a str,
}

impl Scope<'_> {
    /// The line of a place, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
    }

    /// `requests` as `projects/{project}/topics/requests`; a full name stays.
    pub fn full_name(&self, collection: &str, name: &str) -> String {
        if name.is_empty() || name.contains('/') {
            return name.to_owned();
        }
        format!("projects/{}/{collection}/{name}", self.project)
    }

    /// A message of the API from a table with its fields, by their names in the .proto file.
    pub fn message(&self, of: &MessageDescriptor, table: &DeTable<'_>) -> Result<DynamicMessage, Problem> {
        let mut message = DynamicMessage::new(of.clone());
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let Some(field) = of.get_field_by_name(name) else {
                let names: Vec<String> =
                    of.fields().filter(|field| !is_output(field)).map(|field| field.name().to_owned()).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                return Err(Problem::unknown(key, &format!("a field of {}", of.name()), name, &names));
            };
            if is_output(&field) {
                let text = format!("`{name}` is only ever shown, it cannot be set");
                return Err(Problem::new(key.span().start, text));
            }
            let value = self.field(&field, name, value)?;
            message.set_field(&field, value);
        }
        Ok(message)
    }

    fn field(&self, field: &FieldDescriptor, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Value, Problem> {
        if field.is_map() {
            let DeValue::Table(table) = value.get_ref() else {
                return Err(self.wrong(name, value, "a table, such as { key = \"value\" }"));
            };
            let Kind::Message(entry) = field.kind() else {
                return Err(self.wrong(name, value, "left out"));
            };
            let mut map = HashMap::new();
            for (key, value) in table {
                let name = key.get_ref().as_ref();
                let value = self.single(&entry.map_entry_value_field().kind(), name, value)?;
                map.insert(MapKey::String(name.to_owned()), value);
            }
            return Ok(Value::Map(map));
        }
        if field.is_list() {
            let DeValue::Array(array) = value.get_ref() else { return Err(self.wrong(name, value, "a list in [ ]")) };
            let all: Result<_, _> = array.iter().map(|one| self.single(&field.kind(), name, one)).collect();
            return Ok(Value::List(all?));
        }
        self.single(&field.kind(), name, value)
    }

    fn single(&self, kind: &Kind, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Value, Problem> {
        let wrong = |right: &str| self.wrong(name, value, right);
        match (kind, value.get_ref()) {
            (Kind::Bool, DeValue::Boolean(flag)) => Ok(Value::Bool(*flag)),
            (Kind::Bool, _) => Err(wrong("true or false")),
            (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, _) => {
                let number = integer(value).and_then(|number| i32::try_from(number).ok());
                number.map(Value::I32).ok_or_else(|| wrong("a whole number"))
            }
            (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, _) => {
                integer(value).map(Value::I64).ok_or_else(|| wrong("a whole number"))
            }
            (Kind::String, DeValue::String(text)) => Ok(Value::String(text.to_string())),
            (Kind::Bytes, DeValue::String(text)) => Ok(Value::Bytes(text.to_string().into())),
            (Kind::String | Kind::Bytes, _) => Err(wrong("a text in quotes")),
            (Kind::Enum(of), given) => {
                let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
                let chosen = match given {
                    DeValue::String(text) => of.get_value_by_name(text),
                    _ => None,
                };
                let chosen = chosen.map(|chosen| Value::EnumNumber(chosen.number()));
                chosen.ok_or_else(|| wrong(&format!("one of {}", names.join(", "))))
            }
            (Kind::Message(of), given) if of.full_name() == "google.protobuf.Duration" => {
                let DeValue::String(text) = given else { return Err(wrong("a duration, such as \"10m\"")) };
                let time = duration::parse(text)
                    .map_err(|error| Problem::new(value.span().start, format!("`{name}`: {error}")))?;
                let mut message = DynamicMessage::new(of.clone());
                let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
                message.set_field_by_name("seconds", Value::I64(seconds));
                message.set_field_by_name("nanos", Value::I32(i32::try_from(time.subsec_nanos()).unwrap_or(0)));
                Ok(Value::Message(message))
            }
            (Kind::Message(of), DeValue::Table(table)) => self.message(of, table).map(Value::Message),
            (Kind::Message(_), _) => Err(wrong("a table, such as { field = value }")),
            _ => Err(wrong("left out: this kind of field cannot be declared")),
        }
    }

    fn wrong(&self, name: &str, value: &Spanned<DeValue<'_>>, right: &str) -> Problem {
        let given: String = self.text.get(value.span()).unwrap_or_default().chars().take(40).collect();
        let given = given.split_whitespace().collect::<Vec<_>>().join(" ");
        Problem::new(value.span().start, format!("`{name}` is to be {right}, not {given}"))
    }
}

fn integer(value: &Spanned<DeValue<'_>>) -> Option<i64> {
    match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

/// Whether a field is `OUTPUT_ONLY`, by the API's own annotation.
fn is_output(field: &FieldDescriptor) -> bool {
    let options = field.options();
    let Some(behavior) = options.descriptor().parent_pool().get_extension_by_name("google.api.field_behavior") else {
        return false;
    };
    const OUTPUT_ONLY: i32 = 3;
    match options.get_extension(&behavior).as_ref() {
        Value::List(all) => all.contains(&Value::EnumNumber(OUTPUT_ONLY)),
        _ => false,
    }
}

/// The tables of `[[section.name]]`, each with its place.
pub fn tables<'a, 'i>(
    section: &str,
    name: &str,
    value: &'a Spanned<DeValue<'i>>,
) -> Result<Vec<(usize, &'a DeTable<'i>)>, Problem> {
    let wrong = |at: usize| Problem::new(at, format!("`{name}` is to be tables, as in [[{section}.{name}]]"));
    let DeValue::Array(array) = value.get_ref() else { return Err(wrong(value.span().start)) };
    array
        .iter()
        .map(|one| match one.get_ref() {
            DeValue::Table(table) => Ok((one.span().start, table)),
            _ => Err(wrong(one.span().start)),
        })
        .collect()
}
