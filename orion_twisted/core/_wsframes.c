/*
 * The codec of the data path in C: WebSocket frames of a browser into frames of a link, and back.
 *
 * orion_twisted/core/wsframes.py says what it promises, and wsframes_py.py beside it is the same in
 * Python: one test suite and one fuzz target hold both, call by call. This file needs C11 and the
 * stable ABI of Python 3.11, no more; it starts no threads, does no I/O, and never lets go of the
 * interpreter's lock.
 *
 * How bytes flow. `feed` keeps a reference to what has come, the chunk. `take` reads whole frames
 * straight out of it. What is left at its end, the beginning of a frame, moves to where it is held:
 * its header as it came to `head`, its payload, unmasked, to `body`. That is the object which is
 * handed out once the frame is whole: a large message is written once.
 *
 * What holds between any two calls, and after every failed one:
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
 * Lengths. What is announced is an unsigned number of 64 bits, and as such is compared with a limit
 * that is no larger than MOST_PAYLOAD; only then is it a Py_ssize_t. A length is compared with what
 * is left (`length <= size - at`) before it is added to a place.
 *
 * To allocate a tuple or a list may run the garbage collector, and that anybody's finalizers.
 * is_busy keeps such code out of a reader that is at work.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VERSION 1 /* that of wsframes_py.py, or this file is not used */

#define MOST_HEAD 14          /* 2, a length of 8, and the mask */
#define MOST_OUT_HEAD 10      /* of a server's frame */
#define ALONE (16 * 1024)     /* a held message beyond this is handed out alone, uncopied */
#define FIRST_ROOM (4 * 1024) /* bytes set aside for a payload once some of it has come... */
#define ROOM_FACTOR 128       /* ...or this many times what has come */
#define BLOCK (8 * 1024)      /* bytes moved before their UTF-8 is checked, while in the cache */
#define MOST_PAYLOAD (PY_SSIZE_T_MAX - 64)

/* ---- UTF-8, as it comes ---- */

/*
 * What may come next (RFC 3629, section 4). `utf8_next` has a word for each byte; a state is the
 * place of a field of 6 bits in these words, and the field has the state that follows. So a step is
 * a load, which waits for no other step, and a shift; no branch depends on the text.
 */
enum {
    FINE_SO_FAR = 0,    /* between characters */
    BAD = 6,            /* for good */
    ONE_MORE = 12,      /* 80..BF */
    TWO_MORE = 18,      /* 80..BF, and one more */
    THREE_MORE = 24,    /* 80..BF, and two more */
    AFTER_E0 = 30,      /* A0..BF, and one more: no other way to say what two bytes say */
    AFTER_ED = 36,      /* 80..9F, and one more: no surrogates */
    AFTER_F0 = 42,      /* 90..BF, and two more: no other way to say what three bytes say */
    AFTER_F4 = 48,      /* 80..8F, and two more: nothing beyond U+10FFFF */
    LAST_STATE = AFTER_F4,
    FIELD = 6,
};

#define BEYOND_ASCII UINT64_C(0x8080808080808080)

static uint64_t utf8_next[256];

static inline bool
is_between(int byte, int low, int high)
{
    return byte >= low && byte <= high;
}

static int
utf8_step(int state, int byte)
{
    switch (state) {
    case FINE_SO_FAR:
        return byte < 0x80 ? FINE_SO_FAR
               : byte == 0xE0 ? AFTER_E0
               : byte == 0xED ? AFTER_ED
               : byte == 0xF0 ? AFTER_F0
               : byte == 0xF4 ? AFTER_F4
               : is_between(byte, 0xC2, 0xDF) ? ONE_MORE
               : is_between(byte, 0xE1, 0xEF) ? TWO_MORE
               : is_between(byte, 0xF1, 0xF3) ? THREE_MORE
                                              : BAD;
    case ONE_MORE:
        return is_between(byte, 0x80, 0xBF) ? FINE_SO_FAR : BAD;
    case TWO_MORE:
        return is_between(byte, 0x80, 0xBF) ? ONE_MORE : BAD;
    case THREE_MORE:
        return is_between(byte, 0x80, 0xBF) ? TWO_MORE : BAD;
    case AFTER_E0:
        return is_between(byte, 0xA0, 0xBF) ? ONE_MORE : BAD;
    case AFTER_ED:
        return is_between(byte, 0x80, 0x9F) ? ONE_MORE : BAD;
    case AFTER_F0:
        return is_between(byte, 0x90, 0xBF) ? TWO_MORE : BAD;
    case AFTER_F4:
        return is_between(byte, 0x80, 0x8F) ? TWO_MORE : BAD;
    default:
        return BAD;
    }
}

