//! `pipeline.toml`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use scrimmage_core::duration::HumaneDuration;

use super::contract::{Done, StartCall};
use super::mistakes;
use crate::SetupError;
use crate::layout::Layout;
use crate::mistakes::did_you_mean;
use crate::run_model::{RunEntry, RunModel};
use crate::scenario::{lines_where, read_toml};

/// A pipeline, as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub name: String,
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub build: Option<Build>,
    /// Variables of every process; values may hold `{project}` and the like.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub defects: Defects,
    #[serde(rename = "process")]
    pub processes: Vec<ProcessDescription>,
    pub batch: BatchEntry,
    /// For a pipeline of one's own.
    #[serde(default)]
    pub tables: Option<OwnTables>,
    /// Where the file is; relative paths start there.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// How its programs come about: by at most one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    #[serde(default)]
    pub cargo: Option<CargoBuild>,
    #[serde(default)]
    pub python: Option<PythonBuild>,
}

/// Programs that cargo builds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CargoBuild {
    /// Package of this workspace, built with the harness's own profile and into its target folder.
    pub package: String,
    pub programs: Vec<String>,
    /// What the programs are made of; they are built again when one of these is newer.
    #[serde(default)]
    pub sources: Vec<PathBuf>,
}

/// A virtual environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PythonBuild {
    /// A requirements file with exact versions and hashes: exactly this is installed.
    pub lock: PathBuf,
}

/// How it is started with a defect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defects {
    /// Appended to every command.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Variables of every process.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub known: Vec<String>,
    /// By defect: what is wrong around the programs instead of in them, or beside that.
    #[serde(default)]
    pub deployment: BTreeMap<String, Deployment>,
}

/// How the pipeline is deployed, where that differs with a defect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Variables of every process.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The acknowledgement deadline of the push subscriptions; 600s is healthy.
    #[serde(default)]
    pub ack_deadline: Option<HumaneDuration>,
    /// How many subscriptions start the next phase; one is healthy.
    #[serde(default)]
    pub announcement_subscriptions: usize,
}

/// One kind of process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessDescription {
    pub name: String,
    /// Program and arguments; `{bin}` is the folder of what was built. With an `image`: what its program is
    /// given beyond what the image says.
    #[serde(default)]
    pub command: Vec<String>,
    /// A container image that plays it, on the machine's own network, with the same environment.
    #[serde(default)]
    pub image: Option<String>,
    /// Where it listens, for a program that does not look at PORT; then there is one instance.
    #[serde(default)]
    pub port: Option<u16>,
    /// How many instances there are, where `run` does not say more.
    #[serde(default = "one")]
    pub instances: usize,
    /// How the platform treats it.
    #[serde(default)]
    pub run: RunEntry,
    /// A path that answers 200 once the process can work.
    pub ready: String,
    #[serde(default = "ten_seconds")]
    pub ready_within: HumaneDuration,
    /// What Pub/Sub pushes to it.
    #[serde(default)]
    pub push: Option<Push>,
}

/// A push subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    pub topic: String,
    pub path: String,
}

/// What starts a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchEntry {
    pub start: StartCall,
    /// Firestore collection of the batch documents.
    pub collection: String,
    /// Topic of the message that says the batch is done; empty where there is none.
    #[serde(default)]
    pub announcement: String,
    /// When a batch is over; default: as the reference pipeline's document says it.
    #[serde(default)]
    pub done: Option<Done>,
}

/// Tables that are there at the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnTables {
    /// A file of GoogleSQL statements; `{dataset}` stands for PROJECT.DATASET.
    pub sql: PathBuf,
}

fn one() -> usize {
    1
}

fn ten_seconds() -> HumaneDuration {
    HumaneDuration(std::time::Duration::from_secs(10))
}

impl ProcessDescription {
    /// How the platform treats it in a scenario that may have its own wishes.
    pub(crate) fn run_model(&self, wishes: Option<&RunEntry>) -> Result<RunModel, SetupError> {
        let entry = wishes.map_or_else(|| self.run.clone(), |wishes| wishes.over(&self.run));
        let model = entry.model(self.instances);
        model.map_err(|problem| SetupError::prepare(format!("run.{}", self.name), problem))
    }
}

impl Pipeline {
    /// Reads and checks a description.
    pub fn read(layout: &Layout, name: &str) -> Result<Pipeline, SetupError> {
        let file = layout.pipeline(name);
        if !file.is_file() {
            let guess = crate::layout::guess_beside(&file, name);
            return Err(SetupError::NoFixture { what: "pipeline", name: name.to_owned(), guess, file });
        }
        let mut pipeline: Pipeline = read_toml(&file)?;
        // A bare file name has an empty parent, which is no folder to start a program in.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        pipeline.folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        mistakes::check(&pipeline).map_err(|(text, problem)| SetupError::File {
            line: match text.strip_suffix(mistakes::AGAIN) {
                Some(text) => lines_where(&file, text).get(1).copied(),
                None => lines_where(&file, &text).first().copied(),
            },
            file: file.clone(),
            problem,
        })?;
        Ok(pipeline)
    }

    /// One of its processes by name.
    pub fn process(&self, name: &str) -> Result<&ProcessDescription, SetupError> {
        self.processes.iter().find(|process| process.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.processes.iter().map(|process| process.name.as_str()).collect();
            SetupError::prepare(
                format!("pipeline `{}`", self.name),
                format!("there is no process `{name}`; there are {}", known.join(", ")),
            )
        })
    }

    /// How it is deployed, healthy or with a defect.
    pub fn deployment(&self, defect: Option<&str>) -> Deployment {
        defect.and_then(|defect| self.defects.deployment.get(defect)).cloned().unwrap_or_default()
    }

    /// That the pipeline can be started with a defect.
    pub fn check_defect(&self, defect: &str) -> Result<(), SetupError> {
        if self.defects.known.iter().any(|known| known == defect) {
            return Ok(());
        }
        Err(SetupError::NoDefect {
            pipeline: self.name.clone(),
            defect: defect.to_owned(),
            guess: did_you_mean(defect, self.defects.known.iter().map(String::as_str)),
            known: self.defects.known.join(", "),
        })
    }
}
