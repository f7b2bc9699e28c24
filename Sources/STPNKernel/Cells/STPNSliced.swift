/// Feed-forward short-term plasticity neurons for the fast kernel: as STPNFast, but with a neuron in each element of a vector,
/// because rows of I synapses are short, and in slices of a few vectors, because neurons that do not meet can go through a
/// sequence one after the other, with their synapses in the first cache. The arithmetic is in Rules/STPNColumns.swift.
struct STPNSliced<Number: Real>: FastCell {
    typealias Pointer = UnsafeMutablePointer<Number>

    let description: STPN
    /// H, and padded; K = P = I
    let H: Int
    let Hp: Int
    let K: Int
    /// Neurons of a vector, and vectors of a slice: so few that its synapses in four samples stay in the first caches
    let L = Number.Lanes.scalarCount
    let M = 6
    let normalizes: Bool
    let dividesBefore: Bool
    let dividesAfter: Bool
    let prompt: Bool

    init(_ cell: STPN) {
        description = cell
        (H, Hp, K) = (cell.hiddenSize, padded(cell.hiddenSize, Number.self), cell.inputSize)
        (normalizes, dividesBefore, dividesAfter) = (cell.normalizes, cell.dividesBefore, cell.dividesAfter)
        prompt = cell.decay == .prompt
    }

    /// Neurons of a slice; the last one may have fewer.
    var width: Int { M * L }
    var slices: Int { (H + width - 1) / width }
    var synapses: Int { sampleStride(rows: M * K, width: L, Number.self) }
    var fusesSteps: Bool { true }
    var clamp: Number { Number(description.clamp) }

    /// The parameters, or sums of their gradients, vector by vector of neurons.
    struct Rows {
        let weight: Pointer  // (Hp/L,K,L)
        let lambda: Pointer  // (Hp/L,K,L)
        let gamma: Pointer  // (Hp/L,K,L); with "prompt" Λ∘Γ
        let promptGamma: Pointer  // (Hp/L,K,L): Γ; only of parameters, and only with "prompt"
        let bias: Pointer  // (Hp)
    }

    private func rows(_ arena: inout Arena, withPromptGamma: Bool) -> Rows {
        Rows(
            weight: arena.take(Number.self, Hp, K), lambda: arena.take(Number.self, Hp, K),
            gamma: arena.take(Number.self, Hp, K), promptGamma: arena.take(Number.self, withPromptGamma ? Hp : 0, K),
            bias: arena.take(Number.self, Hp))
    }

    func parameters(_ arena: inout Arena) -> Rows { rows(&arena, withPromptGamma: prompt) }
    func gradients(_ arena: inout Arena) -> Rows { rows(&arena, withPromptGamma: false) }

    /// Where synapse (j,k) is in them.
    private func index(_ j: Int, _ k: Int) -> Int { (j / L * K + k) * L + j % L }

    func pack(_ arrays: InputArrays, into parameters: Rows) {
        let given = STPNArrays(description) { Optional(arrays).array($0, Number.self)! }
        let (lambda, gamma) = (description.decay(given.lambda[0]), description.rate(given.gamma[0]))
        // Neurons behind H learn nothing.
        for array in [parameters.weight, parameters.lambda, parameters.gamma] { array.zero(Hp * K) }
        for j in 0..<H {
            for k in 0..<K {
                let rate = description.rateIndex(j, k)
                parameters.weight[index(j, k)] = given.weight[j * K + k]
                parameters.lambda[index(j, k)] = description.isRaw ? lambda : given.lambda[rate]
                parameters.gamma[index(j, k)] = description.isRaw ? gamma : given.gamma[rate]
            }
        }
        if prompt {
            parameters.promptGamma.copy(parameters.gamma, Hp * K)
            parameters.gamma.multiply(parameters.lambda, width: Hp * K)
        }
        parameters.bias.copyRows(given.bias, rows: 1, columns: H, width: Hp)
    }

    func neurons(_ slice: Int) -> Range<Int> { slice * width..<min(H, (slice + 1) * width) }

    /// The vectors that hold neurons of a slice.
    func vectors(_ slice: Int) -> Int { (neurons(slice).count + L - 1) / L }

    /// (M,K,L) of a slice, from rows (K) of all neurons, or zeros.
    func load(_ X: Pointer, _ F: UnsafePointer<Number>?, _ slice: Int) {
        X.zero(M * K * L)
        guard let F else { return }
        let first = index(slice * width, 0)
        for j in neurons(slice) {
            for k in 0..<K { X[index(j, k) - first] = F[j * K + k] }
        }
    }

    /// To rows (K) of all neurons, times a factor of each neuron of the slice.
    func store(_ X: Pointer, _ F: Pointer, _ slice: Int, times factor: (Int) -> Number) {
        let first = index(slice * width, 0)
        for j in neurons(slice) {
            for k in 0..<K { F[j * K + k] = X[index(j, k) - first] * factor(j - slice * width) }
        }
    }

