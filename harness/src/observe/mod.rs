//! Reads the end state through the stock clients, without changing it.

mod end_state;
mod firestore;
mod inbox;
mod rows;

pub use end_state::{EndState, Plan};
pub use firestore::{batch_document, batches_of_date, document};
pub use inbox::{Announcement, Inbox};
pub use rows::{Key, MainRow, main_rows, run_statement, staging_tables};
pub(crate) use rows::{old_staging_tables, staged_keys};
