//! Both services and the REST router on free ports, and how to read what they answer.

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto};
use scrimmage_bigquery::BigQuery;
use scrimmage_core::{Clock, Context, Timestamp};
use scrimmage_protos::google::cloud::bigquery::storage::v1 as wire;
use serde_json::{Value, json};
use tonic::transport::Channel;
use wire::big_query_read_client::BigQueryReadClient;
use wire::big_query_write_client::BigQueryWriteClient;

/// 2026-01-01T00:00:00Z.
pub const START: i64 = 1_767_225_600_000_000;
pub const TABLE: &str = "projects/p/datasets/d/tables/t";

pub struct Server {
    pub clock: Clock,
    pub read: BigQueryReadClient<Channel>,
    pub write: BigQueryWriteClient<Channel>,
    http: reqwest::Client,
    base: String,
    pub bigquery: BigQuery,
}

impl Server {
    /// A server with the dataset `d` of project `p` in which these statements have run.
    pub async fn with(statements: &[&str]) -> Server {
        Server::on(Context::new(Clock::virtual_at(Timestamp::from_micros(START))), statements).await
    }

    /// The same in a context of the caller's.
    pub async fn on(context: Context, statements: &[&str]) -> Server {
        let server = Server::again(context).await;
        server.post("/projects/p/datasets", json!({"datasetReference": {"datasetId": "d"}})).await;
        for sql in statements {
            server.query(sql).await;
        }
        server
    }

