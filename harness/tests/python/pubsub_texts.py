"""Production's error texts, word for word, through the generated Pub/Sub clients: over gRPC and over REST.

Each row is one request to both transports of the stock client; what it must be refused with is written out.
The texts were seen in production's answers; where each comes from says `emulators/pubsub/src/texts.rs`.
"""

import json
import os
import threading
import urllib.error
import urllib.request
import uuid

import google.auth
import grpc
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeError
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1.services import publisher, subscriber
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport, PublisherRestTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport, SubscriberRestTransport
from google.pubsub_v1.types import (
    AcknowledgeRequest,
    ExpirationPolicy,
    GetTopicRequest,
    ModifyAckDeadlineRequest,
    PublishRequest,
    PubsubMessage,
    PullRequest,
    PushConfig,
    Subscription,
    Topic,
    UpdateSubscriptionRequest,
)

from checks import equal, expect, refused, step

RUN = uuid.uuid4().hex[:8]
HOST = os.environ["PUBSUB_EMULATOR_HOST"]
PROJECT = google.auth.default()[1]
TOPIC = f"projects/{PROJECT}/topics/texts-{RUN}"
SUB = f"projects/{PROJECT}/subscriptions/texts-{RUN}"
PUSH = f"projects/{PROJECT}/subscriptions/push-{RUN}"
NEW = f"projects/{PROJECT}/subscriptions/new-{RUN}"
NAMES = "Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
NO_CREDENTIALS = AnonymousCredentials()
UNLIMITED = [("grpc.max_send_message_length", -1)]


def over_grpc():
    channel = grpc.insecure_channel(HOST, options=UNLIMITED)
    return (
        publisher.PublisherClient(transport=PublisherGrpcTransport(channel=channel, credentials=NO_CREDENTIALS)),
        subscriber.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel, credentials=NO_CREDENTIALS)),
    )


def over_rest():
    there = {"host": HOST, "url_scheme": "http", "credentials": NO_CREDENTIALS}
    return (
        publisher.PublisherClient(transport=PublisherRestTransport(**there)),
        subscriber.SubscriberClient(transport=SubscriberRestTransport(**there)),
    )


TRANSPORTS = {"gRPC": over_grpc(), "REST": over_rest()}


def seconds(count):
    return duration_pb2.Duration(seconds=count)


def message(size):
    return PublishRequest(topic=TOPIC, messages=[PubsubMessage(data=b"x" * size)])


def size_of(request):
    return type(request).pb(request).ByteSize()


def create(**fields):
    return "subscriber", "create_subscription", Subscription(name=NEW, topic=TOPIC, **fields)


def update(*paths, **fields):
    given = Subscription(name=SUB, **fields)
    return "subscriber", "update_subscription", UpdateSubscriptionRequest(subscription=given, update_mask=field_mask_pb2.FieldMask(paths=paths))


def too_large(what, given, most):
    return f"The value for {what} is too large. You passed {given} in the request, but the maximum value is {most}."


LARGE = message(10_000_001)
NONE = f"projects/{PROJECT}/topics/none"
EMPTY_MASK = "The update_mask in the UpdateSubscriptionRequest must be set, and must contain a non-empty paths list."

