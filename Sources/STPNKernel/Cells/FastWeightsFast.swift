/// Fast weights for the fast kernel: memory, and what is done once per row. The arithmetic of A is in
/// Rules/FastWeightsRule.swift.
///
/// A step updates A before it reads it, so that a pass is the whole of a step: what ends the one before is nothing.
struct FastWeightsFast<Number: Real>: FastCell {
    typealias Pointer = UnsafeMutablePointer<Number>

    let description: FastWeights
    /// I, H, K, and padded
    let I: Int
    let H: Int
    let K: Int
    let Kp: Int
    let Hp: Int
    /// Inner steps
    let S: Int

    init(_ cell: FastWeights) {
        description = cell
        (I, H, K, S) = (cell.inputSize, cell.hiddenSize, cell.presynapticSize, cell.innerSteps)
        (Kp, Hp) = (padded(K, Number.self), padded(H, Number.self))
    }

    var synapses: Int { sampleStride(rows: H, width: Hp, Number.self) }
    var fusesSteps: Bool { true }
    var norm: LayerNorm<Number> { LayerNorm(H: H, Hp: Hp) }

    /// The parameters, or sums of their gradients, in rows that vectors can load whole.
    struct Rows {
        let weight: Pointer  // (H,Kp)
        let bias: Pointer  // (Hp)
        let layerNormWeight: Pointer  // (Hp)
        let layerNormBias: Pointer  // (Hp)
        let lambda: Pointer  // (1)
        let gamma: Pointer  // (1): η
    }

    private func rows(_ arena: inout Arena) -> Rows {
        Rows(
            weight: arena.take(Number.self, H, Kp), bias: arena.take(Number.self, Hp),
            layerNormWeight: arena.take(Number.self, Hp), layerNormBias: arena.take(Number.self, Hp),
            lambda: arena.take(Number.self, 1), gamma: arena.take(Number.self, 1))
    }

    func parameters(_ arena: inout Arena) -> Rows { rows(&arena) }
    func gradients(_ arena: inout Arena) -> Rows { rows(&arena) }

    func pack(_ arrays: InputArrays, into parameters: Rows) {
        let given = FastWeightsArrays(description) { Optional(arrays).array($0, Number.self)! }
        parameters.weight.copyRows(given.weight, rows: H, columns: K, width: Kp)
        parameters.bias.copyPadded(given.bias, H, Hp)
        if let weight = given.layerNormWeight { parameters.layerNormWeight.copyPadded(weight, H, Hp) }
        if let bias = given.layerNormBias { parameters.layerNormBias.copyPadded(bias, H, Hp) }
        parameters.lambda[0] = given.lambda[0]
        parameters.gamma[0] = given.gamma[0]
    }

    /// What the steps leave: step t of sample b in row b · slots + t modulo slots.
    struct Trace {
        let slots: Int
        let v: Pointer  // (samples, slots, Kp): [x_t, h_{t-1}]
        let previous: Pointer  // (samples, slots, Hp): h_{t-1}
        let a: Pointer  // (samples, slots, S + 1, Hp): z, then z + A h^s, standardized where there is a layer norm
        let inverse: Pointer  // (samples, slots, S + 1): 1 / deviation; only with a layer norm

        @inline(__always)
        func row(_ b: Int, _ t: Int) -> Int { b &* slots &+ t % slots }
    }

    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace {
        Trace(
            slots: slots, v: arena.take(Number.self, samples, slots, Kp),
            previous: arena.take(Number.self, samples, slots, Hp),
            a: arena.take(Number.self, samples, slots, S + 1, Hp),
            inverse: arena.take(Number.self, description.layerNorm ? samples : 0, slots, S + 1))
    }

    /// The number of a^s of a step, in row `row` of the trace.
    @inline(__always)
    func inner(_ s: Int, _ row: Int) -> Int { row &* (S &+ 1) &+ s }

    /// h^s = φ(LN(a^s)), (Hp), from what the trace has of a^s.
    func activate(_ a: Pointer, _ parameters: Rows, into h: Pointer) {
        if description.layerNorm {
            norm.apply(a, to: h, gain: parameters.layerNormWeight, bias: parameters.layerNormBias)
            description.activation.apply(h, to: h, width: Hp)
        } else {
            description.activation.apply(a, to: h, width: Hp)
        }
        (h + H).zero(Hp - H)
    }

    var traceHoldsEnd: Bool { false }

    func forwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int
    ) -> FastWeightsForward<Number> {
        FastWeightsForward(self, &arena, parameters, trace, samples: samples)
    }

    func backwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> FastWeightsBackward<Number> {
        FastWeightsBackward(self, &arena, parameters, trace, samples: samples, steps: steps, segments: segments)
    }

    // MARK: Gradients for the parameters

    func zero(_ gradients: Rows) {
        gradients.weight.zero(H * Kp)
        for array in [gradients.bias, gradients.layerNormWeight, gradients.layerNormBias] { array.zero(Hp) }
        gradients.lambda[0] = 0
        gradients.gamma[0] = 0
    }

    func writeSum(of parts: [Rows], _ parameters: Rows, row j: Int, to targets: [Pointer?]) {
        func target(_ parameter: FastWeights.Parameter, _ offset: Int) -> Pointer? {
            targets[parameter.rawValue].map { $0 + offset }
        }
        STPNKernel.writeSum(of: parts, K, to: target(.weight, j * K)) { $0.weight + j * Kp }
        STPNKernel.writeSum(of: parts, 1, to: target(.bias, j)) { $0.bias + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.layerNormWeight, j)) { $0.layerNormWeight + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.layerNormBias, j)) { $0.layerNormBias + j }
    }

    func writeTotal(of parts: [Rows], _ parameters: Rows, to targets: [Pointer?]) {
        STPNKernel.writeSum(of: parts, 1, to: targets[FastWeights.Parameter.lambda.rawValue]) { $0.lambda }
        STPNKernel.writeSum(of: parts, 1, to: targets[FastWeights.Parameter.gamma.rawValue]) { $0.gamma }
    }
}

extension FastWeights {
    func runFast(_ job: Job) -> Int? {
        switch job.type {
        case .float32: FastWeightsFast<Float>(self).run(job)
        case .float64: FastWeightsFast<Double>(self).run(job)
        }
    }
}
