//! Listeners: streams of targets, told of every commit that touches them.
//!
//! A target is added with its state at one time; from then on each commit that touches any target
//! of a stream is told as one consistent snapshot, closed by [`ListenEvent::Snapshot`]. A resume
//! token is a commit time: what changed after it is read from the commit log.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use scrimmage_core::Timestamp;

use super::query::{Query, run};
use super::store::{Change, Document, Store};
use super::window::{Difference, Window, difference, is_windowed};
use crate::error::Error;
use crate::path::DocumentName;

/// Commits with more changes than this in all are no longer resumable.
const LOG_CHANGES: usize = 200_000;

/// A stream of listeners. Unique in an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId {
    pub epoch: u32,
    pub database: u32,
    pub number: u64,
}

/// A target's number within its stream, as the client chose it.
pub type TargetId = i32;

/// What to listen to, and since when.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    pub kind: TargetKind,
    /// The client knows a state and wants only what changed after it.
    pub resume: Option<Resume>,
    /// To be removed once it is current.
    pub once: bool,
    /// How many documents the client believes to match at the resume time.
    pub expected_count: Option<i32>,
}

/// What a client that resumes knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// The state at this time.
    Since(Timestamp),
    /// A state of data that is gone altogether.
    Void,
}

#[derive(Clone, Debug)]
pub enum TargetKind {
    Documents(Vec<DocumentName>),
    Query(Arc<Query>),
}

/// What a stream's client is to be told.
#[derive(Clone, Debug)]
pub enum ListenEvent {
    Added(TargetId),
    /// What the client knows of the target is void; its state follows.
    Reset(TargetId),
    /// A document is, or stays, in `targets`, and has left `removed`.
    Changed {
        document: Arc<Document>,
        targets: Vec<TargetId>,
        removed: Vec<TargetId>,
    },
    /// A document was deleted, and so has left `removed`.
    Deleted {
        name: DocumentName,
        removed: Vec<TargetId>,
        read_time: Timestamp,
    },
    /// A document still exists but has left `removed`.
    Removed {
        name: DocumentName,
        removed: Vec<TargetId>,
        read_time: Timestamp,
    },
    /// Which documents match, and so how many.
    Filter {
        target: TargetId,
        names: Vec<DocumentName>,
    },
    /// The target's state has been told up to this time.
    Current {
        target: TargetId,
        read_time: Timestamp,
    },
    /// The whole stream is consistent at this time.
    Snapshot {
        read_time: Timestamp,
    },
    /// The target is gone: as asked for, or because of an error.
    TargetRemoved {
        target: TargetId,
        cause: Option<Error>,
    },
}

#[derive(Debug)]
struct Target {
    kind: TargetKind,
    /// For queries with a limit or offset. Other targets decide by the document alone.
    window: Option<Window>,
}

impl Target {
    /// Whether a document belongs to the target, the window apart.
    fn admits(&self, document: &Document) -> bool {
        match &self.kind {
            // Sorted when the target was added.
            TargetKind::Documents(names) => names.binary_search(&document.name).is_ok(),
            TargetKind::Query(query) => query.matches(document) && query.within_cursors(document),
        }
    }
}

/// Where a target is to be looked for when a document changes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Place {
    Document(DocumentName),
    Collection(Arc<str>),
    Group(Arc<str>),
    Anywhere,
}

type Address = (StreamId, TargetId);

/// All streams of a database, and the log that they resume from.
#[derive(Debug)]
pub struct Listeners {
    epoch: u32,
    database: u32,
    next: u64,
    streams: HashMap<StreamId, BTreeMap<TargetId, Target>>,
    places: HashMap<Place, BTreeSet<Address>>,
    log: VecDeque<(Timestamp, Vec<Change>)>,
    log_changes: usize,
    /// The log has every commit after this time; `None` while nobody has ever listened.
    log_from: Option<Timestamp>,
    events: Vec<(StreamId, ListenEvent)>,
}

impl Listeners {
    pub fn new(database: u32, epoch: u32) -> Listeners {
        Listeners {
            epoch,
            database,
            next: 0,
            streams: HashMap::new(),
            places: HashMap::new(),
            log: VecDeque::new(),
            log_changes: 0,
            log_from: None,
            events: Vec::new(),
        }
    }

