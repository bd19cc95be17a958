//! What a statement sees of the store: every table as of the commit at which the statement began.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scrimmage_core::Timestamp;
use scrimmage_googlesql::SqlError;
use scrimmage_googlesql::catalog::{Catalog, Relation, Routine, Schema, Table, TablePath};
use thiserror::Error;

use crate::engine::Store;
use crate::engine::dataset::TableKind;
use crate::engine::policy::Identity;
use crate::engine::store::DatasetPath;
use crate::engine::table::TableVersion;
use crate::engine::transaction::Transaction;
use crate::engine::wildcard::WildcardTable;
use crate::information_schema;
use crate::jobs::external;
use crate::jobs::gcs::Objects;
use crate::jobs::registry::Jobs;
use crate::jobs::sessions::Sessions;
use crate::keep::Keeper;
use crate::row_access;
use crate::texts;

/// A store that statements, requests and timers share.
#[derive(Clone, Debug, Default)]
pub struct SharedStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    store: Store,
    /// Writes down what changes; `None`: in memory alone.
    keeper: Option<Keeper>,
    /// Why it could not the last time. What was acknowledged is on disk; nothing new is acknowledged before it can
    /// again.
    failed: Option<String>,
}

/// State cannot be written down any more: nothing that changes it may be acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("State cannot be kept on disk: {0}")]
pub struct NotKept(pub String);

impl Kept {
    /// Writes down what changed since the last time.
    fn keep(&mut self) {
        let Kept { store, keeper, failed } = self;
        match keeper {
            // Nobody asks for the list.
            None => drop(store.take_touched()),
            Some(keeper) => match keeper.keep(store) {
                Ok(()) => *failed = None,
                Err(error) => {
                    tracing::error!(%error, "state cannot be kept");
                    *failed = Some(error.to_string());
                }
            },
        }
    }

    fn check(&self) -> Result<(), NotKept> {
        self.failed.clone().map_or(Ok(()), |why| Err(NotKept(why)))
    }
}

/// The store while somebody works with it. What changed is on disk when this is let go.
#[derive(Debug)]
pub struct StoreGuard<'a>(MutexGuard<'a, Kept>);

impl StoreGuard<'_> {
    /// Writes down what changed, and says whether that worked: for those after whom nobody asks
    /// [`SharedStore::check`] before the caller hears of it.
    pub fn finish(mut self) -> Result<(), NotKept> {
        self.0.keep();
        self.0.check()
    }
}

impl std::ops::Deref for StoreGuard<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.0.store
    }
}

impl std::ops::DerefMut for StoreGuard<'_> {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.0.store
    }
}

impl Drop for StoreGuard<'_> {
    fn drop(&mut self) {
        self.0.keep();
    }
}

impl SharedStore {
    /// A store whose changes go to disk.
    pub fn kept(store: Store, keeper: Keeper) -> SharedStore {
        SharedStore(Arc::new(Mutex::new(Kept { store, keeper: Some(keeper), failed: None })))
    }

    /// The store, for as long as one operation takes; never held across a wait.
    pub fn lock(&self) -> StoreGuard<'_> {
        // Whoever panicked left the store between two operations: each checks before it changes anything.
        StoreGuard(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether all changes are kept; where they were not, they are tried again. What is in memory but not on disk
    /// must not be shown either.
    pub fn check(&self) -> Result<(), NotKept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.failed.is_some() {
            kept.keep();
        }
        kept.check()
    }

    /// How often the folder was opened, this time included; 0 where there is none.
    pub fn boot(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keeper.as_ref().map_or(0, Keeper::boot)
    }
}

/// The project and dataset that names without them mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameScope {
    pub project: String,
    pub dataset: Option<DatasetPath>,
}

/// What a script makes for itself and nobody else sees: found by single names, before the default dataset.
#[derive(Debug)]
pub struct TempObjects {
    /// A hidden dataset of its own.
    pub dataset: DatasetPath,
    /// By lower-case name.
    pub routines: Mutex<HashMap<String, Arc<Routine>>>,
}

/// A store at one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub store: SharedStore,
    pub scope: NameScope,
    pub temp: Option<Arc<TempObjects>>,
    /// The statement makes a temporary object: its single name is not looked for anywhere else.
    pub creates_temp: bool,
    /// The open transaction, whose own changes are seen.
    pub transaction: Option<SharedTransaction>,
    /// The commit; what later ones write is not seen.
    pub seq: u64,
    pub now: Timestamp,
    /// Whose row access policies hold; `None` sees everything.
    pub reader: Option<Arc<Identity>>,
    /// The table that the statement changes: it is read whole.
    pub target: Option<TablePath>,
    /// For INFORMATION_SCHEMA.JOBS and SESSIONS.
    pub jobs: Option<Arc<Jobs>>,
    pub sessions: Option<Arc<Sessions>>,
    /// The folder that stands for Cloud Storage.
    pub gcs: Option<Arc<std::path::Path>>,
    /// Something was read whose change table versions do not show: a view, a routine, filtered rows.
    pub volatile: Arc<AtomicBool>,
}

