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

    /// As `add`, and then gives every row the sum of all.
    func addAcross(_ first: Int, _ rows: Int) {
        add(first, rows)
        var sum: Number = 0
        for row in first..<first &+ rows { sum += total[row] }
        (total + first).fill(sum, rows)
    }

    /// Adds the sums of `rows` rows from number `first` on to a vector of them.
    func addTotals(_ first: Int, to target: UnsafeMutablePointer<Number>, _ rows: Int) {
        target.add(total + first, rows)
    }

    func addTotals(_ first: Int, to target: UnsafeMutablePointer<Number>, times factor: Number, _ width: Int) {
        target.add(total + first, times: factor, width: width)
    }

    /// Σ of the sums of `width` rows times the elements of a vector.
    func dot(_ first: Int, _ other: UnsafePointer<Number>, _ width: Int) -> Number {
        (total + first).dot(other, width)
    }

    /// Adds a number to the sum of a row.
    func add(_ number: Number, toTotal row: Int) { total[row] += number }

    /// The sum of row number `row`.
    @inline(__always)
    subscript(row: Int) -> Number { total[row] }

    /// The sums of the rows from number `row` on.
    @inline(__always)
    func lanes(_ row: Int) -> Number.Lanes { total.lanes(row) }
}
