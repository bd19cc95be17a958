//! INSERT, UPDATE, DELETE, MERGE, TRUNCATE.

use std::sync::Arc;

use crate::ast::{self, ExprKind as A, InsertSource, MergeInsert, UpdateItem};
use crate::catalog::{ColumnDef, Relation, Table};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{
    Assignment, ColumnId, Delete, Expr, ExprKind, Insert, InsertValue, JoinKind, Merge, MergeAction, MergeClause,
    MergeWhen, Plan, Rel, Update,
};
use crate::types::Type;
use crate::value::Value;

use super::from::aliased;
use super::path::struct_field;
use super::scope::{NameList, Scope};
use super::{Analyzer, Cx, column, literal, string};

/// The table that a statement changes, scanned with row ids.
struct Target {
    table: Arc<dyn Table>,
    rel: Rel,
    row_id: ColumnId,
    /// Of what can be written, see [`writable`].
    columns: Vec<ColumnId>,
    names: NameList,
}

/// The columns that DML writes: those of the schema, and `_PARTITIONTIME` where the table has it.
fn writable(table: &Arc<dyn Table>) -> Vec<&ColumnDef> {
    table.schema().columns.iter().chain(table.ingestion_time()).collect()
}

fn position(columns: &[&ColumnDef], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

impl Analyzer<'_> {
    fn dml_table(&self, path: &ast::Path) -> Result<Arc<dyn Table>> {
        let parts: Vec<String> = path.parts.iter().map(|part| part.name.clone()).collect();
        match self.ctx.catalog.relation(&parts, None)? {
            Relation::Table(table) if table.read_only() => {
                let name = table.path();
                let text =
                    format!("Cannot modify {}:{}.{}: it does not support DML", name.project, name.dataset, name.table);
                Err(SqlError::analysis(text).at(path.pos))
            }
            Relation::Table(table) => Ok(table),
            Relation::View { path: view, .. } => {
                let text = format!(
                    "Cannot modify {}:{}.{}: it is a view, and DML works on tables only",
                    view.project, view.dataset, view.table
                );
                Err(SqlError::analysis(text).at(path.pos))
            }
        }
    }

    fn target(&self, path: &ast::Path, alias: Option<&ast::Ident>) -> Result<Target> {
        let table = self.dml_table(path)?;
        let (rel, names) = self.scan(table.clone());
        let Rel::Scan { table, columns, .. } = rel else { return Err(SqlError::internal("a scan")) };
        let ids = columns.iter().take(writable(&table).len()).map(|(id, _)| *id).collect();
        let row_id = self.new_column();
        let names = aliased(names, alias.or(path.parts.last()));
        let rel = Rel::Scan { table: table.clone(), columns, row_id: Some(row_id) };
        Ok(Target { table, rel, row_id, columns: ids, names })
    }

    /// A column's default, or NULL.
    fn default_of(&self, def: &ColumnDef, pos: Pos) -> Result<Expr> {
        let Some(text) = &def.default else { return Ok(literal(Value::Null, def.ty.clone(), pos)) };
        let parsed = crate::parser::parse_expression(text)?;
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let expr = self.behind_wall(|| self.expr(&parsed, &Cx::plain(&scope, "DEFAULT")))?;
        self.assign(expr, &def.ty)?.ok_or_else(|| SqlError::internal("a default of another type"))
    }

    /// The positions of the columns that an INSERT names; all where it names none.
    fn insert_columns(&self, table: &Arc<dyn Table>, names: &[ast::Ident]) -> Result<Vec<usize>> {
        let schema = table.schema();
        if names.is_empty() {
            return Ok((0..schema.columns.len()).collect());
        }
        let columns = writable(table);
        let mut positions = Vec::with_capacity(names.len());
        let mut seen = vec![false; columns.len()];
        for name in names {
            let Some(position) = position(&columns, &name.name) else {
                let path = table.path();
                let hint = super::suggest::closest(&name.name, schema.columns.iter().map(|def| def.name.as_str()))
                    .map(|near| format!("; Did you mean {near}?"))
                    .unwrap_or_default();
                let text = format!(
                    "Column {} is not present in table {}.{}.{}{hint}",
                    name.name, path.project, path.dataset, path.table
                );
                return Err(SqlError::analysis(text).at(name.pos));
            };
            if std::mem::replace(&mut seen[position], true) {
                let text = format!("INSERT has columns with duplicate name: {}", name.name);
                return Err(SqlError::analysis(text).at(name.pos));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    /// A value for a column, converted; `DEFAULT` becomes the default.
    fn inserted_value(&self, value: &ast::Expr, def: &ColumnDef, cx: &Cx) -> Result<Expr> {
        if matches!(value.kind, A::Default) {
            return self.default_of(def, value.pos);
        }
        let expr = self.expr(value, cx)?;
        let found = self.type_name_of(&expr);
        self.assign(expr, &def.ty)?.ok_or_else(|| {
            let text = format!(
                "Value has type {found} which cannot be inserted into column {}, which has type {}",
                def.name, def.ty
            );
            SqlError::analysis(text).at(value.pos)
        })
    }

    pub(super) fn insert(&self, insert: &ast::Insert) -> Result<Plan> {
        if let Some(assert) = &insert.assert_rows {
            return Err(SqlError::unsupported("ASSERT_ROWS_MODIFIED is not supported").at(assert.pos));
        }
        let table = self.dml_table(&insert.table)?;
        let positions = self.insert_columns(&table, &insert.columns)?;
        let schema = writable(&table);
        let wrong_count = |found: usize, pos: Pos| {
            let text = format!("Inserted row has wrong column count; Has {found}, expected {}", positions.len());
            SqlError::analysis(text).at(pos)
        };
        let mut values: Vec<Option<InsertValue>> = vec![None; schema.len()];
        let query = match &insert.source {
            InsertSource::Values(rows) => {
                let names = NameList::default();
                let scope = Scope::new(&names, None);
                let cx = Cx::plain(&scope, "VALUES clause");
                let mut resolved = Vec::with_capacity(rows.len());
                for row in rows {
                    if row.len() != positions.len() {
                        let pos = row.first().map_or(insert.table.pos, |value| value.pos.saturating_sub(1));
                        return Err(wrong_count(row.len(), pos));
                    }
                    let mut cells = Vec::with_capacity(row.len());
                    for (value, position) in row.iter().zip(&positions) {
                        cells.push(self.inserted_value(value, schema[*position], &cx)?);
                    }
                    resolved.push(cells);
                }
                let first = self.new_columns(positions.len());
                let columns: Vec<ColumnId> = (0..positions.len()).map(|index| ColumnId(first + index as u32)).collect();
                for (position, id) in positions.iter().zip(&columns) {
                    values[*position] = Some(InsertValue::Column(*id));
                }
                let types = positions.iter().map(|position| schema[*position].ty.clone()).collect();
                Rel::Values { columns, types, rows: resolved }
            }
            InsertSource::Query(query) => {
                let pos = query.pos;
                let query = self.query(query, None)?;
                if query.columns.len() != positions.len() {
                    return Err(wrong_count(query.columns.len(), pos));
                }
                let mut rel = query.rel;
                let mut computed = Vec::new();
                for (index, (out, position)) in query.columns.iter().zip(&positions).enumerate() {
                    let def = schema[*position];
                    let mut id = out.id;
                    if out.ty != def.ty {
                        let value = super::setop::literal_behind(&rel, out.id)
                            .unwrap_or_else(|| column(out.id, out.ty.clone(), pos));
                        let value = self.assign(value, &def.ty)?.ok_or_else(|| {
                            let text = format!(
                                "Query column {} has type {} which cannot be inserted into column {}, which has type {}",
                                index + 1,
                                out.ty,
                                def.name,
                                def.ty
                            );
                            SqlError::analysis(text).at(pos)
                        })?;
                        id = self.new_column();
                        computed.push((id, value));
                    }
                    values[*position] = Some(InsertValue::Column(id));
                }
                if !computed.is_empty() {
                    rel = Rel::Compute { input: Box::new(rel), columns: computed };
                }
                rel
            }
            InsertSource::Row => {
                return Err(SqlError::analysis("INSERT ROW is only allowed in MERGE").at(insert.table.pos));
            }
        };
        let mut all = Vec::with_capacity(values.len());
        for (value, def) in values.into_iter().zip(&schema) {
            all.push(match value {
                Some(value) => value,
                None => InsertValue::Expr(self.default_of(def, insert.table.pos)?),
            });
        }
        Ok(Plan::Insert(Insert { table: table.clone(), query, values: all }))
    }

    pub(super) fn update(&self, update: &ast::Update) -> Result<Plan> {
        if let Some(assert) = &update.assert_rows {
            return Err(SqlError::unsupported("ASSERT_ROWS_MODIFIED is not supported").at(assert.pos));
        }
        let target = self.target(&update.table, update.alias.as_ref())?;
        let Some(filter) = &update.filter else {
            return Err(SqlError::analysis("UPDATE must have a WHERE clause").at(update.table.pos));
        };
        let mut target = target;
        let mut rel = std::mem::replace(&mut target.rel, Rel::SingleRow);
        let joined;
        let names = match &update.from {
            Some(from) => {
                let siblings = NameList::default();
                let (right, right_names) = self.table_expr(from, &siblings, None)?;
                for (name, _) in &right_names.ranges {
                    if target.names.ranges.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                        let text = format!("Alias {name} of the FROM clause is the same as the UPDATE's target");
                        return Err(SqlError::analysis(text).at(from.pos));
                    }
                }
                joined = NameList::join(&target.names, &right_names);
                rel = Rel::Join {
                    kind: JoinKind::Cross,
                    left: Box::new(rel),
                    right: Box::new(right),
                    on: None,
                    lateral: false,
                };
                &joined
            }
            None => &target.names,
        };
        let scope = Scope::new(names, None);
        let predicate = self.condition(filter, &Cx::plain(&scope, "WHERE clause"), "WHERE clause")?;
        rel = Rel::Filter { input: Box::new(rel), predicate };
        let assignments = self.assignments(&update.items, &target, &Cx::plain(&scope, "UPDATE SET clause"))?;
        Ok(Plan::Update(Update {
            table: target.table,
            input: rel,
            row_id: target.row_id,
            columns: target.columns,
            assignments,
            has_from: update.from.is_some(),
        }))
    }

    fn assignments(&self, items: &[UpdateItem], target: &Target, cx: &Cx) -> Result<Vec<Assignment>> {
        let schema = writable(&target.table);
        // What is assigned below each column, in the order of first mention.
        let mut nodes: Vec<(usize, Node)> = Vec::new();
        let target_scope = Scope::new(&target.names, None);
        for item in items {
            let (path, value) = match item {
                UpdateItem::Set { target, value } => (target, value),
                UpdateItem::Nested(statement) => {
                    return Err(SqlError::unsupported("Nested DML statements are not supported").at(statement.pos));
                }
            };
            let (base, mut fields) = super::path::flatten(path);
            let A::Name(first) = &base.kind else {
                // Origin: what the language says where elements cannot be assigned, as in production.
                let text = match &base.kind {
                    A::Subscript { .. } => "UPDATE ... SET does not support array modification with []",
                    _ => "UPDATE SET targets must be columns or fields of columns",
                };
                return Err(SqlError::analysis(text).at(path.pos));
            };
            // `alias.column` or `column`.
            let is_alias = !fields.is_empty()
                && target.names.ranges.iter().any(|(name, _)| name.eq_ignore_ascii_case(&first.name));
            let name = if is_alias { fields.remove(0) } else { first };
            let Some(position) = position(&schema, &name.name) else {
                return Err(match self.expr(path, &Cx::plain(&target_scope, "UPDATE SET clause")) {
                    Err(error) => error,
                    Ok(_) => SqlError::analysis(format!("Column {} cannot be updated", name.name)).at(name.pos),
                });
            };
            let def = schema[position];
            let spelled = || {
                let mut spelled = name.name.clone();
                for field in &fields {
                    spelled.push('.');
                    spelled.push_str(&field.name);
                }
                spelled
            };
            // The field's type, and its index at each step.
            let mut ty = def.ty.clone();
            let mut steps = Vec::with_capacity(fields.len());
            for field in &fields {
                let Type::Struct(known) = &ty else {
                    let text = format!("Cannot access field {} on a value with type {ty}", field.name);
                    return Err(SqlError::analysis(text).at(field.pos));
                };
                let Some(index) = known.fields.iter().position(|known| known.name.eq_ignore_ascii_case(&field.name))
                else {
                    let text = format!("Field name {} does not exist in {ty}", field.name);
                    return Err(SqlError::analysis(text).at(field.pos));
                };
                steps.push(index);
                ty = known.fields[index].ty.clone();
            }
            let value = if matches!(value.kind, A::Default) {
                if steps.is_empty() {
                    self.default_of(def, value.pos)?
                } else {
                    literal(Value::Null, ty.clone(), value.pos)
                }
            } else {
                let expr = self.expr(value, cx)?;
                let found = self.type_name_of(&expr);
                self.assign(expr, &ty)?.ok_or_else(|| {
                    let text =
                        format!("Value of type {found} cannot be assigned to {}, which has type {ty}", spelled());
                    SqlError::analysis(text).at(value.pos)
                })?
            };
            let node = match nodes.iter_mut().position(|(known, _)| *known == position) {
                Some(at) => &mut nodes[at].1,
                None => {
                    nodes.push((position, Node::Kept));
                    let last = nodes.len() - 1;
                    &mut nodes[last].1
                }
            };
            node.put(&steps, value).map_err(|clash| {
                let text = match clash {
                    Clash::Same => format!("Update item {} assigned more than once", spelled()),
                    Clash::Overlap => format!("Update item {} overlaps with another update item", spelled()),
                };
                SqlError::analysis(text).at(path.pos)
            })?;
        }
        let mut assignments = Vec::with_capacity(nodes.len());
        for (position, node) in nodes {
            let def = schema[position];
            let current = column(target.columns[position], def.ty.clone(), 0);
            assignments.push(Assignment { column: position, value: self.assembled(node, current)? });
        }
        Ok(assignments)
    }

    /// The column's whole new value.
    fn assembled(&self, node: Node, current: Expr) -> Result<Expr> {
        match node {
            Node::Kept => Ok(current),
            Node::Value(value) => Ok(value),
            Node::Fields(fields) => {
                let ty = current.ty.clone();
                let pos = current.pos;
                let Type::Struct(known) = &ty else { return Err(SqlError::internal("fields of no struct")) };
                let mut fields = fields;
                fields.resize_with(known.fields.len(), || Node::Kept);
                let mut parts = Vec::with_capacity(fields.len());
                for (index, field) in fields.into_iter().enumerate() {
                    parts.push(self.assembled(field, struct_field(current.clone(), index))?);
                }
                let whole = Expr { kind: ExprKind::MakeStruct(parts), ty: ty.clone(), pos };
                let is_null = self.call_scalar("$is_null", vec![current], pos)?;
                let text = string(format!("Cannot set field of NULL {ty}"), pos);
                let error = self.call_scalar("error", vec![text], pos)?;
                let error = self.convert(error, &ty)?;
                let kind = ExprKind::Case { branches: vec![(is_null, error)], otherwise: Some(Box::new(whole)) };
                Ok(Expr { kind, ty, pos })
            }
        }
    }

    pub(super) fn delete(&self, delete: &ast::Delete) -> Result<Plan> {
        if let Some(assert) = &delete.assert_rows {
            return Err(SqlError::unsupported("ASSERT_ROWS_MODIFIED is not supported").at(assert.pos));
        }
        let target = self.target(&delete.table, delete.alias.as_ref())?;
        let Some(filter) = &delete.filter else {
            return Err(SqlError::analysis("DELETE must have a WHERE clause").at(delete.table.pos));
        };
        let scope = Scope::new(&target.names, None);
        let predicate = self.condition(filter, &Cx::plain(&scope, "WHERE clause"), "WHERE clause")?;
        let input = Rel::Filter { input: Box::new(target.rel), predicate };
        Ok(Plan::Delete(Delete { table: target.table, input, row_id: target.row_id }))
    }

    pub(super) fn truncate(&self, path: &ast::Path, filter: Option<&ast::Expr>) -> Result<Plan> {
        if let Some(filter) = filter {
            return Err(SqlError::unsupported("TRUNCATE TABLE with a WHERE clause is not supported").at(filter.pos));
        }
        Ok(Plan::Truncate { table: self.dml_table(path)? })
    }

    pub(super) fn merge(&self, merge: &ast::Merge) -> Result<Plan> {
        let target = self.target(&merge.table, merge.alias.as_ref())?;
        let nothing = NameList::default();
        let (source, source_names) = self.table_expr(&merge.source, &nothing, None)?;
        for (name, _) in &source_names.ranges {
            if target.names.ranges.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                let text = format!("Duplicate table alias {name} in the same MERGE statement");
                return Err(SqlError::analysis(text).at(merge.source.pos));
            }
        }
        let both = NameList::join(&target.names, &source_names);
        let both_scope = Scope::new(&both, None);
        let target_scope = Scope::new(&target.names, None);
        let source_scope = Scope::new(&source_names, None);
        let on = self.condition(&merge.on, &Cx::plain(&both_scope, "MERGE ON clause"), "MERGE condition")?;
        let schema = writable(&target.table);
        let mut clauses = Vec::with_capacity(merge.clauses.len());
        for clause in &merge.clauses {
            let (when, scope) = match clause.when {
                ast::MergeWhen::Matched => (MergeWhen::Matched, &both_scope),
                ast::MergeWhen::NotMatchedByTarget => (MergeWhen::NotMatchedByTarget, &source_scope),
                ast::MergeWhen::NotMatchedBySource => (MergeWhen::NotMatchedBySource, &target_scope),
            };
            let condition = match &clause.condition {
                Some(condition) => {
                    let cx = Cx::plain(scope, "MERGE WHEN clause");
                    Some(self.condition(condition, &cx, "MERGE WHEN clause")?)
                }
                None => None,
            };
            let action = match &clause.action {
                ast::MergeAction::Delete => {
                    if when == MergeWhen::NotMatchedByTarget {
                        let text = "DELETE is not allowed in a NOT MATCHED BY TARGET clause";
                        return Err(SqlError::analysis(text).at(clause.pos));
                    }
                    MergeAction::Delete
                }
                ast::MergeAction::Update(items) => {
                    if when == MergeWhen::NotMatchedByTarget {
                        let text = "UPDATE is not allowed in a NOT MATCHED BY TARGET clause";
                        return Err(SqlError::analysis(text).at(clause.pos));
                    }
                    let cx = Cx::plain(scope, "MERGE UPDATE SET clause");
                    MergeAction::Update(self.assignments(items, &target, &cx)?)
                }
                ast::MergeAction::Insert { columns, source, pos } => {
                    if when != MergeWhen::NotMatchedByTarget {
                        let text = "INSERT is only allowed in a NOT MATCHED BY TARGET clause";
                        return Err(SqlError::analysis(text).at(clause.pos));
                    }
                    let positions = self.insert_columns(&target.table, columns)?;
                    let wrong_count = |found: usize, pos: Pos| {
                        let text =
                            format!("Inserted row has wrong column count; Has {found}, expected {}", positions.len());
                        SqlError::analysis(text).at(pos)
                    };
                    let mut values: Vec<Option<Expr>> = vec![None; schema.len()];
                    match source {
                        MergeInsert::Values(row) => {
                            if row.len() != positions.len() {
                                return Err(wrong_count(row.len(), *pos));
                            }
                            let cx = Cx::plain(&source_scope, "MERGE INSERT VALUES clause");
                            for (value, position) in row.iter().zip(&positions) {
                                values[*position] = Some(self.inserted_value(value, schema[*position], &cx)?);
                            }
                        }
                        MergeInsert::Row => {
                            let row = super::select::star_columns(&source_names.columns, *pos);
                            if row.len() != positions.len() {
                                return Err(wrong_count(row.len(), *pos));
                            }
                            for ((_, value), position) in row.into_iter().zip(&positions) {
                                let def = schema[*position];
                                let found = self.type_name_of(&value);
                                let value = self.assign(value, &def.ty)?.ok_or_else(|| {
                                    let text = format!(
                                        "Value has type {found} which cannot be inserted into column {}, which has \
                                         type {}",
                                        def.name, def.ty
                                    );
                                    SqlError::analysis(text).at(*pos)
                                })?;
                                values[*position] = Some(value);
                            }
                        }
                    }
                    let mut all = Vec::with_capacity(values.len());
                    for (value, def) in values.into_iter().zip(&schema) {
                        all.push(match value {
                            Some(value) => value,
                            None => self.default_of(def, *pos)?,
                        });
                    }
                    MergeAction::Insert(all)
                }
            };
            clauses.push(MergeClause { when, condition, action });
        }
        Ok(Plan::Merge(Merge {
            table: target.table,
            target: target.rel,
            row_id: target.row_id,
            columns: target.columns,
            source,
            on,
            clauses,
        }))
    }
}

/// What UPDATE does below one column.
enum Node {
    Kept,
    Value(Expr),
    Fields(Vec<Node>),
}

enum Clash {
    Same,
    Overlap,
}

impl Node {
    fn put(&mut self, steps: &[usize], value: Expr) -> Result<(), Clash> {
        match (steps.split_first(), &mut *self) {
            (None, Node::Kept) => {
                *self = Node::Value(value);
                Ok(())
            }
            (None, Node::Value(_)) => Err(Clash::Same),
            (None, Node::Fields(_)) | (Some(_), Node::Value(_)) => Err(Clash::Overlap),
            (Some((step, rest)), Node::Fields(fields)) => {
                if fields.len() <= *step {
                    fields.resize_with(*step + 1, || Node::Kept);
                }
                fields[*step].put(rest, value)
            }
            (Some(_), Node::Kept) => {
                *self = Node::Fields(Vec::new());
                self.put(steps, value)
            }
        }
    }
}
