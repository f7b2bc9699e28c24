/* The options of a cell: their defaults, how they are set by name, what is refused, and which may not be together. */
#include <math.h>
#include <string.h>

#include "call.h"
#include "check.h"
#include "tests.h"

static const struct kind {
    const char *name;
    stpn_cell defaults; /* of the options that this kind has */
} kinds[] = {
    {"stpn",
     {.cell = STPN_CELL_STPN,
      .dtype = STPN_FLOAT32,
      .clamp = INFINITY,
      .recurrent = 1,
      .plastic = STPN_PLASTIC_ALL,
      .plasticity_shape = STPN_SHAPE_SYNAPSE,
      .normalize = STPN_NORMALIZE_PRE,
      .norm_axis = STPN_NORM_AXIS_NEURON,
      .norm_gain = 0,
      .decay = STPN_DECAY_STP,
      .rule = STPN_RULE_HEBB,
      .presynaptic = STPN_PRESYNAPTIC_PREVIOUS,
      .bias = 1,
      .plastic_bias = 0,
      .layer_norm = 0,
      .activation = STPN_ACTIVATION_TANH}},
    {"hebbff", {.cell = STPN_CELL_HEBBFF, .dtype = STPN_FLOAT32, .recurrent = 0, .forced = 1}},
    {"fast_weights",
     {.cell = STPN_CELL_FAST_WEIGHTS,
      .dtype = STPN_FLOAT32,
      .layer_norm = 1,
      .activation = STPN_ACTIVATION_TANH,
      .inner_steps = 1}},
    {"modulated",
     {.cell = STPN_CELL_MODULATED, .dtype = STPN_FLOAT32, .kind = STPN_KIND_MODPLAST, .addpw = 3, .da = STPN_DA_TANH}},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* What an option is set to. */
typedef enum type {
    NAME,         /* one of a few names */
    NAME_OR_NONE, /* or None */
    FLAG,         /* 0 or 1 */
    COUNT,        /* a whole number of 32 bits */
    SIZE,         /* a whole number of 64 bits */
    BOUND,        /* a number, or None for infinity */
} type;

#define STPN (1U << STPN_CELL_STPN)
#define HEBBFF (1U << STPN_CELL_HEBBFF)
#define FAST_WEIGHTS (1U << STPN_CELL_FAST_WEIGHTS)
#define MODULATED (1U << STPN_CELL_MODULATED)
#define EVERY (STPN | HEBBFF | FAST_WEIGHTS | MODULATED)

typedef struct option {
    const char *name;
    unsigned kinds; /* that have it */
    type type;
    size_t offset;    /* of its field in stpn_cell */
    double low, high; /* that are accepted */
} option;

#define AT(name) offsetof(stpn_cell, name)

static const option options[] = {
    {"dtype", EVERY, NAME, AT(dtype), STPN_FLOAT32, STPN_FLOAT64},
    {"input_size", EVERY, SIZE, AT(input_size), 1, 1e9},
    {"hidden_size", EVERY, SIZE, AT(hidden_size), 1, 1e6},
    {"clamp", STPN, BOUND, AT(clamp), 0, INFINITY},
    {"recurrent", STPN, FLAG, AT(recurrent), 0, 1},
    {"recurrent", HEBBFF, FLAG, AT(recurrent), 0, 0},
    {"plastic", STPN, NAME, AT(plastic), STPN_PLASTIC_ALL, STPN_PLASTIC_HIDDEN},
    {"plasticity_shape", STPN, NAME, AT(plasticity_shape), STPN_SHAPE_SYNAPSE, STPN_SHAPE_SCALAR},
    {"normalize", STPN, NAME_OR_NONE, AT(normalize), STPN_NORMALIZE_NONE, STPN_NORMALIZE_POST},
    {"norm_axis", STPN, NAME, AT(norm_axis), STPN_NORM_AXIS_NEURON, STPN_NORM_AXIS_LAYER},
    {"norm_gain", STPN, FLAG, AT(norm_gain), 0, 1},
    {"decay", STPN, NAME, AT(decay), STPN_DECAY_STP, STPN_DECAY_PROMPT},
    {"rule", STPN, NAME, AT(rule), STPN_RULE_HEBB, STPN_RULE_OJA},
    {"presynaptic", STPN, NAME, AT(presynaptic), STPN_PRESYNAPTIC_PREVIOUS, STPN_PRESYNAPTIC_CURRENT},
    {"bias", STPN, FLAG, AT(bias), 0, 1},
    {"plastic_bias", STPN, FLAG, AT(plastic_bias), 0, 1},
    {"layer_norm", STPN | FAST_WEIGHTS, FLAG, AT(layer_norm), 0, 1},
    {"activation", STPN | FAST_WEIGHTS, NAME, AT(activation), STPN_ACTIVATION_TANH, STPN_ACTIVATION_IDENTITY},
    {"forced", HEBBFF, FLAG, AT(forced), 0, 1},
    {"inner_steps", FAST_WEIGHTS, COUNT, AT(inner_steps), 1, 1024},
    {"kind", MODULATED, NAME, AT(kind), STPN_KIND_PLASTIC, STPN_KIND_MODUL},
    {"addpw", MODULATED, COUNT, AT(addpw), 0, 3},
    {"da", MODULATED, NAME, AT(da), STPN_DA_TANH, STPN_DA_LIN},
};

enum { OPTIONS = sizeof options / sizeof options[0] };

/* Every name of every option. */
static const struct value {
    const char *option, *name; /* NULL: None */
    double number;
} values[] = {
    {"dtype", "float32", STPN_FLOAT32},
    {"dtype", "float64", STPN_FLOAT64},
    {"clamp", NULL, INFINITY},
    {"plastic", "all", STPN_PLASTIC_ALL},
    {"plastic", "input", STPN_PLASTIC_INPUT},
    {"plastic", "hidden", STPN_PLASTIC_HIDDEN},
    {"plasticity_shape", "synapse", STPN_SHAPE_SYNAPSE},
    {"plasticity_shape", "neuron", STPN_SHAPE_NEURON},
    {"plasticity_shape", "presynaptic", STPN_SHAPE_PRESYNAPTIC},
    {"plasticity_shape", "scalar", STPN_SHAPE_SCALAR},
    {"normalize", NULL, STPN_NORMALIZE_NONE},
    {"normalize", "output", STPN_NORMALIZE_OUTPUT},
    {"normalize", "pre", STPN_NORMALIZE_PRE},
    {"normalize", "post", STPN_NORMALIZE_POST},
    {"norm_axis", "neuron", STPN_NORM_AXIS_NEURON},
    {"norm_axis", "layer", STPN_NORM_AXIS_LAYER},
    {"decay", "stp", STPN_DECAY_STP},
    {"decay", "prompt", STPN_DECAY_PROMPT},
    {"rule", "hebb", STPN_RULE_HEBB},
    {"rule", "oja", STPN_RULE_OJA},
    {"presynaptic", "previous", STPN_PRESYNAPTIC_PREVIOUS},
    {"presynaptic", "current", STPN_PRESYNAPTIC_CURRENT},
    {"activation", "tanh", STPN_ACTIVATION_TANH},
    {"activation", "sigmoid", STPN_ACTIVATION_SIGMOID},
    {"activation", "relu", STPN_ACTIVATION_RELU},
    {"activation", "identity", STPN_ACTIVATION_IDENTITY},
    {"kind", "plastic", STPN_KIND_PLASTIC},
    {"kind", "modplast", STPN_KIND_MODPLAST},
    {"kind", "modul", STPN_KIND_MODUL},
    {"da", "tanh", STPN_DA_TANH},
    {"da", "sig", STPN_DA_SIG},
    {"da", "lin", STPN_DA_LIN},
};

enum { VALUES = sizeof values / sizeof values[0] };

static bool has(const struct kind *k, const option *o) { return o->kinds >> k->defaults.cell & 1U; }

/* The option of a kind by its name; NULL where it has none. */
static const option *find_option(const struct kind *k, const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (has(k, &options[i]) && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

/* Whether it is the first of its name in the table, for what is said of names. */
static bool is_first(const option *o) { return o == options || strcmp(o[-1].name, o->name) != 0; }

static double get(const stpn_cell *cell, const option *o)
{
    const void *field = (const char *)cell + o->offset;
    switch (o->type) {
    case BOUND:
        return *(const double *)field;
    case SIZE:
        return (double)*(const int64_t *)field;
    default:
        return *(const int32_t *)field;
    }
}

static void set(stpn_cell *cell, const option *o, double value)
{
    void *field = (char *)cell + o->offset;
    switch (o->type) {
    case BOUND:
        *(double *)field = value;
        break;
    case SIZE:
        *(int64_t *)field = (int64_t)value;
        break;
    default:
        *(int32_t *)field = (int32_t)value;
    }
}

static stpn_cell small_cell(const struct kind *k)
{
    stpn_cell cell = cell_of(k->name);
    cell.input_size = 3;
    cell.hidden_size = 5;
    return cell;
}

static void test_defaults(const struct kind *k)
{
    stpn_cell cells[2];
    memset(cells, 0xFF, sizeof cells);

    test_begin("%s: stpn_cell_init and stpn_cell_init_named set the defaults", k->name);
    EXPECT(stpn_cell_init(&cells[0], k->defaults.cell, NULL) == STPN_OK, "by kind");
    EXPECT(stpn_cell_init_named(&cells[1], k->name, NULL) == STPN_OK, "by name");
    for (int i = 0; i < 2; i++) {
        EXPECT(cells[i].struct_size == sizeof(stpn_cell), "struct_size %zu", cells[i].struct_size);
        EXPECT(cells[i].cell == k->defaults.cell, "cell %d", cells[i].cell);
        for (size_t n = 0; n < OPTIONS; n++)
            if (has(k, &options[n]))
                EXPECT(get(&cells[i], &options[n]) == get(&k->defaults, &options[n]), "%s is %g",
                       options[n].name, get(&cells[i], &options[n]));
    }
    test_end();
}

/* What is accepted. */

static void expect_valid(const stpn_cell *cell)
{
    stpn_error error = {.struct_size = sizeof error};
    EXPECT(stpn_cell_check(cell, &error) == STPN_OK, "the result is not valid: %s", error.message);
}

static void test_names(const struct kind *k)
{
    test_begin("%s: options are set by name, and to None", k->name);
    for (const struct value *v = values; v < values + VALUES; v++) {
        const option *o = find_option(k, v->option);
        if (!o)
            continue;
        stpn_cell cell = small_cell(k), expected = cell;
        set(&cell, o, -1);
        set(&expected, o, v->number);
        EXPECT(stpn_cell_set_name(&cell, v->option, v->name, NULL) == STPN_OK, "%s = %s is refused",
               v->option, v->name ? v->name : "None");
        EXPECT(memcmp(&cell, &expected, sizeof cell) == 0, "%s = %s is %g, not %g, or changes more than that",
               v->option, v->name ? v->name : "None", get(&cell, o), v->number);
        expect_valid(&cell);
    }
    test_end();
}

static void test_numbers(const struct kind *k)
{
    static const struct {
        type type;
        double number;
    } rows[] = {{FLAG, 0},     {FLAG, 1},  {COUNT, 1},    {COUNT, 3},     {SIZE, 1},        {SIZE, 7},
                {SIZE, 65536}, {BOUND, 0}, {BOUND, 0.25}, {BOUND, 1e300}, {BOUND, INFINITY}};
    test_begin("%s: options are set by number", k->name);
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *o = &options[i];
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            if (!has(k, o) || rows[r].type != o->type)
                continue;
            stpn_cell cell = small_cell(k), expected = cell;
            set(&cell, o, -1);
            set(&expected, o, rows[r].number);
            EXPECT(stpn_cell_set_number(&cell, o->name, rows[r].number, NULL) == STPN_OK,
                   "%s = %g is refused", o->name, rows[r].number);
            EXPECT(memcmp(&cell, &expected, sizeof cell) == 0, "%s is %g, not %g, or changes more than that",
                   o->name, get(&cell, o), rows[r].number);
            if (rows[r].number <= o->high)
                expect_valid(&cell);
        }
    }
    test_end();
}

/* What is refused. */

/* Tries to set an option; expects a refusal that says what came and leaves the cell alone. */
static void expect_unset(const struct kind *k, const char *option, bool by_number, double number,
                         const char *name, int32_t expected)
{
    stpn_error error = {.struct_size = sizeof error};
    const stpn_cell before = small_cell(k);
    stpn_cell cell = before;
    int32_t status = by_number ? stpn_cell_set_number(&cell, option, number, &error)
                               : stpn_cell_set_name(&cell, option, name, &error);
    EXPECT(status == expected, "%s = %g or '%s': %s, not %s", option, number, name ? name : "None",
           stpn_status_name(status), stpn_status_name(expected));
    if (status != STPN_OK)
        expect_sentence(&error, option);
    EXPECT(memcmp(&cell, &before, sizeof cell) == 0, "%s: the cell is changed", option);
}

static void expect_no_number(const struct kind *k, const option *o, double number)
{
    expect_unset(k, o->name, true, number, NULL, o->type == SIZE ? STPN_ERROR_SIZE : STPN_ERROR_OPTION);
}

static void expect_no_name(const struct kind *k, const option *o, const char *name)
{
    expect_unset(k, o->name, false, NAN, name, STPN_ERROR_OPTION);
}

static void test_wrong_numbers(const struct kind *k)
{
    static const double fractions[] = {0.5, 1e300, -1e300, NAN, INFINITY};
    test_begin("%s: numbers that an option cannot be set to", k->name);
    for (const option *o = options; o < options + OPTIONS; o++) {
        if (!has(k, o) || o->type == BOUND)
            continue;
        for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++)
            expect_no_number(k, o, fractions[i]);
        if (o->type != SIZE)
            expect_no_number(k, o, 0x1p32);
        if (o->type == FLAG)
            expect_no_number(k, o, 2);
        if (o->type == FLAG)
            expect_no_number(k, o, -1);
        if (o->type == NAME || o->type == NAME_OR_NONE)
            expect_no_number(k, o, 1);
    }
    test_end();
}

