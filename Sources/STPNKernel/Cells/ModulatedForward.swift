/// A block of samples of a modulated cell on its way forward.
struct ModulatedForward<Number: Real>: ForwardBlock {
    typealias Cell = ModulatedFast<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let F: Pointer  // (samples, matrix): (H,Hp) each
    private let E: Pointer  // (samples, matrix); only with a trace
    private let activation: Pointer  // (Hp): a of one sample
    private let dot: Pointer  // (samples, Hp)
    private let energy: Pointer  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        F = arena.take(Number.self, samples, cell.matrix)
        E = arena.take(Number.self, cell.traces ? samples : 0, cell.matrix)
        activation = arena.take(Number.self, cell.Hp)
        dot = arena.take(Number.self, samples, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
    }

    private func previous(_ b: Int, _ t: Int) -> Pointer { trace.previous + trace.row(b, t) * cell.Hp }

    @inline(never)
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        let (H, Hp) = (cell.H, cell.Hp)
        previous(b, 0).copyRows(state(Modulated.State.h.rawValue), rows: 1, columns: H, width: Hp)
        (F + s * cell.matrix).copyRows(state(Modulated.State.F.rawValue), rows: H, columns: H, width: Hp)
        if cell.traces {
            (E + s * cell.matrix).copyRows(state(Modulated.State.E.rawValue), rows: H, columns: H, width: Hp)
        }
        // The rows behind H are read whole, but no pass writes them.
        (dot + s * Hp).zero(Hp)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>, steps: Int) {
        (trace.x + trace.row(b, t) * cell.Ip).copyPadded(x, cell.I, cell.Ip)
    }

    @inline(never)
    func reset(_ s: Int, _ b: Int, t: Int) {
        previous(b, t).zero(cell.Hp)
        (F + s * cell.matrix).zero(cell.matrix)
        if cell.traces { (E + s * cell.matrix).zero(cell.matrix) }
    }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        if cell.sharesLoads {
            Pass<P, N>(block: self, s: s, b: b, t: t, wantsEnergy: wantsEnergy).run(Cell.SharedRule.self)
        } else {
            for i in 0..<N {
                cell.description.withRule(
                    Pass<P, 1>(block: self, s: s + i, b: b + i, t: t, wantsEnergy: wantsEnergy))
            }
        }
    }

    private struct Pass<P: Phase, let N: Int>: ModulatedRulePass {
        let block: ModulatedForward
        let s: Int
        let b: Int
        let t: Int
        let wantsEnergy: Bool

        func run<R: ModulatedRule>(_: R.Type) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let (Ip, Hp, slots) = (cell.Ip, cell.Hp, trace.slots)
            let now = P.reads ? trace.row(b, t) : 0
            let before = P.updates ? trace.row(b, t - 1) : 0
            for j in 0..<cell.H {
                let row = ModulatedRow<Number, N>(
                    width: Hp, w: parameters.w + j &* Hp, alpha: parameters.alpha + j &* Hp, clamp: cell.clamp,
                    saturates: cell.saturates, eta: parameters.eta[0], F: block.F + s &* cell.matrix + j &* Hp,
                    E: block.E + s &* cell.matrix + j &* Hp, stateStride: cell.matrix,
                    v: trace.previous + now &* Hp, u: trace.previous + before &* Hp, rowStride: slots &* Hp,
                    h: InlineArray { i in P.updates ? trace.h[(before &+ i &* slots) &* Hp &+ j] : 0 },
                    m: InlineArray { i in P.updates ? trace.m[before &+ i &* slots] : 0 })
                var dot = InlineArray<N, Number.Lanes>(repeating: .zero)
                row.advance(R.self, P.self, &dot)
                guard P.reads else { continue }
                let input = DenseRow<Number, N>(
                    width: Ip, weight: parameters.inputWeight + j &* Ip, v: trace.x + now &* Ip,
                    stride: slots &* Ip)
                input.read(&dot)
                (block.dot + (s &* Hp &+ j)).storeSums(dot, stride: Hp)
                guard wantsEnergy else { continue }
                var energy = InlineArray<N, Number.Lanes>(repeating: .zero)
                input.energy(&energy)
                row.energy(&energy)
                (block.energy + (s &* Hp &+ j)).storeSums(energy, stride: Hp)
            }
        }
    }

    @inline(never)
    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        let (H, Hp, row) = (cell.H, cell.Hp, trace.row(b, t))
        let h = trace.h + row * Hp
        activation.copy(parameters.inputBias, Hp)
        activation.add(dot + s * Hp, Hp)
        Activation.tanh.apply(activation, to: h, width: Hp)
        trace.m[row] = modulator(h)
        y.copy(h, H)
        if hasNext { previous(b, t + 1).copyPadded(h, H, Hp) }
        if let energy {
            for j in 0..<H { energy[j] = self.energy[s * Hp + j] }
        }
    }

    /// (14) m
    private func modulator(_ h: Pointer) -> Number {
        guard cell.description.modulates else { return parameters.eta[0] }
        let sum = h.dot(parameters.modulatorWeight, cell.Hp) + parameters.modulatorBias[0]
        return cell.description.modulator.activation.value(sum)
    }

    @inline(never)
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        state(Modulated.State.h.rawValue)?.copy(trace.h + trace.row(b, t) * Hp, H)
        for (target, matrix) in [
            (state(Modulated.State.F.rawValue), F), (cell.traces ? state(Modulated.State.E.rawValue) : nil, E),
        ] {
            guard let target else { continue }
            for j in 0..<H { (target + j * H).copy(matrix + s * cell.matrix + j * Hp, H) }
        }
    }
}
