//! UNION, INTERSECT, EXCEPT: by position and by name.

use crate::ast::{self, SetOperator, SetOperatorKind, SetOuterMode};
use crate::error::{Result, SqlError};
use crate::plan::{ColumnId, Expr, OutputColumn, Query, Rel, SetKind};
use crate::types::Type;
use crate::value::Value;

use super::scope::Scope;
use super::select::Tail;
use super::{Analyzer, column, literal};

/// One operand: where each output column comes from; `None` is a column that it lacks.
struct Operand {
    query: Query,
    sources: Vec<Option<usize>>,
}

impl Analyzer<'_> {
    pub(super) fn set_operation(&self, operation: &ast::SetOperation, outer: Option<&Scope>) -> Result<Query> {
        let mut rest = operation.rest.iter().peekable();
        let mut current = self.body(&operation.first, Tail::none(), outer)?;
        // Runs of equal operators are one node; EXCEPT and DISTINCT mixed with ALL go from left to right.
        while let Some((operator, body)) = rest.next() {
            let mut queries = vec![current, self.body(body, Tail::none(), outer)?];
            while let Some((next, body)) = rest.peek() {
                if !same_operator(operator, next) {
                    break;
                }
                queries.push(self.body(body, Tail::none(), outer)?);
                rest.next();
            }
            current = self.set_node(operator, queries)?;
        }
        Ok(current)
    }

    pub(super) fn set_node(&self, operator: &SetOperator, queries: Vec<Query>) -> Result<Query> {
        let kind = match operator.kind {
            SetOperatorKind::Union => SetKind::Union,
            SetOperatorKind::Intersect => SetKind::Intersect,
            SetOperatorKind::Except => SetKind::Except,
        };
        let spelled = spelled(operator);
        if operator.all && kind != SetKind::Union {
            return Err(SqlError::analysis(format!("{spelled} is not supported")).at(operator.pos));
        }
        let value_table = queries.first().is_some_and(|query| query.value_table);
        let by_name = operator.by_name || !operator.columns.is_empty();
        let (names, operands) =
            if by_name { self.by_name(operator, queries)? } else { by_position(operator, queries)? };

        // The common type of each column.
        let width = names.len();
        let mut types = Vec::with_capacity(width);
        for index in 0..width {
            let present: Vec<&OutputColumn> =
                operands.iter().filter_map(|operand| Some(&operand.query.columns[operand.sources[index]?])).collect();
            let first = present.first().map(|out| out.ty.clone()).unwrap_or(Type::Int64);
            let plain = present.iter().all(|out| out.ty == first);
            let ty = if plain && first != Type::Int64 {
                first
            } else {
                let exprs: Vec<Expr> = operands
                    .iter()
                    .filter_map(|operand| {
                        let out = &operand.query.columns[operand.sources[index]?];
                        Some(
                            literal_behind(&operand.query.rel, out.id)
                                .unwrap_or_else(|| column(out.id, out.ty.clone(), operator.pos)),
                        )
                    })
                    .collect();
                if plain {
                    // All INT64, or NULLs without a type.
                    Type::Int64
                } else {
                    self.common_type(&exprs).ok_or_else(|| {
                        let found: Vec<String> = exprs.iter().map(|expr| self.type_name_of(expr)).collect();
                        let text =
                            format!("Column {} in {spelled} has incompatible types: {}", index + 1, found.join(", "));
                        SqlError::analysis(text).at(operator.pos)
                    })?
                }
            };
            let comparable = super::aggregate::groupable(&ty) || kind == SetKind::Union && operator.all;
            if !comparable {
                let text = format!(
                    "Column {} in {spelled} has type that does not support set operation comparisons: {ty}",
                    index + 1
                );
                return Err(SqlError::analysis(text).at(operator.pos));
            }
            types.push(ty);
        }

        let mut inputs = Vec::with_capacity(operands.len());
        for operand in operands {
            let Operand { query, sources } = operand;
            let mut rel = query.rel;
            let mut ids: Vec<ColumnId> = Vec::with_capacity(width);
            let mut computed: Vec<(ColumnId, Expr)> = Vec::new();
            for (source, ty) in sources.iter().zip(&types) {
                let source = source.map(|index| &query.columns[index]);
                match source {
                    Some(out) if out.ty == *ty => ids.push(out.id),
                    Some(out) => {
                        let value = literal_behind(&rel, out.id)
                            .unwrap_or_else(|| column(out.id, out.ty.clone(), operator.pos));
                        let id = self.new_column();
                        computed.push((id, self.convert(value, ty)?));
                        ids.push(id);
                    }
                    None => {
                        let id = self.new_column();
                        computed.push((id, literal(Value::Null, ty.clone(), operator.pos)));
                        ids.push(id);
                    }
                }
            }
            if !computed.is_empty() {
                rel = Rel::Compute { input: Box::new(rel), columns: computed };
            }
            inputs.push((rel, ids));
        }
        let first = self.new_columns(width);
        let columns: Vec<ColumnId> = (0..width).map(|index| ColumnId(first + index as u32)).collect();
        let out = names
            .into_iter()
            .zip(&columns)
            .zip(&types)
            .map(|((name, id), ty)| OutputColumn { name, id: *id, ty: ty.clone() })
            .collect();
        let rel = Rel::SetOperation { kind, all: operator.all, inputs, columns, types };
        Ok(Query { rel, columns: out, value_table })
    }

    fn by_name(&self, operator: &SetOperator, queries: Vec<Query>) -> Result<(Vec<Option<String>>, Vec<Operand>)> {
        let spelled = spelled(operator);
        for (number, query) in queries.iter().enumerate() {
            let mut seen: Vec<String> = Vec::new();
            for out in &query.columns {
                let Some(name) = &out.name else {
                    if !operator.columns.is_empty() {
                        continue;
                    }
                    let text = format!(
                        "Anonymous columns are not allowed in {spelled} with name matching; query {} has one",
                        number + 1
                    );
                    return Err(SqlError::analysis(text).at(operator.pos));
                };
                let lower = name.to_lowercase();
                if seen.contains(&lower) && (operator.columns.is_empty() || listed(operator, &lower)) {
                    let text = format!("Duplicate column name {name} in query {} of {spelled}", number + 1);
                    return Err(SqlError::analysis(text).at(operator.pos));
                }
                seen.push(lower);
            }
        }
        let has = |query: &Query, name: &str| {
            query
                .columns
                .iter()
                .position(|out| out.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))
        };
        let all_names =
            |query: &Query| -> Vec<String> { query.columns.iter().filter_map(|out| out.name.clone()).collect() };
        // BY NAME alone wants the same columns everywhere; CORRESPONDING alone takes those all have.
        let mut names: Vec<String> = Vec::new();
        if !operator.columns.is_empty() {
            for wanted in &operator.columns {
                if names.iter().any(|known| known.eq_ignore_ascii_case(&wanted.name)) {
                    let text = format!("Duplicate column name {} in the column list of {spelled}", wanted.name);
                    return Err(SqlError::analysis(text).at(wanted.pos));
                }
                let strict = operator.mode.is_none() || operator.mode == Some(SetOuterMode::Inner) || operator.strict;
                for (number, query) in queries.iter().enumerate() {
                    let must = strict || operator.mode == Some(SetOuterMode::Left) && number == 0;
                    if must && has(query, &wanted.name).is_none() {
                        let text =
                            format!("Column {} of the column list is missing in query {}", wanted.name, number + 1);
                        return Err(SqlError::analysis(text).at(wanted.pos));
                    }
                }
                if !queries.iter().any(|query| has(query, &wanted.name).is_some()) {
                    let text = format!("Column {} of the column list is in no query", wanted.name);
                    return Err(SqlError::analysis(text).at(wanted.pos));
                }
                names.push(wanted.name.clone());
            }
        } else {
            match operator.mode {
                Some(SetOuterMode::Full) => {
                    for query in &queries {
                        for name in all_names(query) {
                            if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                                names.push(name);
                            }
                        }
                    }
                }
                Some(SetOuterMode::Left) => names = all_names(&queries[0]),
                Some(SetOuterMode::Inner) | None => {
                    let everywhere = |name: &String| queries.iter().all(|query| has(query, name).is_some());
                    if operator.strict && operator.mode.is_none() {
                        names = all_names(&queries[0]);
                        let strict = queries.iter().all(|query| query.columns.len() == names.len());
                        if !strict || !names.iter().all(everywhere) {
                            let text = format!("{spelled} requires all input queries to have identical column names");
                            return Err(SqlError::analysis(text).at(operator.pos));
                        }
                    } else {
                        names = all_names(&queries[0]).into_iter().filter(everywhere).collect();
                    }
                }
            }
            if operator.mode == Some(SetOuterMode::Left) {
                for (number, query) in queries.iter().enumerate().skip(1) {
                    if !all_names(query).iter().any(|name| has(&queries[0], name).is_some()) {
                        let text = format!("Query {} of {spelled} has no column in common with query 1", number + 1);
                        return Err(SqlError::analysis(text).at(operator.pos));
                    }
                }
            }
            if names.is_empty() {
                let text = format!("The queries of {spelled} have no column in common");
                return Err(SqlError::analysis(text).at(operator.pos));
            }
        }
        let operands = queries
            .into_iter()
            .map(|query| {
                let sources = names.iter().map(|name| has(&query, name)).collect();
                Operand { query, sources }
            })
            .collect();
        Ok((names.into_iter().map(Some).collect(), operands))
    }
}

