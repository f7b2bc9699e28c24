! Trains short-term plasticity neurons to recall which of their inputs came first. Arrays of the library have their
! last axis first here: (batch, time, input) is x(input, time, batch).
module recall
    use stpn
    implicit none

    integer, parameter :: B = 64, T = 6, I = 4, H = 12, steps = 300
    real(c_double), parameter :: rate = 0.1d0

    type :: numbers
        real(c_double), allocatable :: values(:)
    end type

    type(stpn_error) :: error
    integer(c_int64_t) :: seed = 1

contains

    ! The text of a C string.
    function text(characters)
        character(kind=c_char), intent(in) :: characters(:)
        character(len=:), allocatable :: text
        integer :: n

        text = ''
        do n = 1, size(characters)
            if (characters(n) == c_null_char) exit
            text = text//characters(n)
        end do
    end function

    function message(status)
        integer(c_int32_t), intent(in) :: status
        character(len=:), allocatable :: message
        character(kind=c_char), pointer :: name(:)

        call c_f_pointer(stpn_status_name(status), name, [64])
        message = text(name)//': '//text(error%message)
    end function

    subroutine check(status)
        integer(c_int32_t), intent(in) :: status

        if (status /= stpn_ok) error stop message(status)
    end subroutine

    ! The same numbers in every language: uniform in [0, 1).
    real(c_double) function uniform()
        seed = modulo(1664525*seed + 1013904223, 4294967296_c_int64_t)
        uniform = seed/4294967296d0
    end function

    function make_cell() result(cell)
        type(stpn_cell) :: cell

        call check(stpn_cell_init_named(cell, 'stpn'//c_null_char, error))
        call check(stpn_cell_set_name(cell, 'dtype'//c_null_char, 'float64'//c_null_char, error))
        cell%input_size = I
        cell%hidden_size = H
        call check(stpn_cell_check(cell, error))
    end function

    ! A refused call leaves its arguments as they were.
    subroutine show_refusal(cell)
        type(stpn_cell), intent(inout) :: cell
        integer(c_int32_t) :: status

        status = stpn_cell_set_name(cell, 'normalize'//c_null_char, 'sometimes'//c_null_char, error)
        if (status == stpn_ok) error stop 'a wrong option was accepted'
        print '(a)', 'refused: '//message(status)
    end subroutine

    ! The initial values of a parameter, as the library describes it.
    function make_parameter(cell, index) result(parameter)
        type(stpn_cell), intent(in) :: cell
        integer(c_int32_t), intent(in) :: index
        type(numbers) :: parameter
        type(stpn_array) :: array
        integer :: n

        array%struct_size = c_sizeof(array)
        call check(stpn_parameter(cell, index, array, error))
        allocate (parameter%values(product(array%shape(:array%rank))))
        do n = 1, size(parameter%values)
            parameter%values(n) = array%low + (array%high - array%low)*uniform()
        end do
    end function

    ! Losses of the first and the last step.
    subroutine train(first, last)
        real(c_double), intent(out) :: first, last
        real(c_double), target :: x(I, T, B), y(H, T, B), grad_y(H, T, B)
        type(stpn_cell) :: cell
        type(stpn_run) :: run
        type(stpn_forward_buffers) :: forward
        type(stpn_backward_buffers) :: backward
        type(numbers), allocatable, target :: parameters(:), gradients(:)
        type(c_ptr), allocatable, target :: parameter_list(:), gradient_list(:)
        integer(c_int64_t), allocatable, target :: tape(:), forward_workspace(:), backward_workspace(:)
        integer :: step, p, n, m

        error%struct_size = c_sizeof(error)
        cell = make_cell()
        call show_refusal(cell)

        allocate (parameters(stpn_parameter_count(cell)))
        do p = 1, size(parameters)
            parameters(p) = make_parameter(cell, p - 1)
        end do
        gradients = parameters
        parameter_list = [(c_loc(parameters(p)%values), p=1, size(parameters))]
        gradient_list = [(c_loc(gradients(p)%values), p=1, size(gradients))]
        x = 0
        grad_y = 0
        do n = 1, B
            do m = 1, T
                x(int(I*uniform()) + 1, m, n) = 1
            end do
        end do

        run = stpn_run(struct_size=c_sizeof(run), batch=B, time=T)
        forward = stpn_forward_buffers(struct_size=c_sizeof(forward), y=c_loc(y), x=c_loc(x), &
                                       parameters=c_loc(parameter_list))
        backward = stpn_backward_buffers(struct_size=c_sizeof(backward), grad_y=c_loc(grad_y), &
                                         grad_parameters=c_loc(gradient_list))
        call check(stpn_tape_size(cell, run, forward%tape_size, error))
        call check(stpn_workspace_size(cell, run, stpn_pass_forward, forward%workspace_size, error))
        call check(stpn_workspace_size(cell, run, stpn_pass_backward, backward%workspace_size, error))
        allocate (tape(forward%tape_size/8 + 1), forward_workspace(forward%workspace_size/8 + 1), &
                  backward_workspace(backward%workspace_size/8 + 1))
        forward%tape = c_loc(tape)
        forward%workspace = c_loc(forward_workspace)
        backward%tape = c_loc(tape)
        backward%tape_size = forward%tape_size
        backward%workspace = c_loc(backward_workspace)

        do step = 0, steps
            call check(stpn_forward(cell, run, forward, error))
            grad_y(:I, T, :) = 2*(y(:I, T, :) - x(:, 1, :))/B
            last = sum((y(:I, T, :) - x(:, 1, :))**2)/B
            if (step == 0) first = last
            if (modulo(step, 100) == 0) print '(a, i3, a, f6.4)', 'step ', step, '   loss ', last
            call check(stpn_backward(cell, run, backward, error))
            do p = 1, size(parameters)
                parameters(p)%values = parameters(p)%values - rate*gradients(p)%values
            end do
        end do
    end subroutine
end module

program main
    use recall
    implicit none
    real(c_double) :: first, last

    call train(first, last)
    if (.not. last < first/10) error stop 'the loss did not fall to a tenth'
end program
