/// A layer norm over the neurons of a sample (docs/cells.md, section 1), for the fast kernel: rows of H numbers padded
/// with zeros.
struct LayerNorm<Number: Real> {
    typealias Pointer = UnsafeMutablePointer<Number>

    /// H, and padded
    let H: Int
    let Hp: Int

    /// a (Hp) becomes (a - mean) / deviation, with the variance of divisor H; returns 1 / deviation.
    func standardize(_ a: Pointer) -> Number {
        let mean = a.sum(Hp) / Number(H)
        var squares = Number.Lanes.zero
        var j = 0
        while j < Hp {
            let centred = onlyBelow(a.lanes(j) - mean, H &- j, Number.self)
            a.store(centred, j)
            squares = fma(centred, centred, squares)
            j &+= Number.Lanes.scalarCount
        }
        let variance = horizontalSum(squares, Number.self) / Number(H)
        let inverse = 1 / (variance + PlainLayerNorm<Number>.epsilon).squareRoot()
        a.scale(inverse, Hp)
        return inverse
    }

    /// What is standardized (Hp), times the gain (Hp) plus the bias (Hp).
    func apply(_ standardized: Pointer, to target: Pointer, gain: Pointer, bias: Pointer) {
        var j = 0
        while j < Hp {
            target.store(fma(standardized.lanes(j), gain.lanes(j), bias.lanes(j)), j)
            j &+= Number.Lanes.scalarCount
        }
    }

    /// The gradient (Hp) for the value becomes that for a; adds to the gradients of gain and bias.
    func adjoint(
        _ standardized: Pointer, _ inverse: Number, _ gradient: Pointer, gain: Pointer, gradGain: Pointer,
        gradBias: Pointer
    ) {
        var (sum, product) = (Number.Lanes.zero, Number.Lanes.zero)
        var j = 0
        while j < Hp {
            let (g, value) = (gradient.lanes(j), standardized.lanes(j))
            gradGain.store(fma(g, value, gradGain.lanes(j)), j)
            gradBias.store(gradBias.lanes(j) + g, j)
            let scaled = g * gain.lanes(j)
            gradient.store(scaled, j)
            sum += scaled
            product = fma(scaled, value, product)
            j &+= Number.Lanes.scalarCount
        }
        let mean = horizontalSum(sum, Number.self) / Number(H)
        let slope = horizontalSum(product, Number.self) / Number(H)
        j = 0
        while j < Hp {
            gradient.store((gradient.lanes(j) - mean - standardized.lanes(j) * slope) * inverse, j)
            j &+= Number.Lanes.scalarCount
        }
        gradient.clearPadding(H, Hp)
    }
}
