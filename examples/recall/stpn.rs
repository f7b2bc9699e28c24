//! The part of stpn.h that recall.rs uses, for real numbers of 64 bits.
use std::ffi::c_char;

pub const OK: i32 = 0;
pub const PASS_FORWARD: i32 = 1;
pub const PASS_BACKWARD: i32 = 2;

#[repr(C)]
pub struct Error {
    pub struct_size: usize,
    pub argument: [c_char; 48],
    pub message: [c_char; 208],
}

#[repr(C)]
pub struct Cell {
    pub struct_size: usize,
    pub cell: i32,
    pub dtype: i32,
    pub input_size: i64,
    pub hidden_size: i64,
    pub clamp: f64,
    pub options: [i32; 18], // set by name
}

#[repr(C)]
pub struct Array {
    pub struct_size: usize,
    pub name: [c_char; 32],
    pub rank: i32,
    pub shape: [i64; 3],
    pub low: f64,
    pub high: f64,
}

#[repr(C)]
pub struct Run {
    pub struct_size: usize,
    pub batch: i64,
    pub time: i64,
    pub threads: i32,
    pub implementation: i32,
}

#[repr(C)]
pub struct ForwardBuffers {
    pub struct_size: usize,
    pub y: *mut f64,
    pub final_state: *const *mut f64,
    pub energy: *mut f64,
    pub x: *const f64,
    pub parameters: *const *const f64,
    pub state: *const *const f64,
    pub resets: *const u8,
    pub tape: *mut u64,
    pub tape_size: usize,
    pub workspace: *mut u8,
    pub workspace_size: usize,
}

#[repr(C)]
pub struct BackwardBuffers {
    pub struct_size: usize,
    pub grad_x: *mut f64,
    pub grad_parameters: *const *mut f64,
    pub grad_state: *const *mut f64,
    pub grad_y: *const f64,
    pub grad_final: *const *const f64,
    pub tape: *const u64,
    pub tape_size: usize,
    pub workspace: *mut u8,
    pub workspace_size: usize,
}

#[link(name = "stpn")]
extern "C" {
    pub fn stpn_status_name(status: i32) -> *const c_char;
    pub fn stpn_cell_init_named(cell: *mut Cell, name: *const c_char, error: *mut Error) -> i32;
    pub fn stpn_cell_set_name(
        cell: *mut Cell,
        option: *const c_char,
        value: *const c_char,
        error: *mut Error,
    ) -> i32;
    pub fn stpn_cell_check(cell: *const Cell, error: *mut Error) -> i32;
    pub fn stpn_parameter_count(cell: *const Cell) -> i32;
    pub fn stpn_parameter(
        cell: *const Cell,
        index: i32,
        array: *mut Array,
        error: *mut Error,
    ) -> i32;
    pub fn stpn_tape_size(
        cell: *const Cell,
        run: *const Run,
        bytes: *mut usize,
        error: *mut Error,
    ) -> i32;
    pub fn stpn_workspace_size(
        cell: *const Cell,
        run: *const Run,
        pass: i32,
        bytes: *mut usize,
        error: *mut Error,
    ) -> i32;
    pub fn stpn_forward(
        cell: *const Cell,
        run: *const Run,
        buffers: *const ForwardBuffers,
        error: *mut Error,
    ) -> i32;
    pub fn stpn_backward(
        cell: *const Cell,
        run: *const Run,
        buffers: *const BackwardBuffers,
        error: *mut Error,
    ) -> i32;
}
