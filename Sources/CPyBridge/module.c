/* stpn_swift._kernel: the kernel for Python. */
#include <Python.h>

#include "arguments.h"
#include "cell.h"
#include "errors.h"

/* How the kernel that is linked in was built; the build says it. */
#ifndef STPN_KERNEL_BUILD
#define STPN_KERNEL_BUILD "unknown"
#endif

static PyObject *get_num_threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(stpn_get_num_threads());
}

static PyObject *set_num_threads(PyObject *Py_UNUSED(module), PyObject *argument)
{
    int32_t threads;
    if (take_int32(argument, "threads", &threads) < 0)
        return NULL;
    stpn_error error = {.struct_size = sizeof error};
    int32_t status = stpn_set_num_threads(threads, &error);
    return status == STPN_OK ? Py_NewRef(Py_None) : raise_status(status, &error);
}

static PyObject *implementations(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *list = PyList_New(0);
    int32_t best = stpn_best_implementation();
    const char *name;
    for (int32_t i = 1; list && (name = stpn_implementation_name(i)); i++) {
        PyObject *available = stpn_implementation_available(i) ? Py_True : Py_False;
        PyObject *item = Py_BuildValue("sOO", name, available, i == best ? Py_True : Py_False);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyMethodDef functions[] = {
    {"get_num_threads", get_num_threads, METH_NOARGS, "get_num_threads(): see stpn_get_num_threads."},
    {"set_num_threads", set_num_threads, METH_O, "set_num_threads(threads, /): see stpn_set_num_threads."},
    {"implementations", implementations, METH_NOARGS,
     "implementations(): (name, available, best) of each implementation."},
    {NULL, NULL, 0, NULL}};

/* The functions of stpn.h that a sequence takes, for callers in C: the extension shows none of its symbols. */
static PyObject *functions_by_name(void)
{
    return Py_BuildValue(
        "{s:N,s:N,s:N,s:N,s:N}", "stpn_parameter_count", PyLong_FromVoidPtr((void *)stpn_parameter_count),
        "stpn_state_count", PyLong_FromVoidPtr((void *)stpn_state_count), "stpn_workspace_size",
        PyLong_FromVoidPtr((void *)stpn_workspace_size), "stpn_forward",
        PyLong_FromVoidPtr((void *)stpn_forward), "stpn_backward", PyLong_FromVoidPtr((void *)stpn_backward));
}

static int execute(PyObject *module)
{
    if (stpn_version_number() != STPN_VERSION_NUMBER) {
        PyErr_Format(PyExc_ImportError, "stpn_swift._kernel was compiled for kernel %s, not %s",
                     STPN_VERSION_STRING, stpn_version_string());
        return -1;
    }
    PyObject *cell_type = PyType_FromModuleAndSpec(module, &cell_spec, NULL);
    int added = cell_type ? PyModule_AddType(module, (PyTypeObject *)cell_type) : -1;
    Py_XDECREF(cell_type);
    PyObject *addresses = added < 0 ? NULL : functions_by_name();
    added = addresses ? PyModule_AddObjectRef(module, "functions", addresses) : -1;
    Py_XDECREF(addresses);
    if (added < 0 || PyModule_AddStringConstant(module, "__version__", stpn_version_string()) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "build", STPN_KERNEL_BUILD);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {.m_base = PyModuleDef_HEAD_INIT,
                                        .m_name = "_kernel",
                                        .m_doc = "The kernel of stpn_swift, on buffers.",
                                        .m_size = 0,
                                        .m_methods = functions,
                                        .m_slots = slots};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&definition); }
