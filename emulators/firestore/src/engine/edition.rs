//! What a database was created as: its edition, and how its transactions run by default.

/// How a read-write transaction keeps others out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Concurrency {
    /// Reads take locks.
    Pessimistic,
    /// The commit checks what was read.
    Optimistic,
}

/// What a database is. Those that nobody created or declared are of the Standard edition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edition {
    pub enterprise: bool,
    /// Of transactions that do not ask for one.
    pub concurrency: Concurrency,
}

impl Edition {
    pub const STANDARD: Edition = Edition { enterprise: false, concurrency: Concurrency::Pessimistic };
    pub const ENTERPRISE: Edition = Edition { enterprise: true, concurrency: Concurrency::Optimistic };
}
