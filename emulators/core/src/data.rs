//! Where services keep their state across restarts: a folder that one process owns, with
//! append-only logs in it.
//!
//! A log is a file of frames: the record's length and its CRC-32, four bytes each (little endian),
//! then the record. A record is in the kernel's hands when [`Log::append`] returns: the end of the
//! process, kill -9 included, does not lose it; the end of the machine may. A frame that a death
//! cut short stands at the file's end; it was never acknowledged, and opening the log cuts it off,
//! into a file beside it (`name.log.cut`). Damage before the end is an error: what stands behind it
//! was acknowledged.
//! What a record means is its service's business; when a log is written anew, its [`Keeper`]'s.

mod keeper;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

pub use keeper::Keeper;

/// The first bytes of every log: what it is and the framing's version.
const HEADER: &[u8; 16] = b"scrimmage log 1\n";
const FRAME: usize = 8;

/// Why kept state cannot be read or written.
#[derive(Debug, Error)]
pub enum DataError {
    #[error("{}: {action}: {problem}", path.display())]
    Io { path: PathBuf, action: &'static str, problem: io::Error },
    #[error("{} is used by another process; stop that one or name another folder", path.display())]
    InUse { path: PathBuf },
    #[error("{} is not a log of this program; name another folder, or move the file away", path.display())]
    NotALog { path: PathBuf },
    #[error(
        "{}: record {record} is damaged, and there are others behind it; put a copy of the file in its place or \
         name another folder",
        path.display()
    )]
    Damaged { path: PathBuf, record: u64 },
    /// A whole, undamaged record that its service cannot read: written by another version, say.
    #[error("{}: record {record}: {problem}", path.display())]
    Record { path: PathBuf, record: u64, problem: String },
}

/// A folder that this process alone uses for as long as a clone of this value lives.
#[derive(Clone, Debug)]
pub struct DataDir(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    path: PathBuf,
    /// Locked; the operating system lets go when the process ends, however it ends.
    _lock: File,
    faults: Arc<DataFaults>,
}

/// Switches for tests: while one is on, the folder's logs meet a full disk there.
#[derive(Debug, Default)]
pub struct DataFaults {
    append: AtomicBool,
    replace: AtomicBool,
}

impl DataFaults {
    /// While on, appending fails half way through.
    pub fn fail_append(&self, on: bool) {
        self.append.store(on, Ordering::SeqCst);
    }

    /// While on, no log can be written anew.
    pub fn fail_replace(&self, on: bool) {
        self.replace.store(on, Ordering::SeqCst);
    }

    fn check(switch: &AtomicBool) -> io::Result<()> {
        match switch.load(Ordering::SeqCst) {
            true => Err(io::Error::new(io::ErrorKind::StorageFull, "no space left (a test's switch)")),
            false => Ok(()),
        }
    }
}

/// One log, open at its end.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// A part of a frame may stand behind the end: it has to go before another one comes.
    torn: bool,
    faults: Arc<DataFaults>,
}

impl DataDir {
    /// Makes the folder where it is missing, and takes possession of it.
    pub fn open(path: impl AsRef<Path>) -> Result<DataDir, DataError> {
        let path = path.as_ref().to_path_buf();
        std::fs::create_dir_all(&path).map_err(failed(&path, "it cannot be made"))?;
        let file = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(failed(&file, "it cannot be opened"))?;
        match lock.try_lock() {
            Ok(()) => Ok(DataDir(Arc::new(Owned { path, _lock: lock, faults: Arc::default() }))),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse { path }),
            Err(TryLockError::Error(problem)) => Err(failed(&file, "it cannot be locked")(problem)),
        }
    }

    /// The folder itself, for services that keep more than logs.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The switches that make writing fail, for tests.
    pub fn faults(&self) -> &DataFaults {
        &self.0.faults
    }

    /// Opens the log `name` (the file `name.log`), making it where it is missing, and hands every
    /// record to `replay`, oldest first; what `replay` objects to is an error with the record's
    /// number, counted from 1.
    pub fn log(&self, name: &str, mut replay: impl FnMut(&[u8]) -> Result<(), String>) -> Result<Log, DataError> {
        let path = self.path().join(format!("{name}.log"));
        let faults = Arc::clone(&self.0.faults);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed(&path, "it cannot be opened"))?;
        let length = file.metadata().map_err(failed(&path, "it cannot be read"))?.len();
        if length < HEADER.len() as u64 {
            // New, or its maker died before the header was whole.
            file.set_len(0)
                .and_then(|()| file.seek(SeekFrom::Start(0)))
                .and_then(|_| file.write_all(HEADER))
                .map_err(failed(&path, "it cannot be written"))?;
            return Ok(Log { path, file, bytes: HEADER.len() as u64, torn: false, faults });
        }
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let mut header = [0; HEADER.len()];
        reader.read_exact(&mut header).map_err(failed(&path, "it cannot be read"))?;
        if header != *HEADER {
            return Err(DataError::NotALog { path });
        }
        let mut bytes = HEADER.len() as u64;
        let mut record = Vec::new();
        for number in 1.. {
            match read_frame(&mut reader, length - bytes, &mut record).map_err(failed(&path, "it cannot be read"))? {
                Frame::Whole => {}
                Frame::Damaged => return Err(DataError::Damaged { path, record: number }),
                Frame::CutShort => break,
            }
            replay(&record).map_err(|problem| DataError::Record { path: path.clone(), record: number, problem })?;
            bytes += (FRAME + record.len()) as u64;
        }
        if bytes < length {
            // A damaged length looks like this too: what is cut off must not be lost for good.
            let cut = path.with_extension("log.cut");
            file.seek(SeekFrom::Start(bytes))
                .and_then(|_| io::copy(&mut file, &mut File::create(&cut)?))
                .map_err(failed(&cut, "it cannot be written"))?;
        }
        file.set_len(bytes)
            .and_then(|()| file.seek(SeekFrom::Start(bytes)))
            .map_err(failed(&path, "it cannot be written"))?;
        Ok(Log { path, file, bytes, torn: false, faults })
    }
}

