! The part of stpn.h that recall.f90 uses.
module stpn
    use, intrinsic :: iso_c_binding
    implicit none

    integer(c_int32_t), parameter :: stpn_ok = 0, stpn_pass_forward = 1, stpn_pass_backward = 2

    type, bind(c) :: stpn_error
        integer(c_size_t) :: struct_size
        character(kind=c_char) :: argument(48), message(208)
    end type

    type, bind(c) :: stpn_cell
        integer(c_size_t) :: struct_size
        integer(c_int32_t) :: cell, dtype
        integer(c_int64_t) :: input_size, hidden_size
        real(c_double) :: clamp
        integer(c_int32_t) :: options(18) ! set by name
    end type

    type, bind(c) :: stpn_array
        integer(c_size_t) :: struct_size
        character(kind=c_char) :: name(32)
        integer(c_int32_t) :: rank
        integer(c_int64_t) :: shape(3)
        real(c_double) :: low, high
    end type

    type, bind(c) :: stpn_run
        integer(c_size_t) :: struct_size
        integer(c_int64_t) :: batch, time
        integer(c_int32_t) :: threads = 0, implementation = 0
    end type

    type, bind(c) :: stpn_forward_buffers
        integer(c_size_t) :: struct_size
        type(c_ptr) :: y = c_null_ptr, final_state = c_null_ptr, energy = c_null_ptr, x = c_null_ptr
        type(c_ptr) :: parameters = c_null_ptr, state = c_null_ptr, resets = c_null_ptr, tape = c_null_ptr
        integer(c_size_t) :: tape_size = 0
        type(c_ptr) :: workspace = c_null_ptr
        integer(c_size_t) :: workspace_size = 0
    end type

    type, bind(c) :: stpn_backward_buffers
        integer(c_size_t) :: struct_size
        type(c_ptr) :: grad_x = c_null_ptr, grad_parameters = c_null_ptr, grad_state = c_null_ptr
        type(c_ptr) :: grad_y = c_null_ptr, grad_final = c_null_ptr, tape = c_null_ptr
        integer(c_size_t) :: tape_size = 0
        type(c_ptr) :: workspace = c_null_ptr
        integer(c_size_t) :: workspace_size = 0
    end type

    interface
        function stpn_status_name(status) bind(c) result(name)
            import
            integer(c_int32_t), value :: status
            type(c_ptr) :: name
        end function

        integer(c_int32_t) function stpn_cell_init_named(cell, name, error) bind(c)
            import
            type(stpn_cell), intent(out) :: cell
            character(kind=c_char), intent(in) :: name(*)
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_cell_set_name(cell, option, value, error) bind(c)
            import
            type(stpn_cell), intent(inout) :: cell
            character(kind=c_char), intent(in) :: option(*), value(*)
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_cell_check(cell, error) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_parameter_count(cell) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
        end function

        integer(c_int32_t) function stpn_parameter(cell, index, array, error) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
            integer(c_int32_t), value :: index
            type(stpn_array), intent(inout) :: array
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_tape_size(cell, run, bytes, error) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
            type(stpn_run), intent(in) :: run
            integer(c_size_t), intent(out) :: bytes
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_workspace_size(cell, run, pass, bytes, error) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
            type(stpn_run), intent(in) :: run
            integer(c_int32_t), value :: pass
            integer(c_size_t), intent(out) :: bytes
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_forward(cell, run, buffers, error) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
            type(stpn_run), intent(in) :: run
            type(stpn_forward_buffers), intent(in) :: buffers
            type(stpn_error), intent(inout) :: error
        end function

        integer(c_int32_t) function stpn_backward(cell, run, buffers, error) bind(c)
            import
            type(stpn_cell), intent(in) :: cell
            type(stpn_run), intent(in) :: run
            type(stpn_backward_buffers), intent(in) :: buffers
            type(stpn_error), intent(inout) :: error
        end function
    end interface
end module
