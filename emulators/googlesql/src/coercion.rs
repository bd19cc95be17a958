//! Which type turns into which by itself, and what type several expressions share.
//!
//! Rules: <https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules>.

use std::sync::Arc;

use crate::types::{StructField, StructType, Type};

/// What an expression is, as far as coercion asks: literals and parameters may become more than columns may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    #[default]
    Expression,
    Parameter,
    Literal,
}

/// How far `from` is from `to` when it coerces implicitly (0 for the same type); `None` where it does not.
pub fn distance(from: &Type, to: &Type, origin: Origin) -> Option<u32> {
    if from == to {
        return Some(0);
    }
    match (from, to) {
        (Type::Int64, Type::Float64) => Some(1),
        (Type::Int64, Type::Numeric) => Some(2),
        (Type::Int64, Type::BigNumeric) => Some(3),
        (Type::Numeric, Type::BigNumeric) => Some(1),
        (Type::Numeric, Type::Float64) => Some(2),
        (Type::BigNumeric, Type::Float64) => Some(1),
        (Type::Date, Type::Datetime) => Some(1),
        (Type::Float64, Type::Numeric) if origin == Origin::Literal => Some(2),
        (Type::Float64, Type::BigNumeric) if origin == Origin::Literal => Some(3),
        (Type::String, Type::Date) if origin != Origin::Expression => Some(1),
        (Type::String, Type::Timestamp) if origin != Origin::Expression => Some(2),
        (Type::String, Type::Datetime) if origin != Origin::Expression => Some(3),
        (Type::String, Type::Time) if origin != Origin::Expression => Some(4),
        (Type::Array(a), Type::Array(b)) => {
            if a.equivalent(b) {
                Some(0)
            } else if origin != Origin::Expression {
                distance(a, b, origin)
            } else {
                None
            }
        }
        (Type::Struct(a), Type::Struct(b)) => {
            if a.fields.len() != b.fields.len() {
                return None;
            }
            let mut sum = 0;
            for (a, b) in a.fields.iter().zip(&b.fields) {
                sum += distance(&a.ty, &b.ty, origin)?;
            }
            Some(sum)
        }
        _ => None,
    }
}

/// Whether `from` becomes `to` without a CAST.
pub fn coerces(from: &Type, to: &Type, origin: Origin) -> bool {
    distance(from, to, origin).is_some()
}

/// Whether a value of `from` may be stored in a column of `to`: as [`coerces`], and literals of INT64,
/// FLOAT64 and STRING also where their value fits (the cast then fails or not).
pub fn assigns(from: &Type, to: &Type, origin: Origin) -> bool {
    if coerces(from, to, origin) {
        return true;
    }
    match (from, to) {
        (Type::Int64, Type::Float64 | Type::Numeric | Type::BigNumeric) => true,
        (Type::BigNumeric | Type::Float64, Type::Numeric) | (Type::Float64, Type::BigNumeric) => true,
        (Type::Array(a), Type::Array(b)) => assigns(a, b, origin),
        (Type::Struct(a), Type::Struct(b)) => {
            a.fields.len() == b.fields.len()
                && a.fields.iter().zip(&b.fields).all(|(a, b)| assigns(&a.ty, &b.ty, origin))
        }
        _ => false,
    }
}

/// The type that all of `inputs` coerce to. `None` as a type is an untyped NULL (or an empty array literal's
/// element); nothing but NULLs gives INT64, as GoogleSQL has it. `None` as answer: there is no common type.
pub fn supertype<'a>(inputs: impl IntoIterator<Item = (Option<&'a Type>, Origin)>) -> Option<Type> {
    let typed: Vec<(&Type, Origin)> = inputs.into_iter().filter_map(|(ty, origin)| ty.map(|ty| (ty, origin))).collect();
    common(&typed)
}

