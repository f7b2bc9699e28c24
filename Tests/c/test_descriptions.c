/* Cells as the library describes them: defaults, options by name, parameters and states. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "problem.h"
#include "tests.h"

static stpn_cell small_cell(void)
{
    stpn_cell cell;
    if (stpn_cell_init(&cell, STPN_CELL_STPN, NULL) != STPN_OK)
        fatal("stpn_cell_init fails");
    cell.input_size = 3;
    cell.hidden_size = 5;
    return cell;
}

static void test_defaults(void)
{
    stpn_cell by_kind, by_name;
    memset(&by_kind, 0xFF, sizeof by_kind);
    memset(&by_name, 0xFF, sizeof by_name);

    test_begin("stpn_cell_init and stpn_cell_init_named set the defaults");
    EXPECT(stpn_cell_init(&by_kind, STPN_CELL_STPN, NULL) == STPN_OK, "by kind");
    EXPECT(stpn_cell_init_named(&by_name, "stpn", NULL) == STPN_OK, "by name");
    for (int i = 0; i < 2; i++) {
        const stpn_cell *c = i == 0 ? &by_kind : &by_name;
        EXPECT(c->struct_size == sizeof *c, "struct_size %zu", c->struct_size);
        EXPECT(c->cell == STPN_CELL_STPN, "cell %d", c->cell);
        EXPECT(c->dtype == STPN_FLOAT32, "dtype %d", c->dtype);
        EXPECT(c->input_size == 0 && c->hidden_size == 0, "sizes are set");
        EXPECT(c->normalize == STPN_NORMALIZE_PRE, "normalize %d", c->normalize);
        EXPECT(isinf(c->clamp) && c->clamp > 0, "clamp %g", c->clamp);
        EXPECT(c->bias == 1, "bias %d", c->bias);
    }
    test_end();
}

static void test_options_by_name(void)
{
    static const struct {
        const char *value;
        int32_t normalize;
    } modes[] = {{"output", STPN_NORMALIZE_OUTPUT},
                 {"pre", STPN_NORMALIZE_PRE},
                 {"post", STPN_NORMALIZE_POST},
                 {NULL, STPN_NORMALIZE_NONE}};
    stpn_cell c = small_cell();

    test_begin("options are set by their names");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        EXPECT(stpn_cell_set_name(&c, "normalize", modes[i].value, NULL) == STPN_OK, "normalize refused");
        EXPECT(c.normalize == modes[i].normalize, "normalize %d", c.normalize);
    }
    EXPECT(stpn_cell_set_name(&c, "dtype", "float64", NULL) == STPN_OK && c.dtype == STPN_FLOAT64, "%d",
           c.dtype);
    EXPECT(stpn_cell_set_name(&c, "dtype", "float32", NULL) == STPN_OK && c.dtype == STPN_FLOAT32, "%d",
           c.dtype);
    EXPECT(stpn_cell_set_number(&c, "clamp", 0.25, NULL) == STPN_OK && c.clamp == 0.25, "%g", c.clamp);
    EXPECT(stpn_cell_set_name(&c, "clamp", NULL, NULL) == STPN_OK && isinf(c.clamp), "%g", c.clamp);
    EXPECT(stpn_cell_set_number(&c, "clamp", 0, NULL) == STPN_OK && c.clamp == 0, "%g", c.clamp);
    EXPECT(stpn_cell_set_number(&c, "bias", 0, NULL) == STPN_OK && c.bias == 0, "%d", c.bias);
    EXPECT(stpn_cell_set_number(&c, "bias", 1, NULL) == STPN_OK && c.bias == 1, "%d", c.bias);
    EXPECT(stpn_cell_set_number(&c, "input_size", 37, NULL) == STPN_OK && c.input_size == 37, "input_size");
    EXPECT(stpn_cell_set_number(&c, "hidden_size", 11, NULL) == STPN_OK && c.hidden_size == 11,
           "hidden_size");
    EXPECT(stpn_cell_check(&c, NULL) == STPN_OK, "the result is not valid");
    test_end();
}

static void expect_array(const stpn_array *a, const char *name, int64_t rows, int64_t columns, double low,
                         double high)
{
    EXPECT(strcmp(a->name, name) == 0, "'%s', not '%s'", a->name, name);
    EXPECT(a->rank == (columns ? 2 : 1), "%s has rank %d", name, a->rank);
    EXPECT(a->shape[0] == rows && (!columns || a->shape[1] == columns), "%s has another shape", name);
    EXPECT(a->low == low && a->high == high, "%s begins in [%g, %g), not [%g, %g)", name, a->low, a->high,
           low, high);
}

/* The one place of this program that lists names: what docs/cells.md, section 1, says of them. */
static void test_parameters_and_states(void)
{
    stpn_cell c = small_cell();
    const int64_t H = c.hidden_size, K = c.input_size + c.hidden_size;
    const double k = 1 / sqrt((double)H);

    for (c.bias = 0; c.bias <= 1; c.bias++) {
        int32_t i = 0;
        stpn_array a;
        test_begin("parameters and states of a cell %s bias", c.bias ? "with" : "without");
        EXPECT(stpn_parameter_count(&c) == 3 + c.bias, "%d parameters", stpn_parameter_count(&c));
        a = parameter_of(&c, i++);
        expect_array(&a, "weight", H, K, -k, k);
        if (c.bias) {
            a = parameter_of(&c, i++);
            expect_array(&a, "bias", H, 0, -k, k);
        }
        a = parameter_of(&c, i++);
        expect_array(&a, "weight_lambda", H, K, 0, 1);
        a = parameter_of(&c, i++);
        expect_array(&a, "weight_gamma", H, K, -0.001 * k, 0.001 * k);

        EXPECT(stpn_state_count(&c) == 2, "%d states", stpn_state_count(&c));
        a = state_of(&c, 0);
        expect_array(&a, "h", H, 0, 0, 0);
        a = state_of(&c, 1);
        expect_array(&a, "F", H, K, 0, 0);
        test_end();
    }
}

/* What the comment of stpn_tape_size says: not F. */
static void test_tape_size(void)
{
    stpn_cell c = small_cell();
    stpn_run run = {.struct_size = sizeof run, .batch = 128, .time = 50};
    size_t bytes = 0;
    c.input_size = 37;
    c.hidden_size = 100;
    const double B = 128, T = 50, I = 37, H = 100, K = I + H;

    test_begin("the tape does not hold F");
    for (int32_t implementation = STPN_PLAIN; implementation <= STPN_BASELINE; implementation++) {
        run.implementation = implementation;
        EXPECT(stpn_tape_size(&c, &run, &bytes, NULL) == STPN_OK, "stpn_tape_size fails");
        double numbers = (double)bytes / sizeof(float);
        EXPECT(numbers >= B * T * I, "%zu bytes are too few for x alone", bytes);
        EXPECT(numbers < 2 * (B * T * (I + 4 * H) + 3 * H * K + B * H * K), "%zu bytes", bytes);
        EXPECT(numbers < B * T * H * K / 10, "%zu bytes are a tenth of B·T·H·K or more", bytes);
    }
    test_end();
}

void test_descriptions(void)
{
    test_defaults();
    test_options_by_name();
    test_parameters_and_states();
    test_tape_size();
}
