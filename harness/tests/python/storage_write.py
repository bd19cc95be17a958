"""Rows written through `google-cloud-bigquery-storage`: default, pending, buffered and committed streams."""

import os
import uuid

import grpc
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from checks import equal, expect, refused, step

client = bigquery.Client()
DATASET = f"written_{uuid.uuid4().hex[:8]}"
address = os.environ["BIGQUERY_EMULATOR_HOST"].removeprefix("http://")
write = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(address)))
TABLE = f"projects/{client.project}/datasets/{DATASET}/tables/rows"
Type = types.WriteStream.Type
OK, INVALID_ARGUMENT, ALREADY_EXISTS, OUT_OF_RANGE = 0, 3, 6, 11


def message_class():
    """A message of a string and an integer, made here: a row of the table."""
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = [("name", 1, kinds.TYPE_STRING), ("n", 2, kinds.TYPE_INT64)]
    message = descriptor_pb2.DescriptorProto(name="Row")
    for name, number, kind in fields:
        message.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    file = descriptor_pb2.FileDescriptorProto(name="row.proto", package="written", syntax="proto2", message_type=[message])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message, message_factory.GetMessageClass(pool.FindMessageTypeByName("written.Row"))


DESCRIPTOR, Row = message_class()


def request(rows, stream=None, offset=None):
    """An append; the first on a stream names it and says what a row looks like."""
    data = types.AppendRowsRequest.ProtoData(
        rows=types.ProtoRows(serialized_rows=[Row(name=name, n=n).SerializeToString() for name, n in rows])
    )
    if stream is not None:
        data.writer_schema = types.ProtoSchema(proto_descriptor=DESCRIPTOR)
    made = types.AppendRowsRequest(proto_rows=data)
    if stream is not None:
        made.write_stream = stream
    if offset is not None:
        made.offset = offset
    return made


class Appender:
    """The library's own manager of one append connection."""

    def __init__(self, stream):
        template = request([], stream)
        self.manager = writer.AppendRowsStream(write, template)

    def append(self, rows, offset=None):
        return self.manager.send(request(rows, offset=offset)).result(timeout=30)

    def close(self):
        self.manager.close()


def refusal(*requests):
    """The status code that the last of these appends gets: in its answer, or as the end of the call."""
    try:
        *_, last = write.append_rows(iter(requests))
        return last.error.code
    except exceptions.GoogleAPICallError as error:
        return error.grpc_status_code.value[0]


def names():
    rows = client.query_and_wait(f"SELECT name, n FROM `{client.project}.{DATASET}.rows` ORDER BY n")
    return [(row.name, row.n) for row in rows]


def emptied():
    client.query_and_wait(f"CREATE OR REPLACE TABLE `{client.project}.{DATASET}.rows` (name STRING, n INT64)")


client.create_dataset(DATASET)


@step("the default stream: rows are there at once, offsets are refused")
def default():
    emptied()
    appender = Appender(f"{TABLE}/streams/_default")
    appender.append([("a", 1), ("b", 2)])
    appender.append([("c", 3)])
    appender.close()
    equal(names(), [("a", 1), ("b", 2), ("c", 3)])
    equal(refusal(request([("d", 4)], f"{TABLE}/streams/_default", offset=0)), INVALID_ARGUMENT)


@step("a committed stream: offsets count, a repeated one is refused, a gap too")
def committed():
    emptied()
    stream = write.create_write_stream(parent=TABLE, write_stream=types.WriteStream(type_=Type.COMMITTED))
    appender = Appender(stream.name)
    equal(appender.append([("a", 1), ("b", 2)], offset=0).append_result.offset, 0)
    equal(appender.append([("c", 3)], offset=2).append_result.offset, 2)
    equal(names(), [("a", 1), ("b", 2), ("c", 3)])
    refused(exceptions.AlreadyExists, lambda: appender.append([("c", 3)], offset=2))
    appender.close()
    equal(refusal(request([("x", 9)], stream.name, offset=7)), OUT_OF_RANGE)
    equal(refusal(request([("d", 4)], stream.name, offset=3), request([("d", 4)], offset=3)), ALREADY_EXISTS)
    equal(write.finalize_write_stream(name=stream.name).row_count, 4)
    expect(refusal(request([("x", 9)], stream.name)) != OK)
    equal(names(), [("a", 1), ("b", 2), ("c", 3), ("d", 4)])


@step("pending streams: nothing before the commit, all of both after it")
def pending():
    emptied()
    streams = []
    for number in range(2):
        stream = write.create_write_stream(parent=TABLE, write_stream=types.WriteStream(type_=Type.PENDING))
        appender = Appender(stream.name)
        appender.append([(f"p{number}", number)], offset=0)
        appender.close()
        streams.append(stream.name)
    equal(names(), [])
    early = write.batch_commit_write_streams({"parent": TABLE, "write_streams": streams})
    equal(len(early.stream_errors), 2)
    for stream in streams:
        write.finalize_write_stream(name=stream)
    done = write.batch_commit_write_streams({"parent": TABLE, "write_streams": streams})
    expect(not done.stream_errors and done.commit_time is not None, done)
    equal(names(), [("p0", 0), ("p1", 1)])


@step("a buffered stream: rows up to the flushed offset")
def buffered():
    emptied()
    stream = write.create_write_stream(parent=TABLE, write_stream=types.WriteStream(type_=Type.BUFFERED))
    appender = Appender(stream.name)
    appender.append([("a", 1), ("b", 2), ("c", 3)], offset=0)
    equal(names(), [])
    equal(write.flush_rows(types.FlushRowsRequest(write_stream=stream.name, offset=1)).offset, 1)
    equal(names(), [("a", 1), ("b", 2)])
    write.flush_rows(types.FlushRowsRequest(write_stream=stream.name, offset=2))
    equal(len(names()), 3)
    appender.close()
    got = write.get_write_stream(name=stream.name)
    equal(got.type_, Type.BUFFERED)


client.delete_dataset(DATASET, delete_contents=True)
