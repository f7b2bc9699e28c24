/// Short-term plasticity neurons (docs/cells.md, section 1): the description of the cell.
///
/// Rodriguez, Guo, Moraitis, "Short-Term Plasticity Neurons Learning to Learn and Forget", ICML 2022.
struct STPN: CellDescription {
    /// The columns of W that have a short-term part.
    enum Plastic: Int32, Choice {
        case all = 1
        case input, hidden

        var name: StaticString? {
            switch self {
            case .all: "all"
            case .input: "input"
            case .hidden: "hidden"
            }
        }
    }

    /// Λ and Γ: one for each …
    enum PlasticityShape: Int32, Choice {
        case synapse = 1
        case neuron, presynaptic, scalar

        var name: StaticString? {
            switch self {
            case .synapse: "synapse"
            case .neuron: "neuron"
            case .presynaptic: "presynaptic"
            case .scalar: "scalar"
            }
        }
    }

    /// What the norm n of a row of G = W + F divides.
    enum Normalize: Int32, Choice {
        /// Nothing.
        case none = 1
        /// The read.
        case output
        /// The read, and F before its update.
        case pre
        /// The read, and F after its update, by the norm after it.
        case post

        var name: StaticString? {
            switch self {
            case .none: nil
            case .output: "output"
            case .pre: "pre"
            case .post: "post"
            }
        }
    }

    enum NormAxis: Int32, Choice {
        /// A row of G: the synapses of a neuron.
        case neuron = 1
        /// The whole matrix of a sample.
        case layer

        var name: StaticString? { self == .neuron ? "neuron" : "layer" }
    }

    enum Decay: Int32, Choice {
        /// Λ∘F̃ + Γ∘D
        case stp = 1
        /// Λ∘(F̃ + Γ∘D)
        case prompt

        var name: StaticString? { self == .stp ? "stp" : "prompt" }
    }

    enum Rule: Int32, Choice {
        case hebb = 1
        case oja

        var name: StaticString? { self == .hebb ? "hebb" : "oja" }
    }

    /// Which hidden activations the update of step t multiplies.
    enum Presynaptic: Int32, Choice {
        /// h_{t-1}
        case previous = 1
        /// h_t
        case current

        var name: StaticString? { self == .previous ? "previous" : "current" }
    }

    /// How Λ and Γ come from the parameters.
    enum Rates {
        /// They are `weight_lambda` and `weight_gamma`.
        case given
        /// Those of HebbFF, scalars: `raw_lambda` and `raw_gamma`; forced through functions of fixed sign.
        case raw(forced: Bool)
    }

    /// I
    let inputSize: Int
    /// H
    let hiddenSize: Int
    var recurrent = true
    var plastic = Plastic.all
    var plasticityShape = PlasticityShape.synapse
    var rates = Rates.given
    var normalize = Normalize.pre
    var normAxis = NormAxis.neuron
    var normGain = false
    var decay = Decay.stp
    var rule = Rule.hebb
    var presynaptic = Presynaptic.previous
    /// c: F is clipped to [-c, c]; infinity for no clip.
    var clamp = Double.infinity
    var bias = true
    var plasticBias = false
    var layerNorm = false
    var activation = Activation.tanh

    /// K, the width of the presynaptic vector v: [x_t, h_{t-1}], or x_t.
    var presynapticSize: Int { recurrent ? inputSize + hiddenSize : inputSize }

    /// The plastic columns of v.
    var plasticColumns: Range<Int> {
        switch plastic {
        case .all: 0..<presynapticSize
        case .input: 0..<inputSize
        case .hidden: inputSize..<presynapticSize
        }
    }

    /// P, their number
    var plasticSize: Int { plasticColumns.count }

    var normalizes: Bool { normalize != .none }
    var dividesBefore: Bool { normalize == .pre }
    var dividesAfter: Bool { normalize == .post }
    var clips: Bool { clamp < .infinity }

    enum Parameter: Int, CaseIterable {
        case weight, bias, lambda, gamma, normGain, biasLambda, biasGamma, layerNormWeight, layerNormBias
    }
    enum State: Int, CaseIterable { case h, F, fb }

    /// Where Λ and Γ of synapse (j,p) are in their arrays.
    func rateIndex(_ j: Int, _ p: Int) -> Int {
        switch plasticityShape {
        case .synapse: j * plasticSize + p
        case .neuron: j
        case .presynaptic: p
        case .scalar: 0
        }
    }

    /// Λ and Γ are functions of other parameters.
    var isRaw: Bool { if case .raw = rates { true } else { false } }

