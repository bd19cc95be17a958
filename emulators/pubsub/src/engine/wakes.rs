//! Nobody sleeps who could be served: streams and pushes under random traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scrimmage_core::Rng;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::acks::{Acknowledge, ModifyAckDeadline};
use super::consumers::FlowControl;
use super::delivery::{Leave, OpenStream, StreamBusy, TakeForStream};
use super::message::Delivery;
use super::push::{PushDone, PushJob, TakeForPush};
use super::tests::{Bench, SUB};
use super::{SubId, Token, Wake};

/// A shell that does what it is told, sooner or later.
struct Shell {
    bench: Bench,
    /// Open streams, and whether each has been woken.
    streams: BTreeMap<Token, bool>,
    pushes: BTreeSet<SubId>,
    out: Vec<Delivery>,
    jobs: Vec<PushJob>,
    published: u32,
    settled: BTreeSet<u64>,
}

impl Shell {
    fn new(ordered: bool, push: bool, window: u32) -> Shell {
        let mut bench = Bench::new();
        bench.engine.set_push_window(window);
        bench.subscribe(SUB, super::tests::TOPIC, |config| {
            config.enable_message_ordering = ordered;
            if push {
                config.push_config =
                    Some(pb::PushConfig { push_endpoint: "http://127.0.0.1:1/".into(), ..Default::default() });
            }
        });
        Shell {
            bench,
            streams: BTreeMap::new(),
            pushes: BTreeSet::new(),
            out: Vec::new(),
            jobs: Vec::new(),
            published: 0,
            settled: BTreeSet::new(),
        }
    }

    fn hear(&mut self) {
        for wake in self.bench.engine.take_wakes() {
            match wake {
                Wake::Consumer(token) => {
                    if let Some(woken) = self.streams.get_mut(&token) {
                        *woken = true;
                    }
                }
                Wake::Sink(_) => {}
                Wake::Push(sub) => {
                    self.pushes.insert(sub);
                }
            }
        }
        self.bench.engine.check();
    }

    fn take(&mut self, token: Token) {
        let taken = self.bench.run(TakeForStream(token)).expect("messages").messages;
        self.streams.insert(token, !taken.is_empty());
        self.out.extend(taken);
    }

    fn settle(&mut self, delivery: Delivery, accept: bool) {
        let ack_ids = vec![delivery.ack.to_string()];
        let subscription = SUB.to_owned();
        if accept {
            self.settled.insert(delivery.message.seq);
            self.bench.run(Acknowledge { subscription, ack_ids }).expect("ok");
        } else {
            self.bench.run(ModifyAckDeadline { subscription, ack_ids, seconds: 0 }).expect("ok");
        }
    }

    fn answer(&mut self, job: &PushJob, accepted: bool) {
        let took = Duration::from_millis(5);
        let counted = self.bench.run(PushDone { ack: job.delivery.ack, accepted, took }).expect("an outcome");
        if counted && accepted {
            self.settled.insert(job.delivery.message.seq);
        }
    }

    fn pick<T>(rng: &mut Rng, from: &[T]) -> Option<usize> {
        usize::try_from(rng.below(u64::try_from(from.len()).ok()?)).ok().filter(|_| !from.is_empty())
    }

    fn step(&mut self, rng: &mut Rng, push: bool) {
        match rng.below(100) {
            0..35 => {
                let key = ["", "a", "b"][usize::try_from(rng.below(3)).expect("small")];
                self.bench.publish(&self.published.to_string(), key);
                self.published += 1;
            }
            35..40 if !push => {
                let flow = FlowControl {
                    messages: usize::try_from(rng.below(4)).expect("small"),
                    bytes: usize::try_from(rng.below(3) * 40).expect("small"),
                };
                let open = OpenStream { subscription: SUB.to_owned(), deadline: 10, flow, client: String::new() };
                let token = self.bench.run(open).expect("a token");
                self.streams.insert(token, false);
            }
            40..43 => {
                let tokens: Vec<Token> = self.streams.keys().copied().collect();
                if let Some(index) = Self::pick(rng, &tokens) {
                    self.streams.remove(&tokens[index]);
                    self.bench.run(Leave(tokens[index])).expect("ok");
                }
            }
            43..65 => {
                let woken: Vec<Token> =
                    self.streams.iter().filter(|(_, woken)| **woken).map(|(token, _)| *token).collect();
                if let Some(index) = Self::pick(rng, &woken) {
                    if rng.chance(0.2) {
                        // It will come back by itself, as a stream does once its client reads on.
                        self.bench.run(StreamBusy(woken[index])).expect("ok");
                    } else {
                        self.take(woken[index]);
                    }
                }
                for sub in std::mem::take(&mut self.pushes) {
                    let jobs = self.bench.run(TakeForPush(sub)).expect("jobs");
                    self.jobs.extend(jobs);
                }
            }
            65..93 => {
                let accept = rng.chance(0.7);
                if let Some(index) = Self::pick(rng, &self.out) {
                    let delivery = self.out.swap_remove(index);
                    self.settle(delivery, accept);
                }
                if let Some(index) = Self::pick(rng, &self.jobs) {
                    let job = self.jobs.swap_remove(index);
                    self.answer(&job, accept);
                }
            }
            _ => self.bench.pass(Duration::from_millis(rng.below(4_000))),
        }
        self.hear();
    }

    /// With a shell that only ever does what it is woken for, everything is delivered in the end.
    fn drain(&mut self) {
        for _ in 0..200 {
            let woken: Vec<Token> = self.streams.iter().filter(|(_, woken)| **woken).map(|(token, _)| *token).collect();
            for token in woken {
                self.take(token);
            }
            for sub in std::mem::take(&mut self.pushes) {
                let jobs = self.bench.run(TakeForPush(sub)).expect("jobs");
                self.jobs.extend(jobs);
            }
            for delivery in std::mem::take(&mut self.out) {
                self.settle(delivery, true);
            }
            for job in std::mem::take(&mut self.jobs) {
                self.answer(&job, true);
            }
            self.bench.pass(Duration::from_secs(5));
            self.hear();
        }
        assert_eq!(self.settled.len(), self.published as usize);
    }
}

#[test]
fn streams_are_woken_for_everything_they_may_have() {
    for seed in 0..40 {
        let mut rng = Rng::stream(seed, "pubsub wakes");
        let mut shell = Shell::new(seed % 2 == 1, false, 8);
        for step in 0..400 {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shell.step(&mut rng, false)));
            assert!(caught.is_ok(), "seed {seed}, step {step}");
        }
        let open = OpenStream {
            subscription: SUB.to_owned(),
            deadline: 10,
            flow: FlowControl::default(),
            client: String::new(),
        };
        let token = shell.bench.run(open).expect("a token");
        shell.streams.insert(token, false);
        shell.hear();
        shell.drain();
    }
}

#[test]
fn pushes_are_called_for_everything_there_is() {
    for seed in 0..40 {
        let mut rng = Rng::stream(seed, "pubsub pushes");
        let mut shell = Shell::new(seed % 2 == 1, true, 1 + u32::try_from(seed % 5).expect("small"));
        for step in 0..400 {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shell.step(&mut rng, true)));
            assert!(caught.is_ok(), "seed {seed}, step {step}");
        }
        shell.drain();
    }
}
