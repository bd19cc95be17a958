// Firestore through @google-cloud/firestore and firebase-admin: what the README's table claims.
import { AggregateField, FieldPath, FieldValue, Filter, Firestore, GeoPoint, Timestamp } from '@google-cloud/firestore';
import firestore from '@google-cloud/firestore';
import { and, constant, countAll, field } from '@google-cloud/firestore/pipelines';
import { initializeApp } from 'firebase-admin/app';
import { getFirestore } from 'firebase-admin/firestore';
import { grpc } from 'google-gax';
import { assert, check, refused, runChecks } from './check.mjs';

const projectId = process.env.GOOGLE_CLOUD_PROJECT;
const db = new Firestore({ projectId });
const players = db.collection('players');
const bulk = db.collection('bulk');
const ids = (snapshot) => snapshot.docs.map((found) => found.id);

check('documents of every type', async () => {
  const written = {
    n: 1, f: 1.5, s: 'x', yes: true, none: null, at: Timestamp.fromMillis(5), where: new GeoPoint(1, 2),
    list: [1, 'two'], map: { k: 'v' }, bytes: Buffer.from('q'), ref: players.doc('other'),
  };
  await players.doc('a').set(written);
  const read = (await players.doc('a').get()).data();
  assert.deepEqual({ ...read, ref: read.ref.path }, { ...written, ref: 'players/other' });
});

check('create, update and delete with their refusals', async () => {
  assert.equal((await refused(players.doc('a').create({}))).code, 6);
  assert.equal((await refused(players.doc('none').update({ a: 1 }))).code, 5);
  const before = await players.doc('a').get();
  await players.doc('a').update({ s: 'y' }, { lastUpdateTime: before.updateTime });
  assert.equal((await refused(players.doc('a').update({ s: 'z' }, { lastUpdateTime: before.updateTime }))).code, 9);
  await players.doc('gone').delete();
});

check('transforms', async () => {
  await players.doc('t').set({ n: 1, list: [1, 2], drop: 1, map: {} });
  await players.doc('t').update({
    n: FieldValue.increment(4), list: FieldValue.arrayUnion(2, 3), drop: FieldValue.delete(), at: FieldValue.serverTimestamp(),
  });
  await players.doc('t').update(new FieldPath('map', 'karl-anthony.towns'), 25, 'list', FieldValue.arrayRemove(1));
  const { at, ...rest } = (await players.doc('t').get()).data();
  assert.deepEqual(rest, { n: 5, list: [2, 3], map: { 'karl-anthony.towns': 25 } });
  assert.ok(at instanceof Timestamp);
});

check('exact field paths, merging writes, limits', async () => {
  const odd = players.doc('odd names');
  await odd.set({ 'karl-anthony.towns': 1, map: { 'a.b': 2 } });
  await odd.update(new FieldPath('karl-anthony.towns'), 5, 'map.nested', 6);
  await odd.set({ map: { more: 7 }, left: 1 }, { mergeFields: ['map.more'] });
  assert.deepEqual((await odd.get()).data(), { 'karl-anthony.towns': 5, map: { 'a.b': 2, nested: 6, more: 7 } });
  assert.deepEqual(ids(await players.where(new FieldPath('map', 'a.b'), '==', 2).get()), ['odd names']);
  assert.equal((await refused(players.doc('big').set({ s: 'x'.repeat(1_048_576) }))).code, 3);
  const batch = db.batch();
  batch.set(players.doc('s1'), { at: FieldValue.serverTimestamp() });
  batch.set(players.doc('s2'), { at: FieldValue.serverTimestamp() });
  const [first] = await batch.commit();
  for (const id of ['s1', 's2']) assert.ok((await players.doc(id).get()).get('at').isEqual(first.writeTime));
  const made = await players.add({ auto: true });
  assert.equal(made.id.length, 20);
  assert.equal((await refused(made.delete({ lastUpdateTime: Timestamp.fromMillis(5) }))).code, 9);
});

check('a bulk writer and a batch', async () => {
  const writer = db.bulkWriter();
  for (let i = 0; i < 200; i++) writer.set(bulk.doc(`d${i}`), { i, team: `g${i % 5}`, tags: [i % 2 ? 'odd' : 'even'] });
  await writer.close();
  const batch = db.batch();
  batch.set(db.doc('b/1'), { a: 1 });
  batch.delete(db.doc('b/2'));
  assert.equal((await batch.commit()).length, 2);
});

