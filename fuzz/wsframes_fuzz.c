/*
 * The codec of the data path under libFuzzer, with sanitizers: see fuzz/sanitized.py.
 *
 * An input says how it is cut and what is called when. What a reader makes of the pieces has to be
 * what another one makes of the whole at once; what else is wrong is for the sanitizers to see, which
 * needs PYTHONMALLOC=malloc: every bytes object is then a block of its own. Whether it is right at
 * all, fuzz/wsframes.py asks.
 *
 * The codec's source is compiled into this program, and with it what leads the fuzzer.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 8
#define SWOLLEN "~~~~"       /* stands for a long piece of text, as in fuzz/wsframes.py */
#define MOST_SWELL 24000
#define PIECE 9000
#define ENOUGH 1000000

PyMODINIT_FUNC PyInit__wsframes(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PyObject *frame_reader, *link_reader, *message_frame, *backend_error;

static const char *const framings[] = {"int32", "int32le", "int16", NULL};
static const char *const types[] = {"text", "binary", "tagged"};
static const Py_ssize_t limits[] = {300, 0, 125, 126, 65535, 100000};

static void
fail(const char *why)
{
    fprintf(stderr, "wsframes_fuzz: %s\n", why);
    if (PyErr_Occurred()) {
        PyErr_Print();
    }
    abort();
}

/* Return an object that may not be NULL. */
static PyObject *
some(PyObject *object)
{
    if (object == NULL) {
        fail("an exception");
    }
    return object;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    PyObject *module, *errors;

    (void)argc;
    (void)argv;
    if (PyImport_AppendInittab("_wsframes", PyInit__wsframes) < 0) {
        fail("no place for the module");
    }
    Py_InitializeEx(0); /* the folder of the package is in PYTHONPATH */
    module = some(PyImport_ImportModule("_wsframes"));
    frame_reader = some(PyObject_GetAttrString(module, "FrameReader"));
    link_reader = some(PyObject_GetAttrString(module, "LinkReader"));
    message_frame = some(PyObject_GetAttrString(module, "message_frame"));
    errors = some(PyImport_ImportModule("orion_twisted.core.errors"));
    backend_error = some(PyObject_GetAttrString(errors, "BackendError"));
    return 0;
}

/* Bytes that grow. */
typedef struct {
    char *bytes;
    size_t size;
} Heap;

static void
add(Heap *heap, PyObject *bytes)
{
    size_t more = (size_t)PyBytes_Size(bytes);

    if (more) {
        heap->bytes = realloc(heap->bytes, heap->size + more);
        if (heap->bytes == NULL) {
            fail("no memory");
        }
        memcpy(heap->bytes + heap->size, PyBytes_AsString(bytes), more);
        heap->size += more;
    }
}

/* Call a method; return NULL for the error of a link, which a reader is at its end with. */
static PyObject *
call(PyObject *reader, const char *name, PyObject *argument)
{
    PyObject *result = argument == NULL ? PyObject_CallMethod(reader, name, NULL)
                                        : PyObject_CallMethod(reader, name, "O", argument);
    Py_XDECREF(argument);
    if (result == NULL) {
        if (!PyErr_ExceptionMatches(backend_error)) {
            fail(name);
        }
        PyErr_Clear();
    }
    return result;
}

/* Look at what a reader says of itself; return how many bytes it holds. */
static Py_ssize_t
look(PyObject *reader, bool is_link)
{
    static const char *const names[] = {"pending", "mid_frame", "is_odd"};
    Py_ssize_t pending = 0;

    for (int n = 0; n < (is_link ? 2 : 3); n++) {
        PyObject *value = some(PyObject_GetAttrString(reader, names[n]));
        if (n == 0) {
            pending = PyLong_AsSsize_t(value);
        }
        Py_DECREF(value);
    }
    return pending;
}

/* Take frames, `most` at once, until none comes. False: the error of a link. */
static bool
drain(PyObject *reader, const char *name, Py_ssize_t most, Heap *out)
{
    for (;;) {
        PyObject *taken = call(reader, name, PyLong_FromSsize_t(most));
        Py_ssize_t count;
        if (taken == NULL) {
            return false;
        }
        count = PyLong_AsSsize_t(PyTuple_GetItem(taken, 1));
        if (count > most) {
            fail("more than was asked for");
        }
        add(out, PyTuple_GetItem(taken, 0));
        Py_DECREF(taken);
        if (count == 0) {
            return true;
        }
    }
}

static PyObject *
new_reader(const uint8_t *header, bool is_link)
{
    const char *framing = framings[header[0] % (is_link ? 3 : 4)];

    return some(PyObject_CallFunction(is_link ? link_reader : frame_reader, "nzs",
                                      limits[header[1] % 6], framing, types[header[0] / 4 % 3]));
}

static void
feed(PyObject *reader, const uint8_t *bytes, size_t size)
{
    PyObject *data = some(PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size));

    Py_XDECREF(call(reader, "feed", data));
}

