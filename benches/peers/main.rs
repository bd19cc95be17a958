//! The same work against Scrimmage and against what a user would pick instead, in one run and
//! through the same client code: `cargo run --release -p scrimmage-benches --bin peers`.

mod bigquery;
mod firestore;
mod machine;
mod program;
mod pubsub;
mod python;
mod sheet;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use machine::Machine;
use sheet::Sheet;
use subject::Subject;

/// What goes wrong, for people.
type Result<T> = std::result::Result<T, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Service {
    Firestore,
    Pubsub,
    Bigquery,
    All,
}

/// Measures Scrimmage beside Google's emulators and the BigQuery emulators from PyPI
#[derive(Debug, Parser)]
struct Arguments {
    /// Which service
    #[arg(value_enum, default_value_t = Service::All)]
    service: Service,
    /// The `scrimmage` to measure; without it, the one beside this program
    #[arg(long, value_name = "BINARY")]
    scrimmage: Option<PathBuf>,
    /// Fewer repetitions and smaller tables: to see that it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Measure Scrimmage alone
    #[arg(long)]
    no_peers: bool,
    /// Write the results as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How much work: the whole, or a taste of it.
#[derive(Clone, Copy, Debug)]
struct Scale {
    quick: bool,
}

impl Scale {
    /// `full`, or `quick` where a taste is enough.
    fn of(self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = tokio::select! {
        ended = run(&arguments) => ended,
        // What runs is dropped, and with it every program that it started.
        () = interrupted() => Err("interrupted".to_owned()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("peers: {problem}");
            ExitCode::from(2)
        }
    }
}

async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: for figures use `cargo run --release`");
    }
    let ours = subject::ours(arguments.scrimmage.clone())?;
    let machine = Machine::look();
    println!("{machine}");
    let scale = Scale { quick: arguments.quick };
    let wanted = |service| arguments.service == Service::All || arguments.service == service;
    let mut sheets = Vec::new();
    if wanted(Service::Firestore) {
        let subjects = lineup(&ours, arguments, vec![("Google", subject::google_firestore())]);
        let mut sheet = Sheet::new("Firestore", &subjects);
        for subject in &subjects.running {
            firestore::measure(subject, scale, &mut sheet).await;
        }
        sheets.push(sheet);
    }
    if wanted(Service::Pubsub) {
        let subjects = lineup(&ours, arguments, vec![("Google", subject::google_pubsub())]);
        let mut sheet = Sheet::new("Pub/Sub", &subjects);
        for subject in &subjects.running {
            pubsub::measure(subject, scale, &mut sheet).await;
        }
        sheets.push(sheet);
    }
    if wanted(Service::Bigquery) {
        let peers = if arguments.no_peers { Vec::new() } else { python::bigquery_peers().await };
        let subjects = lineup(&ours, arguments, peers);
        let mut sheet = Sheet::new("BigQuery", &subjects);
        for subject in &subjects.running {
            bigquery::measure(subject, scale, &mut sheet).await;
        }
        sheets.push(sheet);
    }
    for sheet in &sheets {
        println!("\n{sheet}");
    }
    println!("\nload average at the end: {}", machine::load_average());
    if let Some(file) = &arguments.json {
        let results = sheet::json(&machine, arguments.quick, &sheets);
        let text = serde_json::to_string_pretty(&results).map_err(|error| error.to_string())?;
        std::fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// Who is measured, and who is not and why.
struct Lineup {
    running: Vec<Subject>,
    skipped: Vec<(String, String)>,
}

fn lineup(ours: &Subject, arguments: &Arguments, peers: Vec<(&str, Result<Subject>)>) -> Lineup {
    let mut lineup = Lineup { running: vec![ours.clone()], skipped: Vec::new() };
    for (name, peer) in peers {
        match peer {
            Ok(_) if arguments.no_peers => {}
            Ok(peer) => lineup.running.push(peer),
            Err(reason) => {
                eprintln!("SKIPPED: {name}: {reason}");
                lineup.skipped.push((name.to_owned(), reason));
            }
        }
    }
    lineup
}
