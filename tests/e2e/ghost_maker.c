/* Makes a corosync die at the worst moment: its peers know its processes, but not that it is done.
 *
 * To be preloaded. While the file named by GHOST_ARM exists, the packet with the list of processes
 * (corosync's cpg joinlist) is let through, the barrier messages behind it are spoilt, so that the
 * peers wait for them, and 0.4 s later the process is killed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const unsigned char JOINLIST[8] = {2, 0, 2, 0, 0, 0, 0, 0}; /* id of the message, padded */
static const char BARRIER_GROUP[] = "sync";

static void *die_later(void *unused) {
    usleep(400000);
    kill(getpid(), SIGKILL);
    return unused;
}

static unsigned char *joinlist_in(unsigned char *packet, size_t size) {
    return memmem(packet, size, JOINLIST, sizeof JOINLIST);
}

static void spoil_barriers(unsigned char *from, unsigned char *end) {
    while ((from = memmem(from, end - from, BARRIER_GROUP, 4)) != NULL) {
        from += 4;
        /* the header follows at once, perhaps aligned: id 0 (a barrier), padding, a small size */
        for (unsigned char *id = from; id < from + 8 && id + 12 <= end; id++) {
            if (!memcmp(id, "\0\0\0\0", 4) && id[8] >= 16 && id[8] < 64 && id[9] == 0) {
                *id = 7; /* no such message */
                break;
            }
        }
    }
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    static ssize_t (*send_really)(int, const struct msghdr *, int);
    static int is_dying;
    const char *arm = getenv("GHOST_ARM");
    if (send_really == NULL)
        send_really = dlsym(RTLD_NEXT, "sendmsg");
    if (arm == NULL || access(arm, F_OK) != 0)
        return send_really(fd, message, flags);

    size_t size = 0, place = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    unsigned char *packet = malloc(size);
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        memcpy(packet + place, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
        place += message->msg_iov[i].iov_len;
    }
    unsigned char *from = packet, *found = joinlist_in(packet, size);
    if (!is_dying && found != NULL) {
        pthread_t thread;
        pthread_create(&thread, NULL, die_later, NULL);
        is_dying = 1;
        from = found;
    }
    if (is_dying)
        spoil_barriers(from, packet + size);
    struct iovec whole = {packet, size};
    struct msghdr changed = *message;
    changed.msg_iov = &whole;
    changed.msg_iovlen = 1;
    ssize_t sent = send_really(fd, &changed, flags);
    free(packet);
    return sent;
}
