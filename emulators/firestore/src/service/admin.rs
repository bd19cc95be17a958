//! `google.firestore.admin.v1.FirestoreAdmin`: indexes and fields. Operations are done when they
//! are answered.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use prost::Message;
use prost_types::Any;
use scrimmage_protos::google::firestore::admin::v1 as pb;
use scrimmage_protos::google::firestore::admin::v1::firestore_admin_server::FirestoreAdmin;
use scrimmage_protos::google::longrunning::{Operation, operation};
use tonic::{Request, Response, Status};

use super::Firestore;
use super::indexes::{proto_field, proto_scope};
use super::rpc::status;
use crate::engine::edition::{Concurrency, Edition};
use crate::engine::index::catalogue::{ALL_FIELDS, Catalogue, Composite, FieldSettings, Kind, QueryScope};
use crate::engine::ttl::Policy;
use crate::error::Error;
use crate::limits;
use crate::path::{DatabaseName, FieldPath};
use crate::texts;
use pb::index::index_field::{ArrayConfig, Order, ValueMode};

type Answer<T> = Result<Response<T>, Status>;

/// `{database}/collectionGroups/{group}[/{kind}/{id}]`.
struct Place<'a> {
    database: DatabaseName,
    group: &'a str,
    id: &'a str,
}

impl<'a> Place<'a> {
    /// Takes a name apart; `kind` is `indexes` or `fields`, or empty for the group itself.
    fn parse(name: &'a str, kind: &str) -> Result<Place<'a>, Error> {
        let wrong = || Error::invalid(texts::bad_admin_name(name));
        let (database, rest) = name.split_once("/collectionGroups/").ok_or_else(wrong)?;
        let database = DatabaseName::parse(database).map_err(|_| wrong())?;
        let (group, id) = match kind {
            "" => (rest, ""),
            kind => {
                let (group, rest) = rest.split_once('/').ok_or_else(wrong)?;
                let id = rest.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).ok_or_else(wrong)?;
                if id.is_empty() {
                    return Err(wrong());
                }
                (group, id)
            }
        };
        if group.is_empty() || group.contains('/') { Err(wrong()) } else { Ok(Place { database, group, id }) }
    }

    fn index_name(&self, group: &str, number: u64) -> String {
        format!("{}/collectionGroups/{group}/indexes/{}", self.database, index_id(number))
    }

    fn field_name(&self, group: &str, path: &str) -> String {
        format!("{}/collectionGroups/{group}/fields/{path}", self.database)
    }
}

fn index_id(number: u64) -> String {
    format!("CICA{number:08}")
}

fn index_number(id: &str) -> Option<u64> {
    id.strip_prefix("CICA")?.parse().ok()
}

fn decode_kind(field: &pb::index::IndexField) -> Result<Kind, Error> {
    let unset = || Error::invalid(texts::INDEX_FIELD_WITHOUT_MODE);
    Ok(match &field.value_mode {
        Some(ValueMode::Order(order)) => match Order::try_from(*order) {
            Ok(Order::Ascending) => Kind::Ascending,
            Ok(Order::Descending) => Kind::Descending,
            _ => return Err(unset()),
        },
        Some(ValueMode::ArrayConfig(config)) => match ArrayConfig::try_from(*config) {
            Ok(ArrayConfig::Contains) => Kind::Contains,
            _ => return Err(unset()),
        },
        Some(ValueMode::VectorConfig(config)) => {
            Kind::Vector(u32::try_from(config.dimension).map_err(|_| Error::invalid(texts::VECTOR_TOO_LONG))?)
        }
        Some(ValueMode::SearchConfig(_)) => return Err(Error::Unimplemented(texts::NO_TEXT_INDEXES.to_owned())),
        None => return Err(unset()),
    })
}

fn decode_scope(index: &pb::Index) -> Result<QueryScope, Error> {
    match index.query_scope() {
        pb::index::QueryScope::Collection | pb::index::QueryScope::Unspecified => Ok(QueryScope::Collection),
        pb::index::QueryScope::CollectionGroup => Ok(QueryScope::Group),
        pb::index::QueryScope::CollectionRecursive => Err(Error::invalid(texts::DATASTORE_SCOPE)),
    }
}

