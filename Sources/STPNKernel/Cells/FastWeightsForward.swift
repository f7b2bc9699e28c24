/// A block of samples of fast weights on its way forward.
struct FastWeightsForward<Number: Real>: ForwardBlock {
    typealias Cell = FastWeightsFast<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Parameters
    private let trace: Cell.Trace
    private let A: LinearMemoryForward<Number>
    private let z: Pointer  // (samples, Hp)
    private let hidden: Pointer  // (samples, Hp): h^s
    private let energy: Pointer  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Parameters, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        A = LinearMemoryForward(&arena, parameters.decays, samples: samples, rows: cell.H, width: cell.Hp)
        z = arena.take(Number.self, samples, cell.Hp)
        hidden = arena.take(Number.self, samples, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
    }

    /// h_{t-1} for step t, H numbers or zeros, where the two reads of it stand.
    private func setPrevious(_ b: Int, _ t: Int, _ h: UnsafePointer<Number>?) {
        let (row, H) = (trace.row(b, t), cell.H)
        (trace.previous + row * cell.Hp).copyRows(h, rows: 1, columns: H, width: cell.Hp)
        (trace.v + row * cell.Kp + cell.I).copyRows(h, rows: 1, columns: H, width: H)
    }

    @inline(never)
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        setPrevious(b, 0, state(FastWeights.State.h.rawValue))
        A.begin(s, state(FastWeights.State.A.rawValue), columns: cell.H)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>, steps: Int) {
        let v = trace.v + trace.row(b, t) * cell.Kp
        v.copy(x, cell.I)
        (v + cell.K).zero(cell.Kp - cell.K)
    }

    @inline(never)
    func reset(_ s: Int, _ b: Int, t: Int) {
        setPrevious(b, t, nil)
        A.reset(s)
    }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        guard P.reads else { return }
        parameters.input.read(
            trace.v + trace.row(b, t) * cell.Kp, stride: trace.slots * cell.Kp, rows: N, to: z + s * cell.Hp)
        for i in 0..<N { readFastWeights(s + i, b + i, t, wantsEnergy: wantsEnergy) }
    }

    /// (11) and (12)
    private func readFastWeights(_ s: Int, _ b: Int, _ t: Int, wantsEnergy: Bool) {
        let (Hp, row) = (cell.Hp, trace.row(b, t))
        let (hidden, previous) = (hidden + s * Hp, trace.previous + row * Hp)
        if wantsEnergy { parameters.input.setEnergy(trace.v + row * cell.Kp, to: energy + s * Hp) }
        A.update(s, post: previous, pre: previous, wantsEnergy: wantsEnergy)
        for inner in 0...cell.S {
            let at = cell.inner(inner, row)
            let a = trace.a + at * Hp
            a.copy(z + s * Hp, Hp)
            if inner > 0 {
                if A.isHuge(hidden) { A.layOut(s) }
                A.read(s, hidden, to: a)
                if wantsEnergy { A.addEnergy(s, hidden, to: energy + s * Hp) }
            }
            if cell.description.layerNorm { trace.inverse[at] = cell.norm.standardize(a) }
            cell.activate(a, parameters, into: hidden)
        }
    }

    @inline(never)
    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        let hidden = hidden + s * cell.Hp
        y.copy(hidden, cell.H)
        energy?.copy(self.energy + s * cell.Hp, cell.H)
        if hasNext { setPrevious(b, t + 1, hidden) }
    }

    @inline(never)
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        state(FastWeights.State.h.rawValue)?.copy(hidden + s * Hp, H)
        guard let target = state(FastWeights.State.A.rawValue) else { return }
        let A = A.layOut(s)
        for j in 0..<H { (target + j * H).copy(A + j * Hp, H) }
    }
}
