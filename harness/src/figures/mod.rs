//! What the suite costs and how fast it is, measured through the stock clients.

mod contention;
mod latency;
mod loads;
mod startup;

use serde::Serialize;

use crate::SetupError;
use crate::clients::Clients;
use crate::layout::Layout;
use crate::stage::{Services, TableSet};

/// One measurement and its limit.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// At most, where there is a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

impl Figure {
    fn new(name: &'static str, value: f64, unit: &'static str, limit: Option<f64>) -> Figure {
        Figure { name, value, unit, limit }
    }

    /// Whether the limit is kept.
    pub fn is_within(&self) -> bool {
        self.limit.is_none_or(|limit| self.value <= limit)
    }
}

/// Measures everything but the scenarios.
pub async fn measure(layout: &Layout, tell: &dyn Fn(&Figure)) -> Result<Vec<Figure>, SetupError> {
    let mut all = Vec::new();
    let mut take = |figures: Vec<Figure>| {
        for figure in figures {
            tell(&figure);
            all.push(figure);
        }
    };
    take(startup::figures().await?);
    take(latency::figures().await?);
    take(loads::figures(&TableSet::read(layout)?).await?);
    take(contention::figures().await?);
    Ok(all)
}

/// A stage of its own and clients for it.
async fn stage() -> Result<(Services, Clients), SetupError> {
    let stage = Services::start().await?;
    let clients = Clients::connect(&stage.url(), stage.project()).await?;
    Ok((stage, clients))
}

/// The value at a fraction of sorted values.
fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * fraction).round() as usize).copied().unwrap_or(f64::NAN)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}
