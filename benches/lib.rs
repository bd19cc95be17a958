//! What the benches share: the pipeline's tables and its consolidation, as statements and rows.

use serde_json::{Value, json};

/// Columns of a staging table besides its key: as wide as the reference pipeline's 63.
const EXTRA_COLUMNS: usize = 58;
/// Rows that one worker stages.
pub const ROWS: usize = 25;

/// The REST schema of a staging table.
pub fn staging_fields() -> Vec<Value> {
    let mut fields = vec![
        json!({"name": "game_id", "type": "STRING"}),
        json!({"name": "player", "type": "STRING"}),
        json!({"name": "system", "type": "STRING"}),
        json!({"name": "line", "type": "FLOAT"}),
        json!({"name": "game_date", "type": "DATE"}),
    ];
    fields.extend((0..EXTRA_COLUMNS).map(|column| json!({"name": format!("c{column}"), "type": kind(column).0})));
    fields
}

/// The name of a staging table.
pub fn staging(table: usize) -> String {
    format!("staging_{table:03}")
}

/// REST and SQL names of a column's type.
fn kind(column: usize) -> (&'static str, &'static str) {
    [("STRING", "STRING"), ("FLOAT", "FLOAT64"), ("INTEGER", "INT64"), ("BOOLEAN", "BOOL"), ("NUMERIC", "NUMERIC")]
        [column % 5]
}

/// The columns of `main`, as DDL has them.
pub fn declarations() -> String {
    let extra: Vec<String> = (0..EXTRA_COLUMNS).map(|column| format!("c{column} {}", kind(column).1)).collect();
    format!("game_id STRING, player STRING, system STRING, line FLOAT64, game_date DATE, {}", extra.join(", "))
}

/// A row of a staging table with a business key of its own.
pub fn row_json(table: usize, row: usize) -> Value {
    let mut made = json!({
        "game_id": format!("game_{}", table % 8),
        "player": format!("player-{table}"),
        "system": format!("system_{}", row / 5),
        "line": if row % 5 == 4 { Value::Null } else { json!(10.5 + (row % 5) as f64) },
        "game_date": "2026-01-01",
    });
    for column in 0..EXTRA_COLUMNS {
        made[format!("c{column}")] = match column % 5 {
            0 => json!(format!("text {row}")),
            1 => json!(row as f64 + 0.25),
            2 => json!(row),
            3 => json!(row.is_multiple_of(2)),
            _ => json!("1.5"),
        };
    }
    made
}

/// The consolidation of `count` staging tables: one MERGE of their UNION ALL, the newest row a key.
pub fn consolidation(count: usize) -> String {
    let union: Vec<String> = (0..count).map(|table| format!("SELECT * FROM d.{}", staging(table))).collect();
    format!(
        "MERGE d.main T USING (
           SELECT * EXCEPT (rank) FROM (
             SELECT *, ROW_NUMBER() OVER (PARTITION BY game_id, player, system, CAST(COALESCE(line, -1) AS INT64) ORDER BY c2 DESC) AS rank
             FROM ({})) WHERE rank = 1) S
         ON T.game_id = S.game_id AND T.player = S.player AND T.system = S.system
           AND COALESCE(T.line, -1) = COALESCE(S.line, -1) AND T.game_date = '2026-01-01'
         WHEN MATCHED THEN UPDATE SET c0 = S.c0, c1 = S.c1
         WHEN NOT MATCHED THEN INSERT ROW",
        union.join(" UNION ALL ")
    )
}

/// As [`consolidation`], with every column named and keys that are whole numbers before the cast: for
/// engines that cannot tell the columns by themselves or that round halves to even.
pub fn merge_statement(count: usize) -> String {
    let names: Vec<String> =
        staging_fields().iter().filter_map(|field| Some(field["name"].as_str()?.to_owned())).collect();
    let list = names.join(", ");
    let union: Vec<String> = (0..count).map(|table| format!("SELECT {list} FROM d.{}", staging(table))).collect();
    let source = |name: &String| format!("S.{name}");
    let set: Vec<String> = names.iter().skip(5).map(|name| format!("{name} = S.{name}")).collect();
    format!(
        "MERGE d.main AS T USING (
           SELECT {list} FROM (
             SELECT *, ROW_NUMBER() OVER (PARTITION BY game_id, player, system, CAST(COALESCE(line, -1) * 2 AS INT64) ORDER BY c2 DESC) AS place
             FROM ({})) WHERE place = 1) AS S
         ON T.game_id = S.game_id AND T.player = S.player AND T.system = S.system
           AND COALESCE(T.line, -1) = COALESCE(S.line, -1) AND T.game_date = '2026-01-01'
         WHEN MATCHED THEN UPDATE SET {}
         WHEN NOT MATCHED THEN INSERT ({list}) VALUES ({})",
        union.join(" UNION ALL "),
        set.join(", "),
        names.iter().map(source).collect::<Vec<_>>().join(", "),
    )
}
