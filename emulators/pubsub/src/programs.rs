//! Compiled message transforms: JavaScript that filters and rewrites messages.
//!
//! What code sees and gives back: <https://cloud.google.com/pubsub/docs/smts/udfs-overview>. Compiling and running
//! take time by the wall clock, so this is no business of the engine's: the service does both, outside of the
//! engine's lock, on threads that may block.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use scrimmage_core::Timestamp;
use scrimmage_javascript::{ErrorKind, Js, Limits, Script};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::message_transform::Transform;

use crate::limits;
use crate::texts::Error;

/// The enabled transforms of a topic or subscription, in order.
#[derive(Clone, Debug)]
pub struct Program(Arc<[Function]>);

#[derive(Debug)]
struct Function {
    name: String,
    program: scrimmage_javascript::Program,
}

/// What became of a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    Passed(pb::PubsubMessage),
    /// Nobody is to see it.
    Filtered,
    /// In words.
    Failed(String),
}

impl Program {
    /// Compiles what [`Transforms::check`](crate::engine::transforms::Transforms::check) has found to be in order.
    /// Takes up to half a second for each transform, disabled ones included, whose code is to be good too.
    pub fn compile(given: &[pb::MessageTransform]) -> Result<Program, Error> {
        let mut functions = Vec::new();
        for transform in given {
            let Some(Transform::JavascriptUdf(udf)) = &transform.transform else { continue };
            let function = function(udf)?;
            if !transform.disabled {
                functions.push(function);
            }
        }
        Ok(Program(functions.into()))
    }

    /// Runs a message through all transforms. Takes up to half a second for each of them.
    pub fn apply(&self, message: pb::PubsubMessage) -> Verdict {
        let mut message = message;
        for function in self.0.iter() {
            let Ok(data) = std::str::from_utf8(&message.data) else {
                return Verdict::Failed("the data is not UTF-8".to_owned());
            };
            let arguments = [argument(data, &message.attributes), metadata(&message)];
            match function.program.call(&function.name, &arguments) {
                Ok(Js::Null | Js::Undefined) => return Verdict::Filtered,
                Ok(result) => match take(result) {
                    Ok((data, attributes)) => {
                        message.data = Bytes::from(data);
                        if let Some(attributes) = attributes {
                            message.attributes = attributes;
                        }
                    }
                    Err(why) => return Verdict::Failed(format!("{}: {why}", function.name)),
                },
                Err(error) => return Verdict::Failed(format!("{}: {error}", function.name)),
            }
        }
        Verdict::Passed(message)
    }
}

fn function(udf: &pb::JavaScriptUdf) -> Result<Function, Error> {
    let name = udf.function_name.as_str();
    let allowed = Limits { time: limits::TRANSFORM_TIME, ..Limits::default() };
    let there = format!("if (typeof {name} !== 'function') {{ throw new Error('{name} is not a function'); }}");
    let scripts = vec![Script::new(udf.code.as_str()), Script::new(there)];
    let program = scrimmage_javascript::Program::compile(scripts, allowed).map_err(|error| match error.kind {
        ErrorKind::Syntax => Error::BadTransform(format!("the code does not compile: {error}")),
        _ => Error::BadTransform(error.to_string()),
    })?;
    Ok(Function { name: name.to_owned(), program })
}

fn argument(data: &str, attributes: &HashMap<String, String>) -> Js {
    // Sorted, so that code that walks over them does the same every time.
    let sorted: BTreeMap<&String, &String> = attributes.iter().collect();
    let attributes = sorted.into_iter().map(|(key, value)| (key.clone(), Js::String(value.clone()))).collect();
    Js::Object(vec![
        ("data".to_owned(), Js::String(data.to_owned())),
        ("attributes".to_owned(), Js::Object(attributes)),
    ])
}

