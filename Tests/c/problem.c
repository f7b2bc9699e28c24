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
    char word[32], option[64], text[64];
    double number;
    stpn_error error = {.struct_size = sizeof error};

    *p = (problem){0};
    if (fscanf(file, " case %95s cell %63s", p->name, text) != 2)
        return false;
    require(stpn_cell_init_named(&p->cell, text, &error), &error, p->name);
    while (fscanf(file, "%31s", word) == 1 && strcmp(word, "end") != 0) {
        if (strcmp(word, "array") == 0)
            read_array(p, file);
        else if (strcmp(word, "number") == 0 && fscanf(file, "%63s %lf", option, &number) == 2)
            require(stpn_cell_set_number(&p->cell, option, number, &error), &error, p->name);
        else if (strcmp(word, "name") == 0 && fscanf(file, "%63s %63s", option, text) == 2)
            require(stpn_cell_set_name(&p->cell, option, text, &error), &error, p->name);
        else if (strcmp(word, "none") == 0 && fscanf(file, "%63s", option) == 1)
            require(stpn_cell_set_name(&p->cell, option, NULL, &error), &error, p->name);
        else
            fatal("%s: unknown word '%s'", p->name, word);
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

void problem_draw(problem *p, int64_t batch, int64_t time, int64_t input_size, int64_t hidden_size,
                  problem_options options, uint64_t seed)
{
    stpn_error error = {.struct_size = sizeof error};
    *p = (problem){.batch = batch, .time = time};
    require(stpn_cell_init(&p->cell, STPN_CELL_STPN, &error), &error, "stpn_cell_init");
    p->cell.input_size = input_size;
    p->cell.hidden_size = hidden_size;
    p->cell.clamp = options.clamp;
    p->cell.bias = options.bias;
    require(stpn_cell_set_name(&p->cell, "normalize", options.normalize, &error), &error, "normalize");
    snprintf(p->name, sizeof p->name, "B%" PRId64 "_T%" PRId64 "_I%" PRId64 "_H%" PRId64 "_%s_%g%s%s%s", batch,
             time, input_size, hidden_size, options.normalize ? options.normalize : "none", options.clamp,
             options.bias ? "_bias" : "", options.state ? "_state" : "", options.resets ? "_resets" : "");

    int64_t x = batch * time * input_size, y = batch * time * hidden_size;
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
        int64_t count = batch * array_size(&d);
        draw_array(problem_add(p, "cotangent.final.", d.name, count), count, -1, 1, &seed);
        if (options.state)
            draw_array(problem_add(p, "state.", d.name, count), count, -1, 1, &seed);
    }
    if (options.resets) {
        double *resets = problem_add(p, "resets", "", batch * time);
        for (int64_t i = 0; i < batch * time; i++)
            resets[i] = draw(&seed) < 0.2;
    }
}
