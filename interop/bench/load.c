/* A second load generator, on the C client (libzookeeper_mt): what `quorate bench` says is checked against it.
 *
 * load HOST:PORT get|set|create CONNECTIONS WINDOW SECONDS [VALUE_SIZE [KEYS]]
 *
 * A closed loop: every connection keeps WINDOW asynchronous requests under way, each reply sends the next request
 * from its completion. After a second of warm-up it counts for SECONDS and prints one line: operations per second,
 * errors, mean latency, and its own CPU time per million operations. Nodes lie under /bench-c-<pid>. */
#define THREADED
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { TIMEOUT_MS = 30000, PATH_MAX_BYTES = 128, VALUE_MAX = 1 << 20, OPEN_WAIT_S = 30 };
enum kind { GET, SET, CREATE };

struct lane {
    zhandle_t *zh;
    unsigned number, state;
    long created;
    atomic_long done, errors, under_way, latency_ns;
};

struct request {
    struct lane *lane;
    long since_ns;
};

static enum kind kind;
static char root[PATH_MAX_BYTES / 2], data[VALUE_MAX];
static int value_size = 100, keys = 1000;
static atomic_int stopping;

static long now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000L + at.tv_nsec;
}

static double cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void fail(const char *what, int rc) {
    fprintf(stderr, "load: %s: %s\n", what, zerror(rc));
    exit(1);
}

static void send_next(struct request *request);

/* A reply: counted, and followed by the next request. Completions of one handle come from one thread. */
static void answered(int rc, struct request *request) {
    struct lane *lane = request->lane;
    lane->latency_ns += now_ns() - request->since_ns;
    if (rc == ZOK) lane->done++;
    else lane->errors++;
    if (stopping || rc == ZCLOSING || rc == ZCONNECTIONLOSS) lane->under_way--;
    else send_next(request);
}

static void on_data(int rc, const char *value, int length, const struct Stat *stat, const void *ctx) {
    (void)value, (void)length, (void)stat;
    answered(rc, (struct request *)ctx);
}

static void on_stat(int rc, const struct Stat *stat, const void *ctx) {
    (void)stat;
    answered(rc, (struct request *)ctx);
}

static void on_string(int rc, const char *value, const void *ctx) {
    (void)value;
    answered(rc, (struct request *)ctx);
}

static void send_next(struct request *request) {
    struct lane *lane = request->lane;
    char path[PATH_MAX_BYTES];
    int rc = ZOK;
    if (kind == CREATE) snprintf(path, sizeof path, "%s/c%06u-%010ld", root, lane->number, lane->created++);
    else snprintf(path, sizeof path, "%s/k%08d", root, rand_r(&lane->state) % keys);
    request->since_ns = now_ns();
    switch (kind) {
    case GET: rc = zoo_aget(lane->zh, path, 0, on_data, request); break;
    case SET: rc = zoo_aset(lane->zh, path, data, value_size, -1, on_stat, request); break;
    case CREATE: rc = zoo_acreate(lane->zh, path, data, value_size, &ZOO_OPEN_ACL_UNSAFE, 0, on_string, request);
    }
    if (rc != ZOK) fail("send", rc);
}

static zhandle_t *opened(const char *host) {
    zhandle_t *zh = zookeeper_init(host, NULL, TIMEOUT_MS, NULL, NULL, 0);
    if (!zh) fail("init", ZSYSTEMERROR);
    for (int i = 0; zoo_state(zh) != ZOO_CONNECTED_STATE; i++) {
        if (i > OPEN_WAIT_S * 1000) fail("no session", ZOPERATIONTIMEOUT);
        usleep(1000);
    }
    return zh;
}

static void make_node(zhandle_t *zh, const char *path) {
    int rc = zoo_create(zh, path, data, value_size, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    if (rc != ZOK) fail(path, rc);
}

static void ignore(int rc, const void *ctx) { (void)rc, (void)ctx; }

static void remove_all(zhandle_t *zh) {
    struct String_vector names;
    int rc = zoo_get_children(zh, root, 0, &names);
    if (rc != ZOK) fail("children", rc);
    for (int i = 0; i < names.count; i++) {
        char path[PATH_MAX_BYTES];
        snprintf(path, sizeof path, "%s/%s", root, names.data[i]);
        /* Every hundredth waits, so that the queue stays short. */
        rc = i % 100 ? zoo_adelete(zh, path, -1, ignore, NULL) : zoo_delete(zh, path, -1);
        if (rc != ZOK) fail(path, rc);
    }
    deallocate_String_vector(&names);
    if ((rc = zoo_delete(zh, root, -1)) != ZOK) fail(root, rc);
}

static long sum(struct lane *lanes, int count, size_t offset) {
    long total = 0;
    for (int i = 0; i < count; i++) total += *(atomic_long *)((char *)&lanes[i] + offset);
    return total;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: load HOST:PORT get|set|create CONNECTIONS WINDOW SECONDS [VALUE_SIZE [KEYS]]\n");
        return 2;
    }
    kind = !strcmp(argv[2], "get") ? GET : !strcmp(argv[2], "set") ? SET : CREATE;
    int connections = atoi(argv[3]), window = atoi(argv[4]);
    double seconds = atof(argv[5]);
    if (argc > 6) value_size = atoi(argv[6]);
    if (argc > 7) keys = atoi(argv[7]);
    if (connections < 1 || window < 1 || seconds <= 0 || value_size < 0 || value_size > VALUE_MAX || keys < 1) return 2;
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    memset(data, 'x', sizeof data);
    snprintf(root, sizeof root, "/bench-c-%d", (int)getpid());

    zhandle_t *keeper = opened(argv[1]);
    make_node(keeper, root);
    for (int i = 0; kind != CREATE && i < keys; i++) {
        char path[PATH_MAX_BYTES];
        snprintf(path, sizeof path, "%s/k%08d", root, i);
        make_node(keeper, path);
    }
    struct lane *lanes = calloc((size_t)connections, sizeof *lanes);
    struct request *requests = calloc((size_t)connections * (size_t)window, sizeof *requests);
    if (!lanes || !requests) return 1;
    for (int i = 0; i < connections; i++) {
        lanes[i].number = lanes[i].state = (unsigned)i;
        lanes[i].zh = opened(argv[1]);
    }
    for (int i = 0; i < connections * window; i++) {
        requests[i].lane = &lanes[i % connections];
        requests[i].lane->under_way++;
        send_next(&requests[i]);
    }
    sleep(1);
    long done = sum(lanes, connections, offsetof(struct lane, done)), from = now_ns();
    long waited = sum(lanes, connections, offsetof(struct lane, latency_ns));
    double cpu = cpu_s();
    usleep((useconds_t)(seconds * 1e6));
    done = sum(lanes, connections, offsetof(struct lane, done)) - done;
    waited = sum(lanes, connections, offsetof(struct lane, latency_ns)) - waited;
    double took = (double)(now_ns() - from) / 1e9;
    cpu = cpu_s() - cpu;
    stopping = 1;
    while (sum(lanes, connections, offsetof(struct lane, under_way)) > 0) usleep(1000);
    long errors = sum(lanes, connections, offsetof(struct lane, errors));
    double count = done > 0 ? (double)done : 1;
    printf("%s: %.0f/s, %ld errors, mean %.0f us, client CPU per million %.2f s\n", argv[2], (double)done / took, errors,
           (double)waited / count / 1e3, cpu * 1e6 / count);
    for (int i = 0; i < connections; i++) zookeeper_close(lanes[i].zh);
    remove_all(keeper);
    zookeeper_close(keeper);
    return errors ? 1 : 0;
}
