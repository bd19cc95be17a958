//! Times and memory of the executor on a million rows: `cargo run --release -p scrimmage-googlesql --example figures`.
//!
//! With words as arguments only the figures whose names contain one of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scrimmage_googlesql::catalog::{
    Catalog, ColumnDef, Mode, Outcome, Parameters, Relation, Routine, ScanRequest, Schema, Table, TablePath,
};
use scrimmage_googlesql::exec::column::{Batch, Column};
use scrimmage_googlesql::exec::{ExecContext, execute};
use scrimmage_googlesql::functions::{Draws, EvalContext};
use scrimmage_googlesql::plan::AnalyzerContext;
use scrimmage_googlesql::{ErrorKind, Result, SqlError, Type, TypeParams, Value, analyzer, parser};

const ROWS: usize = 1_000_000;
const BATCH: usize = 8192;

struct Memory {
    path: TablePath,
    schema: Schema,
    batches: Vec<Batch>,
}

impl Table for Memory {
    fn path(&self) -> &TablePath {
        &self.path
    }
    fn schema(&self) -> &Schema {
        &self.schema
    }
    fn pseudo_columns(&self) -> &[ColumnDef] {
        &[]
    }
    fn row_count(&self) -> u64 {
        self.batches.iter().map(|batch| batch.len as u64).sum()
    }
    fn scan(&self, request: &ScanRequest) -> Result<Vec<Batch>> {
        let mut first = 0;
        let batches = self.batches.iter().map(|batch| {
            let mut columns: Vec<Arc<Column>> =
                request.columns.iter().filter_map(|at| batch.columns.get(*at).cloned()).collect();
            if request.row_ids {
                let ids = (first..first + batch.len as i64).map(Value::Int64);
                columns.push(Arc::new(Column::from_values(&Type::Int64, ids)));
            }
            first += batch.len as i64;
            Batch::new(columns, batch.len)
        });
        Ok(batches.collect())
    }
}

#[derive(Default)]
struct Tables(HashMap<String, Arc<dyn Table>>);

impl Catalog for Tables {
    fn relation(&self, name: &[String], _: Option<i64>) -> Result<Relation> {
        let found = name.last().and_then(|name| self.0.get(name));
        found.cloned().map(Relation::Table).ok_or_else(|| SqlError::not_found(name.join(".")))
    }
    fn wildcard(&self, name: &[String], _: Option<i64>) -> Result<Arc<dyn Table>> {
        Err(SqlError::not_found(name.join(".")))
    }
    fn routine(&self, _: &[String]) -> Option<Arc<Routine>> {
        None
    }
    fn resolve(&self, name: &[String]) -> Result<TablePath> {
        Ok(path(name.last().map_or("", String::as_str)))
    }
}

fn path(table: &str) -> TablePath {
    TablePath { project: "p".into(), dataset: "d".into(), table: table.into() }
}

impl Tables {
    fn add(&mut self, name: &str, columns: &[(&str, Type)], rows: usize, value: impl Fn(usize, usize) -> Value) {
        let types: Vec<Type> = columns.iter().map(|(_, ty)| ty.clone()).collect();
        let definition = |name: &str, ty: &Type| ColumnDef {
            name: name.into(),
            ty: ty.clone(),
            params: TypeParams::default(),
            mode: Mode::Nullable,
            description: None,
            default: None,
            rounding_mode: None,
            fields: Vec::new(),
        };
        let batches = (0..rows).step_by(BATCH).map(|from| {
            let rows = (from..(from + BATCH).min(rows)).map(|row| (0..types.len()).map(|at| value(row, at)).collect());
            Batch::from_rows(&types, rows)
        });
        let table = Memory {
            path: path(name),
            batches: batches.collect(),
            schema: Schema { columns: columns.iter().map(|(name, ty)| definition(name, ty)).collect() },
        };
        self.0.insert(name.into(), Arc::new(table));
    }

    fn run(&self, sql: &str, change: impl FnOnce(&mut ExecContext)) -> (Duration, Result<usize>) {
        let eval = EvalContext {
            now: 1_700_000_000_000_000,
            time_zone: "UTC".into(),
            draws: Draws::default(),
            session_user: "somebody@example.com".into(),
            project: "p".into(),
        };
        let mut context = ExecContext::new(eval.clone());
        change(&mut context);
        let start = Instant::now();
        let run = || {
            let (parameters, variables) = (Parameters::default(), HashMap::new());
            let analyzer =
                AnalyzerContext { catalog: self, parameters: &parameters, variables: &variables, eval: &eval };
            let plan = analyzer::analyze(&parser::parse_statement(sql)?, &analyzer)?;
            Ok(match execute(&plan, &context)? {
                Outcome::Query(result) => result.batches.iter().map(|batch| batch.len).sum(),
                Outcome::Dml(change) => (change.stats.inserted + change.stats.updated + change.stats.deleted) as usize,
                Outcome::Ddl(_) => 0,
            })
        };
        let result = run();
        (start.elapsed(), result)
    }

