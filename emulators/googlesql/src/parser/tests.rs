//! Tests of the parser as a whole: precedence, error texts, depth, and that no text makes it panic.

use proptest::prelude::*;

use super::*;
use crate::ast::{ExprKind, InList, QueryBody, SelectItem, StatementKind};

/// An expression with parentheses around every operator.
pub(super) fn shape(expr: &Expr) -> String {
    let list = |items: &[Expr], by: &str| items.iter().map(shape).collect::<Vec<_>>().join(by);
    match &expr.kind {
        ExprKind::Int(text) | ExprKind::Float(text) => text.clone(),
        ExprKind::String(text) => format!("'{text}'"),
        ExprKind::Name(name) => name.name.clone(),
        ExprKind::Field { expr, field } => format!("{}.{}", shape(expr), field.name),
        ExprKind::Subscript { expr, index } => format!("{}[{}]", shape(expr), shape(index)),
        ExprKind::Unary { op, expr } => format!("({op:?} {})", shape(expr)),
        ExprKind::Binary { op, left, right, .. } => format!("({} {op:?} {})", shape(left), shape(right)),
        ExprKind::And(items) => format!("({})", list(items, " And ")),
        ExprKind::Or(items) => format!("({})", list(items, " Or ")),
        ExprKind::Is { expr, what, negated } => {
            format!("({} Is{} {what:?})", shape(expr), if *negated { "Not" } else { "" })
        }
        ExprKind::Between { expr, low, high, .. } => {
            format!("({} Between {} {})", shape(expr), shape(low), shape(high))
        }
        ExprKind::In { expr, list: InList::Exprs(items), negated } => {
            format!("({} {}In [{}])", shape(expr), if *negated { "Not" } else { "" }, list(items, ", "))
        }
        ExprKind::Like { expr, pattern, .. } => format!("({} Like {})", shape(expr), shape(pattern)),
        ExprKind::Parenthesized(inner) => shape(inner),
        ExprKind::Tuple(items) => format!("<{}>", list(items, ", ")),
        ExprKind::Call(call) => {
            let name = call.name.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".");
            format!("{name}({})", list(&call.args, ", "))
        }
        ExprKind::ScalarSubquery(_) => "{query}".to_owned(),
        other => format!("{other:?}"),
    }
}

pub(super) fn expr_shape(text: &str) -> String {
    shape(&parse_expression(text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(text))))
}

fn fail(text: &str) -> String {
    match parse_script(text) {
        Ok(statements) => panic!("{text} parsed: {statements:?}"),
        Err(error) => error.locate(text).to_string(),
    }
}

fn ok(text: &str) -> Vec<Statement> {
    parse_script(text).unwrap_or_else(|error| panic!("{text}: {}", error.locate(text)))
}

#[test]
fn operators_bind_as_documented() {
    assert_eq!(expr_shape("1 + 2 * 3"), "(1 Add (2 Multiply 3))");
    assert_eq!(expr_shape("a || b * c"), "((a Concat b) Multiply c)");
    assert_eq!(expr_shape("1 - 2 - 3"), "((1 Subtract 2) Subtract 3)");
    assert_eq!(expr_shape("a | b ^ c & d << e + f"), "(a BitOr (b BitXor (c BitAnd (d ShiftLeft (e Add f)))))");
    assert_eq!(expr_shape("a >> 1 > b"), "((a ShiftRight 1) Greater b)");
    assert_eq!(expr_shape("NOT a = b AND c OR d"), "(((Not (a Equal b)) And c) Or d)");
    assert_eq!(expr_shape("a = NOT b"), "(a Equal (Not b))");
    assert_eq!(expr_shape("-a.b[0] + ~c"), "((Minus a.b[0]) Add (BitNot c))");
    assert_eq!(expr_shape("- -1"), "(Minus (Minus 1))");
    assert_eq!(expr_shape("a BETWEEN 1 AND 2 AND b"), "((a Between 1 2) And b)");
    assert_eq!(expr_shape("a NOT IN (1, 2) OR b"), "((a NotIn [1, 2]) Or b)");
    assert_eq!(expr_shape("a IS NOT NULL"), "(a IsNot Null)");
    assert_eq!(expr_shape("a LIKE b || '%'"), "(a Like (b Concat '%'))");
    assert_eq!(expr_shape("(a, b) = (1, 2)"), "(<a, b> Equal <1, 2>)");
    assert_eq!(expr_shape("((SELECT 1) + 1)"), "({query} Add 1)");
    assert_eq!(expr_shape("((SELECT 1) UNION ALL (SELECT 2))"), "{query}");
    assert_eq!(expr_shape("x.safe.f(1).g(2)"), "g(x.safe.f(1), 2)");
    assert_eq!(expr_shape("'a' 'b'"), "'ab'");
}

#[test]
fn comparisons_do_not_chain() {
    assert_eq!(fail("SELECT 1 < 2 < 3"), "Syntax error: Expected end of input but got \"<\" at [1:14]");
    assert_eq!(fail("SELECT a IS NULL IS NULL"), "Syntax error: Expected end of input but got keyword IS at [1:18]");
}

