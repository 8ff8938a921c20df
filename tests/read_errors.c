/* Reads of the host's journals fail as the file DELFIN_READ_FAULT says: "fail", "half" (half of
 * the bytes), "sometimes" (every third read fails) or "slow". For tests/read_errors.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t (*read_at)(int, void *, size_t, off64_t);

static ssize_t next_read(int fd, void *bytes, size_t length, off64_t at)
{
    static _Atomic(read_at) next;
    if (next == NULL)
        next = (read_at)dlsym(RTLD_NEXT, "pread64");
    return next(fd, bytes, length, at);
}

static int is_journal(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, "/performance.db") != NULL;
}

static void read_fault(char *fault, size_t size)
{
    const char *path = getenv("DELFIN_READ_FAULT");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : next_read(file, fault, size - 1, 0);
    if (file >= 0)
        close(file);
    fault[length < 0 ? 0 : length] = 0;
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t at)
{
    static atomic_uint reads;
    char fault[16];
    read_fault(fault, sizeof fault);
    if (fault[0] == 0 || !is_journal(fd))
        return next_read(fd, bytes, length, at);
    if (strcmp(fault, "fail") == 0 || (strcmp(fault, "sometimes") == 0 && reads++ % 3 == 0)) {
        errno = EIO;
        return -1;
    }
    if (strcmp(fault, "half") == 0 && length > 1)
        length /= 2;
    if (strcmp(fault, "slow") == 0)
        usleep(2000);
    return next_read(fd, bytes, length, at);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t at)
{
    return pread64(fd, bytes, length, at);
}
