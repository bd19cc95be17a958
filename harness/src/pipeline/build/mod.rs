//! Makes sure that a pipeline's programs are there before a run.

mod cargo;
mod python;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Pipeline;
use crate::SetupError;
use crate::engine;

impl Pipeline {
    /// Makes sure that the programs are there and new; `tell` hears about it when that takes time.
    /// Returns the folder that `{bin}` stands for.
    pub async fn build(&self, tell: &dyn Fn(&str)) -> Result<PathBuf, SetupError> {
        self.fetch_images(tell).await?;
        let build = self.build.as_ref();
        if let Some(cargo) = build.and_then(|build| build.cargo.as_ref()) {
            return cargo.build(self, tell).await;
        }
        if let Some(python) = build.and_then(|build| build.python.as_ref()) {
            return python.build(self, tell).await;
        }
        Ok(self.folder.clone())
    }

    /// Makes sure that there is an engine for those of its processes that are containers, and their images.
    async fn fetch_images(&self, tell: &dyn Fn(&str)) -> Result<(), SetupError> {
        let images: BTreeSet<&str> = self.processes.iter().filter_map(|process| process.image.as_deref()).collect();
        if images.is_empty() {
            return Ok(());
        }
        engine::engine().await?;
        for image in images {
            engine::fetch(image, tell).await?;
        }
        Ok(())
    }
}
