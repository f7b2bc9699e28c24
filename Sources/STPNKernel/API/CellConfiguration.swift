import CSTPN

/// Which cell, of what size, with what options: valid, or it could not be made.
///
///     let configuration = try CellConfiguration.stpn(inputSize: 37, hiddenSize: 11, normalize: .post)
///
/// Options have the names of `docs/cells.md`, which has the equations. What options contradict each other, and what ranges
/// they have, the kernel decides; it throws an ``STPNError`` that names the option.
public struct CellConfiguration: Sendable {
    /// In the number type that the cell is made with.
    let cell: stpn_cell
    let summary: Cell.Summary

    /// I
    public var inputSize: Int { summary.inputSize }
    /// H
    public var hiddenSize: Int { summary.hiddenSize }

    private init(
        _ kind: Int, _ inputSize: Int, _ hiddenSize: Int, _ setOptions: (inout stpn_cell) throws(STPNError) -> Void
    ) throws(STPNError) {
        var cell = try checking { () throws(Failure) in try stpn_cell(kind: Int32(kind)) }
        (cell.input_size, cell.hidden_size) = (Int64(inputSize), Int64(hiddenSize))
        try setOptions(&cell)
        self.cell = cell
        summary = try checking { () throws(Failure) in try cell.checked().0.summary }
    }

    // MARK: Kinds of cells

    /// Short-term plasticity neurons: every synapse has a weight and a short-term part F that decays and learns while the
    /// network runs (`docs/cells.md`, section 1). With the defaults it is STPNR, the network of the paper; with `recurrent`
    /// off, STPNF.
    ///
    /// Rodriguez, Guo, Moraitis, "Short-Term Plasticity Neurons Learning to Learn and Forget", ICML 2022.
    ///
    /// The parameters are `weight` (H,K), `weight_lambda` Λ and `weight_gamma` Γ, and as the options have it `bias`,
    /// `norm_gain`, `bias_lambda`, `bias_gamma`, `layer_norm.weight`, `layer_norm.bias` (H). The states are `h` (B,H), the
    /// activations, where the cell is recurrent, `F` (B,H,P), and `fb` (B,H), the plastic bias.
    ///
    /// - Parameters:
    ///   - inputSize: I, 1 or more.
    ///   - hiddenSize: H, 1 or more.
    ///   - recurrent: Whether the neurons see, beside x_t, their own h_{t-1}: K = I + H synapses each, otherwise K = I.
    ///   - plastic: Which synapses have a short-term part; P is the number of these a neuron.
    ///   - plasticityShape: One decay Λ and one learning rate Γ for each synapse, or fewer.
    ///   - normalize: What the norm of a neuron's synapses W + F divides.
    ///   - normAxis: Whose norm.
    ///   - normGain: Whether a learned gain per neuron scales the norm.
    ///   - decay: Whether Λ applies to F alone, or also to what the step adds.
    ///   - rule: What a step adds to F.
    ///   - presynaptic: Which hidden activations an update multiplies.
    ///   - clamp: c, 0 or more: F is clipped to [-c, c]; nil: no clip.
    ///   - bias: Whether the neurons have a bias.
    ///   - plasticBias: Whether they have one that is short-term plastic.
    ///   - layerNorm: Whether a layer norm precedes the activation.
    ///   - activation: The function of a neuron.
    /// - Throws: ``STPNError`` where a size or an option is out of its range, or options contradict each other: a
    ///   feed-forward cell has no `plastic: .hidden` and no `presynaptic: .current`; `normGain` and `normAxis: .layer` need a
    ///   `normalize`.
    public static func stpn(
        inputSize: Int, hiddenSize: Int, recurrent: Bool = true, plastic: Plastic = .all,
        plasticityShape: PlasticityShape = .synapse, normalize: Normalize = .pre, normAxis: NormAxis = .neuron,
        normGain: Bool = false, decay: Decay = .stp, rule: Rule = .hebb, presynaptic: Presynaptic = .previous,
        clamp: Double? = nil, bias: Bool = true, plasticBias: Bool = false, layerNorm: Bool = false,
        activation: Activation = .tanh
    ) throws(STPNError) -> CellConfiguration {
        try CellConfiguration(STPN_CELL_STPN, inputSize, hiddenSize) { cell in
            cell.recurrent = recurrent ? 1 : 0
            cell.plastic = plastic.rawValue
            cell.plasticity_shape = plasticityShape.rawValue
            cell.normalize = normalize.rawValue
            cell.norm_axis = normAxis.rawValue
            cell.norm_gain = normGain ? 1 : 0
            cell.decay = decay.rawValue
            cell.rule = rule.rawValue
            cell.presynaptic = presynaptic.rawValue
            cell.clamp = clamp ?? .infinity
            cell.bias = bias ? 1 : 0
            cell.plastic_bias = plasticBias ? 1 : 0
            cell.layer_norm = layerNorm ? 1 : 0
            cell.activation = activation.rawValue
        }
    }

