//! What a batch needs in the services before it can run: topics, push subscriptions, the dataset
//! and the main table, all created through the stock clients.

use gcp_bigquery_client::model::dataset::Dataset;
use google_cloud_pubsub::model::PushConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::TableSet;
use super::relay::Relay;
use crate::SetupError;
use crate::clients::Clients;
use crate::front_door::FrontDoor;
use crate::observe::{Inbox, run_statement, staging_tables};
use crate::pipeline::{Deployment, Pipeline, Substitutions};
use crate::scenario::{BatchPlan, MainTable, Seed, SeedPlayers, Written};

/// As the pipeline has it: its handlers may take minutes.
const ACK_DEADLINE: Duration = Duration::from_secs(600);
const DATASET: &str = "nba_predictions";
/// Between topic and process in a subscription's id.
const PUSHED_TO: &str = "-to-";

/// The names of what was created.
#[derive(Clone, Debug)]
pub struct Props {
    pub dataset: String,
    pub tables: TableSet,
    pub collection: String,
    /// What the names of topics and subscriptions begin with; empty where the services are the run's own.
    pub prefix: String,
    topics: BTreeSet<String>,
    /// Where messages are pulled, for services that cannot push to this machine, and who pulls them.
    relayed_at: Option<String>,
    relays: Arc<Mutex<Vec<Relay>>>,
}

