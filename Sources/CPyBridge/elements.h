/* elements.h: the types of a buffer's elements. */
#ifndef STPN_BRIDGE_ELEMENTS_H
#define STPN_BRIDGE_ELEMENTS_H

#include <Python.h>

typedef enum { ELEMENT_FLOAT32, ELEMENT_FLOAT64, ELEMENT_FLAG, ELEMENT_BYTE } Element;

const char *element_name(Element element);
size_t element_size(Element element);

/* Whether a buffer's elements are of this type, in the byte order of the processor. */
int element_matches(const Py_buffer *view, Element element);

/* The type of a buffer's elements as NumPy names it, for messages. */
enum { ELEMENT_TEXT_SIZE = 96 };
const char *element_text(const Py_buffer *view, char text[ELEMENT_TEXT_SIZE]);

#endif
