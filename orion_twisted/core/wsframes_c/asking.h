/*
 * What a reader says of itself. Nothing of this changes it, so it may be asked at any time.
 */

#ifndef ORION_WSFRAMES_ASKING_H
#define ORION_WSFRAMES_ASKING_H

#include "heads.h"

static PyObject *
reader_is_odd(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Reader *)self)->is_odd);
}

static PyObject *
reader_pending(PyObject *self, void *Py_UNUSED(closure))
{
    Reader *reader = (Reader *)self;
    Py_ssize_t size;

    chunk_of(reader, &size);
    return PyLong_FromSsize_t(size - reader->at + reader->held
                              + (reader->body == NULL ? 0 : reader->filled));
}

/* Say whether the bytes end within a frame that is not odd, by the frames' headers alone. */
static bool
ends_within(const Reader *reader)
{
    Frame frame;
    Reading reading;
    uint8_t head[MOST_HEAD];
    Py_ssize_t size, left, at = reader->at;
    const uint8_t *chunk = chunk_of(reader, &size);
    int held = reader->held;

    if (reader->is_odd) {
        return false;
    }
    if (held) {
        if (reader->body != NULL) {
            left = reader->frame.length - reader->filled;
        }
        else {
            memcpy(head, reader->head, held);
            while ((reading = read_head(reader, head, held, &frame)) == SHORT) {
                if (at == size || held == MOST_HEAD) {
                    return true;
                }
                head[held++] = chunk[at++];
            }
            if (reading == ODD) {
                return false;
            }
            left = frame.length;
        }
        if (left > size - at) {
            return true;
        }
        at += left;
    }
    while (at < size) {
        reading = read_head(reader, chunk + at, size - at, &frame);
        if (reading == ODD) {
            return false;
        }
        if (reading == SHORT || frame.length > size - at - frame.head) {
            return true;
        }
        at += frame.head + frame.length;
    }
    return false;
}

static PyObject *
reader_mid_frame(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(ends_within((Reader *)self));
}

#endif
