/*
 * Whether all is plain: each guard names an attribute, and what it has to be.
 */

#ifndef ORION_PUMP_GUARDS_H
#define ORION_PUMP_GUARDS_H

#include "life.h"

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

/*
 * Say whether all is plain; -1 and an exception if it cannot be said.
 *
 * To look may run anything. A pump is at work meanwhile: it keeps what it looks at, even if that
 * clears it. Whether it has, and whether the gate is still open, is to be asked afterwards.
 */
static int
is_plain(Pump *pump)
{
    int holds = 1;

    pump->is_busy = true;
    for (Py_ssize_t n = 0; holds == 1 && n < pump->guard_count; n++) {
        holds = guard_holds(&pump->guards[n]);
    }
    pump->is_busy = false;
    if (pump->is_cleared) {
        be_cleared(pump);
    }
    return holds;
}

#endif
