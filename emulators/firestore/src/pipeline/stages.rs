//! Running a pipeline's stages, one after the other, over rows.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::accumulate::Accumulator;
use super::eval::{Evaluated, Run, Scope, Variables, evaluate};
use super::{Expression, Failure, Named, Pipeline, Sample, Stage};
use crate::engine::store::Document;
use crate::path::FieldPath;
use crate::value::{Fields, Value};

/// What goes from stage to stage.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The document that this row still is, whatever fields were added or removed.
    pub document: Option<Arc<Document>>,
    pub fields: Fields,
}

impl Row {
    fn of(document: Arc<Document>) -> Row {
        Row { fields: document.fields.clone(), document: Some(document) }
    }

    fn made(fields: Fields) -> Row {
        Row { document: None, fields }
    }
}

/// Runs a pipeline. `outer` is the row of the pipeline around it, where there is one.
pub fn run(
    run: &mut Run<'_>,
    pipeline: &Pipeline,
    outer: &Variables,
    around: Option<&Row>,
) -> Result<Vec<Row>, Failure> {
    let mut variables = outer.clone();
    let mut own: Vec<Variables> = Vec::new();
    let mut rows = Vec::new();
    for (at, stage) in pipeline.stages.iter().enumerate() {
        if let Stage::Let(list) = stage {
            if at == 0 {
                let nothing = [Row::default()];
                let first = define(run, list, &nothing, &own, &variables)?;
                variables = first.into_iter().next().unwrap_or_default();
                continue;
            }
            // Variables belong to each row, so that nested pipelines see those of the row around.
            own = define(run, list, &rows, &own, &variables)?;
            continue;
        }
        let (kept, kept_own) =
            apply(run, stage, std::mem::take(&mut rows), std::mem::take(&mut own), &variables, around)?;
        rows = kept;
        own = kept_own;
    }
    Ok(rows)
}

/// The variables of each row, `list` added.
fn define(
    run: &mut Run<'_>,
    list: &[Named],
    rows: &[Row],
    own: &[Variables],
    outer: &Variables,
) -> Result<Vec<Variables>, Failure> {
    let mut all = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let variables = own.get(at).unwrap_or(outer);
        let mut more = variables.clone();
        for Named { target, expression } in list {
            let value = evaluate(run, Scope { row, variables }, expression)?;
            more.insert(Arc::from(target.to_string()), value);
        }
        all.push(more);
    }
    Ok(all)
}

type Rows = (Vec<Row>, Vec<Variables>);

