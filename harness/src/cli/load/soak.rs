//! `scrimmage load --soak`: all services at once, for a while.

use std::time::Duration;

use scrimmage_load::soak::{Plan, soak};

use super::{Arguments, json};
use crate::SetupError;
use crate::cli::served::Served;
use crate::cli::{End, say};

const CONNECTIONS: usize = 1_000;
/// How often it is told how far it is, in seconds.
const TOLD_EVERY: u64 = 10;

pub(super) async fn run(arguments: &Arguments, time: Duration) -> Result<End, SetupError> {
    let served = match &arguments.endpoint {
        Some(_) => None,
        None => Some(Served::start().await?),
    };
    let endpoint = arguments.endpoint.clone().or_else(|| served.as_ref().map(|served| served.address.clone()));
    let plan = Plan {
        endpoint: endpoint.unwrap_or_default(),
        connections: arguments.connections.map_or(CONNECTIONS, usize::from),
        time,
        pid: served.as_ref().and_then(Served::pid),
    };
    say(&format!("{} connections to {} for {time:?}, all services at once", plan.connections, plan.endpoint));
    let tell = |elapsed: Duration, resident: Option<u64>| {
        if elapsed.as_secs().is_multiple_of(TOLD_EVERY) {
            let resident = resident.map(|bytes| format!(", {:.1} MB resident", bytes as f64 / 1e6)).unwrap_or_default();
            say(&format!("{:>4} s{resident}", elapsed.as_secs()));
        }
    };
    let soaked = soak(&plan, tell).await.map_err(SetupError::Load)?;
    drop(served);
    soaked.table().iter().for_each(|line| say(line));
    json(arguments, &soaked)?;
    Ok(if soaked.holds() { End::Held } else { End::Broke })
}
