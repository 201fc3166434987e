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
 *     socket, of TLS and of the reader.
 *  3. Each byte that was read goes one way: into the reader, or to Python. Each frame that the
 *     reader gives goes to the other socket, or to Python, before the next one is asked for.
 *  4. Whatever is handed over is the last thing that a call does, but that it says in the end, if
 *     that is so, that the reader holds more, or that TLS has raised something behind it.
 *  5. `clear` during a call takes effect after it: what a call uses lives as long as it does.
 *
 * This file needs C11 and the stable ABI of Python 3.11.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VERSION 3 /* that of pumpload.py, or this file is not used */

#define HEADER 5                      /* of a record: type, version, length (RFC 8446, 5.1) */
#define MOST_CONTENT (16 * 1024)      /* of a record */
#define MOST_ENCRYPTED (16 * 1024 + 256)
#define PIECE (HEADER + MOST_ENCRYPTED) /* given to TLS at a time: see leantls.py */
#define APPLICATION_DATA 23
#define READABLE 1 /* EPOLLIN of epoll_ctl(2), and no more */

/* ---- What was carried ---- */

/* Counts for all pumps of a gateway. */
typedef struct {
    PyObject_HEAD
    uint64_t counts[4]; /* messages and bytes, upwards and downwards */
} Tally;

static PyObject *
tally_take(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Tally *tally = (Tally *)self;
    PyObject *taken = Py_BuildValue(
        "(KKKK)", (unsigned long long)tally->counts[0], (unsigned long long)tally->counts[1],
        (unsigned long long)tally->counts[2], (unsigned long long)tally->counts[3]);

    if (taken != NULL) {
        memset(tally->counts, 0, sizeof(tally->counts));
    }
    return taken;
}

static void
tally_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    release(self);
    Py_DECREF(type);
}

/* ---- What a pump is ---- */

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
    WRITE,        /* (data): what is too much for one record */
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

