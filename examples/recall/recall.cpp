// Trains short-term plasticity neurons to recall which of their inputs came first.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <stpn.h>

namespace
{

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

// The same numbers in every language: uniform in [0, 1).
double uniform()
{
    static uint32_t seed = 1;
    seed = 1664525 * seed + 1013904223;
    return seed / 4294967296.0;
}

// Parameters, or their gradients: an array each, and the pointers to them that the library takes.
struct Arrays {
    std::vector<std::vector<double>> values;
    std::vector<void *> pointers;

    void add(std::vector<double> array)
    {
        values.push_back(std::move(array));
        pointers.push_back(values.back().data());
    }
};

class Cell
{
  public:
    Cell()
    {
        check(stpn_cell_init_named(&cell, "stpn", &error));
        set("dtype", "float64");
        cell.input_size = I;
        cell.hidden_size = H;
        for (int32_t p = 0; p < stpn_parameter_count(&cell); p++) {
            auto array = sized<stpn_array>();
            check(stpn_parameter(&cell, p, &array, &error));
            std::size_t count = 1;
            for (int32_t axis = 0; axis < array.rank; axis++)
                count *= static_cast<std::size_t>(array.shape[axis]);
            std::vector<double> values(count);
            for (double &value : values)
                value = array.low + (array.high - array.low) * uniform();
            parameters.add(std::move(values));
            gradients.add(std::vector<double>(count));
        }

        run.batch = B;
        run.time = T;
        std::size_t tape_size, forward_size, backward_size;
        check(stpn_tape_size(&cell, &run, &tape_size, &error));
        check(stpn_workspace_size(&cell, &run, STPN_PASS_FORWARD, &forward_size, &error));
        check(stpn_workspace_size(&cell, &run, STPN_PASS_BACKWARD, &backward_size, &error));
        tape.resize(tape_size / sizeof(double) + 1);
        workspace.resize(std::max(forward_size, backward_size));
    }

    void set(const char *option, const char *value)
    {
        check(stpn_cell_set_name(&cell, option, value, &error));
    }

    void forward(const std::vector<double> &x, std::vector<double> &y)
    {
        auto buffers = sized<stpn_forward_buffers>();
        buffers.x = x.data();
        buffers.y = y.data();
        buffers.parameters = parameters.pointers.data();
        lend_memory(buffers);
        check(stpn_forward(&cell, &run, &buffers, &error));
    }

    void backward(const std::vector<double> &grad_y)
    {
        auto buffers = sized<stpn_backward_buffers>();
        buffers.grad_y = grad_y.data();
        buffers.grad_parameters = gradients.pointers.data();
        lend_memory(buffers);
        check(stpn_backward(&cell, &run, &buffers, &error));
    }

    void descend()
    {
        for (std::size_t p = 0; p < parameters.values.size(); p++)
            for (std::size_t i = 0; i < parameters.values[p].size(); i++)
                parameters.values[p][i] -= rate * gradients.values[p][i];
    }

  private:
    template <typename Buffers> void lend_memory(Buffers &buffers)
    {
        buffers.tape = tape.data();
        buffers.tape_size = tape.size() * sizeof(double);
        buffers.workspace = workspace.data();
        buffers.workspace_size = workspace.size();
    }

    stpn_cell cell{};
    stpn_run run = sized<stpn_run>();
    Arrays parameters, gradients;
    std::vector<double> tape; // aligned to 8 bytes
    std::vector<char> workspace;
};

// The squared distance of the last activations of the first I neurons from the first input, and its gradient.
double loss(const std::vector<double> &x, const std::vector<double> &y, std::vector<double> &grad_y)
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

// A refused call leaves its arguments as they were.
void show_refusal(Cell &cell)
{
    try {
        cell.set("normalize", "sometimes");
    } catch (const std::runtime_error &refusal) {
        std::printf("refused: %s\n", refusal.what());
        return;
    }
    throw std::logic_error("a wrong option was accepted");
}

void train()
{
    Cell cell;
    show_refusal(cell);

    std::vector<double> x(B * T * I), y(B * T * H), grad_y(B * T * H);
    for (std::size_t row = 0; row < B * T; row++)
        x[row * I + static_cast<std::size_t>(I * uniform())] = 1;

    double first = 0, last = 0;
    for (int step = 0; step <= steps; step++) {
        cell.forward(x, y);
        last = loss(x, y, grad_y);
        if (step == 0)
            first = last;
        if (step % 100 == 0)
            std::printf("step %3d   loss %.4f\n", step, last);
        cell.backward(grad_y);
        cell.descend();
    }
    if (last > first / 10)
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
