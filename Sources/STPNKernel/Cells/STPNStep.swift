import CSTPN

/// A single step of short-term plasticity neurons, on the caller's own arrays: a rollout lays out nothing for it, and each
/// number of W, F, Λ and Γ comes once from where it is. For cells whose rows meet in h alone; see `STPN.stepsByRows`.
struct STPNStep<Number: Real> {
    typealias Pointer = UnsafeMutablePointer<Number>
    typealias V = Number.Lanes

    private let cell: STPN
    private let B: Int
    private let I: Int
    private let H: Int
    private let Hp: Int
    /// K = P, and padded
    private let K: Int
    private let Kp: Int
    private let threads: Int

    init(_ cell: STPN, batch: Int, threads: Int) {
        self.cell = cell
        (B, I, H, K) = (batch, cell.inputSize, cell.hiddenSize, cell.presynapticSize)
        (Hp, Kp) = (padded(H, Number.self), padded(K, Number.self))
        self.threads = Double(B) * Double(H) * Double(K) < Self.workWorthAThread ? 1 : threads
    }

    /// Synapses that take as long as to wake a sleeping thread, and somewhat longer.
    private static var workWorthAThread: Double { 200_000 }

    /// What the neurons of a step leave on the way, and parameters as the loops want them.
    private struct Scratch {
        let v: Pointer  // (B,Kp)
        let dot: Pointer  // (B,Hp)
        let squares: Pointer  // (B,Hp)
        let inverse: Pointer  // (B,Hp): 1 / n
        let h: Pointer  // (B,Hp)
        let bias: Pointer  // (Hp)
        let gain: Pointer  // (Hp)
        let lambda: Pointer  // (threads, K): where a row has one Λ
        let gamma: Pointer  // (threads, K)
    }

    private func scratch(_ arena: inout Arena) -> Scratch {
        Scratch(
            v: arena.take(Number.self, B, Kp), dot: arena.take(Number.self, B, Hp),
            squares: arena.take(Number.self, B, Hp), inverse: arena.take(Number.self, B, Hp),
            h: arena.take(Number.self, B, Hp),
            bias: arena.take(Number.self, Hp), gain: arena.take(Number.self, Hp),
            lambda: arena.take(Number.self, threads, K), gamma: arena.take(Number.self, threads, K))
    }

    /// The step, or how much memory it needs; see `SequenceKernel.perform`.
    func perform(_ work: Job.Work) -> Int? {
        var arena = Arena()
        guard case .step(let buffers) = work else {
            _ = scratch(&arena)
            return arena.requiredBytes
        }
        arena = Arena(workspace: buffers.workspace)
        step(buffers, scratch(&arena))
        return 0
    }

    private func step(_ buffers: stpn_step_buffers, _ scratch: Scratch) {
        // Without samples there may be no arrays.
        guard B > 0 else { return }
        let given = STPNArrays(cell) { Optional(buffers.parameters).array($0, Number.self)! }
        func state(_ name: STPN.State) -> Pointer? {
            cell.index(name).flatMap { buffers.state.array($0, Number.self) }
        }
        let (F, h) = (state(.F)!, state(.h))
        let x = buffers.x.assumingMemoryBound(to: Number.self)
        scratch.bias.copyRows(given.bias, rows: 1, columns: H, width: Hp)
        if let gain = given.normGain { scratch.gain.copyPadded(gain, H, Hp) } else { scratch.gain.fill(1, Hp) }
        for b in 0..<B {
            let v = scratch.v + b * Kp
            v.copy(x + b * I, I)
            if let h { (v + I).copy(h + b * H, H) }
            (v + K).zero(Kp - K)
        }
        let rows = (H + V.scalarCount - 1) / V.scalarCount
        let chunks = (B + samplesAtOnce - 1) / samplesAtOnce
        parallelFor(rows * chunks, threads: threads) { index, slot in
            let (first, sample) = (index / chunks * V.scalarCount, index % chunks * samplesAtOnce)
            cell.withRule(
                Block(
                    step: self, given: given, scratch: scratch, F: F,
                    energy: buffers.energy?.assumingMemoryBound(to: Number.self), slot: slot,
                    neurons: first..<min(H, first + V.scalarCount), samples: sample..<min(B, sample + samplesAtOnce)))
        }
        let y = buffers.y?.assumingMemoryBound(to: Number.self)
        for b in 0..<B {
            y.map { $0 + b * H }?.copy(scratch.h + b * Hp, H)
            h.map { $0 + b * H }?.copy(scratch.h + b * Hp, H)
        }
    }

    /// Whose rows of a vector of neurons stay in the second cache between the read and the update.
    private var samplesAtOnce: Int {
        max(1, min(16, 512 * 1024 / (V.scalarCount * K * MemoryLayout<Number>.size)))
    }

    /// A vector of neurons of some samples.
    private struct Block: STPNRulePass {
        let step: STPNStep
        let given: STPNArrays<UnsafePointer<Number>>
        let scratch: Scratch
        let F: Pointer  // (B,H,K)
        let energy: Pointer?  // (B,H)
        let slot: Int
        let neurons: Range<Int>
        let samples: Range<Int>

        func run<R: STPNRule>(_: R.Type) {
            for b in samples {
                read(R.self, b)
                fire(R.self, b)
                if let energy { addEnergy(R.self, b, energy + b * step.H) }
            }
            for j in neurons {
                let (lambda, gamma) = rates(j)
                for b in samples { update(R.self, b, j, lambda, gamma) }
            }
        }

        private var K: Int { step.K }
        private func v(_ b: Int) -> Pointer { scratch.v + b &* step.Kp }
        private func row(_ b: Int, _ j: Int) -> Pointer { F + (b &* step.H &+ j) &* K }

