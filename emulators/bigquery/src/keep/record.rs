//! What the log says: one record for all that changed together, as a list of changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_googlesql::catalog::{ArgumentDirection, Routine, RoutineArgument, RoutineKind, TablePath};
use serde_json::{Map, Value as Json};

use super::codec::{In, Out, Read};
use crate::engine::dataset::{RoutineEntry, TableKind};
use crate::engine::partition::{PartitionId, Partitioning, TimeUnit};
use crate::engine::policy::RowPolicy;
use crate::engine::store::DatasetPath;
use crate::engine::table::Shape;

/// The first byte of every record. A record of another version is refused whole.
pub const VERSION: u8 = 1;

/// One change. Tables' rows are in blobs: segments' rows as they were written, by number.
#[derive(Debug)]
pub enum Change {
    Dataset {
        path: DatasetPath,
        created: Timestamp,
        modified: Timestamp,
        metadata: Map<String, Json>,
    },
    /// With everything in it.
    DatasetGone(DatasetPath),
    /// Everything about a table but its rows, which stay as they were (none, for a new one).
    Table(TablePath, Box<TableState>),
    TableGone(TablePath),
    Rows(TablePath, Rows),
    Routine(TablePath, Box<RoutineEntry>),
    RoutineGone(TablePath),
    /// Rows within the log itself; larger ones have files of their own.
    Blob(u64, Vec<u8>),
    /// The folder was opened for the so-many-th time.
    Boot(u64),
}

#[derive(Clone, Debug)]
pub struct TableState {
    pub kind: TableKind,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub metadata: Map<String, Json>,
    pub policies: BTreeMap<String, RowPolicy>,
    pub shape: Arc<Shape>,
}

/// A table's segments, in terms of those that it had before.
#[derive(Clone, PartialEq, Debug)]
pub struct Rows {
    pub modified: Timestamp,
    pub next_segment: u64,
    pub parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    /// So many of the former segments, from that one on.
    Same(usize, usize),
    New(SegmentState),
}

#[derive(Clone, PartialEq, Debug)]
pub struct SegmentState {
    pub id: u64,
    pub partition: PartitionId,
    pub blob: u64,
    /// Rows of the blob that are gone, ascending.
    pub removed: Vec<u32>,
    pub buffered_until: Option<Timestamp>,
}

pub fn write(changes: &[Change]) -> Vec<u8> {
    let mut out = Out::default();
    out.u8(VERSION);
    for change in changes {
        out.change(change);
    }
    out.0
}

pub fn read(record: &[u8]) -> Read<Vec<Change>> {
    let mut input = In::new(record);
    match input.u8()? {
        VERSION => {}
        other => return Err(format!("it is of version {other}; this program reads {VERSION}")),
    }
    let mut changes = Vec::new();
    while !input.is_empty() {
        changes.push(input.change()?);
    }
    Ok(changes)
}

impl Out {
    fn time(&mut self, at: Timestamp) {
        self.int(at.as_micros());
    }

    fn dataset(&mut self, path: &DatasetPath) {
        self.text(&path.project);
        self.text(&path.dataset);
    }

    fn table(&mut self, path: &TablePath) {
        for part in [&path.project, &path.dataset, &path.table] {
            self.text(part);
        }
    }

