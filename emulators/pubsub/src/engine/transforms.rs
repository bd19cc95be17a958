//! Message transforms, as far as the engine goes: what they may be, and what their verdicts do.
//!
//! The engine keeps the transforms of topics and subscriptions as they were given and runs none: the service
//! compiles them into a [`Program`] before it tells the engine of them ([`With`]) or, after a restart, before
//! their first use.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use scrimmage_core::Timestamp;
use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::message_transform::Transform;

use super::backlog::AckRules;
use super::message::AckId;
use super::settings::Retry;
use super::{Command, Engine, SubId};
use crate::limits;
use crate::programs::Program;
use crate::texts::Error;

/// How long a message rests whose transform failed, where its subscription has no retry policy. Ours.
pub const REST: Retry = Retry { least: Duration::from_millis(100), most: Duration::from_secs(60) };

/// The transforms of a topic or subscription.
#[derive(Debug)]
pub struct Transforms {
    given: Vec<pb::MessageTransform>,
    /// What they compile to, once somebody has done it. Code that does not compile is tried again.
    program: OnceLock<Program>,
}

impl Transforms {
    /// Of transforms that were checked; none where there is nothing to do.
    fn new(given: &[pb::MessageTransform]) -> Option<Arc<Transforms>> {
        let enabled = given.iter().any(|transform| !transform.disabled);
        enabled.then(|| Arc::new(Transforms { given: given.to_vec(), program: OnceLock::new() }))
    }

    /// The same, compiled. Not to be called under a lock: it runs code.
    pub fn compiled(given: &[pb::MessageTransform]) -> Result<Option<Arc<Transforms>>, Error> {
        Transforms::check(given)?;
        let program = Program::compile(given)?;
        let transforms = Transforms::new(given);
        if let Some(transforms) = &transforms {
            let _ = transforms.program.set(program);
        }
        Ok(transforms)
    }

    /// The compiled code. Not to be called under a lock: the first time it may run code.
    pub fn program(&self) -> Result<&Program, Error> {
        if let Some(program) = self.program.get() {
            return Ok(program);
        }
        let program = Program::compile(&self.given)?;
        Ok(self.program.get_or_init(|| program))
    }

    /// Checks what can be said of transforms without running them.
    pub fn check(given: &[pb::MessageTransform]) -> Result<(), Error> {
        if given.len() > limits::TRANSFORMS {
            let (given, most) = (given.len().to_string(), limits::TRANSFORMS.to_string());
            return Err(Error::TooLarge { what: "message_transforms_count", given, most });
        }
        let mut seen: Vec<&str> = Vec::new();
        for transform in given {
            let udf = match &transform.transform {
                Some(Transform::JavascriptUdf(udf)) => udf,
                Some(Transform::AiInference(_)) => {
                    return Err(Error::Unimplemented("AI inference (message_transforms.ai_inference)"));
                }
                None => return Err(Error::BadTransform("a transform has no javascript_udf".to_owned())),
            };
            let name = udf.function_name.as_str();
            if seen.contains(&name) {
                return Err(Error::BadTransform(format!("the function {name} is there twice")));
            }
            seen.push(name);
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
            if !is_name {
                return Err(Error::BadTransform(format!("{name:?} is not the name of a function")));
            }
            if udf.code.len() > limits::TRANSFORM_CODE_BYTES {
                let (given, most) = (udf.code.len().to_string(), limits::TRANSFORM_CODE_BYTES.to_string());
                return Err(Error::TooLarge { what: "javascript_udf_code_size", given, most });
            }
        }
        Ok(())
    }
}

/// A command, and the compiled transforms of the topic or subscription that it makes or changes.
#[derive(Debug)]
pub struct With<C> {
    pub command: C,
    pub transforms: Option<Arc<Transforms>>,
}

impl<C: Command> Command for With<C> {
    type Outcome = C::Outcome;
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<C::Outcome, Error> {
        engine.offered = self.transforms;
        let outcome = self.command.run(engine, now);
        engine.offered = None;
        outcome
    }
}

