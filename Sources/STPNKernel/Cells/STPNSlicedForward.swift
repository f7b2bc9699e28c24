/// A block of samples of a slice of feed-forward neurons on its way forward.
struct STPNSlicedForward<Number: Real>: ForwardBlock {
    typealias Cell = STPNSliced<Number>
    typealias Pointer = UnsafeMutablePointer<Number>
    typealias V = Number.Lanes

    private let cell: Cell
    private let parameters: Cell.Rows
    private let trace: Cell.Trace
    private let X: Pointer  // (samples, synapses): (M,K,L) each
    private let scale: Pointer  // (samples, M·L): what X takes in F̃ of the next update
    private let postLength: Pointer  // (samples, M·L): with "post", of the norm in it
    private let dot: Pointer  // (samples, M·L)
    private let squares: Pointer  // (samples, M·L)
    private let energy: Pointer  // (samples, M·L)
    private let activation: Pointer  // (M·L): a of one sample
    private var slice = 0

    init(_ cell: Cell, _ arena: inout Arena, _ parameters: Cell.Rows, _ trace: Cell.Trace, samples: Int) {
        (self.cell, self.parameters, self.trace) = (cell, parameters, trace)
        X = arena.take(Number.self, samples, cell.synapses)
        scale = arena.take(Number.self, samples, cell.width)
        postLength = arena.take(Number.self, samples, cell.width)
        dot = arena.take(Number.self, samples, cell.width)
        squares = arena.take(Number.self, samples, cell.width)
        energy = arena.take(Number.self, samples, cell.width)
        activation = arena.take(Number.self, cell.width)
    }

    func slice(_ index: Int) -> Self {
        var block = self
        block.slice = index
        return block
    }

    private var width: Int { cell.width }

    /// Where the slice stands in a row (Hp) of the trace.
    private func at(_ row: Int) -> Int { row &* cell.Hp &+ slice &* width }

    @inline(never)
    func begin(_ s: Int, _ b: Int, state: (Int) -> UnsafePointer<Number>?) {
        cell.load(X + s * cell.synapses, state(0), slice)
        (energy + s * width).zero(width)
        (scale + s * width).fill(1, width)
        (postLength + s * width).fill(-1, width)
    }

    func enter(_ s: Int, _ b: Int, t: Int, x: UnsafePointer<Number>, steps: Int) {
        (trace.x + trace.row(b, t) * cell.K).copy(x, cell.K)
    }

    @inline(never)
    func reset(_ s: Int, _ b: Int, t: Int) {
        (X + s * cell.synapses).zero(cell.synapses)
        (scale + s * width).fill(1, width)
        (postLength + s * width).fill(-1, width)
    }

    @inline(never)
    func pass<P: Phase, let N: Int>(
        _: P.Type, _: Samples<N>.Type, _ s: Int, _ b: Int, t: Int, wantsEnergy: Bool
    ) {
        if N == 1 && P.updates && P.reads {
            pass(Update.self, Samples<1>.self, s, b, t: t, wantsEnergy: wantsEnergy)
            pass(Read.self, Samples<1>.self, s, b, t: t, wantsEnergy: wantsEnergy)
        } else {
            cell.description.withRule(Pass<P, N>(block: self, s: s, b: b, t: t, wantsEnergy: wantsEnergy))
        }
    }

    private struct Pass<P: Phase, let N: Int>: STPNRulePass {
        let block: STPNSlicedForward
        let s: Int
        let b: Int
        let t: Int
        let wantsEnergy: Bool

        func run<R: STPNRule>(_: R.Type) {
            for m in 0..<block.cell.vectors(block.slice) { run(R.self, m) }
        }

        private func run<R: STPNRule>(_: R.Type, _ m: Int) {
            let (cell, parameters, trace) = (block.cell, block.parameters, block.trace)
            let now = P.reads ? trace.row(b, t) : 0
            let before = P.updates ? trace.row(b, t - 1) : 0
            let first = (block.slice &* cell.M &+ m) &* cell.K &* cell.L
            func at(_ i: Int) -> Int { (s &+ i) &* cell.width &+ m &* cell.L }
            let columns = STPNColumns<Number, N>(
                count: cell.K, weight: parameters.weight + first, lambda: parameters.lambda + first,
                gamma: parameters.gamma + first, clamp: cell.clamp,
                X: block.X + s &* cell.synapses + m &* cell.K &* cell.L, stateStride: cell.synapses,
                v: trace.x + now &* cell.K, u: trace.x + before &* cell.K, rowStride: trace.slots &* cell.K,
                h: InlineArray { i in
                    P.updates ? trace.h.lanes(block.at(before &+ i &* trace.slots) &+ m &* cell.L) : .zero
                },
                scale: InlineArray { i in block.scale.lanes(at(i)) })
            let sums = columns.advance(R.self, P.self)
            Samples<N>.forEach { i in
                if P.reads { block.dot.store(sums.dot[i], at(i)) }
                if P.reads && R.normalizes { block.squares.store(sums.squares[i], at(i)) }
                if R.dividesAfter && P.updates {
                    block.scale.store(sums.scale[i], at(i))
                    block.postLength.store(sums.length[i], at(i))
                }
            }
            if P.reads && wantsEnergy {
                let energy = columns.energy(scale: R.dividesAfter ? sums.scale : .init(repeating: V(repeating: 1)))
                Samples<N>.forEach { i in block.energy.store(energy[i], at(i)) }
            }
        }
    }

    @inline(never)
    func fire(_ s: Int, _ b: Int, t: Int, hasNext: Bool, y: Pointer, energy: Pointer?) {
        let at = at(trace.row(b, t))
        if cell.dividesAfter { keepPostLength(s, b, t) }
        let count = cell.vectors(slice) * cell.L
        var j = 0
        while j < count {
            activation.store(divide(s * width + j, at + j) + parameters.bias.lanes(slice * width + j), j)
            j += cell.L
        }
        cell.description.activation.apply(activation, to: trace.h + at, width: count)
        let neurons = cell.neurons(slice)
        (y + neurons.lowerBound).copy(trace.h + at, neurons.count)
        if let energy { (energy + neurons.lowerBound).copy(self.energy + s * width, neurons.count) }
    }

    /// (2), (3), (10): dot / n, and the energy over n. `at`: in the trace
    private func divide(_ j: Int, _ at: Int) -> V {
        guard cell.normalizes else { return dot.lanes(j) }
        let length = squares.lanes(j).squareRoot()
        let inverse = inverse(length, gain: V(repeating: 1), Number.self)
        let ratio = dot.lanes(j) * inverse
        trace.ratio.store(ratio, at)
        trace.length.store(length, at)
        if cell.dividesBefore { scale.store(inverse, j) }
        energy.store(energy.lanes(j) * inverse, j)
        return ratio
    }

    private func keepPostLength(_ s: Int, _ b: Int, _ t: Int) {
        (trace.postLength + at(trace.postRow(b, t))).copy(postLength + s * width, cell.vectors(slice) * cell.L)
    }

    @inline(never)
    func end(_ s: Int, _ b: Int, t: Int, state: (Int) -> Pointer?) {
        if cell.dividesAfter { keepPostLength(s, b, t + 1) }
        guard let F = state(0) else { return }
        cell.store(X + s * cell.synapses, F, slice) { cell.dividesAfter ? scale[s * width + $0] : 1 }
    }
}
