/*
 * A pump's call: one read, and all that comes of it.
 */

#ifndef ORION_PUMP_READING_H
#define ORION_PUMP_READING_H

#include "carrying.h"
#include "guards.h"
#include "life.h"
#include "records.h"

/*
 * Read from the socket.
 *
 * To have it return bytes would be dear: it makes room for all that there might be, and gives most
 * of it back.
 */
static PyObject *
read_some(Pump *pump)
{
    PyObject *scratch = pump->objects[SCRATCH];
    Py_ssize_t size = size_from(pump->objects[RECEIVE], scratch, PyByteArray_Size(scratch));

    if (size > PyByteArray_Size(scratch)) {
        PyErr_SetString(PyExc_ValueError, "what was read into is not what it was");
        return NULL;
    }
    return size < 0 ? NULL : PyBytes_FromStringAndSize(PyByteArray_AsString(scratch), size);
}

/* Read and carry, once all is known to be plain. */
static PyObject *
run(Pump *pump)
{
    PyObject *data, *result;
    Py_ssize_t size;
    int done;

    data = read_some(pump);
    if (data == NULL) {
        if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
            PyErr_Clear();
            Py_RETURN_NONE;
        }
        if (PyErr_ExceptionMatches(PyExc_OSError)) {
            PyErr_Clear();
            return hand_over(pump, BROKEN, NULL, NULL, NULL);
        }
        return NULL;
    }
    size = PyBytes_Size(data);
    if (size == 0 || size == PyByteArray_Size(pump->objects[SCRATCH])
        || (pump->objects[GIVE] != NULL
            && !is_records((const uint8_t *)PyBytes_AsString(data), size))) {
        result = hand_over(pump, ARRIVED, data, NULL, NULL);
        Py_DECREF(data);
        return result;
    }
    if (pump->objects[GIVE] != NULL) {
        done = open_records(pump, data);
    }
    else {
        done = feed(pump, data) < 0 ? -1 : 1;
    }
    Py_DECREF(data);
    if (done > 0 && pump->objects[READER] != NULL) {
        done = pump->objects[SEND] == NULL ? hand_in(pump) : carry(pump);
    }
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Make a call. Returns as a connection's `doRead`. */
static PyObject *
call(Pump *pump)
{
    PyObject *result;

    Py_INCREF((PyObject *)pump);
    pump->is_busy = true;
    result = run(pump);
    pump->is_busy = false;
    if (pump->is_cleared) {
        be_cleared(pump);
    }
    Py_DECREF((PyObject *)pump);
    return result;
}

static PyObject *
pump_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    Pump *pump = (Pump *)self;
    PyObject *way, *result;
    int plain;

    if (PyTuple_Size(args) > 0 || (kwargs != NULL && PyDict_Size(kwargs) > 0)) {
        PyErr_SetString(PyExc_TypeError, "a pump takes no arguments");
        return NULL;
    }
    if (pump->is_cleared) {
        Py_RETURN_NONE;
    }
    plain = pump->is_open && !pump->is_busy ? is_plain(pump) : 0;
    if (plain < 0 || pump->is_cleared) {
        return plain < 0 ? NULL : (Py_INCREF(Py_None), Py_None);
    }
    if (plain > 0 && pump->is_open) {
        return call(pump);
    }
    way = pump->objects[WAY];
    Py_INCREF(way); /* this may clear the pump */
    result = hand_over(pump, OTHERWISE, NULL, NULL, NULL);
    Py_DECREF(way);
    return result;
}

#endif
