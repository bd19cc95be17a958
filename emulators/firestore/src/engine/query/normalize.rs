//! From a client's query to a checked [`Query`]: implied orders, limits, and production's refusals.

use std::collections::BTreeMap;

use super::disjunctions::Disjunctions;
use super::{Cursor, Direction, Filter, Key, Nearest, Operator, Order, Query, Scope, Target};
use crate::error::Error;
use crate::limits;
use crate::path::FieldPath;
use crate::texts;
use crate::value::Value;

/// A query as the client wrote it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub scope: Scope,
    pub filter: Option<Filter>,
    pub order: Vec<Order>,
    pub start: Option<Cursor>,
    pub end: Option<Cursor>,
    pub offset: i32,
    pub limit: Option<i32>,
    pub select: Option<Vec<FieldPath>>,
    pub nearest: Option<Nearest>,
    /// Fields that are summed or averaged over the result: documents without them are not in it.
    pub aggregated: Vec<FieldPath>,
}

impl Draft {
    /// Everything in a scope, in name order.
    pub fn new(scope: Scope) -> Draft {
        Draft {
            scope,
            filter: None,
            order: Vec::new(),
            start: None,
            end: None,
            offset: 0,
            limit: None,
            select: None,
            nearest: None,
            aggregated: Vec::new(),
        }
    }

    /// Checks how many filters and orders there are.
    fn check_size(&self) -> Result<(), Error> {
        let rough = self.filter.as_ref().map_or(0, rough_size);
        let ancestor = usize::from(!self.scope.parent.is_empty());
        let fits = |filters: usize| filters + self.order.len() + ancestor <= limits::QUERY_PARTS;
        if fits(rough) {
            return Ok(());
        }
        let filters = self.filter.as_ref().map_or(0, |filter| Disjunctions::of(filter).filters());
        if fits(filters) {
            return Ok(());
        }
        Err(Error::invalid(texts::query_too_large(filters, self.order.len(), ancestor == 1)))
    }

    /// Checks the query and writes out what it implies.
    pub fn normalize(mut self) -> Result<Query, Error> {
        let limit = self.limit.map(usize::try_from).transpose().map_err(|_| Error::invalid(texts::NEGATIVE_LIMIT))?;
        let offset = usize::try_from(self.offset).map_err(|_| Error::invalid(texts::NEGATIVE_OFFSET))?;
        if let Some(filter) = &self.filter {
            check_leaves(filter)?;
        }
        self.check_size()?;
        if let Some(simpler) = self.filter.as_ref().map(check_form).transpose()?.flatten() {
            self.filter = Some(simpler);
        }
        check_order(&self.order)?;
        for cursor in [&self.start, &self.end].into_iter().flatten() {
            check_cursor(cursor, &self.order)?;
        }
        let order = implied_order(self.order, self.filter.as_ref(), &self.aggregated)?;
        Ok(Query {
            scope: self.scope,
            filter: self.filter,
            order,
            start: self.start,
            end: self.end,
            offset,
            limit,
            select: self.select,
            nearest: self.nearest,
        })
    }
}

