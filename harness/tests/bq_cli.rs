//! The `bq` program of the Google Cloud SDK against `scrimmage up`, unchanged but for environment
//! variables.
//!
//! Runs where `bq` is installed, and says so where it is not.

#![allow(clippy::expect_used, reason = "a test may")]

mod served;

use served::Served;
use std::path::Path;
use std::process::{Command, Stdio};

/// One server and a configuration folder of its own: `bq` keeps discovery documents of a port there.
struct Bq {
    up: Served,
    folder: tempfile::TempDir,
}

impl Bq {
    fn new() -> Bq {
        let folder = tempfile::TempDir::new().expect("a folder");
        let buckets = folder.path().join("buckets");
        std::fs::create_dir_all(buckets.join("bucket")).expect("a bucket");
        let up = Served::with(&["--gcs-folder", &buckets.to_string_lossy()]);
        Bq { up, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("bq");
        command.arg("--headless").args(arguments).envs(self.up.environment());
        command.env("CLOUDSDK_CONFIG", self.folder.path().join("gcloud")).env("HOME", self.folder.path());
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS").env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// What it prints on success.
    fn run(&self, arguments: &[&str]) -> String {
        let (ok, said) = self.end(arguments);
        assert!(ok, "bq {arguments:?}: {said}");
        said
    }

    /// Whether it succeeds, and what it prints.
    fn end(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        // It wraps long lines, tables have lines of their own.
        let said = if output.status.success() { said } else { said.split_whitespace().collect::<Vec<_>>().join(" ") };
        (output.status.success(), said)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn bucket(&self) -> std::path::PathBuf {
        self.folder.path().join("buckets/bucket")
    }
}

fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder: std::path::PathBuf| Path::new(&folder).join("bq").is_file())
}

#[test]
fn bq_does_a_days_work() {
    if !is_installed() {
        println!("SKIPPED: there is no `bq`; it comes with the Google Cloud SDK");
        eprintln!("SKIPPED: there is no `bq`; it comes with the Google Cloud SDK");
        return;
    }
    let bq = Bq::new();
    let has = |said: &str, wanted: &[&str]| {
        for one in wanted {
            assert!(said.contains(one), "no {one:?} in {said}");
        }
    };
    has(&bq.run(&["mk", "--dataset", "work"]), &["successfully created"]);
    has(&bq.run(&["mk", "--table", "work.people", "name:string,age:integer"]), &["successfully created"]);

    bq.write("people.csv", "name,age\nada,36\nbob,41\n");
    bq.run(&["load", "--source_format=CSV", "--skip_leading_rows=1", "work.people", "people.csv"]);
    bq.write("more.json", "{\"name\": \"eve\", \"age\": 29}\n");
    bq.run(&["insert", "work.people", "more.json"]);
    let sum = ["--format=json", "query", "--use_legacy_sql=false", "--parameter=least:INT64:30"];
    let sum = [&sum[..], &["SELECT COUNT(*) AS n, SUM(age) AS years FROM work.people WHERE age > @least"]].concat();
    has(&bq.run(&sum), &[r#"[{"n":"2","years":"77"}]"#]);
    let (ok, said) = bq.end(&["query", "--use_legacy_sql=false", "SELECT nothing FROM work.people"]);
    assert!(!ok, "{said}");
    has(&said, &["Unrecognized name: nothing at [1:8]"]);

    has(&bq.run(&["head", "--max_rows=5", "work.people"]), &["ada", "bob", "eve"]);
    has(&bq.run(&["ls", "work"]), &["people", "TABLE"]);
    bq.run(&["update", "--description=everybody", "work.people"]);
    let shown = bq.run(&["--format=json", "show", "work.people"]);
    has(&shown, &["everybody", r#"{"name":"age","type":"INTEGER""#]);
    has(&bq.run(&["cp", "work.people", "work.copy"]), &["successfully copied"]);
    bq.run(&["extract", "work.copy", "gs://bucket/people.csv"]);
    let extracted = std::fs::read_to_string(bq.bucket().join("people.csv")).expect("the extracted file");
    has(&extracted, &["name,age", "ada,36", "bob,41"]);
    bq.run(&["rm", "-f", "-r", "--dataset", "work"]);
    let (ok, said) = bq.end(&["show", "work.people"]);
    assert!(!ok, "{said}");
    has(&said, &["Not found"]);
}
