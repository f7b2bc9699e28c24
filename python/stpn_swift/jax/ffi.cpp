// XLA custom calls for the passes of a cell, on the functions of stpn.h that stpn_xla_connect was given.
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "stpn.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace
{

struct {
    decltype(&stpn_parameter_count) parameter_count;
    decltype(&stpn_state_count) state_count;
    decltype(&stpn_workspace_size) workspace_size;
    decltype(&stpn_forward) forward;
    decltype(&stpn_backward) backward;
} functions;

// What a call is, from its attributes: the bytes of its stpn_cell, and the threads and the implementation.
struct Call {
    stpn_cell cell{};
    stpn_run run{};
    stpn_error error{};
    size_t parameters = 0, states = 0;

    Call(ffi::Span<const int64_t> description, ffi::Span<const int64_t> how)
    {
        if (description.size() * sizeof(int64_t) == sizeof cell)
            std::memcpy(&cell, description.begin(), sizeof cell);
        if (how.size() == 2) {
            run.threads = static_cast<int32_t>(how[0]);
            run.implementation = static_cast<int32_t>(how[1]);
        }
        run.struct_size = sizeof run;
        error.struct_size = sizeof error;
        if (int32_t count = functions.parameter_count(&cell); count > 0)
            parameters = static_cast<size_t>(count);
        if (int32_t count = functions.state_count(&cell); count > 0)
            states = static_cast<size_t>(count);
    }

    void set_sizes(ffi::Span<const int64_t> sizes)
    {
        run.batch = sizes[0];
        run.time = sizes[1];
    }

    ffi::Error result(int32_t status) const
    {
        return status == STPN_OK ? ffi::Error::Success() : ffi::Error::InvalidArgument(error.message);
    }
};

// XLA's memory is new in every call, and the first write to each page of it is a fault of the system: a training step
// that writes 60 MB takes a third longer for them. Large pages are few.
void in_large_pages(void *memory, size_t size)
{
#if defined(__linux__)
    constexpr uintptr_t page = uintptr_t{1} << 21;
    uintptr_t start = reinterpret_cast<uintptr_t>(memory);
    uintptr_t first = (start + page - 1) / page * page, last = (start + size) / page * page;
    if (first < last)
        madvise(reinterpret_cast<void *>(first), last - first, MADV_HUGEPAGE); // advice, that may be declined
#endif
}

std::vector<ffi::AnyBuffer> all(const ffi::RemainingArgs &arguments)
{
    std::vector<ffi::AnyBuffer> buffers;
    for (size_t i = 0; i < arguments.size(); i++)
        buffers.push_back(*arguments.get<ffi::AnyBuffer>(i));
    return buffers;
}

std::vector<ffi::AnyBuffer> all(const ffi::RemainingRets &results)
{
    std::vector<ffi::AnyBuffer> buffers;
    for (size_t i = 0; i < results.size(); i++)
        buffers.push_back(**results.get<ffi::AnyBuffer>(i));
    for (ffi::AnyBuffer &buffer : buffers)
        in_large_pages(buffer.untyped_data(), buffer.size_bytes());
    return buffers;
}

// Hands out buffers one after the other; NULL for those that a call is made without, or that are missing.
struct Next {
    std::vector<ffi::AnyBuffer> buffers;
    size_t index = 0;

    void *operator()(bool present = true)
    {
        return present && index++ < buffers.size() ? buffers[index - 1].untyped_data() : nullptr;
    }

    std::vector<void *> operator()(size_t count, bool present)
    {
        std::vector<void *> pointers;
        for (size_t i = 0; i < count; i++)
            pointers.push_back((*this)(present));
        return pointers;
    }

    std::vector<void *> operator()(ffi::Span<const int64_t> present)
    {
        std::vector<void *> pointers;
        for (int64_t one : present)
            pointers.push_back((*this)(one));
        return pointers;
    }

    size_t bytes() const { return index - 1 < buffers.size() ? buffers[index - 1].size_bytes() : 0; }
    bool at_end() const { return index == buffers.size(); }
};

std::unique_ptr<char[]> allocate(size_t size)
{
    std::unique_ptr<char[]> memory(new (std::nothrow) char[size]);
    in_large_pages(memory.get(), size);
    return memory;
}

ffi::Error wrong_buffers() { return ffi::Error::InvalidArgument("stpn: other buffers than the cell has"); }

// present: of state, resets, energy and tape, which there are. B and T are those of x: compiled code may be for any.
ffi::Error forward(ffi::RemainingArgs arguments, ffi::RemainingRets results,
                   ffi::Span<const int64_t> description, ffi::Span<const int64_t> how,
                   ffi::Span<const int64_t> present)
{
    Call call(description, how);
    Next in{all(arguments)};
    if (present.size() != 4 || in.buffers.empty() || in.buffers[0].dimensions().size() != 3)
        return wrong_buffers();
    call.set_sizes(in.buffers[0].dimensions());
    Next out{all(results)};
    stpn_forward_buffers buffers{};
    buffers.struct_size = sizeof buffers;
    buffers.x = in();
    auto parameters = in(call.parameters, true);
    auto state = in(call.states, present[0]);
    buffers.resets = static_cast<const uint8_t *>(in(present[1]));
    buffers.y = out();
    auto final_state = out(call.states, true);
    buffers.energy = out(present[2]);
    buffers.tape = out(present[3]);
    buffers.tape_size = present[3] ? out.bytes() : 0;
    if (!in.at_end() || !out.at_end())
        return wrong_buffers();
    buffers.parameters = parameters.data();
    buffers.state = state.data();
    buffers.final_state = final_state.data();

    int32_t status = functions.workspace_size(&call.cell, &call.run, STPN_PASS_FORWARD,
                                              &buffers.workspace_size, &call.error);
    if (status != STPN_OK)
        return call.result(status);
    auto workspace = allocate(buffers.workspace_size);
    buffers.workspace = workspace.get();
    return call.result(functions.forward(&call.cell, &call.run, &buffers, &call.error));
}

// sizes: B and T. given: of y and the states, which have a gradient. wanted: the same of x, the parameters and the
// states.
ffi::Error backward(ffi::RemainingArgs arguments, ffi::RemainingRets results,
                    ffi::Span<const int64_t> description, ffi::Span<const int64_t> how,
                    ffi::Span<const int64_t> sizes, ffi::Span<const int64_t> given,
                    ffi::Span<const int64_t> wanted)
{
    Call call(description, how);
    if (sizes.size() != 2 || given.size() != 1 + call.states ||
        wanted.size() != 1 + call.parameters + call.states)
        return wrong_buffers();
    call.set_sizes(sizes);
    Next in{all(arguments)};
    Next out{all(results)};
    stpn_backward_buffers buffers{};
    buffers.struct_size = sizeof buffers;
    buffers.tape = in();
    buffers.tape_size = in.bytes();
    buffers.grad_y = in(given[0]);
    auto grad_final = in(given.last(call.states));
    buffers.grad_x = out(wanted[0]);
    auto grad_parameters = out(wanted.first(1 + call.parameters).last(call.parameters));
    auto grad_state = out(wanted.last(call.states));
    if (!in.at_end() || !out.at_end())
        return wrong_buffers();
    buffers.grad_final = grad_final.data();
    buffers.grad_parameters = grad_parameters.data();
    buffers.grad_state = grad_state.data();

    int32_t status = functions.workspace_size(&call.cell, &call.run, STPN_PASS_BACKWARD,
                                              &buffers.workspace_size, &call.error);
    if (status != STPN_OK)
        return call.result(status);
    auto workspace = allocate(buffers.workspace_size);
    buffers.workspace = workspace.get();
    return call.result(functions.backward(&call.cell, &call.run, &buffers, &call.error));
}

} // namespace

// The addresses of the functions, in the order of the struct.
extern "C" void stpn_xla_connect(void *const *addresses)
{
    std::memcpy(&functions, addresses, sizeof functions);
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(stpn_xla_forward, forward,
                              ffi::Ffi::Bind()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<ffi::Span<const int64_t>>("description")
                                  .Attr<ffi::Span<const int64_t>>("how")
                                  .Attr<ffi::Span<const int64_t>>("present"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(stpn_xla_backward, backward,
                              ffi::Ffi::Bind()
                                  .RemainingArgs()
                                  .RemainingRets()
                                  .Attr<ffi::Span<const int64_t>>("description")
                                  .Attr<ffi::Span<const int64_t>>("how")
                                  .Attr<ffi::Span<const int64_t>>("sizes")
                                  .Attr<ffi::Span<const int64_t>>("given")
                                  .Attr<ffi::Span<const int64_t>>("wanted"));
