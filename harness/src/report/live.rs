//! What is going on right now, on a terminal: a line a run, rewritten in place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

use crate::run::Phase;

const EVERY: Duration = Duration::from_millis(120);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The live part of the terminal. Silent where stderr is none. Dropping it takes it away.
pub struct Live {
    state: Option<Arc<Mutex<State>>>,
    ticking: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    total: usize,
    done: usize,
    bad: usize,
    begun: Instant,
    next: usize,
    runs: BTreeMap<usize, Going>,
    /// Lines on the terminal that are to be written over.
    drawn: usize,
    turn: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Going {
    what: String,
    since: Instant,
    phase: Phase,
}

/// A run that is shown; dropping it takes its line away.
pub struct Shown {
    state: Option<Arc<Mutex<State>>>,
    number: usize,
    pub phase: Phase,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// For so many runs. To be called within a tokio runtime.
    pub fn for_runs(total: usize) -> Live {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if dumb || !std::io::stderr().is_terminal() {
            return Live { state: None, ticking: None };
        }
        let state = State {
            total,
            done: 0,
            bad: 0,
            begun: Instant::now(),
            next: 0,
            runs: BTreeMap::new(),
            drawn: 0,
            turn: 0,
            is_over: false,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let ticking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let mut state = lock(&shared);
                state.turn += 1;
                let text = state.over_the_last();
                write(&text);
            }
        });
        Live { state: Some(state), ticking: Some(ticking) }
    }

    /// A run begins.
    pub fn begin(&self, what: String) -> Shown {
        let phase = Phase::default();
        let mut number = 0;
        if let Some(state) = &self.state {
            let mut state = lock(state);
            number = state.next;
            state.next += 1;
            state.runs.insert(number, Going { what, since: Instant::now(), phase: phase.clone() });
        }
        Shown { state: self.state.clone(), number, phase }
    }

    /// Nothing is shown any more: what is printed from now on stays where it is.
    pub fn end(&self) {
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
        if let Some(state) = &self.state {
            let mut state = lock(state);
            write(&state.taken_away());
            state.is_over = true;
        }
    }

    /// A run has ended; `tell` prints what is to stay.
    pub fn ended(&self, is_good: bool, tell: impl FnOnce()) {
        let Some(state) = &self.state else { return tell() };
        let mut state = lock(state);
        state.done += 1;
        state.bad += usize::from(!is_good);
        write(&state.taken_away());
        tell();
        let text = state.over_the_last();
        write(&text);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end();
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            lock(state).runs.remove(&self.number);
        }
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

impl State {
    fn taken_away(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    fn over_the_last(&mut self) -> String {
        let mut text = self.taken_away();
        if self.is_over {
            return text;
        }
        // Without wrapping: a line that is too long for the terminal must stay one line.
        text.push_str("\x1b[?7l");
        let spinner = SPINNER[self.turn % SPINNER.len()];
        for run in self.runs.values() {
            let seconds = run.since.elapsed().as_secs_f64();
            let _ = writeln!(text, "{spinner} {}  {seconds:5.1} s  {}", run.what, run.phase.text());
        }
        let seconds = self.begun.elapsed().as_secs();
        let bad = if self.bad > 0 { format!(", {} not as they should be", self.bad) } else { String::new() };
        let _ = writeln!(text, "  {} of {} runs{bad}, {seconds} s", self.done, self.total);
        text.push_str("\x1b[?7h");
        self.drawn = self.runs.len() + 1;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_is_written_over() {
        let mut state = State {
            total: 3,
            done: 1,
            bad: 0,
            begun: Instant::now(),
            next: 1,
            runs: BTreeMap::new(),
            drawn: 0,
            turn: 0,
            is_over: false,
        };
        let going = Going { what: "one  healthy".into(), since: Instant::now(), phase: Phase::default() };
        state.runs.insert(0, going);
        let first = state.over_the_last();
        assert!(!first.contains("\x1b[J") && first.contains("one  healthy") && first.contains("1 of 3 runs, 0 s"));
        state.runs.clear();
        assert!(state.over_the_last().starts_with("\x1b[2A\r\x1b[J"));
        assert_eq!(state.taken_away(), "\x1b[1A\r\x1b[J");
        assert_eq!(state.taken_away(), "");
        state.is_over = true;
        assert_eq!(state.over_the_last(), "");
    }
}
