//! Which indexes production would serve a query from, and which it would ask for.
//!
//! Production's rule: the documents of each disjunction must stand together, in the order of the
//! query, in one index, or in several that end in the same order and can be merged, each serving some
//! of the equalities. Automatic single-field indexes serve what has no order but the name; anything
//! else takes composite ones. An index is never read backwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::catalogue::{Catalogue, Composite, Kind, QueryScope};
use crate::engine::query::plan::{Term, terms};
use crate::engine::query::{Direction, Query, Target};
use crate::path::FieldPath;
use crate::path::field::NAME_FIELD;

/// An index that a query is served from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Used {
    pub index: Composite,
    /// Declared, rather than a field's own.
    pub composite: bool,
}

/// An index that would have to be there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Missing {
    Composite(Composite),
    /// An index of a single field.
    Single {
        group: Arc<str>,
        scope: QueryScope,
        path: FieldPath,
        kind: Kind,
    },
}

/// What a query is served from, and what it lacks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    pub used: BTreeSet<Used>,
    pub missing: BTreeSet<Missing>,
}

/// Judges a query by the declared indexes.
pub fn judge(catalogue: &Catalogue, query: &Query) -> Verdict {
    let mut verdict = Verdict::default();
    let Some(group) = &query.scope.collection_id else { return verdict };
    let scope = if query.scope.all_descendants { QueryScope::Group } else { QueryScope::Collection };
    let place = Place { catalogue, group, scope };
    for term in terms(query.filter.as_ref()).unwrap_or_default() {
        // A document with a known name is looked up, and what nothing can pass is not looked for.
        if term.name.is_none() && !term.never {
            place.judge(query, &term, &mut verdict);
        }
    }
    verdict
}

struct Place<'a> {
    catalogue: &'a Catalogue,
    group: &'a Arc<str>,
    scope: QueryScope,
}