static void
fill_utf8_next(void)
{
    for (int byte = 0; byte < 256; byte++) {
        uint64_t word = 0;
        for (int state = 0; state <= LAST_STATE; state += FIELD) {
            word |= (uint64_t)utf8_step(state, byte) << state;
        }
        utf8_next[byte] = word;
    }
}

/* Return the state after more bytes: BAD from the first one that no text can have in its place. */
static uint8_t
utf8_check(uint8_t before, const uint8_t *at, Py_ssize_t size)
{
    const uint8_t *end = at + size;
    uint64_t state = before; /* its last 6 bits; what is above them is left from the shift */

    while (end - at >= 32) {
        uint64_t four[4];
        memcpy(four, at, 32);
        if ((state & 63) != FINE_SO_FAR
            || ((four[0] | four[1] | four[2] | four[3]) & BEYOND_ASCII) != 0) {
            for (int n = 0; n < 32; n++) {
                state = utf8_next[at[n]] >> (state & 63);
            }
        }
        at += 32;
    }
    for (; at < end; at++) {
        state = utf8_next[*at] >> (state & 63);
    }
    return (uint8_t)(state & 63);
}

/* ---- Moving bytes ---- */

/* Copy bytes under a mask of eight; say whether any of them, as written, is beyond ASCII. */
static bool
move(uint8_t *restrict to, const uint8_t *restrict from, Py_ssize_t size, const uint8_t mask[8])
{
    uint64_t key, one, two, three, four, seen = 0;
    uint8_t last = 0;
    Py_ssize_t at = 0;

    memcpy(&key, mask, 8);
    for (; size - at >= 32; at += 32) {
        memcpy(&one, from + at, 8);
        memcpy(&two, from + at + 8, 8);
        memcpy(&three, from + at + 16, 8);
        memcpy(&four, from + at + 24, 8);
        one ^= key;
        two ^= key;
        three ^= key;
        four ^= key;
        seen |= one | two | three | four;
        memcpy(to + at, &one, 8);
        memcpy(to + at + 8, &two, 8);
        memcpy(to + at + 16, &three, 8);
        memcpy(to + at + 24, &four, 8);
    }
    for (; size - at >= 8; at += 8) {
        memcpy(&one, from + at, 8);
        one ^= key;
        seen |= one;
        memcpy(to + at, &one, 8);
    }
    for (; at < size; at++) {
        to[at] = from[at] ^ mask[at & 7];
        last |= to[at];
    }
    return (seen & BEYOND_ASCII) != 0 || (last & 0x80) != 0;
}

/*
 * Copy a part of a payload under its mask, and check its UTF-8 if there is a check.
 *
 * begun: how many bytes of the payload came before it; the mask goes on from there.
 */
static void
carry(uint8_t *to, const uint8_t *from, Py_ssize_t size, const uint8_t mask[4], Py_ssize_t begun,
      uint8_t *utf8)
{
    uint8_t turned[8];

    for (int n = 0; n < 8; n++) {
        turned[n] = mask[(begun + n) & 3];
    }
    if (utf8 == NULL) {
        move(to, from, size, turned);
        return;
    }
    /* BLOCK is a multiple of the mask: every block begins where the mask does. */
    for (Py_ssize_t at = 0; at < size; at += BLOCK) {
        Py_ssize_t part = size - at < BLOCK ? size - at : BLOCK;
        if (move(to + at, from + at, part, turned) || *utf8 != FINE_SO_FAR) {
            *utf8 = utf8_check(*utf8, to + at, part);
        }
        if (size - at <= BLOCK) {
            break; /* or `at` could pass what a Py_ssize_t holds */
        }
    }
}

/* ---- What a reader is ---- */

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

/* ---- Headers ---- */

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

/* ---- Errors of a link ---- */

