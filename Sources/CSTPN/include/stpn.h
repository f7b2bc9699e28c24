/* stpn.h: the C interface of stpn_swift, plastic recurrent cells with their gradients.
 *
 * How the header is ordered:
 *   versions · statuses and errors · a cell and its description · a call and its sizes ·
 *   forward, backward, step · threads and implementations
 *
 * A cell is described by an stpn_cell: which one, its sizes and its options. The library answers for the description:
 * which parameters and states it has, and of what shape. Parameters, states and their gradients then travel as arrays
 * of pointers in the order of these answers, so that a caller needs no list of names of its own.
 *
 * Sizes: B batch, T time, I input_size, H hidden_size, K width of the presynaptic vector, P width of its plastic part,
 * S inner steps.
 * Arrays are row-major and packed; "real" is float or double as stpn_cell.dtype says. Buffers need the natural alignment
 * of their elements, a tape that of 8 bytes, a workspace none.
 *
 * What holds for every function: no global error state, no printing, no abort; everything is checked before the first
 * byte is written; any number of threads may call at once, also with the same inputs. The same input gives the same
 * bits, whatever the number of threads. NaN and infinity flow through the arithmetic.
 *
 * Buffers, tapes and workspaces are the caller's. A call takes a few kilobytes besides, to check and describe, and frees
 * them; a process that the system refuses even these ends, as it does where a stack cannot grow.
 *
 * Link the static library with -lm -pthread. The equations are in docs/cells.md of the project.
 */
#ifndef STPN_H
#define STPN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Versions: compare the header's with the library's. */

#define STPN_VERSION_MAJOR 0
#define STPN_VERSION_MINOR 1
#define STPN_VERSION_PATCH 0
#define STPN_VERSION_NUMBER (STPN_VERSION_MAJOR * 10000 + STPN_VERSION_MINOR * 100 + STPN_VERSION_PATCH)
#define STPN_VERSION_STRING "0.1.0"

/* STPN_VERSION_NUMBER of the library that is loaded. */
int32_t stpn_version_number(void);

/* STPN_VERSION_STRING of the library that is loaded; static, never freed. */
const char *stpn_version_string(void);

/* Statuses and errors. */

/* What every call returns. The values are pinned; new ones go into the gaps. */
enum {
    STPN_OK = 0,
    STPN_ERROR_NULL = 10,          /* a pointer that may not be null is */
    STPN_ERROR_STRUCT_SIZE = 20,   /* struct_size is of no version that this library knows */
    STPN_ERROR_OPTION = 30,        /* an option is unknown, out of its range, or contradicts another */
    STPN_ERROR_SIZE = 40,          /* a size is negative or too large */
    STPN_ERROR_ALIGNMENT = 50,     /* a buffer is not aligned to its elements */
    STPN_ERROR_OVERLAP = 60,       /* a buffer that is written overlaps another one */
    STPN_ERROR_TAPE = 70,          /* the tape is too small, or of another cell or call */
    STPN_ERROR_WORKSPACE = 80,     /* the workspace is too small */
    STPN_ERROR_IMPLEMENTATION = 90 /* the implementation asked for is not there or not for this processor */
};

/* The name of a status ("STPN_ERROR_NULL"), or "unknown status"; static, never freed. */
const char *stpn_status_name(int32_t status);

/* Room for the sentence that goes with a status: which argument, what was expected, what came. Every function that can
 * fail takes a pointer to one as its last argument. It may be NULL; where it is not, a failing call writes argument and
 * message, and a call that succeeds, or finds another struct_size, leaves them alone. Both end with a zero byte. */
typedef struct stpn_error {
    size_t struct_size; /* in: sizeof(stpn_error) */
    char argument[48];  /* out: the name of the argument, "" where it is none in particular */
    char message[208];  /* out: one sentence without a full stop, the argument's name in front */
} stpn_error;

/* A cell and its description. */

/* stpn_cell.cell */
enum {
    STPN_CELL_STPN = 1,         /* short-term plasticity neurons, recurrent or feed-forward (cells.md section 1) */
    STPN_CELL_HEBBFF = 2,       /* feed-forward, anti-Hebbian (section 3) */
    STPN_CELL_FAST_WEIGHTS = 3, /* fast weights (section 4) */
    STPN_CELL_MODULATED = 4     /* neuromodulated plasticity (section 5) */
};

/* stpn_cell.dtype: the type of every real number of a cell */
enum { STPN_FLOAT32 = 1, STPN_FLOAT64 = 2 };