fn common(typed: &[(&Type, Origin)]) -> Option<Type> {
    let Some((first, _)) = typed.first() else { return Some(Type::Int64) };
    if typed.iter().all(|(ty, _)| ty == first) {
        return Some((*first).clone());
    }
    if typed.iter().all(|(ty, _)| matches!(ty, Type::Struct(_))) {
        return struct_supertype(typed);
    }
    if typed.iter().all(|(ty, _)| matches!(ty, Type::Array(_))) {
        let elements: Vec<(&Type, Origin)> =
            typed.iter().filter_map(|(ty, origin)| ty.element().map(|element| (element, *origin))).collect();
        let element = common(&elements)?;
        let whole = Type::array(element);
        return typed.iter().all(|(ty, origin)| coerces(ty, &whole, *origin)).then_some(whole);
    }
    // What is not a literal decides first; among the numbers the narrowest that holds them all.
    let mut candidates: Vec<&Type> = Vec::new();
    for wanted in [Origin::Expression, Origin::Parameter, Origin::Literal] {
        let mut tier: Vec<&Type> = typed.iter().filter(|(_, origin)| *origin == wanted).map(|(ty, _)| *ty).collect();
        tier.sort_by_key(|ty| number_rank(ty));
        candidates.extend(tier);
    }
    let numbers = [Type::Numeric, Type::BigNumeric, Type::Float64];
    candidates
        .into_iter()
        .chain(&numbers)
        .find(|candidate| typed.iter().all(|(ty, origin)| coerces(ty, candidate, *origin)))
        .cloned()
}

fn number_rank(ty: &Type) -> u8 {
    match ty {
        Type::Int64 => 1,
        Type::Numeric => 2,
        Type::BigNumeric => 3,
        Type::Float64 => 4,
        _ => 0,
    }
}

/// Field by field; the first's names win, where it has any.
fn struct_supertype(inputs: &[(&Type, Origin)]) -> Option<Type> {
    let structs: Vec<(&StructType, Origin)> = inputs
        .iter()
        .filter_map(|(ty, origin)| match ty {
            Type::Struct(fields) => Some((&**fields, *origin)),
            _ => None,
        })
        .collect();
    let leader = structs.iter().find(|(_, origin)| *origin != Origin::Literal).or(structs.first())?.0;
    if structs.iter().any(|(ty, _)| ty.fields.len() != leader.fields.len()) {
        return None;
    }
    let mut fields = Vec::with_capacity(leader.fields.len());
    for (index, field) in leader.fields.iter().enumerate() {
        let column: Vec<(&Type, Origin)> =
            structs.iter().filter_map(|(ty, origin)| ty.fields.get(index).map(|field| (&field.ty, *origin))).collect();
        let ty = common(&column)?;
        fields.push(StructField { name: field.name.clone(), ty });
    }
    Some(Type::Struct(Arc::new(StructType { fields })))
}

impl Type {
    /// Whether `<` and ORDER BY exist for it.
    pub fn is_orderable(&self) -> bool {
        match self {
            Type::Json | Type::Geography | Type::Array(_) | Type::Struct(_) => false,
            Type::Range(element) => element.is_orderable(),
            _ => true,
        }
    }

    /// Whether `=` exists for it.
    pub fn is_comparable(&self) -> bool {
        match self {
            Type::Json | Type::Geography | Type::Array(_) => false,
            Type::Struct(fields) => fields.fields.iter().all(|field| field.ty.is_comparable()),
            _ => true,
        }
    }

    /// Whether GROUP BY, DISTINCT and set operations take it.
    pub fn is_groupable(&self) -> bool {
        match self {
            Type::Json | Type::Geography => false,
            Type::Array(element) => element.is_groupable(),
            Type::Struct(fields) => fields.fields.iter().all(|field| field.ty.is_groupable()),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &[(Type, Origin)]) -> Option<Type> {
        supertype(inputs.iter().map(|(ty, origin)| (Some(ty), *origin)))
    }

    #[test]
    fn literals_follow_columns() {
        use Origin::{Expression, Literal};
        assert_eq!(of(&[(Type::Int64, Expression), (Type::Float64, Literal)]), Some(Type::Float64));
        assert_eq!(of(&[(Type::Numeric, Expression), (Type::Float64, Literal)]), Some(Type::Numeric));
        assert_eq!(of(&[(Type::Numeric, Expression), (Type::Float64, Expression)]), Some(Type::Float64));
        assert_eq!(of(&[(Type::String, Literal), (Type::Date, Expression)]), Some(Type::Date));
        assert_eq!(of(&[(Type::String, Expression), (Type::Date, Expression)]), None);
        assert_eq!(of(&[(Type::Int64, Expression), (Type::String, Expression)]), None);
        assert_eq!(supertype([(None, Literal), (None, Literal)]), Some(Type::Int64));
    }

    #[test]
    fn structs_join_field_by_field() {
        let a = Type::struct_of([("x", Type::Int64), ("y", Type::String)]);
        let b = Type::struct_of([("p", Type::Float64), ("q", Type::String)]);
        assert_eq!(
            of(&[(a, Origin::Expression), (b, Origin::Expression)]),
            Some(Type::struct_of([("x", Type::Float64), ("y", Type::String)]))
        );
    }
}
