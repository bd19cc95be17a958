//! Results for people and for machines.

mod grid;
mod html;
mod json;
mod junit;
mod live;
mod markup;
mod table;
mod tried;

pub use grid::grid;
pub use html::{calls_a_run, to_html};
pub use json::to_json;
pub use junit::to_junit;
pub use live::{Live, Shown};
pub use table::{Widths, counted_line, line, summary};
pub use tried::{Runs, Seconds, Tried};
