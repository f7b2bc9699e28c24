/* Every status, provoked: one line is one wrong argument in a call that is right without it. A refused call writes nothing
 * but the error, which names the argument and says more than its name. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "call.h"
#include "check.h"
#include "tests.h"

typedef int32_t entry(call *c, stpn_error *error);

static int32_t check(call *c, stpn_error *error) { return stpn_cell_check(&c->cell, error); }

static int32_t tape_size(call *c, stpn_error *error)
{
    size_t bytes;
    return stpn_tape_size(&c->cell, &c->run, &bytes, error);
}

static int32_t workspace_size(call *c, stpn_error *error)
{
    size_t bytes;
    return stpn_workspace_size(&c->cell, &c->run, STPN_PASS_FORWARD, &bytes, error);
}

static int32_t forward(call *c, stpn_error *error)
{
    return stpn_forward(&c->cell, &c->run, &c->forward, error);
}

static int32_t backward(call *c, stpn_error *error)
{
    return stpn_backward(&c->cell, &c->run, &c->backward, error);
}

static int32_t step(call *c, stpn_error *error) { return stpn_step(&c->cell, &c->step_run, &c->step, error); }

static void open_valid(call *c, const problem *p)
{
    call_open(c, p, STPN_FLOAT32, STPN_BASELINE, 2);
    call_forward(c); /* for the tape */
    for (size_t i = 0; i < c->output_count; i++)
        guarded_freeze(c->outputs[i].data);
    for (int32_t i = 0; i < c->state_count; i++)
        guarded_freeze(c->step_state[i]);
    guarded_freeze(c->forward.tape);
    guarded_freeze(c->forward.workspace);
    guarded_freeze(c->backward.workspace);
    guarded_freeze(c->step.workspace);
    guarded_freeze(c->step.y);
}

static void *aligned(void *memory) { return (void *)(((uintptr_t)memory + 7) & ~(uintptr_t)7); }

/* The smaller of workspace and tape in the larger: neither reaches a third buffer. */
static void share_forward_workspace(call *c)
{
    if (c->forward.workspace_size <= c->forward.tape_size)
        c->forward.workspace = c->forward.tape;
    else
        c->forward.tape = aligned(c->forward.workspace);
}

static void share_workspace(call *c)
{
    if (c->backward.workspace_size <= c->backward.tape_size)
        c->backward.workspace = c->forward.tape;
    else
        c->backward.tape = aligned(c->backward.workspace);
}

static void expect_refusal(call *c, entry *function, int32_t expected, const char *argument)
{
    stpn_error error = {.struct_size = sizeof error};
    int32_t status = function(c, &error);
    EXPECT(status == expected, "%s, not %s", stpn_status_name(status), stpn_status_name(expected));
    if (status != STPN_OK)
        expect_sentence(&error, argument);
    EXPECT(function(c, NULL) == expected, "another status without an error");
}

