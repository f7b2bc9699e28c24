/// A block of samples of fast weights on its way back.
struct FastWeightsBackward<Number: Real>: BackwardBlock {
    typealias Cell = FastWeightsFast<Number>
    typealias Gradients = Cell.Gradients
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Parameters
    private let trace: Cell.Trace
    private let A: LinearMemoryAdjoint<Number>
    private let gradH: Pointer  // (samples, Hp): for h_t, from step t + 1
    private let gradInner: Pointer  // (samples, Hp): for h^s, then for a^s
    private let gradZ: Pointer  // (samples, steps, Hp)
    private let gradV: Pointer  // (samples, Kp)
    private let hidden: Pointer  // (samples, Hp): h^S
    /// The most of a segment
    private let steps: Int

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Parameters, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        self.steps = steps
        let (Hp, n) = (cell.Hp, samples)
        A = LinearMemoryAdjoint(
            &arena, parameters.decays, samples: n, rows: cell.H, width: Hp, lead: 1, reads: cell.S,
            segments: segments)
        gradH = arena.take(Number.self, n, Hp)
        gradInner = arena.take(Number.self, n, Hp)
        gradZ = arena.take(Number.self, n, steps, Hp)
        gradV = arena.take(Number.self, n, cell.Kp)
        hidden = arena.take(Number.self, n, Hp)
    }

    // MARK: The fast weights before a segment

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) {
        A.load(s, state(FastWeights.State.A.rawValue), columns: cell.H)
    }

    func load(_ s: Int, checkpoint: Int) { A.load(s, checkpoint: checkpoint) }

    func replay(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        for s in samples { replay(s, b + s, steps: steps, reset: reset) }
    }

    private func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        A.begin(s, steps: steps.count) { reset(s, steps.lowerBound + $0) }
    }

    func save(_ s: Int, _ b: Int, checkpoint: Int, steps: Range<Int>) {
        let previous = previous(b, origin: steps.lowerBound, count: steps.count)
        A.save(s, checkpoint: checkpoint, post: previous, pre: previous)
    }

    /// h_{t-1} of steps of a segment
    private func previous(_ b: Int, origin: Int, count: Int) -> RowMatrix<Number> {
        RowMatrix(
            rows: trace.previous + trace.row(b, origin) &* cell.Hp, stride: cell.Hp, count: count, width: cell.Hp)
    }

    // MARK: Going back

    @inline(never)
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        let (H, Hp) = (cell.H, cell.Hp)
        (gradH + s * Hp).copyRows(gradFinal(FastWeights.State.h.rawValue), rows: 1, columns: H, width: Hp)
        A.begin(s, gradFinal: gradFinal(FastWeights.State.A.rawValue), columns: H)
    }

    @inline(never)
    func fireAdjoint(
        _ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients
    ) {
        let (Hp, before) = (cell.Hp, cell.inner(0, trace.row(b, t) &- 1))
        UnsafePointer(trace.a).prefetch(before &* Hp, (cell.S &+ 1) &* Hp)
        (gradInner + s * Hp).copy(gradH + s * Hp, Hp)
        if let gradY {
            gradY.prefetch(-cell.H, cell.H)
            (gradInner + s * Hp).add(gradY, cell.H)
        }
        gradZ(s, t &- origin).zero(Hp)
        let hidden = hidden + s * Hp
        activate(b, t, inner: cell.S, into: hidden)
        settleAdjoint(s, b, t, origin, inner: cell.S, hidden, gradients)
    }

    private func activate(_ b: Int, _ t: Int, inner: Int, into hidden: Pointer) {
        cell.activate(trace.a + cell.inner(inner, trace.row(b, t)) * cell.Hp, parameters, into: hidden)
    }

    private func gradZ(_ s: Int, _ step: Int) -> Pointer { gradZ + (s &* steps &+ step) &* cell.Hp }

    /// The gradient for h^s, in gradInner, becomes that for a^s, and adds to that for z. `hidden` is h^s.
    private func settleAdjoint(
        _ s: Int, _ b: Int, _ t: Int, _ origin: Int, inner: Int, _ hidden: Pointer, _ gradients: Gradients
    ) {
        let (Hp, at) = (cell.Hp, cell.inner(inner, trace.row(b, t)))
        let (a, gradient) = (trace.a + at * Hp, gradInner + s * Hp)
        cell.description.activation.adjoint(hidden, gradient, width: Hp)
        if cell.description.layerNorm {
            cell.norm.adjoint(
                a, trace.inverse[at], gradient, gain: parameters.layerNormWeight,
                gradGain: gradients.layerNormWeight, gradBias: gradients.layerNormBias)
        }
        gradZ(s, t &- origin).add(gradient, Hp)
    }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        guard P.reads else { return }
        for i in 0..<N { readAdjoint(s + i, b + i, t, origin, gradients) }
        let gradV = gradV + s * cell.Kp
        gradV.zero(N * cell.Kp)
        parameters.input.addAdjoint(gradZ(s, t &- origin), stride: steps * cell.Hp, rows: N, to: gradV)
        for i in 0..<N {
            updateAdjoint(s + i, b + i, t, origin, gradients)
            if t == origin { endSegment(s + i, b + i, t, gradients) }
        }
    }

    /// A h^s of (12)
    private func readAdjoint(_ s: Int, _ b: Int, _ t: Int, _ origin: Int, _ gradients: Gradients) {
        let (Hp, step) = (cell.Hp, t &- origin)
        let previous = previous(b, origin: origin, count: step &+ 1)
        let gradInner = gradInner + s * Hp
        for inner in (0..<cell.S).reversed() {
            A.gradRead(s, step: step, inner).copy(gradInner, Hp)
            gradInner.zero(Hp)
            let key = A.key(s, step: step, inner)
            activate(b, t, inner: inner, into: key)
            A.readAdjoint(
                s, step: step, inner, post: previous, pre: previous, gradKey: gradInner,
                gradients.rates)
            settleAdjoint(s, b, t, origin, inner: inner, key, gradients)
        }
    }

    /// (11)
    private func updateAdjoint(_ s: Int, _ b: Int, _ t: Int, _ origin: Int, _ gradients: Gradients) {
        let previous = previous(b, origin: origin, count: t &- origin &+ 1)
        let gradH = gradH + s * cell.Hp
        gradH.zero(cell.Hp)
        A.updateAdjoint(
            s, step: t &- origin, post: previous, pre: previous, gradPost: gradH, gradPre: gradH,
            gradients.rates)
    }

    /// What is summed over a segment at once, when its first step t was gone through.
    private func endSegment(_ s: Int, _ b: Int, _ t: Int, _ gradients: Gradients) {
        gradients.input.add(gradZ(s, 0), trace.v + trace.row(b, t) * cell.Kp, steps: A.steps(s))
        A.endAdjoint(s, gradients.rates)
        if t > 0 { A.finish(s) }
    }

    func leave(_ s: Int, t: Int, origin: Int, gradX: Pointer?) {
        let v = gradV + s * cell.Kp
        gradX?.copy(v, cell.I)
        (gradH + s * cell.Hp).add(v + cell.I, cell.H)
    }

    @inline(never)
    func reset(_ s: Int, t: Int, origin: Int) {
        (gradH + s * cell.Hp).zero(cell.Hp)
        A.reset(s, step: t - origin)
    }

    func turn(_ s: Int) {}

    @inline(never)
    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        gradState(FastWeights.State.h.rawValue)?.copy(gradH + s * Hp, H)
        guard let target = gradState(FastWeights.State.A.rawValue) else { return }
        let gradA = A.finish(s)
        for j in 0..<H { (target + j * H).copy(gradA + j * Hp, H) }
    }
}
