/// What the adjoint of a pass gathers of each row: vectors whose elements are still to be summed.
struct UpdateSums<T: Real, let N: Int> {
    /// P = Σ GX Γ u, the gradient for h_j through the update
    var hebb: InlineArray<N, T.Lanes>
    /// Q = Σ GX Λ X of the step before, the gradient that reaches its norm through F̃; only with "pre"
    var decay: InlineArray<N, T.Lanes>
    /// With "post": the gradient for the norm n that divides X
    var norm: InlineArray<N, T>
}

/// What the adjoint of a pass needs of row j, beyond the row itself: the row is that of the pass that went forward, so its
/// X is the state between the two steps, u and h belong to the step that ended and v to the one that began.
struct STPNAdjointRow<T: Real, let N: Int> {
    let row: STPNRow<T, N>
    /// So far in front of X lies the state before the step that ended.
    let stepStride: Int
    /// GX, the gradient for X: in, after the step that began (masked by the clip); out, before the step that ended.
    let gradX: UnsafeMutablePointer<T>
    /// The gradients for v and u; accumulated.
    let gradV: UnsafeMutablePointer<T>
    let gradU: UnsafeMutablePointer<T>
    /// Row j of the gradients for the parameters, (K) each; accumulated.
    let gradWeight: UnsafeMutablePointer<T>
    let gradLambda: UnsafeMutablePointer<T>
    let gradGamma: UnsafeMutablePointer<T>
    /// Of each sample: of the step that began, the gradient for the dot product and that for the norm over the norm, then the
    /// scale and h of the row. In memory, from which a vector of the same number is made where it is used: there are more of them
    /// than registers.
    let factors: UnsafePointer<T>  // (4, N)
    /// With "post": the derivative of n over W + X, g / ‖W + X‖
    let postUnit: InlineArray<N, T>
    /// With "post" and a norm of the whole layer: the factor of W + X in the gradient, which the rows have in common.
    let postFactor: InlineArray<N, T>?
}

extension STPNAdjointRow {
    typealias V = T.Lanes

    /// The adjoint of `advance`: of the read of the step that began, then of the update of the step that ended.
    @inline(__always)
    func retreat<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> UpdateSums<T, N> {
        var sums = UpdateSums<T, N>(
            hebb: .init(repeating: .zero), decay: .init(repeating: .zero), norm: .init(repeating: 0))
        if R.dividesAfter && P.updates {
            normalizeAdjoint(R.self, P.self, &sums)
            return sums
        }
        var k = 0
        while k < row.width {
            let w = P.reads ? row.weight.lanes(k) : .zero
            let lambda = row.lambda.lanes(k)
            let gamma = P.updates ? row.gamma.lanes(k) : .zero
            var gW = P.reads ? gradWeight.lanes(k) : .zero
            var gLambda = P.reads ? gradLambda.lanes(k) : .zero
            var gGamma = P.updates ? gradGamma.lanes(k) : .zero
            Samples<N>.forEach { i in
                let at = row.at(i, k)
                let x = row.X.lanes(at)
                var g = gradX.lanes(at)
                if P.reads {
                    g = readAdjoint(R.self, i, at, x, g, w: w, lambda: lambda, gW: &gW, gLambda: &gLambda)
                }
                if P.updates {
                    g = updateAdjoint(R.self, i, at, x, g, gamma: gamma, gGamma: &gGamma, &sums)
                    if R.dividesBefore {
                        let before = (row.X - stepStride).lanes(at)
                        sums.decay[i] = fma(g * lambda, before, sums.decay[i])
                    }
                }
                gradX.store(g, at)
            }
            if P.reads {
                gradWeight.store(gW, k)
                gradLambda.store(gLambda, k)
            }
            if P.updates { gradGamma.store(gGamma, k) }
            k &+= V.scalarCount
        }
        return sums
    }