/* One wrong argument: opens a valid call c, applies the change, expects the refusal. */
#define REFUSES(function, status, argument, ...)                                                             \
    do {                                                                                                     \
        static call c;                                                                                       \
        test_begin("%s: " #function " refuses %s: %s", p->text, argument, #__VA_ARGS__);                     \
        open_valid(&c, p);                                                                                   \
        __VA_ARGS__;                                                                                         \
        expect_refusal(&c, function, status, argument);                                                      \
        test_end();                                                                                          \
    } while (0)

/* "field[name]", as errors name an entry of an array of pointers. The text lasts until the next call. */
static const char *entry_of(const char *field, stpn_array d)
{
    static char text[64];
    snprintf(text, sizeof text, "%s[%s]", field, d.name);
    return text;
}

static void *shifted(const void *pointer, size_t bytes) { return (char *)(uintptr_t)pointer + bytes; }

/* What every entry point checks first: cell and run. */

static void refuse_cells(const problem *p)
{
    REFUSES(check, STPN_ERROR_STRUCT_SIZE, "cell", c.cell.struct_size = 0);
    REFUSES(check, STPN_ERROR_STRUCT_SIZE, "cell", c.cell.struct_size -= 1);
    REFUSES(check, STPN_ERROR_STRUCT_SIZE, "cell", c.cell.struct_size += 8);
    REFUSES(check, STPN_ERROR_STRUCT_SIZE, "cell", c.cell.struct_size = SIZE_MAX);
    REFUSES(check, STPN_ERROR_OPTION, "cell", c.cell.cell = 0);
    REFUSES(check, STPN_ERROR_OPTION, "cell", c.cell.cell = 99);
    REFUSES(check, STPN_ERROR_OPTION, "dtype", c.cell.dtype = 0);
    REFUSES(check, STPN_ERROR_OPTION, "dtype", c.cell.dtype = -1);
    REFUSES(check, STPN_ERROR_SIZE, "input_size", c.cell.input_size = 0);
    REFUSES(check, STPN_ERROR_SIZE, "input_size", c.cell.input_size = -3);
    REFUSES(check, STPN_ERROR_SIZE, "hidden_size", c.cell.input_size = INT64_MAX);
    REFUSES(check, STPN_ERROR_SIZE, "input_size", c.cell.input_size = INT64_MIN);
    REFUSES(check, STPN_ERROR_SIZE, "hidden_size", c.cell.hidden_size = 0);
    REFUSES(check, STPN_ERROR_SIZE, "hidden_size", c.cell.hidden_size = -1);
    REFUSES(check, STPN_ERROR_SIZE, "hidden_size", c.cell.hidden_size = INT64_MAX);
    REFUSES(check, STPN_ERROR_SIZE, "hidden_size", c.cell.hidden_size = (int64_t)1 << 32);

    REFUSES(tape_size, STPN_ERROR_STRUCT_SIZE, "cell", c.cell.struct_size = 1);
    REFUSES(workspace_size, STPN_ERROR_OPTION, "cell", c.cell.cell = 5);
    REFUSES(forward, STPN_ERROR_OPTION, "dtype", c.cell.dtype = 3);
    REFUSES(backward, STPN_ERROR_SIZE, "input_size", c.cell.input_size = -1);
    REFUSES(step, STPN_ERROR_SIZE, "hidden_size", c.cell.hidden_size = 0);
}

static void refuse_runs(const problem *p)
{
    REFUSES(forward, STPN_ERROR_STRUCT_SIZE, "run", c.run.struct_size = 0);
    REFUSES(forward, STPN_ERROR_STRUCT_SIZE, "run", c.run.struct_size += 4);
    REFUSES(forward, STPN_ERROR_SIZE, "batch", c.run.batch = -1);
    REFUSES(forward, STPN_ERROR_SIZE, "batch", c.run.batch = INT64_MIN);
    REFUSES(forward, STPN_ERROR_SIZE, "batch", c.run.batch = INT64_MAX);
    REFUSES(forward, STPN_ERROR_SIZE, "batch", c.run.batch = (int64_t)1 << 60);
    REFUSES(forward, STPN_ERROR_SIZE, "time", c.run.time = -1);
    REFUSES(forward, STPN_ERROR_SIZE, "time", c.run.time = INT64_MAX);
    REFUSES(forward, STPN_ERROR_SIZE, "threads", c.run.threads = -1);
    REFUSES(forward, STPN_ERROR_IMPLEMENTATION, "implementation", c.run.implementation = -1);
    REFUSES(forward, STPN_ERROR_IMPLEMENTATION, "implementation", c.run.implementation = 77);
    REFUSES(backward, STPN_ERROR_STRUCT_SIZE, "run", c.run.struct_size = 0);
    REFUSES(backward, STPN_ERROR_SIZE, "batch", c.run.batch = -2);
    REFUSES(backward, STPN_ERROR_SIZE, "threads", c.run.threads = -1);
    REFUSES(step, STPN_ERROR_STRUCT_SIZE, "run", c.step_run.struct_size = 0);
    REFUSES(step, STPN_ERROR_SIZE, "time", c.step_run.time = 2);
    REFUSES(step, STPN_ERROR_SIZE, "time", c.step_run.time = 0);
    REFUSES(step, STPN_ERROR_SIZE, "batch", c.step_run.batch = -1);
    REFUSES(step, STPN_ERROR_IMPLEMENTATION, "implementation", c.step_run.implementation = 77);
    REFUSES(tape_size, STPN_ERROR_SIZE, "batch", c.run.batch = (int64_t)1 << 62);
    REFUSES(tape_size, STPN_ERROR_SIZE, "time", c.run.time = -7);
    REFUSES(workspace_size, STPN_ERROR_SIZE, "batch", c.run.batch = INT64_MAX);
    REFUSES(workspace_size, STPN_ERROR_IMPLEMENTATION, "implementation", c.run.implementation = 77);

    for (int32_t implementation = 1; stpn_implementation_name(implementation); implementation++)
        if (!stpn_implementation_available(implementation))
            REFUSES(forward, STPN_ERROR_IMPLEMENTATION, "implementation",
                    c.run.implementation = implementation);
}

/* Buffers. */

static void refuse_null(const problem *p)
{
    REFUSES(forward, STPN_ERROR_NULL, "y", c.forward.y = NULL);
    REFUSES(forward, STPN_ERROR_NULL, "x", c.forward.x = NULL);
    REFUSES(forward, STPN_ERROR_NULL, "parameters", c.forward.parameters = NULL);
    REFUSES(forward, STPN_ERROR_NULL, "workspace", c.forward.workspace = NULL);
    REFUSES(backward, STPN_ERROR_NULL, "tape", c.backward.tape = NULL);
    REFUSES(backward, STPN_ERROR_NULL, "workspace", c.backward.workspace = NULL);
    REFUSES(step, STPN_ERROR_NULL, "x", c.step.x = NULL);
    REFUSES(step, STPN_ERROR_NULL, "parameters", c.step.parameters = NULL);
    REFUSES(step, STPN_ERROR_NULL, "state", c.step.state = NULL);
    REFUSES(step, STPN_ERROR_NULL, "workspace", c.step.workspace = NULL);

    for (int32_t i = 0; i < stpn_parameter_count(&p->cell); i++) {
        const char *name = entry_of("parameters", parameter_of(&p->cell, i));
        REFUSES(forward, STPN_ERROR_NULL, name, c.parameters[i] = NULL);
        REFUSES(step, STPN_ERROR_NULL, name, c.parameters[i] = NULL);
    }
    for (int32_t i = 0; i < stpn_state_count(&p->cell); i++)
        REFUSES(step, STPN_ERROR_NULL, entry_of("state", state_of(&p->cell, i)), c.step_state[i] = NULL);
}

static void refuse_struct_sizes(const problem *p)
{
    REFUSES(forward, STPN_ERROR_STRUCT_SIZE, "buffers", c.forward.struct_size = 0);
    REFUSES(forward, STPN_ERROR_STRUCT_SIZE, "buffers", c.forward.struct_size -= 8);
    REFUSES(forward, STPN_ERROR_STRUCT_SIZE, "buffers", c.forward.struct_size += 8);
    REFUSES(backward, STPN_ERROR_STRUCT_SIZE, "buffers", c.backward.struct_size = sizeof(stpn_step_buffers));
    REFUSES(step, STPN_ERROR_STRUCT_SIZE, "buffers", c.step.struct_size = SIZE_MAX);
}

/* Structs of another version may be shorter: nothing behind their size is read. */
static void refuse_short_structs(const problem *p)
{
    static call c;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0)
        fatal("no page that may not be read");
    void *end = pages + page - sizeof(size_t);
    *(size_t *)end = sizeof(size_t);

    test_begin("structs that end where readable memory does are refused");
    call_open(&c, p, STPN_FLOAT32, STPN_BASELINE, 1);
    EXPECT(stpn_cell_check(end, NULL) == STPN_ERROR_STRUCT_SIZE, "cell");
    EXPECT(stpn_cell_set_number(end, "hidden_size", 3, NULL) == STPN_ERROR_STRUCT_SIZE, "cell, set");
    EXPECT(stpn_parameter_count(end) == -STPN_ERROR_STRUCT_SIZE, "cell, count");
    EXPECT(stpn_parameter(&c.cell, 0, end, NULL) == STPN_ERROR_STRUCT_SIZE, "array");
    EXPECT(stpn_tape_size(&c.cell, end, &bytes, NULL) == STPN_ERROR_STRUCT_SIZE, "run");
    EXPECT(stpn_forward(&c.cell, &c.run, end, NULL) == STPN_ERROR_STRUCT_SIZE, "forward");
    EXPECT(stpn_backward(&c.cell, &c.run, end, NULL) == STPN_ERROR_STRUCT_SIZE, "backward");
    EXPECT(stpn_step(&c.cell, &c.step_run, end, NULL) == STPN_ERROR_STRUCT_SIZE, "step");
    EXPECT(stpn_cell_check(&c.cell, end) == STPN_OK, "error");
    test_end();
    munmap(pages, 2 * page);
}

