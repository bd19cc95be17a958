//! The stock client crates, pointed at a stage.

use async_trait::async_trait;
use firestore::{FirestoreDb, FirestoreDbOptions};
use gcp_bigquery_client::auth::Authenticator;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::error::BQError;
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::client::{SubscriptionAdmin, TopicAdmin};
use std::sync::Arc;

use crate::SetupError;

/// Connections to one stage, for one project. Clones share them.
#[derive(Clone)]
pub struct Clients {
    pub project: String,
    pub firestore: FirestoreDb,
    pub bigquery: gcp_bigquery_client::Client,
    pub topics: TopicAdmin,
    pub subscriptions: SubscriptionAdmin,
}

#[derive(Clone)]
struct NoToken;

#[async_trait]
impl Authenticator for NoToken {
    async fn access_token(&self) -> Result<String, BQError> {
        Ok("owner".to_owned())
    }
}

/// A client for addresses of this machine, which have no certificates: without the system's roots, whose
/// reading would cost more than most requests do.
pub(crate) fn local_http() -> reqwest::Client {
    local_http_builder().build().unwrap_or_default()
}

/// The same, to be changed.
pub(crate) fn local_http_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_certs_only([])
}

impl Clients {
    /// Connects to the services at `url`, such as `http://127.0.0.1:8080`.
    pub async fn connect(url: &str, project: &str) -> Result<Clients, SetupError> {
        let failed =
            |what: &str, problem: &dyn std::fmt::Display| SetupError::prepare(format!("the {what} client"), problem);
        let nobody = || anonymous::Builder::new().build();
        let options = FirestoreDbOptions::new(project.to_owned()).with_firebase_api_url(url.to_owned());
        let firestore =
            FirestoreDb::with_options_auth(options, nobody()).await.map_err(|error| failed("Firestore", &error))?;
        let mut bigquery = ClientBuilder::new();
        bigquery.with_v2_base_url(format!("{url}/bigquery/v2"));
        let bigquery =
            bigquery.build_from_authenticator(Arc::new(NoToken)).await.map_err(|error| failed("BigQuery", &error))?;
        let topics = TopicAdmin::builder().with_endpoint(url).with_credentials(nobody()).build();
        let subscriptions = SubscriptionAdmin::builder().with_endpoint(url).with_credentials(nobody()).build();
        Ok(Clients {
            project: project.to_owned(),
            firestore,
            bigquery,
            topics: topics.await.map_err(|error| failed("Pub/Sub", &error))?,
            subscriptions: subscriptions.await.map_err(|error| failed("Pub/Sub", &error))?,
        })
    }
}
