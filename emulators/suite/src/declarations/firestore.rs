//! The section `[firestore]`: databases that are of the Enterprise edition.
//!
//! ```toml
//! [[firestore.database]]
//! name = "analytics"
//! edition = "enterprise"
//! ```
//! All other databases are of the Standard edition and come into being when they are named.

use scrimmage_firestore::Firestore;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::read::{Problem, Scope, tables};
use super::{DeclarationError, Declarations, Declared};

#[derive(Clone, Default, Debug)]
pub(crate) struct Section {
    /// Names of databases of the Enterprise edition.
    pub enterprise: Vec<Declared<String>>,
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
                        section.enterprise.push(Declared { line: scope.line(at), value });
                    }
                }
            }
            other => return Err(Problem::unknown(key, "a list of firestore", other, &["database"])),
        }
    }
    Ok(section)
}

/// The name of a database where it is of the Enterprise edition.
fn database(at: usize, table: &DeTable<'_>) -> Result<Option<String>, Problem> {
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
        Some((_, edition)) if edition == "standard" => Ok(None),
        Some((_, edition)) if edition == "enterprise" => Ok(Some(name)),
        Some((at, other)) => {
            Err(Problem::new(at, format!("`{other}` is not an edition; there are standard, enterprise")))
        }
    }
}

pub(crate) fn apply(declarations: &Declarations, firestore: &Firestore) -> Result<(), DeclarationError> {
    for one in &declarations.firestore.enterprise {
        firestore.declare_enterprise(&one.value).map_err(|error| declarations.refused(one.line, error))?;
    }
    Ok(())
}
