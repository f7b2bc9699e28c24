/* calls.c: the calls of a cell. Each collects its arguments and releases the GIL around the kernel. */
#include "arguments.h"
#include "cell.h"
#include "errors.h"
#include "pages.h"

static Element real(const CellObject *self)
{
    return self->cell.dtype == STPN_FLOAT32 ? ELEMENT_FLOAT32 : ELEMENT_FLOAT64;
}

static Shape sequence_shape(int64_t batch, int64_t time, int64_t width)
{
    return (Shape){.rank = 3, .sizes = {batch, time, width}};
}

static Shape step_shape(int64_t batch, int64_t width) { return (Shape){.rank = 2, .sizes = {batch, width}}; }

static Label label(const char *name) { return (Label){name, NULL}; }

/* Scratch memory for a pass, which lives as long as the arguments. Refuses sizes that the kernel refuses. */
static int take_memory(Arguments *held, const CellObject *self, const stpn_run *run, int32_t pass,
                       void **memory, size_t *size)
{
    stpn_error error = {.struct_size = sizeof error};
    int32_t status = stpn_workspace_size(&self->cell, run, pass, size, &error);
    if (status != STPN_OK) {
        raise_status(status, &error);
        return -1;
    }
    *memory = held->workspace = PyMem_Malloc(*size);
    if (!*memory) {
        PyErr_NoMemory();
        return -1;
    }
    prefer_large_pages(*memory, *size);
    return 0;
}

static int same_run(const stpn_run *a, const stpn_run *b)
{
    return a->batch == b->batch && a->time == b->time && a->threads == b->threads &&
           a->implementation == b->implementation;
}

/* A step takes so little time that measuring and allocating its memory would be much of it. */
static int take_step_memory(Arguments *held, CellObject *self, const stpn_run *run, void **memory, size_t *size)
{
    Spare *spare = &self->spare;
    if (!spare->memory || !same_run(&spare->run, run))
        return take_memory(held, self, run, STPN_PASS_STEP, memory, size);
    *memory = held->workspace = spare->memory;
    *size = spare->size;
    spare->memory = NULL;
    return 0;
}

static void keep_step_memory(Arguments *held, CellObject *self, const stpn_run *run, size_t size)
{
    if (!held->workspace)
        return;
    PyMem_Free(self->spare.memory);
    self->spare = (Spare){.run = *run, .memory = held->workspace, .size = size};
    held->workspace = NULL;
}

/* The default is looked up once for a call, whose workspace depends on it. */
static int take_threads(PyObject *argument, stpn_run *run)
{
    if (take_int32(argument, "threads", &run->threads) < 0)
        return -1;
    if (run->threads == 0)
        run->threads = stpn_get_num_threads();
    return 0;
}

static PyObject *none_or_raise(int32_t status, const stpn_error *error)
{
    return status == STPN_OK ? Py_NewRef(Py_None) : raise_status(status, error);
}

/* A tape's length is known with the array alone. */
static int take_tape(Arguments *held, PyObject *object, Access access, Presence presence, void **tape,
                     size_t *size)
{
    Shape shape = {.rank = 1, .sizes = {ANY_LENGTH}};
    if (take_array(held, object, label("tape"), ELEMENT_BYTE, &shape, access, presence, tape) < 0)
        return -1;
    *size = *tape ? (size_t)shape.sizes[0] : 0;
    return 0;
}

/* Checks an input whose leading sizes are free; they are in *shape then. */
static int look(const CellObject *self, PyObject *object, const char *name, Shape *shape)
{
    Arguments held;
    void *ignored;
    arguments_init(&held);
    int taken = take_array(&held, object, label(name), real(self), shape, LOOK, REQUIRED, &ignored);
    arguments_release(&held);
    return taken;
}

PyObject *cell_sequence_sizes(CellObject *self, PyObject *x)
{
    Shape shape = sequence_shape(ANY_BATCH, ANY_TIME, self->cell.input_size);
    if (look(self, x, "x", &shape) < 0)
        return NULL;
    return Py_BuildValue("LL", (long long)shape.sizes[0], (long long)shape.sizes[1]);
}

PyObject *cell_step_size(CellObject *self, PyObject *x_t)
{
    Shape shape = step_shape(ANY_BATCH, self->cell.input_size);
    return look(self, x_t, "x_t", &shape) < 0 ? NULL : PyLong_FromLongLong(shape.sizes[0]);
}

PyObject *cell_state_shapes(CellObject *self, PyObject *argument)
{
    stpn_run run = {.struct_size = sizeof run, .time = 1};
    if (take_int64(argument, "batch", &run.batch) < 0)
        return NULL;
    stpn_error error = {.struct_size = sizeof error};
    size_t ignored;
    int32_t status = stpn_workspace_size(&self->cell, &run, STPN_PASS_STEP, &ignored, &error);
    return status == STPN_OK ? array_list_shapes(&self->states, run.batch) : raise_status(status, &error);
}

