/*
 * The frame that has begun and is not whole: its header as it comes, its payload once some of it
 * has come, in the very object that is handed out in the end. So a large message is written once.
 */

#ifndef ORION_WSFRAMES_HELD_H
#define ORION_WSFRAMES_HELD_H

#include "faults.h"
#include "heads.h"
#include "mask.h"

#define FIRST_ROOM (4 * 1024) /* bytes set aside for a payload once some of it has come... */
#define ROOM_FACTOR 128       /* ...or this many times what has come */

/* Make room in body for the first `size` bytes of the payload; false: MemoryError, no change. */
static bool
make_room(Reader *reader, Py_ssize_t size)
{
    const Frame *frame = &reader->frame;
    int before = out_head_size(reader, frame->length);
    Py_ssize_t room = frame->length;
    PyObject *body;

    if (reader->body != NULL && PyBytes_Size(reader->body) - before >= size) {
        return true;
    }
    /* Who has sent a header has not earned a megabyte: what is set aside follows what came. */
    if (size < room / ROOM_FACTOR) {
        room = size * ROOM_FACTOR;
    }
    if (room < FIRST_ROOM) {
        room = frame->length < FIRST_ROOM ? frame->length : FIRST_ROOM;
    }
    body = PyBytes_FromStringAndSize(NULL, before + room);
    if (body == NULL) {
        return false;
    }
    if (reader->body == NULL) {
        write_out_head(reader, (uint8_t *)bytes_of(body), frame);
    }
    else {
        memcpy((uint8_t *)bytes_of(body), bytes_of(reader->body), before + reader->filled);
        Py_DECREF(reader->body);
    }
    reader->body = body;
    return true;
}

/*
 * Go on with the frame at the front, the one that is held or the first of the chunk.
 *
 * Returns 1 if it is held and whole, 0 if it waits for more or was refused, -1 for MemoryError.
 */
static int
advance(Reader *reader)
{
    Frame *frame = &reader->frame;
    Py_ssize_t size, part;
    const uint8_t *chunk = chunk_of(reader, &size);

    if (reader->body == NULL) {
        Reading reading;
        while ((reading = read_head(reader, reader->head, reader->held, frame)) == SHORT) {
            if (reader->at == size || reader->held == MOST_HEAD) {
                go_to(reader, reader->at);
                return 0;
            }
            reader->head[reader->held++] = chunk[reader->at++];
        }
        if (reading == ODD) {
            go_to(reader, reader->at);
            refuse(reader, frame, frame->fault);
            return 0;
        }
        reader->filled = 0;
        reader->utf8 = FINE_SO_FAR;
    }
    part = frame->length - reader->filled;
    if (part > size - reader->at) {
        part = size - reader->at;
    }
    if (part == 0 && reader->filled < frame->length) {
        go_to(reader, reader->at);
        return 0; /* nothing is set aside for a header alone */
    }
    if (!make_room(reader, reader->filled + part)) {
        return -1;
    }
    carry((uint8_t *)bytes_of(reader->body) + out_head_size(reader, frame->length) + reader->filled,
          chunk + reader->at, part, frame->mask, reader->filled,
          frame->is_text ? &reader->utf8 : NULL);
    reader->filled += part;
    go_to(reader, reader->at + part);
    if (reader->filled == frame->length) {
        Fault fault = fault_of(frame, reader->utf8);
        if (fault != FINE) {
            refuse(reader, frame, fault);
            return 0;
        }
        return 1;
    }
    if (reader->utf8 == BAD && reader->direction == FROM_BROWSER) {
        refuse(reader, frame, NOT_TEXT); /* at once, as Autobahn would */
    }
    return 0;
}

#endif