    /// HebbFF: a feed-forward layer of sigmoid neurons whose synapses learn by an anti-Hebbian rule, with one decay and one
    /// learning rate for all (`docs/cells.md`, section 3).
    ///
    /// Tyulmankov, Yang, Abbott, "Meta-learning synaptic plasticity and memory addressing for continual familiarity
    /// detection", Neuron 2022.
    ///
    /// The parameters are `weight` (H,I), `bias` (H), `raw_lambda` and `raw_gamma` (); the state is `F` (B,H,I).
    ///
    /// - Parameters:
    ///   - inputSize: I, 1 or more.
    ///   - hiddenSize: H, 1 or more.
    ///   - forced: Whether Λ = 1 / (1 + exp(-raw_lambda)) and Γ = -exp(raw_gamma), so that the rule stays anti-Hebbian whatever
    ///     is learned; otherwise they are `raw_lambda` and `raw_gamma` themselves.
    /// - Throws: ``STPNError`` where a size is out of its range.
    public static func hebbFF(
        inputSize: Int, hiddenSize: Int, forced: Bool = true
    ) throws(STPNError) -> CellConfiguration {
        try CellConfiguration(STPN_CELL_HEBBFF, inputSize, hiddenSize) { $0.forced = forced ? 1 : 0 }
    }

    /// Fast weights: a recurrent network with a second, fast matrix A that decays and learns the outer products of its
    /// activations, and that is applied S times a step (`docs/cells.md`, section 4).
    ///
    /// Ba, Hinton, Mnih, Leibo, Ionescu, "Using Fast Weights to Attend to the Recent Past", NIPS 2016.
    ///
    /// The parameters are `weight` (H,I+H), `bias` (H), the decay `weight_lambda` and the learning rate `weight_gamma` (), and
    /// with a layer norm `layer_norm.weight`, `layer_norm.bias` (H). The states are `h` (B,H) and `F` (B,H,H), which is A.
    ///
    /// - Parameters:
    ///   - inputSize: I, 1 or more.
    ///   - hiddenSize: H, 1 or more.
    ///   - innerSteps: S, 1 to 1024.
    ///   - layerNorm: Whether a layer norm precedes the activation, the same at every inner step.
    ///   - activation: The function of a neuron.
    /// - Throws: ``STPNError`` where a size or an option is out of its range.
    public static func fastWeights(
        inputSize: Int, hiddenSize: Int, innerSteps: Int = 1, layerNorm: Bool = true, activation: Activation = .tanh
    ) throws(STPNError) -> CellConfiguration {
        try CellConfiguration(STPN_CELL_FAST_WEIGHTS, inputSize, hiddenSize) { cell throws(STPNError) in
            guard let steps = Int32(exactly: innerSteps) else {
                throw STPNError(.option, "inner_steps", "expected 1 to 1024, got \(innerSteps)")
            }
            cell.inner_steps = steps
            cell.layer_norm = layerNorm ? 1 : 0
            cell.activation = activation.rawValue
        }
    }