fn decode_index(group: &str, index: &pb::Index) -> Result<Composite, Error> {
    let mut fields = Vec::with_capacity(index.fields.len());
    for field in &index.fields {
        fields.push((FieldPath::parse(&field.field_path)?, decode_kind(field)?));
    }
    let scope = decode_scope(index)?;
    let index = Composite::new(group, scope, fields);
    let mut own = index.fields.iter().filter(|(path, _)| !path.is_name());
    if own.clone().count() > limits::INDEX_FIELDS {
        return Err(Error::invalid(texts::INDEX_TOO_WIDE));
    }
    if own.clone().filter(|(_, kind)| *kind == Kind::Contains).count() > 1 {
        return Err(Error::invalid(texts::INDEX_WITH_TWO_ARRAYS));
    }
    // What a field's own index does needs no composite one.
    if let (Some((_, kind)), None) = (own.next(), own.next())
        && let Some((_, direction)) = index.fields.iter().find(|(path, _)| path.is_name())
        && (kind == direction || (*kind == Kind::Contains && *direction == Kind::Ascending))
    {
        return Err(Error::invalid(texts::INDEX_NOT_NECESSARY));
    }
    Ok(index)
}

fn encode_index(place: &Place<'_>, number: u64, index: &Composite) -> pb::Index {
    pb::Index {
        name: place.index_name(&index.group, number),
        query_scope: proto_scope(index.scope).into(),
        fields: index.fields.iter().map(|(path, kind)| proto_field(path, *kind)).collect(),
        state: pb::index::State::Ready.into(),
        density: pb::index::Density::SparseAll.into(),
        ..pb::Index::default()
    }
}

fn encode_field(place: &Place<'_>, catalogue: &Catalogue, ttl: Option<&Policy>, group: &str, path: &str) -> pb::Field {
    let own = catalogue.field(group, path);
    let (indexes, from_group, from_path) = match FieldPath::parse(path) {
        Ok(path) => catalogue.indexes_of(group, &path),
        Err(_) => catalogue.indexes_of(group, &FieldPath::single(ALL_FIELDS)),
    };
    let inherits = own.is_none_or(|settings| settings.indexes.is_none());
    let single = |(scope, kind): &(QueryScope, Kind)| {
        let mut field = match FieldPath::parse(path) {
            Ok(path) => proto_field(&path, *kind),
            Err(_) => proto_field(&FieldPath::single(ALL_FIELDS), *kind),
        };
        field.field_path = path.to_owned();
        pb::Index {
            query_scope: proto_scope(*scope).into(),
            fields: vec![field],
            state: pb::index::State::Ready.into(),
            ..pb::Index::default()
        }
    };
    pb::Field {
        name: place.field_name(group, path),
        index_config: Some(pb::field::IndexConfig {
            indexes: indexes.iter().map(single).collect(),
            uses_ancestor_config: inherits,
            ancestor_field: if inherits { place.field_name(&from_group, &from_path) } else { String::new() },
            reverting: false,
        }),
        ttl_config: ttl.map(|policy| pb::field::TtlConfig {
            state: pb::field::ttl_config::State::Active.into(),
            expiration_offset: prost_types::Duration::try_from(policy.delay).ok().filter(|_| !policy.delay.is_zero()),
        }),
    }
}

fn any<M: Message>(name: &str, message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/google.firestore.admin.v1.{name}"), value: message.encode_to_vec() }
}

/// Which of a page's items come next: tokens are positions.
pub fn page<T>(items: Vec<T>, size: i32, token: &str) -> Result<(Vec<T>, String), Error> {
    let start: usize = match token {
        "" => 0,
        token => token.parse().map_err(|_| Error::invalid(texts::BAD_PAGE_TOKEN))?,
    };
    let size = match usize::try_from(size).map_err(|_| Error::invalid(texts::NEGATIVE_PAGE_SIZE))? {
        0 => usize::MAX,
        size => size,
    };
    let total = items.len();
    let end = start.saturating_add(size);
    let items = items.into_iter().skip(start).take(size).collect();
    Ok((items, if end < total { end.to_string() } else { String::new() }))
}

