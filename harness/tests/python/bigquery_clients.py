"""BigQuery through `google-cloud-bigquery`, pandas-gbq and the SQLAlchemy dialect."""

import datetime
import decimal
import io
import os
import uuid

import grpc
import pandas
import pandas_gbq
import sqlalchemy
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery import dbapi
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from checks import equal, expect, refused, step

client = bigquery.Client()
NAME = f"clients_{uuid.uuid4().hex[:8]}"
DATASET = f"{client.project}.{NAME}"
FRAME = pandas.DataFrame(
    {
        "name": ["p", "q"],
        "age": [1, 2],
        "f": [1.5, None],
        "at": pandas.to_datetime(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
    }
)
Field = bigquery.SchemaField
INT64 = bigquery.StandardSqlDataType(type_kind=bigquery.StandardSqlTypeNames.INT64)


def rows(sql, **config):
    return [tuple(row) for row in client.query_and_wait(sql, job_config=bigquery.QueryJobConfig(**config))]


@step("datasets and tables")
def tables():
    client.create_dataset(DATASET)
    refused(exceptions.Conflict, lambda: client.create_dataset(DATASET))
    expect(NAME in [dataset.dataset_id for dataset in client.list_datasets()])
    address = [Field("city", "STRING"), Field("zip", "INTEGER")]
    table = bigquery.Table(
        f"{DATASET}.people",
        schema=[
            Field("name", "STRING", "REQUIRED"), Field("age", "INTEGER"), Field("tags", "STRING", "REPEATED"),
            Field("address", "RECORD", fields=address), Field("amount", "NUMERIC"), Field("day", "DATE"),
        ],
    )
    table.time_partitioning = bigquery.TimePartitioning(field="day")
    table.clustering_fields = ["name"]
    table = client.create_table(table)
    equal((table.time_partitioning.field, table.clustering_fields), ("day", ["name"]))
    stale = client.get_table(f"{DATASET}.people")
    table.description = "people"
    table.schema = [*table.schema, Field("extra", "STRING")]
    equal(len(client.update_table(table, ["description", "schema"]).schema), 7)
    stale.description = "stale"
    refused(exceptions.PreconditionFailed, lambda: client.update_table(stale, ["description"]))


@step("inserted rows and their errors")
def inserts():
    person = {
        "name": "a", "age": 1, "tags": ["x", "y"], "address": {"city": "Z", "zip": 8000},
        "amount": decimal.Decimal("1.25"), "day": datetime.date(2026, 1, 1),
    }
    equal(client.insert_rows(client.get_table(f"{DATASET}.people"), [person]), [])
    [row] = client.list_rows(f"{DATASET}.people")
    equal({key: row[key] for key in person}, person)
    errors = client.insert_rows_json(f"{DATASET}.people", [{"name": "b"}, {"name": "c", "age": "no"}, {"age": 1}])
    reasons = {error["index"]: error["errors"][0]["reason"] for error in errors}
    equal(reasons, {0: "stopped", 1: "invalid", 2: "invalid"})


@step("loads from JSON, CSV, files and data frames")
def loads():
    def loaded(job):
        job.result()
        return job.output_rows

    equal(loaded(client.load_table_from_json([{"name": "q", "age": 3, "day": "2026-01-02"}], f"{DATASET}.people")), 1)
    csv = bigquery.LoadJobConfig(source_format="CSV", skip_leading_rows=1, autodetect=True)
    text = io.BytesIO(b"name,age\nx,1\ny,2\n")
    equal(loaded(client.load_table_from_file(text, f"{DATASET}.csv", job_config=csv)), 2)
    equal(loaded(client.load_table_from_dataframe(FRAME, f"{DATASET}.frame")), 2)
    equal([field.field_type for field in client.get_table(f"{DATASET}.frame").schema], ["STRING", "INTEGER", "FLOAT", "TIMESTAMP"])
    equal(loaded(client.load_table_from_dataframe(FRAME, f"{DATASET}.frame2", job_config=bigquery.LoadJobConfig(source_format="CSV"))), 2)
    equal(client.insert_rows_from_dataframe(client.get_table(f"{DATASET}.csv"), pandas.DataFrame({"name": ["z"], "age": [5]})), [[]])
    bad = client.load_table_from_json([{"name": "n", "amount": float("nan")}], f"{DATASET}.people")
    refused(exceptions.BadRequest, bad.result)


@step("queries to rows, Arrow tables and data frames")
def queries():
    equal(client.query(f"SELECT * FROM {NAME}.people").to_arrow(create_bqstorage_client=False).num_rows, 2)
    frame = client.query(f"SELECT * FROM {NAME}.frame ORDER BY name").to_dataframe(create_bqstorage_client=False)
    equal((list(frame["name"]), list(frame["age"])), (["p", "q"], [1, 2]))
    types = """SELECT DATE '2026-01-01', TIMESTAMP '2026-01-01', DATETIME '2026-01-01 00:00:00', TIME '01:02:03', NUMERIC '1.5',
        BIGNUMERIC '2.5', b'ab', JSON '{"a":1}', [1, 2], STRUCT(1 AS x), INTERVAL 1 DAY, RANGE<DATE> '[2026-01-01, 2026-02-01)'"""
    [row] = rows(types)
    equal(row[:5], (
        datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2026, 1, 1),
        datetime.time(1, 2, 3), decimal.Decimal("1.5"),
    ))
    equal(row[5:10], (decimal.Decimal("2.5"), b"ab", {"a": 1}, [1, 2], {"x": 1}))
    parameters = [
        bigquery.ScalarQueryParameter("a", "INT64", 3),
        bigquery.ArrayQueryParameter("b", "STRING", ["x", "y"]),
        bigquery.StructQueryParameter("s", bigquery.ScalarQueryParameter("x", "DATE", datetime.date(2026, 1, 1))),
    ]
    equal(rows("SELECT @a, @b, @s.x", query_parameters=parameters), [(3, ["x", "y"], datetime.date(2026, 1, 1))])
    dry = client.query(f"SELECT name FROM {NAME}.people", job_config=bigquery.QueryJobConfig(dry_run=True))
    equal(([table.table_id for table in dry.referenced_tables], dry.total_bytes_processed > 0), (["people"], True))
    cursor = dbapi.connect(client).cursor()
    cursor.execute(f"SELECT name FROM {NAME}.csv WHERE age > %(age)s ORDER BY age", {"age": 1})
    equal([row.name for row in cursor.fetchall()], ["y", "z"])


