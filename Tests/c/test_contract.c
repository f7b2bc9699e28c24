/* What the header promises about buffers: which may be NULL, what a tape holds, empty calls, NaN, shared inputs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "tests.h"

static void draw_small(problem *p)
{
    const problem_options options = {
        .normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = true};
    problem_draw(p, 5, 7, 3, 11, options, 42);
}

static void open_small(call *c, const problem *p, int32_t implementation)
{
    call_open(c, p, STPN_FLOAT32, implementation, 2);
}

static void run_small(call *c, const problem *p, int32_t implementation)
{
    open_small(c, p, implementation);
    call_forward(c);
    call_backward(c);
}

static void zero(problem *p, const char *prefix)
{
    for (size_t i = 0; i < p->array_count; i++)
        if (strncmp(p->arrays[i].key, prefix, strlen(prefix)) == 0)
            memset(p->arrays[i].values, 0, (size_t)p->arrays[i].count * sizeof(double));
}

/* What may be NULL. */

/* Makes NULL what points to data among count pointers. */
static bool drop(void **pointers, int32_t count, const void *data)
{
    for (int32_t i = 0; i < count; i++) {
        if (pointers[i] != data)
            continue;
        pointers[i] = NULL;
        return true;
    }
    return false;
}

static void test_one_output_left_out(int32_t implementation, void *context)
{
    call whole, part;
    test_begin("implementation %d: an output that is not wanted changes no other", implementation);
    run_small(&whole, context, implementation);
    size_t count = whole.output_count;
    test_end();

    for (size_t dropped = 1; dropped < count; dropped++) {
        test_begin("implementation %d: without output %zu", implementation, dropped);
        run_small(&whole, context, implementation);
        open_small(&part, context, implementation);
        const void *data = part.outputs[dropped].data;
        EXPECT(drop(part.final_state, part.state_count, data) ||
                   drop(part.grad_parameters, part.parameter_count, data) ||
                   drop(part.grad_state, part.state_count, data) || drop(&part.backward.grad_x, 1, data),
               "%s cannot be left out", part.outputs[dropped].key);
        guarded_freeze(data);
        call_forward(&part);
        call_backward(&part);
        for (size_t i = 0; i < count; i++)
            if (i != dropped)
                EXPECT(same_bits(&part.outputs[i], &whole.outputs[i], STPN_FLOAT32), "%s: other bits",
                       part.outputs[i].key);
        test_end();
    }
}

static void test_arrays_left_out(int32_t implementation, void *context)
{
    call whole, part;
    test_begin("implementation %d: arrays of outputs may be NULL", implementation);
    run_small(&whole, context, implementation);
    open_small(&part, context, implementation);
    part.forward.final_state = NULL;
    part.backward.grad_parameters = NULL;
    part.backward.grad_state = NULL;
    call_forward(&part);
    call_backward(&part);
    for (size_t i = 0; i < part.output_count; i++)
        if (part.outputs[i].data == part.forward.y || part.outputs[i].data == part.backward.grad_x)
            EXPECT(same_bits(&part.outputs[i], &whole.outputs[i], STPN_FLOAT32), "%s: other bits",
                   part.outputs[i].key);
    test_end();
}

enum { NO_GRAD_Y, NO_GRAD_FINAL, NO_GRAD_FINAL_ENTRIES, NO_STATE, NO_STATE_ENTRIES, WAYS };

static void leave_out_input(call *c, int way)
{
    switch (way) {
    case NO_GRAD_Y:
        c->backward.grad_y = NULL;
        break;
    case NO_GRAD_FINAL:
        c->backward.grad_final = NULL;
        break;
    case NO_GRAD_FINAL_ENTRIES:
        memset(c->grad_final, 0, sizeof c->grad_final);
        break;
    case NO_STATE:
        c->forward.state = NULL;
        break;
    case NO_STATE_ENTRIES:
        memset(c->state, 0, sizeof c->state);
        break;
    default:
        fatal("no such way");
    }
}

