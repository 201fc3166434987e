/*
 * Taking messages: joined into frames for the other side, or each by itself.
 *
 * A call that fails for want of memory has taken nothing, and can be made again: the reader goes on
 * only when all objects are there.
 */

#ifndef ORION_WSFRAMES_TAKING_H
#define ORION_WSFRAMES_TAKING_H

#include "whole.h"

#define ALONE (16 * 1024) /* a held message beyond this is handed out alone, uncopied */

/*
 * Say whether the frame that was held, and is whole now, goes out alone.
 *
 * held: bytes of its header before it was gone on with. Were they less than say its length, it is
 * none that came in pieces: the twin in Python would not have noticed.
 */
static bool
goes_alone(const Reader *reader, int held)
{
    const Frame *frame = &reader->frame;

    return frame->length > ALONE
           && held >= (reader->direction == FROM_LINK ? reader->prefix : frame->head);
}

/* Return (bytes, count, length); takes over the reference to the bytes, also if it fails. */
static PyObject *
joined_result(PyObject *bytes, Py_ssize_t count, Py_ssize_t length)
{
    PyObject *items[3] = {bytes, NULL, NULL};
    PyObject *result = NULL;

    if (bytes != NULL) {
        items[1] = PyLong_FromSsize_t(count);
        items[2] = PyLong_FromSsize_t(length);
    }
    if (items[1] != NULL && items[2] != NULL) {
        result = PyTuple_New(3);
    }
    for (int n = 0; n < 3; n++) {
        if (result == NULL) {
            Py_XDECREF(items[n]);
        }
        else {
            PyTuple_SetItem(result, n, items[n]); /* takes the reference */
        }
    }
    return result;
}

static PyObject *
take_joined(Reader *reader, Py_ssize_t most)
{
    PyObject *bytes, *result;
    Py_ssize_t lead = 0, taken, length = 0;
    Found found;
    Walk walk;
    uint8_t *to;

    if (reader->error != FINE) {
        raise_error(reader);
        return NULL;
    }
    if (most <= 0 || reader->is_odd) {
        return joined_result(PyBytes_FromStringAndSize(NULL, 0), 0, 0);
    }
    if (reader->held) {
        int held = reader->held, whole = advance(reader);
        if (whole < 0) {
            return NULL;
        }
        if (whole == 0) {
            if (reader->error != FINE) {
                raise_error(reader);
                return NULL;
            }
            return joined_result(PyBytes_FromStringAndSize(NULL, 0), 0, 0);
        }
        lead = 1;
        length = reader->frame.length;
        if (goes_alone(reader, held)) {
            most = 1;
        }
    }
    found = find(reader, most - lead);
    if (lead && found.count == 0) {
        bytes = reader->body;
        Py_INCREF(bytes);
        to = NULL; /* nothing is written behind it */
    }
    else {
        Py_ssize_t before = lead ? PyBytes_Size(reader->body) : 0;
        if (found.out > MOST_PAYLOAD - before) {
            found.count = found.out = 0;
        }
        bytes = PyBytes_FromStringAndSize(NULL, before + found.out);
        if (bytes == NULL) {
            return NULL;
        }
        to = (uint8_t *)bytes_of(bytes);
        if (lead) {
            memcpy(to, bytes_of(reader->body), before);
            to += before;
        }
    }
    begin_walk(reader, &walk);
    for (taken = 0; taken < found.count; taken++) {
        read_head(reader, walk.chunk + walk.at, walk.size - walk.at, &walk.frame);
        int before = write_out_head(reader, to, &walk.frame);
        if (!walk_on(&walk, to + before)) {
            break;
        }
        to += before + walk.frame.length;
        length += walk.frame.length;
    }
    if (walk.fault != FINE) {
        PyObject *good = PyBytes_FromStringAndSize((const char *)bytes_of(bytes),
                                                   to - bytes_of(bytes));
        Py_DECREF(bytes);
        bytes = good;
    }
    taken += lead;
    result = joined_result(bytes, taken, length);
    if (result == NULL) {
        return NULL;
    }
    if (lead) {
        let_go_of_held(reader);
    }
    if (!end_walk(reader, &walk, taken, most)) {
        Py_CLEAR(result);
    }
    return result;
}

