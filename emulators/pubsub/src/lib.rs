//! Cloud Pub/Sub: an engine that is a function of state, command and time, and the service around it.
//!
//! ```no_run
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use scrimmage_core::{Clock, Context};
//! use scrimmage_pubsub::PubSub;
//!
//! let pubsub = PubSub::new(Context::new(Clock::real()));
//! let routes = tonic::service::Routes::new(pubsub.publisher()).add_service(pubsub.subscriber());
//! # let _ = routes;
//! # Ok(())
//! # }
//! ```

pub mod engine;
pub mod limits;
pub mod programs;
pub mod service;
pub mod texts;

pub use service::PubSub;
