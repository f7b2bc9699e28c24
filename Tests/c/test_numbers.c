/* The numbers: golden cases, and sizes off every tile, through forward, backward and step. */
#include <math.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "tests.h"

void for_each_implementation(implementation_test *body, void *context)
{
    for (int32_t implementation = STPN_BEST; implementation < 16; implementation++)
        if (implementation == STPN_BEST || stpn_implementation_available(implementation))
            body(implementation, context);
}

/* Every output of a problem in one precision and implementation, the same bits for any number of threads; and the same
 * sequence step by step. */
static void check_problem(const problem *p, int32_t dtype, int32_t implementation)
{
    static const int32_t threads[] = {1, 2, 3, 8};
    enum { WAYS = sizeof threads / sizeof threads[0] };
    static call calls[WAYS], steps;
    const char *name = stpn_implementation_name(implementation);
    int ways = implementation == STPN_PLAIN ? 1 : WAYS; /* The plain one has one thread. */

    test_begin("%s %s %s", p->name, dtype_name(dtype), name);
    for (int i = 0; i < ways; i++) {
        call_open(&calls[i], p, dtype, implementation, threads[i]);
        call_forward(&calls[i]);
        call_backward(&calls[i]);
        expect_same_bits(&calls[i], &calls[0]);
    }
    expect_forward(&calls[0]);
    expect_backward(&calls[0]);
    test_end();

    test_begin("%s %s %s, by stpn_step", p->name, dtype_name(dtype), name);
    call_open(&steps, p, dtype, implementation, 0);
    call_steps(&steps);
    expect_forward(&steps);
    test_end();
}

/* Golden cases. */

enum { GOLDEN_CASES = 92 };

static void check_both_precisions(int32_t implementation, void *context)
{
    if (implementation == STPN_BEST)
        return; /* one of the others */
    check_problem(context, STPN_FLOAT64, implementation);
    check_problem(context, STPN_FLOAT32, implementation);
}

void test_golden(const char *cases)
{
    FILE *file = fopen(cases, "r");
    if (!file)
        fatal("cannot read %s", cases);
    problem p;
    int count = 0;
    for (; problem_read(&p, file); count++) {
        for_each_implementation(check_both_precisions, &p);
        problem_free(&p);
    }
    fclose(file);
    test_begin("every golden case is there");
    EXPECT(count == GOLDEN_CASES, "%s has %d, not %d", cases, count, (int)GOLDEN_CASES);
    test_end();
}

/* Other sizes. */

/* Adds the outputs of the plain implementation in float64, which the golden cases vouch for, as what is expected. */
static void solve(problem *p)
{
    call c;
    test_begin("%s, solved plainly", p->name);
    call_open(&c, p, STPN_FLOAT64, STPN_PLAIN, 1);
    call_forward(&c);
    call_backward(&c);
    for (size_t i = 0; i < c.output_count; i++) {
        const output *o = &c.outputs[i];
        memcpy(problem_add(p, o->key, "", o->count), o->data, (size_t)o->count * sizeof(double));
    }
    test_end();
}

static void check_size(int32_t implementation, void *context)
{
    const problem *p = context;
    if (implementation == STPN_BEST)
        return;
    check_problem(p, STPN_FLOAT64, implementation);
    /* In float32 a value may fall on the other side of the clip than in float64, and its gradient with it. */
    if (p->cell.cell != STPN_CELL_STPN || isinf(p->cell.clamp))
        check_problem(p, STPN_FLOAT32, implementation);
}

/* Whether rounding errors of float32 stay far from the tolerance: where they do not, as with a row whose norm is near 0
 * or sums that cancel, an implementation that adds up in another order may differ by more. */
static bool is_well_conditioned(const problem *p)
{
    static call c;
    test_begin("%s, condition", p->name);
    call_open(&c, p, STPN_FLOAT32, STPN_PLAIN, 1);
    call_forward(&c);
    call_backward(&c);
    bool answer = call_is_within(&c, 0.4);
    test_end();
    return answer;
}

/* A problem drawn until it is well conditioned, and solved. */
static void draw_solved(problem *p, const char *cell, sizes s, int given, uint64_t seed)
{
    enum { ATTEMPTS = 20, APART = 1000 };
    for (uint64_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        problem_draw(p, cell, s, given, seed + attempt * APART);
        solve(p);
        if (is_well_conditioned(p))
            return;
        problem_free(p);
    }
    fatal("no well-conditioned problem of %d: %s", (int)ATTEMPTS, p->name);
}

