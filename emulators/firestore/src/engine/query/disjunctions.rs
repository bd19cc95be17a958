//! A filter as a disjunction of conjunctions, each part of it once: what production's limits count.
//!
//! Filters that say the same more than once are taken apart as production does it: `in` and
//! `array-contains-any` are disjunctions of their values, composites within composites of the same kind
//! belong to the outer one, and a part that is there twice is there once.

use std::collections::{BTreeSet, HashMap};

use super::{Filter, Operator};
use crate::error::Error;
use crate::limits;
use crate::texts;
use crate::value::Value;

/// A filter with equal parts taken together; leaves by number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Leaf(usize),
    All(BTreeSet<Form>),
    Any(BTreeSet<Form>),
}

type Terms = BTreeSet<BTreeSet<usize>>;

/// A filter taken apart.
pub struct Disjunctions {
    form: Form,
    leaves: Vec<Filter>,
}

impl Disjunctions {
    pub fn of(filter: &Filter) -> Disjunctions {
        let mut leaves = Leaves::default();
        let form = leaves.form(filter);
        Disjunctions { form, leaves: leaves.filters }
    }

    /// How many filters there are; each value of a list is one.
    pub fn filters(&self) -> usize {
        self.filters_in(&self.form)
    }

    fn filters_in(&self, form: &Form) -> usize {
        match form {
            Form::Leaf(leaf) => match self.leaves.get(*leaf) {
                Some(Filter::Field(_, Operator::NotIn, Value::Array(values))) => values.len(),
                Some(Filter::Name(Operator::NotIn, names)) => names.len(),
                _ => 1,
            },
            Form::All(parts) | Form::Any(parts) => parts.iter().map(|part| self.filters_in(part)).sum(),
        }
    }

    /// The filter as an `or` of `and`s, unless these are too many.
    pub fn filter(&self) -> Result<Filter, Error> {
        let terms = self.form.terms()?;
        if terms.len() > limits::DISJUNCTIONS {
            return Err(Error::invalid(texts::too_many_disjunctions(terms.len())));
        }
        let of = |term: &BTreeSet<usize>| {
            let leaves = term.iter().filter_map(|leaf| self.leaves.get(*leaf)).cloned();
            Filter::And(leaves.collect())
        };
        Ok(Filter::Or(terms.iter().map(of).collect()))
    }
}

impl Form {
    /// The depth of filters is limited where queries enter, so this recursion is.
    fn terms(&self) -> Result<Terms, Error> {
        match self {
            Form::Leaf(leaf) => Ok([[*leaf].into()].into()),
            Form::Any(parts) => {
                let mut all = Terms::new();
                for part in parts {
                    all.append(&mut part.terms()?);
                }
                Ok(all)
            }
            Form::All(parts) => {
                let parts = parts.iter().map(Form::terms).collect::<Result<Vec<Terms>, Error>>()?;
                let count = parts.iter().fold(1, |count: usize, part| count.saturating_mul(part.len()));
                if count > limits::DISJUNCTIONS_BUILT {
                    return Err(Error::invalid(texts::far_too_many_disjunctions()));
                }
                let mut all: Terms = [BTreeSet::new()].into();
                for part in &parts {
                    all = all.iter().flat_map(|left| part.iter().map(move |right| left | right)).collect();
                }
                Ok(all)
            }
        }
    }
}

#[derive(Default)]
struct Leaves {
    filters: Vec<Filter>,
    /// By how a filter is written: 1 and 1.0 are two.
    numbers: HashMap<String, usize>,
}

impl Leaves {
    fn leaf(&mut self, filter: Filter) -> Form {
        let filters = &mut self.filters;
        let number = self.numbers.entry(format!("{filter:?}")).or_insert_with_key(|_| {
            filters.push(filter);
            filters.len() - 1
        });
        Form::Leaf(*number)
    }

