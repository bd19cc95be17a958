"""The same random operations against Google's Firestore emulator and against this one: same results.

    python firestore_differential.py [SEED] [OPERATIONS]

Operations are commits, reads, queries, aggregations, nearest-neighbour searches, transactions of one
client, and at the end listeners that are to follow some tenths as many commits.

What may differ, and why, is listed in `emulators/firestore/DIFFERENCES.md`; operations that would
run into a listed difference are not made here.
"""

import datetime
import os
import random
import sys
import uuid

import grpc
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import (
    CommitRequest,
    Cursor,
    Document,
    DocumentMask,
    DocumentTransform,
    Precondition,
    RunAggregationQueryRequest,
    RunQueryRequest,
    StructuredAggregationQuery,
    StructuredQuery,
    Value,
    Write,
)
from google.protobuf import struct_pb2, timestamp_pb2, wrappers_pb2
from google.type import latlng_pb2

import emulators
from firestore_following import Following

PROJECT = f"differential-{uuid.uuid4().hex[:8]}"
DATABASE = f"projects/{PROJECT}/databases/(default)"
ROOT = f"{DATABASE}/documents"
COLLECTIONS = ["cities", "teams"]
FIELDS = ["a", "b", "c", "map.x", "map.`k-9`", "list"]
NULL = struct_pb2.NULL_VALUE


class Service:
    """One of the two, by its generated client."""

    def __init__(self, host):
        channel = grpc.insecure_channel(host)
        self.client = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel, credentials=AnonymousCredentials()))

    def ask(self, operation):
        """What the operation comes to: its normalised result, or the kind of its refusal."""
        try:
            return operation(self.client)
        except exceptions.GoogleAPICallError as error:
            if os.environ.get("SHOW"):
                print("   ", error.grpc_status_code.name, error.message)
            return f"refused: {error.grpc_status_code.name}"


def rounded(value):
    """A sum as Google's emulator has it: integers above 2^53 lose their last bits."""
    if isinstance(value, str) and value.startswith("integer_value "):
        number = int(value.removeprefix("integer_value "))
        return f"integer_value {int(float(number))}" if abs(number) > 2**53 else value
    return value


