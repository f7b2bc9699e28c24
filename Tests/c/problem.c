#include "problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void require(int32_t status, const stpn_error *error, const char *what)
{
    if (status != STPN_OK)
        fatal("%s: %s: %s", what, stpn_status_name(status), error->message);
}

/* A cell from a text. */

static int32_t set_option(stpn_cell *cell, const char *option, const char *value, stpn_error *error)
{
    char *end;
    double number = strtod(value, &end);
    if (*end == 0)
        return stpn_cell_set_number(cell, option, number, error);
    return stpn_cell_set_name(cell, option, strcmp(value, "None") == 0 ? NULL : value, error);
}

stpn_cell cell_of(const char *text)
{
    char word[32], value[32];
    int length = 0;
    stpn_cell cell;
    stpn_error error = {.struct_size = sizeof error};

    if (sscanf(text, "%31s%n", word, &length) != 1)
        fatal("'%s' names no cell", text);
    require(stpn_cell_init_named(&cell, word, &error), &error, text);
    const char *rest = text + length;
    for (; sscanf(rest, " %31[^= ]=%31s%n", word, value, &length) == 2; rest += length)
        require(set_option(&cell, word, value, &error), &error, text);
    if (*rest)
        fatal("'%s': expected option=value, got '%s'", text, rest);
    return cell;
}

/* Descriptions. */

stpn_array parameter_of(const stpn_cell *cell, int32_t index)
{
    stpn_error error = {.struct_size = sizeof error};
    stpn_array description = {.struct_size = sizeof description};
    require(stpn_parameter(cell, index, &description, &error), &error, "stpn_parameter");
    return description;
}

stpn_array state_of(const stpn_cell *cell, int32_t index)
{
    stpn_error error = {.struct_size = sizeof error};
    stpn_array description = {.struct_size = sizeof description};
    require(stpn_state(cell, index, &description, &error), &error, "stpn_state");
    return description;
}

int64_t array_size(const stpn_array *description)
{
    int64_t size = 1;
    for (int32_t axis = 0; axis < description->rank; axis++)
        size *= description->shape[axis];
    return size;
}

const array *problem_find(const problem *p, const char *prefix, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    for (size_t i = 0; i < p->array_count; i++)
        if (strcmp(p->arrays[i].key, key) == 0)
            return &p->arrays[i];
    return NULL;
}

double *problem_add(problem *p, const char *prefix, const char *name, int64_t count)
{
    if (p->array_count == MAX_ARRAYS)
        fatal("%s: more than %d arrays", p->name, (int)MAX_ARRAYS);
    array *a = &p->arrays[p->array_count++];
    snprintf(a->key, sizeof a->key, "%s%s", prefix, name);
    a->count = count;
    a->values = allocate((size_t)count * sizeof(double));
    return a->values;
}

void problem_free(problem *p)
{
    for (size_t i = 0; i < p->array_count; i++)
        free(p->arrays[i].values);
    p->array_count = 0;
}

/* Cases from a file. */

static void read_array(problem *p, FILE *file)
{
    char key[64];
    int rank;
    int64_t shape[4] = {0}, count = 1;
    if (fscanf(file, "%63s %d", key, &rank) != 2 || rank < 0 || rank > 4)
        fatal("%s: no array", p->name);
    for (int axis = 0; axis < rank; axis++) {
        if (fscanf(file, "%" SCNd64, &shape[axis]) != 1)
            fatal("%s: %s has no shape", p->name, key);
        count *= shape[axis];
    }
    double *values = problem_add(p, key, "", count);
    for (int64_t i = 0; i < count; i++)
        if (fscanf(file, "%lf", &values[i]) != 1)
            fatal("%s: %s is too short", p->name, key);
    if (strcmp(key, "x") == 0) {
        p->batch = shape[0];
        p->time = shape[1];
    }
}

bool problem_read(problem *p, FILE *file)
{
    char word[32], cell[512];

    *p = (problem){0};
    if (fscanf(file, " case %255s cell %511[^\n]", p->name, cell) != 2)
        return false;
    p->cell = cell_of(cell);
    while (fscanf(file, "%31s", word) == 1 && strcmp(word, "end") != 0) {
        if (strcmp(word, "array") != 0)
            fatal("%s: unknown word '%s'", p->name, word);
        read_array(p, file);
    }
    return true;
}

/* Cases from a seed. */

/* splitmix64 (Steele, Lea, Flood 2014), uniform in [0, 1). */
static double draw(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Values that float32 holds exactly, so that either precision gets the same inputs. */
static void draw_array(double *values, int64_t count, double low, double high, uint64_t *seed)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(low + (high - low) * draw(seed));
}

void problem_draw(problem *p, const char *cell, sizes s, int given, uint64_t seed)
{
    *p = (problem){.text = cell, .cell = cell_of(cell), .batch = s.B, .time = s.T};
    p->cell.input_size = s.I;
    p->cell.hidden_size = s.H;
    snprintf(p->name, sizeof p->name, "%s, B %" PRId64 ", T %" PRId64 ", I %" PRId64 ", H %" PRId64 "%s%s",
             cell, s.B, s.T, s.I, s.H, given & GIVEN_STATE ? ", state" : "",
             given & GIVEN_RESETS ? ", resets" : "");

    int64_t x = s.B * s.T * s.I, y = s.B * s.T * s.H;
    draw_array(problem_add(p, "x", "", x), x, -1, 1, &seed);
    draw_array(problem_add(p, "cotangent.y", "", y), y, -1, 1, &seed);
    for (int32_t i = 0; i < stpn_parameter_count(&p->cell); i++) {
        stpn_array d = parameter_of(&p->cell, i);
        int64_t count = array_size(&d);
        /* A tenth beyond the initial range: Γ starts too near 0 for a wrong term of it to show. */
        draw_array(problem_add(p, "param.", d.name, count), count, d.low - 0.1, d.high + 0.1, &seed);
    }
    for (int32_t i = 0; i < stpn_state_count(&p->cell); i++) {
        stpn_array d = state_of(&p->cell, i);
        int64_t count = s.B * array_size(&d);
        draw_array(problem_add(p, "cotangent.final.", d.name, count), count, -1, 1, &seed);
        if (given & GIVEN_STATE)
            draw_array(problem_add(p, "state.", d.name, count), count, -1, 1, &seed);
    }
    if (given & GIVEN_RESETS) {
        double *resets = problem_add(p, "resets", "", s.B * s.T);
        for (int64_t i = 0; i < s.B * s.T; i++)
            resets[i] = draw(&seed) < 0.2;
    }
}
