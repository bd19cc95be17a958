//! What the gate knows of each gRPC method: its short name and where its request names resources.

use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor, MethodDescriptor};

use crate::scan;

/// One method of a registered service.
#[derive(Debug)]
pub struct Method {
    /// `firestore`, `pubsub`.
    pub service: Arc<str>,
    /// `Commit`.
    pub name: Arc<str>,
    /// The answer is a stream.
    pub server_streaming: bool,
    /// Tried in order until one finds something.
    places: Vec<Place>,
}

/// Where resource names are.
#[derive(Debug)]
enum Place {
    /// Every string at any of these paths of field numbers.
    All(Vec<Vec<u32>>),
    /// One name put together: the first string of each path, joined by slashes.
    Joined(Vec<Vec<u32>>),
}

/// Fields that name what a request is about, the most telling first.
const FIELDS: [&str; 14] = [
    "name",
    "document",
    "documents",
    "parent",
    "topic",
    "topic.name",
    "subscription",
    "subscription.name",
    "snapshot",
    "snapshot.name",
    "schema.name",
    "resource",
    "database",
    "project",
];

/// Methods whose resources lie deeper: `|` separates places that are all read, `+` joins.
const SPECIAL: [(&str, &str); 9] = [
    ("Commit", "writes.update.name|writes.delete|writes.verify|writes.transform.document"),
    ("BatchWrite", "writes.update.name|writes.delete|writes.transform.document"),
    ("Write", "writes.update.name|writes.delete|writes.verify|writes.transform.document"),
    ("UpdateDocument", "document.name"),
    ("CreateDocument", "parent+collection_id+document_id"),
    ("ListDocuments", "parent+collection_id"),
    ("RunQuery", "parent+structured_query.from.collection_id"),
    ("RunAggregationQuery", "parent+structured_aggregation_query.structured_query.from.collection_id"),
    ("Listen", "add_target.documents.documents|add_target.query.parent"),
];

/// Methods by path (`/google.pubsub.v1.Publisher/Publish`).
pub type Methods = HashMap<String, Arc<Method>>;

/// The methods of the services, given by full name and short name.
pub fn methods<'a>(pool: &DescriptorPool, services: impl IntoIterator<Item = (&'a str, &'a Arc<str>)>) -> Methods {
    let mut methods = HashMap::new();
    for (full_name, short) in services {
        let Some(service) = pool.get_service_by_name(full_name) else { continue };
        for method in service.methods() {
            let path = format!("/{full_name}/{}", method.name());
            methods.insert(path, Arc::new(Method::new(&method, short.clone())));
        }
    }
    methods
}

impl Method {
    fn new(method: &MethodDescriptor, service: Arc<str>) -> Self {
        let input = method.input();
        let mut places = Vec::new();
        if let Some((_, place)) = SPECIAL.iter().find(|row| row.0 == method.name()) {
            let paths = |separator| place.split(separator).filter_map(|path| numbers(&input, path)).collect();
            places.push(if place.contains('+') { Place::Joined(paths('+')) } else { Place::All(paths('|')) });
        }
        places.extend(FIELDS.iter().filter_map(|path| numbers(&input, path)).map(|path| Place::All(vec![path])));
        Method { service, name: method.name().into(), server_streaming: method.is_server_streaming(), places }
    }

    /// The resources that an encoded request names, the main one first.
    pub fn resources(&self, message: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for place in &self.places {
            match place {
                Place::All(paths) => {
                    for path in paths {
                        scan::strings(message, path, &mut found);
                    }
                    if found.iter().any(|name| !name.is_empty()) {
                        return found.iter().filter(|name| !name.is_empty()).map(|name| (*name).to_owned()).collect();
                    }
                    found.clear();
                }
                Place::Joined(paths) => {
                    let mut name = String::new();
                    for path in paths {
                        scan::strings(message, path, &mut found);
                        if let Some(part) = found.first().filter(|part| !part.is_empty()) {
                            if !name.is_empty() {
                                name.push('/');
                            }
                            name.push_str(part);
                        }
                        found.clear();
                    }
                    if !name.is_empty() {
                        return vec![name];
                    }
                }
            }
        }
        Vec::new()
    }
}

/// Field numbers of a dotted path that ends in a string field.
fn numbers(message: &MessageDescriptor, path: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut kind = Kind::Message(message.clone());
    for name in path.split('.') {
        let field = kind.as_message()?.get_field_by_name(name)?;
        numbers.push(field.number());
        kind = field.kind();
    }
    (kind == Kind::String).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use scrimmage_protos::google::firestore::v1 as firestore;
    use scrimmage_protos::google::pubsub::v1 as pubsub;

    use super::*;

    fn resources(method: &str, message: &impl Message) -> Vec<String> {
        let short: Arc<str> = "x".into();
        let services = ["google.firestore.v1.Firestore", "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber"];
        let methods = methods(scrimmage_protos::pool(), services.map(|service| (service, &short)));
        methods.get(method).expect("a method").resources(&message.encode_to_vec())
    }

    #[test]
    fn finds_what_requests_are_about() {
        let publish = pubsub::PublishRequest { topic: "projects/p/topics/t".to_owned(), ..Default::default() };
        assert_eq!(resources("/google.pubsub.v1.Publisher/Publish", &publish), ["projects/p/topics/t"]);
        let subscription = pubsub::Subscription { name: "s".to_owned(), topic: "t".to_owned(), ..Default::default() };
        assert_eq!(resources("/google.pubsub.v1.Subscriber/CreateSubscription", &subscription), ["s"]);
        let create = firestore::CreateDocumentRequest {
            parent: "db/documents".to_owned(),
            collection_id: "prediction_batches".to_owned(),
            document_id: "b".to_owned(),
            ..Default::default()
        };
        let path = "/google.firestore.v1.Firestore/CreateDocument";
        assert_eq!(resources(path, &create), ["db/documents/prediction_batches/b"]);
        let empty = firestore::CommitRequest { database: "db".to_owned(), ..Default::default() };
        assert_eq!(resources("/google.firestore.v1.Firestore/Commit", &empty), ["db"]);
        let get = firestore::BatchGetDocumentsRequest {
            database: "db".to_owned(),
            documents: vec!["a".to_owned(), "b".to_owned()],
            ..Default::default()
        };
        assert_eq!(resources("/google.firestore.v1.Firestore/BatchGetDocuments", &get), ["a", "b"]);
        assert_eq!(
            resources("/google.firestore.v1.Firestore/Rollback", &firestore::RollbackRequest::default()),
            [""; 0]
        );
    }
}
