//! From the API's messages to pipelines.

use std::collections::HashMap;
use std::sync::Arc;

use scrimmage_protos::google::firestore::v1 as pb;
use scrimmage_protos::google::firestore::v1::value::ValueType;

use super::{collection_id, values};
use crate::engine::query::Measure;
use crate::engine::query::nearest;
use crate::path::{DatabaseName, DocumentName, FieldPath};
use crate::pipeline::{
    Expression, Failure, MAX_DEPTH, Named, Ordering, Pipeline, Sample, Stage, accumulate, functions,
};
use crate::value::Value;

/// Decodes the pipelines of one database.
pub struct Decoder<'a> {
    database: &'a DatabaseName,
}

type Options = HashMap<String, pb::Value>;

impl<'a> Decoder<'a> {
    pub fn new(database: &'a DatabaseName) -> Decoder<'a> {
        Decoder { database }
    }

    pub fn pipeline(&self, pipeline: pb::Pipeline) -> Result<Pipeline, Failure> {
        self.nested(pipeline, 0)
    }

    fn nested(&self, pipeline: pb::Pipeline, depth: usize) -> Result<Pipeline, Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let mut stages = Vec::with_capacity(pipeline.stages.len());
        for (at, stage) in pipeline.stages.into_iter().enumerate() {
            let stage = self.stage(stage, depth + 1)?;
            if is_source(&stage) != (at == 0) && !matches!(stage, Stage::Let(_)) {
                return Err(Failure::invalid(if at == 0 {
                    "The first stage of a pipeline must be an input stage: collection, collection_group, database, \
                     documents, literals or subcollection."
                        .to_owned()
                } else {
                    format!("An input stage must be the first stage of a pipeline, not the {}th.", at + 1)
                }));
            }
            stages.push(stage);
        }
        if stages.is_empty() {
            return Err(Failure::invalid("A pipeline must have at least one stage."));
        }
        Ok(Pipeline { stages })
    }

    fn stage(&self, stage: pb::pipeline::Stage, depth: usize) -> Result<Stage, Failure> {
        let name = stage.name;
        let mut options = stage.options;
        let mut arguments = Arguments { stage: &name, values: stage.args.into_iter() };
        let decoded = match name.as_str() {
            "collection" => {
                let path = arguments.path()?;
                Stage::Collection(Arc::from(collection_path(&path)?))
            }
            "collection_group" => {
                // The ancestor comes first; only the root is documented.
                let ancestor = arguments.path()?;
                if !ancestor.trim_matches('/').is_empty() {
                    return Err(unimplemented("collection_group below a document"));
                }
                let id = arguments.text()?;
                collection_id(&id)?;
                Stage::CollectionGroup(Arc::from(id))
            }
            "subcollection" => Stage::Subcollection(Arc::from(collection_path(&arguments.text()?)?)),
            "database" => Stage::Database,
            "documents" => {
                let mut names = Vec::new();
                for value in arguments.values.by_ref() {
                    names.push(self.document(&reference(value, &name)?)?);
                }
                Stage::Documents(names)
            }
            "literals" => {
                let rest: Vec<pb::Value> = arguments.values.by_ref().collect();
                Stage::Literals(rest.into_iter().map(|value| self.literal(value, depth)).collect::<Result<_, _>>()?)
            }
            "where" => Stage::Where(self.expression(arguments.next()?, depth)?),
            "select" => Stage::Select(self.named(arguments.next()?, depth)?),
            "add_fields" => Stage::AddFields(self.named(arguments.next()?, depth)?),
            "let" => Stage::Let(self.named(arguments.next()?, depth)?),
            "remove_fields" => {
                let mut paths = Vec::new();
                for value in arguments.values.by_ref() {
                    paths.push(field(value, &name)?);
                }
                Stage::RemoveFields(paths)
            }
            "sort" => {
                let rest: Vec<pb::Value> = arguments.values.by_ref().collect();
                Stage::Sort(rest.into_iter().map(|value| self.ordering(value, depth)).collect::<Result<_, _>>()?)
            }
            "offset" => Stage::Offset(arguments.count()?),
            "limit" => Stage::Limit(arguments.count()?),
            "distinct" => Stage::Distinct(self.named(arguments.next()?, depth)?),
            "aggregate" => {
                let accumulators = self.named(arguments.next()?, depth)?;
                let groups = self.named(arguments.next()?, depth)?;
                for Named { expression, .. } in &accumulators {
                    match expression {
                        Expression::Function { name, .. } if accumulate::is_known(name) => {}
                        Expression::Function { name, .. } => {
                            return Err(unimplemented(&format!("the accumulator \"{name}\"")));
                        }
                        _ => return Err(Failure::invalid("An accumulator must be an aggregate function.")),
                    }
                }
                Stage::Aggregate { accumulators, groups }
            }
            "find_nearest" => self.find_nearest(&mut arguments, &mut options, depth)?,
            "replace_with" => {
                let with = self.expression(arguments.next()?, depth)?;
                match arguments.values.next().map(|mode| text(mode, &name)).transpose()?.as_deref() {
                    None | Some("full_replace") => Stage::ReplaceWith(with),
                    Some(mode) => return Err(unimplemented(&format!("replace_with in mode \"{mode}\""))),
                }
            }
            "sample" => self.sample(&mut arguments)?,
            "union" => match arguments.next()?.value_type {
                Some(ValueType::PipelineValue(other)) => Stage::Union(self.nested(other, depth)?),
                _ => return Err(arguments.wrong("a pipeline")),
            },
            "unnest" => {
                let (array, alias) = (arguments.next()?, arguments.next()?);
                // The Python client sends an expression with an alias as a map, in both places.
                let (array, alias) = match aliased(&array) {
                    Some((name, inner)) if array == alias => (inner.clone(), FieldPath::parse(name)?),
                    _ => {
                        let alias = field(alias, &name)?;
                        (array, alias)
                    }
                };
                let array = self.expression(array, depth)?;
                let index = options.remove("index_field").map(|value| field(value, &name)).transpose()?;
                Stage::Unnest { array, alias, index }
            }
            "delete" | "update" | "search" => return Err(unimplemented(&format!("the pipeline stage \"{name}\""))),
            other => return Err(Failure::invalid(format!("Unknown pipeline stage \"{other}\"."))),
        };
        if arguments.values.next().is_some() {
            return Err(Failure::invalid(format!("The stage \"{name}\" has too many arguments.")));
        }
        // Hints for the planner change no result.
        if let Some(option) = options.keys().find(|option| !matches!(option.as_str(), "hints" | "force_index")) {
            return Err(Failure::invalid(format!("The stage \"{name}\" has no option \"{option}\".")));
        }
        Ok(decoded)
    }

