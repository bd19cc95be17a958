//! The faults `drop_before` and `drop_after`: a connection that dies without an answer.

use serde::{Deserialize, Serialize};

/// `true` closes the TCP connection: before the service has seen the call, or after it has applied
/// it. Other calls on the same connection are lost too, as they would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drop(pub bool);

impl Drop {
    pub(super) fn is_off(&self) -> bool {
        !self.0
    }
}
