/*
 * What goes: frames, sealed where there is TLS, and sent while the socket takes them.
 */

#ifndef ORION_PUMP_SENDING_H
#define ORION_PUMP_SENDING_H

#include "calls.h"

#define MOST_CONTENT (16 * 1024) /* of a record */

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

/* Hand over what TLS did not take whole, or made more of than it should. */
static int
partly(Pump *pump, PyObject *frames, Py_ssize_t taken, PyObject *sealed)
{
    PyObject *number = PyLong_FromSsize_t(taken);
    int done;

    if (number == NULL) {
        return -1;
    }
    done = leave(pump, PARTLY, frames, number, sealed);
    Py_DECREF(number);
    return done;
}

/* Seal frames, and send them. Returns as `send_all`. */
static int
seal_and_send(Pump *pump, PyObject *frames)
{
    Py_ssize_t size = PyBytes_Size(frames), taken, room;
    PyObject *number, *sealed;
    int done;

    if (size > MOST_CONTENT) {
        return leave(pump, WRITE, frames, NULL, NULL);
    }
    taken = size_from(pump->objects[SEAL], frames, size);
    if (taken < 0) {
        PyObject *error = caught();
        if (error == NULL) {
            return -1;
        }
        done = leave(pump, NOT_SEALED, frames, error, NULL);
        Py_DECREF(error);
        return done;
    }
    room = size + pump->overhead;
    number = PyLong_FromSsize_t(room);
    if (number == NULL) {
        return -1;
    }
    sealed = bytes_from(pump->objects[SEALED], number);
    Py_DECREF(number);
    if (sealed == NULL) {
        return -1;
    }
    if (taken < size || PyBytes_Size(sealed) >= room) {
        done = partly(pump, frames, taken, sealed);
    }
    else {
        done = send_all(pump, sealed);
    }
    Py_DECREF(sealed);
    return done;
}

/* Send frames, sealed where there is TLS. Returns as `send_all`. */
static int
put(Pump *pump, PyObject *frames)
{
    return pump->objects[SEAL] == NULL ? send_all(pump, frames) : seal_and_send(pump, frames);
}

#endif
