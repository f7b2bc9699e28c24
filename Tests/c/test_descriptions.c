/* Cells as the library describes them: parameters and states, and the sizes of tapes. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "problem.h"
#include "tests.h"

enum { I = 3, H = 5 };

/* One array that a cell should have; a list ends with one without a name. */
typedef struct entry {
    const char *name;
    const char *shape; /* a letter for each axis, as in docs/cells.md */
    double low, high;
} entry;

static int64_t size_of(char axis, const stpn_cell *cell)
{
    bool recurrent = cell->cell != STPN_CELL_HEBBFF && cell->recurrent;
    bool some = cell->cell == STPN_CELL_STPN && cell->plastic != STPN_PLASTIC_ALL;
    switch (axis) {
    case '1':
        return 1;
    case 'I':
        return I;
    case 'H':
        return H;
    case 'K':
        return recurrent || cell->cell == STPN_CELL_FAST_WEIGHTS ? I + H : I;
    case 'P':
        return some ? (cell->plastic == STPN_PLASTIC_INPUT ? I : H) : size_of('K', cell);
    default:
        fatal("no size '%c'", axis);
    }
}

static bool is_close(double a, double b) { return fabs(a - b) <= 1e-14 * fmax(1, fabs(b)); }

static void expect_array(const stpn_cell *cell, const stpn_array *a, const entry *wanted)
{
    int32_t rank = (int32_t)strlen(wanted->shape);
    EXPECT(strcmp(a->name, wanted->name) == 0, "'%s', not '%s'", a->name, wanted->name);
    if (!EXPECT(a->rank == rank, "%s has rank %d, not %d", wanted->name, a->rank, rank))
        return;
    for (int32_t axis = 0; axis < rank; axis++)
        EXPECT(a->shape[axis] == size_of(wanted->shape[axis], cell), "%s: axis %d has %lld elements, not %c",
               wanted->name, axis, (long long)a->shape[axis], wanted->shape[axis]);
    EXPECT(is_close(a->low, wanted->low) && is_close(a->high, wanted->high),
           "%s begins in [%g, %g), not [%g, %g)", wanted->name, a->low, a->high, wanted->low, wanted->high);
}

static int32_t length(const entry *list)
{
    int32_t n = 0;
    while (list[n].name)
        n++;
    return n;
}

static void check_arrays(const char *text, const entry *parameters, const entry *states)
{
    stpn_cell cell = cell_of(text);
    cell.input_size = I;
    cell.hidden_size = H;

    test_begin("parameters and states of %s", text);
    int32_t count = stpn_parameter_count(&cell);
    if (EXPECT(count == length(parameters), "%d parameters", count))
        for (int32_t i = 0; i < count; i++) {
            stpn_array a = parameter_of(&cell, i);
            expect_array(&cell, &a, &parameters[i]);
        }
    count = stpn_state_count(&cell);
    if (EXPECT(count == length(states), "%d states", count))
        for (int32_t i = 0; i < count; i++) {
            stpn_array a = state_of(&cell, i);
            expect_array(&cell, &a, &states[i]);
        }
    test_end();
}

#define LIST(...) ((const entry[]){__VA_ARGS__, {0}})

/* docs/cells.md, section 1 */
static void test_stpn(void)
{
    const double k = 1 / sqrt((double)H), f = 1 / sqrt((double)I);

    check_arrays("stpn",
                 LIST({"weight", "HK", -k, k}, {"bias", "H", -k, k}, {"weight_lambda", "HP", 0, 1},
                      {"weight_gamma", "HP", -0.001 * k, 0.001 * k}),
                 LIST({"h", "H", 0, 0}, {"F", "HP", 0, 0}));
    check_arrays("stpn plastic=input plasticity_shape=neuron bias=0",
                 LIST({"weight", "HK", -k, k}, {"weight_lambda", "H", 0, 1},
                      {"weight_gamma", "H", -0.001 * k, 0.001 * k}),
                 LIST({"h", "H", 0, 0}, {"F", "HP", 0, 0}));
    check_arrays("stpn plastic=hidden plasticity_shape=presynaptic norm_gain=1",
                 LIST({"weight", "HK", -k, k}, {"bias", "H", -k, k}, {"weight_lambda", "P", 0, 1},
                      {"weight_gamma", "P", -0.001 * k, 0.001 * k}, {"norm_gain", "H", 1, 1}),
                 LIST({"h", "H", 0, 0}, {"F", "HP", 0, 0}));
    check_arrays("stpn plastic=input normalize=None layer_norm=1",
                 LIST({"weight", "HK", -k, k}, {"bias", "H", -k, k}, {"weight_lambda", "HP", 0, 1},
                      {"weight_gamma", "HP", -0.001 * k, 0.001 * k}, {"layer_norm.weight", "H", 1, 1},
                      {"layer_norm.bias", "H", 0, 0}),
                 LIST({"h", "H", 0, 0}, {"F", "HP", 0, 0}));
    check_arrays("stpn plasticity_shape=scalar plastic_bias=1",
                 LIST({"weight", "HK", -k, k}, {"bias", "H", -k, k}, {"weight_lambda", "", 0, 1},
                      {"weight_gamma", "", -0.001 * k, 0.001 * k}, {"bias_lambda", "H", 0, 1},
                      {"bias_gamma", "H", -0.001 * k, 0.001 * k}),
                 LIST({"h", "H", 0, 0}, {"F", "HP", 0, 0}, {"fb", "H", 0, 0}));
    check_arrays("stpn recurrent=0",
                 LIST({"weight", "HK", -f, f}, {"bias", "H", -f, f}, {"weight_lambda", "HP", 0, 1},
                      {"weight_gamma", "HP", -0.001 * f, 0.001 * f}),
                 LIST({"F", "HP", 0, 0}));
    check_arrays("stpn recurrent=0 plasticity_shape=presynaptic norm_gain=1 plastic_bias=1 layer_norm=1",
                 LIST({"weight", "HK", -f, f}, {"bias", "H", -f, f}, {"weight_lambda", "P", 0, 1},
                      {"weight_gamma", "P", -0.001 * f, 0.001 * f}, {"norm_gain", "H", 1, 1},
                      {"bias_lambda", "H", 0, 1}, {"bias_gamma", "H", -0.001 * f, 0.001 * f},
                      {"layer_norm.weight", "H", 1, 1}, {"layer_norm.bias", "H", 0, 0}),
                 LIST({"F", "HP", 0, 0}, {"fb", "H", 0, 0}));
}

