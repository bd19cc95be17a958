//! The pipeline's heaviest statement, a `SELECT 1`, and the parser alone.

#![allow(clippy::expect_used, reason = "a bench may")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use scrimmage_benches::{Service, consolidation};

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

fn parse(c: &mut Criterion) {
    let merge = consolidation(823);
    c.bench_function("parse the MERGE of 823 tables", |bench| {
        bench.iter(|| scrimmage_googlesql::parser::parse_statement(&merge).expect("parses"));
    });
}

criterion_group!(benches, consolidate, parse);
criterion_main!(benches);
