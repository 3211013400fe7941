/* libfaketime 0.9.10 refuses to sleep until a moment of the monotonic clock, which Python does since 3.11, when it is
   told to leave that clock alone. Preloaded before it, this lets the kernel do it. */
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
    return syscall(SYS_clock_nanosleep, clock, flags, wanted, left) == 0 ? 0 : errno;
}