/// How long after its time a document goes.
fn expiration_offset(offset: prost_types::Duration) -> Result<Duration, Error> {
    let delay = Duration::try_from(offset).ok().filter(|delay| *delay <= limits::EXPIRATION_OFFSET);
    delay.filter(|delay| delay.subsec_nanos() == 0).ok_or_else(|| Error::invalid(texts::BAD_EXPIRATION_OFFSET))
}

impl Firestore {
    /// An operation that has ended, and is remembered.
    fn done(&self, database: &DatabaseName, metadata: Any, response: Any) -> Operation {
        let operation = Operation {
            name: format!("{database}/operations/{}", self.auto_id()),
            metadata: Some(metadata),
            done: true,
            result: Some(operation::Result::Response(response)),
        };
        self.operations.add(operation.clone());
        operation
    }

    fn timestamp(&self) -> Option<prost_types::Timestamp> {
        Some(super::encode::time(self.clock.now()))
    }

    /// A field as the API shows it.
    fn field(&self, place: &Place<'_>, group: &str, path: &str) -> pb::Field {
        let policies = self.shell.ttl_policies(&place.database);
        let own = policies.iter().find(|(of, policy)| **of == *group && policy.field.to_string() == path);
        let catalogue = self.indexes.catalogue(&place.database);
        encode_field(place, &catalogue, own.map(|(_, policy)| policy), group, path)
    }

    /// Changes what is declared for a database, where it is judged and where it is written.
    fn change<T>(
        &self,
        database: &DatabaseName,
        change: impl FnOnce(&mut Catalogue) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let install = |catalogue: &Catalogue| self.shell.declare_indexes(Some(database), catalogue.clone());
        self.indexes.change(database, change, install)
    }

    fn do_create_index(&self, request: &pb::CreateIndexRequest) -> Result<Operation, Error> {
        let place = Place::parse(&request.parent, "")?;
        let wanted = decode_index(place.group, &request.index.clone().unwrap_or_default())?;
        let number = self.change(&place.database, |catalogue| {
            if catalogue.composites().count() >= limits::COMPOSITE_INDEXES {
                return Err(Error::Precondition(texts::TOO_MANY_INDEXES.to_owned()));
            }
            catalogue.add(wanted.clone()).ok_or(Error::IndexExists)
        })?;
        let index = encode_index(&place, number, &wanted);
        let metadata = pb::IndexOperationMetadata {
            start_time: self.timestamp(),
            end_time: self.timestamp(),
            index: index.name.clone(),
            state: pb::OperationState::Successful.into(),
            ..pb::IndexOperationMetadata::default()
        };
        Ok(self.done(&place.database, any("IndexOperationMetadata", &metadata), any("Index", &index)))
    }

    fn do_list_indexes(&self, request: &pb::ListIndexesRequest) -> Result<pb::ListIndexesResponse, Error> {
        let place = Place::parse(&request.parent, "")?;
        let catalogue = self.indexes.catalogue(&place.database);
        // A dash stands for all groups.
        let of_group = catalogue.composites().filter(|(_, index)| place.group == "-" || *index.group == *place.group);
        let all = of_group.map(|(number, index)| encode_index(&place, number, index)).collect();
        let (indexes, next_page_token) = page(all, request.page_size, &request.page_token)?;
        Ok(pb::ListIndexesResponse { indexes, next_page_token })
    }

    fn do_get_index(&self, name: &str) -> Result<pb::Index, Error> {
        let place = Place::parse(name, "indexes")?;
        let catalogue = self.indexes.catalogue(&place.database);
        let number = index_number(place.id);
        let index = number.and_then(|number| Some((number, catalogue.composite(number)?)));
        let (number, index) = index.ok_or_else(|| Error::Missing(texts::index_not_found(name)))?;
        Ok(encode_index(&place, number, index))
    }