# Kind of refusal, text, and the request: whose client, which method, what.
ROWS = [
    (exceptions.NotFound, "Resource not found (resource=none).", ("publisher", "get_topic", GetTopicRequest(topic=NONE))),
    (
        exceptions.AlreadyExists,
        f"Resource already exists in the project (resource=texts-{RUN}).",
        ("publisher", "create_topic", Topic(name=TOPIC)),
    ),
    (
        exceptions.AlreadyExists,
        f"Resource already exists in the project (resource=texts-{RUN}).",
        ("subscriber", "create_subscription", Subscription(name=SUB, topic=TOPIC)),
    ),
    (
        exceptions.InvalidArgument,
        f"Invalid resource name given (name=projects/p/topics/ab). {NAMES}",
        ("publisher", "create_topic", Topic(name="projects/p/topics/ab")),
    ),
    *(
        (
            exceptions.InvalidArgument,
            "You have passed an invalid argument to the service (argument=max_messages).",
            ("subscriber", "pull", PullRequest(subscription=SUB, max_messages=most)),
        )
        for most in (0, -1)
    ),
    *(
        (
            exceptions.InvalidArgument,
            f"Invalid ack deadline given (ack_deadline={given}). The ack deadline must be between 0 and 600 seconds.",
            ("subscriber", "modify_ack_deadline", ModifyAckDeadlineRequest(subscription=SUB, ack_ids=["x"], ack_deadline_seconds=given)),
        )
        for given in (601, -1)
    ),
    (
        exceptions.InvalidArgument,
        "Invalid ack deadline given (ack_deadline=601). The ack deadline must be between 0 and 600 seconds.",
        create(ack_deadline_seconds=601),
    ),
    (
        exceptions.InvalidArgument,
        "You have not specified an ack ID in the request.",
        ("subscriber", "acknowledge", AcknowledgeRequest(subscription=SUB)),
    ),
    (
        exceptions.InvalidArgument,
        "You have passed an invalid ack ID to the service (ack_id=not-an-ack-id).",
        ("subscriber", "acknowledge", AcknowledgeRequest(subscription=SUB, ack_ids=["not-an-ack-id"])),
    ),
    (
        exceptions.InvalidArgument,
        "The value for message_count is too small. You passed 0 in the request, but the minimum value is 1.",
        ("publisher", "publish", PublishRequest(topic=TOPIC)),
    ),
    (
        exceptions.InvalidArgument,
        too_large("message_count", 1001, 1000),
        ("publisher", "publish", PublishRequest(topic=TOPIC, messages=[PubsubMessage(data=b"x")] * 1001)),
    ),
    (
        exceptions.InvalidArgument,
        too_large("request_size", size_of(LARGE), 10000000),
        ("publisher", "publish", LARGE),
    ),
    (
        exceptions.InvalidArgument,
        "Request payload size exceeds the limit: 10485760 bytes.",
        ("publisher", "publish", message(10_485_761)),
    ),
    *(
        (
            exceptions.InvalidArgument,
            "The value for message retention duration is out of bounds."
            f" You passed {shown} in the request, but the value must be between 10m and 744h.",
            create(message_retention_duration=seconds(given)),
        )
        for given, shown in ((599, "9m59s"), (2_678_401, "744h1s"))
    ),
    (
        exceptions.InvalidArgument,
        "The value for expiration duration is too small. You passed 1h in the request, but the minimum value is 24h.",
        create(expiration_policy=ExpirationPolicy(ttl=seconds(3_600))),
    ),
    *(
        (
            exceptions.InvalidArgument,
            f"Invalid update_mask provided in the UpdateSubscriptionRequest: the '{field}' field in the Subscription is not mutable.",
            update(field, **{field: value}),
        )
        for field, value in (("enable_message_ordering", True), ("filter", "attributes:k"))
    ),
    (exceptions.InvalidArgument, EMPTY_MASK, update(ack_deadline_seconds=20)),
    (
        exceptions.FailedPrecondition,
        "This method is not supported for this subscription type.",
        ("subscriber", "pull", PullRequest(subscription=PUSH, max_messages=1)),
    ),
]


@step("what the rows are about")
def set_up():
    clients = dict(zip(("publisher", "subscriber"), TRANSPORTS["gRPC"]))
    clients["publisher"].create_topic(request=Topic(name=TOPIC))
    clients["subscriber"].create_subscription(request=Subscription(name=SUB, topic=TOPIC))
    nowhere = PushConfig(push_endpoint="http://127.0.0.1:9/")
    clients["subscriber"].create_subscription(request=Subscription(name=PUSH, topic=TOPIC, push_config=nowhere))


def rows_through(transport):
    clients = dict(zip(("publisher", "subscriber"), TRANSPORTS[transport]))
    for kind, text, (whose, method, request) in ROWS:
        # A stock client retries some refusals; none of these.
        call = getattr(clients[whose], method)
        error = refused(exceptions.GoogleAPICallError, lambda call=call, request=request: call(request=request, timeout=60))
        said = error.message
        if transport == "REST":
            # The client puts verb and address in front.
            said = said.partition(": ")[2]
            equal(error.code, {exceptions.NotFound: 404, exceptions.AlreadyExists: 409}.get(kind, 400))
            body = error.response.json()["error"]
            equal((body["code"], body["message"]), (error.code, said))
            wanted = {exceptions.NotFound: "NOT_FOUND", exceptions.AlreadyExists: "ALREADY_EXISTS"}
            wanted[exceptions.FailedPrecondition] = "FAILED_PRECONDITION"
            equal(body["status"], wanted.get(kind, "INVALID_ARGUMENT"))
        else:
            expect(isinstance(error, kind), error)
        equal(said, text)


