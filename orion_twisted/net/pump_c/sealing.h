/*
 * What goes: frames, which TLS, where there is any, makes records of.
 */

#ifndef ORION_PUMP_SEALING_H
#define ORION_PUMP_SEALING_H

#include "sending.h"

#define MOST_CONTENT (16 * 1024) /* of a record */
#define MOST_SEALED (4 * MOST_CONTENT) /* here: as much as leantls.py joins before it sends it */

/* Hand over what TLS did not take whole, or made more of than it should. */
static int
partly(Pump *pump, PyObject *frames, Py_ssize_t taken, PyObject *sealed)
{
    PyObject *number = PyLong_FromSsize_t(taken);
    int done;

    if (number == NULL) {
        return -1;
    }
    done = leave(pump, PARTLY, frames, number, sealed);
    Py_DECREF(number);
    return done;
}

/*
 * Have TLS seal what one record holds.
 *
 * Returns what it has made of it, or NULL with an exception; `taken` is -1 if that came before TLS
 * had taken anything.
 */
static PyObject *
seal(Pump *pump, PyObject *content, Py_ssize_t *taken)
{
    Py_ssize_t size = PyBytes_Size(content);
    PyObject *room, *sealed;

    *taken = size_from(pump->objects[SEAL], content, size);
    if (*taken < 0) {
        return NULL;
    }
    room = PyLong_FromSsize_t(size + pump->overhead);
    sealed = room == NULL ? NULL : bytes_from(pump->objects[SEALED], room);
    Py_XDECREF(room);
    return sealed;
}

/* Say whether TLS has taken all of it, and has made no more of it than it should. */
static inline bool
is_whole(const Pump *pump, Py_ssize_t size, Py_ssize_t taken, PyObject *sealed)
{
    return taken == size && PyBytes_Size(sealed) < size + pump->overhead;
}

/* Hand over what TLS has taken nothing of, and what it has raised, which is raised now. */
static int
not_sealed(Pump *pump, PyObject *frames)
{
    PyObject *error = caught();
    int done = error == NULL ? -1 : leave(pump, NOT_SEALED, frames, error, NULL);

    Py_XDECREF(error);
    return done;
}

/* Seal frames that one record holds, and send them. Returns as `send_all`. */
static int
seal_and_send(Pump *pump, PyObject *frames)
{
    Py_ssize_t taken;
    PyObject *sealed = seal(pump, frames, &taken);
    int done;

    if (sealed == NULL) {
        return taken < 0 ? not_sealed(pump, frames) : -1;
    }
    if (is_whole(pump, PyBytes_Size(frames), taken, sealed)) {
        done = send_all(pump, sealed);
    }
    else {
        done = partly(pump, frames, taken, sealed);
    }
    Py_DECREF(sealed);
    return done;
}

/* Return a part of bytes, as bytes. */
static PyObject *
part_of(PyObject *bytes, Py_ssize_t start, Py_ssize_t size)
{
    return PyBytes_FromStringAndSize(PyBytes_AsString(bytes) + start, size);
}

/*
 * Seal as many whole records of frames as can be, and add what TLS has made of them to a list.
 *
 * Returns how many bytes of the frames that were, or -1 with an exception. If not all, `sealed` and
 * `taken` are what `seal` has said of the next record; where TLS has raised something, that is
 * raised still.
 */
static Py_ssize_t
seal_records(Pump *pump, PyObject *frames, PyObject *all, PyObject **sealed, Py_ssize_t *taken)
{
    Py_ssize_t size = PyBytes_Size(frames), at = 0;

    while (at < size) {
        Py_ssize_t length = size - at < MOST_CONTENT ? size - at : MOST_CONTENT;
        PyObject *content = part_of(frames, at, length);
        if (content == NULL) {
            return -1;
        }
        *sealed = seal(pump, content, taken);
        Py_DECREF(content);
        if (*sealed == NULL) {
            return *taken < 0 ? at : -1;
        }
        if (!is_whole(pump, length, *taken, *sealed)) {
            return at;
        }
        if (PyList_Append(all, *sealed) < 0) {
            return -1;
        }
        Py_CLEAR(*sealed);
        at += length;
    }
    return at;
}

/* Join what TLS has made, and send it; then hand over the frames that TLS has raised at. */
static int
send_and_not_sealed(Pump *pump, PyObject *all, PyObject *rest)
{
    PyObject *error = caught(), *data;
    int done = -1;

    if (error == NULL) {
        return -1;
    }
    data = PyObject_CallFunctionObjArgs(pump->state->join, all, NULL);
    if (data != NULL) {
        done = PyBytes_Size(data) == 0 ? 0 : send_all(pump, data);
        Py_DECREF(data);
    }
    if (done >= 0) {
        done = leave(pump, NOT_SEALED, rest, error, NULL);
    }
    Py_DECREF(error);
    return done;
}

/* Hand over frames of which TLS has not taken the first record as it should, and what it made. */
static int
partly_after(Pump *pump, PyObject *all, PyObject *rest, Py_ssize_t taken, PyObject *sealed)
{
    PyObject *data;
    int done;

    if (PyList_Append(all, sealed) < 0) {
        return -1;
    }
    /* In one piece: whoever seals anything in between would have his record go before these. */
    data = PyObject_CallFunctionObjArgs(pump->state->join, all, NULL);
    if (data == NULL) {
        return -1;
    }
    done = partly(pump, rest, taken, data);
    Py_DECREF(data);
    return done;
}

/* Seal frames that take several records, and send these in one piece. Returns as `send_all`. */
static int
seal_and_send_several(Pump *pump, PyObject *frames)
{
    PyObject *all = PyList_New(0), *sealed = NULL, *data;
    Py_ssize_t size = PyBytes_Size(frames), taken = 0, at;
    int done = -1;

    if (all == NULL) {
        return -1;
    }
    at = seal_records(pump, frames, all, &sealed, &taken);
    if (at == size) {
        data = PyObject_CallFunctionObjArgs(pump->state->join, all, NULL);
        done = data == NULL ? -1 : send_all(pump, data);
        Py_XDECREF(data);
    }
    else if (at >= 0) {
        PyObject *rest = part_of(frames, at, size - at);
        if (rest != NULL) {
            done = sealed == NULL ? send_and_not_sealed(pump, all, rest)
                                  : partly_after(pump, all, rest, taken, sealed);
            Py_DECREF(rest);
        }
    }
    Py_XDECREF(sealed);
    Py_DECREF(all);
    return done;
}

/* Send frames, sealed where there is TLS. Returns as `send_all`. */
static int
put(Pump *pump, PyObject *frames)
{
    Py_ssize_t size = PyBytes_Size(frames);

    if (pump->objects[SEAL] == NULL) {
        return send_all(pump, frames);
    }
    if (size <= MOST_CONTENT) {
        return seal_and_send(pump, frames);
    }
    return size <= MOST_SEALED ? seal_and_send_several(pump, frames)
                               : leave(pump, WRITE, frames, NULL, NULL);
}

#endif
