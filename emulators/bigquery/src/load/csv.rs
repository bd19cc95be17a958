//! CSV into columns.

use scrimmage_googlesql::catalog::{Mode, Schema};
use scrimmage_googlesql::{Type, Value};

use super::{LoadFailed, LoadOptions, Loaded, RowError, Rows, coerce};
use crate::texts;

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
    /// Whether a NUL is text like any other.
    pub keep_control_characters: bool,
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
            keep_control_characters: false,
        }
    }
}

/// A cell and whether it was quoted.
pub type Cell = (String, bool);

/// A row of cells, and where it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// From 1.
    pub line: usize,
    /// In bytes from the file's start.
    pub offset: usize,
    pub cells: Vec<Cell>,
    /// What is wrong with its quotes.
    pub flaw: Option<&'static str>,
}

/// Cuts a file into rows of cells. A quoted cell may hold delimiters, doubled quotes and line ends.
pub fn cut(text: &str, options: &CsvOptions) -> Vec<Record> {
    let mut records = Vec::new();
    let mut cells: Vec<Cell> = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut inside = false;
    let mut flaw = None;
    let (mut line, mut first_line, mut offset) = (1, 1, 0);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let line_end = c == '\n' || c == '\r';
        let mut end = at + c.len_utf8();
        if line_end {
            line += 1;
        }
        if c == '\0' && !options.keep_control_characters {
            flaw = flaw.or(Some(texts::CSV_NUL));
        }
        // Without leave for it no line end is within quotes: the row ends there, unfinished.
        if inside && line_end && !options.allow_quoted_newlines {
            inside = false;
            flaw = Some(texts::CSV_OPEN_QUOTE);
        }
        if inside {
            if Some(c) == options.quote {
                if chars.peek().is_some_and(|(_, next)| *next == c) {
                    chars.next();
                    cell.push(c);
                } else {
                    inside = false;
                }
            } else {
                cell.push(c);
                // Both characters of a line end are kept, and count as one.
                if c == '\r' && chars.peek().is_some_and(|(_, next)| *next == '\n') {
                    chars.next();
                    cell.push('\n');
                }
            }
        } else if Some(c) == options.quote && cell.is_empty() && !quoted {
            inside = true;
            quoted = true;
        } else if c == options.delimiter {
            cells.push((std::mem::take(&mut cell), quoted));
            quoted = false;
        } else if line_end {
            if c == '\r' && chars.peek().is_some_and(|(_, next)| *next == '\n') {
                chars.next();
                end += 1;
            }
            cells.push((std::mem::take(&mut cell), quoted));
            quoted = false;
            records.push(Record { line: first_line, offset, cells: std::mem::take(&mut cells), flaw: flaw.take() });
            (first_line, offset) = (line, end);
        } else {
            if quoted {
                flaw = flaw.or(Some(texts::CSV_AFTER_QUOTE));
            }
            cell.push(c);
        }
    }
    if inside {
        flaw = Some(texts::CSV_OPEN_QUOTE);
    }
    if !cell.is_empty() || quoted || !cells.is_empty() {
        cells.push((cell, quoted));
        records.push(Record { line: first_line, offset, cells, flaw });
    }
    // A line with nothing on it is no row.
    records.retain(|record| {
        record.cells.len() > 1 || record.cells.first().is_some_and(|(text, quoted)| !text.is_empty() || *quoted)
    });
    records
}

pub fn read(bytes: &[u8], schema: &Schema, csv: &CsvOptions, options: &LoadOptions) -> Result<Loaded, LoadFailed> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut rows = Rows::new(schema);
    let mut skipped = Vec::new();
    for (record, count) in cut(text, csv).into_iter().skip(csv.skip_leading_rows).zip(1..) {
        let row = match record.flaw {
            Some(flaw) => Err(Misfit { what: flaw.into(), at: String::new() }),
            None => read_row(&record.cells, schema, csv, options),
        };
        match row {
            Ok(row) => rows.push(row),
            Err(misfit) => {
                skipped
                    .push(RowError { message: texts::csv_row(&misfit.what, record.line, record.offset, &misfit.at) });
                if skipped.len() > options.max_bad_records {
                    return Err(LoadFailed { rows: count, errors: skipped });
                }
            }
        }
    }
    Ok(Loaded { batch: rows.finish(), skipped })
}

/// What is wrong with a row, and with which of its cells.
struct Misfit {
    what: String,
    /// Column, type and value as the service lists them; empty where it is the row as a whole.
    at: String,
}

fn cell_text(schema: &Schema, index: usize, value: Option<&str>) -> String {
    let Some(column) = schema.columns.get(index) else { return String::new() };
    let value = value.map_or(String::new(), |value| format!(" value: \"{value}\""));
    format!(" column_index: {index} column_name: \"{}\" column_type: {}{value}", column.name, column.ty)
}

fn read_row(cells: &[Cell], schema: &Schema, csv: &CsvOptions, options: &LoadOptions) -> Result<Vec<Value>, Misfit> {
    let wanted = schema.columns.len();
    if cells.len() > wanted && !options.ignore_unknown_values {
        let what = format!("Too many values in line. Found {} column(s) while expected {wanted}.", cells.len());
        return Err(Misfit { what, at: String::new() });
    }
    if cells.len() < wanted && !csv.allow_jagged_rows {
        let index = cells.len();
        let what =
            format!("CSV table references column position {index}, but line contains only {} columns.", cells.len());
        return Err(Misfit { what, at: cell_text(schema, index, None) });
    }
    let mut values = Vec::with_capacity(wanted);
    for (index, column) in schema.columns.iter().enumerate() {
        let value = match cells.get(index) {
            None => Value::Null,
            // Without a null marker of its own that is an empty cell, unless it is quoted.
            Some((text, false)) if *text == csv.null_marker => Value::Null,
            Some((text, _)) if text.is_empty() && column.ty != Type::String => Value::Null,
            Some((text, _)) => coerce::scalar(&column.ty, text, &column.name)
                .map_err(|_| Misfit { what: "Unable to parse".into(), at: cell_text(schema, index, Some(text)) })?,
        };
        if value.is_null() && column.mode == Mode::Required {
            let what = format!("Required column value for column index: {index} is missing");
            return Err(Misfit { what, at: cell_text(schema, index, None) });
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
        let options = CsvOptions { allow_quoted_newlines: true, ..CsvOptions::default() };
        let rows = cut("a,\"b,\"\"c\"\"\"\r\n1,\"x\ny\"\n\n2,\n", &options);
        let plain: Vec<Vec<&str>> =
            rows.iter().map(|row| row.cells.iter().map(|(text, _)| text.as_str()).collect()).collect();
        assert_eq!(plain, [vec!["a", "b,\"c\""], vec!["1", "x\ny"], vec!["2", ""]]);
        let places: Vec<(usize, usize)> = rows.iter().map(|row| (row.line, row.offset)).collect();
        assert_eq!(places, [(1, 0), (2, 13), (5, 22)]);
    }

    #[test]
    fn quotes_that_do_not_close_are_the_row_s_flaw() {
        let flaws = |text: &str| cut(text, &CsvOptions::default()).iter().map(|row| row.flaw).collect::<Vec<_>>();
        assert_eq!(flaws("1,\"x\ny\"\n2,z\n"), [Some(texts::CSV_OPEN_QUOTE), None, None]);
        assert_eq!(flaws("1,\"x\" \n2,\"z\"\n"), [Some(texts::CSV_AFTER_QUOTE), None]);
        assert_eq!(flaws("1,a\"b\n2,\"z"), [None, Some(texts::CSV_OPEN_QUOTE)]);
    }
}