check('queries', async () => {
  assert.deepEqual(ids(await bulk.where('i', '>=', 190).orderBy('i', 'desc').limit(3).get()), ['d199', 'd198', 'd197']);
  assert.equal((await bulk.where(Filter.or(Filter.where('i', '==', 1), Filter.where('i', '==', 5))).get()).size, 2);
  assert.equal((await bulk.where('team', 'in', ['g1', 'g2']).get()).size, 80);
  assert.equal((await bulk.where('team', 'not-in', ['g1', 'g2']).get()).size, 120);
  assert.equal((await bulk.where('tags', 'array-contains', 'odd').get()).size, 100);
  assert.deepEqual(ids(await bulk.orderBy('i').limitToLast(2).get()), ['d198', 'd199']);
  assert.deepEqual(ids(await bulk.orderBy('i').startAfter(await bulk.doc('d50').get()).limit(2).get()), ['d51', 'd52']);
  assert.deepEqual((await bulk.orderBy('i').select('i').limit(1).get()).docs[0].data(), { i: 0 });
  assert.equal((await bulk.where('team', '!=', 'g1').get()).size, 160);
  assert.equal((await bulk.where('tags', 'array-contains-any', ['odd', 'even']).get()).size, 200);
  assert.deepEqual(ids(await bulk.where('i', '>', 195).where('team', '>', 'g1').get()), ['d197', 'd198', 'd199']);
  const both = Filter.or(Filter.and(Filter.where('i', '>', 3), Filter.where('i', '<', 6)), Filter.where('i', '==', 9));
  assert.deepEqual(ids(await bulk.where(both).get()), ['d4', 'd5', 'd9']);
  assert.deepEqual(ids(await bulk.orderBy('i').startAt(3).endBefore(5).get()), ['d3', 'd4']);
  assert.deepEqual(ids(await bulk.orderBy('team', 'desc').orderBy('i').endAt('g4', 9).get()), ['d4', 'd9']);
  assert.equal((await bulk.orderBy('i').offset(150).get()).size, 50);
  assert.deepEqual(ids(await bulk.where(FieldPath.documentId(), '>=', 'd98').get()), ['d98', 'd99']);
  let streamed = 0;
  for await (const found of bulk.where('i', '<', 50).stream()) streamed += found.exists ? 1 : 0;
  assert.equal(streamed, 50);
  assert.deepEqual((await db.getAll(bulk.doc('d1'), bulk.doc('none'))).map((found) => found.exists), [true, false]);
});

check('aggregations', async () => {
  const asked = { sum: AggregateField.sum('i'), mean: AggregateField.average('i'), count: AggregateField.count() };
  assert.deepEqual((await bulk.aggregate(asked).get()).data(), { sum: 19900, mean: 99.5, count: 200 });
  const none = bulk.where('i', '>', 1_000).aggregate({ sum: AggregateField.sum('i'), mean: AggregateField.average('i') });
  assert.deepEqual((await none.get()).data(), { sum: 0, mean: null });
  const counted = await db.runTransaction((transaction) => transaction.get(bulk.limit(10).count()));
  assert.equal(counted.data().count, 10);
});

check('collection groups, partitions, lists', async () => {
  await db.doc('parent/x/child/y').set({ a: 1 });
  assert.equal((await db.collectionGroup('child').get()).size, 1);
  assert.deepEqual(ids({ docs: await db.collection('parent').listDocuments() }), ['x']);
  let found = 0;
  for await (const partition of db.collectionGroup('bulk').getPartitions(4)) {
    found += (await partition.toQuery().get()).size;
  }
  assert.equal(found, 200);
  assert.ok((await db.listCollections()).map((one) => one.id).includes('players'));
});

check('nearest neighbours', async () => {
  await db.doc('vectors/1').set({ e: FieldValue.vector([1, 2, 3]) });
  await db.doc('vectors/2').set({ e: FieldValue.vector([9, 2, 3]) });
  const nearest = db.collection('vectors').findNearest({
    vectorField: 'e', queryVector: [1, 2, 3], limit: 2, distanceMeasure: 'EUCLIDEAN', distanceResultField: 'distance',
  });
  assert.deepEqual((await nearest.get()).docs.map((found) => found.get('distance')), [0, 8]);
  for (const [distanceMeasure, wanted] of [['COSINE', ['1', '2']], ['DOT_PRODUCT', ['2', '1']]]) {
    const asked = { vectorField: 'e', queryVector: [1, 2, 3], limit: 5, distanceMeasure };
    assert.deepEqual(ids(await db.collection('vectors').findNearest(asked).get()), wanted);
  }
  const close = { vectorField: 'e', queryVector: [1, 2, 3], limit: 5, distanceMeasure: 'EUCLIDEAN', distanceThreshold: 1 };
  assert.deepEqual(ids(await db.collection('vectors').findNearest(close).get()), ['1']);
});

