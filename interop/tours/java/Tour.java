// A tour of the ZooKeeper client API by the Java client.
//
//   java -cp ZOOKEEPER_JARS Tour.java HOST:PORT [3.8|3.9]
//
// Prints every check that fails and, last, "N passed, M failed"; exits 0 only if none failed. Everything it
// creates lies under /tour-java-<time>. It expects a server with the defaults: tickTime 2000, no TTL nodes, no
// reconfiguration, quotas that only warn.

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Quotas;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.cli.DelQuotaCommand;
import org.apache.zookeeper.cli.SetQuotaCommand;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

public class Tour {
    static final int TIMEOUT_MS = 10_000;
    static final int WAIT_S = 15;

    static String hosts;
    static boolean before39;
    static String root = "/tour-java-" + System.currentTimeMillis();
    static int passed;
    static int failed;

    // ---- checks

    static void same(Object want, Object got, String what) {
        if (Objects.equals(want, got)) {
            passed++;
            return;
        }
        failed++;
        StackTraceElement line = Arrays.stream(new Throwable().getStackTrace())
            .filter(frame -> frame.getMethodName().startsWith("tour")).findFirst().orElseThrow();
        System.out.printf("FAIL Tour.java:%d %s: want %s, got %s%n", line.getLineNumber(), what, want, got);
    }

    static void check(boolean ok, String what) {
        same(true, ok, what);
    }

    interface Call {
        void run() throws Exception;
    }

    static void fails(Code want, Call call) throws Exception {
        try {
            call.run();
            same(want, Code.OK, "error");
        } catch (KeeperException e) {
            same(want, e.code(), "error");
        }
    }

    // ---- what is used by the stops