/* Call an object, whatever it returns: 0, or -1 with an exception. */
static int
tell(PyObject *callable, PyObject *argument)
{
    PyObject *result = PyObject_CallFunctionObjArgs(callable, argument, NULL);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Hand something over: call a method of the way, and return what it returns. */
static PyObject *
hand_over(Pump *pump, int method, PyObject *one, PyObject *two, PyObject *three)
{
    if (pump->group != NULL) {
        pump->group->age++;
    }
    return PyObject_CallMethodObjArgs(pump->objects[WAY], pump->state->methods[method], one, two,
                                      three, NULL);
}

/* The same, where nothing is returned: 0, or -1 with an exception. */
static int
leave(Pump *pump, int method, PyObject *one, PyObject *two, PyObject *three)
{
    PyObject *result = hand_over(pump, method, one, two, three);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Hand over what the reader holds. */
static int
go_on(Pump *pump, Py_ssize_t left)
{
    PyObject *number = PyLong_FromSsize_t(left);
    int done;

    if (number == NULL) {
        return -1;
    }
    done = leave(pump, GO_ON, number, NULL, NULL);
    Py_DECREF(number);
    return done;
}

/* Return the exception that was raised, as an object with its traceback; nothing is raised then. */
static PyObject *
caught(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_XDECREF(type);
    return value;
}

/* Return what a call says, which has to be bytes. */
static PyObject *
bytes_from(PyObject *callable, PyObject *argument)
{
    PyObject *bytes = PyObject_CallFunctionObjArgs(callable, argument, NULL);

    if (bytes != NULL && !PyBytes_CheckExact(bytes)) {
        PyErr_Format(PyExc_TypeError, "%R has to return bytes", callable);
        Py_CLEAR(bytes);
    }
    return bytes;
}

/* Return what a call says, which has to be a size up to `most`; -1 and an exception if it raises. */
static Py_ssize_t
size_from(PyObject *callable, PyObject *argument, Py_ssize_t most)
{
    PyObject *result = PyObject_CallFunctionObjArgs(callable, argument, NULL);
    Py_ssize_t size;

    if (result == NULL) {
        return -1;
    }
    size = PyLong_AsSsize_t(result);
    Py_DECREF(result);
    if (size == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (size < 0 || size > most) {
        PyErr_Format(PyExc_ValueError, "%R says %zd of %zd bytes", callable, size, most);
        return -1;
    }
    return size;
}

/* ---- Whether all is plain ---- */

/* Say whether an attribute is what it has to be; -1 and an exception if it cannot be said. */
static int
guard_holds(const Guard *guard)
{
    PyObject *now = PyObject_GetAttr(guard->owner, guard->name);
    int holds;

    if (now == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    if (now == guard->value) {
        holds = 1;
    }
    else if (guard->value == Py_False || guard->value == Py_True) {
        holds = PyObject_IsTrue(now);
        if (holds >= 0) {
            holds = holds == (guard->value == Py_True);
        }
    }
    else if (guard->value == Py_None) {
        holds = 0;
    }
    else {
        holds = PyObject_RichCompareBool(now, guard->value, Py_EQ);
    }
    Py_DECREF(now);
    return holds;
}

static int
is_plain(const Pump *pump)
{
    for (Py_ssize_t n = 0; n < pump->guard_count; n++) {
        int holds = guard_holds(&pump->guards[n]);
        if (holds != 1) {
            return holds;
        }
    }
    return 1;
}

/* ---- What came ---- */

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
            if (piece == NULL || tell(pump->objects[GIVE], piece) < 0) {
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

/* ---- What goes ---- */

/*
 * Send bytes as they are. What the socket does not take is handed over.
 *
 * Returns 1 if all of it is sent, 0 if something was handed over, -1 with an exception.
 */
static int
send_all(Pump *pump, PyObject *data)
{
    Py_ssize_t size = PyBytes_Size(data), sent = size_from(pump->objects[SEND], data, size);
    PyObject *error, *number;
    int done;

    if (sent == size) {
        return 1;
    }
    if (sent < 0) {
        if (!PyErr_ExceptionMatches(PyExc_OSError)) {
            return -1;
        }
        error = caught();
        if (error == NULL) {
            return -1;
        }
        sent = 0;
    }
    else {
        Py_INCREF(Py_None);
        error = Py_None;
    }
    number = PyLong_FromSsize_t(sent);
    done = number == NULL ? -1 : leave(pump, LEFT, data, number, error);
    Py_XDECREF(number);
    Py_DECREF(error);
    return done;
}

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

/* Seal frames, and send them. Returns as `send_all`. */
static int
seal_and_send(Pump *pump, PyObject *frames)
{
    Py_ssize_t size = PyBytes_Size(frames), taken, room;
    PyObject *number, *sealed;
    int done;

    if (size > MOST_CONTENT) {
        return leave(pump, WRITE, frames, NULL, NULL);
    }
    taken = size_from(pump->objects[SEAL], frames, size);
    if (taken < 0) {
        PyObject *error = caught();
        if (error == NULL) {
            return -1;
        }
        done = leave(pump, NOT_SEALED, frames, error, NULL);
        Py_DECREF(error);
        return done;
    }
    room = size + pump->overhead;
    number = PyLong_FromSsize_t(room);
    if (number == NULL) {
        return -1;
    }
    sealed = bytes_from(pump->objects[SEALED], number);
    Py_DECREF(number);
    if (sealed == NULL) {
        return -1;
    }
    if (taken < size || PyBytes_Size(sealed) == room) {
        done = partly(pump, frames, taken, sealed);
    }
    else {
        done = send_all(pump, sealed);
    }
    Py_DECREF(sealed);
    return done;
}

/* Send frames, sealed where there is TLS. Returns as `send_all`. */
static int
put(Pump *pump, PyObject *frames)
{
    return pump->objects[SEAL] == NULL ? send_all(pump, frames) : seal_and_send(pump, frames);
}

/* Count messages that go out now. */
static int
note(Pump *pump, Py_ssize_t count, Py_ssize_t size)
{
    pump->messages += count;
    pump->counts[0] += count;
    pump->counts[1] += size;
    if (pump->objects[SECONDS] != NULL) {
        PyObject *now = PyObject_CallFunctionObjArgs(pump->objects[SECONDS], NULL), *before;
        if (now == NULL) {
            return -1;
        }
        before = pump->last;
        pump->last = now;
        Py_XDECREF(before);
    }
    return 0;
}

/* Say whether the reader holds anything; -1 and an exception if it cannot be said. */
static int
holds_more(const Pump *pump)
{
    PyObject *pending = PyObject_GetAttr(pump->objects[READER], pump->state->pending);
    int more;

    if (pending == NULL) {
        return -1;
    }
    more = PyObject_IsTrue(pending);
    Py_DECREF(pending);
    return more;
}

/*
 * Carry what the reader makes of what it was fed.
 *
 * Returns 1 if all of it has gone, 0 if something was handed over, -1 with an exception.
 */
static int
carry(Pump *pump)
{
    PyObject *taken, *frames;
    Py_ssize_t count, size;
    int done = 1, more;

    taken = PyObject_CallFunctionObjArgs(pump->objects[TAKE], pump->turn, NULL);
    if (taken == NULL) {
        /* A link's reader raises that again, for those who know what it means. */
        PyErr_Clear();
        return go_on(pump, pump->frames_a_turn);
    }
    if (!PyTuple_Check(taken) || PyTuple_Size(taken) != 3
        || !PyBytes_CheckExact(PyTuple_GetItem(taken, 0))) {
        PyErr_SetString(PyExc_TypeError, "frames, a count and a size have to be taken");
        Py_DECREF(taken);
        return -1;
    }
    frames = PyTuple_GetItem(taken, 0);
    count = PyLong_AsSsize_t(PyTuple_GetItem(taken, 1));
    size = PyLong_AsSsize_t(PyTuple_GetItem(taken, 2));
    if (PyErr_Occurred()) {
        done = -1;
    }
    else if (count > 0) {
        done = note(pump, count, size);
        if (done == 0) {
            done = put(pump, frames);
        }
    }
    Py_DECREF(taken);
    if (done < 0 || pump->is_cleared) {
        return done;
    }
    more = holds_more(pump);
    if (more > 0) {
        return go_on(pump, pump->frames_a_turn - count);
    }
    return more < 0 ? -1 : done;
}

/*
 * Hand over a message that the reader makes of what it was fed: the only one, or the first.
 *
 * Returns 0, or -1 with an exception.
 */
static int
hand_in(Pump *pump)
{
    PyObject *taken = PyObject_CallFunctionObjArgs(pump->objects[TAKE], pump->turn, NULL), *message;
    int done = -1, more;

    if (taken == NULL) {
        return -1;
    }
    if (!PyList_Check(taken) || PyList_Size(taken) > 1) {
        PyErr_SetString(PyExc_TypeError, "a list of one message has to be taken, or of none");
    }
    else if (PyList_Size(taken) == 0) {
        done = go_on(pump, pump->frames_a_turn);
    }
    else {
        message = PyList_GetItem(taken, 0);
        if (!PyTuple_Check(message) || PyTuple_Size(message) != 2) {
            PyErr_SetString(PyExc_TypeError, "a message is a payload, and whether it is binary");
        }
        else {
            more = holds_more(pump);
            if (more >= 0) {
                done = leave(pump, more ? FIRST : MESSAGE, PyTuple_GetItem(message, 0),
                             PyTuple_GetItem(message, 1), NULL);
            }
        }
    }
    Py_DECREF(taken);
    return done;
}

/* ---- A call ---- */

/*
 * Read from the socket.
 *
 * To have it return bytes would be dear: it makes room for all that there might be, and gives most
 * of it back.
 */
static PyObject *
read_some(Pump *pump)
{
    PyObject *scratch = pump->objects[SCRATCH];
    Py_ssize_t size = size_from(pump->objects[RECEIVE], scratch, PyByteArray_Size(scratch));

    return size < 0 ? NULL : PyBytes_FromStringAndSize(PyByteArray_AsString(scratch), size);
}

/* Read and carry, once all is known to be plain. */
static PyObject *
run(Pump *pump)
{
    PyObject *data, *result;
    Py_ssize_t size;
    int done;

    data = read_some(pump);
    if (data == NULL) {
        if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
            PyErr_Clear();
            Py_RETURN_NONE;
        }
        if (PyErr_ExceptionMatches(PyExc_OSError)) {
            PyErr_Clear();
            return hand_over(pump, BROKEN, NULL, NULL, NULL);
        }
        return NULL;
    }
    size = PyBytes_Size(data);
    if (size == 0 || size == PyByteArray_Size(pump->objects[SCRATCH])
        || (pump->objects[GIVE] != NULL
            && !is_records((const uint8_t *)PyBytes_AsString(data), size))) {
        result = hand_over(pump, ARRIVED, data, NULL, NULL);
        Py_DECREF(data);
        return result;
    }
    if (pump->objects[GIVE] != NULL) {
        done = open_records(pump, data);
    }
    else {
        done = feed(pump, data) < 0 ? -1 : 1;
    }
    Py_DECREF(data);
    if (done > 0 && pump->objects[READER] != NULL) {
        done = pump->objects[SEND] == NULL ? hand_in(pump) : carry(pump);
    }
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Be no pump of a group any more. */
static void
leave_group(Pump *pump)
{
    Pumps *group = pump->group;
    PyObject *descriptor = pump->descriptor;

    pump->group = NULL;
    pump->descriptor = NULL;
    if (group != NULL && group->pumps != NULL) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        /* Another one may have the number by now. */
        if (PyDict_GetItemWithError(group->pumps, descriptor) == (PyObject *)pump
            && PyDict_DelItem(group->pumps, descriptor) < 0) {
            PyErr_Clear(); /* it is not there, then */
        }
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF((PyObject *)group);
    Py_XDECREF(descriptor);
}

static void
let_go(Pump *pump)
{
    Py_ssize_t guards = pump->guard_count;

    pump->is_cleared = true;
    pump->guard_count = 0;
    leave_group(pump);
    for (Py_ssize_t n = 0; n < guards; n++) {
        Py_CLEAR(pump->guards[n].owner);
        Py_CLEAR(pump->guards[n].name);
        Py_CLEAR(pump->guards[n].value);
    }
    for (int n = 0; n < OBJECTS; n++) {
        Py_CLEAR(pump->objects[n]);
    }
}

/* Let go of everything if that was asked for during a call. */
static void
be_cleared(Pump *pump)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    let_go(pump);
    PyErr_Restore(type, value, traceback);
}

/* Make a call. Returns as a connection's `doRead`. */
static PyObject *
call(Pump *pump)
{
    PyObject *result;

    Py_INCREF((PyObject *)pump);
    pump->is_busy = true;
    result = run(pump);
    pump->is_busy = false;
    if (pump->is_cleared) {
        be_cleared(pump);
    }
    Py_DECREF((PyObject *)pump);
    return result;
}

static PyObject *
pump_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    Pump *pump = (Pump *)self;
    PyObject *way, *result;
    int plain;

    if (PyTuple_Size(args) > 0 || kwargs != NULL) {
        PyErr_SetString(PyExc_TypeError, "a pump takes no arguments");
        return NULL;
    }
    if (pump->is_cleared) {
        Py_RETURN_NONE;
    }
    plain = pump->is_open && !pump->is_busy ? is_plain(pump) : 0;
    if (plain < 0 || pump->is_cleared) {
        return plain < 0 ? NULL : (Py_INCREF(Py_None), Py_None);
    }
    if (plain > 0) {
        return call(pump);
    }
    way = pump->objects[WAY];
    Py_INCREF(way); /* this may clear the pump */
    result = hand_over(pump, OTHERWISE, NULL, NULL, NULL);
    Py_DECREF(way);
    return result;
}

/* ---- A write ---- */

/* Return the frame of a writer's arguments, if they have one: a new object. */
static PyObject *
frame_of(Pump *writer, PyObject *args)
{
    PyObject *frame, *frames;

    if (writer->objects[FRAME] != NULL) {
        frame = PyObject_CallObject(writer->objects[FRAME], args);
    }
    else if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &frames)) {
        return NULL;
    }
    else if (PyList_Size(frames) == 1) {
        frame = PyList_GetItem(frames, 0);
        Py_INCREF(frame);
    }
    else {
        frame = PyObject_CallFunctionObjArgs(writer->state->join, frames, NULL);
    }
    if (frame != NULL && !PyBytes_CheckExact(frame)) {
        PyErr_SetString(PyExc_TypeError, "a frame has to be bytes");
        Py_CLEAR(frame);
    }
    return frame;
}

/* Write a frame, once all is known to be plain. */
static int
write_frame(Pump *writer, PyObject *args)
{
    PyObject *frame = frame_of(writer, args);
    int done;

    if (frame == NULL) {
        return -1;
    }
    done = PyBytes_Size(frame) == 0 ? 0 : put(writer, frame);
    Py_DECREF(frame);
    return done;
}

/* Write without the writer. */
static int
write_otherwise(Pump *writer, PyObject *args)
{
    /* This may clear the writer, but the method keeps the way. */
    PyObject *method = PyObject_GetAttr(writer->objects[WAY], writer->state->methods[OTHERWISE]);
    PyObject *result = method == NULL ? NULL : PyObject_CallObject(method, args);

    Py_XDECREF(method);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static PyObject *
writer_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    Pump *writer = (Pump *)self;
    int done = 0;

    if (kwargs != NULL && PyDict_Size(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "a writer takes no names");
        return NULL;
    }
    Py_INCREF(self);
    if (!writer->is_cleared && !writer->is_busy) {
        done = is_plain(writer);
    }
    if (done > 0 && !writer->is_cleared) {
        writer->is_busy = true;
        done = write_frame(writer, args);
        writer->is_busy = false;
        if (writer->is_cleared) {
            be_cleared(writer);
        }
    }
    else if (done == 0 && !writer->is_cleared) {
        done = write_otherwise(writer, args);
    }
    Py_DECREF(self);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- Their life ---- */

static PyObject *
pump_clear(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Pump *pump = (Pump *)self;

    pump->is_cleared = true;
    if (!pump->is_busy) {
        let_go(pump);
    }
    Py_RETURN_NONE;
}

static int
pump_let_go(PyObject *self)
{
    let_go((Pump *)self);
    return 0;
}

static int
pump_traverse(PyObject *self, visitproc visit, void *arg)
{
    Pump *pump = (Pump *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)pump->group);
    for (Py_ssize_t n = 0; n < pump->guard_count; n++) {
        Py_VISIT(pump->guards[n].owner);
        Py_VISIT(pump->guards[n].value);
    }
    for (int n = 0; n < OBJECTS; n++) {
        Py_VISIT(pump->objects[n]);
    }
    Py_VISIT(pump->last);
    return 0;
}

static void
pump_dealloc(PyObject *self)
{
    Pump *pump = (Pump *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(self);
    let_go(pump);
    PyMem_Free(pump->guards);
    Py_XDECREF(pump->last);
    Py_XDECREF(pump->turn);
    Py_XDECREF((PyObject *)pump->tally);
    release(self);
    Py_DECREF(type);
}

/* Read one guard: an object, the name of an attribute, and what it has to be. */
static int
set_guard(Guard *guard, PyObject *given)
{
    PyObject *owner, *name, *value;

    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a guard is an object, a name and a value");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "OUO", &owner, &name, &value)) {
        return -1;
    }
    Py_INCREF(owner);
    Py_INCREF(name);
    Py_INCREF(value);
    PyUnicode_InternInPlace(&name);
    guard->owner = owner;
    guard->name = name;
    guard->value = value;
    return 0;
}

static int
set_guards(Pump *pump, PyObject *given)
{
    Py_ssize_t count = PyTuple_Size(given);

    pump->guards = PyMem_Calloc(count > 0 ? count : 1, sizeof(Guard));
    if (pump->guards == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t n = 0; n < count; n++) {
        if (set_guard(&pump->guards[n], PyTuple_GetItem(given, n)) < 0) {
            return -1;
        }
        pump->guard_count = n + 1;
    }
    return 0;
}

/* Return a new pump, or writer, with these objects; None stands for one that it does not have. */
static Pump *
new_of(PyTypeObject *type, PyObject *guards, PyObject *const *objects)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Pump *pump = (Pump *)allocate(type, 0);

    if (pump == NULL) {
        return NULL;
    }
    for (int n = 0; n < OBJECTS; n++) {
        if (objects[n] != NULL && objects[n] != Py_None) {
            Py_INCREF(objects[n]);
            pump->objects[n] = objects[n];
        }
    }
    pump->state = PyType_GetModuleState(type);
    if (pump->state == NULL || set_guards(pump, guards) < 0) {
        Py_DECREF((PyObject *)pump);
        return NULL;
    }
    return pump;
}

