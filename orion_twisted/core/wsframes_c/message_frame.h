/*
 * A server's frame of one message, by itself: no reader has to do with it.
 */

#ifndef ORION_WSFRAMES_MESSAGE_FRAME_H
#define ORION_WSFRAMES_MESSAGE_FRAME_H

#include "heads.h"

static PyObject *
message_frame(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t length;
    uint8_t head[MOST_OUT_HEAD];
    int size, is_binary;
    PyObject *frame;

    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "message_frame takes bytes, and whether they are binary");
        return NULL;
    }
    is_binary = PyObject_IsTrue(args[1]);
    if (is_binary < 0) {
        return NULL;
    }
    length = PyBytes_Size(args[0]);
    if (length > MOST_PAYLOAD) {
        return PyErr_NoMemory();
    }
    size = write_server_head(head, length, is_binary);
    frame = PyBytes_FromStringAndSize(NULL, size + length);
    if (frame != NULL) {
        memcpy((uint8_t *)bytes_of(frame), head, size);
        memcpy((uint8_t *)bytes_of(frame) + size, bytes_of(args[0]), length);
    }
    return frame;
}

#endif
