//! Query results: anonymous tables that live for a day and are in no list.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use scrimmage_googlesql::catalog::{Schema, TablePath};
use scrimmage_googlesql::exec::column::Batch;
use serde_json::Map;

use crate::engine::dataset::TableKind;
use crate::engine::store::{DatasetPath, NewTable};
use crate::engine::table::{Shape, TableVersion};
use crate::limits;
use crate::service::App;
use crate::service::error::ApiResult;

/// The results that are kept, oldest first, with their sizes.
#[derive(Debug, Default)]
pub struct Results {
    next: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    tables: VecDeque<(TablePath, usize)>,
    /// Of all their sizes.
    bytes: usize,
}

impl Results {
    pub fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

/// The hidden dataset of a project's results; production's names are hashes too.
fn dataset(project: &str) -> DatasetPath {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in project.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    DatasetPath::new(project, &format!("_{hash:016x}{:016x}", hash.rotate_left(17) ^ 0x5bd1_e995))
}

/// Keeps rows as an anonymous table; the oldest go where there are too many or too large ones.
pub fn keep(app: &App, project: &str, schema: Schema, batches: Vec<Batch>) -> ApiResult<Arc<TableVersion>> {
    let now = app.ctx.clock.now();
    let number = app.results.next.fetch_add(1, Ordering::Relaxed);
    let path = TablePath {
        project: project.to_owned(),
        dataset: dataset(project).dataset,
        table: format!("anon{:016x}{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15), app.ctx.seed ^ number),
    };
    let size = batches.iter().map(Batch::memory).sum::<usize>() + 1_024;
    let mut store = app.store.lock();
    let hidden = DatasetPath::of(&path);
    if store.dataset(&hidden).is_err() {
        store.create_dataset(now, &hidden, Map::new())?;
        store.dataset_mut(&hidden)?.hidden = true;
    }
    let new = NewTable {
        shape: Shape::new(schema, None, Vec::new(), false),
        kind: TableKind::Table,
        expires: Some(now + limits::RESULT_LIFETIME),
        metadata: Map::new(),
    };
    let version = store.create_table(now, &path, new, batches, false)?;
    let mut kept = app.results.kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.tables.push_back((path, size));
    kept.bytes += size;
    while kept.tables.len() > limits::JOBS_KEPT || (kept.bytes > limits::RESULT_BYTES_KEPT && kept.tables.len() > 1) {
        let Some((oldest, size)) = kept.tables.pop_front() else { break };
        kept.bytes -= size;
        // Somebody may have deleted it already.
        let _ = store.take_table(&oldest);
    }
    Ok(version)
}
