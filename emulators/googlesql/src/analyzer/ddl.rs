//! DDL: the statement stays as it was written; names, schemas, options and queries are resolved beside it.

use crate::ast::{self, AlterAction, AlterColumnAction, OptionEntry, Statement, StatementKind as S};
use crate::catalog::{ColumnDef, Mode, Relation, Schema, TablePath};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{Ddl, Expr, Plan, Query};
use crate::types::{Type, TypeParams};
use crate::value::Value;

use super::scope::{NameList, NamedColumn, Scope};
use super::{Analyzer, Cx, column};

impl Analyzer<'_> {
    pub(super) fn ddl(&self, statement: &Statement) -> Result<Plan> {
        let ddl = |target: TablePath, schema: Option<Schema>, query: Option<Query>, options: Vec<(String, Expr)>| {
            Plan::Ddl(Box::new(Ddl { statement: statement.clone(), target, schema, query, options }))
        };
        match &statement.kind {
            S::CreateTable(create) => self.create_table(statement, create),
            S::CreateView(create) => {
                let target = self.ddl_target(&create.name)?;
                let query = self.behind_wall(|| self.query(&create.query, None))?;
                let names: Vec<Option<String>> = if create.columns.is_empty() {
                    query.columns.iter().map(|out| out.name.clone()).collect()
                } else {
                    if create.columns.len() != query.columns.len() {
                        let text = format!(
                            "Column list of CREATE VIEW has {} columns, but its query has {}",
                            create.columns.len(),
                            query.columns.len()
                        );
                        return Err(SqlError::analysis(text).at(create.name.pos));
                    }
                    create.columns.iter().map(|(name, _)| Some(name.name.clone())).collect()
                };
                let mut schema = self.schema_of(&query, &names, "CREATE VIEW", create.name.pos)?;
                for (def, (_, options)) in schema.columns.iter_mut().zip(&create.columns) {
                    def.description = self.text_option(options, "description")?;
                }
                let options = self.options(&create.options)?;
                Ok(ddl(target, Some(schema), None, options))
            }
            S::CreateSchema { name, options, collate, .. } => {
                self.no_collation(collate.as_ref())?;
                Ok(ddl(schema_target(name), None, None, self.options(options)?))
            }
            S::CreateSnapshot(create) => {
                if let Some(as_of) = &create.as_of {
                    self.system_time(as_of)?;
                }
                let target = self.ddl_target(&create.name)?;
                Ok(ddl(target, None, None, self.options(&create.options)?))
            }
            S::CreateFunction(create) => {
                self.check_function_body(create)?;
                let target = if create.temporary { local_target(&create.name) } else { self.ddl_target(&create.name)? };
                Ok(ddl(target, None, None, self.options(&create.options)?))
            }
            S::CreateProcedure(create) => {
                Ok(ddl(self.ddl_target(&create.name)?, None, None, self.options(&create.options)?))
            }
            S::CreateRowAccessPolicy(create) => Ok(ddl(self.ddl_target(&create.table)?, None, None, Vec::new())),
            S::DropRowAccessPolicy { table, .. } => Ok(ddl(self.ddl_target(table)?, None, None, Vec::new())),
            S::CreateIndex(create) => {
                Ok(ddl(self.ddl_target(&create.table)?, None, None, self.options(&create.options)?))
            }
            S::Drop { object, name, on, .. } => {
                let target = match (object, on) {
                    (ast::ObjectKind::Schema, _) => schema_target(name),
                    (_, Some(on)) => self.ddl_target(on)?,
                    _ => self.ddl_target(name)?,
                };
                Ok(ddl(target, None, None, Vec::new()))
            }
            S::AlterTable { name, if_exists, actions } => {
                let target = self.ddl_target(name)?;
                let schema = self.altered(name, *if_exists, actions)?;
                let mut options = Vec::new();
                for action in actions {
                    if let AlterAction::SetOptions(entries) = action {
                        options.extend(self.options(entries)?);
                    }
                }
                Ok(ddl(target, schema, None, options))
            }
            S::Alter { object, name, actions, .. } => {
                let target = match object {
                    ast::ObjectKind::Schema => schema_target(name),
                    _ => self.ddl_target(name)?,
                };
                let mut options = Vec::new();
                for action in actions {
                    if let AlterAction::SetOptions(entries) = action {
                        options.extend(self.options(entries)?);
                    }
                }
                Ok(ddl(target, None, None, options))
            }
            S::Undrop { name, options, .. } => Ok(ddl(schema_target(name), None, None, self.options(options)?)),
            S::Grant { name, object, .. } => {
                let target = if object.name.eq_ignore_ascii_case("SCHEMA") {
                    schema_target(name)
                } else {
                    self.ddl_target(name)?
                };
                Ok(ddl(target, None, None, Vec::new()))
            }
            S::ExportData { options, query, .. } => {
                let query = self.query(query, None)?;
                let target = TablePath { project: String::new(), dataset: String::new(), table: String::new() };
                Ok(ddl(target, None, Some(query), self.options(options)?))
            }
            S::LoadData(load) => {
                let target = self.ddl_target(&load.table)?;
                let schema = match load.columns.is_empty() {
                    true => None,
                    false => Some(self.declared(&load.columns)?),
                };
                Ok(ddl(target, schema, None, self.options(&load.options)?))
            }
            _ => Err(SqlError::unsupported("Statement is not supported outside of a script").at(statement.pos)),
        }
    }

    fn ddl_target(&self, path: &ast::Path) -> Result<TablePath> {
        let parts: Vec<String> = path.parts.iter().map(|part| part.name.clone()).collect();
        self.ctx.catalog.resolve(&parts)
    }

    fn no_collation(&self, collate: Option<&ast::Expr>) -> Result<()> {
        match collate {
            Some(expr) if !matches!(&expr.kind, ast::ExprKind::String(text) if text.is_empty()) => {
                Err(SqlError::unsupported("Collation is not supported").at(expr.pos))
            }
            _ => Ok(()),
        }
    }

    /// OPTIONS(…): names lower case, values as constants. Unknown names are the service's to refuse.
    pub(super) fn options(&self, entries: &[OptionEntry]) -> Result<Vec<(String, Expr)>> {
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let cx = Cx::plain(&scope, "OPTIONS");
        let mut out: Vec<(String, Expr)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = entry.name.name.to_lowercase();
            if out.iter().any(|(known, _)| *known == name) {
                let text = format!("Duplicate option specified for '{}'", entry.name.name);
                return Err(SqlError::analysis(text).at(entry.name.pos));
            }
            out.push((name, self.expr(&entry.value, &cx)?));
        }
        Ok(out)
    }

    fn text_option(&self, entries: &[OptionEntry], name: &str) -> Result<Option<String>> {
        for (key, value) in self.options(entries)? {
            if key == name {
                return Ok(match crate::exec::eval_constant(&value, self.ctx.eval)? {
                    Value::String(text) => Some(text.to_string()),
                    _ => None,
                });
            }
        }
        Ok(None)
    }

    fn create_table(&self, statement: &Statement, create: &ast::CreateTable) -> Result<Plan> {
        let target = self.ddl_target(&create.name)?;
        self.no_collation(create.collate.as_ref())?;
        let mut query = match &create.query {
            Some(query) => Some(self.query(query, None)?),
            None => None,
        };
        let mut schema = match (&query, create.columns.is_empty()) {
            (None, false) => Some(self.declared(&create.columns)?),
            (Some(query), true) => {
                let names: Vec<Option<String>> = query.columns.iter().map(|out| out.name.clone()).collect();
                Some(self.schema_of(query, &names, "CREATE TABLE", create.name.pos)?)
            }
            (Some(_), false) => Some(self.declared(&create.columns)?),
            (None, true) => None,
        };
        if let (Some(resolved), Some(schema), false) = (&mut query, &schema, create.columns.is_empty()) {
            let given = resolved.columns.len();
            if given != schema.columns.len() {
                let text = format!(
                    "The number of columns in the column definition list does not match the number of columns produced \
                     by the query; expected {}, found {given}",
                    schema.columns.len()
                );
                return Err(SqlError::analysis(text).at(create.name.pos));
            }
            self.converted(resolved, schema)?;
        }
        if let Some(resolved) = &mut query
            && resolved.value_table
        {
            let opened = self.opened(resolved, create.name.pos)?;
            *resolved = opened;
            let names: Vec<Option<String>> = resolved.columns.iter().map(|out| out.name.clone()).collect();
            schema = Some(self.schema_of(resolved, &names, "CREATE TABLE", create.name.pos)?);
        }
        if let Some(like) = &create.like {
            schema = Some(self.schema_of_table(like)?);
        }
        if let Some(copy) = &create.copy {
            if let Some(as_of) = &copy.as_of {
                self.system_time(as_of)?;
            }
            schema = Some(self.schema_of_table(&copy.source)?);
        }
        if schema.is_none() && !create.external {
            let text = "CREATE TABLE must have a column list, AS SELECT, LIKE, COPY or CLONE";
            return Err(SqlError::analysis(text).at(create.name.pos));
        }
        if let Some(schema) = &schema {
            self.check_layout(create, schema)?;
        }
        let options = self.options(&create.options)?;
        Ok(Plan::Ddl(Box::new(Ddl { statement: statement.clone(), target, schema, query, options })))
    }

    /// A value table's struct as columns, which is how a table keeps it.
    pub(super) fn opened(&self, query: &Query, pos: Pos) -> Result<Query> {
        let names = super::query::names_of(&query.columns, true);
        let mut columns = Vec::new();
        let mut computed = Vec::new();
        for (name, expr) in super::select::star_columns(&names.columns, pos) {
            let id = self.new_column();
            columns.push(crate::plan::OutputColumn {
                name: (!name.is_empty()).then_some(name),
                id,
                ty: expr.ty.clone(),
            });
            computed.push((id, expr));
        }
        let rel = crate::plan::Rel::Compute { input: Box::new(query.rel.clone()), columns: computed };
        Ok(Query { rel, columns, value_table: false })
    }

    /// What PARTITION BY and CLUSTER BY name must be there.
    fn check_layout(&self, create: &ast::CreateTable, schema: &Schema) -> Result<()> {
        let mut columns: Vec<NamedColumn> =
            schema.columns.iter().map(|def| NamedColumn::new(&def.name, self.new_column(), def.ty.clone())).collect();
        for (name, ty) in [("_PARTITIONTIME", Type::Timestamp), ("_PARTITIONDATE", Type::Date)] {
            if schema.position(name).is_none() {
                columns.push(NamedColumn::new(name, self.new_column(), ty));
            }
        }
        let names = NameList::of_columns(columns);
        let scope = Scope::new(&names, None);
        if let Some(partition) = &create.partition_by {
            let cx = Cx::plain(&scope, "PARTITION BY");
            let by_call = matches!(partition.kind, ast::ExprKind::Call(_));
            let resolved = self.expr(partition, &cx)?;
            let plain_ok = matches!(resolved.ty, Type::Date);
            if !by_call && !plain_ok {
                let text = "PARTITION BY expression must be DATE(<timestamp_column>), DATE(<datetime_column>), \
                            DATETIME_TRUNC(<datetime_column>, DAY/HOUR/MONTH/YEAR), a DATE column, \
                            TIMESTAMP_TRUNC(<timestamp_column>, DAY/HOUR/MONTH/YEAR), DATE_TRUNC(<date_column>, \
                            MONTH/YEAR), or RANGE_BUCKET(<int64_column>, GENERATE_ARRAY(<int64_value>, <int64_value>[, \
                            <int64_value>]))";
                return Err(SqlError::analysis(text).at(partition.pos));
            }
        }
        if create.cluster_by.len() > 4 {
            let text = "A table can be clustered by at most 4 columns";
            return Err(SqlError::analysis(text).at(create.cluster_by[4].pos));
        }
        for cluster in &create.cluster_by {
            let cx = Cx::plain(&scope, "CLUSTER BY");
            let resolved = self.expr(cluster, &cx)?;
            if matches!(resolved.ty, Type::Float64 | Type::Array(_) | Type::Struct(_) | Type::Json | Type::Bytes) {
                let text =
                    format!("CLUSTER BY expression has type {}, which is not supported for clustering", resolved.ty);
                return Err(SqlError::analysis(text).at(cluster.pos));
            }
        }
        Ok(())
    }

    fn schema_of_table(&self, path: &ast::Path) -> Result<Schema> {
        let parts: Vec<String> = path.parts.iter().map(|part| part.name.clone()).collect();
        match self.ctx.catalog.relation(&parts, None)? {
            Relation::Table(table) => Ok(table.schema().clone()),
            Relation::View { path: view, .. } => {
                let text = format!("{}:{}.{} is a view and not a table", view.project, view.dataset, view.table);
                Err(SqlError::analysis(text).at(path.pos))
            }
        }
    }

    /// The columns of a query as a table has them.
    fn schema_of(&self, query: &Query, names: &[Option<String>], what: &str, pos: Pos) -> Result<Schema> {
        let mut columns: Vec<ColumnDef> = Vec::with_capacity(query.columns.len());
        if query.value_table
            && let [crate::plan::OutputColumn { ty: Type::Struct(_), .. }] = query.columns.as_slice()
        {
            let opened = self.opened(query, pos)?;
            let names: Vec<Option<String>> = opened.columns.iter().map(|out| out.name.clone()).collect();
            return self.schema_of(&opened, &names, what, pos);
        }
        for (index, (out, name)) in query.columns.iter().zip(names).enumerate() {
            let Some(name) = name else {
                let text = format!("{what} columns must be named, but column {} has no name", index + 1);
                return Err(SqlError::analysis(text).at(pos));
            };
            if columns.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
                let text = format!("{what} has columns with duplicate name {name}");
                return Err(SqlError::analysis(text).at(pos));
            }
            columns.push(plain_column(name, &out.ty, &TypeParams::default()));
        }
        Ok(Schema { columns })
    }

    /// Converts a query's columns to those of a schema, for CREATE TABLE with both.
    fn converted(&self, query: &mut Query, schema: &Schema) -> Result<()> {
        let mut computed = Vec::new();
        for (index, (out, def)) in query.columns.iter_mut().zip(&schema.columns).enumerate() {
            out.name = Some(def.name.clone());
            if out.ty == def.ty {
                continue;
            }
            let value =
                super::setop::literal_behind(&query.rel, out.id).unwrap_or_else(|| column(out.id, out.ty.clone(), 0));
            let value = self.assign(value, &def.ty)?.ok_or_else(|| {
                SqlError::analysis(format!(
                    "Query column {} has type {} which cannot be inserted into column {}, which has type {}",
                    index + 1,
                    out.ty,
                    def.name,
                    def.ty
                ))
            })?;
            let id = self.new_column();
            computed.push((id, value));
            out.id = id;
            out.ty = def.ty.clone();
        }
        if !computed.is_empty() {
            let input = std::mem::replace(&mut query.rel, crate::plan::Rel::SingleRow);
            query.rel = crate::plan::Rel::Compute { input: Box::new(input), columns: computed };
        }
        Ok(())
    }

    fn declared(&self, columns: &[ast::ColumnSpec]) -> Result<Schema> {
        let mut out: Vec<ColumnDef> = Vec::with_capacity(columns.len());
        for spec in columns {
            if out.iter().any(|known| known.name.eq_ignore_ascii_case(&spec.name.name)) {
                let text = format!("CREATE TABLE has columns with duplicate name {}", spec.name.name);
                return Err(SqlError::analysis(text).at(spec.name.pos));
            }
            out.push(self.column_def(spec)?);
        }
        Ok(Schema { columns: out })
    }

    pub(super) fn column_def(&self, spec: &ast::ColumnSpec) -> Result<ColumnDef> {
        let (ty, params) = super::resolve_type(&spec.ty)?;
        let mut def = plain_column(&spec.name.name, &ty, &params);
        if spec.not_null {
            if matches!(ty, Type::Array(_)) {
                let text =
                    format!("NOT NULL cannot be applied to ARRAY column {}, which is never NULL", spec.name.name);
                return Err(SqlError::analysis(text).at(spec.pos));
            }
            def.mode = Mode::Required;
        }
        if let Some(default) = &spec.default {
            self.check_default(default, &ty, &spec.name.name)?;
            def.default.clone_from(&spec.default_text);
        }
        self.column_options(&mut def, &spec.options)?;
        Ok(def)
    }

    fn check_default(&self, default: &ast::Expr, ty: &Type, name: &str) -> Result<()> {
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let expr = self.expr(default, &Cx::plain(&scope, "column default"))?;
        let found = self.type_name_of(&expr);
        if self.assign(expr, ty)?.is_none() {
            let text = format!(
                "Column default expression has type {found} which cannot be assigned to column {name}, which has type {ty}"
            );
            return Err(SqlError::analysis(text).at(default.pos));
        }
        Ok(())
    }

    fn column_options(&self, def: &mut ColumnDef, entries: &[OptionEntry]) -> Result<()> {
        for (name, value) in self.options(entries)? {
            let text = match crate::exec::eval_constant(&value, self.ctx.eval)? {
                Value::String(text) => Some(text.to_string()),
                _ => None,
            };
            match name.as_str() {
                "description" => def.description = text,
                "rounding_mode" => def.rounding_mode = text,
                _ => {}
            }
        }
        Ok(())
    }

    /// The schema after ALTER TABLE's column actions; `None` where the table is missing and may be.
    fn altered(&self, name: &ast::Path, if_exists: bool, actions: &[AlterAction]) -> Result<Option<Schema>> {
        let parts: Vec<String> = name.parts.iter().map(|part| part.name.clone()).collect();
        let mut schema = match self.ctx.catalog.relation(&parts, None) {
            Ok(Relation::Table(table)) => table.schema().clone(),
            Ok(Relation::View { .. }) => return Ok(None),
            Err(error) if error.kind == crate::error::ErrorKind::NotFound && if_exists => return Ok(None),
            Err(error) => return Err(error),
        };
        let spelled = parts.join(".");
        for action in actions {
            match action {
                AlterAction::AddColumn { column, if_not_exists } => {
                    if schema.position(&column.name.name).is_some() {
                        if *if_not_exists {
                            continue;
                        }
                        let text = format!("Column already exists: {}", column.name.name);
                        return Err(SqlError::analysis(text).at(column.name.pos));
                    }
                    let def = self.column_def(column)?;
                    if def.mode == Mode::Required {
                        let text = format!("Cannot add required columns to an existing schema. (field: {})", def.name);
                        return Err(SqlError::analysis(text).at(column.pos));
                    }
                    schema.columns.push(def);
                }
                AlterAction::DropColumn { name: column, if_exists } => match schema.position(&column.name) {
                    Some(position) => {
                        schema.columns.remove(position);
                    }
                    None if *if_exists => {}
                    None => {
                        let text = format!("Column not found: {}", column.name);
                        return Err(SqlError::analysis(text).at(column.pos));
                    }
                },
                AlterAction::RenameColumn { from, to, if_exists } => match schema.position(&from.name) {
                    Some(position) => {
                        if schema.position(&to.name).is_some_and(|other| other != position) {
                            let text = format!("Column already exists: {}", to.name);
                            return Err(SqlError::analysis(text).at(to.pos));
                        }
                        schema.columns[position].name.clone_from(&to.name);
                    }
                    None if *if_exists => {}
                    None => {
                        let text = format!("Column not found: {}", from.name);
                        return Err(SqlError::analysis(text).at(from.pos));
                    }
                },
                AlterAction::AlterColumn { name: column, if_exists, action } => {
                    match column_at(&mut schema.columns, &column.parts) {
                        Some(def) => self.alter_column(def, action)?,
                        None if *if_exists => {}
                        None => {
                            let path: Vec<&str> = column.parts.iter().map(|part| part.name.as_str()).collect();
                            let text = format!("Column not found: {}", path.join("."));
                            return Err(SqlError::analysis(text).at(column.pos));
                        }
                    }
                }
                AlterAction::SetDefaultCollate(collate) => self.no_collation(Some(collate))?,
                AlterAction::RenameTo(_)
                | AlterAction::SetOptions(_)
                | AlterAction::AddConstraint { .. }
                | AlterAction::DropConstraint { .. }
                | AlterAction::DropPrimaryKey { .. } => {}
            }
        }
        if schema.columns.is_empty() {
            let text = format!("ALTER TABLE DROP COLUMN cannot drop all columns from {spelled}");
            return Err(SqlError::analysis(text).at(name.pos));
        }
        Ok(Some(schema))
    }

    fn alter_column(&self, def: &mut ColumnDef, action: &AlterColumnAction) -> Result<()> {
        match action {
            AlterColumnAction::SetDataType(ty) => {
                let pos = ty.pos;
                let (ty, params) = super::resolve_type(ty)?;
                let allowed = widens(&def.ty, &ty) && params_widen(&def.ty, &def.params, &params);
                if !allowed {
                    let text = format!(
                        "ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type ({}) is \
                         assignable to the new type ({ty})",
                        def.ty
                    );
                    return Err(SqlError::analysis(text).at(pos));
                }
                let fields = plain_column(&def.name, &ty, &params).fields;
                def.ty = ty;
                def.params = params;
                def.fields = fields;
            }
            AlterColumnAction::SetDefault { expr, text } => {
                self.check_default(expr, &def.ty, &def.name)?;
                def.default = Some(text.clone());
            }
            AlterColumnAction::DropDefault => def.default = None,
            AlterColumnAction::DropNotNull => def.mode = Mode::Nullable,
            AlterColumnAction::SetOptions(entries) => self.column_options(def, entries)?,
        }
        Ok(())
    }
}

