/*
 * A writer's call: a message is made a frame, or frames are joined, and sent.
 */

#ifndef ORION_PUMP_WRITING_H
#define ORION_PUMP_WRITING_H

#include "guards.h"
#include "life.h"
#include "sealing.h"

/* Return the frame of a writer's arguments, if they have one: a new object. */
static PyObject *
frame_of(Pump *writer, PyObject *args)
{
    PyObject *frame, *frames;

    if (writer->objects[FRAME] != NULL) {
        frame = PyObject_CallObject(writer->objects[FRAME], args);
    }
    else if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &frames)) {
        return NULL;
    }
    else if (PyList_Size(frames) == 1) {
        frame = PyList_GetItem(frames, 0);
        Py_INCREF(frame);
    }
    else {
        frame = PyObject_CallFunctionObjArgs(writer->state->join, frames, NULL);
    }
    if (frame != NULL && !PyBytes_CheckExact(frame)) {
        PyErr_SetString(PyExc_TypeError, "a frame has to be bytes");
        Py_CLEAR(frame);
    }
    return frame;
}

/* Write a frame, once all is known to be plain. */
static int
write_frame(Pump *writer, PyObject *args)
{
    PyObject *frame = frame_of(writer, args);
    int done;

    if (frame == NULL) {
        return -1;
    }
    done = PyBytes_Size(frame) == 0 ? 0 : put(writer, frame);
    Py_DECREF(frame);
    return done;
}

/* Write without the writer. */
static int
write_otherwise(Pump *writer, PyObject *args)
{
    /* This may clear the writer, but the method keeps the way. */
    PyObject *method = PyObject_GetAttr(writer->objects[WAY], writer->state->methods[OTHERWISE]);
    PyObject *result = method == NULL ? NULL : PyObject_CallObject(method, args);

    Py_XDECREF(method);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static PyObject *
writer_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    Pump *writer = (Pump *)self;
    int done = 0;

    if (kwargs != NULL && PyDict_Size(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "a writer takes no names");
        return NULL;
    }
    Py_INCREF(self);
    if (!writer->is_cleared && !writer->is_busy) {
        done = is_plain(writer);
    }
    if (done > 0 && !writer->is_cleared) {
        writer->is_busy = true;
        done = write_frame(writer, args);
        writer->is_busy = false;
        if (writer->is_cleared) {
            be_cleared(writer);
        }
    }
    else if (done == 0 && !writer->is_cleared) {
        done = write_otherwise(writer, args);
    }
    Py_DECREF(self);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

#endif
