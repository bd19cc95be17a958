//! The scenarios there are.

use std::path::{Path, PathBuf};

use super::{Scenario, read};
use crate::SetupError;
use crate::layout::Layout;
use crate::mistakes::did_you_mean;

/// Every scenario file, by name.
pub fn all(layout: &Layout) -> Result<Vec<Scenario>, SetupError> {
    let folder = layout.scenarios();
    let entries = std::fs::read_dir(&folder).map_err(|error| SetupError::File {
        file: folder.clone(),
        line: None,
        problem: error.to_string(),
    })?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

/// One scenario by its name, or by a path to its file.
pub fn find(layout: &Layout, name: &str) -> Result<Scenario, SetupError> {
    let file =
        if name.ends_with(".toml") { PathBuf::from(name) } else { layout.scenarios().join(format!("{name}.toml")) };
    if file.is_file() {
        return read(&file);
    }
    let stems = |file: PathBuf| file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut known: Vec<String> = std::fs::read_dir(layout.scenarios())
        .map(|entries| entries.filter_map(Result::ok).filter_map(|entry| stems(entry.path())).collect())
        .unwrap_or_default();
    known.sort();
    let guess = did_you_mean(name, known.iter().map(String::as_str));
    Err(SetupError::NoScenario { name: display(&file, name), guess, known: known.join(", ") })
}

fn display(file: &Path, name: &str) -> String {
    if name.ends_with(".toml") { file.display().to_string() } else { name.to_owned() }
}
