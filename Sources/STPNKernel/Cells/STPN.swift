/// Short-term plasticity neurons (docs/cells.md, section 1): the description of the cell.
///
/// Rodriguez, Guo, Moraitis, "Short-Term Plasticity Neurons Learning to Learn and Forget", ICML 2022.
struct STPN: CellDescription {
    /// What the norm n of a row of G = W + F divides.
    enum Normalize: Int32 {
        /// Nothing.
        case none = 1
        /// The read.
        case output
        /// The read, and F before its update.
        case pre
        /// The read, and F after its update, by the norm after it.
        case post
    }

    /// I
    let inputSize: Int
    /// H
    let hiddenSize: Int
    let normalize: Normalize
    /// c: F is clipped to [-c, c]; infinity for no clip.
    let clamp: Double
    let bias: Bool

    /// K, the width of the presynaptic vector v = [x_t, h_{t-1}].
    var presynapticSize: Int { inputSize + hiddenSize }

    var normalizes: Bool { normalize != .none }
    var dividesBefore: Bool { normalize == .pre }
    var dividesAfter: Bool { normalize == .post }
    var clips: Bool { clamp < .infinity }

    enum Parameter: Int { case weight, bias, weightLambda, weightGamma }
    enum State: Int { case h, F }

    static let parameterSlots = 4
    static let stateSlots = 2

    func parameter(_ slot: Int) -> ArrayInfo? {
        let (H, K) = (hiddenSize, presynapticSize)
        let k = 1 / Double(H).squareRoot()
        switch Parameter(rawValue: slot) {
        case .weight: return ArrayInfo(name: "weight", shape: Shape(H, K), low: -k, high: k)
        case .bias: return bias ? ArrayInfo(name: "bias", shape: Shape(H), low: -k, high: k) : nil
        case .weightLambda: return ArrayInfo(name: "weight_lambda", shape: Shape(H, K), low: 0, high: 1)
        case .weightGamma:
            return ArrayInfo(name: "weight_gamma", shape: Shape(H, K), low: -0.001 * k, high: 0.001 * k)
        case nil: return nil
        }
    }

    func state(_ slot: Int) -> ArrayInfo? {
        switch State(rawValue: slot) {
        case .h: return ArrayInfo(name: "h", shape: Shape(hiddenSize))
        case .F: return ArrayInfo(name: "F", shape: Shape(hiddenSize, presynapticSize))
        case nil: return nil
        }
    }
}

/// The parameters of a cell, or their gradients, on the buffers of a call.
struct STPNArrays<Pointer> {
    let weight: Pointer  // (H,K)
    let bias: Pointer?  // (H)
    let lambda: Pointer  // (H,K)
    let gamma: Pointer  // (H,K)

    init(_ cell: STPN, _ array: (Int) -> Pointer) {
        func find(_ parameter: STPN.Parameter) -> Pointer? {
            cell.parameterIndex(parameter.rawValue).map(array)
        }
        weight = find(.weight)!
        bias = find(.bias)
        lambda = find(.weightLambda)!
        gamma = find(.weightGamma)!
    }
}