    /// Differentiable plasticity with and without a neuromodulator: a recurrent network whose synapses have a Hebbian part,
    /// alpha times F, that a signal of the network itself may gate (`docs/cells.md`, section 5).
    ///
    /// Miconi, Clune, Stanley, "Differentiable plasticity", ICML 2018; Miconi, Rawal, Clune, Stanley, "Backpropamine",
    /// ICLR 2019.
    ///
    /// The parameters are `i2h.weight` (H,I), `i2h.bias` (H), `w` and `alpha` (H,H), with a modulator `h2DA.weight` (1,H) and
    /// `h2DA.bias` (1), and `eta` (1) for `.plastic` or `etaet` (1) for `.modul`. The states are `h` (B,H), `F` (B,H,H), and for
    /// `.modul` the trace `E` (B,H,H).
    ///
    /// - Parameters:
    ///   - inputSize: I, 1 or more.
    ///   - hiddenSize: H, 1 or more.
    ///   - kind: What a step adds to F, and what scales it.
    ///   - addpw: How that joins F.
    ///   - da: The function that makes the modulator.
    /// - Throws: ``STPNError`` where a size is out of its range.
    public static func modulated(
        inputSize: Int, hiddenSize: Int, kind: ModulatedKind = .modplast, addpw: Addition = .clipped,
        da: Modulator = .tanh
    ) throws(STPNError) -> CellConfiguration {
        try CellConfiguration(STPN_CELL_MODULATED, inputSize, hiddenSize) { cell in
            (cell.kind, cell.addpw, cell.da) = (kind.rawValue, addpw.rawValue, da.rawValue)
        }
    }
}

/// The values of options, with their numbers in `stpn.h`.
extension CellConfiguration {
    /// The synapses that have a short-term part.
    public enum Plastic: Int32, CaseIterable, Sendable {
        case all = 1
        /// Those of x_t.
        case input
        /// Those of h_{t-1}.
        case hidden
    }

    /// One decay Λ and one learning rate Γ per …
    public enum PlasticityShape: Int32, CaseIterable, Sendable {
        /// (H,P)
        case synapse = 1
        /// (H)
        case neuron
        /// (P)
        case presynaptic
        /// ()
        case scalar
    }

    /// What the norm n of W + F divides.
    public enum Normalize: Int32, CaseIterable, Sendable {
        /// Nothing.
        case none = 1
        /// The input of the neuron.
        case output
        /// The input of the neuron, and F before its update.
        case pre
        /// The input of the neuron, and F after its update, by the norm after it.
        case post
    }

    /// Whose norm.
    public enum NormAxis: Int32, CaseIterable, Sendable {
        /// That of each neuron's synapses.
        case neuron = 1
        /// One of the whole layer of a sample.
        case layer
    }

    /// What Λ applies to.
    public enum Decay: Int32, CaseIterable, Sendable {
        /// F alone.
        case stp = 1
        /// F and what the step adds.
        case prompt
    }

    /// What a step adds to F.
    public enum Rule: Int32, CaseIterable, Sendable {
        /// The product of h and the presynaptic activation.
        case hebb = 1
        /// Oja's rule.
        case oja
    }

    /// The hidden activations that an update multiplies.
    public enum Presynaptic: Int32, CaseIterable, Sendable {
        /// h_{t-1}
        case previous = 1
        /// h_t
        case current
    }

    /// The function of a neuron.
    public enum Activation: Int32, CaseIterable, Sendable {
        case tanh = 1
        case sigmoid, relu, identity
    }

    /// What a step of a modulated cell adds to F, and what scales it.
    public enum ModulatedKind: Int32, CaseIterable, Sendable {
        /// The outer product of h_t and h_{t-1}, times a learned constant.
        case plastic = 1
        /// The outer product, times the modulator.
        case modplast
        /// An eligibility trace, times the modulator.
        case modul
    }

    /// How a step of a modulated cell joins F, by the numbers of `addpw`.
    public enum Addition: Int32, CaseIterable, Sendable {
        /// Replacing a part of it.
        case replacing = 0
        /// Added.
        case plain
        /// Added with saturation.
        case saturating
        /// Added and clipped.
        case clipped
    }

    /// The function that makes the modulator.
    public enum Modulator: Int32, CaseIterable, Sendable {
        case tanh = 1
        /// The logistic function.
        case sig
        /// The identity.
        case lin
    }
}
