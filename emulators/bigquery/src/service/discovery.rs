//! `GET /$discovery/rest`: the machine-readable description of this API, from which `bq` and Google's
//! API client for Python build their methods when they are pointed at another address.
//!
//! Names, paths and parameters are those of the [REST reference](https://cloud.google.com/bigquery/docs/reference/rest);
//! schemas are objects of any content: the clients ask only that they exist.

use axum::Json as Answer;
use serde_json::{Map, Value as Json, json};

use super::Caller;

const PROJECT: &str = "projects/{+projectId}";
const DATASET: &str = "projects/{+projectId}/datasets/{+datasetId}";
const TABLE: &str = "projects/{+projectId}/datasets/{+datasetId}/tables/{+tableId}";
const ROUTINE: &str = "projects/{+projectId}/datasets/{+datasetId}/routines/{+routineId}";
const MODEL: &str = "projects/{+projectId}/datasets/{+datasetId}/models/{+modelId}";
const POLICY: &str = "projects/{+projectId}/datasets/{+datasetId}/tables/{+tableId}/rowAccessPolicies/{+policyId}";
const JOB: &str = "projects/{+projectId}/jobs/{+jobId}";
/// The schema of every answer.
const ANSWER: &str = "Answer";
const PAGES: &str = "maxResults:integer pageToken";

/// One method: resource and name, HTTP method, path (from a constant, and what follows), query
/// parameters (`name`, `name:type`; a star repeats), the schema of the body.
struct Method {
    name: &'static str,
    http: &'static str,
    path: (&'static str, &'static str),
    query: &'static [&'static str],
    body: Option<&'static str>,
}

const fn method(
    name: &'static str,
    http: &'static str,
    path: (&'static str, &'static str),
    query: &'static [&'static str],
    body: Option<&'static str>,
) -> Method {
    Method { name, http, path, query, body }
}

const METHODS: &[Method] = &[
    method("projects.list", "GET", ("projects", ""), &[PAGES], None),
    method("projects.getServiceAccount", "GET", (PROJECT, "/serviceAccount"), &[], None),
    method("datasets.list", "GET", (PROJECT, "/datasets"), &[PAGES, "all:boolean filter"], None),
    method("datasets.insert", "POST", (PROJECT, "/datasets"), &["accessPolicyVersion:integer"], Some("Dataset")),
    method("datasets.get", "GET", (DATASET, ""), &["accessPolicyVersion:integer datasetView"], None),
    method("datasets.update", "PUT", (DATASET, ""), &["accessPolicyVersion:integer updateMode"], Some("Dataset")),
    method("datasets.patch", "PATCH", (DATASET, ""), &["accessPolicyVersion:integer updateMode"], Some("Dataset")),
    method("datasets.delete", "DELETE", (DATASET, ""), &["deleteContents:boolean"], None),
    method("datasets.undelete", "POST", (DATASET, ":undelete"), &[], Some("UndeleteDatasetRequest")),
    method("tables.list", "GET", (DATASET, "/tables"), &[PAGES], None),
    method("tables.insert", "POST", (DATASET, "/tables"), &[], Some("Table")),
    method("tables.get", "GET", (TABLE, ""), &["selectedFields view"], None),
    method("tables.update", "PUT", (TABLE, ""), &["autodetect_schema:boolean"], Some("Table")),
    method("tables.patch", "PATCH", (TABLE, ""), &["autodetect_schema:boolean"], Some("Table")),
    method("tables.delete", "DELETE", (TABLE, ""), &[], None),
    method("tables.getIamPolicy", "POST", (TABLE, ":getIamPolicy"), &[], Some("GetIamPolicyRequest")),
    method("tables.setIamPolicy", "POST", (TABLE, ":setIamPolicy"), &[], Some("SetIamPolicyRequest")),
    method("tables.testIamPermissions", "POST", (TABLE, ":testIamPermissions"), &[], Some("TestIamPermissionsRequest")),
    method(
        "tabledata.list",
        "GET",
        (TABLE, "/data"),
        &[
            PAGES,
            "selectedFields startIndex formatOptions.useInt64Timestamp:boolean formatOptions.timestampOutputFormat",
        ],
        None,
    ),
    method("tabledata.insertAll", "POST", (TABLE, "/insertAll"), &[], Some("TableDataInsertAllRequest")),
    method("routines.list", "GET", (DATASET, "/routines"), &[PAGES, "filter readMask"], None),
    method("routines.insert", "POST", (DATASET, "/routines"), &[], Some("Routine")),
    method("routines.get", "GET", (ROUTINE, ""), &["readMask"], None),
    method("routines.update", "PUT", (ROUTINE, ""), &[], Some("Routine")),
    method("routines.delete", "DELETE", (ROUTINE, ""), &[], None),
    method("models.list", "GET", (DATASET, "/models"), &[PAGES], None),
    method("models.get", "GET", (MODEL, ""), &[], None),
    method("models.patch", "PATCH", (MODEL, ""), &[], Some("Model")),
    method("models.delete", "DELETE", (MODEL, ""), &[], None),
    method("rowAccessPolicies.list", "GET", (TABLE, "/rowAccessPolicies"), &["pageSize:integer pageToken"], None),
    method("rowAccessPolicies.insert", "POST", (TABLE, "/rowAccessPolicies"), &[], Some("RowAccessPolicy")),
    method("rowAccessPolicies.get", "GET", (POLICY, ""), &[], None),
    method("rowAccessPolicies.update", "PUT", (POLICY, ""), &[], Some("RowAccessPolicy")),
    method("rowAccessPolicies.delete", "DELETE", (POLICY, ""), &["force:boolean"], None),
    method(
        "rowAccessPolicies.batchDelete",
        "POST",
        (TABLE, "/rowAccessPolicies:batchDelete"),
        &[],
        Some("BatchDeleteRowAccessPoliciesRequest"),
    ),
    method(
        "jobs.list",
        "GET",
        (PROJECT, "/jobs"),
        &[PAGES, "allUsers:boolean maxCreationTime minCreationTime parentJobId projection stateFilter*"],
        None,
    ),
    method("jobs.insert", "POST", (PROJECT, "/jobs"), &[], Some("Job")),
    method("jobs.get", "GET", (JOB, ""), &["location"], None),
    method("jobs.cancel", "POST", (JOB, "/cancel"), &["location"], None),
    method("jobs.delete", "DELETE", (JOB, "/delete"), &["location"], None),
    method("jobs.query", "POST", (PROJECT, "/queries"), &[], Some("QueryRequest")),
    method(
        "jobs.getQueryResults",
        "GET",
        ("projects/{+projectId}/queries/{+jobId}", ""),
        &[
            PAGES,
            "location startIndex timeoutMs:integer formatOptions.useInt64Timestamp:boolean \
             formatOptions.timestampOutputFormat",
        ],
        None,
    ),
];

