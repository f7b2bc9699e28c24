/* A libFuzzer target: calls of the library as a careless program makes them, with numbers and names of any kind, missing,
 * misaligned and overlapping buffers, too little memory, tapes of other calls and broken ones.
 *
 * Whatever comes, the library returns a status and a sentence, and touches nothing that is not its caller's: the kernel
 * is compiled with AddressSanitizer, and every buffer is a block of its own, of just the size that the header says. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stpn.h"

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

enum { MOST_POINTERS = 64, MOST_BLOCKS = 128, LARGEST_BLOCK = 1 << 18, POISON = 0xA5 };

/* The fuzzer's bytes, read one after the other; 0 behind their end, which makes a call without a fault. */

static const uint8_t *input;
static size_t input_size;

static uint8_t take(void)
{
    if (input_size == 0)
        return 0;
    input_size--;
    return *input++;
}

static uint8_t take_below(uint8_t limit) { return take() % limit; }

static uint64_t take_bits(void)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | take();
    return bits;
}

/* One time in 8: a fault. */
static int take_fault(void) { return take_below(8) == 7; }

/* The size that it should be, or any. */
static size_t take_claim(size_t size) { return take_fault() ? take_bits() >> take_below(64) : size; }

/* A small size, or any number. */
static int64_t take_size(void)
{
    static const int64_t edges[] = {-1,        0,         INT32_MAX,     INT64_MAX, INT64_MIN,
                                    1LL << 31, 1LL << 32, INT64_MAX / 8, 1LL << 61, 1LL << 40};
    if (!take_fault())
        return 1 + take_below(5);
    uint8_t which = take_below(2 * sizeof edges / sizeof edges[0]);
    return which < sizeof edges / sizeof edges[0] ? edges[which] : (int64_t)take_bits();
}

static int32_t take_option(void) { return take_fault() ? (int32_t)take_bits() : take_below(5); }

static double take_number(void)
{
    static const double edges[] = {0, 1, -1, 0.5, INFINITY, -INFINITY, NAN, 1e308, 9.3e18, 2147483648.0};
    double any;
    uint64_t bits = take_bits();
    memcpy(&any, &bits, sizeof any);
    uint8_t which = take_below(2 * sizeof edges / sizeof edges[0]);
    return which < sizeof edges / sizeof edges[0] ? edges[which] : any;
}

/* Blocks of memory, freed when the fuzzer's call ends. */

static struct {
    uint8_t *memory;
    size_t size;
} blocks[MOST_BLOCKS];
static size_t block_count;

/* An empty one is NULL: the library may not take it for memory. */
static void *block(size_t size)
{
    if (size == 0)
        return NULL;
    REQUIRE(block_count < MOST_BLOCKS);
    void *memory = malloc(size);
    REQUIRE(memory != NULL);
    memset(memory, take(), size);
    blocks[block_count].memory = memory;
    blocks[block_count++].size = size;
    return memory;
}

static void free_blocks(void)
{
    while (block_count > 0)
        free(blocks[--block_count].memory);
}

/* A number that changes with what is in any block. */
static uint64_t checksum(void)
{
    uint64_t sum = 0;
    for (size_t b = 0; b < block_count; b++)
        for (size_t i = 0; i < blocks[b].size; i++)
            sum = sum * 0x100000001B3 + blocks[b].memory[i];
    return sum;
}

/* A name of the fuzzer's own, one of the library's, or NULL. */
static const char *take_name(void)
{
    static const char *const names[] = {
        "stpn",       "hebbff",           "fast_weights", "modulated",
        "dtype",      "input_size",       "recurrent",    "plastic",
        "normalize",  "norm_axis",        "plastic_bias", "hidden_size",
        "activation", "plasticity_shape", "inner_steps",  "addpw",
        "clamp",      "layer_norm",       "none",         "pre",
        "sigmoid",    "float64",          "presynaptic",  "modul",
    };
    const size_t count = sizeof names / sizeof names[0];
    uint8_t which = take_below((uint8_t)(count + 8));
    if (which < count)
        return names[which];
    if (which == count)
        return NULL;
    size_t length = take() % 300;
    char *name = block(length + 1);
    for (size_t i = 0; i < length; i++)
        name[i] = (char)(1 + take() % 255);
    name[length] = 0;
    return name;
}

/* What every call must return. */

static stpn_error failure;
static stpn_error *error_argument;

static void begin_call(void)
{
    failure = (stpn_error){.struct_size = take_fault() ? take_bits() : sizeof failure};
    memset(failure.argument, POISON, sizeof failure.argument);
    memset(failure.message, POISON, sizeof failure.message);
    error_argument = take_fault() ? NULL : &failure;
}

