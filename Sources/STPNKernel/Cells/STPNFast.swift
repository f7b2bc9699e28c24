/// Short-term plasticity neurons for the fast kernel: memory, and what is done once per row and not per synapse.
/// The arithmetic of the synapses is in Rules/.
///
/// Rows have all K columns; those that are not plastic have Λ = Γ = 0, and so F = 0. Λ and Γ are spread over all synapses,
/// and the gradients for them summed, at the ends of a call.
struct STPNFast<Number: Real>: FastCell {
    typealias Pointer = UnsafeMutablePointer<Number>

    let description: STPN
    /// I, H, K, P, and K and H padded
    let I: Int
    let H: Int
    let K: Int
    let P: Int
    let Kp: Int
    let Hp: Int
    /// The plastic ones of K
    let columns: Range<Int>
    let options: Options
    private let stateIndices: [Int?]

    /// What the description's options mean for each step, worked out once.
    struct Options {
        let recurrent: Bool
        let normalizes: Bool
        let dividesBefore: Bool
        let dividesAfter: Bool
        /// The norm is that of the whole layer.
        let acrossRows: Bool
        let gains: Bool
        let projects: Bool
        let current: Bool
        let plasticBias: Bool
        let layerNorm: Bool
        let prompt: Bool

        init(_ cell: STPN) {
            recurrent = cell.recurrent
            (normalizes, dividesBefore, dividesAfter) = (cell.normalizes, cell.dividesBefore, cell.dividesAfter)
            (acrossRows, gains) = (cell.normAxis == .layer, cell.normGain)
            (projects, current) = (cell.rule == .oja, cell.presynaptic == .current)
            (plasticBias, layerNorm, prompt) = (cell.plasticBias, cell.layerNorm, cell.decay == .prompt)
        }

        /// F̃ is not X itself.
        var scales: Bool { dividesBefore || dividesAfter }
        /// The update multiplies another vector than the read.
        var learnsFromOther: Bool { projects || current }
    }

    init(_ cell: STPN) {
        description = cell
        (I, H, K, P) = (cell.inputSize, cell.hiddenSize, cell.presynapticSize, cell.plasticSize)
        (Kp, Hp) = (padded(K, Number.self), padded(H, Number.self))
        columns = cell.plasticColumns
        options = Options(cell)
        stateIndices = cell.stateIndices
    }

    /// The number of a state of the cell, or nil where it has none of that name.
    func index(_ state: STPN.State) -> Int? { stateIndices[state.rawValue] }

    var synapses: Int { H * Kp }
    var clamp: Number { Number(description.clamp) }
    var norm: LayerNorm<Number> { LayerNorm(H: H, Hp: Hp) }

    /// With "oja" an update waits for the projections of all rows, and with a norm of the whole layer what "post" divides does.
    var fusesSteps: Bool { !(options.projects || (options.dividesAfter && options.acrossRows)) }

    /// The parameters, or sums of their gradients, in rows that vectors can load whole.
    struct Rows {
        let weight: Pointer  // (H,Kp)
        let lambda: Pointer  // (H,Kp)
        let gamma: Pointer  // (H,Kp); with "prompt" Λ∘Γ
        let promptGamma: Pointer  // (H,Kp): Γ; only of parameters, and only with "prompt"
        let bias: Pointer  // (Hp)
        let gain: Pointer  // (Hp)
        let biasLambda: Pointer  // (Hp)
        let biasGamma: Pointer  // (Hp)
        let layerNormWeight: Pointer  // (Hp)
        let layerNormBias: Pointer  // (Hp)
    }

    private func rows(_ arena: inout Arena, withPromptGamma: Bool) -> Rows {
        Rows(
            weight: arena.take(Number.self, H, Kp), lambda: arena.take(Number.self, H, Kp),
            gamma: arena.take(Number.self, H, Kp), promptGamma: arena.take(Number.self, withPromptGamma ? H : 0, Kp),
            bias: arena.take(Number.self, Hp), gain: arena.take(Number.self, Hp),
            biasLambda: arena.take(Number.self, Hp), biasGamma: arena.take(Number.self, Hp),
            layerNormWeight: arena.take(Number.self, Hp), layerNormBias: arena.take(Number.self, Hp))
    }

    func parameters(_ arena: inout Arena) -> Rows { rows(&arena, withPromptGamma: options.prompt) }
    func gradients(_ arena: inout Arena) -> Rows { rows(&arena, withPromptGamma: false) }

