#include "arguments.h"
#include "pages.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 160 };

static const char *label_text(Label label, char text[TEXT_SIZE])
{
    if (label.entry)
        snprintf(text, TEXT_SIZE, "%s['%s']", label.name, label.entry);
    else
        snprintf(text, TEXT_SIZE, "%s", label.name);
    return text;
}

static const char *shape_text(int rank, const int64_t *sizes, char text[TEXT_SIZE])
{
    static const char *letters[] = {"", "B", "T", "N"};
    size_t used = (size_t)snprintf(text, TEXT_SIZE, "(");
    for (int axis = 0; axis < rank && used < TEXT_SIZE; axis++) {
        const char *comma = axis > 0 ? ", " : "";
        if (sizes[axis] < 0)
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s", comma, letters[-sizes[axis]]);
        else
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%lld", comma, (long long)sizes[axis]);
    }
    if (used < TEXT_SIZE)
        snprintf(text + used, TEXT_SIZE - used, rank == 1 ? ",)" : ")");
    return text;
}

static int refuse_type(PyObject *object, const char *name, const char *expected)
{
    PyObject *type_name = PyType_GetName(Py_TYPE(object));
    if (type_name)
        PyErr_Format(PyExc_TypeError, "%s: expected %s, got %U", name, expected, type_name);
    Py_XDECREF(type_name);
    return -1;
}

/* The exporter's own error, about elements that the buffer protocol has no format for, say, is in the
 * message. */
static int refuse_exporter(PyObject *object, Label label, Element element)
{
    if (PyErr_ExceptionMatches(PyExc_MemoryError) || !PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyObject *type, *cause, *traceback;
    PyErr_Fetch(&type, &cause, &traceback);
    PyErr_NormalizeException(&type, &cause, &traceback);
    char name[TEXT_SIZE];
    PyErr_Format(PyExc_TypeError, "%s: expected an array of %s, got one that cannot be read as a buffer: %S",
                 label_text(label, name), element_name(element), cause ? cause : object);
    Py_XDECREF(type);
    Py_XDECREF(cause);
    Py_XDECREF(traceback);
    return -1;
}

static int check_element(const Py_buffer *view, Label label, Element element)
{
    if (element_matches(view, element))
        return 0;
    char name[TEXT_SIZE], came[TEXT_SIZE];
    PyErr_Format(PyExc_TypeError, "%s: expected %s, got %s", label_text(label, name), element_name(element),
                 element_text(view, came));
    return -1;
}

static int check_shape(const Py_buffer *view, Label label, Shape *shape)
{
    int matches = view->ndim == shape->rank;
    for (int axis = 0; matches && axis < shape->rank; axis++)
        matches = shape->sizes[axis] < 0 || shape->sizes[axis] == view->shape[axis];
    if (!matches) {
        char name[TEXT_SIZE], expected[TEXT_SIZE], came[TEXT_SIZE];
        int64_t sizes[PyBUF_MAX_NDIM];
        for (int axis = 0; axis < view->ndim; axis++)
            sizes[axis] = view->shape[axis];
        PyErr_Format(PyExc_ValueError, "%s: expected shape %s, got %s", label_text(label, name),
                     shape_text(shape->rank, shape->sizes, expected), shape_text(view->ndim, sizes, came));
        return -1;
    }
    for (int axis = 0; axis < shape->rank; axis++)
        shape->sizes[axis] = view->shape[axis];
    return 0;
}

static int is_aligned(const Py_buffer *view, Element element)
{
    return (uintptr_t)view->buf % element_size(element) == 0;
}

static int check_output(const Py_buffer *view, Label label, Element element)
{
    const char *expected = view->readonly                      ? "a writable array, got a read-only one"
                           : !PyBuffer_IsContiguous(view, 'C') ? "a C-contiguous array, got a strided one"
                           : !is_aligned(view, element)        ? "an aligned array, got one that is not"
                                                               : NULL;
    if (!expected)
        return 0;
    char name[TEXT_SIZE];
    PyErr_Format(PyExc_ValueError, "%s: expected %s", label_text(label, name), expected);
    return -1;
}

/* Leaves *pointer at the elements of an input, or moves it to a packed copy that the arguments keep. */
static int pack_input(Arguments *arguments, int index, Element element, void **pointer)
{
    Py_buffer *view = &arguments->views[index];
    if (PyBuffer_IsContiguous(view, 'C') && is_aligned(view, element))
        return 0;
    void *copy = PyMem_Malloc((size_t)view->len);
    if (!copy) {
        PyErr_NoMemory();
        return -1;
    }
    arguments->copies[index] = copy;
    *pointer = copy;
    return PyBuffer_ToContiguous(copy, view, view->len, 'C');
}

/* PyTorch exports a tensor whose signs are still to be turned as its memory lies. */
static int is_negative_view(PyObject *object)
{
    PyObject *answer =
        PyObject_HasAttrString(object, "is_neg") ? PyObject_CallMethod(object, "is_neg", NULL) : NULL;
    PyErr_Clear();
    int is_negative = answer == Py_True;
    Py_XDECREF(answer);
    return is_negative;
}

static int take_device(PyObject *object, Label label, Element element, int *type)
{
    PyObject *device = PyObject_CallMethod(object, "__dlpack_device__", NULL);
    if (!device)
        return refuse_exporter(object, label, element);
    int number, is_pair = PyTuple_Check(device) && PyArg_ParseTuple(device, "ii", type, &number);
    if (!is_pair && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_Exception))) {
        char text[TEXT_SIZE];
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "%s: expected an array whose __dlpack_device__() is two integers, got %R",
                     label_text(label, text), device);
    }
    Py_DECREF(device);
    return is_pair ? 0 : -1;
}

