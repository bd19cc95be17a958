//! Typed loops for the hot functions. Whatever a kernel does not cover, an overflow among it, it leaves to
//! the row loop, which then raises the function's own error.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::exec::bitmap::Bitmap;
use crate::exec::column::{Column, ColumnBuilder, Dictionary, Primitive};
use crate::types::Type;
use crate::value::{Numeric, Value, civil};

/// One side of a binary kernel.
enum Side<'c, T> {
    Each(&'c [T], Option<&'c Bitmap>),
    Same(T),
}

impl<T: Copy> Side<'_, T> {
    fn at(&self, row: usize) -> Option<T> {
        match self {
            Side::Each(values, _) => values.get(row).copied(),
            Side::Same(value) => Some(*value),
        }
    }

    fn valid(&self) -> Option<&Bitmap> {
        match self {
            Side::Each(_, valid) => *valid,
            Side::Same(_) => None,
        }
    }
}

fn both_valid(a: Option<&Bitmap>, b: Option<&Bitmap>, len: usize) -> Option<Bitmap> {
    match (a, b) {
        (None, None) => None,
        (Some(only), None) | (None, Some(only)) => Some(only.clone()),
        (Some(a), Some(b)) => Some((0..len).map(|row| a.get(row) && b.get(row)).collect()),
    }
}

/// `f` over all slots, those of NULL rows included (their result is not looked at).
fn map2<T: Copy, R: Copy + Default>(a: &Side<T>, b: &Side<T>, len: usize, f: impl Fn(T, T) -> R) -> Primitive<R> {
    let values = match (a, b) {
        (Side::Each(a, _), Side::Each(b, _)) => a.iter().zip(b.iter()).take(len).map(|(a, b)| f(*a, *b)).collect(),
        (Side::Each(a, _), Side::Same(b)) => a.iter().take(len).map(|a| f(*a, *b)).collect(),
        (Side::Same(a), Side::Each(b, _)) => b.iter().take(len).map(|b| f(*a, *b)).collect(),
        (Side::Same(a), Side::Same(b)) => vec![f(*a, *b); len],
    };
    Primitive { values, valid: both_valid(a.valid(), b.valid(), len) }
}

/// As [`map2`] where `f` may fail: `None` if it does for a row that is not NULL.
fn try_map2(a: &Side<i64>, b: &Side<i64>, len: usize, f: impl Fn(i64, i64) -> Option<i64>) -> Option<Primitive<i64>> {
    let failed = std::cell::Cell::new(false);
    let out = map2(a, b, len, |a, b| {
        f(a, b).unwrap_or_else(|| {
            failed.set(true);
            0
        })
    });
    // A NULL's slot is zero and cannot overflow by itself, but its partner may be anything: be exact.
    (!failed.get()).then_some(out)
}

fn ints(column: &Column) -> Option<Side<'_, i64>> {
    match column {
        Column::Int64(p) | Column::Time(p) | Column::Datetime(p) | Column::Timestamp(p) => {
            Some(Side::Each(&p.values, p.valid.as_ref()))
        }
        Column::Constant(Value::Int64(v) | Value::Time(v) | Value::Datetime(v) | Value::Timestamp(v), _) => {
            Some(Side::Same(*v))
        }
        _ => None,
    }
}

fn floats(column: &Column) -> Option<Side<'_, f64>> {
    match column {
        Column::Float64(p) => Some(Side::Each(&p.values, p.valid.as_ref())),
        Column::Constant(Value::Float64(v), _) => Some(Side::Same(*v)),
        _ => None,
    }
}

fn dates(column: &Column) -> Option<Side<'_, i32>> {
    match column {
        Column::Date(p) => Some(Side::Each(&p.values, p.valid.as_ref())),
        Column::Constant(Value::Date(v), _) => Some(Side::Same(*v)),
        _ => None,
    }
}

fn bools(column: &Column) -> Option<Side<'_, bool>> {
    match column {
        Column::Bool(p) => Some(Side::Each(&p.values, p.valid.as_ref())),
        Column::Constant(Value::Bool(v), _) => Some(Side::Same(*v)),
        _ => None,
    }
}

fn numerics(column: &Column) -> Option<Side<'_, Numeric>> {
    match column {
        Column::Numeric(p) => Some(Side::Each(&p.values, p.valid.as_ref())),
        Column::Constant(Value::Numeric(v), _) => Some(Side::Same(*v)),
        _ => None,
    }
}

fn is_text(column: &Column) -> bool {
    matches!(column, Column::String(_) | Column::Dictionary(_) | Column::Constant(Value::String(_), _))
}

