//! Message transforms: JavaScript that filters and rewrites messages.
//!
//! What code sees and gives back: <https://cloud.google.com/pubsub/docs/smts/udfs-overview>. The engine only keeps
//! the compiled code; it is run by the shell, outside of the engine's lock: for a topic before the messages
//! are published, for a subscription each time a message is delivered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scrimmage_core::Timestamp;
use scrimmage_javascript::{ErrorKind, Js, Limits, Program, Script};
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::message_transform::Transform as Kind;

use super::backlog::AckRules;
use super::message::AckId;
use super::settings::Retry;
use super::{Command, Engine, SubId};
use crate::limits;
use crate::texts::Error;

/// How long a message rests whose transform failed, where its subscription has no retry policy. Ours.
pub const REST: Retry = Retry { least: Duration::from_millis(100), most: Duration::from_secs(60) };

/// The transforms of a topic or subscription, in order.
#[derive(Clone, Debug)]
pub struct Transforms(Arc<[Transform]>);

#[derive(Debug)]
struct Transform {
    function: String,
    program: Program,
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

impl Transforms {
    /// Checks and compiles; none where nothing is to be done.
    pub fn compile(given: &[pb::MessageTransform]) -> Result<Option<Transforms>, Error> {
        if given.len() > limits::TRANSFORMS {
            let (given, most) = (given.len().to_string(), limits::TRANSFORMS.to_string());
            return Err(Error::TooLarge { what: "message_transforms_count", given, most });
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut enabled = Vec::new();
        for transform in given {
            let udf = match &transform.transform {
                Some(Kind::JavascriptUdf(udf)) => udf,
                Some(Kind::AiInference(_)) => {
                    return Err(Error::Unimplemented("AI inference (message_transforms.ai_inference)"));
                }
                None => return Err(Error::BadTransform("a transform has no javascript_udf".to_owned())),
            };
            if seen.contains(&udf.function_name.as_str()) {
                return Err(Error::BadTransform(format!("the function {} is there twice", udf.function_name)));
            }
            seen.push(&udf.function_name);
            let compiled = compile(udf)?;
            if !transform.disabled {
                enabled.push(compiled);
            }
        }
        Ok(if enabled.is_empty() { None } else { Some(Transforms(enabled.into())) })
    }

    /// Runs a message through all transforms. Takes up to half a second for each of them.
    pub fn apply(&self, message: pb::PubsubMessage) -> Verdict {
        let mut message = message;
        for transform in self.0.iter() {
            let Ok(data) = std::str::from_utf8(&message.data) else {
                return Verdict::Failed("the data is not UTF-8".to_owned());
            };
            let arguments = [argument(data, &message.attributes), metadata(&message)];
            match transform.program.call(&transform.function, &arguments) {
                Ok(Js::Null | Js::Undefined) => return Verdict::Filtered,
                Ok(result) => match take(result) {
                    Ok((data, attributes)) => {
                        message.data = Bytes::from(data);
                        if let Some(attributes) = attributes {
                            message.attributes = attributes;
                        }
                    }
                    Err(why) => return Verdict::Failed(format!("{}: {why}", transform.function)),
                },
                Err(error) => return Verdict::Failed(format!("{}: {error}", transform.function)),
            }
        }
        Verdict::Passed(message)
    }
}

/// Compiled transforms by topic and subscription, made when first needed.
pub type Programs = HashMap<u64, (Vec<pb::MessageTransform>, Option<Transforms>)>;

impl Engine {
    /// What is done to messages that are published to a topic.
    pub fn topic_transforms(&mut self, name: &str) -> Option<Transforms> {
        let id = *self.topic_names.get(name)?;
        let given = &self.topics.get(&id)?.config.message_transforms;
        if given.is_empty() {
            return None;
        }
        let given = given.clone();
        self.compiled(id, given)
    }

    /// What is done to messages that a subscription delivers.
    pub fn subscription_transforms(&mut self, id: SubId) -> Option<Transforms> {
        let given = &self.subs.get(&id)?.config.message_transforms;
        if given.is_empty() {
            return None;
        }
        let given = given.clone();
        self.compiled(id, given)
    }

