//! Variance, standard deviation, covariance, correlation.
//!
//! Decimals are summed exactly, so that large values with small differences keep them; FLOAT64 by running means.

use bnum::cast::As;
use bnum::types::I1024;

use crate::error::Result;
use crate::functions::aggregates::{Allows, PLAIN, aggregate};
use crate::functions::args::{any, as_float};
use crate::functions::{Accumulator, AggregateFunction};
use crate::value::Value;

const PAIRS: Allows = Allows { ignores_nulls: true, ..PLAIN };

macro_rules! single {
    ($name:literal, $sql_name:literal, $measure:ident) => {
        aggregate!(
            "statistical_aggregate_functions",
            $name,
            $sql_name,
            PLAIN,
            ["(FLOAT64) -> FLOAT64", "(NUMERIC) -> FLOAT64", "(BIGNUMERIC) -> FLOAT64"],
            |_| Box::new(Moments::new(Measure::$measure))
        )
    };
}

macro_rules! pair {
    ($name:literal, $sql_name:literal, $measure:ident) => {
        aggregate!(
            "statistical_aggregate_functions",
            $name,
            $sql_name,
            PAIRS,
            ["(FLOAT64, FLOAT64) -> FLOAT64", "(NUMERIC, NUMERIC) -> FLOAT64", "(BIGNUMERIC, BIGNUMERIC) -> FLOAT64"],
            |_| Box::new(Moments::new(Measure::$measure))
        )
    };
}

pub(crate) static TABLE: &[AggregateFunction] = &[
    single!("var_pop", "VAR_POP", VarPop),
    single!("var_samp", "VAR_SAMP", VarSamp),
    single!("variance", "VARIANCE", VarSamp),
    single!("stddev_pop", "STDDEV_POP", DevPop),
    single!("stddev_samp", "STDDEV_SAMP", DevSamp),
    single!("stddev", "STDDEV", DevSamp),
    pair!("covar_pop", "COVAR_POP", CovarPop),
    pair!("covar_samp", "COVAR_SAMP", CovarSamp),
    pair!("corr", "CORR", Corr),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    VarPop,
    VarSamp,
    DevPop,
    DevSamp,
    CovarPop,
    CovarSamp,
    Corr,
}

/// Sums of decimals scaled by 10^scale, exact.
#[derive(Default)]
struct Exact {
    x: I1024,
    y: I1024,
    xx: I1024,
    yy: I1024,
    xy: I1024,
}

struct Moments {
    measure: Measure,
    count: i64,
    // Welford's means and sums of squared differences.
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    special: bool,
    /// The squared differences again over values made small, for when the others overflow.
    small: [f64; 5],
    exact: Option<(Exact, u32)>,
}

/// A power of two that brings the square of any FLOAT64 into range.
const SMALL: f64 = 1.0
    / (1u128 << 100) as f64
    / (1u128 << 100) as f64
    / (1u128 << 100) as f64
    / (1u128 << 100) as f64
    / (1u128 << 120) as f64;

/// The scaled integer of a decimal.
fn scaled(value: &Value) -> Option<(I1024, u32)> {
    match value {
        Value::Numeric(value) => Some((value.raw().as_::<I1024>(), 9)),
        Value::BigNumeric(value) => Some(((**value).as_::<I1024>(), 38)),
        _ => None,
    }
}

fn to_float(value: I1024) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

impl Moments {
    fn new(measure: Measure) -> Moments {
        Moments {
            measure,
            count: 0,
            mean_x: 0.0,
            mean_y: 0.0,
            xx: 0.0,
            yy: 0.0,
            xy: 0.0,
            special: false,
            small: [0.0; 5],
            exact: None,
        }
    }

    fn is_pair(&self) -> bool {
        matches!(self.measure, Measure::CovarPop | Measure::CovarSamp | Measure::Corr)
    }

