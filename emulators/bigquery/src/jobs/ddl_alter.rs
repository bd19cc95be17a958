//! ALTER TABLE: columns, names and options of a table that is there.

use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::ast::{AlterAction, Ident, TableConstraint};
use scrimmage_googlesql::cast;
use scrimmage_googlesql::catalog::{Schema, TablePath};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::{SqlError, Type, Value};

use serde_json::{Map, Value as Json};

use super::ddl::add_constraint;
use super::ddl_options::Settings;
use crate::catalog::NameScope;
use crate::engine::dataset::TableEntry;
use crate::engine::partition::Partitioning;
use crate::engine::store::{Store, WriteMode};
use crate::engine::table::{Shape, TableVersion};

type Result<T> = std::result::Result<T, SqlError>;

/// A table as the actions so far have made it: nothing is done before all of them are found good.
struct Altered {
    before: Arc<TableVersion>,
    /// Names, and where each column was before.
    columns: Vec<(String, Option<usize>)>,
    columns_change: bool,
    has_policies: bool,
    /// `tableConstraints`
    keys: Map<String, Json>,
    keys_change: bool,
    settings: Option<Settings>,
    renamed: Option<TablePath>,
}

/// Applies the actions of one ALTER TABLE, all or none; `target` follows a renamed table. `schema` is the analyzer's:
/// the columns after all actions.
pub(super) fn alter_table(
    store: &mut Store,
    now: Timestamp,
    target: &mut TablePath,
    actions: Vec<AlterAction>,
    schema: Option<&Schema>,
    scope: &NameScope,
    options: &[(String, Value, Type)],
) -> Result<()> {
    let several = actions.len() > 1;
    let mut altered = Altered::of(store.table(target)?);
    for action in actions {
        if several && matches!(action, AlterAction::RenameTo(_)) {
            return Err(SqlError::analysis("ALTER TABLE RENAME TO cannot be combined with other actions"));
        }
        altered.take(action, scope, target, options)?;
    }
    if let Some(renamed) = altered.renamed {
        store.rename_table(now, target, &renamed)?;
        *target = renamed;
        return Ok(());
    }
    let (mut shape, rows) = altered.reshaped(schema, now)?;
    if let Some(settings) = &altered.settings {
        settings.set_partitions(&mut shape);
    }
    match rows {
        Some(rows) => drop(store.write(now, target, Some(shape), rows, WriteMode::Truncate, None)?),
        None if altered.columns_change || shape != *altered.before.shape => store.alter(now, target, shape)?,
        None => {}
    }
    if altered.keys_change {
        set_constraints(store, now, target, altered.keys)?;
    }
    if let Some(settings) = altered.settings {
        settings.set(store.table_mut(target)?, now);
    }
    Ok(())
}

