/*
 * The pump of the data path: from one socket to another in one call, as long as all is plain.
 *
 * orion_twisted/net/pump.py builds pumps and says when they run. A pump stands in the place of a
 * connection's `doRead`. It reads from that socket, has TLS open what came, has a reader of
 * core/wsframes.py make the other side's frames of it, has TLS seal these, and sends them. It knows
 * no socket and no OpenSSL: for each of these steps it is given public methods, which it calls. It
 * decides nothing either. What is not plain it hands to the Python that would have been there
 * without it, and what that is it is given, too.
 *
 * Where messages are looked at there are two halves of it. A pump without another socket hands over
 * each message that its reader has, or, without a reader, what it has read. A `Writer` makes a
 * frame of a message, has TLS seal it, and sends it.
 *
 * What holds:
 *
 *  1. Before a read every guard holds: an attribute that has to be what it was said to be. Does one
 *     not hold, or is the gate shut, nothing is read, and `otherwise` does what there is to do. It
 *     has been looked at since any Python has run that might have changed it: see `Pumps`.
 *  2. After that, and until something is handed over, nothing is called but the methods of the
 *     socket, of TLS and of the reader, and the clock. What these return is believed only if it
 *     can be so, and what they can reach is held by a reference of our own.
 *  3. Each byte that was read goes one way: into the reader, or to Python. Each frame that the
 *     reader gives goes to the other socket, or to Python, before the next one is asked for.
 *  4. Whatever is handed over is the last thing that a call does, but that it says in the end, if
 *     that is so, that the reader holds more, or that TLS has raised something behind it. Between
 *     a record that TLS has made and its hand-over no Python runs: records go in their order.
 *  5. `clear` during a call, or while guards are looked at, takes effect after it: what a call
 *     uses lives as long as it does.
 *  6. Whatever a group's pump has handed over may have changed anything, and so may whoever has
 *     other pumps of the group run in the middle: the group is a step older after that.
 *
 * Where that is, each of these needing only those above it:
 *
 *     tally.h     the counts
 *     pump.h      what a pump is, and what it is given to call
 *     calls.h     calling that, and handing over
 *     life.h      the end of a pump
 *     guards.h    whether all is plain
 *     records.h   what came, out of its records
 *     sending.h   what goes to the socket
 *     sealing.h   what TLS makes of it before
 *     carrying.h  what the reader makes of what came
 *     reading.h   a pump's call
 *     writing.h   a writer's call
 *     making.h    the classes Pump and Writer
 *     group.h     the pumps of a reactor
 *
 * It needs C11 and the stable ABI of Python 3.11. The parts are headers, and this file alone is
 * compiled, as in core/wsframes_c, for the same reasons. Nothing is shared with that: a pump calls
 * the codec through its methods, and looks at no payload itself.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "group.h"
#include "making.h"

#define VERSION 3 /* that of pumpload.py, or this file is not used */

/* Make a type, and have the module offer it. */
static int
offer(PyObject *module, PyType_Spec *spec)
{
    PyObject *made = PyType_FromModuleAndSpec(module, spec, NULL);
    int done;

    if (made == NULL) {
        return -1;
    }
    done = PyModule_AddType(module, (PyTypeObject *)made);
    Py_DECREF(made);
    return done;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *made;

    for (int n = 0; n < METHODS; n++) {
        state->methods[n] = PyUnicode_InternFromString(method_names[n]);
        if (state->methods[n] == NULL) {
            return -1;
        }
    }
    state->pending = PyUnicode_InternFromString("pending");
    made = PyBytes_FromStringAndSize(NULL, 0);
    if (state->pending == NULL || made == NULL) {
        Py_XDECREF(made);
        return -1;
    }
    state->join = PyObject_GetAttrString(made, "join");
    Py_DECREF(made);
    state->tally = (PyTypeObject *)PyType_FromModuleAndSpec(module, &tally_spec, NULL);
    if (state->join == NULL || state->tally == NULL
        || PyModule_AddType(module, state->tally) < 0) {
        return -1;
    }
    state->pump = (PyTypeObject *)PyType_FromModuleAndSpec(module, &pump_spec, NULL);
    if (state->pump == NULL || PyModule_AddType(module, state->pump) < 0) {
        return -1;
    }
    if (offer(module, &pumps_spec) < 0 || offer(module, &writer_spec) < 0) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->tally);
    Py_VISIT(state->pump);
    Py_VISIT(state->join);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    for (int n = 0; n < METHODS; n++) {
        Py_CLEAR(state->methods[n]);
    }
    Py_CLEAR(state->pending);
    Py_CLEAR(state->join);
    Py_CLEAR(state->tally);
    Py_CLEAR(state->pump);
    return 0;
}

static void
module_free(void *module)
{
    module_clear((PyObject *)module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_pump",
    .m_doc = "The pump of the data path, in C: see orion_twisted.net.pump.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__pump(void)
{
    return PyModuleDef_Init(&module_def);
}