#[test]
fn syntax_errors_read_like_googlesql() {
    assert_eq!(fail("SELECT"), "Syntax error: Unexpected end of script at [1:7]");
    assert_eq!(fail("SELEC 1"), "Syntax error: Unexpected identifier \"SELEC\" at [1:1]");
    assert_eq!(fail("SELECT * FORM t"), "Syntax error: Expected end of input but got identifier \"FORM\" at [1:10]");
    assert_eq!(fail("SELECT 1 AS by"), "Syntax error: Unexpected keyword BY at [1:13]");
    assert_eq!(fail("SELECT (1 + 2 AS x"), "Syntax error: Expected \",\" but got keyword AS at [1:15]");
    assert_eq!(fail("SELECT (1 + 2"), "Syntax error: Expected \")\" but got end of script at [1:14]");
    assert_eq!(fail("SELECT FROM t"), "Syntax error: SELECT list must not be empty at [1:8]");
    assert_eq!(fail("SELECT a FROM t WHERE"), "Syntax error: Unexpected end of script at [1:22]");
    assert_eq!(fail("SELECT x FROM t WHERE a IN (1 2)"), {
        "Syntax error: Expected \")\" or \",\" but got integer literal \"2\" at [1:31]"
    });
    assert_eq!(fail("SELECT 'abc"), "Syntax error: Unclosed string literal at [1:8]");
    assert_eq!(fail("SELECT 1 'abc"), "Syntax error: Unclosed string literal at [1:10]");
    assert_eq!(fail("SELECT 'a''b'"), {
        "Syntax error: concatenated string literals must be separated by whitespace or comments at [1:11]"
    });
    assert_eq!(fail("SELECT \"a\\d\""), "Syntax error: Illegal escape sequence: \\d at [1:10]");
    assert_eq!(fail("SELECT * FROM \"t\""), "Syntax error: Unexpected string literal \"t\" at [1:15]");
    assert_eq!(fail("SELECT 1;;"), "Syntax error: Unexpected \";\" at [1:10]");
    assert_eq!(fail(""), "Syntax error: Unexpected end of script at [1:1]");
    assert_eq!(fail("SELECT 1 UNION SELECT 2"), {
        "Syntax error: Expected keyword ALL or keyword DISTINCT but got keyword SELECT at [1:16]"
    });
    assert!(fail("SELECT 1 UNION ALL SELECT 2 EXCEPT DISTINCT SELECT 3").contains("Different set operations"));
    assert_eq!(fail("CREATE TABLE t (a INT64, window INT64)"), {
        "Syntax error: Expected \")\" or \",\" but got keyword WINDOW at [1:26]"
    });
}

#[test]
fn clauses_that_break_off_are_refused() {
    assert_eq!(fail("CREATE TABLE t (a INT64 OPTIONS"), "Syntax error: Expected \"(\" but got end of script at [1:32]");
    assert_eq!(
        fail("CREATE VIEW v OPTIONS x AS SELECT 1"),
        "Syntax error: Expected \"(\" but got identifier \"x\" at [1:23]"
    );
}

#[test]
fn reserved_words_need_backticks_except_behind_dots() {
    ok("SELECT `select`, a.from, a.`b c` FROM t.order");
    ok("SELECT date, timestamp, value, offset, language, replace FROM t AS view");
    assert_eq!(fail("SELECT order FROM t"), "Syntax error: Unexpected keyword ORDER at [1:8]");
}

#[test]
fn positions_point_into_the_text() {
    let text = "SELECT 1 + foo(2) AS x FROM t";
    let [statement] = &ok(text)[..] else { panic!("one statement") };
    let StatementKind::Query(query) = &statement.kind else { panic!("a query") };
    let QueryBody::Select(select) = &query.body else { panic!("a select") };
    let SelectItem::Expr { expr, .. } = &select.items[0] else { panic!("an expression") };
    assert_eq!(&text[expr.pos as usize..expr.end as usize], "1 + foo(2)");
    assert_eq!(&text[statement.pos as usize..statement.end as usize], text);
}

#[test]
fn deep_texts_parse_on_a_small_stack_and_very_deep_ones_are_refused() {
    let forms: [(&str, &str, &str, &str); 8] = [
        ("SELECT ", "(", "1", ")"),
        ("SELECT ", "(SELECT ", "1", ")"),
        ("SELECT ", "f(", "1", ")"),
        ("SELECT ", "[", "1", "]"),
        ("SELECT ", "CASE WHEN a THEN ", "1", " END"),
        ("SELECT ", "- ", "1", ""),
        ("SELECT * FROM ", "(SELECT * FROM ", "t", ")"),
        ("", "BEGIN ", "SELECT 1;", " END;"),
    ];
    for (head, open, middle, close) in forms {
        let text = |levels: usize| format!("{head}{}{middle}{}", open.repeat(levels), close.repeat(levels));
        assert!(parse_script(&text(60)).is_ok(), "60 levels of {open}");
        let error = parse_script(&text(20_000)).expect_err(open);
        assert_eq!(error.kind, crate::error::ErrorKind::ResourcesExceeded, "{open}");
    }
    assert!(parse_script(&format!("SELECT {}1", "1 + ".repeat(900))).is_ok());
    assert!(parse_script(&format!("SELECT {}1", "1 + ".repeat(50_000))).is_err());
}

