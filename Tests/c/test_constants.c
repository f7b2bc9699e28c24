/* What the header promises in constants, and the library's answers to them. */
#include <string.h>

#include "check.h"
#include "stpn.h"
#include "tests.h"

/* Callers compile these numbers in, and wrappers in other languages copy them: they are pinned. */
#define PINNED(name, value) _Static_assert(name == (value), #name " is pinned")

PINNED(STPN_OK, 0);
PINNED(STPN_ERROR_NULL, 10);
PINNED(STPN_ERROR_STRUCT_SIZE, 20);
PINNED(STPN_ERROR_OPTION, 30);
PINNED(STPN_ERROR_SIZE, 40);
PINNED(STPN_ERROR_ALIGNMENT, 50);
PINNED(STPN_ERROR_OVERLAP, 60);
PINNED(STPN_ERROR_TAPE, 70);
PINNED(STPN_ERROR_WORKSPACE, 80);
PINNED(STPN_ERROR_IMPLEMENTATION, 90);

PINNED(STPN_CELL_STPN, 1);
PINNED(STPN_CELL_HEBBFF, 2);
PINNED(STPN_CELL_FAST_WEIGHTS, 3);
PINNED(STPN_CELL_MODULATED, 4);

PINNED(STPN_FLOAT32, 1);
PINNED(STPN_FLOAT64, 2);

PINNED(STPN_PLASTIC_ALL, 1);
PINNED(STPN_PLASTIC_INPUT, 2);
PINNED(STPN_PLASTIC_HIDDEN, 3);

PINNED(STPN_SHAPE_SYNAPSE, 1);
PINNED(STPN_SHAPE_NEURON, 2);
PINNED(STPN_SHAPE_PRESYNAPTIC, 3);
PINNED(STPN_SHAPE_SCALAR, 4);

PINNED(STPN_NORMALIZE_NONE, 1);
PINNED(STPN_NORMALIZE_OUTPUT, 2);
PINNED(STPN_NORMALIZE_PRE, 3);
PINNED(STPN_NORMALIZE_POST, 4);

PINNED(STPN_NORM_AXIS_NEURON, 1);
PINNED(STPN_NORM_AXIS_LAYER, 2);

PINNED(STPN_DECAY_STP, 1);
PINNED(STPN_DECAY_PROMPT, 2);

PINNED(STPN_RULE_HEBB, 1);
PINNED(STPN_RULE_OJA, 2);

PINNED(STPN_PRESYNAPTIC_PREVIOUS, 1);
PINNED(STPN_PRESYNAPTIC_CURRENT, 2);

PINNED(STPN_ACTIVATION_TANH, 1);
PINNED(STPN_ACTIVATION_SIGMOID, 2);
PINNED(STPN_ACTIVATION_RELU, 3);
PINNED(STPN_ACTIVATION_IDENTITY, 4);

PINNED(STPN_KIND_PLASTIC, 1);
PINNED(STPN_KIND_MODPLAST, 2);
PINNED(STPN_KIND_MODUL, 3);

PINNED(STPN_DA_TANH, 1);
PINNED(STPN_DA_SIG, 2);
PINNED(STPN_DA_LIN, 3);

PINNED(STPN_BEST, 0);
PINNED(STPN_PLAIN, 1);
PINNED(STPN_BASELINE, 2);
PINNED(STPN_X86_64_V3, 3);
PINNED(STPN_X86_64_V4, 4);

PINNED(STPN_PASS_FORWARD, 1);
PINNED(STPN_PASS_BACKWARD, 2);
PINNED(STPN_PASS_STEP, 3);

static void test_version(void)
{
    test_begin("the library is of the header's version");
    EXPECT(stpn_version_number() == STPN_VERSION_NUMBER, "%d, not %d", stpn_version_number(),
           STPN_VERSION_NUMBER);
    EXPECT(strcmp(stpn_version_string(), STPN_VERSION_STRING) == 0, "'%s'", stpn_version_string());
    test_end();
}