    @inline(__always)
    private func readAdjoint<R: STPNRule>(
        _: R.Type, _ i: Int, _ at: Int, _ x: V, _ g: V, w: V, lambda: V, gW: inout V, gLambda: inout V
    ) -> V {
        var gV = gradV.lanes(at)
        let before = STPNKernel.readAdjoint(
            x, g, weight: w, lambda: lambda, v: row.v.lanes(at),
            gradDot: V(repeating: factors[i]),
            gradNorm: V(repeating: factors[N &+ i]), scale: V(repeating: factors[2 &* N &+ i]), gradWeight: &gW,
            gradLambda: &gLambda, gradV: &gV, R.self, T.self)
        gradV.store(gV, at)
        return before
    }

    @inline(__always)
    private func updateAdjoint<R: STPNRule>(
        _: R.Type, _ i: Int, _ at: Int, _ x: V, _ g: V, gamma: V, gGamma: inout V, _ sums: inout UpdateSums<T, N>
    ) -> V {
        var gU = gradU.lanes(at)
        let masked = STPNKernel.updateAdjoint(
            x, g, u: row.u.lanes(at), h: V(repeating: factors[3 &* N &+ i]), learningRate: gamma,
            bound: V(repeating: row.clamp), gamma: &gGamma, hebb: &sums.hebb[i], gradU: &gU, R.self, T.self)
        gradU.store(gU, at)
        return masked
    }

    /// With "post" the norm that divides X stands between the two: its gradient needs a sum over the row first.
    @inline(__always)
    private func normalizeAdjoint<R: STPNRule, P: Phase>(_: R.Type, _: P.Type, _ sums: inout UpdateSums<T, N>) {
        // F = s X, so GX = s GF + (gradient for n) (W + X) g / ‖W + X‖
        let factors: InlineArray<N, T>
        if let postFactor {
            factors = postFactor
        } else {
            sums.norm = readAdjointThenNorm(R.self, P.self)
            factors = InlineArray { sums.norm[$0] * postUnit[$0] }
        }
        var k = 0
        while k < row.width {
            let (w, gamma) = (row.weight.lanes(k), row.gamma.lanes(k))
            var (gW, gGamma) = (gradWeight.lanes(k), gradGamma.lanes(k))
            Samples<N>.forEach { i in
                let at = row.at(i, k)
                let x = row.X.lanes(at)
                let gG = (w + x) * factors[i]
                gW += gG
                let g = fma(gradX.lanes(at), row.scale[i], gG)
                gradX.store(updateAdjoint(R.self, i, at, x, g, gamma: gamma, gGamma: &gGamma, &sums), at)
            }
            gradWeight.store(gW, k)
            gradGamma.store(gGamma, k)
            k &+= V.scalarCount
        }
    }

    /// The read of the step that began, where P reads, and the gradient for the norm: -Σ GF F / n.
    @inline(__always)
    private func readAdjointThenNorm<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> InlineArray<N, T> {
        var products = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < row.width {
            let (w, lambda) = P.reads ? (row.weight.lanes(k), row.lambda.lanes(k)) : (.zero, .zero)
            var gW = P.reads ? gradWeight.lanes(k) : .zero
            var gLambda = P.reads ? gradLambda.lanes(k) : .zero
            Samples<N>.forEach { i in
                let at = row.at(i, k)
                let x = row.X.lanes(at)
                var g = gradX.lanes(at)
                if P.reads {
                    g = readAdjoint(R.self, i, at, x, g, w: w, lambda: lambda, gW: &gW, gLambda: &gLambda)
                    gradX.store(g, at)
                }
                products[i] = fma(g, x * row.scale[i], products[i])
            }
            if P.reads {
                gradWeight.store(gW, k)
                gradLambda.store(gLambda, k)
            }
            k &+= V.scalarCount
        }
        return InlineArray { -horizontalSum(products[$0], T.self) * row.scale[$0] }
    }
}
