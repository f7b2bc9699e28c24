// Trains short-term plasticity neurons to recall which of their inputs came first.
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <stpn.h>

namespace
{

using Numbers = std::vector<double>;

constexpr std::size_t B = 64, T = 6, I = 4, H = 12;
constexpr int steps = 300;
constexpr double rate = 0.1;

// A struct of stpn.h with its size filled in.
template <typename Struct> Struct sized()
{
    Struct value{};
    value.struct_size = sizeof value;
    return value;
}

stpn_error error = sized<stpn_error>();

void check(int32_t status)
{
    if (status != STPN_OK)
        throw std::runtime_error(std::string(stpn_status_name(status)) + ": " + error.message);
}

// A refused call leaves its arguments as they were.
void show_refusal(stpn_cell &cell)
{
    try {
        check(stpn_cell_set_name(&cell, "normalize", "sometimes", &error));
    } catch (const std::runtime_error &refusal) {
        std::printf("refused: %s\n", refusal.what());
        return;
    }
    throw std::logic_error("a wrong option was accepted");
}

// The same numbers in every language: uniform in [0, 1).
double uniform()
{
    static uint32_t seed = 1;
    seed = 1664525 * seed + 1013904223;
    return seed / 4294967296.0;
}

// The initial values of every parameter, as the library describes it.
std::vector<Numbers> make_parameters(const stpn_cell &cell)
{
    std::vector<Numbers> parameters(static_cast<std::size_t>(stpn_parameter_count(&cell)));
    int32_t index = 0;
    for (Numbers &parameter : parameters) {
        auto array = sized<stpn_array>();
        check(stpn_parameter(&cell, index++, &array, &error));
        std::size_t count = 1;
        for (int32_t axis = 0; axis < array.rank; axis++)
            count *= static_cast<std::size_t>(array.shape[axis]);
        for (std::size_t i = 0; i < count; i++)
            parameter.push_back(array.low + (array.high - array.low) * uniform());
    }
    return parameters;
}

std::vector<void *> pointers(std::vector<Numbers> &arrays)
{
    std::vector<void *> result;
    for (Numbers &array : arrays)
        result.push_back(array.data());
    return result;
}

// The squared distance of the last activations of the first I neurons from the first input, and its gradient.
double loss(const Numbers &x, const Numbers &y, Numbers &grad_y)
{
    double sum = 0;
    for (std::size_t b = 0; b < B; b++)
        for (std::size_t i = 0; i < I; i++) {
            const std::size_t last = (b * T + T - 1) * H + i;
            const double difference = y[last] - x[b * T * I + i];
            sum += difference * difference / B;
            grad_y[last] = 2 * difference / B;
        }
    return sum;
}

void train()
{
    stpn_cell cell;
    check(stpn_cell_init(&cell, STPN_CELL_STPN, &error));
    cell.dtype = STPN_FLOAT64;
    cell.input_size = I;
    cell.hidden_size = H;
    check(stpn_cell_check(&cell, &error));
    show_refusal(cell);

    std::vector<Numbers> parameters = make_parameters(cell), gradients = parameters;
    const std::vector<void *> parameter_list = pointers(parameters), gradient_list = pointers(gradients);
    Numbers x(B * T * I), y(B * T * H), grad_y(B * T * H);
    for (std::size_t row = 0; row < B * T; row++)
        x[row * I + static_cast<std::size_t>(I * uniform())] = 1;

    auto run = sized<stpn_run>();
    run.batch = B;
    run.time = T;
    auto forward = sized<stpn_forward_buffers>();
    auto backward = sized<stpn_backward_buffers>();
    check(stpn_tape_size(&cell, &run, &forward.tape_size, &error));
    check(stpn_workspace_size(&cell, &run, STPN_PASS_FORWARD, &forward.workspace_size, &error));
    check(stpn_workspace_size(&cell, &run, STPN_PASS_BACKWARD, &backward.workspace_size, &error));
    std::vector<uint64_t> tape(forward.tape_size / sizeof(uint64_t) + 1);
    std::vector<char> forward_workspace(forward.workspace_size), backward_workspace(backward.workspace_size);

    forward.x = x.data();
    forward.y = y.data();
    forward.parameters = parameter_list.data();
    forward.tape = tape.data();
    forward.workspace = forward_workspace.data();
    backward.grad_y = grad_y.data();
    backward.grad_parameters = gradient_list.data();
    backward.tape = tape.data();
    backward.tape_size = forward.tape_size;
    backward.workspace = backward_workspace.data();

    double first = 0, last = 0;
    for (int step = 0; step <= steps; step++) {
        check(stpn_forward(&cell, &run, &forward, &error));
        last = loss(x, y, grad_y);
        if (step == 0)
            first = last;
        if (step % 100 == 0)
            std::printf("step %3d   loss %.4f\n", step, last);
        check(stpn_backward(&cell, &run, &backward, &error));
        for (std::size_t p = 0; p < parameters.size(); p++)
            for (std::size_t i = 0; i < parameters[p].size(); i++)
                parameters[p][i] -= rate * gradients[p][i];
    }
    if (!(last < first / 10)) // not a number, too
        throw std::runtime_error("the loss did not fall to a tenth");
}

} // namespace

int main()
{
    try {
        train();
        return 0;
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}