static void test_inputs_left_out(int32_t implementation, void *context)
{
    static const char *const inputs[WAYS] = {"cotangent.y", "cotangent.final.", "cotangent.final.", "state.",
                                             "state."};
    (void)context;
    for (int way = 0; way < WAYS; way++) {
        problem p;
        call zeros, null;
        draw_small(&p);
        zero(&p, inputs[way]);
        test_begin("implementation %d: %s NULL is zeros (way %d)", implementation, inputs[way], way);
        run_small(&zeros, &p, implementation);
        open_small(&null, &p, implementation);
        leave_out_input(&null, way);
        call_forward(&null);
        call_backward(&null);
        expect_same_bits(&null, &zeros);
        test_end();
        problem_free(&p);
    }
}

static void test_no_tape(int32_t implementation, void *context)
{
    call taped, untaped;
    test_begin("implementation %d: forward without a tape", implementation);
    open_small(&taped, context, implementation);
    call_forward(&taped);
    open_small(&untaped, context, implementation);
    guarded_freeze(untaped.forward.tape);
    untaped.forward.tape = NULL;
    untaped.forward.tape_size = 0;
    call_forward(&untaped);
    expect_same_bits(&untaped, &taped);
    test_end();
}

static void test_step_without_y(int32_t implementation, void *context)
{
    call whole, part;
    test_begin("implementation %d: a step whose y is not wanted", implementation);
    open_small(&whole, context, implementation);
    open_small(&part, context, implementation);
    memset(whole.step_x, 0, (size_t)(5 * 3) * sizeof(float));
    memset(part.step_x, 0, (size_t)(5 * 3) * sizeof(float));
    part.step.y = NULL;
    EXPECT(stpn_step(&whole.cell, &whole.step_run, &whole.step, NULL) == STPN_OK, "refused");
    EXPECT(stpn_step(&part.cell, &part.step_run, &part.step, NULL) == STPN_OK, "refused");
    for (int32_t i = 0; i < part.state_count; i++) {
        stpn_array d = state_of(&part.cell, i);
        size_t bytes = (size_t)(5 * array_size(&d)) * sizeof(float);
        EXPECT(memcmp(part.step_state[i], whole.step_state[i], bytes) == 0, "%s: other bits", d.name);
    }
    test_end();
}

/* Tapes. */

static void poison_inputs(const call *c)
{
    guarded_poison(c->forward.x);
    guarded_poison(c->forward.resets);
    for (int32_t i = 0; i < c->parameter_count; i++)
        guarded_poison(c->parameters[i]);
    for (int32_t i = 0; i < c->state_count; i++)
        guarded_poison(c->state[i]);
}

static void poison_gradients(const call *c)
{
    for (size_t i = c->forward_outputs; i < c->output_count; i++)
        guarded_poison(c->outputs[i].data);
}

static void test_tape_holds_everything(int32_t implementation, void *context)
{
    call kept, changed;
    test_begin("implementation %d: a tape outlives its inputs, and serves twice", implementation);
    run_small(&kept, context, implementation);
    open_small(&changed, context, implementation);
    call_forward(&changed);
    poison_inputs(&changed);
    guarded_freeze(changed.forward.tape);
    for (int times = 0; times < 2; times++) {
        poison_gradients(&changed);
        guarded_poison(changed.backward.workspace);
        call_backward(&changed);
        expect_same_bits(&changed, &kept);
    }
    test_end();
}

static void test_tape_moves(int32_t implementation, void *context)
{
    call kept, moved;
    test_begin("implementation %d: a tape may be moved in memory", implementation);
    run_small(&kept, context, implementation);
    open_small(&moved, context, implementation);
    call_forward(&moved);
    enum { APART = 8 }; /* what an address may differ by from a multiple of the cache's lines */
    unsigned char *room = guarded("moved tape", moved.backward.tape_size + APART, 64);
    memcpy(room + APART, moved.backward.tape, moved.backward.tape_size);
    moved.backward.tape = room + APART;
    call_backward(&moved);
    expect_same_bits(&moved, &kept);
    test_end();
}

