//! Where scenarios and fixtures are.

use std::path::{Path, PathBuf};

use crate::SetupError;

/// The folder that holds `scenarios/` and `fixtures/`.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The nearest folder above the working folder, else where this program was built.
    pub fn find() -> Result<Layout, SetupError> {
        let working = std::env::current_dir().unwrap_or_default();
        let built = Path::new(env!("CARGO_MANIFEST_DIR"));
        let candidates = working.ancestors().chain(built.ancestors());
        let is_root = |folder: &&Path| folder.join("scenarios").is_dir() && folder.join("fixtures").is_dir();
        let root = candidates.into_iter().find(is_root).ok_or(SetupError::NoLayout)?;
        Ok(Layout { root: root.to_owned() })
    }

    /// A folder of one's own.
    pub fn at(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn scenarios(&self) -> PathBuf {
        self.root.join("scenarios")
    }

    pub fn players(&self, name: &str) -> PathBuf {
        self.root.join("fixtures/players").join(format!("{name}.toml"))
    }

    pub fn schemas(&self) -> PathBuf {
        self.root.join("fixtures/schemas")
    }

    /// A pipeline by name, or the file itself where `name` is a path.
    pub fn pipeline(&self, name: &str) -> PathBuf {
        if name.ends_with(".toml") {
            PathBuf::from(name)
        } else {
            self.root.join("fixtures/pipelines").join(name).join("pipeline.toml")
        }
    }
}

/// What is beside a file that is not there and may have been meant: another file's name without its
/// ending, or a folder's.
pub(crate) fn guess_beside(file: &Path, name: &str) -> String {
    let is_folder_missing = file.parent().is_some_and(|folder| !folder.exists());
    let folder = if is_folder_missing { file.parent().and_then(Path::parent) } else { file.parent() };
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().filter_map(Result::ok);
    let named = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let known: Vec<String> = entries.filter_map(named).collect();
    crate::mistakes::did_you_mean(name, known.iter().map(String::as_str))
}
