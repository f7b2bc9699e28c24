/* problem.h: a network, its inputs and, where they are known, its outputs, all in float64 under the keys of
 * Tests/golden/README.md. */
#ifndef PROBLEM_H
#define PROBLEM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "stpn.h"

typedef struct array {
    char key[64]; /* "grad.param.weight" */
    int64_t count;
    double *values;
} array;

enum { MAX_ARRAYS = 64, MAX_ENTRIES = 16 };

typedef struct problem {
    char name[256];
    const char *text; /* of the cell, where the problem is drawn */
    stpn_cell cell;   /* dtype as stpn_cell_init left it: the caller chooses */
    int64_t batch, time;
    array arrays[MAX_ARRAYS];
    size_t array_count;
} problem;

/* The cell that a text describes by the names of docs/cells.md, its kind first: "stpn normalize=post clamp=0.1". A value
 * is a number, None, or a name. Ends the program where the library refuses one. */
stpn_cell cell_of(const char *text);

/* Reads the next case of a file that make_cases.py wrote; false at its end. */
bool problem_read(problem *p, FILE *file);

typedef struct sizes {
    int64_t B, T, I, H;
} sizes;

/* What a random problem is given beside x and its parameters. */
enum { GIVEN_STATE = 1, GIVEN_RESETS = 2, GIVEN_ALL = 3 };

/* Inputs drawn from a seed: x, states and cotangents from (-1, 1), parameters from around their initial range. */
void problem_draw(problem *p, const char *cell, sizes s, int given, uint64_t seed);

void problem_free(problem *p);

/* The array of key prefix + name; NULL where there is none. */
const array *problem_find(const problem *p, const char *prefix, const char *name);

/* Adds an array of zeros and returns its values. */
double *problem_add(problem *p, const char *prefix, const char *name, int64_t count);

/* Descriptions by the library; they end the program where it fails. */
stpn_array parameter_of(const stpn_cell *cell, int32_t index);
stpn_array state_of(const stpn_cell *cell, int32_t index);
int64_t array_size(const stpn_array *description);

#endif
