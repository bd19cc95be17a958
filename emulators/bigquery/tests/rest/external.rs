//! External tables: files that queries read, by REST and by SQL.

use serde_json::{Value, json};

use crate::support::Server;

const ROWS: &str = "name,points\nanna,1\nbob,2.5\n";

fn put(folder: &std::path::Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    std::fs::write(file, text).expect("written");
}

#[tokio::test]
async fn every_query_reads_the_files_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "bucket/a.csv", ROWS);
    let server = Server::with_folder(folder.path()).await;
    server
        .run("CREATE EXTERNAL TABLE d.e OPTIONS(format = 'CSV', uris = ['gs://bucket/*.csv'], description = 'files')")
        .await;
    let table = server.table("e").await;
    assert_eq!((&table["type"], &table["description"]), (&json!("EXTERNAL"), &json!("files")));
    assert_eq!(table["externalDataConfiguration"]["sourceUris"], json!(["gs://bucket/*.csv"]));
    assert_eq!(table["schema"]["fields"][1], json!({"name": "points", "type": "FLOAT"}));
    assert_eq!(server.rows("SELECT name, points FROM d.e ORDER BY 1").await, [["anna", "1.0"], ["bob", "2.5"]]);
    put(folder.path(), "bucket/b.csv", "name,points\ncarl,4\n");
    assert_eq!(server.rows("SELECT COUNT(*), SUM(points) FROM d.e").await, [["3", "7.5"]]);
    put(folder.path(), "bucket/b.csv", "name,points\ncarl,four\n");
    let (status, _, message) = server.refused("SELECT * FROM d.e").await;
    assert_eq!((status, message.contains("Error while reading table: scrimmage.d.e")), (400, true), "{message}");
    std::fs::remove_file(folder.path().join("bucket/b.csv")).expect("removed");
    // What stays is a table like others, but for its rows.
    server.run("CREATE TABLE d.copied AS SELECT * FROM d.e").await;
    assert_eq!(server.rows("SELECT COUNT(*) FROM d.copied JOIN d.e USING (name)").await, [["2"]]);
    for sql in ["DELETE FROM d.e WHERE TRUE", "INSERT d.e VALUES ('x', 1)", "DROP VIEW d.e", "DROP TABLE d.e"] {
        assert_eq!(server.refused(sql).await.0, 400, "{sql}");
    }
    let listed = server.get("/projects/scrimmage/datasets/d/tables/e/data").await;
    assert_eq!(listed.error().2, "Cannot list a table of type EXTERNAL.");
    let kind = "SELECT table_type, is_insertable_into FROM d.INFORMATION_SCHEMA.TABLES WHERE table_name = 'e'";
    assert_eq!(server.rows(kind).await, [["EXTERNAL", "NO"]]);
    server.run("DROP EXTERNAL TABLE d.e").await;
    assert_eq!(server.refused("SELECT * FROM d.e").await.0, 404);
}

#[tokio::test]
async fn rest_makes_them_with_a_schema_and_options() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "bucket/x/1.json", "{\"id\": 1, \"tags\": [\"a\"]}\n{\"id\": 2, \"other\": true}\n");
    put(folder.path(), "bucket/t.csv", "skipped;1\nanna;2\n");
    let server = Server::with_folder(folder.path()).await;
    let make = async |table: &str, configuration: Value| {
        let body = json!({
            "tableReference": {"projectId": "scrimmage", "datasetId": "d", "tableId": table},
            "externalDataConfiguration": configuration,
        });
        server.post("/projects/scrimmage/datasets/d/tables", body).await
    };
    let fields =
        json!({"fields": [{"name": "id", "type": "INTEGER"}, {"name": "tags", "type": "STRING", "mode": "REPEATED"}]});
    let json_files = json!({
        "sourceFormat": "NEWLINE_DELIMITED_JSON", "sourceUris": ["gs://bucket/x/*"], "ignoreUnknownValues": true, "schema": fields,
    });
    assert_eq!(make("j", json_files).await.status, 200);
    assert_eq!(server.rows("SELECT id, ARRAY_LENGTH(tags) FROM d.j ORDER BY id").await, [["1", "1"], ["2", "0"]]);
    let csv = json!({
        "sourceFormat": "CSV", "sourceUris": ["gs://bucket/t.csv"],
        "csvOptions": {"fieldDelimiter": ";", "skipLeadingRows": "1"},
        "schema": {"fields": [{"name": "name", "type": "STRING"}, {"name": "n", "type": "INTEGER"}]},
    });
    assert_eq!(make("c", csv).await.status, 200);
    assert_eq!(server.rows("SELECT * FROM d.c").await, [["anna", "2"]]);
    for (configuration, status) in [
        (json!({"sourceUris": ["gs://bucket/t.csv"]}), 400),
        (json!({"sourceFormat": "CSV"}), 400),
        (json!({"sourceFormat": "CSV", "sourceUris": ["gs://bucket/nix.csv"], "autodetect": true}), 404),
        (json!({"sourceFormat": "GOOGLE_SHEETS", "sourceUris": ["https://x"]}), 501),
    ] {
        assert_eq!(make("bad", configuration.clone()).await.status, status, "{configuration}");
    }
}
