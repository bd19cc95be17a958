//! Overload resolution: which signature a call means, with what coercions, and the text where none fits.
//!
//! Among the signatures that match, the one with the fewest coerced expressions wins, then the nearest
//! types, then the fewest coerced literals; among equals the first.

use crate::coercion::{Origin, distance, supertype};
use crate::functions::signature::{Argument, Pattern, Signature, parsed, pattern_text};
use crate::functions::{AggregateFunction, ResultType, ScalarFunction};
use crate::types::Type;

/// One argument as the analyzer sees it before coercion.
#[derive(Clone, Debug, Default)]
pub struct ArgInfo {
    /// `None` is an untyped NULL; for an empty array literal pass `ARRAY<INT64>` as a literal with `untyped_array`.
    pub ty: Option<Type>,
    pub is_literal: bool,
    pub is_parameter: bool,
    /// `[]` without a type: takes any array type.
    pub untyped_array: bool,
    /// `name => value`.
    pub name: Option<String>,
    /// A date part, which travels as a string.
    pub is_date_part: bool,
}

impl ArgInfo {
    pub fn expression(ty: Type) -> ArgInfo {
        ArgInfo { ty: Some(ty), ..ArgInfo::default() }
    }

    pub fn literal(ty: Type) -> ArgInfo {
        ArgInfo { ty: Some(ty), is_literal: true, ..ArgInfo::default() }
    }

    pub fn origin(&self) -> Origin {
        if self.is_literal {
            Origin::Literal
        } else if self.is_parameter {
            Origin::Parameter
        } else {
            Origin::Expression
        }
    }
}

/// The signature that a call means.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// The types that the arguments are coerced to, in the order of `order`.
    pub arg_types: Vec<Type>,
    pub result_type: Type,
    /// For each argument that the code receives which given argument it is; `None`: left out, pass NULL of that type.
    /// Only named arguments and gaps before them make this differ from 0, 1, 2, …
    pub order: Vec<Option<usize>>,
    /// Which of the entry's signatures it is.
    pub signature: usize,
}

/// A call that resolves to nothing.
#[derive(Clone, PartialEq, Debug)]
pub struct NoMatch {
    /// Production's text, without a place.
    pub message: String,
    /// Where the text is about one argument, which: its place in the statement is the error's.
    pub argument: Option<usize>,
}

/// Why a signature does not match, as production words it.
type Mismatch = String;

/// Lower is better, compared from left to right.
type Cost = (u32, u32, u32, u32);

/// Resolves a call of a scalar function or operator.
pub fn resolve_scalar(function: &ScalarFunction, args: &[ArgInfo]) -> Result<Resolved, NoMatch> {
    let kind = if function.name.starts_with('$') { "operator" } else { "function" };
    restrict_operands(function, args)?;
    resolve(kind, function.sql_name, function.signatures, function.result, args)
}

/// Resolves a call of an aggregate function.
pub fn resolve_aggregate(function: &AggregateFunction, args: &[ArgInfo]) -> Result<Resolved, NoMatch> {
    resolve("aggregate function", function.sql_name, function.signatures, function.result, args)
}

/// What some operators refuse before their signatures are looked at.
fn restrict_operands(function: &ScalarFunction, args: &[ArgInfo]) -> Result<(), NoMatch> {
    if matches!(function.name, "$concat_op" | "$not")
        && let Some(null) = args.iter().position(|arg| arg.ty.is_none())
    {
        let message = format!("Operands of {} cannot be literal NULL", function.sql_name);
        return Err(NoMatch { message, argument: Some(null) });
    }
    let (what, allowed): (_, fn(&Type) -> bool) = match function.name {
        "$equal" => ("Equality", Type::is_comparable),
        "$not_equal" => ("Inequality", Type::is_comparable),
        "$less" | "$greater" => ("Less than", Type::is_orderable),
        "$less_or_equal" | "$greater_or_equal" => ("Less than or equal", Type::is_orderable),
        _ => return Ok(()),
    };
    let what = match function.name {
        "$greater" => "Greater than",
        "$greater_or_equal" => "Greater than or equal",
        _ => what,
    };
    match args.iter().filter_map(|arg| arg.ty.as_ref()).find(|ty| !allowed(ty)) {
        None => Ok(()),
        Some(ty) => {
            Err(NoMatch { message: format!("{what} is not defined for arguments of type {ty}"), argument: None })
        }
    }
}

