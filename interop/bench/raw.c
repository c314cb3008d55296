/* A second load generator, on bare sockets: what `quorate bench` says is checked against it.
 *
 * raw HOST:PORT get|set|create|sync|ping CONNECTIONS WINDOW SECONDS [RATE [PID]]
 *
 * It shares nothing with `quorate bench` but the protocol: one thread, one epoll, level-triggered, requests built by
 * hand. RATE 0 is a closed loop: every connection keeps WINDOW requests under way. With a rate, request n is due at
 * n / RATE and its latency counts from then. After half a second of warm-up it counts for SECONDS and prints one line
 * of JSON; with the server's PID also what an operation cost there. Values have 100 bytes, keys are 1000.
 * HOST is an IPv4 address. Nodes lie under /bench-raw-<pid>. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30000, KEYS = 1000, VALUE_SIZE = 100, REQUEST_MAX = 512, IN_SIZE = 65536, EVENTS = 128 };
enum { US_MAX = 1000000 }; /* latencies are counted in steps of 1 us up to 1 s */
enum op { CREATE = 1, DELETE = 2, GET = 4, SET = 5, LIST = 8, SYNC = 9, PING = 11, CLOSE = -11 };

struct lane {
    int fd, number, under_way, head;
    int32_t xid;
    uint32_t random;
    long created;
    size_t in_used, out_used;
    int64_t *since; /* a ring of one entry per request of the window */
    char *in, *out;
};

static enum op kind;
static int window, counting, stopping, epoll;
static char root[64], value[VALUE_SIZE];
static int64_t done, errors, sum_us, *steps;

