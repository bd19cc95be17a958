//! The REST routes of the registered services, from the `google.api.http` options of their methods.

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

use super::template::{Captures, Path, Template};

/// One binding of one method.
#[derive(Debug)]
pub struct Rule {
    pub method: MethodDescriptor,
    /// `/google.pubsub.v1.Publisher/Publish`.
    pub grpc_path: String,
    pub body: Body,
    verb: Verb,
    template: Template,
    /// Firestore's get and list differ only in how many segments follow `documents`.
    parity: Option<usize>,
}

/// Where the request body goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    None,
    /// `*`: the whole message.
    All,
    Field(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Get,
    Put,
    Post,
    Delete,
    Patch,
}

const VERBS: [(Verb, &str, http::Method); 5] = [
    (Verb::Get, "get", http::Method::GET),
    (Verb::Put, "put", http::Method::PUT),
    (Verb::Post, "post", http::Method::POST),
    (Verb::Delete, "delete", http::Method::DELETE),
    (Verb::Patch, "patch", http::Method::PATCH),
];

/// All rules; those with a `:verb` behind the path first, since others would take it for an id.
#[derive(Debug, Default)]
pub struct Table {
    rules: Vec<Rule>,
}

impl Table {
    /// The table of these services, by full name; names that the pool does not know are passed over.
    pub fn new<'a>(pool: &DescriptorPool, services: impl IntoIterator<Item = &'a str>) -> Table {
        let mut rules = Vec::new();
        let Some(http) = pool.get_extension_by_name("google.api.http") else { return Table::default() };
        for service in services.into_iter().filter_map(|name| pool.get_service_by_name(name)) {
            for method in service.methods() {
                let options = method.options();
                if !options.has_extension(&http) {
                    continue;
                }
                if let Some(rule) = options.get_extension(&http).as_message() {
                    add(&mut rules, &method, rule, true);
                }
                rules.extend(operation_rules(&method));
                // The shared annotation says POST; Pub/Sub's own REST reference says GET, and clients follow it.
                if method.full_name() == "google.iam.v1.IAMPolicy.GetIamPolicy" {
                    rules.extend(Template::parse("/v1/{resource=**}:getIamPolicy").map(|template| Rule {
                        grpc_path: "/google.iam.v1.IAMPolicy/GetIamPolicy".to_owned(),
                        body: Body::None,
                        verb: Verb::Get,
                        template,
                        parity: None,
                        method: method.clone(),
                    }));
                }
            }
        }
        // Stable: among the like, the order of the `.proto` files.
        rules.sort_by_key(|rule: &Rule| rule.template.verb().is_none());
        Table { rules }
    }

    /// The rule for a request.
    pub fn find(&self, method: &http::Method, path: &Path<'_>) -> Option<(&Rule, Captures<'_>)> {
        let verb = VERBS.iter().find(|row| row.2 == *method)?.0;
        self.rules.iter().filter(|rule| rule.verb == verb).find_map(|rule| {
            if rule.parity.is_some_and(|parity| path.after("documents").is_some_and(|left| left % 2 != parity)) {
                return None;
            }
            Some((rule, rule.template.matches(path)?))
        })
    }
}

/// Where Firestore has the methods of long-running operations, by its REST reference: the shared
/// annotations know of no databases.
fn operation_rules(method: &MethodDescriptor) -> Option<Rule> {
    if method.parent_service().full_name() != "google.longrunning.Operations" {
        return None;
    }
    let (verb, body, pattern) = match method.name() {
        "ListOperations" => (Verb::Get, Body::None, "/v1/{name=projects/*/databases/*}/operations"),
        "GetOperation" => (Verb::Get, Body::None, "/v1/{name=projects/*/databases/*/operations/*}"),
        "DeleteOperation" => (Verb::Delete, Body::None, "/v1/{name=projects/*/databases/*/operations/*}"),
        "CancelOperation" => (Verb::Post, Body::All, "/v1/{name=projects/*/databases/*/operations/*}:cancel"),
        _ => return None,
    };
    let template = Template::parse(pattern)?;
    let grpc_path = format!("/google.longrunning.Operations/{}", method.name());
    Some(Rule { grpc_path, body, verb, template, parity: None, method: method.clone() })
}

