// Pub/Sub through @google-cloud/pubsub.
import { PubSub } from '@google-cloud/pubsub';
import { assert, check, refused, runChecks } from './check.mjs';

const pubsub = new PubSub({ projectId: process.env.GOOGLE_CLOUD_PROJECT });
const topic = pubsub.topic('requests', { messageOrdering: true });
const subscription = pubsub.subscription('ordered');

check('topics and subscriptions', async () => {
  await pubsub.createTopic('requests');
  assert.equal((await refused(pubsub.createTopic('requests'))).code, 6);
  const settings = { enableMessageOrdering: true, enableExactlyOnceDelivery: true, ackDeadlineSeconds: 20, filter: 'attributes.k = "v"' };
  await topic.createSubscription('ordered', settings);
  const [changed] = await subscription.setMetadata({ ackDeadlineSeconds: 30 });
  assert.equal(changed.ackDeadlineSeconds, 30);
});

check('a filtered, ordered, exactly-once stream', async () => {
  const received = [];
  const done = new Promise((resolve, reject) => {
    subscription.on('message', (message) => {
      received.push(message.data.toString());
      message.ackWithResponse().then(() => received.length === 3 && resolve(), reject);
    });
    subscription.on('error', reject);
  });
  for (const [data, k] of [['1', 'v'], ['2', 'v'], ['no', 'x'], ['3', 'v']]) {
    await topic.publishMessage({ data: Buffer.from(data), orderingKey: 'key', attributes: { k } });
  }
  await done;
  await subscription.close();
  assert.deepEqual(received, ['1', '2', '3']);
});

check('snapshots and seek', async () => {
  const [snapshot] = await pubsub.subscription('ordered').createSnapshot('before');
  await pubsub.subscription('ordered').seek('before');
  assert.ok(snapshot.name.endsWith('/snapshots/before'));
  assert.equal((await pubsub.getSnapshots())[0].length, 1);
});

check('schemas', async () => {
  const definition = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'a', type: 'int' }] });
  await pubsub.createSchema('counts', 'AVRO', definition);
  const schema = `projects/${process.env.GOOGLE_CLOUD_PROJECT}/schemas/counts`;
  await pubsub.createTopic({ name: 'typed', schemaSettings: { schema, encoding: 'JSON' } });
  await pubsub.topic('typed').publishMessage({ json: { a: 1 } });
  assert.equal((await refused(pubsub.topic('typed').publishMessage({ json: { a: 'one' } }))).code, 3);
});

check('policies', async () => {
  const [policy] = await topic.iam.setPolicy({ bindings: [{ role: 'roles/pubsub.viewer', members: ['user:a@example.com'] }] });
  assert.equal(policy.bindings[0].role, 'roles/pubsub.viewer');
  assert.deepEqual((await topic.iam.getPolicy())[0].bindings, policy.bindings);
});

check('what is not there', async () => {
  assert.equal((await refused(pubsub.topic('nowhere').publishMessage({ data: Buffer.from('x') }))).code, 5);
});

await runChecks();
