/*
 * The classes Pump and Writer, and how each is made of what it is given.
 */

#ifndef ORION_PUMP_MAKING_H
#define ORION_PUMP_MAKING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

#include "reading.h"
#include "writing.h"

/* Read one guard: an object, the name of an attribute, and what it has to be. */
static int
set_guard(Guard *guard, PyObject *given)
{
    PyObject *owner, *name, *value;

    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a guard is an object, a name and a value");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "OUO", &owner, &name, &value)) {
        return -1;
    }
    Py_INCREF(owner);
    Py_INCREF(name);
    Py_INCREF(value);
    PyUnicode_InternInPlace(&name);
    guard->owner = owner;
    guard->name = name;
    guard->value = value;
    return 0;
}

static int
set_guards(Pump *pump, PyObject *given)
{
    Py_ssize_t count = PyTuple_Size(given);

    pump->guards = PyMem_Calloc(count > 0 ? count : 1, sizeof(Guard));
    if (pump->guards == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t n = 0; n < count; n++) {
        if (set_guard(&pump->guards[n], PyTuple_GetItem(given, n)) < 0) {
            return -1;
        }
        pump->guard_count = n + 1;
    }
    return 0;
}

/* Say whether a pump has been given what it cannot do without; or raise TypeError. */
static bool
is_complete(const Pump *pump, int needed)
{
    /* Who has the first needs the second. */
    static const int pairs[][2] = {
        {GIVE, OPEN}, {OPEN, GIVE}, {READER, FEED}, {FEED, TAKE},
        {TAKE, READER}, {SEAL, SEALED}, {SEALED, SEND}, {SEALED, SEAL},
    };
    bool is_whole = pump->objects[WAY] != NULL && pump->objects[needed] != NULL;

    for (size_t n = 0; n < sizeof(pairs) / sizeof(pairs[0]); n++) {
        is_whole = is_whole
                   && (pump->objects[pairs[n][0]] == NULL || pump->objects[pairs[n][1]] != NULL);
    }
    if (!is_whole) {
        PyErr_SetString(PyExc_TypeError, "something is not given that others need");
    }
    return is_whole;
}

/*
 * Return a new pump, or writer, with these objects; None stands for one that it does not have.
 *
 * needed: which it has to have, beside its way.
 */
static Pump *
new_of(PyTypeObject *type, PyObject *guards, PyObject *const *objects, int needed)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Pump *pump = (Pump *)allocate(type, 0);

    if (pump == NULL) {
        return NULL;
    }
    for (int n = 0; n < OBJECTS; n++) {
        if (objects[n] != NULL && objects[n] != Py_None) {
            Py_INCREF(objects[n]);
            pump->objects[n] = objects[n];
        }
    }
    pump->state = PyType_GetModuleState(type);
    if (pump->state == NULL || !is_complete(pump, needed) || set_guards(pump, guards) < 0) {
        Py_DECREF((PyObject *)pump);
        return NULL;
    }
    return pump;
}

static PyObject *
pump_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "connection", "way", "guards", "tally", "is_upwards", "frames_a_turn", "overhead", "reader",
        "receive", "scratch", "give", "open", "feed", "take", "seal", "sealed", "send", "seconds",
        NULL,
    };
    State *state = PyType_GetModuleState(type);
    PyObject *guards, *tally, *objects[OBJECTS] = {NULL};
    Py_ssize_t frames_a_turn, overhead;
    int is_upwards;
    Pump *pump;

    if (state == NULL
        || !PyArg_ParseTupleAndKeywords(
            args, kwargs, "$OOO!OpnnOOO!OOOOOOOO", names, &objects[CONNECTION], &objects[WAY],
            &PyTuple_Type, &guards, &tally, &is_upwards, &frames_a_turn, &overhead,
            &objects[READER], &objects[RECEIVE], &PyByteArray_Type, &objects[SCRATCH],
            &objects[GIVE], &objects[OPEN], &objects[FEED], &objects[TAKE], &objects[SEAL],
            &objects[SEALED], &objects[SEND], &objects[SECONDS])) {
        return NULL;
    }
    if (frames_a_turn <= 0 || overhead < 0 || overhead > MOST_CONTENT
        || PyByteArray_Size(objects[SCRATCH]) == 0) {
        PyErr_SetString(PyExc_ValueError, "a number is out of its range");
        return NULL;
    }
    if (tally == Py_None ? objects[SEND] != Py_None : Py_TYPE(tally) != state->tally) {
        PyErr_SetString(PyExc_TypeError, "a tally counts what is sent");
        return NULL;
    }
    pump = new_of(type, guards, objects, RECEIVE);
    if (pump == NULL) {
        return NULL;
    }
    if (tally != Py_None) {
        Py_INCREF(tally);
        pump->tally = (Tally *)tally;
        pump->counts = &pump->tally->counts[is_upwards ? 0 : 2];
    }
    pump->frames_a_turn = frames_a_turn;
    pump->overhead = overhead;
    pump->turn = PyLong_FromSsize_t(frames_a_turn);
    if (pump->turn == NULL) {
        Py_DECREF((PyObject *)pump);
        return NULL;
    }
    return (PyObject *)pump;
}

static PyObject *
writer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"way", "guards", "overhead", "frame", "seal", "sealed", "send", NULL};
    PyObject *guards, *objects[OBJECTS] = {NULL};
    Py_ssize_t overhead;
    Pump *writer;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OO!nOOOO", names, &objects[WAY],
                                     &PyTuple_Type, &guards, &overhead, &objects[FRAME],
                                     &objects[SEAL], &objects[SEALED], &objects[SEND])) {
        return NULL;
    }
    if (overhead < 0 || overhead > MOST_CONTENT) {
        PyErr_SetString(PyExc_ValueError, "a number is out of its range");
        return NULL;
    }
    writer = new_of(type, guards, objects, SEND);
    if (writer != NULL) {
        writer->overhead = overhead;
    }
    return (PyObject *)writer;
}

static PyMethodDef pump_methods[] = {
    {"clear", pump_clear, METH_NOARGS, "Let go of everything; a call does nothing then."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pump_members[] = {
    {"is_open", T_BOOL, offsetof(Pump, is_open), 0, "Whether it may run."},
    {"messages", T_ULONGLONG, offsetof(Pump, messages), READONLY, "How many it has carried."},
    {"last", T_OBJECT, offsetof(Pump, last), READONLY, "When it has carried the last one."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pump_slots[] = {
    {Py_tp_doc, "From one socket to another: see orion_twisted.net.pump."},
    {Py_tp_new, pump_new},
    {Py_tp_call, pump_call},
    {Py_tp_traverse, pump_traverse},
    {Py_tp_clear, pump_let_go},
    {Py_tp_dealloc, pump_dealloc},
    {Py_tp_methods, pump_methods},
    {Py_tp_members, pump_members},
    {0, NULL},
};

static PyType_Spec pump_spec = {
    .name = "orion_twisted.net._pump.Pump",
    .basicsize = sizeof(Pump),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pump_slots,
};

static PyMethodDef writer_methods[] = {
    {"clear", pump_clear, METH_NOARGS, "Let go of everything; a call does nothing then."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, "From a message to a socket: see orion_twisted.net.pump."},
    {Py_tp_new, writer_new},
    {Py_tp_call, writer_call},
    {Py_tp_traverse, pump_traverse},
    {Py_tp_clear, pump_let_go},
    {Py_tp_dealloc, pump_dealloc},
    {Py_tp_methods, writer_methods},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "orion_twisted.net._pump.Writer",
    .basicsize = sizeof(Pump),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = writer_slots,
};

#endif
