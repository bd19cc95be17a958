//! The fault `delay`: a slow network or a slow service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration::HumaneDuration;

/// Holds each call this long on the suite's clock before the service sees it: `delay = "500ms"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delay(pub HumaneDuration);

impl Delay {
    pub fn new(by: Duration) -> Self {
        Delay(HumaneDuration(by))
    }
}
