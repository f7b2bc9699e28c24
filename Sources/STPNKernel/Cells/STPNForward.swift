/// A block of samples of the fast STPN on its way forward.
struct STPNForward<Number: Real>: ForwardBlock {
    typealias Cell = STPNFast<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let X: BlockRows<Number>  // (H,Kp)
    private let v: BlockRows<Number>  // (Kp): v of the step that a pass begins
    private let u: BlockRows<Number>  // (Kp): u of the step that it ends
    private let scale: Pointer  // (samples, Hp): what X takes in F̃ of the next update
    private let postLength: Pointer  // (samples, Hp): with "post", of the norm in it
    private let activation: Pointer  // (Hp): a of one sample
    private let dot: Pointer  // (samples, Hp)
    private let squares: Pointer  // (samples, Hp)
    private let energy: Pointer  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        X = BlockRows(&arena, samples: samples, rows: cell.H, width: cell.Kp)
        v = BlockRows(&arena, samples: samples, width: cell.Kp)
        u = BlockRows(&arena, samples: samples, width: cell.Kp)
        scale = arena.take(Number.self, samples, cell.Hp)
        postLength = arena.take(Number.self, samples, cell.Hp)
        activation = arena.take(Number.self, cell.Hp)
        dot = arena.take(Number.self, samples, cell.Hp)
        squares = arena.take(Number.self, samples, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
    }

    private var options: Cell.Options { cell.options }

    /// Where h_{t-1} stands in v of step t.
    private func hidden(_ b: Int, _ t: Int) -> Pointer {
        trace.v + trace.row(b, t) * cell.Kp + cell.I
    }

    private func plasticBias(_ b: Int, _ t: Int) -> Pointer {
        trace.fb + trace.row(b, t) * cell.Hp
    }

