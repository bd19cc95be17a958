//! Queries and aggregations as clients send them.

use futures::StreamExt;
use scrimmage_core::Clock;
use tonic::Code;

use super::support::*;
use pb::structured_query as sq;

fn reference(path: &str) -> sq::FieldReference {
    sq::FieldReference { field_path: path.to_owned() }
}

fn filter(path: &str, op: sq::field_filter::Operator, value: pb::Value) -> Option<sq::Filter> {
    let filter = sq::FieldFilter { field: Some(reference(path)), op: op.into(), value: Some(value) };
    Some(sq::Filter { filter_type: Some(sq::filter::FilterType::FieldFilter(filter)) })
}

fn order(path: &str, direction: sq::Direction) -> sq::Order {
    sq::Order { field: Some(reference(path)), direction: direction.into() }
}

fn names(answers: &[pb::RunQueryResponse]) -> Vec<&str> {
    answers
        .iter()
        .filter_map(|answer| answer.document.as_ref())
        .map(|document| document.name.rsplit('/').next().unwrap())
        .collect()
}

async fn filled() -> (Served, Client) {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let writes = (0..10).map(|number| set(&format!("c/{number}"), number * number % 7)).collect();
    client.commit(&[], writes).await.unwrap();
    (served, client)
}

#[tokio::test]
async fn the_last_answer_says_so_and_an_empty_result_has_a_time() {
    let (_served, mut client) = filled().await;
    let answers = client
        .query(pb::StructuredQuery {
            r#where: filter("n", sq::field_filter::Operator::GreaterThan, int(1)),
            order_by: vec![order("n", sq::Direction::Descending)],
            offset: 1,
            limit: Some(3),
            ..from("c")
        })
        .await
        .unwrap();
    assert_eq!(names(&answers), ["5", "2", "4"]);
    assert_eq!(answers[0].skipped_results, 1);
    let done = answers.iter().map(|answer| answer.continuation_selector.is_some()).collect::<Vec<_>>();
    assert_eq!(done, [false, false, true]);
    let empty = client.query(from("nothing")).await.unwrap();
    assert_eq!(empty.len(), 1);
    assert!(empty[0].document.is_none() && empty[0].read_time.is_some());
}

#[tokio::test]
async fn projections_and_cursors_with_names() {
    let (_served, mut client) = filled().await;
    let reference_to = |path: &str| value(pb::value::ValueType::ReferenceValue(full(path)));
    let answers = client
        .query(pb::StructuredQuery {
            select: Some(sq::Projection { fields: vec![reference("__name__")] }),
            order_by: vec![order("n", sq::Direction::Ascending), order("__name__", sq::Direction::Ascending)],
            start_at: Some(pb::Cursor { values: vec![int(1), reference_to("c/6")], before: true }),
            end_at: Some(pb::Cursor { values: vec![int(2), reference_to("c/3")], before: false }),
            ..from("c")
        })
        .await
        .unwrap();
    assert_eq!(names(&answers), ["6", "8", "3"]);
    assert!(answers.iter().all(|answer| answer.document.as_ref().unwrap().fields.is_empty()));
}

#[tokio::test]
async fn aggregations_and_their_default_names() {
    use pb::structured_aggregation_query::aggregation::{Count, Operator, Sum};
    use pb::structured_aggregation_query::{Aggregation, QueryType};
    let (_served, client) = filled().await;
    let count =
        |alias: &str, up_to| Aggregation { alias: alias.to_owned(), operator: Some(Operator::Count(Count { up_to })) };
    let sum =
        Aggregation { alias: "sum".to_owned(), operator: Some(Operator::Sum(Sum { field: Some(reference("n")) })) };
    let run_on = |query: pb::StructuredQuery, aggregations: Vec<Aggregation>| {
        let query =
            pb::StructuredAggregationQuery { aggregations, query_type: Some(QueryType::StructuredQuery(query)) };
        let request = pb::RunAggregationQueryRequest {
            parent: ROOT.to_owned(),
            query_type: Some(pb::run_aggregation_query_request::QueryType::StructuredAggregationQuery(query)),
            ..pb::RunAggregationQueryRequest::default()
        };
        let mut client = client.0.clone();
        async move { client.run_aggregation_query(request).await?.into_inner().next().await.unwrap() }
    };
    let run = |aggregations| run_on(from("c"), aggregations);
    let fields =
        run(vec![count("all", None), count("", Some(4)), sum.clone()]).await.unwrap().result.unwrap().aggregate_fields;
    assert_eq!((integer(&fields["all"]), integer(&fields["field_1"]), integer(&fields["sum"])), (10, 4, 19));
    let error = run(vec![count("a", None), count("a", None)]).await.unwrap_err();
    assert_eq!(error.message(), "Aggregation aliases contain duplicate alias: a.");
    let six = (0..6).map(|number| count(&format!("a{number}"), None)).collect();
    assert_eq!(run(six).await.unwrap_err().code(), Code::InvalidArgument);
    let select = |field| Some(sq::Projection { fields: vec![reference(field)] });
    let shown = run_on(pb::StructuredQuery { select: select("n"), ..from("c") }, vec![sum.clone()]).await;
    let text = "Cannot apply property masks when aggregation fields are present.";
    assert_eq!(shown.unwrap_err().message(), text);
    let error = run_on(pb::StructuredQuery { select: select("m"), ..from("c") }, vec![sum]).await.unwrap_err();
    assert_eq!(error.message(), "The aggregation property n is not present in the base query's property mask.");
}

