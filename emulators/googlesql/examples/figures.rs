//! Times and memory of the executor on a million rows: `cargo run --release -p scrimmage-googlesql --example figures`.
//!
//! With words as arguments only the figures whose names contain one of them.

#[path = "../tests/support/tables.rs"]
mod tables;

use std::time::{Duration, Instant};

use scrimmage_googlesql::catalog::Outcome;
use scrimmage_googlesql::exec::ExecContext;
use scrimmage_googlesql::{ErrorKind, Result, Type, Value};

use tables::Tables;

const ROWS: usize = 1_000_000;

fn run(tables: &Tables, sql: &str, change: impl FnOnce(&mut ExecContext)) -> (Duration, Result<usize>) {
    let mut context = ExecContext::new(tables::eval());
    change(&mut context);
    let start = Instant::now();
    let result = tables.run(sql, &context).map(|outcome| match outcome {
        Outcome::Query(result) => result.batches.iter().map(|batch| batch.len).sum(),
        Outcome::Dml(change) => (change.stats.inserted + change.stats.updated + change.stats.deleted) as usize,
        Outcome::Ddl(_) => 0,
    });
    (start.elapsed(), result)
}

/// What to measure: figures whose names contain one of the words, or all.
struct Measure<'t> {
    tables: &'t Tables,
    wanted: Vec<String>,
}

impl Measure<'_> {
    fn skips(&self, name: &str) -> bool {
        !self.wanted.is_empty() && !self.wanted.iter().any(|word| name.contains(word.as_str()))
    }

    fn time(&self, name: &str, sql: &str) {
        if self.skips(name) {
            return;
        }
        let before = resident("VmRSS");
        reset_peak();
        let mut best = Duration::MAX;
        let mut said = String::new();
        for _ in 0..3 {
            let (took, result) = run(self.tables, sql, |context| context.memory_limit = 4 << 30);
            best = best.min(took);
            said = result.map_or_else(|error| error.to_string(), |rows| format!("{rows} rows"));
        }
        let peak = resident("VmHWM").saturating_sub(before);
        println!("{name:<34} {:>8.1} ms  +{:>5} MB at most  {said}", best.as_secs_f64() * 1e3, peak >> 10);
    }

    /// How long a statement runs on once somebody cancelled it.
    fn cancel(&self, name: &str, sql: &str) {
        if self.skips(name) {
            return;
        }
        let wait = Duration::from_millis(150);
        let (took, result) = run(self.tables, sql, |context| {
            let cancel = context.cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(wait);
                cancel.store(true, std::sync::atomic::Ordering::Relaxed);
            });
        });
        let said = match result {
            Err(error) if error.kind == ErrorKind::Cancelled => {
                format!("stopped {:.1} ms later", took.saturating_sub(wait).as_secs_f64() * 1e3)
            }
            Err(error) => format!("{error} after {took:?}"),
            Ok(rows) => format!("was ready before: {rows} rows after {took:?}"),
        };
        println!("{name:<34} {said}");
    }
}