@step("the Storage Read API")
def storage():
    # The one client that no environment variable points elsewhere.
    channel = grpc.insecure_channel(os.environ["BIGQUERY_EMULATOR_HOST"].removeprefix("http://"))
    reader = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
    table = client.query(f"SELECT * FROM {NAME}.frame ORDER BY name").to_arrow(bqstorage_client=reader)
    equal(table.column("name").to_pylist(), ["p", "q"])
    frame = client.list_rows(f"{DATASET}.frame").to_dataframe(bqstorage_client=reader)
    equal(sorted(frame["age"]), [1, 2])


@step("destinations, copies, snapshots")
def copies():
    config = bigquery.QueryJobConfig(destination=f"{DATASET}.result", write_disposition="WRITE_TRUNCATE")
    client.query(f"SELECT name FROM {NAME}.frame", job_config=config).result()
    equal(client.get_table(f"{DATASET}.result").num_rows, 2)
    client.copy_table(f"{DATASET}.frame", f"{DATASET}.copy").result()
    snapshot = bigquery.CopyJobConfig(operation_type="SNAPSHOT")
    client.copy_table(f"{DATASET}.frame", f"{DATASET}.snapshot", job_config=snapshot).result()
    kinds = {table.table_id: table.table_type for table in client.list_tables(DATASET)}
    equal((kinds["copy"], kinds["snapshot"]), ("TABLE", "SNAPSHOT"))
    client.delete_table(f"{DATASET}.copy")
    refused(exceptions.NotFound, lambda: client.get_table(f"{DATASET}.copy"))


@step("partitions, routines, models, policies")
def listings():
    equal(client.list_partitions(f"{DATASET}.people")[-1], "20260102")
    argument = bigquery.RoutineArgument(name="x", data_type=INT64)
    routine = bigquery.Routine(f"{DATASET}.twice", type_="SCALAR_FUNCTION", language="SQL", body="x * 2", arguments=[argument])
    client.create_routine(routine)
    equal(rows(f"SELECT {NAME}.twice(4)"), [(8,)])
    equal([one.routine_id for one in client.list_routines(DATASET)], ["twice"])
    equal(list(client.list_models(DATASET)), [])
    expect(client.project in [project.project_id for project in client.list_projects()])
    table = client.get_table(f"{DATASET}.frame")
    equal(list(client.get_iam_policy(table).bindings), [])
    equal(client.test_iam_permissions(table, ["bigquery.tables.get"])["permissions"], ["bigquery.tables.get"])


@step("jobs")
def jobs():
    job = client.query("SELECT 1")
    job.result()
    equal(client.get_job(job.job_id).state, "DONE")
    expect(job.job_id in [one.job_id for one in client.list_jobs(max_results=5)])
    error = refused(exceptions.NotFound, lambda: client.query_and_wait(f"SELECT * FROM {NAME}.nowhere"))
    expect(f"Not found: Table {client.project}:{NAME}.nowhere was not found in location US" in str(error), error)
    session = client.query("CREATE TEMP TABLE kept AS SELECT 1 AS x", job_config=bigquery.QueryJobConfig(create_session=True))
    session.result()
    kept = [bigquery.ConnectionProperty("session_id", session.session_info.session_id)]
    equal(rows("SELECT x FROM kept", connection_properties=kept), [(1,)])


@step("pandas-gbq")
def through_pandas():
    pandas_gbq.to_gbq(FRAME, f"{NAME}.gbq", project_id=client.project, bigquery_client=client, progress_bar=False)
    read = pandas_gbq.read_gbq(
        f"SELECT * FROM {NAME}.gbq ORDER BY name", project_id=client.project, bigquery_client=client,
        use_bqstorage_api=False, progress_bar_type=None,
    )
    equal((list(read["name"]), list(read["age"])), (["p", "q"], [1, 2]))


def with_default():
    default = bigquery.QueryJobConfig(default_dataset=DATASET)
    return bigquery.Client(project=client.project, default_query_job_config=default)


@step("SQLAlchemy")
def through_sqlalchemy():
    engine = sqlalchemy.create_engine(f"bigquery://{client.project}/{NAME}", connect_args={"client": with_default()})
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE alchemy (id INT64, name STRING)"))
        table = sqlalchemy.Table("alchemy", sqlalchemy.MetaData(), autoload_with=engine)
        connection.execute(table.insert(), [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}])
        found = connection.execute(sqlalchemy.select(table).where(table.c.id > 1)).fetchall()
        equal([tuple(row) for row in found], [(2, "y")])
    expect("alchemy" in sqlalchemy.inspect(engine).get_table_names())


@step("the end")
def end():
    client.delete_dataset(DATASET, delete_contents=True)
    refused(exceptions.NotFound, lambda: client.get_dataset(DATASET))

