//! Path templates of `google.api.http`: parse once, match per request.
//!
//! The grammar is the one that `google/api/http.proto` documents: literal segments, `*` for one
//! segment, `**` for any number, `{field=…}` around a part, and a `:verb` at the end.

use percent::decode;

/// A parsed template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: Option<String>,
    /// Where the `**` stands, if there is one.
    rest: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    Literal(String),
    One,
    Rest,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Variable {
    /// `document.name` and the like.
    field: String,
    start: usize,
    /// Behind the last segment.
    end: usize,
}

/// A path, taken apart once for all templates.
#[derive(Debug)]
pub struct Path<'a> {
    segments: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// Takes a path apart; `None` where it does not begin with a slash.
    pub fn new(path: &'a str) -> Option<Self> {
        Some(Path { segments: path.strip_prefix('/')?.split('/').collect() })
    }

    /// How many segments follow the first `documents`, if that occurs.
    pub fn after(&self, literal: &str) -> Option<usize> {
        let at = self.segments.iter().position(|segment| *segment == literal)?;
        Some(self.segments.len() - at - 1)
    }
}

/// What a template found: each variable's field and its decoded value.
pub type Captures<'t> = Vec<(&'t str, String)>;

impl Template {
    /// Parses a template; `None` where it is not well-formed or has more than one `**`.
    pub fn parse(text: &str) -> Option<Template> {
        let mut template = Template { segments: Vec::new(), variables: Vec::new(), verb: None, rest: None };
        let mut rest = text.strip_prefix('/')?;
        loop {
            if let Some(inner) = rest.strip_prefix('{') {
                let (inside, after) = inner.split_once('}')?;
                let (field, pattern) = inside.split_once('=').unwrap_or((inside, "*"));
                let start = template.segments.len();
                for segment in pattern.split('/') {
                    template.push(segment)?;
                }
                let end = template.segments.len();
                template.variables.push(Variable { field: field.to_owned(), start, end });
                rest = after;
            } else {
                let length = rest.find(['/', ':']).unwrap_or(rest.len());
                let (segment, after) = rest.split_at(length);
                template.push(segment)?;
                rest = after;
            }
            if rest.is_empty() {
                return Some(template);
            }
            if let Some(verb) = rest.strip_prefix(':') {
                template.verb = Some(verb.to_owned());
                return Some(template);
            }
            rest = rest.strip_prefix('/')?;
        }
    }

    fn push(&mut self, segment: &str) -> Option<()> {
        self.segments.push(match segment {
            "" => return None,
            "*" => Segment::One,
            "**" if self.rest.is_some() => return None,
            "**" => {
                self.rest = Some(self.segments.len());
                Segment::Rest
            }
            literal => Segment::Literal(literal.to_owned()),
        });
        Some(())
    }

    /// The verb behind the colon.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// Matches a whole path.
    pub fn matches(&self, path: &Path<'_>) -> Option<Captures<'_>> {
        let mut segments = path.segments.as_slice();
        let shortened: Vec<&str>;
        if let Some(verb) = &self.verb {
            let (last, front) = segments.split_last()?;
            let last = last.strip_suffix(verb.as_str())?.strip_suffix(':')?;
            shortened = front.iter().copied().chain([last]).collect();
            segments = &shortened;
        }
        // What `**` stands for: as many segments as the others leave.
        let fixed = self.segments.len() - usize::from(self.rest.is_some());
        let spread = segments.len().checked_sub(fixed)?;
        if self.rest.is_none() && spread > 0 {
            return None;
        }
        // Position in the path of a position in the template.
        let place = |index: usize| match self.rest {
            Some(rest) if index > rest => index - 1 + spread,
            _ => index,
        };
        for (index, segment) in self.segments.iter().enumerate() {
            let found = segments.get(place(index)).copied();
            let fits = match segment {
                Segment::Literal(literal) => {
                    found.is_some_and(|found| found == literal || decode(found, false) == *literal)
                }
                Segment::One => found.is_some_and(|found| !found.is_empty()),
                Segment::Rest => true,
            };
            if !fits {
                return None;
            }
        }
        let capture = |variable: &'_ Variable| {
            let parts = segments.get(place(variable.start)..place(variable.end)).unwrap_or(&[]);
            // One segment is decoded fully; in several an encoded slash stays told apart.
            let several =
                variable.end - variable.start > 1 || self.segments.get(variable.start) == Some(&Segment::Rest);
            parts.iter().map(|part| decode(part, several)).collect::<Vec<_>>().join("/")
        };
        Some(self.variables.iter().map(|variable| (variable.field.as_str(), capture(variable))).collect())
    }
}

