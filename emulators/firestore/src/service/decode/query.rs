//! Structured queries, aggregations and the `order_by` text of ListDocuments.

use std::sync::Arc;

use scrimmage_protos::google::firestore::v1 as pb;

use super::values;
use super::write::check_not_reserved;
use crate::engine::query::aggregate::{Aggregation, Aggregator};
use crate::engine::query::nearest::numbers;
use crate::engine::query::normalize::Draft;
use crate::engine::query::{
    Cursor, Direction, Filter, Key, Measure, Nearest, Operator, Order, Query, Scope, Target, UnaryOperator,
};
use crate::error::Error;
use crate::limits;
use crate::path::field::is_reserved;
use crate::path::{DatabaseName, DocumentName, FieldPath};
use crate::texts;
use crate::value::Value;
use pb::structured_query as sq;

/// A query below `parent`, a document's path or empty for the root.
pub fn query(database: &DatabaseName, parent: &str, query: pb::StructuredQuery) -> Result<Query, Error> {
    aggregated_query(database, parent, query, &[])
}

/// A query whose result is to be aggregated.
pub fn aggregated_query(
    database: &DatabaseName,
    parent: &str,
    query: pb::StructuredQuery,
    aggregations: &[Aggregation],
) -> Result<Query, Error> {
    let mut draft = Draft::new(scope(parent, query.from)?);
    draft.filter = query.r#where.map(|filter| decode_filter(database, filter, 0)).transpose()?.flatten();
    draft.order = query.order_by.into_iter().map(order).collect::<Result<_, _>>()?;
    check_group(&draft)?;
    draft.start = query.start_at.map(|at| cursor(database, at, &draft.order)).transpose()?;
    draft.end = query.end_at.map(|at| cursor(database, at, &draft.order)).transpose()?;
    draft.offset = query.offset;
    draft.limit = query.limit;
    // Documented: an empty projection returns all fields.
    draft.select = query.select.filter(|select| !select.fields.is_empty()).map(projection).transpose()?;
    draft.nearest = query.find_nearest.map(nearest).transpose()?;
    draft.aggregated = aggregations.iter().filter_map(|one| one.operator.field().cloned()).collect();
    if let Some(select) = draft.select.as_ref().filter(|_| !draft.aggregated.is_empty()) {
        let hidden = |path: &&FieldPath| !select.iter().any(|shown| shown.is_prefix_of(path));
        if let Some(path) = draft.aggregated.iter().find(hidden) {
            return Err(Error::invalid(texts::aggregation_outside_mask(&path.to_string())));
        }
        return Err(Error::invalid(texts::AGGREGATION_WITH_MASK));
    }
    draft.normalize()
}

/// What may be asked of several collections at once: below a document, or of all collections, names
/// alone are in an index.
fn check_group(draft: &Draft) -> Result<(), Error> {
    let mut field = None;
    if let Some(filter) = &draft.filter {
        filter.for_each_leaf(&mut |leaf| match leaf {
            Filter::Field(path, ..) | Filter::Unary(path, _) => drop(field.get_or_insert_with(|| path.plain())),
            _ => {}
        });
    }
    let by_name = |order: &Order| order.target == Target::Name && order.direction == Direction::Ascending;
    let ordered = !draft.order.iter().all(by_name);
    if draft.scope.all_descendants && !draft.scope.parent.is_empty() && (field.is_some() || ordered) {
        return Err(Error::invalid(texts::GROUP_BELOW_DOCUMENT));
    }
    match (&draft.scope.collection_id, field) {
        (None, Some(field)) => Err(Error::invalid(texts::kind_required(&field))),
        (None, None) if ordered => Err(Error::invalid(texts::KIND_REQUIRED_FOR_ORDER)),
        _ => Ok(()),
    }
}

