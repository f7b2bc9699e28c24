/// What the adjoint of a pass gathers of each row: vectors whose elements are still to be summed.
struct UpdateSums<T: Real, let N: Int> {
    /// P = Σ GX Γ u, the gradient for h_j through the update
    var hebb: InlineArray<N, T.Lanes>
    /// Q = Σ GX Λ X of the step before, the gradient that reaches its norm through F̃; only with "pre"
    var decay: InlineArray<N, T.Lanes>
}

/// What the adjoint of a pass needs of row j, beyond the row itself: the row is that of the pass that went forward, so its
/// X is the state between the two steps, u and h belong to the step that ended and v to the one that began. In front of X
/// lies the state before the step that ended.
struct STPNAdjointRow<T: Real, let N: Int> {
    let row: STPNRow<T, N>
    /// GX, the gradient for X: in, after the step that began (masked by the clip); out, before the step that ended.
    let gradX: UnsafeMutablePointer<T>
    let gradStride: Int
    /// The gradients for v and u, (K) each, of the first sample; accumulated.
    let gradV: UnsafeMutablePointer<T>
    let gradU: UnsafeMutablePointer<T>
    let gradRowStride: Int
    /// Row j of the gradients for the parameters, (K) each; accumulated.
    let gradWeight: UnsafeMutablePointer<T>
    let gradLambda: UnsafeMutablePointer<T>
    let gradGamma: UnsafeMutablePointer<T>
    /// Of the step that began: the gradient for the dot product, and that for the norm over the norm.
    let gradDot: InlineArray<N, T>
    let gradNorm: InlineArray<N, T>
    /// Of the step that began: its F̃ = nextScale · X.
    let nextScale: InlineArray<N, T>
    /// s of X, with "post": F = s X
    let postScale: InlineArray<N, T>
    /// 1 / ‖W + X‖, with "post"
    let postUnit: InlineArray<N, T>
}

extension STPNAdjointRow {
    typealias V = T.Lanes

    /// The adjoint of `advance`: of the read of the step that began, then of the update of the step that ended.
    @inline(__always)
    func retreat<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> UpdateSums<T, N> {
        var sums = UpdateSums<T, N>(hebb: .init(repeating: .zero), decay: .init(repeating: .zero))
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
                let x = (row.X + i &* row.stateStride).lanes(k)
                let gX = gradX + i &* gradStride
                var g = gX.lanes(k)
                if P.reads {
                    g = readAdjoint(R.self, i, k, x, g, w: w, lambda: lambda, gW: &gW, gLambda: &gLambda)
                }
                if P.updates {
                    g = updateAdjoint(R.self, i, k, x, g, gamma: gamma, gGamma: &gGamma, &sums)
                    if R.dividesBefore {
                        let before = (row.X + i &* row.stateStride - row.width).lanes(k)
                        sums.decay[i] = fma(g * lambda, before, sums.decay[i])
                    }
                }
                gX.store(g, k)
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

    /// From GX after the step to GF before it: (7) F̃ in the update, (3) G in the dot product, (2) G in the norm.
    @inline(__always)
    private func readAdjoint<R: STPNRule>(
        _: R.Type, _ i: Int, _ k: Int, _ x: V, _ g: V, w: V, lambda: V, gW: inout V, gLambda: inout V
    ) -> V {
        let G = R.dividesAfter ? fma(x, postScale[i], w) : w + x
        var gG = (row.v + i &* row.rowStride).lanes(k) * gradDot[i]
        if R.normalizes { gG = fma(G, gradNorm[i], gG) }
        gW += gG
        let gV = gradV + i &* gradRowStride
        gV.store(fma(G, gradDot[i], gV.lanes(k)), k)
        // Both Λ F̃ = Λ · scale · X and, with "pre", the gradient for X take g · scale.
        let scaled = R.dividesBefore || R.dividesAfter ? g * nextScale[i] : g
        gLambda = fma(scaled, x, gLambda)
        return fma(R.dividesBefore ? scaled : g, lambda, gG)
    }

    /// From GF to GX, both after the update: (7) the clip; gathers what (6) D passes on.
    @inline(__always)
    private func updateAdjoint<R: STPNRule>(
        _: R.Type, _ i: Int, _ k: Int, _ x: V, _ g: V, gamma: V, gGamma: inout V, _ sums: inout UpdateSums<T, N>
    ) -> V {
        let masked = R.clips ? unclipped(x, g) : g
        let u = (row.u + i &* row.rowStride).lanes(k)
        let gD = masked * gamma
        gGamma = fma(masked, u * row.h[i], gGamma)
        sums.hebb[i] = fma(gD, u, sums.hebb[i])
        let gU = gradU + i &* gradRowStride
        gU.store(fma(gD, row.h[i], gU.lanes(k)), k)
        return masked
    }

    /// The gradient where X lies within the clamp, 0 at it.
    @inline(__always)
    private func unclipped(_ x: V, _ g: V) -> V {
        let top = V(repeating: row.clamp)
        return T.select(x, lessThan: top, T.select(-top, lessThan: x, g, else: .zero), else: .zero)
    }

    /// With "post" the norm that divides X stands between the two: its gradient needs a sum over the row first.
    @inline(__always)
    private func normalizeAdjoint<R: STPNRule, P: Phase>(_: R.Type, _: P.Type, _ sums: inout UpdateSums<T, N>) {
        // Σ GF F
        var products = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < row.width {
            let (w, lambda) = P.reads ? (row.weight.lanes(k), row.lambda.lanes(k)) : (.zero, .zero)
            var gW = P.reads ? gradWeight.lanes(k) : .zero
            var gLambda = P.reads ? gradLambda.lanes(k) : .zero
            Samples<N>.forEach { i in
                let x = (row.X + i &* row.stateStride).lanes(k)
                let gX = gradX + i &* gradStride
                var g = gX.lanes(k)
                if P.reads {
                    g = readAdjoint(R.self, i, k, x, g, w: w, lambda: lambda, gW: &gW, gLambda: &gLambda)
                    gX.store(g, k)
                }
                products[i] = fma(g, x * postScale[i], products[i])
            }
            if P.reads {
                gradWeight.store(gW, k)
                gradLambda.store(gLambda, k)
            }
            k &+= V.scalarCount
        }

        // F = s X, so GX = s GF + (gradient for the norm / norm) (W + X)
        var gradPostNorm = InlineArray<N, T>(repeating: 0)
        Samples<N>.forEach { i in
            gradPostNorm[i] = -horizontalSum(products[i], T.self) * postScale[i] * postUnit[i]
        }
        k = 0
        while k < row.width {
            let (w, gamma) = (row.weight.lanes(k), row.gamma.lanes(k))
            var (gW, gGamma) = (gradWeight.lanes(k), gradGamma.lanes(k))
            Samples<N>.forEach { i in
                let x = (row.X + i &* row.stateStride).lanes(k)
                let gX = gradX + i &* gradStride
                let gG = (w + x) * gradPostNorm[i]
                gW += gG
                let g = fma(gX.lanes(k), postScale[i], gG)
                gX.store(updateAdjoint(R.self, i, k, x, g, gamma: gamma, gGamma: &gGamma, &sums), k)
            }
            gradWeight.store(gW, k)
            gradGamma.store(gGamma, k)
            k &+= V.scalarCount
        }
    }
}
