#include "cell.h"

#include <string.h>

#include "errors.h"

typedef int32_t describe_function(const stpn_cell *cell, int32_t index, stpn_array *array, stpn_error *error);

static int array_list_fill(ArrayList *list, const stpn_cell *cell, int32_t count, describe_function *describe)
{
    if (count < 0 || count > MAX_ARRAYS) {
        PyErr_Format(PyExc_SystemError, "a cell of %d arrays, where 0 to %d were expected", (int)count,
                     MAX_ARRAYS);
        return -1;
    }
    for (int32_t i = 0; i < count; i++) {
        stpn_array *array = &list->arrays[i];
        stpn_error error = {.struct_size = sizeof error};
        array->struct_size = sizeof *array;
        int32_t status = describe(cell, i, array, &error);
        if (status != STPN_OK) {
            raise_status(status, &error);
            return -1;
        }
        list->names[i] = PyUnicode_InternFromString(array->name);
        if (!list->names[i])
            return -1;
        list->count = i + 1;
    }
    return 0;
}

static void array_list_clear(ArrayList *list)
{
    for (int32_t i = 0; i < list->count; i++)
        Py_DECREF(list->names[i]);
}

static PyObject *shape_tuple(const stpn_array *array)
{
    PyObject *shape = PyTuple_New(array->rank);
    for (int32_t axis = 0; shape && axis < array->rank; axis++) {
        PyObject *size = PyLong_FromLongLong(array->shape[axis]);
        if (!size || PyTuple_SetItem(shape, axis, size) < 0)
            Py_CLEAR(shape);
    }
    return shape;
}

/* A tuple of item(list, i) for every array; item returns a new reference. */
static PyObject *array_list_map(const ArrayList *list, PyObject *item(const ArrayList *, int32_t))
{
    PyObject *tuple = PyTuple_New(list->count);
    for (int32_t i = 0; tuple && i < list->count; i++) {
        PyObject *value = item(list, i);
        if (!value || PyTuple_SetItem(tuple, i, value) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *name_item(const ArrayList *list, int32_t i) { return Py_NewRef(list->names[i]); }

static PyObject *description_item(const ArrayList *list, int32_t i)
{
    const stpn_array *array = &list->arrays[i];
    PyObject *shape = shape_tuple(array);
    return shape ? Py_BuildValue("ONdd", list->names[i], shape, array->low, array->high) : NULL;
}

PyObject *array_list_names(const ArrayList *list) { return array_list_map(list, name_item); }

static PyObject *batch_shape(const stpn_array *array, int64_t batch)
{
    PyObject *first = Py_BuildValue("(L)", (long long)batch);
    PyObject *rest = shape_tuple(array);
    PyObject *shape = first && rest ? PySequence_Concat(first, rest) : NULL;
    Py_XDECREF(first);
    Py_XDECREF(rest);
    return shape;
}

PyObject *array_list_shapes(const ArrayList *list, int64_t batch)
{
    PyObject *shapes = PyDict_New();
    for (int32_t i = 0; shapes && i < list->count; i++) {
        PyObject *shape = batch_shape(&list->arrays[i], batch);
        if (!shape || PyDict_SetItem(shapes, list->names[i], shape) < 0)
            Py_CLEAR(shapes);
        Py_XDECREF(shape);
    }
    return shapes;
}

static int set_number(stpn_cell *cell, const char *name, PyObject *value, int32_t *status, stpn_error *error)
{
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_Format(PyExc_ValueError, "%s: too large", name);
        return -1;
    }
    *status = stpn_cell_set_number(cell, name, number, error);
    return 0;
}

/* A string as C knows it; NULL where it is none, or one that C would take for a shorter one. */
static const char *c_string(PyObject *object)
{
    Py_ssize_t size = 0;
    const char *text = PyUnicode_Check(object) ? PyUnicode_AsUTF8AndSize(object, &size) : NULL;
    return text && strlen(text) == (size_t)size ? text : NULL;
}

static int set_option(stpn_cell *cell, PyObject *key, PyObject *value)
{
    const char *option = c_string(key);
    if (!option) {
        PyErr_Format(PyExc_TypeError, "config: expected the name of an option, got %R", key);
        return -1;
    }
    stpn_error error = {.struct_size = sizeof error};
    int32_t status;
    if (value == Py_None) {
        status = stpn_cell_set_name(cell, option, NULL, &error);
    } else if (PyUnicode_Check(value)) {
        const char *name = c_string(value);
        if (!name) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_ValueError, "%s: expected a name, got %R", option, value);
            return -1;
        }
        status = stpn_cell_set_name(cell, option, name, &error);
    } else if (PyLong_Check(value) || PyFloat_Check(value)) {
        if (set_number(cell, option, value, &status, &error) < 0)
            return -1;
    } else {
        PyErr_Format(PyExc_TypeError, "%s: expected a number, a string or None, got %R", option, value);
        return -1;
    }
    if (status != STPN_OK)
        raise_status(status, &error);
    return status == STPN_OK ? 0 : -1;
}

