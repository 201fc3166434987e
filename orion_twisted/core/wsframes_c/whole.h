/*
 * The frames that are whole in the chunk: looked for by their headers first, so that there is one
 * object for all of them, then moved into it one by one, as long as nothing is wrong with one.
 */

#ifndef ORION_WSFRAMES_WHOLE_H
#define ORION_WSFRAMES_WHOLE_H

#include "held.h"

/* Whole frames of the chunk, and what they come to when they go out. */
typedef struct {
    Py_ssize_t count;
    Py_ssize_t out; /* bytes, headers included */
} Found;

/* Look for whole frames, `most` at the most. What their payloads are is not looked at. */
static Found
find(const Reader *reader, Py_ssize_t most)
{
    Found found = {0, 0};
    Frame frame;
    Py_ssize_t size, at = reader->at;
    const uint8_t *chunk = chunk_of(reader, &size);

    while (found.count < most && at < size
           && read_head(reader, chunk + at, size - at, &frame) == HEAD
           && frame.length <= size - at - frame.head) {
        Py_ssize_t out = out_head_size(reader, frame.length) + frame.length;
        if (out > MOST_PAYLOAD - found.out) {
            break; /* more than an object can hold: the rest comes with the next call */
        }
        found.count++;
        found.out += out;
        at += frame.head + frame.length;
    }
    return found;
}

/*
 * Whole frames have been taken, fewer than were asked for: see to what is behind them.
 *
 * taken: how many; a link's error is met only by the call that has nothing else to say.
 * Returns false with an exception.
 */
static bool
see_to_rest(Reader *reader, Py_ssize_t taken)
{
    Frame frame = {0};
    Reading reading;
    Py_ssize_t size;
    const uint8_t *chunk = chunk_of(reader, &size);

    if (reader->at == size) {
        return true;
    }
    reading = read_head(reader, chunk + reader->at, size - reader->at, &frame);
    if (reading == ODD) {
        if (taken == 0 || reader->direction == FROM_BROWSER) {
            refuse(reader, &frame, frame.fault);
        }
        return true;
    }
    if (reading == HEAD && frame.length <= size - reader->at - frame.head) {
        return true; /* whole, and `find` has left it for the next call */
    }
    if (advance(reader) < 0) {
        if (taken == 0) {
            return false;
        }
        PyErr_Clear(); /* the next call tries again */
    }
    return true;
}

/* Take frames that `find` has found, as long as nothing is wrong with one. */
typedef struct {
    const uint8_t *chunk;
    Py_ssize_t size;
    Py_ssize_t at;
    Frame frame; /* the last one that was read */
    Fault fault; /* and what is wrong with it: it is not taken */
} Walk;

static inline void
begin_walk(const Reader *reader, Walk *walk)
{
    walk->chunk = chunk_of(reader, &walk->size);
    walk->at = reader->at;
    walk->fault = FINE;
}

/* Write the next frame's message to `to`; false: something is wrong with it. */
static inline bool
walk_on(Walk *walk, uint8_t *to)
{
    Frame *frame = &walk->frame;
    uint8_t utf8 = FINE_SO_FAR;

    carry(to, walk->chunk + walk->at + frame->head, frame->length, frame->mask, 0,
          frame->is_text ? &utf8 : NULL);
    walk->fault = fault_of(frame, utf8);
    if (walk->fault != FINE) {
        return false;
    }
    walk->at += frame->head + frame->length;
    return true;
}

/* Take note of how far a walk has come, and of what stopped it. False with an exception. */
static bool
end_walk(Reader *reader, const Walk *walk, Py_ssize_t taken, Py_ssize_t most)
{
    go_to(reader, walk->at);
    if (walk->fault != FINE) {
        if (taken == 0 || reader->direction == FROM_BROWSER) {
            refuse(reader, &walk->frame, walk->fault);
        }
    }
    else if (taken < most && !see_to_rest(reader, taken)) {
        return false;
    }
    if (reader->error != FINE) {
        raise_error(reader);
        return false;
    }
    return true;
}

#endif