    /// Topics and subscriptions have ids of one sequence.
    fn compiled(&mut self, id: u64, given: Vec<pb::MessageTransform>) -> Option<Transforms> {
        if let Some((of, transforms)) = self.programs.get(&id)
            && *of == given
        {
            return transforms.clone();
        }
        // It compiled when the topic or subscription was made.
        let transforms = Transforms::compile(&given).ok().flatten();
        let (topics, subs) = (&self.topics, &self.subs);
        self.programs.retain(|id, _| topics.contains_key(id) || subs.contains_key(id));
        self.programs.insert(id, (given, transforms.clone()));
        transforms
    }
}

/// A delivery that a transform has decided about: its message is done with, or to come again.
#[derive(Debug)]
pub struct Settle {
    pub ack: AckId,
    pub accepted: bool,
}

impl Command for Settle {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        let AckId { sub, seq, .. } = self.ack;
        let Some(subscription) = engine.subs.get_mut(&sub) else { return Ok(()) };
        if !subscription.backlog.holds(self.ack) {
            return Ok(());
        }
        if self.accepted {
            subscription.active = now;
            subscription.backlog.ack(&mut engine.timers, self.ack, AckRules { exactly_once: false });
            engine.records.acked(sub, now, seq);
            engine.touch(sub);
            return Ok(());
        }
        let deliveries = subscription.backlog.deliveries(seq).map_or(1, |(deliveries, _)| deliveries);
        let last = subscription.settings.dead_letter.as_ref().is_some_and(|policy| deliveries >= policy.attempts);
        if subscription.settings.retry.is_none() && !last {
            // Code that fails on a message fails at once the next time too.
            let retry = Some(now + REST.delay(deliveries));
            subscription.backlog.fail(&mut engine.timers, seq, retry);
            engine.records.failed(sub, seq, retry);
            engine.touch(sub);
        } else {
            engine.fail_delivery(now, sub, seq);
        }
        Ok(())
    }
}

fn compile(udf: &pb::JavaScriptUdf) -> Result<Transform, Error> {
    let name = udf.function_name.as_str();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    if !is_name {
        return Err(Error::BadTransform(format!("{name:?} is not the name of a function")));
    }
    if udf.code.len() > limits::TRANSFORM_CODE_BYTES {
        let (given, most) = (udf.code.len().to_string(), limits::TRANSFORM_CODE_BYTES.to_string());
        return Err(Error::TooLarge { what: "javascript_udf_code_size", given, most });
    }
    let allowed = Limits { time: limits::TRANSFORM_TIME, ..Limits::default() };
    let there = format!("if (typeof {name} !== 'function') {{ throw new Error('{name} is not a function'); }}");
    let program = Program::compile(vec![Script::new(udf.code.as_str()), Script::new(there)], allowed);
    let program = program.map_err(|error| match error.kind {
        ErrorKind::Syntax => Error::BadTransform(format!("the code does not compile: {error}")),
        _ => Error::BadTransform(error.to_string()),
    })?;
    Ok(Transform { function: name.to_owned(), program })
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

    fn udf(name: &str, code: &str) -> pb::MessageTransform {
        let udf = pb::JavaScriptUdf { function_name: name.to_owned(), code: code.to_owned() };
        pb::MessageTransform { transform: Some(Kind::JavascriptUdf(udf)), ..Default::default() }
    }

    fn message(data: &str) -> pb::PubsubMessage {
        pb::PubsubMessage {
            data: data.to_owned().into(),
            attributes: [("k".to_owned(), "v".to_owned())].into(),
            ordering_key: "key".to_owned(),
            ..Default::default()
        }
    }

    fn run(code: &str, data: &str) -> Verdict {
        let transforms = Transforms::compile(&[udf("f", code)]).expect("it compiles").expect("it does something");
        transforms.apply(message(data))
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
        let both = Transforms::compile(&[first.clone(), second.clone()]).expect("good").expect("some");
        assert_eq!(both.apply(message("x")), Verdict::Passed(message("x12")));
        second.disabled = true;
        let one = Transforms::compile(&[first, second.clone()]).expect("good").expect("some");
        assert_eq!(one.apply(message("x")), Verdict::Passed(message("x1")));
        assert!(Transforms::compile(&[second]).expect("good").is_none());
    }

    #[test]
    fn code_that_cannot_work_is_refused() {
        let fine = "function f(m) { return m; }";
        for bad in
            [udf("f", "function f("), udf("g", fine), udf("f g", fine), udf("", fine), udf("f", &" ".repeat(20_001))]
        {
            assert!(Transforms::compile(&[bad]).is_err());
        }
        assert!(Transforms::compile(&[udf("f", fine), udf("f", fine)]).is_err(), "twice");
        assert!(Transforms::compile(&[pb::MessageTransform::default()]).is_err(), "empty");
    }
}
