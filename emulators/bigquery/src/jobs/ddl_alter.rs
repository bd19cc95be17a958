//! ALTER TABLE: columns, names and options of a table that is there.

use scrimmage_core::Timestamp;
use scrimmage_googlesql::analyzer;
use scrimmage_googlesql::ast::{AlterAction, AlterColumnAction, ColumnSpec};
use scrimmage_googlesql::catalog::{ColumnDef, Mode, Schema, TablePath};
use scrimmage_googlesql::{SqlError, Type, Value};

use super::ddl_options::Settings;
use crate::engine::partition::Partitioning;
use crate::engine::store::{Store, extended};
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
        AlterAction::AlterColumn { name, if_exists, action } => {
            let [column] = name.parts.as_slice() else {
                return Err(SqlError::unsupported("ALTER COLUMN of a nested field is not supported").at(name.pos));
            };
            let Ok(at) = position(&column.name) else {
                return if if_exists {
                    Ok(())
                } else {
                    Err(SqlError::analysis(format!("Column not found: {}", column.name)).at(column.pos))
                };
            };
            let mut changed = (**shape).clone();
            let definition = &mut changed.schema.columns[at];
            match action {
                AlterColumnAction::DropNotNull => definition.mode = Mode::Nullable,
                AlterColumnAction::DropDefault => definition.default = None,
                AlterColumnAction::SetDefault { text, .. } => definition.default = Some(text),
                AlterColumnAction::SetOptions(_) => {
                    for (name, value, _) in options {
                        if let ("description", Value::String(text)) = (name.as_str(), value) {
                            definition.description = Some(text.to_string());
                        }
                    }
                }
                AlterColumnAction::SetDataType(ty) => {
                    let (ty, params) = analyzer::resolve_type(&ty)?;
                    if definition.ty != ty {
                        return Err(SqlError::unsupported(format!(
                            "ALTER COLUMN {} SET DATA TYPE from {} to {ty} is not supported",
                            column.name, definition.ty
                        )));
                    }
                    definition.params = params;
                }
            }
            store.alter(now, target, changed)?;
            Ok(())
        }
        AlterAction::SetDefaultCollate(_) => Err(SqlError::unsupported("Collation is not supported")),
        AlterAction::AddConstraint { .. } | AlterAction::DropConstraint { .. } | AlterAction::DropPrimaryKey { .. } => {
            Err(SqlError::unsupported("ALTER TABLE of constraints is not supported"))
        }
    }
}
