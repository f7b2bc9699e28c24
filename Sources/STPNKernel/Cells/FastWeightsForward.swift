/// A block of samples of fast weights on its way forward.
struct FastWeightsForward<Number: Real>: ForwardBlock {
    typealias Cell = FastWeightsFast<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let A: Pointer  // (samples, synapses): (H,Hp) each
    private let hidden: Pointer  // (samples, Hp): h^s
    private let energy: Pointer  // (samples, Hp)
    private let dot: RowSums<Number>  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        A = arena.take(Number.self, samples, cell.synapses)
        hidden = arena.take(Number.self, samples, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
        dot = RowSums(&arena, rows: samples * cell.Hp)
    }

    private func previous(_ b: Int, _ t: Int) -> Pointer { trace.previous + trace.row(b, t) * cell.Hp }

    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        let (H, Hp) = (cell.H, cell.Hp)
        previous(b, 0).copyRows(state(FastWeights.State.h.rawValue), rows: 1, columns: H, width: Hp)
        (A + s * cell.synapses).copyRows(state(FastWeights.State.A.rawValue), rows: H, columns: H, width: Hp)
        // The rows behind H are read whole, but no pass writes them.
        dot.zero(s * Hp, Hp)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>) {
        (trace.x + trace.row(b, t) * cell.Ip).copyPadded(x, cell.I, cell.Ip)
    }

    func reset(_ s: Int, _ b: Int, t: Int) {
        previous(b, t).zero(cell.Hp)
        (A + s * cell.synapses).zero(cell.synapses)
    }

    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        guard P.reads else { return }
        readInput(Samples<N>.self, s, b, t, wantsEnergy: wantsEnergy)
        for i in 0..<N { settle(s + i, b + i, t, inner: 0) }
        readFastWeights(Yes.self, Samples<N>.self, s, b, t, wantsEnergy: wantsEnergy)
        for inner in 1..<cell.S {
            for i in 0..<N { settle(s + i, b + i, t, inner: inner) }
            readFastWeights(No.self, Samples<N>.self, s, b, t, wantsEnergy: wantsEnergy)
        }
    }

    /// W v of (12)
    private func readInput<let N: Int>(_: Samples<N>.Type, _ s: Int, _ b: Int, _ t: Int, wantsEnergy: Bool) {
        let (Ip, Hp, row) = (cell.Ip, cell.Hp, trace.row(b, t))
        for j in 0..<cell.H {
            let input = DenseRow<Number, N>(
                width: Ip, weight: parameters.inputWeight + j &* Ip, v: trace.x + row &* Ip,
                stride: trace.slots &* Ip)
            let recurrent = DenseRow<Number, N>(
                width: Hp, weight: parameters.hiddenWeight + j &* Hp, v: trace.previous + row &* Hp,
                stride: trace.slots &* Hp)
            var sums = InlineArray<N, Number.Lanes>(repeating: .zero)
            input.read(&sums)
            recurrent.read(&sums)
            Samples<N>.forEach { i in dot.store(sums[i], (s &+ i) &* Hp &+ j) }
            guard wantsEnergy else { continue }
            sums = .init(repeating: .zero)
            input.energy(&sums)
            recurrent.energy(&sums)
            Samples<N>.forEach { i in energy[(s &+ i) &* Hp &+ j] = horizontalSum(sums[i], Number.self) }
        }
    }

    /// (11), where `Updates`, and A h^s of (12)
    private func readFastWeights<Updates: Flag, let N: Int>(
        _: Updates.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, _ t: Int, wantsEnergy: Bool
    ) {
        let (Hp, row, eta) = (cell.Hp, trace.row(b, t), parameters.gamma[0])
        for j in 0..<cell.H {
            let fast = FastWeightsRow<Number, N>(
                width: Hp, lambda: parameters.lambda[0], A: A + s &* cell.synapses + j &* Hp,
                stateStride: cell.synapses, previous: trace.previous + row &* Hp,
                previousStride: trace.slots &* Hp,
                rate: InlineArray { i in eta * trace.previous[(row &+ i &* trace.slots) &* Hp &+ j] },
                inner: hidden + s &* Hp, innerStride: Hp)
            let sums = fast.advance(Updates.self)
            Samples<N>.forEach { i in dot.store(sums[i], (s &+ i) &* Hp &+ j) }
            guard wantsEnergy else { continue }
            var energies = InlineArray<N, Number.Lanes>(repeating: .zero)
            fast.energy(&energies)
            Samples<N>.forEach { i in energy[(s &+ i) &* Hp &+ j] += horizontalSum(energies[i], Number.self) }
        }
    }

    /// From what was read to a^s and h^s.
    private func settle(_ s: Int, _ b: Int, _ t: Int, inner: Int) {
        let (Hp, row) = (cell.Hp, trace.row(b, t))
        let a = cell.inner(inner, row, trace)
        dot.add(s * Hp, cell.H)
        a.copy(inner == 0 ? parameters.bias : cell.inner(0, row, trace), Hp)
        dot.addTotals(s * Hp, to: a, Hp)
        cell.activate(a, parameters, into: hidden + s * Hp)
    }

    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        settle(s, b, t, inner: cell.S)
        y.copy(hidden + s * cell.Hp, cell.H)
        energy?.copy(self.energy + s * cell.Hp, cell.H)
        if hasNext { previous(b, t + 1).copyPadded(hidden + s * cell.Hp, cell.H, cell.Hp) }
    }

    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        state(FastWeights.State.h.rawValue)?.copy(hidden + s * Hp, H)
        guard let target = state(FastWeights.State.A.rawValue) else { return }
        for j in 0..<H { (target + j * H).copy(A + s * cell.synapses + j * Hp, H) }
    }
}