static void refuse_misaligned(const problem *p)
{
    REFUSES(forward, STPN_ERROR_ALIGNMENT, "y", c.forward.y = shifted(c.forward.y, 1));
    REFUSES(forward, STPN_ERROR_ALIGNMENT, "energy", c.forward.energy = shifted(c.forward.energy, 2));
    REFUSES(forward, STPN_ERROR_ALIGNMENT, "x", c.forward.x = shifted(c.forward.x, 2));
    REFUSES(forward, STPN_ERROR_ALIGNMENT, "tape", c.forward.tape = shifted(c.forward.tape, 4));
    REFUSES(backward, STPN_ERROR_ALIGNMENT, "grad_x", c.backward.grad_x = shifted(c.backward.grad_x, 1));
    REFUSES(backward, STPN_ERROR_ALIGNMENT, "grad_y", c.backward.grad_y = shifted(c.backward.grad_y, 1));
    REFUSES(backward, STPN_ERROR_ALIGNMENT, "tape", c.backward.tape = shifted(c.backward.tape, 4));
    REFUSES(step, STPN_ERROR_ALIGNMENT, "y", c.step.y = shifted(c.step.y, 1));
    REFUSES(step, STPN_ERROR_ALIGNMENT, "energy", c.step.energy = shifted(c.step.energy, 1));
    REFUSES(step, STPN_ERROR_ALIGNMENT, "x", c.step.x = shifted(c.step.x, 3));

    for (int32_t i = 0; i < stpn_parameter_count(&p->cell); i++) {
        stpn_array d = parameter_of(&p->cell, i);
        REFUSES(forward, STPN_ERROR_ALIGNMENT, entry_of("parameters", d),
                c.parameters[i] = shifted(c.parameters[i], 3));
        REFUSES(backward, STPN_ERROR_ALIGNMENT, entry_of("grad_parameters", d),
                c.grad_parameters[i] = shifted(c.grad_parameters[i], 1));
    }
    for (int32_t i = 0; i < stpn_state_count(&p->cell); i++) {
        stpn_array d = state_of(&p->cell, i);
        REFUSES(forward, STPN_ERROR_ALIGNMENT, entry_of("state", d), c.state[i] = shifted(c.state[i], 1));
        REFUSES(forward, STPN_ERROR_ALIGNMENT, entry_of("final_state", d),
                c.final_state[i] = shifted(c.final_state[i], 1));
        REFUSES(backward, STPN_ERROR_ALIGNMENT, entry_of("grad_final", d),
                c.grad_final[i] = shifted(c.grad_final[i], 1));
        REFUSES(backward, STPN_ERROR_ALIGNMENT, entry_of("grad_state", d),
                c.grad_state[i] = shifted(c.grad_state[i], 2));
        REFUSES(step, STPN_ERROR_ALIGNMENT, entry_of("state", d),
                c.step_state[i] = shifted(c.step_state[i], 1));
    }
}

