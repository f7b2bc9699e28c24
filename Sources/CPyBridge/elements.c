#include "elements.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int host_is_little(void)
{
    static const uint16_t probe = 1;
    return *(const unsigned char *)&probe == 1;
}

const char *element_name(Element element)
{
    switch (element) {
    case ELEMENT_FLOAT32:
        return "float32";
    case ELEMENT_FLOAT64:
        return "float64";
    case ELEMENT_FLAG:
        return "bool or uint8";
    case ELEMENT_BYTE:
        return "uint8";
    }
    return "";
}

size_t element_size(Element element)
{
    switch (element) {
    case ELEMENT_FLOAT32:
        return sizeof(float);
    case ELEMENT_FLOAT64:
        return sizeof(double);
    default:
        return 1;
    }
}

/* The format of a buffer, of struct's language, without its byte order. */
static const char *format_code(const Py_buffer *view, int *native_order)
{
    const char *format = view->format ? view->format : "B";
    *native_order = 1;
    if (*format && strchr("@=^<>!", *format)) {
        char order = *format++;
        if (view->itemsize > 1)
            *native_order = !strchr(host_is_little() ? ">!" : "<", order);
    }
    return format;
}

int element_matches(const Py_buffer *view, Element element)
{
    static const char *const codes[] = {
        [ELEMENT_FLOAT32] = "f", [ELEMENT_FLOAT64] = "d", [ELEMENT_FLAG] = "?B", [ELEMENT_BYTE] = "B"};
    int native_order;
    const char *code = format_code(view, &native_order);
    return native_order && code[0] && !code[1] && strchr(codes[element], code[0]) &&
           (size_t)view->itemsize == element_size(element);
}

static const char *kind_of(const char *code)
{
    if (code[0] == 'Z')
        return "complex";
    if (!code[0] || code[1])
        return NULL;
    return strchr("efdg", code[0])     ? "float"
           : strchr("bhilqn", code[0]) ? "int"
           : strchr("BHILQN", code[0]) ? "uint"
                                       : NULL;
}

const char *element_text(const Py_buffer *view, char text[ELEMENT_TEXT_SIZE])
{
    int native_order;
    const char *code = format_code(view, &native_order);
    const char *order = native_order ? "" : host_is_little() ? "big-endian " : "little-endian ";
    const char *kind = kind_of(code);
    if (kind)
        snprintf(text, ELEMENT_TEXT_SIZE, "%s%s%d", order, kind, (int)view->itemsize * 8);
    else if (strcmp(code, "?") == 0)
        snprintf(text, ELEMENT_TEXT_SIZE, "bool");
    else if (strcmp(code, "O") == 0)
        snprintf(text, ELEMENT_TEXT_SIZE, "object");
    else
        snprintf(text, ELEMENT_TEXT_SIZE, "%selements of format '%.40s'", order, code);
    return text;
}
