/// A matrix R (count, width) whose rows are padded with zeros to whole vectors, and products with it.
struct RowMatrix<T: Real> {
    typealias V = T.Lanes

    let rows: UnsafePointer<T>
    /// Between the beginnings of two rows
    let stride: Int
    let count: Int
    /// With padding
    let width: Int

    private var L: Int { V.scalarCount }

    /// The rows of a range.
    subscript(_ range: Range<Int>) -> RowMatrix {
        RowMatrix(rows: rows + range.lowerBound &* stride, stride: stride, count: range.count, width: width)
    }

    /// R k, and zeros up to a whole vector.
    func multiply(_ k: UnsafePointer<T>, to target: UnsafeMutablePointer<T>) {
        var n = 0
        while n &+ 4 <= count {
            let sums = dots(Samples<4>.self, n, k)
            let target = UnsafeMutableRawPointer(target + n)
            target.storeBytes(of: T.horizontalSums(sums[0], sums[1], sums[2], sums[3]), as: SIMD4<T>.self)
            n &+= 4
        }
        while n < count {
            target[n] = horizontalSum(dots(Samples<1>.self, n, k)[0], T.self)
            n &+= 1
        }
        while n % L != 0 {
            target[n] = 0
            n &+= 1
        }
    }

    @inline(__always)
    private func dots<let N: Int>(_: Samples<N>.Type, _ n: Int, _ k: UnsafePointer<T>) -> InlineArray<N, V> {
        let row = rows + n &* stride
        var sums = InlineArray<N, V>(repeating: .zero)
        var at = 0
        while at < width {
            let factor = k.lanes(at)
            Samples<N>.forEach { i in sums[i] = fma((row + i &* stride).lanes(at), factor, sums[i]) }
            at &+= L
        }
        return sums
    }

    /// Adds Rᵀ f, with the elements of f `step` apart.
    func addCombination(_ factors: UnsafePointer<T>, step: Int = 1, to target: UnsafeMutablePointer<T>) {
        forEachVector(T.self, width: width, Combination(matrix: self, factors: factors, step: step, target: target))
    }

    private struct Combination: VectorLoop {
        let matrix: RowMatrix
        let factors: UnsafePointer<T>
        let step: Int
        let target: UnsafeMutablePointer<T>

        /// In two sums, because each addition waits for the one before.
        @inline(__always)
        func run<let N: Int>(_: Samples<N>.Type, _ k: Int) {
            let (L, stride, count) = (V.scalarCount, matrix.stride, matrix.count)
            let rows = matrix.rows + k
            var even = InlineArray<N, V> { i in target.lanes(k &+ i &* L) }
            var odd = InlineArray<N, V>(repeating: .zero)
            var n = 0
            while n &+ 2 <= count {
                let row = rows + n &* stride
                let (first, second) = (V(repeating: factors[n &* step]), V(repeating: factors[(n &+ 1) &* step]))
                Samples<N>.forEach { i in
                    even[i] = fma(row.lanes(i &* L), first, even[i])
                    odd[i] = fma((row + stride).lanes(i &* L), second, odd[i])
                }
                n &+= 2
            }
            if n < count {
                let factor = V(repeating: factors[n &* step])
                Samples<N>.forEach { i in even[i] = fma((rows + n &* stride).lanes(i &* L), factor, even[i]) }
            }
            Samples<N>.forEach { i in target.store(even[i] + odd[i], k &+ i &* L) }
        }
    }

    /// Adds L R to a matrix (rows of L, width) with `stride` between its rows.
    func addProduct(_ left: Factors<T>, to target: UnsafeMutablePointer<T>, stride: Int) {
        var j = 0
        while j &+ 4 <= left.rows {
            addProduct(Samples<4>.self, left, j, to: target + j &* stride, stride)
            j &+= 4
        }
        while j < left.rows {
            addProduct(Samples<1>.self, left, j, to: target + j &* stride, stride)
            j &+= 1
        }
    }

    @inline(__always)
    private func addProduct<let J: Int>(
        _: Samples<J>.Type, _ left: Factors<T>, _ j: Int, to target: UnsafeMutablePointer<T>, _ stride: Int
    ) {
        let loop = Product<T, J>(
            matrix: self, left: left.elements + j &* left.row, row: left.row, column: left.column, target: target,
            stride: stride)
        forEachVector(T.self, width: width, loop)
    }
}

/// The left factor of a product: element (j, n) at j · `row` + n · `column`.
struct Factors<T: Real> {
    let elements: UnsafePointer<T>
    let rows: Int
    let row: Int
    let column: Int
}

/// J rows of a product.
private struct Product<T: Real, let J: Int>: VectorLoop {
    let matrix: RowMatrix<T>
    let left: UnsafePointer<T>
    let row: Int
    let column: Int
    let target: UnsafeMutablePointer<T>
    let stride: Int

    @inline(__always)
    func run<let N: Int>(_: Samples<N>.Type, _ k: Int) {
        typealias V = T.Lanes
        let L = V.scalarCount
        var sums = InlineArray<J, InlineArray<N, V>> { j in
            InlineArray<N, V> { i in target.lanes(j &* stride &+ k &+ i &* L) }
        }
        var n = 0
        while n < matrix.count {
            let values = matrix.rows + (n &* matrix.stride &+ k)
            let factors = left + n &* column
            Samples<J>.forEach { j in
                let factor = V(repeating: factors[j &* row])
                Samples<N>.forEach { i in sums[j][i] = fma(values.lanes(i &* L), factor, sums[j][i]) }
            }
            n &+= 1
        }
        Samples<J>.forEach { j in
            Samples<N>.forEach { i in target.store(sums[j][i], j &* stride &+ k &+ i &* L) }
        }
    }
}
