//! IAM policies of topics, subscriptions, snapshots and schemas: kept and shown, not enforced. Whoever calls
//! an emulator is its owner.
//!
//! Policies, versions and etags: <https://cloud.google.com/iam/docs/reference/rest/v1/Policy>.

use std::collections::BTreeMap;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::iam::v1 as iam;

use super::names::{self, Kind};
use super::records::{self, Change};
use super::{Command, Engine};
use crate::texts::Error;

/// By full name of the resource.
pub type Policies = BTreeMap<String, iam::Policy>;

/// The etag of a resource that was never given a policy; it reads `ACAB` in JSON.
const NO_POLICY: &[u8] = &[0x00, 0x20, 0x01];

const PERMISSIONS: [(Kind, &str, &[&str]); 4] = [
    (
        Kind::Topic,
        "topics",
        &[
            "attachSubscription",
            "create",
            "delete",
            "detachSubscription",
            "get",
            "getIamPolicy",
            "list",
            "publish",
            "setIamPolicy",
            "update",
            "updateTag",
        ],
    ),
    (
        Kind::Subscription,
        "subscriptions",
        &["consume", "create", "delete", "get", "getIamPolicy", "list", "setIamPolicy", "update"],
    ),
    (
        Kind::Snapshot,
        "snapshots",
        &["create", "delete", "get", "getIamPolicy", "list", "seek", "setIamPolicy", "update"],
    ),
    (
        Kind::Schema,
        "schemas",
        &[
            "attach",
            "commit",
            "create",
            "delete",
            "get",
            "getIamPolicy",
            "list",
            "listRevisions",
            "rollback",
            "setIamPolicy",
            "validate",
        ],
    ),
];

#[derive(Debug)]
pub struct SetIamPolicy(pub iam::SetIamPolicyRequest);
#[derive(Debug)]
pub struct GetIamPolicy(pub iam::GetIamPolicyRequest);
#[derive(Debug)]
pub struct TestIamPermissions(pub iam::TestIamPermissionsRequest);

impl Command for SetIamPolicy {
    type Outcome = iam::Policy;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<iam::Policy, Error> {
        engine.policy_holder(&self.0.resource)?;
        let given = self.0.policy.ok_or(Error::BadArgument("policy"))?;
        let current = engine.policies.get(&self.0.resource);
        let etag = current.map_or(NO_POLICY, |policy| &policy.etag);
        if !given.etag.is_empty() && given.etag != etag {
            return Err(Error::ConcurrentPolicy);
        }
        let mut policy = normal(given)?;
        let earlier = current.map_or(0, |policy| read_etag(&policy.etag));
        let stamp = now.as_micros().unsigned_abs().max(earlier + 1);
        policy.etag = write_etag(stamp).to_vec().into();
        engine.records.note(|| {
            Change::Policy(records::Policy { resource: self.0.resource.clone(), policy: Some(policy.clone()) })
        });
        engine.policies.insert(self.0.resource, policy.clone());
        Ok(policy)
    }
}

impl Command for GetIamPolicy {
    type Outcome = iam::Policy;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<iam::Policy, Error> {
        engine.policy_holder(&self.0.resource)?;
        let version = self.0.options.map_or(0, |options| options.requested_policy_version);
        if !matches!(version, 0 | 1 | 3) {
            return Err(Error::BadArgument("options.requested_policy_version"));
        }
        let Some(policy) = engine.policies.get(&self.0.resource) else {
            return Ok(iam::Policy { etag: NO_POLICY.to_vec().into(), ..Default::default() });
        };
        let mut policy = policy.clone();
        if version < 3 && policy.version == 3 {
            // Whoever does not know conditions sees roles that are none, rather than grants without a condition.
            policy.version = 1;
            for binding in &mut policy.bindings {
                if let Some(condition) = binding.condition.take() {
                    binding.role = format!("{}_withcond_{:020x}", binding.role, hash(&condition.expression));
                }
            }
        }
        Ok(policy)
    }
}