static void test_wrong_names(const struct kind *k)
{
    test_begin("%s: names that an option cannot be set to", k->name);
    for (const option *o = options; o < options + OPTIONS; o++) {
        if (!has(k, o))
            continue;
        expect_no_name(k, o, "");
        expect_no_name(k, o, "None");
        expect_no_name(k, o, "nonsense");
        expect_no_name(k, o, "pr\xC3\xA4");
        if (o->type != NAME_OR_NONE && o->type != BOUND)
            expect_no_name(k, o, NULL);
    }
    for (const struct value *v = values; v < values + VALUES; v++) {
        const option *o = find_option(k, v->option);
        if (!o || !v->name)
            continue;
        char name[32];
        snprintf(name, sizeof name, "%ss", v->name);
        expect_no_name(k, o, name);
        snprintf(name, strlen(v->name), "%s", v->name);
        expect_no_name(k, o, name);
    }
    test_end();
}

static void test_options_of_other_kinds(const struct kind *k)
{
    test_begin("%s: options that only other kinds have", k->name);
    for (const option *o = options; o < options + OPTIONS; o++) {
        if (!is_first(o) || find_option(k, o->name))
            continue;
        expect_unset(k, o->name, true, 1, NULL, STPN_ERROR_OPTION);
        expect_no_name(k, o, NULL);
        for (const struct value *v = values; v < values + VALUES; v++)
            if (strcmp(v->option, o->name) == 0)
                expect_no_name(k, o, v->name);
    }
    test_end();
}

