//! GoogleSQL's keywords: the reserved ones, which cannot name things without backticks, and the rest.
//!
//! Source: the reserved keywords in GoogleSQL's lexical reference; the others are words that the grammar
//! mentions and that error texts therefore call keywords.

macro_rules! keywords {
    ($($name:ident $text:literal),* $(,)?) => {
        /// A word of the grammar; `None` is any other identifier.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u16)]
        pub enum Kw { None, $($name),* }

        /// Sorted by text.
        const TABLE: &[(&str, Kw)] = &[$(($text, Kw::$name)),*];

        impl Kw {
            /// Upper case, as error texts spell it; empty for `None`.
            pub fn text(self) -> &'static str {
                match self { Kw::None => "", $(Kw::$name => $text),* }
            }
        }
    };
}

keywords! {
    Abort "ABORT", Access "ACCESS", Action "ACTION", Add "ADD", Aggregate "AGGREGATE", All "ALL", Alter "ALTER",
    Analyze "ANALYZE", And "AND", Any "ANY", Array "ARRAY", As "AS", Asc "ASC", Assert "ASSERT",
    AssertRowsModified "ASSERT_ROWS_MODIFIED", At "AT", Batch "BATCH", Begin "BEGIN", Between "BETWEEN",
    BigDecimal "BIGDECIMAL", BigNumeric "BIGNUMERIC", Break "BREAK", By "BY", Call "CALL", Cascade "CASCADE",
    Case "CASE", Cast "CAST", Check "CHECK", Clone "CLONE", Cluster "CLUSTER", Collate "COLLATE", Column "COLUMN",
    Columns "COLUMNS", Commit "COMMIT", Connection "CONNECTION", Constant "CONSTANT", Constraint "CONSTRAINT",
    Contains "CONTAINS", Continue "CONTINUE", Copy "COPY", Corresponding "CORRESPONDING", Create "CREATE",
    Cross "CROSS", Cube "CUBE", Current "CURRENT", Cycle "CYCLE", Data "DATA", Database "DATABASE", Date "DATE",
    Datetime "DATETIME", Decimal "DECIMAL", Declare "DECLARE", Default "DEFAULT", Define "DEFINE", Delete "DELETE",
    Desc "DESC", Describe "DESCRIBE", Descriptor "DESCRIPTOR", Deterministic "DETERMINISTIC", Distinct "DISTINCT",
    Do "DO", Drop "DROP", Else "ELSE", ElseIf "ELSEIF", End "END", Enforced "ENFORCED", Enum "ENUM", Error "ERROR",
    Escape "ESCAPE", Except "EXCEPT", Exception "EXCEPTION", Exclude "EXCLUDE", Execute "EXECUTE", Exists "EXISTS",
    Explain "EXPLAIN", Export "EXPORT", Extend "EXTEND", External "EXTERNAL", Extract "EXTRACT", False "FALSE",
    Fetch "FETCH", Files "FILES", Filter "FILTER", First "FIRST", Following "FOLLOWING", For "FOR", Foreign "FOREIGN",
    Format "FORMAT", From "FROM", Full "FULL", Function "FUNCTION", Generated "GENERATED", Grant "GRANT",
    Group "GROUP", Grouping "GROUPING", Groups "GROUPS", Hash "HASH", Having "HAVING", Hidden "HIDDEN", If "IF",
    Ignore "IGNORE", Immediate "IMMEDIATE", Import "IMPORT", In "IN", Include "INCLUDE", Index "INDEX", Inner "INNER",
    Inout "INOUT", Insert "INSERT", Intersect "INTERSECT", Interval "INTERVAL", Into "INTO", Is "IS",
    Isolation "ISOLATION", Iterate "ITERATE", Join "JOIN", Json "JSON", Key "KEY", Language "LANGUAGE", Last "LAST",
    Lateral "LATERAL", Leave "LEAVE", Left "LEFT", Like "LIKE", Limit "LIMIT", Load "LOAD", Lookup "LOOKUP",
    Loop "LOOP", Matched "MATCHED", Materialized "MATERIALIZED", Max "MAX", Merge "MERGE", Message "MESSAGE",
    Min "MIN", Model "MODEL", Module "MODULE", Natural "NATURAL", New "NEW", No "NO", Not "NOT", Null "NULL",
    Nulls "NULLS", Numeric "NUMERIC", Of "OF", Offset "OFFSET", On "ON", Only "ONLY", Options "OPTIONS", Or "OR",
    Order "ORDER", Out "OUT", Outer "OUTER", Over "OVER", Overwrite "OVERWRITE", Partition "PARTITION",
    Partitions "PARTITIONS", Percent "PERCENT", Pivot "PIVOT", Policies "POLICIES", Policy "POLICY",
    Preceding "PRECEDING", Primary "PRIMARY", Privileges "PRIVILEGES", Procedure "PROCEDURE", Proto "PROTO",
    Qualify "QUALIFY", Raise "RAISE", Range "RANGE", Recursive "RECURSIVE", References "REFERENCES", Remote "REMOTE",
    Rename "RENAME", Repeat "REPEAT", Repeatable "REPEATABLE", Replace "REPLACE", Replica "REPLICA",
    Respect "RESPECT", Restrict "RESTRICT", Return "RETURN", Returns "RETURNS", Revoke "REVOKE", Right "RIGHT",
    Rollback "ROLLBACK", Rollup "ROLLUP", Row "ROW", Rows "ROWS", SafeCast "SAFE_CAST", Schema "SCHEMA",
    Search "SEARCH", Security "SECURITY", Select "SELECT", Set "SET", Sets "SETS", Show "SHOW", Snapshot "SNAPSHOT",
    Some "SOME", Source "SOURCE", Sql "SQL", Start "START", Stored "STORED", Storing "STORING", Strict "STRICT",
    Struct "STRUCT", System "SYSTEM", SystemTime "SYSTEM_TIME", Table "TABLE", Tables "TABLES",
    TableSample "TABLESAMPLE", Target "TARGET", Temp "TEMP", Temporary "TEMPORARY", Then "THEN", Time "TIME",
    Timestamp "TIMESTAMP", To "TO", Transaction "TRANSACTION", Transform "TRANSFORM", Treat "TREAT", True "TRUE",
    Truncate "TRUNCATE", Type "TYPE", Unbounded "UNBOUNDED", Undrop "UNDROP", Union "UNION", Unique "UNIQUE",
    Unknown "UNKNOWN", Unnest "UNNEST", Unpivot "UNPIVOT", Until "UNTIL", Update "UPDATE", Using "USING",
    Value "VALUE", Values "VALUES", Vector "VECTOR", View "VIEW", Views "VIEWS", When "WHEN", Where "WHERE",
    While "WHILE", Window "WINDOW", With "WITH", Within "WITHIN", Work "WORK", Write "WRITE", Zone "ZONE",
}

