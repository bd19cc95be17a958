//! Newline-delimited JSON into columns.

use scrimmage_googlesql::catalog::Schema;
use serde_json::Value as Json;

use super::{LoadFailed, LoadOptions, Loaded, RowError, Rows, coerce};

/// Reads one object a line; empty lines do not count.
pub fn read(bytes: &[u8], schema: &Schema, options: &LoadOptions) -> Result<Loaded, LoadFailed> {
    let mut rows = Rows::new(schema);
    let mut skipped = Vec::new();
    let mut count = 0;
    let mut offset = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let start = offset;
        offset += line.len() + 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        count += 1;
        match read_row(line, schema, options) {
            Ok(row) => rows.push(row),
            Err(message) => {
                let message = format!(
                    "Error while reading data, error message: JSON parsing error in row starting at position {start}: {message}"
                );
                skipped.push(RowError { message });
                if skipped.len() > options.max_bad_records {
                    return Err(LoadFailed { rows: count, errors: skipped });
                }
            }
        }
    }
    Ok(Loaded { batch: rows.finish(), skipped })
}

fn read_row(line: &[u8], schema: &Schema, options: &LoadOptions) -> Result<Vec<scrimmage_googlesql::Value>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "Row is not valid UTF-8.".to_owned())?;
    // Python's json writes NaN and Infinity, which JSON does not have: the service's parser stops there too.
    let json: Json =
        serde_json::from_str(text).map_err(|error| format!("Parser terminated before end of string: {error}"))?;
    let Json::Object(object) = json else {
        return Err("Start of array encountered without start of object.".to_owned());
    };
    coerce::row(&schema.columns, &object, options.ignore_unknown_values).map_err(|misfit| misfit.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::schema;

    fn schema() -> Schema {
        schema::from_json(&json!({"fields": [{"name": "n", "type": "FLOAT"}, {"name": "s", "type": "STRING"}]}))
            .expect("good")
    }

    const STRICT: LoadOptions = LoadOptions { max_bad_records: 0, ignore_unknown_values: false };

    #[test]
    fn rows_become_columns() {
        let loaded = read(b"{\"n\": 1.5, \"s\": \"a\"}\n\n{\"s\": null}\r\n", &schema(), &STRICT).expect("reads");
        assert_eq!(loaded.batch.len, 2);
        assert!(loaded.batch.columns[0].get(1).is_null());
    }

    #[test]
    fn a_bad_row_names_itself_and_its_field() {
        let failed = read(b"{\"n\": 1}\n{\"n\": NaN}\n", &schema(), &STRICT).expect_err("NaN is not JSON");
        assert_eq!((failed.rows, failed.errors.len()), (2, 1));
        assert!(failed.errors[0].message.contains("row starting at position 9"), "{}", failed.errors[0].message);

        let failed = read(b"{\"n\": \"x\"}", &schema(), &STRICT).expect_err("x is no number");
        assert!(failed.errors[0].message.contains("Field: n; Value: x"), "{}", failed.errors[0].message);
    }

    #[test]
    fn some_bad_rows_may_be_allowed() {
        let options = LoadOptions { max_bad_records: 1, ignore_unknown_values: true };
        let loaded = read(b"{\"zzz\": 1}\n[]\n", &schema(), &options).expect("one bad row is allowed");
        assert_eq!((loaded.batch.len, loaded.skipped.len()), (1, 1));
        assert!(read(b"[]\n[]\n", &schema(), &options).is_err());
    }
}