static int ends(const char *text, size_t room) { return memchr(text, 0, room) != NULL; }

static int32_t end_call(int32_t status)
{
    const int is_written = status != STPN_OK && error_argument && failure.struct_size == sizeof failure;
    REQUIRE(status >= STPN_OK && strcmp(stpn_status_name(status), "unknown status") != 0);
    REQUIRE(is_written == ((uint8_t)failure.message[0] != POISON));
    if (is_written) {
        REQUIRE(ends(failure.argument, sizeof failure.argument));
        REQUIRE(ends(failure.message, sizeof failure.message) && failure.message[0]);
    }
    return status;
}

#define CALL(function, ...) (begin_call(), end_call(function(__VA_ARGS__, error_argument)))

/* The description of a cell. */

static void take_fields(stpn_cell *cell)
{
    int32_t *const options[] = {
        &cell->recurrent,  &cell->plastic,      &cell->plasticity_shape,
        &cell->normalize,  &cell->norm_axis,    &cell->norm_gain,
        &cell->decay,      &cell->rule,         &cell->presynaptic,
        &cell->bias,       &cell->plastic_bias, &cell->layer_norm,
        &cell->activation, &cell->forced,       &cell->inner_steps,
        &cell->kind,       &cell->addpw,        &cell->da,
        &cell->cell,
    };
    for (uint8_t changes = take_below(4); changes > 0; changes--)
        *options[take_below(sizeof options / sizeof options[0])] = take_option();
    if (take_fault())
        cell->clamp = take_number();
    if (take_fault())
        cell->struct_size = take_claim(sizeof *cell);
}

static stpn_cell take_cell(void)
{
    stpn_cell cell;
    CALL(stpn_cell_init_named, &cell, take_name());
    if (CALL(stpn_cell_init, &cell, take_option()) != STPN_OK)
        REQUIRE(stpn_cell_init(&cell, STPN_CELL_STPN + take_below(4), NULL) == STPN_OK);
    cell.input_size = take_size();
    cell.hidden_size = take_size();
    cell.dtype = STPN_FLOAT32 + take_below(2);
    for (uint8_t changes = take_below(3); changes > 0; changes--) {
        const stpn_cell before = cell;
        int32_t status = take_below(2) ? CALL(stpn_cell_set_name, &cell, take_name(), take_name())
                                       : CALL(stpn_cell_set_number, &cell, take_name(), take_number());
        REQUIRE(status == STPN_OK || memcmp(&cell, &before, sizeof cell) == 0);
    }
    take_fields(&cell);
    return cell;
}

static stpn_array ask(int32_t (*describe)(const stpn_cell *, int32_t, stpn_array *, stpn_error *),
                      const stpn_cell *cell, int32_t index)
{
    stpn_array array = {.struct_size = sizeof array};
    REQUIRE(CALL(describe, cell, index, &array) == STPN_OK);
    REQUIRE(ends(array.name, sizeof array.name) && array.rank >= 0 && array.rank <= 3);
    REQUIRE(array.low <= array.high);
    return array;
}

static void ask_anything(const stpn_cell *cell)
{
    stpn_array array = {.struct_size = take_fault() ? take_bits() : sizeof array};
    CALL(stpn_parameter, cell, take_option(), take_fault() ? NULL : &array);
    CALL(stpn_state, take_fault() ? NULL : cell, take_option(), &array);
    stpn_implementation_name(take_option());
    stpn_implementation_available(take_option());
    CALL(stpn_set_num_threads, 1 + (int32_t)take_below(2) - (int32_t)take_below(3));
}

/* A call and its memory. */

typedef struct call {
    stpn_cell cell;
    stpn_run run;
    int is_affordable; /* every buffer is there in its full size */
    uint64_t before;   /* the checksum when the call began */

    void **outputs[MOST_POINTERS], **inputs[MOST_POINTERS];
    size_t output_count, input_count;
} call;

/* The product of a number type's and an array's sizes in bytes; more than LARGEST_BLOCK where it is too large. */
static size_t bytes_of(const call *c, const int64_t *sizes, int32_t count)
{
    uint64_t bytes = c->cell.dtype == STPN_FLOAT64 ? sizeof(double) : sizeof(float);
    for (int32_t i = 0; i < count; i++)
        if (sizes[i] == 0)
            return 0;
    for (int32_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(bytes, (uint64_t)sizes[i], &bytes) || bytes > LARGEST_BLOCK)
            return LARGEST_BLOCK + 1;
    return (size_t)bytes;
}