static void fail(const char *what) {
    fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static double own_cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* User and system time of all threads: fields 14 and 15 of its stat, after a name that may hold anything. */
static double cpu_s(int pid) {
    char path[64], text[1024], *at;
    long user, system;
    if (!pid) return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) fail(path);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    if (!(at = strrchr(text, ')')) ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2) fail(path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static char *put_int(char *at, int32_t number) {
    uint32_t big = htobe32((uint32_t)number);
    memcpy(at, &big, 4);
    return at + 4;
}

static char *put_bytes(char *at, const char *bytes, int size) {
    at = put_int(at, size);
    memcpy(at, bytes, (size_t)size);
    return at + size;
}

static int32_t int_at(const char *at) {
    uint32_t big;
    memcpy(&big, at, 4);
    return (int32_t)be32toh(big);
}

/* Appends one request; returns the end of it. */
static char *put_request(char *at, int32_t xid, enum op op, const char *path) {
    char *start = at;
    at = put_int(put_int(at + 4, xid), op);
    if (op != PING && op != CLOSE) at = put_bytes(at, path, (int)strlen(path));
    if (op == GET || op == LIST) *at++ = 0; /* no watch */
    if (op == SET || op == CREATE) at = put_bytes(at, value, VALUE_SIZE);
    if (op == SET || op == DELETE) at = put_int(at, -1); /* of any version */
    if (op == CREATE) { /* open to the world; persistent */
        at = put_int(put_int(at, 1), 31);
        at = put_bytes(put_bytes(at, "world", 5), "anyone", 6);
        at = put_int(at, 0);
    }
    put_int(start, (int32_t)(at - start - 4));
    return at;
}

static void next_request(struct lane *lane, int64_t since) {
    char path[128] = "";
    lane->random = lane->random * 1664525u + 1013904223u;
    if (kind == CREATE) snprintf(path, sizeof path, "%s/c%06d-%010ld", root, lane->number, lane->created++);
    else if (kind != PING) snprintf(path, sizeof path, "%s/k%08d", root, (int)((lane->random >> 8) % KEYS));
    char *at = lane->out + lane->out_used;
    lane->out_used = (size_t)(put_request(at, kind == PING ? -2 : ++lane->xid, kind, path) - lane->out);
    lane->since[(lane->head + lane->under_way++) % window] = since;
}

static void flush(struct lane *lane) {
    size_t sent = 0;
    while (sent < lane->out_used) {
        ssize_t n = send(lane->fd, lane->out + sent, lane->out_used - sent, MSG_NOSIGNAL);
        /* A window is far smaller than a socket's buffer: this does not spin for long. */
        if (n < 0 && errno != EAGAIN && errno != EINTR) fail("send");
        if (n > 0) sent += (size_t)n;
    }
    lane->out_used = 0;
}

static void answered(struct lane *lane, const char *frame, int64_t now) {
    int64_t since = lane->since[lane->head], us = (now - since) / 1000;
    if (kind != PING && int_at(frame) != lane->xid - lane->under_way + 1) fail("a reply out of order");
    lane->head = (lane->head + 1) % window;
    lane->under_way--;
    if (!counting) return;
    if (int_at(frame + 12)) { errors++; return; }
    done++;
    sum_us += us;
    steps[us < US_MAX ? us : US_MAX - 1]++;
}

/* Takes what a socket has, and in a closed loop answers with what the window allows. */
static void serve(struct lane *lane, double rate) {
    ssize_t n = recv(lane->fd, lane->in + lane->in_used, IN_SIZE - lane->in_used, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) fail("the server closed a connection");
    lane->in_used += (size_t)n;
    int64_t now = now_ns();
    size_t at = 0;
    while (lane->in_used - at >= 4) {
        size_t size = 4 + (size_t)int_at(lane->in + at);
        if (lane->in_used - at < size) break;
        answered(lane, lane->in + at + 4, now);
        at += size;
    }
    memmove(lane->in, lane->in + at, lane->in_used -= at);
    while (rate == 0 && !stopping && lane->under_way < window) next_request(lane, now);
    flush(lane);
}

static void read_all(int fd, char *at, size_t size) {
    while (size) {
        ssize_t n = recv(fd, at, size, 0);
        if (n <= 0) fail("recv");
        at += n, size -= (size_t)n;
    }
}

/* A blocking connection with a session. */
static int opened(const struct sockaddr_in *host) {
    char out[64] = {0}, in[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)host, sizeof *host)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    put_int(out, 45);
    put_int(out + 16, TIMEOUT_MS);
    put_int(out + 28, 16); /* the password's length; version, zxid, session and password are zero */
    if (send(fd, out, 49, MSG_NOSIGNAL) != 49) fail("send");
    read_all(fd, in, 4);
    read_all(fd, in + 4, (size_t)int_at(in));
    if (int_at(in + 8) <= 0) fail("the server refuses a session");
    return fd;
}

/* Sends one request on a blocking connection. */
static void ask(int fd, enum op op, const char *path) {
    char out[REQUEST_MAX], *end = put_request(out, 1, op, path);
    if (send(fd, out, (size_t)(end - out), MSG_NOSIGNAL) != end - out) fail("send");
}

/* The next reply on a blocking connection, the caller's to free; an error ends the program. */
static char *reply(int fd) {
    char size[4];
    read_all(fd, size, 4);
    char *reply = malloc((size_t)int_at(size));
    read_all(fd, reply, (size_t)int_at(size));
    if (int_at(reply + 12)) fprintf(stderr, "raw: error %d outside of the load\n", int_at(reply + 12)), exit(1);
    return reply;
}

static void make_nodes(int fd) {
    char path[128];
    int keys = kind == CREATE || kind == PING ? 0 : KEYS;
    ask(fd, CREATE, root);
    for (int i = 0; i < keys; i++) {
        snprintf(path, sizeof path, "%s/k%08d", root, i);
        ask(fd, CREATE, path);
    }
    for (int i = 0; i <= keys; i++) free(reply(fd));
}

static void remove_nodes(int fd) {
    char path[256];
    ask(fd, LIST, root);
    char *names = reply(fd), *at = names + 20;
    for (int32_t i = 1, count = int_at(names + 16); i <= count; i++) {
        snprintf(path, sizeof path, "%s/%.*s", root, int_at(at), at + 4);
        ask(fd, DELETE, path);
        at += 4 + int_at(at);
        /* Now and then all replies are taken, so that both sides' buffers hold what is under way. */
        for (int32_t left = i % 500 == 0 ? 500 : i == count ? i % 500 : 0; left > 0; left--) free(reply(fd));
    }
    free(names);
    ask(fd, DELETE, root);
    free(reply(fd));
    ask(fd, CLOSE, "");
    free(reply(fd));
}

static void run(struct lane *lanes, int connections, double rate, int64_t until) {
    static int64_t start, taken;
    struct epoll_event events[EVENTS];
    int turn = 0;
    if (!start) start = now_ns();
    for (;;) {
        int64_t now = now_ns(), wake = until, under_way = 0;
        while (rate > 0 && !stopping) {
            int64_t due = start + (int64_t)((double)taken * 1e9 / rate);
            int tries = 0;
            if (due > now) { wake = due < wake ? due : wake; break; }
            while (tries < connections && lanes[turn].under_way == window) turn = (turn + 1) % connections, tries++;
            if (tries == connections) break;
            next_request(&lanes[turn], due);
            flush(&lanes[turn]);
            turn = (turn + 1) % connections;
            taken++;
        }
        for (int i = 0; stopping && i < connections; i++) under_way += lanes[i].under_way;
        if (now >= until || (stopping && !under_way)) return;
        struct timespec wait = {(wake - now) / 1000000000, (wake - now) % 1000000000};
        int count = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);
        for (int i = 0; i < count; i++) serve(events[i].data.ptr, rate);
    }
}