/// Resolves a call against `notations`; `kind` is `function`, `aggregate function` or `operator`.
pub fn resolve(
    kind: &str,
    sql_name: &str,
    notations: &'static [&'static str],
    result: Option<ResultType>,
    args: &[ArgInfo],
) -> Result<Resolved, NoMatch> {
    let mut best: Option<(Cost, Resolved)> = None;
    let mut mismatches = Vec::new();
    for (index, signature) in parsed(notations).iter().enumerate() {
        match matches(signature, args) {
            Ok((cost, mut resolved)) => {
                resolved.signature = index;
                // What only literals have to become is what the documented signature wants, not an accepted one.
                let cost =
                    if signature.hidden && cost != (0, 0, 0, 0) { (cost.0 + 1, cost.1, cost.2, cost.3) } else { cost };
                if best.as_ref().is_none_or(|(known, _)| cost < *known) {
                    best = Some((cost, resolved));
                }
            }
            Err(why) if !signature.hidden => mismatches.push((signature, why)),
            Err(_) => {}
        }
    }
    let Some((_, mut resolved)) = best else {
        return Err(NoMatch { message: no_match_text(kind, sql_name, &mismatches, args), argument: None });
    };
    let computed =
        parsed(notations).get(resolved.signature).is_some_and(|signature| signature.result == Pattern::Computed);
    if let (true, Some(result)) = (computed, result) {
        resolved.result_type =
            result(&resolved.arg_types).map_err(|error| NoMatch { message: error.message, argument: None })?;
    }
    Ok(resolved)
}

fn no_match_text(kind: &str, sql_name: &str, mismatches: &[(&Signature, Mismatch)], args: &[ArgInfo]) -> String {
    let mut text = format!("No matching signature for {kind} {sql_name}");
    let types = args.iter().map(argument_text).collect::<Vec<_>>().join(", ");
    if args.is_empty() {
        text.push_str(" with no arguments");
    } else if kind == "operator" {
        text.push_str(&format!(" for argument types: {types}"));
    } else {
        text.push_str(&format!("\n  Argument types: {types}"));
    }
    for (signature, why) in mismatches {
        text.push_str(&format!("\n  Signature: {}\n    {why}", signature_text(kind, sql_name, signature)));
    }
    text
}

fn argument_text(arg: &ArgInfo) -> String {
    let ty = match &arg.ty {
        None => "NULL".to_string(),
        Some(_) if arg.is_date_part => "DATE_TIME_PART".to_string(),
        Some(_) if arg.untyped_array => "ARRAY<>".to_string(),
        Some(ty) => ty.to_string(),
    };
    match &arg.name {
        Some(name) => format!("{name} => {ty}"),
        None => ty,
    }
}

/// `SUBSTR(STRING, INT64, [INT64])`, `T1 = T1`, `-INT64`.
fn signature_text(kind: &str, sql_name: &str, signature: &Signature) -> String {
    let texts: Vec<String> = signature
        .args
        .iter()
        .map(|arg| {
            let mut text = pattern_text(&arg.pattern);
            if let Some(name) = &arg.name {
                text = format!("{name} => {text}");
            }
            if arg.repeated {
                format!("[{text}, ...]")
            } else if arg.optional {
                format!("[{text}]")
            } else {
                text
            }
        })
        .collect();
    if kind == "operator" {
        match &texts[..] {
            [only] if sql_name == "NOT" => return format!("NOT {only}"),
            [only] => return format!("{sql_name}{only}"),
            [left, right] => return format!("{left} {sql_name} {right}"),
            _ => {}
        }
    }
    format!("{sql_name}({})", texts.join(", "))
}

