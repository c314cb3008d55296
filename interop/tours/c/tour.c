/* A tour of the ZooKeeper client API by the C client (libzookeeper_mt).
 *
 * tour HOST:PORT [3.8|3.9]      which release to expect where they differ; 3.9 without
 *
 * Prints every check that fails and, last, "N passed, M failed"; exits 0 only if none failed. Everything it
 * creates lies under /tour-c-<pid>. The server under test has TTL nodes switched off (the default), so their
 * creation must be refused with ZUNIMPLEMENTED. */
#define THREADED
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { TIMEOUT_MS = 10000, WAIT_S = 10, PIPELINED = 1000, EVENTS_MAX = 64, PATH_MAX_BYTES = 256 };

static int passed, failed;

static void check_at(int line, int ok, const char *what, long got) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAIL tour.c:%d %s (got %ld: %s)\n", line, what, got, got <= 0 ? zerror((int)got) : "-");
}

/* CHECK compares nothing by itself; IS shows what came instead. */
#define CHECK(ok) check_at(__LINE__, (ok), #ok, 1)
#define IS(want, expr)                                                    \
    do {                                                                  \
        long got_ = (expr);                                               \
        check_at(__LINE__, got_ == (want), #expr " == " #want, got_);     \
    } while (0)

/* What a handle's watcher has heard: session states and watch events, in order. */
struct ear {
    pthread_mutex_t lock;
    pthread_cond_t heard;
    int state;
    int count, taken;
    struct { int type; char path[PATH_MAX_BYTES]; } events[EVENTS_MAX];
};

#define EAR { .lock = PTHREAD_MUTEX_INITIALIZER, .heard = PTHREAD_COND_INITIALIZER }

static void listen_up(zhandle_t *zh, int type, int state, const char *path, void *ctx) {
    struct ear *ear = ctx;
    (void)zh;
    pthread_mutex_lock(&ear->lock);
    if (type == ZOO_SESSION_EVENT) {
        ear->state = state;
    } else if (ear->count < EVENTS_MAX) {
        ear->events[ear->count].type = type;
        snprintf(ear->events[ear->count++].path, PATH_MAX_BYTES, "%s", path);
    }
    pthread_cond_broadcast(&ear->heard);
    pthread_mutex_unlock(&ear->lock);
}

static struct timespec deadline(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += WAIT_S;
    return at;
}

static int hears_state(struct ear *ear, int state) {
    struct timespec until = deadline();
    int rc = 0;
    pthread_mutex_lock(&ear->lock);
    while (ear->state != state && rc == 0) rc = pthread_cond_timedwait(&ear->heard, &ear->lock, &until);
    int ok = ear->state == state;
    pthread_mutex_unlock(&ear->lock);
    return ok;
}

/* The next watch event is `type` at `path`. */
static int hears(struct ear *ear, int type, const char *path) {
    struct timespec until = deadline();
    int rc = 0, ok = 0;
    pthread_mutex_lock(&ear->lock);
    while (ear->taken == ear->count && rc == 0) rc = pthread_cond_timedwait(&ear->heard, &ear->lock, &until);
    if (ear->taken < ear->count) {
        ok = ear->events[ear->taken].type == type && strcmp(ear->events[ear->taken].path, path) == 0;
        if (!ok) printf("     heard type %d at %s\n", ear->events[ear->taken].type, ear->events[ear->taken].path);
        ear->taken++;
    }
    pthread_mutex_unlock(&ear->lock);
    return ok;
}

static int heard_nothing_more(struct ear *ear) {
    pthread_mutex_lock(&ear->lock);
    int ok = ear->taken == ear->count;
    pthread_mutex_unlock(&ear->lock);
    return ok;
}

static const char *hosts;
static int before_3_9;
static char root[64];

static zhandle_t *join(struct ear *ear, const clientid_t *id) {
    zhandle_t *zh = zookeeper_init(hosts, listen_up, TIMEOUT_MS, id, ear, 0);
    if (!zh) {
        printf("FAIL zookeeper_init: %s\n", strerror(errno));
        exit(1);
    }
    return zh;
}

/* Paths under this run's root; four may be in use at once. */
static const char *at(const char *format, ...) {
    static char ring[4][PATH_MAX_BYTES];
    static int next;
    char *out = ring[next++ % 4];
    int n = snprintf(out, PATH_MAX_BYTES, "%s/", root);
    va_list args;
    va_start(args, format);
    vsnprintf(out + n, (size_t)(PATH_MAX_BYTES - n), format, args);
    va_end(args);
    return out;
}

static int make(zhandle_t *zh, const char *path, const char *data, int mode, char *name) {
    return zoo_create(zh, path, data, data ? (int)strlen(data) : -1, &ZOO_OPEN_ACL_UNSAFE, mode, name,
                      name ? PATH_MAX_BYTES : 0);
}

static void tour_create(zhandle_t *zh) {
    char name[PATH_MAX_BYTES], again[PATH_MAX_BYTES];
    struct Stat stat;
    IS(ZOK, make(zh, at("create"), "", ZOO_PERSISTENT, NULL));
    IS(ZNODEEXISTS, make(zh, at("create"), "", ZOO_PERSISTENT, NULL));
    IS(ZNONODE, make(zh, at("create/no/parent"), "", ZOO_PERSISTENT, NULL));
    IS(ZBADARGUMENTS, make(zh, "relative", "", ZOO_PERSISTENT, NULL));
    IS(ZOK, make(zh, at("create/s-"), "x", ZOO_PERSISTENT_SEQUENTIAL, name));
    IS(ZOK, make(zh, at("create/s-"), "x", ZOO_PERSISTENT_SEQUENTIAL, again));
    CHECK(strcmp(name, at("create/s-%010d", 0)) == 0);
    CHECK(strcmp(again, at("create/s-%010d", 1)) == 0);
    IS(ZOK, make(zh, at("create/e"), "x", ZOO_EPHEMERAL, NULL));
    IS(ZNOCHILDRENFOREPHEMERALS, make(zh, at("create/e/child"), "", ZOO_PERSISTENT, NULL));
    IS(ZOK, zoo_exists(zh, at("create/e"), 0, &stat));
    CHECK(stat.ephemeralOwner == zoo_client_id(zh)->client_id);
    IS(ZOK, make(zh, at("create/es-"), "x", ZOO_EPHEMERAL_SEQUENTIAL, name));
    /* The counter is the parent's count of created children, whatever their mode. */
    CHECK(strcmp(name, at("create/es-%010d", 3)) == 0);
    IS(ZOK, zoo_create2(zh, at("create/c"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, name, sizeof name, &stat));
    CHECK(strcmp(name, at("create/c")) == 0);
    IS(0, stat.ephemeralOwner); /* a container's mark is not shown */
    IS(ZUNIMPLEMENTED, zoo_create_ttl(zh, at("create/t"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 5000,
                                      name, sizeof name));
    IS(ZNONODE, zoo_exists(zh, at("create/t"), 0, &stat));
    IS(ZOK, zoo_create2(zh, at("create/two"), "12345", 5, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, name, sizeof name,
                        &stat));
    CHECK(stat.dataLength == 5 && stat.version == 0 && stat.czxid == stat.mzxid && stat.czxid == stat.pzxid);
}

static void tour_data(zhandle_t *zh) {
    struct Stat before, after, stat;
    char buffer[64];
    int length = sizeof buffer;
    IS(ZOK, make(zh, at("data"), "one", ZOO_PERSISTENT, NULL));
    IS(ZOK, zoo_get(zh, at("data"), 0, buffer, &length, &before));
    CHECK(length == 3 && memcmp(buffer, "one", 3) == 0);
    CHECK(before.version == 0 && before.cversion == 0 && before.aversion == 0 && before.ephemeralOwner == 0);
    CHECK(before.dataLength == 3 && before.numChildren == 0 && before.ctime == before.mtime);
    IS(ZOK, zoo_set2(zh, at("data"), "three", 5, 0, &after));
    CHECK(after.version == 1 && after.mzxid > before.mzxid && after.czxid == before.czxid && after.dataLength == 5);
    CHECK(after.pzxid == before.pzxid && after.mtime >= before.mtime);
    IS(ZBADVERSION, zoo_set(zh, at("data"), "x", 1, 0));
    IS(ZOK, zoo_set(zh, at("data"), "x", 1, -1));
    IS(ZNONODE, zoo_set(zh, at("missing"), "x", 1, -1));
    IS(ZOK, zoo_set(zh, at("data"), NULL, -1, -1));
    length = sizeof buffer;
    IS(ZOK, zoo_get(zh, at("data"), 0, buffer, &length, &stat));
    IS(-1, length);
    CHECK(stat.version == 3 && stat.dataLength == 0);
    IS(ZNONODE, zoo_get(zh, at("missing"), 0, buffer, &length, &stat));
    IS(ZOK, make(zh, at("data/b"), "", ZOO_PERSISTENT, NULL));
    IS(ZOK, make(zh, at("data/a"), "", ZOO_PERSISTENT, NULL));
    struct String_vector children;
    IS(ZOK, zoo_get_children2(zh, at("data"), 0, &children, &stat));
    CHECK(children.count == 2 && stat.numChildren == 2 && stat.cversion == 2 && stat.pzxid > after.mzxid);
    CHECK(children.count == 2 && strcmp(children.data[0], children.data[1]) != 0);
    deallocate_String_vector(&children);
    IS(ZOK, zoo_get_children(zh, at("data/a"), 0, &children));
    IS(0, children.count);
    deallocate_String_vector(&children);
    IS(ZNOTEMPTY, zoo_delete(zh, at("data"), -1));
    IS(ZBADVERSION, zoo_delete(zh, at("data/a"), 7));
    IS(ZOK, zoo_delete(zh, at("data/a"), 0));
    IS(ZNONODE, zoo_delete(zh, at("data/a"), -1));
    IS(ZOK, zoo_exists(zh, at("data"), 0, &stat));
    CHECK(stat.numChildren == 1 && stat.cversion == 3);
}

struct reply {
    pthread_mutex_t lock;
    pthread_cond_t came;
    int rc, done;
};

#define REPLY { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER }

static void reply_rc(struct reply *reply, int rc) {
    pthread_mutex_lock(&reply->lock);
    reply->rc = rc;
    reply->done = 1;
    pthread_cond_broadcast(&reply->came);
    pthread_mutex_unlock(&reply->lock);
}

static void on_void(int rc, const void *ctx) { reply_rc((struct reply *)ctx, rc); }

static void on_string(int rc, const char *value, const void *ctx) {
    (void)value;
    reply_rc((struct reply *)ctx, rc);
}

static int wait_reply(struct reply *reply) {
    struct timespec until = deadline();
    int rc = 0;
    pthread_mutex_lock(&reply->lock);
    while (!reply->done && rc == 0) rc = pthread_cond_timedwait(&reply->came, &reply->lock, &until);
    rc = reply->done ? reply->rc : ZOPERATIONTIMEOUT;
    pthread_mutex_unlock(&reply->lock);
    return rc;
}

static int sync_path(zhandle_t *zh, const char *path) {
    struct reply reply = REPLY;
    int rc = zoo_async(zh, path, on_string, &reply);
    return rc == ZOK ? wait_reply(&reply) : rc;
}

static int authenticate(zhandle_t *zh, const char *scheme, const char *cert) {
    struct reply reply = REPLY;
    int rc = zoo_add_auth(zh, scheme, cert, (int)strlen(cert), on_void, &reply);
    return rc == ZOK ? wait_reply(&reply) : rc;
}

static void tour_acl(zhandle_t *zh) {
    struct ear ear = EAR;
    struct Stat stat;
    struct ACL_vector acl;
    char buffer[16];
    int length = sizeof buffer;
    IS(ZINVALIDACL, zoo_create(zh, at("acl"), "s", 1, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0));
    IS(ZOK, authenticate(zh, "digest", "owner:secret"));
    IS(ZOK, zoo_create(zh, at("acl"), "s", 1, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0));
    IS(ZOK, zoo_get_acl(zh, at("acl"), &acl, &stat));
    CHECK(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL && strcmp(acl.data[0].id.scheme, "digest") == 0);
    CHECK(acl.count == 1 && strcmp(acl.data[0].id.id, "owner:Vj++wdU3sMAbt+g9TyKj1BT+usI=") == 0);
    deallocate_ACL_vector(&acl);
    zhandle_t *other = join(&ear, NULL);
    CHECK(hears_state(&ear, ZOO_CONNECTED_STATE));
    IS(ZOK, sync_path(other, root));
    IS(ZNOAUTH, zoo_get(other, at("acl"), 0, buffer, &length, &stat));
    IS(ZNOAUTH, zoo_set(other, at("acl"), "x", 1, -1));
    IS(ZNOAUTH, make(other, at("acl/child"), "", ZOO_PERSISTENT, NULL));
    IS(ZNOAUTH, zoo_set_acl(other, at("acl"), -1, &ZOO_OPEN_ACL_UNSAFE));
    /* Until 3.8 anyone could ask for the stat of what they may not read. */
    IS(before_3_9 ? ZOK : ZNOAUTH, zoo_exists(other, at("acl"), 0, &stat));
    IS(ZOK, authenticate(other, "digest", "owner:wrong"));
    IS(ZNOAUTH, zoo_set(other, at("acl"), "x", 1, -1));
    IS(ZOK, authenticate(other, "digest", "owner:secret"));
    IS(ZOK, zoo_set(other, at("acl"), "x", 1, -1));
    IS(ZBADVERSION, zoo_set_acl(zh, at("acl"), 5, &ZOO_READ_ACL_UNSAFE));
    IS(ZOK, zoo_set_acl(zh, at("acl"), 0, &ZOO_READ_ACL_UNSAFE));
    IS(ZOK, zoo_exists(zh, at("acl"), 0, &stat));
    IS(1, stat.aversion);
    IS(ZNOAUTH, zoo_set(zh, at("acl"), "y", 1, -1));
    IS(ZOK, zoo_delete(zh, at("acl"), -1)); /* deletion is the parent's permission */
    zookeeper_close(other);
}

static void tour_multi(zhandle_t *zh) {
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    struct Stat stat;
    char created[PATH_MAX_BYTES], other[PATH_MAX_BYTES];
    const char *m = at("m"), *m1 = at("m/s-"), *missing = at("m/missing");
    zoo_create_op_init(&ops[0], m, "v", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, created, sizeof created);
    zoo_create_op_init(&ops[1], m1, "v", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, other, sizeof other);
    zoo_set_op_init(&ops[2], m, "w", 1, 0, &stat);
    zoo_check_op_init(&ops[3], m, 1);
    IS(ZOK, zoo_multi(zh, 4, ops, results));
    for (int i = 0; i < 4; i++) IS(ZOK, results[i].err);
    CHECK(strcmp(created, m) == 0 && strncmp(other, m1, strlen(m1)) == 0);
    IS(1, stat.version);
    zoo_set_op_init(&ops[0], m, "lost", 4, -1, &stat);
    zoo_delete_op_init(&ops[1], missing, -1);
    zoo_check_op_init(&ops[2], m, 1);
    IS(ZNONODE, zoo_multi(zh, 3, ops, results));
    IS(ZOK, results[0].err);
    IS(ZNONODE, results[1].err);
    IS(ZRUNTIMEINCONSISTENCY, results[2].err);
    IS(ZOK, zoo_exists(zh, m, 0, &stat));
    CHECK(stat.version == 1 && stat.dataLength == 1);
    zoo_check_op_init(&ops[0], m, 9);
    IS(ZBADVERSION, zoo_multi(zh, 1, ops, results));
    zoo_delete_op_init(&ops[0], other, 0);
    zoo_delete_op_init(&ops[1], m, 1);
    IS(ZOK, zoo_multi(zh, 2, ops, results));
    IS(ZNONODE, zoo_exists(zh, m, 0, &stat));
}

/* The second handle makes the changes, so that events really travel. A sync behind them orders the check. */
static void tour_watches(zhandle_t *zh, struct ear *ear) {
    struct ear hers = EAR, local = EAR;
    struct Stat stat;
    struct String_vector children;
    char buffer[16];
    int length = sizeof buffer;
    zhandle_t *other = join(&hers, NULL);
    CHECK(hears_state(&hers, ZOO_CONNECTED_STATE));
    IS(ZNONODE, zoo_exists(zh, at("w"), 1, &stat));
    IS(ZOK, make(other, at("w"), "", ZOO_PERSISTENT, NULL));
    CHECK(hears(ear, ZOO_CREATED_EVENT, at("w")));
    IS(ZOK, zoo_get(zh, at("w"), 1, buffer, &length, &stat));
    IS(ZOK, zoo_get_children(zh, at("w"), 1, &children));
    deallocate_String_vector(&children);
    IS(ZOK, zoo_set(other, at("w"), "x", 1, -1));
    CHECK(hears(ear, ZOO_CHANGED_EVENT, at("w")));
    IS(ZOK, zoo_set(other, at("w"), "y", 1, -1)); /* one shot: this one is not heard */
    IS(ZOK, make(other, at("w/k"), "", ZOO_PERSISTENT, NULL));
    CHECK(hears(ear, ZOO_CHILD_EVENT, at("w")));
    IS(ZOK, zoo_exists(zh, at("w/k"), 1, &stat));
    IS(ZOK, zoo_get_children(zh, at("w/k"), 1, &children));
    deallocate_String_vector(&children);
    IS(ZOK, zoo_delete(other, at("w/k"), -1));
    CHECK(hears(ear, ZOO_DELETED_EVENT, at("w/k"))); /* data and child watch: one event for one watcher */
    IS(ZOK, sync_path(zh, root));
    CHECK(heard_nothing_more(ear));
    IS(ZOK, zoo_wget(zh, at("w"), listen_up, &local, buffer, &length, &stat));
    IS(ZOK, zoo_remove_watches(zh, at("w"), ZWATCHTYPE_DATA, listen_up, &local, 0));
    IS(ZOK, zoo_set(other, at("w"), "unheard", 7, -1));
    IS(ZOK, sync_path(zh, root));
    IS(0, local.count); /* this client tells nobody of a removal */
    IS(ZNOWATCHER, zoo_remove_watches(zh, at("w"), ZWATCHTYPE_DATA, listen_up, &local, 0));
    IS(ZOK, zoo_wget(zh, at("w"), listen_up, &local, buffer, &length, &stat));
    IS(ZOK, zoo_remove_all_watches(zh, at("w"), ZWATCHTYPE_DATA, 0));
    IS(ZOK, zoo_set(other, at("w"), "z", 1, -1));
    IS(ZOK, sync_path(zh, root));
    IS(0, local.count);
    zookeeper_close(other);
}

/* Replies must come in the order of the requests, reads and writes mixed. */
struct pipeline {
    pthread_mutex_t lock;
    pthread_cond_t done;
    int replies, disordered, errors;
    int64_t version;
};

struct ticket {
    struct pipeline *pipeline;
    int number;
};

static void on_stat(int rc, const struct Stat *stat, const void *data) {
    const struct ticket *ticket = data;
    struct pipeline *p = ticket->pipeline;
    pthread_mutex_lock(&p->lock);
    /* Each even request sets the data, the odd one behind it must see exactly that version. */
    if (rc != ZOK) p->errors++;
    else if (stat->version != ticket->number / 2 + 1) p->disordered++;
    if (ticket->number != p->replies++) p->disordered++;
    if (p->replies == PIPELINED) pthread_cond_broadcast(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void tour_pipeline(zhandle_t *zh) {
    struct pipeline p = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
    static struct ticket tickets[PIPELINED];
    struct timespec until = deadline();
    int rc = 0;
    IS(ZOK, make(zh, at("pipe"), "", ZOO_PERSISTENT, NULL));
    for (int i = 0; i < PIPELINED; i++) {
        tickets[i] = (struct ticket){&p, i};
        int sent = i % 2 ? zoo_aexists(zh, at("pipe"), 0, on_stat, &tickets[i])
                         : zoo_aset(zh, at("pipe"), "v", 1, i / 2, on_stat, &tickets[i]);
        if (sent != ZOK) rc = sent;
    }
    IS(ZOK, rc);
    pthread_mutex_lock(&p.lock);
    while (p.replies < PIPELINED && rc == 0) rc = pthread_cond_timedwait(&p.done, &p.lock, &until);
    pthread_mutex_unlock(&p.lock);
    IS(PIPELINED, p.replies);
    IS(0, p.errors);
    IS(0, p.disordered);
}

/* A process that dies without closing its session leaves it for whoever knows its id and password. */
static clientid_t orphan(void) {
    int ends[2];
    clientid_t id = {0};
    if (pipe(ends) != 0) exit(1);
    pid_t child = fork();
    if (child == 0) {
        struct ear ear = EAR;
        zhandle_t *zh = join(&ear, NULL);
        if (!hears_state(&ear, ZOO_CONNECTED_STATE)) _exit(1);
        if (make(zh, root, "", ZOO_PERSISTENT, NULL) != ZOK) _exit(2);
        if (make(zh, at("orphan"), "", ZOO_EPHEMERAL, NULL) != ZOK) _exit(3);
        _exit(write(ends[1], zoo_client_id(zh), sizeof id) == sizeof id ? 0 : 4);
    }
    int status = -1;
    waitpid(child, &status, 0);
    IS(0, WEXITSTATUS(status));
    if (status == 0) IS((long)sizeof id, read(ends[0], &id, sizeof id));
    close(ends[0]);
    close(ends[1]);
    return id;
}

static void tour_session(zhandle_t *zh, clientid_t id) {
    struct ear ear = EAR, thief = EAR;
    struct Stat stat;
    clientid_t forged = id;
    forged.passwd[0] ^= 1;
    IS(ZOK, zoo_exists(zh, at("orphan"), 0, &stat));
    CHECK(stat.ephemeralOwner == id.client_id);
    zhandle_t *stolen = join(&thief, &forged);
    CHECK(hears_state(&thief, ZOO_EXPIRED_SESSION_STATE));
    CHECK(is_unrecoverable(stolen) != 0);
    zookeeper_close(stolen);
    zhandle_t *heir = join(&ear, &id);
    CHECK(hears_state(&ear, ZOO_CONNECTED_STATE));
    CHECK(zoo_client_id(heir)->client_id == id.client_id);
    CHECK(zoo_recv_timeout(heir) == TIMEOUT_MS);
    IS(ZOK, zoo_exists(heir, at("orphan"), 0, &stat));
    IS(ZOK, zookeeper_close(heir));
    IS(ZOK, sync_path(zh, root));
    IS(ZNONODE, zoo_exists(zh, at("orphan"), 0, &stat));
}

static void tour_config(zhandle_t *zh) {
    char buffer[4096];
    int length = sizeof buffer;
    struct Stat stat;
    IS(ZOK, zoo_getconfig(zh, 0, buffer, &length, &stat));
    CHECK(length <= 0 || memchr(buffer, '=', (size_t)length) != NULL); /* empty on a standalone server */
}

static int sweep(zhandle_t *zh, const char *path) {
    struct String_vector children = {0};
    char child[2 * PATH_MAX_BYTES];
    int rc = zoo_get_children(zh, path, 0, &children);
    for (int i = 0; rc == ZOK && i < children.count; i++) {
        snprintf(child, sizeof child, "%s/%s", path, children.data[i]);
        rc = sweep(zh, child);
    }
    deallocate_String_vector(&children);
    return rc == ZOK ? zoo_delete(zh, path, -1) : rc;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: tour HOST:PORT [3.8|3.9]\n");
        return 2;
    }
    hosts = argv[1];
    before_3_9 = argc == 3 && strcmp(argv[2], "3.8") == 0;
    snprintf(root, sizeof root, "/tour-c-%d", (int)getpid());
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    setvbuf(stdout, NULL, _IOLBF, 0);
    clientid_t left = orphan(); /* forks, so it comes before any thread */
    struct ear ear = EAR;
    zhandle_t *zh = join(&ear, NULL);
    if (hears_state(&ear, ZOO_CONNECTED_STATE)) {
        tour_session(zh, left);
        tour_create(zh);
        tour_data(zh);
        tour_acl(zh);
        tour_multi(zh);
        tour_watches(zh, &ear);
        tour_pipeline(zh);
        tour_config(zh);
        IS(ZOK, sweep(zh, root));
    } else {
        check_at(__LINE__, 0, "connected", 1);
    }
    IS(ZOK, zookeeper_close(zh));
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
