//! Identity tokens as Google signs them, with a key that everybody may know.
//!
//! The key lies in this crate and is the same everywhere: a token proves nothing to anybody but a program
//! under test, and one that was signed before a restart is good after it. Generating an RSA key takes
//! seconds, and no crate that does it is light. The public half is served where Google serves its own:
//! [`jwks`], [`certificates`] and [`discovery`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use scrimmage_core::Timestamp;
use serde_json::{Value, json};

/// Who issues tokens.
pub const ISSUER: &str = "https://accounts.google.com";
/// The key's id.
pub const KEY_ID: &str = "5c71a4e2f0b83d96a1d7c05e4b92f8360d1e7a5b";
/// How long a token is good, seconds.
pub const LIFETIME_SECONDS: i64 = 3_600;

const KEY: &[u8] = include_bytes!("key.der");
/// Self-signed, for clients that want certificates.
const CERTIFICATE: &str = include_str!("certificate.pem");

/// A signed token for this service account, good for an hour from `now`; claims as documented at
/// <https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions#jwt_format>.
pub fn token(email: &str, audience: &str, now: Timestamp) -> String {
    let issued = now.to_parts().0;
    let id = account_id(email);
    sign(&json!({
        "aud": audience, "azp": id, "email": email, "email_verified": true,
        "exp": issued + LIFETIME_SECONDS, "iat": issued, "iss": ISSUER, "sub": id,
    }))
}

/// Claims as a JWT, signed with RS256.
pub fn sign(claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut token = format!("{}.{}", encode(&header), encode(claims));
    // The key is this crate's own; its tests sign with it.
    let signature = RsaKeyPair::from_pkcs8(KEY).ok().and_then(|key| {
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature).ok()?;
        Some(signature)
    });
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature.unwrap_or_default()));
    token
}

/// The 21 digits that stand for a service account: the same for the same address.
pub fn account_id(email: &str) -> String {
    let hash = email
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("1{hash:020}")
}

/// The key set, as at `https://www.googleapis.com/oauth2/v3/certs`.
pub fn jwks() -> Value {
    let key = RsaKeyPair::from_pkcs8(KEY).ok();
    let public = key.map(|key| RsaPublicKeyComponents::<Vec<u8>>::from(key.public()));
    let (n, e) = public.map(|key| (key.n, key.e)).unwrap_or_default();
    let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
    json!({ "keys": [{ "alg": "RS256", "e": e, "kid": KEY_ID, "kty": "RSA", "n": n, "use": "sig" }] })
}

/// The same as certificates, as at `https://www.googleapis.com/oauth2/v1/certs`.
pub fn certificates() -> Value {
    json!({ (KEY_ID): CERTIFICATE })
}

/// What `/.well-known/openid-configuration` says, with the addresses of a suite at `url`.
pub fn discovery(url: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{url}/oauth2/v3/certs"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["aud", "azp", "email", "email_verified", "exp", "iat", "iss", "sub"],
    })
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use ring::signature::RSA_PKCS1_2048_8192_SHA256;

    use super::*;

    fn decode(part: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(part).expect("base64")
    }

    #[test]
    fn a_token_verifies_with_the_key_set() {
        let now = Timestamp::from_micros(1_767_225_600_000_000);
        let token = token("pusher@demo.iam.gserviceaccount.com", "https://example.com", now);
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let (header, claims) = signed.split_once('.').expect("three parts");
        let header: Value = serde_json::from_slice(&decode(header)).expect("JSON");
        assert_eq!(header, json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" }));
        let claims: Value = serde_json::from_slice(&decode(claims)).expect("JSON");
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_767_225_600), &json!(1_767_229_200)));
        assert_eq!((&claims["aud"], &claims["iss"]), (&json!("https://example.com"), &json!(ISSUER)));
        assert_eq!(claims["sub"].as_str().map(str::len), Some(21));
        let key = jwks()["keys"][0].clone();
        let part = |name: &str| decode(key[name].as_str().expect("text"));
        let public = RsaPublicKeyComponents { n: part("n"), e: part("e") };
        public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(signature)).expect("a good signature");
    }
}
