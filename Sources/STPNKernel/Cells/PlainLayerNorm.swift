/// A layer norm over the neurons of a sample (docs/cells.md, section 1), for the plain kernel: what it makes of a, beside
/// its adjoint.
struct PlainLayerNorm<T: Real> {
    static var epsilon: T { T(1e-5) }

    let gain: UnsafeMutablePointer<T>  // (H)
    let bias: UnsafeMutablePointer<T>  // (H)

    /// nil where the options leave it out.
    init?(gain: UnsafeMutablePointer<T>?, bias: UnsafeMutablePointer<T>?) {
        guard let gain, let bias else { return nil }
        (self.gain, self.bias) = (gain, bias)
    }

    /// (a - mean) / deviation, and 1 / deviation, with the variance of divisor H.
    private func standardized(_ a: [T]) -> (values: [T], inverse: T) {
        let H = T(a.count)
        let mean = a.reduce(0, +) / H
        let variance = a.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / H
        let inverse = 1 / (variance + Self.epsilon).squareRoot()
        return (a.map { ($0 - mean) * inverse }, inverse)
    }

    func value(_ a: [T]) -> [T] {
        let (values, _) = standardized(a)
        return a.indices.map { values[$0] * gain[$0] + bias[$0] }
    }

    /// From the gradient for the value to that for a; adds to the gradients of gain and bias.
    func adjoint(_ a: [T], _ gradient: [T], _ gradients: PlainLayerNorm) -> [T] {
        let (values, inverse) = standardized(a)
        let H = T(a.count)
        var (sum, product): (T, T) = (0, 0)
        for j in a.indices {
            gradients.gain[j] += gradient[j] * values[j]
            gradients.bias[j] += gradient[j]
            sum += gradient[j] * gain[j]
            product += gradient[j] * gain[j] * values[j]
        }
        return a.indices.map { (gradient[$0] * gain[$0] - sum / H - values[$0] * product / H) * inverse }
    }
}
