"""The pipeline's operations through Google's own Python clients.

Nothing here knows of an emulator: projects, endpoints and credentials come from the environment.
Exits with 1 and a traceback where an answer is not production's.
"""

import base64
import json
import pathlib
import queue
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.api_core import exceptions
from google.cloud import bigquery, firestore, pubsub_v1

from checks import expect, step, together

RUN = uuid.uuid4().hex[:8]
SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "fixtures" / "schemas"
CONTENTION = "Aborted due to cross-transaction contention."
WORKERS = 40
ROWS = 25


@step("Firestore: set and update with ArrayUnion, Increment and SERVER_TIMESTAMP")
def atomic_updates():
    client = firestore.Client()
    batch = client.collection(f"prediction_batches_{RUN}").document("batch")
    batch.set(
        {
            "expected_players": WORKERS,
            "completed_players": [],
            "predictions_by_player": {},
            "total_predictions": 0,
            "created_at": firestore.SERVER_TIMESTAMP,
        }
    )
    names = [f"karl-anthony.o'neale-{number}" for number in range(WORKERS)]

    def complete(name):
        # One path segment quoted by the client itself, whatever it has in it.
        path = client.field_path("predictions_by_player", name)
        return batch.update(
            {
                "completed_players": firestore.ArrayUnion([name]),
                "total_predictions": firestore.Increment(ROWS),
                path: ROWS,
                "updated_at": firestore.SERVER_TIMESTAMP,
            }
        )

    failures = [one for one in together([lambda name=name: complete(name) for name in names]) if isinstance(one, Exception)]
    expect(not failures, failures[:3])
    snapshot = batch.get()
    document = snapshot.to_dict()
    expect(sorted(document["completed_players"]) == sorted(names), document["completed_players"])
    expect(document["total_predictions"] == WORKERS * ROWS, document["total_predictions"])
    expect(document["predictions_by_player"] == {name: ROWS for name in names}, document["predictions_by_player"])
    expect(document["updated_at"] == snapshot.update_time, document["updated_at"], snapshot.update_time)
    expect(document["created_at"] == snapshot.create_time, document["created_at"], snapshot.create_time)


def count_up(client, reference, attempts):
    transaction = client.transaction(max_attempts=attempts)

    @firestore.transactional
    def increment(transaction):
        value = reference.get(transaction=transaction).get("count")
        # Long enough for the others to read too.
        time.sleep(0.05)
        transaction.update(reference, {"count": value + 1})

    increment(transaction)


@step("Firestore: 40 transactional counters with 40 attempts, all applied")
def patient_counters():
    client = firestore.Client()
    reference = client.collection(f"counters_{RUN}").document("patient")
    reference.set({"count": 0})
    results = together([lambda: count_up(client, reference, 40)] * WORKERS)
    expect(results == [None] * WORKERS, [one for one in results if one][:3])
    expect(reference.get().get("count") == WORKERS, reference.get().to_dict())


@step("Firestore: 40 transactional counters with the default 5 attempts, losers told, nothing lost")
def hasty_counters():
    client = firestore.Client()
    reference = client.collection(f"counters_{RUN}").document("hasty")
    reference.set({"count": 0})
    results = together([lambda: count_up(client, reference, 5)] * WORKERS)
    losers = [one for one in results if one is not None]
    expect(losers, "forty overlapping transactions with five attempts cannot all win")
    for loser in losers:
        expect(isinstance(loser, ValueError), loser)
        expect(str(loser) == "Failed to commit transaction in 5 attempts.", str(loser))
        cause = loser.__cause__
        expect(isinstance(cause, exceptions.Aborted) and CONTENTION in str(cause), cause)
    expect(reference.get().get("count") == WORKERS - len(losers), reference.get().to_dict(), len(losers))


@step("Pub/Sub: publish and push delivery")
def push_delivery():
    received = queue.Queue()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    project = firestore.Client().project
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic = publisher.topic_path(project, f"completions-{RUN}")
    subscription = subscriber.subscription_path(project, f"completions-{RUN}")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(
        name=subscription,
        topic=topic,
        push_config=pubsub_v1.types.PushConfig(push_endpoint=f"http://127.0.0.1:{server.server_port}/complete"),
    )
    sent = {publisher.publish(topic, json.dumps({"player": number}).encode(), kind="completion").result(30): number for number in range(WORKERS)}
    seen = {}
    while len(seen) < WORKERS:
        envelope = received.get(timeout=30)
        message = envelope["message"]
        expect(envelope["subscription"] == subscription, envelope)
        expect(message["messageId"] == message["message_id"] and "publishTime" in message, message)
        expect(message["attributes"] == {"kind": "completion"}, message)
        seen[message["messageId"]] = json.loads(base64.b64decode(message["data"]))["player"]
    expect(seen == sent, seen, sent)
    server.shutdown()


def columns(name):
    return json.loads((SCHEMAS / name).read_text())


