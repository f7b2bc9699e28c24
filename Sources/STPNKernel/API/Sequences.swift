import CSTPN

extension PlasticCell {
    /// What ``backward(_:gradY:gradState:)`` needs of a ``forward(_:batch:time:state:resets:)``: its inputs and parameters as they
    /// were in that call, and a few numbers for each step and neuron; it does not grow with B·T·H·K. It may be used any number of
    /// times, from any thread.
    public struct Tape: Sendable {
        public let batch: Int
        public let time: Int
        /// Nobody writes to it after the forward pass.
        nonisolated(unsafe) fileprivate let memory: Memory

        /// The memory that the tape takes.
        public var byteCount: Int { memory.bytes }
    }

    /// The gradients of a loss.
    public struct Gradients: Sendable {
        /// (B,T,I), for the inputs.
        public var x: [Scalar]
        /// For the state before the first step.
        public var state: NamedArrays<Scalar>
        public var parameters: NamedArrays<Scalar>
    }

    /// Runs whole sequences, and keeps what ``backward(_:gradY:gradState:)`` needs.
    ///
    /// - Parameters:
    ///   - x: (B,T,I)
    ///   - batch: B, 0 or more.
    ///   - time: T, 0 or more.
    ///   - state: The state before the first step; nil: zeros.
    ///   - resets: (B,T): where it is true, every state of the sample is zeroed before that step; nil: nowhere.
    /// - Returns: The activations `y` (B,T,H), the `state` after the last step, and the `tape`.
    /// - Throws: ``STPNError`` where an argument does not have the size that it should have, or there is no memory.
    public func forward(
        _ x: Span<Scalar>, batch: Int, time: Int, state: NamedArrays<Scalar>? = nil, resets: Span<Bool>? = nil
    ) throws(STPNError) -> (y: [Scalar], state: NamedArrays<Scalar>, tape: Tape) {
        let call = try call(batch, time)
        let tape = Tape(batch: batch, time: time, memory: try memory(call, .measureTape))
        var y = try [Scalar](zeros: batch * time * hiddenSize)
        let final = try run(call, x, state, resets, tape: tape.memory, y: &y)
        return (y, final, tape)
    }

    /// Runs whole sequences without a tape, for inference; as ``forward(_:batch:time:state:resets:)``.
    public func run(
        _ x: Span<Scalar>, batch: Int, time: Int, state: NamedArrays<Scalar>? = nil, resets: Span<Bool>? = nil
    ) throws(STPNError) -> (y: [Scalar], state: NamedArrays<Scalar>) {
        let call = try call(batch, time)
        var y = try [Scalar](zeros: batch * time * hiddenSize)
        let final = try run(call, x, state, resets, y: &y)
        return (y, final)
    }

    /// The energy that each neuron uses in each step, (B,T,H): the sum over its synapses of conductance times the square of the
    /// input (`docs/cells.md`, section 2). It is 0 or more and has no gradient. Arguments and errors are those of
    /// ``forward(_:batch:time:state:resets:)``.
    public func energy(
        _ x: Span<Scalar>, batch: Int, time: Int, state: NamedArrays<Scalar>? = nil, resets: Span<Bool>? = nil
    ) throws(STPNError) -> [Scalar] {
        let call = try call(batch, time)
        var y = try [Scalar](zeros: batch * time * hiddenSize)
        var energy = try [Scalar](zeros: batch * time * hiddenSize)
        _ = try energy.withUnsafeMutableBufferPointer { energy throws(STPNError) in
            try run(call, x, state, resets, y: &y, energy: energy.baseAddress)
        }
        return energy
    }

    /// Goes back through a whole forward pass: gradients for its inputs, its initial state and its parameters, exact through all
    /// steps. They are those of the pass as it was, whatever became of the parameters since. Resets pass none.
    ///
    /// - Parameters:
    ///   - tape: Of this cell, or of one of the same configuration.
    ///   - gradY: (B,T,H), the gradient of the loss for y; nil: 0.
    ///   - gradState: The gradient of the loss for the final state; nil: 0.
    /// - Throws: ``STPNError`` where the tape is of another cell, or an argument does not have the size that it should have.
    public func backward(
        _ tape: Tape, gradY: Span<Scalar>?, gradState: NamedArrays<Scalar>? = nil
    ) throws(STPNError) -> Gradients {
        let call = try call(tape.batch, tape.time)
        var gradients = Gradients(
            x: try [Scalar](zeros: tape.batch * tape.time * inputSize), state: try initialState(batch: tape.batch),
            parameters: try NamedArrays(summary.parameters))
        try gradients.x.withUnsafeMutableBufferPointer { gradX throws(STPNError) in
            try gradients.state.withMutablePointers { gradInitial throws(STPNError) in
                try runBack(
                    call, tape, gradY, gradState, gradX: gradX.baseAddress, gradInitial, &gradients.parameters)
            }
        }
        return gradients
    }