    fn do_delete_index(&self, name: &str) -> Result<(), Error> {
        let place = Place::parse(name, "indexes")?;
        let number = index_number(place.id);
        self.change(&place.database, |catalogue| {
            let removed = number.and_then(|number| catalogue.remove(number));
            removed.map(drop).ok_or_else(|| Error::Missing(texts::index_not_found(name)))
        })
    }

    fn do_get_field(&self, name: &str) -> Result<pb::Field, Error> {
        let place = Place::parse(name, "fields")?;
        if place.id != ALL_FIELDS {
            FieldPath::parse(place.id)?;
        }
        Ok(self.field(&place, place.group, place.id))
    }

    fn do_update_field(&self, request: pb::UpdateFieldRequest) -> Result<Operation, Error> {
        let field = request.field.unwrap_or_default();
        let place = Place::parse(&field.name, "fields")?;
        let path = match place.id {
            ALL_FIELDS => ALL_FIELDS.to_owned(),
            path => FieldPath::parse(path)?.to_string(),
        };
        // Without a mask the index settings alone are meant, as documented.
        let masked = |name: &str| match &request.update_mask {
            Some(mask) => mask.paths.iter().any(|path| path.split('.').next() == Some(name)),
            None => name == "index_config",
        };
        let mut indexes = None;
        if let Some(config) = &field.index_config {
            let mut all = Vec::with_capacity(config.indexes.len());
            for index in &config.indexes {
                let [one] = index.fields.as_slice() else { return Err(Error::invalid(texts::ONE_FIELD_AN_INDEX)) };
                all.push((decode_scope(index)?, decode_kind(one)?));
            }
            indexes = Some(all);
        }
        if masked("ttl_config") {
            self.change_ttl(&place, &path, field.ttl_config.as_ref())?;
        }
        if masked("index_config") {
            self.change(&place.database, |catalogue| {
                let mut settings: FieldSettings = catalogue.field(place.group, &path).cloned().unwrap_or_default();
                settings.indexes = indexes;
                catalogue.set_field(place.group, &path, settings);
                Ok(())
            })?;
        }
        let field = self.field(&place, place.group, &path);
        let metadata = pb::FieldOperationMetadata {
            start_time: self.timestamp(),
            end_time: self.timestamp(),
            field: field.name.clone(),
            state: pb::OperationState::Successful.into(),
            ..pb::FieldOperationMetadata::default()
        };
        Ok(self.done(&place.database, any("FieldOperationMetadata", &metadata), any("Field", &field)))
    }

    fn change_ttl(&self, place: &Place<'_>, path: &str, config: Option<&pb::field::TtlConfig>) -> Result<(), Error> {
        let field = FieldPath::parse(path)?;
        let policies = self.shell.ttl_policies(&place.database);
        let now = policies.iter().find(|(group, _)| **group == *place.group).map(|(_, policy)| policy);
        let policy = match (config, now) {
            (Some(config), _) => {
                let delay = config.expiration_offset.map_or(Ok(Duration::ZERO), expiration_offset)?;
                Some(Policy { field, delay })
            }
            (None, Some(now)) if now.field == field => None,
            // Another field's policy stays.
            (None, _) => return Ok(()),
        };
        self.set_ttl(&place.database, place.group, policy)
    }

    fn do_list_fields(&self, request: &pb::ListFieldsRequest) -> Result<pb::ListFieldsResponse, Error> {
        let place = Place::parse(&request.parent, "")?;
        let catalogue = self.indexes.catalogue(&place.database);
        // Documented: fields that were explicitly overridden, or those with a time to live.
        let wanted = |group: &str| place.group == "-" || group == place.group;
        let names: Vec<(String, String)> = if request.filter.contains("ttlConfig") {
            let policies = self.shell.ttl_policies(&place.database);
            policies.iter().map(|(group, policy)| (group.to_string(), policy.field.to_string())).collect()
        } else {
            let overridden = catalogue.fields().filter(|(_, _, settings)| settings.indexes.is_some());
            overridden.map(|(group, path, _)| (group.to_owned(), path.to_owned())).collect()
        };
        let names = names.iter().filter(|(group, _)| wanted(group));
        let all = names.map(|(group, path)| self.field(&place, group, path)).collect();
        let (fields, next_page_token) = page(all, request.page_size, &request.page_token)?;
        Ok(pb::ListFieldsResponse { fields, next_page_token })
    }

