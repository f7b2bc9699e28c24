/// A block of samples of linear feed-forward neurons on its way forward.
struct STPNLinearForward<Number: Real>: ForwardBlock {
    typealias Cell = STPNLinear<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Parameters
    private let trace: Cell.Trace
    private let F: LinearMemoryForward<Number>
    private let a: Pointer  // (samples, Hp)
    private let energy: Pointer  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Parameters, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        F = LinearMemoryForward(&arena, parameters.decays, samples: samples, rows: cell.H, width: cell.Kp)
        a = arena.take(Number.self, samples, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
    }

    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        F.begin(s, state(0), columns: cell.K)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>) {
        (trace.x + trace.row(b, t) * cell.Kp).copyPadded(x, cell.K, cell.Kp)
    }

    func reset(_ s: Int, _ b: Int, t: Int) { F.reset(s) }

    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        if P.updates {
            for i in 0..<N {
                let row = trace.row(b + i, t - 1)
                F.update(s + i, post: trace.h + row * cell.Hp, pre: trace.x + row * cell.Kp, wantsEnergy: wantsEnergy)
            }
        }
        if P.reads {
            let x = trace.x + trace.row(b, t) * cell.Kp
            parameters.input.read(x, stride: trace.slots * cell.Kp, samples: N, to: a + s * cell.Hp)
            for i in 0..<N { read(s + i, b + i, t, wantsEnergy: wantsEnergy) }
        }
    }

    /// (2) and (10), without W x_t + b
    private func read(_ s: Int, _ b: Int, _ t: Int, wantsEnergy: Bool) {
        let x = trace.x + trace.row(b, t) * cell.Kp
        let a = a + s * cell.Hp
        F.isHuge(x) ? readLaidOut(s, x, to: a) : F.read(s, x, to: a)
        guard wantsEnergy else { return }
        (energy + s * cell.Hp).zero(cell.Hp)
        F.addEnergy(s, x, weight: parameters.input.rows, to: energy + s * cell.Hp)
    }

    /// (W + F) x_t + b as the equations have it: W x_t and F x_t alone may be infinite, and of opposite signs.
    private func readLaidOut(_ s: Int, _ x: UnsafePointer<Number>, to a: Pointer) {
        let (F, W) = (F.layOut(s), parameters.input.rows)
        for j in 0..<cell.H {
            let row = j * cell.Kp
            a[j] = (0..<cell.K).reduce(parameters.input.bias[j]) { $0 + (W[row + $1] + F[row + $1]) * x[$1] }
        }
    }

    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        let h = trace.h + trace.row(b, t) * cell.Hp
        cell.description.activation.apply(a + s * cell.Hp, to: h, width: cell.Hp)
        h.clearPadding(cell.H, cell.Hp)
        y.copy(h, cell.H)
        energy?.copy(self.energy + s * cell.Hp, cell.H)
    }

    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        guard let target = state(0) else { return }
        let F = F.layOut(s)
        for j in 0..<cell.H { (target + j * cell.K).copy(F + j * cell.Kp, cell.K) }
    }
}