impl Log {
    /// Appends one record. When this returns, the end of the process does not lose it.
    pub fn append(&mut self, record: &[u8]) -> Result<(), DataError> {
        self.append_all([record])
    }

    /// Appends several records with one write: after a death in between, a prefix of them is there.
    pub fn append_all<'a>(&mut self, records: impl IntoIterator<Item = &'a [u8]>) -> Result<(), DataError> {
        let mut frames = Vec::new();
        for record in records {
            frame(&mut frames, record).map_err(failed(&self.path, "it cannot be written"))?;
        }
        if self.torn {
            self.cut().map_err(failed(&self.path, "it cannot be written"))?;
        }
        if let Err(problem) = self.write(&frames) {
            // Half a frame in the middle would hide all that comes after it.
            self.torn = true;
            let _ = self.cut();
            return Err(failed(&self.path, "it cannot be written")(problem));
        }
        self.bytes += frames.len() as u64;
        Ok(())
    }

    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        if let Err(problem) = DataFaults::check(&self.faults.append) {
            self.file.write_all(frames.get(..frames.len() / 2).unwrap_or_default())?;
            return Err(problem);
        }
        self.file.write_all(frames)
    }

    /// Takes away what stands behind the last whole frame.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        self.torn = false;
        Ok(())
    }

    /// Puts these records in place of all that the log holds, in one step: a death leaves the old
    /// log or the new one.
    pub fn replace<R: AsRef<[u8]>>(&mut self, records: impl IntoIterator<Item = R>) -> Result<(), DataError> {
        let new = self.path.with_extension("log.new");
        let faults = Arc::clone(&self.faults);
        let write = |records: &mut dyn Iterator<Item = R>| -> io::Result<(File, u64)> {
            DataFaults::check(&faults.replace)?;
            let mut writer = BufWriter::with_capacity(1 << 20, File::create(&new)?);
            writer.write_all(HEADER)?;
            let mut bytes = HEADER.len() as u64;
            let mut buffer = Vec::new();
            for record in records {
                buffer.clear();
                frame(&mut buffer, record.as_ref())?;
                writer.write_all(&buffer)?;
                bytes += buffer.len() as u64;
            }
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            // The name must not come to stand for contents that are not there yet.
            file.sync_data()?;
            Ok((file, bytes))
        };
        let written = write(&mut records.into_iter());
        // Half a log may be what fills the disk.
        let written = written.inspect_err(|_| drop(std::fs::remove_file(&new)));
        let (file, bytes) = written.map_err(failed(&new, "it cannot be written"))?;
        std::fs::rename(&new, &self.path).map_err(failed(&self.path, "it cannot be replaced"))?;
        (self.file, self.bytes, self.torn) = (file, bytes, false);
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length, by which an owner decides when to [`replace`](Log::replace) it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn failed<'a>(path: &'a Path, action: &'static str) -> impl Fn(io::Error) -> DataError + use<'a> {
    move |problem| DataError::Io { path: path.to_path_buf(), action, problem }
}

fn frame(out: &mut Vec<u8>, record: &[u8]) -> io::Result<()> {
    let length = u32::try_from(record.len()).map_err(|_| io::Error::other("a record is over 4 GiB"))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
    out.extend_from_slice(record);
    Ok(())
}

/// What stands at a place of a log.
enum Frame {
    Whole,
    /// The end, or the last frame without its end.
    CutShort,
    /// Not what was written, with more behind it.
    Damaged,
}

/// Reads the next frame's record, of a file with `left` bytes to come.
fn read_frame(reader: &mut impl io::Read, left: u64, record: &mut Vec<u8>) -> io::Result<Frame> {
    let Some(left) = left.checked_sub(FRAME as u64) else { return Ok(Frame::CutShort) };
    let (mut length, mut sum) = ([0; 4], [0; 4]);
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut sum)?;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > left {
        return Ok(Frame::CutShort);
    }
    record.resize(length as usize, 0);
    reader.read_exact(record)?;
    Ok(match crc32fast::hash(record) == u32::from_le_bytes(sum) {
        true => Frame::Whole,
        // A machine that died may leave a last frame at its full length without its contents.
        false if u64::from(length) == left => Frame::CutShort,
        false => Frame::Damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(folder: &DataDir) -> (Log, Vec<Vec<u8>>) {
        let mut found = Vec::new();
        let log = folder
            .log("test", |record| {
                found.push(record.to_vec());
                Ok(())
            })
            .expect("the log opens");
        (log, found)
    }

    fn folder() -> (tempfile::TempDir, DataDir) {
        let temporary = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(temporary.path().join("a/b")).expect("it can be made");
        (temporary, data)
    }

    #[test]
    fn keeps_what_was_appended() {
        let (_temporary, data) = folder();
        let (mut log, found) = records(&data);
        assert!(found.is_empty());
        log.append(b"one").expect("append");
        log.append_all([&b""[..], b"three"]).expect("append");
        drop(log);
        let (mut log, found) = records(&data);
        assert_eq!(found, [&b"one"[..], b"", b"three"]);
        log.replace([b"all"]).expect("replace");
        log.append(b"four").expect("append");
        let bytes = log.bytes();
        drop(log);
        let (log, found) = records(&data);
        assert_eq!(found, [&b"all"[..], b"four"]);
        assert_eq!(log.bytes(), bytes);
    }

    #[test]
    fn cuts_off_what_a_death_left_unfinished() {
        for cut in 1..FRAME + 3 {
            let (_temporary, data) = folder();
            let (mut log, _) = records(&data);
            log.append(b"one").expect("append");
            log.append(b"two").expect("append");
            let whole = log.bytes();
            log.file.set_len(whole - cut as u64).expect("cut");
            drop(log);
            let (mut log, found) = records(&data);
            assert_eq!(found, [b"one"], "cut by {cut}");
            let kept = std::fs::read(data.path().join("test.log.cut")).ok();
            assert_eq!(kept.map_or(0, |kept| kept.len()), FRAME + 3 - cut);
            log.append(b"again").expect("append");
            drop(log);
            assert_eq!(records(&data).1, [&b"one"[..], b"again"], "cut by {cut}");
        }
    }

    #[test]
    fn a_failed_append_leaves_nothing_behind() {
        let (_temporary, data) = folder();
        let (mut log, _) = records(&data);
        log.append(b"one").expect("append");
        let whole = log.bytes();
        data.faults().fail_append(true);
        log.append(b"two").expect_err("the switch is on");
        data.faults().fail_append(false);
        assert_eq!((log.bytes(), log.file.metadata().expect("a file").len()), (whole, whole));
        log.append(b"three").expect("append");
        // Even where the half frame could not be taken away at once.
        log.file.write_all(b"half a frame").expect("write");
        log.torn = true;
        log.append(b"four").expect("append");
        data.faults().fail_replace(true);
        log.replace([b"all"]).expect_err("the switch is on");
        drop(log);
        assert_eq!(records(&data).1, [&b"one"[..], b"three", b"four"]);
    }

    #[test]
    fn a_death_while_a_log_is_written_anew_leaves_the_old_one() {
        let (_temporary, data) = folder();
        let (mut log, _) = records(&data);
        log.append(b"one").expect("append");
        drop(log);
        // Half of what was to take its place.
        std::fs::write(data.path().join("test.log.new"), &HEADER[..9]).expect("write");
        let (mut log, found) = records(&data);
        assert_eq!(found, [b"one"]);
        log.replace([b"all"]).expect("replace");
        drop(log);
        assert_eq!(records(&data).1, [b"all"]);
    }

    #[test]
    fn damage_is_cut_off_at_the_end_and_refused_before_it() {
        let (_temporary, data) = folder();
        let (mut log, _) = records(&data);
        log.append(b"one").expect("append");
        log.append(b"two").expect("append");
        let path = data.path().join("test.log");
        let whole = std::fs::read(&path).expect("read");
        let mut bytes = whole.clone();
        bytes[HEADER.len() + FRAME] ^= 1;
        std::fs::write(&path, &bytes).expect("write");
        let error = data.log("test", |_| Ok(())).expect_err("damaged in the middle");
        assert!(matches!(error, DataError::Damaged { record: 1, .. }), "{error}");
        assert_eq!(std::fs::read(&path).expect("read"), bytes, "nothing is touched");
        let mut bytes = whole;
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(&path, bytes).expect("write");
        assert_eq!(records(&data).1, [b"one"]);
    }

    #[test]
    fn names_what_is_wrong() {
        let (_temporary, data) = folder();
        assert!(matches!(DataDir::open(data.path()), Err(DataError::InUse { .. })));
        std::fs::write(data.path().join("other.log"), "something else entirely").expect("write");
        let error = data.log("other", |_| Ok(())).expect_err("not a log");
        assert!(
            error.to_string().ends_with("is not a log of this program; name another folder, or move the file away")
        );
        let (mut log, _) = records(&data);
        log.append(b"one").expect("append");
        drop(log);
        let error = data.log("test", |_| Err("it is from the future".to_owned())).expect_err("a record");
        assert!(error.to_string().ends_with("test.log: record 1: it is from the future"), "{error}");
    }
}
