/*
 * Calling what a pump was given, and believing what it returns only if it can be so; and handing
 * over to Python what is not a pump's.
 */

#ifndef ORION_PUMP_CALLS_H
#define ORION_PUMP_CALLS_H

#include "pump.h"

/* Call an object, whatever it returns: 0, or -1 with an exception. */
static int
tell(PyObject *callable, PyObject *argument)
{
    PyObject *result = PyObject_CallFunctionObjArgs(callable, argument, NULL);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Hand something over: call a method of the way, and return what it returns. */
static PyObject *
hand_over(Pump *pump, int method, PyObject *one, PyObject *two, PyObject *three)
{
    Pumps *group = pump->group;
    PyObject *result;

    Py_XINCREF((PyObject *)group); /* this may clear the pump */
    result = PyObject_CallMethodObjArgs(pump->objects[WAY], pump->state->methods[method], one, two,
                                        three, NULL);
    if (group != NULL) {
        group->age++; /* not before: it may have run others of the group, and have gone on then */
        Py_DECREF((PyObject *)group);
    }
    return result;
}

/* The same, where nothing is returned: 0, or -1 with an exception. */
static int
leave(Pump *pump, int method, PyObject *one, PyObject *two, PyObject *three)
{
    PyObject *result = hand_over(pump, method, one, two, three);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Hand over what the reader holds. */
static int
go_on(Pump *pump, Py_ssize_t left)
{
    PyObject *number = PyLong_FromSsize_t(left);
    int done;

    if (number == NULL) {
        return -1;
    }
    done = leave(pump, GO_ON, number, NULL, NULL);
    Py_DECREF(number);
    return done;
}

/* Return the exception that was raised, as an object with its traceback; nothing is raised then. */
static PyObject *
caught(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_XDECREF(type);
    return value;
}

/* Return what a call says, which has to be bytes. */
static PyObject *
bytes_from(PyObject *callable, PyObject *argument)
{
    PyObject *bytes = PyObject_CallFunctionObjArgs(callable, argument, NULL);

    if (bytes != NULL && !PyBytes_CheckExact(bytes)) {
        PyErr_Format(PyExc_TypeError, "%R has to return bytes", callable);
        Py_CLEAR(bytes);
    }
    return bytes;
}

/* Return what a call says, which has to be a size up to `most`; -1 and an exception if it raises. */
static Py_ssize_t
size_from(PyObject *callable, PyObject *argument, Py_ssize_t most)
{
    PyObject *result = PyObject_CallFunctionObjArgs(callable, argument, NULL);
    Py_ssize_t size;

    if (result == NULL) {
        return -1;
    }
    size = PyLong_AsSsize_t(result);
    Py_DECREF(result);
    if (size == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (size < 0 || size > most) {
        PyErr_Format(PyExc_ValueError, "%R says %zd of %zd bytes", callable, size, most);
        return -1;
    }
    return size;
}

#endif
