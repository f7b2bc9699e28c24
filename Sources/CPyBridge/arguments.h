/* arguments.h: from Python's arguments to the pointers and numbers that the kernel takes.
 *
 * A call collects its buffers in an Arguments, which holds them until arguments_release(). Every function
 * here that returns int returns 0, or -1 with an exception set that names the argument, what was expected and
 * what came. */
#ifndef STPN_BRIDGE_ARGUMENTS_H
#define STPN_BRIDGE_ARGUMENTS_H

#include <Python.h>

#include "cell.h"
#include "elements.h"
#include "stpn.h"

enum { MAX_RANK = 4, MAX_BUFFERS = 5 + 3 * MAX_ARRAYS };

/* Sizes of a shape that an argument brings along. */
enum { ANY_BATCH = -1, ANY_TIME = -2, ANY_LENGTH = -3 };

/* The leading size of arrays without one. */
enum { NO_BATCH = -1 };

typedef struct {
    int rank;
    int64_t sizes[MAX_RANK];
} Shape;

/* An input that is strided or not aligned is copied; an output has to be right as it is. LOOK: no pointer is
 * wanted. */
typedef enum { INPUT, OUTPUT, LOOK } Access;

/* OPTIONAL: None gives NULL, or NULL for every entry of a dict. PARTIAL: so does an entry that is None or
 * missing. */
typedef enum { REQUIRED, OPTIONAL, PARTIAL } Presence;

/* "state['F']" for an entry of a dict, "x" with entry NULL. */
typedef struct {
    const char *name;
    const char *entry;
} Label;

typedef struct {
    int count;
    Py_buffer views[MAX_BUFFERS];
    void *copies[MAX_BUFFERS];
    void *workspace;
} Arguments;

void arguments_init(Arguments *arguments);
void arguments_release(Arguments *arguments);

/* *pointer: the elements of an array, row-major, packed and aligned; never NULL where an array was given.
 * An array is what has the buffer protocol, or DLPack on the CPU. Free sizes of the shape are replaced by those that came. */
int take_array(Arguments *arguments, PyObject *object, Label label, Element element, Shape *shape,
               Access access, Presence presence, void **pointer);

/* pointers: one per entry of the list, in its order, from a dict of arrays. batch: B in front of every shape,
 * or NO_BATCH. Names that are not of the list are refused. */
int take_dict(Arguments *arguments, PyObject *object, const char *name, const ArrayList *list, int64_t batch,
              Element element, Access access, Presence presence, void **pointers);

int take_int64(PyObject *object, const char *name, int64_t *value);
int take_int32(PyObject *object, const char *name, int32_t *value);

/* *implementation: STPN_BEST for None, else the number of the implementation of this name. */
int take_implementation(PyObject *object, int32_t *implementation);

int take_count(const char *function, Py_ssize_t count, Py_ssize_t expected);

#endif