#[test]
fn long_flat_texts_stay_flat() {
    let branches = vec!["SELECT a, b FROM `p.d.t`"; 823].join(" UNION ALL ");
    assert!(parse(&branches).expect("a union").height < 10);
    let list = vec!["1"; 10_000].join(", ");
    assert!(parse(&format!("SELECT x IN ({list})")).expect("a list").height < 10);
}

/// One of each, to be broken at random.
const VALID: &[&str] = &[
    "SELECT a.b[OFFSET(1)] AS c, COUNT(DISTINCT x IGNORE NULLS) OVER (PARTITION BY y ORDER BY z ROWS 1 PRECEDING) FROM t",
    "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT * EXCEPT (x) REPLACE (1 AS y) FROM a",
    "SELECT * FROM a JOIN b JOIN c ON x ON y, UNNEST([1, 2]) AS u WITH OFFSET o, `p.d.t_*` FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
    "SELECT * FROM my-project-1.d.t PIVOT (SUM(x) AS s FOR q IN ('a' AS a, 'b')) QUALIFY TRUE WINDOW w AS (PARTITION BY a)",
    "FROM t |> WHERE a > 1 |> AGGREGATE SUM(x) AS s DESC GROUP BY y |> EXTEND 1 AS z |> SELECT * |> ORDER BY z |> LIMIT 3",
    "MERGE d.t USING (SELECT 1 AS k) s ON t.k = s.k WHEN MATCHED AND a THEN UPDATE SET x = 1 WHEN NOT MATCHED THEN INSERT ROW",
    "UPDATE t SET a.b = DEFAULT, (DELETE c WHERE TRUE) FROM s WHERE s.x = t.x ASSERT_ROWS_MODIFIED 1",
    "CREATE TABLE IF NOT EXISTS d.t (a STRUCT<b INT64 NOT NULL>, c STRING(3) DEFAULT 'x', PRIMARY KEY (a) NOT ENFORCED) PARTITION BY DATE(c) OPTIONS (x = [('a', 1)])",
    "CREATE TEMP FUNCTION f(x ANY TYPE) AS (x + 1); SELECT f(1), ARRAY_TRANSFORM([1], e -> e + 1), @p, ?, @@time_zone",
    "DECLARE x, y INT64 DEFAULT 1; l: LOOP IF x > 3 THEN LEAVE l; ELSEIF y THEN SET (x, y) = (1, 2); END IF; END LOOP l; EXECUTE IMMEDIATE 'a' INTO x USING 1 AS y",
    "BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN RAISE USING MESSAGE = @@error.message; END; FOR r IN (SELECT 1) DO CALL p(r); END FOR",
    "SELECT CAST(x AS NUMERIC(5, 2)), SAFE_CAST(a AS STRING FORMAT 'x' AT TIME ZONE 'UTC'), EXTRACT(WEEK(MONDAY) FROM d), INTERVAL 1 DAY, DATE '2020-01-01'",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS c INT64, ALTER COLUMN d SET DATA TYPE STRING; DROP VIEW IF EXISTS v; TRUNCATE TABLE t",
];

#[test]
fn the_seeds_of_the_mutations_are_valid() {
    for text in VALID {
        ok(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_gives_an_answer(text in "\\PC{0,60}|[-a-c0-9'\"`\\\\()\\[\\]<>=,.;*@?: \n]{0,80}") {
        let _ = parse_script(&text);
        let _ = parse_expression(&text);
        let _ = parse_type(&text);
    }

    #[test]
    fn tokens_in_any_order_give_an_answer(words in prop::collection::vec(0usize..120, 0..40)) {
        let pool: Vec<&str> = VALID.iter().flat_map(|text| text.split(' ')).collect();
        let text: Vec<&str> = words.iter().filter_map(|at| pool.get(at * pool.len() / 120).copied()).collect();
        let _ = parse_script(&text.join(" "));
    }

    #[test]
    fn broken_statements_give_an_answer(
        seed in 0..VALID.len(), from in 0usize..200, len in 0usize..12, insert in "[-a-z0-9'\"`()<>,.;*@ ]{0,4}"
    ) {
        let letters: Vec<char> = VALID[seed].chars().collect();
        let from = from.min(letters.len());
        let to = (from + len).min(letters.len());
        let text: String = letters[..from].iter().copied().chain(insert.chars()).chain(letters[to..].iter().copied()).collect();
        if let Err(error) = parse_script(&text) {
            prop_assert!(error.pos.is_some_and(|pos| pos as usize <= text.len()), "{text}: {error}");
        }
    }
}