    func pack(_ arrays: InputArrays, into parameters: Rows) {
        let given = STPNArrays(description) { Optional(arrays).array($0, Number.self)! }
        for j in 0..<H {
            (parameters.weight + j * Kp).copyPadded(given.weight + j * K, K, Kp)
            spread(given.lambda, j, over: parameters.lambda + j * Kp) { description.decay($0) }
            spread(given.gamma, j, over: parameters.gamma + j * Kp) { description.rate($0) }
            if options.prompt {
                (parameters.promptGamma + j * Kp).copy(parameters.gamma + j * Kp, Kp)
                (parameters.gamma + j * Kp).multiply(parameters.lambda + j * Kp, width: Kp)
            }
        }
        func load(_ array: UnsafePointer<Number>?, into row: Pointer, else value: Number = 0) {
            if let array { row.copyPadded(array, H, Hp) } else { row.fill(value, Hp) }
        }
        load(given.bias, into: parameters.bias)
        load(given.normGain, into: parameters.gain, else: 1)
        load(given.biasLambda, into: parameters.biasLambda)
        load(given.biasGamma, into: parameters.biasGamma)
        load(given.layerNormWeight, into: parameters.layerNormWeight)
        load(given.layerNormBias, into: parameters.layerNormBias)
    }

    /// Row j (Kp) of Λ or Γ, from an array of its own shape; what is one number for all synapses goes through `function`.
    private func spread(
        _ given: UnsafePointer<Number>, _ j: Int, over row: Pointer, _ function: (Number) -> Number
    ) {
        row.zero(Kp)
        let plastic = row + columns.lowerBound
        switch description.plasticityShape {
        case .synapse: plastic.copy(given + j * P, P)
        case .neuron: plastic.fill(given[j], P)
        case .presynaptic: plastic.copy(given, P)
        case .scalar: plastic.fill(function(given[0]), P)
        }
    }

    /// What the steps leave: step t of sample b in row b · slots + t modulo slots.
    struct Trace {
        let slots: Int
        let v: Pointer  // (samples, slots, Kp): [x_t, h_{t-1}]
        let u: Pointer  // (samples, slots, Kp): what the update multiplies; v itself unless that differs
        let h: Pointer  // (samples, slots, Hp): h_t
        let ratio: Pointer  // (samples, slots, Hp): dot / n; only where a norm divides, or before a layer norm
        let length: Pointer  // (samples, slots, Hp): the norm of the read; only where one divides
        let postLength: Pointer  // (samples, slots + 1, Hp): that in s of X before step t; only with "post"
        let fb: Pointer  // (samples, slots, Hp): f_{t-1}; only with a plastic bias

        @inline(__always)
        func row(_ b: Int, _ t: Int) -> Int { b &* slots &+ t % slots }
        @inline(__always)
        func postRow(_ b: Int, _ t: Int) -> Int { b &* (slots &+ 1) &+ t % (slots &+ 1) }
    }

    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace {
        func take(_ isThere: Bool, _ slots: Int, _ width: Int) -> Pointer {
            arena.take(Number.self, isThere ? samples : 0, slots, width)
        }
        let v = take(true, slots, Kp)
        return Trace(
            slots: slots, v: v, u: options.learnsFromOther ? take(true, slots, Kp) : v, h: take(true, slots, Hp),
            ratio: take(options.normalizes || options.layerNorm, slots, Hp),
            length: take(options.normalizes, slots, Hp), postLength: take(options.dividesAfter, slots + 1, Hp),
            fb: take(options.plasticBias, slots, Hp))
    }

    /// What a pass that begins step t of sample b reads, and what the update that it ends multiplies, among those of other samples.
    func arrange<P: Phase>(_: P.Type, _ trace: Trace, _ b: Int, _ t: Int, v: BlockRow<Number>, u: BlockRow<Number>) {
        if P.reads { v.copy(trace.v + trace.row(b, t) * Kp, Kp) }
        if P.updates { u.copy(trace.u + trace.row(b, t - 1) * Kp, Kp) }
    }

    var traceHoldsEnd: Bool { options.dividesAfter || options.projects }

    /// What F̃ = scale · X takes in step t of sample b, (Hp): 1/n with "pre", s with "post".
    func scale(_ trace: Trace, _ parameters: Rows, _ b: Int, _ t: Int, into target: Pointer) {
        let length =
            options.dividesBefore
            ? trace.length + trace.row(b, t) * Hp : trace.postLength + trace.postRow(b, t) * Hp
        var j = 0
        while j < Hp {
            target.store(postScale(length.lanes(j), gain: parameters.gain.lanes(j), Number.self), j)
            j &+= Number.Lanes.scalarCount
        }
    }

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

    // MARK: Gradients for the parameters

