/* Writes down what a daemon hears of its groups and of quorum, and what it sends, line by line.
 *
 * To be preloaded. Each process writes TRAFFIC_FOLDER/HOST-TIME.jsonl, in the format of the golden
 * recordings: one JSON object a line, in order, flushed at once, so that kill -9 loses none.
 */
#define _GNU_SOURCE
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GROUPS_MAX 8

static struct group {
    cpg_handle_t handle;
    struct cpg_name name;
    cpg_callbacks_t callbacks;
} groups[GROUPS_MAX];

static quorum_notification_fn_t notify_really;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static FILE *record;

static void *really(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

/* NULL if the handle is closed; with 0, a free place. */
static struct group *group_of(cpg_handle_t handle) {
    for (int i = 0; i < GROUPS_MAX; i++)
        if (groups[i].handle == handle)
            return &groups[i];
    return NULL;
}

static void begin_line(const char *event) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (record == NULL) {
        char path[4096], host[256];
        gethostname(host, sizeof host);
        snprintf(path, sizeof path, "%s/%s-%ld.%09ld.jsonl", getenv("TRAFFIC_FOLDER"), host,
                 (long)now.tv_sec, now.tv_nsec);
        record = fopen(path, "we");
        if (record == NULL)
            abort();
    }
    fprintf(record, "{\"t\":%ld.%06ld,\"ev\":\"%s\"", (long)now.tv_sec, now.tv_nsec / 1000, event);
}

static void add(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(record, format, arguments);
    va_end(arguments);
}

static void add_group(const struct cpg_name *name) {
    add(",\"group\":\"%.*s\",\"group_len\":%d", (int)strnlen(name->value, name->length), name->value,
        (int)name->length);
}

static void add_hex(const unsigned char *data, size_t length) {
    for (size_t i = 0; i < length; i++)
        fprintf(record, "%02x", data[i]);
}

static void add_members(const char *key, const struct cpg_address *members, size_t count) {
    add(",\"%s\":[", key);
    for (size_t i = 0; i < count; i++)
        add("%s[%u,%u,%u]", i ? "," : "", members[i].nodeid, members[i].pid, members[i].reason);
    add("]");
}

static void end_line(void) {
    fputs("}\n", record);
    fflush(record);
}

static void deliver(cpg_handle_t handle, const struct cpg_name *name, uint32_t node, uint32_t pid,
                    void *message, size_t length) {
    pthread_mutex_lock(&mutex);
    begin_line("deliver");
    add(",\"nodeid\":%u,\"pid\":%u", node, pid);
    add_group(name);
    add(",\"hex\":\"");
    add_hex(message, length);
    add("\"");
    end_line();
    pthread_mutex_unlock(&mutex);
    group_of(handle)->callbacks.cpg_deliver_fn(handle, name, node, pid, message, length);
}

static void change(cpg_handle_t handle, const struct cpg_name *name,
                   const struct cpg_address *members, size_t member_count,
                   const struct cpg_address *left, size_t left_count,
                   const struct cpg_address *joined, size_t joined_count) {
    pthread_mutex_lock(&mutex);
    begin_line("confchg");
    add_group(name);
    add_members("members", members, member_count);
    add_members("left", left, left_count);
    add_members("joined", joined, joined_count);
    end_line();
    pthread_mutex_unlock(&mutex);
    group_of(handle)->callbacks.cpg_confchg_fn(handle, name, members, member_count, left,
                                               left_count, joined, joined_count);
}

static void notify(quorum_handle_t handle, uint32_t is_quorate, uint64_t ring, uint32_t count,
                   uint32_t *members) {
    pthread_mutex_lock(&mutex);
    begin_line("quorum");
    add(",\"quorate\":%u", is_quorate);
    end_line();
    pthread_mutex_unlock(&mutex);
    notify_really(handle, is_quorate, ring, count, members);
}

cs_error_t cpg_initialize(cpg_handle_t *handle, cpg_callbacks_t *callbacks) {
    static cpg_callbacks_t ours = {deliver, change};
    cs_error_t (*call)(cpg_handle_t *, cpg_callbacks_t *) = really("cpg_initialize");
    cs_error_t result = call(handle, &ours);
    if (result == CS_OK) {
        pthread_mutex_lock(&mutex);
        struct group *group = group_of(0);
        group->handle = *handle;
        group->callbacks = *callbacks;
        pthread_mutex_unlock(&mutex);
    }
    return result;
}

cs_error_t cpg_join(cpg_handle_t handle, const struct cpg_name *name) {
    cs_error_t (*call)(cpg_handle_t, const struct cpg_name *) = really("cpg_join");
    cs_error_t result = call(handle, name);
    if (result == CS_OK) {
        pthread_mutex_lock(&mutex);
        group_of(handle)->name = *name;
        begin_line("join");
        add_group(name);
        end_line();
        pthread_mutex_unlock(&mutex);
    }
    return result;
}

cs_error_t cpg_leave(cpg_handle_t handle, const struct cpg_name *name) {
    cs_error_t (*call)(cpg_handle_t, const struct cpg_name *) = really("cpg_leave");
    pthread_mutex_lock(&mutex);
    begin_line("leave");
    add_group(name);
    end_line();
    pthread_mutex_unlock(&mutex);
    return call(handle, name);
}

cs_error_t cpg_finalize(cpg_handle_t handle) {
    cs_error_t (*call)(cpg_handle_t) = really("cpg_finalize");
    pthread_mutex_lock(&mutex);
    struct group *group = handle ? group_of(handle) : NULL;
    if (group != NULL) {
        if (group->name.length > 0) {
            begin_line("finalize");
            add_group(&group->name);
            end_line();
        }
        memset(group, 0, sizeof *group);
    }
    pthread_mutex_unlock(&mutex);
    return call(handle);
}

/* The lock is held until corosync has the message: its delivery, or another one that the daemon
 * sends at this moment, cannot come first in the record. */
cs_error_t cpg_mcast_joined(cpg_handle_t handle, cpg_guarantee_t guarantee,
                            const struct iovec *parts, unsigned int count) {
    cs_error_t (*call)(cpg_handle_t, cpg_guarantee_t, const struct iovec *, unsigned int) =
        really("cpg_mcast_joined");
    pthread_mutex_lock(&mutex);
    cs_error_t result = call(handle, guarantee, parts, count);
    struct group *group = handle ? group_of(handle) : NULL;
    if (group != NULL) {
        begin_line("send");
        add_group(&group->name);
        add(",\"rc\":%d,\"hex\":\"", result);
        for (unsigned int i = 0; i < count; i++)
            add_hex(parts[i].iov_base, parts[i].iov_len);
        add("\"");
        end_line();
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

cs_error_t quorum_initialize(quorum_handle_t *handle, quorum_callbacks_t *callbacks,
                             uint32_t *type) {
    static quorum_callbacks_t ours = {notify};
    cs_error_t (*call)(quorum_handle_t *, quorum_callbacks_t *, uint32_t *) =
        really("quorum_initialize");
    notify_really = callbacks->quorum_notify_fn;
    return call(handle, &ours, type);
}