/// Which orderings satisfy a comparison; `None` for functions that are none.
fn comparison(name: &str) -> Option<fn(Ordering) -> bool> {
    Some(match name {
        "$equal" => Ordering::is_eq,
        "$not_equal" => Ordering::is_ne,
        "$less" => Ordering::is_lt,
        "$less_or_equal" => Ordering::is_le,
        "$greater" => Ordering::is_gt,
        "$greater_or_equal" => Ordering::is_ge,
        _ => return None,
    })
}

/// The column that the function `name` gives for these arguments, if there is a kernel for it.
pub(super) fn call(name: &str, args: &[Arc<Column>], len: usize) -> Option<Column> {
    match args {
        [a] => unary(name, a, len),
        [a, b] => {
            if let Some(test) = comparison(name) {
                return compare(name, test, a, b, len);
            }
            arithmetic(name, a, b, len).or_else(|| joined(name, args, len))
        }
        [a, b, part] if matches!(name, "date_add" | "date_sub") => move_dates(a, b, part, len, name == "date_sub"),
        _ => joined(name, args, len),
    }
}

/// Dates some days or weeks later or earlier.
fn move_dates(a: &Column, b: &Column, part: &Column, len: usize, back: bool) -> Option<Column> {
    let Column::Constant(Value::String(part), _) = part else { return None };
    let days = match &**part {
        "DAY" => 1,
        "WEEK" => 7,
        _ => return None,
    };
    let sign = if back { -days } else { days };
    let moved =
        |date: i32, amount: i64| amount.checked_mul(sign)?.checked_add(i64::from(date)).and_then(civil::date_in_range);
    let (dates, amounts) = (dates(a)?, ints(b)?);
    let valid = both_valid(dates.valid(), amounts.valid(), len);
    let is_valid = |row: usize| valid.as_ref().is_none_or(|valid| valid.get(row));
    let mut values = Vec::with_capacity(len);
    for row in 0..len {
        match dates.at(row).zip(amounts.at(row)).and_then(|(date, amount)| moved(date, amount)) {
            Some(date) => values.push(date),
            None if is_valid(row) => return None,
            None => values.push(0),
        }
    }
    Some(Column::Date(Primitive { values, valid }))
}

/// A text larger than this in a row, or a column larger than [`JOINED`], is the row loop's, which minds the memory.
const TEXT: usize = 64 << 10;
const JOINED: usize = 64 << 20;

/// CONCAT and `||` of strings.
fn joined(name: &str, args: &[Arc<Column>], len: usize) -> Option<Column> {
    if !matches!(name, "concat" | "$concat_op") || !args.iter().all(|arg| is_text(arg)) {
        return None;
    }
    let mut builder = ColumnBuilder::with_capacity(&Type::String, len);
    let (mut text, mut total) = (String::new(), 0);
    for row in 0..len {
        text.clear();
        let mut whole = true;
        for arg in args {
            match arg.str_at(row) {
                Some(part) if text.len() + part.len() <= TEXT => text.push_str(part),
                Some(_) => return None,
                None => whole = false,
            }
        }
        total += text.len();
        if total > JOINED {
            return None;
        }
        if whole { builder.push_str(&text) } else { builder.push_null() }
    }
    Some(builder.finish())
}

/// Decimal digits.
fn int_texts(p: &Primitive<i64>, len: usize) -> Column {
    let mut builder = ColumnBuilder::with_capacity(&Type::String, len);
    for row in 0..len {
        let Some(value) = p.get(row) else {
            builder.push_null();
            continue;
        };
        // The longest is that of the least: 19 digits and the sign.
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        builder.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    }
    builder.finish()
}

fn unary(name: &str, a: &Column, len: usize) -> Option<Column> {
    match name {
        "$is_null" => Some(Column::Bool(Primitive::new((0..len).map(|row| a.is_null(row)).collect()))),
        "$not" => match a {
            Column::Bool(p) => Some(Column::Bool(Primitive {
                values: p.values.iter().map(|value| !value).collect(),
                valid: p.valid.clone(),
            })),
            _ => None,
        },
        _ => None,
    }
}

