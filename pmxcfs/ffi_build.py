"""Declares the parts of corosync's libraries and of libqb that we use; the C compiler checks them.

Built on install as ``pmxcfs._corosync``; its types for mypy are in ``_corosync.pyi``. The
declarations follow the installed headers (corosync/cpg.h, quorum.h, cmap.h; qb/qbipcs.h).
"""

from cffi import FFI

_TYPES = """
typedef int... cs_error_t;
typedef int... cs_dispatch_flags_t;

#define CS_DISPATCH_ONE_NONBLOCKING ...
#define CS_TRACK_CHANGES ...

struct iovec { void *iov_base; size_t iov_len; ...; };
"""

_CPG = """
#define CPG_MAX_NAME_LENGTH ...
#define CPG_TYPE_AGREED ...

typedef uint64_t cpg_handle_t;
typedef int... cpg_guarantee_t;
struct cpg_name { uint32_t length; char value[...]; ...; };
struct cpg_address { uint32_t nodeid; uint32_t pid; ...; };

typedef void (*cpg_deliver_fn_t)(
    cpg_handle_t handle, const struct cpg_name *group,
    uint32_t nodeid, uint32_t pid, void *msg, size_t msg_len);
typedef void (*cpg_confchg_fn_t)(
    cpg_handle_t handle, const struct cpg_name *group,
    const struct cpg_address *members, size_t member_count,
    const struct cpg_address *left, size_t left_count,
    const struct cpg_address *joined, size_t joined_count);
typedef struct {
    cpg_deliver_fn_t cpg_deliver_fn;
    cpg_confchg_fn_t cpg_confchg_fn;
} cpg_callbacks_t;

cs_error_t cpg_initialize(cpg_handle_t *handle, cpg_callbacks_t *callbacks);
cs_error_t cpg_finalize(cpg_handle_t handle);
cs_error_t cpg_local_get(cpg_handle_t handle, unsigned int *nodeid);
cs_error_t cpg_fd_get(cpg_handle_t handle, int *fd);
cs_error_t cpg_max_atomic_msgsize_get(cpg_handle_t handle, uint32_t *size);
cs_error_t cpg_join(cpg_handle_t handle, const struct cpg_name *group);
cs_error_t cpg_leave(cpg_handle_t handle, const struct cpg_name *group);
cs_error_t cpg_dispatch(cpg_handle_t handle, cs_dispatch_flags_t types);
cs_error_t cpg_mcast_joined(
    cpg_handle_t handle, cpg_guarantee_t guarantee,
    const struct iovec *iovec, unsigned int iov_len);
"""

_QUORUM = """
#define QUORUM_SET ...

typedef uint64_t quorum_handle_t;
typedef void (*quorum_notification_fn_t)(
    quorum_handle_t handle, uint32_t quorate, uint64_t ring_seq,
    uint32_t view_list_entries, uint32_t *view_list);
typedef struct { quorum_notification_fn_t quorum_notify_fn; } quorum_callbacks_t;

cs_error_t quorum_initialize(
    quorum_handle_t *handle, quorum_callbacks_t *callbacks, uint32_t *quorum_type);
cs_error_t quorum_finalize(quorum_handle_t handle);
cs_error_t quorum_fd_get(quorum_handle_t handle, int *fd);
cs_error_t quorum_dispatch(quorum_handle_t handle, cs_dispatch_flags_t types);
cs_error_t quorum_trackstart(quorum_handle_t handle, unsigned int flags);
"""

_CMAP = """
#define CMAP_KEYNAME_MAXLEN ...
#define CMAP_TRACK_ADD ...
#define CMAP_TRACK_DELETE ...
#define CMAP_TRACK_MODIFY ...
#define CMAP_TRACK_PREFIX ...

typedef uint64_t cmap_handle_t;
typedef uint64_t cmap_iter_handle_t;
typedef uint64_t cmap_track_handle_t;
typedef enum {
    CMAP_VALUETYPE_INT8, CMAP_VALUETYPE_UINT8, CMAP_VALUETYPE_INT16, CMAP_VALUETYPE_UINT16,
    CMAP_VALUETYPE_INT32, CMAP_VALUETYPE_UINT32, CMAP_VALUETYPE_INT64, CMAP_VALUETYPE_UINT64,
    CMAP_VALUETYPE_STRING, ...
} cmap_value_types_t;
struct cmap_notify_value { size_t len; ...; };
typedef void (*cmap_notify_fn_t)(
    cmap_handle_t handle, cmap_track_handle_t track, int32_t event, const char *key_name,
    struct cmap_notify_value new_value, struct cmap_notify_value old_value, void *user_data);

cs_error_t cmap_initialize(cmap_handle_t *handle);
cs_error_t cmap_finalize(cmap_handle_t handle);
cs_error_t cmap_fd_get(cmap_handle_t handle, int *fd);
cs_error_t cmap_dispatch(cmap_handle_t handle, cs_dispatch_flags_t types);
cs_error_t cmap_get(
    cmap_handle_t handle, const char *key_name,
    void *value, size_t *value_len, cmap_value_types_t *type);
cs_error_t cmap_iter_init(cmap_handle_t handle, const char *prefix, cmap_iter_handle_t *iter);
cs_error_t cmap_iter_next(
    cmap_handle_t handle, cmap_iter_handle_t iter,
    char *key_name, size_t *value_len, cmap_value_types_t *type);
cs_error_t cmap_iter_finalize(cmap_handle_t handle, cmap_iter_handle_t iter);
cs_error_t cmap_track_add(
    cmap_handle_t handle, const char *key_name, int32_t track_type,
    cmap_notify_fn_t notify_fn, void *user_data, cmap_track_handle_t *track);
"""

