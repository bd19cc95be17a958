//! DROP, UNDROP, GRANT, REVOKE, EXPORT DATA, LOAD DATA.

use super::Parser;
use crate::ast::{Expr, ExprKind, LoadData, ObjectKind, StatementKind};
use crate::error::Result;
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    /// The kind of object behind DROP, ALTER or UNDROP.
    pub(super) fn object_kind(&mut self) -> Result<ObjectKind> {
        let Kind::Word(keyword) = self.kind() else {
            return Err(self.unexpected());
        };
        let (kind, words) = match keyword {
            Kw::Table if self.is_kw_ahead(1, Kw::Function) => (ObjectKind::TableFunction, 2),
            Kw::Table => (ObjectKind::Table, 1),
            Kw::External if self.is_kw_ahead(1, Kw::Table) => (ObjectKind::ExternalTable, 2),
            Kw::Snapshot if self.is_kw_ahead(1, Kw::Table) => (ObjectKind::SnapshotTable, 2),
            Kw::View => (ObjectKind::View, 1),
            Kw::Materialized if self.is_kw_ahead(1, Kw::View) => (ObjectKind::MaterializedView, 2),
            Kw::Schema => (ObjectKind::Schema, 1),
            Kw::Function => (ObjectKind::Function, 1),
            Kw::Aggregate if self.is_kw_ahead(1, Kw::Function) => (ObjectKind::Function, 2),
            Kw::Procedure => (ObjectKind::Procedure, 1),
            Kw::Search if self.is_kw_ahead(1, Kw::Index) => (ObjectKind::SearchIndex, 2),
            Kw::Vector if self.is_kw_ahead(1, Kw::Index) => (ObjectKind::VectorIndex, 2),
            Kw::Model => (ObjectKind::Model, 1),
            _ => return Err(self.unexpected()),
        };
        for _ in 0..words {
            self.advance();
        }
        Ok(kind)
    }

    pub(super) fn if_exists(&mut self) -> Result<bool> {
        if !self.is_kw(Kw::If) {
            return Ok(false);
        }
        self.advance();
        self.expect_kw(Kw::Exists)?;
        Ok(true)
    }

    /// Behind DROP.
    pub(super) fn drop_statement(&mut self) -> Result<StatementKind> {
        if self.is_kw(Kw::All) {
            self.advance();
            self.expect_kw(Kw::Row)?;
            self.expect_word("ACCESS")?;
            self.expect_kw(Kw::Policies)?;
            self.expect_kw(Kw::On)?;
            let table = self.table_path()?;
            return Ok(StatementKind::DropRowAccessPolicy { name: None, all: true, table, if_exists: false });
        }
        if self.is_kw(Kw::Row) {
            self.advance();
            self.expect_word("ACCESS")?;
            self.expect_kw(Kw::Policy)?;
            let if_exists = self.if_exists()?;
            let name = Some(self.identifier()?);
            self.expect_kw(Kw::On)?;
            let table = self.table_path()?;
            return Ok(StatementKind::DropRowAccessPolicy { name, all: false, table, if_exists });
        }
        let object = self.object_kind()?;
        let if_exists = self.if_exists()?;
        let name = self.table_path()?;
        let mut on = None;
        if matches!(object, ObjectKind::SearchIndex | ObjectKind::VectorIndex) {
            self.expect_kw(Kw::On)?;
            on = Some(self.table_path()?);
        }
        let cascade = self.eat_kw(Kw::Cascade);
        if !cascade {
            self.eat_kw(Kw::Restrict);
        }
        Ok(StatementKind::Drop { object, name, if_exists, cascade, on })
    }

    /// Behind UNDROP.
    pub(super) fn undrop(&mut self) -> Result<StatementKind> {
        let object = self.object_kind()?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.table_path()?;
        let options = self.options()?;
        Ok(StatementKind::Undrop { object, name, if_not_exists, options })
    }

    /// Behind GRANT or REVOKE.
    pub(super) fn grant(&mut self, revoke: bool) -> Result<StatementKind> {
        let privileges = self.comma_list(|parser| {
            let pos = parser.pos();
            let name = parser.any_word()?;
            Ok(Expr { kind: ExprKind::Name(name), pos, end: parser.end() })
        })?;
        self.expect_kw(Kw::On)?;
        let mut object = self.any_word()?;
        if object.name.eq_ignore_ascii_case("EXTERNAL") {
            let table = self.any_word()?;
            object.name = format!("{} {}", object.name, table.name);
        }
        let name = self.table_path()?;
        self.expect_kw(if revoke { Kw::From } else { Kw::To })?;
        let grantees = self.comma_list(Self::expr)?;
        Ok(StatementKind::Grant { revoke, privileges, object, name, grantees })
    }

    /// Behind EXPORT.
    pub(super) fn export_data(&mut self) -> Result<StatementKind> {
        if self.is_kw(Kw::Model) {
            return Err(self.unsupported("EXPORT MODEL"));
        }
        self.expect_kw(Kw::Data)?;
        let connection = self.with_connection()?;
        let options = self.options()?;
        self.expect_kw(Kw::As)?;
        let query = Box::new(self.query()?);
        Ok(StatementKind::ExportData { options, connection, query })
    }

    /// Behind LOAD.
    pub(super) fn load_data(&mut self) -> Result<StatementKind> {
        self.expect_kw(Kw::Data)?;
        let overwrite = self.is_kw(Kw::Overwrite);
        if !overwrite && !self.is_kw(Kw::Into) {
            return Err(self.expected("keyword INTO or keyword OVERWRITE"));
        }
        self.advance();
        if self.is_kw(Kw::Temp) || self.is_kw(Kw::Temporary) {
            return Err(self.unsupported("LOAD DATA into a temporary table"));
        }
        let table = self.table_path()?;
        let mut load = LoadData {
            overwrite,
            table,
            columns: Vec::new(),
            partition_by: None,
            cluster_by: Vec::new(),
            options: Vec::new(),
            files: Vec::new(),
        };
        if self.is(Sym::Open) {
            load.columns = self.table_elements()?.0;
        }
        load.partition_by = self.partition_by()?;
        load.cluster_by = self.cluster_by()?;
        load.options = self.options()?;
        self.expect_kw(Kw::From)?;
        self.expect_kw(Kw::Files)?;
        load.files = self.option_entries()?;
        if self.is_kw(Kw::With) {
            if self.is_kw_ahead(1, Kw::Connection) {
                self.with_connection()?;
            } else {
                return Err(self.unsupported("WITH PARTITION COLUMNS"));
            }
        }
        Ok(StatementKind::LoadData(Box::new(load)))
    }
}