/// Checks each filter for itself, and which may stand beside which.
fn check_leaves(filter: &Filter) -> Result<(), Error> {
    let mut problem = None;
    let mut negations = 0;
    let mut has_not_in = false;
    let mut has_in = contains_or(filter);
    filter.for_each_leaf(&mut |leaf| {
        let operator = match leaf {
            Filter::Field(_, operator, operand) => {
                if let Err(error) = check_operand(*operator, operand) {
                    problem.get_or_insert(error);
                }
                *operator
            }
            Filter::Name(operator, _) => *operator,
            Filter::Unary(_, operator) => {
                negations += usize::from(operator.is_inequality());
                return;
            }
            Filter::And(_) | Filter::Or(_) => return,
        };
        negations += usize::from(matches!(operator, Operator::NotEqual | Operator::NotIn));
        has_not_in |= operator == Operator::NotIn;
        has_in |= matches!(operator, Operator::In | Operator::ArrayContainsAny);
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    if negations > 1 {
        return Err(Error::invalid(texts::ONE_NEGATION));
    }
    if has_not_in && has_in {
        return Err(Error::invalid(texts::NOT_IN_ALONE));
    }
    Ok(())
}

/// Checks the disjunctions of a filter, and the fields of its inequalities. Returns what takes its
/// place where it says the same several times.
fn check_form(filter: &Filter) -> Result<Option<Filter>, Error> {
    let exceeds = |normal: &NormalForm| normal.terms > limits::DISJUNCTIONS || normal.array_filters > 1;
    let mut simpler = None;
    if exceeds(&normal_form(filter)) {
        let taken_apart = Disjunctions::of(filter).filter()?;
        if normal_form(&taken_apart).array_filters > 1 {
            return Err(Error::invalid(texts::ONE_ARRAY_CONTAINS));
        }
        simpler = Some(taken_apart);
    }
    let inequalities = Inequalities::of(Some(filter));
    let count = inequalities.fields.len() + usize::from(inequalities.name);
    if count > limits::INEQUALITY_FIELDS {
        let mut names: Vec<String> = inequalities.fields.values().map(|path| path.plain()).collect();
        names.extend(inequalities.name.then(|| "__key__".to_owned()));
        return Err(Error::invalid(texts::too_many_inequalities(&names)));
    }
    if inequalities.name_equality && !inequalities.name && !inequalities.fields.is_empty() {
        return Err(Error::invalid(texts::EQUALITY_ON_NAME));
    }
    Ok(simpler)
}

fn check_operand(operator: Operator, operand: &Value) -> Result<(), Error> {
    let most = match operator {
        Operator::In | Operator::ArrayContainsAny => limits::DISJUNCTIONS,
        Operator::NotIn => limits::NOT_IN_VALUES,
        _ => return Ok(()),
    };
    let name = operator.text();
    match operand {
        Value::Array(values) if values.is_empty() => Err(Error::invalid(texts::list_is_empty(name))),
        Value::Array(values) if values.len() > most => Err(Error::invalid(texts::list_is_long(name, most))),
        Value::Array(_) => Ok(()),
        _ => Err(Error::invalid(texts::list_wanted(name))),
    }
}

/// How many filters there are at most, with the values of lists, whether they are the same or not.
fn rough_size(filter: &Filter) -> usize {
    let mut size = 0;
    filter.for_each_leaf(&mut |leaf| {
        size += match leaf {
            Filter::Field(_, _, Value::Array(values)) => values.len().max(1),
            Filter::Name(_, names) => names.len(),
            _ => 1,
        }
    });
    size
}

fn contains_or(filter: &Filter) -> bool {
    match filter {
        Filter::Or(_) => true,
        Filter::And(filters) => filters.iter().any(contains_or),
        _ => false,
    }
}

/// The disjunctive normal form, counted but not built.
struct NormalForm {
    terms: usize,
    /// The most `array-contains` and `array-contains-any` filters that meet in one term.
    array_filters: usize,
}

fn normal_form(filter: &Filter) -> NormalForm {
    let leaf = |terms, array_filters| NormalForm { terms, array_filters };
    match filter {
        Filter::And(filters) => filters.iter().map(normal_form).fold(leaf(1, 0), |all, one| NormalForm {
            terms: all.terms.saturating_mul(one.terms),
            array_filters: all.array_filters + one.array_filters,
        }),
        Filter::Or(filters) if !filters.is_empty() => {
            filters.iter().map(normal_form).fold(leaf(0, 0), |all, one| NormalForm {
                terms: all.terms.saturating_add(one.terms),
                array_filters: all.array_filters.max(one.array_filters),
            })
        }
        Filter::Field(_, Operator::ArrayContains, _) => leaf(1, 1),
        Filter::Field(_, Operator::ArrayContainsAny, Value::Array(values)) => leaf(values.len(), 1),
        Filter::Field(_, Operator::In, Value::Array(values)) => leaf(values.len(), 0),
        Filter::Name(Operator::In, names) => leaf(names.len(), 0),
        _ => leaf(1, 0),
    }
}

fn check_order(order: &[Order]) -> Result<(), Error> {
    for (index, one) in order.iter().enumerate() {
        let earlier = order.get(..index).unwrap_or_default();
        if earlier.iter().any(|other| other.target == Target::Name) {
            return Err(Error::invalid(texts::ORDER_AFTER_NAME));
        }
        if let Target::Field(path) = &one.target
            && earlier.iter().any(|other| other.target == one.target)
        {
            return Err(Error::invalid(texts::duplicate_order(&path.to_string())));
        }
    }
    Ok(())
}

/// Cursors refer to the orders that the client wrote, not to implied ones.
fn check_cursor(cursor: &Cursor, order: &[Order]) -> Result<(), Error> {
    if cursor.keys.len() > order.len() {
        return Err(Error::invalid(texts::CURSOR_TOO_LONG));
    }
    let fits = cursor.keys.iter().zip(order).all(|(key, order)| match order.target {
        Target::Name => matches!(key, Key::Name(_)),
        Target::Field(_) => matches!(key, Key::Value(_)),
    });
    if fits { Ok(()) } else { Err(Error::invalid(texts::NAME_MUST_BE_REFERENCE)) }
}

/// Writes out what filters and aggregations imply: each inequality's field, by name, then each
/// aggregated field, by name as well, and then the document's name.
fn implied_order(
    mut order: Vec<Order>,
    filter: Option<&Filter>,
    aggregated: &[FieldPath],
) -> Result<Vec<Order>, Error> {
    let direction = order.last().map_or(Direction::Ascending, |order| order.direction);
    let has_name = order.iter().any(|order| order.target == Target::Name);
    let inequalities = Inequalities::of(filter);
    for path in inequalities.fields.into_values() {
        let target = Target::Field(path.clone());
        if order.iter().all(|order| order.target != target) {
            if has_name {
                return Err(Error::invalid(texts::ORDER_AFTER_NAME));
            }
            order.push(Order { target, direction });
        }
    }
    let mut aggregated: Vec<&FieldPath> = aggregated.iter().collect();
    aggregated.sort_by_cached_key(|path| path.to_string());
    for path in aggregated {
        let target = Target::Field(path.clone());
        if order.iter().all(|order| order.target != target) {
            if has_name || inequalities.name {
                return Err(Error::invalid(texts::aggregation_after_name(&path.to_string())));
            }
            order.push(Order { target, direction });
        }
    }
    if !has_name {
        order.push(Order { target: Target::Name, direction });
    }
    Ok(order)
}

/// Which fields a filter has inequalities on.
#[derive(Default)]
struct Inequalities<'a> {
    fields: BTreeMap<String, &'a FieldPath>,
    /// The document's name among them.
    name: bool,
    /// Whether there is an equality on the document's name.
    name_equality: bool,
}

impl<'a> Inequalities<'a> {
    fn of(filter: Option<&'a Filter>) -> Inequalities<'a> {
        let mut found = Inequalities::default();
        let Some(filter) = filter else { return found };
        filter.for_each_leaf(&mut |leaf| match leaf {
            // What nothing can pass is left out of a query, with the order that it would imply.
            leaf if leaf.passes_nothing() => {}
            Filter::Field(path, operator, _) if operator.is_inequality() => {
                found.fields.insert(path.to_string(), path);
            }
            Filter::Unary(path, operator) if operator.is_inequality() => {
                found.fields.insert(path.to_string(), path);
            }
            Filter::Name(operator, _) => {
                found.name |= operator.is_inequality();
                found.name_equality |= !operator.is_inequality();
            }
            _ => {}
        });
        found
    }
}
