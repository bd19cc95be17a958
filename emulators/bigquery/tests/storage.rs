//! The Storage Read and Write APIs over gRPC, as a client meets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its helpers fail")]

mod storage {
    pub mod direct;
    pub mod full_disk;
    pub mod killed;
    pub mod read;
    pub mod support;
    pub mod write;
}