/// Pairs given arguments with the signature's: `(pattern, given index)`.
fn assign<'s>(signature: &'s Signature, args: &[ArgInfo]) -> Result<Vec<(&'s Argument, Option<usize>)>, Mismatch> {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let positional = args.iter().take_while(|arg| arg.name.is_none()).count();
    for name in args.iter().filter_map(|given| given.name.as_ref()) {
        let known = |arg: &Argument| arg.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name));
        match signature.args.iter().position(known) {
            None => return Err(format!("Named argument {name} does not exist in signature")),
            Some(place) if place < positional && !signature.args.iter().any(|arg| arg.repeated) => {
                return Err(format!("Named argument {name} is given by its position already"));
            }
            Some(_) => {}
        }
    }
    let (least, most) = signature.arity();
    if args.len() < least {
        return Err(format!(
            "Signature requires at least {least} argument{}, found {} argument{}",
            plural(least),
            args.len(),
            plural(args.len())
        ));
    }
    if let Some(most) = most
        && args.len() > most
    {
        return Err(format!(
            "Signature accepts at most {most} argument{}, found {} argument{}",
            plural(most),
            args.len(),
            plural(args.len())
        ));
    }
    let mut pairs = Vec::new();
    let mut next = 0;
    let after_repeated =
        |at: usize| signature.args[at + 1..].iter().filter(|arg| !arg.optional && arg.name.is_none()).count();
    // A group of several repeated arguments (`(STRING, ANY)...` written `STRING..., ANY...`) repeats in turn.
    let repeated: Vec<usize> =
        signature.args.iter().enumerate().filter(|(_, arg)| arg.repeated).map(|(at, _)| at).collect();
    let mut at = 0;
    while let Some(arg) = signature.args.get(at) {
        if arg.repeated {
            let last = repeated.last().copied().unwrap_or(at);
            let tail = after_repeated(last);
            let group = last - at + 1;
            while next + tail < positional {
                for offset in 0..group {
                    if next >= positional {
                        return Err("Wrong number of repeated arguments provided".to_string()
                            + &format!(". Expected a multiple of {group}"));
                    }
                    pairs.push((&signature.args[at + offset], Some(next)));
                    next += 1;
                }
            }
            at = last + 1;
            continue;
        }
        // Arguments of the notation that have a name are given by name only, or in their place.
        if next < positional && !arg.by_name_only {
            pairs.push((arg, Some(next)));
            next += 1;
        } else if let Some(given) = args.iter().position(|given| {
            given.name.is_some()
                && arg
                    .name
                    .as_deref()
                    .is_some_and(|name| given.name.as_deref().is_some_and(|given| given.eq_ignore_ascii_case(name)))
        }) {
            pairs.push((arg, Some(given)));
        } else if arg.optional {
            pairs.push((arg, None));
        } else {
            return Err(format!(
                "Signature requires at least {least} argument{}, found {} argument{}",
                plural(least),
                args.len(),
                plural(args.len())
            ));
        }
        at += 1;
    }
    if next < positional {
        if let Some(name) = signature.args.iter().find(|arg| arg.by_name_only).and_then(|arg| arg.name.as_deref()) {
            return Err(format!(
                "Positional argument at {} is invalid because argument `{name}` can only be referred to by name",
                next + 1
            ));
        }
        return Err(format!(
            "Signature accepts at most {next} argument{}, found {} arguments",
            plural(next),
            args.len()
        ));
    }
    // What is left out at the end is not passed at all.
    while pairs.last().is_some_and(|(_, given)| given.is_none()) {
        pairs.pop();
    }
    Ok(pairs)
}

fn matches(signature: &Signature, args: &[ArgInfo]) -> Result<(Cost, Resolved), Mismatch> {
    let pairs = assign(signature, args)?;
    // First collect what each variable stands for.
    let mut inputs: [Vec<(Option<Type>, Origin)>; 3] = Default::default();
    for (arg, given) in &pairs {
        if let Some(given) = given.and_then(|given| args.get(given)) {
            collect(&arg.pattern, given.ty.as_ref(), given, &mut inputs);
        }
    }
    let mut variables: [Option<Type>; 3] = Default::default();
    for (index, inputs) in inputs.iter().enumerate() {
        if inputs.is_empty() {
            continue;
        }
        let common = supertype(inputs.iter().map(|(ty, origin)| (ty.as_ref(), *origin)));
        let Some(common) = common else {
            let mut names: Vec<String> =
                inputs.iter().map(|(ty, _)| ty.as_ref().map_or("NULL".to_string(), Type::to_string)).collect();
            names.sort();
            names.dedup();
            return Err(format!(
                "Unable to find common supertype for templated argument <T{n}>\n      Input types for <T{n}>: {{{list}}}",
                n = index + 1,
                list = names.join(", ")
            ));
        };
        variables[index] = Some(common);
    }
    let mut cost: Cost = (0, 0, 0, 0);
    let mut arg_types = Vec::with_capacity(pairs.len());
    let mut order = Vec::with_capacity(pairs.len());
    for (arg, index) in &pairs {
        let given = index.and_then(|index| args.get(index));
        let target = target_type(&arg.pattern, given, &variables);
        order.push(*index);
        let Some(given) = given else {
            arg_types.push(target.unwrap_or(Type::Int64));
            continue;
        };
        let position = index.unwrap_or_default() + 1;
        let Some(target) = target else {
            return Err(format!(
                "Argument {position}: Unable to coerce type {} to expected type {}",
                argument_text(given),
                pattern_text(&arg.pattern)
            ));
        };
        if let Some(why) = constraint(&arg.pattern, &target) {
            return Err(format!("Argument {position}: {why}"));
        }
        if let Some(ty) = &given.ty
            && !(given.untyped_array && matches!(target, Type::Array(_)))
        {
            let Some(far) = distance(ty, &target, given.origin()) else {
                return Err(format!(
                    "Argument {position}: Unable to coerce type {} to expected type {}",
                    argument_text(given),
                    pattern_text_with(&arg.pattern, &target)
                ));
            };
            if far > 0 {
                if given.is_literal || given.is_parameter {
                    cost.2 += 1;
                    cost.3 += far;
                } else {
                    cost.0 += 1;
                    cost.1 += far;
                }
            }
        }
        arg_types.push(target);
    }
    let result_type = target_type(&signature.result, None, &variables).unwrap_or(Type::Int64);
    Ok((cost, Resolved { arg_types, result_type, order, signature: 0 }))
}