/* Makes two neighbours among arrays of pointers one: that of the larger, so that nothing else is overlapped. */
static void join(void **pointers, stpn_array a, stpn_array b, int32_t second)
{
    if (array_size(&a) < array_size(&b))
        pointers[second - 1] = pointers[second];
    else
        pointers[second] = pointers[second - 1];
}

static void refuse_overlap(const problem *p)
{
    REFUSES(forward, STPN_ERROR_OVERLAP, "y", c.forward.x = c.forward.y);
    REFUSES(forward, STPN_ERROR_OVERLAP, "y", c.forward.x = shifted(c.forward.y, 4));
    REFUSES(forward, STPN_ERROR_OVERLAP, "y", c.parameters[1] = c.forward.y);
    REFUSES(forward, STPN_ERROR_OVERLAP, "y", c.forward.resets = shifted(c.forward.y, 1));
    REFUSES(forward, STPN_ERROR_OVERLAP, "y", c.forward.energy = c.forward.y);
    REFUSES(forward, STPN_ERROR_OVERLAP, "y", c.forward.workspace = c.forward.y);
    REFUSES(forward, STPN_ERROR_OVERLAP, "energy", c.forward.x = c.forward.energy);
    REFUSES(forward, STPN_ERROR_OVERLAP, "energy", c.parameters[1] = c.forward.energy);
    REFUSES(forward, STPN_ERROR_OVERLAP, "energy", c.forward.resets = shifted(c.forward.energy, 1));
    REFUSES(forward, STPN_ERROR_OVERLAP, "tape", share_forward_workspace(&c));
    REFUSES(backward, STPN_ERROR_OVERLAP, "grad_x", c.backward.grad_x = c.grad_parameters[0]);
    REFUSES(backward, STPN_ERROR_OVERLAP, "grad_x", c.backward.grad_y = c.backward.grad_x);
    REFUSES(backward, STPN_ERROR_OVERLAP, "workspace", share_workspace(&c));
    REFUSES(step, STPN_ERROR_OVERLAP, "y", c.step.y = c.step_state[0]);
    REFUSES(step, STPN_ERROR_OVERLAP, "y", c.step.x = c.step.y);
    REFUSES(step, STPN_ERROR_OVERLAP, "y", c.step.energy = c.step.y);
    REFUSES(step, STPN_ERROR_OVERLAP, "energy", c.step.x = c.step.energy);

    for (int32_t i = 1; i < stpn_parameter_count(&p->cell); i++) {
        stpn_array a = parameter_of(&p->cell, i - 1), b = parameter_of(&p->cell, i);
        REFUSES(backward, STPN_ERROR_OVERLAP, entry_of("grad_parameters", a), join(c.grad_parameters, a, b, i));
    }
    for (int32_t i = 0; i < stpn_state_count(&p->cell); i++) {
        stpn_array d = state_of(&p->cell, i);
        REFUSES(forward, STPN_ERROR_OVERLAP, entry_of("final_state", d),
                c.final_state[i] = shifted(c.state[i], 0));
        REFUSES(step, STPN_ERROR_OVERLAP, entry_of("state", d), c.step.energy = c.step_state[i]);
    }
    for (int32_t i = 1; i < stpn_state_count(&p->cell); i++) {
        stpn_array a = state_of(&p->cell, i - 1), b = state_of(&p->cell, i);
        REFUSES(forward, STPN_ERROR_OVERLAP, entry_of("final_state", a), join(c.final_state, a, b, i));
        REFUSES(backward, STPN_ERROR_OVERLAP, entry_of("grad_state", a), join(c.grad_state, a, b, i));
        REFUSES(step, STPN_ERROR_OVERLAP, entry_of("state", a), join(c.step_state, a, b, i));
    }
}

