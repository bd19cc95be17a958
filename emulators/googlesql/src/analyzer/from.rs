//! FROM: tables, arrays, subqueries and the joins between them.

use std::rc::Rc;
use std::sync::Arc;

use crate::ast::{self, ExprKind as A, JoinCondition, TableExprKind, TablePostfix};
use crate::catalog::{Relation, Table};
use crate::error::{Pos, Result, SqlError};
use crate::plan::{ColumnId, Expr, ExprKind, JoinKind, Rel};
use crate::types::Type;
use crate::value::Value;

use super::scope::{NameList, NamedColumn, RangeVariable, Scope, Target};
use super::visit::walk_rel_exprs_mut;
use super::{Analyzer, Cx, column};

/// A scanned table that wants a filter on one of these columns.
pub(super) struct RequiredFilter {
    pub table: Arc<dyn Table>,
    pub column: String,
    /// The partitioning column and its pseudo columns, as the scan names them.
    pub ids: Vec<ColumnId>,
}

/// A table as FROM sees it: its rows and its names.
pub(super) type Source = (Rel, NameList);

impl Analyzer<'_> {
    pub(super) fn from(&self, table: &ast::TableExpr, outer: Option<&Scope>) -> Result<Source> {
        let nothing = NameList::default();
        self.table_expr(table, &nothing, outer)
    }

    /// `left` are the names of what stands before in the same FROM: arrays and LATERAL may use them.
    pub(super) fn table_expr(&self, table: &ast::TableExpr, left: &NameList, outer: Option<&Scope>) -> Result<Source> {
        let _deeper = self.deeper(table.pos)?;
        let (mut rel, mut names) = match &table.kind {
            TableExprKind::Path { path, as_of, with_offset } => {
                self.path_table(path, as_of.as_deref(), with_offset.as_ref(), table.alias.as_ref(), left, outer)?
            }
            TableExprKind::Unnest { arrays, mode, with_offset } => {
                self.unnest(arrays, mode.as_deref(), with_offset.as_ref(), table.alias.as_ref(), left, outer)?
            }
            TableExprKind::Subquery { query, lateral } => {
                let scope = Scope::new(left, outer);
                let query = self.query(query, if *lateral { Some(&scope) } else { outer })?;
                let names = super::query::names_of(&query.columns, query.value_table);
                (query.rel, aliased(names, table.alias.as_ref()))
            }
            TableExprKind::Call(call) => {
                let (rel, names) = self.table_function(call, left, outer)?;
                (rel, aliased(names, table.alias.as_ref()))
            }
            TableExprKind::Join(join) => self.join(join, left, outer)?,
            TableExprKind::Parenthesized(inner) => {
                let (rel, names) = self.table_expr(inner, left, outer)?;
                match &table.alias {
                    Some(alias) => (rel, aliased(names, Some(alias))),
                    None => (rel, names),
                }
            }
        };
        for postfix in &table.postfix {
            (rel, names) = match postfix {
                TablePostfix::Pivot(pivot) => self.pivot(rel, names, pivot, outer)?,
                TablePostfix::Unpivot(unpivot) => self.unpivot(rel, names, unpivot)?,
                TablePostfix::Sample { method, size, percent, pos } => {
                    (self.sample(rel, method, size, *percent, *pos)?, names)
                }
            };
        }
        Ok((rel, names))
    }

    pub(super) fn sample(
        &self,
        rel: Rel,
        method: &ast::Ident,
        size: &ast::Expr,
        percent: bool,
        pos: Pos,
    ) -> Result<Rel> {
        if !percent {
            return Err(SqlError::analysis("TABLESAMPLE with ROWS is not supported").at(pos));
        }
        if !method.name.eq_ignore_ascii_case("SYSTEM") {
            let text = format!("TABLESAMPLE method {} is not supported", method.name);
            return Err(SqlError::analysis(text).at(method.pos));
        }
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let size_pos = size.pos;
        let size = self.expr(size, &Cx::plain(&scope, "TABLESAMPLE"))?;
        let percent = self
            .implicit(size, &Type::Float64)?
            .map_err(|_| SqlError::analysis("TABLESAMPLE size must be a number").at(size_pos))?;
        if let ExprKind::Literal(Value::Float64(size)) = percent.kind
            && !(0.0..=100.0).contains(&size)
        {
            return Err(SqlError::analysis("PERCENT value must be in the range [0, 100]").at(size_pos));
        }
        Ok(Rel::Sample { input: Box::new(rel), percent })
    }

    fn path_table(
        &self,
        path: &ast::Path,
        as_of: Option<&ast::Expr>,
        with_offset: Option<&ast::WithOffset>,
        alias: Option<&ast::Ident>,
        left: &NameList,
        outer: Option<&Scope>,
    ) -> Result<Source> {
        // `t.array`: the first name is one of this FROM clause or of an enclosing query.
        if let [first, _, ..] = path.parts.as_slice() {
            let scope = Scope::new(left, outer);
            if matches!(scope.find(&first.name), Some(Target::Range(_) | Target::Column { .. } | Target::Field { .. }))
            {
                return self.array_path(path, with_offset, alias, left, outer);
            }
        }
        let (rel, names) = self.table_path(path, as_of)?;
        if let Some(offset) = with_offset {
            return Err(SqlError::analysis("WITH OFFSET can only be used with array scans").at(offset.pos));
        }
        match (alias, path.parts.last()) {
            (Some(alias), _) => Ok((rel, aliased(names, Some(alias)))),
            (None, Some(last)) => Ok((rel, aliased(names, Some(last)))),
            (None, None) => Ok((rel, names)),
        }
    }

    fn array_path(
        &self,
        path: &ast::Path,
        with_offset: Option<&ast::WithOffset>,
        alias: Option<&ast::Ident>,
        left: &NameList,
        outer: Option<&Scope>,
    ) -> Result<Source> {
        let mut parts = path.parts.iter();
        let Some(first) = parts.next() else { return Err(SqlError::internal("an empty path")) };
        let mut expr = ast::Expr { kind: A::Name(first.clone()), pos: first.pos, end: first.pos };
        let mut last = first;
        for part in parts {
            last = part;
            expr = ast::Expr {
                pos: expr.pos,
                end: part.pos,
                kind: A::Field { expr: Box::new(expr), field: part.clone() },
            };
        }
        let scope = Scope::new(left, outer);
        let array = self.expr(&expr, &Cx::plain(&scope, "FROM clause"))?;
        if !matches!(array.ty, Type::Array(_)) {
            let text = format!("Values referenced in FROM clause must be arrays. {} has type {}", last.name, array.ty);
            return Err(SqlError::analysis(text).at(path.pos));
        }
        self.unnested(vec![(array, None)], false, with_offset, Some(alias.unwrap_or(last)))
    }

    #[allow(clippy::too_many_arguments)]
    fn unnest(
        &self,
        arrays: &[(ast::Expr, Option<ast::Ident>)],
        mode: Option<&ast::Expr>,
        with_offset: Option<&ast::WithOffset>,
        alias: Option<&ast::Ident>,
        left: &NameList,
        outer: Option<&Scope>,
    ) -> Result<Source> {
        let scope = Scope::new(left, outer);
        let cx = Cx::plain(&scope, "UNNEST");
        let mut resolved = Vec::with_capacity(arrays.len());
        for (array, name) in arrays {
            let value = self.expr(array, &cx)?;
            if !matches!(value.ty, Type::Array(_)) {
                let text = format!(
                    "Values referenced in UNNEST must be arrays. UNNEST contains expression of type {}",
                    value.ty
                );
                return Err(SqlError::analysis(text).at(array.pos));
            }
            let name = name.clone().or_else(|| {
                (arrays.len() > 1)
                    .then(|| {
                        super::path::implied_name(array).map(|name| ast::Ident { name, quoted: false, pos: array.pos })
                    })
                    .flatten()
            });
            resolved.push((value, name));
        }
        let mut strict = false;
        if let Some(mode) = mode {
            match &mode.kind {
                A::String(text) if text.eq_ignore_ascii_case("STRICT") => strict = true,
                A::String(text) if text.eq_ignore_ascii_case("PAD") => {}
                A::String(text) if text.eq_ignore_ascii_case("TRUNCATE") => {
                    return Err(SqlError::unsupported("UNNEST with mode TRUNCATE is not supported").at(mode.pos));
                }
                _ => {
                    let text = "UNNEST mode must be one of the literals STRICT, PAD, TRUNCATE";
                    return Err(SqlError::analysis(text).at(mode.pos));
                }
            }
        }
        self.unnested(resolved, strict, with_offset, alias)
    }

    fn unnested(
        &self,
        arrays: Vec<(Expr, Option<ast::Ident>)>,
        strict: bool,
        with_offset: Option<&ast::WithOffset>,
        alias: Option<&ast::Ident>,
    ) -> Result<Source> {
        let mut names = NameList::default();
        let mut columns = Vec::with_capacity(arrays.len());
        let single = arrays.len() == 1;
        for (array, name) in arrays {
            let id = self.new_column();
            let ty = array.ty.element().cloned().unwrap_or(Type::Int64);
            columns.push((id, array));
            let alias = if single { alias.or(name.as_ref()) } else { name.as_ref() };
            let mut named = NamedColumn::new(alias.map_or("", |alias| &alias.name), id, ty.clone());
            if single {
                named.value = true;
                if let Some(alias) = alias {
                    named.hidden_from_names = true;
                    names.ranges.push((Rc::from(alias.name.as_str()), Rc::new(RangeVariable::Value { id, ty })));
                }
            }
            names.columns.push(named);
        }
        if !single && let Some(alias) = alias {
            let text = "Array alias is not allowed when UNNEST has several arrays";
            return Err(SqlError::analysis(text).at(alias.pos));
        }
        let offset = with_offset.map(|offset| {
            let id = self.new_column();
            let name = offset.alias.as_ref().map_or("offset", |alias| &alias.name);
            names.columns.push(NamedColumn::new(name, id, Type::Int64));
            id
        });
        Ok((Rel::Unnest { arrays: columns, offset, strict }, names))
    }

    /// A CTE, table or view by name; no alias applied.
    pub(super) fn table_path(&self, path: &ast::Path, as_of: Option<&ast::Expr>) -> Result<Source> {
        if let [only] = path.parts.as_slice()
            && let Some(source) = self.cte_ref(&only.name, as_of, only.pos)
        {
            return source;
        }
        let parts: Vec<String> = path.parts.iter().map(|part| part.name.clone()).collect();
        let as_of = as_of.map(|expr| self.system_time(expr)).transpose()?;
        let wildcard = parts.last().is_some_and(|last| last.ends_with('*'));
        if wildcard {
            let table = self.ctx.catalog.wildcard(&parts, as_of)?;
            return Ok(self.scan(table));
        }
        match self.ctx.catalog.relation(&parts, as_of)? {
            Relation::Table(table) => Ok(self.scan(table)),
            Relation::View { path: view, sql } => {
                let key = format!("{}.{}.{}", view.project, view.dataset, view.table);
                self.view(&key, &sql, path.pos)
            }
        }
    }

    /// FOR SYSTEM_TIME AS OF: a constant timestamp.
    pub(super) fn system_time(&self, expr: &ast::Expr) -> Result<i64> {
        let names = NameList::default();
        let scope = Scope::new(&names, None);
        let resolved = self.expr(expr, &Cx::plain(&scope, "FOR SYSTEM_TIME AS OF"))?;
        let found = resolved.ty.clone();
        let resolved = self.implicit(resolved, &Type::Timestamp)?.map_err(|_| {
            let text = format!("FOR SYSTEM_TIME AS OF must be of type TIMESTAMP but was of type {found}");
            SqlError::analysis(text).at(expr.pos)
        })?;
        match crate::exec::eval_constant(&resolved, self.ctx.eval)? {
            Value::Timestamp(micros) => Ok(micros),
            _ => Err(SqlError::analysis("FOR SYSTEM_TIME AS OF expression must not be NULL").at(expr.pos)),
        }
    }

    /// All columns of a table; those that nobody reads are dropped from the scan at the end.
    pub(super) fn scan(&self, table: Arc<dyn Table>) -> Source {
        let schema = &table.schema().columns;
        let pseudo = table.pseudo_columns();
        let first = self.new_columns(schema.len() + pseudo.len());
        let id = |position: usize| ColumnId(first + position as u32);
        let named = schema
            .iter()
            .enumerate()
            .map(|(position, def)| NamedColumn::new(&def.name, id(position), def.ty.clone()))
            .collect();
        let mut names = NameList::of_columns(named);
        names.extra = pseudo
            .iter()
            .enumerate()
            .map(|(position, def)| {
                let target = Target::Column { id: id(schema.len() + position), ty: def.ty.clone() };
                (Rc::from(def.name.as_str()), target)
            })
            .collect();
        if let Some(wanted) = table.required_partition_filter() {
            let mut ids: Vec<ColumnId> = schema
                .iter()
                .enumerate()
                .filter(|(_, def)| def.name.eq_ignore_ascii_case(wanted))
                .map(|(position, _)| id(position))
                .collect();
            let pseudos = pseudo.iter().enumerate().filter(|(_, def)| {
                def.name.eq_ignore_ascii_case(wanted)
                    || wanted.to_uppercase().starts_with("_PARTITION")
                        && def.name.to_uppercase().starts_with("_PARTITION")
            });
            ids.extend(pseudos.map(|(position, _)| id(schema.len() + position)));
            let column = wanted.to_owned();
            self.filters.borrow_mut().push(RequiredFilter { table: table.clone(), column, ids });
        }
        let columns = (0..schema.len() + pseudo.len()).map(|position| (id(position), position)).collect();
        (Rel::Scan { table, columns, row_id: None }, names)
    }

    fn join(&self, join: &ast::Join, outer_left: &NameList, outer: Option<&Scope>) -> Result<Source> {
        let start = self.column_mark();
        let (left, left_names) = self.table_expr(&join.left, outer_left, outer)?;
        let middle = self.column_mark();
        let siblings = NameList::join(outer_left, &left_names);
        let (right, right_names) = self.table_expr(&join.right, &siblings, outer)?;
        self.joined(
            join.kind,
            (left, left_names),
            (right, right_names),
            &join.condition,
            start..middle,
            outer,
            join.pos,
            alias_pos(&join.right),
        )
    }

    /// `left_ids` are the ids that the left side may have made.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn joined(
        &self,
        kind: ast::JoinKind,
        left: Source,
        right: Source,
        condition: &JoinCondition,
        left_ids: std::ops::Range<u32>,
        outer: Option<&Scope>,
        pos: Pos,
        right_pos: Pos,
    ) -> Result<Source> {
        let (left, left_names) = left;
        let (mut right, right_names) = right;
        for (name, range) in &right_names.ranges {
            // Arrays may share an alias, which USING then joins by.
            let is_array = matches!(**range, RangeVariable::Value { .. });
            if left_names.ranges.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) && !is_array {
                let text = format!("Duplicate table alias {name} in the same FROM clause");
                return Err(SqlError::analysis(text).at(right_pos));
            }
        }
        let lateral = reads_any(&mut right, &left_ids);
        let plan_kind = match kind {
            ast::JoinKind::Comma | ast::JoinKind::Cross => JoinKind::Cross,
            ast::JoinKind::Inner => JoinKind::Inner,
            ast::JoinKind::Left => JoinKind::Left,
            ast::JoinKind::Right => JoinKind::Right,
            ast::JoinKind::Full => JoinKind::Full,
        };
        if lateral && matches!(plan_kind, JoinKind::Right | JoinKind::Full) {
            let text = "Array scan is not allowed with RIGHT or FULL JOIN when it references the left side of the join";
            return Err(SqlError::analysis(text).at(pos));
        }
        let clause = match condition {
            JoinCondition::None => None,
            JoinCondition::On(_) => Some("ON"),
            JoinCondition::Using(_) => Some("USING"),
        };
        if let (Some(clause), ast::JoinKind::Comma | ast::JoinKind::Cross) = (clause, kind) {
            let join = if kind == ast::JoinKind::Cross { "CROSS JOIN" } else { "comma join" };
            return Err(SqlError::analysis(format!("{clause} clause cannot be used with {join}")).at(pos));
        }
        match condition {
            JoinCondition::None => {
                let array = matches!(right, Rel::Unnest { .. });
                let plan_kind = match plan_kind {
                    JoinKind::Cross => JoinKind::Cross,
                    // An array path needs no condition, in any kind of join.
                    JoinKind::Inner if array || lateral => JoinKind::Cross,
                    JoinKind::Left if array || lateral => JoinKind::Left,
                    JoinKind::Inner => {
                        return Err(SqlError::analysis(
                            "INNER JOIN must have an immediately following ON or USING clause",
                        )
                        .at(pos));
                    }
                    JoinKind::Left => {
                        return Err(SqlError::analysis(
                            "LEFT JOIN must have an immediately following ON or USING clause",
                        )
                        .at(pos));
                    }
                    JoinKind::Right => {
                        return Err(SqlError::analysis(
                            "RIGHT JOIN must have an immediately following ON or USING clause",
                        )
                        .at(pos));
                    }
                    JoinKind::Full => {
                        return Err(SqlError::analysis(
                            "FULL JOIN must have an immediately following ON or USING clause",
                        )
                        .at(pos));
                    }
                };
                let names = NameList::join(&left_names, &right_names);
                let rel =
                    Rel::Join { kind: plan_kind, left: Box::new(left), right: Box::new(right), on: None, lateral };
                Ok((rel, names))
            }
            JoinCondition::On(on) => {
                let names = NameList::join(&left_names, &right_names);
                let scope = Scope::new(&names, outer);
                let on = self.condition(on, &Cx::plain(&scope, "JOIN ON clause"), "JOIN ON clause")?;
                let kind = if plan_kind == JoinKind::Cross { JoinKind::Inner } else { plan_kind };
                let rel = Rel::Join { kind, left: Box::new(left), right: Box::new(right), on: Some(on), lateral };
                Ok((rel, names))
            }
            JoinCondition::Using(using) => {
                self.join_using(plan_kind, (left, left_names), (right, right_names), using, lateral, pos)
            }
        }
    }

    fn join_using(
        &self,
        kind: JoinKind,
        (left, left_names): Source,
        (right, right_names): Source,
        using: &[ast::Ident],
        lateral: bool,
        pos: Pos,
    ) -> Result<Source> {
        let mut tests = Vec::with_capacity(using.len());
        let mut merged: Vec<NamedColumn> = Vec::with_capacity(using.len());
        let mut computed: Vec<(ColumnId, Expr)> = Vec::new();
        let mut gone: Vec<ColumnId> = Vec::new();
        for name in using {
            let side = |names: &NameList, which: &str| -> Result<Expr> {
                match names.find(&name.name) {
                    Some(Target::Column { id, ty }) => Ok(column(*id, ty.clone(), name.pos)),
                    Some(Target::Field { id, ty, index }) => {
                        Ok(super::path::struct_field(column(*id, ty.clone(), name.pos), *index))
                    }
                    Some(Target::Range(range)) => match &**range {
                        RangeVariable::Value { id, ty } => Ok(column(*id, ty.clone(), name.pos)),
                        RangeVariable::Row(row) => {
                            match names.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&name.name)) {
                                Some(known) => Ok(column(known.id, known.ty.clone(), name.pos)),
                                None => Ok(super::path::row_struct(row, name.pos)),
                            }
                        }
                    },
                    Some(Target::Ambiguous) => {
                        let text = format!("Column {} in USING clause is ambiguous on {which} side of join", name.name);
                        Err(SqlError::analysis(text).at(name.pos))
                    }
                    _ => {
                        let text = format!("Column {} in USING clause not found on {which} side of join", name.name);
                        Err(SqlError::analysis(text).at(name.pos))
                    }
                }
            };
            let l = side(&left_names, "left")?;
            let r = side(&right_names, "right")?;
            gone.extend([&l, &r].into_iter().filter_map(|expr| match expr.kind {
                ExprKind::Column(id) => Some(id),
                _ => None,
            }));
            let found = (l.ty.to_string(), r.ty.to_string());
            tests.push(self.call_scalar("$equal", vec![l.clone(), r.clone()], name.pos).map_err(|_| {
                let text = format!(
                    "Column {} in USING has incompatible types on either side of the join: {} and {}",
                    name.name, found.0, found.1
                );
                SqlError::analysis(text).at(name.pos)
            })?);
            let value = match kind {
                JoinKind::Inner | JoinKind::Left | JoinKind::Cross => l,
                JoinKind::Right => r,
                JoinKind::Full => {
                    let mut pair = vec![l, r];
                    let ty = self.unify(&mut pair)?.map_err(|()| SqlError::internal("USING's types"))?;
                    Expr { kind: ExprKind::Coalesce(pair), ty, pos: name.pos }
                }
            };
            let ty = value.ty.clone();
            let id = match value.kind {
                ExprKind::Column(id) => id,
                _ => {
                    let id = self.new_column();
                    computed.push((id, value));
                    id
                }
            };
            merged.push(NamedColumn::new(&name.name, id, ty));
        }
        let on = match tests.len() {
            1 => tests.pop(),
            _ => Some(Expr { kind: ExprKind::And(tests), ty: Type::Bool, pos }),
        };
        let kind = if kind == JoinKind::Cross { JoinKind::Inner } else { kind };
        let mut rel = Rel::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral };
        if !computed.is_empty() {
            rel = Rel::Compute { input: Box::new(rel), columns: computed };
        }
        let rest = |names: &NameList| -> Vec<NamedColumn> {
            names
                .columns
                .iter()
                .filter(|named| {
                    !(gone.contains(&named.id) && using.iter().any(|name| name.name.eq_ignore_ascii_case(&named.name)))
                })
                .cloned()
                .collect()
        };
        merged.extend(rest(&left_names));
        merged.extend(rest(&right_names));
        let mut names = NameList::of_columns(merged);
        names.ranges = left_names.ranges.iter().chain(&right_names.ranges).cloned().collect();
        names.extra = left_names.extra.iter().chain(&right_names.extra).cloned().collect();
        Ok((rel, names))
    }
}