    fn find_nearest(
        &self,
        arguments: &mut Arguments<'_>,
        options: &mut Options,
        depth: usize,
    ) -> Result<Stage, Failure> {
        let field_expression = self.expression(arguments.next()?, depth)?;
        let vector = values::value(arguments.next()?)?;
        let vector = nearest::numbers(&vector).ok_or_else(|| arguments.wrong("a vector"))?;
        let measure = match arguments.text()?.as_str() {
            "euclidean" => Measure::Euclidean,
            "cosine" => Measure::Cosine,
            "dot_product" => Measure::DotProduct,
            _ => return Err(arguments.wrong("euclidean, cosine or dot_product")),
        };
        let limit = options.remove("limit").map(|value| count(value, "find_nearest")).transpose()?;
        let distance = options.remove("distance_field").map(|value| field(value, "find_nearest")).transpose()?;
        Ok(Stage::FindNearest { field: field_expression, vector, measure, limit, distance })
    }

    fn sample(&self, arguments: &mut Arguments<'_>) -> Result<Stage, Failure> {
        let amount = arguments.next()?;
        let mode = arguments.text()?;
        match (mode.as_str(), amount.value_type) {
            ("documents", Some(ValueType::IntegerValue(count))) => {
                let count = usize::try_from(count).map_err(|_| arguments.wrong("a number of documents"))?;
                Ok(Stage::Sample(Sample::Documents(count)))
            }
            ("percent", Some(ValueType::DoubleValue(share))) if (0.0..=1.0).contains(&share) => {
                Ok(Stage::Sample(Sample::Percent(share)))
            }
            ("percent", Some(ValueType::IntegerValue(share))) if (0..=1).contains(&share) => {
                Ok(Stage::Sample(Sample::Percent(share as f64)))
            }
            _ => Err(arguments.wrong("a number with \"documents\", or a share from 0 to 1 with \"percent\"")),
        }
    }

    fn ordering(&self, value: pb::Value, depth: usize) -> Result<Ordering, Failure> {
        let wrong = || Failure::invalid("The stage \"sort\" takes orderings: maps of direction and expression.");
        let Some(ValueType::MapValue(mut map)) = value.value_type else { return Err(wrong()) };
        let direction = map.fields.remove("direction").ok_or_else(wrong)?;
        let descending = match direction.value_type {
            Some(ValueType::StringValue(word)) if word == "ascending" => false,
            Some(ValueType::StringValue(word)) if word == "descending" => true,
            _ => return Err(wrong()),
        };
        let expression = self.expression(map.fields.remove("expression").ok_or_else(wrong)?, depth)?;
        Ok(Ordering { expression, descending })
    }