/* Raise the error that a link has ended with. */
static void
raise_error(Reader *reader)
{
    State *state = PyType_GetModuleState(Py_TYPE((PyObject *)reader));
    PyObject *error = NULL;

    if (state == NULL) {
        return;
    }
    if (reader->error == TOO_LARGE) {
        error = PyObject_CallFunction(state->frame_too_large, "Kn",
                                      (unsigned long long)reader->frame.announced,
                                      reader->max_payload);
    }
    else if (reader->error == NOT_TEXT) {
        error = PyObject_CallFunction(state->backend_error, "s",
                                      "the backend sent text that is no UTF-8");
    }
    else {
        char tag = (char)reader->frame.tag;
        PyObject *shown = PyBytes_FromStringAndSize(&tag, reader->frame.tag != NO_TAG);
        if (shown == NULL) {
            return;
        }
        PyObject *why
            = PyUnicode_FromFormat("a frame has to begin with T or B, not with %R", shown);
        Py_DECREF(shown);
        if (why == NULL) {
            return;
        }
        error = PyObject_CallFunctionObjArgs(state->backend_error, why, NULL);
        Py_DECREF(why);
    }
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

/* The frame at the front is not to be taken: a browser's is left to others, a link ends with it. */
static void
refuse(Reader *reader, const Frame *frame, Fault fault)
{
    if (reader->direction == FROM_BROWSER) {
        reader->is_odd = true;
        return;
    }
    reader->error = fault;
    reader->frame.announced = frame->announced;
    reader->frame.tag = frame->tag;
    let_go_of_held(reader);
    reader->at = 0;
    Py_CLEAR(reader->chunk);
}

/* Return what is wrong with a frame that is whole. */
static inline Fault
fault_of(const Frame *frame, uint8_t utf8)
{
    if (frame->fault != FINE) {
        return frame->fault;
    }
    return frame->is_text && utf8 != FINE_SO_FAR ? NOT_TEXT : FINE;
}

/* ---- The frame that is held ---- */

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

/* ---- Whole frames ---- */

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
        int whole = advance(reader);
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
        if (length > ALONE) {
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
        int whole = advance(reader);
        if (whole < 0) {
            return NULL;
        }
        if (whole == 0) {
            return PyList_New(0);
        }
        lead = 1;
        if (reader->frame.length > ALONE) {
            most = 1;
        }
    }
    found = find(reader, most - lead);
    list = PyList_New(lead + found.count);
    if (list == NULL) {
        return NULL;
    }
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

/* ---- Methods ---- */

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

/* Return an exact `bytes` object with the waiting part of the chunk and more; a new reference. */
static PyObject *
chunk_and(const Reader *reader, PyObject *data)
{
    Py_ssize_t size, more = PyBytes_Size(data);
    const uint8_t *chunk = chunk_of(reader, &size);
    PyObject *both;

    size -= reader->at;
    if (more > PY_SSIZE_T_MAX - 64 - size) {
        return PyErr_NoMemory();
    }
    both = PyBytes_FromStringAndSize(NULL, size + more);
    if (both != NULL) {
        memcpy((uint8_t *)bytes_of(both), chunk + reader->at, size);
        memcpy((uint8_t *)bytes_of(both) + size, bytes_of(data), more);
    }
    return both;
}

static PyObject *
reader_feed(PyObject *self, PyObject *data)
{
    Reader *reader = (Reader *)self;
    PyObject *chunk, *old;

    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "feed takes bytes");
        return NULL;
    }
    if (reader->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "the reader is at work");
        return NULL;
    }
    if (reader->error != FINE) {
        raise_error(reader);
        return NULL;
    }
    if (PyBytes_Size(data) == 0) {
        Py_RETURN_NONE;
    }
    if (reader->chunk == NULL && PyBytes_CheckExact(data)) {
        Py_INCREF(data);
        chunk = data;
    }
    else {
        chunk = chunk_and(reader, data);
        if (chunk == NULL) {
            return NULL;
        }
    }
    old = reader->chunk;
    reader->chunk = chunk;
    reader->at = 0;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
