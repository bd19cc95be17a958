//! Statements that nobody would write: no panic, no endless loop, no stack overflow.
//!
//! The statements of `tests/dialogues` and expressions of the reference test are taken apart and put together
//! wrongly. `FUZZ_CASES` sets how many (1,500 unless set), `FUZZ_SEED` the first seed; the example `fuzz` does the
//! same for a given time.

#[path = "../reference/generator/mod.rs"]
mod generator;
mod mutate;
#[path = "../support/tables.rs"]
mod tables;

use mutate::{Corpus, Verdict};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn mutated_statements_end_in_an_answer() {
    let corpus = Corpus::read();
    assert!(corpus.len() > 100, "the dialogues are there");
    let (cases, first) = (number("FUZZ_CASES", 1500), number("FUZZ_SEED", 1));
    let (mut answered, mut parsed) = (0, 0);
    for seed in first..first + cases {
        let sql = corpus.statement(seed);
        match corpus.verdict(&sql) {
            Verdict::Rows => answered += 1,
            Verdict::Refused { parsed: true } => parsed += 1,
            Verdict::Refused { parsed: false } => {}
            Verdict::Panicked(text) => panic!("seed {seed}: {sql}\n{text}"),
        }
    }
    println!("{answered} of {cases} answered, {parsed} more parsed");
    assert!(answered > cases / 20, "too few statements survive to test the executor");
}

/// Each kind of nesting, deeper than any limit: an answer or an error, and soon.
#[test]
fn deep_nesting_is_refused_or_answered() {
    let corpus = Corpus::read();
    for (open, middle, close) in mutate::NESTS {
        for depth in [10usize, 300, 20_000] {
            let sql = format!("SELECT {}{middle}{}", open.repeat(depth), close.repeat(depth));
            if let Verdict::Panicked(text) = corpus.verdict(&sql) {
                panic!("{open} {depth} deep: {text}");
            }
        }
    }
}

#[test]
fn long_statements_are_refused_or_answered() {
    let corpus = Corpus::read();
    let long = [
        format!("SELECT {}1", "1 + ".repeat(20_000)),
        format!("SELECT {}", vec!["1"; 20_000].join(", ")),
        format!("SELECT 1 IN ({})", vec!["2"; 20_000].join(", ")),
        format!("SELECT {}TRUE", "FALSE OR ".repeat(20_000)),
        format!("SELECT CONCAT({})", vec!["'a'"; 5_000].join(", ")),
        format!("SELECT '{}'", "é".repeat(300_000)),
        format!("SELECT {}", "a".repeat(300_000)),
        vec!["SELECT 1"; 3_000].join(" UNION ALL "),
        format!("SELECT 1 FROM t {}", "JOIN u USING (a) ".repeat(300)),
        format!("SELECT {}", "/*".repeat(100_000)),
        format!("SELECT [{}]", vec!["STRUCT(1 AS x)"; 5_000].join(", ")),
        format!(
            "WITH {} SELECT 1",
            (0..1000).map(|at| format!("c{at} AS (SELECT 1 AS x)")).collect::<Vec<_>>().join(", ")
        ),
        format!("FROM t {}", "|> WHERE a > 1 ".repeat(3_000)),
        // Short, but each level doubles what it makes.
        format!("SELECT x FROM {}(SELECT 'a' AS x){}", "(SELECT CONCAT(x, x) AS x FROM ".repeat(40), ")".repeat(40)),
        format!("SELECT x FROM {}(SELECT b'a' AS x){}", "(SELECT x || x AS x FROM ".repeat(40), ")".repeat(40)),
        format!(
            "SELECT x FROM {}(SELECT [1] AS x){}",
            "(SELECT ARRAY_CONCAT(x, x) AS x FROM ".repeat(40),
            ")".repeat(40)
        ),
    ];
    for sql in long {
        if let Verdict::Panicked(text) = corpus.verdict(&sql) {
            panic!("{}…: {text}", sql.chars().take(60).collect::<String>());
        }
    }
}
