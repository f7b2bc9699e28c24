import CSTPN

/// The equations of one step of one sample, as a cell writes them out for the plain kernel.
protocol Equations {
    associatedtype T: Real
    associatedtype Description: CellDescription

    init(_ cell: Description, parameters: Concatenation<T>)

    /// One step: `x` (I) and the states `before` give the states `after`, `y` (H), and `energy` (H) where it is wanted.
    func step(
        x: UnsafePointer<T>, before: Concatenation<T>, after: Concatenation<T>, y: UnsafeMutablePointer<T>,
        energy: UnsafeMutablePointer<T>?)

    /// The adjoint of `step`, in the reverse order of its equations.
    ///
    /// `gradY` (H) and `gradAfter` hold the gradients for y and the states after the step.
    /// `gradX` (I) and `gradBefore` receive those for x and the states before; `gradParameters` accumulates.
    func stepAdjoint(
        x: UnsafePointer<T>, before: Concatenation<T>, gradY: UnsafePointer<T>, gradAfter: Concatenation<T>,
        gradX: UnsafeMutablePointer<T>, gradBefore: Concatenation<T>, gradParameters: Concatenation<T>)
}

/// What the plain kernel keeps for its backward pass: copies of what the forward pass was given.
struct PlainTape<T: Real> {
    let parameters: Concatenation<T>
    let x: UnsafeMutablePointer<T>  // (B,T,I)
    let states: UnsafeMutablePointer<T>  // (B, all states)
    let resets: UnsafeMutablePointer<UInt8>  // (B,T)
}

/// The plain kernel: runs a cell's equations over samples and steps on one thread. Going back through time it keeps every
/// state of one sample.
struct PlainSequence<E: Equations>: SequenceKernel {
    typealias Real = E.T
    typealias Arrays = Concatenation<Real>

    let cell: E.Description
    let parameters: [ArrayInfo]
    let states: [ArrayInfo]
    /// The number of elements of all states of a sample.
    let S: Int
    let B: Int
    let T: Int
    let I: Int
    let H: Int

    init(_ cell: E.Description, batch: Int, time: Int) {
        self.cell = cell
        (parameters, states) = (cell.parameters, cell.states)
        S = states.reduce(0) { $0 + $1.shape.count }
        (B, T, I, H) = (batch, time, cell.inputSize, cell.hiddenSize)
    }

    private func takeParameters(_ arena: inout Arena) -> Arrays {
        Arrays(arena.take(Real.self, parameters.reduce(0) { $0 + $1.shape.count }), parameters)
    }

    private func takeStates(_ arena: inout Arena) -> Arrays {
        Arrays(arena.take(Real.self, S), states)
    }

    func tape(_ arena: inout Arena) -> PlainTape<Real> {
        PlainTape(
            parameters: takeParameters(&arena), x: arena.take(Real.self, B, T, I), states: arena.take(Real.self, B, S),
            resets: arena.take(UInt8.self, B, T))
    }

    // MARK: Forward

    struct ForwardScratch {
        let parameters: Arrays
        let before: Arrays
        let after: Arrays
        let y: UnsafeMutablePointer<Real>  // (H)
    }

    func forwardScratch(_ arena: inout Arena, _ tape: PlainTape<Real>?) -> ForwardScratch {
        ForwardScratch(
            parameters: takeParameters(&arena), before: takeStates(&arena), after: takeStates(&arena),
            y: arena.take(Real.self, H))
    }

    func forward(_ buffers: stpn_forward_buffers, _ scratch: ForwardScratch, _ tape: PlainTape<Real>?) {
        scratch.parameters.load { buffers.parameters.array($0, Real.self) }
        let equations = E(cell, parameters: scratch.parameters)
        // NULL where they have no elements
        let x = buffers.x?.assumingMemoryBound(to: Real.self)
        let y = buffers.y?.assumingMemoryBound(to: Real.self)
        let energy = buffers.energy?.assumingMemoryBound(to: Real.self)
        for b in 0..<B {
            var (before, after) = (scratch.before, scratch.after)
            before.load { buffers.state.array($0, Real.self, sample: b, of: states[$0]) }
            tape?.states.advanced(by: b * S).copy(before.base, S)
            for t in 0..<T {
                let bt = b * T + t
                let reset = buffers.resets?[bt] ?? 0
                if reset != 0 { before.base.zero(S) }
                tape?.resets[bt] = reset
                equations.step(
                    x: x! + bt * I, before: before, after: after, y: y! + bt * H, energy: energy.map { $0 + bt * H })
                swap(&before, &after)
            }
            before.save { buffers.final_state.array($0, Real.self, sample: b, of: states[$0]) }
        }
        if let tape {
            tape.parameters.copy(scratch.parameters)
            if let x { tape.x.copy(x, B * T * I) }
        }
    }

