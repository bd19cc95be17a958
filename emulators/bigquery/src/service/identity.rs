//! Who calls: `SESSION_USER()`, `user_email` of jobs, and whose row access policies hold.
//!
//! Everybody is let in. The caller is, in this order: the header `x-scrimmage-user` (`user:a@example.com`,
//! `serviceAccount:…`, or only the address), with the groups in `x-scrimmage-groups` (separated by commas);
//! the subject of a bearer token that is a JWT, which service accounts sign themselves; the default service
//! account of the metadata endpoint.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::engine::policy::Identity;

/// The header that names the caller.
pub const USER: &str = "x-scrimmage-user";
/// The header with the caller's groups.
pub const GROUPS: &str = "x-scrimmage-groups";

pub fn of(headers: &HeaderMap) -> Identity {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let groups = text(GROUPS).unwrap_or_default().split(',').map(str::trim).filter(|group| !group.is_empty());
    let member = text(USER)
        .filter(|user| !user.is_empty())
        .map(str::to_owned)
        .or_else(|| text(AUTHORIZATION.as_str()).and_then(subject))
        .unwrap_or_else(|| format!("serviceAccount:{}", crate::jobs::USER));
    Identity { member, groups: groups.map(str::to_owned).collect() }
}

/// `email`, `sub` or `iss` of a JWT, whichever is an address first; the signature is not looked at.
fn subject(authorization: &str) -> Option<String> {
    let payload = authorization.strip_prefix("Bearer ")?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
    ["email", "sub", "iss"]
        .iter()
        .find_map(|claim| claims.get(claim)?.as_str().filter(|text| text.contains('@')).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn callers_are_named_by_header_token_or_default() {
        let named = of(&headers(&[(USER, "user:a@b.c".into()), (GROUPS, "group:g@b.c, group:h@b.c".into())]));
        assert_eq!((named.email(), named.groups.len()), ("a@b.c", 2));
        let claims = URL_SAFE_NO_PAD.encode(r#"{"iss": "me@p.iam.gserviceaccount.com", "sub": "1"}"#);
        let token = of(&headers(&[("authorization", format!("Bearer x.{claims}.y"))]));
        assert_eq!(token.email(), "me@p.iam.gserviceaccount.com");
        for odd in ["Bearer ya29.opaque", "Bearer a.b.c", "Basic xyz"] {
            assert_eq!(of(&headers(&[("authorization", odd.into())])).email(), crate::jobs::USER);
        }
    }
}
