//! Faults that hold a job once it runs: slow jobs, and statements that run side by side for certain.

use std::sync::atomic::{AtomicBool, Ordering};

use scrimmage_core::faults::JOB_RUN;
use scrimmage_core::{CallInfo, Context};
use scrimmage_googlesql::SqlError;
use scrimmage_googlesql::catalog::TablePath;
use tokio::runtime::Handle;

use super::statement::{CANCEL_CHECK, cancelled};
use super::{Job, JobKind};

/// `projects/P/datasets/D/tables/T`.
pub(super) fn table(path: &TablePath) -> String {
    format!("projects/{}/datasets/{}/tables/{}", path.project, path.dataset, path.table)
}

/// What a job that is no query writes to, else its project.
pub(super) fn target(job: &Job) -> String {
    let key = match job.kind {
        JobKind::Load => "load",
        JobKind::Copy => "copy",
        _ => "",
    };
    let table = &job.configuration[key]["destinationTable"];
    let text = |key: &str| table[key].as_str();
    match (text("projectId"), text("datasetId"), text("tableId")) {
        (Some(project), Some(dataset), Some(table)) => {
            format!("projects/{project}/datasets/{dataset}/tables/{table}")
        }
        _ => format!("projects/{}", job.project),
    }
}

/// Waits, on the blocking thread that a job runs on, for as long as a fault wants; until it is cancelled.
pub(super) fn hold(ctx: &Context, resource: impl FnOnce() -> String, cancel: &AtomicBool) -> Result<(), SqlError> {
    if !ctx.faults.is_active() {
        return Ok(());
    }
    let call = CallInfo::new("bigquery", JOB_RUN, &resource(), "");
    let mut held_from = ctx.clock.now();
    let Some(decision) = ctx.faults.decide(&call, held_from) else { return Ok(()) };
    let Ok(runtime) = Handle::try_current() else { return Ok(()) };
    let text = decision.faults.join(", ");
    ctx.journal.event("bigquery", "job_held", call.resource().to_owned(), text);
    let held = async {
        for barrier in decision.barriers {
            barrier.opened(&ctx.clock).await;
            held_from = ctx.clock.now();
        }
        ctx.clock.sleep_until(held_from + decision.delay).await;
    };
    runtime.block_on(async {
        tokio::pin!(held);
        loop {
            tokio::select! {
                () = &mut held => return Ok(()),
                () = tokio::time::sleep(CANCEL_CHECK) => {
                    if cancel.load(Ordering::Relaxed) {
                        return Err(cancelled());
                    }
                }
            }
        }
    })
}