fn pattern_text_with(pattern: &Pattern, target: &Type) -> String {
    match pattern {
        Pattern::Exact(_) => target.to_string(),
        _ => pattern_text(pattern),
    }
}

/// Records what an argument says about the variables of its pattern.
fn collect(pattern: &Pattern, ty: Option<&Type>, given: &ArgInfo, inputs: &mut [Vec<(Option<Type>, Origin)>; 3]) {
    match pattern {
        Pattern::Variable(index) => {
            let Some(slot) = inputs.get_mut(*index) else { return };
            slot.push((ty.cloned(), given.origin()));
        }
        Pattern::Array(inner) => match ty {
            Some(Type::Array(_)) if given.untyped_array => collect(inner, None, given, inputs),
            Some(Type::Array(element)) => collect(inner, Some(element), given, inputs),
            None => collect(inner, None, given, inputs),
            Some(_) => {}
        },
        Pattern::Range(inner) => match ty {
            Some(Type::Range(element)) => collect(inner, Some(element), given, inputs),
            None => collect(inner, None, given, inputs),
            Some(_) => {}
        },
        Pattern::Orderable(inner) | Pattern::Groupable(inner) | Pattern::Comparable(inner) => {
            collect(inner, ty, given, inputs);
        }
        _ => {}
    }
}

/// The type that an argument of this pattern is coerced to; `None` where the given one cannot fit its shape.
fn target_type(pattern: &Pattern, given: Option<&ArgInfo>, variables: &[Option<Type>; 3]) -> Option<Type> {
    let given_type = given.and_then(|given| given.ty.clone());
    match pattern {
        Pattern::Exact(ty) => Some(ty.clone()),
        Pattern::Variable(index) => variables.get(*index).cloned().flatten(),
        Pattern::Any => Some(given_type.unwrap_or(Type::Int64)),
        Pattern::AnyStruct => given_type.filter(|ty| matches!(ty, Type::Struct(_))),
        Pattern::DatePart => Some(Type::String),
        Pattern::Array(inner) => {
            if given_type.as_ref().is_some_and(|ty| !matches!(ty, Type::Array(_))) {
                return None;
            }
            match &**inner {
                Pattern::Any => Some(given_type.unwrap_or(Type::array(Type::Int64))),
                inner => Some(Type::array(target_type(inner, None, variables)?)),
            }
        }
        Pattern::Range(inner) => {
            if given_type.as_ref().is_some_and(|ty| !matches!(ty, Type::Range(_))) {
                return None;
            }
            match target_type(inner, None, variables)? {
                // An untyped NULL gives no element type; any of the three serves.
                Type::Int64 => Some(Type::range(Type::Date)),
                element => Some(Type::range(element)),
            }
        }
        Pattern::Orderable(inner) | Pattern::Groupable(inner) | Pattern::Comparable(inner) => {
            target_type(inner, given, variables)
        }
        Pattern::Computed => None,
    }
}