/* stpn_cell.plastic: the columns of W that have a short-term part F */
enum { STPN_PLASTIC_ALL = 1, STPN_PLASTIC_INPUT = 2, STPN_PLASTIC_HIDDEN = 3 };

/* stpn_cell.plasticity_shape: one decay and one learning rate per … */
enum { STPN_SHAPE_SYNAPSE = 1, STPN_SHAPE_NEURON = 2, STPN_SHAPE_PRESYNAPTIC = 3, STPN_SHAPE_SCALAR = 4 };

/* stpn_cell.normalize: what the norm n of G = W + F divides */
enum {
    STPN_NORMALIZE_NONE = 1,   /* nothing */
    STPN_NORMALIZE_OUTPUT = 2, /* the read */
    STPN_NORMALIZE_PRE = 3,    /* the read, and F before its update */
    STPN_NORMALIZE_POST = 4    /* the read, and F after its update (by the norm after it) */
};

/* stpn_cell.norm_axis: the norm of each neuron's row, or of the whole matrix of a sample */
enum { STPN_NORM_AXIS_NEURON = 1, STPN_NORM_AXIS_LAYER = 2 };

/* stpn_cell.decay: whether the decay applies to what a step adds as well ("prompt") */
enum { STPN_DECAY_STP = 1, STPN_DECAY_PROMPT = 2 };

/* stpn_cell.rule */
enum { STPN_RULE_HEBB = 1, STPN_RULE_OJA = 2 };

/* stpn_cell.presynaptic: the hidden activations that a step's update multiplies, h_{t-1} or h_t */
enum { STPN_PRESYNAPTIC_PREVIOUS = 1, STPN_PRESYNAPTIC_CURRENT = 2 };

/* stpn_cell.activation */
enum { STPN_ACTIVATION_TANH = 1, STPN_ACTIVATION_SIGMOID = 2, STPN_ACTIVATION_RELU = 3, STPN_ACTIVATION_IDENTITY = 4 };

/* stpn_cell.kind, of modulated cells: what a step adds to F, and what scales it */
enum {
    STPN_KIND_PLASTIC = 1,  /* the outer product, a learned constant */
    STPN_KIND_MODPLAST = 2, /* the outer product, the modulator */
    STPN_KIND_MODUL = 3     /* an eligibility trace, the modulator */
};

/* stpn_cell.da: the function that makes the modulator */
enum { STPN_DA_TANH = 1, STPN_DA_SIG = 2, STPN_DA_LIN = 3 };

/* A cell. Options have the names of cells.md; those that a kind of cell does not have are not read. */
typedef struct stpn_cell {
    size_t struct_size;       /* sizeof(stpn_cell) */
    int32_t cell;             /* STPN_CELL_… */
    int32_t dtype;            /* STPN_FLOAT32 or STPN_FLOAT64 */
    int64_t input_size;       /* I, 1 or more */
    int64_t hidden_size;      /* H, 1 or more */
                              /* STPN: */
    double clamp;             /* c: F is clipped to [-c, c]; 0 or more, INFINITY for no clip */
    int32_t recurrent;        /* 1: v = [x_t, h_{t-1}], K = I + H; 0: v = x_t, K = I. HebbFF: 0 */
    int32_t plastic;          /* STPN_PLASTIC_… */
    int32_t plasticity_shape; /* STPN_SHAPE_… */
    int32_t normalize;        /* STPN_NORMALIZE_… */
    int32_t norm_axis;        /* STPN_NORM_AXIS_… */
    int32_t norm_gain;        /* 1: a gain per neuron scales the norm, 0: none */
    int32_t decay;            /* STPN_DECAY_… */
    int32_t rule;             /* STPN_RULE_… */
    int32_t presynaptic;      /* STPN_PRESYNAPTIC_… */
    int32_t bias;             /* 1: with a bias, 0: without */
    int32_t plastic_bias;     /* 1: with a bias that has a short-term part, 0: without */
    int32_t layer_norm;       /* 1: with a layer norm before the activation, 0: without. Also of fast weights */
    int32_t activation;       /* STPN_ACTIVATION_…. Also of fast weights */
                              /* HebbFF: */
    int32_t forced;           /* 1: 0 < decay < 1 and a negative learning rate, whatever the parameters; 0: the raw ones */
                              /* Fast weights: */
    int32_t inner_steps;      /* S, 1 to 1024 */
                              /* Modulated: */
    int32_t kind;             /* STPN_KIND_… */
    int32_t addpw;            /* 0 to 3: how a step's M joins F (cells.md section 5) */
    int32_t da;               /* STPN_DA_… */
} stpn_cell;