static PyObject *
pump_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "connection", "way", "guards", "tally", "is_upwards", "frames_a_turn", "overhead", "reader",
        "receive", "scratch", "give", "open", "feed", "take", "seal", "sealed", "send", "seconds",
        NULL,
    };
    State *state = PyType_GetModuleState(type);
    PyObject *guards, *tally, *objects[OBJECTS] = {NULL};
    Py_ssize_t frames_a_turn, overhead;
    int is_upwards;
    Pump *pump;

    if (state == NULL
        || !PyArg_ParseTupleAndKeywords(
            args, kwargs, "$OOO!OpnnOOO!OOOOOOOO", names, &objects[CONNECTION], &objects[WAY],
            &PyTuple_Type, &guards, &tally, &is_upwards, &frames_a_turn, &overhead,
            &objects[READER], &objects[RECEIVE], &PyByteArray_Type, &objects[SCRATCH],
            &objects[GIVE], &objects[OPEN], &objects[FEED], &objects[TAKE], &objects[SEAL],
            &objects[SEALED], &objects[SEND], &objects[SECONDS])) {
        return NULL;
    }
    if (frames_a_turn <= 0 || overhead < 0 || overhead > MOST_CONTENT) {
        PyErr_SetString(PyExc_ValueError, "a number is out of its range");
        return NULL;
    }
    if (tally == Py_None ? objects[SEND] != Py_None : Py_TYPE(tally) != state->tally) {
        PyErr_SetString(PyExc_TypeError, "a tally counts what is sent");
        return NULL;
    }
    pump = new_of(type, guards, objects);
    if (pump == NULL) {
        return NULL;
    }
    if (tally != Py_None) {
        Py_INCREF(tally);
        pump->tally = (Tally *)tally;
        pump->counts = &pump->tally->counts[is_upwards ? 0 : 2];
    }
    pump->frames_a_turn = frames_a_turn;
    pump->overhead = overhead;
    pump->turn = PyLong_FromSsize_t(frames_a_turn);
    if (pump->turn == NULL) {
        Py_DECREF((PyObject *)pump);
        return NULL;
    }
    return (PyObject *)pump;
}

