/// A block of samples of the fast STPN on its way forward.
struct STPNForward<Number: Real>: ForwardBlock {
    typealias Cell = STPNFast<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let X: Pointer  // (samples, synapses): (H,Kp) each
    private let scale: Pointer  // (samples, Hp): what X takes in F̃ of the next update
    private let dot: RowSums<Number>  // (samples, Hp)
    private let squares: RowSums<Number>  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        X = arena.take(Number.self, samples, cell.synapses)
        scale = arena.take(Number.self, samples, cell.Hp)
        dot = RowSums(&arena, rows: samples * cell.Hp)
        squares = RowSums(&arena, rows: samples * cell.Hp)
    }

    private func hidden(_ b: Int, _ t: Int) -> Pointer {
        trace.v + trace.row(b, t) * cell.Kp + cell.I
    }

    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        if let h = state(STPN.State.h.rawValue) {
            hidden(b, 0).copy(h, cell.H)
        } else {
            hidden(b, 0).zero(cell.H)
        }
        cell.loadSynapses(X + s * cell.synapses, state(STPN.State.F.rawValue))
        (scale + s * cell.Hp).fill(1, cell.Hp)
        // The rows behind H are read whole, but no pass writes them.
        dot.zero(s * cell.Hp, cell.Hp)
        squares.zero(s * cell.Hp, cell.Hp)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>) {
        let v = trace.v + trace.row(b, t) * cell.Kp
        v.copy(x, cell.I)
        (v + cell.K).zero(cell.Kp - cell.K)
    }

    func reset(_ s: Int, _ b: Int, t: Int) {
        hidden(b, t).zero(cell.H)
        (X + s * cell.synapses).zero(cell.synapses)
        (scale + s * cell.Hp).fill(1, cell.Hp)
    }

    func pass<P: Phase, let N: Int>(_: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int) {
        cell.description.withRule(Pass<P, N>(block: self, s: s, b: b, t: t))
    }

    private struct Pass<P: Phase, let N: Int>: STPNRulePass {
        let block: STPNForward
        let s: Int
        let b: Int
        let t: Int

        func run<R: STPNRule>(_: R.Type) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let (Kp, Hp) = (cell.Kp, cell.Hp)
            let now = P.reads ? trace.row(b, t) : 0
            let before = P.updates ? trace.row(b, t - 1) : 0
            for j in 0..<cell.H {
                let row = STPNRow<Number, N>(
                    width: Kp, weight: parameters.weight + j &* Kp, lambda: parameters.lambda + j &* Kp,
                    gamma: parameters.gamma + j &* Kp, clamp: cell.clamp,
                    X: block.X + s &* cell.synapses + j &* Kp, stateStride: cell.synapses,
                    v: trace.v + now &* Kp, u: trace.v + before &* Kp, rowStride: trace.slots &* Kp,
                    h: InlineArray { i in P.updates ? trace.h[(before &+ i &* trace.slots) &* Hp &+ j] : 0 },
                    scale: InlineArray { i in block.scale[(s &+ i) &* Hp &+ j] })
                let sums = row.advance(R.self, P.self)
                Samples<N>.forEach { i in
                    let sj = (s &+ i) &* Hp &+ j
                    if P.reads {
                        block.dot.store(sums.dot[i], sj)
                        if R.normalizes { block.squares.store(sums.squares[i], sj) }
                    }
                    if R.dividesAfter { block.scale[sj] = sums.scale[i] }
                }
            }
        }
    }

    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer) {
        let (H, Hp) = (cell.H, cell.Hp)
        let row = trace.row(b, t) * Hp
        let h = trace.h + row
        dot.add(s * Hp, H)
        if cell.description.normalizes { squares.add(s * Hp, H) }
        if cell.description.dividesAfter { keepScale(s, b, t) }
        var j = 0
        while j < Hp {
            var a = dot.lanes(s * Hp + j)
            if cell.description.normalizes {
                let inverse = inverse(squares.lanes(s * Hp + j).squareRoot(), Number.self)
                a *= inverse
                (trace.ratio + row).store(a, j)
                (trace.inverse + row).store(inverse, j)
                if cell.description.dividesBefore { (scale + s * Hp).store(inverse, j) }
            }
            h.store(tanh(a + parameters.bias.lanes(j), Number.self), j)
            j += Number.Lanes.scalarCount
        }
        y.copy(h, H)
        if hasNext { hidden(b, t + 1).copy(h, H) }
    }

    private func keepScale(_ s: Int, _ b: Int, _ t: Int) {
        (trace.scale + trace.scaleRow(b, t) * cell.Hp).copy(scale + s * cell.Hp, cell.Hp)
    }

    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        if cell.description.dividesAfter { keepScale(s, b, t + 1) }
        state(STPN.State.h.rawValue)?.copy(trace.h + trace.row(b, t) * cell.Hp, cell.H)
        guard let F = state(STPN.State.F.rawValue) else { return }
        for j in 0..<cell.H {
            let factor = cell.description.dividesAfter ? scale[s * cell.Hp + j] : 1
            (F + j * cell.K).copy(X + s * cell.synapses + j * cell.Kp, cell.K, times: factor)
        }
    }
}