/* Fills *cell with the defaults of a kind of cell (STPN_CELL_…) in float32, input_size and hidden_size 0: set these two
 * next. Sets cell->struct_size. */
int32_t stpn_cell_init(stpn_cell *cell, int32_t kind, stpn_error *error);

/* As stpn_cell_init, by the name of the cell: "stpn", "hebbff", "fast_weights", "modulated". */
int32_t stpn_cell_init_named(stpn_cell *cell, const char *name, stpn_error *error);

/* Sets an option by its name in cells.md to a value by its name there, for wrappers that pass options on:
 * ("normalize", "pre"), ("dtype", "float64"). A NULL value is "none": ("normalize", NULL), ("clamp", NULL). */
int32_t stpn_cell_set_name(stpn_cell *cell, const char *option, const char *value, stpn_error *error);

/* Sets an option by its name to a number: ("hidden_size", 11), ("clamp", 0.1), ("bias", 0),
 * ("addpw", 3). Flags are 0 or 1. */
int32_t stpn_cell_set_number(stpn_cell *cell, const char *option, double value, stpn_error *error);

/* STPN_OK if the description is complete and consistent. Every function below checks this first. */
int32_t stpn_cell_check(const stpn_cell *cell, stpn_error *error);

/* One parameter or state of a cell. */
typedef struct stpn_array {
    size_t struct_size; /* in: sizeof(stpn_array) */
    char name[32];      /* out: as in cells.md, "weight_lambda", "layer_norm.bias" */
    int32_t rank;       /* out: 0 to 3; 0 for a single number */
    int64_t shape[3];   /* out: sizes; of a state those of one sample, without B in front */
    double low, high;   /* out: initial values are uniform in [low, high), or low where both are equal */
} stpn_array;

/* How many parameters or states a cell has; negative: minus the status of an invalid description. */
int32_t stpn_parameter_count(const stpn_cell *cell);
int32_t stpn_state_count(const stpn_cell *cell);

/* Describes parameter or state number index (from 0) of a cell. */
int32_t stpn_parameter(const stpn_cell *cell, int32_t index, stpn_array *array, stpn_error *error);
int32_t stpn_state(const stpn_cell *cell, int32_t index, stpn_array *array, stpn_error *error);

/* A call and its sizes. */

/* stpn_run.implementation. They differ in the last bits: in the order of sums, and not all have fused multiply-add. */
enum {
    STPN_BEST = 0,      /* the fastest that this processor runs, or the one that STPN_ISA names */
    STPN_PLAIN = 1,     /* the equations written out plainly, one thread: the reference */
    STPN_BASELINE = 2,  /* for every processor of the architecture that the library is built for. On x86-64, where newer ones
                           have the next two, vectors for float32 alone: float64 is computed as by STPN_PLAIN */
    STPN_X86_64_V3 = 3, /* AVX2 and FMA, vectors of 256 bits */
    STPN_X86_64_V4 = 4  /* AVX-512, vectors of 512 bits */
};

typedef struct stpn_run {
    size_t struct_size;     /* sizeof(stpn_run) */
    int64_t batch;          /* B, 0 or more */
    int64_t time;           /* T, 0 or more; 1 for stpn_step */
    int32_t threads;        /* at most so many threads, and at most 1024; 0: stpn_get_num_threads() */
    int32_t implementation; /* STPN_BEST, … */
} stpn_run;

/* stpn_workspace_size's pass */
enum { STPN_PASS_FORWARD = 1, STPN_PASS_BACKWARD = 2, STPN_PASS_STEP = 3 };

/* *bytes: what stpn_forward needs as its tape. A tape holds the inputs, initial states and parameters of the call and a few
 * numbers for each step and neuron, not F: it does not grow with B·T·H·K. */
int32_t stpn_tape_size(const stpn_cell *cell, const stpn_run *run, size_t *bytes, stpn_error *error);

/* *bytes: the scratch memory that a pass needs. Its content before and after a call means nothing. */
int32_t stpn_workspace_size(const stpn_cell *cell, const stpn_run *run, int32_t pass, size_t *bytes, stpn_error *error);

/* Forward, backward, step. */

