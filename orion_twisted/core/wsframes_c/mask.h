/*
 * Moving bytes: a payload from where it came to where it stays, its mask (RFC 6455, 5.3) taken off
 * or put on, and its text looked at while it is still in the cache.
 *
 * `carry` can be told to go on in the middle of a payload. What is there and what is to be must not
 * overlap.
 */

#ifndef ORION_WSFRAMES_MASK_H
#define ORION_WSFRAMES_MASK_H

#include "utf8.h"

#define BLOCK (8 * 1024) /* bytes moved before their UTF-8 is checked, while in the cache */

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

#endif