/* Empty calls. */

static void expect_zeros(const output *o)
{
    for (int64_t i = 0; i < o->count; i++)
        if (!EXPECT(real_get(o->data, i, STPN_FLOAT32) == 0, "%s is not 0", o->key))
            return;
}

static void expect_copied(const void *from, const void *to, int64_t count, const char *what)
{
    EXPECT(memcmp(from, to, (size_t)count * sizeof(float)) == 0, "%s is not passed on", what);
}

/* No step or no sample: states and their gradients pass through, and the gradients of parameters are 0. */
/* Buffers without elements may be NULL. */
static void test_empty_null(int32_t implementation, void *context)
{
    static const int64_t sizes[][2] = {{0, 7}, {5, 0}, {0, 0}, {0, INT64_MAX / 1024}};
    (void)context;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        test_begin("implementation %d: B = %lld, T = %lld without x and y", implementation,
                   (long long)sizes[s][0], (long long)sizes[s][1]);
        problem p;
        call c;
        const problem_options options = {.normalize = "pre", .clamp = INFINITY, .bias = true};
        problem_draw(&p, sizes[s][0], sizes[s][0] ? sizes[s][1] : 0, 3, 11, options, 1);
        open_small(&c, &p, implementation);
        c.run.time = sizes[s][1];
        EXPECT(stpn_tape_size(&c.cell, &c.run, &c.forward.tape_size, NULL) == STPN_OK, "no tape size");
        EXPECT(stpn_workspace_size(&c.cell, &c.run, STPN_PASS_FORWARD, &c.forward.workspace_size, NULL) ==
                   STPN_OK,
               "no workspace size");
        c.forward.x = NULL;
        c.forward.y = NULL;
        c.forward.tape = NULL;
        c.forward.workspace = malloc(c.forward.workspace_size);
        EXPECT(stpn_forward(&c.cell, &c.run, &c.forward, NULL) == STPN_OK, "refused");
        free(c.forward.workspace);
        test_end();
        problem_free(&p);
    }
}

static void test_empty(int32_t implementation, void *context)
{
    static const int64_t sizes[][2] = {{0, 7}, {5, 0}, {0, 0}};
    const problem_options options = {
        .normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = true};
    (void)context;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        problem p;
        call c;
        problem_draw(&p, sizes[s][0], sizes[s][1], 3, 11, options, 1);
        test_begin("implementation %d: %s", implementation, p.name);
        run_small(&c, &p, implementation);
        for (size_t i = c.forward_outputs; i < c.output_count; i++)
            if (strncmp(c.outputs[i].key, "grad.param.", 11) == 0)
                expect_zeros(&c.outputs[i]);
        for (int32_t i = 0; i < c.state_count; i++) {
            stpn_array d = state_of(&c.cell, i);
            int64_t count = p.batch * array_size(&d);
            expect_copied(c.state[i], c.final_state[i], count, d.name);
            expect_copied(c.grad_final[i], c.grad_state[i], count, d.name);
        }
        test_end();
        problem_free(&p);
    }
}

/* NaN and infinity. */

enum { ILL_SAMPLE = 2, ILL_STEP = 3 };

static void make_ill(problem *p, double value)
{
    const array *x = problem_find(p, "x", "");
    x->values[(ILL_SAMPLE * p->time + ILL_STEP) * p->cell.input_size] = value;
}

