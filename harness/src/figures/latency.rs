//! `SELECT 1` over REST: how long, and whether the ten thousandth takes longer than the first.

use std::time::Instant;

use super::{Figure, median, stage};
use crate::SetupError;
use crate::clients::local_http;

const QUERIES: usize = 10_000;
const WINDOW: usize = 1_000;
const WARM_UP: usize = 100;

pub(super) async fn figures() -> Result<Vec<Figure>, SetupError> {
    let (stage, _) = stage().await?;
    let http = local_http();
    let url = format!("{}/bigquery/v2/projects/{}/queries", stage.url(), stage.project());
    let body = serde_json::json!({ "query": "SELECT 1", "useLegacySql": false });
    let mut taken = Vec::with_capacity(QUERIES);
    for number in 0..WARM_UP + QUERIES {
        let begun = Instant::now();
        let answer = http.post(&url).json(&body).send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(failed(format!("{status}: {text}")));
        }
        if number >= WARM_UP {
            taken.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    stage.stop().await;
    let (first, last) = (median(&taken[..WINDOW]), median(&taken[QUERIES - WINDOW..]));
    Ok(vec![
        Figure::new("SELECT 1 over REST, p50 of 10,000", median(&taken), "ms", Some(2.0)),
        Figure::new("  p50 of the first 1,000", first, "ms", None),
        Figure::new("  p50 of the last 1,000", last, "ms", None),
        Figure::new("  last to first", last / first, "times", Some(1.25)),
    ])
}

fn failed(problem: impl std::fmt::Display) -> SetupError {
    SetupError::observe("SELECT 1", problem)
}
