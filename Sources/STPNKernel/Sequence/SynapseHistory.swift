/// The synapses of a block of samples before every step that is replayed and after the last, row by row, and at the
/// beginnings of the segments that are replayed one after the other.
struct SynapseHistory<Number: Real> {
    typealias Pointer = UnsafeMutablePointer<Number>

    /// Rows of a sample, and their width with padding
    let rows: Int
    let width: Int
    /// Of the block
    private let samples: Int
    /// Whose vectors alternate: all samples of the block, or one
    private let alternating: Int
    private let X: Pointer  // (samples / alternating, steps + 1, one of stepStride)
    /// How far apart a row of two steps that follow each other lies. The rows of a step follow each other, as a pass reads
    /// them.
    let stepStride: Int
    /// How far apart the rows of the same number of two samples lie.
    let stride: Int
    private let checkpoints: Pointer  // (segments - 1, samples, rows, width): where all but the first begin

    init(
        _ arena: inout Arena, samples: Int, rows: Int, width: Int, steps: Int, segments: Int, alternates: Bool = false
    ) {
        (self.samples, self.rows, self.width) = (samples, rows, width)
        alternating = alternates ? samples : 1
        stepStride = sampleStride(rows: rows, width: width * alternating, Number.self)
        stride = alternates ? Number.Lanes.scalarCount : (steps + 1) * stepStride
        X = arena.take(Number.self, samples / alternating, steps + 1, stepStride)
        checkpoints = arena.take(Number.self, segments - 1, samples, rows * width)
    }

    /// Row j before step `step` of the replay.
    @inline(__always)
    func row(_ s: Int, _ j: Int, _ step: Int) -> BlockRow<Number> {
        let offset = step &* stepStride &+ j &* width &* alternating &+ s &* stride
        return BlockRow(start: X + offset, samples: alternating)
    }

    /// Replays samples, all at once if none is reset.
    func replay(
        _ samples: Range<Int>, steps: Range<Int>, reset: (Int, Int) -> Bool,
        _ body: (_ samples: Range<Int>, _ run: Range<Int>) -> Void
    ) {
        let someReset = samples.contains { s in steps.contains { reset(s, $0) } }
        if !someReset { return body(samples, 0..<steps.count) }
        for s in samples { replay(s, steps: steps, reset: reset) { body(s..<s + 1, $0) } }
    }

    /// Replays a sample: `body` for every run of steps without a reset between them, with the synapses zeroed where one is.
    func replay(_ s: Int, steps: Range<Int>, reset: (Int, Int) -> Bool, _ body: (_ run: Range<Int>) -> Void) {
        var first = 0
        for step in 0..<steps.count where reset(s, steps.lowerBound + step) {
            if first < step { body(first..<step) }
            for j in 0..<rows { row(s, j, step).zero(width) }
            first = step
        }
        body(first..<steps.count)
    }

    private func checkpoint(_ s: Int, _ j: Int, _ index: Int) -> Pointer {
        checkpoints + (((index - 1) * samples + s) * rows + j) * width
    }

    /// Before the first step: rows of `columns`, or zeros.
    func load(_ s: Int, _ state: UnsafePointer<Number>?, columns: Range<Int>) {
        for j in 0..<rows { row(s, j, 0).load(state.map { $0 + j * columns.count }, columns: columns, width) }
    }

    func load(_ s: Int, checkpoint index: Int) {
        for j in 0..<rows { row(s, j, 0).copy(checkpoint(s, j, index), width) }
    }

    /// Keeps the synapses after `count` steps of the replay.
    func save(_ s: Int, checkpoint index: Int, after count: Int) {
        for j in 0..<rows { row(s, j, count).copy(to: checkpoint(s, j, index), width) }
    }
}