    /// Nothing that a step computes of one neuron meets another.
    var neuronsAreIndependent: Bool {
        !recurrent && rule == .hebb && normAxis == .neuron && !normGain && !plasticBias && !layerNorm
    }

    /// A neuron's row meets others in h alone, and learns by its own presynaptic vector (Cells/STPNStep.swift).
    var stepsByRows: Bool {
        plastic == .all && rule == .hebb && decay == .stp && presynaptic == .previous && normAxis == .neuron
            && !plasticBias && !layerNorm
    }

    /// F is a linear memory (Rules/LinearMemory.swift) of which nothing but its product with x_t is read.
    var isLinear: Bool {
        neuronsAreIndependent && !normalizes && !clips && plasticityShape == .scalar && decay == .stp
    }

    /// The shape of Λ and Γ
    private var ratesShape: Shape {
        switch plasticityShape {
        case .synapse: Shape(hiddenSize, plasticSize)
        case .neuron: Shape(hiddenSize)
        case .presynaptic: Shape(plasticSize)
        case .scalar: Shape()
        }
    }

    func info(_ parameter: Parameter) -> ArrayInfo? {
        let H = hiddenSize
        let k = 1 / Double(recurrent ? H : inputSize).squareRoot()
        switch parameter {
        case .weight: return ArrayInfo("weight", Shape(H, presynapticSize), within: k)
        case .bias: return bias ? ArrayInfo("bias", Shape(H), within: k) : nil
        case .lambda:
            if case .raw(let forced) = rates { return rawLambda(forced) }
            return ArrayInfo("weight_lambda", ratesShape, low: 0, high: 1)
        case .gamma:
            if case .raw(let forced) = rates { return rawGamma(forced) }
            return ArrayInfo("weight_gamma", ratesShape, within: 0.001 * k)
        case .normGain: return normGain ? ArrayInfo("norm_gain", Shape(H), all: 1) : nil
        case .biasLambda: return plasticBias ? ArrayInfo("bias_lambda", Shape(H), low: 0, high: 1) : nil
        case .biasGamma: return plasticBias ? ArrayInfo("bias_gamma", Shape(H), within: 0.001 * k) : nil
        case .layerNormWeight: return layerNorm ? ArrayInfo("layer_norm.weight", Shape(H), all: 1) : nil
        case .layerNormBias: return layerNorm ? ArrayInfo("layer_norm.bias", Shape(H), all: 0) : nil
        }
    }

    func info(_ state: State) -> ArrayInfo? {
        switch state {
        case .h: recurrent ? ArrayInfo("h", Shape(hiddenSize)) : nil
        case .F: ArrayInfo("F", Shape(hiddenSize, plasticSize))
        case .fb: plasticBias ? ArrayInfo("fb", Shape(hiddenSize)) : nil
        }
    }

    /// Why these options cannot be together, with the one to change, or nil.
    var contradiction: (option: StaticString, reason: StaticString)? {
        if !recurrent && plastic == .hidden {
            return ("plastic", "expected \"all\" or \"input\" in a feed-forward cell, got \"hidden\"")
        }
        if !recurrent && presynaptic == .current {
            return ("presynaptic", "expected \"previous\" in a feed-forward cell, got \"current\"")
        }
        if !normalizes && normGain {
            return ("norm_gain", "expected a normalize for the gain to scale, got None")
        }
        if !normalizes && normAxis == .layer {
            return ("norm_axis", "expected \"neuron\" where normalize is None, got \"layer\"")
        }
        return nil
    }
}

/// The parameters of a cell, or their gradients, on the buffers of a call.
struct STPNArrays<Pointer> {
    let weight: Pointer  // (H,K)
    let bias: Pointer?  // (H)
    let lambda: Pointer  // (H,P), (H), (P) or ()
    let gamma: Pointer  // as lambda
    let normGain: Pointer?  // (H)
    let biasLambda: Pointer?  // (H)
    let biasGamma: Pointer?  // (H)
    let layerNormWeight: Pointer?  // (H)
    let layerNormBias: Pointer?  // (H)

    init(_ cell: STPN, _ array: (Int) -> Pointer) {
        let indices = cell.parameterIndices
        func find(_ parameter: STPN.Parameter) -> Pointer? { indices[parameter.rawValue].map(array) }
        (weight, bias) = (find(.weight)!, find(.bias))
        (lambda, gamma) = (find(.lambda)!, find(.gamma)!)
        normGain = find(.normGain)
        (biasLambda, biasGamma) = (find(.biasLambda), find(.biasGamma))
        (layerNormWeight, layerNormBias) = (find(.layerNormWeight), find(.layerNormBias))
    }
}