static void refuse_workspaces(const problem *p)
{
    REFUSES(forward, STPN_ERROR_WORKSPACE, "workspace_size", c.forward.workspace_size -= 1);
    REFUSES(forward, STPN_ERROR_WORKSPACE, "workspace_size", c.forward.workspace_size = 0);
    REFUSES(backward, STPN_ERROR_WORKSPACE, "workspace_size", c.backward.workspace_size -= 1);
    REFUSES(step, STPN_ERROR_WORKSPACE, "workspace_size", c.step.workspace_size -= 1);
}

/* A copy of the tape, and a workspace, with room to spare: what is refused then is what the tape says, not its size. */
static unsigned char *spacious_tape(call *c)
{
    enum { SPARE = 1 << 18 };
    unsigned char *tape = guarded("copy of tape", c->backward.tape_size + SPARE, 8);
    memcpy(tape, c->backward.tape, c->backward.tape_size);
    c->backward.tape = tape;
    c->backward.tape_size += SPARE;
    c->backward.workspace_size += SPARE;
    c->backward.workspace = guarded("workspace", c->backward.workspace_size, 1);
    return tape;
}

/* The cell of another text, of the same sizes and without the arrays that may be smaller than its own. */
static void make_other(call *c, const char *text)
{
    stpn_cell other = cell_of(text);
    other.dtype = c->cell.dtype;
    other.input_size = c->cell.input_size;
    other.hidden_size = c->cell.hidden_size;
    c->cell = other;
    c->backward.grad_parameters = NULL;
    c->backward.grad_state = NULL;
    c->backward.grad_final = NULL;
    spacious_tape(c);
}