/* The NumPy array on the memory of an object that has DLPack but no buffer, as tensors of PyTorch. */
static PyObject *array_of_dlpack(PyObject *object, Label label, Element element)
{
    enum { CPU = 1 };
    char text[TEXT_SIZE];
    int type;
    if (take_device(object, label, element, &type) < 0)
        return NULL;
    if (type != CPU) {
        PyErr_Format(PyExc_ValueError, "%s: expected an array on the CPU, got one on DLPack's device type %d",
                     label_text(label, text), type);
        return NULL;
    }
    if (is_negative_view(object)) {
        PyErr_Format(PyExc_ValueError,
                     "%s: expected a tensor in its own memory, got a negative view: call resolve_neg()",
                     label_text(label, text));
        return NULL;
    }
    PyObject *numpy = PyImport_ImportModule("numpy");
    PyObject *array = numpy ? PyObject_CallMethod(numpy, "from_dlpack", "O", object) : NULL;
    Py_XDECREF(numpy);
    if (!array)
        refuse_exporter(object, label, element);
    return array;
}

static int take_buffer(Arguments *arguments, PyObject *object, Label label, Element element, Shape *shape,
                       Access access, void **pointer)
{
    static double nothing; /* stands for the elements of an array that has none */
    int index = arguments->count;
    Py_buffer *view = &arguments->views[index];
    if (PyObject_GetBuffer(object, view, PyBUF_FULL_RO) < 0)
        return refuse_exporter(object, label, element);
    arguments->copies[index] = NULL;
    arguments->count++;
    if (check_element(view, label, element) < 0 || check_shape(view, label, shape) < 0)
        return -1;
    if (access == OUTPUT && check_output(view, label, element) < 0)
        return -1;
    *pointer = view->buf;
    if (access == OUTPUT)
        prefer_large_pages(view->buf, (size_t)view->len);
    if (access == INPUT && pack_input(arguments, index, element, pointer) < 0)
        return -1;
    if (!*pointer)
        *pointer = &nothing;
    return 0;
}

int take_array(Arguments *arguments, PyObject *object, Label label, Element element, Shape *shape,
               Access access, Presence presence, void **pointer)
{
    char text[TEXT_SIZE];
    *pointer = NULL;
    if (object == Py_None && presence != REQUIRED)
        return 0;
    if (PyObject_CheckBuffer(object))
        return take_buffer(arguments, object, label, element, shape, access, pointer);
    if (!PyObject_HasAttrString(object, "__dlpack__"))
        return refuse_type(object, label_text(label, text), "an array");
    PyObject *array = array_of_dlpack(object, label, element);
    if (!array)
        return -1;
    int status = take_buffer(arguments, array, label, element, shape, access, pointer);
    Py_DECREF(array); /* the buffer holds it */
    return status;
}

void arguments_init(Arguments *arguments)
{
    arguments->count = 0;
    arguments->workspace = NULL;
}

