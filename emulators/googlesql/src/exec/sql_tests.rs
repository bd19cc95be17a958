//! Statements from text to rows: what operators do, said in SQL.

use crate::testing::{MemoryCatalog, MemoryTable};
use crate::types::Type;
use crate::value::Value;

fn int(value: impl Into<Option<i64>>) -> Value {
    value.into().map_or(Value::Null, Value::Int64)
}

fn catalog() -> MemoryCatalog {
    let scores = [
        ("ann", "a", Some(3)),
        ("bob", "a", Some(1)),
        ("cid", "b", None),
        ("dan", "b", Some(5)),
        ("eve", "b", Some(5)),
        ("fay", "c", None),
    ];
    let rows = scores.iter().map(|(name, team, score)| vec![Value::string(name), Value::string(team), int(*score)]);
    let columns = [("name", Type::String), ("team", Type::String), ("score", Type::Int64)];
    let teams = [("a", 1), ("b", 2), ("d", 4)];
    let teams = teams.iter().map(|(team, rank)| vec![Value::string(team), int(*rank)]).collect();
    MemoryCatalog::default().with(MemoryTable::new("scores", &columns, rows.collect())).with(MemoryTable::new(
        "teams",
        &[("team", Type::String), ("rank", Type::Int64)],
        teams,
    ))
}

#[track_caller]
fn gives(sql: &str, expected: &[&str]) {
    assert_eq!(catalog().rows(sql), expected, "{sql}");
}

#[test]
fn aggregates_and_their_modifiers() {
    gives(
        "SELECT team, COUNT(*), COUNT(score), SUM(score), MIN(name), MAX(score), AVG(score) FROM d.scores GROUP BY team ORDER BY team",
        &["a, 2, 2, 4, ann, 3, 2", "b, 3, 2, 10, cid, 5, 5", "c, 1, 0, NULL, fay, NULL, NULL"],
    );
    gives("SELECT COUNT(*), SUM(score), MAX(name) FROM d.scores WHERE FALSE", &["0, NULL, NULL"]);
    gives("SELECT team, COUNT(*) FROM d.scores WHERE FALSE GROUP BY team", &[]);
    gives("SELECT COUNT(DISTINCT score), COUNT(DISTINCT team) FROM d.scores", &["3, 3"]);
    gives("SELECT STRING_AGG(name, '/' ORDER BY score DESC, name LIMIT 3) FROM d.scores", &["dan/eve/ann"]);
    gives("SELECT ARRAY_AGG(score IGNORE NULLS ORDER BY score) FROM d.scores", &["[1, 3, 5, 5]"]);
    gives("SELECT ARRAY_AGG(DISTINCT score IGNORE NULLS ORDER BY score DESC) FROM d.scores", &["[5, 3, 1]"]);
    gives(
        "SELECT ANY_VALUE(name HAVING MAX score) IN ('dan', 'eve'), MIN(name HAVING MIN score) FROM d.scores",
        &["true, bob"],
    );
    gives("SELECT COUNTIF(score > 2), LOGICAL_AND(score > 0) FROM d.scores", &["3, true"]);
    gives("SELECT SUM(x) FROM UNNEST([9223372036854775807, 1]) x", &["Error in SUM aggregation: integer overflow"]);
}

#[test]
fn groups_follow_grouping_equality() {
    gives(
        "SELECT x, COUNT(*) FROM UNNEST([0.0, -0.0, CAST('nan' AS FLOAT64), CAST('nan' AS FLOAT64), NULL, NULL]) x GROUP BY x ORDER BY x",
        &["NULL, 2", "nan, 2", "0, 2"],
    );
    gives(
        "SELECT s, COUNT(*) FROM (SELECT STRUCT(1 AS a, 'a' AS b) s UNION ALL SELECT (1, 'a') UNION ALL SELECT (2, 'a')) GROUP BY s ORDER BY s.a",
        &["{1, a}, 2", "{2, a}, 1"],
    );
}

