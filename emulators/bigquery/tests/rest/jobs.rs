//! What stock clients send around jobs: both query calls, results in pages, uploads, ids.

use serde_json::{Value, json};

use crate::support::{PROJECT, Server, rows_of};

#[tokio::test]
async fn jobs_insert_then_results_as_the_python_client_asks() {
    let server = Server::with_dataset().await;
    let query = json!({
        "jobReference": {"jobId": "j1", "projectId": PROJECT},
        "configuration": {"query": {
            "query": "SELECT n, TIMESTAMP '2026-01-02 03:04:05.000006+00' AS moment FROM UNNEST([1, 2, 3]) AS n ORDER BY n",
            "useLegacySql": false,
        }},
    });
    let job = server.post("/projects/scrimmage/jobs", query).await.ok();
    assert_eq!(job["kind"], "bigquery#job");
    assert_eq!(job["id"], "scrimmage:US.j1");
    assert_eq!(job["jobReference"], json!({"projectId": "scrimmage", "jobId": "j1", "location": "US"}));
    assert!(job["selfLink"].as_str().is_some_and(|link| link.starts_with(&server.base)));

    // First the client waits without rows…
    let waited = server.get("/projects/scrimmage/queries/j1?maxResults=0&location=US&prettyPrint=false").await.ok();
    assert_eq!(waited["jobComplete"], true);
    assert_eq!(waited["totalRows"], "3");
    assert_eq!(waited.get("rows"), None);
    assert_eq!(waited["schema"]["fields"][0]["type"], "INTEGER");

    // …then it reads the job, and rows with timestamps as integers.
    let job = server.get("/projects/scrimmage/jobs/j1?projection=full&location=US").await.ok();
    assert_eq!(job["status"]["state"], "DONE");
    assert_eq!(job["statistics"]["query"]["statementType"], "SELECT");
    let results = server
        .get("/projects/scrimmage/queries/j1?fields=jobReference%2CtotalRows%2CpageToken%2Crows&formatOptions.useInt64Timestamp=true&location=US")
        .await
        .ok();
    assert_eq!(rows_of(&results)[0], ["1", "1767323045000006"]);
    let results = server.get("/projects/scrimmage/queries/j1").await.ok();
    assert_eq!(rows_of(&results)[0], ["1", "1.767323045000006E9"]);

    // The anonymous table that the job names can be read too.
    let table = &job["configuration"]["query"]["destinationTable"];
    let path = format!(
        "/projects/scrimmage/datasets/{}/tables/{}/data",
        table["datasetId"].as_str().expect("a dataset"),
        table["tableId"].as_str().expect("a table")
    );
    assert_eq!(server.get(&path).await.ok()["totalRows"], "3");
    let datasets = server.get("/projects/scrimmage/datasets").await.ok();
    assert_eq!(datasets["datasets"].as_array().map(Vec::len), Some(1), "results are in no list: {datasets}");
}

