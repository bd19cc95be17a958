//! The plan prepared for running: filters moved down to where their columns come from, join keys found,
//! columns nobody reads left out.

mod build;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub(super) use build::split_on;
use build::{build, equal_pair, ids_of, infallible};

use super::refs::{self, Ids};
use crate::catalog::{HintOp, Table};
use crate::error::Result;
use crate::exec::column::Batch;
use crate::exec::frame::Layout;
use crate::exec::keys::{Buckets, Grouper};
use crate::plan::{
    AggregateCall, ColumnId, Cte, Expr, ExprKind, JoinKind, Rel, SetKind, SortKey, WindowCall, WindowGroup,
};
use crate::types::Type;

/// An operator with the columns that it produces.
pub(super) struct Node<'p> {
    pub layout: Layout,
    pub op: Op<'p>,
}

pub(super) enum Op<'p> {
    Scan {
        table: &'p Arc<dyn Table>,
        columns: Vec<usize>,
        row_id: bool,
        hints: Vec<(usize, HintOp, &'p Expr)>,
    },
    /// One row, no columns.
    SingleRow,
    Values {
        types: &'p [Type],
        rows: &'p [Vec<Expr>],
    },
    /// Keeps the input's columns at `keep`.
    Filter {
        input: Box<Node<'p>>,
        predicates: Vec<&'p Expr>,
        keep: Vec<usize>,
    },
    /// A filter within a correlated subquery, over rows that stay the same from one run to the next.
    Lookup(Box<Lookup<'p>>),
    /// The input's columns at `keep`, then the computed ones.
    Compute {
        input: Box<Node<'p>>,
        keep: Vec<usize>,
        columns: Vec<(ColumnId, &'p Expr)>,
        /// Which of the computed columns are produced (the others only serve these).
        produced: Vec<usize>,
    },
    Join(Box<Join<'p>>),
    Unnest {
        arrays: &'p [(ColumnId, Expr)],
        offset: bool,
        strict: bool,
    },
    Aggregate {
        input: Box<Node<'p>>,
        keys: &'p [(ColumnId, Expr)],
        sets: Option<&'p [Vec<usize>]>,
        grouping: &'p [(ColumnId, usize)],
        calls: Vec<&'p AggregateCall>,
    },
    /// The input's columns at `keep`, then one a call.
    Window {
        input: Box<Node<'p>>,
        keep: Vec<usize>,
        groups: Vec<(&'p WindowGroup, Vec<&'p WindowCall>)>,
    },
    /// The input's columns at `columns`, each combination once.
    Distinct {
        input: Box<Node<'p>>,
        columns: Vec<usize>,
    },
    /// With `limit` only the first rows are wanted: `limit` after `offset`.
    Sort {
        input: Box<Node<'p>>,
        keys: &'p [SortKey],
        keep: Vec<usize>,
        limit: Option<(&'p Expr, Option<&'p Expr>)>,
    },
    Limit {
        input: Box<Node<'p>>,
        limit: Option<&'p Expr>,
        offset: Option<&'p Expr>,
    },
    /// Each input with the positions of its columns in the result's order.
    SetOperation {
        kind: SetKind,
        all: bool,
        inputs: Vec<(Node<'p>, Vec<usize>)>,
        types: Vec<&'p Type>,
    },
    With {
        ctes: &'p [Cte],
        body: Box<Node<'p>>,
    },
    /// The CTE's columns at `columns`.
    CteRef {
        cte: usize,
        columns: Vec<usize>,
    },
    Sample {
        input: Box<Node<'p>>,
        percent: &'p Expr,
    },
}

/// Rows found by key instead of by looking at all of them.
pub(super) struct Lookup<'p> {
    pub input: Node<'p>,
    /// Equal pairs: an expression over the input and one over the outer row.
    pub keys: Vec<(&'p Expr, &'p Expr)>,
    /// All predicates, the equal pairs among them: what the first runs use.
    pub predicates: Vec<&'p Expr>,
    /// The predicates without the pairs.
    pub residual: Vec<&'p Expr>,
    pub keep: Vec<usize>,
    pub runs: Cell<u32>,
    /// Made when the subquery turns out to run often.
    pub index: RefCell<Option<Rc<LookupIndex>>>,
}

/// The input's rows by key.
pub(super) struct LookupIndex {
    pub rows: Batch,
    pub grouper: RefCell<Grouper>,
    pub buckets: Buckets,
}

pub(super) struct Join<'p> {
    pub kind: JoinKind,
    pub left: Node<'p>,
    pub right: Node<'p>,
    /// Equal pairs: an expression over the left side and one over the right.
    pub keys: Vec<(&'p Expr, &'p Expr)>,
    /// What else must be TRUE for a pair of rows.
    pub residual: Vec<&'p Expr>,
    /// The right side reads the left one's row.
    pub lateral: bool,
    /// What is produced: from the left, then from the right.
    pub keep_left: Vec<usize>,
    pub keep_right: Vec<usize>,
}

impl<'p> Node<'p> {
    /// Prepares `rel`; the node produces at least the columns `needed`.
    pub fn compile(rel: &'p Rel, needed: &[ColumnId]) -> Result<Node<'p>> {
        let needed: Ids = needed.iter().copied().collect();
        build(rel, Vec::new(), &needed)
    }

    /// As [`Node::compile`], with predicates over `rel`'s columns applied.
    pub fn compile_filtered(rel: &'p Rel, predicates: Vec<&'p Expr>, needed: &Ids) -> Result<Node<'p>> {
        build(rel, predicates, needed)
    }

    /// Makes lookups of the filters that compare columns with the outer row's. To be called on a whole
    /// subquery that reads `correlated` and runs many times in surroundings where nothing else changes.
    pub fn index(mut self, correlated: &[ColumnId]) -> Node<'p> {
        let outer: Ids = correlated.iter().copied().collect();
        self.add_lookups(&outer);
        self
    }

    fn add_lookups(&mut self, outer: &Ids) {
        if let Op::Filter { input, predicates, .. } = &mut self.op {
            let inner: Ids = input.layout.ids.iter().copied().collect();
            let (mut keys, mut residual) = (Vec::new(), Vec::new());
            for predicate in predicates.iter() {
                match equal_pair(predicate, &inner, outer) {
                    // Keys are computed for all rows at once: only what cannot fail may be one.
                    Some((a, b)) if infallible(a) && ids_of([a]).is_subset(&inner) => keys.push((a, b)),
                    _ => residual.push(*predicate),
                }
            }
            if !keys.is_empty() && input.stays(outer) {
                let op = std::mem::replace(&mut self.op, Op::SingleRow);
                if let Op::Filter { input, predicates, keep } = op {
                    self.op = Op::Lookup(Box::new(Lookup {
                        input: *input,
                        keys,
                        predicates,
                        residual,
                        keep,
                        runs: Cell::new(0),
                        index: RefCell::default(),
                    }));
                }
                return;
            }
        }
        match &mut self.op {
            Op::Filter { input, .. }
            | Op::Compute { input, .. }
            | Op::Aggregate { input, .. }
            | Op::Window { input, .. }
            | Op::Distinct { input, .. }
            | Op::Sort { input, .. }
            | Op::Limit { input, .. } => input.add_lookups(outer),
            Op::Join(join) => {
                join.left.add_lookups(outer);
                if !join.lateral {
                    join.right.add_lookups(outer);
                }
            }
            Op::SetOperation { inputs, .. } => inputs.iter_mut().for_each(|(input, _)| input.add_lookups(outer)),
            _ => {}
        }
    }

    /// Whether the node gives the same rows however often it runs: it reads no outer row and no CTE, and
    /// nothing in it is volatile.
    fn stays(&self, outer: &Ids) -> bool {
        let mut same = true;
        self.visit_rels(&mut |node| {
            same &= !matches!(node.op, Op::CteRef { .. } | Op::With { .. } | Op::Sample { .. } | Op::Lookup(_));
            same &= !matches!(&node.op, Op::Join(join) if join.lateral);
            node.op.exprs(&mut |expr| {
                let changes = |part: &Expr| match &part.kind {
                    ExprKind::Call { function, .. } => function.volatile,
                    ExprKind::Subquery { .. } | ExprKind::JavaScript { .. } => true,
                    _ => false,
                };
                same &= !refs::any(expr, &mut |part| changes(part)) && ids_of([expr]).is_disjoint(outer);
            });
        });
        same
    }

    /// The CTEs defined outside that the node reads.
    pub fn cte_reads(&self, reads: &mut Vec<usize>) {
        self.visit_rels(&mut |node| match &node.op {
            Op::CteRef { cte, .. } => reads.push(*cte),
            Op::With { ctes, .. } => {
                for cte in *ctes {
                    match &cte.kind {
                        crate::plan::CteKind::Plain(rel) => refs::cte_reads(rel, reads),
                        crate::plan::CteKind::Recursive { anchor, step, .. } => {
                            refs::cte_reads(anchor, reads);
                            refs::cte_reads(step, reads);
                        }
                    }
                }
            }
            op => op.exprs(&mut |expr| refs::expr_cte_reads(expr, reads)),
        });
    }

    fn visit_rels(&self, visit: &mut dyn FnMut(&Node<'p>)) {
        visit(self);
        match &self.op {
            Op::Scan { .. } | Op::SingleRow | Op::Values { .. } | Op::Unnest { .. } | Op::CteRef { .. } => {}
            Op::Filter { input, .. }
            | Op::Compute { input, .. }
            | Op::Aggregate { input, .. }
            | Op::Window { input, .. }
            | Op::Distinct { input, .. }
            | Op::Sort { input, .. }
            | Op::Limit { input, .. }
            | Op::Sample { input, .. }
            | Op::With { body: input, .. } => input.visit_rels(visit),
            Op::Lookup(lookup) => lookup.input.visit_rels(visit),
            Op::Join(join) => {
                join.left.visit_rels(visit);
                join.right.visit_rels(visit);
            }
            Op::SetOperation { inputs, .. } => inputs.iter().for_each(|(input, _)| input.visit_rels(visit)),
        }
    }

    /// The positions of those of the node's columns that are needed.
    fn keep(&self, needed: &Ids) -> Vec<usize> {
        let ids = self.layout.ids.iter().enumerate();
        ids.filter(|(_, id)| needed.contains(id)).map(|(position, _)| position).collect()
    }
}

impl<'p> Op<'p> {
    /// The expressions that stand directly in the operator.
    fn exprs(&self, visit: &mut dyn FnMut(&'p Expr)) {
        match self {
            Op::Scan { .. }
            | Op::SingleRow
            | Op::Distinct { .. }
            | Op::SetOperation { .. }
            | Op::With { .. }
            | Op::CteRef { .. } => {}
            Op::Values { rows, .. } => rows.iter().flatten().for_each(visit),
            Op::Filter { predicates, .. } => predicates.iter().for_each(|expr| visit(expr)),
            Op::Lookup(lookup) => lookup.predicates.iter().for_each(|expr| visit(expr)),
            Op::Compute { columns, .. } => columns.iter().for_each(|(_, expr)| visit(expr)),
            Op::Join(join) => {
                join.keys.iter().flat_map(|(a, b)| [*a, *b]).chain(join.residual.iter().copied()).for_each(visit);
            }
            Op::Unnest { arrays, .. } => arrays.iter().for_each(|(_, expr)| visit(expr)),
            Op::Aggregate { keys, calls, .. } => {
                keys.iter().for_each(|(_, expr)| visit(expr));
                calls.iter().for_each(|call| refs::aggregate_exprs(call).for_each(&mut *visit));
            }
            Op::Window { groups, .. } => {
                for (group, calls) in groups {
                    group.partition_by.iter().for_each(&mut *visit);
                    group.order_by.iter().for_each(|key| visit(&key.expr));
                    calls.iter().for_each(|call| refs::window_exprs(call).for_each(&mut *visit));
                }
            }
            Op::Sort { keys, .. } => keys.iter().for_each(|key| visit(&key.expr)),
            Op::Limit { limit, offset, .. } => limit.iter().chain(offset).for_each(|expr| visit(expr)),
            Op::Sample { percent, .. } => visit(percent),
        }
    }
}
