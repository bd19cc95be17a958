//! Scripts against a host in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::analyzer;
use crate::ast::{FunctionBody, ProcedureMode};
use crate::catalog::{
    ArgumentDirection, Catalog, DmlStats, Outcome, QueryResult, Relation, Routine, RoutineArgument, RoutineKind, Table,
    TablePath,
};
use crate::exec::{self, ExecContext};
use crate::plan::AnalyzerContext;
use crate::testing::{MemoryCatalog, MemoryTable, NOW, eval_context};
use crate::types::Type;
use crate::value::Value;

/// Tables are shared, so that a catalog is a snapshot.
#[derive(Default)]
struct MemoryHost {
    tables: BTreeMap<String, MemoryTable>,
    routines: BTreeMap<String, Arc<Routine>>,
    before: Option<BTreeMap<String, MemoryTable>>,
    /// Texts of the statements that ran, with how deep they stood.
    log: Vec<(String, usize)>,
    cancel_after: Option<(usize, Arc<AtomicBool>)>,
}

#[derive(Debug)]
enum Done {
    Rows(QueryResult),
    Dml(DmlStats),
    Ddl,
}

struct Owned(MemoryCatalog);

impl Catalog for Owned {
    fn relation(&self, name: &[String], as_of: Option<i64>) -> Result<Relation> {
        self.0.relation(name, as_of)
    }
    fn wildcard(&self, name: &[String], as_of: Option<i64>) -> Result<Arc<dyn Table>> {
        self.0.wildcard(name, as_of)
    }
    fn routine(&self, name: &[String]) -> Option<Arc<Routine>> {
        self.0.routine(name)
    }
    fn resolve(&self, name: &[String]) -> Result<TablePath> {
        self.0.resolve(name)
    }
}

impl Host for MemoryHost {
    type Done = Done;

    fn run_statement(&mut self, statement: &Statement, context: StatementContext<'_>) -> Result<Done> {
        self.log.push((context.text.to_owned(), context.stack.frames().len()));
        if let Some((count, cancel)) = &self.cancel_after
            && self.log.len() >= *count
        {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        if let StatementKind::CreateProcedure(create) = &statement.kind {
            self.create_procedure(create);
            return Ok(Done::Ddl);
        }
        let catalog = self.catalog();
        let mut eval = eval_context();
        eval.time_zone = context.time_zone.to_owned();
        let analyzer_context = AnalyzerContext {
            catalog: &*catalog,
            parameters: context.parameters,
            variables: context.variables,
            eval: &eval,
            cancel: None,
        };
        let plan = analyzer::analyze(statement, &analyzer_context)?;
        match exec::execute(&plan, &ExecContext::new(eval.clone()))? {
            Outcome::Query(rows) => Ok(Done::Rows(rows)),
            Outcome::Dml(change) => {
                let name = change.table.path().table.clone();
                let table = self.tables.get_mut(&name).expect("the table that was changed");
                *table = table.apply(&change);
                Ok(Done::Dml(change.stats))
            }
            Outcome::Ddl(action) => {
                let schema = action.schema.expect("only CREATE TABLE in these tests");
                let columns: Vec<(&str, Type)> =
                    schema.columns.iter().map(|column| (column.name.as_str(), column.ty.clone())).collect();
                let mut table = MemoryTable::new(&action.target.table, &columns, Vec::new());
                table.batches.extend(action.rows.unwrap_or_default());
                self.tables.insert(action.target.table, table);
                Ok(Done::Ddl)
            }
        }
    }

    fn rows<'d>(&self, done: &'d Done) -> Option<&'d QueryResult> {
        match done {
            Done::Rows(rows) => Some(rows),
            _ => None,
        }
    }

    fn affected_rows(&self, done: &Done) -> Option<u64> {
        match done {
            Done::Dml(stats) => Some(stats.inserted + stats.updated + stats.deleted),
            _ => None,
        }
    }

    fn catalog(&self) -> Arc<dyn Catalog> {
        let mut catalog = MemoryCatalog { routines: self.routines.clone(), ..MemoryCatalog::default() };
        for table in self.tables.values() {
            catalog = catalog.with(table.clone());
        }
        Arc::new(Owned(catalog))
    }

    fn now(&self) -> i64 {
        NOW
    }

    fn begin_transaction(&mut self) -> Result<()> {
        self.before = Some(self.tables.clone());
        Ok(())
    }

    fn commit_transaction(&mut self) -> Result<()> {
        self.before = None;
        Ok(())
    }

    fn rollback_transaction(&mut self) -> Result<()> {
        self.tables = self.before.take().expect("an open transaction");
        Ok(())
    }
}