    /// A server with what its context's folder holds.
    pub async fn again(context: Context) -> Server {
        let clock = context.clock.clone();
        let bigquery = BigQuery::open(context).expect("it opens");
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let grpc = tonic::service::Routes::new(bigquery.storage_read()).add_service(bigquery.storage_write());
        let router = bigquery.router().merge(grpc.prepare().into_axum_router().reset_fallback());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let channel = Channel::from_shared(base.clone()).expect("a URI").connect().await.expect("connects");
        Server {
            clock,
            read: BigQueryReadClient::new(channel.clone()),
            write: BigQueryWriteClient::new(channel),
            http: reqwest::Client::new(),
            base,
            bigquery,
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/bigquery/v2{path}", self.base)).body(body.to_string());
        let response = request.header("content-type", "application/json").send().await.expect("the server answers");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The status of a query that may be refused.
    pub async fn status(&self, sql: &str) -> u16 {
        let request = self.http.post(format!("{}/bigquery/v2/projects/p/queries", self.base));
        let request = request.body(json!({"query": sql, "useLegacySql": false}).to_string());
        request.send().await.expect("the server answers").status().as_u16()
    }

    /// The first column of a query's rows.
    pub async fn query(&self, sql: &str) -> Vec<String> {
        let answer = self.post("/projects/p/queries", json!({"query": sql, "useLegacySql": false})).await;
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["f"][0]["v"].as_str().unwrap_or("NULL").to_owned()).collect()
    }

    /// A query's destination table.
    pub async fn result_table(&self, sql: &str) -> String {
        let job = self.post("/projects/p/jobs", json!({"configuration": {"query": {"query": sql}}})).await;
        let table = &job["configuration"]["query"]["destinationTable"];
        let part = |key: &str| table[key].as_str().unwrap_or_default().to_owned();
        format!("projects/p/datasets/{}/tables/{}", part("datasetId"), part("tableId"))
    }

    pub async fn session(
        &mut self,
        table: &str,
        format: wire::DataFormat,
        options: wire::read_session::TableReadOptions,
        streams: (i32, i32),
    ) -> Result<wire::ReadSession, tonic::Status> {
        let session = wire::ReadSession {
            table: table.into(),
            data_format: format.into(),
            read_options: Some(options),
            ..Default::default()
        };
        let request = wire::CreateReadSessionRequest {
            parent: "projects/p".into(),
            read_session: Some(session),
            max_stream_count: streams.0,
            preferred_min_stream_count: streams.1,
        };
        Ok(self.read.create_read_session(request).await?.into_inner())
    }

    /// Everything that one ReadRows call answers.
    pub async fn rows(&mut self, stream: &str, offset: i64) -> Result<Vec<wire::ReadRowsResponse>, tonic::Status> {
        let request = wire::ReadRowsRequest { read_stream: stream.into(), offset };
        let mut answers = self.read.read_rows(request).await?.into_inner();
        let mut all = Vec::new();
        while let Some(answer) = answers.message().await? {
            all.push(answer);
        }
        Ok(all)
    }

    /// The record batches of a stream.
    pub async fn arrow(&mut self, session: &wire::ReadSession, stream: &str, offset: i64) -> Vec<RecordBatch> {
        let Some(wire::read_session::Schema::ArrowSchema(schema)) = &session.schema else { panic!("no Arrow schema") };
        let mut bytes = schema.serialized_schema.to_vec();
        for answer in self.rows(stream, offset).await.expect("rows") {
            let Some(wire::read_rows_response::Rows::ArrowRecordBatch(batch)) = answer.rows else { panic!("no batch") };
            bytes.extend_from_slice(&batch.serialized_record_batch);
        }
        let reader = StreamReader::try_new(std::io::Cursor::new(bytes), None).expect("a schema");
        reader.map(|batch| batch.expect("a batch")).collect()
    }

    pub async fn create_stream(&mut self, kind: wire::write_stream::Type) -> String {
        let stream = wire::WriteStream { r#type: kind.into(), ..Default::default() };
        let request = wire::CreateWriteStreamRequest { parent: TABLE.into(), write_stream: Some(stream) };
        self.write.create_write_stream(request).await.expect("a stream").into_inner().name
    }

    /// Sends requests over one connection; the answers, and the status that ended it where one did.
    pub async fn append(
        &mut self,
        requests: Vec<wire::AppendRowsRequest>,
    ) -> (Vec<wire::AppendRowsResponse>, Option<tonic::Status>) {
        let mut answers = match self.write.append_rows(tokio_stream::iter(requests)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return (Vec::new(), Some(status)),
        };
        let mut all = Vec::new();
        loop {
            match answers.message().await {
                Ok(Some(answer)) => all.push(answer),
                Ok(None) => return (all, None),
                Err(status) => return (all, Some(status)),
            }
        }
    }
}

/// Rows of `id INT64, name STRING`; a missing part is not sent. With `schema` the writer describes them first.
pub fn rows(
    stream: &str,
    offset: Option<i64>,
    schema: bool,
    rows: &[(Option<i64>, Option<&str>)],
) -> wire::AppendRowsRequest {
    use wire::append_rows_request::{ProtoData, Rows};
    let serialized_rows = rows.iter().map(|(id, name)| {
        let mut bytes = Vec::new();
        if let Some(id) = id {
            prost::encoding::int64::encode(1, id, &mut bytes);
        }
        if let Some(name) = name {
            prost::encoding::string::encode(2, &(*name).to_owned(), &mut bytes);
        }
        bytes.into()
    });
    let data = ProtoData {
        writer_schema: schema
            .then(|| descriptor(&[("id", Type::Int64), ("name", Type::String)]))
            .map(|descriptor| wire::ProtoSchema { proto_descriptor: Some(descriptor) }),
        rows: Some(wire::ProtoRows { serialized_rows: serialized_rows.collect() }),
    };
    wire::AppendRowsRequest {
        write_stream: stream.into(),
        offset,
        rows: Some(Rows::ProtoRows(data)),
        ..Default::default()
    }
}

pub fn descriptor(fields: &[(&str, Type)]) -> DescriptorProto {
    let field = |(index, (name, ty)): (usize, &(&str, Type))| FieldDescriptorProto {
        name: Some((*name).into()),
        number: Some(index as i32 + 1),
        label: Some(Label::Optional.into()),
        r#type: Some((*ty).into()),
        ..Default::default()
    };
    DescriptorProto {
        name: Some("Row".into()),
        field: fields.iter().enumerate().map(field).collect(),
        ..Default::default()
    }
}
