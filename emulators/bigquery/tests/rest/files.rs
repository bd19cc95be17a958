//! Loads and extracts through files: Avro, Parquet, gzip, the folder that stands for Cloud Storage.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::Server;

const TABLE: &str = "CREATE TABLE d.t AS SELECT x AS id, CONCAT('name ', x) AS name, DATE_ADD(DATE '2026-01-01', INTERVAL x DAY) AS day, CAST(x AS NUMERIC) / 4 AS n FROM UNNEST([1, 2, 3]) AS x";

async fn extract(server: &Server, configuration: Value) -> Value {
    let mut extract = configuration;
    extract["sourceTable"] = json!({"projectId": "scrimmage", "datasetId": "d", "tableId": "t"});
    let job = server.post("/projects/scrimmage/jobs", json!({"configuration": {"extract": extract}})).await;
    assert_eq!(job.status, 200, "{}", job.body);
    job.body
}

async fn load(server: &Server, table: &str, mut load: Value) -> Value {
    load["destinationTable"] = json!({"projectId": "scrimmage", "datasetId": "d", "tableId": table});
    let job = server.post("/projects/scrimmage/jobs", json!({"configuration": {"load": load}})).await;
    assert_eq!(job.status, 200, "{}", job.body);
    job.body
}

#[tokio::test]
async fn what_is_extracted_can_be_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_folder(folder.path()).await;
    server.run(TABLE).await;
    for (number, (format, compression)) in
        [("PARQUET", "SNAPPY"), ("AVRO", "DEFLATE"), ("CSV", "GZIP"), ("NEWLINE_DELIMITED_JSON", "NONE")]
            .into_iter()
            .enumerate()
    {
        let uri = format!("gs://bucket/{format}/part-*");
        let extracted = extract(
            &server,
            json!({"destinationUris": [uri], "destinationFormat": format, "compression": compression, "useAvroLogicalTypes": true}),
        )
        .await;
        assert_eq!(extracted["statistics"]["extract"]["destinationUriFileCounts"], json!(["1"]), "{extracted}");
        assert!(folder.path().join(format!("bucket/{format}/part-000000000000")).is_file());
        let copy = format!("copy{number}");
        let job = load(
            &server,
            &copy,
            json!({"sourceUris": [uri], "sourceFormat": format, "autodetect": true, "useAvroLogicalTypes": true}),
        )
        .await;
        assert_eq!(job["statistics"]["load"]["outputRows"], "3", "{job}");
        let same = format!(
            "SELECT COUNT(*) FROM d.t JOIN d.{copy} c ON t.id = c.id AND t.name = c.name AND t.day = c.day AND t.n = CAST(c.n AS NUMERIC)"
        );
        assert_eq!(server.run(&same).await["rows"][0]["f"][0]["v"], "3", "{format}");
    }
}

#[tokio::test]
async fn export_data_writes_a_query() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_folder(folder.path()).await;
    let sql = "EXPORT DATA OPTIONS(uri = 'gs://b/x-*.csv', format = 'CSV', header = true) AS SELECT 1 AS a, 'x,y' AS b";
    server.run(sql).await;
    let written = std::fs::read_to_string(folder.path().join("b/x-000000000000.csv")).expect("written");
    assert_eq!(written, "a,b\n1,\"x,y\"\n");
    assert_eq!(server.query(sql).await.status, 400, "files are not written over unasked");
    let again = sql.replace("header = true", "header = false, overwrite = true");
    server.run(&again).await;
    let refused = server.query(&sql.replace("x-*.csv", "x.csv")).await;
    assert!(refused.body["error"]["message"].as_str().expect("a text").contains("wild card"), "{}", refused.body);
}

#[tokio::test]
async fn without_a_folder_nothing_is_found() {
    let server = Server::with(&[TABLE]).await;
    let loaded = load(&server, "u", json!({"sourceUris": ["gs://b/x.csv"], "autodetect": true})).await;
    let extracted = extract(&server, json!({"destinationUris": ["gs://b/x.csv"]})).await;
    for job in [loaded, extracted] {
        let error = &job["status"]["errorResult"];
        assert_eq!(error["reason"], "notFound", "{job}");
        assert!(error["message"].as_str().expect("a text").starts_with("Not found: URI gs://b/x.csv"), "{error}");
    }
}

#[tokio::test]
async fn extracts_are_refused_where_a_format_cannot_do_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_folder(folder.path()).await;
    server.run("CREATE TABLE d.t AS SELECT [1] AS list").await;
    let nested = extract(&server, json!({"destinationUris": ["gs://b/x.csv"]})).await;
    let message = nested["status"]["errorResult"]["message"].as_str().expect("a text");
    assert_eq!(message, "Operation cannot be performed on a nested schema. Field: list");
    let body = json!({"configuration": {"extract": {
        "sourceTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "t"},
        "destinationUris": ["gs://b/x"], "destinationFormat": "AVRO", "compression": "GZIP",
    }}});
    assert_eq!(server.post("/projects/scrimmage/jobs", body).await.status, 400);
}

#[tokio::test]
async fn gzip_uploads_are_unpacked() {
    let server = Server::with_dataset().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"{\"id\": 1}\n{\"id\": 2}\n").expect("packs");
    let media = encoder.finish().expect("packs");
    let resource = json!({"configuration": {"load": {
        "destinationTable": {"projectId": "scrimmage", "datasetId": "d", "tableId": "t"},
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "schema": {"fields": [{"name": "id", "type": "INTEGER"}]},
    }}});
    let mut body =
        format!("--x\r\nContent-Type: application/json\r\n\r\n{resource}\r\n--x\r\nContent-Type: */*\r\n\r\n")
            .into_bytes();
    body.extend(media);
    body.extend(b"\r\n--x--");
    let path = "/upload/bigquery/v2/projects/scrimmage/jobs?uploadType=multipart";
    let job = server.raw("POST", path, &[("content-type", "multipart/related; boundary=x")], body).await.body;
    assert_eq!(job["statistics"]["load"]["outputRows"], "2", "{job}");
}
