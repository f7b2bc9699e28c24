// Trains short-term plasticity neurons to recall which of their inputs came first.
package main

// #cgo LDFLAGS: -lstpn
// #include <stdlib.h>
// #include <stpn.h>
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"
)

const (
	B, T, I, H = 64, 6, 4, 12
	steps      = 300
	rate       = 0.1
)

// call makes a call, which gets room for its error.
func call(function func(*C.stpn_error) C.int32_t) error {
	var e C.stpn_error
	e.struct_size = C.sizeof_stpn_error
	if status := function(&e); status != C.STPN_OK {
		return fmt.Errorf("%s: %s", C.GoString(C.stpn_status_name(status)), C.GoString(&e.message[0]))
	}
	return nil
}

func set(cell *C.stpn_cell, option, value string) error {
	o, v := C.CString(option), C.CString(value)
	defer C.free(unsafe.Pointer(o))
	defer C.free(unsafe.Pointer(v))
	return call(func(e *C.stpn_error) C.int32_t { return C.stpn_cell_set_name(cell, o, v, e) })
}

// zeros are in memory of C, to which C may be given pointers within structs; the program keeps them to its end.
func zeros[Element any](count int) []Element {
	var element Element
	memory := C.calloc(C.size_t(count), C.size_t(unsafe.Sizeof(element)))
	if memory == nil {
		panic("out of memory")
	}
	return unsafe.Slice((*Element)(memory), count)
}

// pointers are those that the library takes to a list of arrays.
func pointers(arrays [][]float64) *unsafe.Pointer {
	list := zeros[unsafe.Pointer](len(arrays))
	for i, array := range arrays {
		list[i] = unsafe.Pointer(&array[0])
	}
	return &list[0]
}

var seed uint32 = 1

// uniform gives the same numbers in every language, in [0, 1).
func uniform() float64 {
	seed = 1664525*seed + 1013904223
	return float64(seed) / 4294967296
}

func makeParameters(cell *C.stpn_cell) (parameters, gradients [][]float64, err error) {
	for p := C.int32_t(0); p < C.stpn_parameter_count(cell); p++ {
		array := C.stpn_array{struct_size: C.sizeof_stpn_array}
		err = call(func(e *C.stpn_error) C.int32_t { return C.stpn_parameter(cell, p, &array, e) })
		if err != nil {
			return
		}
		count := 1
		for _, size := range array.shape[:array.rank] {
			count *= int(size)
		}
		values := zeros[float64](count)
		for i := range values {
			values[i] = float64(array.low) + float64(array.high-array.low)*uniform()
		}
		parameters = append(parameters, values)
		gradients = append(gradients, zeros[float64](count))
	}
	return
}

// loss is the squared distance of the last activations of the first I neurons from the first input; it writes its gradient.
func loss(x, y, gradY []float64) (sum float64) {
	for b := 0; b < B; b++ {
		for i := 0; i < I; i++ {
			last := (b*T+T-1)*H + i
			difference := y[last] - x[b*T*I+i]
			sum += difference * difference / B
			gradY[last] = 2 * difference / B
		}
	}
	return
}

func train() error {
	var cell C.stpn_cell
	if err := call(func(e *C.stpn_error) C.int32_t { return C.stpn_cell_init(&cell, C.STPN_CELL_STPN, e) }); err != nil {
		return err
	}
	cell.dtype, cell.input_size, cell.hidden_size = C.STPN_FLOAT64, I, H
	if err := call(func(e *C.stpn_error) C.int32_t { return C.stpn_cell_check(&cell, e) }); err != nil {
		return err
	}
	refusal := set(&cell, "normalize", "sometimes")
	if refusal == nil {
		return errors.New("a wrong option was accepted")
	}
	fmt.Println("refused:", refusal)

	parameters, gradients, err := makeParameters(&cell)
	if err != nil {
		return err
	}
	x, y, gradY := zeros[float64](B*T*I), zeros[float64](B*T*H), zeros[float64](B*T*H)
	for row := 0; row < B*T; row++ {
		x[row*I+int(I*uniform())] = 1
	}

	run := C.stpn_run{struct_size: C.sizeof_stpn_run, batch: B, time: T}
	forward := C.stpn_forward_buffers{struct_size: C.sizeof_stpn_forward_buffers,
		x: unsafe.Pointer(&x[0]), y: unsafe.Pointer(&y[0]), parameters: pointers(parameters)}
	backward := C.stpn_backward_buffers{struct_size: C.sizeof_stpn_backward_buffers,
		grad_y: unsafe.Pointer(&gradY[0]), grad_parameters: pointers(gradients)}
	for _, size := range []func(*C.stpn_error) C.int32_t{
		func(e *C.stpn_error) C.int32_t {
			return C.stpn_tape_size(&cell, &run, &forward.tape_size, e)
		},
		func(e *C.stpn_error) C.int32_t {
			return C.stpn_workspace_size(&cell, &run, C.STPN_PASS_FORWARD, &forward.workspace_size, e)
		},
		func(e *C.stpn_error) C.int32_t {
			return C.stpn_workspace_size(&cell, &run, C.STPN_PASS_BACKWARD, &backward.workspace_size, e)
		},
	} {
		if err := call(size); err != nil {
			return err
		}
	}
	forward.tape = unsafe.Pointer(&zeros[byte](int(forward.tape_size))[0])
	forward.workspace = unsafe.Pointer(&zeros[byte](int(forward.workspace_size))[0])
	backward.tape, backward.tape_size = forward.tape, forward.tape_size
	backward.workspace = unsafe.Pointer(&zeros[byte](int(backward.workspace_size))[0])

	var first, last float64
	for step := 0; step <= steps; step++ {
		if err := call(func(e *C.stpn_error) C.int32_t { return C.stpn_forward(&cell, &run, &forward, e) }); err != nil {
			return err
		}
		last = loss(x, y, gradY)
		if step == 0 {
			first = last
		}
		if step%100 == 0 {
			fmt.Printf("step %3d   loss %.4f\n", step, last)
		}
		if err := call(func(e *C.stpn_error) C.int32_t { return C.stpn_backward(&cell, &run, &backward, e) }); err != nil {
			return err
		}
		for p, gradient := range gradients {
			for i, slope := range gradient {
				parameters[p][i] -= rate * slope
			}
		}
	}
	if !(last < first/10) { // not a number, too
		return errors.New("the loss did not fall to a tenth")
	}
	return nil
}

func main() {
	if err := train(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
