//! Random names, field paths, messages and REST bodies against Firestore: no panic, no hang, and
//! every refusal is a proper status.
//!
//! A run tries a fixed number of cases from a fixed seed. For a longer one:
//! `FIRESTORE_FUZZ_SECONDS=900 FIRESTORE_FUZZ_SEED=7 cargo test -p scrimmage-suite --test firestore_fuzz`.

#![allow(clippy::expect_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use scrimmage_core::{Clock, Rng, Timestamp};
use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::firestore::v1::firestore_client::FirestoreClient;
use scrimmage_suite::Suite;
use serde_json::{Value as Json, json};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Cases of a plain test run, of each kind.
const CASES: u64 = 400;
/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(20);
const ROOT: &str = "projects/demo/databases/(default)/documents";

/// Makes things up.
struct Dice(Rng);

impl Dice {
    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.0.below(all.len() as u64) as usize]
    }

    fn upto(&mut self, most: u64) -> usize {
        self.0.below(most + 1) as usize
    }

    fn list<T>(&mut self, most: u64, mut one: impl FnMut(&mut Dice) -> T) -> Vec<T> {
        (0..self.upto(most)).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        self.0.chance(0.5).then(|| one(self))
    }

    /// A text of troublesome pieces.
    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a",
            "b1",
            ".",
            "..",
            "`",
            "\\",
            "\\`",
            "-",
            "/",
            "//",
            "__x__",
            "__name__",
            "__id7__",
            "(default)",
            " ",
            "",
            "é",
            "\u{1F600}",
            "\0",
            "\n",
            "\"",
            "%",
            "*",
            ":",
            "projects/",
            "documents",
            "0",
            "~",
            "[]",
            "{",
            "null",
        ];
        let long = self.0.chance(0.01);
        let mut text: String = self.list(5, |dice| dice.pick(PIECES)).concat();
        if long {
            text.push_str(&"y".repeat(1_600));
        }
        text
    }

    fn id(&mut self) -> String {
        if self.0.chance(0.8) { self.pick(&["a", "b", "c", "d"]).to_owned() } else { self.text() }
    }

    fn path(&mut self) -> String {
        if self.0.chance(0.8) { format!("c/{}", self.id()) } else { self.list(6, Dice::id).join("/") }
    }

    fn name(&mut self) -> String {
        match self.0.below(12) {
            0 => self.text(),
            1 => format!("projects/{}/databases/{}/documents/{}", self.id(), self.id(), self.path()),
            2 => ROOT.to_owned(),
            _ => format!("{ROOT}/{}", self.path()),
        }
    }

    fn parent(&mut self) -> String {
        if self.0.chance(0.8) { ROOT.to_owned() } else { self.name() }
    }

    fn database(&mut self) -> String {
        if self.0.chance(0.9) { "projects/demo/databases/(default)".to_owned() } else { self.text() }
    }

    fn field(&mut self) -> String {
        if self.0.chance(0.7) { self.pick(&["n", "m", "m.k", "`q q`", "__name__"]).to_owned() } else { self.text() }
    }

    fn number(&mut self) -> i64 {
        *self.pick(&[&0, &1, &-1, &2, &7, &i64::MAX, &i64::MIN, &9_007_199_254_740_992])
    }

    fn double(&mut self) -> f64 {
        *self.pick(&[&0.0, &-0.0, &1.5, &f64::NAN, &f64::INFINITY, &f64::NEG_INFINITY, &1e308, &5e-324])
    }

    fn time(&mut self) -> prost_types::Timestamp {
        let seconds = *self.pick(&[&0, &1_767_225_600, &-62_135_596_800, &253_402_300_800, &i64::MAX, &i64::MIN]);
        prost_types::Timestamp { seconds, nanos: *self.pick(&[&0, &1_000, &1, &-1, &999_999_999, &i32::MAX]) }
    }

    fn value(&mut self, depth: u32) -> pb::Value {
        use pb::value::ValueType as V;
        let kind = match self.0.below(if depth == 0 { 9 } else { 12 }) {
            0 => return pb::Value::default(),
            1 => V::NullValue(0),
            2 => V::BooleanValue(true),
            3 => V::IntegerValue(self.number()),
            4 => V::DoubleValue(self.double()),
            5 => V::TimestampValue(self.time()),
            6 => V::StringValue(self.text()),
            7 => V::ReferenceValue(self.name()),
            8 => V::BytesValue(self.text().into_bytes().into()),
            9 => V::ArrayValue(pb::ArrayValue { values: self.list(3, |dice| dice.value(depth - 1)) }),
            10 => V::MapValue(pb::MapValue {
                fields: [
                    ("__type__".to_owned(), pb::Value { value_type: Some(V::StringValue("__vector__".to_owned())) }),
                    (self.pick(&["value", "other"]).to_owned(), self.value(depth - 1)),
                ]
                .into(),
            }),
            _ => V::MapValue(pb::MapValue { fields: self.fields(depth - 1) }),
        };
        pb::Value { value_type: Some(kind) }
    }

    fn fields(&mut self, depth: u32) -> std::collections::HashMap<String, pb::Value> {
        self.list(3, |dice| (dice.id(), dice.value(depth)))
            .into_iter()
            .chain([("n".to_owned(), self.value(0))])
            .collect()
    }

    fn write(&mut self) -> pb::Write {
        use pb::document_transform::{FieldTransform, field_transform::TransformType as T};
        use pb::write::Operation;
        let depth = *self.pick(&[&0, &2, &25]);
        let transform = |dice: &mut Dice| FieldTransform {
            field_path: dice.field(),
            transform_type: dice.maybe(|dice| match dice.0.below(4) {
                0 => T::Increment(dice.value(1)),
                1 => T::Maximum(dice.value(1)),
                2 => T::SetToServerValue(dice.upto(3) as i32),
                _ => T::AppendMissingElements(pb::ArrayValue { values: dice.list(3, |dice| dice.value(1)) }),
            }),
        };
        let document = pb::Document { name: self.name(), fields: self.fields(depth), ..Default::default() };
        let operation = match self.0.below(8) {
            0 => None,
            1 => Some(Operation::Delete(document.name)),
            2 => Some(Operation::Transform(pb::DocumentTransform {
                document: document.name,
                field_transforms: self.list(3, transform),
            })),
            _ => Some(Operation::Update(document)),
        };
        pb::Write {
            update_mask: self.maybe(Dice::mask),
            update_transforms: if self.0.chance(0.3) { self.list(3, transform) } else { Vec::new() },
            current_document: self.0.chance(0.2).then(|| pb::Precondition {
                condition_type: self.maybe(|dice| match dice.0.below(2) {
                    0 => pb::precondition::ConditionType::Exists(dice.0.chance(0.5)),
                    _ => pb::precondition::ConditionType::UpdateTime(dice.time()),
                }),
            }),
            operation,
        }
    }

    fn mask(&mut self) -> pb::DocumentMask {
        pb::DocumentMask { field_paths: self.list(3, Dice::field) }
    }

    fn filter(&mut self, depth: u32) -> pb::structured_query::Filter {
        use pb::structured_query::filter::FilterType as F;
        use pb::structured_query::{CompositeFilter, FieldFilter, Filter, UnaryFilter, unary_filter};
        let field = pb::structured_query::FieldReference { field_path: self.field() };
        let kind = match self.0.below(if depth == 0 { 2 } else { 4 }) {
            0 => F::FieldFilter(FieldFilter {
                field: Some(field),
                op: self.upto(11) as i32,
                value: self.maybe(|dice| dice.value(2)),
            }),
            1 => F::UnaryFilter(UnaryFilter {
                op: self.upto(6) as i32,
                operand_type: Some(unary_filter::OperandType::Field(field)),
            }),
            _ => F::CompositeFilter(CompositeFilter {
                op: self.upto(3) as i32,
                filters: self.list(4, |dice| dice.filter(depth - 1)),
            }),
        };
        Filter { filter_type: self.0.chance(0.95).then_some(kind) }
    }

    fn query(&mut self) -> pb::StructuredQuery {
        use pb::structured_query::{CollectionSelector, FieldReference, Order, Projection};
        let field = |dice: &mut Dice| FieldReference { field_path: dice.field() };
        let cursor =
            |dice: &mut Dice| pb::Cursor { values: dice.list(3, |dice| dice.value(1)), before: dice.0.chance(0.5) };
        let depth = *self.pick(&[&0, &1, &3, &30]);
        pb::StructuredQuery {
            select: self.maybe(|dice| Projection { fields: dice.list(3, field) }),
            from: if self.0.chance(0.9) {
                let all_descendants = self.0.chance(0.3);
                let collection_id = if self.0.chance(0.8) { "c".to_owned() } else { self.text() };
                vec![CollectionSelector { collection_id, all_descendants }]
            } else {
                self.list(2, |dice| CollectionSelector { collection_id: dice.id(), all_descendants: true })
            },
            r#where: self.maybe(|dice| dice.filter(depth)),
            order_by: self.list(3, |dice| Order { field: dice.maybe(field), direction: dice.upto(3) as i32 }),
            start_at: self.maybe(cursor),
            end_at: self.maybe(cursor),
            offset: *self.pick(&[&0, &0, &1, &-1, &i32::MAX]),
            limit: self.maybe(|dice| *dice.pick(&[&0, &1, &10, &-1, &i32::MAX])),
            ..Default::default()
        }
    }

    /// A target and a body for a REST call.
    fn rest(&mut self) -> (&'static str, String, String) {
        let verb = self.pick(&["GET", "POST", "PATCH", "DELETE", "PUT"]);
        let encoded = |text: String| {
            let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"/:().-_~".contains(&byte);
            let one = |byte: u8| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            text.into_bytes().into_iter().map(one).collect::<String>()
        };
        let method =
            self.pick(&["", "", ":commit", ":batchGet", ":runQuery", ":beginTransaction", ":batchWrite", ":x"]);
        let name = encoded(self.name());
        let query = match self.0.below(4) {
            0 => format!(
                "?{}={}",
                self.pick(&["documentId", "pageSize", "updateMask.fieldPaths", "readTime", "x"]),
                encoded(self.text())
            ),
            1 => "?%".to_owned(),
            _ => String::new(),
        };
        let mut body = self.json(4).to_string();
        if self.0.chance(0.2) {
            // Cut, or with something in the middle that does not belong there.
            let at =
                (0..=body.len()).filter(|at| body.is_char_boundary(*at)).nth(self.upto(body.chars().count() as u64));
            let at = at.unwrap_or(0);
            if self.0.chance(0.5) {
                body.truncate(at)
            } else {
                body.insert_str(at, self.pick(&["{", "]", "\"", "\\u12", "-", "1e999"]))
            }
        }
        if self.0.chance(0.005) {
            body = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        }
        (verb, format!("/v1/{name}{method}{query}"), body)
    }

    fn json(&mut self, depth: u32) -> Json {
        const KEYS: &[&str] = &[
            "fields",
            "name",
            "writes",
            "update",
            "delete",
            "transform",
            "fieldPath",
            "mapValue",
            "arrayValue",
            "values",
            "integerValue",
            "doubleValue",
            "stringValue",
            "nullValue",
            "timestampValue",
            "bytesValue",
            "geoPointValue",
            "structuredQuery",
            "from",
            "collectionId",
            "where",
            "fieldFilter",
            "op",
            "value",
            "documents",
            "updateMask",
            "fieldPaths",
            "currentDocument",
            "exists",
            "readTime",
            "transaction",
            "options",
            "readOnly",
            "limit",
            "n",
        ];
        match self.0.below(if depth == 0 { 6 } else { 11 }) {
            0 => Json::Null,
            1 => json!(self.number()),
            2 => json!(self.double()),
            3 => json!(self.text()),
            4 => json!(self.name()),
            5 => json!(self.number().to_string()),
            6 => Json::Array(self.list(3, |dice| dice.json(depth - 1))),
            _ => Json::Object(
                self.list(4, |dice| (dice.pick(KEYS).to_owned(), dice.json(depth - 1))).into_iter().collect(),
            ),
        }
    }
}

