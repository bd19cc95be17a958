//! Rows and tables, through the BigQuery client.

use gcp_bigquery_client::error::BQError;
use gcp_bigquery_client::model::get_query_results_parameters::GetQueryResultsParameters;
use gcp_bigquery_client::model::query_request::QueryRequest;
use gcp_bigquery_client::model::table_row::TableRow;
use gcp_bigquery_client::table::ListOptions;
use serde_json::Value;
use std::collections::BTreeSet;

use crate::SetupError;
use crate::clients::Clients;
use crate::stage::provision::Props;

const WAIT_MS: i32 = 60_000;
const TABLES_A_PAGE: u64 = 200;
const TABLES_A_QUERY: usize = 50;

/// A business key as text, in the order of the fixture; a NULL is `None`.
pub type Key = Vec<Option<String>>;

/// What the invariants look at in a row of the main table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MainRow {
    pub key: Key,
    /// The columns that an update must leave alone.
    pub identity: Vec<Option<String>>,
    pub touched: Option<String>,
    pub is_active: bool,
}

/// Runs one statement to its end; its rows as text.
pub async fn run_statement(clients: &Clients, statement: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let mut request = QueryRequest::new(statement);
    request.timeout_ms = Some(WAIT_MS);
    let project = &clients.project;
    let first = clients.bigquery.job().query(project, request).await.map_err(|error| text(&error))?;
    let mut rows = cells(first.rows);
    let mut complete = first.job_complete.unwrap_or(true);
    let mut page_token = first.page_token;
    let reference = first.job_reference;
    let id = reference.as_ref().and_then(|reference| reference.job_id.clone()).unwrap_or_default();
    let location = reference.and_then(|reference| reference.location);
    while !complete || page_token.is_some() {
        let parameters = GetQueryResultsParameters {
            page_token: page_token.take(),
            timeout_ms: Some(WAIT_MS),
            location: location.clone(),
            ..Default::default()
        };
        let page = clients.bigquery.job().get_query_results(project, &id, parameters);
        let page = page.await.map_err(|error| text(&error))?;
        complete = page.job_complete.unwrap_or(true);
        rows.extend(cells(page.rows));
        page_token = page.page_token;
    }
    Ok(rows)
}

fn text(error: &BQError) -> String {
    match error {
        BQError::ResponseError { error } => error.error.message.clone(),
        other => other.to_string(),
    }
}

fn cells(rows: Option<Vec<TableRow>>) -> Vec<Vec<Option<String>>> {
    let cell = |value: Option<Value>| match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    };
    let row = |row: TableRow| row.columns.unwrap_or_default().into_iter().map(|column| cell(column.value)).collect();
    rows.unwrap_or_default().into_iter().map(row).collect()
}

/// The tables of a dataset whose name begins so, oldest pages first.
pub async fn staging_tables(clients: &Clients, dataset: &str, prefix: &str) -> Result<Vec<String>, SetupError> {
    let mut found = Vec::new();
    let mut page_token: Option<String> = None;
    loop {
        let mut options = ListOptions::default().max_results(TABLES_A_PAGE);
        if let Some(token) = page_token.take() {
            options = options.page_token(token);
        }
        let page = clients.bigquery.table().list(&clients.project, dataset, options).await;
        let page = page.map_err(|error| SetupError::observe("the staging tables", text(&error)))?;
        let ids = page.tables.unwrap_or_default().into_iter().map(|table| table.table_reference.table_id);
        found.extend(ids.filter(|id| id.starts_with(prefix)));
        page_token = page.next_page_token;
        if page_token.is_none() {
            return Ok(found);
        }
    }
}

/// Staging tables that are older than a day by the services' clock.
pub(crate) async fn old_staging_tables(clients: &Clients, props: &Props) -> Result<Vec<String>, SetupError> {
    let statement = format!(
        "SELECT table_name FROM `{}`.{}.INFORMATION_SCHEMA.TABLES WHERE STARTS_WITH(table_name, '{}') \
         AND creation_time < TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 24 HOUR) ORDER BY table_name",
        clients.project, props.dataset, props.tables.staging_prefix
    );
    let rows = run_statement(clients, &statement).await;
    let rows = rows.map_err(|error| SetupError::observe("the staging tables' ages", error))?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

fn key_columns(props: &Props) -> String {
    let columns: Vec<String> =
        props.tables.business_key.iter().map(|column| format!("CAST({column} AS STRING)")).collect();
    columns.join(", ")
}

/// The main table's rows of one date.
pub async fn main_rows(clients: &Clients, props: &Props, game_date: &str) -> Result<Vec<MainRow>, SetupError> {
    let tables = &props.tables;
    let identity: Vec<String> = tables.identity.iter().map(|column| format!("CAST({column} AS STRING)")).collect();
    let statement = format!(
        "SELECT {}, {}, CAST({} AS STRING), is_active FROM {} WHERE {} = DATE '{game_date}'",
        key_columns(props),
        identity.join(", "),
        tables.touched,
        props.quoted(&clients.project, &tables.main),
        tables.partition_field,
    );
    let rows =
        run_statement(clients, &statement).await.map_err(|error| SetupError::observe("the main table", error))?;
    let (keys, identities) = (tables.business_key.len(), tables.identity.len());
    let row = |mut cells: Vec<Option<String>>| {
        cells.resize(keys + identities + 2, None);
        let mut cells = cells.into_iter();
        MainRow {
            key: cells.by_ref().take(keys).collect(),
            identity: cells.by_ref().take(identities).collect(),
            touched: cells.next().flatten(),
            is_active: cells.next().flatten().is_some_and(|text| text == "true"),
        }
    };
    Ok(rows.into_iter().map(row).collect())
}

/// The keys that the staging tables hold.
pub(crate) async fn staged_keys(
    clients: &Clients,
    props: &Props,
    tables: &[String],
) -> Result<BTreeSet<Key>, SetupError> {
    let mut keys = BTreeSet::new();
    for some in tables.chunks(TABLES_A_QUERY) {
        let selects: Vec<String> = some
            .iter()
            .map(|table| format!("SELECT {} FROM {}", key_columns(props), props.quoted(&clients.project, table)))
            .collect();
        // Anonymous columns of different names do not disturb a UNION ALL: it goes by position.
        let rows = run_statement(clients, &selects.join(" UNION ALL ")).await;
        keys.extend(rows.map_err(|error| SetupError::observe("the staging tables", error))?);
    }
    Ok(keys)
}