    /// The gradients for the parameters alone, those of ``backward(_:gradY:gradState:)``, in less time: what a cell needs that
    /// reads the data itself, from a state of zeros on.
    public func backwardParameters(
        _ tape: Tape, gradY: Span<Scalar>?, gradState: NamedArrays<Scalar>? = nil
    ) throws(STPNError) -> NamedArrays<Scalar> {
        var gradients: NamedArrays<Scalar> = try NamedArrays(summary.parameters)
        try runBack(call(tape.batch, tape.time), tape, gradY, gradState, gradX: nil, nil, &gradients)
        return gradients
    }

    /// Runs one step in place, without gradients, for rollouts.
    ///
    /// - Parameters:
    ///   - x: (B,I)
    ///   - state: Replaced by the state after the step. B is its batch.
    ///   - y: (B,H), where the activations are written.
    /// - Throws: ``STPNError`` where an argument does not have the size that it should have.
    public func step(
        _ x: Span<Scalar>, state: inout NamedArrays<Scalar>, y: inout MutableSpan<Scalar>
    ) throws(STPNError) {
        let batch = state.layout.first?.shape.first ?? 0
        let call = try call(batch, 1)
        try check("x", x.count, "(B,I)", [batch, inputSize])
        try check("y", y.count, "(B,H)", [batch, hiddenSize])
        try state.check("state", summary.states, batch: batch)
        let workspace = try memory(call, .measureWorkspace(.step))
        var buffers = stpn_step_buffers()
        buffers.struct_size = MemoryLayout<stpn_step_buffers>.size
        (buffers.workspace, buffers.workspace_size) = (workspace.address, workspace.bytes)
        try x.withUnsafeBufferPointer { x throws(STPNError) in
            try y.withUnsafeMutableBufferPointer { y throws(STPNError) in
                try state.withMutablePointers { state throws(STPNError) in
                    try withParameters { parameters throws(STPNError) in
                        buffers.x = UnsafeRawPointer(x.baseAddress)
                        buffers.y = UnsafeMutableRawPointer(y.baseAddress)
                        (buffers.state, buffers.parameters) = (state, parameters)
                        try checking { () throws(Failure) in try call.step(&buffers) }
                    }
                }
            }
        }
    }

    /// As ``step(_:state:y:)``.
    ///
    /// - Returns: The activations (B,H), in a new array.
    public func step(_ x: Span<Scalar>, state: inout NamedArrays<Scalar>) throws(STPNError) -> [Scalar] {
        var y = try [Scalar](zeros: (state.layout.first?.shape.first ?? 0) * hiddenSize)
        var span = y.mutableSpan
        try step(x, state: &state, y: &span)
        return y
    }
}

// MARK: On the kernel's checked calls

extension PlasticCell {
    /// A call of these sizes; what is computed with them afterwards does not overflow.
    private func call(_ batch: Int, _ time: Int) throws(STPNError) -> Call {
        var description = description
        var run = stpn_run()
        run.struct_size = MemoryLayout<stpn_run>.size
        (run.batch, run.time, run.threads) = (Int64(batch), Int64(time), Int32(clamping: threads))
        return try checking { () throws(Failure) in try Call(&description, &run) }
    }

    private func memory(_ call: Call, _ work: Job.Work) throws(STPNError) -> Memory {
        try Memory(bytes: checking { () throws(Failure) in try call.measure(work) })
    }

    private func withParameters(
        _ body: (UnsafePointer<UnsafeRawPointer?>) throws(STPNError) -> Void
    ) throws(STPNError) {
        try parameters.check("parameters", summary.parameters)
        try parameters.withPointers(body)
    }