/// Fails for what no client may ever see.
#[track_caller]
fn proper(what: &str, refusal: &Status) {
    let codes = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::Unimplemented,
    ];
    assert!(codes.contains(&refusal.code()) && !refusal.message().is_empty(), "{what}: {refusal:?}");
}

/// One random call; a refusal, if there was one.
async fn call(client: &mut FirestoreClient<Channel>, dice: &mut Dice) -> (String, Option<Status>) {
    macro_rules! unary {
        ($method:ident, $request:expr) => {{
            let request = $request;
            let what = format!("{request:?}");
            (what, client.$method(request).await.err())
        }};
    }
    macro_rules! stream {
        ($method:ident, $request:expr) => {{
            let request = $request;
            let what = format!("{request:?}");
            let refusal = match client.$method(request).await {
                Err(refusal) => Some(refusal),
                Ok(answers) => {
                    let mut answers = answers.into_inner();
                    loop {
                        match answers.message().await {
                            Ok(Some(_)) => {}
                            Ok(None) => break None,
                            Err(refusal) => break Some(refusal),
                        }
                    }
                }
            };
            (what, refusal)
        }};
    }
    match dice.0.below(9) {
        0 => unary!(
            get_document,
            pb::GetDocumentRequest { name: dice.name(), mask: dice.maybe(Dice::mask), ..Default::default() }
        ),
        1 => unary!(
            create_document,
            pb::CreateDocumentRequest {
                parent: dice.parent(),
                collection_id: dice.id(),
                document_id: dice.id(),
                document: dice.maybe(|dice| pb::Document { fields: dice.fields(2), ..Default::default() }),
                mask: None,
            }
        ),
        2 => unary!(
            list_documents,
            pb::ListDocumentsRequest {
                parent: dice.parent(),
                collection_id: dice.id(),
                page_size: *dice.pick(&[&0, &1, &-1, &i32::MAX]),
                page_token: dice.text(),
                order_by: dice.field(),
                ..Default::default()
            }
        ),
        3 => unary!(
            batch_write,
            pb::BatchWriteRequest {
                database: dice.database(),
                writes: dice.list(4, Dice::write),
                ..Default::default()
            }
        ),
        4 => stream!(
            batch_get_documents,
            pb::BatchGetDocumentsRequest {
                database: dice.database(),
                documents: dice.list(4, Dice::name),
                mask: dice.maybe(Dice::mask),
                ..Default::default()
            }
        ),
        5 => unary!(
            list_collection_ids,
            pb::ListCollectionIdsRequest {
                parent: dice.parent(),
                page_size: *dice.pick(&[&0, &1, &-1]),
                page_token: dice.text(),
                ..Default::default()
            }
        ),
        6 | 7 => stream!(
            run_query,
            pb::RunQueryRequest {
                parent: dice.parent(),
                query_type: dice.maybe(|dice| pb::run_query_request::QueryType::StructuredQuery(dice.query())),
                ..Default::default()
            }
        ),
        _ => unary!(
            commit,
            pb::CommitRequest {
                database: dice.database(),
                writes: dice.list(4, Dice::write),
                transaction: if dice.0.chance(0.1) { dice.text().into_bytes().into() } else { Bytes::new() },
            }
        ),
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// How many cases to try: so many, or for so long.
fn going(started: Instant, tried: u64) -> bool {
    match std::env::var("FIRESTORE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()) {
        Some(seconds) => started.elapsed() < Duration::from_secs(seconds),
        None => tried < CASES,
    }
}

fn seed() -> u64 {
    std::env::var("FIRESTORE_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Nobody waits for a lock here, so the clock may stand still.
async fn suite() -> Suite {
    let clock = Clock::virtual_at(Timestamp::from_micros(1_767_225_600_000_000));
    Suite::builder().project("demo").clock(clock).start().await.expect("a suite")
}

#[tokio::test]
async fn random_messages_are_answered_properly() {
    let suite = suite().await;
    let mut client = FirestoreClient::connect(suite.url()).await.expect("a connection");
    let mut dice = Dice(Rng::stream(seed(), "messages"));
    let (started, mut tried) = (Instant::now(), 0);
    while going(started, tried) {
        let (what, refusal) = tokio::time::timeout(PATIENCE, call(&mut client, &mut dice)).await.expect("an answer");
        if let Some(refusal) = refusal {
            proper(&what, &refusal);
        }
        tried += 1;
    }
    println!("{tried} messages");
}

#[tokio::test]
async fn random_rest_calls_are_answered_properly() {
    let suite = suite().await;
    let mut sender = connect(suite.addr()).await;
    let mut dice = Dice(Rng::stream(seed(), "rest"));
    let (started, mut tried) = (Instant::now(), 0);
    while going(started, tried) {
        let (verb, target, body) = dice.rest();
        let what = format!("{verb} {target}\n{}", body.chars().take(2_000).collect::<String>());
        let request = Request::builder()
            .method(verb)
            .uri(&target)
            .header("host", suite.addr().to_string())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)));
        // What is no request at all cannot be sent.
        let Ok(request) = request else { continue };
        if sender.ready().await.is_err() {
            sender = connect(suite.addr()).await;
        }
        let answer = async {
            let answer = sender.send_request(request).await.expect(&what);
            (answer.status().as_u16(), answer.into_body().collect().await.expect(&what).to_bytes())
        };
        let (status, body) = tokio::time::timeout(PATIENCE, answer).await.expect(&what);
        assert!(matches!(status, 200 | 400 | 404 | 405 | 409 | 412 | 501), "{what}: {status}");
        assert!(serde_json::from_slice::<Json>(&body).is_ok(), "{what}: {body:?}");
        tried += 1;
    }
    println!("{tried} REST calls");
}