/// For each letter where its words begin in [`TABLE`], and behind Z its length.
const STARTS: [u8; 27] = {
    let mut starts = [0u8; 27];
    let mut letter = 0;
    let mut at = 0;
    while letter < 27 {
        while at < TABLE.len() && (TABLE[at].0.as_bytes()[0] - b'A') < letter {
            at += 1;
        }
        starts[letter as usize] = at as u8;
        letter += 1;
    }
    starts
};

impl Kw {
    /// The keyword that `word` is, whatever its case.
    pub fn find(word: &str) -> Kw {
        let mut upper = [0u8; 20];
        let Some(upper) = upper.get_mut(..word.len()) else {
            return Kw::None;
        };
        upper.copy_from_slice(word.as_bytes());
        upper.make_ascii_uppercase();
        // Words with the same first letter stand together.
        let letter = usize::from(upper.first().map_or(0, |first| first.wrapping_sub(b'A')));
        let (Some(from), Some(to)) = (STARTS.get(letter), STARTS.get(letter + 1)) else {
            return Kw::None;
        };
        let same = TABLE.get(usize::from(*from)..usize::from(*to)).unwrap_or_default();
        same.iter().find(|(text, _)| text.as_bytes() == upper).map_or(Kw::None, |entry| entry.1)
    }

    /// Cannot be an identifier unless in backticks.
    pub fn reserved(self) -> bool {
        use Kw::*;
        matches!(
            self,
            All | And
                | Any
                | Array
                | As
                | Asc
                | AssertRowsModified
                | At
                | Between
                | By
                | Case
                | Cast
                | Collate
                | Contains
                | Create
                | Cross
                | Cube
                | Current
                | Default
                | Define
                | Desc
                | Distinct
                | Else
                | End
                | Enum
                | Escape
                | Except
                | Exclude
                | Exists
                | Extract
                | False
                | Fetch
                | Following
                | For
                | From
                | Full
                | Group
                | Grouping
                | Groups
                | Hash
                | Having
                | If
                | Ignore
                | In
                | Inner
                | Intersect
                | Interval
                | Into
                | Is
                | Join
                | Lateral
                | Left
                | Like
                | Limit
                | Lookup
                | Merge
                | Natural
                | New
                | No
                | Not
                | Null
                | Nulls
                | Of
                | On
                | Or
                | Order
                | Outer
                | Over
                | Partition
                | Preceding
                | Proto
                | Qualify
                | Range
                | Recursive
                | Respect
                | Right
                | Rollup
                | Rows
                | Select
                | Set
                | Some
                | Struct
                | TableSample
                | Then
                | To
                | Treat
                | True
                | Unbounded
                | Union
                | Unnest
                | Using
                | When
                | Where
                | Window
                | With
                | Within
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_keyword_is_found() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0), "words of one letter stand together");
        for (text, keyword) in TABLE {
            assert_eq!(Kw::find(&text.to_lowercase()), *keyword);
            assert_eq!(keyword.text(), *text);
        }
        assert_eq!(Kw::find("foo"), Kw::None);
        assert_eq!(Kw::find("a_name_that_is_longer_than_any_keyword"), Kw::None);
    }

    #[test]
    fn reserved_words_are_told_from_others() {
        assert_eq!(TABLE.iter().filter(|(_, keyword)| keyword.reserved()).count(), 96);
        assert!(Kw::Select.reserved() && !Kw::Date.reserved() && !Kw::None.reserved());
    }
}
