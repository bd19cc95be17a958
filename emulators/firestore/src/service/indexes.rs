//! Index enforcement: what is declared, what queries needed, and what is said of a query without.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use scrimmage_core::{CallNotes, Context, Journal, Profile};
use scrimmage_protos::google::firestore::admin::v1 as admin;

use crate::engine::index::catalogue::{Catalogue, Composite, Kind, QueryScope};
use crate::engine::index::file::{self, FileError};
use crate::engine::index::required::{Missing, Used, Verdict, judge};
use crate::engine::query::Query;
use crate::error::Error;
use crate::path::{DatabaseName, FieldPath};
use crate::texts;

/// Indexes that were needed, and complaints, that are remembered; a program that makes field paths of
/// its data can need any number.
const REMEMBERED: usize = 1_000;

/// What comes of a query that production would refuse for want of an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexEnforcement {
    /// It is answered.
    Off,
    /// It is answered, and the journal says which index to add.
    Warn,
    /// It is refused as in production.
    Enforce,
}

impl std::str::FromStr for IndexEnforcement {
    type Err = String;

    /// `off`, `warn` or `enforce`.
    fn from_str(word: &str) -> Result<IndexEnforcement, String> {
        match word {
            "off" => Ok(IndexEnforcement::Off),
            "warn" => Ok(IndexEnforcement::Warn),
            "enforce" => Ok(IndexEnforcement::Enforce),
            _ => Err(format!("`{word}` is none of off, warn and enforce")),
        }
    }
}

impl IndexEnforcement {
    pub fn word(self) -> &'static str {
        match self {
            IndexEnforcement::Off => "off",
            IndexEnforcement::Warn => "warn",
            IndexEnforcement::Enforce => "enforce",
        }
    }
}

/// The declared indexes of all databases.
#[derive(Debug)]
pub struct IndexSettings {
    journal: Arc<Journal>,
    profile: Profile,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// As the user chose; otherwise the profile and the file decide.
    enforcement: Option<IndexEnforcement>,
    /// What a file said, for every database that nothing else was said about.
    from_file: Option<Catalogue>,
    databases: HashMap<DatabaseName, Catalogue>,
    /// What queries were served from, or would have been: composite and missing indexes.
    needed: Catalogue,
    /// What has been complained of already.
    said: HashSet<(DatabaseName, Missing)>,
}

impl State {
    fn catalogue(&self, database: &DatabaseName) -> Option<&Catalogue> {
        self.databases.get(database).or(self.from_file.as_ref())
    }
}