pub async fn describe(caller: Caller) -> Answer<Json> {
    Answer(document(&caller.base))
}

fn document(base: &str) -> Json {
    let (mut resources, mut schemas) = (Map::new(), Map::new());
    schemas.insert(ANSWER.to_owned(), json!({ "id": ANSWER, "type": "object" }));
    for method in METHODS {
        let (resource, name) = method.name.split_once('.').unwrap_or((method.name, ""));
        resources.entry(resource).or_insert_with(|| json!({ "methods": {} }))["methods"][name] = described(method);
        if let Some(schema) = method.body {
            schemas.insert(schema.to_owned(), json!({ "id": schema, "type": "object" }));
        }
    }
    json!({
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "bigquery:v2",
        "name": "bigquery",
        "version": "v2",
        "title": "BigQuery API",
        "protocol": "rest",
        "rootUrl": format!("{base}/"),
        "servicePath": "bigquery/v2/",
        "basePath": "/bigquery/v2/",
        "baseUrl": format!("{base}/bigquery/v2/"),
        "batchPath": "batch/bigquery/v2",
        "parameters": parameters("alt fields key oauth_token prettyPrint:boolean quotaUser userIp trace", "query"),
        "schemas": schemas,
        "resources": resources,
    })
}

fn described(method: &Method) -> Json {
    let path = format!("{}{}", method.path.0, method.path.1);
    let order: Vec<&str> =
        path.split("{+").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect();
    let mut all = parameters(&order.join(" "), "path");
    all.extend(parameters(&method.query.join(" "), "query"));
    let mut described = json!({
        "id": format!("bigquery.{}", method.name),
        "httpMethod": method.http,
        "path": path,
        "parameterOrder": order,
        "parameters": all,
    });
    // A client takes the answer for bytes where this is missing.
    if method.http != "DELETE" {
        described["response"] = json!({ "$ref": ANSWER });
    }
    if let Some(schema) = method.body {
        described["request"] = json!({ "$ref": schema });
    }
    if method.name == "jobs.insert" {
        let upload =
            |protocol: &str| json!({ "multipart": true, "path": format!("/{protocol}upload/bigquery/v2/{path}") });
        described["supportsMediaUpload"] = Json::Bool(true);
        described["mediaUpload"] = json!({
            "accept": ["*/*"],
            "protocols": { "simple": upload(""), "resumable": upload("resumable/") },
        });
    }
    described
}

/// `name`, `name:type`, `name*`, with spaces between them, as parameter descriptions.
fn parameters(list: &str, location: &str) -> Map<String, Json> {
    list.split_whitespace()
        .map(|written| {
            let (name, kind) =
                written.trim_end_matches('*').split_once(':').unwrap_or((written.trim_end_matches('*'), "string"));
            let mut parameter = json!({ "type": kind, "location": location });
            if location == "path" {
                parameter["required"] = Json::Bool(true);
                parameter["pattern"] = json!("^[^/]+$");
            }
            if written.ends_with('*') {
                parameter["repeated"] = Json::Bool(true);
            }
            (name.to_owned(), parameter)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_tells_its_parameters_and_body() {
        let document = document("http://127.0.0.1:1");
        let get = &document["resources"]["tables"]["methods"]["get"];
        assert_eq!(get["parameterOrder"], json!(["projectId", "datasetId", "tableId"]));
        assert_eq!(get["parameters"]["tableId"]["required"], json!(true));
        assert_eq!(get["parameters"]["view"]["location"], json!("query"));
        let list = &document["resources"]["jobs"]["methods"]["list"];
        assert_eq!(list["parameters"]["stateFilter"]["repeated"], json!(true));
        assert_eq!(list["parameters"]["maxResults"]["type"], json!("integer"));
        let insert = &document["resources"]["jobs"]["methods"]["insert"];
        assert_eq!(
            insert["mediaUpload"]["protocols"]["simple"]["path"],
            "/upload/bigquery/v2/projects/{+projectId}/jobs"
        );
        for method in METHODS {
            if let Some(schema) = method.body {
                assert_eq!(document["schemas"][schema]["id"], schema);
            }
        }
    }
}
