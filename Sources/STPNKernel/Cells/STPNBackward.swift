/// A block of samples of the fast STPN on its way back.
struct STPNBackward<Number: Real>: BackwardBlock {
    typealias Cell = STPNFast<Number>
    typealias Gradients = Cell.Rows
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    /// Of the block
    private let samples: Int
    /// The most steps that are replayed at a time
    private let steps: Int
    private let X: Pointer  // (samples, H, steps + 1, Kp): before every step that is replayed and after the last
    private let checkpoints: Pointer  // (segments - 1, samples, synapses): where all but the first begin
    private let gradX: Pointer  // (samples, synapses)
    private let gradV: Pointer  // (samples, Kp): for the presynaptic vector of this step
    private let gradU: Pointer  // (samples, Kp): of the step before
    private let gradH: Pointer  // (samples, Hp): for h_t, from step t + 1
    private let gradDot: Pointer  // (samples, Hp)
    private let gradNorm: Pointer  // (samples, Hp): over the norm
    private let hebb: RowSums<Number>  // (samples, Hp)
    private let decay: RowSums<Number>  // (samples, Hp)
    private let rowH: Pointer  // (steps): h_j of the steps of a segment
    private let rowScale: Pointer  // (steps)

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        let (Kp, Hp, n) = (cell.Kp, cell.Hp, samples)
        (self.samples, self.steps) = (samples, steps)
        X = arena.take(Number.self, n, cell.H, steps + 1, Kp)
        checkpoints = arena.take(Number.self, segments - 1, n, cell.synapses)
        gradX = arena.take(Number.self, n, cell.synapses)
        gradV = arena.take(Number.self, n, Kp)
        gradU = arena.take(Number.self, n, Kp)
        gradH = arena.take(Number.self, n, Hp)
        gradDot = arena.take(Number.self, n, Hp)
        gradNorm = arena.take(Number.self, n, Hp)
        hebb = RowSums(&arena, rows: n * Hp)
        decay = RowSums(&arena, rows: n * Hp)
        rowH = arena.take(Number.self, steps)
        rowScale = arena.take(Number.self, steps)
    }

    // MARK: Recomputing the synapses

    /// Row j of the synapses before step `step` of the segment.
    @inline(__always)
    private func synapses(_ s: Int, _ j: Int, _ step: Int) -> Pointer {
        X + ((s &* cell.H &+ j) &* (steps &+ 1) &+ step) &* cell.Kp
    }

    private func checkpoint(_ s: Int, _ index: Int) -> Pointer {
        checkpoints + ((index - 1) * samples + s) * cell.synapses
    }

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) {
        let F = state(STPN.State.F.rawValue)
        for j in 0..<cell.H {
            let row = synapses(s, j, 0)
            if let F { row.copyPadded(F + j * cell.K, cell.K, cell.Kp) } else { row.zero(cell.Kp) }
        }
    }

    func load(_ s: Int, checkpoint index: Int) {
        for j in 0..<cell.H {
            synapses(s, j, 0).copy(checkpoint(s, index) + j * cell.Kp, cell.Kp)
        }
    }

    func save(_ s: Int, checkpoint index: Int, after count: Int) {
        for j in 0..<cell.H {
            (checkpoint(s, index) + j * cell.Kp).copy(synapses(s, j, count), cell.Kp)
        }
    }

    func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int) -> Bool) {
        let v = trace.v + trace.row(b, steps.lowerBound) * cell.Kp
        for j in 0..<cell.H {
            gatherRow(b, j, steps)
            let row = synapses(s, j, 0)
            var first = 0
            for step in 0...steps.count where step == steps.count || reset(steps.lowerBound + step) {
                cell.description.withRule(Replay(block: self, row: row, v: v, j: j, steps: first..<step))
                if step < steps.count { (row + step * cell.Kp).zero(cell.Kp) }
                first = step
            }
        }
    }

    /// h_j and the scale of F̃ of every step.
    private func gatherRow(_ b: Int, _ j: Int, _ steps: Range<Int>) {
        for (i, t) in steps.enumerated() {
            let row = trace.row(b, t) * cell.Hp + j
            rowH[i] = trace.h[row]
            rowScale[i] =
                if cell.description.dividesBefore {
                    trace.inverse[row]
                } else if cell.description.dividesAfter {
                    trace.scale[trace.scaleRow(b, t) * cell.Hp + j]
                } else {
                    1
                }
        }
    }

    /// One row through steps without a reset between them, a vector at a time and so without loads of what it was.
    private struct Replay: STPNRulePass {
        let block: STPNBackward
        let row: Pointer  // (steps + 1, Kp)
        let v: Pointer  // (steps, Kp)
        let j: Int
        let steps: Range<Int>

        func run<R: STPNRule>(_: R.Type) {
            let (Kp, parameters) = (block.cell.Kp, block.parameters)
            var k = 0
            while k < Kp {
                let lambda = (parameters.lambda + j &* Kp).lanes(k)
                let gamma = (parameters.gamma + j &* Kp).lanes(k)
                var x = (row + steps.lowerBound &* Kp).lanes(k)
                for step in steps {
                    x = updated(
                        x, lambda: lambda, gamma: gamma, u: (v + step &* Kp).lanes(k), h: block.rowH[step],
                        scale: block.rowScale[step], clamp: block.cell.clamp, R.self)
                    (row + (step &+ 1) &* Kp).store(x, k)
                }
                k &+= Number.Lanes.scalarCount
            }
        }
    }

    // MARK: Going back

    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        let Hp = cell.Hp
        if let gradH = gradFinal(STPN.State.h.rawValue) {
            (self.gradH + s * Hp).copyPadded(gradH, cell.H, Hp)
        } else {
            (gradH + s * Hp).zero(Hp)
        }
        cell.loadSynapses(gradX + s * cell.synapses, gradFinal(STPN.State.F.rawValue))
        (gradV + s * cell.Kp).zero(cell.Kp)
        (gradU + s * cell.Kp).zero(cell.Kp)
        (gradDot + s * Hp).zero(Hp)
        (gradNorm + s * Hp).zero(Hp)
        hebb.zero(s * Hp, Hp)
        decay.zero(s * Hp, Hp)
    }

    func fireAdjoint(_ s: Int, _ b: Int, t: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients) {
        let Hp = cell.Hp
        let row = trace.row(b, t) * Hp
        if let gradY { (gradH + s * Hp).add(gradY, cell.H) }
        hebb.add(s * Hp, cell.H)
        if cell.description.dividesBefore { decay.add(s * Hp, cell.H) }
        var j = 0
        while j < Hp {
            let h = (trace.h + row).lanes(j)
            let P = hebb.lanes(s * Hp + j)
            let ga = ((gradH + s * Hp).lanes(j) + P) * (1 - h * h)
            gradients.bias.store(gradients.bias.lanes(j) + ga, j)
            if cell.description.normalizes {
                let inverse = (trace.inverse + row).lanes(j)
                var products = ga * (trace.ratio + row).lanes(j)
                if cell.description.dividesBefore { products += decay.lanes(s * Hp + j) * inverse }
                (gradDot + s * Hp).store(ga * inverse, j)
                (gradNorm + s * Hp).store(-products * inverse * unit(inverse, Number.self), j)
            } else {
                (gradDot + s * Hp).store(ga, j)
            }
            j += Number.Lanes.scalarCount
        }
    }

    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        cell.description.withRule(Pass<P, N>(block: self, gradients: gradients, s: s, b: b, t: t, origin: origin))
    }

    private struct Pass<P: Phase, let N: Int>: STPNRulePass {
        let block: STPNBackward
        let gradients: Gradients
        let s: Int
        let b: Int
        let t: Int
        let origin: Int

        func run<R: STPNRule>(_: R.Type) {
            let (cell, trace) = (block.cell, block.trace)
            let (Kp, Hp) = (cell.Kp, cell.Hp)
            let now = P.reads ? trace.row(b, t) : 0
            let before = P.updates ? trace.row(b, t - 1) : 0
            let scales = R.dividesAfter ? trace.scaleRow(b, t) : 0
            // Behind the last step there is no presynaptic vector to read: the one that has just been used is the next to leave.
            let ended = P.reads ? block.gradU : block.gradV
            for j in 0..<cell.H {
                let postScale = InlineArray<N, Number> { i in
                    R.dividesAfter ? trace.scale[(scales &+ i &* (trace.slots &+ 1)) &* Hp &+ j] : 1
                }
                let nextScale = InlineArray<N, Number> { i in
                    R.dividesBefore && P.reads ? trace.inverse[(now &+ i &* trace.slots) &* Hp &+ j] : postScale[i]
                }
                let row = STPNRow<Number, N>(
                    width: Kp, weight: block.parameters.weight + j &* Kp, lambda: block.parameters.lambda + j &* Kp,
                    gamma: block.parameters.gamma + j &* Kp, clamp: cell.clamp,
                    X: block.synapses(s, j, t &- origin), stateStride: cell.H &* (block.steps &+ 1) &* Kp,
                    v: trace.v + now &* Kp, u: trace.v + before &* Kp, rowStride: trace.slots &* Kp,
                    h: InlineArray { i in P.updates ? trace.h[(before &+ i &* trace.slots) &* Hp &+ j] : 0 },
                    scale: nextScale)
                let adjoint = STPNAdjointRow<Number, N>(
                    row: row, gradX: block.gradX + s &* cell.synapses + j &* Kp, gradStride: cell.synapses,
                    gradV: block.gradV + s &* Kp, gradU: ended + s &* Kp, gradRowStride: Kp,
                    gradWeight: gradients.weight + j &* Kp, gradLambda: gradients.lambda + j &* Kp,
                    gradGamma: gradients.gamma + j &* Kp,
                    gradDot: InlineArray { i in block.gradDot[(s &+ i) &* Hp &+ j] },
                    gradNorm: InlineArray { i in block.gradNorm[(s &+ i) &* Hp &+ j] },
                    nextScale: nextScale, postScale: postScale,
                    postUnit: InlineArray { i in R.dividesAfter ? unit(postScale[i]) : 0 })
                let sums = adjoint.retreat(R.self, P.self)
                if P.updates {
                    Samples<N>.forEach { i in
                        block.hebb.store(sums.hebb[i], (s &+ i) &* Hp &+ j)
                        if R.dividesBefore { block.decay.store(sums.decay[i], (s &+ i) &* Hp &+ j) }
                    }
                }
            }
        }
    }

    func leave(_ s: Int, gradX: Pointer?) {
        let v = gradV + s * cell.Kp
        gradX?.copy(v, cell.I)
        (gradH + s * cell.Hp).copy(v + cell.I, cell.H)
        v.copy(gradU + s * cell.Kp, cell.Kp)
        (gradU + s * cell.Kp).zero(cell.Kp)
    }

    func reset(_ s: Int) {
        (gradH + s * cell.Hp).zero(cell.Hp)
        (gradX + s * cell.synapses).zero(cell.synapses)
        hebb.zero(s * cell.Hp, cell.Hp)
        decay.zero(s * cell.Hp, cell.Hp)
    }

    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        gradState(STPN.State.h.rawValue)?.copy(gradH + s * cell.Hp, cell.H)
        guard let gradF = gradState(STPN.State.F.rawValue) else { return }
        for j in 0..<cell.H {
            (gradF + j * cell.K).copy(gradX + s * cell.synapses + j * cell.Kp, cell.K)
        }
    }
}
