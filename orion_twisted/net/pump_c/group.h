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
    Py_INCREF(self);
    pump->group = pumps;
    Py_INCREF(descriptor);
    pump->descriptor = descriptor;
    pump->checked = 0;
    /* One that had the number may go with this, and run anything. */
    if (PyDict_SetItem(pumps->pumps, descriptor, added) < 0) {
        leave_group(pump);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
pumps_disturb(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    ((Pumps *)self)->is_disturbed = true;
    Py_RETURN_NONE;
}

/* Say whether a pump may run now; if not, perhaps with an exception. */
static bool
may_run(const Pumps *pumps, Pump *pump, PyObject *event, PyObject *selectables)
{
    PyObject *found;

    if (PyLong_AsLong(PyTuple_GetItem(event, 1)) != READABLE || !pump->is_open || pump->is_busy
        || pump->is_cleared) {
        return false;
    }
    if (pump->checked != pumps->age) {
        if (is_plain(pump) <= 0) {
            PyErr_Clear(); /* a call meets it again, where it is known whose it is */
            return false;
        }
        if (!pump->is_open || pump->is_cleared) {
            return false;
        }
        pump->checked = pumps->age;
    }
    /* What had the number may be closed, and something new have it. */
    found = PyDict_GetItemWithError(selectables, PyTuple_GetItem(event, 0));
    return found != NULL && found == pump->objects[CONNECTION];
}

/*
 * Return whose event this is, if its pump may run now, as a new reference; NULL, and perhaps an
 * exception, if not.
 */
static Pump *
pump_for(const Pumps *pumps, PyObject *event, PyObject *selectables)
{
    Pump *pump;

    if (!PyTuple_Check(event) || PyTuple_Size(event) != 2) {
        PyErr_SetString(PyExc_TypeError, "an event is a descriptor and what has happened there");
        return NULL;
    }
    pump = (Pump *)PyDict_GetItemWithError(pumps->pumps, PyTuple_GetItem(event, 0));
    if (pump == NULL) {
        return NULL;
    }
    Py_INCREF((PyObject *)pump);
    if (!may_run(pumps, pump, event, selectables)) {
        Py_DECREF((PyObject *)pump);
        return NULL;
    }
    return pump;
}

/*
 * Run pumps, from an event on. False: the next event is for others, or something was raised, or
 * returned, which `result` is then.
 */
static bool
run_all(Pumps *pumps, PyObject *events, Py_ssize_t *at, PyObject *selectables, PyObject **result)
{
    for (; *at < PyList_Size(events); (*at)++) {
        PyObject *event = PyList_GetItem(events, *at), *connection, *old;
        Pump *pump;
        Py_INCREF(event); /* the list is not ours */
        pump = pump_for(pumps, event, selectables);
        Py_DECREF(event);
        if (pump == NULL) {
            *result = PyErr_Occurred() ? NULL : (Py_INCREF(Py_None), Py_None);
            return false;
        }
        connection = pump->objects[CONNECTION];
        Py_INCREF(connection); /* this may clear the pump */
        *result = call(pump);
        Py_DECREF((PyObject *)pump);
        if (*result != Py_None) {
            old = pumps->connection;
            pumps->connection = connection;
            Py_XDECREF(old);
            return false;
        }
        Py_DECREF(connection);
        Py_DECREF(*result);
    }
    return true;
}

static PyObject *
pumps_run(PyObject *self, PyObject *args)
{
    Pumps *pumps = (Pumps *)self;
    PyObject *events, *selectables, *result = NULL;
    bool is_within = pumps->is_running, is_through;
    Py_ssize_t at;

    if (!PyArg_ParseTuple(args, "O!nO!", &PyList_Type, &events, &at, &PyDict_Type, &selectables)) {
        return NULL;
    }
    if (at < 0) {
        PyErr_SetString(PyExc_ValueError, "there is no such event");
        return NULL;
    }
    if (pumps->is_disturbed) {
        pumps->age++;
    }
    pumps->is_disturbed = true; /* unless all events are the pumps' */
    pumps->is_running = true;
    Py_CLEAR(pumps->connection);
    is_through = run_all(pumps, events, &at, selectables, &result);
    pumps->at = at; /* not before: a run within this one has said where it has come to */
    pumps->is_running = is_within;
    if (!is_through) {
        return result;
    }
    pumps->is_disturbed = is_within; /* who has called this from within another run goes on */
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
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pumps_slots,
};

#endif
