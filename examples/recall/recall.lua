-- Trains short-term plasticity neurons to recall which of their inputs came first.
local ffi = require("ffi")

local B, T, I, H = 64, 6, 4, 12
local STEPS, RATE = 300, 0.1

-- The part of stpn.h that this program uses.
ffi.cdef [[
enum { STPN_OK = 0, STPN_PASS_FORWARD = 1, STPN_PASS_BACKWARD = 2 };

typedef struct { size_t struct_size; char argument[48], message[208]; } stpn_error;
typedef struct {
    size_t struct_size;
    int32_t cell, dtype;
    int64_t input_size, hidden_size;
    double clamp;
    int32_t options[18]; /* set by name */
} stpn_cell;
typedef struct {
    size_t struct_size;
    char name[32];
    int32_t rank;
    int64_t shape[3];
    double low, high;
} stpn_array;
typedef struct { size_t struct_size; int64_t batch, time; int32_t threads, implementation; } stpn_run;
typedef struct {
    size_t struct_size;
    void *y, *const *final_state, *energy;
    const void *x, *const *parameters, *const *state;
    const uint8_t *resets;
    void *tape;
    size_t tape_size;
    void *workspace;
    size_t workspace_size;
} stpn_forward_buffers;
typedef struct {
    size_t struct_size;
    void *grad_x, *const *grad_parameters, *const *grad_state;
    const void *grad_y, *const *grad_final, *tape;
    size_t tape_size;
    void *workspace;
    size_t workspace_size;
} stpn_backward_buffers;

const char *stpn_status_name(int32_t);
int32_t stpn_cell_init_named(stpn_cell *, const char *, stpn_error *);
int32_t stpn_cell_set_name(stpn_cell *, const char *, const char *, stpn_error *);
int32_t stpn_cell_check(const stpn_cell *, stpn_error *);
int32_t stpn_parameter_count(const stpn_cell *);
int32_t stpn_parameter(const stpn_cell *, int32_t, stpn_array *, stpn_error *);
int32_t stpn_tape_size(const stpn_cell *, const stpn_run *, size_t *, stpn_error *);
int32_t stpn_workspace_size(const stpn_cell *, const stpn_run *, int32_t, size_t *, stpn_error *);
int32_t stpn_forward(const stpn_cell *, const stpn_run *, const stpn_forward_buffers *, stpn_error *);
int32_t stpn_backward(const stpn_cell *, const stpn_run *, const stpn_backward_buffers *, stpn_error *);
]]
local stpn = ffi.load("stpn")

-- A struct of stpn.h with its size and the given fields filled in.
local function sized(name, fields)
    local struct = ffi.new(name, fields or {})
    struct.struct_size = ffi.sizeof(name)
    return struct
end

-- Makes a call, which gets room for its error as the last argument; raises a failure with its message.
local function call(name, ...)
    local failure = sized("stpn_error")
    local arguments = {...}
    arguments[#arguments + 1] = failure
    local status = stpn[name](unpack(arguments))
    if status ~= stpn.STPN_OK then
        error(ffi.string(stpn.stpn_status_name(status)) .. ": " .. ffi.string(failure.message), 0)
    end
end

local function size_of(name, ...)
    local bytes = ffi.new("size_t[1]")
    local arguments = {...}
    arguments[#arguments + 1] = bytes
    call(name, unpack(arguments))
    return tonumber(bytes[0])
end

-- The same numbers in every language: uniform in [0, 1).
local seed = 1
local function uniform()
    seed = (1664525 * seed + 1013904223) % 2 ^ 32
    return seed / 2 ^ 32
end

local function doubles(count) return ffi.new("double[?]", count) end

local cell = ffi.new("stpn_cell")
call("stpn_cell_init_named", cell, "stpn")
call("stpn_cell_set_name", cell, "dtype", "float64")
cell.input_size, cell.hidden_size = I, H
call("stpn_cell_check", cell)

local accepted, message = pcall(call, "stpn_cell_set_name", cell, "normalize", "sometimes")
assert(not accepted, "a wrong option was accepted")
print("refused: " .. message)

-- What the library gets pointers to is kept in these tables, and so from the garbage collector.
local parameter_count = stpn.stpn_parameter_count(cell)
local parameters, gradients, counts = {}, {}, {}
local parameter_list = ffi.new("const void *[?]", parameter_count)
local gradient_list = ffi.new("void *[?]", parameter_count)
for p = 0, parameter_count - 1 do
    local array = sized("stpn_array")
    call("stpn_parameter", cell, p, array)
    counts[p] = 1
    for axis = 0, array.rank - 1 do counts[p] = counts[p] * tonumber(array.shape[axis]) end
    parameters[p], gradients[p] = doubles(counts[p]), doubles(counts[p])
    for i = 0, counts[p] - 1 do parameters[p][i] = array.low + (array.high - array.low) * uniform() end
    parameter_list[p], gradient_list[p] = parameters[p], gradients[p]
end

local x, y, grad_y = doubles(B * T * I), doubles(B * T * H), doubles(B * T * H)
for row = 0, B * T - 1 do x[row * I + math.floor(I * uniform())] = 1 end

-- The squared distance of the last activations of the first I neurons from the first input; writes its gradient.
local function loss()
    local sum = 0
    for b = 0, B - 1 do
        for i = 0, I - 1 do
            local last = (b * T + T - 1) * H + i
            local difference = y[last] - x[b * T * I + i]
            sum = sum + difference ^ 2 / B
            grad_y[last] = 2 * difference / B
        end
    end
    return sum
end

local run = sized("stpn_run", {batch = B, time = T})
local tape_size = size_of("stpn_tape_size", cell, run)
local workspace_size = math.max(size_of("stpn_workspace_size", cell, run, stpn.STPN_PASS_FORWARD),
                                size_of("stpn_workspace_size", cell, run, stpn.STPN_PASS_BACKWARD))
local tape, workspace = ffi.new("int64_t[?]", tape_size / 8 + 1), ffi.new("char[?]", workspace_size)
local forward = sized("stpn_forward_buffers", {
    x = x, y = y, parameters = parameter_list,
    tape = tape, tape_size = tape_size, workspace = workspace, workspace_size = workspace_size,
})
local backward = sized("stpn_backward_buffers", {
    grad_y = grad_y, grad_parameters = gradient_list,
    tape = tape, tape_size = tape_size, workspace = workspace, workspace_size = workspace_size,
})

local first, last
for step = 0, STEPS do
    call("stpn_forward", cell, run, forward)
    last = loss()
    first = first or last
    if step % 100 == 0 then print(("step %3d   loss %.4f"):format(step, last)) end
    call("stpn_backward", cell, run, backward)
    for p = 0, parameter_count - 1 do
        for i = 0, counts[p] - 1 do parameters[p][i] = parameters[p][i] - RATE * gradients[p][i] end
    end
end
assert(last < first / 10, "the loss did not fall to a tenth")