static PyObject *
writer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"way", "guards", "overhead", "frame", "seal", "sealed", "send", NULL};
    PyObject *guards, *objects[OBJECTS] = {NULL};
    Py_ssize_t overhead;
    Pump *writer;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OO!nOOOO", names, &objects[WAY],
                                     &PyTuple_Type, &guards, &overhead, &objects[FRAME],
                                     &objects[SEAL], &objects[SEALED], &objects[SEND])) {
        return NULL;
    }
    if (overhead < 0 || overhead > MOST_CONTENT) {
        PyErr_SetString(PyExc_ValueError, "a number is out of its range");
        return NULL;
    }
    writer = new_of(type, guards, objects);
    if (writer != NULL) {
        writer->overhead = overhead;
    }
    return (PyObject *)writer;
}

/* ---- All pumps of a reactor ---- */

static PyObject *
pumps_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Pumps *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", names)) {
        return NULL;
    }
    self = (Pumps *)allocate(type, 0);
    if (self != NULL) {
        self->age = 1; /* no guard has been looked at */
        self->pumps = PyDict_New();
        if (self->pumps == NULL) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

static PyObject *
pumps_add(PyObject *self, PyObject *args)
{
    Pumps *pumps = (Pumps *)self;
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *descriptor, *added;
    Pump *pump;

    if (state == NULL
        || !PyArg_ParseTuple(args, "O!O!", &PyLong_Type, &descriptor, state->pump, &added)) {
        return NULL;
    }
    pump = (Pump *)added;
    if (pump->group != NULL || pump->is_cleared) {
        PyErr_SetString(PyExc_ValueError, "it is in use already, or no more");
        return NULL;
    }
    if (PyDict_SetItem(pumps->pumps, descriptor, added) < 0) {
        return NULL;
    }
    Py_INCREF(self);
    pump->group = pumps;
    Py_INCREF(descriptor);
    pump->descriptor = descriptor;
    pump->checked = 0;
    Py_RETURN_NONE;
}

static PyObject *
pumps_disturb(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    ((Pumps *)self)->is_disturbed = true;
    Py_RETURN_NONE;
}

/* Return whose event this is, if its pump may run now; NULL, and perhaps an exception, if not. */
static Pump *
pump_for(const Pumps *pumps, PyObject *event, PyObject *selectables)
{
    PyObject *descriptor, *found;
    Pump *pump;
    long mask;
    int plain;

    if (!PyTuple_Check(event) || PyTuple_Size(event) != 2) {
        PyErr_SetString(PyExc_TypeError, "an event is a descriptor and what has happened there");
        return NULL;
    }
    descriptor = PyTuple_GetItem(event, 0);
    pump = (Pump *)PyDict_GetItemWithError(pumps->pumps, descriptor);
    if (pump == NULL) {
        return NULL;
    }
    mask = PyLong_AsLong(PyTuple_GetItem(event, 1));
    if (mask != READABLE || !pump->is_open || pump->is_busy || pump->is_cleared) {
        return NULL;
    }
    /* What had the number may be closed, and something new have it. */
    found = PyDict_GetItemWithError(selectables, descriptor);
    if (found == NULL || found != pump->objects[CONNECTION]) {
        return NULL;
    }
    if (pump->checked != pumps->age) {
        Py_INCREF((PyObject *)pump); /* a guard may run anything */
        plain = is_plain(pump);
        if (plain <= 0 || pump->is_cleared) {
            PyErr_Clear(); /* a call meets it again, where it is known whose it is */
            Py_DECREF((PyObject *)pump);
            return NULL;
        }
        pump->checked = pumps->age;
        Py_DECREF((PyObject *)pump);
    }
    return pump;
}

static PyObject *
pumps_run(PyObject *self, PyObject *args)
{
    Pumps *pumps = (Pumps *)self;
    PyObject *events, *selectables, *result = NULL;
    Py_ssize_t at;

    if (!PyArg_ParseTuple(args, "O!nO!", &PyList_Type, &events, &at, &PyDict_Type, &selectables)) {
        return NULL;
    }
    if (pumps->is_disturbed) {
        pumps->age++;
    }
    pumps->is_disturbed = true; /* unless all events are the pumps' */
    Py_CLEAR(pumps->connection);
    for (; at >= 0 && at < PyList_Size(events); at++) {
        Pump *pump = pump_for(pumps, PyList_GetItem(events, at), selectables);
        PyObject *connection;
        pumps->at = at;
        if (pump == NULL) {
            if (PyErr_Occurred()) {
                return NULL;
            }
            Py_RETURN_NONE;
        }
        connection = pump->objects[CONNECTION];
        Py_INCREF(connection); /* this may clear the pump */
        result = call(pump);
        if (result != Py_None) {
            PyObject *old = pumps->connection;
            pumps->connection = connection;
            Py_XDECREF(old);
            return result;
        }
        Py_DECREF(connection);
        Py_DECREF(result);
    }
    pumps->at = at;
    pumps->is_disturbed = false;
    Py_RETURN_NONE;
}

static int
pumps_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Pumps *)self)->pumps);
    Py_VISIT(((Pumps *)self)->connection);
    return 0;
}

