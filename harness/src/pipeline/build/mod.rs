//! Makes sure that a pipeline's programs are there before a run.

mod cargo;
mod python;

use std::path::PathBuf;

use super::Pipeline;
use crate::SetupError;

impl Pipeline {
    /// Makes sure that the programs are there and new; `tell` hears about it when that takes time.
    /// Returns the folder that `{bin}` stands for.
    pub async fn build(&self, tell: &dyn Fn(&str)) -> Result<PathBuf, SetupError> {
        let build = self.build.as_ref();
        if let Some(cargo) = build.and_then(|build| build.cargo.as_ref()) {
            return cargo.build(self, tell).await;
        }
        if let Some(python) = build.and_then(|build| build.python.as_ref()) {
            return python.build(self, tell).await;
        }
        Ok(self.folder.clone())
    }
}