#[test]
fn grouping_sets_are_one_pass_each() {
    gives(
        "SELECT team, score, COUNT(*), GROUPING(team), GROUPING(score) FROM d.scores WHERE team != 'b' GROUP BY ROLLUP(team, score) ORDER BY 4, 5, 1, 2",
        &[
            "a, 1, 1, 0, 0",
            "a, 3, 1, 0, 0",
            "c, NULL, 1, 0, 0",
            "a, NULL, 2, 0, 1",
            "c, NULL, 1, 0, 1",
            "NULL, NULL, 3, 1, 1",
        ],
    );
    gives("SELECT COUNT(*) FROM d.scores WHERE FALSE GROUP BY GROUPING SETS (())", &["0"]);
}

#[test]
fn windows_number_and_look_around() {
    gives(
        "SELECT name, ROW_NUMBER() OVER w, RANK() OVER w, DENSE_RANK() OVER w FROM d.scores WINDOW w AS (ORDER BY score DESC) ORDER BY score DESC, name",
        &["dan, 1, 1, 1", "eve, 2, 1, 1", "ann, 3, 3, 2", "bob, 4, 4, 3", "cid, 5, 5, 4", "fay, 6, 5, 4"],
    );
    gives(
        "SELECT name, LAG(name) OVER w, LEAD(name, 2, '-') OVER w, FIRST_VALUE(name) OVER w, LAST_VALUE(name) OVER w FROM d.scores WHERE team = 'b' WINDOW w AS (ORDER BY name) ORDER BY 1",
        &["cid, NULL, eve, cid, cid", "dan, cid, -, cid, dan", "eve, dan, -, cid, eve"],
    );
    gives(
        "SELECT name, NTILE(4) OVER (ORDER BY name), PERCENT_RANK() OVER (ORDER BY team), CUME_DIST() OVER (ORDER BY team) FROM d.scores ORDER BY 1",
        &[
            "ann, 1, 0, 0.33333333333333331",
            "bob, 1, 0, 0.33333333333333331",
            "cid, 2, 0.4, 0.83333333333333337",
            "dan, 2, 0.4, 0.83333333333333337",
            "eve, 3, 0.4, 0.83333333333333337",
            "fay, 4, 1, 1",
        ],
    );
    gives(
        "SELECT LAST_VALUE(score IGNORE NULLS) OVER (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM d.scores ORDER BY name",
        &["3", "1", "1", "5", "5", "5"],
    );
    gives(
        "SELECT NTH_VALUE(name, 2) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM d.scores ORDER BY name",
        &["bob", "bob", "cid", "dan", "eve", "fay"],
    );
}

#[test]
fn windows_aggregate_over_frames() {
    gives(
        "SELECT name, SUM(score) OVER (ORDER BY score), SUM(score) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING), COUNT(*) OVER (PARTITION BY team) FROM d.scores ORDER BY name",
        &["ann, 4, 4, 2", "bob, 1, 4, 2", "cid, NULL, 6, 3", "dan, 14, 10, 3", "eve, 14, 10, 3", "fay, NULL, 5, 1"],
    );
    gives(
        "SELECT name, STRING_AGG(name) OVER (ORDER BY score RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) FROM d.scores WHERE score IS NOT NULL ORDER BY score, name",
        &["bob, bob", "ann, bob,ann", "dan, ann,dan,eve", "eve, ann,dan,eve"],
    );
    gives(
        "SELECT MAX(score) OVER (ORDER BY name ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING), MIN(name) OVER (ORDER BY name DESC) FROM d.scores ORDER BY name",
        &["5, ann", "5, bob", "5, cid", "NULL, dan", "NULL, eve", "NULL, fay"],
    );
    gives(
        "SELECT MAX(name) OVER w, MIN(score / 2) OVER w, LOGICAL_AND(score > 1) OVER w FROM d.scores WINDOW w AS (ORDER BY name) ORDER BY name",
        &[
            "ann, 1.5, true",
            "bob, 0.5, false",
            "cid, 0.5, false",
            "dan, 0.5, false",
            "eve, 0.5, false",
            "fay, 0.5, false",
        ],
    );
    gives(
        "SELECT DISTINCT PERCENTILE_CONT(score, 0.5) OVER (), PERCENTILE_DISC(score, 0.5) OVER (), PERCENTILE_CONT(score, 0.5 RESPECT NULLS) OVER () FROM d.scores",
        &["4, 3, 2"],
    );
    gives(
        "SELECT name FROM d.scores WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY team ORDER BY score DESC, name) = 1 ORDER BY 1",
        &["ann", "dan", "fay"],
    );
}

