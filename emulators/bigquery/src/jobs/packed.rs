//! Older jobs in a small form: most are never asked for again, and a tree of JSON takes ten times its text.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::mem;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::{Map, Value as Json, json};

use super::{Job, JobState};

/// Longer texts are compressed: of a query that is a megabyte long little is left.
const LONG: usize = 2 << 10;

/// `[configuration, statistics, extra]` as JSON text.
#[derive(Clone, Debug)]
pub(super) enum Packed {
    Text(Box<[u8]>),
    Deflated(Box<[u8]>),
}

impl Job {
    /// Makes a job that is done small. What it says is read through [`Job::opened`] from then on.
    pub(super) fn pack(&mut self) {
        if self.packed.is_some() || self.state != JobState::Done {
            return;
        }
        if self.has_stages() {
            // Drawn again when somebody looks.
            for key in ["queryPlan", "timeline"] {
                self.statistics.insert(key.into(), json!([]));
            }
        }
        let Ok(text) = serde_json::to_vec(&(&self.configuration, &self.statistics, &self.extra)) else { return };
        let packed = if text.len() > LONG {
            let mut deflated = DeflateEncoder::new(Vec::new(), Compression::fast());
            match deflated.write_all(&text).and_then(|()| deflated.finish()) {
                Ok(bytes) => Packed::Deflated(bytes.into()),
                Err(_) => return,
            }
        } else {
            Packed::Text(text.into())
        };
        self.packed = Some(packed);
        self.configuration = Json::Null;
        self.statistics = Map::new();
        self.extra = Map::new();
        self.errors.shrink_to_fit();
    }

    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Puts everything back where it was.
    pub(super) fn unpack(&mut self) {
        let Some(packed) = mem::take(&mut self.packed) else { return };
        let text = match packed {
            Packed::Text(text) => text.into_vec(),
            Packed::Deflated(bytes) => {
                let mut text = Vec::new();
                // It was written a moment ago by ourselves, in memory.
                let _ = DeflateDecoder::new(&bytes[..]).read_to_end(&mut text);
                text
            }
        };
        if let Ok((configuration, statistics, extra)) = serde_json::from_slice(&text) {
            self.configuration = configuration;
            self.statistics = statistics;
            self.extra = extra;
        }
        self.redraw_stages();
    }

    /// The job with all that is known of it.
    pub fn opened(&self) -> Cow<'_, Job> {
        if !self.is_packed() {
            return Cow::Borrowed(self);
        }
        let mut job = self.clone();
        job.unpack();
        Cow::Owned(job)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scrimmage_core::Timestamp;

    use super::*;
    use crate::jobs::JobKind;

    fn done(sql: &str) -> Job {
        let now = Timestamp::from_micros(5_000_000);
        let mut job = Job::new("test-project", "job_1", JobKind::Query, json!({"query": {"query": sql}}), now);
        job.started = Some(now);
        job.ended = Some(Timestamp::from_micros(7_000_000));
        job.state = JobState::Done;
        let table = json!({"projectId": "test-project", "datasetId": "d", "tableId": "t"});
        job.statistics.insert("queryPlan".into(), json!([]));
        job.statistics.insert("timeline".into(), json!([]));
        job.statistics.insert("referencedTables".into(), json!([table]));
        job.extra.insert("sessionInfo".into(), json!({"sessionId": "s"}));
        job.rows_out = 7;
        job.redraw_stages();
        job
    }

    proptest! {
        #[test]
        fn a_packed_job_says_what_it_said(sql in "\\PC{0,40}", times in 1usize..200) {
            let job = done(&sql.repeat(times));
            let mut small = job.clone();
            small.pack();
            prop_assert!(small.is_packed());
            prop_assert_eq!(small.resource("http://h"), job.resource("http://h"));
            prop_assert_eq!(&small.opened().extra, &job.extra);
        }
    }

    #[test]
    fn a_job_that_runs_stays_as_it_is() {
        let mut job = done("SELECT 1");
        job.state = JobState::Running;
        job.pack();
        assert!(!job.is_packed());
    }

    #[test]
    fn long_texts_take_little() {
        let mut job = done(&"SELECT 1 UNION ALL ".repeat(10_000));
        job.pack();
        assert!(matches!(job.packed, Some(Packed::Deflated(bytes)) if bytes.len() < 20_000));
    }
}
