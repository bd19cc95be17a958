//! Aggregates that gather values: ARRAY_AGG, ARRAY_CONCAT_AGG, STRING_AGG, ANY_VALUE.

use crate::error::Result;
use crate::functions::aggregates::basic::array_of_first;
use crate::functions::aggregates::{Allows, aggregate};
use crate::functions::args::any;
use crate::functions::{Accumulator, AggregateFunction};
use crate::value::Value;

const GATHERS: Allows =
    Allows { ignores_nulls: false, distinct: true, order_by: true, limit: true, null_modifier: true, window: true };

pub(crate) static TABLE: &[AggregateFunction] = &[
    aggregate!(
        "aggregate_functions",
        "array_agg",
        "ARRAY_AGG",
        GATHERS,
        ["(T) -> ?"],
        |_| Box::new(ArrayAgg { items: Vec::new(), any: false }),
        |types| array_of_first("ARRAY_AGG", types)
    ),
    aggregate!(
        "aggregate_functions",
        "array_concat_agg",
        "ARRAY_CONCAT_AGG",
        Allows { ignores_nulls: true, distinct: false, null_modifier: false, ..GATHERS },
        ["(ARRAY<T>) -> ARRAY<T>"],
        |_| Box::new(ArrayConcatAgg { items: Vec::new(), any: false })
    ),
    aggregate!(
        "aggregate_functions",
        "string_agg",
        "STRING_AGG",
        Allows { ignores_nulls: true, null_modifier: false, ..GATHERS },
        ["(STRING, [STRING]) -> STRING", "(BYTES, [BYTES]) -> BYTES"],
        |_| Box::new(StringAgg { text: None, is_bytes: false })
    ),
    // NULL only where there is nothing else.
    aggregate!(
        "aggregate_functions",
        "any_value",
        "ANY_VALUE",
        Allows {
            ignores_nulls: true,
            distinct: true,
            order_by: false,
            limit: false,
            null_modifier: true,
            window: true
        },
        ["(T) -> T"],
        |_| Box::new(AnyValue(None))
    ),
];

struct ArrayAgg {
    items: Vec<Value>,
    any: bool,
}

impl Accumulator for ArrayAgg {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        self.any = true;
        self.items.push(any(args, 0).clone());
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(if self.any { Value::array(self.items.clone()) } else { Value::Null })
    }
}

struct ArrayConcatAgg {
    items: Vec<Value>,
    any: bool,
}

impl Accumulator for ArrayConcatAgg {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        if let Value::Array(items) = any(args, 0) {
            self.any = true;
            self.items.extend(items.iter().cloned());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(if self.any { Value::array(self.items.clone()) } else { Value::Null })
    }
}

struct StringAgg {
    text: Option<Vec<u8>>,
    is_bytes: bool,
}

impl Accumulator for StringAgg {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        let unit = |value: &Value| match value {
            Value::String(text) => Some(text.as_bytes().to_vec()),
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        };
        self.is_bytes |= matches!(any(args, 0), Value::Bytes(_));
        let Some(piece) = unit(any(args, 0)) else { return Ok(()) };
        match &mut self.text {
            None => self.text = Some(piece),
            Some(text) => {
                let delimiter = args.get(1).map_or_else(|| Some(b",".to_vec()), unit);
                text.extend(delimiter.unwrap_or_default());
                text.extend(piece);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(match self.text.clone() {
            None => Value::Null,
            Some(bytes) if self.is_bytes => Value::bytes(bytes),
            Some(text) => Value::string(String::from_utf8_lossy(&text)),
        })
    }
}

struct AnyValue(Option<Value>);

impl Accumulator for AnyValue {
    fn add(&mut self, args: &[Value]) -> Result<()> {
        self.0.get_or_insert_with(|| any(args, 0).clone());
        Ok(())
    }

    fn finish(&mut self) -> Result<Value> {
        Ok(self.0.clone().unwrap_or_default())
    }
}
