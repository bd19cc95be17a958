//! ALTER TABLE: columns, names and options of a table that is there.

use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::ast::{AlterAction, ColumnSpec, TableConstraint};
use scrimmage_googlesql::catalog::{ColumnDef, Mode, Schema, TablePath};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::{SqlError, Type, Value};
use scrimmage_googlesql::{analyzer, cast};

use serde_json::{Map, Value as Json};

use super::ddl::add_constraint;
use super::ddl_options::Settings;
use crate::catalog::NameScope;
use crate::engine::partition::Partitioning;
use crate::engine::store::{Store, WriteMode, extended};
use crate::engine::table::plain_column;

type Result<T> = std::result::Result<T, SqlError>;

/// A column as ALTER TABLE declares it.
fn column_from_spec(spec: &ColumnSpec) -> Result<ColumnDef> {
    let (ty, params) = analyzer::resolve_type(&spec.ty)?;
    let mode = if spec.not_null { Mode::Required } else { Mode::Nullable };
    Ok(ColumnDef {
        params,
        mode,
        default: spec.default_text.clone(),
        fields: nested_columns(&ty),
        ..plain_column(&spec.name.name, ty)
    })
}

fn nested_columns(ty: &Type) -> Vec<ColumnDef> {
    match ty {
        Type::Struct(fields) => fields
            .fields
            .iter()
            .map(|field| ColumnDef { fields: nested_columns(&field.ty), ..plain_column(&field.name, field.ty.clone()) })
            .collect(),
        Type::Array(element) => nested_columns(element),
        _ => Vec::new(),
    }
}

/// Applies one action of ALTER TABLE; `target` follows a renamed table.
pub(super) fn alter_table(
    store: &mut Store,
    now: Timestamp,
    target: &mut TablePath,
    action: AlterAction,
    schema: Option<&Schema>,
    scope: &NameScope,
    options: &[(String, Value, Type)],
) -> Result<()> {
    let current = store.table(target)?.current().clone();
    let shape = &current.shape;
    let position =
        |name: &str| shape.schema.position(name).ok_or_else(|| SqlError::analysis(format!("Column not found: {name}")));
    let change = |store: &mut Store, target: &TablePath, schema: Schema| -> Result<()> {
        store.alter(now, target, shape.with_schema(schema))?;
        Ok(())
    };
    match action {
        AlterAction::AddColumn { column, if_not_exists } => {
            if shape.schema.position(&column.name.name).is_some() {
                if if_not_exists {
                    return Ok(());
                }
                return Err(SqlError::analysis(format!("Column already exists: {}", column.name.name)).at(column.pos));
            }
            let added = column_from_spec(&column)?;
            if added.mode == Mode::Required {
                return Err(SqlError::analysis("Cannot add required columns to an existing schema").at(column.pos));
            }
            change(store, target, extended(&shape.schema, [added]))
        }
        AlterAction::DropColumn { name, if_exists } => {
            let Ok(at) = position(&name.name) else {
                return if if_exists {
                    Ok(())
                } else {
                    Err(SqlError::analysis(format!("Column not found: {}", name.name)).at(name.pos))
                };
            };
            let used = shape
                .partitioning
                .as_ref()
                .and_then(Partitioning::column)
                .is_some_and(|column| column.eq_ignore_ascii_case(&name.name))
                || shape.clustering.iter().any(|column| column.eq_ignore_ascii_case(&name.name));
            if used {
                return Err(SqlError::analysis(format!(
                    "ALTER TABLE DROP COLUMN cannot drop partitioning or clustering column {}",
                    name.name
                )));
            }
            let mut schema = shape.schema.clone();
            schema.columns.remove(at);
            change(store, target, schema)
        }
        AlterAction::RenameColumn { from, to, if_exists } => {
            let Ok(at) = position(&from.name) else {
                return if if_exists {
                    Ok(())
                } else {
                    Err(SqlError::analysis(format!("Column not found: {}", from.name)).at(from.pos))
                };
            };
            if shape.schema.position(&to.name).is_some() {
                return Err(SqlError::analysis(format!("Column already exists: {}", to.name)));
            }
            let mut renamed = (**shape).clone();
            renamed.schema.columns[at].name = to.name;
            store.alter(now, target, renamed)?;
            Ok(())
        }
        AlterAction::RenameTo(name) => {
            let Some(last) = name.parts.last() else { return Err(SqlError::analysis("Missing table name")) };
            let renamed = TablePath { table: last.name.clone(), ..target.clone() };
            store.rename_table(now, target, &renamed)?;
            *target = renamed;
            Ok(())
        }
        AlterAction::SetOptions(_) => {
            let settings = Settings::read(options);
            let mut changed = (**shape).clone();
            if let Some(require) = settings.require_partition_filter {
                changed.require_partition_filter = require;
            }
            if let (Some(Partitioning::Time { expiration_ms, .. }), Some(days)) =
                (&mut changed.partitioning, settings.partition_expiration_days)
            {
                *expiration_ms = Some((days * 86_400_000.0) as i64);
            }
            if changed != **shape {
                store.alter(now, target, changed)?;
            }
            settings.set(store.table_mut(target)?, now);
            Ok(())
        }
        AlterAction::AlterColumn { name, if_exists, .. } => {
            let Some(column) = name.parts.first() else { return Err(SqlError::analysis("Missing column name")) };
            let Ok(at) = position(&column.name) else {
                return if if_exists {
                    Ok(())
                } else {
                    Err(SqlError::analysis(format!("Column not found: {}", column.name)).at(column.pos))
                };
            };
            // The analyzer has checked the change and made it, at whatever depth.
            let altered = schema.and_then(|schema| schema.columns.get(schema.position(&column.name)?));
            let Some(altered) = altered else { return Ok(()) };
            let before = &shape.schema.columns[at];
            let mut changed = (**shape).clone();
            if before.ty != altered.ty {
                if shape.partitioning.as_ref().and_then(Partitioning::column).is_some_and(|own| own == before.name) {
                    return Err(SqlError::analysis(format!(
                        "ALTER TABLE ALTER COLUMN SET DATA TYPE cannot change partitioning column {}",
                        column.name
                    )));
                }
                changed.schema.columns[at] = altered.clone();
                let rows = converted(&current.batches(), at, &before.ty, &altered.ty, now)?;
                store.write(now, target, Some(changed), rows, WriteMode::Truncate, None)?;
                return Ok(());
            }
            changed.schema.columns[at] = altered.clone();
            store.alter(now, target, changed)?;
            Ok(())
        }
        AlterAction::SetDefaultCollate(_) => Err(SqlError::unsupported("Collation is not supported")),
        AlterAction::AddConstraint { constraint, if_not_exists } => {
            let mut keys = constraints(store, target)?;
            let name = match &constraint {
                TableConstraint::PrimaryKey { .. } => None,
                TableConstraint::ForeignKey { name, .. } => name.as_ref().map(|name| name.name.as_str()),
            };
            let exists = name.is_some_and(|name| foreign_key(&keys, name).is_some())
                || matches!(constraint, TableConstraint::PrimaryKey { .. }) && keys.contains_key("primaryKey");
            if exists && if_not_exists {
                return Ok(());
            }
            if let (true, Some(name)) = (exists, name) {
                return Err(SqlError::analysis(format!("Constraint {name} already exists")));
            }
            add_constraint(&mut keys, scope, &constraint)?;
            set_constraints(store, now, target, keys)
        }
        AlterAction::DropConstraint { name, if_exists } => {
            let mut keys = constraints(store, target)?;
            match foreign_key(&keys, &name.name) {
                Some(at) => {
                    if let Some(list) = keys.get_mut("foreignKeys").and_then(Json::as_array_mut) {
                        list.remove(at);
                    }
                    set_constraints(store, now, target, keys)
                }
                None if if_exists => Ok(()),
                None => Err(SqlError::analysis(format!("Constraint not found: {}", name.name)).at(name.pos)),
            }
        }
        AlterAction::DropPrimaryKey { if_exists } => {
            let mut keys = constraints(store, target)?;
            match keys.shift_remove("primaryKey") {
                Some(_) => set_constraints(store, now, target, keys),
                None if if_exists => Ok(()),
                None => Err(SqlError::analysis(format!("Table {} has no primary key", target.table))),
            }
        }
    }
}