impl Engine {
    /// What is done to messages that are published to a topic.
    pub fn topic_transforms(&self, name: &str) -> Option<Arc<Transforms>> {
        self.topics.get(self.topic_names.get(name)?)?.transforms.clone()
    }

    /// What is done to messages that a subscription delivers.
    pub fn subscription_transforms(&self, id: SubId) -> Option<Arc<Transforms>> {
        self.subs.get(&id)?.transforms.clone()
    }

    /// The transforms of a topic or subscription that had others so far: compiled already, if it can be.
    pub(super) fn transforms(
        &self,
        given: &[pb::MessageTransform],
        before: Option<&Arc<Transforms>>,
    ) -> Option<Arc<Transforms>> {
        let known = before.into_iter().chain(&self.offered).find(|known| known.given == given);
        known.cloned().or_else(|| Transforms::new(given))
    }
}

/// What a transform, or its want, made of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Filtered: the message is done with.
    Filtered,
    /// The message is to come again, or goes to the dead-letter topic.
    Failed,
    /// Nobody has seen it: it is ready again, as if it had never been taken.
    Untouched,
}

/// Deliveries that will not go out.
#[derive(Debug)]
pub struct Settle(pub Vec<(AckId, Fate)>);

impl Command for Settle {
    type Outcome = ();
    fn run(self, engine: &mut Engine, now: Timestamp) -> Result<(), Error> {
        for (ack, fate) in self.0 {
            engine.settle(now, ack, fate);
        }
        Ok(())
    }
}

impl Engine {
    fn settle(&mut self, now: Timestamp, ack: AckId, fate: Fate) {
        let AckId { sub, seq, .. } = ack;
        let Some(subscription) = self.subs.get_mut(&sub) else { return };
        if !subscription.backlog.holds(ack) {
            return;
        }
        match fate {
            Fate::Filtered => {
                subscription.active = now;
                subscription.backlog.ack(&mut self.timers, ack, AckRules { exactly_once: false });
                self.records.acked(sub, now, seq);
            }
            Fate::Untouched => {
                subscription.backlog.untake(&mut self.timers, seq);
                self.records.returned(sub, seq);
            }
            Fate::Failed => {
                let deliveries = subscription.backlog.deliveries(seq).map_or(1, |(deliveries, _)| deliveries);
                let dead_letter = subscription.settings.dead_letter.as_ref();
                let last = dead_letter.is_some_and(|policy| deliveries >= policy.attempts);
                if subscription.settings.retry.is_some() || last {
                    self.fail_delivery(now, sub, seq);
                } else {
                    // Code that fails on a message fails at once the next time too.
                    let retry = Some(now + REST.delay(deliveries));
                    subscription.backlog.fail(&mut self.timers, seq, retry);
                    self.records.failed(sub, seq, retry);
                }
            }
        }
        self.touch(sub);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn udf(name: &str, code: &str) -> pb::MessageTransform {
        let udf = pb::JavaScriptUdf { function_name: name.to_owned(), code: code.to_owned() };
        pb::MessageTransform { transform: Some(Transform::JavascriptUdf(udf)), ..Default::default() }
    }

    #[test]
    fn transforms_that_cannot_be_are_refused_without_running_them() {
        let fine = "while (true) {}";
        Transforms::check(&[udf("f", fine)]).expect("nothing is run");
        for bad in [udf("f g", fine), udf("", fine), udf("f", &" ".repeat(20_001))] {
            assert!(Transforms::check(&[bad]).is_err());
        }
        assert!(Transforms::check(&[udf("f", fine), udf("f", fine)]).is_err(), "twice");
        assert!(Transforms::check(&[pb::MessageTransform::default()]).is_err(), "empty");
        let six: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| udf(name, fine)).into();
        assert!(Transforms::check(&six).is_err(), "too many");
    }
}
