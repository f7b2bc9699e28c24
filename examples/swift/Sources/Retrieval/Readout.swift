import Foundation

/// A linear layer and a softmax on the last activations of a sequence.
struct Readout {
    let H: Int
    let classes: Int
    /// (classes,H), then a bias (classes)
    var parameters: [Float]

    init(H: Int, classes: Int, using generator: inout some RandomNumberGenerator) {
        (self.H, self.classes) = (H, classes)
        let bound = 1 / Float(H).squareRoot()
        parameters = (0..<classes * (H + 1)).map { _ in Float.random(in: -bound..<bound, using: &generator) }
    }

    /// Of activations y (B,T,H): the mean cross-entropy after the last step, how many of its answers are right, and the gradients
    /// of the loss for y and for the parameters.
    func loss(
        _ y: [Float], time T: Int, answers: [Int]
    ) -> (loss: Float, right: Int, gradY: [Float], gradients: [Float]) {
        let B = answers.count
        var (loss, right): (Float, Int) = (0, 0)
        var gradY = [Float](repeating: 0, count: y.count)
        var gradients = [Float](repeating: 0, count: parameters.count)
        for (b, answer) in answers.enumerated() {
            let last = (b * T + T - 1) * H
            let logits = (0..<classes).map { c in
                (0..<H).reduce(parameters[classes * H + c]) { $0 + parameters[c * H + $1] * y[last + $1] }
            }
            let largest = logits.max()!
            let exponentials = logits.map { exp($0 - largest) }
            let sum = exponentials.reduce(0, +)
            loss -= (logits[answer] - largest - log(sum)) / Float(B)
            right += logits[answer] == largest ? 1 : 0
            for c in 0..<classes {
                let slope = (exponentials[c] / sum - (c == answer ? 1 : 0)) / Float(B)
                gradients[classes * H + c] += slope
                for j in 0..<H {
                    gradients[c * H + j] += slope * y[last + j]
                    gradY[last + j] += slope * parameters[c * H + j]
                }
            }
        }
        return (loss, right, gradY, gradients)
    }
}