/// A transaction that a script's statements share. Locked after the store where both are.
pub type SharedTransaction = Arc<Mutex<Transaction>>;

/// The transaction, for as long as one operation takes.
pub fn lock_transaction(transaction: &SharedTransaction) -> MutexGuard<'_, Transaction> {
    transaction.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Snapshot {
    /// The newest state, for a statement that starts now.
    pub fn take(store: &SharedStore, scope: NameScope, now: Timestamp) -> Snapshot {
        let seq = store.lock().seq();
        Snapshot {
            store: store.clone(),
            scope,
            temp: None,
            creates_temp: false,
            transaction: None,
            seq,
            now,
            reader: None,
            target: None,
            jobs: None,
            sessions: None,
            gcs: None,
            volatile: Arc::default(),
        }
    }

    /// The versions of these tables, unless a result that was computed from them may not be remembered.
    pub fn remembered<'a>(&self, tables: impl Iterator<Item = &'a TablePath>) -> Option<Vec<(TablePath, u64)>> {
        if self.volatile.load(Ordering::Relaxed) || self.transaction.is_some() {
            return None;
        }
        let store = self.store.lock();
        let mut reads = Vec::new();
        for path in tables {
            let version = store.version_at(path, self.seq).ok()?;
            if version.streaming_buffer(self.now).is_some() {
                return None;
            }
            reads.push((path.clone(), version.seq));
        }
        (!reads.is_empty()).then_some(reads)
    }

    /// The rows that the reader may see.
    pub(crate) fn visible(&self, version: Arc<TableVersion>) -> Result<Arc<TableVersion>, SqlError> {
        let Some(reader) = self.reader.as_ref().filter(|_| self.target.as_ref() != Some(&version.path)) else {
            return Ok(version);
        };
        let filters = match self.store.lock().table(&version.path) {
            Ok(entry) => row_access::filters(entry, reader),
            Err(_) => None,
        };
        match filters {
            None => Ok(version),
            Some(filters) => {
                self.volatile.store(true, Ordering::Relaxed);
                row_access::visible(self, version, &filters, reader)
            }
        }
    }

    /// Fills in what a name leaves out; temporary objects come first.
    pub fn path(&self, name: &[String]) -> Result<TablePath, SqlError> {
        let single = match name {
            [one] => Some(one),
            [session, one] if session.eq_ignore_ascii_case("_SESSION") => Some(one),
            _ => None,
        };
        if let (Some(temp), Some(table)) = (&self.temp, single) {
            let path = TablePath {
                project: temp.dataset.project.clone(),
                dataset: temp.dataset.dataset.clone(),
                table: table.clone(),
            };
            if self.creates_temp || self.store.lock().table(&path).is_ok() {
                return Ok(path);
            }
        }
        self.scope.path(name)
    }
}

impl NameScope {
    /// Fills in what a name leaves out.
    pub fn path(&self, name: &[String]) -> Result<TablePath, SqlError> {
        match name {
            [table] => {
                let Some(dataset) = &self.dataset else {
                    return Err(SqlError::analysis(format!(
                        "Table \"{table}\" must be qualified with a dataset (e.g. dataset.table)."
                    )));
                };
                Ok(TablePath {
                    project: dataset.project.clone(),
                    dataset: dataset.dataset.clone(),
                    table: table.clone(),
                })
            }
            [dataset, table] => {
                Ok(TablePath { project: self.project.clone(), dataset: dataset.clone(), table: table.clone() })
            }
            [project, dataset, table] => {
                Ok(TablePath { project: project.clone(), dataset: dataset.clone(), table: table.clone() })
            }
            _ => Err(SqlError::analysis(format!("Invalid table name: `{}`", name.join(".")))),
        }
    }
}

/// A view's query with the names of its own column list: a union takes the names of its first query.
fn renamed(schema: &Schema, sql: &str) -> String {
    let columns: Vec<String> =
        schema.columns.iter().map(|column| format!("CAST(NULL AS {}) AS `{}`", column.ty, column.name)).collect();
    format!("(SELECT {} LIMIT 0) UNION ALL ({sql}\n)", columns.join(", "))
}

