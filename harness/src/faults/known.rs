//! The names by which the services' calls go: a fault on a name that is none strikes nothing.

use std::collections::BTreeSet;

use scrimmage_core::faults::{Fault, Match};

use crate::mistakes::did_you_mean;

const SERVICES: [&str; 3] = ["firestore", "pubsub", "bigquery"];

const FIRESTORE: &[&str] = &[
    "GetDocument",
    "ListDocuments",
    "UpdateDocument",
    "DeleteDocument",
    "BatchGetDocuments",
    "BeginTransaction",
    "Commit",
    "Rollback",
    "RunQuery",
    "ExecutePipeline",
    "RunAggregationQuery",
    "PartitionQuery",
    "Write",
    "Listen",
    "ListCollectionIds",
    "BatchWrite",
    "CreateDocument",
];

const PUBSUB: &[&str] = &[
    "CreateTopic",
    "UpdateTopic",
    "Publish",
    "GetTopic",
    "ListTopics",
    "ListTopicSubscriptions",
    "ListTopicSnapshots",
    "DeleteTopic",
    "DetachSubscription",
    "CreateSubscription",
    "GetSubscription",
    "UpdateSubscription",
    "ListSubscriptions",
    "DeleteSubscription",
    "ModifyAckDeadline",
    "Acknowledge",
    "Pull",
    "StreamingPull",
    "ModifyPushConfig",
    "GetSnapshot",
    "ListSnapshots",
    "CreateSnapshot",
    "UpdateSnapshot",
    "DeleteSnapshot",
    "Seek",
    "CreateSchema",
    "GetSchema",
    "ListSchemas",
    "ListSchemaRevisions",
    "CommitSchema",
    "RollbackSchema",
    "DeleteSchemaRevision",
    "DeleteSchema",
    "ValidateSchema",
    "ValidateMessage",
    "SetIamPolicy",
    "GetIamPolicy",
    "TestIamPermissions",
    "Push",
];

const BIGQUERY: &[&str] = &[
    "datasets.delete",
    "datasets.get",
    "datasets.insert",
    "datasets.list",
    "datasets.patch",
    "datasets.undelete",
    "datasets.update",
    "jobs.cancel",
    "jobs.delete",
    "jobs.get",
    "jobs.getQueryResults",
    "jobs.insert",
    "jobs.list",
    "jobs.query",
    "jobs.run",
    "models.delete",
    "models.get",
    "models.list",
    "models.patch",
    "projects.getServiceAccount",
    "projects.list",
    "routines.delete",
    "routines.get",
    "routines.insert",
    "routines.list",
    "routines.update",
    "rowAccessPolicies.batchDelete",
    "rowAccessPolicies.delete",
    "rowAccessPolicies.get",
    "rowAccessPolicies.insert",
    "rowAccessPolicies.list",
    "rowAccessPolicies.update",
    "tabledata.insertAll",
    "tabledata.list",
    "tables.delete",
    "tables.get",
    "tables.getIamPolicy",
    "tables.insert",
    "tables.list",
    "tables.patch",
    "tables.setIamPolicy",
    "tables.testIamPermissions",
    "tables.update",
    "CreateReadSession",
    "ReadRows",
    "SplitReadStream",
    "CreateWriteStream",
    "AppendRows",
    "GetWriteStream",
    "FinalizeWriteStream",
    "BatchCommitWriteStreams",
    "FlushRows",
];

/// Methods beyond those that data goes by: administration of indexes and databases.
const ADMINISTRATION: &[&str] = &[
    "CreateIndex",
    "ListIndexes",
    "GetIndex",
    "DeleteIndex",
    "GetField",
    "UpdateField",
    "ListFields",
    "ExportDocuments",
    "ImportDocuments",
    "BulkDeleteDocuments",
    "CreateDatabase",
    "GetDatabase",
    "ListDatabases",
    "UpdateDatabase",
    "DeleteDatabase",
    "GetOperation",
    "ListOperations",
];

/// What is wrong with a fault that can strike nothing, whatever the pipeline does: the text to look for in
/// the file, and the problem.
pub(super) fn strikes_nothing(fault: &Fault) -> Result<(), (String, String)> {
    let Match { service, method, .. } = &fault.on;
    let matching: Vec<&str> =
        SERVICES.into_iter().filter(|name| service.as_ref().is_none_or(|glob| glob.matches(name))).collect();
    if let (Some(glob), true) = (service, matching.is_empty()) {
        let written = written(glob);
        let guess = did_you_mean(&written, SERVICES);
        let problem = format!(
            "the fault strikes nothing: there is no service `{written}`{guess}; there are {}",
            SERVICES.join(", ")
        );
        return Err((written, problem));
    }
    let Some(glob) = method else { return Ok(()) };
    let methods: BTreeSet<&str> = matching.iter().flat_map(|service| methods_of(service)).copied().collect();
    if methods.iter().any(|name| glob.matches(name)) {
        return Ok(());
    }
    let written = written(glob);
    let elsewhere = SERVICES.iter().find(|service| methods_of(service).any(|name| glob.matches(name)));
    let hint = match elsewhere {
        Some(service) => format!("; it is one of {service}'s"),
        None => did_you_mean(&written, methods),
    };
    let of = matching.join(", ");
    Err((written.clone(), format!("the fault strikes nothing: {of} has no method `{written}`{hint}")))
}

fn methods_of(service: &str) -> impl Iterator<Item = &'static &'static str> {
    let (own, more): (&[&str], &[&str]) = match service {
        "firestore" => (FIRESTORE, ADMINISTRATION),
        "pubsub" => (PUBSUB, &[]),
        _ => (BIGQUERY, &[]),
    };
    own.iter().chain(more)
}

/// A pattern as the file has it.
fn written(glob: &scrimmage_core::glob::Glob) -> String {
    serde_json::to_value(glob).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(on: &str) -> Option<String> {
        let fault: Fault = serde_json::from_str(&format!(r#"{{"on": {on}, "delay": "1s"}}"#)).expect("a fault");
        strikes_nothing(&fault).err().map(|(_, problem)| problem)
    }

    #[test]
    fn names_and_patterns_that_may_strike_pass() {
        for on in [
            r#"{}"#,
            r#"{"service": "firestore", "method": "Commit"}"#,
            r#"{"service": "*", "method": "{Commit,BatchWrite}"}"#,
            r#"{"method": "jobs.*"}"#,
            r#"{"service": "firestore", "method": "CreateIndex"}"#,
        ] {
            assert_eq!(problem(on), None, "{on}");
        }
    }

    #[test]
    fn names_that_nothing_goes_by_are_told_with_a_guess() {
        let service = problem(r#"{"service": "firestor"}"#).expect("a problem");
        assert!(service.contains("no service `firestor` (did you mean `firestore`?)"), "{service}");
        let method = problem(r#"{"service": "firestore", "method": "Comit"}"#).expect("a problem");
        assert!(method.contains("firestore has no method `Comit` (did you mean `Commit`?)"), "{method}");
        let elsewhere = problem(r#"{"service": "pubsub", "method": "Commit"}"#).expect("a problem");
        assert!(elsewhere.contains("it is one of firestore's"), "{elsewhere}");
    }
}
