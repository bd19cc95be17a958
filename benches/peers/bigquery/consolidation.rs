//! The pipeline's own work: load jobs into staging tables, one MERGE of them all, their deletion.

use std::fmt::Write as _;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use scrimmage_benches::{ROWS, declarations, merge_statement, row_json, staging, staging_fields};
use serde_json::Value;

use super::client::Client;
use super::fresh;
use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::Subject;
use crate::{Result, Scale};

const BATCH: Step = Step::time("40 load jobs + MERGE + 40 deletions");
const LOADS: Step = Step::time("– the 40 load jobs of 25 rows x 63 columns");
const MERGE: Step = Step::time("– the MERGE of 1,000 rows");
const DELETIONS: Step = Step::time("– the 40 deletions");
const MANY_LOADS: Step = Step::time("823 load jobs of 25 rows");
const MANY: Step = Step::time("MERGE of 823 staging tables, 20,575 rows");

const TABLES: usize = 40;
const MANY_TABLES: usize = 823;
/// Load jobs on their way at once, as many as the batch has workers.
const AT_ONCE: usize = 40;

pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    match within_limit(batches(subject, scale)).await {
        Ok([all, loads, merge, deletions]) => {
            sheet.put(BATCH, subject.name, Ok(all));
            sheet.put(LOADS, subject.name, Ok(loads));
            sheet.put(MERGE, subject.name, Ok(merge));
            sheet.put(DELETIONS, subject.name, Ok(deletions));
        }
        Err(reason) => sheet.put(BATCH, subject.name, Err(reason)),
    }
    match within_limit(many(subject, scale)).await {
        Ok((loads, merge)) => {
            sheet.put(MANY_LOADS, subject.name, Ok(loads));
            sheet.put(MANY, subject.name, merge);
        }
        Err(reason) => sheet.put(MANY_LOADS, subject.name, Err(reason)),
    }
}

/// Medians over several fresh processes, each warmed up by one batch.
async fn batches(subject: &Subject, scale: Scale) -> Result<[f64; 4]> {
    let mut times: [Vec<f64>; 4] = Default::default();
    let (_running, client) = fresh(subject).await?;
    for number in 0..scale.of(3, 1) {
        client.query(&format!("CREATE OR REPLACE TABLE d.main ({})", declarations())).await?;
        let begun = Instant::now();
        load_all(&client, TABLES).await?;
        let loaded = milliseconds(begun);
        let merging = Instant::now();
        merge(&client, TABLES).await?;
        let merged = milliseconds(merging);
        let deleting = Instant::now();
        let deletions = stream::iter((0..TABLES).map(staging));
        deletions.map(|table| delete(&client, table)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        // The first is for caches and compilers, where there is a second.
        if number > 0 || scale.quick {
            let all = [milliseconds(begun), loaded, merged, milliseconds(deleting)];
            for (times, time) in times.iter_mut().zip(all) {
                times.push(time);
            }
        }
    }
    let [all, loads, merge, deletions] = &times;
    Ok([median(all)?, median(loads)?, median(merge)?, median(deletions)?])
}

/// The loads of 823 tables, and the MERGE of them all.
async fn many(subject: &Subject, scale: Scale) -> Result<(f64, Result<f64>)> {
    let tables = scale.of(MANY_TABLES, 80);
    let (_running, client) = fresh(subject).await?;
    client.query(&format!("CREATE OR REPLACE TABLE d.main ({})", declarations())).await?;
    let begun = Instant::now();
    load_all(&client, tables).await?;
    let loaded = milliseconds(begun);
    let begun = Instant::now();
    let merged = merge(&client, tables).await.map(|()| milliseconds(begun));
    Ok((loaded, merged))
}

async fn delete(client: &Client, table: String) -> Result<()> {
    client.delete(&table).await
}

async fn load_all(client: &Client, tables: usize) -> Result<()> {
    let fields = Value::Array(staging_fields());
    let loads = stream::iter(0..tables).map(|table| load(client, &fields, table));
    loads.buffer_unordered(AT_ONCE).try_collect().await
}

async fn load(client: &Client, fields: &Value, table: usize) -> Result<()> {
    let mut rows = String::new();
    for row in 0..ROWS {
        // Writing to a string cannot fail.
        let _ = writeln!(rows, "{}", row_json(table, row));
    }
    client.load(&staging(table), fields, &rows).await
}

/// The MERGE, and a check that every row arrived.
async fn merge(client: &Client, tables: usize) -> Result<()> {
    client.query(&merge_statement(tables)).await?;
    let rows = client.scalar("SELECT COUNT(*) FROM d.main").await?;
    let expected = (tables * ROWS).to_string();
    if rows == expected { Ok(()) } else { Err(format!("{rows} rows after the MERGE instead of {expected}")) }
}
