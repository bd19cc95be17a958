//! Streaming pull: one task a stream, asleep unless its client says something or it is woken.

use std::sync::Arc;

use scrimmage_protos::google::pubsub::v1 as pb;
use scrimmage_protos::google::pubsub::v1::streaming_pull_response as parts;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::subscriber::check_size;
use super::transforming::{Begun, Work};
use super::{Consumer, Shell, transforming};
use crate::engine::acks::{Confirmed, StreamAcks};
use crate::engine::consumers::FlowControl;
use crate::engine::delivery::{OpenStream, SetStreamDeadline, StreamBusy, TakeForStream, Taken};
use crate::engine::message::Delivery;
use crate::texts::Error;

type Answer = Result<pb::StreamingPullResponse, Status>;

/// Responses that may wait for the connection before the stream stops taking messages.
const BUFFER: usize = 16;

/// Begins a stream; the first request may come later than this call.
pub fn open(shell: &Arc<Shell>, requests: Streaming<pb::StreamingPullRequest>) -> ReceiverStream<Answer> {
    let (answers, stream) = mpsc::channel(BUFFER);
    let shell = shell.clone();
    tokio::spawn(async move {
        let mut resets = shell.resets.subscribe();
        let lifetime = shell.stream_lifetime();
        tokio::select! {
            ended = run(&shell, requests, &answers) => {
                if let Err(status) = ended {
                    // Nobody is there to hear it where the client has gone.
                    let _ = answers.send(Err(status)).await;
                }
            }
            () = answers.closed() => {}
            () = shell.ctx.clock.sleep(lifetime) => {
                let _ = answers.send(Err(Error::StreamOver.into())).await;
            }
            _ = resets.changed() => {
                let _ = answers.try_send(Err(Error::Reset.into()));
            }
        }
    });
    ReceiverStream::new(stream)
}

