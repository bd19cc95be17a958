//! Cloud Pub/Sub: engine and service.
