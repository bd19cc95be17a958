"""Firestore through `google-cloud-firestore`, sync, async and its admin client: what the README's table claims."""

import asyncio
import datetime
import os
import threading
import time
import urllib.request
import uuid

import grpc
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, firestore_admin_v1
from google.cloud.firestore_admin_v1.services.firestore_admin.transports import FirestoreAdminGrpcTransport
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


def wait_until(condition):
    """Returns when the condition holds; fails where that takes half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        expect(time.monotonic() < deadline, "it did not come to be")
        time.sleep(0.005)


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


@step("names and field paths, exactly")
def names_and_paths():
    document = players.document("field paths")
    document.set({"karl-anthony.towns": 1, "map": {"a.b": {"c`d": 2}, "1st": 3}})
    path = client.field_path
    document.update({path("karl-anthony.towns"): 5, path("map", "a.b", "c`d"): 6, "map.`1st`": 7, "new.nested": 8})
    wanted = {"karl-anthony.towns": 5, "map": {"a.b": {"c`d": 6}, "1st": 7}, "new": {"nested": 8}}
    equal(document.get().to_dict(), wanted)
    equal(document.get([path("map", "a.b")]).to_dict(), {"map": {"a.b": {"c`d": 6}}})
    equal(ids(players.where(filter=FieldFilter(path("map", "a.b", "c`d"), "==", 6)).get()), ["field paths"])
    _, made = players.add({"auto": True})
    expect(len(made.id) == 20 and made.get().exists, made.id)
    refused(exceptions.InvalidArgument, lambda: players.document("__reserved__").set({}))
    refused(exceptions.InvalidArgument, lambda: players.document("big").set({"s": "x" * 1_048_576}))


@step("server timestamps, deletion, several documents at once")
def stamps():
    batch = client.batch()
    for id in ("s1", "s2"):
        batch.set(players.document(id), {"at": firestore.SERVER_TIMESTAMP})
    written = batch.commit()
    times = {players.document(id).get().get("at") for id in ("s1", "s2")}
    equal(times, {written[0].update_time})
    before = players.document("s1").get()
    players.document("s1").set(before.to_dict())
    equal(players.document("s1").get().update_time, before.update_time)
    players.document("s1").delete()
    found = {one.id: one.exists for one in client.get_all([players.document("s1"), players.document("s2")])}
    equal(found, {"s1": False, "s2": True})
    expect(players.document("s1").create({"again": 1}).update_time > before.update_time)


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
    equal(ids(where("__name__", ">=", bulk.document("d198")).get()), ["d198", "d199"])
    equal(ids(bulk.order_by("i").start_at({"i": 1}).end_at({"i": 2}).get()), ["d001", "d002"])
    many = Or([FieldFilter("i", "==", number) for number in range(30)])
    equal(len(bulk.where(filter=many).get()), 30)
    too_many = Or([FieldFilter("i", "==", number) for number in range(31)])
    refused(exceptions.InvalidArgument, lambda: bulk.where(filter=too_many).get())
    everything = players.document("a").get().to_dict()
    for field in ("n", "f", "s", "yes", "bytes", "at", "where", "ref", "list", "map"):
        equal(ids(players.where(filter=FieldFilter(field, "==", everything[field])).get()), ["a"])
    equal(ids(players.where(filter=FieldFilter("none", "==", None)).get()), ["a"])
    equal(ids(players.order_by("where").start_at({"where": firestore.GeoPoint(1, 1)}).get()), ["a"])


@step("aggregations")
def aggregations():
    asked = bulk.count(alias="count").sum("i", alias="sum").avg("i", alias="mean")
    equal({one.alias: one.value for one in asked.get()[0]}, {"count": 200, "sum": 19900, "mean": 99.5})


@step("aggregations that are bounded, grouped or in transactions")
def more_aggregations():
    limited = bulk.order_by("i").limit(10)
    equal(limited.count(alias="n").get()[0][0].value, 10)
    nothing = bulk.where(filter=FieldFilter("i", ">", 1_000))
    equal({one.alias: one.value for one in nothing.count(alias="n").sum("i", alias="sum").get()[0]}, {"n": 0, "sum": 0})
    equal(client.collection_group(bulk.id).count().get()[0][0].value, 200)

    @firestore.transactional
    def counted(transaction):
        return bulk.count().get(transaction=transaction)[0][0].value

    equal(counted(client.transaction()), 200)


@step("collection groups, partitions, lists")
def groups():
    client.document(f"parent-{RUN}/x/child-{RUN}/y").set({"a": 1})
    equal(ids(client.collection_group(f"child-{RUN}").get()), ["y"])
    equal(ids(client.collection(f"parent-{RUN}").list_documents()), ["x"])
    partitions = client.collection_group(bulk.id).get_partitions(4)
    equal(sum(len(partition.query().get()) for partition in partitions), 200)
    for number in range(3):
        client.document(f"parent-{RUN}/{number}/group-{RUN}/z").set({"n": number})
    group = client.collection_group(f"group-{RUN}").where(filter=FieldFilter("n", ">", 0)).order_by("n", direction="DESCENDING")
    equal([found.get("n") for found in group.get()], [2, 1])
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
    for measure, wanted in ((DistanceMeasure.COSINE, ["1", "2"]), (DistanceMeasure.DOT_PRODUCT, ["2", "1"])):
        asked = vectors.find_nearest(vector_field="e", query_vector=Vector([1.0, 2.0, 3.0]), distance_measure=measure, limit=2)
        equal(ids(asked.get()), wanted)
    vectors.document("3").set({"e": Vector([1.0, 2.0, 3.0]), "kind": "other"})
    of_kind = vectors.where(filter=FieldFilter("kind", "==", "other"))
    near = of_kind.find_nearest(
        vector_field="e", query_vector=Vector([1.0, 2.0, 3.0]), distance_measure=DistanceMeasure.EUCLIDEAN, limit=9
    )
    equal(ids(near.get()), ["3"])


@step("explain")
def explain():
    from google.cloud.firestore_v1.query_profile import ExplainOptions

    found = bulk.where(filter=FieldFilter("i", "<", 3)).get(explain_options=ExplainOptions(analyze=True))
    equal(len(list(found)), 3)
    metrics = found.get_explain_metrics()
    equal(metrics.execution_stats.results_returned, 3)
    equal(len(metrics.plan_summary.indexes_used), 1)
    planned = bulk.where(filter=FieldFilter("i", "<", 3)).get(explain_options=ExplainOptions(analyze=False))
    equal(list(planned), [])
    equal(len(planned.get_explain_metrics().plan_summary.indexes_used), 1)
    counted = bulk.count(alias="n").get(explain_options=ExplainOptions(analyze=True))
    equal([one.value for one in list(counted)[0]], [200])
    equal(counted.get_explain_metrics().execution_stats.results_returned, 1)


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


@step("transactions that meet: who is older wins, and nothing is lost")
def contention():
    first, second = players.document("first"), players.document("second")
    for document in (first, second):
        document.set({"n": 0})
    older, younger = client.transaction(), client.transaction()
    older._begin()
    younger._begin()
    first.get(transaction=older)
    second.get(transaction=younger)
    older.update(second, {"n": 1})
    younger.update(first, {"n": 2})
    ended = []

    def commit_younger():
        try:
            younger._commit()
        except exceptions.Aborted as error:
            ended.append(error.message)

    waiting = threading.Thread(target=commit_younger)
    waiting.start()
    older._commit()
    waiting.join(30)
    text = (
        "Aborted due to cross-transaction contention. This occurs when multiple transactions attempt to access the "
        "same data, requiring Firestore to abort at least one in order to enforce serializability."
    )
    equal(ended, [text])
    equal([first.get().get("n"), second.get().get("n")], [0, 1])


@step("read-only transactions and their one moment")
def read_only():
    document = players.document("moment")
    document.set({"v": 1})
    then = document.get().update_time
    transaction = client.transaction(read_only=True)
    transaction._begin()
    equal(document.get(transaction=transaction).get("v"), 1)
    document.set({"v": 2})
    equal(document.get(transaction=transaction).get("v"), 1)
    equal([found.get("v") for found in players.where(filter=FieldFilter("v", ">", 0)).get(transaction=transaction)], [1])
    transaction._rollback()
    equal([found.get("v") for found in players.where(filter=FieldFilter("v", ">", 0)).get(read_time=then)], [1])


@step("reads at an earlier time")
def earlier():
    document = players.document("time")
    document.set({"v": 1})
    then = document.get().update_time
    document.set({"v": 2})
    equal(document.get(read_time=then).to_dict(), {"v": 1})
    equal(bulk.count().get(read_time=then)[0][0].value, 200)
    long_ago = then - datetime.timedelta(hours=2)
    refused(exceptions.FailedPrecondition, lambda: document.get(read_time=long_ago))


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


@step("a listener on a document, told of its whole life")
def document_listener():
    document, seen = players.document("listened"), []

    def changed(documents, _, __):
        seen.append(documents[0].get("v") if documents and documents[0].exists else None)

    watch = document.on_snapshot(changed)
    wait_until(lambda: seen == [None])
    document.set({"v": 1})
    wait_until(lambda: seen == [None, 1])
    document.delete()
    wait_until(lambda: seen == [None, 1, None])
    watch.unsubscribe()


def admin_transport():
    """The admin client does not look at FIRESTORE_EMULATOR_HOST by itself."""
    channel = grpc.insecure_channel(os.environ["FIRESTORE_EMULATOR_HOST"])
    return FirestoreAdminGrpcTransport(channel=channel, credentials=AnonymousCredentials())


@step("indexes, field settings and times to live by the admin client")
def administration():
    admin = firestore_admin_v1.FirestoreAdminClient(transport=admin_transport())
    group = f"projects/{client.project}/databases/(default)/collectionGroups/indexed-{RUN}"
    order = lambda path, order: {"field_path": path, "order": order}  # noqa: E731
    index = {"query_scope": "COLLECTION", "fields": [order("a", "ASCENDING"), order("b", "DESCENDING")]}
    made = admin.create_index(parent=group, index=index).result()
    equal([field.field_path for field in made.fields], ["a", "b", "__name__"])
    refused(exceptions.AlreadyExists, lambda: admin.create_index(parent=group, index=index))
    equal([one.name for one in admin.list_indexes(parent=group)], [made.name])
    equal(admin.get_index(name=made.name).state.name, "READY")
    admin.delete_index(name=made.name)
    refused(exceptions.NotFound, lambda: admin.get_index(name=made.name))
    field = {"name": f"{group}/fields/until", "ttl_config": {}}
    live = admin.update_field(request={"field": field, "update_mask": {"paths": ["ttl_config"]}}).result()
    equal(live.ttl_config.state.name, "ACTIVE")
    equal([one.name for one in admin.list_fields(request={"parent": group, "filter": "ttlConfig:*"})], [live.name])
    sessions = client.collection(f"indexed-{RUN}")
    now = datetime.datetime.now(datetime.UTC)
    sessions.document("old").set({"until": now - datetime.timedelta(minutes=1)})
    sessions.document("new").set({"until": now + datetime.timedelta(days=1)})
    equal(ids(sessions.get()), ["new"])
    plain = {"name": f"{group}/fields/plain", "index_config": {"indexes": []}}
    equal(list(admin.update_field(request={"field": plain}).result().index_config.indexes), [])
    equal(admin.get_database(name=group.split("/collectionGroups")[0]).type_.name, "FIRESTORE_NATIVE")


@step("a query whose index is missing is refused with production's text until the index is there")
def enforcement():
    def enforce(word):
        address = f"{os.environ['SCRIMMAGE_URL']}/admin/firestore/indexes?enforcement={word}"
        urllib.request.urlopen(urllib.request.Request(address, method="PUT")).close()

    enforce("enforce")
    asked = bulk.where(filter=FieldFilter("team", "==", "g1")).order_by("i", direction="DESCENDING").limit(2)
    refusal = refused(exceptions.FailedPrecondition, asked.get)
    start = "The query requires an index. You can create it here: https://console.firebase.google.com/"
    expect(refusal.message.startswith(start), refusal.message)
    admin = firestore_admin_v1.FirestoreAdminClient(transport=admin_transport())
    group = f"projects/{client.project}/databases/(default)/collectionGroups/{bulk.id}"
    fields = [{"field_path": "team", "order": "ASCENDING"}, {"field_path": "i", "order": "DESCENDING"}]
    admin.create_index(parent=group, index={"query_scope": "COLLECTION", "fields": fields}).result()
    equal(ids(asked.get()), ["d196", "d191"])
    enforce("default")


@step("another database")
def another_database():
    other = firestore.Client(database=f"other-{RUN}")
    other.document("x/1").set({"a": 1})
    equal(other.document("x/1").get().get("a"), 1)
    equal(client.document("x/1").get().exists, False)


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


@step("the asynchronous client: documents, batches and their refusals")
async def asynchronous_documents():
    client = firestore.AsyncClient()
    document = client.collection(f"async-{RUN}").document("d")
    await document.create({"n": 1, "list": [1], "at": firestore.SERVER_TIMESTAMP})
    for kind, call in (
        (exceptions.AlreadyExists, document.create({})),
        (exceptions.NotFound, client.document(f"async-{RUN}/none").update({"a": 1})),
    ):
        try:
            await call
            raise AssertionError("not refused")
        except kind:
            pass
    await document.update({"n": firestore.Increment(2), "list": firestore.ArrayUnion([2]), "map.x": 1})
    await document.set({"map": {"y": 2}}, merge=True)
    read = (await document.get(["n", "list", "map"])).to_dict()
    equal(read, {"n": 3, "list": [1, 2], "map": {"x": 1, "y": 2}})
    batch = client.batch()
    for number in range(20):
        batch.set(client.document(f"batch-{RUN}/{number:02}"), {"n": number})
    equal(len(await batch.commit()), 20)
    found = {one.id: one.exists async for one in client.get_all([document, client.document(f"async-{RUN}/none")])}
    equal(found, {"d": True, "none": False})
    expect(f"batch-{RUN}" in [one.id async for one in client.collections()])
    equal(len([one async for one in client.collection(f"batch-{RUN}").list_documents()]), 20)
    await client.document(f"batch-{RUN}/00").delete()


@step("the asynchronous client: queries of every kind")
async def asynchronous_queries():
    client = firestore.AsyncClient()
    some = client.collection(f"batch-{RUN}")
    async_ids = lambda found: [one.id for one in found]  # noqa: E731
    either = Or([FieldFilter("n", "==", 3), FieldFilter("n", ">", 17)])
    equal(async_ids(await some.where(filter=either).get()), ["03", "18", "19"])
    equal(async_ids(await some.order_by("n").limit_to_last(2).get()), ["18", "19"])
    equal(async_ids(await some.order_by("n").start_after({"n": 4}).limit(2).get()), ["05", "06"])
    equal([found.id async for found in client.collection_group(f"batch-{RUN}").where(filter=FieldFilter("n", "<", 3)).stream()], ["01", "02"])
    asked = some.count(alias="count").sum("n", alias="sum").avg("n", alias="mean")
    equal({one.alias: one.value for one in (await asked.get())[0]}, {"count": 19, "sum": 190, "mean": 10.0})
    parts = [part async for part in client.collection_group(f"batch-{RUN}").get_partitions(3)]
    equal(sum([len(await part.query().get()) for part in parts]), 19)
    near = client.collection(f"vectors-{RUN}").find_nearest(
        vector_field="e", query_vector=Vector([1.0, 2.0, 3.0]), distance_measure=DistanceMeasure.EUCLIDEAN, limit=1
    )
    equal(len(await near.get()), 1)


@step("the asynchronous client: transactions that query, read only, and meet")
async def asynchronous_transactions():
    client = firestore.AsyncClient()
    some = client.collection(f"batch-{RUN}")
    counter = client.document(f"async-{RUN}/counter")
    await counter.set({"n": 0})

    @firestore.async_transactional
    async def sum_up(transaction):
        read = [found.get("n") async for found in await transaction.get(some.where(filter=FieldFilter("n", "<", 5)))]
        transaction.update(counter, {"sum": sum(read)})

    await sum_up(client.transaction())
    equal((await counter.get()).get("sum"), 10)

    @firestore.async_transactional
    async def only_reads(transaction):
        return (await counter.get(transaction=transaction)).get("sum")

    equal(await only_reads(client.transaction(read_only=True)), 10)

    @firestore.async_transactional
    async def count_up(transaction):
        read = await counter.get(transaction=transaction)
        transaction.update(counter, {"n": read.get("n") + 1})

    await asyncio.gather(*(count_up(client.transaction(max_attempts=20)) for _ in range(20)))
    equal((await counter.get()).get("n"), 20)
    expect(await client.recursive_delete(some) == 19)


@step("recursive deletion")
def recursive():
    equal(client.recursive_delete(bulk), 199)
    equal(bulk.get(), [])