    fn do_get_database(&self, name: &str) -> Result<pb::Database, Error> {
        let database = DatabaseName::parse(name)?;
        Ok(self.described(&database))
    }

    /// Databases come into being when they are named; what creating one changes is what it is.
    fn do_create_database(&self, request: pb::CreateDatabaseRequest) -> Result<Operation, Error> {
        let name = format!("{}/databases/{}", request.parent, request.database_id);
        let database = DatabaseName::parse(&name)?;
        let wanted = request.database.unwrap_or_default();
        let mut edition = match wanted.database_edition() {
            pb::database::DatabaseEdition::Enterprise => Edition::ENTERPRISE,
            pb::database::DatabaseEdition::Standard | pb::database::DatabaseEdition::Unspecified => Edition::STANDARD,
        };
        match wanted.concurrency_mode() {
            pb::database::ConcurrencyMode::Unspecified => {}
            pb::database::ConcurrencyMode::Optimistic => edition.concurrency = Concurrency::Optimistic,
            pb::database::ConcurrencyMode::Pessimistic => edition.concurrency = Concurrency::Pessimistic,
            pb::database::ConcurrencyMode::OptimisticWithEntityGroups => {
                return Err(Error::invalid(texts::DATASTORE_CONCURRENCY));
            }
        }
        self.shell.create(&database, edition)?;
        self.editions.declare(database.clone(), edition);
        let metadata = any("CreateDatabaseMetadata", &pb::CreateDatabaseMetadata::default());
        let response = any("Database", &self.described(&database));
        Ok(self.done(&database, metadata, response))
    }

    /// The databases of a project that were named or declared so far, in the order of their names.
    fn do_list_databases(&self, parent: &str) -> Result<pb::ListDatabasesResponse, Error> {
        let project = parent.strip_prefix("projects/").filter(|project| !project.is_empty() && !project.contains('/'));
        let project = project.ok_or_else(|| Error::invalid(texts::bad_admin_name(parent)))?;
        let mut known = self.shell.databases();
        known.extend(self.editions.databases());
        known.retain(|database| database.project() == project);
        known.sort_unstable();
        known.dedup();
        let databases = known.iter().map(|database| self.described(database)).collect();
        Ok(pb::ListDatabasesResponse { databases, ..Default::default() })
    }

    fn described(&self, database: &DatabaseName) -> pb::Database {
        let Edition { enterprise, concurrency } = self.editions.of(database);
        let edition = match enterprise {
            true => pb::database::DatabaseEdition::Enterprise,
            false => pb::database::DatabaseEdition::Standard,
        };
        let concurrency = match concurrency {
            Concurrency::Optimistic => pb::database::ConcurrencyMode::Optimistic,
            Concurrency::Pessimistic => pb::database::ConcurrencyMode::Pessimistic,
        };
        pb::Database {
            name: database.to_string(),
            location_id: "nam5".to_owned(),
            r#type: pb::database::DatabaseType::FirestoreNative.into(),
            concurrency_mode: concurrency.into(),
            version_retention_period: prost_types::Duration::try_from(limits::VERSION_RETENTION).ok(),
            database_edition: edition.into(),
            ..pb::Database::default()
        }
    }
}

/// Methods of the trait that say what is missing; written as `async_trait` writes its methods out.
macro_rules! missing {
    ($($method:ident($request:ident) -> $answer:ty),* $(,)?) => {
        $(fn $method<'a, 'b>(&'a self, _: Request<pb::$request>) -> BoxFuture<'b, Answer<$answer>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented(texts::admin_missing(stringify!($method)))) })
        })*
    };
}