    /// What the steps leave: step t of sample b in row b · slots + t modulo slots.
    struct Trace {
        let slots: Int
        let x: Pointer  // (samples, slots, K)
        let h: Pointer  // (samples, slots, Hp): h_t
        let ratio: Pointer  // (samples, slots, Hp): dot / n; only where a norm divides
        let length: Pointer  // (samples, slots, Hp): the norm of the read; only where one divides
        let postLength: Pointer  // (samples, slots + 1, Hp): that in s of X before step t; only with "post"

        @inline(__always)
        func row(_ b: Int, _ t: Int) -> Int { b &* slots &+ t % slots }
        @inline(__always)
        func postRow(_ b: Int, _ t: Int) -> Int { b &* (slots &+ 1) &+ t % (slots &+ 1) }
    }

    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace {
        let (norms, posts) = (normalizes ? samples : 0, dividesAfter ? samples : 0)
        return Trace(
            slots: slots, x: arena.take(Number.self, samples, slots, K),
            h: arena.take(Number.self, samples, slots, Hp), ratio: arena.take(Number.self, norms, slots, Hp),
            length: arena.take(Number.self, norms, slots, Hp),
            postLength: arena.take(Number.self, posts, slots + 1, Hp))
    }

    var traceHoldsEnd: Bool { dividesAfter }

    func forwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int
    ) -> STPNSlicedForward<Number> {
        STPNSlicedForward(self, &arena, parameters, trace, samples: samples)
    }

    func backwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> STPNSlicedBackward<Number> {
        STPNSlicedBackward(self, &arena, parameters, trace, samples: samples, steps: steps, segments: segments)
    }

    /// What F̃ = scale · X takes in step t of sample b, from neuron j on: 1/n with "pre", s with "post".
    @inline(__always)
    func scale(_ trace: Trace, _ b: Int, _ t: Int, _ j: Int) -> Number.Lanes {
        let length =
            dividesBefore
            ? trace.length + trace.row(b, t) &* Hp : trace.postLength + trace.postRow(b, t) &* Hp
        return postScale(length.lanes(j), gain: Number.Lanes(repeating: 1), Number.self)
    }

    // MARK: Gradients for the parameters

    func zero(_ gradients: Rows) {
        for array in [gradients.weight, gradients.lambda, gradients.gamma] { array.zero(Hp * K) }
        gradients.bias.zero(Hp)
    }

    func writeSum(of parts: [Rows], _ parameters: Rows, row j: Int, to targets: [Pointer?]) {
        STPNKernel.writeSum(of: parts, 1, to: targets[STPN.Parameter.bias.rawValue].map { $0 + j }) { $0.bias + j }
        guard j % L == 0 else { return }
        let (first, count) = (index(j, 0), K * L)
        for array in [{ $0.weight }, { $0.lambda }, { $0.gamma }] as [(Rows) -> Pointer] {
            STPNKernel.writeSum(of: parts, count, to: array(parts[0]) + first) { array($0) + first }
        }
        let total = parts[0]
        if prompt {
            for i in first..<first + count {
                total.lambda[i] += total.gamma[i] * parameters.promptGamma[i]
                total.gamma[i] *= parameters.lambda[i]
            }
        }
        guard let weight = targets[STPN.Parameter.weight.rawValue] else { return }
        for j in j..<min(H, j + L) {
            for k in 0..<K { weight[j * K + k] = total.weight[index(j, k)] }
        }
    }

    func writeTotal(of parts: [Rows], _ parameters: Rows, to targets: [Pointer?]) {
        let gradLambda = targets[STPN.Parameter.lambda.rawValue]
        let gradGamma = targets[STPN.Parameter.gamma.rawValue]
        gather(parts[0].lambda, to: gradLambda)
        gather(parts[0].gamma, to: gradGamma)
        if description.isRaw {
            gradLambda?[0] *= description.decaySlope(parameters.lambda[0])
            gradGamma?[0] *= description.rateSlope(parameters.gamma[0])
        }
    }

    /// The gradients for all synapses to what they share, or themselves. In double precision: synapses are many, and their
    /// gradients may cancel.
    private func gather(_ synapses: Pointer, to target: Pointer?) {
        guard let target else { return }
        func sum(_ neurons: Range<Int>, _ columns: Range<Int>) -> Number {
            Number(neurons.reduce(0.0) { sum, j in columns.reduce(sum) { $0 + Double(synapses[index(j, $1)]) } })
        }
        switch description.plasticityShape {
        case .synapse: for jk in 0..<H * K { target[jk] = synapses[index(jk / K, jk % K)] }
        case .neuron: for j in 0..<H { target[j] = sum(j..<j + 1, 0..<K) }
        case .presynaptic: for k in 0..<K { target[k] = sum(0..<H, k..<k + 1) }
        case .scalar: target[0] = sum(0..<H, 0..<K)
        }
    }
}
