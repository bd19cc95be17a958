//! Schemas and their revisions.
//!
//! A revision never changes. Revisions have an order that outlives them: a topic that allows the revisions
//! from A to B goes on to do so when A or B is deleted
//! (<https://cloud.google.com/pubsub/docs/schemas>, <https://cloud.google.com/pubsub/docs/commit-schema-revision>).

pub mod avro;
pub mod definition;
pub mod protobuf;
pub mod validation;

use std::collections::BTreeMap;
use std::sync::Arc;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::{Encoding, SchemaView};

use super::names::{self, Kind};
use super::records::{self, Change};
use super::{Command, Engine, lists};
use crate::limits;
use crate::texts::Error;
use definition::Definition;

/// Shown in the settings of a topic whose schema was deleted.
pub const DELETED_SCHEMA: &str = "_deleted-schema_";

/// All schemas, by name.
pub type Schemas = BTreeMap<String, Schema>;

#[derive(Debug)]
pub struct Schema {
    /// Oldest first, at least one.
    revisions: Vec<Revision>,
    /// The place in the order of every revision there ever was.
    order: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
pub struct Revision {
    /// As the API shows it, with the definition.
    pub config: pb::Schema,
    pub definition: Arc<Definition>,
    order: u64,
}

impl Revision {
    fn shown(&self, view: SchemaView) -> pb::Schema {
        let mut config = self.config.clone();
        if view == SchemaView::Basic {
            config.definition = String::new();
        }
        config
    }
}

impl Schema {
    /// As it is kept.
    pub(super) fn record(&self, name: &str) -> records::Schema {
        let revisions = self.revisions.iter().map(|revision| revision.config.clone()).collect();
        records::Schema { name: name.to_owned(), revisions, order: self.order.clone() }
    }