/// A column definition from CREATE TABLE or ALTER TABLE ADD COLUMN.
pub fn column_def(spec: &ast::ColumnSpec, context: &crate::plan::AnalyzerContext) -> Result<ColumnDef> {
    Analyzer::new(context).column_def(spec)
}

/// A nullable column without further ado; nested fields are spelled out.
pub(super) fn plain_column(name: &str, ty: &Type, params: &TypeParams) -> ColumnDef {
    let inner = match ty {
        Type::Array(element) => Some((&**element, params.children.first())),
        other => Some((other, Some(params))),
    };
    let fields = match inner {
        Some((Type::Struct(fields), params)) => fields
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let none = TypeParams::default();
                let inner = params.and_then(|params| params.children.get(index)).unwrap_or(&none);
                plain_column(&field.name, &field.ty, inner)
            })
            .collect(),
        _ => Vec::new(),
    };
    ColumnDef {
        name: name.to_owned(),
        ty: ty.clone(),
        params: params.clone(),
        mode: Mode::Nullable,
        description: None,
        default: None,
        rounding_mode: None,
        fields,
    }
}

fn column_at<'c>(columns: &'c mut [ColumnDef], path: &[ast::Ident]) -> Option<&'c mut ColumnDef> {
    let (first, rest) = path.split_first()?;
    let def = columns.iter_mut().find(|def| def.name.eq_ignore_ascii_case(&first.name))?;
    if rest.is_empty() { Some(def) } else { column_at(&mut def.fields, rest) }
}

