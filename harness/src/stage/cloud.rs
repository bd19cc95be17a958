//! A real project. The suite stands in front here too: it adds the user's own default credentials to
//! what the pipeline sends, so that gate and journal work, and the pipeline needs no credentials.
//!
//! Everything that a run makes has the run's prefix in its name, and is removed at its end: topics,
//! subscriptions, the dataset, the documents of the collection.

use google_cloud_auth::credentials::{AccessTokenCredentials, Builder as Credentials};
use reqwest::{Method, StatusCode};
use scrimmage_suite::{Remote, Token};
use serde_json::{Value, json};
use std::sync::Arc;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::provision::Props;
use crate::SetupError;
use crate::clients::local_http;

/// Documents a page.
const PAGE: usize = 300;

/// What the user has to say before anything is touched.
#[derive(Clone, Debug, Default)]
pub struct Permission {
    pub project: Option<String>,
    pub is_given: bool,
    /// What names of resources begin with; made up where it is left out.
    pub prefix: Option<String>,
}

/// A project that may be used.
#[derive(Clone)]
pub struct Cloud {
    pub project: String,
    pub prefix: String,
    firestore: Remote,
    pubsub: Remote,
    bigquery: Remote,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("project", &self.project).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Google's own services, with application default credentials.
    pub fn google(permission: &Permission) -> Result<Cloud, SetupError> {
        permission.check()?;
        let credentials = Credentials::default().build_access_token_credentials().map_err(|error| {
            SetupError::Stage(format!(
                "no application default credentials: {error}; `gcloud auth application-default login` makes some"
            ))
        })?;
        let at = |host: &str| (format!("https://{host}.googleapis.com"), None);
        Cloud::at(permission, [at("firestore"), at("pubsub"), at("bigquery")], token_of(credentials))
    }

    /// The same calls to one address, which has this certificate.
    pub fn elsewhere(permission: &Permission, url: &str, certificate: &str, token: Token) -> Result<Cloud, SetupError> {
        permission.check()?;
        let address = (url.to_owned(), Some(certificate.to_owned()));
        Cloud::at(permission, [address.clone(), address.clone(), address], token)
    }

    fn at(
        permission: &Permission,
        addresses: [(String, Option<String>); 3],
        token: Token,
    ) -> Result<Cloud, SetupError> {
        let connect = |(url, certificate): (String, Option<String>)| -> Result<Remote, SetupError> {
            let failed = |error: tonic::transport::Error| SetupError::Stage(format!("{url}: {error}"));
            let tls = match certificate {
                Some(certificate) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            let endpoint = Endpoint::from_shared(url.clone()).and_then(|endpoint| endpoint.tls_config(tls));
            Ok(Remote::new(endpoint.map_err(failed)?.connect_lazy()).with_token(Arc::clone(&token)))
        };
        let [firestore, pubsub, bigquery] = addresses;
        Ok(Cloud {
            project: permission.project.clone().unwrap_or_default(),
            prefix: permission.prefix.clone().unwrap_or_else(made_up),
            firestore: connect(firestore)?,
            pubsub: connect(pubsub)?,
            bigquery: connect(bigquery)?,
        })
    }

    pub(super) fn place(&self, builder: scrimmage_suite::Builder) -> scrimmage_suite::Builder {
        builder
            .project(self.project.clone())
            .firestore_at(self.firestore.clone())
            .pubsub_at(self.pubsub.clone())
            .bigquery_at(self.bigquery.clone())
    }
}

impl Permission {
    pub(super) fn check(&self) -> Result<(), SetupError> {
        if self.project.is_none() || !self.is_given {
            return Err(SetupError::Stage(
                "the stage `cloud` creates and removes topics, subscriptions, datasets and documents in a real project, \
                 which costs money: name it with --project and confirm with --yes"
                    .to_owned(),
            ));
        }
        let is_good = |prefix: &String| {
            prefix.len() <= 40
                && prefix.starts_with(|c: char| c.is_ascii_lowercase())
                && prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        match &self.prefix {
            Some(prefix) if !is_good(prefix) => {
                Err(SetupError::Stage(format!("the prefix `{prefix}` is not up to 40 small letters and digits")))
            }
            _ => Ok(()),
        }
    }
}

/// Different for every command, as far as the clock tells.
fn made_up() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("scrimmage{:x}", now.as_micros())
}

fn token_of(credentials: AccessTokenCredentials) -> Token {
    Arc::new(move || {
        let credentials = credentials.clone();
        Box::pin(async move {
            let token = credentials.access_token().await.map_err(|error| error.to_string())?;
            format!("Bearer {}", token.token).parse().map_err(|_| "the token is no header value".to_owned())
        })
    })
}

/// Removes what a run has made, through the suite at `url`. Everything is tried; an error is the first.
pub(crate) async fn sweep(url: &str, project: &str, props: &Props) -> Result<(), SetupError> {
    let broom = Broom { url, http: local_http() };
    let mut first = Ok(());
    for kind in ["subscriptions", "topics"] {
        first = first.and(broom.sweep_pubsub(project, kind, &props.prefix).await);
    }
    let dataset = format!("/bigquery/v2/projects/{project}/datasets/{}?deleteContents=true", props.dataset);
    first = first.and(broom.remove(&dataset).await);
    let documents = format!("projects/{project}/databases/(default)/documents");
    first.and(broom.sweep_collection(&format!("{documents}/{}", props.collection)).await)
}

struct Broom<'a> {
    url: &'a str,
    http: reqwest::Client,
}

