//! The pieces of resource names that all services share.

/// Whether production would accept this as a project id in a request: letters, digits, hyphens, and
/// the `domain.com:` prefix of old ones. Looser than at creation, for emulator users' own ids.
pub fn is_project_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 100
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_'))
}

/// The project of `projects/{project}` or `projects/{project}/…`.
pub fn project_of(name: &str) -> Option<&str> {
    let project = name.strip_prefix("projects/")?.split('/').next()?;
    (!project.is_empty()).then_some(project)
}

/// The ids of a name of the shape `collection/{id}/collection/{id}`, given the collections:
/// `ids("projects/p/topics/t", ["projects", "topics"])` is `Some(["p", "t"])`. Ids are not empty.
pub fn ids<'a, const N: usize>(name: &'a str, collections: [&str; N]) -> Option<[&'a str; N]> {
    let mut parts = name.split('/');
    let mut found = [""; N];
    for (slot, collection) in found.iter_mut().zip(collections) {
        if parts.next()? != collection {
            return None;
        }
        *slot = parts.next().filter(|id| !id.is_empty())?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart() {
        assert_eq!(project_of("projects/p/databases/(default)"), Some("p"));
        assert_eq!(project_of("projects/"), None);
        assert_eq!(project_of("project/p"), None);
        assert_eq!(ids("projects/p/topics/t", ["projects", "topics"]), Some(["p", "t"]));
        assert_eq!(ids("projects/p/topics/t/x", ["projects", "topics"]), None);
        assert_eq!(ids("projects/p/topics/", ["projects", "topics"]), None);
        assert_eq!(ids("projects/p/subscriptions/t", ["projects", "topics"]), None);
    }

    #[test]
    fn knows_project_ids() {
        assert!(is_project_id("demo-project"));
        assert!(is_project_id("example.com:demo"));
        assert!(!is_project_id(""));
        assert!(!is_project_id("a/b"));
    }
}
