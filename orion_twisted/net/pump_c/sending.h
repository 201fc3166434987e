/*
 * What goes to the socket, while it takes it.
 */

#ifndef ORION_PUMP_SENDING_H
#define ORION_PUMP_SENDING_H

#include "calls.h"

/*
 * Send bytes as they are. What the socket does not take is handed over.
 *
 * Returns 1 if all of it is sent, 0 if something was handed over, -1 with an exception.
 */
static int
send_all(Pump *pump, PyObject *data)
{
    Py_ssize_t size = PyBytes_Size(data), sent = size_from(pump->objects[SEND], data, size);
    PyObject *error, *number;
    int done;

    if (sent == size) {
        return 1;
    }
    if (sent < 0) {
        if (!PyErr_ExceptionMatches(PyExc_OSError)) {
            return -1;
        }
        error = caught();
        if (error == NULL) {
            return -1;
        }
        sent = 0;
    }
    else {
        Py_INCREF(Py_None);
        error = Py_None;
    }
    number = PyLong_FromSsize_t(sent);
    done = number == NULL ? -1 : leave(pump, LEFT, data, number, error);
    Py_XDECREF(number);
    Py_DECREF(error);
    return done;
}

#endif
