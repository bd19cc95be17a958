//! A million rows of ten columns: made, kept, grouped, joined.

use std::time::Instant;

use super::client::Client;
use super::fresh;
use crate::sheet::{Sheet, Step, median, milliseconds, within_limit};
use crate::subject::{Running, Subject};
use crate::{Result, Scale};

const MADE: Step = Step::time("CREATE TABLE AS SELECT of 1M rows x 10 columns");
const MEMORY: Step = Step::memory("memory for 1M rows x 10 columns");
const GROUPED: Step = Step::time("group-by of 1M rows, p50");
const JOINED: Step = Step::time("join of 1M rows with 10,000, p50");

pub async fn measure(subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    let rows = scale.of(1_000_000, 50_000);
    let (_running, client) = match within_limit(make(subject, rows)).await {
        Ok((running, client, made, memory)) => {
            sheet.put(MADE, subject.name, Ok(made));
            sheet.put(MEMORY, subject.name, Ok(memory));
            (running, client)
        }
        Err(reason) => return sheet.put(MADE, subject.name, Err(reason)),
    };
    sheet.take(GROUPED, subject.name, grouped(&client, rows, scale)).await;
    sheet.take(JOINED, subject.name, joined(&client, rows, scale)).await;
}

/// A fresh process with the table; the time of making it, and what it adds to the memory.
async fn make(subject: &Subject, rows: usize) -> Result<(Running, Client, f64, f64)> {
    let (running, client) = fresh(subject).await?;
    let before = running.program.resident_megabytes();
    let begun = Instant::now();
    client
        .query(&format!(
            "CREATE TABLE d.big AS
             SELECT n AS id, MOD(n, 1000) AS grp, MOD(n, 10000) AS player_id, n * 3 AS total,
               n / 7.0 AS points, MOD(n, 97) / 4.0 AS line,
               CONCAT('player-', CAST(MOD(n, 5000) AS STRING)) AS player,
               CONCAT('team-', CAST(MOD(n, 30) AS STRING)) AS team,
               MOD(n, 2) = 0 AS active, DATE_ADD(DATE '2026-01-01', INTERVAL MOD(n, 365) DAY) AS game_date
             FROM UNNEST(GENERATE_ARRAY(1, {rows})) AS n"
        ))
        .await?;
    let made = milliseconds(begun);
    expect(&client.scalar("SELECT COUNT(*) FROM d.big").await?, rows)?;
    let memory = running.program.resident_megabytes() - before;
    Ok((running, client, made, memory))
}

async fn grouped(client: &Client, rows: usize, scale: Scale) -> Result<f64> {
    // Every aggregate is looked at: an engine could leave out what nobody reads.
    let sql = "SELECT SUM(c), SUM(s), MAX(a), MIN(l), MAX(p) FROM (
                 SELECT grp, COUNT(*) AS c, SUM(total) AS s, AVG(points) AS a, MIN(line) AS l, MAX(player) AS p
                 FROM d.big GROUP BY grp)";
    repeated(client, sql, rows, scale).await
}

async fn joined(client: &Client, rows: usize, scale: Scale) -> Result<f64> {
    client
        .query(
            "CREATE TABLE d.players AS
             SELECT n AS player_id, CONCAT('name-', CAST(n AS STRING)) AS name, n * 2 AS salary
             FROM UNNEST(GENERATE_ARRAY(0, 9999)) AS n",
        )
        .await?;
    let sql = "SELECT COUNT(*), SUM(b.total + p.salary), MAX(p.name)
               FROM d.big AS b JOIN d.players AS p ON b.player_id = p.player_id";
    repeated(client, sql, rows, scale).await
}

/// Median time of a query whose first column counts all rows.
async fn repeated(client: &Client, sql: &str, rows: usize, scale: Scale) -> Result<f64> {
    let mut times = Vec::new();
    for number in 0..scale.of(8, 2) {
        let begun = Instant::now();
        expect(&client.scalar(sql).await?, rows)?;
        if number > 0 {
            times.push(milliseconds(begun));
        }
    }
    median(&times)
}

fn expect(found: &str, rows: usize) -> Result<()> {
    if found == rows.to_string() { Ok(()) } else { Err(format!("{found} rows instead of {rows}")) }
}
