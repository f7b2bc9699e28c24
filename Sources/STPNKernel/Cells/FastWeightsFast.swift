/// Fast weights for the fast kernel: memory, and what is done once per row. A is a linear memory
/// (Rules/LinearMemory.swift) with p = q = h_{t-1}.
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

    var synapses: Int { H * Hp }
    var fusesSteps: Bool { true }
    var endsStepBefore: Bool { false }
    private var chunk: Int { LinearMemory.chunk(rows: H, columns: H, Number.self) }
    func stepsAtOnce(_ T: Int, samples: Int) -> Int { min(T, chunk) }
    var norm: LayerNorm<Number> { LayerNorm(H: H, Hp: Hp) }

    struct Parameters {
        let input: DenseLayer<Number>
        let decays: Decays<Number>
        let layerNormWeight: Pointer  // (Hp)
        let layerNormBias: Pointer  // (Hp)
    }

    func parameters(_ arena: inout Arena) -> Parameters {
        Parameters(
            input: DenseLayer(&arena, H: H, K: K), decays: Decays(&arena, chunk: chunk),
            layerNormWeight: arena.take(Number.self, Hp), layerNormBias: arena.take(Number.self, Hp))
    }

    func pack(_ arrays: InputArrays, into parameters: Parameters) {
        let given = FastWeightsArrays(description) { Optional(arrays).array($0, Number.self)! }
        parameters.input.pack(given.weight, given.bias)
        parameters.decays.fill(lambda: given.lambda[0], gamma: given.gamma[0])
        if let weight = given.layerNormWeight { parameters.layerNormWeight.copyPadded(weight, H, Hp) }
        if let bias = given.layerNormBias { parameters.layerNormBias.copyPadded(bias, H, Hp) }
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
    func activate(_ a: Pointer, _ parameters: Parameters, into h: Pointer) {
        if description.layerNorm {
            norm.apply(a, to: h, gain: parameters.layerNormWeight, bias: parameters.layerNormBias)
            description.activation.apply(h, to: h, width: Hp)
        } else {
            description.activation.apply(a, to: h, width: Hp)
        }
        h.clearPadding(H, Hp)
    }

    var traceHoldsEnd: Bool { false }

    func forwardBlock(
        _ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int
    ) -> FastWeightsForward<Number> {
        FastWeightsForward(self, &arena, parameters, trace, samples: samples)
    }

    func backwardBlock(
        _ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> FastWeightsBackward<Number> {
        FastWeightsBackward(self, &arena, parameters, trace, samples: samples, steps: steps, segments: segments)
    }

    // MARK: Gradients for the parameters

    struct Gradients {
        let input: DenseGradient<Number>
        let layerNormWeight: Pointer  // (Hp)
        let layerNormBias: Pointer  // (Hp)
        let rates: RateGradient  // for λ and η
    }

    func gradients(_ arena: inout Arena) -> Gradients {
        Gradients(
            input: DenseGradient(&arena, H: H, K: K), layerNormWeight: arena.take(Number.self, Hp),
            layerNormBias: arena.take(Number.self, Hp), rates: RateGradient(&arena))
    }

    func zero(_ gradients: Gradients) {
        gradients.input.zero()
        for array in [gradients.layerNormWeight, gradients.layerNormBias] { array.zero(Hp) }
        gradients.rates.zero()
    }

    func writeSum(of parts: [Gradients], _ parameters: Parameters, row j: Int, to targets: [Pointer?]) {
        func target(_ parameter: FastWeights.Parameter) -> Pointer? { targets[parameter.rawValue] }
        DenseGradient.writeSum(of: parts.map { $0.input }, row: j, weight: target(.weight), bias: target(.bias))
        STPNKernel.writeSum(of: parts, 1, to: target(.layerNormWeight).map { $0 + j }) { $0.layerNormWeight + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.layerNormBias).map { $0 + j }) { $0.layerNormBias + j }
    }

    func writeTotal(of parts: [Gradients], _ parameters: Parameters, to targets: [Pointer?]) {
        let rates = RateGradient.sum(of: parts.map { $0.rates })
        targets[FastWeights.Parameter.lambda.rawValue]?[0] = Number(rates.lambda)
        targets[FastWeights.Parameter.gamma.rawValue]?[0] = Number(rates.gamma)
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
