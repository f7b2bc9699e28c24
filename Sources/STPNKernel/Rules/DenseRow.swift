/// Row j of a weight that does not change, read by N samples: as the slow part of cells whose plastic synapses are others.
struct DenseRow<T: Real, let N: Int> {
    /// Padded with zeros
    let width: Int
    let weight: UnsafePointer<T>
    /// What it is multiplied with, of the first sample; the others lie `stride` apart.
    let v: UnsafePointer<T>
    let stride: Int

    /// Adds Σ W v to the vectors of the samples.
    @inline(__always)
    func read(_ sums: inout InlineArray<N, T.Lanes>) {
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            Samples<N>.forEach { i in sums[i] = fma(w, (v + i &* stride).lanes(k), sums[i]) }
            k &+= T.Lanes.scalarCount
        }
    }

    /// Adds Σ |W| v².
    func energy(_ sums: inout InlineArray<N, T.Lanes>) {
        var k = 0
        while k < width {
            let w = absolute(weight.lanes(k), T.self)
            Samples<N>.forEach { i in
                let v = (v + i &* stride).lanes(k)
                sums[i] = fma(w, v * v, sums[i])
            }
            k &+= T.Lanes.scalarCount
        }
    }

    /// From the gradients for the samples' dot products; adds to those for W and, rows `gradStride` apart, for v.
    @inline(__always)
    func readAdjoint(
        _ gradDot: InlineArray<N, T>, gradWeight: UnsafeMutablePointer<T>, gradV: UnsafeMutablePointer<T>,
        gradStride: Int
    ) {
        var k = 0
        while k < width {
            let w = weight.lanes(k)
            var gW = gradWeight.lanes(k)
            Samples<N>.forEach { i in
                gW = fma((v + i &* stride).lanes(k), gradDot[i], gW)
                let gV = gradV + i &* gradStride
                gV.store(fma(w, gradDot[i], gV.lanes(k)), k)
            }
            gradWeight.store(gW, k)
            k &+= T.Lanes.scalarCount
        }
    }
}
