//! All processes of a pipeline in one run.

use scrimmage_core::Clock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::log::CapturedLog;
use super::process::{Instances, Recipe};
use super::{Pipeline, ProcessDescription};
use crate::SetupError;
use crate::clients::local_http;
use crate::front_door::FrontDoor;
use crate::run_model::{RunEntry, Service};

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

/// One kind of process, behind its front door.
struct Role {
    name: String,
    service: Arc<Service>,
}

/// The running processes. Dropping it kills them all.
pub struct Fleet {
    roles: Vec<Role>,
}

/// What all processes have in common.
pub(crate) struct Common<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) defect: Option<&'a str>,
    pub(crate) programs: PathBuf,
    pub(crate) substitutions: Substitutions,
    /// The stage's variables for each process.
    pub(crate) environments: BTreeMap<String, Vec<(String, String)>>,
    /// How the scenario wants services run, by process.
    pub(crate) overrides: &'a BTreeMap<String, RunEntry>,
    /// What the platform's patience is measured by.
    pub(crate) clock: Clock,
}

impl Common<'_> {
    fn recipe(&self, process: &ProcessDescription) -> Recipe {
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
        // As Cloud Run sets them.
        for (name, value) in [
            ("K_SERVICE", process.name.clone()),
            ("K_CONFIGURATION", process.name.clone()),
            ("K_REVISION", format!("{}-00001-run", process.name)),
        ] {
            environment.entry(name.to_owned()).or_insert(value);
        }
        Recipe {
            name: process.name.as_str().into(),
            command,
            image: process.image.clone(),
            port: process.port,
            environment,
            folder: self.pipeline.folder.clone(),
            ready: process.ready.clone(),
            ready_within: process.ready_within.0,
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
        let http = local_http();
        let mut roles = Vec::new();
        for process in &common.pipeline.processes {
            let Some(door) = doors.get(&process.name) else { continue };
            let model = process.run_model(common.overrides.get(&process.name))?;
            let instances = Instances {
                recipe: common.recipe(process),
                are_numbered: model.max_instances > 1,
                log: log.clone(),
                http: http.clone(),
            };
            let clock = common.clock.clone();
            let service = Service::new(&process.name, model, Arc::new(instances), clock, log.clone());
            door.serve(Arc::clone(&service));
            roles.push(Role { name: process.name.clone(), service });
        }
        let fleet = Fleet { roles };
        futures::future::try_join_all(fleet.roles.iter().map(|role| role.service.bring_up())).await?;
        Ok(fleet)
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
        self.role(name)?.service.kill().await;
        Ok(())
    }

    /// Asks every instance of a process to end.
    pub async fn terminate(&self, name: &str) -> Result<(), SetupError> {
        self.role(name)?.service.terminate().await;
        Ok(())
    }

    /// Ends one instance of a process at once, the busiest; the platform replaces it.
    pub fn crash(&self, name: &str) -> Result<(), SetupError> {
        self.role(name)?.service.crash_one();
        Ok(())
    }

    /// Starts a process that was ended.
    pub async fn restart(&self, name: &str) -> Result<(), SetupError> {
        self.role(name)?.service.bring_up().await
    }

    /// Ends everything.
    pub async fn stop(&self) {
        futures::future::join_all(self.roles.iter().map(|role| role.service.kill())).await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for role in &self.roles {
            role.service.close();
        }
    }
}
