//! Firestore's clients: documents of their own, counters that they share, and queries.

use scrimmage_protos::google::firestore::v1 as proto;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;

use super::Seen;
use crate::LoadError;
use crate::live::Connections;

const SERVICE: &str = "firestore";
/// Documents that one client writes again and again.
const OWN: usize = 8;
/// Counters that all share.
const COUNTERS: usize = 20;

pub(super) struct Clients(Connections);

impl Clients {
    pub(super) async fn connect(endpoint: &str, count: usize) -> Result<Clients, LoadError> {
        Ok(Clients(Connections::open(endpoint, count).await?))
    }

    pub(super) fn count(&self) -> usize {
        self.0.count()
    }

    pub(super) fn begin(&self, tasks: &mut JoinSet<Seen>, stopped: &watch::Receiver<bool>) {
        for who in 0..self.0.count() {
            let (connections, stopped) = (self.0.clone(), stopped.clone());
            tasks.spawn(async move {
                let mut seen = Seen::default();
                let mut round = 0;
                // At least once, however short it is.
                loop {
                    act(&connections, who, round, &mut seen).await;
                    round += 1;
                    if *stopped.borrow() {
                        break;
                    }
                }
                seen
            });
        }
    }
}

fn text(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

async fn act(connections: &Connections, who: usize, round: usize, seen: &mut Seen) {
    let own = |number: usize| connections.soaked(&format!("own/{who}-{number}"));
    let begun = Instant::now();
    match round % 10 {
        0..=5 => {
            let written = connections.set_small(who, own(round % OWN), round).await.map_err(text);
            seen.note(SERVICE, "Commit (set)", begun, written);
        }
        6 | 7 => {
            let counter = connections.soaked(&format!("counters/{}", (who + round) % COUNTERS));
            let counted = connections.count_up(who, counter).await.map_err(text);
            seen.note(SERVICE, "Commit (increment)", begun, counted);
        }
        8 => {
            let found = connections.query_small(who, round % 30, 20).await.map_err(text);
            seen.note(SERVICE, "RunQuery (limit 20)", begun, found);
        }
        _ => {
            let read = connections.get_small(who, own(0)).await;
            let read: Result<Option<proto::Document>, String> = read.map_err(text);
            seen.note(SERVICE, "BatchGetDocuments", begun, read);
        }
    }
}