    fn time(&self, name: &str, wanted: &[String], sql: &str) {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            return;
        }
        let before = resident("VmRSS");
        reset_peak();
        let mut best = Duration::MAX;
        let mut said = String::new();
        for _ in 0..3 {
            let (took, result) = self.run(sql, |context| context.memory_limit = 4 << 30);
            best = best.min(took);
            said = result.map_or_else(|error| error.to_string(), |rows| format!("{rows} rows"));
        }
        let peak = resident("VmHWM").saturating_sub(before);
        println!("{name:<34} {:>8.1} ms  +{:>5} MB at most  {said}", best.as_secs_f64() * 1e3, peak >> 10);
    }

    /// How long a statement runs on once somebody cancelled it.
    fn cancel(&self, name: &str, wanted: &[String], sql: &str) {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            return;
        }
        let wait = Duration::from_millis(150);
        let (took, result) = self.run(sql, |context| {
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
    let wanted: Vec<String> = std::env::args().skip(1).collect();
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

    tables.time("select 1", &wanted, "SELECT 1");
    let all = "COUNT(*), SUM(amount), AVG(price), MIN(day), MAX(moment), COUNTIF(flag), SUM(n), MAX(note)";
    tables.time("group by 100 strings", &wanted, &format!("SELECT few, {all} FROM wide GROUP BY few"));
    tables.time("group by 10k ints", &wanted, &format!("SELECT n, {all} FROM wide GROUP BY n"));
    tables.time("group by two keys", &wanted, "SELECT few, day, SUM(amount), COUNT(*) FROM wide GROUP BY few, day");
    tables.time("group by 1M strings", &wanted, "SELECT many, COUNT(*), SUM(amount) FROM wide GROUP BY many");
    tables.time("count distinct 1M strings", &wanted, "SELECT COUNT(DISTINCT many) FROM wide");
    tables.time("distinct strings per group", &wanted, "SELECT few, COUNT(DISTINCT note) FROM wide GROUP BY few");
    tables.time("join 1M x 10k", &wanted, "SELECT COUNT(*), SUM(w.amount) FROM wide AS w JOIN small AS s ON w.n = s.k");
    tables.time("join 1M x 10k, rows out", &wanted, "SELECT w.id, s.name FROM wide AS w JOIN small AS s ON w.n = s.k");
    tables.time("join 1M x 1M strings", &wanted, "SELECT COUNT(*) FROM wide AS a JOIN wide AS b ON a.many = b.many");
    tables.time("order by a string", &wanted, "SELECT id FROM wide ORDER BY many LIMIT 10");
    tables.time("sort all", &wanted, "SELECT id FROM wide ORDER BY amount, id DESC");
    tables.time(
        "row_number per key",
        &wanted,
        "SELECT COUNT(*) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY n ORDER BY moment DESC) AS r FROM wide) WHERE r = 1",
    );
    tables.time(
        "filter and regexp",
        &wanted,
        "SELECT COUNTIF(REGEXP_CONTAINS(many, r'9+7$')) FROM wide WHERE n < 9000",
    );
    let union: Vec<String> = staging.iter().map(|name| format!("SELECT * FROM {name}")).collect();
    tables.time(
        "merge 823 staging tables",
        &wanted,
        &format!(
            "MERGE target AS t USING (SELECT * EXCEPT (r) FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY \
             version DESC) AS r FROM ({})) WHERE r = 1) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET points = \
             s.points, version = s.version WHEN NOT MATCHED THEN INSERT ROW",
            union.join(" UNION ALL ")
        ),
    );

    tables.cancel("cancel: cross join", &wanted, "SELECT COUNT(*) FROM wide AS a, wide AS b WHERE a.n + b.n = -1");
    tables.cancel("cancel: skewed join", &wanted, "SELECT COUNT(*) FROM wide AS a JOIN wide AS b ON a.few = b.few");
    tables.cancel(
        "cancel: recursion",
        &wanted,
        "WITH RECURSIVE r AS (SELECT n, id FROM wide UNION ALL SELECT n + 1, id FROM r WHERE n < 100000000) SELECT MAX(n) FROM r",
    );
    tables.cancel(
        "cancel: correlated",
        &wanted,
        "SELECT COUNT(*) FROM wide AS a WHERE (SELECT COUNT(*) FROM wide AS b WHERE b.n < a.n) = -1",
    );
    tables.cancel("cancel: generate_array", &wanted, "SELECT SUM(x) FROM wide, UNNEST(GENERATE_ARRAY(1, 100000)) AS x");
    tables.cancel(
        "cancel: regexp",
        &wanted,
        "SELECT SUM(LENGTH(REGEXP_REPLACE(REPEAT(many, 2000), r'(k|e|y|[0-9])*z', 'x'))) FROM wide",
    );
    tables.cancel("cancel: window", &wanted, "SELECT SUM(s) FROM (SELECT MAX(amount) OVER (ORDER BY id ROWS BETWEEN 5000 PRECEDING AND 5000 FOLLOWING) AS s FROM wide)");
    tables.cancel("cancel: sort", &wanted, "SELECT COUNT(*) FROM (SELECT ROW_NUMBER() OVER (ORDER BY a.note, b.name) AS r FROM wide AS a JOIN small AS b ON a.n < b.k)");
    tables.cancel("cancel: one long array", &wanted, "SELECT ARRAY_LENGTH(ARRAY(SELECT SUM(y) FROM UNNEST(GENERATE_ARRAY(1, x)) AS y)) FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS x");
    tables.cancel(
        "cancel: distinct",
        &wanted,
        "SELECT COUNT(DISTINCT CONCAT(a.many, b.name)) FROM wide AS a CROSS JOIN small AS b",
    );
}