/// A figure of `/proc/self/status` in KiB; 0 where there is none.
fn resident(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn reset_peak() {
    // 5 resets VmHWM; where that is not allowed, the peak is the whole process's.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn main() {
    let mut tables = Tables::default();
    let before = resident("VmRSS");
    let columns = [
        ("id", Type::Int64),
        ("few", Type::String),
        ("many", Type::String),
        ("amount", Type::Float64),
        ("price", Type::Numeric),
        ("day", Type::Date),
        ("moment", Type::Timestamp),
        ("flag", Type::Bool),
        ("n", Type::Int64),
        ("note", Type::String),
    ];
    tables.add("wide", &columns, ROWS, |row, column| match column {
        0 => Value::Int64(row as i64),
        1 => Value::string(format!("group-{}", row % 100)),
        2 => Value::string(format!("key-{:08}", row.wrapping_mul(7919) % ROWS)),
        3 => Value::Float64((row % 1000) as f64 * 0.5),
        4 => Value::Numeric(scrimmage_googlesql::value::Numeric::from_i64((row % 500) as i64)),
        5 => Value::Date(19_000 + (row % 365) as i32),
        6 => Value::Timestamp(1_700_000_000_000_000 + row as i64),
        7 => Value::Bool(row % 3 == 0),
        8 => Value::Int64((row % 10_007) as i64),
        _ => Value::string(format!("note {}", row % 5000)),
    });
    println!("{ROWS} rows of 10 columns: {} MB", (resident("VmRSS").saturating_sub(before)) >> 10);
    tables.add("small", &[("k", Type::Int64), ("name", Type::String)], 10_000, |row, column| match column {
        0 => Value::Int64(row as i64),
        _ => Value::string(format!("name-{row}")),
    });
    let staging: Vec<String> = (0..823).map(|at| format!("stage_{at}")).collect();
    let stage = [("id", Type::String), ("day", Type::Date), ("points", Type::Float64), ("version", Type::Int64)];
    for (at, name) in staging.iter().enumerate() {
        tables.add(name, &stage, 25, |row, column| match column {
            0 => Value::string(format!("player-{}", (at * 25 + row) % 15_000)),
            1 => Value::Date(19_000),
            2 => Value::Float64(row as f64),
            _ => Value::Int64(at as i64),
        });
    }
    tables.add("target", &stage, 10_000, |row, column| match column {
        0 => Value::string(format!("player-{row}")),
        1 => Value::Date(19_000),
        2 => Value::Float64(0.0),
        _ => Value::Int64(0),
    });

    let measure = Measure { tables: &tables, wanted: std::env::args().skip(1).collect() };
    measure.time("select 1", "SELECT 1");
    let all = "COUNT(*), SUM(amount), AVG(price), MIN(day), MAX(moment), COUNTIF(flag), SUM(n), MAX(note)";
    measure.time("group by 100 strings", &format!("SELECT few, {all} FROM wide GROUP BY few"));
    measure.time("group by 10k ints", &format!("SELECT n, {all} FROM wide GROUP BY n"));
    measure.time("group by two keys", "SELECT few, day, SUM(amount), COUNT(*) FROM wide GROUP BY few, day");
    measure.time("group by 1M strings", "SELECT many, COUNT(*), SUM(amount) FROM wide GROUP BY many");
    measure.time("count distinct 1M strings", "SELECT COUNT(DISTINCT many) FROM wide");
    measure.time("distinct strings per group", "SELECT few, COUNT(DISTINCT note) FROM wide GROUP BY few");
    measure.time("join 1M x 10k", "SELECT COUNT(*), SUM(w.amount) FROM wide AS w JOIN small AS s ON w.n = s.k");
    measure.time("join 1M x 10k, rows out", "SELECT w.id, s.name FROM wide AS w JOIN small AS s ON w.n = s.k");
    measure.time("join 1M x 1M strings", "SELECT COUNT(*) FROM wide AS a JOIN wide AS b ON a.many = b.many");
    measure.time("order by a string", "SELECT id FROM wide ORDER BY many LIMIT 10");
    measure.time("sort all", "SELECT id FROM wide ORDER BY amount, id DESC");
    measure.time(
        "row_number per key",
        "SELECT COUNT(*) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY n ORDER BY moment DESC) AS r FROM wide) WHERE r = 1",
    );
    measure.time("filter and regexp", "SELECT COUNTIF(REGEXP_CONTAINS(many, r'9+7$')) FROM wide WHERE n < 9000");
    let union: Vec<String> = staging.iter().map(|name| format!("SELECT * FROM {name}")).collect();
    measure.time(
        "merge 823 staging tables",
        &format!(
            "MERGE target AS t USING (SELECT * EXCEPT (r) FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY \
             version DESC) AS r FROM ({})) WHERE r = 1) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET points = \
             s.points, version = s.version WHEN NOT MATCHED THEN INSERT ROW",
            union.join(" UNION ALL ")
        ),
    );

    measure.cancel("cancel: cross join", "SELECT COUNT(*) FROM wide AS a, wide AS b WHERE a.n + b.n = -1");
    measure.cancel("cancel: skewed join", "SELECT COUNT(*) FROM wide AS a JOIN wide AS b ON a.few = b.few");
    measure.cancel(
        "cancel: recursion",
        "WITH RECURSIVE r AS (SELECT n, id FROM wide UNION ALL SELECT n + 1, id FROM r WHERE n < 100000000) SELECT MAX(n) FROM r",
    );
    measure.cancel(
        "cancel: correlated",
        "SELECT COUNT(*) FROM wide AS a WHERE (SELECT COUNT(*) FROM wide AS b WHERE b.n < a.n) = -1",
    );
    measure.cancel("cancel: generate_array", "SELECT SUM(x) FROM wide, UNNEST(GENERATE_ARRAY(1, 100000)) AS x");
    measure.cancel(
        "cancel: regexp",
        "SELECT SUM(LENGTH(REGEXP_REPLACE(REPEAT(many, 2000), r'(k|e|y|[0-9])*z', 'x'))) FROM wide",
    );
    measure.cancel("cancel: window", "SELECT SUM(s) FROM (SELECT MAX(amount) OVER (ORDER BY id ROWS BETWEEN 5000 PRECEDING AND 5000 FOLLOWING) AS s FROM wide)");
    measure.cancel("cancel: sort", "SELECT COUNT(*) FROM (SELECT ROW_NUMBER() OVER (ORDER BY a.note, b.name) AS r FROM wide AS a JOIN small AS b ON a.n < b.k)");
    measure.cancel("cancel: one long array", "SELECT ARRAY_LENGTH(ARRAY(SELECT SUM(y) FROM UNNEST(GENERATE_ARRAY(1, x)) AS y)) FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS x");
    measure.cancel(
        "cancel: distinct",
        "SELECT COUNT(DISTINCT CONCAT(a.many, b.name)) FROM wide AS a CROSS JOIN small AS b",
    );
}
