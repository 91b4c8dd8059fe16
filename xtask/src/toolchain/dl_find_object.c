/* gcc's unwinder asks glibc's _dl_find_object for the unwind table of an address. musl does not have that function,
   so this one looks for the table with dl_iterate_phdr. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>

/* The unwinder has weak references to these functions. A static link would leave them out, and a call would go to
   address 0. */
__attribute__((used)) static void *const needed[] = {
    pthread_once, pthread_key_create, pthread_getspecific, pthread_setspecific, pthread_mutex_lock, pthread_mutex_unlock,
};

/* The beginning of glibc's struct dl_find_object, see dlfcn.h. */
struct found {
    unsigned long long flags;
    char *start, *end;
    void *link_map, *eh_frame;
};

struct query {
    char *address;
    struct found *found;
};

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    struct query *query = data;
    char *start = 0, *end = 0, *eh_frame = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        char *begin = (char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        char *behind = begin + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            eh_frame = begin;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && begin <= query->address && query->address < behind)
            start = begin, end = behind;
    }
    if (!start || !eh_frame)
        return 0;
    *query->found = (struct found){0, start, end, 0, eh_frame};
    return 1;
}

int _dl_find_object(void *address, void *result)
{
    struct query query = {address, result};
    return dl_iterate_phdr(look, &query) == 1 ? 0 : -1;
}
