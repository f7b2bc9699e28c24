#include "call.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "check.h"

size_t real_size(int32_t dtype) { return dtype == STPN_FLOAT64 ? sizeof(double) : sizeof(float); }

const char *dtype_name(int32_t dtype) { return dtype == STPN_FLOAT64 ? "float64" : "float32"; }

double real_get(const void *data, int64_t index, int32_t dtype)
{
    return dtype == STPN_FLOAT64 ? ((const double *)data)[index] : (double)((const float *)data)[index];
}

void real_set(void *data, int64_t index, int32_t dtype, double value)
{
    if (dtype == STPN_FLOAT64)
        ((double *)data)[index] = value;
    else
        ((float *)data)[index] = (float)value;
}

static bool expect_ok(const call *c, int32_t status, const char *what)
{
    return EXPECT(status == STPN_OK, "%s: %s: %s: %s", what, stpn_status_name(status), c->error.argument,
                  c->error.message);
}

/* Laying out. */

static void *real_buffer(const call *c, const char *name, int64_t count)
{
    size_t size = real_size(c->cell.dtype);
    return guarded(name, (size_t)count * size, size);
}

/* A frozen buffer with the problem's array; NULL where there is none. */
static void *input(const call *c, const char *prefix, const char *name, int64_t count)
{
    const array *a = problem_find(c->problem, prefix, name);
    if (!a)
        return NULL;
    EXPECT(a->count == count, "%s has %" PRId64 " elements, the library says %" PRId64, a->key, a->count,
           count);
    void *buffer = real_buffer(c, a->key, a->count);
    for (int64_t i = 0; i < a->count; i++)
        real_set(buffer, i, c->cell.dtype, a->values[i]);
    guarded_freeze(buffer);
    return buffer;
}

static void *new_output(call *c, const char *prefix, const char *name, int64_t count)
{
    output *o = &c->outputs[c->output_count++];
    snprintf(o->key, sizeof o->key, "%s%s", prefix, name);
    o->count = count;
    o->data = real_buffer(c, o->key, count);
    return o->data;
}

static uint8_t *resets_of(const call *c)
{
    const array *a = problem_find(c->problem, "resets", "");
    if (!a)
        return NULL;
    uint8_t *resets = guarded("resets", (size_t)a->count, 1);
    for (int64_t i = 0; i < a->count; i++)
        resets[i] = a->values[i] != 0;
    guarded_freeze(resets);
    return resets;
}

static void open_parameters(call *c)
{
    c->parameter_count = stpn_parameter_count(&c->cell);
    EXPECT(c->parameter_count > 0 && c->parameter_count <= MAX_ENTRIES, "%d parameters",
           (int)c->parameter_count);
    for (int32_t i = 0; i < c->parameter_count; i++) {
        stpn_array d = parameter_of(&c->cell, i);
        c->parameters[i] = input(c, "param.", d.name, array_size(&d));
        EXPECT(c->parameters[i] != NULL, "no array for the library's parameter %s", d.name);
        c->grad_parameters[i] = new_output(c, "grad.param.", d.name, array_size(&d));
    }
}

static void *step_state(const call *c, const void *initial, int64_t count)
{
    void *state = real_buffer(c, "step.state", count);
    for (int64_t i = 0; i < count; i++)
        real_set(state, i, c->cell.dtype, initial ? real_get(initial, i, c->cell.dtype) : 0);
    return state;
}

static void open_states(call *c)
{
    c->state_count = stpn_state_count(&c->cell);
    EXPECT(c->state_count > 0 && c->state_count <= MAX_ENTRIES, "%d states", (int)c->state_count);
    for (int32_t i = 0; i < c->state_count; i++) {
        stpn_array d = state_of(&c->cell, i);
        int64_t count = c->problem->batch * array_size(&d);
        c->state[i] = input(c, "state.", d.name, count);
        c->grad_final[i] = input(c, "cotangent.final.", d.name, count);
        c->grad_state[i] = new_output(c, "grad.state.", d.name, count);
        c->step_state[i] = step_state(c, c->state[i], count);
    }
}

static void *workspace(call *c, const stpn_run *run, int32_t pass, size_t *size)
{
    expect_ok(c, stpn_workspace_size(&c->cell, run, pass, size, &c->error), "stpn_workspace_size");
    return guarded("workspace", *size, 1);
}

