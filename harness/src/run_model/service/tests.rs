//! A service behind its front door, over HTTP: instances are servers in this process, time is virtual.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::front_door::{FrontDoor, OpenDoor};
use crate::run::Activity;
use crate::run_model::RunEntry;

/// What all instances of a test share.
#[derive(Default)]
struct Site {
    /// Opened by the test: `/slow` answers then.
    gate: watch::Sender<bool>,
    entered: AtomicUsize,
    left: AtomicUsize,
    launched: AtomicU64,
    breaks_from: Option<u64>,
}

struct Server {
    port: u16,
    gone: watch::Sender<bool>,
    _serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Shop {
    number: u64,
    site: Arc<Site>,
    gone: watch::Receiver<bool>,
}

async fn quick(State(shop): State<Shop>) -> String {
    shop.number.to_string()
}

async fn slow(State(mut shop): State<Shop>) -> String {
    shop.site.entered.fetch_add(1, Ordering::SeqCst);
    let mut gate = shop.site.gate.subscribe();
    tokio::select! {
        _ = gate.wait_for(|open| *open) => {}
        // What a killed process does to its connections.
        _ = shop.gone.wait_for(|gone| *gone) => panic!("killed, as the test wants it"),
    }
    shop.site.left.fetch_add(1, Ordering::SeqCst);
    shop.number.to_string()
}

struct Opener(Arc<Site>);

#[async_trait]
impl Launcher for Opener {
    async fn launch(&self, number: u64) -> Result<Arc<dyn Running>, SetupError> {
        self.0.launched.fetch_add(1, Ordering::SeqCst);
        if self.0.breaks_from.is_some_and(|from| number >= from) {
            return Err(SetupError::Spawn { process: "shop".to_owned(), problem: "no module named flask".to_owned() });
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let gone = watch::Sender::new(false);
        let shop = Shop { number, site: Arc::clone(&self.0), gone: gone.subscribe() };
        let router = Router::new().route("/", get(quick)).route("/slow", get(slow)).with_state(shop);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Arc::new(Server { port, gone, _serving: serving }))
    }
}

#[async_trait]
impl Running for Server {
    fn port(&self) -> u16 {
        self.port
    }

    fn terminate(&self) {
        self.gone.send_replace(true);
    }

    fn kill(&self) {
        self.gone.send_replace(true);
    }

    async fn gone(&self) -> String {
        let mut gone = self.gone.subscribe();
        let _ = gone.wait_for(|gone| *gone).await.is_ok();
        "exit code 0".to_owned()
    }
}

struct Stand {
    site: Arc<Site>,
    clock: Clock,
    log: CapturedLog,
    service: Arc<Service>,
    door: Arc<FrontDoor>,
    _open: OpenDoor,
}

impl Stand {
    async fn open(site: Site, change: impl Fn(&mut RunModel)) -> Stand {
        let mut model = RunEntry::default().model(1).expect("the defaults are good");
        change(&mut model);
        let (site, clock) = (Arc::new(site), Clock::virtual_at(Timestamp::from_micros(0)));
        let log = CapturedLog::new(Activity::default());
        let service = Service::new("shop", model, Arc::new(Opener(Arc::clone(&site))), clock.clone(), log.clone());
        let (door, open) = FrontDoor::open("shop", None, Activity::default()).await.expect("a port");
        door.serve(Arc::clone(&service));
        Stand { site, clock, log, service, door, _open: open }
    }

    async fn up(change: impl Fn(&mut RunModel)) -> Stand {
        let stand = Stand::open(Site::default(), change).await;
        stand.service.bring_up().await.expect("it comes up");
        stand
    }

    fn ask(&self, path: &str) -> JoinHandle<(StatusCode, String)> {
        let asking = reqwest::get(self.door.url(path));
        tokio::spawn(async move {
            let answer = asking.await.expect("the door answers");
            (answer.status(), answer.text().await.expect("whole"))
        })
    }

    /// Waits until the service is as it should be.
    async fn until(&self, what: &str, holds: impl Fn(&Stand) -> bool) {
        let patience = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), patience).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    fn has_logged(&self, text: &str) -> bool {
        self.log.lines().iter().any(|line| line.text.contains(text))
    }
}

fn answer(status: u16, text: &str) -> (StatusCode, String) {
    (StatusCode::from_u16(status).expect("a status"), text.to_owned())
}

fn entered(stand: &Stand) -> usize {
    stand.site.entered.load(Ordering::SeqCst)
}