    fn form(&mut self, filter: &Filter) -> Form {
        match filter {
            Filter::And(filters) => {
                let mut parts = BTreeSet::new();
                for filter in filters {
                    match self.form(filter) {
                        Form::All(inner) => parts.extend(inner),
                        other => drop(parts.insert(other)),
                    }
                }
                alone(parts).unwrap_or_else(Form::All)
            }
            Filter::Or(filters) => {
                let parts: Vec<Form> = filters.iter().map(|filter| self.form(filter)).collect();
                any(parts)
            }
            Filter::Field(path, Operator::In, Value::Array(values)) => {
                let equal = |value: &Value| self.leaf(Filter::Field(path.clone(), Operator::Equal, value.clone()));
                any(values.iter().map(equal).collect())
            }
            Filter::Field(path, Operator::ArrayContainsAny, Value::Array(values)) => {
                // Each stays a list, of one: beside an `array-contains` of the same it is another filter.
                let has_any = |value: &Value| {
                    let one = Value::array(vec![value.clone()]);
                    self.leaf(Filter::Field(path.clone(), Operator::ArrayContainsAny, one))
                };
                any(values.iter().map(has_any).collect())
            }
            Filter::Name(Operator::In, names) => {
                any(names.iter().map(|name| self.leaf(Filter::Name(Operator::Equal, vec![name.clone()]))).collect())
            }
            leaf => self.leaf(leaf.clone()),
        }
    }
}

fn any(parts: Vec<Form>) -> Form {
    let mut all = BTreeSet::new();
    for part in parts {
        match part {
            Form::Any(inner) => all.extend(inner),
            other => drop(all.insert(other)),
        }
    }
    alone(all).unwrap_or_else(Form::Any)
}

/// The only part, if there is only one.
fn alone(parts: BTreeSet<Form>) -> Result<Form, BTreeSet<Form>> {
    if parts.len() == 1 { parts.into_iter().next().ok_or_else(BTreeSet::new) } else { Err(parts) }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;

    use super::*;
    use crate::path::FieldPath;

    fn equal(path: &str, value: i64) -> Filter {
        Filter::Field(FieldPath::parse(path).unwrap(), Operator::Equal, Value::Int(value))
    }

    fn within(path: &str, values: Range<i64>) -> Filter {
        let values = values.map(Value::Int).collect();
        Filter::Field(FieldPath::parse(path).unwrap(), Operator::In, Value::Array(Arc::new(values)))
    }

    fn terms(filter: &Filter) -> Result<usize, String> {
        match Disjunctions::of(filter).filter() {
            Ok(Filter::Or(terms)) => Ok(terms.len()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn what_is_said_twice_counts_once() {
        let all = |filters: &[&Filter]| Filter::And(filters.iter().copied().cloned().collect());
        let any = |filters: &[&Filter]| Filter::Or(filters.iter().copied().cloned().collect());
        let twenty = within("a", 0..20);
        assert_eq!(terms(&all(&[&twenty, &twenty])), Ok(20));
        assert_eq!(terms(&all(&[&twenty, &all(&[&equal("b", 1), &twenty])])), Ok(20));
        assert_eq!(terms(&any(&[&twenty, &any(&[&within("a", 5..25), &equal("a", 3)])])), Ok(25));
        let listed: Vec<Filter> = (0..20).rev().map(|value| equal("a", value)).collect();
        assert_eq!(terms(&all(&[&Filter::Or(listed), &twenty])), Ok(20));
        // a=1 and a=2 is no contradiction to the limits: six alone, and the pairs.
        assert_eq!(terms(&all(&[&within("a", 0..6), &within("a", 0..7)])), Ok(27));
        let one = Filter::Field(FieldPath::parse("a").unwrap(), Operator::Equal, Value::Double(1.0));
        assert_eq!(terms(&any(&[&equal("a", 1), &one])), Ok(2));
    }

    #[test]
    fn too_many_are_counted_as_far_as_they_are_built() {
        let count = |left, right| terms(&Filter::And(vec![within("a", 0..left), within("b", 0..right)]));
        assert_eq!(count(6, 5), Ok(30));
        assert_eq!(count(2, 30), Err(texts::too_many_disjunctions(60)));
        assert_eq!(count(9, 7), Err(texts::far_too_many_disjunctions()));
        let many: Vec<Filter> = (0..64).map(|value| equal("a", value)).collect();
        assert_eq!(terms(&Filter::Or(many)), Err(texts::too_many_disjunctions(64)));
    }

    #[test]
    fn filters_are_counted_with_the_values_of_lists() {
        let others = Value::array((0..10).map(Value::Int).collect());
        let none_of = Filter::Field(FieldPath::parse("d").unwrap(), Operator::NotIn, others);
        let filter = Filter::And(vec![within("a", 0..30), equal("b", 1), equal("b", 1), within("c", 3..4), none_of]);
        assert_eq!(Disjunctions::of(&filter).filters(), 42);
    }
}