_IPC = """
enum qb_loop_priority { QB_LOOP_LOW, QB_LOOP_MED, QB_LOOP_HIGH, ... };
enum qb_ipc_type { QB_IPC_SHM, ... };
enum qb_ipcs_rate_limit { QB_IPCS_RATE_SLOW, ... };

typedef ... qb_ipcs_connection_t;
typedef ... qb_ipcs_service_t;
typedef int... uid_t;
typedef int... gid_t;
typedef int... ssize_t;

typedef void (*qb_loop_job_dispatch_fn)(void *data);
typedef int32_t (*qb_ipcs_dispatch_fn_t)(int32_t fd, int32_t revents, void *data);

struct qb_ipcs_poll_handlers {
    int32_t (*job_add)(enum qb_loop_priority, void *, qb_loop_job_dispatch_fn);
    int32_t (*dispatch_add)(
        enum qb_loop_priority, int32_t, int32_t, void *, qb_ipcs_dispatch_fn_t);
    int32_t (*dispatch_mod)(
        enum qb_loop_priority, int32_t, int32_t, void *, qb_ipcs_dispatch_fn_t);
    int32_t (*dispatch_del)(int32_t);
    ...;
};
struct qb_ipcs_service_handlers {
    int32_t (*connection_accept)(qb_ipcs_connection_t *, uid_t, gid_t);
    int32_t (*msg_process)(qb_ipcs_connection_t *, void *, size_t);
    void (*connection_destroyed)(qb_ipcs_connection_t *);
    ...;
};
struct qb_ipcs_connection_stats { int32_t client_pid; ...; };

qb_ipcs_service_t *qb_ipcs_create(
    const char *name, int32_t service_id,
    enum qb_ipc_type type, struct qb_ipcs_service_handlers *handlers);
void qb_ipcs_poll_handlers_set(qb_ipcs_service_t *s, struct qb_ipcs_poll_handlers *handlers);
int32_t qb_ipcs_run(qb_ipcs_service_t *s);
void qb_ipcs_destroy(qb_ipcs_service_t *s);
void qb_ipcs_request_rate_limit(qb_ipcs_service_t *s, enum qb_ipcs_rate_limit limit);
ssize_t qb_ipcs_response_send(qb_ipcs_connection_t *c, const void *data, size_t size);
void qb_ipcs_disconnect(qb_ipcs_connection_t *c);
int32_t qb_ipcs_connection_stats_get(
    qb_ipcs_connection_t *c, struct qb_ipcs_connection_stats *stats, int32_t clear);
int32_t qb_ipcs_connection_get_buffer_size(qb_ipcs_connection_t *c);
"""

_CALLBACKS = """
extern "Python" void pmxcfs_cpg_delivered(
    cpg_handle_t, const struct cpg_name *, uint32_t, uint32_t, void *, size_t);
extern "Python" void pmxcfs_cpg_changed(
    cpg_handle_t, const struct cpg_name *, const struct cpg_address *, size_t,
    const struct cpg_address *, size_t, const struct cpg_address *, size_t);
extern "Python" void pmxcfs_quorum_notified(
    quorum_handle_t, uint32_t, uint64_t, uint32_t, uint32_t *);
extern "Python" void pmxcfs_cmap_notified(
    cmap_handle_t, cmap_track_handle_t, int32_t, const char *,
    struct cmap_notify_value, struct cmap_notify_value, void *);
extern "Python" int32_t pmxcfs_ipc_job_add(
    enum qb_loop_priority, void *, qb_loop_job_dispatch_fn);
extern "Python" int32_t pmxcfs_ipc_dispatch_set(
    enum qb_loop_priority, int32_t, int32_t, void *, qb_ipcs_dispatch_fn_t);
extern "Python" int32_t pmxcfs_ipc_dispatch_del(int32_t);
extern "Python" int32_t pmxcfs_ipc_connection_accept(qb_ipcs_connection_t *, uid_t, gid_t);
extern "Python" int32_t pmxcfs_ipc_msg_process(qb_ipcs_connection_t *, void *, size_t);
extern "Python" void pmxcfs_ipc_connection_destroyed(qb_ipcs_connection_t *);
"""

_SOURCE = """
#include <sys/uio.h>
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <corosync/cmap.h>
#include <qb/qbdefs.h>
#include <qb/qbipcs.h>
"""

ffibuilder = FFI()
ffibuilder.cdef(_TYPES + _CPG + _QUORUM + _CMAP + _IPC + _CALLBACKS)
ffibuilder.set_source("pmxcfs._corosync", _SOURCE, libraries=["cpg", "quorum", "cmap", "qb"])

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