    /// Numbers of streams are of an epoch, so that none comes twice.
    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    pub fn open(&mut self) -> StreamId {
        self.next += 1;
        let stream = StreamId { epoch: self.epoch, database: self.database, number: self.next };
        self.streams.insert(stream, BTreeMap::new());
        stream
    }

    pub fn close(&mut self, stream: StreamId) {
        for (target, state) in self.streams.remove(&stream).unwrap_or_default() {
            self.unplace((stream, target), &state.kind);
        }
        self.events.retain(|(other, _)| *other != stream);
    }

    /// The newest commit is taken back: nobody can resume from it.
    pub fn take_back(&mut self, time: Timestamp) {
        while self.log.back().is_some_and(|(at, _)| *at >= time) {
            if let Some((_, changes)) = self.log.pop_back() {
                self.log_changes -= changes.len();
            }
        }
    }

    /// Ends all streams, what they were to be told included, and says which there were.
    pub fn end_all(&mut self) -> Vec<StreamId> {
        self.events.clear();
        self.places.clear();
        self.streams.drain().map(|(stream, _)| stream).collect()
    }

    pub fn pending_events(&self, stream: StreamId) -> usize {
        self.events.iter().filter(|(other, _)| *other == stream).count()
    }

    pub fn take_events(&mut self) -> Vec<(StreamId, ListenEvent)> {
        std::mem::take(&mut self.events)
    }

    /// Adds a target with its state at `now`, which is the latest time given out.
    pub fn add(&mut self, store: &Store, now: Timestamp, stream: StreamId, id: TargetId, spec: TargetSpec) {
        if !self.streams.contains_key(&stream) {
            return;
        }
        self.log_from.get_or_insert(now);
        self.remove_silently(stream, id);
        self.tell(stream, ListenEvent::Added(id));
        let mut target = Target { kind: spec.kind, window: None };
        match &mut target.kind {
            TargetKind::Documents(names) => {
                names.sort();
                names.dedup();
            }
            TargetKind::Query(query) if is_windowed(query) => target.window = Some(Window::new(store, query, None)),
            TargetKind::Query(_) => {}
        }
        match spec.resume {
            Some(Resume::Since(time)) if time <= now && self.log_from.is_some_and(|from| time >= from) => {
                let grown = self.tell_since(store, time, now, stream, id, &target);
                if let Some(expected) = spec.expected_count {
                    // What the client should have had, if it had what there was.
                    let names: Vec<_> = members(store, &target).iter().map(|document| document.name.clone()).collect();
                    let known = i64::try_from(names.len()).unwrap_or(i64::MAX) - grown;
                    if i64::from(expected) != known {
                        self.tell(stream, ListenEvent::Filter { target: id, names });
                    }
                }
            }
            other => {
                if other.is_some() {
                    self.tell(stream, ListenEvent::Reset(id));
                }
                self.tell_all(store, now, stream, id, &target);
            }
        }
        self.tell(stream, ListenEvent::Current { target: id, read_time: now });
        self.tell(stream, ListenEvent::Snapshot { read_time: now });
        if spec.once {
            self.tell(stream, ListenEvent::TargetRemoved { target: id, cause: None });
            return;
        }
        for place in places(&target.kind) {
            self.places.entry(place).or_default().insert((stream, id));
        }
        if let Some(targets) = self.streams.get_mut(&stream) {
            targets.insert(id, target);
        }
    }

    pub fn remove(&mut self, stream: StreamId, target: TargetId) {
        self.remove_silently(stream, target);
        self.tell(stream, ListenEvent::TargetRemoved { target, cause: None });
    }

    fn remove_silently(&mut self, stream: StreamId, id: TargetId) {
        if let Some(target) = self.streams.get_mut(&stream).and_then(|targets| targets.remove(&id)) {
            self.unplace((stream, id), &target.kind);
        }
    }

