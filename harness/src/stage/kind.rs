//! Which services a scenario is played on, and what each kind of stage cannot do.

use clap::ValueEnum;

use crate::scenario::Scenario;

/// Where the services come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum StageKind {
    /// Ours, in this process
    #[default]
    Embedded,
    /// Google's Firestore and Pub/Sub emulators as local processes, BigQuery ours
    Google,
    /// Containers of an engine on this machine
    Containers,
    /// A real project
    Cloud,
}

/// What a scenario may need of a stage beyond the services themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ability {
    /// Moving the services' clock.
    Clock,
    /// Delivering a message that was acknowledged again, at once and with the same id.
    DuplicateDelivery,
    /// Faults within BigQuery's jobs (`jobs.run`): where BigQuery is ours and in this process.
    HoldJobs,
}

impl StageKind {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            StageKind::Embedded => "embedded",
            StageKind::Google => "google",
            StageKind::Containers => "containers",
            StageKind::Cloud => "cloud",
        }
    }

    /// Why it cannot do something; `None` where it can.
    pub fn lacks(self, ability: Ability) -> Option<String> {
        let what = match ability {
            Ability::Clock => "move the services' clock",
            Ability::DuplicateDelivery => "deliver an acknowledged message again",
            Ability::HoldJobs => "hold a job while it runs (`jobs.run`)",
        };
        let can = self == StageKind::Embedded || (self == StageKind::Google && ability == Ability::HoldJobs);
        (!can).then(|| format!("the stage `{}` cannot {what}", self.name()))
    }

    /// What keeps a scenario from being played on it; nothing where it can be.
    pub fn obstacles(self, scenario: &Scenario) -> Vec<String> {
        scenario.needs().into_iter().filter_map(|ability| self.lacks(ability)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_held_where_bigquery_is_in_this_process() {
        let lacking = |stage: StageKind| stage.lacks(Ability::HoldJobs);
        assert_eq!((lacking(StageKind::Embedded), lacking(StageKind::Google)), (None, None));
        let cloud = lacking(StageKind::Cloud).expect("a reason");
        assert_eq!(cloud, "the stage `cloud` cannot hold a job while it runs (`jobs.run`)");
        assert!(lacking(StageKind::Containers).is_some());
    }

    #[test]
    fn a_scenario_that_holds_jobs_says_so() {
        let scenarios = crate::layout::Layout::find().expect("this checkout");
        let scenario = crate::scenario::find(&scenarios, "merge-per-worker").expect("it is there");
        assert!(StageKind::Google.obstacles(&scenario).is_empty());
        assert_eq!(StageKind::Cloud.obstacles(&scenario).len(), 1);
    }
}
