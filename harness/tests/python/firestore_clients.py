"""Firestore through `google-cloud-firestore`, sync and async: what the README's table claims."""

import datetime
import threading
import uuid

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.vector import Vector

from checks import equal, expect, refused, step

RUN = uuid.uuid4().hex[:8]
client = firestore.Client()
players = client.collection(f"players-{RUN}")
bulk = client.collection(f"bulk-{RUN}")


def ids(found):
    return [document.id for document in found]


@step("documents of every type")
def every_type():
    written = {
        "n": 1, "f": 1.5, "s": "x", "yes": True, "none": None, "bytes": b"q", "list": [1, "two"], "map": {"k": "v"},
        "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "where": firestore.GeoPoint(1, 2), "v": Vector([1.0, 2.0]),
        "ref": players.document("other"),
    }
    players.document("a").set(written)
    equal(players.document("a").get().to_dict(), written)


@step("preconditions and their refusals")
def preconditions():
    document = players.document("a")
    refused(exceptions.AlreadyExists, lambda: document.create({}))
    refused(exceptions.NotFound, lambda: players.document("none").update({"a": 1}))
    before = client.write_option(last_update_time=document.get().update_time)
    document.update({"s": "y"}, option=before)
    refused(exceptions.FailedPrecondition, lambda: document.update({"s": "z"}, option=before))
    refused(exceptions.NotFound, lambda: players.document("none").delete(option=client.write_option(exists=True)))


@step("writes that merge, and transforms")
def merges_and_transforms():
    document = players.document("t")
    document.set({"n": 1, "list": [1, 2], "gone": 1, "map": {"a": 1}})
    document.set({"map": {"b": 2}}, merge=True)
    document.update(
        {"n": firestore.Increment(4), "list": firestore.ArrayUnion([2, 3]), "gone": firestore.DELETE_FIELD,
         "high": firestore.Maximum(7), "low": firestore.Minimum(-1)},
    )
    document.update({"list": firestore.ArrayRemove([1])})
    equal(document.get().to_dict(), {"n": 5, "list": [2, 3], "map": {"a": 1, "b": 2}, "high": 7, "low": -1})


@step("a bulk writer, a batch")
def many_writes():
    writer = client.bulk_writer()
    for i in range(200):
        writer.set(bulk.document(f"d{i:03}"), {"i": i, "team": f"g{i % 5}", "tags": ["odd" if i % 2 else "even"]})
    writer.close()
    batch = client.batch()
    batch.set(client.document(f"b-{RUN}/1"), {"a": 1})
    batch.delete(client.document(f"b-{RUN}/2"))
    equal(len(batch.commit()), 2)


@step("queries")
def queries():
    where = lambda *filter: bulk.where(filter=FieldFilter(*filter))  # noqa: E731
    newest = where("i", ">=", 190).order_by("i", direction="DESCENDING").limit(2)
    equal(ids(newest.get()), ["d199", "d198"])
    either = Or([FieldFilter("i", "==", 1), And([FieldFilter("i", ">", 3), FieldFilter("i", "<", 6)])])
    equal(ids(bulk.where(filter=either).get()), ["d001", "d004", "d005"])
    equal(len(where("team", "in", ["g1", "g2"]).get()), 80)
    equal(len(where("team", "not-in", ["g1", "g2"]).get()), 120)
    equal(len(where("team", "!=", "g1").get()), 160)
    equal(len(where("tags", "array_contains", "odd").get()), 100)
    equal(len(where("tags", "array_contains_any", ["odd", "even"]).get()), 200)
    equal(ids(bulk.order_by("i").limit_to_last(2).get()), ["d198", "d199"])
    equal(ids(bulk.order_by("i").start_after(bulk.document("d050").get()).limit(1).get()), ["d051"])
    equal(ids(bulk.order_by("i").start_at({"i": 3}).end_before({"i": 5}).get()), ["d003", "d004"])
    equal(next(bulk.order_by("i").select(["i"]).limit(1).stream()).to_dict(), {"i": 0})
    equal(len(bulk.order_by("i").offset(150).get()), 50)
    two_inequalities = bulk.where(filter=FieldFilter("i", ">", 195)).where(filter=FieldFilter("team", ">", "g1"))
    equal(ids(two_inequalities.get()), ["d197", "d198", "d199"])