fn compare(name: &str, test: fn(Ordering) -> bool, a: &Column, b: &Column, len: usize) -> Option<Column> {
    if let (Some(a), Some(b)) = (ints(a), ints(b)) {
        // One loop an operator, so that each can be vectorised.
        return Some(Column::Bool(match name {
            "$equal" => map2(&a, &b, len, |a, b| a == b),
            "$not_equal" => map2(&a, &b, len, |a, b| a != b),
            "$less" => map2(&a, &b, len, |a, b| a < b),
            "$less_or_equal" => map2(&a, &b, len, |a, b| a <= b),
            "$greater" => map2(&a, &b, len, |a, b| a > b),
            _ => map2(&a, &b, len, |a, b| a >= b),
        }));
    }
    if let (Some(a), Some(b)) = (floats(a), floats(b)) {
        // NaN: only `!=` is TRUE, as in the hardware.
        return Some(Column::Bool(match name {
            "$equal" => map2(&a, &b, len, |a, b| a == b),
            "$not_equal" => map2(&a, &b, len, |a, b| a != b),
            "$less" => map2(&a, &b, len, |a, b| a < b),
            "$less_or_equal" => map2(&a, &b, len, |a, b| a <= b),
            "$greater" => map2(&a, &b, len, |a, b| a > b),
            _ => map2(&a, &b, len, |a, b| a >= b),
        }));
    }
    if let (Some(a), Some(b)) = (dates(a), dates(b)) {
        return Some(Column::Bool(map2(&a, &b, len, |a, b| test(a.cmp(&b)))));
    }
    if let (Some(a), Some(b)) = (bools(a), bools(b)) {
        return Some(Column::Bool(map2(&a, &b, len, |a, b| test(a.cmp(&b)))));
    }
    if let (Some(a), Some(b)) = (numerics(a), numerics(b)) {
        return Some(Column::Bool(map2(&a, &b, len, |a, b| test({ a.0 }.cmp(&{ b.0 })))));
    }
    if is_text(a) && is_text(b) {
        return match (a, b) {
            (Column::Dictionary(d), Column::Constant(Value::String(text), _)) => {
                Some(compare_dictionary(d, len, |value| test(value.as_bytes().cmp(text.as_bytes()))))
            }
            (Column::Constant(Value::String(text), _), Column::Dictionary(d)) => {
                Some(compare_dictionary(d, len, |value| test(text.as_bytes().cmp(value.as_bytes()))))
            }
            _ => Some(Column::Bool(
                (0..len).map(|row| Some(test(a.str_at(row)?.as_bytes().cmp(b.str_at(row)?.as_bytes())))).collect(),
            )),
        };
    }
    None
}

fn compare_dictionary(d: &Dictionary, len: usize, test: impl Fn(&str) -> bool) -> Column {
    let known: Vec<bool> = d.values.iter().map(|value| test(value)).collect();
    Column::Bool(d.codes.iter().take(len).map(|code| known.get(*code as usize).copied()).collect())
}

fn arithmetic(name: &str, a: &Column, b: &Column, len: usize) -> Option<Column> {
    if matches!(a, Column::Int64(_) | Column::Constant(Value::Int64(_), _))
        && matches!(b, Column::Int64(_) | Column::Constant(Value::Int64(_), _))
    {
        let (a, b) = (ints(a)?, ints(b)?);
        return Some(Column::Int64(match name {
            "$add" => try_map2(&a, &b, len, i64::checked_add)?,
            "$subtract" => try_map2(&a, &b, len, i64::checked_sub)?,
            "$multiply" => try_map2(&a, &b, len, i64::checked_mul)?,
            "mod" => try_map2(&a, &b, len, i64::checked_rem)?,
            "div" => try_map2(&a, &b, len, i64::checked_div)?,
            _ => return None,
        }));
    }
    let (a, b) = (floats(a)?, floats(b)?);
    let out = match name {
        "$add" => map2(&a, &b, len, |a, b| a + b),
        "$subtract" => map2(&a, &b, len, |a, b| a - b),
        "$multiply" => map2(&a, &b, len, |a, b| a * b),
        // By zero it is not finite.
        "$divide" if !matches!(b, Side::Same(b) if !b.is_finite()) => map2(&a, &b, len, |a, b| a / b),
        _ => return None,
    };
    if name == "$divide" && matches!(&b, Side::Each(b, _) if b.iter().any(|b| !b.is_finite())) {
        return None;
    }
    // An infinite result of finite operands is an error; with infinite operands let the function say.
    out.values.iter().all(|value| value.is_finite()).then_some(Column::Float64(out))
}

