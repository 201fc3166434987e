/*
 * What a reader is, for both directions; and what holds of it between any two calls, and after each
 * one that has failed:
 *
 *  1. chunk is NULL and at is 0; or chunk is an exact `bytes` object that is not empty, and `at` is
 *     a place in it; the bytes before `at` are gone. An exact one has no destructor and refers to
 *     nothing: to let go of it runs nobody's code, and no cycle leads through a reader.
 *  2. 0 <= held <= MOST_HEAD. Is it 0, no frame is held, and body is NULL. Else the first `held`
 *     bytes of `head` are the beginning of that frame's header.
 *  3. body is NULL, or that header is whole and is what `frame` says. Then 0 <= filled <=
 *     frame.length, and body has room for what goes out before a message and for at least `filled`
 *     bytes. Nobody else has a reference to it, so it may be written to.
 *  4. `utf8` is the state of a check that has seen the first `filled` bytes of the payload.
 *  5. Is is_odd set, no frame is taken; chunk, head and body have all that came, from the odd
 *     frame's first byte on. Is error set, a link's reader is at its end, and all three are empty.
 *  6. A call that fails for want of memory has taken nothing, and can be made again.
 *
 * To allocate a tuple or a list may run the garbage collector, and that anybody's finalizers.
 * is_busy keeps such code out of a reader that is at work.
 */

#ifndef ORION_WSFRAMES_READER_H
#define ORION_WSFRAMES_READER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#include "utf8.h"

#define MOST_HEAD 14 /* 2, a length of 8, and the mask */
#define MOST_PAYLOAD (PY_SSIZE_T_MAX - 64)

typedef enum { FROM_BROWSER, FROM_LINK } Direction;
typedef enum { TEXT, BINARY, TAGGED } MessageType;
typedef enum { FINE, TOO_LARGE, NOT_TEXT, BAD_TAG } Fault;
typedef enum { SHORT, HEAD, ODD } Reading;

#define NO_TAG (-1)

/* What a frame's header says. */
typedef struct {
    uint64_t announced; /* the payload on the wire, a tag included */
    Py_ssize_t length;  /* the message */
    int head;           /* bytes before the message, a tag included */
    int tag;            /* a tag that is neither T nor B, or NO_TAG where it is missing */
    Fault fault;        /* said once the frame is whole; TOO_LARGE at once */
    uint8_t mask[4];
    bool is_binary;
    bool is_text; /* it has to be UTF-8 */
} Frame;

typedef struct {
    PyObject_HEAD
    PyObject *chunk;
    Py_ssize_t at;
    PyObject *body;
    Py_ssize_t filled;
    Frame frame;
    uint8_t utf8;
    uint8_t head[MOST_HEAD];
    uint8_t held;
    uint8_t prefix; /* bytes of a link frame's length; 0: there is no link */
    bool is_little; /* the order of these bytes */
    bool is_busy;
    bool is_odd;
    Direction direction;
    MessageType type;
    Fault error;          /* of a link, for good; `frame` has its particulars */
    Py_ssize_t max_payload;
    uint64_t limit;       /* on the announced length */
} Reader;

typedef struct {
    PyObject *frame_too_large;
    PyObject *backend_error;
} State;

static inline const uint8_t *
bytes_of(PyObject *bytes)
{
    return (const uint8_t *)PyBytes_AsString(bytes);
}

/* Return the chunk's bytes, from its beginning, and its size. */
static inline const uint8_t *
chunk_of(const Reader *reader, Py_ssize_t *size)
{
    static const uint8_t nothing[1];

    if (reader->chunk == NULL) {
        *size = 0;
        return nothing;
    }
    *size = PyBytes_Size(reader->chunk);
    return bytes_of(reader->chunk);
}

/* Go on behind the bytes before `at`; a chunk that is read to its end is let go. */
static inline void
go_to(Reader *reader, Py_ssize_t at)
{
    reader->at = at;
    if (reader->chunk != NULL && at == PyBytes_Size(reader->chunk)) {
        reader->at = 0;
        Py_CLEAR(reader->chunk);
    }
}

static void
let_go_of_held(Reader *reader)
{
    reader->held = 0;
    reader->filled = 0;
    Py_CLEAR(reader->body);
}

#endif
