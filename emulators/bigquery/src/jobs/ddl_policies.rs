//! CREATE and DROP ROW ACCESS POLICY; the REST methods use the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_googlesql::ast::{Statement, StatementKind};
use scrimmage_googlesql::catalog::{DdlAction, TablePath};
use scrimmage_googlesql::{SqlError, Value};

use super::ddl::{DdlDone, DdlTarget};
use super::query::constant;
use crate::catalog::Snapshot;
use crate::engine::EngineError;
use crate::engine::dataset::TableKind;
use crate::engine::policy::{Identity, RowPolicy, is_member};
use crate::row_access;
use crate::texts;

type Result<T> = std::result::Result<T, SqlError>;

pub fn is_about(statement: &Statement) -> bool {
    matches!(statement.kind, StatementKind::CreateRowAccessPolicy(_) | StatementKind::DropRowAccessPolicy { .. })
}

pub fn apply(snapshot: &Snapshot, identity: &Arc<Identity>, action: DdlAction) -> Result<DdlDone> {
    let DdlAction { statement, target, .. } = action;
    let done = |operation, policy, count| {
        Ok(DdlDone { operation, target: DdlTarget::Policies { table: target.clone(), policy, count } })
    };
    match statement.kind {
        StatementKind::CreateRowAccessPolicy(create) => {
            let name = create.name.name.clone();
            let exists = snapshot.store.lock().table(&target)?.policies.contains_key(&name);
            if exists && create.if_not_exists {
                return done("SKIP", Some(name), None);
            }
            if exists && !create.or_replace {
                return Err(SqlError::already_exists(texts::policy_exists(&target, &name)));
            }
            let mut grantees = Vec::new();
            for grantee in &create.grantees {
                match constant(grantee, snapshot.now)? {
                    (Value::String(text), _) => grantees.push(text.to_string()),
                    _ => return Err(SqlError::analysis("The grantee list must consist of strings").at(grantee.pos)),
                }
            }
            let mode = if create.or_replace { Mode::Any } else { Mode::New };
            put(snapshot, identity, &target, &name, create.filter_text.trim(), grantees, mode)?;
            done(if exists { "REPLACE" } else { "CREATE" }, Some(name), None)
        }
        StatementKind::DropRowAccessPolicy { name: Some(name), all: false, if_exists, .. } => {
            let mut store = snapshot.store.lock();
            match (store.table(&target)?.policies.contains_key(&name.name), if_exists) {
                (true, _) => {
                    let policies = &mut store.entry(&target)?.policies;
                    check_last(policies, &[&name.name])?;
                    policies.remove(&name.name);
                    done("DROP", Some(name.name), None)
                }
                (false, true) => done("SKIP", Some(name.name), None),
                (false, false) => Err(SqlError::not_found(texts::policy_not_found(&target, &name.name))),
            }
        }
        StatementKind::DropRowAccessPolicy { .. } => {
            let gone = std::mem::take(&mut snapshot.store.lock().entry(&target)?.policies);
            done("DROP", None, Some(gone.len()))
        }
        _ => Err(SqlError::internal("Not a statement about row access policies")),
    }
}

/// What becomes of a policy of the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// There must not be one.
    New,
    /// It is replaced.
    Any,
}

/// The last policy of a table does not go by its name alone: without any, everybody sees everything. REST has `force`,
/// SQL has DROP ALL ROW ACCESS POLICIES.
pub fn check_last(policies: &BTreeMap<String, RowPolicy>, gone: &[&str]) -> std::result::Result<(), EngineError> {
    if policies.keys().all(|id| gone.contains(&id.as_str())) && !policies.is_empty() {
        return Err(EngineError::Invalid(texts::LAST_POLICY.to_owned()));
    }
    Ok(())
}

/// Makes or replaces a policy after a look at its filter and its grantees.
pub fn put(
    snapshot: &Snapshot,
    identity: &Arc<Identity>,
    table: &TablePath,
    name: &str,
    filter: &str,
    grantees: Vec<String>,
    mode: Mode,
) -> Result<()> {
    if let Some(wrong) = grantees.iter().find(|grantee| !is_member(grantee)) {
        return Err(SqlError::analysis(format!("Invalid IAM member: {wrong}")));
    }
    let version = {
        let store = snapshot.store.lock();
        let entry = store.table(table)?;
        if !matches!(entry.kind, TableKind::Table | TableKind::Clone { .. }) {
            return Err(SqlError::analysis(format!(
                "Row access policies are not supported on a resource of type {}",
                entry.kind.name()
            )));
        }
        entry.current().clone()
    };
    row_access::check(snapshot, &version, filter, identity)?;
    let mut store = snapshot.store.lock();
    let policies = &mut store.entry(table)?.policies;
    // Somebody else may have made it while this one's filter was looked at.
    if mode == Mode::New && policies.contains_key(name) {
        return Err(SqlError::already_exists(texts::policy_exists(table, name)));
    }
    let created = policies.get(name).map_or(snapshot.now, |old| old.created);
    let policy = RowPolicy { filter: filter.to_owned(), grantees, created, modified: snapshot.now };
    policies.insert(name.to_owned(), policy);
    Ok(())
}