static int64_t percentile(double share) {
    int64_t seen = 0, us = 0;
    while (us < US_MAX - 1 && (seen += steps[us]) < (int64_t)((double)done * share)) us++;
    return us;
}

int main(int argc, char **argv) {
    struct sockaddr_in host = {.sin_family = AF_INET};
    const char *names[] = {"get", "set", "create", "sync", "ping"};
    const enum op ops[] = {GET, SET, CREATE, SYNC, PING};
    char *colon = argc > 5 ? strchr(argv[1], ':') : NULL;
    if (colon) {
        *colon = 0;
        host.sin_port = htons((uint16_t)atoi(colon + 1));
        for (int i = 0; i < 5; i++) kind = strcmp(argv[2], names[i]) ? kind : ops[i];
    }
    if (!kind || inet_pton(AF_INET, argv[1], &host.sin_addr) != 1) {
        fprintf(stderr, "usage: raw HOST:PORT get|set|create|sync|ping CONNECTIONS WINDOW SECONDS [RATE [PID]]\n");
        return 2;
    }
    int connections = atoi(argv[3]), pid = argc > 7 ? atoi(argv[7]) : 0;
    double seconds = atof(argv[5]), rate = argc > 6 ? atof(argv[6]) : 0;
    window = atoi(argv[4]);
    if (connections < 1 || window < 1 || seconds <= 0) return 2;
    memset(value, 'x', sizeof value);
    snprintf(root, sizeof root, "/bench-raw-%d", (int)getpid());
    steps = calloc(US_MAX, sizeof *steps);
    epoll = epoll_create1(0);
    prctl(PR_SET_TIMERSLACK, 1); /* else what is due is late by 50 us */
    int keeper = opened(&host);
    make_nodes(keeper);

    struct lane *lanes = calloc((size_t)connections, sizeof *lanes);
    for (int i = 0; i < connections; i++) {
        struct lane *lane = &lanes[i];
        *lane = (struct lane){.fd = opened(&host), .number = i, .random = (uint32_t)i * 7919u};
        lane->since = calloc((size_t)window, sizeof *lane->since);
        lane->in = malloc(IN_SIZE);
        lane->out = malloc((size_t)window * REQUEST_MAX);
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = lane};
        if (fcntl(lane->fd, F_SETFL, O_NONBLOCK) || epoll_ctl(epoll, EPOLL_CTL_ADD, lane->fd, &interest)) fail("epoll");
    }
    for (int i = 0; rate == 0 && i < connections; i++) {
        while (lanes[i].under_way < window) next_request(&lanes[i], now_ns());
        flush(&lanes[i]);
    }
    run(lanes, connections, rate, now_ns() + 500000000);
    int64_t from = now_ns();
    double own = own_cpu_s(), server = cpu_s(pid);
    counting = 1;
    run(lanes, connections, rate, from + (int64_t)(seconds * 1e9));
    counting = 0;
    own = own_cpu_s() - own, server = cpu_s(pid) - server;
    double took = (double)(now_ns() - from) / 1e9, count = done ? (double)done : 1;
    stopping = 1;
    run(lanes, connections, rate, now_ns() + 5000000000LL);
    printf("{\"operations_per_s\": %.1f, \"errors\": %lld, \"mean_us\": %.1f, \"p50_us\": %lld, \"p99_us\": %lld, "
           "\"client_cpu_s_per_million\": %.3f, \"server_cpu_s_per_million\": %.3f}\n",
           (double)done / took, (long long)errors, (double)sum_us / count, (long long)percentile(0.5),
           (long long)percentile(0.99), own * 1e6 / count, server * 1e6 / count);
    for (int i = 0; i < connections; i++) {
        lanes[i].out_used = (size_t)(put_request(lanes[i].out, 1, CLOSE, "") - lanes[i].out);
        flush(&lanes[i]);
    }
    remove_nodes(keeper);
    return errors ? 1 : 0;
}
