/// Row j of N samples of a block, (K) padded with zeros.
struct STPNRow<T: Real, let N: Int> {
    /// K, padded
    let width: Int
    let weight: UnsafePointer<T>
    let lambda: UnsafePointer<T>
    let gamma: UnsafePointer<T>
    let clamp: T
    /// g_j, which scales the norm that divides X with "post"
    let gain: T
    /// Samples of the block
    let samples: Int
    /// What follows are rows of the first sample, as a BlockRow has them. X; in the adjoint that between the two steps.
    let X: UnsafeMutablePointer<T>
    /// v of the step that reads; unused otherwise.
    let v: UnsafePointer<T>
    /// The plastic columns of the presynaptic vector of the step that updates; unused otherwise.
    let u: UnsafePointer<T>
    /// h_j of the step that updates
    let h: InlineArray<N, T>
    /// What F̃ = scale · X takes: 1/n with "pre", s with "post", unused otherwise.
    let scale: InlineArray<N, T>
}

/// What a pass gathers of each row: vectors whose elements are still to be summed.
struct ReadSums<T: Real, let N: Int> {
    /// Σ G v
    var dot: InlineArray<N, T.Lanes>
    /// Σ G²; with "post" and without a read, of the updated row before its division
    var squares: InlineArray<N, T.Lanes>
    /// With "post", after the update: the norm of the row before its division, and s
    var length: InlineArray<N, T>
    var scale: InlineArray<N, T>
}

extension STPNRow {
    typealias V = T.Lanes

    /// Where the vector from element k on of sample i stands in a BlockRow of the first.
    @inline(__always)
    func at(_ i: Int, _ k: Int) -> Int { k &* (N == WholeBlock.count ? N : samples) &+ i &* V.scalarCount }

    /// Updates the row, reads it, or both.
    @inline(__always)
    func advance<R: STPNRule, P: Phase>(_: R.Type, _: P.Type) -> ReadSums<T, N> {
        var sums = ReadSums<T, N>(
            dot: .init(repeating: .zero), squares: .init(repeating: .zero), length: .init(repeating: 0), scale: scale)
        if R.dividesAfter && P.updates {
            let squares = updateThenNormalize(R.self, &sums)
            if P.reads { read(R.self, &sums) } else { sums.squares = squares }
            return sums
        }
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            let (lambda, gamma) = P.updates ? (lambda.lanes(k), gamma.lanes(k)) : (.zero, .zero)
            Samples<N>.forEach { i in
                let at = at(i, k)
                var x = X.lanes(at)
                if P.updates {
                    x = updated(
                        x, lambda: lambda, gamma: gamma, u: u.lanes(at), h: V(repeating: h[i]),
                        scale: V(repeating: scale[i]), bound: V(repeating: clamp), R.self, T.self)
                    X.store(x, at)
                }
                if P.reads {
                    let G = effective(x, weight: w, scale: V(repeating: scale[i]), R.self, T.self)
                    sums.dot[i] = fma(G, v.lanes(at), sums.dot[i])
                    if R.normalizes { sums.squares[i] = fma(G, G, sums.squares[i]) }
                }
            }
            k &+= V.scalarCount
        }
        return sums
    }

    @inline(__always)
    private func updateThenNormalize<R: STPNRule>(_: R.Type, _ sums: inout ReadSums<T, N>) -> InlineArray<N, V> {
        var squares = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < width {
            let (w, lambda, gamma) = (weight.lanes(k), lambda.lanes(k), gamma.lanes(k))
            Samples<N>.forEach { i in
                let at = at(i, k)
                let x = updated(
                    X.lanes(at), lambda: lambda, gamma: gamma, u: u.lanes(at),
                    h: V(repeating: h[i]), scale: V(repeating: scale[i]), bound: V(repeating: clamp), R.self, T.self)
                X.store(x, at)
                squares[i] = fma(w + x, w + x, squares[i])
            }
            k &+= V.scalarCount
        }
        Samples<N>.forEach { i in
            sums.length[i] = horizontalSum(squares[i], T.self).squareRoot()
            sums.scale[i] = inverse(sums.length[i], gain: gain)
        }
        return squares
    }

    @inline(__always)
    private func read<R: STPNRule>(_: R.Type, _ sums: inout ReadSums<T, N>) {
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            Samples<N>.forEach { i in
                let G = fma(X.lanes(at(i, k)), sums.scale[i], w)
                sums.dot[i] = fma(G, v.lanes(at(i, k)), sums.dot[i])
                sums.squares[i] = fma(G, G, sums.squares[i])
            }
            k &+= V.scalarCount
        }
    }
}

extension STPNRow {
    /// Σ |G| v² of the row as it was just read, with the scale that it was read with (1 where nothing divides X).
    func energy(scale: InlineArray<N, T>) -> InlineArray<N, V> {
        var sums = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            Samples<N>.forEach { i in
                let G = fma(X.lanes(at(i, k)), scale[i], w)
                let v = v.lanes(at(i, k))
                sums[i] = fma(absolute(G, T.self), v * v, sums[i])
            }
            k &+= V.scalarCount
        }
        return sums
    }
}