    func zero(_ gradients: Rows) {
        for array in [gradients.weight, gradients.lambda, gradients.gamma] { array.zero(H * Kp) }
        for array in [
            gradients.bias, gradients.gain, gradients.biasLambda, gradients.biasGamma, gradients.layerNormWeight,
            gradients.layerNormBias,
        ] { array.zero(Hp) }
    }

    func writeSum(of parts: [Rows], _ parameters: Rows, row j: Int, to targets: [Pointer?]) {
        func target(_ parameter: STPN.Parameter, _ offset: Int) -> Pointer? {
            targets[parameter.rawValue].map { $0 + offset }
        }
        STPNKernel.writeSum(of: parts, K, to: target(.weight, j * K)) { $0.weight + j * Kp }
        STPNKernel.writeSum(of: parts, 1, to: target(.bias, j)) { $0.bias + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.normGain, j)) { $0.gain + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.biasLambda, j)) { $0.biasLambda + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.biasGamma, j)) { $0.biasGamma + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.layerNormWeight, j)) { $0.layerNormWeight + j }
        STPNKernel.writeSum(of: parts, 1, to: target(.layerNormBias, j)) { $0.layerNormBias + j }

        let (lambda, gamma) = (parts[0].lambda + j * Kp, parts[0].gamma + j * Kp)
        STPNKernel.writeSum(of: parts, Kp, to: lambda) { $0.lambda + j * Kp }
        STPNKernel.writeSum(of: parts, Kp, to: gamma) { $0.gamma + j * Kp }
        if options.prompt {
            for k in columns {
                lambda[k] += gamma[k] * parameters.promptGamma[j * Kp + k]
                gamma[k] *= parameters.lambda[j * Kp + k]
            }
        }
        gather(lambda + columns.lowerBound, j, to: targets[STPN.Parameter.lambda.rawValue])
        gather(gamma + columns.lowerBound, j, to: targets[STPN.Parameter.gamma.rawValue])
    }

    /// The gradients for a neuron's synapses (P) to what they share, or themselves.
    private func gather(_ plastic: Pointer, _ j: Int, to target: Pointer?) {
        switch description.plasticityShape {
        case .synapse: target.map { $0 + j * P }?.copy(plastic, P)
        case .neuron: target?[j] = Number(sum(plastic))
        case .presynaptic, .scalar: break
        }
    }

    func writeTotal(of parts: [Rows], _ parameters: Rows, to targets: [Pointer?]) {
        let gradLambda = targets[STPN.Parameter.lambda.rawValue]
        let gradGamma = targets[STPN.Parameter.gamma.rawValue]
        gather(parts[0].lambda + columns.lowerBound, to: gradLambda)
        gather(parts[0].gamma + columns.lowerBound, to: gradGamma)
        if description.isRaw {
            gradLambda?[0] *= description.decaySlope(parameters.lambda[columns.lowerBound])
            gradGamma?[0] *= description.rateSlope(parameters.gamma[columns.lowerBound])
        }
    }

    /// The gradients for all synapses (H,Kp) to what the neurons share.
    private func gather(_ plastic: Pointer, to target: Pointer?) {
        guard let target else { return }
        switch description.plasticityShape {
        case .synapse, .neuron: break
        case .presynaptic:
            for p in 0..<P { target[p] = Number((0..<H).reduce(0.0) { $0 + Double(plastic[$1 * Kp + p]) }) }
        case .scalar:
            target[0] = Number((0..<H).reduce(0.0) { $0 + sum(plastic + $1 * Kp) })
        }
    }

    /// Of the plastic columns of a row. In double precision: synapses are many, and their gradients may cancel.
    private func sum(_ plastic: Pointer) -> Double {
        (0..<P).reduce(0.0) { $0 + Double(plastic[$1]) }
    }
}

extension STPN {
    func runFast(_ job: Job) -> Int? {
        if job.isStep && stepsByRows {
            if job.type == .float32 && presynapticSize >= Float.Lanes.scalarCount {
                return STPNStep<Float>(self, batch: job.batch, threads: job.threads).perform(job.work)
            }
            if Double.isFast && job.type == .float64 && presynapticSize >= Double.Lanes.scalarCount {
                return STPNStep<Double>(self, batch: job.batch, threads: job.threads).perform(job.work)
            }
        }
        // What follows pays over more than a step.
        if isLinear && job.time > 1 {
            return job.type == .float32 ? STPNLinear<Float>(self).run(job) : STPNLinear<Double>(self).run(job)
        }
        if neuronsAreIndependent && job.time > 1 {
            return job.type == .float32 ? STPNSliced<Float>(self).run(job) : STPNSliced<Double>(self).run(job)
        }
        return job.type == .float32 ? STPNFast<Float>(self).run(job) : STPNFast<Double>(self).run(job)
    }
}
