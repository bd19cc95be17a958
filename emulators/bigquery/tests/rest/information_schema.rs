//! INFORMATION_SCHEMA: metadata as tables.

use crate::support::Server;

#[tokio::test]
async fn tables_and_columns_are_rows() {
    let server = Server::with(&[
        "CREATE TABLE d.t (day DATE, id INT64 NOT NULL, s STRUCT<a STRING, b ARRAY<INT64>>) PARTITION BY day CLUSTER BY id",
        "CREATE VIEW d.v AS SELECT id FROM d.t",
    ])
    .await;
    assert_eq!(
        server.rows("SELECT table_name, table_type FROM d.INFORMATION_SCHEMA.TABLES ORDER BY 1").await,
        [["t", "BASE TABLE"], ["v", "VIEW"]]
    );
    assert_eq!(
        server
            .rows("SELECT column_name, data_type, is_nullable, is_partitioning_column, clustering_ordinal_position FROM d.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 't' ORDER BY ordinal_position")
            .await,
        [
            ["day", "DATE", "YES", "YES", "NULL"],
            ["id", "INT64", "NO", "NO", "1"],
            ["s", "STRUCT<a STRING, b ARRAY<INT64>>", "YES", "NO", "NULL"],
        ]
    );
    assert_eq!(
        server.rows("SELECT field_path FROM d.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE table_name = 't' AND column_name = 's' ORDER BY 1").await,
        [["s"], ["s.a"], ["s.b"]]
    );
    assert_eq!(server.rows("SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA").await, [["d"]]);
    assert_eq!(server.rows("SELECT schema_name FROM `region-us`.INFORMATION_SCHEMA.SCHEMATA").await, [["d"]]);
    assert_eq!(server.refused("SELECT * FROM d.INFORMATION_SCHEMA.NOTHING").await.0, 404);
    assert_eq!(server.refused("SELECT * FROM nix.INFORMATION_SCHEMA.TABLES").await.0, 404);
}

#[tokio::test]
async fn options_are_shown_as_sql() {
    let server = Server::with(&[
        "CREATE TABLE d.t (day DATE) PARTITION BY day OPTIONS(description = 'a \"b\"', labels = [('k', 'v')], partition_expiration_days = 3, require_partition_filter = true)",
    ])
    .await;
    assert_eq!(
        server
            .rows("SELECT option_name, option_type, option_value FROM d.INFORMATION_SCHEMA.TABLE_OPTIONS ORDER BY 1")
            .await,
        [
            ["description", "STRING", "\"a \\\"b\\\"\""],
            ["labels", "ARRAY<STRUCT<STRING, STRING>>", "[STRUCT(\"k\", \"v\")]"],
            ["partition_expiration_days", "FLOAT64", "3.0"],
            ["require_partition_filter", "BOOL", "true"],
        ]
    );
}

#[tokio::test]
async fn queries_that_differ_in_literals_alone_have_one_hash() {
    let server = Server::with_dataset().await;
    for sql in [
        "SELECT 1 AS x, 'a\\'b' AS y",
        "select  2.5e3 as X, 'c' AS y -- why",
        "SELECT 1 AS x, y1 FROM (SELECT 2 AS y1)",
    ] {
        server.run(sql).await;
    }
    let hashes = server
        .rows(
            "SELECT query_info.query_hashes.normalized_literals AS digest, COUNT(*) FROM `region-us`.INFORMATION_SCHEMA.JOBS
             WHERE query_dialect = 'GOOGLE_SQL' AND LOWER(query) LIKE '% as x, %' AND query NOT LIKE '%query_info%'
             GROUP BY digest ORDER BY 2 DESC",
        )
        .await;
    let counts: Vec<&str> = hashes.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(counts, ["2", "1"], "{hashes:?}");
}
