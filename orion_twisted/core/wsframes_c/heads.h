/*
 * What stands before a payload: read from one side, written for the other.
 *
 * Lengths. What is announced is an unsigned number of 64 bits, and as such is compared with a limit
 * that is no larger than MOST_PAYLOAD; only then is it a Py_ssize_t. A length is compared with what
 * is left (`length <= size - at`) before it is added to a place.
 */

#ifndef ORION_WSFRAMES_HEADS_H
#define ORION_WSFRAMES_HEADS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "reader.h"

#define MOST_OUT_HEAD 10 /* of a server's frame */

static inline uint64_t
big_endian(const uint8_t *at, int size)
{
    uint64_t number = 0;

    for (int n = 0; n < size; n++) {
        number = number << 8 | at[n];
    }
    return number;
}

/* Read the header of a browser's frame from what there is of it. */
static inline Reading
read_browser_head(const Reader *reader, const uint8_t *at, Py_ssize_t size, Frame *frame)
{
    int extended = 0;

    if (size < 1) {
        return SHORT;
    }
    if (at[0] != 0x81 && at[0] != 0x82) {
        return ODD; /* FIN and no RSV, text or binary: all else is for others to judge */
    }
    if (size < 2) {
        return SHORT;
    }
    if (at[1] < 0x80) {
        return ODD; /* unmasked */
    }
    frame->announced = at[1] & 0x7F;
    if (frame->announced > 125) {
        extended = frame->announced == 126 ? 2 : 8;
        if (size < 2 + extended) {
            return SHORT;
        }
        frame->announced = big_endian(at + 2, extended);
        if (frame->announced < (extended == 2 ? 126u : 65536u)) {
            return ODD; /* not as short as it could be */
        }
    }
    if (frame->announced > reader->limit) {
        return ODD;
    }
    frame->head = 2 + extended + 4;
    if (size < frame->head) {
        return SHORT;
    }
    memcpy(frame->mask, at + 2 + extended, 4);
    frame->length = (Py_ssize_t)frame->announced;
    frame->is_binary = at[0] == 0x82;
    frame->is_text = at[0] == 0x81 || reader->type == TEXT;
    frame->fault = FINE;
    return HEAD;
}

/* Read the header of a link's frame, with the tag that may follow it, from what there is of it. */
static inline Reading
read_link_head(const Reader *reader, const uint8_t *at, Py_ssize_t size, Frame *frame)
{
    int prefix = reader->prefix;

    frame->tag = NO_TAG;
    if (size < prefix) {
        return SHORT;
    }
    if (reader->is_little) {
        frame->announced = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16
                           | (uint64_t)at[3] << 24;
    }
    else {
        frame->announced = big_endian(at, prefix);
    }
    if (frame->announced > reader->limit) {
        frame->fault = TOO_LARGE;
        return ODD;
    }
    memset(frame->mask, 0, 4);
    frame->head = prefix;
    frame->length = (Py_ssize_t)frame->announced;
    frame->is_binary = reader->type == BINARY;
    frame->fault = FINE;
    if (reader->type == TAGGED) {
        if (frame->announced == 0) {
            frame->fault = BAD_TAG;
        }
        else {
            if (size < prefix + 1) {
                return SHORT;
            }
            frame->head++;
            frame->length--;
            frame->tag = at[prefix];
            frame->is_binary = frame->tag == 'B';
            if (frame->tag != 'B' && frame->tag != 'T') {
                frame->fault = BAD_TAG;
            }
        }
    }
    frame->is_text = !frame->is_binary && frame->fault == FINE;
    return HEAD;
}

/*
 * Read a header. HEAD: `frame` is filled in. SHORT: more bytes are needed, which is never said of
 * MOST_HEAD bytes. ODD: not ours, or, on a link, `frame->fault` with `frame->announced`.
 */
static inline Reading
read_head(const Reader *reader, const uint8_t *at, Py_ssize_t size, Frame *frame)
{
    return reader->direction == FROM_BROWSER ? read_browser_head(reader, at, size, frame)
                                             : read_link_head(reader, at, size, frame);
}

/* Return how many bytes go out before a message: at most MOST_OUT_HEAD. */
static inline int
out_head_size(const Reader *reader, Py_ssize_t length)
{
    if (reader->direction == FROM_BROWSER) {
        return reader->prefix + (reader->prefix && reader->type == TAGGED);
    }
    return length < 126 ? 2 : length < 65536 ? 4 : 10;
}

/* Write the header of a server's frame, unmasked. */
static int
write_server_head(uint8_t *to, Py_ssize_t length, bool is_binary)
{
    uint64_t number = (uint64_t)length;
    int size = length < 126 ? 2 : length < 65536 ? 4 : 10;

    to[0] = is_binary ? 0x82 : 0x81;
    to[1] = size == 2 ? (uint8_t)length : size == 4 ? 126 : 127;
    for (int n = size - 1; n > 1; n--) {
        to[n] = (uint8_t)number;
        number >>= 8;
    }
    return size;
}

/* Write what goes out before a message; return its size, which is that of `out_head_size`. */
static inline int
write_out_head(const Reader *reader, uint8_t *to, const Frame *frame)
{
    int prefix = reader->prefix;

    if (reader->direction == FROM_LINK) {
        return write_server_head(to, frame->length, frame->is_binary);
    }
    if (prefix == 0) {
        return 0;
    }
    /* It fits into the prefix: `limit` has seen to that. */
    uint64_t number = (uint64_t)frame->length + (reader->type == TAGGED);
    for (int n = 0; n < prefix; n++) {
        to[reader->is_little ? n : prefix - 1 - n] = (uint8_t)number;
        number >>= 8;
    }
    if (reader->type == TAGGED) {
        to[prefix] = frame->is_binary ? 'B' : 'T';
        return prefix + 1;
    }
    return prefix;
}

#endif