#[tokio::test]
async fn results_come_in_pages() {
    let server = Server::start().await;
    let query = json!({"query": "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 10)) AS n ORDER BY n", "maxResults": 4});
    let first = server.post("/projects/scrimmage/queries", query).await.ok();
    let id = first["jobReference"]["jobId"].as_str().expect("an id").to_owned();
    let mut seen: Vec<String> = rows_of(&first).into_iter().flatten().collect();
    let mut token = first["pageToken"].as_str().map(str::to_owned);
    let mut pages = 1;
    while let Some(next) = token {
        let page = server.get(&format!("/projects/scrimmage/queries/{id}?maxResults=4&pageToken={next}")).await.ok();
        seen.extend(rows_of(&page).into_iter().flatten());
        token = page["pageToken"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, (1..=10).map(|n| n.to_string()).collect::<Vec<_>>());
    let middle = server.get(&format!("/projects/scrimmage/queries/{id}?startIndex=7&maxResults=2")).await.ok();
    assert_eq!(rows_of(&middle), [["8"], ["9"]]);
}

#[tokio::test]
async fn both_query_calls_honour_the_default_dataset() {
    let server = Server::with(&["CREATE TABLE d.t AS SELECT 7 AS a"]).await;
    let dataset = json!({"projectId": PROJECT, "datasetId": "d"});
    let query = json!({"query": "SELECT a FROM t", "defaultDataset": dataset});
    assert_eq!(rows_of(&server.post("/projects/scrimmage/queries", query.clone()).await.ok()), [["7"]]);
    let job = server.job(json!({ "query": query })).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    let message = server.refused("SELECT a FROM t").await.2;
    assert_eq!(message, "Table \"t\" must be qualified with a dataset (e.g. dataset.table).");
}

#[tokio::test]
async fn parameters_are_bound() {
    let server = Server::start().await;
    let query = json!({
        "query": "SELECT @name, @when, @tags[OFFSET(1)]",
        "parameterMode": "NAMED",
        "queryParameters": [
            {"name": "name", "parameterType": {"type": "STRING"}, "parameterValue": {"value": "O'Neal"}},
            {"name": "when", "parameterType": {"type": "DATE"}, "parameterValue": {"value": "2026-01-01"}},
            {"name": "tags", "parameterType": {"type": "ARRAY", "arrayType": {"type": "INT64"}},
             "parameterValue": {"arrayValues": [{"value": "1"}, {"value": "2"}]}},
        ],
    });
    assert_eq!(rows_of(&server.post("/projects/scrimmage/queries", query).await.ok()), [["O'Neal", "2026-01-01", "2"]]);
    let query = json!({
        "query": "SELECT ? + ?",
        "parameterMode": "POSITIONAL",
        "queryParameters": [
            {"parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}},
            {"parameterType": {"type": "INT64"}, "parameterValue": {"value": "2"}},
        ],
    });
    assert_eq!(rows_of(&server.post("/projects/scrimmage/queries", query).await.ok()), [["3"]]);
}

#[tokio::test]
async fn a_destination_table_takes_the_rows() {
    let server = Server::with_dataset().await;
    let destination = json!({"projectId": PROJECT, "datasetId": "d", "tableId": "out"});
    let into = |sql: &str, write: &str| json!({"query": {"query": sql, "destinationTable": destination, "writeDisposition": write}});
    let job = server.job(into("SELECT 1 AS a", "WRITE_EMPTY")).await;
    assert_eq!(job["status"].get("errorResult"), None, "{job}");
    assert_eq!(job["configuration"]["query"]["destinationTable"], destination);
    let job = server.job(into("SELECT 2 AS a", "WRITE_EMPTY")).await;
    assert_eq!(job["status"]["errorResult"]["reason"], "duplicate");
    assert_eq!(job["status"]["errorResult"]["message"], "Already Exists: Table scrimmage:d.out");
    server.job(into("SELECT 2 AS a", "WRITE_APPEND")).await;
    assert_eq!(server.rows("SELECT a FROM d.out ORDER BY a").await, [["1"], ["2"]]);
    server.job(into("SELECT 'x' AS b", "WRITE_TRUNCATE")).await;
    assert_eq!(server.rows("SELECT * FROM d.out").await, [["x"]]);
}

#[tokio::test]
async fn a_failed_job_says_so_at_every_call() {
    let server = Server::start().await;
    let job = json!({"jobReference": {"jobId": "bad"}, "configuration": {"query": {"query": "SELECT 1 / (n - n) FROM UNNEST([1]) AS n"}}});
    server.post("/projects/scrimmage/jobs", job).await.ok();
    let job = server.done(server.get("/projects/scrimmage/jobs/bad").await.ok()).await;
    assert_eq!(job["status"]["errorResult"]["reason"], "invalidQuery");
    assert_eq!(job["status"]["errors"][0]["message"], "division by zero: 1 / 0");
    assert_eq!(server.get("/projects/scrimmage/queries/bad").await.error().2, "division by zero: 1 / 0");
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages() {
    let server = Server::start().await;
    for id in ["a", "b", "c"] {
        let job = json!({"jobReference": {"jobId": id}, "configuration": {"query": {"query": "SELECT 1"}}});
        server.done(server.post("/projects/scrimmage/jobs", job).await.ok()).await;
    }
    let ids = |list: &Value| -> Vec<String> {
        let jobs = list["jobs"].as_array().expect("jobs");
        jobs.iter().map(|job| job["jobReference"]["jobId"].as_str().expect("an id").to_owned()).collect()
    };
    let first = server.get("/projects/scrimmage/jobs?maxResults=2&stateFilter=done").await.ok();
    assert_eq!(ids(&first), ["c", "b"]);
    let token = first["nextPageToken"].as_str().expect("more").to_owned();
    let second = server.get(&format!("/projects/scrimmage/jobs?maxResults=2&pageToken={token}")).await.ok();
    assert_eq!(ids(&second), ["a"]);
    assert_eq!(second.get("nextPageToken"), None);
    server.delete("/projects/scrimmage/jobs/a/delete").await.ok();
    assert_eq!(server.get("/projects/scrimmage/jobs/a").await.status, 404);
}

#[tokio::test]
async fn a_resumable_upload_goes_in_parts_and_can_be_asked_how_far_it_is() {
    let server = Server::with_dataset().await;
    let load = json!({"configuration": {"load": {
        "destinationTable": {"projectId": PROJECT, "datasetId": "d", "tableId": "t"},
        "schema": {"fields": [{"name": "a", "type": "INTEGER"}]},
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
    }}});
    let media = b"{\"a\": 1}\n{\"a\": 2}\n".to_vec();
    let total = media.len();
    let started = server
        .raw(
            "POST",
            "/upload/bigquery/v2/projects/scrimmage/jobs?uploadType=resumable",
            &[
                ("content-type", "application/json; charset=UTF-8"),
                ("x-upload-content-type", "*/*"),
                ("x-upload-content-length", &total.to_string()),
            ],
            load.to_string().into_bytes(),
        )
        .await;
    assert_eq!(started.status, 200);
    let session = started.headers["location"].to_str().expect("an address").to_owned();

    let probe = |range: String| {
        let (server, session) = (&server, &session);
        async move { server.raw("PUT", session, &[("content-range", range.as_str())], Vec::new()).await }
    };
    let nothing = probe(format!("bytes */{total}")).await;
    assert_eq!((nothing.status, nothing.headers.get("range")), (308, None));

    let part = |from: usize, to: usize| {
        let (server, session, bytes) = (&server, &session, media[from..to].to_vec());
        let range = format!("bytes {from}-{}/{total}", to - 1);
        async move { server.raw("PUT", session, &[("content-range", range.as_str())], bytes).await }
    };
    let first = part(0, 5).await;
    assert_eq!((first.status, first.headers["range"].to_str().ok()), (308, Some("bytes=0-4")));
    let asked = probe("bytes */*".into()).await;
    assert_eq!((asked.status, asked.headers["range"].to_str().ok()), (308, Some("bytes=0-4")));
    assert_eq!(part(7, 9).await.status, 400, "a gap is refused");
    let job = server.done(part(5, total).await.ok()).await;
    assert_eq!(job["statistics"]["load"]["outputRows"], "2");
    // A client that missed the answer asks again and gets the same job.
    let again = probe(format!("bytes */{total}")).await.ok();
    assert_eq!(again["jobReference"], job["jobReference"]);
    assert_eq!(server.value("SELECT SUM(a) FROM d.t").await, "3");
}

#[tokio::test]
async fn an_upload_reuses_no_job_id() {
    let server = Server::with_dataset().await;
    let resource = json!({
        "jobReference": {"projectId": PROJECT, "jobId": "load-1"},
        "configuration": {"load": {
            "destinationTable": {"projectId": PROJECT, "datasetId": "d", "tableId": "t"},
            "schema": {"fields": [{"name": "a", "type": "INTEGER"}]},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
        }},
    });
    server.done(server.multipart(&resource, b"{\"a\": 1}").await.ok()).await;
    let (status, reason, message) = server.multipart(&resource, b"{\"a\": 1}").await.error();
    assert_eq!((status, reason.as_str()), (409, "duplicate"));
    assert_eq!(message, "Already Exists: Job scrimmage:US.load-1");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t").await, "1");
}

#[tokio::test]
async fn copy_jobs_copy_tables_as_they_are_and_as_they_were() {
    let server = Server::with(&["CREATE TABLE d.a AS SELECT 1 AS n", "CREATE TABLE d.b AS SELECT 2 AS n"]).await;
    let then = server.clock.now().as_millis();
    server.advance(std::time::Duration::from_secs(60));
    server.run("UPDATE d.a SET n = 10 WHERE true").await;
    let table = |id: &str| json!({"projectId": PROJECT, "datasetId": "d", "tableId": id});
    let copy = json!({"copy": {"sourceTables": [table("a"), table("b")], "destinationTable": table("c")}});
    let job = server.job(copy).await;
    assert_eq!(job["statistics"]["copy"]["copiedRows"], "2", "{job}");
    assert_eq!(server.rows("SELECT n FROM d.c ORDER BY n").await, [["2"], ["10"]]);
    let copy = json!({"copy": {"sourceTable": table(&format!("a@{then}")), "destinationTable": table("old")}});
    server.job(copy).await;
    assert_eq!(server.rows("SELECT n FROM d.old").await, [["1"]]);
}
