//! A schema guessed from the data, for loads with `autodetect`.

use scrimmage_googlesql::Type;
use scrimmage_googlesql::catalog::{ColumnDef, Schema};
use serde_json::Value as Json;

use super::coerce;
use super::csv::{self, CsvOptions};
use crate::engine::table::plain_column;

/// How many rows are looked at, as the documentation says.
const SAMPLE: usize = 500;

/// What has been seen of a field so far.
#[derive(Clone, Debug)]
enum Guess {
    Nothing,
    Scalar(Type),
    Record(Vec<(String, Guess)>),
    Repeated(Box<Guess>),
}

/// Objects by line; the columns come in the reverse of the order in which they were first seen, as the service lists them.
pub fn ndjson(bytes: &[u8]) -> Schema {
    let mut fields: Vec<(String, Guess)> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').take(SAMPLE) {
        if let Ok(Json::Object(object)) = serde_json::from_slice(line) {
            merge_object(&mut fields, &object);
        }
    }
    Schema { columns: columns(&fields) }
}

fn merge_object(fields: &mut Vec<(String, Guess)>, object: &serde_json::Map<String, Json>) {
    for (key, value) in object {
        let at = fields.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            fields.push((key.clone(), Guess::Nothing));
            fields.len() - 1
        });
        merge(&mut fields[at].1, value);
    }
}

fn merge(guess: &mut Guess, value: &Json) {
    match (guess, value) {
        (_, Json::Null) => {}
        (Guess::Repeated(element), Json::Array(items)) => items.iter().for_each(|item| merge(element, item)),
        (guess, Json::Array(items)) => {
            let mut element = Guess::Nothing;
            items.iter().for_each(|item| merge(&mut element, item));
            *guess = Guess::Repeated(Box::new(element));
        }
        (Guess::Record(fields), Json::Object(object)) => merge_object(fields, object),
        (guess, Json::Object(object)) => {
            let mut fields = Vec::new();
            merge_object(&mut fields, object);
            *guess = Guess::Record(fields);
        }
        (guess, scalar) => {
            let seen = match scalar {
                Json::Bool(_) => Type::Bool,
                Json::Number(number) if number.is_i64() => Type::Int64,
                Json::Number(_) => Type::Float64,
                Json::String(text) => text_type(text),
                _ => Type::String,
            };
            *guess = match guess {
                Guess::Scalar(before) => Guess::Scalar(wider(before, &seen)),
                _ => Guess::Scalar(seen),
            };
        }
    }
}

fn wider(a: &Type, b: &Type) -> Type {
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (Type::Int64, Type::Float64) | (Type::Float64, Type::Int64) => Type::Float64,
        (Type::Date, Type::Timestamp) | (Type::Timestamp, Type::Date) => Type::Timestamp,
        _ => Type::String,
    }
}

fn text_type(text: &str) -> Type {
    let candidates = [Type::Int64, Type::Float64, Type::Date, Type::Time, Type::Timestamp];
    if matches!(text.to_ascii_lowercase().as_str(), "true" | "false") {
        return Type::Bool;
    }
    candidates.into_iter().find(|ty| !text.is_empty() && coerce::scalar(ty, text, "").is_ok()).unwrap_or(Type::String)
}

fn columns(fields: &[(String, Guess)]) -> Vec<ColumnDef> {
    fields.iter().rev().map(|(name, guess)| column(name, guess)).collect()
}

fn column(name: &str, guess: &Guess) -> ColumnDef {
    match guess {
        Guess::Nothing => plain_column(name, Type::String),
        Guess::Scalar(ty) => plain_column(name, ty.clone()),
        Guess::Record(fields) => {
            let fields = columns(fields);
            let ty = Type::struct_of(fields.iter().map(|field| (field.name.clone(), field.ty.clone())));
            ColumnDef { fields, ..plain_column(name, ty) }
        }
        Guess::Repeated(element) => {
            let element = column(name, element);
            ColumnDef {
                ty: Type::array(element.ty.clone()),
                fields: element.fields,
                ..plain_column(name, Type::String)
            }
        }
    }
}