    fn named(&self, value: pb::Value, depth: usize) -> Result<Vec<Named>, Failure> {
        let Some(ValueType::MapValue(map)) = value.value_type else {
            return Err(Failure::invalid("Expected a map from names to expressions."));
        };
        let mut all = map
            .fields
            .into_iter()
            .map(|(name, value)| {
                Ok(Named { target: FieldPath::parse(&name)?, expression: self.expression(value, depth)? })
            })
            .collect::<Result<Vec<Named>, Failure>>()?;
        all.sort_by(|a, b| a.target.segments().cmp(b.target.segments()));
        Ok(all)
    }

    /// A row given as it is: a map whose values may be expressions.
    fn literal(&self, value: pb::Value, depth: usize) -> Result<Expression, Failure> {
        match &value.value_type {
            Some(ValueType::MapValue(_)) => self.expression(value, depth),
            _ => Err(Failure::invalid("The stage \"literals\" takes maps.")),
        }
    }

    pub fn expression(&self, value: pb::Value, depth: usize) -> Result<Expression, Failure> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        match value.value_type {
            Some(ValueType::FieldReferenceValue(path)) => Ok(Expression::Field(FieldPath::parse(&path)?)),
            Some(ValueType::VariableReferenceValue(name)) => Ok(Expression::Variable(Arc::from(name))),
            Some(ValueType::FunctionValue(function)) => self.function(function, depth),
            Some(ValueType::PipelineValue(_)) => {
                Err(Failure::invalid("A pipeline is an expression only as an argument of array or scalar."))
            }
            Some(ValueType::ReferenceValue(name)) => Ok(Expression::Constant(self.reference(&name)?)),
            Some(ValueType::MapValue(map)) if map.fields.values().any(is_computed) => {
                let mut entries: Vec<(String, pb::Value)> = map.fields.into_iter().collect();
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                let mut arguments = Vec::with_capacity(entries.len() * 2);
                for (key, value) in entries {
                    arguments.push(Expression::Constant(Value::string(&key)));
                    arguments.push(self.expression(value, depth + 1)?);
                }
                Ok(Expression::Function { name: Arc::from("map"), arguments })
            }
            Some(ValueType::ArrayValue(array)) if array.values.iter().any(is_computed) => {
                let arguments = array.values.into_iter().map(|value| self.expression(value, depth + 1));
                Ok(Expression::Function { name: Arc::from("array"), arguments: arguments.collect::<Result<_, _>>()? })
            }
            // Unlike a stored array, one in an expression may hold arrays.
            Some(ValueType::ArrayValue(array)) => {
                let elements = array.values.into_iter().map(|value| match self.expression(value, depth + 1)? {
                    Expression::Constant(value) => Ok(value),
                    _ => Err(Failure::invalid("An array of constants holds an expression.")),
                });
                Ok(Expression::Constant(Value::array(elements.collect::<Result<_, Failure>>()?)))
            }
            value_type => Ok(Expression::Constant(values::value(pb::Value { value_type })?)),
        }
    }

    fn function(&self, function: pb::Function, depth: usize) -> Result<Expression, Failure> {
        let pb::Function { name, mut args, options } = function;
        if let Some(option) = options.keys().next() {
            return Err(Failure::invalid(format!("The function \"{name}\" has no option \"{option}\".")));
        }
        let is_subquery = matches!(args.as_slice(), [pb::Value { value_type: Some(ValueType::PipelineValue(_)) }]);
        if is_subquery
            && matches!(name.as_str(), "array" | "scalar")
            && let Some(pb::Value { value_type: Some(ValueType::PipelineValue(pipeline)) }) = args.pop()
        {
            let pipeline = self.nested(pipeline, depth + 1)?;
            return Ok(Expression::Subquery { pipeline, scalar: name == "scalar" });
        }
        if !functions::is_known(&name) && !accumulate::is_known(&name) {
            return Err(match name.as_str() {
                "score" | "document_matches" | "geo_distance" | "matches" => {
                    unimplemented(&format!("the pipeline function \"{name}\" (search)"))
                }
                _ => Failure::invalid(format!("Unknown function \"{name}\".")),
            });
        }
        let arguments =
            args.into_iter().map(|value| self.expression(value, depth + 1)).collect::<Result<Vec<_>, _>>()?;
        Ok(Expression::Function { name: Arc::from(name), arguments })
    }

    /// A reference as clients write it in expressions: a full name, or a path from the root.
    fn reference(&self, name: &str) -> Result<Value, Failure> {
        if name.starts_with("projects/") {
            return Ok(values::value(pb::Value { value_type: Some(ValueType::ReferenceValue(name.to_owned())) })?);
        }
        let document = self.document(name)?;
        Ok(Value::Reference(Arc::from(self.database.resource(document.path()))))
    }

    fn document(&self, name: &str) -> Result<DocumentName, Failure> {
        let path = self.database.strip(name).unwrap_or(name);
        Ok(DocumentName::parse_relative(path.trim_start_matches('/'))?)
    }
}

