/// A block of samples of a slice of feed-forward neurons on its way back.
struct STPNSlicedBackward<Number: Real>: BackwardBlock {
    typealias Cell = STPNSliced<Number>
    typealias Gradients = Cell.Rows
    typealias Pointer = UnsafeMutablePointer<Number>
    typealias V = Number.Lanes

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let history: SynapseHistory<Number>  // of X, (M,K,L) as one row
    private let gradX: Pointer  // (samples, synapses)
    private let gradV: Pointer  // (samples, K, L): for x_t, still to be summed over L
    private let gradU: Pointer  // (samples, K, L): for x of the step before, from its update
    private let gradDot: Pointer  // (samples, M·L)
    private let gradNorm: Pointer  // (samples, M·L): the factor of G in its gradient through the norm
    private let hebb: Pointer  // (samples, M·L)
    private let decay: Pointer  // (samples, M·L)
    private let gradA: Pointer  // (M·L): of one sample
    private var slice = 0

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        let (n, L) = (samples, cell.L)
        history = SynapseHistory(
            &arena, samples: n, rows: 1, width: cell.synapses, steps: steps, segments: segments)
        gradX = arena.take(Number.self, n, cell.synapses)
        gradV = arena.take(Number.self, n, cell.K, L)
        gradU = arena.take(Number.self, n, cell.K, L)
        gradDot = arena.take(Number.self, n, cell.width)
        gradNorm = arena.take(Number.self, n, cell.width)
        hebb = arena.take(Number.self, n, cell.width)
        decay = arena.take(Number.self, n, cell.width)
        gradA = arena.take(Number.self, cell.width)
    }

    func slice(_ index: Int, wantsGradX: Bool) -> Self {
        var block = self
        block.slice = index
        return block
    }

    private var L: Int { cell.L }
    private var width: Int { cell.width }

    /// Where the slice stands in a row (Hp) of the trace.
    private func at(_ row: Int) -> Int { row &* cell.Hp &+ slice &* width }

    // MARK: Recomputing the synapses

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) {
        cell.load(history.row(s, 0, 0).start, state(0), slice)
    }
    func load(_ s: Int, checkpoint: Int) { history.load(s, checkpoint: checkpoint) }
    func save(_ s: Int, _ b: Int, checkpoint: Int, steps: Range<Int>) {
        history.save(s, checkpoint: checkpoint, after: steps.count)
    }

    func replay(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        for s in samples { replay(s, b + s, steps: steps, reset: reset) }
    }

    private func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        let row = trace.row(b, steps.lowerBound)
        history.replay(s, steps: steps, reset: reset) { run in
            let X = history.row(s, 0, 0).start
            cell.description.withRule(Replay(block: self, X: X, b: b, t: steps.lowerBound, row: row, steps: run))
        }
    }

    private struct Replay: STPNRulePass {
        let block: STPNSlicedBackward
        let X: Pointer  // (steps + 1, synapses)
        let b: Int
        /// The first step of the replay, and its row in the trace
        let t: Int
        let row: Int
        let steps: Range<Int>

        func run<R: STPNRule>(_: R.Type) {
            for m in 0..<block.cell.vectors(block.slice) { run(R.self, m) }
        }

        private func run<R: STPNRule>(_: R.Type, _ m: Int) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let (K, L) = (cell.K, cell.L)
            let first = (block.slice &* cell.M &+ m) &* K &* L
            let neuron = block.slice &* cell.width &+ m &* L
            let X = X + m &* K &* L
            let bound = V(repeating: cell.clamp)
            for step in steps {
                let h = trace.h.lanes((row &+ step) &* cell.Hp &+ neuron)
                let scale = R.dividesBefore || R.dividesAfter ? cell.scale(trace, b, t &+ step, neuron) : .zero
                let (from, to) = (X + step &* block.history.stepStride, X + (step &+ 1) &* block.history.stepStride)
                let u = trace.x + (row &+ step) &* K
                var k = 0
                while k < K {
                    let x = updated(
                        from.lanes(k &* L), lambda: (parameters.lambda + first).lanes(k &* L),
                        gamma: (parameters.gamma + first).lanes(k &* L), u: V(repeating: u[k]), h: h, scale: scale,
                        bound: bound, R.self, Number.self)
                    to.store(x, k &* L)
                    k &+= 1
                }
            }
        }
    }

    // MARK: Going back

    @inline(never)
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        cell.load(gradX + s * cell.synapses, gradFinal(0), slice)
        (gradV + s * cell.K * L).zero(cell.K * L)
        (gradU + s * cell.K * L).zero(cell.K * L)
        (gradNorm + s * width).zero(width)
        clearUpdate(s)
    }

    /// Nothing comes from the update of the step before.
    private func clearUpdate(_ s: Int) {
        (hebb + s * width).zero(width)
        (decay + s * width).zero(width)
    }

    @inline(never)
    func fireAdjoint(
        _ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients
    ) {
        let at = at(trace.row(b, t))
        let neurons = cell.neurons(slice)
        let count = cell.vectors(slice) * L
        gradA.copy(hebb + s * width, count)
        if let gradY {
            gradA.add(gradY + neurons.lowerBound, neurons.count)
            // A slice takes a part of each row: the processor does not see what comes next.
            gradY.prefetch(neurons.lowerBound - Self.stepsAhead * cell.H, neurons.count)
        }
        cell.description.activation.adjoint(trace.h + at, gradA, width: count)
        (gradients.bias + slice * width).add(gradA, count)
        var j = 0
        while j < count {
            divideAdjoint(s * width + j, at + j, gradA.lanes(j))
            j += L
        }
    }

    /// (3), (2): from the gradient for a to that for the dot product and that for the norm. `at`: in the trace
    private func divideAdjoint(_ j: Int, _ at: Int, _ ga: V) {
        guard cell.normalizes else { return gradDot.store(ga, j) }
        let (length, one) = (trace.length.lanes(at), V(repeating: 1))
        let inverse = inverse(length, gain: one, Number.self)
        var products = ga * trace.ratio.lanes(at)
        if cell.dividesBefore { products += decay.lanes(j) * inverse }
        gradDot.store(ga * inverse, j)
        gradNorm.store(-products * inverse * unit(length, gain: one, Number.self), j)
    }

    private static var stepsAhead: Int { 2 }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        if N == 1 && P.updates && P.reads {
            pass(Read.self, Samples<1>.self, s, b, t: t, origin: origin, gradients)
            pass(Update.self, Samples<1>.self, s, b, t: t, origin: origin, gradients)
        } else {
            cell.description.withRule(
                Pass<P, N>(block: self, gradients: gradients, s: s, b: b, t: t, origin: origin))
        }
    }

    private struct Pass<P: Phase, let N: Int>: STPNRulePass {
        let block: STPNSlicedBackward
        let gradients: Gradients
        let s: Int
        let b: Int
        let t: Int
        let origin: Int

        func run<R: STPNRule>(_: R.Type) {
            for m in 0..<block.cell.vectors(block.slice) { run(R.self, m) }
        }

        private func run<R: STPNRule>(_: R.Type, _ m: Int) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let (K, L) = (cell.K, cell.L)
            let now = P.reads ? trace.row(b, t) : 0
            let before = P.updates ? trace.row(b, t - 1) : 0
            let first = (block.slice &* cell.M &+ m) &* K &* L
            let neuron = block.slice &* cell.width &+ m &* L
            func at(_ i: Int) -> Int { (s &+ i) &* cell.width &+ m &* L }
            let columns = STPNColumns<Number, N>(
                count: K, weight: parameters.weight + first, lambda: parameters.lambda + first,
                gamma: parameters.gamma + first, clamp: cell.clamp,
                X: block.history.row(s, 0, t &- origin).start + m &* K &* L, stateStride: block.history.stride,
                v: trace.x + now &* K, u: trace.x + before &* K, rowStride: trace.slots &* K,
                h: InlineArray { i in
                    P.updates ? trace.h.lanes((before &+ i &* trace.slots) &* cell.Hp &+ neuron) : .zero
                },
                scale: InlineArray { i in
                    R.dividesAfter || R.dividesBefore && P.reads
                        ? cell.scale(trace, b &+ i, t, neuron) : V(repeating: 1)
                })
            let adjoint = STPNAdjointColumns<Number, N>(
                columns: columns, stepStride: block.history.stepStride,
                gradX: block.gradX + s &* cell.synapses + m &* K &* L,
                gradStride: cell.synapses, gradV: block.gradV + s &* K &* L, gradU: block.gradU + s &* K &* L,
                gradWeight: gradients.weight + first, gradLambda: gradients.lambda + first,
                gradGamma: gradients.gamma + first, gradDot: InlineArray { i in block.gradDot.lanes(at(i)) },
                gradNorm: InlineArray { i in block.gradNorm.lanes(at(i)) },
                postUnit: InlineArray { i in
                    guard R.dividesAfter else { return .zero }
                    let length = trace.postLength.lanes(trace.postRow(b &+ i, t) &* cell.Hp &+ neuron)
                    return unit(length, gain: V(repeating: 1), Number.self)
                })
            let sums = adjoint.retreat(R.self, P.self)
            guard P.updates else { return }
            Samples<N>.forEach { i in
                block.hebb.store(sums.hebb[i], at(i))
                if R.dividesBefore { block.decay.store(sums.decay[i], at(i)) }
            }
        }
    }

    func leave(_ s: Int, t: Int, origin: Int, gradX: Pointer?) {
        guard let gradX else { return }
        if slice == 0 { gradX.zero(cell.K) }
        for k in 0..<cell.K { gradX[k] += horizontalSum(gradV.lanes((s * cell.K + k) * L), Number.self) }
    }

    @inline(never)
    func reset(_ s: Int, t: Int, origin: Int) {
        (gradX + s * cell.synapses).zero(cell.synapses)
        clearUpdate(s)
    }

    func turn(_ s: Int) {
        let (v, u) = (gradV + s * cell.K * L, gradU + s * cell.K * L)
        v.copy(u, cell.K * L)
        u.zero(cell.K * L)
    }

    @inline(never)
    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        guard let F = gradState(0) else { return }
        cell.store(gradX + s * cell.synapses, F, slice) { _ in 1 }
    }
}
