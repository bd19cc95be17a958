//! Running message transforms: outside of the engine's lock, on threads that may block.

use std::sync::Arc;
use std::time::Instant;

use scrimmage_protos::google::pubsub::v1 as pb;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::Shell;
use crate::engine::Command;
use crate::engine::message::{AckId, Delivery, Message};
use crate::engine::publish::{Publish, PublishTransformed, check};
use crate::engine::transforms::{Fate, Settle, Transforms, With};
use crate::limits;
use crate::programs::{Program, Verdict};
use crate::texts::Error;

/// Runs a command that gives a topic or subscription these transforms, which are compiled first.
pub async fn apply_with<C: Command>(
    shell: &Arc<Shell>,
    given: &[pb::MessageTransform],
    command: C,
) -> Result<C::Outcome, Error> {
    if given.is_empty() {
        return shell.apply(command);
    }
    let given = given.to_vec();
    let transforms = spawn_blocking(move || Transforms::compiled(&given)).await.map_err(|_| Error::Reset)??;
    shell.apply(With { command, transforms })
}

/// The transforms of an update, where its mask has them.
pub fn masked<'a>(
    mask: Option<&prost_types::FieldMask>,
    given: Option<&'a Vec<pb::MessageTransform>>,
) -> &'a [pb::MessageTransform] {
    let named = mask.is_some_and(|mask| mask.paths.iter().any(|path| path.starts_with("message_transforms")));
    given.filter(|_| named).map(Vec::as_slice).unwrap_or_default()
}

/// Publishes, through the topic's transforms where it has some. One message that fails fails the request;
/// one that is filtered has an id like the others.
pub async fn publish(shell: &Arc<Shell>, request: pb::PublishRequest) -> Result<Vec<String>, Error> {
    let transforms = shell.state().engine.topic_transforms(&request.topic);
    let Some(transforms) = transforms else { return shell.apply(Publish(request)) };
    check(&request)?;
    let pb::PublishRequest { topic, messages } = request;
    let (finished, work) = oneshot::channel();
    spawn_blocking(move || {
        let done = published(&transforms, messages, || finished.is_closed());
        // Nobody listens where the client has gone.
        let _ = finished.send(done);
    });
    let (messages, filtered) = work.await.map_err(|_| Error::Reset)??;
    shell.apply(PublishTransformed { request: pb::PublishRequest { topic, messages }, filtered })
}

/// The messages as they are to be published, and which of them are filtered.
fn published(
    transforms: &Transforms,
    messages: Vec<pb::PubsubMessage>,
    given_up: impl Fn() -> bool,
) -> Result<(Vec<pb::PubsubMessage>, Vec<bool>), Error> {
    let program = transforms.program()?;
    let mut done = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
    for message in messages {
        if given_up() {
            return Err(Error::Reset);
        }
        let verdict = program.apply(message.clone());
        done.1.push(verdict == Verdict::Filtered);
        done.0.push(match verdict {
            Verdict::Passed(message) => message,
            Verdict::Filtered => message,
            Verdict::Failed(why) => return Err(Error::TransformFailed(why)),
        });
    }
    Ok(done)
}

/// Deliveries on their way through a subscription's transforms.
pub enum Begun {
    /// There are none, or nothing to do.
    Done(Vec<Delivery>),
    UnderWay(Work),
}

/// Transforms at work, for about a second at the most. Dropped, it gives back what nobody has seen.
pub struct Work {
    shell: Arc<Shell>,
    passed: oneshot::Receiver<Vec<Delivery>>,
}

impl Work {
    /// What goes out, and how it does; perhaps nothing. Once.
    pub async fn done(&mut self) -> Vec<Delivery> {
        (&mut self.passed).await.unwrap_or_default()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.passed.close();
        if let Ok(passed) = self.passed.try_recv() {
            give_back(&self.shell, passed);
        }
    }
}

