//! `--data-dir` and BigQuery: what was acknowledged survives kill -9, and nothing is there by half.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may")]

mod served;

use serde_json::{Value, json};
use served::Served;

const WRITERS: usize = 4;
const STATEMENTS: usize = 400;
/// After so many acknowledgements the process is killed, in the middle of the others.
const KILL_AFTER: usize = 120;

async fn call(client: &reqwest::Client, url: &str, path: &str, body: Value) -> Result<Value, String> {
    let answer = client.post(format!("{url}/bigquery/v2/projects/demo{path}")).json(&body).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let ok = answer.status().is_success();
    let body: Value = answer.json().await.map_err(|error| error.to_string())?;
    if ok { Ok(body) } else { Err(body.to_string()) }
}

async fn query(client: &reqwest::Client, url: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let answer = call(client, url, "/queries", json!({"query": sql, "useLegacySql": false})).await?;
    let cell = |cell: &Value| cell["v"].as_str().map_or_else(|| cell["v"].to_string(), str::to_owned);
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    Ok(rows.iter().map(|row| row["f"].as_array().unwrap().iter().map(cell).collect()).collect())
}

async fn dataset(client: &reqwest::Client, url: &str) {
    call(client, url, "/datasets", json!({"datasetReference": {"datasetId": "d"}, "labels": {"k": "v"}}))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_amid_writes_loses_no_acknowledged_row_and_halves_no_statement() {
    let folder = tempfile::tempdir().unwrap();
    let client = reqwest::Client::new();
    let served = Served::start(folder.path());
    dataset(&client, &served.url).await;
    for writer in 0..WRITERS {
        query(&client, &served.url, &format!("CREATE TABLE d.w{writer} (n INT64, half STRING)")).await.unwrap();
    }
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..WRITERS {
        let (client, url, acknowledge) = (client.clone(), served.url.clone(), acknowledge.clone());
        tokio::spawn(async move {
            for number in 0..STATEMENTS {
                let done = match number % 3 {
                    0 => {
                        let row = |half: &str| json!({"json": {"n": number, "half": half}});
                        let body = json!({"rows": [row("left"), row("right")]});
                        call(&client, &url, &format!("/datasets/d/tables/w{writer}/insertAll"), body).await.map(drop)
                    }
                    1 => {
                        let sql =
                            format!("INSERT d.w{writer} (n, half) VALUES ({number}, 'left'), ({number}, 'right')");
                        query(&client, &url, &sql).await.map(drop)
                    }
                    _ => {
                        let sql = format!(
                            "BEGIN TRANSACTION; INSERT d.w{writer} VALUES ({number}, 'left');
                             INSERT d.w{writer} VALUES ({number}, 'right'); COMMIT TRANSACTION;"
                        );
                        query(&client, &url, &sql).await.map(drop)
                    }
                };
                if done.is_err() {
                    return;
                }
                acknowledge.send((writer, number)).unwrap();
            }
        });
    }
    drop(acknowledge);
    let mut known = vec![0; WRITERS];
    let (mut count, mut served) = (0, Some(served));
    while let Some((writer, number)) = acknowledged.recv().await {
        known[writer] = number + 1;
        count += 1;
        if count == KILL_AFTER
            && let Some(served) = served.take()
        {
            served.kill();
        }
    }
    assert!((KILL_AFTER..WRITERS * STATEMENTS).contains(&count), "it was killed amid the load: {count}");

    let served = Served::start(folder.path());
    for (writer, known) in known.into_iter().enumerate() {
        let sql = format!(
            "SELECT COUNT(DISTINCT n), COUNT(*), COUNTIF(n < {known} AND half = 'left'), MAX(n) - MIN(n) + 1 FROM d.w{writer}"
        );
        let row = query(&client, &served.url, &sql).await.unwrap().remove(0);
        let [numbers, rows, kept, span] = [0, 1, 2, 3].map(|at| row[at].parse::<usize>().unwrap());
        assert_eq!(rows, 2 * numbers, "a statement is all or nothing");
        assert_eq!((kept, span), (known, numbers), "nothing that was acknowledged is lost");
    }
    client.post(format!("{}/admin/reset", served.url)).send().await.unwrap();
    served.kill();
    let served = Served::start(folder.path());
    assert!(query(&client, &served.url, "SELECT * FROM d.w0").await.unwrap_err().contains("notFound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_about_a_table_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let client = reqwest::Client::new();
    let served = Served::start(folder.path());
    dataset(&client, &served.url).await;
    for sql in [
        "CREATE TABLE d.t (day DATE, id INT64 NOT NULL, s STRUCT<a STRING, b ARRAY<NUMERIC>>, j JSON DEFAULT JSON '{}')
         PARTITION BY day CLUSTER BY id OPTIONS(description = 'kept', require_partition_filter = true)",
        "INSERT d.t VALUES (DATE '2026-01-01', 1, STRUCT('x', [NUMERIC '1.5', 2]), JSON '{\"k\": [1, null]}'), (NULL, 2, NULL, DEFAULT)",
        "INSERT d.t (day, id) VALUES (DATE '2026-01-02', 3), (DATE '2026-01-02', 4)",
        "DELETE FROM d.t WHERE day = '2026-01-02' AND id = 3",
        "ALTER TABLE d.t ADD COLUMN late STRING",
        "CREATE TABLE d.big AS SELECT n, REPEAT('x', 20) AS s FROM UNNEST(GENERATE_ARRAY(1, 20000)) AS n",
        "UPDATE d.big SET s = 'changed' WHERE n = 7",
        "CREATE VIEW d.v (one, two) AS SELECT n, s FROM d.big",
        "CREATE SNAPSHOT TABLE d.snap CLONE d.big",
        "CREATE FUNCTION d.twice(n INT64) AS (n * 2)",
        "CREATE TABLE d.gone (n INT64)",
        "DROP TABLE d.gone",
        "CREATE TABLE d.secret (n INT64)",
        "INSERT d.secret VALUES (1), (2)",
        "CREATE ROW ACCESS POLICY odd ON d.secret GRANT TO ('allUsers') FILTER USING (MOD(n, 2) = 1)",
    ] {
        query(&client, &served.url, sql).await.unwrap();
    }
    let questions = [
        "SELECT id, s.a, s.b[SAFE_OFFSET(0)], TO_JSON_STRING(j), late FROM d.t WHERE day IS NULL OR day > '2000-01-01' ORDER BY id",
        "SELECT COUNT(*), COUNTIF(s = 'changed'), SUM(n) FROM d.big",
        "SELECT two FROM d.v WHERE one = 7",
        "SELECT COUNT(*) FROM d.snap",
        "SELECT d.twice(21)",
        "SELECT n FROM d.secret",
        "SELECT ddl FROM d.INFORMATION_SCHEMA.TABLES ORDER BY table_name",
        "SELECT partition_id, total_rows FROM d.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = 't' ORDER BY 1",
        "SELECT schema_name, ddl FROM INFORMATION_SCHEMA.SCHEMATA",
    ];
    let mut before = Vec::new();
    for sql in questions {
        before.push(query(&client, &served.url, sql).await.unwrap());
    }
    assert_eq!(before[5], [["1"]], "the policy filters");
    // Twice: what is read back is also written on.
    let mut served = served;
    for round in 0..2 {
        served.kill();
        served = Served::start(folder.path());
        for (sql, before) in questions.iter().zip(&before) {
            assert_eq!(query(&client, &served.url, sql).await.unwrap(), *before, "round {round}: {sql}");
        }
        let gone = query(&client, &served.url, "SELECT * FROM d.gone").await.unwrap_err();
        assert!(gone.contains("Not found: Table demo:d.gone"), "{gone}");
        query(&client, &served.url, "UPDATE d.big SET n = n WHERE n = 8").await.unwrap();
    }
}
