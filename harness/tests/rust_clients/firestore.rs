//! Firestore through the crate `firestore`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firestore::errors::{BackoffError, FirestoreError};
use firestore::*;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::served;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Player {
    name: String,
    team: String,
    points: i64,
    tags: Vec<String>,
}

fn player(number: i64) -> Player {
    Player {
        name: format!("player-{number:02}"),
        team: format!("team-{}", number % 3),
        points: number,
        tags: vec![if number % 2 == 0 { "even" } else { "odd" }.to_owned()],
    }
}

/// Twenty players in `players`.
async fn with_players(db: &FirestoreDb) {
    let writer = db.create_simple_batch_writer().await.unwrap();
    let mut batch = writer.new_batch();
    for number in 0..20 {
        let player = player(number);
        let update = db.fluent().update().in_col("players").document_id(&player.name);
        update.object(&player).add_to_batch(&mut batch).unwrap();
    }
    let written = batch.write().await.unwrap();
    assert_eq!(written.statuses.iter().filter(|status| status.code != 0).count(), 0);
}

async fn points(db: &FirestoreDb, id: &str) -> Option<i64> {
    let found: Option<Player> = db.fluent().select().by_id_in("players").obj().one(id).await.unwrap();
    found.map(|player| player.points)
}

#[tokio::test]
async fn documents_of_every_type_come_back_as_they_were() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        whole: i64,
        part: f64,
        text: String,
        yes: bool,
        none: Option<String>,
        list: Vec<i64>,
        map: BTreeMap<String, i64>,
        at: FirestoreTimestamp,
        place: FirestoreLatLng,
        other: FirestoreReference,
        vector: FirestoreVector,
    }
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    let written = Everything {
        whole: -7,
        part: 1.5,
        text: "tëxt".to_owned(),
        yes: true,
        none: None,
        list: vec![1, 2],
        map: BTreeMap::from([("with.dot".to_owned(), 1), ("with-hyphen".to_owned(), 2)]),
        at: "2026-01-01T12:00:00.123456Z".parse::<FirestoreInstant>().unwrap().into(),
        place: FirestoreLatLng(FirestoreGeoPoint { latitude: 1.5, longitude: -2.5 }),
        other: FirestoreReference(format!("{}/players/other", db.get_documents_path())),
        vector: FirestoreVector::new(vec![1.0, 2.0]),
    };
    let insert = db.fluent().insert().into("all").document_id("one").object(&written);
    let answered: Everything = insert.execute().await.unwrap();
    assert_eq!(answered, written);
    let read: Option<Everything> = db.fluent().select().by_id_in("all").obj().one("one").await.unwrap();
    assert_eq!(read, Some(written));
    let one = player(1);
    let generated = db.fluent().insert().into("players").generate_document_id().object(&one);
    let generated: Player = generated.execute().await.unwrap();
    assert_eq!(generated, one);
}

#[tokio::test]
async fn preconditions_refuse_as_production_does() {
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    let one = player(1);
    let insert = || db.fluent().insert().into("players").document_id("a").object(&one);
    insert().execute::<Player>().await.unwrap();
    let again = insert().execute::<Player>().await.unwrap_err();
    assert!(matches!(again, FirestoreError::DataConflictError(_)), "{again:?}");
    let missing = db.fluent().update().in_col("players").precondition(FirestoreWritePrecondition::Exists(true));
    let missing = missing.document_id("none").object(&player(2)).execute::<Player>().await.unwrap_err();
    assert!(matches!(missing, FirestoreError::DataNotFoundError(_)), "{missing:?}");
    let delete = db.fluent().delete().from("players").precondition(FirestoreWritePrecondition::Exists(true));
    let gone = delete.document_id("none").execute().await.unwrap_err();
    assert!(matches!(gone, FirestoreError::DataNotFoundError(_)), "{gone:?}");
    db.fluent().delete().from("players").document_id("a").execute().await.unwrap();
    assert_eq!(points(db, "a").await, None);
}

