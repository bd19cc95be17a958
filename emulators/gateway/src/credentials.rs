//! Enough of Google's token endpoint and of the metadata server for a program with default
//! credentials to run unchanged: every caller is let in, every token is accepted.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use scrimmage_core::Status;
use serde_json::{Value, json};

use crate::{Core, error, transcode};

const METADATA: &str = "/computeMetadata";
const FLAVOR: &str = "metadata-flavor";
/// Production's tokens live an hour; clients refresh some minutes before.
const LIFETIME_SECONDS: i64 = 3_599;
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const MAX_BODY: usize = 64 * 1024;

/// Whether a path belongs here.
pub fn covers(path: &str) -> bool {
    path == "/" || path == "/token" || path.starts_with(METADATA) || is_identity(path)
}

/// Where Google publishes what its identity tokens are signed with, on whatever host.
fn is_identity(path: &str) -> bool {
    matches!(path, "/oauth2/v3/certs" | "/oauth2/v1/certs" | "/.well-known/openid-configuration")
}

fn identity(request: &Request<Body>) -> Response<Body> {
    if request.method() != Method::GET {
        return transcode::not_found();
    }
    let answer = match request.uri().path() {
        "/oauth2/v3/certs" => scrimmage_identity::jwks(),
        "/oauth2/v1/certs" => scrimmage_identity::certificates(),
        _ => {
            let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
            scrimmage_identity::discovery(&format!("http://{}", host.unwrap_or("localhost")))
        }
    };
    let mut response = error::json_response(200, &answer, true);
    // Verifiers keep the keys as long as they are told to.
    let cached = HeaderValue::from_static("public, max-age=3600, must-revalidate, no-transform");
    response.headers_mut().insert(http::header::CACHE_CONTROL, cached);
    response
}

/// Answers one request.
pub async fn serve(core: &Core, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    if path == "/token" {
        return if request.method() == Method::POST { token(core, request).await } else { transcode::not_found() };
    }
    if is_identity(path) {
        return identity(&request);
    }
    let known = request.headers().get(FLAVOR).is_some_and(|value| value.as_bytes() == b"Google");
    let mut response = if path == "/" {
        text("computeMetadata/\n".to_owned())
    } else if !known {
        error::response(403, "text/html; charset=UTF-8", "Missing Metadata-Flavor:Google header.\n")
    } else {
        let query = request.uri().query().unwrap_or("");
        let rest = path.strip_prefix(METADATA).unwrap_or("").trim_matches('/');
        metadata(core, rest.strip_prefix("v1").unwrap_or(rest).trim_matches('/'), query)
    };
    response.headers_mut().insert(FLAVOR, HeaderValue::from_static("Google"));
    response.headers_mut().insert("server", HeaderValue::from_static("Metadata Server for VM"));
    response
}

fn text(text: String) -> Response<Body> {
    error::response(200, "application/text", text)
}

fn email(core: &Core) -> String {
    format!("scrimmage@{}.iam.gserviceaccount.com", core.context.project)
}

fn access_token() -> Value {
    json!({ "access_token": "ya29.scrimmage", "expires_in": LIFETIME_SECONDS, "token_type": "Bearer" })
}

fn metadata(core: &Core, path: &str, query: &str) -> Response<Body> {
    let parameters = transcode::query_pairs(query);
    let parameter = |name: &str| parameters.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    let recursive = parameter("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let project = &core.context.project;
    let account = path.strip_prefix("instance/service-accounts").map(|rest| rest.trim_matches('/'));
    if let Some(account) = account {
        return service_account(core, account, recursive, parameter("audience"));
    }
    match path {
        "" => text("instance/\nproject/\n".to_owned()),
        // Node's client asks for this to find out whether there is a server at all.
        "instance" => text("hostname\nid\nname\nregion\nservice-accounts/\nzone\n".to_owned()),
        "project" => text("numeric-project-id\nproject-id\n".to_owned()),
        "project/project-id" => text(project.to_string()),
        "project/numeric-project-id" => text("123456789012".to_owned()),
        "instance/zone" => text("projects/123456789012/zones/us-central1-a".to_owned()),
        "instance/region" => text("projects/123456789012/regions/us-central1".to_owned()),
        "instance/id" => text("1234567890123456789".to_owned()),
        "instance/name" | "instance/hostname" => text("scrimmage".to_owned()),
        "universe/universe-domain" | "universe/universe_domain" => text("googleapis.com".to_owned()),
        _ => error::response(404, "text/html; charset=UTF-8", "Not Found\n"),
    }
}

fn service_account(core: &Core, path: &str, recursive: bool, audience: Option<&str>) -> Response<Body> {
    let email = email(core);
    let account = json!({ "aliases": ["default"], "email": email, "scopes": [SCOPE] });
    let (who, what) = path.split_once('/').unwrap_or((path, ""));
    if who.is_empty() {
        return if recursive {
            error::json_response(200, &json!({ "default": account, (email): account }), false)
        } else {
            text(format!("default/\n{email}/\n"))
        };
    }
    if who != "default" && who != email {
        return error::response(404, "text/html; charset=UTF-8", "Not Found\n");
    }
    match what {
        "" if recursive => error::json_response(200, &account, false),
        "" => text("aliases\nemail\nidentity\nscopes\ntoken\n".to_owned()),
        "aliases" => text("default\n".to_owned()),
        "email" => text(email),
        "scopes" => text(format!("{SCOPE}\n")),
        "token" => error::json_response(200, &access_token(), false),
        "identity" => match audience {
            Some(audience) => text(id_token(core, audience)),
            None => error::response(400, "text/html; charset=UTF-8", "non-empty audience parameter required\n"),
        },
        _ => error::response(404, "text/html; charset=UTF-8", "Not Found\n"),
    }
}

/// A token that verifies with the key set served here.
fn id_token(core: &Core, audience: &str) -> String {
    scrimmage_identity::token(&email(core), audience, core.context.clock.now())
}

/// OAuth 2.0: whatever grant and whatever assertion.
async fn token(core: &Core, request: Request<Body>) -> Response<Body> {
    let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return error::rest(&Status::invalid_argument("The token request is too large."), Vec::new(), true),
    };
    let form = transcode::query_pairs(&String::from_utf8_lossy(&body));
    let field = |name: &str| form.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    if field("grant_type").is_none() {
        let refusal = json!({
            "error": "unsupported_grant_type", "error_description": "Invalid grant_type: ",
        });
        return error::json_response(400, &refusal, true);
    }
    let mut answer = access_token();
    answer["scope"] = json!(field("scope").unwrap_or(SCOPE));
    // A service account that asks for an identity token names its audience inside of the assertion.
    let audience = field("assertion").and_then(target_audience);
    answer["id_token"] = json!(id_token(core, audience.as_deref().unwrap_or("scrimmage")));
    error::json_response(200, &answer, true)
}

fn target_audience(assertion: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("target_audience")?.as_str().map(str::to_owned)
}
