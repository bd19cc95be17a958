//! BigQuery: tables, jobs and the REST API over the GoogleSQL engine.