impl Command for TestIamPermissions {
    type Outcome = Vec<String>;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Vec<String>, Error> {
        let kind = kind(&self.0.resource)?;
        for permission in &self.0.permissions {
            let known = PERMISSIONS.iter().filter(|row| row.0 == kind).any(|(_, collection, verbs)| {
                let rest = permission.strip_prefix("pubsub.").and_then(|rest| rest.strip_prefix(collection));
                rest.and_then(|rest| rest.strip_prefix('.')).is_some_and(|verb| verbs.contains(&verb))
            });
            if !known {
                return Err(Error::BadPermission(permission.clone()));
            }
        }
        // As documented: of a resource that is not there nobody has permissions, and that is no error.
        if engine.policy_holder(&self.0.resource).is_ok() { Ok(self.0.permissions) } else { Ok(Vec::new()) }
    }
}

impl Engine {
    /// Checks that there is such a resource.
    fn policy_holder(&self, name: &str) -> Result<(), Error> {
        let there = match kind(name)? {
            Kind::Topic => self.topic_names.contains_key(name),
            Kind::Subscription => self.sub_names.contains_key(name),
            Kind::Snapshot => self.snapshot_names.contains_key(name),
            Kind::Schema => self.schemas.contains_key(name),
        };
        if there { Ok(()) } else { Err(Error::not_found(name)) }
    }
}

fn kind(name: &str) -> Result<Kind, Error> {
    let kind = match name.split('/').nth(2) {
        Some("topics") => Kind::Topic,
        Some("subscriptions") => Kind::Subscription,
        Some("snapshots") => Kind::Snapshot,
        Some("schemas") => Kind::Schema,
        _ => return Err(Error::BadName(name.to_owned())),
    };
    names::check(kind, name)?;
    Ok(kind)
}

/// The policy with bindings of one role and condition put together and the version that its conditions need.
fn normal(given: iam::Policy) -> Result<iam::Policy, Error> {
    if !matches!(given.version, 0 | 1 | 3) {
        return Err(Error::BadArgument("policy.version"));
    }
    let mut bindings: Vec<iam::Binding> = Vec::new();
    for binding in given.bindings {
        let role_is_one = ["roles/", "projects/", "organizations/"].iter().any(|start| binding.role.starts_with(start));
        if !role_is_one {
            return Err(Error::BadRole(binding.role));
        }
        if let Some(member) = binding.members.iter().find(|member| !is_member(member)) {
            return Err(Error::BadMember(member.clone()));
        }
        if binding.condition.is_some() && given.version != 3 {
            return Err(Error::ConditionVersion);
        }
        let same = bindings.iter_mut().find(|other| other.role == binding.role && other.condition == binding.condition);
        match same {
            Some(other) => other.members.extend(binding.members),
            None => bindings.push(binding),
        }
    }
    for binding in &mut bindings {
        let mut seen = std::collections::BTreeSet::new();
        binding.members.retain(|member| seen.insert(member.clone()));
    }
    bindings.retain(|binding| !binding.members.is_empty());
    let version = if bindings.iter().any(|binding| binding.condition.is_some()) { 3 } else { 1 };
    Ok(iam::Policy { version, bindings, audit_configs: given.audit_configs, etag: given.etag })
}

fn is_member(member: &str) -> bool {
    const KINDS: [&str; 9] = [
        "user:",
        "serviceAccount:",
        "group:",
        "domain:",
        "principal:",
        "principalSet:",
        "projectOwner:",
        "projectEditor:",
        "projectViewer:",
    ];
    matches!(member, "allUsers" | "allAuthenticatedUsers")
        || member.starts_with("deleted:")
        || KINDS.iter().any(|kind| member.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
}

/// Production's etags are a 7 and microseconds.
fn write_etag(micros: u64) -> [u8; 8] {
    (micros & 0x00ff_ffff_ffff_ffff | 0x0700_0000_0000_0000).to_be_bytes()
}

fn read_etag(etag: &[u8]) -> u64 {
    u64::from_be_bytes(etag.try_into().unwrap_or_default()) & 0x00ff_ffff_ffff_ffff
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
