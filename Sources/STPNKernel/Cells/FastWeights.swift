/// Fast weights (docs/cells.md, section 4): the description of the cell.
///
/// Ba, Hinton, Mnih, Leibo, Ionescu, "Using Fast Weights to Attend to the Recent Past", NIPS 2016.
struct FastWeights: CellDescription {
    /// I
    let inputSize: Int
    /// H
    let hiddenSize: Int
    /// S
    var innerSteps = 1
    var layerNorm = true
    var activation = Activation.tanh

    /// K, the width of v = [x_t, h_{t-1}]
    var presynapticSize: Int { inputSize + hiddenSize }

    enum Parameter: Int, CaseIterable { case weight, bias, lambda, gamma, layerNormWeight, layerNormBias }
    enum State: Int, CaseIterable { case h, A }

    func info(_ parameter: Parameter) -> ArrayInfo? {
        let H = hiddenSize
        let k = 1 / Double(H).squareRoot()
        switch parameter {
        case .weight: return ArrayInfo("weight", Shape(H, presynapticSize), within: k)
        case .bias: return ArrayInfo("bias", Shape(H), within: k)
        case .lambda: return ArrayInfo("weight_lambda", Shape(), all: 0.9)
        case .gamma: return ArrayInfo("weight_gamma", Shape(), all: 0.5)
        case .layerNormWeight: return layerNorm ? ArrayInfo("layer_norm.weight", Shape(H), all: 1) : nil
        case .layerNormBias: return layerNorm ? ArrayInfo("layer_norm.bias", Shape(H), all: 0) : nil
        }
    }

    func info(_ state: State) -> ArrayInfo? {
        switch state {
        case .h: ArrayInfo("h", Shape(hiddenSize))
        case .A: ArrayInfo("F", Shape(hiddenSize, hiddenSize))
        }
    }
}

/// The parameters of a cell, or their gradients, on the buffers of a call.
struct FastWeightsArrays<Pointer> {
    let weight: Pointer  // (H,I+H)
    let bias: Pointer  // (H)
    let lambda: Pointer  // ()
    let gamma: Pointer  // ()
    let layerNormWeight: Pointer?  // (H)
    let layerNormBias: Pointer?  // (H)

    init(_ cell: FastWeights, _ array: (Int) -> Pointer) {
        func find(_ parameter: FastWeights.Parameter) -> Pointer? { cell.index(parameter).map(array) }
        (weight, bias) = (find(.weight)!, find(.bias)!)
        (lambda, gamma) = (find(.lambda)!, find(.gamma)!)
        (layerNormWeight, layerNormBias) = (find(.layerNormWeight), find(.layerNormBias))
    }
}