/* A whole sequence. No written buffer may overlap any other buffer; one without elements may be NULL. */
typedef struct stpn_forward_buffers {
    size_t struct_size;            /* sizeof(stpn_forward_buffers) */
    void *y;                       /* out   (B,T,H) real: the activations h_t; overwritten */
    void *const *final_state;      /* out   per state (B,shape) real: after step T; overwritten. The array or an entry may
                                            be NULL: not wanted */
    void *energy;                  /* out   (B,T,H) real: what each neuron uses in each step (cells.md section 2);
                                            overwritten; may be NULL: not wanted */
    const void *x;                 /* in    (B,T,I) real */
    const void *const *parameters; /* in    per parameter (shape) real; none may be NULL */
    const void *const *state;      /* in    per state (B,shape) real: before step 1. The array or an entry may be NULL: 0 */
    const uint8_t *resets;         /* in    (B,T): where not 0, every state of the sample is zeroed before that step;
                                            may be NULL: none */
    void *tape;                    /* out   tape_size bytes: what stpn_backward needs; may be NULL: no backward */
    size_t tape_size;              /*       at least stpn_tape_size() */
    void *workspace;               /* inout workspace_size bytes of scratch */
    size_t workspace_size;         /*       at least stpn_workspace_size(STPN_PASS_FORWARD) */
} stpn_forward_buffers;

int32_t stpn_forward(const stpn_cell *cell, const stpn_run *run, const stpn_forward_buffers *buffers, stpn_error *error);

/* Back-propagation through the whole sequence of the stpn_forward that wrote the tape. The tape holds all it needs: what
 * became of x, the parameters and the states since then does not matter, and the same tape may be used again. cell (every
 * field), batch, time and implementation must be those of the forward call. A tape may be moved in memory. */
typedef struct stpn_backward_buffers {
    size_t struct_size;            /* sizeof(stpn_backward_buffers) */
    void *grad_x;                  /* out   (B,T,I) real; overwritten; may be NULL: not wanted */
    void *const *grad_parameters;  /* out   per parameter (shape) real; overwritten. The array or an entry may be NULL */
    void *const *grad_state;       /* out   per state (B,shape) real: of the initial state; overwritten. The array or an
                                             entry may be NULL */
    const void *grad_y;            /* in    (B,T,H) real: gradient of the loss for y; may be NULL: 0 */
    const void *const *grad_final; /* in    per state (B,shape) real: for the final state. The array or an entry may be
                                             NULL: 0 */
    const void *tape;              /* in    as stpn_forward wrote it */
    size_t tape_size;
    void *workspace;       /* inout workspace_size bytes of scratch */
    size_t workspace_size; /*       at least stpn_workspace_size(STPN_PASS_BACKWARD) */
} stpn_backward_buffers;

int32_t stpn_backward(const stpn_cell *cell, const stpn_run *run, const stpn_backward_buffers *buffers, stpn_error *error);

/* One step without gradients, in place, for rollouts. No buffer may overlap another. */
typedef struct stpn_step_buffers {
    size_t struct_size;            /* sizeof(stpn_step_buffers) */
    void *y;                       /* out   (B,H) real: h_t; overwritten; may be NULL: not wanted */
    void *energy;                  /* out   (B,H) real, as in stpn_forward_buffers; may be NULL */
    void *const *state;            /* inout per state (B,shape) real; none may be NULL */
    const void *x;                 /* in    (B,I) real */
    const void *const *parameters; /* in    per parameter (shape) real; none may be NULL */
    void *workspace;               /* inout workspace_size bytes of scratch */
    size_t workspace_size;         /*       at least stpn_workspace_size(STPN_PASS_STEP) */
} stpn_step_buffers;

int32_t stpn_step(const stpn_cell *cell, const stpn_run *run, const stpn_step_buffers *buffers, stpn_error *error);

/* Threads and implementations. */

/* The number of threads of calls that leave stpn_run.threads at 0. At first STPN_NUM_THREADS from the environment where that
 * is a whole number from 1 (1024 if it is larger), else the number of processors that the process may use. */
int32_t stpn_get_num_threads(void);

/* threads: 1 to 1024. */
int32_t stpn_set_num_threads(int32_t threads, stpn_error *error);

/* The name of an implementation: "plain", "baseline", "x86-64-v3", …; NULL for a number that is none. Static. */
const char *stpn_implementation_name(int32_t implementation);

/* 1 if the library has this implementation and the processor runs it, else 0. */
int32_t stpn_implementation_available(int32_t implementation);

/* The implementation that STPN_BEST stands for. STPN_ISA in the environment, read once, names one ("x86-64-v3"); where it names none
 * that is available, calls with STPN_BEST fail with STPN_ERROR_IMPLEMENTATION, and this returns 0. */
int32_t stpn_best_implementation(void);

#ifdef __cplusplus
}
#endif

#endif