impl Broom<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, SetupError> {
        let failed = |problem: String| SetupError::prepare(format!("the removal of {path}"), problem);
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
        if status.is_success() {
            return Ok(serde_json::from_str(&text).unwrap_or_default());
        }
        // What is gone already is what was wanted.
        if status == StatusCode::NOT_FOUND { Ok(Value::Null) } else { Err(failed(format!("{status}: {text}"))) }
    }

    async fn remove(&self, path: &str) -> Result<(), SetupError> {
        self.ask(Method::DELETE, path, None).await.map(|_| ())
    }

    async fn sweep_pubsub(&self, project: &str, kind: &str, prefix: &str) -> Result<(), SetupError> {
        let beginning = format!("projects/{project}/{kind}/{prefix}");
        let mut page = String::new();
        loop {
            let listed =
                self.ask(Method::GET, &format!("/v1/projects/{project}/{kind}?pageToken={page}"), None).await?;
            for one in listed[kind].as_array().into_iter().flatten() {
                if let Some(name) = one["name"].as_str().filter(|name| name.starts_with(&beginning)) {
                    self.remove(&format!("/v1/{name}")).await?;
                }
            }
            match listed["nextPageToken"].as_str() {
                Some(next) if !next.is_empty() => page = next.to_owned(),
                _ => return Ok(()),
            }
        }
    }

    /// All documents, and those below them: one level, which is as deep as a batch goes.
    async fn sweep_collection(&self, collection: &str) -> Result<(), SetupError> {
        for document in self.documents(collection).await? {
            let path = format!("/v1/{}:listCollectionIds", escaped(&document));
            let below = self.ask(Method::POST, &path, Some(json!({}))).await?;
            for id in below["collectionIds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                for child in self.documents(&format!("{document}/{id}")).await? {
                    self.remove(&format!("/v1/{}", escaped(&child))).await?;
                }
            }
            self.remove(&format!("/v1/{}", escaped(&document))).await?;
        }
        Ok(())
    }

    async fn documents(&self, collection: &str) -> Result<Vec<String>, SetupError> {
        let mut found = Vec::new();
        let mut page = String::new();
        loop {
            // Missing ones too: they may have children.
            let path = format!(
                "/v1/{}?pageSize={PAGE}&showMissing=true&mask.fieldPaths=batch_id&pageToken={page}",
                escaped(collection)
            );
            let listed = self.ask(Method::GET, &path, None).await?;
            let names = listed["documents"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
            found.extend(names.map(str::to_owned));
            match listed["nextPageToken"].as_str() {
                Some(next) if !next.is_empty() => page = next.to_owned(),
                _ => return Ok(found),
            }
        }
    }
}

/// A resource name as a path of a URL: what is special in one is escaped, slashes stay.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/()".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(project: Option<&str>, is_given: bool, prefix: Option<&str>) -> Permission {
        Permission { project: project.map(str::to_owned), is_given, prefix: prefix.map(str::to_owned) }
    }

    #[test]
    fn nothing_is_touched_without_a_project_and_a_yes() {
        for refused in [permission(None, true, None), permission(Some("demo"), false, None)] {
            let error = refused.check().expect_err("not allowed").to_string();
            assert!(error.contains("--project") && error.contains("--yes"), "{error}");
        }
        assert!(permission(Some("demo"), true, None).check().is_ok());
    }

    #[test]
    fn a_prefix_fits_every_kind_of_name() {
        assert!(permission(Some("demo"), true, Some("run7")).check().is_ok());
        for wrong in ["", "7run", "run-7", "Run", "run_7"] {
            assert!(permission(Some("demo"), true, Some(wrong)).check().is_err(), "{wrong}");
        }
        assert!(permission(Some("demo"), true, Some(&made_up())).check().is_ok());
    }

    #[test]
    fn names_survive_a_url() {
        assert_eq!(escaped("a/(default)/o'neal é"), "a/(default)/o%27neal%20%C3%A9");
    }
}