#[tokio::test]
async fn it_scales_to_zero_and_the_next_request_waits_for_a_cold_start() {
    let stand = Stand::up(|model| {
        (model.min_instances, model.idle, model.cold_start) = (0, Duration::from_secs(60), Duration::from_secs(3));
    })
    .await;
    assert_eq!(stand.ask("/").await.expect("asked"), answer(200, "1"));
    stand.clock.advance(Duration::from_secs(60));
    stand.until("no instance", |stand| stand.service.shared().engine.is_empty()).await;
    let cold = stand.ask("/");
    stand.until("a second instance", |stand| !stand.service.shared().running.is_empty()).await;
    assert!(!cold.is_finished());
    stand.clock.advance(Duration::from_secs(3));
    assert_eq!(cold.await.expect("asked"), answer(200, "2"));
}

#[tokio::test]
async fn a_late_request_gets_504_and_its_work_goes_on() {
    let stand = Stand::up(|_| {}).await;
    let late = stand.ask("/slow");
    stand.until("it is being worked on", |stand| entered(stand) == 1).await;
    stand.clock.advance(Duration::from_secs(300));
    assert_eq!(late.await.expect("asked"), answer(504, "upstream request timeout"));
    assert_eq!(stand.site.left.load(Ordering::SeqCst), 0);
    stand.site.gate.send_replace(true);
    stand.until("the work is done", |stand| stand.site.left.load(Ordering::SeqCst) == 1).await;
    assert!(stand.has_logged("it has reached the maximum request timeout"));
}

#[tokio::test]
async fn a_full_service_answers_429_after_ten_seconds() {
    let stand = Stand::up(|model| model.concurrency = 1).await;
    let first = stand.ask("/slow");
    stand.until("the first is being worked on", |stand| entered(stand) == 1).await;
    let second = stand.ask("/");
    stand.until("the second waits", |stand| stand.service.shared().callers.len() == 2).await;
    stand.clock.advance(Duration::from_secs(10));
    assert_eq!(second.await.expect("asked"), answer(429, "Rate exceeded."));
    stand.site.gate.send_replace(true);
    assert_eq!(first.await.expect("asked"), answer(200, "1"));
}

#[tokio::test]
async fn a_crash_breaks_its_requests_and_is_made_good() {
    let stand = Stand::up(|_| {}).await;
    let hit = stand.ask("/slow");
    stand.until("it is being worked on", |stand| entered(stand) == 1).await;
    stand.service.crash_one();
    assert_eq!(hit.await.expect("asked"), answer(503, "Service Unavailable"));
    stand.until("another instance", |stand| stand.site.launched.load(Ordering::SeqCst) == 2).await;
    assert_eq!(stand.ask("/").await.expect("asked"), answer(200, "2"));
    assert!(stand.has_logged("Container terminated") && stand.has_logged("connection to the instance had an error"));
}

#[tokio::test]
async fn a_service_that_is_down_answers_503_until_it_is_brought_up() {
    let stand = Stand::up(|_| {}).await;
    stand.service.kill().await;
    assert_eq!(stand.ask("/").await.expect("asked"), answer(503, "Service Unavailable"));
    stand.service.bring_up().await.expect("it comes up");
    assert_eq!(stand.ask("/").await.expect("asked"), answer(200, "2"));
    stand.service.terminate().await;
    assert_eq!(stand.service.alive(), 0);
}

#[tokio::test]
async fn what_does_not_start_is_told_at_once() {
    let stand = Stand::open(Site { breaks_from: Some(1), ..Site::default() }, |_| {}).await;
    let error = stand.service.bring_up().await.expect_err("it does not come up");
    assert_eq!(error.to_string(), "shop does not start: no module named flask");
    assert!(stand.has_logged("The user-provided container failed to start"));
    assert_eq!(stand.ask("/").await.expect("asked"), answer(503, "Service Unavailable"));
}

#[tokio::test]
async fn a_replacement_that_does_not_start_is_not_tried_without_end() {
    let stand = Stand::open(Site { breaks_from: Some(2), ..Site::default() }, |_| {}).await;
    stand.service.bring_up().await.expect("the first comes up");
    stand.service.crash_one();
    stand.until("one try", |stand| stand.has_logged("no module named flask")).await;
    assert_eq!(stand.ask("/").await.expect("asked"), answer(503, "Service Unavailable"));
    assert_eq!(stand.site.launched.load(Ordering::SeqCst), 2, "time stands still, so no further try");
    stand.clock.advance(Duration::from_secs(1));
    stand.until("another try", |stand| stand.site.launched.load(Ordering::SeqCst) == 3).await;
}
