/// A block of samples of linear feed-forward neurons on its way forward.
struct STPNLinearForward<Number: Real>: ForwardBlock {
    typealias Cell = STPNLinear<Number>
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Parameters
    private let trace: Cell.Trace
    private let F: LinearMemoryForward<Number>
    private let a: Pointer  // (samples, stepsAhead, Hp): of W x + b already where x has not entered yet
    private let energy: Pointer  // (samples, Hp)

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Parameters, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        F = LinearMemoryForward(&arena, parameters.decays, samples: samples, rows: cell.H, width: cell.Kp)
        a = arena.take(Number.self, samples, Self.stepsAhead, cell.Hp)
        energy = arena.take(Number.self, samples, cell.Hp)
    }

    /// So many steps share each load of W.
    private static var stepsAhead: Int { 4 }

    private func a(_ s: Int, _ t: Int) -> Pointer {
        a + (s &* Self.stepsAhead &+ t % Self.stepsAhead) &* cell.Hp
    }

    @inline(never)
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        F.begin(s, state(0), columns: cell.K)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>, steps: Int) {
        (trace.x + trace.row(b, t) * cell.Kp).copyPadded(x, cell.K, cell.Kp)
        guard t % Self.stepsAhead == 0 else { return }
        parameters.input.read(x, stride: cell.K, rows: min(steps, Self.stepsAhead), to: a(s, t))
    }

    @inline(never)
    func reset(_ s: Int, _ b: Int, t: Int) { F.reset(s) }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        if P.updates {
            for i in 0..<N {
                let row = trace.row(b + i, t - 1)
                F.update(
                    s + i, post: trace.h + row * cell.Hp, postIsBounded: cell.description.activation.isBounded,
                    pre: trace.x + row * cell.Kp, wantsEnergy: wantsEnergy)
            }
        }
        if P.reads {
            for i in 0..<N { read(s + i, b + i, t, wantsEnergy: wantsEnergy) }
        }
    }

    /// (2) and (10), without W x_t + b
    private func read(_ s: Int, _ b: Int, _ t: Int, wantsEnergy: Bool) {
        let x = trace.x + trace.row(b, t) * cell.Kp
        let a = a(s, t)
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

    @inline(never)
    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        let h = trace.h + trace.row(b, t) * cell.Hp
        cell.description.activation.apply(a(s, t), to: h, width: cell.Hp)
        h.clearPadding(cell.H, cell.Hp)
        y.copy(h, cell.H)
        energy?.copy(self.energy + s * cell.Hp, cell.H)
    }

    @inline(never)
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        guard let target = state(0) else { return }
        let F = F.layOut(s)
        for j in 0..<cell.H { (target + j * cell.K).copy(F + j * cell.Kp, cell.K) }
    }
}
