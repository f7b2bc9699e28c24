#include "errors.h"

static PyObject *exception_of(int32_t status)
{
    switch (status) {
    case STPN_ERROR_OPTION:
    case STPN_ERROR_SIZE:
    case STPN_ERROR_ALIGNMENT:
    case STPN_ERROR_OVERLAP:
    case STPN_ERROR_TAPE:
    case STPN_ERROR_IMPLEMENTATION:
        return PyExc_ValueError;
    default: /* what only a wrong call of the bridge can cause */
        return PyExc_SystemError;
    }
}

PyObject *raise_status(int32_t status, const stpn_error *error)
{
    PyErr_SetString(exception_of(status), error->message[0] ? error->message : stpn_status_name(status));
    return NULL;
}
