//! What ends the pipeline's processes when the harness itself is killed and can end nothing.
//!
//! A shell waits on a pipe whose other end only the harness holds. It is told each process group
//! that begins and each that has ended, and each container; when the pipe closes, for whatever reason,
//! it kills those that are left, and removes the containers. These it tries three times: the engine may
//! still be making one.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const SCRIPT: &str = r#"
groups=" "
containers=" "
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) before=${groups%%" $group "*}; after=${groups#*" $group "}
       [ "$before" = "$groups" ] || groups="$before $after" ;;
    c) containers="$containers$group " ;;
    d) before=${containers%%" $group "*}; after=${containers#*" $group "}
       [ "$before" = "$containers" ] || containers="$before $after" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
[ "$containers" != " " ] || exit 0
for try in 1 2 3; do
  for name in $containers; do docker rm --force "$name" >/dev/null 2>&1; done
  sleep 1
done
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

fn tell(sign: char, group: impl std::fmt::Display) {
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

/// A container of this name begins.
pub(crate) fn watch_container(name: &str) {
    tell('c', name);
}

/// A container of this name has ended and is removed.
pub(super) fn forget_container(name: &str) {
    tell('d', name);
}
