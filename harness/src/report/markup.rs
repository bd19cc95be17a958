//! Text in HTML and XML.

/// Text that is safe in both, also in a quoted attribute; characters that XML cannot hold at all become `\u{fffd}`.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => safe.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_it_is_markup() {
        assert_eq!(
            escaped("a\n<b c='d' & \"e\">\u{1}\u{ffff}é"),
            "a\n&lt;b c=&#39;d&#39; &amp; &quot;e&quot;&gt;\u{fffd}\u{fffd}é"
        );
    }
}