impl MemoryHost {
    fn create_procedure(&mut self, create: &crate::ast::CreateProcedure) {
        let name: Vec<String> = create.name.parts.iter().map(|part| part.name.clone()).collect();
        let arguments = create
            .parameters
            .iter()
            .map(|(mode, parameter)| RoutineArgument {
                name: parameter.name.name.clone(),
                ty: analyzer::resolve_type(&parameter.ty).ok().map(|(ty, _)| ty),
                is_table: false,
                is_aggregate: false,
                direction: match mode {
                    ProcedureMode::In => ArgumentDirection::In,
                    ProcedureMode::Out => ArgumentDirection::Out,
                    ProcedureMode::InOut => ArgumentDirection::InOut,
                },
            })
            .collect();
        let last = name.last().expect("a name").clone();
        let body = create.body_text.clone();
        let routine =
            Routine { name, arguments, kind: RoutineKind::Procedure, returns: None, body, javascript: Arc::default() };
        self.routines.insert(last, Arc::new(routine));
    }
}

fn run_on(host: &mut MemoryHost, text: &str) -> Result<Finished<Done>> {
    run(text, &Parameters::default(), &Environment::default(), host)
}

/// The only row of the script's last query, as text.
fn row(text: &str) -> String {
    let mut host = MemoryHost::default();
    let finished = run_on(&mut host, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    match finished.last {
        Some(Done::Rows(rows)) => show(&rows),
        _ => panic!("{text} ended without rows"),
    }
}

fn show(rows: &QueryResult) -> String {
    let cell = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Int64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::String(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    let rows = runner::rows_of(rows).map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join(" "));
    rows.collect::<Vec<_>>().join("; ")
}

fn fail(text: &str) -> String {
    match run_on(&mut MemoryHost::default(), text) {
        Ok(_) => panic!("{text} ran"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn variables_are_declared_set_and_seen() {
    assert_eq!(row("DECLARE x, y INT64 DEFAULT 2; DECLARE z DEFAULT x + 1; SET x = z * 10; SELECT x, y, z"), "30 2 3");
    assert_eq!(row("DECLARE x INT64; DECLARE s STRING; SET (x, s) = (1, 'a'); SELECT x, s"), "1 a");
    assert_eq!(row("DECLARE x INT64; DECLARE s STRING; SET (x, s) = (SELECT AS STRUCT 7, 'b'); SELECT x, s"), "7 b");
    assert_eq!(row("DECLARE x FLOAT64; SET x = 1; SELECT x = 1.0, x IS NULL"), "true false");
    assert_eq!(row("DECLARE a INT64; BEGIN DECLARE b INT64 DEFAULT 5; SET a = b; END; SELECT a"), "5");
    assert!(fail("BEGIN DECLARE b INT64 DEFAULT 5; END; SELECT b").contains("Unrecognized name: b at [1:46]"));
    assert_eq!(fail("SET x = 1; SELECT 1"), "Query error: Undeclared variable: x at [1:5]");
    assert!(fail("DECLARE s STRING(2); SET s = 'abc'").contains("at [1:"));
}

#[test]
fn branches_and_loops() {
    assert_eq!(row("IF FALSE THEN SELECT 1; ELSEIF NULL THEN SELECT 2; ELSE SELECT 3; END IF"), "3");
    assert_eq!(row("CASE 1 + 1 WHEN 1 THEN SELECT 'a'; WHEN 2 THEN SELECT 'b'; END CASE"), "b");
    assert_eq!(row("CASE WHEN FALSE THEN SELECT 'a'; ELSE SELECT 'c'; END CASE"), "c");
    assert_eq!(
        row("DECLARE i INT64 DEFAULT 0; LOOP SET i = i + 1; IF i = 4 THEN BREAK; END IF; END LOOP; SELECT i"),
        "4"
    );
    assert_eq!(row("DECLARE i INT64 DEFAULT 0; WHILE i < 3 DO SET i = i + 1; END WHILE; SELECT i"), "3");
    assert_eq!(row("DECLARE i INT64 DEFAULT 0; REPEAT SET i = i + 1; UNTIL i >= 2 END REPEAT; SELECT i"), "2");
    assert_eq!(
        row(
            "DECLARE n INT64 DEFAULT 0; outer_loop: LOOP LOOP SET n = n + 1; IF n < 3 THEN CONTINUE outer_loop; END IF; \
             LEAVE outer_loop; END LOOP; END LOOP; SELECT n"
        ),
        "3"
    );
    assert_eq!(
        row("DECLARE s INT64 DEFAULT 0; FOR r IN (SELECT n, n * 2 AS m FROM UNNEST([1, 2, 3]) AS n) DO \
             IF r.n = 2 THEN CONTINUE; END IF; SET s = s + r.m; END FOR; SELECT s"),
        "8"
    );
    assert_eq!(row("SELECT 1; RETURN; SELECT 2"), "1");
    assert_eq!(row("x: BEGIN SELECT 1; LEAVE x; SELECT 2; END x"), "1");
}

#[test]
fn failures_are_located_in_the_whole_text() {
    assert_eq!(fail("SELECT 1;\nSELECT foo"), "Query error: Unrecognized name: foo at [2:8]");
    assert_eq!(fail("SELECT foo"), "Unrecognized name: foo at [1:8]");
    assert!(fail("SELECT 1;\n  SELECT 1 / 0").starts_with("Query error: division by zero"));
    assert!(fail("SELECT 1;\n  SELECT 1 / 0").ends_with("at [2:3]"));
    assert_eq!(fail("SELECT 1;\nSELEC"), "Syntax error: Unexpected identifier \"SELEC\" at [2:1]");
    assert_eq!(fail("SELECT 1; RAISE USING MESSAGE = CONCAT('a', 'b')"), "ab at [1:11]");
}

#[test]
fn exceptions_are_caught_described_and_raised_again() {
    assert_eq!(row("BEGIN SELECT 1 / 0; EXCEPTION WHEN ERROR THEN SELECT 'caught'; END"), "caught");
    assert_eq!(
        row(
            "BEGIN\n  RAISE USING MESSAGE = 'oops';\nEXCEPTION WHEN ERROR THEN\n  SELECT @@error.message, @@error.statement_text, \
             @@error.formatted_stack_trace;\nEND"
        ),
        "oops at [2:3] RAISE USING MESSAGE = 'oops' At [2:3]"
    );
    assert_eq!(
        row("BEGIN BEGIN RAISE USING MESSAGE = 'a'; EXCEPTION WHEN ERROR THEN RAISE; END; \
             EXCEPTION WHEN ERROR THEN SELECT @@error.message; END"),
        "a at [1:13]"
    );
    assert_eq!(
        row("BEGIN RAISE USING MESSAGE = 'a'; EXCEPTION WHEN ERROR THEN SELECT 1; END; SELECT @@error.message"),
        "NULL"
    );
}

#[test]
fn procedures_take_and_give_arguments() {
    let setup = "DECLARE r INT64; DECLARE s INT64 DEFAULT 10;\
                 CREATE PROCEDURE p.d.add(IN a INT64, b INT64, OUT total INT64, INOUT s INT64) \
                 BEGIN DECLARE t INT64; SET t = a + b; SET total = t; SET s = s + t; END;";
    assert_eq!(row(&format!("{setup} CALL p.d.add(1, 2, r, s); SELECT r, s")), "3 13");
    assert!(fail(&format!("{setup} CALL p.d.add(1, 2, 3, s)")).contains("OUT argument total must be a variable"));
    assert!(fail("CALL nothing()").starts_with("Procedure not found: nothing at [1:6]"));
    let recursive =
        "CREATE PROCEDURE p.d.f(n INT64) BEGIN IF n > 0 THEN CALL p.d.f(n - 1); ELSE SELECT 'end'; END IF; END;";
    assert_eq!(row(&format!("{recursive} CALL p.d.f(20)")), "end");
    assert!(fail(&format!("{recursive} CALL p.d.f(100)")).contains("nest deeper than 50"));
    let broken = "CREATE PROCEDURE p.d.f() BEGIN\n SELECT nope; END;";
    assert_eq!(fail(&format!("{broken} CALL p.d.f()")), "Query error: Unrecognized name: nope at [p.d.f:2:9]");
}

#[test]
fn dynamic_sql_takes_values_and_gives_a_row() {
    assert_eq!(row("EXECUTE IMMEDIATE 'SELECT ? + ?' USING 1, 2"), "3");
    assert_eq!(
        row("DECLARE a, b INT64; EXECUTE IMMEDIATE 'SELECT @x, @x * 2' INTO a, b USING 4 AS x; SELECT a, b"),
        "4 8"
    );
    assert_eq!(
        row(
            "DECLARE a INT64 DEFAULT 1; EXECUTE IMMEDIATE 'SELECT n FROM UNNEST([5]) AS n WHERE n > 9' INTO a; SELECT a"
        ),
        "NULL"
    );
    assert!(fail("DECLARE v INT64; EXECUTE IMMEDIATE 'SELECT v'").contains("Unrecognized name: v"));
    assert!(
        fail("DECLARE v INT64; EXECUTE IMMEDIATE 'SELECT n FROM UNNEST([1, 2]) AS n' INTO v")
            .contains("more than one row")
    );
    assert!(fail("SELECT 1; EXECUTE IMMEDIATE 'SELEC'").contains("Invalid EXECUTE IMMEDIATE sql string `SELEC`"));
}

#[test]
fn changes_are_seen_by_later_statements_and_rolled_back() {
    let mut host = MemoryHost::default();
    let finished = run_on(
        &mut host,
        "CREATE TABLE d.t (a INT64); INSERT INTO d.t (a) VALUES (1), (2); \
         IF EXISTS (SELECT 1 FROM d.t WHERE a = 2) THEN DELETE FROM d.t WHERE a = 1; END IF; \
         SELECT @@row_count, (SELECT SUM(a) FROM d.t)",
    )
    .expect("a script");
    let Some(Done::Rows(rows)) = &finished.last else { panic!("rows") };
    assert_eq!((show(rows).as_str(), finished.children), ("1 2", 5));
    run_on(&mut host, "BEGIN TRANSACTION; INSERT INTO d.t (a) VALUES (7); ROLLBACK TRANSACTION").expect("a rollback");
    run_on(&mut host, "BEGIN; INSERT INTO d.t (a) VALUES (8); COMMIT").expect("a commit");
    run_on(&mut host, "BEGIN; INSERT INTO d.t (a) VALUES (9); SELECT 1 / 0").expect_err("division by zero");
    let finished = run_on(&mut host, "SELECT STRING_AGG(CAST(a AS STRING) ORDER BY a) FROM d.t").expect("a query");
    let Some(Done::Rows(rows)) = &finished.last else { panic!("rows") };
    assert_eq!(show(rows), "2,8");
    assert!(fail("COMMIT TRANSACTION").contains("only in scripts or sessions"));
}

#[test]
fn system_variables() {
    assert_eq!(
        row("SET @@time_zone = 'Asia/Tokyo'; SELECT @@time_zone, CAST(TIMESTAMP '2020-01-01 00:00:00+00' AS STRING)"),
        { "Asia/Tokyo 2020-01-01 09:00:00+09" }
    );
    assert!(fail("SET @@project_id = 'x'; SELECT 1").contains("read-only"));
    assert!(fail("SET @@nothing = 'x'; SELECT 1").contains("Unrecognized system variable"));
    assert!(fail("SELECT 1; ASSERT 1 = 2 AS 'sums'").contains("Assertion failed: sums"));
}

#[test]
fn a_script_can_be_stopped() {
    let cancel = Arc::new(AtomicBool::new(false));
    let environment = Environment { cancel: cancel.clone(), ..Environment::default() };
    let mut host = MemoryHost { cancel_after: Some((3, cancel)), ..MemoryHost::default() };
    let text = "LOOP BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END; END LOOP";
    let error = run(text, &Parameters::default(), &environment, &mut host).map(|_| ()).expect_err("cancelled");
    assert_eq!((error.kind, host.log.len()), (crate::error::ErrorKind::Cancelled, 3));
    let limited = Environment { step_limit: Some(100), ..Environment::default() };
    let error = run("LOOP END LOOP", &Parameters::default(), &limited, &mut host).map(|_| ()).expect_err("limited");
    assert_eq!(error.kind, crate::error::ErrorKind::ResourcesExceeded);
}

#[test]
fn what_counts_as_a_script() {
    let script = |text: &str| is_script(&parser::parse_script(text).expect(text));
    assert!(!script("SELECT 1"));
    assert!(!script("CREATE TEMP FUNCTION f() AS (1); SELECT f()"));
    assert!(script("CREATE FUNCTION d.f() AS (1); SELECT d.f()"));
    assert!(script("DECLARE x INT64"));
    assert!(script("SELECT 1; SELECT 2"));
    assert!(matches!(
        &parser::parse_statement("CREATE TEMP FUNCTION f() AS (1)").expect("a function").kind,
        StatementKind::CreateFunction(create) if matches!(create.body, FunctionBody::Expr(..))
    ));
}