static void expect_invalid(const struct kind *k, const option *o, double value)
{
    stpn_error error = {.struct_size = sizeof error};
    stpn_cell cell = small_cell(k);
    set(&cell, o, value);
    int32_t status = stpn_cell_check(&cell, &error);
    int32_t expected = o->type == SIZE ? STPN_ERROR_SIZE : STPN_ERROR_OPTION;
    if (!EXPECT(status == expected, "%s %g: %s, not %s", o->name, value, stpn_status_name(status),
                stpn_status_name(expected)))
        return;
    expect_sentence(&error, o->name);
    char came[32];
    snprintf(came, sizeof came, "got %g", value);
    if (fabs(value) < 1e6)
        EXPECT(strstr(error.message, came) != NULL, "'%s' does not say '%s'", error.message, came);
}

static void test_ranges(const struct kind *k)
{
    test_begin("%s: fields out of their range", k->name);
    for (const option *o = options; o < options + OPTIONS; o++) {
        if (!has(k, o))
            continue;
        expect_invalid(k, o, o->low - 1);
        expect_invalid(k, o, INT32_MIN);
        if (o->type == BOUND) {
            expect_invalid(k, o, -0.5);
            expect_invalid(k, o, -INFINITY);
            expect_invalid(k, o, NAN);
        } else if (o->type != SIZE && o->high < INT32_MAX) {
            expect_invalid(k, o, o->high + 1);
            expect_invalid(k, o, INT32_MAX);
        }
        for (double value = o->low; value <= fmin(o->high, o->low + 4); value++) {
            stpn_cell cell = small_cell(k);
            set(&cell, o, value);
            expect_valid(&cell);
        }
    }
    test_end();
}