void call_open(call *c, const problem *p, int32_t dtype, int32_t implementation, int32_t threads)
{
    int64_t B = p->batch, T = p->time, I = p->cell.input_size, H = p->cell.hidden_size;
    size_t forward_size = 0, backward_size = 0, step_size = 0, tape_size = 0;

    *c = (call){.problem = p, .cell = p->cell, .error = {.struct_size = sizeof(stpn_error)}};
    c->cell.dtype = dtype;
    c->run = (stpn_run){.struct_size = sizeof c->run,
                        .batch = B,
                        .time = T,
                        .threads = threads,
                        .implementation = implementation};
    c->step_run = c->run;
    c->step_run.time = 1;

    void *y = new_output(c, "y", "", B * T * H);
    void *energy = new_output(c, "energy", "", B * T * H);
    for (int32_t i = 0; i < stpn_state_count(&c->cell) && i < MAX_ENTRIES; i++) {
        stpn_array d = state_of(&c->cell, i);
        c->final_state[i] = new_output(c, "final.", d.name, B * array_size(&d));
    }
    c->forward_outputs = c->output_count;
    open_parameters(c);
    open_states(c);

    expect_ok(c, stpn_tape_size(&c->cell, &c->run, &tape_size, &c->error), "stpn_tape_size");
    void *tape = guarded("tape", tape_size, 8);
    c->forward = (stpn_forward_buffers){.struct_size = sizeof c->forward,
                                        .y = y,
                                        .final_state = c->final_state,
                                        .energy = energy,
                                        .x = input(c, "x", "", B * T * I),
                                        .parameters = c->parameters,
                                        .state = c->state,
                                        .resets = resets_of(c),
                                        .tape = tape,
                                        .tape_size = tape_size,
                                        .workspace = workspace(c, &c->run, STPN_PASS_FORWARD, &forward_size),
                                        .workspace_size = forward_size};
    c->backward =
        (stpn_backward_buffers){.struct_size = sizeof c->backward,
                                .grad_x = new_output(c, "grad.x", "", B * T * I),
                                .grad_parameters = c->grad_parameters,
                                .grad_state = c->grad_state,
                                .grad_y = input(c, "cotangent.y", "", B * T * H),
                                .grad_final = c->grad_final,
                                .tape = tape,
                                .tape_size = tape_size,
                                .workspace = workspace(c, &c->run, STPN_PASS_BACKWARD, &backward_size),
                                .workspace_size = backward_size};
    c->step_x = real_buffer(c, "step.x", B * I);
    c->step = (stpn_step_buffers){.struct_size = sizeof c->step,
                                  .y = real_buffer(c, "step.y", B * H),
                                  .energy = real_buffer(c, "step.energy", B * H),
                                  .state = c->step_state,
                                  .x = c->step_x,
                                  .parameters = c->parameters,
                                  .workspace = workspace(c, &c->step_run, STPN_PASS_STEP, &step_size),
                                  .workspace_size = step_size};
}

/* Calling. */

void call_forward(call *c)
{
    expect_ok(c, stpn_forward(&c->cell, &c->run, &c->forward, &c->error), "stpn_forward");
}

void call_backward(call *c)
{
    expect_ok(c, stpn_backward(&c->cell, &c->run, &c->backward, &c->error), "stpn_backward");
}

static void copy_rows(void *to, size_t to_stride, const void *from, size_t from_stride, size_t row, int64_t rows)
{
    for (size_t i = 0; i < (size_t)rows; i++)
        memcpy((char *)to + i * to_stride, (const char *)from + i * from_stride, row);
}

/* What stpn_forward does before step t. */
static void reset_step_state(const call *c, size_t t)
{
    for (int64_t b = 0; b < c->run.batch; b++) {
        if (!c->forward.resets || !c->forward.resets[(size_t)(b * c->run.time) + t])
            continue;
        for (int32_t i = 0; i < c->state_count; i++) {
            stpn_array d = state_of(&c->cell, i);
            size_t sample = (size_t)array_size(&d) * real_size(c->cell.dtype);
            memset((char *)c->step_state[i] + (size_t)b * sample, 0, sample);
        }
    }
}

