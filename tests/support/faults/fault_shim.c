/* Preloaded into a server under test. A file of 16 bytes, mapped by the test as well, says what
 * is wrong with this machine:
 *
 *     int64 blocked      not 0: nothing becomes durable; every sync waits until this is 0 again
 *     int64 offset_ns    added to the time of day. The monotonic clock is never touched.
 *
 * The file is named by FAULT_SHIM_FILE.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t blocked;
    volatile int64_t offset_ns;
};

static struct control healthy;
static struct control *control = &healthy;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void load(void)
{
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("FAULT_SHIM_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        control = map;
}

static void wait_for_the_disk(void)
{
    struct timespec pause = {0, 1000000};
    while (control->blocked)
        nanosleep(&pause, NULL);
}

int fsync(int fd)
{
    wait_for_the_disk();
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    wait_for_the_disk();
    return syscall(SYS_fdatasync, fd);
}

int msync(void *start, size_t length, int flags)
{
    wait_for_the_disk();
    return syscall(SYS_msync, start, length, flags);
}

static void shift(struct timespec *when)
{
    int64_t ns = when->tv_nsec + control->offset_ns % 1000000000;
    when->tv_sec += control->offset_ns / 1000000000;
    if (ns < 0) {
        ns += 1000000000;
        when->tv_sec -= 1;
    } else if (ns >= 1000000000) {
        ns -= 1000000000;
        when->tv_sec += 1;
    }
    when->tv_nsec = ns;
}

int clock_gettime(clockid_t clock, struct timespec *when)
{
    int failed = real_clock_gettime ? real_clock_gettime(clock, when)
                                    : syscall(SYS_clock_gettime, clock, when);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        shift(when);
    return failed;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *when)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (when)
        *when = now.tv_sec;
    return now.tv_sec;
}