/* A block, or a small one in place of one that would be too large. */
static void *affordable(call *c, size_t size)
{
    if (size > LARGEST_BLOCK)
        c->is_affordable = 0;
    return block(size > LARGEST_BLOCK ? 64 : size);
}

static void *sequence(call *c, int64_t width)
{
    return affordable(c, bytes_of(c, (int64_t[]){c->run.batch, c->run.time, width}, 3));
}

static void remember(void **pointers[], size_t *count, void **pointer)
{
    REQUIRE(*count < MOST_POINTERS);
    pointers[(*count)++] = pointer;
}

static void add_output(call *c, void **pointer) { remember(c->outputs, &c->output_count, pointer); }

/* The fields of inputs point to what is const: they are changed here alone. */
static void add_input(call *c, const void *pointer)
{
    remember(c->inputs, &c->input_count, (void **)pointer);
}

/* Pointers to a buffer for each parameter, or for each state. */
static void **arrays(call *c, int are_states, int are_written)
{
    int32_t count = are_states ? stpn_state_count(&c->cell) : stpn_parameter_count(&c->cell);
    void **pointers = block((size_t)count * sizeof *pointers);
    for (int32_t i = 0; i < count; i++) {
        stpn_array array = ask(are_states ? stpn_state : stpn_parameter, &c->cell, i);
        int64_t sizes[4] = {are_states ? c->run.batch : 1};
        memcpy(sizes + 1, array.shape, sizeof array.shape);
        pointers[i] = affordable(c, bytes_of(c, sizes, 1 + array.rank));
        if (are_written)
            add_output(c, &pointers[i]);
        else
            add_input(c, &pointers[i]);
    }
    return pointers;
}

static void *scratch(call *c, size_t needed, size_t *given)
{
    void *memory = affordable(c, needed);
    *given = take_claim(needed);
    return memory;
}

static void *workspace(call *c, int32_t pass, size_t *given)
{
    size_t size = 0;
    if (CALL(stpn_workspace_size, &c->cell, &c->run, pass, &size) != STPN_OK)
        c->is_affordable = 0;
    return scratch(c, size, given);
}

static void *tape(call *c, size_t *given)
{
    size_t size = 0;
    if (CALL(stpn_tape_size, &c->cell, &c->run, &size) != STPN_OK)
        c->is_affordable = 0;
    return scratch(c, size, given);
}

/* Faults in the pointers of a call: none, a misaligned one, and an output over another buffer. An input may not be put over
 * another one, which may be smaller. */
static void spoil(call *c, size_t *workspace_size)
{
    void **output = c->outputs[take_below((uint8_t)c->output_count)];
    void **in = c->inputs[take_below((uint8_t)c->input_count)];
    void **either = take_below(2) ? output : in;
    switch (take_below(12)) {
    case 1:
        *either = NULL;
        break;
    case 2:
        if (*either)
            *either = (char *)*either + 1;
        break;
    case 3:
        *output = *in;
        break;
    case 4:
        *output = *c->outputs[take_below((uint8_t)c->output_count)];
        break;
    default:
        break;
    }
    if (c->is_affordable)
        return;
    /* What is too small must not be touched. The first output and input are sequences, which may not be in one place; where
     * these are empty, there is no workspace. */
    if (*c->outputs[0] && *c->inputs[0])
        *c->outputs[0] = *c->inputs[0];
    else
        *workspace_size = 0;
}

/* A refused call has written nothing. */
static int32_t expect_untouched(const call *c, int32_t status)
{
    REQUIRE(status == STPN_OK ? c->is_affordable : checksum() == c->before);
    return status;
}

#define RUN(function, c, buffers)                                                                            \
    ((c)->before = checksum(),                                                                               \
     expect_untouched(c, CALL(function, &(c)->cell, &(c)->run, take_fault() ? NULL : (buffers))))

static call begin(const stpn_cell *cell, const stpn_run *run)
{
    return (call){.cell = *cell, .run = *run, .is_affordable = 1};
}

