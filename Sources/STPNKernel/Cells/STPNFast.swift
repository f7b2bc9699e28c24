/// Short-term plasticity neurons for the fast kernel: memory, and what is done once per row and not per synapse.
/// The arithmetic of the synapses is in Rules/.
struct STPNFast<Number: Real>: FastCell {
    typealias Pointer = UnsafeMutablePointer<Number>

    let description: STPN
    /// I, H, K, and K and H padded
    let I: Int
    let H: Int
    let K: Int
    let Kp: Int
    let Hp: Int

    init(_ cell: STPN) {
        description = cell
        (I, H, K) = (cell.inputSize, cell.hiddenSize, cell.presynapticSize)
        (Kp, Hp) = (padded(K, Number.self), padded(H, Number.self))
    }

    /// Not a multiple of the page size: rows of the samples of a block would compete for the same lines of the cache.
    var synapses: Int {
        let count = H * Kp
        return count * MemoryLayout<Number>.size % 4096 == 0 ? count + Number.rowUnit : count
    }
    var clamp: Number { Number(description.clamp) }

    /// The parameters, or sums of their gradients, in rows that vectors can load whole.
    struct Rows {
        let weight: Pointer  // (H,Kp)
        let lambda: Pointer  // (H,Kp)
        let gamma: Pointer  // (H,Kp)
        let bias: Pointer  // (Hp)
    }

    private func rows(_ arena: inout Arena) -> Rows {
        Rows(
            weight: arena.take(Number.self, H, Kp), lambda: arena.take(Number.self, H, Kp),
            gamma: arena.take(Number.self, H, Kp), bias: arena.take(Number.self, Hp))
    }

    func parameters(_ arena: inout Arena) -> Rows { rows(&arena) }
    func gradients(_ arena: inout Arena) -> Rows { rows(&arena) }

    func pack(_ arrays: InputArrays, into parameters: Rows) {
        let given = STPNArrays(description) { Optional(arrays).array($0, Number.self)! }
        for j in 0..<H {
            (parameters.weight + j * Kp).copyPadded(given.weight + j * K, K, Kp)
            (parameters.lambda + j * Kp).copyPadded(given.lambda + j * K, K, Kp)
            (parameters.gamma + j * Kp).copyPadded(given.gamma + j * K, K, Kp)
        }
        if let bias = given.bias { parameters.bias.copyPadded(bias, H, Hp) } else { parameters.bias.zero(Hp) }
    }

    /// The synapses of a sample, (H,Kp), from an initial F (H,K) or zeros.
    func loadSynapses(_ X: Pointer, _ F: UnsafePointer<Number>?) {
        guard let F else { return X.zero(synapses) }
        for j in 0..<H {
            (X + j * Kp).copyPadded(F + j * K, K, Kp)
        }
    }

    /// What the steps leave: step t of sample b in row b · slots + t modulo slots.
    struct Trace {
        let slots: Int
        let v: Pointer  // (samples, slots, Kp): [x_t, h_{t-1}]
        let h: Pointer  // (samples, slots, Hp): h_t
        let ratio: Pointer  // (samples, slots, Hp): dot / n; only where a norm divides
        let inverse: Pointer  // (samples, slots, Hp): 1 / n; only where a norm divides
        let scale: Pointer  // (samples, slots + 1, Hp): s of X before step t; only with "post"

        @inline(__always)
        func row(_ b: Int, _ t: Int) -> Int { b &* slots &+ t % slots }
        @inline(__always)
        func scaleRow(_ b: Int, _ t: Int) -> Int { b &* (slots &+ 1) &+ t % (slots &+ 1) }
    }

    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace {
        let norms = description.normalizes ? samples : 0
        let scales = description.dividesAfter ? samples : 0
        return Trace(
            slots: slots, v: arena.take(Number.self, samples, slots, Kp),
            h: arena.take(Number.self, samples, slots, Hp), ratio: arena.take(Number.self, norms, slots, Hp),
            inverse: arena.take(Number.self, norms, slots, Hp), scale: arena.take(Number.self, scales, slots + 1, Hp))
    }

    var traceHoldsEnd: Bool { description.dividesAfter }
    var synapseState: Int { STPN.State.F.rawValue }

    func forwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int
    ) -> STPNForward<Number> {
        STPNForward(self, &arena, parameters, trace, samples: samples)
    }

    func backwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> STPNBackward<Number> {
        STPNBackward(self, &arena, parameters, trace, samples: samples, steps: steps, segments: segments)
    }

    func zero(_ gradients: Rows) {
        gradients.weight.zero(H * Kp)
        gradients.lambda.zero(H * Kp)
        gradients.gamma.zero(H * Kp)
        gradients.bias.zero(Hp)
    }

    func writeSum(of parts: [Rows], row j: Int, to arrays: OutputArrays) {
        func write(_ parameter: STPN.Parameter, from offset: Int, _ count: Int, _ array: (Rows) -> Pointer) {
            guard let index = description.index(parameter),
                let target = Optional(arrays).array(index, Number.self)
            else { return }
            (target + j * count).zero(count)
            for part in parts {
                (target + j * count).add(array(part) + offset, count)
            }
        }
        write(.weight, from: j * Kp, K) { $0.weight }
        write(.bias, from: j, 1) { $0.bias }
        write(.lambda, from: j * Kp, K) { $0.lambda }
        write(.gamma, from: j * Kp, K) { $0.gamma }
    }
}
