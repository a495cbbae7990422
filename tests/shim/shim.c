/*
 * A preloaded witness: writes down, in order, what a process wrote to its store, what it synced, and what left on its sockets.
 *
 * Killing a process keeps the page cache, so a missing fsync survives every kill -9. Here it does not: a success that leaves while
 * a byte of the write-ahead log is not synced stands in the trace in the wrong order.
 *
 *   SHIM_TRACE   file that lines are appended to
 *   SHIM_FAIL    while this file exists, syncing the store fails with EIO
 *
 * Lines: "dirty PATH", "synced PATH", "failed PATH", "in FD TEXT", "out FD TEXT" (TEXT: the first printable bytes, sockets only).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int trace_fd = -2;

static void note(const char *kind, const char *subject, int fd, const void *bytes, size_t length) {
    if (trace_fd == -2) {
        const char *path = getenv("SHIM_TRACE");
        trace_fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    }
    if (trace_fd < 0) return;
    char line[512];
    int used = subject ? snprintf(line, sizeof line, "%s %s", kind, subject) : snprintf(line, sizeof line, "%s %d ", kind, fd);
    for (size_t i = 0; i < length && i < 64 && used < (int)sizeof line - 2; i++) {
        unsigned char c = ((const unsigned char *)bytes)[i];
        if (c == '\r' || c == '\n') break;
        line[used++] = (c >= 32 && c < 127) ? (char)c : '.';
    }
    line[used++] = '\n';
    /* One write with O_APPEND: lines of several threads do not mix. */
    syscall(SYS_write, trace_fd, line, (size_t)used);
}

/* The path of a store file, or NULL: only a write-ahead log and a database are watched. */
static const char *store_path(int fd, char *buffer, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, size - 1);
    if (length <= 0) return NULL;
    buffer[length] = 0;
    const char *name = strrchr(buffer, '/');
    if (!name) return NULL;
    return (strstr(name, ".db-wal") || (strlen(name) > 3 && !strcmp(name + strlen(name) - 3, ".db"))) ? buffer : NULL;
}

static int is_socket(int fd) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length)) return 0;
    return address.ss_family == AF_INET || address.ss_family == AF_INET6;
}

static int sync_of(int fd, int (*real)(int)) {
    char buffer[4096];
    const char *path = store_path(fd, buffer, sizeof buffer);
    const char *fail = getenv("SHIM_FAIL");
    struct stat unused;
    if (path && fail && !stat(fail, &unused)) {
        note("failed", path, 0, NULL, 0);
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    int saved = errno;
    if (path && result == 0) note("synced", path, 0, NULL, 0);
    errno = saved;
    return result;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fsync(int fd) { REAL(fsync); return sync_of(fd, real); }
int fdatasync(int fd) { REAL(fdatasync); return sync_of(fd, real); }

static void wrote(int fd, const void *bytes, size_t length) {
    char buffer[4096];
    int saved = errno;
    const char *path = store_path(fd, buffer, sizeof buffer);
    if (path) note("dirty", path, 0, NULL, 0);
    else if (is_socket(fd)) note("out", NULL, fd, bytes, length);
    errno = saved;
}

/* What leaves is written down before it leaves, what is stored before it is stored: the trace never flatters. */
ssize_t write(int fd, const void *bytes, size_t length) { REAL(write); wrote(fd, bytes, length); return real(fd, bytes, length); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { REAL(pwrite); wrote(fd, bytes, length); return real(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { REAL(pwrite64); wrote(fd, bytes, length); return real(fd, bytes, length, at); }
ssize_t send(int fd, const void *bytes, size_t length, int flags) { REAL(send); wrote(fd, bytes, length); return real(fd, bytes, length, flags); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    if (count > 0) wrote(fd, parts[0].iov_base, parts[0].iov_len);
    return real(fd, parts, count);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    if (message->msg_iovlen > 0) wrote(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return real(fd, message, flags);
}

static ssize_t got(int fd, const void *bytes, ssize_t length) {
    int saved = errno;
    if (length > 0 && is_socket(fd)) note("in", NULL, fd, bytes, (size_t)length);
    errno = saved;
    return length;
}

ssize_t read(int fd, void *bytes, size_t length) { REAL(read); return got(fd, bytes, real(fd, bytes, length)); }
ssize_t recv(int fd, void *bytes, size_t length, int flags) { REAL(recv); return got(fd, bytes, real(fd, bytes, length, flags)); }
