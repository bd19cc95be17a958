//! Generates the crate from the `.proto` files that the crate `firestore_grpc` carries.
//!
//! That crate is a dependency under a condition that never holds, so that cargo fetches and locks
//! its source but never compiles it. `cargo metadata` tells where the source lies.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use protox::Compiler;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SOURCE_CRATE: &str = "firestore_grpc";

/// What is generated; imports follow by themselves.
const FILES: &[&str] = &[
    "google/api/annotations.proto",
    "google/api/client.proto",
    "google/cloud/bigquery/storage/v1/storage.proto",
    "google/firestore/admin/v1/firestore_admin.proto",
    "google/firestore/v1/firestore.proto",
    "google/iam/v1/iam_policy.proto",
    "google/pubsub/v1/pubsub.proto",
    "google/pubsub/v1/schema.proto",
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "google/type/latlng.proto",
];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let protos = proto_folder()?;

    let mut compiler = Compiler::new([&protos])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    // Messages in `prost-types` form feed the generator: with comments, without extensions.
    let documented = compiler.file_descriptor_set();
    // This encoding keeps `google.api.http` and the like, which the typed set drops.
    let descriptors = compiler.include_source_info(false).encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), descriptors)?;

    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .bytes(".google")
        .include_file("all.rs")
        .compile_fds(documented)?;
    Ok(())
}

/// The folder in the source crate under which `google/…` lies.
fn proto_folder() -> Result<PathBuf> {
    // Offline first: while a build runs, everything that this machine needs is already fetched.
    // Online is for crates of other platforms, which `metadata` wants to see too.
    let metadata = match metadata(&["--offline"]) {
        Ok(metadata) => metadata,
        Err(_) => metadata(&[])?,
    };
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == SOURCE_CRATE)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| format!("cargo metadata does not list {SOURCE_CRATE}"))?;
    let folder = Path::new(manifest).with_file_name("proto");
    if folder.join("google").is_dir() {
        Ok(folder)
    } else {
        Err(format!("no .proto files in {}", folder.display()).into())
    }
}

fn metadata(extra: &[&str]) -> Result<Value> {
    let manifest = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .args(extra)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
