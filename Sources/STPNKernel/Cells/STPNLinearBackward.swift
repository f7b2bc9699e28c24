/// A block of samples of linear feed-forward neurons on its way back.
struct STPNLinearBackward<Number: Real>: BackwardBlock {
    typealias Cell = STPNLinear<Number>
    typealias Gradients = Cell.Gradients
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Parameters
    private let trace: Cell.Trace
    private let F: LinearMemoryAdjoint<Number>
    private let gradX: Pointer  // (samples, steps, Kp)
    private let steps: Int
    private var wantsGradX = true

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Parameters, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        F = LinearMemoryAdjoint(
            &arena, parameters.decays, samples: samples, rows: cell.H, width: cell.Kp, lead: 0, reads: 1,
            segments: segments)
        self.steps = steps
        gradX = arena.take(Number.self, samples, steps, cell.Kp)
    }

    func slice(_ index: Int, wantsGradX: Bool) -> Self {
        var block = self
        block.wantsGradX = wantsGradX
        return block
    }

    // MARK: F before a segment

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) { F.load(s, state(0), columns: cell.K) }
    func load(_ s: Int, checkpoint: Int) { F.load(s, checkpoint: checkpoint) }

    func replay(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        for s in samples { replay(s, b + s, steps: steps, reset: reset) }
    }

    private func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        F.begin(s, steps: steps.count) { reset(s, steps.lowerBound + $0) }
    }

    func save(_ s: Int, _ b: Int, checkpoint: Int, steps: Range<Int>) {
        let (post, pre) = updates(b, origin: steps.lowerBound, count: steps.count)
        F.save(s, checkpoint: checkpoint, post: post, pre: pre)
    }

    /// h_t and x_t of steps of a segment
    private func updates(_ b: Int, origin: Int, count: Int) -> (post: RowMatrix<Number>, pre: RowMatrix<Number>) {
        let (row, Hp, Kp) = (trace.row(b, origin), cell.Hp, cell.Kp)
        return (
            RowMatrix(rows: trace.h + row &* Hp, stride: Hp, count: count, width: Hp),
            RowMatrix(rows: trace.x + row &* Kp, stride: Kp, count: count, width: Kp)
        )
    }

    // MARK: Going back

    @inline(never)
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        F.begin(s, gradFinal: gradFinal(0), columns: cell.K)
    }

    /// (5), of which nothing but h_t and x_t is a step's own, and the activation.
    @inline(never)
    func fireAdjoint(
        _ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients
    ) {
        let (step, H, Hp) = (t &- origin, cell.H, cell.Hp)
        let h = trace.h + trace.row(b, t) &* Hp
        let (gradA, gradX) = (F.gradRead(s, step: step), gradX(s, step))
        gradA.zero(Hp)
        gradX?.zero(cell.Kp)
        if let gradY {
            gradY.prefetch(-2 &* H, H)
            gradA.add(gradY, H)
        }
        let (post, pre) = updates(b, origin: origin, count: step &+ 1)
        F.updateAdjoint(s, step: step, post: post, pre: pre, gradPost: gradA, gradPre: gradX, gradients.rates)
        cell.description.activation.adjoint(h, gradA, width: Hp)
    }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        guard P.reads else { return }
        for i in 0..<N {
            readAdjoint(s + i, b + i, t, origin, gradients)
            if t == origin { endSegment(s + i, b + i, t, gradients) }
        }
    }

    /// That for x of a step of the segment, (Kp), where it is wanted.
    private func gradX(_ s: Int, _ step: Int) -> Pointer? {
        wantsGradX ? gradX + (s &* steps &+ step) &* cell.Kp : nil
    }

    /// F x_t of (2)
    private func readAdjoint(_ s: Int, _ b: Int, _ t: Int, _ origin: Int, _ gradients: Gradients) {
        let step = t &- origin
        let (post, pre) = updates(b, origin: origin, count: step &+ 1)
        F.key(s, step: step).copy(pre.rows + step &* cell.Kp, cell.Kp)
        F.readAdjoint(s, step: step, post: post, pre: pre, gradKey: gradX(s, step), gradients.rates)
    }

    /// What is summed over a segment at once, when its first step t was gone through.
    private func endSegment(_ s: Int, _ b: Int, _ t: Int, _ gradients: Gradients) {
        let (gradA, steps) = (F.gradRead(s, step: 0), F.steps(s))
        gradients.input.add(gradA, trace.x + trace.row(b, t) * cell.Kp, steps: steps)
        if let gradX = gradX(s, 0) { parameters.input.addAdjoint(gradA, stride: cell.Hp, rows: steps, to: gradX) }
        F.endAdjoint(s, gradients.rates)
        if t > 0 { F.finish(s) }
    }

    func leave(_ s: Int, t: Int, origin: Int, gradX target: Pointer?) {
        guard t == origin, let target, let gradX = gradX(s, 0) else { return }
        for step in 0..<F.steps(s) { (target + step * cell.K).copy(gradX + step * cell.Kp, cell.K) }
    }

    @inline(never)
    func reset(_ s: Int, t: Int, origin: Int) { F.reset(s, step: t - origin) }
    func turn(_ s: Int) {}

    @inline(never)
    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        guard let target = gradState(0) else { return }
        let gradF = F.finish(s)
        for j in 0..<cell.H { (target + j * cell.K).copy(gradF + j * cell.Kp, cell.K) }
    }
}
