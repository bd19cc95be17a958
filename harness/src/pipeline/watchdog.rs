//! What ends the pipeline's processes when the harness itself is killed and can end nothing.
//!
//! A shell waits on a pipe whose other end only the harness holds. It is told each process group
//! that begins and each that has ended; when the pipe closes, for whatever reason, it kills those
//! that are left.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const SCRIPT: &str = r#"
groups=" "
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) before=${groups%%" $group "*}; after=${groups#*" $group "}
       [ "$before" = "$groups" ] || groups="$before $after" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
"#;

struct Watchdog {
    pipe: ChildStdin,
    _shell: Child,
}

static WATCHDOG: OnceLock<Option<Mutex<Watchdog>>> = OnceLock::new();

fn start() -> Option<Mutex<Watchdog>> {
    let mut shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Its own group: an interrupt at the terminal goes to the harness's.
        .process_group(0)
        .spawn()
        .ok()?;
    let pipe = shell.stdin.take()?;
    Some(Mutex::new(Watchdog { pipe, _shell: shell }))
}

fn tell(sign: char, group: i32) {
    let Some(watchdog) = WATCHDOG.get_or_init(start) else { return };
    let mut watchdog = watchdog.lock().unwrap_or_else(PoisonError::into_inner);
    // Without a watchdog the harness still ends its processes itself.
    let _ = writeln!(watchdog.pipe, "{sign} {group}");
}

/// Starts the watchdog before there is anything to watch.
pub(super) fn be_ready() {
    WATCHDOG.get_or_init(start);
}

/// A process group has begun.
pub(super) fn watch(group: i32) {
    tell('+', group);
}

/// A process group has ended.
pub(super) fn forget(group: i32) {
    tell('-', group);
}
