//! The stage `cloud` against our own services behind TLS, where every call needs the right token.

#![allow(clippy::expect_used, reason = "a test may")]

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use scrimmage::layout::Layout;
use scrimmage::report::{Widths, line};
use scrimmage::run::{Setting, Verdict, rehearse};
use scrimmage::scenario::find;
use scrimmage::stage::cloud::{Cloud, Permission};
use scrimmage::stage::{Backing, StageKind};
use scrimmage_suite::{Remote, Suite, Token};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::transport::Endpoint;

const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");
const PROJECT: &str = "a-real-project";

/// Stands for Google: the suite, and the door to it that asks for a token.
struct Google {
    suite: Suite,
    url: String,
    turned_away: Arc<AtomicUsize>,
}

impl Google {
    async fn open() -> Google {
        let suite = Suite::builder().project(PROJECT).start().await.expect("a suite");
        let channel = Endpoint::from_shared(suite.url()).expect("a URL").connect_lazy();
        let turned_away = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&turned_away);
        let check = move |request: Request, next: Next| {
            let count = Arc::clone(&count);
            async move { checked(request, next, &count).await }
        };
        let router = Remote::new(channel).router().layer(from_fn(check));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(serve(listener, router));
        Google { suite, url: format!("https://localhost:{port}"), turned_away }
    }

    fn cloud(&self, permission: &Permission, token: &'static str) -> Cloud {
        let token: Token = Arc::new(move || {
            Box::pin(async move { format!("Bearer {token}").parse().map_err(|_| "no header".to_owned()) })
        });
        Cloud::elsewhere(permission, &self.url, CERTIFICATE, token).expect("allowed")
    }

    async fn list(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}{path}", self.suite.url())).await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    async fn put(&self, path: &str) {
        let request = reqwest::Client::new().put(format!("{}{path}", self.suite.url())).json(&json!({}));
        assert!(request.send().await.expect("an answer").status().is_success());
    }
}

async fn checked(request: Request, next: Next, turned_away: &AtomicUsize) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if token == Some("Bearer right") {
        return next.run(request).await;
    }
    turned_away.fetch_add(1, Ordering::SeqCst);
    (StatusCode::UNAUTHORIZED, "no valid credentials").into_response()
}

async fn serve(listener: TcpListener, router: Router) {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(socket).await else { return };
            // A connection that breaks is the other end's business.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn permission() -> Permission {
    Permission { project: Some(PROJECT.to_owned()), is_given: true, prefix: Some("mine".to_owned()) }
}

async fn setting(cloud: Cloud) -> Setting {
    let layout = Layout::find().expect("scenarios and fixtures");
    let setting = Setting::prepare(layout, "rust", &|text| eprintln!("{text}")).await.expect("the pipeline is built");
    setting.on_running(StageKind::Cloud, Arc::new(Backing::cloud(cloud)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_in_a_real_project_leaves_nothing_there() {
    let google = Google::open().await;
    google.put(&format!("/v1/projects/{PROJECT}/topics/somebody-elses")).await;
    let setting = setting(google.cloud(&permission(), "right")).await;
    let scenario = find(&setting.layout, "hyphenated-names").expect("a good scenario");
    let outcome = rehearse(&setting, &scenario, None).await.expect("the run takes place");
    assert_eq!(outcome.verdict, Verdict::Holds, "{}", line(&outcome, Widths::default()));
    assert_eq!((outcome.stage.as_str(), google.turned_away.load(Ordering::SeqCst)), ("cloud", 0));

    let topics = google.list(&format!("/v1/projects/{PROJECT}/topics")).await;
    let names: Vec<&str> =
        topics["topics"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, [format!("projects/{PROJECT}/topics/somebody-elses")]);
    let subscriptions = google.list(&format!("/v1/projects/{PROJECT}/subscriptions")).await;
    assert!(subscriptions["subscriptions"].as_array().is_none_or(Vec::is_empty), "{subscriptions}");
    let datasets = google.list(&format!("/bigquery/v2/projects/{PROJECT}/datasets")).await;
    assert!(datasets["datasets"].as_array().is_none_or(Vec::is_empty), "{datasets}");
    let root = format!("{}/v1/projects/{PROJECT}/databases/(default)/documents:listCollectionIds", google.suite.url());
    let answer = reqwest::Client::new().post(root).json(&json!({})).send().await.expect("an answer");
    let collections: Value = answer.json().await.expect("JSON");
    assert!(collections["collectionIds"].as_array().is_none_or(Vec::is_empty), "{collections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_token_nothing_happens() {
    let google = Google::open().await;
    let setting = setting(google.cloud(&permission(), "wrong")).await;
    let scenario = find(&setting.layout, "hyphenated-names").expect("a good scenario");
    rehearse(&setting, &scenario, None).await.expect_err("it cannot be set up");
    assert_ne!(google.turned_away.load(Ordering::SeqCst), 0);
    let topics = google.list(&format!("/v1/projects/{PROJECT}/topics")).await;
    assert!(topics["topics"].as_array().is_none_or(Vec::is_empty), "{topics}");
}

#[test]
fn the_program_wants_a_project_and_a_yes() {
    for arguments in [&["--project", "demo"][..], &["--yes"][..], &[][..]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scrimmage"));
        let output =
            command.args(["run", "hyphenated-names", "--stage", "cloud"]).args(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--project") && said.contains("--yes"), "{said}");
    }
}