#[tokio::test]
async fn partitions_split_a_group_evenly() {
    let (_served, mut client) = filled().await;
    let query = pb::StructuredQuery {
        from: vec![sq::CollectionSelector { collection_id: "c".to_owned(), all_descendants: true }],
        order_by: vec![order("__name__", sq::Direction::Ascending)],
        ..pb::StructuredQuery::default()
    };
    let request = pb::PartitionQueryRequest {
        parent: ROOT.to_owned(),
        partition_count: 4,
        query_type: Some(pb::partition_query_request::QueryType::StructuredQuery(query)),
        ..pb::PartitionQueryRequest::default()
    };
    let response = client.0.partition_query(request).await.unwrap().into_inner();
    let points: Vec<_> = response.partitions.iter().map(|cursor| format!("{:?}", cursor.values[0])).collect();
    assert_eq!(points.len(), 4);
    for (point, id) in points.iter().zip(["2", "4", "6", "8"]) {
        assert!(point.contains(&full(&format!("c/{id}"))), "{point}");
    }
}

#[tokio::test]
async fn nearest_neighbours() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await;
    let vector = |numbers: &[f64]| {
        let values = numbers.iter().map(|number| value(pb::value::ValueType::DoubleValue(*number))).collect();
        let array = value(pb::value::ValueType::ArrayValue(pb::ArrayValue { values }));
        let fields = [("__type__".to_owned(), text("__vector__")), ("value".to_owned(), array)].into();
        value(pb::value::ValueType::MapValue(pb::MapValue { fields }))
    };
    let writes = [("c/a", [0.0, 0.0]), ("c/b", [3.0, 4.0]), ("c/c", [1.0, 0.0])];
    let writes = writes.iter().map(|(path, numbers)| update(document(path, &[("v", vector(numbers))]))).collect();
    client.commit(&[], writes).await.unwrap();
    let answers = client
        .query(pb::StructuredQuery {
            find_nearest: Some(sq::FindNearest {
                vector_field: Some(reference("v")),
                query_vector: Some(vector(&[0.0, 0.0])),
                distance_measure: sq::find_nearest::DistanceMeasure::Euclidean.into(),
                limit: Some(2),
                distance_result_field: "far".to_owned(),
                distance_threshold: None,
            }),
            ..from("c")
        })
        .await
        .unwrap();
    assert_eq!(names(&answers), ["a", "c"]);
    let far = &answers[1].document.as_ref().unwrap().fields["far"];
    assert_eq!(far.value_type, Some(pb::value::ValueType::DoubleValue(1.0)));
}

#[tokio::test]
async fn a_query_can_begin_its_transaction() {
    use pb::run_query_request::{ConsistencySelector, QueryType};
    use pb::transaction_options::{Mode, ReadWrite};
    let (_served, mut client) = filled().await;
    let mode = Some(Mode::ReadWrite(ReadWrite::default()));
    let request = pb::RunQueryRequest {
        parent: ROOT.to_owned(),
        query_type: Some(QueryType::StructuredQuery(pb::StructuredQuery { limit: Some(1), ..from("c") })),
        consistency_selector: Some(ConsistencySelector::NewTransaction(pb::TransactionOptions { mode })),
        explain_options: None,
    };
    let answers: Vec<_> = client.0.run_query(request).await.unwrap().into_inner().collect().await;
    let first = answers[0].as_ref().unwrap();
    assert!(!first.transaction.is_empty() && first.document.is_none());
    client.commit(&first.transaction, vec![set("c/0", 5)]).await.unwrap();
    let error = client.commit(&first.transaction, vec![]).await.unwrap_err();
    assert_eq!(error.message(), "The referenced transaction has expired or is no longer valid.");
}

