//! Keeping a log in shape: what is new goes to its end first, always; now and then the state takes
//! the place of its history.
//!
//! Writing a log anew is housekeeping. Where it fails, a full disk say, nothing is lost by it: the
//! journal hears of it and it is tried again when the log has doubled.
//!
//! What could not be appended is held back and goes first the next time, so that records never
//! change places. An owner that cannot take back what such records say must change nothing more
//! until [`Keeper::catch_up`] has written them; one that can takes it back and
//! [forgets](Keeper::forget_missing) them.

use std::sync::Arc;

use super::{DataError, Log};
use crate::Journal;

/// A log of which nothing is worth saving by writing it anew.
const SMALL: u64 = 8 << 20;

/// One service's log, and what is to be done with it.
#[derive(Debug)]
pub struct Keeper {
    log: Log,
    service: &'static str,
    journal: Arc<Journal>,
    /// Shorter logs are left as they are.
    small: u64,
    /// How long the log may become before it is written anew.
    most: u64,
    /// Records that could not be appended, oldest first.
    missing: Vec<Vec<u8>>,
}

impl Keeper {
    /// The keeper of a log that was just opened. `service` is what the journal calls its owner.
    pub fn new(log: Log, service: &'static str, journal: &Arc<Journal>) -> Keeper {
        Keeper { log, service, journal: Arc::clone(journal), small: SMALL, most: SMALL, missing: Vec::new() }
    }

    /// The same, writing anew from this many bytes on instead of 8 MiB.
    pub fn from_bytes(mut self, small: u64) -> Keeper {
        (self.small, self.most) = (small, small);
        self
    }

    /// Appends records, after those that are missing. When this returns well, the end of the process
    /// does not lose them. After an error none of these is in the log, and all of them are missing.
    pub fn append(&mut self, records: Vec<Vec<u8>>) -> Result<(), DataError> {
        if self.missing.is_empty() {
            let written = self.log.append_all(records.iter().map(Vec::as_slice));
            if written.is_err() {
                self.missing = records;
            }
            return written;
        }
        self.missing.extend(records);
        self.catch_up()
    }

    /// Whether records are missing in the log.
    pub fn is_behind(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Tries to append what is missing.
    pub fn catch_up(&mut self) -> Result<(), DataError> {
        if self.is_behind() {
            self.log.append_all(self.missing.iter().map(Vec::as_slice))?;
            self.missing.clear();
        }
        Ok(())
    }

    /// Gives up what is missing, since its owner has taken back what it says.
    pub fn forget_missing(&mut self) {
        self.missing.clear();
    }

    /// Writes the log anew if it has grown enough; `state` gives the records that stand for all that
    /// was appended, nothing missing. To be called after what was appended is settled. True where it
    /// was written anew.
    pub fn tidy<R: AsRef<[u8]>, I: IntoIterator<Item = R>>(&mut self, state: impl FnOnce() -> I) -> bool {
        if self.log.bytes() <= self.most || self.is_behind() {
            return false;
        }
        let Err(problem) = self.replace(state()) else { return true };
        self.most = self.log.bytes().saturating_mul(2);
        let text = format!("the log is not written anew, and goes on growing: {problem}");
        self.journal.event(self.service, "data", self.log.path().display().to_string(), text);
        false
    }

    /// Writes the log anew now. What was missing is made up for by it.
    pub fn replace<R: AsRef<[u8]>>(&mut self, state: impl IntoIterator<Item = R>) -> Result<(), DataError> {
        self.log.replace(state)?;
        self.missing.clear();
        self.most = self.small.max(self.log.bytes().saturating_mul(2));
        Ok(())
    }

    /// The log's length in bytes.
    pub fn bytes(&self) -> u64 {
        self.log.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, DataDir};

    fn found(data: &DataDir) -> (Log, Vec<String>) {
        let mut found = Vec::new();
        let log = data
            .log("test", |record| {
                found.push(String::from_utf8_lossy(record).into_owned());
                Ok(())
            })
            .expect("the log opens");
        (log, found)
    }

    fn records(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_is_missing_goes_first_and_can_be_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(folder.path()).expect("it opens");
        let journal = Arc::new(Journal::new(Clock::real()));
        let mut keeper = Keeper::new(found(&data).0, "test", &journal);
        keeper.append(records(&["1"])).expect("append");
        data.faults().fail_append(true);
        keeper.append(records(&["2", "3"])).expect_err("the switch is on");
        keeper.append(records(&["4"])).expect_err("the switch is on");
        assert!(keeper.is_behind());
        keeper.catch_up().expect_err("the switch is on");
        data.faults().fail_append(false);
        keeper.append(records(&["5"])).expect("append");
        assert!(!keeper.is_behind());
        data.faults().fail_append(true);
        keeper.append(records(&["6"])).expect_err("the switch is on");
        keeper.forget_missing();
        data.faults().fail_append(false);
        keeper.append(records(&["7"])).expect("append");
        drop(keeper);
        assert_eq!(found(&data).1, ["1", "2", "3", "4", "5", "7"]);
    }

    #[test]
    fn a_log_that_cannot_be_written_anew_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(folder.path()).expect("it opens");
        let journal = Arc::new(Journal::new(Clock::real()));
        let mut keeper = Keeper::new(found(&data).0, "test", &journal).from_bytes(100);
        data.faults().fail_replace(true);
        let mut asked = 0;
        for number in 0..100 {
            keeper.append(records(&[&number.to_string()])).expect("append");
            keeper.tidy(|| {
                asked += 1;
                ["all"]
            });
        }
        // At over 100 bytes, and each time that it had doubled: over 202, 404 and 808.
        assert_eq!((asked, journal.last_id()), (4, 4));
        data.faults().fail_replace(false);
        while keeper.bytes() > 100 {
            keeper.append(records(&["x"])).expect("append");
            keeper.tidy(|| ["all"]);
        }
        drop(keeper);
        assert_eq!(found(&data).1, ["all"]);
    }
}