static int
pumps_clear(PyObject *self)
{
    /* Not the dict: there always is one. It is emptied, which cuts every cycle. */
    if (((Pumps *)self)->pumps != NULL) {
        PyDict_Clear(((Pumps *)self)->pumps);
    }
    Py_CLEAR(((Pumps *)self)->connection);
    return 0;
}

static void
pumps_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Pumps *)self)->pumps);
    Py_CLEAR(((Pumps *)self)->connection);
    release(self);
    Py_DECREF(type);
}

/* ---- The module ---- */

static PyMethodDef pumps_methods[] = {
    {"add", pumps_add, METH_VARARGS, "Have a pump run when its descriptor can be read."},
    {"disturb", pumps_disturb, METH_NOARGS, "Something else has run."},
    {"run", pumps_run, METH_VARARGS, "Run pumps up to the first event that is for others."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pumps_members[] = {
    {"at", T_PYSSIZET, offsetof(Pumps, at), READONLY, "The event that `run` has come to."},
    {"connection", T_OBJECT, offsetof(Pumps, connection), READONLY, "Whose read has ended it."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pumps_slots[] = {
    {Py_tp_doc, "The pumps of a reactor: see orion_twisted.net.leanreactor."},
    {Py_tp_new, pumps_new},
    {Py_tp_traverse, pumps_traverse},
    {Py_tp_clear, pumps_clear},
    {Py_tp_dealloc, pumps_dealloc},
    {Py_tp_methods, pumps_methods},
    {Py_tp_members, pumps_members},
    {0, NULL},
};

static PyType_Spec pumps_spec = {
    .name = "orion_twisted.net._pump.Pumps",
    .basicsize = sizeof(Pumps),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = pumps_slots,
};

static PyMethodDef tally_methods[] = {
    {"take", tally_take, METH_NOARGS, "Return what was carried since the last call."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tally_slots[] = {
    {Py_tp_doc, "Messages and bytes that pumps have carried: see orion_twisted.net.pump."},
    {Py_tp_dealloc, tally_dealloc},
    {Py_tp_methods, tally_methods},
    {0, NULL},
};

static PyType_Spec tally_spec = {
    .name = "orion_twisted.net._pump.Tally",
    .basicsize = sizeof(Tally),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tally_slots,
};

static PyMethodDef pump_methods[] = {
    {"clear", pump_clear, METH_NOARGS, "Let go of everything; a call does nothing then."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef pump_members[] = {
    {"is_open", T_BOOL, offsetof(Pump, is_open), 0, "Whether it may run."},
    {"messages", T_ULONGLONG, offsetof(Pump, messages), READONLY, "How many it has carried."},
    {"last", T_OBJECT, offsetof(Pump, last), READONLY, "When it has carried the last one."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pump_slots[] = {
    {Py_tp_doc, "From one socket to another: see orion_twisted.net.pump."},
    {Py_tp_new, pump_new},
    {Py_tp_call, pump_call},
    {Py_tp_traverse, pump_traverse},
    {Py_tp_clear, pump_let_go},
    {Py_tp_dealloc, pump_dealloc},
    {Py_tp_methods, pump_methods},
    {Py_tp_members, pump_members},
    {0, NULL},
};

static PyType_Spec pump_spec = {
    .name = "orion_twisted.net._pump.Pump",
    .basicsize = sizeof(Pump),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = pump_slots,
};

static PyMethodDef writer_methods[] = {
    {"clear", pump_clear, METH_NOARGS, "Let go of everything; a call does nothing then."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, "From a message to a socket: see orion_twisted.net.pump."},
    {Py_tp_new, writer_new},
    {Py_tp_call, writer_call},
    {Py_tp_traverse, pump_traverse},
    {Py_tp_clear, pump_let_go},
    {Py_tp_dealloc, pump_dealloc},
    {Py_tp_methods, writer_methods},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "orion_twisted.net._pump.Writer",
    .basicsize = sizeof(Pump),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = writer_slots,
};

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
