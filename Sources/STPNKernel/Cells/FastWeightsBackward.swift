/// A block of samples of fast weights on its way back.
struct FastWeightsBackward<Number: Real>: BackwardBlock {
    typealias Cell = FastWeightsFast<Number>
    typealias Gradients = Cell.Rows
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let history: SynapseHistory<Number>  // rows (Hp) of A
    private let gradA: Pointer  // (samples, synapses)
    private let gradH: Pointer  // (samples, Hp): for h_t, from step t + 1
    private let gradInner: Pointer  // (samples, Hp): for h^s, then for a^s
    private let gradRead: Pointer  // (samples, Hp): for a^{s+1}
    private let gradZ: Pointer  // (samples, Hp)
    private let gradV: Pointer  // (samples, Kp)
    private let gradPrevious: Pointer  // (samples, Hp): for h_{t-1}, from (11)
    private let hidden: Pointer  // (samples, Hp): h^s
    private let hebb: RowSums<Number>  // (samples, Hp)

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        let (Hp, n) = (cell.Hp, samples)
        history = SynapseHistory(&arena, samples: n, rows: cell.H, width: Hp, steps: steps, segments: segments)
        gradA = arena.take(Number.self, n, cell.synapses)
        gradH = arena.take(Number.self, n, Hp)
        gradInner = arena.take(Number.self, n, Hp)
        gradRead = arena.take(Number.self, n, Hp)
        gradZ = arena.take(Number.self, n, Hp)
        gradV = arena.take(Number.self, n, cell.Kp)
        gradPrevious = arena.take(Number.self, n, Hp)
        hidden = arena.take(Number.self, n, Hp)
        hebb = RowSums(&arena, rows: n * Hp)
    }

    // MARK: Recomputing the fast weights

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) {
        history.load(s, state(FastWeights.State.A.rawValue), columns: 0..<cell.H)
    }

    func load(_ s: Int, checkpoint: Int) { history.load(s, checkpoint: checkpoint) }
    func save(_ s: Int, checkpoint: Int, after count: Int) { history.save(s, checkpoint: checkpoint, after: count) }

    func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int) -> Bool) {
        let Hp = cell.Hp
        let (lambda, eta) = (parameters.lambda[0], parameters.gamma[0])
        let previous = trace.previous + trace.row(b, steps.lowerBound) * Hp
        for j in 0..<cell.H {
            history.replay(s, j, steps: steps, reset: reset) { row, run in
                forEachVector(
                    Number.self, width: Hp,
                    Replay(row: row, previous: previous, width: Hp, j: j, lambda: lambda, eta: eta, steps: run))
            }
        }
    }

    private struct Replay: VectorLoop {
        let row: Pointer  // (steps + 1, Hp)
        let previous: Pointer  // (steps, Hp)
        let width: Int
        let j: Int
        let lambda: Number
        let eta: Number
        let steps: Range<Int>

        func run<let N: Int>(_: Samples<N>.Type, _ k: Int) {
            let lanes = Number.Lanes.scalarCount
            var a = InlineArray<N, Number.Lanes> { (row + steps.lowerBound &* width).lanes(k &+ $0 &* lanes) }
            for step in steps {
                let u = previous + step &* width
                let rate = eta * u[j]
                Samples<N>.forEach { i in
                    let at = k &+ i &* lanes
                    a[i] = FastWeightsRow<Number, N>.updated(a[i], lambda: lambda, u: u.lanes(at), rate: rate)
                    (row + (step &+ 1) &* width).store(a[i], at)
                }
            }
        }
    }

    // MARK: Going back

    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        let (H, Hp) = (cell.H, cell.Hp)
        (gradH + s * Hp).copyRows(gradFinal(FastWeights.State.h.rawValue), rows: 1, columns: H, width: Hp)
        (gradA + s * cell.synapses).copyRows(
            gradFinal(FastWeights.State.A.rawValue), rows: H, columns: H, width: Hp)
        hebb.zero(s * Hp, Hp)
    }

    func fireAdjoint(
        _ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients
    ) {
        let Hp = cell.Hp
        (gradInner + s * Hp).copy(gradH + s * Hp, Hp)
        if let gradY { (gradInner + s * Hp).add(gradY, cell.H) }
        (gradZ + s * Hp).zero(Hp)
        activate(s, b, t, inner: cell.S)
        settleAdjoint(s, b, t, inner: cell.S, gradients)
    }

    private func activate(_ s: Int, _ b: Int, _ t: Int, inner: Int) {
        let a = trace.a + cell.inner(inner, trace.row(b, t)) * cell.Hp
        cell.activate(a, parameters, into: hidden + s * cell.Hp)
    }

    /// The gradient for h^s, in gradInner, becomes that for a^s, and adds to that for z. `hidden` is h^s.
    private func settleAdjoint(_ s: Int, _ b: Int, _ t: Int, inner: Int, _ gradients: Gradients) {
        let Hp = cell.Hp
        let gradient = gradInner + s * Hp
        cell.description.activation.adjoint(hidden + s * Hp, gradient, width: Hp)
        if cell.description.layerNorm {
            let at = cell.inner(inner, trace.row(b, t))
            cell.norm.adjoint(
                trace.a + at * Hp, trace.inverse[at], gradient, gain: parameters.layerNormWeight,
                gradGain: gradients.layerNormWeight, gradBias: gradients.layerNormBias)
        }
        (gradZ + s * Hp).add(gradient, Hp)
    }

    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        guard P.reads else { return }
        let Hp = cell.Hp
        (gradPrevious + s * Hp).zero(N * Hp)
        for inner in (0..<cell.S).reversed() {
            for i in 0..<N { activate(s + i, b + i, t, inner: inner) }
            (gradRead + s * Hp).copy(gradInner + s * Hp, N * Hp)
            (gradInner + s * Hp).zero(N * Hp)
            if inner > 0 {
                readAdjoint(No.self, Samples<N>.self, s, b, t, t - origin, gradients)
            } else {
                readAdjoint(Yes.self, Samples<N>.self, s, b, t, t - origin, gradients)
            }
            for i in 0..<N { settleAdjoint(s + i, b + i, t, inner: inner, gradients) }
        }
        inputAdjoint(Samples<N>.self, s, b, t, gradients)
        for i in 0..<N { updateAdjoint(s + i, b + i, t, gradients) }
    }

    /// A h^s of (12) and, where `Updates`, (11)
    private func readAdjoint<Updates: Flag, let N: Int>(
        _: Updates.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, _ t: Int, _ step: Int, _ gradients: Gradients
    ) {
        let (Hp, row, eta) = (cell.Hp, trace.row(b, t), parameters.gamma[0])
        var decay = InlineArray<N, Number.Lanes>(repeating: .zero)
        for j in 0..<cell.H {
            let fast = FastWeightsRow<Number, N>(
                width: Hp, lambda: parameters.lambda[0], A: history.row(s, j, step), stateStride: history.stride,
                previous: trace.previous + row &* Hp, previousStride: trace.slots &* Hp,
                rate: InlineArray { i in eta * trace.previous[(row &+ i &* trace.slots) &* Hp &+ j] },
                inner: hidden + s &* Hp, innerStride: Hp)
            let sums = fast.retreat(
                Updates.self, gradA: gradA + s &* cell.synapses + j &* Hp, gradAStride: cell.synapses,
                gradInner: gradInner + s &* Hp, gradPrevious: gradPrevious + s &* Hp, gradStride: Hp,
                gradDot: InlineArray { i in gradRead[(s &+ i) &* Hp &+ j] })
            guard Updates.value else { continue }
            Samples<N>.forEach { i in
                hebb.store(sums.hebb[i], (s &+ i) &* Hp &+ j)
                decay[i] += sums.decay[i]
            }
        }
        if Updates.value {
            Samples<N>.forEach { i in gradients.lambda[0] += horizontalSum(decay[i], Number.self) }
        }
    }

    /// W v of (12)
    private func inputAdjoint<let N: Int>(
        _: Samples<N>.Type, _ s: Int, _ b: Int, _ t: Int, _ gradients: Gradients
    ) {
        let (Kp, Hp) = (cell.Kp, cell.Hp)
        (gradV + s * Kp).zero(N * Kp)
        for j in 0..<cell.H {
            let slow = DenseRow<Number, N>(
                width: Kp, weight: parameters.weight + j &* Kp, v: trace.v + trace.row(b, t) &* Kp,
                stride: trace.slots &* Kp)
            slow.readAdjoint(
                InlineArray { i in gradZ[(s &+ i) &* Hp &+ j] }, gradWeight: gradients.weight + j &* Kp,
                gradV: gradV + s &* Kp, gradStride: Kp)
        }
        for i in 0..<N { gradients.bias.add(gradZ + (s + i) * Hp, Hp) }
    }

    /// What (11) passes to h_{t-1} as the neurons' own, and to η.
    private func updateAdjoint(_ s: Int, _ b: Int, _ t: Int, _ gradients: Gradients) {
        let Hp = cell.Hp
        let previous = trace.previous + trace.row(b, t) * Hp
        hebb.add(s * Hp, cell.H)
        hebb.addTotals(s * Hp, to: gradPrevious + s * Hp, times: parameters.gamma[0], Hp)
        gradients.gamma[0] += hebb.dot(s * Hp, previous, Hp)
    }

    func leave(_ s: Int, gradX: Pointer?) {
        let (v, gradH) = (gradV + s * cell.Kp, gradH + s * cell.Hp)
        gradX?.copy(v, cell.I)
        gradH.copy(gradPrevious + s * cell.Hp, cell.Hp)
        gradH.add(v + cell.I, cell.H)
    }

    func reset(_ s: Int) {
        (gradH + s * cell.Hp).zero(cell.Hp)
        (gradA + s * cell.synapses).zero(cell.synapses)
    }

    func turn(_ s: Int) {}

    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        gradState(FastWeights.State.h.rawValue)?.copy(gradH + s * Hp, H)
        guard let target = gradState(FastWeights.State.A.rawValue) else { return }
        for j in 0..<H { (target + j * H).copy(gradA + s * cell.synapses + j * Hp, H) }
    }
}
