"""The same random operations against Google's Pub/Sub emulator and against this one: same outcomes.

    python pubsub_differential.py [SEED] [OPERATIONS]

Refusals are compared by their code and, but for the texts in `OWN_TEXTS`, word for word; settings field by field;
deliveries as what is there to be had, in order for each key. What may differ, and why, is listed in
`emulators/pubsub/DIFFERENCES.md`; operations that would run into a listed difference are not made here.
"""

import collections
import contextlib
import os
import random
import re
import sys
import uuid

import grpc
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.protobuf import duration_pb2, field_mask_pb2, json_format
from google.pubsub_v1.services import publisher, schema_service, subscriber
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import (
    CreateSnapshotRequest,
    DeadLetterPolicy,
    Encoding,
    ExpirationPolicy,
    PubsubMessage,
    PushConfig,
    RetryPolicy,
    Schema,
    SchemaSettings,
    SchemaView,
    Snapshot,
    Subscription,
    Topic,
)

import emulators

# What the list of differences was made with; others may have others.
VERSION = "0.8.20"
PROJECT = f"differential-{uuid.uuid4().hex[:8]}"
TOPICS = [f"projects/{PROJECT}/topics/{name}" for name in ("one", "two", "three")]
# Nobody subscribes to this one: a subscription whose topic is deleted gets all that the topic has retained from
# Google's emulator, also what was published before it was made.
RETAINING = f"projects/{PROJECT}/topics/retaining"
SUBS = [f"projects/{PROJECT}/subscriptions/{name}" for name in ("one", "two", "three", "four", "five")]
SNAPSHOTS = [f"projects/{PROJECT}/snapshots/{name}" for name in ("one", "two")]
SCHEMAS = ["first", "second"]
KEYS = ["", "", "red", "blue"]
BAD_NAMES = ["ab", "goog-bad", "1st", "with space", "x" * 256, "sl/ash", "ünder"]
AVRO = '{"type": "record", "name": "R", "fields": [{"name": "n", "type": "string"}]}'
# Google's emulator has other words here than production, or than are known of production.
OWN_TEXTS = [
    r"^(Topic|Subscription|Snapshot|Schema) (not found|does not exist|already exists)\.?$",
    r"^Invalid \[(topics|subscriptions|snapshots|schemas)\] name: \(name=.*\)$",
    r"^(Schema could not be found|Subscription topic does not exist)$",
    r"^Unsupported push_endpoint$",
    r"^(No messages to publish|Some messages are empty|No ack ids specified\.)$",
    r"^The subscription's topic .* is different from that of the snapshot",
    r"^message_retention_duration out of bounds$",
    r"^Could not parse JSON Avro message$",
    r"^Invalid update_mask provided in the UpdateTopicRequest: .* is not a known Topic field\.",
]
# Where a request has several mistakes, each may name another one.
MISTAKES = {"ALREADY_EXISTS", "INVALID_ARGUMENT", "NOT_FOUND"}


def seconds(count):
    return duration_pb2.Duration(seconds=count)


class Service:
    """One of the two, by its generated clients, and what it has given out."""

    def __init__(self, host):
        channel = grpc.insecure_channel(host)
        there = {"channel": channel, "credentials": AnonymousCredentials()}
        self.publisher = publisher.PublisherClient(transport=PublisherGrpcTransport(**there))
        self.subscriber = subscriber.SubscriberClient(transport=SubscriberGrpcTransport(**there))
        self.schemas = schema_service.SchemaServiceClient(transport=SchemaServiceGrpcTransport(**there))
        # Latest acknowledgement id of each message by subscription and number.
        self.acks = {}

    def ask(self, operation):
        """What the operation comes to: its normalised result, or its refusal."""
        try:
            return operation(self)
        except exceptions.GoogleAPICallError as error:
            return Refusal(error.grpc_status_code.name, error.message)
        except ValueError as error:
            return Refusal("CLIENT", str(error))

    def drain(self, subscription):
        """All that can be had at the moment."""
        got, empty = [], 0
        while empty < 2:
            request = {"subscription": subscription, "max_messages": 100, "return_immediately": True}
            received = self.subscriber.pull(request=request, timeout=20).received_messages
            empty = 0 if received else empty + 1
            for one in received:
                number = one.message.attributes["n"]
                self.acks[subscription, number] = one.ack_id
                got.append((one.message.ordering_key, number, one.message.data, one.delivery_attempt))
        return got


