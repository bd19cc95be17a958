//! Statements that do not resolve: production's texts and places.

use super::dialogue::World;
use crate::testing::MemoryTable;
use crate::types::Type;

fn world() -> World {
    let row = Type::struct_of([("x", Type::Int64), ("y", Type::String)]);
    let mut filtered = MemoryTable::new("games", &[("game_date", Type::Date), ("points", Type::Int64)], Vec::new());
    filtered.partition_filter = Some("game_date".into());
    World::default()
        .with(MemoryTable::new(
            "t",
            &[
                ("a", Type::Int64),
                ("b", Type::String),
                ("c", Type::Float64),
                ("d", Type::Date),
                ("s", row),
                ("arr", Type::array(Type::Int64)),
                ("j", Type::Json),
            ],
            Vec::new(),
        ))
        .with(MemoryTable::new("u", &[("a", Type::Int64), ("v", Type::String)], Vec::new()))
        .with(filtered)
}

fn check(cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (sql, wanted) in cases {
        let got = world().say(sql).join("\n");
        if got != format!("error: {wanted}") {
            wrong.push_str(&format!("{sql}\n  wanted {wanted}\n  got    {got}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn names_that_mean_nothing() {
    check(&[
        ("SELECT foo FROM t", "Unrecognized name: foo at [1:8]"),
        (
            "SELECT game_dat FROM (SELECT 1 AS game_date)",
            "Unrecognized name: game_dat; Did you mean game_date? at [1:8]",
        ),
        ("SELECT x.a FROM t", "Unrecognized name: x at [1:8]"),
        ("SELECT t.foo FROM t", "Name foo not found inside t at [1:10]"),
        ("SELECT a FROM t, u", "Column name a is ambiguous at [1:8]"),
        ("SELECT s.z FROM t", "Field name z does not exist in STRUCT<x INT64, y STRING> at [1:10]"),
        ("SELECT a.z FROM t", "Cannot access field z on a value with type INT64 at [1:10]"),
        ("SELECT * FROM missing", "Not found: Table p:d.missing was not found in location US"),
        ("SELECT NO_SUCH(1)", "Function not found: NO_SUCH at [1:8]"),
        ("SELECT `p.d`.no_such(1)", "Function not found: `p.d`.no_such at [1:8]"),
        ("SELECT * FROM t AS x, u AS x", "Duplicate table alias x in the same FROM clause at [1:28]"),
        ("SELECT * EXCEPT (zz) FROM t", "Column zz in SELECT * EXCEPT list does not exist at [1:18]"),
        ("SELECT @p", "Query parameter 'p' not found at [1:8]"),
    ]);
}

#[test]
fn types_that_do_not_fit() {
    check(&[
        (
            "SELECT 1 FROM t JOIN u ON t.b = u.a",
            "No matching signature for operator = for argument types: STRING, INT64\n  Signature: T1 = T1\n    Unable to \
             find common supertype for templated argument <T1>\n      Input types for <T1>: {INT64, STRING} at [1:27]",
        ),
        ("SELECT 1 FROM t WHERE d = 'x'", "Could not cast literal \"x\" to type DATE at [1:27]"),
        ("SELECT 1 FROM t WHERE a", "WHERE clause should return type BOOL, but returns INT64 at [1:23]"),
        ("SELECT 'a' = NULL", "Operands of = cannot be literal NULL at [1:14]"),
        ("SELECT CAST(1 AS DATE)", "Invalid cast from INT64 to DATE at [1:13]"),
        ("SELECT CAST(1 AS NOTYPE)", "Type not found: NOTYPE at [1:18]"),
        ("SELECT NUMERIC '1.4999999999'", "Invalid NUMERIC literal: \"1.4999999999\" at [1:8]"),
        ("SELECT DATE '2024-02-30'", "Invalid DATE literal: \"2024-02-30\" at [1:8]"),
        ("SELECT 9223372036854775808", "Invalid integer literal: 9223372036854775808 at [1:8]"),
        ("SELECT [1, 'a']", "Array elements of types {INT64, STRING} do not have a common supertype at [1:8]"),
        (
            "SELECT [[1]]",
            "Cannot construct array with element type ARRAY<INT64> because nested arrays are not supported at [1:9]",
        ),
        ("SELECT 1 UNION ALL SELECT 'a'", "Column 1 in UNION ALL has incompatible types: INT64, STRING at [1:10]"),
        (
            "SELECT 1 UNION ALL SELECT 1, 2",
            "Queries in UNION ALL have mismatched column count; query 1 has 1 column, query 2 has 2 columns at [1:10]",
        ),
        ("SELECT a FROM t LIMIT -1", "LIMIT expects a non-negative integer literal or parameter at [1:23]"),
        (
            "SELECT (SELECT 1, 2)",
            "Scalar subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values at \
             [1:8]",
        ),
    ]);
}

#[test]
fn grouping_is_checked() {
    check(&[
        (
            "SELECT a FROM t GROUP BY b",
            "SELECT list expression references column a which is neither grouped nor aggregated at [1:8]",
        ),
        (
            "SELECT x.a, COUNT(*) FROM t AS x",
            "SELECT list expression references x.a which is neither grouped nor aggregated at [1:8]",
        ),
        (
            "SELECT b, COUNT(*) FROM t GROUP BY b ORDER BY a",
            "ORDER BY clause expression references column a which is neither grouped nor aggregated at [1:47]",
        ),
        (
            "SELECT b FROM t GROUP BY b HAVING a > 1",
            "HAVING clause expression references column a which is neither grouped nor aggregated at [1:35]",
        ),
        ("SELECT SUM(COUNT(*)) FROM t", "Aggregations of aggregations are not allowed at [1:12]"),
        ("SELECT 1 FROM t WHERE SUM(a) > 1", "Aggregate function SUM not allowed in WHERE clause at [1:23]"),
        (
            "SELECT SUM(a) FROM t GROUP BY 1",
            "Column 1 contains an aggregation function, which is not allowed in GROUP BY at [1:31]",
        ),
        ("SELECT a FROM t GROUP BY 2", "GROUP BY is out of SELECT column number range: 2 at [1:26]"),
        ("SELECT j FROM t GROUP BY j", "Grouping by expressions of type JSON is not allowed at [1:26]"),
        ("SELECT a FROM t HAVING a > 1", "The HAVING clause requires GROUP BY or aggregation to be present at [1:24]"),
    ]);
}

#[test]
fn windows_are_checked() {
    check(&[
        (
            "SELECT ROW_NUMBER() OVER (PARTITION BY c) FROM t",
            "Partitioning by expressions of type FLOAT64 is not allowed at [1:40]",
        ),
        ("SELECT 1 FROM t WHERE ROW_NUMBER() OVER () = 1", "Analytic function not allowed in WHERE clause at [1:23]"),
        ("SELECT RANK() OVER () FROM t", "Window ORDER BY is required for analytic function rank at [1:8]"),
        (
            "SELECT LAG(a) OVER (ORDER BY a ROWS 1 PRECEDING) FROM t",
            "Window framing clause is not allowed for analytic function lag at [1:32]",
        ),
        ("SELECT RANK() FROM t", "Analytic function rank cannot be called without an OVER clause at [1:8]"),
        ("SELECT RANK() OVER w FROM t", "Unrecognized window alias w at [1:20]"),
        ("SELECT a FROM t QUALIFY a > 1", "The QUALIFY clause requires analytic function to be present at [1:25]"),
    ]);
}

#[test]
fn changes_are_checked() {
    check(&[
        ("DELETE FROM t", "DELETE must have a WHERE clause at [1:13]"),
        ("UPDATE t SET a = 1", "UPDATE must have a WHERE clause at [1:8]"),
        ("UPDATE t SET a = 1, a = 2 WHERE TRUE", "Update item a assigned more than once at [1:21]"),
        ("UPDATE t SET s.x = 1, s = NULL WHERE TRUE", "Update item s overlaps with another update item at [1:23]"),
        (
            "UPDATE t SET a = 'x' WHERE TRUE",
            "Value of type STRING cannot be assigned to a, which has type INT64 at [1:18]",
        ),
        ("INSERT INTO u (a) VALUES (1, 2)", "Inserted row has wrong column count; Has 2, expected 1 at [1:26]"),
        ("INSERT INTO u SELECT 1", "Inserted row has wrong column count; Has 1, expected 2 at [1:15]"),
        (
            "INSERT INTO u (v) VALUES (1)",
            "Value has type INT64 which cannot be inserted into column v, which has type STRING at [1:27]",
        ),
        (
            "INSERT INTO u (a, v) SELECT v, v FROM u",
            "Query column 1 has type STRING which cannot be inserted into column a, which has type INT64 at [1:22]",
        ),
        ("INSERT INTO u (zz) VALUES (1)", "Column zz is not present in table p.d.u at [1:16]"),
        ("INSERT INTO u (a, A) VALUES (1, 2)", "INSERT has columns with duplicate name: A at [1:19]"),
        (
            "MERGE t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT ROW",
            "Inserted row has wrong column count; Has 2, expected 7 at [1:52]",
        ),
        (
            "MERGE u USING t ON t.a = u.a WHEN MATCHED THEN UPDATE SET a = 1, A = 2",
            "Update item A assigned more than once at [1:66]",
        ),
        ("CREATE TABLE n AS SELECT 1", "CREATE TABLE columns must be named, but column 1 has no name at [1:14]"),
        ("CREATE TABLE n AS SELECT 1 AS a, 2 AS A", "CREATE TABLE has columns with duplicate name A at [1:14]"),
        ("ALTER TABLE u ADD COLUMN a INT64", "Column already exists: a at [1:26]"),
        ("ALTER TABLE u DROP COLUMN zz", "Column not found: zz at [1:27]"),
    ]);
}

#[test]
fn partition_filters_are_demanded() {
    let text = "Cannot query over table 'p.d.games' without a filter over column(s) 'game_date' that can be used for \
                partition elimination";
    check(&[
        ("SELECT points FROM games", text),
        ("SELECT points FROM games WHERE points > 1", text),
        ("SELECT points FROM games WHERE game_date = '2024-01-01' OR points > 1", text),
        ("DELETE FROM games WHERE points > 1", text),
        ("MERGE games USING u ON games.points = u.a WHEN MATCHED THEN DELETE", text),
    ]);
    for sql in [
        "SELECT points FROM games WHERE game_date >= '2024-01-01' AND points > 1",
        "SELECT points FROM games WHERE game_date BETWEEN '2024-01-01' AND '2024-02-01'",
        "SELECT points FROM games WHERE game_date IN ('2024-01-01', '2024-02-01')",
        "SELECT points FROM (SELECT * FROM games) WHERE game_date IS NOT NULL",
        "WITH g AS (SELECT * FROM games WHERE game_date > '2024-01-01') SELECT points FROM g",
    ] {
        assert_eq!(world().say(sql), Vec::<String>::new(), "{sql}");
    }
}
