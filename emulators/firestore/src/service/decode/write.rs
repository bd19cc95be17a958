//! Writes: operations, masks, transforms, preconditions.

use scrimmage_protos::google::firestore::v1 as pb;

use super::values;
use crate::engine::transform::{Kind, Transform};
use crate::engine::write::{Operation, Precondition, Write};
use crate::error::Error;
use crate::limits;
use crate::path::{DatabaseName, DocumentName, FieldPath};
use crate::texts;
use crate::value::{Fields, Value};

/// A name of a document that must lie in `database`.
pub fn name_in(database: &DatabaseName, resource: &str) -> Result<DocumentName, Error> {
    let (other, name) = DocumentName::parse(resource)?;
    if other != *database {
        return Err(Error::invalid(texts::other_database(resource, database.as_str())));
    }
    Ok(name)
}

/// One write of a commit to `database`.
pub fn write(database: &DatabaseName, write: pb::Write) -> Result<Write, Error> {
    use pb::write::Operation as Op;
    let precondition = precondition(write.current_document)?;
    let bare = match &write.operation {
        Some(Op::Delete(_)) => Some("delete"),
        Some(Op::Transform(_)) => Some("transform"),
        _ => None,
    };
    if let Some(operation) = bare {
        if write.update_mask.is_some() {
            return Err(Error::invalid(texts::must_not_specify(operation, "document mask")));
        }
        if !write.update_transforms.is_empty() {
            return Err(Error::invalid(texts::must_not_specify(operation, "update transform")));
        }
    }
    match write.operation {
        None => Err(Error::invalid(texts::EMPTY_WRITE)),
        Some(Op::Update(document)) => {
            let name = name_in(database, &document.name)?;
            let operation = operation(document, write.update_mask)?;
            let transforms = transforms(write.update_transforms)?;
            Ok(Write { name, operation, transforms, precondition })
        }
        Some(Op::Delete(name)) => {
            let name = name_in(database, &name)?;
            Ok(Write { name, operation: Operation::Delete, transforms: Vec::new(), precondition })
        }
        Some(Op::Transform(transform)) => {
            let name = name_in(database, &transform.document)?;
            if transform.field_transforms.is_empty() {
                return Err(Error::invalid(texts::NO_TRANSFORMS));
            }
            let transforms = transforms(transform.field_transforms)?;
            let operation = Operation::Merge { mask: Vec::new(), fields: Fields::new() };
            Ok(Write { name, operation, transforms, precondition })
        }
    }
}

/// What an update with or without a mask does.
pub fn operation(document: pb::Document, mask: Option<pb::DocumentMask>) -> Result<Operation, Error> {
    let fields = values::fields(document.fields)?;
    let Some(mask) = mask else { return Ok(Operation::Set(fields)) };
    let mut paths = Vec::with_capacity(mask.field_paths.len());
    for path in &mask.field_paths {
        let path = FieldPath::parse(path)?;
        if path.is_name() {
            continue;
        }
        check_not_reserved(&path)?;
        paths.push(path);
    }
    Ok(Operation::Merge { mask: paths, fields })
}

pub fn precondition(condition: Option<pb::Precondition>) -> Result<Option<Precondition>, Error> {
    use pb::precondition::ConditionType;
    match condition.and_then(|condition| condition.condition_type) {
        None => Ok(None),
        Some(ConditionType::Exists(exists)) => Ok(Some(Precondition::Exists(exists))),
        Some(ConditionType::UpdateTime(time)) => Ok(Some(Precondition::UpdateTime(super::precise_time(time)?))),
    }
}

/// Refuses a path with a segment of the form `__…__`.
pub fn check_not_reserved(path: &FieldPath) -> Result<(), Error> {
    match path.reserved_segment() {
        Some(segment) => Err(Error::invalid(texts::reserved_in_path(segment))),
        None => Ok(()),
    }
}

fn transforms(transforms: Vec<pb::document_transform::FieldTransform>) -> Result<Vec<Transform>, Error> {
    if transforms.len() > limits::TRANSFORMS {
        return Err(Error::invalid(texts::too_many_transforms(transforms.len())));
    }
    let transforms: Vec<Transform> = transforms.into_iter().map(transform).collect::<Result<_, _>>()?;
    // Sorted, a path comes right before those that it leads to.
    let mut paths: Vec<&FieldPath> = transforms.iter().map(|transform| &transform.path).collect();
    paths.sort();
    for pair in paths.windows(2) {
        if let [outer, inner] = pair
            && outer != inner
            && outer.is_prefix_of(inner)
        {
            return Err(Error::invalid(texts::nested_transforms(&outer.to_string())));
        }
    }
    Ok(transforms)
}

fn transform(transform: pb::document_transform::FieldTransform) -> Result<Transform, Error> {
    use pb::document_transform::field_transform::{ServerValue, TransformType};
    let path = FieldPath::parse(&transform.field_path)?;
    check_not_reserved(&path)?;
    let kind = match transform.transform_type {
        None => return Err(Error::invalid(texts::EMPTY_TRANSFORM)),
        Some(TransformType::SetToServerValue(value)) => match ServerValue::try_from(value) {
            Ok(ServerValue::RequestTime) => Kind::ServerTime,
            _ => return Err(Error::invalid(texts::NO_SERVER_VALUE)),
        },
        Some(TransformType::Increment(by)) => Kind::Increment(number(by)?),
        Some(TransformType::Maximum(operand)) => Kind::Maximum(number(operand)?),
        Some(TransformType::Minimum(operand)) => Kind::Minimum(number(operand)?),
        Some(TransformType::AppendMissingElements(array)) => Kind::AppendMissing(values::elements(array)?),
        Some(TransformType::RemoveAllFromArray(array)) => Kind::RemoveAll(values::elements(array)?),
    };
    Ok(Transform { path, kind })
}

fn number(value: pb::Value) -> Result<Value, Error> {
    let value = values::value(value)?;
    if value.is_number() { Ok(value) } else { Err(Error::invalid(texts::NOT_A_NUMBER)) }
}
