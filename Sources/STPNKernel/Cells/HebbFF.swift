import CPlatform

/// HebbFF (docs/cells.md, section 3): feed-forward short-term plasticity neurons whose one decay and one learning rate are
/// Λ = σ(raw_lambda) and Γ = -exp(raw_gamma), or with `forced` off the raw values.
///
/// Tyulmankov, Yang, Abbott, "Meta-learning synaptic plasticity and memory addressing for continual familiarity detection",
/// Neuron 2022.
extension STPN {
    static func hebbFF(inputSize: Int, hiddenSize: Int, forced: Bool) -> STPN {
        STPN(
            inputSize: inputSize, hiddenSize: hiddenSize, recurrent: false, plasticityShape: .scalar,
            rates: .raw(forced: forced), normalize: .none, activation: .sigmoid)
    }

    private static var initialLambda: Double { 0.99 }
    /// |Γ|
    private var initialRate: Double { 5 / Double(hiddenSize) }

    func rawLambda(_ forced: Bool) -> ArrayInfo {
        let odds = Self.initialLambda / (1 - Self.initialLambda)
        return ArrayInfo("raw_lambda", Shape(), all: forced ? stpn_platform_log(odds) : Self.initialLambda)
    }

    func rawGamma(_ forced: Bool) -> ArrayInfo {
        ArrayInfo("raw_gamma", Shape(), all: forced ? stpn_platform_log(initialRate) : -initialRate)
    }

    /// Λ of `weight_lambda` or `raw_lambda`
    func decay<T: Real>(_ parameter: T) -> T {
        guard case .raw(forced: true) = rates else { return parameter }
        return 1 / (1 + T.libmExp(-parameter))
    }

    /// Γ of `weight_gamma` or `raw_gamma`
    func rate<T: Real>(_ parameter: T) -> T {
        guard case .raw(forced: true) = rates else { return parameter }
        return -T.libmExp(parameter)
    }

    /// The derivative of Λ for its parameter.
    func decaySlope<T: Real>(_ decay: T) -> T {
        guard case .raw(forced: true) = rates else { return 1 }
        return decay * (1 - decay)
    }

    /// The derivative of Γ for its parameter.
    func rateSlope<T: Real>(_ rate: T) -> T {
        guard case .raw(forced: true) = rates else { return 1 }
        return rate
    }
}