PyObject *cell_tape_size(CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    enum { BATCH, TIME, IMPLEMENTATION, COUNT };
    stpn_run run = {.struct_size = sizeof run};
    if (take_count("tape_size", count, COUNT) < 0 || take_int64(args[BATCH], "batch", &run.batch) < 0 ||
        take_int64(args[TIME], "time", &run.time) < 0 ||
        take_implementation(args[IMPLEMENTATION], &run.implementation) < 0)
        return NULL;
    stpn_error error = {.struct_size = sizeof error};
    size_t size;
    int32_t status = stpn_tape_size(&self->cell, &run, &size, &error);
    return status == STPN_OK ? PyLong_FromSize_t(size) : raise_status(status, &error);
}

typedef struct {
    Arguments held;
    stpn_run run;
    stpn_forward_buffers buffers;
    void *final_state[MAX_ARRAYS];
    void *parameters[MAX_ARRAYS];
    void *state[MAX_ARRAYS];
} Forward;

static int forward_take(Forward *call, const CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    enum { Y, FINAL_STATE, ENERGY, X, PARAMS, STATE, RESETS, TAPE, THREADS, IMPLEMENTATION, COUNT };
    Arguments *held = &call->held;
    stpn_run *run = &call->run;
    stpn_forward_buffers *buffers = &call->buffers;
    Element element = real(self);
    Shape x_shape = sequence_shape(ANY_BATCH, ANY_TIME, self->cell.input_size);
    void *x, *resets;
    if (take_count("forward", count, COUNT) < 0 || take_threads(args[THREADS], run) < 0 ||
        take_implementation(args[IMPLEMENTATION], &run->implementation) < 0 ||
        take_array(held, args[X], label("x"), element, &x_shape, INPUT, REQUIRED, &x) < 0)
        return -1;
    int64_t B = run->batch = x_shape.sizes[0];
    int64_t T = run->time = x_shape.sizes[1];
    Shape y_shape = sequence_shape(B, T, self->cell.hidden_size);
    Shape resets_shape = step_shape(B, T);
    if (take_dict(held, args[STATE], "state", &self->states, B, element, INPUT, OPTIONAL, call->state) < 0 ||
        take_array(held, args[RESETS], label("resets"), ELEMENT_FLAG, &resets_shape, INPUT, OPTIONAL,
                   &resets) < 0 ||
        take_dict(held, args[PARAMS], "params", &self->parameters, NO_BATCH, element, INPUT, REQUIRED,
                  call->parameters) < 0 ||
        take_array(held, args[Y], label("y"), element, &y_shape, OUTPUT, REQUIRED, &buffers->y) < 0 ||
        take_dict(held, args[FINAL_STATE], "final_state", &self->states, B, element, OUTPUT, PARTIAL,
                  call->final_state) < 0 ||
        take_array(held, args[ENERGY], label("energy"), element, &y_shape, OUTPUT, OPTIONAL,
                   &buffers->energy) < 0 ||
        take_tape(held, args[TAPE], OUTPUT, OPTIONAL, &buffers->tape, &buffers->tape_size) < 0 ||
        take_memory(held, self, run, STPN_PASS_FORWARD, &buffers->workspace, &buffers->workspace_size) < 0)
        return -1;
    buffers->final_state = call->final_state;
    buffers->x = x;
    buffers->parameters = (const void *const *)call->parameters;
    buffers->state = (const void *const *)call->state;
    buffers->resets = resets;
    return 0;
}

PyObject *cell_forward(CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    Forward call;
    arguments_init(&call.held);
    call.run = (stpn_run){.struct_size = sizeof call.run};
    call.buffers = (stpn_forward_buffers){.struct_size = sizeof call.buffers};
    PyObject *result = NULL;
    if (forward_take(&call, self, args, count) == 0) {
        stpn_error error = {.struct_size = sizeof error};
        int32_t status;
        Py_BEGIN_ALLOW_THREADS status = stpn_forward(&self->cell, &call.run, &call.buffers, &error);
        Py_END_ALLOW_THREADS result = none_or_raise(status, &error);
    }
    arguments_release(&call.held);
    return result;
}

typedef struct {
    Arguments held;
    stpn_run run;
    stpn_backward_buffers buffers;
    void *grad_parameters[MAX_ARRAYS];
    void *grad_state[MAX_ARRAYS];
    void *grad_final[MAX_ARRAYS];
} Backward;