/// CSV: types by column, names from the first row where it is text and the rest is not (or where it is skipped anyway).
pub fn csv(bytes: &[u8], options: &CsvOptions) -> (Schema, usize) {
    let text = String::from_utf8_lossy(bytes);
    let rows: Vec<Vec<csv::Cell>> = csv::cut(&text, options).into_iter().map(|record| record.cells).collect();
    let Some(first) = rows.first() else { return (Schema::default(), 0) };
    let width = rows.iter().take(SAMPLE).map(Vec::len).max().unwrap_or(0);
    let types = |rows: &[Vec<csv::Cell>]| -> Vec<Option<Type>> {
        (0..width)
            .map(|index| {
                rows.iter().take(SAMPLE).filter_map(|row| row.get(index)).filter(|(text, _)| !text.is_empty()).fold(
                    None,
                    |seen, (text, _)| {
                        let own = text_type(text);
                        Some(seen.map_or(own.clone(), |before| wider(&before, &own)))
                    },
                )
            })
            .collect()
    };
    // A name may be missing here and there.
    let all_text = first.iter().all(|(text, _)| text.is_empty() || text_type(text) == Type::String)
        && first.iter().any(|(text, _)| !text.is_empty());
    let rest_types = types(rows.get(options.skip_leading_rows.max(1)..).unwrap_or_default());
    let has_header =
        options.skip_leading_rows > 0 || (all_text && rest_types.iter().flatten().any(|ty| *ty != Type::String));
    let types = if has_header { rest_types } else { types(&rows) };
    let header = rows.get(options.skip_leading_rows.saturating_sub(1)).unwrap_or(first);
    let mut columns: Vec<ColumnDef> = Vec::with_capacity(types.len());
    for (index, ty) in types.into_iter().enumerate() {
        let ty = ty.unwrap_or(Type::String);
        let given = header.get(index).filter(|(text, _)| has_header && !text.trim().is_empty());
        let plain = given.map_or_else(|| format!("{}_field_{index}", generic(&ty)), |(text, _)| clean(text));
        let mut name = plain.clone();
        let mut times = 0;
        while columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            times += 1;
            name = format!("{plain}_{times}");
        }
        columns.push(plain_column(&name, ty));
    }
    (Schema { columns }, if has_header { options.skip_leading_rows.max(1) } else { 0 })
}

/// How the name of a column without one begins.
fn generic(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::Int64 => "int64",
        Type::Float64 => "double",
        Type::Date => "date",
        Type::Time => "time",
        Type::Datetime => "datetime",
        Type::Timestamp => "timestamp",
        _ => "string",
    }
}

/// A column name made legal.
fn clean(text: &str) -> String {
    let name: String = text.trim().chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_fields_are_guessed_at_every_depth() {
        let schema =
            ndjson(b"{\"id\":1,\"info\":{\"age\":30},\"tags\":[\"a\"]}\n{\"id\":2.5,\"items\":[{\"sku\":\"x\"}]}");
        let shown: Vec<String> = schema.columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
        assert_eq!(
            shown,
            ["items ARRAY<STRUCT<sku STRING>>", "tags ARRAY<STRING>", "info STRUCT<age INT64>", "id FLOAT64"]
        );
    }

    #[test]
    fn csv_headers_are_found() {
        let (schema, skip) = csv(b"id,name\n1,a\n2,b\n", &CsvOptions::default());
        assert_eq!(skip, 1);
        assert_eq!((schema.columns[0].name.as_str(), &schema.columns[0].ty), ("id", &Type::Int64));
        assert_eq!(schema.columns[1].ty, Type::String);
    }

    #[test]
    fn columns_without_a_name_are_called_by_type_and_place() {
        let names = |text: &[u8]| {
            let (schema, _) = csv(text, &CsvOptions::default());
            schema.columns.into_iter().map(|column| column.name).collect::<Vec<_>>()
        };
        assert_eq!(names(b"1,x,2.5\n2,y,3\n"), ["int64_field_0", "string_field_1", "double_field_2"]);
        assert_eq!(names(b"a b,,1z,A b\n1,2,3,4\n"), ["a_b", "int64_field_1", "_1z", "A_b_1"]);
    }
}