/// What is known of the message: before it is published, only its key.
fn metadata(message: &pb::PubsubMessage) -> Js {
    let mut fields = Vec::new();
    if !message.message_id.is_empty() {
        fields.push(("message_id".to_owned(), Js::String(message.message_id.clone())));
    }
    if let Some(at) = &message.publish_time {
        // Whole seconds, as documented.
        let at = Timestamp::from_parts(at.seconds, 0);
        fields.push(("publish_time".to_owned(), Js::String(at.to_string())));
    }
    if !message.ordering_key.is_empty() {
        fields.push(("ordering_key".to_owned(), Js::String(message.ordering_key.clone())));
    }
    Js::Object(fields)
}

type Rewritten = (String, Option<HashMap<String, String>>);

fn take(result: Js) -> Result<Rewritten, String> {
    let Js::Object(fields) = result else { return Err("the result is neither an object nor null".to_owned()) };
    let (mut data, mut attributes) = (None, None);
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("data", Js::String(text)) => data = Some(text),
            ("data", _) => return Err("the result's data is not a string".to_owned()),
            ("attributes", Js::Object(given)) => {
                let mut taken = HashMap::new();
                for (key, value) in given {
                    let Js::String(value) = value else { return Err(format!("the attribute {key} is not a string")) };
                    taken.insert(key, value);
                }
                attributes = Some(taken);
            }
            ("attributes", Js::Null | Js::Undefined) => {}
            ("attributes", _) => return Err("the result's attributes are not an object".to_owned()),
            _ => {}
        }
    }
    Ok((data.ok_or("the result has no data")?, attributes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::transforms::tests::udf;

    fn message(data: &str) -> pb::PubsubMessage {
        pb::PubsubMessage {
            data: data.to_owned().into(),
            attributes: [("k".to_owned(), "v".to_owned())].into(),
            ordering_key: "key".to_owned(),
            ..Default::default()
        }
    }

    fn run(code: &str, data: &str) -> Verdict {
        Program::compile(&[udf("f", code)]).expect("it compiles").apply(message(data))
    }

    #[test]
    fn code_passes_filters_rewrites_and_fails() {
        assert_eq!(run("function f(m) { return m; }", "x"), Verdict::Passed(message("x")));
        for nothing in ["null", "undefined"] {
            assert_eq!(run(&format!("function f(m) {{ return {nothing}; }}"), "x"), Verdict::Filtered);
        }
        let code =
            "function f(m, meta) { return {data: m.data + m.attributes.k + meta.ordering_key, attributes: {}}; }";
        let rewritten = pb::PubsubMessage { attributes: HashMap::new(), ..message("xvkey") };
        assert_eq!(run(code, "x"), Verdict::Passed(rewritten));
        assert_eq!(run("const f = (m) => ({data: 'y'})", "x"), Verdict::Passed(message("y")));
        for bad in [
            "function f() { throw new Error('no'); }",
            "function f() { return 'text'; }",
            "function f() { return {attributes: {}}; }",
            "function f() { return {data: 1}; }",
            "function f() { return {data: '', attributes: {a: 1}}; }",
            "function f() { while (true) {} }",
        ] {
            assert!(matches!(run(bad, "x"), Verdict::Failed(_)), "{bad}");
        }
    }

    #[test]
    fn transforms_follow_each_other_unless_disabled() {
        let first = udf("one", "function one(m) { m.data += '1'; return m; }");
        let mut second = udf("two", "function two(m) { m.data += '2'; return m; }");
        let both = Program::compile(&[first.clone(), second.clone()]).expect("good");
        assert_eq!(both.apply(message("x")), Verdict::Passed(message("x12")));
        second.disabled = true;
        let one = Program::compile(&[first, second.clone()]).expect("good");
        assert_eq!(one.apply(message("x")), Verdict::Passed(message("x1")));
        let none = Program::compile(&[second]).expect("good");
        assert_eq!(none.apply(message("x")), Verdict::Passed(message("x")));
    }

    #[test]
    fn code_that_cannot_work_is_refused() {
        let endless = "while (true) {} function f(m) { return m; }";
        for bad in [udf("f", "function f("), udf("g", "function f(m) { return m; }"), udf("f", endless)] {
            assert!(Program::compile(std::slice::from_ref(&bad)).is_err());
            assert!(Program::compile(&[pb::MessageTransform { disabled: true, ..bad }]).is_err(), "disabled");
        }
    }
}