check('explain', async () => {
  const { metrics } = await bulk.where('i', '<', 3).explain({ analyze: true });
  assert.equal(metrics.planSummary.indexesUsed.length, 1);
  assert.equal(metrics.executionStats.resultsReturned, 3);
  const planned = await bulk.where('i', '<', 3).explain();
  assert.equal(planned.snapshot, null);
  assert.equal(planned.metrics.planSummary.indexesUsed.length, 1);
  const counted = await bulk.count().explain({ analyze: true });
  assert.equal(counted.snapshot.data().count, 200);
});

check('forty transactions on one document', async () => {
  const counter = players.doc('counter');
  await counter.set({ n: 0 });
  const once = () => db.runTransaction(async (transaction) => {
    const read = await transaction.get(counter);
    transaction.update(counter, { n: read.get('n') + 1 });
  }, { maxAttempts: 40 });
  await Promise.all(Array.from({ length: 40 }, once));
  assert.equal((await counter.get()).get('n'), 40);
});

check('a read-only transaction', async () => {
  const read = (transaction) => transaction.get(bulk.where('i', '<', 5));
  assert.equal((await db.runTransaction(read, { readOnly: true })).size, 5);
});

check('read-only transactions at a time, and what they refuse', async () => {
  const moment = players.doc('moment');
  await moment.set({ v: 1 });
  const { updateTime: readTime } = await moment.get();
  await moment.set({ v: 2 });
  const then = await db.runTransaction((transaction) => transaction.get(moment), { readOnly: true, readTime });
  assert.equal(then.get('v'), 1);
  const writes = db.runTransaction(async (transaction) => transaction.set(moment, { v: 3 }), { readOnly: true });
  assert.match((await refused(writes)).message, /read-only/i);
});

check('transactions that meet: the older wins, the text is production\'s', async () => {
  const [one, two] = [players.doc('one'), players.doc('two')];
  await Promise.all([one.set({ n: 0 }), two.set({ n: 0 })]);
  const texts = [];
  const started = [];
  const both = [0, 1].map((at) => new Promise((resolve) => { started[at] = resolve; }));
  const run = (at, reads, writes) => db.runTransaction(async (transaction) => {
    await transaction.get(reads);
    started[at]();
    await Promise.all(both);
    transaction.update(writes, { n: at + 1 });
  }, { maxAttempts: 1 }).catch((error) => texts.push(error.message));
  const first = run(0, one, two);
  await both[0];
  await Promise.all([first, run(1, two, one)]);
  assert.equal(texts.length, 1);
  assert.match(texts[0], /Aborted due to cross-transaction contention/);
  assert.deepEqual([(await one.get()).get('n'), (await two.get()).get('n')], [0, 1]);
});

check('listeners on a document and on a query', async () => {
  const seen = [];
  await new Promise((resolve, reject) => {
    const stop = players.doc('live').onSnapshot(async (snapshot) => {
      seen.push(snapshot.exists ? snapshot.get('v') : null);
      if (seen.length === 1) await players.doc('live').set({ v: 1 });
      else if (seen.length === 2) await players.doc('live').update({ v: 2 });
      else { stop(); resolve(); }
    }, reject);
  });
  assert.deepEqual(seen, [null, 1, 2]);
  const changes = [];
  await new Promise((resolve, reject) => {
    const stop = bulk.where('i', '<', 3).onSnapshot(async (snapshot) => {
      changes.push(snapshot.docChanges().map((change) => `${change.type} ${change.doc.id}`));
      if (changes.length === 1) await bulk.doc('d1').delete();
      else { stop(); resolve(); }
    }, reject);
  });
  assert.deepEqual(changes, [['added d0', 'added d1', 'added d2'], ['removed d1']]);
});

check('a listener on a limited query, resumed by itself', async () => {
  const live = db.collection('live');
  await Promise.all([1, 2, 3].map((n) => live.doc(`l${n}`).set({ n })));
  const told = [];
  await new Promise((resolve, reject) => {
    const stop = live.orderBy('n', 'desc').limit(2).onSnapshot(async (snapshot) => {
      told.push(ids(snapshot));
      if (told.length === 1) await live.doc('l3').delete();
      else if (told.length === 2) await live.doc('l9').set({ n: 9 });
      else { stop(); resolve(); }
    }, reject);
  });
  assert.deepEqual(told, [['l3', 'l2'], ['l2', 'l1'], ['l9', 'l2']]);
});

