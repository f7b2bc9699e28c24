/// A row of one sample of a block. Each of its vectors is followed by the same vector of the block's other samples, so that one
/// register points at those of all: rows of each sample's own would take one each, more than a processor has.
struct BlockRow<T: Real> {
    typealias V = T.Lanes

    /// The first vector
    let start: UnsafeMutablePointer<T>
    /// Samples that alternate
    let samples: Int

    /// The vector that begins at element `k`, a multiple of a vector's.
    @inline(__always)
    func lanes(_ k: Int) -> V { start.lanes(k &* samples) }

    @inline(__always)
    func store(_ vector: V, _ k: Int) { start.store(vector, k &* samples) }

    @inline(__always)
    private func forEachVector(_ width: Int, _ body: (Int) -> Void) {
        var k = 0
        while k < width {
            body(k)
            k &+= V.scalarCount
        }
    }

    @inline(__always)
    func zero(_ width: Int) { forEachVector(width) { store(.zero, $0) } }

    /// Copies a row whose elements follow each other.
    @inline(__always)
    func copy(_ row: UnsafePointer<T>, _ width: Int) { forEachVector(width) { store(row.lanes($0), $0) } }

    /// Copies to a row whose elements follow each other.
    @inline(__always)
    func copy(to row: UnsafeMutablePointer<T>, _ width: Int) { forEachVector(width) { row.store(lanes($0), $0) } }

    /// Copies columns that follow each other into their places.
    func copy(_ source: UnsafePointer<T>, columns: Range<Int>) {
        forEachPart(of: columns) { k, count in
            let values = source + (k - columns.lowerBound)
            if count == V.scalarCount { return store(values.lanes(0), k) }
            element(k).copy(values, count)
        }
    }

    /// Copies columns, if there are any, into their places among zeros.
    func load(_ source: UnsafePointer<T>?, columns: Range<Int>, _ width: Int) {
        zero(width)
        if let source { copy(source, columns: columns) }
    }

    /// Copies columns, times a factor, to where they follow each other.
    func copy(columns: Range<Int>, to target: UnsafeMutablePointer<T>, times factor: T = 1) {
        forEachPart(of: columns) { k, count in
            let values = target + (k - columns.lowerBound)
            if count == V.scalarCount { return values.store(lanes(k) * factor, 0) }
            values.copy(element(k), count, times: factor)
        }
    }

    private func element(_ k: Int) -> UnsafeMutablePointer<T> {
        let lane = k % V.scalarCount
        return start + ((k - lane) * samples + lane)
    }

    /// What of the columns stands in one vector: the first of them, and how many.
    @inline(__always)
    private func forEachPart(of columns: Range<Int>, _ body: (Int, Int) -> Void) {
        var k = columns.lowerBound
        while k < columns.upperBound {
            let count = min(V.scalarCount - k % V.scalarCount, columns.upperBound - k)
            body(k, count)
            k += count
        }
    }

    /// Adds a row whose elements follow each other, times a factor.
    func add(_ row: UnsafePointer<T>, times factor: T, _ width: Int) {
        forEachVector(width) { store(fma(row.lanes($0), factor, lanes($0)), $0) }
    }

    /// Adds it, times a factor, to a row whose elements follow each other.
    func add(to row: UnsafeMutablePointer<T>, times factor: T, _ width: Int) {
        forEachVector(width) { row.store(fma(lanes($0), factor, row.lanes($0)), $0) }
    }

    /// The sum of products with a row whose elements follow each other.
    func dot(_ row: UnsafePointer<T>, _ width: Int) -> T {
        var sum = V.zero
        forEachVector(width) { sum = fma(lanes($0), row.lanes($0), sum) }
        return horizontalSum(sum, T.self)
    }

    func dot(_ other: BlockRow, _ width: Int) -> T {
        var sum = V.zero
        forEachVector(width) { sum = fma(lanes($0), other.lanes($0), sum) }
        return horizontalSum(sum, T.self)
    }
}

/// Rows of all samples of a block.
struct BlockRows<T: Real> {
    private let start: UnsafeMutablePointer<T>  // (rows, width / lanes, samples, lanes)
    let samples: Int
    private let rows: Int
    private let width: Int

    init(_ arena: inout Arena, samples: Int, rows: Int = 1, width: Int) {
        start = arena.take(T.self, rows, width, samples)
        (self.samples, self.rows, self.width) = (samples, rows, width)
    }

    /// Row j of a sample.
    @inline(__always)
    func row(_ s: Int, _ j: Int = 0) -> BlockRow<T> {
        BlockRow(start: start + (j &* width &* samples &+ s &* T.Lanes.scalarCount), samples: samples)
    }

    /// Rows of `columns`, or zeros.
    func load(_ s: Int, _ source: UnsafePointer<T>?, columns: Range<Int>) {
        for j in 0..<rows { row(s, j).load(source.map { $0 + j * columns.count }, columns: columns, width) }
    }

    /// Zeroes the rows of a sample.
    func zero(_ s: Int) {
        for j in 0..<rows { row(s, j).zero(width) }
    }
}
