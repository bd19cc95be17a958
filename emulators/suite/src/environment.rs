//! The environment variables that stock clients read.

use std::net::SocketAddr;

/// Name and value of each variable, for a suite at this address.
pub fn variables(address: SocketAddr, project: &str) -> Vec<(String, String)> {
    let host = address.to_string();
    let url = format!("http://{host}");
    let mut variables = Vec::new();
    let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
    // Google's client libraries and the Firebase admin SDKs.
    set("FIRESTORE_EMULATOR_HOST", &host);
    set("PUBSUB_EMULATOR_HOST", &host);
    set("BIGQUERY_EMULATOR_HOST", &url);
    for name in ["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT", "PUBSUB_PROJECT_ID"] {
        set(name, project);
    }
    // Default credentials: the metadata server, which Node would otherwise probe for seconds.
    for name in ["GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"] {
        set(name, &host);
    }
    set("METADATA_SERVER_DETECTION", "assume-present");
    // gcloud, gsutil and bq.
    set("CLOUDSDK_CORE_PROJECT", project);
    set("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true");
    set("CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB", &format!("{url}/"));
    set("CLOUDSDK_API_ENDPOINT_OVERRIDES_FIRESTORE", &format!("{url}/"));
    // `bq` appends the API's own `/bigquery/v2/`.
    set("CLOUDSDK_API_ENDPOINT_OVERRIDES_BIGQUERY", &format!("{url}/"));
    // A proxy that the machine uses for the world must not get the calls.
    let no_proxy = no_proxy(std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).ok());
    set("NO_PROXY", &no_proxy);
    set("no_proxy", &no_proxy);
    // For programs that want the admin API.
    set("SCRIMMAGE_URL", &url);
    variables
}

fn no_proxy(inherited: Option<String>) -> String {
    match inherited.as_deref().map(str::trim) {
        None | Some("") => "127.0.0.1,localhost".to_owned(),
        Some(hosts) if hosts == "*" || hosts.split(',').any(|host| host.trim() == "127.0.0.1") => hosts.to_owned(),
        Some(hosts) => format!("{hosts},127.0.0.1,localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_excluded_from_the_proxy() {
        assert_eq!(no_proxy(None), "127.0.0.1,localhost");
        assert_eq!(no_proxy(Some("*".to_owned())), "*");
        assert_eq!(no_proxy(Some("example.com".to_owned())), "example.com,127.0.0.1,localhost");
        assert_eq!(no_proxy(Some("a, 127.0.0.1".to_owned())), "a, 127.0.0.1");
    }
}
