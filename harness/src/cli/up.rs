//! `scrimmage up`: the services for whoever wants them.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use scrimmage_suite::Suite;

use super::{End, indexes, interrupted};
use crate::SetupError;
use crate::stage::Services;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The port to listen on, on the loopback address; 0 picks one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// A folder that keeps the services' state across restarts, kill -9 included; made where it is
    /// missing. Without it, state is in memory
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// A TOML file with the resources that are to be there from the start
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder that stands for Cloud Storage in BigQuery's load and extract jobs:
    /// gs://BUCKET/OBJECT is the file BUCKET/OBJECT in it
    #[arg(long, value_name = "FOLDER")]
    gcs_folder: Option<PathBuf>,
    #[command(flatten)]
    indexes: indexes::IndexArguments,
}

pub(crate) async fn up(arguments: Arguments) -> Result<End, SetupError> {
    let mut builder = Suite::builder().port(arguments.port);
    if let Some(folder) = arguments.data_dir {
        builder = builder.data_dir(folder);
    }
    if let Some(file) = arguments.config {
        builder = builder.declarations(file);
    }
    if let Some(folder) = arguments.gcs_folder {
        builder = builder.gcs_folder(folder);
    }
    let stage = Services::built(arguments.indexes.apply(builder)).await?;
    for note in stage.notes() {
        eprintln!("{note}");
    }
    let mut text = String::new();
    for (name, value) in stage.environment() {
        text.push_str(&format!("export {name}={value}\n"));
    }
    text.push_str("# ready\n");
    // Written at once and flushed: whoever reads it may wait for the last line.
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    drop(stdout);
    written.map_err(|error| SetupError::Stage(error.to_string()))?;
    interrupted().await;
    arguments.indexes.report(&stage)?;
    stage.stop().await;
    Ok(End::Held)
}