#[tokio::test]
async fn masks_and_transforms() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tally {
        sum: i64,
        high: i64,
        low: i64,
        members: Vec<String>,
        at: Option<FirestoreTimestamp>,
    }
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    let first = Tally { sum: 1, high: 5, low: 5, members: vec!["a".to_owned(), "b".to_owned()], at: None };
    db.fluent().insert().into("tallies").document_id("t").object(&first).execute::<Tally>().await.unwrap();
    let writer = db.create_simple_batch_writer().await.unwrap();
    let mut batch = writer.new_batch();
    let update = db.fluent().update().in_col("tallies").document_id("t").transforms(|t| {
        t.fields([
            t.field("sum").increment(4),
            t.field("high").maximum(9),
            t.field("low").minimum(-1),
            t.field("members").append_missing_elements(["b", "c"]),
            t.field("at").server_value(FirestoreTransformServerValue::RequestTime),
        ])
    });
    update.only_transform().add_to_batch(&mut batch).unwrap();
    let remove = db.fluent().update().in_col("tallies").document_id("t");
    let remove = remove.transforms(|t| t.fields([t.field("members").remove_all_from_array(["a"])]));
    let written = batch.write().await.unwrap();
    assert_eq!(written.statuses.first().map(|status| status.code), Some(0));
    let mut batch = writer.new_batch();
    remove.only_transform().add_to_batch(&mut batch).unwrap();
    batch.write().await.unwrap();
    let read: Option<Tally> = db.fluent().select().by_id_in("tallies").obj().one("t").await.unwrap();
    let read = read.unwrap();
    assert_eq!((read.sum, read.high, read.low), (5, 9, -1));
    assert_eq!(read.members, ["b", "c"]);
    assert!(read.at.is_some());
    // A mask leaves the other fields alone.
    with_players(db).await;
    let changed = Player { points: 77, team: "ignored".to_owned(), ..player(3) };
    let masked = db.fluent().update().fields(paths!(Player::{points})).in_col("players").document_id("player-03");
    let answered: Player = masked.object(&changed).execute().await.unwrap();
    assert_eq!((answered.points, answered.team.as_str()), (77, "team-0"));
}

#[tokio::test]
async fn queries() {
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    with_players(db).await;
    let select = || db.fluent().select().from("players");
    let ids = |found: Vec<Player>| found.into_iter().map(|player| player.points).collect::<Vec<_>>();
    let highest = select().order(|o| o.fields([o.field("points").desc()])).limit(2).obj();
    assert_eq!(ids(highest.query().await.unwrap()), [19, 18]);
    let both =
        select().filter(|q| q.for_all([q.field("points").greater_than_or_equal(15), q.field("team").eq("team-0")]));
    assert_eq!(ids(both.obj().query().await.unwrap()), [15, 18]);
    let either = select().filter(|q| q.for_any([q.field("points").eq(1), q.field("points").less_than(1)]));
    assert_eq!(ids(either.obj().query().await.unwrap()), [0, 1]);
    let two_ranges =
        select().filter(|q| q.for_all([q.field("points").greater_than(16), q.field("team").greater_than("team-0")]));
    assert_eq!(ids(two_ranges.obj().query().await.unwrap()), [17, 19]);
    let of_two = select().filter(|q| q.for_all([q.field("team").is_in(["team-0", "team-1"])]));
    assert_eq!(of_two.obj::<Player>().query().await.unwrap().len(), 14);
    let none_of = select().filter(|q| q.for_all([q.field("team").is_not_in(["team-0", "team-1"])]));
    assert_eq!(none_of.obj::<Player>().query().await.unwrap().len(), 6);
    let other = select().filter(|q| q.for_all([q.field("team").neq("team-0")]));
    assert_eq!(other.obj::<Player>().query().await.unwrap().len(), 13);
    let tagged = select().filter(|q| q.for_all([q.field("tags").array_contains("odd")]));
    assert_eq!(tagged.obj::<Player>().query().await.unwrap().len(), 10);
    let any = select().filter(|q| q.for_all([q.field("tags").array_contains_any(["odd", "even"])]));
    assert_eq!(any.obj::<Player>().query().await.unwrap().len(), 20);
    let null = select().filter(|q| q.for_all([q.field("points").is_null()]));
    assert_eq!(null.obj::<Player>().query().await.unwrap().len(), 0);
    let page = select().order(|o| o.fields([o.field("points").asc()]));
    let page = page.start_at(FirestoreQueryCursor::AfterValue(vec![3.into()]));
    let page = page.end_at(FirestoreQueryCursor::BeforeValue(vec![6.into()])).obj();
    assert_eq!(ids(page.query().await.unwrap()), [4, 5]);
    assert_eq!(select().offset(15).obj::<Player>().query().await.unwrap().len(), 5);
    let streamed = select().obj::<Player>().stream_query_with_errors().await.unwrap();
    assert_eq!(streamed.try_collect::<Vec<_>>().await.unwrap().len(), 20);
    let projected = db.fluent().select().fields(["points"]).from("players").limit(1).query().await.unwrap();
    assert_eq!(projected[0].fields.keys().collect::<Vec<_>>(), ["points"]);
    let batch = db.fluent().select().by_id_in("players").obj::<Player>().batch(["player-01", "none"]).await.unwrap();
    let batch: Vec<_> = batch.collect().await;
    assert_eq!(batch.iter().filter(|(_, found)| found.is_some()).count(), 1);
    assert_eq!(batch.len(), 2);
}

