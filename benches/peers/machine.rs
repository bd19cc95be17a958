//! The machine that the figures are of.

use std::fmt;
use std::fs;

use serde_json::{Value, json};

/// What it is, as far as the kernel tells.
#[derive(Clone, Debug)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_gigabytes: f64,
    kernel: String,
    load: String,
}

impl Machine {
    pub fn look() -> Machine {
        Machine {
            processor: value("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gigabytes: {
                let kilobytes = value("/proc/meminfo", "MemTotal");
                kilobytes.trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1_048_576.0
            },
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load: load_average(),
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores,
            "memoryGigabytes": self.memory_gigabytes.round(),
            "kernel": self.kernel,
            "loadAverage": self.load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}, {} cores, {:.0} GB, Linux {}; load average at the start: {}",
            self.processor, self.cores, self.memory_gigabytes, self.kernel, self.load
        )
    }
}

/// The load of the last 1, 5 and 15 minutes: of other work too.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// What follows `key :` in a file of such lines.
fn value(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned());
    value.unwrap_or_else(|| "unknown".to_owned())
}
