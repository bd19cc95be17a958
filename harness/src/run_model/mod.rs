//! The run model: how Cloud Run treats a service, as the pipeline meets it.
//!
//! Between a caller and a container stands a platform with opinions. It decides how many instances
//! there are, it never hands one more than its concurrency, it lets requests wait while an instance
//! starts, it answers in the service's stead when it runs out of patience (429, 503, 504), and it
//! stops instances with a SIGTERM, ten seconds and a SIGKILL whenever it likes. Pipelines break on
//! each of these.
//!
//! [`settings`] is what `run = { … }` of a `[[process]]`, or `[run.NAME]` of a scenario, says.
//! [`engine`] decides, and does nothing else: it is told what happened and when, and answers with
//! what is to be done. [`service`] does it: it starts and signals processes, waits on the stage's
//! clock, and tells requests where to go. [`refusal`] has what the platform itself says.

mod engine;
mod refusal;
mod service;
mod settings;

pub(crate) use refusal::Refusal;
pub(crate) use service::{Decision, Launcher, Running, Service};
pub use settings::{RunEntry, RunModel};