    /** A watcher that keeps what it hears: session states apart from watch events. */
    static class Ear implements Watcher {
        final BlockingQueue<String> events = new LinkedBlockingQueue<>();
        final BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == EventType.None) {
                states.add(event.getState());
            } else {
                events.add(event.getType() + " " + event.getPath());
            }
        }

        void hears(EventType type, String path) throws Exception {
            same(type + " " + path, events.poll(WAIT_S, TimeUnit.SECONDS), "event");
        }

        void comesTo(KeeperState want) throws Exception {
            KeeperState got;
            do {
                got = states.poll(WAIT_S, TimeUnit.SECONDS);
            } while (got != null && got != want);
            same(want, got, "state");
        }

        /** A sync behind the change, answered, means that its event would have been here. */
        void hearsNothingMore(ZooKeeper zk) throws Exception {
            sync(zk);
            same(null, events.poll(), "event after the last");
        }
    }

    /** A relay to the server whose connections the tour cuts. */
    static class Relay implements AutoCloseable {
        final ServerSocket listener = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
        final List<Socket> sockets = new ArrayList<>();
        boolean open = true;

        Relay() throws IOException {
            start(this::accept);
        }

        String address() {
            return "127.0.0.1:" + listener.getLocalPort();
        }

        void accept() throws IOException {
            String[] target = hosts.split(":");
            while (!listener.isClosed()) {
                Socket client = listener.accept();
                synchronized (this) {
                    if (!open) {
                        client.close();
                        continue;
                    }
                    Socket server = new Socket(target[0], Integer.parseInt(target[1]));
                    sockets.add(client);
                    sockets.add(server);
                    start(() -> copy(client, server));
                    start(() -> copy(server, client));
                }
            }
        }

        static void copy(Socket from, Socket to) throws IOException {
            try (from; to; InputStream in = from.getInputStream(); OutputStream out = to.getOutputStream()) {
                in.transferTo(out);
            }
        }

        interface Work {
            void run() throws IOException;
        }

        static void start(Work work) {
            Thread thread = new Thread(() -> {
                try {
                    work.run();
                } catch (IOException cut) {
                    // A cut connection is what this relay is for.
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        synchronized void cut() throws IOException {
            open = false;
            for (Socket socket : sockets) {
                socket.close();
            }
            sockets.clear();
        }

        synchronized void mend() {
            open = true;
        }

        @Override
        public void close() throws IOException {
            cut();
            listener.close();
        }
    }

    static ZooKeeper join(String address, Ear ear) throws Exception {
        ZooKeeper zk = new ZooKeeper(address, TIMEOUT_MS, ear);
        ear.comesTo(KeeperState.SyncConnected);
        return zk;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String at(String name) {
        return root + "/" + name;
    }

    static String make(ZooKeeper zk, String path) throws Exception {
        return zk.create(path, bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    static void sync(ZooKeeper zk) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        zk.sync("/", (rc, path, ctx) -> done.countDown(), null);
        check(done.await(WAIT_S, TimeUnit.SECONDS), "sync answered");
    }

    // ---- the stops

    static void tourNodes(ZooKeeper zk) throws Exception {
        make(zk, at("n"));
        fails(Code.NODEEXISTS, () -> make(zk, at("n")));
        fails(Code.NONODE, () -> make(zk, at("no/parent")));
        same(null, zk.exists(at("none"), false), "exists of nothing");
        Stat stat = new Stat();
        same(at("n/c"), zk.create(at("n/c"), null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER, stat), "container");
        same(0L, stat.getEphemeralOwner(), "owner of a container");
        same(at("n/s0000000001"),
            zk.create(at("n/s"), null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL), "sequence");
        zk.create(at("n/e"), null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, stat);
        same(zk.getSessionId(), stat.getEphemeralOwner(), "owner of an ephemeral");
        fails(Code.NOCHILDRENFOREPHEMERALS, () -> make(zk, at("n/e/k")));
        fails(Code.UNIMPLEMENTED,
            () -> zk.create(at("n/t"), null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 5000));
        same(null, zk.getData(at("n/e"), false, stat), "null data");
        same(1, zk.setData(at("n"), bytes("two"), 0).getVersion(), "version");
        fails(Code.BADVERSION, () -> zk.setData(at("n"), bytes("x"), 0));
        same("two", new String(zk.getData(at("n"), false, stat), StandardCharsets.UTF_8), "data");
        same(List.of("c", "e", "s0000000001"), List.copyOf(new TreeSet<>(zk.getChildren(at("n"), false, stat))),
            "children");
        same(3, stat.getNumChildren(), "numChildren");
        make(zk, at("n/c/deep"));
        same(4, zk.getAllChildrenNumber(at("n")), "getAllChildrenNumber");
        fails(Code.NONODE, () -> zk.getAllChildrenNumber(at("none")));
        same(List.of(at("n/e")), zk.getEphemerals(), "getEphemerals");
        same(List.of(at("n/e")), zk.getEphemerals(at("n")), "getEphemerals of a prefix");
        same(List.of(), zk.getEphemerals(at("other")), "getEphemerals of another prefix");
        fails(Code.NOTEMPTY, () -> zk.delete(at("n"), -1));
        fails(Code.BADVERSION, () -> zk.delete(at("n/e"), 3));
        fails(Code.NONODE, () -> zk.delete(at("none"), -1));
        fails(Code.BADARGUMENTS, () -> zk.delete("/", -1));
        zk.delete(at("n/e"), 0);
    }

    static void tourMulti(ZooKeeper zk) throws Exception {
        List<OpResult> results = zk.multi(List.of(
            Op.create(at("m"), bytes("a"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.create(at("m/s"), bytes("b"), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
            Op.setData(at("m"), bytes("c"), 0), Op.check(at("m"), 1), Op.delete(at("m/s0000000000"), 0)));
        same(at("m/s0000000000"), ((OpResult.CreateResult) results.get(1)).getPath(), "created in a multi");
        same(1, ((OpResult.SetDataResult) results.get(2)).getStat().getVersion(), "set in a multi");
        try {
            zk.multi(List.of(Op.setData(at("m"), bytes("lost"), 1), Op.check(at("m"), 1), Op.delete(at("m"), -1)));
            check(false, "a failing multi fails");
        } catch (KeeperException e) {
            same(Code.BADVERSION, e.code(), "error of the multi");
            List<Integer> codes = new ArrayList<>();
            e.getResults().forEach(r -> codes.add(((OpResult.ErrorResult) r).getErr()));
            same(List.of(0, Code.BADVERSION.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()), codes, "its results");
        }
        same("c", new String(zk.getData(at("m"), false, null), StandardCharsets.UTF_8), "nothing of it happened");
        results = zk.transaction().check(at("m"), 1).delete(at("m"), 1).commit();
        same(2, results.size(), "results of a transaction");
        same(null, zk.exists(at("m"), false), "deleted by a transaction");
        results = zk.multi(List.of(Op.getData(at("n")), Op.getData(at("none")), Op.getChildren(at("n"))));
        byte[] read = ((OpResult.GetDataResult) results.get(0)).getData();
        same("two", new String(read, StandardCharsets.UTF_8), "multi read");
        same(Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(1)).getErr(), "a read of nothing");
        same(2, ((OpResult.GetChildrenResult) results.get(2)).getChildren().size(), "the reads behind it go on");
    }

    static void tourPersistentWatches(ZooKeeper zk, ZooKeeper other, Ear ear) throws Exception {
        make(zk, at("p"));
        zk.addWatch(at("p"), ear, AddWatchMode.PERSISTENT);
        for (int i = 0; i < 2; i++) {
            other.setData(at("p"), null, -1);
            ear.hears(EventType.NodeDataChanged, at("p"));
        }
        make(other, at("p/k"));
        ear.hears(EventType.NodeChildrenChanged, at("p"));
        other.setData(at("p/k"), null, -1);
        ear.hearsNothingMore(zk);
        zk.removeWatches(at("p"), ear, Watcher.WatcherType.Any, false);
        ear.hears(EventType.PersistentWatchRemoved, at("p"));
        fails(Code.NOWATCHER, () -> zk.removeWatches(at("p"), ear, Watcher.WatcherType.Any, false));

        zk.addWatch(at("p"), ear, AddWatchMode.PERSISTENT_RECURSIVE);
        other.setData(at("p/k"), null, -1);
        ear.hears(EventType.NodeDataChanged, at("p/k"));
        make(other, at("p/k/deep"));
        ear.hears(EventType.NodeCreated, at("p/k/deep"));
        other.delete(at("p/k/deep"), -1);
        ear.hears(EventType.NodeDeleted, at("p/k/deep"));
        other.setData(at("p"), null, -1);
        ear.hears(EventType.NodeDataChanged, at("p"));
        ear.hearsNothingMore(zk);
        zk.removeAllWatches(at("p"), Watcher.WatcherType.Any, false);
        ear.hears(EventType.PersistentWatchRemoved, at("p"));
        other.setData(at("p/k"), null, -1);
        ear.hearsNothingMore(zk);
    }

    static void tourOneShotWatches(ZooKeeper zk, ZooKeeper other, Ear ear) throws Exception {
        zk.exists(at("o"), ear);
        make(other, at("o"));
        ear.hears(EventType.NodeCreated, at("o"));
        zk.getData(at("o"), ear, null);
        zk.getChildren(at("o"), ear);
        make(other, at("o/k"));
        ear.hears(EventType.NodeChildrenChanged, at("o"));
        other.setData(at("o"), null, -1);
        other.setData(at("o"), null, -1);
        ear.hears(EventType.NodeDataChanged, at("o"));
        ear.hearsNothingMore(zk);
        zk.getData(at("o"), ear, null);
        zk.getChildren(at("o"), ear);
        zk.removeWatches(at("o"), ear, Watcher.WatcherType.Children, false);
        ear.hears(EventType.ChildWatchRemoved, at("o"));
        zk.removeWatches(at("o"), ear, Watcher.WatcherType.Data, false);
        ear.hears(EventType.DataWatchRemoved, at("o"));
        // The event leaves before the reply of the write that caused it, also on the writer's own connection.
        zk.getData(at("o"), ear, null);
        BlockingQueue<String> before = new LinkedBlockingQueue<>();
        zk.setData(at("o"), null, -1, (rc, path, ctx, stat) -> before.add(String.valueOf(ear.events.peek())), null);
        same("NodeDataChanged " + at("o"), before.poll(WAIT_S, TimeUnit.SECONDS), "heard before the reply");
        ear.hears(EventType.NodeDataChanged, at("o"));
    }

    /** What changed while the connection was down is told on return; what did not change stays watched. */
    static void tourReconnect(ZooKeeper other) throws Exception {
        Ear ear = new Ear();
        for (String name : List.of("r", "r/data", "r/gone", "r/kids", "r/kids/old", "r/kept", "r/tree")) {
            make(other, at(name));
        }
        try (Relay relay = new Relay()) {
            ZooKeeper zk = join(relay.address(), ear);
            long session = zk.getSessionId();
            zk.getData(at("r/data"), ear, null);
            zk.getData(at("r/kept"), ear, null);
            zk.exists(at("r/gone"), ear);
            zk.exists(at("r/born"), ear);
            zk.getChildren(at("r/kids"), ear);
            zk.addWatch(at("r/tree"), ear, AddWatchMode.PERSISTENT_RECURSIVE);
            relay.cut();
            ear.comesTo(KeeperState.Disconnected);
            other.setData(at("r/data"), null, -1);
            other.delete(at("r/gone"), -1);
            make(other, at("r/born"));
            make(other, at("r/kids/new"));
            make(other, at("r/tree/missed"));
            relay.mend();
            ear.comesTo(KeeperState.SyncConnected);
            same(session, zk.getSessionId(), "session after a reconnect");
            sync(zk);
            TreeSet<String> heard = new TreeSet<>();
            ear.events.drainTo(heard);
            same(new TreeSet<>(List.of("NodeDataChanged " + at("r/data"), "NodeDeleted " + at("r/gone"),
                "NodeCreated " + at("r/born"), "NodeChildrenChanged " + at("r/kids"))), heard, "told on return");
            other.setData(at("r/kept"), null, -1);
            ear.hears(EventType.NodeDataChanged, at("r/kept"));
            make(other, at("r/tree/seen"));
            ear.hears(EventType.NodeCreated, at("r/tree/seen"));
            other.setData(at("r/tree/missed"), null, -1);
            ear.hears(EventType.NodeDataChanged, at("r/tree/missed"));
            ear.hearsNothingMore(zk);
            zk.close();
        }
    }

    /** The stat of the root, through one lost connection if need be. */
    static Stat settled(ZooKeeper zk) throws Exception {
        try {
            return zk.exists("/", false);
        } catch (KeeperException.ConnectionLossException once) {
            return zk.exists("/", false);
        }
    }

    static void tourSessions(ZooKeeper zk) throws Exception {
        Ear first = new Ear();
        Ear second = new Ear();
        ZooKeeper one = join(hosts, first);
        one.create(at("mine"), null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        one.addWatch(at("mine"), first, AddWatchMode.PERSISTENT);
        ZooKeeper two = new ZooKeeper(hosts, TIMEOUT_MS, second, one.getSessionId(), one.getSessionPasswd());
        second.comesTo(KeeperState.SyncConnected);
        same(one.getSessionId(), two.getSessionId(), "a session taken over");
        two.close();
        first.comesTo(KeeperState.Expired);
        same(null, zk.exists(at("mine"), false), "ephemeral of a closed session");
        fails(Code.SESSIONEXPIRED, () -> one.exists("/", false));
        one.close();
        Ear forger = new Ear();
        ZooKeeper forged = new ZooKeeper(hosts, TIMEOUT_MS, forger, zk.getSessionId(), new byte[16]);
        forger.comesTo(KeeperState.Expired);
        forged.close();
        check(settled(zk) != null, "a forged password costs the owner its connection at most");
        for (int[] row : new int[][] {{1000, 4000}, {9000, 9000}, {3_600_000, 40_000}}) {
            Ear ear = new Ear();
            ZooKeeper timed = new ZooKeeper(hosts, row[0], ear);
            ear.comesTo(KeeperState.SyncConnected);
            same(row[1], timed.getSessionTimeout(), "timeout asked as " + row[0]);
            timed.close();
        }
    }

    static void tourAcl(ZooKeeper other) throws Exception {
        ZooKeeper zk = join(hosts, new Ear());
        fails(Code.INVALIDACL, () -> zk.create(at("a"), null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        fails(Code.INVALIDACL, () -> zk.create(at("a"), null, new ArrayList<>(), CreateMode.PERSISTENT));
        ACL unknown = new ACL(ZooDefs.Perms.ALL, new Id("nosuch", "x"));
        fails(Code.INVALIDACL, () -> zk.create(at("a"), null, Arrays.asList(unknown), CreateMode.PERSISTENT));
        zk.addAuthInfo("digest", bytes("owner:secret"));
        zk.create(at("a"), bytes("s"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Stat stat = new Stat();
        Id owner = new Id("digest", "owner:Vj++wdU3sMAbt+g9TyKj1BT+usI=");
        same(List.of(new ACL(ZooDefs.Perms.ALL, owner)), zk.getACL(at("a"), stat), "auth became digest");
        fails(Code.NOAUTH, () -> other.getData(at("a"), false, null));
        fails(Code.NOAUTH, () -> other.getChildren(at("a"), false));
        fails(Code.NOAUTH, () -> other.setACL(at("a"), Ids.OPEN_ACL_UNSAFE, -1));
        fails(before39 ? Code.OK : Code.NOAUTH, () -> other.exists(at("a"), false));
        fails(Code.NOAUTH, () -> other.getACL(at("a"), new Stat()));
        List<ACL> ip = Arrays.asList(new ACL(ZooDefs.Perms.READ, new Id("ip", "127.0.0.0/8")),
            new ACL(ZooDefs.Perms.ADMIN | ZooDefs.Perms.DELETE, owner));
        same(1, zk.setACL(at("a"), ip, 0).getAversion(), "aversion");
        fails(Code.BADVERSION, () -> zk.setACL(at("a"), ip, 0));
        same("s", new String(other.getData(at("a"), false, null), StandardCharsets.UTF_8), "read by address");
        fails(Code.NOAUTH, () -> other.setData(at("a"), null, -1));
        // Who may read the list but neither write it nor the node sees no digests.
        List<ACL> seen = other.getACL(at("a"), new Stat());
        same(new Id("digest", "owner:x"), seen.get(1).getId(), "digest as a stranger sees it");
        fails(Code.NOAUTH, () -> make(zk, at("a/k")));
        List<String> who = new ArrayList<>();
        for (ClientInfo info : zk.whoAmI()) {
            who.add(info.getAuthScheme() + " " + info.getUser());
        }
        same(List.of("digest owner", "ip 127.0.0.1"), List.copyOf(new TreeSet<>(who)), "whoAmI");
        zk.delete(at("a"), -1);
        zk.close();
        Ear ear = new Ear();
        ZooKeeper bad = join(hosts, ear);
        bad.addAuthInfo("nosuch", bytes("x"));
        ear.comesTo(KeeperState.AuthFailed);
        bad.close();
    }

    static StatsTrack used(ZooKeeper zk, String path) throws Exception {
        return new StatsTrack(zk.getData(Quotas.statPath(path), false, null));
    }

    static void tourQuota(ZooKeeper zk) throws Exception {
        String path = at("q");
        zk.create(path, bytes("12345"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        StatsTrack limit = new StatsTrack();
        limit.setCount(2);
        limit.setBytes(100);
        check(SetQuotaCommand.createQuota(zk, path, limit), "quota set");
        same(1L, used(zk, path).getCount(), "nodes under the quota");
        same(5L, used(zk, path).getBytes(), "bytes under the quota");
        zk.create(path + "/k", bytes("123"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        make(zk, path + "/l");
        zk.setData(path + "/k", bytes("1234567"), -1);
        same(3L, used(zk, path).getCount(), "nodes, one more than the soft limit");
        same(13L, used(zk, path).getBytes(), "bytes after a set");
        zk.delete(path + "/k", -1);
        same(2L, used(zk, path).getCount(), "nodes after a delete");
        same(6L, used(zk, path).getBytes(), "bytes after a delete");
        check(zk.exists(Quotas.limitPath(path), false) != null, "limits are a node");
        check(DelQuotaCommand.delQuota(zk, path, null), "quota deleted");
        same(null, zk.exists(Quotas.limitPath(path), false), "limits are gone");
    }

    static void tourRest(ZooKeeper zk) throws Exception {
        String config = new String(zk.getConfig(false, new Stat()), StandardCharsets.UTF_8);
        check(config.isEmpty() || config.contains("version="), "config: " + config);
        ZooKeeperAdmin admin = new ZooKeeperAdmin(hosts, TIMEOUT_MS, event -> { });
        fails(Code.RECONFIGDISABLED, () -> admin.reconfigure("", "9", "", -1, new Stat()));
        admin.close();
        Ear ear = new Ear();
        ZooKeeper rooted = join(hosts + at("n"), ear);
        rooted.addWatch("/chroot", ear, AddWatchMode.PERSISTENT);
        same("/chroot", make(rooted, "/chroot"), "path under a chroot");
        ear.hears(EventType.NodeCreated, "/chroot");
        check(zk.exists(at("n/chroot"), false) != null, "made under the chroot");
        rooted.close();
        make(zk, at("big"));
        byte[] most = new byte[1024 * 1024 - 200];
        zk.setData(at("big"), most, -1);
        same(most.length, zk.exists(at("big"), false).getDataLength(), "nearly 1 MiB of data");
        ZooKeeper greedy = join(hosts, new Ear());
        fails(Code.CONNECTIONLOSS, () -> greedy.setData(at("big"), new byte[1024 * 1024], -1));
        greedy.close();
        same(1, zk.exists(at("big"), false).getVersion(), "a frame that is too long changes nothing");
    }

    static void sweep(ZooKeeper zk, String path) throws Exception {
        for (String child : zk.getChildren(path, false)) {
            sweep(zk, path + "/" + child);
        }
        zk.delete(path, -1);
    }

    public static void main(String[] args) throws Exception {
        hosts = args[0];
        before39 = args.length > 1 && args[1].equals("3.8");
        Ear ear = new Ear();
        ZooKeeper zk = new ZooKeeper(hosts, TIMEOUT_MS, ear);
        ZooKeeper other = new ZooKeeper(hosts, TIMEOUT_MS, new Ear());
        make(zk, root);
        List<Call> stops = List.of(() -> tourNodes(zk), () -> tourMulti(zk),
            () -> tourPersistentWatches(zk, other, ear), () -> tourOneShotWatches(zk, other, ear),
            () -> tourReconnect(other), () -> tourSessions(zk), () -> tourAcl(other), () -> tourQuota(zk),
            () -> tourRest(zk));
        for (Call stop : stops) {
            try {
                stop.run();
            } catch (Exception e) {
                failed++;
                System.out.println("FAIL a stop of the tour ended early: " + e);
                Arrays.stream(e.getStackTrace()).filter(frame -> frame.getClassName().equals("Tour"))
                    .forEach(frame -> System.out.println("     " + frame));
            }
        }
        sweep(zk, root);
        other.close();
        zk.close();
        System.out.printf("%d passed, %d failed%n", passed, failed);
        System.exit(failed == 0 ? 0 : 1);
    }
}