impl Place<'_> {
    fn judge(&self, query: &Query, term: &Term<'_>, verdict: &mut Verdict) {
        let mut wanted: Vec<(FieldPath, Kind)> =
            term.equal.iter().map(|(path, _)| ((*path).clone(), Kind::Ascending)).collect();
        wanted.sort_by_key(|(path, _)| path.to_string());
        wanted.extend(term.contains.map(|(path, _)| (path.clone(), Kind::Contains)));
        if let Some(nearest) = &query.nearest {
            let dimensions = u32::try_from(nearest.vector.len()).unwrap_or(u32::MAX);
            return self.judge_nearest(wanted, &nearest.field, dimensions, verdict);
        }
        let order: Vec<(FieldPath, Kind)> = query
            .order
            .iter()
            .map(|order| {
                let path = match &order.target {
                    Target::Field(path) => path.clone(),
                    Target::Name => FieldPath::single(NAME_FIELD),
                };
                let descending = order.direction == Direction::Descending;
                (path, if descending { Kind::Descending } else { Kind::Ascending })
            })
            .filter(|(path, _)| term.equal.iter().all(|(equal, _)| *equal != path))
            .collect();
        let mut open: Vec<(FieldPath, Kind)> = wanted.clone();
        let mut served = false;
        while !served || !open.is_empty() {
            let candidates = self.composites(&wanted, &order).into_iter().chain(self.singles(&wanted, &order));
            let gain = |used: &Used| open.iter().filter(|(path, _)| has(&used.index, &order, path)).count();
            // The first of the best: of indexes that serve as much, one that was declared.
            let best = candidates.map(|used| (gain(&used), used)).reduce(|a, b| if b.0 > a.0 { b } else { a });
            match best {
                Some((gain, used)) if gain > 0 || open.is_empty() => {
                    open.retain(|(path, _)| !has(&used.index, &order, path));
                    verdict.used.insert(used);
                    served = true;
                }
                _ => break,
            }
        }
        if !served || !open.is_empty() {
            verdict.missing.insert(self.missing(open, &order));
        }
    }

    /// Declared indexes that have some of the wanted fields and then exactly this order.
    fn composites(&self, wanted: &[(FieldPath, Kind)], order: &[(FieldPath, Kind)]) -> Vec<Used> {
        let serves = |index: &Composite| {
            let Some(stem) = index.fields.strip_suffix(order) else { return false };
            let is_wanted = |(path, kind): &(FieldPath, Kind)| {
                wanted.iter().any(|(other, as_what)| {
                    other == path && (*as_what == Kind::Contains) == (*kind == Kind::Contains) && !is_vector(*kind)
                })
            };
            stem.is_empty() == wanted.is_empty() && stem.iter().all(is_wanted)
        };
        let of_group = self.catalogue.composites().map(|(_, index)| index);
        let mut found: Vec<Used> = of_group
            .filter(|index| index.group == *self.group && index.scope == self.scope && serves(index))
            .map(|index| Used { index: index.clone(), composite: true })
            .collect();
        // Fewer fields first, so that an index with a field twice over is not preferred.
        found.sort_by_key(|used| used.index.fields.len());
        found
    }

    /// Single-field indexes, each with the name after the field in the same direction.
    fn singles(&self, wanted: &[(FieldPath, Kind)], order: &[(FieldPath, Kind)]) -> Vec<Used> {
        let single = |path: &FieldPath, kind: Kind| Used {
            index: Composite::new(self.group, self.scope, vec![(path.clone(), kind)]),
            composite: false,
        };
        let has = |path: &FieldPath, kind| self.catalogue.has_single(self.group, path, self.scope, kind);
        match (wanted, order) {
            ([], [(path, Kind::Ascending)]) if path.is_name() => {
                vec![Used { index: Composite::new(self.group, self.scope, order.to_vec()), composite: false }]
            }
            ([], [(path, kind), (name, same)]) if name.is_name() && kind == same && has(path, *kind) => {
                vec![single(path, *kind)]
            }
            (_, [(name, direction)]) if name.is_name() => wanted
                .iter()
                .filter_map(|(path, kind)| match (kind, direction) {
                    (Kind::Contains, Kind::Ascending) => has(path, Kind::Contains).then(|| single(path, *kind)),
                    (Kind::Contains, _) => None,
                    _ => has(path, *direction).then(|| single(path, *direction)),
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The smallest index that would do, given those that are there.
    fn missing(&self, open: Vec<(FieldPath, Kind)>, order: &[(FieldPath, Kind)]) -> Missing {
        let single = |path: &FieldPath, kind| Missing::Single {
            group: Arc::clone(self.group),
            scope: self.scope,
            path: path.clone(),
            kind,
        };
        match (open.as_slice(), order) {
            ([], [(path, kind), (name, same)]) if name.is_name() && kind == same => single(path, *kind),
            ([(path, Kind::Contains)], [(name, Kind::Ascending)]) if name.is_name() => single(path, Kind::Contains),
            ([(path, Kind::Ascending)], [(name, direction)]) if name.is_name() => single(path, *direction),
            _ => {
                let fields = open.into_iter().chain(order.iter().cloned()).collect();
                Missing::Composite(Composite::new(self.group, self.scope, fields))
            }
        }
    }

    fn judge_nearest(
        &self,
        mut wanted: Vec<(FieldPath, Kind)>,
        field: &FieldPath,
        dimensions: u32,
        verdict: &mut Verdict,
    ) {
        let mut paths: Vec<&FieldPath> = wanted.iter().map(|(path, _)| path).collect();
        paths.sort();
        let fits = |index: &&Composite| {
            let mut stem: Vec<&FieldPath> = index
                .fields
                .iter()
                .filter(|(path, kind)| !path.is_name() && !is_vector(*kind))
                .map(|(path, _)| path)
                .collect();
            stem.sort();
            index.group == *self.group
                && index.scope == self.scope
                && index.fields.last() == Some(&(field.clone(), Kind::Vector(dimensions)))
                && stem == paths
        };
        match self.catalogue.composites().map(|(_, index)| index).find(fits) {
            Some(index) => {
                verdict.used.insert(Used { index: index.clone(), composite: true });
            }
            None => {
                wanted.push((field.clone(), Kind::Vector(dimensions)));
                verdict.missing.insert(Missing::Composite(Composite::new(self.group, self.scope, wanted)));
            }
        }
    }
}

fn is_vector(kind: Kind) -> bool {
    matches!(kind, Kind::Vector(_))
}

/// Whether an index has a field before the order.
fn has(index: &Composite, order: &[(FieldPath, Kind)], path: &FieldPath) -> bool {
    let stem = index.fields.strip_suffix(order).unwrap_or(&index.fields);
    stem.iter().any(|(other, _)| other == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::query::normalize::Draft;
    use crate::engine::query::{Filter, Operator, Order, Scope};
    use crate::value::Value;

    fn path(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    fn is(field: &str, operator: Operator) -> Filter {
        let operand = match operator {
            Operator::In => Value::array(vec![Value::Int(1), Value::Int(2)]),
            _ => Value::Int(1),
        };
        Filter::Field(path(field), operator, operand)
    }

    fn query(group: bool, filters: &[(&str, Operator)], orders: &str) -> Query {
        let mut draft =
            Draft::new(Scope { parent: Arc::from(""), collection_id: Some(Arc::from("c")), all_descendants: group });
        draft.filter = match filters {
            [] => None,
            _ => Some(Filter::And(filters.iter().map(|(field, operator)| is(field, *operator)).collect())),
        };
        draft.order = orders
            .split_whitespace()
            .map(|order| {
                let (field, direction) = match order.strip_prefix('-') {
                    Some(field) => (field, Direction::Descending),
                    None => (order, Direction::Ascending),
                };
                Order { target: if field == "__name__" { Target::Name } else { Target::Field(path(field)) }, direction }
            })
            .collect();
        draft.normalize().unwrap()
    }

    fn shown(index: &Composite) -> String {
        let fields = index.fields.iter().map(|(path, kind)| match kind {
            Kind::Descending => format!("-{path}"),
            Kind::Contains => format!("@{path}"),
            _ => path.to_string(),
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    fn index(fields: &str) -> Composite {
        let fields = fields.split_whitespace().map(|field| match field.split_at(1) {
            ("-", field) => (path(field), Kind::Descending),
            ("@", field) => (path(field), Kind::Contains),
            _ => (path(field), Kind::Ascending),
        });
        Composite::new("c", QueryScope::Collection, fields.collect())
    }

    /// What is used, then what is missing.
    fn said(catalogue: &Catalogue, query: &Query) -> String {
        let verdict = judge(catalogue, query);
        let used = verdict.used.iter().map(|used| shown(&used.index));
        let missing = verdict.missing.iter().map(|missing| match missing {
            Missing::Composite(index) => format!("needs {}", shown(index)),
            Missing::Single { path, kind, scope, .. } => format!("needs single {scope:?} {kind:?} {path}"),
        });
        used.chain(missing).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn automatic_indexes_serve_what_they_serve_in_production() {
        use Operator::{ArrayContains, Equal, Greater, In, NotEqual};
        let none = Catalogue::default();
        for (filters, orders, wanted) in [
            (&[][..], "", "__name__"),
            (&[], "-__name__", "needs -__name__"),
            (&[("a", Equal)], "", "a __name__"),
            (&[("a", Equal), ("b", In)], "", "a __name__, b __name__"),
            (&[("a", Equal), ("t", ArrayContains)], "", "a __name__, @t __name__"),
            (&[("a", Greater)], "", "a __name__"),
            (&[("a", Greater)], "-a", "-a -__name__"),
            (&[("a", Equal)], "-__name__", "-a -__name__"),
            (&[], "a", "a __name__"),
            (&[("a", Equal)], "a", "a __name__"),
            (&[], "a b", "needs a b __name__"),
            (&[], "a -__name__", "needs a -__name__"),
            (&[("a", Equal)], "-b", "needs a -b -__name__"),
            (&[("z", Equal), ("a", Equal), ("t", ArrayContains), ("n", Greater)], "", "needs a z @t n __name__"),
            (&[("a", NotEqual), ("b", Greater)], "", "needs a b __name__"),
            (&[("t", ArrayContains)], "n", "needs @t n __name__"),
        ] {
            assert_eq!(said(&none, &query(false, filters, orders)), wanted, "{filters:?} {orders}");
        }
    }

    #[test]
    fn a_group_has_no_automatic_indexes() {
        use Operator::{ArrayContains, Equal};
        let mut catalogue = Catalogue::default();
        assert_eq!(said(&catalogue, &query(true, &[], "")), "__name__");
        assert_eq!(said(&catalogue, &query(true, &[("a", Equal)], "")), "needs single Group Ascending a");
        assert_eq!(said(&catalogue, &query(true, &[("t", ArrayContains)], "")), "needs single Group Contains t");
        assert_eq!(said(&catalogue, &query(true, &[], "-a")), "needs single Group Descending a");
        let settings =
            FieldSettings { indexes: Some(vec![(QueryScope::Group, Kind::Ascending)]), ..FieldSettings::default() };
        catalogue.set_field("c", "a", settings);
        assert_eq!(said(&catalogue, &query(true, &[("a.b", Equal)], "")), "a.b __name__");
        assert_eq!(said(&catalogue, &query(false, &[("a", Equal)], "")), "needs single Collection Ascending a");
    }

    #[test]
    fn declared_indexes_serve_and_merge() {
        use Operator::{Equal, Greater};
        let mut catalogue = Catalogue::default();
        let by = |orders| query(false, &[("a", Equal), ("b", Equal)], orders);
        catalogue.add(index("a -n"));
        assert_eq!(said(&catalogue, &by("-n")), "a -n -__name__, needs b -n -__name__");
        assert_eq!(said(&catalogue, &by("n")), "needs a b n __name__");
        catalogue.add(index("-b -n"));
        assert_eq!(said(&catalogue, &by("-n")), "a -n -__name__, -b -n -__name__");
        catalogue.add(index("b a -n"));
        assert_eq!(said(&catalogue, &by("-n")), "b a -n -__name__");
        assert_eq!(said(&catalogue, &query(false, &[("n", Greater)], "n m")), "needs n m __name__");
        assert_eq!(catalogue.add(index("b a -n -__name__")), None);
    }

    use super::super::catalogue::FieldSettings;
}
