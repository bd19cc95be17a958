//! What the log and the pushes say of those whom a piece of evidence names.

use std::fmt::Write as _;

use super::{escaped, said};
use crate::run::Record;

const PLAYERS: usize = 3;
const LINES: usize = 5;
const PUSHES: usize = 4;

/// Writes, for each of the first players that the evidence names, what was pushed about them and what
/// was logged of them.
pub(super) fn trail(page: &mut String, evidence: &str, record: &Record) {
    for player in record.players.iter().filter(|player| names(evidence, player)).take(PLAYERS) {
        let pushes: Vec<_> = record.pushes.iter().filter(|push| push.player.as_ref() == Some(player)).collect();
        let lines: Vec<_> = record.lines.iter().filter(|line| names(&line.text, player)).collect();
        if pushes.is_empty() && lines.is_empty() {
            continue;
        }
        let _ = writeln!(page, "<div class=\"trail\"><p>of <b>{}</b></p>\n<ol>", escaped(player));
        let mut told: Vec<(std::time::Duration, String)> = Vec::new();
        for push in pushes.iter().take(PUSHES) {
            let text = format!("push {} {} was answered {}", push.message_id, to(&push.to, &push.path), push.status);
            told.push((push.at, format!("<span class=\"by\">{}</span> {}", escaped(&push.to), escaped(&text))));
        }
        for line in lines.iter().take(LINES) {
            told.push((
                line.at,
                format!("<span class=\"by\">{}</span> <code>{}</code>", escaped(&line.process), escaped(&line.text)),
            ));
        }
        told.sort_by_key(|one| one.0);
        for (at, text) in told {
            let _ = writeln!(page, "<li><time>{}</time> {text}</li>", said(at));
        }
        page.push_str("</ol>\n");
        let more = pushes.len().saturating_sub(PUSHES) + lines.len().saturating_sub(LINES);
        if more > 0 {
            let _ = writeln!(page, "<p class=\"more\">and {more} more</p>");
        }
        page.push_str("</div>\n");
    }
}

fn to(process: &str, path: &str) -> String {
    format!("to {process}{path}")
}

/// Whether a text names somebody: as a whole, not as the beginning of a longer name.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\'');
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let mut after = text.get(at + name.len()..).unwrap_or_default().chars();
        // A full stop or an apostrophe that ends a word is none of its letters.
        let goes_on = match after.next() {
            Some('.' | '\'') => after.next().is_some_and(char::is_alphanumeric),
            Some(next) => is_part(next),
            None => false,
        };
        !before.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_') && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{LineRecord, PushRecord};
    use std::time::Duration;

    #[test]
    fn a_name_is_found_whole() {
        assert!(names("acknowledged and not recorded: p.j.-tucker, o'neale and 3 more", "p.j.-tucker"));
        assert!(names("{\"player_lookup\":\"o'neale\"}", "o'neale"));
        assert!(names("it was al-adams.", "al-adams"));
        assert!(names("'al-adams' is missing", "al-adams"));
        assert!(!names("al-adams-2 has 0 of 25 rows", "al-adams"));
        assert!(!names("hal-adams", "al-adams"));
    }

    #[test]
    fn the_trail_is_in_the_order_of_time() {
        let record = Record {
            players: vec!["al-adams".into(), "bo-brown".into()],
            pushes: vec![PushRecord {
                at: Duration::from_millis(20),
                to: "coordinator".into(),
                path: "/complete".into(),
                message_id: "7".into(),
                player: Some("al-adams".into()),
                status: 204,
            }],
            lines: vec![LineRecord {
                at: Duration::from_millis(10),
                process: "worker-1".into(),
                severity: "INFO".into(),
                text: "staged al-adams".into(),
                is_stderr: false,
            }],
            ..Record::default()
        };
        let mut page = String::new();
        trail(&mut page, "not recorded: al-adams", &record);
        let (staged, pushed) =
            (page.find("staged al-adams"), page.find("push 7 to coordinator/complete was answered 204"));
        assert!(staged.is_some() && staged < pushed, "{page}");
        assert!(!page.contains("bo-brown"));
    }
}
