/* Prints what programs that are compiled rely on: every function's type, every struct's size and the places of its
 * fields. Tests/c/abi.txt is what it must print on a 64-bit machine; docs/c.md says what may change when. */
#include <stdio.h>

#include "stpn.h"

#define FUNCTION(result, name, ...)                                                                          \
    _Static_assert(_Generic(&name, result (*)(__VA_ARGS__): 1, default: 0), #name " has another type");      \
    puts(#result " " #name "(" #__VA_ARGS__ ")")

#define STRUCT(name) printf("%s: %zu bytes\n", #name, sizeof(name))
#define FIELD(type, name) printf("%5zu %s: %zu\n", offsetof(type, name), #name, sizeof(((type *)0)->name))

static void functions(void)
{
    FUNCTION(int32_t, stpn_version_number, void);
    FUNCTION(const char *, stpn_version_string, void);
    FUNCTION(const char *, stpn_status_name, int32_t);
    FUNCTION(int32_t, stpn_cell_init, stpn_cell *, int32_t, stpn_error *);
    FUNCTION(int32_t, stpn_cell_init_named, stpn_cell *, const char *, stpn_error *);
    FUNCTION(int32_t, stpn_cell_set_name, stpn_cell *, const char *, const char *, stpn_error *);
    FUNCTION(int32_t, stpn_cell_set_number, stpn_cell *, const char *, double, stpn_error *);
    FUNCTION(int32_t, stpn_cell_check, const stpn_cell *, stpn_error *);
    FUNCTION(int32_t, stpn_parameter_count, const stpn_cell *);
    FUNCTION(int32_t, stpn_state_count, const stpn_cell *);
    FUNCTION(int32_t, stpn_parameter, const stpn_cell *, int32_t, stpn_array *, stpn_error *);
    FUNCTION(int32_t, stpn_state, const stpn_cell *, int32_t, stpn_array *, stpn_error *);
    FUNCTION(int32_t, stpn_tape_size, const stpn_cell *, const stpn_run *, size_t *, stpn_error *);
    FUNCTION(int32_t, stpn_workspace_size, const stpn_cell *, const stpn_run *, int32_t, size_t *,
             stpn_error *);
    FUNCTION(int32_t, stpn_forward, const stpn_cell *, const stpn_run *, const stpn_forward_buffers *,
             stpn_error *);
    FUNCTION(int32_t, stpn_backward, const stpn_cell *, const stpn_run *, const stpn_backward_buffers *,
             stpn_error *);
    FUNCTION(int32_t, stpn_step, const stpn_cell *, const stpn_run *, const stpn_step_buffers *, stpn_error *);
    FUNCTION(int32_t, stpn_get_num_threads, void);
    FUNCTION(int32_t, stpn_set_num_threads, int32_t, stpn_error *);
    FUNCTION(const char *, stpn_implementation_name, int32_t);
    FUNCTION(int32_t, stpn_implementation_available, int32_t);
    FUNCTION(int32_t, stpn_best_implementation, void);
}

static void descriptions(void)
{
    STRUCT(stpn_error);
    FIELD(stpn_error, struct_size);
    FIELD(stpn_error, argument);
    FIELD(stpn_error, message);

    STRUCT(stpn_cell);
    FIELD(stpn_cell, struct_size);
    FIELD(stpn_cell, cell);
    FIELD(stpn_cell, dtype);
    FIELD(stpn_cell, input_size);
    FIELD(stpn_cell, hidden_size);
    FIELD(stpn_cell, clamp);
    FIELD(stpn_cell, recurrent);
    FIELD(stpn_cell, plastic);
    FIELD(stpn_cell, plasticity_shape);
    FIELD(stpn_cell, normalize);
    FIELD(stpn_cell, norm_axis);
    FIELD(stpn_cell, norm_gain);
    FIELD(stpn_cell, decay);
    FIELD(stpn_cell, rule);
    FIELD(stpn_cell, presynaptic);
    FIELD(stpn_cell, bias);
    FIELD(stpn_cell, plastic_bias);
    FIELD(stpn_cell, layer_norm);
    FIELD(stpn_cell, activation);
    FIELD(stpn_cell, forced);
    FIELD(stpn_cell, inner_steps);
    FIELD(stpn_cell, kind);
    FIELD(stpn_cell, addpw);
    FIELD(stpn_cell, da);

    STRUCT(stpn_array);
    FIELD(stpn_array, struct_size);
    FIELD(stpn_array, name);
    FIELD(stpn_array, rank);
    FIELD(stpn_array, shape);
    FIELD(stpn_array, low);
    FIELD(stpn_array, high);

    STRUCT(stpn_run);
    FIELD(stpn_run, struct_size);
    FIELD(stpn_run, batch);
    FIELD(stpn_run, time);
    FIELD(stpn_run, threads);
    FIELD(stpn_run, implementation);
}

static void buffers(void)
{
    STRUCT(stpn_forward_buffers);
    FIELD(stpn_forward_buffers, struct_size);
    FIELD(stpn_forward_buffers, y);
    FIELD(stpn_forward_buffers, final_state);
    FIELD(stpn_forward_buffers, energy);
    FIELD(stpn_forward_buffers, x);
    FIELD(stpn_forward_buffers, parameters);
    FIELD(stpn_forward_buffers, state);
    FIELD(stpn_forward_buffers, resets);
    FIELD(stpn_forward_buffers, tape);
    FIELD(stpn_forward_buffers, tape_size);
    FIELD(stpn_forward_buffers, workspace);
    FIELD(stpn_forward_buffers, workspace_size);

    STRUCT(stpn_backward_buffers);
    FIELD(stpn_backward_buffers, struct_size);
    FIELD(stpn_backward_buffers, grad_x);
    FIELD(stpn_backward_buffers, grad_parameters);
    FIELD(stpn_backward_buffers, grad_state);
    FIELD(stpn_backward_buffers, grad_y);
    FIELD(stpn_backward_buffers, grad_final);
    FIELD(stpn_backward_buffers, tape);
    FIELD(stpn_backward_buffers, tape_size);
    FIELD(stpn_backward_buffers, workspace);
    FIELD(stpn_backward_buffers, workspace_size);

    STRUCT(stpn_step_buffers);
    FIELD(stpn_step_buffers, struct_size);
    FIELD(stpn_step_buffers, y);
    FIELD(stpn_step_buffers, energy);
    FIELD(stpn_step_buffers, state);
    FIELD(stpn_step_buffers, x);
    FIELD(stpn_step_buffers, parameters);
    FIELD(stpn_step_buffers, workspace);
    FIELD(stpn_step_buffers, workspace_size);
}

int main(void)
{
    functions();
    descriptions();
    buffers();
    return 0;
}