/* What is not read. */

static void test_unread_fields(const struct kind *k)
{
    problem p;
    static call clean, dirty;
    problem_draw(&p, k->name, (sizes){2, 3, 3, 5}, GIVEN_ALL, 1);
    test_begin("%s: fields of other kinds are not read", k->name);
    call_open(&clean, &p, STPN_FLOAT32, STPN_BEST, 1);
    call_forward(&clean);
    call_backward(&clean);
    for (const option *o = options; o < options + OPTIONS; o++)
        if (!find_option(k, o->name))
            set(&p.cell, o, o->type == BOUND ? NAN : -77);
    call_open(&dirty, &p, STPN_FLOAT32, STPN_BEST, 1);
    call_forward(&dirty);
    call_backward(&dirty);
    expect_same_bits(&dirty, &clean);
    test_end();
    problem_free(&p);
}

/* What may not be together. */

static bool contradicts(const stpn_cell *c, const char *option)
{
    if (c->cell != STPN_CELL_STPN)
        return false;
    if (strcmp(option, "plastic") == 0)
        return !c->recurrent && c->plastic == STPN_PLASTIC_HIDDEN;
    if (strcmp(option, "presynaptic") == 0)
        return !c->recurrent && c->presynaptic == STPN_PRESYNAPTIC_CURRENT;
    if (strcmp(option, "norm_gain") == 0)
        return c->normalize == STPN_NORMALIZE_NONE && c->norm_gain;
    if (strcmp(option, "norm_axis") == 0)
        return c->normalize == STPN_NORMALIZE_NONE && c->norm_axis == STPN_NORM_AXIS_LAYER;
    return false;
}

