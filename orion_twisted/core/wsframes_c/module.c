/*
 * The codec of the data path in C: WebSocket frames of a browser into frames of a link, and back.
 *
 * orion_twisted/core/wsframes.py says what it promises, and wsframes_py.py beside it is the same in
 * Python: one test suite and one fuzz target hold both, call by call. It needs C11 and the stable
 * ABI of Python 3.11, no more; it starts no threads, does no I/O, and never lets go of the
 * interpreter's lock.
 *
 * How bytes flow. `feed` keeps a reference to what has come, the chunk. `take` reads whole frames
 * straight out of it. What is left at its end, the beginning of a frame, moves to where it is held:
 * its header as it came to `head`, its payload, unmasked, to `body`.
 *
 * Where that is, each of these needing only those above it:
 *
 *     utf8.h           the check of text that comes in pieces
 *     mask.h           moving bytes under a mask
 *     reader.h         what a reader is, and what always holds of it
 *     heads.h          headers of both sides, read and written
 *     faults.h         frames that are not taken
 *     held.h           the frame that has begun
 *     whole.h          the frames that are whole
 *     taking.h         `take` and `take_framed`
 *     feeding.h        `feed` and `release`
 *     asking.h         `pending`, `mid_frame` and `is_odd`
 *     making.h         the classes
 *     message_frame.h  one message for a browser
 *
 * The parts are headers, and this file alone is compiled. So everything but the module's entry is
 * static: a compiler sees a message's whole way and may inline across the parts, which is worth
 * more here than compiling them apart, and needs no optimising linker; and no name can meet one of
 * another extension.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "making.h"
#include "message_frame.h"

#define VERSION 1 /* that of wsframes_py.py, or this file is not used */

/* Return an attribute of a module of this package, or NULL with an ImportError. */
static PyObject *
imported(const char *module_name, const char *name)
{
    PyObject *value, *module = PyImport_ImportModule(module_name);

    if (module == NULL) {
        return NULL;
    }
    value = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Format(PyExc_ImportError, "%s has no %s", module_name, name);
    }
    return value;
}

static int
add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int done;

    if (type == NULL) {
        return -1;
    }
    done = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return done;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);

    fill_utf8_next();
    state->frame_too_large = imported("orion_twisted.core.frames", "FrameTooLarge");
    if (state->frame_too_large == NULL) {
        return -1;
    }
    state->backend_error = imported("orion_twisted.core.errors", "BackendError");
    if (state->backend_error == NULL) {
        return -1;
    }
    if (add_type(module, &frame_reader_spec) < 0 || add_type(module, &link_reader_spec) < 0) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->frame_too_large);
    Py_VISIT(state->backend_error);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    Py_CLEAR(state->frame_too_large);
    Py_CLEAR(state->backend_error);
    return 0;
}

static void
module_free(void *module)
{
    module_clear((PyObject *)module);
}

static PyMethodDef module_methods[] = {
    {"message_frame", (PyCFunction)(void (*)(void))message_frame, METH_FASTCALL,
     "Return a server's frame of a message, unmasked."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_wsframes",
    .m_doc = "The codec of the data path, in C: see orion_twisted.core.wsframes.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__wsframes(void)
{
    return PyModuleDef_Init(&module_def);
}