pub fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map(Response::new).map_err(status)
}

/// The admin service of a Firestore, as a type of its own: method names would meet otherwise.
#[derive(Clone, Debug)]
pub struct Admin(pub Arc<Firestore>);

#[tonic::async_trait]
impl FirestoreAdmin for Admin {
    async fn create_index(&self, request: Request<pb::CreateIndexRequest>) -> Answer<Operation> {
        answer(self.0.do_create_index(request.get_ref()))
    }

    async fn list_indexes(&self, request: Request<pb::ListIndexesRequest>) -> Answer<pb::ListIndexesResponse> {
        answer(self.0.do_list_indexes(request.get_ref()))
    }

    async fn get_index(&self, request: Request<pb::GetIndexRequest>) -> Answer<pb::Index> {
        answer(self.0.do_get_index(&request.get_ref().name))
    }

    async fn delete_index(&self, request: Request<pb::DeleteIndexRequest>) -> Answer<()> {
        answer(self.0.do_delete_index(&request.get_ref().name))
    }

    async fn get_field(&self, request: Request<pb::GetFieldRequest>) -> Answer<pb::Field> {
        answer(self.0.do_get_field(&request.get_ref().name))
    }

    async fn update_field(&self, request: Request<pb::UpdateFieldRequest>) -> Answer<Operation> {
        answer(self.0.do_update_field(request.into_inner()))
    }

    async fn list_fields(&self, request: Request<pb::ListFieldsRequest>) -> Answer<pb::ListFieldsResponse> {
        answer(self.0.do_list_fields(request.get_ref()))
    }

    async fn list_databases(&self, request: Request<pb::ListDatabasesRequest>) -> Answer<pb::ListDatabasesResponse> {
        answer(self.0.do_list_databases(&request.get_ref().parent))
    }

    async fn get_database(&self, request: Request<pb::GetDatabaseRequest>) -> Answer<pb::Database> {
        answer(self.0.do_get_database(&request.get_ref().name))
    }

    async fn create_database(&self, request: Request<pb::CreateDatabaseRequest>) -> Answer<Operation> {
        answer(self.0.do_create_database(request.into_inner()))
    }

    missing! {
        export_documents(ExportDocumentsRequest) -> Operation,
        import_documents(ImportDocumentsRequest) -> Operation,
        bulk_delete_documents(BulkDeleteDocumentsRequest) -> Operation,
        update_database(UpdateDatabaseRequest) -> Operation,
        delete_database(DeleteDatabaseRequest) -> Operation,
        create_user_creds(CreateUserCredsRequest) -> pb::UserCreds,
        get_user_creds(GetUserCredsRequest) -> pb::UserCreds,
        list_user_creds(ListUserCredsRequest) -> pb::ListUserCredsResponse,
        enable_user_creds(EnableUserCredsRequest) -> pb::UserCreds,
        disable_user_creds(DisableUserCredsRequest) -> pb::UserCreds,
        reset_user_password(ResetUserPasswordRequest) -> pb::UserCreds,
        delete_user_creds(DeleteUserCredsRequest) -> (),
        get_backup(GetBackupRequest) -> pb::Backup,
        list_backups(ListBackupsRequest) -> pb::ListBackupsResponse,
        delete_backup(DeleteBackupRequest) -> (),
        restore_database(RestoreDatabaseRequest) -> Operation,
        create_backup_schedule(CreateBackupScheduleRequest) -> pb::BackupSchedule,
        get_backup_schedule(GetBackupScheduleRequest) -> pb::BackupSchedule,
        list_backup_schedules(ListBackupSchedulesRequest) -> pb::ListBackupSchedulesResponse,
        update_backup_schedule(UpdateBackupScheduleRequest) -> pb::BackupSchedule,
        delete_backup_schedule(DeleteBackupScheduleRequest) -> (),
        clone_database(CloneDatabaseRequest) -> Operation,
    }
}
