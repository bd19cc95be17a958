//! "Did you mean": the nearest known name, by edit distance.

/// The candidate nearest to `name`, if it is near enough to be a slip: about one edit in five characters.
pub(super) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    if wanted.len() > 128 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        let longest = wanted.len().max(letters.len());
        // GoogleSQL allows about 20 %, and at least one edit.
        let allowed = (longest / 5).max(1);
        if wanted.len().abs_diff(letters.len()) > allowed || longest < 2 {
            continue;
        }
        let distance = distance(&wanted, &letters);
        if distance <= allowed && best.is_none_or(|(known, _)| distance < known) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's distance with adjacent transpositions counted once.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row[j + 1] = cost;
        }
        before = std::mem::replace(&mut last, row);
    }
    last[width - 1]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        assert_eq!(closest("foo", ["fob", "bar"].into_iter()).as_deref(), Some("fob"));
        assert_eq!(closest("game_dat", ["system_id", "game_date"].into_iter()).as_deref(), Some("game_date"));
        assert_eq!(closest("player", ["opponent"].into_iter()), None);
        assert_eq!(closest("a", ["b"].into_iter()), None);
    }
}