/// Begins to transform deliveries of one subscription. Filtered messages are acknowledged; those that fail are
/// given back, to come again later or to go to the dead-letter topic. What is not done in
/// [`limits::TRANSFORM_SLICE`] is given back untouched, so that nothing waits for long here while its lease runs.
pub fn begin(shell: &Arc<Shell>, subscription: &str, deliveries: Vec<Delivery>) -> Begun {
    let Some(first) = deliveries.first() else { return Begun::Done(deliveries) };
    let transforms = shell.state().engine.subscription_transforms(first.ack.sub);
    let Some(transforms) = transforms else { return Begun::Done(deliveries) };
    let (finished, passed) = oneshot::channel();
    let work = Work { shell: shell.clone(), passed };
    let (shell, subscription) = (shell.clone(), subscription.to_owned());
    spawn_blocking(move || {
        let Slice { mut passed, mut fates, failures } = slice(&transforms, deliveries, || finished.is_closed());
        for failure in failures {
            shell.ctx.journal.event("pubsub", "transform_failed", subscription.clone(), failure);
        }
        // Of one that is gone there is nothing to settle.
        let _ = shell.apply(Settle(std::mem::take(&mut fates)));
        // A failure takes back what comes behind it in its key; and time has passed.
        let state = shell.state();
        passed.retain(|delivery| state.engine.holds(delivery.ack));
        drop(state);
        if let Err(unseen) = finished.send(passed) {
            give_back(&shell, unseen);
        }
    });
    Begun::UnderWay(work)
}

/// The same, to its end.
pub async fn deliver(shell: &Arc<Shell>, subscription: &str, deliveries: Vec<Delivery>) -> Vec<Delivery> {
    match begin(shell, subscription, deliveries) {
        Begun::Done(deliveries) => deliveries,
        Begun::UnderWay(mut work) => work.done().await,
    }
}

fn give_back(shell: &Arc<Shell>, deliveries: Vec<Delivery>) {
    if !deliveries.is_empty() {
        let fates = deliveries.into_iter().map(|delivery| (delivery.ack, Fate::Untouched)).collect();
        let _ = shell.apply(Settle(fates));
    }
}

struct Slice {
    passed: Vec<Delivery>,
    fates: Vec<(AckId, Fate)>,
    /// For the journal.
    failures: Vec<String>,
}

/// Transforms one delivery after the other until time is up.
fn slice(transforms: &Transforms, deliveries: Vec<Delivery>, given_up: impl Fn() -> bool) -> Slice {
    let begun = Instant::now();
    let program = transforms.program();
    let mut slice = Slice { passed: Vec::new(), fates: Vec::new(), failures: Vec::new() };
    let mut over = false;
    for (at, mut delivery) in deliveries.into_iter().enumerate() {
        // The first is always done: otherwise slow code would never get anywhere.
        over = over || given_up() || (at > 0 && begun.elapsed() >= limits::TRANSFORM_SLICE);
        if over {
            slice.fates.push((delivery.ack, Fate::Untouched));
            continue;
        }
        match verdict(&program, &delivery) {
            Verdict::Passed(content) => {
                let Message { seq, published, size, .. } = *delivery.message;
                delivery.message = Arc::new(Message { seq, published, size, content });
                slice.passed.push(delivery);
            }
            Verdict::Filtered => slice.fates.push((delivery.ack, Fate::Filtered)),
            Verdict::Failed(why) => {
                slice.failures.push(format!("message {}: {why}", delivery.message.content.message_id));
                slice.fates.push((delivery.ack, Fate::Failed));
            }
        }
    }
    slice
}

fn verdict(program: &Result<&Program, Error>, delivery: &Delivery) -> Verdict {
    match program {
        Ok(program) => program.apply(delivery.message.content.clone()),
        // It compiled once; now the machine is too busy, say.
        Err(error) => Verdict::Failed(error.to_string()),
    }
}