check('indexes, field settings and times to live by the admin client', async () => {
  const [servicePath, port] = process.env.FIRESTORE_EMULATOR_HOST.split(':');
  const admin = new firestore.v1.FirestoreAdminClient({ servicePath, port: Number(port), sslCreds: grpc.credentials.createInsecure() });
  const parent = `projects/${projectId}/databases/(default)/collectionGroups/indexed`;
  const fields = [{ fieldPath: 'a', order: 'ASCENDING' }, { fieldPath: 'b', arrayConfig: 'CONTAINS' }];
  const [operation] = await admin.createIndex({ parent, index: { queryScope: 'COLLECTION', fields } });
  const [made] = await operation.promise();
  assert.deepEqual(made.fields.map((field) => field.fieldPath), ['a', 'b', '__name__']);
  assert.deepEqual((await admin.listIndexes({ parent }))[0].map((index) => index.name), [made.name]);
  await admin.deleteIndex({ name: made.name });
  assert.equal((await refused(admin.getIndex({ name: made.name }))).code, 5);
  const field = { name: `${parent}/fields/until`, ttlConfig: {} };
  const [update] = await admin.updateField({ field, updateMask: { paths: ['ttl_config'] } });
  assert.ok((await update.promise())[0].ttlConfig);
  await db.doc('indexed/old').set({ until: Timestamp.fromMillis(Date.now() - 60_000) });
  assert.equal((await db.doc('indexed/old').get()).exists, false);
  await admin.close();
});

check('another database, and REST', async () => {
  const other = new Firestore({ projectId, databaseId: 'other' });
  await other.doc('x/1').set({ a: 1 });
  assert.equal((await db.doc('x/1').get()).exists, false);
  const rest = new Firestore({ projectId, preferRest: true });
  await rest.doc('x/2').set({ a: 2 });
  assert.deepEqual((await rest.doc('x/2').get()).data(), { a: 2 });
  assert.deepEqual(ids(await rest.collection('x').where('a', '>', 1).get()), ['2']);
  assert.equal((await rest.collection('x').count().get()).data().count, 1);
  await rest.runTransaction(async (transaction) => {
    const read = await transaction.get(rest.doc('x/2'));
    transaction.update(rest.doc('x/2'), { a: read.get('a') + 1 });
  });
  assert.equal((await rest.doc('x/2').get()).get('a'), 3);
});

check('pipelines of an Enterprise database', async () => {
  const address = `http://${process.env.FIRESTORE_EMULATOR_HOST}/v1/projects/${projectId}/databases?databaseId=rehearsal`;
  const body = JSON.stringify({ databaseEdition: 'ENTERPRISE' });
  const headers = { 'content-type': 'application/json' };
  assert.equal((await fetch(address, { method: 'POST', headers, body })).status, 200);
  const enterprise = new Firestore({ projectId, databaseId: 'rehearsal' });
  await enterprise.doc('games/a').set({ home: 'LAL', score: 101, tags: ['x', 'y'] });
  await enterprise.doc('games/b').set({ home: 'BOS', score: 99, tags: ['y'] });
  const games = enterprise.pipeline().collection('games');
  const good = await games
    .where(and(field('score').greaterThan(100), field('tags').arrayContains('x')))
    .addFields(field('score').divide(2).as('half'), constant('won').as('how'))
    .removeFields('tags')
    .execute();
  assert.deepEqual(good.results.map((row) => [row.id, row.data()]), [['a', { home: 'LAL', score: 101, half: 50, how: 'won' }]]);
  const counted = await games.unnest(field('tags').as('tag'), 'at')
    .aggregate({ accumulators: [countAll().as('n'), field('score').maximum().as('most')], groups: ['tag'] })
    .sort(field('tag').ascending())
    .execute();
  assert.deepEqual(counted.results.map((row) => row.data()), [{ tag: 'x', n: 1, most: 101 }, { tag: 'y', n: 2, most: 101 }]);
  const refusal = await refused(db.pipeline().collection('games').execute());
  assert.match(refusal.message, /only allowed on ENTERPRISE mode/);
});

check('recursive deletion', async () => {
  await db.recursiveDelete(bulk);
  assert.equal((await bulk.count().get()).data().count, 0);
});

check('firebase-admin and its runTransaction', async () => {
  initializeApp({ projectId });
  const admin = getFirestore();
  const counter = admin.doc('admin/counter');
  await counter.set({ n: 0 });
  const once = () => admin.runTransaction(async (transaction) => {
    const read = await transaction.get(counter);
    transaction.update(counter, { n: read.get('n') + 1 });
  }, { maxAttempts: 20 });
  await Promise.all(Array.from({ length: 20 }, once));
  assert.equal((await counter.get()).get('n'), 20);
});

await runChecks();
