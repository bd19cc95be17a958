// Firestore through @google-cloud/firestore and firebase-admin: what the README's table claims.
import { AggregateField, FieldPath, FieldValue, Filter, Firestore, GeoPoint, Timestamp } from '@google-cloud/firestore';
import { and, constant, countAll, field } from '@google-cloud/firestore/pipelines';
import { initializeApp } from 'firebase-admin/app';
import { getFirestore } from 'firebase-admin/firestore';
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
  assert.deepEqual((await db.getAll(bulk.doc('d1'), bulk.doc('none'))).map((found) => found.exists), [true, false]);
});

check('aggregations', async () => {
  const asked = { sum: AggregateField.sum('i'), mean: AggregateField.average('i'), count: AggregateField.count() };
  assert.deepEqual((await bulk.aggregate(asked).get()).data(), { sum: 19900, mean: 99.5, count: 200 });
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
});

check('explain', async () => {
  const { metrics } = await bulk.where('i', '<', 3).explain({ analyze: true });
  assert.equal(metrics.planSummary.indexesUsed.length, 1);
  assert.equal(metrics.executionStats.resultsReturned, 3);
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

check('another database, and REST', async () => {
  const other = new Firestore({ projectId, databaseId: 'other' });
  await other.doc('x/1').set({ a: 1 });
  assert.equal((await db.doc('x/1').get()).exists, false);
  const rest = new Firestore({ projectId, preferRest: true });
  await rest.doc('x/2').set({ a: 2 });
  assert.deepEqual((await rest.doc('x/2').get()).data(), { a: 2 });
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
