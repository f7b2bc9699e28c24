/// A block of samples of fast weights on its way forward.
struct FastWeightsForward<Number: Real>: ForwardBlock {
    typealias Cell = FastWeightsFast<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let A: Pointer  // (samples, synapses): (H,Hp) each
    private let z: Pointer  // (samples, Hp)
    private let hidden: Pointer  // (samples, Hp): h^s
    private let energy: Pointer  // (samples, Hp)
    private let dot: RowSums<Number>  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        A = arena.take(Number.self, samples, cell.synapses)
        z = arena.take(Number.self, samples, cell.Hp)
        hidden = arena.take(Number.self, samples, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
        dot = RowSums(&arena, rows: samples * cell.Hp)
    }

    /// h_{t-1} for step t, H numbers or zeros, where the two reads of it stand.
    private func setPrevious(_ b: Int, _ t: Int, _ h: UnsafePointer<Number>?) {
        let (row, H) = (trace.row(b, t), cell.H)
        (trace.previous + row * cell.Hp).copyRows(h, rows: 1, columns: H, width: cell.Hp)
        (trace.v + row * cell.Kp + cell.I).copyRows(h, rows: 1, columns: H, width: H)
    }

    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        let (H, Hp) = (cell.H, cell.Hp)
        setPrevious(b, 0, state(FastWeights.State.h.rawValue))
        (A + s * cell.synapses).copyRows(state(FastWeights.State.A.rawValue), rows: H, columns: H, width: Hp)
        // The rows behind H are read whole, but no pass writes them.
        dot.zero(s * Hp, Hp)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>) {
        let v = trace.v + trace.row(b, t) * cell.Kp
        v.copy(x, cell.I)
        (v + cell.K).zero(cell.Kp - cell.K)
    }

    func reset(_ s: Int, _ b: Int, t: Int) {
        setPrevious(b, t, nil)
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
        let (Kp, Hp) = (cell.Kp, cell.Hp)
        for j in 0..<cell.H {
            let slow = DenseRow<Number, N>(
                width: Kp, weight: parameters.weight + j &* Kp, v: trace.v + trace.row(b, t) &* Kp,
                stride: trace.slots &* Kp)
            var sums = InlineArray<N, Number.Lanes>(repeating: .zero)
            slow.read(&sums)
            Samples<N>.forEach { i in dot.store(sums[i], (s &+ i) &* Hp &+ j) }
            guard wantsEnergy else { continue }
            sums = .init(repeating: .zero)
            slow.energy(&sums)
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
        let Hp = cell.Hp
        let (at, z) = (cell.inner(inner, trace.row(b, t)), z + s * Hp)
        let a = trace.a + at * Hp
        dot.add(s * Hp, cell.H)
        a.copy(inner == 0 ? parameters.bias : z, Hp)
        dot.addTotals(s * Hp, to: a, Hp)
        if inner == 0 { z.copy(a, Hp) }
        if cell.description.layerNorm { trace.inverse[at] = cell.norm.standardize(a) }
        cell.activate(a, parameters, into: hidden + s * Hp)
    }

    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        settle(s, b, t, inner: cell.S)
        y.copy(hidden + s * cell.Hp, cell.H)
        energy?.copy(self.energy + s * cell.Hp, cell.H)
        if hasNext { setPrevious(b, t + 1, hidden + s * cell.Hp) }
    }

    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        state(FastWeights.State.h.rawValue)?.copy(hidden + s * Hp, H)
        guard let target = state(FastWeights.State.A.rawValue) else { return }
        for j in 0..<H { (target + j * H).copy(A + s * cell.synapses + j * Hp, H) }
    }
}
