"""Declares the parts of libfuse's low-level API that we use; the C compiler checks them.

Built on install as ``pmxcfs._libfuse``; its types for mypy are in ``_libfuse.pyi``. The callbacks
get plain numbers and strings, so that Python never looks into a structure of libfuse.
"""

import re

from cffi import FFI

_STAT = """
    uint64_t inode, uint64_t generation, double attr_timeout, double entry_timeout, uint32_t mode,
    uint32_t uid, uint32_t gid, uint64_t link_count, int64_t size_bytes, int64_t blocks,
    int64_t mtime_ns"""
"""What the kernel is told of an inode; a mtime of less than a second is for its cache alone."""

_DECLARATIONS = """
typedef uint64_t fuse_ino_t;
typedef struct fuse_req *fuse_req_t;
struct fuse_session;

struct fuse_session *pmxcfs_mount(const char *mountpoint, const char *options);
void pmxcfs_unmount(struct fuse_session *session);
void pmxcfs_silence_opens(void);
void pmxcfs_hear_flushes(void);
void pmxcfs_let_closes_wait(int may_wait);
int fuse_session_fd(struct fuse_session *session);
int pmxcfs_take_requests(
    struct fuse_session *session, int count_max, int turn_us, int linger_us,
    int patience, int news_fd, int hearing_us);
int fuse_lowlevel_notify_inval_inode(
    struct fuse_session *session, fuse_ino_t inode, int64_t offset, int64_t length);

void pmxcfs_let_wait(fuse_req_t request, int patience);
void fuse_reply_none(fuse_req_t request);
int fuse_reply_err(fuse_req_t request, int error);
int fuse_reply_buf(fuse_req_t request, const char *data, size_t size);
int fuse_reply_write(fuse_req_t request, size_t size);
int fuse_reply_readlink(fuse_req_t request, const char *target);
int pmxcfs_reply_entry(fuse_req_t request, {stat});
int pmxcfs_reply_attributes(fuse_req_t request, {stat});
int pmxcfs_reply_created(fuse_req_t request, {stat});
int pmxcfs_reply_open(fuse_req_t request, uint64_t handle, int flags);
int pmxcfs_reply_statfs(
    fuse_req_t request, uint64_t block_size_bytes, uint64_t blocks, uint64_t blocks_free,
    uint64_t inodes, uint64_t inodes_free, uint64_t name_bytes_max);
size_t pmxcfs_add_name(
    fuse_req_t request, char *buffer, size_t size, const char *name, int64_t position, {stat});

#define PMXCFS_NOBODY ...
#define PMXCFS_GROUP ...
#define PMXCFS_OTHERS ...
#define PMXCFS_KEEP_CACHE ...
#define PMXCFS_CACHE_DIR ...
#define FUSE_SET_ATTR_MODE ...
#define FUSE_SET_ATTR_UID ...
#define FUSE_SET_ATTR_GID ...
#define FUSE_SET_ATTR_SIZE ...
#define FUSE_SET_ATTR_ATIME ...
#define FUSE_SET_ATTR_MTIME ...
"""

_CALLBACKS = """
{storage} void pmxcfs_on_lookup(fuse_req_t, fuse_ino_t, const char *);
{storage} void pmxcfs_on_forget(fuse_req_t, fuse_ino_t, uint64_t);
{storage} void pmxcfs_on_getattr(fuse_req_t, fuse_ino_t);
{storage} void pmxcfs_on_setattr(
    fuse_req_t, fuse_ino_t, int, uint32_t, uint32_t, uint32_t, int64_t, int64_t, int64_t);
{storage} void pmxcfs_on_readlink(fuse_req_t, fuse_ino_t);
{storage} void pmxcfs_on_mknod(fuse_req_t, fuse_ino_t, const char *, uint32_t);
{storage} void pmxcfs_on_mkdir(fuse_req_t, fuse_ino_t, const char *, uint32_t);
{storage} void pmxcfs_on_unlink(fuse_req_t, fuse_ino_t, const char *);
{storage} void pmxcfs_on_rmdir(fuse_req_t, fuse_ino_t, const char *);
{storage} void pmxcfs_on_rename(
    fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned int);
{storage} void pmxcfs_on_open(fuse_req_t, fuse_ino_t, int);
{storage} void pmxcfs_on_read(fuse_req_t, fuse_ino_t, size_t, int64_t);
{storage} void pmxcfs_on_write(fuse_req_t, fuse_ino_t, const char *, size_t, int64_t, int);
{storage} void pmxcfs_on_flush(fuse_req_t, fuse_ino_t);
{storage} void pmxcfs_on_release(fuse_req_t, fuse_ino_t);
{storage} void pmxcfs_on_fsync(fuse_req_t, fuse_ino_t, int);
{storage} void pmxcfs_on_opendir(fuse_req_t, fuse_ino_t);
{storage} void pmxcfs_on_readdir(fuse_req_t, uint64_t, size_t, int64_t);
{storage} void pmxcfs_on_releasedir(fuse_req_t, uint64_t);
{storage} void pmxcfs_on_fsyncdir(fuse_req_t, uint64_t, int);
{storage} void pmxcfs_on_statfs(fuse_req_t);
{storage} void pmxcfs_on_create(fuse_req_t, fuse_ino_t, const char *, uint32_t, int);
{storage} void pmxcfs_on_interrupt(fuse_req_t, int);
{storage} int pmxcfs_on_news(void);
"""

