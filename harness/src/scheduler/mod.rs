//! Cloud Scheduler, as the pipeline meets it: calls at a time, again when one fails, and now and then
//! one too many.
//!
//! It promises at least one call, and does not look at what the call does: an attempt that is not
//! answered with a 2xx before its deadline has failed, and is made again after a pause, while the
//! first may still be running. [`entry`] is `[[schedule]]` of a scenario, [`engine`] decides what is to
//! be called when, [`crew`] calls. Time is the stage's clock.

mod crew;
mod engine;
mod entry;

pub(crate) use crew::{Crew, Target};
pub use engine::Call;
pub use entry::ScheduleEntry;
