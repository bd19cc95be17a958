//! BigQuery through the crate `gcp-bigquery-client`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use gcp_bigquery_client::Client;
use gcp_bigquery_client::auth::Authenticator;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::dataset::ListOptions as ListDatasets;
use gcp_bigquery_client::error::BQError;
use gcp_bigquery_client::model::dataset::Dataset;
use gcp_bigquery_client::model::field_type::FieldType;
use gcp_bigquery_client::model::get_query_results_parameters::GetQueryResultsParameters;
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_configuration_extract::JobConfigurationExtract;
use gcp_bigquery_client::model::job_configuration_load::JobConfigurationLoad;
use gcp_bigquery_client::model::job_configuration_query::JobConfigurationQuery;
use gcp_bigquery_client::model::job_configuration_table_copy::JobConfigurationTableCopy;
use gcp_bigquery_client::model::query_parameter::QueryParameter;
use gcp_bigquery_client::model::query_parameter_type::QueryParameterType;
use gcp_bigquery_client::model::query_parameter_value::QueryParameterValue;
use gcp_bigquery_client::model::query_request::QueryRequest;
use gcp_bigquery_client::model::query_response::{QueryResponse, ResultSet};
use gcp_bigquery_client::model::table::Table;
use gcp_bigquery_client::model::table_data_insert_all_request::TableDataInsertAllRequest;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_reference::TableReference;
use gcp_bigquery_client::model::table_schema::TableSchema;
use gcp_bigquery_client::model::view_definition::ViewDefinition;
use gcp_bigquery_client::{project, routine, table, tabledata};
use scrimmage_suite::Suite;
use serde_json::json;
use std::sync::Arc;

const DATASET: &str = "clients";

#[derive(Clone)]
struct NoToken;

#[async_trait]
impl Authenticator for NoToken {
    async fn access_token(&self) -> Result<String, BQError> {
        Ok("owner".to_owned())
    }
}

/// The crate's client for one suite with a dataset.
struct Bench {
    _suite: Suite,
    client: Client,
    project: String,
    buckets: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Bench {
        let buckets = tempfile::TempDir::new().expect("a folder");
        std::fs::create_dir(buckets.path().join("bucket")).expect("a bucket");
        let suite = Suite::builder().gcs_folder(buckets.path()).start().await.expect("the suite starts");
        let project = suite.project().to_owned();
        let mut builder = ClientBuilder::new();
        builder.with_v2_base_url(format!("{}/bigquery/v2", suite.url()));
        let client = builder.build_from_authenticator(Arc::new(NoToken)).await.expect("a client");
        client.dataset().create(Dataset::new(&project, DATASET).label("made", "here")).await.expect("a dataset");
        Bench { _suite: suite, client, project, buckets }
    }

    async fn answer(&self, request: QueryRequest) -> QueryResponse {
        self.client.job().query(&self.project, request).await.expect("an answer")
    }

    /// Runs a statement; the rows' columns as text.
    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let answer = self.answer(QueryRequest::new(sql)).await;
        let rows = answer.rows.unwrap_or_default();
        let text = |cell: &gcp_bigquery_client::model::table_cell::TableCell| {
            cell.value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        rows.iter().map(|row| row.columns.iter().flatten().map(text).collect()).collect()
    }

    async fn count(&self, table: &str) -> String {
        let rows = self.rows(&format!("SELECT COUNT(*) FROM {DATASET}.{table}")).await;
        rows[0][0].clone().expect("a number")
    }

    fn table(&self, id: &str) -> TableReference {
        TableReference::new(&self.project, DATASET, id)
    }

    async fn create(&self, id: &str) -> Table {
        let schema = TableSchema::new(vec![
            TableFieldSchema::string("name"),
            TableFieldSchema::integer("age"),
            TableFieldSchema::float("height"),
            TableFieldSchema::bool("active"),
            TableFieldSchema::timestamp("at"),
            TableFieldSchema::record("place", vec![TableFieldSchema::string("city")]),
        ]);
        let table = Table::new(&self.project, DATASET, id, schema).friendly_name("People").label("kind", "test");
        self.client.table().create(table).await.expect("a table")
    }

