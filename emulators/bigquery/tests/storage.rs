//! The Storage Read and Write APIs over gRPC, as a client meets them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its helpers fail")]

mod storage {
    pub mod read;
    pub mod support;
    pub mod write;
}