#[tokio::test]
async fn aggregations() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Totals {
        count: i64,
        sum: i64,
        mean: f64,
        some: i64,
    }
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    with_players(db).await;
    let asked = db.fluent().select().from("players").aggregate(|a| {
        a.fields([
            a.field("count").count(),
            a.field("sum").sum("points"),
            a.field("mean").avg("points"),
            a.field("some").count_up_to(3),
        ])
    });
    let totals: Vec<Totals> = asked.obj().query().await.unwrap();
    assert_eq!(totals, [Totals { count: 20, sum: 190, mean: 9.5, some: 3 }]);
}

#[tokio::test]
async fn collection_groups_subcollections_lists_and_partitions() {
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    with_players(db).await;
    for batch in ["b1", "b2"] {
        let parent = db.parent_path("batches", batch).unwrap();
        let insert = db.fluent().insert().into("completions").document_id("c").parent(&parent);
        insert.object(&player(1)).execute::<Player>().await.unwrap();
        let ids = db.fluent().list().collections().parent(&parent).stream_all().await.unwrap();
        assert_eq!(ids.collect::<Vec<_>>().await, ["completions"]);
    }
    let group = db.fluent().select().from("completions").all_descendants().obj::<Player>();
    assert_eq!(group.query().await.unwrap().len(), 2);
    assert_eq!(db.fluent().select().from("completions").obj::<Player>().query().await.unwrap().len(), 0);
    let collections = db.fluent().list().collections().stream_all().await.unwrap().collect::<Vec<_>>().await;
    assert_eq!(collections, ["batches", "players"]);
    let page = db.fluent().list().from("players").page_size(7).get_page().await.unwrap();
    assert_eq!(page.documents.len(), 7);
    assert!(page.page_token.is_some());
    let all = db.fluent().list().from("players").page_size(7).obj::<Player>().stream_all_with_errors().await.unwrap();
    assert_eq!(all.try_collect::<Vec<_>>().await.unwrap().len(), 20);
    // In production too a cursor needs its order spelled out.
    let by_name = db.fluent().select().from("players").order(|o| o.fields([o.field("__name__").asc()]));
    let partitions = by_name.obj::<Player>().partition_query();
    let partitions = partitions.parallelism(2).page_size(10).stream_partitions_with_errors().await.unwrap();
    assert_eq!(partitions.try_collect::<Vec<_>>().await.unwrap().len(), 20);
}

#[tokio::test]
async fn nearest_neighbours() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Embedded {
        name: String,
        vector: FirestoreVector,
        #[serde(skip_serializing)]
        distance: Option<f64>,
    }
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    for (name, vector) in [("near", [1.0, 0.0]), ("further", [0.0, 2.0]), ("far", [9.0, 9.0])] {
        let one = Embedded { name: name.to_owned(), vector: FirestoreVector::new(vector.to_vec()), distance: None };
        let insert = db.fluent().insert().into("vectors").document_id(name).object(&one);
        insert.execute::<Embedded>().await.unwrap();
    }
    let options = FirestoreFindNearestOptions::new(
        "vector".to_owned(),
        FirestoreVector::new(vec![0.0, 0.0]),
        FirestoreFindNearestDistanceMeasure::Euclidean,
        5,
    );
    let options = options.with_distance_result_field("distance".to_owned()).with_distance_threshold(3.0);
    let found: Vec<Embedded> =
        db.fluent().select().from("vectors").find_nearest_with_options(options).obj().query().await.unwrap();
    let found: Vec<_> = found.into_iter().map(|one| (one.name, one.distance)).collect();
    assert_eq!(found, [("near".to_owned(), Some(1.0)), ("further".to_owned(), Some(2.0))]);
}