    fn fields(&mut self, fields: &Map<String, Json>) {
        self.text(&Json::Object(fields.clone()).to_string());
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Dataset { path, created, modified, metadata } => {
                self.u8(1);
                self.dataset(path);
                self.time(*created);
                self.time(*modified);
                self.fields(metadata);
            }
            Change::DatasetGone(path) => {
                self.u8(2);
                self.dataset(path);
            }
            Change::Table(path, state) => {
                self.u8(3);
                self.table(path);
                self.table_state(state);
            }
            Change::TableGone(path) => {
                self.u8(4);
                self.table(path);
            }
            Change::Rows(path, rows) => {
                self.u8(5);
                self.table(path);
                self.rows(rows);
            }
            Change::Routine(path, entry) => {
                self.u8(6);
                self.table(path);
                self.routine(entry);
            }
            Change::RoutineGone(path) => {
                self.u8(7);
                self.table(path);
            }
            Change::Blob(number, bytes) => {
                self.u8(8);
                self.uint(*number);
                self.bytes(bytes);
            }
            Change::Boot(number) => {
                self.u8(9);
                self.uint(*number);
            }
        }
    }

    fn table_state(&mut self, state: &TableState) {
        match &state.kind {
            TableKind::Table => self.u8(0),
            TableKind::View { sql, renames } => {
                self.u8(1);
                self.text(sql);
                self.bool(*renames);
            }
            TableKind::MaterializedView { sql, renames } => {
                self.u8(2);
                self.text(sql);
                self.bool(*renames);
            }
            TableKind::Snapshot { of, at } => {
                self.u8(3);
                self.table(of);
                self.time(*at);
            }
            TableKind::Clone { of, at } => {
                self.u8(4);
                self.table(of);
                self.time(*at);
            }
            TableKind::External { configuration } => {
                self.u8(5);
                self.text(configuration);
            }
        }
        self.time(state.created);
        self.option(state.expires, Out::time);
        self.fields(&state.metadata);
        self.uint(state.policies.len() as u64);
        for (id, policy) in &state.policies {
            self.text(id);
            self.text(&policy.filter);
            self.list(&policy.grantees, |out, grantee| out.text(grantee));
            self.time(policy.created);
            self.time(policy.modified);
        }
        let shape = &state.shape;
        self.schema(&shape.schema);
        self.list(&shape.storage, |out, id| out.uint(u64::from(*id)));
        self.uint(u64::from(shape.next_storage));
        match &shape.partitioning {
            None => self.u8(0),
            Some(Partitioning::Time { column, unit, expiration_ms }) => {
                self.u8(1);
                self.option(column.as_deref(), Out::text);
                self.text(unit.name());
                self.option(*expiration_ms, Out::int);
            }
            Some(Partitioning::Range { column, start, end, interval }) => {
                self.u8(2);
                self.text(column);
                for number in [start, end, interval] {
                    self.int(*number);
                }
            }
        }
        self.list(&shape.clustering, |out, column| out.text(column));
        self.bool(shape.require_partition_filter);
        self.bool(shape.read_only);
    }

    fn rows(&mut self, rows: &Rows) {
        self.time(rows.modified);
        self.uint(rows.next_segment);
        self.list(&rows.parts, |out, part| match part {
            Part::Same(from, count) => {
                out.u8(0);
                out.uint(*from as u64);
                out.uint(*count as u64);
            }
            Part::New(segment) => {
                out.u8(1);
                out.uint(segment.id);
                match segment.partition {
                    PartitionId::Whole => out.u8(0),
                    PartitionId::Null => out.u8(1),
                    PartitionId::Outside => out.u8(2),
                    PartitionId::At(start) => {
                        out.u8(3);
                        out.int(start);
                    }
                }
                out.uint(segment.blob);
                let mut last = 0;
                out.list(&segment.removed, |out, row| {
                    out.uint(u64::from(row.wrapping_sub(last)));
                    last = *row;
                });
                out.option(segment.buffered_until, Out::time);
            }
        });
    }

    fn routine(&mut self, entry: &RoutineEntry) {
        self.time(entry.created);
        self.time(entry.modified);
        self.fields(&entry.resource);
        let routine = &entry.routine;
        self.list(&routine.name, |out, part| out.text(part));
        self.list(&routine.arguments, |out, argument| {
            out.text(&argument.name);
            out.option(argument.ty.as_ref(), Out::ty);
            out.bool(argument.is_table);
            out.bool(argument.is_aggregate);
            out.u8(match argument.direction {
                ArgumentDirection::In => 0,
                ArgumentDirection::Out => 1,
                ArgumentDirection::InOut => 2,
            });
        });
        self.u8(match routine.kind {
            RoutineKind::Scalar => 0,
            RoutineKind::Aggregate => 1,
            RoutineKind::JavaScript => 2,
            RoutineKind::TableFunction => 3,
            RoutineKind::Procedure => 4,
            RoutineKind::JavaScriptAggregate => 5,
        });
        self.option(routine.returns.as_ref(), Out::ty);
        self.text(&routine.body);
    }
}