    fn unplace(&mut self, address: Address, kind: &TargetKind) {
        for place in places(kind) {
            if let Some(addresses) = self.places.get_mut(&place) {
                addresses.remove(&address);
                if addresses.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
    }

    fn tell(&mut self, stream: StreamId, event: ListenEvent) {
        self.events.push((stream, event));
    }

    fn tell_all(&mut self, store: &Store, now: Timestamp, stream: StreamId, id: TargetId, target: &Target) {
        for document in members(store, target) {
            self.tell(stream, ListenEvent::Changed { document, targets: vec![id], removed: Vec::new() });
        }
        if let TargetKind::Documents(names) = &target.kind {
            for name in names.iter().filter(|name| store.get(name, None).is_none()) {
                self.tell(stream, ListenEvent::Deleted { name: name.clone(), removed: vec![id], read_time: now });
            }
        }
    }

    /// Whether a stream has a target of this number.
    pub fn has(&self, stream: StreamId, target: TargetId) -> bool {
        self.streams.get(&stream).is_some_and(|targets| targets.contains_key(&target))
    }

    /// Tells what changed in a target after `time`; returns by how many documents it has grown.
    fn tell_since(
        &mut self,
        store: &Store,
        time: Timestamp,
        now: Timestamp,
        stream: StreamId,
        id: TargetId,
        target: &Target,
    ) -> i64 {
        let mut diff = Diff::default();
        let mut grown = 0;
        if let (Some(after), TargetKind::Query(query)) = (&target.window, &target.kind) {
            let before = Window::new(store, query, Some(time));
            let (had, has) = (before.documents().len(), after.documents().len());
            grown = i64::try_from(has).unwrap_or(0) - i64::try_from(had).unwrap_or(0);
            diff.window(id, difference(before.documents(), after.documents()), store);
        } else {
            let start = self.log.partition_point(|(commit, _)| *commit <= time);
            let mut seen: HashSet<&DocumentName> = HashSet::new();
            for change in self.log.range(start..).flat_map(|(_, changes)| changes) {
                // The first change since then has what the client knows; the store has what is.
                if seen.insert(&change.name) {
                    let after = store.get(&change.name, None).cloned();
                    let whole = Change { name: change.name.clone(), before: change.before.clone(), after };
                    grown += diff.change(id, target, &whole);
                }
            }
        }
        self.events.extend(diff.into_events(now).map(|event| (stream, event)));
        grown
    }

    /// Tells every stream that has a target touched by a commit.
    pub fn publish(&mut self, store: &Store, time: Timestamp, changes: Vec<Change>) {
        if self.log_from.is_none() || changes.is_empty() {
            return;
        }
        if !self.places.is_empty() {
            for (stream, diff) in self.affected(store, &changes) {
                if !diff.is_empty() {
                    self.events.extend(diff.into_events(time).map(|event| (stream, event)));
                    self.tell(stream, ListenEvent::Snapshot { read_time: time });
                }
            }
        }
        self.append(time, changes);
    }

    fn affected(&mut self, store: &Store, changes: &[Change]) -> BTreeMap<StreamId, Diff> {
        let mut touched: BTreeMap<Address, Vec<&Change>> = BTreeMap::new();
        for change in changes {
            let keys = [
                Place::Document(change.name.clone()),
                Place::Collection(Arc::from(change.name.collection())),
                Place::Group(Arc::from(change.name.collection_id())),
                Place::Anywhere,
            ];
            for address in keys.iter().filter_map(|key| self.places.get(key)).flatten() {
                touched.entry(*address).or_default().push(change);
            }
        }
        let mut diffs: BTreeMap<StreamId, Diff> = BTreeMap::new();
        for ((stream, id), changes) in touched {
            let Some(target) = self.streams.get_mut(&stream).and_then(|targets| targets.get_mut(&id)) else {
                continue;
            };
            let diff = diffs.entry(stream).or_default();
            if let Some(window) = &mut target.window {
                diff.window(id, window.follow(store, &changes), store);
            } else {
                for change in changes {
                    diff.change(id, target, change);
                }
            }
        }
        diffs
    }

    /// Takes note of a commit of an earlier life, for those who resume.
    pub fn remember(&mut self, time: Timestamp, changes: Vec<Change>) {
        self.log_from.get_or_insert(Timestamp::from_micros(i64::MIN));
        self.append(time, changes);
    }

    /// The log says nothing reliable about times up to this one.
    pub fn forget_before(&mut self, time: Timestamp) {
        self.prune(time);
        self.log_from = self.log_from.max(Some(time));
    }

    /// All documents are gone at `time`: every target begins anew, with nothing.
    pub fn start_over(&mut self, time: Timestamp) {
        self.log.clear();
        self.log_changes = 0;
        if self.log_from.is_some() {
            self.log_from = Some(time);
        }
        let mut events = Vec::new();
        for (stream, targets) in &mut self.streams {
            for (id, target) in targets.iter_mut() {
                events.push((*stream, ListenEvent::Reset(*id)));
                if let TargetKind::Documents(names) = &target.kind {
                    events.extend(names.iter().map(|name| {
                        let (name, removed) = (name.clone(), vec![*id]);
                        (*stream, ListenEvent::Deleted { name, removed, read_time: time })
                    }));
                }
                if let Some(window) = &mut target.window {
                    window.clear();
                }
                events.push((*stream, ListenEvent::Current { target: *id, read_time: time }));
            }
            if !targets.is_empty() {
                events.push((*stream, ListenEvent::Snapshot { read_time: time }));
            }
        }
        self.events.append(&mut events);
    }

    fn append(&mut self, time: Timestamp, changes: Vec<Change>) {
        self.log_changes += changes.len();
        self.log.push_back((time, changes));
        while self.log_changes > LOG_CHANGES {
            self.forget_oldest();
        }
    }

    /// Forgets the log up to `horizon`.
    pub fn prune(&mut self, horizon: Timestamp) {
        while self.log.front().is_some_and(|(time, _)| *time <= horizon) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((time, changes)) = self.log.pop_front() {
            self.log_changes -= changes.len();
            self.log_from = Some(time);
        }
    }
}

fn places(kind: &TargetKind) -> Vec<Place> {
    match kind {
        TargetKind::Documents(names) => names.iter().cloned().map(Place::Document).collect(),
        TargetKind::Query(query) => match (query.scope.single_collection(), &query.scope.collection_id) {
            (Some(path), _) => vec![Place::Collection(Arc::from(path))],
            (None, Some(id)) => vec![Place::Group(Arc::clone(id))],
            (None, None) => vec![Place::Anywhere],
        },
    }
}

fn members(store: &Store, target: &Target) -> Vec<Arc<Document>> {
    if let Some(window) = &target.window {
        return window.documents().to_vec();
    }
    match &target.kind {
        TargetKind::Documents(names) => names.iter().filter_map(|name| store.get(name, None).cloned()).collect(),
        TargetKind::Query(query) => run::run(store, query, None).documents,
    }
}

/// What happened to the documents of one stream's targets in one snapshot.
#[derive(Default)]
struct Diff(BTreeMap<DocumentName, DocumentDiff>);

#[derive(Default)]
struct DocumentDiff {
    /// The document as it now is; `None` where it is known only to have left.
    now: Option<Arc<Document>>,
    exists: bool,
    targets: Vec<TargetId>,
    removed: Vec<TargetId>,
}

impl Diff {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a change in; returns by how many documents the target grows.
    fn change(&mut self, id: TargetId, target: &Target, change: &Change) -> i64 {
        let was_in = change.before.as_ref().is_some_and(|document| target.admits(document));
        let is_in = change.after.as_ref().is_some_and(|document| target.admits(document));
        if was_in || is_in {
            self.put(&change.name, change.after.clone(), change.after.is_some(), id, is_in);
        }
        i64::from(is_in) - i64::from(was_in)
    }

    fn window(&mut self, id: TargetId, difference: Difference, store: &Store) {
        for name in difference.left {
            let exists = store.get(&name, None).is_some();
            self.put(&name, None, exists, id, false);
        }
        for document in difference.entered {
            let name = document.name.clone();
            self.put(&name, Some(document), true, id, true);
        }
    }

    fn put(&mut self, name: &DocumentName, now: Option<Arc<Document>>, exists: bool, id: TargetId, is_in: bool) {
        let diff = self.0.entry(name.clone()).or_default();
        diff.exists = exists;
        if now.is_some() {
            diff.now = now;
        }
        if is_in { diff.targets.push(id) } else { diff.removed.push(id) }
    }

    fn into_events(self, read_time: Timestamp) -> impl Iterator<Item = ListenEvent> {
        self.0.into_iter().map(move |(name, diff)| match diff.now {
            Some(document) if !diff.targets.is_empty() => {
                ListenEvent::Changed { document, targets: diff.targets, removed: diff.removed }
            }
            _ if diff.exists => ListenEvent::Removed { name, removed: diff.removed, read_time },
            _ => ListenEvent::Deleted { name, removed: diff.removed, read_time },
        })
    }
}
