//! Types as written to types as meant.

use crate::ast::{self, TypeNameKind};
use crate::error::{Result, SqlError};
use crate::types::{StructField, StructType, Type, TypeParams};

const MAX_NESTING: usize = 64;

/// The type and its parameters. Unknown names and misplaced parameters are errors.
pub fn resolve_type(name: &ast::TypeName) -> Result<(Type, TypeParams)> {
    resolve(name, 0)
}

/// A type by its name alone: `INTEGER`, `Decimal`.
pub(super) fn simple(name: &str) -> Option<Type> {
    Some(match name.to_ascii_uppercase().as_str() {
        "BOOL" | "BOOLEAN" => Type::Bool,
        "INT64" | "INT" | "INTEGER" | "SMALLINT" | "BIGINT" | "TINYINT" | "BYTEINT" => Type::Int64,
        "FLOAT64" => Type::Float64,
        "NUMERIC" | "DECIMAL" => Type::Numeric,
        "BIGNUMERIC" | "BIGDECIMAL" => Type::BigNumeric,
        "STRING" => Type::String,
        "BYTES" => Type::Bytes,
        "DATE" => Type::Date,
        "TIME" => Type::Time,
        "DATETIME" => Type::Datetime,
        "TIMESTAMP" => Type::Timestamp,
        "INTERVAL" => Type::Interval,
        "JSON" => Type::Json,
        "GEOGRAPHY" => Type::Geography,
        _ => return None,
    })
}

fn resolve(name: &ast::TypeName, depth: usize) -> Result<(Type, TypeParams)> {
    if depth > MAX_NESTING {
        return Err(SqlError::analysis("Type is nested too deeply").at(name.pos));
    }
    if let Some(collation) = &name.collate
        && !collation.is_empty()
    {
        return Err(SqlError::unsupported("Collation is not supported").at(name.pos));
    }
    let mut params = TypeParams::default();
    let ty = match &name.kind {
        TypeNameKind::Simple(text) => {
            let Some(ty) = simple(text) else {
                let known = [
                    "BOOL",
                    "BOOLEAN",
                    "INT64",
                    "INTEGER",
                    "FLOAT64",
                    "NUMERIC",
                    "DECIMAL",
                    "BIGNUMERIC",
                    "STRING",
                    "BYTES",
                    "DATE",
                    "TIME",
                    "DATETIME",
                    "TIMESTAMP",
                    "INTERVAL",
                    "JSON",
                    "GEOGRAPHY",
                ];
                let hint = super::suggest::closest(text, known.into_iter())
                    .map(|near| format!("; Did you mean {}?", near.to_lowercase()))
                    .unwrap_or_default();
                return Err(SqlError::analysis(format!("Type not found: {text}{hint}")).at(name.pos));
            };
            ty
        }
        TypeNameKind::Array(element) => {
            let (element, inner) = resolve(element, depth + 1)?;
            if matches!(element, Type::Array(_)) {
                return Err(SqlError::analysis("Arrays of arrays are not supported").at(name.pos));
            }
            if !inner.is_empty() {
                params.children.push(inner);
            }
            Type::array(element)
        }
        TypeNameKind::Range(element) => {
            let (element, _) = resolve(element, depth + 1)?;
            if !matches!(element, Type::Date | Type::Datetime | Type::Timestamp) {
                let text = format!("Unsupported type: RANGE<{element}> is not supported");
                return Err(SqlError::analysis(text).at(name.pos));
            }
            Type::range(element)
        }
        TypeNameKind::Struct(fields) => {
            let mut resolved = Vec::with_capacity(fields.len());
            let mut children = Vec::with_capacity(fields.len());
            for (field, ty) in fields {
                let (ty, inner) = resolve(ty, depth + 1)?;
                resolved
                    .push(StructField { name: field.as_ref().map(|field| field.name.clone()).unwrap_or_default(), ty });
                children.push(inner);
            }
            if children.iter().any(|inner| !inner.is_empty()) {
                params.children = children;
            }
            Type::Struct(std::sync::Arc::new(StructType { fields: resolved }))
        }
        TypeNameKind::Any | TypeNameKind::AnyTable | TypeNameKind::Table(_) => {
            return Err(SqlError::analysis("ANY TYPE and TABLE may only stand for a function's argument").at(name.pos));
        }
    };
    let mut numbers = Vec::with_capacity(name.parameters.len());
    for parameter in &name.parameters {
        let number = match &parameter.kind {
            ast::ExprKind::Int(text) => match text.get(..2) {
                Some("0x" | "0X") => u64::from_str_radix(&text[2..], 16).ok(),
                _ => text.parse::<u64>().ok(),
            },
            _ => None,
        };
        match number {
            Some(number) => numbers.push((number, parameter.pos)),
            None => {
                let text = format!("{ty} type parameters must be integer literals");
                return Err(SqlError::analysis(text).at(parameter.pos));
            }
        }
    }
    apply(&ty, &numbers, &mut params, name)?;
    Ok((ty, params))
}

fn apply(ty: &Type, numbers: &[(u64, u32)], params: &mut TypeParams, name: &ast::TypeName) -> Result<()> {
    let Some((first, first_pos)) = numbers.first().copied() else { return Ok(()) };
    let too_many = |most: usize| -> Result<()> {
        if numbers.len() > most {
            let text = format!(
                "{ty} type can only have {most} type parameter{}. Found {} parameters",
                if most == 1 { "" } else { "s" },
                numbers.len()
            );
            return Err(SqlError::analysis(text).at(name.pos));
        }
        Ok(())
    };
    match ty {
        Type::String | Type::Bytes => {
            too_many(1)?;
            if first == 0 {
                return Err(SqlError::analysis(format!("{ty} length must be greater than 0")).at(first_pos));
            }
            params.max_length = Some(first);
        }
        Type::Numeric | Type::BigNumeric => {
            too_many(2)?;
            let (whole, most_scale) = if *ty == Type::Numeric { (29, 9) } else { (38, 38) };
            let scale = numbers.get(1).map_or(0, |(scale, _)| *scale);
            if scale > most_scale {
                let text = format!("In {ty}(P, S), S must be between 0 and {most_scale}");
                return Err(SqlError::analysis(text).at(numbers.get(1).map_or(first_pos, |(_, pos)| *pos)));
            }
            if first < scale.max(1) || first > whole + scale {
                let text = if numbers.len() == 2 {
                    format!("In {ty}(P, {scale}), P must be between {} and {}", scale.max(1), whole + scale)
                } else {
                    format!("In {ty}(P), P must be between 1 and {whole}")
                };
                return Err(SqlError::analysis(text).at(first_pos));
            }
            params.precision = Some(first as u32);
            params.scale = Some(scale as u32);
        }
        _ => {
            let text = format!("{ty} does not support type parameters");
            return Err(SqlError::analysis(text).at(name.pos));
        }
    }
    Ok(())
}
