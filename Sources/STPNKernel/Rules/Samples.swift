/// How many samples a pass over the synapses takes together, each load of a parameter serving them all: 1 or 4. Also how
/// many vectors of a row: 1 to 4.
enum Samples<let count: Int> {
    /// Calls `body` for every sample, written out: as a loop the compiler keeps what belongs to a sample in memory instead
    /// of registers.
    @inline(__always)
    static func forEach(_ body: (Int) -> Void) {
        body(0)
        if count > 1 { body(1) }
        if count > 2 { body(2) }
        if count > 3 { body(3) }
    }
}

/// A whole block; what is left over of the batch passes one sample at a time.
#if STPN_BASELINE
// Compiled for size: one loop instead of two
typealias WholeBlock = Samples<1>
#else
typealias WholeBlock = Samples<4>
#endif

/// Work on vectors of a row that follow each other.
protocol VectorLoop {
    /// The vectors are those from element k on.
    func run<let N: Int>(_: Samples<N>.Type, _ k: Int)
}

/// Does it for all vectors of a row. Where the steps of a loop wait for each other, those of its vectors overlap: so none is
/// left for itself, unless it is the only one.
@inline(__always)
func forEachVector<T: Real, L: VectorLoop>(_: T.Type, width: Int, _ loop: L) {
    let lanes = T.Lanes.scalarCount
    var k = 0
    while k &+ 5 &* lanes < width || k &+ 4 &* lanes == width {
        loop.run(Samples<4>.self, k)
        k &+= 4 &* lanes
    }
    if k &+ 3 &* lanes == width || k &+ 5 &* lanes == width {
        loop.run(Samples<3>.self, k)
        k &+= 3 &* lanes
    }
    if k &+ 2 &* lanes == width { loop.run(Samples<2>.self, k) }
    if k &+ lanes == width { loop.run(Samples<1>.self, k) }
}
