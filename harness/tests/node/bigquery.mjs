// BigQuery through @google-cloud/bigquery.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BigQuery } from '@google-cloud/bigquery';
import { assert, check, refused, runChecks } from './check.mjs';

const bigquery = new BigQuery({ projectId: process.env.GOOGLE_CLOUD_PROJECT });
const dataset = bigquery.dataset('node_clients');
const folder = mkdtempSync(join(tmpdir(), 'scrimmage-'));
const rowsOf = async (query) => (await bigquery.query(query))[0];

check('datasets and tables', async () => {
  await dataset.create({ location: 'US' });
  await dataset.createTable('t', { schema: 'name:string,age:integer,ts:timestamp,n:numeric,d:date,b:bytes' });
  assert.deepEqual((await dataset.getTables())[0].map((table) => table.id), ['t']);
  const [metadata] = await dataset.table('t').setMetadata({ description: 'people' });
  assert.equal(metadata.description, 'people');
});

check('streaming inserts and their errors', async () => {
  const table = dataset.table('t');
  const at = new Date('2026-01-01T00:00:00Z');
  await table.insert([{ name: 'a', age: 1, ts: at, n: '1.5', d: '2026-01-01', b: Buffer.from('x') }, { name: 'b', age: 2 }]);
  const error = await refused(table.insert([{ nope: 1 }]));
  assert.deepEqual(error.errors[0].errors[0].message, 'no such field: nope.');
  const [first] = await rowsOf('SELECT * FROM node_clients.t ORDER BY age');
  assert.deepEqual([first.name, first.ts.value, first.n.toString(), first.d.value], ['a', '2026-01-01T00:00:00.000Z', '1.5', '2026-01-01']);
});

check('parameters', async () => {
  const params = { x: 5, list: ['p', 'q'], s: { a: 1.5 } };
  assert.deepEqual(await rowsOf({ query: 'SELECT @x AS x, @list AS list, @s.a AS a', params }), [{ x: 5, list: ['p', 'q'], a: 1.5 }]);
  assert.equal((await rowsOf({ query: 'SELECT ? AS d', params: [BigQuery.date('2026-01-02')] }))[0].d.value, '2026-01-02');
});

check('pages and streams', async () => {
  const [job] = await bigquery.createQueryJob('SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25)) x ORDER BY x');
  const [rows, , answer] = await job.getQueryResults({ maxResults: 10, autoPaginate: false });
  assert.deepEqual([rows.length, answer.totalRows, typeof answer.pageToken], [10, '25', 'string']);
  let count = 0;
  for await (const _ of bigquery.createQueryStream('SELECT x FROM UNNEST(GENERATE_ARRAY(1, 1000)) x')) count++;
  assert.equal(count, 1000);
});

check('loads from files and from a stream', async () => {
  writeFileSync(join(folder, 'rows.csv'), 'name,age\nzed,9\nyan,8\n');
  await dataset.table('csv').load(join(folder, 'rows.csv'), { sourceFormat: 'CSV', skipLeadingRows: 1, autodetect: true });
  assert.deepEqual(await rowsOf('SELECT * FROM node_clients.csv ORDER BY age'), [{ name: 'yan', age: 8 }, { name: 'zed', age: 9 }]);
  await new Promise((resolve, reject) => {
    const sink = dataset.table('streamed').createWriteStream({ sourceFormat: 'NEWLINE_DELIMITED_JSON', schema: 'name:string,age:integer' });
    sink.on('complete', resolve).on('error', reject);
    sink.end('{"name":"k","age":3}\n');
  });
  assert.equal((await rowsOf('SELECT COUNT(*) AS c FROM node_clients.streamed'))[0].c, 1);
});

check('copies, views, routines', async () => {
  await dataset.table('csv').copy(dataset.table('copied'));
  await dataset.createTable('names', { view: 'SELECT name FROM node_clients.copied' });
  assert.equal((await rowsOf('SELECT COUNT(*) AS c FROM node_clients.names'))[0].c, 2);
  const x = { name: 'x', dataType: { typeKind: 'INT64' } };
  await dataset.routine('add1').create({ arguments: [x], definitionBody: 'x + 1', routineType: 'SCALAR_FUNCTION', language: 'SQL' });
  assert.deepEqual(await rowsOf('SELECT node_clients.add1(41) AS y'), [{ y: 42 }]);
});

check('DML and its counts', async () => {
  const [job] = await bigquery.createQueryJob(
    `MERGE node_clients.csv T USING (SELECT 'zed' AS name, 10 AS age UNION ALL SELECT 'new', 1) S ON T.name = S.name
     WHEN MATCHED THEN UPDATE SET age = S.age WHEN NOT MATCHED THEN INSERT ROW`);
  await job.getQueryResults();
  const { query } = (await job.getMetadata())[0].statistics;
  assert.deepEqual([query.numDmlAffectedRows, query.dmlStats.insertedRowCount, query.dmlStats.updatedRowCount], ['2', '1', '1']);
});

check('errors', async () => {
  const missing = await refused(bigquery.query('SELECT * FROM node_clients.nope'));
  assert.equal(missing.code, 404);
  assert.match(missing.message, /^Not found: Table \S+:node_clients\.nope was not found in location US$/);
  assert.match((await refused(bigquery.query('SELECT * frm x'))).message, /^Syntax error: .* at \[1:10\]$/);
});

check('the end', async () => {
  await dataset.delete({ force: true });
  assert.equal((await dataset.exists())[0], false);
});

await runChecks();
