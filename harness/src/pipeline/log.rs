//! Everything the processes say, line by line, as Cloud Logging would take it in.

use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::task::JoinHandle;

use crate::run::Activity;

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
    /// Not the process itself: the platform, about it.
    Platform,
}

/// One line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Since the log was opened.
    pub at: std::time::Duration,
    /// Name of the instance, such as `worker-2`.
    pub process: Arc<str>,
    pub stream: Stream,
    pub text: String,
    /// The line's fields, where it is a JSON object.
    pub fields: Option<Value>,
}

/// The captured lines of all processes of a run, in the order in which they came.
#[derive(Clone, Debug)]
pub struct CapturedLog {
    opened: Instant,
    lines: Arc<Mutex<Vec<LogLine>>>,
    activity: Activity,
}

impl CapturedLog {
    pub(crate) fn new(activity: Activity) -> CapturedLog {
        CapturedLog { opened: Instant::now(), lines: Arc::default(), activity }
    }

    /// What the lines' times count from.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<LogLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last few lines of one process, where it has said anything.
    pub fn last_words_of(&self, process: &str) -> String {
        const LINES: usize = 5;
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let of_process = lines.iter().rev().filter(|line| &*line.process == process && !line.text.is_empty());
        let mut last: Vec<&str> = of_process.take(LINES).map(|line| line.text.trim()).collect();
        last.reverse();
        last.join(" / ")
    }

    /// Writes down what the platform has to say about a service.
    pub(crate) fn platform(&self, service: &str, text: &str) {
        self.write(&Arc::from(service), Stream::Platform, text.to_owned());
    }

    /// Reads a pipe to its end.
    pub(super) fn follow(
        &self,
        process: &Arc<str>,
        stream: Stream,
        pipe: impl AsyncRead + Unpin + Send + 'static,
    ) -> JoinHandle<()> {
        let (log, process) = (self.clone(), Arc::clone(process));
        tokio::spawn(async move {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            // Bytes, not `lines()`: a line that is not UTF-8 must not end the capture.
            while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                log.write(&process, stream, String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
        })
    }

    fn write(&self, process: &Arc<str>, stream: Stream, text: String) {
        let fields = serde_json::from_str(&text).ok().filter(Value::is_object);
        let line = LogLine { at: self.opened.elapsed(), process: Arc::clone(process), stream, text, fields };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        self.activity.note();
    }
}