class Dice:
    """Random operations of a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, choices):
        return self.random.choice(choices)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def document(self):
        return f"{ROOT}/{self.one(COLLECTIONS)}/{self.one('abcdefghij')}"

    def scalar(self):
        return self.one(
            [
                lambda: Value(null_value=NULL),
                lambda: Value(boolean_value=self.chance(50)),
                lambda: Value(integer_value=self.random.randrange(-3, 4)),
                lambda: Value(integer_value=self.one([2**53 + 1, -(2**63), 2**63 - 1])),
                lambda: Value(double_value=self.one([-1.5, -0.0, 0.0, 0.5, 1.0, 2.0, 1e300, float("nan"), float("inf")])),
                lambda: Value(timestamp_value=timestamp_pb2.Timestamp(seconds=self.random.randrange(3), nanos=self.one([0, 1000]))),
                lambda: Value(string_value=self.one(["", "a", "ab", "b", "é", "z", "\U0001f600"])),
                lambda: Value(bytes_value=self.one([b"", b"a", b"\xff"])),
                lambda: Value(reference_value=self.document()),
                lambda: Value(geo_point_value=latlng_pb2.LatLng(latitude=self.one([-1, 0, 1]), longitude=self.one([0, 2]))),
            ]
        )()

    def value(self, depth=0):
        if depth < 2 and self.chance(15):
            return Value(array_value={"values": [self.scalar() for _ in range(self.random.randrange(4))]})
        if depth < 2 and self.chance(15):
            return Value(map_value={"fields": {key: self.value(depth + 1) for key in self.random.sample(["x", "k-9", "y"], 2)}})
        return self.scalar()

    def fields(self):
        names = self.random.sample(["a", "b", "c", "map", "list"], self.random.randrange(1, 5))
        made = {name: self.value() for name in names}
        if "map" in made:
            made["map"] = Value(map_value={"fields": {"x": self.value(1), "k-9": self.value(1)}})
        if "list" in made:
            made["list"] = Value(array_value={"values": [self.scalar() for _ in range(self.random.randrange(4))]})
        return made

    def precondition(self):
        return Precondition(exists=self.chance(60)) if self.chance(20) else None

    def transform(self):
        kind = self.one(["increment", "maximum", "minimum", "append_missing_elements", "remove_all_from_array"])
        number = lambda: self.one([Value(integer_value=self.random.randrange(-5, 6)), Value(double_value=self.one([0.5, -2.0]))])  # noqa: E731
        operand = number() if kind in ("increment", "maximum", "minimum") else {"values": [self.scalar() for _ in range(2)]}
        return DocumentTransform.FieldTransform(field_path=self.one(FIELDS), **{kind: operand})

    def write(self):
        name, precondition = self.document(), self.precondition()
        if self.chance(15):
            return Write(delete=name, current_document=precondition)
        document = Document(name=name, fields=self.fields())
        write = Write(update=document, current_document=precondition)
        if self.chance(50):
            write.update_mask = DocumentMask(field_paths=self.random.sample(FIELDS, self.random.randrange(3)))
        if self.chance(40):
            write.update_transforms = [self.transform() for _ in range(self.random.randrange(1, 3))]
        return write

    def writes(self):
        names, writes = set(), []
        for _ in range(self.random.randrange(1, 4)):
            write = self.write()
            name = write.delete or write.update.name
            if name not in names:
                names.add(name)
                writes.append(write)
        return writes

    def commit(self):
        request = CommitRequest(database=DATABASE, writes=self.writes())
        return lambda client: [[plain(value) for value in one.transform_results] for one in client.commit(request).write_results]

    def filter(self, depth=0):
        if depth < 2 and self.chance(25):
            operator = self.one(["AND", "OR"])
            filters = [self.filter(depth + 1) for _ in range(2)]
            return {"composite_filter": {"op": operator, "filters": filters}}
        field = {"field_path": self.one(FIELDS)}
        if self.chance(15):
            return {"unary_filter": {"field": field, "op": self.one(["IS_NULL", "IS_NAN", "IS_NOT_NULL", "IS_NOT_NAN"])}}
        operator = self.one(["EQUAL", "EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "NOT_EQUAL",
                             "IN", "ARRAY_CONTAINS", "ARRAY_CONTAINS_ANY", "NOT_IN"])
        if operator in ("IN", "NOT_IN", "ARRAY_CONTAINS_ANY"):
            value = Value(array_value={"values": [self.scalar() for _ in range(self.random.randrange(1, 4))]})
        else:
            value = self.value()
        return {"field_filter": {"field": field, "op": operator, "value": value}}

    def query(self):
        query = {"from_": [{"collection_id": self.one(COLLECTIONS), "all_descendants": self.chance(10)}]}
        if self.chance(70):
            query["where"] = self.filter()
        orders = []
        if self.chance(60):
            for field in self.random.sample(FIELDS, self.random.randrange(1, 3)):
                orders.append({"field": {"field_path": field}, "direction": self.one(["ASCENDING", "DESCENDING"])})
            query["order_by"] = orders
        if orders and self.chance(40):
            cursor = Cursor(values=[self.value() for _ in orders], before=self.chance(50))
            query[self.one(["start_at", "end_at"])] = cursor
        if self.chance(40):
            query["limit"] = wrappers_pb2.Int32Value(value=self.random.randrange(1, 6))
        if self.chance(15):
            query["offset"] = self.random.randrange(4)
        if self.chance(20):
            query["select"] = {"fields": [{"field_path": field} for field in self.random.sample(FIELDS, 2)]}
        return StructuredQuery(query)

    def run_query(self):
        asked = self.query()

        def ask(client, transaction=None):
            request = RunQueryRequest(parent=ROOT, structured_query=asked, transaction=transaction)
            return [shown(answer.document) for answer in client.run_query(request) if answer.document.name]

        return ask

    def vector(self):
        size = 3 if self.chance(10) else 2
        numbers = [self.one([-2.0, -1.0, 0.5, 1.0, 3.0]) for _ in range(size)]
        return vector(numbers)

    def place(self):
        """A commit of a document that a search may find."""
        fields = {"v": self.scalar() if self.chance(15) else self.vector(), "kind": Value(integer_value=self.random.randrange(3))}
        document = Document(name=f"{ROOT}/places/{self.one('abcdefghijklmnop')}", fields=fields)
        request = CommitRequest(database=DATABASE, writes=[Write(update=document)])
        return lambda client: len(client.commit(request).write_results)

    def nearest(self):
        nearest = {
            "vector_field": {"field_path": "v"},
            "query_vector": vector([self.one([-1.0, 1.0, 2.0]), self.one([-2.0, 0.5])]),
            "distance_measure": self.one(["EUCLIDEAN", "COSINE", "DOT_PRODUCT"]),
            "limit": wrappers_pb2.Int32Value(value=self.random.randrange(1, 9)),
            "distance_result_field": self.one(["", "distance"]),
        }
        if self.chance(30):
            nearest["distance_threshold"] = wrappers_pb2.DoubleValue(value=self.one([0.25, 1.0, 2.5]))
        query = {"from_": [{"collection_id": "places"}], "find_nearest": nearest}
        if self.chance(40):
            value = Value(integer_value=self.random.randrange(3))
            query["where"] = {"field_filter": {"field": {"field_path": "kind"}, "op": "EQUAL", "value": value}}
        request = RunQueryRequest(parent=ROOT, structured_query=StructuredQuery(query))

        def ask(client):
            found = [answer.document for answer in client.run_query(request) if answer.document.name]
            # What is equally near comes in no promised order, nor is it promised which of it the limit keeps.
            return sorted(distance_of(document, nearest) for document in found)

        return ask

    def transaction(self):
        """Reads and a commit, or a rollback, by one client; nobody is in the way."""
        steps = [self.one([self.get, self.batch_get, self.run_query, self.aggregate])() for _ in range(self.random.randrange(4))]
        writes, ended = self.writes(), self.one(["commit", "commit", "rollback", "twice"])
        options = {"read_only": {}} if self.chance(20) else {"read_write": {}}

        def ask(client):
            id = client.begin_transaction({"database": DATABASE, "options": options}).transaction
            results = [refusal_or(step, client, id) for step in steps]
            commit = lambda client, id: len(client.commit({"database": DATABASE, "writes": writes, "transaction": id}).write_results)  # noqa: E731
            rollback = lambda client, id: client.rollback({"database": DATABASE, "transaction": id}) and None  # noqa: E731
            results.append(refusal_or(rollback if ended == "rollback" else commit, client, id))
            if ended != "commit":
                results.append(refusal_or(commit, client, id))
            return results

        return ask

    def aggregate(self):
        kinds = [
            {"alias": "n", "count": {}},
            {"alias": "some", "count": {"up_to": wrappers_pb2.Int64Value(value=2)}},
            {"alias": "sum", "sum": {"field": {"field_path": self.one(FIELDS)}}},
            {"alias": "mean", "avg": {"field": {"field_path": self.one(FIELDS)}}},
        ]
        asked = StructuredAggregationQuery(structured_query=self.query(), aggregations=self.random.sample(kinds, 2))

        def ask(client, transaction=None):
            request = RunAggregationQueryRequest(parent=ROOT, structured_aggregation_query=asked, transaction=transaction)
            answers = [answer.result for answer in client.run_aggregation_query(request)]
            return [{alias: rounded(plain(value)) for alias, value in sorted(one.aggregate_fields.items())} for one in answers]

        return ask

    def get(self):
        name = self.document()
        return lambda client, transaction=None: shown(client.get_document({"name": name, "transaction": transaction}))

    def batch_get(self):
        names = [self.document() for _ in range(3)]

        def ask(client, transaction=None):
            answers = client.batch_get_documents({"database": DATABASE, "documents": names, "transaction": transaction})
            return sorted(repr(shown(one.found)) if one.found.name else f"missing {one.missing}" for one in answers)

        return ask

    def list(self):
        collection = self.one(COLLECTIONS)
        return lambda client: [shown(one) for one in client.list_documents({"parent": ROOT, "collection_id": collection, "page_size": 3})]

    def operation(self):
        return self.one([self.commit, self.commit, self.run_query, self.run_query, self.run_query, self.aggregate, self.get,
                         self.batch_get, self.list, self.place, self.nearest, self.transaction])


def vector(numbers):
    """A vector as values have it."""
    values = Value(array_value={"values": [Value(double_value=number) for number in numbers]})
    return Value(map_value={"fields": {"__type__": Value(string_value="__vector__"), "value": values}})


def distance_of(document, nearest):
    """How far a found document is from the query's vector, and whether it says so itself."""
    numbers = [one.double_value for one in document.fields["v"].map_value.fields["value"].array_value.values]
    wanted = [one.double_value for one in nearest["query_vector"].map_value.fields["value"].array_value.values]
    dot = lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))  # noqa: E731
    distance = {
        "EUCLIDEAN": lambda: dot(*[[x - y for x, y in zip(numbers, wanted, strict=True)]] * 2) ** 0.5,
        "COSINE": lambda: 1 - dot(numbers, wanted) / (dot(numbers, numbers) * dot(wanted, wanted)) ** 0.5,
        "DOT_PRODUCT": lambda: dot(numbers, wanted),
    }[nearest["distance_measure"]]()
    said = document.fields["distance"].double_value if "distance" in document.fields else None
    return f"{distance:.9f}", said is None or abs(said - distance) < 1e-9


