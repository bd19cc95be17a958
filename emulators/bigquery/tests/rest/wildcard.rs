//! Many staging tables read as one.

use std::fmt::Write as _;

use serde_json::json;

use crate::support::{PROJECT, Server, counts};

#[tokio::test]
async fn a_star_reads_all_tables_and_tells_them_apart() {
    let server = Server::with(&[
        "CREATE TABLE d._staging_b1_w1 AS SELECT 1 AS n",
        "CREATE TABLE d._staging_b1_w2 AS SELECT 2 AS n",
        "CREATE TABLE d._staging_b2_w1 AS SELECT 3 AS n",
        "CREATE TABLE d.other AS SELECT 4 AS n",
    ])
    .await;
    assert_eq!(
        server.rows("SELECT _TABLE_SUFFIX, n FROM `d._staging_*` ORDER BY n").await,
        [["b1_w1", "1"], ["b1_w2", "2"], ["b2_w1", "3"]]
    );
    assert_eq!(server.value("SELECT SUM(n) FROM `scrimmage.d._staging_b1_*`").await, "3");
    assert_eq!(server.value("SELECT SUM(n) FROM `d._staging_*` WHERE _TABLE_SUFFIX LIKE 'b2%'").await, "3");
    assert_eq!(
        server.value("SELECT SUM(n) FROM `d._staging_*` WHERE _TABLE_SUFFIX BETWEEN 'b1_w2' AND 'b2'").await,
        "2"
    );
    let (status, _, message) = server.refused("SELECT * FROM `d.nothing_*`").await;
    assert_eq!(status, 400);
    assert_eq!(message, "scrimmage:d.nothing_* does not match any table.");
}

#[tokio::test]
async fn the_newest_table_gives_the_columns() {
    let server = Server::with(&["CREATE TABLE d.t_2 AS SELECT 1 AS a"]).await;
    server.advance(std::time::Duration::from_secs(1));
    server.run("CREATE TABLE d.t_1 AS SELECT 2 AS a, 'x' AS b, ['y'] AS c").await;
    assert_eq!(
        server.rows("SELECT a, b, ARRAY_LENGTH(c) FROM `d.t_*` ORDER BY a").await,
        [["1", "NULL", "0"], ["2", "x", "1"]]
    );
}

#[tokio::test]
async fn eight_hundred_staging_tables_are_consolidated_by_one_statement() {
    const TABLES: usize = 823;
    let server = Server::with(&[
        "CREATE TABLE d.main (player STRING, line FLOAT64, points FLOAT64, created_at TIMESTAMP, game_date DATE)
         PARTITION BY game_date",
    ])
    .await;
    let schema = json!([
        {"name": "player", "type": "STRING"}, {"name": "line", "type": "FLOAT"}, {"name": "points", "type": "FLOAT"},
        {"name": "created_at", "type": "TIMESTAMP"}, {"name": "game_date", "type": "DATE"},
    ]);
    for table in 0..TABLES {
        let mut rows = String::new();
        for (line, hour) in [(13.5, 1), (14.5, 1), (14.5, 2)] {
            let row = json!({"player": format!("p{}", table / 2), "line": line, "points": table, "game_date": "2026-01-30",
                "created_at": format!("2026-01-30T{:02}:00:{:02}Z", hour + table % 2, table % 60)});
            writeln!(rows, "{row}").expect("a string grows");
        }
        let load = json!({"configuration": {"load": {
            "destinationTable": {"projectId": PROJECT, "datasetId": "d", "tableId": format!("_staging_{table:04}")},
            "sourceFormat": "NEWLINE_DELIMITED_JSON", "schema": {"fields": schema}}}});
        server.done(server.multipart(&load, rows.as_bytes()).await.ok()).await;
    }
    let newest = |from: &str| {
        format!(
            "MERGE d.main T USING (
               SELECT * EXCEPT(rank) FROM (
                 SELECT *, ROW_NUMBER() OVER (PARTITION BY player, CAST(COALESCE(line, -1) AS INT64) ORDER BY created_at DESC) AS rank
                 FROM ({from})) WHERE rank = 1) S
             ON T.player = S.player AND T.line = S.line AND T.game_date = '2026-01-30'
             WHEN MATCHED THEN UPDATE SET points = S.points
             WHEN NOT MATCHED THEN INSERT (player, line, points, created_at, game_date)
               VALUES (S.player, S.line, S.points, S.created_at, S.game_date)"
        )
    };
    let union: Vec<String> = (0..TABLES)
        .map(|table| format!("SELECT player, line, points, created_at, game_date FROM d._staging_{table:04}"))
        .collect();
    // 412 players; lines 13.5 and 14.5 round apart.
    assert_eq!(counts(&server.run(&newest(&union.join("\nUNION ALL\n"))).await), (824, 0, 0));
    assert_eq!(counts(&server.run(&newest("SELECT * FROM `d._staging_*`")).await), (0, 824, 0));

    // The tables are listed in pages and dropped while listing goes on.
    let (mut token, mut dropped) = (String::new(), 0);
    loop {
        let page =
            server.get(&format!("/projects/scrimmage/datasets/d/tables?maxResults=100&pageToken={token}")).await.ok();
        for table in page["tables"].as_array().into_iter().flatten() {
            let id = table["tableReference"]["tableId"].as_str().expect("an id");
            assert_eq!(table["creationTime"], "1767225600000");
            if id.starts_with("_staging_") {
                server.delete(&format!("/projects/scrimmage/datasets/d/tables/{id}")).await.ok();
                dropped += 1;
            }
        }
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(dropped, TABLES);
    assert_eq!(server.value("SELECT COUNT(*) FROM d.main").await, "824");
}