fn by_position(operator: &SetOperator, queries: Vec<Query>) -> Result<(Vec<Option<String>>, Vec<Operand>)> {
    let width = queries.first().map_or(0, |query| query.columns.len());
    for (number, query) in queries.iter().enumerate() {
        if query.columns.len() != width {
            let text = format!(
                "Queries in {} have mismatched column count; query 1 has {width} column{}, query {} has {} column{}",
                spelled(operator),
                if width == 1 { "" } else { "s" },
                number + 1,
                query.columns.len(),
                if query.columns.len() == 1 { "" } else { "s" }
            );
            return Err(SqlError::analysis(text).at(query_pos(operator)));
        }
    }
    let names =
        queries.first().map(|query| query.columns.iter().map(|out| out.name.clone()).collect()).unwrap_or_default();
    let operands =
        queries.into_iter().map(|query| Operand { query, sources: (0..width).map(Some).collect() }).collect();
    Ok((names, operands))
}

fn query_pos(operator: &SetOperator) -> u32 {
    operator.pos
}

fn listed(operator: &SetOperator, lower: &str) -> bool {
    operator.columns.iter().any(|name| name.name.to_lowercase() == lower)
}

fn spelled(operator: &SetOperator) -> String {
    let kind = match operator.kind {
        SetOperatorKind::Union => "UNION",
        SetOperatorKind::Intersect => "INTERSECT",
        SetOperatorKind::Except => "EXCEPT",
    };
    format!("{kind} {}", if operator.all { "ALL" } else { "DISTINCT" })
}

fn same_operator(a: &SetOperator, b: &SetOperator) -> bool {
    a.kind == b.kind
        && a.all == b.all
        && a.by_name == b.by_name
        && a.strict == b.strict
        && a.mode == b.mode
        && a.columns.iter().map(|name| &name.name).eq(b.columns.iter().map(|name| &name.name))
}

/// The literal that a column of the relation is, if it is computed as one at its top: such columns convert as
/// literals do.
pub(super) fn literal_behind(rel: &Rel, id: ColumnId) -> Option<Expr> {
    match rel {
        Rel::Compute { input, columns } => match columns.iter().find(|(known, _)| *known == id) {
            Some((_, expr)) => super::coerce::is_literal(expr).then(|| expr.clone()),
            None => literal_behind(input, id),
        },
        Rel::Sort { input, .. } | Rel::Limit { input, .. } | Rel::Filter { input, .. } => literal_behind(input, id),
        _ => None,
    }
}
