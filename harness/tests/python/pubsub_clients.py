"""Pub/Sub through `google-cloud-pubsub`: ordering, exactly-once, flow control, what the README's table claims."""

import queue
import uuid

import google.auth
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.pubsub_v1.types import DeadLetterPolicy, Encoding, Schema, Subscription

from checks import equal, expect, refused, step

RUN = uuid.uuid4().hex[:8]
ordered = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
publisher = pubsub_v1.PublisherClient(publisher_options=ordered)
subscriber = pubsub_v1.SubscriberClient()
project = google.auth.default()[1]
topic = publisher.topic_path(project, f"topic-{RUN}")
dead_letters = publisher.topic_path(project, f"dead-{RUN}")


def path(name):
    return subscriber.subscription_path(project, f"{name}-{RUN}")


def pulled(name, most=10):
    return subscriber.pull(subscription=path(name), max_messages=most, timeout=10).received_messages


@step("topics and subscriptions")
def administration():
    publisher.create_topic(name=topic)
    publisher.create_topic(name=dead_letters)
    refused(exceptions.AlreadyExists, lambda: publisher.create_topic(name=topic))
    subscriber.create_subscription(
        request=Subscription(
            name=path("ordered"), topic=topic, enable_message_ordering=True, enable_exactly_once_delivery=True,
            filter='attributes.k = "v"', ack_deadline_seconds=20,
        )
    )
    changed = Subscription(name=path("ordered"), ack_deadline_seconds=30)
    mask = field_mask_pb2.FieldMask(paths=["ack_deadline_seconds"])
    equal(subscriber.update_subscription(subscription=changed, update_mask=mask).ack_deadline_seconds, 30)
    mask = field_mask_pb2.FieldMask(paths=["filter"])
    refused(exceptions.InvalidArgument, lambda: subscriber.update_subscription(subscription=changed, update_mask=mask))
    equal([one.name for one in publisher.list_topics(project=f"projects/{project}") if RUN in one.name], [dead_letters, topic])


@step("an ordered, filtered, exactly-once subscriber with flow control")
def streaming():
    received = queue.Queue()

    def take(message):
        message.ack_with_response().result(timeout=30)
        received.put(message.data.decode())

    flow = pubsub_v1.types.FlowControl(max_messages=2)
    pulling = subscriber.subscribe(path("ordered"), take, flow_control=flow)
    wanted = [str(i) for i in range(20)]
    for data in wanted:
        publisher.publish(topic, data.encode(), ordering_key="key", k="v").result(timeout=30)
        publisher.publish(topic, b"filtered out", ordering_key="key", k="w").result(timeout=30)
    equal([received.get(timeout=30) for _ in wanted], wanted)
    pulling.cancel()
    pulling.result(timeout=30)


@step("an acknowledgement that comes too late is refused")
def late():
    publisher.publish(topic, b"late", ordering_key="other", k="v").result(timeout=30)
    [message] = pulled("ordered")
    subscriber.acknowledge(subscription=path("ordered"), ack_ids=[message.ack_id])
    error = refused(exceptions.GoogleAPICallError, lambda: subscriber.acknowledge(subscription=path("ordered"), ack_ids=["none"]))
    expect(error.code in (400, 412), error)


@step("dead letters after five attempts")
def dead_lettering():
    policy = DeadLetterPolicy(dead_letter_topic=dead_letters, max_delivery_attempts=5)
    subscriber.create_subscription(request=Subscription(name=path("poison"), topic=topic, dead_letter_policy=policy))
    subscriber.create_subscription(request=Subscription(name=path("dead"), topic=dead_letters))
    publisher.publish(topic, b"poison", ordering_key="", k="w").result(timeout=30)
    for attempt in range(1, 6):
        [message] = pulled("poison")
        equal(message.delivery_attempt, attempt)
        subscriber.modify_ack_deadline(subscription=path("poison"), ack_ids=[message.ack_id], ack_deadline_seconds=0)
    [message] = pulled("dead")
    equal(message.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "5")
    equal(message.message.attributes["CloudPubSubDeadLetterSourceSubscription"], f"poison-{RUN}")


@step("seek to a snapshot and to a time")
def seeking():
    retention = duration_pb2.Duration(seconds=600)
    subscriber.create_subscription(
        request=Subscription(name=path("seek"), topic=topic, retain_acked_messages=True, message_retention_duration=retention)
    )
    snapshot = subscriber.snapshot_path(project, f"snapshot-{RUN}")
    subscriber.create_snapshot(name=snapshot, subscription=path("seek"))
    publisher.publish(topic, b"again", ordering_key="", k="w").result(timeout=30)
    for seek in ({"snapshot": snapshot}, {"time": timestamp_pb2.Timestamp(seconds=1)}, {"snapshot": snapshot}):
        [message] = pulled("seek")
        equal(message.message.data, b"again")
        subscriber.acknowledge(subscription=path("seek"), ack_ids=[message.ack_id])
        subscriber.seek(request={"subscription": path("seek"), **seek})


@step("schemas")
def schemas():
    client = pubsub_v1.SchemaServiceClient()
    definition = '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}'
    schema = Schema(type_=Schema.Type.AVRO, definition=definition)
    name = client.create_schema(parent=f"projects/{project}", schema=schema, schema_id=f"schema-{RUN}").name
    typed = publisher.topic_path(project, f"typed-{RUN}")
    publisher.create_topic(request={"name": typed, "schema_settings": {"schema": name, "encoding": Encoding.JSON}})
    publisher.publish(typed, b'{"a": 1}').result(timeout=30)
    refused(exceptions.InvalidArgument, lambda: publisher.publish(typed, b'{"a": "one"}').result(timeout=30))


@step("policies, detaching, deletion")
def the_rest():
    policy = publisher.get_iam_policy(request={"resource": topic})
    policy.bindings.add(role="roles/pubsub.viewer", members=["user:a@example.com"])
    equal(publisher.set_iam_policy(request={"resource": topic, "policy": policy}).bindings[0].role, "roles/pubsub.viewer")
    publisher.detach_subscription(request={"subscription": path("seek")})
    refused(exceptions.FailedPrecondition, lambda: pulled("seek"))
    publisher.delete_topic(topic=topic)
    equal(subscriber.get_subscription(subscription=path("ordered")).topic, "_deleted-topic_")
