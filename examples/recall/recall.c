/* Trains short-term plasticity neurons to recall which of their inputs came first. */
#include <stdio.h>
#include <stdlib.h>

#include <stpn.h>

enum { B = 64, T = 6, I = 4, H = 12, STEPS = 300, MOST_PARAMETERS = 8 };
static const double RATE = 0.1;

static stpn_error error = {.struct_size = sizeof error};

static void check(int32_t status)
{
    if (status == STPN_OK)
        return;
    fprintf(stderr, "%s: %s\n", stpn_status_name(status), error.message);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* The same numbers in every language: uniform in [0, 1). */
static double uniform(void)
{
    static uint32_t seed = 1;
    seed = 1664525 * seed + 1013904223;
    return seed / 4294967296.0;
}

static stpn_cell make_cell(void)
{
    stpn_cell cell;
    check(stpn_cell_init_named(&cell, "stpn", &error));
    check(stpn_cell_set_name(&cell, "dtype", "float64", &error));
    cell.input_size = I;
    cell.hidden_size = H;
    check(stpn_cell_check(&cell, &error));
    return cell;
}

/* A refused call leaves its arguments as they were. */
static void show_refusal(stpn_cell *cell)
{
    int32_t status = stpn_cell_set_name(cell, "normalize", "sometimes", &error);
    if (status == STPN_OK) {
        fputs("a wrong option was accepted\n", stderr);
        exit(EXIT_FAILURE);
    }
    printf("refused: %s: %s\n", stpn_status_name(status), error.message);
}

/* The initial values of a parameter, as the library describes it, and how many they are. */
static double *make_parameter(const stpn_cell *cell, int32_t index, size_t *count)
{
    stpn_array array = {.struct_size = sizeof array};
    check(stpn_parameter(cell, index, &array, &error));
    *count = 1;
    for (int32_t axis = 0; axis < array.rank; axis++)
        *count *= (size_t)array.shape[axis];
    double *values = allocate(*count * sizeof *values);
    for (size_t i = 0; i < *count; i++)
        values[i] = array.low + (array.high - array.low) * uniform();
    return values;
}

/* The squared distance of the last activations of the first I neurons from the first input, and its gradient. */
static double loss(double x[B][T][I], double y[B][T][H], double grad_y[B][T][H])
{
    double sum = 0;
    for (int b = 0; b < B; b++)
        for (int i = 0; i < I; i++) {
            double difference = y[b][T - 1][i] - x[b][0][i];
            sum += difference * difference / B;
            grad_y[b][T - 1][i] = 2 * difference / B;
        }
    return sum;
}

int main(void)
{
    static double x[B][T][I], y[B][T][H], grad_y[B][T][H];
    stpn_cell cell = make_cell();
    show_refusal(&cell);

    double *parameters[MOST_PARAMETERS], *gradients[MOST_PARAMETERS];
    size_t counts[MOST_PARAMETERS];
    int32_t parameter_count = stpn_parameter_count(&cell);
    for (int32_t p = 0; p < parameter_count; p++) {
        parameters[p] = make_parameter(&cell, p, &counts[p]);
        gradients[p] = allocate(counts[p] * sizeof(double));
    }
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++)
            x[b][t][(int)(I * uniform())] = 1;

    stpn_run run = {.struct_size = sizeof run, .batch = B, .time = T};
    stpn_forward_buffers forward = {.struct_size = sizeof forward, .x = x, .y = y};
    stpn_backward_buffers backward = {.struct_size = sizeof backward, .grad_y = grad_y};
    forward.parameters = (const void *const *)parameters;
    backward.grad_parameters = (void *const *)gradients;
    check(stpn_tape_size(&cell, &run, &forward.tape_size, &error));
    check(stpn_workspace_size(&cell, &run, STPN_PASS_FORWARD, &forward.workspace_size, &error));
    check(stpn_workspace_size(&cell, &run, STPN_PASS_BACKWARD, &backward.workspace_size, &error));
    forward.tape = allocate(forward.tape_size);
    forward.workspace = allocate(forward.workspace_size);
    backward.tape = forward.tape;
    backward.tape_size = forward.tape_size;
    backward.workspace = allocate(backward.workspace_size);

    double first = 0, last = 0;
    for (int step = 0; step <= STEPS; step++) {
        check(stpn_forward(&cell, &run, &forward, &error));
        last = loss(x, y, grad_y);
        if (step == 0)
            first = last;
        if (step % 100 == 0)
            printf("step %3d   loss %.4f\n", step, last);
        check(stpn_backward(&cell, &run, &backward, &error));
        for (int32_t p = 0; p < parameter_count; p++)
            for (size_t i = 0; i < counts[p]; i++)
                parameters[p][i] -= RATE * gradients[p][i];
    }
    for (int32_t p = 0; p < parameter_count; p++) {
        free(parameters[p]);
        free(gradients[p]);
    }
    free(forward.tape);
    free(forward.workspace);
    free(backward.workspace);
    if (!(last < first / 10)) { /* not a number, too */
        fputs("the loss did not fall to a tenth\n", stderr);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
