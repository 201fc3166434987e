/*
 * The end of a pump, or of a writer: by `clear`, by the collector, or with the last reference.
 *
 * A call uses what the pump was given. So `clear` during a call only says that all of it is to be
 * let go of once the call is over (`is_cleared`).
 */

#ifndef ORION_PUMP_LIFE_H
#define ORION_PUMP_LIFE_H

#include "pump.h"

/* Be no pump of a group any more. */
static void
leave_group(Pump *pump)
{
    Pumps *group = pump->group;
    PyObject *descriptor = pump->descriptor;

    pump->group = NULL;
    pump->descriptor = NULL;
    if (group != NULL && group->pumps != NULL) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        /* Another one may have the number by now. */
        if (PyDict_GetItemWithError(group->pumps, descriptor) == (PyObject *)pump
            && PyDict_DelItem(group->pumps, descriptor) < 0) {
            PyErr_Clear(); /* it is not there, then */
        }
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF((PyObject *)group);
    Py_XDECREF(descriptor);
}

static void
let_go(Pump *pump)
{
    Py_ssize_t guards = pump->guard_count;

    pump->is_cleared = true;
    pump->guard_count = 0;
    leave_group(pump);
    for (Py_ssize_t n = 0; n < guards; n++) {
        Py_CLEAR(pump->guards[n].owner);
        Py_CLEAR(pump->guards[n].name);
        Py_CLEAR(pump->guards[n].value);
    }
    for (int n = 0; n < OBJECTS; n++) {
        Py_CLEAR(pump->objects[n]);
    }
}

/* Let go of everything if that was asked for during a call. */
static void
be_cleared(Pump *pump)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    let_go(pump);
    PyErr_Restore(type, value, traceback);
}

static PyObject *
pump_clear(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Pump *pump = (Pump *)self;

    pump->is_cleared = true;
    if (!pump->is_busy) {
        let_go(pump);
    }
    Py_RETURN_NONE;
}

static int
pump_let_go(PyObject *self)
{
    let_go((Pump *)self);
    Py_CLEAR(((Pump *)self)->last); /* `clear` leaves it: it is asked for afterwards */
    return 0;
}

static int
pump_traverse(PyObject *self, visitproc visit, void *arg)
{
    Pump *pump = (Pump *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)pump->group);
    for (Py_ssize_t n = 0; n < pump->guard_count; n++) {
        Py_VISIT(pump->guards[n].owner);
        Py_VISIT(pump->guards[n].value);
    }
    for (int n = 0; n < OBJECTS; n++) {
        Py_VISIT(pump->objects[n]);
    }
    Py_VISIT(pump->last);
    return 0;
}

static void
pump_dealloc(PyObject *self)
{
    Pump *pump = (Pump *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(self);
    let_go(pump);
    PyMem_Free(pump->guards);
    Py_XDECREF(pump->last);
    Py_XDECREF(pump->turn);
    Py_XDECREF((PyObject *)pump->tally);
    release(self);
    Py_DECREF(type);
}

#endif
