//! BigQuery's method names and resources, from verb and path.

use http::Method;

/// `jobs.insert` and `projects/p/jobs` of `POST /bigquery/v2/projects/p/jobs`.
pub fn describe(verb: &Method, path: &str) -> (String, String) {
    let path = ["/resumable", "/upload", "/bigquery/v2"]
        .iter()
        .fold(path, |path, prefix| path.strip_prefix(prefix).unwrap_or(path));
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let custom = parts.last().and_then(|last| last.split_once(':')).map(|(_, custom)| custom.to_owned());
    // `…/tables/t/data`, `…/jobs/j/cancel`: a word behind an id that is no collection.
    const ACTIONS: [&str; 6] = ["data", "insertAll", "cancel", "delete", "serviceAccount", "undelete"];
    let on_action = parts.len() % 2 == 1 && parts.last().is_some_and(|last| ACTIONS.contains(last));
    let action = if on_action { parts.pop() } else { None };
    let resource = parts.join("/");
    let on_collection = parts.len() % 2 == 1;
    let collection = if on_collection { parts.last() } else { parts.iter().rev().nth(1) };
    let collection = collection.copied().unwrap_or("unknown");
    let method = match (action, collection) {
        (Some("data"), _) => "tabledata.list".to_owned(),
        (Some("insertAll"), _) => "tabledata.insertAll".to_owned(),
        (Some("serviceAccount"), _) => "projects.getServiceAccount".to_owned(),
        (Some(action), collection) => format!("{collection}.{action}"),
        (None, "queries") => if on_collection { "jobs.query" } else { "jobs.getQueryResults" }.to_owned(),
        (None, collection) => {
            let verb = match (custom, verb.as_str(), on_collection) {
                (Some(custom), ..) => custom,
                (None, "GET", true) => "list".to_owned(),
                (None, "GET", false) => "get".to_owned(),
                (None, "POST" | "PUT", true) => "insert".to_owned(),
                (None, "PUT", false) => "update".to_owned(),
                (None, "PATCH", _) => "patch".to_owned(),
                (None, "DELETE", _) => "delete".to_owned(),
                (None, other, _) => other.to_ascii_lowercase(),
            };
            format!("{collection}.{verb}")
        }
    };
    (method, resource)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("POST", "/bigquery/v2/projects/p/jobs", "jobs.insert", "projects/p/jobs")]
    #[case("POST", "/upload/bigquery/v2/projects/p/jobs", "jobs.insert", "projects/p/jobs")]
    #[case("PUT", "/upload/bigquery/v2/projects/p/jobs", "jobs.insert", "projects/p/jobs")]
    #[case("POST", "/projects/p/queries", "jobs.query", "projects/p/queries")]
    #[case("GET", "/bigquery/v2/projects/p/queries/j", "jobs.getQueryResults", "projects/p/queries/j")]
    #[case("GET", "/bigquery/v2/projects/p/jobs/j", "jobs.get", "projects/p/jobs/j")]
    #[case("POST", "/bigquery/v2/projects/p/jobs/j/cancel", "jobs.cancel", "projects/p/jobs/j")]
    #[case("GET", "/bigquery/v2/projects/p/datasets", "datasets.list", "projects/p/datasets")]
    #[case("GET", "/bigquery/v2/projects/p/datasets/d/tables", "tables.list", "projects/p/datasets/d/tables")]
    #[case("PATCH", "/bigquery/v2/projects/p/datasets/d/tables/t", "tables.patch", "projects/p/datasets/d/tables/t")]
    #[case("DELETE", "/bigquery/v2/projects/p/datasets/d/tables/t", "tables.delete", "projects/p/datasets/d/tables/t")]
    #[case(
        "GET",
        "/bigquery/v2/projects/p/datasets/d/tables/t/data",
        "tabledata.list",
        "projects/p/datasets/d/tables/t"
    )]
    #[case(
        "POST",
        "/bigquery/v2/projects/p/datasets/d/tables/t/insertAll",
        "tabledata.insertAll",
        "projects/p/datasets/d/tables/t"
    )]
    #[case(
        "POST",
        "/bigquery/v2/projects/p/datasets/d/tables/t:getIamPolicy",
        "tables.getIamPolicy",
        "projects/p/datasets/d/tables/t:getIamPolicy"
    )]
    #[case("GET", "/bigquery/v2/projects/p/serviceAccount", "projects.getServiceAccount", "projects/p")]
    #[case("GET", "/bigquery/v2/projects", "projects.list", "projects")]
    fn names(#[case] verb: &str, #[case] path: &str, #[case] method: &str, #[case] resource: &str) {
        let verb = Method::from_bytes(verb.as_bytes()).expect("a method");
        assert_eq!(describe(&verb, path), (method.to_owned(), resource.to_owned()));
    }

    proptest! {
        #[test]
        fn never_panics(path in "/?[a-z/:]{0,40}") {
            describe(&Method::POST, &path);
        }
    }
}
