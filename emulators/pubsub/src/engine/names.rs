//! Resource names: what a topic, subscription or snapshot may be called.
//!
//! Rules: `projects/{project}/topics/{id}`; an id has 3 to 255 characters, starts with a letter, holds
//! letters, digits and `-_.~+%`, and does not start with `goog`
//! (<https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names>).

use crate::limits;
use crate::texts::Error;

/// Shown as the topic of a subscription whose topic was deleted.
pub const DELETED_TOPIC: &str = "_deleted-topic_";

/// The collection a name belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Topic,
    Subscription,
    Snapshot,
    Schema,
}

impl Kind {
    fn segment(self) -> &'static str {
        match self {
            Kind::Topic => "topics",
            Kind::Subscription => "subscriptions",
            Kind::Snapshot => "snapshots",
            Kind::Schema => "schemas",
        }
    }
}

/// Checks that `name` is a full name of that kind.
pub fn check(kind: Kind, name: &str) -> Result<(), Error> {
    let mut parts = name.split('/');
    let good = parts.next() == Some("projects")
        && parts.next().is_some_and(|project| !project.is_empty())
        && parts.next() == Some(kind.segment())
        && parts.next().is_some_and(id_is_valid)
        && parts.next().is_none();
    if good { Ok(()) } else { Err(Error::BadName(name.to_owned())) }
}

/// Checks `projects/{project}`, the parent of list calls.
pub fn check_project(name: &str) -> Result<(), Error> {
    match name.strip_prefix("projects/") {
        Some(project) if !project.is_empty() && !project.contains('/') => Ok(()),
        _ => Err(Error::BadName(name.to_owned())),
    }
}

fn id_is_valid(id: &str) -> bool {
    limits::ID_CHARS.contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~+%".contains(c))
        && !id.starts_with("goog")
}

/// The last segment: what error texts call the resource.
pub fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The project's id, or nothing for a name without one.
pub fn project(name: &str) -> &str {
    name.split('/').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_documented_rules() {
        for good in ["projects/p/topics/abc", "projects/p/topics/a-b_c.d~e+f%25", "projects/p-1/topics/Abc"] {
            assert_eq!(check(Kind::Topic, good), Ok(()), "{good}");
        }
        let long = format!("projects/p/topics/a{}", "b".repeat(255));
        for bad in [
            "",
            "abc",
            "projects/p/topics/ab",
            "projects/p/topics/1bc",
            "projects/p/topics/googly",
            "projects/p/topics/a b",
            "projects/p/topics/abc/d",
            "projects//topics/abc",
            "projects/p/subscriptions/abc",
            long.as_str(),
        ] {
            assert_eq!(check(Kind::Topic, bad), Err(Error::BadName(bad.to_owned())), "{bad}");
        }
    }
}
