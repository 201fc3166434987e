/*
 * The two classes, FrameReader and LinkReader: one struct, with what each of them may be asked.
 */

#ifndef ORION_WSFRAMES_MAKING_H
#define ORION_WSFRAMES_MAKING_H

#include "asking.h"
#include "feeding.h"
#include "taking.h"

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
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
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
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = link_reader_slots,
};

#endif
