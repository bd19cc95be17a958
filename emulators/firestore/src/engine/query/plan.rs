//! How a query goes through indexes: one stream of documents for each of its disjunctions.
//!
//! A query's filter is taken apart into a disjunction of terms. The documents of a term lie together
//! in an index of its equalities, then its `array-contains`, then the query's order, and there they
//! stand in the query's order. So each term is a walk over a span of one index, and the result is
//! the merge of the walks.

use std::ops::Bound;
use std::sync::Arc;

use super::filter::equals_nothing;
use super::order::{Direction, Key, Target};
use super::{Cursor, Filter, Operator, Query, UnaryOperator};
use crate::engine::index::{Mode, Shape, Space, Span, Spot, key};
use crate::path::{DocumentName, FieldPath};
use crate::value::Value;

/// More terms than a checked query can have are not planned for.
const MOST_TERMS: usize = 64;

/// Where the documents of one term come from, in the order of the query.
#[derive(Debug)]
pub enum Walk {
    /// One document at most, by its name.
    Name(DocumentName),
    /// A span of an index.
    Index {
        shape: Shape,
        span: Span,
        reverse: bool,
        /// Whether all that the span has belongs to the result, so that no document need be looked at.
        exact: bool,
    },
}

/// What is asked of a document, all of it at once: a conjunction.
#[derive(Clone, Debug, Default)]
pub struct Term<'q> {
    /// Sorted by path; one value a field.
    pub equal: Vec<(&'q FieldPath, Value)>,
    pub contains: Option<(&'q FieldPath, &'q Value)>,
    pub ranges: Vec<(&'q FieldPath, Operator, &'q Value)>,
    pub name: Option<&'q DocumentName>,
    pub name_ranges: Vec<(Operator, &'q DocumentName)>,
    /// There is more to it than the parts above say.
    pub more: bool,
    /// No document can ever pass.
    pub never: bool,
}

/// The space that a query looks into; `None` for all collections at once.
pub fn space(query: &Query) -> Option<Space> {
    let id = query.scope.collection_id.as_ref()?;
    Some(match query.scope.single_collection() {
        Some(path) => Space::Collection(Arc::from(path)),
        None => Space::Group(Arc::clone(id)),
    })
}

/// The walks whose merge is the query's result. `None` where the documents are better looked
/// through in the order of their names, or where there are too many terms.
pub fn walks(query: &Query, space: &Space) -> Option<Vec<Walk>> {
    let terms = terms(query.filter.as_ref())?;
    let mut walks = Vec::with_capacity(terms.len());
    for term in terms.iter().filter(|term| !term.never) {
        walks.push(walk(query, space, term)?);
    }
    Some(walks)
}

fn walk(query: &Query, space: &Space, term: &Term<'_>) -> Option<Walk> {
    if let Some(name) = term.name {
        return Some(Walk::Name(name.clone()));
    }
    let mut fields: Vec<(FieldPath, Mode)> = Vec::new();
    let mut prefix: Vec<u8> = Vec::new();
    for (path, value) in &term.equal {
        fields.push(((*path).clone(), Mode::Ascending));
        key::push(&mut prefix, value, Mode::Ascending);
    }
    if let Some((path, value)) = term.contains {
        fields.push((path.clone(), Mode::Contains));
        key::push(&mut prefix, value, Mode::Ascending);
    }
    // Names ascend in every index, so a query by descending names reads one the other way round.
    let reverse = query.order.last().is_some_and(|order| order.direction == Direction::Descending);
    let ordered: Vec<(&FieldPath, Mode)> = query
        .order
        .iter()
        .filter_map(|order| match &order.target {
            Target::Field(path) if !term.has_equal(path) => {
                let descending = (order.direction == Direction::Descending) != reverse;
                Some((path, if descending { Mode::Descending } else { Mode::Ascending }))
            }
            _ => None,
        })
        .collect();
    if fields.is_empty() && ordered.is_empty() && matches!(space, Space::Collection(_)) {
        return None;
    }
    fields.extend(ordered.iter().map(|(path, mode)| ((*path).clone(), *mode)));
    let mut span = Span::prefix(prefix.clone());
    // A group's index has the documents below all parents.
    let all_in_scope = matches!(space, Space::Collection(_)) || query.scope.parent.is_empty();
    let mut exact = all_in_scope && !term.more && query.start.is_none() && query.end.is_none();
    for (path, operator, value) in &term.ranges {
        match ordered.first() {
            Some((first, mode)) if first == path => narrow(&mut span, &prefix, *operator, value, *mode),
            _ => exact = false,
        }
    }
    for (operator, name) in &term.name_ranges {
        let spot = Spot { key: prefix.clone(), name: Some((*name).clone()) };
        match operator {
            _ if !ordered.is_empty() => exact = false,
            Operator::Less => span.to(Bound::Excluded(spot)),
            Operator::LessOrEqual => span.to(Bound::Included(spot)),
            Operator::Greater => span.from(Bound::Excluded(spot)),
            Operator::GreaterOrEqual => span.from(Bound::Included(spot)),
            _ => exact = false,
        }
    }
    for (cursor, is_start) in [(&query.start, true), (&query.end, false)] {
        if let Some(cursor) = cursor {
            narrow_to_cursor(&mut span, query, term, cursor, &prefix, is_start, reverse);
        }
    }
    Some(Walk::Index { shape: Shape(fields.into()), span, reverse, exact })
}

/// Cuts a span to a range of the field that comes right after `prefix`, within the operand's bracket.
fn narrow(span: &mut Span, prefix: &[u8], operator: Operator, operand: &Value, mode: Mode) {
    let tag = key::tag(operand.bracket());
    let spot = |bytes: Vec<u8>| Spot { key: bytes, name: None };
    let after = |span: &mut Span, part: Vec<u8>, lower: bool| match key::after(part) {
        Some(bytes) if lower => span.from(Bound::Included(spot(bytes))),
        Some(bytes) => span.to(Bound::Excluded(spot(bytes))),
        // Nothing comes after: as a lower bound it leaves nothing, as an upper one everything.
        None if lower => span.to(Bound::Excluded(spot(Vec::new()))),
        None => {}
    };
    let mut bracket = prefix.to_vec();
    bracket.push(tag);
    key::flip(&mut bracket, prefix.len(), mode);
    span.from(Bound::Included(spot(bracket.clone())));
    after(span, bracket, false);
    let mut part = prefix.to_vec();
    key::push(&mut part, operand, mode);
    let falling = mode == Mode::Descending;
    match (operator, falling) {
        (Operator::GreaterOrEqual, false) | (Operator::LessOrEqual, true) => span.from(Bound::Included(spot(part))),
        (Operator::Greater, false) | (Operator::Less, true) => after(span, part, true),
        (Operator::Less, false) | (Operator::Greater, true) => span.to(Bound::Excluded(spot(part))),
        (Operator::LessOrEqual, false) | (Operator::GreaterOrEqual, true) => after(span, part, false),
        _ => {}
    }
}

/// Cuts a span at a cursor, as far as the cursor's keys go along with the index.
fn narrow_to_cursor(
    span: &mut Span,
    query: &Query,
    term: &Term<'_>,
    cursor: &Cursor,
    prefix: &[u8],
    is_start: bool,
    reverse: bool,
) {
    let mut spot = Spot { key: prefix.to_vec(), name: None };
    let mut whole = true;
    for (order, key) in query.order.iter().zip(&cursor.keys) {
        match (&order.target, key) {
            (Target::Field(path), Key::Value(value)) => match term.equal_to(path) {
                Some(equal) if equal.equivalent(value) => {}
                Some(_) => {
                    whole = false;
                    break;
                }
                None => {
                    let descending = (order.direction == Direction::Descending) != reverse;
                    let mode = if descending { Mode::Descending } else { Mode::Ascending };
                    key::push(&mut spot.key, value, mode);
                }
            },
            (Target::Name, Key::Name(name)) => spot.name = Some(name.clone()),
            _ => {
                whole = false;
                break;
            }
        }
    }
    if !whole {
        // The fields before may already decide for or against all; the documents will be asked.
        return;
    }
    // In the direction of the index: a lower bound or an upper one, with or without the spot itself.
    let is_lower = is_start != reverse;
    let includes = if is_start { cursor.before } else { !cursor.before };
    let past = |spot: Spot| key::after(spot.key).map(|key| Spot { key, name: None });
    match (is_lower, includes, spot.name.is_some()) {
        (true, true, _) => span.from(Bound::Included(spot)),
        (true, false, true) => span.from(Bound::Excluded(spot)),
        (true, false, false) => match past(spot) {
            Some(spot) => span.from(Bound::Included(spot)),
            None => span.to(Bound::Excluded(Spot { key: Vec::new(), name: None })),
        },
        (false, false, _) => span.to(Bound::Excluded(spot)),
        (false, true, true) => span.to(Bound::Included(spot)),
        (false, true, false) => {
            if let Some(spot) = past(spot) {
                span.to(Bound::Excluded(spot));
            }
        }
    }
}

impl<'q> Term<'q> {
    fn has_equal(&self, path: &FieldPath) -> bool {
        self.equal.iter().any(|(other, _)| *other == path)
    }

    fn equal_to(&self, path: &FieldPath) -> Option<&Value> {
        self.equal.iter().find(|(other, _)| *other == path).map(|(_, value)| value)
    }

    fn add_equal(&mut self, path: &'q FieldPath, value: Value) {
        match self.equal.binary_search_by(|(other, _)| (*other).cmp(path)) {
            // A second equality on the field is left to the document.
            Ok(_) => self.more = true,
            Err(at) => self.equal.insert(at, (path, value)),
        }
    }

    fn add(&mut self, leaf: &Leaf<'q>) {
        match leaf {
            Leaf::Compare(_, operator, operand)
                if !matches!(operator, Operator::NotEqual | Operator::NotIn) && equals_nothing(operand) =>
            {
                self.never = true;
            }
            Leaf::Compare(_, Operator::NotEqual, Value::Null) => self.never = true,
            Leaf::Compare(path, Operator::Equal, operand) => self.add_equal(path, (*operand).clone()),
            Leaf::Compare(path, Operator::ArrayContains, operand) => match self.contains {
                None => self.contains = Some((path, operand)),
                Some(_) => self.more = true,
            },
            Leaf::Compare(
                path,
                operator @ (Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual),
                operand,
            ) => self.ranges.push((path, *operator, operand)),
            Leaf::Compare(..) => self.more = true,
            Leaf::Unary(path, UnaryOperator::IsNull) => self.add_equal(path, Value::Null),
            Leaf::Unary(path, UnaryOperator::IsNan) => self.add_equal(path, Value::Double(f64::NAN)),
            Leaf::Unary(..) => self.more = true,
            Leaf::Name(Operator::Equal, name) => match self.name {
                None => {
                    self.name = Some(name);
                    self.more = true;
                }
                Some(_) => self.more = true,
            },
            Leaf::Name(Operator::NotEqual, _) | Leaf::OtherNames => self.more = true,
            Leaf::Name(operator, name) => self.name_ranges.push((*operator, name)),
        }
    }
}

/// A filter that is no composite, with lists taken apart.
#[derive(Clone)]
enum Leaf<'q> {
    Compare(&'q FieldPath, Operator, &'q Value),
    Unary(&'q FieldPath, UnaryOperator),
    Name(Operator, &'q DocumentName),
    /// `not-in` on names.
    OtherNames,
}

/// The filter as a disjunction of conjunctions; `None` where these are too many.
pub fn terms(filter: Option<&Filter>) -> Option<Vec<Term<'_>>> {
    let Some(filter) = filter else { return Some(vec![Term::default()]) };
    let normal = normal_form(filter)?;
    Some(
        normal
            .iter()
            .map(|leaves| {
                let mut term = Term::default();
                for leaf in leaves {
                    term.add(leaf);
                }
                term
            })
            .collect(),
    )
}

/// The depth of filters is limited where queries enter, so this recursion is.
fn normal_form(filter: &Filter) -> Option<Vec<Vec<Leaf<'_>>>> {
    let one = |leaf| Some(vec![vec![leaf]]);
    match filter {
        Filter::And(filters) => {
            let mut all: Vec<Vec<Leaf<'_>>> = vec![Vec::new()];
            for filter in filters {
                let part = normal_form(filter)?;
                if all.len() * part.len() > MOST_TERMS {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|left| part.iter().map(|right| [left.as_slice(), right.as_slice()].concat()))
                    .collect();
            }
            Some(all)
        }
        Filter::Or(filters) => {
            let mut all = Vec::new();
            for filter in filters {
                all.append(&mut normal_form(filter)?);
                if all.len() > MOST_TERMS {
                    return None;
                }
            }
            Some(all)
        }
        Filter::Field(path, Operator::In, operand) => Some(each(path, Operator::Equal, operand)),
        Filter::Field(path, Operator::ArrayContainsAny, operand) => Some(each(path, Operator::ArrayContains, operand)),
        Filter::Field(path, operator, operand) => one(Leaf::Compare(path, *operator, operand)),
        Filter::Unary(path, operator) => one(Leaf::Unary(path, *operator)),
        Filter::Name(Operator::In, names) => {
            Some(names.iter().map(|name| vec![Leaf::Name(Operator::Equal, name)]).collect())
        }
        Filter::Name(Operator::NotIn, _) => one(Leaf::OtherNames),
        Filter::Name(operator, names) => match names.first() {
            Some(name) => one(Leaf::Name(*operator, name)),
            None => Some(Vec::new()),
        },
    }
}

/// A list operand's values, each in a term of its own.
fn each<'q>(path: &'q FieldPath, operator: Operator, operand: &'q Value) -> Vec<Vec<Leaf<'q>>> {
    match operand {
        Value::Array(values) => values.iter().map(|value| vec![Leaf::Compare(path, operator, value)]).collect(),
        _ => Vec::new(),
    }
}