fn constraints(store: &Store, table: &TablePath) -> Result<Map<String, Json>> {
    let keys = store.table(table)?.metadata.get("tableConstraints").and_then(Json::as_object);
    Ok(keys.cloned().unwrap_or_default())
}

/// Where the foreign key of that name is.
fn foreign_key(keys: &Map<String, Json>, name: &str) -> Option<usize> {
    let list = keys.get("foreignKeys")?.as_array()?;
    list.iter().position(|key| key.get("name").and_then(Json::as_str).is_some_and(|own| own.eq_ignore_ascii_case(name)))
}

fn set_constraints(store: &mut Store, now: Timestamp, table: &TablePath, mut keys: Map<String, Json>) -> Result<()> {
    if keys.get("foreignKeys").and_then(Json::as_array).is_some_and(Vec::is_empty) {
        keys.shift_remove("foreignKeys");
    }
    let entry = store.entry(table)?;
    match keys.is_empty() {
        true => drop(entry.metadata.shift_remove("tableConstraints")),
        false => drop(entry.metadata.insert("tableConstraints".into(), Json::Object(keys))),
    }
    entry.modified = now;
    Ok(())
}

/// The rows with one column's values as another type.
fn converted(batches: &[Batch], at: usize, from: &Type, to: &Type, now: Timestamp) -> Result<Vec<Batch>> {
    let eval = EvalContext {
        now: now.as_micros(),
        time_zone: "UTC".into(),
        draws: Draws::default(),
        session_user: String::new(),
        project: String::new(),
    };
    let mut out = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut columns = batch.columns.clone();
        if let Some(column) = columns.get_mut(at) {
            let values = (0..batch.len).map(|row| cast::cast(&column.get(row), from, to, &eval));
            *column = Arc::new(Column::from_values(to, values.collect::<Result<Vec<_>>>()?));
        }
        out.push(Batch::new(columns, batch.len));
    }
    Ok(out)
}