async fn run(
    shell: &Arc<Shell>,
    mut requests: Streaming<pb::StreamingPullRequest>,
    answers: &mpsc::Sender<Answer>,
) -> Result<(), Status> {
    let Some(first) = requests.message().await? else { return Ok(()) };
    let subscription = first.subscription.clone();
    let flow = FlowControl {
        messages: usize::try_from(first.max_outstanding_messages).unwrap_or(0),
        bytes: usize::try_from(first.max_outstanding_bytes).unwrap_or(0),
    };
    let open = OpenStream {
        subscription: subscription.clone(),
        deadline: first.stream_ack_deadline_seconds,
        flow,
        client: first.client_id.clone(),
    };
    let consumer = Consumer::new(shell, shell.apply(open)?);
    let stream = Stream { shell, subscription, consumer: &consumer, keep_alive: first.protocol_version > 0 };
    // The first answer tells the properties, so that the client knows them before any message.
    let mut taken = shell.apply(TakeForStream(consumer.token))?;
    let mut awake = !taken.messages.is_empty();
    let mut work = stream.begin(&mut taken)?;
    let messages = std::mem::take(&mut taken.messages);
    send(answers, response(&taken, messages)).await;
    stream.settle(first, answers).await?;
    loop {
        while awake && work.is_none() {
            match answers.try_reserve() {
                Ok(place) => {
                    taken = shell.apply(TakeForStream(consumer.token))?;
                    awake = !taken.messages.is_empty();
                    work = stream.begin(&mut taken)?;
                    if !taken.messages.is_empty() {
                        let messages = std::mem::take(&mut taken.messages);
                        place.send(Ok(response(&taken, messages)));
                    }
                }
                Err(TrySendError::Closed(())) => return Ok(()),
                Err(TrySendError::Full(())) => {
                    shell.apply(StreamBusy(consumer.token))?;
                    break;
                }
            }
        }
        tokio::select! {
            request = requests.message() => match request? {
                Some(request) => stream.obey(request, answers).await?,
                None => return Ok(()),
            },
            () = consumer.bell.notified() => awake = true,
            messages = done(&mut work) => {
                work = None;
                // There may be more than one slice's worth.
                awake = true;
                if !messages.is_empty() {
                    send(answers, response(&taken, messages)).await;
                }
            }
            place = answers.reserve(), if awake && work.is_none() => {
                if place.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// What transforms have passed on, or never where none are at work.
async fn done(work: &mut Option<Work>) -> Vec<Delivery> {
    match work {
        Some(work) => work.done().await,
        None => std::future::pending().await,
    }
}

struct Stream<'a> {
    shell: &'a Arc<Shell>,
    subscription: String,
    consumer: &'a Consumer,
    /// Whether the client wants an answer to each of its heartbeats.
    keep_alive: bool,
}

impl Stream<'_> {
    /// Hands what was taken to the subscription's transforms; where it has none, the messages stay where they are.
    fn begin(&self, taken: &mut Taken) -> Result<Option<Work>, Error> {
        match transforming::begin(self.shell, &self.subscription, std::mem::take(&mut taken.messages)) {
            Begun::Done(messages) => {
                taken.messages = messages;
                Ok(None)
            }
            Begun::UnderWay(work) => {
                // Others are to take what comes meanwhile.
                self.shell.apply(StreamBusy(self.consumer.token))?;
                Ok(Some(work))
            }
        }
    }

    /// A later request: what may not change does not, the rest is done.
    async fn obey(&self, request: pb::StreamingPullRequest, answers: &mpsc::Sender<Answer>) -> Result<(), Status> {
        for (field, set) in [
            ("subscription", !request.subscription.is_empty()),
            ("client_id", !request.client_id.is_empty()),
            ("max_outstanding_messages", request.max_outstanding_messages != 0),
            ("max_outstanding_bytes", request.max_outstanding_bytes != 0),
            ("protocol_version", request.protocol_version != 0),
        ] {
            if set {
                return Err(Error::OnlyFirst(field).into());
            }
        }
        if request.stream_ack_deadline_seconds != 0 {
            let deadline = request.stream_ack_deadline_seconds;
            self.shell.apply(SetStreamDeadline { token: self.consumer.token, deadline })?;
        }
        self.settle(request, answers).await
    }

    async fn settle(&self, request: pb::StreamingPullRequest, answers: &mpsc::Sender<Answer>) -> Result<(), Status> {
        check_size(&request)?;
        if request.modify_deadline_ack_ids.len() != request.modify_deadline_seconds.len() {
            return Err(Error::DeadlineCount.into());
        }
        let heartbeat = request.ack_ids.is_empty() && request.modify_deadline_ack_ids.is_empty();
        if heartbeat && !(self.keep_alive && request.subscription.is_empty()) {
            return Ok(());
        }
        let confirmed = self.shell.apply(StreamAcks {
            subscription: self.subscription.clone(),
            acks: request.ack_ids,
            deadlines: request.modify_deadline_ack_ids.into_iter().zip(request.modify_deadline_seconds).collect(),
        })?;
        if confirmed.exactly_once || heartbeat {
            send(answers, confirmation(confirmed)).await;
        }
        Ok(())
    }
}

/// A closed channel is noticed where the stream next looks for something to do.
async fn send(answers: &mpsc::Sender<Answer>, response: pb::StreamingPullResponse) {
    let _ = answers.send(Ok(response)).await;
}

fn properties(exactly_once: bool, ordered: bool) -> Option<parts::SubscriptionProperties> {
    // In every response: clients take a response without them as "not exactly once any more".
    Some(parts::SubscriptionProperties {
        exactly_once_delivery_enabled: exactly_once,
        message_ordering_enabled: ordered,
    })
}

fn response(taken: &Taken, messages: Vec<Delivery>) -> pb::StreamingPullResponse {
    pb::StreamingPullResponse {
        received_messages: messages.into_iter().map(Delivery::into_received).collect(),
        subscription_properties: properties(taken.exactly_once, taken.ordered),
        ..Default::default()
    }
}

fn confirmation(confirmed: Confirmed) -> pb::StreamingPullResponse {
    let acks =
        !(confirmed.acked.is_empty() && confirmed.invalid_acks.is_empty() && confirmed.unordered_acks.is_empty());
    let moves = !(confirmed.moved.is_empty() && confirmed.invalid_moves.is_empty());
    pb::StreamingPullResponse {
        subscription_properties: properties(confirmed.exactly_once, confirmed.ordered),
        acknowledge_confirmation: acks.then_some(parts::AcknowledgeConfirmation {
            ack_ids: confirmed.acked,
            invalid_ack_ids: confirmed.invalid_acks,
            unordered_ack_ids: confirmed.unordered_acks,
            temporary_failed_ack_ids: Vec::new(),
        }),
        modify_ack_deadline_confirmation: moves.then_some(parts::ModifyAckDeadlineConfirmation {
            ack_ids: confirmed.moved,
            invalid_ack_ids: confirmed.invalid_moves,
            temporary_failed_ack_ids: Vec::new(),
        }),
        ..Default::default()
    }
}