/// Percent-encoding in paths and queries.
pub mod percent {
    /// Decodes `%XX`; what is not an escape, or not UTF-8, stays readable. `keep_slash` leaves `%2F`.
    pub fn decode(text: &str, keep_slash: bool) -> String {
        if !text.contains('%') {
            return text.to_owned();
        }
        let bytes = text.as_bytes();
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let escape = (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(hex);
            match escape {
                Some(b'/') if keep_slash => decoded.extend_from_slice(b"%2F"),
                Some(value) => decoded.push(value),
                None => {
                    decoded.push(*byte);
                    at += 1;
                    continue;
                }
            }
            at += 3;
        }
        String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    fn hex(pair: &[u8]) -> Option<u8> {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u8::from_str_radix(text, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/v1/{project=projects/*}/topics", "/v1/projects/p/topics", Some(vec![("project", "projects/p")]))]
    #[case("/v1/{project=projects/*}/topics", "/v1/projects/p/topics/", None)]
    #[case("/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/p/topics/t:publish", Some(vec![("topic", "projects/p/topics/t")]))]
    #[case("/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/p/topics/a:b:publish", Some(vec![("topic", "projects/p/topics/a:b")]))]
    #[case("/v1/{topic=projects/*/topics/*}:publish", "/v1/projects/p/topics/t", None)]
    #[case("/v1/{name=projects/*/docs/*/**}", "/v1/projects/p/docs/a", Some(vec![("name", "projects/p/docs/a")]))]
    #[case("/v1/{name=projects/*/docs/*/**}", "/v1/projects/p/docs/a/b/c", Some(vec![("name", "projects/p/docs/a/b/c")]))]
    #[case("/v1/{parent=projects/*/docs/**}/{id}", "/v1/projects/p/docs/a", Some(vec![("parent", "projects/p/docs"), ("id", "a")]))]
    #[case("/v1/{parent=projects/*/docs/**}/{id}", "/v1/projects/p/docs/a/b/c%20d", Some(vec![("parent", "projects/p/docs/a/b"), ("id", "c d")]))]
    #[case("/v1/{resource=**}:getIamPolicy", "/v1/projects/p/topics/t:getIamPolicy", Some(vec![("resource", "projects/p/topics/t")]))]
    #[case("/v1/{name=a/*}", "/v1/a/x%2Fy%20z", Some(vec![("name", "a/x%2Fy z")]))]
    fn matches_paths(#[case] template: &str, #[case] path: &str, #[case] expected: Option<Vec<(&str, &str)>>) {
        let template = Template::parse(template).expect("a template");
        let found = template.matches(&Path::new(path).expect("a path"));
        let found: Option<Vec<_>> =
            found.as_ref().map(|captures| captures.iter().map(|(field, value)| (*field, value.as_str())).collect());
        assert_eq!(found, expected);
    }

    #[test]
    fn refuses_what_is_no_template() {
        for text in ["", "v1", "/v1/{name", "/v1//x", "/{a=**}/{b=**}", "/v1/{a}b"] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn matching_never_panics(template in "/[a-z*{}=/:.]{0,30}", path in "/[a-z*{}=/:.%2F\\PC]{0,40}") {
            if let (Some(template), Some(path)) = (Template::parse(&template), Path::new(&path)) {
                let _ = template.matches(&path);
            }
        }

        #[test]
        fn decoding_never_panics(text in "\\PC{0,40}", keep in any::<bool>()) {
            percent::decode(&text, keep);
        }
    }
}
