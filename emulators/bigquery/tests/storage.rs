//! The Storage Read and Write APIs over gRPC, as a client meets them.

mod storage {
    pub mod read;
    pub mod support;
    pub mod write;
}
