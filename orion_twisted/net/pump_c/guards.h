/*
 * Whether all is plain: each guard names an attribute, and what it has to be.
 */

#ifndef ORION_PUMP_GUARDS_H
#define ORION_PUMP_GUARDS_H

#include "pump.h"

/* Say whether an attribute is what it has to be; -1 and an exception if it cannot be said. */
static int
guard_holds(const Guard *guard)
{
    PyObject *now = PyObject_GetAttr(guard->owner, guard->name);
    int holds;

    if (now == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    if (now == guard->value) {
        holds = 1;
    }
    else if (guard->value == Py_False || guard->value == Py_True) {
        holds = PyObject_IsTrue(now);
        if (holds >= 0) {
            holds = holds == (guard->value == Py_True);
        }
    }
    else if (guard->value == Py_None) {
        holds = 0;
    }
    else {
        holds = PyObject_RichCompareBool(now, guard->value, Py_EQ);
    }
    Py_DECREF(now);
    return holds;
}

static int
is_plain(const Pump *pump)
{
    for (Py_ssize_t n = 0; n < pump->guard_count; n++) {
        int holds = guard_holds(&pump->guards[n]);
        if (holds != 1) {
            return holds;
        }
    }
    return 1;
}

#endif