        /// (1) and (3) without the division
        private func read<R: STPNRule>(_: R.Type, _ b: Int) {
            var j = neurons.lowerBound
            while j &+ 4 <= neurons.upperBound {
                read(R.self, Samples<4>.self, b, j)
                j &+= 4
            }
            while j < neurons.upperBound {
                read(R.self, Samples<1>.self, b, j)
                j &+= 1
            }
        }

        /// N rows, which share the loads of v.
        @inline(__always)
        private func read<R: STPNRule, let N: Int>(_: R.Type, _: Samples<N>.Type, _ b: Int, _ j: Int) {
            let (v, row, weight, K) = (v(b), row(b, j), given.weight + j &* K, K)
            var (dot, squares) = (InlineArray<N, V>(repeating: .zero), InlineArray<N, V>(repeating: .zero))
            forEachVector { k, lanes in
                Samples<N>.forEach { i in
                    let G = lanes(weight, i &* K &+ k) + lanes(row, i &* K &+ k)
                    dot[i] = fma(G, v.lanes(k), dot[i])
                    if R.normalizes { squares[i] = fma(G, G, squares[i]) }
                }
            }
            let at = b &* step.Hp &+ j
            (scratch.dot + at).storeSums(dot, stride: 1)
            if R.normalizes { (scratch.squares + at).storeSums(squares, stride: 1) }
        }

        /// Calls `body` for all vectors of a row, which `lanes` loads, with zeros behind its end: the same sums as those of the
        /// padded rows of a sequence.
        @inline(__always)
        private func forEachVector(_ body: (_ k: Int, _ lanes: (UnsafePointer<Number>, Int) -> V) -> Void) {
            var k = 0
            while k &+ V.scalarCount <= K {
                body(k) { $0.lanes($1) }
                k &+= V.scalarCount
            }
            if k < K { body(k) { Number.first(K &- k, of: $0 + $1) } }
        }

        /// (3) a, (5) h
        private func fire<R: STPNRule>(_: R.Type, _ b: Int) {
            let (at, h) = (b * step.Hp + neurons.lowerBound, scratch.h)
            var a = scratch.dot.lanes(at)
            if R.normalizes {
                let gain = scratch.gain.lanes(neurons.lowerBound)
                let inverse = inverse(scratch.squares.lanes(at).squareRoot(), gain: gain, Number.self)
                a *= inverse
                scratch.inverse.store(inverse, at)
            }
            h.store(a + scratch.bias.lanes(neurons.lowerBound), at)
            step.cell.activation.apply(h + at, to: h + at, width: V.scalarCount)
        }

        /// (10)
        private func addEnergy<R: STPNRule>(_: R.Type, _ b: Int, _ energy: Pointer) {
            let v = v(b)
            for j in neurons {
                let (row, weight) = (row(b, j), given.weight + j * K)
                var sum = V.zero
                forEachVector { k, lanes in
                    let G = lanes(weight, k) + lanes(row, k)
                    sum = fma(absolute(G, Number.self), v.lanes(k) * v.lanes(k), sum)
                }
                energy[j] = horizontalSum(sum, Number.self)
                if R.normalizes { energy[j] *= abs(scratch.inverse[b * step.Hp + j]) }
            }
        }

        /// Λ and Γ of neuron j's synapses, (K)
        private func rates(_ j: Int) -> (lambda: UnsafePointer<Number>, gamma: UnsafePointer<Number>) {
            switch step.cell.plasticityShape {
            case .synapse: return (given.lambda + j * K, given.gamma + j * K)
            case .presynaptic: return (given.lambda, given.gamma)
            case .neuron, .scalar:
                let (lambda, gamma) = (scratch.lambda + slot * K, scratch.gamma + slot * K)
                let at = step.cell.rateIndex(j, 0)
                lambda.fill(step.cell.decay(given.lambda[at]), K)
                gamma.fill(step.cell.rate(given.gamma[at]), K)
                return (UnsafePointer(lambda), UnsafePointer(gamma))
            }
        }

        /// (6), (7), and with "post" (8)
        @inline(__always)
        private func update<R: STPNRule>(
            _: R.Type, _ b: Int, _ j: Int, _ lambda: UnsafePointer<Number>, _ gamma: UnsafePointer<Number>
        ) {
            let (v, row, L) = (v(b), row(b, j), V.scalarCount)
            let at = b &* step.Hp &+ j
            let (h, bound) = (V(repeating: scratch.h[at]), V(repeating: Number(step.cell.clamp)))
            let scale = V(repeating: R.dividesBefore ? scratch.inverse[at] : 1)
            func new(_ k: Int) -> V {
                STPNKernel.updated(
                    row.lanes(k), lambda: lambda.lanes(k), gamma: gamma.lanes(k), u: v.lanes(k), h: h, scale: scale,
                    bound: bound, R.self, Number.self)
            }
            // The last vector may share elements with the one before, which writes them first.
            let last = new(K &- L)
            var k = 0
            while k &+ L <= K {
                row.store(new(k), k)
                k &+= L
            }
            row.store(last, K &- L)
            if R.dividesAfter { normalize(row, given.weight + j &* K, gain: scratch.gain[j]) }
        }

        private func normalize(_ row: Pointer, _ weight: UnsafePointer<Number>, gain: Number) {
            var squares = V.zero
            forEachVector { k, lanes in
                let G = lanes(weight, k) + lanes(row, k)
                squares = fma(G, G, squares)
            }
            row.scale(inverse(horizontalSum(squares, Number.self).squareRoot(), gain: gain), K)
        }
    }
}
