/// A block of samples of a modulated cell on its way back.
struct ModulatedBackward<Number: Real>: BackwardBlock {
    typealias Cell = ModulatedFast<Number>
    typealias Gradients = Cell.Rows
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let historyF: SynapseHistory<Number>  // rows (Hp) of F
    private let historyE: SynapseHistory<Number>  // rows (Hp) of E; only with a trace
    private let gradF: Pointer  // (samples, matrix)
    private let gradE: Pointer  // (samples, matrix); only with a trace
    private let gradH: Pointer  // (samples, Hp): for h_t, from step t + 1
    private let gradV: Pointer  // (samples, Hp): for h_{t-1} of this step
    private let gradU: Pointer  // (samples, Hp): for h_{t-1} of the step before, from its update
    private let gradInput: Pointer  // (samples, Ip)
    private let gradDot: Pointer  // (samples, Hp)
    private let hebb: Pointer  // (samples, Hp)
    private let modulation: Pointer  // (samples): see ModulatedAdjointRow.Sums
    private let eligibility: Pointer  // (samples)

    init(
        _ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int,
        steps: Int, segments: Int
    ) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        let (Hp, n) = (cell.Hp, samples)
        let traced = cell.traces ? n : 0
        historyF = SynapseHistory(&arena, samples: n, rows: cell.H, width: Hp, steps: steps, segments: segments)
        historyE = SynapseHistory(
            &arena, samples: traced, rows: cell.H, width: Hp, steps: steps, segments: segments)
        gradF = arena.take(Number.self, n, cell.matrix)
        gradE = arena.take(Number.self, traced, cell.matrix)
        gradH = arena.take(Number.self, n, Hp)
        gradV = arena.take(Number.self, n, Hp)
        gradU = arena.take(Number.self, n, Hp)
        gradInput = arena.take(Number.self, n, cell.Ip)
        gradDot = arena.take(Number.self, n, Hp)
        hebb = arena.take(Number.self, n, Hp)
        modulation = arena.take(Number.self, n)
        eligibility = arena.take(Number.self, n)
    }

    // MARK: Recomputing the synapses

    func load(_ s: Int, state: (Int) -> UnsafePointer<Number>?) {
        historyF.load(s, state(Modulated.State.F.rawValue), columns: 0..<cell.H)
        if cell.traces { historyE.load(s, state(Modulated.State.E.rawValue), columns: 0..<cell.H) }
    }

    func load(_ s: Int, checkpoint: Int) {
        historyF.load(s, checkpoint: checkpoint)
        if cell.traces { historyE.load(s, checkpoint: checkpoint) }
    }

    func save(_ s: Int, _ b: Int, checkpoint: Int, steps: Range<Int>) {
        historyF.save(s, checkpoint: checkpoint, after: steps.count)
        if cell.traces { historyE.save(s, checkpoint: checkpoint, after: steps.count) }
    }

    func replay(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        for s in samples { replay(s, b + s, steps: steps, reset: reset) }
    }

    private func replay(_ s: Int, _ b: Int, steps: Range<Int>, reset: (Int, Int) -> Bool) {
        let first = trace.row(b, steps.lowerBound)
        // E first: F needs what it was.
        if cell.traces {
            historyE.replay(s, steps: steps, reset: reset) { run in
                for j in 0..<cell.H {
                    let row = historyE.row(s, j, 0).start
                    forEachVector(
                        Number.self, width: cell.Hp,
                        TraceReplay(block: self, row: row, first: first, j: j, steps: run))
                }
            }
        }
        historyF.replay(s, steps: steps, reset: reset) { run in
            cell.description.withRule(Replay(block: self, first: first, s: s, steps: run))
        }
    }

    /// One row of E through steps without a reset between them.
    private struct TraceReplay: VectorLoop {
        let block: ModulatedBackward
        let row: Pointer  // (steps + 1, Hp), stepStride apart
        /// The row of the trace of the first step
        let first: Int
        let j: Int
        let steps: Range<Int>

        func run<let N: Int>(_: Samples<N>.Type, _ k: Int) {
            let (Hp, trace, eta) = (block.cell.Hp, block.trace, block.parameters.eta[0])
            let lanes = Number.Lanes.scalarCount
            let stride = block.historyE.stepStride
            var e = InlineArray<N, Number.Lanes> { (row + steps.lowerBound &* stride).lanes(k &+ $0 &* lanes) }
            for step in steps {
                let at = (first &+ step) &* Hp
                Samples<N>.forEach { i in
                    let k = k &+ i &* lanes
                    e[i] = ModulatedRow<Number, N>.traced(
                        e[i], u: (trace.previous + at).lanes(k), h: trace.h[at &+ j], eta: eta)
                    (row + (step &+ 1) &* stride).store(e[i], k)
                }
            }
        }
    }

    /// F of a sample through steps without a reset between them.
    private struct Replay: ModulatedRulePass {
        let block: ModulatedBackward
        /// The row of the trace of the first step
        let first: Int
        let s: Int
        let steps: Range<Int>

        func run<R: ModulatedRule>(_: R.Type) {
            for j in 0..<block.cell.H {
                forEachVector(Number.self, width: block.cell.Hp, Row<R>(replay: self, j: j))
            }
        }

        private struct Row<R: ModulatedRule>: VectorLoop {
            let replay: Replay
            let j: Int

            func run<let N: Int>(_: Samples<N>.Type, _ k: Int) {
                let (block, first) = (replay.block, replay.first)
                let row = block.historyF.row(replay.s, j, 0).start
                let E = R.traces ? block.historyE.row(replay.s, j, 0).start : row
                let (Hp, trace, clamp) = (block.cell.Hp, block.trace, block.cell.clamp)
                let saturates = block.cell.saturates
                let (lanes, stride) = (Number.Lanes.scalarCount, block.historyF.stepStride)
                var f = InlineArray<N, Number.Lanes> {
                    (row + replay.steps.lowerBound &* stride).lanes(k &+ $0 &* lanes)
                }
                for step in replay.steps {
                    let at = (first &+ step) &* Hp
                    let (h, m) = (trace.h[at &+ j], trace.m[first &+ step])
                    Samples<N>.forEach { i in
                        let k = k &+ i &* lanes
                        f[i] = ModulatedRow<Number, N>.updated(
                            f[i], R.traces ? (E + step &* stride).lanes(k) : .zero, u: (trace.previous + at).lanes(k),
                            h: h, m: m, clamp: clamp, saturates: saturates, R.self)
                        (row + (step &+ 1) &* stride).store(f[i], k)
                    }
                }
            }
        }
    }

    // MARK: Going back

    @inline(never)
    func begin(_ s: Int, gradFinal: (Int) -> UnsafePointer<Number>?) {
        let (H, Hp) = (cell.H, cell.Hp)
        (gradH + s * Hp).copyRows(gradFinal(Modulated.State.h.rawValue), rows: 1, columns: H, width: Hp)
        (gradF + s * cell.matrix).copyRows(gradFinal(Modulated.State.F.rawValue), rows: H, columns: H, width: Hp)
        if cell.traces {
            (gradE + s * cell.matrix).copyRows(
                gradFinal(Modulated.State.E.rawValue), rows: H, columns: H, width: Hp)
        }
        for row in [gradV, gradU, gradDot] { (row + s * Hp).zero(Hp) }
        clearUpdate(s)
    }

    /// Nothing comes from the update of the step before.
    private func clearUpdate(_ s: Int) {
        (hebb + s * cell.Hp).zero(cell.Hp)
        modulation[s] = 0
        eligibility[s] = 0
    }

    @inline(never)
    func fireAdjoint(
        _ s: Int, _ b: Int, t: Int, origin: Int, gradY: UnsafePointer<Number>?, _ gradients: Gradients
    ) {
        let (Hp, row) = (cell.Hp, trace.row(b, t))
        let (h, m) = (trace.h + row * Hp, trace.m[row])
        let gradient = gradDot + s * Hp
        gradient.copy(gradH + s * Hp, Hp)
        if let gradY { gradient.add(gradY, cell.H) }

        // From the update: D = h_t h_{t-1}ᵀ goes into F times m, or into E times etaet.
        let hebb = hebb + s * Hp
        gradient.add(hebb, times: cell.traces ? parameters.eta[0] : m, width: Hp)
        let product = hebb.dot(h, Hp)
        let gm = cell.traces ? modulation[s] : modulation[s] + product
        if cell.traces { gradients.eta[0] += product - eligibility[s] }
        if cell.description.modulates {
            let gSum = gm * cell.description.modulator.activation.slope(m)
            gradients.modulatorBias[0] += gSum
            gradients.modulatorWeight.add(h, times: gSum, width: Hp)
            gradient.add(parameters.modulatorWeight, times: gSum, width: Hp)
        } else {
            gradients.eta[0] += gm
        }

        Activation.tanh.adjoint(h, gradient, width: Hp)
        gradients.inputBias.add(gradient, Hp)
    }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, origin: Int, _ gradients: Gradients
    ) {
        if P.reads { (gradInput + s * cell.Ip).zero(N * cell.Ip) }
        if cell.sharesLoads {
            Pass<P, N>(block: self, gradients: gradients, s: s, b: b, t: t, origin: origin).run(Cell.SharedRule.self)
        } else {
            for i in 0..<N {
                cell.description.withRule(
                    Pass<P, 1>(block: self, gradients: gradients, s: s + i, b: b + i, t: t, origin: origin))
            }
        }
    }

    private struct Pass<P: Phase, let N: Int>: ModulatedRulePass {
        let block: ModulatedBackward
        let gradients: Gradients
        let s: Int
        let b: Int
        let t: Int
        let origin: Int

        func run<R: ModulatedRule>(_: R.Type) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let (Ip, Hp, slots) = (cell.Ip, cell.Hp, trace.slots)
            let now = P.reads ? trace.row(b, t) : 0
            let before = P.updates ? trace.row(b, t - 1) : 0
            var (modulator, eligibility) = (
                InlineArray<N, Number.Lanes>(repeating: .zero), InlineArray<N, Number.Lanes>(repeating: .zero)
            )
            for j in 0..<cell.H {
                let F = block.historyF.row(s, j, t &- origin).start
                let row = ModulatedRow<Number, N>(
                    width: Hp, w: parameters.w + j &* Hp, alpha: parameters.alpha + j &* Hp, clamp: cell.clamp,
                    saturates: cell.saturates, eta: parameters.eta[0], F: F,
                    E: R.traces ? block.historyE.row(s, j, t &- origin).start : F,
                    stateStride: block.historyF.stride, v: trace.previous + now &* Hp,
                    u: trace.previous + before &* Hp, rowStride: slots &* Hp,
                    h: InlineArray { i in P.updates ? trace.h[(before &+ i &* slots) &* Hp &+ j] : 0 },
                    m: InlineArray { i in P.updates ? trace.m[before &+ i &* slots] : 0 })
                let gradDot = InlineArray<N, Number> { i in block.gradDot[(s &+ i) &* Hp &+ j] }
                let adjoint = ModulatedAdjointRow<Number, N>(
                    row: row, stepStride: block.historyF.stepStride, gradF: block.gradF + s &* cell.matrix + j &* Hp,
                    gradE: block.gradE + s &* cell.matrix + j &* Hp, gradStride: cell.matrix,
                    gradV: block.gradV + s &* Hp, gradU: block.gradU + s &* Hp, gradRowStride: Hp,
                    gradW: gradients.w + j &* Hp, gradAlpha: gradients.alpha + j &* Hp, gradDot: gradDot)
                let sums = adjoint.retreat(R.self, P.self)
                if P.updates {
                    (block.hebb + (s &* Hp &+ j)).storeSums(sums.hebb, stride: Hp)
                    for i in 0..<N {
                        modulator[i] += sums.modulator[i]
                        eligibility[i] += sums.trace[i]
                    }
                }
                if P.reads {
                    let input = DenseRow<Number, N>(
                        width: Ip, weight: parameters.inputWeight + j &* Ip, v: trace.x + now &* Ip,
                        stride: slots &* Ip)
                    input.readAdjoint(
                        gradDot, gradWeight: gradients.inputWeight + j &* Ip, gradV: block.gradInput + s &* Ip,
                        gradStride: Ip)
                }
            }
            if P.updates {
                Samples<N>.forEach { i in
                    block.modulation[s &+ i] = horizontalSum(modulator[i], Number.self)
                    block.eligibility[s &+ i] = horizontalSum(eligibility[i], Number.self)
                }
            }
        }
    }

    func leave(_ s: Int, t: Int, origin: Int, gradX: Pointer?) {
        gradX?.copy(gradInput + s * cell.Ip, cell.I)
        (gradH + s * cell.Hp).copy(gradV + s * cell.Hp, cell.Hp)
    }

    @inline(never)
    func reset(_ s: Int, t: Int, origin: Int) {
        (gradH + s * cell.Hp).zero(cell.Hp)
        (gradF + s * cell.matrix).zero(cell.matrix)
        if cell.traces { (gradE + s * cell.matrix).zero(cell.matrix) }
        clearUpdate(s)
    }

    func turn(_ s: Int) {
        (gradV + s * cell.Hp).copy(gradU + s * cell.Hp, cell.Hp)
        (gradU + s * cell.Hp).zero(cell.Hp)
    }

    @inline(never)
    func end(_ s: Int, gradState: (Int) -> Pointer?) {
        let (H, Hp) = (cell.H, cell.Hp)
        gradState(Modulated.State.h.rawValue)?.copy(gradH + s * Hp, H)
        for (target, gradient) in [
            (gradState(Modulated.State.F.rawValue), gradF),
            (cell.traces ? gradState(Modulated.State.E.rawValue) : nil, gradE),
        ] {
            guard let target else { continue }
            for j in 0..<H { (target + j * H).copy(gradient + s * cell.matrix + j * Hp, H) }
        }
    }
}
