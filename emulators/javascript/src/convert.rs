//! Values into a QuickJS instance and out of it.

use rquickjs::{Array, BigInt, Coerced, Ctx, Exception, Function, Object, Result, String as JsString, Type, Value};

use crate::value::Js;

/// Objects nested deeper than this do not come out: they are circular, or as good as that.
const MAX_DEPTH: usize = 200;

pub(crate) fn put<'js>(ctx: &Ctx<'js>, value: &Js) -> Result<Value<'js>> {
    Ok(match value {
        Js::Undefined => Value::new_undefined(ctx.clone()),
        Js::Null => Value::new_null(ctx.clone()),
        Js::Bool(value) => Value::new_bool(ctx.clone(), *value),
        Js::Number(value) => Value::new_number(ctx.clone(), *value),
        Js::BigInt(digits) => match digits.parse::<i64>() {
            Ok(value) => BigInt::from_i64(ctx.clone(), value)?.into_value(),
            Err(_) => ctx.globals().get::<_, Function>("BigInt")?.call((digits.as_str(),))?,
        },
        Js::String(text) => JsString::from_str(ctx.clone(), text)?.into_value(),
        Js::Date { millis, micros } => {
            let date: rquickjs::function::Constructor = ctx.globals().get("Date")?;
            let date: Object = date.construct((*millis,))?;
            if let Some(micros) = micros {
                date.set("microsecond", *micros)?;
            }
            date.into_value()
        }
        Js::Array(items) => {
            let array = Array::new(ctx.clone())?;
            for (at, item) in items.iter().enumerate() {
                array.set(at, put(ctx, item)?)?;
            }
            array.into_value()
        }
        Js::Object(fields) => {
            let object = Object::new(ctx.clone())?;
            for (name, value) in fields {
                object.set(name.as_str(), put(ctx, value)?)?;
            }
            object.into_value()
        }
    })
}

pub(crate) fn take<'js>(ctx: &Ctx<'js>, value: &Value<'js>, depth: usize) -> Result<Js> {
    if depth > MAX_DEPTH {
        return Err(Exception::throw_type(ctx, "Converting circular structure to a value"));
    }
    Ok(match value.type_of() {
        Type::Null => Js::Null,
        Type::Bool => Js::Bool(value.as_bool().unwrap_or_default()),
        Type::Int | Type::Float => Js::Number(value.as_number().unwrap_or(f64::NAN)),
        Type::String => Js::String(value.get::<Coerced<String>>()?.0),
        Type::BigInt => Js::BigInt(value.get::<Coerced<String>>()?.0),
        Type::Array => {
            let Some(array) = value.as_array() else { return Ok(Js::Null) };
            let items = array.iter::<Value>().map(|item| take(ctx, &item?, depth + 1));
            Js::Array(items.collect::<Result<_>>()?)
        }
        _ => match value.as_object() {
            Some(object) if !object.is_function() => take_object(ctx, object, depth)?,
            _ => Js::Undefined,
        },
    })
}

fn take_object<'js>(ctx: &Ctx<'js>, object: &Object<'js>, depth: usize) -> Result<Js> {
    if object.is_instance_of(ctx.globals().get::<_, Value>("Date")?) {
        let millis = object.get::<_, Function>("getTime")?.call((rquickjs::prelude::This(object.clone()),))?;
        let micros = object.get::<_, Value>("microsecond")?.as_number();
        return Ok(Js::Date { millis, micros });
    }
    // new String("…") and its like are what they wrap.
    for wrapper in ["String", "Number", "Boolean"] {
        if object.is_instance_of(ctx.globals().get::<_, Value>(wrapper)?) {
            let bare: Value = object.get::<_, Function>("valueOf")?.call((rquickjs::prelude::This(object.clone()),))?;
            return if bare.is_object() { Ok(Js::Null) } else { take(ctx, &bare, depth + 1) };
        }
    }
    let mut fields = Vec::new();
    for field in object.props::<String, Value>() {
        let (name, value) = field?;
        fields.push((name, take(ctx, &value, depth + 1)?));
    }
    Ok(Js::Object(fields))
}