impl IndexSettings {
    pub fn new(context: &Context) -> IndexSettings {
        IndexSettings { journal: Arc::clone(&context.journal), profile: context.profile, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the settings whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the data folder has.
    pub fn restore(&self, kept: Vec<(Option<DatabaseName>, Catalogue)>) {
        let mut state = self.state();
        for (database, catalogue) in kept {
            match database {
                Some(database) => drop(state.databases.insert(database, catalogue)),
                None => state.from_file = Some(catalogue),
            }
        }
    }

    /// Declares what a file says for all databases. What was declared for single ones stays; they get
    /// what they lack of it. `install` carries it out and may refuse it: then nothing changes.
    pub fn load<E: From<FileError>>(
        &self,
        text: &str,
        install: impl FnOnce(&Catalogue, Vec<(DatabaseName, Catalogue)>) -> Result<(), E>,
    ) -> Result<(), E> {
        let catalogue = file::read(text)?;
        let mut state = self.state();
        let mut own = state.databases.clone();
        own.values_mut().for_each(|own| own.merge(&catalogue));
        install(&catalogue, own.clone().into_iter().collect())?;
        state.from_file = Some(catalogue);
        state.databases = own;
        state.said.clear();
        Ok(())
    }

    /// Declares what a file says, in place of all that was declared before.
    pub fn replace<E: From<FileError>>(
        &self,
        text: &str,
        install: impl FnOnce(&Catalogue) -> Result<(), E>,
    ) -> Result<(), E> {
        let catalogue = file::read(text)?;
        let mut state = self.state();
        install(&catalogue)?;
        state.from_file = Some(catalogue);
        state.databases.clear();
        state.said.clear();
        Ok(())
    }

    /// Chooses what comes of a query without its index; `None` leaves it to profile and file.
    pub fn set_enforcement(&self, enforcement: Option<IndexEnforcement>) {
        self.state().enforcement = enforcement;
    }

    pub fn enforcement(&self) -> IndexEnforcement {
        self.enforcement_of(&self.state())
    }

    fn enforcement_of(&self, state: &State) -> IndexEnforcement {
        state.enforcement.unwrap_or(match self.profile {
            Profile::Strict if state.from_file.is_some() => IndexEnforcement::Enforce,
            Profile::Strict | Profile::Lenient => IndexEnforcement::Warn,
        })
    }

    /// What is declared for a database.
    pub fn catalogue(&self, database: &DatabaseName) -> Catalogue {
        self.state().catalogue(database).cloned().unwrap_or_default()
    }

    /// What is declared for databases that nothing else was said about.
    pub fn declared(&self) -> Catalogue {
        let state = self.state();
        let only = match state.databases.len() {
            1 => state.databases.values().next(),
            _ => None,
        };
        only.or(state.from_file.as_ref()).cloned().unwrap_or_default()
    }

    /// Changes what is declared for a database. `change` and `install`, which carries it out, may
    /// refuse it: then nothing changes.
    pub fn change<T>(
        &self,
        database: &DatabaseName,
        change: impl FnOnce(&mut Catalogue) -> Result<T, Error>,
        install: impl FnOnce(&Catalogue) -> Result<(), Error>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        let mut catalogue = state.catalogue(database).cloned().unwrap_or_default();
        let result = change(&mut catalogue)?;
        // Under the lock: whoever changes it next must find it carried out.
        install(&catalogue)?;
        state.databases.insert(database.clone(), catalogue);
        state.said.retain(|(other, _)| other != database);
        Ok(result)
    }

    /// The indexes that all queries so far needed, beyond automatic ones.
    pub fn needed(&self) -> Catalogue {
        self.state().needed.clone()
    }

    pub fn forget_needed(&self) {
        let mut state = self.state();
        state.needed = Catalogue::default();
        state.said.clear();
    }

    /// Judges a query: what it is served from, or production's refusal where that is wanted.
    pub fn check(&self, database: &DatabaseName, query: &Query, notes: Option<&CallNotes>) -> Result<Verdict, Error> {
        let mut state = self.state();
        let none = Catalogue::default();
        let verdict = judge(state.catalogue(database).unwrap_or(&none), query);
        let room = state.needed.size() < REMEMBERED;
        if room {
            for used in verdict.used.iter().filter(|used| used.composite) {
                state.needed.add(used.index.clone());
            }
            self.note_singles(&mut state, database, &verdict);
        }
        if verdict.missing.is_empty() {
            return Ok(verdict);
        }
        let enforcement = self.enforcement_of(&state);
        let mut refusal = None;
        for missing in &verdict.missing {
            if room {
                file::supply(&mut state.needed, missing);
            }
            let text = refusal_text(database, missing);
            let first = state.said.len() < REMEMBERED && state.said.insert((database.clone(), missing.clone()));
            if enforcement != IndexEnforcement::Off {
                if let Some(notes) = notes {
                    notes.warn(&text);
                }
                if first {
                    let mut lacking = Catalogue::default();
                    file::supply(&mut lacking, missing);
                    let entry = file::write(&lacking);
                    let text = format!("{text} In firestore.indexes.json: {entry}");
                    self.journal.event("firestore", "index", database.as_str(), text);
                }
            }
            refusal.get_or_insert(text);
        }
        match refusal {
            Some(text) if enforcement == IndexEnforcement::Enforce => Err(Error::IndexNeeded(text)),
            _ => Ok(verdict),
        }
    }

    /// A field's index that only a declaration gives is needed as well.
    fn note_singles(&self, state: &mut State, database: &DatabaseName, verdict: &Verdict) {
        for Used { index, composite } in &verdict.used {
            let [(path, kind), _] = index.fields.as_slice() else { continue };
            if *composite || index.scope == QueryScope::Collection {
                continue;
            }
            let declared = state.catalogue(database).and_then(|all| all.field(&index.group, &path.to_string()));
            if declared.is_some() {
                let missing = Missing::Single {
                    group: Arc::clone(&index.group),
                    scope: index.scope,
                    path: path.clone(),
                    kind: *kind,
                };
                file::supply(&mut state.needed, &missing);
            }
        }
    }
}

/// Production's refusal, with the link that creates the index.
fn refusal_text(database: &DatabaseName, missing: &Missing) -> String {
    match missing {
        Missing::Composite(index) if index.is_vector() => texts::vector_index_needed(&gcloud_command(database, index)),
        Missing::Composite(index) => {
            let name = format!("{database}/collectionGroups/{}/indexes/_", index.group);
            texts::index_needed(&link(database, "create_composite", &encode(name, index.scope, &index.fields)))
        }
        Missing::Single { group, scope, path, kind } => {
            let name = format!("{database}/collectionGroups/{group}/fields/{path}");
            let link = link(database, "create_exemption", &encode(name, *scope, &[(path.clone(), *kind)]));
            let scope = file::scope_text(*scope);
            let kind = match kind {
                Kind::Contains => "CONTAINS",
                Kind::Descending => "DESC",
                _ => "ASC",
            };
            texts::field_index_needed(scope, kind, group, &path.to_string(), &link)
        }
    }
}

fn link(database: &DatabaseName, what: &str, payload: &str) -> String {
    let place = match database.database() {
        "(default)" => String::new(),
        id => format!("databases/{id}/"),
    };
    let project = database.project();
    format!("https://console.firebase.google.com/v1/r/project/{project}/firestore/{place}indexes?{what}={payload}")
}

/// The index as the link has it: the message of the admin API, in URL-safe base64.
fn encode(name: String, scope: QueryScope, fields: &[(FieldPath, Kind)]) -> String {
    let index = admin::Index {
        name,
        query_scope: proto_scope(scope).into(),
        fields: fields.iter().map(|(path, kind)| proto_field(path, *kind)).collect(),
        ..admin::Index::default()
    };
    URL_SAFE_NO_PAD.encode(index.encode_to_vec())
}

pub fn proto_scope(scope: QueryScope) -> admin::index::QueryScope {
    match scope {
        QueryScope::Collection => admin::index::QueryScope::Collection,
        QueryScope::Group => admin::index::QueryScope::CollectionGroup,
    }
}

pub fn proto_field(path: &FieldPath, kind: Kind) -> admin::index::IndexField {
    use admin::index::index_field::{ArrayConfig, Order, ValueMode, VectorConfig, vector_config};
    let mode = match kind {
        Kind::Ascending => ValueMode::Order(Order::Ascending.into()),
        Kind::Descending => ValueMode::Order(Order::Descending.into()),
        Kind::Contains => ValueMode::ArrayConfig(ArrayConfig::Contains.into()),
        Kind::Vector(dimension) => ValueMode::VectorConfig(VectorConfig {
            dimension: i32::try_from(dimension).unwrap_or(i32::MAX),
            r#type: Some(vector_config::Type::Flat(vector_config::FlatIndex {})),
        }),
    };
    admin::index::IndexField { field_path: path.to_string(), value_mode: Some(mode) }
}

/// What production tells to run where a vector index is missing.
fn gcloud_command(database: &DatabaseName, index: &Composite) -> String {
    let mut command = format!(
        "gcloud firestore indexes composite create --project={} --collection-group={} --query-scope={}",
        database.project(),
        index.group,
        file::scope_text(index.scope)
    );
    if database.database() != "(default)" {
        command.push_str(&format!(" --database={}", database.database()));
    }
    for (path, kind) in index.fields.iter().filter(|(path, _)| !path.is_name()) {
        command.push_str(&match kind {
            Kind::Vector(dimension) => {
                format!(" --field-config=vector-config='{{\"dimension\":\"{dimension}\",\"flat\": \"{{}}\"}}',field-path={path}")
            }
            Kind::Contains => format!(" --field-config=array-config=CONTAINS,field-path={path}"),
            Kind::Descending => format!(" --field-config=order=DESCENDING,field-path={path}"),
            Kind::Ascending => format!(" --field-config=order=ASCENDING,field-path={path}"),
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    #[test]
    fn links_have_productions_payload() {
        let database = DatabaseName::parse("projects/demo-p/databases/(default)").unwrap();
        let index = Composite::new(
            "logs",
            QueryScope::Collection,
            vec![(path("user"), Kind::Ascending), (path("at"), Kind::Descending)],
        );
        let text = refusal_text(&database, &Missing::Composite(index));
        let payload = text.rsplit_once("create_composite=").unwrap().1;
        let bytes = URL_SAFE_NO_PAD.decode(payload).unwrap();
        let mut wanted =
            b"\x0a\x43projects/demo-p/databases/(default)/collectionGroups/logs/indexes/_\x10\x01".to_vec();
        wanted.extend(b"\x1a\x08\x0a\x04user\x10\x01\x1a\x06\x0a\x02at\x10\x02\x1a\x0c\x0a\x08__name__\x10\x02");
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn a_missing_field_index_is_named() {
        let database = DatabaseName::parse("projects/p/databases/other").unwrap();
        let missing = Missing::Single {
            group: Arc::from("c"),
            scope: QueryScope::Group,
            path: path("tags"),
            kind: Kind::Contains,
        };
        let text = refusal_text(&database, &missing);
        let start = "The query requires a COLLECTION_GROUP_CONTAINS index for collection c and field tags. You can \
                     create it here: https://console.firebase.google.com/v1/r/project/p/firestore/databases/other/\
                     indexes?create_exemption=";
        assert!(text.starts_with(start), "{text}");
    }

    #[test]
    fn what_is_remembered_of_ever_new_queries_is_bounded() {
        use crate::engine::query::normalize::Draft;
        use crate::engine::query::{Direction, Filter, Operator, Order, Scope, Target};
        let settings = IndexSettings::new(&Context::new(scrimmage_core::Clock::real()));
        let database = DatabaseName::parse("projects/p/databases/d").unwrap();
        for number in 0..REMEMBERED + 50 {
            let scope = Scope { parent: Arc::from(""), collection_id: Some(Arc::from("c")), all_descendants: false };
            let mut draft = Draft::new(scope);
            draft.filter = Some(Filter::Field(path("a"), Operator::Equal, crate::value::Value::Int(1)));
            let by = Target::Field(path(&format!("scores.player{number}")));
            draft.order = vec![Order { target: by, direction: Direction::Ascending }];
            settings.check(&database, &draft.normalize().unwrap(), None).unwrap();
        }
        assert_eq!((settings.needed().size(), settings.state().said.len()), (REMEMBERED, REMEMBERED));
    }
}