class Refusal(collections.namedtuple("Refusal", "code text")):
    """A status."""

    def agrees(self, other, several):
        if not isinstance(other, Refusal):
            return False
        if several and {self.code, other.code} <= MISTAKES:
            return True
        own = any(re.search(one, self.text) for one in OWN_TEXTS)
        return self.code == other.code and (own or self.text == other.text.replace("'", ""))


class Dice:
    """Random operations of a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numbers = 0

    def one(self, choices):
        return self.random.choice(choices)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def name(self, good, kind):
        return f"projects/{PROJECT}/{kind}/{self.one(BAD_NAMES)}" if self.chance(4) else self.one(good)

    def topic(self):
        return self.name(TOPICS, "topics")

    def sub(self):
        return self.name(SUBS, "subscriptions")

    def snapshot(self):
        return self.name(SNAPSHOTS, "snapshots")

    def schema(self):
        return f"projects/{PROJECT}/schemas/{self.one(SCHEMAS)}"

    # Topics

    def create_topic(self):
        topic = Topic(name=self.topic())
        if self.chance(30):
            topic.labels = {"team": self.one(["a", "b"])}
        if self.chance(30):
            topic.name = RETAINING
            topic.message_retention_duration = seconds(self.one([600, 86_400, 2_678_400, 599, 2_678_401]))
        if self.chance(10):
            topic.schema_settings = SchemaSettings(schema=self.schema(), encoding=Encoding.JSON)
        return lambda service: shown(service.publisher.create_topic(request=topic))

    def get_topic(self):
        name = self.one([self.topic(), RETAINING])
        return lambda service: shown(service.publisher.get_topic(topic=name))

    def update_topic(self):
        topic = Topic(name=RETAINING, labels={"team": "c"}, message_retention_duration=seconds(self.one([1_200, 599])))
        paths = self.one([["message_retention_duration"], ["message_retention_duration"], [], ["nonsense"]])
        mask = field_mask_pb2.FieldMask(paths=paths)
        return lambda service: shown(service.publisher.update_topic(topic=topic, update_mask=mask))

    def list_topics(self):
        return lambda service: [one.name for one in service.publisher.list_topics(request={"project": f"projects/{PROJECT}", "page_size": 2})]

    def list_members(self):
        name = self.topic()

        def ask(service):
            # Google's emulator lists nothing for a topic that is not there.
            service.publisher.get_topic(topic=name)
            return sorted(service.publisher.list_topic_subscriptions(topic=name))

        return ask

    def delete_topic(self):
        name = self.one([self.topic(), RETAINING])
        return lambda service: shown(service.publisher.delete_topic(topic=name))

    # Subscriptions

    def settings(self):
        """One setting, good or bad; its field and value."""
        return self.one(
            [
                lambda: ("ack_deadline_seconds", self.one([600, 300, 601, -1])),
                lambda: ("message_retention_duration", seconds(self.one([600, 86_400, 599, 2_678_401]))),
                lambda: ("retain_acked_messages", self.chance(60)),
                lambda: ("labels", {"team": self.one(["a", "b"])}),
                lambda: ("enable_message_ordering", True),
                lambda: ("expiration_policy", ExpirationPolicy(ttl=seconds(self.one([86_400, 2_678_400])))),
                lambda: ("expiration_policy", ExpirationPolicy()),
                lambda: ("dead_letter_policy", DeadLetterPolicy(dead_letter_topic=self.topic(), max_delivery_attempts=self.one([0, 5, 100]))),
                lambda: ("retry_policy", RetryPolicy(minimum_backoff=seconds(self.one([0, 601])), maximum_backoff=seconds(self.one([600, 601])))),
                lambda: ("push_config", PushConfig(push_endpoint=self.one(["nonsense", "ftp://localhost/"]))),
            ]
        )()

    def create_subscription(self):
        subscription = Subscription(name=self.sub(), topic=self.topic(), ack_deadline_seconds=600)
        for _ in range(self.random.randrange(3)):
            field, value = self.settings()
            setattr(subscription, field, value)
        return lambda service: shown(service.subscriber.create_subscription(request=subscription))

    def get_subscription(self):
        name = self.sub()
        return lambda service: shown(service.subscriber.get_subscription(subscription=name))

    def update_subscription(self):
        subscription = Subscription(name=self.sub())
        # One field at a time: of several, Google's emulator changes those that come before a bad one.
        paths = []
        field, value = self.settings()
        if field not in ("labels", "expiration_policy", "dead_letter_policy"):
            setattr(subscription, field, value)
            paths.append(field)
        if self.chance(10):
            paths = self.one([[], ["nonsense"], ["name"], ["topic"]])
        mask = field_mask_pb2.FieldMask(paths=paths)
        return lambda service: shown(service.subscriber.update_subscription(subscription=subscription, update_mask=mask))

    def list_subscriptions(self):
        asked = {"project": f"projects/{PROJECT}", "page_size": 2}
        return lambda service: sorted(one.name for one in service.subscriber.list_subscriptions(request=asked))

    def delete_subscription(self):
        name = self.sub()

        def ask(service):
            if name in SUBS[: len(SNAPSHOTS)]:
                with contextlib.suppress(exceptions.NotFound):
                    service.subscriber.delete_snapshot(snapshot=SNAPSHOTS[SUBS.index(name)])
            return shown(service.subscriber.delete_subscription(subscription=name))

        return ask

    # Messages

    def publish(self):
        topic, key, messages = self.topic(), self.one(KEYS), []
        for _ in range(self.random.randrange(1, 4)):
            self.numbers += 1
            attributes = {"n": str(self.numbers), "k": self.one(["v", "w"])}
            messages.append(PubsubMessage(data=f'{{"n": "{self.numbers}"}}'.encode(), attributes=attributes, ordering_key=key))
        if self.chance(5):
            messages = self.one([[], [PubsubMessage()], [PubsubMessage(ordering_key="red")]])
        return lambda service: len(service.publisher.publish(topic=topic, messages=messages).message_ids)

    def pull(self):
        name = self.sub()

        def ask(service):
            settings = service.subscriber.get_subscription(subscription=name)
            ordered, counted = settings.enable_message_ordering, bool(settings.dead_letter_policy.dead_letter_topic)
            keys = collections.defaultdict(list)
            for key, number, data, attempt in service.drain(name):
                # Google's emulator counts for a retry policy too.
                keys[key].append((number, data, attempt if counted else 0))
            return {key: got if key and ordered else sorted(got) for key, got in keys.items()}

        return ask

    def some_acks(self, service, name, pick):
        """Every third acknowledgement id that is out, given away: none is used twice."""
        known = sorted((number for sub, number in service.acks if sub == name), key=int)
        return [service.acks.pop((name, number)) for at, number in enumerate(known) if (at + pick) % 3 == 0]

    def acknowledge(self):
        name, pick, bad = self.sub(), self.random.randrange(3), self.chance(5)

        def ask(service):
            ids = [] if bad else self.some_acks(service, name, pick)
            if not ids and not bad:
                return "nothing to acknowledge"
            return shown(service.subscriber.acknowledge(request={"subscription": name, "ack_ids": ids}))

        return ask

    def give_back(self):
        name, pick = self.sub(), self.random.randrange(3)

        def ask(service):
            # With keys, Google's emulator sends again only when nothing of a key is out, and not in order; with a
            # retry policy it waits for times of its own.
            settings = service.subscriber.get_subscription(subscription=name)
            if settings.enable_message_ordering or "retry_policy" in settings:
                return "nothing that can be compared"
            ids = self.some_acks(service, name, pick)
            if not ids:
                return "nothing to give back"
            request = {"subscription": name, "ack_ids": ids, "ack_deadline_seconds": 0}
            return shown(service.subscriber.modify_ack_deadline(request=request))

        return ask

    def extend(self):
        name = self.sub()

        def ask(service):
            ids = [ack for (sub, _), ack in service.acks.items() if sub == name]
            if not ids:
                return "nothing to extend"
            request = {"subscription": name, "ack_ids": ids, "ack_deadline_seconds": 600}
            return shown(service.subscriber.modify_ack_deadline(request=request))

        return ask

    # Snapshots

    def create_snapshot(self):
        which = self.random.randrange(len(SNAPSHOTS))
        request = CreateSnapshotRequest(name=SNAPSHOTS[which], subscription=SUBS[which])

        def ask(service):
            # With keys, Google's emulator counts what is acknowledged behind an open message as open too.
            if service.subscriber.get_subscription(subscription=SUBS[which]).enable_message_ordering:
                return "nothing that can be compared"
            return shown(service.subscriber.create_snapshot(request=request))

        return ask

    def get_snapshot(self):
        name = self.snapshot()
        return lambda service: shown(service.subscriber.get_snapshot(snapshot=name))

    def list_snapshots(self):
        return lambda service: sorted(one.name for one in service.subscriber.list_snapshots(project=f"projects/{PROJECT}"))

    def delete_snapshot(self):
        name = self.snapshot()
        return lambda service: shown(service.subscriber.delete_snapshot(snapshot=name))

    def seek(self):
        # To a snapshot of its own: those of others have messages from before a subscription, which Google's
        # emulator does not give it; and it seeks to no time.
        which = self.random.randrange(len(SNAPSHOTS))
        request = {"subscription": SUBS[which], "snapshot": SNAPSHOTS[which]}
        return lambda service: shown(service.subscriber.seek(request=request))

    # Schemas

    def create_schema(self):
        schema = Schema(type_=Schema.Type.AVRO, definition=self.one([AVRO, AVRO, "nonsense"]))
        request = {"parent": f"projects/{PROJECT}", "schema": schema, "schema_id": self.one(SCHEMAS + ["ab"])}
        return lambda service: shown(service.schemas.create_schema(request=request))

    def get_schema(self):
        request = {"name": self.schema(), "view": self.one([SchemaView.FULL, SchemaView.BASIC])}
        return lambda service: shown(service.schemas.get_schema(request=request))

    def list_schemas(self):
        request = {"parent": f"projects/{PROJECT}"}
        return lambda service: sorted(one.name for one in service.schemas.list_schemas(request=request))

    def delete_schema(self):
        name = self.schema()
        return lambda service: shown(service.schemas.delete_schema(name=name))

    def validate_message(self):
        request = {
            "parent": f"projects/{PROJECT}",
            "schema": Schema(type_=Schema.Type.AVRO, definition=AVRO),
            "message": self.one([b'{"n": "x"}', b'{"n": 1}', b"nonsense"]),
            "encoding": Encoding.JSON,
        }
        return lambda service: shown(service.schemas.validate_message(request=request))

    OPERATIONS = (
        [publish] * 12
        + [pull] * 10
        + [acknowledge] * 8
        + [give_back] * 4
        + [extend]
        + [create_topic] * 4
        + [create_subscription] * 6
        + [update_subscription] * 4
        + [seek] * 3
        + [create_snapshot] * 2
        + [get_topic, update_topic, list_topics, list_members, delete_topic, get_subscription, list_subscriptions]
        + [delete_subscription, get_snapshot, list_snapshots, delete_snapshot]
        + [create_schema, get_schema, list_schemas, delete_schema, validate_message]
    )

    def operation(self):
        made = self.one(self.OPERATIONS)
        return made.__name__, made(self)


def shown(answer):
    """An answer as fields, without what cannot be the same."""
    if answer is None:
        return "done"
    fields = json_format.MessageToDict(type(answer).pb(answer))
    if isinstance(answer, Snapshot):
        # Google's emulator goes on to show a topic that is gone.
        del fields["topic"]
    for varies in ("revisionId", "revisionCreateTime", "expireTime", "state", "topicMessageRetentionDuration"):
        fields.pop(varies, None)
    if fields.get("expirationPolicy") == {"ttl": "2678400s"}:
        # Google's emulator does not show this default.
        del fields["expirationPolicy"]
    return fields


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    operations = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    with emulators.pubsub(VERSION) as host:
        theirs, ours = Service(host), Service(os.environ["PUBSUB_EMULATOR_HOST"])
        dice, differences, refusals = Dice(seed), 0, 0
        for service in (theirs, ours):
            for topic in TOPICS:
                service.publisher.create_topic(name=topic)
        for number in range(operations):
            name, operation = dice.operation()
            wanted, found = theirs.ask(operation), ours.ask(operation)
            refusals += isinstance(wanted, Refusal)
            several = any(verb in name for verb in ("create", "update", "publish"))
            same = wanted.agrees(found, several) if isinstance(wanted, Refusal) else wanted == found
            if not same:
                differences += 1
                print(f"operation {number} ({name}):\n  Google's: {wanted}\n  here:     {found}")
        print(f"{operations} operations of seed {seed}: {refusals} refused by Google's, {differences} differ")
        sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
