//! Google's own Firestore and Pub/Sub emulators as local processes, where they are installed.
//!
//! They come with the Google Cloud SDK (`gcloud components install cloud-firestore-emulator
//! pubsub-emulator`, or the Debian packages) and run on Java. The suite stands in front of them: its gate
//! and its journal work, its clock does not reach them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Backing;
use crate::SetupError;
use crate::clients::local_http;
use crate::pipeline::{CapturedLog, Recipe};
use crate::run::Activity;
use crate::run_model::Running as _;

/// Names the folder with `cloud-firestore-emulator` and `pubsub-emulator` in it.
const VARIABLE: &str = "SCRIMMAGE_GOOGLE_EMULATORS";
const FIRESTORE: &str = "cloud-firestore-emulator/cloud-firestore-emulator.jar";
const PUBSUB: &str = "pubsub-emulator/bin/cloud-pubsub-emulator";
/// A Java machine takes its time.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Where the emulators are installed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Looks where they may be: the folder that `SCRIMMAGE_GOOGLE_EMULATORS` names, else the SDK of the
    /// `gcloud` in the path, else the usual places.
    pub fn find() -> Result<Installation, SetupError> {
        let named = std::env::var_os(VARIABLE).map(PathBuf::from);
        let candidates = match named {
            Some(folder) => vec![folder],
            None => usual_places(),
        };
        Installation::among(&candidates)
    }

    fn among(candidates: &[PathBuf]) -> Result<Installation, SetupError> {
        let is_whole = |folder: &&PathBuf| folder.join(FIRESTORE).is_file() && folder.join(PUBSUB).is_file();
        candidates.iter().find(is_whole).map(|folder| Installation { folder: folder.clone() }).ok_or_else(|| {
            let looked: Vec<String> = candidates.iter().map(|folder| folder.display().to_string()).collect();
            let looked = if looked.is_empty() { "no gcloud in the path".to_owned() } else { looked.join(", ") };
            SetupError::Stage(format!(
                "Google's Firestore and Pub/Sub emulators are not installed ({looked}); install them with `gcloud \
                 components install cloud-firestore-emulator pubsub-emulator`, or name their folder in {VARIABLE}"
            ))
        })
    }

    /// Starts both and waits until they answer.
    pub(super) async fn start(&self) -> Result<Backing, SetupError> {
        let log = CapturedLog::new(Activity::default());
        let http = local_http();
        let firestore = self.recipe(
            "Google's Firestore emulator",
            &[
                "java",
                "-Duser.language=en",
                "-cp",
                &self.folder.join(FIRESTORE).to_string_lossy(),
                "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
                "start",
                "--host=127.0.0.1",
                "--port={port}",
            ],
        );
        let program = self.folder.join(PUBSUB);
        let pubsub = self
            .recipe("Google's Pub/Sub emulator", &[&program.to_string_lossy(), "--host=127.0.0.1", "--port={port}"]);
        let (firestore, pubsub) = futures::try_join!(firestore.start(&log, &http), pubsub.start(&log, &http))?;
        Ok(Backing {
            firestore: Some(format!("http://127.0.0.1:{}", firestore.port())),
            pubsub: Some(format!("http://127.0.0.1:{}", pubsub.port())),
            bigquery: None,
            processes: vec![Arc::new(firestore), Arc::new(pubsub)],
            containers: Vec::new(),
            cloud: None,
        })
    }

    fn recipe(&self, name: &str, command: &[&str]) -> Recipe {
        Recipe {
            name: name.into(),
            command: command.iter().map(|part| (*part).to_owned()).collect(),
            image: None,
            port: None,
            environment: BTreeMap::new(),
            folder: self.folder.clone(),
            ready: "/".to_owned(),
            ready_within: READY_WITHIN,
        }
    }
}

/// `platform` of every SDK that there may be.
fn usual_places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // `bin/gcloud` of an SDK; a package manager's is a link to it.
    let gcloud = std::env::split_paths(&path).map(|folder| folder.join("gcloud")).find(|file| file.is_file());
    let sdk = gcloud.and_then(|file| std::fs::canonicalize(file).ok());
    let of_sdk = sdk.as_deref().and_then(Path::parent).and_then(Path::parent).map(Path::to_owned);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join("google-cloud-sdk"));
    let usual = ["/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk", "/google-cloud-sdk"].map(PathBuf::from);
    of_sdk
        .into_iter()
        .chain(home)
        .chain(usual)
        .map(|root| root.join("platform"))
        .filter(|place| place.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_whole_or_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().to_owned();
        let error = Installation::among(std::slice::from_ref(&place)).expect_err("it is empty").to_string();
        assert!(error.contains("are not installed") && error.contains(&place.display().to_string()), "{error}");
        for file in [FIRESTORE, PUBSUB] {
            std::fs::create_dir_all(place.join(file).parent().expect("a parent")).expect("a folder");
            std::fs::write(place.join(file), "").expect("a file");
        }
        assert_eq!(Installation::among(std::slice::from_ref(&place)).expect("whole"), Installation { folder: place });
    }
}