fn scope(parent: &str, from: Vec<sq::CollectionSelector>) -> Result<Scope, Error> {
    let mut from = from.into_iter();
    let selector = from.next();
    if from.next().is_some() {
        return Err(Error::invalid(texts::ONE_COLLECTION));
    }
    let (collection_id, all_descendants) = match selector {
        None => (None, true),
        Some(selector) if selector.collection_id.is_empty() => (None, selector.all_descendants),
        Some(selector) => {
            super::collection_id(&selector.collection_id)?;
            (Some(Arc::from(selector.collection_id)), selector.all_descendants)
        }
    };
    Ok(Scope { parent: Arc::from(parent), collection_id, all_descendants })
}

fn target(field: Option<sq::FieldReference>) -> Result<Target, Error> {
    target_of(FieldPath::parse(&field.unwrap_or_default().field_path)?)
}

fn target_of(path: FieldPath) -> Result<Target, Error> {
    if path.is_name() {
        return Ok(Target::Name);
    }
    check_not_reserved(&path)?;
    Ok(Target::Field(path))
}

/// `None` for a composite without parts, which asks for nothing.
fn decode_filter(database: &DatabaseName, filter: sq::Filter, depth: usize) -> Result<Option<Filter>, Error> {
    use sq::composite_filter::Operator as Composite;
    use sq::filter::FilterType;
    if depth > limits::FILTER_DEPTH {
        return Err(Error::invalid(texts::FILTER_TOO_DEEP));
    }
    match filter.filter_type {
        None => Err(Error::invalid(texts::EMPTY_FILTER)),
        Some(FilterType::CompositeFilter(composite)) => {
            let operator = composite.op();
            if operator == Composite::Unspecified {
                return Err(Error::invalid(texts::BAD_COMPOSITE_OPERATOR));
            }
            if operator == Composite::Or && composite.filters.is_empty() {
                return Err(Error::invalid(texts::EMPTY_COMPOSITE));
            }
            let mut filters = Vec::with_capacity(composite.filters.len());
            let mut asks_nothing = false;
            for part in composite.filters {
                let part = decode_filter(database, part, depth + 1)?;
                asks_nothing |= part.is_none();
                filters.extend(part);
            }
            if operator == Composite::Or && asks_nothing {
                return Ok(None);
            }
            Ok(match filters.len() {
                0 => None,
                _ if operator == Composite::Or => Some(Filter::Or(filters)),
                1 => filters.pop(),
                _ => Some(Filter::And(filters)),
            })
        }
        Some(FilterType::FieldFilter(filter)) => field_filter(database, filter).map(Some),
        Some(FilterType::UnaryFilter(filter)) => unary_filter(filter).map(Some),
    }
}

fn field_filter(database: &DatabaseName, filter: sq::FieldFilter) -> Result<Filter, Error> {
    use sq::field_filter::Operator as Op;
    let operator = match filter.op() {
        Op::Unspecified => return Err(Error::invalid(texts::BAD_FIELD_OPERATOR)),
        Op::LessThan => Operator::Less,
        Op::LessThanOrEqual => Operator::LessOrEqual,
        Op::GreaterThan => Operator::Greater,
        Op::GreaterThanOrEqual => Operator::GreaterOrEqual,
        Op::Equal => Operator::Equal,
        Op::NotEqual => Operator::NotEqual,
        Op::ArrayContains => Operator::ArrayContains,
        Op::In => Operator::In,
        Op::ArrayContainsAny => Operator::ArrayContainsAny,
        Op::NotIn => Operator::NotIn,
    };
    let target = target(filter.field)?;
    let operand = filter.value.ok_or_else(|| Error::invalid(texts::VALUE_UNSET))?;
    let operand = match operator {
        Operator::In | Operator::NotIn | Operator::ArrayContainsAny => values::list_operand(operand)?,
        _ => values::value(operand)?,
    };
    let path = match target {
        Target::Field(path) => path,
        Target::Name => return name_filter(database, operator, &operand),
    };
    Ok(Filter::Field(path, operator, operand))
}

