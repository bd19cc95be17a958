//! Whether messages written by one definition can be read by another: Avro's schema resolution.

use std::collections::HashSet;

use super::{Avro, Node};

impl Avro {
    /// Whether each of the two can read what the other wrote, as production asks of a new revision.
    pub fn is_compatible_with(&self, other: &Avro) -> bool {
        can_read(self, other) && can_read(other, self)
    }
}

fn can_read(reader: &Avro, writer: &Avro) -> bool {
    Resolution { reader, writer, assumed: HashSet::new() }.reads(reader.root, writer.root)
}

struct Resolution<'a> {
    reader: &'a Avro,
    writer: &'a Avro,
    /// Pairs that are being looked at: a type that holds itself fits where everything else does.
    assumed: HashSet<(usize, usize)>,
}

impl Resolution<'_> {
    fn reads(&mut self, reader: usize, writer: usize) -> bool {
        if !self.assumed.insert((reader, writer)) {
            return true;
        }
        let fits = self.compare(reader, writer);
        if !fits {
            self.assumed.remove(&(reader, writer));
        }
        fits
    }

    fn compare(&mut self, reader: usize, writer: usize) -> bool {
        let (to, from) = (self.reader, self.writer);
        match (to.node(reader), from.node(writer)) {
            (_, Node::Union(branches)) => branches.iter().all(|branch| self.reads(reader, *branch)),
            (Node::Union(branches), _) => branches.iter().any(|branch| self.reads(*branch, writer)),
            (Node::Null, Node::Null)
            | (Node::Boolean, Node::Boolean)
            | (Node::Int, Node::Int)
            | (Node::Long, Node::Int | Node::Long)
            | (Node::Float, Node::Int | Node::Long | Node::Float)
            | (Node::Double, Node::Int | Node::Long | Node::Float | Node::Double)
            | (Node::Bytes | Node::String, Node::Bytes | Node::String) => true,
            (Node::Array(to), Node::Array(from)) | (Node::Map(to), Node::Map(from)) => self.reads(*to, *from),
            (Node::Fixed { name: to, size: a }, Node::Fixed { name: from, size: b }) => a == b && same(to, from),
            (Node::Enum { name: a, symbols: to, has_default }, Node::Enum { name: b, symbols: from, .. }) => {
                same(a, b) && (*has_default || from.iter().all(|symbol| to.contains(symbol)))
            }
            (Node::Record { name: a, fields: to }, Node::Record { name: b, fields: from }) => {
                same(a, b)
                    && to.iter().all(|field| {
                        let written =
                            from.iter().find(|other| other.name == field.name || field.aliases.contains(&other.name));
                        match written {
                            Some(written) => self.reads(field.node, written.node),
                            None => field.has_default,
                        }
                    })
            }
            _ => false,
        }
    }
}

/// Names match without their namespaces.
fn same(a: &str, b: &str) -> bool {
    a.rsplit('.').next() == b.rsplit('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> Avro {
        Avro::parse(&format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)).expect("a definition")
    }

    #[test]
    fn revisions_must_read_each_other() {
        let base = record(r#"{"name": "a", "type": "int"}"#);
        let with_default = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": ""}"#);
        let without = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "string"}"#);
        let wider = record(r#"{"name": "a", "type": "long"}"#);
        let other = record(r#"{"name": "a", "type": "string"}"#);
        assert!(base.is_compatible_with(&base));
        assert!(base.is_compatible_with(&with_default) && with_default.is_compatible_with(&base));
        assert!(!base.is_compatible_with(&without));
        // A long reads an int, but not the other way round.
        assert!(!base.is_compatible_with(&wider));
        assert!(!base.is_compatible_with(&other));
    }

    #[test]
    fn types_that_hold_themselves_end() {
        let list = r#"{"name": "head", "type": "int"}, {"name": "tail", "type": ["null", "R"]}"#;
        assert!(record(list).is_compatible_with(&record(list)));
    }
}