static int backward_take(Backward *call, const CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    enum {
        GRAD_X,
        GRAD_PARAMS,
        GRAD_STATE,
        GRAD_Y,
        GRAD_FINAL,
        TAPE,
        BATCH,
        TIME,
        THREADS,
        IMPLEMENTATION,
        COUNT
    };
    Arguments *held = &call->held;
    stpn_run *run = &call->run;
    stpn_backward_buffers *buffers = &call->buffers;
    Element element = real(self);
    void *grad_y, *tape;
    if (take_count("backward", count, COUNT) < 0 || take_threads(args[THREADS], run) < 0 ||
        take_implementation(args[IMPLEMENTATION], &run->implementation) < 0 ||
        take_int64(args[BATCH], "batch", &run->batch) < 0 || take_int64(args[TIME], "time", &run->time) < 0)
        return -1;
    if (take_memory(held, self, run, STPN_PASS_BACKWARD, &buffers->workspace, &buffers->workspace_size) < 0)
        return -1;
    int64_t B = run->batch;
    int64_t T = run->time;
    Shape x_shape = sequence_shape(B, T, self->cell.input_size);
    Shape y_shape = sequence_shape(B, T, self->cell.hidden_size);
    if (take_tape(held, args[TAPE], INPUT, REQUIRED, &tape, &buffers->tape_size) < 0 ||
        take_array(held, args[GRAD_Y], label("grad_y"), element, &y_shape, INPUT, OPTIONAL, &grad_y) < 0 ||
        take_dict(held, args[GRAD_FINAL], "grad_state", &self->states, B, element, INPUT, PARTIAL,
                  call->grad_final) < 0 ||
        take_array(held, args[GRAD_X], label("grads.x"), element, &x_shape, OUTPUT, OPTIONAL,
                   &buffers->grad_x) < 0 ||
        take_dict(held, args[GRAD_PARAMS], "grads.params", &self->parameters, NO_BATCH, element, OUTPUT,
                  PARTIAL, call->grad_parameters) < 0 ||
        take_dict(held, args[GRAD_STATE], "grads.state", &self->states, B, element, OUTPUT, PARTIAL,
                  call->grad_state) < 0)
        return -1;
    buffers->grad_parameters = call->grad_parameters;
    buffers->grad_state = call->grad_state;
    buffers->grad_y = grad_y;
    buffers->grad_final = (const void *const *)call->grad_final;
    buffers->tape = tape;
    return 0;
}

PyObject *cell_backward(CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    Backward call;
    arguments_init(&call.held);
    call.run = (stpn_run){.struct_size = sizeof call.run};
    call.buffers = (stpn_backward_buffers){.struct_size = sizeof call.buffers};
    PyObject *result = NULL;
    if (backward_take(&call, self, args, count) == 0) {
        stpn_error error = {.struct_size = sizeof error};
        int32_t status;
        Py_BEGIN_ALLOW_THREADS status = stpn_backward(&self->cell, &call.run, &call.buffers, &error);
        Py_END_ALLOW_THREADS result = none_or_raise(status, &error);
    }
    arguments_release(&call.held);
    return result;
}

typedef struct {
    Arguments held;
    stpn_run run;
    stpn_step_buffers buffers;
    void *state[MAX_ARRAYS];
    void *parameters[MAX_ARRAYS];
} Step;

static int step_take(Step *call, CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    enum { Y, STATE, ENERGY, X, PARAMS, THREADS, IMPLEMENTATION, COUNT };
    Arguments *held = &call->held;
    stpn_run *run = &call->run;
    stpn_step_buffers *buffers = &call->buffers;
    Element element = real(self);
    Shape x_shape = step_shape(ANY_BATCH, self->cell.input_size);
    void *x;
    if (take_count("step", count, COUNT) < 0 || take_threads(args[THREADS], run) < 0 ||
        take_implementation(args[IMPLEMENTATION], &run->implementation) < 0 ||
        take_array(held, args[X], label("x_t"), element, &x_shape, INPUT, REQUIRED, &x) < 0)
        return -1;
    int64_t B = run->batch = x_shape.sizes[0];
    Shape y_shape = step_shape(B, self->cell.hidden_size);
    if (take_dict(held, args[STATE], "state", &self->states, B, element, OUTPUT, REQUIRED, call->state) < 0 ||
        take_dict(held, args[PARAMS], "params", &self->parameters, NO_BATCH, element, INPUT, REQUIRED,
                  call->parameters) < 0 ||
        take_array(held, args[Y], label("out"), element, &y_shape, OUTPUT, OPTIONAL, &buffers->y) < 0 ||
        take_array(held, args[ENERGY], label("energy"), element, &y_shape, OUTPUT, OPTIONAL,
                   &buffers->energy) < 0 ||
        take_step_memory(held, self, run, &buffers->workspace, &buffers->workspace_size) < 0)
        return -1;
    buffers->state = call->state;
    buffers->x = x;
    buffers->parameters = (const void *const *)call->parameters;
    return 0;
}

PyObject *cell_step(CellObject *self, PyObject *const *args, Py_ssize_t count)
{
    Step call;
    arguments_init(&call.held);
    call.run = (stpn_run){.struct_size = sizeof call.run, .time = 1};
    call.buffers = (stpn_step_buffers){.struct_size = sizeof call.buffers};
    PyObject *result = NULL;
    if (step_take(&call, self, args, count) == 0) {
        stpn_error error = {.struct_size = sizeof error};
        int32_t status;
        Py_BEGIN_ALLOW_THREADS status = stpn_step(&self->cell, &call.run, &call.buffers, &error);
        Py_END_ALLOW_THREADS result = none_or_raise(status, &error);
        keep_step_memory(&call.held, self, &call.run, call.buffers.workspace_size);
    }
    arguments_release(&call.held);
    return result;
}
