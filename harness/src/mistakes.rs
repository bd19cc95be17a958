//! What a user may have meant: names that come close to the one that was written.

/// The known name that comes closest, where it comes close: at most one letter in three is another,
/// is missing, is too many, or has changed places with its neighbour.
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: Vec<char> = written.to_lowercase().chars().collect();
    let reach = (written.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|name| (distance(&written, &name.to_lowercase().chars().collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// ` (did you mean `arrival`?)`, or nothing.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(written, known).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// Adds to a message that says ``unknown field `x`, expected one of `a`, `b` `` what was meant.
pub(crate) fn with_a_guess(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let is_about_a_name = ["unknown field `", "unknown variant `"].iter().any(|start| message.starts_with(start));
    match quoted.split_first() {
        Some((written, known)) if is_about_a_name => {
            let guess = did_you_mean(written, known.iter().copied());
            message.replacen(&format!("`{written}`"), &format!("`{written}`{guess}"), 1)
        }
        _ => message.to_owned(),
    }
}

/// Edits from one to the other: a letter changed, added, removed, or swapped with the next.
fn distance(one: &[char], other: &[char]) -> usize {
    // Three rows of the usual table: the swap looks two back.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&last, j) + usize::from(a != b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["arrival", "players", "game_date"];
        assert_eq!(closest("arival", known), Some("arrival"));
        assert_eq!(closest("playres", known), Some("players"));
        assert_eq!(closest("GameDate", known), Some("game_date"));
        assert_eq!(closest("within", known), None);
        assert_eq!(closest("", known), None);
        assert_eq!(closest("rsut", ["rust", "python"]), Some("rust"));
    }

    #[test]
    fn the_guess_stands_beside_what_was_written() {
        assert_eq!(
            with_a_guess("unknown field `arival`, expected one of `players`, `arrival`"),
            "unknown field `arival` (did you mean `arrival`?), expected one of `players`, `arrival`"
        );
        assert_eq!(with_a_guess("missing field `players`"), "missing field `players`");
    }
}