/* Section 3 */
static void test_hebbff(void)
{
    const double f = 1 / sqrt((double)I), logit = log(99), rate = 5 / (double)H;

    check_arrays("hebbff",
                 LIST({"weight", "HK", -f, f}, {"bias", "H", -f, f}, {"raw_lambda", "", logit, logit},
                      {"raw_gamma", "", log(rate), log(rate)}),
                 LIST({"F", "HP", 0, 0}));
    check_arrays("hebbff forced=0",
                 LIST({"weight", "HK", -f, f}, {"bias", "H", -f, f}, {"raw_lambda", "", 0.99, 0.99},
                      {"raw_gamma", "", -rate, -rate}),
                 LIST({"F", "HP", 0, 0}));
}

/* Section 4 */
static void test_fast_weights(void)
{
    const double k = 1 / sqrt((double)H);

    check_arrays("fast_weights",
                 LIST({"weight", "HK", -k, k}, {"bias", "H", -k, k}, {"weight_lambda", "", 0.9, 0.9},
                      {"weight_gamma", "", 0.5, 0.5}, {"layer_norm.weight", "H", 1, 1},
                      {"layer_norm.bias", "H", 0, 0}),
                 LIST({"h", "H", 0, 0}, {"F", "HH", 0, 0}));
    check_arrays("fast_weights layer_norm=0 inner_steps=3",
                 LIST({"weight", "HK", -k, k}, {"bias", "H", -k, k}, {"weight_lambda", "", 0.9, 0.9},
                      {"weight_gamma", "", 0.5, 0.5}),
                 LIST({"h", "H", 0, 0}, {"F", "HH", 0, 0}));
}

/* Section 5 */
static void test_modulated(void)
{
    const double k = 1 / sqrt((double)H), f = 1 / sqrt((double)I);

    check_arrays("modulated",
                 LIST({"i2h.weight", "HI", -f, f}, {"i2h.bias", "H", -f, f}, {"w", "HH", 0, 0.01},
                      {"alpha", "HH", 0, 0.01}, {"h2DA.weight", "1H", -k, k}, {"h2DA.bias", "1", -k, k}),
                 LIST({"h", "H", 0, 0}, {"F", "HH", 0, 0}));
    check_arrays("modulated kind=plastic",
                 LIST({"i2h.weight", "HI", -f, f}, {"i2h.bias", "H", -f, f}, {"w", "HH", 0, 0.01},
                      {"alpha", "HH", 0, 0.01}, {"eta", "1", 0.01, 0.01}),
                 LIST({"h", "H", 0, 0}, {"F", "HH", 0, 0}));
    check_arrays("modulated kind=modul",
                 LIST({"i2h.weight", "HI", -f, f}, {"i2h.bias", "H", -f, f}, {"w", "HH", 0, 0.01},
                      {"alpha", "HH", 0, 0.01}, {"etaet", "1", 0.01, 0.01}, {"h2DA.weight", "1H", -k, k},
                      {"h2DA.bias", "1", -k, k}),
                 LIST({"h", "H", 0, 0}, {"F", "HH", 0, 0}, {"E", "HH", 0, 0}));
}

static double numbers_in_tape(const stpn_cell *cell, int64_t batch, int64_t time, int32_t implementation)
{
    size_t bytes = 0;
    stpn_run run = {.struct_size = sizeof run, .batch = batch, .time = time, .implementation = implementation};
    EXPECT(stpn_tape_size(cell, &run, &bytes, NULL) == STPN_OK, "stpn_tape_size fails");
    return (double)bytes / sizeof(float);
}

/* What the comment of stpn_tape_size says: inputs, and a few numbers for each step and neuron, but not F. */
static void test_tape_size(const char *text, int32_t implementation)
{
    const int64_t batch = 128, time = 50, width = 100, few = 16;
    stpn_cell cell = cell_of(text);
    cell.input_size = cell.hidden_size = width;

    test_begin("the tape of %s in implementation %d does not hold F", text, implementation);
    double more = numbers_in_tape(&cell, batch, 2 * time, implementation) -
                  numbers_in_tape(&cell, batch, time, implementation);
    double of_a_step = more / (double)(batch * time);
    EXPECT(of_a_step >= (double)width, "%g numbers for each step are too few for x alone", of_a_step);
    EXPECT(of_a_step <= (double)(width + few * width), "%g numbers for each step, of %d inputs and neurons",
           of_a_step, (int)width);
    test_end();
}

static void test_tape_sizes(int32_t implementation, void *context)
{
    (void)context;
    for (size_t i = 0; i < SOME_CELLS; i++)
        test_tape_size(some_cells[i], implementation);
}

void test_descriptions(void)
{
    test_stpn();
    test_hebbff();
    test_fast_weights();
    test_modulated();
    for_each_implementation(test_tape_sizes, NULL);
}