fn too_deep() -> Failure {
    Failure::invalid(format!("The pipeline nests deeper than {MAX_DEPTH} levels."))
}

fn unimplemented(what: &str) -> Failure {
    Failure::Unimplemented(format!("Scrimmage does not have {what} yet."))
}

fn is_source(stage: &Stage) -> bool {
    matches!(
        stage,
        Stage::Collection(_)
            | Stage::CollectionGroup(_)
            | Stage::Subcollection(_)
            | Stage::Database
            | Stage::Documents(_)
            | Stage::Literals(_)
    )
}

/// Whether a value has to be computed rather than taken as it is.
fn is_computed(value: &pb::Value) -> bool {
    // Messages nest no deeper than their decoder allows, and so does this recursion.
    match &value.value_type {
        Some(
            ValueType::FieldReferenceValue(_)
            | ValueType::VariableReferenceValue(_)
            | ValueType::FunctionValue(_)
            | ValueType::PipelineValue(_),
        ) => true,
        Some(ValueType::MapValue(map)) => map.fields.values().any(is_computed),
        Some(ValueType::ArrayValue(array)) => array.values.iter().any(is_computed),
        _ => false,
    }
}

/// The only entry of a map.
fn aliased(value: &pb::Value) -> Option<(&str, &pb::Value)> {
    match &value.value_type {
        Some(ValueType::MapValue(map)) if map.fields.len() == 1 => {
            map.fields.iter().next().map(|(name, value)| (name.as_str(), value))
        }
        _ => None,
    }
}

/// A collection's path from `/a/b/c`: an odd number of ids.
fn collection_path(path: &str) -> Result<String, Failure> {
    let path = path.trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    if parts.len().is_multiple_of(2) {
        return Err(Failure::invalid(format!("\"{path}\" is not the path of a collection.")));
    }
    for id in parts {
        collection_id(id)?;
    }
    Ok(path.to_owned())
}

fn reference(value: pb::Value, stage: &str) -> Result<String, Failure> {
    match value.value_type {
        Some(ValueType::ReferenceValue(name)) => Ok(name),
        _ => Err(Failure::invalid(format!("The stage \"{stage}\" takes references."))),
    }
}

fn field(value: pb::Value, stage: &str) -> Result<FieldPath, Failure> {
    match value.value_type {
        Some(ValueType::FieldReferenceValue(path)) => Ok(FieldPath::parse(&path)?),
        // Node names the index field of unnest so.
        Some(ValueType::StringValue(path)) => Ok(FieldPath::parse(&path)?),
        _ => Err(Failure::invalid(format!("The stage \"{stage}\" takes a field here."))),
    }
}

fn text(value: pb::Value, stage: &str) -> Result<String, Failure> {
    match value.value_type {
        Some(ValueType::StringValue(text)) => Ok(text),
        _ => Err(Failure::invalid(format!("The stage \"{stage}\" takes a string here."))),
    }
}

fn count(value: pb::Value, stage: &str) -> Result<usize, Failure> {
    match value.value_type {
        Some(ValueType::IntegerValue(count)) if count >= 0 => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(Failure::invalid(format!("The stage \"{stage}\" takes an integer that is not negative."))),
    }
}

/// The positional arguments of a stage, one after the other.
struct Arguments<'a> {
    stage: &'a str,
    values: std::vec::IntoIter<pb::Value>,
}

impl Arguments<'_> {
    fn next(&mut self) -> Result<pb::Value, Failure> {
        let missing = || Failure::invalid(format!("The stage \"{}\" has too few arguments.", self.stage));
        self.values.next().ok_or_else(missing)
    }

    fn wrong(&self, wanted: &str) -> Failure {
        Failure::invalid(format!("The stage \"{}\" takes {wanted}.", self.stage))
    }

    fn path(&mut self) -> Result<String, Failure> {
        let value = self.next()?;
        reference(value, self.stage)
    }

    fn text(&mut self) -> Result<String, Failure> {
        let value = self.next()?;
        text(value, self.stage)
    }

    fn count(&mut self) -> Result<usize, Failure> {
        let value = self.next()?;
        count(value, self.stage)
    }
}