    // MARK: Backward

    struct BackwardScratch {
        let before: UnsafeMutablePointer<Real>  // (T, all states), before each step
        let y: UnsafeMutablePointer<Real>  // (H)
        let gradY: UnsafeMutablePointer<Real>  // (H)
        let gradX: UnsafeMutablePointer<Real>  // (I)
        let gradAfter: Arrays
        let gradBefore: Arrays
        let gradParameters: Arrays
    }

    func backwardScratch(_ arena: inout Arena, _ tape: PlainTape<Real>) -> BackwardScratch {
        BackwardScratch(
            before: arena.take(Real.self, min(B, 1), T, S), y: arena.take(Real.self, H),
            gradY: arena.take(Real.self, H), gradX: arena.take(Real.self, I), gradAfter: takeStates(&arena),
            gradBefore: takeStates(&arena), gradParameters: takeParameters(&arena))
    }

    func backward(_ buffers: stpn_backward_buffers, _ scratch: BackwardScratch, _ tape: PlainTape<Real>) {
        let equations = E(cell, parameters: tape.parameters)
        scratch.gradParameters.load { _ in nil }
        for b in 0..<B {
            replay(b, equations, tape, scratch)
            backward(b, equations, buffers, tape, scratch)
        }
        scratch.gradParameters.save { buffers.grad_parameters.array($0, Real.self) }
    }

    private func before(_ t: Int, _ scratch: BackwardScratch) -> Arrays {
        Arrays(scratch.before + t * S, states)
    }

    /// The states of sample b before every step; where it was reset, what it was reset to.
    private func replay(_ b: Int, _ equations: E, _ tape: PlainTape<Real>, _ scratch: BackwardScratch) {
        if T > 0 { scratch.before.copy(tape.states + b * S, S) }
        for t in 0..<T {
            if tape.resets[b * T + t] != 0 { before(t, scratch).base.zero(S) }
            if t + 1 < T {
                equations.step(
                    x: tape.x + (b * T + t) * I, before: before(t, scratch), after: before(t + 1, scratch),
                    y: scratch.y,
                    energy: nil)
            }
        }
    }

    private func backward(
        _ b: Int, _ equations: E, _ buffers: stpn_backward_buffers, _ tape: PlainTape<Real>,
        _ scratch: BackwardScratch
    ) {
        var (gradAfter, gradBefore) = (scratch.gradAfter, scratch.gradBefore)
        gradAfter.load { buffers.grad_final.array($0, Real.self, sample: b, of: states[$0]) }
        for t in (0..<T).reversed() {
            let bt = b * T + t
            if let gradY = buffers.grad_y?.assumingMemoryBound(to: Real.self) {
                scratch.gradY.copy(gradY + bt * H, H)
            } else {
                scratch.gradY.zero(H)
            }
            equations.stepAdjoint(
                x: tape.x + bt * I, before: before(t, scratch), gradY: scratch.gradY, gradAfter: gradAfter,
                gradX: scratch.gradX, gradBefore: gradBefore, gradParameters: scratch.gradParameters)
            if let gradX = buffers.grad_x?.assumingMemoryBound(to: Real.self) {
                (gradX + bt * I).copy(scratch.gradX, I)
            }
            if tape.resets[bt] != 0 { gradBefore.base.zero(S) }
            swap(&gradAfter, &gradBefore)
        }
        gradAfter.save { buffers.grad_state.array($0, Real.self, sample: b, of: states[$0]) }
    }

    // MARK: Step

    func stepScratch(_ arena: inout Arena) -> ForwardScratch {
        forwardScratch(&arena, nil)
    }

    func step(_ buffers: stpn_step_buffers, _ scratch: ForwardScratch) {
        scratch.parameters.load { buffers.parameters.array($0, Real.self) }
        let equations = E(cell, parameters: scratch.parameters)
        let x = buffers.x?.assumingMemoryBound(to: Real.self)
        let y = buffers.y?.assumingMemoryBound(to: Real.self)
        let energy = buffers.energy?.assumingMemoryBound(to: Real.self)
        for b in 0..<B {
            scratch.before.load { UnsafePointer(buffers.state.array($0, Real.self, sample: b, of: states[$0])) }
            equations.step(
                x: x! + b * I, before: scratch.before, after: scratch.after, y: scratch.y,
                energy: energy.map { $0 + b * H })
            scratch.after.save { buffers.state.array($0, Real.self, sample: b, of: states[$0]) }
            y.map { $0 + b * H }?.copy(scratch.y, H)
        }
    }
}