/// Conversions that cannot fail and need no text.
pub(super) fn cast(column: &Column, to: &Type, len: usize) -> Option<Column> {
    match (column, to) {
        (Column::Int64(p), Type::Float64) => Some(Column::Float64(Primitive {
            values: p.values.iter().take(len).map(|value| *value as f64).collect(),
            valid: p.valid.clone(),
        })),
        (Column::Int64(p), Type::Numeric) => Some(Column::Numeric(Primitive {
            values: p.values.iter().take(len).map(|value| Numeric(i128::from(*value) * 1_000_000_000)).collect(),
            valid: p.valid.clone(),
        })),
        (Column::Int64(p), Type::String) => Some(int_texts(p, len)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::{self, Call, Nulls};
    use crate::testing::eval_context;
    use proptest::prelude::*;

    fn values_of(ty: &Type) -> BoxedStrategy<Value> {
        let some = match ty {
            Type::Int64 => {
                prop_oneof![any::<i64>(), -3i64..4, Just(i64::MAX), Just(i64::MIN)].prop_map(Value::Int64).boxed()
            }
            Type::Float64 => prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY)]
                .prop_map(Value::Float64)
                .boxed(),
            Type::Date => (-3i32..4).prop_map(Value::Date).boxed(),
            Type::Timestamp => (-3i64..4).prop_map(Value::Timestamp).boxed(),
            Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
            Type::Numeric => (-3i128..4).prop_map(|n| Value::Numeric(Numeric(n * 500_000_000))).boxed(),
            _ => prop_oneof!["[ab]{0,2}", Just("é".to_owned())].prop_map(Value::string).boxed(),
        };
        prop_oneof![1 => Just(Value::Null), 5 => some].boxed()
    }

    /// A column of either form: one value each, or the same in all rows, or (strings) a dictionary.
    fn column_of(ty: Type, len: usize) -> BoxedStrategy<Arc<Column>> {
        let each = {
            let ty = ty.clone();
            prop::collection::vec(values_of(&ty), len)
                .prop_map(move |values| Arc::new(Column::from_values(&ty, values)))
        };
        let same = values_of(&ty).prop_map(move |value| Arc::new(Column::constant(value, len)));
        prop_oneof![3 => each, 1 => same].boxed()
    }

    fn case() -> impl Strategy<Value = (&'static str, Type, Arc<Column>, Arc<Column>)> {
        let name = prop::sample::select(vec![
            "$equal",
            "$not_equal",
            "$less",
            "$less_or_equal",
            "$greater",
            "$greater_or_equal",
            "$add",
            "$subtract",
            "$multiply",
            "$divide",
            "mod",
            "div",
            "concat",
            "$concat_op",
            "$not",
            "$is_null",
        ]);
        let ty = prop::sample::select(vec![
            Type::Int64,
            Type::Float64,
            Type::Date,
            Type::Timestamp,
            Type::Bool,
            Type::Numeric,
            Type::String,
        ]);
        // 200 rows of few distinct strings become a dictionary.
        (name, ty, prop::sample::select(vec![1usize, 5, 200])).prop_flat_map(|(name, ty, len)| {
            (Just(name), Just(ty.clone()), column_of(ty.clone(), len), column_of(ty, len))
        })
    }

    proptest! {
        #[test]
        fn kernels_agree_with_the_functions((name, ty, a, b) in case()) {
            let len = a.len();
            let args = if matches!(name, "$not" | "$is_null") { vec![a] } else { vec![a, b] };
            if let Some(column) = call(name, &args, len) {
                let function = functions::scalar(name).expect("there");
                let ctx = eval_context();
                let types = vec![ty.clone(); args.len()];
                let resolved = Call { ctx: &ctx, arg_types: &types, result_type: &ty };
                prop_assert_eq!(column.len(), len);
                for row in 0..len {
                    let values: Vec<Value> = args.iter().map(|column| column.get(row)).collect();
                    let expected = if function.nulls == Nulls::Propagate && values.iter().any(Value::is_null) {
                        Value::Null
                    } else {
                        (function.code)(&resolved, &values).expect("the kernel found no error")
                    };
                    prop_assert_eq!(format!("{:?}", column.get(row)), format!("{:?}", expected), "{} {:?}", name, values);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn dates_move_as_the_function_moves_them(
            a in prop::sample::select(vec![1usize, 5]).prop_flat_map(|len| (column_of(Type::Date, len), column_of(Type::Int64, len))),
            part in prop::sample::select(vec!["DAY", "WEEK", "MONTH"]),
            name in prop::sample::select(vec!["date_add", "date_sub"]),
        ) {
            let (dates, amounts) = a;
            let len = dates.len();
            let args = [dates, amounts, Arc::new(Column::constant(Value::string(part), len))];
            if let Some(column) = call(name, &args, len) {
                let function = functions::scalar(name).expect("there");
                let ctx = eval_context();
                let types = [Type::Date, Type::Int64, Type::String];
                let resolved = Call { ctx: &ctx, arg_types: &types, result_type: &Type::Date };
                for row in 0..len {
                    let values: Vec<Value> = args.iter().map(|column| column.get(row)).collect();
                    let expected = if values.iter().any(Value::is_null) {
                        Value::Null
                    } else {
                        (function.code)(&resolved, &values).expect("the kernel found no error")
                    };
                    prop_assert_eq!(format!("{:?}", column.get(row)), format!("{:?}", expected), "{} {:?}", name, values);
                }
            }
        }

        #[test]
        fn numbers_are_written_as_by_the_cast(a in column_of(Type::Int64, 20)) {
            if let Some(column) = cast(&a, &Type::String, 20) {
                for row in 0..20 {
                    let expected = match a.get(row) {
                        Value::Int64(value) => Value::string(value.to_string()),
                        _ => Value::Null,
                    };
                    prop_assert_eq!(format!("{:?}", column.get(row)), format!("{:?}", expected));
                }
            }
        }
    }
}