static void check_random(const char *cell, sizes s, int given, uint64_t seed)
{
    problem p;
    draw_solved(&p, cell, s, given, seed);
    for_each_implementation(check_size, &p);
    problem_free(&p);
}

void test_sizes(void)
{
    static const sizes all_sizes[] = {{1, 1, 1, 1},   {3, 2, 7, 11},  {1, 5, 17, 3},  {2, 3, 11, 63},
                                      {2, 3, 5, 65},  {65, 2, 3, 5},  {3, 9, 63, 1},  {7, 3, 65, 7},
                                      {2, 17, 5, 11}, {33, 1, 65, 3}, {2, 2, 63, 65}, {4, 5, 17, 17}};
    enum { SIZES = sizeof all_sizes / sizeof all_sizes[0], SIZES_OF_A_CELL = 4 };
    static const char *const cells[] = {
        /* as the paper trained them */
        "stpn",
        "stpn plasticity_shape=scalar",
        "stpn normalize=post clamp=0.1",
        "stpn recurrent=0",
        "stpn recurrent=0 normalize=output bias=0",
        "stpn recurrent=0 plasticity_shape=scalar normalize=output",
        "stpn recurrent=0 normalize=None clamp=0.5",
        "hebbff",
        "fast_weights",
        "modulated",
        /* every other value of every option, several at a time */
        "stpn bias=0",
        "stpn normalize=None clamp=0.5",
        "stpn normalize=None plasticity_shape=neuron clamp=0.5 plastic_bias=1",
        "stpn normalize=output clamp=0.1",
        "stpn normalize=output presynaptic=current norm_gain=1",
        "stpn normalize=post",
        "stpn normalize=post plastic=hidden norm_gain=1 decay=prompt",
        "stpn norm_axis=layer plastic=input rule=oja layer_norm=1",
        "stpn norm_axis=layer normalize=post norm_gain=1 plasticity_shape=presynaptic",
        "stpn plastic=hidden rule=oja presynaptic=current decay=prompt plasticity_shape=scalar",
        "stpn activation=sigmoid presynaptic=current plastic_bias=1 clamp=0.3 layer_norm=1",
        "stpn activation=relu plasticity_shape=neuron plastic=input",
        "stpn activation=identity rule=oja bias=0",
        "stpn recurrent=0 norm_axis=layer norm_gain=1 plasticity_shape=presynaptic normalize=post",
        "stpn recurrent=0 rule=oja decay=prompt plastic_bias=1",
        "stpn recurrent=0 activation=relu layer_norm=1",
        "hebbff forced=0",
        "fast_weights inner_steps=3 activation=relu",
        "fast_weights inner_steps=2 layer_norm=0 activation=sigmoid",
        "modulated addpw=1 da=lin",
        "modulated addpw=2 da=sig",
        "modulated kind=plastic addpw=0",
        "modulated kind=plastic addpw=2",
        "modulated kind=modul",
        "modulated kind=modul addpw=2",
        "modulated kind=modul addpw=0 da=sig",
    };
    for (size_t c = 0; c < sizeof cells / sizeof cells[0]; c++)
        for (size_t i = 0; i < SIZES_OF_A_CELL; i++)
            check_random(cells[c], all_sizes[(c + i * (SIZES / SIZES_OF_A_CELL)) % SIZES], (int)((c + i) % 4),
                         c * SIZES_OF_A_CELL + i);
}

/* So many steps that the way back recomputes them in segments; resets keep rounding errors from growing all along. */
void test_long_sequences(void)
{
    static const char *const cells[] = {
        "stpn",
        "stpn normalize=post clamp=0.5",
        "stpn normalize=output",
        "stpn normalize=None clamp=0.5 plastic_bias=1",
        "stpn recurrent=0 rule=oja",
        "stpn recurrent=0 normalize=None clamp=0.5",
        "modulated",
        "modulated kind=modul",
    };
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        check_random(cells[i], (sizes){3, 150, 60, 50}, i % 2 ? GIVEN_RESETS : GIVEN_ALL, i);
}