impl Altered {
    fn of(entry: &TableEntry) -> Altered {
        let before = entry.current().clone();
        let named = before.shape.schema.columns.iter().enumerate();
        let keys = entry.metadata.get("tableConstraints").and_then(Json::as_object);
        Altered {
            columns: named.map(|(at, column)| (column.name.clone(), Some(at))).collect(),
            columns_change: false,
            has_policies: !entry.policies.is_empty(),
            keys: keys.cloned().unwrap_or_default(),
            keys_change: false,
            settings: None,
            renamed: None,
            before,
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// Where a column is, `None` where it is missing and may be.
    fn find(&self, name: &Ident, if_exists: bool) -> Result<Option<usize>> {
        match self.position(&name.name) {
            None if !if_exists => Err(SqlError::analysis(format!("Column not found: {}", name.name)).at(name.pos)),
            found => Ok(found),
        }
    }

    /// What DROP and RENAME leave alone, as documented: columns that partition or cluster, and all columns of a
    /// table whose row access policies may speak of them.
    fn check_free(&self, verb: &str, name: &Ident) -> Result<()> {
        let shape = &self.before.shape;
        let is = |column: &str| column.eq_ignore_ascii_case(&name.name);
        let partitions = shape.partitioning.as_ref().and_then(Partitioning::column).is_some_and(is);
        let text = if partitions || shape.clustering.iter().any(|column| is(column)) {
            format!(
                "ALTER TABLE {verb} COLUMN cannot {} partitioning or clustering column {}",
                verb.to_lowercase(),
                name.name
            )
        } else if self.has_policies {
            format!(
                "ALTER TABLE {verb} COLUMN cannot {} column {}: the table has row access policies",
                verb.to_lowercase(),
                name.name
            )
        } else {
            return Ok(());
        };
        Err(SqlError::analysis(text).at(name.pos))
    }

    fn take(
        &mut self,
        action: AlterAction,
        scope: &NameScope,
        target: &TablePath,
        options: &[(String, Value, Type)],
    ) -> Result<()> {
        match action {
            AlterAction::AddColumn { column, if_not_exists } => {
                let name = &column.name;
                match self.position(&name.name) {
                    Some(_) if if_not_exists => {}
                    Some(_) => {
                        let text = format!("Column already exists: {}", name.name);
                        return Err(SqlError::analysis(text).at(column.pos));
                    }
                    None => self.columns.push((name.name.clone(), None)),
                }
                self.columns_change = true;
            }
            AlterAction::DropColumn { name, if_exists } => {
                if let Some(at) = self.find(&name, if_exists)? {
                    self.check_free("DROP", &name)?;
                    if self.key_columns().any(|column| column.eq_ignore_ascii_case(&name.name)) {
                        let text = format!(
                            "ALTER TABLE DROP COLUMN cannot drop column {}: a primary or foreign key has it",
                            name.name
                        );
                        return Err(SqlError::analysis(text).at(name.pos));
                    }
                    self.columns.remove(at);
                }
                self.columns_change = true;
            }
            AlterAction::RenameColumn { from, to, if_exists } => {
                if let Some(at) = self.find(&from, if_exists)? {
                    self.check_free("RENAME", &from)?;
                    if self.position(&to.name).is_some_and(|other| other != at) {
                        return Err(SqlError::analysis(format!("Column already exists: {}", to.name)).at(to.pos));
                    }
                    self.rename_in_keys(&from.name, &to.name);
                    self.columns[at].0 = to.name;
                }
                self.columns_change = true;
            }
            AlterAction::AlterColumn { name, if_exists, .. } => {
                let Some(column) = name.parts.first() else { return Err(SqlError::analysis("Missing column name")) };
                self.find(column, if_exists)?;
                self.columns_change = true;
            }
            AlterAction::RenameTo(name) => {
                let Some(last) = name.parts.last() else { return Err(SqlError::analysis("Missing table name")) };
                self.renamed = Some(TablePath { table: last.name.clone(), ..target.clone() });
            }
            AlterAction::SetOptions(_) => self.settings = Some(Settings::read(options)),
            AlterAction::SetDefaultCollate(_) => return Err(SqlError::unsupported("Collation is not supported")),
            AlterAction::AddConstraint { constraint, if_not_exists } => {
                let name = match &constraint {
                    TableConstraint::PrimaryKey { .. } => None,
                    TableConstraint::ForeignKey { name, .. } => name.as_ref().map(|name| name.name.as_str()),
                };
                let exists = name.is_some_and(|name| foreign_key(&self.keys, name).is_some())
                    || matches!(constraint, TableConstraint::PrimaryKey { .. }) && self.keys.contains_key("primaryKey");
                match (exists, name) {
                    (true, _) if if_not_exists => return Ok(()),
                    (true, Some(name)) => {
                        return Err(SqlError::analysis(format!("Constraint {name} already exists")));
                    }
                    _ => add_constraint(&mut self.keys, scope, &constraint)?,
                }
                self.keys_change = true;
            }
            AlterAction::DropConstraint { name, if_exists } => {
                match foreign_key(&self.keys, &name.name) {
                    Some(at) => {
                        if let Some(list) = self.keys.get_mut("foreignKeys").and_then(Json::as_array_mut) {
                            list.remove(at);
                        }
                    }
                    None if if_exists => {}
                    None => {
                        return Err(SqlError::analysis(format!("Constraint not found: {}", name.name)).at(name.pos));
                    }
                }
                self.keys_change = true;
            }
            AlterAction::DropPrimaryKey { if_exists } => {
                if self.keys.shift_remove("primaryKey").is_none() && !if_exists {
                    return Err(SqlError::analysis(format!("Table {} has no primary key", target.table)));
                }
                self.keys_change = true;
            }
        }
        Ok(())
    }

    /// The table's own columns that its keys name.
    fn key_columns(&self) -> impl Iterator<Item = &str> {
        let primary = self.keys.get("primaryKey").and_then(|key| key.get("columns")?.as_array());
        let foreign = self.keys.get("foreignKeys").and_then(Json::as_array).into_iter().flatten();
        let references = foreign.filter_map(|key| key.get("columnReferences")?.as_array()).flatten();
        let referencing = references.filter_map(|pair| pair.get("referencingColumn")?.as_str());
        primary.into_iter().flatten().filter_map(Json::as_str).chain(referencing)
    }

    fn rename_in_keys(&mut self, from: &str, to: &str) {
        let rename = |name: &mut Json| {
            if name.as_str().is_some_and(|own| own.eq_ignore_ascii_case(from)) {
                *name = Json::String(to.to_owned());
            }
        };
        if let Some(list) = self.keys.get_mut("primaryKey").and_then(|key| key.get_mut("columns")?.as_array_mut()) {
            list.iter_mut().for_each(rename);
        }
        let foreign = self.keys.get_mut("foreignKeys").and_then(Json::as_array_mut);
        for key in foreign.into_iter().flatten() {
            let pairs = key.get_mut("columnReferences").and_then(Json::as_array_mut);
            pairs.into_iter().flatten().filter_map(|pair| pair.get_mut("referencingColumn")).for_each(rename);
        }
        self.keys_change |= !self.keys.is_empty();
    }

    /// The table's new shape; and its rows, where values become others.
    fn reshaped(&self, schema: Option<&Schema>, now: Timestamp) -> Result<(Shape, Option<Vec<Batch>>)> {
        let (version, own) = (&self.before, &self.before.shape);
        if !self.columns_change {
            return Ok(((**own).clone(), None));
        }
        // The analyzer went through the same actions.
        let agrees = |schema: &&Schema| {
            schema.columns.len() == self.columns.len()
                && schema.columns.iter().zip(&self.columns).all(|(column, (name, _))| column.name == *name)
        };
        let schema = schema.filter(agrees).ok_or_else(|| SqlError::internal("ALTER TABLE lost its columns"))?;
        let from: Vec<Option<usize>> = self.columns.iter().map(|(_, at)| *at).collect();
        let shape = own.rearranged(schema.clone(), &from);
        let mut changes = false;
        for (column, before) in schema.columns.iter().zip(&from) {
            let Some(before) = before.and_then(|at| own.schema.columns.get(at)) else { continue };
            if before.ty == column.ty {
                continue;
            }
            let partitioning = own.partitioning.as_ref().and_then(Partitioning::column);
            if partitioning.is_some_and(|own| own.eq_ignore_ascii_case(&before.name)) {
                return Err(SqlError::analysis(format!(
                    "ALTER TABLE ALTER COLUMN SET DATA TYPE cannot change partitioning column {}",
                    column.name
                )));
            }
            changes = true;
        }
        let rows = if changes { Some(converted(version, schema, &from, now)?) } else { None };
        Ok((shape, rows))
    }
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

/// All rows as `schema` has them, each column's values from where they were, or NULL for a new one. Rows stay in
/// their partitions.
fn converted(version: &TableVersion, schema: &Schema, from: &[Option<usize>], now: Timestamp) -> Result<Vec<Batch>> {
    let eval = EvalContext {
        now: now.as_micros(),
        time_zone: "UTC".into(),
        draws: Draws::default(),
        session_user: String::new(),
        project: String::new(),
    };
    let before = &version.shape.schema.columns;
    let mut out = Vec::new();
    for batch in version.batches_in_place() {
        let mut columns = Vec::with_capacity(schema.columns.len() + 1);
        for (column, at) in schema.columns.iter().zip(from) {
            let old = at.and_then(|at| Some((batch.columns.get(at)?, before.get(at)?)));
            columns.push(match old {
                Some((values, definition)) if definition.ty == column.ty => values.clone(),
                Some((values, definition)) => {
                    let cast = |row| cast::cast(&values.get(row), &definition.ty, &column.ty, &eval);
                    let values = (0..batch.len).map(cast).collect::<Result<Vec<_>>>()?;
                    Arc::new(Column::from_values(&column.ty, values))
                }
                None if matches!(column.ty, Type::Array(_)) => {
                    Arc::new(Column::constant(Value::array(Vec::new()), batch.len))
                }
                None => Arc::new(Column::nulls(batch.len)),
            });
        }
        columns.extend(batch.columns.iter().skip(before.len()).cloned());
        out.push(Batch::new(columns, batch.len));
    }
    Ok(out)
}