impl Props {
    /// The names of what `pipeline` needs; nothing is created yet.
    pub fn of(pipeline: &Pipeline, tables: &TableSet) -> Props {
        let in_environment = pipeline.environment.values().flat_map(|value| {
            value.split("{topic:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(topic, _)| topic.to_owned())
        });
        let pushed = pipeline.processes.iter().filter_map(|process| Some(process.push.as_ref()?.topic.clone()));
        let announced = Some(pipeline.batch.announcement.clone()).filter(|topic| !topic.is_empty());
        let topics = in_environment.chain(pushed).chain(announced).collect();
        Props {
            dataset: DATASET.to_owned(),
            tables: tables.clone(),
            collection: pipeline.batch.collection.clone(),
            prefix: String::new(),
            topics,
            relayed_at: None,
            relays: Arc::default(),
        }
    }

    /// The same with a prefix in every name, for services that are shared; what they cannot push is
    /// pulled at the suite at `url`.
    pub fn within(mut self, prefix: &str, url: &str) -> Props {
        self.dataset = format!("{prefix}_{}", self.dataset);
        self.collection = format!("{prefix}_{}", self.collection);
        self.prefix = format!("{prefix}-");
        self.relayed_at = Some(url.to_owned());
        self
    }

    /// Stops to pull.
    pub(crate) fn stop_relays(&self) {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Topic ids need at least three characters and a letter in front; the short names of a description
    /// get a beginning that guarantees both.
    pub(crate) fn topic_id(&self, topic: &str) -> String {
        format!("{}prediction-{topic}", self.prefix)
    }

    /// What `{…}` stands for in the pipeline's description.
    pub fn substitutions(&self, project: &str) -> Substitutions {
        let fixed = Substitutions::default()
            .with("project", project)
            .with("dataset", &self.dataset)
            .with("table", &self.tables.main)
            .with("collection", &self.collection);
        self.topics.iter().fold(fixed, |all, topic| all.with(&format!("topic:{topic}"), self.topic_id(topic)))
    }

    /// `` `project.dataset.table` ``.
    pub fn quoted(&self, project: &str, table: &str) -> String {
        format!("`{project}.{}.{table}`", self.dataset)
    }

    /// Creates topics and push subscriptions.
    pub async fn create_topics(
        &self,
        clients: &Clients,
        pipeline: &Pipeline,
        deployment: &Deployment,
        doors: &BTreeMap<String, Arc<FrontDoor>>,
        inbox: &Inbox,
        counted: &BTreeSet<&str>,
    ) -> Result<(), SetupError> {
        let project = &clients.project;
        for topic in &self.topics {
            let name = format!("projects/{project}/topics/{}", self.topic_id(topic));
            let created = clients.topics.create_topic().set_name(name).send().await;
            created.map_err(|error| SetupError::prepare(format!("topic {topic}"), error))?;
        }
        for process in &pipeline.processes {
            let (Some(push), Some(door)) = (&process.push, doors.get(&process.name)) else { continue };
            let subscription = format!("{}{PUSHED_TO}{}", self.topic_id(&push.topic), process.name);
            let deadline = deployment.ack_deadline.map_or(ACK_DEADLINE, |deadline| deadline.0);
            self.subscribe(clients, &subscription, &push.topic, &door.url(&push.path), deadline).await?;
        }
        let announced = !pipeline.batch.announcement.is_empty();
        let subscriptions = if announced { deployment.announcement_subscriptions.max(1) } else { 0 };
        for number in 1..=subscriptions {
            let (name, topic) =
                (format!("{}scrimmage-announcements-{number}", self.prefix), &pipeline.batch.announcement);
            self.subscribe(clients, &name, topic, &inbox.url(), ACK_DEADLINE).await?;
        }
        for topic in counted {
            let name = format!("{}scrimmage-count-{topic}", self.prefix);
            self.subscribe(clients, &name, topic, &inbox.counter_url(topic), ACK_DEADLINE).await?;
        }
        Ok(())
    }

    /// Creates the dataset, the main table, and what other batches have left behind.
    pub async fn create_tables(&self, clients: &Clients, plan: &BatchPlan) -> Result<(), SetupError> {
        let project = &clients.project;
        let created = clients.bigquery.dataset().create(Dataset::new(project, &self.dataset)).await;
        created.map_err(|error| SetupError::prepare(format!("dataset {}", self.dataset), error))?;
        let columns = match plan.main_table {
            MainTable::Full => &self.tables.main_columns,
            MainTable::AsStaging => &self.tables.staging_columns,
        };
        let main = self.quoted(project, &self.tables.main);
        let statement = self.tables.create_main(&main, columns, plan.require_partition_filter);
        self.run(clients, "the main table", &statement).await?;
        let orphans: Vec<String> = self
            .orphans(plan.orphans)
            .map(|table| format!("CREATE TABLE {} (prediction_id STRING);", self.quoted(project, &table)))
            .collect();
        if orphans.is_empty() { Ok(()) } else { self.run(clients, "orphan tables", &orphans.join("\n")).await }
    }

    /// Names of staging tables that batches of long ago have left behind.
    pub fn orphans(&self, count: usize) -> impl Iterator<Item = String> + '_ {
        (1..=count).map(|number| format!("{}batch_20251201_1_orphan_{number:03}", self.tables.staging_prefix))
    }

    /// A scenario's text with the names of this run.
    pub fn spelled_out(&self, text: &str, project: &str, game_date: &str) -> String {
        text.replace("{main}", &self.quoted(project, &self.tables.main))
            .replace("{dataset}", &format!("{project}.{}", self.dataset))
            .replace("{collection}", &self.collection)
            .replace("{date}", game_date)
    }

    /// Creates the dataset and what the pipeline's own statements make in it.
    pub async fn create_own_tables(&self, clients: &Clients, pipeline: &Pipeline) -> Result<(), SetupError> {
        let project = &clients.project;
        let created = clients.bigquery.dataset().create(Dataset::new(project, &self.dataset)).await;
        created.map_err(|error| SetupError::prepare(format!("dataset {}", self.dataset), error))?;
        let Some(tables) = &pipeline.tables else { return Ok(()) };
        let file = pipeline.folder.join(&tables.sql);
        let text =
            std::fs::read_to_string(&file).map_err(|error| SetupError::prepare(file.display().to_string(), error))?;
        let statements = text.replace("{dataset}", &format!("{project}.{}", self.dataset));
        self.run(clients, &file.display().to_string(), &statements).await
    }

    /// Adds the columns that the main table is to have and does not have yet.
    pub async fn grow_main_table(&self, clients: &Clients) -> Result<(), SetupError> {
        let statement = self.tables.grow_main(&self.quoted(&clients.project, &self.tables.main));
        self.run(clients, "the main table's new columns", &statement).await
    }

    /// Puts rows of another run into the main table, with the keys of what is staged.
    pub async fn seed(&self, clients: &Clients, seed: Seed) -> Result<(), SetupError> {
        let mut staging = staging_tables(clients, &self.dataset, &self.tables.staging_prefix).await?;
        if let SeedPlayers::Some(players) = seed.players {
            staging.truncate(players);
        }
        if staging.is_empty() {
            return Ok(());
        }
        let project = &clients.project;
        let names: Vec<&str> = self.tables.staging_columns.iter().map(|column| column.name.as_str()).collect();
        let (created, updated) = match seed.written {
            Written::Earlier => ("TIMESTAMP '2025-12-31 12:00:00+00'", "CAST(NULL AS TIMESTAMP)"),
            Written::Later => ("created_at", "TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)"),
        };
        let values: Vec<String> = names
            .iter()
            .map(|name| match *name {
                "prediction_id" => "CONCAT('seeded-', prediction_id)".to_owned(),
                "created_at" => created.to_owned(),
                "updated_at" => updated.to_owned(),
                other => other.to_owned(),
            })
            .collect();
        let selects: Vec<String> = staging
            .iter()
            .map(|table| format!("SELECT {} FROM {}", values.join(", "), self.quoted(project, table)))
            .collect();
        let main = self.quoted(project, &self.tables.main);
        let statement = format!("INSERT INTO {main} ({})\n{}", names.join(", "), selects.join("\nUNION ALL\n"));
        self.run(clients, "rows of another run", &statement).await
    }

    async fn subscribe(
        &self,
        clients: &Clients,
        subscription: &str,
        topic: &str,
        endpoint: &str,
        ack_deadline: Duration,
    ) -> Result<(), SetupError> {
        let project = &clients.project;
        let name = format!("projects/{project}/subscriptions/{subscription}");
        let push =
            if self.relayed_at.is_some() { PushConfig::new() } else { PushConfig::new().set_push_endpoint(endpoint) };
        let created = clients
            .subscriptions
            .create_subscription()
            .set_name(&name)
            .set_topic(format!("projects/{project}/topics/{}", self.topic_id(topic)))
            .set_push_config(push)
            .set_ack_deadline_seconds(i32::try_from(ack_deadline.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await;
        created.map_err(|error| SetupError::prepare(format!("subscription {subscription}"), error))?;
        if let Some(url) = &self.relayed_at {
            let relay = Relay::begin(url, &name, endpoint);
            self.relays.lock().unwrap_or_else(PoisonError::into_inner).push(relay);
        }
        Ok(())
    }

    async fn run(&self, clients: &Clients, what: &str, statement: &str) -> Result<(), SetupError> {
        run_statement(clients, statement).await.map(|_| ()).map_err(|error| SetupError::prepare(what, error))
    }
}

/// A pattern for the subscriptions that are pushed to a process.
pub(crate) fn subscriptions_of(process: &str) -> String {
    format!("**/subscriptions/*{PUSHED_TO}{process}")
}
