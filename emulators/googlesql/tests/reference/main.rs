//! Agreement with an independent evaluator: Google's Spanner emulator embeds GoogleSQL's own reference engine.
//!
//! Seeded expressions over what the two dialects share are evaluated by both; values have to be equal, and where
//! one fails the other has to. `rules.rs` lists what is left out because the dialects differ on purpose;
//! `DIFFERENCES.md` lists what remains. Skipped where the emulator is not installed.
//!
//! `REFERENCE_CASES` sets how many expressions (300 unless set), `REFERENCE_SEED` the first seed,
//! `REFERENCE_ALL=1` goes on after differences and prints them all, `SPANNER_EMULATOR` names its folder.

mod generator;
mod ours;
mod rules;
mod spanner;
#[path = "../support/tables.rs"]
mod tables;

use generator::Generator;

/// What an evaluator says of an expression.
#[derive(Clone, PartialEq, Debug)]
enum Answer {
    /// As Spanner's REST API writes values.
    Value(serde_json::Value),
    Error(String),
    /// The evaluator does not have it.
    Unsupported(String),
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn expressions_have_the_values_that_the_reference_engine_gives_them() {
    let Some(folder) = spanner::folder() else {
        println!("skipped: no Spanner emulator (install the gcloud component cloud-spanner-emulator)");
        return;
    };
    let mut reference = match spanner::Reference::start(&folder) {
        Ok(reference) => reference,
        Err(error) => {
            println!("skipped: the Spanner emulator does not start: {error}");
            return;
        }
    };
    let (cases, first) = (number("REFERENCE_CASES", 300), number("REFERENCE_SEED", 1));
    let go_on = number("REFERENCE_ALL", 0) == 1;
    let (mut compared, mut failed_both, mut unsupported) = (0, 0, 0);
    let mut different = Vec::new();
    for seed in first..first + cases {
        let sql = Generator::new(seed).statement();
        let ours = ours::answer(&sql);
        let theirs = reference.answer(&sql).expect("the emulator answers");
        match (&ours, &theirs) {
            (Answer::Unsupported(_), _) | (_, Answer::Unsupported(_)) => unsupported += 1,
            (Answer::Error(_), Answer::Error(_)) => failed_both += 1,
            (ours, theirs) if rules::agree(ours, theirs) => compared += 1,
            _ if rules::known(&sql, &ours, &theirs) => unsupported += 1,
            _ => different.push(format!("seed {seed}: {sql}\n  ours:      {ours:?}\n  reference: {theirs:?}")),
        }
        if !go_on && different.len() >= 3 {
            break;
        }
    }
    println!("{compared} values agree, {failed_both} fail in both, {unsupported} left out, {} differ", different.len());
    assert!(compared > cases / 3 || !different.is_empty(), "hardly anything was compared");
    assert!(different.is_empty(), "{}", different.join("\n"));
}
