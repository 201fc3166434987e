/*
 * The class Pumps, all pumps of a reactor: those whose sockets can be read run one after the other,
 * up to the first event that is for others.
 */

#ifndef ORION_PUMP_GROUP_H
#define ORION_PUMP_GROUP_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

#include "reading.h"

#define READABLE 1 /* EPOLLIN of epoll_ctl(2), and no more */

static PyObject *
pumps_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Pumps *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", names)) {
        return NULL;
    }
    self = (Pumps *)allocate(type, 0);
    if (self != NULL) {
        self->age = 1; /* no guard has been looked at */
        self->pumps = PyDict_New();
        if (self->pumps == NULL) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

static PyObject *
pumps_add(PyObject *self, PyObject *args)
{
    Pumps *pumps = (Pumps *)self;
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *descriptor, *added;
    Pump *pump;

    if (state == NULL
        || !PyArg_ParseTuple(args, "O!O!", &PyLong_Type, &descriptor, state->pump, &added)) {
        return NULL;
    }
    pump = (Pump *)added;
    if (pump->group != NULL || pump->is_cleared) {
        PyErr_SetString(PyExc_ValueError, "it is in use already, or no more");
        return NULL;
    }
    if (PyDict_SetItem(pumps->pumps, descriptor, added) < 0) {
        return NULL;
    }
    Py_INCREF(self);
    pump->group = pumps;
    Py_INCREF(descriptor);
    pump->descriptor = descriptor;
    pump->checked = 0;
    Py_RETURN_NONE;
}

static PyObject *
pumps_disturb(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    ((Pumps *)self)->is_disturbed = true;
    Py_RETURN_NONE;
}

/* Return whose event this is, if its pump may run now; NULL, and perhaps an exception, if not. */
static Pump *
pump_for(const Pumps *pumps, PyObject *event, PyObject *selectables)
{
    PyObject *descriptor, *found;
    Pump *pump;
    long mask;
    int plain;

    if (!PyTuple_Check(event) || PyTuple_Size(event) != 2) {
        PyErr_SetString(PyExc_TypeError, "an event is a descriptor and what has happened there");
        return NULL;
    }
    descriptor = PyTuple_GetItem(event, 0);
    pump = (Pump *)PyDict_GetItemWithError(pumps->pumps, descriptor);
    if (pump == NULL) {
        return NULL;
    }
    mask = PyLong_AsLong(PyTuple_GetItem(event, 1));
    if (mask != READABLE || !pump->is_open || pump->is_busy || pump->is_cleared) {
        return NULL;
    }
    /* What had the number may be closed, and something new have it. */
    found = PyDict_GetItemWithError(selectables, descriptor);
    if (found == NULL || found != pump->objects[CONNECTION]) {
        return NULL;
    }
    if (pump->checked != pumps->age) {
        Py_INCREF((PyObject *)pump); /* a guard may run anything */
        plain = is_plain(pump);
        if (plain <= 0 || pump->is_cleared) {
            PyErr_Clear(); /* a call meets it again, where it is known whose it is */
            Py_DECREF((PyObject *)pump);
            return NULL;
        }
        pump->checked = pumps->age;
        Py_DECREF((PyObject *)pump);
    }
    return pump;
}

static PyObject *
pumps_run(PyObject *self, PyObject *args)
{
    Pumps *pumps = (Pumps *)self;
    PyObject *events, *selectables, *result = NULL;
    Py_ssize_t at;

    if (!PyArg_ParseTuple(args, "O!nO!", &PyList_Type, &events, &at, &PyDict_Type, &selectables)) {
        return NULL;
    }
    if (pumps->is_disturbed) {
        pumps->age++;
    }
    pumps->is_disturbed = true; /* unless all events are the pumps' */
    Py_CLEAR(pumps->connection);
    for (; at >= 0 && at < PyList_Size(events); at++) {
        Pump *pump = pump_for(pumps, PyList_GetItem(events, at), selectables);
        PyObject *connection;
        pumps->at = at;
        if (pump == NULL) {
            if (PyErr_Occurred()) {
                return NULL;
            }
            Py_RETURN_NONE;
        }
        connection = pump->objects[CONNECTION];
        Py_INCREF(connection); /* this may clear the pump */
        result = call(pump);
        if (result != Py_None) {
            PyObject *old = pumps->connection;
            pumps->connection = connection;
            Py_XDECREF(old);
            return result;
        }
        Py_DECREF(connection);
        Py_DECREF(result);
    }
    pumps->at = at;
    pumps->is_disturbed = false;
    Py_RETURN_NONE;
}

static int
pumps_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Pumps *)self)->pumps);
    Py_VISIT(((Pumps *)self)->connection);
    return 0;
}

static int
pumps_clear(PyObject *self)
{
    /* Not the dict: there always is one. It is emptied, which cuts every cycle. */
    if (((Pumps *)self)->pumps != NULL) {
        PyDict_Clear(((Pumps *)self)->pumps);
    }
    Py_CLEAR(((Pumps *)self)->connection);
    return 0;
}

static void
pumps_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Pumps *)self)->pumps);
    Py_CLEAR(((Pumps *)self)->connection);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef pumps_methods[] = {
    {"add", pumps_add, METH_VARARGS, "Have a pump run when its descriptor can be read."},
    {"disturb", pumps_disturb, METH_NOARGS, "Something else has run."},
    {"run", pumps_run, METH_VARARGS, "Run pumps up to the first event that is for others."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pumps_members[] = {
    {"at", T_PYSSIZET, offsetof(Pumps, at), READONLY, "The event that `run` has come to."},
    {"connection", T_OBJECT, offsetof(Pumps, connection), READONLY, "Whose read has ended it."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pumps_slots[] = {
    {Py_tp_doc, "The pumps of a reactor: see orion_twisted.net.leanreactor."},
    {Py_tp_new, pumps_new},
    {Py_tp_traverse, pumps_traverse},
    {Py_tp_clear, pumps_clear},
    {Py_tp_dealloc, pumps_dealloc},
    {Py_tp_methods, pumps_methods},
    {Py_tp_members, pumps_members},
    {0, NULL},
};

static PyType_Spec pumps_spec = {
    .name = "orion_twisted.net._pump.Pumps",
    .basicsize = sizeof(Pumps),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = pumps_slots,
};

#endif