#[test]
fn joins_of_every_kind() {
    gives(
        "SELECT name, rank FROM d.scores s JOIN d.teams t ON s.team = t.team AND rank > 1 ORDER BY 1",
        &["cid, 2", "dan, 2", "eve, 2"],
    );
    gives(
        "SELECT s.team a, t.team b FROM (SELECT DISTINCT team FROM d.scores) s FULL JOIN d.teams t USING (team) ORDER BY t.team, s.team",
        &["c, NULL", "a, a", "b, b", "NULL, d"],
    );
    gives(
        "SELECT name, t.team FROM d.scores s LEFT JOIN d.teams t ON s.team = t.team AND score > 1 WHERE name < 'd' ORDER BY 1",
        &["ann, a", "bob, NULL", "cid, NULL"],
    );
    gives("SELECT COUNT(*) FROM d.scores, d.teams", &["18"]);
    gives("SELECT COUNT(*) FROM d.scores s, d.teams t WHERE s.team = t.team AND s.score > t.rank", &["3"]);
    gives(
        "SELECT a.name x, b.name y FROM d.scores a JOIN d.scores b ON a.score < b.score ORDER BY 1, 2",
        &["ann, dan", "ann, eve", "bob, ann", "bob, dan", "bob, eve"],
    );
}

#[test]
fn arrays_become_rows() {
    gives("SELECT x, o FROM UNNEST(['a', 'b']) x WITH OFFSET o ORDER BY o", &["a, 0", "b, 1"]);
    gives(
        "SELECT id, x FROM (SELECT 1 id, [10, 20] xs UNION ALL SELECT 2, [] UNION ALL SELECT 3, NULL) LEFT JOIN UNNEST(xs) x ORDER BY 1, 2",
        &["1, 10", "1, 20", "2, NULL", "3, NULL"],
    );
    gives(
        "SELECT id, x FROM (SELECT 1 id, [10, 20] xs UNION ALL SELECT 2, [30]), UNNEST(xs) x WHERE x > 10 ORDER BY 1",
        &["1, 20", "2, 30"],
    );
    gives(
        "SELECT ARRAY(SELECT x * 2 FROM UNNEST(xs) x WHERE x > 1 ORDER BY x DESC) FROM (SELECT [1, 2, 3] xs)",
        &["[6, 4]"],
    );
    gives("SELECT s.a, s.b FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')]) s ORDER BY 1", &["1, x", "2, y"]);
}

#[test]
fn subqueries_in_expressions() {
    gives(
        "SELECT name FROM d.scores WHERE team IN (SELECT team FROM d.teams WHERE rank = 2) ORDER BY 1",
        &["cid", "dan", "eve"],
    );
    gives("SELECT name FROM d.scores s WHERE NOT EXISTS (SELECT 1 FROM d.teams t WHERE t.team = s.team)", &["fay"]);
    gives(
        "SELECT name, (SELECT rank FROM d.teams t WHERE t.team = s.team) FROM d.scores s ORDER BY 1",
        &["ann, 1", "bob, 1", "cid, 2", "dan, 2", "eve, 2", "fay, NULL"],
    );
    gives("SELECT (SELECT name FROM d.scores)", &["Scalar subquery produced more than one element"]);
    gives(
        "SELECT 1 NOT IN (SELECT score FROM d.scores WHERE score > 2 OR score IS NULL), NULL IN (SELECT 1 FROM d.scores WHERE FALSE)",
        &["NULL, false"],
    );
    gives(
        "SELECT t.team, (SELECT COUNT(*) FROM d.scores s WHERE s.team = t.team AND s.score > (SELECT MIN(u.score) FROM d.scores u WHERE u.team = s.team)) FROM d.teams t ORDER BY 1",
        &["a, 1", "b, 0", "d, 0"],
    );
}

#[test]
fn many_correlated_runs_agree_with_a_join() {
    gives(
        "SELECT COUNT(*), SUM(n) FROM (SELECT (SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 100)) y WHERE MOD(y, 10) = MOD(x, 12)) n FROM UNNEST(GENERATE_ARRAY(1, 60)) x)",
        &["60, 500"],
    );
    gives(
        "SELECT COUNTIF(EXISTS (SELECT 1 FROM d.scores s WHERE s.score = x AND s.name > 'b')) FROM UNNEST(GENERATE_ARRAY(0, 20)) x",
        &["2"],
    );
}

