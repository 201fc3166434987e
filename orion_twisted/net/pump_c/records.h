/*
 * What came: over TLS, records, which are recognised by their headers and opened one by one, each
 * asked for when it is known to be there whole. What was in them goes to the reader in one piece.
 */

#ifndef ORION_PUMP_RECORDS_H
#define ORION_PUMP_RECORDS_H

#include "calls.h"

#define HEADER 5 /* of a record: type, version, length (RFC 8446, 5.1) */
#define MOST_ENCRYPTED (16 * 1024 + 256)
#define PIECE (HEADER + MOST_ENCRYPTED) /* given to TLS at a time: see leantls.py */
#define APPLICATION_DATA 23

/*
 * Say whether bytes that begin where a record does are whole records which carry data, no more and
 * no less.
 */
static bool
is_records(const uint8_t *at, Py_ssize_t size)
{
    do {
        Py_ssize_t length;
        if (size <= HEADER || at[0] != APPLICATION_DATA || at[1] != 3 || at[2] != 3) {
            return false;
        }
        length = at[3] << 8 | at[4];
        if (length > MOST_ENCRYPTED || length > size - HEADER) {
            return false;
        }
        at += HEADER + length;
        size -= HEADER + length;
    } while (size > 0);
    return true;
}

/* Return how long a record is that begins here. */
static inline Py_ssize_t
record_at(const uint8_t *at)
{
    return HEADER + (at[3] << 8 | at[4]);
}

/* Hand over that TLS has raised something, and what of the data it was not given. */
static int
not_opened(Pump *pump, PyObject *error, PyObject *data, Py_ssize_t given)
{
    PyObject *rest = PyBytes_FromStringAndSize(PyBytes_AsString(data) + given,
                                               PyBytes_Size(data) - given);
    int done;

    if (rest == NULL) {
        return -1;
    }
    done = leave(pump, NOT_OPENED, error, rest, NULL);
    Py_DECREF(rest);
    return done;
}

/* Give bytes to TLS, which has to take all of them. */
static int
give(Pump *pump, PyObject *piece)
{
    Py_ssize_t size = PyBytes_Size(piece), taken = size_from(pump->objects[GIVE], piece, size);

    if (taken >= 0 && taken < size) {
        PyErr_Format(PyExc_ValueError, "TLS has taken %zd of %zd bytes", taken, size);
        return -1;
    }
    return taken < 0 ? -1 : 0;
}

/* Give bytes to the reader, or, where there is none, hand them over. */
static int
feed(Pump *pump, PyObject *data)
{
    return pump->objects[READER] == NULL ? leave(pump, CONTENT, data, NULL, NULL)
                                         : tell(pump->objects[FEED], data);
}

/* The same with bytes that may be in several pieces. */
static int
feed_all(Pump *pump, PyObject *first, PyObject *all)
{
    PyObject *data;
    int done;

    if (all == NULL) {
        return first == NULL ? 0 : feed(pump, first);
    }
    data = PyObject_CallFunctionObjArgs(pump->state->join, all, NULL);
    if (data == NULL) {
        return -1;
    }
    done = feed(pump, data);
    Py_DECREF(data);
    return done;
}

/* Keep the content of one more record: the first by itself, several in a list. */
static int
keep(PyObject **first, PyObject **all, PyObject *content)
{
    if (*first == NULL) {
        Py_INCREF(content);
        *first = content;
        return 0;
    }
    if (*all == NULL) {
        *all = PyList_New(0);
        if (*all == NULL || PyList_Append(*all, *first) < 0) {
            return -1;
        }
    }
    return PyList_Append(*all, content);
}

/*
 * Have TLS open whole records, and feed the reader with what is in them.
 *
 * Returns 1 if all went well, 0 if something was handed over, -1 with an exception.
 */
static int
open_records(Pump *pump, PyObject *data)
{
    const uint8_t *bytes = (const uint8_t *)PyBytes_AsString(data);
    Py_ssize_t size = PyBytes_Size(data), at = 0, given = 0;
    PyObject *first = NULL, *all = NULL;
    int done = 1;

    while (done > 0 && at < size) {
        PyObject *number, *content;
        if (at == given) {
            /* As many records as TLS may be given at a time. */
            PyObject *piece = data;
            do {
                given += record_at(bytes + given);
            } while (given < size && given - at + record_at(bytes + given) <= PIECE);
            if (given - at == size) {
                Py_INCREF(piece);
            }
            else {
                piece = PyBytes_FromStringAndSize((const char *)bytes + at, given - at);
            }
            if (piece == NULL || give(pump, piece) < 0) {
                done = -1;
            }
            Py_XDECREF(piece);
            if (done < 0) {
                break;
            }
        }
        /* Encrypted, it is longer than what is in it: the call cannot come up short. */
        number = PyLong_FromSsize_t(record_at(bytes + at));
        content = number == NULL ? NULL : bytes_from(pump->objects[OPEN], number);
        Py_XDECREF(number);
        if (content == NULL) {
            /* What was in the records before it is the reader's all the same. */
            PyObject *error = caught();
            done = error == NULL ? -1 : feed_all(pump, first, all);
            if (done == 0) {
                done = not_opened(pump, error, data, given);
            }
            Py_XDECREF(error);
            break;
        }
        if (keep(&first, &all, content) < 0) {
            done = -1;
        }
        Py_DECREF(content);
        at += record_at(bytes + at);
    }
    if (done > 0 && feed_all(pump, first, all) < 0) {
        done = -1;
    }
    Py_XDECREF(first);
    Py_XDECREF(all);
    return done;
}

#endif