/* NaN shows in every neuron of its sample from its step on, and nowhere else. */
static void test_nan(int32_t implementation, void *context)
{
    const problem_options options = {
        .normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = false};
    problem p;
    call well, ill;
    (void)context;
    problem_draw(&p, 5, 7, 3, 11, options, 7);
    test_begin("implementation %d: NaN stays in its sample and the steps after it", implementation);
    open_small(&well, &p, implementation);
    call_forward(&well);
    make_ill(&p, NAN);
    open_small(&ill, &p, implementation);
    call_forward(&ill);
    call_backward(&ill);
    const float *y_well = well.forward.y, *y_ill = ill.forward.y;
    for (int64_t b = 0; b < p.batch; b++) {
        for (int64_t t = 0; t < p.time; t++) {
            bool expected = b == ILL_SAMPLE && t >= ILL_STEP;
            for (int64_t j = 0; j < p.cell.hidden_size; j++) {
                int64_t i = (b * p.time + t) * p.cell.hidden_size + j;
                EXPECT(expected ? isnan(y_ill[i]) : y_ill[i] == y_well[i], "y[%d,%d,%d] is %g", (int)b,
                       (int)t, (int)j, (double)y_ill[i]);
            }
        }
    }
    EXPECT(isnan(real_get(ill.grad_parameters[0], 0, STPN_FLOAT32)), "the gradient of a parameter hides it");
    test_end();
    problem_free(&p);
}

/* Infinity: NaN in the same places as the plain implementation has it. */
static void test_infinity(int32_t implementation, void *context)
{
    problem p;
    call plain, c;
    (void)context;
    draw_small(&p);
    make_ill(&p, -INFINITY);
    test_begin("implementation %d: infinity", implementation);
    open_small(&plain, &p, STPN_PLAIN);
    call_forward(&plain);
    open_small(&c, &p, implementation);
    call_forward(&c);
    for (size_t i = 0; i < c.forward_outputs; i++) {
        for (int64_t k = 0; k < c.outputs[i].count; k++) {
            double wanted = real_get(plain.outputs[i].data, k, STPN_FLOAT32);
            double got = real_get(c.outputs[i].data, k, STPN_FLOAT32);
            if (!EXPECT(isnan(wanted) ? isnan(got) : fabs(got - wanted) < 1e-4 || got == wanted,
                        "%s[%d] is %g, not %g", c.outputs[i].key, (int)k, got, wanted))
                break;
        }
    }
    test_end();
    problem_free(&p);
}

/* Inputs. */

/* Only what is written may not overlap. */
static void test_shared_inputs(int32_t implementation, void *context)
{
    const problem *p = context;
    call c, copied;
    test_begin("implementation %d: two parameters may be the same array", implementation);
    open_small(&c, p, implementation);
    size_t bytes = (size_t)problem_find(p, "param.", "weight")->count * sizeof(float);
    int32_t last = c.parameter_count - 1;
    c.parameters[last] = c.parameters[0];
    call_forward(&c);
    call_backward(&c);

    open_small(&copied, p, implementation);
    void *copy = guarded("copy", bytes, sizeof(float));
    memcpy(copy, copied.parameters[0], bytes);
    copied.parameters[last] = copy;
    call_forward(&copied);
    call_backward(&copied);
    expect_same_bits(&c, &copied);
    test_end();
}

/* resets: any byte but 0. */
static void test_reset_bytes(int32_t implementation, void *context)
{
    const problem *p = context;
    call ones, bytes;
    test_begin("implementation %d: a reset is any byte but 0", implementation);
    run_small(&ones, p, implementation);
    open_small(&bytes, p, implementation);
    size_t count = (size_t)(p->batch * p->time);
    uint8_t *resets = guarded("resets", count, 1);
    memset(resets, 0, count);
    for (size_t i = 0; i < count; i++)
        if (ones.forward.resets[i])
            resets[i] = (uint8_t)(2U << i % 7);
    bytes.forward.resets = resets;
    call_forward(&bytes);
    call_backward(&bytes);
    expect_same_bits(&bytes, &ones);
    test_end();
}

void test_contract(void)
{
    static implementation_test *const tests[] = {
        test_one_output_left_out,
        test_arrays_left_out,
        test_inputs_left_out,
        test_no_tape,
        test_step_without_y,
        test_tape_holds_everything,
        test_tape_moves,
        test_empty,
        test_empty_null,
        test_nan,
        test_infinity,
        test_shared_inputs,
        test_reset_bytes,
    };
    problem p;
    draw_small(&p);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        for_each_implementation(tests[i], &p);
    problem_free(&p);
}
