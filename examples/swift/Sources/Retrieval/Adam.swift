/// Adam (Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015).
struct Adam {
    var rate: Float
    private let decay1: Float = 0.9
    private let decay2: Float = 0.999
    /// decay1 and decay2 to the power of the steps so far
    private var scale1: Float = 1
    private var scale2: Float = 1
    private var mean: [Float]
    private var square: [Float]

    init(count: Int, rate: Float) {
        self.rate = rate
        (mean, square) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
    }

    mutating func update(_ parameters: inout [Float], _ gradients: [Float]) {
        scale1 *= decay1
        scale2 *= decay2
        for i in parameters.indices {
            mean[i] += (1 - decay1) * (gradients[i] - mean[i])
            square[i] += (1 - decay2) * (gradients[i] * gradients[i] - square[i])
            parameters[i] -= rate * (mean[i] / (1 - scale1)) / ((square[i] / (1 - scale2)).squareRoot() + 1e-8)
        }
    }
}