@step(f"{len(ROWS)} texts over gRPC")
def grpc_rows():
    rows_through("gRPC")


@step(f"{len(ROWS)} texts over REST")
def rest_rows():
    rows_through("REST")


@step("an unknown field over REST")
def unknown_field():
    body = json.dumps({"topic": TOPIC, "noSuchField": 1}).encode()
    request = urllib.request.Request(f"http://{HOST}/v1/{NEW}", body, {"Content-Type": "application/json"}, method="PUT")
    error = refused(urllib.error.HTTPError, lambda: urllib.request.urlopen(request))
    answer = json.load(error)["error"]
    text = 'Invalid JSON payload received. Unknown name "noSuchField": Cannot find field.'
    equal((error.code, answer["code"], answer["status"], answer["message"]), (400, 400, "INVALID_ARGUMENT", text))
    [detail] = answer["details"]
    equal(detail["@type"], "type.googleapis.com/google.rpc.BadRequest")
    [violation] = detail["fieldViolations"]
    equal(violation["description"], text)


@step("defaults over both")
def defaults():
    for _, client in TRANSPORTS.values():
        found = client.get_subscription(subscription=SUB)
        equal(found.ack_deadline_seconds, 10)
        equal(found.message_retention_duration.total_seconds(), 604_800)
        equal(found.expiration_policy.ttl.total_seconds(), 2_678_400)
        equal(found.state, Subscription.State.ACTIVE)
        equal(found.push_config, PushConfig())


def late(name):
    """A subscription with exactly-once delivery and 1,000 messages."""
    path = f"projects/{PROJECT}/subscriptions/{name}-{RUN}"
    sender, receiver = TRANSPORTS["gRPC"]
    receiver.create_subscription(request=Subscription(name=path, topic=TOPIC, enable_exactly_once_delivery=True))
    sender.publish(request=PublishRequest(topic=TOPIC, messages=[PubsubMessage(data=b"x")] * 1000))
    return path


@step("1,000 acknowledgements that come too late, in one request")
def stale():
    client = pubsub_v1.SubscriberClient()
    path = late("stale")
    ids = []
    while len(ids) < 1000:
        ids += [one.ack_id for one in client.pull(subscription=path, max_messages=1000, timeout=30).received_messages]
    give_back = {"subscription": path, "ack_ids": ids, "ack_deadline_seconds": 0}
    client.modify_ack_deadline(request=give_back)
    for call in (
        lambda: client.modify_ack_deadline(request=give_back),
        lambda: client.acknowledge(subscription=path, ack_ids=ids),
    ):
        error = refused(exceptions.GoogleAPICallError, call)
        expect(isinstance(error, exceptions.InvalidArgument), error)
        expect(error.message.startswith("Some acknowledgement ids in the request were invalid."), error.message)
        [detail] = error.details
        equal(detail.reason, "EXACTLY_ONCE_ACKID_FAILURE")
        expect(detail.metadata and set(detail.metadata) < set(ids), detail)
        equal(set(detail.metadata.values()), {"PERMANENT_FAILURE_INVALID_ACK_ID"})


@step("a subscriber whose 1,000 acknowledgements come too late is told of each")
def stale_subscriber():
    client = pubsub_v1.SubscriberClient()
    path = late("late")
    first, again, lock = {}, {}, threading.Lock()
    all_first, all_again = threading.Event(), threading.Event()

    def take(message):
        with lock:
            (again if message.message_id in first else first)[message.message_id] = message
            if len(first) == 1000:
                all_first.set()
            if len(again) == 1000:
                all_again.set()

    flow = pubsub_v1.types.FlowControl(max_messages=5000)
    pulling = client.subscribe(path, take, flow_control=flow)
    expect(all_first.wait(60), len(first))
    give_back = {"subscription": path, "ack_ids": [one.ack_id for one in first.values()], "ack_deadline_seconds": 0}
    client.modify_ack_deadline(request=give_back)
    expect(all_again.wait(60), len(again))
    told = [one.ack_with_response() for one in first.values()]
    for future in told:
        refused(AcknowledgeError, lambda future=future: future.result(timeout=60))
    for future in [one.ack_with_response() for one in again.values()]:
        future.result(timeout=60)
    pulling.cancel()
    pulling.result(timeout=60)
