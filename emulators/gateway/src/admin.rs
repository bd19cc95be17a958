//! `/admin`: health, reset, journal, clock and faults, in JSON.

use axum::body::Body;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use scrimmage_core::duration::HumaneDuration;
use scrimmage_core::journal::Query;
use scrimmage_core::{FaultPlan, Status, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{Core, error, transcode};

const MAX_BODY: usize = 4 * 1024 * 1024;
/// Entries of the journal in one answer, where the caller sets no limit.
const JOURNAL_PAGE: usize = 1_000;

/// Answers `/admin/{path}`.
pub async fn serve(core: &Core, path: &str, request: Request<Body>) -> Response<Body> {
    let service = path.split('/').next().unwrap_or_default();
    if let Some((_, router)) = core.admin.iter().find(|(name, _)| *name == service) {
        let Ok(response) = router.clone().oneshot(request).await;
        return response;
    }
    let query = request.uri().query().unwrap_or("").to_owned();
    let method = request.method().clone();
    let answer = match (&method, path) {
        (&Method::GET, "health") => Ok(health(core)),
        (&Method::POST, "reset") => core.reset().map(|()| json!({})),
        (&Method::GET, "journal") => journal(core, &query),
        (&Method::DELETE, "journal") => {
            core.context.journal.clear();
            Ok(json!({}))
        }
        (&Method::GET, "clock") => Ok(clock(core)),
        (&Method::POST, "clock" | "clock:advance") => match body(request).await {
            Ok(text) => move_clock(core, &text),
            Err(status) => Err(status),
        },
        (&Method::GET, "faults") => Ok(faults(core)),
        (&Method::POST | &Method::PUT, "faults") => match body(request).await {
            Ok(text) => set_faults(core, &text, method == Method::PUT),
            Err(status) => Err(status),
        },
        (&Method::DELETE, "faults") => {
            core.context.faults.clear();
            Ok(json!({}))
        }
        _ => Err(Status::not_found(format!("There is no {method} /admin/{path}."))),
    };
    match answer {
        Ok(answer) => error::json_response(200, &answer, true),
        Err(status) => error::rest(&status, Vec::new(), true),
    }
}

async fn body(request: Request<Body>) -> Result<Vec<u8>, Status> {
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(_) => Err(Status::invalid_argument(format!("The body is larger than {MAX_BODY} bytes."))),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Status> {
    serde_json::from_slice(text).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn health(core: &Core) -> Value {
    json!({
        "status": "ok",
        "services": core.service_names(),
        "project": &*core.context.project,
        "clock": clock(core),
        "journal": core.context.journal.last_id(),
    })
}

fn journal(core: &Core, query: &str) -> Result<Value, Status> {
    let mut wanted = Query { limit: Some(JOURNAL_PAGE), ..Query::default() };
    for (name, value) in transcode::query_pairs(query) {
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| Status::invalid_argument(format!("`{name}` must be a number, not `{value}`")))
        };
        match name.as_str() {
            "since" => wanted.since = number()?,
            "limit" => wanted.limit = Some(usize::try_from(number()?).unwrap_or(usize::MAX)),
            "service" => wanted.service = Some(value),
            "method" => wanted.method = Some(value),
            _ => {
                let text = format!("unknown parameter `{name}`: there are since, service, method and limit");
                return Err(Status::invalid_argument(text));
            }
        }
    }
    let entries = core.context.journal.read(&wanted);
    let next = entries.last().map_or(wanted.since, |entry| entry.id);
    let entries: Vec<Value> = entries.iter().filter_map(|entry| serde_json::to_value(&**entry).ok()).collect();
    Ok(json!({ "entries": entries, "next": next, "last": core.context.journal.last_id() }))
}

fn clock(core: &Core) -> Value {
    json!({ "now": core.context.clock.now().to_string(), "virtual": core.context.clock.is_virtual() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    by: Option<HumaneDuration>,
    to: Option<String>,
}

fn move_clock(core: &Core, text: &[u8]) -> Result<Value, Status> {
    let clock_moved = match read::<Move>(text)? {
        Move { by: Some(by), to: None } => by.0,
        Move { by: None, to: Some(to) } => {
            let to: prost_types::Timestamp =
                to.parse().map_err(|_| Status::invalid_argument(format!("`{to}` is not a time in RFC 3339")))?;
            let to = Timestamp::from_parts(to.seconds, to.nanos);
            if to < core.context.clock.now() {
                return Err(Status::failed_precondition("The clock only moves ahead."));
            }
            to.since(core.context.clock.now())
        }
        _ => return Err(Status::invalid_argument("Give either `by` (a duration such as 10m) or `to` (RFC 3339).")),
    };
    core.context.clock.advance(clock_moved);
    Ok(clock(core))
}

fn faults(core: &Core) -> Value {
    let plan = serde_json::to_value(core.context.faults.plan()).unwrap_or_default();
    let counts: Vec<Value> =
        core.context.faults.counts().iter().map(|(name, seen)| json!({ "name": &**name, "seen": seen })).collect();
    json!({ "faults": plan, "counts": counts })
}

fn set_faults(core: &Core, text: &[u8], replace: bool) -> Result<Value, Status> {
    let json: Value = read(text)?;
    let list = match json {
        Value::Array(list) => list,
        Value::Object(mut object) if object.len() == 1 && object.get("faults").is_some_and(Value::is_array) => {
            match object.remove("faults") {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            }
        }
        one => vec![one],
    };
    let plan: FaultPlan =
        serde_json::from_value(Value::Array(list)).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let set = if replace { core.context.faults.set(plan) } else { core.context.faults.add(plan) };
    set.map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(faults(core))
}