static size_t
piece_at(const uint8_t *header, size_t at, size_t size, int number)
{
    size_t piece = at < 600 ? (size_t)header[4 + number % 4] % 40 + 1 : PIECE;

    return piece < size - at ? piece : size - at;
}

/* Make any calls at all. */
static void
play(const uint8_t *header, const uint8_t *bytes, size_t size, bool is_link)
{
    PyObject *reader = new_reader(header, is_link);
    bool is_framed = is_link || framings[header[0] % 4] != NULL;
    int number = 0;

    for (size_t at = 0, piece; at < size; at += piece, number++) {
        uint8_t what = header[4 + number % 4];
        piece = piece_at(header, at, size, number);
        feed(reader, bytes + at, piece);
        look(reader, is_link);
        if (what & 0x40) {
            Py_XDECREF(call(reader, "take", PyLong_FromLong(what & 3)));
        }
        if (what & 0x20 && is_framed && !is_link) {
            Py_XDECREF(call(reader, "take_framed", PyLong_FromLong(what & 3)));
        }
        look(reader, is_link);
        if (what & 0x80 && !is_link) {
            Py_XDECREF(call(reader, "release", NULL));
            if (look(reader, is_link) != 0) {
                fail("something is held after a release");
            }
        }
    }
    Py_DECREF(reader);
}

/* Compare what comes of the pieces with what comes of the whole. */
static void
compare(const uint8_t *header, const uint8_t *bytes, size_t size, bool is_link)
{
    const char *name = is_link ? "take" : "take_framed";
    PyObject *readers[2] = {new_reader(header, is_link), new_reader(header, is_link)};
    Heap outs[2] = {{NULL, 0}, {NULL, 0}};
    bool is_open[2] = {true, true};
    int number = 0;

    for (size_t at = 0, piece; at < size && is_open[0]; at += piece, number++) {
        piece = piece_at(header, at, size, number);
        feed(readers[0], bytes + at, piece);
        is_open[0] = drain(readers[0], name, header[3] % 5 + 1, &outs[0]);
    }
    feed(readers[1], bytes, size);
    is_open[1] = drain(readers[1], name, ENOUGH, &outs[1]);
    if (is_open[0] != is_open[1] || outs[0].size != outs[1].size
        || (outs[0].size && memcmp(outs[0].bytes, outs[1].bytes, outs[0].size) != 0)) {
        fail("pieces come to something else than the whole");
    }
    if (look(readers[0], is_link) != look(readers[1], is_link)) {
        fail("not as much is held");
    }
    if (!is_link) {
        PyObject *rests[2] = {call(readers[0], "release", NULL), call(readers[1], "release", NULL)};
        if (PyObject_RichCompareBool(rests[0], rests[1], Py_EQ) != 1) {
            fail("something else is released");
        }
        Py_DECREF(rests[0]);
        Py_DECREF(rests[1]);
    }
    for (int n = 0; n < 2; n++) {
        free(outs[n].bytes);
        Py_DECREF(readers[n]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t header[HEADER] = {0};
    size_t taken = size < HEADER ? size : HEADER, swell = 0, place;
    uint8_t *bytes;

    memcpy(header, data, taken);
    data += taken;
    size -= taken;
    for (place = 0; place + strlen(SWOLLEN) <= size; place++) {
        if (memcmp(data + place, SWOLLEN, strlen(SWOLLEN)) == 0) {
            swell = ((size_t)header[2] << 8 | header[3]) % MOST_SWELL;
            break;
        }
    }
    bytes = malloc(size + swell + 1);
    if (bytes == NULL) {
        fail("no memory");
    }
    if (place > size) {
        place = size;
    }
    memcpy(bytes, data, place);
    memset(bytes + place, 'x', swell);
    memcpy(bytes + place + swell, data + place, size - place);
    size += swell;
    for (int is_link = 0; is_link < 2; is_link++) {
        play(header, bytes, size, is_link);
        if (is_link || framings[header[0] % 4] != NULL) {
            compare(header, bytes, size, is_link);
        }
    }
    PyObject *payload = some(PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size));
    Py_DECREF(some(PyObject_CallFunction(message_frame, "OO", payload, Py_False)));
    Py_DECREF(payload);
    free(bytes);
    return 0;
}