reader_release(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    Reader *reader = (Reader *)self;
    Py_ssize_t size;
    const uint8_t *chunk;
    PyObject *bytes;

    if (reader->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "the reader is at work");
        return NULL;
    }
    chunk = chunk_of(reader, &size);
    if (reader->held == 0 && reader->at == 0 && reader->chunk != NULL) {
        bytes = reader->chunk;
        Py_INCREF(bytes);
    }
    else {
        uint8_t *to;
        Py_ssize_t before = reader->held + (reader->body == NULL ? 0 : reader->filled);
        size -= reader->at;
        if (before > PY_SSIZE_T_MAX - 64 - size) {
            return PyErr_NoMemory();
        }
        bytes = PyBytes_FromStringAndSize(NULL, before + size);
        if (bytes == NULL) {
            return NULL;
        }
        to = (uint8_t *)bytes_of(bytes);
        memcpy(to, reader->head, reader->held);
        if (reader->body != NULL) {
            carry(to + reader->held,
                  bytes_of(reader->body) + out_head_size(reader, reader->frame.length),
                  reader->filled, reader->frame.mask, 0, NULL);
        }
        memcpy(to + before, chunk + reader->at, size);
    }
    let_go_of_held(reader);
    reader->at = 0;
    Py_CLEAR(reader->chunk);
    reader->is_odd = false;
    return bytes;
}

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

static void
reader_dealloc(PyObject *self)
{
    Reader *reader = (Reader *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    Py_CLEAR(reader->chunk);
    Py_CLEAR(reader->body);
    release(self);
    Py_DECREF(type);
}

/* Return whether a value is this string; false for any other object, too. */
static bool
is_word(PyObject *value, const char *word)
{
    return PyUnicode_Check(value) && PyUnicode_CompareWithASCIIString(value, word) == 0;
}

/* Return a new reader; framing may be None or NULL, and message_type NULL. */
static PyObject *
new_reader(PyTypeObject *type, Direction direction, Py_ssize_t max_payload, PyObject *framing,
           PyObject *message_type)
{
    MessageType messages = BINARY;
    uint8_t prefix = 0;
    bool is_little = false;
    Reader *reader;

    if (max_payload < 0) {
        PyErr_SetString(PyExc_ValueError, "max_payload: less than nothing");
        return NULL;
    }
    if (framing != NULL && framing != Py_None) {
        is_little = is_word(framing, "int32le");
        prefix = is_little || is_word(framing, "int32") ? 4 : is_word(framing, "int16") ? 2 : 0;
    }
    if (prefix == 0 && ((framing != NULL && framing != Py_None) || direction == FROM_LINK)) {
        return PyErr_Format(PyExc_ValueError, "%R has no length prefix: int32, int32le, int16",
                            framing);
    }
    if (message_type != NULL) {
        if (is_word(message_type, "text")) {
            messages = TEXT;
        }
        else if (is_word(message_type, "tagged")) {
            messages = TAGGED;
        }
        else if (!is_word(message_type, "binary")) {
            return PyErr_Format(PyExc_ValueError,
                                "%R is no message type: text, binary, tagged", message_type);
        }
    }
    reader = (Reader *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (reader == NULL) {
        return NULL;
    }
    /* The rest is zero: nothing is held. */
    reader->direction = direction;
    reader->type = messages;
    reader->prefix = prefix;
    reader->is_little = is_little;
    reader->max_payload = max_payload;
    reader->limit = (uint64_t)(max_payload < MOST_PAYLOAD ? max_payload : MOST_PAYLOAD);
    if (direction == FROM_BROWSER && prefix) {
        uint64_t sayable = prefix == 2 ? UINT64_C(0xFFFF) : UINT64_C(0xFFFFFFFF);
        sayable -= messages == TAGGED;
        if (reader->limit > sayable) {
            reader->limit = sayable;
        }
    }
    return (PyObject *)reader;
}

static PyObject *
frame_reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"max_payload", "framing", "message_type", NULL};
    Py_ssize_t max_payload;
    PyObject *framing = NULL, *message_type = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n|OO:FrameReader", names, &max_payload,
                                     &framing, &message_type)) {
        return NULL;
    }
    return new_reader(type, FROM_BROWSER, max_payload, framing, message_type);
}

static PyObject *
link_reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"max_payload", "framing", "message_type", NULL};
    Py_ssize_t max_payload;
    PyObject *framing, *message_type;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nOO:LinkReader", names, &max_payload, &framing,
                                     &message_type)) {
        return NULL;
    }
    return new_reader(type, FROM_LINK, max_payload, framing, message_type);
}