#[test]
fn ctes_and_recursion() {
    gives(
        "WITH a AS (SELECT 1 x UNION ALL SELECT 2), b AS (SELECT x + 10 y FROM a) SELECT x, y FROM a, b ORDER BY 1, 2",
        &["1, 11", "1, 12", "2, 11", "2, 12"],
    );
    gives("WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT SUM(i) FROM n", &["15"]);
    gives(
        "WITH RECURSIVE n AS (SELECT 1 i UNION DISTINCT SELECT MOD(i + 1, 3) FROM n) SELECT i FROM n ORDER BY i",
        &["0", "1", "2"],
    );
}

#[test]
fn rows_are_ordered_and_cut() {
    gives("SELECT score FROM d.scores ORDER BY score DESC NULLS FIRST, name LIMIT 3 OFFSET 1", &["NULL", "5", "5"]);
    gives("SELECT DISTINCT score FROM d.scores ORDER BY score", &["NULL", "1", "3", "5"]);
    gives("(SELECT 1 UNION ALL SELECT 2) EXCEPT DISTINCT SELECT 1", &["2"]);
}

#[test]
fn branches_guard_what_follows_them() {
    gives("SELECT IF(x = 0, -1, DIV(10, x)) FROM UNNEST([0, 5]) x", &["-1", "2"]);
    gives("SELECT COALESCE(x, ERROR('never')) FROM UNNEST([1, 2]) x", &["1", "2"]);
    gives("SELECT x != 0 AND 10 / x > 1 FROM UNNEST([0, 5]) x", &["false", "true"]);
    gives("SELECT IFERROR(DIV(1, x), -1) FROM UNNEST([0, 1]) x", &["-1", "1"]);
    gives("SELECT SAFE_DIVIDE(1, 0), SAFE.DIV(1, 0), SAFE_CAST('x' AS INT64)", &["NULL, NULL, NULL"]);
    gives("SELECT CASE x WHEN 1 THEN 'one' WHEN 2 THEN 'two' END FROM UNNEST([2, 3, 1]) x", &["two", "NULL", "one"]);
}

#[test]
fn dml_counts_what_it_does() {
    let mut catalog = catalog();
    let mut run = |sql: &str| match catalog.change(sql) {
        Ok(stats) => format!("{}/{}/{}", stats.inserted, stats.updated, stats.deleted),
        Err(error) => error.to_string(),
    };
    assert_eq!(run("INSERT INTO d.teams (team) VALUES ('e'), ('f')"), "2/0/0");
    assert_eq!(run("UPDATE d.teams SET rank = 9 WHERE rank IS NULL"), "0/2/0");
    assert_eq!(
        run("UPDATE d.teams t SET rank = s.score FROM d.scores s WHERE s.team = t.team AND s.name = 'dan'"),
        "0/1/0"
    );
    assert_eq!(
        run("UPDATE d.teams t SET rank = s.score FROM d.scores s WHERE s.team = t.team"),
        "UPDATE/MERGE must match at most one source row for each target row"
    );
    assert_eq!(run("DELETE FROM d.teams WHERE team IN (SELECT team FROM d.teams WHERE rank = 9)"), "0/0/2");
    assert_eq!(
        run("MERGE d.teams t USING (SELECT team, COUNT(*) n FROM d.scores GROUP BY team) s ON t.team = s.team \
             WHEN MATCHED AND s.n > 2 THEN UPDATE SET rank = s.n WHEN MATCHED THEN DELETE \
             WHEN NOT MATCHED THEN INSERT ROW WHEN NOT MATCHED BY SOURCE THEN UPDATE SET rank = 0"),
        "1/2/1"
    );
    assert_eq!(catalog.rows("SELECT team, rank FROM d.teams ORDER BY 1"), ["b, 3", "c, 1", "d, 0"]);
    let mut run = |sql: &str| catalog.change(sql).map(|stats| stats.deleted);
    assert_eq!(run("TRUNCATE TABLE d.teams"), Ok(3));
    assert_eq!(catalog.rows("SELECT COUNT(*) FROM d.teams"), ["0"]);
}
