//! Whole queries over small tables written out: joins, grouping, aggregates and their modifiers, set operations,
//! subqueries. Rows are compared as texts, in their texts' order.

use super::Generator;

/// Columns of every table: name, type, values.
const COLUMNS: [(char, &str, &[&str]); 6] = [
    ('i', "INT64", &["0", "1", "2", "-1", "3", "NULL", "7", "9223372036854775807", "2", "1"]),
    ('s', "STRING", &["'a'", "'b'", "''", "NULL", "'ab'", "'ä'", "'B'"]),
    (
        'f',
        "FLOAT64",
        &[
            "0.0",
            "1.5",
            "-2.5",
            "1e10",
            "NULL",
            "CAST('nan' AS FLOAT64)",
            "CAST('inf' AS FLOAT64)",
            "0.1",
            "1.0",
            "-0.0",
        ],
    ),
    ('b', "BOOL", &["TRUE", "FALSE", "NULL"]),
    ('d', "DATE", &["DATE '2020-01-31'", "DATE '2019-12-30'", "NULL", "DATE '2024-02-29'"]),
    ('n', "NUMERIC", &["NUMERIC '1.5'", "NUMERIC '-0.000000001'", "NULL", "NUMERIC '3'", "NUMERIC '1.50'"]),
];

/// `{i}` is an expression over the tables at hand; `{$}` a table of its own, called `z`.
fn templates(column: char) -> &'static [&'static str] {
    match column {
        'i' => &[
            "MOD({i}, 5)",
            "LENGTH({s})",
            "IF({b}, {i}, {i})",
            "COALESCE({i}, {i})",
            "SAFE_ADD({i}, {i})",
            "EXTRACT(YEAR FROM {d})",
            "CASE {s} WHEN {s} THEN {i} WHEN {s} THEN 5 ELSE {i} END",
            "NULLIF({i}, {i})",
            "(SELECT MAX(z.i) FROM {$} WHERE z.s = {s})",
            "(SELECT COUNT(*) FROM {$} WHERE z.i < {i})",
        ],
        's' => &[
            "CONCAT({s}, {s})",
            "UPPER({s})",
            "CAST({i} AS STRING)",
            "CAST({f} AS STRING)",
            "IFNULL({s}, {s})",
            "CAST({n} AS STRING)",
            "SUBSTR({s}, 2)",
            "FORMAT('%t', {b})",
        ],
        'f' => &[
            "({f} * 2)",
            "({f} + {f})",
            "CAST({i} AS FLOAT64)",
            "IEEE_DIVIDE({f}, {f})",
            "GREATEST({f}, {f})",
            "LEAST({f}, {f})",
            "ABS({f})",
        ],
        'b' => &[
            "({i} = {i})",
            "({i} != {i})",
            "({i} < {i})",
            "({f} = {f})",
            "({f} >= {f})",
            "({s} < {s})",
            "({b} AND {b})",
            "({b} OR {b})",
            "(NOT {b})",
            "({s} IS NULL)",
            "({f} IS NULL)",
            "({i} IN ({i}, {i}))",
            "({s} NOT IN ({s}, {s}))",
            "({i} BETWEEN {i} AND {i})",
            "({b} IS NOT TRUE)",
            "({s} LIKE '%b%')",
            "({n} < {i})",
            "({i} = {f})",
            "({i} IN (SELECT z.i FROM {$}))",
            "({i} NOT IN (SELECT z.i FROM {$} WHERE z.s = {s}))",
            "EXISTS(SELECT 1 FROM {$} WHERE z.i = {i})",
            "(STRUCT({i}, {s}) = STRUCT({i}, {s}))",
        ],
        'd' => &["DATE_ADD({d}, INTERVAL 1 MONTH)", "IFNULL({d}, {d})", "DATE_TRUNC({d}, WEEK)"],
        _ => &["({n} + 1)", "CAST({i} AS NUMERIC)", "ROUND({n}, 1)", "({n} * {n})"],
    }
}

