//! Cloud Firestore, Native mode: engine and service.