fn widens(from: &Type, to: &Type) -> bool {
    if from == to {
        return true;
    }
    match (from, to) {
        (Type::Int64, Type::Numeric | Type::BigNumeric | Type::Float64)
        | (Type::Numeric, Type::BigNumeric | Type::Float64) => true,
        (Type::Array(a), Type::Array(b)) => widens(a, b),
        (Type::Struct(a), Type::Struct(b)) => {
            a.fields.len() <= b.fields.len()
                && a.fields
                    .iter()
                    .zip(&b.fields)
                    .all(|(a, b)| a.name.eq_ignore_ascii_case(&b.name) && widens(&a.ty, &b.ty))
        }
        _ => false,
    }
}

/// A longer string, more digits: never fewer.
fn params_widen(from: &Type, old: &TypeParams, new: &TypeParams) -> bool {
    let length = match (old.max_length, new.max_length) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => new >= old,
    };
    let digits = match (old.precision, new.precision) {
        (_, None) => true,
        (None, Some(new_precision)) => {
            *from == Type::Int64 && new_precision.saturating_sub(new.scale.unwrap_or(0)) >= 19
        }
        (Some(old_precision), Some(new_precision)) => {
            let (old_scale, new_scale) = (old.scale.unwrap_or(0), new.scale.unwrap_or(0));
            new_scale >= old_scale
                && new_precision - new_scale.min(new_precision) >= old_precision - old_scale.min(old_precision)
        }
    };
    length && digits
}

fn schema_target(path: &ast::Path) -> TablePath {
    let parts = &path.parts;
    match parts.as_slice() {
        [project, dataset, ..] => {
            TablePath { project: project.name.clone(), dataset: dataset.name.clone(), table: String::new() }
        }
        [dataset] => TablePath { project: String::new(), dataset: dataset.name.clone(), table: String::new() },
        [] => TablePath { project: String::new(), dataset: String::new(), table: String::new() },
    }
}

fn local_target(path: &ast::Path) -> TablePath {
    let table = path.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".");
    TablePath { project: String::new(), dataset: String::new(), table }
}
