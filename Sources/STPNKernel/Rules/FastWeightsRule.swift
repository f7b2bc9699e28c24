/// The arithmetic of row j of the fast weights A of N samples (docs/cells.md, section 4): the update (11) and the read A h^s
/// of (12), and their adjoints.
struct FastWeightsRow<T: Real, let N: Int> {
    typealias V = T.Lanes

    /// H, padded with zeros
    let width: Int
    /// λ
    let lambda: T
    /// A of the first sample, before the update; the others lie `stateStride` apart.
    let A: UnsafeMutablePointer<T>
    let stateStride: Int
    /// h_{t-1}
    let previous: UnsafePointer<T>
    let previousStride: Int
    /// η h_{t-1,j}
    let rate: InlineArray<N, T>
    /// h^s
    let inner: UnsafePointer<T>
    let innerStride: Int

    /// λ A + η h hᵀ. The same operations in the pass forward and in its replay, so the same bits.
    @inline(__always)
    static func updated(_ a: V, lambda: T, u: V, rate: T) -> V { fma(a, lambda, u * rate) }

    /// Updates the row where `Updates`, and reads it: Σ A h^s.
    @inline(__always)
    func advance<Updates: Flag>(_: Updates.Type) -> InlineArray<N, V> {
        var dot = InlineArray<N, V>(repeating: .zero)
        var k = 0
        while k < width {
            Samples<N>.forEach { i in
                let Ai = A + i &* stateStride
                var a = Ai.lanes(k)
                if Updates.value {
                    a = Self.updated(a, lambda: lambda, u: (previous + i &* previousStride).lanes(k), rate: rate[i])
                    Ai.store(a, k)
                }
                dot[i] = fma(a, (inner + i &* innerStride).lanes(k), dot[i])
            }
            k &+= V.scalarCount
        }
        return dot
    }

    /// What the adjoint gathers of a row: vectors whose elements are still to be summed.
    struct UpdateSums {
        /// Σ GA h_{t-1}
        var hebb: InlineArray<N, V>
        /// Σ GA A_{t-1}
        var decay: InlineArray<N, V>
    }

    /// The adjoint of `advance`. `gradA`: in, for A after the update; out, before it. The gradients for h^s and h_{t-1}
    /// (width) of the samples lie `gradStride` apart, and are added to. A after the update is computed anew.
    @inline(__always)
    func retreat<Updates: Flag>(
        _: Updates.Type, gradA: UnsafeMutablePointer<T>, gradAStride: Int, gradInner: UnsafeMutablePointer<T>,
        gradPrevious: UnsafeMutablePointer<T>, gradStride: Int, gradDot: InlineArray<N, T>
    ) -> UpdateSums {
        var sums = UpdateSums(hebb: .init(repeating: .zero), decay: .init(repeating: .zero))
        var k = 0
        while k < width {
            Samples<N>.forEach { i in
                let before = (A + i &* stateStride).lanes(k)
                let u = (previous + i &* previousStride).lanes(k)
                let a = Self.updated(before, lambda: lambda, u: u, rate: rate[i])
                let gA = gradA + i &* gradAStride
                var g = fma((inner + i &* innerStride).lanes(k), gradDot[i], gA.lanes(k))
                let gInner = gradInner + i &* gradStride
                gInner.store(fma(a, gradDot[i], gInner.lanes(k)), k)
                if Updates.value {
                    sums.hebb[i] = fma(g, u, sums.hebb[i])
                    sums.decay[i] = fma(g, before, sums.decay[i])
                    let gPrevious = gradPrevious + i &* gradStride
                    gPrevious.store(fma(g, rate[i], gPrevious.lanes(k)), k)
                    g *= lambda
                }
                gA.store(g, k)
            }
            k &+= V.scalarCount
        }
        return sums
    }

    /// Adds Σ |A| (h^s)² of the row as it was just read.
    func energy(_ sums: inout InlineArray<N, V>) {
        var k = 0
        while k < width {
            Samples<N>.forEach { i in
                let h = (inner + i &* innerStride).lanes(k)
                sums[i] = fma(absolute((A + i &* stateStride).lanes(k), T.self), h * h, sums[i])
            }
            k &+= V.scalarCount
        }
    }
}