fn apply(
    run: &mut Run<'_>,
    stage: &Stage,
    rows: Vec<Row>,
    own: Vec<Variables>,
    outer: &Variables,
    around: Option<&Row>,
) -> Result<Rows, Failure> {
    run.step(rows.len().max(1))?;
    // Where no row has variables of its own, all have those around.
    let of = |at: usize| -> &Variables { own.get(at).unwrap_or(outer) };
    let made = |rows: Vec<Row>| -> Result<Rows, Failure> { Ok((rows, Vec::new())) };
    match stage {
        Stage::Collection(path) => made(run.snapshot.collection(path).into_iter().map(Row::of).collect()),
        Stage::CollectionGroup(id) => made(run.snapshot.group(id).into_iter().map(Row::of).collect()),
        Stage::Subcollection(path) => {
            let Some(parent) = around.and_then(|row| row.document.as_ref()) else {
                return Err(Failure::invalid("The stage \"subcollection\" needs a document around its pipeline."));
            };
            let path = format!("{}/{path}", parent.name.path());
            made(run.snapshot.collection(&path).into_iter().map(Row::of).collect())
        }
        Stage::Database => made(run.snapshot.everything().into_iter().map(Row::of).collect()),
        Stage::Documents(names) => {
            made(names.iter().filter_map(|name| run.snapshot.document(name)).map(Row::of).collect())
        }
        Stage::Literals(list) => {
            let mut rows = Vec::with_capacity(list.len());
            for literal in list {
                match evaluate(run, Scope { row: &Row::default(), variables: outer }, literal)? {
                    Some(Value::Map(fields)) => rows.push(Row::made((*fields).clone())),
                    _ => return Err(Failure::invalid("The stage \"literals\" takes maps.")),
                }
            }
            made(rows)
        }
        Stage::Where(condition) => {
            let mut kept = (Vec::new(), Vec::new());
            for (at, row) in rows.into_iter().enumerate() {
                match evaluate(run, Scope { row: &row, variables: of(at) }, condition)? {
                    Some(Value::Bool(true)) => {
                        if let Some(variables) = own.get(at) {
                            kept.1.push(variables.clone());
                        }
                        kept.0.push(row);
                    }
                    Some(Value::Bool(false) | Value::Null) | None => {}
                    Some(_) => return Err(Failure::invalid("The condition of the stage \"where\" must be a boolean.")),
                }
            }
            Ok(kept)
        }
        Stage::Select(list) => {
            let mut selected = Vec::with_capacity(rows.len());
            for (at, row) in rows.into_iter().enumerate() {
                let mut fields = Fields::new();
                let mut document = None;
                for Named { target, expression } in list {
                    let is_name = matches!(expression, Expression::Field(path) if path.is_name()) && target.is_name();
                    if is_name {
                        document = row.document.clone();
                    } else if let Some(value) = evaluate(run, Scope { row: &row, variables: of(at) }, expression)? {
                        target.set(&mut fields, value);
                    }
                }
                selected.push(Row { document, fields });
            }
            Ok((selected, own))
        }
        Stage::AddFields(list) => {
            let mut added = Vec::with_capacity(rows.len());
            for (at, mut row) in rows.into_iter().enumerate() {
                let mut fields = row.fields.clone();
                for Named { target, expression } in list {
                    if let Some(value) = evaluate(run, Scope { row: &row, variables: of(at) }, expression)? {
                        target.set(&mut fields, value);
                    }
                }
                row.fields = fields;
                added.push(row);
            }
            Ok((added, own))
        }
        Stage::RemoveFields(paths) => {
            let mut rows = rows;
            for row in &mut rows {
                paths.iter().for_each(|path| path.remove(&mut row.fields));
            }
            Ok((rows, own))
        }
        Stage::Let(_) => Ok((rows, own)),
        Stage::Sort(orders) => {
            let mut keyed = Vec::with_capacity(rows.len());
            for (at, row) in rows.into_iter().enumerate() {
                let scope = Scope { row: &row, variables: of(at) };
                let keys = orders
                    .iter()
                    .map(|order| evaluate(run, scope, &order.expression))
                    .collect::<Result<Vec<_>, _>>()?;
                keyed.push((keys, row, own.get(at).cloned()));
            }
            keyed.sort_by(|(a, ..), (b, ..)| {
                let each = orders.iter().zip(a.iter().zip(b));
                each.map(|(order, (a, b))| {
                    let natural = compare(a.as_ref(), b.as_ref());
                    if order.descending { natural.reverse() } else { natural }
                })
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
            });
            Ok(keyed.into_iter().fold((Vec::new(), Vec::new()), |mut all, (_, row, variables)| {
                all.0.push(row);
                all.1.extend(variables);
                all
            }))
        }
        Stage::Offset(count) => Ok((rows.into_iter().skip(*count).collect(), own.into_iter().skip(*count).collect())),
        Stage::Limit(count) => Ok((rows.into_iter().take(*count).collect(), own.into_iter().take(*count).collect())),
        Stage::Distinct(groups) => made(aggregate(run, rows, &own, outer, &[], groups)?),
        Stage::Aggregate { accumulators, groups } => made(aggregate(run, rows, &own, outer, accumulators, groups)?),
        Stage::FindNearest { field, vector, measure, limit, distance } => {
            let mut found = Vec::new();
            for (at, mut row) in rows.into_iter().enumerate() {
                let value = evaluate(run, Scope { row: &row, variables: of(at) }, field)?;
                if let Some(far) = value.as_ref().and_then(|value| measure.distance(vector, value)) {
                    if let Some(path) = distance {
                        path.set(&mut row.fields, Value::Double(far));
                    }
                    found.push((far, row));
                }
            }
            found.sort_by(|(a, _), (b, _)| if measure.nearer_is_less() { a.total_cmp(b) } else { b.total_cmp(a) });
            made(found.into_iter().map(|(_, row)| row).take(limit.unwrap_or(usize::MAX)).collect())
        }
        Stage::ReplaceWith(expression) => {
            let mut replaced = Vec::with_capacity(rows.len());
            for (at, row) in rows.into_iter().enumerate() {
                match evaluate(run, Scope { row: &row, variables: of(at) }, expression)? {
                    Some(Value::Map(fields)) => replaced.push(Row::made((*fields).clone())),
                    _ => return Err(Failure::invalid("The stage \"replace_with\" needs a map.")),
                }
            }
            Ok((replaced, own))
        }
        Stage::Sample(sample) => made(draw(run, rows, *sample)),
        Stage::Union(other) => {
            let mut rows = rows;
            rows.extend(self::run(run, other, outer, around)?);
            made(rows)
        }
        Stage::Unnest { array, alias, index } => unnest(run, rows, &own, outer, array, alias, index.as_ref()),
    }
}

