/// How many samples a pass over the synapses takes together, each load of a parameter serving them all: 1 or 4.
enum Samples<let count: Int> {
    /// Calls `body` for every sample, written out: as a loop the compiler keeps what belongs to a sample in memory instead
    /// of registers.
    @inline(__always)
    static func forEach(_ body: (Int) -> Void) {
        body(0)
        if count == 4 {
            body(1)
            body(2)
            body(3)
        }
    }
}

/// A whole block; what is left over of the batch passes one sample at a time.
typealias WholeBlock = Samples<4>
