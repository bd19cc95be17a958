//! A virtual environment of exactly what a lock file lists, made where it is missing or of another
//! lock file.

use std::fs::File;
use std::path::{Path, PathBuf};
use tokio::process::Command;

use crate::SetupError;
use crate::pipeline::description::{Pipeline, PythonBuild};

/// In an environment that is whole: the lock file that it was made of.
const MADE_OF: &str = "made-of.lock";

impl PythonBuild {
    /// Makes sure that the environment is there; returns the folder of its programs.
    pub(super) async fn build(&self, pipeline: &Pipeline, tell: &dyn Fn(&str)) -> Result<PathBuf, SetupError> {
        let lock_file = pipeline.folder.join(&self.lock);
        let wrong = |problem: String| SetupError::File { file: lock_file.clone(), line: None, problem };
        let wanted = std::fs::read(&lock_file).map_err(|error| wrong(error.to_string()))?;
        let folder = place_of(pipeline);
        let programs = folder.join("bin");
        let failed = |error: std::io::Error| SetupError::prepare(folder.display().to_string(), error);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        // Two runs at once must not make the same environment; the second waits and finds it made.
        let busy = File::create(folder.with_extension("busy")).map_err(failed)?;
        let _only_one = tokio::task::spawn_blocking(move || busy.lock().map(|()| busy))
            .await
            .map_err(|error| SetupError::prepare(folder.display().to_string(), error))
            .and_then(|locked| locked.map_err(failed))?;
        if std::fs::read(folder.join(MADE_OF)).is_ok_and(|made_of| made_of == wanted) {
            return Ok(programs);
        }
        tell(&format!("making the virtual environment of pipeline `{}` in {}", pipeline.name, folder.display()));
        std::fs::remove_dir_all(&folder).map_err(failed)?;
        let python = std::env::var_os("SCRIMMAGE_PYTHON").unwrap_or_else(|| "python3".into());
        run(Command::new(&python).args(["-m", "venv"]).arg(&folder), "python3 -m venv").await?;
        let shown = format!("pip install --require-hashes --requirement {}", self.lock.display());
        let mut install = Command::new(programs.join("python"));
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
        run(install.arg("--requirement").arg(&lock_file), &shown).await?;
        std::fs::write(folder.join(MADE_OF), wanted).map_err(failed)?;
        Ok(programs)
    }
}

/// Beside what cargo builds, so that `cargo clean` takes it away; in the user's temporary folder for a
/// program that cargo did not build.
fn place_of(pipeline: &Pipeline) -> PathBuf {
    let of_cargo = std::env::current_exe().ok().and_then(|program| {
        let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
        Some(target.join("python"))
    });
    of_cargo.unwrap_or_else(|| std::env::temp_dir().join("scrimmage-python")).join(&pipeline.name)
}

async fn run(command: &mut Command, shown: &str) -> Result<(), SetupError> {
    let failed = |output: String| SetupError::Build { command: shown.to_owned(), output };
    let output = command.kill_on_drop(true).output().await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(format!(
            "{} is not there; install Python 3.11 or later, or name one by SCRIMMAGE_PYTHON",
            Path::new(command.as_std().get_program()).display()
        )),
        _ => failed(error.to_string()),
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))))
}
