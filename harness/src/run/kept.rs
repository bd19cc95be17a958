//! A run that stays up after its judgement, to be looked at.

use super::{Run, quoted};

/// The services with their data and the pipeline's processes. Dropping it ends them all.
pub struct Kept(Run);

impl Kept {
    pub(super) fn of(run: Run) -> Kept {
        Kept(run)
    }

    /// How to look at it, for people and for a shell: what is no comment is a command to paste.
    pub fn guide(&self) -> String {
        let run = &self.0;
        let (url, project) = (run.stage.url(), run.stage.project());
        let rest = format!("{url}/v1/projects/{project}");
        let statement = match run.done {
            None => format!("SELECT COUNT(*) FROM {}", run.props.quoted(project, &run.props.tables.main)),
            Some(_) => format!("SELECT * FROM `{project}.{}.INFORMATION_SCHEMA.TABLES`", run.props.dataset),
        };
        let body = serde_json::json!({ "query": statement, "useLegacySql": false }).to_string();
        let mut text = String::from("# the stage stays up; Ctrl-C ends it. Point a client at it:\n");
        for (name, value) in run.stage.environment() {
            text.push_str(&format!("export {name}={value}\n"));
        }
        text.push_str("# the pipeline's own addresses\n");
        for door in std::iter::once(&run.completions).chain(&run.requests) {
            text.push_str(&format!("#   {:16} {}\n", door.role(), door.url("/")));
        }
        text.push_str("# every call: what it was, who made it, how it ended, how long it waited for locks\n");
        text.push_str(&format!("curl -s '{url}/admin/journal?service=firestore&limit=20'\n"));
        text.push_str("# the batch documents\n");
        text.push_str(&format!("curl -s '{rest}/databases/(default)/documents/{}'\n", run.props.collection));
        text.push_str("# the topics\n");
        text.push_str(&format!("curl -s '{rest}/topics'\n"));
        text.push_str("# the rows\n");
        text.push_str(&format!("curl -s '{url}/bigquery/v2/projects/{project}/queries' -d {}\n", quoted(&body)));
        text
    }

    /// Ends the pipeline's processes and waits until they are gone.
    pub async fn end(self) {
        if let Err(error) = self.0.end().await {
            eprintln!("{error}");
        }
    }
}
