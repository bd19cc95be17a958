//! Broken statements by seed, and what becomes of them.

#![allow(clippy::expect_used, reason = "without the dialogues there is nothing to break")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use scrimmage_googlesql::exec::ExecContext;
use scrimmage_googlesql::{Type, Value, parser};

use super::generator::Generator;
use super::tables::{self, Tables};

/// What can be put around something again and again.
pub const NESTS: [(&str, &str, &str); 14] = [
    ("(", "1", ")"),
    ("-", "1", ""),
    ("NOT ", "TRUE", ""),
    ("ABS(", "1", ")"),
    ("[", "1", "]"),
    ("STRUCT(", "1", ")"),
    ("(SELECT ", "1", ")"),
    ("CASE WHEN TRUE THEN ", "1", " END"),
    ("IF(TRUE, ", "1", ", 2)"),
    ("CAST(", "1", " AS INT64)"),
    ("ARRAY(SELECT ", "1", ")"),
    ("1 + (", "1", ")"),
    ("CAST(NULL AS ARRAY<STRUCT<", "INT64", ">>)"),
    ("(WITH c AS (SELECT 1) SELECT ", "1", ")"),
];

/// Words that break or bend a statement.
const WORDS: [&str; 72] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "QUALIFY",
    "WINDOW",
    "LIMIT",
    "OFFSET",
    "UNION ALL",
    "EXCEPT DISTINCT",
    "JOIN",
    "LEFT JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "WITH",
    "RECURSIVE",
    "AS",
    "DISTINCT",
    "ALL",
    "NULL",
    "TRUE",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1e308",
    "'a'",
    "''",
    "b'x'",
    "[]",
    "()",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ",",
    ";",
    ".",
    "*",
    "+",
    "-",
    "/",
    "||",
    "=>",
    "->",
    "@p",
    "?",
    "@@time_zone",
    "`t`",
    "t",
    "u",
    "a",
    "b",
    "OVER (PARTITION BY a ORDER BY b)",
    "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "UNNEST([1, 2])",
    "STRUCT(1 AS a)",
    "ARRAY<INT64>",
    "INTERVAL 1 DAY",
    "DATE '2024-01-01'",
    "SAFE.",
    "CASE",
    "END",
    "|> WHERE",
    "|> AGGREGATE COUNT(*)",
    "PIVOT(SUM(a) FOR b IN ('x'))",
    "TABLESAMPLE SYSTEM (10 PERCENT)",
];

#[allow(dead_code)] // The example asks for less than the test.
pub enum Verdict {
    Rows,
    Refused { parsed: bool },
    Panicked(String),
}

pub struct Corpus {
    statements: Vec<String>,
    tables: Tables,
}

/// splitmix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }
}

