"""Pipelines of an Enterprise database through `google-cloud-firestore`."""

import datetime
import json
import os
import urllib.request

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.pipeline_expressions import (
    And,
    Array,
    Conditional,
    Constant,
    Count,
    CurrentDocument,
    Field,
    Map,
    Not,
    Or,
    Variable,
    Xor,
)
from google.cloud.firestore_v1.pipeline_source import PipelineSource
from google.cloud.firestore_v1.pipeline_stages import FindNearestOptions, SampleOptions, UnnestOptions
from google.cloud.firestore_v1.vector import Vector

from checks import equal, expect, refused, step

PROJECT = os.environ["GOOGLE_CLOUD_PROJECT"]
HOST = os.environ["FIRESTORE_EMULATOR_HOST"]
at = datetime.datetime(2026, 3, 18, 13, 45, 30, 123456, tzinfo=datetime.UTC)


def create(database, edition):
    request = urllib.request.Request(
        f"http://{HOST}/v1/projects/{PROJECT}/databases?databaseId={database}",
        data=json.dumps({"type": "FIRESTORE_NATIVE", "locationId": "nam5", "databaseEdition": edition}).encode(),
        headers={"content-type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


created = create("rehearsal", "ENTERPRISE")
equal(created["response"]["databaseEdition"], "ENTERPRISE")
client = firestore.Client(database="rehearsal")
books = client.collection("books")
for key, book in {
    "dune": {"title": "Dune", "author": "Herbert", "year": 1965, "rating": 4.5, "tags": ["sand", "spice"], "price": 10,
             "v": Vector([1.0, 0.0]), "place": {"shelf": "a", "row": 1}, "at": at},
    "emma": {"title": "Emma", "author": "Austen", "year": 1815, "rating": 4, "tags": [], "price": 7,
             "v": Vector([0.0, 1.0]), "place": {"shelf": "b"}},
    "persuasion": {"title": "Persuasion", "author": "Austen", "year": 1817, "rating": None, "tags": ["sea"],
                   "v": Vector([1.0, 1.0])},
}.items():
    books.document(key).set(book)
books.document("dune").collection("reviews").document("r1").set({"stars": 5, "book": "dune"})
books.document("dune").collection("reviews").document("r2").set({"stars": 3, "book": "dune"})
books.document("emma").collection("reviews").document("r3").set({"stars": 4, "book": "emma"})


def source():
    return client.pipeline().collection("books")


def data(pipeline):
    return [result.data() for result in pipeline.execute()]


def value(expression):
    """What an expression gives for one row."""
    (row,) = data(source().where(Field.of("title").equal("Dune")).select(expression.as_("x")))
    return row.get("x", "absent")


@step("a standard database refuses pipelines")
def standard():
    error = refused(exceptions.FailedPrecondition, lambda: firestore.Client().pipeline().collection("c").execute())
    expect("only allowed on ENTERPRISE mode" in str(error), error)


@step("sources")
def sources():
    equal([result.id for result in source().execute()], ["dune", "emma", "persuasion"])
    equal(len(data(client.pipeline().collection_group("reviews"))), 3)
    equal(len(data(client.pipeline().database())), 6)
    found = client.pipeline().documents(books.document("emma"), books.document("none")).execute()
    equal([(result.ref.path, result.get("title")) for result in found], [("books/emma", "Emma")])
    expect(found[0].create_time is not None and found[0].execution_time is not None)
    equal(data(client.pipeline().literals({"a": 1}, {"a": Constant.of(1).add(1)})), [{"a": 1}, {"a": 2}])


@step("where, select, add and remove fields, replace")
def shaping():
    newer = source().where(And(Field.of("year").greater_than(1816), Field.of("rating").exists()))
    equal([row["title"] for row in data(newer)], ["Dune", "Persuasion"])
    equal(data(source().select("title", Field.of("place.shelf"), Field.of("price").multiply(2).as_("double")))[:2],
          [{"title": "Dune", "place": {"shelf": "a"}, "double": 20}, {"title": "Emma", "place": {"shelf": "b"}, "double": 14}])
    added = source().add_fields(Field.of("year").add(1).as_("next"), Field.of("title").to_upper().as_("title")).limit(1).execute()
    equal((added[0].id, added[0].get("next"), added[0].get("title")), ("dune", 1966, "DUNE"))
    removed = data(source().remove_fields("v", "tags", Field.of("place.row"), "at").limit(1))
    equal(sorted(removed[0]), ["author", "place", "price", "rating", "title", "year"])
    equal(removed[0]["place"], {"shelf": "a"})
    equal(data(source().where(Field.of("place").exists()).replace_with("place")), [{"shelf": "a", "row": 1}, {"shelf": "b"}])


@step("sort, offset, limit, distinct, union, sample")
def order():
    by_author = source().sort(Field.of("author").ascending(), Field.of("year").descending()).select("title")
    equal([row["title"] for row in data(by_author)], ["Persuasion", "Emma", "Dune"])
    equal([row["title"] for row in data(by_author.offset(1).limit(1))], ["Emma"])
    equal(data(source().distinct("author")), [{"author": "Austen"}, {"author": "Herbert"}])
    both = source().select("title").union(client.pipeline().collection_group("reviews").select("stars"))
    equal(len(data(both)), 6)
    equal(len(data(source().sample(2))), 2)
    equal(len(data(source().sample(SampleOptions.percentage(1)))), 3)


@step("aggregate")
def aggregated():
    equal(data(source().aggregate(Count().as_("n"), Field.of("rating").average().as_("mean"), Field.of("price").sum().as_("sum"))),
          [{"n": 3, "mean": 4.25, "sum": 17}])
    grouped = source().aggregate(
        Count().as_("n"), Field.of("year").minimum().as_("first"), Field.of("rating").count().as_("rated"),
        Field.of("title").array_agg().as_("titles"), Field.of("year").greater_than(1816).count_if().as_("late"),
        Field.of("author").count_distinct().as_("authors"), groups=["author"])
    equal(data(grouped.sort(Field.of("author").ascending())), [
        {"author": "Austen", "n": 2, "first": 1815, "rated": 1, "titles": ["Emma", "Persuasion"], "late": 1, "authors": 1},
        {"author": "Herbert", "n": 1, "first": 1965, "rated": 1, "titles": ["Dune"], "late": 1, "authors": 1},
    ])
    equal(data(source().where(Field.of("year").equal(1)).aggregate(Count().as_("n"))), [{"n": 0}])


@step("unnest, nearest")
def unnested():
    rows = data(source().unnest("tags", alias="tag", options=UnnestOptions("place_in")).select("title", "tag", "place_in"))
    equal(rows, [{"title": "Dune", "tag": "sand", "place_in": 0}, {"title": "Dune", "tag": "spice", "place_in": 1},
                 {"title": "Persuasion", "tag": "sea", "place_in": 0}])
    near = source().find_nearest("v", Vector([1.0, 0.1]), "euclidean", FindNearestOptions(limit=2, distance_field=Field.of("far")))
    equal([row["title"] for row in data(near)], ["Dune", "Persuasion"])
    expect(abs(data(near)[0]["far"] - 0.1) < 1e-9)


@step("pipelines within pipelines, and variables")
def nested():
    stars = client.pipeline().collection_group("reviews").where(Field.of("book").equal(Variable("id")))
    rated = source().define(Field.of("__name__").document_id().as_("id")).add_fields(
        stars.aggregate(Field.of("stars").average().as_("mean")).to_scalar_expression().as_("mean"),
        stars.select("stars").sort(Field.of("stars").ascending()).to_array_expression().as_("all"),
    ).select("title", "mean", "all")
    equal(data(rated), [{"title": "Dune", "mean": 4.0, "all": [3, 5]}, {"title": "Emma", "mean": 4.0, "all": [4]},
                        {"title": "Persuasion", "mean": None, "all": []}])
    counted = source().add_fields(PipelineSource.subcollection("reviews").aggregate(Count().as_("n")).to_scalar_expression().as_("n")).select("n")
    equal(data(counted), [{"n": 2}, {"n": 1}, {"n": 0}])


@step("arithmetic")
def arithmetic():
    year = Field.of("year")
    equal([value(year.divide(2)), value(year.mod(10)), value(year.subtract(0.5)), value(year.pow(1)), value(Constant.of(2.5).round()),
           value(Constant.of(-2.5).round()), value(Constant.of(7.89).trunc(1)), value(Constant.of(9).sqrt()), value(Constant.of(-3).abs()),
           value(Constant.of(2.1).ceil()), value(Constant.of(8).log(2)), value(Constant.of(1000).log10()), value(Constant.of(0).exp())],
          [982, 5, 1964.5, 1965.0, 3.0, -3.0, 7.8, 3.0, 3, 3.0, 3.0, 3.0, 1.0])
    equal(value(Field.of("none").add(1)), None)
    refused(exceptions.InvalidArgument, lambda: value(Constant.of(2**63 - 1).add(1)))
    refused(exceptions.InvalidArgument, lambda: value(year.divide(0)))
    equal(value(year.divide(0).if_error("caught")), "caught")
    equal(value(year.divide(0).is_error()), True)


@step("comparison and logic")
def logic():
    rating, missing = Field.of("rating"), Field.of("none")
    equal([value(rating.equal(4.5)), value(rating.less_than("x")), value(missing.equal(None)), value(Constant.of(1).equal(1.0)),
           value(rating.between(4, 5)), value(rating.equal_any([1, 4.5])), value(rating.not_equal_any([1])), value(rating.cmp(9))],
          [True, False, False, True, True, True, True, -1])
    unknown = missing.array_contains(1)
    equal([value(And(rating.exists(), unknown)), value(And(Not(rating.exists()), unknown)), value(Or(rating.exists(), unknown)),
           value(Xor([rating.exists(), rating.exists()])), value(Not(missing.exists())), value(missing.is_absent())],
          [None, False, True, False, True, True])
    equal([value(Conditional(rating.greater_than(4), Constant.of("good"), Constant.of("bad"))), value(missing.if_absent(5)),
           value(missing.coalesce(None, 6)), value(rating.equal(1).switch_on("one", rating.equal(4.5), "four", "other")),
           value(rating.logical_maximum(9, 3)), value(rating.type()), value(Field.of("price").is_type("number")),
           value(Field.of("v").type())],
          ["good", 5, 6, "four", 9, "float64", True, "vector"])


@step("strings")
def strings():
    title = Field.of("title")
    equal([value(title.char_length()), value(title.like("D%e")), value(title.regex_contains("[un]{2}")), value(title.regex_match("[un]{2}")),
           value(title.starts_with("Du")), value(title.string_concat("-", Field.of("author"))), value(title.substring(1, 2)),
           value(title.string_reverse()), value(Constant.of("  x ").trim()), value(title.string_replace_all("n", "NN")),
           value(title.string_index_of("ne")), value(Constant.of("a,b").split(",")), value(Field.of("tags").join("+")),
           value(title.regex_find("u(.)")), value(title.string_repeat(2)), value(title.byte_length()), value(title.length())],
          [4, True, True, False, True, "Dune-Herbert", "un", "enuD", "x", "DuNNe", 2, ["a", "b"], "sand+spice", "n", "DuneDune", 4, 4])


@step("arrays and maps")
def arrays_and_maps():
    tags, place = Field.of("tags"), Field.of("place")
    equal([value(tags.array_length()), value(tags.array_contains("sand")), value(tags.array_contains_all(["sand", "x"])),
           value(tags.array_contains_any(["sand", "x"])), value(tags.array_reverse()), value(tags.array_concat(["z"])),
           value(tags.array_get(-1)), value(tags.array_first()), value(tags.array_index_of("spice")), value(Array([3, 1, 2]).array_maximum_n(2)),
           value(Array([3, None, 2]).array_minimum()), value(Array([1, 2, 3]).array_slice(1, 1)), value(tags.array_get(9))],
          [2, True, False, True, ["spice", "sand"], ["sand", "spice", "z"], "spice", "sand", 1, [3, 2], 2, [2], None])
    equal([value(Array([1, 2, 3]).array_filter(Variable("n").greater_than(1), "n")),
           value(Array([1, 2]).array_transform(Variable("n").multiply(10), "n"))], [[2, 3], [10, 20]])
    equal([value(place.map_get("shelf")), value(place.map_set("row", 2)), value(place.map_remove("row")), value(place.map_merge({"z": 1})),
           value(place.map_keys()), value(place.map_values()), value(Map({"a": Field.of("price")})), value(place.map_get("none"))],
          ["a", {"shelf": "a", "row": 2}, {"shelf": "a"}, {"shelf": "a", "row": 1, "z": 1}, ["row", "shelf"], [1, "a"], {"a": 10}, "absent"])
    equal(value(CurrentDocument().map_get("title")), "Dune")


@step("timestamps, references, vectors")
def times():
    when = Field.of("at")
    equal([value(when.timestamp_trunc("day")), value(when.timestamp_trunc("week(monday)", "America/Los_Angeles")),
           value(when.timestamp_extract("hour", "Asia/Tokyo")), value(when.timestamp_add("day", 1)), value(when.timestamp_to_unix_seconds()),
           value(when.timestamp_diff(at - datetime.timedelta(hours=5, minutes=30), "hour")), value(Constant.of(5).unix_seconds_to_timestamp())],
          [at.replace(hour=0, minute=0, second=0, microsecond=0), datetime.datetime(2026, 3, 16, 7, tzinfo=datetime.UTC), 22,
           at + datetime.timedelta(days=1), int(at.timestamp()), 5, datetime.datetime.fromtimestamp(5, datetime.UTC)])
    equal([value(Field.of("__name__").document_id()), value(Field.of("__name__").collection_id())], ["dune", "books"])
    equal([value(Field.of("v").vector_length()), value(Field.of("v").dot_product(Vector([2.0, 5.0])))], [2, 2.0])


@step("a transaction reads through a pipeline")
def transactions():
    @firestore.transactional
    def raise_price(transaction):
        (row,) = source().where(Field.of("title").equal("Emma")).execute(transaction=transaction)
        transaction.update(row.ref, {"price": row.get("price") + 1})

    raise_price(client.transaction())
    equal(books.document("emma").get().get("price"), 8)


@step("refusals")
def refusals():
    error = refused(exceptions.InvalidArgument, lambda: source().raw_stage("no_such_stage").execute())
    expect("no_such_stage" in str(error), error)
    refused(exceptions.MethodNotImplemented, lambda: source().delete().execute())
