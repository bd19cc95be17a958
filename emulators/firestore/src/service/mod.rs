//! The edge: gRPC in, engine commands, gRPC out. REST is transcoded to this by the gateway.

mod admin;
mod batch_write;
mod bloom;
mod decode;
mod documents;
mod editions;
mod encode;
mod explain;
mod http;
mod index_routes;
mod indexes;
mod keep;
mod listen;
mod operations;
mod pipelines;
mod queries;
mod rpc;
mod shell;
mod transfer;
mod write_stream;

use std::sync::Arc;

use scrimmage_core::{Clock, Context, DataError, Status};
use scrimmage_protos::google::firestore::admin::v1::firestore_admin_server::FirestoreAdminServer;
use scrimmage_protos::google::firestore::v1::firestore_server::FirestoreServer;
use scrimmage_protos::google::longrunning::operations_server::OperationsServer;

use crate::engine::edition::Edition;
use crate::engine::index::catalogue::Catalogue;
use crate::engine::index::file::FileError;
use crate::engine::ttl::Policy;
use crate::error::Error;
use crate::limits;
use crate::path::DatabaseName;
pub use admin::Admin;
pub use indexes::{IndexEnforcement, IndexSettings};
use shell::Shell;

/// Why what an index file says cannot be declared.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeclareError {
    #[error(transparent)]
    File(#[from] FileError),
    /// A time to live could not be kept in the data folder.
    #[error(transparent)]
    Policy(#[from] Error),
}

/// A Firestore of its own: all its databases, its locks, its listeners. Clones share it.
///
/// Databases come into being when they are first named. Create and use it within a tokio runtime;
/// its timer ends when the last clone, and the last call, is gone.
#[derive(Clone, Debug)]
pub struct Firestore {
    shell: Arc<Shell>,
    /// The declared indexes, and what queries needed.
    indexes: Arc<IndexSettings>,
    clock: Clock,
    /// Whose default database a call without one means.
    project: Arc<str>,
    writes: Arc<std::sync::Mutex<write_stream::WriteStreams>>,
    editions: Arc<editions::Editions>,
    /// What the admin service did.
    operations: Arc<operations::Done>,
    /// Where automatic ids come from.
    ids: Arc<std::sync::Mutex<scrimmage_core::Rng>>,
}

impl Firestore {
    /// An empty Firestore on the context's clock, in memory even where the context has a data folder.
    pub fn new(ctx: Context) -> Firestore {
        Firestore::around(&ctx, Shell::in_memory(ctx.clock.clone()))
    }

    /// A Firestore with what the context's data folder keeps, and that keeps what it does there:
    /// kill -9 loses no commit that was answered, and a commit is there as a whole or not at all.
    /// Without a data folder it is in memory, as by [`Firestore::new`].
    pub fn open(ctx: Context) -> Result<Firestore, DataError> {
        Ok(Firestore::around(&ctx, Shell::open(&ctx)?))
    }

    fn around(ctx: &Context, shell: Arc<Shell>) -> Firestore {
        // Another life must not give out the same ids again: their documents may still be there.
        let purpose = match shell.epoch() {
            0 => "firestore/ids".to_owned(),
            epoch => format!("firestore/ids/{epoch}"),
        };
        let ids = scrimmage_core::Rng::stream(ctx.seed, &purpose);
        let indexes = IndexSettings::new(ctx);
        indexes.restore(shell.kept_catalogues());
        let editions = editions::Editions::restored(shell.kept_editions());
        Firestore {
            shell,
            indexes: Arc::new(indexes),
            clock: ctx.clock.clone(),
            project: Arc::clone(&ctx.project),
            writes: Arc::default(),
            editions: Arc::new(editions),
            operations: Arc::default(),
            ids: Arc::new(std::sync::Mutex::new(ids)),
        }
    }

    /// The gRPC service, with message limits above production's request limit, which it checks itself.
    pub fn grpc(&self) -> FirestoreServer<Firestore> {
        FirestoreServer::new(self.clone())
            .max_decoding_message_size(limits::MESSAGE_BYTES)
            .max_encoding_message_size(limits::MESSAGE_BYTES)
    }

    /// The admin service: indexes and fields.
    pub fn admin(&self) -> FirestoreAdminServer<Admin> {
        FirestoreAdminServer::new(Admin(Arc::new(self.clone())))
    }

    /// The operations of the admin service.
    pub fn operations(&self) -> OperationsServer<Admin> {
        OperationsServer::new(Admin(Arc::new(self.clone())))
    }

    /// Declares what an index file (`firestore.indexes.json`) says for all databases, its times to live
    /// included. Databases with indexes of their own, made by the admin service, keep them and get
    /// those of the file as well. The data folder does not keep it: it is declared at every start.
    pub fn declare_indexes(&self, text: &str) -> Result<(), DeclareError> {
        self.indexes.load(text, |all, own| {
            self.shell.set_catalogues(all.clone(), own);
            self.declare_policies(all)
        })
    }

    /// Declares what an index file says, in place of all indexes that were declared before. Times to
    /// live are added to those that there are. The data folder keeps it.
    pub fn replace_indexes(&self, text: &str) -> Result<(), DeclareError> {
        self.indexes.replace(text, |all| {
            self.shell.declare_indexes(None, all.clone())?;
            self.declare_policies(all)
        })
    }

    /// The times to live of an index file, for the databases that are known and the default one;
    /// those that come later get them when they come.
    fn declare_policies(&self, catalogue: &Catalogue) -> Result<(), DeclareError> {
        if !catalogue.has_ttl() {
            return Ok(());
        }
        let mut databases = self.shell.databases();
        let default = DatabaseName::parse(&format!("projects/{}/databases/(default)", self.project));
        databases.extend(default.ok().filter(|default| !databases.contains(default)));
        for database in &databases {
            let known = self.shell.ttl_policies(database);
            for (group, policy) in catalogue.policies() {
                // One of the same field may have its own delay.
                if !known.iter().any(|(of, known)| *of == group && known.field == policy.field) {
                    self.shell.set_ttl(database, &group, Some(policy))?;
                }
            }
        }
        Ok(())
    }

    /// Says of which edition a database is: its id in the suite's project, or a full name. On those of
    /// the Enterprise edition pipelines run, and transactions are optimistic unless they ask otherwise.
    /// All others are of the Standard edition. The data folder does not keep it, and it goes before
    /// what the data folder has.
    pub fn declare_edition(&self, database: &str, enterprise: bool) -> Result<(), Error> {
        let name = match database.contains('/') {
            true => DatabaseName::parse(database)?,
            false => DatabaseName::parse(&format!("projects/{}/databases/{database}", self.project))?,
        };
        self.editions.declare(name, if enterprise { Edition::ENTERPRISE } else { Edition::STANDARD });
        Ok(())
    }

    /// Sets the time-to-live policy of a collection group, or ends it, and says so in what is declared.
    fn set_ttl(&self, database: &DatabaseName, group: &str, policy: Option<Policy>) -> Result<(), Error> {
        let path = policy.as_ref().map(|policy| policy.field.to_string());
        let say = |catalogue: &mut Catalogue| {
            catalogue.set_ttl(group, path.as_deref());
            Ok(())
        };
        self.indexes.change(database, say, |catalogue| {
            self.shell.set_ttl(database, group, policy)?;
            self.shell.declare_indexes(Some(database), catalogue.clone())
        })
    }

    /// The declared indexes, and what queries needed.
    pub fn indexes(&self) -> &IndexSettings {
        &self.indexes
    }

    /// Forgets all data of all databases. What is declared stays: indexes, times to live and editions.
    /// Streams end; whoever waits for a lock is aborted. An error says that the data folder could not take it;
    /// then nothing is forgotten.
    pub fn reset(&self) -> Result<(), Status> {
        self.shell.reset().map_err(Status::from)?;
        self.operations.clear();
        Ok(())
    }
}
