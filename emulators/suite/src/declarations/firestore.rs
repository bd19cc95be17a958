//! The section `[firestore]`: of which edition databases are.
//!
//! ```toml
//! [[firestore.database]]
//! name = "analytics"
//! edition = "enterprise"
//! ```
//! All other databases are what they were created as, or of the Standard edition; they come into being
//! when they are named.

use scrimmage_firestore::Firestore;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::read::{Problem, Scope, tables};
use super::{DeclarationError, Declarations, Declared};

#[derive(Clone, Default, Debug)]
pub(crate) struct Section {
    /// Names of databases, and whether they are of the Enterprise edition.
    pub editions: Vec<Declared<(String, bool)>>,
}

pub(crate) fn section(scope: &Scope<'_>, value: &Spanned<DeValue<'_>>) -> Result<Section, Problem> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err(Problem::new(value.span().start, "`firestore` is to be a table, as in [[firestore.database]]"));
    };
    let mut section = Section::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            name @ "database" => {
                for (at, table) in tables("firestore", name, value)? {
                    if let Some(value) = database(at, table)? {
                        section.editions.push(Declared { line: scope.line(at), value });
                    }
                }
            }
            other => return Err(Problem::unknown(key, "a list of firestore", other, &["database"])),
        }
    }
    Ok(section)
}

/// The name of a database, and whether it is of the Enterprise edition, where that is said.
fn database(at: usize, table: &DeTable<'_>) -> Result<Option<(String, bool)>, Problem> {
    let mut name = None;
    let mut edition = None;
    for (key, value) in table {
        let word = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            _ => return Err(Problem::new(value.span().start, format!("`{}` is to be a text", key.get_ref()))),
        };
        match key.get_ref().as_ref() {
            "name" => name = Some(word),
            "edition" => edition = Some((value.span().start, word)),
            other => return Err(Problem::unknown(key, "a field of a database", other, &["name", "edition"])),
        }
    }
    let name = name.ok_or_else(|| Problem::new(at, "a database needs a `name`"))?;
    match edition {
        None => Ok(None),
        Some((_, edition)) if edition == "standard" => Ok(Some((name, false))),
        Some((_, edition)) if edition == "enterprise" => Ok(Some((name, true))),
        Some((at, other)) => {
            Err(Problem::new(at, format!("`{other}` is not an edition; there are standard, enterprise")))
        }
    }
}

pub(crate) fn apply(declarations: &Declarations, firestore: &Firestore) -> Result<(), DeclarationError> {
    for one in &declarations.firestore.editions {
        let (name, enterprise) = &one.value;
        firestore.declare_edition(name, *enterprise).map_err(|error| declarations.refused(one.line, error))?;
    }
    Ok(())
}
