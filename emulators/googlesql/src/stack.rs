//! Room on the stack for walking deep trees by recursion.
//!
//! Parser, analyzer and executor recurse over what a user wrote. Nearly all statements are shallow and run
//! on the caller's stack; a deep one gets a thread of its own with a stack to fit. Heights are bounded by
//! the parser, so the stack is bounded too.

use crate::error::{Result, SqlError};

/// Trees up to this height are walked on the caller's stack: about 1 MiB in a debug build.
pub const SHALLOW: u32 = 24;

/// What one level may take, all walkers' frames together, in a debug build.
const BYTES_A_LEVEL: usize = 96 << 10;

/// No tree is higher; plans neither, which are a few times as high as what they came from.
const MAX_HEIGHT: u32 = 10_000;

/// Runs `work`, which walks trees at most `height` high, on a stack with room for it.
///
/// # Errors
/// `ResourcesExceeded` where the thread cannot be started.
pub fn with_room<T: Send>(height: u32, work: impl FnOnce() -> T + Send) -> Result<T> {
    if height <= SHALLOW {
        return Ok(work());
    }
    let bytes = (4 << 20) + height.min(MAX_HEIGHT) as usize * BYTES_A_LEVEL;
    let builder = std::thread::Builder::new().name("deep-statement".to_owned()).stack_size(bytes);
    std::thread::scope(|scope| match builder.spawn_scoped(scope, work) {
        Ok(handle) => handle.join().map_err(|panic| std::panic::resume_unwind(panic)),
        Err(error) => Err(SqlError::resources(format!("Out of stack space: {error}"))),
    })
}
