/// A slice of neurons, one in each element of a vector, of N samples: what rows are in STPNRow.swift. Here a synapse's
/// presynaptic value is one number and its neuron's are vectors, so that rows may be short and need no sums across a vector.
/// Matrices are (K,L) with L elements of a vector; the samples' matrices lie `stateStride` and their rows `rowStride` apart.
struct STPNColumns<T: Real, let N: Int> {
    typealias V = T.Lanes

    /// K
    let count: Int
    let weight: UnsafePointer<T>
    let lambda: UnsafePointer<T>
    let gamma: UnsafePointer<T>
    let clamp: T
    /// X of the first sample; in the adjoint that between the two steps.
    let X: UnsafeMutablePointer<T>
    let stateStride: Int
    /// (K): of the step that reads, and of the step that updates
    let v: UnsafePointer<T>
    let u: UnsafePointer<T>
    let rowStride: Int
    /// Of the step that updates
    let h: InlineArray<N, V>
    /// What F̃ = scale · X takes, as in STPNRow.
    let scale: InlineArray<N, V>

    private var L: Int { V.scalarCount }

    /// What a pass leaves of each neuron.
    struct ReadSums {
        /// Σ G v
        var dot: InlineArray<N, V>
        /// Σ G²
        var squares: InlineArray<N, V>
        /// With "post", after the update: the norm of the synapses before its division, and s
        var length: InlineArray<N, V>
        var scale: InlineArray<N, V>
    }

    /// Updates the synapses, reads them, or both.
    @inline(__always)
    func advance<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> ReadSums {
        var sums = ReadSums(
            dot: .init(repeating: .zero), squares: .init(repeating: .zero), length: .init(repeating: .zero),
            scale: scale)
        if R.dividesAfter && P.updates {
            updateThenNormalize(R.self, &sums)
            if P.reads { read(R.self, &sums) }
            return sums
        }
        var k = 0
        while k < count {
            let w = weight.lanes(k &* L)
            let (lambda, gamma) = P.updates ? (lambda.lanes(k &* L), gamma.lanes(k &* L)) : (.zero, .zero)
            Samples<N>.forEach { i in
                let Xi = X + i &* stateStride
                var x = Xi.lanes(k &* L)
                if P.updates {
                    x = update(R.self, i, k, x, lambda: lambda, gamma: gamma)
                    Xi.store(x, k &* L)
                }
                if P.reads { read(R.self, i, k, x, w, &sums) }
            }
            k &+= 1
        }
        return sums
    }

    @inline(__always)
    private func update<R: STPNRule>(_: R.Type, _ i: Int, _ k: Int, _ x: V, lambda: V, gamma: V) -> V {
        updated(
            x, lambda: lambda, gamma: gamma, u: V(repeating: u[i &* rowStride &+ k]), h: h[i], scale: scale[i],
            bound: V(repeating: clamp), R.self, T.self)
    }

    @inline(__always)
    private func read<R: STPNRule>(_: R.Type, _ i: Int, _ k: Int, _ x: V, _ w: V, _ sums: inout ReadSums) {
        let G = effective(x, weight: w, scale: sums.scale[i], R.self, T.self)
        sums.dot[i] = fma(G, V(repeating: v[i &* rowStride &+ k]), sums.dot[i])
        if R.normalizes { sums.squares[i] = fma(G, G, sums.squares[i]) }
    }

    @inline(__always)
    private func updateThenNormalize<R: STPNRule>(_: R.Type, _ sums: inout ReadSums) {
        var squares = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < count {
            let (w, lambda, gamma) = (weight.lanes(k &* L), lambda.lanes(k &* L), gamma.lanes(k &* L))
            Samples<N>.forEach { i in
                let Xi = X + i &* stateStride
                let x = update(R.self, i, k, Xi.lanes(k &* L), lambda: lambda, gamma: gamma)
                Xi.store(x, k &* L)
                squares[i] = fma(w + x, w + x, squares[i])
            }
            k &+= 1
        }
        Samples<N>.forEach { i in
            sums.length[i] = squares[i].squareRoot()
            sums.scale[i] = inverse(sums.length[i], gain: V(repeating: 1), T.self)
        }
    }

