//! Avro files into columns.

use scrimmage_googlesql::catalog::{ColumnDef, Schema};
use scrimmage_googlesql::exec::column::Batch;

use super::Rows;
use crate::formats::avro_decode::{Datum, Input, Kind};
use crate::formats::avro_file::{self, AvroFile};
use crate::formats::avro_read::{self, AvroOptions};

/// A file with the columns that BigQuery makes of its schema.
pub struct Opened {
    pub columns: Vec<ColumnDef>,
    file: AvroFile,
}

pub fn open(file: &[u8], options: &AvroOptions) -> Result<Opened, String> {
    let file = avro_file::read(file)?;
    Ok(Opened { columns: avro_read::columns(&file.schema, options)?, file })
}

impl Opened {
    /// The rows as these columns have them; a column that the file has not is NULL.
    pub fn rows(&self, columns: &[ColumnDef]) -> Result<Batch, String> {
        let Kind::Record(fields) = &self.file.schema.kind else { return Err("The Avro schema is not a record".into()) };
        let schema = Schema { columns: columns.to_vec() };
        let sources: Vec<Option<usize>> = columns
            .iter()
            .map(|column| fields.iter().position(|(name, _)| name.eq_ignore_ascii_case(&column.name)))
            .collect();
        let mut rows = Rows::new(&schema);
        for (count, block) in &self.file.blocks {
            // Rows of no bytes could be counted in billions.
            if *count > block.len() {
                return Err("An Avro block has more rows than bytes".into());
            }
            let mut input = Input(block);
            for _ in 0..*count {
                let Datum::Record(parts) = input.datum(&self.file.schema)? else {
                    return Err("An Avro row is no record".into());
                };
                let mut row = Vec::with_capacity(columns.len());
                for (column, source) in columns.iter().zip(&sources) {
                    let found = source.and_then(|at| Some((fields.get(at)?, parts.get(at)?)));
                    row.push(match found {
                        Some(((_, node), part)) => avro_read::value(part, node, column)?,
                        None => avro_read::absent(column),
                    });
                }
                rows.push(row);
            }
        }
        Ok(rows.finish())
    }
}