/* Put a message into a list, at a place that is empty. Takes over the reference to the payload. */
static bool
put(PyObject *list, Py_ssize_t place, PyObject *payload, bool is_binary)
{
    PyObject *pair;

    if (payload == NULL) {
        return false;
    }
    pair = PyTuple_Pack(2, payload, is_binary ? Py_True : Py_False);
    Py_DECREF(payload);
    return pair != NULL && PyList_SetItem(list, place, pair) == 0;
}

/* Return the message that is held, as an object of its own; a new reference. */
static PyObject *
held_message(const Reader *reader)
{
    int before = out_head_size(reader, reader->frame.length);

    if (before == 0) {
        Py_INCREF(reader->body);
        return reader->body;
    }
    return PyBytes_FromStringAndSize((const char *)bytes_of(reader->body) + before,
                                     reader->frame.length);
}

static PyObject *
take_apart(Reader *reader, Py_ssize_t most)
{
    PyObject *list;
    Py_ssize_t lead = 0, taken;
    Found found = {0, 0};
    Walk walk;

    if (most <= 0 || reader->is_odd) {
        return PyList_New(0);
    }
    if (reader->held) {
        int held = reader->held, whole = advance(reader);
        if (whole < 0) {
            return NULL;
        }
        if (whole == 0) {
            return PyList_New(0);
        }
        lead = 1;
        if (goes_alone(reader, held)) {
            most = 1;
        }
    }
    found = find(reader, most - lead);
    list = PyList_New(lead + found.count);
    if (list == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(list); /* until it is filled: nobody may come by an empty place */
    if (lead && !put(list, 0, held_message(reader), reader->frame.is_binary)) {
        goto failed;
    }
    begin_walk(reader, &walk);
    for (taken = lead; taken < lead + found.count; taken++) {
        read_head(reader, walk.chunk + walk.at, walk.size - walk.at, &walk.frame);
        PyObject *payload = PyBytes_FromStringAndSize(NULL, walk.frame.length);
        if (payload == NULL) {
            goto failed;
        }
        if (!walk_on(&walk, (uint8_t *)bytes_of(payload))) {
            Py_DECREF(payload);
            break;
        }
        if (!put(list, taken, payload, walk.frame.is_binary)) {
            goto failed;
        }
    }
    if (walk.fault != FINE && PyList_SetSlice(list, taken, lead + found.count, NULL) < 0) {
        goto failed;
    }
    PyObject_GC_Track(list);
    if (lead) {
        let_go_of_held(reader);
    }
    if (!end_walk(reader, &walk, taken, most)) {
        goto failed;
    }
    return list;

failed:
    Py_DECREF(list);
    return NULL;
}

static bool
enter(Reader *reader)
{
    if (reader->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "the reader is at work");
        return false;
    }
    reader->is_busy = true;
    return true;
}

static PyObject *
reader_take_joined(PyObject *self, PyObject *argument)
{
    Reader *reader = (Reader *)self;
    Py_ssize_t most = PyLong_AsSsize_t(argument);
    PyObject *result;

    if ((most == -1 && PyErr_Occurred()) || !enter(reader)) {
        return NULL;
    }
    result = take_joined(reader, most);
    reader->is_busy = false;
    return result;
}

static PyObject *
reader_take_framed(PyObject *self, PyObject *argument)
{
    if (((Reader *)self)->prefix == 0) {
        PyErr_SetString(PyExc_ValueError, "this reader has no framing");
        return NULL;
    }
    return reader_take_joined(self, argument);
}

static PyObject *
reader_take(PyObject *self, PyObject *argument)
{
    Reader *reader = (Reader *)self;
    Py_ssize_t most = PyLong_AsSsize_t(argument);
    PyObject *result;

    if ((most == -1 && PyErr_Occurred()) || !enter(reader)) {
        return NULL;
    }
    result = take_apart(reader, most);
    reader->is_busy = false;
    return result;
}

#endif
