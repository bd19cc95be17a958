//! BigQuery through its REST API, over a real port, on a clock that only moves when told to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its helpers fail")]

mod alter;
mod copies;
mod ddl;
mod dialogues;
mod dml;
mod errors;
mod external;
mod files;
mod fuzz;
mod held;
mod information_schema;
mod jobs;
mod lifecycle;
mod loads;
mod partial;
mod partitions;
mod query_jobs;
mod resources;
mod rest_surface;
mod row_access;
mod scan_costs;
mod sessions;
mod streaming;
mod support;
mod time_travel;
mod transactions;
mod wildcard;
