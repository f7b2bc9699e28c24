/// A block of samples of the fast STPN on its way back.
struct STPNBackward<Number: Real>: BackwardBlock {
    typealias Cell = STPNFast<Number>
    typealias Gradients = Cell.Rows
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let history: SynapseHistory<Number>  // rows (Kp) of X
    private let replay: STPNReplay<Number>
    private let v: BlockRows<Number>  // (Kp): v of this step
    private let u: BlockRows<Number>  // (Kp): u of the step before
    private let gradX: BlockRows<Number>  // (H,Kp)
    private let gradV: BlockRows<Number>  // (Kp)
    private let gradU: BlockRows<Number>  // (Kp)
    private let row: Pointer  // (Kp): of one sample
    private let gradProjection: Pointer  // (samples, Kp): for Σ h_i F̃_ik of this step; only with "oja"
    private let gradH: Pointer  // (samples, Hp): for h_t, from step t + 1
    private let gradFb: Pointer  // (samples, Hp): for f_t
    private let gradDot: Pointer  // (samples, Hp)
    private let gradNorm: Pointer  // (samples, Hp): the factor of G in its gradient through the norm
    private let scale: Pointer  // (samples, Hp): of F̃ in this step
    private let postUnit: Pointer  // (samples, Hp): the factor of W + X in the derivative of the norm in "post"
    private let postFactor: Pointer  // (samples, Hp): as gradNorm, of the norm in "post" where it is that of the layer
    private let factors: Pointer  // (4, samples): of one row
    private let gradA: Pointer  // (Hp): of one sample
    private let activation: Pointer  // (Hp): a of one sample
    private let hebb: Pointer  // (samples, Hp)
    private let decay: Pointer  // (samples, Hp)

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        let (Kp, Hp, n) = (cell.Kp, cell.Hp, samples)
        history = SynapseHistory(
            &arena, samples: n, rows: cell.H, width: Kp, steps: steps, segments: segments, alternates: true)
        replay = STPNReplay(cell, &arena, parameters, trace, history, samples: n, steps: steps)
        v = BlockRows(&arena, samples: n, width: Kp)
        u = BlockRows(&arena, samples: n, width: Kp)
        gradX = BlockRows(&arena, samples: n, rows: cell.H, width: Kp)
        gradV = BlockRows(&arena, samples: n, width: Kp)
        gradU = BlockRows(&arena, samples: n, width: Kp)
        row = arena.take(Number.self, Kp)
        gradProjection = arena.take(Number.self, cell.options.projects ? n : 0, Kp)
        gradH = arena.take(Number.self, n, Hp)
        gradFb = arena.take(Number.self, n, Hp)
        gradDot = arena.take(Number.self, n, Hp)
        gradNorm = arena.take(Number.self, n, Hp)
        scale = arena.take(Number.self, n, Hp)
        postUnit = arena.take(Number.self, n, Hp)
        postFactor = arena.take(Number.self, n, Hp)
        factors = arena.take(Number.self, 4, n)
        gradA = arena.take(Number.self, Hp)
        activation = arena.take(Number.self, Hp)
        hebb = arena.take(Number.self, n, Hp)
        decay = arena.take(Number.self, n, Hp)
    }

    private var options: Cell.Options { cell.options }

    // MARK: Recomputing the synapses

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) {
        history.load(s, cell.index(.F).flatMap(state), columns: cell.columns)
    }

    func load(_ s: Int, checkpoint: Int) { history.load(s, checkpoint: checkpoint) }
    func save(_ s: Int, _ b: Int, checkpoint: Int, steps: Range<Int>) {
        history.save(s, checkpoint: checkpoint, after: steps.count)
    }

    func replay(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        replay.run(samples, b, steps: steps, reset: reset)
    }

    // MARK: Over the neurons

    @inline(never)
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        func given(_ name: STPN.State) -> UnsafePointer<Number>? { cell.index(name).flatMap(gradFinal) }
        let Hp = cell.Hp
        for row in [gradH, gradFb, gradDot, gradNorm, hebb, decay] { (row + s * Hp).zero(Hp) }
        if let h = given(.h) { (gradH + s * Hp).copy(h, cell.H) }
        if let fb = given(.fb) { (gradFb + s * Hp).copy(fb, cell.H) }
        gradX.load(s, given(.F), columns: cell.columns)
        gradV.zero(s)
        gradU.zero(s)
        if options.projects { (gradProjection + s * cell.Kp).zero(cell.Kp) }
    }

    @inline(never)
    func fireAdjoint(
        _ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients
    ) {
        let Hp = cell.Hp
        let row = trace.row(b, t)
        let h = trace.h + row * Hp
        gradA.copy(gradH + s * Hp, Hp)
        gradA.add(hebb + s * Hp, Hp)
        if let gradY {
            gradA.add(gradY, cell.H)
            // Going back, the processor does not see what comes next.
            gradY.prefetch(-cell.H, cell.H)
        }
        if t > 0 { UnsafePointer(trace.ratio + trace.row(b, t - 1) * Hp).prefetch(0, Hp) }
        if options.projects { projectAdjoint(s, b, t, t - origin) }
        if options.plasticBias { plasticBiasAdjoint(s, row, gradients) }
        cell.description.activation.adjoint(h, gradA, width: Hp)
        if options.layerNorm { layerNormAdjoint(row, gradients) }
        if options.plasticBias { (gradFb + s * Hp).add(gradA, cell.H) }
        gradients.bias.add(gradA, Hp)
        if options.normalizes {
            divideAdjoint(s, row, gradients)
        } else {
            (gradDot + s * Hp).copy(gradA, Hp)
        }
    }

    /// (9) f_t, into which gradFb flows and out of which what flows to f_{t-1}
    private func plasticBiasAdjoint(_ s: Int, _ row: Int, _ gradients: Gradients) {
        let (fb, h, gradFb) = (trace.fb + row * cell.Hp, trace.h + row * cell.Hp, gradFb + s * cell.Hp)
        for j in 0..<cell.H {
            let value = parameters.biasLambda[j] * fb[j] + parameters.biasGamma[j] * h[j]
            let g = !cell.description.clips || abs(value) < cell.clamp ? gradFb[j] : 0
            gradients.biasLambda[j] += g * fb[j]
            gradients.biasGamma[j] += g * h[j]
            gradA[j] += g * parameters.biasGamma[j]
            gradFb[j] = g * parameters.biasLambda[j]
        }
    }

    private func layerNormAdjoint(_ row: Int, _ gradients: Gradients) {
        activation.copy(trace.ratio + row * cell.Hp, cell.Hp)
        activation.add(parameters.bias, cell.Hp)
        if options.plasticBias { activation.add(trace.fb + row * cell.Hp, cell.H) }
        let inverse = cell.norm.standardize(activation)
        cell.norm.adjoint(
            activation, inverse, gradA, gain: parameters.layerNormWeight, gradGain: gradients.layerNormWeight,
            gradBias: gradients.layerNormBias)
    }

    /// (3), (2): from the gradient for a to that for the dot product and that for the norm.
    private func divideAdjoint(_ s: Int, _ row: Int, _ gradients: Gradients) {
        let Hp = cell.Hp
        let (gradDot, gradNorm) = (gradDot + s * Hp, gradNorm + s * Hp)
        // The gradient for the norm goes to others than the row.
        let shares = options.acrossRows || options.gains
        var j = 0
        while j < Hp {
            let ga = gradA.lanes(j)
            let (length, gain) = ((trace.length + row * Hp).lanes(j), parameters.gain.lanes(j))
            let inverse = inverse(length, gain: gain, Number.self)
            var products = ga * (trace.ratio + row * Hp).lanes(j)
            if options.dividesBefore { products += decay.lanes(s * Hp + j) * inverse }
            gradDot.store(ga * inverse, j)
            let gn = -products * inverse
            gradNorm.store(shares ? gn : gn * unit(length, gain: gain, Number.self), j)
            j += Number.Lanes.scalarCount
        }
        if shares { normAdjoint(gradNorm, length: trace.length + row * Hp, gradients) }
    }

    /// Gradients (H) for n become the factors of G in its gradient; adds to that of the gain.
    private func normAdjoint(_ gn: Pointer, length: Pointer, _ gradients: Gradients) {
        var sum: Number = 0
        for j in 0..<cell.H {
            gradients.gain[j] += gn[j] * length[j]
            gn[j] *= parameters.gain[j]
            sum += gn[j]
        }
        for j in 0..<cell.H {
            gn[j] = length[j] == 0 ? 0 : (options.acrossRows ? sum : gn[j]) / length[j]
        }
    }

    // MARK: Over the synapses

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        if options.dividesAfter || options.dividesBefore && P.reads {
            for i in 0..<N { prepareScale(s + i, b + i, t) }
        }
        if !P.reads && options.dividesAfter && options.acrossRows {
            for i in 0..<N { postNormAdjoint(s + i, b + i, t, t - origin, gradients) }
        }
        for i in 0..<N { cell.arrange(P.self, trace, b + i, t, v: v.row(s + i), u: u.row(s + i)) }
        cell.description.withRule(Pass<P, N>(block: self, gradients: gradients, s: s, b: b, t: t, origin: origin))
        if P.reads && options.projects {
            for i in 0..<N { addProjection(s + i, trace.row(b + i, t)) }
        }
    }

    private struct Pass<P: Phase, let N: Int>: STPNRulePass {
        let block: STPNBackward
        let gradients: Gradients
        let s: Int
        let b: Int
        let t: Int
        let origin: Int

        func run<R: STPNRule>(_: R.Type) {
            let (cell, trace, parameters) = (block.cell, block.trace, block.parameters)
            let (Kp, Hp) = (cell.Kp, cell.Hp)
            let before = P.updates ? trace.row(b, t - 1) : 0
            let posts = R.dividesAfter ? trace.postRow(b, t) : 0
            let acrossRows = R.dividesAfter && !P.reads && cell.options.acrossRows
            for j in 0..<cell.H {
                let scale = InlineArray<N, Number> { i in
                    R.dividesBefore || R.dividesAfter ? block.scale[(s &+ i) &* Hp &+ j] : 1
                }
                let row = STPNRow<Number, N>(
                    width: Kp, weight: parameters.weight + j &* Kp, lambda: parameters.lambda + j &* Kp,
                    gamma: parameters.gamma + j &* Kp, clamp: cell.clamp, gain: parameters.gain[j],
                    samples: block.gradX.samples, X: block.history.row(s, j, t &- origin).start,
                    v: block.v.row(s).start, u: block.u.row(s).start,
                    h: InlineArray { i in P.updates ? trace.h[(before &+ i &* trace.slots) &* Hp &+ j] : 0 },
                    scale: scale)
                Samples<N>.forEach { i in
                    let sj = (s &+ i) &* Hp &+ j
                    block.factors[i] = block.gradDot[sj]
                    block.factors[N &+ i] = block.gradNorm[sj]
                    block.factors[2 &* N &+ i] = scale[i]
                    block.factors[3 &* N &+ i] = row.h[i]
                }
                let adjoint = STPNAdjointRow<Number, N>(
                    row: row, stepStride: block.history.stepStride, gradX: block.gradX.row(s, j).start,
                    gradV: block.gradV.row(s).start, gradU: block.gradU.row(s).start,
                    gradWeight: gradients.weight + j &* Kp, gradLambda: gradients.lambda + j &* Kp,
                    gradGamma: gradients.gamma + j &* Kp,
                    factors: block.factors,
                    postUnit: InlineArray { i in R.dividesAfter ? block.postUnit[(s &+ i) &* Hp &+ j] : 0 },
                    postFactor: acrossRows ? InlineArray { i in block.postFactor[(s &+ i) &* Hp &+ j] } : nil)
                let sums = adjoint.retreat(R.self, P.self)
                guard P.updates else { continue }
                let first = s &* Hp &+ j
                (block.hebb + first).storeSums(sums.hebb, stride: Hp)
                if R.dividesBefore { (block.decay + first).storeSums(sums.decay, stride: Hp) }
                if R.dividesAfter && cell.options.gains && !acrossRows {
                    Samples<N>.forEach { i in
                        gradients.gain[j] +=
                            sums.norm[i] * trace.postLength[(posts &+ i &* (trace.slots &+ 1)) &* Hp &+ j]
                    }
                }
            }
        }
    }

    /// The scale of F̃ in step t, and with "post" the factor of W + X.
    private func prepareScale(_ s: Int, _ b: Int, _ t: Int) {
        let Hp = cell.Hp
        cell.scale(trace, parameters, b, t, into: scale + s * Hp)
        guard options.dividesAfter else { return }
        let length = trace.postLength + trace.postRow(b, t) * Hp
        var j = 0
        while j < Hp {
            let unit = unit(length.lanes(j), gain: parameters.gain.lanes(j), Number.self)
            (postUnit + s * Hp).store(unit, j)
            j &+= Number.Lanes.scalarCount
        }
    }

    /// "post" with a norm of the whole layer: the factors of W + X, before the update that ends step t - 1 is undone.
    private func postNormAdjoint(_ s: Int, _ b: Int, _ t: Int, _ step: Int, _ gradients: Gradients) {
        let (scale, gn) = (scale + s * cell.Hp, postFactor + s * cell.Hp)
        for j in 0..<cell.H {
            let products = gradX.row(s, j).dot(history.row(s, j, step), cell.Kp)
            gn[j] = -products * scale[j] * scale[j]
        }
        normAdjoint(gn, length: trace.postLength + trace.postRow(b, t) * cell.Hp, gradients)
    }

    /// "oja": with p_k = Σ_i h_i F̃_ik and its gradient, what flows to h_i and, with "pre", to the norm.
    private func projectAdjoint(_ s: Int, _ b: Int, _ t: Int, _ step: Int) {
        let row = trace.row(b, t)
        if options.scales { cell.scale(trace, parameters, b, t, into: scale + s * cell.Hp) }
        for j in 0..<cell.H {
            let product = history.row(s, j, step).dot(gradProjection + s * cell.Kp, cell.Kp)
            // F̃ = scale · X
            gradA[j] += product * (options.scales ? scale[s * cell.Hp + j] : 1)
            if options.dividesBefore { decay[s * cell.Hp + j] += product * trace.h[row * cell.Hp + j] }
        }
    }

    /// "oja": what flows from p to F before the step.
    private func addProjection(_ s: Int, _ row: Int) {
        for j in 0..<cell.H {
            let factor = trace.h[row * cell.Hp + j] * (options.dividesBefore ? scale[s * cell.Hp + j] : 1)
            gradX.row(s, j).add(gradProjection + s * cell.Kp, times: factor, cell.Kp)
        }
    }

    // MARK: From step to step

    func leave(_ s: Int, t: Int, origin: Int, gradX: Pointer?) {
        gradV.row(s).copy(to: row, cell.Kp)
        gradX?.copy(row, cell.I)
        let gradH = gradH + s * cell.Hp
        if options.recurrent { gradH.copy(row + cell.I, cell.H) } else { gradH.zero(cell.H) }
    }

    @inline(never)
    func reset(_ s: Int, t: Int, origin: Int) {
        for row in [gradH, gradFb, hebb, decay] { (row + s * cell.Hp).zero(cell.Hp) }
        gradX.zero(s)
    }

    func turn(_ s: Int) {
        gradU.row(s).copy(to: row, cell.Kp)
        gradU.zero(s)
        if options.projects { (gradProjection + s * cell.Kp).copy(row, cell.Kp, times: -1) }
        if options.current {
            (gradH + s * cell.Hp).add(row + cell.I, cell.H)
            (row + cell.I).zero(cell.H)
        }
        gradV.row(s).copy(row, cell.Kp)
    }

    @inline(never)
    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        func wanted(_ name: STPN.State) -> Pointer? { cell.index(name).flatMap(gradState) }
        wanted(.h)?.copy(gradH + s * cell.Hp, cell.H)
        wanted(.fb)?.copy(gradFb + s * cell.Hp, cell.H)
        guard let gradF = wanted(.F) else { return }
        for j in 0..<cell.H {
            gradX.row(s, j).copy(columns: cell.columns, to: gradF + j * cell.P)
        }
    }
}
