//! The query cache: results of queries whose tables have not changed since, for a day.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use serde_json::{Map, Value as Json, json};

use super::query::QuerySpec;
use crate::engine::Store;
use crate::engine::table::TableVersion;
use crate::limits;

/// Results remembered; ours, to bound memory.
const KEPT: usize = 1_000;

/// Longer texts are not remembered; ours, to bound memory.
const LONGEST: usize = 32 << 10;

/// Functions whose result is another one each time, and what reads the past.
const VOLATILE: [&str; 10] = [
    "RAND",
    "UUID",
    "CURRENT_",
    "SESSION_USER",
    "SYSTEM_TIME",
    "TABLESAMPLE",
    "@@",
    "INFORMATION_SCHEMA",
    "__TABLES",
    "KEYS.",
];

#[derive(Debug, Default)]
pub struct Cache(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    reads: Vec<(TablePath, u64)>,
    /// Kept by its job and its anonymous table, as long as there is room for them.
    result: Weak<TableVersion>,
    statistics: Map<String, Json>,
}

/// What a query's result is remembered by; `None` where it never is.
pub fn key(spec: &QuerySpec, query: &Json) -> Option<String> {
    let wanted = query.get("useQueryCache").and_then(Json::as_bool).unwrap_or(true);
    if !wanted || spec.sql.len() > LONGEST || spec.dry_run || spec.destination.is_some() || spec.session.is_some() {
        return None;
    }
    let upper = spec.sql.to_ascii_uppercase();
    if VOLATILE.iter().any(|word| upper.contains(word)) {
        return None;
    }
    let scope = &spec.scope;
    let dataset = scope.dataset.as_ref().map(|dataset| (&dataset.project, &dataset.dataset));
    Some(format!(
        "{:?} {dataset:?} {} {:?} {:?} {}",
        scope.project, spec.identity.member, spec.parameters, spec.time_zone, spec.sql
    ))
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result and the statistics of the same query, if everything that it read is as it was.
    pub fn get(&self, now: Timestamp, store: &Store, key: &str) -> Option<(Arc<TableVersion>, Map<String, Json>)> {
        let inner = self.lock();
        let entry = inner.entries.get(key)?;
        let result = entry.result.upgrade()?;
        let same = |(path, seq): &(TablePath, u64)| {
            store.table(path).is_ok_and(|table| table.current().seq == *seq && table.policies.is_empty())
        };
        if now.since(entry.at) >= limits::RESULT_LIFETIME
            || !entry.reads.iter().all(same)
            || store.table(&result.path).is_err()
        {
            return None;
        }
        let mut statistics = entry.statistics.clone();
        for key in ["totalBytesProcessed", "totalBytesBilled", "totalSlotMs", "totalPartitionsProcessed"] {
            statistics.insert(key.into(), json!("0"));
        }
        statistics.insert("cacheHit".into(), json!(true));
        statistics.shift_remove("queryPlan");
        statistics.shift_remove("timeline");
        Some((result, statistics))
    }

    pub fn put(
        &self,
        now: Timestamp,
        key: String,
        reads: Vec<(TablePath, u64)>,
        result: &Arc<TableVersion>,
        statistics: Map<String, Json>,
    ) {
        let mut inner = self.lock();
        let entry = Entry { at: now, reads, result: Arc::downgrade(result), statistics };
        if inner.entries.insert(key.clone(), entry).is_none() {
            inner.order.push_back(key);
        }
        while inner.order.len() > KEPT {
            if let Some(oldest) = inner.order.pop_front() {
                inner.entries.remove(&oldest);
            }
        }
    }

    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }
}
