/// The synapses of a block of samples before every step that is replayed and after the last, row by row, and at the
/// beginnings of the segments that are replayed one after the other.
struct SynapseHistory<Number: Real> {
    typealias Pointer = UnsafeMutablePointer<Number>

    /// Rows of a sample, and their width with padding
    let rows: Int
    let width: Int
    /// Of the block
    private let samples: Int
    /// The most steps that are replayed at a time
    private let steps: Int
    private let X: Pointer  // (samples, steps + 1, one of stepStride)
    /// How far apart a row of two steps that follow each other lies. The rows of a step follow each other, as a pass reads
    /// them.
    let stepStride: Int
    private let checkpoints: Pointer  // (segments - 1, samples, rows, width): where all but the first begin

    init(_ arena: inout Arena, samples: Int, rows: Int, width: Int, steps: Int, segments: Int) {
        (self.samples, self.rows, self.width, self.steps) = (samples, rows, width, steps)
        stepStride = sampleStride(rows: rows, width: width, Number.self)
        X = arena.take(Number.self, samples, steps + 1, stepStride)
        checkpoints = arena.take(Number.self, segments - 1, samples, rows * width)
    }

    /// How far apart the rows of the same number of two samples lie.
    var stride: Int { (steps &+ 1) &* stepStride }

    /// Row j before step `step` of the replay.
    @inline(__always)
    func row(_ s: Int, _ j: Int, _ step: Int) -> Pointer {
        let states = s &* (steps &+ 1) &+ step
        return X + (states &* stepStride &+ j &* width)
    }

    /// Replays a sample: `body` for every run of steps without a reset between them, with the synapses zeroed where one is.
    func replay(_ s: Int, steps: Range<Int>, reset: (Int) -> Bool, _ body: (_ run: Range<Int>) -> Void) {
        var first = 0
        for step in 0..<steps.count where reset(steps.lowerBound + step) {
            if first < step { body(first..<step) }
            row(s, 0, step).zero(stepStride)
            first = step
        }
        body(first..<steps.count)
    }

    private func checkpoint(_ s: Int, _ j: Int, _ index: Int) -> Pointer {
        checkpoints + (((index - 1) * samples + s) * rows + j) * width
    }

    /// Before the first step: rows of `columns`, or zeros.
    func load(_ s: Int, _ state: UnsafePointer<Number>?, columns: Range<Int>) {
        for j in 0..<rows {
            let row = row(s, j, 0)
            row.zero(width)
            if let state { (row + columns.lowerBound).copy(state + j * columns.count, columns.count) }
        }
    }

    func load(_ s: Int, checkpoint index: Int) {
        for j in 0..<rows { row(s, j, 0).copy(checkpoint(s, j, index), width) }
    }

    /// Keeps the synapses after `count` steps of the replay.
    func save(_ s: Int, checkpoint index: Int, after count: Int) {
        for j in 0..<rows { checkpoint(s, j, index).copy(row(s, j, count), width) }
    }
}
