//! Running message transforms: outside of the engine's lock, on threads that may block.

use std::sync::Arc;

use scrimmage_protos::google::pubsub::v1 as pb;
use tokio::task::spawn_blocking;

use super::Shell;
use crate::engine::message::{Delivery, Message};
use crate::engine::publish::{Publish, PublishTransformed, check};
use crate::engine::transforms::{Settle, Transforms, Verdict};
use crate::texts::Error;

/// Publishes, through the topic's transforms where it has some. One message that fails fails the request;
/// one that is filtered has an id like the others.
pub async fn publish(shell: &Arc<Shell>, request: pb::PublishRequest) -> Result<Vec<String>, Error> {
    let transforms = shell.state().engine.topic_transforms(&request.topic);
    let Some(transforms) = transforms else { return shell.apply(Publish(request)) };
    check(&request)?;
    let pb::PublishRequest { topic, messages } = request;
    let work =
        move || messages.into_iter().map(|message| (transforms.apply(message.clone()), message)).collect::<Vec<_>>();
    let done = spawn_blocking(work).await.map_err(|_| Error::Reset)?;
    let mut messages = Vec::with_capacity(done.len());
    let mut filtered = Vec::with_capacity(done.len());
    for (verdict, original) in done {
        filtered.push(verdict == Verdict::Filtered);
        messages.push(match verdict {
            Verdict::Passed(message) => message,
            Verdict::Filtered => original,
            Verdict::Failed(why) => return Err(Error::TransformFailed(why)),
        });
    }
    shell.apply(PublishTransformed { request: pb::PublishRequest { topic, messages }, filtered })
}

/// What of these deliveries goes out, and how. Filtered messages are acknowledged; those that fail are given
/// back, to come again later or to go to the dead-letter topic.
pub async fn deliver(shell: &Arc<Shell>, subscription: &str, deliveries: Vec<Delivery>) -> Vec<Delivery> {
    let Some(first) = deliveries.first() else { return deliveries };
    let transforms = shell.state().engine.subscription_transforms(first.ack.sub);
    let Some(transforms) = transforms else { return deliveries };
    let work = move || deliveries.into_iter().map(|delivery| transformed(&transforms, delivery)).collect::<Vec<_>>();
    let Ok(done) = spawn_blocking(work).await else { return Vec::new() };
    let mut passed = Vec::with_capacity(done.len());
    for (delivery, verdict) in done {
        let accepted = match verdict {
            Ok(()) => {
                passed.push(delivery);
                continue;
            }
            Err(Some(why)) => {
                let text = format!("message {}: {why}", delivery.message.content.message_id);
                shell.ctx.journal.event("pubsub", "transform_failed", subscription.to_owned(), text);
                false
            }
            Err(None) => true,
        };
        // Where the subscription is gone there is nothing to settle.
        let _ = shell.apply(Settle { ack: delivery.ack, accepted });
    }
    passed
}

/// The delivery with its new message; or why there is none, nothing where it was filtered.
fn transformed(transforms: &Transforms, mut delivery: Delivery) -> (Delivery, Result<(), Option<String>>) {
    let verdict = match transforms.apply(delivery.message.content.clone()) {
        Verdict::Passed(content) => {
            let Message { seq, published, size, .. } = *delivery.message;
            delivery.message = Arc::new(Message { seq, published, size, content });
            Ok(())
        }
        Verdict::Filtered => Err(None),
        Verdict::Failed(why) => Err(Some(why)),
    };
    (delivery, verdict)
}