#[tokio::test]
async fn an_or_is_one_however_many_members_it_has() {
    use sq::composite_filter::Operator;
    let (_served, mut client) = filled().await;
    let composite = |op: Operator, filters: Vec<sq::Filter>| {
        let filter = sq::CompositeFilter { op: op.into(), filters };
        Some(sq::Filter { filter_type: Some(sq::filter::FilterType::CompositeFilter(filter)) })
    };
    let list = value(pb::value::ValueType::ArrayValue(pb::ArrayValue { values: vec![int(1)] }));
    let equal = || filter("n", sq::field_filter::Operator::Equal, int(1)).unwrap();
    let not_in = filter("n", sq::field_filter::Operator::NotIn, list).unwrap();
    let mut ask = async |filter| client.query(pb::StructuredQuery { r#where: filter, ..from("c") }).await;
    assert_eq!(names(&ask(composite(Operator::Or, vec![equal()])).await.unwrap()), ["1", "6", "8"]);
    let beside = composite(Operator::And, vec![not_in, composite(Operator::Or, vec![equal()]).unwrap()]);
    let error = ask(beside).await.unwrap_err();
    assert_eq!(error.message(), "'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'.");
    let error = ask(composite(Operator::Or, vec![])).await.unwrap_err();
    assert_eq!(error.message(), "Composite filter must have at least one sub-filter.");
    let error = ask(composite(Operator::And, vec![equal(), composite(Operator::Or, vec![]).unwrap()])).await;
    assert_eq!(error.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_no_index_can_have_is_refused() {
    let (_served, mut client) = filled().await;
    let equal = |path: &str| filter(path, sq::field_filter::Operator::Equal, int(1));
    let all = |id: &str| pb::StructuredQuery {
        from: vec![sq::CollectionSelector { collection_id: id.to_owned(), all_descendants: true }],
        ..pb::StructuredQuery::default()
    };
    let by_n = || vec![order("n", sq::Direction::Ascending)];
    let deep = vec!["a"; 21].join(".");
    let cursor = |value| Some(pb::Cursor { values: vec![value], before: true });
    let by_name = || vec![order("__name__", sq::Direction::Ascending)];
    let other = value(pb::value::ValueType::ReferenceValue("projects/p/databases/x/documents/c/1".to_owned()));
    let root = [
        (pb::StructuredQuery { r#where: equal("n"), ..all("") }, "kind is required for filter: n"),
        (
            pb::StructuredQuery { order_by: by_n(), ..all("") },
            "kind is required for all orders except __key__ ascending",
        ),
        (pb::StructuredQuery { r#where: equal("__x__"), ..from("c") }, "Invalid reserved name in field path __x__"),
        (pb::StructuredQuery { r#where: equal(&deep), ..from("c") }, "paths must have at most 20 elements"),
        (
            pb::StructuredQuery { order_by: by_name(), start_at: cursor(int(1)), ..from("c") },
            "Cursor __key__ value is not a document reference.",
        ),
        (
            pb::StructuredQuery { order_by: by_name(), start_at: cursor(other), ..from("c") },
            "The cursor key is in a different database than the query",
        ),
    ];
    for (query, text) in root {
        let error = client.query(query).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, text));
    }
    for (query, allowed) in [
        (all("c"), true),
        (pb::StructuredQuery { order_by: by_name(), ..all("c") }, true),
        (pb::StructuredQuery { order_by: by_n(), ..all("c") }, false),
        (pb::StructuredQuery { r#where: equal("n"), ..all("c") }, false),
    ] {
        let request = pb::RunQueryRequest {
            parent: full("c/1"),
            query_type: Some(pb::run_query_request::QueryType::StructuredQuery(query)),
            ..pb::RunQueryRequest::default()
        };
        let refusal = client.0.run_query(request).await.map(drop).map_err(|error| error.message().to_owned());
        let text = "collection group queries are only allowed at the root parent";
        assert_eq!(refusal, if allowed { Ok(()) } else { Err(text.to_owned()) });
    }
}

#[tokio::test]
async fn what_is_missing_says_so() {
    let served = serve(Clock::real()).await;
    let mut client = served.client().await.0;
    let request = pb::ExecutePipelineRequest { database: DATABASE.to_owned(), ..Default::default() };
    let error = client.execute_pipeline(request).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("only allowed on ENTERPRISE mode"));
}
