//! `scrimmage exec -- COMMAND`: any program, with services of its own.

use clap::Args;
use scrimmage_suite::Suite;
use tokio::process::Command;

use super::{End, indexes};
use crate::SetupError;
use crate::stage::Services;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    indexes: indexes::IndexArguments,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) async fn exec(arguments: Arguments) -> Result<End, SetupError> {
    let failed = |problem: String| SetupError::Command { command: arguments.command.join(" "), problem };
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(failed("there is no command".to_owned()));
    };
    let stage = Services::built(arguments.indexes.apply(Suite::builder())).await?;
    let mut command = Command::new(program);
    command.args(rest).envs(stage.environment()).kill_on_drop(true);
    let status = command.status().await.map_err(|error| failed(error.to_string()))?;
    arguments.indexes.report(&stage)?;
    stage.stop().await;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(End::Held),
        Some(code) => Ok(End::Code(code)),
        None => Err(failed(status.to_string())),
    }
}
