//! Integration-test harness for batch pipelines on Google Cloud.