void arguments_release(Arguments *arguments)
{
    for (int i = 0; i < arguments->count; i++) {
        PyBuffer_Release(&arguments->views[i]);
        PyMem_Free(arguments->copies[i]);
    }
    PyMem_Free(arguments->workspace);
    arguments_init(arguments);
}

static int refuse_entries(PyObject *dict, const char *name, const ArrayList *list)
{
    PyObject *expected = array_list_names(list);
    PyObject *came = PySequence_Tuple(dict);
    if (expected && came)
        PyErr_Format(PyExc_ValueError, "%s: expected the entries %R, got %R", name, expected, came);
    Py_XDECREF(expected);
    Py_XDECREF(came);
    return -1;
}

static Shape entry_shape(const stpn_array *array, int64_t batch)
{
    Shape shape = {.rank = 0};
    if (batch != NO_BATCH)
        shape.sizes[shape.rank++] = batch;
    for (int axis = 0; axis < array->rank; axis++)
        shape.sizes[shape.rank++] = array->shape[axis];
    return shape;
}

int take_dict(Arguments *arguments, PyObject *object, const char *name, const ArrayList *list, int64_t batch,
              Element element, Access access, Presence presence, void **pointers)
{
    memset(pointers, 0, (size_t)list->count * sizeof *pointers);
    if (object == Py_None && presence != REQUIRED)
        return 0;
    if (!PyDict_Check(object))
        return refuse_type(object, name, "a dict of arrays");
    Presence entry_presence = presence == PARTIAL ? OPTIONAL : REQUIRED;
    Py_ssize_t found = 0;
    for (int32_t i = 0; i < list->count; i++) {
        int contained = PyDict_Contains(object, list->names[i]);
        if (contained < 0)
            return -1;
        if (!contained && presence == PARTIAL)
            continue;
        if (!contained)
            return refuse_entries(object, name, list);
        PyObject *array = PyObject_GetItem(object, list->names[i]);
        if (!array)
            return -1;
        found++;
        Shape shape = entry_shape(&list->arrays[i], batch);
        int status = take_array(arguments, array, (Label){name, list->arrays[i].name}, element, &shape,
                                access, entry_presence, &pointers[i]);
        Py_DECREF(array);
        if (status < 0)
            return -1;
    }
    return found == PyDict_Size(object) ? 0 : refuse_entries(object, name, list);
}

int take_int64(PyObject *object, const char *name, int64_t *value)
{
    *value = PyLong_AsLongLong(object);
    if (*value != -1 || !PyErr_Occurred())
        return 0;
    if (PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_ValueError, "%s: expected an integer of 64 bits, got a larger one", name);
    else if (PyErr_ExceptionMatches(PyExc_TypeError))
        refuse_type(object, name, "an integer");
    return -1;
}

int take_int32(PyObject *object, const char *name, int32_t *value)
{
    int64_t wide;
    if (take_int64(object, name, &wide) < 0)
        return -1;
    if (wide < INT32_MIN || wide > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s: expected an integer of 32 bits, got a larger one", name);
        return -1;
    }
    *value = (int32_t)wide;
    return 0;
}

static int refuse_implementation(PyObject *object)
{
    PyObject *names = PyList_New(0);
    const char *known;
    for (int32_t i = 1; names && (known = stpn_implementation_name(i)); i++) {
        PyObject *name = stpn_implementation_available(i) ? PyUnicode_FromString(known) : Py_NewRef(Py_None);
        if (!name || (name != Py_None && PyList_Append(names, name) < 0))
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    if (names)
        PyErr_Format(PyExc_ValueError, "implementation: expected None or one of %R, got %R", names, object);
    Py_XDECREF(names);
    return -1;
}

int take_implementation(PyObject *object, int32_t *implementation)
{
    *implementation = STPN_BEST;
    if (object == Py_None)
        return 0;
    if (!PyUnicode_Check(object))
        return refuse_type(object, "implementation", "a string or None");
    const char *known;
    for (int32_t i = 1; (known = stpn_implementation_name(i)); i++)
        if (PyUnicode_CompareWithASCIIString(object, known) == 0 && stpn_implementation_available(i)) {
            *implementation = i;
            return 0;
        }
    return refuse_implementation(object);
}

int take_count(const char *function, Py_ssize_t count, Py_ssize_t expected)
{
    if (count == expected)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, got %zd", function, expected, count);
    return -1;
}