    /// Sums of squared and of mixed differences from the means: xx, yy, xy.
    fn differences(&self) -> (f64, f64, f64) {
        match &self.exact {
            None => (self.xx, self.yy, self.xy),
            Some((sums, scale)) => {
                let count = self.count.as_::<I1024>();
                let unit = 10f64.powi(2 * *scale as i32) * self.count as f64;
                let difference = |mixed: I1024, a: I1024, b: I1024| to_float(mixed * count - a * b) / unit;
                (
                    difference(sums.xx, sums.x, sums.x),
                    difference(sums.yy, sums.y, sums.y),
                    difference(sums.xy, sums.x, sums.y),
                )
            }
        }
    }
}

impl Accumulator for Moments {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let first = any(args, 0);
        let second = if self.is_pair() { any(args, 1) } else { first };
        if first.is_null() || second.is_null() {
            return Ok(());
        }
        self.count += 1;
        if let (Some((x, scale)), Some((y, _))) = (scaled(first), scaled(second)) {
            let (sums, _) = self.exact.get_or_insert_with(|| (Exact::default(), scale));
            sums.x += x;
            sums.y += y;
            sums.xx += x * x;
            sums.yy += y * y;
            sums.xy += x * y;
            return Ok(());
        }
        let (x, y) = (as_float(first).unwrap_or(f64::NAN), as_float(second).unwrap_or(f64::NAN));
        self.special |= !x.is_finite() || !y.is_finite();
        let count = self.count as f64;
        let (dx, dy) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += dx / count;
        self.mean_y += dy / count;
        self.xx += dx * (x - self.mean_x);
        self.yy += dy * (y - self.mean_y);
        self.xy += dx * (y - self.mean_y);
        let [mean_x, mean_y, xx, yy, xy] = &mut self.small;
        let (x, y) = (x * SMALL, y * SMALL);
        let (dx, dy) = (x - *mean_x, y - *mean_y);
        *mean_x += dx / count;
        *mean_y += dy / count;
        *xx += dx * (x - *mean_x);
        *yy += dy * (y - *mean_y);
        *xy += dx * (y - *mean_y);
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        let sample = matches!(self.measure, Measure::VarSamp | Measure::DevSamp | Measure::CovarSamp | Measure::Corr);
        if self.count < if sample { 2 } else { 1 } {
            return Ok(Value::Null);
        }
        if self.special {
            return Ok(Value::Float64(f64::NAN));
        }
        let divisor = self.count as f64 - if sample { 1.0 } else { 0.0 };
        let (mut xx, mut yy, mut xy) = self.differences();
        let mut unit = 1.0;
        if self.exact.is_none() && ![xx, yy, xy].iter().all(|sum| sum.is_finite()) {
            [_, _, xx, yy, xy] = self.small;
            unit = SMALL;
        }
        let result = match self.measure {
            Measure::VarPop | Measure::VarSamp => xx / divisor / unit / unit,
            Measure::DevPop | Measure::DevSamp => (xx / divisor).sqrt() / unit,
            Measure::CovarPop | Measure::CovarSamp => xy / divisor / unit / unit,
            // Without spread in one of them there is no correlation.
            Measure::Corr => (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0),
        };
        Ok(Value::Float64(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::aggregate as find;
    use crate::functions::aggregates::testing::run;
    use crate::types::Type;
    use crate::value::Numeric;

    #[test]
    fn decimals_do_not_lose_small_differences() {
        let rows: Vec<Vec<Value>> = ["99999999999999999999999999999.1", "99999999999999999999999999999.2"]
            .iter()
            .map(|text| vec![Value::Numeric(Numeric::parse(text, true).expect("fits"))])
            .collect();
        let result = run(find("stddev_samp").expect("there"), &[Type::Numeric], &rows);
        assert!(matches!(result, Ok(Value::Float64(value)) if (value - 0.070_710_678_118_654_75).abs() < 1e-15));
    }

    #[test]
    fn few_rows_have_no_sample_variance() {
        let row = |value: f64| vec![Value::Float64(value)];
        let samp = find("var_samp").expect("there");
        assert!(matches!(run(samp, &[Type::Float64], &[row(1.0)]), Ok(Value::Null)));
        let result = run(samp, &[Type::Float64], &[row(10.0), row(14.0), row(18.0)]);
        assert!(matches!(result, Ok(Value::Float64(value)) if value == 16.0));
    }
}
