/// The synapses of a block once more, before its way back: every step's go to the history. A vector of some rows goes through all
/// steps before the next, and so stays in registers.
struct STPNReplay<Number: Real> {
    typealias Pointer = UnsafeMutablePointer<Number>

    private let cell: STPNFast<Number>
    private let parameters: STPNFast<Number>.Rows
    private let trace: STPNFast<Number>.Trace
    private let history: SynapseHistory<Number>
    // What the steps need, in the order in which it is used, for N samples that are replayed together: each gives so many
    // lines of the cache to a vector that in the trace they would stand in each other's way.
    private let u: Pointer  // (Kp / lanes, steps, N, lanes)
    private let factors: Pointer  // (steps, H, 2, N): h, and what F̃ = scale · X takes
    private let scale: Pointer  // (Hp): of one sample and step

    init(
        _ cell: STPNFast<Number>, _ arena: inout Arena, _ parameters: STPNFast<Number>.Rows,
        _ trace: STPNFast<Number>.Trace, _ history: SynapseHistory<Number>, samples: Int, steps: Int
    ) {
        (self.cell, self.parameters, self.trace, self.history) = (cell, parameters, trace, history)
        u = arena.take(Number.self, samples, steps, cell.Kp)
        factors = arena.take(Number.self, steps, cell.H, 2, samples)
        scale = arena.take(Number.self, cell.Hp)
    }

    /// `b` is the number of the block's first sample in the trace.
    func run(_ samples: Range<Int>, _ b: Int, steps: Range<Int>, reset: (_ s: Int, _ t: Int) -> Bool) {
        history.replay(samples, steps: steps, reset: reset) { samples, run in
            let t = steps.lowerBound
            cell.description.withRule(Run(replay: self, samples: samples, b: b, t: t, steps: run))
        }
    }

    /// Steps without a reset between them.
    private struct Run: STPNRulePass {
        let replay: STPNReplay
        let samples: Range<Int>
        let b: Int
        /// The first step of the history
        let t: Int
        let steps: Range<Int>

        func run<R: STPNRule>(_: R.Type) {
            if samples.count == WholeBlock.count {
                run(R.self, WholeBlock.self, Samples<2>.self, samples.lowerBound)
            } else {
                for s in samples { run(R.self, Samples<1>.self, Samples<4>.self, s) }
            }
        }

        /// N samples from `s` on, M rows at a time: so many that the steps of one need not wait for those of another.
        private func run<R: STPNRule, let N: Int, let M: Int>(
            _: R.Type, _: Samples<N>.Type, _: Samples<M>.Type, _ s: Int
        ) {
            for i in 0..<N { pack(R.self, s + i, i, of: N) }
            let H = replay.cell.H
            var j = 0
            while j + M <= H {
                run(R.self, Samples<N>.self, Samples<M>.self, s, rows: j)
                j += M
            }
            while j < H {
                run(R.self, Samples<N>.self, Samples<1>.self, s, rows: j)
                j += 1
            }
        }

        private func pack<R: STPNRule>(_: R.Type, _ s: Int, _ i: Int, of count: Int) {
            let (cell, trace) = (replay.cell, replay.trace)
            let lanes = Number.Lanes.scalarCount
            for step in steps {
                let row = trace.row(b + s, t + step)
                let place = (step - steps.lowerBound) * count
                let from = trace.u + row * cell.Kp
                var to = replay.u + (place + i) * lanes
                for k in stride(from: 0, to: cell.Kp, by: lanes) {
                    to.store(from.lanes(k), 0)
                    to += steps.count * count * lanes
                }
                let scales = R.dividesBefore || R.dividesAfter
                if scales { cell.scale(trace, replay.parameters, b + s, t + step, into: replay.scale) }
                var factors = replay.factors + place * cell.H * 2 + i
                for j in 0..<cell.H {
                    factors[0] = trace.h[row * cell.Hp + j]
                    factors[count] = scales ? replay.scale[j] : 1
                    factors += 2 * count
                }
            }
        }

        @inline(__always)
        private func run<R: STPNRule, let N: Int, let M: Int>(
            _: R.Type, _: Samples<N>.Type, _: Samples<M>.Type, _ s: Int, rows j: Int
        ) {
            typealias V = Number.Lanes
            let (cell, parameters, lanes) = (replay.cell, replay.parameters, V.scalarCount)
            let (H, Kp, stepStride) = (cell.H, cell.Kp, replay.history.stepStride)
            let row = replay.history.row(s, j, steps.lowerBound)
            let samples = N == WholeBlock.count ? N : row.samples
            let bound = V(repeating: cell.clamp)
            @inline(__always)
            func at(_ m: Int, _ i: Int) -> Int { m &* Kp &* samples &+ i &* lanes }

            var (X, u) = (row.start, replay.u)
            for k in stride(from: 0, to: Kp, by: lanes) {
                let lambda = InlineArray<M, V> { m in (parameters.lambda + (j &+ m) &* Kp).lanes(k) }
                let gamma = InlineArray<M, V> { m in (parameters.gamma + (j &+ m) &* Kp).lanes(k) }
                var x = InlineArray<M, InlineArray<N, V>> { m in InlineArray { i in X.lanes(at(m, i)) } }
                var (after, factors) = (X, replay.factors + j &* 2 &* N)
                for _ in steps {
                    after += stepStride
                    Samples<N>.forEach { i in
                        let u = u.lanes(i &* lanes)
                        Samples<M>.forEach { m in
                            let factors = factors + m &* 2 &* N
                            x[m][i] = updated(
                                x[m][i], lambda: lambda[m], gamma: gamma[m], u: u, h: V(repeating: factors[i]),
                                scale: V(repeating: factors[N &+ i]), bound: bound, R.self, Number.self)
                            after.store(x[m][i], at(m, i))
                        }
                    }
                    u += N &* lanes
                    factors += H &* 2 &* N
                }
                X += samples &* lanes
            }
        }
    }
}
