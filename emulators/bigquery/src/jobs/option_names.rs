//! Which OPTIONS each kind of object has, and their types.
//!
//! Origin: the option lists of the DDL reference; the texts are GoogleSQL's own. Of objects that are not here (functions,
//! procedures, exports, external files) any option is taken.

use scrimmage_googlesql::ast::{AlterAction, ObjectKind, OptionEntry, StatementKind};
use scrimmage_googlesql::plan::{Expr, ExprKind, Plan};
use scrimmage_googlesql::{SqlError, Type, Value};

/// What an option's value has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Text,
    Bool,
    Float,
    Int,
    Time,
    Interval,
    Array,
    Any,
}

impl Wanted {
    fn takes(self, ty: &Type) -> bool {
        match self {
            Wanted::Text => *ty == Type::String,
            Wanted::Bool => *ty == Type::Bool,
            Wanted::Float => matches!(ty, Type::Float64 | Type::Int64 | Type::Numeric | Type::BigNumeric),
            Wanted::Int => *ty == Type::Int64,
            Wanted::Time => matches!(ty, Type::Timestamp | Type::Date | Type::String),
            Wanted::Interval => matches!(ty, Type::Interval | Type::String),
            Wanted::Array => matches!(ty, Type::Array(_)),
            Wanted::Any => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Wanted::Text => "STRING",
            Wanted::Bool => "BOOL",
            Wanted::Float => "FLOAT64",
            Wanted::Int => "INT64",
            Wanted::Time => "TIMESTAMP",
            Wanted::Interval => "INTERVAL",
            Wanted::Array | Wanted::Any => "ARRAY<STRUCT<STRING, STRING>>",
        }
    }
}

type Options = &'static [(&'static str, Wanted)];

const TABLE: Options = &[
    ("expiration_timestamp", Wanted::Time),
    ("partition_expiration_days", Wanted::Float),
    ("require_partition_filter", Wanted::Bool),
    ("kms_key_name", Wanted::Text),
    ("friendly_name", Wanted::Text),
    ("description", Wanted::Text),
    ("labels", Wanted::Array),
    ("tags", Wanted::Array),
    ("default_rounding_mode", Wanted::Text),
    ("enable_change_history", Wanted::Bool),
    ("enable_fine_grained_mutations", Wanted::Bool),
    ("max_staleness", Wanted::Interval),
    ("storage_uri", Wanted::Text),
    ("file_format", Wanted::Text),
    ("table_format", Wanted::Text),
];

const VIEW: Options = &[
    ("expiration_timestamp", Wanted::Time),
    ("friendly_name", Wanted::Text),
    ("description", Wanted::Text),
    ("labels", Wanted::Array),
    ("tags", Wanted::Array),
    ("privacy_policy", Wanted::Any),
];

const MATERIALIZED_VIEW: Options = &[
    ("expiration_timestamp", Wanted::Time),
    ("friendly_name", Wanted::Text),
    ("description", Wanted::Text),
    ("labels", Wanted::Array),
    ("tags", Wanted::Array),
    ("kms_key_name", Wanted::Text),
    ("enable_refresh", Wanted::Bool),
    ("refresh_interval_minutes", Wanted::Float),
    ("max_staleness", Wanted::Interval),
    ("allow_non_incremental_definition", Wanted::Bool),
];

const SNAPSHOT: Options = &[
    ("expiration_timestamp", Wanted::Time),
    ("friendly_name", Wanted::Text),
    ("description", Wanted::Text),
    ("labels", Wanted::Array),
    ("tags", Wanted::Array),
];

const SCHEMA: Options = &[
    ("default_kms_key_name", Wanted::Text),
    ("default_partition_expiration_days", Wanted::Float),
    ("default_rounding_mode", Wanted::Text),
    ("default_table_expiration_days", Wanted::Float),
    ("description", Wanted::Text),
    ("failover_reservation", Wanted::Text),
    ("friendly_name", Wanted::Text),
    ("is_case_insensitive", Wanted::Bool),
    ("is_primary", Wanted::Bool),
    ("labels", Wanted::Array),
    ("location", Wanted::Text),
    ("max_time_travel_hours", Wanted::Int),
    ("primary_replica", Wanted::Text),
    ("storage_billing_model", Wanted::Text),
    ("tags", Wanted::Array),
];

fn altered(actions: &[AlterAction], known: Options) -> Vec<(&[OptionEntry], Options)> {
    let mut lists = Vec::new();
    for action in actions {
        if let AlterAction::SetOptions(entries) = action {
            lists.push((entries.as_slice(), known));
        }
    }
    lists
}

/// The lists of options that a statement has, with what they are about.
fn lists(statement: &StatementKind) -> Vec<(&[OptionEntry], Options)> {
    match statement {
        StatementKind::CreateTable(create) if !create.external => vec![(&create.options, TABLE)],
        StatementKind::CreateView(view) if view.materialized => vec![(&view.options, MATERIALIZED_VIEW)],
        StatementKind::CreateView(view) => vec![(&view.options, VIEW)],
        StatementKind::CreateSnapshot(snapshot) => vec![(&snapshot.options, SNAPSHOT)],
        StatementKind::CreateSchema { options, .. } => vec![(options, SCHEMA)],
        StatementKind::AlterTable { actions, .. } => altered(actions, TABLE),
        StatementKind::Alter { object: ObjectKind::View, actions, .. } => altered(actions, VIEW),
        StatementKind::Alter { object: ObjectKind::MaterializedView, actions, .. } => {
            altered(actions, MATERIALIZED_VIEW)
        }
        StatementKind::Alter { object: ObjectKind::Schema, actions, .. } => altered(actions, SCHEMA),
        _ => Vec::new(),
    }
}

/// Refuses options that nobody knows, and values of other types than the options'.
pub(super) fn check(plan: &Plan) -> Result<(), SqlError> {
    let Plan::Ddl(ddl) = plan else { return Ok(()) };
    for (entries, known) in lists(&ddl.statement.kind) {
        for entry in entries {
            let name = &entry.name.name;
            let Some((_, wanted)) = known.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)) else {
                return Err(SqlError::analysis(format!("Unknown option: {name}")).at(entry.name.pos));
            };
            let given = ddl.options.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            let Some((_, value)) = given.filter(|(_, value)| !is_null(value) && !wanted.takes(&value.ty)) else {
                continue;
            };
            return Err(SqlError::analysis(format!(
                "Option {name} value has type {} which cannot be coerced to expected type {}",
                value.ty,
                wanted.name()
            ))
            .at(entry.value.pos));
        }
    }
    Ok(())
}

/// NULL is of no type of its own.
fn is_null(value: &Expr) -> bool {
    matches!(&value.kind, ExprKind::Literal(Value::Null))
}