/// What a constraint of the pattern has against the type.
fn constraint(pattern: &Pattern, target: &Type) -> Option<String> {
    let inner_type = || target.element().cloned().unwrap_or_else(|| target.clone());
    match pattern {
        Pattern::Orderable(_) if !target.is_orderable() => {
            Some(format!("expected orderable type for argument <T1>, found {target}"))
        }
        Pattern::Groupable(_) if !target.is_groupable() => {
            Some(format!("expected groupable type for argument <T1>, found {target}"))
        }
        Pattern::Comparable(_) if !target.is_comparable() => {
            Some(format!("expected equality-comparable type for argument <T1>, found {target}"))
        }
        Pattern::Range(_) if !matches!(inner_type(), Type::Date | Type::Datetime | Type::Timestamp) => {
            Some(format!("expected a range, found {target}"))
        }
        Pattern::Array(inner) => constraint(inner, &inner_type()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &[&str] = &[
        "(INT64, INT64) -> INT64",
        "(FLOAT64, FLOAT64) -> FLOAT64",
        "(NUMERIC, NUMERIC) -> NUMERIC",
        "(DATE, INT64) -> DATE",
    ];
    const EQUAL: &[&str] = &["(COMPARABLE<T>, COMPARABLE<T>) -> BOOL"];
    const CONCAT: &[&str] = &["(STRING, STRING...) -> STRING", "(BYTES, BYTES...) -> BYTES"];

    fn result(notations: &'static [&'static str], args: &[ArgInfo]) -> Result<Type, String> {
        resolve("operator", "+", notations, None, args)
            .map(|resolved| resolved.result_type)
            .map_err(|error| error.message)
    }

    #[test]
    fn the_nearest_signature_wins() {
        let int = ArgInfo::expression(Type::Int64);
        assert_eq!(result(ADD, &[int.clone(), int.clone()]), Ok(Type::Int64));
        assert_eq!(result(ADD, &[int.clone(), ArgInfo::expression(Type::Numeric)]), Ok(Type::Numeric));
        assert_eq!(result(ADD, &[int.clone(), ArgInfo::expression(Type::Float64)]), Ok(Type::Float64));
        assert_eq!(result(ADD, &[ArgInfo::literal(Type::String), int.clone()]), Ok(Type::Date));
        assert_eq!(result(ADD, &[ArgInfo::default(), int]), Ok(Type::Int64));
    }

    #[test]
    fn texts_are_productions() {
        let error = resolve(
            "operator",
            "=",
            EQUAL,
            None,
            &[ArgInfo::expression(Type::String), ArgInfo::expression(Type::Int64)],
        );
        assert_eq!(
            error.unwrap_err().message,
            "No matching signature for operator = for argument types: STRING, INT64\n  Signature: T1 = T1\n    \
             Unable to find common supertype for templated argument <T1>\n      Input types for <T1>: {INT64, STRING}"
        );
        assert_eq!(
            resolve("function", "CONCAT", CONCAT, None, &[]).unwrap_err().message,
            "No matching signature for function CONCAT with no arguments\n  Signature: CONCAT(STRING, [STRING, ...])\n    \
             Signature requires at least 1 argument, found 0 arguments\n  Signature: CONCAT(BYTES, [BYTES, ...])\n    \
             Signature requires at least 1 argument, found 0 arguments"
        );
        assert_eq!(
            resolve("function", "CONCAT", &["(STRING) -> STRING"], None, &[ArgInfo::expression(Type::Int64)])
                .unwrap_err()
                .message,
            "No matching signature for function CONCAT\n  Argument types: INT64\n  Signature: CONCAT(STRING)\n    \
             Argument 1: Unable to coerce type INT64 to expected type STRING"
        );
    }

    #[test]
    fn named_arguments_find_their_place() {
        const JSON: &[&str] = &["(STRING, [a => INT64], [b => STRING]) -> ?"];
        let mut named = ArgInfo::literal(Type::String);
        named.name = Some("B".into());
        let resolved = resolve("function", "F", JSON, None, &[ArgInfo::literal(Type::String), named]).expect("matches");
        assert_eq!(resolved.order, vec![Some(0), None, Some(1)]);
        assert_eq!(resolved.arg_types, vec![Type::String, Type::Int64, Type::String]);
    }

    #[test]
    fn arrays_unify_by_element() {
        const CONCAT_ARRAYS: &[&str] = &["(ARRAY<T>, ARRAY<T>...) -> ARRAY<T>"];
        let ints = ArgInfo::expression(Type::array(Type::Int64));
        let empty = ArgInfo { untyped_array: true, ..ArgInfo::literal(Type::array(Type::Int64)) };
        assert_eq!(result(CONCAT_ARRAYS, &[empty.clone(), ints.clone()]), Ok(Type::array(Type::Int64)));
        let strings = ArgInfo::expression(Type::array(Type::String));
        assert_eq!(result(CONCAT_ARRAYS, &[empty, strings.clone()]), Ok(Type::array(Type::String)));
        assert!(result(CONCAT_ARRAYS, &[strings, ints]).is_err());
    }
}
