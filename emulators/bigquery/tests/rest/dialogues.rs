//! Dialogues: files in `tests/dialogues` with statements and scripts behind `> ` and what is answered below each.
//!
//! A statement goes on over lines that begin with `| `. Rows are answered one a line, values separated by ` | `; a
//! statement that changes rows answers `n inserted, n updated, n deleted`, a query without rows `no rows`, any other
//! statement without rows `ok`, an error `error: …`.
//! Each file has a server of its own with the dataset `d`, at 2026-01-01T00:00:00Z.

use serde_json::Value;

use crate::support::{Server, counts, rows_of};

/// How many exchanges there are at least; it grows with them.
const LEAST: usize = 187;

struct Exchange {
    line: usize,
    sql: String,
    answer: Vec<String>,
}

fn exchanges(text: &str) -> Vec<Exchange> {
    let mut out: Vec<Exchange> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if let Some(sql) = line.strip_prefix("> ") {
            out.push(Exchange { line: index + 1, sql: sql.to_owned(), answer: Vec::new() });
        } else if line.is_empty() || line.starts_with('#') {
        } else if let Some(last) = out.last_mut() {
            match line.strip_prefix("| ") {
                Some(more) if last.answer.is_empty() => {
                    last.sql.push('\n');
                    last.sql.push_str(more);
                }
                _ => last.answer.push(line.to_owned()),
            }
        }
    }
    out
}

async fn say(server: &Server, sql: &str) -> Vec<String> {
    let answer = server.query(sql).await;
    let text = if answer.status >= 300 {
        format!("error: {}", answer.error().2)
    } else if answer.body.get("dmlStats").is_some_and(Value::is_object) && answer.body["rows"].is_null() {
        let (inserted, updated, deleted) = counts(&answer.body);
        format!("{inserted} inserted, {updated} updated, {deleted} deleted")
    } else if answer.body["rows"].is_null() && answer.body.get("totalRows").is_none_or(|rows| rows == "0") {
        if answer.body["statementType"] == "SELECT" { "no rows".to_owned() } else { "ok".to_owned() }
    } else {
        rows_of(&answer.body).iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n")
    };
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[tokio::test]
async fn dialogues_answer_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the dialogues").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let (mut wrong, mut count) = (String::new(), 0);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let server = Server::with_dataset().await;
        for exchange in exchanges(&text) {
            count += 1;
            let got = say(&server, &exchange.sql).await;
            if got != exchange.answer {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let (got, wanted) = (got.join("\n    "), exchange.answer.join("\n    "));
                wrong.push_str(&format!(
                    "{name}:{}: {}\n  wanted\n    {wanted}\n  got\n    {got}\n",
                    exchange.line, exchange.sql
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= LEAST, "{count} exchanges: some were lost");
}