/// `{?}` may be DISTINCT; `{*}` is an expression of any type; `{=}` repeats the text expression before it.
const AGGREGATES: &[&str] = &[
    "COUNT(*)",
    "COUNT({?}{*})",
    "SUM({?}MOD({i}, 100))",
    "SUM({?}{n})",
    "AVG({i} / 1e10)",
    "AVG({?}{n})",
    "MIN({*})",
    "MAX({*})",
    "MIN({f})",
    "MAX({f})",
    "STRING_AGG({?}{s}, '-' ORDER BY {=} DESC LIMIT 2)",
    "STRING_AGG({?}{s}, '-' ORDER BY {=})",
    "ARRAY_TO_STRING(ARRAY_AGG({?}{s} IGNORE NULLS ORDER BY {=}), ',', 'N')",
    "ARRAY_TO_STRING(ARRAY_AGG({s} ORDER BY {=} DESC LIMIT 3), ',', 'N')",
    "COUNTIF({?}{b})",
    "LOGICAL_AND({b})",
    "LOGICAL_OR({b})",
    "BIT_AND({i})",
    "BIT_OR({?}{i})",
    "BIT_XOR({?}{i})",
    "ROUND(VAR_SAMP({?}{n}), 6)",
    "ARRAY_LENGTH(ARRAY_AGG({*}))",
    "MAX({i} HAVING MIN {i})",
    "SUM(MOD({i}, 10) HAVING MAX {d})",
    "COUNT({s} HAVING MAX {f})",
];

