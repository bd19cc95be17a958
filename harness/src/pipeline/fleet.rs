//! All processes of a pipeline in one run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

use super::log::CapturedLog;
use super::process::{Instance, Recipe};
use super::{Pipeline, ProcessDescription};
use crate::SetupError;
use crate::front_door::FrontDoor;

/// What `{…}` stands for in a description.
#[derive(Clone, Debug, Default)]
pub struct Substitutions(BTreeMap<String, String>);

impl Substitutions {
    /// Adds one: `name` without the braces.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(format!("{{{name}}}"), value.into());
        self
    }

    fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// One kind of process with its instances, behind its front door.
struct Role {
    name: String,
    recipes: Vec<Recipe>,
    instances: Mutex<Vec<Instance>>,
    door: Arc<FrontDoor>,
}

/// The running processes. Dropping it kills them all.
pub struct Fleet {
    roles: Vec<Role>,
    log: CapturedLog,
    http: reqwest::Client,
}

/// What all processes have in common.
pub(crate) struct Common<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) defect: Option<&'a str>,
    pub(crate) programs: PathBuf,
    pub(crate) substitutions: Substitutions,
    /// The stage's variables for each process.
    pub(crate) environments: BTreeMap<String, Vec<(String, String)>>,
}

impl Common<'_> {
    fn recipes(&self, process: &ProcessDescription) -> Vec<Recipe> {
        let substitutions = self.substitutions.clone().with("bin", self.programs.to_string_lossy());
        let mut command: Vec<String> = process.command.iter().map(|part| substitutions.apply(part)).collect();
        let mut of_defect = Vec::new();
        if let Some(defect) = self.defect {
            let (substitutions, defects) = (substitutions.clone().with("defect", defect), &self.pipeline.defects);
            command.extend(defects.arguments.iter().map(|part| substitutions.apply(part)));
            of_defect
                .extend(defects.environment.iter().map(|(name, value)| (name.clone(), substitutions.apply(value))));
            let deployed = self.pipeline.deployment(self.defect).environment;
            of_defect.extend(deployed.iter().map(|(name, value)| (name.clone(), substitutions.apply(value))));
        }
        let of_stage = self.environments.get(&process.name).into_iter().flatten();
        let mut environment: BTreeMap<String, String> = of_stage.cloned().collect();
        let own = self.pipeline.environment.iter().map(|(name, value)| (name.clone(), substitutions.apply(value)));
        environment.extend(own);
        environment.extend(of_defect);
        let recipe = |name: String| Recipe {
            name: name.into(),
            command: command.clone(),
            environment: environment.clone(),
            folder: self.pipeline.folder.clone(),
            ready: process.ready.clone(),
            ready_within: process.ready_within.0,
        };
        match process.instances {
            1 => vec![recipe(process.name.clone())],
            many => (1..=many).map(|number| recipe(format!("{}-{number}", process.name))).collect(),
        }
    }
}

impl Fleet {
    /// Starts every process and waits until all are ready.
    pub(crate) async fn start(
        common: Common<'_>,
        doors: &BTreeMap<String, Arc<FrontDoor>>,
        log: CapturedLog,
    ) -> Result<Fleet, SetupError> {
        let http = reqwest::Client::new();
        let mut roles = Vec::new();
        for process in &common.pipeline.processes {
            let Some(door) = doors.get(&process.name) else { continue };
            roles.push(Role {
                name: process.name.clone(),
                recipes: common.recipes(process),
                instances: Mutex::default(),
                door: Arc::clone(door),
            });
        }
        let fleet = Fleet { roles, log, http };
        futures::future::try_join_all(fleet.roles.iter().map(|role| fleet.bring_up(role))).await?;
        Ok(fleet)
    }

    async fn bring_up(&self, role: &Role) -> Result<(), SetupError> {
        let starting = role.recipes.iter().map(|recipe| recipe.start(&self.log, &self.http));
        let started = futures::future::try_join_all(starting).await?;
        role.door.route_to(started.iter().map(|instance| instance.port).collect());
        *role.instances.lock().await = started;
        Ok(())
    }

    fn role(&self, name: &str) -> Result<&Role, SetupError> {
        self.roles.iter().find(|role| role.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.roles.iter().map(|role| role.name.as_str()).collect();
            SetupError::prepare("a fault", format!("there is no process `{name}`; there are {}", known.join(", ")))
        })
    }

    /// Whether there is such a process.
    pub(crate) fn check_role(&self, name: &str) -> Result<(), SetupError> {
        self.role(name).map(|_| ())
    }

    /// Ends every instance of a process at once.
    pub async fn kill(&self, name: &str) -> Result<(), SetupError> {
        let role = self.role(name)?;
        role.door.route_to(Vec::new());
        for mut instance in role.instances.lock().await.drain(..) {
            instance.kill().await;
        }
        Ok(())
    }

    /// Asks every instance of a process to end.
    pub async fn terminate(&self, name: &str) -> Result<(), SetupError> {
        let role = self.role(name)?;
        role.door.route_to(Vec::new());
        let mut instances = role.instances.lock().await;
        futures::future::join_all(instances.iter_mut().map(Instance::terminate)).await;
        instances.clear();
        Ok(())
    }

    /// Starts a process that was ended.
    pub async fn restart(&self, name: &str) -> Result<(), SetupError> {
        self.bring_up(self.role(name)?).await
    }

    /// Ends everything.
    pub async fn stop(&self) {
        for role in &self.roles {
            role.door.route_to(Vec::new());
            for mut instance in role.instances.lock().await.drain(..) {
                instance.kill().await;
            }
        }
    }
}
