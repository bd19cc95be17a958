//! `scrimmage export` and `scrimmage import`: documents of running services, to and from files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tokio::io::AsyncWriteExt as _;

use super::{End, say};
use crate::SetupError;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Firestore's documents: one a line, as its REST API has them in JSON
    Firestore(Documents),
}

#[derive(Debug, Args)]
struct Documents {
    /// The file
    file: PathBuf,
    /// The port of the running services, on the loopback address
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// One database, such as `projects/demo/databases/(default)`: to export (else all), or to import
    /// everything into (else where each document is from)
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
}

impl Documents {
    fn url(&self, action: &str) -> Result<reqwest::Url, SetupError> {
        let mut url = reqwest::Url::parse(&format!("http://127.0.0.1:{}/admin/firestore/{action}", self.port))
            .map_err(|error| SetupError::Command { command: "its address".to_owned(), problem: error.to_string() })?;
        if let Some(database) = &self.database {
            url.query_pairs_mut().append_pair("database", database);
        }
        Ok(url)
    }

    /// What an answer that is no success says.
    async fn check(&self, answer: reqwest::Response) -> Result<reqwest::Response, SetupError> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let body: serde_json::Value = answer.json().await.unwrap_or_default();
        let message = body.pointer("/error/message").and_then(serde_json::Value::as_str).unwrap_or("no reason given");
        Err(located(&self.file, message))
    }

    fn unreachable(&self) -> impl Fn(reqwest::Error) -> SetupError {
        let port = self.port;
        move |error| SetupError::Command {
            command: format!("services on port {port}"),
            problem: format!("{error}; `scrimmage up` starts some"),
        }
    }

    fn unusable(&self) -> impl Fn(std::io::Error) -> SetupError {
        let file = self.file.clone();
        move |error| SetupError::File { file: file.clone(), line: None, problem: error.to_string() }
    }
}

/// What is wrong with the file, or else with the call; the service says `line 7: …` of the file's lines.
fn located(file: &Path, message: &str) -> SetupError {
    let numbered = message.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let (line, problem) = match numbered.map(|(line, problem)| (line.parse().ok(), problem)) {
        Some((Some(line), problem)) => (Some(line), problem),
        _ => (None, message),
    };
    SetupError::File { file: file.to_path_buf(), line, problem: problem.to_owned() }
}

pub(crate) async fn export(arguments: Arguments) -> Result<End, SetupError> {
    let What::Firestore(documents) = arguments.what;
    let answer = reqwest::get(documents.url("export")?).await.map_err(documents.unreachable())?;
    let mut answer = documents.check(answer).await?;
    let mut file = tokio::fs::File::create(&documents.file).await.map_err(documents.unusable())?;
    let mut lines = 0;
    while let Some(chunk) = answer.chunk().await.map_err(documents.unreachable())? {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        file.write_all(&chunk).await.map_err(documents.unusable())?;
    }
    file.flush().await.map_err(documents.unusable())?;
    say(&format!("{lines} documents in {}", documents.file.display()));
    Ok(End::Held)
}

pub(crate) async fn import(arguments: Arguments) -> Result<End, SetupError> {
    let What::Firestore(documents) = arguments.what;
    let text = tokio::fs::read(&documents.file).await.map_err(documents.unusable())?;
    let request = reqwest::Client::new().post(documents.url("import")?).body(text);
    let answer = documents.check(request.send().await.map_err(documents.unreachable())?).await?;
    let body: serde_json::Value = answer.json().await.map_err(documents.unreachable())?;
    say(&format!("{} documents from {}", body["imported"], documents.file.display()));
    Ok(End::Held)
}