    /// Runs a job to its end; its error, if it has one.
    async fn run(&self, configuration: JobConfiguration) -> Option<String> {
        let job = Job { configuration: Some(configuration), ..Default::default() };
        let mut job = self.client.job().insert(&self.project, job).await.expect("a job");
        while job.status.as_ref().and_then(|status| status.state.as_deref()) != Some("DONE") {
            let id = job.job_reference.as_ref().and_then(|reference| reference.job_id.clone()).expect("an id");
            job = self.client.job().get_job(&self.project, &id, None).await.expect("the job");
        }
        job.status.and_then(|status| status.error_result).and_then(|error| error.message)
    }
}

fn parameter(name: &str, kind: &str, value: &str) -> QueryParameter {
    QueryParameter {
        name: Some(name.to_owned()),
        parameter_type: Some(QueryParameterType { r#type: kind.to_owned(), ..Default::default() }),
        parameter_value: Some(QueryParameterValue { value: Some(value.to_owned()), ..Default::default() }),
    }
}

#[tokio::test]
async fn queries_with_parameters_types_and_refusals() {
    let bench = Bench::new().await;
    let mut request = QueryRequest::new(
        "SELECT @n + 1 AS n, @s AS s, TRUE AS yes, 1.5 AS f, CAST(NULL AS INT64) AS none, TIMESTAMP '2026-01-01' AS made",
    );
    request.parameter_mode = Some("NAMED".to_owned());
    request.query_parameters = Some(vec![parameter("n", "INT64", "41"), parameter("s", "STRING", "tëxt")]);
    let mut set = ResultSet::new_from_query_response(bench.answer(request).await);
    assert!(set.next_row());
    assert_eq!(set.get_i64_by_name("n").unwrap(), Some(42));
    assert_eq!(set.get_string_by_name("s").unwrap().as_deref(), Some("tëxt"));
    assert_eq!(set.get_bool_by_name("yes").unwrap(), Some(true));
    assert_eq!(set.get_f64_by_name("f").unwrap(), Some(1.5));
    assert_eq!(set.get_i64_by_name("none").unwrap(), None);
    assert!(!set.next_row());

    let mut dry = QueryRequest::new("SELECT 1");
    dry.dry_run = Some(true);
    let dry = bench.answer(dry).await;
    assert_eq!(dry.total_bytes_processed.as_deref(), Some("0"));
    assert!(dry.rows.unwrap_or_default().is_empty());

    let wrong = bench.client.job().query(&bench.project, QueryRequest::new("SELECT nothing")).await.unwrap_err();
    let BQError::ResponseError { error } = wrong else { panic!("{wrong:?}") };
    assert_eq!(error.error.message, "Unrecognized name: nothing at [1:8]");
    assert_eq!(error.error.code, 400);
}

#[tokio::test]
async fn results_come_in_pages() {
    let bench = Bench::new().await;
    let query = JobConfigurationQuery {
        query: "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 25)) AS n ORDER BY n".to_owned(),
        use_legacy_sql: Some(false),
        ..Default::default()
    };
    let pages = bench.client.job().query_all(&bench.project, query, Some(10));
    let pages: Vec<_> = pages.try_collect().await.expect("all pages");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);

    let mut request = QueryRequest::new("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 7)) AS n ORDER BY n");
    request.max_results = Some(5);
    let first = bench.answer(request).await;
    assert_eq!((first.rows.map(|rows| rows.len()), first.total_rows.as_deref()), (Some(5), Some("7")));
    let id = first.job_reference.and_then(|reference| reference.job_id).unwrap();
    let parameters = GetQueryResultsParameters { page_token: first.page_token, ..Default::default() };
    let rest = bench.client.job().get_query_results(&bench.project, &id, parameters).await.unwrap();
    assert_eq!((rest.rows.map(|rows| rows.len()), rest.page_token), (Some(2), None));
}

#[tokio::test]
async fn datasets_and_tables_are_made_changed_listed_and_deleted() {
    let bench = Bench::new().await;
    let (client, project) = (&bench.client, &bench.project);
    let dataset = client.dataset().get(project, DATASET).await.unwrap();
    assert_eq!(dataset.labels.unwrap()["made"], "here");
    let described = Dataset::new(project, DATASET).friendly_name("Described");
    client.dataset().patch(project, DATASET, described).await.unwrap();
    assert_eq!(client.dataset().get(project, DATASET).await.unwrap().friendly_name.as_deref(), Some("Described"));
    client.dataset().create(Dataset::new(project, "another")).await.unwrap();
    let again = client.dataset().create(Dataset::new(project, "another")).await.unwrap_err();
    assert!(again.to_string().contains("Already Exists: Dataset"), "{again}");
    let listed = client.dataset().list(project, ListDatasets::default().all(true)).await.unwrap();
    let listed: Vec<_> = listed.datasets.into_iter().map(|one| one.dataset_reference.dataset_id).collect();
    assert_eq!(listed, ["another", DATASET]);
    client.dataset().delete(project, "another", true).await.unwrap();

    let created = bench.create("people").await;
    assert_eq!(created.friendly_name.as_deref(), Some("People"));
    let mut table = client.table().get(project, DATASET, "people", None).await.unwrap();
    assert_eq!(table.schema.fields().as_ref().map(Vec::len), Some(6));
    let mut fields = table.schema.fields().clone().unwrap();
    fields.push(TableFieldSchema::new("extra", FieldType::Json));
    table.schema = TableSchema::new(fields);
    client.table().patch(project, DATASET, "people", table).await.unwrap();
    let table = client.table().get(project, DATASET, "people", None).await.unwrap();
    assert_eq!(table.schema.field_count(), 7);
    for number in 0..5 {
        bench.create(&format!("t{number}")).await;
    }
    let mut options = table::ListOptions::default().max_results(4);
    let first = client.table().list(project, DATASET, options).await.unwrap();
    options = table::ListOptions::default().page_token(first.next_page_token.unwrap());
    let second = client.table().list(project, DATASET, options).await.unwrap();
    assert_eq!((first.tables.unwrap().len(), second.tables.unwrap().len()), (4, 2));
    client.table().delete(project, DATASET, "t0").await.unwrap();
    let gone = client.table().get(project, DATASET, "t0", None).await.unwrap_err();
    assert!(gone.to_string().contains("Not found: Table"), "{gone}");
    let projects = client.project().list(project::GetOptions::default()).await.unwrap();
    assert!(projects.projects.unwrap().iter().any(|one| one.id.as_deref() == Some(project.as_str())));
    let models = client.model().list(project, DATASET, gcp_bigquery_client::model_api::ListOptions::default()).await;
    assert!(models.unwrap().models.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn rows_are_streamed_and_listed() {
    let bench = Bench::new().await;
    bench.create("people").await;
    let mut request = TableDataInsertAllRequest::new();
    for number in 0..3 {
        let row = json!({
            "name": format!("p{number}"), "age": number, "height": 1.5, "active": true,
            "at": "2026-01-01T00:00:00Z", "place": {"city": "Oslo"},
        });
        request.add_row(Some(format!("id-{number}")), row).unwrap();
    }
    let data = bench.client.tabledata();
    let answer = data.insert_all(&bench.project, DATASET, "people", request).await.unwrap();
    assert!(answer.insert_errors.is_none());
    assert_eq!(bench.count("people").await, "3");
    let parameters = tabledata::ListQueryParameters {
        start_index: None,
        max_results: Some(2),
        page_token: None,
        selected_fields: None,
        format_options: None,
    };
    let listed = data.list(&bench.project, DATASET, "people", parameters).await.unwrap();
    assert_eq!((listed.rows.unwrap().len(), listed.total_rows), (2, Some("3".to_owned())));
    let mut wrong = TableDataInsertAllRequest::new();
    wrong.add_row(None, json!({"age": "not a number"})).unwrap();
    wrong.add_row(None, json!({"unknown": 1})).unwrap();
    let answer = data.insert_all(&bench.project, DATASET, "people", wrong).await.unwrap();
    let wrong: BTreeSet<_> = answer.insert_errors.unwrap().iter().filter_map(|error| error.index).collect();
    assert_eq!(wrong, BTreeSet::from([0, 1]));
    assert_eq!(bench.count("people").await, "3");
}

#[tokio::test]
async fn jobs_load_extract_copy_and_are_listed() {
    let bench = Bench::new().await;
    let rows = "{\"name\": \"a\", \"age\": 1}\n{\"name\": \"b\", \"age\": 2}\n";
    std::fs::write(bench.buckets.path().join("bucket/rows.json"), rows).unwrap();
    let load = JobConfigurationLoad {
        source_uris: Some(vec!["gs://bucket/rows.json".to_owned()]),
        source_format: Some("NEWLINE_DELIMITED_JSON".to_owned()),
        autodetect: Some(true),
        destination_table: Some(bench.table("loaded")),
        ..Default::default()
    };
    assert_eq!(bench.run(JobConfiguration { load: Some(load.clone()), ..Default::default() }).await, None);
    assert_eq!(bench.count("loaded").await, "2");
    std::fs::write(bench.buckets.path().join("bucket/rows.json"), "{\"name\": 1, \"age\": \"x\"}\n").unwrap();
    let refused = bench.run(JobConfiguration { load: Some(load), ..Default::default() }).await.expect("an error");
    assert!(refused.contains("JSON table encountered too many errors"), "{refused}");

    let copy = JobConfigurationTableCopy {
        source_table: Some(bench.table("loaded")),
        destination_table: Some(bench.table("copied")),
        write_disposition: Some("WRITE_TRUNCATE".to_owned()),
        ..Default::default()
    };
    assert_eq!(bench.run(JobConfiguration { copy: Some(copy), ..Default::default() }).await, None);
    assert_eq!(bench.count("copied").await, "2");

    let extract = JobConfigurationExtract {
        source_table: Some(bench.table("copied")),
        destination_uris: Some(vec!["gs://bucket/out.csv".to_owned()]),
        destination_format: Some("CSV".to_owned()),
        ..Default::default()
    };
    assert_eq!(bench.run(JobConfiguration { extract: Some(extract), ..Default::default() }).await, None);
    let csv = std::fs::read_to_string(bench.buckets.path().join("bucket/out.csv")).unwrap();
    let lines: BTreeSet<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines.contains("name,age") || lines.contains("age,name"), "{csv}");
    let jobs = bench.client.job().list(&bench.project).await.unwrap();
    assert!(jobs.jobs.unwrap_or_default().len() >= 4);
}

#[tokio::test]
async fn views_routines_and_statements() {
    let bench = Bench::new().await;
    bench.rows("CREATE TABLE clients.people AS SELECT 'a' AS name, 1 AS age UNION ALL SELECT 'b', 2").await;
    let view = Table::new(&bench.project, DATASET, "adults", TableSchema::default());
    let query = "SELECT name FROM clients.people WHERE age > 1".to_owned();
    let view =
        Table { view: Some(ViewDefinition { query, use_legacy_sql: Some(false), ..Default::default() }), ..view };
    bench.client.table().create(view).await.expect("a view");
    assert_eq!(bench.rows("SELECT * FROM clients.adults").await, [[Some("b".to_owned())]]);

    bench.rows("CREATE FUNCTION clients.twice(x INT64) RETURNS INT64 AS (x * 2)").await;
    let routines = bench.client.routine();
    // Without a mask production leaves out what the crate wants to see.
    let masked = routine::ListOptions::default().read_mask("routineType,definitionBody".to_owned());
    let listed = routines.list(&bench.project, DATASET, masked).await.unwrap();
    let listed: Vec<_> =
        listed.routines.unwrap_or_default().into_iter().map(|one| one.routine_reference.routine_id).collect();
    assert_eq!(listed, ["twice"]);
    let twice = routines.get(&bench.project, DATASET, "twice").await.unwrap();
    assert_eq!(twice.definition_body, "x * 2");
    assert_eq!(bench.rows("SELECT clients.twice(21)").await, [[Some("42".to_owned())]]);
    routines.delete(&bench.project, DATASET, "twice").await.unwrap();

    let merge = "MERGE clients.people T USING (SELECT 'b' AS name, 3 AS age UNION ALL SELECT 'c', 4) S
                 ON T.name = S.name WHEN MATCHED THEN UPDATE SET age = S.age WHEN NOT MATCHED THEN INSERT ROW";
    let merged = bench.answer(QueryRequest::new(merge)).await;
    assert_eq!(merged.num_dml_affected_rows.as_deref(), Some("2"));
    let rows = bench.rows("SELECT name, age FROM clients.people ORDER BY name").await;
    let rows: Vec<_> = rows.iter().map(|row| (row[0].as_deref().unwrap(), row[1].as_deref().unwrap())).collect();
    assert_eq!(rows, [("a", "1"), ("b", "3"), ("c", "4")]);
    let names = bench.rows("SELECT table_name FROM clients.INFORMATION_SCHEMA.TABLES ORDER BY table_name").await;
    assert_eq!(names, [[Some("adults".to_owned())], [Some("people".to_owned())]]);
}
