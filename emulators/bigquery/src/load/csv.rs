//! CSV into columns.

use scrimmage_googlesql::catalog::{Mode, Schema};
use scrimmage_googlesql::{Type, Value};

use super::{LoadFailed, LoadOptions, Loaded, RowError, Rows, coerce};

/// How the file is written; defaults are BigQuery's.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    pub delimiter: char,
    /// `None` for no quoting.
    pub quote: Option<char>,
    pub skip_leading_rows: usize,
    /// What stands for NULL besides an empty cell of a non-string column.
    pub null_marker: String,
    pub allow_jagged_rows: bool,
    pub allow_quoted_newlines: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            delimiter: ',',
            quote: Some('"'),
            skip_leading_rows: 0,
            null_marker: String::new(),
            allow_jagged_rows: false,
            allow_quoted_newlines: false,
        }
    }
}

/// A cell and whether it was quoted.
pub type Cell = (String, bool);

/// Cuts a file into rows of cells. A quoted cell may hold delimiters, doubled quotes and line ends.
pub fn cut(text: &str, options: &CsvOptions) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let mut row: Vec<Cell> = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut inside = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if inside {
            if Some(c) == options.quote {
                if chars.peek() == Some(&c) {
                    chars.next();
                    cell.push(c);
                } else {
                    inside = false;
                }
            } else {
                cell.push(c);
            }
        } else if Some(c) == options.quote && cell.is_empty() && !quoted {
            inside = true;
            quoted = true;
        } else if c == options.delimiter {
            row.push((std::mem::take(&mut cell), quoted));
            quoted = false;
        } else if c == '\n' || c == '\r' {
            if c == '\r' && chars.peek() == Some(&'\n') {
                chars.next();
            }
            row.push((std::mem::take(&mut cell), quoted));
            quoted = false;
            rows.push(std::mem::take(&mut row));
        } else {
            cell.push(c);
        }
    }
    if !cell.is_empty() || quoted || !row.is_empty() {
        row.push((cell, quoted));
        rows.push(row);
    }
    // A line with nothing on it is no row.
    rows.retain(|row| row.len() > 1 || row.first().is_some_and(|(text, quoted)| !text.is_empty() || *quoted));
    rows
}

pub fn read(bytes: &[u8], schema: &Schema, csv: &CsvOptions, options: &LoadOptions) -> Result<Loaded, LoadFailed> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut rows = Rows::new(schema);
    let mut skipped = Vec::new();
    let mut count = 0;
    for cells in cut(text, csv).into_iter().skip(csv.skip_leading_rows) {
        count += 1;
        match read_row(&cells, schema, csv, options) {
            Ok(row) => rows.push(row),
            Err(message) => {
                skipped.push(RowError {
                    message: format!(
                        "Error while reading data, error message: {message}; line_number: {}",
                        count as usize + csv.skip_leading_rows
                    ),
                });
                if skipped.len() > options.max_bad_records {
                    return Err(LoadFailed { rows: count, errors: skipped });
                }
            }
        }
    }
    Ok(Loaded { batch: rows.finish(), skipped })
}

fn read_row(cells: &[Cell], schema: &Schema, csv: &CsvOptions, options: &LoadOptions) -> Result<Vec<Value>, String> {
    if cells.len() > schema.columns.len() && !options.ignore_unknown_values {
        return Err(format!(
            "Too many values in row. Found {} column(s) while expected {}",
            cells.len(),
            schema.columns.len()
        ));
    }
    if cells.len() < schema.columns.len() && !csv.allow_jagged_rows {
        return Err(format!(
            "Too few values in row. Found {} column(s) while expected {}",
            cells.len(),
            schema.columns.len()
        ));
    }
    let mut values = Vec::with_capacity(schema.columns.len());
    for (index, column) in schema.columns.iter().enumerate() {
        let value = match cells.get(index) {
            None => Value::Null,
            // Without a null marker of its own that is an empty cell, unless it is quoted.
            Some((text, false)) if *text == csv.null_marker => Value::Null,
            Some((text, _)) if text.is_empty() && column.ty != Type::String => Value::Null,
            Some((text, _)) => coerce::scalar(&column.ty, text, &column.name).map_err(|misfit| misfit.to_string())?,
        };
        if value.is_null() && column.mode == Mode::Required {
            return Err(format!("Required column value for column index: {index} is missing"));
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_with_quotes_and_line_ends() {
        let rows = cut("a,\"b,\"\"c\"\"\"\r\n1,\"x\ny\"\n\n2,\n", &CsvOptions::default());
        let plain: Vec<Vec<&str>> =
            rows.iter().map(|row| row.iter().map(|(text, _)| text.as_str()).collect()).collect();
        assert_eq!(plain, [vec!["a", "b,\"c\""], vec!["1", "x\ny"], vec!["2", ""]]);
    }
}
