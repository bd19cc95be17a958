//! `scrimmage init`: the first files of a pipeline of one's own.

use clap::Args;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{End, say};
use crate::SetupError;

const PIPELINE: &str = include_str!("init/pipeline.toml");
const SCENARIO: &str = include_str!("init/first.toml");

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to write them
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn init(arguments: &Arguments) -> Result<End, SetupError> {
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder).map_err(|error| wrong(folder, &error))?;
    let files = [("pipeline.toml", PIPELINE), ("first.toml", SCENARIO)].map(|(name, text)| (folder.join(name), text));
    // All or nothing.
    if let Some((file, _)) = files.iter().find(|(file, _)| file.exists()) {
        let problem = "is there already: move it away, or name another folder".to_owned();
        return Err(SetupError::File { file: file.clone(), line: None, problem });
    }
    for (file, text) in &files {
        let written = std::fs::File::create_new(file).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| wrong(file, &error))?;
        say(&format!("wrote {}", file.display()));
    }
    let [pipeline, scenario] = files.map(|(file, _)| crate::run::quoted(&file.display().to_string()));
    say(&format!("describe your processes in {pipeline}, then: scrimmage run {scenario} --pipeline {pipeline}"));
    Ok(End::Held)
}

fn wrong(file: &Path, error: &std::io::Error) -> SetupError {
    SetupError::File { file: file.to_owned(), line: None, problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test may")]

    use super::*;
    use crate::layout::Layout;
    use crate::pipeline::Pipeline;
    use crate::scenario::find;

    #[test]
    fn what_it_writes_can_be_read_and_is_never_written_over() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let arguments = Arguments { folder: folder.path().join("mine") };
        assert!(init(&arguments).is_ok());
        let file = |name: &str| arguments.folder.join(name).to_string_lossy().into_owned();
        let layout = Layout::at(folder.path());
        let pipeline = Pipeline::read(&layout, &file("pipeline.toml")).expect("a good description");
        let scenario = find(&layout, &file("first.toml")).expect("a good scenario");
        scenario.fits(&pipeline, 12).expect("it fits");
        let again = init(&arguments).err().expect("it is there").to_string();
        assert!(again.ends_with("pipeline.toml: is there already: move it away, or name another folder"), "{again}");
    }
}