    @inline(__always)
    private func read<R: STPNRule>(_: R.Type, _ sums: inout ReadSums) {
        var k = 0
        while k < count {
            let w = weight.lanes(k &* L)
            Samples<N>.forEach { i in read(R.self, i, k, (X + i &* stateStride).lanes(k &* L), w, &sums) }
            k &+= 1
        }
    }

    /// Σ |G| v² of the synapses as they were just read, with the scale that they were read with.
    func energy(scale: InlineArray<N, V>) -> InlineArray<N, V> {
        var sums = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < count {
            let w = weight.lanes(k &* L)
            Samples<N>.forEach { i in
                let G = fma((X + i &* stateStride).lanes(k &* L), scale[i], w)
                let v = v[i &* rowStride &+ k]
                sums[i] = fma(absolute(G, T.self), v * v, sums[i])
            }
            k &+= 1
        }
        return sums
    }
}

/// What the adjoint of a pass needs of a slice, beyond it; as STPNAdjointRow.
struct STPNAdjointColumns<T: Real, let N: Int> {
    typealias V = T.Lanes

    let columns: STPNColumns<T, N>
    /// Between X before a step and X after it
    let stepStride: Int
    let gradX: UnsafeMutablePointer<T>
    let gradStride: Int
    /// The gradients for v and u, (K,L) each, of the first sample; accumulated, and still to be summed over the neurons.
    let gradV: UnsafeMutablePointer<T>
    let gradU: UnsafeMutablePointer<T>
    /// The gradients for the parameters, (K,L) each; accumulated.
    let gradWeight: UnsafeMutablePointer<T>
    let gradLambda: UnsafeMutablePointer<T>
    let gradGamma: UnsafeMutablePointer<T>
    /// As in STPNAdjointRow
    let gradDot: InlineArray<N, V>
    let gradNorm: InlineArray<N, V>
    /// With "post": 1 / ‖W + X‖
    let postUnit: InlineArray<N, V>

    private var L: Int { V.scalarCount }

    struct UpdateSums {
        /// Σ GX Γ u
        var hebb: InlineArray<N, V>
        /// Σ GX Λ X of the step before; only with "pre"
        var decay: InlineArray<N, V>
    }

    /// The adjoint of `advance`: of the read of the step that began, then of the update of the step that ended.
    @inline(__always)
    func retreat<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> UpdateSums {
        var sums = UpdateSums(hebb: .init(repeating: .zero), decay: .init(repeating: .zero))
        if R.dividesAfter && P.updates {
            let factors = readAdjointThenNorm(R.self, P.self)
            normalizeAdjoint(R.self, factors, &sums)
            return sums
        }
        var k = 0
        while k < columns.count {
            let w = P.reads ? columns.weight.lanes(k &* L) : .zero
            let lambda = columns.lambda.lanes(k &* L)
            let gamma = P.updates ? columns.gamma.lanes(k &* L) : .zero
            var gW = P.reads ? gradWeight.lanes(k &* L) : .zero
            var gLambda = P.reads ? gradLambda.lanes(k &* L) : .zero
            var gGamma = P.updates ? gradGamma.lanes(k &* L) : .zero
            Samples<N>.forEach { i in
                let Xi = columns.X + i &* columns.stateStride
                let x = Xi.lanes(k &* L)
                let gX = gradX + i &* gradStride
                var g = gX.lanes(k &* L)
                if P.reads { g = read(R.self, i, k, x, g, w: w, lambda: lambda, gW: &gW, gLambda: &gLambda) }
                if P.updates {
                    g = update(R.self, i, k, x, g, gamma: gamma, gGamma: &gGamma, &sums)
                    if R.dividesBefore {
                        sums.decay[i] = fma(g * lambda, (Xi - stepStride).lanes(k &* L), sums.decay[i])
                    }
                }
                gX.store(g, k &* L)
            }
            if P.reads {
                gradWeight.store(gW, k &* L)
                gradLambda.store(gLambda, k &* L)
            }
            if P.updates { gradGamma.store(gGamma, k &* L) }
            k &+= 1
        }
        return sums
    }