impl Corpus {
    /// The statements of the dialogues, and small tables of the names that they use most.
    pub fn read() -> Corpus {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).expect("the dialogues").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        let mut statements: Vec<String> = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a text");
            for line in text.lines() {
                match (line.strip_prefix("> "), line.strip_prefix("| "), statements.last_mut()) {
                    (Some(start), ..) => statements.push(start.to_owned()),
                    (_, Some(more), Some(statement)) => {
                        statement.push('\n');
                        statement.push_str(more);
                    }
                    _ => {}
                }
            }
        }
        let mut tables = Tables::default();
        let columns = [("a", Type::Int64), ("b", Type::String), ("c", Type::Float64), ("d", Type::Date)];
        for (name, rows) in [("t", 20), ("u", 7), ("target", 5), ("source", 5)] {
            tables.add(name, &columns, rows, |row, column| match (row % 5, column) {
                (4, _) => Value::Null,
                (_, 0) => Value::Int64(row as i64 - 3),
                (_, 1) => Value::string(format!("text {}", row % 3)),
                (_, 2) => Value::Float64(row as f64 / 4.0),
                _ => Value::Date(19_000 + row as i32),
            });
        }
        Corpus { statements, tables }
    }

    #[allow(dead_code)]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// The statement of a seed.
    pub fn statement(&self, seed: u64) -> String {
        let mut draw = Draw(seed);
        let mut text = self.any(&mut draw, seed);
        for _ in 0..draw.below(4) {
            text = self.broken(&text, &mut draw);
            if text.len() > 20_000 {
                break;
            }
        }
        text
    }

    fn any(&self, draw: &mut Draw, seed: u64) -> String {
        match draw.below(3) {
            0 => Generator::new(seed).statement(),
            1 => format!(
                "SELECT {}, a FROM t WHERE {} ORDER BY 1",
                Generator::new(seed).expression(),
                Generator::new(seed + 1).expression()
            ),
            _ => draw.pick(&self.statements).clone(),
        }
    }

    fn broken(&self, text: &str, draw: &mut Draw) -> String {
        let mut tokens = pieces(text);
        let at = draw.below(tokens.len());
        match draw.below(11) {
            0 => drop((at < tokens.len()).then(|| tokens.remove(at))),
            1 => tokens.insert(at, format!(" {} ", draw.pick(&WORDS))),
            2 if at < tokens.len() => tokens[at] = format!(" {} ", draw.pick(&WORDS)),
            3 => {
                let other = draw.below(tokens.len());
                if at.max(other) < tokens.len() {
                    tokens.swap(at, other);
                }
            }
            4 => {
                let end = (at + draw.below(12)).min(tokens.len());
                let copy = tokens[at.min(end)..end].to_vec();
                let to = draw.below(tokens.len());
                tokens.splice(to..to, copy);
            }
            5 => tokens.truncate(at),
            6 => {
                let (open, _, close) = draw.pick(&NESTS);
                let depth = 1 + draw.below(40);
                tokens.insert(at, open.repeat(depth));
                let end = (at + 1 + draw.below(6)).min(tokens.len());
                tokens.insert(end, close.repeat(depth));
            }
            7 => {
                let other = pieces(draw.pick::<String>(&self.statements));
                let from = draw.below(other.len());
                let to = (from + draw.below(20)).min(other.len());
                tokens.splice(at..at, other[from.min(to)..to].to_vec());
            }
            8 => {
                let inner = tokens.concat();
                return format!("SELECT * FROM ({inner}) AS q {}", draw.pick(&WORDS));
            }
            9 => {
                let inner = tokens.concat();
                let other = draw.pick(&self.statements);
                return format!("{inner} {} {other}", draw.pick(&WORDS));
            }
            _ => {
                let mut chars: Vec<char> = tokens.concat().chars().collect();
                let place = draw.below(chars.len() + 1);
                let odd = ['\0', '\'', '"', '`', '\\', 'é', '\u{1F600}', '\u{2028}', '#', '/', '9', '(', '\n', '$'];
                chars.insert(place, *draw.pick(&odd));
                return chars.into_iter().collect();
            }
        }
        tokens.concat()
    }

    /// Parses as a script; where that is one statement, runs it with little memory and few steps.
    pub fn verdict(&self, sql: &str) -> Verdict {
        let mut parsed = false;
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            parsed = parser::parse(sql).is_ok();
            let mut context = ExecContext::new(tables::eval());
            context.memory_limit = 64 << 20;
            context.step_limit = Some(200_000);
            self.tables.run(sql, &context).map_err(|error| error.locate(sql).to_string()).is_ok()
        }));
        match attempt {
            Ok(true) => Verdict::Rows,
            Ok(false) => Verdict::Refused { parsed },
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Verdict::Panicked(text.unwrap_or_default())
            }
        }
    }
}

/// Words, spaces and single signs, in order; nothing is lost.
fn pieces(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = false;
    for c in text.chars() {
        let part = c.is_alphanumeric() || c == '_';
        match out.last_mut() {
            Some(last) if part && word => last.push(c),
            _ => out.push(c.to_string()),
        }
        word = part;
    }
    out
}