/// Where a table gets its name.
pub(super) fn alias_pos(table: &ast::TableExpr) -> Pos {
    match (&table.alias, &table.kind) {
        (Some(alias), _) => alias.pos,
        (None, ast::TableExprKind::Path { path, .. }) => path.parts.last().map_or(table.pos, |part| part.pos),
        (None, ast::TableExprKind::Parenthesized(inner)) => alias_pos(inner),
        _ => table.pos,
    }
}

/// The names under an alias; without one they stay as they are.
pub(super) fn aliased(names: NameList, alias: Option<&ast::Ident>) -> NameList {
    let Some(alias) = alias else { return names };
    let mut names = names.with_alias(&alias.name);
    if let [only] = names.columns.as_mut_slice()
        && only.value
    {
        only.name = Rc::from(alias.name.as_str());
        only.hidden_from_names = true;
    }
    names
}

/// Whether any expression of the relation reads one of these ids.
fn reads_any(rel: &mut Rel, ids: &std::ops::Range<u32>) -> bool {
    if matches!(rel, Rel::Scan { .. } | Rel::CteRef { .. }) || ids.is_empty() {
        return false;
    }
    let mut found = false;
    walk_rel_exprs_mut(rel, &mut |expr| {
        if let ExprKind::Column(id) = expr.kind {
            found |= ids.contains(&id.0);
        }
        !found
    });
    found
}