def refusal_or(step, client, *arguments):
    """What a step of a transaction comes to; its refusal is a result too."""
    try:
        return step(client, *arguments)
    except exceptions.GoogleAPICallError as error:
        return f"refused: {error.grpc_status_code.name}"


def plain(value):
    """A value as something that compares: NaN equals itself, -0.0 is not 0.0, 1 is not 1.0."""
    kind = Value.pb(value).WhichOneof("value_type")
    if kind == "map_value":
        return {key: plain(one) for key, one in sorted(value.map_value.fields.items())}
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    inner = getattr(value, kind) if kind else None
    if isinstance(inner, datetime.datetime):
        inner = inner.timestamp_pb() if hasattr(inner, "timestamp_pb") else inner
    return f"{kind} {inner!r}"


def shown(document):
    return (document.name.removeprefix(ROOT), {name: plain(value) for name, value in sorted(document.fields.items())})


def follow(dice, services, commits):
    """Listeners on the same targets of both services, through the same commits; how many differences."""
    names = [f"{ROOT}/{COLLECTIONS[0]}/{id}" for id in "abc"]
    everything = StructuredQuery({"from_": [{"collection_id": COLLECTIONS[0]}]})
    order = [{"field": {"field_path": "a"}, "direction": "DESCENDING"}]
    first = StructuredQuery(
        {"from_": [{"collection_id": COLLECTIONS[1]}], "order_by": order, "limit": wrappers_pb2.Int32Value(value=3)}
    )
    some = {"field_filter": {"field": {"field_path": "b"}, "op": "GREATER_THAN", "value": Value(integer_value=0)}}
    filtered = StructuredQuery({"from_": [{"collection_id": COLLECTIONS[0]}], "where": some})
    queries = {1: everything, 2: first, 3: filtered}
    targets = {number: {"query": {"parent": ROOT, "structured_query": query}} for number, query in queries.items()}
    targets[4] = {"documents": {"documents": names}}
    # Google's emulator now and then sends a frame that is none, and the client ends the stream.
    followers = [Following(service.client, DATABASE, targets, allowed) for service, allowed in zip(services, (10, 0), strict=True)]
    differences = 0
    for number in range(commits):
        operation = dice.commit()
        wanted, found = (service.ask(operation) for service in services)
        states = []
        for service, follower in zip(services, followers, strict=True):
            run = lambda query, service=service: {  # noqa: E731
                answer.document.name: shown(answer.document)
                for answer in service.client.run_query(RunQueryRequest(parent=ROOT, structured_query=query))
                if answer.document.name
            }
            state = {number: run(query) for number, query in queries.items()}
            state[4] = {name: one for name, one in state[1].items() if name in names}
            shows = lambda targets: {number: {name: shown(one) for name, one in of.items()} for number, of in targets.items()}  # noqa: E731
            instead = follower.wait_for(lambda targets, state=state: shows(targets) == state) if follower else None
            states.append((state, instead))
        if states[0][1] and followers[0]:
            print(f"Google's listeners do not follow from commit {number} on: {states[0][1]}"[:300])
            followers[0].close()
            followers[0] = None
        if wanted != found or states[0] != states[1] or states[1][1]:
            differences += 1
            print(f"commit {number} under listeners:\n  Google's: {wanted} {states[0][1]}\n  here:     {found} {states[1][1]}")
            break
    for follower in filter(None, followers):
        follower.close()
    return differences


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    operations = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    with emulators.firestore() as host:
        theirs, ours = Service(host), Service(os.environ["FIRESTORE_EMULATOR_HOST"])
        dice, differences, refusals = Dice(seed), 0, 0
        for number in range(operations):
            make = dice.operation()
            state = dice.random.getstate()
            operation = make()
            wanted, found = theirs.ask(operation), ours.ask(operation)
            refusals += isinstance(wanted, str)
            if wanted != found:
                differences += 1
                dice.random.setstate(state)
                print(f"operation {number} ({make.__name__}):\n  Google's: {wanted}\n  here:     {found}")
                if os.environ.get("SHOW"):
                    for cell in operation.__closure__:
                        print(cell.cell_contents)
        commits = operations // 20
        differences += follow(dice, (theirs, ours), commits)
        print(f"{operations} operations of seed {seed}, and {commits} commits under listeners: {refusals} refused by both, {differences} differ")
        sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