def row(fields, worker, index):
    def value(field):
        name, kind = field["name"], field["type"]
        if name == "game_date":
            return "2026-01-01"
        if name == "current_points_line":
            return None if index % 5 == 4 else 10.5 + index % 5
        if name == "system_id":
            return f"system_{index // 5}"
        if name == "player_lookup":
            return f"player-{worker}"
        return {
            "INT64": index,
            "FLOAT64": index + 0.25,
            "NUMERIC": "1.5",
            "BOOLEAN": index % 2 == 0,
            "TIMESTAMP": "2026-01-01T12:00:00Z",
            "JSON": {"index": index},
        }.get(kind, f"{name}_{worker}_{index}")

    made = {field["name"]: value(field) for field in fields}
    made["game_id"] = f"game_{worker % 8}"
    return made


@step("BigQuery: 40 concurrent load_table_from_json, the MERGE, list_tables, delete_table")
def loads_and_merge():
    client = bigquery.Client()
    dataset = bigquery.Dataset(f"{client.project}.predictions_{RUN}")
    client.create_dataset(dataset)
    fields = columns("staging.json")
    schema = [bigquery.SchemaField.from_api_repr(field) for field in fields]
    main = bigquery.Table(
        f"{client.project}.{dataset.dataset_id}.main",
        [bigquery.SchemaField.from_api_repr(field) for field in columns("player_prop_predictions.json")],
    )
    main.time_partitioning = bigquery.TimePartitioning(type_="DAY", field="game_date")
    main.clustering_fields = ["player_lookup", "system_id"]
    client.create_table(main)
    expect(len(client.get_table(main).schema) == 72, client.get_table(main).schema)

    def load(worker):
        table = f"{client.project}.{dataset.dataset_id}._staging_{worker:02}"
        configuration = bigquery.LoadJobConfig(schema=schema, write_disposition="WRITE_TRUNCATE")
        job = client.load_table_from_json([row(fields, worker, index) for index in range(ROWS)], table, job_config=configuration)
        job.result()
        return job.output_rows

    loaded = together([lambda worker=worker: load(worker) for worker in range(WORKERS)])
    expect(loaded == [ROWS] * WORKERS, [one for one in loaded if one != ROWS][:3])

    names = [field["name"] for field in fields]
    listed = ", ".join(names)
    staging = [table for table in client.list_tables(dataset, page_size=15) if table.table_id.startswith("_staging_")]
    expect(len(staging) == WORKERS, len(staging))
    union = " UNION ALL ".join(f"SELECT {listed} FROM `{table.project}.{table.dataset_id}.{table.table_id}`" for table in staging)
    kept = {"prediction_id", "created_at", "updated_at", "game_date", "game_id", "player_lookup", "system_id", "current_points_line"}
    statement = f"""
        MERGE `{main.project}.{main.dataset_id}.main` T
        USING (
          SELECT * EXCEPT (row_rank) FROM (
            SELECT *, ROW_NUMBER() OVER (
              PARTITION BY game_id, player_lookup, system_id, CAST(COALESCE(current_points_line, -1) AS INT64)
              ORDER BY created_at DESC
            ) AS row_rank
            FROM ({union})
          ) WHERE row_rank = 1
        ) S
        ON T.game_date = @date AND T.game_id = S.game_id AND T.player_lookup = S.player_lookup
          AND T.system_id = S.system_id AND COALESCE(T.current_points_line, -1) = COALESCE(S.current_points_line, -1)
        WHEN MATCHED THEN UPDATE SET {", ".join(f"{name} = S.{name}" for name in names if name not in kept)},
          updated_at = CURRENT_TIMESTAMP()
        WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({", ".join(f"S.{name}" for name in names)})
    """
    configuration = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("date", "DATE", "2026-01-01")])
    for inserted, updated in [(WORKERS * ROWS, 0), (0, WORKERS * ROWS)]:
        job = client.query(statement, job_config=configuration)
        job.result()
        expect(job.num_dml_affected_rows == WORKERS * ROWS, job.num_dml_affected_rows)
        expect(job.dml_stats.inserted_row_count == inserted, job.dml_stats)
        expect(job.dml_stats.updated_row_count == updated, job.dml_stats)

    counts = client.query(
        f"SELECT COUNT(*) AS every, COUNT(DISTINCT prediction_id) AS ids, COUNTIF(current_points_line IS NULL) AS lineless,"
        f" COUNTIF(updated_at IS NOT NULL) AS touched, MIN(predicted_points) AS points"
        f" FROM `{main.dataset_id}.main` WHERE game_date = '2026-01-01'"
    )
    found = dict(next(iter(counts.result())).items())
    expect(found["every"] == found["ids"] == found["touched"] == WORKERS * ROWS, found)
    expect(found["lineless"] == WORKERS * ROWS // 5 and str(found["points"]) == "1.5", found)

    together([lambda table=table: client.delete_table(table) for table in staging])
    expect([table.table_id for table in client.list_tables(dataset)] == ["main"], list(client.list_tables(dataset)))
    try:
        client.get_table(staging[0])
        raise AssertionError("a deleted table is still there")
    except exceptions.NotFound as error:
        expect("Not found: Table" in str(error), str(error))
