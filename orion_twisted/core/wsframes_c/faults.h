/*
 * What becomes of a frame that is not to be taken: a browser's is odd, and left to others; with a
 * link's the link ends, in an exception that every later call raises again.
 */

#ifndef ORION_WSFRAMES_FAULTS_H
#define ORION_WSFRAMES_FAULTS_H

#include "reader.h"

/* Raise the error that a link has ended with. */
static void
raise_error(Reader *reader)
{
    State *state = PyType_GetModuleState(Py_TYPE((PyObject *)reader));
    PyObject *error = NULL;

    if (state == NULL) {
        return;
    }
    if (reader->error == TOO_LARGE) {
        error = PyObject_CallFunction(state->frame_too_large, "Kn",
                                      (unsigned long long)reader->frame.announced,
                                      reader->max_payload);
    }
    else if (reader->error == NOT_TEXT) {
        error = PyObject_CallFunction(state->backend_error, "s",
                                      "the backend sent text that is no UTF-8");
    }
    else {
        char tag = (char)reader->frame.tag;
        PyObject *shown = PyBytes_FromStringAndSize(&tag, reader->frame.tag != NO_TAG);
        if (shown == NULL) {
            return;
        }
        PyObject *why
            = PyUnicode_FromFormat("a frame has to begin with T or B, not with %R", shown);
        Py_DECREF(shown);
        if (why == NULL) {
            return;
        }
        error = PyObject_CallFunctionObjArgs(state->backend_error, why, NULL);
        Py_DECREF(why);
    }
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

/* The frame at the front is not to be taken: a browser's is left to others, a link ends with it. */
static void
refuse(Reader *reader, const Frame *frame, Fault fault)
{
    if (reader->direction == FROM_BROWSER) {
        reader->is_odd = true;
        return;
    }
    reader->error = fault;
    reader->frame.announced = frame->announced;
    reader->frame.tag = frame->tag;
    let_go_of_held(reader);
    reader->at = 0;
    Py_CLEAR(reader->chunk);
}

/* Return what is wrong with a frame that is whole. */
static inline Fault
fault_of(const Frame *frame, uint8_t utf8)
{
    if (frame->fault != FINE) {
        return frame->fault;
    }
    return frame->is_text && utf8 != FINE_SO_FAR ? NOT_TEXT : FINE;
}

#endif