    @inline(__always)
    private func read<R: STPNRule>(
        _: R.Type, _ i: Int, _ k: Int, _ x: V, _ g: V, w: V, lambda: V, gW: inout V, gLambda: inout V
    ) -> V {
        let target = gradV + i &* columns.count &* L
        var gV = target.lanes(k &* L)
        let before = readAdjoint(
            x, g, weight: w, lambda: lambda, v: V(repeating: columns.v[i &* columns.rowStride &+ k]),
            gradDot: gradDot[i], gradNorm: gradNorm[i], scale: columns.scale[i], gradWeight: &gW, gradLambda: &gLambda,
            gradV: &gV, R.self, T.self)
        target.store(gV, k &* L)
        return before
    }

    @inline(__always)
    private func update<R: STPNRule>(
        _: R.Type, _ i: Int, _ k: Int, _ x: V, _ g: V, gamma: V, gGamma: inout V, _ sums: inout UpdateSums
    ) -> V {
        let target = gradU + i &* columns.count &* L
        var gU = target.lanes(k &* L)
        let masked = updateAdjoint(
            x, g, u: V(repeating: columns.u[i &* columns.rowStride &+ k]), h: columns.h[i], learningRate: gamma,
            bound: V(repeating: columns.clamp), gamma: &gGamma, hebb: &sums.hebb[i], gradU: &gU, R.self, T.self)
        target.store(gU, k &* L)
        return masked
    }

    /// With "post": the read of the step that began, where P reads, and the factor of W + X in its gradient.
    @inline(__always)
    private func readAdjointThenNorm<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> InlineArray<N, V> {
        // Σ GF F
        var products = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < columns.count {
            let (w, lambda) =
                P.reads ? (columns.weight.lanes(k &* L), columns.lambda.lanes(k &* L)) : (.zero, .zero)
            var gW = P.reads ? gradWeight.lanes(k &* L) : .zero
            var gLambda = P.reads ? gradLambda.lanes(k &* L) : .zero
            Samples<N>.forEach { i in
                let x = (columns.X + i &* columns.stateStride).lanes(k &* L)
                let gX = gradX + i &* gradStride
                var g = gX.lanes(k &* L)
                if P.reads {
                    g = read(R.self, i, k, x, g, w: w, lambda: lambda, gW: &gW, gLambda: &gLambda)
                    gX.store(g, k &* L)
                }
                products[i] = fma(g, x * columns.scale[i], products[i])
            }
            if P.reads {
                gradWeight.store(gW, k &* L)
                gradLambda.store(gLambda, k &* L)
            }
            k &+= 1
        }
        return InlineArray { -products[$0] * columns.scale[$0] * postUnit[$0] }
    }

    /// F = s X, so GX = s GF + factor (W + X)
    @inline(__always)
    private func normalizeAdjoint<R: STPNRule>(_: R.Type, _ factors: InlineArray<N, V>, _ sums: inout UpdateSums) {
        var k = 0
        while k < columns.count {
            let (w, gamma) = (columns.weight.lanes(k &* L), columns.gamma.lanes(k &* L))
            var (gW, gGamma) = (gradWeight.lanes(k &* L), gradGamma.lanes(k &* L))
            Samples<N>.forEach { i in
                let x = (columns.X + i &* columns.stateStride).lanes(k &* L)
                let gX = gradX + i &* gradStride
                let gG = (w + x) * factors[i]
                gW += gG
                let g = fma(gX.lanes(k &* L), columns.scale[i], gG)
                gX.store(update(R.self, i, k, x, g, gamma: gamma, gGamma: &gGamma, &sums), k &* L)
            }
            gradWeight.store(gW, k &* L)
            gradGamma.store(gGamma, k &* L)
            k &+= 1
        }
    }
}
