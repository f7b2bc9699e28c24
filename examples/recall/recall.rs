//! Trains short-term plasticity neurons to recall which of their inputs came first.
mod stpn;

use std::ffi::{CStr, CString};
use std::mem::{size_of, zeroed};
use std::process::ExitCode;

const B: usize = 64;
const T: usize = 6;
const I: usize = 4;
const H: usize = 12;
const STEPS: usize = 300;
const RATE: f64 = 0.1;

/// Makes a call, which gets room for its error, and turns a status that is not OK into a message.
fn call(function: impl FnOnce(*mut stpn::Error) -> i32) -> Result<(), String> {
    let mut error = stpn::Error {
        struct_size: size_of::<stpn::Error>(),
        argument: [0; 48],
        message: [0; 208],
    };
    let status = function(&mut error);
    if status == stpn::OK {
        return Ok(());
    }
    // Both are C strings that end with a zero byte.
    let (name, message) = unsafe {
        (
            CStr::from_ptr(stpn::stpn_status_name(status)),
            CStr::from_ptr(error.message.as_ptr()),
        )
    };
    Err(format!(
        "{}: {}",
        name.to_string_lossy(),
        message.to_string_lossy()
    ))
}

fn set(cell: &mut stpn::Cell, option: &str, value: &str) -> Result<(), String> {
    let (option, value) = (CString::new(option).unwrap(), CString::new(value).unwrap());
    call(|error| unsafe { stpn::stpn_cell_set_name(cell, option.as_ptr(), value.as_ptr(), error) })
}

/// The same numbers in every language: uniform in [0, 1).
struct Uniform(u32);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        f64::from(self.0) / 4294967296.0
    }
}

fn make_parameters(cell: &stpn::Cell, uniform: &mut Uniform) -> Result<Vec<Vec<f64>>, String> {
    let mut parameters = Vec::new();
    for index in 0..unsafe { stpn::stpn_parameter_count(cell) } {
        let mut array: stpn::Array = unsafe { zeroed() };
        array.struct_size = size_of::<stpn::Array>();
        call(|error| unsafe { stpn::stpn_parameter(cell, index, &mut array, error) })?;
        let count: i64 = array.shape[..array.rank as usize].iter().product();
        parameters.push(
            (0..count)
                .map(|_| array.low + (array.high - array.low) * uniform.next())
                .collect(),
        );
    }
    Ok(parameters)
}

/// The squared distance of the last activations of the first I neurons from the first input, and its gradient.
fn loss(x: &[f64], y: &[f64], grad_y: &mut [f64]) -> f64 {
    let mut sum = 0.0;
    for b in 0..B {
        for i in 0..I {
            let last = (b * T + T - 1) * H + i;
            let difference = y[last] - x[b * T * I + i];
            sum += difference * difference / B as f64;
            grad_y[last] = 2.0 * difference / B as f64;
        }
    }
    sum
}

fn train() -> Result<(), String> {
    let mut uniform = Uniform(1);
    let mut cell: stpn::Cell = unsafe { zeroed() };
    call(|error| unsafe { stpn::stpn_cell_init_named(&mut cell, c"stpn".as_ptr(), error) })?;
    set(&mut cell, "dtype", "float64")?;
    cell.input_size = I as i64;
    cell.hidden_size = H as i64;
    call(|error| unsafe { stpn::stpn_cell_check(&cell, error) })?;
    match set(&mut cell, "normalize", "sometimes") {
        Ok(()) => return Err("a wrong option was accepted".to_string()),
        Err(message) => println!("refused: {message}"),
    }

    let mut parameters = make_parameters(&cell, &mut uniform)?;
    let mut gradients = parameters.clone();
    let (mut x, mut y, mut grad_y) = (
        vec![0.0; B * T * I],
        vec![0.0; B * T * H],
        vec![0.0; B * T * H],
    );
    for row in x.chunks_mut(I) {
        row[(I as f64 * uniform.next()) as usize] = 1.0;
    }

    let run = stpn::Run {
        struct_size: size_of::<stpn::Run>(),
        batch: B as i64,
        time: T as i64,
        ..unsafe { zeroed() }
    };
    let (mut tape_size, mut forward_size, mut backward_size) = (0, 0, 0);
    call(|error| unsafe { stpn::stpn_tape_size(&cell, &run, &mut tape_size, error) })?;
    call(|error| unsafe {
        stpn::stpn_workspace_size(&cell, &run, stpn::PASS_FORWARD, &mut forward_size, error)
    })?;
    call(|error| unsafe {
        stpn::stpn_workspace_size(&cell, &run, stpn::PASS_BACKWARD, &mut backward_size, error)
    })?;
    let mut tape = vec![0u64; tape_size.div_ceil(8)];
    let mut workspace = vec![0u8; forward_size.max(backward_size)];

    let (mut first, mut last) = (0.0, 0.0);
    for step in 0..=STEPS {
        let inputs: Vec<_> = parameters
            .iter()
            .map(|parameter| parameter.as_ptr())
            .collect();
        let outputs: Vec<_> = gradients
            .iter_mut()
            .map(|gradient| gradient.as_mut_ptr())
            .collect();
        let forward = stpn::ForwardBuffers {
            struct_size: size_of::<stpn::ForwardBuffers>(),
            y: y.as_mut_ptr(),
            x: x.as_ptr(),
            parameters: inputs.as_ptr(),
            tape: tape.as_mut_ptr(),
            tape_size,
            workspace: workspace.as_mut_ptr(),
            workspace_size: forward_size,
            ..unsafe { zeroed() }
        };
        call(|error| unsafe { stpn::stpn_forward(&cell, &run, &forward, error) })?;
        last = loss(&x, &y, &mut grad_y);
        if step == 0 {
            first = last;
        }
        if step % 100 == 0 {
            println!("step {step:3}   loss {last:.4}");
        }
        let backward = stpn::BackwardBuffers {
            struct_size: size_of::<stpn::BackwardBuffers>(),
            grad_parameters: outputs.as_ptr(),
            grad_y: grad_y.as_ptr(),
            tape: tape.as_ptr(),
            tape_size,
            workspace: workspace.as_mut_ptr(),
            workspace_size: backward_size,
            ..unsafe { zeroed() }
        };
        call(|error| unsafe { stpn::stpn_backward(&cell, &run, &backward, error) })?;
        for (parameter, gradient) in parameters.iter_mut().zip(&gradients) {
            for (value, slope) in parameter.iter_mut().zip(gradient) {
                *value -= RATE * slope;
            }
        }
    }
    if last.is_nan() || last > first / 10.0 {
        return Err("the loss did not fall to a tenth".to_string());
    }
    Ok(())
}

fn main() -> ExitCode {
    match train() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
