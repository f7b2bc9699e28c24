/// Modulated plasticity for the fast kernel: memory, and what is done once per row. The arithmetic of F and E is in
/// Rules/ModulatedRule.swift.
struct ModulatedFast<Number: Real>: FastCell {
    typealias Pointer = UnsafeMutablePointer<Number>

    let description: Modulated
    /// I, H, and padded
    let I: Int
    let H: Int
    let Ip: Int
    let Hp: Int
    let traces: Bool

    init(_ cell: Modulated) {
        description = cell
        (I, H, traces) = (cell.inputSize, cell.hiddenSize, cell.traces)
        (Ip, Hp) = (padded(I, Number.self), padded(H, Number.self))
    }

    /// F of a sample, or E
    var matrix: Int { sampleStride(rows: H, width: Hp, Number.self) }
    var synapses: Int { traces ? 2 * matrix : matrix }
    var fusesSteps: Bool { true }

    /// The rule of the networks that were published. The others take one sample at a time: they are many, and every loop of
    /// theirs takes its time to compile.
    typealias SharedRule = ModulatedRuleOf<No, No>
    var sharesLoads: Bool {
        !traces && (description.addition == .plain || description.addition == .clipped)
    }
    var clamp: Number { Number(description.clamp) }
    var saturates: Bool { description.addition == .saturating }

    /// The parameters, or sums of their gradients, in rows that vectors can load whole.
    struct Rows {
        let inputWeight: Pointer  // (H,Ip)
        let inputBias: Pointer  // (Hp)
        let w: Pointer  // (H,Hp)
        let alpha: Pointer  // (H,Hp)
        let modulatorWeight: Pointer  // (Hp)
        let modulatorBias: Pointer  // (1)
        let eta: Pointer  // (1)
    }

    private func rows(_ arena: inout Arena) -> Rows {
        Rows(
            inputWeight: arena.take(Number.self, H, Ip), inputBias: arena.take(Number.self, Hp),
            w: arena.take(Number.self, H, Hp), alpha: arena.take(Number.self, H, Hp),
            modulatorWeight: arena.take(Number.self, Hp), modulatorBias: arena.take(Number.self, 1),
            eta: arena.take(Number.self, 1))
    }

    func parameters(_ arena: inout Arena) -> Rows { rows(&arena) }
    func gradients(_ arena: inout Arena) -> Rows { rows(&arena) }

    func pack(_ arrays: InputArrays, into parameters: Rows) {
        let given = ModulatedArrays(description) { Optional(arrays).array($0, Number.self)! }
        parameters.inputWeight.copyRows(given.inputWeight, rows: H, columns: I, width: Ip)
        parameters.inputBias.copyPadded(given.inputBias, H, Hp)
        parameters.w.copyRows(given.w, rows: H, columns: H, width: Hp)
        parameters.alpha.copyRows(given.alpha, rows: H, columns: H, width: Hp)
        if let weight = given.modulatorWeight { parameters.modulatorWeight.copyPadded(weight, H, Hp) }
        if let bias = given.modulatorBias { parameters.modulatorBias[0] = bias[0] }
        parameters.eta[0] = given.eta?[0] ?? 0
    }

    /// What the steps leave: step t of sample b in row b · slots + t modulo slots.
    struct Trace {
        let slots: Int
        let x: Pointer  // (samples, slots, Ip)
        let previous: Pointer  // (samples, slots, Hp): h_{t-1}
        let h: Pointer  // (samples, slots, Hp): h_t
        let m: Pointer  // (samples, slots)

        @inline(__always)
        func row(_ b: Int, _ t: Int) -> Int { b &* slots &+ t % slots }
    }

    func trace(_ arena: inout Arena, samples: Int, slots: Int) -> Trace {
        Trace(
            slots: slots, x: arena.take(Number.self, samples, slots, Ip),
            previous: arena.take(Number.self, samples, slots, Hp), h: arena.take(Number.self, samples, slots, Hp),
            m: arena.take(Number.self, samples, slots))
    }

    var traceHoldsEnd: Bool { false }

    func forwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int
    ) -> ModulatedForward<Number> {
        ModulatedForward(self, &arena, parameters, trace, samples: samples)
    }

    func backwardBlock(
        _ arena: inout Arena, _ parameters: Rows, _ trace: Trace, samples: Int, steps: Int, segments: Int
    ) -> ModulatedBackward<Number> {
        ModulatedBackward(self, &arena, parameters, trace, samples: samples, steps: steps, segments: segments)
    }

    // MARK: Gradients for the parameters

    func zero(_ gradients: Rows) {
        gradients.inputWeight.zero(H * Ip)
        gradients.w.zero(H * Hp)
        gradients.alpha.zero(H * Hp)
        gradients.inputBias.zero(Hp)
        gradients.modulatorWeight.zero(Hp)
        gradients.modulatorBias[0] = 0
        gradients.eta[0] = 0
    }

    func writeSum(of parts: [Rows], _ parameters: Rows, row j: Int, to targets: [Pointer?]) {
        func target(_ parameter: Modulated.Parameter, _ offset: Int) -> Pointer? {
            targets[parameter.rawValue].map { $0 + offset }
        }
        STPNKernel.writeSum(of: parts, I, to: target(.inputWeight, j * I)) { $0.inputWeight + j * Ip }
        STPNKernel.writeSum(of: parts, 1, to: target(.inputBias, j)) { $0.inputBias + j }
        STPNKernel.writeSum(of: parts, H, to: target(.w, j * H)) { $0.w + j * Hp }
        STPNKernel.writeSum(of: parts, H, to: target(.alpha, j * H)) { $0.alpha + j * Hp }
        STPNKernel.writeSum(of: parts, 1, to: target(.modulatorWeight, j)) { $0.modulatorWeight + j }
    }

    func writeTotal(of parts: [Rows], _ parameters: Rows, to targets: [Pointer?]) {
        STPNKernel.writeSum(of: parts, 1, to: targets[Modulated.Parameter.modulatorBias.rawValue]) {
            $0.modulatorBias
        }
        STPNKernel.writeSum(of: parts, 1, to: targets[Modulated.Parameter.eta.rawValue]) { $0.eta }
    }
}

extension Modulated {
    func runFast(_ job: Job) -> Int? {
        switch job.type {
        case .float32: ModulatedFast<Float>(self).run(job)
        case .float64: ModulatedFast<Double>(self).run(job)
        }
    }
}
