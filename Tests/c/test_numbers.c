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

static const char *name_of(int32_t implementation)
{
    return implementation == STPN_BEST ? "best" : stpn_implementation_name(implementation);
}

/* Every output of a problem in one precision and implementation, the same bits for any number of threads; and the same
 * sequence step by step. */
static void check_problem(const problem *p, int32_t dtype, int32_t implementation)
{
    call calls[3], steps;

    test_begin("%s %s %s", p->name, dtype_name(dtype), name_of(implementation));
    for (int32_t i = 0; i < 3; i++) {
        call_open(&calls[i], p, dtype, implementation, i + 1);
        call_forward(&calls[i]);
        expect_forward(&calls[i]);
        call_backward(&calls[i]);
        expect_backward(&calls[i]);
        expect_same_bits(&calls[i], &calls[0]);
    }
    test_end();

    test_begin("%s %s %s, by stpn_step", p->name, dtype_name(dtype), name_of(implementation));
    call_open(&steps, p, dtype, implementation, 0);
    call_steps(&steps);
    expect_forward(&steps);
    test_end();
}

/* Golden cases. */

static void check_both_precisions(int32_t implementation, void *context)
{
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
    if (count == 0)
        fatal("%s: no case", cases);
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
    check_problem(p, STPN_FLOAT64, implementation);
    /* In float32 a value may fall on the other side of the clip than in float64, and its gradient with it. */
    if (isinf(p->cell.clamp))
        check_problem(p, STPN_FLOAT32, implementation);
}

void test_sizes(void)
{
    static const struct {
        int64_t B, T, I, H;
    } sizes[] = {{1, 1, 1, 1},   {3, 1, 7, 11},  {1, 7, 17, 3},  {7, 3, 11, 63},
                 {17, 9, 1, 65}, {65, 3, 3, 17}, {3, 17, 63, 1}, {11, 7, 65, 7},
                 {2, 33, 5, 11}, {63, 1, 65, 3}, {5, 3, 63, 65}, {4, 11, 17, 17}};
    static const problem_options options[] = {
        {.normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = true},
        {.normalize = "post", .clamp = INFINITY, .bias = true, .state = false, .resets = false},
        {.normalize = "output", .clamp = 0.1, .bias = true, .state = true, .resets = false},
        {.normalize = NULL, .clamp = 0.5, .bias = true, .state = false, .resets = true},
        {.normalize = "pre", .clamp = INFINITY, .bias = false, .state = false, .resets = false},
    };
    const size_t option_count = sizeof options / sizeof options[0];
    /* So many steps that the way back recomputes them in segments; resets keep rounding errors from growing all along. */
    static const problem_options long_options[] = {
        {.normalize = "pre", .clamp = INFINITY, .bias = true, .state = true, .resets = true},
        {.normalize = "post", .clamp = 0.5, .bias = true, .state = true, .resets = true},
        {.normalize = "output", .clamp = INFINITY, .bias = true, .state = false, .resets = true},
        {.normalize = NULL, .clamp = 0.5, .bias = true, .state = false, .resets = true},
    };
    for (size_t o = 0; o < sizeof long_options / sizeof long_options[0]; o++) {
        problem p;
        problem_draw(&p, 5, 300, 3, 33, long_options[o], o);
        solve(&p);
        for_each_implementation(check_size, &p);
        problem_free(&p);
    }

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t o = 0; o < option_count; o++) {
            problem p;
            problem_draw(&p, sizes[s].B, sizes[s].T, sizes[s].I, sizes[s].H, options[o], s * option_count + o);
            solve(&p);
            for_each_implementation(check_size, &p);
            problem_free(&p);
        }
    }
}
