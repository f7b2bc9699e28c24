/// Feed-forward short-term plasticity neurons without normalization and clip, and with one Λ and one Γ, for the fast kernel,
/// HebbFF among them: F is a linear memory (Rules/LinearMemory.swift) with p = h_t and q = x_t, read with k = x_t.
struct STPNLinear<Number: Real>: FastCell {
    typealias Pointer = UnsafeMutablePointer<Number>

    let description: STPN
    /// H, K = I, and padded
    let H: Int
    let Hp: Int
    let K: Int
    let Kp: Int

    init(_ cell: STPN) {
        description = cell
        (H, K) = (cell.hiddenSize, cell.inputSize)
        (Hp, Kp) = (padded(H, Number.self), padded(K, Number.self))
    }

    var synapses: Int { H * Kp }
    var fusesSteps: Bool { true }
    var samplesAtOnce: Int { 1 }
    var endsStepBefore: Bool { false }
    private var chunk: Int { LinearMemory.chunk(rows: H, columns: K, Number.self) }
    func stepsAtOnce(_ T: Int, samples: Int) -> Int { min(T, chunk) }

    struct Parameters {
        let input: DenseLayer<Number>
        let rates: Pointer  // (2): Λ, Γ
        let decays: Decays<Number>
    }

    func parameters(_ arena: inout Arena) -> Parameters {
        Parameters(
            input: DenseLayer(&arena, H: H, K: K), rates: arena.take(Number.self, 2),
            decays: Decays(&arena, chunk: chunk))
    }

    func pack(_ arrays: InputArrays, into parameters: Parameters) {
        let given = STPNArrays(description) { Optional(arrays).array($0, Number.self)! }
        parameters.input.pack(given.weight, given.bias)
        let (lambda, gamma) = (description.decay(given.lambda[0]), description.rate(given.gamma[0]))
        (parameters.rates[0], parameters.rates[1]) = (lambda, gamma)
        parameters.decays.fill(lambda: lambda, gamma: gamma)
    }

    /// What the steps leave: step t of sample b in row b · slots + t modulo slots.
    struct Trace {
        let slots: Int
        let x: Pointer  // (samples, slots, Kp)
        let h: Pointer  // (samples, slots, Hp)

        @inline(__always)
        func row(_ b: Int, _ t: Int) -> Int { b &* slots &+ t % slots }
    }

    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace {
        Trace(
            slots: slots, x: arena.take(Number.self, samples, slots, Kp), h: arena.take(Number.self, samples, slots, Hp)
        )
    }

    var traceHoldsEnd: Bool { false }

    func forwardBlock(
        _ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int
    ) -> STPNLinearForward<Number> {
        STPNLinearForward(self, &arena, parameters, trace, samples: samples)
    }

    func backwardBlock(
        _ arena: inout Arena, _ parameters: Parameters, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> STPNLinearBackward<Number> {
        STPNLinearBackward(self, &arena, parameters, trace, samples: samples, steps: steps, segments: segments)
    }

    // MARK: Gradients for the parameters

    struct Gradients {
        let input: DenseGradient<Number>
        let rates: RateGradient  // for Λ and Γ
    }

    func gradients(_ arena: inout Arena) -> Gradients {
        Gradients(input: DenseGradient(&arena, H: H, K: K), rates: RateGradient(&arena))
    }

    func zero(_ gradients: Gradients) {
        gradients.input.zero()
        gradients.rates.zero()
    }

    func writeSum(of parts: [Gradients], _ parameters: Parameters, row j: Int, to targets: [Pointer?]) {
        DenseGradient.writeSum(
            of: parts.map { $0.input }, row: j, weight: targets[STPN.Parameter.weight.rawValue],
            bias: targets[STPN.Parameter.bias.rawValue])
    }

    func writeTotal(of parts: [Gradients], _ parameters: Parameters, to targets: [Pointer?]) {
        let sum = RateGradient.sum(of: parts.map { $0.rates })
        let (lambda, gamma) = (parameters.rates[0], parameters.rates[1])
        targets[STPN.Parameter.lambda.rawValue]?[0] = Number(sum.lambda) * description.decaySlope(lambda)
        targets[STPN.Parameter.gamma.rawValue]?[0] = Number(sum.gamma) * description.rateSlope(gamma)
    }
}