_SOURCE = """
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <string.h>
#include <time.h>

enum { PMXCFS_NOBODY, PMXCFS_GROUP, PMXCFS_OTHERS }; /* whom requests under way wait for */
enum { PMXCFS_KEEP_CACHE = 1, PMXCFS_CACHE_DIR = 2 };
"""

_FUNCTIONS = """
static int are_opens_silent;

/* Have the kernel open files without asking. To be called before it is served. */
static void pmxcfs_silence_opens(void)
{
    are_opens_silent = 1;
}

static int are_flushes_heard, may_closes_wait;

/* Have the kernel tell when a descriptor is closed. To be called before it is served. */
static void pmxcfs_hear_flushes(void)
{
    are_flushes_heard = 1;
}

/* Whether closing may have to wait for something; else it is answered here. */
static void pmxcfs_let_closes_wait(int may_wait)
{
    may_closes_wait = may_wait;
}

static void on_init(void *userdata, struct fuse_conn_info *connection)
{
    /* Attributes of all names come with a listing, as every management tool asks for them next. */
    connection->want |= connection->capable & FUSE_CAP_READDIRPLUS;
    connection->want &= ~FUSE_CAP_READDIRPLUS_AUTO;
    /* An inode stands for one target. */
    connection->want |= connection->capable & FUSE_CAP_CACHE_SYMLINKS;
    if (are_opens_silent) connection->want &= ~FUSE_CAP_ATOMIC_O_TRUNC;  /* it sends SETATTR then */
}

static void on_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    pmxcfs_on_getattr(request, inode);
}

static void on_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int fields,
                       struct fuse_file_info *file)
{
    int64_t atime_s = wanted->st_atim.tv_sec, mtime_s = wanted->st_mtim.tv_sec;
    if (fields & (FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (fields & FUSE_SET_ATTR_ATIME_NOW) atime_s = now.tv_sec;
        if (fields & FUSE_SET_ATTR_MTIME_NOW) mtime_s = now.tv_sec;
    }
    pmxcfs_on_setattr(request, inode, fields, wanted->st_mode, wanted->st_uid, wanted->st_gid,
                      wanted->st_size, atime_s, mtime_s);
}

static void on_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t d)
{
    pmxcfs_on_mknod(request, parent, name, mode);
}

static void on_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    if (are_opens_silent)
        fuse_reply_err(request, ENOSYS);
    else
        pmxcfs_on_open(request, inode, file->flags);
}

static void on_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    pmxcfs_on_read(request, inode, size, offset);
}

static void on_write(fuse_req_t request, fuse_ino_t inode, const char *data, size_t size,
                     off_t offset, struct fuse_file_info *file)
{
    pmxcfs_on_write(request, inode, data, size, offset, file->writepage);
}

static void on_flush(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    if (are_flushes_heard && may_closes_wait)
        pmxcfs_on_flush(request, inode);
    else
        fuse_reply_err(request, are_flushes_heard ? 0 : ENOSYS);
}

static void on_release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    pmxcfs_on_release(request, inode);
}

static void on_fsync(fuse_req_t request, fuse_ino_t inode, int datasync,
                     struct fuse_file_info *file)
{
    pmxcfs_on_fsync(request, inode, datasync);
}

static void on_opendir(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    pmxcfs_on_opendir(request, inode);
}

static void on_readdirplus(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                           struct fuse_file_info *file)
{
    pmxcfs_on_readdir(request, file->fh, size, offset);
}

static void on_releasedir(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    pmxcfs_on_releasedir(request, file->fh);
}

static void on_fsyncdir(fuse_req_t request, fuse_ino_t inode, int datasync,
                        struct fuse_file_info *file)
{
    pmxcfs_on_fsyncdir(request, file->fh, datasync);
}

static void on_statfs(fuse_req_t request, fuse_ino_t inode)
{
    pmxcfs_on_statfs(request);
}

static void on_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *file)
{
    pmxcfs_on_create(request, parent, name, mode, file->flags);
}

static const struct fuse_lowlevel_ops operations = {
    .init = on_init,
    .lookup = pmxcfs_on_lookup,
    .forget = pmxcfs_on_forget,
    .getattr = on_getattr,
    .setattr = on_setattr,
    .readlink = pmxcfs_on_readlink,
    .mknod = on_mknod,
    .mkdir = pmxcfs_on_mkdir,
    .unlink = pmxcfs_on_unlink,
    .rmdir = pmxcfs_on_rmdir,
    .rename = pmxcfs_on_rename,
    .open = on_open,
    .read = on_read,
    .write = on_write,
    .release = on_release,
    .flush = on_flush,
    .fsync = on_fsync,
    .opendir = on_opendir,
    .readdirplus = on_readdirplus,
    .releasedir = on_releasedir,
    .fsyncdir = on_fsyncdir,
    .statfs = on_statfs,
    .create = on_create,
};

static void on_interrupt(fuse_req_t request, void *nothing)
{
    pmxcfs_on_interrupt(request, fuse_req_ctx(request)->pid);
}

static int whom_requests_wait_for;

/* A request waits for others than us: from now on, until it is answered, hear when its caller is
   interrupted, also of what the kernel has told already. */
static void pmxcfs_let_wait(fuse_req_t request, int patience)
{
    whom_requests_wait_for = patience;
    fuse_req_interrupt_func(request, on_interrupt, NULL);
}

static struct fuse_buf request_buffer;

static struct fuse_session *pmxcfs_mount(const char *mountpoint, const char *options)
{
    are_opens_silent = are_flushes_heard = may_closes_wait = 0;
    char *words[] = {"pmxcfs", "-o", (char *)options, NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session =
        fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    fuse_opt_free_args(&arguments);
    if (session == NULL) return NULL;
    if (fuse_session_mount(session, mountpoint) != 0) {
        fuse_session_destroy(session);
        return NULL;
    }
    int fd = fuse_session_fd(session);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return session;
}

static void pmxcfs_unmount(struct fuse_session *session)
{
    fuse_session_unmount(session);
    fuse_session_destroy(session);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Take requests until there are none; then, if none waits, stay a moment for one more. While those
   that wait all wait for the group, hear its news here, and stay no longer than hearing_us. Begin
   nothing after count_max requests, nor after turn_us.
   Returns how many there were, or a negative errno: ENODEV when it was unmounted. */
static int pmxcfs_take_requests(
    struct fuse_session *session, int count_max, int turn_us, int linger_us,
    int patience, int news_fd, int hearing_us)
{
    int64_t begin_us = now_us();
    int64_t end_us = begin_us + turn_us;
    struct pollfd sources[] = {
        {.fd = fuse_session_fd(session), .events = POLLIN}, {.fd = news_fd, .events = POLLIN}};
    int count = 0;
    whom_requests_wait_for = patience;
    while (count < count_max && (count == 0 || now_us() < end_us)) {
        int size = fuse_session_receive_buf(session, &request_buffer);
        if (size == -EINTR) break;
        if (size == -EAGAIN) {
            int is_heard = whom_requests_wait_for == PMXCFS_GROUP && news_fd >= 0;
            if (whom_requests_wait_for != PMXCFS_NOBODY && !is_heard) break;
            int64_t wait_us = is_heard ? begin_us + hearing_us - now_us() : linger_us;
            if (wait_us <= 0) break;
            struct timespec wait = {.tv_nsec = wait_us * 1000L};
            if (ppoll(sources, is_heard ? 2 : 1, &wait, NULL) <= 0) break;
            if (is_heard && sources[1].revents) whom_requests_wait_for = pmxcfs_on_news();
            continue;
        }
        if (size <= 0) return size < 0 ? size : -ENODEV;
        fuse_session_process_buf(session, &request_buffer);
        count++;
    }
    return count;
}

static struct fuse_entry_param entry_of({stat})
{
    struct fuse_entry_param entry;
    memset(&entry, 0, sizeof entry);
    entry.ino = entry.attr.st_ino = inode;
    entry.generation = generation;
    entry.attr_timeout = attr_timeout;
    entry.entry_timeout = entry_timeout;
    entry.attr.st_mode = mode;
    entry.attr.st_uid = uid;
    entry.attr.st_gid = gid;
    entry.attr.st_nlink = link_count;
    entry.attr.st_size = size_bytes;
    entry.attr.st_blocks = blocks;
    entry.attr.st_mtim.tv_sec = mtime_ns / 1000000000;
    entry.attr.st_mtim.tv_nsec = mtime_ns % 1000000000;
    entry.attr.st_atim.tv_sec = entry.attr.st_ctim.tv_sec = entry.attr.st_mtim.tv_sec;
    return entry;
}

static int pmxcfs_reply_entry(fuse_req_t request, {stat})
{
    struct fuse_entry_param entry = entry_of({values});
    return fuse_reply_entry(request, &entry);
}

static int pmxcfs_reply_attributes(fuse_req_t request, {stat})
{
    struct fuse_entry_param entry = entry_of({values});
    return fuse_reply_attr(request, &entry.attr, attr_timeout);
}

static size_t pmxcfs_add_name(
    fuse_req_t request, char *buffer, size_t size, const char *name, int64_t position, {stat})
{
    struct fuse_entry_param entry = entry_of({values});
    return fuse_add_direntry_plus(request, buffer, size, name, &entry, position);
}

static struct fuse_file_info file_of(uint64_t handle, int flags)
{
    struct fuse_file_info file;
    memset(&file, 0, sizeof file);
    file.fh = handle;
    file.keep_cache = (flags & PMXCFS_KEEP_CACHE) != 0;
    file.cache_readdir = (flags & PMXCFS_CACHE_DIR) != 0;
    return file;
}

static int pmxcfs_reply_open(fuse_req_t request, uint64_t handle, int flags)
{
    struct fuse_file_info file = file_of(handle, flags);
    return fuse_reply_open(request, &file);
}

/* A file's handle is its inode. */
static int pmxcfs_reply_created(fuse_req_t request, {stat})
{
    struct fuse_entry_param entry = entry_of({values});
    struct fuse_file_info file = file_of(inode, PMXCFS_KEEP_CACHE);
    return fuse_reply_create(request, &entry, &file);
}

static int pmxcfs_reply_statfs(
    fuse_req_t request, uint64_t block_size_bytes, uint64_t blocks, uint64_t blocks_free,
    uint64_t inodes, uint64_t inodes_free, uint64_t name_bytes_max)
{
    struct statvfs numbers;
    memset(&numbers, 0, sizeof numbers);
    numbers.f_bsize = numbers.f_frsize = block_size_bytes;
    numbers.f_blocks = blocks;
    numbers.f_bfree = numbers.f_bavail = blocks_free;
    numbers.f_files = inodes;
    numbers.f_ffree = numbers.f_favail = inodes_free;
    numbers.f_namemax = name_bytes_max;
    return fuse_reply_statfs(request, &numbers);
}
"""

_VALUES = re.sub(r"\s+", " ", re.sub(r"\w+ (\w+)(,|$)", r"\1\2", _STAT)).strip()
"""The names of those parameters, to hand them on."""


def _spelled_out(text: str) -> str:
    return text.replace("{stat}", _STAT).replace("{values}", _VALUES)


ffibuilder = FFI()
ffibuilder.cdef(_spelled_out(_DECLARATIONS) + _CALLBACKS.format(storage='extern "Python"'))
ffibuilder.set_source_pkgconfig(
    "pmxcfs._libfuse",
    ["fuse3"],
    _SOURCE + _CALLBACKS.format(storage="static") + _spelled_out(_FUNCTIONS),
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