fn name_filter(database: &DatabaseName, operator: Operator, operand: &Value) -> Result<Filter, Error> {
    let name = |value: &Value| document_name(database, value);
    let names = match (operator, operand) {
        (Operator::ArrayContains | Operator::ArrayContainsAny, _) => return Err(Error::invalid(texts::RESERVED_NAME)),
        (Operator::In | Operator::NotIn, Value::Array(values)) => {
            let most = if operator == Operator::In { limits::DISJUNCTIONS } else { limits::NOT_IN_VALUES };
            let text = operator.text();
            if values.is_empty() {
                return Err(Error::invalid(texts::list_is_empty(text)));
            }
            if values.len() > most {
                return Err(Error::invalid(texts::list_is_long(text, most)));
            }
            values.iter().map(name).collect::<Result<_, _>>()?
        }
        (Operator::In | Operator::NotIn, _) => return Err(Error::invalid(texts::list_wanted(operator.text()))),
        _ => vec![name(operand)?],
    };
    Ok(Filter::Name(operator, names))
}

fn document_name(database: &DatabaseName, value: &Value) -> Result<DocumentName, Error> {
    let Value::Reference(resource) = value else {
        return Err(Error::invalid(texts::NAME_MUST_BE_REFERENCE));
    };
    super::write::name_in(database, resource)
}

fn unary_filter(filter: sq::UnaryFilter) -> Result<Filter, Error> {
    use sq::unary_filter::{OperandType, Operator as Op};
    let operator = match filter.op() {
        Op::Unspecified => return Err(Error::invalid(texts::BAD_UNARY_OPERATOR)),
        Op::IsNan => UnaryOperator::IsNan,
        Op::IsNull => UnaryOperator::IsNull,
        Op::IsNotNan => UnaryOperator::IsNotNan,
        Op::IsNotNull => UnaryOperator::IsNotNull,
    };
    let field = filter.operand_type.map(|OperandType::Field(field)| field);
    match target(field)? {
        Target::Name => Err(Error::invalid(texts::NAME_MUST_BE_REFERENCE)),
        Target::Field(path) => Ok(Filter::Unary(path, operator)),
    }
}

fn order(order: sq::Order) -> Result<Order, Error> {
    let direction = match order.direction() {
        sq::Direction::Descending => Direction::Descending,
        sq::Direction::Unspecified | sq::Direction::Ascending => Direction::Ascending,
    };
    Ok(Order { target: target(order.field)?, direction })
}

fn cursor(database: &DatabaseName, cursor: pb::Cursor, orders: &[Order]) -> Result<Cursor, Error> {
    if cursor.values.len() > orders.len() {
        return Err(Error::invalid(texts::CURSOR_TOO_LONG));
    }
    let mut keys = Vec::with_capacity(cursor.values.len());
    for (value, order) in cursor.values.into_iter().zip(orders) {
        let value = values::value(value)?;
        keys.push(match order.target {
            Target::Name => Key::Name(cursor_name(database, &value)?),
            Target::Field(_) => Key::Value(value),
        });
    }
    Ok(Cursor { keys, before: cursor.before })
}

/// A cursor's document.
fn cursor_name(database: &DatabaseName, value: &Value) -> Result<DocumentName, Error> {
    let Value::Reference(resource) = value else { return Err(Error::invalid(texts::CURSOR_NAME)) };
    let (other, name) = DocumentName::parse(resource)?;
    if other != *database {
        return Err(Error::invalid(texts::CURSOR_OF_OTHER_DATABASE));
    }
    Ok(name)
}

/// Fields to return; `__name__` is none of them, and comes anyway.
fn projection(projection: sq::Projection) -> Result<Vec<FieldPath>, Error> {
    let mut paths = Vec::with_capacity(projection.fields.len());
    for field in projection.fields {
        let path = FieldPath::parse(&field.field_path)?;
        if !path.is_name() {
            check_not_reserved(&path)?;
            paths.push(path);
        }
    }
    Ok(paths)
}

