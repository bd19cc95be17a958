//! CREATE and DROP ROW ACCESS POLICY; the REST methods use the same.

use std::sync::Arc;

use scrimmage_googlesql::ast::{Statement, StatementKind};
use scrimmage_googlesql::catalog::{DdlAction, TablePath};
use scrimmage_googlesql::{SqlError, Value};

use super::ddl::{DdlDone, DdlTarget};
use super::query::constant;
use crate::catalog::Snapshot;
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
            put(snapshot, identity, &target, &name, create.filter_text.trim(), grantees)?;
            done(if exists { "REPLACE" } else { "CREATE" }, Some(name), None)
        }
        StatementKind::DropRowAccessPolicy { name: Some(name), all: false, if_exists, .. } => {
            let gone = snapshot.store.lock().entry(&target)?.policies.remove(&name.name);
            match (gone, if_exists) {
                (Some(_), _) => done("DROP", Some(name.name), None),
                (None, true) => done("SKIP", Some(name.name), None),
                (None, false) => Err(SqlError::not_found(texts::policy_not_found(&target, &name.name))),
            }
        }
        StatementKind::DropRowAccessPolicy { .. } => {
            let gone = std::mem::take(&mut snapshot.store.lock().entry(&target)?.policies);
            done("DROP", None, Some(gone.len()))
        }
        _ => Err(SqlError::internal("Not a statement about row access policies")),
    }
}

/// Makes or replaces a policy after a look at its filter and its grantees.
pub fn put(
    snapshot: &Snapshot,
    identity: &Arc<Identity>,
    table: &TablePath,
    name: &str,
    filter: &str,
    grantees: Vec<String>,
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
    let created = policies.get(name).map_or(snapshot.now, |old| old.created);
    let policy = RowPolicy { filter: filter.to_owned(), grantees, created, modified: snapshot.now };
    policies.insert(name.to_owned(), policy);
    Ok(())
}
