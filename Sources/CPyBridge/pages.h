/* pages.h: large pages for memory that a pass writes first.
 *
 * The first write to each page of fresh memory is a fault of the system, which costs a large training step a fifth of its
 * time. NumPy asks for large pages for its own arrays; the outputs of others, and workspaces, come from elsewhere. */
#ifndef STPN_BRIDGE_PAGES_H
#define STPN_BRIDGE_PAGES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

/* Advice, which the system may decline. */
static inline void prefer_large_pages(void *memory, size_t size)
{
#ifdef __linux__
    enum { PAGE = 1 << 21, WORTHWHILE = 2 * PAGE };
    if (size < WORTHWHILE)
        return;
    uintptr_t start = (uintptr_t)memory, end = start + size;
    uintptr_t first = (start + PAGE - 1) / PAGE * PAGE;
    madvise((void *)first, end / PAGE * PAGE - first, MADV_HUGEPAGE);
#else
    (void)memory, (void)size;
#endif
}

#endif
