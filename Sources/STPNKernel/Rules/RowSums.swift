/// The sums over a row of synapses that a pass leaves: four partial sums a row, added up for all rows at once.
struct RowSums<Number: Real> {
    private let partial: UnsafeMutablePointer<Number>  // (rows, 4)
    private let total: UnsafeMutablePointer<Number>  // (rows)

    init(_ arena: inout Arena, rows: Int) {
        partial = arena.take(Number.self, rows, 4)
        total = arena.take(Number.self, rows)
    }

    @inline(__always)
    func store(_ lanes: Number.Lanes, _ row: Int) {
        let quarters = Number.quarterSums(lanes)
        UnsafeMutableRawPointer(partial + row &* 4).storeBytes(of: quarters, as: SIMD4<Number>.self)
    }

    func zero(_ first: Int, _ rows: Int) {
        (partial + first * 4).zero(rows * 4)
        (total + first).zero(rows)
    }

    /// Adds up `rows` rows from number `first` on.
    func add(_ first: Int, _ rows: Int) {
        for row in first..<first &+ rows {
            let p = partial + row &* 4
            total[row] = (p[0] + p[1]) + (p[2] + p[3])
        }
    }

    /// The sums of the rows from number `row` on.
    @inline(__always)
    func lanes(_ row: Int) -> Number.Lanes { total.lanes(row) }
}