static PyObject *
message_frame(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t length;
    uint8_t head[MOST_OUT_HEAD];
    int size, is_binary;
    PyObject *frame;

    if (count != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "message_frame takes bytes, and whether they are binary");
        return NULL;
    }
    is_binary = PyObject_IsTrue(args[1]);
    if (is_binary < 0) {
        return NULL;
    }
    length = PyBytes_Size(args[0]);
    if (length > MOST_PAYLOAD) {
        return PyErr_NoMemory();
    }
    size = write_server_head(head, length, is_binary);
    frame = PyBytes_FromStringAndSize(NULL, size + length);
    if (frame != NULL) {
        memcpy((uint8_t *)bytes_of(frame), head, size);
        memcpy((uint8_t *)bytes_of(frame) + size, bytes_of(args[0]), length);
    }
    return frame;
}

/* ---- The module ---- */

#define FEED {"feed", reader_feed, METH_O, "Take bytes as they came."}
#define PENDING {"pending", reader_pending, NULL, "Bytes held.", NULL}
#define MID_FRAME                                                                                 \
    {"mid_frame", reader_mid_frame, NULL, "Whether the bytes held end within a frame.", NULL}

static PyMethodDef frame_reader_methods[] = {
    FEED,
    {"take", reader_take, METH_O, "Return messages, each with whether it is binary."},
    {"take_framed", reader_take_framed, METH_O, "Return a link's frames, joined, and two sums."},
    {"release", reader_release, METH_NOARGS, "Give back all bytes held, as they came."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef frame_reader_properties[] = {
    PENDING,
    MID_FRAME,
    {"is_odd", reader_is_odd, NULL, "Whether the next frame is for others.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot frame_reader_slots[] = {
    {Py_tp_doc, "A browser's bytes in, messages out: see orion_twisted.core.wsframes."},
    {Py_tp_new, frame_reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_methods, frame_reader_methods},
    {Py_tp_getset, frame_reader_properties},
    {0, NULL},
};

static PyType_Spec frame_reader_spec = {
    .name = "orion_twisted.core._wsframes.FrameReader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = frame_reader_slots,
};

static PyMethodDef link_reader_methods[] = {
    FEED,
    {"take", reader_take_joined, METH_O, "Return a server's frames, joined, and two sums."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef link_reader_properties[] = {
    PENDING,
    MID_FRAME,
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot link_reader_slots[] = {
    {Py_tp_doc, "A link's bytes in, a server's frames out: see orion_twisted.core.wsframes."},
    {Py_tp_new, link_reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_methods, link_reader_methods},
    {Py_tp_getset, link_reader_properties},
    {0, NULL},
};

static PyType_Spec link_reader_spec = {
    .name = "orion_twisted.core._wsframes.LinkReader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = link_reader_slots,
};

/* Return an attribute of a module of this package, or NULL with an ImportError. */
static PyObject *
imported(const char *module_name, const char *name)
{
    PyObject *value, *module = PyImport_ImportModule(module_name);

    if (module == NULL) {
        return NULL;
    }
    value = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Format(PyExc_ImportError, "%s has no %s", module_name, name);
    }
    return value;
}

static int
add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int done;

    if (type == NULL) {
        return -1;
    }
    done = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return done;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);

    fill_utf8_next();
    state->frame_too_large = imported("orion_twisted.core.frames", "FrameTooLarge");
    if (state->frame_too_large == NULL) {
        return -1;
    }
    state->backend_error = imported("orion_twisted.core.errors", "BackendError");
    if (state->backend_error == NULL) {
        return -1;
    }
    if (add_type(module, &frame_reader_spec) < 0 || add_type(module, &link_reader_spec) < 0) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->frame_too_large);
    Py_VISIT(state->backend_error);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    Py_CLEAR(state->frame_too_large);
    Py_CLEAR(state->backend_error);
    return 0;
}

static void
module_free(void *module)
{
    module_clear((PyObject *)module);
}

static PyMethodDef module_methods[] = {
    {"message_frame", (PyCFunction)(void (*)(void))message_frame, METH_FASTCALL,
     "Return a server's frame of a message, unmasked."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_wsframes",
    .m_doc = "The codec of the data path, in C: see orion_twisted.core.wsframes.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__wsframes(void)
{
    return PyModuleDef_Init(&module_def);
}
