//! Programs that cargo builds, where they are missing or older than their sources.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::process::Command;

use crate::SetupError;
use crate::pipeline::description::{CargoBuild, Pipeline};

/// The harness's own place in cargo's target folder.
struct CargoPlace {
    /// `target/release`, where programs are.
    programs: PathBuf,
    target: PathBuf,
    profile: String,
}

impl CargoPlace {
    /// From where this program lies: `target/PROFILE/scrimmage`, or `target/PROFILE/deps/…` for a test.
    /// `None` for one that was copied elsewhere: only Cargo marks its folder with `CACHEDIR.TAG`.
    fn of_this_program() -> Option<CargoPlace> {
        let program = std::env::current_exe().ok()?;
        let mut folder = program.parent()?;
        if folder.file_name()? == "deps" {
            folder = folder.parent()?;
        }
        let profile = match folder.file_name()?.to_str()? {
            "debug" => "dev",
            other => other,
        };
        let target = folder.parent().filter(|target| target.join("CACHEDIR.TAG").is_file())?;
        Some(CargoPlace { programs: folder.to_owned(), target: target.to_owned(), profile: profile.to_owned() })
    }
}

impl CargoBuild {
    /// Makes sure that the programs are there and new; returns the folder that they are in.
    pub(super) async fn build(&self, pipeline: &Pipeline, tell: &dyn Fn(&str)) -> Result<PathBuf, SetupError> {
        let place = CargoPlace::of_this_program().ok_or_else(|| {
            SetupError::prepare(
                format!("pipeline `{}`", pipeline.name),
                "this program does not lie in a cargo target folder",
            )
        })?;
        let programs: Vec<PathBuf> = self
            .programs
            .iter()
            .map(|name| place.programs.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
            .collect();
        let newest_source = self.sources.iter().filter_map(|source| newest(&pipeline.folder.join(source))).max();
        let fresh = programs
            .iter()
            .all(|program| modified(program).is_some_and(|built| newest_source.is_none_or(|source| built >= source)));
        if fresh {
            return Ok(place.programs);
        }
        // Together with the harness, so that both see the same features of the crates they share
        // and nothing that is built already is built again in another shape.
        let packages = ["--package", env!("CARGO_PKG_NAME"), "--package", &self.package];
        tell(&format!("building pipeline `{}` (cargo build --profile {})", pipeline.name, place.profile));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--profile", &place.profile]).args(packages);
        command.env("CARGO_TARGET_DIR", &place.target).current_dir(&pipeline.folder).kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| describes_a_package(name)) {
            command.env_remove(name);
        }
        let shown = format!("cargo build --profile {} {}", place.profile, packages.join(" "));
        let output = command
            .output()
            .await
            .map_err(|error| SetupError::Build { command: shown.clone(), output: error.to_string() })?;
        if !output.status.success() {
            let output = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(SetupError::Build { command: shown, output });
        }
        Ok(place.programs)
    }
}

/// Variables in which `cargo run` and `cargo test` tell a program of its own package. Build scripts that
/// look at them (those of cryptographic crates do) would take them for a change, and everything that
/// stands on such a crate would be built a second time.
fn describes_a_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || name == "OUT_DIR"
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// When the newest file at or below a path was written.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return modified(path);
    }
    let entries = std::fs::read_dir(path).ok()?;
    entries.filter_map(Result::ok).filter_map(|entry| newest(&entry.path())).max()
}
