//! What a statement reads, as jobs are billed for it: logical bytes of the columns and partitions it refers to.

use std::collections::BTreeMap;

use scrimmage_googlesql::catalog::TablePath;
use scrimmage_googlesql::functions::EvalContext;
use scrimmage_googlesql::plan::Plan;
use scrimmage_googlesql::reads::reads;

use crate::limits;

/// Bytes by table. A table that is read twice is counted once, with the columns of both.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Costs {
    tables: BTreeMap<TablePath, u64>,
}

impl Costs {
    pub fn of(plan: &Plan, eval: &EvalContext) -> Costs {
        let mut costs = Costs::default();
        for read in reads(plan, eval) {
            let bytes = read.table.logical_bytes(&read.columns, &read.hints);
            let own = costs.tables.entry(read.table.path().clone()).or_default();
            // Two scans of one table share what they read as a rule: the larger one stands for both.
            *own = (*own).max(bytes);
        }
        costs
    }

    /// Adds what another statement of the same script reads.
    pub fn add(&mut self, other: &Costs) {
        for (table, bytes) in &other.tables {
            *self.tables.entry(table.clone()).or_default() += bytes;
        }
    }

    pub fn bytes(&self) -> u64 {
        self.tables.values().sum()
    }

    /// At least 10 MB a table, in whole MB, as on-demand prices count. Nothing where no table is read.
    pub fn billed(&self) -> u64 {
        let rounded = |bytes: u64| bytes.div_ceil(limits::BILLING_UNIT).saturating_mul(limits::BILLING_UNIT);
        self.tables.values().map(|bytes| rounded(*bytes).max(limits::BILLED_AT_LEAST)).sum()
    }

    pub fn tables(&self) -> impl Iterator<Item = &TablePath> {
        self.tables.keys()
    }
}