static int set_kind(stpn_cell *cell, PyObject *config)
{
    PyObject *kind = PyDict_GetItemString(config, "cell");
    const char *name = kind ? c_string(kind) : NULL;
    if (!name) {
        PyErr_SetString(PyExc_ValueError, "cell: expected the name of a cell");
        return -1;
    }
    stpn_error error = {.struct_size = sizeof error};
    int32_t status = stpn_cell_init_named(cell, name, &error);
    if (status != STPN_OK)
        raise_status(status, &error);
    return status == STPN_OK ? 0 : -1;
}

static int describe(stpn_cell *cell, PyObject *config, PyObject *dtype)
{
    if (set_kind(cell, config) < 0)
        return -1;
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(config, &position, &key, &value)) {
        int is_kind = PyUnicode_Check(key) && PyUnicode_CompareWithASCIIString(key, "cell") == 0;
        if (!is_kind && set_option(cell, key, value) < 0)
            return -1;
    }
    PyObject *dtype_key = PyUnicode_FromString("dtype");
    int set = dtype_key ? set_option(cell, dtype_key, dtype) : -1;
    Py_XDECREF(dtype_key);
    if (set < 0)
        return -1;
    stpn_error error = {.struct_size = sizeof error};
    int32_t status = stpn_cell_check(cell, &error);
    if (status != STPN_OK)
        raise_status(status, &error);
    return status == STPN_OK ? 0 : -1;
}

static PyObject *cell_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"config", "dtype", NULL};
    PyObject *config, *dtype;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!O:Cell", names, &PyDict_Type, &config, &dtype))
        return NULL;
    CellObject *self = (CellObject *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    self->config = PyDict_Copy(config);
    self->dtype = Py_NewRef(dtype);
    stpn_cell *cell = &self->cell;
    if (!self->config || describe(cell, self->config, dtype) < 0 ||
        array_list_fill(&self->parameters, cell, stpn_parameter_count(cell), stpn_parameter) < 0 ||
        array_list_fill(&self->states, cell, stpn_state_count(cell), stpn_state) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void cell_dealloc(PyObject *object)
{
    CellObject *self = (CellObject *)object;
    PyTypeObject *type = Py_TYPE(object);
    array_list_clear(&self->parameters);
    array_list_clear(&self->states);
    Py_XDECREF(self->config);
    Py_XDECREF(self->dtype);
    PyMem_Free(self->spare.memory);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *cell_reduce(CellObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(OO)", Py_TYPE((PyObject *)self), self->config, self->dtype);
}

static PyObject *cell_config(CellObject *self, void *Py_UNUSED(closure)) { return PyDict_Copy(self->config); }

static PyObject *cell_dtype(CellObject *self, void *Py_UNUSED(closure)) { return Py_NewRef(self->dtype); }

static PyObject *cell_description(CellObject *self, void *Py_UNUSED(closure))
{
    return PyBytes_FromStringAndSize((const char *)&self->cell, sizeof self->cell);
}

static PyObject *cell_parameters(CellObject *self, void *Py_UNUSED(closure))
{
    return array_list_map(&self->parameters, description_item);
}

static PyObject *cell_states(CellObject *self, void *Py_UNUSED(closure))
{
    return array_list_map(&self->states, description_item);
}

static PyGetSetDef cell_attributes[] = {
    {"config", (getter)cell_config, NULL, "A copy of the dict of options that the cell was made of.", NULL},
    {"dtype", (getter)cell_dtype, NULL, "'float32' or 'float64'.", NULL},
    {"description", (getter)cell_description, NULL, "The bytes of the cell's stpn_cell.", NULL},
    {"parameters", (getter)cell_parameters, NULL, "(name, shape, low, high) of each parameter.", NULL},
    {"states", (getter)cell_states, NULL, "(name, shape of one sample, low, high) of each state.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef cell_methods[] = {
    {"sequence_sizes", METHOD(cell_sequence_sizes), METH_O, "sequence_sizes(x, /): (B, T) of a sequence."},
    {"step_size", METHOD(cell_step_size), METH_O, "step_size(x_t, /): B, if x_t is the input of a step."},
    {"state_shapes", METHOD(cell_state_shapes), METH_O,
     "state_shapes(batch, /): the shape of each state by name."},
    {"tape_size", METHOD(cell_tape_size), METH_FASTCALL,
     "tape_size(batch, time, implementation, /): the bytes of a tape."},
    {"forward", METHOD(cell_forward), METH_FASTCALL,
     "forward(y, final_state, energy, x, params, state, resets, tape, threads, implementation, /)"},
    {"backward", METHOD(cell_backward), METH_FASTCALL,
     "backward(grad_x, grad_params, grad_state, grad_y, grad_final, tape, batch, time, threads, "
     "implementation, /)"},
    {"step", METHOD(cell_step), METH_FASTCALL,
     "step(y, state, energy, x_t, params, threads, implementation, /)"},
    {"__reduce__", METHOD(cell_reduce), METH_NOARGS, "Cells are copied by their config and dtype."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot cell_slots[] = {{Py_tp_doc, "Cell(config, dtype): a cell by its options. Immutable."},
                                   {Py_tp_new, cell_new},
                                   {Py_tp_dealloc, cell_dealloc},
                                   {Py_tp_getset, cell_attributes},
                                   {Py_tp_methods, cell_methods},
                                   {0, NULL}};

PyType_Spec cell_spec = {.name = "stpn_swift._kernel.Cell",
                         .basicsize = sizeof(CellObject),
                         .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                         .slots = cell_slots};
