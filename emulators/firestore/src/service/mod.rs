//! The edge: gRPC in, engine commands, gRPC out. REST is transcoded to this by the gateway.

mod batch_write;
mod decode;
mod documents;
mod encode;
mod listen;
mod queries;
mod rpc;
mod shell;
mod write_stream;

use std::sync::Arc;

use scrimmage_core::Context;
use scrimmage_protos::google::firestore::v1::firestore_server::FirestoreServer;

use crate::limits;
use shell::Shell;

/// A Firestore of its own: all its databases, its locks, its listeners. Clones share it.
///
/// Databases come into being when they are first named. Create and use it within a tokio runtime;
/// its timer ends when the last clone, and the last call, is gone.
#[derive(Clone, Debug)]
pub struct Firestore {
    shell: Arc<Shell>,
    /// Where automatic ids come from.
    ids: Arc<std::sync::Mutex<scrimmage_core::Rng>>,
}

impl Firestore {
    /// An empty Firestore on the context's clock.
    pub fn new(ctx: Context) -> Firestore {
        let ids = scrimmage_core::Rng::stream(ctx.seed, "firestore/ids");
        Firestore { shell: Shell::new(&ctx), ids: Arc::new(std::sync::Mutex::new(ids)) }
    }

    /// The gRPC service, with message limits above production's request limit, which it checks itself.
    pub fn grpc(&self) -> FirestoreServer<Firestore> {
        FirestoreServer::new(self.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
    }

    /// Forgets all data of all databases. Streams end; whoever waits for a lock is aborted.
    pub fn reset(&self) {
        self.shell.reset();
    }
}
