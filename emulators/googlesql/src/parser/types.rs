//! Types as written: in CAST, constructors, DECLARE, columns and parameters.

use super::Parser;
use crate::ast::{ColumnSpec, Expr, ForeignKey, Ident, OptionEntry, Path, TypeName, TypeNameKind};
use crate::error::Result;
use crate::lexer::{Kind, Kw, Sym};

impl Parser<'_> {
    pub(super) fn type_name(&mut self) -> Result<TypeName> {
        self.nested(|parser| parser.one_type(false))
    }

    /// A type in a table's schema, where struct fields may have NOT NULL and OPTIONS.
    pub(super) fn column_type(&mut self) -> Result<TypeName> {
        self.nested(|parser| parser.one_type(true))
    }

    fn one_type(&mut self, in_schema: bool) -> Result<TypeName> {
        let pos = self.pos();
        let kind = match self.kind() {
            Kind::Word(Kw::Array) => {
                self.advance();
                TypeNameKind::Array(Box::new(self.angle_type(in_schema)?))
            }
            Kind::Word(Kw::Range) => {
                self.advance();
                TypeNameKind::Range(Box::new(self.angle_type(in_schema)?))
            }
            Kind::Word(Kw::Struct) => {
                self.advance();
                TypeNameKind::Struct(self.struct_fields(in_schema)?)
            }
            Kind::Word(Kw::Interval) => TypeNameKind::Simple(self.any_word()?.name),
            _ => {
                let path = self.plain_path()?;
                let names: Vec<&str> = path.parts.iter().map(|part| part.name.as_str()).collect();
                TypeNameKind::Simple(names.join("."))
            }
        };
        let mut ty =
            TypeName { kind, parameters: Vec::new(), collate: None, not_null: false, options: Vec::new(), pos };
        // Behind a constructor's type the parentheses are the constructor's: `STRUCT<INT64>(1)`.
        if matches!(ty.kind, TypeNameKind::Simple(_)) && self.is(Sym::Open) {
            ty.parameters = self.paren_list(Self::type_parameter)?;
        }
        if self.is_kw(Kw::Collate) {
            self.advance();
            ty.collate = Some(self.string_literal()?);
        }
        Ok(ty)
    }

    fn type_parameter(&mut self) -> Result<Expr> {
        match self.kind() {
            Kind::Int | Kind::Float | Kind::String | Kind::Bytes => self.primary(),
            Kind::Word(Kw::True | Kw::False | Kw::Max) => self.primary(),
            _ => Err(self.unexpected()),
        }
    }

    fn angle_type(&mut self, in_schema: bool) -> Result<TypeName> {
        self.expect(Sym::Less)?;
        let ty = self.nested(|parser| parser.one_type(in_schema))?;
        self.expect(Sym::Greater)?;
        Ok(ty)
    }

    fn struct_fields(&mut self, in_schema: bool) -> Result<Vec<(Option<Ident>, TypeName)>> {
        // `<>` is one token.
        if self.eat(Sym::LessGreater) {
            return Ok(Vec::new());
        }
        self.expect(Sym::Less)?;
        if self.eat(Sym::Greater) {
            return Ok(Vec::new());
        }
        let fields = self.comma_list(|parser| {
            // A field has a name where a type follows the first word.
            let named = parser.at_identifier()
                && match parser.kind_ahead(1) {
                    Kind::Word(Kw::Array | Kw::Struct | Kw::Range | Kw::Interval) => true,
                    Kind::Word(keyword) => !keyword.reserved() && keyword != Kw::Options,
                    Kind::Quoted => true,
                    _ => false,
                };
            let name = if named { Some(parser.identifier()?) } else { None };
            let mut ty = parser.nested(|parser| parser.one_type(in_schema))?;
            if in_schema {
                if parser.eat_kw(Kw::Not) {
                    parser.expect_kw(Kw::Null)?;
                    ty.not_null = true;
                }
                ty.options = parser.options()?;
            }
            Ok((name, ty))
        })?;
        if !self.is(Sym::Greater) {
            return Err(self.expected("\">\" or \",\""));
        }
        self.advance();
        Ok(fields)
    }

    // ------------------------------------------------------------ columns and options

    /// `OPTIONS (name = value, …)`, or nothing.
    pub(super) fn options(&mut self) -> Result<Vec<OptionEntry>> {
        if !self.eat_kw(Kw::Options) {
            return Ok(Vec::new());
        }
        self.option_entries()
    }

    /// `(name = value, …)`.
    pub(super) fn option_entries(&mut self) -> Result<Vec<OptionEntry>> {
        self.expect(Sym::Open)?;
        if self.eat(Sym::Close) {
            return Ok(Vec::new());
        }
        let entries = self.comma_list(|parser| {
            let name = parser.identifier()?;
            parser.expect(Sym::Equal)?;
            Ok(OptionEntry { name, value: parser.expr()? })
        })?;
        self.expect_list_end()?;
        Ok(entries)
    }

    /// One column of CREATE TABLE or ADD COLUMN.
    pub(super) fn column_spec(&mut self) -> Result<ColumnSpec> {
        let pos = self.pos();
        let name = self.identifier()?;
        let ty = self.column_type()?;
        let mut column = ColumnSpec {
            name,
            ty,
            not_null: false,
            default: None,
            default_text: None,
            primary_key: false,
            references: None,
            options: Vec::new(),
            pos,
        };
        loop {
            match self.kind() {
                Kind::Word(Kw::Not) => {
                    self.advance();
                    self.expect_kw(Kw::Null)?;
                    column.not_null = true;
                }
                Kind::Word(Kw::Default) => {
                    self.advance();
                    let (expr, text) = self.expr_with_text()?;
                    column.default = Some(expr);
                    column.default_text = Some(text);
                }
                Kind::Word(Kw::Primary) => {
                    self.advance();
                    self.expect_kw(Kw::Key)?;
                    self.not_enforced()?;
                    column.primary_key = true;
                }
                Kind::Word(Kw::Constraint) if self.identifier_ahead(1) => {
                    self.advance();
                    self.identifier()?;
                }
                Kind::Word(Kw::References) => column.references = Some(self.references()?),
                Kind::Word(Kw::Options) => column.options = self.options()?,
                _ => return Ok(column),
            }
        }
    }

    /// An expression and its own text.
    pub(super) fn expr_with_text(&mut self) -> Result<(Expr, String)> {
        let expr = self.expr()?;
        let text = self.slice(expr.pos, self.end()).to_owned();
        Ok((expr, text))
    }

    /// `REFERENCES table(columns) NOT ENFORCED`.
    pub(super) fn references(&mut self) -> Result<ForeignKey> {
        self.expect_kw(Kw::References)?;
        let table: Path = self.table_path()?;
        let columns = self.paren_list(Self::identifier)?;
        self.not_enforced()?;
        Ok(ForeignKey { table, columns })
    }

    /// Constraints are never enforced in BigQuery; the words may be left out in the grammar.
    pub(super) fn not_enforced(&mut self) -> Result<()> {
        if self.is_kw(Kw::Not) && self.is_kw_ahead(1, Kw::Enforced) {
            self.advance();
            self.advance();
        } else {
            self.eat_kw(Kw::Enforced);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_type;
    use crate::ast::TypeNameKind;

    #[test]
    fn types_nest_and_take_parameters() {
        let ty = parse_type("ARRAY<STRUCT<a INT64 NOT NULL OPTIONS (description = 'x'), STRING(10), b ARRAY<DATE>>>")
            .expect("a type");
        let TypeNameKind::Array(element) = ty.kind else { panic!("an array") };
        let TypeNameKind::Struct(fields) = element.kind else { panic!("a struct") };
        assert_eq!(fields.len(), 3);
        assert!(fields[0].1.not_null && fields[0].1.options.len() == 1);
        assert!(fields[1].0.is_none() && fields[1].1.parameters.len() == 1);
        assert!(matches!(parse_type("RANGE<DATE>").expect("a range").kind, TypeNameKind::Range(_)));
        assert!(
            matches!(parse_type("STRUCT<>").expect("empty").kind, TypeNameKind::Struct(fields) if fields.is_empty())
        );
        assert!(parse_type("STRUCT<a INT64").is_err());
    }
}