/// By the number that stands for them.
const KINDS: [RoutineKind; 6] = [
    RoutineKind::Scalar,
    RoutineKind::Aggregate,
    RoutineKind::JavaScript,
    RoutineKind::TableFunction,
    RoutineKind::Procedure,
    RoutineKind::JavaScriptAggregate,
];

impl In<'_> {
    fn time(&mut self) -> Read<Timestamp> {
        self.int().map(Timestamp::from_micros)
    }

    fn owned(&mut self) -> Read<String> {
        self.text().map(str::to_owned)
    }

    fn index(&mut self) -> Read<usize> {
        usize::try_from(self.uint()?).map_err(|error| error.to_string())
    }

    fn narrow(&mut self) -> Read<u32> {
        u32::try_from(self.uint()?).map_err(|error| error.to_string())
    }

    fn dataset(&mut self) -> Read<DatasetPath> {
        Ok(DatasetPath { project: self.owned()?, dataset: self.owned()? })
    }

    fn table(&mut self) -> Read<TablePath> {
        Ok(TablePath { project: self.owned()?, dataset: self.owned()?, table: self.owned()? })
    }

    fn fields(&mut self) -> Read<Map<String, Json>> {
        serde_json::from_str(self.text()?).map_err(|error| error.to_string())
    }

    fn change(&mut self) -> Read<Change> {
        Ok(match self.u8()? {
            1 => Change::Dataset {
                path: self.dataset()?,
                created: self.time()?,
                modified: self.time()?,
                metadata: self.fields()?,
            },
            2 => Change::DatasetGone(self.dataset()?),
            3 => Change::Table(self.table()?, Box::new(self.table_state()?)),
            4 => Change::TableGone(self.table()?),
            5 => Change::Rows(self.table()?, self.rows()?),
            6 => Change::Routine(self.table()?, Box::new(self.routine()?)),
            7 => Change::RoutineGone(self.table()?),
            8 => Change::Blob(self.uint()?, self.bytes()?.to_vec()),
            9 => Change::Boot(self.uint()?),
            other => return Err(format!("there is no change {other}")),
        })
    }

    fn table_state(&mut self) -> Read<TableState> {
        let kind = match self.u8()? {
            0 => TableKind::Table,
            1 => TableKind::View { sql: self.owned()?, renames: self.bool()? },
            2 => TableKind::MaterializedView { sql: self.owned()?, renames: self.bool()? },
            3 => TableKind::Snapshot { of: self.table()?, at: self.time()? },
            4 => TableKind::Clone { of: self.table()?, at: self.time()? },
            5 => TableKind::External { configuration: self.owned()? },
            other => return Err(format!("there is no kind of table {other}")),
        };
        let created = self.time()?;
        let expires = self.option(In::time)?;
        let metadata = self.fields()?;
        let policies = self.list(|input| {
            let id = input.owned()?;
            let filter = input.owned()?;
            let grantees = input.list(In::owned)?;
            Ok((id, RowPolicy { filter, grantees, created: input.time()?, modified: input.time()? }))
        })?;
        let schema = self.schema()?;
        let storage = self.list(In::narrow)?;
        if storage.len() != schema.columns.len() {
            return Err("a schema without its storage".to_owned());
        }
        let next_storage = self.narrow()?;
        let partitioning = match self.u8()? {
            0 => None,
            1 => {
                let column = self.option(In::owned)?;
                let unit = TimeUnit::from_name(self.text()?).ok_or("there is no such unit")?;
                Some(Partitioning::Time { column, unit, expiration_ms: self.option(In::int)? })
            }
            2 => Some(Partitioning::Range {
                column: self.owned()?,
                start: self.int()?,
                end: self.int()?,
                interval: self.int()?,
            }),
            other => return Err(format!("there is no partitioning {other}")),
        };
        let clustering = self.list(In::owned)?;
        let mut shape = Shape::new(schema, partitioning, clustering, self.bool()?);
        shape.read_only = self.bool()?;
        (shape.storage, shape.next_storage) = (storage, next_storage);
        let policies = policies.into_iter().collect();
        Ok(TableState { kind, created, expires, metadata, policies, shape: Arc::new(shape) })
    }

    fn rows(&mut self) -> Read<Rows> {
        Ok(Rows {
            modified: self.time()?,
            next_segment: self.uint()?,
            parts: self.list(|input| match input.u8()? {
                0 => Ok(Part::Same(input.index()?, input.index()?)),
                1 => {
                    let id = input.uint()?;
                    let partition = match input.u8()? {
                        0 => PartitionId::Whole,
                        1 => PartitionId::Null,
                        2 => PartitionId::Outside,
                        3 => PartitionId::At(input.int()?),
                        other => return Err(format!("there is no partition {other}")),
                    };
                    let blob = input.uint()?;
                    let mut last = 0u32;
                    let removed = input.list(|input| {
                        last = last.wrapping_add(input.narrow()?);
                        Ok(last)
                    })?;
                    let buffered_until = input.option(In::time)?;
                    Ok(Part::New(SegmentState { id, partition, blob, removed, buffered_until }))
                }
                other => Err(format!("there is no part {other}")),
            })?,
        })
    }

    fn routine(&mut self) -> Read<RoutineEntry> {
        let (created, modified, resource) = (self.time()?, self.time()?, self.fields()?);
        let name = self.list(In::owned)?;
        let arguments = self.list(|input| {
            Ok(RoutineArgument {
                name: input.owned()?,
                ty: input.option(In::ty)?,
                is_table: input.bool()?,
                is_aggregate: input.bool()?,
                direction: match input.u8()? {
                    0 => ArgumentDirection::In,
                    1 => ArgumentDirection::Out,
                    _ => ArgumentDirection::InOut,
                },
            })
        })?;
        let kind = *KINDS.get(usize::from(self.u8()?)).ok_or("there is no such kind of routine")?;
        let returns = self.option(In::ty)?;
        let routine = Routine { name, arguments, kind, returns, body: self.owned()?, javascript: Arc::default() };
        Ok(RoutineEntry { created, modified, routine: Arc::new(routine), resource })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scrimmage_googlesql::Value;
    use scrimmage_googlesql::exec::column::Column;

    use super::*;

    #[test]
    fn changes_survive() {
        let table = TablePath { project: "p".into(), dataset: "d".into(), table: "t".into() };
        let rows = Rows {
            modified: Timestamp::from_micros(5),
            next_segment: 9,
            parts: vec![
                Part::Same(3, 4),
                Part::New(SegmentState {
                    id: 8,
                    partition: PartitionId::At(-3),
                    blob: 300,
                    removed: vec![0, 1, 7, 4_000_000_000],
                    buffered_until: Some(Timestamp::from_micros(-1)),
                }),
            ],
        };
        let written = write(&[
            Change::DatasetGone(DatasetPath::new("p", "d")),
            Change::Rows(table.clone(), rows.clone()),
            Change::Blob(300, vec![1, 2, 3]),
            Change::TableGone(table.clone()),
        ]);
        let read = read(&written).expect("it is ours");
        assert!(matches!(&read[0], Change::DatasetGone(path) if path.dataset == "d"));
        assert!(matches!(&read[1], Change::Rows(path, own) if *path == table && *own == rows));
        assert!(matches!(&read[2], Change::Blob(300, bytes) if bytes == &[1, 2, 3]));
        assert!(matches!(&read[3], Change::TableGone(_)) && read.len() == 4);
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(read(&[9]).expect_err("refused"), "it is of version 9; this program reads 1");
    }

    /// One change of each kind, a table with everything among them.
    fn whole_record() -> Vec<u8> {
        use scrimmage_googlesql::catalog::{ColumnDef, Mode, Schema};
        use scrimmage_googlesql::{Type, TypeParams};

        use crate::engine::table::plain_column;
        let path = |table: &str| TablePath { project: "p".into(), dataset: "d".into(), table: table.into() };
        let record = Type::struct_of([("a", Type::array(Type::Numeric)), ("r", Type::range(Type::Date))]);
        let params = TypeParams { max_length: Some(9), ..TypeParams::default() };
        let columns = vec![
            ColumnDef { mode: Mode::Required, params, default: Some("'x'".into()), ..plain_column("s", Type::String) },
            ColumnDef { fields: vec![plain_column("a", Type::Numeric)], ..plain_column("r", record) },
            plain_column("day", Type::Timestamp),
        ];
        let partitioning = |column: Option<&str>| Partitioning::Time {
            column: column.map(str::to_owned),
            unit: TimeUnit::Hour,
            expiration_ms: Some(1_000),
        };
        let shape = Shape::new(Schema { columns }, Some(partitioning(Some("day"))), vec!["s".into()], true);
        let policy = RowPolicy {
            filter: "s = 'x'".into(),
            grantees: vec!["allUsers".into()],
            created: Timestamp::from_micros(1),
            modified: Timestamp::from_micros(2),
        };
        let fields = serde_json::json!({"labels": {"k": "v"}, "n": 1.5}).as_object().cloned().unwrap_or_default();
        let state = |kind| {
            Box::new(TableState {
                kind,
                created: Timestamp::from_micros(3),
                expires: Some(Timestamp::from_micros(4)),
                metadata: fields.clone(),
                policies: [("p".to_owned(), policy.clone())].into(),
                shape: Arc::new(shape.clone()),
            })
        };
        let segment =
            SegmentState { id: 1, partition: PartitionId::Outside, blob: 2, removed: vec![3, 5], buffered_until: None };
        let rows = Rows { modified: Timestamp::from_micros(5), next_segment: 6, parts: vec![Part::New(segment)] };
        let at = Timestamp::from_micros(7);
        let mut out = Out::default();
        let (numbers, texts) = (Type::Int64, Type::String);
        let number = Column::from_values(&numbers, [Value::Int64(1), Value::Null, Value::string("another type")]);
        let text = Column::from_values(&texts, [Value::string("a"), Value::array(vec![Value::Int64(7)]), Value::Null]);
        out.batch(&[(0, &numbers, &number), (1, &texts, &text)], 3);
        write(&[
            Change::Boot(3),
            Change::Dataset { path: DatasetPath::new("p", "d"), created: at, modified: at, metadata: fields.clone() },
            Change::Table(path("t"), state(TableKind::Table)),
            Change::Table(path("v"), state(TableKind::View { sql: "SELECT 1".into(), renames: true })),
            Change::Table(path("c"), state(TableKind::Clone { of: path("t"), at })),
            Change::Table(path("e"), state(TableKind::External { configuration: "{}".into() })),
            Change::Blob(2, out.0),
            Change::Rows(path("t"), rows),
            Change::RoutineGone(path("f")),
        ])
    }

    #[test]
    fn every_value_comes_back_whatever_the_column_says() {
        let changes = read(&whole_record()).expect("it is ours");
        let Some(Change::Blob(2, bytes)) = changes.iter().find(|change| matches!(change, Change::Blob(..))) else {
            panic!("no blob")
        };
        let (_, batch) = In::new(bytes).batch().expect("rows");
        let seen: Vec<Value> = batch.columns.iter().flat_map(|column| (0..3).map(|row| column.get(row))).collect();
        let text = format!("{seen:?}");
        assert!(text.contains("another type") && text.contains("Int64(7)"), "{text}");
    }

    proptest! {
        #[test]
        fn records_with_other_bytes_are_read_or_refused(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            end in any::<proptest::sample::Index>(),
        ) {
            let mut record = whole_record();
            for (at, byte) in changes {
                let at = at.index(record.len());
                record[at] = byte;
            }
            for length in [record.len(), end.index(record.len())] {
                for change in read(&record[..length]).into_iter().flatten() {
                    if let Change::Blob(_, bytes) = change {
                        let _ = In::new(&bytes).batch();
                    }
                }
            }
        }

        #[test]
        fn any_record_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut record = vec![VERSION];
            record.extend(bytes);
            let _ = read(&record);
        }
    }
}
