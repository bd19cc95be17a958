//! ALTER: of tables their columns, constraints, names and options; of other objects their options.

use super::Parser;
use crate::ast::{AlterAction, AlterColumnAction, ObjectKind, StatementKind};
use crate::error::Result;
use crate::lexer::{Kind, Kw};

impl Parser<'_> {
    /// Behind ALTER.
    pub(super) fn alter(&mut self) -> Result<StatementKind> {
        for word in ["CAPACITY", "RESERVATION", "BI_CAPACITY", "ORGANIZATION", "PROJECT"] {
            if self.is_word(word) {
                return Err(self.unsupported(&format!("ALTER {word}")));
            }
        }
        let object = self.object_kind()?;
        let if_exists = self.if_exists()?;
        let name = self.table_path()?;
        let actions = self.comma_list(Self::alter_action)?;
        Ok(match object {
            ObjectKind::Table => StatementKind::AlterTable { name, if_exists, actions },
            _ => StatementKind::Alter { object, name, if_exists, actions },
        })
    }

    fn alter_action(&mut self) -> Result<AlterAction> {
        let Kind::Word(keyword) = self.kind() else {
            return Err(self.unexpected());
        };
        match keyword {
            Kw::Add => {
                self.advance();
                self.alter_add()
            }
            Kw::Drop => {
                self.advance();
                self.alter_drop()
            }
            Kw::Rename => {
                self.advance();
                if self.eat_kw(Kw::To) {
                    return self.table_path().map(AlterAction::RenameTo);
                }
                self.expect_kw(Kw::Column)?;
                let if_exists = self.if_exists()?;
                let from = self.identifier()?;
                self.expect_kw(Kw::To)?;
                Ok(AlterAction::RenameColumn { from, to: self.identifier()?, if_exists })
            }
            Kw::Set => {
                self.advance();
                if self.eat_kw(Kw::Default) {
                    self.expect_kw(Kw::Collate)?;
                    return self.expr().map(AlterAction::SetDefaultCollate);
                }
                self.expect_kw(Kw::Options)?;
                self.option_entries().map(AlterAction::SetOptions)
            }
            Kw::Alter => {
                self.advance();
                self.expect_kw(Kw::Column)?;
                let if_exists = self.if_exists()?;
                let name = self.plain_path()?;
                let action = self.alter_column()?;
                Ok(AlterAction::AlterColumn { name, if_exists, action })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn alter_add(&mut self) -> Result<AlterAction> {
        if self.is_kw(Kw::Replica) {
            return Err(self.unsupported("ADD REPLICA"));
        }
        if self.eat_kw(Kw::Column) {
            let if_not_exists = self.if_not_exists()?;
            return Ok(AlterAction::AddColumn { column: self.column_spec()?, if_not_exists });
        }
        let if_not_exists = self.is_kw(Kw::Constraint) && self.is_kw_ahead(1, Kw::If);
        match self.table_constraint()? {
            Some(constraint) => Ok(AlterAction::AddConstraint { constraint, if_not_exists }),
            None => Err(self.unexpected()),
        }
    }

    fn alter_drop(&mut self) -> Result<AlterAction> {
        match self.kind() {
            Kind::Word(Kw::Column) => {
                self.advance();
                let if_exists = self.if_exists()?;
                Ok(AlterAction::DropColumn { name: self.identifier()?, if_exists })
            }
            Kind::Word(Kw::Constraint) => {
                self.advance();
                let if_exists = self.if_exists()?;
                Ok(AlterAction::DropConstraint { name: self.identifier()?, if_exists })
            }
            Kind::Word(Kw::Primary) => {
                self.advance();
                self.expect_kw(Kw::Key)?;
                Ok(AlterAction::DropPrimaryKey { if_exists: self.if_exists()? })
            }
            Kind::Word(Kw::Replica) => Err(self.unsupported("DROP REPLICA")),
            _ => Err(self.unexpected()),
        }
    }

    fn alter_column(&mut self) -> Result<AlterColumnAction> {
        if self.eat_kw(Kw::Set) {
            return match self.kind() {
                Kind::Word(Kw::Data) => {
                    self.advance();
                    self.expect_kw(Kw::Type)?;
                    self.column_type().map(AlterColumnAction::SetDataType)
                }
                Kind::Word(Kw::Default) => {
                    self.advance();
                    let (expr, text) = self.expr_with_text()?;
                    Ok(AlterColumnAction::SetDefault { expr, text })
                }
                Kind::Word(Kw::Options) => {
                    self.advance();
                    self.option_entries().map(AlterColumnAction::SetOptions)
                }
                _ => Err(self.unexpected()),
            };
        }
        self.expect_kw(Kw::Drop)?;
        if self.eat_kw(Kw::Default) {
            return Ok(AlterColumnAction::DropDefault);
        }
        self.expect_kw(Kw::Not)?;
        self.expect_kw(Kw::Null)?;
        Ok(AlterColumnAction::DropNotNull)
    }
}
