// For an enabled SO_KEEPALIVE, the BSDs' `getsockopt` returns the option's bit, 8, and Linux returns 1. This
// `getsockopt` returns 8 on Linux.

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SO_KEEPALIVE_OF_BSD = 8 };

int getsockopt(int socket, int level, int name, void *value, socklen_t *length)
{
    int result = syscall(SYS_getsockopt, socket, level, name, value, length);
    if (result == 0 && level == SOL_SOCKET && name == SO_KEEPALIVE && *(int *)value == 1)
        *(int *)value = SO_KEEPALIVE_OF_BSD;
    return result;
}
