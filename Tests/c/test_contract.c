/* What the header promises about buffers: which may be NULL, what a tape holds, empty calls, NaN, shared inputs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "tests.h"

enum { B = 5, T = 7 };
static const sizes small = {B, T, 3, 11};

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

/* Begins the test of what holds for a problem's cell and an implementation. */
static void begin(const problem *p, int32_t implementation, const char *what)
{
    test_begin("%s, implementation %d: %s", p->name, implementation, what);
}

static void zero(problem *p, const char *prefix)
{
    for (size_t i = 0; i < p->array_count; i++)
        if (strncmp(p->arrays[i].key, prefix, strlen(prefix)) == 0)
            memset(p->arrays[i].values, 0, (size_t)p->arrays[i].count * sizeof(double));
}

static void test_best(int32_t implementation, void *context)
{
    static call best, named;
    if (implementation != stpn_best_implementation())
        return;
    begin(context, implementation, "it is the best one, and STPN_BEST has its bits");
    run_small(&named, context, implementation);
    run_small(&best, context, STPN_BEST);
    expect_same_bits(&best, &named);
    test_end();
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
    static call whole, part;
    begin(context, implementation, "every output");
    run_small(&whole, context, implementation);
    size_t count = whole.output_count;
    test_end();

    /* y, the first, may not be left out. */
    for (size_t dropped = 1; dropped < count; dropped++) {
        begin(context, implementation, whole.outputs[dropped].key);
        run_small(&whole, context, implementation);
        open_small(&part, context, implementation);
        const void *data = part.outputs[dropped].data;
        EXPECT(drop(part.final_state, part.state_count, data) ||
                   drop(part.grad_parameters, part.parameter_count, data) ||
                   drop(part.grad_state, part.state_count, data) || drop(&part.backward.grad_x, 1, data) ||
                   drop(&part.forward.energy, 1, data),
               "%s cannot be left out", part.outputs[dropped].key);
        guarded_freeze(data);
        call_forward(&part);
        call_backward(&part);
        for (size_t i = 0; i < count; i++)
            if (i != dropped)
                EXPECT(same_bits(&part.outputs[i], &whole.outputs[i], STPN_FLOAT32),
                       "%s: other bits without it", part.outputs[i].key);
        test_end();
    }
}

