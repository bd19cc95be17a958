//! What is kept across restarts: each change as a record, in the order in which the changes were made.
//!
//! The engine only writes down what it has done; the shell puts it into a log before it answers, and
//! [`restore`](super::restore) does it again. The records of one command are one [`Batch`], so that a
//! death in between leaves all of them or none.

use std::collections::BTreeMap;

use prost::Message as _;
use scrimmage_core::Timestamp;
use scrimmage_protos::google::iam::v1 as iam;
use scrimmage_protos::google::pubsub::v1 as pb;

use super::message::Delivery;
use super::{Seq, SubId, TopicId};

/// All that one command changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Batch {
    #[prost(message, repeated, tag = "1")]
    pub records: Vec<Record>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    #[prost(oneof = "Change", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22")]
    pub change: Option<Change>,
}

/// One change. Times are microseconds since the epoch.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Change {
    #[prost(message, tag = "1")]
    Counters(Counters),
    /// A topic as it is from now on, new or not.
    #[prost(message, tag = "2")]
    Topic(Topic),
    #[prost(uint64, tag = "3")]
    TopicGone(u64),
    /// A subscription as it is from now on, new or not.
    #[prost(message, tag = "4")]
    Subscription(Subscription),
    #[prost(uint64, tag = "5")]
    SubscriptionGone(u64),
    /// A new snapshot, or the new settings of one.
    #[prost(message, tag = "6")]
    Snapshot(Snapshot),
    #[prost(uint64, tag = "7")]
    SnapshotGone(u64),
    #[prost(message, tag = "8")]
    Published(Published),
    #[prost(message, tag = "9")]
    Took(Took),
    #[prost(message, tag = "10")]
    Acked(Acked),
    #[prost(message, tag = "11")]
    Moved(Moved),
    #[prost(message, tag = "12")]
    Failed(Failed),
    /// Older than the retention.
    #[prost(message, tag = "13")]
    Removed(Messages),
    #[prost(message, tag = "14")]
    Sought(Sought),
    /// A topic's log.
    #[prost(message, tag = "15")]
    Log(Messages),
    /// A subscription's backlog.
    #[prost(message, tag = "16")]
    Backlog(Backlog),
    /// The acknowledged messages that a subscription retains.
    #[prost(message, tag = "17")]
    Retained(Messages),
    /// Forwarded to the dead-letter topic.
    #[prost(message, tag = "18")]
    Buried(Messages),
    /// A schema as it is from now on, new or not.
    #[prost(message, tag = "19")]
    Schema(Schema),
    #[prost(string, tag = "20")]
    SchemaGone(String),
    /// A resource's policy.
    #[prost(message, tag = "21")]
    Policy(Policy),
    /// Taken, and given back before anybody saw it.
    #[prost(message, tag = "22")]
    Returned(Messages),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Counters {
    #[prost(uint64, tag = "1")]
    pub first_message: u64,
    #[prost(uint64, tag = "2")]
    pub ids: u64,
    #[prost(uint64, tag = "3")]
    pub seq: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Topic {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(int64, tag = "2")]
    pub at: i64,
    #[prost(message, optional, tag = "3")]
    pub config: Option<pb::Topic>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Subscription {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// When it was last used.
    #[prost(int64, tag = "2")]
    pub at: i64,
    /// 0: deleted, or detached from it.
    #[prost(uint64, tag = "3")]
    pub topic: u64,
    #[prost(message, optional, tag = "4")]
    pub config: Option<pb::Subscription>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Snapshot {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// 0: deleted.
    #[prost(uint64, tag = "2")]
    pub topic: u64,
    #[prost(message, optional, tag = "3")]
    pub config: Option<pb::Snapshot>,
    /// Its messages so far; not looked at where the snapshot is known.
    #[prost(uint64, repeated, tag = "4")]
    pub seqs: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Schema {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Oldest first.
    #[prost(message, repeated, tag = "2")]
    pub revisions: Vec<pb::Schema>,
    /// The places of all revisions there ever were, by their ids.
    #[prost(btree_map = "string, uint64", tag = "3")]
    pub order: BTreeMap<String, u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Policy {
    #[prost(string, tag = "1")]
    pub resource: String,
    #[prost(message, optional, tag = "2")]
    pub policy: Option<iam::Policy>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Published {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// 0: the message is only mentioned, by what comes later.
    #[prost(uint64, tag = "2")]
    pub topic: u64,
    #[prost(int64, tag = "3")]
    pub at: i64,
    #[prost(message, optional, tag = "4")]
    pub content: Option<pb::PubsubMessage>,
    /// The subscriptions that want it.
    #[prost(uint64, repeated, tag = "5")]
    pub subs: Vec<u64>,
}

/// Deliveries with ascending leases.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Took {
    #[prost(uint64, tag = "1")]
    pub sub: u64,
    #[prost(int64, tag = "2")]
    pub at: i64,
    #[prost(int64, tag = "3")]
    pub until: i64,
    #[prost(uint64, tag = "4")]
    pub first_lease: u64,
    #[prost(uint64, repeated, tag = "5")]
    pub seqs: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Acked {
    #[prost(uint64, tag = "1")]
    pub sub: u64,
    #[prost(int64, tag = "2")]
    pub at: i64,
    #[prost(uint64, repeated, tag = "3")]
    pub seqs: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Moved {
    #[prost(uint64, tag = "1")]
    pub sub: u64,
    #[prost(int64, tag = "2")]
    pub until: i64,
    #[prost(uint64, repeated, tag = "3")]
    pub seqs: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Failed {
    #[prost(uint64, tag = "1")]
    pub sub: u64,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    #[prost(int64, optional, tag = "3")]
    pub retry: Option<i64>,
}

/// Messages of a topic or subscription.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Messages {
    #[prost(uint64, tag = "1")]
    pub of: u64,
    #[prost(uint64, repeated, tag = "2")]
    pub seqs: Vec<u64>,
}

/// A subscription owes other messages now.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sought {
    #[prost(uint64, tag = "1")]
    pub sub: u64,
    #[prost(uint64, repeated, tag = "2")]
    pub unacked: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub acked: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Backlog {
    #[prost(uint64, tag = "1")]
    pub sub: u64,
    #[prost(uint64, tag = "2")]
    pub leases: u64,
    #[prost(message, repeated, tag = "3")]
    pub entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    #[prost(uint32, tag = "2")]
    pub deliveries: u32,
    #[prost(uint64, tag = "3")]
    pub last_lease: u64,
    /// 0 ready, 1 leased until, 2 delayed until, 3 acknowledged.
    #[prost(uint32, tag = "4")]
    pub state: u32,
    #[prost(int64, tag = "5")]
    pub until: i64,
}

impl Batch {
    pub fn of(changes: Vec<Change>) -> Vec<u8> {
        let records = changes.into_iter().map(|change| Record { change: Some(change) }).collect();
        Batch { records }.encode_to_vec()
    }
}

/// Writes down what the engine does, where anybody keeps it.
#[derive(Default, Debug)]
pub struct Recorder {
    on: bool,
    changes: Vec<Change>,
}

impl Recorder {
    pub fn start(&mut self) {
        self.on = true;
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// What was written down since the last call.
    pub fn take(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The change is only made up where it is kept.
    pub fn note(&mut self, change: impl FnOnce() -> Change) {
        if self.on {
            self.changes.push(change());
        }
    }

    pub fn topic(&mut self, id: TopicId, at: Timestamp, config: &pb::Topic) {
        self.note(|| Change::Topic(Topic { id, at: at.as_micros(), config: Some(config.clone()) }));
    }

    pub fn took(&mut self, sub: SubId, at: Timestamp, until: Timestamp, delivery: &Delivery) {
        if !self.on {
            return;
        }
        let (seq, lease) = (delivery.ack.seq, delivery.ack.lease);
        let (at, until) = (at.as_micros(), until.as_micros());
        match self.changes.last_mut() {
            Some(Change::Took(took))
                if (took.sub, took.at, took.until) == (sub, at, until)
                    && took.first_lease.saturating_add(took.seqs.len() as u64) == lease =>
            {
                took.seqs.push(seq);
            }
            _ => self.changes.push(Change::Took(Took { sub, at, until, first_lease: lease, seqs: vec![seq] })),
        }
    }

    pub fn acked(&mut self, sub: SubId, at: Timestamp, seq: Seq) {
        if !self.on {
            return;
        }
        let at = at.as_micros();
        match self.changes.last_mut() {
            Some(Change::Acked(acked)) if (acked.sub, acked.at) == (sub, at) => acked.seqs.push(seq),
            _ => self.changes.push(Change::Acked(Acked { sub, at, seqs: vec![seq] })),
        }
    }

    pub fn moved(&mut self, sub: SubId, until: Timestamp, seq: Seq) {
        if !self.on {
            return;
        }
        let until = until.as_micros();
        match self.changes.last_mut() {
            Some(Change::Moved(moved)) if (moved.sub, moved.until) == (sub, until) => moved.seqs.push(seq),
            _ => self.changes.push(Change::Moved(Moved { sub, until, seqs: vec![seq] })),
        }
    }

    pub fn failed(&mut self, sub: SubId, seq: Seq, retry: Option<Timestamp>) {
        self.note(|| Change::Failed(Failed { sub, seq, retry: retry.map(Timestamp::as_micros) }));
    }

    pub fn returned(&mut self, of: SubId, seq: Seq) {
        if !self.on {
            return;
        }
        match self.changes.last_mut() {
            Some(Change::Returned(returned)) if returned.of == of => returned.seqs.push(seq),
            _ => self.changes.push(Change::Returned(Messages { of, seqs: vec![seq] })),
        }
    }

    pub fn removed(&mut self, of: SubId, seq: Seq) {
        if !self.on {
            return;
        }
        match self.changes.last_mut() {
            Some(Change::Removed(removed)) if removed.of == of => removed.seqs.push(seq),
            _ => self.changes.push(Change::Removed(Messages { of, seqs: vec![seq] })),
        }
    }
}
