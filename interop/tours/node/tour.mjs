// A tour of the ZooKeeper client API by the Node.js client (npm's node-zookeeper-client).
//
//   tour.mjs HOST:PORT [3.8|3.9]
//
// Prints every check that fails and, last, "N passed, M failed"; exits 0 only if none failed. Everything it
// creates lies under /tour-node-<pid>. The client is found by `run` beside this file.

import { createRequire } from 'node:module';
import { isDeepStrictEqual, promisify } from 'node:util';

const require = createRequire(process.env.TOUR_MODULES + '/');
const zookeeper = require('node-zookeeper-client');
const { ACL, CreateMode, Event, Exception, Id, Permission, State } = zookeeper;

const [hosts, release = '3.9'] = process.argv.slice(2);
const root = `/tour-node-${process.pid}`;
const WAIT_MS = 10_000;

let passed = 0;
let failed = 0;

function same(want, got, what) {
  if (isDeepStrictEqual(want, got)) {
    passed++;
    return;
  }
  failed++;
  console.log(`FAIL ${what}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

async function fails(code, work, what) {
  try {
    await work;
    same(code, 'success', what);
  } catch (error) {
    same(code, error.code ?? String(error), what);
  }
}

/** The next of what a callback is given; it fails after a while. */
class Heard {
  #queue = [];
  #waiting = [];

  tell = (value) => {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(value);
    else this.#queue.push(value);
  };

  next() {
    if (this.#queue.length) return Promise.resolve(this.#queue.shift());
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), WAIT_MS);
      this.#waiting.push((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }

  get count() {
    return this.#queue.length;
  }
}

/** The client's calls as promises; those that give data and stat give both. */
class Session {
  static async open(options) {
    const client = zookeeper.createClient(hosts, options);
    const connected = new Promise((resolve, reject) => {
      client.once('connected', resolve);
      setTimeout(() => reject(new Error('not connected in time')), WAIT_MS).unref();
    });
    client.connect();
    await connected;
    return new Session(client);
  }

  constructor(client) {
    this.client = client;
    for (const name of ['exists', 'remove', 'setData', 'setACL', 'mkdirp']) {
      this[name] = promisify(client[name]).bind(client);
    }
    for (const name of ['getData', 'getChildren', 'getACL']) {
      this[name] = (...args) => new Promise((resolve, reject) => {
        client[name](...args, (error, value, stat) => (error ? reject(error) : resolve([value, stat])));
      });
    }
  }

  create(path, data = Buffer.from('x'), acls = ACL.OPEN_ACL_UNSAFE, mode = CreateMode.PERSISTENT) {
    return promisify(this.client.create).call(this.client, path, data, acls, mode);
  }

  async close() {
    const gone = new Promise((resolve) => this.client.once('disconnected', resolve));
    this.client.close();
    await gone;
  }
}

async function tourNodes(zk) {
  same(root + '/n', await zk.create(root + '/n', Buffer.from('one')), 'create');
  await fails(Exception.NODE_EXISTS, zk.create(root + '/n'), 'create twice');
  await fails(Exception.NO_NODE, zk.create(root + '/none/k'), 'create without a parent');
  same(root + '/n/s0000000000', await zk.create(root + '/n/s', undefined, undefined, CreateMode.PERSISTENT_SEQUENTIAL),
    'sequence');
  const ephemeral = await zk.create(root + '/n/e', undefined, undefined, CreateMode.EPHEMERAL_SEQUENTIAL);
  same(root + '/n/e0000000001', ephemeral, 'ephemeral sequence');
  const owner = (await zk.exists(ephemeral)).ephemeralOwner;
  same(zk.client.getSessionId().toString('hex'), owner.toString('hex'), 'owner of an ephemeral');
  await fails(Exception.NO_CHILDREN_FOR_EPHEMERALS, zk.create(ephemeral + '/k'), 'child of an ephemeral');
  let [data, stat] = await zk.getData(root + '/n');
  same(['one', 0, 2, 3], [data.toString(), stat.version, stat.numChildren, stat.dataLength], 'data and stat');
  same(1, (await zk.setData(root + '/n', Buffer.from('two'), 0)).version, 'version after a set');
  await fails(Exception.BAD_VERSION, zk.setData(root + '/n', Buffer.from('no'), 0), 'set of an old version');
  [data] = await zk.getData(root + '/n');
  same('two', data.toString(), 'data after a set');
  const [children] = await zk.getChildren(root + '/n');
  same(['e0000000001', 's0000000000'], children.sort(), 'children');
  await fails(Exception.NOT_EMPTY, zk.remove(root + '/n'), 'remove of a parent');
  await fails(Exception.BAD_VERSION, zk.remove(ephemeral, 5), 'remove of another version');
  await zk.remove(ephemeral, 0);
  same(null, (await zk.exists(ephemeral)) ?? null, 'removed');
  same(root + '/a/b/c', await zk.mkdirp(root + '/a/b/c'), 'mkdirp');
}

async function tourWatches(zk, other) {
  const path = root + '/w';
  const heard = new Heard();
  const event = async () => {
    const got = await heard.next();
    return got && [got.getType(), got.getPath()];
  };
  same(null, (await zk.exists(path, heard.tell)) ?? null, 'exists of nothing');
  await other.create(path);
  same([Event.NODE_CREATED, path], await event(), 'created');
  await zk.getData(path, heard.tell);
  await zk.getChildren(path, heard.tell);
  await other.setData(path, Buffer.from('y'));
  same([Event.NODE_DATA_CHANGED, path], await event(), 'data changed');
  await other.setData(path, Buffer.from('y'));
  await other.create(path + '/k');
  same([Event.NODE_CHILDREN_CHANGED, path], await event(), 'children changed, and watches fire once');
  await zk.exists(path + '/k', heard.tell);
  await other.remove(path + '/k');
  same([Event.NODE_DELETED, path + '/k'], await event(), 'deleted');
  await zk.exists(path);
  same(0, heard.count, 'nothing more heard');
}

async function tourAcl(other) {
  const path = root + '/acl';
  const zk = await Session.open();
  zk.client.addAuthInfo('digest', Buffer.from('owner:secret'));
  await zk.create(path, undefined, ACL.CREATOR_ALL_ACL);
  const [acls] = await zk.getACL(path);
  same([[Permission.ALL, 'digest', 'owner:Vj++wdU3sMAbt+g9TyKj1BT+usI=']],
    acls.map((acl) => [acl.permission, acl.id.scheme, acl.id.id]), 'auth became digest');
  await fails(Exception.NO_AUTH, other.getData(path), 'read by a stranger');
  await fails(Exception.NO_AUTH, other.getChildren(path), 'list by a stranger');
  await fails(Exception.NO_AUTH, other.setData(path, Buffer.from('y')), 'set by a stranger');
  if (release === '3.8') same(1, (await other.exists(path)).dataLength, 'stat by a stranger');
  else await fails(Exception.NO_AUTH, other.exists(path), 'stat by a stranger');
  const readable = [new ACL(Permission.READ, new Id('world', 'anyone'))];
  same(1, (await zk.setACL(path, readable, 0)).aversion, 'aversion');
  same('x', (await other.getData(path))[0].toString(), 'read by anyone');
  await fails(Exception.NO_AUTH, zk.setData(path, Buffer.from('y')), 'set by nobody');
  const unknown = [new ACL(Permission.ALL, new Id('nosuch', 'x'))];
  await fails(Exception.INVALID_ACL, zk.create(root + '/bad', undefined, unknown), 'unknown scheme');
  await zk.close();
}

async function tourTransactions(zk) {
  const path = root + '/t';
  const commit = (transaction) => new Promise((resolve, reject) => {
    transaction.commit((error, results) => (error ? reject(Object.assign(error, { results })) : resolve(results)));
  });
  const good = zk.client.transaction().create(path, Buffer.from('a')).setData(path, Buffer.from('b'), 0)
    .check(path, 1).create(path + '/k').remove(path + '/k', 0);
  same(5, (await commit(good)).length, 'results of a transaction');
  same('b', (await zk.getData(path))[0].toString(), 'its data');
  const bad = zk.client.transaction().setData(path, Buffer.from('lost')).check(path, 9).remove(path);
  await fails(Exception.BAD_VERSION, commit(bad), 'a failing transaction');
  same('b', (await zk.getData(path))[0].toString(), 'nothing of it happened');
}

async function tourSessions(zk) {
  const short = await Session.open({ sessionTimeout: 5000 });
  same(5000, short.client.getSessionTimeout(), 'timeout');
  const path = root + '/ephemeral';
  await short.create(path, undefined, undefined, CreateMode.EPHEMERAL);
  const heard = new Heard();
  await zk.exists(path, heard.tell);
  await short.close();
  same(Event.NODE_DELETED, (await heard.next())?.getType(), 'an ephemeral goes with its session');
  // Replies come in the order of the requests.
  const request = async (i) => {
    const stat = await (i % 2 ? zk.exists(root) : zk.setData(root, Buffer.from('y'), i / 2));
    return stat.version;
  };
  const versions = await Promise.all(Array.from({ length: 200 }, (_, i) => request(i)));
  same(Array.from({ length: 200 }, (_, i) => (i >> 1) + 1), versions, 'pipelined versions');
}

async function sweep(zk, path) {
  const [children] = await zk.getChildren(path);
  for (const child of children) await sweep(zk, `${path}/${child}`);
  await zk.remove(path);
}

const zk = await Session.open();
const other = await Session.open();
same(State.SYNC_CONNECTED, zk.client.getState(), 'state');
await zk.create(root);
for (const stop of [tourNodes, tourWatches, (_, other) => tourAcl(other), tourTransactions, tourSessions]) {
  try {
    await stop(zk, other);
  } catch (error) {
    failed++;
    console.log('FAIL a stop of the tour ended early:', error);
  }
}
await sweep(zk, root);
await other.close();
await zk.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
