//! Row access policies: who sees which rows of a table.

use scrimmage_core::Timestamp;

/// One policy. Its id is the key under which the table keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowPolicy {
    /// A boolean expression over the table's columns.
    pub filter: String,
    /// `user:…`, `serviceAccount:…`, `group:…`, `domain:…`, `allUsers`, `allAuthenticatedUsers`.
    pub grantees: Vec<String>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// Who reads: the principal, and the groups that it is a member of.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// `user:alice@example.com`, or only the address.
    pub member: String,
    /// `group:engineering@example.com`, or only the addresses.
    pub groups: Vec<String>,
}

impl Identity {
    pub fn new(member: &str) -> Identity {
        Identity { member: member.to_owned(), groups: Vec::new() }
    }

    /// The address without what it is of: `SESSION_USER()`.
    pub fn email(&self) -> &str {
        bare(&self.member)
    }

    /// Whether a grantee of a policy means this identity. Addresses are compared without case, as IAM does.
    pub fn is_granted(&self, grantee: &str) -> bool {
        if matches!(grantee, "allUsers" | "allAuthenticatedUsers") {
            return true;
        }
        match grantee.split_once(':') {
            Some(("group", group)) => self.groups.iter().any(|own| bare(own).eq_ignore_ascii_case(group)),
            Some(("domain", domain)) => {
                self.email().rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
            }
            _ => bare(grantee).eq_ignore_ascii_case(self.email()),
        }
    }
}

fn bare(member: &str) -> &str {
    member.split_once(':').map_or(member, |(_, address)| address)
}

/// Whether IAM takes a member of this form.
pub fn is_member(text: &str) -> bool {
    const KINDS: [&str; 9] = [
        "user",
        "serviceAccount",
        "group",
        "domain",
        "projectOwner",
        "projectEditor",
        "projectViewer",
        "principal",
        "principalSet",
    ];
    matches!(text, "allUsers" | "allAuthenticatedUsers")
        || text.split_once(':').is_some_and(|(kind, rest)| KINDS.contains(&kind) && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grantees_mean_people_groups_and_domains() {
        let alice = Identity { member: "user:Alice@example.com".into(), groups: vec!["group:eng@example.com".into()] };
        for grantee in [
            "user:alice@example.com",
            "allUsers",
            "allAuthenticatedUsers",
            "group:eng@example.com",
            "domain:example.com",
        ] {
            assert!(alice.is_granted(grantee), "{grantee}");
        }
        for grantee in ["user:bob@example.com", "group:ops@example.com", "domain:ample.com", "serviceAccount:x@y.z"] {
            assert!(!alice.is_granted(grantee), "{grantee}");
        }
        assert_eq!(alice.email(), "Alice@example.com");
        assert!(is_member("domain:example.com") && !is_member("alice@example.com") && !is_member("user:"));
    }
}
