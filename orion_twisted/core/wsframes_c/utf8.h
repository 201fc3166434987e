/*
 * UTF-8, as it comes: a check that is given a text in any pieces.
 *
 * `utf8_check` takes the state after all that came before, and returns the one after what came now:
 * FINE_SO_FAR between characters, BAD for good, else that of a character that has begun. Nothing is
 * copied, and nothing beyond the state is kept.
 */

#ifndef ORION_WSFRAMES_UTF8_H
#define ORION_WSFRAMES_UTF8_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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

#endif