void call_steps(call *c)
{
    size_t x_row = (size_t)c->cell.input_size * real_size(c->cell.dtype);
    size_t y_row = (size_t)c->cell.hidden_size * real_size(c->cell.dtype);
    size_t T = (size_t)c->run.time;

    for (size_t t = 0; t < T; t++) {
        reset_step_state(c, t);
        copy_rows(c->step_x, x_row, (const char *)c->forward.x + t * x_row, T * x_row, x_row, c->run.batch);
        if (!expect_ok(c, stpn_step(&c->cell, &c->step_run, &c->step, &c->error), "stpn_step"))
            return;
        copy_rows((char *)c->forward.y + t * y_row, T * y_row, c->step.y, y_row, y_row, c->run.batch);
        copy_rows((char *)c->forward.energy + t * y_row, T * y_row, c->step.energy, y_row, y_row, c->run.batch);
    }
    for (int32_t i = 0; i < c->state_count; i++) {
        stpn_array d = state_of(&c->cell, i);
        size_t bytes = (size_t)(c->run.batch * array_size(&d)) * real_size(c->cell.dtype);
        memcpy(c->final_state[i], c->step_state[i], bytes);
    }
}

/* Comparing. */

/* The element that is off most, and by how much: 1 is the tolerance. NaN is off by NaN. */
typedef struct deviation {
    int64_t index;
    double share;
} deviation;

static deviation deviation_of(const output *o, const array *wanted, int32_t dtype)
{
    double tolerance = dtype == STPN_FLOAT64 ? 1e-12 : 1e-5, largest = 1;
    deviation worst = {0};

    for (int64_t i = 0; i < wanted->count; i++)
        largest = fmax(largest, fabs(wanted->values[i]));
    for (int64_t i = 0; i < wanted->count; i++) {
        double share = fabs(real_get(o->data, i, dtype) - wanted->values[i]) / (tolerance * largest);
        if (share <= worst.share)
            continue;
        worst = (deviation){i, share};
        if (isnan(share))
            break;
    }
    return worst;
}

bool call_is_within(const call *c, double share)
{
    for (size_t i = 0; i < c->output_count; i++) {
        const array *wanted = problem_find(c->problem, c->outputs[i].key, "");
        if (wanted && !(deviation_of(&c->outputs[i], wanted, c->cell.dtype).share <= share))
            return false;
    }
    return true;
}

static void expect_close(const output *o, const array *wanted, int32_t dtype)
{
    if (!EXPECT(o->count == wanted->count, "%s: %" PRId64 " elements, not %" PRId64, o->key, o->count,
                wanted->count))
        return;
    deviation worst = deviation_of(o, wanted, dtype);
    if (worst.share <= 1)
        return;
    EXPECT(false, "%s[%" PRId64 "] is %.17g, not %.17g: off by %g of the tolerance", o->key, worst.index,
           real_get(o->data, worst.index, dtype), wanted->values[worst.index], worst.share);
}

static void expect_range(const call *c, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        const output *o = &c->outputs[i];
        const array *wanted = problem_find(c->problem, o->key, "");
        bool not_given = strncmp(o->key, "grad.state.", 11) == 0 && !problem_find(c->problem, o->key + 5, "");
        if (wanted)
            expect_close(o, wanted, c->cell.dtype);
        else
            EXPECT(not_given, "no array to compare %s with", o->key);
    }
}

void expect_forward(const call *c) { expect_range(c, 0, c->forward_outputs); }

void expect_backward(const call *c) { expect_range(c, c->forward_outputs, c->output_count); }

bool same_bits(const output *a, const output *b, int32_t dtype)
{
    return a->count == b->count && memcmp(a->data, b->data, (size_t)a->count * real_size(dtype)) == 0;
}

void expect_same_bits(const call *a, const call *b)
{
    for (size_t i = 0; i < a->output_count; i++)
        EXPECT(same_bits(&a->outputs[i], &b->outputs[i], a->cell.dtype), "%s: other bits", a->outputs[i].key);
}

/* Errors. */

void expect_sentence(const stpn_error *error, const char *argument)
{
    EXPECT(memchr(error->argument, 0, sizeof error->argument) != NULL, "the argument has no end");
    EXPECT(memchr(error->message, 0, sizeof error->message) != NULL, "the message has no end");
    EXPECT(strcmp(error->argument, argument) == 0, "argument '%s', not '%s'", error->argument, argument);
    EXPECT(strlen(error->message) > strlen(argument) + 8, "message '%s'", error->message);
    EXPECT(error->message[strlen(error->message) - 1] != '.', "message '%s'", error->message);
}