    @inline(never)
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        func given(_ name: STPN.State) -> UnsafePointer<Number>? { cell.index(name).flatMap(state) }
        if options.recurrent {
            if let h = given(.h) { hidden(b, 0).copy(h, cell.H) } else { hidden(b, 0).zero(cell.H) }
        }
        if options.plasticBias {
            plasticBias(b, 0).zero(cell.Hp)
            if let fb = given(.fb) { plasticBias(b, 0).copy(fb, cell.H) }
        }
        X.load(s, given(.F), columns: cell.columns)
        (scale + s * cell.Hp).fill(1, cell.Hp)
        // The rows behind H are read whole, but no pass writes them.
        for row in [dot, squares, energy] { (row + s * cell.Hp).zero(cell.Hp) }
        (postLength + s * cell.Hp).fill(-1, cell.Hp)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>, steps: Int) {
        let v = trace.v + trace.row(b, t) * cell.Kp
        v.copy(x, cell.I)
        if steps > 1 { x.prefetch(cell.I, cell.I) }
        (v + cell.K).zero(cell.Kp - cell.K)
    }

    @inline(never)
    func reset(_ s: Int, _ b: Int, t: Int) {
        if options.recurrent { hidden(b, t).zero(cell.H) }
        if options.plasticBias { plasticBias(b, t).zero(cell.Hp) }
        X.zero(s)
        (scale + s * cell.Hp).fill(1, cell.Hp)
        (postLength + s * cell.Hp).fill(-1, cell.Hp)
    }

    // MARK: Over the synapses

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        if P.updates && options.projects {
            for i in 0..<N { project(s + i, b + i, t: t - 1) }
        }
        for i in 0..<N { cell.arrange(P.self, trace, b + i, t, v: v.row(s + i), u: u.row(s + i)) }
        cell.description.withRule(Pass<P, N>(block: self, s: s, b: b, t: t, wantsEnergy: wantsEnergy))
        if P.updates && options.dividesAfter && options.acrossRows {
            for i in 0..<N { settleScale(s + i) }
        }
    }

    private struct Pass<P: Phase, let N: Int>: STPNRulePass {
        let block: STPNForward
        let s: Int
        let b: Int
        let t: Int
        let wantsEnergy: Bool

        func run<R: STPNRule>(_: R.Type) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let (Kp, Hp) = (cell.Kp, cell.Hp)
            let before = P.updates ? trace.row(b, t - 1) : 0
            for j in 0..<cell.H {
                let row = STPNRow<Number, N>(
                    width: Kp, weight: parameters.weight + j &* Kp, lambda: parameters.lambda + j &* Kp,
                    gamma: parameters.gamma + j &* Kp, clamp: cell.clamp,
                    gain: R.dividesAfter ? parameters.gain[j] : 1, samples: block.X.samples,
                    X: block.X.row(s, j).start, v: block.v.row(s).start, u: block.u.row(s).start,
                    h: InlineArray { i in P.updates ? trace.h[(before &+ i &* trace.slots) &* Hp &+ j] : 0 },
                    scale: InlineArray { i in block.scale[(s &+ i) &* Hp &+ j] })
                let sums = row.advance(R.self, P.self)
                let first = s &* Hp &+ j
                if P.reads { (block.dot + first).storeSums(sums.dot, stride: Hp) }
                if R.normalizes && P.reads || R.dividesAfter {
                    (block.squares + first).storeSums(sums.squares, stride: Hp)
                }
                if R.dividesAfter {
                    Samples<N>.forEach { i in
                        let sj = first &+ i &* Hp
                        block.scale[sj] = sums.scale[i]
                        if P.updates { block.postLength[sj] = sums.length[i] }
                    }
                }
                if P.reads && wantsEnergy {
                    let energy = row.energy(scale: R.dividesAfter ? sums.scale : .init(repeating: 1))
                    (block.energy + first).storeSums(energy, stride: Hp)
                }
            }
        }
    }

    /// "oja": u less Σ h_i F̃_ik, for the update that ends step t.
    private func project(_ s: Int, _ b: Int, t: Int) {
        let row = trace.row(b, t)
        let u = trace.u + row * cell.Kp
        for j in 0..<cell.H {
            let factor = -trace.h[row * cell.Hp + j] * scale[s * cell.Hp + j]
            X.row(s, j).add(to: u, times: factor, cell.Kp)
        }
    }

    /// "post" with a norm of the whole layer: s of every row, from the squares of all.
    private func settleScale(_ s: Int) {
        let first = s * cell.Hp
        (squares + first).spreadSum(cell.H)
        for j in 0..<cell.H {
            let length = squares[first + j].squareRoot()
            postLength[first + j] = length
            scale[first + j] = inverse(length, gain: parameters.gain[j])
        }
    }

    // MARK: Over the neurons

    @inline(never)
    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        let row = trace.row(b, t)
        let h = trace.h + row * Hp
        if options.normalizes && options.acrossRows { (squares + s * Hp).spreadSum(H) }
        if options.dividesAfter { keepPostLength(s, b, t) }
        divide(s, row)
        if options.plasticBias { activation.add(plasticBias(b, t), H) }
        if options.layerNorm {
            _ = cell.norm.standardize(activation)
            cell.norm.apply(
                activation, to: activation, gain: parameters.layerNormWeight, bias: parameters.layerNormBias)
        }
        cell.description.activation.apply(activation, to: h, width: Hp)
        y.copy(h, H)
        if let energy { writeEnergy(s, row, energy) }
        if options.learnsFromOther {
            let u = trace.u + row * cell.Kp
            u.copy(trace.v + row * cell.Kp, cell.Kp)
            if options.current { (u + cell.I).copy(h, H) }
        }
        guard hasNext else { return }
        if options.recurrent { hidden(b, t + 1).copy(h, H) }
        if options.plasticBias { nextPlasticBias(b, t, plasticBias(b, t + 1)) }
    }

    /// (2), (3): dot / n + b, into `activation`.
    private func divide(_ s: Int, _ row: Int) {
        let (Hp, at) = (cell.Hp, row * cell.Hp)
        var j = 0
        while j < Hp {
            var a = dot.lanes(s * Hp + j)
            if options.normalizes {
                let length = squares.lanes(s * Hp + j).squareRoot()
                let inverse = inverse(length, gain: parameters.gain.lanes(j), Number.self)
                a *= inverse
                (trace.length + at).store(length, j)
                if options.dividesBefore { (scale + s * Hp).store(inverse, j) }
            }
            if options.normalizes || options.layerNorm { (trace.ratio + at).store(a, j) }
            activation.store(a + parameters.bias.lanes(j), j)
            j += Number.Lanes.scalarCount
        }
    }

    /// (10)
    private func writeEnergy(_ s: Int, _ row: Int, _ target: Pointer) {
        for j in 0..<cell.H {
            target[j] = energy[s * cell.Hp + j]
            if options.normalizes {
                target[j] *= abs(inverse(trace.length[row * cell.Hp + j], gain: parameters.gain[j]))
            }
        }
    }

    /// (9) f_t, (H)
    private func nextPlasticBias(_ b: Int, _ t: Int, _ target: Pointer) {
        let (fb, h) = (plasticBias(b, t), trace.h + trace.row(b, t) * cell.Hp)
        for j in 0..<cell.H {
            let value = parameters.biasLambda[j] * fb[j] + parameters.biasGamma[j] * h[j]
            target[j] = value > cell.clamp ? cell.clamp : value < -cell.clamp ? -cell.clamp : value
        }
    }

    private func keepPostLength(_ s: Int, _ b: Int, _ t: Int) {
        (trace.postLength + trace.postRow(b, t) * cell.Hp).copy(postLength + s * cell.Hp, cell.Hp)
    }

    @inline(never)
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        func wanted(_ name: STPN.State) -> Pointer? { cell.index(name).flatMap(state) }
        if options.dividesAfter { keepPostLength(s, b, t + 1) }
        wanted(.h)?.copy(trace.h + trace.row(b, t) * cell.Hp, cell.H)
        if let fb = wanted(.fb) { nextPlasticBias(b, t, fb) }
        guard let F = wanted(.F) else { return }
        for j in 0..<cell.H {
            let factor = options.dividesAfter ? scale[s * cell.Hp + j] : 1
            X.row(s, j).copy(columns: cell.columns, to: F + j * cell.P, times: factor)
        }
    }
}
