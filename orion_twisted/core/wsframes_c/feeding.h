/*
 * Bytes in, and back out: `feed` takes what has come, `release` gives back what was not taken.
 */

#ifndef ORION_WSFRAMES_FEEDING_H
#define ORION_WSFRAMES_FEEDING_H

#include "held.h"

/* Return an exact `bytes` object with the waiting part of the chunk and more; a new reference. */
static PyObject *
chunk_and(const Reader *reader, PyObject *data)
{
    Py_ssize_t size, more = PyBytes_Size(data);
    const uint8_t *chunk = chunk_of(reader, &size);
    PyObject *both;

    size -= reader->at;
    if (more > PY_SSIZE_T_MAX - 64 - size) {
        return PyErr_NoMemory();
    }
    both = PyBytes_FromStringAndSize(NULL, size + more);
    if (both != NULL) {
        memcpy((uint8_t *)bytes_of(both), chunk + reader->at, size);
        memcpy((uint8_t *)bytes_of(both) + size, bytes_of(data), more);
    }
    return both;
}

static PyObject *
reader_feed(PyObject *self, PyObject *data)
{
    Reader *reader = (Reader *)self;
    PyObject *chunk, *old;

    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "feed takes bytes");
        return NULL;
    }
    if (reader->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "the reader is at work");
        return NULL;
    }
    if (reader->error != FINE) {
        raise_error(reader);
        return NULL;
    }
    if (PyBytes_Size(data) == 0) {
        Py_RETURN_NONE;
    }
    if (reader->chunk == NULL && PyBytes_CheckExact(data)) {
        Py_INCREF(data);
        chunk = data;
    }
    else {
        chunk = chunk_and(reader, data);
        if (chunk == NULL) {
            return NULL;
        }
    }
    old = reader->chunk;
    reader->chunk = chunk;
    reader->at = 0;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
reader_release(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Reader *reader = (Reader *)self;
    Py_ssize_t size;
    const uint8_t *chunk;
    PyObject *bytes;

    if (reader->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "the reader is at work");
        return NULL;
    }
    chunk = chunk_of(reader, &size);
    if (reader->held == 0 && reader->at == 0 && reader->chunk != NULL) {
        bytes = reader->chunk;
        Py_INCREF(bytes);
    }
    else {
        uint8_t *to;
        Py_ssize_t before = reader->held + (reader->body == NULL ? 0 : reader->filled);
        size -= reader->at;
        if (before > PY_SSIZE_T_MAX - 64 - size) {
            return PyErr_NoMemory();
        }
        bytes = PyBytes_FromStringAndSize(NULL, before + size);
        if (bytes == NULL) {
            return NULL;
        }
        to = (uint8_t *)bytes_of(bytes);
        memcpy(to, reader->head, reader->held);
        if (reader->body != NULL) {
            carry(to + reader->held,
                  bytes_of(reader->body) + out_head_size(reader, reader->frame.length),
                  reader->filled, reader->frame.mask, 0, NULL);
        }
        memcpy(to + before, chunk + reader->at, size);
    }
    let_go_of_held(reader);
    reader->at = 0;
    Py_CLEAR(reader->chunk);
    reader->is_odd = false;
    return bytes;
}

#endif
