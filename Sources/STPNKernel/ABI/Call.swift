import CPlatform
import CSTPN

/// A call of one of the passes, checked step by step: description, sizes, implementation, then buffers.
struct Call {
    let description: stpn_cell
    let cell: Cell
    private let summary: Cell.Summary
    let type: NumberType
    let batch: Int
    let time: Int
    let threads: Int
    let implementation: Implementation

    init(_ cell: UnsafePointer<stpn_cell>?, _ run: UnsafePointer<stpn_run>?) throws(Failure) {
        description = try checked(cell, "cell")
        let run = try checked(run, "run")
        (self.cell, type) = try description.checked()
        summary = self.cell.summary
        guard run.batch >= 0 else { throw Failure(.size, "batch", "expected 0 or more, got \(run.batch)") }
        guard run.time >= 0 else { throw Failure(.size, "time", "expected 0 or more, got \(run.time)") }
        guard run.threads >= 0 else { throw Failure(.size, "threads", "expected 0 or more, got \(run.threads)") }
        (batch, time) = (Int(run.batch), Int(run.time))
        threads = Int(
            run.threads == 0 ? stpn_platform_get_num_threads() : min(run.threads, stpn_platform_max_threads()))
        implementation = try Implementation.find(run.implementation)
        try checkSizes()
    }

    /// Every buffer of the call has a size that fits an Int.
    private func checkSizes() throws(Failure) {
        for array in summary.states {
            guard checkedProduct(batch, array.shape.count, type.size) != nil else {
                throw Failure(.size, "batch", "(B, \(array.name)) exceeds the address space, with B = \(batch)")
            }
        }
        let width = max(summary.inputSize, summary.hiddenSize)
        // An empty batch or sequence counts as one: the sizes of its scratch memory are computed all the same.
        guard checkedProduct(checkedProduct(max(batch, 1), max(time, 1)), width, type.size) != nil else {
            throw Failure(
                .size, "time", "(B, T, \(width)) exceeds the address space, with B = \(batch) and T = \(time)")
        }
    }

    func job(_ work: Job.Work) -> Job {
        Job(
            description: description, cell: cell, type: type, batch: batch, time: time, threads: threads, work: work)
    }

    func measure(_ work: Job.Work) throws(Failure) -> Int {
        guard let bytes = implementation.run(job(work)) else {
            throw Failure(.size, "batch", "the call needs more memory than the address space has")
        }
        return bytes
    }

    /// Bytes of (B, T, width) real numbers.
    private func sequence(_ width: Int) -> Int { batch * time * width * type.size }

    // MARK: Buffers

    private typealias Arrays = (Int) -> UnsafeRawPointer?

    /// Adds the arrays of a list: per parameter, or per state (B,shape).
    private func add(
        _ field: StaticString, _ arrays: [ArrayInfo], _ copies: Int, to regions: inout Regions, required: Bool,
        written: Bool, _ pointer: Arrays
    ) throws(Failure) {
        for (i, info) in arrays.enumerated() {
            let name = Regions.Name(field: field, array: info.name)
            let bytes = copies * info.shape.count * type.size
            if required {
                try regions.require(name, pointer(i), bytes, alignment: type.size, written: written)
            } else {
                try regions.allow(name, pointer(i), bytes, alignment: type.size, written: written)
            }
        }
    }

    private func addWorkspace(
        _ memory: UnsafeRawPointer?, _ bytes: Int, _ pass: Job.Pass, to regions: inout Regions
    ) throws(Failure) {
        let needed = try measure(.measureWorkspace(pass))
        guard bytes >= needed else {
            throw Failure(.workspace, "workspace_size", "expected \(needed) bytes or more, got \(bytes)")
        }
        try regions.require("workspace", memory, needed, written: true)
    }

    private func addTape(
        _ tape: UnsafeRawPointer?, _ bytes: Int, to regions: inout Regions, written: Bool
    ) throws(Failure) {
        let needed = try measure(.measureTape)
        guard bytes >= needed else {
            throw Failure(
                .tape, "tape_size",
                "expected \(needed) bytes or more for this cell, batch, time and implementation, got \(bytes)")
        }
        try regions.require("tape", tape, needed, alignment: 8, written: written)
    }

