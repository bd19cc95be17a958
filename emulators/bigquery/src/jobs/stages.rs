//! `queryPlan` and `timeline` of a query's statistics.
//!
//! The stages are made up from what the statement read and wrote: this engine has none of its own. Their names,
//! fields and order are production's; the times are the job's.

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::TablePath;
use serde_json::{Value as Json, json};

/// One stage that reads each table, one that puts out; only the latter where no table is read.
pub fn plan(tables: &[TablePath], rows_out: u64, started: Timestamp, ended: Timestamp) -> Json {
    let stage = |id: usize, name: String, inputs: Vec<String>, written: u64, steps: Json| {
        let took = ended.since(started).as_millis().to_string();
        json!({
            "name": name,
            "id": id.to_string(),
            "startMs": started.as_millis().to_string(),
            "endMs": ended.as_millis().to_string(),
            "inputStages": inputs,
            "waitRatioAvg": 0,
            "waitMsAvg": "0",
            "waitRatioMax": 0,
            "waitMsMax": "0",
            "readRatioAvg": 0,
            "readMsAvg": "0",
            "readRatioMax": 0,
            "readMsMax": "0",
            "computeRatioAvg": 1,
            "computeMsAvg": took,
            "computeRatioMax": 1,
            "computeMsMax": took,
            "writeRatioAvg": 0,
            "writeMsAvg": "0",
            "writeRatioMax": 0,
            "writeMsMax": "0",
            "shuffleOutputBytes": "0",
            "shuffleOutputBytesSpilled": "0",
            "recordsRead": "0",
            "recordsWritten": written.to_string(),
            "parallelInputs": "1",
            "completedParallelInputs": "1",
            "status": "COMPLETE",
            "steps": steps,
            "slotMs": took,
            "computeMode": "BIGQUERY",
        })
    };
    let mut stages: Vec<Json> = tables
        .iter()
        .enumerate()
        .map(|(id, table)| {
            let from = format!("FROM {}.{}.{}", table.project, table.dataset, table.table);
            let steps = json!([
                {"kind": "READ", "substeps": [from]},
                {"kind": "WRITE", "substeps": [format!("TO __stage{id:02X}_output")]},
            ]);
            stage(id, format!("S{id:02X}: Input"), Vec::new(), rows_out, steps)
        })
        .collect();
    let last = stages.len();
    let inputs: Vec<String> = (0..last).map(|id| id.to_string()).collect();
    let mut steps: Vec<Json> =
        (0..last).map(|id| json!({"kind": "READ", "substeps": [format!("FROM __stage{id:02X}_output")]})).collect();
    if steps.is_empty() {
        steps.push(json!({"kind": "COMPUTE", "substeps": []}));
    }
    steps.push(json!({"kind": "WRITE", "substeps": [format!("TO __stage{last:02X}_output")]}));
    let mut output = stage(last, format!("S{last:02X}: Output"), inputs, rows_out, Json::Array(steps));
    if last == 0
        && let Some(fields) = output.as_object_mut()
    {
        fields.shift_remove("inputStages");
    }
    stages.push(output);
    Json::Array(stages)
}

/// One moment: the end.
pub fn timeline(stages: usize, started: Timestamp, ended: Timestamp) -> Json {
    let took = ended.since(started).as_millis().to_string();
    json!([{
        "elapsedMs": took,
        "totalSlotMs": took,
        "pendingUnits": "0",
        "completedUnits": stages.to_string(),
        "activeUnits": "0",
        "estimatedRunnableUnits": "0",
    }])
}