static void test_status_names(void)
{
    static const struct {
        int32_t status;
        const char *name;
    } rows[] = {
        {STPN_OK, "STPN_OK"},
        {STPN_ERROR_NULL, "STPN_ERROR_NULL"},
        {STPN_ERROR_STRUCT_SIZE, "STPN_ERROR_STRUCT_SIZE"},
        {STPN_ERROR_OPTION, "STPN_ERROR_OPTION"},
        {STPN_ERROR_SIZE, "STPN_ERROR_SIZE"},
        {STPN_ERROR_ALIGNMENT, "STPN_ERROR_ALIGNMENT"},
        {STPN_ERROR_OVERLAP, "STPN_ERROR_OVERLAP"},
        {STPN_ERROR_TAPE, "STPN_ERROR_TAPE"},
        {STPN_ERROR_WORKSPACE, "STPN_ERROR_WORKSPACE"},
        {STPN_ERROR_IMPLEMENTATION, "STPN_ERROR_IMPLEMENTATION"},
        {1, "unknown status"},
        {-10, "unknown status"},
        {INT32_MAX, "unknown status"},
        {INT32_MIN, "unknown status"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_begin("stpn_status_name(%d)", rows[i].status);
        EXPECT(strcmp(stpn_status_name(rows[i].status), rows[i].name) == 0, "'%s'",
               stpn_status_name(rows[i].status));
        test_end();
    }
}

static void test_implementations(void)
{
    static const struct {
        int32_t implementation;
        const char *name; /* NULL: none */
    } rows[] = {
        {STPN_PLAIN, "plain"},
        {STPN_BASELINE, "baseline"},
        {STPN_X86_64_V3, "x86-64-v3"},
        {STPN_X86_64_V4, "x86-64-v4"},
        {STPN_BEST, NULL},
        {-1, NULL},
        {1000, NULL},
        {INT32_MIN, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = stpn_implementation_name(rows[i].implementation);
        test_begin("stpn_implementation_name(%d)", rows[i].implementation);
        if (rows[i].name) {
            EXPECT(name && strcmp(name, rows[i].name) == 0, "'%s'", name ? name : "NULL");
        } else {
            EXPECT(name == NULL, "'%s'", name);
            EXPECT(!stpn_implementation_available(rows[i].implementation), "available, although it is none");
        }
        test_end();
    }

    test_begin("plain and baseline are always there, and the best is one that is there");
    EXPECT(stpn_implementation_available(STPN_PLAIN) == 1, "plain is not available");
    EXPECT(stpn_implementation_available(STPN_BASELINE) == 1, "baseline is not available");
    EXPECT(stpn_implementation_available(stpn_best_implementation()) == 1, "%d", stpn_best_implementation());
    test_end();
}

static void test_thread_count(void)
{
    stpn_error error = {.struct_size = sizeof error};
    const int32_t before = stpn_get_num_threads();
    const int32_t accepted[] = {1, 2, 1024}, refused[] = {0, -1, 1025, INT32_MAX, INT32_MIN};

    test_begin("stpn_set_num_threads and stpn_get_num_threads");
    EXPECT(before >= 1, "%d threads at first", before);
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        EXPECT(stpn_set_num_threads(accepted[i], &error) == STPN_OK, "%d refused: %s", accepted[i],
               error.message);
        EXPECT(stpn_get_num_threads() == accepted[i], "%d", stpn_get_num_threads());
    }
    EXPECT(stpn_set_num_threads(before, NULL) == STPN_OK, "refused without an error");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        error = (stpn_error){.struct_size = sizeof error};
        EXPECT(stpn_set_num_threads(refused[i], &error) == STPN_ERROR_SIZE, "%d accepted", refused[i]);
        EXPECT(strcmp(error.argument, "threads") == 0, "argument '%s'", error.argument);
        EXPECT(error.message[0], "no message");
        EXPECT(stpn_get_num_threads() == before, "changed to %d", stpn_get_num_threads());
    }
    test_end();
}

void test_constants(void)
{
    test_version();
    test_status_names();
    test_implementations();
    test_thread_count();
}