    /// A forward pass. y (B,T,H), energy (B,T,H) or nil; returns the final state.
    private func run(
        _ call: Call, _ x: Span<Scalar>, _ state: NamedArrays<Scalar>?, _ resets: Span<Bool>?, tape: Memory? = nil,
        y: inout [Scalar], energy: UnsafeMutablePointer<Scalar>? = nil
    ) throws(STPNError) -> NamedArrays<Scalar> {
        let (B, T) = (call.batch, call.time)
        try check("x", x.count, "(B,T,I)", [B, T, inputSize])
        if let resets { try check("resets", resets.count, "(B,T)", [B, T]) }
        try state?.check("state", summary.states, batch: B)
        let workspace = try memory(call, .measureWorkspace(.forward))
        var final = try initialState(batch: B)
        var buffers = stpn_forward_buffers()
        buffers.struct_size = MemoryLayout<stpn_forward_buffers>.size
        (buffers.workspace, buffers.workspace_size) = (workspace.address, workspace.bytes)
        (buffers.tape, buffers.tape_size) = (tape?.address, tape?.bytes ?? 0)
        buffers.energy = UnsafeMutableRawPointer(energy)
        try x.withUnsafeBufferPointer { x throws(STPNError) in
            try withPointer(resets) { resets throws(STPNError) in
                try y.withUnsafeMutableBufferPointer { y throws(STPNError) in
                    try final.withMutablePointers { final throws(STPNError) in
                        try withPointers(state) { state throws(STPNError) in
                            try withParameters { parameters throws(STPNError) in
                                buffers.x = UnsafeRawPointer(x.baseAddress)
                                buffers.resets = UnsafeRawPointer(resets)?.assumingMemoryBound(to: UInt8.self)
                                buffers.y = UnsafeMutableRawPointer(y.baseAddress)
                                (buffers.final_state, buffers.state) = (final, state)
                                buffers.parameters = parameters
                                try checking { () throws(Failure) in try call.forward(&buffers) }
                            }
                        }
                    }
                }
            }
        }
        return final
    }

    /// A backward pass. gradX (B,T,I) or nil, gradInitial per state or nil.
    private func runBack(
        _ call: Call, _ tape: Tape, _ gradY: Span<Scalar>?, _ gradState: NamedArrays<Scalar>?,
        gradX: UnsafeMutablePointer<Scalar>?, _ gradInitial: UnsafePointer<UnsafeMutableRawPointer?>?,
        _ gradParameters: inout NamedArrays<Scalar>
    ) throws(STPNError) {
        if let gradY { try check("gradY", gradY.count, "(B,T,H)", [call.batch, call.time, hiddenSize]) }
        try gradState?.check("gradState", summary.states, batch: call.batch)
        guard tape.memory.bytes == (try checking { () throws(Failure) in try call.measure(.measureTape) }) else {
            throw STPNError(
                .tape, "tape", "expected the tape of this cell, batch, time and implementation, got another")
        }
        let workspace = try memory(call, .measureWorkspace(.backward))
        var buffers = stpn_backward_buffers()
        buffers.struct_size = MemoryLayout<stpn_backward_buffers>.size
        (buffers.workspace, buffers.workspace_size) = (workspace.address, workspace.bytes)
        (buffers.tape, buffers.tape_size) = (UnsafeRawPointer(tape.memory.address), tape.memory.bytes)
        (buffers.grad_x, buffers.grad_state) = (UnsafeMutableRawPointer(gradX), gradInitial)
        try withPointer(gradY) { gradY throws(STPNError) in
            try withPointers(gradState) { gradFinal throws(STPNError) in
                try gradParameters.withMutablePointers { gradParameters throws(STPNError) in
                    buffers.grad_y = UnsafeRawPointer(gradY)
                    (buffers.grad_final, buffers.grad_parameters) = (gradFinal, gradParameters)
                    try checking { () throws(Failure) in try call.backward(&buffers) }
                }
            }
        }
    }
}

private func check(_ argument: String, _ count: Int, _ letters: String, _ shape: [Int]) throws(STPNError) {
    let expected = shape.reduce(1, *)
    guard count == expected else {
        throw STPNError(.size, argument, "expected \(letters) = \(text(shape)), \(expected) numbers, got \(count)")
    }
}

private func withPointer<Element>(
    _ span: Span<Element>?, _ body: (UnsafePointer<Element>?) throws(STPNError) -> Void
) throws(STPNError) {
    guard let span else { return try body(nil) }
    try span.withUnsafeBufferPointer { buffer throws(STPNError) in try body(buffer.baseAddress) }
}

private func withPointers<Scalar>(
    _ arrays: NamedArrays<Scalar>?, _ body: (UnsafePointer<UnsafeRawPointer?>?) throws(STPNError) -> Void
) throws(STPNError) {
    guard let arrays else { return try body(nil) }
    try arrays.withPointers(body)
}
