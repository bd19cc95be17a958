//! BigQuery emulators from PyPI, each in a virtual environment of its own below the build's folder.
//!
//! Both are DuckDB underneath and fetch extensions of it at their start from a server of its own. So
//! that a run needs nothing but the package index, the extensions come from there too, as packages
//! for DuckDB 1.5.5, and are unpacked into a home folder of the environment's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::program::work_folder;
use crate::subject::{Subject, said};

const DUCKDB: &str = "1.5.5";

struct Package {
    name: &'static str,
    version: &'static str,
    /// What it needs that it does not ask for.
    besides: &'static [&'static str],
    /// Of DuckDB.
    extensions: &'static [&'static str],
    /// The versions of Python 3 that it runs on.
    pythons: std::ops::Range<u32>,
}

const BQEMULATOR: Package = Package {
    name: "bqemulator",
    version: "1.4.0",
    besides: &["numpy", "pyarrow"],
    extensions: &["icu", "spatial"],
    pythons: 11..14,
};

const LOCAL_BIGQUERY: Package = Package {
    name: "local-bigquery",
    version: "0.4.0",
    besides: &[],
    extensions: &["icu", "ducklake", "spatial"],
    pythons: 13..16,
};

/// Both, each installed or with the reason why not.
pub async fn bigquery_peers() -> Vec<(&'static str, Result<Subject>)> {
    // Installing takes its time: an interrupt must not wait for it.
    let all = tokio::task::spawn_blocking(|| vec![("bqemulator", bqemulator()), ("local-bigquery", local_bigquery())]);
    all.await.unwrap_or_default()
}

fn bqemulator() -> Result<Subject> {
    let environment = BQEMULATOR.install()?;
    Ok(Subject::new("bqemulator", BQEMULATOR.versions(), move |port| {
        let mut command = Command::new(environment.join("bin/bqemulator"));
        command.args(["start", "--rest-port", &port.to_string(), "--grpc-port", "0", "--log-level", "error"]);
        command.env("HOME", environment.join("home"));
        Ok(command)
    }))
}

fn local_bigquery() -> Result<Subject> {
    let environment = LOCAL_BIGQUERY.install()?;
    Ok(Subject::new("local-bigquery", LOCAL_BIGQUERY.versions(), move |port| {
        let data = environment.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
        }
        let mut command = Command::new(environment.join("bin/local-bigquery"));
        let grpc_port = crate::program::free_port()?;
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--grpc-port", &grpc_port.to_string()]);
        command.arg("--data-dir").arg(data).arg("serve").env("HOME", environment.join("home"));
        Ok(command)
    }))
}

impl Package {
    fn versions(&self) -> String {
        format!("{} on DuckDB {DUCKDB}", self.version)
    }

    /// Its virtual environment, made where it is missing or of other versions.
    fn install(&self) -> Result<PathBuf> {
        let folder = work_folder()?.join(self.name);
        let own = format!("{}=={}", self.name, self.version);
        let duckdb = [format!("duckdb=={DUCKDB}"), format!("duckdb-extensions=={DUCKDB}")];
        let extensions = self.extensions.iter().map(|name| format!("duckdb-extension-{name}=={DUCKDB}"));
        // Apart from its own requirements: one of them asks for a DuckDB that has no such packages yet.
        let second: Vec<String> =
            duckdb.into_iter().chain(extensions).chain(self.besides.iter().map(ToString::to_string)).collect();
        let stamp = folder.join("installed");
        let wanted = format!("{own} {}", second.join(" "));
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(folder);
        }
        eprintln!("installing {own} into {}", folder.display());
        let python = self.python()?;
        said(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
        pip(&folder, &[own]).map_err(|why| format!("it does not install: {why}"))?;
        pip(&folder, &second).map_err(|why| format!("DuckDB's extensions do not install: {why}"))?;
        let home = folder.join("home");
        std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        for extension in self.extensions {
            let unpack = format!("import duckdb_extensions; duckdb_extensions.import_extension('{extension}')");
            said(Command::new(folder.join("bin/python")).args(["-c", &unpack]).env("HOME", &home))
                .map_err(|why| format!("DuckDB's extension {extension} does not unpack: {why}"))?;
        }
        std::fs::write(&stamp, wanted).map_err(|error| error.to_string())?;
        Ok(folder)
    }

    /// A Python of a version that it runs on.
    fn python(&self) -> Result<PathBuf> {
        let named = self.pythons.clone().map(|minor| PathBuf::from(format!("python3.{minor}")));
        let mut candidates: Vec<PathBuf> = std::iter::once(PathBuf::from("python3")).chain(named).collect();
        if let Some(home) = std::env::var_os("HOME") {
            let versions = std::fs::read_dir(Path::new(&home).join(".pyenv/versions")).into_iter().flatten().flatten();
            candidates.extend(versions.map(|version| version.path().join("bin/python3")));
        }
        let runs = |python: &PathBuf| {
            let minor = said(Command::new(python).args(["-c", "import sys; print(sys.version_info.minor)"])).ok()?;
            self.pythons.contains(&minor.parse().ok()?).then_some(())
        };
        candidates
            .into_iter()
            .find(|python| runs(python).is_some())
            .ok_or_else(|| format!("there is no Python 3.{} to 3.{}", self.pythons.start, self.pythons.end - 1))
    }
}

fn pip(folder: &Path, packages: &[String]) -> Result<()> {
    let mut command = Command::new(folder.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]);
    command.args(["--timeout", "20"]).args(packages);
    said(&mut command).map(drop)
}