    func forward(_ buffers: UnsafePointer<stpn_forward_buffers>?) throws(Failure) {
        let buffers = try checked(buffers, "buffers")
        guard let given = buffers.parameters else {
            throw Failure(.null, "parameters", "expected an array of pointers, got NULL")
        }
        var regions = Regions()
        try regions.require("y", buffers.y, sequence(summary.hiddenSize), alignment: type.size, written: true)
        try add("final_state", summary.states, batch, to: &regions, required: false, written: true) {
            UnsafeRawPointer(buffers.final_state?[$0])
        }
        try regions.allow("energy", buffers.energy, sequence(summary.hiddenSize), alignment: type.size, written: true)
        try regions.require("x", buffers.x, sequence(summary.inputSize), alignment: type.size)
        try add("parameters", summary.parameters, 1, to: &regions, required: true, written: false) { given[$0] }
        try add("state", summary.states, batch, to: &regions, required: false, written: false) { buffers.state?[$0] }
        try regions.allow("resets", buffers.resets, batch * time)
        if buffers.tape != nil { try addTape(buffers.tape, buffers.tape_size, to: &regions, written: true) }
        try addWorkspace(buffers.workspace, buffers.workspace_size, .forward, to: &regions)
        try regions.checkOverlap()

        let job = job(.forward(buffers))
        if let tape = buffers.tape { TapeHeader(job, implementation: implementation.rawValue).write(tape) }
        _ = implementation.run(job)
    }

    func backward(_ buffers: UnsafePointer<stpn_backward_buffers>?) throws(Failure) {
        let buffers = try checked(buffers, "buffers")
        var regions = Regions()
        try regions.allow("grad_x", buffers.grad_x, sequence(summary.inputSize), alignment: type.size, written: true)
        try add("grad_parameters", summary.parameters, 1, to: &regions, required: false, written: true) {
            UnsafeRawPointer(buffers.grad_parameters?[$0])
        }
        try add("grad_state", summary.states, batch, to: &regions, required: false, written: true) {
            UnsafeRawPointer(buffers.grad_state?[$0])
        }
        try regions.allow("grad_y", buffers.grad_y, sequence(summary.hiddenSize), alignment: type.size)
        try add("grad_final", summary.states, batch, to: &regions, required: false, written: false) {
            buffers.grad_final?[$0]
        }
        guard let tape = buffers.tape else { throw Failure(.null, "tape", "expected a tape, got NULL") }
        try addTape(tape, buffers.tape_size, to: &regions, written: false)
        try addWorkspace(buffers.workspace, buffers.workspace_size, .backward, to: &regions)
        try regions.checkOverlap()

        let job = job(.backward(buffers))
        guard TapeHeader(job, implementation: implementation.rawValue).matches(tape) else {
            throw Failure(.tape, "tape", "expected the tape of this cell, batch, time and implementation, got another")
        }
        _ = implementation.run(job)
    }

    func step(_ buffers: UnsafePointer<stpn_step_buffers>?) throws(Failure) {
        let buffers = try checked(buffers, "buffers")
        guard time == 1 else { throw Failure(.size, "time", "expected 1 for a step, got \(time)") }
        guard let given = buffers.parameters else {
            throw Failure(.null, "parameters", "expected an array of pointers, got NULL")
        }
        guard let state = buffers.state else {
            throw Failure(.null, "state", "expected an array of pointers, got NULL")
        }
        var regions = Regions()
        try regions.allow("y", buffers.y, sequence(summary.hiddenSize), alignment: type.size, written: true)
        try add("state", summary.states, batch, to: &regions, required: true, written: true) {
            UnsafeRawPointer(state[$0])
        }
        try regions.allow("energy", buffers.energy, sequence(summary.hiddenSize), alignment: type.size, written: true)
        try regions.require("x", buffers.x, sequence(summary.inputSize), alignment: type.size)
        try add("parameters", summary.parameters, 1, to: &regions, required: true, written: false) { given[$0] }
        try addWorkspace(buffers.workspace, buffers.workspace_size, .step, to: &regions)
        try regions.checkOverlap()
        _ = implementation.run(job(.step(buffers)))
    }
}
