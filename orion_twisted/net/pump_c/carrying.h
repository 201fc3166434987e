/*
 * What the reader makes of what came: frames for the other side, which are counted and sent, or, in
 * the half that reads, a message, which is handed over.
 */

#ifndef ORION_PUMP_CARRYING_H
#define ORION_PUMP_CARRYING_H

#include "sealing.h"

/* Count messages that go out now. */
static int
note(Pump *pump, Py_ssize_t count, Py_ssize_t size)
{
    pump->messages += count;
    pump->counts[0] += count;
    pump->counts[1] += size;
    if (pump->objects[SECONDS] != NULL) {
        PyObject *now = PyObject_CallFunctionObjArgs(pump->objects[SECONDS], NULL), *before;
        if (now == NULL) {
            return -1;
        }
        before = pump->last;
        pump->last = now;
        Py_XDECREF(before);
    }
    return 0;
}

/* Say whether the reader holds anything; -1 and an exception if it cannot be said. */
static int
holds_more(const Pump *pump)
{
    PyObject *pending = PyObject_GetAttr(pump->objects[READER], pump->state->pending);
    int more;

    if (pending == NULL) {
        return -1;
    }
    more = PyObject_IsTrue(pending);
    Py_DECREF(pending);
    return more;
}

/*
 * Carry what the reader makes of what it was fed.
 *
 * Returns 1 if all of it has gone, 0 if something was handed over, -1 with an exception.
 */
static int
carry(Pump *pump)
{
    PyObject *taken, *frames;
    Py_ssize_t count, size;
    int done = 1, more;

    taken = PyObject_CallFunctionObjArgs(pump->objects[TAKE], pump->turn, NULL);
    if (taken == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return -1;
        }
        /* A link's reader raises that again, for those who know what it means. */
        PyErr_Clear();
        return go_on(pump, pump->frames_a_turn);
    }
    if (!PyTuple_Check(taken) || PyTuple_Size(taken) != 3
        || !PyBytes_CheckExact(PyTuple_GetItem(taken, 0))) {
        PyErr_SetString(PyExc_TypeError, "frames, a count and a size have to be taken");
        Py_DECREF(taken);
        return -1;
    }
    frames = PyTuple_GetItem(taken, 0);
    count = PyLong_AsSsize_t(PyTuple_GetItem(taken, 1));
    size = PyLong_AsSsize_t(PyTuple_GetItem(taken, 2));
    if (PyErr_Occurred()) {
        done = -1;
    }
    else if (count < 0 || count > pump->frames_a_turn || size < 0) {
        PyErr_Format(PyExc_ValueError, "%zd frames of %zd bytes cannot be", count, size);
        done = -1;
    }
    else if (count > 0) {
        done = note(pump, count, size);
        if (done == 0) {
            done = put(pump, frames);
        }
    }
    Py_DECREF(taken);
    if (done < 0 || pump->is_cleared) {
        return done;
    }
    more = holds_more(pump);
    if (more > 0) {
        return go_on(pump, pump->frames_a_turn - count);
    }
    return more < 0 ? -1 : done;
}

/*
 * Hand over a message that the reader makes of what it was fed: the only one, or the first.
 *
 * Returns 0, or -1 with an exception.
 */
static int
hand_in(Pump *pump)
{
    PyObject *taken = PyObject_CallFunctionObjArgs(pump->objects[TAKE], pump->turn, NULL), *message;
    int done = -1, more;

    if (taken == NULL) {
        return -1;
    }
    if (!PyList_Check(taken) || PyList_Size(taken) > 1) {
        PyErr_SetString(PyExc_TypeError, "a list of one message has to be taken, or of none");
    }
    else if (PyList_Size(taken) == 0) {
        done = go_on(pump, pump->frames_a_turn);
    }
    else {
        message = PyList_GetItem(taken, 0);
        Py_INCREF(message); /* the list is not ours */
        if (!PyTuple_Check(message) || PyTuple_Size(message) != 2) {
            PyErr_SetString(PyExc_TypeError, "a message is a payload, and whether it is binary");
        }
        else {
            more = holds_more(pump);
            if (more >= 0) {
                done = leave(pump, more ? FIRST : MESSAGE, PyTuple_GetItem(message, 0),
                             PyTuple_GetItem(message, 1), NULL);
            }
        }
        Py_DECREF(message);
    }
    Py_DECREF(taken);
    return done;
}

#endif