/// Adds one to a player's points, in a transaction of the crate's own retrying.
async fn add_one(db: &FirestoreDb, retries: usize) -> FirestoreResult<()> {
    db.run_transaction_with_options(
        |db, transaction| {
            async move {
                let found: Option<Player> = db.fluent().select().by_id_in("players").obj().one("player-00").await?;
                let mut player = found.unwrap();
                player.points += 1;
                let update = db.fluent().update().in_col("players").document_id("player-00").object(&player);
                update.add_to_transaction(transaction)?;
                Ok::<_, BackoffError<FirestoreError>>(())
            }
            .boxed()
        },
        FirestoreTransactionOptions::new().with_max_retries(retries),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn contended_transactions_lose_nothing() {
    let (_suite, clients) = served().await;
    let db = clients.firestore.clone();
    with_players(&db).await;
    // More attempts than writers: one of those that overlap commits in each round.
    let writers = (0..8).map(|_| {
        let db = db.clone();
        tokio::spawn(async move { add_one(&db, 20).await })
    });
    for ended in futures::future::join_all(writers).await {
        ended.unwrap().unwrap();
    }
    assert_eq!(points(&db, "player-00").await, Some(8));
}

#[tokio::test]
async fn transactions_roll_back_and_read_only_ones_see_one_moment() {
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    with_players(db).await;
    let mut transaction = db.begin_transaction().await.unwrap();
    let changed = player(55);
    let update = db.fluent().update().in_col("players").document_id("player-00").object(&changed);
    update.add_to_transaction(&mut transaction).unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(points(db, "player-00").await, Some(0));

    let options = FirestoreTransactionOptions::new().with_mode(FirestoreTransactionMode::ReadOnly);
    let reading = db.begin_transaction_with_options(options).await.unwrap();
    let selector = FirestoreConsistencySelector::Transaction(reading.transaction_id().clone());
    let then = db.clone_with_consistency_selector(selector);
    assert_eq!(points(&then, "player-00").await, Some(0));
    add_one(db, 4).await.unwrap();
    assert_eq!(points(&then, "player-00").await, Some(0));
    assert_eq!(points(db, "player-00").await, Some(1));
    reading.commit().await.unwrap();
}

#[tokio::test]
async fn streaming_batches() {
    let (_suite, clients) = served().await;
    let db = &clients.firestore;
    let (writer, answers) = db.create_streaming_batch_writer().await.unwrap();
    for part in 0..3 {
        let mut batch = writer.new_batch();
        for number in part * 10..part * 10 + 10 {
            let player = player(number);
            let update = db.fluent().update().in_col("streamed").document_id(&player.name).object(&player);
            update.add_to_batch(&mut batch).unwrap();
        }
        batch.write().await.unwrap();
    }
    writer.finish().await;
    let answers: Vec<_> = answers.collect().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let read = db.fluent().select().from("streamed").obj::<Player>().query().await.unwrap();
    assert_eq!(read.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_tell_changes_of_queries_and_documents() {
    let (_suite, clients) = served().await;
    let db = clients.firestore.clone();
    with_players(&db).await;
    let mut listener = db.create_listener(FirestoreMemListenStateStorage::new()).await.unwrap();
    let query = db.fluent().select().from("players").filter(|q| q.for_all([q.field("points").greater_than(17)]));
    query.listen().add_target(FirestoreListenerTarget::new(1), &mut listener).unwrap();
    let documents = db.fluent().select().by_id_in("players").batch_listen(["player-05"]);
    documents.add_target(FirestoreListenerTarget::new(2), &mut listener).unwrap();
    let (told, mut events) = mpsc::unbounded_channel();
    let current = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&current);
    listener
        .start(move |event| {
            let (told, counted) = (told.clone(), Arc::clone(&counted));
            async move {
                match event {
                    FirestoreListenEvent::DocumentChange(change) => {
                        let document = change.document.unwrap();
                        let _ = told.send(document.name.rsplit('/').next().unwrap().to_owned());
                    }
                    FirestoreListenEvent::DocumentRemove(removed) => {
                        let _ = told.send(format!("-{}", removed.document.rsplit('/').next().unwrap()));
                    }
                    FirestoreListenEvent::DocumentDelete(deleted) => {
                        let _ = told.send(format!("-{}", deleted.document.rsplit('/').next().unwrap()));
                    }
                    FirestoreListenEvent::TargetChange(_) => {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    FirestoreListenEvent::Filter(_) => {}
                }
                Ok(())
            }
        })
        .await
        .unwrap();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        event.expect("an event in time").expect("the listener runs")
    };
    let mut first = vec![next().await, next().await, next().await];
    first.sort();
    assert_eq!(first, ["player-05", "player-18", "player-19"]);
    let update = |id: &'static str, points: i64| {
        let db = db.clone();
        async move {
            let changed = Player { points, ..player(0) };
            let update = db.fluent().update().in_col("players").document_id(id).object(&changed);
            update.execute::<Player>().await.unwrap();
        }
    };
    update("player-00", 100).await;
    assert_eq!(next().await, "player-00");
    update("player-00", 1).await;
    assert_eq!(next().await, "-player-00");
    update("player-05", 2).await;
    assert_eq!(next().await, "player-05");
    db.fluent().delete().from("players").document_id("player-19").execute().await.unwrap();
    assert_eq!(next().await, "-player-19");
    assert!(current.load(Ordering::Relaxed) > 0);
    listener.shutdown().await.unwrap();
}
