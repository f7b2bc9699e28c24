/* errors.h: from statuses of the kernel to exceptions of Python. */
#ifndef STPN_BRIDGE_ERRORS_H
#define STPN_BRIDGE_ERRORS_H

#include <Python.h>

#include "stpn.h"

/* Raises what a failed call of the kernel stands for, and returns NULL. */
PyObject *raise_status(int32_t status, const stpn_error *error);

#endif
