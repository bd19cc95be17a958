//! The HTML report in a headless browser: what it shows, at two widths, and that its script does not fail.

#![allow(clippy::expect_used, reason = "a test may")]

use rstest::rstest;
use scrimmage::invariants::Finding;
use scrimmage::report::{Tried, to_html};
use scrimmage::run::{CallRecord, Judged, LineRecord, Moment, Outcome, PushRecord, Record, Tally, Verdict};
use scrimmage_core::Code;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const CALLS: usize = 3_000;

/// Chromium under one of its names, or what `SCRIMMAGE_BROWSER` names.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SCRIMMAGE_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// A run of thousands of calls by two processes: some are aborted, some wait, one is hit by a fault.
fn course() -> Record {
    let call = |number: usize| {
        let start = Duration::from_micros(number as u64 * 900);
        let failed = number.is_multiple_of(50);
        CallRecord {
            start,
            end: start + Duration::from_millis(5 + number as u64 % 40),
            client: if number.is_multiple_of(3) { "coordinator" } else { "worker" }.into(),
            service: ["firestore", "pubsub", "bigquery"][number % 3].into(),
            method: "Commit".into(),
            resource: format!("projects/p/databases/(default)/documents/prediction_batches/{number}"),
            status: if failed { Code::Aborted } else { Code::Ok },
            message: if failed { "Too much contention on these documents.".into() } else { String::new() },
            lock_wait: Duration::from_millis(if number.is_multiple_of(7) { 4 } else { 0 }),
            attempt: 1,
            faults: if number == 1 { vec!["together".into()] } else { Vec::new() },
        }
    };
    let player = "o'neale";
    Record {
        length: Duration::from_secs(3),
        calls: (0..CALLS).map(call).collect(),
        tally: vec![Tally {
            client: "coordinator".into(),
            service: "firestore".into(),
            method: "Commit".into(),
            calls: CALLS,
            not_ok: 60,
            waited: 429,
            faulted: 1,
            longest: Duration::from_millis(44),
            longest_wait: Duration::from_millis(4),
        }],
        pushes: vec![PushRecord {
            at: Duration::from_millis(1_200),
            to: "coordinator".into(),
            path: "/complete".into(),
            message_id: "17".into(),
            player: Some(player.into()),
            status: 204,
        }],
        moments: vec![
            Moment { at: Duration::from_millis(10), text: "the batch is started".into(), is_fault: false },
            Moment { at: Duration::from_millis(900), text: "kill coordinator".into(), is_fault: true },
        ],
        lines: vec![LineRecord {
            at: Duration::from_millis(1_190),
            process: "coordinator".into(),
            severity: "ERROR".into(),
            text: format!("{{\"severity\":\"ERROR\",\"message\":\"gave up on {player}\"}}"),
            is_stderr: false,
        }],
        players: vec![player.into(), "al-adams".into()],
    }
}

fn outcomes() -> Vec<Outcome> {
    let judged = |name: &'static str, finding: Finding| Judged { name: name.into(), finding };
    let record = Arc::new(course());
    let lost = Finding::Broken("acknowledged and not recorded: o'neale".into());
    let twice = Finding::Broken("0022500461|al-adams|xgboost_v1|NULL 2 times".into());
    vec![
        Outcome {
            invariants: vec![judged("keys-unique", Finding::Holds)],
            record: Some(Arc::clone(&record)),
            ..Outcome::example("restart-mid-batch", None, Verdict::Holds)
        },
        Outcome {
            invariants: vec![judged("no-acked-loss", lost), judged("keys-unique", twice)],
            record: Some(record),
            ..Outcome::example("restart-mid-batch", Some("state-in-memory"), Verdict::Caught)
        },
        Outcome::example("a-scenario-with-quite-a-long-name-to-fit-in", None, Verdict::Broken),
        Outcome::example("a-scenario-with-quite-a-long-name-to-fit-in", Some("state-in-memory"), Verdict::Observed),
    ]
}

