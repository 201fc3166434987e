/*
 * What pumps have carried: counts that all pumps of a gateway add to, and that Python takes from
 * time to time.
 */

#ifndef ORION_PUMP_TALLY_H
#define ORION_PUMP_TALLY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* Counts for all pumps of a gateway. */
typedef struct {
    PyObject_HEAD
    uint64_t counts[4]; /* messages and bytes, upwards and downwards */
} Tally;

static PyObject *
tally_take(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Tally *tally = (Tally *)self;
    PyObject *taken = Py_BuildValue(
        "(KKKK)", (unsigned long long)tally->counts[0], (unsigned long long)tally->counts[1],
        (unsigned long long)tally->counts[2], (unsigned long long)tally->counts[3]);

    if (taken != NULL) {
        memset(tally->counts, 0, sizeof(tally->counts));
    }
    return taken;
}

static void
tally_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    release(self);
    Py_DECREF(type);
}

static PyMethodDef tally_methods[] = {
    {"take", tally_take, METH_NOARGS, "Return what was carried since the last call."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tally_slots[] = {
    {Py_tp_doc, "Messages and bytes that pumps have carried: see orion_twisted.net.pump."},
    {Py_tp_dealloc, tally_dealloc},
    {Py_tp_methods, tally_methods},
    {0, NULL},
};

static PyType_Spec tally_spec = {
    .name = "orion_twisted.net._pump.Tally",
    .basicsize = sizeof(Tally),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tally_slots,
};

#endif