static void refuse_tapes_of_others(const problem *p)
{
    static const char *const others[] = {
        "stpn clamp=1",
        "stpn bias=0",
        "stpn normalize=post",
        "hebbff forced=0",
        "fast_weights inner_steps=1",
        "fast_weights inner_steps=2 activation=relu",
        "modulated kind=modul addpw=2",
        "modulated kind=modul da=sig",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        REFUSES(backward, STPN_ERROR_TAPE, "tape", make_other(&c, others[i]));
    for (size_t i = 0; i < SOME_CELLS; i++)
        if (strcmp(some_cells[i], p->text) != 0)
            REFUSES(backward, STPN_ERROR_TAPE, "tape", make_other(&c, some_cells[i]));
    REFUSES(backward, STPN_ERROR_TAPE, "tape", spacious_tape(&c), c.cell.input_size -= 1);
    REFUSES(backward, STPN_ERROR_TAPE, "tape", spacious_tape(&c), c.cell.input_size = 4,
            c.cell.hidden_size = 3);
    REFUSES(backward, STPN_ERROR_TAPE, "tape", spacious_tape(&c), c.run.batch -= 1);
    REFUSES(backward, STPN_ERROR_TAPE, "tape", spacious_tape(&c), c.run.time -= 1);
    REFUSES(backward, STPN_ERROR_TAPE, "tape", spacious_tape(&c), c.run.batch = 3, c.run.time = 2);
    REFUSES(backward, STPN_ERROR_TAPE, "tape", spacious_tape(&c), c.run.implementation = STPN_PLAIN);
}

static void refuse_tapes(const problem *p)
{
    REFUSES(forward, STPN_ERROR_TAPE, "tape_size", c.forward.tape_size -= 1);
    REFUSES(forward, STPN_ERROR_TAPE, "tape_size", c.forward.tape_size = 0);
    REFUSES(backward, STPN_ERROR_TAPE, "tape_size", c.backward.tape_size -= 1);
    REFUSES(backward, STPN_ERROR_TAPE, "tape_size", c.backward.tape_size = 0);
    REFUSES(backward, STPN_ERROR_TAPE, "tape", memset(spacious_tape(&c), 0xFF, 64));
    REFUSES(backward, STPN_ERROR_TAPE, "tape", memset(spacious_tape(&c), 0, 64));
    REFUSES(backward, STPN_ERROR_TAPE, "tape", c.run.implementation = STPN_BEST,
            memset(spacious_tape(&c), 0xFF, 64));
    REFUSES(backward, STPN_ERROR_TAPE, "tape", c.run.implementation = STPN_BEST,
            memset(spacious_tape(&c), 0, 64));
    REFUSES(backward, STPN_ERROR_TAPE, "tape_size", c.run.implementation = STPN_BEST, c.backward.tape_size = 1);
}

/* Descriptions. */

#define REFUSED(status, argument, ...)                                                                       \
    do {                                                                                                     \
        stpn_error error = {.struct_size = sizeof error};                                                    \
        test_begin("%s: refused: %s", p->text, #__VA_ARGS__);                                                \
        cell = p->cell;                                                                                      \
        int32_t got = (__VA_ARGS__);                                                                         \
        EXPECT(got == (status), "%s, not %s", stpn_status_name(got), stpn_status_name(status));              \
        if (got != STPN_OK)                                                                                  \
            expect_sentence(&error, argument);                                                               \
        EXPECT(memcmp(&cell, &p->cell, sizeof cell) == 0, "the cell is changed");                            \
        test_end();                                                                                          \
    } while (0)

static void refuse_names(const problem *p)
{
    stpn_cell cell = p->cell;
    REFUSED(STPN_ERROR_NULL, "cell", stpn_cell_init(NULL, STPN_CELL_STPN, &error));
    REFUSED(STPN_ERROR_OPTION, "cell", stpn_cell_init(&cell, 0, &error));
    REFUSED(STPN_ERROR_OPTION, "cell", stpn_cell_init(&cell, 99, &error));
    REFUSED(STPN_ERROR_NULL, "cell", stpn_cell_init_named(NULL, "stpn", &error));
    REFUSED(STPN_ERROR_NULL, "name", stpn_cell_init_named(&cell, NULL, &error));
    REFUSED(STPN_ERROR_OPTION, "cell", stpn_cell_init_named(&cell, "lstm", &error));
    REFUSED(STPN_ERROR_OPTION, "cell", stpn_cell_init_named(&cell, "stp", &error));
    REFUSED(STPN_ERROR_OPTION, "cell", stpn_cell_init_named(&cell, "stpnr", &error));
    REFUSED(STPN_ERROR_NULL, "cell", stpn_cell_check(NULL, &error));

    REFUSED(STPN_ERROR_NULL, "cell", stpn_cell_set_name(NULL, "normalize", "pre", &error));
    REFUSED(STPN_ERROR_NULL, "option", stpn_cell_set_name(&cell, NULL, "pre", &error));
    REFUSED(STPN_ERROR_OPTION, "normalise", stpn_cell_set_name(&cell, "normalise", "pre", &error));

    REFUSED(STPN_ERROR_NULL, "cell", stpn_cell_set_number(NULL, "bias", 1, &error));
    REFUSED(STPN_ERROR_NULL, "option", stpn_cell_set_number(&cell, NULL, 1, &error));
    REFUSED(STPN_ERROR_OPTION, "learning_rate", stpn_cell_set_number(&cell, "learning_rate", 0.1, &error));
}

static void refuse_queries(const problem *p)
{
    stpn_cell cell = p->cell;
    stpn_array array = {.struct_size = sizeof array}, unsized = {.struct_size = 0};
    stpn_run run = {.struct_size = sizeof run, .batch = 2, .time = 3};
    size_t bytes;
    REFUSED(STPN_ERROR_NULL, "cell", stpn_parameter(NULL, 0, &array, &error));
    REFUSED(STPN_ERROR_NULL, "array", stpn_parameter(&cell, 0, NULL, &error));
    REFUSED(STPN_ERROR_STRUCT_SIZE, "array", stpn_parameter(&cell, 0, &unsized, &error));
    REFUSED(STPN_ERROR_SIZE, "index", stpn_parameter(&cell, -1, &array, &error));
    REFUSED(STPN_ERROR_SIZE, "index", stpn_parameter(&cell, stpn_parameter_count(&cell), &array, &error));
    REFUSED(STPN_ERROR_SIZE, "index", stpn_state(&cell, stpn_state_count(&cell), &array, &error));
    REFUSED(STPN_ERROR_SIZE, "index", stpn_state(&cell, INT32_MIN, &array, &error));
    REFUSED(STPN_ERROR_NULL, "run", stpn_tape_size(&cell, NULL, &bytes, &error));
    REFUSED(STPN_ERROR_NULL, "bytes", stpn_tape_size(&cell, &run, NULL, &error));
    REFUSED(STPN_ERROR_NULL, "bytes", stpn_workspace_size(&cell, &run, STPN_PASS_STEP, NULL, &error));
    REFUSED(STPN_ERROR_OPTION, "pass", stpn_workspace_size(&cell, &run, 0, &bytes, &error));
    REFUSED(STPN_ERROR_OPTION, "pass", stpn_workspace_size(&cell, &run, 4, &bytes, &error));
    REFUSED(STPN_ERROR_NULL, "buffers", stpn_forward(&cell, &run, NULL, &error));
    REFUSED(STPN_ERROR_NULL, "buffers", stpn_backward(&cell, &run, NULL, &error));
    run.time = 1;
    REFUSED(STPN_ERROR_NULL, "buffers", stpn_step(&cell, &run, NULL, &error));

    test_begin("the counts of an invalid description are minus its status");
    cell.dtype = 0;
    EXPECT(stpn_parameter_count(&cell) == -STPN_ERROR_OPTION, "%d", stpn_parameter_count(&cell));
    EXPECT(stpn_state_count(&cell) == -STPN_ERROR_OPTION, "%d", stpn_state_count(&cell));
    EXPECT(stpn_parameter_count(NULL) == -STPN_ERROR_NULL, "%d", stpn_parameter_count(NULL));
    test_end();
}

/* The error itself. */

static void test_errors(const problem *p)
{
    stpn_error error;
    static call c;

    test_begin("a call that succeeds leaves the error alone");
    memset(&error, 'z', sizeof error);
    error.struct_size = sizeof error;
    stpn_error before = error;
    EXPECT(stpn_cell_check(&p->cell, &error) == STPN_OK, "the cell is refused");
    EXPECT(memcmp(&before, &error, sizeof error) == 0, "it is changed");
    test_end();

    test_begin("an error of unknown size is not written, and the status is still the call's");
    memset(&error, 'z', sizeof error);
    error.struct_size = 1;
    before = error;
    stpn_cell cell = p->cell;
    cell.dtype = 0;
    EXPECT(stpn_cell_check(&cell, &error) != STPN_OK, "the cell is accepted");
    EXPECT(memcmp(&before, &error, sizeof error) == 0, "it is written");
    test_end();

    test_begin("a long name is cut, not overrun");
    char name[4096];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    struct {
        stpn_error error;
        unsigned char canary[64];
    } guardian = {.error = {.struct_size = sizeof guardian.error}};
    memset(guardian.canary, 0xA5, sizeof guardian.canary);
    cell = p->cell;
    EXPECT(stpn_cell_set_name(&cell, name, name, &guardian.error) == STPN_ERROR_OPTION, "accepted");
    EXPECT(memchr(guardian.error.argument, 0, sizeof guardian.error.argument) != NULL,
           "the argument has no end");
    EXPECT(memchr(guardian.error.message, 0, sizeof guardian.error.message) != NULL,
           "the message has no end");
    for (size_t i = 0; i < sizeof guardian.canary; i++)
        EXPECT(guardian.canary[i] == 0xA5, "written past its end");
    test_end();

    test_begin("a message says what was expected and what came");
    call_open(&c, p, STPN_FLOAT32, STPN_BASELINE, 1);
    c.forward.workspace_size = 17;
    EXPECT(stpn_forward(&c.cell, &c.run, &c.forward, &c.error) == STPN_ERROR_WORKSPACE, "accepted");
    EXPECT(strstr(c.error.message, "17") != NULL, "'%s' does not say what came", c.error.message);
    c.cell.hidden_size = -29;
    EXPECT(stpn_cell_check(&c.cell, &c.error) == STPN_ERROR_SIZE, "accepted");
    EXPECT(strstr(c.error.message, "-29") != NULL, "'%s' does not say what came", c.error.message);
    test_end();
}

void test_refusals(void)
{
    static void (*const tests[])(const problem *) = {
        refuse_cells,   refuse_runs,       refuse_null,          refuse_struct_sizes,    refuse_misaligned,
        refuse_overlap, refuse_workspaces, refuse_tapes,         refuse_tapes_of_others, refuse_names,
        refuse_queries, test_errors,       refuse_short_structs,
    };
    for (size_t c = 0; c < SOME_CELLS; c++) {
        problem p;
        problem_draw(&p, some_cells[c], (sizes){2, 3, 5, 4}, GIVEN_ALL, 11);
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
            tests[i](&p);
        problem_free(&p);
    }
}
