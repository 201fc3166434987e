/*
 * What a pump is, a writer, and a reactor's group of pumps; and what they are given to call.
 *
 * A writer is the same struct with less in it. What it does not have is NULL.
 */

#ifndef ORION_PUMP_PUMP_H
#define ORION_PUMP_PUMP_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "tally.h"

typedef struct {
    PyObject *owner;
    PyObject *name;
    PyObject *value; /* True and False stand for all that is like them */
} Guard;

/* What a pump is given to call, each as one argument of its class. */
enum {
    CONNECTION, /* whose socket is read: what the reactor knows it by */
    WAY,     /* knows what to do with all that is not plain: has the methods below */
    READER,  /* has `pending`; None: what is read is handed over as it is */
    RECEIVE, /* (scratch) -> size: the socket's, into bytes that all pumps share */
    SCRATCH, /* these bytes: a bytearray; as many as are read at a time */
    GIVE,    /* (encrypted): TLS is given what came; None without TLS */
    OPEN,    /* (size) -> data: TLS gives what was in a record */
    FEED,    /* (data): the reader's */
    TAKE,    /* (most) -> frames, count, size; without SEND: -> messages: the reader's */
    FRAME,   /* (payload, is_binary) -> data: a writer's; None: it is given frames */
    SEAL,    /* (data) -> size: TLS is given frames; None without TLS */
    SEALED,  /* (size) -> data: what TLS has made of it */
    SEND,    /* (data) -> size: the other socket's; None: there is none */
    SECONDS, /* () -> now: noted for each read with messages in it; None: it is not */
    OBJECTS,
};

/* The methods of the way. What the first three return is what the call returns. */
enum {
    OTHERWISE,    /* (): the read without a pump; of a writer, with its arguments: the write */
    ARRIVED,      /* (data): goes on with what was read */
    BROKEN,       /* (): the socket is broken */
    NOT_OPENED,   /* (error, rest): TLS has raised that, and was not given the rest */
    GO_ON,        /* (left): the reader holds more; so many frames may still go this turn */
    CONTENT,      /* (data): this was read, and there is no reader */
    MESSAGE,      /* (payload, is_binary): the one message of a read */
    FIRST,        /* (payload, is_binary): a message, and the reader holds more */
    NOT_SEALED,   /* (data, error): TLS has raised that */
    PARTLY,       /* (data, size, sealed): TLS has taken so much, perhaps made more than that */
    WRITE,        /* (data): what is too much to be sealed here */
    LEFT,         /* (data, sent, error): the socket has taken so much, or raised that */
    METHODS,
};

static const char *const method_names[METHODS] = {
    "otherwise", "arrived", "broken", "not_opened", "go_on", "content", "message", "first",
    "not_sealed", "partly_sealed", "write", "left",
};

typedef struct {
    PyTypeObject *tally;
    PyTypeObject *pump;
    PyObject *methods[METHODS]; /* their names */
    PyObject *pending;          /* likewise, of the reader's */
    PyObject *join;             /* (contents) -> data */
} State;

/*
 * The pumps of a reactor that says when anything but them has run.
 *
 * What a guard looks at is changed by Python alone. As long as none has run, but for what pumps
 * call between a read and a send, guards that have held hold: they need not be looked at, which
 * would bring much into the processor's cache that nobody else needs.
 */
typedef struct {
    PyObject_HEAD
    PyObject *pumps;   /* by descriptor */
    uint64_t age;      /* one more each time that Python has run */
    bool is_disturbed; /* it has, since the last call */
    bool is_running;   /* a call is being made, perhaps by a pump of another one */
    Py_ssize_t at;     /* the event that the last call has come to */
    PyObject *connection; /* of that event, if its pump has returned or raised something */
} Pumps;

typedef struct {
    PyObject_HEAD
    Pumps *group;         /* or NULL */
    PyObject *descriptor; /* by which the group knows it, or NULL */
    uint64_t checked; /* the age of the group when the guards have held last */
    PyObject *objects[OBJECTS]; /* NULL for None, and all of them once it is cleared */
    PyObject *last;             /* what SECONDS has said, or NULL */
    Guard *guards;
    Py_ssize_t guard_count;
    Tally *tally;     /* or NULL: nothing is counted */
    uint64_t *counts; /* of the tally, in this direction */
    uint64_t messages;
    PyObject *turn; /* as TAKE is asked */
    Py_ssize_t frames_a_turn;
    Py_ssize_t overhead; /* of a sealed record, at most */
    char is_open;        /* the gate */
    bool is_busy;
    bool is_cleared;
    State *state; /* of the module, which its type keeps */
} Pump;

#endif
