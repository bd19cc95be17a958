//! Generated messages, service traits, clients and descriptors of the Google APIs.
//!
//! Nothing here is written by hand: `build.rs` compiles Google's own `.proto` files. Fields of type
//! `bytes` are [`bytes::Bytes`](prost::bytes::Bytes).

use std::sync::OnceLock;

use prost_reflect::DescriptorPool;

/// An encoded `google.protobuf.FileDescriptorSet` of everything here, imports and options
/// (`google.api.http`, …) included, comments not.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The descriptors, ready for reflection; decoded at the first call (some milliseconds).
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        // The bytes were written by this crate's own build; its test decodes them.
        DescriptorPool::decode(DESCRIPTORS).unwrap_or_default()
    })
}

pub use generated::google;
pub use {prost, prost_reflect};

#[allow(clippy::all, clippy::pedantic, rustdoc::all, missing_docs, unreachable_pub)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/all.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_decode_and_keep_http_annotations() {
        let started = std::time::Instant::now();
        let pool = pool();
        println!("{} bytes decoded in {:?}", DESCRIPTORS.len(), started.elapsed());
        for service in ["google.firestore.v1.Firestore", "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber"] {
            let service = pool.get_service_by_name(service).expect(service);
            let http = pool.get_extension_by_name("google.api.http").expect("google.api.http");
            assert!(service.methods().any(|method| method.options().has_extension(&http)), "{}", service.name());
        }
    }
}