static void expect_consistent_or_refused(const stpn_cell *cell)
{
    stpn_error error = {.struct_size = sizeof error};
    bool contradiction = contradicts(cell, "plastic") || contradicts(cell, "presynaptic") ||
                         contradicts(cell, "norm_gain") || contradicts(cell, "norm_axis");
    int32_t status = stpn_cell_check(cell, &error);
    if (!contradiction) {
        EXPECT(status == STPN_OK, "refused: %s", error.message);
        return;
    }
    EXPECT(status == STPN_ERROR_OPTION, "%s", stpn_status_name(status));
    EXPECT(contradicts(cell, error.argument), "'%s' is to blame", error.argument);
    expect_sentence(&error, error.argument);
}

/* Every value of every option from number i on, with every other. */
static void combine(const struct kind *k, stpn_cell *cell, size_t i)
{
    if (i == OPTIONS) {
        expect_consistent_or_refused(cell);
        return;
    }
    const option *o = &options[i];
    if (!has(k, o) || o->type == SIZE || o->type == BOUND || strcmp(o->name, "dtype") == 0) {
        combine(k, cell, i + 1);
        return;
    }
    for (double value = o->low; value <= fmin(o->high, o->low + 3); value++) {
        set(cell, o, value);
        combine(k, cell, i + 1);
    }
}

static void test_combinations(const struct kind *k)
{
    stpn_cell cell = small_cell(k);
    test_begin("%s: any combination is valid, or a contradiction that is named", k->name);
    combine(k, &cell, 0);
    test_end();
}

void test_options(void)
{
    static void (*const tests[])(const struct kind *) = {
        test_defaults,      test_names,         test_numbers,
        test_wrong_numbers, test_wrong_names,   test_options_of_other_kinds,
        test_ranges,        test_unread_fields, test_combinations,
    };
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
            tests[i](&kinds[k]);
}