fn add(rules: &mut Vec<Rule>, method: &MethodDescriptor, rule: &DynamicMessage, with_more: bool) {
    let text = |name: &str| {
        rule.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty())
    };
    for (verb, field, _) in VERBS {
        if let Some(template) = text(field).and_then(|pattern| Template::parse(&pattern)) {
            rules.push(Rule {
                grpc_path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
                body: match text("body") {
                    None => Body::None,
                    Some(body) if body == "*" => Body::All,
                    Some(body) => Body::Field(body),
                },
                verb,
                template,
                parity: match method.full_name() {
                    "google.firestore.v1.Firestore.GetDocument" => Some(0),
                    "google.firestore.v1.Firestore.ListDocuments" => Some(1),
                    _ => None,
                },
                method: method.clone(),
            });
        }
    }
    // The annotation allows additional bindings one level deep only.
    if let Some(more) = rule.get_field_by_name("additional_bindings").filter(|_| with_more) {
        for binding in more.as_list().into_iter().flatten().filter_map(Value::as_message) {
            add(rules, method, binding, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DOCUMENTS: &str = "/v1/projects/p/databases/(default)/documents";

    #[rstest]
    #[case("GET", "/v1/projects/p/topics", "ListTopics")]
    #[case("GET", "/v1/projects/p/topics/t", "GetTopic")]
    #[case("PUT", "/v1/projects/p/topics/t", "CreateTopic")]
    #[case("POST", "/v1/projects/p/topics/t:publish", "Publish")]
    #[case("GET", "/v1/projects/p/topics/t/subscriptions", "ListTopicSubscriptions")]
    #[case("PATCH", "/v1/projects/p/subscriptions/s", "UpdateSubscription")]
    #[case("GET", "{documents}/users", "ListDocuments")]
    #[case("GET", "{documents}/users/alice", "GetDocument")]
    #[case("GET", "{documents}/users/alice/notes", "ListDocuments")]
    #[case("GET", "{documents}/users/alice/notes/1", "GetDocument")]
    #[case("GET", "/v1/projects/p/databases/(default)/operations", "ListOperations")]
    #[case("GET", "/v1/projects/p/databases/(default)/operations/a", "GetOperation")]
    #[case("POST", "/v1/projects/p/databases/d/operations/a:cancel", "CancelOperation")]
    #[case("POST", "{documents}:commit", "Commit")]
    #[case("POST", "{documents}:runQuery", "RunQuery")]
    #[case("POST", "{documents}/users/alice:runQuery", "RunQuery")]
    #[case("POST", "{documents}/users", "CreateDocument")]
    #[case("POST", "{documents}/users/alice/notes", "CreateDocument")]
    #[case("PATCH", "{documents}/users/alice", "UpdateDocument")]
    #[case("DELETE", "{documents}/users/alice", "DeleteDocument")]
    #[case("POST", "{documents}:listCollectionIds", "ListCollectionIds")]
    #[case("POST", "{documents}:batchWrite", "BatchWrite")]
    fn finds_the_method(#[case] verb: &str, #[case] path: &str, #[case] expected: &str) {
        let services = [
            "google.firestore.v1.Firestore",
            "google.longrunning.Operations",
            "google.pubsub.v1.Publisher",
            "google.pubsub.v1.Subscriber",
        ];
        let table = Table::new(scrimmage_protos::pool(), services);
        let path = path.replace("{documents}", DOCUMENTS);
        let verb = http::Method::from_bytes(verb.as_bytes()).expect("a method");
        let (rule, _) = table.find(&verb, &Path::new(&path).expect("a path")).expect("a rule");
        assert_eq!(rule.method.name(), expected);
    }

    #[test]
    fn finds_nothing_where_nothing_is() {
        let table = Table::new(scrimmage_protos::pool(), ["google.pubsub.v1.Publisher", "no.such.Service"]);
        assert!(table.rules.len() > 5);
        for path in ["/v1/nowhere", "/v2/projects/p/topics", "/v1/projects/p/topics/t:fly"] {
            let found = table.find(&http::Method::POST, &Path::new(path).expect("a path"));
            assert!(found.is_none(), "{path}");
        }
    }
}
