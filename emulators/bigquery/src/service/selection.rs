//! Columns, and fields of them, that a reader asks for by name.

use std::sync::Arc;

use scrimmage_googlesql::catalog::ColumnDef;
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::{Type, Value};

use crate::formats::nested_columns;

/// A column that was asked for, and what of it.
pub struct Picked {
    pub column: ColumnDef,
    /// For a STRUCT of which only some fields were asked for: their positions and what of them.
    pub fields: Option<Vec<(usize, Picked)>>,
}

impl Picked {
    pub fn whole(column: &ColumnDef) -> Picked {
        Picked { column: column.clone(), fields: None }
    }

    /// The column as it leaves: without the fields that nobody asked for.
    pub fn column(&self) -> ColumnDef {
        let Some(fields) = &self.fields else { return self.column.clone() };
        let fields: Vec<ColumnDef> = fields.iter().map(|(_, field)| field.column()).collect();
        let own = Type::struct_of(fields.iter().map(|field| (field.name.clone(), field.ty.clone())));
        let ty = if matches!(self.column.ty, Type::Array(_)) { Type::array(own) } else { own };
        ColumnDef { ty, fields, ..self.column.clone() }
    }

    fn prune(&self, value: Value) -> Value {
        let Some(fields) = &self.fields else { return value };
        match value {
            Value::Struct(parts) => Value::structure(
                fields.iter().map(|(at, field)| field.prune(parts.get(*at).cloned().unwrap_or_default())).collect(),
            ),
            Value::Array(items) => Value::array(items.iter().map(|item| self.prune(item.clone())).collect()),
            other => other,
        }
    }
}

/// The columns that `selected` names (`a`, `a.b`), in the table's order; all where it names none. The error is the names
/// that mean nothing.
pub fn select<'a>(columns: &[ColumnDef], selected: &[&'a str]) -> Result<Vec<Picked>, Vec<&'a str>> {
    if selected.is_empty() {
        return Ok(columns.iter().map(Picked::whole).collect());
    }
    let paths: Vec<Vec<&str>> = selected.iter().map(|path| path.split('.').collect()).collect();
    let unknown: Vec<&str> =
        selected.iter().zip(&paths).filter(|(_, path)| !exists(columns, path)).map(|(name, _)| *name).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    Ok(pick(columns, &paths).into_iter().map(|(_, picked)| picked).collect())
}

fn exists(columns: &[ColumnDef], path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    let found = columns.iter().find(|column| column.name.eq_ignore_ascii_case(first));
    found.is_some_and(|column| exists(&nested_columns(column), rest))
}

fn pick(columns: &[ColumnDef], paths: &[&[&str]]) -> Vec<(usize, Picked)> {
    let mut picked = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let below: Vec<&[&str]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| column.name.eq_ignore_ascii_case(first))
            .map(|(_, rest)| rest)
            .collect();
        if below.is_empty() {
            continue;
        }
        let whole = below.iter().any(|rest| rest.is_empty());
        let fields = if whole { None } else { Some(pick(&nested_columns(column), &below)) };
        picked.push((index, Picked { column: column.clone(), fields }));
    }
    picked
}

/// Rows of the picked columns, less what nobody asked for of them.
pub fn pruned(batch: Batch, selection: &[Picked]) -> Batch {
    if selection.iter().all(|picked| picked.fields.is_none()) {
        return batch;
    }
    let columns = batch.columns.iter().zip(selection).map(|(column, picked)| match picked.fields {
        None => column.clone(),
        Some(_) => {
            let values = (0..batch.len).map(|row| picked.prune(column.get(row)));
            Arc::new(Column::from_values(&picked.column().ty, values))
        }
    });
    Batch::new(columns.collect(), batch.len)
}