const JOINS: &[&str] = &["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];

const CONDITIONS: &[&str] = &[
    "t.i = u.i",
    "t.i = u.i AND t.s = u.s",
    "t.f = u.f",
    "t.n = u.i",
    "t.i = u.f",
    "t.i < u.i",
    "t.i = u.i AND {b}",
    "t.d = u.d OR t.i = u.i",
    "TRUE",
    "t.s = u.s AND t.i > 0",
];

const SET_OPERATIONS: &[&str] = &["UNION ALL", "UNION DISTINCT", "INTERSECT DISTINCT", "EXCEPT DISTINCT"];

impl Generator {
    /// A query whose one value is the array of its rows' texts.
    pub(super) fn query(&mut self) -> String {
        let (mut query, width, types) = self.core();
        let mut with = String::new();
        let last = width.saturating_sub(1);
        match self.below(10) {
            0..4 if !types.is_empty() => {
                let table = self.table("t");
                let items = self.items(&types, &["t"], 1);
                query = format!("({query}) {} (SELECT {items} FROM {table})", self.pick(SET_OPERATIONS));
            }
            4..6 => {
                with = format!("WITH w AS ({query}) ");
                query = "SELECT * FROM w WHERE c0 IS NOT NULL UNION ALL SELECT * FROM w".to_owned();
            }
            6 if !types.is_empty() => {
                let order: Vec<String> =
                    (0..width).map(|index| format!("c{index} {}", self.pick(&["", "DESC", "ASC"]))).collect();
                let (count, skip) = (self.below(5), self.below(3));
                query = format!("SELECT * FROM ({query}) ORDER BY {} LIMIT {count} OFFSET {skip}", order.join(", "));
            }
            7 => query = format!("SELECT * FROM ({query}) WHERE c{last} IS NOT NULL"),
            _ => {}
        }
        let columns: Vec<String> = (0..width).map(|index| format!("c{index}")).collect();
        format!("{with}SELECT ARRAY(SELECT FORMAT('%T', STRUCT({})) FROM ({query}) ORDER BY 1)", columns.join(", "))
    }

    /// A SELECT, how many columns it has, and their types where a set operation may follow.
    fn core(&mut self) -> (String, usize, Vec<char>) {
        let (from, tables) = self.from();
        let filter = if self.below(2) == 0 { format!(" WHERE {}", self.over('b', &tables, 2)) } else { String::new() };
        if self.below(20) < 9 {
            let types: Vec<char> = (0..1 + self.below(3)).map(|_| self.pick(&COLUMNS).0).collect();
            let distinct = self.pick(&["", "", "DISTINCT "]);
            let items = self.items(&types, &tables, 2);
            return (format!("SELECT {distinct}{items} FROM {from}{filter}"), types.len(), types);
        }
        let keys: Vec<String> = (0..self.below(3))
            .map(|_| {
                let column = self.pick(&['i', 's', 'b', 'd', 'n']);
                self.over(column, &tables, 1)
            })
            .collect();
        let aggregates: Vec<String> = (0..1 + self.below(2))
            .map(|_| {
                let template = self.pick(AGGREGATES);
                self.filled(template, &tables, 0)
            })
            .collect();
        let grouping = match keys.len() {
            0 => String::new(),
            count => format!(" GROUP BY {}", (1..=count).map(|at| at.to_string()).collect::<Vec<_>>().join(", ")),
        };
        let having = match self.below(6) {
            0 => " HAVING COUNT(*) > 1".to_owned(),
            1 => format!(" HAVING MAX({}) IS NOT NULL", self.over('i', &tables, 0)),
            _ => String::new(),
        };
        let width = keys.len() + aggregates.len();
        let items: Vec<String> =
            keys.iter().chain(&aggregates).enumerate().map(|(index, item)| format!("{item} AS c{index}")).collect();
        (format!("SELECT {} FROM {from}{filter}{grouping}{having}", items.join(", ")), width, Vec::new())
    }

    fn items(&mut self, types: &[char], tables: &[&'static str], depth: usize) -> String {
        let items: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(index, column)| format!("{} AS c{index}", self.over(*column, tables, depth)))
            .collect();
        items.join(", ")
    }

    fn from(&mut self) -> (String, Vec<&'static str>) {
        let t = self.table("t");
        match self.below(20) {
            0..8 => (t, vec!["t"]),
            8..15 => {
                let (join, condition) = (self.pick(JOINS), self.pick(CONDITIONS));
                let condition = self.filled(condition, &["t", "u"], 1);
                (format!("{t} {join} {} ON {condition}", self.table("u")), vec!["t", "u"])
            }
            15..17 => {
                let (join, columns) = (self.pick(JOINS), self.pick(&["i", "s", "i, s", "d"]));
                (format!("{t} {join} {} USING ({columns})", self.table("u")), vec!["t", "u"])
            }
            17..19 => (format!("{t}, {}", self.table("u")), vec!["t", "u"]),
            _ => (format!("{t} CROSS JOIN UNNEST([t.i, 5]) AS q"), vec!["t"]),
        }
    }

    /// Rows written out; none at all now and then.
    fn table(&mut self, alias: &str) -> String {
        let count = self.below(6);
        let rows: Vec<String> = (0..count.max(1))
            .map(|_| {
                let cells: Vec<String> = COLUMNS
                    .iter()
                    .map(|(name, ty, values)| match self.pick(values) {
                        "NULL" => format!("CAST(NULL AS {ty}) AS {name}"),
                        value => format!("{value} AS {name}"),
                    })
                    .collect();
                format!("SELECT {}", cells.join(", "))
            })
            .collect();
        format!("({}{}) AS {alias}", rows.join(" UNION ALL "), if count == 0 { " LIMIT 0" } else { "" })
    }

    /// An expression of a column's type over the tables.
    fn over(&mut self, column: char, tables: &[&'static str], depth: usize) -> String {
        if depth == 0 || self.below(10) < 3 {
            let Some((_, ty, values)) = COLUMNS.iter().find(|(name, ..)| *name == column) else {
                return "NULL".to_owned();
            };
            return match self.below(5) {
                0 => match self.pick(values) {
                    "NULL" => format!("CAST(NULL AS {ty})"),
                    value => value.to_owned(),
                },
                _ => format!("{}.{column}", self.pick(tables)),
            };
        }
        let template = self.pick(templates(column));
        self.filled(template, tables, depth - 1)
    }

    fn filled(&mut self, template: &str, tables: &[&'static str], depth: usize) -> String {
        let (mut out, mut text) = (String::new(), String::new());
        let mut rest = template;
        while let Some((before, hole)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = hole.split_once('}').unwrap_or((hole, ""));
            match name {
                "?" => out.push_str(self.pick(&["", "", "DISTINCT "])),
                "=" => out.push_str(&text),
                "$" => out.push_str(&self.table("z")),
                _ => {
                    let column = match name {
                        "*" => self.pick(&COLUMNS).0,
                        _ => name.chars().next().unwrap_or('i'),
                    };
                    text = self.over(column, tables, depth);
                    out.push_str(&text);
                }
            }
            rest = after;
        }
        out + rest
    }
}
