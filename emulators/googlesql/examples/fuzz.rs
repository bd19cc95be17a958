//! Mutated statements for a given time: `cargo run --release -p scrimmage-googlesql --example fuzz -- SECONDS [SEED]`.
//!
//! Prints each statement that panics or takes longer than two seconds; the statement that runs is kept in a file of
//! the temporary folder, in case the process dies of it.

#[path = "../tests/reference/generator/mod.rs"]
mod generator;
#[path = "../tests/fuzz/mutate.rs"]
mod mutate;
#[path = "../tests/support/tables.rs"]
mod tables;

use std::time::{Duration, Instant};

use mutate::{Corpus, Verdict};

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let (seconds, first) = (args.next().unwrap_or(60), args.next().unwrap_or(1));
    let corpus = Corpus::read();
    let current = std::env::temp_dir().join(format!("scrimmage-fuzz-{}.sql", std::process::id()));
    println!("the running statement is in {}", current.display());
    let start = Instant::now();
    let (mut count, mut rows, mut bad) = (0u64, 0u64, 0u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let seed = first + count;
        let sql = corpus.statement(seed);
        if let Err(error) = std::fs::write(&current, &sql) {
            println!("{error}");
        }
        let began = Instant::now();
        match corpus.verdict(&sql) {
            Verdict::Rows => rows += 1,
            Verdict::Refused { .. } => {}
            Verdict::Panicked(text) => {
                bad += 1;
                println!("PANIC seed {seed}: {text}\n{sql}");
            }
        }
        if began.elapsed() > Duration::from_secs(2) {
            bad += 1;
            println!("SLOW seed {seed}: {:?}\n{sql}", began.elapsed());
        }
        count += 1;
    }
    println!("{count} statements, {rows} answered with rows, {bad} bad, {:?}", start.elapsed());
    let _ = std::fs::remove_file(&current);
    std::process::exit(i32::from(bad > 0));
}
