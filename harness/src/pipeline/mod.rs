//! The system under test: what `pipeline.toml` says about it, its build, its processes, its log.

mod build;
mod contract;
mod description;
mod fleet;
mod log;
mod mistakes;
mod process;
mod watchdog;

pub use contract::{Done, OneOrMore, StartCall};
pub use description::{Deployment, Pipeline, ProcessDescription};
pub(crate) use fleet::Common;
pub use fleet::{Fleet, Substitutions};
pub use log::{CapturedLog, LogLine, Stream};
pub(crate) use process::{Instance, Recipe};
pub(crate) use watchdog::watch_container;