    /// As it was kept.
    pub(super) fn restored(kept: records::Schema) -> Result<Schema, Error> {
        let revisions = kept.revisions.into_iter().map(|config| {
            let definition = Arc::new(Definition::parse(config.r#type(), &config.definition)?);
            let order = kept.order.get(&config.revision_id).copied().unwrap_or(0);
            Ok(Revision { config, definition, order })
        });
        Ok(Schema { revisions: revisions.collect::<Result<_, Error>>()?, order: kept.order })
    }

    fn latest(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    fn revision(&self, id: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.config.revision_id == id)
    }
}

#[derive(Debug)]
pub struct CreateSchema(pub pb::CreateSchemaRequest);
#[derive(Debug)]
pub struct GetSchema(pub pb::GetSchemaRequest);
#[derive(Debug)]
pub struct ListSchemas(pub pb::ListSchemasRequest);
#[derive(Debug)]
pub struct ListSchemaRevisions(pub pb::ListSchemaRevisionsRequest);
#[derive(Debug)]
pub struct CommitSchema(pub pb::CommitSchemaRequest);
#[derive(Debug)]
pub struct RollbackSchema(pub pb::RollbackSchemaRequest);
#[derive(Debug)]
pub struct DeleteSchemaRevision(pub pb::DeleteSchemaRevisionRequest);
#[derive(Debug)]
pub struct DeleteSchema(pub String);
#[derive(Debug)]
pub struct ValidateSchema(pub pb::ValidateSchemaRequest);
#[derive(Debug)]
pub struct ValidateMessage(pub pb::ValidateMessageRequest);

impl Command for CreateSchema {
    type Outcome = pb::Schema;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Schema, Error> {
        names::check_project(&self.0.parent)?;
        let mut given = self.0.schema.unwrap_or_default();
        let id = if self.0.schema_id.is_empty() { format!("schema-{}", engine.next_id()) } else { self.0.schema_id };
        given.name = format!("{}/schemas/{id}", self.0.parent);
        names::check(Kind::Schema, &given.name)?;
        if engine.schemas.contains_key(&given.name) {
            return Err(Error::already_exists(&given.name));
        }
        let definition = Definition::parse(given.r#type(), &given.definition)?;
        let mut schema = Schema { revisions: Vec::new(), order: BTreeMap::new() };
        let name = given.name.clone();
        let made = engine.add_revision(now, &mut schema, given, Arc::new(definition));
        engine.schemas.insert(name.clone(), schema);
        engine.note_schema(&name);
        Ok(made)
    }
}

impl Command for GetSchema {
    type Outcome = pb::Schema;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<pb::Schema, Error> {
        let (name, revision) = engine.schema_revision(&self.0.name)?;
        let mut shown = revision.shown(self.0.view());
        shown.name = name;
        Ok(shown)
    }
}

impl Command for ListSchemas {
    type Outcome = pb::ListSchemasResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Self::Outcome, Error> {
        names::check_project(&self.0.parent)?;
        let prefix = format!("{}/", self.0.parent);
        let all = engine.schemas.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
        let page = lists::page_of(all, self.0.page_size, &self.0.page_token)?;
        let view = list_view(self.0.view());
        let schemas = page.items.into_iter().filter_map(Schema::latest).map(|revision| revision.shown(view)).collect();
        Ok(pb::ListSchemasResponse { schemas, next_page_token: page.next })
    }
}

impl Command for ListSchemaRevisions {
    type Outcome = pb::ListSchemaRevisionsResponse;
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<Self::Outcome, Error> {
        let schema = engine.schema(&self.0.name)?;
        // Newest first: the key counts down.
        let keys: Vec<(String, &Revision)> = schema
            .revisions
            .iter()
            .rev()
            .map(|revision| (format!("{:020}", u64::MAX - revision.order), revision))
            .collect();
        let page =
            lists::page_of(keys.iter().map(|(key, revision)| (key, *revision)), self.0.page_size, &self.0.page_token)?;
        let view = list_view(self.0.view());
        let schemas = page.items.into_iter().map(|revision| revision.shown(view)).collect();
        Ok(pb::ListSchemaRevisionsResponse { schemas, next_page_token: page.next })
    }
}

impl Command for CommitSchema {
    type Outcome = pb::Schema;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Schema, Error> {
        let name = self.0.name;
        let schema = engine.schema(&name)?;
        let mut given = self.0.schema.unwrap_or_default();
        if !given.name.is_empty() && given.name != name {
            return Err(Error::BadName(given.name));
        }
        let latest = schema.latest().ok_or_else(|| Error::not_found(&name))?;
        if given.r#type() != latest.config.r#type() {
            return Err(Error::OtherType);
        }
        let definition = Definition::parse(given.r#type(), &given.definition)?;
        if !latest.definition.is_compatible_with(&definition) {
            return Err(Error::Incompatible(latest.config.revision_id.clone()));
        }
        given.name.clone_from(&name);
        engine.follow_with(now, &name, given, Arc::new(definition))
    }
}

impl Command for RollbackSchema {
    type Outcome = pb::Schema;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<pb::Schema, Error> {
        let name = self.0.name;
        let schema = engine.schema(&name)?;
        if self.0.revision_id.is_empty() {
            return Err(Error::BadArgument("revision_id"));
        }
        let revision = schema.revision(&self.0.revision_id);
        let revision = revision.ok_or_else(|| revision_not_found(&name, &self.0.revision_id))?.clone();
        engine.follow_with(now, &name, revision.config, revision.definition)
    }
}

impl Command for DeleteSchemaRevision {
    type Outcome = pb::Schema;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<pb::Schema, Error> {
        #[expect(deprecated, reason = "clients may still send the revision apart from the name")]
        let apart = self.0.revision_id;
        let (name, id) = match self.0.name.split_once('@') {
            Some((name, id)) => (name.to_owned(), id.to_owned()),
            None => (self.0.name, apart),
        };
        names::check(Kind::Schema, &name)?;
        let schema = engine.schemas.get_mut(&name).ok_or_else(|| Error::not_found(&name))?;
        if id.is_empty() {
            return Err(Error::BadArgument("revision_id"));
        }
        let place = schema.revisions.iter().position(|revision| revision.config.revision_id == id);
        let place = place.ok_or_else(|| revision_not_found(&name, &id))?;
        if schema.revisions.len() == 1 {
            return Err(Error::LastRevision(names::id(&name).to_owned()));
        }
        let removed = schema.revisions.remove(place).config;
        engine.note_schema(&name);
        Ok(removed)
    }
}

impl Command for DeleteSchema {
    type Outcome = ();
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        names::check(Kind::Schema, &self.0)?;
        engine.schema(&self.0)?;
        engine.remove_schema(&self.0);
        Ok(())
    }
}

impl Command for ValidateSchema {
    type Outcome = ();
    const CHANGES: bool = false;
    fn run(self, _engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        names::check_project(&self.0.parent)?;
        let schema = self.0.schema.unwrap_or_default();
        Definition::parse(schema.r#type(), &schema.definition).map(|_| ())
    }
}

impl Command for ValidateMessage {
    type Outcome = ();
    const CHANGES: bool = false;
    fn run(self, engine: &mut Engine, _now: Timestamp) -> Result<(), Error> {
        names::check_project(&self.0.parent)?;
        let encoding = self.0.encoding();
        if encoding == Encoding::Unspecified {
            return Err(Error::BadArgument("encoding"));
        }
        let (info, definition) = match self.0.schema_spec {
            Some(pb::validate_message_request::SchemaSpec::Name(name)) => {
                let (name, revision) = engine.schema_revision(&name)?;
                (Some((name, revision.config.revision_id.clone())), revision.definition.clone())
            }
            Some(pb::validate_message_request::SchemaSpec::Schema(schema)) => {
                (None, Arc::new(Definition::parse(schema.r#type(), &schema.definition)?))
            }
            None => return Err(Error::BadArgument("schema_spec")),
        };
        match definition.read(encoding, &self.0.message) {
            Ok(_) => Ok(()),
            Err(why) => Err(Error::SchemaViolation {
                reason: definition.violation(encoding),
                revision_info: match info {
                    Some((name, id)) => validation::revision_info(&name, &id, &why),
                    None => why,
                },
            }),
        }
    }
}

/// Lists show the basics unless asked for more; a single schema is shown in full unless asked for less.
fn list_view(asked: SchemaView) -> SchemaView {
    if asked == SchemaView::Full { SchemaView::Full } else { SchemaView::Basic }
}

fn revision_not_found(name: &str, id: &str) -> Error {
    Error::NotFound(format!("{}@{id}", names::id(name)))
}

impl Engine {
    /// Keeps a schema that is new or has changed.
    fn note_schema(&mut self, name: &str) {
        if let Some(schema) = self.schemas.get(name) {
            self.records.note(|| Change::Schema(schema.record(name)));
        }
    }

    pub(super) fn remove_schema(&mut self, name: &str) {
        if self.schemas.remove(name).is_none() {
            return;
        }
        self.records.note(|| Change::SchemaGone(name.to_owned()));
        self.policies.remove(name);
        for topic in self.topics.values_mut() {
            if let Some(settings) = topic.config.schema_settings.as_mut().filter(|settings| settings.schema == name) {
                settings.schema = DELETED_SCHEMA.to_owned();
            }
        }
    }

    pub(super) fn schema(&self, name: &str) -> Result<&Schema, Error> {
        names::check(Kind::Schema, name)?;
        self.schemas.get(name).ok_or_else(|| Error::not_found(name))
    }

    /// The definition of a revision, if it is still there.
    pub fn definition(&self, schema: &str, revision: &str) -> Option<Arc<Definition>> {
        Some(self.schemas.get(schema)?.revision(revision)?.definition.clone())
    }

    /// The revision that a name with `@revision` names, or the latest; with the name as given.
    fn schema_revision(&self, full: &str) -> Result<(String, &Revision), Error> {
        let (name, id) = full.split_once('@').map_or((full, None), |(name, id)| (name, Some(id)));
        let schema = self.schema(name)?;
        let revision = match id {
            Some(id) => schema.revision(id).ok_or_else(|| revision_not_found(name, id))?,
            None => schema.latest().ok_or_else(|| Error::not_found(name))?,
        };
        Ok((full.to_owned(), revision))
    }

    fn follow_with(
        &mut self,
        now: Timestamp,
        name: &str,
        config: pb::Schema,
        definition: Arc<Definition>,
    ) -> Result<pb::Schema, Error> {
        let mut schema = self.schemas.remove(name).ok_or_else(|| Error::not_found(name))?;
        let made = if schema.revisions.len() >= limits::SCHEMA_REVISIONS {
            Err(Error::TooManyRevisions(names::id(name).to_owned()))
        } else {
            Ok(self.add_revision(now, &mut schema, config, definition))
        };
        self.schemas.insert(name.to_owned(), schema);
        self.note_schema(name);
        made
    }

    fn add_revision(
        &mut self,
        now: Timestamp,
        schema: &mut Schema,
        mut config: pb::Schema,
        definition: Arc<Definition>,
    ) -> pb::Schema {
        let order = self.next_id();
        let mut mixed = self.first_message ^ order;
        config.revision_id = loop {
            // SplitMix64: ids look random and come again with the same clock and calls.
            mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let id = format!("{:08x}", (z ^ (z >> 31)) >> 32);
            if !schema.order.contains_key(&id) {
                break id;
            }
        };
        let (seconds, nanos) = now.to_parts();
        config.revision_create_time = Some(prost_types::Timestamp { seconds, nanos });
        schema.order.insert(config.revision_id.clone(), order);
        schema.revisions.push(Revision { config: config.clone(), definition, order });
        config
    }
}
