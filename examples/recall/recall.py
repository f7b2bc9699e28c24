"""Trains short-term plasticity neurons to recall which of their inputs came first, by the C library alone."""

import ctypes
import sys
from ctypes import Structure, byref, c_char, c_double, c_int32, c_int64, c_size_t, c_void_p, sizeof

B, T, I, H = 64, 6, 4, 12  # noqa: E741  (letters of the documentation)
STEPS, RATE = 300, 0.1

OK, PASS_FORWARD, PASS_BACKWARD = 0, 1, 2


class Sized(Structure):
    """A struct of stpn.h: its size is filled in."""

    def __init__(self, **fields: object) -> None:
        super().__init__(struct_size=sizeof(self), **fields)


class Error(Sized):
    _fields_ = [("struct_size", c_size_t), ("argument", c_char * 48), ("message", c_char * 208)]


class Cell(Sized):
    _fields_ = [
        ("struct_size", c_size_t),
        ("cell", c_int32),
        ("dtype", c_int32),
        ("input_size", c_int64),
        ("hidden_size", c_int64),
        ("clamp", c_double),
        ("options", c_int32 * 18),  # set by name
    ]


class Array(Sized):
    _fields_ = [
        ("struct_size", c_size_t),
        ("name", c_char * 32),
        ("rank", c_int32),
        ("shape", c_int64 * 3),
        ("low", c_double),
        ("high", c_double),
    ]


class Run(Sized):
    _fields_ = [
        ("struct_size", c_size_t),
        ("batch", c_int64),
        ("time", c_int64),
        ("threads", c_int32),
        ("implementation", c_int32),
    ]


class ForwardBuffers(Sized):
    _fields_ = [
        ("struct_size", c_size_t),
        ("y", c_void_p),
        ("final_state", c_void_p),
        ("energy", c_void_p),
        ("x", c_void_p),
        ("parameters", c_void_p),
        ("state", c_void_p),
        ("resets", c_void_p),
        ("tape", c_void_p),
        ("tape_size", c_size_t),
        ("workspace", c_void_p),
        ("workspace_size", c_size_t),
    ]


class BackwardBuffers(Sized):
    _fields_ = [
        ("struct_size", c_size_t),
        ("grad_x", c_void_p),
        ("grad_parameters", c_void_p),
        ("grad_state", c_void_p),
        ("grad_y", c_void_p),
        ("grad_final", c_void_p),
        ("tape", c_void_p),
        ("tape_size", c_size_t),
        ("workspace", c_void_p),
        ("workspace_size", c_size_t),
    ]


stpn = ctypes.CDLL("libstpn.so.0.1")
stpn.stpn_status_name.restype = ctypes.c_char_p


def call(name: str, *arguments: object) -> None:
    """Makes a call, which gets room for its error as the last argument; raises a failure with its message."""
    error = Error()
    status = stpn[name](*arguments, byref(error))
    if status != OK:
        raise ValueError(f"{stpn.stpn_status_name(status).decode()}: {error.message.decode()}")


def size(name: str, *arguments: object) -> int:
    count = c_size_t()
    call(name, *arguments, byref(count))
    return count.value


seed = 1


def uniform() -> float:
    """The same numbers in every language: uniform in [0, 1)."""
    global seed
    seed = (1664525 * seed + 1013904223) % 2**32
    return seed / 2**32


def make_parameters(cell: Cell) -> list[ctypes.Array[c_double]]:
    """Initial values, as the library describes each parameter."""
    parameters = []
    for index in range(stpn.stpn_parameter_count(byref(cell))):
        array = Array()
        call("stpn_parameter", byref(cell), index, byref(array))
        count = 1
        for axis in range(array.rank):
            count *= array.shape[axis]
        values = [array.low + (array.high - array.low) * uniform() for _ in range(count)]
        parameters.append((c_double * count)(*values))
    return parameters


def pointers(arrays: list[ctypes.Array[c_double]]) -> ctypes.Array[c_void_p]:
    return (c_void_p * len(arrays))(*map(ctypes.addressof, arrays))


def loss(x: ctypes.Array[c_double], y: ctypes.Array[c_double], grad_y: ctypes.Array[c_double]) -> float:
    """The squared distance of the last activations of the first I neurons from the first input."""
    total = 0.0
    for b in range(B):
        for i in range(I):
            last = (b * T + T - 1) * H + i
            difference = y[last] - x[b * T * I + i]
            total += difference**2 / B
            grad_y[last] = 2 * difference / B
    return total


def train() -> None:
    cell = Cell()
    call("stpn_cell_init_named", byref(cell), b"stpn")
    call("stpn_cell_set_name", byref(cell), b"dtype", b"float64")
    cell.input_size, cell.hidden_size = I, H
    call("stpn_cell_check", byref(cell))
    try:
        call("stpn_cell_set_name", byref(cell), b"normalize", b"sometimes")
        sys.exit("a wrong option was accepted")
    except ValueError as refusal:
        print("refused:", refusal)

    parameters = make_parameters(cell)
    gradients = [type(parameter)() for parameter in parameters]
    x, y, grad_y = (c_double * (B * T * I))(), (c_double * (B * T * H))(), (c_double * (B * T * H))()
    for row in range(B * T):
        x[row * I + int(I * uniform())] = 1

    run = Run(batch=B, time=T)
    described = byref(cell), byref(run)
    tape = (c_int64 * (size("stpn_tape_size", *described) // 8 + 1))()
    needed = [size("stpn_workspace_size", *described, way) for way in (PASS_FORWARD, PASS_BACKWARD)]
    workspace = (c_char * max(needed))()
    memory = {
        "tape": ctypes.addressof(tape),
        "tape_size": sizeof(tape),
        "workspace": ctypes.addressof(workspace),
        "workspace_size": sizeof(workspace),
    }
    inputs, outputs = pointers(parameters), pointers(gradients)
    x_y = {"x": ctypes.addressof(x), "y": ctypes.addressof(y)}
    forward = ForwardBuffers(**x_y, parameters=ctypes.addressof(inputs), **memory)
    backward = BackwardBuffers(
        grad_y=ctypes.addressof(grad_y), grad_parameters=ctypes.addressof(outputs), **memory
    )

    first = last = 0.0
    for step in range(STEPS + 1):
        call("stpn_forward", *described, byref(forward))
        last = loss(x, y, grad_y)
        if step == 0:
            first = last
        if step % 100 == 0:
            print(f"step {step:3}   loss {last:.4f}")
        call("stpn_backward", *described, byref(backward))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter[:] = [value - RATE * slope for value, slope in zip(parameter, gradient, strict=True)]
    if not last < first / 10:  # not a number, too
        sys.exit("the loss did not fall to a tenth")


if __name__ == "__main__":
    train()
