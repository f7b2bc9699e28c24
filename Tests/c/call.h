/* call.h: a problem laid out for the library: guarded, poisoned buffers in one precision, and the structs that name
 * them. */
#ifndef CALL_H
#define CALL_H

#include "problem.h"

/* One buffer that forward or backward writes. */
typedef struct output {
    char key[64]; /* as in the problem */
    void *data;
    int64_t count;
} output;

typedef struct call {
    const problem *problem;
    stpn_cell cell;
    stpn_run run, step_run;
    stpn_error error;
    int32_t parameter_count, state_count;

    /* What the structs point to; for tests to change. */
    const void *parameters[MAX_ENTRIES], *state[MAX_ENTRIES], *grad_final[MAX_ENTRIES];
    void *final_state[MAX_ENTRIES], *grad_parameters[MAX_ENTRIES], *grad_state[MAX_ENTRIES],
        *step_state[MAX_ENTRIES];
    stpn_forward_buffers forward;
    stpn_backward_buffers backward;
    stpn_step_buffers step;
    void *step_x;

    output outputs[3 * MAX_ENTRIES]; /* of forward, y and energy first, then of backward */
    size_t forward_outputs, output_count;
} call;

/* Buffers are freed by test_end. A call may not be moved: its structs point into it. */
void call_open(call *c, const problem *p, int32_t dtype, int32_t implementation, int32_t threads);

/* These expect STPN_OK. */
void call_forward(call *c);
void call_backward(call *c);

/* The whole sequence by stpn_step, from the initial state; y, energy and final states go where call_forward puts
 * them. */
void call_steps(call *c);

/* Compare the outputs with the problem's arrays of the same keys, within the tolerance of golden/README.md. An output
 * without such an array is a failure, but for gradients of a state that was not given. */
void expect_forward(const call *c);
void expect_backward(const call *c);

/* Whether every output that can be compared so is within a share of that tolerance. */
bool call_is_within(const call *c, double share);

/* Expects every output to have the same bits in both. */
void expect_same_bits(const call *a, const call *b);
bool same_bits(const output *a, const output *b, int32_t dtype);

/* Expects an error to name the argument and to say more than its name, in a sentence without a full stop. */
void expect_sentence(const stpn_error *error, const char *argument);

size_t real_size(int32_t dtype);
double real_get(const void *data, int64_t index, int32_t dtype);
void real_set(void *data, int64_t index, int32_t dtype, double value);
const char *dtype_name(int32_t dtype);

#endif
