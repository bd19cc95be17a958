//! A call's line in the journal, written when the call is over, however it ends.

use std::sync::{Arc, OnceLock};

use scrimmage_core::journal::Call;
use scrimmage_core::{CallInfo, CallNotes, Code, Context, Timestamp};

/// Collects what is known of a call; dropping it writes the journal's entry. A call that is dropped
/// before its status is known was cancelled by its client.
#[derive(Debug)]
pub struct Record {
    context: Context,
    start: Timestamp,
    pub info: CallInfo,
    /// Filled while the request's body passes by, where `info` has no resources yet.
    pub resources: Arc<OnceLock<Vec<String>>>,
    pub notes: CallNotes,
    pub faults: Vec<Arc<str>>,
    status: Option<(Code, String)>,
}

impl Record {
    pub fn new(context: &Context, info: CallInfo) -> Self {
        Record {
            start: context.clock.now(),
            context: context.clone(),
            info,
            resources: Arc::default(),
            notes: CallNotes::default(),
            faults: Vec::new(),
            status: None,
        }
    }

    /// The status that the client got, or would have got. The first one counts.
    pub fn finish(&mut self, code: Code, message: String) {
        self.status.get_or_insert((code, message));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (status, message) = self.status.take().unwrap_or((Code::Cancelled, String::new()));
        let mut info = self.info.clone();
        if info.resources.is_empty()
            && let Some(resources) = self.resources.get()
        {
            info.resources = resources.clone();
        }
        self.context.journal.call(Call {
            start: self.start,
            end: self.context.clock.now(),
            info,
            status,
            message,
            notes: self.notes.take(),
            faults: std::mem::take(&mut self.faults),
        });
    }
}
