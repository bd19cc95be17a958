//! Names and what they stand for: the columns and range variables of a FROM clause, and scopes within scopes.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::plan::{ColumnId, Expr};
use crate::types::Type;

/// A column that `*` sees.
#[derive(Clone, Debug)]
pub(super) struct NamedColumn {
    /// Empty for an anonymous column.
    pub name: Rc<str>,
    pub id: ColumnId,
    pub ty: Type,
    /// The column is the row of a value table: `*` opens its struct, and its fields are names too.
    pub value: bool,
    /// It is such a row only because it has an alias of its own (an UNNEST of scalars); its name is a range variable.
    pub hidden_from_names: bool,
}

impl NamedColumn {
    pub fn new(name: &str, id: ColumnId, ty: Type) -> NamedColumn {
        NamedColumn { name: Rc::from(name), id, ty, value: false, hidden_from_names: false }
    }
}

/// What an alias in FROM stands for.
#[derive(Debug)]
pub(super) enum RangeVariable {
    /// A row with these names in it.
    Row(Rc<NameList>),
    /// A row that is one value.
    Value { id: ColumnId, ty: Type },
}

/// What a single name stands for.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Column {
        id: ColumnId,
        ty: Type,
    },
    /// A field of a value table's row.
    Field {
        id: ColumnId,
        ty: Type,
        index: usize,
    },
    Range(Rc<RangeVariable>),
    /// A select list's alias, a lambda's or function's parameter, a WITH binding.
    Expr(Rc<Expr>),
    Ambiguous,
}

/// The names that one FROM clause (or a table in it) offers.
#[derive(Debug, Default)]
pub(super) struct NameList {
    pub columns: Vec<NamedColumn>,
    pub ranges: Vec<(Rc<str>, Rc<RangeVariable>)>,
    /// Pseudo columns and the like: readable by name, not by `*`.
    pub extra: Vec<(Rc<str>, Target)>,
    index: OnceCell<HashMap<Box<str>, Target>>,
}

impl NameList {
    pub fn of_columns(columns: Vec<NamedColumn>) -> NameList {
        NameList { columns, ..NameList::default() }
    }

    /// Names for single targets, without columns for `*`.
    pub fn of_targets(extra: Vec<(Rc<str>, Target)>) -> NameList {
        NameList { extra, ..NameList::default() }
    }

    /// The names of these columns alone; range variables lose the others.
    pub fn only(&self, ids: &[ColumnId]) -> NameList {
        let columns = self.columns.iter().filter(|column| ids.contains(&column.id)).cloned().collect();
        let ranges = self.ranges.iter().filter_map(|(name, range)| {
            let range = match &**range {
                RangeVariable::Row(row) => RangeVariable::Row(Rc::new(row.only(ids))),
                RangeVariable::Value { id, ty } if ids.contains(id) => RangeVariable::Value { id: *id, ty: ty.clone() },
                RangeVariable::Value { .. } => return None,
            };
            Some((name.clone(), Rc::new(range)))
        });
        NameList { columns, ranges: ranges.collect(), ..NameList::default() }
    }

    fn index(&self) -> &HashMap<Box<str>, Target> {
        self.index.get_or_init(|| {
            let mut index: HashMap<Box<str>, Target> = HashMap::with_capacity(self.columns.len() + self.ranges.len());
            let add = |index: &mut HashMap<Box<str>, Target>, name: &str, target: Target| {
                if name.is_empty() {
                    return;
                }
                index
                    .entry(name.to_lowercase().into_boxed_str())
                    .and_modify(|there| *there = Target::Ambiguous)
                    .or_insert(target);
            };
            for column in self.columns.iter().filter(|column| !column.hidden_from_names) {
                add(&mut index, &column.name, Target::Column { id: column.id, ty: column.ty.clone() });
            }
            for column in self.columns.iter().filter(|column| column.value) {
                if let Type::Struct(fields) = &column.ty {
                    for (position, field) in fields.fields.iter().enumerate() {
                        let target = Target::Field { id: column.id, ty: column.ty.clone(), index: position };
                        add(&mut index, &field.name, target);
                    }
                }
            }
            for (name, target) in &self.extra {
                // A real column of that name hides the pseudo column.
                let key = name.to_lowercase().into_boxed_str();
                match index.entry(key) {
                    std::collections::hash_map::Entry::Vacant(slot) => {
                        slot.insert(target.clone());
                    }
                    std::collections::hash_map::Entry::Occupied(mut slot) => {
                        if self.columns.is_empty() || self.extra.iter().filter(|(n, _)| n == name).count() > 1 {
                            slot.insert(Target::Ambiguous);
                        }
                    }
                }
            }
            // A range variable hides columns of its name.
            for (name, range) in &self.ranges {
                index.insert(name.to_lowercase().into_boxed_str(), Target::Range(range.clone()));
            }
            index
        })
    }

    pub fn find(&self, name: &str) -> Option<&Target> {
        let index = self.index();
        if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            index.get(name.to_lowercase().as_str())
        } else {
            index.get(name)
        }
    }

    /// The names of both, side by side.
    pub fn join(left: &NameList, right: &NameList) -> NameList {
        NameList {
            columns: left.columns.iter().chain(&right.columns).cloned().collect(),
            ranges: left.ranges.iter().chain(&right.ranges).cloned().collect(),
            extra: left.extra.iter().chain(&right.extra).cloned().collect(),
            index: OnceCell::new(),
        }
    }

    /// This list as a table with an alias: all columns, and one range variable over them.
    pub fn with_alias(self, alias: &str) -> NameList {
        let inner = Rc::new(NameList { columns: self.columns, extra: self.extra, ..NameList::default() });
        let range = match inner.columns.as_slice() {
            [column] if column.value => Rc::new(RangeVariable::Value { id: column.id, ty: column.ty.clone() }),
            _ => Rc::new(RangeVariable::Row(inner.clone())),
        };
        NameList {
            columns: inner.columns.clone(),
            ranges: vec![(Rc::from(alias), range)],
            extra: inner.extra.clone(),
            index: OnceCell::new(),
        }
    }

    pub fn spellings(&self) -> impl Iterator<Item = &str> {
        let fields = self.columns.iter().filter(|column| column.value).filter_map(|column| match &column.ty {
            Type::Struct(fields) => Some(fields.fields.iter().map(|field| &*field.name)),
            _ => None,
        });
        self.columns
            .iter()
            .filter(|column| !column.hidden_from_names)
            .map(|column| &*column.name)
            .chain(fields.flatten())
            .chain(self.ranges.iter().map(|(name, _)| &**name))
            .chain(self.extra.iter().map(|(name, _)| &**name))
            .filter(|name| !name.is_empty())
    }
}

/// Where names are looked up: this list, then the enclosing query's.
#[derive(Clone, Copy)]
pub(super) struct Scope<'p> {
    pub names: &'p NameList,
    pub parent: Option<&'p Scope<'p>>,
}

impl<'p> Scope<'p> {
    pub fn new(names: &'p NameList, parent: Option<&'p Scope<'p>>) -> Scope<'p> {
        Scope { names, parent }
    }

    pub fn find(&self, name: &str) -> Option<&'p Target> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(target) = here.names.find(name) {
                return Some(target);
            }
            scope = here.parent;
        }
        None
    }

    /// The spelling nearest to `name` among all visible names.
    pub fn suggest(&self, name: &str) -> Option<String> {
        let mut all: Vec<&str> = Vec::new();
        let mut scope = Some(self);
        while let Some(here) = scope {
            all.extend(here.names.spellings());
            scope = here.parent;
        }
        super::suggest::closest(name, all.into_iter())
    }
}