static int32_t forward(const stpn_cell *cell, const stpn_run *run, void **written_tape, size_t *tape_size)
{
    call c = begin(cell, run);
    stpn_forward_buffers b = {.struct_size = take_claim(sizeof b)};
    b.y = sequence(&c, cell->hidden_size);
    add_output(&c, &b.y);
    b.x = sequence(&c, cell->input_size);
    add_input(&c, &b.x);
    b.parameters = (const void *const *)arrays(&c, 0, 0);
    if (take_below(2))
        b.final_state = arrays(&c, 1, 1);
    if (take_below(2))
        b.state = (const void *const *)arrays(&c, 1, 0);
    if (take_below(2)) {
        b.energy = sequence(&c, cell->hidden_size);
        add_output(&c, &b.energy);
    }
    if (take_below(2))
        b.resets = affordable(&c, bytes_of(&c, (int64_t[]){run->batch, run->time}, 2));
    b.tape = tape(&c, &b.tape_size);
    add_output(&c, &b.tape);
    b.workspace = workspace(&c, STPN_PASS_FORWARD, &b.workspace_size);
    spoil(&c, &b.workspace_size);
    *written_tape = b.tape;
    *tape_size = b.tape_size;
    return RUN(stpn_forward, &c, &b);
}

static void backward(const stpn_cell *cell, const stpn_run *run, void *written_tape, size_t tape_size)
{
    call c = begin(cell, run);
    stpn_backward_buffers b = {.struct_size = take_claim(sizeof b)};
    b.grad_x = sequence(&c, cell->input_size);
    add_output(&c, &b.grad_x);
    b.grad_y = sequence(&c, cell->hidden_size);
    add_input(&c, &b.grad_y);
    if (take_below(2))
        b.grad_parameters = arrays(&c, 0, 1);
    if (take_below(2))
        b.grad_state = arrays(&c, 1, 1);
    if (take_below(2))
        b.grad_final = (const void *const *)arrays(&c, 1, 0);
    b.tape = written_tape;
    b.tape_size = tape_size;
    b.workspace = workspace(&c, STPN_PASS_BACKWARD, &b.workspace_size);
    spoil(&c, &b.workspace_size);
    RUN(stpn_backward, &c, &b);
}

static void step(const stpn_cell *cell, const stpn_run *run)
{
    call c = begin(cell, run);
    stpn_step_buffers b = {.struct_size = take_claim(sizeof b)};
    b.y = sequence(&c, cell->hidden_size);
    add_output(&c, &b.y);
    b.x = sequence(&c, cell->input_size);
    add_input(&c, &b.x);
    b.parameters = (const void *const *)arrays(&c, 0, 0);
    b.state = arrays(&c, 1, 1);
    if (take_below(2)) {
        b.energy = sequence(&c, cell->hidden_size);
        add_output(&c, &b.energy);
    }
    b.workspace = workspace(&c, STPN_PASS_STEP, &b.workspace_size);
    spoil(&c, &b.workspace_size);
    RUN(stpn_step, &c, &b);
}

static stpn_run take_run(void)
{
    static const int32_t threads[] = {1, 0, 2, -1, INT32_MAX};
    stpn_run run = {.struct_size = take_claim(sizeof run), .batch = take_size(), .time = take_size()};
    run.threads = threads[take_below(sizeof threads / sizeof threads[0])];
    run.implementation = take_option();
    return run;
}

/* A call of forward, and one of backward with its tape as it is, broken, or given to another cell or run. */
static void there_and_back(const stpn_cell *cell, const stpn_run *run)
{
    void *written_tape;
    size_t tape_size, bytes;
    stpn_cell other = *cell;
    stpn_run other_run = *run;
    if (forward(cell, run, &written_tape, &tape_size) != STPN_OK || !written_tape)
        return;
    REQUIRE(stpn_tape_size(cell, run, &bytes, NULL) == STPN_OK);
    if (take_fault())
        ((uint8_t *)written_tape)[take_bits() % bytes] ^= (uint8_t)(1 << take_below(8));
    if (take_fault())
        take_fields(&other);
    if (take_fault())
        other_run = take_run();
    if (stpn_cell_check(&other, NULL) == STPN_OK)
        backward(&other, &other_run, written_tape, tape_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_size = size;
    stpn_cell cell = take_cell();
    stpn_run run = take_run();
    ask_anything(&cell);
    if (CALL(stpn_cell_check, &cell) != STPN_OK) {
        REQUIRE(stpn_parameter_count(&cell) < 0 && stpn_state_count(&cell) < 0);
        size_t bytes;
        REQUIRE(CALL(stpn_tape_size, &cell, &run, &bytes) != STPN_OK);
        REQUIRE(CALL(stpn_forward, &cell, &run, NULL) != STPN_OK);
    } else if (take_below(3)) {
        there_and_back(&cell, &run);
    } else {
        run.time = take_fault() ? run.time : 1;
        step(&cell, &run);
    }
    free_blocks();
    return 0;
}