/// Letters, digits, underscores and dashes; the dash only because projects of old have such datasets.
pub fn valid_dataset_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= 1024 && id.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl Catalog for Snapshot {
    fn relation(&self, name: &[String], as_of: Option<i64>) -> Result<Relation, SqlError> {
        if let Some(table) = information_schema::lookup(self, name)? {
            return Ok(Relation::Table(table));
        }
        let path = self.path(name)?;
        if !valid_dataset_id(&path.dataset) {
            return Err(SqlError::not_found(texts::invalid_dataset_id(&path.dataset)));
        }
        let store = self.store.lock();
        let entry = store.table(&path)?;
        match &entry.kind {
            TableKind::View { sql, renames } | TableKind::MaterializedView { sql, renames } => {
                self.volatile.store(true, Ordering::Relaxed);
                let sql = if *renames { renamed(&entry.current().shape.schema, sql) } else { sql.clone() };
                Ok(Relation::View { path, sql })
            }
            TableKind::External { configuration } => {
                self.volatile.store(true, Ordering::Relaxed);
                let (configuration, version) = (configuration.clone(), entry.current().clone());
                drop(store);
                let objects = Objects::within(self.gcs.as_deref());
                let rows = external::rows(&path, &configuration, &version.shape.schema, objects)?;
                Ok(Relation::Table(self.visible(Arc::new(version.with_rows(rows)?))?))
            }
            TableKind::Table | TableKind::Snapshot { .. } | TableKind::Clone { .. } => {
                let version = match as_of {
                    Some(at) => store.version_as_of(self.now, &path, Timestamp::from_micros(at))?,
                    None => match self.transaction.as_ref().and_then(|own| lock_transaction(own).version(&path)) {
                        Some(own) => own,
                        None => store.version_at(&path, self.seq)?,
                    },
                };
                drop(store);
                Ok(Relation::Table(self.visible(version)?))
            }
        }
    }

    fn wildcard(&self, name: &[String], as_of: Option<i64>) -> Result<Arc<dyn Table>, SqlError> {
        self.volatile.store(true, Ordering::Relaxed);
        let path = self.path(name)?;
        let prefix = path.table.trim_end_matches('*').to_owned();
        let store = self.store.lock();
        let dataset = store.dataset(&DatasetPath::of(&path))?;
        let mut members = Vec::new();
        let mut newest = None;
        for (table, entry) in dataset.tables.range(prefix.clone()..).take_while(|(table, _)| table.starts_with(&prefix))
        {
            if !matches!(entry.kind, TableKind::Table | TableKind::Clone { .. }) {
                continue;
            }
            let member = TablePath { table: table.clone(), ..path.clone() };
            let version = match as_of {
                Some(at) => store.version_as_of(self.now, &member, Timestamp::from_micros(at))?,
                None => match self.transaction.as_ref().and_then(|own| lock_transaction(own).version(&member)) {
                    Some(own) => own,
                    None => store.version_at(&member, self.seq)?,
                },
            };
            if newest.as_ref().is_none_or(|(created, _)| entry.created >= *created) {
                newest = Some((entry.created, version.clone()));
            }
            members.push((table[prefix.len()..].to_owned(), version));
        }
        drop(store);
        for (_, version) in &mut members {
            *version = self.visible(version.clone())?;
        }
        match newest {
            Some((_, newest)) => Ok(Arc::new(WildcardTable::new(path, &newest, members))),
            None => Err(SqlError::not_found(format!(
                "{}:{}.{} does not match any table.",
                path.project, path.dataset, path.table
            ))),
        }
    }

    fn routine(&self, name: &[String]) -> Option<Arc<Routine>> {
        if let (Some(temp), [single]) = (&self.temp, name) {
            let routines = temp.routines.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(routine) = routines.get(&single.to_lowercase()) {
                return Some(routine.clone());
            }
        }
        let path = self.scope.path(name).ok()?;
        let store = self.store.lock();
        let dataset = store.dataset(&DatasetPath::of(&path)).ok()?;
        let found = dataset.routines.get(&path.table).map(|entry| entry.routine.clone());
        if found.is_some() {
            self.volatile.store(true, Ordering::Relaxed);
        }
        found
    }

    fn resolve(&self, name: &[String]) -> Result<TablePath, SqlError> {
        let path = self.path(name)?;
        if !valid_dataset_id(&path.dataset) {
            return Err(SqlError::not_found(texts::invalid_dataset_id(&path.dataset)));
        }
        self.store.lock().dataset(&DatasetPath::of(&path))?;
        Ok(path)
    }
}
