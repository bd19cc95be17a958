//! Invariants over what a test's programs leave behind.

use std::ops::{Bound, RangeBounds};

use serde_json::Value;

use super::Stage;
use crate::SetupError;
use crate::invariants::Finding;

/// Named predicates, to be held against a stage all at once: a test that breaks three tells of three.
#[derive(Debug, Default)]
pub struct Invariants(Vec<(String, Look)>);

#[derive(Debug)]
enum Look {
    Field { document: String, field: String, is: Value },
    Rows { statement: String, are: Vec<Vec<String>> },
    Calls { service: String, method: String, least: usize, most: usize },
}

/// One invariant, judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    pub name: String,
    pub finding: Finding,
}

impl Invariants {
    pub fn new() -> Invariants {
        Invariants::default()
    }

    /// A field of a Firestore document has this value.
    pub fn field(self, name: &str, document: &str, field: &str, is: impl Into<Value>) -> Self {
        let (document, field) = (document.to_owned(), field.to_owned());
        self.and(name, Look::Field { document, field, is: is.into() })
    }

    /// A GoogleSQL query has these rows: each cell as text, NULL as `NULL`.
    pub fn rows<R, C>(self, name: &str, statement: &str, are: R) -> Self
    where
        R: IntoIterator<Item = C>,
        C: IntoIterator,
        C::Item: Into<String>,
    {
        let are = are.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        self.and(name, Look::Rows { statement: statement.to_owned(), are })
    }

    /// The programs have made so many calls of a method: `1..=3`, `..5`, `1..`.
    pub fn calls(self, name: &str, service: &str, method: &str, how_many: impl RangeBounds<usize>) -> Self {
        let least = match how_many.start_bound() {
            Bound::Included(least) => *least,
            Bound::Excluded(below) => below + 1,
            Bound::Unbounded => 0,
        };
        let most = match how_many.end_bound() {
            Bound::Included(most) => *most,
            Bound::Excluded(above) => above.saturating_sub(1),
            Bound::Unbounded => usize::MAX,
        };
        let (service, method) = (service.to_owned(), method.to_owned());
        self.and(name, Look::Calls { service, method, least, most })
    }

    fn and(mut self, name: &str, look: Look) -> Self {
        self.0.push((name.to_owned(), look));
        self
    }

    /// Holds them against what is there, without a panic.
    pub async fn judge(self, stage: &Stage) -> Result<Vec<Judgement>, SetupError> {
        let mut judged = Vec::new();
        for (name, look) in self.0 {
            judged.push(Judgement { name, finding: look.find(stage).await? });
        }
        Ok(judged)
    }

    /// Holds them against what is there.
    ///
    /// # Panics
    /// With the evidence of all that are broken.
    pub async fn hold(self, stage: &Stage) {
        let judged = match self.judge(stage).await {
            Ok(judged) => judged,
            Err(error) => panic!("{error}"),
        };
        let broken: Vec<String> = judged
            .iter()
            .filter_map(|one| match &one.finding {
                Finding::Broken(evidence) => Some(format!("{}: {evidence}", one.name)),
                _ => None,
            })
            .collect();
        assert!(broken.is_empty(), "broken: {}", broken.join("\n        "));
    }
}

impl Look {
    async fn find(self, stage: &Stage) -> Result<Finding, SetupError> {
        Ok(match self {
            Look::Field { document, field, is } => match stage.document(&document).await? {
                None => Finding::Broken(format!("there is no document {document}")),
                Some(fields) => {
                    let found = fields.get(&field).unwrap_or(&Value::Null);
                    held(*found == is, || format!("{field} of {document} is {found}, not {is}"))
                }
            },
            Look::Rows { statement, are } => {
                let rows = stage.rows(&statement).await?;
                let text = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                let found: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect();
                held(found == are, || format!("the rows are {found:?}, not {are:?}"))
            }
            Look::Calls { service, method, least, most } => {
                let calls = stage.calls();
                let is_meant = |call: &&_| matches_call(call, &service, &method);
                let found = calls.iter().filter(is_meant).count();
                held((least..=most).contains(&found), || format!("{service} {method} was called {found} times"))
            }
        })
    }
}

fn matches_call(call: &scrimmage_core::journal::Call, service: &str, method: &str) -> bool {
    &*call.info.service == service && &*call.info.method == method
}

fn held(holds: bool, evidence: impl FnOnce() -> String) -> Finding {
    if holds { Finding::Holds } else { Finding::Broken(evidence()) }
}