/// In the page: opens every run, looks, works the timeline by keyboard, and tells the frame around it.
const PROBE: &str = r##"
addEventListener("load", function () {
  document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  setTimeout(function () {
    var seen = {}, count = function (what) { return document.querySelectorAll(what).length; };
    var canvas = document.querySelector(".timeline svg");
    seen.calls = canvas ? canvas.querySelectorAll("rect.call").length : 0;
    seen.failed = canvas ? canvas.querySelectorAll("rect.failed").length : 0;
    seen.waits = canvas ? canvas.querySelectorAll("rect.wait").length : 0;
    seen.hits = count(".timeline path.hit");
    seen.faults = count(".timeline line.moment.fault");
    seen.timelines = count(".timeline svg");
    seen.cells = count("table.grid tbody a.sign");
    seen.lanes = Array.from(canvas.querySelectorAll("text.lane")).map(function (lane) { return lane.firstChild.data; });
    seen.evidence = Array.from(document.querySelectorAll(".broken .evidence")).map(function (one) { return one.textContent; });
    seen.trail = Array.from(document.querySelectorAll(".trail li")).map(function (one) { return one.textContent; });
    seen.unlabelled = Array.from(document.querySelectorAll("button, select, svg[tabindex], .scroll")).filter(function (one) {
      return !(one.textContent.trim() || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby"));
    }).length;
    var press = function (key) { canvas.dispatchEvent(new KeyboardEvent("keydown", { key: key, bubbles: true, cancelable: true })); };
    press("ArrowRight");
    seen.chosen = document.querySelector(".timeline .detail").textContent;
    press("+");
    seen.closer = canvas.querySelectorAll("rect.call").length;
    press("Home");
    seen.all = canvas.querySelectorAll("rect.call").length;
    var select = document.querySelector(".timeline select");
    select.value = "failed";
    select.dispatchEvent(new Event("change"));
    seen.filtered = canvas.querySelectorAll("rect.call").length;
    location.hash = "#run-1";
    setTimeout(function () {
      seen.focused = document.activeElement.parentElement && document.activeElement.parentElement.id;
      seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      seen.width = innerWidth;
      seen.ready = document.documentElement.getAttribute("data-ready");
      seen.error = document.documentElement.getAttribute("data-script-error");
      parent.postMessage(JSON.stringify(seen), "*");
    }, 50);
  }, 50);
});
"##;

/// Shows the page in a frame so wide (a browser's own window has a least width) and returns what the
/// probe has seen.
fn seen(browser: &Path, width: u32) -> Value {
    let folder = TempDir::new().expect("a temporary folder");
    let page =
        to_html(&outcomes().into_iter().map(Tried::from).collect::<Vec<_>>(), "scrimmage run --html page.html", 12.5);
    let probed = page.replace("</body>", &format!("<script>{PROBE}</script></body>"));
    std::fs::write(folder.path().join("page.html"), probed).expect("written");
    let frame = format!(
        "<!doctype html><body><iframe src=\"page.html\" style=\"width:{width}px;height:900px;border:0\"></iframe><pre \
         id=\"probe\"></pre><script>addEventListener('message', function (event) {{ \
         document.getElementById('probe').textContent = event.data; }});</script></body>"
    );
    std::fs::write(folder.path().join("frame.html"), frame).expect("written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000"])
        .arg("--window-size=1400,1000")
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", folder.path().join("frame.html").display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let probe =
        text.split("<pre id=\"probe\">").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap_or_default();
    let probe = probe.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&probe).unwrap_or_else(|error| {
        panic!("no answer of the page ({error}): {text}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

#[rstest]
#[case::wide(1280)]
#[case::narrow(400)]
fn the_page_shows_grid_timeline_and_evidence_without_a_script_error(#[case] width: u32) {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium on the PATH, and SCRIMMAGE_BROWSER names none");
        return;
    };
    let seen = seen(&browser, width);
    assert_eq!(seen["error"], Value::Null, "a script error: {seen}");
    assert_eq!(seen["ready"], "true", "{seen}");
    assert_eq!(seen["width"], width);
    assert_eq!(seen["cells"], 4, "the grid has a cell a run: {seen}");
    assert_eq!(seen["timelines"], 2, "a timeline for each run with a record: {seen}");
    assert_eq!(seen["calls"], CALLS, "all calls are drawn");
    assert_eq!(seen["failed"], 60, "every twentieth was aborted: {seen}");
    assert!(seen["waits"].as_u64() > Some(0), "waits for locks are seen: {seen}");
    assert_eq!(seen["hits"], 2, "the call that a fault has hit is marked, in both timelines: {seen}");
    assert_eq!(seen["faults"], 2, "and so is the kill: {seen}");
    assert_eq!(seen["lanes"].as_array().map(Vec::len), Some(4), "two processes, pushes, log: {seen}");
    assert_eq!(seen["lanes"][0], "coordinator");
    let texts = |what: &str| seen[what].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    assert!(texts("evidence").iter().any(|text| text.contains("o'neale")), "the missing player: {seen}");
    assert!(texts("evidence").iter().any(|text| text.contains("NULL 2 times")), "the duplicate key: {seen}");
    assert!(texts("trail").iter().any(|text| text.contains("gave up on o'neale")), "the log line: {seen}");
    assert!(texts("trail").iter().any(|text| text.contains("was answered 204")), "the push: {seen}");
    assert_eq!(seen["unlabelled"], 0, "everything that takes the focus has a name: {seen}");
    assert!(seen["chosen"].as_str().is_some_and(|text| text.contains("Commit by")), "by keyboard: {seen}");
    assert!(seen["closer"].as_u64() < Some(CALLS as u64), "zoomed in: {seen}");
    assert_eq!((&seen["all"], &seen["filtered"]), (&Value::from(CALLS), &Value::from(60)));
    assert_eq!(seen["focused"], "run-1", "a cell of the grid leads to its run: {seen}");
    assert_eq!(seen["overflow"], 0, "the page is no wider than the window: {seen}");
}
