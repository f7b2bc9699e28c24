/* cell.h: _kernel.Cell, a cell's description, and the calls that it offers. */
#ifndef STPN_BRIDGE_CELL_H
#define STPN_BRIDGE_CELL_H

#include <Python.h>

#include "stpn.h"

/* More than the parameters of any cell in docs/cells.md. */
enum { MAX_ARRAYS = 16 };

/* The parameters or the states of a cell, as the kernel describes them. */
typedef struct {
    int32_t count;
    PyObject *names[MAX_ARRAYS];
    stpn_array arrays[MAX_ARRAYS];
} ArrayList;

/* The workspace of a step that is over, for the next one of the same kind. */
typedef struct {
    stpn_run run;
    void *memory; /* or NULL */
    size_t size;
} Spare;

/* Immutable but for the spare workspace, which a call takes and gives back while it holds the interpreter's
 * lock: any number of threads may use one. */
typedef struct {
    PyObject_HEAD PyObject *config;
    PyObject *dtype;
    stpn_cell cell;
    ArrayList parameters;
    ArrayList states;
    Spare spare;
} CellObject;

extern PyType_Spec cell_spec;

/* A tuple of the names. */
PyObject *array_list_names(const ArrayList *list);

/* A dict from each name to its shape, a tuple, with the batch in front. */
PyObject *array_list_shapes(const ArrayList *list, int64_t batch);

/* calls.c */
PyObject *cell_sequence_sizes(CellObject *self, PyObject *x);
PyObject *cell_step_size(CellObject *self, PyObject *x_t);
PyObject *cell_state_shapes(CellObject *self, PyObject *batch);
PyObject *cell_tape_size(CellObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *cell_forward(CellObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *cell_backward(CellObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *cell_step(CellObject *self, PyObject *const *args, Py_ssize_t count);

#endif