@step("aggregations")
def aggregations():
    asked = bulk.count(alias="count").sum("i", alias="sum").avg("i", alias="mean")
    equal({one.alias: one.value for one in asked.get()[0]}, {"count": 200, "sum": 19900, "mean": 99.5})


@step("collection groups, partitions, lists")
def groups():
    client.document(f"parent-{RUN}/x/child-{RUN}/y").set({"a": 1})
    equal(ids(client.collection_group(f"child-{RUN}").get()), ["y"])
    equal(ids(client.collection(f"parent-{RUN}").list_documents()), ["x"])
    partitions = client.collection_group(bulk.id).get_partitions(4)
    equal(sum(len(partition.query().get()) for partition in partitions), 200)
    expect(players.id in ids(client.collections()))
    equal(ids(client.document(f"parent-{RUN}/x").collections()), [f"child-{RUN}"])


@step("nearest neighbours")
def nearest():
    vectors = client.collection(f"vectors-{RUN}")
    vectors.document("1").set({"e": Vector([1.0, 2.0, 3.0])})
    vectors.document("2").set({"e": Vector([9.0, 2.0, 3.0])})
    asked = vectors.find_nearest(
        vector_field="e", query_vector=Vector([1.0, 2.0, 3.0]), distance_measure=DistanceMeasure.EUCLIDEAN, limit=5,
        distance_result_field="distance", distance_threshold=8.0,
    )
    equal([found.get("distance") for found in asked.get()], [0.0, 8.0])


@step("explain")
def explain():
    from google.cloud.firestore_v1.query_profile import ExplainOptions

    found = bulk.where(filter=FieldFilter("i", "<", 3)).get(explain_options=ExplainOptions(analyze=True))
    equal(len(list(found)), 3)
    metrics = found.get_explain_metrics()
    equal(metrics.execution_stats.results_returned, 3)
    equal(len(metrics.plan_summary.indexes_used), 1)


@step("transactions that read, query and write")
def transactions():
    @firestore.transactional
    def move(transaction):
        first = bulk.document("d000").get(transaction=transaction)
        some = list(transaction.get(bulk.where(filter=FieldFilter("i", "<", 3))))
        transaction.update(first.reference, {"moved": len(some)})

    move(client.transaction())
    equal(bulk.document("d000").get().get("moved"), 3)

    @firestore.transactional
    def only_reads(transaction):
        bulk.document("d000").get(transaction=transaction)
        transaction.update(bulk.document("d000"), {"a": 1})

    refused(ValueError, lambda: only_reads(client.transaction(read_only=True)))


@step("reads at an earlier time")
def earlier():
    document = players.document("time")
    document.set({"v": 1})
    then = document.get().update_time
    document.set({"v": 2})
    equal(document.get(read_time=then).to_dict(), {"v": 1})


@step("a listener")
def listener():
    seen, done = [], threading.Event()

    def changed(_, changes, __):
        seen.extend(f"{change.type.name} {change.document.id}" for change in changes)
        if "REMOVED d001" in seen:
            done.set()

    watch = bulk.where(filter=FieldFilter("i", "<", 2)).on_snapshot(changed)
    deadline = threading.Event()
    while "ADDED d001" not in seen and not deadline.wait(0.01):
        pass
    bulk.document("d001").delete()
    expect(done.wait(30), seen)
    watch.unsubscribe()


@step("the asynchronous client")
async def asynchronous():
    client = firestore.AsyncClient()
    document = client.collection(f"async-{RUN}").document("1")
    await document.set({"n": 0})

    @firestore.async_transactional
    async def count_up(transaction):
        read = await document.get(transaction=transaction)
        transaction.update(document, {"n": read.get("n") + 1})

    for _ in range(3):
        await count_up(client.transaction())
    equal((await document.get()).get("n"), 3)
    equal([found.id async for found in client.collection(f"async-{RUN}").stream()], ["1"])
    equal((await client.collection(bulk.id).count().get())[0][0].value, 199)


@step("recursive deletion")
def recursive():
    equal(client.recursive_delete(bulk), 199)
    equal(bulk.get(), [])
