/// A layer norm over the neurons of a sample (docs/cells.md, section 1), for the fast kernel: rows of H numbers padded
/// with zeros.
struct LayerNorm<Number: Real> {
    typealias Pointer = UnsafeMutablePointer<Number>

    /// H, and padded
    let H: Int
    let Hp: Int

    /// a becomes (a - mean) / deviation, with the variance of divisor H; returns 1 / deviation.
    private func standardize(_ a: Pointer) -> Number {
        let mean = a.sum(Hp) / Number(H)
        a.add(-mean, H)
        let inverse = 1 / (a.dot(a, Hp) / Number(H) + PlainLayerNorm<Number>.epsilon).squareRoot()
        a.scale(inverse, H)
        return inverse
    }

    /// a (Hp), in place; gain and bias (Hp).
    func apply(_ a: Pointer, gain: Pointer, bias: Pointer) {
        _ = standardize(a)
        var j = 0
        while j < Hp {
            a.store(fma(a.lanes(j), gain.lanes(j), bias.lanes(j)), j)
            j &+= Number.Lanes.scalarCount
        }
    }

    /// The gradient (Hp) for the value becomes that for a (Hp), which is used up; adds to the gradients of gain and bias.
    func adjoint(_ a: Pointer, _ gradient: Pointer, gain: Pointer, gradGain: Pointer, gradBias: Pointer) {
        let inverse = standardize(a)
        var j = 0
        while j < Hp {
            let g = gradient.lanes(j)
            gradGain.store(fma(g, a.lanes(j), gradGain.lanes(j)), j)
            gradBias.store(gradBias.lanes(j) + g, j)
            gradient.store(g * gain.lanes(j), j)
            j &+= Number.Lanes.scalarCount
        }
        let mean = gradient.sum(Hp) / Number(H)
        let slope = gradient.dot(a, Hp) / Number(H)
        j = 0
        while j < Hp {
            gradient.store((gradient.lanes(j) - mean - a.lanes(j) * slope) * inverse, j)
            j &+= Number.Lanes.scalarCount
        }
        (gradient + H).zero(Hp - H)
    }
}