fn nearest(nearest: sq::FindNearest) -> Result<Nearest, Error> {
    use sq::find_nearest::DistanceMeasure;
    let measure = match nearest.distance_measure() {
        DistanceMeasure::Unspecified => return Err(Error::invalid(texts::NO_DISTANCE_MEASURE)),
        DistanceMeasure::Euclidean => Measure::Euclidean,
        DistanceMeasure::Cosine => Measure::Cosine,
        DistanceMeasure::DotProduct => Measure::DotProduct,
    };
    let Target::Field(field) = target(nearest.vector_field)? else {
        return Err(Error::invalid(texts::NAME_MUST_BE_REFERENCE));
    };
    let vector = values::value(nearest.query_vector.ok_or_else(|| Error::invalid(texts::VALUE_UNSET))?)?;
    let vector = numbers(&vector).ok_or_else(|| Error::invalid(texts::NOT_A_VECTOR))?;
    let limit = nearest.limit.unwrap_or(0);
    if !(1..=limits::NEAREST_RESULTS).contains(&limit) {
        return Err(Error::invalid(texts::NEAREST_LIMIT));
    }
    let result_field = match nearest.distance_result_field.as_str() {
        "" => None,
        name if is_reserved(name) => return Err(Error::invalid(texts::reserved_field(name))),
        // A name, not a path: a dot in it does not nest.
        name => Some(FieldPath::single(name)),
    };
    Ok(Nearest {
        field,
        vector,
        measure,
        limit: usize::try_from(limit).unwrap_or(0),
        result_field,
        threshold: nearest.distance_threshold,
    })
}

/// Aggregations, with the default names of those that have none.
pub fn aggregations(list: Vec<pb::structured_aggregation_query::Aggregation>) -> Result<Vec<Aggregation>, Error> {
    use pb::structured_aggregation_query::aggregation::Operator as Op;
    if list.is_empty() {
        return Err(Error::invalid(texts::NO_AGGREGATIONS));
    }
    if list.len() > limits::AGGREGATIONS {
        return Err(Error::invalid(texts::TOO_MANY_AGGREGATIONS));
    }
    let mut unnamed = 0;
    let mut aggregations: Vec<Aggregation> = Vec::with_capacity(list.len());
    for one in list {
        let field = |field: Option<sq::FieldReference>| match target(field)? {
            Target::Field(path) => Ok(path),
            Target::Name => Err(Error::invalid(texts::AGGREGATION_ON_NAME)),
        };
        let operator = match one.operator {
            None => return Err(Error::invalid(texts::EMPTY_AGGREGATION)),
            Some(Op::Count(count)) if count.up_to.is_some_and(|up_to| up_to <= 0) => {
                return Err(Error::invalid(texts::COUNT_UP_TO));
            }
            Some(Op::Count(count)) => Aggregator::Count { up_to: count.up_to },
            Some(Op::Sum(sum)) => Aggregator::Sum(field(sum.field)?),
            Some(Op::Avg(average)) => Aggregator::Average(field(average.field)?),
        };
        let alias = if one.alias.is_empty() {
            unnamed += 1;
            format!("field_{unnamed}")
        } else {
            one.alias
        };
        if alias.len() > limits::FIELD_NAME_BYTES {
            return Err(Error::invalid(texts::LONG_FIELD_NAME));
        }
        if is_reserved(&alias) {
            return Err(Error::invalid(texts::reserved_alias(&alias)));
        }
        if aggregations.iter().any(|other| other.alias == alias) {
            return Err(Error::invalid(texts::duplicate_alias(&alias)));
        }
        aggregations.push(Aggregation { alias, operator });
    }
    Ok(aggregations)
}

/// ListDocuments' `order_by`: `priority desc, __name__`.
pub fn order_text(text: &str) -> Result<Vec<Order>, Error> {
    let mut orders = Vec::new();
    if text.trim().is_empty() {
        return Ok(orders);
    }
    for part in text.split(',').map(str::trim) {
        let (path, direction) = match part.rsplit_once(char::is_whitespace) {
            Some((path, word)) if word.eq_ignore_ascii_case("desc") => (path.trim(), Direction::Descending),
            Some((path, word)) if word.eq_ignore_ascii_case("asc") => (path.trim(), Direction::Ascending),
            Some(_) => return Err(Error::invalid(texts::invalid_order(text))),
            None => (part, Direction::Ascending),
        };
        let path = FieldPath::parse(path).map_err(|_| Error::invalid(texts::invalid_order(text)))?;
        orders.push(Order { target: target_of(path)?, direction });
    }
    Ok(orders)
}
