"""A tour of the ZooKeeper client API and its recipes by the Python client (PyPI's kazoo).

  tour.py HOST:PORT [3.8|3.9]

Prints every check that fails and, last, "N passed, M failed"; exits 0 only if none failed. Everything it creates
lies under /tour-kazoo-<pid>, which is the chroot of its clients.
"""
import collections
import contextlib
import logging
import os
import queue
import sys
import threading
import traceback

from kazoo import exceptions as errors
from kazoo.client import KazooClient, KazooState
from kazoo.recipe.barrier import Barrier, DoubleBarrier
from kazoo.recipe.cache import TreeCache
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

WAIT = 15
tally = collections.Counter()


def same(want, got, what):
    if want == got:
        tally["passed"] += 1
        return
    tally["failed"] += 1
    line = next(frame.lineno for frame in reversed(traceback.extract_stack()) if frame.name.startswith("tour_"))
    print(f"FAIL kazoo tour.py:{line} {what}: want {want!r}, got {got!r}")


@contextlib.contextmanager
def fails(error):
    try:
        yield
        same(error.__name__, "success", "error")
    except errors.ZookeeperError as got:
        same(error.__name__, type(got).__name__, "error")


class Tour:
    def __init__(self, hosts, release):
        self.hosts, self.release = hosts, release
        self.root = f"/tour-kazoo-{os.getpid()}"
        self.clients = []

    def join(self, **options):
        client = KazooClient(hosts=self.hosts + self.root, timeout=10, **options)
        client.start(timeout=WAIT)
        self.clients.append(client)
        return client

    def run(self):
        outside = KazooClient(hosts=self.hosts, timeout=10)
        outside.start(timeout=WAIT)
        outside.create(self.root)
        zk, other = self.join(), self.join()
        for name in [name for name in vars(Tour) if name.startswith("tour_")]:
            try:
                getattr(self, name)(zk, other)
            except Exception:
                tally["failed"] += 1
                print(f"FAIL {name} ended early")
                traceback.print_exc(file=sys.stdout)
        for client in self.clients:
            client.stop()
            client.close()
        outside.delete(self.root, recursive=True)
        outside.stop()
        outside.close()

    def tour_nodes(self, zk, other):
        same("/n", zk.create("/n", b"one"), "create")
        with fails(errors.NodeExistsError):
            zk.create("/n")
        with fails(errors.NoNodeError):
            zk.create("/none/k")
        same("/a/b/c", zk.create("/a/b/c", makepath=True), "create with its parents")
        path, stat = zk.create("/n/k", b"12345", include_data=True)
        same(("/n/k", 5, 0), (path, stat.data_length, stat.version), "create with a stat")
        same("/n/s0000000001", zk.create("/n/s", sequence=True), "sequence")
        path = zk.create("/n/e", ephemeral=True, sequence=True)
        same("/n/e0000000002", path, "ephemeral sequence")
        same(zk.client_id[0], zk.exists(path).owner_session_id, "owner of an ephemeral")
        with fails(errors.NoChildrenForEphemeralsError):
            zk.create(path + "/k")
        data, stat = zk.get("/n")
        same((b"one", 0, 3, 3, None),
             (data, stat.version, stat.cversion, stat.children_count, stat.owner_session_id), "get")
        same(1, zk.set("/n", b"two", version=0).version, "version after a set")
        with fails(errors.BadVersionError):
            zk.set("/n", b"no", version=0)
        names, stat = zk.get_children("/n", include_data=True)
        same(["e0000000002", "k", "s0000000001"], sorted(names), "children")
        with fails(errors.NotEmptyError):
            zk.delete("/n")
        with fails(errors.BadVersionError):
            zk.delete("/n/k", version=3)
        zk.delete("/n/k", version=0)
        same(None, zk.exists("/n/k"), "deleted")
        same("/n", zk.sync("/n"), "sync")
        zk.delete("/a", recursive=True)
        same(None, zk.exists("/a"), "deleted with all below")

    def tour_pipelining(self, zk, other):
        zk.create("/pipe")
        replies = [(zk.set_async("/pipe", b"%d" % i, version=i), zk.get_async("/pipe")) for i in range(300)]
        seen = [(wrote.get(WAIT).version, read.get(WAIT)[0]) for wrote, read in replies]
        same([(i + 1, b"%d" % i) for i in range(300)], seen, "each read sees the write before it")

    def tour_watches(self, zk, other):
        heard = queue.Queue()
        same(None, zk.exists("/w", watch=heard.put), "exists of nothing")
        other.create("/w")
        same(("CREATED", "/w"), heard.get(timeout=WAIT)[0::2], "created")
        zk.get("/w", watch=heard.put)
        zk.get_children("/w", watch=heard.put)
        other.create("/w/k")
        same(("CHILD", "/w"), heard.get(timeout=WAIT)[0::2], "children changed")
        other.set("/w", b"x")
        other.set("/w", b"y")
        same(("CHANGED", "/w"), heard.get(timeout=WAIT)[0::2], "data changed")
        zk.sync("/")
        same(True, heard.empty(), "watches fire once")

        datas, lists = queue.Queue(), queue.Queue()
        zk.DataWatch("/w", lambda data, stat: datas.put(data))
        zk.ChildrenWatch("/w", lambda names: lists.put(sorted(names)))
        same((b"y", ["k"]), (datas.get(timeout=WAIT), lists.get(timeout=WAIT)), "first calls")
        for value in (b"1", b"2"):
            other.set("/w", value)
            same(value, datas.get(timeout=WAIT), "DataWatch")
        other.create("/w/l")
        same(["k", "l"], lists.get(timeout=WAIT), "ChildrenWatch")
        other.delete("/w", recursive=True)
        same(None, datas.get(timeout=WAIT), "DataWatch of a deleted node")

    def tour_acl(self, zk, other):
        owner = self.join()
        with fails(errors.InvalidACLError):
            owner.create("/acl", acl=[make_acl("auth", "", all=True)])
        owner.add_auth("digest", "owner:secret")
        owner.create("/acl", b"s", acl=[make_digest_acl("owner", "secret", all=True)])
        acls, stat = owner.get_acls("/acl")
        same(("digest", "owner:Vj++wdU3sMAbt+g9TyKj1BT+usI="), tuple(acls[0].id), "digest")
        for attempt in (
            lambda: other.get("/acl"), lambda: other.get_children("/acl"), lambda: other.set("/acl", b""),
            lambda: other.create("/acl/k"), lambda: other.set_acls("/acl", OPEN_ACL_UNSAFE),
        ):
            with fails(errors.NoAuthError):
                attempt()
        if self.release == "3.8":
            same(1, other.exists("/acl").data_length, "stat by a stranger")
        else:
            with fails(errors.NoAuthError):
                other.exists("/acl")
        with fails(errors.BadVersionError):
            owner.set_acls("/acl", OPEN_ACL_UNSAFE, version=4)
        same(1, owner.set_acls("/acl", OPEN_ACL_UNSAFE, version=0).acl_version, "aversion")
        same(b"s", other.get("/acl")[0], "open to all")
        private = [make_digest_acl("owner", "secret", all=True)]
        known = self.join(auth_data=[("digest", "owner:secret")], default_acl=private)
        known.create("/private")
        with fails(errors.NoAuthError):
            other.get("/private")
        known.delete("/private")

    def tour_transactions(self, zk, other):
        good = zk.transaction()
        good.create("/t", b"a")
        good.create("/t/k", ephemeral=True)
        good.check("/t", 0)
        good.set_data("/t", b"b", version=0)
        good.delete("/t/k")
        results = good.commit()
        same(("/t", "/t/k", True, 1, True), (*results[:3], results[3].version, results[4]), "results")
        bad = zk.transaction()
        bad.set_data("/t", b"lost")
        bad.check("/t", 9)
        bad.delete("/t")
        same([errors.RolledBackError, errors.BadVersionError, errors.RuntimeInconsistency],
             [type(result) for result in bad.commit()], "results of a failing one")
        same(b"b", zk.get("/t")[0], "nothing of it happened")

    def tour_lock_and_election(self, zk, other):
        mine, hers = zk.Lock("/lock", "me"), other.Lock("/lock", "her")
        same(True, mine.acquire(timeout=WAIT), "lock")
        same(False, hers.acquire(blocking=False), "taken")
        got = queue.Queue()
        waiter = threading.Thread(target=lambda: got.put(hers.acquire(timeout=WAIT)))
        waiter.start()
        added = threading.Event()
        zk.ChildrenWatch("/lock", lambda names: added.set() if len(names) == 2 else None)
        same(True, added.wait(WAIT), "a contender in line")
        same(["me", "her"], mine.contenders(), "contenders")
        mine.release()
        same(True, got.get(timeout=WAIT), "passed on")
        waiter.join()
        hers.release()

        order, done = [], [threading.Event(), threading.Event()]
        hold = threading.Event()

        def lead(name, wait, finished):
            order.append(name)
            wait.wait(WAIT)
            finished.set()

        first, second = zk.Election("/election", "1"), other.Election("/election", "2")
        one = threading.Thread(target=first.run, args=(lead, "1", hold, done[0]))
        one.start()
        leading = threading.Event()
        zk.ensure_path("/election")
        zk.ChildrenWatch("/election", lambda names: leading.set() if len(names) >= 1 else None)
        same(True, leading.wait(WAIT), "one stands")
        two = threading.Thread(target=second.run, args=(lead, "2", hold, done[1]))
        two.start()
        hold.set()
        same([True, True], [event.wait(WAIT) for event in done], "both led")
        one.join()
        two.join()
        same(["1", "2"], order, "in their order")

        semaphore = zk.Semaphore("/semaphore", max_leases=1)
        with semaphore:
            same(False, other.Semaphore("/semaphore", max_leases=1).acquire(blocking=False), "no lease left")

    def tour_queues(self, zk, other):
        line = zk.Queue("/queue")
        for item, priority in ((b"2", 100), (b"3", 100), (b"1", 50)):
            line.put(item, priority)
        theirs = other.Queue("/queue")
        same([b"1", b"2", b"3", None], [theirs.get() for _ in range(4)], "by priority, then order")
        locked, taker = zk.LockingQueue("/locking"), other.LockingQueue("/locking")
        locked.put_all([b"a", b"b"])
        same(b"a", taker.get(timeout=WAIT), "taken")
        same(b"b", locked.get(timeout=WAIT), "the next for the other")
        same((True, True), (taker.consume(), locked.consume()), "consumed")
        same(0, len(locked), "empty")

    def tour_barrier_counter_party(self, zk, other):
        barrier = Barrier(zk, "/barrier")
        barrier.create()
        same(False, Barrier(other, "/barrier").wait(timeout=0), "barred")
        passed = queue.Queue()
        waiter = threading.Thread(target=lambda: passed.put(Barrier(other, "/barrier").wait(timeout=WAIT)))
        waiter.start()
        barrier.remove()
        same(True, passed.get(timeout=WAIT), "open")
        waiter.join()
        entered = queue.Queue()

        def through(client):
            double = DoubleBarrier(client, "/double", 2)
            double.enter()
            entered.put(True)
            double.leave()
            entered.put(False)

        pair = [threading.Thread(target=through, args=(client,)) for client in (zk, other)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join(WAIT)
        told = [entered.get(timeout=WAIT) for _ in range(4)]
        same([True, True, False, False], told, "nobody leaves before both are in")

        def count(client):
            counter = client.Counter("/counter")
            for _ in range(20):
                counter += 1

        pair = [threading.Thread(target=count, args=(client,)) for client in (zk, other)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join(WAIT)
        same(40, zk.Counter("/counter").value, "counted by two")
        here, there = zk.Party("/party", "me"), other.Party("/party", "her")
        here.join()
        there.join()
        same(["her", "me"], sorted(here), "a party")
        there.leave()
        same(["me"], list(here), "and who stays")

    def tour_cache_and_partitioner(self, zk, other):
        zk.ensure_path("/cache/a")
        cache, events = TreeCache(zk, "/cache"), queue.Queue()
        cache.listen(lambda event: events.put(event))
        cache.start()
        seen = set()
        while ("INITIALIZED", None) not in seen:
            seen.add(self.event_of(events))
        same(True, {("NODE_ADDED", "/cache"), ("NODE_ADDED", "/cache/a")} <= seen, "cached")
        other.set("/cache/a", b"x")
        same(("NODE_UPDATED", "/cache/a"), self.event_of(events), "cache heard a set")
        other.delete("/cache/a")
        same(("NODE_REMOVED", "/cache/a"), self.event_of(events), "cache heard a delete")
        cache.close()
        partitioner = zk.SetPartitioner("/parts", set=("1", "2", "3"), time_boundary=0.1)
        partitioner.wait_for_acquire(WAIT)
        same(["1", "2", "3"], sorted(partitioner), "all partitions for the only one")
        partitioner.finish()

    @staticmethod
    def event_of(events):
        names = ("NODE_ADDED", "NODE_UPDATED", "NODE_REMOVED", "CONNECTION_SUSPENDED", "CONNECTION_RECONNECTED",
                 "CONNECTION_LOST", "INITIALIZED")
        event = events.get(timeout=WAIT)
        return names[event.event_type], event.event_data.path if event.event_data else None

    def tour_sessions(self, zk, other):
        first = self.join()
        session = first.client_id
        first.create("/mine", ephemeral=True)
        states = queue.Queue()
        first.add_listener(states.put)
        heir = self.join(client_id=session)
        same(session[0], heir.client_id[0], "a session taken over")
        gone = threading.Event()
        zk.exists("/mine", watch=lambda event: gone.set())
        heir.stop()
        same(True, gone.wait(WAIT), "its ephemeral goes with it")
        seen = []
        while KazooState.LOST not in seen:
            seen.append(states.get(timeout=WAIT))
        same(KazooState.LOST, seen[-1], "the first owner learns of it")

    def tour_words(self, zk, other):
        same("imok", zk.command(b"ruok"), "ruok")
        same(True, zk.command(b"srvr").startswith("Zookeeper version: "), "srvr")
        same(True, len(zk.server_version()) == 3, "a version of three numbers")


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit("usage: tour.py HOST:PORT [3.8|3.9]")
    logging.disable()  # the client warns of the connection that a stop of the tour takes from it
    Tour(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "3.9").run()
    print(f"{tally['passed']} passed, {tally['failed']} failed")
    sys.exit(1 if tally["failed"] else 0)


if __name__ == "__main__":
    main()