/// Absent values come before all others.
pub fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.compare(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// The values of a group, in the order of values, so that equal numbers are one group.
struct GroupKey(Vec<Option<Value>>);

impl Ord for GroupKey {
    fn cmp(&self, other: &GroupKey) -> Ordering {
        let mut each = self.0.iter().zip(&other.0).map(|(a, b)| compare(a.as_ref(), b.as_ref()));
        each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for GroupKey {
    fn partial_cmp(&self, other: &GroupKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GroupKey {
    fn eq(&self, other: &GroupKey) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for GroupKey {}

/// Without groups all rows are one group, which is there even where there is no row.
fn aggregate(
    run: &mut Run<'_>,
    rows: Vec<Row>,
    own: &[Variables],
    outer: &Variables,
    accumulators: &[Named],
    groups: &[Named],
) -> Result<Vec<Row>, Failure> {
    let parts: Vec<(&str, &[Expression])> = accumulators
        .iter()
        .filter_map(|named| match &named.expression {
            Expression::Function { name, arguments } => Some((&**name, arguments.as_slice())),
            _ => None,
        })
        .collect();
    let fresh = || -> Result<Vec<Accumulator>, Failure> {
        parts.iter().map(|(name, arguments)| Accumulator::new(name, arguments.len())).collect()
    };
    let mut all: BTreeMap<GroupKey, Vec<Accumulator>> = BTreeMap::new();
    if groups.is_empty() {
        all.insert(GroupKey(Vec::new()), fresh()?);
    }
    for (at, row) in rows.iter().enumerate() {
        let scope = Scope { row, variables: own.get(at).unwrap_or(outer) };
        let key = groups.iter().map(|named| evaluate(run, scope, &named.expression)).collect::<Result<Vec<_>, _>>()?;
        let accumulators = match all.entry(GroupKey(key)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(fresh()?),
        };
        for (accumulator, (_, arguments)) in accumulators.iter_mut().zip(&parts) {
            let value: Evaluated = match arguments.first() {
                Some(argument) => evaluate(run, scope, argument),
                None => Ok(None),
            };
            accumulator.add(value?)?;
        }
    }
    let mut results = Vec::with_capacity(all.len());
    for (key, group) in all {
        let mut fields = Fields::new();
        for (named, value) in groups.iter().zip(key.0) {
            if let Some(value) = value {
                named.target.set(&mut fields, value);
            }
        }
        for (named, accumulator) in accumulators.iter().zip(group) {
            named.target.set(&mut fields, accumulator.result());
        }
        results.push(Row::made(fields));
    }
    Ok(results)
}

fn draw(run: &mut Run<'_>, rows: Vec<Row>, sample: Sample) -> Vec<Row> {
    match sample {
        Sample::Documents(count) => {
            let mut places: Vec<usize> = (0..rows.len()).collect();
            run.rng.shuffle(&mut places);
            places.truncate(count);
            places.into_iter().filter_map(|place| rows.get(place).cloned()).collect()
        }
        Sample::Percent(share) => rows.into_iter().filter(|_| run.rng.chance(share)).collect(),
    }
}

/// A row for each element; for what is no array the row itself, its index null.
fn unnest(
    run: &mut Run<'_>,
    rows: Vec<Row>,
    own: &[Variables],
    outer: &Variables,
    array: &Expression,
    alias: &FieldPath,
    index: Option<&FieldPath>,
) -> Result<Rows, Failure> {
    let mut unnested = (Vec::new(), Vec::new());
    for (at, row) in rows.into_iter().enumerate() {
        let value = evaluate(run, Scope { row: &row, variables: own.get(at).unwrap_or(outer) }, array)?;
        let elements: Vec<(Value, Value)> = match value {
            Some(Value::Array(values)) => {
                run.step(values.len())?;
                values.iter().cloned().zip((0..).map(Value::Int)).collect()
            }
            Some(other) => vec![(other, Value::Null)],
            None => Vec::new(),
        };
        for (element, place) in elements {
            let mut row = row.clone();
            alias.set(&mut row.fields, element);
            if let Some(index) = index {
                index.set(&mut row.fields, place);
            }
            unnested.0.push(row);
            unnested.1.extend(own.get(at).cloned());
        }
    }
    Ok(unnested)
}
