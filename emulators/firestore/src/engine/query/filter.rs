//! Filters, and when a document passes one.

use std::cmp::Ordering;

use crate::engine::store::Document;
use crate::path::{DocumentName, FieldPath};
use crate::value::Value;
use crate::value::order::Bracket;

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Field(FieldPath, Operator, Value),
    Unary(FieldPath, UnaryOperator),
    /// A filter on the document's name; several names for `in` and `not-in`.
    Name(Operator, Vec<DocumentName>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    ArrayContains,
    In,
    ArrayContainsAny,
    NotIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    IsNan,
    IsNull,
    IsNotNan,
    IsNotNull,
}

impl Operator {
    /// Whether the filter makes its field an implied order.
    pub fn is_inequality(self) -> bool {
        self.is_range() || matches!(self, Operator::NotEqual | Operator::NotIn)
    }

    fn is_range(self) -> bool {
        matches!(self, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual)
    }

    /// The name that production's texts have.
    pub fn text(self) -> &'static str {
        match self {
            Operator::Less => "LESS_THAN",
            Operator::LessOrEqual => "LESS_THAN_OR_EQUAL",
            Operator::Greater => "GREATER_THAN",
            Operator::GreaterOrEqual => "GREATER_THAN_OR_EQUAL",
            Operator::Equal => "EQUAL",
            Operator::NotEqual => "NOT_EQUAL",
            Operator::ArrayContains => "ARRAY_CONTAINS",
            Operator::In => "IN",
            Operator::ArrayContainsAny => "ARRAY_CONTAINS_ANY",
            Operator::NotIn => "NOT_IN",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
            _ => false,
        }
    }
}

impl UnaryOperator {
    pub fn is_inequality(self) -> bool {
        matches!(self, UnaryOperator::IsNotNan | UnaryOperator::IsNotNull)
    }
}

impl Filter {
    /// Whether the document passes. The depth of filters is limited where queries enter.
    pub fn matches(&self, document: &Document) -> bool {
        match self {
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(document)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(document)),
            Filter::Field(path, operator, operand) => {
                path.get(&document.fields).is_some_and(|value| compare(value, *operator, operand))
            }
            Filter::Unary(path, operator) => path.get(&document.fields).is_some_and(|value| match operator {
                UnaryOperator::IsNan => value.is_nan(),
                UnaryOperator::IsNull => matches!(value, Value::Null),
                UnaryOperator::IsNotNan => !value.is_nan() && !matches!(value, Value::Null),
                UnaryOperator::IsNotNull => !matches!(value, Value::Null),
            }),
            Filter::Name(Operator::In, names) => names.contains(&document.name),
            Filter::Name(Operator::NotIn, names) => !names.contains(&document.name),
            Filter::Name(operator, names) => names.first().is_some_and(|name| operator.holds(document.name.cmp(name))),
        }
    }

    /// Whether this filter, no composite, is an inequality that no value can pass: a range beside null
    /// or NaN, or one that excludes null alone and so, with null, everything.
    pub fn passes_nothing(&self) -> bool {
        match self {
            Filter::Field(_, Operator::NotEqual, operand) => matches!(operand, Value::Null),
            Filter::Field(_, Operator::NotIn, Value::Array(operands)) => {
                operands.iter().all(|operand| matches!(operand, Value::Null))
            }
            Filter::Field(_, operator, operand) => operator.is_range() && equals_nothing(operand),
            _ => false,
        }
    }

    /// Calls `visit` with each filter that is no composite.
    pub fn for_each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a Filter)) {
        match self {
            Filter::And(filters) | Filter::Or(filters) => {
                for filter in filters {
                    filter.for_each_leaf(visit);
                }
            }
            leaf => visit(leaf),
        }
    }
}

/// Null and NaN equal nothing; that is what the unary filters are for.
pub fn equals_nothing(operand: &Value) -> bool {
    matches!(operand, Value::Null) || operand.is_nan()
}

fn equals(value: &Value, operand: &Value) -> bool {
    !equals_nothing(operand) && value.equivalent(operand)
}

fn compare(value: &Value, operator: Operator, operand: &Value) -> bool {
    let list = |test: &mut dyn FnMut(&[Value]) -> bool| match operand {
        Value::Array(operands) => test(operands),
        _ => false,
    };
    match operator {
        Operator::Equal => equals(value, operand),
        Operator::NotEqual => {
            !matches!(value, Value::Null) && !matches!(operand, Value::Null) && !equals(value, operand)
        }
        Operator::In => list(&mut |operands| operands.iter().any(|operand| equals(value, operand))),
        Operator::NotIn => list(&mut |operands| {
            !matches!(value, Value::Null)
                && !operands.iter().any(|operand| matches!(operand, Value::Null) || equals(value, operand))
        }),
        Operator::ArrayContains => match value {
            Value::Array(elements) => elements.iter().any(|element| equals(element, operand)),
            _ => false,
        },
        Operator::ArrayContainsAny => match value {
            Value::Array(elements) => list(&mut |operands| {
                elements.iter().any(|element| operands.iter().any(|operand| equals(element, operand)))
            }),
            _ => false,
        },
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let bracket = operand.bracket();
            bracket != Bracket::Null
                && value.bracket() == bracket
                && !value.is_nan()
                && !operand.is_nan()
                && operator.holds(value.compare(operand))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Fields;
    use scrimmage_core::Timestamp;
    use std::sync::Arc;

    fn passes(value: Value, operator: Operator, operand: Value) -> bool {
        let path = FieldPath::parse("v").unwrap();
        let mut fields = Fields::new();
        path.set(&mut fields, value);
        let document = Document {
            name: DocumentName::parse_relative("c/d").unwrap(),
            fields,
            create_time: Timestamp::EPOCH,
            update_time: Timestamp::EPOCH,
        };
        Filter::Field(path, operator, operand).matches(&document)
    }

    #[test]
    fn ranges_stay_in_their_bracket() {
        assert!(passes(Value::Double(0.5), Operator::Less, Value::Int(1)));
        assert!(!passes(Value::Double(f64::NAN), Operator::Less, Value::Int(1)));
        assert!(!passes(Value::Bool(false), Operator::Less, Value::Int(1)));
        assert!(!passes(Value::string("a"), Operator::Greater, Value::Int(1)));
        assert!(!passes(Value::Null, Operator::LessOrEqual, Value::Null));
        assert!(
            passes(Value::Null, Operator::Equal, Value::Null) == passes(Value::Int(1), Operator::Equal, Value::Null)
        );
    }

    #[test]
    fn null_and_nan_equal_nothing() {
        let nan = Value::Double(f64::NAN);
        assert!(!passes(nan.clone(), Operator::Equal, nan.clone()));
        assert!(passes(nan.clone(), Operator::NotEqual, nan.clone()));
        assert!(!passes(Value::Null, Operator::NotEqual, Value::Int(1)));
        assert!(!passes(Value::Int(1), Operator::NotEqual, Value::Null));
        let list = Value::Array(Arc::new(vec![Value::Int(1), Value::Null]));
        assert!(passes(Value::Double(1.0), Operator::In, list.clone()));
        assert!(!passes(Value::Null, Operator::In, list.clone()));
        assert!(!passes(Value::Int(7), Operator::NotIn, list.clone()));
        assert!(passes(list.clone(), Operator::ArrayContains, Value::Int(1)));
        assert!(!passes(list.clone(), Operator::ArrayContains, Value::Null));
        assert!(passes(list.clone(), Operator::ArrayContainsAny, list));
    }
}
