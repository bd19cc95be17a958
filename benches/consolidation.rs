//! BigQuery without a socket: load jobs, the pipeline's MERGE, small and large queries, and the parser alone.

#![allow(clippy::expect_used, reason = "a bench may")]

mod service;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use scrimmage_benches::consolidation;
use service::Service;

fn consolidate(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let merge = consolidation(40);
    let staged = || {
        runtime.block_on(async {
            let service = Service::start().await?;
            service.stage(40).await?;
            Ok::<_, String>(service)
        })
    };
    c.bench_function("MERGE of 40 staging tables, 1,000 rows x 63 columns", |bench| {
        bench.iter_batched(
            staged,
            |service| {
                let service = service.expect("staged");
                let done = runtime.block_on(service.query(&merge)).expect("merged");
                assert_eq!(done["numDmlAffectedRows"], "1000");
            },
            BatchSize::PerIteration,
        );
    });
    c.bench_function("SELECT 1", |bench| {
        let service = runtime.block_on(Service::start()).expect("started");
        bench.iter(|| runtime.block_on(service.query("SELECT 1")).expect("answered"));
    });
}

fn load(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let service = runtime.block_on(Service::start()).expect("started");
    c.bench_function("load job of 25 rows x 63 columns", |bench| {
        bench.iter(|| runtime.block_on(service.load(0)).expect("loaded"));
    });
}

fn group_by(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let service = runtime.block_on(Service::start()).expect("started");
    let table = "CREATE TABLE d.big AS SELECT n, MOD(n, 1000) AS k, CONCAT('team-', CAST(MOD(n, 30) AS STRING)) AS team
                 FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS n";
    runtime.block_on(service.query(table)).expect("made");
    // A literal of its own each time: the results must not come out of the cache.
    let mut number = 0;
    c.bench_function("group-by of 200,000 rows into 1,000", |bench| {
        bench.iter(|| {
            number += 1;
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT k, SUM(n) AS s, MAX(team) AS t FROM d.big WHERE n != -{number} GROUP BY k)"
            );
            let answer = runtime.block_on(service.query(&sql)).expect("answered");
            assert_eq!(answer["rows"][0]["f"][0]["v"], "1000");
        });
    });
}

/// A dry run parses and analyses a statement, and does not run it.
fn analyze(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return };
    let service = runtime.block_on(Service::start()).expect("started");
    runtime.block_on(service.stage(40)).expect("staged");
    let merge = consolidation(40);
    c.bench_function("analyze the MERGE of 40 tables", |bench| {
        bench.iter(|| runtime.block_on(service.dry_run(&merge)).expect("analysed"));
    });
}

fn parse(c: &mut Criterion) {
    let merge = consolidation(823);
    c.bench_function("parse the MERGE of 823 tables", |bench| {
        bench.iter(|| scrimmage_googlesql::parser::parse_statement(&merge).expect("parses"));
    });
}

criterion_group!(benches, consolidate, load, group_by, analyze, parse);
criterion_main!(benches);