static void test_arrays_left_out(int32_t implementation, void *context)
{
    static call whole, part;
    begin(context, implementation, "arrays of outputs may be NULL");
    run_small(&whole, context, implementation);
    open_small(&part, context, implementation);
    part.forward.final_state = NULL;
    part.backward.grad_parameters = NULL;
    part.backward.grad_state = NULL;
    call_forward(&part);
    call_backward(&part);
    for (size_t i = 0; i < part.output_count; i++) {
        const void *data = part.outputs[i].data;
        if (data == part.forward.y || data == part.forward.energy || data == part.backward.grad_x)
            EXPECT(same_bits(&part.outputs[i], &whole.outputs[i], STPN_FLOAT32), "%s: other bits",
                   part.outputs[i].key);
    }
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
    static const struct {
        const char *zeroed, *what;
    } ways[WAYS] = {
        [NO_GRAD_Y] = {"cotangent.y", "no grad_y is zeros"},
        [NO_GRAD_FINAL] = {"cotangent.final.", "no grad_final is zeros"},
        [NO_GRAD_FINAL_ENTRIES] = {"cotangent.final.", "no entries of grad_final are zeros"},
        [NO_STATE] = {"state.", "no state is zeros"},
        [NO_STATE_ENTRIES] = {"state.", "no entries of state are zeros"},
    };
    const char *cell = ((const problem *)context)->text;
    for (int way = 0; way < WAYS; way++) {
        problem p;
        static call zeros, null;
        problem_draw(&p, cell, small, GIVEN_ALL, 42);
        zero(&p, ways[way].zeroed);
        begin(&p, implementation, ways[way].what);
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
    static call taped, untaped;
    begin(context, implementation, "forward without a tape");
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

static void test_step_outputs_left_out(int32_t implementation, void *context)
{
    static call whole, part;
    const problem *p = context;
    size_t x = (size_t)(B * p->cell.input_size) * sizeof(float),
           y = (size_t)(B * p->cell.hidden_size) * sizeof(float);

    for (int ways = 0; ways < 4; ways++) {
        bool without_y = ways & 1, without_energy = ways & 2;
        begin(p, implementation, "a step whose y or energy is not wanted");
        open_small(&whole, p, implementation);
        open_small(&part, p, implementation);
        memcpy(whole.step_x, whole.forward.x, x);
        memcpy(part.step_x, part.forward.x, x);
        if (without_y)
            part.step.y = NULL;
        if (without_energy)
            part.step.energy = NULL;
        EXPECT(stpn_step(&whole.cell, &whole.step_run, &whole.step, NULL) == STPN_OK, "refused");
        EXPECT(stpn_step(&part.cell, &part.step_run, &part.step, NULL) == STPN_OK, "refused");
        for (int32_t i = 0; i < part.state_count; i++) {
            stpn_array d = state_of(&part.cell, i);
            size_t bytes = (size_t)(B * array_size(&d)) * sizeof(float);
            EXPECT(memcmp(part.step_state[i], whole.step_state[i], bytes) == 0, "%s: other bits", d.name);
        }
        EXPECT(without_y || memcmp(part.step.y, whole.step.y, y) == 0, "y: other bits");
        EXPECT(without_energy || memcmp(part.step.energy, whole.step.energy, y) == 0, "energy: other bits");
        test_end();
    }
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
    static call kept, changed;
    begin(context, implementation, "a tape outlives its inputs, and serves twice");
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
    static call kept, moved;
    begin(context, implementation, "a tape may be moved in memory");
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
static void test_empty(int32_t implementation, void *context)
{
    static const sizes empty[] = {{0, T, 3, 11}, {B, 0, 3, 11}, {0, 0, 3, 11}};
    const char *cell = ((const problem *)context)->text;
    for (size_t s = 0; s < sizeof empty / sizeof empty[0]; s++) {
        problem p;
        static call c;
        problem_draw(&p, cell, empty[s], GIVEN_ALL, 1);
        begin(&p, implementation, "an empty call");
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

static void step_without_arrays(call *c)
{
    memset(c->step_state, 0, sizeof c->step_state);
    c->step.x = NULL;
    c->step.y = NULL;
    c->step.energy = NULL;
    EXPECT(stpn_step(&c->cell, &c->step_run, &c->step, NULL) == STPN_OK, "a step is refused");
}

/* Buffers without elements may be NULL. */
static void test_empty_null(int32_t implementation, void *context)
{
    static const int64_t empty[][2] = {{0, T}, {B, 0}, {0, 0}, {0, INT64_MAX / 1024}};
    const char *cell = ((const problem *)context)->text;
    for (size_t s = 0; s < sizeof empty / sizeof empty[0]; s++) {
        problem p;
        static call c;
        problem_draw(&p, cell, (sizes){empty[s][0], 0, 3, 11}, 0, 1);
        test_begin("%s, implementation %d: B = %lld, T = %lld without x, y and energy", cell, implementation,
                   (long long)empty[s][0], (long long)empty[s][1]);
        open_small(&c, &p, implementation);
        c.run.time = empty[s][1];
        EXPECT(stpn_tape_size(&c.cell, &c.run, &c.forward.tape_size, NULL) == STPN_OK, "no tape size");
        EXPECT(stpn_workspace_size(&c.cell, &c.run, STPN_PASS_FORWARD, &c.forward.workspace_size, NULL) ==
                   STPN_OK,
               "no workspace size");
        c.forward.x = NULL;
        c.forward.y = NULL;
        c.forward.energy = NULL;
        c.forward.tape = NULL;
        c.forward.workspace = malloc(c.forward.workspace_size);
        EXPECT(stpn_forward(&c.cell, &c.run, &c.forward, NULL) == STPN_OK, "refused");
        free(c.forward.workspace);
        if (p.batch == 0)
            step_without_arrays(&c);
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
static void expect_ill(const output *ill, const output *well, int64_t H)
{
    for (int64_t i = 0; i < ill->count; i++) {
        int64_t b = i / H / T, t = i / H % T;
        double value = real_get(ill->data, i, STPN_FLOAT32);
        bool expected = b == ILL_SAMPLE && t >= ILL_STEP;
        if (!EXPECT(expected ? isnan(value) : value == real_get(well->data, i, STPN_FLOAT32),
                    "%s[%d,%d,%d] is %g", ill->key, (int)b, (int)t, (int)(i % H), value))
            return;
    }
}

static void test_nan(int32_t implementation, void *context)
{
    const char *cell = ((const problem *)context)->text;
    problem p;
    static call well, ill;
    problem_draw(&p, cell, small, GIVEN_STATE, 7);
    begin(&p, implementation, "NaN stays in its sample and the steps after it");
    open_small(&well, &p, implementation);
    call_forward(&well);
    make_ill(&p, NAN);
    open_small(&ill, &p, implementation);
    call_forward(&ill);
    call_backward(&ill);
    enum { SEQUENCES = 2 }; /* y and energy, which come first */
    for (int i = 0; i < SEQUENCES; i++)
        expect_ill(&ill.outputs[i], &well.outputs[i], p.cell.hidden_size);
    EXPECT(isnan(real_get(ill.grad_parameters[0], 0, STPN_FLOAT32)), "the gradient of a parameter hides it");
    test_end();
    problem_free(&p);
}

/* Infinity: NaN and infinity in the same places as the plain implementation has them. */
static void expect_like(const output *o, const output *plain)
{
    double largest = 1;
    for (int64_t i = 0; i < plain->count; i++)
        if (isfinite(real_get(plain->data, i, STPN_FLOAT32)))
            largest = fmax(largest, fabs(real_get(plain->data, i, STPN_FLOAT32)));
    for (int64_t i = 0; i < plain->count; i++) {
        double wanted = real_get(plain->data, i, STPN_FLOAT32), got = real_get(o->data, i, STPN_FLOAT32);
        if (!EXPECT(isnan(wanted) ? isnan(got) : got == wanted || fabs(got - wanted) <= 1e-5 * largest,
                    "%s[%d] is %g, not %g", o->key, (int)i, got, wanted))
            return;
    }
}

static void test_infinity(int32_t implementation, void *context)
{
    const char *cell = ((const problem *)context)->text;
    problem p;
    static call plain, c;
    problem_draw(&p, cell, small, GIVEN_ALL, 42);
    make_ill(&p, -INFINITY);
    begin(&p, implementation, "infinity");
    open_small(&plain, &p, STPN_PLAIN);
    call_forward(&plain);
    open_small(&c, &p, implementation);
    call_forward(&c);
    for (size_t i = 0; i < c.forward_outputs; i++)
        expect_like(&c.outputs[i], &plain.outputs[i]);
    test_end();
    problem_free(&p);
}

/* Inputs. */

/* Only what is written may not overlap. */
static void test_shared_inputs(int32_t implementation, void *context)
{
    static call c, copied;
    begin(context, implementation, "parameters of one size may be the same array");
    open_small(&c, context, implementation);
    open_small(&copied, context, implementation);
    int32_t shared = 0;
    for (int32_t i = 1; i < c.parameter_count; i++) {
        stpn_array a = parameter_of(&c.cell, i - 1), d = parameter_of(&c.cell, i);
        if (array_size(&a) != array_size(&d))
            continue;
        size_t bytes = (size_t)array_size(&d) * sizeof(float);
        void *copy = guarded("copy", bytes, sizeof(float));
        memcpy(copy, copied.parameters[i - 1], bytes);
        copied.parameters[i] = copy;
        c.parameters[i] = c.parameters[i - 1];
        shared++;
    }
    EXPECT(shared > 0, "no two parameters have one size");
    call_forward(&c);
    call_backward(&c);
    call_forward(&copied);
    call_backward(&copied);
    expect_same_bits(&c, &copied);
    test_end();
}

/* resets: any byte but 0. */
static void test_reset_bytes(int32_t implementation, void *context)
{
    const problem *p = context;
    static call ones, bytes;
    begin(p, implementation, "a reset is any byte but 0");
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
        test_best,
        test_one_output_left_out,
        test_arrays_left_out,
        test_inputs_left_out,
        test_no_tape,
        test_step_outputs_left_out,
        test_tape_holds_everything,
        test_tape_moves,
        test_empty,
        test_empty_null,
        test_nan,
        test_infinity,
        test_shared_inputs,
        test_reset_bytes,
    };
    for (size_t c = 0; c < SOME_CELLS; c++) {
        problem p;
        problem_draw(&p, some_cells[c], small, GIVEN_ALL, 42);
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
            for_each_implementation(tests[i], &p);
        problem_free(&p);
    }
}
