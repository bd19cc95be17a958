//! Declared indexes as bytes, a part of records.

use super::codec::{Reader, Writer};
use crate::engine::index::catalogue::{Catalogue, Composite, FieldSettings, Kind, QueryScope};
use crate::path::FieldPath;

pub fn write(out: &mut Writer, catalogue: &Catalogue) {
    out.number(catalogue.last());
    out.number(catalogue.composites().count() as u64);
    for (number, index) in catalogue.composites() {
        out.number(number);
        out.text(&index.group);
        scope(out, index.scope);
        out.number(index.fields.len() as u64);
        for (path, of) in &index.fields {
            out.text(&path.to_string());
            kind(out, *of);
        }
    }
    out.number(catalogue.fields().count() as u64);
    for (group, path, settings) in catalogue.fields() {
        out.text(group);
        out.text(path);
        out.byte(u8::from(settings.ttl));
        out.byte(u8::from(settings.indexes.is_some()));
        let Some(indexes) = &settings.indexes else { continue };
        out.number(indexes.len() as u64);
        for (of, each) in indexes {
            scope(out, *of);
            kind(out, *each);
        }
    }
}

pub fn read(input: &mut Reader<'_>) -> Result<Catalogue, String> {
    let mut catalogue = Catalogue::default();
    let last = input.number()?;
    for _ in 0..input.number()? {
        let number = input.number()?;
        let group = input.text()?.to_owned();
        let scope = read_scope(input)?;
        let mut fields = Vec::new();
        for _ in 0..input.number()? {
            let path = FieldPath::parse(input.text()?).map_err(|error| error.to_string())?;
            fields.push((path, read_kind(input)?));
        }
        catalogue.restore(number, Composite::new(&group, scope, fields));
    }
    catalogue.set_last(last);
    for _ in 0..input.number()? {
        let (group, path) = (input.text()?.to_owned(), input.text()?.to_owned());
        let ttl = input.flag()?;
        let mut indexes = None;
        if input.flag()? {
            let mut all = Vec::new();
            for _ in 0..input.number()? {
                all.push((read_scope(input)?, read_kind(input)?));
            }
            indexes = Some(all);
        }
        catalogue.set_field(&group, &path, FieldSettings { indexes, ttl });
    }
    Ok(catalogue)
}

fn scope(out: &mut Writer, scope: QueryScope) {
    out.byte(match scope {
        QueryScope::Collection => 0,
        QueryScope::Group => 1,
    });
}

fn read_scope(input: &mut Reader<'_>) -> Result<QueryScope, String> {
    match input.byte()? {
        0 => Ok(QueryScope::Collection),
        1 => Ok(QueryScope::Group),
        other => Err(format!("an index has the unknown scope {other}")),
    }
}

fn kind(out: &mut Writer, kind: Kind) {
    match kind {
        Kind::Ascending => out.byte(0),
        Kind::Descending => out.byte(1),
        Kind::Contains => out.byte(2),
        Kind::Vector(dimension) => {
            out.byte(3);
            out.number(u64::from(dimension));
        }
    }
}

fn read_kind(input: &mut Reader<'_>) -> Result<Kind, String> {
    match input.byte()? {
        0 => Ok(Kind::Ascending),
        1 => Ok(Kind::Descending),
        2 => Ok(Kind::Contains),
        3 => Ok(Kind::Vector(input.small()?)),
        other => Err(format!("an index has a field of the unknown kind {other}")),
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Ascending),
            Just(Kind::Descending),
            Just(Kind::Contains),
            (1..2_048_u32).prop_map(Kind::Vector)
        ]
    }

    fn scopes() -> impl Strategy<Value = QueryScope> {
        prop_oneof![Just(QueryScope::Collection), Just(QueryScope::Group)]
    }

    /// Any catalogue.
    pub fn some() -> impl Strategy<Value = Catalogue> {
        let fields = prop::collection::vec(("[a-z]{1,3}", kinds()), 1..4);
        let index = ("[a-z]{1,3}", scopes(), fields).prop_map(|(group, scope, fields)| {
            let fields = fields.into_iter().map(|(path, kind)| (FieldPath::parse(&path).unwrap(), kind));
            Composite::new(&group, scope, fields.collect())
        });
        let indexes = prop::option::of(prop::collection::vec((scopes(), kinds()), 0..3));
        let settings = ("[a-z]{1,3}", "[a-z]{1,3}", any::<bool>(), indexes);
        let parts = (prop::collection::vec((index, any::<bool>()), 0..4), prop::collection::vec(settings, 0..4));
        parts.prop_map(|(indexes, fields)| {
            let mut catalogue = Catalogue::default();
            for (index, gone) in indexes {
                let number = catalogue.add(index);
                if let Some(number) = number.filter(|_| gone) {
                    catalogue.remove(number);
                }
            }
            for (group, path, ttl, indexes) in fields {
                catalogue.set_field(&group, &path, FieldSettings { indexes, ttl });
            }
            catalogue
        })
    }
}
